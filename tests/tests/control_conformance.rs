//! Lines of the control plane's conformance list (C1-C19) as a listener on the link sees them: a whole network, its wire
//! tapped, and frames put on it that nobody sent. PDUs are read and written by hand here, not by the code under test.
//! Which test holds the other lines is in docs/testing.md.

use firmware_sim::{CarrierCause, LinkId, VnicConfig, VnicId};
use niv_lab::control::vnic;
use niv_lab::weather::{MS, SECOND, Weather};
use niv_lab::world::frames::{BROADCAST, frame, mac};
use niv_lab::world::wire::{ADAPTER, SWITCH};
use niv_lab::world::{NivWorld, Seen, Setup};
use std::collections::BTreeMap;

const VIF_CREATE: u8 = 2;
const VIF_DELETE: u8 = 5;
const VIF_SET: u8 = 6;
const LIST_SET: u8 = 7;
const LIST_MOD: u8 = 8;

const OK: u16 = 0;
const INPROGRESS: u16 = 1;
const UNKNOWN_VIF: u16 = 7;

const VIF_VECTOR: u16 = 16;
const LIST: u16 = 19;

/// Of a response.
const RESPONSE: u8 = 0x80;
/// Octets of an Ethernet header, behind which a PDU begins.
const ETHERNET: usize = 14;

/// A control PDU in its frame.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Pdu(Vec<u8>);

impl Pdu {
    fn of(frame: &[u8]) -> Option<Self> {
        (frame.get(12..14) == Some(&[0x88, 0xb5])).then(|| Self(frame.to_vec()))
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.0[ETHERNET + at], self.0[ETHERNET + at + 1]])
    }

    fn opcode(&self) -> u8 {
        self.0[ETHERNET + 1] & 0x7f
    }

    fn is_response(&self) -> bool {
        self.0[ETHERNET + 1] & RESPONSE != 0
    }

    fn seq(&self) -> u16 {
        self.u16(2)
    }

    fn status(&self) -> u16 {
        self.u16(4)
    }

    /// Where the value of a TLV is.
    fn value(&self, wanted: u16) -> Option<core::ops::Range<usize>> {
        let (mut at, end) = (16, 16 + usize::from(self.u16(6)));
        while at < end {
            let (kind, length) = (self.u16(at), usize::from(self.u16(at + 2)));
            if kind == wanted {
                return Some(ETHERNET + at + 4..ETHERNET + at + 4 + length);
            }
            at += 4 + length;
        }
        None
    }

    fn number(&self, tlv: u16) -> u16 {
        let value = &self.0[self.value(tlv).expect("the TLV")];
        u16::from_be_bytes([value[0], value[1]])
    }

    /// The same with another sequence number.
    fn with_seq(mut self, seq: u16) -> Self {
        self.0[ETHERNET + 2..ETHERNET + 4].copy_from_slice(&seq.to_be_bytes());
        self
    }
}

/// A world with so many vNICs that have come up, and their ids. Its wire is tapped from the beginning.
fn world(vnics: u16) -> (NivWorld, Vec<VnicId>) {
    let mut world = NivWorld::new(Setup::default());
    world.wires[0].seen = Some(Vec::new());
    let ids = (1..=vnics).map(|number| world.add(0, number)).collect();
    world.run(3 * SECOND);
    (world, ids)
}

fn seen(world: &NivWorld) -> &[Seen] {
    world.wires[0].seen.as_deref().unwrap_or_default()
}

/// The PDUs from one end that are requests (`0`) or responses ([`RESPONSE`]) of an opcode.
fn pdus(world: &NivWorld, from: usize, opcode: u8, kind: u8) -> Vec<Pdu> {
    let all = seen(world).iter().filter(|seen| seen.from == from).filter_map(|seen| Pdu::of(&seen.frame));
    all.filter(|pdu| pdu.opcode() == opcode && pdu.is_response() == (kind == RESPONSE)).collect()
}

