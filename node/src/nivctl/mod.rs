//! The program `nivctl`: one request to a daemon's admin API.
//!
//! It knows no command of any daemon: lines are understood by the daemon's own command table, and where several
//! daemons are there, a line goes to the first one that knows it.

mod capture;
mod complete;
mod daemons;
mod doctor;

pub use complete::Shell;

use crate::client::{Client, ClientError};
use crate::command::{CommandError, CommandInfo, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand, ValueHint};
use daemons::Daemons;
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const FAILED: u8 = 1;
const WRONG: u8 = 2;

/// A configuration may be so long; the API takes a little more.
const LONGEST_CONFIGURATION: u64 = 900 * 1024;

const MANUAL: &str = "\
All other words are a line in the language of the daemon that is asked:
  nivctl help                 every such line
  nivctl show ?               what may follow
  nivctl show counters        what a daemon shows; with -j for programs
  nivctl vnic qemu vnic0      an adapter's vNICs, a guest's arguments for one
Lines of configuration go through `nivctl configure`, or nivsh.

Which daemon: --api, else $NIV_API, else the sockets vis0.sock and adapter0.sock, in that order,
in ./niv-run/ or, if none is there, in /run/niv/. Where both daemons run, a line goes to the first
one that knows it.

Exit code: 0 done, 1 it failed, 2 the request was wrong.";

/// One request to a running vis-switch or niv-adapter
#[derive(Parser)]
#[command(name = "nivctl", version, after_help = MANUAL, subcommand_value_name = "COMMAND|LINE", disable_help_subcommand = true)]
struct Cli {
    /// The daemon's socket, or a node's name (vis0 is ./niv-run/vis0.sock or /run/niv/vis0.sock)
    #[arg(long, value_name = "SOCKET|NAME", global = true)]
    api: Option<PathBuf>,

    /// Answer in JSON
    #[arg(short, long, global = true)]
    json: bool,

    #[command(subcommand)]
    request: Request,
}

/// What `nivctl` knows without asking a daemon.
#[derive(Subcommand)]
enum Request {
    /// Apply a configuration, all or nothing
    ///
    /// All lines are in effect when the command returns, or none is; a mistake is named with its line and column.
    Configure {
        /// The configuration; `-` is standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: String,
    },
    Capture(capture::Args),
    Doctor(doctor::Args),
    /// Run a line as it is
    ///
    /// For lines with characters that mean something to the shell, such as filters.
    #[command(after_help = "Example:\n  nivctl exec \"show running-config | section vethernet\"")]
    Exec {
        /// The line, as one word
        line: String,
    },
    /// Print the whole command table, configuration too
    Commands,
    Completion(complete::Completion),
    #[command(hide = true)]
    Complete(complete::Complete),
    #[command(external_subcommand)]
    Line(Vec<String>),
}

/// Why a request was not done.
enum Failure {
    /// 1.
    Failed(String),
    /// 2.
    Wrong(String),
    /// By the daemon's word.
    Client(ClientError),
    /// No daemon that was asked knows the line; and which ones were not asked.
    Unknown { error: CommandError, note: String },
    /// Something is wrong with the daemons, and has been told.
    Found,
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
            _ => Self::Failed(format!("standard output: {error}")),
        }
    }
}

