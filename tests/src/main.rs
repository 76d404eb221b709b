//! `cargo lab`: the one command that sets up, shows, tests and measures the whole project.
//!
//! `cargo lab demo` is the place to start; `cargo lab help` lists the rest.

use niv_lab::lab;
use std::process::ExitCode;

fn main() -> ExitCode {
    lab::cli::main()
}
