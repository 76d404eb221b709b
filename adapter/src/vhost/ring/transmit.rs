//! Frames to a guest: its receive ring.

use super::chain::{Access, Piece, Pieces};
use super::format::{Chain, DESC_F_WRITE, Format};
use super::{AnyRing, Fault, NET_HEADER, Offloads, Ring, RingCounters, RingSlot, each};
use crate::vhost::memory::Stretch;
use arrayvec::ArrayVec;
use core::ops::RangeInclusive;
use core::ptr::NonNull;
use link::{BURST, Nanos, OutFrame, Taken, TxQueue, Undone, prefetch};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use vntag::offload::NetHeader;

/// Chains that one frame may fill where buffers are merged.
const MAX_MERGED: usize = 256;

/// Octets of a frame that [`link::put`] copies in place.
const SHORT: RangeInclusive<usize> = 32..=144;

/// Broken chains that one `send` takes out of a ring before it lets others have the turn.
const MAX_BROKEN: usize = BURST;

/// How many frames before a long one is written its buffer is fetched. The guest's core, or none, has it; with this a frame of 1,514
/// octets takes four fifths of the cycles of the whole path.
const AHEAD: u16 = 4;

/// The sending half of a queue pair: fills the buffers in the guest's receive ring.
///
/// Any number of workers may have one for the same ring; each [`send`](TxQueue::send) holds its lock.
pub struct VringTx {
    slot: Arc<RingSlot>,
    sent: bool,
    pieces: Pieces,
}

impl Clone for VringTx {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.slot))
    }
}

impl VringTx {
    /// A queue that writes the ring in `slot`.
    #[must_use]
    pub fn new(slot: Arc<RingSlot>) -> Self {
        Self { slot, sent: false, pieces: Pieces::new() }
    }

    /// Where its ring is.
    #[must_use]
    pub fn slot(&self) -> &Arc<RingSlot> {
        &self.slot
    }
}

/// What became of one frame.
enum Put {
    Done,
    /// It can never be put here.
    Refused,
    /// Not now.
    Full,
    /// Nothing in this ring can be found any more.
    Broken(Fault),
}

