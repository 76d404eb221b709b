//! Curves of what the report holds, as SVG files beside it.

use super::report::{Comparison, Report, figure};
use anyhow::Result;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Comparisons that differ in a number: how ours changes with it.
pub(super) struct Curve {
    /// The file's name, without its ending.
    pub(super) name: &'static str,
    /// What it shows.
    pub(super) title: &'static str,
    /// What the numbers count.
    pub(super) across: &'static str,
    /// The number that their peer has: the first point.
    pub(super) first: f64,
    /// The others: number and comparison.
    pub(super) points: &'static [(f64, &'static str)],
}

/// A point: where it is, its median, its least and its greatest.
type Point = (f64, f64, f64, f64);

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
/// Left, right, top, bottom.
const MARGIN: [f64; 4] = [70.0, 20.0, 40.0, 50.0];

impl Curve {
    /// Draws what the report has of it; nothing where that is less than two points.
    pub(super) fn write(&self, report: &Report, folder: &Path) -> Result<()> {
        if let Some(svg) = self.draw(&report.comparisons) {
            fs::write(folder.join(format!("{}.svg", self.name)), svg)?;
        }
        Ok(())
    }

    fn draw(&self, comparisons: &[Comparison]) -> Option<String> {
        let found: Vec<_> = self
            .points
            .iter()
            .filter_map(|(x, id)| Some((*x, comparisons.iter().find(|c| c.id == *id)?)))
            .collect();
        let (_, any) = found.first()?;
        let mut points: Vec<Point> = vec![(self.first, any.theirs.median, any.theirs.min, any.theirs.max)];
        points.extend(found.iter().map(|(x, c)| (*x, c.ours.median, c.ours.min, c.ours.max)));
        Some(svg(self, any.unit, &points))
    }
}

fn svg(curve: &Curve, unit: &str, points: &[Point]) -> String {
    let [left, right, top, bottom] = MARGIN;
    let (from, to) = (points[0].0.ln(), points[points.len() - 1].0.ln());
    let most = points.iter().map(|p| p.3).fold(0.0, f64::max) * 1.1;
    let x = |value: f64| left + (value.ln() - from) / (to - from).max(1e-9) * (WIDTH - left - right);
    let y = |value: f64| HEIGHT - bottom - value / most.max(1e-9) * (HEIGHT - top - bottom);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{left}\" y=\"20\" font-size=\"14\">{}</text>\n",
        curve.title
    );
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>\n<text x=\"{left}\" y=\"34\" fill=\"gray\">{unit}</text>",
        (left + WIDTH - right) / 2.0,
        HEIGHT - 12.0,
        curve.across
    );
    for part in 0..=4 {
        let value = most * f64::from(part) / 4.0;
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#ddd\"/>\n\
             <text x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
            WIDTH - right,
            y(value),
            left - 6.0,
            y(value) + 4.0,
            figure(value)
        );
    }
    let line: Vec<_> = points.iter().map(|p| format!("{:.1},{:.1}", x(p.0), y(p.1))).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#0a58a0\" stroke-width=\"2\"/>",
        line.join(" ")
    );
    for (at, median, least, greatest) in points {
        let _ = writeln!(
            svg,
            "<line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{2:.1}\" stroke=\"#0a58a0\"/>\n\
             <circle cx=\"{0:.1}\" cy=\"{3:.1}\" r=\"3\" fill=\"#0a58a0\"/>\n\
             <text x=\"{0:.1}\" y=\"{4:.1}\" text-anchor=\"middle\">{at}</text>",
            x(*at),
            y(*least),
            y(*greatest),
            y(*median),
            HEIGHT - bottom + 16.0
        );
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::bench::report::Spread;

    const CURVE: Curve = Curve {
        name: "c",
        title: "Cost",
        across: "vNICs",
        first: 2.0,
        points: &[(16.0, "a"), (256.0, "b"), (1024.0, "missing")],
    };

    fn comparison(id: &'static str, ours: f64) -> Comparison {
        let (ours, theirs) = (Spread::of(vec![ours]), Spread::of(vec![100.0]));
        Comparison {
            id,
            peer: "p",
            ours,
            theirs,
            ratio: theirs,
            target: 1.0,
            met: true,
            unit: "cycles/frame",
        }
    }

    #[test]
    fn a_curve_begins_with_the_peer_and_leaves_out_what_was_not_measured() {
        let svg = CURVE.draw(&[comparison("b", 400.0), comparison("a", 200.0)]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 3);
        // Twice as much is half as far from the top's scale.
        let heights: Vec<f64> = svg
            .lines()
            .filter_map(|line| line.split_once("cy=\"")?.1.split_once('"')?.0.parse().ok())
            .collect();
        let zero = HEIGHT - MARGIN[3];
        let from_zero: Vec<_> = heights.iter().map(|y| (zero - y).round()).collect();
        assert_eq!(from_zero[1], (from_zero[0] * 2.0).round());
        assert!((from_zero[2] - from_zero[0] * 4.0).abs() < 3.0, "{from_zero:?}");
    }

    #[test]
    fn without_points_there_is_no_curve() {
        assert!(CURVE.draw(&[comparison("z", 1.0)]).is_none());
    }
}
