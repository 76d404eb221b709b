//! One value of an answer.

use super::printable;
use core::fmt::{self, Display, Write};
use serde_json::Value;
use std::time::Duration;

/// A typed value: JSON gets the type, text its usual form.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Not there: `--`, `null`.
    Absent,
    /// A text.
    Text(String),
    /// A count or number.
    Number(u64),
    /// True or false: `yes`, `no`.
    Flag(bool),
    /// A text for people, and another value for programs (`Eth1/1` and `ethernet1/1`, `1.5 Gbit/s` and bits).
    Shown {
        /// For people.
        text: String,
        /// For programs.
        value: Value,
    },
}

impl Cell {
    /// A value that people and programs see differently.
    #[must_use]
    pub fn shown(text: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::Shown { text: text.into(), value: value.into() }
    }

    /// A span of time: `00:04:09`, `3d07h` for people; seconds for programs.
    #[must_use]
    pub fn span(span: Duration) -> Self {
        let seconds = span.as_secs();
        let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
        let text = match days {
            0 => format!("{hours:02}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
            _ => format!("{days}d{hours:02}h"),
        };
        Self::shown(text, seconds)
    }

    /// Any value that can be written.
    #[must_use]
    pub fn display(value: impl Display) -> Self {
        Self::Text(value.to_string())
    }

    /// The JSON face.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Absent => Value::Null,
            Self::Text(text) => Value::String(text.clone()),
            Self::Number(number) => Value::from(*number),
            Self::Flag(flag) => Value::Bool(*flag),
            Self::Shown { value, .. } => value.clone(),
        }
    }
}

impl Display for Cell {
    /// The text face. Names come from files and peers: what is not printable becomes `?`, so that nobody can
    /// write control sequences to the administrator's terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("--"),
            Self::Text(text) | Self::Shown { text, .. } => printable(text).try_for_each(|c| f.write_char(c)),
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Cell {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

macro_rules! numbers {
    ($($number:ty)+) => { $(
        impl From<$number> for Cell {
            fn from(number: $number) -> Self { Self::Number(u64::from(number)) }
        }
    )+ };
}
numbers!(u8 u16 u32 u64);

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Into::into)
    }
}
