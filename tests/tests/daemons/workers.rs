//! Daemons with several workers: guests with several queues, peers with other numbers, changes and deaths under traffic.

use super::files::{negotiated_port, negotiated_vnic, negotiating_link, node};
use super::place::{PATIENCE, Place, until};
use niv_lab::driver::{Features, Guest};
use niv_lab::world::frames::{BROADCAST, frame, mac};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const PAIRS: usize = 4;
/// Instead of a queue pair: a frame that nobody counts.
const APART: usize = PAIRS;
/// How long nothing is waited for.
const MOMENT: Duration = Duration::from_millis(50);
/// Frames on their way at the most: fewer than a guest's ring has buffers.
const UNDERWAY: usize = 128;

/// An adapter and a switch with so many workers each, and three vNICs with several queue pairs.
fn place(workers: [usize; 2], device: &str) -> Place {
    let with = |node: String, workers: usize| {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from).min(2);
        let cpus: Vec<usize> = (0..cpus).collect();
        let lines = node.lines().filter(|line| !line.starts_with("workers"));
        lines.chain([&*format!("workers = {workers}\ncpus = {cpus:?}\n")]).collect::<Vec<_>>().join("\n")
    };
    let chassis = with(node("vis0"), workers[1]) + &negotiated_port(1, "memif:link0.sock");
    let vnic = |name: &str, mac: &str| {
        negotiated_vnic(name, &format!("vhost-user:{name}.sock"), mac) + &format!("queues = {PAIRS}\n")
    };
    let adapter = with(node("adapter0"), workers[0])
        + &negotiating_link("link0", device)
        + &vnic("vnic0", "52:54:00:00:00:01")
        + &vnic("vnic1", "52:54:00:00:00:02")
        + &vnic("vnic2", "52:54:00:00:00:03");
    let files = [("vis0.toml", chassis), ("vis0.cfg", String::new()), ("adapter0.toml", adapter)];
    let mut place = Place::new(&files);
    place.start("vis0");
    place.start("adapter0");
    place
}

fn until_row(place: &Place, name: &str, is: impl Fn(&Value) -> bool) -> Value {
    until(&format!("{name} is as wanted"), || {
        let rows = place.client("adapter0").exec("show vnic").ok()?;
        rows.as_array()?.iter().find(|row| row["name"] == name && is(row)).cloned()
    })
}

fn is_active(row: &Value) -> bool {
    row["vif_state"] == "active" && row["state"] == "up"
}

fn guest(place: &Place, name: &str) -> Guest {
    let features = Features { queue_pairs: PAIRS as u16, ..Features::default() };
    let guest = Guest::connect(&place.path(&format!("{name}.sock")), features).unwrap();
    until_row(place, name, is_active);
    guest
}

fn guests(place: &Place) -> [Guest; 2] {
    ["vnic0", "vnic1"].map(|name| guest(place, name))
}

/// Sends on one queue pair; `false`: no room.
fn send(guest: &mut Guest, pair: usize, octets: &[u8]) -> bool {
    guest.pairs[pair].reclaim();
    let queued = guest.pairs[pair].queue(octets);
    if guest.pairs[pair].flush() {
        rustix::io::write(guest.kick_fd(2 * pair + 1), &1u64.to_ne_bytes()).unwrap();
    }
    queued
}

/// What has come by each queue pair.
fn received(guest: &mut Guest) -> Vec<(usize, Vec<u8>)> {
    let mut all = Vec::new();
    for pair in 0..PAIRS {
        while let Some(octets) = guest.pairs[pair].poll() {
            all.push((pair, octets));
        }
        if guest.pairs[pair].rx_kick() {
            rustix::io::write(guest.kick_fd(2 * pair), &1u64.to_ne_bytes()).unwrap();
        }
    }
    all
}

/// A frame of a queue pair, with its number.
fn numbered(to: [u8; 6], from: u16, pair: usize, number: usize) -> Vec<u8> {
    let mut payload = vec![pair as u8];
    payload.extend((number as u32).to_be_bytes());
    payload.resize(46, 0);
    frame(to, mac(from)).payload(0x88b7, &payload)
}

fn read(octets: &[u8]) -> (usize, usize) {
    let [pair, number @ ..] = *octets[14..].first_chunk::<5>().unwrap();
    (pair.into(), u32::from_be_bytes(number) as usize)
}

