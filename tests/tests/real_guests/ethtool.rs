//! A guest changes its offloads and the number of its queues while it talks.

use super::machine::machine;
use super::place::{Place, left_out, missing_program, until};
use super::scene::{COMMAND, OTHER, Scene, ping};
use niv_lab::lab::agent::Agent;
use niv_lab::lab::checksums::complete;
use std::time::Duration;

/// Queue pairs of each vNIC.
const PAIRS: u16 = 4;
/// What `ethtool -K` changes, and the name under which `ethtool -k` shows it.
const OFFLOADS: [(&str, &str); 7] = [
    ("tx", "tx-checksumming"),
    ("rx", "rx-checksumming"),
    ("tso", "tcp-segmentation-offload"),
    ("gso", "generic-segmentation-offload"),
    ("gro", "generic-receive-offload"),
    ("sg", "scatter-gather"),
    ("rx-gro-hw", "rx-gro-hw"),
];
/// Traffic goes on when so many octets more have gone each way.
const GOES_ON: u64 = 150_000;
/// What congestion may cost, and nothing else.
const CONGESTION: [&str; 2] = ["host_ring_full", "tx_ring_full"];

/// Octets from and to the guest that makes the changes.
fn octets(place: &Place) -> [u64; 2] {
    ["rx", "tx"]
        .map(|way| place.metric("adapter0", &format!("niv_vnic_{way}_octets_total{{vnic=\"vnic1\"}}")))
}

fn goes_on(place: &Place, what: &str) {
    let before = octets(place);
    until(&format!("traffic goes on after {what}"), || {
        let now = octets(place);
        (0..2).all(|way| now[way] >= before[way] + GOES_ON).then_some(())
    });
}

/// What `ethtool -k` says of a feature: on, and whether the driver lets it be changed.
fn feature(agent: &Agent, shown: &str) -> (bool, bool) {
    let all = agent.must("ethtool -k eth0", COMMAND).unwrap();
    let line = all.lines().find_map(|line| line.trim().strip_prefix(shown)?.strip_prefix(": "));
    let line = line.unwrap_or_else(|| panic!("no {shown} in {all}"));
    (line.starts_with("on"), !line.contains("[fixed]"))
}

/// The number of queue pairs in use.
fn pairs(agent: &Agent) -> u16 {
    let all = agent.must("ethtool -l eth0", COMMAND).unwrap();
    let line = all.lines().filter_map(|line| line.strip_prefix("Combined:")).nth(1);
    line.unwrap_or_else(|| panic!("no second Combined in {all}")).trim().parse().unwrap()
}

/// Neither the guest's stack nor its driver found fault with any frame.
pub(crate) fn found_no_fault(agent: &Agent) {
    let all = agent.must("cat /proc/net/snmp", COMMAND).unwrap();
    let lines: Vec<&str> = all.lines().collect();
    let mut looked = 0;
    for pair in lines.chunks(2) {
        let [names, values] = pair else { panic!("{all}") };
        for (name, value) in names.split(' ').zip(values.split(' ')) {
            if ["InCsumErrors", "InHdrErrors"].contains(&name) {
                assert_eq!(value, "0", "{name} of {names}");
                looked += 1;
            }
        }
    }
    assert!(looked >= 4, "{all}");
    for name in ["rx_errors", "tx_errors", "rx_length_errors", "rx_frame_errors"] {
        let count = agent.must(&format!("cat /sys/class/net/eth0/statistics/{name}"), COMMAND).unwrap();
        assert_eq!(count.trim(), "0", "{name}");
    }
}

