//! The switch's control plane: two adapters that lie, links, a person who configures, a disk and workers that wait.

use super::configuration;
use super::steps::Steps;
use super::wire::{self, Machine, SECOND, World};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use vis_switch::config::draft::configure;
use vis_switch::config::running::{EthernetId, RunningConfig};
use vis_switch::control::life::Standing;
use vis_switch::control::{Change, Config, Control, Output, PortConfig, StoreOp, StoreTicket, VethRecord};
use vntag::Uuid;
use vntag::ctl::session::Session;
use vntag::ctl::{Name, Role};
use vntag::ethernet::Mac;

/// Ports 0 and 1 negotiate, 2 does not, 3 is an uplink.
const PORTS: usize = 4;
const LINKS: usize = 2;
const STATIC: usize = 2;
const UPLINK: usize = 3;
/// VIFs that a peer has room for, hence those that a link has; as many vEths may wait for its return.
const ROOM: usize = wire::LIMITS.vifs as usize;
/// All that it may keep in mind: of each link its VIFs (each with who asks for it, and what is to be told), vEths, rows
/// and a window of requests each way; and what is configured.
const MOST: usize = LINKS * (10 * ROOM + 3 * Config::WINDOW as usize) + CONFIGURED * 4 + 200;
/// vEths that lines can make.
const CONFIGURED: usize = 8;
/// What is left of it when nobody asks for anything any more, beside what is configured.
const LEFT: usize = 40;

/// As long as anything is kept for somebody who may come back: the hold time (the lines below make it shorter), then a
/// row of a refusal, and some seconds.
const CALM: u64 = 110 * SECOND;

/// Lines that are typed; `#` is a number from 1 to 4.
const LINES: [&str; 38] = [
    "interface vethernet #",
    "interface vethernet #\nshutdown",
    "interface vethernet #\nno shutdown",
    "interface vethernet #\nswitchport access vlan #",
    "interface vethernet #\nswitchport mode trunk",
    "interface vethernet #\nswitchport trunk allowed vlan 1-#",
    "interface vethernet #\nbind interface ethernet 1/1 channel #",
    "interface vethernet #\nbind interface ethernet 1/3 channel #",
    "interface vethernet #\nbind mac 02:00:00:00:01:0#",
    "interface vethernet #\nno bind mac\nno bind interface",
    "interface vethernet #\ninherit port-profile web",
    "interface vethernet #\nuplink-fail-action link-down",
    "no interface vethernet #",
    "port-profile web\nstate enabled",
    "port-profile web\nno state enabled",
    "port-profile web\nmax-ports #",
    "port-profile web\nswitchport access vlan #",
    "port-profile default\nno state enabled",
    "port-profile default\nstate enabled",
    "port-profile default\nuplink-fail-action link-down",
    "no port-profile web",
    "vethernet auto-create",
    "no vethernet auto-create",
    "carrier-delay #",
    "vethernet hold #0",
    "interface ethernet 1/3\nvif-list # members 1-#",
    "port-profile type ethernet up\nswitchport trunk allowed vlan 1-#",
    "port-profile type ethernet up\nstate enabled",
    "port-profile web\nsystem vlan #",
    "port-profile web\nswitchport port-security",
    "interface vethernet #\nswitchport port-security mac-address 02:00:00:00:01:0#",
    "errdisable recovery cause all",
    "vlan dot1q tag native",
    "no vlan dot1q tag native",
    "interface ethernet 1/4\ninherit port-profile up",
    "interface ethernet 1/4\nno inherit port-profile",
    "interface ethernet 1/4\nshutdown",
    "interface ethernet 1/4\nno shutdown",
];

/// Ports as the lines above mean them.
fn running() -> RunningConfig {
    let initial = configuration::initial();
    let mut ports: Vec<_> = initial.ethernets().values().cloned().collect();
    // There: one link without negotiation, two ordinary ports, one link with.
    ports.sort_by_key(|port| {
        (port.mode() == vis_switch::config::running::PortMode::Plain, !port.negotiation())
    });
    let [niv, fixed, uplink] = [&ports[0], &ports[1], &ports[2]];
    RunningConfig::new(
        [niv, niv, fixed, uplink].into_iter().cloned().enumerate().map(|(at, port)| (id(at), port)),
    )
}

fn id(port: usize) -> EthernetId {
    EthernetId { slot: 1, port: port as u16 + 1 }
}

