//! Which vEth a vNIC is: one test for each rule, and for each reason why it gets none.

use super::adapter::{ACTIVE, STANDBY, vnic};
use super::*;
use vntag::ctl::{EventCode, Provisioning, Request, Status, VifState};

fn channel(port: usize, channel: u16) -> Option<Binding> {
    Some(Binding::Channel { port: id(port), channel })
}

fn make(running: &mut RunningConfig, number: u32, binding: Option<Binding>) {
    running.make_vethernet(number).expect("room");
    running.bind(number, binding).expect("free");
}

#[test]
fn rule_1_the_same_identity_comes_before_any_binding() {
    let mut world = World::new();
    assert_eq!(world.create(0, 3, vnic(1), STANDBY), Ok((1, 1)));
    assert_eq!(world.delete(0, 1), Ok(()));
    world.configure(|running| make(running, 1, channel(0, 3)));
    assert_eq!(world.create(0, 3, vnic(1), STANDBY), Ok((2, 1)));
    world.configure(|running| make(running, 9, channel(1, 4)));
    assert_eq!(world.create(1, 4, vnic(1), STANDBY).map(|(_, veth)| veth), Ok(1));
}

#[test]
fn rule_2_a_channel_then_rule_3_an_address() {
    let mut world = World::new();
    let mac = Mac([0x52, 0x54, 0, 0, 0, 1]);
    world.configure(|running| {
        make(running, 7, channel(0, 3));
        make(running, 8, Some(Binding::Mac(mac)));
    });
    assert_eq!(world.create(0, 3, vnic(1), STANDBY), Ok((1, 7)));
    assert_eq!(
        world.create(0, 4, vnic(1).client_uuid(Uuid([9; 16])), STANDBY),
        Ok((2, 7)),
        "first UUID counts"
    );
    let other = || Provisioning::builder().profile("default").mac(mac).client_uuid(Uuid([9; 16]));
    assert_eq!(world.create(0, 5, other(), STANDBY), Ok((3, 8)));
}

#[test]
fn rule_4_a_new_one_gets_the_lowest_free_number_and_never_a_configured_one() {
    let mut world = World::new();
    world.configure(|running| make(running, 2, None));
    assert_eq!(world.create(0, 1, vnic(1), STANDBY), Ok((1, 1)));
    assert_eq!(world.create(0, 2, vnic(2), STANDBY), Ok((2, 3)), "vEth 2 is somebody's");
    assert_eq!(world.create(0, 3, vnic(3), STANDBY), Ok((3, 4)));
    assert_eq!(world.delete(0, 2), Ok(()));
    assert_eq!(world.create(0, 4, vnic(4), STANDBY), Ok((4, 3)));
}

#[test]
fn without_auto_create_only_bound_ones_are_found() {
    let mut world = World::new();
    world.configure(|running| running.set_auto_create(false));
    assert_eq!(world.create(0, 3, vnic(1), STANDBY), Err(Status::BADSTATE));
    assert_eq!(world.create(0, 3, vnic(1), STANDBY), Err(Status::BADSTATE));
    let cause = "no vEthernet is bound to it, and vethernet auto-create is off".to_owned();
    assert_eq!(world.pending(), [(3, cause, 2)]);
    world.configure(|running| make(running, 5, channel(0, 3)));
    let retry = Request::Event { code: EventCode::RETRY };
    assert_eq!(world.adapters[0].heard, [retry], "something has changed");
    assert_eq!(world.create(0, 3, vnic(1), STANDBY), Ok((1, 5)));
    assert_eq!(world.pending(), []);
}

