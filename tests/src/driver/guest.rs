//! A virtual guest at a real vhost-user socket: what QEMU and its guest do, in one process.

use super::memory::GuestMemory;
use super::nic::{Features, HEADER, NetDriver};
use super::ring::DriverRing;
use super::wire::{Request, Wire};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const VERSION_1: u64 = 1 << 32;
const PROTOCOL_FEATURES: u64 = 1 << 30;
const EVENT_IDX: u64 = 1 << 29;
const INDIRECT: u64 = 1 << 28;
const RING_PACKED: u64 = 1 << 34;
const IN_ORDER: u64 = 1 << 35;
const MRG_RXBUF: u64 = 1 << 15;
/// CSUM, HOST_TSO4, HOST_TSO6, HOST_ECN.
const OFFLOADS: u64 = 1 | 1 << 11 | 1 << 12 | 1 << 13;
/// What a guest takes: GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, GUEST_ECN.
const TAKES: u64 = 1 << 1 | 1 << 7 | 1 << 8 | 1 << 9;
/// With USO: HOST_USO, and what a guest takes: GUEST_USO4, GUEST_USO6.
const HOST_USO: u64 = 1 << 56;
const GUEST_USO: u64 = 1 << 54 | 1 << 55;
/// Taken where it is there: GUEST_ECN, HOST_ECN, USO.
const NICE: u64 = 1 << 9 | 1 << 13 | HOST_USO | GUEST_USO;
const REPLY_ACK: u64 = 1 << 3;
/// A back end with this waits for a status that this guest never sets.
const STATUS: u64 = 1 << 16;

/// Descriptors of one queue pair: {receive ring, transmit ring}.
struct Fds {
    kick: [OwnedFd; 2],
    call: [OwnedFd; 2],
}

/// A guest with a vhost-user NIC.
pub struct Guest {
    /// The socket; `None` while disconnected.
    wire: Option<Wire>,
    features: Features,
    /// One per queue pair.
    pub pairs: Vec<NetDriver>,
    fds: Vec<Fds>,
    memory: Arc<GuestMemory>,
    /// It keeps an in-flight region for its back ends.
    pub keeps_inflight: bool,
    /// That region: what describes it, and its file.
    pub inflight: Option<(Vec<u8>, OwnedFd)>,
}

impl Guest {
    /// A new guest, connected, its rings running.
    pub fn connect(path: &Path, features: Features) -> io::Result<Self> {
        let mut guest = Self::new(features)?;
        guest.start(Wire::connect(path)?, false)?;
        Ok(guest)
    }

    /// A new guest that is not connected yet.
    pub fn new(features: Features) -> io::Result<Self> {
        Self::in_memory(GuestMemory::new(features.memory())?, features)
    }

    /// A new guest with this memory.
    pub fn in_memory(memory: GuestMemory, features: Features) -> io::Result<Self> {
        let memory = Arc::new(memory);
        let pairs = features.queue_pairs.max(1);
        let fd = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        Ok(Self {
            wire: None,
            features,
            pairs: (0..pairs).map(|_| NetDriver::new(Arc::clone(&memory), features)).collect(),
            fds: (0..pairs)
                .map(|_| Ok(Fds { kick: [fd()?, fd()?], call: [fd()?, fd()?] }))
                .collect::<io::Result<_>>()?,
            memory,
            keeps_inflight: false,
            inflight: None,
        })
    }

    /// Virtio features that this guest accepts.
    pub fn virtio_features(&self) -> u64 {
        let bit = |on: bool, bit: u64| if on { bit } else { 0 };
        VERSION_1
            | PROTOCOL_FEATURES
            | bit(self.features.mergeable, MRG_RXBUF)
            | bit(self.features.indirect, INDIRECT)
            | bit(self.features.event_idx, EVENT_IDX)
            | bit(self.features.packed, RING_PACKED)
            | bit(self.features.in_order, IN_ORDER)
            | bit(self.features.offloads, OFFLOADS)
            | bit(self.features.takes, TAKES)
            | bit(self.features.offloads && self.features.uso, HOST_USO)
            | bit(self.features.takes && self.features.uso, GUEST_USO)
    }

    /// Connects a guest that was disconnected: its rings go on from where the device was.
    pub fn reconnect(&mut self, path: &Path) -> io::Result<()> {
        self.start(Wire::connect(path)?, true)
    }

    /// Closes the socket, as a killed QEMU does.
    pub fn disconnect(&mut self) {
        self.wire = None;
    }

