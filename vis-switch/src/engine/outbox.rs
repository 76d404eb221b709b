//! Last stage: frames wait by port until the burst is judged, then leave in one `send` for each port. The order
//! within a port is the order of arrival.

use super::capture::Capture;
use super::counters::{PortCounters, WorkerCounters};
use super::desk::Desk;
use super::lif::LifId;
use super::tables::{PortRole, Tables};
use super::unfinished::Sizes;
use super::verdict::DropReason;
use arrayvec::ArrayVec;
use link::{BURST, Frame, Gather, Nanos, ORDINARY, OutFrame, Seg, Taken, TxQueue, Undone};
use vntag::ethernet::MIN_FRAME;
use vntag::offload::{Finisher, NetHeader};

/// A frame that waits to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// Its head on the desk.
    pub(super) head: u16,
    /// Its place in the burst, for the rest of it.
    pub(super) frame: u8,
    /// Who gets it.
    pub(super) to: Receiver,
}

/// Whose counters a frame moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Receiver {
    /// One interface.
    Lif(LifId),
    /// The members of one copy of a flood; and whose frame it is, where it goes back down its link.
    Copy { flood: u16, copy: u16, looped: Option<LifId> },
}

struct Outgoing {
    queue: Box<dyn TxQueue>,
    waiting: ArrayVec<Waiting, BURST>,
    /// Frames of control, to be sent before anything else.
    control: Vec<Vec<u8>>,
    /// Slots that are kept for those.
    reserved: usize,
    unkicked: bool,
}

impl Outgoing {
    /// Offers frames to the queue and leaves so many slots free. Also says why what was not taken was not.
    #[inline]
    fn offer(&mut self, now: Nanos, frames: &[OutFrame<'_>], reserved: usize) -> (Taken, DropReason) {
        if !self.queue.is_up() {
            return (Taken::default(), DropReason::TxPortDown);
        }
        let room = match reserved {
            0 => usize::MAX,
            _ => self.queue.room(frames.len() + reserved).saturating_sub(reserved),
        };
        let taken = self.queue.send(now, frames.get(..room).unwrap_or(frames));
        self.unkicked |= taken.frames > 0;
        (taken, DropReason::TxRingFull)
    }
}

/// What is the same for all frames that leave.
pub(super) struct Leaving<'a> {
    /// Which worker sends.
    pub(super) worker: usize,
    /// What the NIV tag adds to a frame.
    pub(super) tag_len: usize,
    pub(super) now: Nanos,
    pub(super) desk: &'a Desk,
    pub(super) burst: &'a [Frame<'a>],
    pub(super) tables: &'a Tables,
    pub(super) sizes: &'a Sizes,
    pub(super) counters: &'a WorkerCounters,
}

impl Leaving<'_> {
    /// Octets that the NIV tag adds to each frame of this port.
    fn overhead(&self, port: u16) -> usize {
        match self.tables.roles.get(usize::from(port)) {
            Some(PortRole::Niv { .. }) => self.tag_len,
            _ => 0,
        }
    }
}

/// The transmit queues of one worker, by port.
pub(super) struct Outbox {
    ports: Vec<Outgoing>,
    touched: Vec<u16>,
    finisher: Finisher,
}

impl Outbox {
    /// The queue of each port, and how many of its slots are kept for control.
    pub(super) fn new(queues: impl IntoIterator<Item = (Box<dyn TxQueue>, usize)>) -> Self {
        let ports: Vec<_> = queues
            .into_iter()
            .map(|(queue, reserved)| Outgoing {
                queue,
                waiting: ArrayVec::new(),
                control: Vec::new(),
                reserved,
                unkicked: false,
            })
            .collect();
        Self { touched: Vec::with_capacity(ports.len()), ports, finisher: Finisher::default() }
    }

    /// As many frames as a burst has wait for that port already, which happens where a frame leaves by several lists; they have
    /// to be sent first.
    #[inline(always)]
    pub(super) fn is_full(&self, port: u16) -> bool {
        self.ports.get(usize::from(port)).is_some_and(|outgoing| outgoing.waiting.is_full())
    }

