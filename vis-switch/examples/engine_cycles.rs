//! Cycles the engine spends on a frame: least of many rounds, so that a busy machine disturbs little.
//!
//! `cargo run --release -p vis-switch --example engine_cycles`
//!
//! Two vEths on one NIV link send 64-octet frames to each other (hairpin, or flooded while nobody is known), once over ports that only copy each
//! frame out of a fixed buffer and into another (what a memif does, without its ring), once over an in-memory pair.
//! On machines without a time stamp counter the unit is nanoseconds.

use link::pair::pair;
use link::{BURST, Frame, Gather, Nanos, OutFrame, RxBurst, RxQueue, Seg, Taken, TxQueue};
use niv_node::worker::Worker;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use vis_switch::engine::lif::LifId;
use vis_switch::engine::mac::MacTable;
use vis_switch::engine::tables::{LifPlan, Plan, PortPlan, Published, Tables};
use vis_switch::engine::vlan::Program;
use vis_switch::engine::worker::{Engine, EnginePort, Options};
use vntag::{ListId, VifId, Vntag};

const ROUNDS: usize = 20_000;

fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: reads a register; every x86-64 processor has it.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
    }
}

/// Octets from one frame to the next, as in a memif.
const STRIDE: usize = 2240;

/// Lends the frames of a ring again and again.
struct Source {
    memory: Vec<u8>,
    len: usize,
    next: usize,
    left: usize,
}

impl Source {
    /// A ring of `slots` that holds the same frames over and over.
    fn new(frames: &[Vec<u8>], slots: usize) -> Self {
        let mut memory = vec![0; slots * STRIDE];
        for (slot, frame) in memory.chunks_mut(STRIDE).zip(frames.iter().cycle()) {
            slot[..frame.len()].copy_from_slice(frame);
        }
        Self { memory, len: frames[0].len(), next: 0, left: 512 }
    }
}

impl RxQueue for Source {
    fn recv<'a>(&'a mut self, _now: Nanos, max: usize, burst: &mut RxBurst<'a>) {
        let slots = self.memory.len() / STRIDE;
        for _ in 0..max.min(self.left) {
            let from = self.next * STRIDE;
            burst.push(Frame::complete(Gather::one(Seg::from_slice(&self.memory[from..from + self.len]))));
            self.next = if self.next + 1 == slots { 0 } else { self.next + 1 };
        }
    }
    fn release(&mut self, taken: usize) {
        self.left = if taken == 0 { 512 } else { self.left - taken };
    }
    fn arm(&mut self) -> bool {
        false
    }
    fn disarm(&mut self) {}
    fn event(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Copies every frame into a buffer of its own.
struct Sink {
    buffers: Vec<[u8; 2048]>,
}

impl TxQueue for Sink {
    fn send(&mut self, _now: Nanos, frames: &[OutFrame<'_>]) -> Taken {
        for (frame, buffer) in frames.iter().zip(&mut self.buffers) {
            frame.copy_to(buffer);
        }
        Taken { frames: frames.len(), refused: 0 }
    }
    fn kick(&mut self) {}
    fn is_up(&self) -> bool {
        true
    }
}

fn frame(vif: u8, to: u8, from: u8, len: usize) -> Vec<u8> {
    let mut frame = vec![0x52, 0x54, 0, 0, 0, to, 0x52, 0x54, 0, 0, 0, from, 0x89, 0x26, 0, 0, 0, vif];
    frame.extend([0x81, 0, 0, 0, 8, 0]);
    frame.resize(len + 6, 0);
    frame
}

fn engine(port: EnginePort) -> Engine<Vntag> {
    let program = Arc::new(Program::access(10));
    let veth = |slot, vif| {
        let (Some(id), Some(vif)) = (LifId::new(slot), VifId::new(vif)) else {
            unreachable!("legal numbers")
        };
        LifPlan::virt(id, 0, vif, program.clone(), Arc::default())
    };
    let lists = ListId::new(1).map(|id| (id, vec![5, 6])).into_iter().collect();
    let plan = Plan {
        ports: vec![PortPlan::Static { lists }],
        lifs: vec![veth(1, 5), veth(2, 6)],
        ..Plan::default()
    };
    let published = Arc::new(Published::new(Tables::compile(&plan, None)));
    Engine::new(vec![port], published, Arc::new(MacTable::new(32_768, 1)), Options::default())
}

/// One burst: `hosts` behind VIF 5 send to as many behind VIF 6, and are answered if `known`.
fn bare(hosts: u8, known: bool, len: usize, slots: usize) -> f64 {
    let half = |n: u8| n % hosts * 2;
    let frames: Vec<Vec<u8>> = (0..BURST as u8)
        .map(|n| match known && n >= BURST as u8 / 2 {
            true => frame(6, half(n), half(n) + 1, len),
            false => frame(5, half(n) + 1, half(n), len),
        })
        .collect();
    let source = Source::new(&frames, slots);
    let sink = Sink { buffers: vec![[0; 2048]; BURST] };
    let mut engine = engine(EnginePort { rx: vec![Box::new(source)], tx: Box::new(sink), punt: None });
    least(|| {
        let before = ticks();
        let moved = engine.turn(0).moved;
        (ticks() - before, moved)
    })
}

fn cable() -> f64 {
    let (mut near, mut far, _cable) = pair(1024);
    let mut engine = engine(EnginePort { rx: near.rx, tx: near.tx.remove(0), punt: None });
    let up = frame(5, 2, 1, 64);
    let answer = frame(6, 1, 2, 64);
    least(|| {
        for _ in 0..4 {
            far.tx[0].send(0, &[OutFrame::private(&up); BURST]);
            far.tx[0].send(0, &[OutFrame::private(&answer); BURST]);
        }
        let before = ticks();
        let moved = engine.turn(0).moved;
        let spent = ticks() - before;
        loop {
            let mut burst = RxBurst::new();
            far.rx[0].recv(0, BURST, &mut burst);
            let count = burst.len();
            drop(burst);
            far.rx[0].release(count);
            if count == 0 {
                return (spent, moved);
            }
        }
    })
}

/// The least ticks per frame of many rounds.
fn least(mut round: impl FnMut() -> (u64, usize)) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let (spent, moved) = round();
        if moved >= 256 {
            best = best.min(spent as f64 / moved as f64);
        }
    }
    best
}

fn main() {
    println!("bare ports, 64 octets, two flows:         {:6.1} per frame", bare(1, true, 64, 64));
    println!("  the same, 1,024 slots:                  {:6.1} per frame", bare(1, true, 64, 1024));
    println!("  the same, 65,536 slots (out of cache):  {:6.1} per frame", bare(1, true, 64, 65_536));
    println!("bare ports, 64 octets, 64 flows:          {:6.1} per frame", bare(32, true, 64, 64));
    println!("bare ports, 1500 octets, two flows:       {:6.1} per frame", bare(1, true, 1500, 64));
    println!("bare ports, 64 octets, flooded to a list: {:6.1} per frame", bare(1, false, 64, 64));
    println!("in-memory pair, 64 octets, two flows:     {:6.1} per frame", cable());
}
