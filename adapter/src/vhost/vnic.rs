//! A vNIC as the adapter sees it: queues for the life of the vNIC, a monitor, and what the front end told us.

use super::carrier::{Carrier, LinkSeen, LinkSignal};
use super::features;
use super::memory::LogCounters;
use super::ring::{Direction, Fault, RingCounters, RingIndices, RingSlot, VringRx, VringTx};
use core::sync::atomic::{AtomicU64, Ordering};
use link::{Monitor, PortCounter, PortState};
use parking_lot::Mutex;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What a vNIC is to be.
#[derive(Clone, Debug)]
pub struct VnicConfig {
    /// Its name, unique in the process.
    pub name: String,
    /// The socket's path.
    pub socket: PathBuf,
    /// Connect to a front end that listens there, instead of listening.
    pub client: bool,
    /// Queue pairs, 1 to 128.
    pub queue_pairs: u16,
    /// Packed rings are offered.
    pub packed: bool,
    /// Largest MTU that the guest may set; 0: MTU is not offered.
    pub mtu: u16,
    /// How the guest learns that its link is down.
    pub link_signal: LinkSignal,
    /// Mode bits of the socket; 0o660 unless given.
    pub socket_mode: Option<u32>,
    /// Group of the socket, by number.
    pub socket_group: Option<u32>,
}

impl VnicConfig {
    /// A vNIC that listens at `socket`, with one queue pair, an MTU of 1,500, and everything else as usual.
    #[must_use]
    pub fn new(name: impl Into<String>, socket: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            socket: socket.into(),
            client: false,
            queue_pairs: 1,
            packed: false,
            mtu: 1500,
            link_signal: LinkSignal::default(),
            socket_mode: None,
            socket_group: None,
        }
    }
}

/// What happens at the front door. Delivered on its thread: the receiver must not block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontendEvent {
    /// A front end connected.
    Connected,
    /// It went away; its rings are stopped.
    Disconnected,
    /// Both rings of the first pair are enabled, or not any more: the guest takes part in the network, or not. Rings
    /// that stand only because the guest's link is down count as enabled, as long as that guest lives: what they did
    /// before is what it wants.
    Enabled(bool),
    /// The guest's memory changed. Rings that ran have been moved to the new map.
    Memory,
    /// A ring runs.
    RingStart {
        /// Queue pair.
        pair: u16,
        /// Which of its two rings.
        direction: Direction,
    },
    /// A ring stopped; none of its frames is borrowed any more.
    RingStop {
        /// Queue pair.
        pair: u16,
        /// Which of its two rings.
        direction: Direction,
    },
    /// Dirty logging was switched: the guest is about to move away, or stays.
    Log(bool),
    /// The guest has moved here and cannot announce itself: announce it (RARP) for this address.
    Announce([u8; 6]),
}

/// Why no frames pass, in the words that operators see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// Nobody is connected.
    #[default]
    NoGuest,
    /// Connected; the guest's driver has not begun.
    NoDriver,
    /// The driver did not accept `VIRTIO_F_VERSION_1`.
    Legacy,
    /// The driver accepted what was not offered; the bits.
    Features(u64),
    /// The driver has begun; no memory yet.
    NoMemory,
    /// The front end has its memory for itself: mapped privately, or not sent though the rings are started.
    NotShared,
    /// Memory was refused.
    Memory(String),
    /// A ring is not set up, or wrongly: ring number and what is wrong.
    Ring(u16, &'static str),
    /// The driver has not enabled the rings.
    NotEnabled,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGuest => f.write_str("no guest"),
            Self::NoDriver => f.write_str("waiting for the guest's driver"),
            Self::Legacy => {
                f.write_str("the guest's driver speaks legacy virtio (VIRTIO_F_VERSION_1 is required)")
            }
            Self::Features(bits) => {
                write!(f, "the guest accepted features that were not offered ({bits:#x})")
            }
            Self::NoMemory => f.write_str("waiting for the guest's memory"),
            Self::NotShared => f.write_str("guest memory is not shared (add share=on to the memory backend)"),
            Self::Memory(error) => f.write_str(error),
            Self::Ring(ring, what) => write!(f, "ring {ring}: {what}"),
            Self::NotEnabled => f.write_str("rings not enabled"),
        }
    }
}

