//! Reading a TOML file so that every mistake is one line naming file, line and key.
//!
//! ```text
//! vis.toml:12: [[port]] ethernet1/1: unknown key "negotation" (did you mean "negotiation"?)
//! vis.toml:4: [node]: key "workers": invalid type: string "two", expected usize
//! ```
//!
//! Sections are structs with `#[serde(deny_unknown_fields)]`. What can only be judged later (a name that must
//! exist, a device that must open) is kept as [`Spanned`] and refused with [`File::error`], which gives the same
//! kind of line. `#[serde(flatten)]` and untagged enums lose the place of a mistake; they are better avoided.
//!
//! ```
//! use niv_node::config::{File, Spanned};
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Port { name: String, mtu: Spanned<u32> }
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Chassis { port: Vec<Port> }
//!
//! let file = File::new("vis.toml", "[[port]]\nname = \"ethernet1/1\"\nmtu = 50\n");
//! let chassis: Chassis = file.parse().unwrap();
//! let error = file.error(&chassis.port[0].mtu, "68 is the least");
//! assert_eq!(error.to_string(), "vis.toml:3: [[port]] ethernet1/1: key \"mtu\": 68 is the least");
//! ```

mod node;
mod place;

pub use node::{Node, NodeSection};
pub use toml::Spanned;

use core::fmt::{self, Display};
use core::ops::Range;
use place::Place;
use serde::de::DeserializeOwned;
use std::path::Path;

/// A configuration file is at most this long.
const LONGEST: u64 = 4 << 20;

/// A mistake in a file, or a file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The section, and the key where one is meant: `[[port]] ethernet1/1: key "mtu"`; may be empty.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

impl Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.place.is_empty() {
            write!(f, ": {}", self.place)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A configuration file's name and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    name: String,
    text: String,
}

impl File {
    /// A text that was not read from disk.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is not UTF-8, or is longer than 4 MiB.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let refuse =
            |message: String| ConfigError { file: name.clone(), line: None, place: String::new(), message };
        let length = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?.len();
        if length > LONGEST {
            return Err(refuse(format!("{length} octets are too many, {LONGEST} are the most")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { name, text })
    }

    /// The text as values.
    ///
    /// # Errors
    /// The first mistake: no TOML, unknown or missing key, wrong type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(&self.text).map_err(|error| {
            let span = error.span();
            let place = span.clone().map_or_else(Place::default, |span| Place::find(&self.text, span.start));
            let (place, message) = reword(error.message(), &place);
            self.refuse(span, place, message)
        })
    }

    /// A mistake that was found in a value after reading; the value's key is named.
    #[must_use]
    pub fn error<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> ConfigError {
        let place = Place::find(&self.text, at.span().start);
        self.refuse(Some(at.span()), place.describe(true), message.into())
    }

    fn refuse(&self, span: Option<Range<usize>>, place: String, message: String) -> ConfigError {
        let before = span.and_then(|span| self.text.get(..span.start));
        let line = before.map(|before| before.matches('\n').count() + 1);
        ConfigError { file: self.name.clone(), line, place, message }
    }
}

/// Reads and parses a file.
///
/// # Errors
/// As [`File::read`] and [`File::parse`].
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<(File, T), ConfigError> {
    let file = File::read(path)?;
    let value = file.parse()?;
    Ok((file, value))
}

/// Says what serde says in the words of a configuration file, and of which place: serde's own words name
/// the key when they are about keys, and do not when they are about values.
fn reword(message: &str, place: &Place) -> (String, String) {
    if let Some((key, expected)) =
        message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'))
    {
        let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        let hint = match nearest(key, &known) {
            Some(near) => format!(" (did you mean \"{near}\"?)"),
            None if known.is_empty() => String::new(),
            None => format!(" (known: {})", known.join(", ")),
        };
        return if place.is_header_of(key) {
            (String::new(), format!("unknown section \"{key}\"{hint}"))
        } else {
            (place.describe(false), format!("unknown key \"{key}\"{hint}"))
        };
    }
    if let Some(key) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return (place.describe(false), format!("key \"{key}\" is missing"));
    }
    if let Some((value, expected)) =
        message.strip_prefix("unknown variant `").and_then(|rest| rest.split_once('`'))
    {
        let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        let known: Vec<String> = known.iter().map(|known| format!("\"{known}\"")).collect();
        return (place.describe(true), format!("\"{value}\" is not one of {}", known.join(", ")));
    }
    (place.describe(place.is_value()), message.replace('`', "\""))
}

/// The known word that a mistyped one most likely stands for.
fn nearest<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    let close = known.iter().map(|word| (distance(typed, word), *word));
    close.filter(|(far, word)| *far <= 1 + word.len() / 4).min().map(|(_, word)| word)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(&b) {
            let cost = (diagonal + usize::from(left != *right)).min(before + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = cost;
            before = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
