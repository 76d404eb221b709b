//! What configuration, profiles and uplinks do to VIFs, and how the adapters are told.

use super::adapter::{ACTIVE, STANDBY, vnic};
use super::*;
use crate::config::running::UplinkFail;
use vntag::ctl::{Provisioning, Request, Status, VifState, VlanMode};

fn web() -> ProfileName {
    profile("web")
}

/// A switch with a profile, and two vNICs that ask for it.
fn profiled() -> World {
    let mut world = World::new();
    world.configure(|running| {
        let web = running.make_port_profile(&web(), None).expect("room");
        (web.enabled, web.switchport.access) = (true, Some(10));
    });
    for number in [1, 2] {
        let mac = Mac([0x52, 0x54, 0, 0, 0, number]);
        let blob = Provisioning::builder().profile("web").mac(mac).client_uuid(Uuid([number; 16]));
        let created = world.create(0, u16::from(number), blob, ACTIVE);
        assert_eq!(created, Ok((u16::from(number), u32::from(number))));
    }
    world.told();
    world.adapters[0].heard.clear();
    world
}

#[test]
fn a_vnic_whose_profile_has_system_vlans_need_not_wait_until_it_is_enabled() {
    let mut world = World::new();
    world.configure(|running| {
        let web = running.make_port_profile(&web(), None).expect("room");
        (web.switchport.access, web.switchport.system) =
            (Some(10), Some(Box::new([11].into_iter().collect())));
    });
    let blob = || {
        let mac = Mac([0x52, 0x54, 0, 0, 0, 1]);
        Provisioning::builder().profile("web").mac(mac).client_uuid(Uuid([1; 16]))
    };
    assert_eq!(world.create(0, 1, blob(), ACTIVE), Err(Status::UNKNOWN_PROFILE));
    world.configure(|running| {
        let web = running.port_profile_mut(&web()).expect("a profile");
        web.switchport.system = Some(Box::new([10].into_iter().collect()));
    });
    assert_eq!(world.create(0, 1, blob(), ACTIVE), Ok((1, 1)));
    assert_eq!(world.state(1), "up");
    world.configure(|running| running.port_profile_mut(&web()).expect("a profile").switchport.system = None);
    assert_eq!(world.state(1), "down (profile disabled)");
}

#[test]
fn a_profile_disabled_takes_its_veths_down_at_once_and_keeps_them() {
    let mut world = profiled();
    world.configure(|running| running.port_profile_mut(&web()).expect("a profile").enabled = false);
    assert_eq!((world.state(1).as_str(), world.at(1)), ("down (profile disabled)", None));
    assert_eq!(world.known(0, 2), Some((VifState::Disabled, Some("profile disabled"))));
    let sets = world.adapters[0].heard.iter().filter(|request| matches!(request, Request::VifSet { .. }));
    assert_eq!(sets.count(), 1, "one for both");
    assert_eq!(world.records.len(), 2);
    // An adapter that restarts meanwhile is refused, and finds the same vEth later.
    world.restart_adapter(0);
    world.run(5 * SECOND);
    let blob = || {
        Provisioning::builder().profile("web").mac(Mac([0x52, 0x54, 0, 0, 0, 2])).client_uuid(Uuid([2; 16]))
    };
    assert_eq!(world.create(0, 2, blob(), ACTIVE), Err(Status::UNKNOWN_PROFILE));
    assert_eq!(world.control.vifs(0).count(), 1);
    for _ in 0..7 {
        world.run(10 * SECOND);
        assert_eq!(world.create(0, 2, blob(), ACTIVE), Err(Status::UNKNOWN_PROFILE));
    }
    assert_eq!((world.state(1).as_str(), world.state(2).as_str()), ("gone", "down (profile disabled)"));
    world.configure(|running| running.port_profile_mut(&web()).expect("a profile").enabled = true);
    assert_eq!(world.create(0, 2, blob(), ACTIVE).map(|(_, veth)| veth), Ok(2));
    assert_eq!(world.state(2), "up");
}

#[test]
fn a_profile_that_goes_is_named() {
    let mut world = profiled();
    world.configure(|running| running.remove_port_profile(&web(), None, &[]).expect("nobody is asked"));
    assert_eq!(world.state(1), "down (profile web missing)");
    assert_eq!(world.known(0, 1), Some((VifState::Disabled, Some("profile web missing"))));
}

