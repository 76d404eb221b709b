//! What the worker counts, readable from any thread.

use super::drops::{DropCounters, DropReason};
use niv_node::counter::Counter;

/// Counters of one vNIC. Directions as the host port sees them: `rx` came from the guest.
#[derive(Debug, Default)]
pub struct VnicStats {
    /// Frames taken from the guest.
    pub rx_frames: Counter,
    /// Their octets, without VNTag.
    pub rx_octets: Counter,
    /// Frames delivered to the guest.
    pub tx_frames: Counter,
    /// Their octets, without VNTag.
    pub tx_octets: Counter,
    /// Dropped frames from this guest, and copies for it.
    pub drops: DropCounters,
}

/// Counters of one link. `rx` came from the switch.
#[derive(Debug, Default)]
pub struct LinkStats {
    /// Frames received from the switch.
    pub rx_frames: Counter,
    /// Their octets, VNTag included.
    pub rx_octets: Counter,
    /// Frames sent to the switch.
    pub tx_frames: Counter,
    /// Their octets, VNTag included.
    pub tx_octets: Counter,
    /// Copies made beyond the first, for members of lists.
    pub replicated: Counter,
    /// Members left out because they sent the frame (I16).
    pub pruned: Counter,
    /// Frames with a source but no looped bit: delivered, the source means nothing then (I17).
    pub stray_source: Counter,
    /// Looped frames without a source: delivered to all members (I18).
    pub looped_without_source: Counter,
    /// Dropped frames whose VIF is not known.
    pub drops: DropCounters,
}

/// All counters of one worker; the order is that of the configuration.
#[derive(Debug, Default)]
pub struct Stats {
    /// By vNIC.
    pub vnics: Vec<VnicStats>,
    /// By link.
    pub links: Vec<LinkStats>,
}

/// Both sides of `received + replicated = sent + drops`; equal whenever the worker rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Frames taken from host ports and links.
    pub received: u64,
    /// Further copies made from them.
    pub replicated: u64,
    /// Frames handed to links and host ports.
    pub sent: u64,
    /// Frames and copies dropped under a name.
    pub dropped: u64,
}

impl Balance {
    /// The law.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.received + self.replicated == self.sent + self.dropped
    }
}

impl Stats {
    /// Counters for so many vNICs and links, all zero.
    #[must_use]
    pub fn new(vnics: usize, links: usize) -> Self {
        Self {
            vnics: (0..vnics).map(|_| VnicStats::default()).collect(),
            links: (0..links).map(|_| LinkStats::default()).collect(),
        }
    }

    /// The balance now.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let sum = |of: &dyn Fn(&VnicStats) -> u64| self.vnics.iter().map(of).sum::<u64>();
        let sum_links = |of: &dyn Fn(&LinkStats) -> u64| self.links.iter().map(of).sum::<u64>();
        Balance {
            received: sum(&|vnic| vnic.rx_frames.get()) + sum_links(&|link| link.rx_frames.get()),
            replicated: sum_links(&|link| link.replicated.get()),
            sent: sum(&|vnic| vnic.tx_frames.get()) + sum_links(&|link| link.tx_frames.get()),
            dropped: sum(&|vnic| vnic.drops.total()) + sum_links(&|link| link.drops.total()),
        }
    }

    /// Every drop reason with its count over all vNICs and links.
    #[must_use]
    pub fn drops(&self) -> Vec<(DropReason, u64)> {
        DropReason::ALL
            .iter()
            .map(|reason| {
                let vnics: u64 = self.vnics.iter().map(|vnic| vnic.drops[*reason].get()).sum();
                let links: u64 = self.links.iter().map(|link| link.drops[*reason].get()).sum();
                (*reason, vnics + links)
            })
            .collect()
    }
}
