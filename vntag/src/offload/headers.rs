//! Where the headers of a TCP super-frame are.

use super::BadOffload;
use super::net_header::Kind;
use crate::ethernet::{ADDRESSES, TYPE_QINQ, TYPE_SVLAN, TYPE_VLAN, TYPE_VNTAG, be16};
use crate::{VlanTag, Vntag};

/// Octets of all headers of a super-frame at the most, from the Ethernet addresses to the last TCP option: two VLAN tags,
/// IPv6 with 134 octets of extension headers, TCP with all options.
pub const HEADERS_MAX: usize = 256;

const TYPE_IPV4: u16 = 0x0800;
const TYPE_IPV6: u16 = 0x86dd;
const TCP: u8 = 6;
const MIN_IPV4: usize = 20;
pub(super) const IPV6: usize = 40;
const MIN_TCP: usize = 20;
/// More fragments, and the fragment offset.
const FRAGMENT: u16 = 0x3fff;
/// More VLAN tags than this nobody inserts.
const MAX_VLANS: usize = 2;

/// Where they begin and end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Headers {
    pub(super) ip: usize,
    pub(super) v6: bool,
    pub(super) tcp: usize,
    pub(super) end: usize,
}

impl Headers {
    /// Finds them in the first octets of a frame that is said to be of this kind.
    pub(super) fn find(kind: Kind, front: &[u8]) -> Result<Self, BadOffload> {
        let (ip, ethertype) = network(front).ok_or(BadOffload::Headers)?;
        let (v6, tcp) = match (kind, ethertype) {
            (Kind::V4, TYPE_IPV4) => (false, behind_ipv4(front, ip)?),
            (Kind::V6, TYPE_IPV6) => (true, behind_ipv6(front, ip)?),
            _ => return Err(BadOffload::NotTcp),
        };
        let len = usize::from(front.get(tcp + 12).ok_or(BadOffload::Headers)? >> 4) * 4;
        let end = tcp + len;
        if len < MIN_TCP || end > front.len() || end > HEADERS_MAX {
            return Err(BadOffload::Headers);
        }
        Ok(Self { ip, v6, tcp, end })
    }
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

fn behind_ipv4(front: &[u8], ip: usize) -> Result<usize, BadOffload> {
    let header = front.get(ip..).and_then(<[u8]>::first_chunk::<MIN_IPV4>).ok_or(BadOffload::Headers)?;
    let len = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || len < MIN_IPV4 {
        return Err(BadOffload::Headers);
    }
    if u16::from_be_bytes([header[6], header[7]]) & FRAGMENT != 0 {
        return Err(BadOffload::Uncuttable);
    }
    if header[9] != TCP {
        return Err(BadOffload::NotTcp);
    }
    Ok(ip + len)
}

/// Walks the extension headers; each takes eight octets at least, so [`HEADERS_MAX`] ends the walk.
fn behind_ipv6(front: &[u8], ip: usize) -> Result<usize, BadOffload> {
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
            TCP => return Ok(at),
            HOP_BY_HOP | ROUTING | DESTINATION => {}
            FRAGMENT | AUTHENTICATION => return Err(BadOffload::Uncuttable),
            _ => return Err(BadOffload::NotTcp),
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
