//! Frames from a link in which their sender left a checksum or segmentation to others: a guest that takes them gets them
//! as they are, any other one gets what a wire would have carried.
//!
//! A super-frame counts as the frames that it stands for, wherever it goes and wherever it is dropped.

use crate::engine::capture::Capture;
use crate::engine::drops::DropReason;
use crate::engine::stats::VnicStats;
use crate::engine::vif::VnicSlot;
use ::link::{BURST, Frame, Gather, Nanos, OutFrame, RxBurst, Seg, TxQueue, Undone};
use arrayvec::ArrayVec;
use vntag::Head;
use vntag::offload::{Finisher, HEADERS_MAX, NetHeader, Size};

/// What the frames of a burst from a link are on a wire.
pub(super) struct Sizes {
    /// Some are unfinished; else nothing below means anything.
    any: bool,
    /// `None` where what is said to be undone is not so.
    of: [Option<Size>; BURST],
}

impl Default for Sizes {
    fn default() -> Self {
        Self { any: false, of: [None; BURST] }
    }
}

impl Sizes {
    /// Judges a burst by its private heads. Says how many frames and octets it is.
    #[inline]
    pub(super) fn judge(&mut self, burst: &RxBurst<'_>, heads: &[Head]) -> (u64, u64) {
        self.any = burst.iter().any(|frame| frame.undone.is_some());
        if self.any {
            return self.judge_all(burst, heads);
        }
        (burst.len() as u64, burst.iter().map(|frame| frame.len() as u64).sum())
    }

    #[cold]
    fn judge_all(&mut self, burst: &RxBurst<'_>, heads: &[Head]) -> (u64, u64) {
        let (mut frames, mut octets) = (0, 0);
        for ((size, frame), head) in self.of.iter_mut().zip(burst).zip(heads) {
            *size = judge(frame, head.bytes());
            let counted = size.unwrap_or(Size::complete(frame.len()));
            frames += counted.frames as u64;
            octets += counted.octets as u64;
        }
        (frames, octets)
    }

    /// Some frame of the burst is unfinished.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.any
    }

    /// As how many frames this one counts.
    ///
    /// # Errors
    /// What is said to be undone in it is not so.
    #[inline]
    pub(super) fn frames(&self, place: u8) -> Result<u64, DropReason> {
        if !self.any {
            return Ok(1);
        }
        self.of[usize::from(place)].map(|size| size.frames as u64).ok_or(DropReason::LinkOffload)
    }
}

/// The size of a frame with this private head, if what is undone in it may wait until the guest has it.
fn judge(frame: &Frame<'_>, head: &[u8]) -> Option<Size> {
    let Some(undone) = &frame.undone else { return Some(Size::complete(frame.len())) };
    let (mut front, mut end) = ([0; HEADERS_MAX], head.len());
    front[..end].copy_from_slice(head);
    end += frame.data.skip(end).copy_to(&mut front[end..]);
    Size::waiting(&NetHeader::from_bytes(undone.to_bytes()), &front[..end], frame.len())
}

/// What one queue of a host port gets of a burst with unfinished frames.
pub(super) struct Mixed<'a> {
    pub(super) slot: VnicSlot,
    /// Where the frames come from.
    pub(super) link: usize,
    pub(super) queue: &'a mut dyn TxQueue,
    pub(super) counters: &'a VnicStats,
    pub(super) now: Nanos,
}

/// Frames that are one each on a wire, with their places in the burst.
type Singles<'f> = ArrayVec<(u8, OutFrame<'f>), BURST>;

