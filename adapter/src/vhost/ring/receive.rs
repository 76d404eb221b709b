//! Frames from a guest: its transmit ring.

use super::chain::{Access, Piece, Pieces};
use super::layout::{DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE};
use super::{Fault, NET_HEADER, Offloads, Ring, RingSlot};
use link::{BURST, Frame, Gather, Nanos, RxBurst, RxQueue, Seg, Undone, prefetch};
use parking_lot::{ArcMutexGuard, RawMutex};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use vntag::offload::NetHeader;

/// The receiving half of a queue pair: lends the frames in the guest's transmit ring.
///
/// The slot's lock is held from a [`recv`](RxQueue::recv) that lent frames to its
/// [`release`](RxQueue::release).
pub struct VringRx {
    slot: Arc<RingSlot>,
    held: Option<ArcMutexGuard<RawMutex, Option<Ring>>>,
    lent: usize,
    heads: [u16; BURST],
    /// Octets of the frames up to this one, for the counter.
    octets: [u32; BURST],
    pieces: Pieces,
    /// The frames of chains with several pieces point in here; filled by `recv`, not touched until the next.
    segs: Vec<Seg<'static>>,
}

impl VringRx {
    /// The queue that reads the ring in `slot`. One queue per slot.
    #[must_use]
    pub fn new(slot: Arc<RingSlot>) -> Self {
        Self {
            slot,
            held: None,
            lent: 0,
            heads: [0; BURST],
            octets: [0; BURST],
            pieces: Pieces::new(),
            segs: Vec::with_capacity(super::chain::MAX_PIECES),
        }
    }

    /// Where its ring is.
    #[must_use]
    pub fn slot(&self) -> &Arc<RingSlot> {
        &self.slot
    }
}

/// A frame in one piece, by far the most common one: where it is and how long, behind its header.
#[inline(always)]
fn single(ring: &mut Ring, head: u16) -> Option<(Piece, [u8; NET_HEADER])> {
    if head >= ring.layout.size() {
        return None;
    }
    let desc = ring.layout.desc(head);
    if desc.flags & (DESC_F_NEXT | DESC_F_WRITE | DESC_F_INDIRECT) != 0
        || (desc.len as usize) < NET_HEADER
        || desc.len as usize > super::chain::MAX_CHAIN
    {
        return None;
    }
    let ptr = ring.at(desc.addr, desc.len)?;
    let mut header = [0; NET_HEADER];
    // SAFETY: desc.len >= 12 octets are mapped at ptr while the ring's lock is held.
    unsafe { ptr.as_ptr().copy_to_nonoverlapping(header.as_mut_ptr(), NET_HEADER) };
    // SAFETY: NET_HEADER <= desc.len.
    let ptr = unsafe { ptr.add(NET_HEADER) };
    let guest = desc.addr.wrapping_add(NET_HEADER as u64);
    Some((Piece { ptr, len: desc.len as usize - NET_HEADER, guest }, header))
}

/// What the guest left undone, if it may leave that. Whether it fits the frame is judged by who does it.
#[inline(always)]
fn undone(header: [u8; NET_HEADER], offloads: Offloads) -> Result<Option<Undone>, Fault> {
    let read = NetHeader::from_bytes(header);
    if read.is_complete() {
        Ok(None)
    } else if offloads.permit(&read) {
        Ok(Undone::from_bytes(header))
    } else {
        Err(Fault::BadHeader)
    }
}

