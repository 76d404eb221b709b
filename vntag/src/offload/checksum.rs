//! Internet checksums (RFC 1071).

use super::headers::{TCP, Transport, UDP, behind_tags};
use super::{BadOffload, NetHeader};

/// The sum of some octets as big-endian 16-bit words in ones' complement. Pieces may have any length: an odd one is
/// carried on by the next.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sum {
    /// In the machine's own order: the sum of swapped words is the swapped sum (RFC 1071, 2 B).
    words: u64,
    odd: bool,
}

impl Sum {
    /// Adds the octets that follow.
    #[inline]
    pub fn add(&mut self, bytes: &[u8]) {
        let sum = u64::from(fold(native(bytes)));
        // At an odd place every octet is the other half of its word.
        self.words += if self.odd { u64::from((sum as u16).swap_bytes()) } else { sum };
        self.odd ^= bytes.len() % 2 == 1;
    }

    /// Adds one word, as if its two octets stood at an even place.
    #[inline]
    pub fn add_word(&mut self, word: u16) {
        self.words += u64::from(word.to_be());
    }

    /// The sum.
    #[must_use]
    #[inline]
    pub fn get(self) -> u16 {
        u16::from_be(fold(self.words))
    }

    /// What goes into the header: the complement.
    #[must_use]
    #[inline]
    pub fn checksum(self) -> u16 {
        !self.get()
    }

    /// The same for UDP, where zero would say that there is no checksum; the other zero is the same number (RFC 768).
    #[must_use]
    #[inline]
    pub fn udp_checksum(self) -> u16 {
        match self.checksum() {
            0 => 0xffff,
            checksum => checksum,
        }
    }
}

/// The sum of 32-bit words, each of which is two 16-bit words; no frame is so long that it overflows.
#[inline]
fn native(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    if let Some(last) = last.get_mut(..rest.len()) {
        last.copy_from_slice(rest);
    }
    let sum: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    sum + u64::from(u32::from_ne_bytes(last))
}

#[inline]
const fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

/// Where TCP and UDP keep their checksums, in octets from their headers.
pub(super) const TCP_CHECKSUM: usize = 16;
pub(super) const UDP_CHECKSUM: usize = 6;

/// A checksum that covers the rest of a frame, and whose field holds the sum of what is not in the frame (the pseudo
/// header).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checksum {
    pub(super) start: usize,
    pub(super) field: usize,
}

impl Checksum {
    pub(super) fn new(header: &NetHeader, front: &[u8], len: usize) -> Result<Self, BadOffload> {
        let start = usize::from(header.csum_start);
        let field = start + usize::from(header.csum_offset);
        // Not in the Ethernet header and not in a tag: no checksum is there, and nobody shall write a VLAN this way.
        match behind_tags(front) {
            Some(payload) if start >= payload && field + 2 <= len => Ok(Self { start, field }),
            _ => Err(BadOffload::ChecksumOutside),
        }
    }

    /// It is that of the TCP or UDP header behind the IP header of a packet that is no fragment, and its field is in
    /// `front`: completing it changes nothing by which anybody decides about the frame.
    #[must_use]
    pub fn is_transport(&self, front: &[u8]) -> bool {
        let Ok(transport) = Transport::find(front) else { return false };
        let field = match transport.protocol {
            TCP => TCP_CHECKSUM,
            UDP => UDP_CHECKSUM,
            _ => return false,
        };
        self.start == transport.at && self.field == self.start + field && self.field + 2 <= front.len()
    }

    /// Completes it in `frame`, which is the whole frame. Nothing happens to a frame that is shorter than the one that
    /// was judged.
    ///
    /// Octets anywhere behind the tags may have another value afterwards: whoever decides by them looks at them then, or
    /// asks [`is_transport`](Self::is_transport) first.
    pub fn complete(&self, frame: &mut [u8]) {
        let mut sum = Sum::default();
        sum.add(frame.get(self.start..).unwrap_or_default());
        let udp = self.field - self.start == UDP_CHECKSUM;
        let checksum = if udp { sum.udp_checksum() } else { sum.checksum() };
        put16(frame, self.field, checksum);
    }
}

/// Writes a big-endian word, if its place is there.
#[inline]
pub(super) fn put16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<2>) {
        *place = value.to_be_bytes();
    }
}
