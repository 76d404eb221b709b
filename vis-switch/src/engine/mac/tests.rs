//! The table alone.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const ALWAYS: fn(Learned) -> bool = |_| true;

fn key(n: u32) -> Key {
    let [a, b, c, d] = n.to_be_bytes();
    Key::of(10, Mac([2, 0, a, b, c, d]).into())
}

fn at(lif: u32, second: u64) -> Learned {
    Learned {
        lif: LifId::new(lif).unwrap(),
        generation: Generation::new(7),
        seen: Second::of(second * 1_000_000_000),
    }
}

#[test]
fn what_is_learned_is_found_until_it_is_too_old() {
    let table = MacTable::new(64, 1);
    assert_eq!(table.learn(key(1), at(3, 100), ALWAYS), Lesson::New);
    assert_eq!(table.lookup(key(1), at(3, 400).seen), Some(at(3, 100)));
    assert_eq!(table.lookup(key(1), at(3, 401).seen), None);
    assert_eq!(table.lookup(key(2), at(3, 100).seen), None);
    assert_eq!(table.learn(key(1), at(3, 200), ALWAYS), Lesson::Known);
    assert_eq!(table.lookup(key(1), at(3, 401).seen), Some(at(3, 200)));
}

#[test]
fn a_known_address_moves_and_a_void_one_is_new() {
    let table = MacTable::new(64, 1);
    table.learn(key(1), at(3, 1), ALWAYS);
    assert_eq!(table.learn(key(1), at(4, 1), ALWAYS), Lesson::Moved);
    assert_eq!(table.learn(key(1), at(5, 1), |_| false), Lesson::New);
    assert_eq!(table.learn(key(1), at(6, 302), ALWAYS), Lesson::New);
    assert_eq!(table.lookup(key(1), at(6, 302).seen), Some(at(6, 302)));
}

#[test]
fn a_full_table_refuses_and_serves_what_it_has() {
    let table = MacTable::new(1000, 42);
    let learned: Vec<u32> =
        (0..5000).filter(|n| table.learn(key(*n), at(1, 1), ALWAYS) == Lesson::New).collect();
    assert!(learned.len() >= 1000 && learned.len() <= table.slots(), "{}", learned.len());
    assert_eq!(learned[..1000], (0..1000).collect::<Vec<_>>(), "the first thousand have room");
    assert!(learned.iter().all(|n| table.lookup(key(*n), at(1, 1).seen).is_some()));
    assert_eq!(table.entries(at(1, 1).seen, ALWAYS).len(), learned.len());
    // What is too old is room.
    assert_eq!(table.learn(key(4999), at(1, 500), ALWAYS), Lesson::New);
    table.sweep(0, 1, at(1, 500).seen, ALWAYS);
    assert_eq!(table.entries(at(1, 500).seen, ALWAYS).len(), 1);
}

#[test]
fn the_second_hand_wraps() {
    let last = Second(SECONDS);
    assert_eq!(Second(0).since(last), 1);
}

#[test]
fn what_another_worker_learned_in_the_next_second_counts() {
    let table = MacTable::new(64, 1);
    assert_eq!(table.learn(key(1), at(3, 101), ALWAYS), Lesson::New);
    assert_eq!(table.lookup(key(1), at(3, 100).seen), Some(at(3, 101)));
    table.sweep_due(at(3, 101).seen, ALWAYS);
    table.sweep_due(at(3, 100).seen, ALWAYS);
    table.sweep(0, 1, at(3, 100).seen, ALWAYS);
    assert_eq!(table.entries(at(3, 100).seen, ALWAYS).len(), 1);
}

#[test]
fn one_part_is_swept_each_second_whoever_asks() {
    let table = MacTable::new(1000, 1);
    (0..1000).for_each(|n| assert_ne!(table.learn(key(n), at(1, 1), ALWAYS), Lesson::Busy));
    let left = |table: &MacTable| {
        table.buckets.iter().flat_map(|b| &b.0).filter(|s| s.key.load(Ordering::Relaxed) != 0).count()
    };
    let now = |second| at(1, second).seen;
    table.sweep_due(now(302), ALWAYS);
    assert_eq!(left(&table), 0, "nobody had looked for so long that everything was looked at");
    (0..1000).for_each(|n| assert_ne!(table.learn(key(n), at(1, 302), ALWAYS), Lesson::Busy));
    let never = |_: Learned| false;
    let mut before = left(&table);
    for second in 303..303 + u64::from(SWEEP_PARTS) {
        table.sweep_due(now(second), never);
        let after = left(&table);
        assert!(before - after <= table.slots().div_ceil(SWEEP_PARTS as usize) + SLOTS, "{second}");
        table.sweep_due(now(second), never);
        assert_eq!(left(&table), after, "another worker in the same second");
        before = after;
    }
    assert_eq!(before, 0, "each part had its turn");
}

