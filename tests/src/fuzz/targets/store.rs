//! What a daemon finds on its disk.

use super::configuration::{initial, is_shown};
use super::formats;
use super::steps::Steps;
use super::switch;
use niv_node::store::{LONGEST_KEY, MemoryStore, Op, RedbStore, Store, StoreError};
use std::fs;
use std::sync::{Arc, OnceLock};
use vis_switch::config::draft::restore;
use vis_switch::config::text::running_config;
use vis_switch::switch::Kept;

/// Records in the file that is damaged.
const RECORDS: u32 = 40;
/// Octets of one of redb's pages.
const PAGE: usize = 4096;

/// A good file of a store.
struct Good {
    file: Vec<u8>,
    entries: usize,
}

fn good() -> &'static Good {
    static GOOD: OnceLock<Good> = OnceLock::new();
    GOOD.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let store = RedbStore::open(folder.path(), "good").expect("a store");
        let record = formats::records().remove(0);
        let mut batch: Vec<Op> = (0..RECORDS).map(|n| Op::put(format!("veth/{n}"), record.clone())).collect();
        batch.push(Op::put("running-config", running_config(&initial())));
        store.commit(batch).expect("written");
        let entries = store.load("").expect("read").len();
        drop(store);
        let file = fs::read(folder.path().join("good.redb")).expect("a file");
        Good { file, entries }
    })
}

/// One damage: at an offset (from the beginning of the file, four octets), of a kind, with octets.
pub(super) fn damages() -> Vec<Vec<u8>> {
    let at = |kind: u8, at: u32, octets: &[u8]| {
        [&[kind][..], &at.to_be_bytes(), &[octets.len() as u8], octets].concat()
    };
    let length = good().file.len() as u32;
    vec![
        at(0, 64, &[4]),
        at(0, 192, &[0xff; 8]),
        at(1, 4096, &[1, 2, 3]),
        at(1, length / 2, &[0; 64]),
        at(2, length / 2, &[]),
        at(2, 0, &[]),
        at(3, 4096, &[2]),
        at(4, 0, &[0; 200]),
    ]
}

/// A file damaged as a broken disk would: what was in it, or words, and nothing worse.
pub(super) fn damaged(input: &[u8]) {
    let Good { file, entries } = good();
    let folder = tempfile::tempdir().expect("a folder");
    let mut bad = file.clone();
    let mut steps = Steps::new(input);
    while !steps.is_over() {
        let kind = steps.octet();
        let at = steps.number() as usize % bad.len().max(1);
        let octets = steps.octets();
        let there = bad.iter_mut().skip(at).zip(octets);
        match kind % 5 {
            0 => there.for_each(|(to, from)| *to = *from),
            1 => there.for_each(|(to, from)| *to ^= *from),
            2 => bad.truncate(at),
            // A page at another's place: each is whole.
            3 => {
                let from = usize::from(octets.first().copied().unwrap_or(0)) * PAGE;
                let to = at / PAGE * PAGE;
                if from + PAGE <= bad.len() && to + PAGE <= bad.len() {
                    bad.copy_within(from..from + PAGE, to);
                }
            }
            _ => bad.extend(octets),
        }
    }
    let path = folder.path().join("bad.redb");
    fs::write(&path, &bad).expect("written");
    match RedbStore::open(folder.path(), "bad") {
        Ok(store) => {
            match store.load("") {
                Ok(found) => assert_eq!(found.len(), *entries, "what was acknowledged is there"),
                Err(error) => says_where(&error),
            }
            if let Err(error) = store.commit(vec![Op::put("veth/1", "new")]) {
                says_where(&error);
            }
        }
        Err(error) => says_where(&error),
    }
}

fn says_where(error: &StoreError) {
    assert!(
        matches!(error, StoreError::Damaged { .. } | StoreError::Version { .. } | StoreError::Io { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("bad.redb"), "{error}");
}

pub(super) fn contents() -> Vec<Vec<u8>> {
    let entry = |key: &[u8], value: &[u8]| [key, &(value.len() as u16).to_be_bytes(), value].concat();
    let record = formats::records().remove(0);
    let counters = br#"{"version":1,"rx":[1,64],"rx_dropped":0,"tx":[2,128],"tx_dropped":0}"#;
    let text = b"interface vethernet 7\n  bind mac 52:54:00:00:00:01\n  switchport access vlan 10\n";
    let all = [entry(&[0], text), entry(&[1, 7], &record), entry(&[2, 7], counters)];
    vec![all.concat(), entry(&[1, 1], &record), entry(&[3, 1, b'x'], b"")]
}

/// Keys and values as another release, or a person, could have left them: a switch starts with them, or says which
/// value is wrong.
pub(super) fn kept(input: &[u8]) {
    let store = MemoryStore::default();
    let mut steps = Steps::new(input);
    let (mut batch, mut keys) = (Vec::new(), Vec::new());
    while !steps.is_over() {
        let key = match steps.octet() % 4 {
            0 => "running-config".to_owned(),
            1 => format!("veth/{}", steps.octet()),
            2 => format!("counters/{}", steps.octet()),
            _ => String::from_utf8_lossy(steps.octets()).into_owned(),
        };
        let length = usize::from(steps.word());
        let value: Vec<u8> = (0..length).map_while(|_| (!steps.is_over()).then(|| steps.octet())).collect();
        if (1..=LONGEST_KEY).contains(&key.len()) {
            batch.push(Op::put(key.clone(), value));
            keys.push(key);
        }
    }
    store.commit(batch).expect("any key and value");
    let kept = match Kept::load(&store) {
        Ok(kept) => kept,
        Err(error) => {
            let said = error.to_string();
            return assert!(keys.iter().any(|key| said.contains(key.as_str())), "{said}");
        }
    };
    let (running, _) = restore(initial(), kept.running.as_deref().unwrap_or_default());
    is_shown(&running);
    switch::starts_with(kept.records, Arc::new(running));
}
