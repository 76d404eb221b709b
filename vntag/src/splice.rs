//! Inserting and removing tags while a frame is copied.
//!
//! Everything of this kind happens directly after the two addresses, so one operation is enough: copy the
//! addresses, leave out some octets, put in some others, copy the rest. For frames that are edited where they
//! are, see [`Head`](crate::Head).

use crate::ethernet::ADDRESSES;

/// Copies `frame` to `out`, leaving out the first `remove` octets after the addresses and putting `insert` there.
///
/// Gives the new length. `None`, and nothing of use in `out`, where the frame has no addresses or not so many
/// octets to remove, or `out` is too short.
///
/// ```
/// let frame = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x08, 0x00, 0x45];
/// let mut tagged = [0; 32];
/// let len = vntag::splice::copy(&frame, 0, &[0x89, 0x26, 0, 0, 0, 5], &mut tagged).unwrap();
/// assert_eq!(&tagged[12..len], [0x89, 0x26, 0, 0, 0, 5, 0x08, 0x00, 0x45]);
/// ```
#[inline]
#[must_use]
pub fn copy(frame: &[u8], remove: usize, insert: &[u8], out: &mut [u8]) -> Option<usize> {
    let (addresses, behind) = frame.split_at_checked(ADDRESSES)?;
    let rest = behind.get(remove..)?;
    let (out_addresses, out_behind) = out.split_at_mut_checked(ADDRESSES)?;
    let (out_tag, out_rest) = out_behind.split_at_mut_checked(insert.len())?;
    let out_rest = out_rest.get_mut(..rest.len())?;
    out_addresses.copy_from_slice(addresses);
    out_tag.copy_from_slice(insert);
    out_rest.copy_from_slice(rest);
    Some(ADDRESSES + insert.len() + rest.len())
}

/// [`copy`] that only puts `tag` in.
#[inline]
#[must_use]
pub fn copy_with(frame: &[u8], tag: &[u8], out: &mut [u8]) -> Option<usize> {
    copy(frame, 0, tag, out)
}

/// [`copy`] that only leaves `len` octets out.
#[inline]
#[must_use]
pub fn copy_without(frame: &[u8], len: usize, out: &mut [u8]) -> Option<usize> {
    copy(frame, len, &[], out)
}
