//! `pcap:FILE`: a port that writes what it is given into a pcapng file and never brings a frame.

use crate::capture::{self, Capture};
use crate::error::OpenError;
use crate::frame::OutFrame;
use crate::open::Defaults;
use crate::port::{Monitor, Port, PortCounter, PortState};
use crate::queue::{Nanos, RxBurst, RxQueue, Taken, TxQueue};
use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

/// Makes the file and the port that writes it.
///
/// # Errors
/// The file cannot be made.
pub(crate) fn open(file: &Path, defaults: &Defaults) -> Result<Port, OpenError> {
    let device = format!("pcap:{}", file.display());
    let event = eventfd(0, EventfdFlags::CLOEXEC)
        .map_err(|e| OpenError::io(&device, "no event descriptor", e.into()))?;
    let interface = Capture::create(file)?.interface(&defaults.name, &device);
    let nothing =
        Port { rx: vec![Box::new(Never(event))], tx: vec![Box::new(Sink)], monitor: Arc::new(Always) };
    Ok(capture::tee(nothing, &interface))
}

/// Brings nothing; its event never fires.
struct Never(OwnedFd);

impl RxQueue for Never {
    fn recv<'a>(&'a mut self, _now: Nanos, _max: usize, _burst: &mut RxBurst<'a>) {}

    fn release(&mut self, _taken: usize) {}

    fn arm(&mut self) -> bool {
        true
    }

    fn disarm(&mut self) {}

    fn event(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

/// Takes everything; the tee around it writes it down.
struct Sink;

impl TxQueue for Sink {
    fn send(&mut self, _now: Nanos, frames: &[OutFrame<'_>]) -> Taken {
        Taken { frames: frames.len(), refused: 0 }
    }

    fn kick(&mut self) {}

    fn is_up(&self) -> bool {
        true
    }
}

/// A file is always up.
struct Always;

impl Monitor for Always {
    fn state(&self) -> PortState {
        PortState::Up
    }

    fn counters(&self) -> Vec<PortCounter> {
        Vec::new()
    }
}