/// Why no frames pass between a vNIC and its guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standstill {
    /// The guest broke this ring in this way.
    Broken(Direction, Fault),
    /// The guest's link was taken down, for this cause.
    LinkDown(String),
    /// Something is missing.
    Waits(Cause),
}

impl fmt::Display for Standstill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(direction, fault) => {
                let ring = if *direction == Direction::ToGuest { "receive" } else { "transmit" };
                write!(f, "the guest broke its {ring} ring ({})", fault.name(*direction))
            }
            Self::LinkDown(cause) => write!(f, "link down: {cause}"),
            Self::Waits(cause) => cause.fmt(f),
        }
    }
}

/// The front end of today.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuestInfo {
    /// Process at the other end of the socket, if visible.
    pub pid: Option<i32>,
    /// Virtio features that the driver accepted.
    pub features: u64,
    /// vhost-user protocol features that the front end accepted.
    pub protocol_features: u64,
    /// MTU that it set; 0: none.
    pub mtu: u16,
    /// What we write into its memory is logged, as during a live migration.
    pub logs: bool,
}

impl GuestInfo {
    /// The names of the features that the driver accepted, as `host_tso4`, in the order of their bits.
    pub fn feature_names(&self) -> impl Iterator<Item = &'static str> {
        features::names(self.features)
    }
}

#[derive(Debug, Default)]
pub(super) struct Status {
    pub(super) cause: Cause,
    pub(super) guest: Option<GuestInfo>,
    pub(super) carrier: Carrier,
}

/// Both rings of a queue pair.
#[derive(Debug)]
pub struct RingPair {
    /// The guest's transmit ring.
    pub from_guest: Arc<RingSlot>,
    /// The guest's receive ring.
    pub to_guest: Arc<RingSlot>,
}

/// What is known about a vNIC, from any thread.
#[derive(Debug)]
pub struct VnicMonitor {
    name: String,
    pairs: Vec<RingPair>,
    pub(super) status: Mutex<Status>,
    pub(super) connections: AtomicU64,
    pub(super) turned_away: AtomicU64,
    pub(super) requests_refused: AtomicU64,
    pub(super) accept_errors: AtomicU64,
    pub(super) link_downs: AtomicU64,
    pub(super) log: Arc<LogCounters>,
}

impl VnicMonitor {
    pub(super) fn new(name: String, queue_pairs: u16) -> io::Result<Self> {
        let pairs = (0..queue_pairs).map(|_| {
            Ok(RingPair {
                from_guest: Arc::new(RingSlot::new(Direction::FromGuest)?),
                to_guest: Arc::new(RingSlot::new(Direction::ToGuest)?),
            })
        });
        Ok(Self {
            name,
            pairs: pairs.collect::<io::Result<_>>()?,
            status: Mutex::default(),
            connections: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            requests_refused: AtomicU64::new(0),
            accept_errors: AtomicU64::new(0),
            link_downs: AtomicU64::new(0),
            log: Arc::default(),
        })
    }

    /// The vNIC's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its queue pairs.
    #[must_use]
    pub fn pairs(&self) -> &[RingPair] {
        &self.pairs
    }

    /// The ring with vhost-user's number `index`: even ones are the guest's receive rings.
    pub(super) fn slot(&self, index: usize) -> Option<&Arc<RingSlot>> {
        let pair = self.pairs.get(index / 2)?;
        Some(if index.is_multiple_of(2) { &pair.to_guest } else { &pair.from_guest })
    }

    /// The front end of today, if one is connected.
    #[must_use]
    pub fn guest(&self) -> Option<GuestInfo> {
        self.status.lock().guest
    }

