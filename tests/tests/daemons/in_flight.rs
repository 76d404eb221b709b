//! The adapter is killed under load, again and again: every ring goes on where it was, and what is sent twice was
//! counted as uncertain.

use super::files::{link, list, niv_port, node, vethernet, vif_list, vnic};
use super::net::{Net, Tester, missing_rights};
use super::place::{PATIENCE, Place, left_out, missing_program, until};
use niv_lab::driver::{Features, Guest, Wire};
use niv_lab::random::Random;
use niv_lab::world::frames::{frame, mac, up};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// Kills, unless `NIV_KILLS` says otherwise.
const KILLS: u64 = 12;
/// Slots of each ring.
const RING: u16 = 256;
const EXPERIMENT: u16 = 0x88b5;

/// The frame with this number: all of its octets and its length come from that.
fn numbered(number: u64) -> Vec<u8> {
    let mut payload = vec![number as u8 ^ 0x5a; 50 + (number % 1300) as usize];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    frame(mac(6), mac(5)).payload(EXPERIMENT, &payload)
}

fn number(frame: &[u8]) -> u64 {
    u64::from_be_bytes(frame[14..22].try_into().unwrap())
}

fn scene() -> Place {
    let guest = |vif: u16| {
        vnic(&format!("vnic{vif}"), &format!("vhost-user:vnic{vif}.sock"), vif, 10) + "packed = true\n"
    };
    let adapter =
        node("adapter0") + &link("link0", "memif:link0.sock") + &guest(5) + &guest(6) + &list(1, &[5, 6]);
    let lines = vethernet(1, 10, 1, 5) + &vethernet(2, 10, 1, 6) + &vif_list(1, 1, "5-6");
    let files = [
        ("vis0.toml", node("vis0") + &niv_port(1, "memif:link0.sock")),
        ("vis0.cfg", lines),
        ("adapter0.toml", adapter),
    ];
    let mut place = Place::new(&files);
    place.start("vis0");
    place
}

/// What has come, held against what was sent.
#[derive(Default)]
struct Received {
    /// The highest number.
    last: u64,
    frames: u64,
    /// Frames that came a second time.
    twice: u64,
}

impl Received {
    /// Takes what is there; says how many frames that were.
    fn take(&mut self, guest: &mut Guest, patience: Duration) -> u64 {
        let before = self.frames;
        while let Some(got) = guest.recv(if self.frames == before { patience } else { Duration::ZERO }) {
            let number = number(&got);
            assert_eq!(got, numbered(number), "frame {number} was changed on its way");
            if number <= self.last {
                self.twice += 1;
                assert!(self.last - number < u64::from(RING), "frame {number} came after {}", self.last);
            }
            self.last = self.last.max(number);
            self.frames += 1;
        }
        self.frames - before
    }
}

#[test]
fn rings_go_on_where_a_killed_adapter_left_them() {
    killed(false, false);
}

#[test]
fn packed_rings_say_themselves_where_a_killed_adapter_left_them() {
    killed(false, true);
}

#[test]
fn packed_rings_need_nothing_that_a_front_end_keeps() {
    killed(true, true);
}

#[test]
fn a_front_end_that_keeps_what_is_in_flight_knows_what_is_uncertain() {
    killed(true, false);
}

