//! Reading and running lines.

use super::error::{CommandError, ErrorKind};
use super::input::{LONGEST, Token, tokens};
use super::pipe::{self, Filter};
use super::tree::{CommandId, begins};
use super::{Args, CONFIG, EXEC, Form, Mode, Refusal, Reply, Table};
use crate::output::Output;
use serde_json::json;

/// Octets that the notes of one text may have: `show` may stand among its lines, thousands of times.
const LONGEST_NOTES: usize = 8 << 20;

/// Where a conversation stands: the modes from the outermost to the present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Each with the line that opened it.
    pub(super) modes: Vec<(Mode, String)>,
}

impl Cursor {
    /// At the exec prompt.
    #[must_use]
    pub fn exec() -> Self {
        Self { modes: vec![(EXEC, String::new())] }
    }

    /// In global configuration, with nothing around it.
    #[must_use]
    pub fn config() -> Self {
        Self { modes: vec![(CONFIG, String::new())] }
    }

    /// The present mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.modes.last().map_or(EXEC, |(mode, _)| *mode)
    }

    /// The modes whose commands are known, the present one first.
    pub(super) fn modes(&self) -> impl Iterator<Item = Mode> {
        let configuring = self.mode() != EXEC;
        let modes = self.modes.iter().rev().map(|(mode, _)| *mode);
        modes.take_while(move |mode| !configuring || *mode != EXEC)
    }

    pub(super) fn enter(&mut self, depth: usize, mode: Mode, line: &str) {
        self.modes.truncate(depth);
        self.modes.push((mode, line.trim().to_owned()));
    }
}

impl Form {
    /// The form of a line of configuration that begins with this word.
    pub(super) fn of_word(word: &str) -> Self {
        if word.eq_ignore_ascii_case("no") {
            Self::No
        } else if word.len() >= "def".len() && begins("default", word) {
            Self::Default
        } else {
            Self::Plain
        }
    }
}

/// A line that was understood.
pub(super) enum Reading<'a> {
    /// A blank line or a comment.
    Nothing,
    /// What may stand behind this?
    Help(&'a str),
    /// Back to so many modes.
    Leave(usize),
    /// A command of the exec prompt, at octet `begin` of the line, and the filters of its answer.
    Exec { begin: usize, command: CommandId, args: Args, filters: Vec<Filter> },
    /// A command of the innermost of the first `depth` modes.
    Configure { depth: usize, command: CommandId, args: Args },
}

impl<C> Table<C> {
    /// Runs one exec line. A line that ends with `?` asks what may stand there; `help` and `?` list all commands. Behind a
    /// `|` the answer is filtered.
    ///
    /// # Errors
    /// The line is no command, or its function refused.
    pub fn exec(&self, context: &mut C, line: &str) -> Result<Output, CommandError> {
        let mut cursor = Cursor::exec();
        let output = self.line(&mut cursor, context, line)?;
        if cursor.mode() == EXEC {
            return Ok(output);
        }
        let message = "One line cannot open a mode: use nivsh, or nivctl configure FILE.";
        let column = tokens(line).first().map_or(1, |first| first.column);
        Err(CommandError::new(ErrorKind::Refused, line, column, message))
    }

    /// Runs all lines of a text as configuration, the first refused line ends it; `context` is then in the middle
    /// of things and to be thrown away. Returns the notes that commands made.
    ///
    /// # Errors
    /// The first line that is no command, or whose function refused, with its number.
    pub fn configure(&self, context: &mut C, text: &str) -> Result<Output, CommandError> {
        let mut cursor = Cursor::config();
        let (mut notes, mut values) = (String::new(), Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            match self.line(&mut cursor, context, line) {
                Ok(Output::Nothing) => {}
                Ok(output) => {
                    notes.push_str(&output.to_string());
                    values.push(json!({ "line": number, "note": output.to_json() }));
                }
                Err(error) => return Err(error.at_line(number)),
            }
            if notes.len() > LONGEST_NOTES {
                let message = format!("The answers to these lines have more than {LONGEST_NOTES} octets.");
                return Err(CommandError::new(ErrorKind::Refused, line, 1, message).at_line(number));
            }
        }
        Ok(if values.is_empty() { Output::Nothing } else { Output::prose(notes, values.into()) })
    }

