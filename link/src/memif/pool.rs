//! The places of a client whose frames may come back in the very places it sent them in.
//!
//! ```text
//!   sent in place A:      S2M slot: A                    M2S slot: B, empty
//!   given back, exchanged:          B, empty                       A, the frame
//! ```
//!
//! So no slot has a place for good. Those that are free are in two stacks: **hot** ones, in which a frame was a moment ago, and
//! **cold** ones, which came back empty and were never touched. A frame is sent in the hottest; a place in which a frame was
//! received becomes the hottest, and a cold one is posted instead of it. So as many places go round as frames are under way, and
//! a few hundred of those stay in a core's own cache, where a whole ring of them would not.
//!
//! One pool serves an S2M ring and the M2S ring of the same number. Places may wander between pools, as an exchange may be
//! between any two rings; each keeps as many as it has.
//!
//! **Trust.** The server says which place it gives. That is checked to be a place of this memory; one that it gives twice
//! garbles its own link's frames, as it could anyway.

use super::fault::Fault;
use super::layout::{Buffers, Places};
use super::ring::{Desc, Ring};

/// See the module.
#[derive(Debug)]
pub(super) struct Pool {
    places: Places,
    /// The S2M ring.
    ring: Ring,
    /// The place in each of its slots from `reclaimed` to `filled`, and where in it the frame begins.
    held: Box<[(u32, u32)]>,
    reclaimed: u16,
    filled: u16,
    hot: Vec<u32>,
    cold: Vec<u32>,
}

impl Pool {
    /// For an S2M ring that is empty, with the places that belong to its descriptors.
    pub(super) fn new(ring: Ring, own: &Buffers) -> Self {
        let size = ring.size();
        Self {
            places: own.places(),
            held: vec![(0, 0); usize::from(size)].into(),
            reclaimed: 0,
            filled: 0,
            hot: (0..size).rev().map(|slot| own.place(slot)).collect(),
            cold: Vec::with_capacity(usize::from(size)),
            ring,
        }
    }

    /// All places of the client.
    #[inline]
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    fn slot(&self, index: u16) -> usize {
        usize::from(index & (self.ring.size() - 1))
    }

    /// The place that will be taken after so many others.
    #[inline]
    pub(super) fn ahead(&self, others: u16) -> Option<Desc> {
        let others = usize::from(others);
        let place = match self.hot.len().checked_sub(others + 1) {
            Some(at) => self.hot.get(at),
            None => self.cold.iter().rev().nth(others - self.hot.len()),
        };
        place.map(|place| self.places.empty(*place))
    }

    /// A frame was put into the first place ahead, beginning at `offset`; it is to lie in the next slot.
    #[inline]
    pub(super) fn take(&mut self, offset: u32) {
        let Some(place) = self.hot.pop().or_else(|| self.cold.pop()) else { return };
        let slot = self.slot(self.filled);
        self.held[slot] = (place, offset);
        self.filled = self.filled.wrapping_add(1);
    }

    /// Takes back what lies in the slots before `tail`, the server's index.
    #[inline]
    pub(super) fn reclaim(&mut self, tail: u16) -> Result<(), Fault> {
        if tail.wrapping_sub(self.reclaimed) > self.filled.wrapping_sub(self.reclaimed) {
            return Err(Fault::BadIndex);
        }
        while self.reclaimed != tail {
            let (place, offset) = self.held[self.slot(self.reclaimed)];
            let now = self.ring.desc(self.reclaimed);
            if now.offset == offset {
                self.hot.push(place);
            } else {
                // An empty one as it was posted; its short place is found without a division.
                self.cold.push(self.places.at(now.metadata).ok_or(Fault::BadDescriptorBounds)?);
            }
            self.reclaimed = self.reclaimed.wrapping_add(1);
        }
        Ok(())
    }

    /// The frames in so many places of the M2S ring are done: makes sure that as many cold ones are there, if there are any.
    #[inline]
    pub(super) fn expect(&mut self, places: u16) {
        if self.cold.len() < usize::from(places) {
            // What is wrong here is left to the sender to report.
            let _ = self.reclaim(self.ring.tail());
        }
    }

    /// The frame in this place is done. Says which place to post instead.
    #[inline]
    pub(super) fn renew(&mut self, used: u32) -> u32 {
        match self.cold.pop() {
            Some(cold) => {
                self.hot.push(used);
                cold
            }
            None => used,
        }
    }

    /// All places in it, those in its ring included.
    #[cfg(test)]
    pub(super) fn all(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.hot.iter().chain(&self.cold).copied().collect();
        let mut slot = self.reclaimed;
        while slot != self.filled {
            all.push(self.held[self.slot(slot)].0);
            slot = slot.wrapping_add(1);
        }
        all
    }
}
