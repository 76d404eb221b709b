//! A switch without rim: the real engine between cables, built from the description the model uses.

use super::{End, Machine, run_worker};
use crate::model::switch::{Interface, ModelPort, ModelPrivate, ModelVlans, PRIVATE};
use link::pair::{Cable, Config};
use link::{Port, share};
use niv_node::counter::Balance;
use niv_node::mailbox::{Mailbox, lanes};
use niv_node::worker::Worker;
use std::collections::BTreeMap;
use std::sync::Arc;
use vis_switch::engine::acl::{Acl, AclRule, Addresses, Matches, SharedAcl};
use vis_switch::engine::control::{Order, Punted};
use vis_switch::engine::counters::{AllCounters, Total, WorkerCounters};
use vis_switch::engine::flood::{FloodList, FloodLists};
use vis_switch::engine::lif::LifId;
use vis_switch::engine::mac::MacTable;
use vis_switch::engine::tables::{LifPlan, Plan, PortPlan, Published, Tables};
use vis_switch::engine::verdict::DropReason;
use vis_switch::engine::vlan::{Program, VlanSet};
use vis_switch::engine::worker::{Engine, EnginePort, Options};
use vntag::{ListId, VifId, Vntag};

/// MAC addresses that a virtual switch can learn.
const MACS: usize = 1024;

/// The real engine of the switch between cables.
pub struct VirtualSwitch {
    engines: Vec<Engine<Vntag>>,
    counters: AllCounters,
    /// What the first worker counts.
    first: Arc<WorkerCounters>,
    plan: Plan,
    published: Arc<Published>,
    punted: Option<Mailbox<Punted>>,
    /// The cable of each port.
    pub cables: Vec<Cable>,
}

impl VirtualSwitch {
    /// Builds a switch whose cables hold `depth` frames; the far ends of its ports come beside it.
    #[must_use]
    pub fn new(ports: &[ModelPort], depth: usize) -> (Self, Vec<End>) {
        Self::with(ports, Config { capacity: depth, ..Config::default() })
    }

    /// The same with cables of another kind.
    #[must_use]
    pub fn with(ports: &[ModelPort], config: Config) -> (Self, Vec<End>) {
        Self::punting(ports, config, 0)
    }

    /// The same with `punts` control frames of each port that may wait for control; 0: nobody listens to them.
    #[must_use]
    pub fn punting(ports: &[ModelPort], config: Config, punts: usize) -> (Self, Vec<End>) {
        let (mut near_ends, mut far_ends, mut cables) = (Vec::new(), Vec::new(), Vec::new());
        for _ in ports {
            let (near, far, cable) = config.open().expect("a pair without events needs nothing");
            near_ends.push(near);
            far_ends.push(End::new(far));
            cables.push(cable);
        }
        (Self::between(ports, near_ends, cables, punts, 1), far_ends)
    }

    /// Builds a switch around ports that were made elsewhere: the far ends of adapters' links, for example.
    #[must_use]
    pub fn around(ports: Vec<(ModelPort, End)>) -> Self {
        Self::of_workers(ports, 1)
    }

    /// The same with so many workers.
    #[must_use]
    pub fn of_workers(ports: Vec<(ModelPort, End)>, workers: usize) -> Self {
        let (plans, ends): (Vec<_>, Vec<_>) = ports.into_iter().unzip();
        let ends = ends.into_iter().map(End::into_port).collect();
        Self::between(&plans, ends, Vec::new(), 0, workers)
    }

