//! Inputs from other inputs.

use super::Form;
use crate::random::Random;

/// Octets that an input may have.
pub(super) const LONGEST: usize = 4096;
/// Changes that are made to an input at once, at the most.
const CHANGES: usize = 6;
/// Numbers at which something may begin or end.
const EDGES: [u32; 14] =
    [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x3fff, 0x4000, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, u32::MAX];
/// Words that a line may hold anywhere.
const WORDS: [&str; 12] = [
    "no",
    "default",
    "?",
    "|",
    "!",
    "0",
    "1",
    "4094",
    "4095",
    "65536",
    "18446744073709551616",
    "\u{e4}\u{7f}",
];

/// Changes an input a little. `other` is one to take pieces from.
pub(super) fn mutate(form: Form, input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.index(CHANGES) {
        // Of a text, mostly lines and words; a broken octet is soon refused.
        if form == Form::Text && random.index(8) != 0 {
            change_text(input, other, random);
        } else {
            change(input, other, random);
        }
    }
    input.truncate(LONGEST);
}

fn change(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.index(input.len() + 1);
    match random.index(12) {
        0 => {
            if let Some(octet) = input.get_mut(at) {
                *octet ^= 1 << random.index(8);
            }
        }
        1 => {
            if let Some(octet) = input.get_mut(at) {
                *octet = random.number() as u8;
            }
        }
        2 => {
            if let Some(octet) = input.get_mut(at) {
                *octet = octet.wrapping_add([1, 0xff, 4, 0xfc][random.index(4)]);
            }
        }
        3 => edge(input, at, random),
        // A length is most often that of what follows it.
        4 => {
            let left = input.len().saturating_sub(at + 2).min(usize::from(u16::MAX)) as u16;
            let near = left.wrapping_add(random.index(5) as u16).wrapping_sub(2);
            put(input, at, &near.to_be_bytes());
        }
        5 => {
            let end = (at + random.index(17)).min(input.len());
            input.drain(at.min(end)..end);
        }
        6 => {
            let piece: Vec<u8> = (0..1 + random.index(8)).map(|_| random.number() as u8).collect();
            input.splice(at..at, piece);
        }
        7 => {
            let piece = piece(input, random).to_vec();
            input.splice(at..at, piece);
        }
        8 => {
            let piece = piece(other, random).to_vec();
            input.splice(at..at, piece);
        }
        9 => {
            let piece = piece(other, random).to_vec();
            put(input, at, &piece);
        }
        10 => input.truncate(at),
        _ => {
            let begin = random.index(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[begin..]);
        }
    }
}

/// Puts a number of one, two or four octets there at which something may begin or end.
fn edge(input: &mut [u8], at: usize, random: &mut Random) {
    let octets = EDGES[random.index(EDGES.len())].to_be_bytes();
    put(input, at, &octets[[3, 2, 0][random.index(3)]..]);
}

/// Overwrites, as far as there is something.
fn put(input: &mut [u8], at: usize, octets: &[u8]) {
    for (to, from) in input.iter_mut().skip(at).zip(octets) {
        *to = *from;
    }
}

/// A piece of an input.
fn piece<'a>(input: &'a [u8], random: &mut Random) -> &'a [u8] {
    let begin = random.index(input.len() + 1);
    let most = if random.index(4) == 0 { 256 } else { 16 };
    let len = 1 + random.index(most);
    &input[begin..(begin + len).min(input.len())]
}

fn change_text(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let text = String::from_utf8_lossy(input).into_owned();
    let other = String::from_utf8_lossy(other);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let others: Vec<&str> = other.lines().collect();
    let at = random.index(lines.len());
    match random.index(8) {
        0 if !lines.is_empty() => drop(lines.remove(at)),
        1 if !lines.is_empty() => lines.insert(random.index(lines.len()), lines[at].clone()),
        2 if !lines.is_empty() => {
            let with = random.index(lines.len());
            lines.swap(at, with);
        }
        3 | 4 => {
            // Some lines of the other one in their order: a section, perhaps.
            let begin = random.index(others.len());
            let end = (begin + 1 + random.index(6)).min(others.len());
            let some = others[begin.min(end)..end].iter().map(|line| (*line).to_owned());
            lines.splice(at..at, some);
        }
        _ => {
            if let Some(line) = lines.get_mut(at) {
                let words: Vec<&str> = other.split_whitespace().collect();
                *line = change_line(line, &words, random);
            }
        }
    }
    *input = lines.join("\n").into_bytes();
}

/// A line with one word more, less, or another one in its place.
fn change_line(line: &str, others: &[&str], random: &mut Random) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let at = random.index(words.len() + 1);
    let word = match random.index(4) {
        0 => random.pick(&WORDS).map_or("", |word| word).to_owned(),
        1 => EDGES[random.index(EDGES.len())].to_string(),
        _ => random.pick(others).map_or("", |word| word).to_owned(),
    };
    match (random.index(4), words.get_mut(at)) {
        (0, _) | (_, None) => words.insert(at, word),
        (1, Some(_)) => drop(words.remove(at)),
        // Words may be shortened as long as it is clear which one is meant.
        (2, Some(old)) => *old = old.chars().take(random.index(old.len() + 1)).collect(),
        (_, Some(old)) => *old = word,
    }
    words.join(" ")
}
