//! Asking threads to end.

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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

    /// Sleeps until somebody asks, but no longer than `patience`; whether somebody did.
    #[must_use]
    pub fn wait_for(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while !self.is_requested() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            // As above. A span that a timespec cannot hold is for ever.
            let left = Timespec::try_from(left).ok();
            let _ = rustix::event::poll(&mut [PollFd::new(self, PollFlags::IN)], left.as_ref());
        }
        true
    }
}

impl AsFd for Stop {
    /// Readable from the request on.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }
}
