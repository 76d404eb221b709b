//! A ring in shared memory: two indices, a mask bit, descriptors.
//!
//! ```text
//! octet   0  u32 cookie   4  u16 flags (bit 0: the receiver wants no interrupts)   6  u16 head
//!        64  u16 tail
//!       128  descriptors of 16: u16 flags (bit 0: NEXT), u16 region, u32 length, u32 offset, u32 metadata
//! ```
//!
//! In an S2M ring the client fills buffers and moves `head`, the server moves `tail` behind what it has read. In
//! an M2S ring the client posts empty buffers by `head`, and the server fills them and moves `tail`.
//!
//! All access is by atomics of the right size, so that a racing peer is no undefined behaviour. A descriptor is
//! read once, as two words, and judged in private.

use super::fault::Fault;
use super::message::{COOKIE, MAX_LOG2_RING_SIZE};
use super::region::{Memory, Place};
use crate::guard;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::Arc;
use zerocopy::{FromBytes, Immutable, IntoBytes};

const FLAGS: usize = 4;
const HEAD: usize = 6;
const TAIL: usize = 64;
const DESCRIPTORS: usize = 128;

/// The frame goes on in the next descriptor.
pub(super) const NEXT: u16 = 1;

/// Octets of a frame that is put where many such lie close together, in whole lines.
///
/// In a buffer of the usual size each short frame has a page of its own. A ring of 1,024 is then as many entries as a
/// processor has for all that it translates, and two processes on one core push each other's out at every turn.
pub(super) const SHORT: u32 = 128;

/// The receiver polls and wants no interrupts.
const MASK_INT: u16 = 1;

/// Octets of a ring with this many descriptors.
pub(super) const fn octets(log2_size: u8) -> u32 {
    DESCRIPTORS as u32 + (size_of::<Desc>() as u32) * (1 << log2_size)
}

/// A descriptor: where a buffer is and how much of it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Desc {
    /// [`NEXT`] or nothing.
    pub(super) flags: u16,
    /// Index of the region.
    pub(super) region: u16,
    /// Octets of the frame in this buffer; of an empty buffer, its size.
    pub(super) length: u32,
    /// Where the buffer begins in the region.
    pub(super) offset: u32,
    /// Where both ends announced that they read it, otherwise 0. Of a frame: what is left undone in it. Of an empty buffer: where
    /// a frame of at most [`SHORT`] octets may be put instead, in the same region; 0: nowhere.
    pub(super) metadata: u32,
}

/// A mapped ring. Knows nothing of who fills it.
#[derive(Debug)]
pub(super) struct Ring {
    base: NonNull<u8>,
    size: u16,
    memory: Arc<Memory>,
}

// SAFETY: base points into memory that the Arc keeps mapped for every thread; access is by atomics only.
unsafe impl Send for Ring {}

impl Ring {
    /// Asks whether the memory of this connection was cut off, so that what was just read in it is of our own
    /// making. `seen` is the ring's own copy of the count of losses in this process.
    #[inline]
    pub(super) fn check_memory(&self, seen: &mut u64) -> Result<(), Fault> {
        let losses = guard::losses();
        if losses == *seen {
            return Ok(());
        }
        *seen = losses;
        if self.memory.is_lost() { Err(Fault::LostMemory) } else { Ok(()) }
    }

    /// A ring at this place, if all of it lies in the region and its words are aligned.
    pub(super) fn new(memory: Arc<Memory>, region: u16, offset: u32, log2_size: u8) -> Result<Self, Fault> {
        if log2_size > MAX_LOG2_RING_SIZE || !offset.is_multiple_of(8) {
            return Err(Fault::BadRing);
        }
        let base = memory.place(region, offset, octets(log2_size)).map_err(|_| Fault::BadRing)?.ptr();
        Ok(Self { base, size: 1 << log2_size, memory })
    }

    /// Descriptors; 2^14 at the most.
    #[inline]
    pub(super) fn size(&self) -> u16 {
        self.size
    }

    #[inline]
    fn word16(&self, at: usize) -> &AtomicU16 {
        debug_assert!(at < DESCRIPTORS && at.is_multiple_of(2));
        // SAFETY: `new` checked that the header lies in the mapping, which the Arc in self keeps for the borrow,
        // and that base is aligned to 8 (regions begin at a page); callers pass one of the constants above.
        // This process only ever accesses it through such atomics.
        unsafe { AtomicU16::from_ptr(self.base.as_ptr().add(at).cast()) }
    }

