//! A store in one file, by `redb`, on a thread of its own.
//!
//! **Group commit.** All batches that came while the last transaction was on its way to the disk share the next one:
//! the disk is waited for once, however many there are.
//!
//! **Opening.** A new file gets its name when it is whole. One that is there is checked to the last page, so that a
//! damaged one is refused with words and not found out later, in the middle of things.

use super::{Done, Entry, MOST_BATCHES, Op, Revision, Store, StoreError};
use crate::daemon::private_folder;
use parking_lot::{Condvar, Mutex};
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Keys, and their revisions and values.
const STATE: TableDefinition<'_, &str, (Revision, &[u8])> = TableDefinition::new("state");
/// What there is to know of the file: `format` and `revision`.
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
/// Ours; one more whenever an older program could misunderstand the file.
const FORMAT: u64 = 1;
/// redb's own format that this program reads.
const REDB: u8 = 3;
/// Pages that are kept in memory. redb's own default is a gigabyte.
const CACHE: usize = 16 << 20;

/// How the database is opened; again after each failure.
pub(super) type Open = Box<dyn Fn() -> Result<Database, redb::Error> + Send>;

/// A store in one file. Dropping it waits until everything submitted is done, and closes the file.
pub struct RedbStore {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    health: Mutex<Option<StoreError>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Request>,
    closing: bool,
}

enum Request {
    Apply(Vec<Op>, Done),
    Load(String, SyncSender<Result<Vec<Entry>, StoreError>>),
}

impl RedbStore {
    /// Opens `FOLDER/NAME.redb`, which is made if it is not there, and so is the folder (for this user only).
    ///
    /// # Errors
    /// The file is in use, of another version, damaged, or the system refuses; each names it.
    pub fn open(folder: &Path, name: &str) -> Result<Self, StoreError> {
        private_folder(folder)
            .map_err(|error| StoreError::Io { path: "state_dir".to_owned(), reason: error.to_string() })?;
        let path = folder.join(format!("{name}.redb"));
        let shown = path.display().to_string();
        Self::start(shown, Box::new(move || if path.exists() { open(&path) } else { create(&path) }))
    }

    /// The store in a database that `open` opens; `path` is what errors call it.
    pub(super) fn start(path: String, open: Open) -> Result<Self, StoreError> {
        let shared =
            Arc::new(Shared { queue: Mutex::default(), work: Condvar::new(), health: Mutex::new(None) });
        let mut keeper = Keeper { path, open, database: None, shared: shared.clone() };
        keeper.database()?;
        let path = keeper.path.clone();
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || keeper.run());
        let thread = thread.map_err(|error| StoreError::Io { path, reason: error.to_string() })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Hands a request to the thread, or back.
    fn post(&self, request: Request) -> Result<(), (Request, StoreError)> {
        let mut queue = self.shared.queue.lock();
        if queue.closing {
            return Err((request, StoreError::Closed));
        }
        if queue.waiting.len() >= MOST_BATCHES {
            return Err((request, StoreError::Busy));
        }
        queue.waiting.push_back(request);
        self.shared.work.notify_one();
        Ok(())
    }
}

impl Store for RedbStore {
    fn load(&self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let (sender, receiver) = sync_channel(1);
        self.post(Request::Load(prefix.to_owned(), sender)).map_err(|(_, error)| error)?;
        receiver.recv().unwrap_or(Err(StoreError::Closed))
    }

    fn submit(&self, batch: Vec<Op>, done: Done) {
        if let Err((Request::Apply(_, done), error)) = self.post(Request::Apply(batch, done)) {
            done(Err(error));
        }
    }

    fn health(&self) -> Result<(), StoreError> {
        self.shared.health.lock().clone().map_or(Ok(()), Err)
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        self.shared.queue.lock().closing = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            // It ended by itself, or by a panic that was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Keeper {
    /// What errors call the file.
    path: String,
    open: Open,
    /// `None` after a failure, until it is needed again.
    database: Option<Database>,
    shared: Arc<Shared>,
}

impl Keeper {
    fn run(mut self) {
        loop {
            let requests = {
                let mut queue = self.shared.queue.lock();
                while queue.waiting.is_empty() && !queue.closing {
                    self.shared.work.wait(&mut queue);
                }
                core::mem::take(&mut queue.waiting)
            };
            if requests.is_empty() {
                return;
            }
            let mut group = Vec::new();
            for request in requests {
                match request {
                    Request::Apply(batch, done) => group.push((batch, done)),
                    Request::Load(prefix, answer) => {
                        self.apply(core::mem::take(&mut group));
                        // Whoever asked may have given up.
                        let _ = answer.send(self.load(&prefix));
                    }
                }
            }
            self.apply(group);
        }
    }

