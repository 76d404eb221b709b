//! A firmware, a scripted switch, a data path that takes its time, and links between them, under one seed and clock.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod switch;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use firmware_sim::{
    CarrierCause, Config, Firmware, LinkId, Notice, Order, OrderId, Output, VnicConfig, VnicId,
};
use switch::Switch;
use vntag::ctl::{Counters, Name, Role, VifParams, VifState, session};
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;
use vntag::{ListId, VifId};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1000 * MS;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What is in effect in the workers.
#[derive(Default)]
pub(crate) struct Path {
    pub(crate) vifs: BTreeMap<(LinkId, VifId), (VnicId, VifState)>,
    pub(crate) params: BTreeMap<(LinkId, VifId), VifParams>,
    pub(crate) lists: BTreeMap<(LinkId, ListId), Vec<VifId>>,
    /// VIFs that were taken out, or are about to be: they are in no list any more (C2).
    pub(crate) cleared: BTreeSet<(LinkId, VifId)>,
}

impl Path {
    fn apply(&mut self, order: Order) {
        match order {
            Order::SetVif { link, vif, vnic, state, params } => {
                self.params.insert((link, vif), params);
                assert_ne!(state, VifState::Deleted);
                self.vifs.insert((link, vif), (vnic, state));
                let active = self.vifs.values().filter(|at| **at == (vnic, VifState::Active)).count();
                assert!(active <= 1, "{vnic:?} is active {active} times");
            }
            Order::ClearVif { link, vif } => {
                assert!(self.vifs.remove(&(link, vif)).is_some(), "cleared what was not there");
                let lists = self.lists.iter().filter(|(key, _)| key.0 == link);
                for (list, members) in lists {
                    assert!(!members.contains(&vif), "C2: {vif:?} is gone and still in {list:?}");
                }
            }
            Order::SetList { link, list, members } => {
                self.lists.insert((link, list), members);
            }
            Order::ClearList { link, list } => {
                self.lists.remove(&(link, list));
            }
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    ToFirmware(LinkId, Vec<u8>),
    ToSwitch(LinkId, Vec<u8>),
    /// The oldest order, of this life of the firmware, is in effect.
    InEffect(u64),
}

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) now: u64,
    pub(crate) faults: bool,
    pub(crate) firmware: Firmware,
    pub(crate) switch: Switch,
    pub(crate) path: Path,
    pub(crate) carriers: BTreeMap<VnicId, Option<CarrierCause>>,
    pub(crate) carrier_changes: Vec<(u64, VnicId, bool)>,
    pub(crate) notices: Vec<Notice>,
    /// Frames are lost, both ways.
    pub(crate) cut: BTreeSet<LinkId>,
    /// Milliseconds until an order is in effect, at most.
    pub(crate) slow: u64,
    orders: std::collections::VecDeque<(OrderId, Order)>,
    queue: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    counter: u64,
    pub(crate) life: u64,
    links: u16,
}

pub(crate) fn session_config(role: Role, life: u64, link: u16) -> session::Config {
    let node = (Uuid([role.get(); 16]), Name::new(&format!("{role}")).expect("a name"));
    let boot_id = Random(life * 2 + u64::from(role.get())).next();
    let mac = Mac([2, 0, 0, 0, link as u8, role.get()]);
    session::Config::new(role, boot_id, mac, node, &format!("port{link}"))
}

pub(crate) fn firmware(life: u64, links: u16) -> Firmware {
    Firmware::new(Config::new((0..links).map(|link| session_config(Role::Iv, life, link)).collect()))
}

pub(crate) fn vnic(number: u32, backup: bool) -> VnicConfig {
    VnicConfig {
        name: format!("vnic{number}"),
        vm: None,
        channel: number as u16,
        uuid: Uuid([number as u8; 16]),
        mac: Mac([0x52, 0x54, 0, 0, (number >> 8) as u8, number as u8]),
        profile: "default".to_owned(),
        link: LinkId(0),
        backup: backup.then_some(LinkId(1)),
        incarnation: None,
    }
}

impl World {
    pub(crate) fn new(seed: u64, links: u16) -> Self {
        let mut world = Self {
            random: Random(seed),
            now: 0,
            faults: false,
            firmware: firmware(1, links),
            switch: Switch::new(1, links),
            path: Path::default(),
            carriers: BTreeMap::new(),
            carrier_changes: Vec::new(),
            notices: Vec::new(),
            cut: BTreeSet::new(),
            slow: 1,
            orders: std::collections::VecDeque::new(),
            queue: BinaryHeap::new(),
            counter: 0,
            life: 1,
            links,
        };
        for link in (0..links).map(LinkId) {
            world.firmware.handle_link(0, link, true);
            world.switch.handle_link(0, link, true);
        }
        world
    }

    /// The firmware begins anew, with empty tables in the data path.
    pub(crate) fn restart_firmware(&mut self) {
        self.life += 1;
        self.firmware = firmware(self.life, self.links);
        (self.path, self.carriers) = (Path::default(), BTreeMap::new());
        self.orders.clear();
        for link in (0..self.links).map(LinkId) {
            self.firmware.handle_link(self.now, link, true);
        }
    }

