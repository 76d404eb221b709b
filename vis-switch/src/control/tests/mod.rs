//! The machine against scripted adapters: links without delay, a data path and a disk that can be made to wait.

pub(crate) mod adapter;
mod basics;
mod claimed;
mod crossing;
mod finding;
mod hostile;
mod life_table;
mod listed;
mod peers;
mod policy;
mod random;
mod scale;

use super::lists::{FloodList, FloodLists};
use super::*;
use crate::config::running::{Binding, ChassisMode, Ethernet, SwitchportMode};
use adapter::Adapter;
use forwarding::PortForwarding;
use life::Standing;
use vntag::VifId;
use vntag::ctl::Name;
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;

pub(super) const MS: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1000 * MS;

/// Ports 0 and 1 negotiate, 2 does not, 3 is an uplink.
const PORTS: usize = 4;
pub(super) const NIV: [usize; 2] = [0, 1];
pub(super) const STATIC: usize = 2;
pub(super) const UPLINK: usize = 3;

pub(super) fn id(port: usize) -> EthernetId {
    EthernetId { slot: 1, port: port as u16 + 1 }
}

pub(super) fn vif(number: u16) -> VifId {
    VifId::new(number).expect("a VIF")
}

pub(super) fn profile(name: &str) -> ProfileName {
    ProfileName::new(name).expect("a name")
}

pub(super) struct World {
    pub(super) now: u64,
    pub(super) control: Control,
    pub(super) adapters: Vec<Adapter>,
    pub(super) running: RunningConfig,
    /// What is on disk.
    pub(super) records: BTreeMap<u32, VethRecord>,
    pub(super) writes: usize,
    pub(super) events: Vec<Event>,
    pub(super) announced: Vec<(usize, VifId, Mac)>,
    /// The data path or the disk does not say when it is ready.
    pub(super) hold_publish: bool,
    pub(super) hold_store: bool,
    published: Option<Change>,
    stored: Option<StoreTicket>,
    life: u64,
}

fn running() -> RunningConfig {
    let ethernet = |port| {
        let trunk = ChassisMode::Plain(SwitchportMode::Trunk);
        Ethernet::new(if port == UPLINK { trunk } else { ChassisMode::Vntag }, NIV.contains(&port))
    };
    RunningConfig::new((0..PORTS).map(|port| (id(port), ethernet(port))))
}

