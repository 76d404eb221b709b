//! When what is due in a machine that stands on sessions: any number of timers, each set or not.

use std::collections::{BTreeMap, BTreeSet};

/// Timers of kind `T`, at most one of each value; times are nanoseconds of the caller's clock.
#[derive(Debug)]
pub struct Timers<T> {
    at: BTreeMap<T, u64>,
    queue: BTreeSet<(u64, T)>,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { at: BTreeMap::new(), queue: BTreeSet::new() }
    }
}

impl<T: Copy + Ord> Timers<T> {
    /// Sets it, also where it is set to another time.
    pub fn set(&mut self, timer: T, at: u64) {
        self.stop(timer);
        self.at.insert(timer, at);
        self.queue.insert((at, timer));
    }

    /// Sets it unless it is set.
    pub fn begin(&mut self, timer: T, at: u64) {
        if !self.is_set(timer) {
            self.set(timer, at);
        }
    }

    /// It is not due any more.
    pub fn stop(&mut self, timer: T) {
        if let Some(at) = self.at.remove(&timer) {
            self.queue.remove(&(at, timer));
        }
    }

    /// Whether it will be due.
    #[must_use]
    pub fn is_set(&self, timer: T) -> bool {
        self.at.contains_key(&timer)
    }

    /// Takes out the first timer that is due.
    pub fn expire(&mut self, now: u64) -> Option<T> {
        let (at, timer) = *self.queue.first()?;
        (at <= now).then(|| {
            self.stop(timer);
            timer
        })
    }

    /// When the first one is due.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// How many are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_once() {
        let mut timers = Timers::default();
        timers.set('a', 20);
        timers.set('b', 10);
        timers.begin('b', 5);
        timers.set('a', 7);
        assert_eq!((timers.next(), timers.len(), timers.is_set('b')), (Some(7), 2, true));
        assert_eq!(timers.expire(6), None);
        assert_eq!(timers.expire(8), Some('a'));
        assert_eq!(timers.expire(8), None);
        timers.stop('b');
        assert_eq!((timers.next(), timers.is_empty()), (None, true));
    }
}
