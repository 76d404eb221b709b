//! Frames from a guest: its transmit ring.

use super::chain::{Access, Piece, Pieces};
use super::format::{Chain, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, Format};
use super::packed::Packed;
use super::{AnyRing, Fault, NET_HEADER, Offloads, Ring, RingSlot, each};
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
    held: Option<ArcMutexGuard<RawMutex, Option<AnyRing>>>,
    lent: usize,
    /// The chains that are lent, by their numbers.
    heads: [u16; BURST],
    /// The slots of each, in a packed ring.
    slots: [u16; BURST],
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
            slots: [0; BURST],
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

/// A frame in one piece, by far the most common one: its chain, where it is and how long, behind its header.
#[inline(always)]
fn single<F: Format>(ring: &mut Ring<F>, pos: u16) -> Option<(Chain, Piece, [u8; NET_HEADER])> {
    let (desc, chain) = ring.format.single(pos)?;
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
    Some((chain, Piece { ptr, len: desc.len as usize - NET_HEADER, guest }, header))
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
        let lends = match guard.as_mut() {
            None => return,
            Some(AnyRing::Split(ring)) => self.lend(ring, max, burst),
            Some(AnyRing::Packed(ring)) => self.lend_packed(ring, max, burst),
        };
        if lends {
            self.held = Some(guard);
        }
    }

    #[inline]
    fn release(&mut self, taken: usize) {
        let Some(mut guard) = self.held.take() else { return };
        let lent = core::mem::take(&mut self.lent);
        let taken = taken.min(lent);
        match guard.as_mut() {
            None => {}
            Some(AnyRing::Split(ring)) => self.give_back(ring, lent, taken),
            Some(AnyRing::Packed(ring)) => self.give_back(ring, lent, taken),
        }
    }

    fn arm(&mut self) -> bool {
        self.release(0);
        // What was notified since `disarm` stays in the event: at worst the worker wakes once for nothing, which is rarer than
        // arming, and a system call less each time.
        let mut guard = self.slot.ring.lock();
        let Some(ring) = guard.as_mut() else { return true };
        each!(ring, ring => self.arm_ring(ring))
    }

    fn disarm(&mut self) {
        self.release(0);
        if let Some(event) = &self.slot.event {
            event.drain();
        }
        if let Some(ring) = self.slot.ring.lock().as_mut() {
            each!(ring, ring => ring.refuse_notify());
        }
    }

    fn event(&self) -> Option<BorrowedFd<'_>> {
        self.slot.event.as_ref().map(super::event::Event::as_fd)
    }
}