fn killed(keeps_inflight: bool, packed: bool) {
    let kills = std::env::var("NIV_KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let mut place = scene();
    let features = Features { queue_size: RING, packed, in_order: packed, ..Features::default() };
    let [mut sender, mut receiver] = [5, 6].map(|_| {
        let mut guest = Guest::new(features).unwrap();
        guest.keeps_inflight = keeps_inflight;
        guest
    });
    let mut dice = Random::new(7);
    let (mut sent, mut received, mut uncertain) = (0, Received::default(), 0);
    for kill in 0..kills {
        place.start("adapter0");
        // As QEMU does, which begins where the ring is used up to, and as virtio-user does, from 0.
        let resume = kill % 2 == 0;
        for (guest, name) in [(&mut sender, "vnic5"), (&mut receiver, "vnic6")] {
            let wire = Wire::connect(&place.path(&format!("{name}.sock"))).unwrap();
            guest.start(wire, resume).unwrap();
            place.vnic_up("adapter0", name);
        }
        place.link_up("adapter0", "link0", "vis0", "1/1");
        let (begun, twice) = (Instant::now(), received.twice);
        // Frames pass again. What the former adapter had on its way is behind them when the next number has come.
        let first = sent;
        let push = |sent: &mut u64, sender: &mut Guest, received: &mut Received, receiver: &mut Guest| {
            while sender.send(&numbered(*sent + 1)) {
                *sent += 1;
                if sent.is_multiple_of(64) {
                    break;
                }
            }
            received.take(receiver, Duration::from_millis(1));
        };
        while received.last <= first + u64::from(RING) {
            push(&mut sent, &mut sender, &mut received, &mut receiver);
            assert!(begun.elapsed() < PATIENCE, "no frame passed after kill {kill}");
        }
        let doubt = place.device("vnic5", "rx_uncertain");
        assert!(doubt <= 64, "{doubt} frames uncertain");
        let again = received.twice - twice;
        assert!(again <= doubt, "{again} frames came twice after kill {kill}, but {doubt} were uncertain");
        // A packed ring has the same place again every other round.
        if kill > 0 && !packed {
            let elsewhere = [("vnic5", "rx_resumed"), ("vnic6", "tx_resumed")];
            let resumed = elsewhere.map(|(vnic, counter)| place.device(vnic, counter));
            assert_eq!(resumed, if resume { [0, 0] } else { [1, 1] }, "kill {kill}");
        }
        assert_eq!(place.device("vnic5", "rx_returned") + place.device("vnic6", "tx_returned"), 0);
        uncertain += doubt;
        // At any moment, in the midst of a burst as well.
        let moment = Instant::now() + Duration::from_micros(dice.below(30_000));
        let pid = Pid::from_raw(place.pid("adapter0").try_into().unwrap()).unwrap();
        let killer = std::thread::spawn(move || {
            while Instant::now() < moment {
                std::thread::yield_now();
            }
            kill_process(pid, Signal::KILL).unwrap();
        });
        while !killer.is_finished() {
            push(&mut sent, &mut sender, &mut received, &mut receiver);
        }
        place.kill("adapter0");
        received.take(&mut receiver, Duration::ZERO);
        for guest in [&mut sender, &mut receiver] {
            guest.disconnect();
        }
    }
    println!(
        "{kills} kills, {sent} frames sent, {} received, {} twice, {uncertain} uncertain",
        received.frames, received.twice
    );
    // No descriptor is lost: a whole ring passes, in order and once.
    place.start("adapter0");
    for (guest, name) in [(&mut sender, "vnic5"), (&mut receiver, "vnic6")] {
        guest.reconnect(&place.path(&format!("{name}.sock"))).unwrap();
        place.vnic_up("adapter0", name);
    }
    place.link_up("adapter0", "link0", "vis0", "1/1");
    let begun = Instant::now();
    while sender.pairs[0].tx.free() < usize::from(RING) {
        received.take(&mut receiver, Duration::from_millis(1));
        sender.pairs[0].reclaim();
        assert!(
            begun.elapsed() < PATIENCE,
            "{} descriptors are missing",
            RING - sender.pairs[0].tx.free() as u16
        );
    }
    place.at_rest();
    received.take(&mut receiver, Duration::ZERO);
    let (before, twice) = (received.frames, received.twice);
    for _ in 0..RING {
        sent += 1;
        assert!(sender.send(&numbered(sent)));
    }
    let begun = Instant::now();
    while received.last < sent {
        received.take(&mut receiver, Duration::from_millis(1));
        assert!(begun.elapsed() < PATIENCE);
    }
    assert_eq!((received.frames - before, received.twice), (u64::from(RING), twice));
    place.at_rest();
}

/// Frames that the adapter takes at once.
const BURST: u64 = 64;
/// So often does a burst have to come twice, and so many kills may that take.
const WANTED: (usize, usize) = (3, 200);

#[test]
fn a_burst_that_a_killed_adapter_had_sent_comes_twice_and_was_counted() {
    if left_out(missing_program(&["ip"]).or_else(missing_rights)) {
        return;
    }
    killed_while_it_sends(false);
    killed_while_it_sends(true);
}

/// The adapter is killed when the first frame of a burst is on the wire: it is in the system call that sends the others, and has
/// told the guest of none.
fn killed_while_it_sends(keeps_inflight: bool) {
    let mut net = Net::default();
    let [a, b] = net.veth(1510);
    let link = link("link0", &format!("packet:{a}"));
    let adapter = node("adapter0") + &link + &vnic("vnic5", "vhost-user:vnic5.sock", 5, 10);
    let mut place = Place::new(&[("adapter0.toml", adapter)]);
    let mut wire = Tester::on(&b);
    let mut sender = Guest::new(Features { queue_size: RING, ..Features::default() }).unwrap();
    sender.keeps_inflight = keeps_inflight;
    let framed = |number: u64| {
        let mut payload = vec![number as u8 ^ 0x5a; 100];
        payload[..8].copy_from_slice(&number.to_be_bytes());
        payload
    };
    let (mut sent, mut last, mut bursts, mut uncertain) = (0, 0, Vec::new(), 0);
    for kill in 0..WANTED.1 {
        place.start("adapter0");
        sender.start(Wire::connect(&place.path("vnic5.sock")).unwrap(), kill % 2 == 0).unwrap();
        place.vnic_up("adapter0", "vnic5");
        // What was on its way when the former adapter died: all of it comes, in order, and some of it again.
        let mut twice = 0;
        until("all that was handed over is done", || {
            while let Some(got) = wire.waiting() {
                let number = u64::from_be_bytes(got[24..32].try_into().unwrap());
                let expected =
                    frame(mac(6), mac(5)).vntag(up(5)).vlan(0, 0).payload(EXPERIMENT, &framed(number));
                assert_eq!(got, expected, "frame {number} was changed on its way");
                assert!(number <= last + 1, "frame {number} came after {last}");
                twice += u64::from(number <= last);
                assert!(last < number + BURST, "frame {number} came after {last}");
                last = last.max(number);
            }
            sender.pairs[0].reclaim();
            (last == sent && sender.pairs[0].tx.free() == usize::from(RING)).then_some(())
        });
        let doubt = place.device("vnic5", "rx_uncertain");
        assert!(twice <= doubt && doubt <= BURST, "{twice} came twice, {doubt} were uncertain");
        uncertain += doubt;
        bursts.extend((twice > 0).then_some(twice));
        if bursts.len() == WANTED.0 {
            break;
        }
        for _ in 0..BURST {
            sent += 1;
            assert!(sender.pairs[0].queue(&frame(mac(6), mac(5)).payload(EXPERIMENT, &framed(sent))));
        }
        sender.pairs[0].flush();
        rustix::io::write(sender.kick_fd(1), &1u64.to_ne_bytes()).unwrap();
        // The moment is short: no sleep.
        let begun = Instant::now();
        while wire.waiting().is_none() {
            assert!(begun.elapsed() < PATIENCE, "no frame is on the wire");
        }
        place.kill("adapter0");
        last += 1;
        sender.disconnect();
    }
    println!("in-flight region {keeps_inflight}: {bursts:?} frames came twice, {uncertain} were uncertain");
    assert_eq!(bursts.len(), WANTED.0, "{} kills never met a burst on its way", WANTED.1);
    place.at_rest();
}
