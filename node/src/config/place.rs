//! Which section and key an octet of a TOML text belongs to.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A place in a TOML text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// `[node]`, `[[port]] ethernet1/1`; empty at the top and where the text is no TOML.
    section: String,
    /// Keys below the section, joined by dots.
    key: String,
    /// The place is in a value.
    value: bool,
}

impl Place {
    /// The innermost section and key around `offset`.
    pub(super) fn find(text: &str, offset: usize) -> Self {
        let mut place = Self::default();
        if let Ok(document) = DeTable::parse(text) {
            place.look_in(document.get_ref(), offset, "");
        }
        place
    }

    /// The place is in a value and not in a key or a section's header.
    pub(super) fn is_value(&self) -> bool {
        self.value
    }

    /// The place is the header `[key]` or `[[key]]`.
    pub(super) fn is_header_of(&self, key: &str) -> bool {
        let section = self.section.split(' ').next().unwrap_or("");
        !self.value && section.trim_start_matches('[').trim_end_matches(']') == key
    }

    /// In words, with or without the key.
    pub(super) fn describe(&self, with_key: bool) -> String {
        let key =
            if with_key && !self.key.is_empty() { format!("key \"{}\"", self.key) } else { String::new() };
        match (self.section.is_empty(), key.is_empty()) {
            (_, true) => self.section.clone(),
            (true, false) => key,
            (false, false) => format!("{}: {key}", self.section),
        }
    }

    fn look_in(&mut self, table: &DeTable<'_>, offset: usize, path: &str) -> bool {
        table.iter().any(|(key, value)| {
            let path =
                if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
            // A section's key stands in its header, and headers of one section may be many: look inside first.
            self.look_at(value, offset, &path)
                || (key.span().contains(&offset) && {
                    self.key = path;
                    true
                })
        })
    }

    fn look_at(&mut self, value: &Spanned<DeValue<'_>>, offset: usize, path: &str) -> bool {
        let here = value.span().contains(&offset);
        match value.get_ref() {
            DeValue::Table(table) => {
                // `{ a = 1 }` is written where it stands and belongs to its section; `[a]` is one.
                let inside = self.look_in(table, offset, path);
                if (inside || here) && self.section.is_empty() && !path.is_empty() {
                    self.enter(table, value, path, false);
                }
                inside || here
            }
            DeValue::Array(items) => {
                items.iter().enumerate().any(|(place, item)| match item.get_ref() {
                    DeValue::Table(table) if is_section(table, item) => {
                        let found = self.look_in(table, offset, "") || item.span().contains(&offset);
                        if found {
                            self.enter(table, item, path, true);
                            if !self.section.contains(' ') && items.len() > 1 {
                                self.section = format!("{} number {}", self.section, place + 1);
                            }
                        }
                        found
                    }
                    _ => self.look_at(item, offset, path),
                }) || (here && self.take(path))
            }
            _ => here && self.take(path),
        }
    }

    /// The place is the value at this path.
    fn take(&mut self, path: &str) -> bool {
        self.key = path.to_owned();
        self.value = true;
        true
    }

    /// The place is inside this table, found at this path.
    fn enter(&mut self, table: &DeTable<'_>, at: &Spanned<DeValue<'_>>, path: &str, listed: bool) {
        if !listed && !is_section(table, at) {
            if self.key.is_empty() {
                self.take(path);
            }
            return;
        }
        let name = table.get("name").and_then(|name| name.get_ref().as_str());
        let name = name.map_or_else(String::new, |name| format!(" {name}"));
        self.section = if listed { format!("[[{path}]]{name}") } else { format!("[{path}]") };
        if let Some(key) = self.key.strip_prefix(path).and_then(|rest| rest.strip_prefix('.')) {
            self.key = key.to_owned();
        } else if !listed && self.key == path {
            self.key.clear();
        }
    }
}

/// A table that has a header of its own: its keys stand outside of its span.
fn is_section(table: &DeTable<'_>, at: &Spanned<DeValue<'_>>) -> bool {
    table.keys().all(|key| !at.span().contains(&key.span().start))
}