/// What both ends of the control protocol have counted under a name: switch, adapter.
fn counted(world: &mut NivWorld, name: &str) -> [u64; 2] {
    let adapter = *world.adapter(0).firmware.session(LinkId(0)).expect("a link").counters();
    let state = world.vis().switch.state();
    let switch = state.control.session(0).expect("a link").counters();
    let of = |counters: &vntag::ctl::session::SessionCounters| {
        counters.iter().find(|(known, _)| *known == name).expect("a counter").1
    };
    [of(switch), of(&adapter)]
}

fn is_active(world: &mut NivWorld, id: VnicId) -> bool {
    world.active(0, id).is_some()
}

fn used(world: &mut NivWorld) -> u64 {
    world.vis().value("show interface ethernet 1/1")["vifs"]["used"].as_u64().expect("a number")
}

/// A frame from this VIF as its adapter would send it.
fn from_vif(vif: u16) -> Vec<u8> {
    frame(BROADCAST, mac(vif)).vntag(u32::from(vif)).ipv4(46)
}

/// A frame for this VIF as the switch would send it.
fn to_vif(vif: u16) -> Vec<u8> {
    frame(mac(vif), mac(9)).vntag(1 << 31 | u32::from(vif) << 16).vlan(1, 0).ipv4(46)
}

/// Whether frames from and to a VIF, put on the wire, pass switch and adapter. Both say why not.
fn passes(world: &mut NivWorld, id: VnicId, vif: u16) -> [bool; 2] {
    world.hosts[0].received();
    let has_guest = world.adapter(0).firmware.has_vnic(id);
    if has_guest {
        world.received(0, id);
    }
    let dropped = |world: &mut NivWorld| {
        let switch: u64 = world.vis().drops().iter().map(|(_, count)| count).sum();
        let adapter: u64 = world.adapter(0).drops().iter().map(|(_, count)| count).sum();
        [switch, adapter]
    };
    let before = dropped(world);
    world.wires[0].inject(SWITCH, &from_vif(vif));
    world.wires[0].inject(ADAPTER, &to_vif(vif));
    world.run(MS);
    let up = !world.hosts[0].received().is_empty();
    let down = has_guest && !world.received(0, id).is_empty();
    let after = dropped(world);
    for ((passed, before), after) in [up, down].into_iter().zip(before).zip(after) {
        assert_eq!(after - before, u64::from(!passed), "what does not pass is counted once");
    }
    [up, down]
}

#[test]
fn c1_each_request_of_the_switch_is_acknowledged_also_on_failure() {
    let (mut world, ids) = world(3);
    world.configure("interface vethernet 2\n shutdown\n");
    world.run(SECOND);
    world.remove(0, ids[2]);
    world.run(SECOND);
    for opcode in [VIF_SET, LIST_SET, LIST_MOD] {
        let requests = pdus(&world, SWITCH, opcode, 0);
        let responses = pdus(&world, ADAPTER, opcode, RESPONSE);
        assert!(!requests.is_empty(), "opcode {opcode} was to be seen");
        for request in requests {
            let of = |response: &&Pdu| response.seq() == request.seq() && response.status() != INPROGRESS;
            assert_eq!(responses.iter().filter(of).count(), 1, "{request:?}");
        }
    }
    // One that cannot be done: for a VIF that does not exist.
    let highest = (2..=13).flat_map(|opcode| pdus(&world, SWITCH, opcode, 0)).map(|pdu| pdu.seq()).max();
    let mut strange =
        pdus(&world, SWITCH, VIF_SET, 0).pop().expect("one").with_seq(highest.expect("some") + 1);
    let vector = strange.value(VIF_VECTOR).expect("a vector");
    strange.0[vector][..2].copy_from_slice(&777u16.to_be_bytes());
    // Twice: the second is answered like the first.
    for _ in 0..2 {
        world.wires[0].inject(ADAPTER, &strange.0);
        world.run(MS);
    }
    let answers = pdus(&world, ADAPTER, VIF_SET, RESPONSE);
    let of_it: Vec<&Pdu> = answers.iter().filter(|answer| answer.seq() == strange.seq()).collect();
    assert!(matches!(of_it[..], [one, other] if one.status() == UNKNOWN_VIF && one == other), "{of_it:?}");
}

