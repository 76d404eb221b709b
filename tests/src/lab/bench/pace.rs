//! Frames at a given rate between two guests of this process, there and back: what they cost, how long they take.
//!
//! The first guest sends and looks at what returns, the second one returns everything; both poll, on the guests'
//! core, so a round trip is that of the switch side alone. At a low rate the switch side sleeps between frames.

use super::Side;
use super::duel::{Duel, Goal, Run, Stage, Target};
use super::forwarding::two_guests;
use super::load::{UNDER_WAY, kick, on_guest_core};
use super::measure::{cpu_time, quantiles};
use super::ovs::Ovs;
use crate::driver::{Features, Guest};
use crate::world::frames::{frame, mac};
use anyhow::{Result, anyhow, bail};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// Round trips a second at which everything that can sleep does so between two of them.
const LOW: f64 = 1000.0;

/// Frames are made in bursts of no more than this.
const AT_ONCE: u64 = 32;

/// Where a frame carries the time at which it was sent.
const STAMP: std::ops::Range<usize> = 14 + 2..14 + 2 + 8;

/// What came of a flow.
struct Flow {
    /// Frames that the switch side moved, there and back.
    frames: u64,
    time: Duration,
    /// Nanoseconds, in ascending order.
    round_trips: Vec<u64>,
}

/// Two guests.
struct Bounce {
    guests: [Guest; 2],
    sent: u64,
}

impl Bounce {
    fn connect(sockets: &[PathBuf; 2]) -> Result<Self> {
        let features = Features {
            queue_size: 2 * UNDER_WAY as u16,
            max_frame: 128,
            indirect: false,
            ..Features::default()
        };
        let [a, b] = sockets;
        Ok(Self { guests: [Guest::connect(a, features)?, Guest::connect(b, features)?], sent: 0 })
    }

    /// Sends at this rate, or as fast as frames return, for so long.
    fn run(&mut self, rate: Option<f64>, time: Duration) -> Result<Flow> {
        let mut octets = frame(mac(1), mac(0)).payload(0x88b5, &[0; 50]);
        let [a, b] = &mut self.guests;
        let begun = Instant::now();
        let (mut sent, mut returned) = (0, 0);
        let mut round_trips = Vec::with_capacity(1 << 20);
        loop {
            let now = begun.elapsed();
            if now >= time && returned == sent {
                break;
            }
            if now >= time + PATIENCE {
                bail!("{} of {sent} frames did not return", sent - returned);
            }
            if now < time {
                let due = rate.map_or(u64::MAX, |rate| (now.as_secs_f64() * rate) as u64 + 1);
                let room = UNDER_WAY as u64 - (sent - returned);
                a.pairs[0].reclaim();
                for _ in 0..due.saturating_sub(sent).min(room).min(AT_ONCE) {
                    octets[STAMP].copy_from_slice(&(begun.elapsed().as_nanos() as u64).to_ne_bytes());
                    if !a.pairs[0].queue(&octets) {
                        break;
                    }
                    sent += 1;
                }
                flush(a);
            }
            b.pairs[0].reclaim();
            while let Some(mut frame) = b.pairs[0].poll() {
                frame[..12].rotate_left(6);
                if !b.pairs[0].queue(&frame) {
                    bail!("no room to return a frame");
                }
            }
            flush(b);
            while let Some(frame) = a.pairs[0].poll() {
                let mut stamp = [0; 8];
                stamp.copy_from_slice(&frame[STAMP]);
                returned += 1;
                if round_trips.len() < round_trips.capacity() {
                    let now = begun.elapsed().as_nanos() as u64;
                    round_trips.push(now.saturating_sub(u64::from_ne_bytes(stamp)));
                }
            }
            refill(a);
            refill(b);
        }
        self.sent += sent + returned;
        round_trips.sort_unstable();
        Ok(Flow { frames: sent + returned, time: begun.elapsed(), round_trips })
    }
}

