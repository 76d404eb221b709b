//! Many vNICs: what is done for all is done in few steps.

use super::adapter::ACTIVE;
use super::*;
use vntag::ctl::{Provisioning, Request};

const MANY: u16 = 4000;

fn ask(world: &mut World, number: u16) {
    let [high, low] = number.to_be_bytes();
    let mut uuid = Uuid([7; 16]);
    (uuid.0[0], uuid.0[1]) = (high, low);
    let blob = Provisioning::builder().profile("default").mac(Mac([2, 0, 0, 0, high, low])).client_uuid(uuid);
    let provisioning = blob.build().expect("a blob");
    world.adapters[0].ask(world.now, Request::VifCreate { channel: number, provisioning, initial: ACTIVE });
}

#[test]
fn four_thousand_vnics_are_few_changes() {
    let mut world = World::new();
    let before = world.control.change.0;
    (1..=MANY).for_each(|number| ask(&mut world, number));
    world.settle();
    let up = |world: &World| world.control.veths().filter(|veth| *veth.state == VethState::Up).count();
    assert_eq!(up(&world), usize::from(MANY));
    assert_eq!(world.floods(0).0.iter().map(|flood| flood.members.len()).collect::<Vec<_>>(), [4000]);
    // As many as windows full of requests, and one more for the list after each.
    let changes = world.control.change.0 - before;
    let windows = u64::from(MANY.div_ceil(Config::WINDOW));
    assert!(changes <= 2 * windows + 2, "{changes} changes");
    assert_eq!(world.records.len(), usize::from(MANY));

    // Another VLAN: one change, eight requests, and the list stays.
    let (before, list) = (world.control.change.0, world.floods(0).0[0].list);
    world.adapters[0].heard.clear();
    world.configure(|running| {
        running.port_profile_mut(&ProfileName::default()).expect("built in").switchport.access = Some(9);
    });
    assert_eq!(world.control.change.0, before + 1);
    assert_eq!(world.adapters[0].heard.len(), 8);
    let flood = &world.floods(0).0[0];
    assert_eq!((flood.list, flood.vlans.contains(9), flood.members.len()), (list, true, 4000));
    assert!(world.adapters[0].vifs.values().all(|known| known.params.vlan == 9));

    // Its adapter lost and back: nothing is written, nothing is told.
    let writes = world.writes;
    world.adapters[0].heard.clear();
    world.link(0, false);
    world.run(4 * SECOND);
    assert_eq!(up(&world), 0);
    world.link(0, true);
    world.run(4 * SECOND);
    assert_eq!((up(&world), world.writes), (usize::from(MANY), writes));
    assert!(world.adapters[0].heard.is_empty(), "{:?}", world.adapters[0].heard);
}
