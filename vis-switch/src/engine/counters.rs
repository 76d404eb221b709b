//! What workers count. Each counter has one writer; anybody may read. What several workers count of the same thing is the
//! sum of what each does ([`PerWorker`]).
//!
//! A copy of a flooded frame down an NIV link is counted once, on its list ([`CopyCounters`]), however many
//! vEths get it; reading expands it (see [`LifCounters::transmitted`]).

use super::verdict::{DropCounters, DropReason};
use niv_node::counter::{Balance, Counter, PerWorker};
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

impl core::iter::Sum for Total {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| a + b)
    }
}

/// What one worker counted of a logical interface.
#[derive(Debug, Default)]
pub struct LifCount {
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
}

/// What a logical interface counted over its life.
#[derive(Debug, Default)]
pub struct LifCounters {
    counted: PerWorker<LifCount>,
    /// Its share of lists that no longer exist. Written by the control thread.
    pub retired: Traffic,
}

impl LifCounters {
    /// What this worker counts, and nobody else.
    #[inline]
    #[must_use]
    pub fn of(&self, worker: usize) -> &LifCount {
        self.counted.of(worker)
    }

    fn total(&self, of: impl Fn(&LifCount) -> &Traffic) -> Total {
        self.counted.iter().map(|count| of(count).get()).sum()
    }

    /// Everything that came from the interface, dropped frames included.
    #[must_use]
    pub fn received(&self) -> Total {
        self.total(|count| &count.rx)
    }

    /// How many of those were dropped on the way in.
    #[must_use]
    pub fn rx_dropped(&self) -> u64 {
        self.counted.sum(|count| count.rx_dropped.get())
    }

    /// Frames for it alone that could not be sent.
    #[must_use]
    pub fn tx_dropped(&self) -> u64 {
        self.counted.sum(|count| count.tx_dropped.get())
    }

    /// Everything that reached the interface, given what the lists it is a member of counted.
    #[must_use]
    pub fn transmitted(&self, lists: Total) -> Total {
        self.total(|count| &count.tx) + self.retired.get() + lists - self.total(|count| &count.looped)
    }
}

/// One copy of the floods of a member set, on one port.
#[derive(Debug, Default)]
pub struct CopyCounters {
    /// The interfaces behind that port which get it.
    pub members: Box<[Arc<LifCounters>]>,
    /// What was sent.
    sent: PerWorker<Traffic>,
}

impl CopyCounters {
    /// Counters of a copy that reaches these.
    #[must_use]
    pub fn new(members: Box<[Arc<LifCounters>]>) -> Self {
        Self { members, sent: PerWorker::default() }
    }

    /// What this worker sent, counted by nobody else.
    #[inline]
    #[must_use]
    pub fn of(&self, worker: usize) -> &Traffic {
        self.sent.of(worker)
    }

    /// What was sent.
    #[must_use]
    pub fn sent(&self) -> Total {
        self.sent.iter().map(Traffic::get).sum()
    }
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

/// What all workers of a switch count.
#[derive(Clone, Debug)]
pub struct AllCounters(Vec<Arc<WorkerCounters>>);

impl AllCounters {
    /// Of these workers, in their order.
    #[must_use]
    pub fn new(each: Vec<Arc<WorkerCounters>>) -> Self {
        Self(each)
    }

    /// Each worker's.
    pub fn each(&self) -> impl Iterator<Item = &WorkerCounters> {
        self.0.iter().map(Arc::as_ref)
    }

    /// The sum of something.
    pub fn sum(&self, of: impl Fn(&WorkerCounters) -> u64) -> u64 {
        self.each().map(of).sum()
    }

    /// The sum of something of the port with this index.
    pub fn port(&self, index: usize, of: impl Fn(&PortCounters) -> u64) -> u64 {
        self.sum(|worker| worker.ports.get(index).map_or(0, &of))
    }

    /// The traffic of the port with this index, in one direction.
    pub fn traffic(&self, index: usize, of: impl Fn(&PortCounters) -> &Traffic) -> Total {
        let ports = self.each().filter_map(|worker| worker.ports.get(index));
        ports.map(|port| of(port).get()).sum()
    }

    /// Every drop reason with its count.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL.iter().map(|reason| (*reason, self.sum(|worker| worker.drops[*reason].get())))
    }

    /// Where every frame went: exact where all workers rest.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.each().map(WorkerCounters::balance).sum()
    }
}
