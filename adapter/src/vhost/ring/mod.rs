//! Virtqueues, split and packed: what a guest offers as [`RxQueue`](link::RxQueue), what it can take as
//! [`TxQueue`](link::TxQueue).
//!
//! ```text
//!   control thread                                  worker
//!   RingSlot::start / stop / set_call               VringRx::recv .. release      VringTx::send
//!              \                                      /                             /
//!               +--- Mutex<Option<AnyRing>> in a RingSlot: one lock per burst ------+
//! ```
//!
//! A [`RingSlot`] lives as long as the vNIC; the ring in it comes and goes with the guest. A worker holds
//! the slot's lock from `recv` to `release`, so control stops a ring (memory change, disable, disconnect) at a
//! moment when no frame of it is borrowed, and then knows its base.
//!
//! Chains are completed in the order in which they were made available (`VIRTIO_F_IN_ORDER` in either format), so one place
//! says all that there is to know of a ring that somebody left behind, were it by being killed: what is used is done, what is
//! not is to be done. In a split ring that is the used index in memory, in a packed one what `packed::resume` reads. Used chains
//! are published once per burst. A hostile or broken guest costs itself frames, each counted as a [`Fault`]; an index that jumps
//! leaves nothing to trust and stops that one ring until it is set up again.

mod chain;
mod event;
mod fault;
mod format;
mod log;
mod packed;
mod receive;
mod slot;
mod split;
mod transmit;

pub use fault::{Direction, Fault, RingCounters};
pub use format::RingAddress;
pub use log::RingLog;
pub use receive::VringRx;
pub use slot::RingSlot;
pub use split::MAX_RING_SIZE;
pub(crate) use split::used_len;
pub use transmit::VringTx;

use super::memory::{Inflight, MemoryMap, Window};
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};
use format::{Chain, Format};
use link::guard::losses;
use log::Logging;
use packed::Packed;
use split::Split;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use vntag::offload::NetHeader;

/// Octets of the virtio-net header under `VIRTIO_F_VERSION_1`.
pub const NET_HEADER: usize = NetHeader::LEN;

/// What of the ring format was negotiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingFeatures {
    /// `VIRTIO_F_RING_PACKED`: rings are packed, not split.
    pub packed: bool,
    /// `VIRTIO_F_INDIRECT_DESC`.
    pub indirect: bool,
    /// `VIRTIO_F_EVENT_IDX`.
    pub event_idx: bool,
    /// `VIRTIO_NET_F_MRG_RXBUF`.
    pub mergeable: bool,
    /// What the guest may leave undone in frames it sends.
    pub offloads: Offloads,
    /// What may be left undone in frames it gets.
    pub takes: Offloads,
}

/// What of a frame its sender may leave undone: the guest, or we towards the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// `VIRTIO_NET_F_CSUM`, `VIRTIO_NET_F_GUEST_CSUM`: checksums.
    pub checksum: bool,
    /// `VIRTIO_NET_F_HOST_TSO4`, `VIRTIO_NET_F_GUEST_TSO4`: cutting TCP over IPv4.
    pub tso4: bool,
    /// `VIRTIO_NET_F_HOST_TSO6`, `VIRTIO_NET_F_GUEST_TSO6`: cutting TCP over IPv6.
    pub tso6: bool,
    /// `VIRTIO_NET_F_HOST_ECN`, `VIRTIO_NET_F_GUEST_ECN`: cutting TCP that tells of reduced congestion.
    pub ecn: bool,
    /// `VIRTIO_NET_F_HOST_USO`; `VIRTIO_NET_F_GUEST_USO4` and `VIRTIO_NET_F_GUEST_USO6`: cutting UDP, over IPv4 and IPv6.
    pub uso: bool,
}

