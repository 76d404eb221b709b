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
//!
//! Any number of workers may learn. Whoever writes into a bucket holds its lock, which it only tries: where another worker
//! is just there, the address is learned from a later frame. An address that is known as it is costs no lock and no store,
//! so each is written once a second at the most, however many workers see it.

use super::address::Address;
use super::lif::{Generation, LifId};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use link::prefetch;
use parking_lot::{Mutex, MutexGuard};
use vntag::ethernet::Mac;

const SLOTS: usize = 4;

/// A table of more octets than this is not in a core's own cache.
const CACHED: usize = 1 << 20;

const VALID: u64 = 1 << 63;
const SECONDS: u32 = (1 << 24) - 1;
/// Seconds by which one worker's turn may have begun after another's.
const AHEAD: u32 = 64;
/// Locks of a table, at the most; buckets share them.
const LOCKS: usize = 1024;
/// Each second one part of so many is swept.
const SWEEP_PARTS: u32 = 64;

/// A (VLAN, MAC) pair.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Key(u64);

impl Key {
    /// The key of nothing.
    pub const NONE: Self = Self(0);

    /// From its parts.
    #[inline]
    pub(super) fn of(vlan: u16, address: Address) -> Self {
        Self(VALID | u64::from(vlan) << 48 | address.get())
    }

    pub(super) fn parts(self) -> (u16, Mac) {
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

    /// Seconds from `earlier` to this one. None from one that is a little later: workers do not begin their turns at the
    /// same moment, and read what others have just written.
    #[must_use]
    pub fn since(self, earlier: Self) -> u32 {
        let seconds = self.0.wrapping_sub(earlier.0) & SECONDS;
        if seconds > SECONDS - AHEAD { 0 } else { seconds }
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
    /// Another worker writes there: nothing was done.
    Busy,
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
    /// Held by whoever writes into the buckets whose number it divides.
    locks: Box<[Mutex<()>]>,
    /// The second in which a part was last swept, below the number of the next part.
    swept: AtomicU64,
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
            locks: (0..buckets.min(LOCKS)).map(|_| Mutex::new(())).collect(),
            swept: AtomicU64::new(0),
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

    /// The numbers of the two buckets where a key may be.
    #[inline]
    fn places(&self, key: Key) -> [usize; 2] {
        let product = u128::from(key.0 ^ self.seed) * 0x9e37_79b9_7f4a_7c15;
        let hash = (product >> 64) as u64 ^ product as u64;
        let first = (hash >> self.shift) as usize;
        // The low bits, moved up; never the first choice again.
        let second = (hash << 32 >> self.shift) as usize;
        let second = if second == first { first ^ 1 } else { second };
        [first, second]
    }

    #[inline]
    fn choices(&self, key: Key) -> [&Bucket; 2] {
        self.places(key).map(|place| &self.buckets[place])
    }

    /// The right to write into a bucket, unless somebody has it.
    fn lock(&self, place: usize) -> Option<MutexGuard<'_, ()>> {
        self.locks[place % self.locks.len()].try_lock()
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

    /// Notes that `key` was seen. `live` says whether an entry's generation still counts. From any worker.
    #[inline]
    pub fn learn(&self, key: Key, seen: Learned, live: impl Fn(Learned) -> bool) -> Lesson {
        match self.find(key) {
            Some((_, value)) if value == seen.pack() => Lesson::Known,
            _ => self.note(key, seen, live),
        }
    }

    /// The same where something is to be written.
    #[cold]
    fn note(&self, key: Key, seen: Learned, live: impl Fn(Learned) -> bool) -> Lesson {
        let [first, second] = self.places(key);
        let Some(_first) = self.lock(first) else { return Lesson::Busy };
        let shared = first % self.locks.len() == second % self.locks.len();
        let _second = match self.lock(second) {
            None if !shared => return Lesson::Busy,
            lock => lock,
        };
        // Whatever was seen without the locks may be another's by now.
        let Some((slot, value)) = self.find(key) else { return self.insert(key, seen, live) };
        slot.value.store(seen.pack(), Ordering::Release);
        match Learned::unpack(value) {
            Some(old) if old.lif == seen.lif && old.generation == seen.generation => Lesson::Known,
            Some(old) if self.counts(old, seen.seen) && live(old) => Lesson::Moved,
            _ => Lesson::New,
        }
    }

    fn counts(&self, learned: Learned, now: Second) -> bool {
        now.since(learned.seen) <= self.ageing
    }

    /// For whoever holds the locks of both buckets.
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

    /// Frees what no longer counts in the part whose turn it is; once a second, by whichever worker asks first.
    pub fn sweep_due(&self, now: Second, live: impl Fn(Learned) -> bool) {
        let before = self.swept.load(Ordering::Relaxed);
        let (last, part) = (Second(before as u32 & SECONDS), (before >> 32) as u32);
        if now.since(last) == 0 {
            return;
        }
        // After a long sleep everything is looked at before a stale second could seem young again.
        let parts = if now.since(last) > SWEEP_PARTS { 1 } else { SWEEP_PARTS };
        let next = u64::from((part + 1) % SWEEP_PARTS) << 32 | u64::from(now.0);
        if self.swept.compare_exchange(before, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.sweep(part as usize, parts as usize, now, live);
        }
    }

    /// Frees what no longer counts in one part of `parts` of the table. Where another worker writes, the next sweep does.
    pub fn sweep(&self, part: usize, parts: usize, now: Second, live: impl Fn(Learned) -> bool) {
        let parts = parts.max(1);
        let size = self.buckets.len().div_ceil(parts);
        let from = (part % parts) * size;
        for (place, bucket) in self.buckets.iter().enumerate().skip(from).take(size) {
            let is_old = |slot: &Slot| {
                let old = Learned::unpack(slot.value.load(Ordering::Relaxed));
                slot.key.load(Ordering::Relaxed) != 0
                    && !old.is_some_and(|old| self.counts(old, now) && live(old))
            };
            if bucket.0.iter().any(is_old)
                && let Some(_lock) = self.lock(place)
            {
                bucket
                    .0
                    .iter()
                    .filter(|slot| is_old(slot))
                    .for_each(|slot| slot.key.store(0, Ordering::Release));
            }
        }
    }

    /// Whether an address is known to be behind this interface, in this generation of what was learned there.
    #[inline]
    pub(super) fn is_behind(&self, key: Key, lif: LifId, generation: Generation, now: Second) -> bool {
        self.lookup(key, now).is_some_and(|learned| learned.lif == lif && learned.generation == generation)
    }

    /// Forgets one address. By any worker: what another one learns in its place meanwhile is learned again.
    pub(super) fn forget(&self, key: Key) {
        if let Some((slot, _)) = self.find(key) {
            slot.key.store(0, Ordering::Release);
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
}
