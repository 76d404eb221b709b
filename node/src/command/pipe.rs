//! `show ... | include web`: filters of an answer.
//!
//! A filter takes an answer's text, line by line, and makes another answer of it; its JSON face is the list of lines
//! that are left. `json` turns the answer into the text of its JSON face. Filters are read with the same kind of tree as
//! commands, so that they too may be shortened, and have help and errors with a place.
//!
//! The first `|` of a line begins the filters. Another one does only as a word's first character, outside of quotes:
//! `| include web|db | count` counts lines that have the one or the other.

use super::Mode;
use super::args::{Args, Form};
use super::error::{CommandError, ErrorKind};
use super::input::{Token, tokens};
use super::tree::Tree;
use crate::output::Output;
use regex_lite::{Regex, RegexBuilder};
use std::sync::LazyLock;

const PIPE: Mode = Mode::new("pipe");

/// The filters: syntax and help.
const FILTERS: [(&str, &str); 8] = [
    ("begin <pattern:line>", "Begin with the line that matches"),
    ("count", "How many lines there are"),
    ("exclude <pattern:line>", "Lines that do not match"),
    ("include <pattern:line>", "Lines that match"),
    ("json", "The answer as JSON"),
    ("last [<lines:1-100000>]", "The last lines, 10 if no number is given"),
    ("no-more", "Without pages, as always"),
    ("section <pattern:line>", "Lines that match, each with the lines that are indented below it"),
];

static TREE: LazyLock<Tree> = LazyLock::new(|| {
    let mut tree = Tree::default();
    for (id, (syntax, _)) in FILTERS.iter().enumerate() {
        tree.insert(PIPE, Form::Plain, syntax, id);
    }
    tree
});

/// Lines that `last` leaves if it is not told.
const LAST: usize = 10;
/// Octets that a pattern may take when it is compiled; what somebody types stays far below.
const LARGEST_PATTERN: usize = 16 << 10;
/// Filters behind one command.
const MOST_FILTERS: usize = 8;

/// One filter of a line.
#[derive(Debug)]
pub(super) enum Filter {
    Begin(Regex),
    Count,
    Exclude(Regex),
    Include(Regex),
    Json,
    Last(usize),
    NoMore,
    Section(Regex),
}

/// Where the filters of an exec line begin: at the octet of the first `|`.
pub(super) fn first(line: &str) -> Option<usize> {
    line.find('|')
}

/// What stands behind each `|`, the first of which is at octet `begin`: its range of octets.
fn segments(line: &str, begin: usize) -> Vec<core::ops::Range<usize>> {
    let mut found = Vec::new();
    let behind = begin + 1;
    let mut from = behind;
    let (mut quoted, mut word_begins) = (false, true);
    for (at, c) in line.char_indices().skip_while(|(at, _)| *at < behind) {
        match c {
            '"' if quoted => quoted = false,
            '"' if word_begins => quoted = true,
            '|' if word_begins && !quoted => {
                found.push(from..at);
                from = at + 1;
                continue;
            }
            _ => {}
        }
        word_begins = c.is_whitespace();
    }
    found.push(from..line.len());
    found
}

/// The words of a part of the line, with their places in the line.
pub(super) fn words(line: &str, part: core::ops::Range<usize>) -> Vec<Token<'_>> {
    let before = line.get(..part.start).map_or(0, |left| left.chars().count());
    let part = line.get(part).unwrap_or_default();
    tokens(part).into_iter().map(|token| Token { column: token.column + before, ..token }).collect()
}

/// The filters of a line whose first `|` is at octet `begin`.
///
/// # Errors
/// One cannot be read.
pub(super) fn read(line: &str, begin: usize) -> Result<Vec<Filter>, CommandError> {
    let parts = segments(line, begin);
    if let Some(further) = parts.get(MOST_FILTERS) {
        let column = line.get(..further.start).map_or(0, |before| before.chars().count()).max(1);
        let message = format!("{MOST_FILTERS} filters are the most.");
        return Err(CommandError::new(ErrorKind::Invalid, line, column, message));
    }
    parts.into_iter().map(|part| filter(line, part)).collect()
}

