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

use super::chain::{Access, MAX_CHAIN, MAX_PIECES, Pieces};
use super::format::{
    Chain, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, DESC_LEN, Desc, Format, RingAddress, Table, Written,
    words,
};
use super::{Fault, Ring};
use crate::vhost::memory::MemoryMap;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use link::prefetch;

const _: () = assert!(cfg!(target_endian = "little"), "virtio 1.x rings are little-endian");

/// The largest ring, split or packed.
pub const MAX_RING_SIZE: u16 = 32_768;

/// The driver does not want to be told of used buffers (`flags` of the available ring).
const AVAIL_F_NO_INTERRUPT: u16 = 1;
/// The device does not want to be told of available buffers (`flags` of the used ring).
const USED_F_NO_NOTIFY: u16 = 1;

/// A descriptor of a split ring or table.
#[inline(always)]
fn desc((addr, rest): (u64, u64)) -> Desc {
    Desc { addr, len: rest as u32, flags: (rest >> 32) as u16, link: (rest >> 48) as u16 }
}

/// Octets of a used ring of `size` slots.
pub(crate) fn used_len(size: u16) -> u64 {
    6 + 8 * u64::from(size)
}

/// Flags and index of the used ring.
const HEAD: Written = Written { desc: false, offset: 0, len: 4 };

/// A ring's three parts in our address space.
#[derive(Debug)]
pub(super) struct Split {
    desc: NonNull<u8>,
    avail: NonNull<u16>,
    used: NonNull<u16>,
    mask: u16,
}

impl Split {
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
    fn avail_idx(&self) -> u16 {
        self.avail_word(1).load(Ordering::Acquire)
    }

    /// `AVAIL_F_*`.
    #[inline(always)]
    fn avail_flags(&self) -> u16 {
        self.avail_word(0).load(Ordering::Relaxed)
    }

    /// The used index at whose passing the driver wants to be told.
    #[inline(always)]
    fn used_event(&self) -> u16 {
        self.avail_word(2 + usize::from(self.size())).load(Ordering::Relaxed)
    }

    /// The head that the driver put at position `pos`.
    #[inline(always)]
    fn head(&self, pos: u16) -> u16 {
        self.avail_word(2 + usize::from(pos & self.mask)).load(Ordering::Relaxed)
    }

    /// A copy of the descriptor `index`, which is taken modulo the ring's size.
    #[inline(always)]
    fn desc(&self, index: u16) -> Desc {
        // SAFETY: the masked index is below size, and 16 * size octets are mapped there, aligned to 16.
        desc(unsafe { words(self.desc.add(usize::from(index & self.mask) * DESC_LEN as usize)) })
    }

    /// Writes the used element at `pos`; not visible to the driver before [`publish`](Self::publish).
    #[inline(always)]
    fn put_used(&self, pos: u16, id: u16, len: u32) {
        let word = 2 + 4 * usize::from(pos & self.mask);
        // SAFETY: word + 4 <= 4 * size + 2 words, all mapped while the map lives (see `new`); used is aligned
        // to 4 and so is every element. Two words, for an element need not be aligned to 8.
        unsafe {
            let element = self.used.as_ptr().add(word).cast::<u32>();
            AtomicU32::from_ptr(element).store(u32::from(id), Ordering::Relaxed);
            AtomicU32::from_ptr(element.add(1)).store(len, Ordering::Relaxed);
        }
    }

    /// The used index in memory.
    fn used_idx(&self) -> u16 {
        self.used_word(1).load(Ordering::Relaxed)
    }

    /// Sets `USED_F_*`.
    fn set_used_flags(&self, flags: u16) {
        self.used_word(0).store(flags, Ordering::Relaxed);
    }

    /// Sets the available index at whose passing we want to be told.
    fn set_avail_event(&self, idx: u16) {
        self.used_word(2 + 4 * usize::from(self.size())).store(idx, Ordering::Relaxed);
    }
}

impl Format for Split {
    const PACKED: bool = false;

