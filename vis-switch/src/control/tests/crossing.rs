//! Requests of the switch and of the adapter about the same VIF that meet on the way.

use super::adapter::{ACTIVE, STANDBY, vnic};
use super::*;
use vntag::ctl::session::Failure;
use vntag::ctl::{Request, Response, Status, VifState};

fn shut(world: &mut World, veth: u32, shutdown: bool) {
    world.configure(|running| {
        running.make_vethernet(veth).expect("room");
        running.vethernet_mut(veth).expect("a vEth").switchport.shutdown = Some(shutdown);
    });
}

#[test]
fn a_vif_that_is_asked_for_while_it_is_being_shut_is_not_shut_in_the_end() {
    let again: [fn(&mut World); 2] = [
        |world| assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1))),
        |world| assert_eq!(world.enable(0, 1), Ok(())),
    ];
    for again in again {
        let mut world = World::new();
        assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
        world.adapters[0].silent = true;
        shut(&mut world, 1, true);
        shut(&mut world, 1, false);
        again(&mut world);
        assert_eq!(world.state(1), "up");
        // Only now it does as it was told first.
        world.adapters[0].silent = false;
        world.run(100 * MS);
        assert_eq!(world.known(0, 1).map(|known| known.0), Some(VifState::Active));
        assert_eq!(world.state(1), "up");
    }
}

#[test]
fn who_has_to_yield_and_asks_for_standby_itself_has_yielded() {
    let mut world = World::new();
    assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
    world.adapters[0].silent = true;
    let provisioning = vnic(1).incarnation(7).build().expect("a blob");
    let claim = Request::VifCreate { channel: 9, provisioning, initial: ACTIVE };
    let claim = world.adapters[1].ask(world.now, claim);
    world.run(100 * MS);
    assert!(world.adapters[1].answer(claim).is_none(), "the first one may still be active");
    assert_eq!(world.at(1), None);
    assert_eq!(world.create(0, 3, vnic(1), STANDBY), Ok((1, 1)));
    world.run(100 * MS);
    assert!(matches!(world.adapters[1].answer(claim), Some(Ok(Response::VifCreate { veth: 1, .. }))));
    assert_eq!(world.at(1), Some((1, 1)));
}

#[test]
fn two_claims_that_follow_each_other_are_both_answered() {
    let mut world = World::new();
    let claim = |incarnation| Request::VifCreate {
        channel: 9,
        provisioning: vnic(1).incarnation(incarnation).build().expect("a blob"),
        initial: ACTIVE,
    };
    assert_eq!(world.create(0, 9, vnic(1), ACTIVE), Ok((1, 1)));
    world.adapters[0].silent = true;
    let first = world.adapters[1].ask(world.now, claim(7));
    world.run(MS);
    // The one that has to yield claims back before it has answered.
    let second = world.adapters[0].ask(world.now, claim(8));
    world.run(100 * MS);
    world.adapters[0].silent = false;
    world.run(100 * MS);
    assert!(matches!(world.adapters[1].answer(first), Some(Err(_))));
    assert!(matches!(world.adapters[0].answer(second), Some(Ok(Response::VifCreate { veth: 1, .. }))));
    assert_eq!((world.at(1), world.known(0, 1).map(|known| known.0)), (Some((0, 1)), Some(VifState::Active)));
}

/// The data path is slow to say that a VIF is active, and meanwhile it is not to be any more.
#[test]
fn what_a_vif_is_told_comes_after_the_answer_to_its_enable() {
    let mut world = World::new();
    assert_eq!(world.create(0, 3, vnic(1), STANDBY), Ok((1, 1)));
    world.hold_publish = true;
    let enable = world.adapters[0].ask(world.now, Request::VifEnable { vif: vif(1) });
    world.run(MS);
    let provisioning = vnic(1).incarnation(7).build().expect("a blob");
    let claim = Request::VifCreate { channel: 9, provisioning, initial: ACTIVE };
    let claim = world.adapters[1].ask(world.now, claim);
    world.run(100 * MS);
    assert!(world.adapters[0].answer(enable).is_none() && world.adapters[1].answer(claim).is_none());
    world.hold_publish = false;
    world.run(100 * MS);
    assert!(matches!(world.adapters[0].answer(enable), Some(Ok(Response::VifEnable { .. }))));
    assert!(matches!(world.adapters[1].answer(claim), Some(Ok(Response::VifCreate { veth: 1, .. }))));
    assert_eq!(world.known(0, 1).map(|known| known.0), Some(VifState::Standby));
    assert_eq!(world.known(1, 1).map(|known| known.0), Some(VifState::Active));
}

