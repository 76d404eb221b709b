//! What is particular to packed rings: guests that break their rules, each counted under its name; and a device that was
//! killed between any two of its writes. Their laws and their dirty log are tested with those of split rings.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use link::{OutFrame, RxBurst, RxQueue};
use niv_adapter::vhost::ring::{Fault, RingSlot};
use niv_lab::driver::{BASE, Features, GuestMemory, HEADER, INDIRECT, NEXT, VirtualNic, WRITE};
use niv_lab::world::Beside;
use niv_lab::world::beside::{FAR, LIAR};
use niv_lab::world::frames::{frame, mac};
use proptest::prelude::*;

/// A guest of two regions with a hole between them.
const REGIONS: [(u64, u64); 2] = [(BASE, 1 << 21), (BASE + (1 << 22), 8192)];
const HOLE: u64 = BASE + (1 << 21);
const WRAP: u16 = 1 << 15;

fn small() -> Features {
    Features { packed: true, in_order: true, queue_size: 13, ..Features::default() }
}

fn faults(slot: &RingSlot) -> Vec<(Fault, u64)> {
    Fault::ALL.iter().map(|f| (*f, slot.counters().faults(*f))).filter(|(_, n)| *n > 0).collect()
}

/// A frame of a guest that may pass.
fn good(n: u8) -> Vec<u8> {
    frame(mac(FAR), mac(LIAR)).payload(0x88b5, &[n; 46])
}

struct Bench {
    nic: VirtualNic,
    both: Beside,
    /// Memory for buffers and tables.
    at: u64,
}

fn bench(features: Features) -> Bench {
    let memory = GuestMemory::with_regions(&REGIONS).unwrap();
    let nic = VirtualNic::in_memory(memory, features).unwrap();
    nic.start(nic.origins());
    let both = Beside::new(nic.queues(), |link| link);
    let at = nic.driver.memory().alloc(65_536, 16);
    Bench { nic, both, at }
}

/// One descriptor: address, length, id, flags.
type Desc = (u64, u32, u16, u16);

impl Bench {
    /// Offers these descriptors behind each other on the guest's transmit ring, as one chain with the last id.
    fn offer(&mut self, descs: &[Desc]) {
        let ring = self.nic.driver.tx.packed();
        let pos = ring.skip(descs.len() as u16);
        for (n, (addr, len, id, flags)) in descs.iter().enumerate().rev() {
            ring.write_at(ring.after(pos, n as u16), *addr, *len, *id, *flags);
        }
        let id = descs.last().map_or(0, |(_, _, id, _)| *id);
        ring.remember(id, descs.len() as u16);
    }

    fn table(&self, entries: &[(u64, u32, u16)]) {
        for (i, (addr, len, flags)) in entries.iter().enumerate() {
            let at = self.at + 16 * i as u64;
            self.nic.driver.memory().store64(at, *addr);
            self.nic.driver.memory().store64(at + 8, u64::from(*len) | u64::from(*flags) << 48);
        }
    }
}

/// What a guest offers that is wrong, given memory of its own.
type Break = fn(&mut Bench) -> Vec<Desc>;

/// An id that no frame of these tests has: ids are given from the last one on.
const ID: u16 = 0;

