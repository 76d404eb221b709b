//! Adapters and switches that go and come back: the rows of the life-cycle table that are about that.

use super::adapter::{ACTIVE, STANDBY, vnic};
use super::*;
use vntag::ctl::{Request, Status, VifState};

/// Long enough for both ends to find each other again.
const GREETING: u64 = 5 * SECOND;

fn two() -> World {
    let mut world = World::new();
    assert_eq!(world.create(0, 1, vnic(1), ACTIVE), Ok((1, 1)));
    assert_eq!(world.create(0, 2, vnic(2), STANDBY), Ok((2, 2)));
    world.told();
    world
}

#[test]
fn an_adapter_back_within_the_hold_time_finds_the_same_vifs() {
    let mut world = two();
    let flush = world.flush(1);
    world.restart_adapter(0);
    world.run(GREETING);
    assert_eq!((world.state(1).as_str(), world.at(1)), ("down (link lost)", None));
    assert_eq!(world.control.vif(0, vif(1)).map(|vif| vif.state), Some(Standing::Away));
    world.run(40 * SECOND);
    assert_eq!(world.create(0, 2, vnic(2), ACTIVE), Ok((2, 2)));
    assert_eq!(world.create(0, 1, vnic(1), ACTIVE), Ok((1, 1)));
    assert_eq!((world.state(1).as_str(), world.flush(1)), ("up", flush), "addresses are kept");
}

#[test]
fn an_adapter_back_later_finds_the_same_veths() {
    let mut world = two();
    world.configure(|running| running.make_vethernet(2).expect("room"));
    let flush = world.flush(1);
    world.link(0, false);
    world.run(70 * SECOND);
    assert_eq!(world.flush(1), flush + 1, "addresses are void");
    assert_eq!(world.state(1), "down (link lost)");
    world.restart_adapter(0);
    world.link(0, true);
    world.run(GREETING);
    assert_eq!(world.control.vifs(0).count(), 0);
    assert_eq!(world.create(0, 1, vnic(1), ACTIVE).map(|(_, veth)| veth), Ok(1));
    // The other one is not asked for any more: one that is configured stays.
    world.run(70 * SECOND);
    assert_eq!((world.state(1).as_str(), world.state(2).as_str()), ("up", "down (nonParticipating)"));
    world.configure(|running| running.remove_vethernet(2).expect("a vEth"));
    assert_eq!((world.state(1).as_str(), world.state(2).as_str()), ("up", "gone"));
}

#[test]
fn a_restarted_adapter_that_is_lost_and_back_has_only_what_it_asked_for() {
    let mut world = two();
    world.restart_adapter(0);
    world.run(GREETING);
    assert_eq!(world.create(0, 2, vnic(2), ACTIVE), Ok((2, 2)));
    world.link(0, false);
    world.run(SECOND);
    world.link(0, true);
    world.run(GREETING);
    assert_eq!((world.state(1).as_str(), world.state(2).as_str()), ("down (link lost)", "up"));
    assert_eq!(world.at(1), None);
}

#[test]
fn vifs_that_a_restarted_adapter_does_not_ask_for_expire() {
    let mut world = two();
    world.restart_adapter(0);
    world.run(GREETING);
    assert_eq!(world.create(0, 1, vnic(1), ACTIVE), Ok((1, 1)));
    world.run(50 * SECOND);
    assert_eq!(world.control.vifs(0).count(), 2);
    world.run(15 * SECOND);
    assert_eq!(world.control.vifs(0).count(), 1);
    assert_eq!(world.state(2), "gone", "its vNIC is no more");
    assert_eq!(world.state(1), "up");
}

#[test]
fn a_loss_shorter_than_carrier_delay_is_not_seen() {
    let mut world = two();
    world.link(0, false);
    world.run(2 * SECOND);
    assert_eq!((world.state(1).as_str(), world.at(1)), ("up", Some((0, 1))));
    world.link(0, true);
    world.run(GREETING);
    assert_eq!((world.state(1).as_str(), world.at(1)), ("up", Some((0, 1))));
    assert!(world.told().iter().all(|line| !line.contains("Veth1")));
    // It was not asked about anything; who noticed nothing asks for nothing.
    world.run(70 * SECOND);
    assert_eq!(world.control.vifs(0).count(), 2);
    assert_eq!(world.state(1), "up");
}

#[test]
fn c9_a_longer_one_takes_the_veth_down_until_the_adapter_is_back() {
    let mut world = two();
    world.link(0, false);
    world.run(4 * SECOND);
    assert_eq!((world.state(1).as_str(), world.at(1)), ("down (link lost)", None));
    assert_eq!(world.told().last().map(String::as_str), Some("Veth1 is down (link lost)"));
    world.link(0, true);
    world.run(GREETING);
    assert_eq!(
        (world.state(1).as_str(), world.at(1)),
        ("up", Some((0, 1))),
        "the same adapter, without a restart"
    );
    assert_eq!(world.known(0, 1), Some((VifState::Active, None)), "which needs not be told");
    assert!(!world.adapters[0].heard.iter().any(|request| matches!(request, Request::VifSet { .. })));
}

#[test]
fn a_vif_that_the_adapter_never_heard_of_is_found_out() {
    let mut world = two();
    // The answer to the create is lost with the link, and the vNIC goes meanwhile.
    world.hold_publish = true;
    let provisioning = vnic(3).build().expect("a blob");
    world.adapters[0].ask(world.now, Request::VifCreate { channel: 3, provisioning, initial: ACTIVE });
    world.settle();
    world.link(0, false);
    world.hold_publish = false;
    world.run(SECOND);
    world.link(0, true);
    world.run(GREETING);
    assert_eq!(world.state(3), "up");
    world.run(70 * SECOND);
    assert_eq!((world.state(3).as_str(), world.control.vifs(0).count()), ("gone", 2));
    assert_eq!(world.state(1), "up");
}

