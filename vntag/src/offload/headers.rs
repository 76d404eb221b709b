//! Where the headers of a packet are.

use super::BadOffload;
use super::net_header::Kind;
use crate::ethernet::{ADDRESSES, TYPE_ETAG, TYPE_QINQ, TYPE_SVLAN, TYPE_VLAN, TYPE_VNTAG, be16};
use crate::{VlanTag, Vntag};

/// Octets of all headers of a super-frame at the most, from the Ethernet addresses to the last TCP option: two VLAN tags,
/// IPv6 with 134 octets of extension headers, TCP with all options.
pub const HEADERS_MAX: usize = 256;

const TYPE_IPV4: u16 = 0x0800;
const TYPE_IPV6: u16 = 0x86dd;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
const MIN_IPV4: usize = 20;
pub(super) const IPV6: usize = 40;
const MIN_TCP: usize = 20;
const UDP_HEADER: usize = 8;
/// More fragments, and the fragment offset.
const FRAGMENT: u16 = 0x3fff;
/// More VLAN tags than this nobody inserts.
const MAX_VLANS: usize = 2;

/// Where the headers of a super-frame begin and end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Headers {
    pub(super) ip: usize,
    pub(super) v6: bool,
    /// Of TCP or UDP.
    pub(super) transport: usize,
    pub(super) udp: bool,
    pub(super) end: usize,
}

impl Headers {
    /// Finds them in the first octets of a frame that is said to be of this kind.
    pub(super) fn find(kind: Kind, front: &[u8]) -> Result<Self, BadOffload> {
        let Transport { ip, v6, at: transport, protocol } = Transport::find(front)?;
        let udp = match (kind, v6, protocol) {
            (Kind::Tcp4, false, TCP) | (Kind::Tcp6, true, TCP) => false,
            (Kind::Udp, _, UDP) => true,
            _ => return Err(BadOffload::OtherProtocol),
        };
        let len = if udp {
            UDP_HEADER
        } else {
            usize::from(front.get(transport + 12).ok_or(BadOffload::Headers)? >> 4) * 4
        };
        let end = transport + len;
        if len < if udp { UDP_HEADER } else { MIN_TCP } || end > front.len() || end > HEADERS_MAX {
            return Err(BadOffload::Headers);
        }
        Ok(Self { ip, v6, transport, udp, end })
    }
}

/// Where the header behind the IP headers begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Transport {
    pub(super) ip: usize,
    pub(super) v6: bool,
    pub(super) at: usize,
    pub(super) protocol: u8,
}

impl Transport {
    /// Finds it in the first octets of a frame.
    pub(super) fn find(front: &[u8]) -> Result<Self, BadOffload> {
        let (ip, ethertype) = network(front).ok_or(BadOffload::Headers)?;
        let (v6, (at, protocol)) = match ethertype {
            TYPE_IPV4 => (false, behind_ipv4(front, ip)?),
            TYPE_IPV6 => (true, behind_ipv6(front, ip)?),
            _ => return Err(BadOffload::OtherProtocol),
        };
        Ok(Self { ip, v6, at, protocol })
    }
}

/// Where the payload behind all tags begins; `None` where tags follow in an order, or number, that nobody makes.
pub(super) fn behind_tags(front: &[u8]) -> Option<usize> {
    let (at, ethertype) = network(front)?;
    let tag = matches!(ethertype, TYPE_VLAN | TYPE_SVLAN | TYPE_QINQ | TYPE_VNTAG | TYPE_ETAG);
    (!tag).then_some(at)
}

/// Where the network header begins and of which type it is, behind a VNTag and VLAN tags.
fn network(front: &[u8]) -> Option<(usize, u16)> {
    let mut at = ADDRESSES;
    if be16(front, at)? == TYPE_VNTAG {
        at += Vntag::LEN;
    }
    for _ in 0..MAX_VLANS {
        if !matches!(be16(front, at)?, TYPE_VLAN | TYPE_SVLAN | TYPE_QINQ) {
            break;
        }
        at += VlanTag::LEN;
    }
    Some((at + 2, be16(front, at)?))
}

fn behind_ipv4(front: &[u8], ip: usize) -> Result<(usize, u8), BadOffload> {
    let header = front.get(ip..).and_then(<[u8]>::first_chunk::<MIN_IPV4>).ok_or(BadOffload::Headers)?;
    let len = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || len < MIN_IPV4 {
        return Err(BadOffload::Headers);
    }
    if u16::from_be_bytes([header[6], header[7]]) & FRAGMENT != 0 {
        return Err(BadOffload::Uncuttable);
    }
    Ok((ip + len, header[9]))
}

/// Walks the extension headers; each takes eight octets at least, so [`HEADERS_MAX`] ends the walk.
fn behind_ipv6(front: &[u8], ip: usize) -> Result<(usize, u8), BadOffload> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const DESTINATION: u8 = 60;
    let header = front.get(ip..).and_then(<[u8]>::first_chunk::<IPV6>).ok_or(BadOffload::Headers)?;
    if header[0] >> 4 != 6 {
        return Err(BadOffload::Headers);
    }
    let (mut next, mut at) = (header[6], ip + IPV6);
    loop {
        match next {
            HOP_BY_HOP | ROUTING | DESTINATION => {}
            FRAGMENT | AUTHENTICATION => return Err(BadOffload::Uncuttable),
            protocol => return Ok((at, protocol)),
        }
        let extension = front.get(at..).and_then(<[u8]>::first_chunk::<8>).ok_or(BadOffload::Headers)?;
        // With segments left the checksum covers another destination than the IPv6 header's (RFC 8200, 8.1).
        if next == ROUTING && extension[3] != 0 {
            return Err(BadOffload::Uncuttable);
        }
        next = extension[0];
        at += (usize::from(extension[1]) + 1) * 8;
    }
}
