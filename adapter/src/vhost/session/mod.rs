//! One connection of a front end: its requests, and what they make of the rings.
//!
//! A request only changes what is known; then [`Session::settle`] compares what every ring should do with what
//! it does. So the order of requests does not matter (QEMU enables rings before it sets features), and there
//! is one place that starts rings and one that says why a ring does not run.
//!
//! ```text
//!   runs =  features with VERSION_1  and  memory  and  size, addresses
//!           and  started (kick descriptor since the last GET_VRING_BASE)
//!           and  enabled (by request; by default where protocol features were not accepted)
//! ```
//!
//! Whatever a request takes away stops the rings concerned before it is answered.

mod inflight;
mod logging;
mod regions;
mod settle;

use super::features::{self, LOG_ALL};
use super::memory::{DirtyLog, InflightRegion, MAX_REGIONS, MemoryError, ShareError};
use super::message::{Message, Reply};
use super::ring::{MAX_RING_SIZE, RingAddress, RingLog, RingSlot};
use super::vnic::{Cause, FrontendEvent, VnicMonitor};
pub(super) use regions::{Discard, Memory};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use vhost::vhost_user::VhostUserProtocolFeatures as Protocol;
use vhost::vhost_user::message::{FrontendReq, VhostUserU64, VhostUserVringAddr, VhostUserVringState};
use vm_memory::ByteValued;

/// Index of a ring in the payloads that carry a descriptor; bit 8 says that none came.
const VRING_INDEX_MASK: u64 = 0xff;
const VRING_NOFD: u64 = 0x100;

/// Refusals of one connection that are logged; all are counted.
const LOGGED_REFUSALS: u32 = 16;

/// Smallest MTU of IPv4 (RFC 791), and of virtio-net.
const MIN_MTU: u64 = 68;

/// Why a request was refused. The front end is told if it asked to be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("request {0} is unknown")]
    Unknown(u32),
    #[error("{0:?} was not offered")]
    NotOffered(FrontendReq),
    #[error("{0:?} has a payload of the wrong size")]
    Size(FrontendReq),
    #[error("{0:?} came with the wrong number of file descriptors")]
    Descriptors(FrontendReq),
    #[error("there is no ring {0}")]
    NoRing(u64),
    #[error("ring {0} cannot have {1} slots (up to {MAX_RING_SIZE}; a power of two unless rings are packed)")]
    RingSize(u32, u32),
    #[error("ring {0} cannot begin at {1}")]
    RingBase(u32, u32),
    #[error("{0} is not 0 or 1")]
    Enable(u32),
    #[error("the descriptor for {0} is not an eventfd")]
    NotEventfd(String),
    #[error("ring {0} has no kick descriptor, and polling is not offered")]
    NoKick(usize),
    #[error("features {0:#x} were not offered")]
    Features(u64),
    #[error("an MTU of {0} (68 to {1} are possible)")]
    Mtu(u64, u16),
    #[error("there is no such memory region")]
    NoRegion,
    #[error("the used ring of ring {0} cannot be logged at {1:#x}")]
    LogAddress(u32, u64),
    #[error("the dirty log {0}")]
    Log(ShareError),
    #[error("a ring of an in-flight region cannot have {0} slots (up to {MAX_RING_SIZE} are possible)")]
    InflightSize(u16),
    #[error("the in-flight region {0}")]
    Inflight(ShareError),
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// What goes back for a request that was carried out.
enum Answer {
    /// An acknowledgement, if asked for.
    Done,
    /// A reply of its own.
    Number(u64),
    /// A reply of its own.
    State(VhostUserVringState),
    /// A reply of its own.
    Other(Reply),
}

#[derive(Debug, Default)]
struct Vring {
    size: u16,
    at: Option<RingAddress>,
    /// From where it goes on, as [`RingSetup::base`](super::ring::RingSetup::base).
    base: u16,
    kick: Option<Arc<OwnedFd>>,
    call: Option<Arc<OwnedFd>>,
    err: Option<Arc<OwnedFd>>,
    enabled: Option<bool>,
    /// Where the front end wants the used ring logged.
    log_used: Option<u64>,
    /// Where the running ring logs.
    log: Option<RingLog>,
    runs: bool,
    wrong: Option<&'static str>,
}