fn config(life: u64) -> Config {
    let port = |port| PortConfig {
        id: id(port),
        mac: Mac([2, 0, 0, 0, port as u8, 2]),
        negotiation: NIV.contains(&port),
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

impl World {
    pub(super) fn new() -> Self {
        Self::with(running())
    }

    pub(super) fn with(running: RunningConfig) -> Self {
        let control = Control::new(config(1), Vec::new(), Arc::new(running.clone()));
        let mut world = Self {
            now: SECOND,
            control,
            adapters: NIV.map(|port| Adapter::new(port, 1)).into(),
            running,
            records: BTreeMap::new(),
            writes: 0,
            events: Vec::new(),
            announced: Vec::new(),
            hold_publish: false,
            hold_store: false,
            published: None,
            stored: None,
            life: 1,
        };
        world.links_up();
        world
    }

    fn links_up(&mut self) {
        for port in 0..PORTS {
            self.control.handle_link(self.now, port, true);
        }
        for adapter in &mut self.adapters {
            adapter.session.handle_link(self.now, true);
        }
        self.run(100 * MS);
    }

    /// The switch begins anew with what is on disk.
    pub(super) fn restart_switch(&mut self) {
        self.life += 1;
        let records = self.records.values().cloned().collect();
        self.control = Control::new(config(self.life), records, Arc::new(self.running.clone()));
        (self.published, self.stored) = (None, None);
        for port in 0..PORTS {
            self.control.handle_link(self.now, port, true);
        }
    }

    /// An adapter begins anew, without its VIFs.
    pub(super) fn restart_adapter(&mut self, port: usize) {
        self.life += 1;
        self.adapters[port] = Adapter::new(port, self.life);
        self.adapters[port].session.handle_link(self.now, true);
    }

    /// Changes the configuration.
    pub(super) fn configure(&mut self, edit: impl FnOnce(&mut RunningConfig)) {
        edit(&mut self.running);
        self.control.configure(self.now, Arc::new(self.running.clone()));
        self.settle();
    }

    pub(super) fn link(&mut self, port: usize, up: bool) {
        self.control.handle_link(self.now, port, up);
        if let Some(adapter) = self.adapters.get_mut(port) {
            adapter.session.handle_link(self.now, up);
        }
        self.settle();
    }

    /// Lets everything happen that happens at once.
    pub(super) fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 10_000, "the world does not come to rest");
            self.control.turn(self.now);
            let mut busy = self.carry();
            while let Some(output) = self.control.poll_output() {
                match output {
                    Output::Publish(change) => self.published = Some(change),
                    Output::Store(ticket, ops) => {
                        self.stored = Some(ticket);
                        self.writes += ops.len();
                        for op in ops {
                            match op {
                                StoreOp::Put(record) => self.records.insert(record.number, *record),
                                StoreOp::Remove(number) => self.records.remove(&number),
                            };
                        }
                    }
                    Output::Announce { port, vif, mac } => self.announced.push((port, vif, mac)),
                    Output::Event(event) => self.events.push(event),
                }
            }
            if let Some(change) = self.published.take_if(|_| !self.hold_publish) {
                self.control.published(self.now, change);
                busy = true;
            }
            if let Some(ticket) = self.stored.take_if(|_| !self.hold_store) {
                self.control.stored(self.now, ticket);
                busy = true;
            }
            self.check();
            if !busy {
                return;
            }
        }
    }

    /// Carries frames both ways.
    fn carry(&mut self) -> bool {
        let mut busy = false;
        for (port, adapter) in self.adapters.iter_mut().enumerate() {
            while let Some(frame) = self.control.poll_transmit(self.now, port) {
                if !adapter.cut {
                    adapter.session.handle_frame(self.now, &frame);
                }
                busy = true;
            }
            adapter.poll(self.now);
            while let Some(frame) = adapter.session.poll_transmit(self.now) {
                if !adapter.cut {
                    self.control.handle_frame(self.now, port, &frame);
                }
                busy = true;
            }
        }
        busy
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: u64) {
        let until = self.now + time;
        loop {
            self.settle();
            let adapters = self.adapters.iter().filter_map(|adapter| adapter.session.next_deadline());
            let next = adapters.chain(self.control.next_deadline()).min();
            match next.map(|next| next.max(self.now + 1)).filter(|next| *next <= until) {
                Some(next) => self.now = next,
                None => break,
            }
        }
        self.now = until;
        self.settle();
    }

    /// What holds at all times.
    pub(super) fn check(&self) {
        let mut holders = BTreeMap::new();
        for port in NIV {
            for vif in self.control.vifs(port) {
                if vif.state == Standing::Active {
                    let veth = vif.veth.expect("an active VIF is a vEth's");
                    assert_eq!(holders.insert(veth, vif.vif), None, "Veth{veth} has two active VIFs");
                }
            }
        }
        let mut places = BTreeMap::new();
        for (number, veth) in &self.control.forwarding().veths {
            let Some(at) = veth.at else { continue };
            assert_eq!(places.insert(at, *number), None, "two vEths at {at:?}");
            let state = self.control.vif(at.0, at.1).map(|vif| (vif.state, vif.veth));
            assert!(
                at.0 == STATIC || state == Some((Standing::Active, Some(*number))),
                "Veth{number}: {state:?}"
            );
        }
        assert!(self.control.dirty.is_empty());
    }

    pub(super) fn state(&self, veth: u32) -> String {
        self.control.veth(veth).map_or("gone".to_owned(), |veth| veth.state.to_string())
    }

    pub(super) fn at(&self, veth: u32) -> Option<(usize, u16)> {
        self.control.forwarding().veths.get(&veth)?.at.map(|(port, vif)| (port, vif.get()))
    }

    pub(super) fn floods(&self, port: usize) -> &FloodLists {
        match &self.control.forwarding().ports[port] {
            PortForwarding::Niv { floods } => floods,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn flush(&self, veth: u32) -> u32 {
        self.control.forwarding().veths[&veth].flush
    }

    /// The pending table: channel, cause, tries.
    pub(super) fn pending(&self) -> Vec<(u16, String, u32)> {
        self.control.pending().map(|row| (row.channel, row.cause.to_owned(), row.tries)).collect()
    }

    /// Log lines since this was last asked.
    pub(super) fn told(&mut self) -> Vec<String> {
        self.events.drain(..).map(|event| event.to_string()).collect()
    }
}