    fn new(map: &MemoryMap, at: RingAddress, size: u16) -> Option<Self> {
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

    #[inline(always)]
    fn size(&self) -> u16 {
        self.mask + 1
    }

    /// What the driver has seen so far. A base that differs is that of a front end that lost its back end and begins
    /// anew (DPDK's virtio-user): what is used already must not be taken again.
    fn resume(&mut self, _base: u16) -> Option<u16> {
        Some(self.used_idx())
    }

    #[inline(always)]
    fn waiting(&self, pos: u16, _most: u16) -> u16 {
        self.avail_idx().wrapping_sub(pos)
    }

    #[inline(always)]
    fn after(&self, pos: u16, slots: u16) -> u16 {
        pos.wrapping_add(slots)
    }

    fn avail(&self, _pos: u16) -> u16 {
        self.avail_idx()
    }

    #[inline(always)]
    fn first(&self, pos: u16) -> Desc {
        self.desc(self.head(pos))
    }

    #[inline(always)]
    fn single(&self, pos: u16) -> Option<(Desc, Chain)> {
        let head = self.head(pos);
        (head < self.size()).then(|| (self.desc(head), Chain { id: head, slots: 1 }))
    }

    #[inline(always)]
    fn chain(&self, pos: u16) -> Result<Chain, Fault> {
        Ok(Chain { id: self.head(pos), slots: 1 })
    }

    fn walk(
        ring: &mut Ring<Self>,
        _pos: u16,
        chain: Chain,
        access: Access,
        pieces: &mut Pieces,
    ) -> Result<usize, Fault> {
        let size = ring.format.size();
        let mut total = 0;
        let mut table: Option<Table> = None;
        let mut index = chain.id;
        // A chain is no longer than the ring (virtio 1.2, 2.7.5.3.1), but Linux builds indirect tables longer
        // than a small ring. One step more for the descriptor that names the table.
        for _ in 0..=usize::from(size).max(MAX_PIECES) {
            let next = match &table {
                None if index >= size => return Err(Fault::BadDescriptor),
                None => ring.format.desc(index),
                Some(table) => table.get(index.into()).map(desc).ok_or(Fault::BadDescriptor)?,
            };
            if next.flags & DESC_F_INDIRECT != 0 {
                table = Some(ring.indirect(next, table.is_some())?);
                index = 0;
                continue;
            }
            if (next.flags & DESC_F_WRITE != 0) != (access == Access::Write) {
                return Err(Fault::BadChain);
            }
            total += next.len as usize;
            if total > MAX_CHAIN && access == Access::Read {
                return Err(Fault::Oversize);
            }
            ring.translate(next.addr, next.len, pieces)?;
            if next.flags & DESC_F_NEXT == 0 {
                return Ok(total);
            }
            index = next.link;
        }
        Err(Fault::ChainLoop)
    }

    #[inline(always)]
    fn complete(&mut self, pos: u16, chain: Chain, len: u32) {
        self.put_used(pos, chain.id, len);
    }

    #[inline(always)]
    fn publish(&mut self, pos: u16) {
        self.used_word(1).store(pos, Ordering::Release);
    }

    #[inline(always)]
    fn prefetch_used(&self, pos: u16) {
        let word = 2 + 4 * usize::from(pos & self.mask);
        // SAFETY: as in `put_used`.
        prefetch::for_write(unsafe { self.used.add(word) }.cast());
    }

    fn written(&self, from: u16, to: u16) -> [Written; 3] {
        let (first, count) = (from & self.mask, to.wrapping_sub(from));
        // At most two stretches: to the end of the ring, and from its beginning.
        let straight = count.min(self.size() - first);
        let elements = |first: u16, count: u16| Written {
            desc: false,
            offset: 4 + 8 * u64::from(first),
            len: 8 * u64::from(count),
        };
        [HEAD, elements(first, straight), elements(0, count - straight)]
    }

    fn publishes(&self) -> [Written; 2] {
        let elements = Written { desc: false, offset: 4, len: 8 * u64::from(self.size()) };
        [HEAD, elements]
    }

    #[inline]
    fn wants_call(&self, from: u16, to: u16, event_idx: bool) -> bool {
        if event_idx {
            to.wrapping_sub(self.used_event()).wrapping_sub(1) < to.wrapping_sub(from)
        } else {
            self.avail_flags() & AVAIL_F_NO_INTERRUPT == 0
        }
    }

    #[inline]
    fn ask(&self, pos: u16, event_idx: bool) -> Option<Written> {
        if event_idx {
            self.set_avail_event(pos);
            Some(Written { desc: false, offset: 4 + 8 * u64::from(self.size()), len: 2 })
        } else {
            self.set_used_flags(0);
            Some(HEAD)
        }
    }

    #[inline]
    fn refuse(&self, _pos: u16, event_idx: bool) -> Option<Written> {
        // With an event index the driver tells once, and is not asked again.
        (!event_idx).then(|| {
            self.set_used_flags(USED_F_NO_NOTIFY);
            HEAD
        })
    }
}