/// The state of one connection.
pub(super) struct Session {
    monitor: Arc<VnicMonitor>,
    vrings: Vec<Vring>,
    offered: u64,
    accepted: Option<u64>,
    offered_protocol: Protocol,
    protocol: u64,
    memory: Memory,
    /// What rings have in flight, where the front end keeps that.
    inflight: Option<Arc<InflightRegion>>,
    /// The dirty log: the front end's, whatever becomes of memory and rings.
    log: Option<Arc<DirtyLog>>,
    /// To be written when there is news in it.
    log_news: Option<Arc<OwnedFd>>,
    /// What was last said by [`FrontendEvent::Log`].
    logs: bool,
    discard: Discard,
    largest_mtu: u16,
    mtu: u16,
    status: u8,
    pid: Option<i32>,
    refusals: u32,
    events: Vec<FrontendEvent>,
}

impl Session {
    /// A fresh connection to a vNIC; `pid` is at its other end. Memory that it has done with goes to `discard`.
    pub(super) fn new(
        monitor: Arc<VnicMonitor>,
        largest_mtu: u16,
        packed: bool,
        pid: Option<i32>,
        discard: Discard,
    ) -> Self {
        let pairs = monitor.pairs().len();
        let mut session = Self {
            vrings: (0..2 * pairs).map(|_| Vring::default()).collect(),
            offered: features::virtio(pairs as u16, largest_mtu, packed),
            accepted: None,
            offered_protocol: features::protocol(largest_mtu),
            protocol: 0,
            memory: Memory::default(),
            inflight: None,
            log: None,
            log_news: None,
            logs: false,
            discard,
            largest_mtu,
            mtu: 0,
            status: 0,
            pid,
            refusals: 0,
            events: vec![FrontendEvent::Connected],
            monitor,
        };
        session.settle();
        session
    }

