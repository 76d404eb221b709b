//! Where to go on in a packed ring that somebody had before us.
//!
//! A split ring has a used index in memory. A packed one has not; after a device was killed, front ends have an old place
//! (QEMU: the one from which the ring was started). But `USED` of a slot is turned by the device alone, once a round: what
//! the driver writes there when it makes a slot available is what is there. We turn it in every slot that we pass, so only
//! one place fits a ring:
//!
//! ```text
//!   slots before our place      USED = our wrap counter
//!   slots from there on         USED = the other one
//! ```
//!
//! - What we wrote into the device area fits, but for what a burst does to a ring while it is handed over (some twenty
//!   instructions, in any of which we may have been killed): the slots behind the first one of a chain are turned before that
//!   one; the first one of a burst is turned last and, where there are others, says before what it is to say, with a bit
//!   that no driver looks at; our place is written just before. A burst with that bit is handed over as far as it is written; a
//!   chain without it was touched by nobody and is taken again.
//! - The place that the front end names fits, or the ring is a fresh one.
//! - Another device (DPDK's) leaves alone what a chain has behind its first slot. Its place is what the front end says, as long
//!   as nothing from there on is used.
//! - Else nobody knows, and the ring does not start: a driver that gets its buffers back in the wrong order is worse off than
//!   one that is told to begin anew.

use super::super::format::{Chain, DESC_F_WRITE, Format};
use super::{DESC_F_HIDDEN, DESC_F_USED, Packed, WRAP, used_flags, word, wrap};
use core::sync::atomic::Ordering;

impl Packed {
    /// The place to go on from, where the front end says `base`.
    pub(super) fn place(&self, base: u16) -> Option<u16> {
        let ours = self.device(0).load(Ordering::Relaxed);
        let killed = || self.at_the_begin(ours).or_else(|| self.before_the_end(ours));
        // First, for a burst that goes once round the ring leaves `USED` as if nothing had been used.
        if let Some(pos) = self.has(ours).then(killed).flatten() {
            return Some(pos);
        }
        // A ring that nobody used is all zero, whatever the front end calls that.
        let fits = |pos: &u16| self.has(*pos) && self.wrong(*pos).next().is_none();
        if let Some(pos) = [base, WRAP].into_iter().find(fits) {
            return Some(pos);
        }
        let beyond = |slot: u16| self.used_bit(slot) == wrap(base);
        (self.has(base) && !(self.slot(base)..self.size).any(beyond)).then_some(base)
    }

    fn has(&self, pos: u16) -> bool {
        pos & !WRAP < self.size
    }

    fn used_bit(&self, slot: u16) -> bool {
        self.flags(slot).load(Ordering::Acquire) & DESC_F_USED != 0
    }

    /// The slots that are not as they are where the device stands at `pos`.
    fn wrong(&self, pos: u16) -> impl Iterator<Item = u16> {
        (0..self.size).filter(move |slot| self.used_bit(*slot) != (wrap(pos) == (*slot < self.slot(pos))))
    }

    /// The chain that is available at `pos`.
    fn offered(&self, pos: u16) -> Option<Chain> {
        if self.is_available(pos) { self.extent(pos).ok() } else { None }
    }

    /// Nothing is wrong where the device stands at `pos`, but perhaps the slot `but`, and slots behind the first one of a chain
    /// that is available there, which may be turned already. The chain is looked up once: a guest may make it as long as the ring.
    fn fits(&self, pos: u16, but: Option<u16>) -> bool {
        let behind = self.offered(pos).map_or(1..1, |chain| 1..u32::from(chain.slots));
        let size = u32::from(self.size);
        let ahead = |slot: u16| (u32::from(slot) + size - u32::from(self.slot(pos))) % size;
        self.wrong(pos).all(|slot| Some(slot) == but || behind.contains(&ahead(slot)))
    }

    /// The chain at this place is available and says how it will be used.
    fn is_hidden(&self, pos: u16) -> bool {
        self.is_available(pos) && self.flags(self.slot(pos)).load(Ordering::Relaxed) & DESC_F_HIDDEN != 0
    }

    /// We were at `ours` when a burst of several chains began: up to where it is written.
    fn at_the_begin(&self, ours: u16) -> Option<u16> {
        let chain = self.offered(ours).filter(|_| self.is_hidden(ours))?;
        let mut pos = self.after(ours, chain.slots);
        let mut left = self.size - chain.slots;
        while left > 0 && self.used_bit(self.slot(pos)) == wrap(pos) {
            pos = self.after(pos, 1);
            left -= 1;
        }
        self.fits(pos, Some(self.slot(ours))).then(|| {
            self.hand_over(ours);
            pos
        })
    }

    /// We were to be at `ours`, and either are or lack the first chain of a burst.
    fn before_the_end(&self, ours: u16) -> Option<u16> {
        if self.fits(ours, None) {
            return Some(ours);
        }
        let first = self.wrong(ours).next()?;
        let first = first | if first < self.slot(ours) { ours & WRAP } else { !ours & WRAP };
        let chain = self.offered(first)?;
        let only = self.wrong(ours).nth(1).is_none();
        if only && self.is_hidden(first) {
            self.hand_over(first);
            return Some(ours);
        }
        // The only one of its burst, which says nothing yet.
        (only && self.distance(first, ours) == u32::from(chain.slots)).then_some(first)
    }

    /// Makes the chain at `pos` used, whose slot says already how.
    fn hand_over(&self, pos: u16) {
        let (slot, desc) = (self.slot(pos), self.first(pos));
        let written = if desc.len > 0 { DESC_F_WRITE } else { 0 };
        self.word(slot).store(word(desc.len, desc.link, used_flags(pos) | written), Ordering::Release);
    }
}