impl Mixed<'_> {
    /// Sends the frames; says whether the queue took anything. Each one comes with its place in the burst, and with how many
    /// octets longer than it came it is (shorter, where that is negative).
    #[cold]
    pub(super) fn send<'f>(
        self,
        sizes: &Sizes,
        frames: impl Iterator<Item = (u8, OutFrame<'f>, isize)>,
        (finisher, capture): (&mut Finisher, &mut Capture),
    ) -> bool {
        let mut to = Delivery { to: self, capture };
        let mut run = Singles::new();
        let mut sent = false;
        for (place, frame, inserted) in frames {
            // Without a size it would not have come so far.
            let size = sizes.of[usize::from(place)].unwrap_or(Size::complete(frame.len()));
            let header = size.header.map(|header| header.shifted(inserted).unwrap_or(header));
            let Some(header) = header else {
                run.push((place, frame));
                continue;
            };
            let undone = Undone::from_bytes(header.to_bytes());
            // A guest shall find nothing else in the headers than what was judged.
            let field = usize::from(header.csum_start) + usize::from(header.csum_offset) + 2;
            let private = field.max(header.hdr_len.into()) <= frame.head.len();
            if !private || !undone.is_some_and(|undone| to.to.queue.takes(&undone, frame.len())) {
                sent |= to.singles(&mut run);
                sent |= to.finish((place, &frame), (&header, size.frames), finisher);
            } else if size.frames == 1 {
                run.push((place, OutFrame { undone, ..frame }));
            } else {
                sent |= to.singles(&mut run);
                let frame = OutFrame { undone, ..frame };
                sent |= to.whole((place, frame), &size, inserted);
            }
        }
        sent | to.singles(&mut run)
    }
}

/// The same at work.
struct Delivery<'a, 'b> {
    to: Mixed<'a>,
    capture: &'b mut Capture,
}

impl Delivery<'_, '_> {
    /// Sends them; none is left. Says whether the queue took any.
    fn singles(&mut self, run: &mut Singles<'_>) -> bool {
        if run.is_empty() {
            return false;
        }
        let (places, frames): (ArrayVec<u8, BURST>, ArrayVec<OutFrame<'_>, BURST>) = run.drain(..).unzip();
        let taken = self.to.queue.send(self.to.now, &frames);
        let (gone, full) = (&frames[..taken.frames], frames.len() - taken.frames);
        let octets = |frame: &OutFrame<'_>| frame.len() as u64;
        for frame in gone {
            self.to.counters.tx_groups.count(frame.head, 1, octets(frame));
        }
        let sent = (taken.frames - taken.refused) as u64;
        self.count([sent, taken.refused as u64, full as u64], gone.iter().map(octets).sum());
        self.record(&places, &frames, taken.frames);
        taken.frames > 0
    }

    /// Sends a frame that stands for several.
    fn whole(&mut self, (place, frame): (u8, OutFrame<'_>), size: &Size, inserted: isize) -> bool {
        let taken = self.to.queue.send(self.to.now, &[frame]);
        let (count, octets) = (size.frames as u64, size.octets_with(inserted) as u64);
        let fates = match (taken.frames, taken.refused) {
            (0, _) => [0, 0, count],
            (_, 0) => [count, 0, 0],
            _ => [0, count, 0],
        };
        if taken.frames > 0 {
            self.to.counters.tx_groups.count(frame.head, count, octets);
        }
        self.count(fates, if taken.frames > 0 { octets } else { 0 });
        self.record(&[place], &[frame], taken.frames);
        taken.frames > 0
    }

    /// Sends a frame as a wire sees it. It was judged to be `count` frames.
    #[inline(never)]
    fn finish(
        &mut self,
        (place, frame): (u8, &OutFrame<'_>),
        (header, count): (&NetHeader, usize),
        finisher: &mut Finisher,
    ) -> bool {
        let mut sent = false;
        match finisher.frame(header, frame.len(), |to| _ = frame.copy_to(to)) {
            Ok(finished) if finished.count() == count => finished.batches(0, |batch| {
                let pieces = batch
                    .iter()
                    .map(|(head, body)| OutFrame::complete(head, Gather::one(Seg::from_slice(body))));
                sent |= self.singles(&mut pieces.map(|piece| (place, piece)).collect());
            }),
            // Whoever lent it has rewritten its headers since it was judged.
            _ => {
                self.to.counters.drops[DropReason::LinkOffload].add(count as u64);
                self.capture.refuse(place, self.to.slot, DropReason::LinkOffload);
            }
        }
        sent
    }

    /// Counts so many frames that were sent, refused, and had no room.
    fn count(&self, [sent, refused, full]: [u64; 3], octets: u64) {
        self.to.counters.tx_frames.add(sent);
        self.to.counters.tx_octets.add(octets);
        self.to.counters.drops[DropReason::HostRefused].add(refused);
        self.to.counters.drops[DropReason::HostRingFull].add(full);
    }

    fn record(&mut self, places: &[u8], frames: &[OutFrame<'_>], taken: usize) {
        if self.capture.is_on() {
            self.capture.delivered(self.to.slot, self.to.link, frames, places.iter().copied(), taken);
        }
    }
}
