//! `cargo lab bench`: ours against peers, run by run in turn, on the same cores.
//!
//! The switch side, whatever it is made of, has core 0 to itself; guests and load generators have core 1 (hosts of
//! the kernel and what joins them share both). Every run has fresh processes, and at its end every frame must be
//! accounted for. Absolute rates depend on the machine and its mood; the ratio of neighbouring runs is the result.
//!
//! | module | what it knows |
//! |---|---|
//! | [`catalogue`] | everything that is compared: one row for each duel |
//! | [`duel`] | a duel: its goals, its two sides, the runs in turn, the judgement |
//! | [`report`], [`curve`] | JSON and table; SVG |
//! | [`measure`], [`huge`] | CPU time, memory; huge pages |
//! | [`ours`], [`ovs`] | the switch sides |
//! | [`testpmd`], [`load`] | who makes the load: two guests that forward by MAC address; guests and adapters of this process |
//! | [`forwarding`], [`bulk`], [`hosts`], [`scale`], [`parts`], [`pace`] | the duels |

mod bulk;
mod catalogue;
mod curve;
mod duel;
mod forwarding;
mod hosts;
mod huge;
mod load;
mod measure;
mod ours;
mod ovs;
mod pace;
mod parts;
mod report;
mod scale;
mod testpmd;
mod veth;

pub(super) use huge::give_back;

use super::{cleanup, packages, paths, running, say};
use anyhow::{Context, Result, bail};
use duel::{Duel, Plan, Stage};
use report::{Report, Spread};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The core of the switch side.
pub(super) const SWITCH_CORE: &str = "0";
/// The core of the guests.
pub(super) const GUEST_CORE: &str = "1";

/// Which cores a comparison of forwarding takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cores {
    /// Those of the switch side.
    pub(super) switch: &'static [usize],
    /// Those of the guests.
    pub(super) guests: &'static [usize],
}

impl Cores {
    /// One for each.
    pub(super) const ONE: Self = Self { switch: &[0], guests: &[1] };
    /// Two for each.
    pub(super) const TWO: Self = Self { switch: &[0, 2], guests: &[1, 3] };

    /// As many as the machine must have.
    pub(super) fn count(&self) -> usize {
        self.switch.len() + self.guests.len()
    }
}

/// Cores as `taskset -c` reads them.
pub(super) fn list_of(cores: &[usize]) -> String {
    cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// A machine of which others have no more than this part is quiet.
const QUIET: f64 = 0.05;

/// Something that switches between two vhost-user sockets.
trait Side {
    /// The sockets between it and the guests.
    fn sockets(&self) -> [PathBuf; 2];
    /// The guests' side makes the sockets, and it connects.
    fn guests_listen(&self) -> bool {
        false
    }
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

/// What to compare, and how long.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Two minutes for the figures of every day: fewer comparisons, fewer and shorter runs.
    #[arg(long)]
    quick: bool,
    /// Only the comparison of this name, with those that come from the same runs; may be given again.
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
    /// Show what can be compared.
    #[arg(long)]
    list: bool,
}

impl Bench {
    /// Does it.
    pub(crate) fn run(&self) -> Result<()> {
        let duels = self.chosen()?;
        if self.list {
            list(&duels);
            return Ok(());
        }
        packages::ensure(&[packages::COMPARED])?;
        running::need_root()?;
        if std::thread::available_parallelism()?.get() < 2 {
            bail!("a comparison needs two cores: one for the switch side, one for the guests");
        }
        let optimized = paths::program("lab");
        if std::env::current_exe().ok() != optimized.canonicalize().ok() {
            return with_optimized_load(&optimized);
        }
        self.compare(&duels)
    }

    /// In the catalogue's order.
    fn chosen(&self) -> Result<Vec<Duel>> {
        let all = catalogue::all();
        let known = |id: &str| all.iter().any(|duel| duel.goals.iter().any(|goal| goal.id == id));
        if let Some(id) = self.only.iter().find(|id| !known(id)) {
            bail!("no comparison is called {id:?}; `cargo lab bench --list` shows them all");
        }
        let wanted = |duel: &Duel| match self.only.as_slice() {
            [] => duel.daily || !self.quick,
            only => duel.goals.iter().any(|goal| only.iter().any(|id| id == goal.id)),
        };
        Ok(all.into_iter().filter(wanted).collect())
    }

    fn compare(&self, duels: &[Duel]) -> Result<()> {
        let begun = Instant::now();
        paths::enter()?;
        let _lock = cleanup::take()?;
        let folder = paths::repository().join("target").join("bench");
        let stage = Stage::new(if self.quick { Plan::QUICK } else { Plan::FULL })?;
        say::line(&format!(
            "  switch side on core {SWITCH_CORE}, guests on core {GUEST_CORE}; {} runs of each side in turn, {} each",
            stage.plan.pairs,
            say::seconds(stage.plan.measure),
        ));
        let mut report = Report { quick: self.quick, ..Report::default() };
        let mut foreign = Vec::new();
        let available = std::thread::available_parallelism()?.get();
        for duel in duels {
            say::heading(&format!("Against {}: {}", duel.peer, duel.what));
            if duel.cores > available {
                let id = duel.goals[0].id;
                say::line(&format!("  left out: {id} needs {} cores, there are {available}", duel.cores));
                continue;
            }
            match duel.fight(&stage) {
                Ok(outcome) => {
                    report.comparisons.extend(outcome.comparisons);
                    foreign.extend(outcome.foreign);
                    if !foreign.is_empty() {
                        report.foreign_cpu = Spread::of(foreign.clone()).median;
                    }
                }
                Err(error) => {
                    cleanup::let_interrupt_finish();
                    say::line(&say::red(&format!("  {error:#}")));
                    report.failed.push((duel.goals[0].id, format!("{error:#}")));
                }
            }
            // After each of them: a long run that is interrupted has not been for nothing.
            report.write(&folder)?;
        }
        for curve in catalogue::CURVES {
            curve.write(&report, &folder)?;
        }
        say::heading("Result");
        for line in report.markdown().lines() {
            say::line(&format!("  {line}"));
        }
        if report.foreign_cpu > QUIET {
            say::line(&say::red(&format!(
                "  other programs took {:.0} % of this machine meanwhile: of rates believe nothing, of cycles little",
                report.foreign_cpu * 100.0
            )));
        }
        say::line(&format!(
            "  target/bench/report.json, target/bench/report.md, after {}",
            say::seconds(begun.elapsed())
        ));
        match report.failed.len() {
            0 => Ok(()),
            n => bail!("{n} of {} could not be measured", duels.len()),
        }
    }
}

fn list(duels: &[Duel]) {
    for duel in duels {
        for goal in &duel.goals {
            let bound = match goal.target {
                duel::Target::AtLeast(bound) => format!("at least {bound}"),
                duel::Target::AtMost(bound) => format!("at most {bound}"),
            };
            say::line(&format!("{:<22} {:<14} {:<14} {bound}", goal.id, goal.unit, duel.peer));
        }
    }
}

/// This program also makes load and is a guest, so it is built like what it measures, and takes this one's place.
fn with_optimized_load(lab: &Path) -> Result<()> {
    running::build(&["niv-lab"])?;
    Err(Command::new(lab).args(std::env::args_os().skip(1)).exec()).context("cannot start the optimized lab")
}