#[test]
fn what_a_loss_hid_is_told_again() {
    let mut world = two();
    world.adapters[0].silent = true;
    world.configure(|running| {
        running.make_vethernet(1).expect("room");
        running.vethernet_mut(1).expect("a vEth").switchport.shutdown = Some(true);
    });
    world.link(0, false);
    world.adapters[0].forget_requests();
    world.adapters[0].silent = false;
    world.run(SECOND);
    world.link(0, true);
    world.run(GREETING);
    assert_eq!(world.known(0, 1), Some((VifState::Disabled, Some("administratively"))));
}

#[test]
fn c10_an_id_is_free_when_its_deletion_is_acknowledged() {
    let mut world = two();
    world.configure(|running| {
        running.make_vethernet(1).expect("room");
        running.bind(1, Some(Binding::Channel { port: id(0), channel: 9 })).expect("free");
    });
    assert_eq!(world.known(0, 1), None);
    world.adapters[0].silent = true;
    world.configure(|running| {
        running.make_vethernet(2).expect("room");
        running.bind(2, Some(Binding::Channel { port: id(0), channel: 8 })).expect("free");
    });
    world.run(2 * SECOND);
    assert_eq!(world.control.vif(0, vif(2)).map(|vif| vif.state), Some(Standing::Deleting));
    // What asks for it meanwhile gets another one.
    assert_eq!(world.create(0, 2, vnic(2), STANDBY), Ok((3, 3)));
    assert_eq!(world.enable(0, 2), Err(Status::UNKNOWN_VIF));
    assert_eq!(world.delete(0, 2), Ok(()), "both at once: nobody waits for the other");
    assert!(world.control.vif(0, vif(2)).is_some());
    // The adapter is lost before it answers, and comes back as the same.
    world.link(0, false);
    world.adapters[0].forget_requests();
    world.run(70 * SECOND);
    assert_eq!(world.control.vif(0, vif(2)).map(|vif| vif.state), Some(Standing::Deleting));
    world.adapters[0].silent = false;
    world.adapters[0].heard.clear();
    world.link(0, true);
    world.run(GREETING);
    assert!(world.adapters[0].heard.contains(&Request::VifDelete { vif: vif(2) }), "asked again");
    world.run(SECOND);
    assert_eq!(world.control.namespace(0).map(|ids| (ids.used, ids.quarantine)), Some((0, 0)));
}

#[test]
fn a_restarted_adapter_acknowledges_all_deletions_at_once() {
    let mut world = two();
    world.link(0, false);
    world.run(70 * SECOND);
    assert!(world.control.vifs(0).all(|vif| vif.state == Standing::Deleting));
    world.restart_adapter(0);
    world.link(0, true);
    world.run(GREETING);
    assert_eq!(world.control.vifs(0).count(), 0);
}

#[test]
fn a_restarted_switch_has_the_same_veths() {
    let mut world = World::new();
    for number in [1, 2, 3] {
        assert!(world.create(0, u16::from(number), vnic(number), ACTIVE).is_ok());
    }
    assert_eq!(world.delete(0, 2), Ok(()));
    world.restart_switch();
    assert_eq!((world.state(1).as_str(), world.state(3).as_str()), ("down (link lost)", "down (link lost)"));
    world.run(GREETING);
    assert_eq!(world.create(0, 3, vnic(3), ACTIVE).map(|(_, veth)| veth), Ok(3));
    assert_eq!(world.create(0, 4, vnic(4), ACTIVE).map(|(_, veth)| veth), Ok(2), "vEth 1 is still known");
    assert_eq!(world.create(0, 1, vnic(1), ACTIVE).map(|(_, veth)| veth), Ok(1));
    world.run(70 * SECOND);
    assert_eq!(world.state(3), "up");
    world.restart_switch();
    world.run(GREETING);
    assert_eq!(world.create(0, 3, vnic(3), ACTIVE).map(|(_, veth)| veth), Ok(3));
    world.run(70 * SECOND);
    assert_eq!((world.state(1).as_str(), world.records.len()), ("gone", 1), "nobody asks for the others");
}

#[test]
fn c13_a_killed_adapter_is_noticed_by_its_next_life() {
    let mut world = two();
    world.adapters[0].cut = true;
    world.run(SECOND);
    assert_eq!(world.state(1), "up");
    world.run(3 * SECOND);
    assert!(world.told().iter().any(|line| line == "Ethernet1/1: adapter lost: three HELLOs missed"));
    world.restart_adapter(0);
    world.run(GREETING);
    assert!(world.told().iter().any(|line| line == "Ethernet1/1: adapter adapter0 is up"));
    assert_eq!(world.state(1), "down (link lost)");
}

#[test]
fn a_port_that_is_no_niv_link_any_more_has_no_vifs() {
    let mut world = two();
    world.configure(|running| running.set_port_mode(id(0), Some(SwitchportMode::Access)).expect("free"));
    assert_eq!(world.control.forwarding().ports[0], PortForwarding::Wire);
    assert!(world.control.session(0).is_none() && world.control.vifs(0).count() == 0);
    assert_eq!(world.at(1), None);
    assert!(world.told().iter().any(|line| line.starts_with("Ethernet1/1: adapter lost")));
}
