//! Virtual worlds: any number of adapters, switches, links and guests, on one thread, under one clock.
//!
//! Nothing here sleeps or opens a device. Time moves only when a test moves it, and a world comes to rest by
//! itself: [`settle`] runs the workers until none has anything left to do.

pub mod adapter;
pub mod beside;
pub mod capture;
pub mod clock;
pub mod end;
pub mod frames;
pub mod managed_adapter;
pub mod managed_switch;
pub mod niv;
pub mod switch;
pub mod wire;

pub use adapter::{AdapterSpec, VirtualAdapter, VnicSpec};
pub use beside::Beside;
pub use end::End;
pub use managed_adapter::ManagedAdapter;
pub use managed_switch::ManagedSwitch;
pub use niv::{NivWorld, Setup};
pub use switch::{VirtualSwitch, permitting};
pub use wire::{Seen, Wire};

use niv_node::worker::Worker;
use std::time::Duration;

/// Turns after which a world that does not come to rest is taken for broken.
const RESTLESS: usize = 100_000;

/// Something a world can run.
pub trait Machine {
    /// Polls every queue and takes turns until nothing moves; says how many frames moved.
    fn run(&mut self, now: u64) -> usize;

    /// When it has something to do by itself.
    fn deadline(&self) -> Option<u64> {
        None
    }
}

/// Runs all machines until a whole round moves nothing.
///
/// # Panics
/// When the world does not come to rest.
pub fn settle(now: u64, machines: &mut [&mut dyn Machine]) {
    for _ in 0..RESTLESS {
        if machines.iter_mut().map(|machine| machine.run(now)).sum::<usize>() == 0 {
            return;
        }
    }
    panic!("the world does not come to rest");
}

/// Processor time of this thread.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Takes turns until one moves nothing; every queue has been woken before.
fn run_worker(worker: &mut dyn Worker, now: u64) -> usize {
    let mut moved = 0;
    loop {
        let turn = worker.turn(now);
        moved += turn.moved;
        if turn.moved == 0 {
            return moved;
        }
    }
}
