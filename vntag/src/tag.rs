//! The VNTag word, without judgement.
//!
//! ```text
//!  31 30 29                     16 15 14 13 12 11                    0
//! +--+--+------------------------+--+--+-----+-----------------------+
//! |d |p |       dst_vif (14)     |l |r | ver |      src_vif (12)     |
//! +--+--+------------------------+--+--+-----+-----------------------+
//! ```
//!
//! On the wire: `89 26`, then this word, big-endian, directly after the source address; the EtherType of the
//! inner frame follows (normally `81 00`).
//!
//! | case | on the wire after the source address |
//! |---|---|
//! | up, from VIF 20 | `8926 0000 0014 8100` |
//! | down to VIF 20 | `8926 8014 0000 8100` |
//! | down to list 0x3FFF, looped, from VIF 5 | `8926 ffff 8005 8100` |
//! | down to VIF 6, back to the link that VIF 5 sent it on | `8926 8006 8005 8100` |
//!
//! Sources: Wireshark `packet-vntag.c` (with the 14-bit destination; versions up to 2.0 read 12 bits), Suricata
//! `decode-vntag.h`, and a capture from a real switch in Security Onion issue 1068.

use core::fmt;

/// A VNTag word with every bit as it was on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Vntag(u32);

impl Vntag {
    /// Octets on the wire: EtherType and word.
    pub const LEN: usize = 6;

    const D: u32 = 0x8000_0000;
    const P: u32 = 0x4000_0000;
    const DST: u32 = 0x3fff_0000;
    const L: u32 = 0x0000_8000;
    const R: u32 = 0x0000_4000;
    const VER: u32 = 0x0000_3000;
    const SRC: u32 = 0x0000_0fff;

    /// From the 32-bit word in host order.
    #[must_use]
    pub const fn from_word(word: u32) -> Self {
        Self(word)
    }

    /// The 32-bit word in host order.
    #[must_use]
    pub const fn word(self) -> u32 {
        self.0
    }

    /// Direction: `false` toward the bridge, `true` from the bridge.
    #[must_use]
    pub const fn d(self) -> bool {
        self.0 & Self::D != 0
    }

    /// Pointer: `dst_vif` is the id of a VIF list.
    #[must_use]
    pub const fn p(self) -> bool {
        self.0 & Self::P != 0
    }

    /// Destination VIF, or list id where `p`; 14 bits.
    #[must_use]
    pub const fn dst_vif(self) -> u16 {
        ((self.0 & Self::DST) >> 16) as u16
    }

    /// Looped: on the way back down the link it came up on; `src_vif` must not get it.
    #[must_use]
    pub const fn l(self) -> bool {
        self.0 & Self::L != 0
    }

    /// The reserved bit.
    #[must_use]
    pub const fn r(self) -> bool {
        self.0 & Self::R != 0
    }

    /// Version, 2 bits; 0 in every capture known.
    #[must_use]
    pub const fn ver(self) -> u8 {
        ((self.0 & Self::VER) >> 12) as u8
    }

    /// Source VIF; 12 bits.
    #[must_use]
    pub const fn src_vif(self) -> u16 {
        (self.0 & Self::SRC) as u16
    }

    const fn set(self, mask: u32, value: u32) -> Self {
        Self(self.0 & !mask | value & mask)
    }

    /// With this direction.
    #[must_use]
    pub const fn with_d(self, d: bool) -> Self {
        self.set(Self::D, if d { Self::D } else { 0 })
    }

    /// With this pointer bit.
    #[must_use]
    pub const fn with_p(self, p: bool) -> Self {
        self.set(Self::P, if p { Self::P } else { 0 })
    }

    /// With this destination; only the low 14 bits are taken.
    #[must_use]
    pub const fn with_dst_vif(self, dst: u16) -> Self {
        self.set(Self::DST, (dst as u32) << 16)
    }

    /// With this looped bit.
    #[must_use]
    pub const fn with_l(self, l: bool) -> Self {
        self.set(Self::L, if l { Self::L } else { 0 })
    }

    /// With this reserved bit.
    #[must_use]
    pub const fn with_r(self, r: bool) -> Self {
        self.set(Self::R, if r { Self::R } else { 0 })
    }

    /// With this version; only the low 2 bits are taken.
    #[must_use]
    pub const fn with_ver(self, ver: u8) -> Self {
        self.set(Self::VER, (ver as u32) << 12)
    }

    /// With this source; only the low 12 bits are taken.
    #[must_use]
    pub const fn with_src_vif(self, src: u16) -> Self {
        self.set(Self::SRC, src as u32)
    }
}

impl fmt::Debug for Vntag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Vntag({:08x} d={} p={} dst_vif={} l={} r={} ver={} src_vif={})",
            self.0,
            u8::from(self.d()),
            u8::from(self.p()),
            self.dst_vif(),
            u8::from(self.l()),
            u8::from(self.r()),
            self.ver(),
            self.src_vif()
        )
    }
}