    /// Puts a frame behind the others for that port, which is not full.
    #[inline(always)]
    pub(super) fn push(&mut self, port: u16, waiting: Waiting) {
        let Some(outgoing) = self.ports.get_mut(usize::from(port)) else { return };
        if outgoing.waiting.is_empty() {
            self.touched.push(port);
        }
        outgoing.waiting.push(waiting);
    }

    /// Sends everything that waits.
    pub(super) fn flush(&mut self, turn: &Leaving<'_>, capture: &mut Capture) {
        for port in self.touched.drain(..) {
            let Some(outgoing) = self.ports.get_mut(usize::from(port)) else { continue };
            if turn.sizes.any() {
                let waiting = core::mem::take(&mut outgoing.waiting);
                Mixed { turn, capture, outgoing, port }.send(&waiting, &mut self.finisher);
                continue;
            }
            // Not collected, which would move the whole array.
            let mut frames: ArrayVec<OutFrame<'_>, BURST> = ArrayVec::new();
            frames.extend(outgoing.waiting.iter().map(|waiting| turn.desk.outgoing(waiting, turn.burst)));
            let (taken, left) = outgoing.offer(turn.now, &frames, outgoing.reserved);
            let sent = Sent { waiting: &outgoing.waiting, frames: &frames, port, taken, left };
            sent.count(turn);
            if capture.is_on() {
                capture.left(port, &outgoing.waiting, &frames, taken.frames, left);
            }
            outgoing.waiting.clear();
        }
    }

    /// Takes over frames of control; a port that does not exist takes none.
    pub(super) fn queue(&mut self, port: usize, frames: Vec<Vec<u8>>) {
        if let Some(outgoing) = self.ports.get_mut(port) {
            outgoing.control.extend(frames);
        }
    }

    /// Sends the frames of control; says how many they were.
    pub(super) fn originate(
        &mut self,
        now: Nanos,
        counters: &WorkerCounters,
        capture: &mut Capture,
    ) -> usize {
        let mut all = 0;
        for ((port, outgoing), counted) in (0u16..).zip(&mut self.ports).zip(&counters.ports) {
            if outgoing.control.is_empty() {
                continue;
            }
            let control = core::mem::take(&mut outgoing.control);
            all += control.len();
            counted.originated.add(control.len() as u64);
            for frames in control.chunks(BURST) {
                let frames: ArrayVec<OutFrame<'_>, BURST> =
                    frames.iter().map(|frame| OutFrame::private(frame)).collect();
                let (taken, left) = outgoing.offer(now, &frames, 0);
                let octets = frames.iter().take(taken.frames).map(|frame| frame.len() as u64).sum();
                count(counted, counters, taken, frames.len(), octets, left);
                capture.originated(port, &frames, taken.frames, left);
            }
        }
        all
    }

    /// At the end of a turn: tells the peers.
    pub(super) fn kick(&mut self) {
        for outgoing in self.ports.iter_mut().filter(|outgoing| outgoing.unkicked) {
            outgoing.queue.kick();
            outgoing.unkicked = false;
        }
    }
}

/// What became of the frames for one port.
struct Sent<'a> {
    waiting: &'a [Waiting],
    frames: &'a [OutFrame<'a>],
    port: u16,
    taken: Taken,
    left: DropReason,
}

impl Sent<'_> {
    fn count(&self, turn: &Leaving<'_>) {
        let Leaving { worker, tables, counters, .. } = *turn;
        let overhead = turn.overhead(self.port);
        let done = self.taken.frames.min(self.frames.len());
        let mut octets = 0;
        let mut run = Run::of(worker);
        for (waiting, frame) in self.waiting.iter().zip(self.frames).take(done) {
            let len = frame.len();
            octets += len as u64;
            run.add(waiting.to, 1, (len - overhead) as u64, tables);
        }
        run.finish(tables);
        let Some(port) = counters.ports.get(usize::from(self.port)) else { return };
        count(port, counters, self.taken, self.frames.len(), octets, self.left);
        for waiting in self.waiting.iter().skip(done) {
            if let Receiver::Lif(id) = waiting.to
                && let Some(lif) = tables.lif(id)
            {
                lif.counters.of(worker).tx_dropped.add(1);
            }
        }
    }
}

