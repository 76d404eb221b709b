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
use super::ring::{Desc, NEXT, Ring};
use crate::frame::{Frame, Gather, Lent, Seg};
use crate::queue::{BURST, RxBurst};
use parking_lot::Mutex;
use std::sync::Arc;

/// The longest frame that is taken from a peer: a segmentation super-frame of 64 KiB and its headers fit.
const MAX_FRAME: u32 = 1 << 17;

/// The first piece of a frame that may go back in its places, where it has several, is at least as long as any head.
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
    /// The client does. Frames are lent as this ring's if it takes them back in their places.
    Peer { lends: Option<u16> },
    /// We do, for each slot its own.
    Fixed(Buffers),
    /// We do, and they wander.
    Wandering(Wandering),
}

/// Where empty places come from if a frame may lie in any.
#[derive(Debug)]
struct Wandering {
    own: Buffers,
    /// `None` where there are more rings in this direction: what was received is posted again.
    pool: Option<Arc<Mutex<Pool>>>,
    /// The place in each slot that was lent.
    held: Box<[u32]>,
}

impl RxRing {
    /// The server's end: the client fills and posts. It is the ring of this number, where frames may go back in their places.
    pub(super) fn server(ring: Ring, lends: Option<u16>, unfinished: bool) -> Self {
        Self::new(ring, Source::Peer { lends }, unfinished)
    }

    /// The client's end: the server fills what is posted here, beginning with all of it.
    pub(super) fn client(ring: Ring, buffers: Buffers, unfinished: bool) -> Self {
        Self::new(ring, Source::Fixed(buffers), unfinished).posting(&buffers)
    }

    /// The same for a server that gives frames back in the places they came in.
    pub(super) fn wandering(
        ring: Ring,
        own: Buffers,
        pool: Option<Arc<Mutex<Pool>>>,
        unfinished: bool,
    ) -> Self {
        let held = vec![0; usize::from(ring.size())].into();
        Self::new(ring, Source::Wandering(Wandering { own, pool, held }), unfinished).posting(&own)
    }

    fn posting(self, buffers: &Buffers) -> Self {
        for slot in 0..self.ring.size() {
            self.post(slot, buffers.empty(slot));
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

    /// Posts an empty place in a slot.
    #[inline]
    fn post(&self, slot: u16, empty: Desc) {
        self.ring.set_desc(slot, Desc { metadata: empty.metadata & self.metadata, ..empty });
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
        let end = self.next.wrapping_add(waiting);
        let max = max.min(BURST).min(burst.remaining_capacity());
        let mut slot = self.next;
        let mut spare: &'a mut [Seg<'static>] = &mut self.segs;
        let lends = if let Source::Peer { lends } = self.source { lends } else { None };
        let mut wandering =
            if let Source::Wandering(wandering) = &mut self.source { Some(wandering) } else { None };
        let ring = &self.ring;
        let mut read = |slot: u16, left: u32| {
            let desc = ring.desc(slot);
            if let Some(wandering) = &mut wandering {
                wandering.hold(slot, &desc)?;
            }
            Ok((desc, buffer(ring, &desc, left)?))
        };
        for frame_end in &mut self.ends[..max] {
            if slot == end {
                break;
            }
            let (desc, place) = read(slot, MAX_FRAME).inspect_err(|_| self.broken = true)?;
            let mut lent = lends.filter(|_| desc.region == 0).and_then(|ring| Lent::new(ring, slot));
            slot = slot.wrapping_add(1);
            let data = if desc.flags & NEXT == 0 {
                Gather::one(place.seg())
            } else {
                self.chained = true;
                lent = lent.filter(|_| desc.length >= HEAD);
                let more = chain(&mut read, &mut slot, end, MAX_FRAME - desc.length, &mut spare);
                Gather::chain(place.seg(), more.inspect_err(|_| self.broken = true)?)
            };
            *frame_end = slot;
            self.lent += 1;
            let metadata = desc.metadata & self.metadata;
            let undone = if metadata == 0 { None } else { metadata::unpack(metadata) };
            burst.push(Frame { data, undone, lent });
        }
        Ok(())
    }

    /// The first `taken` frames of the last burst are done.
    #[inline]
    pub(super) fn release(&mut self, taken: usize) {
        let Some(last) = taken.min(self.lent).checked_sub(1) else { return };
        let end = self.ends[last];
        self.lent = 0;
        let size = self.ring.size();
        match &self.source {
            Source::Peer { .. } => {
                if self.chained {
                    self.unchain(end);
                }
                self.next = end;
                return self.ring.set_tail(end);
            }
            Source::Fixed(buffers) => {
                for slot in slots(self.next, end) {
                    self.post(slot.wrapping_add(size), buffers.empty(slot));
                }
            }
            Source::Wandering(Wandering { own, pool, held }) => {
                let mut pool = pool.as_ref().map(|pool| pool.lock());
                if let Some(pool) = &mut pool {
                    pool.expect(end.wrapping_sub(self.next));
                }
                for slot in slots(self.next, end) {
                    let used = held[usize::from(slot & (size - 1))];
                    let place = pool.as_mut().map_or(used, |pool| pool.renew(used));
                    self.post(slot.wrapping_add(size), own.places().empty(place));
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
    /// Keeps the place that came in a slot.
    #[inline]
    fn hold(&mut self, slot: u16, desc: &Desc) -> Result<(), Fault> {
        let slot = usize::from(slot) & (self.held.len() - 1);
        self.held[slot] = self.own.places().at(desc.offset).ok_or(Fault::BadDescriptorBounds)?;
        Ok(())
    }
}

/// The slots from one (free-running) index to another.
#[inline]
fn slots(from: u16, end: u16) -> impl Iterator<Item = u16> {
    (0..end.wrapping_sub(from)).map(move |n| from.wrapping_add(n))
}

/// What a descriptor names, if it is in bounds and has not more than `left` octets.
#[inline]
fn buffer<'a>(ring: &'a Ring, desc: &Desc, left: u32) -> Result<Place<'a>, Fault> {
    if desc.length > left {
        return Err(Fault::FrameTooLong);
    }
    ring.buffer(desc)
}

/// Collects the segments behind the first one of a frame.
#[cold]
fn chain<'a>(
    read: &mut impl FnMut(u16, u32) -> Result<(Desc, Place<'a>), Fault>,
    slot: &mut u16,
    end: u16,
    mut left: u32,
    spare: &mut &'a mut [Seg<'static>],
) -> Result<&'a [Seg<'a>], Fault> {
    let segs = core::mem::take(spare);
    let mut n = 0;
    loop {
        if *slot == end {
            return Err(Fault::BadChain);
        }
        let (desc, place) = read(*slot, left)?;
        let seg = place.seg();
        left -= desc.length;
        let kept = segs.get_mut(n).ok_or(Fault::BadChain)?;
        // SAFETY: the lifetime is a lie only while the segment is kept here: it is lent out for 'a, for which
        // the ring (and the memory it holds) is borrowed, and every burst overwrites what it lends.
        *kept =
            unsafe { Seg::from_raw(core::ptr::NonNull::new_unchecked(seg.as_ptr().cast_mut()), seg.len()) };
        n += 1;
        *slot = slot.wrapping_add(1);
        if desc.flags & NEXT == 0 {
            break;
        }
    }
    let (mine, rest) = segs.split_at_mut(n);
    *spare = rest;
    Ok(mine)
}
