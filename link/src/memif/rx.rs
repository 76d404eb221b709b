//! The receiving end of a ring, either direction.
//!
//! Slots from `next` to the peer's index hold frames. A burst is one look at that index, one copy of each
//! descriptor, and one store of our index when it is released. In an M2S ring (we are the client) releasing also
//! posts the buffers again, so that all of the ring is always either waiting for us or empty at the server.

use super::fault::Fault;
use super::layout::Buffers;
use super::metadata;
use super::pool::Pool;
use super::region::Place;
use super::ring::{Desc, NEXT, Ring, SHORT};
use crate::frame::{Frame, Gather, Lent, Seg};
use crate::queue::{BURST, RxBurst};
use parking_lot::Mutex;
use std::sync::Arc;

/// The longest frame that is taken from a peer: a segmentation super-frame of 64 KiB and its headers fit.
const MAX_FRAME: u32 = 1 << 17;

/// The first piece of a frame that may go back in its buffers, where it has several, is at least as long as any head.
const HEAD: u32 = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct RxRing {
    ring: Ring,
    source: Source,
    /// The first slot that is not released.
    next: u16,
    /// For each frame lent: the slot behind it.
    ends: [u16; BURST],
    /// Frames lent.
    lent: usize,
    /// The burst has chains.
    chained: bool,
    /// Holds the segments of chains: each slot is in one chain at the most, so a ring's length is enough.
    segs: Box<[Seg<'static>]>,
    /// Losses of shared memory that this ring knows not to be its own.
    losses: u64,
    /// All bits of the metadata that are read or written: none where the peer announced nothing.
    metadata: u32,
    broken: bool,
}

/// Who posts empty places.
#[derive(Debug)]
enum Source {
    /// The client does. Frames are lent as this ring's if it takes them back in their buffers.
    Peer { lends: Option<u16> },
    /// We do, for each slot its own.
    Fixed(Buffers),
    /// We do, and buffers wander.
    Wandering(Wandering),
}

/// Where empty buffers come from if a frame may lie in any.
#[derive(Debug)]
struct Wandering {
    own: Buffers,
    /// `None` where there are more rings in this direction: what was received is posted again.
    pool: Option<Arc<Mutex<Pool>>>,
    /// Where the buffer of each slot begins.
    held: Box<[u32]>,
    /// The slots of the burst whose frames lie in a buffer.
    used: Vec<u16>,
}

impl RxRing {
    /// The server's end: the client fills and posts. It is the ring of this number, where frames may go back in their
    /// buffers.
    pub(super) fn server(ring: Ring, lends: Option<u16>, unfinished: bool) -> Self {
        Self::new(ring, Source::Peer { lends }, unfinished)
    }

    /// The client's end: the server fills what is posted here, beginning with all of it.
    pub(super) fn client(ring: Ring, buffers: Buffers, unfinished: bool) -> Self {
        Self::new(ring, Source::Fixed(buffers), unfinished).posting(&buffers)
    }

    /// The same for a server that gives frames back in the buffers they came in.
    pub(super) fn wandering(
        ring: Ring,
        own: Buffers,
        pool: Option<Arc<Mutex<Pool>>>,
        unfinished: bool,
    ) -> Self {
        let held = (0..ring.size()).map(|slot| own.own(slot)).collect();
        let used = Vec::with_capacity(ring.size().into());
        Self::new(ring, Source::Wandering(Wandering { own, pool, held, used }), unfinished).posting(&own)
    }

    fn posting(self, buffers: &Buffers) -> Self {
        for slot in 0..self.ring.size() {
            post(&self.ring, slot, buffers.empty(slot), self.metadata);
        }
        self.ring.set_head(self.ring.size());
        self
    }

    fn new(ring: Ring, source: Source, unfinished: bool) -> Self {
        ring.want_interrupts(false);
        let segs = vec![Seg::from_slice(&[]); usize::from(ring.size())].into();
        Self {
            ring,
            source,
            next: 0,
            ends: [0; BURST],
            lent: 0,
            chained: false,
            segs,
            losses: 0,
            metadata: if unfinished { u32::MAX } else { 0 },
            broken: false,
        }
    }

    /// Slots that hold frames.
    #[inline]
    fn waiting(&self) -> Result<u16, Fault> {
        let filled = match self.source {
            Source::Peer { .. } => self.ring.head(),
            Source::Fixed(_) | Source::Wandering(_) => self.ring.tail(),
        };
        let waiting = filled.wrapping_sub(self.next);
        if waiting > self.ring.size() { Err(Fault::BadIndex) } else { Ok(waiting) }
    }

    /// Lends frames. After an error the ring is broken and lends nothing more; frames before it are good.
    #[inline]
    pub(super) fn recv<'a>(&'a mut self, max: usize, burst: &mut RxBurst<'a>) -> Result<(), Fault> {
        (self.chained, self.lent) = (false, 0);
        if self.broken {
            return Ok(());
        }
        let waiting = self.waiting();
        let waiting = self.ring.check_memory(&mut self.losses).and(waiting);
        let waiting = waiting.inspect_err(|_| self.broken = true)?;
        if waiting == 0 {
            return Ok(());
        }
        let max = max.min(BURST).min(burst.remaining_capacity());
        let lending = Lending {
            ring: &self.ring,
            slot: self.next,
            end: self.next.wrapping_add(waiting),
            metadata: self.metadata,
            spare: &mut self.segs,
            ends: &mut self.ends[..max],
            lent: &mut self.lent,
            chained: &mut self.chained,
        };
        let lent = match &mut self.source {
            Source::Peer { lends: Some(ring) } => lending.lend(&mut Lends(*ring), burst),
            Source::Peer { lends: None } | Source::Fixed(_) => lending.lend(&mut Stays, burst),
            Source::Wandering(wandering) => {
                wandering.used.clear();
                lending.lend(wandering, burst)
            }
        };
        lent.inspect_err(|_| self.broken = true)
    }

    /// The first `taken` frames of the last burst are done.
    #[inline]
    pub(super) fn release(&mut self, taken: usize) {
        let Some(last) = taken.min(self.lent).checked_sub(1) else { return };
        let end = self.ends[last];
        self.lent = 0;
        let size = self.ring.size();
        match &mut self.source {
            Source::Peer { .. } => {
                if self.chained {
                    self.unchain(end);
                }
                self.next = end;
                return self.ring.set_tail(end);
            }
            Source::Fixed(buffers) => {
                for slot in slots(self.next, end) {
                    post(&self.ring, slot.wrapping_add(size), buffers.empty(slot), self.metadata);
                }
            }
            Source::Wandering(wandering) => {
                if !wandering.used.is_empty() {
                    wandering.renew(self.next, end);
                }
                let Wandering { own, held, .. } = wandering;
                for slot in slots(self.next, end) {
                    let buffer = held[usize::from(slot) & (held.len() - 1)];
                    post(&self.ring, slot.wrapping_add(size), own.with(slot, buffer), self.metadata);
                }
            }
        }
        self.next = end;
        self.ring.set_head(end.wrapping_add(size));
    }

    /// Clears NEXT in what is given back to a client: net_memif never clears it itself, and would chain the next
    /// frame in that slot to whatever follows.
    fn unchain(&self, end: u16) {
        for slot in slots(self.next, end) {
            let mut desc = self.ring.desc(slot);
            if desc.flags & NEXT != 0 {
                desc.flags &= !NEXT;
                self.ring.set_desc(slot, desc);
            }
        }
    }

    /// Asks for an interrupt and looks once more: `true` means nothing waits.
    pub(super) fn arm(&self) -> bool {
        if self.broken {
            return true;
        }
        self.ring.want_interrupts(true);
        // An impossible index is left to `recv` to report.
        if self.waiting() == Ok(0) {
            return true;
        }
        self.ring.want_interrupts(false);
        false
    }

    /// No interrupts, please.
    pub(super) fn disarm(&self) {
        self.ring.want_interrupts(false);
    }
}