/// Repeats a broadcast until it has arrived, in both directions; then nothing is on its way.
fn until_they_talk(guests: &mut [Guest; 2]) {
    for from in 0..2 {
        until("a broadcast arrives", || {
            send(&mut guests[from], 0, &numbered(BROADCAST, 1 + from as u16, APART, 0));
            std::thread::sleep(Duration::from_millis(5));
            (!received(&mut guests[1 - from]).is_empty()).then_some(())
        });
    }
    let mut quiet = Instant::now();
    while quiet.elapsed() < MOMENT {
        if guests.iter_mut().any(|guest| !received(guest).is_empty()) {
            quiet = Instant::now();
        }
        std::thread::yield_now();
    }
}

/// Each guest sends so many frames by each of its queue pairs to the other one: all arrive, those of a pair in order.
fn exchange(guests: &mut [Guest; 2], each: usize) {
    let (mut sent, mut next) = ([[0; PAIRS]; 2], [BTreeMap::new(), BTreeMap::new()]);
    let mut came = [0; 2];
    let deadline = Instant::now() + PATIENCE;
    while came.iter().any(|came| *came < each * PAIRS) {
        assert!(Instant::now() < deadline, "{came:?} came of {} each", each * PAIRS);
        for from in 0..2 {
            for pair in 0..PAIRS {
                let underway = sent[from].iter().sum::<usize>() - came[1 - from];
                let number = sent[from][pair];
                let octets = numbered(mac(2 - from as u16), 1 + from as u16, pair, number);
                if underway < UNDERWAY && number < each && send(&mut guests[from], pair, &octets) {
                    sent[from][pair] += 1;
                }
            }
        }
        for to in 0..2 {
            for (by, octets) in received(&mut guests[to]) {
                let (pair, number) = read(&octets);
                if pair == APART {
                    continue;
                }
                let expected = next[to].entry((by, pair)).or_insert(0);
                assert_eq!(number, *expected, "queue pair {pair}, which arrives by {by}");
                *expected += 1;
                came[to] += 1;
            }
        }
        std::thread::yield_now();
    }
}

fn workers_of(place: &Place, node: &str) -> Vec<u64> {
    let rows = place.show(node, "show system workers");
    rows.as_array().unwrap().iter().map(|row| row["received"].as_u64().unwrap()).collect()
}

/// Talks, and looks at who moved what.
fn talk(workers: [usize; 2], device: &str) {
    let place = place(workers, device);
    let mut guests = guests(&place);
    until_they_talk(&mut guests);
    // The first words of a switch may come before there are buffers for them in a new link.
    let nodes = ["adapter0", "vis0"];
    let before = nodes.map(|node| place.drops(node));
    exchange(&mut guests, 1000);
    place.at_rest();
    assert_eq!(nodes.map(|node| place.drops(node)), before);
    for (node, workers) in nodes.into_iter().zip(workers) {
        let shares = workers_of(&place, node);
        assert_eq!(shares.len(), workers, "{node}");
        let whole = place.show(node, "show counters");
        let received = whole.get("switch").unwrap_or(&whole)["received"].as_u64().unwrap();
        assert_eq!(shares.iter().sum::<u64>(), received, "{node}: {shares:?}");
    }
    assert!(workers_of(&place, "adapter0").iter().all(|share| *share > 500));
    if !device.contains("queues") {
        let busy = workers_of(&place, "vis0").iter().filter(|share| **share > 500).count();
        assert_eq!(busy, workers[0].min(workers[1]));
    }
}

#[test]
fn flows_of_guests_with_several_queues_stay_in_order_with_as_many_workers_at_both_ends() {
    talk([2, 2], "memif:link0.sock");
}

#[test]
fn either_end_may_have_more_workers() {
    for workers in [[2, 1], [1, 2], [3, 2]] {
        talk(workers, "memif:link0.sock");
    }
}

#[test]
fn workers_share_the_only_ring_of_a_link() {
    talk([2, 2], "memif:link0.sock,queues=1");
}

#[test]
fn what_was_acknowledged_is_in_effect_in_every_worker() {
    let place = place([2, 2], "memif:link0.sock");
    let mut guests = guests(&place);
    until_they_talk(&mut guests);
    let switch = place.client("vis0");
    let veth = until_row(&place, "vnic1", is_active)["veth"].to_string();
    for number in 1..=5 {
        switch.configure(&format!("interface vethernet {veth}\n  switchport access vlan 20\n")).unwrap();
        received(&mut guests[1]);
        // A frame that was on its way may still come; one that is sent from now on does not.
        for pair in 0..PAIRS {
            assert!(send(&mut guests[0], pair, &numbered(mac(2), 1, pair, number)));
            assert!(send(&mut guests[0], pair, &numbered(BROADCAST, 1, pair, number)));
        }
        std::thread::sleep(MOMENT);
        let came = received(&mut guests[1]).into_iter().map(|(_, octets)| read(&octets));
        assert_eq!(came.filter(|(pair, _)| *pair != APART).collect::<Vec<_>>(), [], "in another VLAN");
        switch.configure(&format!("interface vethernet {veth}\n  no switchport access vlan\n")).unwrap();
        until_row(&place, "vnic1", |row| row["vlan"] == 1 && is_active(row));
        until_they_talk(&mut guests);
    }
    exchange(&mut guests, 200);
    place.at_rest();
}

