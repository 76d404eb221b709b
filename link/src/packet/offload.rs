//! Undoing what the kernel left undone: a frame that comes from a host on this machine (through a veth, or out
//! of GRO) may have an unfinished checksum, or be a super-frame that no wire could carry. `virtio_net_hdr` says
//! which, and here the frames are made that the wire would have seen.
//!
//! This is the one place of the crate that looks into frames. It stands in for the kernel's own segmentation,
//! which an AF_PACKET socket comes in front of, and asks nothing of the user: no `ethtool -K` on either end.

/// What `struct virtio_net_hdr` says (virtio 1.2, 5.1.6), in host byte order as AF_PACKET gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct VnetHdr {
    pub(super) flags: u8,
    pub(super) gso_type: u8,
    pub(super) gso_size: u16,
    pub(super) csum_start: u16,
    pub(super) csum_offset: u16,
}

pub(super) const NEEDS_CSUM: u8 = 1;
pub(super) const GSO_NONE: u8 = 0;
pub(super) const GSO_TCPV4: u8 = 1;
pub(super) const GSO_TCPV6: u8 = 4;
pub(super) const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// Octets that the segments of one super-frame may take together.
const SEGMENTS_MAX: usize = 1 << 20;

impl VnetHdr {
    /// Reads the header.
    pub(super) fn parse(bytes: &[u8; 10]) -> Self {
        let word = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        Self {
            flags: bytes[0],
            gso_type: bytes[1],
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
        }
    }

    /// The frame is more than one frame on the wire.
    pub(super) fn is_super_frame(&self) -> bool {
        self.gso_type & !GSO_ECN != GSO_NONE
    }
}

/// Finishes the checksum of a frame if it is unfinished. `None`: the header does not fit the frame.
pub(super) fn finish_checksum(hdr: &VnetHdr, frame: &mut [u8]) -> Option<()> {
    if hdr.flags & NEEDS_CSUM == 0 {
        return Some(());
    }
    let covered = frame.get_mut(usize::from(hdr.csum_start)..)?;
    // The field holds the sum of the pseudo header, so it is summed like the rest.
    let sum = !fold(sum(covered, 0));
    let at = usize::from(hdr.csum_offset);
    // A sum of zero would say "no checksum" in UDP; both zeros are the same number.
    let field = covered.get_mut(at..at + 2)?;
    put(field, 0, if sum == 0 { 0xffff } else { sum });
    Some(())
}

/// Cuts a super-frame into the frames that it stands for, each appended to `out` and told to `each` with its
/// length. `None`: it is not what its header says, and nothing was appended.
pub(super) fn segment(
    hdr: &VnetHdr,
    frame: &[u8],
    out: &mut Vec<u8>,
    mut each: impl FnMut(usize),
) -> Option<()> {
    let (protocol, ipv6) = match hdr.gso_type & !GSO_ECN {
        GSO_TCPV4 => (TCP, false),
        GSO_TCPV6 => (TCP, true),
        GSO_UDP_L4 => (UDP, network_header(frame)?.1),
        _ => return None,
    };
    let (l3, is_ipv6) = network_header(frame)?;
    let l4 = usize::from(hdr.csum_start);
    let min_l3 = if ipv6 { 40 } else { 20 };
    if ipv6 != is_ipv6 || hdr.flags & NEEDS_CSUM == 0 || l4 < l3 + min_l3 {
        return None;
    }
    let l4_len = if protocol == TCP { usize::from(*frame.get(l4 + 12)? >> 4) * 4 } else { 8 };
    if l4_len < if protocol == TCP { 20 } else { 8 } {
        return None;
    }
    let (head, payload) = frame.split_at_checked(l4 + l4_len)?;
    let size = usize::from(hdr.gso_size);
    if size == 0
        || payload.is_empty()
        || payload.len().div_ceil(size) * head.len() + payload.len() > SEGMENTS_MAX
    {
        return None;
    }
    let chunks = payload.chunks(size);
    let last = chunks.len() - 1;
    for (index, chunk) in chunks.enumerate() {
        let start = out.len();
        out.extend_from_slice(head);
        out.extend_from_slice(chunk);
        let segment = &mut out[start..];
        let (below, upper) = segment.split_at_mut(l4);
        let ip = &mut below[l3..];
        network(ip, ipv6, upper.len(), index);
        let check = if protocol == TCP {
            let sequence = u32::from_be_bytes([upper[4], upper[5], upper[6], upper[7]]);
            let sequence = sequence.wrapping_add((index * size) as u32);
            upper[4..8].copy_from_slice(&sequence.to_be_bytes());
            upper[13] &= !(if index == last { 0 } else { FIN_PSH } | if index == 0 { 0 } else { CWR });
            16
        } else {
            let len = upper.len() as u16;
            put(upper, 4, len);
            6
        };
        put(upper, check, 0);
        let addresses = if ipv6 { &ip[8..40] } else { &ip[12..20] };
        let pseudo = sum(addresses, u64::from(protocol) + upper.len() as u64);
        let done = !fold(sum(upper, pseudo));
        put(upper, check, if done == 0 { 0xffff } else { done });
        each(out.len() - start);
    }
    Some(())
}

