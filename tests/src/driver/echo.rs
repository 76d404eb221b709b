//! The smallest user of the vNICs: a thread that sends every frame back to where it came from.

use link::{BURST, OutFrame, RxBurst, RxQueue, TxQueue};
use niv_adapter::vhost::Vnic;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

/// Empty visits after which the queues are armed and the thread sleeps.
const SPIN: u32 = 64;

/// What the thread has done.
#[derive(Debug, Default)]
pub struct EchoCounters {
    /// Frames sent back.
    pub frames: AtomicU64,
    /// Frames for which the guest had no buffer.
    pub no_room: AtomicU64,
    /// Times it slept.
    pub sleeps: AtomicU64,
    /// Nanoseconds of visits at which there were frames.
    pub busy: AtomicU64,
}

/// A running echo. Dropping it ends the thread.
pub struct Echo {
    /// What it has done.
    pub counters: Arc<EchoCounters>,
    stop: Arc<(AtomicBool, OwnedFd)>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Starts the thread. `swap`: exchanges the two addresses of each frame.
    pub fn start(mut vnic: Vnic, swap: bool) -> io::Result<Self> {
        let counters = Arc::new(EchoCounters::default());
        let stop = Arc::new((AtomicBool::new(false), eventfd(0, EventfdFlags::CLOEXEC)?));
        let (counted, stopped) = (Arc::clone(&counters), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("echo".to_owned()).spawn(move || {
            let mut empty = 0;
            while !stopped.0.load(Ordering::Relaxed) {
                let mut moved = 0;
                for (rx, tx) in vnic.rx.iter_mut().zip(&mut vnic.tx) {
                    moved += turn(rx, tx, swap, &counted);
                }
                empty = if moved > 0 { 0 } else { empty + 1 };
                if empty < SPIN {
                    continue;
                }
                empty = 0;
                if vnic.rx.iter_mut().all(RxQueue::arm) {
                    counted.sleeps.fetch_add(1, Ordering::Relaxed);
                    let mut fds: Vec<_> = vnic
                        .rx
                        .iter()
                        .filter_map(RxQueue::event)
                        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
                        .collect();
                    fds.push(PollFd::new(&stopped.1, PollFlags::IN));
                    let _ = poll(&mut fds, None);
                }
                vnic.rx.iter_mut().for_each(RxQueue::disarm);
            }
        })?;
        Ok(Self { counters, stop, thread: Some(thread) })
    }
}

fn turn(rx: &mut impl RxQueue, tx: &mut impl TxQueue, swap: bool, counters: &EchoCounters) -> usize {
    let mut heads = [[0u8; 12]; BURST];
    let mut burst = RxBurst::new();
    let begun = Instant::now();
    rx.recv(0, BURST, &mut burst);
    for (head, frame) in heads.iter_mut().zip(&burst) {
        frame.data.copy_to(head);
        if swap {
            head.rotate_left(6);
        }
    }
    let out: arrayvec::ArrayVec<OutFrame<'_>, BURST> = heads
        .iter()
        .zip(&burst)
        .map(|(head, frame)| OutFrame::complete(&head[..12.min(frame.len())], frame.data.skip(12)))
        .collect();
    let taken = tx.send(0, &out).frames;
    tx.kick();
    let lent = burst.len();
    drop(out);
    drop(burst);
    rx.release(lent);
    counters.frames.fetch_add(taken as u64, Ordering::Relaxed);
    counters.no_room.fetch_add((lent - taken) as u64, Ordering::Relaxed);
    if lent > 0 {
        counters.busy.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }
    lent
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.0.store(true, Ordering::Relaxed);
        let _ = rustix::io::write(&self.stop.1, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
