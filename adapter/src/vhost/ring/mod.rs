//! Split virtqueues: what a guest offers as [`RxQueue`](link::RxQueue), what it can take as
//! [`TxQueue`](link::TxQueue).
//!
//! ```text
//!   control thread                                  worker
//!   RingSlot::start / stop / set_call               VringRx::recv .. release      VringTx::send
//!              \                                      /                             /
//!               +---- Mutex<Option<Ring>> in a RingSlot: one lock per burst -------+
//! ```
//!
//! A [`RingSlot`] lives as long as the vNIC; the `Ring` in it comes and goes with the guest. A worker holds
//! the slot's lock from `recv` to `release`, so control stops a ring (memory change, disable, disconnect) at a
//! moment when no frame of it is borrowed, and then knows its base.
//!
//! Descriptors are completed in the order in which they were made available, so the used index in memory says all
//! that there is to know of a ring that somebody left behind, were it by being killed: what is used is done, what is
//! not is to be done. The used index is published once per burst. A hostile or broken guest costs itself frames, each counted as a [`Fault`]; an index that jumps
//! leaves nothing to trust and stops that one ring until it is set up again.

mod chain;
mod event;
mod fault;
mod layout;
mod log;
mod receive;
mod transmit;

pub use fault::{Direction, Fault, RingCounters};
pub(crate) use layout::used_len;
pub use layout::{MAX_RING_SIZE, RingAddress};
pub use log::RingLog;
pub use receive::VringRx;
pub use transmit::VringTx;

use super::memory::{Inflight, MemoryMap, Window};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};
use event::Event;
use layout::{AVAIL_F_NO_INTERRUPT, Layout, USED_F_NO_NOTIFY, UsedPart};
use link::BURST;
use link::guard::losses;
use log::Logging;
use parking_lot::Mutex;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use vntag::offload::NetHeader;

/// Octets of the virtio-net header under `VIRTIO_F_VERSION_1`.
pub const NET_HEADER: usize = NetHeader::LEN;

/// What of the ring format was negotiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingFeatures {
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
    /// The available index from which to go on, as the front end has it.
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
    /// Where the front end keeps what is in flight.
    pub inflight: Option<Inflight>,
}

/// Where a running ring is, for people and tests.
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
pub(crate) struct Ring {
    layout: Layout,
    features: RingFeatures,
    /// The region of the last address looked up.
    window: Window,
    next_avail: u16,
    /// Index behind the last used element written.
    used: u16,
    /// The used index when the driver was last told, or decided not to be.
    called: Option<u16>,
    broken: bool,
    /// Its writes are logged. Behind a pointer: without a log all that it costs is one branch.
    logging: Option<Box<Logging>>,
    /// What is in flight is kept outside.
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

// SAFETY: the pointers in a Ring lead into `memory`, which is Send and Sync and lives as long as the Ring;
// everything behind them is accessed as memory that others write concurrently.
unsafe impl Send for Ring {}

impl Ring {
    /// How many chains wait.
    #[inline(always)]
    fn waiting(&mut self) -> Result<u16, Fault> {
        let waiting = self.layout.avail_idx().wrapping_sub(self.next_avail);
        // After the index was read: reading it may have been what showed the loss.
        if waiting > self.layout.size() || self.losses != losses() {
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
        } else if waiting > self.layout.size() {
            Err(Fault::BadIndex)
        } else {
            Ok(waiting)
        }
    }

    /// The first buffer of the chain at position `pos`, which waits, if it is in the window: only for prefetching.
    #[inline(always)]
    fn expected(&self, pos: u16) -> Option<NonNull<u8>> {
        let desc = self.layout.desc(self.layout.head(pos));
        // Its octets need not all be there: who uses them checks. A line behind the end is never touched either.
        self.window.at(desc.addr, desc.len.min(1))
    }

    /// Completes the next chain, which begins at `head`. Visible to the driver after `publish`.
    #[inline(always)]
    fn complete(&mut self, head: u16, len: u32) {
        self.layout.put_used(self.used, head, len);
        self.used = self.used.wrapping_add(1);
        self.next_avail = self.next_avail.wrapping_add(1);
    }

    #[inline(always)]
    fn publish(&mut self) {
        if self.logging.is_none() {
            self.layout.publish(self.used);
        } else {
            self.publish_logged();
        }
    }

    fn set_log(&mut self, log: Option<RingLog>) {
        self.logging = log.map(|log| Box::new(Logging::new(log, self.used)));
    }

