//! What is compared with what: one line for each figure of the report, and the runs that give the figures.

use super::huge::Memory;
use super::measure::{Others, tsc_hz};
use super::report::{Comparison, Spread};
use crate::lab::say;
use anyhow::{Context, Result, bail};
use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What is asked of the median ratio, ours over theirs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
}

impl Target {
    /// The bound itself.
    pub(super) fn bound(self) -> f64 {
        let (Self::AtLeast(bound) | Self::AtMost(bound)) = self;
        bound
    }

    /// Whether a ratio is as it should be.
    pub(super) fn met_by(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(bound) => ratio >= bound,
            Self::AtMost(bound) => ratio <= bound,
        }
    }
}

/// One comparison: a line of the report.
#[derive(Clone, Copy)]
pub(super) struct Goal {
    /// Its name in the report and for `--only`.
    pub(super) id: &'static str,
    /// What the figures count.
    pub(super) unit: &'static str,
    /// What is asked.
    pub(super) target: Target,
}

/// One run of one side with fresh processes; a figure for each goal, in their order.
pub(super) type Run = Box<dyn Fn(&Stage) -> Result<Vec<f64>>>;

/// Comparisons whose figures come from the same runs.
pub(super) struct Duel {
    /// What happens, for a person.
    pub(super) what: &'static str,
    /// Against whom; its name in the report.
    pub(super) peer: &'static str,
    /// The lines it gives.
    pub(super) goals: Vec<Goal>,
    /// Part of `--quick`.
    pub(super) daily: bool,
    /// As many as the machine must have.
    pub(super) cores: usize,
    /// Our run.
    pub(super) ours: Run,
    /// The peer's run.
    pub(super) theirs: Run,
}

/// How often, and how long.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// Pairs of runs: ours, theirs.
    pub(super) pairs: usize,
    /// From the first frame to the measurement.
    pub(super) settle: Duration,
    /// The measurement itself.
    pub(super) measure: Duration,
}

impl Plan {
    /// For the record.
    pub(super) const FULL: Self =
        Self { pairs: 5, settle: Duration::from_secs(1), measure: Duration::from_secs(3) };
    /// For today.
    pub(super) const QUICK: Self =
        Self { pairs: 3, settle: Duration::from_millis(300), measure: Duration::from_secs(1) };
}

/// What all runs share.
pub(super) struct Stage {
    /// How long.
    pub(super) plan: Plan,
    /// The time-stamp counter's rate.
    pub(super) tsc: f64,
    /// Round trips a second between two guests that both sides can move, once that was measured.
    pub(super) lower_maximum: OnceCell<f64>,
    memory: OnceCell<Memory>,
}

impl Stage {
    /// Nothing is taken from the machine yet.
    pub(super) fn new(plan: Plan) -> Result<Self> {
        Ok(Self::with(plan, tsc_hz()?))
    }

    fn with(plan: Plan, tsc: f64) -> Self {
        Self { plan, tsc, lower_maximum: OnceCell::new(), memory: OnceCell::new() }
    }

    /// Memory for DPDK, reserved when it is first asked for.
    pub(super) fn memory(&self) -> &Memory {
        self.memory.get_or_init(|| {
            let memory = Memory::get();
            say::line(&say::dim(&format!("       DPDK has {}", memory.describe())));
            memory
        })
    }

    /// CPU time in cycles of the time-stamp counter.
    pub(super) fn cycles(&self, time: Duration) -> f64 {
        time.as_secs_f64() * self.tsc
    }
}

/// What came of a duel.
pub(super) struct Outcome {
    /// A line for each goal.
    pub(super) comparisons: Vec<Comparison>,
    /// Of each run that took its time, how much of the machine others had.
    pub(super) foreign: Vec<f64>,
}

impl Duel {
    /// Runs both sides in turn: ours, theirs, ours, theirs.
    pub(super) fn fight(&self, stage: &Stage) -> Result<Outcome> {
        let mut runs = Vec::new();
        let mut foreign = Vec::new();
        for nr in 1..=stage.plan.pairs {
            let mut side = |name: &str, run: &Run| -> Result<Vec<f64>> {
                let step = say::Step::begin(&format!("run {nr}, {name}"));
                let others = Others::watch()?;
                let figures = guarded(run, stage).with_context(|| format!("run {nr}, {name}"))?;
                foreign.extend(others.share()?);
                if figures.len() != self.goals.len() || figures.iter().any(|f| !f.is_finite()) {
                    bail!("run {nr}, {name}: {figures:?} are no figures");
                }
                let said: Vec<_> = self.goals.iter().zip(&figures).map(|(goal, f)| goal.said(*f)).collect();
                step.done(&said.join(", "));
                Ok(figures)
            };
            let ours = side("ours", &self.ours)?;
            runs.push((ours, side(self.peer, &self.theirs)?));
        }
        let comparisons = self.goals.iter().enumerate().map(|(nr, goal)| {
            let (ours, theirs) = runs.iter().map(|(a, b)| (a[nr], b[nr])).unzip();
            goal.compare(self.peer, ours, theirs)
        });
        Ok(Outcome { comparisons: comparisons.collect(), foreign })
    }
}

