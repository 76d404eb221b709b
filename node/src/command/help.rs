//! `?`, completion, and the table as data.

use super::builtin::{self, CONFIG_WORDS};
use super::input::tokens;
use super::tree::{CommandId, begins};
use super::{Args, ByDefault, Command, Cursor, EXEC, Form, Mode, Table, pipe};
use crate::output::{Column, Grid, Output};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something that may be typed next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// A keyword, a parameter as `<1-4094>`, `<cr>` where the line may end, or `|` where filters may follow.
    pub word: String,
    /// One line of help.
    pub help: String,
}

impl Hint {
    /// The word is to be typed as it is.
    #[must_use]
    pub fn is_keyword(&self) -> bool {
        self.word.starts_with(|c: char| c.is_ascii_lowercase())
    }
}

/// One command as the API and the docs show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandInfo {
    /// Its mode.
    pub mode: String,
    /// Its syntax.
    pub syntax: String,
    /// What may follow `no`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no: Option<String>,
    /// What may follow `default`, where that is neither what may follow `no` nor refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The mode that it opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enters: Option<String>,
    /// One line of help.
    pub help: String,
}

impl<C> Table<C> {
    /// Every command, in the table's order.
    #[must_use]
    pub fn commands(&self) -> Vec<CommandInfo> {
        let info = |command: &Command<C>| CommandInfo {
            mode: command.mode.name().to_owned(),
            syntax: command.syntax.to_owned(),
            no: command.no.map(str::to_owned),
            default: match command.by_default {
                ByDefault::Own(syntax) => Some(syntax.to_owned()),
                ByDefault::Line => Some(command.syntax.to_owned()),
                ByDefault::No | ByDefault::Nothing => None,
            },
            enters: command.enters.map(|mode| mode.name().to_owned()),
            help: command.help.to_owned(),
        };
        self.commands.iter().map(info).collect()
    }

    /// What may be typed in this mode after `line`: the words that begin with its last one, or, after a blank, what
    /// comes next. Nothing for a line that is wrong already.
    #[must_use]
    pub fn hints(&self, mode: Mode, line: &str) -> Vec<Hint> {
        let hint = |(word, help)| Hint { word, help };
        self.next(mode, line).into_iter().map(hint).collect()
    }

    /// The same where a conversation stands: the modes around the present one come in where that knows nothing.
    #[must_use]
    pub fn hints_at(&self, cursor: &Cursor, line: &str) -> Vec<Hint> {
        let known = cursor.modes().map(|mode| self.hints(mode, line));
        known.into_iter().find(|hints| !hints.is_empty()).unwrap_or_default()
    }

    fn next(&self, mode: Mode, line: &str) -> Vec<(String, String)> {
        let mut words = tokens(line);
        let typed = if line.ends_with(|c: char| !c.is_whitespace()) { words.pop() } else { None };
        let typed = typed.map_or("", |token| token.text);
        let first = words.first().map_or("", |token| token.text);
        let exec = self.tree.root(EXEC, Form::Plain).is_some() && mode != EXEC;
        let (exec_line, form, skip) = match first {
            _ if mode == EXEC => (true, Form::Plain, 0),
            "do" if exec => (true, Form::Plain, 1),
            "show" if exec => (true, Form::Plain, 0),
            first => {
                let form = Form::of_word(first);
                (false, form, usize::from(form != Form::Plain))
            }
        };
        if let Some(begin) = pipe::first(line).filter(|_| exec_line) {
            return pipe::hints(line, begin);
        }
        let rest = words.get(skip..).unwrap_or_default();
        let help = |word: &str, only: Option<CommandId>| self.help_of(word, only);
        let mut args = Args::default();
        let Ok(node) = self.tree.walk(if exec_line { EXEC } else { mode }, form, line, rest, &mut args)
        else {
            return Vec::new();
        };
        let mut next = self.tree.next(node, typed, &help);
        if mode != EXEC && words.is_empty() {
            let shows = self.tree.root(EXEC, Form::Plain).is_some_and(|root| root.leads("show"));
            let known = CONFIG_WORDS.iter().filter(|(word, _)| match *word {
                "do" => exec,
                "show" => shows,
                _ => true,
            });
            let fitting = known.filter(|(word, _)| begins(word, typed));
            next.extend(fitting.map(|(word, help)| ((*word).to_owned(), (*help).to_owned())));
        }
        if exec_line && node.command.is_some() && typed.is_empty() && args.has("show") {
            next.push(("|".to_owned(), "Filter the answer".to_owned()));
        }
        next
    }

    /// The page that `?` prints: hints, or at the very beginning every command of the mode.
    pub(super) fn help_page(&self, cursor: &Cursor, asked: &str) -> Output {
        if asked.trim().is_empty() {
            let mut grid = Grid::new([Column::left("command", "Command"), Column::left("help", "Help")]);
            let mut known: BTreeMap<&str, &str> = BTreeMap::new();
            let mode = cursor.mode();
            known.extend(self.commands.iter().filter(|c| c.mode == mode).map(|c| (c.syntax, c.help)));
            known.into_iter().for_each(|(syntax, help)| grid.row([syntax.into(), help.into()]));
            return grid.into();
        }
        let hints = self.hints_at(cursor, asked);
        if hints.is_empty() {
            return Output::message("% Nothing fits here.");
        }
        Output::prose(page(&hints), serde_json::to_value(&hints).unwrap_or_default())
    }

    /// The help of a keyword: its own, or that of the only command it leads to.
    fn help_of(&self, word: &str, only: Option<CommandId>) -> String {
        let own =
            self.words.iter().chain(&builtin::WORDS).find(|(known, _)| *known == word).map(|(_, help)| *help);
        let of_command = || only.and_then(|id| self.commands.get(id)).map(|command| command.help);
        own.or_else(of_command).unwrap_or_default().to_owned()
    }
}

/// Hints for people, one below the other.
#[must_use]
pub fn page(hints: &[Hint]) -> String {
    let width = hints.iter().map(|hint| hint.word.len()).max().unwrap_or(0);
    let line = |hint: &Hint| format!("  {:<width$}  {}", hint.word, hint.help).trim_end().to_owned() + "\n";
    hints.iter().map(line).collect()
}
