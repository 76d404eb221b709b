//! The buffers of a client whose frames may come back in the very buffers it sent them in.
//!
//! ```text
//!   sent in buffer A:     S2M slot: A                    M2S slot: B, empty
//!   given back, exchanged:          B, empty                       A, the frame
//! ```
//!
//! So no slot has a buffer for good. Those that are free are in two stacks: **hot** ones, in which a frame was a moment ago, and
//! **cold** ones, which came back empty and were never touched. A frame is sent in the hottest; a buffer in which a frame was
//! received becomes the hottest, and a cold one is posted instead of it. So as many buffers go round as frames are under way, and
//! a few hundred of those stay in a core's own cache, where a whole ring of them would not.
//!
//! Short frames have no part in this: they lie in the short places of their slots, and there is nothing to do for them here.
//!
//! One pool serves an S2M ring and the M2S ring of the same number. Buffers may wander between pools, as an exchange may be
//! between any two rings; each keeps as many as it has.
//!
//! **Trust.** The server says which buffer it gives. That is checked to be one of this memory; one that it gives twice
//! garbles its own link's frames, as it could anyway.

use super::fault::Fault;
use super::layout::Buffers;
use super::ring::{Desc, Ring};
use std::collections::VecDeque;

/// See the module. A buffer is named by the offset where it begins.
#[derive(Debug)]
pub(super) struct Pool {
    own: Buffers,
    /// The S2M ring.
    ring: Ring,
    /// The slots that were filled by buffers and not released when this was last looked at, each with its buffer, in order.
    held: VecDeque<(u16, u32)>,
    hot: Vec<u32>,
    cold: Vec<u32>,
}

impl Pool {
    /// For an S2M ring that is empty, with the buffers that belong to its descriptors.
    pub(super) fn new(ring: Ring, own: &Buffers) -> Self {
        let size = ring.size();
        Self {
            own: *own,
            held: VecDeque::with_capacity(size.into()),
            hot: (0..size).rev().map(|slot| own.own(slot)).collect(),
            cold: Vec::with_capacity(size.into()),
            ring,
        }
    }

    /// What belongs to the slots of its ring.
    #[inline]
    pub(super) fn own(&self) -> &Buffers {
        &self.own
    }

    /// The buffer that will be taken after so many others, as it would be in this slot. `None`: there are not so many.
    #[inline]
    pub(super) fn ahead(&self, others: u16, slot: u16) -> Option<Desc> {
        let others = usize::from(others);
        let buffer = match self.hot.len().checked_sub(others + 1) {
            Some(at) => self.hot.get(at),
            None => self.cold.iter().rev().nth(others - self.hot.len()),
        };
        buffer.map(|buffer| self.own.with(slot, *buffer))
    }

    /// A frame, or a piece of it, was put into the first buffer ahead and lies in this slot.
    #[inline]
    pub(super) fn take(&mut self, slot: u16) {
        if let Some(buffer) = self.hot.pop().or_else(|| self.cold.pop()) {
            self.held.push_back((slot, buffer));
        }
    }

    /// Takes back what lies in the slots before `tail`, the server's index, which must not be behind the last one filled.
    #[inline]
    pub(super) fn reclaim(&mut self, tail: u16) -> Result<(), Fault> {
        while let Some((slot, buffer)) = self.held.front().copied() {
            // No two slots under way are further apart than the ring is long.
            if tail.wrapping_sub(slot).wrapping_sub(1) >= self.ring.size() {
                break;
            }
            self.held.pop_front();
            let now = self.ring.desc(slot).offset;
            if now == buffer {
                self.hot.push(buffer);
            } else if self.own.is_one(now) {
                self.cold.push(now);
            } else {
                return Err(Fault::BadDescriptorBounds);
            }
        }
        Ok(())
    }

    /// So many buffers in which frames were received are done: makes sure that as many cold ones are there, if there are any.
    #[inline]
    pub(super) fn expect(&mut self, buffers: usize) {
        if self.cold.len() < buffers {
            // What is wrong here is left to the sender to report.
            let _ = self.reclaim(self.ring.tail());
        }
    }

    /// The frame in this buffer is done. Says which one to post instead.
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

    /// All buffers in it, those in its ring included.
    #[cfg(test)]
    pub(super) fn all(&self) -> Vec<u32> {
        let held = self.held.iter().map(|(_, buffer)| *buffer);
        self.hot.iter().chain(&self.cold).copied().chain(held).collect()
    }
}
