//! Where the empty places come from that a [sending end](super::tx) fills. What differs between the three ways is here, and the
//! sending end is compiled for each of them: between them no frame has to choose.

use super::fault::Fault;
use super::layout::Buffers;
use super::pool::Pool;
use super::ring::{Desc, Ring, SHORT};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(super) enum Source {
    /// The client posts them: we are the server. The rings of the client's frames, if it takes them back.
    Posted(Box<[Ring]>),
    /// Each slot has its own.
    Fixed(Buffers),
    /// Buffers wander.
    Pooled(Arc<Mutex<Pool>>),
}

/// A [`Source`] in use for a burst; where nothing else is said, we are the client.
pub(super) trait Open {
    /// The end of the slots that may be filled, by the peer's index; and what is wrong with what the peer gave back.
    #[inline(always)]
    fn limit(&mut self, ring: &Ring) -> (u16, Result<(), Fault>) {
        (ring.tail().wrapping_add(ring.size()), Ok(()))
    }

    /// The empty place of a slot for a frame of `len` octets, or for the beginning of it. From a pool it is the one that will be
    /// taken after so many others.
    fn empty(&self, ring: &Ring, slot: u16, others: u16, len: usize) -> Result<Desc, Fault>;

    /// The empty place of a slot was filled, as this says.
    #[inline(always)]
    fn filled(&mut self, _slot: u16, _desc: &Desc) {}

    /// Publishes what was filled.
    #[inline(always)]
    fn publish(&self, ring: &Ring, next: u16) {
        ring.set_head(next);
    }

    /// Octets of a buffer, where all are our own.
    fn size(&self) -> Option<u32>;

    /// The rings of the peer's frames, if it takes them back in their buffers.
    #[inline(always)]
    fn lent(&self) -> &[Ring] {
        &[]
    }
}

/// Whether frames of this length go into the short place beside a buffer of this size.
#[inline(always)]
pub(super) fn is_short(len: usize, size: u32) -> bool {
    len <= SHORT.min(size) as usize
}

/// [`Source::Posted`].
pub(super) struct Posted<'a>(pub(super) &'a [Ring]);

impl Open for Posted<'_> {
    #[inline(always)]
    fn limit(&mut self, ring: &Ring) -> (u16, Result<(), Fault>) {
        (ring.head(), Ok(()))
    }

    #[inline(always)]
    fn empty(&self, ring: &Ring, slot: u16, _others: u16, _len: usize) -> Result<Desc, Fault> {
        Ok(ring.desc(slot))
    }

    #[inline(always)]
    fn publish(&self, ring: &Ring, next: u16) {
        ring.set_tail(next);
    }

    fn size(&self) -> Option<u32> {
        None
    }

    #[inline(always)]
    fn lent(&self) -> &[Ring] {
        self.0
    }
}

impl Open for &Buffers {
    #[inline(always)]
    fn empty(&self, _ring: &Ring, slot: u16, _others: u16, _len: usize) -> Result<Desc, Fault> {
        Ok(Buffers::empty(self, slot))
    }

    fn size(&self) -> Option<u32> {
        Some(Buffers::size(self))
    }
}

impl Open for MutexGuard<'_, Pool> {
    #[inline(always)]
    fn limit(&mut self, ring: &Ring) -> (u16, Result<(), Fault>) {
        let tail = ring.tail();
        (tail.wrapping_add(ring.size()), self.reclaim(tail))
    }

    #[inline(always)]
    fn empty(&self, _ring: &Ring, slot: u16, others: u16, len: usize) -> Result<Desc, Fault> {
        if is_short(len, self.own().size()) {
            return Ok(self.own().empty(slot));
        }
        self.ahead(others, slot).ok_or(Fault::BadIndex)
    }

    #[inline(always)]
    fn filled(&mut self, slot: u16, desc: &Desc) {
        if desc.offset != self.own().short(slot) {
            self.take(slot);
        }
    }

    fn size(&self) -> Option<u32> {
        Some(self.own().size())
    }
}
