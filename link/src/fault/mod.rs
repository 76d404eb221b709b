//! A port around a port that drops, duplicates, reorders, corrupts and delays frames, by a seed.
//!
//! Both directions are a line with faults: a frame is copied in, the plan's dice are rolled, and what is left of
//! it comes out when it is due. The same seed, frames and times give the same faults. Memory is bounded: a line
//! that is full takes no more, so the pressure goes back to where the frames come from.
//!
//! A frame held on its way *out* becomes due without anybody sending, so the receiving half of the same port
//! looks after it too: its [`deadline`](RxQueue::deadline) covers both directions, and its `recv` sends what is
//! due. Where another worker sleeps on that receiving half, such a frame goes at the next turn of either of them.
//! A reordered frame is overtaken by the next one; when none comes within a millisecond it goes on alone.

mod line;
mod plan;
mod random;

pub use plan::{FaultError, FaultPlan};

use crate::counter::port_counters;
use crate::frame::{Frame, Gather, OutFrame, Seg, Undone};
use crate::port::{Monitor, Port, PortCounter, PortState, Tell};
use crate::queue::{BURST, Nanos, RxBurst, RxQueue, Taken, TxQueue};
use arrayvec::ArrayVec;
use line::Line;
use parking_lot::Mutex;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// How long to wait before frames are offered again to a queue that was full.
const RETRY: Nanos = 1_000_000;

port_counters! {
    struct Counters {
        /// Frames dropped because the fault plan says so.
        fault_dropped,
        /// Frames sent twice because the fault plan says so.
        fault_duplicated,
        /// Frames overtaken by the next one because the fault plan says so.
        fault_reordered,
        /// Frames with one bit flipped because the fault plan says so.
        fault_corrupted,
        /// Frames held back because the fault plan says so.
        fault_delayed,
        /// Frames held back on their way out when the port went down.
        fault_lost,
        /// Frames held back on their way out that the port then refused.
        fault_refused,
    }
}

/// Puts the plan's faults on both directions of every queue of `port`.
#[must_use]
pub fn inject(port: Port, plan: FaultPlan) -> Port {
    let counters = Arc::new(Counters::default());
    let line = |stream| Line::new(plan, stream, Arc::clone(&counters));
    let sides: Vec<_> = port
        .tx
        .into_iter()
        .zip(0u64..)
        .map(|(inner, queue)| {
            let side = Side {
                inner,
                line: line(2 * queue + 1),
                counters: Arc::clone(&counters),
                now: 0,
                retry: None,
            };
            Arc::new(Mutex::new(side))
        })
        .collect();
    let of = port.rx.len();
    let rx = port.rx.into_iter().enumerate().map(|(queue, inner)| {
        let ways_out = sides.iter().skip(queue).step_by(of).cloned().collect();
        Box::new(FaultRx { inner, line: line(2 * queue as u64), ways_out, now: 0 }) as Box<dyn RxQueue>
    });
    Port {
        rx: rx.collect(),
        tx: sides.iter().map(|side| Box::new(FaultTx(Arc::clone(side))) as Box<dyn TxQueue>).collect(),
        monitor: Arc::new(FaultMonitor { inner: port.monitor, counters: Arc::clone(&counters) }),
    }
}

struct FaultRx {
    inner: Box<dyn RxQueue>,
    line: Line,
    /// The sending queues whose held frames this one looks after.
    ways_out: Vec<Arc<Mutex<Side>>>,
    /// The moment of the last `recv`.
    now: Nanos,
}

