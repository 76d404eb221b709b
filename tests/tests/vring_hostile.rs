//! Guests that break the rules of a ring: each costs itself frames, counted under one name, and nothing else. Every one of them
//! is at the real data path, beside a guest that keeps the rules and loses no frame ([`Beside`]).

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use link::TxQueue;
use niv_adapter::vhost::ring::{Direction, Fault, RingSlot, VringTx};
use niv_lab::driver::{BASE, Features, GuestMemory, HEADER, INDIRECT, NEXT, VirtualNic, WRITE};
use niv_lab::world::Beside;
use niv_lab::world::beside::{FAR, LIAR};
use niv_lab::world::frames::{frame, mac};
use proptest::prelude::*;

/// A guest of two regions with a hole between them, and one that follows the second without a hole.
const REGIONS: [(u64, u64); 3] = [(BASE, 1 << 21), (BASE + (1 << 22), 4096), (BASE + (1 << 22) + 4096, 8192)];
const SECOND: u64 = REGIONS[1].0;

struct Bench {
    nic: VirtualNic,
    both: Beside,
    /// Memory for buffers and tables.
    at: u64,
}

fn bench(features: Features) -> Bench {
    let memory = GuestMemory::with_regions(&REGIONS).unwrap();
    let nic = VirtualNic::in_memory(memory, features).unwrap();
    nic.start((0, 0));
    let both = Beside::new(nic.queues(), |link| link);
    let at = nic.driver.memory().alloc(65_536, 16);
    Bench { nic, both, at }
}

impl Bench {
    /// Sends so many frames of `len` octets to the guest; those that it gets.
    fn exchange(&mut self, frames: u8, len: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let sent = (0..frames).map(|n| self.both.send(&vec![n; len - 14])).collect();
        self.both.run();
        (sent, std::iter::from_fn(|| self.nic.driver.poll()).collect())
    }

    /// A frame passes each way.
    fn is_well(&mut self) {
        self.nic.driver.queue(&good(7));
        self.nic.driver.flush();
        assert_eq!(self.both.run(), [good(7)]);
        let (sent, got) = self.exchange(1, 60);
        assert_eq!(sent, got);
    }
}

/// A frame of a guest that may pass.
fn good(n: u8) -> Vec<u8> {
    frame(mac(FAR), mac(LIAR)).payload(0x88b5, &[n; 46])
}

fn small() -> Features {
    Features { queue_size: 16, ..Features::default() }
}

fn faults(slot: &RingSlot) -> Vec<(Fault, u64)> {
    Fault::ALL.iter().map(|f| (*f, slot.counters().faults(*f))).filter(|(_, n)| *n > 0).collect()
}

/// A broken chain at head 10 of the guest's transmit ring.
type Break = fn(&mut Bench);

fn desc(bench: &Bench, index: u16, addr: u64, len: u32, flags: u16, next: u16) {
    bench.nic.driver.tx.write_desc(index, addr, len, flags, next);
}

fn table(bench: &Bench, entries: &[(u64, u32, u16, u16)]) {
    for (i, (addr, len, flags, next)) in entries.iter().enumerate() {
        let at = bench.at + 16 * i as u64;
        bench.nic.driver.memory().store64(at, *addr);
        let rest = u64::from(*len) | u64::from(*flags) << 32 | u64::from(*next) << 48;
        bench.nic.driver.memory().store64(at + 8, rest);
    }
}