#[test]
fn c4_a_vif_is_up_only_while_the_link_is() {
    let mut world = NivWorld::new(Setup::default());
    world.wires[0].plug(false);
    let id = world.add(0, 1);
    world.run(10 * SECOND);
    assert_eq!(world.adapter(0).down.get(&id), Some(&CarrierCause::NoPeer));
    assert!(!is_active(&mut world, id));
    world.wires[0].plug(true);
    world.run(2 * SECOND);
    assert!(is_active(&mut world, id) && !world.adapter(0).down.contains_key(&id));
}

#[test]
fn c12_c19_nothing_passes_from_or_to_a_vif_that_is_standby_gone_or_in_quarantine() {
    let (mut world, ids) = world(2);
    let (id, vif) = (ids[0], world.active(0, ids[0]).expect("active").1);
    assert_eq!(passes(&mut world, id, vif), [true, true]);
    world.rings(0, id, false);
    world.run(100 * MS);
    // Its guest would take it.
    world.adapter(0).guest(id);
    assert_eq!(passes(&mut world, id, vif), [false, false], "standby");
    world.rings(0, id, true);
    world.run(100 * MS);
    assert_eq!(passes(&mut world, id, vif), [true, true]);
    world.remove(0, id);
    world.run(100 * MS);
    assert_eq!((passes(&mut world, id, vif), used(&mut world)), ([false, false], 2), "in quarantine");
    world.run(3 * SECOND);
    assert_eq!((passes(&mut world, id, vif), used(&mut world)), ([false, false], 1), "nobody's");
    // Nobody gets the id while there are others that were free for longer (C10).
    let again = world.add(0, 1);
    world.run(100 * MS);
    assert_eq!(world.active(0, again).map(|at| at.1), Some(3));
}

#[test]
fn c13_a_silent_end_is_lost_within_three_intervals_and_a_new_life_noticed() {
    let (mut world, ids) = world(1);
    let up = |world: &mut NivWorld| {
        let adapter = world.adapter(0).firmware.session(LinkId(0)).expect("a link").peer().is_some();
        let state = world.vis().switch.state();
        [state.control.session(0).expect("a link").peer().is_some(), adapter]
    };
    assert_eq!(up(&mut world), [true, true]);
    world.wires[0].cut = true;
    world.run(3 * SECOND);
    assert_eq!(up(&mut world), [false, false]);
    world.wires[0].cut = false;
    world.run(31 * SECOND);
    assert_eq!((up(&mut world), is_active(&mut world, ids[0])), ([true, true], true));
    world.kill_switch();
    world.start_switch();
    world.run(3 * SECOND);
    assert_eq!((up(&mut world), is_active(&mut world, ids[0])), ([true, true], true));
    world.kill_adapter(0);
    world.start_adapter(0);
    world.run(3 * SECOND);
    assert_eq!((up(&mut world), is_active(&mut world, ids[0])), ([true, true], true));
}

#[test]
fn c14_pdus_of_a_former_session_are_dropped_and_counted() {
    let (mut world, ids) = world(2);
    world.configure("interface vethernet 1\n shutdown\n");
    world.run(100 * MS);
    world.configure("interface vethernet 1\n no shutdown\n");
    world.remove(0, ids[1]);
    world.run(SECOND);
    let shut = pdus(&world, SWITCH, VIF_SET, 0);
    let delete = pdus(&world, ADAPTER, VIF_DELETE, 0);
    assert!(!shut.is_empty() && delete.len() == 1);
    world.kill_switch();
    world.start_switch();
    let again = world.add(0, 2);
    world.run(3 * SECOND);
    assert!(is_active(&mut world, ids[0]) && is_active(&mut world, again));
    let before = counted(&mut world, "ctl_stale");
    for pdu in &shut {
        world.wires[0].inject(ADAPTER, &pdu.0);
    }
    world.wires[0].inject(SWITCH, &delete[0].0);
    world.run(SECOND);
    let after = counted(&mut world, "ctl_stale");
    assert_eq!((after[0] - before[0], after[1] - before[1]), (1, shut.len() as u64));
    assert!(is_active(&mut world, ids[0]) && is_active(&mut world, again));
    assert!(world.adapter(0).down.is_empty());
}

