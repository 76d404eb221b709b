//! Guests that break the rules of a ring: each costs itself frames, counted under one name, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use link::{BURST, OutFrame, RxBurst, RxQueue, TxQueue};
use niv_adapter::vhost::ring::{Direction, Fault, RingSlot, VringRx, VringTx};
use niv_lab::driver::{BASE, Features, GuestMemory, HEADER, INDIRECT, NEXT, VirtualNic, WRITE};
use proptest::prelude::*;

/// A guest of two regions with a hole between them, and one that follows the second without a hole.
const REGIONS: [(u64, u64); 3] = [(BASE, 1 << 21), (BASE + (1 << 22), 4096), (BASE + (1 << 22) + 4096, 8192)];
const SECOND: u64 = REGIONS[1].0;

struct Bench {
    nic: VirtualNic,
    rx: VringRx,
    tx: VringTx,
    /// Memory for buffers and tables.
    at: u64,
}

fn bench(features: Features) -> Bench {
    let memory = GuestMemory::with_regions(&REGIONS).unwrap();
    let nic = VirtualNic::in_memory(memory, features).unwrap();
    nic.start((0, 0));
    let (rx, tx) = nic.queues();
    let at = nic.driver.memory().alloc(65_536, 16);
    Bench { nic, rx, tx, at }
}

fn small() -> Features {
    Features { queue_size: 16, ..Features::default() }
}

fn faults(slot: &RingSlot) -> Vec<(Fault, u64)> {
    Fault::ALL.iter().map(|f| (*f, slot.counters().faults(*f))).filter(|(_, n)| *n > 0).collect()
}

fn lent(rx: &mut VringRx) -> Vec<Vec<u8>> {
    let mut burst = RxBurst::new();
    rx.recv(0, BURST, &mut burst);
    let frames: Vec<_> = burst.iter().map(|frame| frame.data.to_vec()).collect();
    drop(burst);
    rx.release(frames.len());
    frames
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
            let good = |n: u8| vec![n; 60];
            for n in 0..before {
                assert!(bench.nic.driver.queue(&good(n)));
            }
            break_it(&mut bench);
            bench.nic.driver.tx.offer(10);
            for n in before..before + 2 {
                assert!(bench.nic.driver.queue(&good(n)));
            }
            bench.nic.driver.flush();
            let mut frames = lent(&mut bench.rx);
            frames.extend(lent(&mut bench.rx));
            let want: Vec<_> = (0..before + 2).map(good).collect();
            assert_eq!(frames, want, "{name}: the frames around it");
            assert_eq!(faults(&bench.nic.from_guest), [(*fault, 1)], "{name}");
            let (used, next) = bench.nic.driver.tx.indices();
            assert_eq!(used, next, "{name}: everything is given back");
            assert!(bench.nic.from_guest.is_running());
        }
    }
}

/// Legal, if unusual: the header may lie anywhere, with empty buffers between its parts.
#[test]
fn a_header_may_be_cut_in_all_ways() {
    // Bit n: a buffer ends behind octet n of the header.
    for cuts in 0u32..1 << HEADER {
        for empty in [false, true] {
            let mut bench = bench(Features { queue_size: 64, indirect: false, ..Features::default() });
            let frame: Vec<u8> = (0..60).map(|i| i ^ cuts as u8).collect();
            bench.nic.driver.memory().write(bench.at, &[0; HEADER]);
            bench.nic.driver.memory().write(bench.at + HEADER as u64, &frame);
            let mut ends: Vec<u32> = (1..=HEADER as u32).filter(|end| cuts & 1 << (end - 1) != 0).collect();
            ends.push(HEADER as u32 + 60);
            let (mut from, mut index) = (0, 0);
            for (i, end) in ends.iter().enumerate() {
                let last = i + 1 == ends.len();
                if empty {
                    desc(&bench, index, bench.at, 0, NEXT, index + 1);
                    index += 1;
                }
                let flags = if last { 0 } else { NEXT };
                desc(&bench, index, bench.at + u64::from(from), end - from, flags, index + 1);
                (from, index) = (*end, index + 1);
            }
            bench.nic.driver.tx.offer(0);
            bench.nic.driver.tx.publish();
            assert_eq!(lent(&mut bench.rx), [frame], "cuts {cuts:#b}, empty ones between: {empty}");
            assert_eq!(faults(&bench.nic.from_guest), []);
        }
    }
}

#[test]
fn a_head_that_the_table_does_not_have() {
    let mut bench = bench(small());
    bench.nic.driver.tx.offer(16);
    bench.nic.driver.tx.offer(u16::MAX);
    bench.nic.driver.queue(&[7; 60]);
    bench.nic.driver.flush();
    assert_eq!(lent(&mut bench.rx), [vec![7; 60]]);
    assert_eq!(faults(&bench.nic.from_guest), [(Fault::BadDescriptor, 2)]);
}

#[test]
fn indirect_without_having_been_negotiated() {
    let mut bench = bench(Features { indirect: false, ..small() });
    table(&bench, &[(bench.at, 64, 0, 0)]);
    desc(&bench, 3, bench.at, 16, INDIRECT, 0);
    bench.nic.driver.tx.offer(3);
    bench.nic.driver.flush();
    assert!(lent(&mut bench.rx).is_empty());
    assert_eq!(faults(&bench.nic.from_guest), [(Fault::BadChain, 1)]);
}

