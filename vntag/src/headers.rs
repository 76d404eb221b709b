//! What stands between the source address and the payload, as far as this product reads it.

use crate::ethernet::{ADDRESSES, TYPE_ETAG, TYPE_VLAN, TYPE_VNTAG, be16};
use crate::{Etag, VlanTag, Vntag};

/// The tag of network interface virtualization directly after the source address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outer {
    /// A VNTag.
    Vntag(Vntag),
    /// An E-TAG.
    Etag(Etag),
}

impl Outer {
    /// Octets on the wire, EtherType included.
    #[must_use]
    pub const fn wire_len(self) -> usize {
        match self {
            Self::Vntag(_) => Vntag::LEN,
            Self::Etag(_) => Etag::LEN,
        }
    }
}

/// The tags of a frame and the type behind them.
///
/// ```text
/// | DA (6) | SA (6) | VNTag (6) or E-TAG (8), or nothing | 802.1Q (4), or nothing | type (2) | ...
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Headers {
    /// The tag directly after the source address, if all its octets are there. Nowhere else does a tag count.
    pub outer: Option<Outer>,
    /// The 802.1Q tag (EtherType 0x8100 only) that follows, if all its octets are there.
    pub vlan: Option<VlanTag>,
    /// The two octets behind the tags above, exactly as they stand: an EtherType; a length (IEEE 802.3) where
    /// they are 1,500 or less; the EtherType of a further tag, or of one that is not whole. `None` where the
    /// frame ends first.
    pub ethertype: Option<u16>,
    /// Where `ethertype` stands.
    pub at: usize,
}

impl Headers {
    /// Reads the front of a frame. Never fails: what is not there is `None`.
    #[must_use]
    pub fn parse(frame: &[u8]) -> Self {
        let outer = match be16(frame, ADDRESSES) {
            Some(TYPE_VNTAG) => vntag_at(frame, ADDRESSES).map(Outer::Vntag),
            Some(TYPE_ETAG) => etag_at(frame, ADDRESSES).map(Outer::Etag),
            _ => None,
        };
        let behind = ADDRESSES + outer.map_or(0, Outer::wire_len);
        let vlan = VlanTag::parse(frame, behind);
        let at = behind + if vlan.is_some() { VlanTag::LEN } else { 0 };
        Self { outer, vlan, ethertype: be16(frame, at), at }
    }
}

/// The VNTag whose EtherType stands at `at`, if all four octets of its word follow.
#[must_use]
#[inline]
pub fn vntag_at(frame: &[u8], at: usize) -> Option<Vntag> {
    (be16(frame, at)? == TYPE_VNTAG).then_some(())?;
    let word = frame.get(at + 2..)?.first_chunk::<4>()?;
    Some(Vntag::from_word(u32::from_be_bytes(*word)))
}

/// The E-TAG whose EtherType stands at `at`, if all six octets of its tag control information follow.
#[must_use]
#[inline]
pub fn etag_at(frame: &[u8], at: usize) -> Option<Etag> {
    (be16(frame, at)? == TYPE_ETAG).then_some(())?;
    frame.get(at + 2..)?.first_chunk::<6>().map(|tci| Etag::from_bytes(*tci))
}

/// Whether `ethertype` opens an 802.1Q or 802.1ad tag.
#[must_use]
pub const fn is_vlan_type(ethertype: u16) -> bool {
    matches!(ethertype, TYPE_VLAN | crate::ethernet::TYPE_SVLAN)
}
