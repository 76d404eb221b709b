//! Guests that say nothing cost nothing.

use super::files::{link, list, niv_port, node, vethernet, vif_list, vnic};
use super::place::{PATIENCE, Place};
use niv_lab::driver::{Features, Guest};
use niv_lab::world::frames::{frame, mac};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

/// How long the daemons are watched.
const WATCHED: Duration = Duration::from_secs(10);
/// A tick of the kernel's clock. Half of it is far more than the end of the last answer takes, and less than polling
/// takes in a second.
const TICK: Duration = Duration::from_millis(10);
/// Times that a thread may be woken meanwhile, all threads of a daemon together: for what the process itself does now
/// and then, none of it per guest.
const WAKEUPS: u64 = 20;

/// What a thread has used.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    cpu: Duration,
    /// How often it was woken or pushed aside.
    switches: u64,
}

/// What each thread of a process has used. `/proc/PID/stat` counts whole clock ticks, and microseconds may begin a
/// new one; the scheduler knows it to the nanosecond.
fn used(pid: u32) -> BTreeMap<OsString, Used> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(Result::unwrap);
    let used = threads.filter_map(|thread| {
        // One that ends meanwhile has nothing to say.
        let read = |file: &str| std::fs::read_to_string(thread.path().join(file)).ok();
        let (schedule, status) = (read("schedstat")?, read("status")?);
        let number = |text: &str| text.trim().parse::<u64>().unwrap();
        let cpu = Duration::from_nanos(number(schedule.split(' ').next()?));
        let counts = status.lines().filter_map(|line| line.split_once("_ctxt_switches:"));
        Some((thread.file_name(), Used { cpu, switches: counts.map(|(_, count)| number(count)).sum() }))
    });
    used.collect()
}

#[test]
fn silent_guests_cost_no_clock_tick() {
    const GUESTS: u16 = 16;
    let vifs: Vec<u16> = (1..=GUESTS).collect();
    let vnics: String =
        vifs.iter().map(|n| vnic(&format!("vnic{n}"), &format!("vhost-user:vnic{n}.sock"), *n, 10)).collect();
    let veths: String = vifs.iter().map(|n| vethernet(u32::from(*n), 10, 1, *n)).collect();
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &niv_port(1, "memif:link0.sock")),
        ("vis0.cfg", veths + &vif_list(1, 1, &format!("1-{GUESTS}"))),
        ("adapter0.toml", node("adapter0") + &link("link0", "memif:link0.sock") + &vnics + &list(1, &vifs)),
    ]);
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    let mut guests: Vec<Guest> = vifs
        .iter()
        .map(|n| Guest::connect(&place.path(&format!("vnic{n}.sock")), Features::default()).unwrap())
        .collect();
    vifs.iter().for_each(|n| place.vnic_up("adapter0", &format!("vnic{n}")));
    // Everybody has been heard once: nothing is idle only because it never began.
    for n in 0..GUESTS {
        let to = (n + 1) % GUESTS;
        let hello = frame(mac(to), mac(n)).ipv4(46);
        assert!(guests[usize::from(n)].send(&hello));
        while guests[usize::from(to)].recv(PATIENCE).expect("a hello") != hello {}
    }
    place.at_rest();

    let daemons = ["vis0", "adapter0"];
    let before = daemons.map(|name| used(place.pid(name)));
    // Not for anything to happen: for nothing to happen.
    std::thread::sleep(WATCHED);
    let after = daemons.map(|name| used(place.pid(name)));
    for ((name, before), after) in daemons.iter().zip(before).zip(after) {
        assert!(before.values().any(|thread| thread.switches > 10), "{name} was busy once");
        let (mut cpu, mut switches) = (Duration::ZERO, 0);
        for (thread, now) in &after {
            let then = before.get(thread).copied().unwrap_or_default();
            cpu += now.cpu - then.cpu;
            switches += now.switches - then.switches;
        }
        println!("{name}: {cpu:?} of processor time and {switches} context switches in {WATCHED:?}");
        assert!(cpu < TICK / 2, "{name}: {cpu:?}");
        assert!(switches <= WAKEUPS, "{name}: {switches} context switches");
    }
    place.at_rest();
}
