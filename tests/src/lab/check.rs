//! `cargo lab test`: everything that proves the project, step by step, with a table and one plain last line.
//!
//! A failed step does not stop the ones after it. The tests run with `CI=true`, so that one which lacks a
//! device or a program fails instead of skipping.

use super::process::{Process, last_lines};
use super::{cleanup, demo, packages, paths, say};
use crate::fuzz::command as fuzz;
use anyhow::Result;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// No step of a healthy tree comes near it.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// How long each target is fuzzed: a minute for all of these on two processors.
const FUZZED: Duration = Duration::from_secs(8);
/// And each that a guest reaches.
const FUZZED_BY_GUESTS: Duration = Duration::from_secs(60);

/// How often a step that writes to no terminal says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// One run of cargo.
struct Run {
    name: &'static str,
    what: &'static str,
    args: &'static [&'static str],
    /// Whether each test in it counts, instead of the run as a whole.
    tests: bool,
}

const RUNS: &[Run] = &[
    Run { name: "fmt", what: "Format", args: &["fmt", "--all", "--check"], tests: false },
    Run {
        name: "clippy",
        what: "Lints",
        args: &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
        tests: false,
    },
    Run {
        name: "doc",
        what: "Documentation",
        args: &["doc", "--workspace", "--no-deps", "--locked"],
        tests: false,
    },
    Run {
        name: "test",
        what: "Unit, property and integration tests",
        args: &["test", "--workspace", "--locked", "--no-fail-fast"],
        tests: true,
    },
    Run {
        name: "tag-words",
        what: "All 2^32 tag words (release build)",
        args: &["test", "--release", "--locked", "-p", "vntag", "--test", "all_tag_words"],
        tests: true,
    },
];

/// What came of a step.
struct Outcome {
    what: String,
    passed: u64,
    failed: u64,
    time: Duration,
}

/// Runs all of it. True if nothing failed.
pub(crate) fn run() -> Result<bool> {
    paths::enter()?;
    say::heading("Everything that proves the project");
    packages::ensure(&[
        packages::GUESTS,
        packages::CAPTURE,
        packages::PEERS,
        packages::SYSTEM,
        packages::READERS,
    ])?;
    let mut outcomes = Vec::new();
    {
        let _lock = cleanup::take()?;
        for run in RUNS {
            outcomes.push(cargo(run)?);
        }
    }
    outcomes.push(fuzzed()?);
    outcomes.push(guests());
    Ok(report(&outcomes))
}

fn cargo(run: &Run) -> Result<Outcome> {
    let started = Instant::now();
    let step = say::Step::begin(run.what);
    let name = format!("test-{}", run.name);
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(run.args)
        .current_dir(paths::repository())
        .env("CI", "true")
        .env("RUST_BACKTRACE", "0")
        .env("CARGO_TERM_COLOR", "never")
        .env("RUSTDOCFLAGS", "-D warnings")
        .stdin(Stdio::null());
    let mut process = Process::start(&name, &mut command)?;
    let log = Path::new(paths::LOG).join(format!("{name}.log"));
    let mut beat = Instant::now();
    let status = loop {
        if let Some(status) = process.child().try_wait()? {
            break status.success();
        }
        if started.elapsed() > LIMIT {
            break false;
        }
        if !say::fancy() && beat.elapsed() > HEARTBEAT {
            beat = Instant::now();
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let last = last_lines(&text, 1);
            say::line(&format!("    {}, {}: {}", run.what, say::seconds(started.elapsed()), last.trim()));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let (mut passed, mut failed) = if run.tests { count(&text) } else { (u64::from(status), 0) };
    if !status && failed == 0 {
        // It did not even come to its tests, or a test program died.
        failed = 1;
    }
    if status && passed == 0 {
        passed = 1;
    }
    if failed == 0 {
        step.done(&if run.tests { format!("{passed} tests") } else { String::new() });
    } else {
        drop(step);
        say::line(&last_lines(&summary(&text), 80));
        say::line(&format!("    the whole of it: {}", paths::shown(&log)));
    }
    Ok(Outcome { what: run.what.to_owned(), passed, failed, time: started.elapsed() })
}

/// Sums cargo's `test result: ok. 12 passed; 0 failed; ...`.
fn count(text: &str) -> (u64, u64) {
    let mut sum = (0, 0);
    for line in text.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        let number = |word: &str| {
            line.split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
                .unwrap_or(0)
        };
        sum.0 += number("passed");
        sum.1 += number("failed");
    }
    sum
}

/// What a person looks for in a failed run: the tests that failed, or else what is neither a test that passed
/// nor cargo at work.
fn summary(text: &str) -> String {
    let mut inside = false;
    let failures: Vec<&str> = text
        .lines()
        .filter(|line| {
            inside = (inside || line.trim() == "failures:") && !line.starts_with("test result:");
            inside && !line.trim().is_empty()
        })
        .collect();
    if !failures.is_empty() {
        return failures.join("\n");
    }
    let boring = |line: &str| {
        let line = line.trim();
        let cargo =
            ["Compiling", "Checking", "Documenting", "Running", "Finished", "test result: ok", "running "];
        line.is_empty() || line.ends_with("... ok") || cargo.iter().any(|word| line.starts_with(word))
    };
    text.lines().filter(|line| !boring(line)).collect::<Vec<_>>().join("\n")
}

fn fuzzed() -> Result<Outcome> {
    let started = Instant::now();
    let fuzz::Sum { passed, failed } = fuzz::every_target(FUZZED, FUZZED_BY_GUESTS)?;
    Ok(Outcome { what: "Fuzzing".into(), passed, failed, time: started.elapsed() })
}

fn guests() -> Outcome {
    let started = Instant::now();
    let done = demo::run();
    if let Err(error) = &done {
        say::line(&format!("  {} {error:#}", say::red("✗")));
    }
    Outcome {
        what: "Real guests (cargo lab demo)".into(),
        passed: u64::from(done.is_ok()),
        failed: u64::from(done.is_err()),
        time: started.elapsed(),
    }
}

fn report(outcomes: &[Outcome]) -> bool {
    say::heading("Summary");
    let width = outcomes.iter().map(|o| o.what.chars().count()).max().unwrap_or(0);
    for Outcome { what, passed, failed, time } in outcomes {
        let mark = if *failed == 0 { say::green("✓") } else { say::red("✗") };
        let time = say::seconds(*time);
        say::line(&format!("  {mark} {what:<width$}  {passed:>5} passed  {failed:>3} failed  {time:>12}"));
    }
    let passed: u64 = outcomes.iter().map(|o| o.passed).sum();
    let failed: u64 = outcomes.iter().map(|o| o.failed).sum();
    say::line("");
    say::line(&format!("{passed} passed, {failed} failed"));
    failed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_test_program_of_a_run() {
        let text = "running 2 tests\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: FAILED. 10 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.5s\n";
        assert_eq!(count(text), (12, 3));
    }

    #[test]
    fn summary_is_what_failed_whatever_passed_after_it() {
        let text = "test a ... ok\n\nfailures:\n\n---- b stdout ----\nwaited in vain\n\nfailures:\n    b\n\n\
            test result: FAILED. 1 passed; 1 failed;\n   Running x\ntest c ... ok\ntest result: ok. 1 passed; 0 failed;\n";
        assert_eq!(summary(text), "failures:\n---- b stdout ----\nwaited in vain\nfailures:\n    b");
    }
}