#[test]
fn each_broken_chain_costs_one_frame_under_its_name() {
    let cases: &[(&str, Fault, Break)] = &[
        ("a buffer in the hole", Fault::BadAddress, |b| desc(b, 10, BASE + (1 << 21), 64, 0, 0)),
        ("a buffer that ends in the hole", Fault::BadAddress, |b| {
            desc(b, 10, BASE + (1 << 21) - 8, 64, 0, 0);
        }),
        ("a buffer below all memory", Fault::BadAddress, |b| desc(b, 10, 0, 64, 0, 0)),
        ("address and length beyond 64 bits", Fault::BadAddress, |b| desc(b, 10, u64::MAX - 8, 64, 0, 0)),
        ("a buffer of 4 GiB", Fault::Oversize, |b| desc(b, 10, b.at, u32::MAX, 0, 0)),
        ("a buffer the device may write", Fault::BadChain, |b| desc(b, 10, b.at, 64, WRITE, 0)),
        ("a writable tail", Fault::BadChain, |b| {
            desc(b, 10, b.at, 64, NEXT, 11);
            desc(b, 11, b.at, 64, WRITE, 0);
        }),
        ("no room for a header", Fault::ShortHeader, |b| desc(b, 10, b.at, 11, 0, 0)),
        ("nothing at all", Fault::ShortHeader, |b| desc(b, 10, b.at, 0, 0, 0)),
        ("a chain that bites its tail", Fault::ChainLoop, |b| {
            desc(b, 10, b.at, 0, NEXT, 11);
            desc(b, 11, b.at, 0, NEXT, 10);
        }),
        ("a chain that bites its tail, with octets", Fault::Oversize, |b| {
            desc(b, 10, b.at, 512, NEXT, 11);
            desc(b, 11, b.at, 512, NEXT, 10);
        }),
        ("a next that the table does not have", Fault::BadDescriptor, |b| {
            desc(b, 10, b.at, 64, NEXT, 16);
        }),
        ("an offload nobody offered", Fault::BadHeader, |b| {
            b.nic.driver.memory().write(b.at, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            desc(b, 10, b.at, 64, 0, 0);
        }),
        ("a segmentation nobody offered, header apart", Fault::BadHeader, |b| {
            b.nic.driver.memory().write(b.at, &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            desc(b, 10, b.at, 5, NEXT, 11);
            desc(b, 11, b.at + 5, 60, 0, 0);
        }),
        ("datagrams to be cut, which nobody offered", Fault::BadHeader, |b| {
            b.nic.driver.memory().write(b.at, &[0, 5, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
            desc(b, 10, b.at, 64, 0, 0);
        }),
        ("an empty indirect table", Fault::BadChain, |b| desc(b, 10, b.at, 0, INDIRECT, 0)),
        ("an indirect table of a length that is none", Fault::BadChain, |b| {
            desc(b, 10, b.at, 24, INDIRECT, 0);
        }),
        ("an indirect table that is not aligned", Fault::BadChain, |b| {
            desc(b, 10, b.at + 4, 32, INDIRECT, 0);
        }),
        ("an indirect table in the hole", Fault::BadAddress, |b| {
            desc(b, 10, BASE + (1 << 21), 32, INDIRECT, 0);
        }),
        ("an indirect descriptor with a next", Fault::BadChain, |b| {
            desc(b, 10, b.at, 16, INDIRECT | NEXT, 11);
        }),
        ("a table in a table", Fault::BadChain, |b| {
            table(b, &[(b.at, 16, INDIRECT, 0)]);
            desc(b, 10, b.at, 16, INDIRECT, 0);
        }),
        ("a table whose next is outside", Fault::BadDescriptor, |b| {
            table(b, &[(b.at, 64, NEXT, 2), (b.at, 64, 0, 0)]);
            desc(b, 10, b.at, 32, INDIRECT, 0);
        }),
        ("a table that bites its tail", Fault::ChainLoop, |b| {
            table(b, &[(b.at, 0, NEXT, 0)]);
            desc(b, 10, b.at, 16, INDIRECT, 0);
        }),
        ("a chain longer than any frame", Fault::Oversize, |b| {
            table(b, &(1..=4096).map(|i| (b.at, 200, NEXT, i)).collect::<Vec<_>>());
            desc(b, 10, b.at, 65_536, INDIRECT, 0);
        }),
    ];
    for (name, fault, break_it) in cases {
        for before in [0, 1, 3] {
            let mut bench = bench(small());
            for n in 0..before {
                assert!(bench.nic.driver.queue(&good(n)));
            }
            break_it(&mut bench);
            bench.nic.driver.tx.offer(10);
            for n in before..before + 2 {
                assert!(bench.nic.driver.queue(&good(n)));
            }
            bench.nic.driver.flush();
            let frames = bench.both.run();
            let want: Vec<_> = (0..before + 2).map(good).collect();
            assert_eq!(frames, want, "{name}: the frames around it");
            assert_eq!(faults(&bench.nic.from_guest), [(*fault, 1)], "{name}");
            let (used, next) = bench.nic.driver.tx.indices();
            assert_eq!(used, next, "{name}: everything is given back");
            assert!(bench.nic.from_guest.is_running());
        }
    }
}

/// The ends of buffers that cut a header like this and hold `frame` octets behind it. Bit n: one ends behind octet n.
fn cut(cuts: u32, frame: u32) -> Vec<(u32, u32)> {
    let header = HEADER as u32;
    let ends = (1..=header).filter(|end| cuts & 1 << (end - 1) != 0).chain([header + frame]);
    ends.scan(0, |from, end| Some((std::mem::replace(from, end), end))).collect()
}

/// Legal, if unusual: the header may lie anywhere, with empty buffers between its parts.
#[test]
fn a_header_may_be_cut_in_all_ways() {
    let mut bench = bench(Features { queue_size: 64, indirect: false, ..Features::default() });
    for cuts in 0u32..1 << HEADER {
        for empty in [false, true] {
            let frame = frame(mac(FAR), mac(LIAR)).payload(0x88b5, &[cuts as u8; 46]);
            bench.nic.driver.memory().write(bench.at, &[0; HEADER]);
            bench.nic.driver.memory().write(bench.at + HEADER as u64, &frame);
            let parts = cut(cuts, 60);
            let mut index = 0;
            for (i, (from, end)) in parts.iter().enumerate() {
                if empty {
                    desc(&bench, index, bench.at, 0, NEXT, index + 1);
                    index += 1;
                }
                let flags = if i + 1 == parts.len() { 0 } else { NEXT };
                desc(&bench, index, bench.at + u64::from(*from), end - from, flags, index + 1);
                index += 1;
            }
            bench.nic.driver.tx.offer(0);
            bench.nic.driver.tx.publish();
            assert_eq!(bench.both.run(), [frame], "cuts {cuts:#b}, empty ones between: {empty}");
        }
    }
    assert_eq!(faults(&bench.nic.from_guest), []);
}

/// Nor does a frame to the guest care how its header is cut.
#[test]
fn a_buffer_for_a_frame_may_be_cut_in_all_ways() {
    let features = Features { queue_size: 64, indirect: false, mergeable: false, ..Features::default() };
    let mut bench = bench(features);
    for cuts in 0u32..1 << HEADER {
        for empty in [false, true] {
            let head = bench.nic.driver.rx.waiting_head();
            let buffer = bench.nic.driver.rx_buffer(head);
            let parts = cut(cuts, 60);
            // Behind the head, the descriptors of others, which are put right again below.
            let mut index = head;
            let mut put = |addr: u64, len: u32, flags: u16| {
                let next = (index + 1) % 64;
                desc(&bench, index, addr, len, WRITE | flags, next);
                index = next;
            };
            for (i, (from, end)) in parts.iter().enumerate() {
                if empty {
                    put(buffer, 0, NEXT);
                }
                put(buffer + u64::from(*from), end - from, if i + 1 == parts.len() { 0 } else { NEXT });
            }
            let sent = bench.both.send(&[cuts as u8; 46]);
            bench.both.run();
            assert_eq!(bench.nic.driver.poll(), Some(sent), "cuts {cuts:#b}, empty ones between: {empty}");
            for head in 0..64 {
                let buffer = bench.nic.driver.rx_buffer(head);
                desc(&bench, head, buffer, features.rx_buffer as u32, WRITE, 0);
            }
        }
    }
    assert_eq!(faults(&bench.nic.to_guest), []);
}

#[test]
fn a_head_that_the_table_does_not_have() {
    let mut bench = bench(small());
    bench.nic.driver.tx.offer(16);
    bench.nic.driver.tx.offer(u16::MAX);
    bench.nic.driver.queue(&good(7));
    bench.nic.driver.flush();
    assert_eq!(bench.both.run(), [good(7)]);
    assert_eq!(faults(&bench.nic.from_guest), [(Fault::BadDescriptor, 2)]);
}

#[test]
fn indirect_without_having_been_negotiated() {
    let mut bench = bench(Features { indirect: false, ..small() });
    table(&bench, &[(bench.at, 64, 0, 0)]);
    desc(&bench, 3, bench.at, 16, INDIRECT, 0);
    bench.nic.driver.tx.offer(3);
    bench.nic.driver.flush();
    assert!(bench.both.run().is_empty());
    assert_eq!(faults(&bench.nic.from_guest), [(Fault::BadChain, 1)]);
}

#[test]
fn an_index_that_jumps_stops_that_ring_until_it_is_set_up_again() {
    for jump in [17, 1000, u16::MAX] {
        let mut bench = bench(small());
        bench.nic.driver.tx.set_avail_idx(jump);
        // Nor is a broken ring a reason to stay awake.
        assert!(bench.both.run().is_empty());
        assert!(bench.both.run().is_empty());
        assert_eq!(faults(&bench.nic.from_guest), [(Fault::BadIndex, 1)]);
        assert_eq!(bench.nic.from_guest.broken(), Some(Fault::BadIndex));
        // The other ring goes on.
        let (sent, got) = bench.exchange(1, 60);
        assert_eq!(sent, got);
        bench.nic.driver.rx.set_avail_idx(jump.wrapping_add(1));
        assert_eq!(bench.exchange(1, 60).1, [] as [Vec<u8>; 0]);
        assert_eq!(faults(&bench.nic.to_guest), [(Fault::BadIndex, 1)]);
        assert!(!bench.nic.to_guest.is_running());
        // Set up again.
        bench.nic.driver.reset();
        bench.nic.start((0, 0));
        bench.is_well();
    }
}

#[test]
fn a_frame_may_lie_across_neighbouring_regions() {
    let mut bench = bench(small());
    let payload: Vec<u8> = (0..86).collect();
    let frame = frame(mac(FAR), mac(LIAR)).payload(0x88b5, &payload);
    let addr = SECOND + 4096 - 50;
    let memory = bench.nic.driver.memory();
    memory.write(addr, &[&[0; HEADER][..], &frame[..38]].concat());
    memory.write(SECOND + 4096, &frame[38..]);
    desc(&bench, 3, addr, 112, 0, 0);
    bench.nic.driver.tx.offer(3);
    bench.nic.driver.flush();
    assert_eq!(bench.both.run(), [frame]);
    assert_eq!(faults(&bench.nic.from_guest), []);
}

#[test]
fn broken_receive_buffers_are_given_back_empty() {
    // Each the first and the third buffer in the ring; descriptor 15 is that of the last one.
    let cases: &[(&str, Fault, Break)] = &[
        ("in the hole", Fault::BadAddress, |b| receive(b, BASE + (1 << 21), 1600, WRITE, 0)),
        ("that ends in the hole", Fault::BadAddress, |b| receive(b, BASE + (1 << 21) - 8, 1600, WRITE, 0)),
        ("below all memory", Fault::BadAddress, |b| receive(b, 0, 1600, WRITE, 0)),
        ("beyond 64 bits", Fault::BadAddress, |b| receive(b, u64::MAX - 8, 1600, WRITE, 0)),
        ("of 4 GiB", Fault::BadAddress, |b| receive(b, b.at, u32::MAX, WRITE, 0)),
        ("that the device may not write", Fault::BadChain, |b| receive(b, BASE, 1600, 0, 0)),
        ("too short for a header", Fault::ShortHeader, |b| receive(b, BASE, 11, WRITE, 0)),
        ("of no octets", Fault::ShortHeader, |b| receive(b, BASE, 0, WRITE, 0)),
        ("with a next that is not there", Fault::BadDescriptor, |b| receive(b, BASE, 64, WRITE | NEXT, 99)),
        ("with a readable tail", Fault::BadChain, |b| {
            receive(b, b.at, 64, WRITE | NEXT, 15);
            b.nic.driver.rx.write_desc(15, b.at, 1600, 0, 0);
        }),
        ("that bites its tail, without octets", Fault::ChainLoop, |b| {
            receive(b, b.at, 0, WRITE | NEXT, 15);
            b.nic.driver.rx.write_desc(15, b.at, 0, WRITE | NEXT, 15);
        }),
        ("that bites its tail", Fault::Oversize, |b| {
            receive(b, b.at, 512, WRITE | NEXT, 15);
            b.nic.driver.rx.write_desc(15, b.at, 512, WRITE | NEXT, 15);
        }),
        ("of a table that bites its tail", Fault::ChainLoop, |b| {
            table(b, &[(b.at, 0, WRITE | NEXT, 0)]);
            receive(b, b.at, 16, INDIRECT, 0);
        }),
        ("of a table in a table", Fault::BadChain, |b| {
            table(b, &[(b.at, 16, INDIRECT, 0)]);
            receive(b, b.at, 16, INDIRECT, 0);
        }),
        ("of a table in the hole", Fault::BadAddress, |b| receive(b, BASE + (1 << 21), 16, INDIRECT, 0)),
        ("of a table whose next is outside", Fault::BadDescriptor, |b| {
            table(b, &[(b.at, 64, WRITE | NEXT, 1)]);
            receive(b, b.at, 16, INDIRECT, 0);
        }),
    ];
    for (name, fault, break_it) in cases {
        for mergeable in [false, true] {
            let mut bench = bench(Features { mergeable, rx_buffer: 1536, ..small() });
            break_it(&mut bench);
            let (sent, got) = bench.exchange(8, 300);
            assert_eq!(got, sent, "a buffer {name}");
            assert_eq!(faults(&bench.nic.to_guest), [(*fault, 2)], "a buffer {name}");
            assert!(bench.nic.to_guest.is_running());
        }
    }
}

/// Breaks two buffers of the guest's receive ring, the first and the third one.
fn receive(bench: &Bench, addr: u64, len: u32, flags: u16, next: u16) {
    for head in [0, 2] {
        bench.nic.driver.rx.write_desc(head, addr, len, flags, next);
    }
}

#[test]
fn a_frame_too_long_for_its_buffer_is_refused_and_the_next_one_passes() {
    let mut bench = bench(Features { mergeable: false, rx_buffer: 200, ..small() });
    bench.both.send(&[1; 189 - 14]);
    let short = bench.both.send(&[2; 188 - 14]);
    bench.both.run();
    assert_eq!(bench.nic.driver.poll(), Some(short));
    assert_eq!(bench.nic.driver.poll(), None);
    assert_eq!(faults(&bench.nic.to_guest), [(Fault::NoFit, 1)]);
}

#[test]
fn a_full_ring_takes_nothing_and_keeps_what_it_has() {
    let mut bench = bench(small());
    let ring = VringTx::new(std::sync::Arc::clone(&bench.nic.to_guest));
    for _ in 0..2 {
        for n in 0..20 {
            bench.both.send(&[n; 86]);
        }
        bench.both.run();
        assert_eq!(ring.room(1), 0);
    }
    let first: Vec<_> = (0..16).map(|n| frame(mac(LIAR), mac(FAR)).payload(0x88b5, &[n; 86])).collect();
    assert_eq!(std::iter::from_fn(|| bench.nic.driver.poll()).collect::<Vec<_>>(), first);
    assert_eq!(ring.room(1), 16);
    bench.is_well();
}

#[test]
fn every_fault_has_a_name_of_its_own() {
    let mut names: Vec<_> = [Direction::FromGuest, Direction::ToGuest]
        .iter()
        .flat_map(|direction| Fault::ALL.iter().map(|fault| fault.name(*direction)))
        .collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Whatever is in the rings: no panic, no endless walk, nothing lent that is not memory of the guest, every
    /// chain given back once.
    #[test]
    fn garbage_is_given_back(
        descs in prop::collection::vec((0usize..8, 0u32..0x3000, 0u16..16, 0u16..20), 16),
        heads in prop::collection::vec(0u16..18, 0..16),
        table_entries in prop::collection::vec((0usize..8, 0u32..0x3000, 0u16..8, 0u16..20), 0..20),
        features in any::<[bool; 3]>(),
    ) {
        let features = Features { mergeable: features[0], indirect: features[1], event_idx: features[2], rx_buffer: 2048, ..small() };
        let mut bench = bench(features);
        let places = [BASE, BASE + 4096, BASE + (1 << 21) - 4096, BASE + (1 << 21), SECOND, SECOND + 2048, 0, u64::MAX - 100];
        let place = |at: usize| if at == 0 { bench.at } else { places[at] };
        table(&bench, &table_entries.iter().map(|(at, len, flags, next)| (places[*at], *len, *flags, *next)).collect::<Vec<_>>());
        for (i, (at, len, flags, next)) in descs.iter().enumerate() {
            bench.nic.driver.tx.write_desc(i as u16, place(*at), *len, *flags, *next);
            bench.nic.driver.rx.write_desc(i as u16, place(*at), *len, *flags, *next);
        }
        for head in &heads {
            bench.nic.driver.tx.offer(*head);
        }
        bench.nic.driver.flush();
        bench.both.run();
        prop_assert_eq!(usize::from(bench.nic.driver.tx.indices().0), heads.len());
        // Each was a frame, whatever became of it, or a fault.
        let seen = bench.nic.from_guest.counters().frames.get();
        prop_assert_eq!(seen + bench.nic.from_guest.counters().faults_total(), heads.len() as u64);
        // The receive ring: its sixteen heads are offered already. Everything else is the guest's own memory,
        // which it may ruin as it likes.
        for _ in 0..20 {
            for _ in 0..16 {
                bench.both.send(&[5; 1000]);
            }
            bench.both.run();
        }
    }
}
