//! Several claimants of one vEth: never two active.

use super::adapter::{ACTIVE, STANDBY, vnic};
use super::*;
use vntag::ctl::{EventCode, Provisioning, Request, Response, Status, VifState};

/// The same vNIC on a machine that began later.
fn later(number: u8, incarnation: u64) -> vntag::ctl::provisioning::Builder {
    vnic(number).incarnation(incarnation)
}

fn standing(world: &World, port: usize, number: u16) -> Option<Standing> {
    world.control.vif(port, vif(number)).map(|vif| vif.state)
}

#[test]
fn a_second_claimant_may_stand_by() {
    let mut world = World::new();
    assert_eq!(world.create(0, 1, vnic(1), ACTIVE), Ok((1, 1)));
    assert_eq!(world.create(1, 1, vnic(1), STANDBY), Ok((1, 1)));
    assert_eq!(world.at(1), Some((0, 1)));
    let vifs = |world: &World| -> Vec<_> {
        world.control.veth(1).expect("a vEth").vifs.iter().map(|vif| (vif.port, vif.state)).collect()
    };
    assert_eq!(vifs(&world), [(0, Standing::Active), (1, Standing::Standby)]);
    // The first one is gone: nothing is in the way any more, and no record changes.
    let writes = world.writes;
    assert_eq!(world.delete(0, 1), Ok(()));
    assert_eq!(world.enable(1, 1), Ok(()));
    assert_eq!((world.at(1), world.writes), (Some((1, 1)), writes));
}

#[test]
fn one_that_asks_to_be_active_is_refused_and_told_of_once() {
    let mut world = World::new();
    assert_eq!(world.create(0, 1, vnic(1), ACTIVE), Ok((1, 1)));
    world.told();
    for _ in 0..3 {
        assert_eq!(world.create(1, 7, vnic(1), ACTIVE), Err(Status::BADSTATE));
    }
    let claimed = "Veth1 is claimed at ethernet1/2, but active at ethernet1/1";
    let refused = "Ethernet1/2: channel 7 (vNIC vnic1) is refused: Veth1 is active at ethernet1/1, VIF 1";
    assert_eq!(world.told(), [refused, claimed]);
    assert_eq!(world.pending(), [(7, "Veth1 is active at ethernet1/1, VIF 1".to_owned(), 3)]);
    assert_eq!(world.create(1, 7, vnic(1), STANDBY), Ok((1, 1)));
    for _ in 0..3 {
        assert_eq!(world.enable(1, 1), Err(Status::BADSTATE));
    }
    assert_eq!(world.told(), [claimed]);
    assert_eq!(world.at(1), Some((0, 1)));
    // Another vNIC of the same adapter is none the better.
    assert_eq!(world.create(0, 9, vnic(1), ACTIVE), Err(Status::BADSTATE));
    assert_eq!(world.create(0, 9, vnic(1), STANDBY), Ok((2, 1)));
    assert_eq!(world.enable(0, 2), Err(Status::BADSTATE));
    // Who lets go is followed by whoever asks first; all are told that it is worth asking.
    world.adapters.iter_mut().for_each(|adapter| adapter.heard.clear());
    assert_eq!(world.disable(0, 1), Ok(()));
    for adapter in &world.adapters {
        assert_eq!(adapter.heard, [Request::Event { code: EventCode::RETRY }]);
    }
    assert_eq!(world.enable(0, 2), Ok(()));
    assert_eq!(world.enable(0, 1), Err(Status::BADSTATE));
}

