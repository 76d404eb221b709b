//! A process that keeps state is killed while it writes: whatever was acknowledged is there afterwards.

use niv_node::store::{Op, RedbStore, Store, StoreError};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

const FOLDER: &str = "NIV_TEST_STORE";
/// Keys that are written again and again, and a twin of each that is written in the same batch.
const KEYS: u64 = 40;
const KILLS: u64 = 25;

/// The process that is killed: writes ever greater numbers under [`KEYS`] keys, many batches at a time, and says each
/// one that was acknowledged. Only with a folder to do that in, so that it does nothing among the other tests.
#[test]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = RedbStore::open(Path::new(&folder), "n").unwrap();
    let first = store.load("").unwrap().iter().map(|entry| number(&entry.value)).max().unwrap_or(0) + 1;
    let (sender, acknowledged) = channel();
    let mut said = std::io::stderr();
    for next in first.. {
        let key = next % KEYS;
        let sender = sender.clone();
        let value = next.to_be_bytes();
        // Of some length, so that pages are split and freed.
        let long: Vec<u8> = value.iter().copied().cycle().take(8 * (1 + next as usize % 200)).collect();
        let batch = vec![Op::put(format!("a/{key}"), value), Op::put(format!("b/{key}"), long)];
        store.submit(batch, Box::new(move |result| sender.send((next, result.map(drop))).unwrap()));
        // Up to 16 at a time are on their way.
        if next - first >= 16 {
            let (number, result): (u64, Result<(), StoreError>) = acknowledged.recv().unwrap();
            result.unwrap();
            said.write_all(format!("kept {number}\n").as_bytes()).unwrap();
        }
    }
}

fn number(value: &[u8]) -> u64 {
    u64::from_be_bytes(value[..8].try_into().expect("eight octets"))
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
    let mut seed = 1u64;
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Killed so many acknowledgements and moments after its start; the first time, while it makes the file.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (lines, pause) = ((seed >> 40) % 200 * u64::from(round > 3), (seed >> 32) % 20_000);
        let mut said = Vec::new();
        let mut stderr = child.stderr.take().unwrap();
        let mut octet = [0];
        while (said.iter().filter(|octet| **octet == b'\n').count() as u64) < lines {
            assert_eq!(stderr.read(&mut octet).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
            said.push(octet[0]);
        }
        std::thread::sleep(Duration::from_micros(pause));
        child.kill().unwrap();
        child.wait().unwrap();
        stderr.read_to_end(&mut said).unwrap();
        let said = String::from_utf8(said).unwrap();
        for line in said.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let number: u64 = line.strip_prefix("kept ").unwrap_or_else(|| panic!("{said}")).parse().unwrap();
            acknowledged.insert(number % KEYS, number);
        }

        let store = RedbStore::open(folder.path(), "n").unwrap();
        let kept: BTreeMap<String, (u64, Vec<u8>)> = store
            .load("")
            .unwrap()
            .into_iter()
            .map(|entry| (entry.key, (entry.revision, entry.value)))
            .collect();
        for (key, (revision, value)) in &kept {
            let twin = match key.split_once('/') {
                Some(("a", key)) => format!("b/{key}"),
                Some((_, key)) => format!("a/{key}"),
                None => panic!("{key}"),
            };
            let twin = kept.get(&twin).unwrap_or_else(|| panic!("half a batch: {key}"));
            assert_eq!((number(value), revision), (number(&twin.1), &twin.0), "half a batch: {key}");
        }
        for (key, told) in &acknowledged {
            let found = kept.get(&format!("a/{key}")).map(|(_, value)| number(value));
            assert!(found >= Some(*told), "key {key}: {told} was acknowledged, {found:?} is there");
        }
    }
    assert!(acknowledged.len() as u64 == KEYS, "{} keys were written at all", acknowledged.len());
}
