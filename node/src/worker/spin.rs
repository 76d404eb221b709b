//! Whether to look a little longer before going to sleep.

/// A miss weighs as much as a gap of so many limits: after it several short gaps must be seen before the next try.
const MISS: u64 = 4;

/// A gap counts for at most so many limits, so that one long silence is forgotten after a few short ones.
const LONGEST: u64 = 16;

/// Decides whether spinning pays, by a moving average (weight 1/8) of how long the worker was idle. Where the peer
/// needs this very CPU, spinning only keeps the peer from answering: then each spin is a miss, and it stops.
#[derive(Debug)]
pub(super) struct Spin {
    limit: u64,
    average: u64,
}

impl Spin {
    /// Spins for up to `limit` nanoseconds, 0 for never.
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, average: limit.saturating_mul(LONGEST) }
    }

    /// How long to spin now.
    pub(super) fn allowance(&self) -> u64 {
        if self.average < self.limit { self.limit } else { 0 }
    }

    /// The worker was idle for `gap` nanoseconds; `missed` says that it spun in vain first.
    pub(super) fn observe(&mut self, gap: u64, missed: bool) {
        let gap = gap.min(self.limit.saturating_mul(LONGEST));
        let sample = if missed { gap.max(self.limit.saturating_mul(MISS)) } else { gap };
        self.average = (self.average * 7 + sample) / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spins_only_while_gaps_are_short() {
        let mut spin = Spin::new(20_000);
        assert_eq!(spin.allowance(), 0);
        (0..64).for_each(|_| spin.observe(3_000, false));
        assert_eq!(spin.allowance(), 20_000);
        spin.observe(5_000_000, true);
        assert_eq!(spin.allowance(), 0);
    }

    #[test]
    fn a_miss_costs_several_short_gaps() {
        let mut spin = Spin::new(20_000);
        (0..64).for_each(|_| spin.observe(10_000, false));
        (0..2).for_each(|_| spin.observe(10_000, true));
        assert_eq!(spin.allowance(), 0);
        let again = (0..64).position(|_| {
            spin.observe(10_000, false);
            spin.allowance() > 0
        });
        assert!(again.is_some_and(|short_gaps| short_gaps >= 1), "{again:?}");
    }

    #[test]
    fn never_when_switched_off() {
        let mut spin = Spin::new(0);
        (0..64).for_each(|_| spin.observe(0, false));
        assert_eq!(spin.allowance(), 0);
    }
}
