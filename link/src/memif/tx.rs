//! The sending end of a ring, either direction.
//!
//! Slots from `next` to `limit` may be filled. In an S2M ring (we are the client) the buffers are ours and the
//! limit is the server's tail plus the ring's length; in an M2S ring the client's head is the limit and its
//! descriptors say where its empty buffers are. A burst is one look at the peer's index and one store of ours.
//!
//! A server that exchanges gives a client's frame back without copying it: the buffer that it lies in goes into the M2S slot, and
//! the empty one that was posted there into the S2M slot, to go back when the frame is released ([`pool`](super::pool)).

use super::fault::Fault;
use super::layout::Buffers;
use super::metadata;
use super::pool::Pool;
use super::region::Place;
use super::ring::{Desc, NEXT, Ring, SHORT};
use super::source::{Open, Posted, Source, is_short};
use crate::frame::{Lent, OutFrame};
use crate::queue::Taken;
use parking_lot::Mutex;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The least that an empty buffer may hold, so that a client cannot make the server walk a thousand descriptors
/// for one frame.
pub(super) const MIN_BUFFER: u32 = 64;

/// How many slots before a buffer is filled its first line is fetched. The receiver's core had it last; with this
/// a frame of 64 octets between two cores takes two thirds of the time.
const AHEAD: u16 = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct TxRing {
    slots: Slots,
    source: Source,
}

#[derive(Debug)]
struct Slots {
    ring: Ring,
    /// The first slot that is not filled.
    next: u16,
    /// The first slot that may not be filled.
    limit: u16,
    /// Slots ever filled.
    filled: u64,
    /// Something was sent since the last kick.
    dirty: bool,
    /// Losses of shared memory that this ring knows not to be its own.
    losses: u64,
    /// The peer takes unfinished frames.
    unfinished: bool,
    /// The metadata of an empty buffer is our own, or the client announced it.
    metadata: bool,
    broken: bool,
    /// Frames that were given back in the buffers they came in, not yet asked for.
    exchanged: usize,
    eventfd: OwnedFd,
}

/// What became of one frame.
enum Fate {
    /// It is in this many slots.
    Sent(u16),
    /// Not now.
    Full,
    /// Not ever: it is too long, or the peer cannot be told what is left undone.
    Never,
}

impl TxRing {
    /// The client's end, with a place for each slot.
    pub(super) fn client(ring: Ring, buffers: Buffers, eventfd: OwnedFd, unfinished: bool) -> Self {
        Self { source: Source::Fixed(buffers), slots: Slots::new(ring, eventfd, unfinished, true) }
    }

    /// The client's end, with buffers that wander.
    pub(super) fn pooled(ring: Ring, pool: Arc<Mutex<Pool>>, eventfd: OwnedFd, unfinished: bool) -> Self {
        Self { source: Source::Pooled(pool), slots: Slots::new(ring, eventfd, unfinished, true) }
    }

    /// The server's end. `lent` are the client's own rings, by number, where it takes frames back in their
    /// buffers.
    pub(super) fn server(ring: Ring, lent: Box<[Ring]>, eventfd: OwnedFd, unfinished: bool) -> Self {
        Self { source: Source::Posted(lent), slots: Slots::new(ring, eventfd, unfinished, unfinished) }
    }

    /// Octets that the whole ring holds, counted as [`ORDINARY`](crate::ORDINARY) in each slot.
    pub(super) fn octets(&self) -> usize {
        usize::from(self.slots.ring.size()) * crate::ORDINARY
    }

    /// How many frames were given back in the buffers they came in since this was asked.
    #[inline]
    pub(super) fn take_exchanged(&mut self) -> usize {
        core::mem::take(&mut self.slots.exchanged)
    }

    /// How many slots are free; looks at the peer's index only if fewer than `wanted` are known to be.
    pub(super) fn room(&mut self, wanted: usize) -> Result<usize, Fault> {
        if self.slots.broken {
            return Ok(0);
        }
        if usize::from(self.slots.free()) < wanted {
            match &self.source {
                Source::Posted(lent) => self.slots.look(&mut Posted(lent))?,
                Source::Fixed(buffers) => self.slots.look(&mut &*buffers)?,
                Source::Pooled(pool) => self.slots.look(&mut pool.lock())?,
            }
        }
        Ok(self.slots.free().into())
    }

