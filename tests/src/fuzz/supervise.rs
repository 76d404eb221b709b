//! The process around the one in which a target runs: it watches it, keeps what ended it, and makes that shorter.

use super::child::{Note, PANICKED, Report};
use super::{FINDINGS, Target, corpus};
use crate::lab::process;
use anyhow::{Context, Result, bail};
use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long making an input shorter may take.
const SHORTENING: Duration = Duration::from_secs(30);
/// How often a child is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// How a child is run.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The program: this one, or this one built with counters.
    pub(super) program: PathBuf,
    pub(super) seed: u64,
    /// How long inputs are tried.
    pub(super) time: Duration,
    /// How long one input may take. Others may have the processor for some of it.
    pub(super) patience: Duration,
}

/// What an input did. Two with the same are taken for the same fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It panicked at this place.
    Panic(String),
    /// It took longer than it may.
    Hang,
    /// Its process was ended by this signal, for this reason as far as the process could say one.
    Signal(i32, String),
    /// Its process ended, with this code.
    Exit(Option<i32>),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic(place) => write!(f, "panicked at {place}"),
            Self::Hang => f.write_str("takes too long"),
            Self::Signal(number, said) if said.is_empty() => write!(f, "killed by signal {number}"),
            Self::Signal(_, said) => f.write_str(said),
            Self::Exit(Some(code)) => write!(f, "ended the process with code {code}"),
            Self::Exit(None) => f.write_str("ended the process"),
        }
    }
}

/// An input that does what none may.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) fault: Fault,
    /// What its process said last.
    pub(super) said: String,
    /// As short as it could be made.
    pub(super) input: Vec<u8>,
    /// How long it was.
    pub(super) length: usize,
    /// Which case it was.
    pub(super) case: u64,
    /// It does so alone, too, and not only after those before it.
    pub(super) alone: bool,
}

/// Tries inputs on a target.
///
/// # Errors
/// The child cannot be run at all, or cannot begin.
pub(super) fn fuzz(target: &Target, settings: &Settings) -> Result<Result<Report, Box<Finding>>> {
    let scratch = Scratch::new(target)?;
    let note = scratch.path("note");
    let arguments = [
        "--seed".to_owned(),
        settings.seed.to_string(),
        "--seconds".to_owned(),
        settings.time.as_secs_f64().to_string(),
        "--note".to_owned(),
        note.display().to_string(),
    ];
    let mut child = Running::start(target, settings, &scratch, &arguments)?;
    let status = child.watch(|| Note::case(&note), settings.patience)?;
    if status.is_some_and(|status| status.success()) {
        let output = fs::read_to_string(scratch.path("stdout"))?;
        return Ok(Ok(serde_json::from_str(&output).with_context(|| format!("the child says: {output}"))?));
    }
    let said = scratch.said();
    let case = Note::case(&note);
    let Some(input) = Note::input(&note).filter(|_| case > 0) else {
        bail!("{} could not begin: {}", target.name, said.trim());
    };
    let fault = fault(status, &said);
    let length = input.len();
    let shortened = shorten(target, settings, &scratch, &fault, &input)?;
    let alone = shortened.is_some();
    let input = shortened.unwrap_or(input);
    Ok(Err(Box::new(Finding { fault, said, input, length, case, alone })))
}

/// Tries one input.
///
/// # Errors
/// The child cannot be run.
pub(super) fn replay(target: &Target, settings: &Settings, input: &[u8]) -> Result<Option<(Fault, String)>> {
    attempt(target, settings, &Scratch::new(target)?, input)
}

fn attempt(
    target: &Target,
    settings: &Settings,
    scratch: &Scratch,
    input: &[u8],
) -> Result<Option<(Fault, String)>> {
    let file = scratch.path("input");
    fs::write(&file, corpus::write(target.form, input, "")).context("cannot write the input")?;
    let arguments = ["--input".to_owned(), file.display().to_string()];
    let mut child = Running::start(target, settings, scratch, &arguments)?;
    let status = child.watch(|| 0, settings.patience)?;
    if status.is_some_and(|status| status.success()) {
        return Ok(None);
    }
    let said = scratch.said();
    Ok(Some((fault(status, &said), said)))
}

