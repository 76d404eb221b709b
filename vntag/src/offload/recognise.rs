//! Unfinished frames that nobody says anything about.

use super::NetHeader;
use super::checksum::{Sum, TCP_CHECKSUM, UDP_CHECKSUM};
use super::headers::{IPV6, TCP, Transport, UDP};
use crate::ethernet::be16;

/// What is left undone in a frame that came without a word about it, by its look: its TCP or UDP checksum, if the field
/// holds the sum of the pseudo header and nothing else, as a sender leaves it who lets others finish it.
///
/// One finished frame in 65,536 looks so by chance. Its checksum comes out the same when it is done again, unless it was
/// wrong. Frames with octets behind the IP packet and packets in tunnels are not recognised.
#[must_use]
pub fn recognise(frame: &[u8]) -> Option<NetHeader> {
    let Transport { ip, v6, at, protocol } = Transport::find(frame).ok()?;
    let csum_offset = match protocol {
        TCP => TCP_CHECKSUM,
        UDP => UDP_CHECKSUM,
        _ => return None,
    };
    let field = be16(frame, at + csum_offset)?;
    // The header, and what the IP header says behind it.
    let (addresses, end) = if v6 {
        (frame.get(ip + 8..ip + IPV6)?, ip + IPV6 + usize::from(be16(frame, ip + 4)?))
    } else {
        (frame.get(ip + 12..ip + 20)?, ip + usize::from(be16(frame, ip + 2)?))
    };
    if end != frame.len() {
        return None;
    }
    let mut sum = Sum::default();
    sum.add(addresses);
    sum.add_word(u16::from(protocol));
    sum.add_word(u16::try_from(end - at).ok()?);
    (sum.get() == field).then(|| NetHeader {
        flags: NetHeader::NEEDS_CSUM,
        csum_start: at as u16,
        csum_offset: csum_offset as u16,
        ..NetHeader::default()
    })
}
