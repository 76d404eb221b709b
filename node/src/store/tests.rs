use super::file::{RedbStore, builder, found};
use super::{Entry, LONGEST_KEY, MemoryStore, Op, Store, StoreError};
use proptest::prelude::*;
use redb::{BackendError, StorageBackend};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn entry(key: &str, revision: u64, value: &str) -> Entry {
    Entry { key: key.to_owned(), revision, value: value.as_bytes().to_vec() }
}

/// Every store does the same.
fn laws(store: &dyn Store) {
    assert_eq!(store.load("").unwrap(), []);
    assert_eq!(store.commit(Vec::new()).unwrap(), 0, "an empty batch changes nothing");
    assert_eq!(store.commit(vec![Op::put("veth/1", "a"), Op::put("veth/2", "b")]).unwrap(), 1);
    assert_eq!(store.commit(vec![Op::put("vethernet", "c"), Op::put("running", "d")]).unwrap(), 2);
    assert_eq!(store.load("veth/").unwrap(), [entry("veth/1", 1, "a"), entry("veth/2", 1, "b")]);
    assert_eq!(store.load("").unwrap().len(), 4);

    // Expectations: all of a batch, or nothing.
    let stale = vec![Op::put("veth/1", "x"), Op::put("veth/2", "y").expecting(2)];
    let refused = StoreError::Conflict { key: "veth/2".to_owned(), found: 1, expected: 2 };
    assert_eq!(store.commit(stale), Err(refused));
    let twice = vec![Op::put("running", "x").expecting(0)];
    assert!(matches!(store.commit(twice), Err(StoreError::Conflict { found: 2, expected: 0, .. })));
    assert_eq!(store.load("veth/").unwrap()[0], entry("veth/1", 1, "a"));
    assert_eq!(store.commit(vec![Op::put("veth/1", "z").expecting(1), Op::remove("veth/2")]).unwrap(), 3);
    assert_eq!(
        store.commit(vec![Op::remove("nowhere").expecting(0), Op::put("new", "").expecting(0)]).unwrap(),
        4
    );
    assert_eq!(store.load("veth/").unwrap(), [entry("veth/1", 3, "z")]);

    for key in ["", &"k".repeat(LONGEST_KEY + 1)] {
        assert!(matches!(store.commit(vec![Op::put(key, "")]), Err(StoreError::Unfit { .. })));
    }
    assert_eq!(store.health(), Ok(()), "what one caller did wrong is no illness");
}