impl VringRx {
    /// Lends what waits in the ring, which is locked; says whether that is anything.
    #[inline(always)]
    fn lend<'a, F: Format>(&mut self, ring: &mut Ring<F>, max: usize, burst: &mut RxBurst<'a>) -> bool {
        if ring.broken {
            return false;
        }
        let max = max.min(burst.remaining_capacity()).min(BURST) as u16;
        let waiting = match ring.waiting(max) {
            Ok(0) => return false,
            Ok(waiting) => waiting,
            Err(fault) => {
                self.slot.brk(ring, fault);
                return false;
            }
        };
        self.segs.clear();
        let segs = self.segs.as_mut_ptr();
        let (mut lent, mut dropped, mut octets, mut segs_len) = (0, 0, 0u32, 0);
        let mut pos = ring.next;
        let most = waiting.min(max);
        // All at once, before any is read, so that the misses overlap.
        for ahead in 0..most {
            ring.prefetch_frame(ahead);
        }
        // Of a packed ring only as many slots were counted as frames are wanted, and a chain may have several.
        let mut left = most;
        for _ in 0..if F::PACKED { max } else { most } {
            if F::PACKED && left == 0 {
                left = ring.format.waiting(pos, max);
                if left == 0 {
                    break;
                }
            }
            let (chain, frame) = if let Some((chain, piece, header)) = single(ring, pos) {
                let frame = undone(header, ring.features.offloads).map(|undone| {
                    // SAFETY: mapped while the ring's lock is held, which is until the frames of this burst
                    // are given back: `release` and a further `recv` need the queue that 'a borrows (`recv`).
                    let data = Gather::one(unsafe { Seg::from_raw(piece.ptr, piece.len) });
                    Frame { data, undone }
                });
                (chain, frame)
            } else {
                let chain = match ring.format.chain(pos) {
                    Ok(chain) => chain,
                    Err(fault) => {
                        if lent == 0 {
                            self.slot.brk(ring, fault);
                        }
                        break;
                    }
                };
                self.pieces.clear();
                let room = super::chain::MAX_PIECES - segs_len;
                let frame = several(ring, pos, chain, &mut self.pieces, room).map(|undone| {
                    let pieces = self.pieces.as_slice();
                    for (i, piece) in pieces.iter().enumerate() {
                        // SAFETY: `several` found no more than MAX_PIECES - segs_len pieces, and segs has
                        // room for MAX_PIECES. The segment itself: as above.
                        unsafe { segs.add(segs_len + i).write(Seg::from_raw(piece.ptr, piece.len)) };
                    }
                    // SAFETY: these were just written; the vector is neither moved in memory nor written
                    // again while 'a lasts (`recv`).
                    let all: &'a [Seg<'a>] =
                        unsafe { core::slice::from_raw_parts(segs.add(segs_len).cast(), pieces.len()) };
                    segs_len += pieces.len();
                    let data =
                        all.split_first().map_or(Gather::EMPTY, |(first, more)| Gather::chain(*first, more));
                    Frame { data, undone }
                });
                (chain, frame)
            };
            match frame {
                Ok(frame) => {
                    octets = octets.wrapping_add(frame.len() as u32);
                    self.heads[lent] = chain.id;
                    if F::PACKED {
                        self.slots[lent] = chain.slots;
                    }
                    self.octets[lent] = octets;
                    lent += 1;
                    burst.push(frame);
                }
                // Chains are completed in order: what is wrong behind a lent frame is looked at again when it
                // has come to the front.
                Err(_) if lent > 0 => break,
                Err(fault) => {
                    self.slot.counters.fault(fault);
                    ring.complete(chain, 0);
                    dropped += 1;
                }
            }
            pos = ring.format.after(pos, chain.slots);
            left = left.saturating_sub(chain.slots);
        }
        if dropped > 0 {
            ring.publish_alone();
        }
        self.lent = lent;
        if lent > 0 {
            ring.lends(&self.heads[..lent]);
        } else {
            ring.call(&self.slot.counters);
        }
        lent > 0
    }

    #[inline(never)]
    fn lend_packed<'a>(&mut self, ring: &mut Ring<Packed>, max: usize, burst: &mut RxBurst<'a>) -> bool {
        self.lend(ring, max, burst)
    }

    /// Of the chains that were lent so many are done, the others taken back.
    #[inline(always)]
    fn give_back<F: Format>(&self, ring: &mut Ring<F>, lent: usize, taken: usize) {
        let counters = &self.slot.counters;
        if taken > 0 {
            for (head, slots) in self.heads[..taken].iter().zip(&self.slots) {
                let slots = if F::PACKED { *slots } else { 1 };
                ring.complete(Chain { id: *head, slots }, 0);
            }
            counters.frames.add(taken as u64);
            counters.octets.add(u64::from(self.octets[taken - 1]));
        }
        ring.publish_lent(&self.heads[..lent], taken);
        ring.call(counters);
    }

    fn arm_ring<F: Format>(&self, ring: &mut Ring<F>) -> bool {
        if ring.broken {
            return true;
        }
        ring.want_notify();
        // The wish must be visible before we look: the driver makes something available, then reads the wish.
        core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
        match ring.waiting(1) {
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
}

impl<F: Format> Ring<F> {
    /// Asks for the beginning of the frame `ahead` of the next one that was not completed, and for its place in
    /// the used ring.
    #[inline(always)]
    fn prefetch_frame(&self, ahead: u16) {
        let pos = self.format.after(self.next, ahead);
        self.format.prefetch_used(pos);
        if let Some(ptr) = self.expected(pos) {
            prefetch::for_read(ptr);
            prefetch::for_read(prefetch::behind(ptr));
        }
    }
}

/// The pieces of a frame whose chain is not one buffer in the window, without its header; what is undone in it.
#[inline(never)]
fn several<F: Format>(
    ring: &mut Ring<F>,
    pos: u16,
    chain: Chain,
    pieces: &mut Pieces,
    room: usize,
) -> Result<Option<Undone>, Fault> {
    F::walk(ring, pos, chain, Access::Read, pieces)?;
    let mut header = [0; NET_HEADER];
    if !pieces.take(&mut header) {
        return Err(Fault::ShortHeader);
    }
    let undone = undone(header, ring.features.offloads)?;
    if pieces.as_slice().len() > room { Err(Fault::Oversize) } else { Ok(undone) }
}
