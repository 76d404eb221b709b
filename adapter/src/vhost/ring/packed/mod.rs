//! The words of a packed ring in guest memory (virtio 1.2, section 2.8), read and written one at a time.
//!
//! ```text
//!   descriptor ring   size x { addr u64, len u32, id u16, flags u16 }   16-octet aligned
//!   driver area       off_wrap u16, flags u16                            4: when the driver wants to be told
//!   device area       off_wrap u16, flags u16                            4: when the device wants to be told
//! ```
//!
//! A place in it is a slot and a wrap counter, which begins with 1. A slot is available where `AVAIL` is the counter and
//! `USED` is not, used where both are.
//!
//! Chains are completed in order, one used descriptor for each, and a burst appears at once: all but its first used
//! descriptor are written before that one's flags. What makes the ring say where its device stands, were that killed,
//! is said in [`resume`]: the slots that a chain took beside its first one are marked as used, too (no driver looks at
//! them), and `off_wrap` of the device area, which has no meaning while the device does not ask, is always our place.
//!
//! As in a split ring every word is an atomic access, what was read is a copy, and every slot is below the size here.

mod resume;
mod walk;

use super::chain::{Access, Pieces};
use super::format::{
    Chain, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, DESC_LEN, Desc, Format, RingAddress, Written, words,
};
use super::split::MAX_RING_SIZE;
use super::{Fault, Ring};
use crate::vhost::memory::MemoryMap;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use link::prefetch;

/// Bits of a descriptor's flags: available and used, each beside the wrap counter.
const DESC_F_AVAIL: u16 = 1 << 7;
const DESC_F_USED: u16 = 1 << 15;

/// A bit that nobody has a use for: a descriptor that is available still and says already how it will be used.
const DESC_F_HIDDEN: u16 = 1 << 14;

/// The wrap counter in a place.
const WRAP: u16 = 1 << 15;

/// `flags` of an event suppression area: tell always, never, or when `off_wrap` is passed.
const EVENT_ENABLE: u16 = 0;
const EVENT_DISABLE: u16 = 1;
const EVENT_DESC: u16 = 2;

/// Octets of an event suppression area.
pub(super) const EVENT_LEN: u64 = 4;

/// The device area.
const DEVICE: Written = Written { desc: false, offset: 0, len: EVENT_LEN };

/// A ring's three parts in our address space, and what of a burst is not visible yet.
#[derive(Debug)]
pub(super) struct Packed {
    desc: NonNull<u8>,
    driver: NonNull<u16>,
    device: NonNull<u16>,
    size: u16,
    first: Option<First>,
}

/// The first used descriptor of a burst.
#[derive(Clone, Copy, Debug)]
struct First {
    slot: u16,
    /// Its second word, as it will be.
    word: u64,
    /// The burst has others, which are written.
    more: bool,
}

/// The second word of a descriptor.
#[inline(always)]
fn word(len: u32, id: u16, flags: u16) -> u64 {
    u64::from(len) | u64::from(id) << 32 | u64::from(flags) << 48
}

/// A descriptor of a packed ring or table.
#[inline(always)]
fn desc((addr, rest): (u64, u64)) -> Desc {
    let flags = (rest >> 48) as u16 & (DESC_F_NEXT | DESC_F_WRITE | DESC_F_INDIRECT);
    Desc { addr, len: rest as u32, flags, link: (rest >> 32) as u16 }
}

/// The wrap counter of a place.
#[inline(always)]
fn wrap(pos: u16) -> bool {
    pos & WRAP != 0
}

impl Packed {
    /// The slot of a place. Places come from [`after`](Format::after) and `resume`, which know the size; this is what
    /// makes it safe.
    #[inline(always)]
    fn slot(&self, pos: u16) -> u16 {
        let slot = pos & !WRAP;
        if slot < self.size { slot } else { 0 }
    }

    #[inline(always)]
    fn at(&self, slot: u16) -> NonNull<u8> {
        debug_assert!(slot < self.size);
        // SAFETY: callers pass a slot below size (from `slot`, or counted up to it), and 16 * size octets are mapped
        // there while the map lives (see `new`).
        unsafe { self.desc.add(usize::from(slot) * DESC_LEN as usize) }
    }

    #[inline(always)]
    fn desc(&self, slot: u16) -> Desc {
        // SAFETY: `at` is mapped and a multiple of 16.
        desc(unsafe { words(self.at(slot)) })
    }

