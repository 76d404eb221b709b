//! DPDK's `net_memif` as the other end: testpmd sends back each frame with its addresses swapped, so that what
//! returns is known to the octet and was certainly in its hands.

#![allow(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use link::memif::{Config, Role, open};
use link::{BURST, OutFrame, Port, PortState, RxBurst};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take. testpmd needs a second or two to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// testpmd with one memif, swapping addresses. Killed when dropped.
struct Testpmd(Child);

impl Testpmd {
    fn start(socket: &Path, role: &str, more: &str) -> Self {
        let vdev = format!(
            "net_memif0,role={role},socket={},socket-abstract=no,id=0,rsize=10,bsize=2048{more}",
            socket.display()
        );
        let child = Command::new("dpdk-testpmd")
            .args(["--no-huge", "-m", "256", "--no-shconf", "--no-pci", "--no-telemetry", "-l", "0,1"])
            // Its zero-copy needs all memory in one file.
            .args(["--single-file-segments", "--log-level", "lib.eal:error", "--vdev", &vdev])
            .args(["--", "--forward-mode=macswap", "--total-num-mbufs=4096", "--no-mlockall", "--auto-start"])
            // Frames that come before it is ready shall wait.
            .arg("--no-flush-rx")
            // It runs until its standard input says something.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("testpmd starts");
        Self(child)
    }
}

impl Drop for Testpmd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether testpmd is there. Where everything must be tested its absence is a failure.
fn testpmd_is_there() -> bool {
    let there = Command::new("dpdk-testpmd").arg("--version").output().is_ok();
    if !there {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "dpdk-testpmd is missing (package dpdk)");
        println!("skipped: dpdk-testpmd is missing (package dpdk)");
    }
    there
}

/// Sleeps until the receiving queue has something to say, 10 ms at the most.
fn wait(port: &mut Port) {
    if port.rx[0].arm() {
        let event = port.rx[0].event().unwrap();
        let timeout = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        poll(&mut [PollFd::from_borrowed_fd(event, PollFlags::IN)], Some(&timeout)).unwrap();
    }
    port.rx[0].disarm();
}

fn wait_up(port: &mut Port, testpmd: &mut Testpmd) {
    let end = Instant::now() + PATIENCE;
    while port.monitor.state() != PortState::Up {
        let exited = testpmd.0.try_wait().unwrap();
        assert!(exited.is_none() && Instant::now() < end, "{exited:?}, {:?}", port.monitor.state());
        wait(port);
    }
}

fn wait_gone(port: &mut Port) {
    let end = Instant::now() + PATIENCE;
    while port.monitor.state() != (PortState::Down { cause: "peer gone".into() }) {
        assert!(Instant::now() < end, "{:?}", port.monitor.state());
        wait(port);
    }
}

/// A VNTag frame: addresses, tag, 802.1Q, IPv4 of no meaning.
fn frame(n: usize, len: usize) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];
    frame.extend([0x89, 0x26, 0x00, 0x00, 0x00, (n % 255) as u8 + 1]);
    frame.extend([0x81, 0x00, 0x00, 0x0a, 0x08, 0x00]);
    frame.extend((frame.len()..len).map(|i| (i * 13 + n * 7) as u8));
    frame
}

fn swapped(frame: &[u8]) -> Vec<u8> {
    [&frame[6..12], &frame[..6], &frame[12..]].concat()
}

/// Sends frames and checks that all of them return, in order, with their addresses swapped.
fn exchange(port: &mut Port, frames: impl IntoIterator<Item = Vec<u8>>) {
    let end = Instant::now() + PATIENCE;
    let mut frames = frames.into_iter().peekable();
    let mut outside: VecDeque<Vec<u8>> = VecDeque::new();
    while frames.peek().is_some() || !outside.is_empty() {
        // Not more at a time than the rings take both ways: testpmd drops what it cannot send back.
        while outside.len() < 64
            && let Some(frame) = frames.peek()
        {
            if port.tx[0].send(0, &[OutFrame::private(frame)]).frames == 0 {
                break;
            }
            outside.extend(frames.next().map(|frame| swapped(&frame)));
        }
        port.tx[0].kick();
        let mut burst = RxBurst::new();
        port.rx[0].recv(0, BURST, &mut burst);
        for got in &burst {
            let want = outside.pop_front().expect("no more frames than were sent");
            assert!(got.data.to_vec() == want, "a frame of {} octets came back changed", want.len());
        }
        let n = burst.len();
        drop(burst);
        port.rx[0].release(n);
        assert!(Instant::now() < end, "{} frames are missing; {:?}", outside.len(), port.monitor.counters());
        if n == 0 {
            wait(port);
        }
    }
}

/// Ordinary frames many times around the ring, then every length about the buffer's, then chains and ordinary
/// ones mixed.
fn exchange_all(port: &mut Port) {
    exchange(port, (0..5000).map(|n| frame(n, 64 + n % 1455)));
    exchange(port, (2040..2060).map(|len| frame(len, len)));
    let mixed = [60, 5000, 9000, 64, 2048, 2049, 4096, 4097, 1500];
    exchange(port, (0..900).map(|n| frame(n, mixed[n % mixed.len()])));
}

/// Both ends for some frames, then the other one is killed, returns, and finds its port again.
fn meet(ours: Role, theirs: &str, more: &str) {
    if !testpmd_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("memif.sock");
    let mut port = open(Config::new(&socket, ours)).unwrap();
    for round in 0..2 {
        let mut testpmd = Testpmd::start(&socket, theirs, more);
        wait_up(&mut port, &mut testpmd);
        if round == 0 {
            exchange_all(&mut port);
        } else {
            exchange(&mut port, (0..500).map(|n| frame(n, 100)));
        }
        drop(testpmd);
        wait_gone(&mut port);
        if ours == Role::Client {
            // Killed, it left its socket there, and would not start on it.
            std::fs::remove_file(&socket).unwrap();
        }
    }
}

#[test]
fn testpmd_is_a_client() {
    meet(Role::Server, "client", "");
}

#[test]
fn testpmd_is_a_zero_copy_client() {
    meet(Role::Server, "client", ",zero-copy=yes");
}

#[test]
fn testpmd_is_a_server() {
    meet(Role::Client, "server", "");
}