/// Lengths, identification and header checksum of a segment's IP header, with `upper` octets behind it.
fn network(ip: &mut [u8], ipv6: bool, upper: usize, index: usize) {
    if ipv6 {
        // Extension headers count as payload.
        let len = ip.len() - 40 + upper;
        put(ip, 4, len as u16);
        return;
    }
    let len = ip.len() + upper;
    put(ip, 2, len as u16);
    let id = u16::from_be_bytes([ip[4], ip[5]]).wrapping_add(index as u16);
    put(ip, 4, id);
    put(ip, 10, 0);
    let check = !fold(sum(ip, 0));
    put(ip, 10, check);
}

/// Where the IP header begins, behind any 802.1Q tags, and whether it is IPv6.
fn network_header(frame: &[u8]) -> Option<(usize, bool)> {
    let mut at = 12;
    loop {
        match frame.get(at..at + 2)? {
            [0x81, 0x00] | [0x88, 0xa8] => at += 4,
            [0x08, 0x00] => return Some((at + 2, false)),
            [0x86, 0xdd] => return Some((at + 2, true)),
            _ => return None,
        }
    }
}

/// Writes a field, which must be there.
fn put(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// The sum of the 16-bit words, an odd last octet filled up with zero.
fn sum(bytes: &[u8], start: u64) -> u64 {
    let mut words = bytes.chunks_exact(2);
    let sum = words.by_ref().fold(start, |sum, word| sum + u64::from(u16::from_be_bytes([word[0], word[1]])));
    words.remainder().first().map_or(sum, |odd| sum + (u64::from(*odd) << 8))
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An Ethernet frame with tags, IP and TCP or UDP, as a host hands it to its interface: the checksum field
    /// holds the pseudo header's sum.
    fn super_frame(tags: usize, ipv6: bool, tcp: bool, flags: u8, payload: &[u8]) -> (Vec<u8>, u16) {
        let mut f = vec![0x52; 12];
        f.extend([0x81, 0x00, 0x00, 0x0a].repeat(tags));
        let protocol = if tcp { TCP } else { UDP };
        let l4_len = if tcp { 32 } else { 8 };
        let upper = l4_len + payload.len();
        if ipv6 {
            f.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            f.extend((upper as u16).to_be_bytes());
            f.extend([protocol, 64]);
            f.extend(0u8..32);
        } else {
            f.extend([0x08, 0x00, 0x45, 0]);
            f.extend((20 + upper as u16).to_be_bytes());
            f.extend([0x12, 0xff, 0x40, 0, 64, protocol, 0xde, 0xad, 10, 0, 0, 1, 10, 0, 0, 2]);
        }
        let l4 = f.len();
        if tcp {
            f.extend([
                0x30, 0x39, 0x14, 0x51, 0xff, 0xff, 0xff, 0x00, 0, 0, 0, 1, 0x80, flags, 0, 99, 0, 0, 0, 0,
            ]);
            f.extend([1u8; 12]);
        } else {
            f.extend([0x30, 0x39, 0x14, 0x51]);
            f.extend((upper as u16).to_be_bytes());
            f.extend([0, 0]);
        }
        f.extend(payload);
        (f, l4 as u16)
    }

    /// Every checksum of a finished frame, summed by a second reading of the RFCs: zero where it is right.
    fn wrong_sums(frame: &[u8], l4: usize, ipv6: bool) -> (u16, u16) {
        let upper = &frame[l4..];
        let (l3, protocol, addresses) = if ipv6 {
            (l4 - 40, frame[l4 - 40 + 6], &frame[l4 - 32..l4])
        } else {
            (l4 - 20, frame[l4 - 20 + 9], &frame[l4 - 8..l4])
        };
        let mut pseudo = addresses.to_vec();
        pseudo.extend((upper.len() as u32).to_be_bytes());
        pseudo.extend([0, 0, 0, protocol]);
        pseudo.extend(upper);
        if pseudo.len() % 2 == 1 {
            pseudo.push(0);
        }
        let ones = |bytes: &[u8]| {
            bytes.chunks(2).fold(0u16, |sum, w| {
                let (sum, carry) = sum.overflowing_add(u16::from_be_bytes([w[0], w[1]]));
                sum + u16::from(carry)
            })
        };
        (if ipv6 { 0 } else { !ones(&frame[l3..l4]) }, !ones(&pseudo))
    }

    proptest! {
        #[test]
        fn segments_are_what_a_host_without_offload_would_send(
            tags in 0usize..3, ipv6: bool, tcp: bool, flags: u8, size in 1u16..1500,
            payload in prop::collection::vec(any::<u8>(), 1..5000),
        ) {
            let (frame, l4) = super_frame(tags, ipv6, tcp, flags, &payload);
            let gso_type = match (tcp, ipv6) { (true, false) => GSO_TCPV4, (true, true) => GSO_TCPV6, _ => GSO_UDP_L4 };
            let hdr = VnetHdr { flags: NEEDS_CSUM, gso_type, gso_size: size, csum_start: l4, csum_offset: 16 };
            let (mut out, mut lens) = (Vec::new(), Vec::new());
            segment(&hdr, &frame, &mut out, |len| lens.push(len)).unwrap();
            let l4 = usize::from(l4);
            let head = l4 + if tcp { 32 } else { 8 };
            let (mut rest, mut joined) = (out.as_slice(), Vec::<u8>::new());
            for (index, len) in lens.iter().enumerate() {
                let (one, behind) = rest.split_at(*len);
                rest = behind;
                prop_assert_eq!(wrong_sums(one, l4, ipv6), (0, 0));
                let word = |at: usize| usize::from(u16::from_be_bytes([one[at], one[at + 1]]));
                if ipv6 {
                    prop_assert_eq!(word(l4 - 36), one.len() - l4);
                } else {
                    prop_assert_eq!(word(l4 - 18), one.len() - l4 + 20);
                    prop_assert_eq!(word(l4 - 16), 0x12ff + index);
                }
                if tcp {
                    let sequence = u32::from_be_bytes(one[l4 + 4..l4 + 8].try_into().unwrap());
                    prop_assert_eq!(sequence.wrapping_sub(0xffff_ff00) as usize, joined.len());
                    let kept = flags & !(if index + 1 == lens.len() { 0 } else { FIN_PSH } | if index == 0 { 0 } else { CWR });
                    prop_assert_eq!(one[l4 + 13], kept);
                } else {
                    prop_assert_eq!(word(l4 + 4), one.len() - l4);
                }
                let l3 = 14 + 4 * tags;
                prop_assert_eq!(&one[..l3], &frame[..l3]);
                prop_assert!(one.len() - head == usize::from(size) || index + 1 == lens.len());
                joined.extend(&one[head..]);
            }
            prop_assert!(rest.is_empty());
            prop_assert_eq!(joined, payload);
        }

        #[test]
        fn an_unfinished_checksum_is_finished(ipv6: bool, tcp: bool, payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let (mut frame, l4) = super_frame(1, ipv6, tcp, 0, &payload);
            let at = usize::from(l4);
            let check = if tcp { 16 } else { 6 };
            let addresses = if ipv6 { at - 32..at } else { at - 8..at };
            let protocol = if tcp { TCP } else { UDP };
            let pseudo = fold(sum(&frame[addresses], u64::from(protocol) + (frame.len() - at) as u64));
            put(&mut frame, at + check, pseudo);
            let hdr = VnetHdr { flags: NEEDS_CSUM, csum_start: l4, csum_offset: check as u16, ..VnetHdr::default() };
            finish_checksum(&hdr, &mut frame).unwrap();
            prop_assert_eq!(wrong_sums(&frame, at, ipv6).1, 0);
        }

        /// The description comes from the kernel, but a guest may have had its hand in it.
        #[test]
        fn nothing_makes_it_panic(bytes: [u8; 10], mut frame in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..6, ip: bool) {
            let mut hdr = VnetHdr::parse(&bytes);
            if ip && frame.len() > 14 {
                frame[12..14].copy_from_slice(if kind == 4 { &[0x86, 0xdd] } else { &[0x08, 0x00] });
                hdr = VnetHdr { flags: NEEDS_CSUM, gso_type: kind, csum_start: hdr.csum_start % 80, ..hdr };
            }
            let mut out = Vec::new();
            let _ = segment(&hdr, &frame, &mut out, |_| ());
            let _ = finish_checksum(&hdr, &mut frame);
        }
    }
}
