//! The words of a split ring in guest memory (virtio 1.2, section 2.7), read and written one at a time.
//!
//! ```text
//!   descriptor table   size x { addr u64, len u32, flags u16, next u16 }     16-octet aligned
//!   available ring     flags u16, idx u16, size x head u16, used_event u16    2
//!   used ring          flags u16, idx u16, size x { id u32, len u32 }, avail_event u16   4
//! ```
//!
//! The guest may write all of it at any moment, so every word is an atomic access through a raw pointer, and
//! what was read is a copy: check the copy, use the copy. Every position is masked by the ring's size here,
//! so that no value of a guest can lead outside the ring, whatever the caller forgot.

use crate::vhost::memory::MemoryMap;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use link::prefetch;

const _: () = assert!(cfg!(target_endian = "little"), "virtio 1.x rings are little-endian");

/// The largest split ring.
pub const MAX_RING_SIZE: u16 = 32_768;

/// Octets of a descriptor.
pub(crate) const DESC_LEN: u32 = 16;

/// The driver does not want to be told of used buffers (`flags` of the available ring).
pub(crate) const AVAIL_F_NO_INTERRUPT: u16 = 1;
/// The device does not want to be told of available buffers (`flags` of the used ring).
pub(crate) const USED_F_NO_NOTIFY: u16 = 1;

/// Another descriptor follows.
pub(crate) const DESC_F_NEXT: u16 = 1;
/// The device may write, not read.
pub(crate) const DESC_F_WRITE: u16 = 2;
/// The buffer is a table of descriptors.
pub(crate) const DESC_F_INDIRECT: u16 = 4;

/// A copy of one descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Desc {
    /// Guest physical address.
    pub(crate) addr: u64,
    /// Octets.
    pub(crate) len: u32,
    /// `DESC_F_*`.
    pub(crate) flags: u16,
    /// Index of the next one, when `DESC_F_NEXT`.
    pub(crate) next: u16,
}

impl Desc {
    /// Copies the descriptor at `ptr`, each half once.
    ///
    /// # Safety
    /// 16 octets are mapped at `ptr`, which is a multiple of 8.
    #[inline(always)]
    unsafe fn read(ptr: NonNull<u8>) -> Self {
        let ptr = ptr.as_ptr().cast::<u64>();
        // SAFETY: mapped and aligned for both words (contract).
        let (addr, rest) = unsafe {
            (
                AtomicU64::from_ptr(ptr).load(Ordering::Relaxed),
                AtomicU64::from_ptr(ptr.add(1)).load(Ordering::Relaxed),
            )
        };
        Self { addr, len: rest as u32, flags: (rest >> 32) as u16, next: (rest >> 48) as u16 }
    }
}

/// An indirect table: descriptors outside the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    base: NonNull<u8>,
    entries: u32,
}

impl Table {
    /// The table of `len` octets at `base`.
    ///
    /// # Safety
    /// `len` octets are mapped at `base` for as long as the table is used.
    pub(crate) unsafe fn new(base: NonNull<u8>, len: u32) -> Option<Self> {
        let aligned = base.as_ptr().addr().is_multiple_of(8);
        (aligned && len >= DESC_LEN && len.is_multiple_of(DESC_LEN))
            .then_some(Self { base, entries: len / DESC_LEN })
    }

    /// A copy of entry `index`.
    pub(crate) fn get(&self, index: u16) -> Option<Desc> {
        // SAFETY: index < entries, so the entry is inside the table, which is mapped (contract of `new`) and
        // begins at a multiple of 8.
        (u32::from(index) < self.entries)
            .then(|| unsafe { Desc::read(self.base.add(usize::from(index) * DESC_LEN as usize)) })
    }
}

/// Where the three parts of a ring are, as the front end says it: its own virtual addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingAddress {
    /// Descriptor table.
    pub desc: u64,
    /// Available ring.
    pub avail: u64,
    /// Used ring.
    pub used: u64,
}

/// What the device writes of a used ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UsedPart {
    /// Flags and index.
    Head,
    /// From this slot on, so many elements.
    Elements(u16, u16),
    /// The index at which the device wants to be told.
    AvailEvent,
}

/// Octets of a used ring of `size` slots.
pub(crate) fn used_len(size: u16) -> u64 {
    6 + 8 * u64::from(size)
}

/// Where a part is in a used ring of `size` slots: offset and octets.
pub(crate) fn used_part(part: UsedPart, size: u16) -> (u64, u64) {
    match part {
        UsedPart::Head => (0, 4),
        UsedPart::Elements(first, count) => (4 + 8 * u64::from(first), 8 * u64::from(count)),
        UsedPart::AvailEvent => (4 + 8 * u64::from(size), 2),
    }
}

/// A ring's three parts in our address space.
#[derive(Debug)]
pub(crate) struct Layout {
    desc: NonNull<u8>,
    avail: NonNull<u16>,
    used: NonNull<u16>,
    mask: u16,
}