    fn between(
        ports: &[ModelPort],
        ends: Vec<Port>,
        cables: Vec<Cable>,
        punts: usize,
        workers: usize,
    ) -> Self {
        let (mut to, mut punted) = (None, None);
        if punts > 0 {
            let (sender, from) = lanes(ends.len(), punts).expect("two descriptors");
            (to, punted) = (Some(sender), Some(from));
        }
        let mut near: Vec<Vec<EnginePort>> = (0..workers).map(|_| Vec::new()).collect();
        for (index, port) in ends.into_iter().enumerate() {
            let tx = share::one_each(port.tx, workers).expect("a port has a queue");
            for ((near, rx), tx) in near.iter_mut().zip(share::deal(port.rx, workers, index)).zip(tx) {
                near.push(EnginePort { rx, tx, punt: to.clone() });
            }
        }
        let plan = plan(ports);
        let published = Arc::new(Published::new(Tables::compile(&plan, None)));
        let macs = Arc::new(MacTable::new(MACS, 1));
        let engines: Vec<Engine<Vntag>> = (near.into_iter().enumerate())
            .map(|(worker, near)| {
                let options = Options { worker, ..Options::default() };
                Engine::new(near, Arc::clone(&published), Arc::clone(&macs), options)
            })
            .collect();
        let counters: Vec<_> = engines.iter().map(Engine::counters).collect();
        let first = Arc::clone(&counters[0]);
        Self { engines, counters: AllCounters::new(counters), first, plan, published, punted, cables }
    }

    /// Lets one worker take a turn; says how many frames moved.
    pub fn turn(&mut self, worker: usize, now: u64) -> usize {
        let engine = &mut self.engines[worker];
        engine.wake_all();
        engine.turn(now).moved
    }

    /// Changes the tables under the running engine, into such as no configuration gives, too.
    pub fn replan(&mut self, edit: impl FnOnce(&mut Plan)) {
        edit(&mut self.plan);
        self.published.replace(Tables::compile(&self.plan, None));
    }

    /// Has the first worker carry out an order of control.
    pub fn apply(&mut self, order: Order) {
        self.engines[0].apply(order);
    }

    /// The control frames that have come since this was last called.
    pub fn punted(&mut self) -> Vec<Punted> {
        let mut frames = Vec::new();
        self.punted.iter_mut().for_each(|mailbox| {
            mailbox.drain(|punted| frames.push(punted));
        });
        frames
    }

    /// Both sides of the balance.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.counters.balance()
    }

    /// How many frames each interface got, as it is told to people.
    #[must_use]
    pub fn reached(&self) -> BTreeMap<Interface, u64> {
        let tables = self.published.current();
        let got = |planned: &LifPlan| {
            let own = &planned.lif.counters;
            let copies = tables.copy_counters();
            let copies = copies.filter(|copy| copy.members.iter().any(|member| Arc::ptr_eq(member, own)));
            let lists = copies.fold(Total::default(), |sum, copy| sum + copy.sent());
            let vif = planned.source.map(|vif| vif.get());
            ((usize::from(planned.lif.port), vif), own.transmitted(lists).frames)
        };
        self.plan.lifs.iter().map(got).filter(|(_, frames)| *frames > 0).collect()
    }

    /// What its first worker counts, which may be the only one.
    #[must_use]
    pub fn counters(&self) -> &WorkerCounters {
        &self.first
    }

    /// What all its workers count.
    #[must_use]
    pub fn all_counters(&self) -> &AllCounters {
        &self.counters
    }

    /// The drop reasons that have counted anything, with their counts.
    #[must_use]
    pub fn drops(&self) -> Vec<(DropReason, u64)> {
        self.counters.drops().filter(|(_, count)| *count > 0).collect()
    }
}

/// The engine's plan for ports of the model.
///
/// # Panics
/// When a port names a VIF or list id that cannot be assigned.
#[must_use]
pub fn plan(ports: &[ModelPort]) -> Plan {
    let mut plan = Plan::default();
    let mut programs = Programs::default();
    let mut slots = (1..).map(|slot| LifId::new(slot).expect("few interfaces"));
    for (index, port) in (0u16..).zip(ports) {
        match port {
            ModelPort::Niv { veths, lists } => {
                let list = |(id, members): &(u16, Vec<u16>)| {
                    (ListId::new(*id).expect("an assignable list"), members.clone())
                };
                plan.ports.push(PortPlan::Static { lists: lists.iter().map(list).collect() });
                plan.lifs.extend(veths.iter().map(|veth| programs.virt(index, veth, &mut slots)));
            }
            ModelPort::Negotiated { veths, floods } => {
                plan.ports.push(PortPlan::Niv { floods: flood_lists(floods) });
                plan.lifs.extend(veths.iter().map(|veth| programs.virt(index, veth, &mut slots)));
            }
            ModelPort::Wire(vlans) => {
                plan.ports.push(PortPlan::Wire);
                let slot = slots.next().expect("endless");
                plan.lifs.push(LifPlan::wire(slot, index, programs.get(vlans), Arc::default()));
            }
        }
    }
    plan
}

