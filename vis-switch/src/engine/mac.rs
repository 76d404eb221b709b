//! Learned addresses: (VLAN, MAC) to logical interface. Bounded, open, four 16-octet slots to a cache line.
//!
//! ```text
//! key    1 | 000 | VLAN (12) | MAC (48)          0: free
//! value  LIF (20) | generation (20) | second (24)
//! ```
//!
//! Every key has two buckets of four slots where it may be. An entry counts while its interface still has the
//! generation it was learned in and it was seen not longer ago than the ageing time; others are free room. Readers
//! take no lock: key, value, key again. The value is one store, so moving an address is, too.

use super::address::Address;
use super::lif::{Generation, LifId};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use link::prefetch;
use vntag::ethernet::Mac;

const SLOTS: usize = 4;

/// A table of more octets than this is not in a core's own cache.
const CACHED: usize = 1 << 20;

const VALID: u64 = 1 << 63;
const SECONDS: u32 = (1 << 24) - 1;

/// A (VLAN, MAC) pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key(u64);

impl Key {
    /// The key of nothing.
    pub const NONE: Self = Self(0);

    /// From its parts.
    #[inline]
    pub(super) fn of(vlan: u16, address: Address) -> Self {
        Self(VALID | u64::from(vlan) << 48 | address.get())
    }

    fn parts(self) -> (u16, Mac) {
        let [x, y, mac @ ..] = (self.0 & !VALID).to_be_bytes();
        (u16::from_be_bytes([x, y]), Mac(mac))
    }
}

/// Seconds of the engine's time, as far as the table remembers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Second(u32);

impl Second {
    /// Of a moment in nanoseconds.
    #[must_use]
    pub fn of(now: u64) -> Self {
        Self((now / 1_000_000_000) as u32 & SECONDS)
    }

    /// Seconds from `earlier` to this one.
    #[must_use]
    pub fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0) & SECONDS
    }
}

/// What was learned about a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Learned {
    /// Behind which interface it is.
    pub lif: LifId,
    /// The generation of the interface when it was learned.
    pub generation: Generation,
    /// When it was last seen as a source.
    pub seen: Second,
}

impl Learned {
    fn pack(self) -> u64 {
        u64::from(self.lif.get()) << 44 | u64::from(self.generation.get()) << 24 | u64::from(self.seen.0)
    }

    fn unpack(value: u64) -> Option<Self> {
        Some(Self {
            lif: LifId::new((value >> 44) as u32)?,
            generation: Generation::new((value >> 24) as u32),
            seen: Second(value as u32 & SECONDS),
        })
    }
}

/// What learning did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lesson {
    /// Known there; at most the time was renewed.
    Known,
    /// A new entry.
    New,
    /// Known elsewhere before.
    Moved,
    /// No room.
    Full,
}

/// An entry, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// VLAN id.
    pub vlan: u16,
    /// Address.
    pub mac: Mac,
    /// Interface and time.
    pub learned: Learned,
    /// Seconds since it was last seen.
    pub age: u32,
}

#[derive(Debug, Default)]
struct Slot {
    key: AtomicU64,
    value: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket([Slot; SLOTS]);

/// The table.
#[derive(Debug)]
pub struct MacTable {
    buckets: Box<[Bucket]>,
    shift: u32,
    seed: u64,
    ageing: u32,
}

impl MacTable {
    /// Seconds until an address that is not seen is forgotten.
    pub const AGEING: u32 = 300;

    /// A table with room for at least `capacity` addresses; `seed` makes its hash unpredictable.
    #[must_use]
    pub fn new(capacity: usize, seed: u64) -> Self {
        // Two choices of four slots fill up to nine tenths before a key finds no room.
        let buckets = (capacity.saturating_mul(10) / 9).div_ceil(SLOTS).next_power_of_two().max(2);
        Self {
            buckets: (0..buckets).map(|_| Bucket::default()).collect(),
            shift: 64 - buckets.trailing_zeros(),
            seed,
            ageing: Self::AGEING,
        }
    }

    /// Slots altogether.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.buckets.len() * SLOTS
    }

    /// Most lookups wait for memory, unless they were [announced](Self::expect).
    #[must_use]
    pub fn is_large(&self) -> bool {
        size_of_val(&*self.buckets) > CACHED
    }

    /// Asks for the memory that looking up `key` needs, soon.
    #[inline]
    pub fn expect(&self, key: Key) {
        for bucket in self.choices(key) {
            prefetch::for_read(NonNull::from(bucket).cast());
        }
    }

