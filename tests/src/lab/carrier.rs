//! A guest's carrier and clock, as it sees them itself.

use super::agent::{Agent, Running};
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

/// How soon a guest's carrier must follow.
pub const SOON: Duration = Duration::from_millis(1500);

/// The carrier of a guest's first interface.
pub struct Carrier<'a> {
    lines: Running<'a>,
    /// Whether it is up, and how often it has changed since the guest's boot.
    pub last: (bool, u64),
}

impl<'a> Carrier<'a> {
    /// Looks on from now on, for two minutes.
    pub fn watch(agent: &'a Agent) -> Result<Self> {
        let lines = agent.begin("lab inside carrier eth0 --ms 120000", Duration::from_secs(125))?;
        let mut carrier = Self { lines, last: (false, 0) };
        carrier.next(Duration::from_secs(10)).context("no carrier to be seen")?;
        Ok(carrier)
    }

    /// The next change, if there is one soon enough.
    pub fn next(&mut self, patience: Duration) -> Option<(bool, u64)> {
        let line = self.lines.until(patience, |line| line.starts_with("carrier ")).ok()?;
        let mut words = line.split(' ');
        let up = words.nth(1)? == "1";
        self.last = (up, words.nth(1)?.parse().ok()?);
        Some(self.last)
    }

    /// Waits until it is so and has been for a while: a guest that boots changes it, too.
    pub fn settle(&mut self, up: bool) -> Result<()> {
        while self.last.0 != up || self.next(Duration::from_millis(700)).is_some() {
            if self.last.0 != up && self.next(Duration::from_secs(10)).is_none() {
                bail!("the carrier stays as it is: {:?}", self.last);
            }
        }
        Ok(())
    }

    /// The one next change: to `up`, and [`SOON`]. How long it took.
    pub fn follows(&mut self, up: bool, since: Instant) -> Result<Duration> {
        let (before, next) = (self.last.1, self.next(Duration::from_secs(10)));
        let took = since.elapsed();
        if next != Some((up, before + 1)) {
            bail!("after {before} changes of its carrier the guest saw {next:?} instead of one to {up}");
        }
        if took > SOON {
            bail!("the carrier followed only after {took:?}");
        }
        Ok(took)
    }

    /// Nothing changes for this long.
    pub fn stays(&mut self, time: Duration) -> Result<()> {
        let last = self.last;
        match self.next(time) {
            None => Ok(()),
            Some(next) => bail!("the carrier was {last:?} and changed to {next:?}"),
        }
    }
}

/// A guest's clock while something happens.
pub struct Clock<'a>(Running<'a>);

impl<'a> Clock<'a> {
    /// Looks on for so long.
    pub fn watch(agent: &'a Agent, time: Duration) -> Result<Self> {
        let command = format!("lab inside clock --ms {}", time.as_millis());
        let lines = agent.begin(&command, time + Duration::from_secs(60))?;
        lines.until(Duration::from_secs(20), |line| line == "ready")?;
        Ok(Self(lines))
    }

    /// The longest time for which it stood still, asleep for 10 ms included.
    pub fn longest_stop(self) -> Result<Duration> {
        let line = self.0.until(Duration::from_secs(90), |line| line.starts_with("ticks "))?;
        let longest = line.rsplit(' ').next().and_then(|word| word.parse().ok());
        longest.map(Duration::from_millis).with_context(|| format!("the clock said {line}"))
    }
}
