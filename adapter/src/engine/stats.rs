//! What workers count, readable from any thread.

use super::drops::{DropCounters, DropReason};
use niv_node::counter::{Balance, Counter};
use parking_lot::RwLock;
use std::sync::Arc;

/// Counters of the same thing: a set for each worker, which alone writes it.
#[derive(Debug)]
pub struct Counted<T>(Arc<[Arc<T>]>);

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Default for Counted<T> {
    /// One worker's.
    fn default() -> Self {
        Self::of(1)
    }
}

impl<T> FromIterator<Arc<T>> for Counted<T> {
    fn from_iter<I: IntoIterator<Item = Arc<T>>>(each: I) -> Self {
        Self(each.into_iter().collect())
    }
}

impl<T: Default> Counted<T> {
    /// Of so many workers.
    #[must_use]
    pub fn of(workers: usize) -> Self {
        (0..workers).map(|_| Arc::default()).collect()
    }
}

impl<T> Counted<T> {
    /// Each worker's.
    #[must_use]
    pub fn each(&self) -> &[Arc<T>] {
        &self.0
    }
}

impl Counted<VnicStats> {
    /// The sums.
    #[must_use]
    pub fn total(&self) -> VnicStats {
        let sum = VnicStats::default();
        self.each().iter().for_each(|one| sum.absorb(one));
        sum
    }
}

impl Counted<LinkStats> {
    /// The sums.
    #[must_use]
    pub fn total(&self) -> LinkStats {
        let sum = LinkStats::default();
        self.each().iter().for_each(|one| sum.absorb(one));
        sum
    }
}

impl Counted<Stats> {
    /// Counters for a new vNIC.
    #[must_use]
    pub fn add_vnic(&self) -> Counted<VnicStats> {
        self.each().iter().map(|one| one.add_vnic()).collect()
    }

    /// A vNIC is gone from every worker.
    pub fn remove_vnic(&self, stats: &Counted<VnicStats>) {
        self.each().iter().zip(stats.each()).for_each(|(one, stats)| one.remove_vnic(stats));
    }

    /// The balance of all of them now.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.each().iter().map(|one| one.balance()).sum()
    }

    /// Every drop reason with its count.
    #[must_use]
    pub fn drops(&self) -> Vec<(DropReason, u64)> {
        let each: Vec<_> = self.each().iter().map(|one| one.drops()).collect();
        let sum = |nth: usize| each.iter().map(|drops| drops[nth].1).sum();
        DropReason::ALL.iter().enumerate().map(|(nth, reason)| (*reason, sum(nth))).collect()
    }
}

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
    /// Those of `rx` that went to a group.
    pub rx_groups: GroupStats,
    /// Those of `tx` that went to a group.
    pub tx_groups: GroupStats,
    /// Dropped frames from this guest, and copies for it.
    pub drops: DropCounters,
}

/// Counters of frames to more than one station.
#[derive(Debug, Default)]
pub struct GroupStats {
    /// Frames to groups but not to everybody.
    pub multicast_frames: Counter,
    /// Their octets.
    pub multicast_octets: Counter,
    /// Frames to everybody.
    pub broadcast_frames: Counter,
    /// Their octets.
    pub broadcast_octets: Counter,
}

/// A frame that begins like this goes to a group.
#[inline]
#[must_use]
pub fn is_group(head: &[u8]) -> bool {
    head.first().is_some_and(|octet| octet & 1 == 1)
}

impl GroupStats {
    /// Counts frames that begin like this, if they are such, and their octets.
    #[inline]
    pub fn count(&self, head: &[u8], count: u64, octets: u64) {
        if is_group(head) {
            self.count_group(head, count, octets);
        }
    }

    #[cold]
    fn count_group(&self, head: &[u8], count: u64, octets: u64) {
        let (frames, sum) = match head {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ..] => (&self.broadcast_frames, &self.broadcast_octets),
            _ => (&self.multicast_frames, &self.multicast_octets),
        };
        frames.add(count);
        sum.add(octets);
    }

    fn absorb(&self, other: &Self) {
        self.multicast_frames.add(other.multicast_frames.get());
        self.multicast_octets.add(other.multicast_octets.get());
        self.broadcast_frames.add(other.broadcast_frames.get());
        self.broadcast_octets.add(other.broadcast_octets.get());
    }
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
    /// Control frames from the switch that control got.
    pub punted: Counter,
    /// Frames that control gave to be sent.
    pub originated: Counter,
    /// Members left out because they sent the frame (I16).
    pub pruned: Counter,
    /// Frames with a source but no looped bit: delivered, the source means nothing then (I17).
    pub stray_source: Counter,
    /// Looped frames without a source: delivered to all members (I18).
    pub looped_without_source: Counter,
    /// Dropped frames whose VIF is not known.
    pub drops: DropCounters,
}

