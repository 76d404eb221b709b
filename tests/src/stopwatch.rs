//! How long something takes on a machine that has nothing else to do.
//!
//! A bound on time is a promise about such a machine, and tests run beside other tests and compilers. So the time in which
//! threads that matter were ready to run and had no processor does not count; the kernel keeps it for each thread
//! (`/proc/PID/task/TID/schedstat`, of which the second number is nanoseconds). Where nothing else runs it is next to
//! nothing, and what remains is the time on the wall.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Runs from its making on.
#[derive(Clone, Debug)]
pub struct Stopwatch {
    begun: Instant,
    waited: HashMap<PathBuf, u64>,
}

impl Stopwatch {
    /// The threads that matter are this one and those of `whose`: folders of processes (`/proc/PID`) or of single threads.
    #[must_use]
    pub fn start(whose: &[PathBuf]) -> Self {
        Self { waited: waited(whose), begun: Instant::now() }
    }

    /// How long it has taken up to now, asked by the thread that made this. Whatever has come since counts, too: processes
    /// that are in `whose` now, threads of theirs.
    #[must_use]
    pub fn took(&self, whose: &[PathBuf]) -> Duration {
        let wall = self.begun.elapsed();
        let before = |thread: &PathBuf| self.waited.get(thread).copied().unwrap_or(0);
        let waited = waited(whose).iter().map(|(thread, now)| now.saturating_sub(before(thread))).sum();
        wall.saturating_sub(Duration::from_nanos(waited))
    }
}

/// The folders of those threads of this process that have this name.
#[must_use]
pub fn threads_named(name: &str) -> Vec<PathBuf> {
    let is = |thread: &PathBuf| {
        std::fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    };
    threads(Path::new("/proc/self")).into_iter().filter(is).collect()
}

/// The threads of a process; of a thread that one.
fn threads(of: &Path) -> Vec<PathBuf> {
    match std::fs::read_dir(of.join("task")) {
        Ok(folder) => folder.filter_map(|thread| Some(thread.ok()?.path())).collect(),
        Err(_) => vec![of.to_owned()],
    }
}

/// How long this thread and those have waited for a processor, ever. One that is gone has nothing to say.
fn waited(whose: &[PathBuf]) -> HashMap<PathBuf, u64> {
    let waited = |thread: PathBuf| {
        let text = std::fs::read_to_string(thread.join("schedstat")).ok()?;
        let nanos = text.split_whitespace().nth(1)?.parse().ok()?;
        Some((thread, nanos))
    };
    let own = std::iter::once(PathBuf::from("/proc/thread-self"));
    own.chain(whose.iter().flat_map(|of| threads(of))).filter_map(waited).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::time::{ClockId, clock_gettime};
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn sleep_counts_and_waiting_for_a_processor_does_not() {
        let watch = Stopwatch::start(&[]);
        std::thread::sleep(Duration::from_millis(20));
        assert!(watch.took(&[]) >= Duration::from_millis(20));

        let end = AtomicBool::new(false);
        let spinners = 3 * std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..spinners {
                scope.spawn(|| {
                    while !end.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
            let (wall, watch, before) = (Instant::now(), Stopwatch::start(&[]), used());
            while used() - before < Duration::from_millis(200) {}
            let (took, wall) = (watch.took(&[]), wall.elapsed());
            end.store(true, Ordering::Relaxed);
            // Three quarters of the time on the wall others have the processor.
            assert!(took < wall * 3 / 4, "{took:?} of {wall:?}");
            assert!(took > Duration::from_millis(190), "{took:?} of {wall:?}");
        });
    }

    #[test]
    fn threads_are_found_by_their_names() {
        let (there, go) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        let named = std::thread::Builder::new().name("niv-named".to_owned());
        std::thread::scope(|scope| {
            let wait = || [&there, &go].map(|barrier| barrier.wait());
            named.spawn_scoped(scope, wait).unwrap();
            // Its name is its first act.
            there.wait();
            let threads = threads_named("niv-named");
            let known = waited(&threads).len();
            go.wait();
            assert_eq!((threads.len(), known), (1, 2));
        });
    }
}