    /// What happened since this was last called.
    pub(super) fn events(&mut self) -> std::vec::Drain<'_, FrontendEvent> {
        self.events.drain(..)
    }

    /// The front end is gone: all rings stop.
    pub(super) fn close(&mut self) {
        self.reset();
        self.set_memory(Memory::default());
        (self.log, self.log_news) = (None, None);
        self.settle_log();
        {
            let mut status = self.monitor.status.lock();
            status.cause = Cause::default();
            status.guest = None;
        }
        self.events.push(FrontendEvent::Disconnected);
    }

    /// Carries out a request; the reply, if there is to be one.
    pub(super) fn handle(&mut self, mut message: Message) -> Option<Reply> {
        let done = match message.request() {
            Some(request) => self.request(request, &mut message),
            None => Err(Refusal::Unknown(message.code)),
        };
        self.settle();
        let acknowledge = message.need_reply && self.protocol & Protocol::REPLY_ACK.bits() != 0;
        match done {
            Ok(Answer::Number(value)) => Some(value.into()),
            Ok(Answer::State(state)) => Some(Reply { payload: state.as_slice().to_vec(), fd: None }),
            Ok(Answer::Other(reply)) => Some(reply),
            Ok(Answer::Done) => acknowledge.then(|| 0.into()),
            Err(refusal) => {
                if self.refusals < LOGGED_REFUSALS {
                    self.refusals += 1;
                    tracing::warn!(vnic = self.monitor.name(), "vhost-user request refused: {refusal}");
                }
                self.monitor.requests_refused.fetch_add(1, Ordering::Relaxed);
                if let Refusal::Memory(error) = &refusal {
                    self.memory.refused = Some(error.to_string());
                    self.settle();
                }
                // A front end that waits for a reply gets one, whatever it asked.
                (acknowledge || message.request().is_some_and(waits)).then(|| 1.into())
            }
        }
    }

    fn request(&mut self, request: FrontendReq, message: &mut Message) -> Result<Answer, Refusal> {
        use FrontendReq as R;
        match request {
            R::GET_FEATURES => return Ok(Answer::Number(self.offered)),
            R::SET_FEATURES => return self.set_features(number(request, message)?),
            R::GET_PROTOCOL_FEATURES => return Ok(Answer::Number(self.offered_protocol.bits())),
            R::SET_PROTOCOL_FEATURES => {
                let accepted = number(request, message)?;
                if accepted & !self.offered_protocol.bits() != 0 {
                    return Err(Refusal::Features(accepted & !self.offered_protocol.bits()));
                }
                self.protocol = accepted;
            }
            R::SET_OWNER => {}
            R::RESET_OWNER | R::RESET_DEVICE => self.reset(),
            R::GET_QUEUE_NUM => return Ok(Answer::Number(self.monitor.pairs().len() as u64)),
            R::SET_MEM_TABLE => self.set_memory_table(message)?,
            R::GET_MAX_MEM_SLOTS => return Ok(Answer::Number(MAX_REGIONS as u64)),
            R::ADD_MEM_REG => self.add_region(message)?,
            R::REM_MEM_REG => self.remove_region(message)?,
            R::SET_VRING_NUM => {
                let VhostUserVringState { index, num } = body(request, message)?;
                let packed = self.packed();
                let legal = |n: &u16| *n > 0 && *n <= MAX_RING_SIZE && (packed || n.is_power_of_two());
                let size = u16::try_from(num).ok().filter(legal);
                let size = size.ok_or(Refusal::RingSize(index, num))?;
                self.stopped(index.into())?.size = size;
            }
            R::SET_VRING_ADDR => {
                let addr: VhostUserVringAddr = body(request, message)?;
                self.set_ring_address(&addr)?;
            }
            R::SET_VRING_BASE => {
                let VhostUserVringState { index, num } = body(request, message)?;
                // A packed ring's upper half is where buffers were used up to. Ours are used as they are taken, and front
                // ends leave it out (DPDK).
                let base = if self.packed() { Some(num as u16) } else { u16::try_from(num).ok() };
                let base = base.ok_or(Refusal::RingBase(index, num))?;
                self.stopped(index.into())?.base = base;
            }
            R::GET_VRING_BASE => {
                let VhostUserVringState { index, .. } = body(request, message)?;
                let packed = self.packed();
                let vring = self.stopped(index.into())?;
                // The ring is started again by a new kick descriptor.
                vring.kick = None;
                let base = u32::from(vring.base);
                let base = if packed { base | base << 16 } else { base };
                return Ok(Answer::State(VhostUserVringState::new(index, base)));
            }
            R::SET_VRING_ENABLE => {
                let VhostUserVringState { index, num } = body(request, message)?;
                let vring = self.vrings.get_mut(index as usize).ok_or(Refusal::NoRing(index.into()))?;
                vring.enabled = Some(match num {
                    0 => false,
                    1 => true,
                    other => return Err(Refusal::Enable(other)),
                });
            }
            R::SET_VRING_KICK => {
                let (index, fd) = self.ring_fd(request, message)?;
                let kick = fd.ok_or(Refusal::NoKick(index))?;
                self.stopped(index as u64)?.kick = Some(kick);
            }
            R::SET_VRING_CALL => {
                let (index, fd) = self.ring_fd(request, message)?;
                self.with_ring(index, |vring, slot| {
                    vring.call.clone_from(&fd);
                    slot.set_call(fd);
                })?;
            }
            R::SET_VRING_ERR => {
                let (index, fd) = self.ring_fd(request, message)?;
                self.with_ring(index, |vring, _| vring.err = fd)?;
            }
            R::SET_STATUS => {
                let status = number(request, message)?;
                self.status = status as u8;
                if self.status == 0 {
                    self.reset();
                }
            }
            R::GET_STATUS => return Ok(Answer::Number(self.status.into())),
            R::GET_INFLIGHT_FD => return self.get_inflight(message).map(Answer::Other),
            R::SET_INFLIGHT_FD => self.set_inflight(message)?,
            R::SET_LOG_BASE => {
                self.set_log(message)?;
                // The front end waits, acknowledgements or not.
                return Ok(Answer::Number(0));
            }
            R::SET_LOG_FD => {
                let fd = message.take_fd().ok_or(Refusal::Descriptors(request))?;
                self.log_news = Some(Arc::new(
                    eventfd(fd).ok_or_else(|| Refusal::NotEventfd("the dirty log".to_owned()))?,
                ));
            }
            R::SEND_RARP => {
                let [a, b, c, d, e, f, _, _] = number(request, message)?.to_ne_bytes();
                self.events.push(FrontendEvent::Announce([a, b, c, d, e, f]));
            }
            R::NET_SET_MTU => {
                let mtu = number(request, message)?;
                let legal = mtu >= MIN_MTU && mtu <= self.largest_mtu.into();
                self.mtu = legal.then_some(mtu as u16).ok_or(Refusal::Mtu(mtu, self.largest_mtu))?;
            }
            other => return Err(Refusal::NotOffered(other)),
        }
        Ok(Answer::Done)
    }

    fn set_features(&mut self, accepted: u64) -> Result<Answer, Refusal> {
        // The log is switched under traffic.
        if self.accepted.map(|former| former | LOG_ALL) != Some(accepted | LOG_ALL) {
            self.stop_all();
        }
        self.accepted = Some(accepted);
        let surplus = accepted & !self.offered;
        if surplus != 0 { Err(Refusal::Features(surplus)) } else { Ok(Answer::Done) }
    }

    /// Rings are packed.
    fn packed(&self) -> bool {
        self.accepted.is_some_and(|accepted| features::ring(accepted).packed)
    }

    /// A ring's number and descriptor.
    fn ring_fd(
        &self,
        request: FrontendReq,
        message: &mut Message,
    ) -> Result<(usize, Option<Arc<OwnedFd>>), Refusal> {
        let value = number(request, message)?;
        let index = (value & VRING_INDEX_MASK) as usize;
        // A number with bits above those is none that was cut: 65537 is not ring 1.
        if index >= self.vrings.len() || value & !(VRING_INDEX_MASK | VRING_NOFD) != 0 {
            return Err(Refusal::NoRing(value));
        }
        if value & VRING_NOFD != 0 {
            return Ok((index, None));
        }
        let fd = message.take_fd().ok_or(Refusal::Descriptors(request))?;
        let fd = eventfd(fd).ok_or_else(|| Refusal::NotEventfd(format!("ring {index}")))?;
        Ok((index, Some(Arc::new(fd))))
    }

    fn with_ring(&mut self, index: usize, change: impl FnOnce(&mut Vring, &RingSlot)) -> Result<(), Refusal> {
        let no_ring = || Refusal::NoRing(index as u64);
        let slot = self.monitor.slot(index).ok_or_else(no_ring)?;
        change(self.vrings.get_mut(index).ok_or_else(no_ring)?, slot);
        Ok(())
    }

    /// The ring, stopped: whoever changes it starts it again by `settle`.
    fn stopped(&mut self, index: u64) -> Result<&mut Vring, Refusal> {
        let at = usize::try_from(index).map_err(|_| Refusal::NoRing(index))?;
        self.stop(at);
        self.vrings.get_mut(at).ok_or(Refusal::NoRing(index))
    }

    fn stop(&mut self, index: usize) {
        let (Some(vring), Some(slot)) = (self.vrings.get_mut(index), self.monitor.slot(index)) else {
            return;
        };
        if core::mem::take(&mut vring.runs) {
            vring.log = None;
            if let Some(base) = slot.stop() {
                vring.base = base;
            }
            self.events
                .push(FrontendEvent::RingStop { pair: (index / 2) as u16, direction: slot.direction() });
        }
    }

    fn stop_all(&mut self) {
        for index in 0..self.vrings.len() {
            self.stop(index);
        }
    }

    /// All rings stop, and begin again only with new kick descriptors.
    fn reset(&mut self) {
        self.stop_all();
        for vring in &mut self.vrings {
            vring.kick = None;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
}

/// Front ends wait for a reply of its own to these, acknowledged or not.
fn waits(request: FrontendReq) -> bool {
    use FrontendReq as R;
    matches!(
        request,
        R::GET_VRING_BASE
            | R::GET_CONFIG
            | R::GET_INFLIGHT_FD
            | R::SET_LOG_BASE
            | R::GET_SHARED_OBJECT
            | R::SET_DEVICE_STATE_FD
            | R::CHECK_DEVICE_STATE
            | R::GET_SHMEM_CONFIG
            | R::POSTCOPY_ADVISE
            | R::POSTCOPY_END
    )
}

/// The descriptor, made non-blocking, if it is an eventfd: the only thing that a write of eight octets can neither block
/// nor hurt.
fn eventfd(fd: OwnedFd) -> Option<OwnedFd> {
    // An anonymous inode has no file type.
    let anonymous = fstat(&fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Unknown);
    let nonblocking = fcntl_getfl(&fd).and_then(|flags| fcntl_setfl(&fd, flags | OFlags::NONBLOCK));
    (anonymous && nonblocking.is_ok()).then_some(fd)
}

fn body<T: ByteValued>(request: FrontendReq, message: &Message) -> Result<T, Refusal> {
    message.body().ok_or(Refusal::Size(request))
}

fn number(request: FrontendReq, message: &Message) -> Result<u64, Refusal> {
    body::<VhostUserU64>(request, message).map(|body| body.value)
}
