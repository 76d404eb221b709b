//! What a link does to frames.

use crate::random::Random;
use arrayvec::ArrayVec;

/// Nanoseconds of a millisecond.
pub const MS: u64 = 1_000_000;
/// Nanoseconds of a second.
pub const SECOND: u64 = 1000 * MS;

/// How a link treats frames, each by itself. With jitter they overtake each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weather {
    /// Of a thousand frames, so many are lost.
    pub loss: u64,
    /// Of a thousand frames, so many come twice.
    pub duplicates: u64,
    /// Nanoseconds that each frame takes at least.
    pub latency: u64,
    /// Nanoseconds that it takes more, at the most.
    pub jitter: u64,
}

impl Weather {
    /// 25 us, and nothing goes wrong.
    pub const FAIR: Self = Self { loss: 0, duplicates: 0, latency: 25_000, jitter: 0 };

    /// Anything up to a third lost, a fifth doubled, and 150 ms late.
    #[must_use]
    pub fn storm(random: &mut Random) -> Self {
        Self {
            loss: random.below(334),
            duplicates: random.below(201),
            latency: 25_000,
            jitter: random.below(150) * MS,
        }
    }

    /// When the copies of a frame arrive, in nanoseconds from now.
    #[must_use]
    pub fn arrivals(&self, random: &mut Random) -> ArrayVec<u64, 2> {
        let mut arrivals = ArrayVec::new();
        if random.chance(self.loss, 1000) {
            return arrivals;
        }
        let copies = if random.chance(self.duplicates, 1000) { 2 } else { 1 };
        arrivals.extend((0..copies).map(|_| self.latency + random.below(self.jitter + 1)));
        arrivals
    }
}