/// Everything that one worker counts: vNICs and links come and go, what was counted for them stays in the sums.
#[derive(Debug, Default)]
pub struct Stats {
    vnics: RwLock<Vec<Arc<VnicStats>>>,
    links: RwLock<Vec<Arc<LinkStats>>>,
    /// What vNICs counted that no longer exist.
    gone: VnicStats,
}

impl VnicStats {
    /// Adds what another one counted.
    fn absorb(&self, other: &Self) {
        self.rx_frames.add(other.rx_frames.get());
        self.rx_octets.add(other.rx_octets.get());
        self.tx_frames.add(other.tx_frames.get());
        self.tx_octets.add(other.tx_octets.get());
        self.rx_groups.absorb(&other.rx_groups);
        self.tx_groups.absorb(&other.tx_groups);
        for (reason, count) in other.drops.iter() {
            self.drops[reason].add(count);
        }
    }
}

impl LinkStats {
    /// Adds what another one counted.
    fn absorb(&self, other: &Self) {
        self.rx_frames.add(other.rx_frames.get());
        self.rx_octets.add(other.rx_octets.get());
        self.tx_frames.add(other.tx_frames.get());
        self.tx_octets.add(other.tx_octets.get());
        self.replicated.add(other.replicated.get());
        self.punted.add(other.punted.get());
        self.originated.add(other.originated.get());
        self.pruned.add(other.pruned.get());
        self.stray_source.add(other.stray_source.get());
        self.looped_without_source.add(other.looped_without_source.get());
        for (reason, count) in other.drops.iter() {
            self.drops[reason].add(count);
        }
    }
}

impl Stats {
    /// Counters for a new vNIC.
    #[must_use]
    pub fn add_vnic(&self) -> Arc<VnicStats> {
        let stats = Arc::new(VnicStats::default());
        self.vnics.write().push(Arc::clone(&stats));
        stats
    }

    /// A vNIC is gone from the worker: its counts move into the sum of those that were.
    pub fn remove_vnic(&self, stats: &Arc<VnicStats>) {
        let mut vnics = self.vnics.write();
        if let Some(place) = vnics.iter().position(|known| Arc::ptr_eq(known, stats)) {
            self.gone.absorb(stats);
            vnics.swap_remove(place);
        }
    }

    /// Counters for a new link.
    #[must_use]
    pub fn add_link(&self) -> Arc<LinkStats> {
        let stats = Arc::new(LinkStats::default());
        self.links.write().push(Arc::clone(&stats));
        stats
    }

    /// The balance now.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let (vnics, links) = (self.vnics.read(), self.links.read());
        let sum =
            |of: &dyn Fn(&VnicStats) -> u64| vnics.iter().map(|vnic| of(vnic)).sum::<u64>() + of(&self.gone);
        let sum_links = |of: &dyn Fn(&LinkStats) -> u64| links.iter().map(|link| of(link)).sum::<u64>();
        Balance {
            received: sum(&|vnic| vnic.rx_frames.get()) + sum_links(&|link| link.rx_frames.get()),
            replicated: sum_links(&|link| link.replicated.get()),
            originated: sum_links(&|link| link.originated.get()),
            punted: sum_links(&|link| link.punted.get()),
            sent: sum(&|vnic| vnic.tx_frames.get()) + sum_links(&|link| link.tx_frames.get()),
            dropped: sum(&|vnic| vnic.drops.total()) + sum_links(&|link| link.drops.total()),
        }
    }

    /// Every drop reason with its count over all vNICs and links.
    #[must_use]
    pub fn drops(&self) -> Vec<(DropReason, u64)> {
        let (vnics, links) = (self.vnics.read(), self.links.read());
        DropReason::ALL
            .iter()
            .map(|reason| {
                let vnics: u64 = vnics.iter().map(|vnic| vnic.drops[*reason].get()).sum();
                let links: u64 = links.iter().map(|link| link.drops[*reason].get()).sum();
                (*reason, vnics + links + self.gone.drops[*reason].get())
            })
            .collect()
    }
}
