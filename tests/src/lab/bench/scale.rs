//! What many vNICs, VIFs and addresses cost: the same work with few of them is the peer.

use super::duel::{Duel, Goal, Run, Stage, Target};
use super::forwarding::{TALKING, circulate, cycles_alone};
use super::load::{Guests, Iv, many_descriptors, on_guest_core, upward};
use super::measure::{cpu_time, resident};
use super::ours::{Ours, Vnic, Where, socket};
use super::ovs::Ovs;
use crate::driver::Silent;
use crate::random::Random;
use crate::world::frames::mac;
use anyhow::{Result, anyhow, bail};
use std::time::{Duration, Instant};

/// VLAN of the guests that say nothing.
const SILENT: u16 = 11;

/// The first VLAN of those who talk in pairs, behind those that some switches keep for themselves.
const PAIRS: u16 = 1100;

/// Longer than anything that comes up once in a while.
const IDLE: Duration = Duration::from_secs(5);

/// vNICs whose guests are silent, from number `first` on.
fn silent_guests(first: usize, count: usize) -> Result<Silent> {
    many_descriptors()?;
    let mut silent = Silent::new()?;
    for nr in first..first + count {
        silent.connect(&socket(nr))?;
    }
    Ok(silent)
}

fn vnics(vlans: impl IntoIterator<Item = u16>) -> Vec<Vnic> {
    vlans.into_iter().enumerate().map(|(nr, vlan)| Vnic::guest(nr, vlan)).collect()
}

/// What is used when nothing moves.
pub(super) fn idle() -> Duel {
    const GUESTS: usize = 64;
    Duel {
        what: "CPU time with 64 vNICs connected and nothing to do; OVS has two ports without guests",
        peer: "ovs-dpdk",
        goals: vec![Goal { id: "idle-cpu-64", unit: "% of a core", target: Target::AtMost(0.005) }],
        daily: true,
        cores: 2,
        ours: Box::new(|stage| {
            let ours = Ours::start(&vnics([SILENT; GUESTS]), &Where::one_core())?;
            let _silent = silent_guests(0, GUESTS)?;
            std::thread::sleep(stage.plan.settle);
            let used = used_meanwhile(&ours.all_pids(), IDLE)?;
            ours.accounts()?;
            Ok(vec![used])
        }),
        theirs: Box::new(|stage| {
            let ovs = Ovs::start(stage.memory())?;
            std::thread::sleep(stage.plan.settle);
            Ok(vec![used_meanwhile(&super::Side::pids(&ovs), stage.plan.measure)?])
        }),
    }
}

/// CPU time of these processes, in percent of one core.
fn used_meanwhile(pids: &[u32], time: Duration) -> Result<f64> {
    let (before, begun) = (cpu_time(pids)?, Instant::now());
    std::thread::sleep(time);
    Ok((cpu_time(pids)? - before).as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0)
}

/// Memory of adapter and switch for one more vNIC with a guest, the guest's own not counted.
pub(super) fn memory() -> Duel {
    const FEW: usize = 64;
    const MANY: usize = 1024;
    const LIMIT: f64 = 256.0 * 1024.0;
    Duel {
        what: "resident memory of adapter and switch for each vNIC from 64 to 1,024; the peer is the limit",
        peer: "256-kib",
        goals: vec![Goal { id: "memory-per-vnic", unit: "octets", target: Target::AtMost(1.0) }],
        daily: false,
        cores: 2,
        ours: Box::new(|stage| {
            let with = |count: usize| -> Result<u64> {
                let ours = Ours::start(&vnics(vec![SILENT; count]), &Where::one_core())?;
                let _silent = silent_guests(0, count)?;
                std::thread::sleep(stage.plan.settle);
                ours.accounts()?;
                resident(&ours.all_pids())
            };
            let (few, many) = (with(FEW)?, with(MANY)?);
            Ok(vec![many.saturating_sub(few) as f64 / (MANY - FEW) as f64])
        }),
        theirs: Box::new(|_| Ok(vec![LIMIT])),
    }
}

/// Two guests talk while all others are silent.
pub(super) fn silent_vnics(what: &'static str, id: &'static str, count: usize) -> Duel {
    Duel {
        what,
        peer: "2-vnics",
        goals: vec![Goal { id, unit: "cycles/frame", target: Target::AtMost(1.05) }],
        daily: false,
        cores: 2,
        ours: Box::new(move |stage| {
            let vlans = (0..count).map(|nr| if nr < 2 { TALKING } else { SILENT });
            let mut ours = Ours::start(&vnics(vlans), &Where::one_core())?;
            let _silent = silent_guests(2, count - 2)?;
            Ok(vec![circulate(stage, 64, &mut ours)?[1]])
        }),
        theirs: cycles_alone(),
    }
}

/// All guests talk, in pairs.
pub(super) fn talking_vnics(what: &'static str, id: &'static str, count: usize) -> Duel {
    Duel {
        what,
        peer: "2-vnics",
        goals: vec![Goal { id, unit: "cycles/frame", target: Target::AtMost(1.05) }],
        daily: false,
        cores: 2,
        ours: pairs(count),
        theirs: pairs(2),
    }
}

fn pairs(count: usize) -> Run {
    Box::new(move |stage| {
        // A VLAN for each pair: who is not known yet is flooded to one.
        let vlans = (0..count).map(|nr| PAIRS + nr as u16 / 2);
        let ours = Ours::start(&vnics(vlans), &Where::one_core())?;
        let guests = Guests::connect(count, count)?;
        talk(stage, &ours, guests, Guests::all_talk)
    })
}