impl Wandering {
    /// Keeps the buffer that came in a slot.
    fn hold(&mut self, slot: u16, offset: u32) -> Result<(), Fault> {
        let at = usize::from(slot) & (self.held.len() - 1);
        if self.held[at] != offset {
            if !self.own.is_one(offset) {
                return Err(Fault::BadDescriptorBounds);
            }
            self.held[at] = offset;
        }
        self.used.push(slot);
        Ok(())
    }

    /// The buffers used in these slots are done: others are to be posted, if there are any.
    fn renew(&mut self, from: u16, end: u16) {
        let Some(pool) = &self.pool else { return };
        let mut pool = pool.lock();
        pool.expect(self.used.len());
        for slot in self.used.drain(..) {
            if slot.wrapping_sub(from) < end.wrapping_sub(from) {
                let held = &mut self.held[usize::from(slot) & (self.held.len() - 1)];
                *held = pool.renew(*held);
            }
        }
    }
}

/// Posts an empty place in a slot, with those bits of the metadata that the peer reads.
#[inline]
fn post(ring: &Ring, slot: u16, empty: Desc, metadata: u32) {
    ring.set_desc(slot, Desc { metadata: empty.metadata & metadata, ..empty });
}

/// What is done with the buffers that frames came in.
trait Origin {
    /// There is a frame, or a piece of one, in this slot.
    #[inline(always)]
    fn came(&mut self, _slot: u16, _desc: &Desc) -> Result<(), Fault> {
        Ok(())
    }