/// The adapter gave up a create whose answer took too long, and the switch has not noticed.
#[test]
fn a_vif_of_which_its_adapter_never_heard_goes_when_it_says_so() {
    let mut world = World::new();
    for number in 1..=2 {
        assert_eq!(world.create(0, number, vnic(number as u8), ACTIVE), Ok((number, u32::from(number))));
    }
    world.run(100 * SECOND);
    world.adapters[0].vifs.remove(&1);
    // Both are told in one request.
    world.configure(|running| {
        running.port_profile_mut(&ProfileName::default()).expect("built in").enabled = false;
    });
    world.run(SECOND);
    let left: Vec<u16> = world.control.vifs(0).map(|vif| vif.vif.get()).collect();
    assert_eq!(left, [2]);
    assert_eq!(world.known(0, 2).map(|known| known.0), Some(VifState::Disabled));
}

/// As before, but the switch has nothing to tell that would be refused.
#[test]
fn a_vif_of_which_its_adapter_never_heard_goes_when_that_is_asked() {
    let mut world = World::new();
    world.hold_store = true;
    let provisioning = vnic(1).build().expect("a blob");
    let create = Request::VifCreate { channel: 3, provisioning, initial: ACTIVE };
    let create = world.adapters[0].ask(world.now, create);
    world.settle();
    world.told();
    // Only the adapter notices.
    for up in [false, true] {
        world.adapters[0].session.handle_link(world.now, up);
    }
    world.run(100 * MS);
    world.hold_store = false;
    world.run(SECOND);
    assert_eq!(world.adapters[0].answer(create), Some(&Err(Failure::PeerLost)));
    assert_eq!((world.adapters[0].vifs.len(), world.at(1)), (0, Some((0, 1))));
    assert_eq!(world.create(1, 3, vnic(1), ACTIVE), Err(Status::BADSTATE));
    world.run(20 * SECOND);
    assert!(!world.told().iter().any(|event| event.contains("lost")), "not noticed");
    assert_eq!((world.control.vifs(0).count(), world.state(1)), (0, "gone".to_owned()));
    assert!(world.create(1, 3, vnic(1), ACTIVE).is_ok(), "nobody has it");
}

#[test]
fn an_adapter_that_speaks_of_its_vif_is_not_asked_for_it() {
    let asked = |speaks: bool| {
        let mut world = World::new();
        assert_eq!(world.create(0, 3, vnic(1), STANDBY), Ok((1, 1)));
        if speaks {
            world.enable(0, 1).expect("free");
        }
        world.run(30 * SECOND);
        let heard = &world.adapters[0].heard;
        heard.iter().filter(|request| matches!(request, Request::StatsGet { .. })).count()
    };
    assert_eq!((asked(true), asked(false)), (0, 1));
}

/// What the adapter asks for is on its way when it is told that the VIF is shut, and comes when it is open again.
#[test]
fn who_was_shut_hears_that_it_is_open_whatever_it_asked_for() {
    for (request, state) in [
        (Request::VifDisable { vif: vif(1) }, VifState::Standby),
        (Request::VifEnable { vif: vif(1) }, VifState::Active),
    ] {
        let mut world = World::new();
        assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
        world.adapters[0].cut = true;
        shut(&mut world, 1, true);
        shut(&mut world, 1, false);
        let asked = world.adapters[0].ask(world.now, request);
        world.settle();
        world.adapters[0].cut = false;
        world.run(SECOND);
        assert!(matches!(world.adapters[0].answer(asked), Some(Ok(_))));
        assert_eq!(world.known(0, 1).map(|known| known.0), Some(state));
    }
}

