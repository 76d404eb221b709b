//! The switch is killed at random moments, while vNICs come, lines are configured and frames pass: whatever it had
//! acknowledged is there afterwards.

use super::files::{negotiated_port, node};
use super::place::{Place, until};
use super::virtual_iv::VirtualIv;
use niv_lab::random::Random;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use vntag::ethernet::Mac;

const KILLS: u64 = 200;
/// Acts between two kills, at most.
const ACTS: u64 = 60;
/// vNICs at the end; every other one has a binding of its own.
const VNICS: u32 = 40;
/// The vEths that are configured: vNIC n is bound to this number and n.
const BOUND: u32 = 5000;

/// What the switch has acknowledged.
#[derive(Default)]
struct Told {
    /// The vEth of each vNIC.
    veths: BTreeMap<u32, u32>,
    /// The last mark that was set on each vEth which is configured, and the last that was tried.
    marks: BTreeMap<u32, (u64, u64)>,
    /// Frames from each vEth.
    frames: BTreeMap<u32, u64>,
}

impl Told {
    /// vEths with frames.
    fn counted(&self) -> usize {
        self.frames.values().filter(|frames| **frames > 0).count()
    }

    /// All vNICs have come, and frames of many vEths were told: the kills have met what they are to meet.
    fn is_enough(&self) -> bool {
        self.veths.len() == VNICS as usize && self.counted() >= VNICS as usize / 5
    }
}

fn address(vnic: u32) -> Mac {
    Mac([0x52, 0x54, 0, 0, 0, vnic as u8])
}

#[test]
fn what_the_switch_acknowledged_survives_two_hundred_kills() {
    let chassis =
        node("vis0").replace("startup = \"vis0.cfg\"\n", "") + &negotiated_port(1, "memif:link0.sock");
    let mut place = Place::new(&[("vis0.toml", chassis)]);
    place.start("vis0");
    let iv = VirtualIv::at(&place.path("link0.sock"));
    let (mut told, mut dice, mut sessions, mut step) = (Told::default(), Random::new(1), 0, 0);
    let begun = Instant::now();
    let mut kills = 0;
    // On a busy machine less is done between two kills.
    while kills < KILLS || kills < 3 * KILLS && !told.is_enough() {
        let kill = kills;
        kills += 1;
        // At any moment of any act, or at once when something was acknowledged.
        let (last, within) = (step + dice.below(ACTS), Duration::from_micros(dice.below(3000)));
        let after = [None, Some(Said::Vif), Some(Said::Lines), Some(Said::Counters)][dice.below(4) as usize];
        let pid = Pid::from_raw(place.pid("vis0").try_into().unwrap()).unwrap();
        let (grants, before) = (iv.grants.clone(), iv.grants.load(Ordering::Acquire));
        let acts = Arc::new(AtomicU64::new(step));
        let done = acts.clone();
        let killer = std::thread::spawn(move || {
            let mut moment: Option<Instant> = None;
            while moment.is_none_or(|moment| Instant::now() < moment) {
                if done.load(Ordering::Acquire) >= last {
                    moment.get_or_insert_with(|| Instant::now() + within);
                }
                if after == Some(Said::Vif) && grants.load(Ordering::Acquire) > before {
                    break;
                }
                std::thread::yield_now();
            }
            // It may be dead already.
            let _ = kill_process(pid, Signal::KILL);
        });
        while !killer.is_finished() {
            step += 1;
            acts.store(step, Ordering::Release);
            let said = act(&place, &iv, &mut told, &mut dice, kill, step);
            if said.is_some() && said == after {
                kill_process(pid, Signal::KILL).unwrap();
                // Nothing is left to wait for.
                acts.store(u64::MAX, Ordering::Release);
                killer.join().unwrap();
                break;
            }
        }
        place.kill("vis0");

        place.start("vis0");
        let granted = iv.settled(sessions);
        sessions = iv.granted().1;
        for (vnic, granted) in granted {
            let veth = *told.veths.entry(vnic).or_insert(granted.veth);
            assert_eq!(granted.veth, veth, "kill {kill}: vNIC {vnic} had vEth {veth}");
            // The odd ones were bound before they came.
            assert_eq!(vnic % 2 == 1, veth == BOUND + vnic, "kill {kill}: vNIC {vnic} has vEth {veth}");
        }
        check(&place, &told, kill);
    }
    println!(
        "{kills} kills in {:?}, {step} acts; {} vEths, {} marks",
        begun.elapsed(),
        told.veths.len(),
        told.marks.len()
    );
    let (veths, counted) = (told.veths.len(), told.counted());
    assert!(told.is_enough(), "{veths} vNICs came, {counted} vEths were told frames");
    place.stop("vis0");
}

/// What the switch acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Vif,
    Lines,
    Counters,
}

