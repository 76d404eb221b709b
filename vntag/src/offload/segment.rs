//! Cutting a super-frame.

use super::checksum::{Checksum, Sum, TCP_CHECKSUM, UDP_CHECKSUM, put16};
use super::headers::{Headers, IPV6, TCP, UDP};
use super::net_header::Kind;
use super::{BadOffload, NetHeader};
use core::ops::Range;

/// Where TCP keeps its flags and UDP its length, in octets from their headers.
const UDP_LENGTH: usize = 4;
const TCP_FLAGS: usize = 13;
/// FIN and PSH are the last segment's only.
const FIN_PSH: u8 = 0x09;
/// CWR is the first segment's only.
const CWR: u8 = 0x80;
const IPV4_ID: usize = 4;
const IPV4_CHECKSUM: usize = 10;
const MAX_PACKET: usize = 0xffff;

/// A super-frame and how it is cut: where its headers are, and how much payload each segment takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segmentation {
    headers: Headers,
    size: usize,
    payload: usize,
}

impl Segmentation {
    pub(super) fn new(
        kind: Kind,
        header: &NetHeader,
        checksum: Checksum,
        front: &[u8],
        len: usize,
    ) -> Result<Self, BadOffload> {
        let front = front.get(..front.len().min(len)).unwrap_or_default();
        let headers = Headers::find(kind, front)?;
        let field = if headers.udp { UDP_CHECKSUM } else { TCP_CHECKSUM };
        if (checksum.start, checksum.field) != (headers.transport, headers.transport + field) {
            return Err(BadOffload::OtherChecksum);
        }
        let size = usize::from(header.gso_size);
        if size == 0 {
            return Err(BadOffload::NoSize);
        }
        let payload = len - headers.end;
        // IPv4 counts its own header, IPv6 only what is behind it.
        let counted = headers.ip + if headers.v6 { IPV6 } else { 0 };
        if headers.end - counted + size.min(payload) > MAX_PACKET {
            return Err(BadOffload::TooLong);
        }
        Ok(Self { headers, size, payload })
    }

    /// How many segments it makes: one at least.
    #[must_use]
    pub fn count(&self) -> usize {
        self.payload.div_ceil(self.size).max(1)
    }

    /// Octets of all headers in front of the payload.
    #[must_use]
    pub fn headers(&self) -> usize {
        self.headers.end
    }

    /// Octets of the longest segment, headers included.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.headers.end + self.size.min(self.payload)
    }

    /// Where the payload of these segments is in the super-frame, as far as there are so many.
    #[must_use]
    pub fn payload_of(&self, segments: Range<usize>) -> Range<usize> {
        let at = |segment: usize| self.headers.end + segment.saturating_mul(self.size).min(self.payload);
        at(segments.start)..at(segments.end)
    }

    /// The same super-frame with `octets` more of tags behind its addresses.
    #[must_use]
    pub fn behind_tags(mut self, octets: usize) -> Self {
        let Headers { ip, transport, end, .. } = &mut self.headers;
        [ip, transport, end].into_iter().for_each(|at| *at += octets);
        self
    }

    /// Its segments, from number `first` on. `headers` are the super-frame's headers, `payload` begins where
    /// that segment's does and is as long as it may be: segments that are not whole in it do not come.
    #[must_use]
    pub fn segments<'a>(&self, headers: &'a [u8], payload: &'a [u8], first: usize) -> Segments<'a> {
        Segments { plan: *self, headers, payload, next: first }
    }

    /// Octets of payload of a segment, if there is such a one.
    fn payload_len(&self, segment: usize) -> Option<usize> {
        let range = self.payload_of(segment..segment + 1);
        (segment < self.count()).then_some(range.len())
    }
}

/// A segment: how long its headers are, and what is behind them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    /// Octets of the headers.
    pub headers: usize,
    /// The payload.
    pub payload: &'a [u8],
}

/// The segments of a super-frame, one after the other. An iterator but for where the headers go.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    plan: Segmentation,
    headers: &'a [u8],
    payload: &'a [u8],
    next: usize,
}

impl<'a> Segments<'a> {
    /// Writes the headers of the next segment to the beginning of `to`. `None` behind the last one, and where `to` is too
    /// short for headers.
    #[inline]
    pub fn next_into(&mut self, to: &mut [u8]) -> Option<Segment<'a>> {
        let Self { plan, headers, payload, next } = self;
        let len = plan.payload_len(*next)?;
        let (body, rest) = payload.split_at_checked(len)?;
        let Headers { ip, v6, transport, udp, end } = plan.headers;
        let to = to.get_mut(..end)?;
        to.copy_from_slice(headers.get(..end)?);
        let (below, upper) = to.split_at_mut_checked(transport)?;
        let network = below.get_mut(ip..)?;
        let whole = upper.len() + body.len();

        let addresses = if v6 {
            // Extension headers count as payload.
            put16(network, 4, (network.len() - IPV6 + whole) as u16);
            network.get(8..IPV6)?
        } else {
            put16(network, 2, (network.len() + whole) as u16);
            let id = network.get(IPV4_ID..)?.first_chunk::<2>()?;
            let id = u16::from_be_bytes(*id).wrapping_add(*next as u16);
            put16(network, IPV4_ID, id);
            put16(network, IPV4_CHECKSUM, 0);
            let mut sum = Sum::default();
            sum.add(network);
            put16(network, IPV4_CHECKSUM, sum.checksum());
            network.get(12..20)?
        };

        let field = if udp {
            put16(upper, UDP_LENGTH, whole as u16);
            UDP_CHECKSUM
        } else {
            let sequence = upper.get_mut(4..)?.first_chunk_mut::<4>()?;
            let offset = (*next * plan.size) as u32;
            *sequence = u32::from_be_bytes(*sequence).wrapping_add(offset).to_be_bytes();
            let (first, last) = (*next == 0, *next + 1 == plan.count());
            *upper.get_mut(TCP_FLAGS)? &= !(if last { 0 } else { FIN_PSH } | if first { 0 } else { CWR });
            TCP_CHECKSUM
        };
        put16(upper, field, 0);
        // The pseudo header: addresses, protocol, length.
        let mut sum = Sum::default();
        sum.add(addresses);
        sum.add_word(u16::from(if udp { UDP } else { TCP }));
        sum.add_word(whole as u16);
        sum.add(upper);
        sum.add(body);
        put16(upper, field, if udp { sum.udp_checksum() } else { sum.checksum() });

        *payload = rest;
        *next += 1;
        Some(Segment { headers: end, payload: body })
    }
}
