//! What happened, for people: a bounded log of events in the form of NX-OS, which also go to the process's log.
//!
//! ```
//! use niv_node::event::{Event, EventLog, Severity};
//! let log = EventLog::new("vis0");
//! log.record(&Event::new("VIM", Severity::Notice, "IF_ATTACHED", "Interface Vethernet1 is attached to Ethernet1/1"));
//! let line = log.last(1).remove(0).to_string();
//! assert!(line.ends_with("%VIM-5-IF_ATTACHED: Interface Vethernet1 is attached to Ethernet1/1"), "{line}");
//! ```
//!
//! A daemon puts `show logging` into its table with [`SYNTAX`], [`HELP`] and [`show`].

use crate::clock;
use crate::command::Args;
use crate::output::{Output, printable};
use core::fmt::{self, Display};
use parking_lot::Mutex;
use serde_json::json;
use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

/// Events that are kept.
pub const CAPACITY: usize = 4096;

/// Characters of a text that are kept.
const LONGEST: usize = 512;

/// The process's log gets so many events at once, and then so many a second: whoever can cause events (a peer, a
/// guest) cannot fill a disk with them.
const BURST: u64 = 10_000;
const A_SECOND: u64 = 100;

/// The line of `show logging` in a command table.
pub const SYNTAX: &str = "show logging [last <lines:1-9999>]";

/// Its help.
pub const HELP: &str = "Events, oldest first";

/// How much an event matters: the words of syslog (RFC 5424) and their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Severity {
    /// The system is unusable.
    Emergency,
    /// Somebody must act at once.
    Alert,
    /// Critical.
    Critical,
    /// Something failed.
    Error,
    /// Something may fail, or was refused.
    Warning,
    /// Normal, and worth to be known.
    Notice,
    /// Normal.
    Informational,
    /// For those who look for a mistake.
    Debug,
}

impl Severity {
    /// `notice`
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::Alert => "alert",
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Informational => "informational",
            Self::Debug => "debug",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The part of the daemon: `VIM`, `LLDP`. Capitals.
    pub facility: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What kind of event it is: `IF_ATTACHED`.
    pub mnemonic: &'static str,
    /// A sentence without full stop. It may quote what a peer sent.
    pub text: String,
}

impl Event {
    /// An event.
    #[must_use]
    pub fn new(
        facility: &'static str,
        severity: Severity,
        mnemonic: &'static str,
        text: impl Into<String>,
    ) -> Self {
        Self { facility, severity, mnemonic, text: text.into() }
    }
}

impl Display for Event {
    /// `%VIM-5-IF_ATTACHED: Interface Vethernet1 is attached to Ethernet1/1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}-{}-{}: {}", self.facility, self.severity as u8, self.mnemonic, self.text)
    }
}

/// An event with its time and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its number; the first is 1, none is left out.
    pub number: u64,
    /// When.
    pub time: SystemTime,
    /// The node's name.
    pub node: String,
    /// What.
    pub event: Event,
}

impl Display for Recorded {
    /// `2026 Nov 22 16:20:01.123 vis0 %VIM-5-IF_ATTACHED: ...`; the time is UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, event, .. } = self;
        write!(f, "{} {node} {event}", stamp(self.time))
    }
}

/// The last [`CAPACITY`] events of a daemon.
#[derive(Debug)]
pub struct EventLog {
    node: String,
    ring: Mutex<Ring>,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Recorded>,
    recorded: u64,
    valve: Valve,
}

impl EventLog {
    /// Nothing happened yet at this node.
    #[must_use]
    pub fn new(node: &str) -> Self {
        let valve = Valve::new(BURST, A_SECOND, clock::monotonic());
        Self { node: node.to_owned(), ring: Mutex::new(Ring { events: VecDeque::new(), recorded: 0, valve }) }
    }

    /// Something happened now.
    pub fn record(&self, event: &Event) {
        // Quoted from a peer, it may hold anything.
        let event = Event { text: clean(&event.text, LONGEST), ..event.clone() };
        let mut ring = self.ring.lock();
        let passed = ring.valve.pass(clock::monotonic());
        ring.recorded += 1;
        if ring.events.len() == CAPACITY {
            ring.events.pop_front();
        }
        let number = ring.recorded;
        let (time, node) = (SystemTime::now(), self.node.clone());
        ring.events.push_back(Recorded { number, time, node, event: event.clone() });
        drop(ring);
        // Whoever reads standard error may be slow.
        if let Some(held_back) = passed {
            if held_back > 0 {
                tracing::warn!(held_back, "events came too fast for this log; `show logging` has the latest");
            }
            write(&event);
        }
    }

    /// The last events, at most so many, oldest first.
    #[must_use]
    pub fn last(&self, most: usize) -> Vec<Recorded> {
        let ring = self.ring.lock();
        ring.events.iter().skip(ring.events.len().saturating_sub(most)).cloned().collect()
    }

    /// Events that were recorded, those that are no longer kept included.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.ring.lock().recorded
    }
}

/// Into the process's log.
fn write(event: &Event) {
    match event.severity {
        Severity::Emergency | Severity::Alert | Severity::Critical | Severity::Error => {
            tracing::error!("{event}");
        }
        Severity::Warning => tracing::warn!("{event}"),
        Severity::Notice | Severity::Informational => tracing::info!("{event}"),
        Severity::Debug => tracing::debug!("{event}"),
    }
}

