//! What the firmware does, story by story, over links without faults.

mod common;

use std::collections::BTreeSet;

use common::switch::{PARAMS, SwitchVif};
use common::{MS, SECOND, World, vnic};
use firmware_sim::fault::{Fault, FaultPlan, Rule, When};
use firmware_sim::life::Phase;
use firmware_sim::{CarrierCause, LinkId, Notice, Order, Output, VnicError, VnicId};
use vntag::ctl::session::Failure;
use vntag::ctl::{EventCode, Opcode, Request, Response, Status, VifParams, VifState, Vifs};
use vntag::ethernet::Mac;
use vntag::{ListId, Uuid, VifId};

const LINK: LinkId = LinkId(0);
const BACKUP: LinkId = LinkId(1);

/// A world in which vNIC 1 is active.
fn running(links: u16) -> (World, VnicId) {
    let mut world = World::new(1, links);
    let id = world.add(1, links > 1);
    world.run(SECOND);
    assert_eq!(phase(&world, id, 0), Some(Phase::Active));
    (world, id)
}

fn phase(world: &World, id: VnicId, link: u16) -> Option<Phase> {
    let told = world.firmware.vnic(id)?;
    told.vifs.iter().find(|vif| vif.link == LinkId(link)).map(|vif| vif.phase)
}

fn vif(number: u16) -> VifId {
    VifId::new(number).expect("a VIF")
}

fn list(number: u16) -> ListId {
    ListId::new(number).expect("a list")
}

fn last_answer(world: &World) -> &Result<Response, Failure> {
    &world.switch.answers.last().expect("an answer").1
}

fn status(world: &World) -> Option<Status> {
    match last_answer(world) {
        Err(Failure::Refused(refusal)) => Some(refusal.status),
        _ => None,
    }
}

#[test]
fn rings_make_a_vif_active_and_standby_without_a_carrier_change() {
    let (mut world, id) = running(1);
    assert_eq!(world.in_path(0, id), Some((vif(1), VifState::Active)));
    for (rings, state) in [(false, VifState::Standby), (true, VifState::Active)] {
        world.firmware.set_rings(world.now, id, rings);
        world.run(SECOND);
        assert_eq!(world.in_path(0, id), Some((vif(1), state)));
        assert_eq!(world.switch.state(LINK, vif(1)), Some(state));
    }
    assert_eq!(world.carrier_changes, []);
}

#[test]
fn a_vnic_without_a_guest_is_standby() {
    let mut world = World::new(1, 1);
    world.firmware.set_vnic(0, VnicId(1), vnic(1, false)).expect("a vNIC");
    world.run(SECOND);
    assert_eq!(world.in_path(0, VnicId(1)), Some((vif(1), VifState::Standby)));
    assert!(world.carrier_is_up(VnicId(1)));
}

#[test]
fn c2_a_removed_vnic_is_out_of_every_list_before_its_vif_is_given_back() {
    let (mut world, id) = running(1);
    world.add(2, false);
    world.run(SECOND);
    let both = BTreeSet::from([vif(1), vif(2)]);
    world.switch.list(world.now, LINK, list(1), &both);
    world.switch.list(world.now, LINK, list(2), &BTreeSet::from([vif(1)]));
    world.run(SECOND);
    // The scripted switch and data path hold the order of it: out of the lists, out of the table, VIF_DELETE.
    world.firmware.remove_vnic(world.now, id);
    world.run(SECOND);
    assert_eq!(world.path.lists[&(LINK, list(1))], [vif(2)]);
    assert_eq!(world.path.lists[&(LINK, list(2))], []);
    assert_eq!((world.in_path(0, id), world.switch.state(LINK, vif(1))), (None, None));
    assert_eq!(world.firmware.vnic(id), None);
}

