//! The parts of the rim that need no device.

use super::path::{Path, Then};
use super::records::{self, Records};
use super::state::Vnics;
use super::vnics::{assign, keep_channel};
use crate::config::settings::Settings;
use crate::config::{AdapterConfig, VnicConfig};
use crate::engine::{Counted, Order, Stats};
use crate::inventory::{Identity, Origin, VnicEntry};
use crate::rim::channels::Channels;
use crate::rim::open::Opened;
use niv_node::config::File;
use niv_node::mailbox::{Mailbox, mailbox};
use niv_node::store::{MemoryStore, Op, Store};
use std::sync::Arc;
use vntag::ListId;
use vntag::uuid::Uuid;

/// vNICs of a file: each `name` and further keys.
fn vnics(written: &[(&str, &str)]) -> Vec<VnicConfig> {
    let mut text = "[[link]]\nname = \"link0\"\ndevice = \"memif:a\"\n\
                    [[link]]\nname = \"fixed\"\ndevice = \"memif:b\"\nnegotiation = \"off\"\n"
        .to_owned();
    for (name, keys) in written {
        text.push_str(&format!("[[vnic]]\nname = \"{name}\"\ndevice = \"tap:{name}\"\n{keys}\n"));
    }
    AdapterConfig::from_file(&File::new("adapter.toml", text)).expect("a good file").vnics
}

fn entry(slot: u32, name: &str) -> Arc<VnicEntry> {
    let config = vnics(&[(name, "link = \"link0\"")]).remove(0);
    let identity = Identity::of(&config, Uuid([1; 16]), 1);
    let Opened { port, guest } = Opened::failed("no device".to_owned());
    let (origin, stats) = (Origin::File, Counted::default());
    Arc::new(VnicEntry { slot, config, origin, identity, monitor: port.monitor, guest, stats })
}

