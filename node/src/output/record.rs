//! Labelled values.

use super::Cell;
use core::fmt::{self, Display};
use serde_json::Value;

/// Labelled values, one a line; in JSON an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    title: Option<String>,
    fields: Vec<(&'static str, &'static str, Cell)>,
}

impl Record {
    /// Nothing in it yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A line above, without indentation; the fields are then indented. Not in JSON.
    #[must_use]
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Adds a value under a JSON key and a label.
    #[must_use]
    pub fn field(mut self, key: &'static str, label: &'static str, value: impl Into<Cell>) -> Self {
        self.fields.push((key, label, value.into()));
        self
    }

    /// The JSON face.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.fields.iter().map(|(key, _, cell)| ((*key).to_owned(), cell.to_json())).collect())
    }
}

impl Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indent = if let Some(title) = &self.title {
            writeln!(f, "{title}")?;
            "  "
        } else {
            ""
        };
        let width = self.fields.iter().map(|(_, label, _)| label.chars().count()).max().unwrap_or(0);
        for (_, label, cell) in &self.fields {
            writeln!(f, "{indent}{label:<width$} : {cell}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_faces() {
        let record = Record::new().titled("Vethernet1 is up").field("vlan", "VLAN", 10u16).field(
            "adapter",
            "Adapter",
            None::<&str>,
        );
        assert_eq!(record.to_string(), "Vethernet1 is up\n  VLAN    : 10\n  Adapter : --\n");
        assert_eq!(record.to_json().to_string(), r#"{"vlan":10,"adapter":null}"#);
    }
}