fn config(life: u64) -> Config {
    let port = |port| PortConfig {
        id: id(port),
        mac: Mac([2, 0, 0, 0, port as u8, 2]),
        negotiation: port < LINKS,
        max_frame: 9216,
    };
    Config {
        node_uuid: Uuid([2; 16]),
        node_name: Name::new("vis0").expect("a name"),
        boot_id: 0x5566_0000_0000_0000 + life,
        window: Config::WINDOW,
        epoch: 1_700_000_000 * SECOND,
        ports: (0..PORTS).map(port).collect(),
    }
}

struct Switch {
    control: Control,
    running: RunningConfig,
    up: [bool; PORTS],
    /// What is on disk.
    records: BTreeMap<u32, VethRecord>,
    hold_publish: bool,
    hold_store: bool,
    published: Option<Change>,
    stored: Vec<(StoreTicket, Vec<StoreOp>)>,
    life: u64,
}

impl Switch {
    fn new() -> Self {
        let running = running();
        Self {
            control: Control::new(config(1), Vec::new(), Arc::new(running.clone())),
            running,
            up: [false; PORTS],
            records: BTreeMap::new(),
            hold_publish: false,
            hold_store: false,
            published: None,
            stored: Vec::new(),
            life: 1,
        }
    }

    /// It begins anew with what is on disk; what was on its way there is lost.
    fn restart(&mut self, now: u64) {
        self.life += 1;
        let records = self.records.values().cloned().collect();
        self.control = Control::new(config(self.life), records, Arc::new(self.running.clone()));
        (self.published, self.stored) = (None, Vec::new());
        for (port, up) in self.up.into_iter().enumerate() {
            self.control.handle_link(now, port, up);
        }
    }

    fn configure(&mut self, now: u64, lines: &str) {
        // Lines that break a rule are refused, and nothing is changed.
        if let Ok(running) = configure(self.running.clone(), lines) {
            self.running = running;
            self.control.configure(now, Arc::new(self.running.clone()));
        }
    }
}

impl Machine for Switch {
    fn links(&self) -> usize {
        LINKS
    }
    fn role(&self) -> Role {
        Role::Vis
    }
    fn handle_link(&mut self, now: u64, link: usize, up: bool) {
        self.up[link] = up;
        self.control.handle_link(now, link, up);
    }
    fn handle_frame(&mut self, now: u64, link: usize, frame: &[u8]) {
        self.control.handle_frame(now, link, frame);
    }
    fn poll_transmit(&mut self, now: u64, link: usize) -> Option<Vec<u8>> {
        self.control.poll_transmit(now, link)
    }
    fn turn(&mut self, now: u64) -> bool {
        self.control.turn(now);
        let mut busy = false;
        while let Some(output) = self.control.poll_output() {
            match output {
                Output::Publish(change) => self.published = Some(change),
                Output::Store(ticket, ops) => self.stored.push((ticket, ops)),
                Output::Announce { port, .. } => assert!(port < PORTS),
                Output::Event(event) => assert!(!event.to_string().is_empty()),
            }
            busy = true;
        }
        if let Some(change) = self.published.take_if(|_| !self.hold_publish) {
            self.control.published(now, change);
            busy = true;
        }
        if !self.hold_store {
            for (ticket, ops) in core::mem::take(&mut self.stored) {
                for op in ops {
                    match op {
                        StoreOp::Put(record) => drop(self.records.insert(record.number, *record)),
                        StoreOp::Remove(number) => drop(self.records.remove(&number)),
                    }
                }
                self.control.stored(now, ticket);
                busy = true;
            }
        }
        busy
    }
    fn next_deadline(&self) -> Option<u64> {
        self.control.next_deadline()
    }
    fn session(&self, link: usize) -> Option<&Session> {
        self.control.session(link)
    }
    fn command(&mut self, now: u64, steps: &mut Steps<'_>) {
        match steps.below(12) {
            0..7 => {
                let line = steps.one(&LINES);
                let lines: String = line
                    .chars()
                    .map(|char| if char == '#' { char::from(b'1' + steps.below(4)) } else { char })
                    .collect();
                self.configure(now, &lines);
            }
            7 => self.hold_publish = steps.flag(),
            8 => self.hold_store = steps.flag(),
            9 => {
                let port = steps.one(&[STATIC, UPLINK]);
                self.up[port] = steps.flag();
                self.control.handle_link(now, port, self.up[port]);
            }
            10 => self.restart(now),
            _ => self.control.shutdown(now),
        }
    }
    fn check(&self, _: u64) {
        let control = &self.control;
        let found = control.footprint();
        assert!(found <= MOST, "{found} things in mind");
        let mut active = BTreeSet::new();
        for port in 0..LINKS {
            assert!(control.vifs(port).count() <= ROOM);
            for vif in control.vifs(port).filter(|vif| vif.state == Standing::Active) {
                let veth = vif.veth.expect("an active VIF is a vEth's");
                assert!(active.insert(veth), "Veth{veth} has two active VIFs");
            }
        }
        let mut places = BTreeSet::new();
        for (number, veth) in &control.forwarding().veths {
            let Some(at) = veth.at else { continue };
            assert!(places.insert(at), "two vEths at {at:?}");
            let found = control.vif(at.0, at.1).map(|vif| (vif.state, vif.veth));
            let right = Some((Standing::Active, Some(*number)));
            assert!(at.0 == STATIC || found == right, "Veth{number}: {found:?}");
        }
        for veth in control.veths() {
            assert!(!veth.state.to_string().is_empty());
        }
    }
}