    /// The length, id and flags in a slot.
    #[inline(always)]
    fn word(&self, slot: u16) -> &AtomicU64 {
        // SAFETY: the second half of a descriptor, mapped (`at`) and at a multiple of 8. The guest races only with atomic
        // accesses.
        unsafe { AtomicU64::from_ptr(self.at(slot).add(8).as_ptr().cast()) }
    }

    #[inline(always)]
    fn flags(&self, slot: u16) -> &AtomicU16 {
        // SAFETY: the last two octets of a descriptor, as in `word`.
        unsafe { AtomicU16::from_ptr(self.at(slot).add(14).as_ptr().cast()) }
    }

    #[inline(always)]
    fn event(area: NonNull<u16>, half: usize) -> *mut u16 {
        debug_assert!(half < 2);
        // SAFETY: callers pass 0 or 1, and four octets are mapped there while the map lives (see `new`).
        unsafe { area.as_ptr().add(half) }
    }

    #[inline(always)]
    fn driver(&self, half: usize) -> &AtomicU16 {
        // SAFETY: mapped and aligned to 4 (see `new`).
        unsafe { AtomicU16::from_ptr(Self::event(self.driver, half)) }
    }

    #[inline(always)]
    fn device(&self, half: usize) -> &AtomicU16 {
        // SAFETY: as in `driver`.
        unsafe { AtomicU16::from_ptr(Self::event(self.device, half)) }
    }

    /// The descriptor at `pos` is available. What the driver wrote before that is visible afterwards.
    #[inline(always)]
    fn is_available(&self, pos: u16) -> bool {
        let flags = self.flags(self.slot(pos)).load(Ordering::Acquire);
        (flags & DESC_F_AVAIL != 0) == wrap(pos) && (flags & DESC_F_USED != 0) != wrap(pos)
    }

    /// Marks a slot behind the first one of a chain at `pos` as used: its other flags stay, for whoever takes the chain again.
    fn mark_used(&self, pos: u16) {
        let flags = self.flags(self.slot(pos));
        let kept = flags.load(Ordering::Relaxed) & !(DESC_F_AVAIL | DESC_F_USED);
        flags.store(kept | used_flags(pos), Ordering::Relaxed);
    }

    /// Octets of slots from one place up to another, as at most two stretches.
    fn stretches(&self, from: u16, to: u16) -> [Written; 2] {
        let descs = |first: u16, count: u16| Written {
            desc: true,
            offset: u64::from(DESC_LEN) * u64::from(first),
            len: u64::from(DESC_LEN) * u64::from(count),
        };
        let (first, end) = (self.slot(from), self.slot(to));
        if from == to {
            [descs(0, 0); 2]
        } else if wrap(from) == wrap(to) {
            [descs(first, end.saturating_sub(first)), descs(0, 0)]
        } else {
            [descs(first, self.size - first), descs(0, end)]
        }
    }

    /// Places from `from` to `to`, of two rounds, after which the wrap counter is what it was.
    fn distance(&self, from: u16, to: u16) -> u32 {
        let size = u32::from(self.size);
        let line = |pos: u16| u32::from(pos & !WRAP) + if wrap(pos) { 0 } else { size };
        (line(to) + 2 * size - line(from) % (2 * size)) % (2 * size)
    }
}

/// `AVAIL` and `USED` of a used descriptor at `pos`.
#[inline(always)]
fn used_flags(pos: u16) -> u16 {
    if wrap(pos) { DESC_F_AVAIL | DESC_F_USED } else { 0 }
}

impl Format for Packed {
    const PACKED: bool = true;

    fn new(map: &MemoryMap, at: RingAddress, size: u16) -> Option<Self> {
        if size == 0 || size > MAX_RING_SIZE {
            return None;
        }
        let desc = map.at_user(at.desc, u64::from(DESC_LEN) * u64::from(size))?;
        let driver = map.at_user(at.avail, EVENT_LEN)?;
        let device = map.at_user(at.used, EVENT_LEN)?;
        let aligned = |ptr: NonNull<u8>, to: usize| ptr.as_ptr().addr().is_multiple_of(to);
        (aligned(desc, 16) && aligned(driver, 4) && aligned(device, 4)).then(|| Self {
            desc,
            driver: driver.cast(),
            device: device.cast(),
            size,
            first: None,
        })
    }

    #[inline(always)]
    fn size(&self) -> u16 {
        self.size
    }

