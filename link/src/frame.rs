//! Frames as lists of borrowed memory, and the one place where such memory is read.
//!
//! `unsafe` lives here because a segment may lie in memory that another process writes at the same time
//! (guest memory, a memif region). Rust references to such memory would be unsound, so a [`Seg`] keeps a raw
//! pointer and only ever copies out of it; what a racing writer can do is garble the copy, never its bounds.

use core::marker::PhantomData;
use core::num::{NonZeroU32, NonZeroU64};
use core::ptr::NonNull;

/// One piece of a frame, in memory that somebody else may write while we read it.
///
/// The bytes can only be copied out. Two copies of the same bytes may differ: judge the copy, send the copy.
#[derive(Clone, Copy, Debug)]
pub struct Seg<'a> {
    ptr: NonNull<u8>,
    len: usize,
    life: PhantomData<&'a [u8]>,
}

// SAFETY: a `Seg` gives nothing but copies out of memory that stays mapped for 'a (contract of `from_raw`, or
// the borrow in `from_slice`); which thread makes the copy does not matter.
unsafe impl Send for Seg<'_> {}

impl<'a> Seg<'a> {
    /// A segment over private memory.
    #[must_use]
    pub fn from_slice(bytes: &'a [u8]) -> Self {
        Self { ptr: NonNull::from(bytes).cast(), len: bytes.len(), life: PhantomData }
    }

    /// A segment over memory that may be shared with another process.
    ///
    /// # Safety
    /// `len` octets from `ptr` stay mapped and readable for `'a`. They may change at any time.
    #[must_use]
    pub unsafe fn from_raw(ptr: NonNull<u8>, len: usize) -> Self {
        Self { ptr, len, life: PhantomData }
    }

    /// Octets in this segment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// No octet in this segment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where it begins. Reading through it is the caller's `unsafe`.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.ptr.as_ptr()
    }

    /// The segment without its first `n` octets; empty when there are no more than `n`.
    #[must_use]
    pub fn skip(self, n: usize) -> Self {
        let n = n.min(self.len);
        // SAFETY: n <= len, so the result is inside or one past the end of the same mapping.
        let ptr = unsafe { self.ptr.add(n) };
        Self { ptr, len: self.len - n, life: PhantomData }
    }

    /// Copies as many octets as both have; says how many.
    #[inline]
    pub fn copy_to(&self, dst: &mut [u8]) -> usize {
        let n = self.len.min(dst.len());
        // SAFETY: n octets are readable at ptr for 'a (contract of the constructors) and writable in dst;
        // dst is a unique borrow of private memory, so the two cannot overlap.
        unsafe { copy_octets(self.ptr.as_ptr(), dst.as_mut_ptr(), n) };
        n
    }
}

/// Copies `bytes` to memory that others may use meanwhile.
///
/// # Safety
/// As many octets are mapped at `to` and may be written, and none of them is in `bytes`.
#[inline(always)]
pub unsafe fn put(bytes: &[u8], to: NonNull<u8>) {
    // SAFETY: the caller's contract.
    unsafe { copy_octets(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
}

/// Copies `n` octets. Small frames and heads, which are most of all copies, are copied in place as overlapping
/// blocks of a fixed size: a call to `memcpy` costs more than its work there. Nothing to copy is common, too: a
/// frame that is all head.
///
/// Whoever gets a copy reads the octets behind the addresses at once. A load that spans two stores still on their
/// way to the cache waits for both, so those octets are stored last, as one piece: against the worst order of
/// stores that saves the switch 16 of 94 cycles for a frame of 70 octets.
///
/// # Safety
/// As for [`core::ptr::copy_nonoverlapping`]. The source may change meanwhile.
#[inline]
unsafe fn copy_octets(src: *const u8, dst: *mut u8, n: usize) {
    const HALF: usize = 32;
    const BLOCK: usize = 64;
    const HEAD_WITH_TAGS: usize = 144;
    const ADDRESSES: usize = 12;
    const PIECE: usize = 16;
    match n {
        0 => {}
        32..BLOCK => {
            // SAFETY: HALF <= n <= 2 * HALF, so both pieces lie within the n octets.
            unsafe {
                dst.copy_from_nonoverlapping(src, HALF);
                dst.add(n - HALF).copy_from_nonoverlapping(src.add(n - HALF), HALF);
            }
        }
        BLOCK..=HEAD_WITH_TAGS => {
            let last = n - BLOCK;
            // SAFETY: BLOCK <= n, last + BLOCK = n and ADDRESSES + PIECE < BLOCK, so all pieces lie within
            // the n octets that the caller vouches for on either side; that in the middle, where it is needed, does because n
            // is more than two blocks then.
            unsafe {
                dst.add(last).copy_from_nonoverlapping(src.add(last), BLOCK);
                if n > 2 * BLOCK {
                    dst.add(BLOCK).copy_from_nonoverlapping(src.add(BLOCK), BLOCK);
                }
                dst.copy_from_nonoverlapping(src, BLOCK);
                dst.add(ADDRESSES).copy_from_nonoverlapping(src.add(ADDRESSES), PIECE);
            }
        }
        // SAFETY: the caller's contract.
        _ => unsafe { copy_many(src, dst, n) },
    }
}

/// The same with a call to `memcpy`. Apart, or the compiler joins the short copies with it again.
///
/// # Safety
/// As for [`core::ptr::copy_nonoverlapping`].
#[inline(never)]
unsafe fn copy_many(src: *const u8, dst: *mut u8, n: usize) {
    // SAFETY: the caller's contract.
    unsafe { dst.copy_from_nonoverlapping(src, n) }
}

/// A list of segments: the bytes of a frame, or what is left of them after its head. At most 4 GiB.
#[derive(Clone, Copy, Debug)]
pub struct Gather<'a> {
    first: Seg<'a>,
    more: &'a [Seg<'a>],
    /// Not a whole word, so that a frame fits in seven: lists of frames are written and read for each of them.
    len: u32,
    lent: Option<Lent>,
}

