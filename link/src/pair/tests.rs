use super::*;
use proptest::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

fn counter(port: &Port, name: &str) -> u64 {
    port.monitor.counters().into_iter().find(|c| c.name == name).map_or(0, |c| c.value)
}

fn lent(port: &mut Port, max: usize) -> Vec<Vec<u8>> {
    let mut burst = RxBurst::new();
    port.rx[0].recv(0, max, &mut burst);
    burst.iter().map(|frame| frame.data.to_vec()).collect()
}

#[derive(Clone, Debug)]
enum Op {
    Send(usize),
    Receive { max: usize, release: usize },
    Unplug,
    Plug,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0usize..20).prop_map(Op::Send),
        4 => (0usize..80, 0usize..80).prop_map(|(max, release)| Op::Receive { max, release }),
        1 => Just(Op::Unplug),
        2 => Just(Op::Plug),
    ]
}

proptest! {
    /// Every frame is received once, in order, or was in the cable when it was unplugged; never more than the
    /// capacity is on its way.
    #[test]
    fn frames_keep_their_order_and_number(capacity in 1usize..40, ops in prop::collection::vec(op(), 1..80)) {
        let (mut a, mut b, cable) = pair(capacity);
        let mut on_the_way: VecDeque<Vec<u8>> = VecDeque::new();
        let (mut serial, mut sent, mut received, mut lost) = (0u32, 0, 0, 0);
        for op in ops {
            match op {
                Op::Send(n) => {
                    let frames: Vec<Vec<u8>> =
                        (0..n as u32).map(|i| (serial + i).to_be_bytes().repeat(1 + i as usize % 3)).collect();
                    let (heads, bodies): (Vec<_>, Vec<_>) = frames.iter().map(|f| f.split_at(2)).unzip();
                    let out: Vec<OutFrame<'_>> = heads
                        .iter()
                        .zip(&bodies)
                        .map(|(head, body)| OutFrame::complete(head, Gather::one(Seg::from_slice(body))))
                        .collect();
                    let room = if cable.is_up() { capacity - on_the_way.len() } else { 0 };
                    let taken = a.tx[0].send(0, &out);
                    prop_assert_eq!(taken, Taken { frames: n.min(room), refused: 0 });
                    on_the_way.extend(frames.into_iter().take(taken.frames));
                    sent += taken.frames;
                    serial += n as u32;
                }
                Op::Receive { max, release } => {
                    let got = lent(&mut b, max);
                    let want: Vec<Vec<u8>> = on_the_way.iter().take(max.min(BURST)).cloned().collect();
                    prop_assert_eq!(&got, &want);
                    let release = release.min(got.len());
                    b.rx[0].release(release);
                    on_the_way.drain(..release);
                    received += release;
                }
                Op::Unplug => {
                    cable.unplug();
                    lost += on_the_way.len();
                    on_the_way.clear();
                    prop_assert!(lent(&mut b, BURST).is_empty());
                    b.rx[0].release(0);
                }
                Op::Plug => cable.plug(),
            }
            prop_assert_eq!(b.rx[0].arm(), on_the_way.is_empty());
            b.rx[0].disarm();
        }
        prop_assert_eq!(counter(&a, "tx_frames"), sent as u64);
        prop_assert_eq!(counter(&b, "rx_frames"), received as u64);
        prop_assert_eq!(counter(&a, "link_lost"), lost as u64);
        prop_assert_eq!(sent, received + lost + on_the_way.len());
    }
}

#[test]
fn too_long_frames_are_refused_and_do_not_stop_the_others() {
    let config = Config { max_frame: 100, ..Config::default() };
    let (mut a, mut b, _cable) = config.open().unwrap();
    let long = [0; 101];
    let taken = a.tx[0].send(0, &[OutFrame::private(&long), OutFrame::private(&long[1..])]);
    assert_eq!(taken, Taken { frames: 2, refused: 1 });
    assert_eq!(counter(&a, "tx_too_long"), 1);
    assert_eq!(lent(&mut b, BURST), [vec![0; 100]]);
}

#[test]
fn an_armed_queue_is_told_of_frames_and_of_going_down() {
    let (mut a, mut b, cable) = Config { events: true, ..Config::default() }.open().unwrap();
    let readable = |port: &Port| {
        let event = port.rx[0].event().unwrap();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&event, PollFlags::IN)], Some(&now)).unwrap() == 1
    };
    let frame = [OutFrame::private(&[7])];

    a.tx[0].send(0, &frame);
    a.tx[0].kick();
    assert!(!readable(&b), "nobody asked to be told");
    assert!(!b.rx[0].arm(), "a frame waits");
    assert_eq!(lent(&mut b, BURST).len(), 1);
    b.rx[0].release(1);

    assert!(b.rx[0].arm());
    a.tx[0].send(0, &frame);
    assert!(!readable(&b), "only a kick tells");
    a.tx[0].kick();
    assert!(readable(&b));
    b.rx[0].disarm();
    assert!(!readable(&b));

    cable.unplug();
    assert!(readable(&b));
    assert!(!a.tx[0].is_up());
    assert_eq!(b.monitor.state(), PortState::Down { cause: "unplugged".to_owned() });
}

#[test]
fn the_queues_of_a_pair_are_separate() {
    let (mut a, mut b, _cable) = Config { queues: 2, capacity: 1, ..Config::default() }.open().unwrap();
    assert_eq!(a.tx[1].send(0, &[OutFrame::private(&[1]), OutFrame::private(&[2])]).frames, 1);
    assert_eq!((a.tx[0].room(1), a.tx[1].room(1)), (1, 0));
    assert!(lent(&mut b, BURST).is_empty());
    let mut burst = RxBurst::new();
    b.rx[1].recv(0, BURST, &mut burst);
    assert_eq!(burst.len(), 1);
}

#[test]
fn who_asked_is_told_of_each_change_through_whatever_wraps_the_port() {
    use core::sync::atomic::AtomicU32;
    let dir = tempfile::tempdir().unwrap();
    let (a, b, cable) = pair(8);
    let file = crate::capture::Capture::create(&dir.path().join("a.pcapng")).unwrap();
    let a = crate::fault::inject(a, crate::FaultPlan::new(1));
    let a = crate::capture::tee(a, &file.interface("a", "pair"));
    let told = Arc::new(AtomicU32::new(0));
    for port in [&a, &b] {
        let told = told.clone();
        port.monitor.on_change(Box::new(move || {
            told.fetch_add(1, Ordering::Relaxed);
        }));
    }
    for times in 1..3 {
        if times % 2 == 1 {
            cable.unplug();
        } else {
            cable.plug();
        }
        assert_eq!(told.load(Ordering::Relaxed), 2 * times);
    }
}
