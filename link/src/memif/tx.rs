//! The sending end of a ring, either direction.
//!
//! Slots from `next` to `limit` may be filled. In an S2M ring (we are the client) the buffers are ours and the
//! limit is the server's tail plus the ring's length; in an M2S ring the client's head is the limit and its
//! descriptors say where its empty buffers are. A burst is one look at the peer's index and one store of ours.

use super::fault::Fault;
use super::metadata;
use super::region::Place;
use super::ring::{Buffers, Desc, NEXT, Ring, SHORT};
use crate::frame::OutFrame;
use crate::queue::Taken;
use std::os::fd::OwnedFd;

/// The least that an empty buffer may hold, so that a client cannot make the server walk a thousand descriptors
/// for one frame.
pub(super) const MIN_BUFFER: u32 = 64;

/// How many slots before a buffer is filled its first line is fetched. The receiver's core had it last; with this
/// a frame of 64 octets between two cores takes two thirds of the time.
const AHEAD: u16 = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct TxRing {
    ring: Ring,
    /// Where our buffers are, if we are the client.
    buffers: Option<Buffers>,
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
    /// The client's end.
    pub(super) fn client(ring: Ring, buffers: Buffers, eventfd: OwnedFd, unfinished: bool) -> Self {
        Self::new(ring, Some(buffers), eventfd, unfinished)
    }

    /// The server's end.
    pub(super) fn server(ring: Ring, eventfd: OwnedFd, unfinished: bool) -> Self {
        Self::new(ring, None, eventfd, unfinished)
    }

    fn new(ring: Ring, buffers: Option<Buffers>, eventfd: OwnedFd, unfinished: bool) -> Self {
        Self {
            ring,
            metadata: buffers.is_some() || unfinished,
            buffers,
            next: 0,
            limit: 0,
            filled: 0,
            dirty: false,
            losses: 0,
            unfinished,
            broken: false,
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
    fn look(&mut self) -> Result<(), Fault> {
        let limit = match self.buffers {
            Some(_) => self.ring.tail().wrapping_add(self.ring.size()),
            None => self.ring.head(),
        };
        if let Err(fault) = self.ring.check_memory(&mut self.losses) {
            self.broken = true;
            return Err(fault);
        }
        if limit.wrapping_sub(self.next) > self.ring.size() {
            self.broken = true;
            return Err(Fault::BadIndex);
        }
        self.limit = limit;
        Ok(())
    }

    /// Octets that the whole ring holds, counted as [`ORDINARY`](crate::ORDINARY) in each slot.
    pub(super) fn octets(&self) -> usize {
        usize::from(self.ring.size()) * crate::ORDINARY
    }

    /// How many slots are free; looks at the peer's index only if fewer than `wanted` are known to be.
    pub(super) fn room(&mut self, wanted: usize) -> Result<usize, Fault> {
        if self.broken {
            return Ok(0);
        }
        if usize::from(self.free()) < wanted {
            self.look()?;
        }
        Ok(self.free().into())
    }

    /// Takes frames from the front. After an error the ring is broken and takes nothing more.
    #[inline]
    pub(super) fn send(&mut self, frames: &[OutFrame<'_>]) -> (Taken, Result<(), Fault>) {
        let mut taken = Taken::default();
        if self.broken {
            return (taken, Ok(()));
        }
        if usize::from(self.free()) < frames.len()
            && let Err(fault) = self.look()
        {
            return (taken, Err(fault));
        }
        let first = self.next;
        let mut result = Ok(());
        for frame in frames {
            match self.put(frame) {
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
            match self.buffers {
                Some(_) => self.ring.set_head(self.next),
                None => self.ring.set_tail(self.next),
            }
        }
        (taken, result)
    }

    /// The empty buffer of a slot for a frame of `len` octets, or for the beginning of it: our own, or what the client posted
    /// there.
    #[inline]
    fn empty(&self, slot: u16, len: usize) -> Result<(Desc, Place<'_>), Fault> {
        let mut desc = match &self.buffers {
            Some(buffers) => buffers.empty(slot),
            None => self.ring.desc(slot),
        };
        if desc.length < MIN_BUFFER {
            return Err(Fault::BadDescriptorBounds);
        }
        if len <= SHORT.min(desc.length) as usize && self.metadata && desc.metadata != 0 {
            (desc.offset, desc.length) = (desc.metadata, SHORT);
        }
        Ok((desc, self.ring.buffer(&desc)?))
    }

    #[inline]
    fn put(&mut self, frame: &OutFrame<'_>) -> Result<Fate, Fault> {
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
        let (desc, place) = self.empty(self.next, len)?;
        if len > desc.length as usize {
            return self.put_chain(frame, metadata);
        }
        if self.free() > AHEAD
            && let Ok((_, later)) = self.empty(self.next.wrapping_add(AHEAD), len)
        {
            later.prefetch_for_write();
        }
        place.fill(frame);
        self.ring.set_desc(self.next, Desc { flags: 0, length: len as u32, metadata, ..desc });
        Ok(Fate::Sent(1))
    }

    /// A frame over several buffers.
    #[cold]
    fn put_chain(&mut self, frame: &OutFrame<'_>, mut metadata: u32) -> Result<Fate, Fault> {
        self.look()?;
        let Some(slots) = self.slots_for(frame.len())? else {
            let all_free = self.free() == self.ring.size();
            let never = all_free || self.buffers.is_some_and(|own| own.total() < frame.len() as u64);
            return Ok(if never { Fate::Never } else { Fate::Full });
        };
        let mut left = frame.len();
        let mut segs = frame.segs();
        let mut seg = segs.next();
        for i in 0..slots {
            let slot = self.next.wrapping_add(i);
            let (desc, mut place) = self.empty(slot, usize::MAX)?;
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
            self.ring.set_desc(slot, Desc { flags, length, metadata, ..desc });
            metadata = 0;
        }
        // The client's descriptors may have changed between the two looks; what is sent is in bounds anyway.
        Ok(if left == 0 { Fate::Sent(slots) } else { return Err(Fault::BadDescriptorBounds) })
    }

    /// How many of the free slots this many octets need; `None` where they are not enough.
    fn slots_for(&self, len: usize) -> Result<Option<u16>, Fault> {
        let mut room = 0;
        for slots in 1..=self.free() {
            let (desc, _) = self.empty(self.next.wrapping_add(slots - 1), usize::MAX)?;
            room += u64::from(desc.length);
            if room >= len as u64 {
                return Ok(Some(slots));
            }
        }
        Ok(None)
    }

    /// Whether the peer has to be woken for what was sent since the last time.
    #[inline]
    pub(super) fn kick(&mut self) {
        if core::mem::take(&mut self.dirty) && self.ring.wants_interrupt() {
            // A full counter is a pending interrupt, too.
            let _ = rustix::io::write(&self.eventfd, &1u64.to_ne_bytes());
        }
    }

    /// Frames that were sent and not read by the peer, as far as its indices can be believed.
    pub(super) fn unread(&self) -> u64 {
        let size = self.ring.size();
        let unread = match self.buffers {
            Some(_) => self.next.wrapping_sub(self.ring.tail()),
            // What is neither free nor read is unread; a client that posted less than the whole ring at first
            // makes this too much, but never more than was sent.
            None => size.saturating_sub(self.ring.head().wrapping_sub(self.next)),
        };
        let slots = u64::from(unread.min(size)).min(self.filled) as u16;
        let ends = (1..=slots).filter(|back| self.ring.desc(self.next.wrapping_sub(*back)).flags & NEXT == 0);
        ends.count() as u64
    }
}
