//! The loop around a worker: turns while there is work, sleep when there is none.
//!
//! ```text
//!        +--> turn(now) --moved or not all armed--+
//!        |       |                                |
//!        |       | idle                           | every 20 us: a look at epoll without waiting
//!        |       v                                |
//!        +--- epoll, until an event or `next` <---+
//! ```
//!
//! [`Worker`] is what moves frames and knows nothing of threads, descriptors' readiness or clocks; [`run`] is
//! the loop on a real thread; a virtual world calls [`Worker::turn`] itself.
//!
//! **Level-triggered.** A lost edge is a hang that nobody can explain, a repeated level is a microsecond: a
//! notification that came while its ring was polled is reported once more when the worker wants to sleep, the
//! ring is looked at again, and [`disarming`](Worker::ready) it consumes the notification. It also lets packet
//! sockets and taps, which are readable as long as a frame waits, be armed without a system call.
//!
//! **No tick.** An idle worker without a deadline waits without a timeout: it uses no CPU at all.

mod run;
mod spin;
mod watch;

pub use run::{LOOK, Options, run};

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

    /// The event with this token fired. It goes on being reported until its descriptor is no longer readable.
    fn ready(&mut self, token: u64);

    /// Which descriptors to watch and their tokens. Asked again after a turn in which
    /// [`events_changed`](Self::events_changed) said so. One descriptor may have several tokens.
    fn events(&self) -> Vec<(BorrowedFd<'_>, u64)>;

    /// The set of descriptors changed since this was last called.
    fn events_changed(&mut self) -> bool;

    /// Descriptors that left the set in the last turn. They stay open until the next one: one that was closed while it
    /// is watched may live on in another process (a link peer holds the other copy of an eventfd), and would be reported
    /// for ever. The default is a worker whose descriptors never leave.
    fn events_gone(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }
}
