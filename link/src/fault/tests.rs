use super::*;
use crate::pair::pair;
use proptest::prelude::*;

fn counter(port: &Port, name: &str) -> usize {
    let all = port.monitor.counters();
    all.iter().find(|c| c.name == name).map(|c| c.value as usize).expect("a counter with this name")
}

fn take(port: &mut Port, now: Nanos, release: usize) -> Vec<Vec<u8>> {
    let mut burst = RxBurst::new();
    port.rx[0].recv(now, BURST, &mut burst);
    let got: Vec<_> = burst.iter().take(release).map(|frame| frame.data.to_vec()).collect();
    drop(burst);
    port.rx[0].release(got.len());
    got
}

/// Sends numbered frames in bursts, 10 us apart, through faults on the way out (`out`) or on the way in, and
/// gives what arrived with the faulty port.
fn through(plan: FaultPlan, out: bool, frames: u32, release: usize) -> (Vec<Vec<u8>>, Port) {
    let (mut a, mut b, _cable) = pair(100);
    if out {
        a = inject(a, plan);
    } else {
        b = inject(b, plan);
    }
    let mut got = Vec::new();
    let mut next = 0u32;
    let mut now = 0;
    loop {
        let numbers: Vec<_> =
            (next..frames.min(next + 7)).map(|n| [n, !n].map(u32::to_be_bytes).concat()).collect();
        let burst: Vec<_> = numbers.iter().map(|bytes| OutFrame::private(bytes)).collect();
        next += a.tx[0].send(now, &burst).frames as u32;
        a.tx[0].kick();
        take(&mut a, now, 0);
        let fresh = take(&mut b, now, release);
        let quiet = fresh.is_empty() && next == frames;
        got.extend(fresh);
        let deadline = a.rx[0].deadline().into_iter().chain(b.rx[0].deadline()).min();
        match deadline {
            Some(due) if quiet => now = now.max(due),
            None if quiet => break,
            _ => now += 10_000,
        }
    }
    (got, if out { a } else { b })
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

fn plans() -> impl Strategy<Value = FaultPlan> {
    let p = || prop_oneof![Just(0.0), 0.0..0.5, Just(1.0)];
    (any::<u64>(), p(), p(), p(), prop_oneof![Just(0.0), 0.0..3.0]).prop_map(
        |(seed, drop, duplicate, reorder, delay)| {
            let plan = FaultPlan::new(seed).with_drop(drop).and_then(|p| p.with_duplicate(duplicate));
            plan.and_then(|p| p.with_reorder(reorder)).and_then(|p| p.with_delay(delay)).unwrap()
        },
    )
}

proptest! {
    /// Every frame arrives once, but for those counted as dropped or duplicated; nothing is made up, and nothing
    /// changes its place but what is counted as reordered. The same seed does the same.
    #[test]
    fn only_the_counted_faults_happen(plan in plans(), out: bool, frames in 1u32..300, release in 1usize..70) {
        let (got, port) = through(plan, out, frames, release);
        let numbers: Vec<u32> = got.iter().map(|bytes| number(bytes)).collect();
        prop_assert!(got.iter().all(|bytes| number(&bytes[4..]) == !number(bytes)));
        let mut once = numbers.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), frames as usize - counter(&port, "fault_dropped"));
        prop_assert_eq!(numbers.len(), once.len() + counter(&port, "fault_duplicated"));
        if plan.reorder() == 0.0 {
            prop_assert!(numbers.is_sorted());
        }
        prop_assert_eq!(counter(&port, "fault_delayed"), if plan.delay() > 0 { once.len() } else { 0 });
        let (again, _) = through(plan, out, frames, release);
        prop_assert_eq!(got, again);
    }

    #[test]
    fn a_reordered_frame_is_overtaken_by_one(seed: u64, out: bool) {
        let plan = FaultPlan::new(seed).with_reorder(0.3).unwrap();
        let (got, port) = through(plan, out, 200, 64);
        let numbers: Vec<u32> = got.iter().map(|bytes| number(bytes)).collect();
        let behind = numbers.windows(2).filter(|w| w[0] == w[1] + 1).count();
        prop_assert_eq!(behind, counter(&port, "fault_reordered"));
        prop_assert!(behind > 10);
    }

    #[test]
    fn a_corrupted_frame_differs_in_one_bit(seed: u64, out: bool) {
        let plan = FaultPlan::new(seed).with_corrupt(0.5).unwrap();
        let (got, port) = through(plan, out, 100, 64);
        let mut wrong = 0;
        for (bytes, n) in got.iter().zip(0u32..) {
            let right = [n, !n].map(u32::to_be_bytes).concat();
            let bits: u32 = bytes.iter().zip(&right).map(|(a, b)| (a ^ b).count_ones()).sum();
            prop_assert!(bits <= 1);
            wrong += bits as usize;
        }
        prop_assert_eq!(wrong, counter(&port, "fault_corrupted"));
        prop_assert!(wrong > 10);
    }
}

#[test]
fn a_delayed_frame_comes_when_it_is_due_and_not_before() {
    let (mut a, b, cable) = pair(8);
    let plan = FaultPlan::new(1).with_delay(5.0).unwrap();
    let mut b = inject(b, plan);
    // On the way in.
    a.tx[0].send(100, &[OutFrame::private(&[1])]);
    assert!(take(&mut b, 100, 64).is_empty());
    assert_eq!(b.rx[0].deadline(), Some(5_000_100));
    assert!(b.rx[0].arm(), "a held frame does not keep the worker awake");
    assert!(take(&mut b, 5_000_099, 64).is_empty());
    assert_eq!(take(&mut b, 5_000_100, 64).len(), 1);
    assert_eq!(b.rx[0].deadline(), None);
    // On the way out, sent by the receiving half.
    b.tx[0].send(6_000_000, &[OutFrame::private(&[2])]);
    b.tx[0].kick();
    assert!(take(&mut a, 0, 64).is_empty());
    assert_eq!(b.rx[0].deadline(), Some(11_000_000));
    take(&mut b, 11_000_000, 0);
    assert_eq!(take(&mut a, 0, 64), [[2]]);
    // A port that goes down loses what is on its way out.
    b.tx[0].send(12_000_000, &[OutFrame::private(&[3])]);
    cable.unplug();
    take(&mut b, 20_000_000, 0);
    cable.plug();
    take(&mut b, 30_000_000, 0);
    assert!(take(&mut a, 0, 64).is_empty());
    assert_eq!(counter(&b, "fault_lost"), 1);
}

#[test]
fn pressure_goes_through() {
    let (a, _b, _cable) = pair(4);
    let mut a = inject(a, FaultPlan::new(1));
    let frames = [OutFrame::private(&[1]); 64];
    // The first burst fills the cable and then the line, the next one is not taken.
    assert_eq!(a.tx[0].send(0, &frames).frames, 64);
    assert_eq!(a.tx[0].send(1, &frames).frames, 0);
    assert_eq!(a.tx[0].room(1), 0);
    assert_eq!(a.rx[0].deadline(), Some(1 + RETRY), "the worker may sleep");
    // With a delay the line itself is the bound.
    let mut slow = inject(pair(4).0, FaultPlan::new(1).with_delay(1000.0).unwrap());
    let taken: usize = (0..1000).map(|now| slow.tx[0].send(now, &frames).frames).sum();
    assert!((4000..=line::LINE_FRAMES).contains(&taken), "{taken}");
}
