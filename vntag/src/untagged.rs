//! Frames without a tag on an NIV link: which belong to the link itself, which are a neighbour's own protocols,
//! and which are simply wrong.

use crate::ethernet::{Mac, TYPE_LLDP, TYPE_MAC_CONTROL, TYPE_SLOW, TYPE_VIF_CONTROL, be16, mac_at};

/// What an untagged frame on an NIV link is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Untagged {
    /// Control for the end itself, as an NIV end: LLDP, VIF control.
    Control,
    /// Control of the link below that: MAC control (pause), slow protocols (LACP).
    LinkControl,
    /// A real switch's own protocols: CDP, UDLD, SSTP, spanning tree (V29).
    PeerProtocol,
    /// Anything else: the missing tag is the fault (V1, I7).
    Other,
}

/// Cisco's multicast addresses for CDP/VTP/DTP/UDLD and for shared spanning tree.
const CISCO: [Mac; 2] =
    [Mac([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc]), Mac([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd])];
/// The bridge group address.
const BRIDGES: Mac = Mac([0x01, 0x80, 0xc2, 0x00, 0x00, 0x00]);
/// Values of the type field up to this one are 802.3 lengths.
const MAX_LENGTH: u16 = 1500;

/// No control frame of an NIV link is longer, in octets: a PDU has at most [`MAX_PDU`](crate::ctl::MAX_PDU), LLDP
/// at most an Ethernet payload.
pub const MAX_CONTROL: usize = 2048;

impl Untagged {
    /// Judges a frame by its first 14 octets; it is known to carry no tag of ours after its addresses.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let (Some(destination), Some(ethertype)) = (mac_at(bytes, 0), be16(bytes, 12)) else {
            return Self::Other;
        };
        if CISCO.contains(&destination) || destination == BRIDGES && ethertype <= MAX_LENGTH {
            Self::PeerProtocol
        } else if !destination.is_link_local() {
            Self::Other
        } else {
            match ethertype {
                TYPE_LLDP | TYPE_VIF_CONTROL => Self::Control,
                TYPE_MAC_CONTROL | TYPE_SLOW => Self::LinkControl,
                _ => Self::Other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(destination: [u8; 6], ethertype: u16) -> Vec<u8> {
        [&destination[..], &[2, 0, 0, 0, 0, 1], &ethertype.to_be_bytes()].concat()
    }

    #[test]
    fn only_link_local_control_is_exempt() {
        let local = |last| [0x01, 0x80, 0xc2, 0, 0, last];
        let (own, below) = (Untagged::Control, Untagged::LinkControl);
        for (ethertype, is) in [(0x88cc, own), (0x88b5, own), (0x8808, below), (0x8809, below)] {
            assert_eq!(Untagged::of(&frame(local(0x0e), ethertype)), is);
            assert_eq!(Untagged::of(&frame(local(0x10), ethertype)), Untagged::Other);
        }
        assert_eq!(Untagged::of(&frame(local(0x0e), 0x0800)), Untagged::Other);
        assert_eq!(Untagged::of(&frame(local(0), 38)), Untagged::PeerProtocol);
        assert_eq!(Untagged::of(&frame(local(0), 0x0800)), Untagged::Other);
        assert_eq!(Untagged::of(&frame([1, 0, 0x0c, 0xcc, 0xcc, 0xcd], 50)), Untagged::PeerProtocol);
        assert_eq!(Untagged::of(&[1, 0x80, 0xc2, 0, 0, 0]), Untagged::Other);
    }
}