    /// Runs one line of a conversation and moves its cursor. Between lines of configuration only `show` is run of what
    /// is known at the exec prompt: the lines are one change, which is not made yet.
    ///
    /// # Errors
    /// The line is no command, or its function refused; the cursor stays.
    pub fn line(&self, cursor: &mut Cursor, context: &mut C, line: &str) -> Result<Output, CommandError> {
        let (depth, command, args, filters) = match self.read(cursor, line)? {
            Reading::Nothing => return Ok(Output::Nothing),
            Reading::Help(asked) => return Ok(self.help_page(cursor, asked)),
            Reading::Leave(depth) => {
                cursor.modes.truncate(depth);
                return Ok(Output::Nothing);
            }
            Reading::Exec { begin, command, args, filters } => {
                if cursor.mode() != EXEC && !args.has("show") {
                    let column = line.get(..begin).map_or(0, |before| before.chars().count()) + 1;
                    let message = "Among lines of configuration only \"do show ...\" is done.";
                    return Err(CommandError::new(ErrorKind::Refused, line, column, message));
                }
                (cursor.modes.len(), command, args, filters)
            }
            Reading::Configure { depth, command, args } => (depth, command, args, Vec::new()),
        };
        let known = &self.commands[command];
        let output = match (known.run)(context, &args) {
            Ok(Reply::Done) => Output::Nothing,
            Ok(Reply::Output(output)) => output,
            Err(Refusal { message, column }) => {
                let column = column.or_else(|| Some(tokens(line).first()?.column)).unwrap_or(1);
                return Err(CommandError::new(ErrorKind::Refused, line, column, message));
            }
        };
        match known.enters.filter(|_| args.form() == Form::Plain) {
            Some(mode) => cursor.enter(depth, mode, line),
            None => cursor.modes.truncate(depth),
        }
        Ok(filters.iter().fold(output, |output, filter| filter.apply(&output)))
    }

    /// What a line means at this place.
    pub(super) fn read<'a>(&self, cursor: &Cursor, line: &'a str) -> Result<Reading<'a>, CommandError> {
        if line.chars().count() > LONGEST {
            let message = format!("Line too long, {LONGEST} characters are the most.");
            return Err(CommandError::new(ErrorKind::Invalid, line, LONGEST, message));
        }
        let tokens = tokens(line);
        let Some(first) = tokens.first() else { return Ok(Reading::Nothing) };
        if first.text.starts_with('!') {
            return Ok(Reading::Nothing);
        }
        if let Some(asked) = line.trim_end().strip_suffix('?') {
            return Ok(Reading::Help(asked));
        }
        let configuring = cursor.mode() != EXEC;
        match (first.text, tokens.len()) {
            ("help", 1) if !configuring => Ok(Reading::Help("")),
            // The outermost mode of a text or conversation stays: nothing is left to fall back to.
            ("exit", 1) => Ok(Reading::Leave(cursor.modes.len().saturating_sub(1).max(1))),
            ("end", 1) => Ok(Reading::Leave(1)),
            ("do", _) if configuring => {
                let before = line.trim_end().len() - first.rest.len();
                self.read_exec(line, before + first.text.len())
            }
            ("show", _) if configuring => self.read_exec(line, 0),
            // Texts that were made for a terminal begin so; it leads to where one is already.
            (word, _) if configuring && word.len() >= "conf".len() && begins("configure", word) => {
                let reading = self.read_exec(line, 0)?;
                let around = cursor.modes.iter().position(|(mode, _)| *mode == CONFIG);
                Ok(around.map_or(reading, |place| Reading::Leave(place + 1)))
            }
            _ if !configuring => self.read_exec(line, 0),
            _ => match self.find(cursor, line, &tokens) {
                Ok((depth, command, args)) => Ok(Reading::Configure { depth, command, args }),
                // What only the exec prompt knows needs no `do`: `sh int bri`, `copy run start`.
                Err(error) if error.kind == ErrorKind::Invalid => self
                    .read_exec(line, 0)
                    .map_err(|other| if other.column > error.column { other } else { error }),
                Err(error) => Err(error),
            },
        }
    }

    /// A line of the exec prompt that begins at an octet of this line.
    fn read_exec<'a>(&self, line: &'a str, begin: usize) -> Result<Reading<'a>, CommandError> {
        let end = pipe::first(line).unwrap_or(line.len());
        let words = pipe::words(line, begin..end.max(begin));
        let upto = line.get(..end).unwrap_or(line);
        let found = self.tree.find(EXEC, Form::Plain, upto, &words);
        let (command, args) = found.map_err(|error| error.in_line(line))?;
        let filters = if end < line.len() { pipe::read(line, end)? } else { Vec::new() };
        Ok(Reading::Exec { begin, command, args, filters })
    }

    /// The command in the present mode, or in one around it, and how many modes remain there. A line that a mode
    /// understands so far (incomplete, ambiguous) is not tried further out, where its abbreviations may mean
    /// something else. Where none fits, the error is the one of the mode that understood most of the line.
    fn find(
        &self,
        cursor: &Cursor,
        line: &str,
        tokens: &[Token<'_>],
    ) -> Result<(usize, CommandId, Args), CommandError> {
        let form = tokens.first().map_or(Form::Plain, |first| Form::of_word(first.text));
        let words = tokens.get(usize::from(form != Form::Plain)..).unwrap_or_default();
        let mut best = CommandError::new(ErrorKind::Invalid, line, 0, "Invalid command at '^' marker.");
        for (place, mode) in cursor.modes().enumerate() {
            match self.tree.find(mode, form, line, words) {
                Ok((command, mut args)) => {
                    args.form = self.commands[command].form_of(form);
                    return Ok((cursor.modes.len() - place, command, args));
                }
                Err(error) => {
                    let undecided = error.kind != ErrorKind::Invalid;
                    if error.column > best.column {
                        best = error;
                    }
                    if undecided {
                        break;
                    }
                }
            }
        }
        Err(best)
    }
}
