//! TCP super-frames of 64 KiB from guest to guest: nobody between them should have to cut them.

use super::Side;
use super::duel::{Duel, Goal, Stage, Target};
use super::forwarding::two_guests;
use super::load::{kick, on_guest_core};
use super::measure::{cpu_time, wait_for};
use super::ovs::Ovs;
use crate::driver::{Features, Guest, Wire};
use crate::model::sender::{Sender, Transport};
use crate::world::frames::{frame, mac};
use anyhow::{Context, Result, anyhow, bail};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

/// Octets of payload in a super-frame.
const PAYLOAD: usize = 65_000;
/// Octets of payload in what it is cut into.
const SEGMENT: u16 = 1448;
/// Super-frames under way at once: the receiver has room for all of them, cut or whole.
const UNDER_WAY: usize = 16;

const PATIENCE: Duration = Duration::from_secs(10);

/// OVS has userspace TSO.
pub(super) fn duel() -> Duel {
    Duel {
        what: "TCP super-frames of 64 KiB between two guests that take and leave everything; OVS with userspace TSO",
        peer: "ovs-dpdk-tso",
        goals: vec![
            Goal { id: "bulk-64k", unit: "bit/s", target: Target::AtLeast(1.2) },
            Goal { id: "bulk-64k-cycles", unit: "cycles/KiB", target: Target::AtMost(1.0) },
        ],
        daily: false,
        cores: 2,
        ours: Box::new(|stage| {
            let mut ours = two_guests()?;
            let figures = transfer(stage, &mut ours)?;
            // Counters count segments, so there is nothing else to compare with.
            ours.accounts()?;
            Ok(figures)
        }),
        theirs: Box::new(|stage| transfer(stage, &mut Ovs::start_with_tso(stage.memory())?)),
    }
}

/// {bits of payload a second, cycles of work for 1,024 octets of it}.
fn transfer(stage: &Stage, side: &mut dyn Side) -> Result<Vec<f64>> {
    let mut act = || -> Result<Vec<f64>> {
        on_guest_core()?;
        let mut guests = Guests::connect(side)?;
        side.ready()?;
        guests.flow(stage.plan.settle)?;
        side.begin()?;
        let before = (cpu_time(&side.pids())?, Instant::now());
        let octets = guests.flow(stage.plan.measure)? as f64;
        let (cpu, time) = (cpu_time(&side.pids())? - before.0, before.1.elapsed());
        let work = stage.cycles(cpu) * side.working_share()?;
        Ok(vec![octets * 8.0 / time.as_secs_f64(), work / (octets / 1024.0)])
    };
    act().map_err(|error| anyhow!("{error:#}\n{}", side.tail()))
}

/// Waits for the back end at a socket that we make.
fn accept(path: &Path) -> Result<Wire> {
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    let stream = wait_for("a connection of the back end", PATIENCE, || Ok(listener.accept().ok()))?.0;
    stream.set_nonblocking(false)?;
    Ok(Wire::new(stream)?)
}

struct Guests {
    from: Guest,
    to: Guest,
}

impl Guests {
    fn connect(side: &dyn Side) -> Result<Self> {
        let features = Features { queue_size: 1024, ..Features::all() };
        let [from, to] = side.sockets();
        let connect = |path: &Path| {
            let mut guest = Guest::new(features)?;
            let wire = if side.guests_listen() { accept(path)? } else { Wire::connect(path)? };
            guest.start(wire, false).context("a guest cannot connect")?;
            anyhow::Ok(guest)
        };
        Ok(Self { from: connect(&from)?, to: connect(&to)? })
    }

    /// Super-frames for so long, until all have arrived; octets of payload.
    fn flow(&mut self, time: Duration) -> Result<u64> {
        // Learned, whoever was forgotten meanwhile.
        self.to.send(&frame(mac(1), mac(2)).ipv4(46));
        let mut addresses = [0; 12];
        addresses[..6].copy_from_slice(&mac(2));
        addresses[6..].copy_from_slice(&mac(1));
        let payload = vec![0x5a; PAYLOAD];
        let transport = Transport::Tcp { sequence: 7, flags: 0x10 };
        let sender = Sender { addresses, vlan: None, v6: false, transport, payload };
        let (header, octets) = sender.super_frame(SEGMENT);
        let headers = octets.len() - PAYLOAD;
        self.from.pairs[0].prepare(&header, &octets);
        let begun = Instant::now();
        let (mut sent, mut arrived) = (0_u64, 0_u64);
        while begun.elapsed() < time || arrived < sent {
            if begun.elapsed() > time + PATIENCE {
                bail!("of {sent} octets {arrived} arrived");
            }
            let from = &mut self.from.pairs[0];
            from.reclaim();
            while begun.elapsed() < time
                && sent - arrived <= ((UNDER_WAY - 1) * PAYLOAD) as u64
                && from.queue_prepared(octets.len())
            {
                sent += PAYLOAD as u64;
            }
            if from.flush() {
                kick(self.from.kick_fd(1));
            }
            // Whole or cut, each has headers of its own.
            while let Some(len) = self.to.pairs[0].skip() {
                arrived += len.saturating_sub(headers) as u64;
            }
            if arrived > sent {
                bail!("of {sent} octets {arrived} arrived");
            }
            if self.to.pairs[0].rx_kick() {
                kick(self.to.kick_fd(0));
            }
            // The first flow's answer to nothing, if it was flooded.
            while self.from.pairs[0].poll().is_some() {}
            if self.from.pairs[0].rx_kick() {
                kick(self.from.kick_fd(0));
            }
        }
        Ok(arrived)
    }
}
