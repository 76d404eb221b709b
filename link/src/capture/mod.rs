//! A port around a port that writes every frame into a pcapng file which can be read while it grows.
//!
//! A port with such a file takes complete frames only, and a memif announces nothing else: what is in the file is what
//! a wire would carry. (What a guest or the kernel, by `packet`, hands over unfinished is recorded as it came.)
//!
//! What the port received and what it was given to send both appear, in the order in which they were handled
//! here, with their direction (`epb_flags`) and nanoseconds of the wall clock. A frame is recorded when it is
//! first lent; one that is put back and lent again is not recorded again. Frames are copied into a bounded
//! buffer and written by a thread, at the latest after 100 ms and when the port is dropped; frames that find no
//! room are counted as `capture_lost` and go their way.
//!
//! ```no_run
//! use link::capture::{Capture, tee};
//! # let (port, _, _) = link::pair::pair(8);
//! let capture = Capture::create("link0.pcapng".as_ref())?;
//! let port = tee(port, &capture.interface("link0", "memif:/run/niv/link0.sock"));
//! # Ok::<(), link::OpenError>(())
//! ```

mod file;
pub mod live;
mod pcapng;

pub use file::{Capture, Interface};
pub use pcapng::Direction;

use crate::frame::OutFrame;
use crate::port::{Monitor, Port, PortCounter, PortState, Tell};
use crate::queue::{BURST, Nanos, RxBurst, RxQueue, Taken, TxQueue};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// Records both directions of every queue of `port` as `interface`.
#[must_use]
pub fn tee(port: Port, interface: &Interface) -> Port {
    let rx = port.rx.into_iter().map(|inner| {
        Box::new(TeeRx { inner, interface: interface.clone(), known: 0, lent: 0 }) as Box<dyn RxQueue>
    });
    let tx = port
        .tx
        .into_iter()
        .map(|inner| Box::new(TeeTx { inner, interface: interface.clone() }) as Box<dyn TxQueue>);
    Port {
        rx: rx.collect(),
        tx: tx.collect(),
        monitor: Arc::new(TeeMonitor { inner: port.monitor, interface: interface.clone() }),
    }
}

struct TeeRx {
    inner: Box<dyn RxQueue>,
    interface: Interface,
    /// The first so many frames that the queue holds are recorded: they were lent before and not released.
    known: usize,
    /// Frames of the last burst.
    lent: usize,
}

impl RxQueue for TeeRx {
    fn recv<'a>(&'a mut self, now: Nanos, max: usize, burst: &mut RxBurst<'a>) {
        let max = max.min(BURST);
        self.inner.recv(now, max, burst);
        self.lent = burst.len();
        if self.lent < self.known.min(max) {
            // The queue forgot frames that it had lent: it was down in between.
            self.known = self.lent;
        }
        if let Some(fresh) = burst.get(self.known..).filter(|fresh| !fresh.is_empty()) {
            let frames = fresh.iter().map(|frame| OutFrame::complete(&[], frame.data));
            self.interface.record(file::wall_clock(), Direction::In, None, frames);
            self.known = self.lent;
        }
    }

    fn release(&mut self, taken: usize) {
        self.known = self.known.saturating_sub(taken.min(self.lent));
        self.lent = 0;
        self.inner.release(taken);
    }

    fn arm(&mut self) -> bool {
        self.inner.arm()
    }

    fn disarm(&mut self) {
        self.inner.disarm();
    }

    fn event(&self) -> Option<BorrowedFd<'_>> {
        self.inner.event()
    }

    fn deadline(&self) -> Option<Nanos> {
        self.inner.deadline()
    }

    fn has_deadlines(&self) -> bool {
        self.inner.has_deadlines()
    }
}

struct TeeTx {
    inner: Box<dyn TxQueue>,
    interface: Interface,
}

impl TxQueue for TeeTx {
    fn send(&mut self, now: Nanos, frames: &[OutFrame<'_>]) -> Taken {
        let taken = self.inner.send(now, frames);
        let gone = frames.iter().take(taken.frames);
        if gone.len() > 0 {
            self.interface.record(file::wall_clock(), Direction::Out, None, gone.copied());
        }
        taken
    }

    fn kick(&mut self) {
        self.inner.kick();
    }

    fn is_up(&self) -> bool {
        self.inner.is_up()
    }

    fn room(&self, wanted: usize) -> usize {
        self.inner.room(wanted)
    }
}

struct TeeMonitor {
    inner: Arc<dyn Monitor>,
    interface: Interface,
}

impl Monitor for TeeMonitor {
    fn state(&self) -> PortState {
        self.inner.state()
    }

    fn on_change(&self, tell: Tell) {
        self.inner.on_change(tell);
    }

    fn counters(&self) -> Vec<PortCounter> {
        let mut all = self.inner.counters();
        all.push(PortCounter {
            name: "capture_lost",
            value: self.interface.lost(),
            help: "Frames that are missing in the capture file because its writer fell behind or failed.",
        });
        all
    }
}

#[cfg(test)]
mod tests;
