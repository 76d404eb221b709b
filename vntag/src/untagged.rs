//! Frames without a tag on an NIV link: which belong to the link itself, which are a neighbour's own protocols,
//! and which are simply wrong.

use crate::ethernet::{Mac, TYPE_LLDP, TYPE_MAC_CONTROL, TYPE_SLOW, TYPE_VIF_CONTROL, be16, mac_at};

/// What an untagged frame on an NIV link is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Untagged {
    /// Link-local control for the end itself: LLDP, MAC control, slow protocols, VIF control.
    Control,
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

impl Untagged {
    /// Judges a frame by its first 14 octets; it is known to carry no tag of ours after its addresses.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let (Some(destination), Some(ethertype)) = (mac_at(bytes, 0), be16(bytes, 12)) else {
            return Self::Other;
        };
        let control = [TYPE_LLDP, TYPE_MAC_CONTROL, TYPE_SLOW, TYPE_VIF_CONTROL];
        if CISCO.contains(&destination) || destination == BRIDGES && ethertype <= MAX_LENGTH {
            Self::PeerProtocol
        } else if destination.is_link_local() && control.contains(&ethertype) {
            Self::Control
        } else {
            Self::Other
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
        for ethertype in [0x88cc, 0x8808, 0x8809, 0x88b5] {
            assert_eq!(Untagged::of(&frame(local(0x0e), ethertype)), Untagged::Control);
            assert_eq!(Untagged::of(&frame(local(0x10), ethertype)), Untagged::Other);
        }
        assert_eq!(Untagged::of(&frame(local(0x0e), 0x0800)), Untagged::Other);
        assert_eq!(Untagged::of(&frame(local(0), 38)), Untagged::PeerProtocol);
        assert_eq!(Untagged::of(&frame(local(0), 0x0800)), Untagged::Other);
        assert_eq!(Untagged::of(&frame([1, 0, 0x0c, 0xcc, 0xcc, 0xcd], 50)), Untagged::PeerProtocol);
        assert_eq!(Untagged::of(&[1, 0x80, 0xc2, 0, 0, 0]), Untagged::Other);
    }
}
