//! What a frame costs through a veth whose ends are both ours, by AF_PACKET and by AF_XDP: CPU time of one thread that sends
//! a burst at one end and fetches it at the other; the least of many rounds. As root:
//!
//! ```text
//! cargo run --release -p link --example veth_bench
//! ```

use link::{BURST, Defaults, Device, OutFrame, Port, PortState, Role, RxBurst};
use rustix::time::{ClockId, clock_gettime};
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: usize = 400;
/// Bursts of a round.
const BURSTS: usize = 16;
const ENDS: [&str; 2] = ["nivbench0", "nivbench1"];

/// The veth, which goes when this is dropped.
struct Veth;

impl Drop for Veth {
    fn drop(&mut self) {
        ip(&format!("link del {}", ENDS[0]));
    }
}

fn ip(words: &str) -> bool {
    Command::new("ip").args(words.split(' ')).status().is_ok_and(|status| status.success())
}

fn main() {
    let [a, b] = ENDS;
    assert!(ip(&format!("link add {a} type veth peer name {b}")), "a veth");
    let _veth = Veth;
    assert!(ENDS.iter().all(|end| ip(&format!("link set {end} addrgenmode none up"))), "up");
    println!("ns of CPU time a frame: to send, to receive");
    for len in [64, 1514] {
        for kind in ["packet", "xdp"] {
            let (mut from, mut to) = (open(kind, a), open(kind, b));
            let [send, receive] = measured(&mut from, &mut to, len);
            println!("{kind:>7} {len:>5} octets: {send:.0}, {receive:.0}");
        }
    }
}

fn open(kind: &str, end: &str) -> Port {
    let device: Device = format!("{kind}:{end}").parse().expect("a device");
    let defaults = Defaults {
        name: end.to_owned(),
        role: Role::Server,
        queues: 1,
        mtu: 1500,
        hosts: false,
        recognise: None,
    };
    let mut port = link::open(&device, &defaults).expect("a port");
    let patience = Instant::now() + Duration::from_secs(5);
    while port.monitor.state() != PortState::Up {
        assert!(Instant::now() < patience, "{end} does not come up");
        port.rx[0].arm();
    }
    port
}

fn now() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn measured(from: &mut Port, to: &mut Port, len: usize) -> [f64; 2] {
    let mut octets = vec![2; len];
    octets[12..14].copy_from_slice(&[0x88, 0xb5]);
    let burst = vec![OutFrame::private(&octets); BURST];
    let mut least = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        let (mut spent, mut fetched) = ([0.0; 2], 0);
        for _ in 0..BURSTS {
            let begun = now();
            let taken = from.tx[0].send(0, &burst);
            from.tx[0].kick();
            let sent = now();
            assert_eq!((taken.frames, taken.refused), (BURST, 0));
            let mut left = BURST;
            while left > 0 {
                let mut lent = RxBurst::new();
                to.rx[0].recv(0, left, &mut lent);
                let came = lent.len();
                drop(lent);
                to.rx[0].release(came);
                left -= came;
            }
            fetched += BURST;
            spent = [spent[0] + sent - begun, spent[1] + now() - sent];
        }
        for (least, spent) in least.iter_mut().zip(spent) {
            *least = least.min(spent / fetched as f64);
        }
    }
    least
}
