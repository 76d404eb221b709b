//! `?`, completion, and the table as data.

use super::input::tokens;
use super::tree::{Node, begins};
use super::{Args, EXEC, Mode, Table};
use crate::output::{Column, Grid, Output};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something that may be typed next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// A keyword, a parameter as `<1-4094>`, or `<cr>` where the line may end.
    pub word: String,
    /// One line of help.
    pub help: String,
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
    /// One line of help.
    pub help: String,
}

impl<C> Table<C> {
    /// Every command, in the table's order.
    #[must_use]
    pub fn commands(&self) -> Vec<CommandInfo> {
        let info = |command: &super::Command<C>| CommandInfo {
            mode: command.mode.0.to_owned(),
            syntax: command.syntax.to_owned(),
            no: command.no.map(str::to_owned),
            help: command.help.to_owned(),
        };
        self.commands.iter().map(info).collect()
    }

    /// What may be typed in this mode after `line`: the words that begin with its last one, or, after a blank, what
    /// comes next. Nothing for a line that is wrong already.
    #[must_use]
    pub fn hints(&self, mode: Mode, line: &str) -> Vec<Hint> {
        let mut words = tokens(line);
        let typed = if line.ends_with(|c: char| !c.is_whitespace()) { words.pop() } else { None };
        let typed = typed.map_or("", |token| token.text);
        let negated =
            mode != EXEC && words.first().is_some_and(|first| first.text.eq_ignore_ascii_case("no"));
        let rest = words.get(usize::from(negated)..).unwrap_or_default();
        let Ok(node) = self.tree.walk(mode, negated, line, rest, &mut Args::default()) else {
            return Vec::new();
        };

        let mut hints: Vec<Hint> = Vec::new();
        let mut add = |word: String, help: &str| hints.push(Hint { word, help: help.to_owned() });
        for (word, to) in node.keywords.iter().filter(|(word, _)| begins(word, typed)) {
            add((*word).to_owned(), &self.help_of(word, self.tree.node(*to)));
        }
        if typed.is_empty() {
            if words.is_empty() && mode != EXEC {
                for (word, help) in [
                    ("no", "Negate a command or set its defaults"),
                    ("exit", "Leave this mode"),
                    ("end", "Leave configuration"),
                ] {
                    add(word.to_owned(), help);
                }
            }
            for (_, kind, to) in &node.parameters {
                add(kind.to_string(), &self.help_of("", self.tree.node(*to)));
            }
            if let Some(command) = node.command {
                add("<cr>".to_owned(), self.commands.get(command).map_or("", |command| command.help));
            }
        }
        hints
    }

    /// The page that `?` prints: hints, or at the very beginning every command of the mode.
    pub(super) fn help_page(&self, mode: Mode, asked: &str) -> Output {
        if asked.trim().is_empty() {
            let mut grid = Grid::new([Column::left("command", "Command"), Column::left("help", "Help")]);
            let mut known: BTreeMap<&str, &str> = BTreeMap::new();
            known.extend(self.commands.iter().filter(|c| c.mode == mode).map(|c| (c.syntax, c.help)));
            known.into_iter().for_each(|(syntax, help)| grid.row([syntax.into(), help.into()]));
            return grid.into();
        }
        let hints = self.hints(mode, asked);
        if hints.is_empty() {
            return Output::message("% Nothing fits here.");
        }
        let width = hints.iter().map(|hint| hint.word.len()).max().unwrap_or(0);
        let text: String = hints
            .iter()
            .map(|hint| format!("  {:<width$}  {}", hint.word, hint.help).trim_end().to_owned() + "\n")
            .collect();
        Output::prose(text, serde_json::to_value(&hints).unwrap_or_default())
    }

    /// The help of a keyword: its own, or that of the only command it leads to.
    fn help_of(&self, word: &str, node: &Node) -> String {
        if let Some((_, help)) = self.words.iter().find(|(known, _)| *known == word) {
            return (*help).to_owned();
        }
        let mut found = None;
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            if let Some(command) = node.command {
                if found.is_some_and(|other| other != command) {
                    return String::new();
                }
                found = Some(command);
            }
            let next =
                node.keywords.iter().map(|(_, to)| to).chain(node.parameters.iter().map(|(.., to)| to));
            waiting.extend(next.map(|to| self.tree.node(*to)));
        }
        found.and_then(|id| self.commands.get(id)).map_or_else(String::new, |command| command.help.to_owned())
    }
}