    /// The link, as it should be and as the guest sees it.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.status.lock().carrier.clone()
    }

    /// Why no frames pass; `None` while both rings of the first pair run.
    #[must_use]
    pub fn standstill(&self) -> Option<Standstill> {
        // There is always one: a vNIC has at least one pair.
        let first = self.pairs.first()?;
        let slots = [&first.to_guest, &first.from_guest];
        if slots.iter().all(|slot| slot.is_running()) {
            return None;
        }
        let broken = slots.iter().find_map(|slot| Some((slot.direction(), slot.broken()?)));
        Some(match broken {
            Some((direction, fault)) => Standstill::Broken(direction, fault),
            None => {
                let status = self.status.lock();
                match &status.carrier {
                    Carrier { seen: LinkSeen::Down, cause: Some(cause), .. } => {
                        Standstill::LinkDown(cause.clone())
                    }
                    _ => Standstill::Waits(status.cause.clone()),
                }
            }
        })
    }

    /// The same in words.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        self.standstill().map(|standstill| standstill.to_string())
    }

    /// Where the rings are: those of the first pair, {from guest, to guest}, then the next pair.
    #[must_use]
    pub fn indices(&self) -> Vec<[Option<RingIndices>; 2]> {
        self.pairs.iter().map(|pair| [pair.from_guest.indices(), pair.to_guest.indices()]).collect()
    }

    /// A fault's count over all rings of a direction.
    #[must_use]
    pub fn faults(&self, direction: Direction, fault: Fault) -> u64 {
        self.rings(direction).map(|counters| counters.faults(fault)).sum()
    }

    fn rings(&self, direction: Direction) -> impl Iterator<Item = &RingCounters> {
        self.pairs.iter().map(move |pair| match direction {
            Direction::FromGuest => pair.from_guest.counters(),
            Direction::ToGuest => pair.to_guest.counters(),
        })
    }
}

impl Monitor for VnicMonitor {
    fn state(&self) -> PortState {
        self.cause().map_or(PortState::Up, |cause| PortState::Down { cause })
    }

    fn counters(&self) -> Vec<PortCounter> {
        let own = [
            (&self.connections, "guest_connections", "front ends that connected"),
            (&self.turned_away, "guest_turned_away", "connections closed because a guest was connected"),
            (&self.requests_refused, "guest_requests_refused", "vhost-user requests that were refused"),
            (&self.accept_errors, "guest_accept_errors", "connections that the system did not let us take"),
            (&self.link_downs, "guest_link_downs", "times the guest's link was taken down"),
            (&self.log.pages, "guest_log_pages", "pages marked as written in the dirty log of a migration"),
            (&self.log.outside, "guest_log_outside", "pages written that the dirty log has no bit for"),
        ];
        let mut list: Vec<PortCounter> = own
            .into_iter()
            .map(|(counter, name, help)| PortCounter { name, value: counter.load(Ordering::Relaxed), help })
            .collect();
        for direction in [Direction::FromGuest, Direction::ToGuest] {
            let mut sum: Vec<PortCounter> = Vec::new();
            for counters in self.rings(direction) {
                for (i, counter) in counters.list(direction).into_iter().enumerate() {
                    match sum.get_mut(i) {
                        Some(total) => total.value += counter.value,
                        None => sum.push(counter),
                    }
                }
            }
            list.extend(sum);
        }
        list
    }
}

/// A vNIC's queues and monitor. They stay valid when it is removed; its rings are then stopped for good.
pub struct Vnic {
    /// One per queue pair: frames from the guest.
    pub rx: Vec<VringRx>,
    /// One per queue pair: frames to the guest. Clone for more workers.
    pub tx: Vec<VringTx>,
    /// State and counters.
    pub monitor: Arc<VnicMonitor>,
}

impl Vnic {
    pub(super) fn new(monitor: Arc<VnicMonitor>) -> Self {
        let rx = monitor.pairs.iter().map(|pair| VringRx::new(Arc::clone(&pair.from_guest))).collect();
        let tx = monitor.pairs.iter().map(|pair| VringTx::new(Arc::clone(&pair.to_guest))).collect();
        Self { rx, tx, monitor }
    }
}
