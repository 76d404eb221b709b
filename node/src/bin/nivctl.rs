//! `nivctl`: one request to a daemon's admin API.

use std::process::ExitCode;

fn main() -> ExitCode {
    niv_node::nivctl::main()
}
