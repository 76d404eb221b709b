//! A cable in memory: what is sent into one end is received at the other.
//!
//! For virtual worlds and tests. Each direction of each queue is a ring with a fixed number of frame buffers;
//! a frame is copied into a free buffer, lent to the receiver, and the buffer is free again after `release`.
//! No free buffer: the sender keeps the rest of its burst. Nothing is lost but what is in the cable when it is
//! unplugged, which is counted as `link_lost` by the end that sent it.
//!
//! ```
//! use link::{OutFrame, RxBurst, pair::pair};
//! let (mut a, mut b, _cable) = pair(256);
//! assert_eq!(a.tx[0].send(0, &[OutFrame::private(&[1, 2, 3])]).frames, 1);
//! let mut burst = RxBurst::new();
//! b.rx[0].recv(0, 64, &mut burst);
//! assert_eq!(burst[0].data.to_vec(), [1, 2, 3]);
//! drop(burst);
//! b.rx[0].release(1);
//! ```

use crate::counter::port_counters;
use crate::frame::{Frame, Gather, OutFrame, Seg, Undone};
use crate::port::{Changes, Monitor, Port, PortCounter, PortState, Tell};
use crate::queue::{BURST, Nanos, ORDINARY, RxBurst, RxQueue, Taken, TxQueue};
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How a pair is made.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Frames each direction of each queue holds, at least 1.
    pub capacity: usize,
    /// Queues in each direction, at least 1.
    pub queues: usize,
    /// Longest frame taken; longer ones are refused.
    pub max_frame: usize,
    /// Unfinished frames are taken, too, if [`ORDINARY`] octets for each of a quarter of the buffers are enough.
    pub unfinished: bool,
    /// Receiving queues have an event descriptor, for workers that sleep. Virtual worlds do without.
    pub events: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { capacity: 1024, queues: 1, max_frame: 65_535, unfinished: false, events: false }
    }
}

/// Two ports with one queue each and the cable between them, for a virtual world.
#[must_use]
pub fn pair(capacity: usize) -> (Port, Port, Cable) {
    wire(Config { capacity, ..Config::default() }, || None)
}

impl Config {
    /// Two ports and the cable between them.
    ///
    /// # Errors
    /// When event descriptors are asked for and the process may open no more of them.
    pub fn open(self) -> std::io::Result<(Port, Port, Cable)> {
        let mut events = Vec::new();
        for _ in 0..if self.events { 2 * self.queues.max(1) } else { 0 } {
            events.push(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        }
        Ok(wire(self, || events.pop()))
    }
}

fn wire(config: Config, mut event: impl FnMut() -> Option<OwnedFd>) -> (Port, Port, Cable) {
    let up = Arc::new(AtomicBool::new(true));
    let counters = [Arc::new(Counters::default()), Arc::new(Counters::default())];
    let mut rx: [Vec<Box<dyn RxQueue>>; 2] = Default::default();
    let mut tx: [Vec<Box<dyn TxQueue>>; 2] = Default::default();
    let mut lanes = Vec::new();
    for _ in 0..config.queues.max(1) {
        for from in 0..2 {
            let to = 1 - from;
            let lane = Arc::new(Lane {
                ring: Mutex::new(Ring {
                    queue: VecDeque::new(),
                    free: vec![Held::default(); config.capacity.max(1)],
                    cut: 0,
                    armed: false,
                }),
                up: Arc::clone(&up),
                sender: Arc::clone(&counters[from]),
                receiver: Arc::clone(&counters[to]),
                event: event(),
                max_frame: config.max_frame,
                unfinished: if config.unfinished { config.capacity / 4 * ORDINARY } else { 0 },
            });
            tx[from].push(Box::new(PairTx { lane: Arc::clone(&lane) }));
            rx[to].push(Box::new(PairRx { lane: Arc::clone(&lane), held: VecDeque::new(), cut: 0 }));
            lanes.push(lane);
        }
    }
    let [rx_a, rx_b] = rx;
    let [tx_a, tx_b] = tx;
    let changes = Arc::new(Changes::default());
    let monitor = |end: usize| PairMonitor {
        up: Arc::clone(&up),
        counters: Arc::clone(&counters[end]),
        changes: Arc::clone(&changes),
    };
    let a = Port { rx: rx_a, tx: tx_a, monitor: Arc::new(monitor(0)) };
    let b = Port { rx: rx_b, tx: tx_b, monitor: Arc::new(monitor(1)) };
    (a, b, Cable { up: Arc::clone(&up), lanes: lanes.into(), changes })
}

/// The cable of a pair, to be pulled out and put back. Clones are handles of the same cable.
#[derive(Clone)]
pub struct Cable {
    up: Arc<AtomicBool>,
    lanes: Arc<[Arc<Lane>]>,
    changes: Arc<Changes>,
}

impl Cable {
    /// Both ends go down; frames in the cable are lost and counted.
    pub fn unplug(&self) {
        self.up.store(false, Ordering::Release);
        for lane in self.lanes.iter() {
            let mut ring = lane.ring.lock();
            ring.cut += 1;
            lane.sender.link_lost.add(ring.queue.len() as u64);
            let Ring { queue, free, .. } = &mut *ring;
            free.extend(queue.drain(..));
            drop(ring);
            lane.notify();
        }
        self.changes.tell();
    }

    /// Both ends come up.
    pub fn plug(&self) {
        self.up.store(true, Ordering::Release);
        for lane in self.lanes.iter() {
            lane.notify();
        }
        self.changes.tell();
    }

