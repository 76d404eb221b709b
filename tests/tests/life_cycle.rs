//! The life-cycle table of the control plane (docs/protocol.md), row by row, on a whole network: by frames, and by what
//! `show` prints.

use firmware_sim::life::Phase;
use firmware_sim::{CarrierCause, LinkId, VnicConfig, VnicId};
use niv_lab::control::vnic;
use niv_lab::weather::{MS, SECOND};
use niv_lab::world::frames::{BROADCAST, frame, mac};
use niv_lab::world::{NivWorld, Setup};

/// What guest `number` says to everybody.
fn hello(number: u16) -> Vec<u8> {
    frame(BROADCAST, mac(number)).ipv4(46)
}

/// A world with one adapter and one host that has come up.
fn world() -> NivWorld {
    world_with(Setup::default())
}

fn world_with(setup: Setup) -> NivWorld {
    let mut world = NivWorld::new(setup);
    world.run(SECOND);
    world
}

/// A vNIC's configuration: its number is that of its identity, its address and its channel.
fn named(number: u16, profile: &str) -> VnicConfig {
    VnicConfig { profile: profile.to_owned(), ..vnic(u32::from(number), number) }
}

#[track_caller]
fn shows(world: &mut NivWorld, line: &str, what: &str) {
    let shown = world.show(line);
    assert!(shown.contains(what), "{line} does not show {what:?} but\n{shown}");
}

#[track_caller]
fn veth(world: &mut NivWorld, number: u32, what: &str) {
    shows(world, &format!("show interface vethernet {number}"), &format!("Vethernet{number} is {what}"));
}

fn exists(world: &mut NivWorld, number: u32) -> bool {
    world.show("show interface virtual").contains(&format!("Veth{number} "))
}

fn phase(world: &mut NivWorld, adapter: usize, id: VnicId) -> Option<Phase> {
    Some(world.adapter(adapter).firmware.vnic(id)?.vifs.first()?.phase)
}

/// The VIF and vEth of a vNIC on its first link.
fn vif(world: &mut NivWorld, adapter: usize, id: VnicId) -> (u16, u32) {
    let told = world.adapter(adapter).firmware.vnic(id).expect("a vNIC");
    let (vif, veth) = told.vifs[0].vif.expect("it has a VIF");
    (vif.get(), veth)
}

/// Why a guest's carrier is down, in words.
fn carrier(world: &mut NivWorld, adapter: usize, id: VnicId) -> Option<String> {
    world.adapter(adapter).down.get(&id).map(CarrierCause::to_string)
}

/// Frames that the host has got since this was last asked.
fn frames_to_host(world: &mut NivWorld) -> usize {
    world.hosts[0].received().len()
}

/// Which of these vNICs, all of one adapter and with guests, hear what the host says to everybody in a VLAN.
fn hearing(world: &mut NivWorld, vlan: u16, ids: &[VnicId]) -> Vec<VnicId> {
    ids.iter().for_each(|id| drop(world.received(0, *id)));
    world.host_sends(0, &frame(BROADCAST, mac(0x99)).vlan(vlan, 0).ipv4(46));
    ids.iter().copied().filter(|id| !world.received(0, *id).is_empty()).collect()
}

/// Whether what a guest says to everybody arrives at the host.
fn is_heard(world: &mut NivWorld, id: VnicId, number: u16) -> bool {
    frames_to_host(world);
    world.send(0, id, &hello(number));
    frames_to_host(world) == 1
}

#[test]
fn a_vnic_without_a_guest_has_a_vif_and_passes_nothing() {
    let mut world = world();
    let a = world.add_as(0, named(1, "default"), false);
    world.add(0, 2);
    world.run(SECOND);
    assert_eq!(phase(&mut world, 0, a), Some(Phase::Standby));
    veth(&mut world, 1, "down (nonParticipating)");
    shows(&mut world, "show interface virtual status", "standby");
    assert_eq!(carrier(&mut world, 0, a), None, "its own rings never take the link down");
    // C12: nothing passes in either direction.
    world.host_sends(0, &hello(9));
    assert_eq!(world.received(0, VnicId(2)), [hello(9)]);
    world.host_sends(0, &frame(mac(1), mac(9)).ipv4(46));
    assert_eq!(world.received(0, VnicId(2)).len(), 1, "nobody is known to have that address: flooded");
    assert!(world.received(0, a).is_empty());
    assert_eq!(world.adapter(0).drops(), [], "it is in no list");
}

