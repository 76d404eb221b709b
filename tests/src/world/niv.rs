//! A whole network under control: a switch, adapters with their guests, hosts behind the switch, wires between them,
//! and one virtual clock that goes on to whatever happens next.

use super::{End, Machine, ManagedAdapter, ManagedSwitch, Wire, clock, settle};
use crate::control::{Wish, vnic};
use crate::weather::{MS, Weather};
use firmware_sim::{LinkId, VnicConfig, VnicId};
use link::Port;
use link::pair::{Cable, Config, pair};
use niv_node::store::MemoryStore;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Frames that a host's cable holds.
const HOST_RING: usize = 1024;
/// Steps without time going on, after which a world is taken for broken.
const RESTLESS: usize = 10_000;

/// What a world consists of.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Adapters.
    pub adapters: usize,
    /// Links of each; link `n` of adapter `m` is port `m * links + n` of the switch.
    pub links: u16,
    /// Hosts at ports of the switch behind the links: trunks that carry everything.
    pub hosts: usize,
    /// How the links are.
    pub weather: Weather,
    /// Frames that each end of a link holds.
    pub depth: usize,
    /// VIFs that an adapter has room for on each link.
    pub vifs: u16,
}

impl Default for Setup {
    fn default() -> Self {
        Self { adapters: 1, links: 1, hosts: 1, weather: Weather::FAIR, depth: 1024, vifs: 4094 }
    }
}

/// The network.
pub struct NivWorld {
    /// The time, in nanoseconds.
    pub now: u64,
    /// The switch, unless it was killed.
    pub switch: Option<ManagedSwitch>,
    /// The adapters, but those that were killed.
    pub adapters: Vec<Option<ManagedAdapter>>,
    /// The links, by port.
    pub wires: Vec<Wire>,
    /// The hosts.
    pub hosts: Vec<End>,
    /// Their cables.
    pub host_cables: Vec<Cable>,
    /// The switch's disk.
    pub store: Arc<MemoryStore>,
    /// What each adapter is configured with.
    wishes: Vec<BTreeMap<VnicId, Wish>>,
    setup: Setup,
    boots: u64,
}

