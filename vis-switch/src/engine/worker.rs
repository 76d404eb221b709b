//! The worker: takes bursts from its receive queues, brings every frame through the stages, sends.

use super::announce;
use super::capture::Captures;
use super::control::{Order, Punted};
use super::counters::WorkerCounters;
use super::mac::{Learned, MacTable, Second};
use super::pipeline::Pipeline;
use super::tables::{Published, Tables};
use super::unfinished::Odd;
use link::{BURST, Nanos, RxBurst, RxQueue, SourceId, Sources, TxQueue};
use niv_node::mailbox::{Mailbox, Sender};
use niv_node::worker::{Turn, Worker};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use vntag::ethernet::Mac;
use vntag::{NivTag, VifId};

/// Frames a turn moves at the most.
const TURN: usize = 1024;
/// The token of the mailbox among those of the sources.
const MAILBOX: u64 = u64::MAX;

/// The queues of one port that belong to a worker: every worker has all ports, if without receive queues.
pub struct EnginePort {
    /// Every receive queue that is the worker's.
    pub rx: Vec<Box<dyn RxQueue>>,
    /// The transmit queue that is the worker's.
    pub tx: Box<dyn TxQueue>,
    /// Where control frames go that come in by this port while it is an NIV link; its lane is the index of the port.
    /// `None`: they are dropped (`rx_control`).
    pub punt: Option<Sender<Punted>>,
}

/// Settings of an engine that do not change while it runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Which of the workers of its switch it is, from 0.
    pub worker: usize,
    /// Unicast that goes back down the link it came up on carries l=1 and its source (U2). Flooded frames
    /// always do.
    pub hairpin_looped: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { worker: 0, hairpin_looped: true }
    }
}

/// A switch worker for links that carry the tag `T`.
///
/// Nothing else is needed to switch frames: a test makes one from [ports](EnginePort) of an in-memory pair and
/// compiled [tables](Tables), and calls [`turn`](Worker::turn) with a time of its own.
pub struct Engine<T> {
    sources: Sources,
    source_ports: Vec<u16>,
    order: Vec<SourceId>,
    pipeline: Pipeline<T>,
    odd: Odd,
    tables: Arc<Tables>,
    published: Arc<Published>,
    version: u64,
    /// When it last looked whether the MAC table is to be swept.
    swept: Second,
    orders: Option<Mailbox<Order>>,
    /// Guests to announce in this turn.
    announcements: Vec<(u16, VifId, Mac)>,
    events_changed: bool,
}

impl<T: NivTag> Engine<T> {
    /// An engine with these ports, in the order in which the tables number them.
    #[must_use]
    pub fn new(
        ports: Vec<EnginePort>,
        published: Arc<Published>,
        mac: Arc<MacTable>,
        options: Options,
    ) -> Self {
        let mut sources = Sources::default();
        let mut source_ports = Vec::new();
        let pipeline = Pipeline::new(ports, mac, options, |port, queue| {
            sources.add(queue);
            source_ports.push(port);
        });
        Self {
            sources,
            source_ports,
            order: Vec::new(),
            pipeline,
            odd: Odd::default(),
            tables: published.current(),
            version: 0,
            published,
            swept: Second::default(),
            orders: None,
            announcements: Vec::new(),
            events_changed: true,
        }
    }

    /// From now on control has a say, through this mailbox.
    #[must_use]
    pub fn ordered_by(mut self, orders: Mailbox<Order>) -> Self {
        self.orders = Some(orders);
        self.events_changed = true;
        self
    }

    /// From now on what it moves is in these captures, which other workers may record for, too.
    #[must_use]
    pub fn recording_for(mut self, captures: &Captures) -> Self {
        self.pipeline.record_for(captures);
        self
    }

    /// Carries out an order in the next turn.
    pub fn apply(&mut self, order: Order) {
        match order {
            Order::Send { port, frames } => self.pipeline.queue(port, frames),
            Order::Announce { port, vif, mac } => self.announcements.push((port, vif, mac)),
            Order::Quiesce => {}
        }
    }

    /// What it counts.
    #[must_use]
    pub fn counters(&self) -> Arc<WorkerCounters> {
        self.pipeline.counters()
    }

    /// Where captures of its ports begin.
    #[must_use]
    pub fn captures(&self) -> Captures {
        self.pipeline.captures()
    }

    /// Looks at every queue in the next turn. For worlds without events.
    pub fn wake_all(&mut self) {
        self.sources.wake_all();
    }

    /// One visit: a burst from one queue, through all stages.
    fn visit(&mut self, id: SourceId, max: usize, now: Nanos) -> usize {
        let Some(queue) = self.sources.queue(id) else { return 0 };
        let mut burst = RxBurst::new();
        queue.recv(now, max.min(BURST), &mut burst);
        let lent = burst.len();
        if lent > 0 {
            let port = self.source_ports.get(id).copied().unwrap_or(u16::MAX);
            self.odd.complete(&mut burst);
            self.pipeline.run(&self.tables, port, &burst, now);
        }
        drop(burst);
        queue.release(lent);
        self.sources.visited(id, lent);
        lent
    }

    /// The housekeeping at the beginning of a turn. Says how many frames of control were sent.
    fn prepare(&mut self, now: Nanos) -> usize {
        // Orders come before the look at the version: an applied order vouches for what was published before it.
        if let Some(mut orders) = self.orders.take() {
            orders.drain(|order| self.apply(order));
            self.orders = Some(orders);
        }
        let version = self.published.version();
        if version != self.version {
            self.version = version;
            self.tables = self.published.current();
        }
        self.sweep(Second::of(now));
        // By the tables in effect, which know a VIF that was enabled just before. What control sends behind an
        // announcement says that it is done.
        let announced = self.announcements.len();
        for (port, vif, mac) in self.announcements.drain(..) {
            self.pipeline.announce(&self.tables, port, &announce::frame::<T>(vif, mac), now);
        }
        self.pipeline.originate(now) + announced
    }

    /// Forgets addresses that are too old, if no other worker has done so in this second.
    fn sweep(&mut self, second: Second) {
        if second == self.swept {
            return;
        }
        self.swept = second;
        let tables = &self.tables;
        let live = |old: Learned| tables.remembers(old.lif, old.generation);
        self.pipeline.mac().sweep_due(second, live);
    }
}

impl<T: NivTag> Worker for Engine<T> {
    fn turn(&mut self, now: Nanos) -> Turn {
        let originated = self.prepare(now);
        self.sources.wake_due(now);
        let mut moved = 0;
        let mut order = core::mem::take(&mut self.order);
        loop {
            let before = moved;
            self.sources.round(&mut order);
            for id in &order {
                moved += self.visit(*id, TURN - moved, now);
                if moved == TURN {
                    break;
                }
            }
            if moved == TURN || moved == before {
                break;
            }
        }
        self.order = order;
        self.pipeline.kick();
        let moved = moved + originated;
        Turn { moved, idle: self.sources.polled() == 0, next: self.sources.deadline() }
    }

    fn ready(&mut self, token: u64) {
        if token != MAILBOX {
            self.sources.wake(token as SourceId);
        }
    }

    fn events(&self) -> Vec<(BorrowedFd<'_>, u64)> {
        let sources = self.sources.iter().filter_map(|(id, queue)| Some((queue.event()?, id as u64)));
        sources.chain(self.orders.iter().map(|orders| (orders.event(), MAILBOX))).collect()
    }

    fn events_changed(&mut self) -> bool {
        core::mem::take(&mut self.events_changed)
    }
}
