//! `cargo lab fuzz`: runs targets and tells what came of it.

use super::child::{self, Report};
use super::supervise::{self, Finding, Settings};
use super::targets::{self, TARGETS};
use super::{FINDINGS, Target, corpus, counters};
use crate::lab::paths::fnv1a;
use crate::lab::{paths, say};
use anyhow::{Context, Error, Result, bail};
use clap::Args;
use clap::error::ErrorKind;
use parking_lot::Mutex;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// How long one input may take. The slowest take some milliseconds; but others may want the processor, too.
const PATIENCE: &str = "10";

/// What is to be fuzzed.
#[derive(Args, Debug)]
pub struct Fuzz {
    /// The targets; none: all of them.
    ///
    /// `cargo lab fuzz --list` shows what there is.
    #[arg(value_parser = find, value_name = "TARGET")]
    targets: Vec<Target>,
    /// How long each target is fuzzed.
    #[arg(long, default_value = "60", value_parser = seconds, value_name = "N")]
    seconds: Duration,
    /// Begins the same search again, as far as time allows: it ends when the time is over.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// How many seconds one input may take.
    #[arg(long, default_value = PATIENCE, value_parser = seconds, value_name = "N")]
    patience: Duration,
    /// Try this input alone, from a file as findings are written.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Do not build the program that counts the places inputs come to: the search is blind then.
    #[arg(long)]
    blind: bool,
    /// List the targets.
    #[arg(long)]
    list: bool,
}

/// The process in which a target runs.
#[derive(Args, Debug)]
pub struct FuzzChild {
    #[arg(value_parser = find)]
    target: Target,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[arg(long, default_value = "1", value_parser = seconds)]
    seconds: Duration,
    #[arg(long, required_unless_present = "input")]
    note: Option<PathBuf>,
    #[arg(long)]
    input: Option<PathBuf>,
}

/// What came of fuzzing all targets, for `cargo lab test`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl FuzzChild {
    /// Runs it.
    ///
    /// # Errors
    /// Files cannot be read or written. A finding ends the process.
    pub fn run(&self) -> Result<()> {
        let target = &self.target;
        if let Some(input) = &self.input {
            child::replay(target, &corpus::read(target.form, input)?);
            return Ok(());
        }
        let note = self.note.as_deref().context("no note")?;
        child::fuzz(target, self.seed, self.seconds, note)
    }
}

impl Fuzz {
    /// Runs it. True if nothing was found.
    ///
    /// # Errors
    /// The input cannot be read, or the program with counters not be built.
    pub fn run(&self) -> Result<bool> {
        if self.list {
            let width = TARGETS.iter().map(|target| target.name.len()).max().unwrap_or(0);
            TARGETS.iter().for_each(|target| say::line(&format!("{:width$}  {}", target.name, target.about)));
            return Ok(true);
        }
        let input = match (&self.input, self.targets.as_slice()) {
            (None, _) => None,
            (Some(path), [target]) => Some((*target, corpus::read(target.form, path)?)),
            (Some(_), _) => {
                let words = "one input is for one target: cargo lab fuzz TARGET --input FILE\n";
                clap::Error::raw(ErrorKind::WrongNumberOfValues, words).exit()
            }
        };
        let chosen = if self.targets.is_empty() { TARGETS } else { self.targets.as_slice() };
        let (time, patience) = (self.seconds, self.patience);
        enter()?;
        // One input needs no guide.
        let program = if self.blind || input.is_some() { paths::THIS.into() } else { with_counters()? };
        let settings = Settings { program, seed: self.seed.unwrap_or_else(any_seed), time, patience };
        if let Some((target, input)) = input {
            return replay(&target, &settings, &input);
        }
        let sum = all(chosen, &settings)?;
        Ok(sum.failed == 0)
    }
}

/// Fuzzes all targets for so long, those that a guest reaches for `of_guests`, and shows that the search finds what is
/// planted.
///
/// # Errors
/// The program with counters cannot be built.
pub(crate) fn every_target(time: Duration, of_guests: Duration) -> Result<Sum> {
    enter()?;
    let patience = seconds(PATIENCE).map_err(Error::msg)?;
    let mut settings = Settings { program: with_counters()?, seed: any_seed(), time, patience };
    let is_of_guests = |target: &Target| targets::OF_GUESTS.contains(&target.name);
    let (guests, others): (Vec<Target>, Vec<Target>) = TARGETS.iter().copied().partition(is_of_guests);
    let mut sum = all(&others, &settings)?;
    settings.time = of_guests;
    let Sum { passed, failed } = all(&guests, &settings)?;
    sum.passed += passed;
    sum.failed += failed;
    let planted = &find(targets::GUIDED).map_err(Error::msg)?;
    // It ends when it is found: after some seconds, on a busy machine.
    match supervise::fuzz(planted, &Settings { time: Duration::from_secs(60), ..settings })? {
        Err(_) => {
            sum.passed += 1;
            say::line(&format!("  {} the search finds what is planted on a long way", say::green("✓")));
        }
        Ok(report) => {
            sum.failed += 1;
            let mark = say::red("✗");
            say::line(&format!(
                "  {mark} what is planted on a long way is not found in {} cases",
                report.cases
            ));
        }
    }
    Ok(sum)
}