/// Why an address finds no room: none of those in its buckets can go to its second one.
fn is_full_for(table: &MacTable, key: Key, second: Second) -> bool {
    let there =
        |place: usize| table.buckets[place].0.iter().map(|slot| Key(slot.key.load(Ordering::Relaxed)));
    let has_room =
        |place: usize| there(place).any(|key| key == Key::NONE || table.lookup(key, second).is_none());
    let can_go = |place: usize| {
        there(place).map(|key| table.places(key)).any(|[from, to]| from == place && has_room(to))
    };
    !table.places(key).into_iter().any(|place| has_room(place) || can_go(place))
}

/// What is left of an address that is too old.
fn left(table: &MacTable, key: Key) -> Option<Learned> {
    Learned::unpack(table.find(key)?.1)
}

proptest! {
    /// Addresses come, move, age and are forgotten in a small table that is nearly always full.
    #[test]
    fn nobody_is_lost_who_found_room(
        seed in any::<u64>(),
        steps in prop::collection::vec((0u32..70, 0u32..10, 0u64..3), 1..600),
    ) {
        let table = MacTable::new(32, seed);
        let mut model = BTreeMap::new();
        let mut time = 1;
        for (n, what, passes) in steps {
            time += if what == 9 { passes * 100 } else { 0 };
            let now = at(1, time).seen;
            model.retain(|_, learned: &mut Learned| now.since(learned.seen) <= MacTable::AGEING);
            match what {
                0 => {
                    table.forget(key(n));
                    model.remove(&n);
                }
                1 => table.sweep(n as usize, 70, now, ALWAYS),
                _ => {
                    let seen = at(1 + what, time);
                    let expected = match model.get(&n).copied().or_else(|| left(&table, key(n))) {
                        Some(before) if before.lif == seen.lif => Lesson::Known,
                        Some(before) if now.since(before.seen) <= MacTable::AGEING => Lesson::Moved,
                        None if is_full_for(&table, key(n), now) => Lesson::Full,
                        _ => Lesson::New,
                    };
                    prop_assert_eq!(table.learn(key(n), seen, ALWAYS), expected);
                    if expected != Lesson::Full {
                        model.insert(n, seen);
                    }
                }
            }
            for n in 0..70 {
                prop_assert_eq!(table.lookup(key(n), now), model.get(&n).copied(), "{}", n);
            }
            prop_assert_eq!(table.entries(now, ALWAYS).len(), model.len(), "each once");
        }
    }
}

