//! VNTag to E-TAG and back, and what stands in the way.
//!
//! | VNTag | E-TAG |
//! |---|---|
//! | `d` | nothing: the direction follows from the port |
//! | upward `src_vif` | E-CID, with Ingress_E-CID 0 |
//! | downward `dst_vif`, `p` = 0 | E-CID, GRP 0 |
//! | downward list id, `p` = 1 | GRP and E-CID base, 2 + 12 bits |
//! | downward `src_vif`, `l` = 1 | Ingress_E-CID |
//! | `l` = 0 | Ingress_E-CID 0 |
//! | nothing: the 802.1Q tag inside has a priority | E-PCP, E-DEI |
//!
//! That the E-CID, and not the Ingress_E-CID, holds the source on the way up is a choice: no public text settles
//! it, so verify it against the standard before interworking.
//!
//! A conversion loses nothing but the direction and the E-TAG's priority. Where it would lose more it is
//! [`Refused`] by name: going there and back gives the same tag. Legality is another question: a tag that must
//! not be sent, such as an upward one with source 0, can be converted.

use crate::{Etag, Vntag};

/// Which way a frame travels. An E-TAG does not say it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// From the adapter toward the bridge.
    Up,
    /// From the bridge toward the adapter.
    Down,
}

/// Why a tag has no twin of the other kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Refused {
    /// VNTag `r` is set.
    #[error("the reserved bit of the VNTag is set, and an E-TAG has no place for it")]
    ReservedBit,
    /// VNTag `ver` is not 0.
    #[error("the version of the VNTag is not 0, and an E-TAG has none")]
    Version,
    /// An upward VNTag with `p`, `l` or a destination.
    #[error(
        "the VNTag goes up and has p, l or a destination, and an E-TAG holds only the source on the way up"
    )]
    NotOnlySource,
    /// `p` = 0 and a destination over 0xFFF: it would be read as a group.
    #[error("the VNTag's destination is over 0xfff, and as an E-TAG it would be a group")]
    DestinationRange,
    /// A list below 0x1000, whose GRP would be 0.
    #[error("the VNTag's list is below 0x1000, and an E-TAG's groups begin there")]
    LowList,
    /// A downward VNTag with a source but without `l`.
    #[error("the VNTag has a source without l, and an E-TAG's Ingress_E-CID would mean looped")]
    SourceNotLooped,
    /// A looped VNTag with source 0.
    #[error("the VNTag is looped without a source, and an E-TAG's Ingress_E-CID 0 means not looped")]
    LoopedNoSource,
    /// The E-TAG's reserved bits are set.
    #[error("the reserved bits of the E-TAG are set, and a VNTag has no place for them")]
    ReservedBits,
    /// E-CID_ext is not 0.
    #[error("the E-TAG's E-CID is over 0xfff, and a VNTag has 12 bits")]
    EcidExtension,
    /// Ingress_E-CID_ext is not 0.
    #[error("the E-TAG's Ingress_E-CID is over 0xfff, and a VNTag has 12 bits")]
    IngressExtension,
    /// A group on the way up.
    #[error("the E-TAG goes up and has a group, and a VNTag holds only the source on the way up")]
    GroupUpward,
    /// An Ingress_E-CID on the way up.
    #[error("the E-TAG goes up and has an Ingress_E-CID, and the source is read from the E-CID")]
    IngressUpward,
}

impl Vntag {
    /// The E-TAG that says the same, with priority 0: set [`Etag::with_pcp`] and [`Etag::with_dei`] as the frame
    /// wants it.
    ///
    /// # Errors
    /// Where it would not say the same.
    pub const fn to_etag(self) -> Result<Etag, Refused> {
        if self.r() {
            return Err(Refused::ReservedBit);
        }
        if self.ver() != 0 {
            return Err(Refused::Version);
        }
        let (source, destination) = (self.src_vif() as u32, self.dst_vif());
        let etag = Etag::from_bytes([0; 6]);
        if !self.d() {
            if self.p() || self.l() || destination != 0 {
                return Err(Refused::NotOnlySource);
            }
            return Ok(etag.with_ecid(source));
        }
        match (self.p(), destination > 0xfff) {
            (false, true) => return Err(Refused::DestinationRange),
            (true, false) => return Err(Refused::LowList),
            _ => {}
        }
        match (self.l(), source) {
            (false, 1..) => return Err(Refused::SourceNotLooped),
            (true, 0) => return Err(Refused::LoopedNoSource),
            _ => {}
        }
        let etag = etag.with_grp((destination >> 12) as u8).with_ecid(destination as u32 & 0xfff);
        Ok(etag.with_ingress_ecid(source))
    }
}

