//! What the switch keeps: the keys of its store, and how records get there.
//!
//! | key | value |
//! |---|---|
//! | `running-config` | the running configuration as lines; written before a change of it is acknowledged |
//! | `startup-config` | the startup configuration as lines, if it was kept |
//! | `checkpoint/NAME` | a [`Checkpoint`] |
//! | `veth/N` | the [`VethRecord`] of a vEth |
//! | `counters/N` | what vEth N had sent and got when that was last told or ten seconds had passed |

use super::counting::Traffic;
use super::saved::{Checkpoint, CheckpointName, Saved};
use crate::control::{RecordError, StoreOp, StoreTicket, VethRecord};
use niv_node::store::{Op, Store, StoreError};
use std::collections::BTreeMap;
use std::time::Duration;

/// The running configuration.
const RUNNING: &str = "running-config";
/// The startup configuration.
const STARTUP: &str = "startup-config";
const CHECKPOINT: &str = "checkpoint/";
const RECORD: &str = "veth/";
const COUNTERS: &str = "counters/";

/// How long a command waits for the store.
pub(super) const KEPT: Duration = Duration::from_secs(10);

/// Nanoseconds after which what could not be written is tried again.
const AGAIN: u64 = 1_000_000_000;

/// State that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A value is not what this release writes.
    #[error("stored under \"{key}\": {reason}")]
    Value {
        /// Its key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

/// What a switch finds when it starts.
#[derive(Debug, Default)]
pub struct Kept {
    /// The running configuration, if it was ever changed.
    pub running: Option<String>,
    /// The startup configuration and the checkpoints.
    pub saved: Saved,
    /// The vEths.
    pub records: Vec<VethRecord>,
    /// What was counted, by vEth.
    pub(super) counters: BTreeMap<u32, Traffic>,
}

impl Kept {
    /// Reads it.
    ///
    /// # Errors
    /// The store cannot be read, or holds what another release wrote.
    pub fn load(store: &dyn Store) -> Result<Self, KeptError> {
        let mut kept = Self::default();
        for entry in store.load("")? {
            let wrong = |reason: String| KeptError::Value { key: entry.key.clone(), reason };
            if entry.key == RUNNING || entry.key == STARTUP {
                let text = String::from_utf8(entry.value).map_err(|_| wrong("not a text".to_owned()))?;
                if entry.key == RUNNING {
                    kept.running = Some(text);
                } else {
                    kept.saved.startup = Some(text.into());
                }
            } else if let Some(name) = entry.key.strip_prefix(CHECKPOINT) {
                let name = CheckpointName::new(name).ok_or_else(|| wrong("no name".to_owned()))?;
                let checkpoint = Checkpoint::decode(&entry.value).map_err(wrong)?;
                kept.saved.checkpoints.insert(name, checkpoint);
            } else if entry.key.starts_with(RECORD) {
                let record = VethRecord::decode(&entry.value)
                    .map_err(|error: RecordError| wrong(error.to_string()))?;
                kept.records.push(record);
            } else if let Some(number) = entry.key.strip_prefix(COUNTERS) {
                let number = number.parse().map_err(|_| wrong("no vEth".to_owned()))?;
                let traffic = Traffic::decode(&entry.value).map_err(wrong)?;
                kept.counters.insert(number, traffic);
            }
        }
        Ok(kept)
    }
}

/// Writes the running configuration; `None` forgets it.
pub(super) fn running(text: Option<String>) -> Op {
    match text {
        Some(text) => Op::put(RUNNING, text),
        None => Op::remove(RUNNING),
    }
}

/// Writes the startup configuration; `None` forgets it.
pub(super) fn startup(lines: Option<&str>) -> Op {
    match lines {
        Some(lines) => Op::put(STARTUP, lines),
        None => Op::remove(STARTUP),
    }
}

/// Writes a checkpoint; `None` forgets it.
pub(super) fn checkpoint(name: &CheckpointName, checkpoint: Option<&Checkpoint>) -> Op {
    let key = format!("{CHECKPOINT}{name}");
    match checkpoint {
        Some(checkpoint) => Op::put(key, checkpoint.encode()),
        None => Op::remove(key),
    }
}

/// Writes what a vEth has sent and got; `None` forgets it.
pub(super) fn counters(number: u32, traffic: Option<&Traffic>) -> Op {
    let key = format!("{COUNTERS}{number}");
    match traffic {
        Some(traffic) => Op::put(key, traffic.encode()),
        None => Op::remove(key),
    }
}

fn record(op: &StoreOp) -> Op {
    let key = format!("{RECORD}{}", op.number());
    match op {
        StoreOp::Put(record) => Op::put(key, record.encode()),
        StoreOp::Remove(_) => Op::remove(key),
    }
}

/// Records on their way to the disk.
///
/// One batch is on its way at a time; what comes meanwhile waits, the latest of each vEth, and goes as one. So the
/// disk may be as slow as it likes, or refuse for hours: there is never more than one record of each vEth here.
#[derive(Debug, Default)]
pub(super) struct Records {
    waiting: BTreeMap<u32, StoreOp>,
    newest: Option<StoreTicket>,
    /// The batch on its way, and the last ticket in it.
    on_the_way: Option<(StoreTicket, BTreeMap<u32, StoreOp>)>,
    again_at: Option<u64>,
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// This ticket and all before it are on disk.
    Kept(StoreTicket),
    /// Nothing is.
    Failed(StoreError),
}

impl Records {
    /// The control plane wants these written.
    pub(super) fn want(&mut self, ticket: StoreTicket, ops: Vec<StoreOp>) {
        self.newest = Some(ticket);
        self.waiting.extend(ops.into_iter().map(|op| (op.number(), op)));
    }

    /// The next batch, if one is to be written now.
    pub(super) fn next(&mut self, now: u64) -> Option<Vec<Op>> {
        if self.on_the_way.is_some() || self.again_at.is_some_and(|at| now < at) {
            return None;
        }
        self.again_at = None;
        let ticket = self.newest.take()?;
        let ops = core::mem::take(&mut self.waiting);
        let batch = ops.values().map(record).collect();
        self.on_the_way = Some((ticket, ops));
        Some(batch)
    }

    /// The batch on its way has arrived, or not.
    pub(super) fn written(&mut self, now: u64, result: Result<(), StoreError>) -> Option<Written> {
        let (ticket, ops) = self.on_the_way.take()?;
        let Err(error) = result else { return Some(Written::Kept(ticket)) };
        for (number, op) in ops {
            self.waiting.entry(number).or_insert(op);
        }
        self.newest = self.newest.max(Some(ticket));
        self.again_at = Some(now.saturating_add(AGAIN));
        Some(Written::Failed(error))
    }

    /// When to ask for the [`next`](Self::next) batch although nothing happened.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.again_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vntag::ethernet::Mac;
    use vntag::uuid::Uuid;

    fn put(number: u32, channel: u16) -> StoreOp {
        let identity = crate::control::Identity { uuid: Uuid([1; 16]), mac: Mac([2, 0, 0, 0, 0, 1]) };
        let (port, created) = ("1/1".to_owned(), 0);
        let (profile, vnic, vm, host, incarnation) = (None, None, None, None, None);
        StoreOp::Put(Box::new(VethRecord {
            number,
            identity,
            profile,
            channel,
            port,
            vnic,
            vm,
            host,
            incarnation,
            created,
        }))
    }

    fn channels(batch: &[Op]) -> Vec<u16> {
        let record =
            |op: &Op| VethRecord::decode(op.value.as_deref().expect("a value")).expect("a record").channel;
        batch.iter().map(record).collect()
    }

    #[test]
    fn what_failed_is_written_again_unless_something_newer_came() {
        let [one, two, three] = [1, 2, 3].map(StoreTicket);
        let mut records = Records::default();
        assert_eq!((records.next(0), records.next_deadline()), (None, None));
        records.want(one, vec![put(1, 10), put(2, 20)]);
        assert_eq!(channels(&records.next(0).expect("a batch")), [10, 20]);
        records.want(two, vec![put(1, 11), put(3, 30)]);
        assert_eq!(records.next(0), None, "one at a time");

        assert_eq!(records.written(5, Err(StoreError::Busy)), Some(Written::Failed(StoreError::Busy)));
        assert_eq!((records.next(5), records.next_deadline()), (None, Some(5 + AGAIN)));
        assert_eq!(channels(&records.next(5 + AGAIN).expect("a batch")), [11, 20, 30]);
        records.want(three, vec![StoreOp::Remove(1)]);
        assert_eq!(records.written(6, Ok(())), Some(Written::Kept(two)));
        assert_eq!(records.next(6), Some(vec![Op::remove("veth/1")]));
        assert_eq!(records.written(7, Ok(())), Some(Written::Kept(three)));
        assert_eq!((records.next(7), records.next_deadline()), (None, None));
        assert_eq!(records.written(8, Ok(())), None, "nothing was on its way");
    }
}
