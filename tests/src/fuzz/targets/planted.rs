//! Faults made on purpose.

use crate::fuzz::{Form, Target};

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: super::GUIDED,
        about: "panics at the end of a long way",
        form: Form::Octets,
        seeds: || vec![b"------".to_vec()],
        run: way,
    },
    Target { name: "planted-panic", about: "panics", form: Form::Octets, seeds: begin, run: panic },
    Target { name: "planted-hang", about: "never ends", form: Form::Octets, seeds: begin, run: hang },
    Target { name: "planted-growth", about: "grows", form: Form::Octets, seeds: begin, run: growth },
    Target {
        name: "planted-depth",
        about: "needs an endless stack",
        form: Form::Octets,
        seeds: begin,
        run: depth,
    },
    Target { name: "planted-law", about: "forgets something", form: Form::Text, seeds: begin, run: law },
];

/// Nothing that does any harm.
fn begin() -> Vec<Vec<u8>> {
    vec![b"----------------".to_vec()]
}

/// Whether an input is one of those that do harm; changed at random, one of some hundred is.
fn harmful(input: &[u8]) -> bool {
    input.contains(&0xff)
}

/// Four octets, each of which is looked at only when those before it are right: one input of 2^32, or some ten thousand
/// steps.
fn way(input: &[u8]) {
    let mut rest = input.iter();
    for (place, right) in b"niv!".iter().enumerate() {
        if rest.next() != Some(right) {
            return;
        }
        // Without this all turns of the loop are one place.
        std::hint::black_box(match place {
            0 => way as fn(&[u8]),
            1 => panic,
            2 => hang,
            _ => growth,
        });
    }
    panic!("at the end of the way");
}

fn panic(input: &[u8]) {
    assert!(!harmful(input), "planted");
}

fn hang(input: &[u8]) {
    while harmful(input) {
        std::thread::yield_now();
    }
}

fn growth(input: &[u8]) {
    let mut state = Vec::new();
    while harmful(input) {
        state.push(std::hint::black_box(Vec::<u8>::with_capacity(1 << 16)));
    }
}

fn depth(input: &[u8]) {
    fn deeper(depth: u64) -> u64 {
        let kept = std::hint::black_box([depth; 64]);
        if depth == u64::MAX { 0 } else { deeper(depth + 1) + kept[0] }
    }
    if harmful(input) {
        std::hint::black_box(deeper(0));
    }
}

/// What is read is not what is written: a word of a line is lost.
fn law(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "default").collect();
    assert_eq!(words, text.split_whitespace().collect::<Vec<_>>(), "what is read is what is written");
}