    #[inline]
    fn choices(&self, key: Key) -> [&Bucket; 2] {
        let product = u128::from(key.0 ^ self.seed) * 0x9e37_79b9_7f4a_7c15;
        let hash = (product >> 64) as u64 ^ product as u64;
        let first = (hash >> self.shift) as usize;
        // The low bits, moved up; never the first choice again.
        let second = (hash << 32 >> self.shift) as usize;
        let second = if second == first { first ^ 1 } else { second };
        [&self.buckets[first], &self.buckets[second]]
    }

    #[inline]
    fn find(&self, key: Key) -> Option<(&Slot, u64)> {
        for bucket in self.choices(key) {
            for slot in &bucket.0 {
                if slot.key.load(Ordering::Acquire) == key.0 {
                    let value = slot.value.load(Ordering::Acquire);
                    if slot.key.load(Ordering::Relaxed) == key.0 {
                        return Some((slot, value));
                    }
                }
            }
        }
        None
    }

    /// Where a key was last seen, if that is not too long ago. Whether the generation still counts is for the
    /// caller to say.
    #[inline]
    #[must_use]
    pub fn lookup(&self, key: Key, now: Second) -> Option<Learned> {
        let learned = Learned::unpack(self.find(key)?.1)?;
        (now.since(learned.seen) <= self.ageing).then_some(learned)
    }

    /// Notes that `key` was seen. `live` says whether an entry's generation still counts. One worker at a time.
    #[inline]
    pub fn learn(&self, key: Key, seen: Learned, live: impl Fn(Learned) -> bool) -> Lesson {
        if let Some((slot, value)) = self.find(key) {
            let packed = seen.pack();
            if value == packed {
                return Lesson::Known;
            }
            slot.value.store(packed, Ordering::Release);
            return match Learned::unpack(value) {
                Some(old) if old.lif == seen.lif && old.generation == seen.generation => Lesson::Known,
                Some(old) if self.counts(old, seen.seen) && live(old) => Lesson::Moved,
                _ => Lesson::New,
            };
        }
        self.insert(key, seen, live)
    }

    fn counts(&self, learned: Learned, now: Second) -> bool {
        now.since(learned.seen) <= self.ageing
    }

    #[cold]
    fn insert(&self, key: Key, seen: Learned, live: impl Fn(Learned) -> bool) -> Lesson {
        let [first, second] = self.choices(key);
        let free = |slot: &&Slot| {
            slot.key.load(Ordering::Relaxed) == 0
                || !Learned::unpack(slot.value.load(Ordering::Relaxed))
                    .is_some_and(|old| self.counts(old, seen.seen) && live(old))
        };
        let room = |bucket: &Bucket| bucket.0.iter().filter(free).count();
        let bucket = if room(second) > room(first) { second } else { first };
        let Some(slot) = bucket.0.iter().find(free) else { return Lesson::Full };
        slot.key.store(0, Ordering::Release);
        slot.value.store(seen.pack(), Ordering::Release);
        slot.key.store(key.0, Ordering::Release);
        Lesson::New
    }

    /// Frees what no longer counts in one part of `parts` of the table. By the worker.
    pub fn sweep(&self, part: usize, parts: usize, now: Second, live: impl Fn(Learned) -> bool) {
        let parts = parts.max(1);
        let size = self.buckets.len().div_ceil(parts);
        let from = (part % parts) * size;
        for bucket in self.buckets.iter().skip(from).take(size) {
            for slot in &bucket.0 {
                if slot.key.load(Ordering::Relaxed) == 0 {
                    continue;
                }
                let old = Learned::unpack(slot.value.load(Ordering::Relaxed));
                if !old.is_some_and(|old| self.counts(old, now) && live(old)) {
                    slot.key.store(0, Ordering::Release);
                }
            }
        }
    }

    /// Frees everything.
    pub fn clear(&self) {
        self.buckets
            .iter()
            .flat_map(|bucket| &bucket.0)
            .for_each(|slot| slot.key.store(0, Ordering::Release));
    }

    /// The entries that count now, in no order. From any thread.
    pub fn entries(&self, now: Second, live: impl Fn(Learned) -> bool) -> Vec<Entry> {
        let mut entries = Vec::new();
        for slot in self.buckets.iter().flat_map(|bucket| &bucket.0) {
            let key = slot.key.load(Ordering::Acquire);
            let value = slot.value.load(Ordering::Acquire);
            if key == 0 || slot.key.load(Ordering::Relaxed) != key {
                continue;
            }
            let Some(learned) = Learned::unpack(value) else { continue };
            if self.counts(learned, now) && live(learned) {
                let (vlan, mac) = Key(key).parts();
                entries.push(Entry { vlan, mac, learned, age: now.since(learned.seen) });
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