#[test]
fn c15_a_repeated_request_is_answered_alike_and_applied_once() {
    let (mut world, ids) = world(2);
    let create = pdus(&world, ADAPTER, VIF_CREATE, 0).pop().expect("a create");
    let answers = |world: &NivWorld, from, opcode, seq| -> Vec<Pdu> {
        let all = pdus(world, from, opcode, RESPONSE).into_iter();
        all.filter(|answer| answer.seq() == seq && answer.status() != INPROGRESS).collect()
    };
    let before = (counted(&mut world, "ctl_duplicate"), world.show("show logging"), used(&mut world));
    world.wires[0].inject(SWITCH, &create.0);
    world.run(MS);
    let answered = answers(&world, SWITCH, VIF_CREATE, create.seq());
    assert!(matches!(&answered[..], [one, other] if one == other && one.status() == OK), "{answered:?}");
    assert_eq!(counted(&mut world, "ctl_duplicate")[0], before.0[0] + 1);
    assert_eq!((world.show("show logging"), used(&mut world)), (before.1, before.2));
    // The other way: what shut a vNIC once does not do so again.
    world.configure("interface vethernet 1\n shutdown\n");
    world.run(100 * MS);
    let shut = pdus(&world, SWITCH, VIF_SET, 0).pop().expect("a set");
    assert!(!is_active(&mut world, ids[0]));
    world.configure("interface vethernet 1\n no shutdown\n");
    world.run(100 * MS);
    world.wires[0].inject(ADAPTER, &shut.0);
    world.run(100 * MS);
    let answered = answers(&world, ADAPTER, VIF_SET, shut.seq());
    assert!(matches!(&answered[..], [one, other] if one == other && one.status() == OK), "{answered:?}");
    assert!(is_active(&mut world, ids[0]));
}

#[test]
fn c16_lost_and_reordered_responses_do_no_harm() {
    let weather = Weather { loss: 200, duplicates: 200, latency: 25_000, jitter: 60 * MS };
    let mut world = NivWorld::new(Setup { weather, ..Setup::default() });
    world.wires[0].seen = Some(Vec::new());
    let ids: Vec<VnicId> = (1..=20).map(|number| world.add(0, number)).collect();
    world.run(20 * SECOND);
    world.wires[0].weather = Weather::FAIR;
    assert!(world.run_until(60 * SECOND, |world| ids.iter().all(|id| is_active(world, *id))));
    let [switch, adapter] = counted(&mut world, "ctl_retransmitted");
    assert!(switch > 0 && adapter > 0, "nothing was lost: {switch}, {adapter}");
    // No request has two answers, and none was applied twice: that would have taken a second VIF.
    let mut answers: BTreeMap<(usize, Vec<u8>, u16), Vec<u8>> = BTreeMap::new();
    for from in [SWITCH, ADAPTER] {
        for pdu in (2..=13).flat_map(|opcode| pdus(&world, from, opcode, RESPONSE)) {
            if pdu.status() != INPROGRESS {
                let key = (from, pdu.0[ETHERNET + 8..ETHERNET + 12].to_vec(), pdu.seq());
                let known = answers.entry(key).or_insert_with(|| pdu.0.clone());
                assert_eq!(*known, pdu.0);
            }
        }
    }
    world.run(10 * SECOND);
    assert_eq!(used(&mut world), 20);
}

#[test]
fn c17_a_guest_and_a_host_cannot_forge_control() {
    let (mut world, ids) = world(2);
    world.remove(0, ids[1]);
    world.run(SECOND);
    let delete = pdus(&world, ADAPTER, VIF_DELETE, 0).pop().expect("a delete");
    // What would take away the VIF of the first one, octet by octet as its own adapter would say it.
    let mut forged = delete.with_seq(200);
    let vif = world.active(0, ids[0]).expect("active").1;
    let value = forged.value(13).expect("a VIF");
    forged.0[value].copy_from_slice(&vif.to_be_bytes());
    let heard = |world: &mut NivWorld| {
        let [requests, adapters] = counted(world, "ctl_request_rx");
        (requests, adapters, world.vis().balance().punted)
    };
    let again = world.add(0, 2);
    world.run(100 * MS);
    let before = heard(&mut world);
    world.send(0, ids[0], &forged.0);
    world.host_sends(0, &forged.0);
    world.run(10 * MS);
    assert_eq!(heard(&mut world), before);
    assert!(is_active(&mut world, ids[0]));
    let passed =
        [world.received(0, again).len(), world.received(0, ids[0]).len(), world.hosts[0].received().len()];
    assert_eq!(passed, [0, 0, 0], "no bridge forwards it");
    assert!(world.vis().drops().iter().any(|(why, count)| why.name() == "rx_linklocal" && *count == 2));
}