impl TxQueue for VringTx {
    #[inline]
    fn send(&mut self, _now: Nanos, frames: &[OutFrame<'_>]) -> Taken {
        if frames.is_empty() || !self.slot.is_running() {
            return Taken::default();
        }
        let Self { slot, sent, pieces } = self;
        let (taken, used) = match slot.ring.lock().as_mut() {
            None => return Taken::default(),
            Some(AnyRing::Split(ring)) if ring.logs_buffers() => {
                put_all::<_, true>(slot, ring, frames, pieces)
            }
            Some(AnyRing::Split(ring)) => put_all::<_, false>(slot, ring, frames, pieces),
            Some(AnyRing::Packed(ring)) if ring.logs_buffers() => {
                put_all::<_, true>(slot, ring, frames, pieces)
            }
            Some(AnyRing::Packed(ring)) => put_all::<_, false>(slot, ring, frames, pieces),
        };
        *sent |= used;
        taken
    }

    #[inline]
    fn kick(&mut self) {
        if core::mem::take(&mut self.sent)
            && let Some(ring) = self.slot.ring.lock().as_mut()
        {
            each!(ring, ring => ring.call(&self.slot.counters));
        }
    }

    fn is_up(&self) -> bool {
        self.slot.is_running()
    }

    fn another(&self) -> Option<Box<dyn TxQueue>> {
        Some(Box::new(self.clone()))
    }

    fn takes(&self, undone: &Undone, _len: usize) -> bool {
        Offloads::from_bits(self.slot.takes.load(Ordering::Relaxed))
            .permit(&NetHeader::from_bytes(undone.to_bytes()))
    }

    fn room(&self, wanted: usize) -> usize {
        let most = u16::try_from(wanted).unwrap_or(u16::MAX);
        let mut ring = self.slot.ring.lock();
        let waiting = ring.as_mut().and_then(|ring| each!(ring, ring => ring.waiting(most)).ok());
        waiting.map_or(0, usize::from)
    }
}

/// Puts frames into the ring, which is locked, as far as it has buffers; says whether any buffer was used.
/// Compiled once for each format, and for those whose buffers are logged (`LOGGED`) and those whose are not.
#[inline(never)]
fn put_all<F: Format, const LOGGED: bool>(
    slot: &RingSlot,
    ring: &mut Ring<F>,
    frames: &[OutFrame<'_>],
    pieces: &mut Pieces,
) -> (Taken, bool) {
    let mut taken = Taken::default();
    if ring.broken {
        return (taken, false);
    }
    let most = frames.len().min(usize::from(u16::MAX)) as u16;
    let mut waiting = match ring.waiting(most) {
        Ok(waiting) => waiting,
        Err(fault) => {
            slot.brk(ring, fault);
            return (taken, false);
        }
    };
    let counters = &slot.counters;
    let before = ring.next;
    let mut octets = 0u64;
    let mut broken = 0;
    let mut written = Stretch::NONE;
    // All at once, before any is used: misses of caches and page tables then overlap, as they do not when each
    // waits among the work on other frames.
    for (ahead, _) in (0..waiting).zip(frames) {
        ring.prefetch_buffer(ahead);
    }
    for (nth, frame) in frames.iter().enumerate() {
        let len = frame.len();
        if let Some(later) = frames.get(nth + usize::from(AHEAD))
            && !later.body.is_empty()
            && waiting > AHEAD
        {
            ring.prefetch_rest(AHEAD, NET_HEADER + later.len());
        }
        if waiting == 0 {
            // Of a packed ring only as many slots were counted as there are frames, and chains may have several.
            if F::PACKED {
                waiting = ring.format.waiting(ring.next, most);
            }
            if waiting == 0 {
                break;
            }
        }
        let put = if !ring.may_have(frame) {
            counters.fault(Fault::BadHeader);
            Put::Refused
        } else if ring.put_single::<LOGGED>(frame, len, &mut written) {
            waiting -= 1;
            Put::Done
        } else {
            // Copies: the loop's own can be in registers then.
            let (mut left, mut pages) = (waiting, written);
            let put = ring.put(frame, len, &mut left, pieces, counters, (&mut broken, &mut pages));
            (waiting, written) = (left, pages);
            put
        };
        match put {
            Put::Done => octets += len as u64,
            Put::Refused => taken.refused += 1,
            Put::Full => break,
            Put::Broken(fault) => {
                slot.brk(ring, fault);
                break;
            }
        }
        taken.frames += 1;
    }
    if LOGGED {
        ring.wrote_stretch(written);
    }
    let used = ring.next != before;
    if used {
        ring.publish_alone();
        counters.frames.add((taken.frames - taken.refused) as u64);
        counters.octets.add(octets);
    }
    (taken, used)
}

/// Copies a frame of `len` octets. Apart from the loop over frames, which keeps what it has in registers then.
///
/// # Safety
/// As many are mapped at `to`.
#[inline(never)]
unsafe fn put_long(frame: &OutFrame<'_>, len: usize, to: NonNull<u8>) {
    let head = frame.head.len();
    // The lengths cannot disagree with their sum, but the bound is what makes this safe.
    let mut left = len - head;
    // SAFETY: head <= len octets are mapped at `to` (contract); a head is in memory of our own.
    let mut to = unsafe {
        link::put(frame.head, to);
        to.add(head)
    };
    frame.body.segs().for_each(|seg| {
        let n = seg.len().min(left);
        // SAFETY: n <= left octets are mapped at `to` (contract), and n are readable at seg while it is borrowed. The source may
        // be guest memory, too, and then overlap: not `nonoverlapping`.
        unsafe {
            seg.as_ptr().copy_to(to.as_ptr(), n);
            to = to.add(n);
        }
        left -= n;
    });
}

/// The header of a frame that is spread over so many buffers: 1, not 0, even where buffers are not merged.
#[inline(always)]
fn header(frame: &OutFrame<'_>, num_buffers: u16) -> [u8; NET_HEADER] {
    let mut header = frame.undone.map_or([0; NET_HEADER], Undone::to_bytes);
    header[10..].copy_from_slice(&num_buffers.to_le_bytes());
    header
}

impl<F: Format> Ring<F> {
    /// What is left undone in the frame, if anything, was negotiated. It was when the sender asked, so only another guest
    /// in between makes a difference.
    #[inline(always)]
    fn may_have(&self, frame: &OutFrame<'_>) -> bool {
        frame
            .undone
            .is_none_or(|undone| self.features.takes.permit(&NetHeader::from_bytes(undone.to_bytes())))
    }

    /// Asks for what the frame `ahead` of the next one will be written to.
    #[inline(always)]
    fn prefetch_buffer(&self, ahead: u16) {
        let pos = self.format.after(self.next, ahead);
        self.format.prefetch_used(pos);
        if let Some(ptr) = self.expected(pos) {
            prefetch::for_write(ptr);
            prefetch::for_write(prefetch::behind(ptr));
        }
    }

    /// Asks for all of what a long frame `ahead` of the next one will be written to, with its header.
    #[inline(always)]
    fn prefetch_rest(&self, ahead: u16, len: usize) {
        if let Some(ptr) = self.expected(self.format.after(self.next, ahead)) {
            prefetch::all_for_write(ptr, len);
        }
    }

    /// Puts a frame into the next chain if that is a single buffer, large enough: by far the most common case.
    /// Its pages are noted in `written`.
    #[inline(always)]
    fn put_single<const LOGGED: bool>(
        &mut self,
        frame: &OutFrame<'_>,
        len: usize,
        written: &mut Stretch,
    ) -> bool {
        let Some((desc, chain)) = self.format.single(self.next) else { return false };
        let total = len + NET_HEADER;
        if desc.flags != DESC_F_WRITE || (desc.len as usize) < total {
            return false;
        }
        let Some(ptr) = self.at(desc.addr, desc.len) else { return false };
        // SAFETY: total <= desc.len octets are mapped at ptr while the ring's lock is held.
        unsafe {
            ptr.cast().write_unaligned(header(frame, 1));
            let to = ptr.add(NET_HEADER);
            if SHORT.contains(&len) && frame.head.len() == len {
                link::put(frame.head, to);
            } else {
                put_long(frame, len, to);
            }
        }
        if LOGGED {
            // Not 0, and within a region of memory.
            let pages = Stretch::of(desc.addr, total as u64);
            if !written.extend(pages) {
                self.wrote_stretch(core::mem::replace(written, pages));
            }
        }
        self.complete(chain, total as u32);
        true
    }

    /// Puts a frame into the next chain, or into as many as it needs where buffers are merged. Its pages are noted in `written`,
    /// where they are logged.
    #[inline(never)]
    fn put(
        &mut self,
        frame: &OutFrame<'_>,
        len: usize,
        waiting: &mut u16,
        pieces: &mut Pieces,
        counters: &RingCounters,
        (broken, written): (&mut usize, &mut Stretch),
    ) -> Put {
        let total = len + NET_HEADER;
        let limit = if self.features.mergeable { MAX_MERGED } else { 1 };
        loop {
            pieces.clear();
            let mut chains: ArrayVec<(Chain, usize), MAX_MERGED> = ArrayVec::new();
            let (mut room, mut slots, mut pos) = (0, 0u16, self.next);
            let mut wrong = None;
            while room < total && chains.len() < limit {
                if slots >= *waiting {
                    let size = self.format.size();
                    let all = if F::PACKED { self.format.waiting(self.next, size) } else { *waiting };
                    if slots >= all {
                        if slots < size {
                            return Put::Full;
                        }
                        break; // All buffers of the ring together are too small.
                    }
                    *waiting = all;
                }
                let chain = match self.format.chain(pos) {
                    Ok(chain) => chain,
                    // What was completed is behind it and stays so.
                    Err(fault) => return Put::Broken(fault),
                };
                let walked = match F::walk(self, pos, chain, Access::Write, pieces) {
                    Ok(octets) if octets < NET_HEADER => Err(Fault::ShortHeader),
                    other => other,
                };
                slots = slots.saturating_add(chain.slots);
                pos = self.format.after(pos, chain.slots);
                match walked {
                    Ok(octets) => {
                        chains.push((chain, octets));
                        room += octets;
                    }
                    Err(fault) => {
                        wrong = Some((chain, fault));
                        break;
                    }
                }
            }
            if let Some((chain, fault)) = wrong {
                // Chains are completed in order, so those before the broken one go back empty with it.
                counters.fault(fault);
                *waiting = waiting.saturating_sub(slots);
                for (chain, _) in &chains {
                    self.complete(*chain, 0);
                }
                self.complete(chain, 0);
                *broken += 1;
                if *broken >= MAX_BROKEN || *waiting == 0 {
                    return Put::Full;
                }
                continue;
            }
            if room < total {
                counters.fault(Fault::NoFit);
                return Put::Refused;
            }
            *waiting = waiting.saturating_sub(slots);
            scatter(pieces.as_slice(), frame, &header(frame, chains.len() as u16));
            if self.logs_buffers() {
                self.wrote_pieces(pieces.as_slice(), total, written);
            }
            let mut left = total;
            for (chain, octets) in &chains {
                let part = (*octets).min(left);
                self.complete(*chain, part as u32);
                left -= part;
            }
            return Put::Done;
        }
    }
}

/// Writes header and frame over the pieces, as far as these reach.
fn scatter(pieces: &[Piece], frame: &OutFrame<'_>, header: &[u8; NET_HEADER]) {
    let mut pieces = pieces.iter();
    let mut room = Piece { ptr: NonNull::dangling(), len: 0, guest: 0 };
    for seg in core::iter::once(link::Seg::from_slice(header)).chain(frame.segs()) {
        let mut seg = seg;
        while !seg.is_empty() {
            if room.len == 0 {
                let Some(next) = pieces.next() else { return };
                room = *next;
                continue;
            }
            let n = seg.len().min(room.len);
            // SAFETY: n octets are readable at seg while it is borrowed, and n are mapped at room.ptr while
            // the ring's lock is held. They may overlap when both are guest memory.
            unsafe {
                seg.as_ptr().copy_to(room.ptr.as_ptr(), n);
                room.ptr = room.ptr.add(n);
            }
            room.len -= n;
            seg = seg.skip(n);
        }
    }
}
