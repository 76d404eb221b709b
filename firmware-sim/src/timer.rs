//! All timers of the firmware in one table.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{LinkId, VnicId};

/// What can be due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Timer {
    /// A refused create, or a refused enable, is tried again.
    Retry(VnicId, LinkId),
    /// The switch has been lost for longer than carrier-delay.
    Carrier(VnicId),
    /// The switch has been lost for longer than the hold time: what was kept for its return goes.
    Hold(LinkId),
    /// An answer that a fault rule made late.
    Late(u64),
}

/// When what is due, in nanoseconds of the caller's clock.
#[derive(Default, Debug)]
pub(crate) struct Timers {
    at: BTreeMap<Timer, u64>,
    queue: BTreeSet<(u64, Timer)>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: u64) {
        self.stop(timer);
        self.at.insert(timer, at);
        self.queue.insert((at, timer));
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.queue.remove(&(at, timer));
        }
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.at.contains_key(&timer)
    }

    /// Takes out the first timer that is due.
    pub(crate) fn expire(&mut self, now: u64) -> Option<Timer> {
        let (at, timer) = *self.queue.first()?;
        (at <= now).then(|| {
            self.stop(timer);
            timer
        })
    }

    pub(crate) fn next(&self) -> Option<u64> {
        self.queue.first().map(|(at, _)| *at)
    }

    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_once() {
        let mut timers = Timers::default();
        let (a, b) = (Timer::Hold(LinkId(0)), Timer::Carrier(VnicId(1)));
        timers.set(a, 20);
        timers.set(b, 10);
        timers.set(a, 5);
        assert_eq!((timers.next(), timers.len()), (Some(5), 2));
        assert_eq!(timers.expire(4), None);
        assert_eq!(timers.expire(7), Some(a));
        assert_eq!(timers.expire(7), None);
        timers.stop(b);
        assert_eq!((timers.next(), timers.len()), (None, 0));
    }
}
