//! Captures of random octets and captures with random faults: read to an end, without panic, and never believed
//! beyond their length.

use std::io::Cursor;

use proptest::prelude::*;

use super::Capture;

/// Reads everything; gives the number of frames and of octets in them.
fn read(capture: &[u8]) -> (u64, usize) {
    let (mut frames, mut octets) = (0, 0);
    let Ok(mut capture) = Capture::read("test", Box::new(Cursor::new(capture.to_vec()))) else {
        return (0, 0);
    };
    while let Ok(Some(frame)) = capture.next() {
        frames += 1;
        octets += frame.data.len();
        assert_eq!(frame.number, frames);
        assert!(frame.wire_len >= frame.data.len());
    }
    (frames, octets)
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Three frames of 8 octets.
fn pcap() -> Vec<u8> {
    let record = words(&[1, 2, 8, 8, 0x0403_0201, 0x0807_0605]);
    [words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1]), record.repeat(3)].concat()
}

/// Three frames of 8 octets, one in each kind of block, behind an interface with options.
fn pcapng() -> Vec<u8> {
    let section = words(&[0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28]);
    let options = words(&[0x0001_0009, 0x89, 0x0008_000e, 1, 0, 0]);
    let interface = [words(&[1, 44, 1, 65_535]), options, words(&[44])].concat();
    let enhanced = words(&[6, 40, 0, 0, 0, 8, 8, 1, 2, 40]);
    let simple = words(&[3, 24, 8, 1, 2, 24]);
    let obsolete = words(&[2, 40, 0, 0, 0, 8, 8, 1, 2, 40]);
    [section, interface, enhanced, simple, obsolete].concat()
}

#[test]
fn whole_captures_have_three_frames() {
    assert_eq!(read(&pcap()), (3, 24));
    assert_eq!(read(&pcapng()), (3, 24));
}

proptest! {
    #[test]
    fn any_octets_are_survived(kind in 0..3, octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let start = match kind {
            0 => pcap()[..24].to_vec(),
            1 => pcapng()[..72].to_vec(),
            _ => Vec::new(),
        };
        let capture = [start, octets].concat();
        prop_assert!(read(&capture).1 <= capture.len());
    }

    #[test]
    fn faults_are_survived(
        ng: bool, faults in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut: prop::sample::Index,
    ) {
        let mut capture = if ng { pcapng() } else { pcap() };
        for (at, value) in faults {
            let len = capture.len();
            capture[at.index(len)] = value;
        }
        capture.truncate(cut.index(capture.len() + 1));
        prop_assert!(read(&capture).1 <= capture.len());
    }
}
