//! Cycles per packet of the vrings alone: a virtual guest and our queues on one thread, only ours on the clock.
//!
//! `cargo run --release -p niv-lab --example vring_bench [FRAME_OCTETS [FRAMES_AT_ONCE]]`; least of all rounds, so that a
//! busy machine does not change the answer. `FRAMES_AT_ONCE` is of the way to the guest.

use link::{BURST, Gather, OutFrame, RxBurst, RxQueue, Seg, TxQueue};
use niv_adapter::vhost::memory::DirtyLog;
use niv_adapter::vhost::ring::RingLog;
use niv_lab::driver::{BASE, Features, Log, VirtualNic};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: usize = 20_000;

/// Octets of a frame that the adapter has in memory of its own when it sends it, at most.
const HEAD: usize = 128;

#[cfg(target_arch = "x86_64")]
fn cycles() -> u64 {
    // SAFETY: every x86-64 CPU has this instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn cycles() -> u64 {
    let start = *START.get_or_init(Instant::now);
    start.elapsed().as_nanos() as u64
}

#[cfg(not(target_arch = "x86_64"))]
static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();

#[derive(Clone, Copy)]
struct Least {
    per_packet: f64,
    sum: u64,
    packets: u64,
}

impl Least {
    const NONE: Self = Self { per_packet: f64::INFINITY, sum: 0, packets: 0 };

    fn add(&mut self, cycles: u64, packets: usize) {
        self.per_packet = self.per_packet.min(cycles as f64 / packets as f64);
        self.sum += cycles;
        self.packets += packets as u64;
    }

    fn show(&self, what: &str) {
        let mean = self.sum as f64 / self.packets as f64;
        println!("{what:<52} least {:6.1}  mean {mean:6.1} cycles per packet", self.per_packet);
    }
}

/// What is sent.
#[derive(Clone, Copy)]
struct Load {
    /// Octets of a frame.
    octets: usize,
    /// Frames that a guest gets at once.
    at_once: usize,
}

fn bench(name: &str, features: Features, load: Load, head: usize) -> std::io::Result<()> {
    let Load { octets, at_once } = load;
    let nic = VirtualNic::stopped(features)?;
    nic.start((0, 0));
    let (rx, tx) = nic.queues();
    // As the daemons have them: what the compiler makes of one queue then does not depend on the other.
    let (mut rx, mut tx): (Box<dyn RxQueue>, Box<dyn TxQueue>) = black_box((Box::new(rx), Box::new(tx)));
    let log = Log::new(BASE + nic.driver.memory().regions()[0].size)?;
    let mapped = DirtyLog::map(log.fd(), 0, log.octets(), Arc::default()).map_err(std::io::Error::other)?;
    let mapped = Arc::new(mapped);
    let slots = [Arc::clone(&nic.from_guest), Arc::clone(&nic.to_guest)];
    let mut driver = nic.driver;
    let parts = [driver.tx.parts(), driver.rx.parts()];
    let frame = vec![0x5a; octets];
    // Every other round with the dirty log of a migration, whose bits are taken out now and then.
    let mut least = [[Least::NONE; 2]; 2];
    let mut copy = vec![[0u8; 2048]; BURST];
    for round in 0..ROUNDS {
        let logged = round % 2;
        for (slot, (desc, _, used)) in slots.iter().zip(parts) {
            let (log, desc) = (Arc::clone(&mapped), features.packed.then_some(desc));
            let log = RingLog { log, buffers: true, used: Some(used), desc, news: None };
            slot.set_log((logged == 1).then_some(log));
        }
        if round % 200 == 0 {
            log.take(BASE);
        }
        let [from, to] = &mut least[logged];
        while driver.queue(&frame) {}
        driver.flush();
        loop {
            let mut burst = RxBurst::new();
            let start = cycles();
            rx.recv(0, BURST, &mut burst);
            let n = burst.len();
            let mut lens = [0; BURST];
            for (i, frame) in burst.iter().enumerate().take(if head > 0 { BURST } else { 0 }) {
                // What an engine would do at least.
                lens[i] = frame.data.copy_to(&mut copy[i][..head]);
            }
            drop(burst);
            rx.release(n);
            let end = cycles();
            black_box((&copy, lens));
            if n == 0 {
                break;
            }
            if n == BURST {
                from.add(end - start, n);
            }
        }
        let (first, rest) = frame.split_at(frame.len().min(HEAD));
        let rest = if rest.is_empty() { Gather::EMPTY } else { Gather::one(Seg::from_slice(rest)) };
        let out: Vec<OutFrame<'_>> = (0..at_once).map(|_| OutFrame::complete(first, rest)).collect();
        let start = cycles();
        let taken = tx.send(0, &out);
        tx.kick();
        let end = cycles();
        if taken.frames == at_once {
            to.add(end - start, taken.frames);
        }
        while driver.poll().is_some() {}
    }
    for ([from, to], how) in least.iter().zip(["", ", logged"]) {
        from.show(&format!("{name}: from guest{how}"));
        to.show(&format!("{name}: to guest{how}"));
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let number = |nth, or| std::env::args().nth(nth).and_then(|arg| arg.parse().ok()).unwrap_or(or);
    let load = Load { octets: number(1, 64), at_once: number(2, BURST).clamp(1, BURST) };
    let start = Instant::now();
    let Load { octets, at_once } = load;
    println!(
        "{octets} octets, bursts of {BURST}, {at_once} downward; that way including the copy of the frame, upward as said"
    );
    let linux = Features::default();
    bench("mergeable, nothing copied up", linux, load, 0)?;
    bench("mergeable, 16 octets up", linux, load, 16)?;
    bench("mergeable, 64 octets up", linux, load, 64)?;
    bench("plain, 64 octets up", Features::plain(), load, 64)?;
    bench("packed, 64 octets up", Features { packed: true, ..linux }, load, 64)?;
    let apart =
        Features { tx_header_apart: true, rx_header_apart: true, indirect: false, ..Features::plain() };
    bench("header apart, chained, 64 up", apart, load, 64)?;
    bench("header apart, indirect, 64 up", Features { indirect: true, ..apart }, load, 64)?;
    println!("({:.1} s)", start.elapsed().as_secs_f64());
    Ok(())
}
