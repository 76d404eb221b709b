//! What a command answers: one value with two faces, a text in the layout of NX-OS and JSON.
//!
//! A command builds an [`Output`] once; the API renders whichever face was asked for, so that the two can never
//! disagree. Three shapes cover the `show` commands: a [`Grid`] (rows under headers; in JSON an array of objects),
//! a [`Record`] (labelled values; an object) and prose (any text beside its JSON value). A group puts several under
//! names.
//!
//! ```
//! use niv_node::output::{Column, Grid, Output};
//! let mut grid = Grid::new([Column::right("vlan", "VLAN"), Column::left("mac", "MAC Address")]);
//! grid.row([10u64.into(), "5254.0000.0001".into()]);
//! let output = Output::from(grid);
//! assert_eq!(output.to_string(), "VLAN  MAC Address\n----  --------------\n  10  5254.0000.0001\n");
//! assert_eq!(output.to_json().to_string(), r#"[{"vlan":10,"mac":"5254.0000.0001"}]"#);
//! ```

mod cell;
mod grid;
mod record;
mod workers;

pub use cell::Cell;
pub use grid::{Align, Column, Grid};
pub use record::Record;
pub use workers::workers;

/// The characters of a text that comes from a file or a peer and goes to a terminal: `?` for what a terminal obeys.
pub fn printable(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| if c.is_control() { '?' } else { c })
}

use core::fmt::{self, Display};
use serde_json::Value;

/// The answer of a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Output {
    /// Done, and nothing to say.
    #[default]
    Nothing,
    /// Rows under headers.
    Grid(Grid),
    /// Labelled values.
    Record(Record),
    /// A text as it is, and the same as JSON.
    Prose {
        /// The text; lines end with `\n`.
        text: String,
        /// The JSON face.
        value: Value,
    },
    /// Several answers: one below the other as text, under their names as JSON.
    Group(Vec<(String, Self)>),
}

impl Output {
    /// A plain message; in JSON a string.
    #[must_use]
    pub fn message(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::Prose { value: Value::String(text.clone()), text: text + "\n" }
    }

    /// A text in its own layout, and its JSON face.
    #[must_use]
    pub fn prose(text: impl Into<String>, value: Value) -> Self {
        Self::Prose { text: text.into(), value }
    }

    /// The JSON face.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Grid(grid) => grid.to_json(),
            Self::Record(record) => record.to_json(),
            Self::Prose { value, .. } => value.clone(),
            Self::Group(parts) => {
                Value::Object(parts.iter().map(|(name, part)| (name.clone(), part.to_json())).collect())
            }
        }
    }
}

impl Display for Output {
    /// The text face; ends with a newline unless it is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Grid(grid) => grid.fmt(f),
            Self::Record(record) => record.fmt(f),
            Self::Prose { text, .. } => f.write_str(text),
            Self::Group(parts) => {
                for (place, (_, part)) in parts.iter().enumerate() {
                    if place > 0 {
                        f.write_str("\n")?;
                    }
                    part.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl From<Grid> for Output {
    fn from(grid: Grid) -> Self {
        Self::Grid(grid)
    }
}

impl From<Record> for Output {
    fn from(record: Record) -> Self {
        Self::Record(record)
    }
}
