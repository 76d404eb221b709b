//! Real guests at the two daemons, which are killed, stopped and told things.

use super::machine::{boot, machine, took};
use super::place::Place;
use super::scene::{Scene, active, mac, ping};
use niv_lab::lab::carrier::{Carrier, Clock};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// A guest's clock that stands still no longer than this has only waited for a processor.
const STANDS_NOT: Duration = Duration::from_millis(500);

#[test]
fn a_killed_adapter_has_its_guests_and_their_vifs_back() {
    let Some((machine, _turn)) = machine() else { return };
    let (mut place, [(_first, agent), (_second, other)]) = Scene::default().start(machine);
    ping(&agent);
    let before = active(&place);
    for _ in 0..3 {
        let clock = Clock::watch(&other, Duration::from_secs(4)).unwrap();
        let killed = Instant::now();
        place.kill("adapter0");
        place.start("adapter0");
        assert_eq!(active(&place), before, "the same VIFs and vEths");
        println!("both vNICs are active again {:?} after the adapter was killed", killed.elapsed());
        assert!(took("longest stop of the clock", clock.longest_stop()) < STANDS_NOT);
        ping(&agent);
    }
    place.at_rest();
}

#[test]
fn a_guests_link_tells_the_truth_about_the_switch() {
    let Some((machine, _turn)) = machine() else { return };
    let (mut place, [(_first, agent), (_second, other)]) = Scene::default().start(machine);
    ping(&agent);
    let mut carrier = Carrier::watch(&agent).unwrap();
    carrier.settle(true).unwrap();

    // `shutdown` and `no shutdown`: one change each, soon.
    let veth = active(&place)[0][2].to_string();
    let client = place.client("vis0");
    let configure = |line: &str| {
        let began = Instant::now();
        client.configure(&format!("interface vethernet {veth}\n  {line}\n")).unwrap();
        began
    };
    for _ in 0..3 {
        took("carrier down", carrier.follows(false, configure("shutdown")));
        took("carrier up", carrier.follows(true, configure("no shutdown")));
    }
    active(&place);
    carrier.stays(Duration::from_secs(1)).unwrap();

    // A switch that is away for a second, however it went, costs no change.
    for ends in [Place::kill, Place::stop] {
        ends(&mut place, "vis0");
        carrier.stays(Duration::from_secs(1)).unwrap();
        place.start("vis0");
        active(&place);
        carrier.stays(Duration::from_secs(4)).unwrap();
    }

    // One that hangs is lost after three hellos and carrier-delay, and stops no clock: neither while it is missed, nor
    // while the link is down, nor that of a guest that is started meanwhile.
    let clocks = [&agent, &other].map(|agent| Clock::watch(agent, Duration::from_secs(12)).unwrap());
    let stopped = Instant::now();
    place.signal("vis0", Signal::STOP);
    let (_, changes) = carrier.last;
    assert_eq!(carrier.next(Duration::from_secs(15)), Some((false, changes + 1)));
    println!("carrier down {:?} after the switch was stopped", stopped.elapsed());
    let device = format!("vhost-user:{}", place.path("vnic3.sock").display());
    let words = ["--api", "adapter0.sock", "vnic", "add", "vnic3", "device", &device, "link", "link0", "mac"];
    let (code, _, complained) = place.nivctl(&[&words[..], &[&mac(3)]].concat());
    assert_eq!(code, 0, "{complained}");
    let (_third, third) = boot("vm3", machine, &Scene::default().card(&place, 3));
    let mut late = Carrier::watch(&third).unwrap();
    late.settle(false).unwrap();
    carrier.stays(Duration::from_millis(1)).unwrap();
    place.signal("vis0", Signal::CONT);
    assert_eq!(carrier.next(Duration::from_secs(10)), Some((true, changes + 2)));
    late.settle(true).unwrap();
    for clock in clocks {
        assert!(took("longest stop of the clock", clock.longest_stop()) < STANDS_NOT);
    }
    carrier.stays(Duration::from_secs(2)).unwrap();
    active(&place);
    ping(&agent);
    place.at_rest();
}
