//! All 2^32 tag words through the codec, against a second reading written from the octet table and not from the
//! masks of the word.
//!
//! Run it with `cargo test --release -p vntag --test all_tag_words`. A debug build goes through one word in 257
//! only, and says so.

use std::thread;

use vntag::check::{self, Violation, Violations};
use vntag::{Fault, NivTag, Target, Vntag};

/// Of so many words, one goes through `check` as well; a prime, so that every field meets every other.
const CHECKED: u64 = 61;

/// The fields as the octet table has them.
struct Naive {
    d: bool,
    p: bool,
    dst: u16,
    l: bool,
    r: bool,
    ver: u8,
    src: u16,
}

/// Reads octets 14 to 17 of a frame.
fn naive([o14, o15, o16, o17]: [u8; 4]) -> Naive {
    Naive {
        d: o14 >= 128,
        p: o14 % 128 >= 64,
        dst: u16::from(o14 % 64) * 256 + u16::from(o15),
        l: o16 >= 128,
        r: o16 % 128 >= 64,
        ver: o16 % 64 / 16,
        src: u16::from(o16 % 16) * 256 + u16::from(o17),
    }
}

/// V5 to V11, one line after the other.
fn naive_up(tag: &Naive) -> Result<u32, Fault> {
    if tag.d {
        return Err(Fault::Direction);
    }
    if tag.p {
        return Err(Fault::Pointer);
    }
    if tag.l {
        return Err(Fault::Looped);
    }
    if tag.dst > 0 {
        return Err(Fault::Destination);
    }
    if tag.r {
        return Err(Fault::Reserved);
    }
    if tag.ver > 0 {
        return Err(Fault::Version);
    }
    if tag.src == 0 || tag.src == 4095 {
        return Err(Fault::Source);
    }
    Ok(u32::from(tag.src))
}

/// I9, I10, I11, I13.
fn naive_down(tag: &Naive) -> Result<(Target, Option<u32>), Fault> {
    if !tag.d {
        return Err(Fault::Direction);
    }
    if tag.r {
        return Err(Fault::Reserved);
    }
    if tag.ver > 0 {
        return Err(Fault::Version);
    }
    if !tag.p && tag.dst >= 4096 {
        return Err(Fault::DestinationRange);
    }
    let id = u32::from(tag.dst);
    let target = if tag.p { Target::List(id) } else { Target::Channel(id) };
    Ok((target, if tag.l { Some(u32::from(tag.src)) } else { None }))
}

/// How many of these conditions hold, and that exactly their lines are named.
fn agrees(found: Violations, lines: &[(Violation, bool)]) -> bool {
    let mut expected = 0;
    for &(line, applies) in lines {
        expected += usize::from(applies);
        if found.contains(line) != applies {
            return false;
        }
    }
    found.len() == expected
}

/// The tag lines of both ways, named exactly where they apply.
fn checked(bytes: &[u8], tag: Vntag, n: &Naive) {
    use Violation::{I9, I10, I11, I12, I13, I14, I20, V5, V6, V7, V8, V9, V10, V11};
    let found = check::up(bytes, 20);
    let unassigned = n.src == 0 || n.src == 4095;
    let lines =
        [(V5, n.d), (V6, n.p), (V7, n.l), (V8, n.dst > 0), (V9, n.r), (V10, n.ver > 0), (V11, unassigned)];
    assert!(agrees(found, &lines), "{tag:?}: {found:?}");
    let found = check::down(bytes, 20);
    let unicast = !n.p;
    let lines = [
        (I9, !n.d),
        (I10, n.r),
        (I11, n.ver > 0),
        (I13, unicast && n.dst > 4095),
        (I12, unicast && n.dst == 0),
        (I14, n.p && n.dst == 0),
        (I20, unicast && n.l && n.src == n.dst),
    ];
    assert!(agrees(found, &lines), "{tag:?}: {found:?}");
}

fn go_through(first: u64, last: u64, step: u64) {
    let mut bytes = [0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 0x89, 0x26, 0, 0, 0, 0, 0x08, 0x00];
    let mut word = first;
    while word < last {
        let octets = (word as u32).to_be_bytes();
        bytes[14..18].copy_from_slice(&octets);
        let n = naive(octets);

        let tag = Vntag::from_word(word as u32);
        let same = (tag.d(), tag.p(), tag.l(), tag.r()) == (n.d, n.p, n.l, n.r)
            && (tag.dst_vif(), tag.ver(), tag.src_vif()) == (n.dst, n.ver, n.src);
        let built = Vntag::default().with_src_vif(n.src).with_ver(n.ver).with_r(n.r).with_l(n.l);
        let built = built.with_dst_vif(n.dst).with_p(n.p).with_d(n.d);
        assert!(same && built == tag, "{tag:?}");

        let up = Vntag::parse_up(&bytes, 12);
        let down = Vntag::parse_down(&bytes, 12);
        assert_eq!(up.map(|up| up.source), naive_up(&n), "{tag:?}");
        assert_eq!(down.map(|down| (down.target, down.looped)), naive_down(&n), "{tag:?}");

        let mut emitted = [0; 6];
        if let Ok(up) = up {
            Vntag::emit_up(up, &mut emitted);
            assert_eq!(emitted, bytes[12..18], "{tag:?}");
        }
        if let Ok(down) = down {
            Vntag::emit_down(down, &mut emitted);
            let source_kept = n.l || n.src == 0;
            assert_eq!(emitted == bytes[12..18], source_kept, "{tag:?}");
        }

        // What `check` says follows from the same fields: a part of the words is enough, and the rest would double
        // the time.
        if word.is_multiple_of(CHECKED) {
            checked(&bytes, tag, &n);
        }
        word += step;
    }
}

#[test]
fn all_tag_words() {
    let step = if cfg!(debug_assertions) {
        eprintln!("debug build: one word in 257; all of them with `cargo test --release`");
        257
    } else {
        1
    };
    let half = 1_u64 << 31;
    thread::scope(|scope| {
        scope.spawn(|| go_through(0, half, step));
        scope.spawn(|| go_through(half, 2 * half, step));
    });
}