#[test]
fn a_higher_incarnation_wins_after_the_first_is_disabled() {
    let mut world = World::new();
    assert_eq!(world.create(0, 1, later(1, 5), ACTIVE), Ok((1, 1)));
    for equal_or_none in [later(1, 5), later(1, 4), vnic(1)] {
        assert_eq!(world.create(1, 7, equal_or_none, ACTIVE), Err(Status::BADSTATE));
    }
    world.adapters[0].silent = true;
    let provisioning = later(1, 6).build().expect("a blob");
    let create =
        world.adapters[1].ask(world.now, Request::VifCreate { channel: 7, provisioning, initial: ACTIVE });
    world.settle();
    assert_eq!(
        (standing(&world, 0, 1), standing(&world, 1, 1)),
        (Some(Standing::Standby), Some(Standing::Claiming))
    );
    assert_eq!(world.at(1), None, "neither of them");
    world.run(SECOND);
    assert!(world.adapters[1].answer(create).is_none());
    world.adapters[0].silent = false;
    world.settle();
    let claimed = "Veth1 is active at ethernet1/2, VIF 1";
    assert_eq!(world.known(0, 1), Some((VifState::Standby, Some(claimed))));
    assert!(matches!(world.adapters[1].answer(create), Some(Ok(Response::VifCreate { veth: 1, .. }))));
    assert_eq!(world.at(1), Some((1, 1)));
    assert_eq!(world.enable(0, 1), Err(Status::BADSTATE));
    assert!(world.told().contains(&"Veth1 moves from ethernet1/1 to ethernet1/2".to_owned()));
    assert_eq!(world.records[&1].incarnation, Some(5), "kept for the first one as long as it is there");
    assert_eq!(world.delete(0, 1), Ok(()));
    assert_eq!(world.create(1, 7, later(1, 6), ACTIVE), Ok((1, 1)));
    assert_eq!(world.records[&1].incarnation, Some(6));
}

#[test]
fn a_claim_is_granted_when_the_first_ones_link_is_lost() {
    let mut world = World::new();
    assert_eq!(world.create(0, 1, vnic(1), ACTIVE), Ok((1, 1)));
    world.adapters[0].silent = true;
    let provisioning = later(1, 1).build().expect("a blob");
    let create =
        world.adapters[1].ask(world.now, Request::VifCreate { channel: 7, provisioning, initial: ACTIVE });
    world.settle();
    assert!(world.adapters[1].answer(create).is_none());
    world.link(0, false);
    assert!(matches!(world.adapters[1].answer(create), Some(Ok(_))));
    assert_eq!(world.at(1), Some((1, 1)));
    // The first one comes back and still believes that it is active.
    world.adapters[0].forget_requests();
    world.adapters[0].silent = false;
    world.link(0, true);
    world.run(5 * SECOND);
    assert_eq!(world.known(0, 1).map(|(state, _)| state), Some(VifState::Standby));
    assert_eq!(world.at(1), Some((1, 1)));
}

#[test]
fn a_holder_whose_link_is_lost_longer_than_carrier_delay_loses() {
    let mut world = World::new();
    assert_eq!(world.create(0, 1, vnic(1), ACTIVE), Ok((1, 1)));
    assert_eq!(world.create(1, 7, vnic(1), STANDBY), Ok((1, 1)));
    world.link(0, false);
    world.run(2 * SECOND);
    assert_eq!(world.enable(1, 1), Err(Status::BADSTATE));
    world.run(2 * SECOND);
    assert_eq!(world.adapters[1].heard, [Request::Event { code: EventCode::RETRY }]);
    assert_eq!(world.enable(1, 1), Ok(()));
    world.link(0, true);
    world.run(5 * SECOND);
    let claimed = "Veth1 is active at ethernet1/2, VIF 1";
    assert_eq!(world.known(0, 1), Some((VifState::Standby, Some(claimed))));
}

#[test]
fn the_other_link_of_a_vnic_takes_over_at_once() {
    let mut world = World::new();
    world.adapters[1] = Adapter::of_node(1, 9, 0);
    world.adapters[1].session.handle_link(world.now, true);
    world.run(5 * SECOND);
    assert_eq!(world.create(0, 1, vnic(1), ACTIVE), Ok((1, 1)));
    assert_eq!(world.create(1, 1, vnic(1), STANDBY), Ok((1, 1)));
    let writes = world.writes;
    world.link(0, false);
    assert_eq!(world.enable(1, 1), Ok(()), "its adapter knows which link it has");
    assert_eq!(world.at(1), Some((1, 1)));
    world.link(0, true);
    world.run(5 * SECOND);
    assert_eq!(world.known(0, 1).map(|(state, _)| state), Some(VifState::Standby));
    // Back again, both links being up.
    assert_eq!(world.enable(0, 1), Ok(()));
    assert_eq!(world.known(1, 1).map(|(state, _)| state), Some(VifState::Standby));
    assert_eq!((world.at(1), world.writes), (Some((0, 1)), writes), "no record changes");
}

