//! Who changed what: each change that came by the admin API, done or refused.
//!
//! The last [`CAPACITY`] are kept for `show accounting log`, and apart from them the last few that somebody tried who may
//! not; all but a flood of the latter go to the process's log, under the target
//! `accounting`, where a journal keeps them for good. A daemon puts the command into its table with [`SYNTAX`], [`HELP`] and
//! [`show`].

use crate::api::{Client, Role};
use crate::clock;
use crate::command::{Args, CommandError};
use crate::event::{Valve, clean, rfc3339, stamp};
use crate::output::Output;
use core::fmt::{self, Display};
use parking_lot::Mutex;
use serde_json::json;
use std::collections::VecDeque;
use std::time::SystemTime;

/// Changes that are kept.
pub const CAPACITY: usize = 1024;

/// Attempts of those who may not that are kept, and logged at once.
const DENIED: usize = 64;

/// Characters of a change that are kept.
const LONGEST: usize = 1024;

/// The line of `show accounting log` in a command table.
pub const SYNTAX: &str = "show accounting log [last <lines:1-9999>]";

/// Its help.
pub const HELP: &str = "Who changed what, oldest first";

/// A change, or the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number; the first is 1, none is left out.
    pub number: u64,
    /// When it was done.
    pub time: SystemTime,
    /// The user's number.
    pub uid: u32,
    /// The user's name, or the number again.
    pub user: String,
    /// The process, where the kernel knows it.
    pub pid: Option<i32>,
    /// The lines, with ` ; ` between them.
    pub command: String,
    /// Why it was not done.
    pub failure: Option<String>,
}

impl Display for Account {
    /// `2026 Nov 22 16:20:01.123 type=update:id=4711:user=root:cmd=interface vethernet 1 ; shutdown (SUCCESS)`; the time is UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = if self.failure.is_none() { "SUCCESS" } else { "FAILURE" };
        let Self { time, user, command, .. } = self;
        let id = self.pid.unwrap_or(0);
        write!(f, "{} type=update:id={id}:user={user}:cmd={command} ({outcome})", stamp(*time))
    }
}

/// The last changes of a daemon.
#[derive(Debug, Default)]
pub struct Accounting(Mutex<Ring>);

#[derive(Debug)]
struct Ring {
    accounts: VecDeque<Account>,
    /// What those tried who may not: their own place, so that they cannot push out what was done.
    denied: VecDeque<Account>,
    recorded: u64,
    denials: Valve,
}

impl Default for Ring {
    fn default() -> Self {
        let denials = Valve::new(DENIED as u64, 1, clock::monotonic());
        Self { accounts: VecDeque::new(), denied: VecDeque::new(), recorded: 0, denials }
    }
}

impl Accounting {
    /// A change by this client came out so.
    pub(crate) fn record(&self, client: &Client, text: &str, failure: Option<&CommandError>) {
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('!')).collect();
        let command = clean(&lines.join(" ; "), LONGEST);
        let mut account = Account {
            number: 0,
            time: SystemTime::now(),
            uid: client.uid,
            user: client.user(),
            pid: client.pid,
            command,
            failure: failure.map(|error| error.message.clone()),
        };
        let denied = account.failure.is_some() && client.role != Some(Role::Admin);
        let mut ring = self.0.lock();
        ring.recorded += 1;
        account.number = ring.recorded;
        let (ring_of, capacity) =
            if denied { (&mut ring.denied, DENIED) } else { (&mut ring.accounts, CAPACITY) };
        if ring_of.len() == capacity {
            ring_of.pop_front();
        }
        ring_of.push_back(account.clone());
        let held_back = if denied { ring.denials.pass(clock::monotonic()) } else { Some(0) };
        drop(ring);
        let Some(held_back) = held_back else { return };
        match &account.failure {
            None => tracing::info!(target: "accounting", "{account}"),
            Some(why) if held_back > 0 => tracing::info!(target: "accounting", why, held_back, "{account}"),
            Some(why) => tracing::info!(target: "accounting", why, "{account}"),
        }
    }

    /// The last changes, at most so many, oldest first.
    #[must_use]
    pub fn last(&self, most: usize) -> Vec<Account> {
        let ring = self.0.lock();
        let mut all: Vec<Account> = ring.accounts.iter().chain(&ring.denied).cloned().collect();
        drop(ring);
        all.sort_unstable_by_key(|account| account.number);
        all.split_off(all.len().saturating_sub(most))
    }
}

/// The answer of `show accounting log`.
#[must_use]
pub fn show(accounting: &Accounting, args: &Args) -> Output {
    let most = args.get_number("lines").and_then(|lines| usize::try_from(lines).ok());
    let accounts = accounting.last(most.unwrap_or(CAPACITY));
    let text = accounts.iter().map(|account| format!("{account}\n")).collect::<String>();
    let value = accounts
        .iter()
        .map(|account| {
            json!({
                "number": account.number,
                "time": rfc3339(account.time),
                "user": account.user,
                "uid": account.uid,
                "pid": account.pid,
                "command": account.command,
                "success": account.failure.is_none(),
                "failure": account.failure,
            })
        })
        .collect();
    Output::prose(text, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_with_their_outcome() {
        let accounting = Accounting::default();
        let client = Client { uid: 0, pid: Some(7), role: Some(Role::Admin), rule: String::new() };
        for number in 0..CAPACITY {
            accounting.record(&client, &format!("vlan {number}"), None);
        }
        accounting.record(&client, "interface vethernet 1\n ! why\n  shutdown\n", None);
        accounting.record(&client, "vlan \x1b[31m", Some(&CommandError::refused("No.")));
        let last = accounting.last(2);
        let shown = last[0].to_string();
        let expected = " type=update:id=7:user=root:cmd=interface vethernet 1 ; shutdown (SUCCESS)";
        assert!(shown.ends_with(expected), "{shown}");
        assert!(last[1].to_string().ends_with(":cmd=vlan ?[31m (FAILURE)"));
        assert_eq!((last[1].number, accounting.last(usize::MAX).len()), (CAPACITY as u64 + 2, CAPACITY));
        let json = show(&accounting, &Args::default()).to_json();
        assert_eq!((&json[CAPACITY - 1]["failure"], &json[0]["command"]), (&"No.".into(), &"vlan 2".into()));
    }
    #[test]
    fn who_may_not_pushes_nothing_out() {
        let accounting = Accounting::default();
        let client = |role| Client { uid: 0, pid: None, role: Some(role), rule: String::new() };
        accounting.record(&client(Role::Admin), "vlan 5", None);
        for _ in 0..2 * CAPACITY {
            accounting.record(&client(Role::Reader), "vlan 6", Some(&CommandError::refused("No.")));
        }
        let all = accounting.last(usize::MAX);
        assert_eq!((all.len(), all[0].command.as_str()), (1 + DENIED, "vlan 5"));
        assert_eq!(all[DENIED].number, 2 * CAPACITY as u64 + 1);
    }
}