    /// These heads are the next ones in the available ring.
    fn comes_next(&self, heads: &[u16]) -> bool {
        let next = (0..self.layout.size()).map(|ahead| self.layout.head(self.next_avail.wrapping_add(ahead)));
        heads.iter().copied().eq(next.take(heads.len()))
    }

    /// Publishes what was completed, nothing of which was lent.
    #[inline(always)]
    fn publish_alone(&mut self) {
        self.publish();
        if let Some(inflight) = &self.inflight {
            inflight.done(&[], self.used);
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
            inflight.done(lent, self.used);
        }
    }

    /// Tells the driver of used buffers if it wants to be told.
    fn call(&mut self, counters: &RingCounters) {
        let Some(old) = self.called else {
            self.called = Some(self.used);
            return self.signal(counters);
        };
        if old == self.used {
            return;
        }
        // The used index must be visible before the driver's wish is read: it writes the wish, then reads the
        // index. Without the barrier both could miss the other.
        fence(Ordering::SeqCst);
        let wanted = if self.features.event_idx {
            self.called = Some(self.used);
            let event = self.layout.used_event();
            self.used.wrapping_sub(event).wrapping_sub(1) < self.used.wrapping_sub(old)
        } else {
            self.called = Some(self.used);
            self.layout.avail_flags() & AVAIL_F_NO_INTERRUPT == 0
        };
        if wanted {
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
        if self.features.event_idx {
            self.layout.set_avail_event(self.next_avail);
            self.wrote_used(UsedPart::AvailEvent);
        } else {
            self.layout.set_used_flags(0);
            self.wrote_used(UsedPart::Head);
        }
    }

    /// Asks the driver not to notify us.
    fn refuse_notify(&self) {
        if !self.features.event_idx {
            self.layout.set_used_flags(USED_F_NO_NOTIFY);
            self.wrote_used(UsedPart::Head);
        }
    }
}

/// The place of one ring of a vNIC, for the vNIC's life.
#[derive(Debug)]
pub struct RingSlot {
    direction: Direction,
    ring: Arc<Mutex<Option<Ring>>>,
    counters: RingCounters,
    running: AtomicBool,
    /// There was a ring here before, which was stopped in peace.
    known: AtomicBool,
    /// What may be left undone in frames for the ring, as [`Offloads::bits`].
    takes: AtomicU8,
    /// 0, or the fault that stopped the ring plus one.
    broken: AtomicU8,
    event: Option<Event>,
}

impl RingSlot {
    /// A slot without a ring, with a descriptor that becomes readable on notifications of the guest.
    ///
    /// # Errors
    /// When the kernel gives no descriptor.
    pub fn new(direction: Direction) -> io::Result<Self> {
        let event = match direction {
            Direction::FromGuest => Some(Event::new()?),
            Direction::ToGuest => None,
        };
        Ok(Self { event, ..Self::without_event(direction) })
    }

    /// A slot for a world in which nobody sleeps.
    #[must_use]
    pub fn without_event(direction: Direction) -> Self {
        Self {
            direction,
            ring: Arc::default(),
            counters: RingCounters::default(),
            running: AtomicBool::new(false),
            known: AtomicBool::new(false),
            takes: AtomicU8::new(0),
            broken: AtomicU8::new(0),
            event: None,
        }
    }

    /// Starts a ring, in place of the one that may run. Says whether the setup made sense: all three parts in
    /// shared memory and aligned, a size that is a power of two.
    #[must_use]
    pub fn start(&self, setup: &RingSetup) -> bool {
        self.stop();
        let Some(layout) = Layout::new(&setup.memory, setup.at, setup.size) else { return false };
        if let (Some(event), Some(kick)) = (&self.event, &setup.kick)
            && event.watch(kick).is_err()
        {
            return false;
        }
        // What the driver has seen so far. A base that differs is that of a front end that lost its back end and begins
        // anew (DPDK's virtio-user): what is used already must not be taken again.
        let used = layout.used_idx();
        let mut ring = Ring {
            next_avail: used,
            used,
            features: setup.features,
            window: Window::EMPTY,
            called: None,
            broken: false,
            logging: None,
            inflight: setup.inflight.clone(),
            taken: 0,
            losses: 0,
            kick: setup.kick.clone(),
            call: setup.call.clone(),
            err: setup.err.clone(),
            memory: Arc::clone(&setup.memory),
            layout,
        };
        ring.set_log(setup.log.clone());
        ring.refuse_notify();
        if ring.features.event_idx {
            // As far from being passed as possible.
            ring.layout.set_avail_event(ring.next_avail.wrapping_sub(1));
            ring.wrote_used(UsedPart::AvailEvent);
        }
        self.takes.store(setup.features.takes.bits(), Ordering::Relaxed);
        self.taken_over(self.ring.lock().insert(ring), setup.base);
        self.broken.store(0, Ordering::Relaxed);
        self.running.store(true, Ordering::Release);
        // Whoever sleeps looks once: the guest may have kicked before the ring ran.
        self.fire();
        // And the guest looks once: the device before us may have used buffers without telling.
        if let Some(ring) = self.ring.lock().as_mut() {
            ring.call(&self.counters);
        }
        true
    }