#[test]
fn a_guest_that_reboots_keeps_vif_veth_counters_and_addresses() {
    let mut world = world();
    let (a, b) = (world.add(0, 1), world.add(0, 2));
    world.run(SECOND);
    veth(&mut world, 1, "up");
    world.send(0, a, &hello(1));
    assert_eq!((world.received(0, b), frames_to_host(&mut world)), (vec![hello(1)], 1));
    let before = vif(&mut world, 0, a);
    shows(&mut world, "show interface vethernet 1", "1 input packets  64 bytes");

    world.rings(0, a, false);
    world.run(SECOND);
    assert_eq!(phase(&mut world, 0, a), Some(Phase::Standby));
    veth(&mut world, 1, "down (nonParticipating)");
    shows(&mut world, "show interface vethernet 1", "1 input packets  64 bytes");
    assert_eq!(carrier(&mut world, 0, a), None);

    world.rings(0, a, true);
    world.run(SECOND);
    assert_eq!(vif(&mut world, 0, a), before);
    veth(&mut world, 1, "up");
    shows(&mut world, "show interface vethernet 1", "1 input packets  64 bytes");
    // Its address is known without another word from it: what is for it goes nowhere else.
    let to = frame(mac(1), mac(9)).ipv4(46);
    world.host_sends(0, &to);
    assert_eq!(world.received(0, a), [to]);
    assert!(world.received(0, b).is_empty(), "not flooded");
}

#[test]
fn a_vnic_that_is_removed_takes_a_dynamic_veth_with_it() {
    let mut world = world();
    world.configure("interface vethernet 5\n bind interface ethernet 1/1 channel 7\n description kept\n");
    let (a, b) = (world.add(0, 1), world.add(0, 7));
    world.run(SECOND);
    assert_eq!((vif(&mut world, 0, a).1, vif(&mut world, 0, b).1), (1, 5));
    veth(&mut world, 5, "up");
    world.remove(0, a);
    world.remove(0, b);
    world.run(SECOND);
    assert!(!exists(&mut world, 1));
    veth(&mut world, 5, "down (nonParticipating)");
    shows(&mut world, "show interface virtual status", "Veth5");
    assert_eq!(world.vis().value("show interface ethernet 1/1")["vifs"]["used"], 2, "both in quarantine");
    world.run(3 * SECOND);
    assert_eq!(world.vis().value("show interface ethernet 1/1")["vifs"]["used"], 0);
}

#[test]
fn an_adapter_that_is_back_within_the_hold_time_has_its_vifs_and_addresses() {
    let mut world = world();
    let ids = [5, 6, 7].map(|number| world.add(0, number));
    world.run(SECOND);
    let before = ids.map(|id| vif(&mut world, 0, id));
    world.send(0, ids[0], &hello(5));
    frames_to_host(&mut world);
    for id in ids {
        world.received(0, id);
    }

    world.kill_adapter(0);
    world.run(30 * SECOND);
    veth(&mut world, before[0].1, "down (link lost)");
    world.start_adapter(0);
    world.run(2 * SECOND);
    assert_eq!(ids.map(|id| vif(&mut world, 0, id)), before);
    let to = [frame(mac(5), mac(9)).ipv4(46)];
    world.host_sends(0, &to[0]);
    assert_eq!(world.received(0, ids[0]), to);
    assert!(world.received(0, ids[1]).is_empty(), "its address was kept");

    // Later than that the vEths are the same, and nothing learned.
    world.kill_adapter(0);
    world.run(90 * SECOND);
    world.start_adapter(0);
    world.run(2 * SECOND);
    assert_eq!(ids.map(|id| vif(&mut world, 0, id).1), before.map(|(_, veth)| veth));
    world.host_sends(0, &to[0]);
    assert_eq!(world.received(0, ids[0]), to);
    assert_eq!(world.received(0, ids[1]), to, "flooded: nothing was learned");
}