impl RxQueue for VringRx {
    #[inline]
    fn recv<'a>(&'a mut self, _now: Nanos, max: usize, burst: &mut RxBurst<'a>) {
        if self.held.is_some() {
            self.release(0);
        }
        if !self.slot.is_running() {
            return;
        }
        let mut guard = self.slot.ring.lock_arc();
        let Some(ring) = guard.as_mut() else { return };
        if ring.broken {
            return;
        }
        let waiting = match ring.waiting() {
            Ok(0) => return,
            Ok(waiting) => usize::from(waiting),
            Err(fault) => return self.slot.brk(ring, fault),
        };
        self.segs.clear();
        let segs = self.segs.as_mut_ptr();
        let (mut lent, mut dropped, mut octets, mut segs_len) = (0, 0, 0u32, 0);
        let mut pos = ring.next_avail;
        let most = waiting.min(max).min(burst.remaining_capacity()).min(BURST) as u16;
        // All at once, before any is read, so that the misses overlap.
        for ahead in 0..most {
            ring.prefetch_frame(ahead);
        }
        for _ in 0..most {
            let head = ring.layout.head(pos);
            let frame = if let Some((piece, header)) = single(ring, head) {
                undone(header, ring.features.offloads).map(|undone| {
                    // SAFETY: mapped while the ring's lock is held, which is until the frames of this burst
                    // are given back: `release` and a further `recv` need the queue that 'a borrows.
                    let data = Gather::one(unsafe { Seg::from_raw(piece.ptr, piece.len) });
                    Frame { data, undone }
                })
            } else {
                self.pieces.clear();
                several(ring, head, &mut self.pieces, super::chain::MAX_PIECES - segs_len).map(|undone| {
                    let pieces = self.pieces.as_slice();
                    for (i, piece) in pieces.iter().enumerate() {
                        // SAFETY: `several` found no more than MAX_PIECES - segs_len pieces, and segs has
                        // room for MAX_PIECES. The segment itself: as above.
                        unsafe { segs.add(segs_len + i).write(Seg::from_raw(piece.ptr, piece.len)) };
                    }
                    // SAFETY: these were just written; the vector is neither moved in memory nor written
                    // again while 'a lasts.
                    let all: &'a [Seg<'a>] =
                        unsafe { core::slice::from_raw_parts(segs.add(segs_len).cast(), pieces.len()) };
                    segs_len += pieces.len();
                    let data =
                        all.split_first().map_or(Gather::EMPTY, |(first, more)| Gather::chain(*first, more));
                    Frame { data, undone }
                })
            };
            match frame {
                Ok(frame) => {
                    octets = octets.wrapping_add(frame.len() as u32);
                    self.heads[lent] = head;
                    self.octets[lent] = octets;
                    lent += 1;
                    burst.push(frame);
                }
                // Chains are completed in order: what is wrong behind a lent frame is looked at again when it
                // has come to the front.
                Err(_) if lent > 0 => break,
                Err(fault) => {
                    self.slot.counters.fault(fault);
                    ring.complete(head, 0);
                    dropped += 1;
                }
            }
            pos = pos.wrapping_add(1);
        }
        if dropped > 0 {
            ring.publish_alone();
        }
        self.lent = lent;
        if lent > 0 {
            ring.lends(&self.heads[..lent]);
            self.held = Some(guard);
        } else {
            ring.call(&self.slot.counters);
        }
    }

    #[inline]
    fn release(&mut self, taken: usize) {
        let Some(mut guard) = self.held.take() else { return };
        let lent = core::mem::take(&mut self.lent);
        let taken = taken.min(lent);
        let Some(ring) = guard.as_mut() else { return };
        let counters = &self.slot.counters;
        if taken > 0 {
            for head in &self.heads[..taken] {
                ring.complete(*head, 0);
            }
            counters.frames.add(taken as u64);
            counters.octets.add(u64::from(self.octets[taken - 1]));
        }
        ring.publish_lent(&self.heads[..lent], taken);
        ring.call(counters);
    }

    fn arm(&mut self) -> bool {
        self.release(0);
        // What was notified since `disarm` stays in the event: at worst the worker wakes once for nothing, which is rarer than
        // arming, and a system call less each time.
        let mut guard = self.slot.ring.lock();
        let Some(ring) = guard.as_mut().filter(|ring| !ring.broken) else { return true };
        ring.want_notify();
        // The wish must be visible before the index is read: the driver writes the index, then reads the wish.
        core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
        match ring.waiting() {
            Ok(0) => true,
            Ok(_) => {
                ring.refuse_notify();
                false
            }
            Err(fault) => {
                self.slot.brk(ring, fault);
                true
            }
        }
    }

    fn disarm(&mut self) {
        self.release(0);
        if let Some(event) = &self.slot.event {
            event.drain();
        }
        if let Some(ring) = self.slot.ring.lock().as_mut() {
            ring.refuse_notify();
        }
    }

    fn event(&self) -> Option<BorrowedFd<'_>> {
        self.slot.event.as_ref().map(super::Event::as_fd)
    }
}

impl Ring {
    /// Asks for the beginning of the frame `ahead` of the next one that was not completed, and for its place in
    /// the used ring.
    #[inline(always)]
    fn prefetch_frame(&self, ahead: u16) {
        self.layout.prefetch_used(self.used.wrapping_add(ahead));
        if let Some(ptr) = self.expected(self.next_avail.wrapping_add(ahead)) {
            prefetch::for_read(ptr);
            prefetch::for_read(prefetch::behind(ptr));
        }
    }
}

/// The pieces of a frame whose chain is not one buffer in the window, without its header; what is undone in it.
#[inline(never)]
fn several(ring: &mut Ring, head: u16, pieces: &mut Pieces, room: usize) -> Result<Option<Undone>, Fault> {
    ring.walk(head, Access::Read, pieces)?;
    let mut header = [0; NET_HEADER];
    if !pieces.take(&mut header) {
        return Err(Fault::ShortHeader);
    }
    let undone = undone(header, ring.features.offloads)?;
    if pieces.as_slice().len() > room { Err(Fault::Oversize) } else { Ok(undone) }
}
