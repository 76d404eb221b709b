//! Frames are never lost in silence: `received + replicated + originated = sent + punted + named drops`, exact once
//! nothing moves.

use super::packages::output;
use super::paths;
use super::topology::{self, NODES};
use anyhow::{Context, Result, bail};
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What a daemon counts of all its frames.
#[derive(Clone, Copy)]
pub(crate) struct Balance {
    pub(crate) received: u64,
    replicated: u64,
    originated: u64,
    sent: u64,
    punted: u64,
    dropped: u64,
}

impl Balance {
    /// Asks the daemon at `api`.
    pub(crate) fn of(api: &Path) -> Result<Self> {
        let mut nivctl = Command::new(paths::program("nivctl"));
        let text = output(nivctl.arg("--api").arg(api).args(["-j", "show", "counters"]))?;
        let said: serde_json::Value =
            serde_json::from_str(&text).with_context(|| format!("counters: {text}"))?;
        // The switch counts by port as well, and so has its sums in a part of their own.
        let sums = said.get("switch").unwrap_or(&said);
        let number = |name: &str| sums[name].as_u64().with_context(|| format!("no counter {name} in {sums}"));
        Ok(Self {
            received: number("received")?,
            replicated: number("replicated")?,
            originated: number("originated")?,
            punted: number("punted")?,
            sent: number("sent")?,
            dropped: number("dropped")?,
        })
    }

    /// Whether nothing is missing and nothing too much.
    pub(crate) fn exact(self) -> bool {
        self.received + self.replicated + self.originated == self.sent + self.punted + self.dropped
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { received, replicated, originated, sent, punted, dropped } = self;
        write!(f, "{received} received + {replicated} replicated + {originated} originated = ")?;
        write!(f, "{sent} sent + {punted} punted + {dropped} dropped")
    }
}

pub(crate) fn show(api: &Path, what: &str) -> Result<serde_json::Value> {
    let mut nivctl = Command::new(paths::program("nivctl"));
    let text = output(nivctl.arg("--api").arg(api).args(["-j", "show", what]))?;
    serde_json::from_str(&text).with_context(|| format!("show {what}: {text}"))
}

/// The daemon's drops by name: `2 tx_ring_full, 1 same_vif`.
pub(crate) fn drops(api: &Path) -> Result<String> {
    let said = show(api, "drops")?;
    let rows = said.as_array().with_context(|| format!("no list of drops: {said}"))?;
    let named = rows.iter().map(|row| format!("{} {}", row["frames"], row["reason"].as_str().unwrap_or("?")));
    Ok(named.collect::<Vec<_>>().join(", "))
}

/// The drops of all daemons of the lab, for a message about frames that are missing.
pub(crate) fn all_drops() -> String {
    let of = |node: &&str| match drops(&topology::api(node)) {
        Ok(drops) if drops.is_empty() => format!("{node} none"),
        Ok(drops) => format!("{node} {drops}"),
        Err(error) => format!("{node} {error}"),
    };
    NODES.iter().map(of).collect::<Vec<_>>().join("; ")
}

/// Waits until the daemon's balance is exact: what is under way is in neither sum.
pub(crate) fn settled(name: &str, api: &Path) -> Result<Balance> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let balance = Balance::of(api)?;
        if balance.exact() {
            return Ok(balance);
        }
        if Instant::now() >= deadline {
            bail!("frames of {name} are not accounted for: {balance} does not hold");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
