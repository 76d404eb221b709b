//! Cycles per frame of a memif whose ends are both in this process.
//!
//! `cargo run --release -p link --example memif_bench [OCTETS] [BURST]`
//!
//! Each figure is the least of many rounds, in cycles of the time stamp counter, which ticks at a constant rate
//! (so on a core that boosts, a "cycle" here is longer than the core's). One thread: each end by itself, with the
//! ring in the cache. Two threads: both at once on two cores, so that every line crosses between them; needs two
//! cores that have nothing else to do.

use link::memif::{Config, Role, open};
use link::{BURST, Gather, OutFrame, Port, PortState, RxBurst, Seg};
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, Ordering};

/// Private octets at the front of a frame that is sent: addresses, tag, EtherType.
const HEAD: usize = 22;
/// Rounds of which the least counts.
const ROUNDS: usize = 200;
/// Frames in a round of one thread: fewer than the ring holds.
const FRAMES: usize = 512;
/// Frames that two threads are timed for, and how often.
const WINDOW: usize = 8192;
/// See [`WINDOW`].
const WINDOWS: usize = 2000;

#[cfg(target_arch = "x86_64")]
fn cycles() -> u64 {
    // SAFETY: every x86-64 has a time stamp counter, and nothing here forbids its use.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn cycles() -> u64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64)
}

/// Sends bursts until `n` frames are taken or the ring is full; says how many were.
fn send(port: &mut Port, out: &[OutFrame<'_>], n: usize) -> usize {
    let mut sent = 0;
    while sent < n {
        let burst = &out[..out.len().min(n - sent)];
        let taken = port.tx[0].send(0, burst).frames;
        sent += taken;
        if taken < burst.len() {
            break;
        }
    }
    port.tx[0].kick();
    sent
}

/// Receives one burst as an engine does: copies each head out, looks at it, gives the frames back.
fn receive(port: &mut Port, max: usize) -> usize {
    let mut burst = RxBurst::new();
    port.rx[0].recv(0, max, &mut burst);
    let mut head = [0u8; 128];
    for frame in &burst {
        frame.data.copy_to(&mut head);
        black_box(&head);
    }
    let n = burst.len();
    drop(burst);
    port.rx[0].release(n);
    n
}

fn one_thread(from: &mut Port, to: &mut Port, out: &[OutFrame<'_>]) -> (f64, f64) {
    let mut least = (u64::MAX, u64::MAX);
    for _ in 0..ROUNDS {
        let start = cycles();
        assert_eq!(send(from, out, FRAMES), FRAMES);
        let sent = cycles();
        let mut left = FRAMES;
        while left > 0 {
            left -= receive(to, out.len());
        }
        least = (least.0.min(sent - start), least.1.min(cycles() - sent));
    }
    (least.0 as f64 / FRAMES as f64, least.1 as f64 / FRAMES as f64)
}

/// The time the receiver takes for [`WINDOW`] frames in the steady state: that of the slower end, with all ring
/// lines on their way between two cores.
fn two_threads(from: &mut Port, to: &mut Port, out: &[OutFrame<'_>]) -> f64 {
    let done = AtomicBool::new(false);
    let burst = out.len();
    let least = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let time_window = |_| {
                let start = cycles();
                let mut left = WINDOW;
                while left > 0 {
                    match receive(to, burst.min(left)) {
                        0 => spin_loop(),
                        n => left -= n,
                    }
                }
                cycles() - start
            };
            let least = (0..WINDOWS).map(time_window).min();
            done.store(true, Ordering::Relaxed);
            least.unwrap_or_default()
        });
        while !done.load(Ordering::Relaxed) {
            if send(from, out, FRAMES) == 0 {
                spin_loop();
            }
        }
        receiver.join().expect("the receiver ends")
    });
    // What is still inside must not meet the next measurement.
    while receive(to, burst) > 0 {}
    least as f64 / WINDOW as f64
}

fn main() {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let octets: usize = args.next().unwrap_or(64);
    let burst: usize = args.next().unwrap_or(BURST).clamp(1, BURST);
    assert!(octets > HEAD, "OCTETS must be more than {HEAD}");

    let socket = format!("niv-memif-bench-{}", std::process::id());
    let end = |role| Config { abstract_socket: true, ..Config::new(&socket, role) };
    let mut server = open(end(Role::Server)).expect("the server opens");
    let mut client = open(end(Role::Client)).expect("the client opens");
    while server.monitor.state() != PortState::Up || client.monitor.state() != PortState::Up {
        std::thread::yield_now();
    }

    let bytes = vec![0x5a; octets];
    let (head, body) = bytes.split_at(HEAD);
    let frame = OutFrame::complete(head, Gather::one(Seg::from_slice(body)));
    let out = vec![frame; burst];
    println!("{octets} octets, bursts of {burst}: cycles per frame");
    for name in ["client to server (S2M)", "server to client (M2S)"] {
        let (send, receive) = one_thread(&mut client, &mut server, &out);
        let both = two_threads(&mut client, &mut server, &out);
        println!("{name}: one thread: send {send:.1}, receive {receive:.1}; two threads: {both:.1}");
        core::mem::swap(&mut client, &mut server);
    }
}