    fn database(&mut self) -> Result<&Database, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => {
                let database = (self.open)().map_err(|error| describe(&self.path, error))?;
                match format(&database).map_err(|error| describe(&self.path, error))? {
                    Some(FORMAT) => database,
                    Some(found) => {
                        return Err(StoreError::Version {
                            path: self.path.clone(),
                            found: found.to_string(),
                            known: FORMAT.to_string(),
                        });
                    }
                    None => return Err(damaged(&self.path, "it is the database of another program")),
                }
            }
        };
        Ok(self.database.insert(database))
    }

    fn load(&mut self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let loaded = load(self.database()?, prefix);
        loaded.map_err(|error| describe(&self.path, error))
    }

    /// All batches in one transaction.
    fn apply(&mut self, group: Vec<(Vec<Op>, Done)>) {
        if group.is_empty() {
            return;
        }
        let (batches, dones): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let applied = match self.database() {
            Ok(database) => apply(database, &batches).map_err(|error| describe(&self.path, error)),
            Err(error) => Err(error),
        };
        // A group that changes nothing says nothing of the disk, as long as it can be read.
        if applied.is_err() || batches.iter().any(|batch| !batch.is_empty()) {
            *self.shared.health.lock() = applied.as_ref().err().cloned();
        }
        match applied {
            Ok(results) => dones.into_iter().zip(results).for_each(|(done, result)| done(result)),
            Err(error) => {
                // redb wants to be opened anew after a failure.
                self.database = None;
                dones.into_iter().for_each(|done| done(Err(error.clone())));
            }
        }
    }
}

/// A builder with our settings.
pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
    builder
}

fn open(path: &Path) -> Result<Database, redb::Error> {
    Ok(builder().open(path)?)
}

/// Makes a whole file under another name and then gives it its own, so that there is never half a file under that.
fn create(path: &Path) -> Result<Database, redb::Error> {
    let draft = path.with_extension(format!("redb.{}", std::process::id()));
    let made = (|| {
        // One left behind by a process that was killed and had our number.
        let _ = std::fs::remove_file(&draft);
        let database = builder().create(&draft)?;
        found(&database)?;
        // Unlike a renaming, a link does not replace what another process may have made just now.
        std::fs::hard_link(&draft, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(database)
    })();
    let _ = std::fs::remove_file(&draft);
    made
}

/// Makes the tables of a new store.
pub(super) fn found(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(STATE)?;
    transaction.open_table(ABOUT)?.insert("format", FORMAT)?;
    Ok(transaction.commit()?)
}

/// The store's format; `None` if this is no store.
fn format(database: &Database) -> Result<Option<u64>, redb::Error> {
    match database.begin_read()?.open_table(ABOUT) {
        Ok(about) => Ok(about.get("format")?.map(|format| format.value())),
        Err(TableError::Storage(error)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

fn load(database: &Database, prefix: &str) -> Result<Vec<Entry>, redb::Error> {
    let table = database.begin_read()?.open_table(STATE)?;
    let mut entries = Vec::new();
    for entry in table.range(prefix..)? {
        let (key, found) = entry?;
        if !key.value().starts_with(prefix) {
            break;
        }
        let (revision, value) = found.value();
        entries.push(Entry { key: key.value().to_owned(), revision, value: value.to_vec() });
    }
    Ok(entries)
}

/// Applies the batches in one transaction: the result of each, or why none was applied.
fn apply(database: &Database, batches: &[Vec<Op>]) -> Result<Vec<Result<Revision, StoreError>>, redb::Error> {
    let transaction = database.begin_write()?;
    let mut results = Vec::with_capacity(batches.len());
    let changed = {
        let mut state = transaction.open_table(STATE)?;
        let mut about = transaction.open_table(ABOUT)?;
        let first = about.get("revision")?.map_or(0, |revision| revision.value());
        let mut revision = first;
        for batch in batches {
            results.push(match refusal(&state, batch)? {
                Some(error) => Err(error),
                None => {
                    revision += u64::from(!batch.is_empty());
                    for op in batch {
                        match &op.value {
                            Some(value) => drop(state.insert(op.key.as_str(), (revision, value.as_slice()))?),
                            None => drop(state.remove(op.key.as_str())?),
                        }
                    }
                    Ok(revision)
                }
            });
        }
        about.insert("revision", revision)?;
        revision > first
    };
    if changed {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(results)
}

/// Why a batch cannot be applied.
fn refusal(
    state: &impl ReadableTable<&'static str, (Revision, &'static [u8])>,
    batch: &[Op],
) -> Result<Option<StoreError>, redb::Error> {
    for op in batch {
        if let Err(error) = op.check() {
            return Ok(Some(error));
        }
        let Some(expected) = op.expected else { continue };
        let found = state.get(op.key.as_str())?.map_or(0, |found| found.value().0);
        if found != expected {
            return Ok(Some(StoreError::Conflict { key: op.key.clone(), found, expected }));
        }
    }
    Ok(None)
}

fn damaged(path: &str, reason: &str) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), reason: reason.to_owned() }
}

/// redb's error in the words of a store.
fn describe(path: &str, error: redb::Error) -> StoreError {
    use redb::Error;
    let path = path.to_owned();
    match error {
        Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => StoreError::InUse { path },
        Error::UpgradeRequired(found) => {
            StoreError::Version { path, found: format!("redb {found}"), known: format!("redb {REDB}") }
        }
        // Found in the file's header, before anything else is read: redb has no name of its own for a later format.
        Error::Corrupted(reason) if reason.starts_with("Expected file format version") => {
            let found = reason.rsplit(' ').next().unwrap_or("?");
            StoreError::Version { path, found: format!("redb {found}"), known: format!("redb {REDB}") }
        }
        Error::Corrupted(reason) => StoreError::Damaged { path, reason },
        Error::Io(error)
            if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            StoreError::Damaged { path, reason: error.to_string() }
        }
        Error::Io(error) => StoreError::Io { path, reason: error.to_string() },
        error => StoreError::Io { path, reason: error.to_string() },
    }
}