#[test]
fn a_switch_that_restarts_has_the_same_veths_and_counters() {
    let mut world = world();
    let ids = [1, 2, 3].map(|number| world.add(0, number));
    world.run(SECOND);
    // Numbers that do not follow from the order in which they come back.
    world.remove(0, ids[0]);
    world.run(3 * SECOND);
    let a = world.add(0, 9);
    world.run(SECOND);
    let all = [a, ids[1], ids[2]];
    let before = all.map(|id| vif(&mut world, 0, id).1);
    world.send(0, ids[1], &hello(2));
    shows(&mut world, "show interface vethernet 2", "1 input packets  64 bytes");
    let boot = |world: &mut NivWorld| {
        let session = world.adapter(0).firmware.session(LinkId(0)).expect("a link");
        session.peer().map(|peer| peer.hello.boot_id)
    };
    let life = boot(&mut world);

    world.kill_switch();
    world.run(SECOND);
    world.start_switch();
    world.run(2 * SECOND);
    assert_ne!(boot(&mut world), life);
    assert_eq!(all.map(|id| vif(&mut world, 0, id).1), before);
    assert!(all.iter().all(|id| carrier(&mut world, 0, *id).is_none()), "back within carrier-delay");
    shows(&mut world, "show interface vethernet 2", "1 input packets  64 bytes");
    world.send(0, ids[1], &hello(2));
    assert_eq!(world.received(0, ids[2]), [hello(2), hello(2)]);
    shows(&mut world, "show interface vethernet 2", "2 input packets  128 bytes");
}

#[test]
fn a_vnic_whose_profile_is_unknown_or_disabled_is_refused_until_it_is_there() {
    let mut world = world();
    world.configure("port-profile later\n switchport access vlan 10\n");
    let unknown = world.add_as(0, named(1, "nonesuch"), true);
    let disabled = world.add_as(0, named(2, "later"), true);
    world.run(11 * SECOND);
    let row = |world: &mut NivWorld, channel: u64| {
        let rows = world.vis().value("show interface virtual pending");
        rows.as_array().expect("rows").iter().find(|row| row["channel"] == channel).cloned()
    };
    let [first, second] = [1, 2].map(|channel| row(&mut world, channel).expect("a row"));
    assert!(first["cause"].as_str().expect("a cause").contains("nonesuch"), "{first}");
    assert!(second["cause"].as_str().expect("a cause").contains("later"), "{second}");
    assert_eq!((&first["tries"], &second["tries"]), (&3.into(), &3.into()), "tried again each 5 s");
    for id in [unknown, disabled] {
        let down = carrier(&mut world, 0, id).expect("its carrier is down");
        assert!(down.starts_with("refused: UNKNOWN_PROFILE"), "{down}");
    }
    shows(&mut world, "show interface virtual pending", "UNKNOWN_PROFILE");

    // At once, and not when it is time to try again.
    world.configure("port-profile later\n state enabled\nport-profile nonesuch\n state enabled\n");
    world.run(10 * MS);
    assert!(world.active(0, unknown).is_some() && world.active(0, disabled).is_some());
    assert_eq!((carrier(&mut world, 0, unknown), carrier(&mut world, 0, disabled)), (None, None));
    shows(&mut world, "show interface virtual pending", "Total 0");
}

#[test]
fn a_profile_that_is_full_refuses_more_and_cuts_nobody() {
    let mut world = world();
    world.configure("port-profile few\n max-ports 2\n state enabled\n");
    let ids = [1, 2, 3].map(|number| world.add_as(0, named(number, "few"), true));
    world.run(SECOND);
    assert!(world.active(0, ids[0]).is_some() && world.active(0, ids[1]).is_some());
    assert_eq!(phase(&mut world, 0, ids[2]), Some(Phase::Pending));
    assert!(carrier(&mut world, 0, ids[2]).is_some_and(|down| down.contains("few")));
    shows(&mut world, "show interface virtual pending", "UNKNOWN_PROFILE");
    shows(&mut world, "show interface virtual pending", "port-profile few has its max-ports of 2");
    assert_eq!(hearing(&mut world, 1, &ids), ids[..2]);

    // Lowered below what is in use: accepted, nobody is cut, no new one.
    world.configure("port-profile few\n max-ports 1\n");
    world.run(SECOND);
    assert!(world.active(0, ids[0]).is_some() && world.active(0, ids[1]).is_some());
    assert_eq!(hearing(&mut world, 1, &ids), ids[..2]);
    world.remove(0, ids[1]);
    world.run(6 * SECOND);
    assert_eq!(phase(&mut world, 0, ids[2]), Some(Phase::Pending), "there is still no room");
    // Room at last: at once.
    world.remove(0, ids[0]);
    world.run(10 * MS);
    assert!(world.active(0, ids[2]).is_some());
    assert_eq!(carrier(&mut world, 0, ids[2]), None);
    assert!(is_heard(&mut world, ids[2], 3));
}

