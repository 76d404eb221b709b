//! What AF_XDP has and AF_PACKET has not: programs, queues, modes, chunks.

#[expect(dead_code, reason = "shared with other tests")]
mod common;

use common::{Net, counter, drain, ip, missing, open_device, open_with_mtu, receive, send, text, until};
use link::{OutFrame, Port};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::process::Command;

fn frame(nth: u16, len: usize) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x88, 0xb5];
    frame.extend(nth.to_be_bytes());
    frame.resize(len, 0x5a);
    frame
}

/// What `ip` says of an interface.
fn shown(interface: &str) -> String {
    text(&Command::new("ip").args(["-d", "link", "show", interface]).output().expect("ip"))
}

fn why(device: &str) -> String {
    let problem = open_with_mtu(device, 1500).err().expect("a refusal").to_string();
    problem.strip_prefix(&format!("{device}: ")).expect("the device in front").to_owned()
}

#[test]
fn the_program_is_there_as_long_as_the_port_and_no_other_fits_beside_it() {
    if missing() {
        return;
    }
    let net = Net::new().unwrap();
    let (a, _b) = net.veth().unwrap();
    let port = open_device(&format!("xdp:{a}"));
    let now = shown(&a);
    assert!(now.contains("prog/xdp") && now.contains("promiscuity 1"), "{now}");
    assert_eq!(why(&format!("xdp:{a}")), format!("it has another XDP program: ip link set dev {a} xdp off"));
    drop(port);
    let then = shown(&a);
    assert!(!then.contains("prog/xdp") && then.contains("promiscuity 0"), "{then}");
    open_device(&format!("xdp:{a}"));
}

#[test]
fn what_an_interface_cannot_have_is_refused_in_words() {
    if missing() {
        return;
    }
    let net = Net::new().unwrap();
    let (a, b) = net.veth().unwrap();
    assert_eq!(
        why(&format!("xdp:{a},mode=zerocopy")),
        "its driver cannot do without copies; mode=auto takes what there is"
    );
    assert_eq!(
        why(&format!("xdp:{a},queues=2")),
        format!("it has 1 receive queues in use, not 2 (see: ethtool -l {a})")
    );
    ip(&format!("link set {a} mtu 4000")).unwrap();
    assert_eq!(
        why(&format!("xdp:{a}")),
        format!("its MTU is 4000, AF_XDP has room for 3822: ip link set dev {a} mtu 3822, or packet:{a}")
    );
    ip(&format!("link set {a} mtu 3822")).unwrap();
    ip(&format!("link set {b} mtu 3822")).unwrap();
    assert_eq!(
        why(&format!("xdp:{a}")),
        "a veth has room for an XDP program up to an MTU of about 3,500 at both its ends"
    );
    ip(&format!("link set {b} mtu 1500")).unwrap();
    open_device(&format!("xdp:{a},mode=copy"));
}

/// What is said to a thread that has all capabilities but these.
fn why_without(device: &str, missing: CapabilitySet) -> String {
    std::thread::scope(|scope| {
        let without = || {
            // Capabilities are a thread's own.
            let left = capabilities(None).expect("capabilities").permitted & !missing;
            let sets =
                CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() };
            set_capabilities(None, sets).expect("capabilities");
            why(device)
        };
        scope.spawn(without).join().expect("it does not panic")
    })
}

#[test]
fn a_lack_of_rights_is_one_clear_error() {
    if missing() {
        return;
    }
    let net = Net::new().unwrap();
    let (a, _b) = net.veth().unwrap();
    let device = format!("xdp:{a}");
    for right in [CapabilitySet::NET_RAW, CapabilitySet::NET_ADMIN, CapabilitySet::BPF] {
        assert_eq!(
            // Who has this one has the others.
            why_without(&device, right | CapabilitySet::SYS_ADMIN),
            "AF_XDP needs the capabilities CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF (or root)",
            "{right:?}"
        );
    }
    let limit = Rlimit { current: Some(64 << 10), ..getrlimit(Resource::Memlock) };
    setrlimit(Resource::Memlock, limit).unwrap();
    assert_eq!(
        why_without(&device, CapabilitySet::IPC_LOCK),
        "each of its queues locks 6 MiB of memory, which is more than may be locked: raise the limit \
         (ulimit -l, LimitMEMLOCK=), or give CAP_IPC_LOCK"
    );
    // Nothing of all that is left.
    open_device(&device);
}

#[test]
fn an_mtu_above_two_kilobytes_has_larger_chunks() {
    if missing() {
        return;
    }
    let net = Net::new().unwrap();
    let (a, b) = net.veth().unwrap();
    for end in [&a, &b] {
        ip(&format!("link set {end} mtu 3400")).unwrap();
    }
    let (mut a, mut b) = (open_device(&format!("xdp:{a}")), open_device(&format!("xdp:{b}")));
    let long = frame(0, 3414);
    assert_eq!(send(&mut a, &[OutFrame::private(&long), OutFrame::private(&frame(1, 3415))]).refused, 1);
    assert_eq!(receive(&mut b, 1), [long]);
}