/// The answer of `show logging`.
#[must_use]
pub fn show(log: &EventLog, args: &Args) -> Output {
    let most = args.get_number("lines").and_then(|lines| usize::try_from(lines).ok());
    let events = log.last(most.unwrap_or(CAPACITY));
    let text = events.iter().map(|event| format!("{event}\n")).collect::<String>();
    let value = events
        .iter()
        .map(|Recorded { number, time, node, event }| {
            json!({
                "number": number,
                "time": rfc3339(*time),
                "node": node,
                "severity": event.severity.word(),
                "facility": event.facility,
                "mnemonic": event.mnemonic,
                "text": event.text,
            })
        })
        .collect();
    Output::prose(text, value)
}

/// Lets so much through, and counts the rest.
#[derive(Debug)]
pub struct Valve {
    burst: u64,
    /// Nanoseconds until there is room for one more.
    each: u64,
    level: u64,
    filled: u64,
    held_back: u64,
}

impl Valve {
    /// So many at once, and so many a second; `now` in nanoseconds.
    #[must_use]
    pub fn new(burst: u64, a_second: u64, now: u64) -> Self {
        Self { burst, each: 1_000_000_000 / a_second.max(1), level: burst, filled: now, held_back: 0 }
    }

    /// Whether one more passes at `now` (nanoseconds), and how many did not since the last one that did.
    pub fn pass(&mut self, now: u64) -> Option<u64> {
        let more = now.saturating_sub(self.filled) / self.each;
        self.filled += more * self.each;
        self.level = (self.level + more).min(self.burst);
        if self.level == 0 {
            self.held_back += 1;
            return None;
        }
        self.level -= 1;
        Some(core::mem::take(&mut self.held_back))
    }
}

/// The first characters of a text, at most so many, without anything that a terminal obeys.
pub(crate) fn clean(text: &str, longest: usize) -> String {
    printable(text).take(longest).collect()
}

/// A moment as NX-OS logs it, in UTC: `2026 Nov 22 16:20:01.123`.
pub(crate) fn stamp(time: SystemTime) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Utc { year, month, day, hour, minute, second, milli } = Utc::of(time);
    let name = MONTHS.get(usize::from(month).wrapping_sub(1)).copied().unwrap_or("?");
    format!("{year} {name} {day:2} {hour:02}:{minute:02}:{second:02}.{milli:03}")
}

/// A moment as people write it, in UTC: `2026-11-22T16:20:01.123Z`.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let Utc { year, month, day, hour, minute, second, milli } = Utc::of(time);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Date and time in UTC.
struct Utc {
    year: u64,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    milli: u16,
}

impl Utc {
    /// Times before 1970 are shown as its first moment.
    fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs();
        // Years begin in March here, so that the day that is not in every year is the last one; 719,468 days lie between
        // the first of March of the year 0 and 1970.
        let days = seconds / 86_400 + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let part = |value: u64| u8::try_from(value).unwrap_or(u8::MAX);
        Self {
            year: era * 400 + year + u64::from(month >= 10),
            month: part(if month < 10 { month + 3 } else { month - 9 }),
            day: part(day - (153 * month + 2) / 5 + 1),
            hour: part(seconds / 3600 % 24),
            minute: part(seconds / 60 % 60),
            second: part(seconds % 60),
            milli: u16::try_from(since.subsec_millis()).unwrap_or(u16::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn event(text: &str) -> Event {
        Event::new("VIM", Severity::Notice, "IF_ATTACHED", text)
    }

    #[test]
    fn it_keeps_the_last_ones_and_nothing_that_a_terminal_obeys() {
        let log = EventLog::new("vis0");
        (0..CAPACITY + 2).for_each(|n| log.record(&event(&format!("number {n}"))));
        log.record(&event(&("\x1b[31m\n".to_owned() + &"x".repeat(LONGEST))));
        let last = log.last(2);
        assert_eq!(last[0].event.text, format!("number {}", CAPACITY + 1));
        assert_eq!(last[1].number, CAPACITY as u64 + 3);
        assert!(last[1].event.text.starts_with("?[31m?xx") && last[1].event.text.len() == LONGEST);
        assert_eq!((log.last(usize::MAX).len(), log.recorded()), (CAPACITY, CAPACITY as u64 + 3));
        assert_eq!(log.last(usize::MAX)[0].number, 4);
    }

    #[test]
    fn both_faces() {
        let log = EventLog::new("vis0");
        log.record(&event("Interface Vethernet1 is attached"));
        log.record(&Event::new("SYSMGR", Severity::Error, "STORE_FAILED", "no space"));
        let shown = show(&log, &Args::default());
        assert!(shown.to_string().ends_with(" vis0 %SYSMGR-3-STORE_FAILED: no space\n"), "{shown}");
        let json = shown.to_json();
        assert_eq!((&json[0]["severity"], &json[0]["mnemonic"]), (&"notice".into(), &"IF_ATTACHED".into()));
        assert_eq!((&json[1]["facility"], &json[1]["text"]), (&"SYSMGR".into(), &"no space".into()));
    }

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (1_735_689_600, "2025-01-01T00:00:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
        let recorded = Recorded {
            number: 1,
            time: UNIX_EPOCH + Duration::from_millis(1_735_689_600_007),
            node: "vis0".to_owned(),
            event: event("x"),
        };
        assert_eq!(recorded.to_string(), "2025 Jan  1 00:00:00.007 vis0 %VIM-5-IF_ATTACHED: x");
    }

    #[test]
    fn a_flood_is_held_back() {
        let mut valve = Valve::new(BURST, A_SECOND, 0);
        assert!((0..BURST).all(|_| valve.pass(0) == Some(0)));
        assert!((0..50).all(|_| valve.pass(9_999_999).is_none()));
        assert_eq!(valve.pass(10_000_000), Some(50));
        assert_eq!(valve.pass(19_999_999), None);
        assert_eq!(valve.pass(u64::MAX / 2), Some(1));
    }
}