#[test]
fn a_profile_that_is_disabled_takes_its_veths_down_at_once() {
    let mut world = world();
    world.configure("port-profile web\n switchport access vlan 10\n state enabled\n");
    let (a, b) = (world.add_as(0, named(1, "web"), true), world.add(0, 2));
    world.run(SECOND);
    world.configure("interface vethernet 1\n description mine\n");
    assert_eq!((hearing(&mut world, 10, &[a, b]), is_heard(&mut world, a, 1)), (vec![a], true));
    world.configure("port-profile web\n no state enabled\n");
    world.run(10 * MS);
    assert_eq!((hearing(&mut world, 10, &[a, b]), is_heard(&mut world, a, 1)), (vec![], false));
    assert!(is_heard(&mut world, b, 2));
    veth(&mut world, 1, "down (profile disabled)");
    assert_eq!(carrier(&mut world, 0, a).as_deref(), Some("disabled by the switch: profile disabled"));
    assert_eq!(carrier(&mut world, 0, b), None);
    shows(&mut world, "show running-config", "description mine");
    assert_eq!(world.active(0, a), None);
    world.configure("port-profile web\n state enabled\n");
    world.run(10 * MS);
    veth(&mut world, 1, "up");
    assert_eq!(carrier(&mut world, 0, a), None);
    assert_eq!((hearing(&mut world, 10, &[a, b]), is_heard(&mut world, a, 1)), (vec![a], true));
}

#[test]
fn a_profile_in_use_is_not_removed() {
    let mut world = world();
    world.configure("port-profile web\n state enabled\n");
    for number in 1..=7 {
        world.add_as(0, named(number, "web"), true);
    }
    world.run(SECOND);
    let refused = world.vis().configure("no port-profile web\n").expect_err("it is in use").to_string();
    assert!(refused.contains('7') && refused.contains("Veth1, Veth2, Veth3, Veth4, Veth5"), "{refused}");
    assert!(!refused.contains("Veth6"), "{refused}");
    for number in 1..=7 {
        world.remove(0, VnicId(number));
    }
    world.run(SECOND);
    // What others inherit is in use as well.
    world.configure("port-profile db\n inherit port-profile web\n");
    let refused = world.vis().configure("no port-profile web\n").expect_err("it is inherited").to_string();
    assert!(refused.contains("db"), "{refused}");
    world.configure("no port-profile db\nno port-profile web\n");
}

/// Two adapters, the same instance at both: with these incarnation numbers.
fn claimed(first: Option<u64>, second: Option<u64>) -> (NivWorld, VnicId) {
    let mut world = world_with(Setup { adapters: 2, ..Setup::default() });
    let claim = |incarnation| VnicConfig { incarnation, ..vnic(1, 4) };
    let id = world.add_as(0, claim(first), true);
    world.run(SECOND);
    world.add_as(1, claim(second), true);
    world.run(10 * MS);
    (world, id)
}

/// Who of the two hears what is for them.
fn heard(world: &mut NivWorld, id: VnicId) -> [usize; 2] {
    world.host_sends(0, &frame(BROADCAST, mac(9)).ipv4(46));
    [world.received(0, id).len(), world.received(1, id).len()]
}

#[test]
fn a_second_claimant_stands_by_and_takes_over_when_the_first_lets_go() {
    let (mut world, id) = claimed(None, None);
    assert_eq!(heard(&mut world, id), [1, 0]);
    assert!(carrier(&mut world, 1, id).is_some_and(|down| down.contains("Veth1 is active at ethernet1/1")));
    assert_eq!(carrier(&mut world, 0, id), None);
    shows(&mut world, "show logging", "Veth1 is claimed at ethernet1/2, but active at ethernet1/1");
    // One that only stands by is welcome.
    world.rings(1, id, false);
    world.run(6 * SECOND);
    assert_eq!(phase(&mut world, 1, id), Some(Phase::Standby));
    assert_eq!(carrier(&mut world, 1, id), None);
    world.rings(1, id, true);
    world.run(SECOND);
    assert_eq!(heard(&mut world, id), [1, 0]);
    // The guest of the first goes.
    world.rings(0, id, false);
    world.run(10 * MS);
    assert_eq!(heard(&mut world, id), [0, 1]);
    assert_eq!(carrier(&mut world, 1, id), None);
    veth(&mut world, 1, "up");
}

