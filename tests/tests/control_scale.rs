//! Four thousand vNICs on one link of 25 us one way: how long they take to come up, and to change their VLAN. Times are
//! those of the virtual clock, on which machines take none; the processor time that their control planes took is
//! measured beside that, and printed.

use firmware_sim::{VnicConfig, VnicId};
use niv_adapter::engine::DropReason;
use niv_lab::control::vnic;
use niv_lab::weather::{MS, SECOND};
use niv_lab::world::frames::{BROADCAST, frame, mac};
use niv_lab::world::{NivWorld, Setup};
use std::time::Duration;

const VNICS: u16 = 4000;
/// Two more, who have nothing to do with the others.
const STRANGERS: [u16; 2] = [VNICS + 1, VNICS + 2];

/// A world in which all of them are configured, with their guests, when it is switched on: the crowd in VLAN 10.
fn world(strangers: u16) -> NivWorld {
    let mut world = NivWorld::new(Setup { depth: 4096, ..Setup::default() });
    world.configure("port-profile crowd\n switchport access vlan 10\n state enabled\n");
    let theirs = format!("port-profile strangers\n switchport access vlan {strangers}\n state enabled\n");
    world.configure(&theirs);
    for number in 1..=STRANGERS[1] {
        let profile = if number > VNICS { "strangers" } else { "crowd" };
        let config = VnicConfig { profile: profile.to_owned(), ..vnic(u32::from(number), number) };
        world.add_as(0, config, true);
    }
    world
}

fn id(number: u16) -> VnicId {
    VnicId(u32::from(number))
}

/// They are active, in this VLAN, at the adapter.
fn all_in(world: &mut NivWorld, vlan: u16) -> bool {
    let firmware = &world.adapter(0).firmware;
    (1..=VNICS).rev().all(|number| {
        let told = firmware.vnic(id(number)).expect("it was added");
        let vif = &told.vifs[0];
        vif.phase == firmware_sim::life::Phase::Active && vif.params.is_some_and(|params| params.vlan == vlan)
    })
}

/// Processor time of both control planes since this was last asked.
fn processor_time(world: &mut NivWorld) -> [Duration; 2] {
    let adapter = core::mem::take(&mut world.adapter(0).control_time);
    let switch = core::mem::take(&mut world.vis().control_time);
    [adapter, switch]
}

/// This was done within so much time, even if both processors were waited for. A debug build takes its time.
fn in_time(what: &str, took: u64, [adapter, switch]: [Duration; 2], limit: u64) {
    println!(
        "{VNICS} vNICs {what} after {:.3} ms; processor time beside that: adapter {adapter:?}, switch {switch:?}",
        took as f64 / MS as f64
    );
    let slower = if cfg!(debug_assertions) { 5 } else { 1 };
    let all = Duration::from_nanos(took) + (adapter + switch) / slower;
    assert!(all < Duration::from_nanos(limit), "{what}: {all:?}");
}

/// One of the crowd says something to all: everybody else in its VLAN hears it once, and nobody else.
fn a_broadcast_reaches_all(world: &mut NivWorld, vlan: u16, others: &[u16]) {
    let hello = frame(BROADCAST, mac(7)).ipv4(46);
    world.send(0, id(7), &hello);
    for number in 1..=STRANGERS[1] {
        let heard = world.received(0, id(number));
        let hears = number != 7 && (number <= VNICS || others.contains(&number));
        let want: &[Vec<u8>] = if hears { core::slice::from_ref(&hello) } else { &[] };
        assert_eq!(heard, want, "vNIC {number}");
    }
    assert_eq!(world.hosts[0].received(), [frame(BROADCAST, mac(7)).vlan(vlan, 0).ipv4(46)]);
}

/// The strangers talk: in each tick each says something to the other one, and the first one something to all.
struct Talk {
    ticks: u64,
}

impl Talk {
    const TICK: u64 = 2_000;

    fn say(to: [u8; 6], from: u16, tick: u64) -> Vec<u8> {
        frame(to, mac(from)).payload(0x0800, &[&tick.to_be_bytes()[..], &[0; 40]].concat())
    }

