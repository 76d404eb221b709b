//! The queues of a memif port, which outlive its connections.
//!
//! A receiving queue owns its ring while it has one: no lock on the way of a frame. The control thread leaves a
//! new ring (or none) in the queue's slot and steps its generation; the queue looks at the generation once a
//! burst and swaps. The old memory stays mapped until the queue has let go of it.
//!
//! Sending queues share rings under a lock taken once a burst: the peer may have fewer rings than we have
//! queues, and the control thread must count exactly what a dead peer had not read.

use super::fault::{Counters, Fault};
use super::metadata;
use super::rx::RxRing;
use super::tx::TxRing;
use crate::frame::{OutFrame, Undone};
use crate::port::{Changes, Monitor, PortCounter, PortState, Tell};
use crate::queue::{Nanos, RxBurst, RxQueue, Taken, TxQueue};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Why a port is down that has not had a peer yet.
const NO_PEER: &str = "no peer";

/// Which connection a ring belongs to; odd while up, even while down.
pub(super) type Generation = u32;

/// A fault found by a worker, waiting for the control thread: the generation, and the fault above it.
#[derive(Debug, Default)]
struct Report(AtomicU64);

impl Report {
    fn set(&self, generation: Generation, fault: Fault) {
        self.0.store(u64::from(generation) << 8 | fault as u64, Ordering::Release);
    }

    fn get(&self, generation: Generation) -> Option<Fault> {
        let value = self.0.load(Ordering::Acquire);
        let fault = Fault::ALL.get((value & 0xff) as usize).copied();
        fault.filter(|_| value >> 8 == u64::from(generation))
    }
}

/// Where the control thread and a receiving queue meet.
#[derive(Debug)]
struct RxSlot {
    generation: AtomicU32,
    fresh: Mutex<Option<RxRing>>,
    report: Report,
    frames: AtomicU64,
    /// What the worker watches: an epoll set of `signal` and the eventfd of the ring of the day, edge-triggered,
    /// so that one `epoll_wait` consumes either.
    events: OwnedFd,
    /// Fires when the queue goes up or down.
    signal: OwnedFd,
}

/// Where the control thread and all sending queues meet: one for each ring.
#[derive(Debug, Default)]
struct TxSlot {
    ring: Mutex<Option<(Generation, TxRing)>>,
    report: Report,
    frames: AtomicU64,
    exchanged: AtomicU64,
    too_long: AtomicU64,
}

/// What the queues, the monitor and the control thread share.
#[derive(Debug)]
pub(super) struct Shared {
    rx: Box<[RxSlot]>,
    tx: Box<[TxSlot]>,
    /// Rings in `tx` that are up.
    tx_rings: AtomicUsize,
    /// Octets of the longest unfinished frame that their peer takes; 0 where it takes none. Where that changes under a sender its
    /// ring refuses them.
    unfinished: AtomicUsize,
    state: Mutex<PortState>,
    changes: Changes,
    pub(super) counters: Counters,
    /// Wakes the control thread.
    wake: OwnedFd,
    stop: AtomicBool,
}

/// The rings of a new connection.
pub(super) struct Rings {
    pub(super) rx: Vec<(RxRing, OwnedFd)>,
    pub(super) tx: Vec<TxRing>,
    /// Both ends pass on unfinished frames.
    pub(super) unfinished: bool,
}

/// What the control thread keeps of a connection that is up.
pub(super) struct Live {
    generation: Generation,
    eventfds: Vec<OwnedFd>,
}

fn new_eventfd() -> rustix::io::Result<OwnedFd> {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
}

fn signal(fd: &OwnedFd) {
    // A counter that is full is signalled already.
    let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
}

fn watch(events: &OwnedFd, fd: &OwnedFd) -> rustix::io::Result<()> {
    epoll::add(events, fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN | epoll::EventFlags::ET)
}

