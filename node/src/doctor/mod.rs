//! What is wrong with a daemon, why that matters, and what mends it.
//!
//! A daemon answers [`SYNTAX`] with a [`Report`]: short lines of what is well, and [`Finding`]s, each of a [`Kind`] that the
//! documentation lists (`docs/doctor.md`). `nivctl doctor` asks all daemons it finds, twice, adds what only a client can see,
//! and makes one page of it.
//!
//! A daemon says what it sees at one moment and remembers nothing. So whoever reads reports compares two
//! ([`Report::since`]): what is gone in the second was passing, and a counter ([`Finding::counting`]) is a finding only
//! where it grows.
//!
//! Steps are values and not lines of a shell: which socket a daemon was reached by is known to its client only.
//!
//! ```
//! use niv_node::doctor::{Finding, Kind, Report, Severity, Step};
//! static MISSING: Kind = Kind {
//!     code: "profile-missing",
//!     severity: Severity::Problem,
//!     why: "Its vNICs get no VIF, and their guests no link.",
//!     mend: "`port-profile NAME`, `state enabled`",
//! };
//! let mut report = Report::new("vis0", "vis-switch", "0.1.0");
//! for vnic in ["vnic0", "vnic1"] {
//!     let lines = ["port-profile web", "state enabled"];
//!     report.add(Finding::new(&MISSING, vnic, "there is no port-profile web").step(Step::configure(lines)));
//! }
//! let page = report.page("nivctl --api vis0");
//! assert!(page.contains("profile-missing: vnic0, vnic1"), "{page}");
//! assert!(page.contains("printf '%s\\n' 'port-profile web' 'state enabled' | nivctl --api vis0 configure -"), "{page}");
//! ```

mod page;
mod report;
#[cfg(test)]
mod tests;

pub use page::{commands, quote};
pub use report::Report;

use crate::output::printable;
use serde::{Deserialize, Serialize};

/// The line of a command table.
pub const SYNTAX: &str = "show doctor";

/// Its help.
pub const HELP: &str = "What is wrong here, and what mends it";

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something that was asked for does not work.
    Problem,
    /// It works, but not as it was meant, or not for long.
    Warning,
    /// Nothing is wrong; who looks for something may look here.
    Hint,
}

impl Severity {
    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Hint => "hint",
        }
    }
}

/// A kind of finding: a row of the documentation.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its name, stable: `profile-missing`.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it means for those who use the network. A sentence.
    pub why: &'static str,
    /// What mends it, in general, for the documentation.
    pub mend: &'static str,
}

impl Kind {
    /// The row of the documentation, after the column that says who finds it.
    #[must_use]
    pub fn row(&self) -> String {
        format!("| `{}` | {} | {} | {} |", self.code, self.severity.word(), self.why, self.mend)
    }
}

/// Declares [`Kind`]s, each with its code, severity, why and mend, and lists them for the test that holds the documentation
/// to them.
#[macro_export]
macro_rules! finding_kinds {
    ($($name:ident = $code:literal, $severity:ident: $why:literal, $mend:literal;)+) => {
        $(
            pub(super) static $name: $crate::doctor::Kind = $crate::doctor::Kind {
                code: $code,
                severity: $crate::doctor::Severity::$severity,
                why: $why,
                mend: $mend,
            };
        )+

        #[cfg(test)]
        pub(super) const KINDS: &[&$crate::doctor::Kind] = &[$(&$name),+];
    };
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Lines of configuration for the daemon that reports.
    Configure(Vec<String>),
    /// A line for the daemon that reports.
    Exec(String),
    /// A line for the daemon that reports, which only shows more.
    See(String),
    /// A line of a shell on the daemon's host.
    Shell(String),
    /// What no command of this host does, in words.
    Advice(String),
}

impl Step {
    /// Lines of configuration.
    pub fn configure<T: Into<String>>(lines: impl IntoIterator<Item = T>) -> Self {
        Self::Configure(lines.into_iter().map(|line| clean(line.into())).collect())
    }

    /// A line that does something.
    pub fn exec(line: impl Into<String>) -> Self {
        Self::Exec(clean(line.into()))
    }

    /// A line that shows something.
    pub fn see(line: impl Into<String>) -> Self {
        Self::See(clean(line.into()))
    }

    /// A line of a shell; whoever makes it [quotes](quote) what others may choose.
    pub fn shell(line: impl Into<String>) -> Self {
        Self::Shell(clean(line.into()))
    }

    /// Words.
    pub fn advice(text: impl Into<String>) -> Self {
        Self::Advice(clean(text.into()))
    }
}

/// Things that a finding names; of the others it says how many they are.
pub const MOST_THINGS: usize = 5;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The code of its [`Kind`].
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// With what: `vnic0`, `ethernet1/1`. The first few.
    pub things: Vec<String>,
    /// With how many more.
    #[serde(default)]
    pub more: u64,
    /// What is wrong there. No sentence, no full stop; it may quote what a peer sent.
    pub what: String,
    /// Why that matters. A sentence.
    pub why: String,
    /// What to do, the best first.
    pub steps: Vec<Step>,
    /// It is wrong only if this number grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// A node of this name, if it can be asked, knows better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_by: Option<String>,
}

impl Finding {
    /// Something is wrong with a thing.
    #[must_use]
    pub fn new(kind: &'static Kind, thing: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            code: kind.code.to_owned(),
            severity: kind.severity,
            things: vec![clean(thing.into())],
            more: 0,
            what: clean(what.into()),
            why: kind.why.to_owned(),
            steps: Vec::new(),
            count: None,
            told_by: None,
        }
    }

    /// What to do about it; after what was said before, instead of it or beside it.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The same for several, or none.
    #[must_use]
    pub fn steps(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps.extend(steps);
        self
    }

    /// It is wrong only if this number grows.
    #[must_use]
    pub fn counting(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// The peer of this name knows better, for what is seen here follows from something there.
    #[must_use]
    pub fn told_by(mut self, node: Option<&str>) -> Self {
        self.told_by = node.map(str::to_owned);
        self
    }

    /// The same is wrong with both, and the same mends it. What only shows more may be about the first of them.
    fn is_like(&self, other: &Self) -> bool {
        let mends = |this: &Self| {
            let steps = this.steps.iter().filter(|step| !matches!(step, Step::See(_)));
            steps.cloned().collect::<Vec<_>>()
        };
        self.count.is_none()
            && other.count.is_none()
            && (&self.code, &self.what, &self.told_by) == (&other.code, &other.what, &other.told_by)
            && mends(self) == mends(other)
    }

    /// Whether this was so before already.
    fn continues(&self, before: &Self) -> bool {
        self.code == before.code
            && match (self.count, before.count) {
                (Some(now), Some(then)) => {
                    now > then && (&self.things, &self.what) == (&before.things, &before.what)
                }
                (None, None) => {
                    self.more > 0 || self.things.iter().any(|thing| before.things.contains(thing))
                }
                _ => false,
            }
    }
}

/// What is shown may quote a peer, and goes to a terminal.
fn clean(text: String) -> String {
    if text.chars().any(char::is_control) { printable(&text).collect() } else { text }
}
