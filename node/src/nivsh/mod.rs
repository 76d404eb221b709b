//! The program `nivsh`: a conversation with a daemon, in the words of its command table.
//!
//! It knows no command of any daemon: what a line means, what may follow and which mode it opens is asked of the daemon.

mod editor;

use crate::client::{Client, ClientError, find};
use crate::command::{CommandError, Hint, Place, page};
use clap::{CommandFactory, Parser};
use editor::{Editor, Input};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

const MANUAL: &str = "\
At the prompt: Tab completes, ? says what may follow, the arrows bring back earlier lines; Ctrl-C gives
up the line, Ctrl-Z leaves configuration, Ctrl-D or `exit` at the exec prompt ends the shell.

Each line takes effect at once. (`nivctl configure FILE` applies a file all or nothing.)

Lines may also come through a pipe or with -c; then the first line that is wrong ends the shell, and what
was done before it stays.

Which daemon: --api, else $NIV_API, else vis0.sock or adapter0.sock in ./niv-run/ or /run/niv/.

Exit code: 0 done, 1 a line failed, 2 a line or an option was wrong.";

/// The command line of a running vis-switch or niv-adapter
#[derive(Parser)]
#[command(name = "nivsh", version, after_help = MANUAL)]
struct Cli {
    /// The daemon's socket, or a node's name (vis0 is ./niv-run/vis0.sock or /run/niv/vis0.sock)
    #[arg(long, value_name = "SOCKET|NAME")]
    api: Option<PathBuf>,

    /// Run these lines, which " ; " separates, and end
    #[arg(short, long, value_name = "LINES")]
    command: Option<String>,
}

/// A conversation.
struct Shell {
    client: Client,
    name: String,
    /// Where it stands; shared with the completion.
    place: Arc<Mutex<Place>>,
    mode: Option<String>,
}

/// Why the shell ends before its input does.
enum Failure {
    Client(ClientError),
    Other(String),
    /// Whoever reads our output went away.
    Pipe,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Pipe,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// The program's options and help.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) | Err(Failure::Pipe) => ExitCode::SUCCESS,
        Err(failure) => {
            let (code, text) = match failure {
                Failure::Client(ClientError::Command(error)) => {
                    (if error.kind.was_understood() { 1 } else { 2 }, error.to_string())
                }
                Failure::Client(error) => (1, format!("nivsh: {error}")),
                Failure::Other(text) => (1, format!("nivsh: {text}")),
                Failure::Pipe => (0, String::new()),
            };
            // If standard error is gone too, the code must do.
            let _ = writeln!(io::stderr(), "{text}");
            code.into()
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let found = find(cli.api.as_deref()).map_err(|error| Failure::Other(error.to_string()))?;
    let client = found.into_iter().next().ok_or_else(|| Failure::Other("no daemon to ask".to_owned()))?;
    let name = match client.health() {
        Ok(health) => health.get("name").and_then(|name| name.as_str()).map(str::to_owned),
        Err(error @ ClientError::Unreachable { .. }) => return Err(error.into()),
        // It is not well, which is no reason not to talk to it.
        Err(_) => None,
    };
    let by_socket = || client.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.unwrap_or_else(by_socket);
    let mut shell = Shell { client, name, place: Arc::default(), mode: None };
    if let Some(lines) = &cli.command {
        return shell
            .script(lines.lines().flat_map(|line| line.split(" ; ")).map(|line| Ok(line.to_owned())));
    }
    let input = io::stdin();
    if input.is_terminal() { shell.converse() } else { shell.script(input.lock().lines()) }
}

impl Shell {
    fn place(&self) -> Place {
        self.place.lock().map(|place| place.clone()).unwrap_or_default()
    }

    fn prompt(&self) -> String {
        let mode = self.mode.as_ref().map_or_else(String::new, |mode| format!("({mode})"));
        format!("{}{mode}# ", self.name)
    }

    /// The line ends the shell. It may be shortened, for no daemon has a command that begins like these.
    fn ends(&self, line: &str) -> bool {
        let begins = |word: &str| line.trim().len() >= 2 && word.starts_with(line.trim());
        self.place().is_exec() && ["exit", "quit", "logout"].into_iter().any(begins)
    }

    /// What may follow; at the exec prompt also the word that ends the shell.
    fn hints(&self, asked: &str) -> Result<Vec<Hint>, ClientError> {
        let place = self.place();
        let mut hints = self.client.hints(&place, asked)?;
        if place.is_exec() && "exit".starts_with(asked.trim_start()) {
            hints.push(Hint { word: "exit".to_owned(), help: "Leave this shell".to_owned() });
            hints.sort_by(|one, other| one.word.cmp(&other.word));
        }
        Ok(hints)
    }

    fn line(&mut self, line: &str) -> Result<String, ClientError> {
        let step = self.client.line(&self.place(), line)?;
        if let Ok(mut place) = self.place.lock() {
            *place = step.place;
        }
        self.mode = step.prompt;
        Ok(step.text)
    }

    /// Lines that nobody types: the first that is wrong is the last.
    fn script(&mut self, lines: impl Iterator<Item = io::Result<String>>) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        for (number, line) in (1..).zip(lines) {
            let line = line.map_err(|error| Failure::Other(format!("standard input: {error}")))?;
            if self.ends(&line) {
                break;
            }
            let text = self.line(&line).map_err(|error| match error {
                ClientError::Command(error) => ClientError::Command(error.at_line(number)),
                other => other,
            })?;
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
        Ok(())
    }

    fn converse(&mut self) -> Result<(), Failure> {
        let mut editor = Editor::new(self.client.clone(), Arc::clone(&self.place))?;
        let mut out = io::stdout();
        loop {
            let prompt = self.prompt();
            let (line, leave) = match editor.read(&prompt)? {
                Input::Line(line) => (line, false),
                Input::LineAndEnd(line) => (line, true),
                Input::Help(asked) => {
                    match self.hints(&asked) {
                        Ok(hints) if hints.is_empty() => writeln!(out, "% Nothing fits here.")?,
                        Ok(hints) => write!(out, "{}", page(&hints))?,
                        Err(error) => self.say(&error, &asked)?,
                    }
                    continue;
                }
                Input::GivenUp => continue,
                Input::Closed => {
                    writeln!(out)?;
                    return Ok(());
                }
            };
            if self.ends(&line) {
                return Ok(());
            }
            match self.line(&line) {
                Ok(text) => out.write_all(text.as_bytes())?,
                Err(error) => self.say(&error, &line)?,
            }
            if leave && let Err(error) = self.line("end") {
                self.say(&error, "end")?;
            }
            out.flush()?;
        }
    }

    /// Says what is wrong; the caret stands under the word as it was typed behind the prompt.
    fn say(&self, error: &ClientError, line: &str) -> io::Result<()> {
        let mut out = io::stdout();
        match error {
            ClientError::Command(CommandError { text, column, message, .. })
                if *column > 0 && text == line.trim_end() =>
            {
                writeln!(out, "{:>1$}", '^', self.prompt().chars().count() + column)?;
                writeln!(out, "% {message}")
            }
            ClientError::Command(error) => writeln!(out, "{error}"),
            error => writeln!(out, "% {error}"),
        }
    }
}
