//! Rows under headers.

use super::Cell;
use core::fmt::{self, Display};
use serde_json::Value;

/// Which edge of its column a value stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Names and words.
    Left,
    /// Numbers.
    Right,
}

/// A column: its JSON key, its header (`\n` makes it two lines high) and its alignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    key: &'static str,
    header: &'static str,
    align: Align,
    width: usize,
    is_shown: bool,
}

impl Column {
    /// A column of words.
    #[must_use]
    pub const fn left(key: &'static str, header: &'static str) -> Self {
        Self { key, header, align: Align::Left, width: 0, is_shown: true }
    }

    /// A column of numbers.
    #[must_use]
    pub const fn right(key: &'static str, header: &'static str) -> Self {
        Self { key, header, align: Align::Right, width: 0, is_shown: true }
    }

    /// A column that only programs see.
    #[must_use]
    pub const fn data(key: &'static str) -> Self {
        Self { key, header: "", align: Align::Left, width: 0, is_shown: false }
    }

    /// At least so many characters wide.
    #[must_use]
    pub const fn width(mut self, width: usize) -> Self {
        self.width = width;
        self
    }
}

/// Rows under headers; in JSON an array of objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    before: String,
    after: String,
    ruled: bool,
}

impl Grid {
    /// No rows yet.
    #[must_use]
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
            before: String::new(),
            after: String::new(),
            ruled: false,
        }
    }

    /// Full-width lines above and below the headers, as `show interface brief` has them, instead of one broken
    /// line below.
    #[must_use]
    pub fn ruled(mut self) -> Self {
        self.ruled = true;
        self
    }

    /// A line of text above the headers (a legend); not in JSON.
    #[must_use]
    pub fn before(mut self, line: &str) -> Self {
        self.before.push_str(line);
        self.before.push('\n');
        self
    }

    /// A line of text below the rows; not in JSON.
    #[must_use]
    pub fn after(mut self, line: &str) -> Self {
        self.after.push_str(line);
        self.after.push('\n');
        self
    }

    /// Adds a row; cells that are missing are absent, surplus ones are left out.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let mut row: Vec<Cell> = cells.into_iter().take(self.columns.len()).collect();
        row.resize(self.columns.len(), Cell::Absent);
        self.rows.push(row);
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// There are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The JSON face.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let object = |row: &Vec<Cell>| {
            let keys = self.columns.iter().map(|column| column.key.to_owned());
            Value::Object(keys.zip(row.iter().map(Cell::to_json)).collect())
        };
        Value::Array(self.rows.iter().map(object).collect())
    }
}

/// One line of a grid, without blanks at its end.
fn line<'a>(f: &mut fmt::Formatter<'_>, cells: impl Iterator<Item = (&'a str, usize, Align)>) -> fmt::Result {
    let mut line = String::new();
    for (place, (text, width, align)) in cells.enumerate() {
        if place > 0 {
            line.push_str("  ");
        }
        match align {
            Align::Left => line.push_str(&format!("{text:<width$}")),
            Align::Right => line.push_str(&format!("{text:>width$}")),
        }
    }
    writeln!(f, "{}", line.trim_end())
}

impl Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&Column> = self.columns.iter().filter(|column| column.is_shown).collect();
        let shown = |row: &Vec<Cell>| {
            let cells = self.columns.iter().zip(row).filter(|(column, _)| column.is_shown);
            cells.map(|(_, cell)| cell.to_string()).collect()
        };
        let texts: Vec<Vec<String>> = self.rows.iter().map(shown).collect();
        let wide = |text: &str| text.chars().count();
        let widths: Vec<usize> = columns
            .iter()
            .enumerate()
            .map(|(place, column)| {
                let header = column.header.lines().map(wide).max().unwrap_or(0);
                let cells = texts.iter().filter_map(|row| row.get(place)).map(|text| wide(text)).max();
                header.max(cells.unwrap_or(0)).max(column.width)
            })
            .collect();
        let rule = "-".repeat((widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)).max(1));
        let shape = || widths.iter().zip(&columns).map(|(width, column)| (*width, column.align));

        f.write_str(&self.before)?;
        if self.ruled {
            writeln!(f, "{rule}")?;
        }
        let height = columns.iter().map(|column| column.header.lines().count()).max().unwrap_or(0);
        for level in 0..height {
            // A shorter header stands at the bottom.
            let part = |column: &&Column| {
                let missing = height - column.header.lines().count();
                level.checked_sub(missing).and_then(|level| column.header.lines().nth(level)).unwrap_or("")
            };
            line(f, columns.iter().map(part).zip(shape()).map(|(text, (w, a))| (text, w, a)))?;
        }
        if self.ruled {
            writeln!(f, "{rule}")?;
        } else {
            let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            line(f, dashes.iter().zip(shape()).map(|(text, (w, a))| (text.as_str(), w, a)))?;
        }
        for row in &texts {
            line(f, row.iter().zip(shape()).map(|(text, (w, a))| (text.as_str(), w, a)))?;
        }
        f.write_str(&self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ruled_with_high_headers_and_missing_cells() {
        let columns =
            [Column::left("port", "Port"), Column::data("long"), Column::right("vif", "VIF\nnow").width(4)];
        let mut grid = Grid::new(columns).ruled().before("* - active").after("Total: 2");
        grid.row(["Veth1".into(), "of programs".into(), 5u16.into()]);
        grid.row(["Ve\x1bth2".into()]);
        let lines = [
            "* - active",
            "------------",
            "         VIF",
            "Port     now",
            "------------",
            "Veth1      5",
            "Ve?th2    --",
            "Total: 2\n",
        ];
        assert_eq!(grid.to_string(), lines.join("\n"));
        assert_eq!(
            grid.to_json().to_string(),
            r#"[{"port":"Veth1","long":"of programs","vif":5},{"port":"Ve\u001bth2","long":null,"vif":null}]"#
        );
    }
}
