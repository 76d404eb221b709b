//! Waking the control thread: what others leave for it.

use niv_node::store::StoreError;
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// What happened that is not in a mailbox. Bounded: each thing is there once.
#[derive(Debug)]
pub(super) struct Wake {
    event: OwnedFd,
    links: AtomicBool,
    counters_lost: AtomicBool,
    secured: AtomicBool,
    written: Mutex<Option<Result<(), StoreError>>>,
}

impl Wake {
    /// The ports are to be looked at; nothing else happened.
    pub(super) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            event,
            links: AtomicBool::new(true),
            counters_lost: AtomicBool::new(false),
            secured: AtomicBool::new(false),
            written: Mutex::new(None),
        })
    }

    /// Has control look at its deadlines anew.
    pub(super) fn wake(&self) {
        // A full counter (EAGAIN) is readable already; nothing else can fail on our own descriptor.
        let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
    }

    /// A port went up or down.
    pub(super) fn links(&self) {
        self.links.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn take_links(&self) -> bool {
        self.links.swap(false, Ordering::Acquire)
    }

    /// A guard of an interface has something to tell.
    pub(super) fn secured(&self) {
        self.secured.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn take_secured(&self) -> bool {
        self.secured.swap(false, Ordering::Acquire)
    }

    /// Counters were not written; nobody has to hurry.
    pub(super) fn counters_lost(&self) {
        self.counters_lost.store(true, Ordering::Release);
    }

    pub(super) fn take_counters_lost(&self) -> bool {
        self.counters_lost.swap(false, Ordering::Acquire)
    }

    /// The batch of records on its way has arrived, or not.
    pub(super) fn written(&self, result: Result<(), StoreError>) {
        *self.written.lock() = Some(result);
        self.wake();
    }

    pub(super) fn take_written(&self) -> Option<Result<(), StoreError>> {
        self.written.lock().take()
    }

    /// Readable after each of those.
    pub(super) fn event(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// Makes it unreadable. To be called before looking.
    pub(super) fn empty(&self) {
        // Nothing to read (EAGAIN) is as good as read.
        let _ = rustix::io::read(&self.event, &mut [0u8; 8]);
    }
}
