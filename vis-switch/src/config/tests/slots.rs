use super::*;
use crate::config::slots::{Owner, Slots};
use crate::control::forwarding::{Forwarding, PortForwarding, VethForwarding};
use crate::engine::lif::LifId;
use crate::engine::tables::{LifPlan, Plan};
use crate::engine::tests::speed::processor_time;
use crate::engine::vlan::{Program, VlanSet};
use std::sync::Arc;
use std::time::Duration;
use vntag::VifId;

/// A link without negotiation, two ordinary ports, a link with a session; vEths 1 and 2 in VLAN 10 behind the first.
fn forwarding() -> Forwarding {
    let ports = vec![
        PortForwarding::Static { lists: Vec::new() },
        PortForwarding::Wire,
        PortForwarding::Wire,
        PortForwarding::Niv { floods: Default::default() },
    ];
    let program = Arc::new(Program::access(10));
    let veth = |vif| VethForwarding { at: at(0, vif), program: program.clone(), flush: 0 };
    Forwarding { ports, veths: BTreeMap::from([(1, veth(5)), (2, veth(6))]) }
}

fn at(port: usize, vif: u16) -> Option<(usize, VifId)> {
    Some((port, VifId::new(vif).unwrap()))
}

struct Rig {
    slots: Slots,
    config: RunningConfig,
    forwarding: Forwarding,
}

impl Rig {
    fn new() -> Self {
        Self { slots: Slots::default(), config: initial(), forwarding: forwarding() }
    }

    fn plan(&mut self) -> Plan {
        let ports: Vec<EthernetId> = self.config.ethernets().keys().copied().collect();
        self.slots.plan(&self.config, &self.forwarding, &ports)
    }

    fn id(&self, owner: Owner) -> LifId {
        *self.slots.by_slot().iter().find(|(_, other)| **other == owner).expect("a slot").0
    }

    fn veth(&mut self, number: u32) -> &mut VethForwarding {
        self.forwarding.veths.get_mut(&number).expect("a vEth")
    }
}

fn lif(plan: &Plan, id: LifId) -> &LifPlan {
    plan.lifs.iter().find(|planned| planned.id == id).expect("located")
}

#[test]
fn a_veth_that_moves_takes_its_slot_its_counters_and_what_was_learned_along() {
    let mut rig = Rig::new();
    let before = rig.plan();
    assert_eq!(before.lifs.len(), 4, "two ordinary ports and two vEths");
    let id = rig.id(Owner::Vethernet(2));
    rig.veth(2).at = at(3, 9);
    let after = rig.plan();
    let (before, after) = (lif(&before, id), lif(&after, id));
    assert_eq!((after.lif.port, after.lif.vif, after.source), (3, 9, VifId::new(9)));
    assert_eq!(after.lif.generation, before.lif.generation);
    assert!(Arc::ptr_eq(&after.lif.counters, &before.lif.counters));
}

#[test]
fn a_veth_that_is_nowhere_keeps_what_was_learned() {
    let mut rig = Rig::new();
    let before = rig.plan();
    let id = rig.id(Owner::Vethernet(2));
    rig.veth(2).at = None;
    let away = rig.plan();
    assert!(away.lifs.iter().all(|planned| planned.id != id));
    assert_eq!(away.away, [(id, lif(&before, id).lif.generation)]);
    rig.veth(2).at = at(0, 6);
    let back = rig.plan();
    assert_eq!((lif(&back, id).lif.generation, back.away.len()), (away.away[0].1, 0));
    // Behind an ordinary port, or one that is not there, it is nowhere either.
    for port in [1, 4, usize::MAX] {
        rig.veth(2).at = at(port, 6);
        assert_eq!(rig.plan().away, away.away);
    }
}

#[test]
fn other_vlans_and_a_flush_void_what_was_learned() {
    let mut rig = Rig::new();
    let (owner, other) = (Owner::Vethernet(2), Owner::Vethernet(1));
    let first = rig.plan();
    let (id, other) = (rig.id(owner), rig.id(other));
    let generation = |plan: &Plan, id| lif(plan, id).lif.generation;
    rig.veth(2).program = Arc::new(Program { mtu: 9000, ..Program::access(10) });
    assert_eq!(generation(&rig.plan(), id), generation(&first, id), "only the MTU");
    rig.veth(2).program = Arc::new(Program::access(20));
    let moved = generation(&rig.plan(), id);
    assert_eq!(moved, generation(&first, id).next());
    rig.veth(2).flush += 1;
    let flushed = rig.plan();
    assert_eq!(generation(&flushed, id), moved.next());
    assert_eq!(generation(&rig.plan(), id), moved.next(), "once");
    assert_eq!(generation(&flushed, other), generation(&first, other));
    // Ordinary ports have the VLANs of the configuration.
    let port = Owner::Ethernet(EthernetId { slot: 1, port: 3 });
    let wire = rig.id(port);
    assert_eq!(lif(&flushed, wire).lif.program.allowed, [1].into_iter().collect::<VlanSet>());
    rig.config = configure(&rig.config, "interface ethernet 1/3\n switchport access vlan 7").unwrap();
    let plan = rig.plan();
    assert_eq!(lif(&plan, wire).lif.program.allowed, [7].into_iter().collect::<VlanSet>());
    assert_eq!(generation(&plan, wire), generation(&flushed, wire).next());
}

#[test]
fn the_slot_of_one_that_is_gone_goes_to_the_next_with_a_generation_of_its_own() {
    let mut rig = Rig::new();
    let before = rig.plan();
    let id = rig.id(Owner::Vethernet(2));
    let veth = rig.forwarding.veths.remove(&2).expect("a vEth");
    rig.forwarding.veths.insert(9, veth);
    let after = rig.plan();
    assert_eq!(rig.id(Owner::Vethernet(9)), id);
    let (before, after) = (lif(&before, id), lif(&after, id));
    assert_ne!(before.lif.generation, after.lif.generation);
    assert!(!Arc::ptr_eq(&before.lif.counters, &after.lif.counters));
    assert!(rig.slots.counters(Owner::Vethernet(2)).is_none());
}

/// A plan is made for every batch of vEths that come and go. The bound is of processor time, and generous;
/// `examples/table_compile.rs` says how long it really takes.
#[test]
fn plans_for_thousands_are_cheap() {
    let mut rig = Rig::new();
    let program = Arc::new(Program::trunk(1, VlanSet::all()));
    let veth = |vif| VethForwarding { at: at(3, vif), program: program.clone(), flush: 0 };
    rig.forwarding.veths = (1..=4000).map(|vif| (u32::from(vif), veth(vif))).collect();
    assert_eq!(rig.plan().lifs.len(), 4002);
    let round = |number: u16| {
        rig.veth(4000).at = at(3, 4000).filter(|_| number % 2 == 1);
        let begin = processor_time();
        let plan = rig.plan();
        let spent = processor_time() - begin;
        assert_eq!(plan.lifs.len(), 4001 + usize::from(number % 2));
        spent
    };
    let least = (0..10).map(round).min().expect("ten rounds");
    assert!(least < Duration::from_millis(10), "{least:?}");
}