#[test]
fn parameters_that_change_are_told_to_all_in_one_request() {
    let mut world = profiled();
    world.configure(|running| {
        let web = running.port_profile_mut(&web()).expect("a profile");
        (web.switchport.access, web.switchport.mtu) = (Some(20), Some(9000));
    });
    let [Request::VifSet { vifs, state: None, params: Some(params), cause: None }] =
        &world.adapters[0].heard[..]
    else {
        panic!("{:?}", world.adapters[0].heard);
    };
    assert_eq!((vifs.len(), params.vlan, params.mtu, params.mode), (2, 20, 9000, VlanMode::Access));
    assert!(world.control.forwarding().veths[&1].program.allowed.contains(20));
    assert_eq!(world.at(1), Some((0, 1)), "and nobody goes down");
    // Together with a state they are one request, too.
    world.adapters[0].heard.clear();
    world.configure(|running| {
        running.make_vethernet(1).expect("room");
        let veth = running.vethernet_mut(1).expect("a vEth");
        (veth.switchport.shutdown, veth.switchport.mode) = (Some(true), Some(SwitchportMode::Trunk));
    });
    let [Request::VifSet { state, params: Some(params), cause, .. }] = &world.adapters[0].heard[..] else {
        panic!("{:?}", world.adapters[0].heard);
    };
    assert_eq!((*state, params.mode, params.vlan), (Some(VifState::Disabled), VlanMode::Trunk, 1));
    assert_eq!(cause.as_ref().map(|cause| cause.code), Some(2));
}

#[test]
fn c1_what_an_adapter_refuses_is_told_again() {
    let mut world = profiled();
    world.adapters[0].refuse = [Status::ERROR; 3].into();
    world.configure(|running| {
        running.port_profile_mut(&web()).expect("a profile").switchport.access = Some(20);
    });
    assert_eq!(world.adapters[0].vifs[&1].params.vlan, 10);
    assert_eq!(world.told(), ["Ethernet1/1: setting 2 VIFs is refused: ERROR"]);
    world.run(4 * SECOND);
    assert_eq!(world.adapters[0].vifs[&1].params.vlan, 20);
    assert_eq!(world.told(), Vec::<String>::new(), "once");
}

#[test]
fn a_link_down_action_takes_the_guests_link_down_with_the_last_uplink() {
    let mut world = profiled();
    world.configure(|running| {
        running.make_vethernet(1).expect("room");
        running.vethernet_mut(1).expect("a vEth").uplink_fail = Some(UplinkFail::LinkDown);
    });
    world.link(UPLINK, false);
    assert_eq!((world.state(1).as_str(), world.at(1)), ("down (uplink lost)", None));
    assert!(!world.adapters[0].vifs[&1].uplink);
    assert_eq!((world.state(2).as_str(), world.adapters[0].vifs[&2].uplink), ("up", true), "warned only");
    let told = world.told();
    assert!(
        told.contains(&"last uplink lost: 1 vEths without one, taken down (Veth1)".to_owned()),
        "{told:?}"
    );
    assert!(told.contains(&"last uplink lost: 1 vEths without one, still up (Veth2)".to_owned()), "{told:?}");
    // A VIF that comes meanwhile is told, too.
    world.restart_adapter(0);
    world.run(5 * SECOND);
    let blob =
        Provisioning::builder().profile("web").mac(Mac([0x52, 0x54, 0, 0, 0, 1])).client_uuid(Uuid([1; 16]));
    assert_eq!(world.create(0, 1, blob, ACTIVE), Ok((1, 1)));
    world.settle();
    assert!(!world.adapters[0].vifs[&1].uplink);
    assert_eq!(world.known(0, 1), Some((VifState::Active, None)), "the VIF itself is as it was");
    world.link(UPLINK, true);
    assert_eq!((world.state(1).as_str(), world.at(1)), ("up", Some((0, 1))));
    assert!(world.adapters[0].vifs[&1].uplink);
}