    /// Negotiates and starts all rings on a connected socket. `resume`: from the used index in memory, as QEMU
    /// does after it lost the back end; else from 0.
    pub fn start(&mut self, mut wire: Wire, resume: bool) -> io::Result<()> {
        let offered = wire.get(Request::GET_FEATURES)?;
        let wanted = self.virtio_features() & (offered | !NICE);
        assert_eq!(wanted & !offered, 0, "the device does not offer what this guest needs");
        let protocol = wire.get(Request::GET_PROTOCOL_FEATURES)? & !STATUS;
        wire.set_number(Request::SET_PROTOCOL_FEATURES, protocol)?;
        wire.acknowledge = protocol & REPLY_ACK != 0;
        wire.set(Request::SET_OWNER, &[], &[])?;
        // In the order of QEMU: enabled before the features are set.
        for ring in 0..2 * self.pairs.len() as u32 {
            wire.set_ring(Request::SET_VRING_ENABLE, ring, 1)?;
        }
        wire.set_number(Request::SET_FEATURES, wanted)?;
        self.share_memory(&wire)?;
        if self.keeps_inflight {
            if self.inflight.is_none() {
                let mut asked = vec![0; 16];
                asked.extend((2 * self.pairs.len() as u16).to_ne_bytes());
                asked.extend(self.features.queue_size.to_ne_bytes());
                wire.send(Request::GET_INFLIGHT_FD as u32, 1, &asked, &[])?;
                self.inflight = Some(wire.reply_with_fd(Request::GET_INFLIGHT_FD)?);
            }
            if let Some((described, file)) = &self.inflight {
                wire.set(Request::SET_INFLIGHT_FD, described, &[file.as_fd()])?;
            }
        }
        for (i, (pair, fds)) in self.pairs.iter().zip(&self.fds).enumerate() {
            for (j, ring) in [&pair.rx, &pair.tx].into_iter().enumerate() {
                let base = if resume { ring.indices().0 } else { ring.origin() };
                start_ring(&wire, &self.memory, (2 * i + j) as u32, ring, base, &fds.kick[j], &fds.call[j])?;
            }
        }
        self.wire = Some(wire);
        Ok(())
    }

    /// Sends the memory table.
    pub fn share_memory(&self, wire: &Wire) -> io::Result<()> {
        let regions = self.memory.regions();
        let mut table = (regions.len() as u64).to_ne_bytes().to_vec();
        for info in regions {
            for word in [info.guest, info.size, info.user, info.offset] {
                table.extend(word.to_ne_bytes());
            }
        }
        let fds = vec![self.memory.fd(); regions.len()];
        wire.set(Request::SET_MEM_TABLE, &table, &fds)
    }

    /// Stops all rings; their bases, in vhost-user's order.
    pub fn stop(&mut self) -> io::Result<Vec<u32>> {
        let wire = self.wire()?;
        (0..2 * self.pairs.len() as u32).map(|ring| wire.get_base(ring)).collect()
    }

    /// The socket.
    pub fn wire(&self) -> io::Result<&Wire> {
        self.wire.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The guest's memory.
    pub fn memory(&self) -> &Arc<GuestMemory> {
        &self.memory
    }

    /// The kick descriptor of a ring, by vhost-user's number.
    pub fn kick_fd(&self, ring: usize) -> &OwnedFd {
        &self.fds[ring / 2].kick[ring % 2]
    }

    /// Sends a frame on the first queue pair, and kicks if the device wants to be kicked. `false`: no room.
    pub fn send(&mut self, frame: &[u8]) -> bool {
        self.send_unfinished(&[0; HEADER], frame)
    }

    /// The same with this header in front.
    pub fn send_unfinished(&mut self, header: &[u8; HEADER], frame: &[u8]) -> bool {
        let queued = self.pairs[0].queue_unfinished(header, frame);
        if self.pairs[0].flush() {
            write(&self.fds[0].kick[1]);
        }
        queued
    }

    /// The next frame on the first queue pair.
    pub fn recv(&mut self, timeout: Duration) -> Option<Vec<u8>> {
        self.recv_with(timeout, NetDriver::poll)
    }

    /// The same with its header, but for `num_buffers`.
    pub fn recv_unfinished(&mut self, timeout: Duration) -> Option<([u8; HEADER], Vec<u8>)> {
        self.recv_with(timeout, NetDriver::poll_unfinished)
    }

    fn recv_with<T>(&mut self, timeout: Duration, poll: fn(&mut NetDriver) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(frame) = poll(&mut self.pairs[0]) {
                if self.pairs[0].rx_kick() {
                    write(&self.fds[0].kick[0]);
                }
                return Some(frame);
            }
            if !self.pairs[0].rx.want_call() {
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !readable(&self.fds[0].call[0], left) {
                return poll(&mut self.pairs[0]);
            }
            self.pairs[0].rx.refuse_call();
        }
    }
}

/// Sets up one ring and starts it.
pub fn start_ring(
    wire: &Wire,
    memory: &GuestMemory,
    number: u32,
    ring: &DriverRing,
    base: u16,
    kick: impl AsFd,
    call: impl AsFd,
) -> io::Result<()> {
    wire.set_ring(Request::SET_VRING_NUM, number, ring.size().into())?;
    wire.set_ring(Request::SET_VRING_BASE, number, ring.base(base))?;
    let (desc, avail, used) = ring.parts();
    let mut addr = Vec::from(u64::from(number).to_ne_bytes());
    for at in [desc, used, avail] {
        addr.extend(memory.user(at).to_ne_bytes());
    }
    addr.extend(0u64.to_ne_bytes());
    wire.set(Request::SET_VRING_ADDR, &addr, &[])?;
    wire.set_fd(Request::SET_VRING_CALL, number, call)?;
    wire.set_fd(Request::SET_VRING_KICK, number, kick)
}

fn write(fd: &OwnedFd) {
    let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
}

/// Waits until the eventfd was written, and reads it.
fn readable(fd: &OwnedFd, timeout: Duration) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let timeout = Timespec::try_from(timeout).ok();
    let ready = poll(&mut fds, timeout.as_ref()).is_ok_and(|n| n > 0);
    let _ = rustix::io::read(fd, &mut [0; 8][..]);
    ready
}