/// The program's options, words and help.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    let mut cli = Cli::parse();
    // Also behind the words of a line, where one thinks of it.
    if let Request::Line(words) = &mut cli.request {
        while words.len() > 1 && words.last().is_some_and(|word| word == "-j" || word == "--json") {
            words.pop();
            cli.json = true;
        }
    }
    match run(&cli) {
        Ok(()) | Err(Failure::Pipe) => ExitCode::SUCCESS,
        Err(Failure::Found) => FAILED.into(),
        Err(failure) => {
            let (code, text) = explain(&failure, cli.json);
            // If standard error is gone too, the code must do.
            let _ = writeln!(io::stderr(), "{text}");
            code.into()
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let daemons = || Daemons::find(cli.api.as_deref());
    match &cli.request {
        Request::Configure { file } => {
            let daemons = daemons()?;
            let text = configuration(file)?;
            if cli.json {
                print_json(&daemons.first(|client| client.configure(&text))?)
            } else {
                print(
                    &daemons
                        .first(|client| client.configure_text(&text))
                        .map_err(|error| name_file(error, file))?,
                )
            }
        }
        Request::Commands if cli.json => print_json(&daemons()?.all(
            Client::commands,
            |commands| json!(commands),
            |parts| Value::Object(parts.into_iter().collect()),
        )?),
        Request::Commands => print(&daemons()?.all(Client::commands, table_text, pages)?),
        Request::Doctor(args) => doctor::run(cli.api.as_deref(), args, cli.json),
        Request::Capture(args) => capture::run(&daemons()?, args),
        Request::Exec { line } => execute(&daemons()?, line, cli.json),
        Request::Completion(wanted) => print(wanted.shell.script()),
        Request::Complete(line) => print(&line.answer()),
        Request::Line(words) => execute(&daemons()?, &words.join(" "), cli.json),
    }
}

fn execute(daemons: &Daemons, line: &str, as_json: bool) -> Result<(), Failure> {
    // Help is what all of them know.
    let help = line.trim() == "help" || line.trim_end().ends_with('?');
    match (help, as_json) {
        (true, false) => print(&daemons.all(|client| client.exec_text(line), |text| text, pages)?),
        (true, true) => {
            let object = |parts: Vec<(String, Value)>| Value::Object(parts.into_iter().collect());
            print_json(&daemons.all(|client| client.exec(line), |value| value, object)?)
        }
        (false, false) => print(
            &daemons.first(|client| client.exec_text(line)).map_err(|error| daemons.with_missing(error))?,
        ),
        (false, true) => print_json(&daemons.first(|client| client.exec(line))?),
    }
}

fn configuration(file: &str) -> Result<String, Failure> {
    let wrong = |error: io::Error| Failure::Wrong(format!("nivctl: {file}: {error}"));
    let mut source: Box<dyn Read> = match file {
        "-" => Box::new(io::stdin()),
        path => Box::new(std::fs::File::open(path).map_err(wrong)?),
    };
    let mut text = String::new();
    source.by_ref().take(LONGEST_CONFIGURATION + 1).read_to_string(&mut text).map_err(wrong)?;
    if text.len() as u64 > LONGEST_CONFIGURATION {
        return Err(Failure::Wrong(format!("nivctl: {file}: {LONGEST_CONFIGURATION} octets are the most")));
    }
    Ok(text)
}

/// Puts the file's name before the position of a mistake in it.
fn name_file(failure: Failure, file: &str) -> Failure {
    match failure {
        Failure::Client(ClientError::Command(error)) => {
            let text = format!("{file}: {error}");
            if wrong(error.kind) { Failure::Wrong(text) } else { Failure::Failed(text) }
        }
        other => other,
    }
}

fn wrong(kind: ErrorKind) -> bool {
    !kind.was_understood()
}

/// The exit code, and what to say.
fn explain(failure: &Failure, as_json: bool) -> (u8, String) {
    match failure {
        Failure::Pipe => (0, String::new()),
        Failure::Found => (FAILED, String::new()),
        Failure::Failed(text) => (FAILED, text.clone()),
        Failure::Wrong(text) => (WRONG, text.clone()),
        Failure::Unknown { error, note } => (WRONG, format!("{error}{note}")),
        Failure::Client(ClientError::Command(error)) => {
            let text = if as_json { json!({ "error": error }).to_string() } else { error.to_string() };
            (if wrong(error.kind) { WRONG } else { FAILED }, text)
        }
        Failure::Client(error) => (FAILED, format!("nivctl: {error}")),
    }
}

/// The command table for people.
fn table_text(commands: Vec<CommandInfo>) -> String {
    let mut text = String::new();
    let mut mode = String::new();
    for command in commands {
        if command.mode != mode {
            text.push_str(&format!("{}{}:\n", if mode.is_empty() { "" } else { "\n" }, command.mode));
            mode = command.mode;
        }
        let no = if command.no.is_some() { "[no] " } else { "" };
        text.push_str(&format!("  {no}{}\n      {}\n", command.syntax, command.help));
    }
    text
}

/// Several answers, each under its node's name.
fn pages(parts: Vec<(String, String)>) -> String {
    parts.into_iter().map(|(name, text)| format!("{name}:\n{text}")).collect::<Vec<_>>().join("\n")
}

fn print_json(value: &Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