#[test]
fn a_vlan_that_has_no_uplink_cannot_lose_one() {
    let mut world = profiled();
    world.configure(|running| {
        running.ethernet_switchport(id(UPLINK)).expect("a port").allowed =
            Some(Box::new([20].into_iter().collect()));
        running.port_profile_mut(&web()).expect("a profile").uplink_fail = Some(UplinkFail::LinkDown);
    });
    world.link(UPLINK, false);
    assert_eq!(world.state(1), "up");
    world.configure(|running| {
        running.port_profile_mut(&web()).expect("a profile").switchport.access = Some(20);
    });
    assert_eq!(world.state(1), "down (uplink lost)");
}

#[test]
fn a_dynamic_veth_that_is_configured_stays_when_its_vnic_goes() {
    let mut world = World::new();
    assert_eq!(world.create(0, 1, vnic(1), ACTIVE), Ok((1, 1)));
    assert!(world.control.veth(1).is_some_and(|veth| veth.dynamic));
    world.configure(|running| running.make_vethernet(1).expect("room"));
    assert!(world.control.veth(1).is_some_and(|veth| !veth.dynamic));
    let flush = world.flush(1);
    assert_eq!(world.delete(0, 1), Ok(()));
    assert_eq!((world.state(1).as_str(), world.flush(1)), ("down (nonParticipating)", flush + 1));
    assert_eq!(world.create(0, 8, vnic(1), STANDBY).map(|(_, veth)| veth), Ok(1));
    // Taken out of the configuration while it is in use it is dynamic again; unused, it is no more.
    world.configure(|running| running.remove_vethernet(1).expect("a vEth"));
    assert_eq!(world.state(1), "down (nonParticipating)");
    assert_eq!(world.delete(0, 2), Ok(()));
    assert_eq!((world.state(1).as_str(), world.records.len()), ("gone", 0));
}

#[test]
fn many_vifs_are_told_by_vectors_of_512() {
    let mut world = World::new();
    for number in 1..=1100_u16 {
        let [high, low] = number.to_be_bytes();
        let mut uuid = Uuid([7; 16]);
        (uuid.0[0], uuid.0[1]) = (high, low);
        let blob =
            Provisioning::builder().profile("default").mac(Mac([2, 0, 0, 0, high, low])).client_uuid(uuid);
        let provisioning = blob.build().expect("a blob");
        world.adapters[0]
            .ask(world.now, Request::VifCreate { channel: number, provisioning, initial: ACTIVE });
    }
    world.settle();
    assert_eq!(world.control.veths().filter(|veth| veth.state.to_string() == "up").count(), 1100);
    world.adapters[0].heard.clear();
    let changes = world.control.change;
    world.configure(|running| {
        running.port_profile_mut(&ProfileName::default()).expect("built in").switchport.access = Some(9);
    });
    let vectors = world.adapters[0].heard.iter().map(|request| match request {
        Request::VifSet { vifs, .. } => vifs.len(),
        other => panic!("{other:?}"),
    });
    assert_eq!(vectors.collect::<Vec<_>>(), [512, 512, 76]);
    assert_eq!(world.control.change.0, changes.0 + 1, "one change; the list is the same");
    assert!(world.adapters[0].vifs.values().all(|known| known.params.vlan == 9));
}

#[test]
fn an_announcement_is_an_event_and_reaches_the_vlan_of_an_active_vif() {
    let mut world = World::new();
    assert_eq!(world.create(0, 1, vnic(1), ACTIVE), Ok((1, 1)));
    let mac = Mac([2, 0, 0, 0, 0, 9]);
    assert!(world.ask(0, Request::Announce { vif: vif(1), mac }).is_ok());
    assert_eq!(world.told().last().map(String::as_str), Some("Veth1: the guest announced 02:00:00:00:00:09"));
    assert_eq!(world.announced, [(0, vif(1), mac)]);
    assert_eq!(world.ask(0, Request::Announce { vif: vif(2), mac }), Err(Status::UNKNOWN_VIF));
    // Nobody's traffic goes there: nobody is told.
    assert_eq!(world.create(0, 2, vnic(2), STANDBY), Ok((2, 2)));
    assert!(world.ask(0, Request::Announce { vif: vif(2), mac }).is_ok());
    assert_eq!(world.announced.len(), 1);
    let vifs = vntag::ctl::Vifs::one;
    assert!(world.ask(0, Request::LinkState { vifs: vifs(vif(1)), up: false }).is_ok());
    assert_eq!(world.ask(0, Request::LinkState { vifs: vifs(vif(3)), up: false }), Err(Status::UNKNOWN_VIF));
    assert_eq!(world.state(1), "up");
}

