//! All syntaxes of a table, merged by their common beginnings.

use super::Mode;
use super::args::{Args, Form};
use super::error::{CommandError, ErrorKind};
use super::input::{Token, end_column};
use super::syntax::{Item, Kind, expand};
use std::collections::HashMap;

/// The place of a command in its table.
pub(super) type CommandId = usize;

/// What may come at one place, and where it leads.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) keywords: Vec<(&'static str, usize)>,
    pub(super) parameters: Vec<(&'static str, Kind, usize)>,
    pub(super) command: Option<CommandId>,
}

/// One tree for each mode and each word that may stand before its commands.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    roots: HashMap<(Mode, Form), usize>,
}

/// How keywords at one place match a word.
enum Match {
    None,
    One(&'static str, usize),
    Many(Vec<&'static str>),
}

impl Tree {
    /// Adds a syntax. See [`Table::new`](super::Table::new) for its panics.
    pub(super) fn insert(&mut self, mode: Mode, form: Form, syntax: &'static str, command: CommandId) {
        let sequences = expand(syntax).unwrap_or_else(|why| panic!("command syntax `{syntax}`: {why}"));
        for sequence in sequences {
            assert!(!sequence.is_empty(), "command syntax `{syntax}` may be empty");
            let nodes = &mut self.nodes;
            let mut at = *self.roots.entry((mode, form)).or_insert_with(|| new_node(nodes));
            for item in sequence {
                at = self.child(at, item);
            }
            let slot = &mut self.nodes[at].command;
            assert!(
                slot.is_none_or(|other| other == command),
                "command syntax `{syntax}`: another command of mode {} has the same",
                mode.name()
            );
            *slot = Some(command);
        }
    }

    fn child(&mut self, at: usize, item: Item) -> usize {
        let node = &self.nodes[at];
        let known = match &item {
            Item::Keyword(word) => node.keywords.iter().find(|(known, _)| known == word).map(|(_, to)| *to),
            Item::Parameter(name, kind) => {
                node.parameters.iter().find(|(n, k, _)| n == name && k == kind).map(|(.., to)| *to)
            }
        };
        if let Some(known) = known {
            return known;
        }
        let to = new_node(&mut self.nodes);
        let node = &mut self.nodes[at];
        match item {
            Item::Keyword(word) => {
                node.keywords.push((word, to));
                node.keywords.sort_unstable();
            }
            Item::Parameter(name, kind) => {
                node.parameters.push((name, kind, to));
                node.parameters.sort_by_key(|(_, kind, _)| kind.rank());
            }
        }
        to
    }

    pub(super) fn root(&self, mode: Mode, form: Form) -> Option<&Node> {
        self.nodes.get(*self.roots.get(&(mode, form))?)
    }

    pub(super) fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    /// The command that the words name, and its arguments.
    pub(super) fn find(
        &self,
        mode: Mode,
        form: Form,
        line: &str,
        tokens: &[Token<'_>],
    ) -> Result<(CommandId, Args), CommandError> {
        let mut args = Args { form, ..Args::default() };
        let node = self.walk(mode, form, line, tokens, &mut args)?;
        match node.command {
            Some(command) => Ok((command, args)),
            None => Err(CommandError::new(
                ErrorKind::Incomplete,
                line,
                end_column(line),
                "Incomplete command at '^' marker.",
            )),
        }
    }

    /// Follows the words as far as they go.
    pub(super) fn walk(
        &self,
        mode: Mode,
        form: Form,
        line: &str,
        tokens: &[Token<'_>],
        args: &mut Args,
    ) -> Result<&Node, CommandError> {
        let mut tokens = tokens.to_vec();
        let mut place = 0;
        let invalid = |token: &Token<'_>, message: Option<String>| {
            let message = message.unwrap_or_else(|| "Invalid command at '^' marker.".to_owned());
            CommandError::new(ErrorKind::Invalid, line, token.column, message)
        };
        let Some(mut node) = self.root(mode, form) else {
            return match tokens.first() {
                Some(first) => Err(invalid(first, None)),
                None => Err(CommandError::new(
                    ErrorKind::Incomplete,
                    line,
                    end_column(line),
                    "Incomplete command at '^' marker.",
                )),
            };
        };
        while let Some(token) = tokens.get(place).copied() {
            match node.matching(token.text) {
                Match::One(word, to) => {
                    args.keywords.push(word);
                    node = self.node(to);
                    place += 1;
                    continue;
                }
                Match::Many(words) => {
                    let message = format!("Ambiguous command at '^' marker: {}.", words.join(", "));
                    return Err(CommandError::new(ErrorKind::Ambiguous, line, token.column, message));
                }
                Match::None => {}
            }
            if let Some((word, to, digits)) = self.glued(node, token.text) {
                args.keywords.push(word);
                node = self.node(to);
                tokens[place] = token.skip(digits);
                continue;
            }
            let rest = tokens.get(place..).unwrap_or_default();
            let accepted = node.parameters.iter().find_map(|(name, kind, to)| {
                kind.accept(rest).map(|(value, used)| (*name, value, used, *to))
            });
            let Some((name, value, used, to)) = accepted else {
                let complaint = node.parameters.iter().find_map(|(_, kind, _)| kind.complaint(token.text));
                return Err(invalid(&token, complaint));
            };
            args.values.push((name, value, token.column));
            node = self.node(to);
            place += used;
        }
        Ok(node)
    }

    /// What may come at a place where `typed` is typed: words and their help, which `help` gives for a word and the only
    /// command that it leads to. A value that leads to several has the help of the one that may end there.
    pub(super) fn next(
        &self,
        node: &Node,
        typed: &str,
        help: &dyn Fn(&str, Option<CommandId>) -> String,
    ) -> Vec<(String, String)> {
        let fitting = node.keywords.iter().filter(|(word, _)| begins(word, typed));
        let mut next: Vec<(String, String)> =
            fitting.map(|(word, to)| ((*word).to_owned(), help(word, self.only(self.node(*to))))).collect();
        if typed.is_empty() {
            next.extend(node.parameters.iter().map(|(_, kind, to)| {
                let to = self.node(*to);
                (kind.to_string(), help("", self.only(to).or(to.command)))
            }));
            next.extend(node.command.map(|command| ("<cr>".to_owned(), help("", Some(command)))));
        }
        next
    }

    /// The only command that this place leads to.
    fn only(&self, node: &Node) -> Option<CommandId> {
        let mut found = None;
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            if let Some(command) = node.command {
                if found.is_some_and(|other| other != command) {
                    return None;
                }
                found = Some(command);
            }
            let keywords = node.keywords.iter().map(|(_, to)| to);
            let next = keywords.chain(node.parameters.iter().map(|(.., to)| to));
            waiting.extend(next.map(|to| self.node(*to)));
        }
        found
    }

    /// `veth1`: one keyword and the number that may follow it, in one word. Returns where the digits begin.
    fn glued(&self, node: &Node, text: &str) -> Option<(&'static str, usize, usize)> {
        let digits = text.find(|c: char| c.is_ascii_digit()).filter(|at| *at > 0)?;
        let Match::One(word, to) = node.matching(text.get(..digits)?) else { return None };
        self.node(to).parameters.iter().any(|(_, kind, _)| kind.glues()).then_some((word, to, digits))
    }
}

fn new_node(nodes: &mut Vec<Node>) -> usize {
    nodes.push(Node::default());
    nodes.len() - 1
}

/// `word` begins with `typed`, whatever the case.
pub(super) fn begins(word: &str, typed: &str) -> bool {
    word.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed))
}

impl Node {
    /// This keyword may come here.
    pub(super) fn leads(&self, keyword: &str) -> bool {
        self.keywords.iter().any(|(known, _)| *known == keyword)
    }

    fn matching(&self, typed: &str) -> Match {
        let mut fitting = self.keywords.iter().filter(|(word, _)| begins(word, typed));
        let Some((word, to)) = fitting.next() else { return Match::None };
        if fitting.next().is_none() {
            return Match::One(word, *to);
        }
        if let Some((word, to)) = self.keywords.iter().find(|(word, _)| word.eq_ignore_ascii_case(typed)) {
            return Match::One(word, *to);
        }
        Match::Many(self.keywords.iter().map(|(word, _)| *word).filter(|word| begins(word, typed)).collect())
    }
}