    fn resume(&mut self, base: u16) -> Option<u16> {
        self.place(base)
    }

    #[inline(always)]
    fn waiting(&self, pos: u16, most: u16) -> u16 {
        let most = most.min(self.size);
        let mut pos = pos;
        for waiting in 0..most {
            if !self.is_available(pos) {
                return waiting;
            }
            pos = self.after(pos, 1);
        }
        most
    }

    #[inline(always)]
    fn after(&self, pos: u16, slots: u16) -> u16 {
        let slot = u32::from(self.slot(pos)) + u32::from(slots);
        let size = u32::from(self.size);
        // A chain has no more slots than the ring, so it wraps once.
        if slot < size { slot as u16 | pos & WRAP } else { (slot - size) as u16 | (pos ^ WRAP) & WRAP }
    }

    fn avail(&self, pos: u16) -> u16 {
        self.after(pos, self.waiting(pos, self.size))
    }

    #[inline(always)]
    fn first(&self, pos: u16) -> Desc {
        self.desc(self.slot(pos))
    }

    #[inline(always)]
    fn single(&self, pos: u16) -> Option<(Desc, Chain)> {
        let desc = self.first(pos);
        (desc.link < self.size).then_some((desc, Chain { id: desc.link, slots: 1 }))
    }

    fn chain(&self, pos: u16) -> Result<Chain, Fault> {
        self.extent(pos)
    }

    fn walk(
        ring: &mut Ring<Self>,
        pos: u16,
        chain: Chain,
        access: Access,
        pieces: &mut Pieces,
    ) -> Result<usize, Fault> {
        walk::walk(ring, pos, chain, access, pieces)
    }

    #[inline(always)]
    fn complete(&mut self, pos: u16, chain: Chain, len: u32) {
        if let Some(first) = self.first.as_mut().filter(|first| !first.more) {
            first.more = true;
            let first = *first;
            // What it will say, still as an available one: so nothing of the burst is only in our memory from here on.
            let flags = self.flags(first.slot).load(Ordering::Relaxed) | DESC_F_HIDDEN;
            let hidden = first.word & !(u64::from(u16::MAX) << 48) | u64::from(flags) << 48;
            self.word(first.slot).store(hidden, Ordering::Release);
        }
        for behind in 1..chain.slots {
            self.mark_used(self.after(pos, behind));
        }
        let slot = self.slot(pos);
        let written = if len > 0 { DESC_F_WRITE } else { 0 };
        let used = word(len, chain.id, used_flags(pos) | written);
        if self.first.is_some() {
            self.word(slot).store(used, Ordering::Release);
        } else {
            self.first = Some(First { slot, word: used, more: false });
        }
    }

    #[inline(always)]
    fn publish(&mut self, pos: u16) {
        if let Some(first) = self.first.take() {
            self.device(0).store(pos, Ordering::Relaxed);
            self.word(first.slot).store(first.word, Ordering::Release);
        }
    }

    #[inline(always)]
    fn prefetch_used(&self, pos: u16) {
        prefetch::for_write(self.at(self.slot(pos)));
    }

    fn written(&self, from: u16, to: u16) -> [Written; 3] {
        let [straight, begun] = self.stretches(from, to);
        [DEVICE, straight, begun]
    }

    fn publishes(&self) -> [Written; 2] {
        [DEVICE, Written { desc: true, offset: 0, len: u64::from(DESC_LEN) * u64::from(self.size) }]
    }

    #[inline]
    fn wants_call(&self, from: u16, to: u16, event_idx: bool) -> bool {
        match self.driver(1).load(Ordering::Acquire) & 3 {
            EVENT_DISABLE => false,
            EVENT_DESC if event_idx => {
                let event = self.driver(0).load(Ordering::Relaxed);
                self.distance(from, event) < self.distance(from, to)
            }
            _ => true,
        }
    }

    #[inline]
    fn ask(&self, pos: u16, event_idx: bool) -> Option<Written> {
        self.device(0).store(pos, Ordering::Relaxed);
        self.device(1).store(if event_idx { EVENT_DESC } else { EVENT_ENABLE }, Ordering::Release);
        Some(DEVICE)
    }

    #[inline]
    fn refuse(&self, pos: u16, _event_idx: bool) -> Option<Written> {
        self.device(1).store(EVENT_DISABLE, Ordering::Release);
        self.device(0).store(pos, Ordering::Relaxed);
        Some(DEVICE)
    }
}
