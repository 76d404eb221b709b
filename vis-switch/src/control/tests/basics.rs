//! A vNIC's life: created, enabled, disabled, shut, deleted; and what waits for what.

use super::adapter::{ACTIVE, STANDBY, vnic};
use super::*;
use vntag::ctl::{Request, Response, Status, VifState};

#[test]
fn a_vnic_comes_and_goes() {
    let mut world = World::new();
    assert_eq!(world.create(0, 3, vnic(1), STANDBY), Ok((1, 1)));
    assert_eq!((world.state(1).as_str(), world.at(1)), ("down (nonParticipating)", None));
    assert_eq!(world.enable(0, 1), Ok(()));
    assert_eq!((world.state(1).as_str(), world.at(1)), ("up", Some((0, 1))));
    assert_eq!(world.disable(0, 1), Ok(()));
    assert_eq!((world.state(1).as_str(), world.at(1)), ("down (nonParticipating)", None));
    assert_eq!(world.records.len(), 1);
    assert_eq!(world.delete(0, 1), Ok(()));
    assert_eq!((world.state(1).as_str(), world.records.len()), ("gone", 0));
    assert!(!world.control.forwarding().veths.contains_key(&1));
    assert_eq!(world.delete(0, 1), Ok(()), "deleting what is not there is done");
    assert_eq!(world.enable(0, 1), Err(Status::UNKNOWN_VIF));
    assert_eq!(world.disable(0, 1), Err(Status::UNKNOWN_VIF));
}

#[test]
fn answers_wait_for_the_data_path_and_creates_for_the_disk() {
    let mut world = World::new();
    (world.hold_publish, world.hold_store) = (true, true);
    let create =
        Request::VifCreate { channel: 1, provisioning: vnic(1).build().expect("a blob"), initial: ACTIVE };
    let create = world.adapters[0].ask(world.now, create);
    world.settle();
    assert_eq!(world.at(1), Some((0, 1)), "it is on its way to the workers");
    assert!(world.adapters[0].answer(create).is_none());
    world.hold_publish = false;
    world.settle();
    assert!(world.adapters[0].answer(create).is_none(), "not on disk");
    world.hold_store = false;
    world.settle();
    assert!(matches!(world.adapters[0].answer(create), Some(Ok(Response::VifCreate { veth: 1, .. }))));
    // Everything but a create needs no disk.
    (world.hold_publish, world.hold_store) = (true, true);
    for request in [
        Request::VifDisable { vif: vif(1) },
        Request::VifEnable { vif: vif(1) },
        Request::VifDelete { vif: vif(1) },
    ] {
        let token = world.adapters[0].ask(world.now, request.clone());
        world.settle();
        assert!(world.adapters[0].answer(token).is_none(), "{request:?}");
        world.hold_publish = false;
        world.settle();
        world.hold_publish = true;
        assert!(matches!(world.adapters[0].answer(token), Some(Ok(_))), "{request:?}");
    }
}

#[test]
fn a_known_veth_that_returns_writes_nothing() {
    let mut world = World::new();
    assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
    let writes = world.writes;
    world.restart_adapter(0);
    world.run(SECOND);
    world.hold_store = true;
    assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
    world.restart_switch();
    world.run(3 * SECOND);
    assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
    assert_eq!(world.writes, writes);
}

#[test]
fn shutdown_and_no_shutdown_reach_the_adapter() {
    let mut world = World::new();
    assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
    world.configure(|running| {
        running.make_vethernet(1).expect("room");
        running.vethernet_mut(1).expect("a vEth").switchport.shutdown = Some(true);
    });
    assert_eq!((world.state(1).as_str(), world.at(1)), ("down (administratively)", None));
    assert_eq!(world.known(0, 1), Some((VifState::Disabled, Some("administratively"))));
    assert_eq!(world.enable(0, 1), Err(Status::BADSTATE));
    world.configure(|running| running.vethernet_mut(1).expect("a vEth").switchport.shutdown = Some(false));
    assert_eq!(world.known(0, 1), Some((VifState::Standby, None)));
    assert_eq!(world.state(1), "down (nonParticipating)");
    assert_eq!(world.enable(0, 1), Ok(()));
    assert_eq!(world.at(1), Some((0, 1)));
    assert_eq!(
        world.told()[2..],
        [
            "Veth1 created for 52:54:00:00:00:01 of 01010101-0101-0101-0101-010101010101, asked for at ethernet1/1",
            "Veth1 is up (ethernet1/1, VIF 1)",
            "Veth1 is down (administratively)",
            "Veth1 is up (ethernet1/1, VIF 1)",
        ]
    );
}

#[test]
fn a_vif_created_while_its_veth_is_shut_is_disabled_afterwards() {
    let mut world = World::new();
    world.configure(|running| {
        running.make_vethernet(7).expect("room");
        running.vethernet_mut(7).expect("a vEth").switchport.shutdown = Some(true);
        running.bind(7, Some(Binding::Channel { port: id(0), channel: 3 })).expect("free");
    });
    assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 7)));
    world.settle();
    assert_eq!(world.known(0, 1), Some((VifState::Disabled, Some("administratively"))));
    assert_eq!(world.control.vif(0, vif(1)).map(|vif| vif.state), Some(Standing::Disabled));
}

#[test]
fn a_link_without_negotiation_is_configured_only() {
    let mut world = World::new();
    world.configure(|running| {
        running.make_vethernet(4).expect("room");
        running.bind(4, Some(Binding::Channel { port: id(STATIC), channel: 5 })).expect("free");
        running.set_list(id(STATIC), vntag::ListId::new(1).expect("a list"), Some(vec![5])).expect("a list");
    });
    assert_eq!((world.state(4).as_str(), world.at(4)), ("up", Some((STATIC, 5))));
    let PortForwarding::Static { lists } = &world.control.forwarding().ports[STATIC] else {
        panic!("static")
    };
    assert_eq!(lists.len(), 1);
    world.link(STATIC, false);
    assert_eq!((world.state(4).as_str(), world.at(4)), ("down (link lost)", Some((STATIC, 5))));
    world.link(STATIC, true);
    world.configure(|running| running.vethernet_mut(4).expect("a vEth").switchport.shutdown = Some(true));
    assert_eq!((world.state(4).as_str(), world.at(4)), ("down (administratively)", None));
    world.configure(|running| running.remove_vethernet(4).expect("a vEth"));
    assert_eq!(world.state(4), "gone");
}
