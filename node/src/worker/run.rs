//! The loop on a real thread.

use super::spin::Spin;
use super::watch::{Look, Watch};
use super::{Turn, Worker};
use crate::clock;
use crate::stop::Stop;
use crate::supervise::Pulse;
use rustix::thread::{CpuSet, sched_setaffinity, set_current_timer_slack};
use std::io;
use std::num::NonZeroU64;
use std::time::Duration;

/// How often a busy worker looks at its events, in nanoseconds. It bounds how long a newly busy source waits
/// beside a busy one, and what looking costs: about half a microsecond in twenty.
pub const LOOK: u64 = 20_000;

/// The kernel may be late with a deadline by this many nanoseconds (the default, 50 us, is a burst at 10 Gbit/s).
const TIMER_SLACK: NonZeroU64 = NonZeroU64::new(1_000).unwrap();

/// So many wake-ups in a row that came at once and moved nothing are no coincidence.
const MOST_BARREN: u32 = 1_000;

/// Came at once: the descriptor was readable before the worker could sleep.
const AT_ONCE: u64 = 10_000;

/// How long a worker rests between barren wake-ups: CPU use falls to about one percent.
const BARREN_PAUSE: Duration = Duration::from_millis(1);

/// Guards against a descriptor that is readable for ever and never yields anything: a hung-up socket, a tap whose
/// interface is gone, whatever a guest passed as a kick. Its owner should stop watching it; until then it costs
/// little and delays others by a millisecond at most, and only while they are quiet themselves.
#[derive(Debug, Default)]
struct Barren {
    in_a_row: u32,
}

impl Barren {
    /// Whether the turns since the last sleep moved anything, and how this sleep ended; `true`: rest.
    fn observe(&mut self, moved: bool, look: Look, slept: u64) -> bool {
        if moved || look != Look::Events || slept > AT_ONCE {
            self.in_a_row = 0;
            return false;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row == MOST_BARREN {
            tracing::warn!(
                "an event is reported again and again without anything to do; resting between looks"
            );
        }
        self.in_a_row >= MOST_BARREN
    }
}

/// How a worker's thread behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The CPU to stay on.
    pub cpu: Option<usize>,
    /// How long to look for events before sleeping, in nanoseconds, while a moving average says that this pays.
    /// 0: sleep at once.
    pub spin: u64,
    /// By which the loop shows that it goes round.
    pub pulse: Option<Pulse>,
}

impl Default for Options {
    fn default() -> Self {
        Self { cpu: None, spin: 20_000, pulse: None }
    }
}

/// Runs the worker on this thread until `stop` is requested.
///
/// # Errors
/// The kernel refuses the CPU or an epoll descriptor. Nothing that a guest or a peer does ends the loop.
pub fn run<W: Worker + ?Sized>(worker: &mut W, options: &Options, stop: &Stop) -> io::Result<()> {
    if let Some(cpu) = options.cpu {
        pin(cpu)?;
    }
    // Refused only by a kernel that has no such setting; deadlines are then kept less exactly.
    let _ = set_current_timer_slack(Some(TIMER_SLACK));

    let _ = worker.events_changed();
    let mut watch = Watch::new(worker, stop, options.pulse.as_ref())?;
    let mut spin = Spin::new(options.spin);
    let mut barren = Barren::default();
    let mut moved = false;
    let mut now = clock::monotonic();
    let mut looked = now;
    loop {
        let turn = worker.turn(now);
        moved |= turn.moved > 0;
        if worker.events_changed() {
            watch.update(worker);
        }
        now = clock::monotonic();
        let look = if turn.idle {
            let since = now;
            let look = sleep(worker, &watch, &mut spin, turn, since)?;
            now = clock::monotonic();
            if barren.observe(core::mem::take(&mut moved), look, now.saturating_sub(since)) {
                std::thread::sleep(BARREN_PAUSE);
                now = clock::monotonic();
            }
            looked = now;
            look
        } else if now.saturating_sub(looked) >= LOOK {
            looked = now;
            watch.look(worker, Some(0))?
        } else {
            continue;
        };
        if look == Look::Stop {
            return Ok(());
        }
    }
}

/// Waits for an event or the turn's deadline, perhaps looking actively for a moment first.
fn sleep<W: Worker + ?Sized>(
    worker: &mut W,
    watch: &Watch,
    spin: &mut Spin,
    turn: Turn,
    since: u64,
) -> io::Result<Look> {
    let allowance = spin.allowance();
    let until = since.saturating_add(allowance).min(turn.next.unwrap_or(u64::MAX));
    let mut now = since;
    while allowance > 0 && now < until {
        let look = watch.look(worker, Some(0))?;
        now = clock::monotonic();
        if look != Look::Quiet {
            spin.observe(now - since, false);
            return Ok(look);
        }
    }
    let look = watch.look(worker, turn.next.map(|next| next.saturating_sub(now)))?;
    // A deadline is no answer from a peer and says nothing about spinning.
    if look != Look::Quiet {
        spin.observe(clock::monotonic().saturating_sub(since), allowance > 0);
    }
    Ok(look)
}

/// Keeps this thread on one CPU.
fn pin(cpu: usize) -> io::Result<()> {
    let refused = |why: String| io::Error::new(io::ErrorKind::InvalidInput, format!("cpu {cpu}: {why}"));
    if cpu >= CpuSet::MAX_CPU {
        return Err(refused(format!("numbers go up to {}", CpuSet::MAX_CPU - 1)));
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).map_err(|error| refused(format!("this process cannot run there: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_that_come_at_once_and_move_nothing_are_barren() {
        let mut barren = Barren::default();
        for _ in 0..2 * MOST_BARREN {
            assert!(!barren.observe(true, Look::Events, 0));
            assert!(!barren.observe(false, Look::Events, AT_ONCE + 1));
            assert!(!barren.observe(false, Look::Quiet, 0));
            assert!(!barren.observe(false, Look::Events, 0));
        }
        barren = Barren::default();
        assert_eq!((1..).find(|_| barren.observe(false, Look::Events, 0)), Some(MOST_BARREN));
        assert!(barren.observe(false, Look::Events, 0));
        assert!(!barren.observe(true, Look::Events, 0));
        assert!(!barren.observe(false, Look::Events, 0));
    }
}
