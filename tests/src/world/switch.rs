//! A switch without rim: the real engine between cables, built from the description the model uses.

use super::{End, Machine, run_worker};
use crate::model::switch::{Interface, ModelPort, ModelPrivate, ModelVlans, PRIVATE};
use link::pair::{Cable, Config};
use niv_node::counter::Balance;
use niv_node::counter::Counter;
use niv_node::mailbox::{Mailbox, lanes};
use std::collections::BTreeMap;
use std::sync::Arc;
use vis_switch::engine::acl::{Acl, AclRule, Addresses, SharedAcl};
use vis_switch::engine::control::{Order, Punted};
use vis_switch::engine::counters::{Total, WorkerCounters};
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
    engine: Engine<Vntag>,
    counters: Arc<WorkerCounters>,
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
            near_ends.push(engine_port(near));
            far_ends.push(End::new(far));
            cables.push(cable);
        }
        (Self::between(ports, near_ends, cables, punts), far_ends)
    }

    /// Builds a switch around ports that were made elsewhere: the far ends of adapters' links, for example.
    #[must_use]
    pub fn around(ports: Vec<(ModelPort, End)>) -> Self {
        let (plans, ends): (Vec<_>, Vec<_>) = ports.into_iter().unzip();
        Self::between(
            &plans,
            ends.into_iter().map(|end| engine_port(end.into_port())).collect(),
            Vec::new(),
            0,
        )
    }

    fn between(ports: &[ModelPort], mut ends: Vec<EnginePort>, cables: Vec<Cable>, punts: usize) -> Self {
        let mut punted = None;
        if punts > 0 {
            let (to, from) = lanes(ends.len(), punts).expect("two descriptors");
            ends.iter_mut().for_each(|port| port.punt = Some(to.clone()));
            punted = Some(from);
        }
        let plan = plan(ports);
        let published = Arc::new(Published::new(Tables::compile(&plan, None)));
        let macs = Arc::new(MacTable::new(MACS, 1));
        let engine = Engine::new(ends, Arc::clone(&published), macs, Options::default());
        let counters = engine.counters();
        Self { engine, counters, plan, published, punted, cables }
    }

    /// Changes the tables under the running engine, into such as no configuration gives, too.
    pub fn replan(&mut self, edit: impl FnOnce(&mut Plan)) {
        edit(&mut self.plan);
        self.published.replace(Tables::compile(&self.plan, None));
    }

    /// Carries out an order of control.
    pub fn apply(&mut self, order: Order) {
        self.engine.apply(order);
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
            let lists = copies.fold(Total::default(), |sum, copy| sum + copy.sent.get());
            let vif = planned.source.map(|vif| vif.get());
            ((usize::from(planned.lif.port), vif), own.transmitted(lists).frames)
        };
        self.plan.lifs.iter().map(got).filter(|(_, frames)| *frames > 0).collect()
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> &WorkerCounters {
        &self.counters
    }

    /// The drop reasons that have counted anything, with their counts.
    #[must_use]
    pub fn drops(&self) -> Vec<(DropReason, u64)> {
        self.counters.drops.iter().filter(|(_, count)| *count > 0).collect()
    }
}

fn engine_port(port: link::Port) -> EnginePort {
    let tx = port.tx.into_iter().next().expect("a port has a queue");
    EnginePort { rx: port.rx, tx, punt: None }
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
    SharedAcl(Arc::new(Acl::new([(rule, Arc::<Counter>::default())], Arc::default())))
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
        self.engine.wake_all();
        let moved = run_worker(&mut self.engine, now);
        assert!(self.balance().holds(), "{:?}", self.balance());
        moved
    }
}
