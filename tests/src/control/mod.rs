//! The two ends of the control protocol, the real ones, and between them links that behave badly; no data path, but
//! what the ends believe to be in effect in one.
//!
//! Everything is under one seed and one virtual clock: time is that of the next thing to happen. Workers and disks take
//! their time, so that "in effect" and "stored" come later than they were asked for.

mod adapter;
mod check;
mod switch;

pub(crate) use adapter::firmware_config;
pub use adapter::{AdapterEnd, Path, Wish};
pub use switch::{Snapshot, SwitchEnd, port_id};

use crate::random::Random;
use crate::weather::{MS, Weather};
use firmware_sim::{LinkId, VnicConfig, VnicId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use vis_switch::control::Identity;
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;

/// Things that may happen without time going on.
const RESTLESS: u32 = 100_000;

/// What happens at a time.
enum Event {
    ToAdapter(usize, Vec<u8>),
    ToSwitch(usize, Vec<u8>),
    /// A batch is in effect in an adapter's workers, if it is still this life of it.
    AdapterWorks(usize, u64),
    SwitchWorks(u64),
    Stored(u64),
}

struct Entry {
    at: u64,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// What a world consists of.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Where its random numbers begin.
    pub seed: u64,
    /// Adapters.
    pub adapters: usize,
    /// Links of each adapter; link `n` of adapter `m` is port `m * links + n` of the switch.
    pub links: u16,
    /// Configuration lines of the switch.
    pub lines: &'static str,
}

/// A switch, adapters, and the links between them.
pub struct Ends {
    /// The time, in nanoseconds.
    pub now: u64,
    /// Random numbers.
    pub random: Random,
    /// How all links are at present.
    pub weather: Weather,
    /// Ports whose link loses everything, and nobody is told.
    pub cut: BTreeSet<usize>,
    /// Nanoseconds that workers and disk take at the most.
    pub slow: u64,
    /// Nothing is lost and nobody restarts: then no two adapters may have the same identity active, not even in their
    /// workers. An adapter that is lost keeps what it has, and the switch does not listen to it.
    pub undisturbed: bool,
    /// The adapters.
    pub adapters: Vec<AdapterEnd>,
    /// The switch.
    pub switch: SwitchEnd,
    /// The number that was acknowledged for each vEth; `None` once its vNIC was removed or changed, which removes a
    /// dynamic vEth.
    numbers: BTreeMap<Identity, Option<u32>>,
    links: u16,
    queue: BinaryHeap<Reverse<Entry>>,
    counter: u64,
    /// When the last batch given to each adapter's workers, the switch's, and the disk will be done.
    busy: Vec<u64>,
    boots: u64,
}

/// A locally administered address.
const fn mac(node: u8, port: u16) -> Mac {
    let [high, low] = port.to_be_bytes();
    Mac([2, 0, 0, node, high, low])
}

/// A vNIC on link 0; the number is that of its identity, whichever adapter it is on.
#[must_use]
pub fn vnic(number: u32, channel: u16) -> VnicConfig {
    let [a, b, c, d] = number.to_be_bytes();
    VnicConfig {
        name: format!("vnic{channel}"),
        vm: None,
        channel,
        uuid: Uuid([a, b, c, d, 0, 0, 0x40, 0, 0x80, 0, 0, 0, a, b, c, d]),
        mac: Mac([0x52, 0x54, a, b, c, d]),
        profile: "default".to_owned(),
        link: LinkId(0),
        backup: None,
        incarnation: None,
    }
}

/// Who a vNIC is to the switch.
#[must_use]
pub const fn identity(config: &VnicConfig) -> Identity {
    Identity { uuid: config.uuid, mac: config.mac }
}

impl Ends {
    /// A world with all links up and nothing on them yet.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let random = Random::new(setup.seed);
        let mut boots = 0;
        let mut boot_id = || boot_id(&mut boots);
        let adapters =
            (0..setup.adapters).map(|at| AdapterEnd::new(at as u8, setup.links, boot_id())).collect();
        let switch = SwitchEnd::new(setup.adapters * usize::from(setup.links), setup.lines, boot_id());

        let mut ends = Self {
            now: 0,
            random,
            weather: Weather::FAIR,
            cut: BTreeSet::new(),
            slow: MS,
            undisturbed: false,
            adapters,
            switch,
            numbers: BTreeMap::new(),
            links: setup.links,
            queue: BinaryHeap::new(),
            counter: 0,
            busy: vec![0; setup.adapters + 2],
            boots,
        };
        ends.plug_switch();
        (0..setup.adapters).for_each(|at| ends.plug_adapter(at));
        ends
    }

    /// The port of the switch that a link ends at.
    #[must_use]
    pub fn port(&self, adapter: usize, link: LinkId) -> usize {
        adapter * usize::from(self.links) + usize::from(link.0)
    }

    /// The adapter and link at a port.
    #[must_use]
    pub fn link(&self, port: usize) -> (usize, LinkId) {
        (port / usize::from(self.links), LinkId((port % usize::from(self.links)) as u16))
    }

    fn plug_switch(&mut self) {
        let now = self.now;
        // The ordinary port, too.
        (0..=self.switch.links()).for_each(|port| self.switch.control.handle_link(now, port, true));
    }

    fn plug_adapter(&mut self, at: usize) {
        for link in (0..self.links).map(LinkId) {
            self.adapters[at].firmware.handle_link(self.now, link, true);
        }
    }

    /// An adapter dies and begins anew.
    pub fn restart_adapter(&mut self, at: usize) {
        let boot_id = boot_id(&mut self.boots);
        self.adapters[at].restart(self.now, boot_id);
        self.busy[at] = self.now;
        self.plug_adapter(at);
    }

    /// The switch dies and begins anew.
    pub fn restart_switch(&mut self) {
        let boot_id = boot_id(&mut self.boots);
        self.switch.restart(boot_id);
        let ends = self.adapters.len();
        self.busy[ends] = self.now;
        self.busy[ends + 1] = self.now;
        self.plug_switch();
    }

    /// A link goes down at both ends, or comes up.
    pub fn set_link(&mut self, port: usize, up: bool) {
        let (adapter, link) = self.link(port);
        self.adapters[adapter].firmware.handle_link(self.now, link, up);
        self.switch.control.handle_link(self.now, port, up);
    }

    /// A vNIC comes, or changes.
    pub fn set(&mut self, adapter: usize, id: VnicId, config: VnicConfig, rings: bool) {
        if self.adapters[adapter].wishes.get(&id).is_some_and(|wish| wish.config != config) {
            self.forget_number(adapter, id);
        }
        self.adapters[adapter].set(self.now, id, config, rings);
    }

    /// A vNIC goes.
    pub fn remove(&mut self, adapter: usize, id: VnicId) {
        self.forget_number(adapter, id);
        self.adapters[adapter].remove(self.now, id);
        self.settle_adapter(adapter);
        // If it comes back, it does so with its carrier up.
        self.adapters[adapter].down.remove(&id);
    }

    fn forget_number(&mut self, adapter: usize, id: VnicId) {
        if let Some(wish) = self.adapters[adapter].wishes.get(&id) {
            self.numbers.insert(identity(&wish.config), None);
        }
    }

    fn at(&mut self, at: u64, event: Event) {
        self.counter += 1;
        self.queue.push(Reverse(Entry { at, number: self.counter, event }));
    }

    /// When something given now to a worker or the disk, one of `busy`, is done: in the order in which it was given.
    fn done(&mut self, who: usize) -> u64 {
        let takes = self.random.below(self.slow) + 1;
        self.busy[who] = self.busy[who].max(self.now + takes);
        self.busy[who]
    }

    fn send(&mut self, port: usize, frame: &[u8], event: fn(usize, Vec<u8>) -> Event) {
        if self.cut.contains(&port) {
            return;
        }
        for after in self.weather.arrivals(&mut self.random) {
            self.at(self.now + after, event(port, frame.to_vec()));
        }
    }

    /// Has done what an adapter wants.
    fn settle_adapter(&mut self, at: usize) {
        if self.adapters[at].collect(self.now) {
            let (done, life) = (self.done(at), self.adapters[at].life);
            self.at(done, Event::AdapterWorks(at, life));
        }
        self.heed_notices(at);
    }

    /// Has done what the switch wants.
    fn settle_switch(&mut self) {
        let before = self.switch.in_use.back().map(|snapshot| snapshot.change);
        let (work, stores) = self.switch.collect(self.now);
        let life = self.switch.life;
        let ends = self.adapters.len();
        if work {
            let done = self.done(ends);
            self.at(done, Event::SwitchWorks(life));
        }
        for _ in 0..stores {
            let done = self.done(ends + 1);
            self.at(done, Event::Stored(life));
        }
        self.check_claims();
        if self.switch.in_use.back().map(|snapshot| snapshot.change) != before {
            self.check_tables();
        }
    }

    fn settle(&mut self) {
        (0..self.adapters.len()).for_each(|at| self.settle_adapter(at));
        self.settle_switch();
    }

    fn happen(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::ToAdapter(port, frame) => {
                let (at, link) = self.link(port);
                self.adapters[at].firmware.handle_frame(now, link, &frame);
                self.settle_adapter(at);
            }
            Event::ToSwitch(port, frame) => {
                self.switch.control.handle_frame(now, port, &frame);
                self.settle_switch();
            }
            Event::AdapterWorks(at, life) => {
                if life == self.adapters[at].life {
                    let (frames, changes) = self.adapters[at].take_effect(now);
                    for (link, frame) in frames {
                        let port = self.port(at, link);
                        self.send(port, &frame, Event::ToSwitch);
                    }
                    self.settle_adapter(at);
                    if changes {
                        self.check_tables();
                    }
                }
            }
            Event::SwitchWorks(life) => {
                if life == self.switch.life {
                    for (port, frame) in self.switch.take_effect(now) {
                        self.send(port, &frame, Event::ToAdapter);
                    }
                    self.settle_switch();
                }
            }
            Event::Stored(life) => {
                if life == self.switch.life {
                    self.switch.store(now);
                    self.settle_switch();
                }
            }
        }
    }

    /// Lets everything happen that happens before `until`.
    ///
    /// # Panics
    /// When an end asks to be called again and again without time going on, and where a check fails.
    pub fn run_until(&mut self, until: u64) {
        self.settle();
        let mut idle = 0;
        loop {
            let next = self.queue.peek().map(|Reverse(entry)| entry.at);
            let deadlines = self.adapters.iter().map(|end| end.firmware.next_deadline());
            let due = deadlines.chain([self.switch.control.next_deadline()]).flatten().min();
            let Some(at) = next.into_iter().chain(due).min().filter(|at| *at < until) else { break };
            idle = if at <= self.now { idle + 1 } else { 0 };
            assert!(idle < RESTLESS, "time stands still");
            self.now = self.now.max(at);
            if next.is_some_and(|next| next <= self.now) {
                if let Some(Reverse(entry)) = self.queue.pop() {
                    self.happen(entry.event);
                }
            } else {
                self.settle_due();
            }
        }
        self.now = until;
        self.settle();
    }

    /// Has those do something whose time has come.
    fn settle_due(&mut self) {
        for at in 0..self.adapters.len() {
            if self.adapters[at].firmware.next_deadline().is_some_and(|due| due <= self.now) {
                self.settle_adapter(at);
            }
        }
        if self.switch.control.next_deadline().is_some_and(|due| due <= self.now) {
            self.settle_switch();
        }
    }

    /// Lets so much time pass.
    pub fn run(&mut self, time: u64) {
        self.run_until(self.now + time);
    }
}

/// One that never was.
fn boot_id(boots: &mut u64) -> u64 {
    *boots += 1;
    Random::new(*boots).number()
}
