//! The one descriptor on which a worker waits for a ring, whatever kick descriptor the guest's connection of
//! today brought.
//!
//! It is an epoll descriptor that holds the kick descriptor and an eventfd of our own for starts and stops.
//! Both are watched edge-triggered and never read: a notification makes the epoll descriptor readable until
//! [`Event::drain`], and nothing that a guest does to its kick descriptor can block or confuse us.

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub(super) struct Event {
    epoll: OwnedFd,
    state: OwnedFd,
}

const EDGE: EventFlags = EventFlags::IN.union(EventFlags::ET);

impl Event {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let state = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &state, EventData::new_u64(0), EDGE)?;
        Ok(Self { epoll, state })
    }

    /// Watches a kick descriptor. What is already written to it counts as a notification.
    pub(super) fn watch(&self, kick: &OwnedFd) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, kick, EventData::new_u64(1), EDGE)?)
    }

    /// Forgets a kick descriptor. Must happen before it is closed: the guest has it open, too, and epoll
    /// would go on watching it.
    pub(super) fn unwatch(&self, kick: &OwnedFd) {
        // Fails only for a descriptor that is not watched.
        let _ = epoll::delete(&self.epoll, kick);
    }

    /// Makes the descriptor readable.
    pub(super) fn fire(&self) {
        notify(&self.state);
    }

    /// Consumes what made the descriptor readable.
    pub(super) fn drain(&self) {
        let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 4];
        // Both descriptors fit; an error leaves the descriptor readable, which costs one more wake-up.
        let _ = epoll::wait(&self.epoll, &mut events[..], Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// Adds one to an eventfd. It was made non-blocking when it came in; when its counter is full, whoever should
/// read it has a notification waiting anyway.
pub(super) fn notify(fd: &OwnedFd) {
    let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
}