#[test]
fn c3_a_shut_vif_takes_the_link_down_before_its_frames() {
    let (mut world, id) = running(1);
    world.switch.set(world.now, LINK, vif(1), VifState::Disabled);
    let mut seen = Vec::new();
    for _ in 0..20 {
        while let Some(frame) = world.firmware.poll_transmit(world.now, LINK) {
            world.switch.handle_frame(world.now, LINK, &frame);
        }
        let path = common::Path::default();
        for frame in world.switch.poll(world.now, LINK, &path, &mut common::Random(1)) {
            world.firmware.handle_frame(world.now, LINK, &frame);
        }
        while let Some(output) = world.firmware.poll_output() {
            seen.push(output);
        }
    }
    let down = seen.iter().position(|at| matches!(at, Output::Carrier { down: Some(_), .. }));
    let order = seen
        .iter()
        .position(|at| matches!(at, Output::Order(_, Order::SetVif { state: VifState::Disabled, .. })));
    assert!(down.is_some() && down < order, "{seen:?}");
    assert!(matches!(world.firmware.vnic(id).and_then(|at| at.down), Some(CarrierCause::Disabled(_))));
    // Nothing was confirmed, so nothing was answered.
    assert!(world.switch.answers.is_empty());
}

#[test]
fn a_shut_vif_comes_back_with_two_carrier_changes() {
    let (mut world, id) = running(1);
    world.switch.set(world.now, LINK, vif(1), VifState::Disabled);
    world.run(SECOND);
    assert_eq!(world.in_path(0, id), Some((vif(1), VifState::Disabled)));
    assert!(!world.carrier_is_up(id));
    world.switch.set(world.now, LINK, vif(1), VifState::Standby);
    world.run(SECOND);
    assert_eq!(world.in_path(0, id), Some((vif(1), VifState::Active)));
    assert_eq!(world.carrier_changes.iter().map(|at| at.2).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_refused_create_is_pending_and_tried_each_five_seconds_and_at_once_on_event() {
    let mut world = World::new(1, 1);
    world.switch.refuse = 100;
    let id = world.add(1, false);
    world.run(12 * SECOND);
    let told = world.firmware.vnic(id).expect("a vNIC");
    assert_eq!((told.vifs[0].phase, told.vifs[0].tries), (Phase::Pending, 3));
    assert_eq!(told.vifs[0].cause.as_ref().map(|at| at.0), Some(Status::UNKNOWN_PROFILE));
    assert_eq!(told.down, Some(CarrierCause::Refused("UNKNOWN_PROFILE: no such profile".to_owned())));
    world.switch.refuse = 0;
    world.switch.send(world.now, LINK, Request::Event { code: EventCode::RETRY });
    world.run(10 * MS);
    assert_eq!(phase(&world, id, 0), Some(Phase::Active));
    assert!(world.carrier_is_up(id));
}

#[test]
fn a_switch_back_within_carrier_delay_changes_no_carrier() {
    let (mut world, id) = running(1);
    world.switch.list(world.now, LINK, list(1), &BTreeSet::from([vif(1)]));
    world.run(SECOND);
    world.restart_switch();
    world.run(10 * SECOND);
    assert_eq!(world.in_path(0, id), Some((vif(1), VifState::Active)));
    assert_eq!(world.carrier_changes, []);
    assert!(world.path.lists.is_empty(), "lists of a switch that is gone mean nothing");
}

#[test]
fn c9_a_lost_switch_takes_the_carrier_down_after_carrier_delay_and_the_vifs_after_hold() {
    let (mut world, id) = running(1);
    let lost = world.now;
    world.firmware.handle_link(lost, LINK, false);
    world.run(2900 * MS);
    assert!(world.carrier_is_up(id));
    world.run(200 * MS);
    assert_eq!(world.carrier_changes, [(lost + 3 * SECOND, id, false)]);
    assert_eq!(world.firmware.vnic(id).and_then(|at| at.down), Some(CarrierCause::NoPeer));
    assert_eq!(world.in_path(0, id), Some((vif(1), VifState::Active)), "kept for its return");
    world.run(57 * SECOND);
    assert_eq!(world.in_path(0, id), None);
    assert_eq!(world.firmware.counters().fw_hold_expired, 1);
    world.firmware.handle_link(world.now, LINK, true);
    world.run(40 * SECOND);
    assert_eq!(world.in_path(0, id), Some((vif(1), VifState::Active)));
    assert!(world.carrier_is_up(id));
}

#[test]
fn no_switch_at_all_is_a_lost_one() {
    let mut world = World::new(1, 1);
    world.cut.insert(LINK);
    let id = world.add(1, false);
    world.run(4 * SECOND);
    assert_eq!(world.carrier_changes, [(3 * SECOND, id, false)]);
}

#[test]
fn the_backup_takes_over_and_gives_back() {
    let (mut world, id) = running(2);
    assert_eq!(world.in_path(1, id).map(|at| at.1), Some(VifState::Standby));
    world.cut.insert(LINK);
    world.run(8 * SECOND);
    assert_eq!(world.in_path(1, id).map(|at| at.1), Some(VifState::Active));
    assert_eq!(world.in_path(0, id).map(|at| at.1), Some(VifState::Standby));
    assert!(world.carrier_is_up(id));
    world.cut.remove(&LINK);
    world.run(40 * SECOND);
    assert_eq!(world.in_path(0, id).map(|at| at.1), Some(VifState::Active));
    assert_eq!(world.in_path(1, id).map(|at| at.1), Some(VifState::Standby));
    assert_eq!(world.switch.state(BACKUP, vif(1)), Some(VifState::Standby));
}

#[test]
fn another_claimant_keeps_it_down_until_it_lets_go() {
    let (mut world, id) = running(1);
    world.switch.set(world.now, LINK, vif(1), VifState::Standby);
    world.run(500 * MS);
    assert_eq!(phase(&world, id, 0), Some(Phase::Claimed));
    assert!(!world.carrier_is_up(id));
    world.run(SECOND);
    assert_eq!(phase(&world, id, 0), Some(Phase::Active), "asked again after a second");
    assert!(world.carrier_is_up(id));
}

#[test]
fn asking_again_for_a_claimed_vif_changes_no_carrier() {
    let (mut world, id) = running(2);
    let claimant = |state| SwitchVif { identity: (Uuid([1; 16]), vnic(1, false).mac), state };
    let other = vif(77);
    world.switch.port(BACKUP).vifs.insert(other, claimant(VifState::Active));
    world.firmware.set_vnic(world.now, id, vnic(1, false)).expect("no backup any more");
    world.switch.set(world.now, LINK, vif(1), VifState::Standby);
    world.run(10 * SECOND);
    assert_eq!(phase(&world, id, 0), Some(Phase::Claimed));
    assert_eq!(world.carrier_changes.iter().map(|change| change.2).collect::<Vec<_>>(), [false]);
    world.switch.port(BACKUP).vifs.insert(other, claimant(VifState::Standby));
    world.run(2 * SECOND);
    assert_eq!(phase(&world, id, 0), Some(Phase::Active));
    assert_eq!(world.carrier_changes.iter().map(|change| change.2).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_vif_taken_away_is_asked_for_again() {
    let (mut world, id) = running(1);
    world.switch.set(world.now, LINK, vif(1), VifState::Deleted);
    world.run(SECOND);
    assert_eq!((phase(&world, id, 0), world.in_path(0, id)), (Some(Phase::Pending), None));
    assert!(!world.carrier_is_up(id));
    world.run(5 * SECOND);
    assert_eq!(phase(&world, id, 0), Some(Phase::Active));
    // Deleting what is not there is done.
    world.switch.send(world.now, LINK, Request::VifDelete { vif: vif(99) });
    world.run(SECOND);
    assert_eq!(*last_answer(&world), Ok(Response::VifDelete));
}

#[test]
fn another_profile_is_another_vif() {
    let (mut world, id) = running(1);
    let before = world.switch.requests.len();
    let mut config = vnic(1, false);
    config.profile = "web".to_owned();
    world.firmware.set_vnic(world.now, id, config).expect("a vNIC");
    world.run(SECOND);
    let since: Vec<Opcode> = world.switch.requests[before..].iter().map(Request::opcode).collect();
    assert_eq!(since, [Opcode::VIF_DELETE, Opcode::VIF_CREATE]);
    assert_eq!(world.in_path(0, id), Some((vif(1), VifState::Active)));
}

#[test]
fn parameters_and_link_state_reach_the_data_path_and_the_guest() {
    let (mut world, id) = running(1);
    let params = Some(VifParams { vlan: 7, ..PARAMS });
    let vifs = Vifs::one(vif(1));
    let request = Request::VifSet { vifs: vifs.clone(), state: None, params, cause: None };
    world.switch.send(world.now, LINK, request);
    world.run(SECOND);
    assert_eq!(*last_answer(&world), Ok(Response::VifSet));
    assert_eq!(world.path.params.get(&(LINK, vif(1))).copied(), params);
    assert_eq!(world.in_path(0, id), Some((vif(1), VifState::Active)));
    for up in [false, true] {
        world.switch.send(world.now, LINK, Request::LinkState { vifs: vifs.clone(), up });
        world.run(SECOND);
        assert_eq!(world.carrier_is_up(id), up);
    }
    let request = Request::LinkState { vifs: Vifs::one(vif(77)), up: true };
    world.switch.send(world.now, LINK, request);
    world.run(SECOND);
    assert_eq!(status(&world), Some(Status::UNKNOWN_VIF));
}

#[test]
fn parameters_count_for_more_than_an_older_answer_that_is_repeated() {
    let (mut world, id) = running(1);
    world.firmware.set_rings(world.now, id, false);
    world.run(SECOND);
    world.firmware.set_rings(world.now, id, true);
    world.drain();
    // The request is on its way; its answer will be lost.
    world.cut.insert(LINK);
    world.run(MS);
    assert_eq!(world.switch.state(LINK, vif(1)), Some(VifState::Active));
    assert_eq!(phase(&world, id, 0), Some(Phase::Enabling));
    world.cut.clear();
    let params = Some(VifParams { vlan: 7, ..PARAMS });
    let request = Request::VifSet { vifs: Vifs::one(vif(1)), state: None, params, cause: None };
    world.switch.send(world.now, LINK, request);
    world.run(SECOND);
    assert_eq!(phase(&world, id, 0), Some(Phase::Active));
    assert_eq!(world.path.params.get(&(LINK, vif(1))).copied(), params);
}

#[test]
fn lists_have_generations_and_are_read_in_pieces() {
    let (mut world, _) = running(1);
    let members = |range: std::ops::Range<u16>| Vifs::new(range.map(vif)).expect("few enough");
    let set = |generation, members| Request::ListSet { list: list(1), generation, members };
    let mut ask = |request| {
        world.switch.send(world.now, LINK, request);
        world.run(SECOND);
        last_answer(&world).clone()
    };
    let refused = |answer: Result<Response, Failure>| match answer {
        Err(Failure::Refused(refusal)) => refusal.status,
        other => panic!("{other:?}"),
    };
    assert_eq!(ask(set(5, members(1..513))), Ok(Response::ListSet));
    assert_eq!(ask(set(5, members(1..513))), Ok(Response::ListSet), "the same again");
    assert_eq!(refused(ask(set(4, members(1..2)))), Status::STALE);
    let add = |generation, add| Request::ListMod { list: list(1), generation, add, del: members(1..3) };
    assert_eq!(ask(add(6, members(513..900))), Ok(Response::ListMod));
    assert_eq!(refused(ask(add(6, members(900..901)))), Status::STALE);
    let get = |after| Request::ListGet { list: list(1), after };
    let Ok(Response::ListGet { generation: 6, members: first, more: true }) = ask(get(None)) else {
        panic!("more than fit");
    };
    let last = first.as_slice().last().copied();
    let Ok(Response::ListGet { members: rest, more: false, .. }) = ask(get(last)) else {
        panic!("the rest fits");
    };
    assert_eq!(first.iter().chain(rest.iter()).collect::<Vec<_>>(), (3..900).map(vif).collect::<Vec<_>>());
    assert_eq!(ask(set(7, Vifs::default())), Ok(Response::ListSet));
    assert_eq!(refused(ask(get(None))), Status::INVALID);
    assert!(world.path.lists.is_empty());
}

#[test]
fn statistics_come_from_the_data_path() {
    let (mut world, _) = running(1);
    world.switch.send(world.now, LINK, Request::StatsGet { vif: vif(1) });
    world.run(SECOND);
    assert!(matches!(last_answer(&world), Ok(Response::StatsGet { counters }) if counters.0 == [1; 16]));
    world.switch.send(world.now, LINK, Request::StatsGet { vif: vif(9) });
    world.run(SECOND);
    assert_eq!(status(&world), Some(Status::UNKNOWN_VIF));
}

#[test]
fn an_announcement_waits_for_an_active_vif() {
    let mut world = World::new(1, 1);
    let id = world.add(1, false);
    let mac = Mac([2, 0, 0, 0, 0, 9]);
    world.firmware.announce(0, id, Mac([2, 0, 0, 0, 0, 8]));
    world.firmware.announce(0, id, mac);
    world.run(SECOND);
    assert_eq!(world.switch.requests.last(), Some(&Request::Announce { vif: vif(1), mac }));
    assert_eq!(world.switch.requests.iter().filter(|at| at.opcode() == Opcode::ANNOUNCE).count(), 1);
}

#[test]
fn vnics_that_cannot_be_are_refused_by_name() {
    let mut world = World::new(1, 1);
    let mut set = |change: fn(&mut firmware_sim::VnicConfig)| {
        let mut config = vnic(2, false);
        change(&mut config);
        world.firmware.set_vnic(0, VnicId(2), config)
    };
    assert_eq!(set(|config| config.link = LinkId(3)), Err(VnicError::NoLink(LinkId(3))));
    assert_eq!(set(|config| config.backup = Some(LINK)), Err(VnicError::SameLink));
    assert_eq!(set(|config| config.mac = Mac::BROADCAST), Err(VnicError::Mac(Mac::BROADCAST)));
    assert!(matches!(set(|config| config.profile = "a\nb".into()), Err(VnicError::Provisioning(_))));
    assert_eq!(set(|_| {}), Ok(()));
    let channel = world.firmware.set_vnic(0, VnicId(3), vnic(2, false));
    assert_eq!(channel, Err(VnicError::Channel { channel: 2, link: LINK }));
}

#[test]
fn faults_happen_as_planned() {
    let mut world = World::new(1, 1);
    let rule = |opcode, when, fault| Rule { opcode, when, fault };
    world.firmware.set_faults(FaultPlan {
        seed: 0,
        rules: vec![
            rule(Opcode::VIF_CREATE, When::Nth(2), Fault::Refuse(Status::INSUFFICIENT_RESOURCES)),
            rule(Opcode::LIST_SET, When::Nth(1), Fault::Pretend),
            rule(Opcode::LIST_SET, When::Nth(2), Fault::Late(2 * SECOND)),
            rule(Opcode::LIST_SET, When::Nth(3), Fault::Forget),
            rule(Opcode::EVENT, When::Every(1), Fault::Refuse(Status::ERROR)),
        ],
    });
    let ids = [world.add(1, false), world.add(2, false), world.add(3, false)];
    world.run(SECOND);
    let phases = ids.map(|id| phase(&world, id, 0));
    assert_eq!(phases, [Some(Phase::Active), Some(Phase::Pending), Some(Phase::Active)]);
    world.run(6 * SECOND);
    assert_eq!(phase(&world, ids[1], 0), Some(Phase::Active), "the next try is the fourth");

    let one = BTreeSet::from([vif(1)]);
    world.switch.list(world.now, LINK, list(1), &one);
    world.run(SECOND);
    assert!(world.switch.port(LINK).lists[&list(1)].acknowledged && world.path.lists.is_empty());
    world.switch.list(world.now, LINK, list(2), &one);
    world.run(SECOND);
    assert!(!world.switch.port(LINK).lists[&list(2)].acknowledged);
    assert!(world.path.lists.contains_key(&(LINK, list(2))));
    world.run(2 * SECOND);
    assert!(world.switch.port(LINK).lists[&list(2)].acknowledged);
    world.switch.list(world.now, LINK, list(3), &one);
    world.run(30 * SECOND);
    assert!(!world.switch.port(LINK).lists[&list(3)].acknowledged);
    assert!(world.path.lists.contains_key(&(LINK, list(3))));
    world.switch.send(world.now, LINK, Request::Event { code: EventCode::RETRY });
    world.run(SECOND);
    assert_eq!(status(&world), Some(Status::ERROR));
    let told = world.notices.iter().filter(|at| matches!(at, Notice::Fault { .. })).count();
    assert_eq!((told, world.firmware.counters().fw_faults), (5, 4));
}

/// 4,000 VIFs over a link of 25 us one way.
#[test]
fn four_thousand_vnics_come_up_within_a_second() {
    let mut world = World::new(1, 1);
    world.run(5 * SECOND);
    let start = world.now;
    for number in 1..=4000_u32 {
        let mut config = vnic(number, false);
        config.uuid.0[..4].copy_from_slice(&number.to_be_bytes());
        let id = VnicId(number);
        world.firmware.set_vnic(start, id, config).expect("a vNIC");
        world.firmware.set_rings(start, id, true);
    }
    let mut done = None;
    world.run_with(start + SECOND, |world| {
        let active = world.path.vifs.values().filter(|at| at.1 == VifState::Active).count();
        if active == 4000 && done.is_none() {
            done = Some(world.now - start);
        }
    });
    assert!(done.is_some_and(|time| time < SECOND), "{done:?}");
}
