//! What can be wrong with a line.

use core::fmt::{self, Display};
use serde::{Deserialize, Serialize};

/// Why a command was not done, said by its function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub(super) message: String,
    pub(super) column: Option<usize>,
}

impl Refusal {
    /// The whole line is refused. To point at one parameter use [`Args::refuse`](super::Args::refuse).
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), column: None }
    }
}

impl<T: Into<String>> From<T> for Refusal {
    fn from(message: T) -> Self {
        Self::new(message)
    }
}

/// The kind of a [`CommandError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// No command has this word or value here.
    Invalid,
    /// A shortened word fits several keywords.
    Ambiguous,
    /// Something must follow.
    Incomplete,
    /// Understood, but it cannot be done.
    Refused,
    /// This daemon has nothing of the kind.
    Unsupported,
    /// Who asks may not.
    Denied,
}

impl ErrorKind {
    /// Whether the daemon knew what was wanted, and did not do it.
    #[must_use]
    pub const fn was_understood(self) -> bool {
        matches!(self, Self::Refused | Self::Denied)
    }
}

/// A line that was not accepted, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct CommandError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// The line's number from 1, where the text had several.
    pub line: Option<usize>,
    /// The character in the line, from 1; 0 where no line is meant.
    pub column: usize,
    /// The line.
    pub text: String,
    /// What is wrong, in words.
    pub message: String,
}

impl CommandError {
    pub(super) fn new(kind: ErrorKind, text: &str, column: usize, message: impl Into<String>) -> Self {
        Self { kind, line: None, column, text: clean(text), message: message.into() }
    }

    /// The same about this line, of which only a part was read.
    pub(super) fn in_line(self, line: &str) -> Self {
        Self { text: clean(line), ..self }
    }

    /// A refusal of the whole request, at no particular line: a candidate that cannot be committed.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Refused, line: None, column: 0, text: String::new(), message: message.into() }
    }

    /// Who asks may not.
    #[must_use]
    pub fn denied(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Denied, ..Self::refused(message) }
    }

    /// This daemon has nothing of the kind.
    #[must_use]
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unsupported, ..Self::refused(message) }
    }

    /// The same about a line that has so many characters before the part that was read.
    pub(crate) fn moved(self, behind: usize, line: &str) -> Self {
        let column = if self.column > 0 { self.column + behind } else { 0 };
        Self { column, ..self.in_line(line) }
    }

    /// The same without the number of its line.
    pub(crate) fn without_line(self) -> Self {
        Self { line: None, ..self }
    }

    /// The same about a line of this number.
    #[must_use]
    pub fn at_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }
}

/// A line as terminals may show it: a tab would move the marker, a control character the cursor.
fn clean(line: &str) -> String {
    let clean = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '?',
        c => c,
    };
    line.trim_end().chars().take(super::input::LONGEST).map(clean).collect()
}

impl Display for CommandError {
    /// The line, a caret under the place, the reason; before them the position where there are several lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            writeln!(f, "line {line}, column {}:", self.column)?;
        }
        if self.column > 0 {
            writeln!(f, "{}", self.text)?;
            writeln!(f, "{:>1$}", '^', self.column)?;
        }
        write!(f, "% {}", self.message)
    }
}