#[test]
fn a_bound_veth_that_another_one_uses_is_not_given_away() {
    let mut world = World::new();
    world.configure(|running| make(running, 7, channel(0, 3)));
    assert_eq!(world.create(0, 3, vnic(1), STANDBY), Ok((1, 7)));
    assert_eq!(world.create(0, 3, vnic(2), STANDBY), Err(Status::BADSTATE));
    assert_eq!(world.delete(0, 1), Ok(()));
    assert!(world.adapters[0].heard.contains(&Request::Event { code: EventCode::RETRY }));
    let flush = world.flush(7);
    assert_eq!(world.create(0, 3, vnic(2), STANDBY), Ok((2, 7)));
    assert_ne!(world.flush(7), flush, "what was learned on it was another one's");
    assert_eq!(world.records[&7].identity.uuid, Uuid([2; 16]));
    assert_eq!(world.create(0, 4, vnic(1), STANDBY).map(|(_, veth)| veth), Ok(1), "it is not Veth7 any more");
}

#[test]
fn binding_a_veth_to_another_one_takes_it_away() {
    let mut world = World::new();
    assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
    world.configure(|running| make(running, 1, channel(0, 3)));
    assert_eq!(world.at(1), Some((0, 1)), "it is its own");
    world.configure(|running| running.bind(1, channel(0, 4)).expect("free"));
    assert_eq!((world.known(0, 1), world.state(1).as_str()), (None, "down (nonParticipating)"));
    assert!(world.records.is_empty());
    assert_eq!(world.create(0, 4, vnic(2), ACTIVE).map(|(_, veth)| veth), Ok(1));
    assert_eq!(world.create(0, 3, vnic(1), ACTIVE).map(|(_, veth)| veth), Ok(2));
}

#[test]
fn c5_c6_profiles_are_asked_for_typed_missing_disabled_and_full() {
    let mut world = World::new();
    let web = || Provisioning::builder().profile("web").mac(Mac([2; 6])).client_uuid(Uuid([2; 16]));
    let none = || Provisioning::builder().mac(Mac([2; 6])).client_uuid(Uuid([2; 16]));
    assert_eq!(world.create(0, 3, none(), STANDBY), Err(Status::INVALID));
    assert_eq!(world.create(0, 3, web(), STANDBY), Err(Status::UNKNOWN_PROFILE));
    assert_eq!(world.pending(), [(3, "no port-profile web".to_owned(), 2)]);
    world.configure(|running| {
        running.make_port_profile(&profile("web"), None).expect("room");
    });
    assert_eq!(world.adapters[0].heard, [Request::Event { code: EventCode::PROFILES }]);
    assert_eq!(world.create(0, 3, web(), STANDBY), Err(Status::UNKNOWN_PROFILE));
    assert_eq!(world.pending(), [(3, "port-profile web is not enabled".to_owned(), 3)]);
    world.configure(|running| {
        let web = running.port_profile_mut(&profile("web")).expect("a profile");
        (web.enabled, web.max_ports, web.switchport.access) = (true, Some(1), Some(20));
    });
    assert_eq!(world.create(0, 3, web(), STANDBY), Ok((1, 1)));
    assert_eq!(world.adapters[0].vifs[&1].params.vlan, 20);
    let second = || web().build().map(|_| vnic(3)).expect("a blob");
    let other = || Provisioning::builder().profile("web").mac(Mac([4; 6])).client_uuid(Uuid([4; 16]));
    assert_eq!(world.create(0, 4, other(), STANDBY), Err(Status::UNKNOWN_PROFILE));
    assert_eq!(world.pending(), [(4, "port-profile web has its max-ports of 1".to_owned(), 1)]);
    assert_eq!(world.create(0, 5, second(), STANDBY), Ok((2, 2)), "with another profile there is room");
    assert_eq!(world.control.asking("web").collect::<Vec<_>>(), [1]);
    // Who has it keeps it; a place that becomes free is told.
    world.configure(|running| {
        running.port_profile_mut(&profile("web")).expect("a profile").max_ports = Some(0);
    });
    assert_eq!(world.create(0, 3, web(), STANDBY), Ok((1, 1)));
    world.configure(|running| {
        running.port_profile_mut(&profile("web")).expect("a profile").max_ports = Some(1);
    });
    world.adapters[0].heard.clear();
    assert_eq!(world.delete(0, 1), Ok(()));
    assert_eq!(world.adapters[0].heard, [Request::Event { code: EventCode::RETRY }]);
    assert_eq!(world.create(0, 4, other(), STANDBY), Ok((3, 1)));
    // One that is typed goes first.
    world.configure(|running| {
        make(running, 9, channel(0, 9));
        running.set_profile(Owner::Vethernet(9), Some(ProfileName::default())).expect("a vEth");
    });
    assert_eq!(world.create(0, 9, none(), STANDBY), Ok((4, 9)));
    assert_eq!(world.adapters[0].vifs[&4].params.vlan, 1);
}

