//! The subcommands and their help.

use super::{bench, check, cleanup, demo, inside, man, up};
use crate::fuzz::{command, counters};
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// The lab of the network-interface-virtualization emulator: real guests, a real adapter, a real switch.
#[derive(Parser)]
#[command(name = "cargo lab", bin_name = "cargo lab", version, disable_help_subcommand = false)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show the main job: real guests talk through adapter and switch, every fact with its number.
    ///
    /// Installs what is missing, builds, starts one switch, two adapters and four QEMU guests, proves the
    /// traffic between them, leaves the capture in target/lab/link0.pcapng and stops everything.
    Demo,
    /// Run everything that proves the project; the last line is `N passed, N failed`.
    Test,
    /// Start the lab of the demo and leave it running until Ctrl-C.
    Up {
        /// Return when it is up; `cargo lab down` ends it.
        #[arg(short, long)]
        detach: bool,
    },
    /// Show the processes of the running lab.
    Status,
    /// Connect to a guest's console; Ctrl-] leaves it.
    Console {
        /// The guest: vm1, vm2, vm3 or vm4.
        vm: String,
    },
    /// Run a command in a guest and return its exit code.
    Exec {
        /// The guest: vm1, vm2, vm3 or vm4.
        vm: String,
        /// The command, for the guest's shell.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// End the running lab.
    Down,
    /// Compare with OVS-DPDK, DPDK and the Linux bridge, run by run in turn; writes target/bench/report.json.
    ///
    /// Installs the peers, reserves huge pages and gives them back. Each comparison is a line of the report with
    /// median and spread of ours, theirs, and of the ratio of neighbouring runs.
    Bench(bench::Bench),
    /// Look for inputs that make a parser or a state machine panic, hang, grow or break its laws.
    ///
    /// Each target runs in a process of its own, guided by the places of the program that inputs come to. A
    /// finding is made as short as it can be and kept in target/lab/fuzz, with the command that tries it again.
    Fuzz(command::Fuzz),
    /// The process in which a target is fuzzed.
    #[command(hide = true)]
    FuzzChild(command::FuzzChild),
    /// Write manual pages, and completion for bash, zsh and fish.
    Man {
        /// Where to, laid out as /usr/share is; without it, target/share.
        folder: Option<PathBuf>,
    },
    /// Runs inside the guests.
    #[command(hide = true)]
    Inside {
        #[command(subcommand)]
        what: inside::Inside,
    },
}

/// The whole program. Exit codes: 0 done, 1 the thing asked for failed, 2 the request was wrong.
pub fn main() -> ExitCode {
    if let Some(code) = counters::wrap() {
        return code;
    }
    let done = run(Cli::parse().what);
    cleanup::let_interrupt_finish();
    match done {
        Ok(code) => code,
        Err(error) => {
            super::say::line("");
            eprintln!("{} {error:#}", super::say::red("cargo lab:"));
            ExitCode::FAILURE
        }
    }
}

fn run(what: What) -> Result<ExitCode> {
    match what {
        What::Demo => demo::run()?,
        What::Test if !check::run()? => return Ok(ExitCode::FAILURE),
        What::Test => {}
        What::Up { detach } => up::up(detach)?,
        What::Status => up::status()?,
        What::Console { vm } => up::console(&vm)?,
        What::Exec { vm, command } => return Ok(ExitCode::from(up::exec(&vm, &command)?)),
        What::Down => up::down()?,
        What::Bench(what) => what.run()?,
        What::Fuzz(what) if !what.run()? => return Ok(ExitCode::FAILURE),
        What::Fuzz(_) => {}
        What::FuzzChild(what) => what.run()?,
        What::Man { folder } => man::run(folder.as_deref())?,
        What::Inside { what } => inside::run(&what)?,
    }
    Ok(ExitCode::SUCCESS)
}
