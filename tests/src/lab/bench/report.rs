//! The report: JSON for machines, a table for people.

use super::spread;
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Median, least and greatest.
#[derive(Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

/// Ours against a peer.
#[derive(Serialize)]
pub(super) struct Comparison {
    id: &'static str,
    peer: &'static str,
    ours: Spread,
    theirs: Spread,
    /// Of neighbouring runs.
    ratio: Spread,
    target: f64,
    met: bool,
}

impl Comparison {
    /// Met where the median ratio is `target` or more.
    pub(super) fn more_is_better(
        id: &'static str,
        peer: &'static str,
        ours: Vec<f64>,
        theirs: Vec<f64>,
        target: f64,
    ) -> Self {
        let ratio = spread(ours.iter().zip(&theirs).map(|(a, b)| a / b).collect());
        let met = ratio.median >= target;
        Self { id, peer, ours: spread(ours), theirs: spread(theirs), ratio, target, met }
    }

    /// Met where the median ratio is `target` or less.
    pub(super) fn less_is_better(
        id: &'static str,
        peer: &'static str,
        ours: Vec<f64>,
        theirs: Vec<f64>,
        target: f64,
    ) -> Self {
        let mut comparison = Self::more_is_better(id, peer, ours, theirs, target);
        comparison.met = comparison.ratio.median <= target;
        comparison
    }
}

#[derive(Serialize)]
struct Report<'a> {
    quick: bool,
    /// Part of the machine that other programs had while it was measured.
    foreign_cpu: f64,
    comparisons: &'a [Comparison],
}

/// Writes `report.json` and `report.md`.
pub(super) fn write(folder: &Path, comparisons: &[Comparison], quick: bool, foreign_cpu: f64) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let json = serde_json::to_string_pretty(&Report { quick, foreign_cpu, comparisons })?;
    fs::write(folder.join("report.json"), json + "\n")?;
    fs::write(folder.join("report.md"), markdown(comparisons))?;
    Ok(())
}

/// The table.
pub(super) fn markdown(comparisons: &[Comparison]) -> String {
    let mut text = String::from(
        "| comparison | peer | ours | theirs | ratio | target | met |\n|---|---|---|---|---|---|---|\n",
    );
    for c in comparisons {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.2} ({:.2} to {:.2}) | {:.1} | {} |",
            c.id,
            c.peer,
            figure(&c.ours),
            figure(&c.theirs),
            c.ratio.median,
            c.ratio.min,
            c.ratio.max,
            c.target,
            if c.met { "yes" } else { "no" }
        );
    }
    text
}

fn figure(spread: &Spread) -> String {
    if spread.median >= 1e5 {
        format!("{:.2} M ({:.2} to {:.2})", spread.median / 1e6, spread.min / 1e6, spread.max / 1e6)
    } else {
        format!("{:.0} ({:.0} to {:.0})", spread.median, spread.min, spread.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape that readers of the report rely on.
    #[test]
    fn ratio_is_of_neighbouring_runs() {
        let c = Comparison::more_is_better("x", "y", vec![2.0, 9.0, 4.0], vec![1.0, 3.0, 4.0], 1.5);
        assert_eq!((c.ratio.median, c.ratio.min, c.ratio.max, c.met), (2.0, 1.0, 3.0, true));
        let value = serde_json::to_value(&c).unwrap();
        for key in ["id", "peer", "ours", "theirs", "ratio", "target", "met"] {
            assert!(value.get(key).is_some(), "{key}");
        }
        assert!(!Comparison::less_is_better("x", "y", vec![3.0], vec![2.0], 1.0).met);
    }
}
