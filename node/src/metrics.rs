//! Writing OpenMetrics text.
//!
//! ```
//! use niv_node::metrics::{Kind, Metrics};
//! let mut metrics = Metrics::default();
//! let mut drops = metrics.family("vis_drops", Kind::Counter, "Frames dropped");
//! drops.sample(&[("reason", "rx_truncated"), ("port", "ethernet1/1")], 3u64);
//! assert_eq!(
//!     metrics.finish(),
//!     "# HELP vis_drops Frames dropped\n# TYPE vis_drops counter\n\
//!      vis_drops_total{reason=\"rx_truncated\",port=\"ethernet1/1\"} 3\n# EOF\n"
//! );
//! ```

use core::fmt::{self, Display, Write};

/// The content type of what [`Metrics::finish`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What kind of number a family holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its samples get the suffix `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Always 1, the labels tell.
    Info,
}

/// A value: counts stay exact, whatever their size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A count.
    Count(u64),
    /// A measure.
    Measure(f64),
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Count(u64::from(flag))
    }
}

impl From<f64> for Value {
    fn from(measure: f64) -> Self {
        Self::Measure(measure)
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Measure(measure) if measure.is_nan() => f.write_str("NaN"),
            Self::Measure(measure) if measure.is_infinite() => {
                f.write_str(if *measure > 0.0 { "+Inf" } else { "-Inf" })
            }
            Self::Measure(measure) => measure.fmt(f),
        }
    }
}

/// A page of metrics.
#[derive(Debug, Default)]
pub struct Metrics {
    text: String,
    families: Vec<String>,
}

impl Metrics {
    /// Begins a family. All its samples follow, before the next family; a name comes once.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) -> Family<'_> {
        debug_assert!(!self.families.iter().any(|known| known == name), "family {name} comes twice");
        self.families.push(name.to_owned());
        let (word, suffix) = match kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
            Kind::Info => ("info", "_info"),
        };
        self.text.push_str(&format!("# HELP {name} {}\n# TYPE {name} {word}\n", Escaped(help)));
        Family { text: &mut self.text, name: format!("{name}{suffix}") }
    }

    /// The page.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.text.push_str("# EOF\n");
        self.text
    }
}

/// A family that samples are added to.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: String,
}

impl Family<'_> {
    /// Adds a sample. A set of labels comes once in a family.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Into<Value>) {
        self.text.push_str(&self.name);
        for (place, (label, text)) in labels.iter().enumerate() {
            let open = if place == 0 { '{' } else { ',' };
            self.text.push_str(&format!("{open}{label}=\"{}\"", Escaped(text)));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.text.push_str(&format!(" {}\n", value.into()));
    }
}

/// A text as it may stand between quotes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_numbers_written_in_full() {
        let mut metrics = Metrics::default();
        let mut family = metrics.family("x", Kind::Gauge, "A \"help\"");
        family.sample(&[("name", "a\"b\\c\nd")], u64::MAX);
        family.sample(&[], 0.25);
        family.sample(&[("k", "")], f64::INFINITY);
        let lines = [
            r#"# HELP x A \"help\""#,
            "# TYPE x gauge",
            r#"x{name="a\"b\\c\nd"} 18446744073709551615"#,
            "x 0.25",
            r#"x{k=""} +Inf"#,
            "# EOF\n",
        ];
        assert_eq!(metrics.finish(), lines.join("\n"));
    }
}