impl Layout {
    /// Finds the parts in `map`. `None` when one is not wholly inside a region, is not aligned, or the size is
    /// no power of two up to [`MAX_RING_SIZE`]. Valid as long as the map lives.
    pub(crate) fn new(map: &MemoryMap, at: RingAddress, size: u16) -> Option<Self> {
        if !size.is_power_of_two() || size > MAX_RING_SIZE {
            return None;
        }
        let n = u64::from(size);
        let desc = map.at_user(at.desc, 16 * n)?;
        let avail = map.at_user(at.avail, 6 + 2 * n)?;
        let used = map.at_user(at.used, used_len(size))?;
        let aligned = |ptr: NonNull<u8>, to: usize| ptr.as_ptr().addr().is_multiple_of(to);
        (aligned(desc, 16) && aligned(avail, 2) && aligned(used, 4)).then(|| Self {
            desc,
            avail: avail.cast(),
            used: used.cast(),
            mask: size - 1,
        })
    }

    /// Slots of the ring.
    #[inline(always)]
    pub(crate) fn size(&self) -> u16 {
        self.mask + 1
    }

    #[inline(always)]
    fn avail_word(&self, word: usize) -> &AtomicU16 {
        // SAFETY: callers pass at most size + 2, and 6 + 2 * size octets are mapped there while the map lives
        // (see `new`), aligned to 2. The guest races only with atomic accesses.
        unsafe { AtomicU16::from_ptr(self.avail.as_ptr().add(word)) }
    }

    #[inline(always)]
    fn used_word(&self, word: usize) -> &AtomicU16 {
        // SAFETY: callers pass at most 4 * size + 2, and 6 + 8 * size octets are mapped there while the map
        // lives (see `new`), aligned to 4.
        unsafe { AtomicU16::from_ptr(self.used.as_ptr().add(word)) }
    }

    /// The driver's index. What it wrote before is visible afterwards.
    #[inline(always)]
    pub(crate) fn avail_idx(&self) -> u16 {
        self.avail_word(1).load(Ordering::Acquire)
    }

    /// `AVAIL_F_*`.
    #[inline(always)]
    pub(crate) fn avail_flags(&self) -> u16 {
        self.avail_word(0).load(Ordering::Relaxed)
    }

    /// The used index at whose passing the driver wants to be told.
    #[inline(always)]
    pub(crate) fn used_event(&self) -> u16 {
        self.avail_word(2 + usize::from(self.size())).load(Ordering::Relaxed)
    }

    /// The head that the driver put at position `pos`.
    #[inline(always)]
    pub(crate) fn head(&self, pos: u16) -> u16 {
        self.avail_word(2 + usize::from(pos & self.mask)).load(Ordering::Relaxed)
    }

    /// A copy of the descriptor `index`, which is taken modulo the ring's size.
    #[inline(always)]
    pub(crate) fn desc(&self, index: u16) -> Desc {
        // SAFETY: the masked index is below size, and 16 * size octets are mapped there, aligned to 16.
        unsafe { Desc::read(self.desc.add(usize::from(index & self.mask) * DESC_LEN as usize)) }
    }

    /// Writes the used element at `pos`; not visible to the driver before [`publish`](Self::publish).
    #[inline(always)]
    pub(crate) fn put_used(&self, pos: u16, id: u16, len: u32) {
        let word = 2 + 4 * usize::from(pos & self.mask);
        // SAFETY: word + 4 <= 4 * size + 2 words, all mapped while the map lives (see `new`); used is aligned
        // to 4 and so is every element. Two words, for an element need not be aligned to 8.
        unsafe {
            let element = self.used.as_ptr().add(word).cast::<u32>();
            AtomicU32::from_ptr(element).store(u32::from(id), Ordering::Relaxed);
            AtomicU32::from_ptr(element.add(1)).store(len, Ordering::Relaxed);
        }
    }

    /// Asks for the line of the used element at `pos`, to write it.
    #[inline(always)]
    pub(crate) fn prefetch_used(&self, pos: u16) {
        let word = 2 + 4 * usize::from(pos & self.mask);
        // SAFETY: as in `put_used`.
        prefetch::for_write(unsafe { self.used.add(word) }.cast());
    }

    /// Hands over everything up to `idx`.
    #[inline(always)]
    pub(crate) fn publish(&self, idx: u16) {
        self.used_word(1).store(idx, Ordering::Release);
    }

    /// The used index in memory.
    pub(crate) fn used_idx(&self) -> u16 {
        self.used_word(1).load(Ordering::Relaxed)
    }

    /// Sets `USED_F_*`.
    pub(crate) fn set_used_flags(&self, flags: u16) {
        self.used_word(0).store(flags, Ordering::Relaxed);
    }

    /// Sets the available index at whose passing we want to be told.
    pub(crate) fn set_avail_event(&self, idx: u16) {
        self.used_word(2 + 4 * usize::from(self.size())).store(idx, Ordering::Relaxed);
    }
}