#[test]
fn what_the_kernel_drops_has_names() {
    if missing() {
        return;
    }
    let net = Net::new().unwrap();
    let (a, b) = net.veth().unwrap();
    let mut port = open_device(&format!("xdp:{a}"));
    // An MTU that grows later lets frames in that have no room.
    for end in [&a, &b] {
        ip(&format!("link set {end} mtu 2500")).unwrap();
    }
    let mut peer = open_device(&format!("packet:{b}"));
    let (long, short) = (frame(0, 1793), frame(1, 1792));
    assert_eq!(send(&mut peer, &[OutFrame::private(&long), OutFrame::private(&short)]).frames, 2);
    assert_eq!(receive(&mut port, 1), [short]);
    assert_eq!((counter(&port, "rx_too_long"), counter(&port, "rx_overrun")), (1, 0));

    // More than there are chunks, and nobody fetches them.
    const SENT: u64 = 3000;
    let small = frame(2, 60);
    for _ in 0..SENT {
        until(&mut peer, "room", |peer| send(peer, &[OutFrame::private(&small)]).frames == 1);
    }
    until(&mut port, "all are here or lost", |port| 2048 + counter(port, "rx_overrun") == SENT);
    drain(&mut port);
    assert_eq!((counter(&port, "rx_frames"), counter(&port, "rx_too_long")), (2049, 1));
}

#[test]
fn every_chunk_comes_back_in_both_directions() {
    if missing() {
        return;
    }
    let net = Net::new().unwrap();
    let (a, b) = net.veth().unwrap();
    let (mut a, mut b) = (open_device(&format!("xdp:{a}")), open_device(&format!("xdp:{b}")));
    // Several times as many as there are chunks, in bursts of changing size; the order is kept.
    let mut next = 0u16;
    for burst in (1..=64).cycle().take(400) {
        let frames: Vec<_> =
            (0..burst).map(|n| frame(next.wrapping_add(n), 60 + usize::from(n) * 20)).collect();
        next = next.wrapping_add(burst);
        let out: Vec<_> = frames.iter().map(|frame| OutFrame::private(frame)).collect();
        assert_eq!(send(&mut a, &out).frames, out.len());
        assert_eq!(receive(&mut b, out.len()), frames);
    }
    assert_eq!(a.tx[0].room(1024), 1024);
    for (port, lost) in [(&a, "tx_dropped"), (&a, "tx_refused"), (&b, "rx_overrun"), (&b, "rx_too_long")] {
        assert_eq!(counter(port, lost), 0, "{lost}");
    }
}

/// Frames of the queue, without waiting.
fn fetch(port: &mut Port, queue: usize) -> usize {
    let mut burst = link::RxBurst::new();
    port.rx[queue].recv(0, link::BURST, &mut burst);
    let lent = burst.len();
    drop(burst);
    port.rx[queue].release(lent);
    lent
}

#[test]
fn each_receive_queue_is_a_queue_of_the_port() {
    if missing() {
        return;
    }
    let net = Net::new().unwrap();
    let (a, b) = (net.name("a"), net.name("b"));
    ip(&format!(
        "link add {a} numrxqueues 2 numtxqueues 2 type veth peer name {b} numrxqueues 2 numtxqueues 2"
    ))
    .unwrap();
    for end in [&a, &b] {
        ip(&format!("link set {end} up")).unwrap();
        let set = Command::new("ethtool").args(["-L", end.as_str(), "rx", "2", "tx", "2"]).output();
        assert!(set.is_ok_and(|set| set.status.success()), "ethtool -L");
    }
    assert_eq!(open_device(&format!("xdp:{a},queues=1")).rx.len(), 1);
    let (mut a, mut b) = (open_device(&format!("xdp:{a}")), open_device(&format!("xdp:{b}")));
    assert_eq!((a.rx.len(), a.tx.len()), (2, 2));
    let one = frame(0, 60);
    for queue in [0, 1] {
        let mut got = [0; 2];
        // What the hosts' own protocols say comes, too.
        for queue in [0, 1] {
            while fetch(&mut b, queue) > 0 {}
        }
        for _ in 0..50 {
            assert_eq!(a.tx[queue].send(0, &[OutFrame::private(&one)]).frames, 1);
            a.tx[queue].kick();
        }
        until(&mut b, "all of them", |b| {
            for (queue, got) in got.iter_mut().enumerate() {
                *got += fetch(b, queue);
            }
            got[0] + got[1] >= 50
        });
        assert!(got[queue] >= 50, "queue {queue}: {got:?}");
    }
}

#[test]
fn a_driver_without_place_has_the_program_in_front_of_the_hosts_protocols() {
    if missing() {
        return;
    }
    let net = Net::new().unwrap();
    let (a, b) = net.veth().unwrap();
    let bridge = net.name("c");
    ip(&format!("link add {bridge} type bridge")).unwrap();
    ip(&format!("link set {a} master {bridge}")).unwrap();
    ip(&format!("link set {bridge} up")).unwrap();
    let mut port = open_device(&format!("xdp:{bridge}"));
    assert!(shown(&bridge).contains("xdpgeneric"), "{}", shown(&bridge));
    let mut peer = open_device(&format!("packet:{b}"));
    // To everybody, so the bridge has it, too.
    let mut one = frame(7, 60);
    one[..6].fill(0xff);
    until(&mut port, "a frame by the bridge", |port| {
        assert_eq!(send(&mut peer, &[OutFrame::private(&one)]).frames, 1);
        has_come(port, &one)
    });
    assert_eq!(send(&mut port, &[OutFrame::private(&one)]).frames, 1);
    until(&mut peer, "a frame from the bridge", |peer| has_come(peer, &one));
}

/// Whether this frame is among those that came, whatever else a bridge has to say.
fn has_come(port: &mut Port, frame: &[u8]) -> bool {
    let mut burst = link::RxBurst::new();
    port.rx[0].recv(0, link::BURST, &mut burst);
    let come = burst.iter().any(|came| came.data.to_vec() == frame);
    let lent = burst.len();
    drop(burst);
    port.rx[0].release(lent);
    come
}
