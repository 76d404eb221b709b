//! The IEEE 802.1BR E-TAG, without judgement.
//!
//! ```text
//!  47   45 44 43                      32 31 30 29 28 27            16 15           8 7            0
//! +-------+--+--------------------------+-----+-----+----------------+--------------+--------------+
//! | E-PCP |DE| Ingress_E-CID_base (12)  | Rsv | GRP | E-CID_base (12)| Ingress_ext  |  E-CID_ext   |
//! +-------+--+--------------------------+-----+-----+----------------+--------------+--------------+
//! ```
//!
//! On the wire: `89 3f`, then these six octets, directly after the source address; the EtherType of the inner
//! frame follows. An E-CID has 20 bits, `ext << 12 | base`; GRP 0 is point to point, 1 to 3 are groups, whose
//! identity is GRP and E-CID together (22 bits).
//!
//! Sources: Wireshark `packet-etag.c`, DPDK `rte_flow_item_e_tag`.

use core::fmt;

/// The six octets of tag control information of an E-TAG, in the low 48 bits, each bit as it was on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Etag(u64);

impl Etag {
    /// Octets on the wire: EtherType and tag control information.
    pub const LEN: usize = 8;
    /// The greatest E-CID, base and extension together.
    pub const ECID_MAX: u32 = 0xf_ffff;

    const PCP: u64 = 0xe000_0000_0000;
    const DEI: u64 = 0x1000_0000_0000;
    const INGRESS_BASE: u64 = 0x0fff_0000_0000;
    const RESERVED: u64 = 0x0000_c000_0000;
    const GRP: u64 = 0x0000_3000_0000;
    const BASE: u64 = 0x0000_0fff_0000;
    const INGRESS_EXT: u64 = 0x0000_0000_ff00;
    const EXT: u64 = 0x0000_0000_00ff;

    /// From the six octets behind the EtherType.
    #[must_use]
    pub const fn from_bytes(b: [u8; 6]) -> Self {
        Self(u64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]]))
    }

    /// The six octets behind the EtherType.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 6] {
        let [_, _, a, b, c, d, e, f] = self.0.to_be_bytes();
        [a, b, c, d, e, f]
    }

    /// E-PCP: priority code point, 3 bits.
    #[must_use]
    pub const fn pcp(self) -> u8 {
        ((self.0 & Self::PCP) >> 45) as u8
    }

    /// E-DEI: drop eligible.
    #[must_use]
    pub const fn dei(self) -> bool {
        self.0 & Self::DEI != 0
    }

    /// Ingress E-CID, 20 bits: on the way down the channel that must not get the frame; 0 for none.
    #[must_use]
    pub const fn ingress_ecid(self) -> u32 {
        ((self.0 & Self::INGRESS_EXT) << 4 | (self.0 & Self::INGRESS_BASE) >> 32) as u32
    }

    /// The two reserved bits.
    #[must_use]
    pub const fn reserved(self) -> u8 {
        ((self.0 & Self::RESERVED) >> 30) as u8
    }

    /// GRP, 2 bits: 0 is one channel, anything else a group of channels.
    #[must_use]
    pub const fn grp(self) -> u8 {
        ((self.0 & Self::GRP) >> 28) as u8
    }

    /// E-CID, 20 bits: the channel the frame came by (upward) or goes to (downward).
    #[must_use]
    pub const fn ecid(self) -> u32 {
        ((self.0 & Self::EXT) << 12 | (self.0 & Self::BASE) >> 16) as u32
    }

    const fn set(self, mask: u64, value: u64) -> Self {
        Self(self.0 & !mask | value & mask)
    }

    /// With this priority; only the low 3 bits are taken.
    #[must_use]
    pub const fn with_pcp(self, pcp: u8) -> Self {
        self.set(Self::PCP, (pcp as u64) << 45)
    }

    /// With this drop eligibility.
    #[must_use]
    pub const fn with_dei(self, dei: bool) -> Self {
        self.set(Self::DEI, if dei { Self::DEI } else { 0 })
    }

    /// With this ingress E-CID; only the low 20 bits are taken.
    #[must_use]
    pub const fn with_ingress_ecid(self, ecid: u32) -> Self {
        let ecid = ecid as u64;
        self.set(Self::INGRESS_BASE, (ecid & 0xfff) << 32).set(Self::INGRESS_EXT, ecid >> 12 << 8)
    }

    /// With these reserved bits; only the low 2 bits are taken.
    #[must_use]
    pub const fn with_reserved(self, reserved: u8) -> Self {
        self.set(Self::RESERVED, (reserved as u64) << 30)
    }

    /// With this group; only the low 2 bits are taken.
    #[must_use]
    pub const fn with_grp(self, grp: u8) -> Self {
        self.set(Self::GRP, (grp as u64) << 28)
    }

    /// With this E-CID; only the low 20 bits are taken.
    #[must_use]
    pub const fn with_ecid(self, ecid: u32) -> Self {
        let ecid = ecid as u64;
        self.set(Self::BASE, (ecid & 0xfff) << 16).set(Self::EXT, ecid >> 12)
    }
}

impl fmt::Debug for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Etag({:012x} pcp={} dei={} ingress_ecid={:#x} reserved={} grp={} ecid={:#x})",
            self.0,
            self.pcp(),
            u8::from(self.dei()),
            self.ingress_ecid(),
            self.reserved(),
            self.grp(),
            self.ecid()
        )
    }
}