impl<'a> Gather<'a> {
    /// No bytes at all.
    pub const EMPTY: Gather<'static> = Gather {
        first: Seg { ptr: NonNull::dangling(), len: 0, life: PhantomData },
        more: &[],
        len: 0,
        lent: None,
    };

    /// One segment, the usual case.
    #[must_use]
    pub fn one(first: Seg<'a>) -> Self {
        Self { first, more: &[], len: octets(first.len), lent: None }
    }

    /// Several segments in order.
    #[must_use]
    pub fn chain(first: Seg<'a>, more: &'a [Seg<'a>]) -> Self {
        let len = more.iter().fold(octets(first.len), |sum, seg| sum.saturating_add(octets(seg.len)));
        Self { first, more, len, lent: None }
    }

    /// The same, lent by a queue in buffers that may be given away.
    #[must_use]
    #[inline]
    pub fn lent_as(self, lent: Option<Lent>) -> Self {
        Self { lent, ..self }
    }

    /// A received frame: where it lies, if its buffers may be given away. A frame to be sent: this is the rest of what was
    /// received there, of which the first octets are replaced by as many; nobody reads it any more once it was taken, nor is it
    /// sent a second time.
    #[must_use]
    #[inline]
    pub fn lent(&self) -> Option<Lent> {
        self.lent
    }

    /// Octets in all segments together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// No octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The segments in order, empty ones included.
    pub fn segs(&self) -> impl Iterator<Item = Seg<'a>> + use<'a> {
        core::iter::once(self.first).chain(self.more.iter().copied())
    }

    /// How many segments there are, empty ones included.
    #[must_use]
    #[inline]
    pub fn count(&self) -> usize {
        1 + self.more.len()
    }

    /// The same bytes without the first `n`; empty when there are no more than `n`. No longer what somebody [lent](Self::lent).
    #[must_use]
    pub fn skip(mut self, n: usize) -> Self {
        let mut left = n.min(self.len());
        self.len -= left as u32;
        self.lent = None;
        while left > self.first.len {
            left -= self.first.len;
            let Some((next, rest)) = self.more.split_first() else { break };
            self.first = *next;
            self.more = rest;
        }
        self.first = self.first.skip(left);
        self
    }

    /// Copies from the beginning as many octets as both have; says how many.
    #[inline(always)]
    pub fn copy_to(&self, dst: &mut [u8]) -> usize {
        let mut done = self.first.copy_to(dst);
        if self.more.is_empty() {
            return done;
        }
        for seg in self.more {
            done += seg.copy_to(&mut dst[done..]);
        }
        done
    }

    /// A private copy of everything. For tests and for what leaves the fast path.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        let n = self.copy_to(&mut bytes);
        bytes.truncate(n);
        bytes
    }
}

/// As a gather counts them.
#[inline]
fn octets(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// A received frame, from its destination address to the end of its payload, without FCS. Borrowed from the
/// queue that lent it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its bytes.
    pub data: Gather<'a>,
    /// Its sender left something to do (a checksum, segmentation) before a wire can carry it.
    pub undone: Option<Undone>,
}

/// Where a received frame lies, as the queue that lends it counts: a ring of its port, and the first slot of the frame there.
///
/// A frame that leaves by the port it came in by need not be copied: a sending queue of that port may hand the peer the buffer
/// the frame lies in, and have it take an empty one back. What this says is a hint for that queue; for all others it is nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lent(NonZeroU32);

impl Lent {
    /// A slot of a ring. `None` for a ring beyond all that a port can have.
    #[inline]
    pub(crate) fn new(ring: u16, slot: u16) -> Option<Self> {
        let ring = NonZeroU32::new(u32::from(ring.checked_add(1)?) << 16)?;
        Some(Self(ring | u32::from(slot)))
    }