impl NivWorld {
    /// A world in which everything has just been switched on.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        clock::set(0);
        let config = Config { capacity: setup.depth, ..Config::default() };
        let (mut wires, mut switch_ports, mut adapter_ports) = (Vec::new(), Vec::new(), Vec::new());
        for port in 0..setup.adapters * usize::from(setup.links) {
            let (wire, [near, far]) = Wire::new(config, setup.weather, port as u64);
            wires.push(wire);
            switch_ports.push(near);
            adapter_ports.push(far);
        }
        let mut world = Self {
            now: 0,
            switch: None,
            adapters: (0..setup.adapters).map(|_| None).collect(),
            wires,
            hosts: Vec::new(),
            host_cables: Vec::new(),
            store: Arc::new(MemoryStore::new()),
            wishes: vec![BTreeMap::new(); setup.adapters],
            setup,
            boots: 0,
        };
        world.start_switch_with(switch_ports);
        let mut adapter_ports = adapter_ports.into_iter();
        for at in 0..setup.adapters {
            let ports = adapter_ports.by_ref().take(usize::from(setup.links)).collect();
            world.start_adapter_with(at, ports);
        }
        world
    }

    fn boot_id(&mut self) -> u64 {
        self.boots += 1;
        crate::random::Random::new(self.boots).number()
    }

    fn start_switch_with(&mut self, mut ports: Vec<Port>) {
        let niv = ports.len();
        (self.hosts, self.host_cables) = (Vec::new(), Vec::new());
        for _ in 0..self.setup.hosts {
            let (near, far, cable) = pair(HOST_RING);
            ports.push(near);
            self.hosts.push(End::new(far));
            self.host_cables.push(cable);
        }
        let boot_id = self.boot_id();
        self.switch = Some(ManagedSwitch::new(ports, niv, &self.store, boot_id));
    }

    fn start_adapter_with(&mut self, at: usize, links: Vec<Port>) {
        let boot_id = self.boot_id();
        let mut adapter = ManagedAdapter::new(at as u8, links, self.setup.vifs, boot_id);
        for (id, wish) in &self.wishes[at] {
            adapter.set(self.now, *id, wish.config.clone());
            adapter.set_rings(self.now, *id, wish.rings);
        }
        self.adapters[at] = Some(adapter);
    }

    /// The ports of the switch at which an adapter's links end.
    fn ports_of(&self, adapter: usize) -> core::ops::Range<usize> {
        let links = usize::from(self.setup.links);
        adapter * links..(adapter + 1) * links
    }

    /// The switch is killed: its ends of all links are gone.
    pub fn kill_switch(&mut self) {
        self.switch = None;
        self.wires.iter_mut().for_each(|wire| wire.plug(false));
    }

    /// It is started again, with what is on its disk.
    pub fn start_switch(&mut self) {
        let ports = self.wires.iter_mut().map(|wire| wire.renew(0)).collect();
        self.start_switch_with(ports);
    }

    /// An adapter is killed.
    pub fn kill_adapter(&mut self, at: usize) {
        self.adapters[at] = None;
        for port in self.ports_of(at) {
            self.wires[port].plug(false);
        }
    }

    /// It is started again: with the same configuration, and the same guests connect to it.
    pub fn start_adapter(&mut self, at: usize) {
        let ports = self.ports_of(at).map(|port| self.wires[port].renew(1)).collect();
        self.start_adapter_with(at, ports);
    }

    /// An adapter that lives.
    ///
    /// # Panics
    /// When it was killed.
    pub fn adapter(&mut self, at: usize) -> &mut ManagedAdapter {
        self.adapters[at].as_mut().expect("an adapter that lives")
    }

    /// The switch.
    ///
    /// # Panics
    /// When it was killed.
    pub fn vis(&mut self) -> &mut ManagedSwitch {
        self.switch.as_mut().expect("a switch that lives")
    }

    /// Types configuration lines.
    ///
    /// # Panics
    /// When they are refused.
    pub fn configure(&mut self, lines: &str) {
        clock::set(self.now);
        self.vis().configure(lines).unwrap_or_else(|error| panic!("{error}"));
    }

    /// What a `show` line prints.
    pub fn show(&mut self, line: &str) -> String {
        clock::set(self.now);
        self.vis().show(line)
    }

    /// A vNIC with a guest. Number, channel and address follow from its number.
    pub fn add(&mut self, adapter: usize, number: u16) -> VnicId {
        self.add_as(adapter, vnic(u32::from(number), number), true)
    }

    /// A vNIC like this; its number is that of its channel.
    pub fn add_as(&mut self, adapter: usize, config: VnicConfig, rings: bool) -> VnicId {
        let (id, now) = (VnicId(u32::from(config.channel)), self.now);
        self.adapter(adapter).set(now, id, config.clone());
        self.adapter(adapter).set_rings(now, id, rings);
        self.wishes[adapter].insert(id, Wish { config, rings });
        id
    }

    /// A vNIC goes.
    pub fn remove(&mut self, adapter: usize, id: VnicId) {
        let now = self.now;
        self.adapter(adapter).remove(now, id);
        self.wishes[adapter].remove(&id);
    }

    /// A guest enables or disables its rings.
    pub fn rings(&mut self, adapter: usize, id: VnicId, enabled: bool) {
        let now = self.now;
        self.adapter(adapter).set_rings(now, id, enabled);
        if let Some(wish) = self.wishes[adapter].get_mut(&id) {
            wish.rings = enabled;
        }
    }

    /// Lets everything happen that happens at once, and says when the next thing does.
    fn settle(&mut self) -> Option<u64> {
        let mut machines: Vec<&mut dyn Machine> = Vec::new();
        machines.extend(self.switch.iter_mut().map(|switch| switch as &mut dyn Machine));
        machines.extend(self.adapters.iter_mut().flatten().map(|adapter| adapter as &mut dyn Machine));
        machines.extend(self.wires.iter_mut().map(|wire| wire as &mut dyn Machine));
        settle(self.now, &mut machines);
        machines.iter().filter_map(|machine| machine.deadline()).min()
    }

    /// Lets time pass until something holds, at the latest until `limit`; says whether it holds.
    ///
    /// # Panics
    /// When a machine asks to be called again and again without time going on.
    pub fn run_until(&mut self, limit: u64, mut holds: impl FnMut(&mut Self) -> bool) -> bool {
        let mut idle = 0;
        loop {
            let next = self.settle();
            if holds(self) {
                self.check_balances();
                return true;
            }
            let at = next.filter(|at| *at < limit).map(|at| at.max(self.now));
            idle = if at == Some(self.now) { idle + 1 } else { 0 };
            assert!(idle < RESTLESS, "time stands still");
            self.now = at.unwrap_or(limit);
            clock::set(self.now);
            if at.is_none() {
                self.settle();
                self.check_balances();
                return holds(self);
            }
        }
    }

    /// No machine has lost a frame without saying so.
    fn check_balances(&self) {
        let adapters = self.adapters.iter().flatten().map(ManagedAdapter::balance);
        for balance in adapters.chain(self.switch.iter().map(ManagedSwitch::balance)) {
            assert!(balance.holds(), "{balance:?}");
        }
    }

    /// Lets so much time pass.
    pub fn run(&mut self, time: u64) {
        let _ = self.run_until(self.now + time, |_| false);
    }

    /// Sends a frame as a host does, and lets a millisecond pass.
    ///
    /// # Panics
    /// When its cable has no room for it.
    pub fn host_sends(&mut self, host: usize, frame: &[u8]) {
        assert!(self.hosts[host].send(frame), "the host's cable is full, or unplugged");
        self.run(MS);
    }

    /// Sends a frame as a guest does, and lets a millisecond pass.
    ///
    /// # Panics
    /// When the guest has no room for it.
    pub fn send(&mut self, adapter: usize, id: VnicId, frame: &[u8]) {
        assert!(self.adapter(adapter).guest(id).send(frame), "the guest's ring is full, or disabled");
        self.run(MS);
    }

    /// What a guest has got since this was last asked.
    pub fn received(&mut self, adapter: usize, id: VnicId) -> Vec<Vec<u8>> {
        self.adapter(adapter).guest(id).received()
    }

    /// The link of a vNIC's active VIF, and its id there.
    pub fn active(&mut self, adapter: usize, id: VnicId) -> Option<(LinkId, u16)> {
        use firmware_sim::life::Phase;
        let told = self.adapter(adapter).firmware.vnic(id)?;
        let active = told.vifs.iter().find(|vif| vif.phase == Phase::Active)?;
        Some((active.link, active.vif?.0.get()))
    }
}