    /// Counts what is not certain of a ring that was set up.
    fn taken_over(&self, ring: &mut Ring, base: u16) {
        if base != ring.used {
            self.counters.resumed.add(1);
        }
        let known = self.known.swap(true, Ordering::Relaxed);
        let from_guest = self.direction == Direction::FromGuest;
        if let Some(inflight) = ring.inflight.clone() {
            let left = inflight.take_over(ring.layout.size(), ring.used);
            if from_guest && ring.comes_next(&left) {
                self.counters.uncertain.add(left.len() as u64);
            } else {
                // Of a device that completes in another order: these are behind us, so their buffers go back empty.
                self.counters.returned.add(left.len() as u64);
                left.iter().for_each(|head| ring.complete(*head, 0));
                ring.publish();
                inflight.done(&[], ring.used);
            }
        } else if from_guest && !known {
            // What waits may have waited for us, or was moved here in peace, or was left behind by a process that was killed
            // between sending a burst and saying so: perhaps its first one, so a ring that nobody used tells nothing.
            let waiting = ring.waiting().unwrap_or(0);
            self.counters.uncertain.add(u64::from(waiting).min(BURST as u64));
        }
    }

    /// Stops the ring; says from which available index to go on. No frame of it is borrowed afterwards.
    pub fn stop(&self) -> Option<u16> {
        let ring = self.ring.lock().take()?;
        self.running.store(false, Ordering::Release);
        // Whoever broke it has it no more.
        self.broken.store(0, Ordering::Relaxed);
        if let (Some(event), Some(kick)) = (&self.event, &ring.kick) {
            event.unwatch(kick);
        }
        self.fire();
        Some(ring.next_avail)
    }

    /// From now on the guest is told by writing to `call`, and is told once.
    pub fn set_call(&self, call: Option<Arc<OwnedFd>>) {
        if let Some(ring) = self.ring.lock().as_mut() {
            ring.call = call;
            ring.signal(&self.counters);
        }
    }

    /// From now on the ring's writes are logged here, or not at all. What it wrote before is in the former log.
    pub fn set_log(&self, log: Option<RingLog>) {
        if let Some(ring) = self.ring.lock().as_mut() {
            ring.set_log(log);
        }
    }

    /// A ring runs and is not broken.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// The fault that stopped the ring.
    #[must_use]
    pub fn broken(&self) -> Option<Fault> {
        let code = self.broken.load(Ordering::Relaxed);
        Fault::ALL.get(usize::from(code.checked_sub(1)?)).copied()
    }

    /// What was counted since the slot was made.
    #[must_use]
    pub fn counters(&self) -> &RingCounters {
        &self.counters
    }

    /// Which ring of the queue pair.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Where the ring is.
    #[must_use]
    pub fn indices(&self) -> Option<RingIndices> {
        let ring = self.ring.lock();
        let ring = ring.as_ref()?;
        Some(RingIndices {
            size: ring.layout.size(),
            avail: ring.layout.avail_idx(),
            next_avail: ring.next_avail,
            used: ring.used,
        })
    }

    /// No more trust in this ring until it is set up again.
    #[cold]
    fn brk(&self, ring: &mut Ring, fault: Fault) {
        ring.broken = true;
        self.counters.fault(fault);
        self.broken.store(fault as u8 + 1, Ordering::Relaxed);
        self.running.store(false, Ordering::Release);
        if let Some(err) = &ring.err {
            event::notify(err);
        }
        tracing::warn!(
            ring = ?self.direction,
            next_avail = ring.next_avail,
            "a guest broke its ring ({}); it stops until it is set up again",
            fault.name(self.direction)
        );
    }

    fn fire(&self) {
        if let Some(event) = &self.event {
            event.fire();
        }
    }
}
