//! Upward: a frame from a host port is judged and stamped with the VNTag of its VIF.

use super::drops::DropReason;
use super::vif::VifParams;
use vntag::ethernet::{ADDRESSES, HEADER, TYPE_QINQ, TYPE_SVLAN, TYPE_VLAN, TYPE_VNTAG, be16};
use vntag::{Head, NivTag, UpTag, VlanTag};

/// The tag on the way up, and the priority tag where the host sent none.
const MAX_INSERTED: usize = 8 + VlanTag::LEN;

/// Judges the frame in `head`, which is `len` octets long in all, and stamps it.
///
/// `source` is the active VIF, if there is one. A frame without 802.1Q tag gets a priority tag with the VIF's default priority behind the VNTag, so that a
/// priority exists on the link.
///
/// # Errors
/// The reason why it is dropped: the first line of the conformance table that matches.
#[inline(always)]
pub fn judge<T: NivTag>(
    head: &mut Head,
    len: usize,
    source: Option<u32>,
    vif: &VifParams,
) -> Result<(), DropReason> {
    let bytes = head.bytes();
    let Some(ethertype) = be16(bytes, ADDRESSES) else { return Err(DropReason::HostRunt) };
    if ethertype == TYPE_VNTAG {
        return Err(DropReason::HostVntag);
    }
    let vlan = VlanTag::parse(bytes, ADDRESSES);
    if is_vlan(ethertype) && hides_vntag(bytes) {
        return Err(DropReason::HostTagHidden);
    }
    let source = source.ok_or(DropReason::HostVifDown)?;
    let pcp = vlan.map_or(vif.default_cos & 7, VlanTag::pcp);
    if vif.allowed_priorities & 1 << pcp == 0 {
        return Err(DropReason::HostPriority);
    }
    if len > HEADER + usize::from(vif.mtu) + VlanTag::LEN {
        return Err(DropReason::HostOversize);
    }
    let mut tags = [0; MAX_INSERTED];
    T::emit_up(UpTag { source }, &mut tags[..T::LEN]);
    // Each with a length known to the compiler, which then needs no memory for the tags: octets written one by one and read as
    // one word make the processor wait.
    let inserted = if vlan.is_some() {
        head.insert(&tags[..T::LEN])
    } else {
        tags[T::LEN..T::LEN + VlanTag::LEN].copy_from_slice(&VlanTag::new(0, pcp, false).to_bytes());
        head.insert(&tags[..T::LEN + VlanTag::LEN])
    };
    // The head has its addresses, and the headroom is made for these two tags.
    debug_assert!(inserted);
    Ok(())
}

const fn is_vlan(ethertype: u16) -> bool {
    matches!(ethertype, TYPE_VLAN | TYPE_SVLAN | TYPE_QINQ)
}

/// Walks the VLAN tags after the addresses and looks at what stands behind the last one.
fn hides_vntag(bytes: &[u8]) -> bool {
    let mut at = ADDRESSES;
    while let Some(ethertype) = be16(bytes, at) {
        if !is_vlan(ethertype) {
            return ethertype == TYPE_VNTAG;
        }
        at += VlanTag::LEN;
    }
    false
}