    /// The place in which a frame lies that begins in this slot, if it may be given away.
    #[inline(always)]
    fn lent(&self, _slot: u16, _desc: &Desc) -> Option<Lent> {
        None
    }
}

/// Nothing.
struct Stays;

impl Origin for Stays {}

/// The client of the ring of this number takes them back.
struct Lends(u16);

impl Origin for Lends {
    #[inline(always)]
    fn lent(&self, slot: u16, desc: &Desc) -> Option<Lent> {
        // To copy a short one costs less than to exchange it.
        let worth = desc.length > SHORT && (desc.flags & NEXT == 0 || desc.length >= HEAD);
        if worth && desc.region == 0 { Lent::new(self.0, slot) } else { None }
    }
}

impl Origin for Wandering {
    #[inline(always)]
    fn came(&mut self, slot: u16, desc: &Desc) -> Result<(), Fault> {
        if desc.offset == self.own.short(slot) { Ok(()) } else { self.hold(slot, desc.offset) }
    }
}

/// A burst that is about to be lent.
struct Lending<'a, 'b> {
    ring: &'a Ring,
    /// The slots that hold frames.
    slot: u16,
    end: u16,
    /// All bits of the metadata that are read.
    metadata: u32,
    spare: &'a mut [Seg<'static>],
    ends: &'b mut [u16],
    lent: &'b mut usize,
    chained: &'b mut bool,
}

impl<'a> Lending<'a, '_> {
    #[inline(always)]
    fn lend(mut self, origin: &mut impl Origin, burst: &mut RxBurst<'a>) -> Result<(), Fault> {
        for frame_end in core::mem::take(&mut self.ends) {
            if self.slot == self.end {
                break;
            }
            let first = self.slot;
            let (desc, place) = self.next(origin, MAX_FRAME)?;
            let data = if desc.flags & NEXT == 0 {
                Gather::one(place.seg())
            } else {
                *self.chained = true;
                Gather::chain(place.seg(), self.chain(origin, MAX_FRAME - desc.length)?)
            };
            *frame_end = self.slot;
            *self.lent += 1;
            let metadata = desc.metadata & self.metadata;
            let undone = if metadata == 0 { None } else { metadata::unpack(metadata) };
            burst.push(Frame { data: data.lent_as(origin.lent(first, &desc)), undone });
        }
        Ok(())
    }

    /// What is in the next slot, if it is in bounds and has not more than `left` octets.
    #[inline(always)]
    fn next(&mut self, origin: &mut impl Origin, left: u32) -> Result<(Desc, Place<'a>), Fault> {
        let desc = self.ring.desc(self.slot);
        origin.came(self.slot, &desc)?;
        if desc.length > left {
            return Err(Fault::FrameTooLong);
        }
        self.slot = self.slot.wrapping_add(1);
        Ok((desc, self.ring.buffer(&desc)?))
    }

    /// Collects the segments behind the first one of a frame.
    #[cold]
    fn chain(&mut self, origin: &mut impl Origin, mut left: u32) -> Result<&'a [Seg<'a>], Fault> {
        let segs = core::mem::take(&mut self.spare);
        let mut n = 0;
        loop {
            if self.slot == self.end {
                return Err(Fault::BadChain);
            }
            let (desc, place) = self.next(origin, left)?;
            let seg = place.seg();
            left -= desc.length;
            let kept = segs.get_mut(n).ok_or(Fault::BadChain)?;
            // SAFETY: the lifetime is a lie only while the segment is kept here: it is lent out for 'a, for which
            // the ring (and the memory it holds) is borrowed, and every burst overwrites what it lends.
            *kept = unsafe {
                Seg::from_raw(core::ptr::NonNull::new_unchecked(seg.as_ptr().cast_mut()), seg.len())
            };
            n += 1;
            if desc.flags & NEXT == 0 {
                break;
            }
        }
        let (mine, rest) = segs.split_at_mut(n);
        self.spare = rest;
        Ok(mine)
    }
}

/// The slots from one (free-running) index to another.
#[inline]
fn slots(from: u16, end: u16) -> impl Iterator<Item = u16> {
    (0..end.wrapping_sub(from)).map(move |n| from.wrapping_add(n))
}
