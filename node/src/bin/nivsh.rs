//! `nivsh`: a conversation with a daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    niv_node::nivsh::main()
}
