//! Downward: the tag of a frame from the link says who gets it.

use super::drops::DropReason;
use vntag::ethernet::{ADDRESSES, TYPE_VNTAG, be16};
use vntag::{DownTag, Fault, Head, NivTag, Untagged, VlanTag};

/// A downward frame whose word is legal: whom the tag names, and the 802.1Q tag inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Down {
    /// The tag.
    pub tag: DownTag,
    /// The 802.1Q tag behind it.
    pub vlan: Option<VlanTag>,
    /// A second VNTag stands directly behind the first (I22; judged after the destination).
    pub double: bool,
    /// A source without the looped bit (I17).
    pub stray_source: bool,
}

/// Judges the word of the frame in `head`.
///
/// # Errors
/// The reason why it is dropped: the first line of the conformance table that matches.
#[inline]
pub fn judge<T: NivTag>(head: &Head) -> Result<Down, DropReason> {
    let bytes = head.bytes();
    if be16(bytes, ADDRESSES) != Some(T::TPID) {
        return Err(match Untagged::of(bytes) {
            Untagged::Control | Untagged::LinkControl => DropReason::LinkControl,
            Untagged::PeerProtocol => DropReason::LinkPeerProtocol,
            Untagged::Other => DropReason::LinkNoVntag,
        });
    }
    let tag = T::parse_down(bytes, ADDRESSES).map_err(reason)?;
    let inner = ADDRESSES + T::LEN;
    Ok(Down {
        tag,
        vlan: VlanTag::parse(bytes, inner),
        double: matches!(be16(bytes, inner), Some(ethertype) if ethertype == T::TPID || ethertype == TYPE_VNTAG),
        stray_source: T::has_stray_source(bytes, ADDRESSES),
    })
}

/// The frame without its VNTag, and without its 802.1Q tag where `strip_vlan`.
#[inline]
pub fn unwrap<T: NivTag>(head: &mut Head, strip_vlan: bool) {
    let removed = head.remove(T::LEN + if strip_vlan { VlanTag::LEN } else { 0 });
    debug_assert!(removed, "judge saw both tags");
}

/// Whether the member of a list that has channel id `member` is left out (I16, I17, I18).
#[must_use]
#[inline]
pub fn is_pruned(tag: DownTag, member: u32) -> bool {
    tag.looped == Some(member)
}

fn reason(fault: Fault) -> DropReason {
    match fault {
        Fault::Truncated | Fault::NoInnerType => DropReason::LinkTruncated,
        Fault::Reserved => DropReason::LinkReserved,
        Fault::Version => DropReason::LinkVersion,
        Fault::DestinationRange => DropReason::LinkDstRange,
        // The others are faults of the way up; on the way down only a wrong direction remains.
        _ => DropReason::LinkBadDir,
    }
}