#[test]
fn all_stores_keep_the_same_laws() {
    laws(&MemoryStore::new());
    let folder = tempfile::tempdir().unwrap();
    laws(&RedbStore::open(folder.path(), "n").unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// The file says what the memory says, also after it was opened again.
    #[test]
    fn both_stores_agree(batches in proptest::collection::vec(proptest::collection::vec(
        (0u8..6, proptest::option::of(0u64..20), proptest::option::of(0u8..4)), 0..4), 1..20)) {
        let folder = tempfile::tempdir().unwrap();
        let memory = MemoryStore::new();
        let mut file = RedbStore::open(folder.path(), "n").unwrap();
        for (round, batch) in batches.iter().enumerate() {
            let batch: Vec<Op> = batch
                .iter()
                .map(|(key, expected, value)| Op {
                    key: format!("k{key}"),
                    expected: *expected,
                    value: value.map(|value| vec![value; usize::from(value) * 1000]),
                })
                .collect();
            prop_assert_eq!(memory.commit(batch.clone()), file.commit(batch));
            if round % 7 == 6 {
                drop(file);
                file = RedbStore::open(folder.path(), "n").unwrap();
            }
            prop_assert_eq!(memory.load("").unwrap(), file.load("").unwrap());
        }
    }
}

#[test]
fn a_held_store_answers_when_it_is_released() {
    let store = MemoryStore::new();
    let (sender, answers) = std::sync::mpsc::channel();
    store.hold();
    for number in 0..3u8 {
        let sender = sender.clone();
        store.submit(vec![Op::put("k", [number])], Box::new(move |result| sender.send(result).unwrap()));
    }
    assert!(answers.try_recv().is_err());
    assert_eq!((store.waiting(), store.load("").unwrap().len()), (3, 0));
    assert_eq!(store.release(), 3);
    assert_eq!(answers.try_iter().map(Result::unwrap).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn what_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.redb");
    let shown = path.display().to_string();
    let open = || RedbStore::open(folder.path(), "n").map(drop);

    let store = RedbStore::open(folder.path(), "n").unwrap();
    assert_eq!(open(), Err(StoreError::InUse { path: shown.clone() }));
    assert_eq!(open().unwrap_err().to_string(), format!("{shown}: in use by another process"));
    drop(store);
    assert_eq!(open(), Ok(()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft stays");

    let good = std::fs::read(&path).unwrap();
    for (bytes, what) in [
        (b"[node]\nname = \"vis0\"\n".to_vec(), "a text"),
        (Vec::new(), "nothing"),
        (good[..good.len() / 2].to_vec(), "half a file"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let said = open();
        assert!(matches!(&said, Err(StoreError::Damaged { path, .. }) if *path == shown), "{what}: {said:?}");
    }

    // Somebody else's database, and a later format of ours.
    std::fs::remove_file(&path).unwrap();
    drop(redb::Database::create(&path).unwrap());
    assert!(open().unwrap_err().to_string().contains("another program"));
    let later = redb::Database::create(&path).unwrap();
    let transaction = later.begin_write().unwrap();
    let about: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("about");
    transaction.open_table(about).unwrap().insert("format", 2).unwrap();
    transaction.commit().unwrap();
    drop(later);
    assert_eq!(
        open().unwrap_err().to_string(),
        format!("{shown}: written in format 2; this program reads format 1")
    );
    // redb's own version is the first octet of each of the header's two slots.
    let mut later = good.clone();
    (later[64], later[192]) = (4, 4);
    std::fs::write(&path, later).unwrap();
    assert!(matches!(open(), Err(StoreError::Version { .. })), "{:?}", open());

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let said = RedbStore::open(&file.join("state"), "n").map(drop).unwrap_err().to_string();
    assert!(said.contains("state_dir") && said.contains("file/state"), "{said}");
}

/// Octets of a store's file are changed at random, as a broken disk would: it opens with what was in it, or is refused.
#[test]
fn a_damaged_file_is_refused_and_nothing_worse() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.redb");
    let store = RedbStore::open(folder.path(), "n").unwrap();
    let batch: Vec<Op> = (0..100).map(|n| Op::put(format!("veth/{n:03}"), vec![n; 300])).collect();
    store.commit(batch).unwrap();
    let before = store.load("").unwrap();
    drop(store);
    let good = std::fs::read(&path).unwrap();
    let (mut kept, mut refused) = (0, 0);
    let mut seed = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for round in 0..300 {
        let mut bad = good.clone();
        match round % 3 {
            0 => bad.truncate(random(good.len())),
            _ => (0..=random(20)).for_each(|_| {
                let at = random(if round % 3 == 1 { good.len() } else { 512 });
                bad[at] ^= 1 << random(8);
            }),
        }
        std::fs::write(&path, bad).unwrap();
        match RedbStore::open(folder.path(), "n") {
            Ok(store) => {
                assert_eq!(store.load("").unwrap(), before);
                kept += 1;
            }
            Err(StoreError::Damaged { .. } | StoreError::Version { .. } | StoreError::Io { .. }) => {
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(kept > 0 && refused > 100, "{kept} kept, {refused} refused");
}

/// A disk that can be full.
#[derive(Debug)]
struct Disk(redb::backends::FileBackend, Arc<AtomicBool>);

impl Disk {
    fn open(path: &Path, full: &Arc<AtomicBool>) -> Self {
        let file = std::fs::File::options().read(true).write(true).create(true).truncate(false).open(path);
        Self(redb::backends::FileBackend::new(file.unwrap()).unwrap(), full.clone())
    }

    fn full(&self) -> Result<(), io::Error> {
        if self.1.load(Ordering::Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.full()?;
        self.0.set_len(len)
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        self.full()?;
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.full()?;
        self.0.write(offset, data)
    }
    fn try_lock_range(
        &self,
        start: core::ops::Bound<u64>,
        end: core::ops::Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }
    fn close(&self) -> Result<(), io::Error> {
        self.0.close()
    }
}

#[test]
fn a_full_disk_is_an_illness_that_passes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.redb");
    let full = Arc::new(AtomicBool::new(false));
    let disk = full.clone();
    let file = path.clone();
    let fresh = AtomicBool::new(true);
    let open = move || {
        let database = builder().create_with_backend(Disk::open(&file, &disk))?;
        if fresh.swap(false, Ordering::Relaxed) {
            found(&database)?;
        }
        Ok(database)
    };
    let store = RedbStore::start("n.redb".to_owned(), Box::new(open)).unwrap();
    store.commit(vec![Op::put("veth/1", "kept")]).unwrap();

    full.store(true, Ordering::Relaxed);
    let error = store.commit(vec![Op::put("veth/2", "lost")]).unwrap_err();
    assert_eq!(error.to_string(), "n.redb: no storage space");
    assert_eq!(store.health(), Err(error));
    assert!(store.commit(vec![Op::put("veth/3", "lost")]).is_err(), "still full");
    assert!(store.health().is_err());

    full.store(false, Ordering::Relaxed);
    store.commit(Vec::new()).unwrap();
    assert!(store.health().is_err(), "nobody has tried to write again");
    store.commit(vec![Op::put("veth/2", "again")]).unwrap();
    assert_eq!(store.health(), Ok(()));
    assert_eq!(store.load("veth/1").unwrap(), [entry("veth/1", 1, "kept")]);
    assert_eq!(store.load("veth/2").unwrap()[0].value, b"again");
}
