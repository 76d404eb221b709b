//! Children that never outlive the lab, with a log each.
//!
//! The kernel kills them when the thread that started them ends (`PR_SET_PDEATHSIG`), so even `kill -9` of the
//! lab leaves none behind; they must be started by the main thread. Each is a process group of its own: Ctrl-C
//! reaches the lab alone, which then stops them in order.

use super::paths::{self, LOG, RUN};
use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Everything running, for the one who must end it in a hurry.
static ALIVE: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// A child.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    pid_file: PathBuf,
    expected_to_end: bool,
}

impl Process {
    /// Starts it, its output going to `log/NAME.log`.
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let log = Path::new(LOG).join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(file.try_clone()?).stderr(file);
        Self::start_as(name, command, log)
    }

    /// Starts it with the output that `command` has.
    pub(crate) fn start_as(name: &str, command: &mut Command, log: PathBuf) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.process_group(0);
        die_with_parent(command);
        let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        ALIVE.lock().push(child.id());
        let pid_file = Path::new(RUN).join(format!("{name}.pid"));
        let identity = started(child.id()).unwrap_or_default();
        fs::write(&pid_file, format!("{} {identity}\n", child.id()))?;
        Ok(Self { name: name.to_owned(), child, log, pid_file, expected_to_end: false })
    }

    /// Its name in the lab.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its open end, where the command asked for pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Fails, with the end of its log, where it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended: {status}\n{}", self.name, self.tail()),
            None => Ok(()),
        }
    }

    /// Waits until `ready`, watching that it lives.
    pub(crate) fn wait_until(
        &mut self,
        what: &str,
        patience: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        while !ready() {
            self.check()?;
            if Instant::now() >= deadline {
                bail!(
                    "{}: {what} did not happen within {} s\n{}",
                    self.name,
                    patience.as_secs(),
                    self.tail()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The end of its log, for an error.
    pub(crate) fn tail(&self) -> String {
        tail_of(&self.log)
    }

    /// Asks it to end, and makes it end where it does not.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if std::mem::replace(&mut self.expected_to_end, true) {
            return;
        }
        let pid = self.child.id();
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(pid, rustix::process::Signal::TERM);
            let deadline = Instant::now() + Duration::from_secs(3);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        ALIVE.lock().retain(|alive| *alive != pid);
        let _ = fs::remove_file(&self.pid_file);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends what is alive: first by asking, so that captures are whole, a second later by force.
pub(crate) fn kill_all() {
    let pids: Vec<u32> = ALIVE.lock().drain(..).collect();
    for pid in &pids {
        signal(*pid, rustix::process::Signal::TERM);
    }
    let deadline = Instant::now() + Duration::from_secs(1);
    while pids.iter().any(|pid| lives(*pid)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    for pid in pids {
        signal(pid, rustix::process::Signal::KILL);
    }
}

/// Whether a process is there and not merely waiting for its parent to hear of its end.
fn lives(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| !["Z", "X"].contains(&fields[0].as_str()))
}

/// The fields of `/proc/PID/stat` from the third, the state, on.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second, the name in parentheses, may hold anything.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect();
    (fields.len() > 19).then_some(fields)
}

/// How long a process has been running, and the CPU time it has used.
pub(crate) fn times(pid: u32) -> Option<(Duration, Duration)> {
    let fields = stat(pid)?;
    let ticks = |nr: usize| fields[nr].parse::<f64>().ok();
    let rate = rustix::param::clock_ticks_per_second() as f64;
    let uptime: f64 = fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
    let age = (uptime - ticks(19)? / rate).max(0.0);
    Some((Duration::from_secs_f64(age), Duration::from_secs_f64((ticks(11)? + ticks(12)?) / rate)))
}

/// Sends a signal to a process that is known to be ours.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        // It may have ended by itself in this moment.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// When a process started, in clock ticks since boot: with the pid this names it for ever.
pub(crate) fn started(pid: u32) -> Option<u64> {
    stat(pid)?[19].parse().ok()
}

pub(crate) fn die_with_parent(command: &mut Command) {
    let die = || {
        let signal = Some(rustix::process::Signal::KILL);
        rustix::process::set_parent_process_death_signal(signal).map_err(std::io::Error::from)
    };
    // SAFETY: between fork and exec only async-signal-safe work is allowed; the closure makes one system call
    // and builds an error from its number, and neither allocates nor locks.
    unsafe { command.pre_exec(die) };
}

/// The end of a log, for an error.
pub(crate) fn tail_of(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let shown = paths::shown(log);
    if text.trim().is_empty() {
        return format!("{shown} is empty");
    }
    format!("the end of {shown}:\n{}", last_lines(&text, 12))
}

/// The last `count` lines, indented.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let from = lines.len().saturating_sub(count);
    lines[from..].iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
