//! A store without a disk.

use super::{Done, Entry, Op, Revision, Store, StoreError};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};

/// A store in memory, for tests: it can be held up, so that batches wait as they do for a slow disk, and broken.
#[derive(Default)]
pub struct MemoryStore(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    keys: BTreeMap<String, (Revision, Vec<u8>)>,
    revision: Revision,
    held: bool,
    waiting: VecDeque<(Vec<Op>, Done)>,
    broken: Option<StoreError>,
}

impl MemoryStore {
    /// Nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on batches wait.
    pub fn hold(&self) {
        self.0.lock().held = true;
    }

    /// Those that wait are applied, and so are others again at once. Returns how many waited.
    pub fn release(&self) -> usize {
        let waiting = {
            let mut inner = self.0.lock();
            inner.held = false;
            core::mem::take(&mut inner.waiting)
        };
        let count = waiting.len();
        waiting.into_iter().for_each(|(batch, done)| self.submit(batch, done));
        count
    }

    /// From now on it refuses to write; `None` mends it.
    pub fn break_down(&self, error: Option<StoreError>) {
        self.0.lock().broken = error;
    }

    /// Batches that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.lock().waiting.len()
    }
}

impl Inner {
    fn apply(&mut self, batch: Vec<Op>) -> Result<Revision, StoreError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        for op in &batch {
            op.check()?;
            let found = self.keys.get(&op.key).map_or(0, |(revision, _)| *revision);
            if let Some(expected) = op.expected.filter(|expected| *expected != found) {
                return Err(StoreError::Conflict { key: op.key.clone(), found, expected });
            }
        }
        if batch.is_empty() {
            return Ok(self.revision);
        }
        self.revision += 1;
        for op in batch {
            match op.value {
                Some(value) => drop(self.keys.insert(op.key, (self.revision, value))),
                None => drop(self.keys.remove(&op.key)),
            }
        }
        Ok(self.revision)
    }
}

impl Store for MemoryStore {
    fn load(&self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let inner = self.0.lock();
        let from = inner.keys.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(from
            .map(|(key, (revision, value))| Entry {
                key: key.clone(),
                revision: *revision,
                value: value.clone(),
            })
            .collect())
    }

    fn submit(&self, batch: Vec<Op>, done: Done) {
        let result = {
            let mut inner = self.0.lock();
            if inner.held {
                if inner.waiting.len() < super::MOST_BATCHES {
                    inner.waiting.push_back((batch, done));
                    return;
                }
                Err(StoreError::Busy)
            } else {
                inner.apply(batch)
            }
        };
        done(result);
    }

    fn health(&self) -> Result<(), StoreError> {
        self.0.lock().broken.clone().map_or(Ok(()), Err)
    }
}