impl Shared {
    /// For a port that receives and sends by so many queues.
    pub(super) fn new(receive: u16, send: u16) -> rustix::io::Result<Self> {
        let rx_slot = |_| {
            let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            let signal = new_eventfd()?;
            watch(&events, &signal)?;
            let (fresh, report) = (Mutex::new(None), Report::default());
            Ok(RxSlot {
                generation: AtomicU32::new(0),
                fresh,
                report,
                frames: AtomicU64::new(0),
                events,
                signal,
            })
        };
        Ok(Self {
            rx: (0..receive).map(rx_slot).collect::<rustix::io::Result<_>>()?,
            tx: (0..send).map(|_| TxSlot::default()).collect(),
            tx_rings: AtomicUsize::new(0),
            unfinished: AtomicUsize::new(0),
            state: Mutex::new(PortState::Down { cause: NO_PEER.into() }),
            changes: Changes::default(),
            counters: Counters::default(),
            wake: new_eventfd()?,
            stop: AtomicBool::new(false),
        })
    }

    /// What the control thread polls.
    pub(super) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Consumes a wake; `true` says that the port is no longer wanted.
    pub(super) fn woken(&self) -> bool {
        let _ = rustix::io::read(&self.wake, &mut [0u8; 8]);
        self.stop.load(Ordering::Acquire)
    }

    /// Hands rings to the queues. There are never more of them than queues.
    pub(super) fn up(&self, generation: Generation, rings: Rings) -> Live {
        let mut live = Live { generation, eventfds: Vec::new() };
        let count = rings.tx.len().min(self.tx.len());
        // A part of the ring, so that there will be room for it at some time, whatever is kept free.
        let longest = rings.tx.iter().map(TxRing::octets).min().unwrap_or(0) / 4;
        for (slot, ring) in self.tx.iter().zip(rings.tx) {
            *slot.ring.lock() = Some((generation, ring));
        }
        self.unfinished.store(if rings.unfinished { longest } else { 0 }, Ordering::Release);
        self.tx_rings.store(count, Ordering::Release);
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        let mut fresh = rings.rx.into_iter();
        for slot in &self.rx {
            let ring = fresh.next().map(|(ring, eventfd)| {
                if let Err(error) = watch(&slot.events, &eventfd) {
                    tracing::warn!(%error, "memif: an interrupt cannot be watched, frames may wait");
                }
                live.eventfds.push(eventfd);
                ring
            });
            slot.publish(generation, ring);
        }
        self.announce(PortState::Up);
        live
    }

    /// Takes the rings away again.
    pub(super) fn down(&self, live: &Live, generation: Generation, cause: String) {
        self.tx_rings.store(0, Ordering::Release);
        self.unfinished.store(0, Ordering::Release);
        for slot in &self.tx {
            if let Some((_, ring)) = slot.ring.lock().take() {
                self.counters.link_lost.fetch_add(ring.unread(), Ordering::Relaxed);
            }
        }
        let mut eventfds = live.eventfds.iter();
        for slot in &self.rx {
            // The peer has this eventfd, too, so closing ours alone would leave it in the set.
            if let Some(eventfd) = eventfds.next() {
                let _ = epoll::delete(&slot.events, eventfd);
            }
            slot.publish(generation, None);
        }
        self.announce(PortState::Down { cause });
    }

    /// Says what has become of the port, once all of it has.
    fn announce(&self, state: PortState) {
        *self.state.lock() = state;
        for slot in &self.rx {
            signal(&slot.signal);
        }
        self.changes.tell();
    }

    /// Says why the port is (still) down.
    pub(super) fn set_cause(&self, new: String) {
        if let PortState::Down { cause } = &mut *self.state.lock() {
            *cause = new;
        }
    }

    /// Says why no peer is found, unless there is more to say: what became of one that was there. Says whether that is
    /// news.
    pub(super) fn no_peer(&self, why: &str) -> bool {
        match &mut *self.state.lock() {
            PortState::Down { cause } if cause.starts_with(NO_PEER) => {
                let new = format!("{NO_PEER}: {why}");
                core::mem::replace(cause, new.clone()) != new
            }
            _ => false,
        }
    }