fn filter(line: &str, part: core::ops::Range<usize>) -> Result<Filter, CommandError> {
    let upto = line.get(..part.end).unwrap_or(line);
    let (id, args) =
        TREE.find(PIPE, Form::Plain, upto, &words(line, part)).map_err(|error| error.in_line(line))?;
    let pattern = || {
        let (text, column) = args.get_with_place("pattern").unwrap_or_default();
        let unquoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        RegexBuilder::new(unquoted).size_limit(LARGEST_PATTERN).build().map_err(|error| {
            let message = format!("This pattern cannot be read: {error}.");
            CommandError::new(ErrorKind::Invalid, line, column, message)
        })
    };
    let name = FILTERS.get(id).and_then(|(syntax, _)| syntax.split(' ').next());
    Ok(match name {
        Some("begin") => Filter::Begin(pattern()?),
        Some("count") => Filter::Count,
        Some("exclude") => Filter::Exclude(pattern()?),
        Some("include") => Filter::Include(pattern()?),
        Some("json") => Filter::Json,
        Some("last") => Filter::Last(
            args.get_number("lines").and_then(|lines| usize::try_from(lines).ok()).unwrap_or(LAST),
        ),
        Some("section") => Filter::Section(pattern()?),
        _ => Filter::NoMore,
    })
}

/// What may be typed after `line`, whose first `|` is at octet `begin`: words and their help.
pub(super) fn hints(line: &str, begin: usize) -> Vec<(String, String)> {
    let Some(part) = segments(line, begin).pop() else { return Vec::new() };
    let mut before = words(line, part);
    let typed = if line.ends_with(|c: char| !c.is_whitespace() && c != '|') { before.pop() } else { None };
    let typed = typed.map_or("", |token| token.text);
    let help = |id: usize| FILTERS.get(id).map_or("", |(_, help)| *help);
    match TREE.walk(PIPE, Form::Plain, line, &before, &mut Args::default()) {
        Ok(node) => TREE.next(node, typed, &|_, id| id.map_or_else(String::new, |id| help(id).to_owned())),
        Err(_) => Vec::new(),
    }
}

impl Filter {
    /// The answer that is left of this one.
    pub(super) fn apply(&self, output: &Output) -> Output {
        let text = match self {
            Self::NoMore => return output.clone(),
            Self::Json => {
                let value = output.to_json();
                return Output::prose(format!("{value:#}\n"), value);
            }
            _ => output.to_string(),
        };
        let lines = text.lines();
        match self {
            Self::Include(pattern) => left(lines.filter(|line| pattern.is_match(line))),
            Self::Exclude(pattern) => left(lines.filter(|line| !pattern.is_match(line))),
            Self::Begin(pattern) => left(lines.skip_while(|line| !pattern.is_match(line))),
            Self::Last(most) => left(lines.clone().skip(lines.count().saturating_sub(*most))),
            Self::Section(pattern) => {
                let mut inside = None;
                left(lines.filter(|line| {
                    let indent = line.len() - line.trim_start().len();
                    if pattern.is_match(line) && inside.is_none_or(|outer| indent <= outer) {
                        inside = Some(indent);
                        return true;
                    }
                    inside = inside.filter(|outer| indent > *outer);
                    inside.is_some()
                }))
            }
            Self::Count => {
                let count = lines.count();
                Output::prose(format!("{count}\n"), count.into())
            }
            Self::Json | Self::NoMore => Output::Nothing,
        }
    }
}

fn left<'a>(lines: impl Iterator<Item = &'a str>) -> Output {
    let lines: Vec<&str> = lines.collect();
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    Output::prose(text, lines.into())
}