/// Changes under traffic both ways; `link`: further keys of the link.
fn changes(link: &str) -> Option<(Place, u64)> {
    if left_out(missing_program(&["ethtool", "tshark"])) {
        return None;
    }
    let (machine, _turn) = machine()?;
    let scene = Scene { queues: PAIRS, link: link.to_owned(), ..Scene::default() };
    let (place, [(_first, agent), (_second, other)]) = scene.start(machine);
    ping(&agent);
    assert_eq!(agent.must("nproc", COMMAND).unwrap().trim(), "2");
    other.must("iperf3 -s -D; iperf3 -s -D -p 5202", COMMAND).unwrap();
    let long = Duration::from_secs(600);
    let streams = agent.begin(&format!("iperf3 -c {OTHER} -t 600 --bidir -P 4 -b 2M"), long).unwrap();
    let pings = agent.begin(&format!("ping -i 0.05 {OTHER}"), long).unwrap();
    goes_on(&place, "the beginning");

    let set = |what: &str, on: bool| {
        let word = if on { "on" } else { "off" };
        agent.must(&format!("ethtool -K eth0 {what} {word}"), COMMAND).unwrap();
        goes_on(&place, &format!("{what} {word}"));
    };
    let mut changed = 0;
    for (name, shown) in OFFLOADS {
        let (on, changeable) = feature(&agent, shown);
        assert!(on, "{name} is on, for the adapter offers it");
        if !changeable {
            // Linux up to 6.1 lets nobody switch off that complete checksums are not asked for.
            assert_eq!(name, "rx", "[fixed]");
            continue;
        }
        for on in [false, true] {
            set(name, on);
            assert_eq!(feature(&agent, shown).0, on, "{name}");
            changed += 1;
        }
    }
    // With everything off, and back, the number of queues changes, too.
    let all = ["tx", "tso", "gso", "gro", "sg"].join(" off ") + " off";
    agent.must(&format!("ethtool -K eth0 {all}"), COMMAND).unwrap();
    goes_on(&place, "all off");
    let up = 1..=PAIRS;
    for (number, tso) in up.clone().chain(up.rev()).zip([false, true].into_iter().cycle()) {
        if pairs(&agent) != number {
            agent.must(&format!("ethtool -L eth0 combined {number}"), COMMAND).unwrap();
        }
        assert_eq!(pairs(&agent), number);
        goes_on(&place, &format!("{number} queue pairs"));
        if tso {
            set("sg on tx on tso on gso on gro", true);
        } else {
            set("tso off gso off gro", false);
        }
        changed += 1;
    }
    println!("{changed} changes");

    // All that was begun went on until now.
    agent.must("killall -INT iperf3 ping", COMMAND).unwrap();
    let said = pings.wait(COMMAND).unwrap().text;
    let summary = said.lines().find(|line| line.contains("packets transmitted")).expect("a summary");
    let number = |n: usize| summary.split(", ").nth(n).and_then(|part| part.split(' ').next()?.parse().ok());
    let (asked, answered): (u64, u64) = (number(0).unwrap(), number(1).unwrap());
    let said = streams.wait(COMMAND).unwrap().text;
    assert!(said.contains("interrupt - the client has terminated"), "{said}");
    for words in ["", "-R"] {
        agent.must(&format!("iperf3 -c {OTHER} -p 5202 -P 4 -n 1M {words}"), COMMAND).unwrap();
    }
    for guest in [&agent, &other] {
        found_no_fault(guest);
    }
    place.at_rest();
    let drops: Vec<_> = ["vis0", "adapter0"].into_iter().flat_map(|name| place.drops(name)).collect();
    println!("{answered} of {asked} pings answered; drops {drops:?}");
    assert!(drops.iter().all(|(reason, _)| CONGESTION.contains(&reason.as_str())), "{drops:?}");
    // One may have been on its way when the end came.
    let dropped = drops.iter().map(|(_, frames)| frames).sum::<u64>();
    assert!(asked > 100 && asked - answered <= dropped + 1, "{answered} of {asked} pings, {drops:?}");
    Some((place, dropped))
}

#[test]
fn offloads_and_queues_change_under_traffic_that_stays_whole() {
    changes("");
}

#[test]
fn offloads_and_queues_change_under_traffic_and_each_frame_on_the_link_is_complete() {
    let Some((mut place, _)) = changes("capture = \"link0.pcapng\"\n") else { return };
    place.stop("adapter0");
    let seen = complete(&place.path("link0.pcapng")).unwrap();
    println!("{seen:?}");
    assert!(seen.tcp_down > 1000 && seen.longest == 1500, "{seen:?}");
}
