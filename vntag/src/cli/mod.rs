//! Arguments and exit codes.

mod args;
mod capture;
mod control;
mod decode;
mod edit;
mod output;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

/// A request that cannot be carried out however the files look: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongRequest(pub(crate) &'static str);

/// What a command that ran to its end has to say.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All went well: exit code 0.
    Done,
    /// Something was said about single frames: exit code 1.
    Findings,
}

/// Runs the command of the command line. A wrong command line ends in clap, with exit code 2.
pub(crate) fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Decode(args) => decode::run(&args),
        Command::Strip(files) => edit::strip(&files),
        Command::Insert(args) => edit::insert(&args),
        Command::ToEtag(files) => edit::to_etag(&files),
        Command::FromEtag(args) => edit::from_etag(&args),
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::FAILURE,
        // Whoever reads our output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<WrongRequest>() => {
            eprintln!("vntag: {error:#}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("vntag: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io_errors = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    io_errors.into_iter().any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