#[test]
fn a_claimant_that_goes_away_leaves_everything_to_be_asked_for_anew() {
    let mut world = World::new();
    assert_eq!(world.create(0, 1, vnic(1), ACTIVE), Ok((1, 1)));
    assert_eq!(world.create(1, 7, later(1, 1), STANDBY), Ok((1, 1)));
    world.adapters[0].silent = true;
    let enable = world.adapters[1].ask(world.now, Request::VifEnable { vif: vif(1) });
    world.settle();
    assert_eq!(standing(&world, 1, 1), Some(Standing::Claiming));
    // A still later one goes first; the one before it is refused.
    let provisioning = later(1, 2).build().expect("a blob");
    let create =
        world.adapters[1].ask(world.now, Request::VifCreate { channel: 8, provisioning, initial: ACTIVE });
    world.settle();
    assert!(matches!(world.adapters[1].answer(enable), Some(Err(_))));
    assert_eq!(
        (standing(&world, 1, 1), standing(&world, 1, 2)),
        (Some(Standing::Standby), Some(Standing::Claiming))
    );
    // A block ends the claim: it asks again when it may.
    world.configure(|running| {
        running.make_vethernet(1).expect("room");
        running.vethernet_mut(1).expect("a vEth").switchport.shutdown = Some(true);
    });
    assert!(matches!(world.adapters[1].answer(create), Some(Err(_))));
    assert_eq!((world.known(1, 2), standing(&world, 1, 2)), (None, None));
    world.adapters[0].silent = false;
    world.configure(|running| running.vethernet_mut(1).expect("a vEth").switchport.shutdown = Some(false));
    assert_eq!(world.enable(0, 1), Ok(()));
    assert_eq!(world.at(1), Some((0, 1)));
}

#[test]
fn the_later_one_of_two_with_the_same_address_is_down() {
    let mut world = World::new();
    let twin = |number: u8| {
        let mac = Mac([0x52, 0x54, 0, 0, 0, 1]);
        Provisioning::builder().profile("default").mac(mac).client_uuid(Uuid([number; 16]))
    };
    assert_eq!(world.create(0, 1, twin(1), ACTIVE), Ok((1, 1)));
    assert_eq!(world.create(0, 2, twin(2), ACTIVE), Ok((2, 2)));
    assert_eq!(world.create(1, 3, twin(3), ACTIVE), Ok((1, 3)));
    assert_eq!((world.state(1).as_str(), world.state(2).as_str()), ("up", "down (duplicate MAC, Veth1)"));
    assert_eq!(world.known(0, 2), Some((VifState::Disabled, Some("duplicate MAC, Veth1"))));
    assert_eq!(world.enable(0, 2), Err(Status::BADSTATE));
    // In another VLAN it is none.
    world.configure(|running| {
        running.make_vethernet(2).expect("room");
        running.vethernet_mut(2).expect("a vEth").switchport.access = Some(7);
    });
    assert_eq!(world.known(0, 2), Some((VifState::Standby, None)));
    assert_eq!(world.enable(0, 2), Ok(()));
    assert_eq!((world.state(2).as_str(), world.state(3).as_str()), ("up", "down (duplicate MAC, Veth1)"));
    world.configure(|running| running.vethernet_mut(2).expect("a vEth").switchport.access = None);
    assert_eq!(world.state(2), "down (duplicate MAC, Veth1)");
    // The first one goes, the next one takes its place.
    assert_eq!(world.delete(0, 1), Ok(()));
    assert_eq!(
        (world.state(2).as_str(), world.state(3).as_str()),
        ("down (nonParticipating)", "down (duplicate MAC, Veth2)")
    );
    assert_eq!(world.enable(0, 2), Ok(()));
}
