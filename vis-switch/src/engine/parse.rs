//! First stage: which tags a frame carries and where its own header is.

use super::verdict::DropReason;
use vntag::ethernet::{ADDRESSES, HEADER, TYPE_ETAG, TYPE_QINQ, TYPE_SVLAN, TYPE_VLAN, TYPE_VNTAG, be16};
use vntag::{NivTag, Untagged, VlanTag};

/// The header of a frame behind its NIV tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inner {
    /// Where it begins: directly after the addresses or after the NIV tag.
    pub(super) at: usize,
    /// Its 802.1Q tag; all zero where it has none.
    pub(super) tag: VlanTag,
    /// It has one.
    pub(super) tagged: bool,
    /// The EtherType behind that.
    pub(super) next: u16,
}

impl Inner {
    /// Where the payload begins.
    #[inline]
    pub(super) fn payload(&self) -> usize {
        self.at + if self.tagged { VlanTag::LEN } else { 0 } + 2
    }

    /// Octets between the addresses and the EtherType of the payload.
    #[inline]
    pub(super) fn tags(&self) -> usize {
        self.payload() - HEADER
    }

    /// One more VLAN tag.
    #[inline]
    pub(super) fn is_stacked(&self) -> bool {
        matches!(self.next, TYPE_VLAN | TYPE_SVLAN | TYPE_QINQ)
    }

    /// A tag of network interface virtualization where the payload begins: taking off the 802.1Q tag, or none,
    /// would bring it to light on an ordinary port.
    #[inline]
    pub(super) fn hides_tag(&self) -> bool {
        matches!(self.next, TYPE_VNTAG | TYPE_ETAG)
    }
}

/// The channel of a frame from an NIV link (V1, V3-V11, V29).
#[inline(always)]
pub(super) fn channel<T: NivTag>(bytes: &[u8]) -> Result<u32, DropReason> {
    if be16(bytes, ADDRESSES) != Some(T::TPID) {
        return Err(untagged(bytes));
    }
    Ok(T::parse_up(bytes, ADDRESSES)?.source)
}

#[cold]
fn untagged(bytes: &[u8]) -> DropReason {
    match Untagged::of(bytes) {
        Untagged::Control | Untagged::LinkControl => DropReason::RxControl,
        Untagged::PeerProtocol => DropReason::RxPeerL2proto,
        Untagged::Other => DropReason::RxNoVntag,
    }
}

/// The header behind the tag of a frame from an NIV link (V14).
#[inline(always)]
pub(super) fn behind_tag<T: NivTag>(bytes: &[u8]) -> Result<Inner, DropReason> {
    let at = ADDRESSES + T::LEN;
    if be16(bytes, at) == Some(T::TPID) {
        return Err(DropReason::RxDouble);
    }
    inner(bytes, at)
}

/// The header of a frame from an ordinary port (V2).
#[inline(always)]
pub(super) fn plain(bytes: &[u8]) -> Result<Inner, DropReason> {
    if be16(bytes, ADDRESSES) == Some(TYPE_VNTAG) {
        return Err(DropReason::RxVntagIllegal);
    }
    inner(bytes, ADDRESSES)
}

#[inline(always)]
fn inner(bytes: &[u8], at: usize) -> Result<Inner, DropReason> {
    let first = be16(bytes, at).ok_or(DropReason::RxRunt)?;
    if first != TYPE_VLAN {
        return Ok(Inner { at, tag: VlanTag::default(), tagged: false, next: first });
    }
    let tag = be16(bytes, at + 2).ok_or(DropReason::RxRunt)?;
    let next = be16(bytes, at + VlanTag::LEN).ok_or(DropReason::RxRunt)?;
    Ok(Inner { at, tag: VlanTag(tag), tagged: true, next })
}
