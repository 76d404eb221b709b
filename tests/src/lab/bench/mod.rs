//! `cargo lab bench`: ours against a peer, run by run in turn, on the same cores.
//!
//! The switch side, whatever it is made of, has core 0 to itself; the guests, two virtio-user ports of one
//! testpmd that forwards by MAC address, have core 1. Frames circulate between the two ports for ever, so the
//! slower side sets the pace. Absolute rates depend on the machine and its mood; the ratio of neighbouring runs
//! is the result.

mod huge;
mod ours;
mod ovs;
mod report;
mod testpmd;

pub(super) use huge::give_back;

use super::{cleanup, packages, paths, running, say};
use anyhow::{Context, Result, anyhow, bail};
use report::{Comparison, Spread};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The core of the switch side.
pub(super) const SWITCH_CORE: &str = "0";
/// The core of the guests.
pub(super) const GUEST_CORE: &str = "1";

/// A machine of which others have no more than this part is quiet.
const QUIET: f64 = 0.05;

/// Something that switches between two vhost-user sockets.
trait Side {
    /// The sockets it serves, for the guests.
    fn sockets(&self) -> [PathBuf; 2];
    /// Its processes, for their CPU time.
    fn pids(&self) -> Vec<u32>;
    /// Returns when the guests, which have connected, are known to it.
    fn ready(&mut self) -> Result<()> {
        Ok(())
    }
    /// Called when the measurement begins.
    fn begin(&mut self) -> Result<()> {
        Ok(())
    }
    /// Which part of its CPU time since then was work and not idle polling.
    fn working_share(&mut self) -> Result<f64> {
        Ok(1.0)
    }
    /// Fails unless every frame is accounted for, now that the guests are silent and sent `sent` frames.
    fn balance(&mut self, sent: u64) -> Result<()>;
    /// What an error should show.
    fn tail(&self) -> String;
}

/// One run's result.
struct Sample {
    /// Frames a second that came out of the switch side, both directions added.
    pps: f64,
    /// Cycles of work a frame: CPU time of the switch side without idle polling, times the time-stamp counter's
    /// rate. Time that others took from it is not in it.
    cycles: f64,
    /// How much of the machine others had meanwhile.
    foreign: f64,
}

/// How long and how often.
struct Plan {
    pairs: usize,
    settle: Duration,
    measure: Duration,
}

/// Runs all comparisons and writes the report.
pub(crate) fn run(quick: bool) -> Result<()> {
    let plan = if quick {
        Plan { pairs: 3, settle: Duration::from_millis(500), measure: Duration::from_secs(2) }
    } else {
        Plan { pairs: 7, settle: Duration::from_secs(1), measure: Duration::from_secs(4) }
    };
    paths::enter()?;
    let _lock = cleanup::take()?;
    say::heading("Ours against OVS-DPDK: 64 octets, two virtio-user guests, MAC forwarding");
    packages::ensure(&[packages::GUESTS, packages::COMPARED])?;
    running::need_root()?;
    if std::thread::available_parallelism()?.get() < 2 {
        bail!("a comparison needs two cores: one for the switch side, one for the guests");
    }
    running::build()?;
    let tsc = tsc_hz()?;
    let memory = huge::Memory::get();
    say::line(&format!(
        "  switch side on core {SWITCH_CORE}, guests on core {GUEST_CORE}, {} runs each in turn, {} each; {}",
        plan.pairs,
        say::seconds(plan.measure),
        memory.describe()
    ));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for nr in 1..=plan.pairs {
        let a = one("ours", nr, &plan, tsc, &memory, || Ok(Box::new(ours::Ours::start()?)))?;
        let b = one("ovs-dpdk", nr, &plan, tsc, &memory, || Ok(Box::new(ovs::Ovs::start(&memory)?)))?;
        say::line(&say::dim(&format!("       ratio {:.2}", a.pps / b.pps)));
        ours.push(a);
        theirs.push(b);
    }
    let pick = |samples: &[Sample], field: fn(&Sample) -> f64| samples.iter().map(field).collect::<Vec<_>>();
    let comparisons = [
        Comparison::more_is_better(
            "pps-64-1core",
            "ovs-dpdk",
            pick(&ours, |s| s.pps),
            pick(&theirs, |s| s.pps),
            1.0,
        ),
        Comparison::less_is_better(
            "cycles-64-1core",
            "ovs-dpdk",
            pick(&ours, |s| s.cycles),
            pick(&theirs, |s| s.cycles),
            1.0,
        ),
    ];
    let folder = paths::repository().join("target").join("bench");
    let foreign =
        spread(pick(&ours, |s| s.foreign).into_iter().chain(pick(&theirs, |s| s.foreign)).collect());
    report::write(&folder, &comparisons, quick, foreign.median)?;
    say::heading("Result");
    for line in report::markdown(&comparisons).lines() {
        say::line(&format!("  {line}"));
    }
    say::line("");
    say::line(
        "  ours counts the CPU time of adapter and switch; OVS its own processing cycles, without its idle polling",
    );
    if foreign.median > QUIET {
        say::line(&say::red(&format!(
            "  other programs took {:.0} % of this machine meanwhile: only the cycles can be believed",
            foreign.median * 100.0
        )));
    }
    say::line("  target/bench/report.json, target/bench/report.md");
    Ok(())
}

