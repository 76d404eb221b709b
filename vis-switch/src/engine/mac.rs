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
//! Where both buckets are full, one address of theirs that is in its first bucket makes room by going to its second one, if
//! there is room. It is there before it is not here any more, and readers look into the second bucket after the first: none
//! misses it. Nothing ever goes the other way.
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

impl Slot {
    /// For whoever holds the lock of the bucket, and has found it free.
    fn put(&self, key: Key, value: u64) {
        self.key.store(0, Ordering::Release);
        self.value.store(value, Ordering::Release);
        self.key.store(key.0, Ordering::Release);
    }

    /// Makes it free, if it is still this key's.
    fn free(&self, key: Key) -> bool {
        self.key.compare_exchange(key.0, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
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
        // Where nine tenths of the slots are taken, fewer than one key in a thousand has found no room.
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
        let places = self.places(key);
        let [first, second] = places.map(|place| &self.buckets[place]);
        let free = |slot: &&Slot| {
            slot.key.load(Ordering::Relaxed) == 0
                || !Learned::unpack(slot.value.load(Ordering::Relaxed))
                    .is_some_and(|old| self.counts(old, seen.seen) && live(old))
        };
        let room = |bucket: &Bucket| bucket.0.iter().filter(free).count();
        let bucket = if room(second) > room(first) { second } else { first };
        let slot = bucket.0.iter().find(free).map_or_else(|| self.make_room(places, free), Ok);
        match slot {
            Ok(slot) => {
                slot.put(key, seen.pack());
                Lesson::New
            }
            Err(lesson) => lesson,
        }
    }

    /// Moves one address from one of these full buckets, whose locks are held, to its second one. The slot that it leaves, or why
    /// there is none.
    fn make_room(&self, places: [usize; 2], free: impl Fn(&&Slot) -> bool) -> Result<&Slot, Lesson> {
        let lock_of = |place: usize| place % self.locks.len();
        let mut lesson = Lesson::Full;
        for place in places {
            for slot in &self.buckets[place].0 {
                let key = Key(slot.key.load(Ordering::Relaxed));
                let [from, to] = self.places(key);
                if from != place {
                    continue;
                }
                let _lock = match self.lock(to) {
                    None if !places.map(lock_of).contains(&lock_of(to)) => {
                        lesson = Lesson::Busy;
                        continue;
                    }
                    lock => lock,
                };
                let Some(other) = self.buckets[to].0.iter().find(&free) else { continue };
                other.put(key, slot.value.load(Ordering::Relaxed));
                if !slot.free(key) {
                    // It was forgotten meanwhile.
                    other.free(key);
                }
                return Ok(slot);
            }
        }
        Err(lesson)
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

    /// Forgets one address. By any worker, wherever another one moves it meanwhile.
    pub(super) fn forget(&self, key: Key) {
        while let Some((slot, _)) = self.find(key) {
            slot.free(key);
        }
    }

    /// Frees everything. What other workers learn or move meanwhile may stay.
    pub fn clear(&self) {
        self.buckets
            .iter()
            .flat_map(|bucket| &bucket.0)
            .for_each(|slot| slot.key.store(0, Ordering::Release));
    }

    /// The entries that count now, in no order. From any thread; one that is moved meanwhile may be missing, or there twice.
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
mod tests;