#[test]
fn guests_that_break_rings_or_leave_cost_the_others_nothing() {
    let place = place([2, 2], "memif:link0.sock");
    let mut guests = guests(&place);
    until_they_talk(&mut guests);
    let broken = |way: &str| {
        place
            .metric("adapter0", &format!("niv_port_events_total{{port=\"vnic2\",event=\"{way}_bad_index\"}}"))
    };
    for round in 1..=PAIRS {
        let mut liar = guest(&place, "vnic2");
        // A transmit ring, whichever worker it belongs to, and a receive ring, which all of them fill.
        let pair = round - 1;
        let (avail, _) = liar.pairs[pair].tx.indices();
        liar.pairs[pair].tx.set_avail_idx(avail.wrapping_add(5000));
        for ring in &mut liar.pairs {
            let (avail, _) = ring.rx.indices();
            ring.rx.set_avail_idx(avail.wrapping_add(5000));
        }
        rustix::io::write(liar.kick_fd(2 * pair + 1), &1u64.to_ne_bytes()).unwrap();
        until("both workers have seen what it does", || {
            for by in 0..PAIRS {
                send(&mut guests[0], by, &numbered(BROADCAST, 1, APART, 0));
            }
            received(&mut guests[1]);
            (broken("rx") >= round as u64 && broken("tx") >= round as u64).then_some(())
        });
        exchange(&mut guests, 100);
        // Others of its rings go on, until it goes.
        assert!(send(&mut liar, (pair + 1) % PAIRS, &numbered(mac(2), 3, APART, 0)));
        liar.disconnect();
        exchange(&mut guests, 100);
        until_row(&place, "vnic2", |row| !is_active(row));
    }
    place.at_rest();
}

#[test]
fn vnics_come_and_go_beside_traffic() {
    let place = place([2, 2], "memif:link0.sock");
    let mut guests = guests(&place);
    until_they_talk(&mut guests);
    let adapter = place.client("adapter0");
    for round in 0..8 {
        adapter
            .exec(&format!("vnic add vnic9 link link0 queues {PAIRS} device vhost-user:vnic9.sock"))
            .unwrap();
        let mut newcomer = guest(&place, "vnic9");
        until("the newcomer is heard", || {
            for pair in 0..PAIRS {
                send(&mut newcomer, pair, &numbered(BROADCAST, 9, APART, round));
            }
            let came = received(&mut guests[1]).into_iter().map(|(_, octets)| octets[6..12] == mac(9));
            came.reduce(|one, other| one | other)?.then_some(())
        });
        exchange(&mut guests, 100);
        adapter.exec("vnic del vnic9").unwrap();
        exchange(&mut guests, 100);
        drop(newcomer);
    }
    place.at_rest();
    let shares = workers_of(&place, "adapter0");
    let received = place.show("adapter0", "show counters")["received"].as_u64().unwrap();
    assert_eq!(shares.iter().sum::<u64>(), received, "what gone vNICs counted stays: {shares:?}");
}

#[test]
fn both_daemons_are_killed_and_come_back_with_all_workers() {
    let mut place = place([2, 2], "memif:link0.sock");
    let mut guests = guests(&place);
    until_they_talk(&mut guests);
    exchange(&mut guests, 200);
    for daemon in ["vis0", "adapter0", "vis0"] {
        // In the midst of it.
        for pair in 0..PAIRS {
            send(&mut guests[0], pair, &numbered(BROADCAST, 1, APART, 0));
        }
        place.kill(daemon);
        place.start(daemon);
        if daemon == "adapter0" {
            for (guest, name) in guests.iter_mut().zip(["vnic0", "vnic1"]) {
                guest.disconnect();
                until("the guest again", || guest.reconnect(&place.path(&format!("{name}.sock"))).ok());
            }
        }
        for name in ["vnic0", "vnic1"] {
            until_row(&place, name, is_active);
        }
        until_they_talk(&mut guests);
        exchange(&mut guests, 200);
    }
    place.at_rest();
    for (node, daemon) in [("adapter0", "niv-adapter"), ("vis0", "vis-switch")] {
        let names = std::fs::read_dir(format!("/proc/{}/task", place.pid(node))).unwrap();
        let names = names.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        assert_eq!(names.filter(|name| name.starts_with("worker")).count(), 2, "{daemon}");
    }
}