/// A run in which a driver of ours asserts that a back end keeps to the rules: one that does not fails the run only.
fn guarded(run: &Run, stage: &Stage) -> Result<Vec<f64>> {
    catch_unwind(AssertUnwindSafe(|| run(stage))).unwrap_or_else(|why| {
        let text = why.downcast_ref::<String>().map(String::as_str);
        bail!("{}", text.or_else(|| why.downcast_ref().copied()).unwrap_or("a panic"))
    })
}

impl Goal {
    /// Judges runs that were made in turn; at least one pair.
    pub(super) fn compare(&self, peer: &'static str, ours: Vec<f64>, theirs: Vec<f64>) -> Comparison {
        let ratio = Spread::of(ours.iter().zip(&theirs).map(|(a, b)| a / b).collect());
        Comparison {
            id: self.id,
            peer,
            met: self.target.met_by(ratio.median),
            ours: Spread::of(ours),
            theirs: Spread::of(theirs),
            ratio,
            target: self.target.bound(),
            unit: self.unit,
        }
    }

    fn said(&self, figure: f64) -> String {
        format!("{} {}", super::report::figure(figure), self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MORE: Goal = Goal { id: "x", unit: "frames/s", target: Target::AtLeast(1.5) };

    #[test]
    fn the_ratio_is_of_neighbouring_runs() {
        let c = MORE.compare("y", vec![2.0, 9.0, 4.0], vec![1.0, 3.0, 4.0]);
        assert_eq!((c.ratio.median, c.ratio.min, c.ratio.max, c.met), (2.0, 1.0, 3.0, true));
        // The ratio of the medians would be 4 / 3, and missed.
        assert_eq!((c.ours.median, c.theirs.median), (4.0, 3.0));
    }

    #[test]
    fn less_is_better_where_it_is_said() {
        let less = Goal { target: Target::AtMost(1.0), ..MORE };
        assert!(less.compare("y", vec![1.0], vec![1.0]).met);
        assert!(!less.compare("y", vec![3.0], vec![2.0]).met);
        assert!(!MORE.compare("y", vec![1.49], vec![1.0]).met);
    }

    #[test]
    fn sides_take_turns_and_their_figures_stay_apart() {
        use std::cell::RefCell;
        use std::rc::Rc;
        let order = Rc::new(RefCell::new(String::new()));
        let run = |name: char, figures: [f64; 2]| -> Run {
            let order = Rc::clone(&order);
            Box::new(move |_| {
                order.borrow_mut().push(name);
                Ok(figures.to_vec())
            })
        };
        let second = Goal { id: "z", unit: "cycles/frame", target: Target::AtMost(1.0) };
        let duel = Duel {
            what: "",
            peer: "y",
            goals: vec![MORE, second],
            daily: false,
            cores: 2,
            ours: run('a', [6.0, 5.0]),
            theirs: run('b', [3.0, 10.0]),
        };
        let plan = Plan { pairs: 3, settle: Duration::ZERO, measure: Duration::ZERO };
        let outcome = duel.fight(&Stage::with(plan, 1.0)).unwrap();
        assert_eq!(*order.borrow(), "ababab");
        let ratios: Vec<_> = outcome.comparisons.iter().map(|c| (c.id, c.ratio.median)).collect();
        assert_eq!(ratios, [("x", 2.0), ("z", 0.5)]);
        // Nothing was long enough to say who had the machine.
        assert!(outcome.foreign.is_empty());
    }

    #[test]
    fn a_run_without_a_figure_is_no_run() {
        let run = |figures: Vec<f64>| -> Run { Box::new(move |_| Ok(figures.clone())) };
        let plan = Plan { pairs: 1, settle: Duration::ZERO, measure: Duration::ZERO };
        let stage = Stage::with(plan, 1.0);
        let broken: Run = Box::new(|_| panic!("a rule was broken"));
        for theirs in [run(vec![]), run(vec![f64::NAN]), broken] {
            let duel = Duel {
                what: "",
                peer: "y",
                goals: vec![MORE],
                daily: false,
                cores: 2,
                ours: run(vec![1.0]),
                theirs,
            };
            assert!(duel.fight(&stage).is_err());
        }
    }
}