    #[inline]
    pub(crate) fn ring(self) -> u16 {
        (self.0.get() >> 16) as u16 - 1
    }

    #[inline]
    pub(crate) fn slot(self) -> u16 {
        self.0.get() as u16
    }
}

/// The virtio-net header that says what a sender left undone in a frame (`struct virtio_net_hdr_v1`; virtio 1.2,
/// 5.1.6), exactly as the sender wrote it: nobody has checked it. This crate reads it only to carry it in another form.
/// Its words are little-endian; places in the frame count from the frame's first octet.
///
/// In two registers, and `None` without a word of its own: nearly all frames are complete, and where a frame is put into a list
/// an array of octets would be copied with them, in pieces that the processor has to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Undone {
    /// Flags to the place of the checksum; the first two octets say that something is undone.
    front: NonZeroU64,
    back: u32,
}

impl Undone {
    /// A header in these octets. `None` where the first eight are zero: it says nothing.
    #[must_use]
    #[inline]
    pub const fn from_bytes(bytes: [u8; 12]) -> Option<Self> {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        match NonZeroU64::new(u64::from_le_bytes([a, b, c, d, e, f, g, h])) {
            Some(front) => Some(Self { front, back: u32::from_le_bytes([i, j, k, l]) }),
            None => None,
        }
    }

    /// Its octets.
    #[must_use]
    #[inline]
    pub const fn to_bytes(self) -> [u8; 12] {
        let [a, b, c, d, e, f, g, h] = self.front.get().to_le_bytes();
        let [i, j, k, l] = self.back.to_le_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }
}

impl<'a> Frame<'a> {
    /// A frame in which nothing is left to do.
    #[must_use]
    #[inline(always)]
    pub fn complete(data: Gather<'a>) -> Self {
        Self { data, undone: None }
    }

    /// Octets of the frame.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// A frame without octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
}

/// A frame to be sent: a private, judged `head`, then a borrowed rest.
#[derive(Clone, Copy, Debug)]
pub struct OutFrame<'a> {
    /// The first octets, in memory of our own.
    pub head: &'a [u8],
    /// Everything behind the head.
    pub body: Gather<'a>,
    /// Something is left to be done. Only for a queue that [takes](crate::TxQueue::takes) it.
    pub undone: Option<Undone>,
}

impl<'a> OutFrame<'a> {
    /// A frame that is wholly in memory of our own.
    #[must_use]
    pub fn private(bytes: &'a [u8]) -> Self {
        Self::complete(bytes, Gather::EMPTY)
    }

    /// A frame in which nothing is left to do.
    #[must_use]
    #[inline(always)]
    pub fn complete(head: &'a [u8], body: Gather<'a>) -> Self {
        Self { head, body, undone: None }
    }

    /// Octets of the frame.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// A frame without octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The segments in order: the head, then those of the body.
    pub fn segs(&self) -> impl Iterator<Item = Seg<'a>> + use<'a> {
        core::iter::once(Seg::from_slice(self.head)).chain(self.body.segs())
    }

    /// Copies the whole frame as far as `dst` reaches; says how many octets.
    #[inline]
    pub fn copy_to(&self, dst: &mut [u8]) -> usize {
        let n = Seg::from_slice(self.head).copy_to(dst);
        n + self.body.copy_to(&mut dst[n..])
    }

    /// A private copy of everything.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = self.head.to_vec();
        bytes.extend(self.body.to_vec());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn copies_of_every_small_length_are_exact() {
        let from: Vec<u8> = (0..200).map(|n| n as u8 ^ 0x5a).collect();
        for len in 0..=from.len() {
            let mut to = vec![0xa5; 220];
            assert_eq!(Seg::from_slice(&from[..len]).copy_to(&mut to), len);
            assert_eq!(to[..len], from[..len]);
            assert!(to[len..].iter().all(|b| *b == 0xa5), "{len}");
        }
    }

    proptest! {
        #[test]
        fn skip_and_copy_agree_with_a_flat_slice(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..6), n in 0usize..60, cap in 0usize..60) {
            let flat: Vec<u8> = parts.concat();
            let segs: Vec<Seg<'_>> = parts.iter().map(|p| Seg::from_slice(p)).collect();
            let gather = Gather::chain(segs[0], &segs[1..]).skip(n);
            let want = &flat[n.min(flat.len())..];
            prop_assert_eq!(gather.len(), want.len());
            prop_assert_eq!(gather.to_vec(), want);
            let mut short = vec![0xa5; cap];
            let done = gather.copy_to(&mut short);
            prop_assert_eq!(done, cap.min(want.len()));
            prop_assert_eq!(&short[..done], &want[..done]);
            prop_assert!(short[done..].iter().all(|b| *b == 0xa5));
        }
    }
}
