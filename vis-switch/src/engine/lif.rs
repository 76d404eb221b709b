//! Logical interfaces (LIF): what the bridge sees as its ports. A vEth is one, an ordinary port is one.

use super::counters::LifCounters;
use super::secure::Guard;
use super::vlan::Program;
use core::num::NonZeroU32;
use std::sync::Arc;

/// A slot of the LIF table. Stable as long as its owner (a vEth, an ordinary port) exists; never 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LifId(NonZeroU32);

impl LifId {
    /// Slots are numbered from 1; this many are possible, so that a slot fits into a MAC table entry.
    pub const MAX: u32 = (1 << 20) - 1;

    /// The first slot.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// `None` for 0 and for more than [`MAX`](Self::MAX).
    #[must_use]
    pub const fn new(slot: u32) -> Option<Self> {
        if slot > Self::MAX {
            return None;
        }
        match NonZeroU32::new(slot) {
            Some(slot) => Some(Self(slot)),
            None => None,
        }
    }

    /// The number.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The number, to index with.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.get() as usize
    }
}

/// How often what was learned on a slot became void. A MAC table entry of another generation is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Generation(u32);

impl Generation {
    /// Generations there are; after so many flushes the first returns. The sweep of the MAC table has long
    /// removed what was learned then.
    pub const COUNT: u32 = 1 << 20;

    /// The one with this number, modulo [`COUNT`](Self::COUNT).
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number % Self::COUNT)
    }

    /// The number.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The one after it: everything learned so far is void.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.0 + 1)
    }
}

/// One logical interface, as the workers see it.
#[derive(Clone, Debug)]
pub struct Lif {
    /// Index of the port it is reached by.
    pub port: u16,
    /// Its VIF on that port where the port is an NIV link; 0 on an ordinary port.
    pub vif: u16,
    /// Which learned addresses still count.
    pub generation: Generation,
    /// What it does to frames.
    pub program: Arc<Program>,
    /// What it counted; outlives the tables.
    pub counters: Arc<LifCounters>,
    /// Which sources may be there, if that is watched.
    pub guard: Option<Arc<Guard>>,
}
