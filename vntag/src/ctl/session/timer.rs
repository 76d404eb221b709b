//! All timers of a session in one table.

/// What can be due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timer {
    /// Our LLDP data unit.
    Lldp,
    /// Our HELLO.
    Hello,
    /// The peer has not been heard for too long.
    Silence,
    /// The first neighbour's information expires.
    Neighbors,
    /// The first unanswered request is sent again, or given up.
    Retransmit,
}

impl Timer {
    pub(super) const ALL: [Self; 5] =
        [Self::Neighbors, Self::Silence, Self::Retransmit, Self::Lldp, Self::Hello];
}

/// When what is due, in nanoseconds of the caller's clock.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Timers([Option<u64>; Timer::ALL.len()]);

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: u64) {
        self.put(timer, Some(at));
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.put(timer, None);
    }

    /// Sets or stops.
    pub(super) fn put(&mut self, timer: Timer, at: Option<u64>) {
        if let Some(slot) = self.0.get_mut(timer as usize) {
            *slot = at;
        }
    }

    /// Takes the timer out if it is due.
    pub(super) fn expire(&mut self, timer: Timer, now: u64) -> bool {
        let due = self.0.get(timer as usize).copied().flatten().is_some_and(|at| at <= now);
        if due {
            self.stop(timer);
        }
        due
    }

    pub(super) fn next(&self) -> Option<u64> {
        self.0.iter().flatten().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_timer_stands_alone() {
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        for (at, timer) in Timer::ALL.into_iter().enumerate() {
            timers.set(timer, 10 + at as u64);
        }
        assert_eq!(timers.next(), Some(10));
        assert!(!timers.expire(Timer::Silence, 10));
        assert!(timers.expire(Timer::Neighbors, 10));
        assert!(!timers.expire(Timer::Neighbors, 10), "once");
        timers.stop(Timer::Silence);
        assert_eq!(timers.next(), Some(12));
    }
}