/// One guest floods; cycles for each copy.
pub(super) fn flood(what: &'static str, id: &'static str, members: usize) -> Duel {
    Duel {
        what,
        peer: "1-member",
        goals: vec![Goal { id, unit: "cycles/copy", target: Target::AtMost(1.0) }],
        daily: false,
        cores: 2,
        ours: flooding(members),
        theirs: flooding(1),
    }
}

fn flooding(members: usize) -> Run {
    Box::new(move |stage| {
        let ours = Ours::start(&vnics(vec![TALKING; members + 1]), &Where::one_core())?;
        // As many copies under way as one member can hold.
        let guests = Guests::connect(members + 1, 4)?;
        talk(stage, &ours, guests, Guests::flood)
    })
}

fn talk(
    stage: &Stage,
    ours: &Ours,
    mut guests: Guests,
    act: fn(&mut Guests, Duration) -> Result<u64>,
) -> Result<Vec<f64>> {
    let mut measured = || -> Result<f64> {
        on_guest_core()?;
        act(&mut guests, stage.plan.settle)?;
        let before = ours.cpu()?;
        let frames = act(&mut guests, stage.plan.measure)?;
        Ok(stage.cycles(ours.cpu()? - before) / frames as f64)
    };
    let cycles = measured().map_err(|error| anyhow!("{error:#}\n{}", ours.tails()))?;
    ours.accounts()?;
    Ok(vec![cycles])
}

/// The switch alone, between as many VIFs in pairs.
pub(super) fn vifs(what: &'static str, id: &'static str, count: u16) -> Duel {
    Duel {
        what,
        peer: "2-vifs",
        goals: vec![Goal { id, unit: "cycles/frame", target: Target::AtMost(1.5) }],
        daily: false,
        cores: 2,
        ours: vif_pairs(count),
        theirs: vif_pairs(2),
    }
}

fn vif_pairs(count: u16) -> Run {
    Box::new(move |stage| {
        let vlans: Vec<_> = (0..count).map(|nr| PAIRS + nr / 2).collect();
        switch_alone(stage, &vlans, None, |iv, time| {
            // VIF 1 is number 0, whose neighbour is number 1.
            let station = |nr: u16| mac(nr + 1);
            let end = Instant::now() + time;
            let mut nr = 0;
            let mut sent = 0;
            iv.send(&upward(1, station(1), station(0)), |octets| {
                octets[..6].copy_from_slice(&station(nr ^ 1));
                octets[6..12].copy_from_slice(&station(nr));
                octets[14..18].copy_from_slice(&u32::from(nr + 1).to_be_bytes());
                nr = (nr + 1) % count;
                sent += 1;
                // All of them at least twice: once to be learned.
                sent <= 2 * u32::from(count) || sent % 64 != 0 || Instant::now() < end
            })
        })
    })
}

/// The switch alone, with so many addresses behind one VIF.
pub(super) fn addresses(what: &'static str, id: &'static str, count: u32) -> Duel {
    Duel {
        what,
        peer: "1000-macs",
        goals: vec![Goal { id, unit: "cycles/frame", target: Target::AtMost(1.5) }],
        daily: false,
        cores: 2,
        ours: to_addresses(count),
        theirs: to_addresses(1000),
    }
}

fn to_addresses(count: u32) -> Run {
    Box::new(move |stage| {
        let sender = [0x52, 0x54, 0, 1, 0, 0];
        let station = |nr: u32| {
            let [a, b, c, d] = nr.to_be_bytes();
            [0x02, 0, a, b, c, d]
        };
        let mut learned = false;
        // In a table that is half full, none is left out.
        let room = (count > 30_000).then_some(2 * count);
        switch_alone(stage, &[TALKING; 2], room, |iv, time| {
            if !std::mem::replace(&mut learned, true) {
                let mut once = true;
                iv.send(&upward(1, station(0), sender), |_| std::mem::take(&mut once))?;
                let mut nr = 0;
                iv.send(&upward(2, sender, station(0)), |octets| {
                    octets[6..12].copy_from_slice(&station(nr));
                    nr += 1;
                    nr <= count
                })?;
            }
            let flooded = iv.flooded;
            let end = Instant::now() + time;
            // Addresses at random.
            let (mut random, mut sent) = (Random::new(1), 0_u32);
            iv.send(&upward(1, station(0), sender), |octets| {
                octets[..6].copy_from_slice(&station(random.below(count.into()) as u32));
                sent += 1;
                sent % 64 != 0 || Instant::now() < end
            })?;
            match iv.flooded - flooded {
                0 => Ok(()),
                n => bail!("{n} of {sent} frames were flooded: the switch does not keep {count} addresses"),
            }
        })
    })
}

/// A switch, perhaps with room for so many addresses, and an adapter without guests; `act` moves frames for so long. Cycles of the
/// switch for each frame.
fn switch_alone(
    stage: &Stage,
    vlans: &[u16],
    addresses: Option<u32>,
    mut act: impl FnMut(&mut Iv, Duration) -> Result<()>,
) -> Result<Vec<f64>> {
    let ours = Ours::switch(vlans, addresses, &Where::one_core())?;
    let mut measured = || -> Result<f64> {
        on_guest_core()?;
        let mut iv = Iv::connect()?;
        act(&mut iv, stage.plan.settle)?;
        let before = (ours.cpu()?, iv.unicast + iv.flooded);
        act(&mut iv, stage.plan.measure)?;
        let frames = iv.unicast + iv.flooded - before.1;
        let cycles = stage.cycles(ours.cpu()? - before.0) / frames as f64;
        ours.accounts()?;
        Ok(cycles)
    };
    let cycles = measured().map_err(|error| anyhow!("{error:#}\n{}", ours.tails()))?;
    Ok(vec![cycles])
}