/// The answer to an enable is lost, and what is told of the VIF comes before it is repeated.
#[test]
fn an_answer_that_is_repeated_is_older_than_what_was_told_meanwhile() {
    let mut world = World::new();
    assert_eq!(world.create(0, 3, vnic(1), STANDBY), Ok((1, 1)));
    world.hold_publish = true;
    world.adapters[0].ask(world.now, Request::VifEnable { vif: vif(1) });
    world.settle();
    world.adapters[0].cut = true;
    world.hold_publish = false;
    world.settle();
    world.adapters[0].cut = false;
    let provisioning = vnic(1).incarnation(7).build().expect("a blob");
    let claim = Request::VifCreate { channel: 9, provisioning, initial: ACTIVE };
    let claim = world.adapters[1].ask(world.now, claim);
    world.run(SECOND);
    assert!(matches!(world.adapters[1].answer(claim), Some(Ok(Response::VifCreate { veth: 1, .. }))));
    assert_eq!(world.known(0, 1).map(|known| known.0), Some(VifState::Standby));
}

/// The switch sets two VIFs of an adapter in one request, which that puts off: it has given one of them back, and a create of
/// its may be about to bring it. That create claims what the other one has to yield, so each waits for the other.
#[test]
fn a_claim_that_waits_for_an_answer_that_waits_for_it_is_refused() {
    let mut world = World::new();
    for number in 1..=2 {
        assert_eq!(world.create(0, number, vnic(number as u8), ACTIVE), Ok((number, u32::from(number))));
    }
    world.run(100 * MS);
    world.adapters[0].silent = true;
    // Both are told in one request, and are open again before they have heard it.
    for shutdown in [true, false] {
        world.configure(|running| {
            for veth in 1..=2 {
                running.make_vethernet(veth).expect("room");
                running.vethernet_mut(veth).expect("a vEth").switchport.shutdown = Some(shutdown);
            }
        });
    }
    assert_eq!(world.enable(0, 2), Ok(()));
    assert_eq!(world.delete(0, 1), Ok(()));
    let provisioning = vnic(2).incarnation(1).build().expect("a blob");
    let claim = Request::VifCreate { channel: 9, provisioning, initial: ACTIVE };
    let claim = world.adapters[0].ask(world.now, claim);
    world.settle();
    world.adapters[0].silent = false;
    world.run(9 * SECOND);
    assert!(world.adapters[0].answer(claim).is_none(), "it may still be active");
    world.told();
    world.run(2 * SECOND);
    let Some(Err(Failure::Refused(refusal))) = world.adapters[0].answer(claim) else {
        panic!("{:?}", world.adapters[0].answer(claim))
    };
    assert_eq!(refusal.status, Status::BADSTATE);
    let cause = refusal.cause.as_ref().expect("a cause").to_string();
    assert_eq!(cause, "Veth2 may still be active at ethernet1/1, VIF 2");
    assert_eq!(world.told(), ["Veth2 is claimed at ethernet1/1, but active at ethernet1/1"]);
    assert_eq!(world.known(0, 2).map(|known| known.0), Some(VifState::Standby), "it has answered");
    // Nothing is in the way of the next try.
    assert_eq!(world.create(0, 9, vnic(2).incarnation(1), ACTIVE).map(|(_, veth)| veth), Ok(2));
}

#[test]
fn an_adapter_that_lost_the_switch_unnoticed_gets_its_lists_anew() {
    let mut world = World::new();
    for number in 1..=2 {
        assert_eq!(world.create(0, number, vnic(number as u8), ACTIVE), Ok((number, u32::from(number))));
    }
    world.run(100 * MS);
    let lists = core::mem::take(&mut world.adapters[0].lists);
    assert!(lists.values().any(|members| members.len() == 2), "{lists:?}");
    for number in 1..=2 {
        assert_eq!(world.create(0, number, vnic(number as u8), ACTIVE), Ok((number, u32::from(number))));
    }
    world.run(100 * MS);
    let floods = world.floods(0).0.clone();
    assert!(!floods.is_empty());
    for flood in floods.iter() {
        let members = &world.adapters[0].lists[&flood.list.get()];
        assert!(members.iter().copied().eq(flood.members.iter().map(|vif| vif.get())), "{members:?}");
    }
    // Once is enough: the next one of the same kind changes nothing but this.
    let heard = world.control.session(0).expect("a session").counters().ctl_request_tx;
    world.run(SECOND);
    assert_eq!(world.control.session(0).expect("a session").counters().ctl_request_tx, heard);
}

