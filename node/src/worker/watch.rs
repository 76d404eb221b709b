//! Which descriptors wake a worker.

use super::Worker;
use crate::stop::Stop;
use crate::supervise::Pulse;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Events taken from the kernel at once. More stay readable and come with the next look.
const AT_ONCE: usize = 64;

/// The epoll data of the request to stop; the others but [`PULSE`] index [`Watch::tokens`].
const STOP: u64 = u64::MAX;

/// The epoll data of the thread's pulse.
const PULSE: u64 = u64::MAX - 1;

/// One generation of watched descriptors.
///
/// It is never changed, only replaced. A descriptor that the worker closed may live on in another process (a
/// link peer holds the other copy of an eventfd), and the kernel then keeps reporting it for ever, with no
/// number left by which to take it out; its number may also have been given to another file already. A fresh
/// epoll has neither trap, and the set changes only when a guest, peer or port comes or goes.
pub(super) struct Watch {
    epoll: OwnedFd,
    /// Sorted by descriptor; an event's data says which part of it is meant.
    tokens: Vec<u64>,
    pulse: Option<Pulse>,
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing was ready.
    Quiet,
    /// The worker was told of at least one event.
    Events,
    /// The loop is asked to end.
    Stop,
}

impl Watch {
    /// Watches what the worker asks for, the request to stop and the thread's pulse.
    pub(super) fn new<W: Worker + ?Sized>(
        worker: &W,
        stop: &Stop,
        pulse: Option<&Pulse>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, stop, EventData::new_u64(STOP), EventFlags::IN)?;
        if let Some(pulse) = pulse {
            epoll::add(&epoll, pulse, EventData::new_u64(PULSE), EventFlags::IN)?;
        }
        let mut events = worker.events();
        events.sort_by_key(|(descriptor, _)| descriptor.as_raw_fd());
        let mut first = 0u32;
        for same in events.chunk_by(|(a, _), (b, _)| a.as_raw_fd() == b.as_raw_fd()) {
            let count = same.len() as u32;
            let data = EventData::new_u64(u64::from(first) << 32 | u64::from(count));
            // Some descriptors come from peers. One that cannot be watched (a plain file) costs its own source
            // the wake-ups and nobody else anything.
            if let Err(error) = epoll::add(&epoll, same[0].0.as_fd(), data, EventFlags::IN) {
                tracing::warn!(token = same[0].1, %error, "a descriptor cannot be watched; its source will not wake");
            }
            first += count;
        }
        Ok(Self {
            epoll,
            tokens: events.into_iter().map(|(_, token)| token).collect(),
            pulse: pulse.cloned(),
        })
    }

    /// Hands what is ready to the worker; waits for it up to `timeout` nanoseconds, or for ever.
    pub(super) fn look<W: Worker + ?Sized>(&self, worker: &mut W, timeout: Option<u64>) -> io::Result<Look> {
        let timeout = timeout.map(|nanos| Timespec {
            tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: (nanos % 1_000_000_000) as _,
        });
        let mut buffer = [const { MaybeUninit::<Event>::uninit() }; AT_ONCE];
        let (events, _) = match epoll::wait(&self.epoll, &mut buffer[..], timeout.as_ref()) {
            Ok(found) => found,
            // A signal that somebody handles elsewhere (a debugger, a profiler).
            Err(Errno::INTR) => return Ok(Look::Quiet),
            Err(error) => return Err(error.into()),
        };
        let mut look = Look::Quiet;
        for event in events {
            let data = event.data.u64();
            if data == STOP {
                return Ok(Look::Stop);
            }
            // No event of the worker's: it goes on as if nothing had been ready.
            if data == PULSE {
                self.pulse.iter().for_each(Pulse::answer);
                continue;
            }
            let (first, count) = ((data >> 32) as usize, (data & u64::from(u32::MAX)) as usize);
            for token in self.tokens.iter().skip(first).take(count) {
                worker.ready(*token);
            }
            look = Look::Events;
        }
        Ok(look)
    }
}
