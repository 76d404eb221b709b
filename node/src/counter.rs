//! Counters with one writer and many readers, and drop reasons that are counters.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;

/// A monotonic counter. One worker writes it, anybody reads it; no read-modify-write on the bus.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the one owning worker may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Places for the workers behind the first: 1, 2 to 3, 4 to 7, and so on, up to [`MOST_WORKERS`].
const STEPS: usize = 6;

/// Workers that a daemon may have.
pub const MOST_WORKERS: usize = 1 << STEPS;

/// One `T` on cache lines of its own.
#[derive(Default)]
#[repr(align(64))]
struct Place<T>(T);

/// What several workers count of the same thing, each in a place of its own: it alone writes there, and anybody reads the
/// sum. Places are made when they are first asked for, so that whoever makes such a thing need not know how many workers
/// there are, and one that only the first worker meets costs no more than its `T`.
pub struct PerWorker<T> {
    first: Place<T>,
    others: [OnceLock<Box<[Place<T>]>>; STEPS],
}

impl<T: Default> Default for PerWorker<T> {
    fn default() -> Self {
        Self { first: Place::default(), others: Default::default() }
    }
}

impl<T: Default> PerWorker<T> {
    /// The place of a worker. One beyond [`MOST_WORKERS`], of which there is none, has that of the last.
    #[inline]
    #[must_use]
    pub fn of(&self, worker: usize) -> &T {
        if worker == 0 { &self.first.0 } else { self.other(worker.min(MOST_WORKERS - 1)) }
    }

    fn other(&self, worker: usize) -> &T {
        let step = worker.ilog2() as usize;
        let places = self.others[step].get_or_init(|| (0..1 << step).map(|_| Place::default()).collect());
        &places[worker - (1 << step)].0
    }

    /// What there is, in the order of the workers.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let others = self.others.iter().filter_map(OnceLock::get).flatten();
        core::iter::once(&self.first).chain(others).map(|place| &place.0)
    }

    /// The sum of something over all workers.
    pub fn sum(&self, of: impl Fn(&T) -> u64) -> u64 {
        self.iter().map(of).sum()
    }
}

impl<T: Default + fmt::Debug> fmt::Debug for PerWorker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Both sides of `received + replicated + originated = sent + punted + dropped`: no frame is lost without a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Frames taken from receive queues.
    pub received: u64,
    /// Copies made beyond the first of each flooded frame.
    pub replicated: u64,
    /// Frames that control gave to be sent.
    pub originated: u64,
    /// Frames and copies that transmit queues took.
    pub sent: u64,
    /// Frames that control got.
    pub punted: u64,
    /// Frames and copies that were dropped under a name.
    pub dropped: u64,
}

impl core::iter::Sum for Balance {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| Self {
            received: a.received + b.received,
            replicated: a.replicated + b.replicated,
            originated: a.originated + b.originated,
            sent: a.sent + b.sent,
            punted: a.punted + b.punted,
            dropped: a.dropped + b.dropped,
        })
    }
}

impl Balance {
    /// The law. Exact whenever the worker rests; within a turn, frames may be on their way.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.received + self.replicated + self.originated == self.sent + self.punted + self.dropped
    }
}

/// Declares the drop reasons of an engine: an enum whose every value has a counter name, the lines of the
/// conformance tables it stands for, and a one-line help, plus a set of counters indexed by it.
///
/// ```
/// niv_node::drop_reasons! {
///     /// Why a frame was dropped.
///     pub enum DropReason, DropCounters {
///         /// No VNTag and not an exempt control frame.
///         RxNoVntag = "rx_no_vntag", "V1 V15";
///         /// Fewer than four octets after the TPID.
///         RxTruncated = "rx_truncated", "V3";
///     }
/// }
/// assert_eq!(DropReason::RxTruncated.name(), "rx_truncated");
/// let drops = DropCounters::default();
/// drops[DropReason::RxTruncated].add(1);
/// assert_eq!(drops.total(), 1);
/// ```
#[macro_export]
macro_rules! drop_reasons {
    ($(#[$meta:meta])* pub enum $name:ident, $set:ident { $($(#[doc = $help:literal])+ $value:ident = $label:literal, $lines:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[doc = $help])+ $value),+ }

        impl $name {
            /// Every reason, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// The counter's name.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$value => $label),+ } }

            /// The lines of the conformance tables this reason stands for, separated by blanks; empty where
            /// it is this product's own.
            #[must_use]
            pub const fn lines(self) -> &'static str { match self { $(Self::$value => $lines),+ } }

            /// One line of help.
            #[must_use]
            pub const fn help(self) -> &'static str { match self { $(Self::$value => concat!($($help),+)),+ } }
        }

        /// One counter for each reason.
        #[derive(Debug)]
        pub struct $set([$crate::counter::Counter; $name::ALL.len()]);

        impl Default for $set {
            fn default() -> Self { Self(core::array::from_fn(|_| $crate::counter::Counter::default())) }
        }

        impl core::ops::Index<$name> for $set {
            type Output = $crate::counter::Counter;
            #[inline]
            fn index(&self, reason: $name) -> &Self::Output { &self.0[reason as usize] }
        }

        impl $set {
            /// Every reason with its value.
            pub fn iter(&self) -> impl Iterator<Item = ($name, u64)> + '_ {
                $name::ALL.iter().map(|reason| (*reason, self[*reason].get()))
            }

            /// All reasons together.
            #[must_use]
            pub fn total(&self) -> u64 { self.iter().map(|(_, value)| value).sum() }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn each_worker_has_a_place_of_its_own_and_readers_get_the_sum() {
        const TIMES: u64 = 10_000;
        let counted: Arc<PerWorker<Counter>> = Arc::default();
        let workers: Vec<_> = (0..MOST_WORKERS)
            .map(|worker| {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || (0..TIMES).for_each(|_| counted.of(worker).add(1)))
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().expect("no panic"));
        assert_eq!(counted.iter().count(), MOST_WORKERS);
        assert!(counted.iter().all(|one| one.get() == TIMES), "{counted:?}");
        assert_eq!(counted.sum(Counter::get), TIMES * MOST_WORKERS as u64);
    }

    #[test]
    fn what_one_worker_counts_takes_no_place_of_others() {
        let counted: PerWorker<Counter> = PerWorker::default();
        counted.of(0).add(1);
        assert_eq!(counted.iter().count(), 1);
        counted.of(5).add(2);
        assert_eq!((counted.iter().count(), counted.sum(Counter::get)), (5, 3));
    }
}
