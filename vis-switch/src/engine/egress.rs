//! Fourth stage: the head of an outgoing frame, written from the private copy of the incoming one.
//!
//! Down an NIV link every frame carries its real VLAN (the adapter takes it off where the vNIC is an access one);
//! an ordinary port sends its access or native VLAN without a tag. Of a [private](super::private) VLAN the real one is the
//! primary. Priority and drop eligibility stay as they
//! came (V27).

use super::admit::Admitted;
use super::lif::Lif;
use super::vlan::Program;
use vntag::ethernet::{ADDRESSES, HEADER, MIN_FRAME};
use vntag::{DownTag, Head, NivTag, Target, VlanTag};

/// Room for the longest NIV tag and an 802.1Q tag.
const TAGS_MAX: usize = vntag::Etag::LEN + VlanTag::LEN;

/// The looped source of a frame that leaves by the NIV link it came in by (1.2): `Ok(None)` where it leaves by
/// another one.
#[inline]
pub(super) fn looped(source: &Lif, port: u16) -> Result<Option<u32>, NoSource> {
    if source.port != port {
        return Ok(None);
    }
    if source.vif == 0 { Err(NoSource) } else { Ok(Some(u32::from(source.vif))) }
}

/// The originator has no VIF on the link it came from (F9).
#[derive(Debug)]
pub(super) struct NoSource;

/// Turns the head into that of a frame down an NIV link.
#[inline]
pub(super) fn to_link<T: NivTag>(head: &mut Head, frame: &Admitted, target: Target, looped: Option<u32>) {
    let mut tags = [0; TAGS_MAX];
    let (niv, vlan) = tags.split_at_mut(T::LEN);
    T::emit_down(DownTag { target, looped }, niv);
    if let Some(vlan) = vlan.first_chunk_mut() {
        *vlan = frame.inner.tag.with_vid(frame.domain).to_bytes();
    }
    let new = T::LEN + VlanTag::LEN;
    let tags = tags.get(..new).unwrap_or_default();
    if frame.inner.tags() == new
        && let Some(place) = head.bytes_mut().get_mut(ADDRESSES..ADDRESSES + new)
    {
        // From one NIV link to another with an 802.1Q tag, the usual case: everything stays where it is.
        place.copy_from_slice(tags);
    } else {
        replace(head, frame.inner.tags(), tags);
    }
}

/// Turns the head into that of a frame for an ordinary port. `len` is the length of the incoming frame.
#[inline]
pub(super) fn to_wire(head: &mut Head, frame: &Admitted, program: &Program, len: usize) {
    let id = match &program.private {
        Some(private) if private.folds => frame.domain,
        _ => frame.vlan,
    };
    let vlan = frame.inner.tag.with_vid(id).to_bytes();
    let tag: &[u8] = if id == program.untagged { &[] } else { &vlan };
    replace(head, frame.inner.tags(), tag);
    // V26. A frame so short is wholly in the head.
    if len + tag.len() < MIN_FRAME + frame.inner.tags() {
        head.pad_to(MIN_FRAME);
    }
}

/// Puts `tags` in the place of the `old` octets behind the addresses.
#[inline]
fn replace(head: &mut Head, old: usize, tags: &[u8]) {
    // The header was parsed, so the old tags are there, and the headroom is made for the longest new ones.
    let done = head.remove(old) && head.insert(tags);
    debug_assert!(done && head.bytes().len() >= HEADER, "no room for the tags of an admitted frame");
}
