//! The 802.1Q tag inside.

use crate::ethernet::{TYPE_VLAN, be16};

/// Tag control information of an 802.1Q tag.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct VlanTag(pub u16);

impl VlanTag {
    /// Octets on the wire: EtherType and tag control information.
    pub const LEN: usize = 4;

    /// From its fields; only the low 12 bits of `vid` and the low 3 of `pcp` are taken.
    #[must_use]
    pub const fn new(vid: u16, pcp: u8, dei: bool) -> Self {
        Self(((pcp as u16 & 7) << 13) | ((dei as u16) << 12) | (vid & 0xfff))
    }

    /// VLAN id; 0 is a priority tag, 0xFFF is reserved.
    #[must_use]
    pub const fn vid(self) -> u16 {
        self.0 & 0xfff
    }

    /// Priority code point.
    #[must_use]
    pub const fn pcp(self) -> u8 {
        (self.0 >> 13) as u8
    }

    /// Drop eligible.
    #[must_use]
    pub const fn dei(self) -> bool {
        self.0 & 0x1000 != 0
    }

    /// The same priority with another VLAN id.
    #[must_use]
    pub const fn with_vid(self, vid: u16) -> Self {
        Self(self.0 & 0xf000 | vid & 0xfff)
    }

    /// The 802.1Q tag (EtherType 0x8100) that begins at `at`, if one is there with all its octets.
    #[must_use]
    #[inline]
    pub fn parse(bytes: &[u8], at: usize) -> Option<Self> {
        (be16(bytes, at)? == TYPE_VLAN).then_some(())?;
        be16(bytes, at + 2).map(Self)
    }

    /// EtherType and tag control information.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        let [t0, t1] = TYPE_VLAN.to_be_bytes();
        let [v0, v1] = self.0.to_be_bytes();
        [t0, t1, v0, v1]
    }
}