/// The frames for one port of a burst with unfinished ones.
///
/// A super-frame goes alone: a queue that refuses a frame does not say which, and they do not all count the same.
struct Mixed<'a, 'b> {
    turn: &'b Leaving<'a>,
    capture: &'b mut Capture,
    outgoing: &'b mut Outgoing,
    port: u16,
}

/// Frames that are one each on a wire, and whose they are.
type Singles<'f> = ArrayVec<(Waiting, OutFrame<'f>), BURST>;

impl Mixed<'_, '_> {
    #[cold]
    fn send(mut self, waiting: &[Waiting], finisher: &mut Finisher) {
        let turn = self.turn;
        let mut run = Singles::new();
        for one in waiting {
            let size = turn.sizes.get(one.frame);
            let mut frame = turn.desk.outgoing(one, turn.burst);
            let Some(header) = size.header else {
                run.push((*one, frame));
                continue;
            };
            let inserted = turn.desk.inserted(one);
            if header.is_super_frame()
                && let Some(lent) = turn.burst.get(usize::from(one.frame))
            {
                // What pads it (V26; it is wholly in its head then) would be payload of its last segment.
                let own = lent.len().saturating_add_signed(inserted);
                frame.head = frame.head.get(..own).unwrap_or(frame.head);
            }
            // What may wait is in the head, so it can be moved by any tag.
            let header = header.shifted(inserted).unwrap_or(header);
            let undone = Undone::from_bytes(header.to_bytes());
            if !undone.is_some_and(|undone| self.outgoing.queue.takes(&undone, frame.len())) {
                self.singles(&mut run);
                self.finish(*one, &frame, (&header, size.frames), finisher);
            } else if size.frames == 1 {
                frame.undone = undone;
                run.push((*one, frame));
            } else {
                self.singles(&mut run);
                frame.undone = undone;
                let octets = size.octets_with(inserted);
                self.whole(*one, frame, size.frames, octets);
            }
        }
        self.singles(&mut run);
    }

    /// Sends them; none is left.
    fn singles(&mut self, run: &mut Singles<'_>) {
        if run.is_empty() {
            return;
        }
        let (waiting, frames): (ArrayVec<_, BURST>, ArrayVec<_, BURST>) = run.drain(..).unzip();
        let (taken, left) = self.outgoing.offer(self.turn.now, &frames, self.outgoing.reserved);
        Sent { waiting: &waiting, frames: &frames, port: self.port, taken, left }.count(self.turn);
        self.record(&waiting, &frames, taken.frames, left);
    }

    /// Sends a frame that counts as so many, of so many octets.
    fn whole(&mut self, waiting: Waiting, frame: OutFrame<'_>, count: usize, octets: usize) {
        let frames = [frame];
        let reserved = self.outgoing.reserved;
        let slots = frames[0].len().div_ceil(ORDINARY);
        // What it takes of the ring, but for one slot, is to be left free for it beside what is kept for control.
        let reserved = if reserved == 0 { 0 } else { reserved + slots.saturating_sub(1) };
        let (taken, left) = self.outgoing.offer(self.turn.now, &frames, reserved);
        self.record(&[waiting], &frames, taken.frames, left);
        if taken.frames == 0 {
            return self.lose(waiting, count, left);
        }
        let inner = octets - (self.turn.overhead(self.port) * count).min(octets);
        let mut run = Run::of(self.turn.worker);
        run.add(waiting.to, count as u64, inner as u64, self.turn.tables);
        run.finish(self.turn.tables);
        let Some(port) = self.turn.counters.ports.get(usize::from(self.port)) else { return };
        let (sent, refused) = if taken.refused > 0 { (0, count as u64) } else { (count as u64, 0) };
        tally(port, self.turn.counters, [sent, refused, 0], octets as u64, left);
    }