/// Makes `target/lab` the current folder, and one for findings in it.
fn enter() -> Result<()> {
    paths::enter()?;
    supervise::remove_leftovers();
    fs::create_dir_all(FINDINGS).context("cannot create target/lab/fuzz")
}

fn find(name: &str) -> Result<Target, String> {
    let known = || TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    targets::find(name).copied().ok_or_else(|| format!("there are {}", known()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse().map_err(|_| "no number of seconds")?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

fn any_seed() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_secs() % 1_000_000
}

/// Fuzzes targets, as many at a time as there are processors.
fn all(chosen: &[Target], settings: &Settings) -> Result<Sum> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(chosen.len());
    let each = say::seconds(settings.time);
    say::heading(&format!("Fuzzing, {each} for each of {}, seed {}", chosen.len(), settings.seed));
    let waiting = Mutex::new(chosen.iter());
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some(target) = waiting.lock().next() else { break };
                    let begun = Instant::now();
                    let result = supervise::fuzz(target, settings).and_then(|result| {
                        let clean = result.is_ok();
                        tell(target, settings, begun.elapsed(), result).map(|()| clean)
                    });
                    results.lock().push(result);
                }
            });
        }
    });
    let mut sum = Sum::default();
    for result in results.into_inner() {
        let clean = result?;
        sum.passed += u64::from(clean);
        sum.failed += u64::from(!clean);
    }
    Ok(sum)
}

fn tell(
    target: &Target,
    settings: &Settings,
    took: Duration,
    result: Result<Report, Box<Finding>>,
) -> Result<()> {
    let name = target.name;
    match result {
        Ok(Report { cases, pool, places, of, slowest }) => {
            let guided = match of {
                0 => String::new(),
                _ => format!(", {places} places, {pool} inputs kept"),
            };
            let slowest = Duration::from_micros(slowest);
            let took = say::dim(&format!("({})", say::seconds(took)));
            let mark = say::green("✓");
            say::line(&format!(
                "  {mark} {name:<13} {cases:>9} cases{guided}, the slowest {slowest:.1?} {took}"
            ));
        }
        Err(found) => {
            let file = save(target, settings, &found)?;
            let Finding { fault, said, input, length, case, alone } = *found;
            say::line(&format!("  {} {name}: {fault}", say::red("✗")));
            said.lines().take(6).for_each(|line| say::line(&format!("      {line}")));
            let from = if input.len() < length { format!(", made of {length}") } else { String::new() };
            say::line(&format!("    case {case}: {} octets{from}, in {}", input.len(), paths::shown(&file)));
            if alone {
                say::line(&format!("    again: cargo lab fuzz {name} --input {}", paths::shown(&file)));
                say::line(&format!(
                    "    mended? keep it in tests/corpus/{name}/ under a name that says what it is"
                ));
            } else {
                let seed = settings.seed;
                say::line("    It does so only after the inputs before it;");
                say::line(&format!("    again: cargo lab fuzz {name} --seed {seed}"));
            }
        }
    }
    Ok(())
}

fn save(target: &Target, settings: &Settings, found: &Finding) -> Result<PathBuf> {
    let remark = format!("{}: {}\nseed {}, case {}", target.name, found.fault, settings.seed, found.case);
    let file = Path::new(FINDINGS).join(format!("{}-{:08x}", target.name, fnv1a(&found.input)));
    fs::write(&file, corpus::write(target.form, &found.input, &remark))
        .with_context(|| format!("cannot write {}", paths::shown(&file)))?;
    Ok(file)
}

fn replay(target: &Target, settings: &Settings, input: &[u8]) -> Result<bool> {
    match supervise::replay(target, settings, input)? {
        None => {
            say::line(&format!("{} {}: nothing wrong with it", say::green("✓"), target.name));
            Ok(true)
        }
        Some((fault, said)) => {
            say::line(&format!("{} {}: {fault}", say::red("✗"), target.name));
            say::line(said.trim_end());
            Ok(false)
        }
    }
}

/// Builds this program with counters in the crates of the workspace.
fn with_counters() -> Result<PathBuf> {
    let folder = fs::canonicalize(FINDINGS)?;
    let wrapper = folder.join(counters::WRAPPER);
    let _ = fs::remove_file(&wrapper);
    // By this name, for builds since this program was started may have put another file in its place.
    fs::copy("/proc/self/exe", &wrapper).context("cannot copy this program to target/lab/fuzz")?;
    let step = say::Step::begin("Building with counters");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--locked",
            "-p",
            "niv-lab",
            "--bin",
            "lab",
            "--message-format=json-render-diagnostics",
        ])
        .current_dir(paths::repository())
        .env("RUSTC_WORKSPACE_WRAPPER", &wrapper)
        .stdin(Stdio::null())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cannot build with counters:\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let built = String::from_utf8_lossy(&output.stdout);
    let program = built
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo does not say where the program is")?;
    // The next ordinary build puts another one in its place.
    let kept = folder.join("lab-with-counters");
    let _ = fs::remove_file(&kept);
    fs::hard_link(&program, &kept).or_else(|_| fs::copy(&program, &kept).map(drop))?;
    step.done("");
    Ok(kept)
}
