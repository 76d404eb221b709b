//! The two tags as the engines judge and write them: [`NivTag`] for [`Vntag`] and for [`Etag`].

use crate::ethernet::{TYPE_ETAG, TYPE_VNTAG};
use crate::{DownTag, Etag, Fault, NivTag, Target, UpTag, VifId, Vntag};

/// The `N` octets behind the EtherType at `at`, if an inner EtherType follows them.
#[inline]
fn control_octets<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Fault> {
    let tail = at.checked_add(2).and_then(|behind| bytes.get(behind..)).ok_or(Fault::Truncated)?;
    let octets = tail.first_chunk::<N>().ok_or(Fault::Truncated)?;
    if tail.len() < N + 2 {
        return Err(Fault::NoInnerType);
    }
    Ok(*octets)
}

impl NivTag for Vntag {
    const TPID: u16 = TYPE_VNTAG;
    const LEN: usize = Self::LEN;

    #[inline]
    fn parse_up(bytes: &[u8], at: usize) -> Result<UpTag, Fault> {
        let tag = Self::from_word(u32::from_be_bytes(control_octets(bytes, at)?));
        let source = tag.src_vif();
        // One comparison decides the common case: no bit set outside src_vif.
        if tag.word() & 0xffff_f000 != 0 {
            return Err(if tag.d() {
                Fault::Direction
            } else if tag.p() {
                Fault::Pointer
            } else if tag.l() {
                Fault::Looped
            } else if tag.dst_vif() != 0 {
                Fault::Destination
            } else if tag.r() {
                Fault::Reserved
            } else {
                Fault::Version
            });
        }
        if VifId::new(source).is_none() {
            return Err(Fault::Source);
        }
        Ok(UpTag { source: u32::from(source) })
    }

    #[inline]
    fn parse_down(bytes: &[u8], at: usize) -> Result<DownTag, Fault> {
        let tag = Self::from_word(u32::from_be_bytes(control_octets(bytes, at)?));
        if !tag.d() {
            return Err(Fault::Direction);
        }
        if tag.r() {
            return Err(Fault::Reserved);
        }
        if tag.ver() != 0 {
            return Err(Fault::Version);
        }
        let destination = u32::from(tag.dst_vif());
        let target = if tag.p() {
            Target::List(destination)
        } else if destination > 0xfff {
            return Err(Fault::DestinationRange);
        } else {
            Target::Channel(destination)
        };
        Ok(DownTag { target, looped: tag.l().then(|| u32::from(tag.src_vif())) })
    }

    #[inline]
    fn has_stray_source(bytes: &[u8], at: usize) -> bool {
        let octets = control_octets(bytes, at);
        octets.is_ok_and(|octets| {
            let tag = Self::from_word(u32::from_be_bytes(octets));
            !tag.l() && tag.src_vif() != 0
        })
    }

    #[inline]
    fn emit_up(tag: UpTag, out: &mut [u8]) {
        put_vntag(Self::default().with_src_vif(tag.source as u16), out);
    }

    #[inline]
    fn emit_down(tag: DownTag, out: &mut [u8]) {
        // Masked, so that no caller's number can make a unicast destination over 0xFFF (F12).
        let (p, destination) = match tag.target {
            Target::Channel(id) => (false, id & 0xfff),
            Target::List(id) => (true, id & 0x3fff),
        };
        put_vntag(
            Self::default()
                .with_d(true)
                .with_p(p)
                .with_dst_vif(destination as u16)
                .with_l(tag.looped.is_some())
                .with_src_vif(tag.looped.unwrap_or(0) as u16),
            out,
        );
    }
}

#[inline(always)]
fn put_vntag(tag: Vntag, out: &mut [u8]) {
    let [t0, t1] = TYPE_VNTAG.to_be_bytes();
    let [a, b, c, d] = tag.word().to_be_bytes();
    if let Some(place) = out.first_chunk_mut::<{ Vntag::LEN }>() {
        *place = [t0, t1, a, b, c, d];
    }
}

/// GRP stands on top of the 20 bits of the E-CID: a list id has 22 bits.
const GRP_SHIFT: u32 = 20;

/// The same judgement as for a VNTag, as far as an E-TAG has the fields: no direction (the port knows it), no
/// version, GRP for `p`, an Ingress_E-CID for `l`. E-PCP and E-DEI are never a fault.
impl NivTag for Etag {
    const TPID: u16 = TYPE_ETAG;
    const LEN: usize = Self::LEN;

    #[inline]
    fn parse_up(bytes: &[u8], at: usize) -> Result<UpTag, Fault> {
        let tag = Self::from_bytes(control_octets(bytes, at)?);
        if tag.grp() != 0 {
            return Err(Fault::Pointer);
        }
        if tag.ingress_ecid() != 0 {
            return Err(Fault::Looped);
        }
        if tag.reserved() != 0 {
            return Err(Fault::Reserved);
        }
        match tag.ecid() {
            0 => Err(Fault::Source),
            source => Ok(UpTag { source }),
        }
    }

    #[inline]
    fn parse_down(bytes: &[u8], at: usize) -> Result<DownTag, Fault> {
        let tag = Self::from_bytes(control_octets(bytes, at)?);
        if tag.reserved() != 0 {
            return Err(Fault::Reserved);
        }
        let target = match u32::from(tag.grp()) {
            0 => Target::Channel(tag.ecid()),
            group => Target::List(group << GRP_SHIFT | tag.ecid()),
        };
        let ingress = tag.ingress_ecid();
        Ok(DownTag { target, looped: (ingress != 0).then_some(ingress) })
    }

    /// Never: an Ingress_E-CID is what makes an E-TAG looped.
    #[inline]
    fn has_stray_source(_bytes: &[u8], _at: usize) -> bool {
        false
    }

    #[inline]
    fn emit_up(tag: UpTag, out: &mut [u8]) {
        put_etag(Self::default().with_ecid(tag.source), out);
    }

    /// A list id below `1 << 20` has GRP 0 and would be read as a channel: hand out none for E-TAG links.
    #[inline]
    fn emit_down(tag: DownTag, out: &mut [u8]) {
        let (group, ecid) = match tag.target {
            Target::Channel(id) => (0, id),
            Target::List(id) => (id >> GRP_SHIFT, id),
        };
        let source = tag.looped.unwrap_or(0);
        put_etag(Self::default().with_grp(group as u8).with_ecid(ecid).with_ingress_ecid(source), out);
    }
}

fn put_etag(tag: Etag, out: &mut [u8]) {
    let [t0, t1] = TYPE_ETAG.to_be_bytes();
    let [a, b, c, d, e, f] = tag.to_bytes();
    if let Some(place) = out.first_chunk_mut::<{ Etag::LEN }>() {
        *place = [t0, t1, a, b, c, d, e, f];
    }
}