    /// A descriptor's two words.
    #[inline]
    fn words(&self, index: u16) -> (&AtomicU64, &AtomicU64) {
        let slot = usize::from(index & (self.size - 1));
        // SAFETY: slot < size, and `new` checked that size descriptors lie in the mapping, aligned to 8; the Arc
        // in self keeps it for the borrow. Descriptors are accessed through these atomics only.
        unsafe {
            let at = self.base.as_ptr().add(DESCRIPTORS + slot * size_of::<Desc>()).cast::<u64>();
            (AtomicU64::from_ptr(at), AtomicU64::from_ptr(at.add(1)))
        }
    }

    fn cookie(&self) -> &AtomicU32 {
        // SAFETY: as of `word16`, for the four octets at the beginning.
        unsafe { AtomicU32::from_ptr(self.base.as_ptr().cast()) }
    }

    /// Makes new memory a ring. For the client, before it tells the server.
    pub(super) fn init(&self) {
        self.word16(FLAGS).store(MASK_INT, Ordering::Relaxed);
        self.word16(HEAD).store(0, Ordering::Relaxed);
        self.word16(TAIL).store(0, Ordering::Relaxed);
        self.cookie().store(COOKIE, Ordering::Release);
    }

    /// Whether it was made a ring.
    pub(super) fn check_cookie(&self) -> Result<(), Fault> {
        if self.cookie().load(Ordering::Acquire) == COOKIE { Ok(()) } else { Err(Fault::BadCookie) }
    }

    /// Where the client has got to.
    #[inline]
    pub(super) fn head(&self) -> u16 {
        self.word16(HEAD).load(Ordering::Acquire)
    }

    /// Publishes everything the client did before.
    #[inline]
    pub(super) fn set_head(&self, head: u16) {
        self.word16(HEAD).store(head, Ordering::Release);
    }

    /// Where the server has got to.
    #[inline]
    pub(super) fn tail(&self) -> u16 {
        self.word16(TAIL).load(Ordering::Acquire)
    }

    /// Publishes everything the server did before.
    #[inline]
    pub(super) fn set_tail(&self, tail: u16) {
        self.word16(TAIL).store(tail, Ordering::Release);
    }

    /// The descriptor with this (free-running) index, copied once.
    #[inline]
    pub(super) fn desc(&self, index: u16) -> Desc {
        let (first, second) = self.words(index);
        zerocopy::transmute!([first.load(Ordering::Relaxed), second.load(Ordering::Relaxed)])
    }

    /// Writes a descriptor; to be published by [`set_head`](Self::set_head) or [`set_tail`](Self::set_tail).
    #[inline]
    pub(super) fn set_desc(&self, index: u16, desc: Desc) {
        let [a, b]: [u64; 2] = zerocopy::transmute!(desc);
        let (first, second) = self.words(index);
        first.store(a, Ordering::Relaxed);
        second.store(b, Ordering::Relaxed);
    }

    /// Another view of the same ring, for somebody else in this process.
    pub(super) fn again(&self) -> Self {
        Self { base: self.base, size: self.size, memory: Arc::clone(&self.memory) }
    }

    /// Where in the first region of its memory an octet lies, if it does.
    #[inline]
    pub(super) fn offset_of(&self, octet: *const u8) -> Option<u32> {
        self.memory.offset_of(octet)
    }

    /// The buffer that a descriptor names.
    #[inline]
    pub(super) fn buffer(&self, desc: &Desc) -> Result<Place<'_>, Fault> {
        self.memory.place(desc.region, desc.offset, desc.length)
    }

    /// For the receiver: whether it wants interrupts from now on. A look at the index after this sees whatever
    /// the peer published before it saw the wish.
    pub(super) fn want_interrupts(&self, want: bool) {
        self.word16(FLAGS).store(if want { 0 } else { MASK_INT }, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// For the sender, after publishing: whether the receiver wants an interrupt.
    pub(super) fn wants_interrupt(&self) -> bool {
        fence(Ordering::SeqCst);
        self.word16(FLAGS).load(Ordering::Relaxed) & MASK_INT == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_lies_in_its_region_and_is_aligned() {
        let (memory, _fd) = Memory::create(4096).unwrap();
        let memory = Arc::new(memory);
        let ring = |region, offset, log2| Ring::new(Arc::clone(&memory), region, offset, log2).map(|_| ());
        assert_eq!(ring(0, 0, 4), Ok(()));
        assert_eq!(ring(0, 4096 - octets(4), 4), Ok(()));
        assert_eq!(ring(0, 4096 - octets(4) + 8, 4), Err(Fault::BadRing));
        assert_eq!(ring(0, u32::MAX - 7, 4), Err(Fault::BadRing));
        assert_eq!(ring(0, 4, 4), Err(Fault::BadRing));
        assert_eq!(ring(1, 0, 4), Err(Fault::BadRing));
        assert_eq!(ring(0, 0, 15), Err(Fault::BadRing));
        assert_eq!(Ring::new(memory, 0, 0, 4).unwrap().check_cookie(), Err(Fault::BadCookie));
    }
}
