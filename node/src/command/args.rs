//! The values of a line that was understood.

use super::error::Refusal;
use core::ops::RangeInclusive;
use std::net::Ipv4Addr;

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of [`Kind::Number`](super::Kind::Number).
    Number(u64),
    /// Of [`Kind::Ranges`](super::Kind::Ranges): in order, apart from each other.
    Ranges(Vec<RangeInclusive<u64>>),
    /// Of [`Kind::Mac`](super::Kind::Mac).
    Mac([u8; 6]),
    /// Of [`Kind::Ip`](super::Kind::Ip).
    Ip(Ipv4Addr),
    /// Of [`Kind::Prefix`](super::Kind::Prefix): an address, and how many of its bits count.
    Prefix(Ipv4Addr, u8),
    /// Of the other kinds.
    Text(String),
}

/// What stands before a command, and so what it is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// The line itself.
    #[default]
    Plain,
    /// `no`: take it back.
    No,
    /// `default`, where that is neither: see [`ByDefault::Own`](super::ByDefault::Own).
    Default,
}

/// What a command's function gets: its parameters by name, its keywords, and whether `no` came first.
///
/// A parameter that every form of the command's syntax has is read with [`number`](Self::number) and its like,
/// which have a harmless default where the name is unknown; an optional one with [`get`](Self::get).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    pub(super) form: Form,
    pub(super) keywords: Vec<&'static str>,
    pub(super) values: Vec<(&'static str, Value, usize)>,
}

impl Args {
    /// The line began with `no`, or with `default` where that means the same.
    #[must_use]
    pub fn negated(&self) -> bool {
        self.form == Form::No
    }

    /// What came first.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// The line has this keyword (in full, however it was typed).
    #[must_use]
    pub fn has(&self, keyword: &str) -> bool {
        self.keywords.contains(&keyword)
    }

    /// The keywords (in full) in the order in which the line has them.
    #[must_use]
    pub fn keywords(&self) -> &[&'static str] {
        &self.keywords
    }

    /// The value of a parameter, if the line has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(known, ..)| *known == name).map(|(_, value, _)| value)
    }

    /// A number, if the line has it.
    #[must_use]
    pub fn get_number(&self, name: &str) -> Option<u64> {
        match self.get(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// A text, if the line has it.
    #[must_use]
    pub fn get_text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A text and its column, if the line has it.
    pub(super) fn get_with_place(&self, name: &str) -> Option<(&str, usize)> {
        self.values.iter().find_map(|(known, value, column)| match value {
            Value::Text(text) if *known == name => Some((text.as_str(), *column)),
            _ => None,
        })
    }

    /// A MAC address, if the line has it.
    #[must_use]
    pub fn get_mac(&self, name: &str) -> Option<[u8; 6]> {
        match self.get(name) {
            Some(Value::Mac(mac)) => Some(*mac),
            _ => None,
        }
    }

    /// An IPv4 address, if the line has it.
    #[must_use]
    pub fn get_ip(&self, name: &str) -> Option<Ipv4Addr> {
        match self.get(name) {
            Some(Value::Ip(address)) => Some(*address),
            _ => None,
        }
    }

    /// A number; 0 where there is none of that name.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.get_number(name).unwrap_or(0)
    }

    /// A text; empty where there is none of that name.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.get_text(name).unwrap_or("")
    }

    /// A list of spans, in order and apart from each other; empty where there is none of that name.
    #[must_use]
    pub fn ranges(&self, name: &str) -> &[RangeInclusive<u64>] {
        match self.get(name) {
            Some(Value::Ranges(spans)) => spans,
            _ => &[],
        }
    }

    /// Every number of a list, in order. It is as long as the parameter's limits allow.
    pub fn each(&self, name: &str) -> impl Iterator<Item = u64> + '_ {
        self.ranges(name).iter().cloned().flatten()
    }

    /// Refuses the line because of this parameter: the error's marker points at it.
    #[must_use]
    pub fn refuse(&self, name: &str, message: impl Into<String>) -> Refusal {
        let column = self.values.iter().find(|(known, ..)| *known == name).map(|(_, _, column)| *column);
        Refusal { message: message.into(), column }
    }
}
