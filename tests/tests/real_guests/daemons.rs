//! Real guests at the two daemons, which are killed, stopped and told things.

use super::files::node;
use super::machine::{Carrier, Clock, machine, nic};
use super::place::{Place, until};
use niv_lab::lab::agent::Agent;
use niv_lab::lab::guest::{BOOT, Guest, Machine};
use rustix::process::Signal;
use serde_json::Value;
use std::time::{Duration, Instant};

/// A guest's clock that stands still no longer than this has only waited for a processor.
const STANDS_NOT: Duration = Duration::from_millis(500);
/// How long a guest may take for a command.
const COMMAND: Duration = Duration::from_secs(30);

/// A switch and an adapter that negotiate, with two guests in one network.
fn scene(machine: &Machine) -> (Place, [(Guest, Agent); 2]) {
    let chassis = node("vis0")
        + "\n[[port]]\nname = \"ethernet1/1\"\nmode = \"vntag\"\ndevice = \"memif:link0.sock\"\n";
    let vnic = |n: u8| {
        format!(
            "\n[[vnic]]\nname = \"vnic{n}\"\ndevice = \"vhost-user:vnic{n}.sock\"\nlink = \"link0\"\nmac = \"52:54:00:00:00:0{n}\"\n"
        )
    };
    let link = "\n[[link]]\nname = \"link0\"\ndevice = \"memif:link0.sock\"\n";
    let adapter = node("adapter0") + link + &vnic(1) + &vnic(2);
    let files = [("vis0.toml", chassis), ("vis0.cfg", String::new()), ("adapter0.toml", adapter)];
    let mut place = Place::new(&files);
    place.start("vis0");
    place.start("adapter0");
    let start = |n: u8| {
        let socket = place.path(&format!("vnic{n}.sock"));
        let nic = nic(&format!("socket,id=c,path={},reconnect=1", socket.display()));
        let words = nic.iter().map(|word| word.replace("00:00:01", &format!("00:00:0{n}")));
        let settings = format!("niv.ip=10.10.0.{n}/24");
        Guest::start(&format!("vm{n}"), machine, &settings, &words.collect::<Vec<_>>()).unwrap()
    };
    // Both boot at the same time.
    let guests = [1, 2].map(start).map(|mut guest| {
        let agent = guest.agent(BOOT).unwrap();
        (guest, agent)
    });
    active(&place);
    (place, guests)
}

/// Waits until both vNICs carry traffic: their names, VIFs and vEths.
fn active(place: &Place) -> Vec<[Value; 3]> {
    until("both vNICs are active", || {
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
    let (mut place, [(_first, agent), (_second, other)]) = scene(machine);
    ping(&agent);
    let before = active(&place);
    for _ in 0..3 {
        let clock = Clock::watch(&other, Duration::from_secs(4));
        let killed = Instant::now();
        place.kill("adapter0");
        place.start("adapter0");
        assert_eq!(active(&place), before, "the same VIFs and vEths");
        println!("both vNICs are active again {:?} after the adapter was killed", killed.elapsed());
        assert!(clock.longest_stop() < STANDS_NOT);
        ping(&agent);
    }
    place.at_rest();
}

#[test]
fn a_guests_link_tells_the_truth_about_the_switch() {
    let Some((machine, _turn)) = machine() else { return };
    let (mut place, [(_first, agent), (_second, other)]) = scene(machine);
    ping(&agent);
    let mut carrier = Carrier::watch(&agent);
    carrier.settle(true);
    let veth = active(&place)[0][2].to_string();
    let client = place.client("vis0");
    let configure = |line: &str| {
        client.configure(&format!("interface vethernet {veth}\n  {line}\n")).unwrap();
        Instant::now()
    };
    for _ in 0..2 {
        carrier.follows(false, configure("shutdown"));
        carrier.follows(true, configure("no shutdown"));
    }
    active(&place);
    // A switch that is away for a second costs no carrier; one that stands still stops no guest.
    place.kill("vis0");
    std::thread::sleep(Duration::from_secs(1));
    place.start("vis0");
    active(&place);
    carrier.stays(Duration::from_secs(4));
    let clock = Clock::watch(&other, Duration::from_secs(6));
    place.signal("vis0", Signal::STOP);
    carrier.stays(Duration::from_secs(1));
    assert!(clock.longest_stop() < STANDS_NOT);
    place.signal("vis0", Signal::CONT);
    drop(carrier);
    active(&place);
    ping(&agent);
    place.at_rest();
}
