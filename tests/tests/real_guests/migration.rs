//! A running guest moves between two QEMU processes, and its vEth with it.

use super::files::{negotiated_port, negotiated_vnic, negotiating_link, node};
use super::machine::{machine, nic};
use super::place::{Place, until};
use niv_lab::lab::agent::{Agent, Running};
use niv_lab::lab::guest::{BOOT, Guest, Machine};
use niv_lab::lab::monitor::Monitor;
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the guest moves, unless `NIV_MIGRATIONS` says otherwise.
const MIGRATIONS: usize = 4;
/// A migration is over by then.
const PATIENCE: Duration = Duration::from_secs(120);
/// The guest answers again so soon after it runs at its new place, on a machine that translates two guests.
const AT_ONCE: Duration = Duration::from_millis(1500);
const COMMAND: Duration = Duration::from_secs(30);
/// Of the guest that moves. What it is known by, wherever it is.
const UUID: &str = "6f0e1f6c-3d43-4a0a-9d3c-1b6f0a7d5e01";
const MAC: &str = "52:54:00:00:00:01";
const PEER: &str = "52:54:00:00:00:02";

/// A vNIC at which the guest may be: adapter, name.
type Home = (&'static str, &'static str);

/// Two vNICs of one identity, on two adapters, and on the first one another.
const HOMES: [Home; 3] = [("adapter0", "vnic1"), ("adapter1", "vnic1"), ("adapter0", "vnic1b")];

fn scene() -> Place {
    let home = |(adapter, name): Home| {
        let vnic = negotiated_vnic(name, &format!("vhost-user:{adapter}-{name}.sock"), MAC);
        format!("{vnic}uuid = \"{UUID}\"\n")
    };
    let adapter = |name: &'static str, link: &str| {
        let homes = HOMES.into_iter().filter(|(adapter, _)| *adapter == name).map(home);
        node(name) + &negotiating_link("link0", link) + &homes.collect::<String>()
    };
    let peer = negotiated_vnic("peer", "vhost-user:peer.sock", PEER);
    let chassis =
        node("vis0") + &negotiated_port(1, "memif:link0.sock") + &negotiated_port(2, "memif:link1.sock");
    let files = [
        ("vis0.toml", chassis),
        ("vis0.cfg", String::new()),
        ("adapter0.toml", adapter("adapter0", "memif:link0.sock") + &peer),
        ("adapter1.toml", adapter("adapter1", "memif:link1.sock")),
    ];
    let mut place = Place::new(&files);
    for name in ["vis0", "adapter0", "adapter1"] {
        place.start(name);
    }
    place
}

/// A guest at one of its homes: the process, and its monitor.
struct There {
    guest: Guest,
    monitor: Monitor,
}

impl Drop for There {
    /// What the guest and QEMU said last, where a test fails.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.guest.said());
        }
    }
}

/// Starts QEMU for the guest; `incoming`: it waits for the guest to come.
fn start(place: &Place, machine: &Machine, number: usize, incoming: bool) -> There {
    let (adapter, vnic) = HOMES[number % HOMES.len()];
    let name = format!("moves{number}");
    let (qmp, stream) = (place.path(&format!("{name}.qmp")), place.path(&format!("{name}.in")));
    let mut words = nic(&place.path(&format!("{adapter}-{vnic}.sock")), "reconnect=1", MAC);
    words.extend(["-qmp".to_owned(), format!("unix:{},server=on,wait=off", qmp.display())]);
    if incoming {
        words.extend(["-incoming".to_owned(), format!("unix:{}", stream.display())]);
    }
    let guest = Guest::start(&name, machine, "niv.ip=10.10.0.1/24", &words).unwrap();
    There { guest, monitor: Monitor::connect(&qmp, PATIENCE).unwrap() }
}

/// The state of one of the guest's vNICs, as its adapter shows it.
fn standing(place: &Place, (adapter, vnic): Home) -> (String, u64) {
    let shown = place.show(adapter, &format!("show vnic {vnic}"));
    (shown["vnic"]["vif_state"].as_str().unwrap().to_owned(), shown["vnic"]["veth"].as_u64().unwrap_or(0))
}

/// A counter of the device of a vNIC.
fn device(place: &Place, (adapter, vnic): Home, counter: &str) -> u64 {
    let shown = place.show(adapter, &format!("show vnic {vnic}"));
    let rows = shown["device"].as_array().unwrap();
    let row = rows.iter().find(|row| row["counter"] == counter);
    row.map_or(0, |row| row["value"].as_u64().unwrap())
}

/// Lines of the switch's log, with these words.
fn logged(place: &Place, words: &str) -> usize {
    place.show("vis0", "show logging").to_string().matches(words).count()
}

/// When answers to a ping came, noted beside what the test does.
#[derive(Default)]
struct Answers {
    at: Mutex<Vec<Instant>>,
    ends: AtomicBool,
}

impl Answers {
    fn note(&self, ping: &Running<'_>) {
        let mut line = String::new();
        while !self.ends.load(Ordering::Relaxed) {
            let Ok(Ok(piece)) = ping.next(Duration::from_millis(200)) else { continue };
            let now = Instant::now();
            for letter in piece.chars() {
                line.push(letter);
                if letter == '\n' {
                    let answers = line.contains("seq=");
                    line.clear();
                    self.at.lock().unwrap().extend(answers.then_some(now));
                }
            }
        }
    }