#[test]
fn a_higher_incarnation_wins_and_an_equal_one_does_not() {
    let (mut world, id) = claimed(Some(3), Some(4));
    assert_eq!(heard(&mut world, id), [0, 1]);
    assert!(carrier(&mut world, 0, id).is_some_and(|down| down.contains("Veth1 is active at ethernet1/2")));
    shows(&mut world, "show logging", "Veth1 moves from ethernet1/1 to ethernet1/2");
    let (mut world, id) = claimed(Some(3), Some(3));
    assert_eq!(heard(&mut world, id), [1, 0]);
    let (mut world, id) = claimed(Some(3), None);
    assert_eq!(heard(&mut world, id), [1, 0]);
}

#[test]
fn a_holder_that_is_lost_longer_than_carrier_delay_loses() {
    let (mut world, id) = claimed(None, None);
    world.kill_adapter(0);
    world.run(2 * SECOND);
    world.host_sends(0, &hello(9));
    assert!(world.received(1, id).is_empty(), "it may still be back");
    world.run(3 * SECOND);
    world.host_sends(0, &hello(9));
    assert_eq!(world.received(1, id).len(), 1);
    // It comes back, and finds somebody else there.
    world.start_adapter(0);
    world.run(2 * SECOND);
    assert_eq!(heard(&mut world, id), [0, 1]);
}

#[test]
fn the_later_one_of_two_with_the_same_address_is_down() {
    let mut world = world();
    let same = |channel: u16| VnicConfig { mac: vnic(1, 1).mac, ..vnic(u32::from(channel), channel) };
    let (a, b) = (world.add_as(0, same(1), true), world.add_as(0, same(2), true));
    world.run(SECOND);
    veth(&mut world, 1, "up");
    veth(&mut world, 2, "down (duplicate MAC, Veth1)");
    assert_eq!(carrier(&mut world, 0, a), None);
    assert!(carrier(&mut world, 0, b).is_some_and(|down| down.contains("duplicate MAC, Veth1")));
    assert_eq!(hearing(&mut world, 1, &[a, b]), [a]);
    assert!(!is_heard(&mut world, b, 1) && is_heard(&mut world, a, 1));
    // In another VLAN they do not meet.
    world.configure("interface vethernet 2\n switchport access vlan 20\n");
    world.run(10 * MS);
    veth(&mut world, 2, "up");
    assert_eq!((hearing(&mut world, 1, &[a, b]), hearing(&mut world, 20, &[a, b])), (vec![a], vec![b]));
    world.configure("no interface vethernet 2\n");
    world.run(10 * MS);
    veth(&mut world, 2, "down (duplicate MAC, Veth1)");
    world.remove(0, a);
    world.run(10 * MS);
    veth(&mut world, 2, "up");
    assert_eq!(hearing(&mut world, 1, &[b]), [b]);
}

#[test]
fn counters_that_are_cleared_begin_at_zero_where_interfaces_are_shown_and_go_on_elsewhere() {
    let mut world = world();
    let ids = [world.add(0, 1), world.add(0, 2)];
    world.run(SECOND);
    let hello = |number| frame(BROADCAST, mac(number)).ipv4(46);
    ids.iter().zip([1, 2]).for_each(|(id, number)| world.send(0, *id, &hello(number)));
    shows(&mut world, "show interface vethernet 1", "show interface\" counters never");
    world.show("clear counters interface vethernet 1");
    world.run(2 * SECOND);
    shows(&mut world, "show interface vethernet 1", "0 input packets  0 bytes");
    shows(&mut world, "show interface vethernet 1", "show interface\" counters 00:00:02");
    shows(&mut world, "show interface vethernet 2", "1 input packets  64 bytes");
    world.send(0, ids[0], &hello(1));
    shows(&mut world, "show interface vethernet 1", "1 input packets  64 bytes");
    shows(&mut world, "show vethernet 1 export", "\"frames\": 2");

    world.show("clear counters");
    for interface in ["ethernet 1/1", "vethernet 1", "vethernet 2"] {
        shows(&mut world, &format!("show interface {interface}"), "  0 input packets  0 bytes");
    }
    // A vEth that comes anew has nothing to do with one that had its number.
    world.remove(0, ids[1]);
    world.run(SECOND);
    world.add(0, 3);
    world.run(SECOND);
    shows(&mut world, "show interface vethernet 2", "show interface\" counters never");
}

