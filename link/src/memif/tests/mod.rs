//! A port against a port, and a port against peers played by hand.

mod exchange;
mod handshake;
mod hostile;
mod pair;
mod rings;

use super::*;
use crate::frame::OutFrame;
use crate::port::PortState;
use crate::queue::{BURST, RxBurst};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::time::{Duration, Instant};

/// A socket path in a folder that goes with the test.
pub(super) fn socket() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.sock");
    (dir, path)
}

/// Both ends on one socket, up.
pub(super) fn pair(change: impl Fn(&mut Config)) -> (tempfile::TempDir, Port, Port) {
    let (dir, path) = socket();
    let open_as = |role| {
        let mut config = Config::new(&path, role);
        change(&mut config);
        open(config).unwrap()
    };
    let (mut server, mut client) = (open_as(Role::Server), open_as(Role::Client));
    wait_state(&mut server, is_up);
    wait_state(&mut client, is_up);
    (dir, server, client)
}

pub(super) fn is_up(state: &PortState) -> bool {
    *state == PortState::Up
}

/// Waits for a state by the event of the first receiving queue, as a worker would.
pub(super) fn wait_state(port: &mut Port, want: impl Fn(&PortState) -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        port.rx[0].disarm();
        if want(&port.monitor.state()) {
            return;
        }
        assert!(Instant::now() < end, "still {:?}", port.monitor.state());
        // A cause may change without an event.
        wait_event(port, 0, Duration::from_millis(20));
    }
}

/// Waits for the event of a receiving queue; `false` when it does not come.
pub(super) fn wait_event(port: &Port, queue: usize, time: Duration) -> bool {
    let event = port.rx[queue].event().unwrap();
    let timeout = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
    poll(&mut [PollFd::from_borrowed_fd(event, PollFlags::IN)], Some(&timeout)).unwrap() > 0
}

/// Sends frames from private memory; says how many were taken.
pub(super) fn send(port: &mut Port, queue: usize, frames: &[Vec<u8>]) -> usize {
    let mut sent = 0;
    for burst in frames.chunks(BURST) {
        let out: Vec<OutFrame<'_>> = burst.iter().map(|frame| OutFrame::private(frame)).collect();
        let taken = port.tx[queue].send(0, &out).frames;
        sent += taken;
        if taken < out.len() {
            break;
        }
    }
    port.tx[queue].kick();
    sent
}

/// Everything that waits in a queue.
pub(super) fn receive(port: &mut Port, queue: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    loop {
        let mut burst = RxBurst::new();
        port.rx[queue].recv(0, BURST, &mut burst);
        let n = burst.len();
        frames.extend(burst.iter().map(|frame| frame.data.to_vec()));
        drop(burst);
        port.rx[queue].release(n);
        if n == 0 {
            return frames;
        }
    }
}

pub(super) fn counter(port: &Port, name: &str) -> u64 {
    port.monitor.counters().iter().find(|counter| counter.name == name).unwrap().value
}

/// A frame whose octets tell it from others.
pub(super) fn frame(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + seed * 31 + (i >> 8)) as u8).collect()
}