#[test]
fn hosts_of_a_private_vlan_have_the_primary_at_the_adapter_and_no_place_in_isolated_lists() {
    use crate::config::running::{Mapping, PrivateLines, PrivateVlan, SwitchportMode};
    let mut world = profiled();
    let blob = Provisioning::builder()
        .profile("router")
        .mac(Mac([0x52, 0x54, 0, 0, 0, 3]))
        .client_uuid(Uuid([3; 16]));
    world.configure(|running| {
        running.make_port_profile(&profile("router"), None).expect("room").enabled = true;
        let web = &mut running.port_profile_mut(&web()).expect("a profile").switchport;
        web.mode = Some(SwitchportMode::PrivateHost);
        web.private = PrivateLines { host: Some((100, 101)), ..PrivateLines::default() };
        let router = &mut running.port_profile_mut(&profile("router")).expect("a profile").switchport;
        router.mode = Some(SwitchportMode::Promiscuous);
        let mapping = Mapping { primary: 100, secondaries: [101].into() };
        router.private = PrivateLines { mapping: Some(Box::new(mapping)), ..PrivateLines::default() };
    });
    let cause = "VLAN 100 is not a primary private-vlan";
    assert_eq!((world.state(1), world.at(1)), (format!("down ({cause})"), None));
    assert_eq!(world.known(0, 1), Some((VifState::Disabled, Some(cause))));
    world.adapters[0].heard.clear();
    world.configure(|running| {
        running.set_private_vlan(100, Some(PrivateVlan::Primary([].into()))).expect("primary");
        running.associate(100, [101].into()).expect("associated");
        running.set_private_vlan(101, Some(PrivateVlan::Isolated)).expect("isolated");
    });
    assert_eq!(world.state(1), "down (nonParticipating)", "nothing but its adapter keeps it down");
    assert_eq!((world.enable(0, 1), world.enable(0, 2)), (Ok(()), Ok(())));
    assert_eq!((world.state(1).as_str(), world.at(1)), ("up", Some((0, 1))));
    assert_eq!(world.create(0, 3, blob, ACTIVE), Ok((3, 3)));
    world.settle();
    let told = world.adapters[0].vifs[&3].params;
    assert_eq!((told.mode, told.vlan), (VlanMode::Access, 100));
    let told = world.adapters[0].vifs[&1].params;
    assert_eq!((told.mode, told.vlan), (VlanMode::Access, 100));
    let lists = world.floods(0);
    let members = |vlan: u16| {
        let list = lists.0.iter().find(|list| list.vlans.contains(vlan)).expect("a list");
        let members: Vec<u16> = list.members.iter().map(|vif| vif.get()).collect();
        assert!(world.adapters[0].lists[&list.list.get()].iter().copied().eq(members.iter().copied()));
        members
    };
    assert_eq!((members(100), members(101)), (vec![1, 2, 3], vec![3]));
    world.configure(|running| running.associate(100, [].into()).expect("nobody"));
    assert_eq!(world.state(1), "down (private-vlan 101 is not associated with 100)");
}

#[test]
fn a_profile_shuts_those_that_have_it_and_do_not_say_otherwise() {
    let mut world = profiled();
    assert_eq!((world.state(1).as_str(), world.state(2).as_str()), ("up", "up"));
    world.configure(|running| {
        running.make_vethernet(2).expect("room");
        running.vethernet_mut(2).expect("a vEth").switchport.shutdown = Some(false);
        running.port_profile_mut(&web()).expect("a profile").switchport.shutdown = Some(true);
    });
    assert_eq!((world.at(1), world.state(2).as_str()), (None, "up"));
    assert_eq!(world.state(1), VethState::Down(DownCause::Administratively).to_string());
    assert_eq!(world.known(0, 1).map(|(state, _)| state), Some(VifState::Disabled));
    world.configure(|running| {
        running.port_profile_mut(&web()).expect("a profile").switchport.shutdown = None;
    });
    assert_eq!(world.enable(0, 1), Ok(()));
    assert_eq!(world.state(1), "up");
}
