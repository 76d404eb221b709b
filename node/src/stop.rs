//! Asking threads to end.

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request to end, shared by every thread that must hear of it: a flag to ask, and a descriptor that becomes
/// and stays readable, so that a sleeper wakes.
#[derive(Clone, Debug)]
pub struct Stop(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    requested: AtomicBool,
    event: OwnedFd,
}

impl Stop {
    /// Nobody asked yet.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(Inner { requested: AtomicBool::new(false), event })))
    }

    /// Asks everybody to end. Once is enough, more often does no harm.
    pub fn request(&self) {
        self.0.requested.store(true, Ordering::Release);
        // Nobody reads this counter, so the write can only fail when it is readable already.
        let _ = rustix::io::write(&self.0.event, &1u64.to_ne_bytes());
    }

    /// Somebody asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.requested.load(Ordering::Acquire)
    }

    /// Sleeps until somebody asks.
    pub fn wait(&self) {
        while !self.is_requested() {
            // An error can only be an interruption by a signal, or a system without memory; then ask again.
            let _ = rustix::event::poll(&mut [PollFd::new(self, PollFlags::IN)], None);
        }
    }
}

impl AsFd for Stop {
    /// Readable from the request on.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }
}
