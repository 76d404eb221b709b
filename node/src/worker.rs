//! The loop around a worker: turns while there is work, sleep when there is none.
//!
//! ```text
//!        +--> turn(now) --moved or not all armed--+
//!        |       |                                |
//!        |       | idle                           | every 20 us: a look at epoll without waiting
//!        |       v                                |
//!        +--- epoll, until an event or `next` <---+
//! ```

use std::os::fd::BorrowedFd;

/// What a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Frames moved (or dropped).
    pub moved: usize,
    /// Nothing is polled: every source is armed and the worker may sleep.
    pub idle: bool,
    /// Do not sleep past this moment (nanoseconds on the worker's clock).
    pub next: Option<u64>,
}

/// Something that moves frames, one turn at a time. Owned by one thread, or by a virtual world.
pub trait Worker {
    /// Moves what waits, 512 frames at the most, and tells the peers that asked to be told. Never blocks.
    fn turn(&mut self, now: u64) -> Turn;

    /// The event with this token fired.
    fn ready(&mut self, token: u64);

    /// Which descriptors to watch and their tokens. Asked again after a turn in which
    /// [`events_changed`](Self::events_changed) said so.
    fn events(&self) -> Vec<(BorrowedFd<'_>, u64)>;

    /// The set of descriptors changed since this was last called.
    fn events_changed(&mut self) -> bool;
}
