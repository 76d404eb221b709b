//! What a worker counts. Each counter has one writer; anybody may read.
//!
//! A copy of a flooded frame down an NIV link is counted once, on its list ([`CopyCounters`]), however many
//! vEths get it; reading expands it (see [`LifCounters::transmitted`]).

use super::verdict::DropCounters;
use niv_node::counter::{Balance, Counter};
use std::sync::Arc;

/// Frames and octets.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Frames.
    pub frames: Counter,
    /// Octets, without FCS.
    pub octets: Counter,
}

impl Traffic {
    /// Counts frames that have so many octets together.
    #[inline]
    pub fn add(&self, frames: u64, octets: u64) {
        self.frames.add(frames);
        self.octets.add(octets);
    }

    /// Frames and octets now.
    #[must_use]
    pub fn get(&self) -> Total {
        Total { frames: self.frames.get(), octets: self.octets.get() }
    }
}

/// Frames and octets at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Frames.
    pub frames: u64,
    /// Octets, without FCS.
    pub octets: u64,
}

impl core::ops::Add for Total {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            frames: self.frames.wrapping_add(other.frames),
            octets: self.octets.wrapping_add(other.octets),
        }
    }
}

impl core::ops::Sub for Total {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self {
            frames: self.frames.saturating_sub(other.frames),
            octets: self.octets.saturating_sub(other.octets),
        }
    }
}

/// What a logical interface counted over its life. On its own cache lines: a worker writes it all the time.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct LifCounters {
    /// Frames that came from it, dropped ones included. Octets as the host sent them, without the NIV tag.
    pub rx: Traffic,
    /// How many of those were dropped on the way in.
    pub rx_dropped: Counter,
    /// Frames sent to it alone.
    pub tx: Traffic,
    /// Frames for it alone that could not be sent.
    pub tx_dropped: Counter,
    /// Its own flooded frames that went back down its link, where the adapter keeps them from it.
    pub looped: Traffic,
    /// Its share of lists that no longer exist. Written by the control thread.
    pub retired: Traffic,
}

impl LifCounters {
    /// Everything that reached the interface, given what the lists it is a member of counted.
    #[must_use]
    pub fn transmitted(&self, lists: Total) -> Total {
        self.tx.get() + self.retired.get() + lists - self.looped.get()
    }
}

/// One copy of the floods of a member set, on one port.
#[derive(Debug, Default)]
pub struct CopyCounters {
    /// The interfaces behind that port which get it.
    pub members: Box<[Arc<LifCounters>]>,
    /// What was sent.
    pub sent: Traffic,
}

/// What a worker counted at one port. Octets as they are on the wire of the port.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct PortCounters {
    /// Taken from its receive queues.
    pub rx: Traffic,
    /// How many of those were dropped on the way in.
    pub rx_dropped: Counter,
    /// Handed to its transmit queues.
    pub tx: Traffic,
    /// What its transmit queues did not take.
    pub tx_dropped: Counter,
    /// Frames from it that control got.
    pub punted: Counter,
    /// Frames that control gave to be sent out of it.
    pub originated: Counter,
}

/// Everything one worker counted.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    /// Frames taken from receive queues.
    pub received: Counter,
    /// Copies made beyond the first of each flooded frame.
    pub replicated: Counter,
    /// Frames and copies that transmit queues took.
    pub sent: Counter,
    /// Frames and copies that were dropped, by reason.
    pub drops: DropCounters,
    /// Frames without 802.1Q behind their NIV tag (V16); accepted.
    pub rx_no_inner_q: Counter,
    /// Addresses learned.
    pub mac_learned: Counter,
    /// Addresses that moved to another interface (F11).
    pub mac_moved: Counter,
    /// Addresses not learned because the table had no room for them.
    pub mac_table_full: Counter,
    /// By port index.
    pub ports: Vec<PortCounters>,
}

impl WorkerCounters {
    /// Counters for so many ports.
    #[must_use]
    pub fn new(ports: usize) -> Self {
        Self { ports: (0..ports).map(|_| PortCounters::default()).collect(), ..Self::default() }
    }

    /// Where every frame went.
    #[must_use]
    pub fn balance(&self) -> Balance {
        Balance {
            received: self.received.get(),
            replicated: self.replicated.get(),
            originated: self.ports.iter().map(|port| port.originated.get()).sum(),
            sent: self.sent.get(),
            punted: self.ports.iter().map(|port| port.punted.get()).sum(),
            dropped: self.drops.total(),
        }
    }
}