#[test]
fn an_index_that_jumps_stops_that_ring_until_it_is_set_up_again() {
    let mut bench = bench(small());
    bench.nic.driver.tx.set_avail_idx(17);
    assert!(lent(&mut bench.rx).is_empty());
    assert!(lent(&mut bench.rx).is_empty());
    assert_eq!(faults(&bench.nic.from_guest), [(Fault::BadIndex, 1)]);
    assert_eq!(bench.nic.from_guest.broken(), Some(Fault::BadIndex));
    assert!(bench.rx.arm(), "a broken ring is no reason to stay awake");
    // The other ring goes on.
    assert_eq!(bench.tx.send(0, &[OutFrame::private(&[1; 60])]).frames, 1);
    assert_eq!(bench.nic.driver.poll(), Some(vec![1; 60]));
    bench.nic.driver.rx.set_avail_idx(u16::MAX);
    assert_eq!(bench.tx.send(0, &[OutFrame::private(&[1; 60])]).frames, 0);
    assert_eq!(faults(&bench.nic.to_guest), [(Fault::BadIndex, 1)]);
    assert!(!bench.tx.is_up());
    // Set up again.
    bench.nic.driver.reset();
    bench.nic.start((0, 0));
    bench.nic.driver.queue(&[2; 60]);
    bench.nic.driver.flush();
    assert_eq!(lent(&mut bench.rx), [vec![2; 60]]);
    assert_eq!(bench.tx.send(0, &[OutFrame::private(&[3; 60])]).frames, 1);
    assert_eq!(bench.nic.driver.poll(), Some(vec![3; 60]));
}

#[test]
fn a_frame_may_lie_across_neighbouring_regions() {
    let mut bench = bench(small());
    let frame: Vec<u8> = (0..100).collect();
    let addr = SECOND + 4096 - 50;
    let memory = bench.nic.driver.memory();
    memory.write(addr, &[&[0; HEADER][..], &frame[..38]].concat());
    memory.write(SECOND + 4096, &frame[38..]);
    desc(&bench, 3, addr, 112, 0, 0);
    bench.nic.driver.tx.offer(3);
    bench.nic.driver.flush();
    assert_eq!(lent(&mut bench.rx), [frame]);
    assert_eq!(faults(&bench.nic.from_guest), []);
}

#[test]
fn broken_receive_buffers_are_given_back_empty() {
    let cases: &[(Fault, u64, u32, u16)] = &[
        (Fault::BadAddress, BASE + (1 << 21), 1600, WRITE),
        (Fault::BadAddress, u64::MAX - 8, 1600, WRITE),
        (Fault::BadChain, BASE, 1600, 0),
        (Fault::ShortHeader, BASE, 11, WRITE),
        (Fault::BadDescriptor, BASE, 64, WRITE | NEXT),
    ];
    for (fault, addr, len, flags) in cases {
        for mergeable in [false, true] {
            let mut bench = bench(Features { mergeable, rx_buffer: 1536, ..small() });
            // The first and the third buffer in the ring.
            let ring = &bench.nic.driver.rx;
            for head in [0, 2] {
                ring.write_desc(head, *addr, *len, *flags, 99);
            }
            let frames: Vec<Vec<u8>> = (0..8).map(|n| vec![n; 300]).collect();
            let out: Vec<_> = frames.iter().map(|f| OutFrame::private(f)).collect();
            let taken = bench.tx.send(0, &out);
            assert_eq!((taken.frames, taken.refused), (8, 0), "{fault:?}");
            let got: Vec<_> = std::iter::from_fn(|| bench.nic.driver.poll()).collect();
            assert_eq!(got, frames, "{fault:?}");
            assert_eq!(faults(&bench.nic.to_guest), [(*fault, 2)]);
        }
    }
}

#[test]
fn a_frame_too_long_for_its_buffer_is_refused_and_the_next_one_passes() {
    let mut bench = bench(Features { mergeable: false, rx_buffer: 200, ..small() });
    let (long, short) = (vec![1; 189], vec![2; 188]);
    let taken = bench.tx.send(0, &[OutFrame::private(&long), OutFrame::private(&short)]);
    assert_eq!((taken.frames, taken.refused), (2, 1));
    assert_eq!(bench.nic.driver.poll(), Some(short));
    assert_eq!(bench.nic.driver.poll(), None);
    assert_eq!(faults(&bench.nic.to_guest), [(Fault::NoFit, 1)]);
}

#[test]
fn a_full_ring_takes_nothing_and_keeps_what_it_has() {
    let mut bench = bench(small());
    let frame = [9; 100];
    let out = [OutFrame::private(&frame); 20];
    assert_eq!(bench.tx.send(0, &out).frames, 16);
    assert_eq!(bench.tx.send(0, &out).frames, 0);
    assert_eq!(bench.tx.room(1), 0);
    assert_eq!(std::iter::from_fn(|| bench.nic.driver.poll()).count(), 16);
    assert_eq!(bench.tx.room(1), 16);
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
        let mut seen = 0;
        for _ in 0..heads.len() + 1 {
            seen += lent(&mut bench.rx).len();
        }
        prop_assert_eq!(usize::from(bench.nic.driver.tx.indices().0), heads.len());
        prop_assert_eq!(seen + bench.nic.from_guest.counters().faults_total() as usize, heads.len());
        // The receive ring: its sixteen heads are offered already. Everything else is the guest's own memory,
        // which it may ruin as it likes.
        let frame = vec![5; 1000];
        let out = vec![OutFrame::private(&frame); 16];
        let mut taken = 0;
        for _ in 0..20 {
            taken += bench.tx.send(0, &out).frames;
        }
        prop_assert!(taken <= 20 * 16);
    }
}