    /// Whether the cable is plugged.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }
}

port_counters! {
    struct Counters {
        /// Frames sent into the cable.
        tx_frames,
        /// Frames taken out of the cable and released.
        rx_frames,
        /// Frames refused because they are longer than the cable takes, or unfinished where it takes none.
        tx_too_long,
        /// Frames sent from here that were in the cable when it was unplugged.
        link_lost,
    }
}

/// One direction of one queue.
struct Lane {
    ring: Mutex<Ring>,
    up: Arc<AtomicBool>,
    sender: Arc<Counters>,
    receiver: Arc<Counters>,
    event: Option<OwnedFd>,
    max_frame: usize,
    /// Octets of the longest unfinished frame; 0: there is none.
    unfinished: usize,
}

/// A frame in a cable.
#[derive(Clone, Default)]
struct Held {
    bytes: Vec<u8>,
    undone: Option<Undone>,
}

struct Ring {
    queue: VecDeque<Held>,
    /// Buffers that hold no frame; together with `queue` and what the receiver holds they are the capacity.
    free: Vec<Held>,
    /// How often the cable was unplugged.
    cut: u64,
    armed: bool,
}

impl Lane {
    /// Makes the receiver's event readable.
    fn notify(&self) {
        if let Some(event) = &self.event {
            // A full counter (EAGAIN) is readable already; nothing else can fail on our own descriptor.
            let _ = rustix::io::write(event, &1u64.to_ne_bytes());
        }
    }

    fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }
}

struct PairRx {
    lane: Arc<Lane>,
    /// Frames taken out of the ring and not yet released, oldest first.
    held: VecDeque<Held>,
    /// The ring's `cut` when they were taken.
    cut: u64,
}

impl RxQueue for PairRx {
    fn recv<'a>(&'a mut self, _now: Nanos, max: usize, burst: &mut RxBurst<'a>) {
        let max = max.min(BURST);
        {
            let mut ring = self.lane.ring.lock();
            let Ring { queue, free, cut, .. } = &mut *ring;
            if self.cut != *cut {
                self.cut = *cut;
                self.lane.sender.link_lost.add(self.held.len() as u64);
                free.extend(self.held.drain(..));
            }
            let more = max.saturating_sub(self.held.len()).min(queue.len());
            self.held.extend(queue.drain(..more));
        }
        burst.extend(
            self.held
                .iter()
                .take(max)
                .map(|held| Frame { data: Gather::one(Seg::from_slice(&held.bytes)), undone: held.undone }),
        );
    }

    fn release(&mut self, taken: usize) {
        let taken = taken.min(self.held.len());
        if taken > 0 {
            self.lane.ring.lock().free.extend(self.held.drain(..taken));
            self.lane.receiver.rx_frames.add(taken as u64);
        }
    }

    fn arm(&mut self) -> bool {
        let mut ring = self.lane.ring.lock();
        ring.armed = ring.queue.is_empty() && self.held.is_empty();
        ring.armed
    }

    fn disarm(&mut self) {
        self.lane.ring.lock().armed = false;
        if let Some(event) = &self.lane.event {
            // Nothing to read (EAGAIN) is as good as read.
            let _ = rustix::io::read(event, &mut [0; 8]);
        }
    }

    fn event(&self) -> Option<BorrowedFd<'_>> {
        self.lane.event.as_ref().map(AsFd::as_fd)
    }
}

struct PairTx {
    lane: Arc<Lane>,
}

impl TxQueue for PairTx {
    fn send(&mut self, _now: Nanos, frames: &[OutFrame<'_>]) -> Taken {
        let mut taken = Taken::default();
        let mut ring = self.lane.ring.lock();
        // Under the lock: what is put in after the cable was unplugged would not be counted as lost.
        if !self.lane.is_up() {
            return taken;
        }
        for frame in frames {
            let longest = if frame.undone.is_some() { self.lane.unfinished } else { self.lane.max_frame };
            if frame.len() > longest {
                taken.refused += 1;
            } else if let Some(mut held) = ring.free.pop() {
                held.bytes.resize(frame.len(), 0);
                frame.copy_to(&mut held.bytes);
                held.undone = frame.undone;
                ring.queue.push_back(held);
            } else {
                break;
            }
            taken.frames += 1;
        }
        drop(ring);
        self.lane.sender.tx_too_long.add(taken.refused as u64);
        self.lane.sender.tx_frames.add((taken.frames - taken.refused) as u64);
        taken
    }

    fn kick(&mut self) {
        let mut ring = self.lane.ring.lock();
        if ring.armed && !ring.queue.is_empty() {
            ring.armed = false;
            drop(ring);
            self.lane.notify();
        }
    }

    fn is_up(&self) -> bool {
        self.lane.is_up()
    }

    fn takes(&self, _: &Undone, len: usize) -> bool {
        len <= self.lane.unfinished
    }

    fn room(&self, wanted: usize) -> usize {
        // As little as may be said, so that tests hold those who ask to it.
        self.lane.ring.lock().free.len().min(wanted)
    }
}

struct PairMonitor {
    up: Arc<AtomicBool>,
    counters: Arc<Counters>,
    changes: Arc<Changes>,
}

impl Monitor for PairMonitor {
    fn state(&self) -> PortState {
        if self.up.load(Ordering::Acquire) {
            PortState::Up
        } else {
            PortState::Down { cause: "unplugged".to_owned() }
        }
    }

    fn on_change(&self, tell: Tell) {
        self.changes.subscribe(tell);
    }

    fn counters(&self) -> Vec<PortCounter> {
        self.counters.list()
    }
}

#[cfg(test)]
mod tests;
