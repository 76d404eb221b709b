//! The virtual time of this thread's worlds.

use core::cell::Cell;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// Nanoseconds; what a machine that wants a clock is given.
#[must_use]
pub fn now() -> u64 {
    NOW.get()
}

/// It is later now.
pub(super) fn set(now: u64) {
    NOW.set(now);
}