#[test]
fn a_slot_rests_before_it_is_taken_again() {
    let mut vnics = Vnics::default();
    vnics.insert(entry(vnics.free(), "stays"));
    for n in 1..=257 {
        let slot = vnics.free();
        assert_eq!(slot, n);
        vnics.insert(entry(slot, "comes"));
        assert_eq!(vnics.remove("comes").map(|entry| entry.slot), Some(n));
        assert_eq!((vnics.name(n), vnics.named("comes").is_some()), ("comes", false));
    }
    // The one that rested longest, until it is taken.
    assert_eq!((vnics.free(), vnics.free()), (1, 1));
    vnics.insert(entry(1, "next"));
    assert_eq!((vnics.name(1), vnics.name(2), vnics.name(9999)), ("next", "comes", "a vNIC"));
    assert_eq!(vnics.iter().map(|entry| entry.slot).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(vnics.free(), 258);
}

fn list(n: u16) -> Order {
    Order::SetList { link: 0, list: ListId::new(n).expect("a list"), members: None }
}

/// The lists that the worker is ordered about.
fn drained(mailbox: &mut Mailbox<Order>) -> Vec<u16> {
    let mut lists = Vec::new();
    mailbox.drain(|order| match order {
        Order::SetList { list, .. } => lists.push(list.get()),
        _ => panic!("an order that nobody gave"),
    });
    lists
}

#[test]
fn orders_wait_for_room_and_keep_their_order() {
    let (orders, mut worker) = mailbox(2).expect("eventfd");
    let stats = Counted::<Stats>::of(1);
    let counts = stats.add_vnic();
    counts.each()[0].rx_frames.add(3);
    let mut path = Path::new(&[orders], stats.clone());
    (1..=5).for_each(|n| path.give(list(n), Then::Nothing));
    path.give(list(6), Then::Retire(counts));
    assert!(!path.is_full());
    let mut seen = Vec::new();
    while seen.len() < 6 {
        seen.extend(drained(&mut worker));
        assert!(path.progress().is_empty());
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
    // Retired: the sum stays.
    assert_eq!(stats.balance().received, 3);
    (1..=1026).for_each(|n| path.give(list(n), Then::Nothing));
    assert!(path.is_full());
    // A worker that has ended takes everything and does nothing.
    drop(worker);
    path.progress();
    assert!(!path.is_full());
}

#[test]
fn an_order_is_in_effect_when_it_is_in_each_worker_and_frames_wait_for_that() {
    let (first_orders, mut first) = mailbox(64).expect("eventfd");
    let (second_orders, mut second) = mailbox(1).expect("eventfd");
    let stats = Counted::<Stats>::of(2);
    let mut path = Path::new(&[first_orders, second_orders], stats.clone());
    let (one, two) = (stats.add_vnic(), stats.add_vnic());
    let retiring = |counts: &Counted<_>| Then::Retire(counts.clone());
    // Nobody but this test has them any more.
    let is_retired = |counts: &Counted<_>| counts.each().iter().all(|one| Arc::strong_count(one) == 1);
    for (number, counts) in (1..).zip(two.each()) {
        counts.rx_frames.add(number);
    }
    let frame = |n: u8| Order::Send { link: 0, frames: vec![vec![n]] };
    let drain = |mailbox: &mut Mailbox<Order>| {
        let mut words = Vec::new();
        mailbox.drain(|order| {
            words.push(match order {
                Order::SetList { list, .. } => format!("list {}", list.get()),
                Order::Send { frames, .. } => format!("frame {}", frames[0][0]),
                _ => panic!("an order that nobody gave"),
            });
        });
        words
    };
    path.give(frame(0), Then::Nothing);
    path.give(list(1), retiring(&one));
    path.give(frame(1), Then::Nothing);
    path.give(list(2), retiring(&two));
    path.give(frame(2), Then::Nothing);
    assert_eq!(
        drain(&mut first),
        ["frame 0", "list 1", "list 2"],
        "the second worker has applied nothing yet"
    );
    path.progress();
    assert!(path.milestone().is_waiting() && !is_retired(&one));
    assert_eq!(drain(&mut second), ["list 1"], "it has room for one");
    path.progress();
    assert!(is_retired(&one) && !is_retired(&two));
    assert_eq!(drain(&mut first), ["frame 1"]);
    assert_eq!(drain(&mut second), ["list 2"]);
    path.progress();
    assert!(is_retired(&two) && !path.milestone().is_waiting());
    let received: Vec<u64> = stats.each().iter().map(|one| one.balance().received).collect();
    assert_eq!(received, [1, 2], "what each worker counted stays with it");
    assert_eq!((drain(&mut first), drain(&mut second)), (vec!["frame 2".to_owned()], Vec::new()));
}

#[test]
fn what_is_kept_is_found_again_and_what_cannot_be_read_is_named() {
    let store = MemoryStore::default();
    let mut settings = Settings::default();
    settings.apply("device tap:a link link0 queues 1").expect("good words");
    let ops = vec![
        records::put_vnic("a/b", &settings),
        records::put_vnic("gone", &settings),
        records::set_channel("a/b", Some(7)),
        Op::put("vnic/odd", "{}"),
        Op::put("vnic/later", "{\"version\": 2, \"settings\": {}}"),
        Op::put("channel/odd", "seven"),
        Op::put("vnics", "of somebody else"),
    ];
    store.commit(ops).expect("kept");
    store.commit(vec![records::remove_vnic("gone"), records::set_channel("none", None)]).expect("kept");
    let found = Records::load(&store).expect("readable");
    assert_eq!(found.vnics, [("a/b".to_owned(), settings)].into());
    assert_eq!(found.channels, [("a/b".to_owned(), 7)].into());
    let named = ["vNIC later: a record of version 2", "vNIC odd: ", "the channel of odd"];
    assert_eq!(found.unreadable.len(), named.len());
    for (what, part) in found.unreadable.iter().zip(named) {
        assert!(what.starts_with(part), "{what}");
    }
}

#[test]
fn a_channel_is_what_is_written_or_what_it_was_or_the_lowest_free() {
    let all = vnics(&[
        ("a", "link = \"link0\""),
        ("b", "link = \"link0\"\nchannel = 1"),
        ("c", "link = \"fixed\"\nvif = 9"),
        ("d", "link = \"link0\"\nchannel = 2"),
    ]);
    let [a, b, c, d] = &all[..] else { panic!("four vNICs") };
    let mut channels = Channels::default();
    assert_eq!(assign(&mut channels, b), Ok(1));
    assert_eq!(assign(&mut channels, a), Ok(2));
    assert_eq!((assign(&mut channels, a), assign(&mut channels, b)), (Ok(2), Ok(1)));
    assert_eq!(assign(&mut channels, c), Ok(9), "the VIF, and no channel is taken");
    assert_eq!((channels.of("c"), channels.owner(9)), (None, None));
    assert_eq!(keep_channel(&channels, "c"), Op::remove("channel/c"));
    assert_eq!(keep_channel(&channels, "a"), Op::put("channel/a", "2"));
    let error = assign(&mut channels, d).expect_err("it is taken").to_string();
    assert_eq!(error, "key \"channel\": channel 2 is a's already");
    channels.release("a");
    assert_eq!(assign(&mut channels, d), Ok(2));
    assert_eq!(assign(&mut channels, a), Ok(3));
}