/// Something that may be acknowledged before the kill, or not.
fn act(
    place: &Place,
    iv: &VirtualIv,
    told: &mut Told,
    dice: &mut Random,
    kill: u64,
    step: u64,
) -> Option<Said> {
    let client = place.client("vis0");
    // One more every few kills, so that often there is one to come.
    let most = u32::try_from(1 + kill * u64::from(VNICS + 2) / KILLS).unwrap().min(VNICS);
    // The next one to come, or any.
    let next = (1..=most).find(|vnic| !told.veths.contains_key(vnic));
    let any = 1 + u32::try_from(dice.below(u64::from(most))).unwrap();
    let vnic = next.filter(|_| dice.below(2) == 0).unwrap_or(any);
    for (vnic, granted) in iv.granted().0 {
        let veth = *told.veths.entry(vnic).or_insert(granted.veth);
        assert_eq!(granted.veth, veth, "vNIC {vnic} had vEth {veth}");
    }
    match dice.below(4) {
        0 if vnic % 2 == 1 => {
            // A mark, and the binding with it. Only when that is acknowledged may the vNIC come.
            let mark = told.marks.entry(vnic).or_default();
            mark.1 = step;
            let lines = format!(
                "interface vethernet {}\n  description mark {step}\n  bind mac {}\n",
                BOUND + vnic,
                address(vnic).dotted()
            );
            client.configure(&lines).ok()?;
            mark.0 = step;
            iv.add(vnic, address(vnic), "default");
            Some(Said::Lines)
        }
        0 => {
            iv.add(vnic, address(vnic), "default");
            None
        }
        1 => {
            let veth = told.veths.get(&vnic)?;
            let shown = client.exec(&format!("show interface vethernet {veth}")).ok()?;
            let frames = shown["rx"]["frames"].as_u64().unwrap();
            let before = told.frames.insert(*veth, frames).unwrap_or(0);
            assert!(frames >= before, "Veth{veth}: {frames} frames, {before} were told before");
            (frames > before).then_some(Said::Counters)
        }
        _ => {
            iv.broadcast(vnic);
            None
        }
    }
}

/// The switch is there again: it has what it acknowledged.
fn check(place: &Place, told: &Told, kill: u64) {
    let client = place.client("vis0");
    let config = client.exec("show running-config").unwrap().as_str().unwrap().to_owned();
    for (vnic, (acknowledged, tried)) in &told.marks {
        let header = format!("interface vethernet {}\n", BOUND + vnic);
        let section = config.split_once(&header).map(|(_, rest)| rest.split("!\n").next().unwrap());
        let number = |line: &str| line.trim().strip_prefix("description mark ")?.parse::<u64>().ok();
        let mark = section.and_then(|section| section.lines().find_map(number)).unwrap_or(0);
        assert!(
            (*acknowledged..=*tried).contains(&mark),
            "kill {kill}: vNIC {vnic}: mark {mark}, {acknowledged} was acknowledged and {tried} tried"
        );
        let bind = format!("bind mac {}", address(*vnic).dotted());
        assert!(
            mark == 0 || section.is_some_and(|section| section.contains(&bind)),
            "kill {kill}: {section:?}"
        );
    }
    let rows = client.exec("show interface virtual summary").unwrap();
    let known: BTreeMap<String, String> = rows
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| Some((row["interface"].as_str()?.to_owned(), row["mac"].as_str()?.to_owned())))
        .collect();
    for (vnic, veth) in &told.veths {
        assert_eq!(known.get(&format!("vethernet{veth}")), Some(&address(*vnic).to_string()), "kill {kill}");
    }
    // All at once, by the page of metrics.
    let page = client.metrics().unwrap();
    for (veth, before) in &told.frames {
        let sample = format!("vis_vethernet_rx_frames_total{{interface=\"vethernet{veth}\"}} ");
        let frames: u64 = page.lines().find_map(|line| line.strip_prefix(&sample)?.parse().ok()).unwrap();
        assert!(frames >= *before, "kill {kill}: Veth{veth} has {frames} frames, {before} were told");
    }
}

#[test]
fn a_restart_keeps_what_was_configured_and_who_is_who() {
    let chassis = node("vis0") + &negotiated_port(1, "memif:link0.sock");
    let startup = "port-profile web\n  switchport access vlan 20\n  state enabled\n";
    let mut place = Place::new(&[("vis0.toml", chassis), ("vis0.cfg", startup.to_owned())]);
    place.start("vis0");
    let iv = VirtualIv::at(&place.path("link0.sock"));
    iv.add(1, address(1), "web");
    iv.add(2, address(2), "default");
    let before = iv.settled(0);
    place.client("vis0").configure("interface vethernet 1\n  switchport access vlan 30\n").unwrap();
    (0..5).for_each(|_| iv.broadcast(1));
    let counted = |place: &Place| -> Value {
        place.client("vis0").exec("show interface vethernet 1").unwrap()["rx"]["frames"].clone()
    };
    until("five frames", || (counted(&place) == 5).then_some(()));

    // In order, and the startup file is somebody else's by now.
    place.write("vis0.cfg", "no such line\n");
    place.stop("vis0");
    place.start("vis0");
    let after = iv.settled(1);
    let veths = |granted: &BTreeMap<u32, super::virtual_iv::Granted>| -> Vec<(u32, u32)> {
        granted.iter().map(|(vnic, granted)| (*vnic, granted.veth)).collect()
    };
    assert_eq!(veths(&after), veths(&before));
    let shown = place.show("vis0", "show interface vethernet 1");
    assert_eq!((&shown["vlan"], &shown["profile"]), (&30.into(), &"web".into()));
    assert_eq!(counted(&place), 5);
    let log = place.show("vis0", "show logging");
    assert_eq!(log[0]["mnemonic"], "CONFIG_RESTORED", "{log:#}");

    // Back to the startup file: it is wrong, and nothing changes; then it is right.
    let (code, _, complained) = place.nivctl(&["--api", "vis0.sock", "reload"]);
    assert!(code == 1 && complained.contains("vis0.cfg"), "{code}: {complained}");
    place.write("vis0.cfg", startup);
    assert_eq!(place.nivctl(&["--api", "vis0.sock", "reload"]).0, 0);
    assert_eq!(place.show("vis0", "show interface vethernet 1")["vlan"], 20);
    let uuid = |place: &Place| place.show("vis0", "show version")["uuid"].clone();
    let id = uuid(&place);
    place.kill("vis0");
    place.start("vis0");
    assert_eq!(place.show("vis0", "show interface vethernet 1")["vlan"], 20);
    assert_eq!(uuid(&place), id);
}
