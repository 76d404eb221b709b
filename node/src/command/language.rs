//! Conversations: lines one by one, each in the mode that earlier ones opened.
//!
//! Nobody but the client keeps where a conversation stands: its [`Place`], which are the lines that opened the modes it is
//! in. It comes with each line, and what comes back says where the conversation stands then. So a daemon has no sessions,
//! and a line of configuration is applied as a text that begins with the lines of its place; if what they are about
//! has gone meanwhile, they make it anew, as they did the first time.

use super::error::{CommandError, ErrorKind};
use super::run::{Cursor, Reading};
use super::{CommandInfo, EXEC, Form, Hint, Table};
use crate::output::Output;
use serde::{Deserialize, Serialize};

/// Where a conversation stands: the lines that opened its modes, the outermost first. Empty at the exec prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(Vec<String>);

impl Place {
    /// It is the exec prompt.
    #[must_use]
    pub fn is_exec(&self) -> bool {
        self.0.is_empty()
    }
}

/// Modes that may be inside one another.
const DEEPEST: usize = 8;

/// What a line of a conversation asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Nothing is to be run, and this is the answer.
    Answer(Output),
    /// A line of the exec prompt, which begins behind so many characters of the one that was typed.
    Exec {
        /// The line.
        line: String,
        /// Characters before it.
        behind: usize,
        /// Whether it does more than show.
        changes: bool,
    },
    /// A text of configuration, whose last line is the one that was typed.
    Configure(String),
}

/// A line of a conversation, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Understood {
    /// What it asks for.
    pub wanted: Wanted,
    /// Where the conversation stands when that was done.
    pub after: Place,
    /// What the prompt shows then; nothing at the exec prompt.
    pub prompt: Option<&'static str>,
}

impl Understood {
    /// Whether it does more than show.
    #[must_use]
    pub fn changes(&self) -> bool {
        match self.wanted {
            Wanted::Answer(_) => false,
            Wanted::Exec { changes, .. } => changes,
            Wanted::Configure(_) => true,
        }
    }
}

/// What there is to know of a table without running anything.
pub trait Language: Send + Sync {
    /// Every command, in the table's order.
    fn commands(&self) -> Vec<CommandInfo>;

    /// What may be typed after `line`; see [`Table::hints_at`].
    ///
    /// # Errors
    /// The place is none.
    fn hints(&self, place: &Place, line: &str) -> Result<Vec<Hint>, CommandError>;

    /// What a line means.
    ///
    /// # Errors
    /// Nothing, or the place is none.
    fn understand(&self, place: &Place, line: &str) -> Result<Understood, CommandError>;
}

impl<C> Table<C> {
    fn cursor(&self, place: &Place) -> Result<Cursor, CommandError> {
        let mut cursor = Cursor::exec();
        for line in &place.0 {
            let opened = match self.read(&cursor, line)? {
                Reading::Exec { command, args, .. } => Some((cursor.modes.len(), command, args)),
                Reading::Configure { depth, command, args } => Some((depth, command, args)),
                _ => None,
            };
            let opened = opened.filter(|(depth, _, args)| args.form() == Form::Plain && *depth < DEEPEST);
            let mode = opened.and_then(|(depth, command, _)| Some((depth, self.commands[command].enters?)));
            let Some((depth, mode)) = mode else {
                return Err(CommandError::new(ErrorKind::Invalid, line, 1, "This line opens no mode."));
            };
            cursor.enter(depth, mode, line);
        }
        Ok(cursor)
    }
}

impl<C> Language for Table<C> {
    fn commands(&self) -> Vec<CommandInfo> {
        self.commands()
    }

    fn hints(&self, place: &Place, line: &str) -> Result<Vec<Hint>, CommandError> {
        Ok(self.hints_at(&self.cursor(place)?, line))
    }

    fn understand(&self, place: &Place, line: &str) -> Result<Understood, CommandError> {
        let mut cursor = self.cursor(place)?;
        let wanted = match self.read(&cursor, line)? {
            Reading::Nothing => Wanted::Answer(Output::Nothing),
            Reading::Help(asked) => Wanted::Answer(self.help_page(&cursor, asked)),
            Reading::Leave(depth) => {
                cursor.modes.truncate(depth);
                Wanted::Answer(Output::Nothing)
            }
            Reading::Exec { command, .. } if self.commands[command].enters.is_some() => {
                // From within configuration this is where one is already.
                if let (EXEC, Some(mode)) = (cursor.mode(), self.commands[command].enters) {
                    cursor.enter(1, mode, line);
                }
                Wanted::Answer(Output::Nothing)
            }
            Reading::Exec { begin, command, .. } => {
                let (before, rest) = line.split_at_checked(begin).unwrap_or(("", line));
                let changes = self.commands[command].changes;
                Wanted::Exec { line: rest.to_owned(), behind: before.chars().count(), changes }
            }
            Reading::Configure { depth, command, args } => {
                let around = cursor.modes.iter().take(depth).skip(2);
                let text = around.map(|(_, line)| format!("{line}\n")).collect::<String>() + line;
                match self.commands[command].enters.filter(|_| args.form() == Form::Plain) {
                    Some(mode) => cursor.enter(depth, mode, line),
                    None => cursor.modes.truncate(depth),
                }
                Wanted::Configure(text)
            }
        };
        let prompt = Some(cursor.mode()).filter(|mode| *mode != EXEC).map(super::Mode::prompt);
        let after = Place(cursor.modes.into_iter().skip(1).map(|(_, line)| line).collect());
        Ok(Understood { wanted, after, prompt })
    }
}
