//! Whoever comes and goes a thousand times leaves nothing behind in a daemon: no descriptor, no thread, no mapping, no memory.

use super::files::{link, list, negotiated_port, niv_port, node, vethernet, vif_list, vnic};
use super::place::{PATIENCE, Place, until};
use link::{Defaults, Device, PortState, Role};
use niv_lab::driver::{Features, Guest};
use std::time::Instant;

const CYCLES: usize = 1000;
/// Cycles before the first look: threads of the API, arenas of the allocator, buffers of logs come with the first ones.
const WARM_UP: usize = 100;
/// Kilobytes that may be there more after all cycles: a leak of 4 KiB a cycle shows. The log of events, which has its bound
/// at 4,096 lines, takes some.
const MEMORY: u64 = 4096;
/// Mappings that may be there more: arenas, stacks that the C library keeps for the next thread.
const MAPPINGS: usize = 8;
/// On a busy machine more threads are there at once, so that more of those are kept; but only once.
const ROUNDS: usize = 3;

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    descriptors: usize,
    threads: usize,
    mappings: usize,
    /// Resident kilobytes.
    memory: u64,
}

fn held(place: &Place, name: &str) -> Held {
    let read = |what: &str| std::fs::read_to_string(format!("/proc/{}/{what}", place.pid(name))).unwrap();
    let count = |what: &str| std::fs::read_dir(format!("/proc/{}/{what}", place.pid(name))).unwrap().count();
    let status = read("status");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    Held {
        descriptors: count("fd"),
        threads: count("task"),
        mappings: read("maps").lines().count(),
        memory: memory.trim().trim_end_matches(" kB").parse().unwrap(),
    }
}

/// Has `cycle` run often, and looks at what the daemon holds before and after.
fn nothing_is_left(place: &Place, name: &str, what: &str, mut cycle: impl FnMut()) {
    (0..WARM_UP).for_each(|_| cycle());
    let mut before = held(place, name);
    let mut after = before;
    for round in 1..=ROUNDS {
        let begun = Instant::now();
        (0..CYCLES).for_each(|_| cycle());
        println!("{what}: {CYCLES} cycles in {:?}", begun.elapsed());
        // The daemon may still be at the last one.
        after = held(place, name);
        let end = Instant::now() + PATIENCE;
        while after.descriptors > before.descriptors || after.threads > before.threads {
            assert!(Instant::now() < end, "{what}: {before:?}, and {CYCLES} cycles later {after:?}");
            std::thread::sleep(std::time::Duration::from_millis(20));
            after = held(place, name);
        }
        println!("{what}: {before:?}, then {after:?}");
        if after.mappings <= before.mappings + MAPPINGS {
            break;
        }
        assert!(round < ROUNDS, "{what}: {before:?}, and {CYCLES} cycles later {after:?}");
        before.mappings = after.mappings;
    }
    assert!(
        after.memory <= before.memory + MEMORY,
        "{what}: {before:?}, and {CYCLES} cycles later {after:?}"
    );
}

#[test]
fn a_thousand_guests_leave_nothing_in_the_adapter() {
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &niv_port(1, "memif:link0.sock")),
        ("vis0.cfg", vethernet(1, 10, 1, 5) + &vif_list(1, 1, "5")),
        (
            "adapter0.toml",
            node("adapter0")
                + &link("link0", "memif:link0.sock")
                + &vnic("vnic0", "vhost-user:vnic0.sock", 5, 10)
                + &list(1, &[5]),
        ),
    ]);
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    let socket = place.path("vnic0.sock");
    nothing_is_left(&place, "adapter0", "guests", || {
        // It is turned away while the one before it is not quite gone.
        let mut guest = until("a guest is connected", || Guest::connect(&socket, Features::default()).ok());
        // Its rings ran: they have bases to tell.
        assert_eq!(guest.stop().unwrap(), [0, 0]);
    });
    place.at_rest();
}

#[test]
fn a_thousand_adapters_leave_nothing_in_the_switch() {
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &negotiated_port(1, "memif:link0.sock")),
        ("vis0.cfg", String::new()),
    ]);
    place.start("vis0");
    let device: Device = format!("memif:{}", place.path("link0.sock").display()).parse().unwrap();
    let defaults = Defaults {
        name: "passing".to_owned(),
        role: Role::Client,
        queues: 1,
        mtu: 1510,
        hosts: false,
        recognise: None,
    };
    nothing_is_left(&place, "vis0", "memif clients", || {
        let port = link::open(&device, &defaults).unwrap();
        until("the link is up", || (port.monitor.state() == PortState::Up).then_some(()));
    });
    place.at_rest();
}

#[test]
fn a_thousand_requests_leave_nothing_in_either_daemon() {
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &negotiated_port(1, "memif:link0.sock")),
        ("vis0.cfg", String::new()),
        ("adapter0.toml", node("adapter0") + &link("link0", "memif:link0.sock")),
    ]);
    place.start("vis0");
    place.start("adapter0");
    for name in ["vis0", "adapter0"] {
        let client = place.client(name);
        nothing_is_left(&place, name, &format!("requests to {name}"), || {
            client.exec("show version").unwrap();
            client.metrics().unwrap();
        });
    }
}
