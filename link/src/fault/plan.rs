//! What a configuration file asks of the fault injector.

use crate::queue::Nanos;
use serde::Deserialize;

/// Longest delay, in milliseconds.
const DELAY_MAX: f64 = 10_000.0;

/// Which faults, how often. In a configuration file `fault = { seed = 1, drop = 0.01, delay = 5 }`; what is
/// not written does not happen.
///
/// ```
/// let plan: link::FaultPlan = toml::from_str("seed = 1\ndrop = 0.01\ndelay = 2.5").unwrap();
/// assert_eq!((plan.drop(), plan.delay()), (0.01, 2_500_000));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct FaultPlan(Written);

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    seed: u64,
    drop: f64,
    duplicate: f64,
    reorder: f64,
    corrupt: f64,
    delay: f64,
}

/// A fault whose amount is out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FaultError {
    /// Not a probability.
    #[error("fault: {key} is {value}, not a probability from 0 to 1")]
    Probability {
        /// Which fault.
        key: &'static str,
        /// What was written.
        value: f64,
    },
    /// Not a delay.
    #[error("fault: delay is {0}, not a number of milliseconds from 0 to 10000")]
    Delay(f64),
}

impl TryFrom<Written> for FaultPlan {
    type Error = FaultError;

    fn try_from(written: Written) -> Result<Self, FaultError> {
        let Written { drop, duplicate, reorder, corrupt, delay, .. } = written;
        for (key, value) in
            [("drop", drop), ("duplicate", duplicate), ("reorder", reorder), ("corrupt", corrupt)]
        {
            if !(0.0..=1.0).contains(&value) {
                return Err(FaultError::Probability { key, value });
            }
        }
        if !(0.0..=DELAY_MAX).contains(&delay) {
            return Err(FaultError::Delay(delay));
        }
        Ok(Self(written))
    }
}

impl FaultPlan {
    /// A plan without faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Written { seed, ..Written::default() })
    }

    /// The same plan, dropping frames.
    ///
    /// # Errors
    /// When `p` is not a probability; so for the other ones.
    pub fn with_drop(self, p: f64) -> Result<Self, FaultError> {
        Written { drop: p, ..self.0 }.try_into()
    }

    /// The same plan, sending frames twice.
    ///
    /// # Errors
    /// When `p` is not a probability.
    pub fn with_duplicate(self, p: f64) -> Result<Self, FaultError> {
        Written { duplicate: p, ..self.0 }.try_into()
    }

    /// The same plan, letting a frame be overtaken by the next one.
    ///
    /// # Errors
    /// When `p` is not a probability.
    pub fn with_reorder(self, p: f64) -> Result<Self, FaultError> {
        Written { reorder: p, ..self.0 }.try_into()
    }

    /// The same plan, flipping one bit of a frame.
    ///
    /// # Errors
    /// When `p` is not a probability.
    pub fn with_corrupt(self, p: f64) -> Result<Self, FaultError> {
        Written { corrupt: p, ..self.0 }.try_into()
    }

    /// The same plan, holding every frame back for so many milliseconds.
    ///
    /// # Errors
    /// When it is negative or longer than ten seconds.
    pub fn with_delay(self, milliseconds: f64) -> Result<Self, FaultError> {
        Written { delay: milliseconds, ..self.0 }.try_into()
    }

    /// Where the random numbers begin.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// Probability that a frame is dropped.
    #[must_use]
    pub fn drop(&self) -> f64 {
        self.0.drop
    }

    /// Probability that a frame comes twice.
    #[must_use]
    pub fn duplicate(&self) -> f64 {
        self.0.duplicate
    }

    /// Probability that a frame is overtaken by the next one.
    #[must_use]
    pub fn reorder(&self) -> f64 {
        self.0.reorder
    }

    /// Probability that one bit of a frame is flipped.
    #[must_use]
    pub fn corrupt(&self) -> f64 {
        self.0.corrupt
    }

    /// How long each frame is held back.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10^10 by construction")]
    pub fn delay(&self) -> Nanos {
        (self.0.delay * 1e6) as Nanos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("drop = 1.5", "drop is 1.5, not a probability"),
            ("corrupt = -0.1", "corrupt is -0.1"),
            ("reorder = nan", "reorder is NaN"),
            ("delay = -1", "delay is -1, not a number of milliseconds"),
            ("delay = 10001", "delay is 10001"),
            ("lose = 0.1", "unknown field `lose`"),
            ("seed = \"a\"", "invalid type"),
        ] {
            let said = toml::from_str::<FaultPlan>(text).unwrap_err().to_string();
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
