//! A guest's driver that lies: two rings in memory that it may fill with anything, behind the real data path, beside a
//! vNIC of a guest that keeps to the rules.

use super::steps::Steps;
use crate::driver::{BASE, GuestMemory, HEADER, Log};
use crate::world::beside::{Beside, FAR, LIAR};
use crate::world::frames::{frame, mac};
use link::{Nanos, OutFrame, Taken, TxQueue};
use niv_adapter::vhost::memory::{DirtyLog, MemoryMap, Region};
use niv_adapter::vhost::ring::{
    Direction, Offloads, RingAddress, RingFeatures, RingLog, RingSetup, RingSlot, VringRx, VringTx,
};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Regions: the second follows the first one without a gap, the third one behind a hole.
const REGIONS: [(u64, u64); 3] = [(BASE, FIRST), (BASE + FIRST, 0x4000), (BASE + 0x20000, 0x4000)];
const FIRST: u64 = 0x1_0000;
/// Each ring's parts: its descriptor table, available ring and used ring.
const RINGS: [[u64; 3]; 2] =
    [[BASE, BASE + 0x1000, BASE + 0x2000], [BASE + 0x4000, BASE + 0x5000, BASE + 0x6000]];
/// The ring that it sends on, and the one that it receives on.
const FROM_GUEST: usize = 0;
const TO_GUEST: usize = 1;
/// Where buffers and indirect tables are.
const BUFFERS: u64 = BASE + 0x8000;

/// What the guest writes into its memory at the moment at which its frames are sent: octets behind an address.
type Race = Arc<Mutex<Option<(u64, Vec<u8>)>>>;

/// The link, and a guest that has waited for it.
struct Racing {
    link: Box<dyn TxQueue>,
    memory: Arc<GuestMemory>,
    race: Race,
}

impl TxQueue for Racing {
    fn send(&mut self, now: Nanos, frames: &[OutFrame<'_>]) -> Taken {
        if let Some((at, octets)) = self.race.lock().take() {
            self.memory.write(at, &octets);
        }
        self.link.send(now, frames)
    }

    fn kick(&mut self) {
        self.link.kick();
    }

    fn is_up(&self) -> bool {
        self.link.is_up()
    }

    fn room(&self, wanted: usize) -> usize {
        self.link.room(wanted)
    }
}

struct World {
    both: Beside,
    memory: Arc<GuestMemory>,
    map: Arc<MemoryMap>,
    /// A dirty log with bits for the first region only.
    log: Arc<DirtyLog>,
    slots: [Arc<RingSlot>; 2],
    /// The ring that was set up last is packed.
    packed: [AtomicBool; 2],
    race: Race,
}

impl World {
    fn new() -> Self {
        let memory = Arc::new(GuestMemory::with_regions(&REGIONS).expect("memory"));
        let regions = memory.regions().iter().map(|info| Region::map(*info, memory.fd()).map(Arc::new));
        let map = MemoryMap::new(regions.collect::<Result<_, _>>().expect("mapped")).expect("a map");
        let bits = Log::new(BASE + FIRST).expect("memory");
        let log = DirtyLog::map(bits.fd(), 0, bits.octets(), Arc::default()).expect("mapped");
        let slots =
            [Direction::FromGuest, Direction::ToGuest].map(|way| Arc::new(RingSlot::without_event(way)));
        let race = Race::default();
        let queues =
            (VringRx::new(Arc::clone(&slots[FROM_GUEST])), VringTx::new(Arc::clone(&slots[TO_GUEST])));
        let (guest, told) = (Arc::clone(&memory), Arc::clone(&race));
        let both = Beside::new(queues, |link| Box::new(Racing { link, memory: guest, race: told }));
        Self { both, memory, map: Arc::new(map), log: Arc::new(log), slots, packed: Default::default(), race }
    }

    /// (Re)starts a ring, wherever the front end says it is; most often where it should be.
    fn start(&self, ring: usize, steps: &mut Steps<'_>) {
        let bits = steps.octet();
        let mut at = RINGS[ring];
        if bits & 1 != 0 {
            at[usize::from(steps.below(3))] = address(steps);
        }
        let [desc, avail, used] = at.map(|guest| self.user(guest));
        // A bit of the size says whether the ring is packed; such a one may have any size.
        let (size, packed) = if bits & 2 != 0 {
            let word = steps.word();
            if word & 0x8000 != 0 { (word & 0x1ff, true) } else { (word, false) }
        } else {
            let octet = steps.octet();
            (1 << ((octet & 0x7f) % 9), octet & 0x80 != 0)
        };
        let all = Offloads { checksum: true, tso4: true, tso6: true, ecn: true, uso: true };
        let started = self.slots[ring].start(&RingSetup {
            memory: Arc::clone(&self.map),
            at: RingAddress { desc, avail, used },
            size,
            base: if bits & 4 != 0 { steps.word() } else { 0 },
            features: RingFeatures {
                packed,
                indirect: bits & 8 == 0,
                event_idx: bits & 16 == 0,
                mergeable: bits & 32 == 0,
                offloads: if bits & 64 == 0 { all } else { Offloads::default() },
                takes: if bits & 64 == 0 { all } else { Offloads::default() },
            },
            kick: None,
            call: None,
            err: None,
            log: (bits & 128 != 0).then(|| RingLog {
                log: Arc::clone(&self.log),
                buffers: true,
                used: Some(address(steps)),
                desc: Some(address(steps)),
                news: None,
            }),
            inflight: None,
        });
        self.packed[ring].store(packed, Ordering::Relaxed);
        assert!(started.is_err() || self.slots[ring].is_running());
    }

