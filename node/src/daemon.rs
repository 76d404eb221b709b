//! What `main` of a daemon does before and around its work.
//!
//! ```no_run
//! use clap::Parser;
//! use niv_node::{config, daemon, sandbox::Policy};
//! use std::process::ExitCode;
//!
//! /// The virtual interface switch.
//! #[derive(Parser)]
//! #[command(name = "vis-switch", version, after_help = daemon::MANUAL)]
//! struct Cli {
//!     #[command(flatten)]
//!     common: daemon::Args,
//! }
//!
//! fn main() -> ExitCode {
//!     let cli = Cli::parse();
//!     let prepare = || {
//!         // Read the file; nothing is opened yet.
//!         let node = config::Node::without_file("vis0");
//!         let policy = Policy::of(&node);
//!         Ok((node, policy))
//!     };
//!     daemon::run("vis-switch", &cli.common, prepare, |node, sandbox, stop| {
//!         // Open devices, start workers and the API, then:
//!         sandbox.started();
//!         stop.wait();
//!         Ok(())
//!     })
//! }
//! ```

use crate::command::CommandError;
use crate::config::ConfigError;
use crate::log;
use crate::sandbox::{Policy, Sandbox};
use crate::stop::Stop;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// The thing asked for failed.
const FAILED: u8 = 1;

/// The request was wrong: a file, an option.
const WRONG: u8 = 2;

/// What a daemon's help says behind its options: `#[command(after_help = daemon::MANUAL)]`.
pub const MANUAL: &str = "\
SIGTERM or SIGINT end it in good order, a second one at once. Under a service manager that speaks
the protocol of sd_notify(3) it tells of readiness, status and progress.

Exit code: 0 ended in good order, 1 something could not be opened or failed, 2 an option or the
configuration was wrong.";

/// Options that every daemon has; `--version` comes from the daemon's own `#[command(version)]`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// The configuration file; without one, defaults under ./niv-run/
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// What to log: error, warn, info, debug, trace, or a list such as info,link=debug (also: RUST_LOG)
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,

    /// Keep all rights, system calls and files, for debugging only: a guest or peer that takes this process over by a
    /// mistake in it then has whatever this process's user has
    #[arg(long)]
    pub no_sandbox: bool,
}

/// Starts logging and the panic hook; has `prepare` read the configuration and say what it needs; enters the
/// [sandbox](crate::sandbox) with that; starts signal handling, does `work` on this thread and says how it went: 0 done, 1
/// failed, 2 the request was wrong (an option, or a [`ConfigError`] or [`CommandError`] among the causes). SIGTERM and
/// SIGINT request the [`Stop`] that `work` is given; a second one ends the process at once.
///
/// `prepare` starts no thread; `work` calls [`Sandbox::started`] when everything is open.
pub fn run<Prepared>(
    name: &str,
    args: &Args,
    prepare: impl FnOnce() -> anyhow::Result<(Prepared, Policy)>,
    work: impl FnOnce(Prepared, &Sandbox, &Stop) -> anyhow::Result<()>,
) -> ExitCode {
    if let Err(error) = log::start(args.log.as_deref()) {
        eprintln!("{name}: {error}");
        return WRONG.into();
    }
    panics_end_the_process();
    allow_descriptors();
    let done = || {
        let (prepared, policy) = prepare()?;
        let sandbox = if args.no_sandbox {
            tracing::warn!("no sandbox: whoever takes this process over has all that its user has");
            Sandbox::off()
        } else {
            policy.enter()?
        };
        let stop = Stop::new()?;
        watch_signals(stop.clone())?;
        work(prepared, &sandbox, &stop)
    };
    let Err(error) = done() else { return ExitCode::SUCCESS };
    // Said plainly and once, whatever is logged.
    eprintln!("{name}: {error:#}");
    if error.chain().any(|cause| cause.is::<ConfigError>() || cause.is::<CommandError>()) {
        WRONG.into()
    } else {
        FAILED.into()
    }
}

/// A daemon with a dead thread looks alive and is not. Whoever supervises it starts a whole one.
fn panics_end_the_process() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        tracing::error!(thread = name, %panic, "this is a mistake in the program; it ends here");
        std::process::abort();
    }));
}

/// As many descriptors as this user may have. What a shell allows a process from the start, 1,024, is for programs that
/// use `select`; a thousand guests need ten times that.
fn allow_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!("cannot have more file descriptors than a shell allows: {error}");
    }
}

/// Turns the first SIGTERM or SIGINT into a request to stop, and obeys the second.
fn watch_signals(stop: Stop) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let mut next = async || {
                tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                }
            };
            let signal = next().await;
            tracing::info!(signal, "stopping");
            stop.request();
            let signal = next().await;
            tracing::warn!(signal, "asked twice, ending at once");
            std::process::exit(FAILED.into());
        });
    })?;
    Ok(())
}

/// Makes the folder of the admin API's socket, and those above it, where there is none: everybody may enter, and is then
/// judged. It cannot be made in the sandbox.
///
/// # Errors
/// It cannot be made; the message names it.
pub fn api_folder(api: &Path) -> io::Result<()> {
    let Some(folder) = api.parent() else { return Ok(()) };
    crate::api::make_folder(folder)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))
}

/// Makes a folder, and those above it, that only this user may enter. One that is there is left as it is.
///
/// # Errors
/// It cannot be made; the message names it.
pub fn private_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}
