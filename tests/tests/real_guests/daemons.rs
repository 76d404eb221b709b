//! Real guests at the two daemons, which are killed, stopped and told things.

use super::files::{negotiated_port, negotiated_vnic, negotiating_link, node};
use super::machine::{boot, machine, nic, took};
use super::place::{Place, left_out, missing_program, until};
use niv_lab::lab::agent::Agent;
use niv_lab::lab::carrier::{Carrier, Clock};
use niv_lab::lab::checksums::complete_tcp;
use niv_lab::lab::guest::{BOOT, Guest, Machine};
use rustix::process::Signal;
use serde_json::Value;
use std::time::{Duration, Instant};

/// A guest's clock that stands still no longer than this has only waited for a processor.
const STANDS_NOT: Duration = Duration::from_millis(500);
/// How long a guest may take for a command.
const COMMAND: Duration = Duration::from_secs(30);

fn mac(n: u8) -> String {
    format!("52:54:00:00:00:0{n}")
}

/// QEMU's arguments for a guest on the adapter's vNIC `n`.
fn card(place: &Place, n: u8) -> Vec<String> {
    nic(&place.path(&format!("vnic{n}.sock")), "reconnect=1", &mac(n))
}

/// A switch and an adapter that negotiate, with two guests in one network; the link has these keys more.
fn scene(machine: &Machine, link: &str) -> (Place, [(Guest, Agent); 2]) {
    let vnic = |n: u8| negotiated_vnic(&format!("vnic{n}"), &format!("vhost-user:vnic{n}.sock"), &mac(n));
    let adapter =
        node("adapter0") + &negotiating_link("link0", "memif:link0.sock") + link + &vnic(1) + &vnic(2);
    let chassis = node("vis0") + &negotiated_port(1, "memif:link0.sock");
    let files = [("vis0.toml", chassis), ("vis0.cfg", String::new()), ("adapter0.toml", adapter)];
    let mut place = Place::new(&files);
    place.start("vis0");
    place.start("adapter0");
    let start = |n: u8| {
        let settings = format!("niv.ip=10.10.0.{n}/24");
        Guest::start(&format!("vm{n}"), machine, &settings, &card(&place, n)).unwrap()
    };
    // Both boot at the same time.
    let guests = [1, 2].map(start).map(|mut guest| {
        let agent = guest.agent(BOOT).unwrap();
        (guest, agent)
    });
    active(&place);
    (place, guests)
}

/// Waits until all vNICs carry traffic: their names, VIFs and vEths.
fn active(place: &Place) -> Vec<[Value; 3]> {
    until("all vNICs are active", || {
        let rows = place.client("adapter0").exec("show vnic").ok()?;
        let rows = rows.as_array()?;
        let is_active = |row: &Value| row["vif_state"] == "active" && row["state"] == "up";
        let found = rows.iter().map(|row| ["name", "vif", "veth"].map(|key| row[key].clone()));
        rows.iter().all(is_active).then(|| found.collect())
    })
}

/// The guest reaches the other one.
fn ping(agent: &Agent) {
    until("a guest reaches the other", || agent.must("ping -c 1 -W 1 10.10.0.2", COMMAND).ok());
}

#[test]
fn a_killed_adapter_has_its_guests_and_their_vifs_back() {
    let Some((machine, _turn)) = machine() else { return };
    let (mut place, [(_first, agent), (_second, other)]) = scene(machine, "");
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
    let (mut place, [(_first, agent), (_second, other)]) = scene(machine, "");
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
    let (_third, third) = boot("vm3", machine, &card(&place, 3));
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

#[test]
fn super_frames_of_guests_are_complete_on_the_link() {
    if left_out(missing_program(&["tshark"])) {
        return;
    }
    let Some((machine, _turn)) = machine() else { return };
    let (mut place, [(_first, agent), (_second, other)]) = scene(machine, "capture = \"link0.pcapng\"\n");
    ping(&agent);
    other.must("iperf3 -s -D", COMMAND).unwrap();
    agent.must("iperf3 -c 10.10.0.2 -n 8M", COMMAND).unwrap();
    // The guest does not cut by itself: what it handed over were few frames, and long ones.
    let shown = place.show("adapter0", "show vnic vnic1");
    let frames = shown["vnic"]["rx_frames"].as_u64().unwrap();
    let counters = shown["device"].as_array().unwrap();
    let handed =
        counters.iter().find(|row| row["counter"] == "rx_frames").unwrap()["value"].as_u64().unwrap();
    println!("{handed} frames from the guest became {frames} on the link");
    assert!(handed < frames / 2, "{handed} from the guest, {frames} on the link");
    agent.must("iperf3 -c 10.10.0.2 -n 8M -R", COMMAND).unwrap();
    place.at_rest();
    place.stop("adapter0");
    let tcp = complete_tcp(&place.path("link0.pcapng")).unwrap();
    println!("{tcp:?}");
    // 8 MiB in each direction, each frame up and down the link.
    assert!(tcp.frames > 4 * 5_500 && tcp.longest == 1500, "{tcp:?}");
}
