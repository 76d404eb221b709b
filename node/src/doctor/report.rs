//! What a daemon says of itself.

use super::{Finding, MOST_THINGS, Severity, page};
use crate::output::Output;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Findings of one kind; there is one page.
const MOST_OF_A_KIND: usize = 8;

/// Counters of one kind, most of which will stand still.
const MOST_COUNTERS: usize = 1024;

/// A daemon at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The node's name.
    pub node: String,
    /// The program.
    pub daemon: String,
    /// Its version.
    pub version: String,
    /// What is well, in short lines.
    pub fine: Vec<String>,
    /// What is not.
    pub findings: Vec<Finding>,
    /// Findings like those that are there, for which there was no room.
    #[serde(default)]
    pub left_out: u64,
}

impl Report {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(node: impl Into<String>, daemon: impl Into<String>, version: impl Into<String>) -> Self {
        let (node, daemon, version) = (node.into(), daemon.into(), version.into());
        Self { node, daemon, version, ..Self::default() }
    }

    /// This is well.
    pub fn fine(&mut self, line: impl Into<String>) {
        self.fine.push(super::clean(line.into()));
    }

    /// All of these are well, where they are: `2 of 2 ports up`. Where not, findings say why.
    pub fn all_fine(&mut self, well: usize, total: usize, what: &str) {
        if well == total && total > 0 {
            self.fine(format!("{well} of {total} {what}"));
        }
    }

    /// This is not. What is wrong in the same way with several things is one finding.
    pub fn add(&mut self, finding: Finding) {
        if let Some(known) = self.findings.iter_mut().find(|known| known.is_like(&finding)) {
            for thing in finding.things {
                if known.things.len() < MOST_THINGS {
                    known.things.push(thing);
                } else {
                    known.more += 1;
                }
            }
            known.more += finding.more;
            return;
        }
        let same = |known: &&Finding| {
            (&known.code, known.count.is_some()) == (&finding.code, finding.count.is_some())
        };
        let most = if finding.count.is_some() { MOST_COUNTERS } else { MOST_OF_A_KIND };
        if self.findings.iter().filter(same).count() < most {
            self.findings.push(finding);
        } else {
            self.left_out += 1;
        }
    }

    /// What of it was so already `span` earlier: what comes and goes is left out, and so are counters that stand still.
    #[must_use]
    pub fn since(mut self, earlier: &Self, span: Duration) -> Self {
        self.findings.retain_mut(|finding| {
            let Some(before) = earlier.findings.iter().find(|before| finding.continues(before)) else {
                return false;
            };
            if let (Some(now), Some(then)) = (finding.count, before.count) {
                finding.what.push_str(&format!("; {} more in {} s", now - then, span.as_secs_f64()));
            }
            true
        });
        let mut shown: BTreeMap<String, usize> = BTreeMap::new();
        let before = self.findings.len();
        self.findings.retain(|finding| {
            let of_kind = shown.entry(finding.code.clone()).or_default();
            *of_kind += 1;
            *of_kind <= MOST_OF_A_KIND
        });
        self.left_out += (before - self.findings.len()) as u64;
        self
    }

    /// Leaves out what one of these nodes says better.
    pub fn defer_to(&mut self, nodes: &BTreeSet<String>) {
        self.findings.retain(|finding| finding.told_by.as_ref().is_none_or(|node| !nodes.contains(node)));
    }

    /// What there is of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Nothing is wrong; there may be hints.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Hint)
    }

    /// The page for people. `nivctl` is how the daemon is reached: `nivctl --api vis0`.
    #[must_use]
    pub fn page(&self, nivctl: &str) -> String {
        page::page(self, nivctl)
    }

    /// What `show doctor` answers. One moment does not tell whether a counter grows; for people those are left out.
    #[must_use]
    pub fn output(self) -> Output {
        let value = serde_json::to_value(&self).unwrap_or_default();
        let mut shown = self;
        shown.findings.retain(|finding| finding.count.is_none());
        Output::prose(shown.page("nivctl"), value)
    }
}