#[test]
fn c18_a_list_carries_data_only_after_it_was_acknowledged() {
    let mut world = NivWorld::new(Setup::default());
    world.wires[0].seen = Some(Vec::new());
    world.run(SECOND);
    // Members come and go while a host talks to all.
    for step in 0..400u16 {
        let number = 1 + step / 10 % 8;
        match step % 80 {
            at if at % 10 == 0 && step < 80 => drop(world.add(0, number)),
            at if at % 10 == 5 && step >= 160 => world.remove(0, VnicId(u32::from(number))),
            at if at % 10 == 9 && step >= 160 => {
                let profile = "default".to_owned();
                world.add_as(0, VnicConfig { profile, ..vnic(u32::from(number), number) }, true);
            }
            _ => {}
        }
        assert!(world.hosts[0].send(&frame(BROADCAST, mac(0x99)).ipv4(46)));
        world.run(7_000);
    }
    world.run(SECOND);
    let latency = Weather::FAIR.latency;
    // When each list was last acknowledged, as the switch heard it; `None` while something is asked of it.
    let (mut good, mut asked) = (BTreeMap::new(), BTreeMap::new());
    let (mut carried, mut changed) = (0, 0);
    // In the order in which the switch sends and hears.
    let mut all: Vec<&Seen> = seen(&world).iter().collect();
    all.sort_by_key(|seen| (seen.sent + if seen.from == ADAPTER { latency } else { 0 }, seen.from == SWITCH));
    for Seen { from, frame, .. } in all {
        match Pdu::of(frame) {
            Some(pdu) if [LIST_SET, LIST_MOD].contains(&pdu.opcode()) => {
                if *from == SWITCH && !pdu.is_response() {
                    let list = pdu.number(LIST);
                    asked.insert(pdu.seq(), list);
                    good.insert(list, false);
                } else if *from == ADAPTER && pdu.is_response() && pdu.status() == OK {
                    let list = asked.remove(&pdu.seq()).expect("a request");
                    good.insert(list, !asked.values().any(|other| *other == list));
                    changed += 1;
                }
            }
            None if *from == SWITCH && frame[12..14] == [0x89, 0x26] && frame[14] & 0x40 != 0 => {
                let list = u16::from_be_bytes([frame[14] & 0x3f, frame[15]]);
                assert_eq!(good.get(&list), Some(&true), "list {list} is used");
                carried += 1;
            }
            _ => {}
        }
    }
    assert!(carried > 200 && changed > 10, "{carried} floods, {changed} changes");
}

#[test]
fn the_tests_that_the_documentation_names_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let exist = |text: &str| {
        let names = text.split('`').filter_map(|name| name.split_once("::"));
        let mut count = 0;
        for (file, test) in names.filter(|(file, _)| file.ends_with(".rs")) {
            // Those of this folder go without saying where it is.
            let here = format!("tests/tests/{file}");
            let file = if root.join(&here).exists() { here } else { file.to_owned() };
            assert!(read(&file).contains(&format!("fn {test}(")), "{file} has no {test}");
            count += 1;
        }
        count
    };
    let text = read("docs/testing.md");
    assert!(exist(&text) > 40);
    // Each promise has its test.
    let promises = read("SPECIFICATION.md");
    let rows = promises.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| held by |"));
    for row in rows {
        assert!(exist(row) > 0, "nothing holds: {row}");
    }
    for line in 1..=19 {
        assert!(text.contains(&format!("\n| C{line} | ")), "C{line} is not in docs/testing.md");
    }
}
