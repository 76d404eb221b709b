use super::*;
use crate::config::slots::{Owner, Slots};

#[test]
fn slots_stay_with_their_owners() {
    let ports: Vec<EthernetId> = initial().ethernets().keys().copied().collect();
    let mut slots = Slots::default();
    let mut config = configure(&initial(), LINES).unwrap();
    let id = |slots: &Slots, owner: Owner| {
        slots.by_slot().iter().find(|(_, other)| **other == owner).map(|(id, _)| *id)
    };
    let plan = slots.plan(&config, &ports);
    assert_eq!(plan.lifs.len(), 4, "two ordinary ports and two vEths");
    let first = id(&slots, Owner::Vethernet(1));
    let second = id(&slots, Owner::Vethernet(2)).unwrap();
    let generation = |plan: &crate::engine::tables::Plan, id| {
        plan.lifs.iter().find(|planned| planned.id == id).map(|planned| planned.lif.generation)
    };
    let before = generation(&plan, second);

    // Another port for the same vEth voids nothing; other VLANs do.
    config = configure(&config, "interface vethernet 2\n bind interface ethernet 1/1 channel 9").unwrap();
    assert_eq!(generation(&slots.plan(&config, &ports), second), before);
    config = configure(&config, "interface vethernet 2\n switchport trunk allowed vlan remove 20").unwrap();
    let changed = generation(&slots.plan(&config, &ports), second);
    assert_ne!(changed, before);

    // The slot of a vEth that is gone goes to the next, with a generation of its own.
    config = configure(
        &config,
        "no interface vethernet 2\ninterface vethernet 9\n bind interface ethernet 1/1 channel 9",
    )
    .unwrap();
    let plan = slots.plan(&config, &ports);
    assert_eq!(id(&slots, Owner::Vethernet(9)), Some(second));
    assert_ne!(generation(&plan, second), changed);
    assert_eq!(id(&slots, Owner::Vethernet(1)), first);
}