fn one(
    name: &str,
    nr: usize,
    plan: &Plan,
    tsc: f64,
    memory: &huge::Memory,
    start: impl FnOnce() -> Result<Box<dyn Side>>,
) -> Result<Sample> {
    let step = say::Step::begin(&format!("run {nr}, {name}"));
    let mut side = start()?;
    let sample = measure(side.as_mut(), plan, tsc, memory);
    let sample = sample.map_err(|error| anyhow!("run {nr} of {name}: {error:#}\n{}", side.tail()))?;
    step.done(&format!("{:.2} Mpps, {:.0} cycles a frame", sample.pps / 1e6, sample.cycles));
    Ok(sample)
}

fn measure(side: &mut dyn Side, plan: &Plan, tsc: f64, memory: &huge::Memory) -> Result<Sample> {
    let mut guests = testpmd::Pair::start(&side.sockets(), memory)?;
    side.ready()?;
    guests.circulate()?;
    std::thread::sleep(plan.settle);
    side.begin()?;
    let us = [side.pids(), vec![guests.pid(), std::process::id()]].concat();
    let begin =
        (guests.received()?, cpu_time(&side.pids())?, cpu_time(&us)?, machine_time()?, Instant::now());
    std::thread::sleep(plan.measure);
    let end =
        (guests.received()?, cpu_time(&side.pids())?, cpu_time(&us)?, machine_time()?, begin.4.elapsed());
    let share = side.working_share()?;
    let time = end.4.as_secs_f64();
    let frames = end.0.saturating_sub(begin.0) as f64;
    if frames == 0.0 {
        bail!("no frame came through in {}\n{}", say::seconds(end.4), guests.tail());
    }
    let sent = guests.silence()?;
    side.balance(sent)?;
    let cores = std::thread::available_parallelism()?.get() as f64;
    let foreign = (end.3 - begin.3).saturating_sub(end.2 - begin.2).as_secs_f64() / time / cores;
    Ok(Sample { pps: frames / time, cycles: (end.1 - begin.1).as_secs_f64() * share * tsc / frames, foreign })
}

/// Time in which any core of the machine did anything.
fn machine_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let fields: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|w| w.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal; what comes after is part of these.
    let busy: u64 =
        fields.iter().take(8).enumerate().filter(|(nr, _)| *nr != 3 && *nr != 4).map(|(_, t)| t).sum();
    Ok(Duration::from_secs_f64(busy as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// CPU time of all threads of these processes, to the nanosecond.
fn cpu_time(pids: &[u32]) -> Result<Duration> {
    let mut sum = 0;
    for pid in pids {
        let tasks = Path::new("/proc").join(pid.to_string()).join("task");
        for task in std::fs::read_dir(&tasks).with_context(|| format!("process {pid} is gone"))? {
            let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
            sum += text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(Duration::from_nanos(sum))
}

/// How fast the time-stamp counter runs: the kernel says twice as much by the name of BogoMIPS.
fn tsc_hz() -> Result<f64> {
    let info = std::fs::read_to_string("/proc/cpuinfo")?;
    let line =
        info.lines().find(|line| line.starts_with("bogomips")).context("/proc/cpuinfo has no bogomips")?;
    let value: f64 = line.split(':').nth(1).unwrap_or_default().trim().parse().context("bogomips")?;
    Ok(value / 2.0 * 1e6)
}

/// Waits until `ready` gives something.
fn wait_for<T>(what: &str, patience: Duration, mut ready: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = ready()? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("{what} did not come within {} s", patience.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Median, least and greatest of some values.
fn spread(mut values: Vec<f64>) -> Spread {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let median =
        if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
    Spread { median, min: values[0], max: values[values.len() - 1] }
}