#[test]
fn a_guest_with_another_address_passes_and_both_are_shown() {
    let mut world = world();
    let (a, b) = (world.add(0, 1), world.add(0, 2));
    world.run(SECOND);
    let forged = frame(BROADCAST, mac(0x77)).ipv4(46);
    world.send(0, a, &forged);
    assert_eq!(world.received(0, b), [forged]);
    shows(&mut world, "show mac address-table", "5254.0000.0077");
    let both = "address is 5254.0000.0001; in use: 5254.0000.0077";
    shows(&mut world, "show interface vethernet 1", both);
    for (at, count) in [
        ("address 5254.0000.0077", 1),
        ("address 5254.0000.0001", 0),
        ("dynamic vlan 1", 1),
        ("vlan 2", 0),
        ("interface vethernet 1", 1),
        ("interface vethernet 2", 0),
        ("interface ethernet 1/1", 0),
    ] {
        shows(&mut world, &format!("show mac address-table {at}"), &format!("Total {count} addresses"));
    }
    world.run(11 * SECOND);
    shows(
        &mut world,
        "show logging",
        "Veth1 is configured with 52:54:00:00:00:01 and uses 52:54:00:00:00:77",
    );
}

#[test]
fn a_link_without_free_vifs_says_so() {
    let mut world = world_with(Setup { vifs: 3, ..Setup::default() });
    let ids = [1, 2, 3, 4].map(|number| world.add(0, number));
    world.run(SECOND);
    assert!(ids[..3].iter().all(|id| world.active(0, *id).is_some()));
    assert_eq!(phase(&mut world, 0, ids[3]), Some(Phase::Pending));
    shows(&mut world, "show interface virtual pending", "INSUFFICIENT_RESOURCES");
    let shown = world.vis().value("show interface ethernet 1/1");
    assert_eq!((&shown["vifs"]["used"], &shown["vifs"]["size"]), (&3.into(), &3.into()));
    shows(&mut world, "show interface ethernet 1/1", "3 of 3");
    assert_eq!(hearing(&mut world, 1, &ids), ids[..3]);
    world.remove(0, ids[0]);
    // After its quarantine, and not only when it is time to try again.
    world.run(2 * SECOND + 100 * MS);
    assert!(world.active(0, ids[3]).is_some());
    assert_eq!(hearing(&mut world, 1, &ids[1..]), ids[1..]);
}

#[test]
fn the_last_uplink_is_lost_with_a_warning_or_with_the_link() {
    let mut world = world_with(Setup { hosts: 2, ..Setup::default() });
    world.configure("port-profile strict\n uplink-fail-action link-down\n state enabled\n");
    let (warned, strict) = (world.add(0, 1), world.add_as(0, named(2, "strict"), true));
    world.run(SECOND);
    world.host_cables[0].unplug();
    world.run(10 * MS);
    veth(&mut world, 2, "up");
    world.host_cables[1].unplug();
    world.run(10 * MS);
    veth(&mut world, 1, "up");
    veth(&mut world, 2, "down (uplink lost)");
    assert_eq!(carrier(&mut world, 0, warned), None);
    assert_eq!(carrier(&mut world, 0, strict).as_deref(), Some("the switch lost its uplink"));
    world.send(0, warned, &hello(1));
    assert!(world.received(0, strict).is_empty(), "nothing is forwarded to it");
    world.send(0, strict, &hello(2));
    assert!(world.received(0, warned).is_empty(), "nor from it");
    shows(&mut world, "show logging", "last uplink lost: 1 vEths without one, still up (Veth1)");
    shows(&mut world, "show logging", "last uplink lost: 1 vEths without one, taken down (Veth2)");
    world.host_cables[1].plug();
    world.run(10 * MS);
    veth(&mut world, 2, "up");
    assert_eq!(carrier(&mut world, 0, strict), None);
    world.send(0, warned, &hello(1));
    assert_eq!(world.received(0, strict), [hello(1)]);
}
