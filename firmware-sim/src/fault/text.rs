//! Rules as people write them, in files and commands.
//!
//! ```text
//! rule := OPERATION when fault
//! when := "nth" N | "every" N | "percent" N
//! fault := "refuse" STATUS | "forget" | "late" MILLISECONDS | "pretend"
//! ```
//!
//! `VIF_CREATE nth 3 refuse INSUFFICIENT_RESOURCES`, `LIST_MOD every 2 pretend`, `VIF_SET percent 30 late 250`.

use core::fmt;
use core::str::FromStr;

use vntag::ctl::{Opcode, Status};

use super::{Fault, Rule, RuleError, When};

/// Nanoseconds of a millisecond.
const MS: u64 = 1_000_000;
/// The latest answer that can be asked for: an hour, after which every peer is long gone.
const LATEST: u64 = 3_600_000;

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nth(n) => write!(f, "nth {n}"),
            Self::Every(n) => write!(f, "every {n}"),
            Self::Percent(n) => write!(f, "percent {n}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse(status) => write!(f, "refuse {status}"),
            Self::Forget => f.write_str("forget"),
            Self::Late(delay) => write!(f, "late {}", delay / MS),
            Self::Pretend => f.write_str("pretend"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.opcode, self.when, self.fault)
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    /// Reads a rule and checks that it makes sense. Operations and statuses may be written in either case.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        let mut words = text.split_ascii_whitespace();
        let mut word = || words.next().ok_or(RuleError::Syntax);
        let opcode = named(Opcode::ALL, word()?, |opcode| opcode.name()).ok_or(RuleError::Opcode)?;
        let when = match (word()?, number(word()?)?) {
            ("nth", n) => When::Nth(n),
            ("every", n) => When::Every(n),
            ("percent", n) => When::Percent(u8::try_from(n).map_err(|_| RuleError::Percent)?),
            _ => return Err(RuleError::Syntax),
        };
        let fault = match word()? {
            "refuse" => {
                let status = named(Status::ALL, word()?, |status| status.name());
                Fault::Refuse(status.ok_or(RuleError::Status)?)
            }
            "forget" => Fault::Forget,
            "late" => match number(word()?)? {
                ms @ 0..=LATEST => Fault::Late(ms * MS),
                _ => return Err(RuleError::Late),
            },
            "pretend" => Fault::Pretend,
            _ => return Err(RuleError::Syntax),
        };
        if word().is_ok() {
            return Err(RuleError::Syntax);
        }
        let rule = Self { opcode, when, fault };
        rule.check().map(|()| rule)
    }
}

fn number(word: &str) -> Result<u64, RuleError> {
    word.parse().map_err(|_| RuleError::Syntax)
}

/// The code point of this name.
fn named<T: Copy>(all: &[T], wanted: &str, name: impl Fn(T) -> Option<&'static str>) -> Option<T> {
    all.iter().copied().find(|one| name(*one).is_some_and(|name| name.eq_ignore_ascii_case(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_as_they_are_written() {
        for text in [
            "VIF_CREATE nth 3 refuse INSUFFICIENT_RESOURCES",
            "LIST_MOD every 2 pretend",
            "VIF_SET percent 30 late 250",
            "VIF_DELETE percent 100 forget",
        ] {
            let rule: Rule = text.parse().expect(text);
            assert_eq!(rule.to_string(), text);
            assert_eq!(text.to_lowercase().parse(), Ok(rule));
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, error) in [
            ("", RuleError::Syntax),
            ("VIF_SET", RuleError::Syntax),
            ("VIF_SET nth x forget", RuleError::Syntax),
            ("VIF_SET nth 1 forget it", RuleError::Syntax),
            ("VIF_SET once 1 forget", RuleError::Syntax),
            ("VIF_SET nth 1 lose", RuleError::Syntax),
            ("VIF_SOT nth 1 forget", RuleError::Opcode),
            ("HELLO nth 1 forget", RuleError::Opcode),
            ("VIF_CREATE nth 1 forget", RuleError::Own),
            ("VIF_SET nth 1 refuse", RuleError::Syntax),
            ("VIF_SET nth 1 refuse OK", RuleError::Status),
            ("VIF_SET nth 1 refuse NO", RuleError::Status),
            ("VIF_SET percent 101 forget", RuleError::Percent),
            ("VIF_SET percent 300 forget", RuleError::Percent),
            ("VIF_SET nth 1 late 3600001", RuleError::Late),
        ] {
            assert_eq!(text.parse::<Rule>(), Err(error), "{text}");
        }
    }
}
