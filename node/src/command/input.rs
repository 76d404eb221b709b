//! A line as words with their places.

/// Longer lines are refused.
pub(super) const LONGEST: usize = 1024;

/// A word of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// The word; never empty.
    pub(super) text: &'a str,
    /// Its first character's place, from 1.
    pub(super) column: usize,
    /// From its first character to the end of the line.
    pub(super) rest: &'a str,
}

impl<'a> Token<'a> {
    /// The part of the word from octet `at` on, which must be a character boundary.
    pub(super) fn skip(self, at: usize) -> Self {
        let columns = self.text.get(..at).map_or(0, |left| left.chars().count());
        Self {
            text: self.text.get(at..).unwrap_or_default(),
            column: self.column + columns,
            rest: self.rest.get(at..).unwrap_or_default(),
        }
    }
}

/// The words of a line.
pub(super) fn tokens(line: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let (mut at, mut column) = (0, 1);
    while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
        let blank = rest.len() - rest.trim_start().len();
        if blank > 0 {
            column += rest.get(..blank).map_or(0, |skipped| skipped.chars().count());
            at += blank;
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or(rest);
        found.push(Token { text, column, rest: rest.trim_end() });
        column += text.chars().count();
        at += end;
    }
    found
}

/// Where a word that is missing would stand.
pub(super) fn end_column(line: &str) -> usize {
    line.trim_end().chars().count() + 2
}
