//! One lab at a time; what a killed run left behind; Ctrl-C.

use super::bench::give_back;
use super::packages::output;
use super::paths::{self, RUN, STATE, fnv1a};
use super::process;
use anyhow::{Context, Result, bail};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Where the lab is being ended by a signal, leaves the rest to that: what fails meanwhile fails because of it.
pub(crate) fn let_interrupt_finish() {
    while INTERRUPTED.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Held while a lab runs; the kernel lets go of it when the lab ends, however it ends.
pub(crate) struct Lock {
    _file: File,
}

fn lock_file() -> PathBuf {
    Path::new(RUN).join("lab.lock")
}

fn open_lock() -> Result<File> {
    let path = lock_file();
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
    file.with_context(|| format!("cannot open {}", path.display()))
}

/// The process that runs a lab here, if one does.
pub(crate) fn holder() -> Result<Option<u32>> {
    let mut file = open_lock()?;
    if file.try_lock().is_ok() {
        return Ok(None);
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(Some(text.trim().parse().context("the lock names no process")?))
}

/// Takes the lock, cleans up after a killed run, and from now on cleans up at Ctrl-C too.
pub(crate) fn take() -> Result<Lock> {
    let mut file = open_lock()?;
    if file.try_lock().is_err() {
        let pid = holder()?.map_or_else(String::new, |pid| format!(" (process {pid})"));
        bail!("a lab is running here{pid}; `cargo lab status` shows it, `cargo lab down` ends it");
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    leftovers()?;
    at_interrupt()?;
    Ok(Lock { _file: file })
}

/// The name of this lab's network namespace: one for each clone on the machine.
pub(crate) fn namespace() -> String {
    format!("niv-lab-{:06x}", fnv1a(paths::repository().to_string_lossy().as_bytes()) & 0xff_ffff)
}

/// The names of the namespaces of two hosts beside it.
pub(crate) const HOSTS: [fn() -> String; 2] =
    [|| format!("{}-a", namespace()), || format!("{}-b", namespace())];

/// Ends processes, gives back pages, removes the namespaces and the sockets of a run that was killed, and what the
/// daemons of any run before kept.
fn leftovers() -> Result<()> {
    give_back();
    for entry in fs::read_dir(RUN)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "pid") {
            let text = fs::read_to_string(&path)?;
            let mut words = text.split_whitespace().map(str::parse::<u64>);
            if let (Some(Ok(pid)), Some(Ok(identity))) = (words.next(), words.next())
                && let Ok(pid) = u32::try_from(pid)
                && process::started(pid) == Some(identity)
            {
                process::signal(pid, rustix::process::Signal::KILL);
                let deadline = Instant::now() + Duration::from_secs(3);
                while process::started(pid) == Some(identity) && Instant::now() < deadline {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
        if path != lock_file() {
            let _ = fs::remove_file(&path);
        }
    }
    remove_namespaces();
    match fs::remove_dir_all(STATE) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", paths::shown(STATE)))
        }
        _ => Ok(()),
    }
}

/// Removes the lab's network namespaces, and with them the interfaces in them.
pub(crate) fn remove_namespaces() {
    for name in [namespace(), HOSTS[0](), HOSTS[1]()] {
        if Path::new("/run/netns").join(&name).exists() {
            // It is gone, or the next run will say what is wrong with it.
            let _ = output(Command::new("ip").args(["netns", "delete", &name]));
        }
    }
}

fn at_interrupt() -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            INTERRUPTED.store(true, Ordering::SeqCst);
            process::kill_all();
            give_back();
            remove_namespaces();
            if signal == SIGINT {
                super::say::line("\n  interrupted; everything is stopped");
            }
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}
