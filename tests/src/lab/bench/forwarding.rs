//! Frames of one length between two guests that forward by MAC address: frames a second, and cycles a frame.

use super::duel::{Duel, Goal, Run, Stage, Target};
use super::measure::cpu_time;
use super::ours::{Ours, Vnic, Where};
use super::ovs::Ovs;
use super::{Cores, Side, list_of, testpmd};
use crate::lab::say;
use anyhow::{Result, anyhow, bail};
use std::time::Instant;

/// VLAN of the two guests.
pub(super) const TALKING: u16 = 10;

/// Both sides with frames of `octets`, which do not count the frame check sequence.
pub(super) fn duel(
    what: &'static str,
    octets: u16,
    cores: Cores,
    ids: [&'static str; 2],
    daily: bool,
) -> Duel {
    Duel {
        what,
        peer: "ovs-dpdk",
        goals: vec![
            Goal { id: ids[0], unit: "frames/s", target: Target::AtLeast(1.0) },
            Goal { id: ids[1], unit: "cycles/frame", target: Target::AtMost(1.0) },
        ],
        daily,
        cores: cores.count(),
        ours: Box::new(move |stage| circulate_on(stage, octets, cores, &mut guests_on(cores)?)),
        theirs: Box::new(move |stage| {
            circulate_on(stage, octets, cores, &mut Ovs::start_on(stage.memory(), cores.switch)?)
        }),
    }
}

/// Adapter and switch with two guests.
pub(super) fn two_guests() -> Result<Ours> {
    guests_on(Cores::ONE)
}

/// The same on these cores; with more than one, adapter and switch do not share theirs.
fn guests_on(cores: Cores) -> Result<Ours> {
    let place = Where { cores: list_of(cores.switch), namespace: None };
    Ours::start(&[Vnic::guest(0, TALKING), Vnic::guest(1, TALKING)], &place)
}

/// Cycles a frame of our two guests, for whom others are only in the way.
pub(super) fn cycles_alone() -> Run {
    Box::new(|stage| Ok(vec![circulate(stage, 64, &mut two_guests()?)?[1]]))
}

/// Frames circulate; {frames a second, both directions added; cycles of work a frame}.
///
/// Cycles are CPU time of the switch side without its idle polling, times the time-stamp counter's rate. Time that
/// others took from it is not in them.
pub(super) fn circulate(stage: &Stage, octets: u16, side: &mut dyn Side) -> Result<Vec<f64>> {
    circulate_on(stage, octets, Cores::ONE, side)
}

fn circulate_on(stage: &Stage, octets: u16, cores: Cores, side: &mut dyn Side) -> Result<Vec<f64>> {
    measure(stage, octets, cores, side).map_err(|error| anyhow!("{error:#}\n{}", side.tail()))
}

fn measure(stage: &Stage, octets: u16, cores: Cores, side: &mut dyn Side) -> Result<Vec<f64>> {
    let mut guests = testpmd::Pair::start(&side.sockets(), octets, stage.memory(), cores.guests)?;
    side.ready()?;
    guests.circulate()?;
    std::thread::sleep(stage.plan.settle);
    side.begin()?;
    let begin = (guests.received()?, cpu_time(&side.pids())?, Instant::now());
    std::thread::sleep(stage.plan.measure);
    let end = (guests.received()?, cpu_time(&side.pids())?, begin.2.elapsed());
    let share = side.working_share()?;
    let frames = end.0.saturating_sub(begin.0) as f64;
    if frames == 0.0 {
        bail!("no frame came through in {}\n{}", say::seconds(end.2), guests.tail());
    }
    let sent = guests.silence()?;
    side.balance(sent)?;
    Ok(vec![frames / end.2.as_secs_f64(), stage.cycles(end.1 - begin.1) * share / frames])
}