#[test]
fn a_late_answer_to_a_claim_is_said_once_more() {
    let mut world = World::new();
    assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
    assert_eq!(world.create(1, 9, vnic(1).incarnation(7), STANDBY), Ok((1, 1)));
    world.adapters[1].silent = true;
    shut(&mut world, 1, true);
    shut(&mut world, 1, false);
    assert_eq!(world.enable(0, 1), Ok(()));
    // The second one claims before it is shut, and is shut before its claim is decided.
    world.adapters[0].silent = true;
    let claim = world.adapters[1].ask(world.now, Request::VifEnable { vif: vif(1) });
    world.run(MS);
    world.adapters[1].silent = false;
    world.run(MS);
    assert_eq!(world.known(1, 1).map(|known| known.0), Some(VifState::Disabled));
    assert!(world.adapters[1].answer(claim).is_none());
    world.adapters[1].heard.clear();
    world.adapters[0].silent = false;
    world.run(100 * MS);
    assert!(matches!(world.adapters[1].answer(claim), Some(Ok(_))));
    let set = |request: &Request| match request {
        Request::VifSet { state, .. } => *state,
        _ => None,
    };
    assert_eq!(world.adapters[1].heard.iter().filter_map(set).next_back(), Some(VifState::Active));
}

#[test]
fn who_is_shut_is_waited_for_like_who_has_to_yield() {
    let mut world = World::new();
    assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
    assert_eq!(world.create(1, 9, vnic(1), STANDBY), Ok((1, 1)));
    world.adapters[0].silent = true;
    shut(&mut world, 1, true);
    shut(&mut world, 1, false);
    let claim = world.adapters[1].ask(world.now, Request::VifEnable { vif: vif(1) });
    world.run(100 * MS);
    assert!(world.adapters[1].answer(claim).is_none(), "the first one may still be active");
    world.adapters[0].silent = false;
    world.run(100 * MS);
    assert!(matches!(world.adapters[1].answer(claim), Some(Ok(_))));
    assert_eq!(world.at(1), Some((1, 1)));
}

#[test]
fn of_two_who_ask_while_they_are_shut_one_comes_after_the_other() {
    let mut world = World::new();
    assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
    world.adapters[0].silent = true;
    shut(&mut world, 1, true);
    let claim = |world: &mut World| world.create(1, 9, vnic(1).incarnation(7), ACTIVE);
    assert_eq!(claim(&mut world), Err(Status::BADSTATE), "the first one may still be active");
    world.adapters[1].heard.clear();
    world.adapters[0].silent = false;
    world.run(100 * MS);
    let told = &world.adapters[1].heard;
    assert!(
        told.iter().any(|request| matches!(request, Request::Event { .. })),
        "it may ask again: {told:?}"
    );
    assert_eq!(claim(&mut world), Ok((1, 1)));
    world.run(100 * MS);
    assert_eq!(world.known(1, 1).map(|known| known.0), Some(VifState::Disabled));
}

#[test]
fn who_was_given_leave_while_it_was_being_shut_has_not_yielded_when_that_is_answered() {
    let mut world = World::new();
    assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
    assert_eq!(world.create(1, 9, vnic(1).incarnation(7), STANDBY), Ok((1, 1)));
    shut(&mut world, 1, true);
    world.adapters[0].silent = true;
    shut(&mut world, 1, false);
    // What it was told is not answered yet, and it is active again.
    assert_eq!(world.enable(0, 1), Ok(()));
    let claim = world.adapters[1].ask(world.now, Request::VifEnable { vif: vif(1) });
    world.run(100 * MS);
    assert!(world.adapters[1].answer(claim).is_none());
    world.adapters[0].answer_one(world.now);
    world.run(100 * MS);
    assert!(world.adapters[1].answer(claim).is_none(), "that was what it had been told before");
    world.adapters[0].silent = false;
    world.run(100 * MS);
    assert!(matches!(world.adapters[1].answer(claim), Some(Ok(_))));
    assert_eq!(world.known(0, 1).map(|known| known.0), Some(VifState::Standby));
}
