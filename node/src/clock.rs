//! The one clock of the data path, read by the loop and handed down as a number.

use rustix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC` in nanoseconds. It has no settings and no state, so it is a function and not a value;
/// virtual worlds call [`Worker::turn`](crate::worker::Worker::turn) with a number of their own.
#[must_use]
#[inline]
pub fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec)
        .unwrap_or(0)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}
