//! All timers of the machine in one table; those of the sessions are in `vntag::ctl::session`.

use std::collections::{BTreeMap, BTreeSet};

/// What can be due, with the index of its port. The table in the [module](super) says how long each takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Timer {
    /// The adapter has been lost for longer than carrier-delay.
    Carrier(usize),
    /// What was kept for an adapter's return is not kept any longer.
    Hold(usize),
    /// The first id in quarantine may be free.
    Quarantine(usize),
    /// What an adapter refused to do is tried again.
    Retry(usize),
    /// Rows of the pending table that nobody asks for any more go.
    Pending,
}

/// When what is due, in nanoseconds of the caller's clock.
#[derive(Default, Debug)]
pub(super) struct Timers {
    at: BTreeMap<Timer, u64>,
    queue: BTreeSet<(u64, Timer)>,
}

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: u64) {
        self.stop(timer);
        self.at.insert(timer, at);
        self.queue.insert((at, timer));
    }

    /// Sets it unless it is set.
    pub(super) fn begin(&mut self, timer: Timer, at: u64) {
        if !self.at.contains_key(&timer) {
            self.set(timer, at);
        }
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.queue.remove(&(at, timer));
        }
    }

    /// Takes out the first timer that is due.
    pub(super) fn expire(&mut self, now: u64) -> Option<Timer> {
        let (at, timer) = *self.queue.first()?;
        (at <= now).then(|| {
            self.stop(timer);
            timer
        })
    }

    pub(super) fn next(&self) -> Option<u64> {
        self.queue.first().map(|(at, _)| *at)
    }

    pub(super) fn len(&self) -> usize {
        self.at.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_once() {
        let mut timers = Timers::default();
        timers.set(Timer::Hold(0), 20);
        timers.set(Timer::Carrier(1), 10);
        timers.begin(Timer::Carrier(1), 5);
        timers.set(Timer::Hold(0), 7);
        assert_eq!((timers.next(), timers.len()), (Some(7), 2));
        assert_eq!(timers.expire(6), None);
        assert_eq!(timers.expire(8), Some(Timer::Hold(0)));
        assert_eq!(timers.expire(8), None);
        timers.stop(Timer::Carrier(1));
        assert_eq!((timers.next(), timers.len()), (None, 0));
    }
}