    /// What a worker found wrong with this connection.
    pub(super) fn reported(&self, live: &Live) -> Option<Fault> {
        let rx = self.rx.iter().map(|slot| &slot.report);
        let tx = self.tx.iter().map(|slot| &slot.report);
        rx.chain(tx).find_map(|report| report.get(live.generation))
    }

    fn tx_slot(&self, queue: usize) -> Option<&TxSlot> {
        let rings = self.tx_rings.load(Ordering::Acquire);
        self.tx.get(queue.checked_rem(rings)?)
    }

    /// A worker found a fault: the control thread has to end the connection.
    #[cold]
    fn fault(&self, report: &Report, generation: Generation, fault: Fault) {
        report.set(generation, fault);
        signal(&self.wake);
    }
}

impl RxSlot {
    fn publish(&self, generation: Generation, ring: Option<RxRing>) {
        let old = {
            let mut fresh = self.fresh.lock();
            self.generation.store(generation, Ordering::Release);
            core::mem::replace(&mut *fresh, ring)
        };
        drop(old);
    }
}

impl Monitor for Shared {
    fn state(&self) -> PortState {
        self.state.lock().clone()
    }

    fn on_change(&self, tell: Tell) {
        self.changes.subscribe(tell);
    }

    fn counters(&self) -> Vec<PortCounter> {
        let tx =
            |of: fn(&TxSlot) -> &AtomicU64| self.tx.iter().map(|slot| of(slot).load(Ordering::Relaxed)).sum();
        let rx = self.rx.iter().map(|slot| slot.frames.load(Ordering::Relaxed)).sum();
        let mut list = vec![
            PortCounter { name: "rx_frames", value: rx, help: "Frames taken from the peer." },
            PortCounter {
                name: "tx_frames",
                value: tx(|slot| &slot.frames),
                help: "Frames given to the peer.",
            },
            PortCounter {
                name: "tx_exchanged",
                value: tx(|slot| &slot.exchanged),
                help: "Of these, frames that went back to their sender in the buffers they came in, uncopied.",
            },
            PortCounter {
                name: "tx_too_long",
                value: tx(|slot| &slot.too_long),
                help: "Frames that were dropped because not even the whole ring could hold them, or the peer no longer takes unfinished ones.",
            },
        ];
        list.extend(self.counters.list());
        list
    }
}

/// Ends the control thread when the last queue and the monitor are gone.
pub(super) struct Alive {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Alive {
    pub(super) fn new(shared: Arc<Shared>, thread: JoinHandle<()>) -> Self {
        Self { shared, thread: Some(thread) }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        signal(&self.shared.wake);
        if let Some(thread) = self.thread.take() {
            // It never blocks on anything but its descriptors; a panic of its own was reported by itself.
            let _ = thread.join();
        }
    }
}

/// A handle on a port for anybody who only looks.
pub(super) struct MemifMonitor {
    pub(super) alive: Arc<Alive>,
}

impl Monitor for MemifMonitor {
    fn state(&self) -> PortState {
        self.alive.shared.state()
    }

    fn on_change(&self, tell: Tell) {
        self.alive.shared.on_change(tell);
    }

    fn counters(&self) -> Vec<PortCounter> {
        self.alive.shared.counters()
    }
}

/// A receiving queue.
pub(super) struct MemifRx {
    ring: Option<RxRing>,
    seen: Generation,
    index: usize,
    alive: Arc<Alive>,
}

impl MemifRx {
    pub(super) fn new(index: usize, alive: Arc<Alive>) -> Self {
        Self { ring: None, seen: 0, index, alive }
    }

    fn slot(&self) -> &RxSlot {
        &self.alive.shared.rx[self.index]
    }