    /// Takes frames from the front. After an error the ring is broken and takes nothing more.
    #[inline]
    pub(super) fn send(&mut self, frames: &[OutFrame<'_>]) -> (Taken, Result<(), Fault>) {
        let mut taken = Taken::default();
        if self.slots.broken {
            return (taken, Ok(()));
        }
        let (slots, taken_too) = (&mut self.slots, &mut taken);
        let result = match &self.source {
            Source::Posted(lent) => slots.send(frames, &mut Posted(lent), taken_too),
            Source::Fixed(buffers) => slots.send(frames, &mut &*buffers, taken_too),
            Source::Pooled(pool) => slots.send(frames, &mut pool.lock(), taken_too),
        };
        (taken, result)
    }

    /// The buffers of its pool.
    #[cfg(test)]
    pub(super) fn buffers(&self) -> Vec<u32> {
        match &self.source {
            Source::Pooled(pool) => pool.lock().all(),
            Source::Posted(_) | Source::Fixed(_) => Vec::new(),
        }
    }

    /// Whether the peer has to be woken for what was sent since the last time.
    #[inline]
    pub(super) fn kick(&mut self) {
        if core::mem::take(&mut self.slots.dirty) && self.slots.ring.wants_interrupt() {
            // A full counter is a pending interrupt, too.
            let _ = rustix::io::write(&self.slots.eventfd, &1u64.to_ne_bytes());
        }
    }

    /// Frames that were sent and not read by the peer, as far as its indices can be believed.
    pub(super) fn unread(&self) -> u64 {
        let Slots { ring, next, filled, .. } = &self.slots;
        let size = ring.size();
        let unread = match self.source {
            // What is neither free nor read is unread; a client that posted less than the whole ring at first
            // makes this too much, but never more than was sent.
            Source::Posted(_) => size.saturating_sub(ring.head().wrapping_sub(*next)),
            Source::Fixed(_) | Source::Pooled(_) => next.wrapping_sub(ring.tail()),
        };
        let slots = u64::from(unread.min(size)).min(*filled) as u16;
        let ends = (1..=slots).filter(|back| ring.desc(next.wrapping_sub(*back)).flags & NEXT == 0);
        ends.count() as u64
    }
}

impl Slots {
    fn new(ring: Ring, eventfd: OwnedFd, unfinished: bool, metadata: bool) -> Self {
        Self {
            ring,
            next: 0,
            limit: 0,
            filled: 0,
            dirty: false,
            losses: 0,
            unfinished,
            metadata,
            broken: false,
            exchanged: 0,
            eventfd,
        }
    }

    /// Slots that may be filled, as far as known.
    #[inline]
    fn free(&self) -> u16 {
        self.limit.wrapping_sub(self.next)
    }

    /// Looks at the peer's index.
    #[inline]
    fn look(&mut self, open: &mut impl Open) -> Result<(), Fault> {
        let (limit, reclaimed) = open.limit(&self.ring);
        // Before anything is called a fault: what was read may be zeros of our own making.
        let looked = self.ring.check_memory(&mut self.losses).and(reclaimed);
        let in_ring = limit.wrapping_sub(self.next) <= self.ring.size();
        let looked = looked.and(if in_ring { Ok(()) } else { Err(Fault::BadIndex) });
        looked.inspect_err(|_| self.broken = true)?;
        self.limit = limit;
        Ok(())
    }