impl Etag {
    /// The VNTag that says the same on a frame that travels in `direction`. E-PCP and E-DEI are lost.
    ///
    /// # Errors
    /// Where it would not say the same.
    pub const fn to_vntag(self, direction: Direction) -> Result<Vntag, Refused> {
        if self.reserved() != 0 {
            return Err(Refused::ReservedBits);
        }
        if self.ecid() > 0xfff {
            return Err(Refused::EcidExtension);
        }
        if self.ingress_ecid() > 0xfff {
            return Err(Refused::IngressExtension);
        }
        let (base, ingress) = (self.ecid() as u16, self.ingress_ecid() as u16);
        let vntag = Vntag::from_word(0);
        match direction {
            Direction::Up if self.grp() != 0 => Err(Refused::GroupUpward),
            Direction::Up if ingress != 0 => Err(Refused::IngressUpward),
            Direction::Up => Ok(vntag.with_src_vif(base)),
            Direction::Down => Ok(vntag
                .with_d(true)
                .with_p(self.grp() != 0)
                .with_dst_vif((self.grp() as u16) << 12 | base)
                .with_l(ingress != 0)
                .with_src_vif(ingress)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vntag_refusal_has_its_name() {
        let down = Vntag::default().with_d(true);
        let cases = [
            (Vntag::default().with_r(true), Refused::ReservedBit),
            (Vntag::default().with_ver(1), Refused::Version),
            (Vntag::default().with_p(true), Refused::NotOnlySource),
            (Vntag::default().with_l(true), Refused::NotOnlySource),
            (Vntag::default().with_dst_vif(1), Refused::NotOnlySource),
            (down.with_dst_vif(0x1000), Refused::DestinationRange),
            (down.with_p(true).with_dst_vif(0xfff), Refused::LowList),
            (down.with_dst_vif(5).with_src_vif(6), Refused::SourceNotLooped),
            (down.with_dst_vif(5).with_l(true), Refused::LoopedNoSource),
        ];
        for (tag, refused) in cases {
            assert_eq!(tag.to_etag(), Err(refused), "{tag:?}");
        }
    }

    #[test]
    fn each_etag_refusal_has_its_name() {
        use Direction::{Down, Up};
        let tag = Etag::default();
        let cases = [
            (tag.with_reserved(2), Down, Refused::ReservedBits),
            (tag.with_ecid(0x1000), Up, Refused::EcidExtension),
            (tag.with_ingress_ecid(0x1000), Down, Refused::IngressExtension),
            (tag.with_grp(1), Up, Refused::GroupUpward),
            (tag.with_ingress_ecid(5), Up, Refused::IngressUpward),
        ];
        for (tag, direction, refused) in cases {
            assert_eq!(tag.to_vntag(direction), Err(refused), "{tag:?}");
        }
    }

    #[test]
    fn worked_pairs() {
        let up = Vntag::from_word(0x0000_0014);
        assert_eq!(up.to_etag(), Ok(Etag::default().with_ecid(20)));
        let looped_list = Vntag::from_word(0xffff_8005);
        let etag = Etag::default().with_grp(3).with_ecid(0xfff).with_ingress_ecid(5);
        assert_eq!(looped_list.to_etag(), Ok(etag));
        assert_eq!(etag.to_vntag(Direction::Down), Ok(looped_list));
        // Priority is the only thing lost.
        assert_eq!(etag.with_pcp(5).with_dei(true).to_vntag(Direction::Down), Ok(looped_list));
    }
}