/// Two vNICs on one link, one of them on the other too.
fn begin() -> Vec<u8> {
    const NO_TLV: [u8; 3] = [0xff, 0xff, 0];
    [
        &[7, 0, 1, 0, 0][..],
        &NO_TLV,
        &[1],
        &[7, 0, 2, 5, 0],
        &NO_TLV,
        &[0],
        &[0x80, 0, 1, 0, 0],
        &NO_TLV,
        &[0, 15, 3],
    ]
    .concat()
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let begin = begin();
    let mut all: Vec<Vec<u8>> = wire::seeds().into_iter().map(|seed| [&begin[..], &seed].concat()).collect();
    all.extend((0..LINES.len()).map(|line| [&begin[..], &[0, 0, line as u8, 0, 0, 15, 5]].concat()));
    all.extend((7..12).map(|command| [&begin[..], &[0, command, 1, 0, 0, 15, 5]].concat()));
    all
}

pub(super) fn run(input: &[u8]) {
    let mut world = World::new(Switch::new());
    assert!((0..LINKS).all(|link| world.machine.session(link).is_some_and(|it| it.peer().is_some())));
    world.schedule(&mut Steps::new(input));

    // Whatever happened: adapters that begin anew and ask for nothing leave nothing but what is configured.
    (world.machine.hold_publish, world.machine.hold_store) = (false, false);
    world.end_trouble();
    world.run(CALM);
    let Switch { control, running, records, .. } = &world.machine;
    assert_eq!((0..LINKS).map(|link| control.vifs(link).count()).sum::<usize>(), 0, "nobody asks for any");
    for veth in control.veths() {
        assert!(running.vethernets().contains_key(&veth.number), "{veth:?}");
    }
    assert!(records.keys().all(|number| control.veth(*number).is_some()), "{records:?}");
    let left = control.footprint();
    assert!(left <= LEFT + 6 * running.vethernets().len(), "{left} things left in mind");
}

/// A switch that finds these on its disk starts, and knows nothing else.
pub(super) fn starts_with(records: Vec<VethRecord>, running: Arc<RunningConfig>) {
    let most = records.len() + running.vethernets().len();
    let mut control = Control::new(config(1), records, running);
    for now in [SECOND, 200 * SECOND] {
        for port in 0..PORTS {
            control.handle_link(now, port, true);
        }
        control.turn(now);
        assert!(control.veths().count() <= most);
        assert!(control.footprint() <= 8 * most + LEFT);
        while control.poll_output().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Schedules of a switch that nobody can make do anything would find nothing.
    #[test]
    fn schedules_begin_with_active_vifs() {
        let mut world = World::new(Switch::new());
        world.schedule(&mut Steps::new(&begin()));
        let Switch { control, records, .. } = &world.machine;
        let active = control.vifs(0).filter(|vif| vif.state == Standing::Active).count();
        assert_eq!((active, records.len()), (1, 2), "{:?}", control.vifs(0).collect::<Vec<_>>());
        assert!(control.veths().any(|veth| veth.at.is_some() && veth.state.to_string() == "up"));
    }

    #[test]
    fn every_line_is_one_that_a_switch_takes() {
        let mut switch = Switch::new();
        switch.configure(0, "port-profile web\nstate enabled");
        for line in LINES {
            let text = line.replace('#', "2");
            let made = "interface vethernet 2\nport-profile web\n";
            assert!(configure(switch.running.clone(), &format!("{made}{text}")).is_ok(), "{text}");
        }
    }
}