impl RxQueue for FaultRx {
    fn recv<'a>(&'a mut self, now: Nanos, max: usize, burst: &mut RxBurst<'a>) {
        self.now = now;
        for side in &self.ways_out {
            side.lock().drive(now);
        }
        let max = max.min(BURST);
        self.line.settle(now);
        if self.line.due(now).take(max).count() < max {
            let mut fresh = RxBurst::new();
            self.inner.recv(now, BURST.min(self.line.room()), &mut fresh);
            let taken = fresh.len();
            for frame in &fresh {
                let copy = OutFrame { undone: frame.undone, ..OutFrame::complete(&[], frame.data) };
                self.line.put(now, &copy);
            }
            drop(fresh);
            self.inner.release(taken);
        }
        burst.extend(
            self.line
                .due(now)
                .take(max)
                .map(|due| Frame { data: Gather::one(Seg::from_slice(due.bytes)), undone: due.undone }),
        );
    }

    fn release(&mut self, taken: usize) {
        self.line.pop(taken);
    }

    fn arm(&mut self) -> bool {
        self.line.due(self.now).next().is_none() && self.inner.arm()
    }

    fn disarm(&mut self) {
        self.inner.disarm();
    }

    fn event(&self) -> Option<BorrowedFd<'_>> {
        self.inner.event()
    }

    fn deadline(&self) -> Option<Nanos> {
        let out = self.ways_out.iter().filter_map(|side| side.lock().deadline());
        out.chain(self.line.deadline()).chain(self.inner.deadline()).min()
    }

    fn has_deadlines(&self) -> bool {
        true
    }
}

/// The way out of one queue; shared between its sender and the receiver that looks after its deadlines.
struct Side {
    inner: Box<dyn TxQueue>,
    line: Line,
    counters: Arc<Counters>,
    /// The latest moment that anybody told.
    now: Nanos,
    /// The inner queue was full: do not ask again before.
    retry: Option<Nanos>,
}

impl Side {
    /// Sends what is due; says whether anything went.
    fn flush(&mut self, now: Nanos) -> bool {
        self.now = self.now.max(now);
        self.retry = None;
        if !self.inner.is_up() {
            self.counters.fault_lost.add(self.line.clear() as u64);
            return false;
        }
        self.line.settle(self.now);
        let mut sent = false;
        loop {
            let due: ArrayVec<OutFrame<'_>, BURST> = self
                .line
                .due(self.now)
                .take(BURST)
                .map(|due| OutFrame { undone: due.undone, ..OutFrame::private(due.bytes) })
                .collect();
            if due.is_empty() {
                return sent;
            }
            let taken = self.inner.send(self.now, &due);
            let stuck = taken.frames < due.len();
            drop(due);
            self.line.pop(taken.frames);
            self.counters.fault_refused.add(taken.refused as u64);
            sent |= taken.frames > 0;
            if stuck {
                self.retry = Some(self.now.saturating_add(RETRY));
                return sent;
            }
        }
    }

    /// Sends what is due and tells the peer.
    fn drive(&mut self, now: Nanos) {
        if self.line.deadline().is_some() && self.flush(now) {
            self.inner.kick();
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        self.line.deadline().map(|due| self.retry.map_or(due, |retry| retry.max(due)))
    }
}

struct FaultTx(Arc<Mutex<Side>>);

impl TxQueue for FaultTx {
    fn send(&mut self, now: Nanos, frames: &[OutFrame<'_>]) -> Taken {
        let mut side = self.0.lock();
        // First what is due already, so that the order holds and there is room.
        side.flush(now);
        if !side.inner.is_up() {
            return Taken::default();
        }
        // A queue that is full stays full for the sender too, or the line would hide the pressure.
        let room = if side.retry.is_some() { 0 } else { side.line.room() };
        let taken = frames.len().min(room);
        for frame in &frames[..taken] {
            side.line.put(now, frame);
        }
        side.flush(now);
        Taken { frames: taken, refused: 0 }
    }

    fn kick(&mut self) {
        let mut side = self.0.lock();
        let now = side.now;
        side.flush(now);
        side.inner.kick();
    }

    fn is_up(&self) -> bool {
        self.0.lock().inner.is_up()
    }

    fn takes(&self, undone: &Undone, len: usize) -> bool {
        self.0.lock().inner.takes(undone, len)
    }

    fn room(&self, _: usize) -> usize {
        let side = self.0.lock();
        if side.retry.is_some() { 0 } else { side.line.room() }
    }
}

struct FaultMonitor {
    inner: Arc<dyn Monitor>,
    counters: Arc<Counters>,
}

impl Monitor for FaultMonitor {
    fn state(&self) -> PortState {
        self.inner.state()
    }

    fn on_change(&self, tell: Tell) {
        self.inner.on_change(tell);
    }

    fn counters(&self) -> Vec<PortCounter> {
        let mut all = self.inner.counters();
        all.extend(self.counters.list());
        all
    }
}

#[cfg(test)]
mod tests;
