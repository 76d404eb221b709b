//! What a sender left undone in a frame, in the 32 bits that a descriptor has for whatever its two ends agree on.
//!
//! ```text
//!   31..29   28    27..16            15..0
//!  | kind | ECN | start (12)    | segment size (16) |      2 TCP over IPv4, 3 TCP over IPv6, 4 UDP
//!  | kind | field behind start (13)  | start (16)   |      1 a checksum
//!  | 0                                              |      nothing
//! ```
//!
//! All that a virtio-net header says is in there but its hint of the headers' length, the size of segments where there are
//! none, and the place of a super-frame's checksum, which follows from its kind. It is used where both ends announced it ([`message`](super::message)); in
//! the frames of other peers the word is 0 and is not read. The octets of a frame are the same either way.

use crate::frame::Undone;

const CHECKSUM: u32 = 1;
const TCP4: u32 = 2;
const TCP6: u32 = 3;
const UDP: u32 = 4;

const ECN: u32 = 1 << 28;
const START_MAX: u16 = (1 << 12) - 1;
const FIELD_MAX: u16 = (1 << 13) - 1;

/// `flags` and `gso_type` of a virtio-net header.
const NEEDS_CSUM: u8 = 1;
const GSO: [(u32, u8); 3] = [(TCP4, 1), (TCP6, 4), (UDP, 5)];
const GSO_ECN: u8 = 0x80;
/// No segmentation that anybody knows.
const GSO_NONSENSE: u8 = 0x7f;

/// Where TCP and UDP keep their checksums.
const TCP_FIELD: u16 = 16;
const UDP_FIELD: u16 = 6;

/// The word for a header; `None` where the word cannot say it, and for one that leaves nothing undone.
pub(super) fn pack(undone: &Undone) -> Option<u32> {
    let [flags, gso_type, _, _, a, b, c, d, e, f, _, _] = undone.to_bytes();
    let [size, start, field] = [[a, b], [c, d], [e, f]].map(u16::from_le_bytes);
    if flags & NEEDS_CSUM == 0 {
        return None;
    }
    if gso_type == 0 {
        return (field <= FIELD_MAX).then(|| CHECKSUM << 29 | u32::from(field) << 16 | u32::from(start));
    }
    let (kind, _) = *GSO.iter().find(|(_, gso)| *gso == gso_type & !GSO_ECN)?;
    let ecn = gso_type & GSO_ECN != 0;
    if start > START_MAX || field != checksum_field(kind) || ecn && kind == UDP {
        return None;
    }
    Some(kind << 29 | if ecn { ECN } else { 0 } | u32::from(start) << 16 | u32::from(size))
}

/// The header for a word, which is a peer's: what makes no sense becomes a header that makes none.
#[cold]
pub(super) fn unpack(word: u32) -> Option<Undone> {
    let kind = word >> 29;
    let (gso_type, size, start, field) = if kind == CHECKSUM {
        (0, 0, word as u16, (word >> 16) as u16 & FIELD_MAX)
    } else {
        let gso = GSO.iter().find(|(known, _)| *known == kind).map_or(GSO_NONSENSE, |(_, gso)| *gso);
        let ecn = if word & ECN != 0 { GSO_ECN } else { 0 };
        (gso | ecn, word as u16, (word >> 16) as u16 & START_MAX, checksum_field(kind))
    };
    let [[a, b], [c, d], [e, f]] = [size, start, field].map(u16::to_le_bytes);
    Undone::from_bytes([NEEDS_CSUM, gso_type, 0, 0, a, b, c, d, e, f, 0, 0])
}

fn checksum_field(kind: u32) -> u16 {
    if kind == UDP { UDP_FIELD } else { TCP_FIELD }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word_of(header: [u8; 12]) -> Option<u32> {
        pack(&Undone::from_bytes(header)?)
    }

    fn header_of(word: u32) -> [u8; 12] {
        unpack(word).unwrap().to_bytes()
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_again(kind in 0usize..4, size: u16, start in 0u16..=START_MAX, field in 0u16..=FIELD_MAX, ecn: bool) {
            let gso = [0, 1, 4, 5][kind];
            let (size, field) = match gso { 0 => (0, field), 5 => (size, UDP_FIELD), _ => (size, TCP_FIELD) };
            let gso = gso | if ecn && (gso == 1 || gso == 4) { GSO_ECN } else { 0 };
            let [s, at, f] = [size, start, field].map(u16::to_le_bytes);
            let header = [1, gso, 0, 0, s[0], s[1], at[0], at[1], f[0], f[1], 0, 0];
            let word = word_of(header).unwrap();
            prop_assert!(word != 0);
            prop_assert_eq!(header_of(word), header);
            // The hints are not carried.
            let mut hinted = header;
            (hinted[2], hinted[10], hinted[0]) = (99, 3, 3);
            prop_assert_eq!(word_of(hinted), Some(word));
        }

        #[test]
        fn any_word_is_read_and_any_header_refused_or_kept(word in 1u32.., header: [u8; 12]) {
            let said = header_of(word);
            // Nonsense stays nonsense: it has no word.
            prop_assert!(word_of(said).is_none_or(|again| header_of(again) == said));
            if let Some(word) = word_of(header) {
                let [_, gso, _, _, size @ .., _, _] = header;
                let said = header_of(word);
                // Without segments their size says nothing.
                let [a, b, rest @ ..] = size;
                let size = if gso == 0 { [0, 0] } else { [a, b] };
                prop_assert_eq!((said[1], &said[4..6], &said[6..10]), (gso, &size[..], &rest[..]));
            }
        }
    }

    #[test]
    fn a_size_of_segments_is_nothing_where_there_are_none() {
        let checksum = [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0];
        let mut sized = checksum;
        sized[5] = 1;
        assert_eq!(word_of(sized), word_of(checksum));
        assert_eq!(word_of(sized).map(header_of), Some(checksum));
    }

    #[test]
    fn what_has_no_word() {
        let tcp = [1, 1, 0, 0, 0xa0, 5, 34, 0, 16, 0, 0, 0];
        assert!(word_of(tcp).is_some());
        for (at, value) in [(0, 0), (0, 2), (1, 3), (1, 0x83), (1, 0x85), (7, 0x10), (8, 6)] {
            let mut other = tcp;
            other[at] = value;
            if at == 1 && value == 0x85 {
                other[8] = 6;
            }
            assert_eq!(word_of(other), None, "{at} {value}");
        }
    }
}