fn flush(guest: &mut Guest) {
    if guest.pairs[0].flush() {
        kick(guest.kick_fd(1));
    }
}

fn refill(guest: &mut Guest) {
    if guest.pairs[0].rx_kick() {
        kick(guest.kick_fd(0));
    }
}

/// What one side did at a rate.
struct Measured {
    flow: Flow,
    /// CPU time of all its threads, and the part of it that was work.
    cpu: Duration,
    work: Duration,
}

impl Measured {
    fn cycles(&self, stage: &Stage) -> f64 {
        stage.cycles(self.work) / self.flow.frames as f64
    }

    /// In percent of one core.
    fn load(&self) -> f64 {
        self.cpu.as_secs_f64() / self.flow.time.as_secs_f64() * 100.0
    }
}

fn at_rate(stage: &Stage, rate: Option<f64>, side: &mut dyn Side) -> Result<Measured> {
    let mut act = || -> Result<Measured> {
        on_guest_core()?;
        let mut guests = Bounce::connect(&side.sockets())?;
        side.ready()?;
        // Both are learned, and everything that is made at first use is there.
        guests.run(Some(LOW), stage.plan.settle)?;
        side.begin()?;
        let before = cpu_time(&side.pids())?;
        let flow = guests.run(rate, stage.plan.measure)?;
        let cpu = cpu_time(&side.pids())? - before;
        let work = cpu.mul_f64(side.working_share()?);
        side.balance(guests.sent)?;
        Ok(Measured { flow, cpu, work })
    };
    act().map_err(|error| anyhow!("{error:#}\n{}", side.tail()))
}

fn ours(stage: &Stage, rate: Option<f64>) -> Result<Measured> {
    at_rate(stage, rate, &mut two_guests()?)
}

fn theirs(stage: &Stage, rate: Option<f64>) -> Result<Measured> {
    at_rate(stage, rate, &mut Ovs::start(stage.memory())?)
}

/// Round trips a second that both sides can move.
fn lower_maximum(stage: &Stage) -> Result<f64> {
    if let Some(known) = stage.lower_maximum.get() {
        return Ok(*known);
    }
    let most = |measured: Measured| measured.flow.frames as f64 / 2.0 / measured.flow.time.as_secs_f64();
    let lower = most(ours(stage, None)?).min(most(theirs(stage, None)?));
    Ok(*stage.lower_maximum.get_or_init(|| lower))
}

/// One side at a rate.
type Measure = fn(&Stage, Option<f64>) -> Result<Measured>;

/// What a part of the lower maximum costs.
pub(super) fn offered(what: &'static str, part: f64, ids: [&'static str; 2]) -> Duel {
    let run = |side: Measure| -> Run {
        Box::new(move |stage| {
            let measured = side(stage, Some(lower_maximum(stage)? * part))?;
            Ok(vec![measured.cycles(stage), measured.load()])
        })
    };
    Duel {
        what,
        peer: "ovs-dpdk",
        goals: vec![
            Goal { id: ids[0], unit: "cycles/frame", target: Target::AtMost(1.0) },
            Goal { id: ids[1], unit: "% of a core", target: Target::AtMost(1.0) },
        ],
        daily: false,
        cores: 2,
        ours: run(ours),
        theirs: run(theirs),
    }
}

/// How long a round trip takes, at half of the lower maximum or while everything sleeps.
pub(super) fn round_trip(what: &'static str, asleep: bool, ids: [&'static str; 3]) -> Duel {
    let run = move |side: Measure| -> Run {
        Box::new(move |stage| {
            let rate = if asleep { LOW } else { lower_maximum(stage)? / 2.0 };
            Ok(quantiles(&side(stage, Some(rate))?.flow.round_trips).to_vec())
        })
    };
    Duel {
        what,
        peer: "ovs-dpdk",
        goals: ids.map(|id| Goal { id, unit: "us", target: Target::AtMost(1.0) }).to_vec(),
        daily: false,
        cores: 2,
        ours: run(ours),
        theirs: run(theirs),
    }
}
