//! Which descriptors wake a worker.

use super::Worker;
use crate::stop::Stop;
use crate::supervise::Pulse;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Events taken from the kernel at once. More stay readable and come with the next look.
const AT_ONCE: usize = 64;

/// The epoll data of the request to stop; that of all others but [`PULSE`] is the descriptor's number.
const STOP: u64 = u64::MAX;

/// The epoll data of the thread's pulse.
const PULSE: u64 = u64::MAX - 1;

/// What is watched. A change costs what has changed: a worker with thousands of sources must not stand still for
/// milliseconds because one comes or goes.
pub(super) struct Watch {
    epoll: OwnedFd,
    /// Descriptors and tokens, in rising order.
    tokens: Vec<(RawFd, u64)>,
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
        let mut watch = Self { epoll, tokens: Vec::new(), pulse: pulse.cloned() };
        watch.update(worker);
        Ok(watch)
    }

    /// Watches what the worker asks for now.
    pub(super) fn update<W: Worker + ?Sized>(&mut self, worker: &W) {
        let gone = worker.events_gone();
        for descriptor in &gone {
            let _ = epoll::delete(&self.epoll, descriptor);
        }
        let mut events = worker.events();
        events.sort_by_key(|(descriptor, token)| (descriptor.as_raw_fd(), *token));
        for same in events.chunk_by(|(a, _), (b, _)| a.as_raw_fd() == b.as_raw_fd()) {
            let (descriptor, token) = &same[0];
            let number = descriptor.as_raw_fd();
            // One that has left under one token may have stayed under another.
            let is_watched = self.tokens_of(number).next().is_some()
                && !gone.iter().any(|gone| gone.as_raw_fd() == number);
            if is_watched {
                continue;
            }
            // Some descriptors come from peers. One that cannot be watched (a plain file) costs its own source
            // the wake-ups and nobody else anything.
            let data = EventData::new_u64(number as u64);
            if let Err(error) = epoll::add(&self.epoll, descriptor, data, EventFlags::IN) {
                tracing::warn!(token, %error, "a descriptor cannot be watched; its source will not wake");
            }
        }
        self.tokens = events.iter().map(|(descriptor, token)| (descriptor.as_raw_fd(), *token)).collect();
    }

    /// The tokens of a descriptor.
    fn tokens_of(&self, number: RawFd) -> impl Iterator<Item = u64> {
        let first = self.tokens.partition_point(|(other, _)| *other < number);
        self.tokens.iter().skip(first).take_while(move |(other, _)| *other == number).map(|(_, token)| *token)
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
            self.tokens_of(data as RawFd).for_each(|token| worker.ready(token));
            look = Look::Events;
        }
        Ok(look)
    }
}