    /// The switch begins anew.
    pub(crate) fn restart_switch(&mut self) {
        self.life += 1;
        self.switch = Switch::new(self.life, self.links);
        for link in (0..self.links).map(LinkId) {
            self.switch.handle_link(self.now, link, true);
        }
    }

    fn after(&mut self, delay: u64, happening: Happening) {
        self.counter += 1;
        self.queue.push(Reverse((self.now + delay, self.counter, happening)));
    }

    fn send(&mut self, link: LinkId, frame: &[u8], to_switch: bool) {
        if self.cut.contains(&link) {
            return;
        }
        let copies = match self.random.below(100) {
            _ if !self.faults => 1,
            0..20 => 0,
            20..30 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let delay = if self.faults { self.random.below(300) * MS / 2 } else { 25_000 };
            let frame = frame.to_vec();
            let happening =
                if to_switch { Happening::ToSwitch(link, frame) } else { Happening::ToFirmware(link, frame) };
            self.after(delay, happening);
        }
    }

    /// Carries out all that both ends want.
    pub(crate) fn drain(&mut self) {
        for link in (0..self.links).map(LinkId) {
            let mut sent = 0;
            while let Some(frame) = self.firmware.poll_transmit(self.now, link) {
                self.send(link, &frame, true);
                sent += 1;
                assert!(sent < 10_000, "a firmware that sends for ever");
            }
            for frame in self.switch.poll(self.now, link, &self.path, &mut self.random) {
                self.send(link, &frame, false);
            }
        }
        while let Some(output) = self.firmware.poll_output() {
            match output {
                Output::Order(id, order) => {
                    if let Order::ClearVif { link, vif } = order {
                        self.path.cleared.insert((link, vif));
                    }
                    self.orders.push_back((id, order));
                    let delay = self.random.below(self.slow * 1000) * MS / 1000;
                    self.after(delay, Happening::InEffect(self.life));
                }
                Output::Carrier { vnic, down } => {
                    let before = self.carriers.insert(vnic, down.clone());
                    let before = before.flatten();
                    assert_ne!(before, down, "a carrier change that is none");
                    if before.is_some() != down.is_some() {
                        self.carrier_changes.push((self.now, vnic, down.is_none()));
                    }
                }
                Output::Stats { id, vif, .. } => {
                    self.firmware.stats(self.now, id, Counters([u64::from(vif.get()); 16]));
                }
                Output::Notice(notice) => self.notices.push(notice),
            }
        }
    }

    /// Lets time pass, calling `each` at every step.
    pub(crate) fn run_with(&mut self, until: u64, mut each: impl FnMut(&mut Self)) {
        let mut idle = 0;
        loop {
            self.drain();
            let next = self.queue.peek().map(|Reverse((at, ..))| *at);
            let deadlines = [next, self.firmware.next_deadline(), self.switch.next_deadline()];
            let at = deadlines.into_iter().flatten().min().unwrap_or(until).max(self.now);
            let at = if self.faults { at.min(self.now + 20 * MS) } else { at };
            idle = if at == self.now { idle + 1 } else { 0 };
            assert!(idle < 100_000, "time stands still");
            if at >= until {
                self.now = until;
                self.drain();
                return;
            }
            self.now = at;
            while self.queue.peek().is_some_and(|Reverse((at, ..))| *at <= self.now) {
                let Some(Reverse((.., happening))) = self.queue.pop() else { break };
                match happening {
                    Happening::ToFirmware(link, frame) => {
                        self.firmware.handle_frame(self.now, link, &frame);
                    }
                    Happening::ToSwitch(link, frame) => self.switch.handle_frame(self.now, link, &frame),
                    Happening::InEffect(life) => {
                        if let Some((id, order)) = self.orders.pop_front().filter(|_| life <= self.life) {
                            self.path.apply(order);
                            self.firmware.confirm(self.now, id);
                        }
                    }
                }
            }
            self.drain();
            each(self);
        }
    }

    pub(crate) fn run(&mut self, time: u64) {
        self.run_with(self.now + time, |_| {});
    }

    pub(crate) fn add(&mut self, number: u32, backup: bool) -> VnicId {
        let id = VnicId(number);
        self.firmware.set_vnic(self.now, id, vnic(number, backup)).expect("a vNIC");
        self.firmware.set_rings(self.now, id, true);
        id
    }

    /// The state of a vNIC's VIF on a link, in the workers.
    pub(crate) fn in_path(&self, link: u16, vnic: VnicId) -> Option<(VifId, VifState)> {
        let found = self.path.vifs.iter().find(|(key, at)| key.0 == LinkId(link) && at.0 == vnic);
        found.map(|(key, at)| (key.1, at.1))
    }

    pub(crate) fn carrier_is_up(&self, vnic: VnicId) -> bool {
        self.carriers.get(&vnic).is_none_or(|down| down.is_none())
    }
}
