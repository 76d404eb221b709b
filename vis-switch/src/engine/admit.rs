//! Second stage: whose frame it is, in which VLAN, and whether it may come in at all.
//!
//! The checks stand in the order of the conformance table; the first that fails names the drop.

use super::address::Address;
use super::lif::{Lif, LifId};
use super::mac::Key;
use super::parse::{self, Inner};
use super::tables::{PortRole, Tables};
use super::verdict::DropReason;
use super::vlan::VlanMode;
use vntag::{NivTag, VlanTag};

/// A frame that may come in. Written field by field into a place that is used again and again: a value of this size
/// that travels through a `Result` is copied in wider pieces than it was made of, which stalls the processor longer
/// than all the judging takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admitted {
    /// Its place in the burst.
    pub(super) index: u8,
    /// The destination is a group address.
    pub(super) group: bool,
    /// In which VLAN.
    pub(super) vlan: u16,
    /// In which VLAN addresses are learned and looked for: of a private one, the primary.
    pub(super) domain: u16,
    /// The VLAN is a private one.
    pub(super) private: bool,
    /// From which interface.
    pub(super) lif: LifId,
    /// Its header.
    pub(super) inner: Inner,
    /// Where it goes.
    pub(super) destination: Key,
    /// Where it comes from.
    pub(super) source: Key,
}

impl Admitted {
    /// A place to write to.
    pub(super) const EMPTY: Self = Self {
        index: 0,
        group: false,
        vlan: 0,
        domain: 0,
        private: false,
        lif: LifId::FIRST,
        inner: Inner { at: 0, tag: VlanTag(0), tagged: false, next: 0 },
        destination: Key::NONE,
        source: Key::NONE,
    };
}

/// A frame that may not, and the interface it came from as far as that was found out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) lif: Option<LifId>,
    pub(super) reason: DropReason,
}

/// As far as any header reaches that is looked at: addresses, an E-TAG, an 802.1Q tag, a type.
const REACH: usize = 26;

/// Judges a frame by its first octets and its length, for this `worker`; one that may come in is described in `to`.
#[inline]
pub(super) fn admit<T: NivTag>(
    tables: &Tables,
    worker: usize,
    role: &PortRole,
    bytes: &[u8],
    len: usize,
    to: &mut Admitted,
) -> Result<(), Refused> {
    // Twice the same code: where all octets are known to be there, no read of one is checked.
    match bytes.first_chunk::<REACH>() {
        Some(all) => judge::<T>(tables, worker, role, all, bytes, len, to),
        None => judge_short::<T>(tables, worker, role, bytes, len, to),
    }
}

#[cold]
#[inline(never)]
fn judge_short<T: NivTag>(
    tables: &Tables,
    worker: usize,
    role: &PortRole,
    bytes: &[u8],
    len: usize,
    to: &mut Admitted,
) -> Result<(), Refused> {
    judge::<T>(tables, worker, role, bytes, bytes, len, to)
}

/// `bytes` has all headers that every frame is judged by; access lists look at more of the `head`.
#[inline(always)]
fn judge<T: NivTag>(
    tables: &Tables,
    worker: usize,
    role: &PortRole,
    bytes: &[u8],
    head: &[u8],
    len: usize,
    to: &mut Admitted,
) -> Result<(), Refused> {
    let nobody = |reason| Refused { lif: None, reason };
    let (id, inner) = match role {
        PortRole::Niv { channels, .. } => {
            let channel = parse::channel::<T>(bytes).map_err(nobody)?;
            let id = channels.get(channel).ok_or(nobody(DropReason::RxSrcUnknown))?;
            (id, parse::behind_tag::<T>(bytes))
        }
        PortRole::Wire(id) => (*id, parse::plain(bytes)),
        PortRole::Unused => return Err(nobody(DropReason::RxVlan)),
    };
    let refused = |reason| Refused { lif: Some(id), reason };
    let lif = tables.lif(id).ok_or(nobody(DropReason::RxSrcUnknown))?;
    let inner = inner.map_err(refused)?;
    check(lif, bytes, len, inner, to).map_err(refused)?;
    if let Some(acl) = &lif.program.acl_in
        && !acl.passes(worker, inner.next, head.get(inner.payload()..).unwrap_or_default())
    {
        return Err(refused(DropReason::AclIn));
    }
    to.lif = id;
    to.inner = inner;
    Ok(())
}

/// V17, V18, V20, V22-V25.
#[inline(always)]
fn check(lif: &Lif, bytes: &[u8], len: usize, inner: Inner, to: &mut Admitted) -> Result<(), DropReason> {
    let program = &*lif.program;
    if inner.tag.vid() == 0xfff {
        return Err(DropReason::RxVlanReserved);
    }
    let id = program.classify(inner.tag).ok_or(DropReason::RxVlan)?;
    let (destination, source) = Address::pair(bytes).ok_or(DropReason::RxRunt)?;
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
    let place = program.place(id);
    to.vlan = place.vlan;
    to.domain = place.domain;
    to.private = place.private;
    to.group = destination.is_group();
    to.source = Key::of(place.domain, source);
    to.destination = Key::of(place.domain, destination);
    Ok(())
}
