//! The receiving end of a ring, either direction.
//!
//! Slots from `next` to the peer's index hold frames. A burst is one look at that index, one copy of each
//! descriptor, and one store of our index when it is released. In an M2S ring (we are the client) releasing also
//! posts the buffers again, so that all of the ring is always either waiting for us or empty at the server.

use super::fault::Fault;
use super::metadata;
use super::region::Place;
use super::ring::{Buffers, Desc, NEXT, Ring};
use crate::frame::{Frame, Gather, Seg};
use crate::queue::{BURST, RxBurst};

/// The longest frame that is taken from a peer: a segmentation super-frame of 64 KiB and its headers fit.
const MAX_FRAME: u32 = 1 << 17;

/// See the module.
#[derive(Debug)]
pub(super) struct RxRing {
    ring: Ring,
    /// Where empty buffers are, if posting them is up to us.
    buffers: Option<Buffers>,
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

impl RxRing {
    /// The server's end: the client fills and posts.
    pub(super) fn server(ring: Ring, unfinished: bool) -> Self {
        Self::new(ring, None, unfinished)
    }

    /// The client's end: the server fills what is posted here, beginning with all of it.
    pub(super) fn client(ring: Ring, buffers: Buffers, unfinished: bool) -> Self {
        let rx = Self::new(ring, Some(buffers), unfinished);
        for slot in 0..rx.ring.size() {
            rx.post(slot, &buffers);
        }
        rx.ring.set_head(rx.ring.size());
        rx
    }

    fn new(ring: Ring, buffers: Option<Buffers>, unfinished: bool) -> Self {
        ring.want_interrupts(false);
        let segs = vec![Seg::from_slice(&[]); usize::from(ring.size())].into();
        Self {
            ring,
            buffers,
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

    /// Posts the empty buffer of a slot.
    #[inline]
    fn post(&self, slot: u16, buffers: &Buffers) {
        let empty = buffers.empty(slot);
        self.ring.set_desc(slot, Desc { metadata: empty.metadata & self.metadata, ..empty });
    }

    /// Slots that hold frames.
    #[inline]
    fn waiting(&self) -> Result<u16, Fault> {
        let filled = if self.buffers.is_some() { self.ring.tail() } else { self.ring.head() };
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
        for frame_end in &mut self.ends[..max] {
            if slot == end {
                break;
            }
            let desc = self.ring.desc(slot);
            let place = match buffer(&self.ring, &desc, MAX_FRAME) {
                Ok(place) => place,
                Err(fault) => {
                    self.broken = true;
                    return Err(fault);
                }
            };
            slot = slot.wrapping_add(1);
            let data = if desc.flags & NEXT == 0 {
                Gather::one(place.seg())
            } else {
                self.chained = true;
                match chain(&self.ring, &mut slot, end, MAX_FRAME - desc.length, &mut spare) {
                    Ok(more) => Gather::chain(place.seg(), more),
                    Err(fault) => {
                        self.broken = true;
                        return Err(fault);
                    }
                }
            };
            *frame_end = slot;
            self.lent += 1;
            let metadata = desc.metadata & self.metadata;
            let undone = if metadata == 0 { None } else { metadata::unpack(metadata) };
            burst.push(Frame { data, undone });
        }
        Ok(())
    }

    /// The first `taken` frames of the last burst are done.
    #[inline]
    pub(super) fn release(&mut self, taken: usize) {
        let Some(last) = taken.min(self.lent).checked_sub(1) else { return };
        let end = self.ends[last];
        self.lent = 0;
        if let Some(buffers) = self.buffers {
            while self.next != end {
                let slot = self.next.wrapping_add(self.ring.size());
                self.post(slot, &buffers);
                self.next = self.next.wrapping_add(1);
            }
            self.ring.set_head(end.wrapping_add(self.ring.size()));
        } else {
            if self.chained {
                self.unchain(end);
            }
            self.next = end;
            self.ring.set_tail(end);
        }
    }

    /// Clears NEXT in what is given back to a client: net_memif never clears it itself, and would chain the next
    /// frame in that slot to whatever follows.
    fn unchain(&self, end: u16) {
        let mut slot = self.next;
        while slot != end {
            let mut desc = self.ring.desc(slot);
            if desc.flags & NEXT != 0 {
                desc.flags &= !NEXT;
                self.ring.set_desc(slot, desc);
            }
            slot = slot.wrapping_add(1);
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
    ring: &'a Ring,
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
        let desc = ring.desc(*slot);
        let seg = buffer(ring, &desc, left)?.seg();
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