    /// The first one behind `time`.
    fn first_behind(&self, time: Instant) -> Instant {
        until("the guest answers", || self.at.lock().unwrap().iter().find(|at| **at > time).copied())
    }

    /// The longest time without one, from the last one before `from` to the first one behind `to`.
    fn longest_gap(&self, from: Instant, to: Instant) -> Duration {
        let at = self.at.lock().unwrap();
        let among = at.windows(2).filter(|pair| pair[1] > from && pair[0] < to);
        among.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}

/// Ends the noting, also where the test fails.
struct Ends<'a>(&'a Answers);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.ends.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_guest_moves_under_traffic_and_its_veth_moves_with_it_once() {
    let Some((machine, _turn)) = machine() else { return };
    let migrations = std::env::var("NIV_MIGRATIONS").map_or(MIGRATIONS, |n| n.parse().unwrap());
    let place = scene();
    let mut beside = Guest::start(
        "peer",
        machine,
        "niv.ip=10.10.0.2/24",
        &nic(&place.path("peer.sock"), "reconnect=1", PEER),
    )
    .unwrap();
    let mut here = start(&place, machine, 0, false);
    let peer: Agent = beside.agent(BOOT).unwrap();
    here.guest.agent(BOOT).unwrap().must("iperf3 -s -D", COMMAND).unwrap();
    until("the guests reach each other", || peer.must("ping -c 1 -W 1 10.10.0.1", COMMAND).ok());
    let (_, veth) = standing(&place, HOMES[0]);
    let moved = place.metric("vis0", "vis_mac_moved_total");

    let long = Duration::from_secs(600 + 60 * migrations as u64);
    let ping = peer.begin("ping -i 0.05 10.10.0.1", long).unwrap();
    let answers = Answers::default();
    std::thread::scope(|scope| {
        let noted = &answers;
        scope.spawn(move || noted.note(&ping));
        let _ends = Ends(&answers);
        answers.first_behind(Instant::now());
        moves(&place, machine, here, &peer, &answers, migrations, veth);
    });
    // Its address never was anywhere but at its vEth.
    assert_eq!(place.metric("vis0", "vis_mac_moved_total"), moved);
    // It still asks for the guest that has gone.
    drop((peer, beside));
    place.at_rest();
}

/// Moves the guest from home to home, looks each time, and ends with it.
fn moves(
    place: &Place,
    machine: &Machine,
    mut here: There,
    peer: &Agent,
    answers: &Answers,
    migrations: usize,
    veth: u64,
) {
    for number in 1..=migrations {
        let (from, to) = (HOMES[(number - 1) % HOMES.len()], HOMES[number % HOMES.len()]);
        let mut there = start(place, machine, number, true);
        until("the vNIC to which the guest goes stands by", || {
            (standing(place, to).0 == "standby").then_some(())
        });
        let lines =
            |place: &Place| ["IF_ATTACHED", "IF_DETACHED", "CLAIM_REFUSED"].map(|words| logged(place, words));
        let before = lines(place);
        // Traffic to the guest, which the adapter writes into its memory and logs.
        let stream = peer.begin("iperf3 -c 10.10.0.1 -t 6", COMMAND).unwrap();
        let uri = format!("unix:{}", place.path(&format!("moves{number}.in")).display());
        here.monitor
            .run("migrate-set-parameters", &json!({ "max-bandwidth": 1_000_000_000, "downtime-limit": 300 }))
            .unwrap();
        let pages = device(place, from, "guest_log_pages");
        let began = Instant::now();
        here.monitor.run("migrate", &json!({ "uri": uri })).unwrap();
        there.monitor.event("RESUME").unwrap();
        let resumed = Instant::now();
        for counter in ["rx_resumed", "tx_resumed", "guest_log_outside"] {
            assert_eq!([from, to].map(|home| device(place, home, counter)), [0, 0], "{counter}");
        }
        let answered = answers.first_behind(resumed);
        let gap = answers.longest_gap(began, answered);
        let answered = answered - resumed;
        let status = until("the migration is complete", || {
            let status = here.monitor.run("query-migrate", &json!({})).unwrap();
            assert_ne!(status["status"], "failed", "{status}");
            (status["status"] == "completed").then_some(status)
        });
        println!(
            "migration {number}, {from:?} to {to:?}: {:?}, QEMU's downtime {} ms, {} passes; answers again {answered:?} \
             after it runs, longest gap {gap:?}",
            resumed - began,
            status["downtime"],
            status["ram"]["dirty-sync-count"]
        );
        assert!(device(place, from, "guest_log_pages") > pages, "the adapter logged what it wrote meanwhile");
        assert!(answered < AT_ONCE, "the guest answered only {answered:?} after it ran");
        // The same vEth, and it moved once.
        assert_eq!(
            until("the new vNIC is active", || {
                let (state, veth) = standing(place, to);
                (state == "active").then_some(veth)
            }),
            veth
        );
        let after = lines(place);
        let changes: Vec<usize> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        assert_eq!(changes, [1, 1, 0], "attached, detached, refused: {}", place.show("vis0", "show logging"));
        // The former process goes; its vNIC has no guest any more.
        drop(here);
        here = there;
        // A connection that was open before is open now, and carries data.
        let output = stream.wait(COMMAND).unwrap();
        assert_eq!(output.code, 0, "iperf3: {}", output.text);
        let agent = here.guest.agent(BOOT).unwrap();
        agent.must("ping -c 3 -i 0.2 -W 1 10.10.0.2", COMMAND).unwrap();
    }
}