#[test]
fn each_broken_chain_costs_one_frame_under_its_name() {
    let cases: &[(&str, Fault, Break)] = &[
        ("a buffer in the hole", Fault::BadAddress, |_| vec![(HOLE, 64, ID, 0)]),
        ("a buffer that ends in the hole", Fault::BadAddress, |_| vec![(HOLE - 8, 64, ID, 0)]),
        ("address and length beyond 64 bits", Fault::BadAddress, |_| vec![(u64::MAX - 8, 64, ID, 0)]),
        ("a buffer of 4 GiB", Fault::Oversize, |b| vec![(b.at, u32::MAX, ID, 0)]),
        ("an id that the ring does not have", Fault::BadDescriptor, |b| vec![(b.at, 64, 13, 0)]),
        ("the greatest id", Fault::BadDescriptor, |b| vec![(b.at, 64, u16::MAX, 0)]),
        ("an id behind the ring, in the last of a chain", Fault::BadDescriptor, |b| {
            vec![(b.at, 64, ID, NEXT), (b.at, 64, 99, 0)]
        }),
        ("a buffer the device may write", Fault::BadChain, |b| vec![(b.at, 64, ID, WRITE)]),
        ("a writable tail", Fault::BadChain, |b| vec![(b.at, 64, ID, NEXT), (b.at, 64, ID, WRITE)]),
        ("no room for a header", Fault::ShortHeader, |b| vec![(b.at, 11, ID, 0)]),
        ("nothing at all", Fault::ShortHeader, |b| vec![(b.at, 0, ID, 0)]),
        ("nothing at all, several times", Fault::ShortHeader, |b| {
            vec![(b.at, 0, ID, NEXT), (b.at, 0, ID, NEXT), (b.at, 0, ID, 0)]
        }),
        ("an offload nobody offered", Fault::BadHeader, |b| {
            b.nic.driver.memory().write(b.at, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            vec![(b.at, 64, ID, 0)]
        }),
        ("an empty table", Fault::BadChain, |b| vec![(b.at, 0, ID, INDIRECT)]),
        ("a table of a length that is none", Fault::BadChain, |b| vec![(b.at, 24, ID, INDIRECT)]),
        ("a table that is not aligned", Fault::BadChain, |b| vec![(b.at + 4, 32, ID, INDIRECT)]),
        ("a table in the hole", Fault::BadAddress, |_| vec![(HOLE, 32, ID, INDIRECT)]),
        ("a table in a chain", Fault::BadChain, |b| vec![(b.at, 16, ID, INDIRECT | NEXT), (b.at, 64, ID, 0)]),
        ("a table at the end of a chain", Fault::BadChain, |b| {
            vec![(b.at, 64, ID, NEXT), (b.at, 16, ID, INDIRECT)]
        }),
        ("a table in a table", Fault::BadChain, |b| {
            b.table(&[(b.at, 16, INDIRECT)]);
            vec![(b.at, 16, ID, INDIRECT)]
        }),
        ("a table longer than any chain", Fault::ChainLoop, |b| vec![(b.at, 65_536, ID, INDIRECT)]),
        ("a table longer than any frame", Fault::Oversize, |b| {
            b.table(&[(b.at, 200, 0); 400]);
            vec![(b.at, 6400, ID, INDIRECT)]
        }),
    ];
    for (name, fault, break_it) in cases {
        for before in [0, 1, 3] {
            let mut bench = bench(small());
            for n in 0..before {
                assert!(bench.nic.driver.queue(&good(n)));
            }
            bench.nic.driver.flush();
            let descs = break_it(&mut bench);
            bench.offer(&descs);
            for n in before..before + 2 {
                assert!(bench.nic.driver.queue(&good(n)));
            }
            bench.nic.driver.flush();
            let frames = bench.both.run();
            let want: Vec<_> = (0..before + 2).map(good).collect();
            assert_eq!(frames, want, "{name}: the frames around it");
            assert_eq!(faults(&bench.nic.from_guest), [(*fault, 1)], "{name}");
            let given = bench.nic.driver.tx.packed().unseen().len();
            assert_eq!(given, usize::from(before) + 3, "{name}: everything is given back, in order");
            assert!(bench.nic.from_guest.is_running());
        }
    }
}

#[test]
fn a_chain_without_an_end_stops_that_ring_until_it_is_set_up_again() {
    let mut bench = bench(small());
    assert!(bench.nic.driver.queue(&good(1)));
    bench.nic.driver.flush();
    assert_eq!(bench.both.run(), [good(1)]);
    let ring = bench.nic.driver.tx.packed();
    let pos = ring.after(WRAP, 1);
    for n in 0..13 {
        ring.write_at(ring.after(pos, n), bench.at, 1, ID, NEXT);
    }
    assert!(bench.both.run().is_empty());
    assert_eq!(faults(&bench.nic.from_guest), [(Fault::ChainLoop, 1)]);
    assert_eq!(bench.nic.from_guest.broken(), Some(Fault::ChainLoop));
    bench.nic.driver.reset();
    bench.nic.start(bench.nic.origins());
    assert!(bench.nic.driver.queue(&good(2)));
    bench.nic.driver.flush();
    assert_eq!(bench.both.run(), [good(2)]);
}

/// DPDK's driver says of the header in a table that the device may write it, even where the device is to read.
#[test]
fn a_table_of_which_the_device_may_write_the_header_is_read() {
    let mut bench = bench(small());
    let (at, frame) = (bench.at + 4096, good(3));
    bench.nic.driver.memory().write(at, &[&[0; HEADER][..], &frame].concat());
    bench.table(&[(at, HEADER as u32, WRITE), (at + HEADER as u64, frame.len() as u32, 0)]);
    let table = bench.at;
    bench.offer(&[(table, 32, ID, INDIRECT)]);
    assert_eq!(bench.both.run(), [frame]);
    assert_eq!(faults(&bench.nic.from_guest), []);
}

#[test]
fn indirect_without_having_been_negotiated() {
    let mut bench = bench(Features { indirect: false, ..small() });
    bench.table(&[(bench.at, 64, 0)]);
    let at = bench.at;
    bench.offer(&[(at, 16, ID, INDIRECT)]);
    assert!(bench.both.run().is_empty());
    assert_eq!(faults(&bench.nic.from_guest), [(Fault::BadChain, 1)]);
}

/// A wrap counter that is turned, or flags that are both set, make nothing available: the device waits, and nobody pays.
#[test]
fn flags_of_another_round_offer_nothing() {
    for flags in [0, 1 << 15, 1 << 7 | 1 << 15] {
        let mut bench = bench(small());
        let ring = bench.nic.driver.tx.packed();
        ring.write_at(WRAP, bench.at, 64, ID, 0);
        let at = ring.slot(WRAP) + 14;
        bench.nic.driver.memory().store16(at, flags);
        assert!(bench.both.run().is_empty());
        assert_eq!(faults(&bench.nic.from_guest), []);
        assert!(bench.nic.from_guest.is_running());
    }
}

#[test]
fn rings_may_have_any_size() {
    for size in (1..40).chain([255, 257, 1000, 32_767, 32_768]) {
        let features = Features { queue_size: size, max_frame: 60, rx_buffer: 128, ..small() };
        let (mut driver, mut rx, mut tx) = VirtualNic::ends(features).unwrap();
        for n in 0..100u8 {
            assert!(driver.queue(&good(n)), "{size}");
            driver.flush();
            let mut burst = RxBurst::new();
            rx.recv(0, 1, &mut burst);
            assert_eq!(burst[0].data.to_vec(), good(n), "{size}");
            drop(burst);
            rx.release(1);
            let down = good(n);
            assert_eq!(tx.send(0, &[OutFrame::private(&down)]).frames, 1, "{size}");
            assert_eq!(driver.poll(), Some(down), "{size}");
        }
    }
}

// ----- a device that was killed -----

/// Octets of memory that changed between two copies, in 8-octet words.
fn changed(before: &[u8], after: &[u8]) -> Vec<usize> {
    (0..before.len()).step_by(8).filter(|at| before[*at..at + 8] != after[*at..at + 8]).collect()
}

/// Where the guest's transmit ring is, and its octets.
fn ring_image(nic: &VirtualNic) -> (u64, Vec<u8>) {
    let (desc, _, device) = nic.driver.tx.parts();
    let mut image = vec![0; (device + 4 - desc) as usize];
    nic.driver.memory().read(desc, &mut image);
    (desc, image)
}

/// The octets of the ring as a device leaves them that was killed before its `n`th write of a burst; `None` when there were fewer.
/// The writes are those that `ring::packed` says: slots behind a chain's first one, then the first one; before the second
/// chain, the first slot of all as it will be but hidden; last the device's place and that first slot.
fn killed(
    before: &[u8],
    after: &[u8],
    size: u16,
    from: u16,
    chains: &[u16],
    device: usize,
    n: usize,
) -> Option<Vec<u8>> {
    let mut image = before.to_vec();
    let mut writes: Vec<(usize, Vec<u8>)> = Vec::new();
    let copy = |at: usize, len: usize| (at, after[at..at + len].to_vec());
    let slot = |ahead: u16| 16 * usize::from(((from & !WRAP) + ahead) % size);
    let mut ahead = 0;
    for (i, slots) in chains.iter().enumerate() {
        if i == 1 {
            // Length and id, with the flags that were there and bit 14.
            let at = slot(0) + 8;
            writes.push((at, [&after[at..at + 6], &[before[at + 6], before[at + 7] | 0x40]].concat()));
        }
        writes.extend((1..*slots).map(|behind| copy(slot(ahead + behind) + 14, 2)));
        if i > 0 {
            writes.push(copy(slot(ahead) + 8, 8));
        }
        ahead += slots;
    }
    writes.push(copy(device, 2));
    writes.push(copy(slot(0) + 8, 8));
    if n > writes.len() {
        return None;
    }
    for (at, octets) in &writes[..n] {
        image[*at..at + octets.len()].copy_from_slice(octets);
    }
    if n == writes.len() {
        assert_eq!(changed(&image, after), [] as [usize; 0], "the test knows what a burst writes");
    }
    Some(image)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Frames pass for a while; in the middle of handing over a burst the device is killed, and the front end names an old
    /// place, or any. All that the driver offered comes back to it once, in order, and frames go on.
    #[test]
    fn a_ring_says_where_its_device_was_killed(
        size in 3u16..24,
        pieces in 1usize..4,
        bursts in prop::collection::vec(1usize..9, 0..12),
        last in 1usize..6,
        stale in any::<u16>(),
    ) {
        for n in 0.. {
            let features = Features { indirect: false, queue_size: size, tx_pieces: pieces.min(size.into()), ..small() };
            let mut nic = VirtualNic::stopped(features).unwrap();
            nic.start(nic.origins());
            let (mut rx, _tx) = nic.queues();
            let mut number = 0u8;
            let mut pass = |nic: &mut VirtualNic, rx: &mut dyn RxQueue, frames: usize| {
                for _ in 0..frames {
                    if nic.driver.queue(&good(number)) {
                        number = number.wrapping_add(1);
                    }
                }
                nic.driver.flush();
                let mut burst = RxBurst::new();
                rx.recv(0, frames, &mut burst);
                let all: Vec<_> = burst.iter().map(|frame| frame.data.to_vec()).collect();
                drop(burst);
                all
            };
            for frames in &bursts {
                let got = pass(&mut nic, &mut rx, *frames).len();
                rx.release(got);
                nic.driver.reclaim();
            }
            let got = pass(&mut nic, &mut rx, last);
            let (from, desc, before) = give_back(&nic, &mut rx, got.len());
            let (_, after) = ring_image(&nic);
            let chains = vec![frame_slots(pieces, size); got.len()];
            let device = before.len() - 4;
            let Some(image) = killed(&before, &after, size, from, &chains, device, n) else { break };
            // The one that was killed has no say in the memory any more.
            nic.from_guest.stop();
            nic.driver.memory().write(desc, &image);
            nic.start((stale, nic.origins().1));
            let place = nic.from_guest.indices().unwrap().next_avail;
            // What is not handed over is taken again.
            let mut burst = RxBurst::new();
            rx.recv(0, 64, &mut burst);
            let again: Vec<_> = burst.iter().map(|frame| frame.data.to_vec()).collect();
            drop(burst);
            rx.release(again.len());
            prop_assert!(got.ends_with(&again), "killed before write {n}: at {place:#x}, again {again:x?} of {got:x?}");
            prop_assert_eq!(faults(&nic.from_guest), []);
            prop_assert_eq!(nic.driver.reclaim(), got.len(), "killed before write {}: all come back", n);
            // And on it goes.
            for _ in 0..3 {
                let got = pass(&mut nic, &mut rx, 4);
                prop_assert!(!got.is_empty());
                rx.release(got.len());
                prop_assert_eq!(nic.driver.reclaim(), got.len());
            }
        }
    }
}

/// Slots of a frame of these tests.
fn frame_slots(pieces: usize, size: u16) -> u16 {
    let (pieces, len) = (pieces.min(size.into()), HEADER + good(0).len());
    len.div_ceil(len.div_ceil(pieces)) as u16
}

/// Gives so many frames back; the device's place before that, where the ring is, and what was in it.
fn give_back(nic: &VirtualNic, rx: &mut dyn RxQueue, frames: usize) -> (u16, u64, Vec<u8>) {
    // The slot is locked while frames are lent, so its place is read from where the device writes it down.
    let (desc, image) = ring_image(nic);
    let at = image.len() - 4;
    let place = u16::from_le_bytes([image[at], image[at + 1]]);
    rx.release(frames);
    (place, desc, image)
}

#[test]
fn a_ring_that_another_device_had_goes_on_where_the_front_end_says_or_not_at_all() {
    // Another device turned only the first slot of a chain of three, and had slots 3 and 4.
    let image = |used: &[u16]| {
        let nic = VirtualNic::stopped(small()).unwrap();
        let (desc, _, _) = nic.driver.tx.parts();
        for slot in used {
            nic.driver.memory().store16(desc + 16 * u64::from(*slot) + 14, 1 << 7 | 1 << 15);
        }
        nic
    };
    let start = |nic: &VirtualNic, base: u16| {
        nic.start_from_guest(base).map(|()| nic.from_guest.indices().unwrap().next_avail)
    };
    assert_eq!(start(&image(&[0, 3, 4]), 5 | WRAP), Ok(5 | WRAP));
    // Used from there on: the front end does not know, nor does anybody.
    let refused = start(&image(&[0, 3, 4]), 2 | WRAP).unwrap_err();
    assert!(refused.contains("where the guest's packed ring stands is not known"), "{refused}");
    assert!(start(&image(&[0, 3, 4]), 13 | WRAP).is_err(), "a slot that is none");
    // A fresh one begins, whatever the front end calls its beginning.
    for base in [WRAP, 0, 7, u16::MAX] {
        assert_eq!(start(&image(&[]), base), Ok(WRAP));
    }
}
