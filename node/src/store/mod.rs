//! State that outlives the process: a small store of keys and values.
//!
//! What a daemon keeps is written as [`Op`]s in batches. A batch applies whole or not at all, and its [`Done`] is called
//! once, from any thread, when it is *durable*: what was acknowledged then survives `kill -9` and a loss of power. Each
//! batch that changed anything has a revision, greater than all before it; each key carries the revision of the batch
//! that wrote it last, and an op may say which one it expects there. Those are the terms of a cluster store (etcd's
//! transactions, with `mod_revision` compared), so that one fits behind this trait; on one machine it is
//! [`RedbStore`], and [`MemoryStore`] in tests.
//!
//! **Order.** Batches apply in the order in which they were submitted, and are done in that order.
//!
//! **Failure.** A store that cannot write (disk full) says so in the result of every batch and in
//! [`health`](Store::health), and tries again with the next batch that it is given: whoever must have its state kept
//! submits it again. A batch that failed may be in the store or not, like one whose process was killed.

mod file;
mod memory;

pub use file::RedbStore;
pub use memory::MemoryStore;

use std::sync::mpsc;
use std::time::Duration;

/// Octets of a key.
pub const LONGEST_KEY: usize = 256;

/// Octets of a value. Far more than anything a daemon keeps under one key (a running configuration of 16,384 vEths is
/// about 4 MiB), and far less than a store could not take.
pub const LONGEST_VALUE: usize = 64 << 20;

/// Batches that wait for a store at the most; it refuses more.
pub const MOST_BATCHES: usize = 65_536;

/// The moment of a change in the order of all changes: 1 for the first batch. 0 is that of a key that is not there.
pub type Revision = u64;

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// The key; by convention words separated by `/`: `veth/17`.
    pub key: String,
    /// The revision that the key must have for the batch to apply: 0 if it must not be there. `None`: any.
    pub expected: Option<Revision>,
    /// The value; `None` removes the key.
    pub value: Option<Vec<u8>>,
}

impl Op {
    /// The key has this value from now on.
    #[must_use]
    pub fn put(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), expected: None, value: Some(value.into()) }
    }

    /// The key is not there from now on; it need not have been there.
    #[must_use]
    pub fn remove(key: impl Into<String>) -> Self {
        Self { key: key.into(), expected: None, value: None }
    }

    /// Only if the key has this revision.
    #[must_use]
    pub fn expecting(self, revision: Revision) -> Self {
        Self { expected: Some(revision), ..self }
    }

    /// Whether any store could take it.
    fn check(&self) -> Result<(), StoreError> {
        if self.key.is_empty() || self.key.len() > LONGEST_KEY {
            return Err(StoreError::Unfit { key: self.key.chars().take(64).collect(), what: "the key" });
        }
        if self.value.as_ref().is_some_and(|value| value.len() > LONGEST_VALUE) {
            return Err(StoreError::Unfit { key: self.key.clone(), what: "the value" });
        }
        Ok(())
    }
}

/// A key and what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The revision of the batch that wrote it.
    pub revision: Revision,
    /// The value.
    pub value: Vec<u8>,
}

/// What is called when a batch is durable, with its revision, or was refused. It runs on the store's thread and must
/// not block: it hands the result over and wakes somebody.
pub type Done = Box<dyn FnOnce(Result<Revision, StoreError>) + Send>;

/// A store. All of it may be called from any thread.
pub trait Store: Send + Sync {
    /// Every key that begins with `prefix`, in order of keys. Blocks, and sees every batch submitted before.
    ///
    /// # Errors
    /// The store cannot be read.
    fn load(&self, prefix: &str) -> Result<Vec<Entry>, StoreError>;

    /// Applies a batch. Does not block.
    fn submit(&self, batch: Vec<Op>, done: Done);

    /// Whether the last attempt to write something succeeded.
    ///
    /// # Errors
    /// Why not, in one line.
    fn health(&self) -> Result<(), StoreError>;

    /// Applies a batch and waits until it is durable.
    ///
    /// # Errors
    /// As [`Done`].
    fn commit(&self, batch: Vec<Op>) -> Result<Revision, StoreError> {
        let (done, outcome) = outcome();
        self.submit(batch, done);
        outcome.wait()
    }
}

/// A [`Done`] for whoever wants to wait for a batch after it was submitted.
#[must_use]
pub fn outcome() -> (Done, Outcome) {
    let (sender, receiver) = mpsc::sync_channel(1);
    let done = move |result| {
        // Nobody waits for it any more, perhaps.
        let _ = sender.send(result);
    };
    (Box::new(done), Outcome(receiver))
}

/// What becomes of a batch.
#[derive(Debug)]
pub struct Outcome(mpsc::Receiver<Result<Revision, StoreError>>);

impl Outcome {
    /// Waits for it.
    ///
    /// # Errors
    /// As [`Done`].
    pub fn wait(self) -> Result<Revision, StoreError> {
        self.0.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Waits for it so long.
    ///
    /// # Errors
    /// As [`Done`], and [`StoreError::Slow`].
    pub fn wait_for(self, patience: Duration) -> Result<Revision, StoreError> {
        self.0.recv_timeout(patience).unwrap_or_else(|error| {
            Err(match error {
                mpsc::RecvTimeoutError::Timeout => StoreError::Slow,
                mpsc::RecvTimeoutError::Disconnected => StoreError::Closed,
            })
        })
    }
}

/// Why a store cannot be opened, read or written. The text names the file, and what mends it where that is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file.
    #[error("{path}: in use by another process")]
    InUse {
        /// The file.
        path: String,
    },
    /// The file was written by a program of another version.
    #[error("{path}: written in format {found}; this program reads format {known}")]
    Version {
        /// The file.
        path: String,
        /// Its format.
        found: String,
        /// Ours.
        known: String,
    },
    /// The file is no store, or damaged.
    #[error("{path}: damaged ({reason}); restore it from a backup, or move it away to begin without state")]
    Damaged {
        /// The file.
        path: String,
        /// What was found.
        reason: String,
    },
    /// The system refuses: no space, no rights, a broken disk.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// A key has another revision than the one that an op expects; nothing of the batch was applied.
    #[error("key \"{key}\" has revision {found}, not {expected}")]
    Conflict {
        /// The key.
        key: String,
        /// Its revision.
        found: Revision,
        /// The one that was expected.
        expected: Revision,
    },
    /// An op that no store takes.
    #[error("{what} of \"{key}\" is empty or too long for a store")]
    Unfit {
        /// The key (its beginning).
        key: String,
        /// Key or value.
        what: &'static str,
    },
    /// So many batches wait that it takes no more.
    #[error("the store cannot keep up: {MOST_BATCHES} changes wait")]
    Busy,
    /// It did not answer in time; what was submitted may be kept or not.
    #[error("the store does not answer")]
    Slow,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

#[cfg(test)]
mod tests;