    /// Sends a frame as a wire sees it. It was judged to be `count` frames.
    #[inline(never)]
    fn finish(
        &mut self,
        waiting: Waiting,
        frame: &OutFrame<'_>,
        (header, count): (&NetHeader, usize),
        finisher: &mut Finisher,
    ) {
        // V26, about what a wire sees.
        let least = if self.turn.overhead(self.port) == 0 { MIN_FRAME } else { 0 };
        match finisher.frame(header, frame.len(), |to| _ = frame.copy_to(to)) {
            Ok(finished) if finished.count() == count => finished.batches(least, |batch| {
                let pieces = batch
                    .iter()
                    .map(|(head, body)| OutFrame::complete(head, Gather::one(Seg::from_slice(body))));
                self.singles(&mut pieces.map(|piece| (waiting, piece)).collect());
            }),
            // Whoever lent it has rewritten its headers since it was judged.
            _ => {
                self.record(&[waiting], &[*frame], 0, DropReason::RxOffload);
                self.lose(waiting, count, DropReason::RxOffload);
            }
        }
    }

    /// A frame that counts as so many was not sent.
    fn lose(&self, waiting: Waiting, count: usize, reason: DropReason) {
        let Leaving { worker, tables, counters, .. } = *self.turn;
        if let Some(port) = counters.ports.get(usize::from(self.port)) {
            tally(port, counters, [0, 0, count as u64], 0, reason);
        }
        if let Receiver::Lif(id) = waiting.to
            && let Some(lif) = tables.lif(id)
        {
            lif.counters.of(worker).tx_dropped.add(count as u64);
        }
    }

    fn record(&mut self, waiting: &[Waiting], frames: &[OutFrame<'_>], done: usize, left: DropReason) {
        if self.capture.is_on() {
            self.capture.left(self.port, waiting, frames, done, left);
        }
    }
}

/// Counts what became of so many frames for a port; `octets` are those of what its queue took, `left` says why it did
/// not take the rest.
fn count(
    port: &PortCounters,
    counters: &WorkerCounters,
    taken: Taken,
    frames: usize,
    octets: u64,
    left: DropReason,
) {
    let done = taken.frames.min(frames);
    let refused = taken.refused.min(done);
    // The octets of refused frames are among the others; which frames those were, only the device knows.
    tally(port, counters, [done - refused, refused, frames - done].map(|n| n as u64), octets, left);
}

/// The same for frames whose fates are known: sent, refused, not taken.
fn tally(
    port: &PortCounters,
    counters: &WorkerCounters,
    [sent, refused, lost]: [u64; 3],
    octets: u64,
    left: DropReason,
) {
    port.tx.add(sent, octets);
    counters.sent.add(sent);
    if refused + lost == 0 {
        return;
    }
    port.tx_dropped.add(refused + lost);
    counters.drops[DropReason::TxUnsendable].add(refused);
    counters.drops[left].add(lost);
}

/// Frames in a row for the same receiver, counted at once.
struct Run {
    worker: usize,
    to: Option<Receiver>,
    frames: u64,
    octets: u64,
}

impl Run {
    fn of(worker: usize) -> Self {
        Self { worker, to: None, frames: 0, octets: 0 }
    }

    #[inline]
    fn add(&mut self, to: Receiver, frames: u64, octets: u64, tables: &Tables) {
        if self.to != Some(to) {
            self.finish(tables);
            *self = Self { to: Some(to), ..Self::of(self.worker) };
        }
        self.frames += frames;
        self.octets += octets;
    }

    fn finish(&self, tables: &Tables) {
        match self.to {
            None => {}
            Some(Receiver::Lif(id)) => {
                if let Some(lif) = tables.lif(id) {
                    lif.counters.of(self.worker).tx.add(self.frames, self.octets);
                }
            }
            Some(Receiver::Copy { flood, copy, looped }) => {
                let copies = tables.floods.get(flood).map(|flood| flood.copies.as_slice());
                if let Some(copy) = copies.and_then(|copies| copies.get(usize::from(copy))) {
                    copy.counters.of(self.worker).add(self.frames, self.octets);
                }
                if let Some(lif) = looped.and_then(|id| tables.lif(id)) {
                    lif.counters.of(self.worker).looped.add(self.frames, self.octets);
                }
            }
        }
    }
}