    /// Our address of a guest's one: of what is outside, one that no region has.
    fn user(&self, guest: u64) -> u64 {
        let region = self
            .memory
            .regions()
            .iter()
            .find(|region| (region.guest..region.guest + region.size).contains(&guest));
        region.map_or(guest, |region| region.user + (guest - region.guest))
    }

    /// Writes octets, as far as there is memory: a guest cannot write elsewhere.
    fn write(&self, at: u64, octets: &[u8]) {
        let Some(octets) = self.fitting(at, octets) else { return };
        self.memory.write(at, octets);
    }

    fn fitting<'a>(&self, at: u64, octets: &'a [u8]) -> Option<&'a [u8]> {
        let region = self
            .memory
            .regions()
            .iter()
            .find(|region| (region.guest..region.guest + region.size).contains(&at))?;
        let room = region.guest + region.size - at;
        octets.get(..octets.len().min(usize::try_from(room).unwrap_or(0)))
    }

    /// Makes so many more slots of a packed ring available; `false` where the ring is split.
    fn offer_packed(&self, ring: usize, slots: u8) -> bool {
        const WRAP: u16 = 1 << 15;
        let [packed, size, next] = self.place(ring);
        let mut pos = next;
        for _ in 0..if packed == 0 { 0 } else { slots } {
            let at = RINGS[ring][0] + 16 * u64::from(pos & !WRAP) + 14;
            if self.fitting(at, &[0; 2]).is_some_and(|octets| octets.len() == 2) {
                let round = if pos & WRAP != 0 { 1 << 7 } else { 1 << 15 };
                self.write16(at, self.read16(at) & 7 | round);
            }
            pos = if (pos & !WRAP) + 1 < size { pos + 1 } else { (pos ^ WRAP) & WRAP };
        }
        packed != 0
    }

    /// Whether a ring runs packed, its slots, and where the device is.
    fn place(&self, ring: usize) -> [u16; 3] {
        let packed = u16::from(self.packed[ring].load(Ordering::Relaxed));
        self.slots[ring].indices().map_or([0; 3], |at| [packed, at.size, at.next_avail])
    }

    fn write16(&self, at: u64, word: u16) {
        self.write(at, &word.to_le_bytes());
    }

    fn read16(&self, at: u64) -> u16 {
        let mut octets = [0; 2];
        self.memory.read(at, &mut octets);
        u16::from_le_bytes(octets)
    }
}

/// An address: in the buffers, near an end, in the hole, or anywhere.
fn address(steps: &mut Steps<'_>) -> u64 {
    let kind = steps.below(8);
    let word = u64::from(steps.word());
    match kind {
        0..=2 => BUFFERS + word % 0x8000,
        3 => BASE + FIRST - word % 32,
        4 => BASE + FIRST + 0x4000 - word % 32,
        5 => BASE + 0x20000 + word % 0x4000,
        6 => BASE + word,
        _ => u64::from(steps.number()) << 32 | u64::from(steps.number()),
    }
}

fn length(steps: &mut Steps<'_>) -> u32 {
    match steps.below(8) {
        0 => u32::from(steps.octet() % 16),
        1..=3 => 60 + u32::from(steps.octet()),
        4 => u32::from(steps.word()),
        5 => [u32::MAX, 1 << 31, 0x1_0000, 0x1_000d][usize::from(steps.below(4))],
        6 => steps.number(),
        _ => 1526,
    }
}

/// A descriptor of a packed ring or table: address, length, id, flags; mostly available in the first round.
fn packed_descriptor(steps: &mut Steps<'_>) -> [u8; 16] {
    let (addr, len, flags, octet) =
        (address(steps), length(steps), u16::from(steps.below(8)), u16::from(steps.octet()));
    let round = [1 << 7, 1 << 7, 1 << 15, 1 << 7 | 1 << 15][usize::from(octet & 3)];
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&addr.to_le_bytes());
    octets[8..12].copy_from_slice(&len.to_le_bytes());
    octets[12..14].copy_from_slice(&(octet >> 2).to_le_bytes());
    octets[14..].copy_from_slice(&(flags | round).to_le_bytes());
    octets
}

