//! `vntag`: reads captures, shows and judges the tags in them, puts tags in and takes them out.
//!
//! Everything about formats is in the library; here are files, arguments and words. See `vntag --help`.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
