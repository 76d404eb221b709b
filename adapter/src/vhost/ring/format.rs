//! What the data path asks of a ring, whichever its format: split ([`Split`](super::split::Split)) or packed
//! ([`Packed`](super::packed::Packed)).
//!
//! The loops over frames are generic and compiled once for each format; which one a ring has is decided when it starts
//! and looked at once a burst. A place in a ring is a `u16`: of a split ring its running index, of a packed one the slot
//! with the wrap counter in bit 15, as it is in its event suppression areas.

use super::chain::{Access, Pieces};
use super::{Fault, Ring};
use crate::vhost::memory::MemoryMap;
use core::fmt::Debug;
use core::ptr::NonNull;

/// Another descriptor follows.
pub(super) const DESC_F_NEXT: u16 = 1;
/// The device may write, not read.
pub(super) const DESC_F_WRITE: u16 = 2;
/// The buffer is a table of descriptors.
pub(super) const DESC_F_INDIRECT: u16 = 4;

/// Octets of a descriptor, in either format.
pub(super) const DESC_LEN: u32 = 16;

/// A copy of one descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Desc {
    /// Guest physical address.
    pub(super) addr: u64,
    /// Octets.
    pub(super) len: u32,
    /// `DESC_F_*`, nothing else.
    pub(super) flags: u16,
    /// Split: the index of the next one, when `DESC_F_NEXT`. Packed: the buffer's id.
    pub(super) link: u16,
}

/// A chain of descriptors that waits or is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// By what the driver knows it: the head's index, or the buffer's id.
    pub(super) id: u16,
    /// Places of the ring that it takes: 1 in a split ring.
    pub(super) slots: u16,
}

/// Some octets that the device wrote beside buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// In the descriptor table, else in the used ring or device area.
    pub(super) desc: bool,
    /// From there on.
    pub(super) offset: u64,
    /// How many.
    pub(super) len: u64,
}

/// Where the three parts of a ring are, as the front end says it: its own virtual addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingAddress {
    /// Descriptor table; the ring itself where it is packed.
    pub desc: u64,
    /// Available ring; the driver's event suppression.
    pub avail: u64,
    /// Used ring; the device's event suppression.
    pub used: u64,
}

/// A ring in our address space.
pub(super) trait Format: Sized + Debug {
    /// It is packed.
    const PACKED: bool;

    /// Finds its parts in `map`. `None` when one is not wholly inside a region, is not aligned, or the size is none that
    /// the format can have. Valid as long as the map lives.
    fn new(map: &MemoryMap, at: RingAddress, size: u16) -> Option<Self>;

    /// Slots.
    fn size(&self) -> u16;

    /// Where to go on in a ring that somebody had before us, by what is in it; `base` is what the front end says. `None`:
    /// nobody can know.
    fn resume(&mut self, base: u16) -> Option<u16>;

    /// Slots that wait from `pos` on; of a packed ring no more than `most` are counted.
    fn waiting(&self, pos: u16, most: u16) -> u16;

    /// The place so many slots behind `pos`.
    fn after(&self, pos: u16, slots: u16) -> u16;

    /// The driver's place, for people: of a packed ring up to where descriptors are available.
    fn avail(&self, pos: u16) -> u16;

    /// The first descriptor of the chain that waits at `pos`.
    fn first(&self, pos: u16) -> Desc;

    /// The same with the chain, if that is this one descriptor or may be more: whoever asks looks at the flags. `None`
    /// where its number is none.
    fn single(&self, pos: u16) -> Option<(Desc, Chain)>;

    /// The chain that waits at `pos`. After an error nothing behind it can be found.
    fn chain(&self, pos: u16) -> Result<Chain, Fault>;

    /// Appends the pieces of that chain; says how many octets they have. Empty buffers are left out. After an error,
    /// `pieces` may have gained some.
    fn walk(
        ring: &mut Ring<Self>,
        pos: u16,
        chain: Chain,
        access: Access,
        pieces: &mut Pieces,
    ) -> Result<usize, Fault>;

    /// Writes that the chain at `pos` is used; not visible to the driver before [`publish`](Self::publish).
    fn complete(&mut self, pos: u16, chain: Chain, len: u32);

    /// Hands over everything up to `pos`.
    fn publish(&mut self, pos: u16);

    /// Asks for the line in which the chain at `pos` is completed, to write it.
    fn prefetch_used(&self, pos: u16);

    /// What a publication of everything from `from` up to `to` wrote.
    fn written(&self, from: u16, to: u16) -> [Written; 3];

    /// The parts of which each publication writes some, and nothing else.
    fn publishes(&self) -> [Written; 2];

    /// Whether the driver wants to be told of what was published from `from` up to `to`.
    fn wants_call(&self, from: u16, to: u16, event_idx: bool) -> bool;

    /// Lets the driver notify us of the next chain, the one at `pos`.
    fn ask(&self, pos: u16, event_idx: bool) -> Option<Written>;

    /// Asks the driver not to notify us. We are at `pos`.
    fn refuse(&self, pos: u16, event_idx: bool) -> Option<Written>;
}

/// An indirect table: descriptors outside the ring, two words each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    base: NonNull<u8>,
    entries: u32,
}

impl Table {
    /// The table of `len` octets at `base`.
    ///
    /// # Safety
    /// `len` octets are mapped at `base` for as long as the table is used.
    pub(super) unsafe fn new(base: NonNull<u8>, len: u32) -> Option<Self> {
        let aligned = base.as_ptr().addr().is_multiple_of(8);
        (aligned && len >= DESC_LEN && len.is_multiple_of(DESC_LEN))
            .then_some(Self { base, entries: len / DESC_LEN })
    }

    /// Its entries.
    pub(super) fn entries(&self) -> u32 {
        self.entries
    }

    /// A copy of the words of entry `index`.
    pub(super) fn get(&self, index: u32) -> Option<(u64, u64)> {
        // SAFETY: index < entries, so the entry is inside the table, which is mapped (contract of `new`) and
        // begins at a multiple of 8.
        (index < self.entries).then(|| unsafe { words(self.base.add(index as usize * DESC_LEN as usize)) })
    }
}

/// Copies the two words of the descriptor at `ptr`, each once.
///
/// # Safety
/// 16 octets are mapped at `ptr`, which is a multiple of 8.
#[inline(always)]
pub(super) unsafe fn words(ptr: NonNull<u8>) -> (u64, u64) {
    use core::sync::atomic::{AtomicU64, Ordering};
    let ptr = ptr.as_ptr().cast::<u64>();
    // SAFETY: mapped and aligned for both words (contract).
    unsafe {
        (
            AtomicU64::from_ptr(ptr).load(Ordering::Relaxed),
            AtomicU64::from_ptr(ptr.add(1)).load(Ordering::Relaxed),
        )
    }
}