impl Offloads {
    /// A frame with this header may be sent.
    fn permit(self, header: &NetHeader) -> bool {
        let kind = match header.gso_type {
            0 => true,
            _ if header.is_tcp4() => self.tso4,
            _ if header.is_tcp6() => self.tso6,
            _ if header.is_udp() => self.uso,
            _ => false,
        };
        kind && (self.checksum || !header.needs_checksum()) && (self.ecn || !header.has_ecn())
    }

    const fn bits(self) -> u8 {
        let Self { checksum, tso4, tso6, ecn, uso } = self;
        checksum as u8 | (tso4 as u8) << 1 | (tso6 as u8) << 2 | (ecn as u8) << 3 | (uso as u8) << 4
    }

    fn from_bits(bits: u8) -> Self {
        let has = |nth: u8| bits & 1 << nth != 0;
        Self { checksum: has(0), tso4: has(1), tso6: has(2), ecn: has(3), uso: has(4) }
    }
}

/// Everything needed to run a ring.
#[derive(Clone, Debug)]
pub struct RingSetup {
    /// The guest's memory.
    pub memory: Arc<MemoryMap>,
    /// Where the ring lies in it.
    pub at: RingAddress,
    /// Slots.
    pub size: u16,
    /// From where to go on, as the front end has it: the available index; of a packed ring the slot, with the wrap counter in
    /// bit 15.
    pub base: u16,
    /// What was negotiated.
    pub features: RingFeatures,
    /// Readable when the guest made something available.
    pub kick: Option<Arc<OwnedFd>>,
    /// To be written when the guest is to be told of used buffers.
    pub call: Option<Arc<OwnedFd>>,
    /// To be written when the ring breaks.
    pub err: Option<Arc<OwnedFd>>,
    /// Where its writes are logged.
    pub log: Option<RingLog>,
    /// Where the front end keeps what is in flight. Not used by packed rings, which say it themselves.
    pub inflight: Option<Inflight>,
}

/// Where a running ring is, for people and tests: indices of a split ring; slots of a packed one, with the wrap counter in
/// bit 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingIndices {
    /// Slots.
    pub size: u16,
    /// The driver's available index.
    pub avail: u16,
    /// The next one to be taken.
    pub next_avail: u16,
    /// Our used index.
    pub used: u16,
}

/// A running ring.
#[derive(Debug)]
struct Ring<F> {
    format: F,
    features: RingFeatures,
    /// The region of the last address looked up.
    window: Window,
    /// The place of the next chain, which is also the place behind the last one that was completed.
    next: u16,
    /// Up to where the driver was last told, or decided not to be.
    called: Option<u16>,
    broken: bool,
    /// Its writes are logged. Behind a pointer: without a log all that it costs is one branch.
    logging: Option<Box<Logging>>,
    /// What is in flight is kept outside. Split rings only.
    inflight: Option<Inflight>,
    /// Chains taken since the ring was set up.
    taken: u64,
    /// Lost mappings of the whole process when this ring's memory was last looked at.
    losses: u64,
    kick: Option<Arc<OwnedFd>>,
    call: Option<Arc<OwnedFd>>,
    err: Option<Arc<OwnedFd>>,
    memory: Arc<MemoryMap>,
}

/// A running ring of either format.
#[derive(Debug)]
enum AnyRing {
    Split(Ring<Split>),
    Packed(Ring<Packed>),
}

/// Does the same with a ring of either format.
macro_rules! each {
    ($any:expr, $ring:ident => $does:expr) => {
        match $any {
            crate::vhost::ring::AnyRing::Split($ring) => $does,
            crate::vhost::ring::AnyRing::Packed($ring) => $does,
        }
    };
}
use each;

// SAFETY: the pointers in an AnyRing lead into `memory`, which is Send and Sync and lives as long as the ring;
// everything behind them is accessed as memory that others write concurrently.
unsafe impl Send for AnyRing {}