/// A descriptor: address, length, flags, next.
fn descriptor(steps: &mut Steps<'_>) -> [u8; 16] {
    let (addr, len, flags, next) =
        (address(steps), length(steps), u16::from(steps.below(8)), u16::from(steps.octet()));
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&addr.to_le_bytes());
    octets[8..12].copy_from_slice(&len.to_le_bytes());
    octets[12..14].copy_from_slice(&flags.to_le_bytes());
    octets[14..].copy_from_slice(&next.to_le_bytes());
    octets
}

/// What the guest does.
pub(super) fn run(input: &[u8]) {
    let mut steps = Steps::new(input);
    let mut world = World::new();
    for ring in [FROM_GUEST, TO_GUEST] {
        world.start(ring, &mut steps);
    }
    while !steps.is_over() {
        let step = steps.octet();
        let ring = usize::from(step >> 7);
        let [desc, avail, used] = RINGS[ring];
        match step % 13 {
            0 | 1 => {
                let index = u64::from(steps.octet());
                let octets = if world.place(ring)[0] == 0 {
                    descriptor(&mut steps)
                } else {
                    packed_descriptor(&mut steps)
                };
                world.write(desc + 16 * index, &octets);
            }
            2 => {
                let index = u64::from(steps.octet());
                let octets = if world.place(ring)[0] == 0 {
                    descriptor(&mut steps)
                } else {
                    packed_descriptor(&mut steps)
                };
                world.write(BUFFERS + 16 * index, &octets);
            }
            3 => world.write16(avail + 4 + 2 * u64::from(steps.octet()), u16::from(steps.octet())),
            // Some more, mostly; or any number.
            4 | 5 => {
                let more = steps.below(8);
                if !world.offer_packed(ring, more) {
                    let index = world.read16(avail + 2).wrapping_add(more.into());
                    world.write16(avail + 2, index);
                }
            }
            6 => world.write16(avail + 2, steps.word()),
            7 => world.write16(avail + 2 * u64::from(steps.word() % 600), steps.word()),
            8 => {
                let at = address(&mut steps);
                world.write(at, steps.octets());
            }
            9 => {
                let at = address(&mut steps);
                let octets = world.fitting(at, steps.octets()).map(<[u8]>::to_vec);
                *world.race.lock() = octets.map(|octets| (at, octets));
            }
            10 => {
                let len = usize::from(steps.word()) % 9018;
                world.both.send(&vec![0x5a; len]);
            }
            11 => {
                if steps.flag() {
                    world.slots[ring].stop();
                }
                world.start(ring, &mut steps);
            }
            _ => {
                world.write16(used + 2 * u64::from(steps.word() % 2052), steps.word());
            }
        }
        if step & 0x40 != 0 {
            world.both.run();
        }
    }
    world.both.run();
}

/// One step of [`run`]: its kind, on which ring, and whether the worker works behind it.
const fn step(kind: u8, ring: usize, works: bool) -> u8 {
    // The least number of that remainder with these two bits.
    let mut step = (ring as u8) << 7 | (works as u8) << 6;
    while step % 13 != kind {
        step += 1;
    }
    step
}

/// Drivers that keep to the rules, with one frame each way, also by packed rings; and with what they may leave undone.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let packed = vec![0, 0x80 | 4, 0, 0x80 | 4];
    let rings = [&[0, 4, 0][..2], &[0, 4][..]].concat();
    let buffer = |ring: usize, kind: u8, flags: u8| {
        // Descriptor 0, in the buffers, 1,526 octets.
        [&[step(0, ring, false), 0, 0, 0, 0, kind, flags, 0][..], &[step(3, ring, false), 0, 0][..]].concat()
    };
    let offer = |ring: usize, works: bool| vec![step(4, ring, works), 1];
    let ethernet = frame(mac(FAR), mac(LIAR)).ipv4(40);
    let with_header = |header: [u8; HEADER]| {
        let octets = [&header[..], &ethernet].concat();
        [&[step(8, FROM_GUEST, false), 0, 0, 0, octets.len() as u8][..], &octets].concat()
    };
    let whole = with_header([0; HEADER]);
    let undone = with_header([1, 1, 54, 0, 20, 0, 14, 0, 6, 0, 0, 0]);
    let receive =
        [buffer(TO_GUEST, 7, 2), offer(TO_GUEST, false), vec![step(10, TO_GUEST, true), 0, 100]].concat();
    let send = |frame: &[u8]| [frame, &buffer(FROM_GUEST, 1, 0)[..], &offer(FROM_GUEST, true)[..]].concat();
    let race = vec![step(9, FROM_GUEST, false), 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff];
    vec![
        [rings.clone(), send(&whole), receive.clone()].concat(),
        [packed, send(&whole), receive.clone()].concat(),
        [rings.clone(), send(&undone), receive].concat(),
        [rings, race, send(&whole)].concat(),
    ]
}
