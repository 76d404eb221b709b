//! Second stage: whose frame it is, in which VLAN, and whether it may come in at all.
//!
//! The checks stand in the order of the conformance table; the first that fails names the drop.

use super::lif::{Lif, LifId};
use super::mac::Key;
use super::parse::{self, Inner};
use super::tables::{PortRole, Tables};
use super::verdict::DropReason;
use super::vlan::VlanMode;
use vntag::NivTag;
use vntag::ethernet::{Mac, mac_at};

/// A frame that may come in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admitted {
    /// From which interface.
    pub(super) lif: LifId,
    /// In which VLAN.
    pub(super) vlan: u16,
    /// Its header.
    pub(super) inner: Inner,
    /// Where it goes.
    pub(super) destination: Key,
    /// Where it comes from.
    pub(super) source: Key,
    /// The destination is a group address.
    pub(super) group: bool,
}

/// A frame that may not, and the interface it came from as far as that was found out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) lif: Option<LifId>,
    pub(super) reason: DropReason,
}

/// Judges a frame by its first octets and its length.
#[inline]
pub(super) fn admit<T: NivTag>(
    tables: &Tables,
    role: &PortRole,
    bytes: &[u8],
    len: usize,
) -> Result<Admitted, Refused> {
    let nobody = |reason| Refused { lif: None, reason };
    let (id, inner) = match role {
        PortRole::Niv(channels) => {
            let channel = parse::channel::<T>(bytes).map_err(nobody)?;
            let known = channels.get(channel as usize).copied().flatten();
            let id = known.ok_or(nobody(DropReason::RxSrcUnknown))?;
            (id, parse::behind_tag::<T>(bytes))
        }
        PortRole::Wire(id) => (*id, parse::plain(bytes)),
        PortRole::Unused => return Err(nobody(DropReason::RxVlan)),
    };
    let lif = tables.lif(id).ok_or(nobody(DropReason::RxSrcUnknown))?;
    inner
        .and_then(|inner| {
            check(lif, bytes, len, inner).map(|(vlan, source, destination)| Admitted {
                lif: id,
                vlan,
                inner,
                destination: Key::new(vlan, destination.0),
                source: Key::new(vlan, source.0),
                group: destination.is_group(),
            })
        })
        .map_err(|reason| Refused { lif: Some(id), reason })
}

/// V17, V18, V20, V22-V25.
#[inline]
fn check(lif: &Lif, bytes: &[u8], len: usize, inner: Inner) -> Result<(u16, Mac, Mac), DropReason> {
    let program = &*lif.program;
    if inner.tag.vid() == 0xfff {
        return Err(DropReason::RxVlanReserved);
    }
    let vlan = program.classify(inner.tag).ok_or(DropReason::RxVlan)?;
    let (Some(destination), Some(source)) = (mac_at(bytes, 0), mac_at(bytes, 6)) else {
        return Err(DropReason::RxRunt);
    };
    if source.is_group() || source.is_zero() {
        return Err(DropReason::RxSmac);
    }
    if destination.is_link_local() {
        return Err(DropReason::RxLinklocal);
    }
    if len.saturating_sub(inner.payload()) > usize::from(program.mtu) {
        return Err(DropReason::RxOversize);
    }
    if program.mode == VlanMode::Access && inner.is_stacked() {
        return Err(DropReason::RxStacked);
    }
    if inner.hides_tag() {
        return Err(DropReason::RxTagHidden);
    }
    Ok((vlan, source, destination))
}