    /// The switch learns who they are.
    fn begin(world: &mut NivWorld) -> Self {
        for number in STRANGERS {
            world.send(0, id(number), &frame(BROADCAST, mac(number)).ipv4(46));
        }
        (1..=VNICS).for_each(|number| drop(world.received(0, id(number))));
        Self::heard(world);
        Self { ticks: 0 }
    }

    fn heard(world: &mut NivWorld) -> [Vec<Vec<u8>>; 3] {
        let [one, other] = STRANGERS.map(|number| world.received(0, id(number)));
        [one, other, world.hosts[0].received()]
    }

    fn go_on(&mut self, world: &mut NivWorld, ticks: u64) {
        let [one, other] = STRANGERS;
        for tick in self.ticks..self.ticks + ticks {
            for (from, to) in [(one, mac(other)), (other, mac(one)), (one, BROADCAST)] {
                assert!(world.adapter(0).guest(id(from)).send(&Self::say(to, from, tick)), "room");
            }
            world.run(Self::TICK);
        }
        self.ticks += ticks;
    }

    /// Each has heard all that was for it, once and in order. So has the crowd as long as it was in the VLAN.
    fn end(self, world: &mut NivWorld, vlan: u16) {
        world.run(MS);
        let [one, other] = STRANGERS;
        let [by_one, by_other, by_host] = Self::heard(world);
        let all = |from: u16, to: &[[u8; 6]]| -> Vec<Vec<u8>> {
            (0..self.ticks).flat_map(|tick| to.iter().map(move |to| Self::say(*to, from, tick))).collect()
        };
        assert_eq!(by_one, all(other, &[mac(one)]));
        assert_eq!(by_other, all(one, &[mac(other), BROADCAST]));
        assert_eq!(by_host.len(), self.ticks as usize, "what was for all, and nothing else");
        let said = all(one, &[BROADCAST]);
        for number in 1..=VNICS {
            let heard = world.received(0, id(number));
            let want = match vlan {
                10 => &said[..heard.len()],
                20 => &said[said.len() - heard.len()..],
                _ => &[],
            };
            assert_eq!(heard, want, "vNIC {number}");
            assert_eq!(heard.is_empty(), vlan == 30, "vNIC {number}");
        }
    }
}

/// The crowd comes up, and goes over to VLAN 20 while the strangers talk in theirs.
fn one_change_of_all(strangers: u16) {
    let mut world = world(strangers);
    assert!(world.run_until(2 * SECOND, |world| all_in(world, 10)), "not all up after 2 s");
    let (up, took) = (world.now, processor_time(&mut world));
    in_time("up", up, took, 2 * SECOND);
    world.run(20 * MS);
    let among = |vlan| if vlan == strangers { &STRANGERS[..] } else { &[] };
    a_broadcast_reaches_all(&mut world, 10, among(10));

    let mut talk = Talk::begin(&mut world);
    // Longer than a frame is under way.
    talk.go_on(&mut world, 50);
    processor_time(&mut world);
    let began = world.now;
    world.configure("port-profile crowd\n switchport access vlan 20\n");
    let mut done = None;
    while world.now < began + 100 * MS && done.is_none() {
        talk.go_on(&mut world, 1);
        done = all_in(&mut world, 20).then(|| world.now - began);
    }
    let Some(changed) = done else { panic!("not all changed after 100 ms") };
    talk.go_on(&mut world, 50);
    let took = processor_time(&mut world);
    in_time("in another VLAN", changed, took, 100 * MS);
    talk.end(&mut world, strangers);
    a_broadcast_reaches_all(&mut world, 20, among(20));
    assert_eq!(world.vis().drops(), []);
    // Floods of the VLAN that they leave go to its former list until the shorter one is acknowledged. The adapter keeps
    // them from guests that are in another VLAN already.
    let drops = world.adapter(0).drops().into_iter();
    let others: Vec<_> = drops.filter(|(why, _)| strangers != 10 || *why != DropReason::LinkVlan).collect();
    assert_eq!(others, []);
}

#[test]
fn four_thousand_change_their_vlan_in_a_tenth_of_a_second_beside_others() {
    one_change_of_all(30);
}

#[test]
fn four_thousand_join_others_in_their_vlan_in_a_tenth_of_a_second() {
    one_change_of_all(20);
}

#[test]
fn four_thousand_leave_others_in_their_vlan_in_a_tenth_of_a_second() {
    one_change_of_all(10);
}