/// An access list that permits one protocol.
#[must_use]
pub fn permitting(protocol: u8) -> SharedAcl {
    let (source, destination) = (Addresses::ANY, Addresses::ANY);
    let rule = AclRule {
        permit: true,
        protocol: Some(protocol),
        source,
        source_ports: None,
        destination,
        destination_ports: None,
    };
    SharedAcl(Arc::new(Acl::new([(rule, Matches::default())], Matches::default())))
}

/// Programs made so far share their access lists, by protocol.
#[derive(Default)]
struct Programs(BTreeMap<u8, SharedAcl>);

impl Programs {
    fn get(&mut self, vlans: &ModelVlans) -> Arc<Program> {
        let acl_out = vlans.only.map(|only| self.0.entry(only).or_insert_with(|| permitting(only)).clone());
        Arc::new(Program { acl_out, ..program(vlans) })
    }

    fn virt(
        &mut self,
        port: u16,
        (vif, vlans): &(u16, ModelVlans),
        slots: &mut impl Iterator<Item = LifId>,
    ) -> LifPlan {
        let vif = VifId::new(*vif).expect("an assignable VIF");
        LifPlan::virt(slots.next().expect("endless"), port, vif, self.get(vlans), Arc::default())
    }
}

/// The lists of VLANs as control gives them: each list once.
fn flood_lists(floods: &BTreeMap<u16, BTreeMap<u16, Vec<u16>>>) -> FloodLists {
    let mut lists: BTreeMap<u16, FloodList> = BTreeMap::new();
    let each = floods.iter().flat_map(|(vlan, lists)| lists.iter().map(move |list| (vlan, list)));
    for (vlan, (id, members)) in each {
        let flood = lists.entry(*id).or_insert_with(|| FloodList {
            vlans: VlanSet::EMPTY,
            list: ListId::new(*id).expect("an assignable list"),
            members: members.iter().map(|vif| VifId::new(*vif).expect("an assignable VIF")).collect(),
        });
        flood.vlans.insert(*vlan);
    }
    FloodLists(lists.into_values().collect())
}

fn program(vlans: &ModelVlans) -> Program {
    let allowed = || vlans.allowed.iter().copied().collect::<VlanSet>();
    let all = || PRIVATE.iter().map(|pair| (pair.secondary, pair.primary));
    let mapped = |secondaries: &[u16]| all().filter(|pair| secondaries.contains(&pair.0)).collect::<Vec<_>>();
    match (&vlans.private, vlans.trunk) {
        (ModelPrivate::Plain, false) => Program::access(vlans.untagged),
        (ModelPrivate::Plain, true) => {
            let primaries = all().map(|(_, primary)| (primary, primary));
            Program::private_trunk(vlans.untagged, allowed(), all().chain(primaries))
        }
        (ModelPrivate::Host(own), _) => {
            let isolated = PRIVATE.iter().any(|pair| pair.secondary == *own && pair.isolated);
            Program::private_host(vlans.untagged, *own, isolated)
        }
        (ModelPrivate::Promiscuous(secondaries), false) => Program::promiscuous(vlans.untagged, secondaries),
        (ModelPrivate::Promiscuous(secondaries), true) => {
            Program::promiscuous_trunk(vlans.untagged, allowed(), &mapped(secondaries))
        }
    }
}

impl Machine for VirtualSwitch {
    fn run(&mut self, now: u64) -> usize {
        let mut moved = 0;
        for engine in &mut self.engines {
            engine.wake_all();
            moved += run_worker(engine, now);
        }
        assert!(self.balance().holds(), "{:?}", self.balance());
        moved
    }
}