impl<F: Format> Ring<F> {
    /// How many slots wait; of a packed ring no more than `most` are counted.
    #[inline(always)]
    fn waiting(&mut self, most: u16) -> Result<u16, Fault> {
        let waiting = self.format.waiting(self.next, most);
        // After the index was read: reading it may have been what showed the loss.
        if waiting > self.format.size() || self.losses != losses() {
            self.doubt(waiting)
        } else {
            Ok(waiting)
        }
    }

    #[cold]
    fn doubt(&mut self, waiting: u16) -> Result<u16, Fault> {
        self.losses = losses();
        if self.memory.is_lost()
            || self.logging.as_ref().is_some_and(|logging| logging.is_lost())
            || self.inflight.as_ref().is_some_and(Inflight::is_lost)
        {
            Err(Fault::LostMemory)
        } else if waiting > self.format.size() {
            Err(Fault::BadIndex)
        } else {
            Ok(waiting)
        }
    }

    /// The first buffer of the chain at `pos`, which waits, if it is in the window: only for prefetching.
    #[inline(always)]
    fn expected(&self, pos: u16) -> Option<NonNull<u8>> {
        let desc = self.format.first(pos);
        // Its octets need not all be there: who uses them checks. A line behind the end is never touched either.
        self.window.at(desc.addr, desc.len.min(1))
    }

    /// Completes the next chain. Visible to the driver after `publish`.
    #[inline(always)]
    fn complete(&mut self, chain: Chain, len: u32) {
        self.format.complete(self.next, chain, len);
        self.next = self.format.after(self.next, chain.slots);
    }

    #[inline(always)]
    fn publish(&mut self) {
        if self.logging.is_none() {
            self.format.publish(self.next);
        } else {
            self.publish_logged();
        }
    }

    fn set_log(&mut self, log: Option<RingLog>) {
        // Behind what was published without a log, for `call`.
        fence(Ordering::SeqCst);
        self.logging = log.map(|log| Box::new(Logging::new(log, self.next, self.format.publishes())));
    }

    /// Publishes what was completed, nothing of which was lent.
    #[inline(always)]
    fn publish_alone(&mut self) {
        self.publish();
        if let Some(inflight) = &self.inflight {
            inflight.done(&[], self.next);
        }
    }

    /// These chains are lent.
    #[inline(always)]
    fn lends(&mut self, heads: &[u16]) {
        if let Some(inflight) = &self.inflight {
            inflight.taken(heads, self.taken);
            self.taken += heads.len() as u64;
        }
    }

    /// Publishes what was completed; of the chains that were lent these are done, the others taken back.
    #[inline(always)]
    fn publish_lent(&mut self, lent: &[u16], done: usize) {
        if done > 0 {
            if let Some(inflight) = &self.inflight {
                inflight.batch(&lent[..done]);
            }
            self.publish();
        }
        if let Some(inflight) = &self.inflight {
            inflight.done(lent, self.next);
        }
    }

    /// Tells the driver of used buffers if it wants to be told.
    fn call(&mut self, counters: &RingCounters) {
        let Some(old) = self.called else {
            self.called = Some(self.next);
            return self.signal(counters);
        };
        if old == self.next {
            return;
        }
        // What is used must be visible before the driver's wish is read: it writes the wish, then looks for what is
        // used. Without the barrier both could miss the other. With a log there was one: at the end of each publication, or when
        // the log came (`set_log`), under the lock that is held now.
        if self.logging.is_none() {
            fence(Ordering::SeqCst);
        }
        self.called = Some(self.next);
        if self.format.wants_call(old, self.next, self.features.event_idx) {
            self.signal(counters);
        }
    }

    fn signal(&self, counters: &RingCounters) {
        if let Some(call) = &self.call {
            event::notify(call);
            counters.calls.add(1);
        }
    }

    /// Lets the driver notify us of the next chain.
    fn want_notify(&self) {
        self.wrote(self.format.ask(self.next, self.features.event_idx));
    }

    /// Asks the driver not to notify us.
    fn refuse_notify(&self) {
        self.wrote(self.format.refuse(self.next, self.features.event_idx));
    }
}
