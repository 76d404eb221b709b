//! `struct virtio_net_hdr` as the kernel has it in front of a frame of a tap or packet socket: what is left undone in it.
//!
//! ```text
//! | flags (1) | gso_type (1) | hdr_len (2) | gso_size (2) | csum_start (2) | csum_offset (2) |
//! ```
//! Its words are the machine's own; those of an [`Undone`] are little-endian.

use crate::frame::Undone;

/// Octets of it.
pub(crate) const LEN: usize = 10;

const NEEDS_CSUM: u8 = 1;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// The longest super-frame that the kernel is given: 64 KiB of packet, its Ethernet header and two tags.
const LONGEST: usize = 65_535 + 14 + 8;

/// What the header says of a frame into which so many octets of a tag were put back. `None`: nothing is undone.
pub(crate) fn undone(header: &[u8; LEN], tagged: u16) -> Option<Undone> {
    let [flags, gso_type, words @ ..] = *header;
    if flags & NEEDS_CSUM == 0 && gso_type == 0 {
        return None;
    }
    let (words, _) = words.as_chunks::<2>();
    let mut undone = [0; 12];
    (undone[0], undone[1]) = (flags, gso_type);
    for (at, word) in words.iter().enumerate() {
        let word = u16::from_ne_bytes(*word);
        // hdr_len, gso_size, csum_start, csum_offset.
        let word = if at % 2 == 0 { word.saturating_add(tagged) } else { word };
        undone[2 + 2 * at..4 + 2 * at].copy_from_slice(&word.to_le_bytes());
    }
    Undone::from_bytes(undone)
}

/// The header of a frame in which this is left undone.
pub(crate) fn header(undone: Option<&Undone>) -> [u8; LEN] {
    let mut header = [0; LEN];
    let Some(undone) = undone else { return header };
    let undone = undone.to_bytes();
    header[..2].copy_from_slice(&undone[..2]);
    let (words, _) = undone[2..LEN].as_chunks::<2>();
    for (at, word) in words.iter().enumerate() {
        header[2 + 2 * at..4 + 2 * at].copy_from_slice(&u16::from_le_bytes(*word).to_ne_bytes());
    }
    header
}

/// What may be left to the kernel in frames for it. Every kernel that we run on completes checksums and cuts TCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Cuts {
    /// Nothing: frames are to be complete.
    Nothing,
    /// Checksums, and super-frames of TCP.
    Tcp,
    /// Those of UDP, too.
    TcpAndUdp,
}

impl Cuts {
    /// Whether that includes what is undone in this frame of `len` octets.
    pub(crate) fn takes(self, undone: &Undone, len: usize) -> bool {
        let [_, gso_type, _, _, a, b, ..] = undone.to_bytes();
        let kind = match gso_type {
            GSO_UDP => self == Self::TcpAndUdp,
            _ => self != Self::Nothing && matches!(gso_type & !GSO_ECN, 0 | GSO_TCPV4 | GSO_TCPV6),
        };
        // To the kernel the greatest size is a mark of its own, and refused.
        kind && len <= LONGEST && [a, b] != [0xff; 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_become_those_of_virtio_and_back() {
        let word = |value: u16| value.to_ne_bytes();
        let kernels =
            [&[3, 1][..], &word(66), &word(1448), &word(34), &word(16)].concat().try_into().unwrap();
        let virtio = Undone::from_bytes([3, 1, 66, 0, 0xa8, 5, 34, 0, 16, 0, 0, 0]).unwrap();
        assert_eq!(undone(&kernels, 0), Some(virtio));
        assert_eq!(header(Some(&virtio)), kernels);
        assert_eq!(undone(&kernels, 4), Undone::from_bytes([3, 1, 70, 0, 0xa8, 5, 38, 0, 16, 0, 0, 0]));
        // Verified, and nothing to do.
        assert_eq!(undone(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0), None);
        assert_eq!(header(None), [0; LEN]);
    }

    #[test]
    fn what_no_kernel_cuts_is_not_left_to_it() {
        let of = |gso_type| Undone::from_bytes([1, gso_type, 0, 0, 1, 0, 34, 0, 16, 0, 0, 0]).unwrap();
        for gso_type in 0..=255 {
            let tcp = [0, 1, 4, 0x80, 0x81, 0x84].contains(&gso_type);
            let known = [(Cuts::Nothing, false), (Cuts::Tcp, tcp), (Cuts::TcpAndUdp, tcp || gso_type == 5)];
            for (cuts, known) in known {
                assert_eq!(cuts.takes(&of(gso_type), 60_000), known, "{cuts:?} {gso_type}");
            }
        }
        assert!(!Cuts::Tcp.takes(&of(1), 70_000));
        let largest = Undone::from_bytes([1, 5, 0, 0, 0xff, 0xff, 34, 0, 6, 0, 0, 0]).unwrap();
        assert!(!Cuts::TcpAndUdp.takes(&largest, 1000));
    }
}
