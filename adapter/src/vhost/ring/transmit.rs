//! Frames to a guest: its receive ring.

use super::chain::{Access, Piece, Pieces};
use super::layout::DESC_F_WRITE;
use super::{Fault, NET_HEADER, Offloads, Ring, RingCounters, RingSlot};
use arrayvec::ArrayVec;
use core::ptr::NonNull;
use link::{BURST, Nanos, OutFrame, Taken, TxQueue, Undone, prefetch};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use vntag::offload::NetHeader;

/// Chains that one frame may fill where buffers are merged.
const MAX_MERGED: usize = 256;

/// Broken chains that one `send` takes out of a ring before it lets others have the turn.
const MAX_BROKEN: usize = BURST;

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
}

impl TxQueue for VringTx {
    #[inline]
    fn send(&mut self, _now: Nanos, frames: &[OutFrame<'_>]) -> Taken {
        let mut taken = Taken::default();
        if frames.is_empty() || !self.slot.is_running() {
            return taken;
        }
        let mut guard = self.slot.ring.lock();
        let Some(ring) = guard.as_mut().filter(|ring| !ring.broken) else { return taken };
        let mut waiting = match ring.waiting() {
            Ok(waiting) => waiting,
            Err(fault) => {
                self.slot.brk(ring, fault);
                return taken;
            }
        };
        let counters = &self.slot.counters;
        let before = ring.used;
        let mut octets = 0u64;
        let mut broken = 0;
        // All at once, before any is used: misses of caches and page tables then overlap, as they do not when each
        // waits among the work on other frames.
        for (ahead, _) in (0..waiting).zip(frames) {
            ring.prefetch_buffer(ahead);
        }
        for frame in frames {
            let len = frame.len();
            if waiting == 0 {
                break;
            }
            let put = if !ring.may_have(frame) {
                counters.fault(Fault::BadHeader);
                Put::Refused
            } else if ring.put_single(frame, len) {
                waiting -= 1;
                Put::Done
            } else {
                ring.put(frame, len, &mut waiting, &mut self.pieces, counters, &mut broken)
            };
            match put {
                Put::Done => octets += len as u64,
                Put::Refused => taken.refused += 1,
                Put::Full => break,
            }
            taken.frames += 1;
        }
        if ring.used != before {
            ring.publish_alone();
            self.sent = true;
            counters.frames.add((taken.frames - taken.refused) as u64);
            counters.octets.add(octets);
        }
        taken
    }

    #[inline]
    fn kick(&mut self) {
        if core::mem::take(&mut self.sent)
            && let Some(ring) = self.slot.ring.lock().as_mut()
        {
            ring.call(&self.slot.counters);
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

    fn room(&self, _: usize) -> usize {
        self.slot.ring.lock().as_mut().and_then(|ring| ring.waiting().ok()).map_or(0, usize::from)
    }
}

/// The header of a frame that is spread over so many buffers: 1, not 0, even where buffers are not merged.
#[inline(always)]
fn header(frame: &OutFrame<'_>, num_buffers: u16) -> [u8; NET_HEADER] {
    let mut header = frame.undone.map_or([0; NET_HEADER], Undone::to_bytes);
    header[10..].copy_from_slice(&num_buffers.to_le_bytes());
    header
}

impl Ring {
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
        let used = self.used.wrapping_add(ahead);
        self.layout.prefetch_used(used);
        if let Some(ptr) = self.expected(self.next_avail.wrapping_add(ahead)) {
            prefetch::for_write(ptr);
            prefetch::for_write(prefetch::behind(ptr));
        }
    }

    /// Puts a frame into the next chain if that is a single buffer, large enough: by far the most common case.
    #[inline(always)]
    fn put_single(&mut self, frame: &OutFrame<'_>, len: usize) -> bool {
        let head = self.layout.head(self.next_avail);
        let desc = self.layout.desc(head);
        let total = len + NET_HEADER;
        if head >= self.layout.size() || desc.flags != DESC_F_WRITE || (desc.len as usize) < total {
            return false;
        }
        let Some(ptr) = self.at(desc.addr, desc.len) else { return false };
        // SAFETY: total <= desc.len octets are mapped at ptr while the ring's lock is held.
        unsafe {
            ptr.cast().write_unaligned(header(frame, 1));
            let mut to = ptr.add(NET_HEADER);
            link::put(frame.head, to);
            to = to.add(frame.head.len());
            let mut left = len - frame.head.len();
            for seg in frame.body.segs() {
                // The lengths cannot disagree with their sum, but the bound is what makes this safe.
                let n = seg.len().min(left);
                // The source may be guest memory, too, and then overlap: not `nonoverlapping`.
                seg.as_ptr().copy_to(to.as_ptr(), n);
                to = to.add(n);
                left -= n;
            }
        }
        if let Some(logging) = &mut self.logging {
            logging.wrote(desc.addr, total as u32);
        }
        self.complete(head, total as u32);
        true
    }

    /// Puts a frame into the next chain, or into as many as it needs where buffers are merged.
    #[inline(never)]
    fn put(
        &mut self,
        frame: &OutFrame<'_>,
        len: usize,
        waiting: &mut u16,
        pieces: &mut Pieces,
        counters: &RingCounters,
        broken: &mut usize,
    ) -> Put {
        let total = len + NET_HEADER;
        let limit = if self.features.mergeable { MAX_MERGED } else { 1 };
        loop {
            pieces.clear();
            let mut chains: ArrayVec<(u16, usize), MAX_MERGED> = ArrayVec::new();
            let mut room = 0;
            let mut wrong = None;
            while room < total && chains.len() < limit {
                let ahead = chains.len() as u16;
                if ahead == *waiting {
                    if ahead < self.layout.size() {
                        return Put::Full;
                    }
                    break; // All buffers of the ring together are too small.
                }
                let head = self.layout.head(self.next_avail.wrapping_add(ahead));
                let walked = match self.walk(head, Access::Write, pieces) {
                    Ok(octets) if octets < NET_HEADER => Err(Fault::ShortHeader),
                    other => other,
                };
                match walked {
                    Ok(octets) => {
                        chains.push((head, octets));
                        room += octets;
                    }
                    Err(fault) => {
                        wrong = Some((head, fault));
                        break;
                    }
                }
            }
            if let Some((head, fault)) = wrong {
                // Chains are completed in order, so those before the broken one go back empty with it.
                counters.fault(fault);
                *waiting -= chains.len() as u16 + 1;
                for (head, _) in &chains {
                    self.complete(*head, 0);
                }
                self.complete(head, 0);
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
            *waiting -= chains.len() as u16;
            scatter(pieces.as_slice(), frame, &header(frame, chains.len() as u16));
            if let Some(logging) = &mut self.logging {
                let mut left = total;
                for piece in pieces.as_slice() {
                    let part = piece.len.min(left);
                    if part == 0 {
                        break;
                    }
                    logging.wrote(piece.guest, part as u32);
                    left -= part;
                }
            }
            let mut left = total;
            for (head, octets) in &chains {
                let part = (*octets).min(left);
                self.complete(*head, part as u32);
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
