//! Counters with one writer and many readers, and drop reasons that are counters.

use core::sync::atomic::{AtomicU64, Ordering};

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
