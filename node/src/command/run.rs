//! Running lines.

use super::error::{CommandError, ErrorKind};
use super::input::{LONGEST, Token, tokens};
use super::{Args, CONFIG, EXEC, Mode, Reply, Table};
use crate::output::Output;
use serde_json::json;

/// Where a conversation stands: the modes from the outermost to the present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    modes: Vec<Mode>,
}

impl Cursor {
    /// At the exec prompt.
    #[must_use]
    pub fn exec() -> Self {
        Self { modes: vec![EXEC] }
    }

    /// In global configuration, with nothing around it.
    #[must_use]
    pub fn config() -> Self {
        Self { modes: vec![CONFIG] }
    }

    /// The present mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.modes.last().copied().unwrap_or(EXEC)
    }
}

impl<C> Table<C> {
    /// Runs one exec line. A line that ends with `?` asks what may stand there; `help` and `?` list all commands.
    ///
    /// (Pipes, `| include ...`, are filters on the text of this function's output; their place is here.)
    ///
    /// # Errors
    /// The line is no command, or its function refused.
    pub fn exec(&self, context: &mut C, line: &str) -> Result<Output, CommandError> {
        self.line(&mut Cursor::exec(), context, line)
    }

    /// Runs all lines of a text as configuration, the first refused line ends it; `context` is then in the middle
    /// of things and to be thrown away. Returns the notes that commands made.
    ///
    /// # Errors
    /// The first line that is no command, or whose function refused, with its number.
    pub fn configure(&self, context: &mut C, text: &str) -> Result<Output, CommandError> {
        let mut cursor = Cursor::config();
        let mut notes = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            match self.line(&mut cursor, context, line) {
                Ok(Output::Nothing) => {}
                Ok(output) => notes.push((number, output)),
                Err(error) => return Err(error.at_line(number)),
            }
        }
        if notes.is_empty() {
            return Ok(Output::Nothing);
        }
        let text = notes.iter().map(|(_, note)| note.to_string()).collect::<String>();
        let value =
            notes.iter().map(|(line, note)| json!({ "line": line, "note": note.to_json() })).collect();
        Ok(Output::prose(text, value))
    }

    /// Runs one line of a conversation and moves its cursor.
    ///
    /// # Errors
    /// The line is no command, or its function refused; the cursor stays.
    pub fn line(&self, cursor: &mut Cursor, context: &mut C, line: &str) -> Result<Output, CommandError> {
        if line.chars().count() > LONGEST {
            let message = format!("Line too long, {LONGEST} characters are the most.");
            return Err(CommandError::new(ErrorKind::Invalid, line, LONGEST, message));
        }
        let tokens = tokens(line);
        let Some(first) = tokens.first() else { return Ok(Output::Nothing) };
        if first.text.starts_with('!') {
            return Ok(Output::Nothing);
        }
        if let Some(asked) = line.trim_end().strip_suffix('?') {
            return Ok(self.help_page(cursor.mode(), asked));
        }
        let configuring = cursor.mode() != EXEC;
        match (first.text, tokens.len()) {
            ("help", 1) if !configuring => return Ok(self.help_page(EXEC, "")),
            // The outermost mode of a text or conversation stays: nothing is left to fall back to.
            ("exit", 1) => {
                if cursor.modes.len() > 1 {
                    cursor.modes.pop();
                }
                return Ok(Output::Nothing);
            }
            ("end", 1) if configuring => {
                cursor.modes.truncate(1);
                return Ok(Output::Nothing);
            }
            _ => {}
        }
        let (depth, command, args) = self.find(cursor, line, &tokens)?;
        let run = self.commands[command].run;
        match run(context, &args) {
            Ok(Reply::Done) => {
                cursor.modes.truncate(depth);
                Ok(Output::Nothing)
            }
            Ok(Reply::Output(output)) => {
                cursor.modes.truncate(depth);
                Ok(output)
            }
            Ok(Reply::Enter(mode)) => {
                cursor.modes.truncate(depth);
                cursor.modes.push(mode);
                Ok(Output::Nothing)
            }
            Err(refusal) => {
                let column = refusal.column.unwrap_or(first.column);
                Err(CommandError::new(ErrorKind::Refused, line, column, refusal.message))
            }
        }
    }

    /// The command in the present mode, or in one around it, and how many modes remain there. A line that a mode
    /// understands so far (incomplete, ambiguous) is not tried further out, where its abbreviations may mean
    /// something else. Where none fits, the error is the one of the mode that understood most of the line.
    fn find(
        &self,
        cursor: &Cursor,
        line: &str,
        tokens: &[Token<'_>],
    ) -> Result<(usize, usize, Args), CommandError> {
        let configuring = cursor.mode() != EXEC;
        let (negated, words) = match tokens.split_first() {
            Some((first, words)) if configuring && first.text.eq_ignore_ascii_case("no") => (true, words),
            _ => (false, tokens),
        };
        let mut best = CommandError::new(ErrorKind::Invalid, line, 0, "Invalid command at '^' marker.");
        for (place, mode) in cursor.modes.iter().enumerate().rev() {
            if configuring && *mode == EXEC {
                break;
            }
            match self.tree.find(*mode, negated, line, words) {
                Ok((command, args)) => return Ok((place + 1, command, args)),
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
