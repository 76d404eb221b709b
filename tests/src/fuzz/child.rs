//! The process in which a target runs: whatever becomes of it, another one sees it.

use super::counters::Guide;
use super::fuzzer::Fuzzer;
use super::{Target, corpus};
use anyhow::{Context, Result};
use core::sync::atomic::{AtomicBool, Ordering};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Memory that a target may ask for, in octets, with the program and its threads: what grows without bound comes here
/// soon.
const MEMORY: u64 = 1 << 30;
/// An input that takes so many times as long as the others is not changed further: those made of it would take the time
/// of many others, and find what shorter ones find, too.
const SLOW: u32 = 20;
/// But no input is slow that takes less.
const FAST: Duration = Duration::from_millis(5);
/// How a process ends in which something panicked.
pub(super) const PANICKED: i32 = 101;

/// What a run came to that found nothing.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Report {
    /// Inputs tried.
    pub(super) cases: u64,
    /// Inputs kept for the new places they came to.
    pub(super) pool: usize,
    /// Places come to.
    pub(super) places: usize,
    /// Places there are; 0 in a program without counters.
    pub(super) of: usize,
    /// Microseconds of processor time that the slowest input took.
    pub(super) slowest: u64,
}

/// The input being tried, in a file that another process can read when this one is no more.
///
/// ```text
/// | number of the case, u64 | length, u64 | input
/// ```
pub(super) struct Note(File);

impl Note {
    pub(super) fn create(path: &Path) -> Result<Self> {
        Ok(Self(File::create(path).with_context(|| format!("cannot create {}", path.display()))?))
    }

    fn write(&self, case: u64, input: &[u8]) -> Result<()> {
        let length = input.len() as u64;
        let octets = [&case.to_le_bytes()[..], &length.to_le_bytes(), input].concat();
        self.0.write_all_at(&octets, 0).context("cannot write down the input")
    }

    /// Which case is being tried; 0 before the first.
    pub(super) fn case(path: &Path) -> u64 {
        let mut octets = [0; 8];
        let read = File::open(path).and_then(|file| file.read_exact_at(&mut octets, 0));
        read.map_or(0, |()| u64::from_le_bytes(octets))
    }

    /// The input being tried; its process must have ended.
    pub(super) fn input(path: &Path) -> Option<Vec<u8>> {
        let octets = std::fs::read(path).ok()?;
        let (head, rest) = octets.split_first_chunk::<16>()?;
        let length = usize::try_from(u64::from_le_bytes(*head.last_chunk()?)).ok()?;
        rest.get(..length).map(<[u8]>::to_vec)
    }
}

/// Tries inputs for so long, and says what came of it on standard output. Fails by ending the process.
///
/// # Errors
/// The corpus cannot be read, or the note not be written.
pub(super) fn fuzz(target: &Target, seed: u64, time: Duration, note: &Path) -> Result<()> {
    prepare();
    let note = Note::create(note)?;
    let mut inputs = (target.seeds)();
    inputs.extend(corpus::of(target)?.into_iter().map(|(_, input)| input));
    let mut fuzzer = Fuzzer::new(target.form, inputs, seed);
    let mut guide = Guide::new();
    let mut report = Report::default();
    let mut all = Duration::ZERO;
    let begun = Instant::now();
    while !fuzzer.is_warm() || begun.elapsed() < time {
        let input = fuzzer.next();
        report.cases += 1;
        note.write(report.cases, &input)?;
        guide.clear();
        let tried = processor_time();
        (target.run)(&input);
        let took = processor_time().saturating_sub(tried);
        all += took;
        report.slowest = report.slowest.max(took.as_micros() as u64);
        let mean = all / u32::try_from(report.cases).unwrap_or(u32::MAX);
        let slow = fuzzer.is_warm() && took > FAST && took > SLOW * mean;
        if !slow && guide.anything_new() {
            fuzzer.keep(input);
        }
    }
    (report.places, report.of) = guide.places();
    report.pool = fuzzer.pool();
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// Processor time that this process has had, with all its threads.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Tries one input. Fails by ending the process.
pub(super) fn replay(target: &Target, input: &[u8]) {
    prepare();
    (target.run)(input);
}

static ALONE: AtomicBool = AtomicBool::new(false);

/// This process does nothing but try inputs.
pub(super) fn is_alone() -> bool {
    ALONE.load(Ordering::Relaxed)
}

/// A panic anywhere ends the process, and so does asking for too much memory.
fn prepare() {
    ALONE.store(true, Ordering::Relaxed);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        hook(info);
        std::process::exit(PANICKED);
    }));
    let limit = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    // A limit that cannot be set finds nothing; everything else does.
    let _ = setrlimit(Resource::As, limit(MEMORY));
    let _ = setrlimit(Resource::Core, limit(0));
}