/// Takes pieces out of an input as long as it still does the same. `None` if it does not do so alone.
fn shorten(
    target: &Target,
    settings: &Settings,
    scratch: &Scratch,
    fault: &Fault,
    input: &[u8],
) -> Result<Option<Vec<u8>>> {
    let begun = Instant::now();
    let fails = |input: &[u8]| {
        attempt(target, settings, scratch, input).map(|found| found.is_some_and(|(other, _)| other == *fault))
    };
    if !fails(input)? {
        return Ok(None);
    }
    let mut input = input.to_vec();
    let mut piece = input.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        while at < input.len() {
            if begun.elapsed() > SHORTENING {
                return Ok(Some(input));
            }
            let mut shorter = input.clone();
            shorter.drain(at..(at + piece).min(input.len()));
            if fails(&shorter)? {
                input = shorter;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    Ok(Some(input))
}

/// Why a child ended; `None`: it did not.
fn fault(status: Option<ExitStatus>, said: &str) -> Fault {
    let Some(status) = status else { return Fault::Hang };
    if let Some(signal) = status.signal() {
        // How much was asked for last, and which thread it was, is not the same each time.
        let words = [
            ("memory allocation of", "asks for memory without end"),
            ("overflowed its stack", "has overflowed its stack"),
        ];
        let why = words.iter().find(|(words, _)| said.contains(words)).map_or("", |(_, why)| why);
        return Fault::Signal(signal, why.to_owned());
    }
    if status.code() == Some(PANICKED) {
        let place = said.lines().find_map(|line| line.split_once("panicked at ").map(|(_, place)| place));
        return Fault::Panic(place.unwrap_or("an unknown place").trim_end_matches(':').to_owned());
    }
    Fault::Exit(status.code())
}

const MEMORY: &str = "/dev/shm";
/// How the name of a folder there begins; the process follows.
const SCRATCH: &str = "niv-fuzz-";

/// Removes what killed runs left in memory: the folders of processes that are no more.
pub(super) fn remove_leftovers() {
    for entry in fs::read_dir(MEMORY).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process =
            name.to_str().and_then(|name| name.strip_prefix(SCRATCH)?.split('-').next()?.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
            // Another run may have been faster.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A folder, in memory if there is one, for what passes between the processes, and for the files that a target needs. It is
/// gone with this, however the target ended; what a killed run leaves behind the next one removes.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new(target: &Target) -> Result<Self> {
        let memory = Path::new(MEMORY);
        let place = if memory.is_dir() { memory } else { Path::new(FINDINGS) };
        let folder = tempfile::Builder::new()
            .prefix(&format!("{SCRATCH}{}-{}-", std::process::id(), target.name))
            .tempdir_in(place);
        Ok(Self(folder.with_context(|| format!("cannot create a folder in {}", place.display()))?))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("stderr")).unwrap_or_default()).into_owned()
    }
}

struct Running(Child);

impl Running {
    fn start(target: &Target, settings: &Settings, scratch: &Scratch, arguments: &[String]) -> Result<Self> {
        let open = |name| {
            File::create(scratch.path(name))
                .with_context(|| format!("cannot write to {}", scratch.0.path().display()))
        };
        let mut command = Command::new(&settings.program);
        command
            .args(["fuzz-child", target.name])
            .args(arguments)
            .env("RUST_BACKTRACE", "0")
            .env("TMPDIR", scratch.0.path())
            .stdin(Stdio::null())
            .stdout(open("stdout")?)
            .stderr(open("stderr")?);
        process::die_with_parent(&mut command);
        let child = command.spawn();
        let program = Path::new(&settings.program).display();
        Ok(Self(child.with_context(|| format!("cannot start {program}"))?))
    }

    /// Waits for its end; `None` if one case takes longer than it may. A case is over when `case` is another one.
    fn watch(&mut self, case: impl Fn() -> u64, patience: Duration) -> Result<Option<ExitStatus>> {
        let (mut now, mut since) = (case(), Instant::now());
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            let next = case();
            if next != now {
                (now, since) = (next, Instant::now());
            } else if since.elapsed() > patience {
                return Ok(None);
            }
            std::thread::sleep(GLANCE);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended by itself, mostly.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
