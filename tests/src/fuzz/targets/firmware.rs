//! The adapter's firmware: its host side, its data path, and two switches that lie.

use super::steps::Steps;
use super::wire::{self, LIMITS, Machine, SECOND, World};
use super::words::blob;
use firmware_sim::mailbox::{Command, Completion};
use firmware_sim::{
    CarrierCause, Config, FaultPlan, Firmware, LinkId, Order, OrderId, Output, StatsId, VnicConfig, VnicId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use vntag::ctl::session::{self, Session};
use vntag::ctl::{Counters, Name, Role, VifState};
use vntag::ethernet::Mac;
use vntag::{Uuid, VifId};

const LINKS: u16 = 2;
const VNICS: u8 = 6;
/// Orders that a data path, which has stopped, keeps waiting before it takes no more frames for the firmware, as the rim of the
/// adapter does.
const MOST_ORDERS: usize = 1024;
/// All that the firmware may keep in mind with so many vNICs, links, lists and requests, the orders excepted.
const MOST: usize =
    12 * VNICS as usize + LINKS as usize * (LIMITS.lists as usize + 6 * session::MAX_WINDOW as usize);
/// What is left of it when the trouble is over.
const LEFT: usize = 12 * VNICS as usize + 20;
/// The hold time, and some retries.
const CALM: u64 = 80 * SECOND;
/// Error codes of the mailbox.
const ERRORS: std::ops::RangeInclusive<u64> = 1..=12;

const RULES: [&str; 8] = [
    "VIF_CREATE nth 3 refuse INSUFFICIENT_RESOURCES",
    "LIST_MOD every 2 pretend",
    "VIF_SET percent 30 late 250",
    "VIF_SET every 3 forget",
    "VIF_DELETE percent 100 forget",
    "LIST_SET every 2 refuse ERROR",
    "STATS_GET every 1 late 10000",
    "LIST_GET every 2 forget",
];

struct Adapter {
    firmware: Firmware,
    /// The data path does not confirm orders, does not answer for counters.
    stopped: bool,
    orders: VecDeque<(OrderId, Order)>,
    stats: Vec<StatsId>,
    carriers: BTreeMap<VnicId, Option<CarrierCause>>,
    /// vNICs whose driver has used the mailbox: it may have said that they want no VIF.
    driven: BTreeSet<VnicId>,
    /// The VIFs in the data path.
    vifs: BTreeSet<(LinkId, VifId)>,
}

impl Adapter {
    fn new(links: u16) -> Self {
        let link = |link: u16| {
            let node = (Uuid([1; 16]), Name::new("adapter0").expect("a name"));
            let mac = Mac([2, 0, 0, 0, link as u8, 1]);
            let boot_id = 0x1122_0000_0000_0001 + u64::from(link);
            session::Config {
                limits: LIMITS,
                ..session::Config::new(Role::Iv, boot_id, mac, node, &format!("link{link}"))
            }
        };
        Self {
            firmware: Firmware::new(Config::new((0..links).map(link).collect())),
            stopped: false,
            orders: VecDeque::new(),
            stats: Vec::new(),
            carriers: BTreeMap::new(),
            driven: BTreeSet::new(),
            vifs: BTreeSet::new(),
        }
    }

    fn take(&mut self, now: u64, output: Output) {
        match output {
            Output::Order(id, order) => self.orders.push_back((id, order)),
            Output::Carrier { vnic, down } => {
                let before = self.carriers.insert(vnic, down.clone()).flatten();
                assert_ne!(before, down, "a carrier change that is none");
            }
            Output::Stats { id, vif, .. } => {
                if self.stopped {
                    self.stats.push(id);
                } else {
                    self.firmware.stats(now, id, Counters([u64::from(vif.get()); 16]));
                }
            }
            Output::Notice(_) => {}
        }
    }

    /// The data path does what it was told.
    fn apply(&mut self, order: Order) {
        match order {
            Order::SetVif { link, vif, state, params, .. } => {
                assert_ne!(state, VifState::Deleted);
                assert!(params.check().is_ok());
                self.vifs.insert((link, vif));
            }
            Order::ClearVif { link, vif } => drop(self.vifs.remove(&(link, vif))),
            Order::SetList { members, .. } => assert!(members.is_sorted_by(|a, b| a < b)),
            Order::ClearList { .. } => {}
        }
    }

    fn start_path(&mut self, now: u64) {
        self.stopped = false;
        for id in core::mem::take(&mut self.stats) {
            self.firmware.stats(now, id, Counters::default());
        }
    }

    fn devcmd(&mut self, now: u64, steps: &mut Steps<'_>) {
        let vnic = VnicId(u32::from(steps.below(VNICS)));
        let known = steps.one(Command::ALL);
        let word = match steps.below(16) {
            0 => steps.number(),
            _ => known.word(),
        };
        let argument = match steps.below(6) {
            0 => 0,
            1 => 1,
            2 => u64::from(steps.one(Command::ALL).word()),
            3 => u64::from(steps.octet()),
            4 => u64::from_le_bytes([2, 0, 0, 0, 1, steps.octet(), 0, 0]),
            _ => u64::from(steps.number()) << 32 | u64::from(steps.number()),
        };
        let octets = match steps.below(3) {
            0 => Vec::new(),
            1 => blob(steps).as_bytes().to_vec(),
            _ => steps.octets().to_vec(),
        };
        self.driven.insert(vnic);
        let done = self.firmware.devcmd(now, vnic, word, [argument, 0], &octets);
        assert!(
            done.status == 0 || done.status == Completion::ERROR && ERRORS.contains(&done.args[0]),
            "{known:?}: {done:?}"
        );
    }

    fn set_vnic(&mut self, now: u64, steps: &mut Steps<'_>) {
        let id = VnicId(u32::from(steps.below(VNICS)));
        let config = VnicConfig {
            name: format!("vnic{}", steps.below(4)),
            vm: steps.flag().then(|| "vm".to_owned()),
            channel: u16::from(steps.below(VNICS + 2)),
            uuid: Uuid([steps.below(4); 16]),
            mac: Mac([2 + steps.below(4) / 3, 0, 0, 0, 1, steps.below(4)]),
            profile: steps.one(&["default", "web", "", "a\u{7}b"]).to_owned(),
            link: LinkId(u16::from(steps.below(9) / 4)),
            backup: steps.flag().then(|| LinkId(u16::from(steps.below(9) / 4))),
            incarnation: steps.flag().then(|| u64::from(steps.below(3))),
        };
        if let Err(error) = self.firmware.set_vnic(now, id, config) {
            assert!(!error.to_string().is_empty());
        }
    }
}

impl Machine for Adapter {
    fn links(&self) -> usize {
        usize::from(LINKS)
    }
    fn role(&self) -> Role {
        Role::Iv
    }
    fn handle_link(&mut self, now: u64, link: usize, up: bool) {
        self.firmware.handle_link(now, LinkId(link as u16), up);
    }
    fn handle_frame(&mut self, now: u64, link: usize, frame: &[u8]) {
        if self.orders.len() < MOST_ORDERS {
            self.firmware.handle_frame(now, LinkId(link as u16), frame);
        }
    }
    fn poll_transmit(&mut self, now: u64, link: usize) -> Option<Vec<u8>> {
        self.firmware.poll_transmit(now, LinkId(link as u16))
    }
    fn turn(&mut self, now: u64) -> bool {
        let mut busy = false;
        while let Some(output) = self.firmware.poll_output() {
            self.take(now, output);
            busy = true;
        }
        while !self.stopped
            && let Some((id, order)) = self.orders.pop_front()
        {
            self.apply(order);
            self.firmware.confirm(now, id);
            busy = true;
        }
        busy
    }
    fn next_deadline(&self) -> Option<u64> {
        self.firmware.next_deadline()
    }
    fn session(&self, link: usize) -> Option<&Session> {
        self.firmware.session(LinkId(link as u16))
    }
    fn command(&mut self, now: u64, steps: &mut Steps<'_>) {
        let vnic = |steps: &mut Steps<'_>| VnicId(u32::from(steps.below(VNICS)));
        match steps.below(16) {
            0..4 => self.set_vnic(now, steps),
            4 => {
                let vnic = vnic(steps);
                self.firmware.remove_vnic(now, vnic);
                self.carriers.remove(&vnic);
                self.driven.remove(&vnic);
            }
            5 | 6 => {
                let (vnic, enabled) = (vnic(steps), steps.flag());
                self.firmware.set_rings(now, vnic, enabled);
            }
            7 => {
                let (vnic, mac) = (vnic(steps), Mac([2, 0, 0, 0, 1, steps.octet()]));
                self.firmware.announce(now, vnic, mac);
            }
            8..11 => self.devcmd(now, steps),
            11 => self.stopped = true,
            12 => self.start_path(now),
            13 => {
                let seed = u64::from(steps.octet());
                let rules = (0..steps.below(4)).map(|_| steps.one(&RULES).parse().expect("a rule"));
                let plan = FaultPlan { seed, rules: rules.collect() };
                self.firmware.set_faults(plan);
            }
            14 => self.firmware.shutdown(now),
            _ => {}
        }
    }
    fn check(&self, _: u64) {
        let firmware = &self.firmware;
        let found = firmware.footprint().saturating_sub(2 * self.orders.len());
        assert!(found <= MOST, "{found} things in mind, {} orders", self.orders.len());
        assert!(self.stats.len() <= MOST, "{} counters wanted", self.stats.len());
        for link in (0..LINKS).map(LinkId) {
            assert!(firmware.lists(link).count() <= usize::from(LIMITS.lists));
        }
        for vnic in firmware.vnics().filter_map(|id| firmware.vnic(id)) {
            assert!(vnic.vifs.len() <= 2);
            assert!(vnic.vifs.iter().all(|vif| vif.tries < 1000));
        }
    }
}

/// Two vNICs, the second with a backup, rings on, some time.
fn begin() -> Vec<u8> {
    [
        &[0, 0, 0, 1, 0, 1, 1, 0, 1, 0, 0, 0, 0][..],
        &[0, 0, 1, 2, 0, 2, 2, 0, 2, 0, 0, 1, 4, 0],
        &[0, 5, 0, 1, 0, 5, 1, 1, 15, 5],
    ]
    .concat()
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let begin = begin();
    let mut all: Vec<Vec<u8>> = wire::seeds().into_iter().map(|seed| [&begin[..], &seed].concat()).collect();
    all.extend((0..16).map(|command| [&begin[..], &[0, command, 1, 1, 0, 0, 0, 15, 5]].concat()));
    all
}

pub(super) fn run(input: &[u8]) {
    let mut world = World::new(Adapter::new(LINKS));
    assert!(
        (0..LINKS).all(|link| world.machine.session(usize::from(link)).is_some_and(|it| it.peer().is_some()))
    );
    world.schedule(&mut Steps::new(input));
    over(world);
}

/// Whatever happened: once the switches are what they should be, every vNIC that may have one has a VIF, and nothing is left
/// of the trouble.
fn over(mut world: World<Adapter>) {
    world.machine.firmware.set_faults(FaultPlan::default());
    world.machine.start_path(world.now);
    world.end_trouble();
    world.run(CALM);
    let adapter = &world.machine;
    assert!(adapter.orders.is_empty());
    for id in adapter.firmware.vnics().filter(|id| !adapter.driven.contains(id)) {
        let vnic = adapter.firmware.vnic(id).expect("there");
        assert!(vnic.vifs.iter().all(|vif| vif.vif.is_some()), "{vnic:?}");
        assert_eq!(vnic.down, None, "{vnic:?}");
        for vif in vnic.vifs {
            let (number, _) = vif.vif.expect("just seen");
            assert!(adapter.vifs.contains(&(vif.link, number)), "in the data path, too");
        }
    }
    let left = adapter.firmware.footprint();
    assert!(left <= LEFT, "{left} things left in mind");
}

/// OPEN, then one command each, with a blob.
pub(super) fn mailbox_seeds() -> Vec<Vec<u8>> {
    let command = |at: usize| vec![1, 0, at as u8, 1, 1, 1, 0, 0, 0, 0, 0];
    let at = |command: Command| Command::ALL.iter().position(|known| *known == command).unwrap_or(0);
    let open = command(at(Command::OPEN));
    (0..Command::ALL.len()).map(|at| [open.clone(), command(at), vec![0, 3], command(at)].concat()).collect()
}

/// A driver that writes anything into its mailbox, while all else is as it should be.
pub(super) fn mailbox(input: &[u8]) {
    let mut world = World::new(Adapter::new(LINKS));
    for number in 0..2 {
        let config = VnicConfig {
            name: format!("vnic{number}"),
            vm: None,
            channel: number,
            uuid: Uuid([1; 16]),
            mac: Mac([2, 0, 0, 0, 1, number as u8]),
            profile: "default".to_owned(),
            link: LinkId(0),
            backup: None,
            incarnation: None,
        };
        world.machine.firmware.set_vnic(world.now, VnicId(u32::from(number)), config).expect("a vNIC");
    }
    let mut steps = Steps::new(input);
    while !steps.is_over() {
        if steps.below(8) == 0 {
            let time = u64::from(steps.below(40)) * SECOND / 10;
            world.run(time);
        } else {
            world.machine.devcmd(world.now, &mut steps);
            world.settle();
        }
    }
    over(world);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Schedules of firmware without a VIF would find nothing.
    #[test]
    fn schedules_begin_with_active_vifs() {
        let mut world = World::new(Adapter::new(LINKS));
        world.schedule(&mut Steps::new(&begin()));
        let vnics: Vec<_> = world.machine.firmware.vnics().collect();
        assert_eq!((vnics.len(), world.machine.vifs.len()), (2, 3), "{vnics:?}");
        let active = world.machine.carriers.values().filter(|down| down.is_none()).count();
        assert!(active > 0 || world.machine.carriers.is_empty(), "carriers are up");
    }
}
