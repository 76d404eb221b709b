//! Counters of devices: declared once with their help, added to by any queue, read by the monitor.

use core::sync::atomic::{AtomicU64, Ordering};

/// A monotonic counter that several queues may add to. Add once per burst, not once per frame.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`; nothing happens on the bus when that is 0.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        if n > 0 {
            self.0.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// The value now.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares a set of counters: each field is a counter, its name the counter's name, its doc line the help.
macro_rules! port_counters {
    ($(#[$meta:meta])* $vis:vis struct $set:ident { $(#[doc = $help:literal] $field:ident,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        $vis struct $set { $(#[doc = $help] $vis $field: $crate::counter::Counter),+ }

        impl $set {
            /// Every counter with its value now.
            $vis fn list(&self) -> Vec<$crate::port::PortCounter> {
                vec![$($crate::port::PortCounter {
                    name: stringify!($field),
                    value: self.$field.get(),
                    help: $help.trim_ascii(),
                }),+]
            }
        }
    };
}
pub(crate) use port_counters;
