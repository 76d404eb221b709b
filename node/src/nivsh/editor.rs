//! Reading a line from a terminal.

use crate::client::Client;
use crate::command::Place;
use rustyline::completion::Completer;
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, CompletionType, ConditionalEventHandler, Config, Context, Event, EventContext, EventHandler, Helper,
    KeyEvent, RepeatCount,
};
use std::io;
use std::sync::{Arc, Mutex};

/// Lines that the arrows bring back.
const HISTORY: usize = 500;

/// What somebody did at the prompt.
pub(super) enum Input {
    /// A line.
    Line(String),
    /// A line, and leave configuration behind it.
    LineAndEnd(String),
    /// `?` behind this; the next [`Editor::read`] goes on with the line.
    Help(String),
    /// The line is not meant.
    GivenUp,
    /// There are no more lines.
    Closed,
}

/// A key that ends a line in its own way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    /// `?` at this octet.
    Help(usize),
    End,
}

/// A line editor with history, whose completion asks the daemon.
pub(super) struct Editor {
    inner: rustyline::Editor<Words, DefaultHistory>,
    pressed: Arc<Mutex<Option<Key>>>,
    /// What stood left and right of the cursor when help was asked for.
    kept: (String, String),
}

fn other(error: &ReadlineError) -> io::Error {
    io::Error::other(format!("the terminal: {error}"))
}

impl Editor {
    pub(super) fn new(client: Client, place: Arc<Mutex<Place>>) -> io::Result<Self> {
        let failed = |error: ReadlineError| other(&error);
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .max_history_size(HISTORY)
            .and_then(|builder| builder.history_ignore_dups(true))
            .map_err(failed)?
            .bracketed_paste(false)
            .build();
        let mut inner = rustyline::Editor::with_config(config).map_err(failed)?;
        // Programs that log in take its marks for an answer.
        inner.enable_synchronized_output(false);
        inner.set_helper(Some(Words { client, place }));
        let pressed = Arc::new(Mutex::new(None));
        let handler = |of: fn(usize) -> Key| {
            EventHandler::Conditional(Box::new(Press { pressed: Arc::clone(&pressed), of }))
        };
        inner.bind_sequence(KeyEvent::from('?'), handler(Key::Help));
        inner.bind_sequence(KeyEvent::ctrl('Z'), handler(|_| Key::End));
        Ok(Self { inner, pressed, kept: Default::default() })
    }

    pub(super) fn read(&mut self, prompt: &str) -> io::Result<Input> {
        let (left, right) = core::mem::take(&mut self.kept);
        let line = match self.inner.readline_with_initial(prompt, (&left, &right)) {
            Ok(line) => line,
            Err(ReadlineError::Eof) => return Ok(Input::Closed),
            Err(ReadlineError::Interrupted) => return Ok(Input::GivenUp),
            Err(error) => return Err(other(&error)),
        };
        let pressed = self.pressed.lock().ok().and_then(|mut pressed| pressed.take());
        if let Some(Key::Help(at)) = pressed {
            let (left, right) = line.split_at_checked(at).unwrap_or((&line, ""));
            self.kept = (left.to_owned(), right.to_owned());
            return Ok(Input::Help(left.to_owned()));
        }
        if !line.trim().is_empty() {
            self.inner.add_history_entry(&line).map_err(|error| other(&error))?;
        }
        Ok(if pressed == Some(Key::End) { Input::LineAndEnd(line) } else { Input::Line(line) })
    }
}

/// Ends the line, and remembers by which key.
struct Press {
    pressed: Arc<Mutex<Option<Key>>>,
    of: fn(usize) -> Key,
}

impl ConditionalEventHandler for Press {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        *self.pressed.lock().ok()? = Some((self.of)(context.pos()));
        Some(Cmd::AcceptLine)
    }
}

/// Completion out of the daemon's table.
struct Words {
    client: Client,
    place: Arc<Mutex<Place>>,
}

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let left = line.get(..at).unwrap_or(line);
        let begin = left.rfind(|c: char| c.is_whitespace() || c == '|').map_or(0, |before| before + 1);
        let place = self.place.lock().map(|place| place.clone()).unwrap_or_default();
        // A daemon that does not answer has nothing to offer; the line itself will say why.
        let hints = self.client.hints(&place, left).unwrap_or_default();
        let words = hints.into_iter().filter(|hint| hint.is_keyword()).map(|hint| hint.word + " ").collect();
        Ok((begin, words))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}