    #[inline]
    fn send(
        &mut self,
        frames: &[OutFrame<'_>],
        open: &mut impl Open,
        taken: &mut Taken,
    ) -> Result<(), Fault> {
        if usize::from(self.free()) < frames.len() {
            self.look(open)?;
        }
        let first = self.next;
        let mut result = Ok(());
        for frame in frames {
            match self.put(frame, open) {
                Ok(Fate::Sent(slots)) => self.next = self.next.wrapping_add(slots),
                Ok(Fate::Never) => taken.refused += 1,
                Ok(Fate::Full) => break,
                Err(fault) => {
                    self.broken = true;
                    result = Err(fault);
                    break;
                }
            }
            taken.frames += 1;
        }
        if self.next != first {
            self.filled += u64::from(self.next.wrapping_sub(first));
            self.dirty = true;
            open.publish(&self.ring, self.next);
        }
        result
    }

    /// The empty place of a slot, as [`Open::empty`] says, and checked.
    #[inline(always)]
    fn empty(
        &self,
        open: &impl Open,
        slot: u16,
        others: u16,
        len: usize,
    ) -> Result<(Desc, Place<'_>), Fault> {
        let mut desc = open.empty(&self.ring, slot, others, len)?;
        if desc.length < MIN_BUFFER {
            return Err(Fault::BadDescriptorBounds);
        }
        if is_short(len, desc.length) && self.metadata && desc.metadata != 0 {
            (desc.offset, desc.length) = (desc.metadata, SHORT);
        }
        Ok((desc, self.ring.buffer(&desc)?))
    }

    /// That place was filled.
    #[inline(always)]
    fn fill(&self, open: &mut impl Open, slot: u16, desc: Desc) {
        self.ring.set_desc(slot, desc);
        open.filled(slot, &desc);
    }

    #[inline]
    fn put(&mut self, frame: &OutFrame<'_>, open: &mut impl Open) -> Result<Fate, Fault> {
        if self.free() == 0 {
            return Ok(Fate::Full);
        }
        let len = frame.len();
        let metadata = match &frame.undone {
            None => 0,
            Some(undone) => match metadata::pack(undone).filter(|_| self.unfinished) {
                Some(metadata) => metadata,
                None => return Ok(Fate::Never),
            },
        };
        if let Some(lent) = frame.body.lent()
            && let Some(fate) = self.give_back(frame, lent, metadata, open)?
        {
            return Ok(fate);
        }
        let (desc, place) = self.empty(open, self.next, 0, len)?;
        if len > desc.length as usize {
            return self.put_chain(frame, metadata, open);
        }
        if self.free() > AHEAD
            && let Ok((_, later)) = self.empty(open, self.next.wrapping_add(AHEAD), AHEAD, len)
        {
            later.prefetch_for_write();
        }
        place.fill(frame);
        self.fill(open, self.next, Desc { flags: 0, length: len as u32, metadata, ..desc });
        Ok(Fate::Sent(1))
    }

    /// A frame over several buffers.
    #[cold]
    fn put_chain(
        &mut self,
        frame: &OutFrame<'_>,
        mut metadata: u32,
        open: &mut impl Open,
    ) -> Result<Fate, Fault> {
        self.look(open)?;
        let Some(slots) = self.slots_for(frame.len(), open)? else {
            let all_free = self.free() == self.ring.size();
            let never = all_free || self.is_longer_than_all(frame.len(), open);
            return Ok(if never { Fate::Never } else { Fate::Full });
        };
        let mut left = frame.len();
        let mut segs = frame.segs();
        let mut seg = segs.next();
        for i in 0..slots {
            let slot = self.next.wrapping_add(i);
            // Of a pool the buffers before were taken already.
            let (desc, mut place) = self.empty(open, slot, 0, usize::MAX)?;
            let size = desc.length as usize;
            let mut room = size.min(left);
            let length = room as u32;
            left -= room;
            while let Some(part) = seg
                && room > 0
            {
                let n = place.put(&part);
                room -= n;
                seg = if n < part.len() { Some(part.skip(n)) } else { segs.next() };
            }
            let flags = if i + 1 < slots { NEXT } else { 0 };
            self.fill(open, slot, Desc { flags, length, metadata, ..desc });
            metadata = 0;
        }
        // The client's descriptors may have changed between the two looks; what is sent is in bounds anyway.
        Ok(if left == 0 { Fate::Sent(slots) } else { return Err(Fault::BadDescriptorBounds) })
    }

    /// Not even a ring that is wholly free holds so much.
    fn is_longer_than_all(&self, len: usize, open: &impl Open) -> bool {
        let all = |size| u64::from(size) * u64::from(self.ring.size());
        open.size().is_some_and(|size| all(size) < len as u64)
    }

    /// How many of the free slots this many octets need; `None` where they are not enough.
    fn slots_for(&self, len: usize, open: &impl Open) -> Result<Option<u16>, Fault> {
        let mut room = 0;
        for ahead in 0..self.free() {
            let (desc, _) = self.empty(open, self.next.wrapping_add(ahead), ahead, usize::MAX)?;
            room += u64::from(desc.length);
            if room >= len as u64 {
                return Ok(Some(ahead + 1));
            }
        }
        Ok(None)
    }

    /// Gives a frame back to the client in the buffers it came in. `None`: it does not lie in this client's memory, or not as
    /// it was lent.
    #[inline(never)]
    fn give_back(
        &mut self,
        frame: &OutFrame<'_>,
        lent: Lent,
        mut metadata: u32,
        open: &mut impl Open,
    ) -> Result<Option<Fate>, Fault> {
        let mut before = frame.head.len() as u32;
        let body = frame.body.segs().next().and_then(|seg| self.ring.offset_of(seg.as_ptr()));
        let Some(offset) = body.and_then(|body| body.checked_sub(before)) else { return Ok(None) };
        let count = frame.body.count();
        if count > usize::from(self.free()) {
            self.look(open)?;
            if count > usize::from(self.free()) {
                return Ok((count <= usize::from(self.ring.size())).then_some(Fate::Full));
            }
        }
        let Some(from) = open.lent().get(usize::from(lent.ring())) else { return Ok(None) };
        let slots = count as u16;
        let head = Desc { offset, length: before, ..Desc::default() };
        self.ring.buffer(&head)?.begin(frame.head);
        for (seg, i) in frame.body.segs().zip(0..slots) {
            let Some(offset) = self.ring.offset_of(seg.as_ptr()) else {
                return Err(Fault::BadDescriptorBounds);
            };
            let (to, back) = (self.next.wrapping_add(i), lent.slot().wrapping_add(i));
            let empty = self.ring.desc(to);
            let flags = if i + 1 < slots { NEXT } else { 0 };
            let length = seg.len() as u32 + before;
            self.ring.set_desc(to, Desc { flags, region: 0, length, offset: offset - before, metadata });
            from.set_desc(back, Desc { flags: 0, ..empty });
            (before, metadata) = (0, 0);
        }
        self.exchanged += 1;
        Ok(Some(Fate::Sent(slots)))
    }
}
