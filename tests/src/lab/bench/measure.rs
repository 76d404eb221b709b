//! What the kernel knows of time: CPU time of processes and of the machine, the time-stamp counter's rate.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::{Duration, Instant};

/// CPU time of all threads of these processes, to the nanosecond.
pub(super) fn cpu_time(pids: &[u32]) -> Result<Duration> {
    let mut sum = 0;
    for pid in pids {
        let tasks = Path::new("/proc").join(pid.to_string()).join("task");
        for task in std::fs::read_dir(&tasks).with_context(|| format!("process {pid} is gone"))? {
            let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
            sum += text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(Duration::from_nanos(sum))
}

/// What these processes have in memory, in octets.
pub(super) fn resident(pids: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status"))
            .with_context(|| format!("process {pid} is gone"))?;
        sum += kibibytes(&text, "VmRSS:").with_context(|| format!("process {pid} has no VmRSS"))? * 1024;
    }
    Ok(sum)
}

/// The number behind `name` at the beginning of a line.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// How fast the time-stamp counter runs: the kernel says twice as much by the name of BogoMIPS.
pub(super) fn tsc_hz() -> Result<f64> {
    let info = std::fs::read_to_string("/proc/cpuinfo")?;
    let line =
        info.lines().find(|line| line.starts_with("bogomips")).context("/proc/cpuinfo has no bogomips")?;
    let value: f64 = line.split(':').nth(1).unwrap_or_default().trim().parse().context("bogomips")?;
    Ok(value / 2.0 * 1e6)
}

/// How much of the machine others have, from its making on.
pub(super) struct Others {
    machine: Duration,
    own: Duration,
    begun: Instant,
}

impl Others {
    /// Begins to look.
    pub(super) fn watch() -> Result<Self> {
        Ok(Self { machine: machine_time()?, own: own_time()?, begun: Instant::now() })
    }

    /// Their part of all cores since then, unless too little time went by to say. Whatever this process started must
    /// have ended.
    pub(super) fn share(&self) -> Result<Option<f64>> {
        if self.begun.elapsed() < Duration::from_millis(500) {
            return Ok(None);
        }
        let others = (machine_time()? - self.machine).saturating_sub(own_time()? - self.own);
        Ok(Some((others.as_secs_f64() / self.begun.elapsed().as_secs_f64() / cores()?).min(1.0)))
    }
}

/// Of the machine: this thread may be confined to one of them.
fn cores() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let number = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    Ok(stat.lines().filter(number).count().max(1) as f64)
}

fn ticks(count: u64) -> Duration {
    Duration::from_secs_f64(count as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Time in which any core of the machine did anything.
fn machine_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    Ok(ticks(busy(stat.lines().next().unwrap_or_default())))
}

/// Of the line `cpu` of `/proc/stat`, what is not idle.
fn busy(line: &str) -> u64 {
    let fields = line.split_whitespace().skip(1).map(|word| word.parse::<u64>().unwrap_or(0));
    // user nice system idle iowait irq softirq steal; what comes after is part of these.
    fields.take(8).enumerate().filter(|(nr, _)| *nr != 3 && *nr != 4).map(|(_, ticks)| ticks).sum()
}

/// CPU time of this process and of all it started that have ended.
fn own_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let behind_name = stat.rsplit_once(')').context("/proc/self/stat")?.1;
    // utime, stime, cutime, cstime: the fields 14 to 17, of which the third is the first behind the name.
    let fields = behind_name.split_whitespace().skip(11).take(4);
    Ok(ticks(fields.map(|word| word.parse::<u64>().unwrap_or(0)).sum()))
}

/// Of nanoseconds in ascending order, what 50 %, 99 % and 99.9 % of them do not exceed, in microseconds; not numbers
/// where there are none.
pub(super) fn quantiles(ascending: &[u64]) -> [f64; 3] {
    [0.5, 0.99, 0.999].map(|part| {
        let nr = (ascending.len() as f64 * part).ceil() as usize;
        ascending.get(nr.saturating_sub(1)).map_or(f64::NAN, |value| *value as f64 / 1e3)
    })
}

/// Waits until `ready` gives something.
pub(super) fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut ready: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = ready()? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("{what} did not come within {} s", patience.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_idle_is_not_busy() {
        assert_eq!(busy("cpu  1 2 4 1000 2000 8 16 32 64 128"), 63);
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<u64> = (1..=1000).map(|n| n * 1000).collect();
        assert_eq!(quantiles(&values), [500.0, 990.0, 999.0]);
        assert_eq!(quantiles(&[7000]), [7.0; 3]);
        assert!(quantiles(&[])[0].is_nan());
    }

    #[test]
    fn memory_is_found_by_its_whole_name() {
        let text = "VmPeak:\t  900 kB\nVmRSS:\t  123 kB\nRssAnon:\t 7 kB\n";
        assert_eq!((kibibytes(text, "VmRSS:"), kibibytes(text, "VmSwap:")), (Some(123), None));
    }
}