#[test]
fn c7_a_namespace_that_is_full_says_so() {
    let mut world = World::new();
    world.adapters[0].session = small(2);
    world.adapters[0].session.handle_link(world.now, true);
    world.run(4 * SECOND);
    assert_eq!(world.create(0, 1, vnic(1), STANDBY), Ok((1, 1)));
    assert_eq!(world.create(0, 2, vnic(2), STANDBY), Ok((2, 2)));
    assert_eq!(world.create(0, 3, vnic(3), STANDBY), Err(Status::INSUFFICIENT_RESOURCES));
    assert_eq!(world.control.veths().count(), 2, "no vEth without a VIF");
    let view = |world: &World| world.control.namespace(0).map(|ids| (ids.used, ids.size, ids.quarantine));
    assert_eq!(view(&world), Some((2, 2, 0)));
    assert_eq!(world.delete(0, 1), Ok(()));
    assert_eq!(view(&world), Some((2, 2, 1)));
    assert_eq!(world.create(0, 3, vnic(3), STANDBY), Err(Status::INSUFFICIENT_RESOURCES), "C19");
    world.adapters[0].heard.clear();
    world.run(2 * SECOND);
    assert_eq!(world.adapters[0].heard, [Request::Event { code: EventCode::RETRY }]);
    assert_eq!(world.create(0, 3, vnic(3), STANDBY), Ok((3, 1)), "C10: not the id that was used last");
}

fn small(vifs: u16) -> vntag::ctl::session::Session {
    use vntag::ctl::session::{Config, Session};
    use vntag::ctl::{Limits, Role};
    let node = (Uuid([7; 16]), Name::new("small").expect("a name"));
    let config = Config::new(Role::Iv, 77, Mac([2, 0, 0, 0, 0, 1]), node, "link0");
    Session::new(Config { limits: Limits { vifs, ..config.limits }, ..config })
}

#[test]
fn who_is_nobody_is_refused() {
    let mut world = World::new();
    let builder = Provisioning::builder;
    for (blob, why) in [
        (builder().mac(Mac([2; 6])), "no instance UUID in the request"),
        (builder().client_uuid(Uuid([1; 16])), "no MAC address in the request"),
        (
            builder().client_uuid(Uuid([1; 16])).mac(Mac::BROADCAST),
            "the MAC address in the request cannot be a vNIC's",
        ),
    ] {
        assert_eq!(world.create(0, 1, blob, STANDBY), Err(Status::INVALID));
        assert_eq!(world.pending()[0].1, why);
    }
    world.run(40 * SECOND);
    assert_eq!(world.pending(), [], "nobody asks any more");
}

#[test]
fn c8_asking_again_changes_nothing() {
    let mut world = World::new();
    assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
    let (footprint, told) = (world.control.footprint(), world.events.len());
    for _ in 0..3 {
        assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
    }
    assert_eq!((world.control.footprint(), world.events.len()), (footprint, told));
    assert_eq!(world.create(0, 3, vnic(1), STANDBY), Ok((1, 1)));
    assert_eq!(world.known(0, 1).map(|(state, _)| state), Some(VifState::Standby));
    assert_eq!(world.at(1), None);
}