    #[cold]
    fn swap(&mut self) {
        let (ring, generation) = {
            let slot = self.slot();
            let mut fresh = slot.fresh.lock();
            (fresh.take(), slot.generation.load(Ordering::Acquire))
        };
        self.ring = ring;
        self.seen = generation;
    }
}

impl RxQueue for MemifRx {
    fn recv<'a>(&'a mut self, _now: Nanos, max: usize, burst: &mut RxBurst<'a>) {
        if self.slot().generation.load(Ordering::Acquire) != self.seen {
            self.swap();
        }
        let Some(ring) = &mut self.ring else { return };
        if let Err(fault) = ring.recv(max, burst) {
            let shared = &self.alive.shared;
            shared.fault(&shared.rx[self.index].report, self.seen, fault);
        }
    }

    fn release(&mut self, taken: usize) {
        let Some(ring) = &mut self.ring else { return };
        ring.release(taken);
        let frames = &self.alive.shared.rx[self.index].frames;
        // Written by this queue only.
        frames.store(frames.load(Ordering::Relaxed) + taken as u64, Ordering::Relaxed);
    }

    fn arm(&mut self) -> bool {
        if self.slot().generation.load(Ordering::Acquire) != self.seen {
            self.swap();
        }
        self.ring.as_ref().is_none_or(RxRing::arm)
    }

    fn disarm(&mut self) {
        if let Some(ring) = &self.ring {
            ring.disarm();
        }
        let mut consumed = [const { core::mem::MaybeUninit::uninit() }; 2];
        let _ = epoll::wait(&self.slot().events, &mut consumed, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    }

    fn event(&self) -> Option<BorrowedFd<'_>> {
        Some(self.slot().events.as_fd())
    }
}

/// A sending queue.
pub(super) struct MemifTx {
    index: usize,
    alive: Arc<Alive>,
}

impl MemifTx {
    pub(super) fn new(index: usize, alive: Arc<Alive>) -> Self {
        Self { index, alive }
    }
}

impl TxQueue for MemifTx {
    fn send(&mut self, _now: Nanos, frames: &[OutFrame<'_>]) -> Taken {
        let shared = &self.alive.shared;
        let Some(slot) = shared.tx_slot(self.index) else { return Taken::default() };
        let mut guard = slot.ring.lock();
        let Some((generation, ring)) = &mut *guard else { return Taken::default() };
        let (taken, result) = ring.send(frames);
        // Written under the lock only.
        let add = |counter: &AtomicU64, n: usize| {
            counter.store(counter.load(Ordering::Relaxed) + n as u64, Ordering::Relaxed);
        };
        add(&slot.frames, taken.frames - taken.refused);
        add(&slot.exchanged, ring.take_exchanged());
        if taken.refused > 0 {
            add(&slot.too_long, taken.refused);
        }
        if let Err(fault) = result {
            shared.fault(&slot.report, *generation, fault);
        }
        taken
    }

    fn kick(&mut self) {
        if let Some(slot) = self.alive.shared.tx_slot(self.index)
            && let Some((_, ring)) = &mut *slot.ring.lock()
        {
            ring.kick();
        }
    }

    fn is_up(&self) -> bool {
        self.alive.shared.tx_rings.load(Ordering::Acquire) > 0
    }

    fn takes(&self, undone: &Undone, len: usize) -> bool {
        len <= self.alive.shared.unfinished.load(Ordering::Acquire) && metadata::pack(undone).is_some()
    }

    fn room(&self, wanted: usize) -> usize {
        let shared = &self.alive.shared;
        let Some(slot) = shared.tx_slot(self.index) else { return 0 };
        let mut guard = slot.ring.lock();
        let Some((generation, ring)) = &mut *guard else { return 0 };
        ring.room(wanted).unwrap_or_else(|fault| {
            shared.fault(&slot.report, *generation, fault);
            0
        })
    }

    fn another(&self) -> Option<Box<dyn TxQueue>> {
        Some(Box::new(Self::new(self.index, Arc::clone(&self.alive))))
    }
}
