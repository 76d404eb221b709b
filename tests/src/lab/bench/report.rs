//! The report: JSON for machines, a table for people.

use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Median, least and greatest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// Of at least one value.
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Self { median, min: values[0], max: values[values.len() - 1] }
    }
}

/// Ours against a peer.
#[derive(Clone, Serialize)]
pub(super) struct Comparison {
    pub(super) id: &'static str,
    pub(super) peer: &'static str,
    pub(super) ours: Spread,
    pub(super) theirs: Spread,
    /// Of neighbouring runs.
    pub(super) ratio: Spread,
    /// What is asked of the median ratio: at least or at most this.
    pub(super) target: f64,
    pub(super) met: bool,
    /// What `ours` and `theirs` count; for people.
    #[serde(skip)]
    pub(super) unit: &'static str,
}

/// What was measured, and when it is to be believed.
#[derive(Default, Serialize)]
pub(super) struct Report {
    /// Fewer and shorter runs than for the record.
    pub(super) quick: bool,
    /// Part of the machine that other programs had while it was measured (median of all runs).
    pub(super) foreign_cpu: f64,
    /// What was compared.
    pub(super) comparisons: Vec<Comparison>,
    /// What could not be: the first comparison's id, and why.
    pub(super) failed: Vec<(&'static str, String)>,
}

impl Report {
    /// Writes `report.json` and `report.md`.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        fs::write(folder.join("report.json"), serde_json::to_string_pretty(self)? + "\n")?;
        fs::write(folder.join("report.md"), self.markdown())?;
        Ok(())
    }

    /// The table.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::from(
            "| comparison | unit | ours | peer | theirs | ratio | target | met |\n|---|---|---|---|---|---|---|---|\n",
        );
        for c in &self.comparisons {
            let met = if c.met { "yes" } else { "**no**" };
            let (ours, theirs) = (spread(&c.ours), spread(&c.theirs));
            let _ = writeln!(
                text,
                "| {} | {} | {ours} | {} | {theirs} | {} ({} to {}) | {} | {met} |",
                c.id,
                c.unit,
                c.peer,
                ratio(c.ratio.median),
                ratio(c.ratio.min),
                ratio(c.ratio.max),
                c.target,
            );
        }
        for (id, why) in &self.failed {
            let why = why.lines().next().unwrap_or_default().replace('|', "/");
            let _ = writeln!(text, "| {id} | | not measured: {why} | | | | | **no** |");
        }
        text
    }
}

fn spread(of: &Spread) -> String {
    format!("{} ({} to {})", figure(of.median), figure(of.min), figure(of.max))
}

/// A ratio with as many digits as mean something.
fn ratio(value: f64) -> String {
    if value < 0.1 { format!("{value:.5}") } else { format!("{value:.2}") }
}

/// A figure with three digits or four, and G or M where there are many.
pub(super) fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 1e9 => format!("{:.2} G", value / 1e9),
        v if v >= 1e6 => format!("{:.2} M", value / 1e6),
        v if v >= 1e4 => format!("{:.1} k", value / 1e3),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 1.0 => format!("{value:.1}"),
        v if v >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.5}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison() -> Comparison {
        let (ours, theirs) = (Spread::of(vec![6e6, 4e6]), Spread::of(vec![4e6]));
        let ratio = Spread::of(vec![1.0, 1.5]);
        Comparison { id: "x", peer: "y", ours, theirs, ratio, target: 1.0, met: true, unit: "frames/s" }
    }

    #[test]
    fn a_median_is_in_the_middle() {
        let spread = |values: &[f64]| Spread::of(values.to_vec());
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(spread(&[4.0, 1.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
    }

    /// Readers of the report rely on these names, and on no others being there.
    #[test]
    fn a_comparison_has_the_form_that_was_agreed() {
        let report = Report { comparisons: vec![comparison()], ..Report::default() };
        let value = serde_json::to_value(&report).unwrap();
        let spread =
            |median: f64, min: f64, max: f64| serde_json::json!({"median": median, "min": min, "max": max});
        assert_eq!(
            value["comparisons"],
            serde_json::json!([{
                "id": "x", "peer": "y", "ours": spread(5e6, 4e6, 6e6), "theirs": spread(4e6, 4e6, 4e6),
                "ratio": spread(1.25, 1.0, 1.5), "target": 1.0, "met": true,
            }])
        );
    }

    #[test]
    fn every_row_of_the_table_has_its_columns() {
        let failed = vec![("z", "no | peer\nsecond line".to_owned())];
        let report = Report { comparisons: vec![comparison()], failed, ..Report::default() };
        let table = report.markdown();
        assert_eq!(table.lines().count(), 4);
        assert!(table.lines().all(|line| line.matches('|').count() == 9), "{table}");
        assert!(table.contains("| x | frames/s | 5.00 M (4.00 M to 6.00 M) | y |"), "{table}");
        assert!(table.contains("not measured: no / peer |"), "{table}");
    }

    #[test]
    fn figures_are_short() {
        let said = [0.0012, 3.25, 381.4, 26_214.0, 6.61e6, 1.6e10].map(figure);
        assert_eq!(said, ["0.00120", "3.2", "381", "26.2 k", "6.61 M", "16.00 G"]);
    }
}