/// How full a table is, in thousandths, when an address finds no room for the first time, and how many of a million find none
/// if there are as many as it is made for. Of so many tables.
fn losses(addresses: usize, tables: u64) -> (usize, usize) {
    let one = |seed: u64| {
        let table = MacTable::new(addresses, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let new = |n: &u32| table.learn(key(*n), at(1, 1), ALWAYS) == Lesson::New;
        let first = (0..).take_while(new).count();
        let lost = (first..addresses).filter(|n| !new(&(*n as u32))).count() + usize::from(first < addresses);
        (first * 1000 / table.slots(), lost * 1_000_000 / addresses)
    };
    let all: Vec<(usize, usize)> = (0..tables).map(one).collect();
    let mean = |of: fn(&(usize, usize)) -> usize| all.iter().map(of).sum::<usize>() / all.len();
    (mean(|one| one.0), mean(|one| one.1))
}

/// The sizes are the most addresses that tables of 1,024, 32,768 and 1,048,576 slots are made for.
#[test]
fn a_table_is_nearly_full_before_an_address_is_lost() {
    let found = [(921, 400), (29_491, 40), (943_718, 2)].map(|(addresses, tables)| losses(addresses, tables));
    eprintln!("of 1000 slots, of a million addresses: {found:?}");
    for ((fill, lost), least) in found.into_iter().zip([900, 850, 820]) {
        assert!(fill >= least && lost <= 1000, "{found:?}");
    }
}

/// Fills a table that has a hundred addresses until hardly anybody finds room.
fn fill(table: &MacTable) {
    for n in 1000..1400 {
        table.learn(key(n), at(2, 1), ALWAYS);
    }
}

/// One that moves when this table is filled.
fn mover(table: &MacTable) -> Option<Key> {
    let place = |key: Key| {
        table
            .buckets
            .iter()
            .position(|bucket| bucket.0.iter().any(|slot| slot.key.load(Ordering::Relaxed) == key.0))
    };
    let before: Vec<_> = (0..100).map(key).map(|key| (key, place(key))).collect();
    fill(table);
    before.into_iter().find(|(key, before)| before.is_some() && place(*key) != *before).map(|(key, _)| key)
}

/// A worker looks an address up all the time while another one moves it.
#[test]
fn nobody_is_missed_who_goes_to_another_bucket() {
    let table = |seed| {
        let table = MacTable::new(115, seed);
        for n in 0..100 {
            table.learn(key(n), at(1, 1), ALWAYS);
        }
        table
    };
    let moving: Vec<(MacTable, Key)> =
        (0..3000).filter_map(|seed| Some((table(seed), mover(&table(seed))?))).collect();
    assert!(moving.len() > 1000, "{}", moving.len());
    let (begun, filled) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (at, (table, _)) in (0u64..).zip(&moving) {
                while begun.load(Ordering::Acquire) <= at {
                    std::thread::yield_now();
                }
                fill(table);
                filled.store(at + 1, Ordering::Release);
            }
        });
        let mut missed = Vec::new();
        for (turn, (table, key)) in (0u64..).zip(&moving) {
            begun.store(turn + 1, Ordering::Release);
            while filled.load(Ordering::Acquire) <= turn {
                if table.lookup(*key, at(1, 1).seen) != Some(at(1, 1)) {
                    missed.push(turn);
                }
            }
        }
        assert!(missed.is_empty(), "in {missed:?}");
    });
}

/// Three threads learn, move and sweep the same few buckets while one looks things up: what is found is what somebody learned
/// of that very key, no key is there twice, and none that stayed where it was is lost.
#[test]
fn workers_learn_at_the_same_time() {
    const KEYS: u32 = 48;
    const ROUNDS: u32 = 30_000;
    let table = MacTable::new(KEYS as usize * 2, 3);
    // An address is only ever behind interfaces with its own remainder.
    let lif_of = |n: u32, times: u32| 1 + n % 7 + 7 * (times % 5);
    std::thread::scope(|scope| {
        let learners: Vec<_> = (0..3u32)
            .map(|who| {
                let table = &table;
                scope.spawn(move || {
                    let mut random = who + 1;
                    let mut counted = [0u32; 5];
                    for round in 0..ROUNDS {
                        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let n = (random >> 8) % KEYS;
                        let seen = at(lif_of(n, random >> 20), u64::from(round / 1000));
                        counted[table.learn(key(n), seen, ALWAYS) as usize] += 1;
                        if round % 1000 == 0 {
                            table.sweep_due(seen.seen, ALWAYS);
                        }
                    }
                    counted
                })
            })
            .collect();
        while !learners.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            for n in 0..KEYS {
                if let Some(found) = table.lookup(key(n), at(1, 0).seen) {
                    assert_eq!((found.lif.get() - 1) % 7, n % 7, "{n}: what belongs to another address");
                }
            }
        }
        let counted: Vec<_> = learners.into_iter().map(|learner| learner.join().unwrap()).collect();
        let of = |lesson: Lesson| counted.iter().map(|one| one[lesson as usize]).sum::<u32>();
        assert_eq!(of(Lesson::New), KEYS, "each once");
        assert!(of(Lesson::Moved) > 0 && of(Lesson::Full) == 0);
    });
    let mut keys: Vec<_> = table.entries(at(1, 31).seen, ALWAYS).iter().map(|entry| entry.mac).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), KEYS as usize);
    assert_eq!(table.entries(at(1, 31).seen, ALWAYS).len(), KEYS as usize);
}
