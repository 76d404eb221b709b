//! Load from this process: many guests that talk, at the adapter's sockets, and an adapter without guests, at the link.

use super::GUEST_CORE;
use super::ours::{LINK, socket};
use crate::driver::{Features, Guest};
use crate::world::frames::{BROADCAST, frame, mac, up};
use anyhow::{Context, Result, bail};
use link::{BURST, Defaults, Device, OutFrame, Port, PortState, Role, RxBurst};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// Frames that are under way at once, whoever sends them: the depth of a queue decides what a hand-over costs.
pub(super) const UNDER_WAY: usize = 512;

/// This thread makes the load from now on, and has the guests' core.
pub(super) fn on_guest_core() -> Result<()> {
    on_core(GUEST_CORE)
}

/// This thread, and those that it starts, run on this core.
pub(super) fn on_core(number: &str) -> Result<()> {
    let mut core = CpuSet::new();
    core.set(number.parse()?);
    sched_setaffinity(None, &core).with_context(|| format!("cannot run on core {number}"))
}

/// All descriptors that this process may have.
pub(super) fn many_descriptors() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("open files")
}

/// Guests that talk.
pub(super) struct Guests {
    guests: Vec<Guest>,
    /// Frames that each sends at once.
    each: usize,
}

impl Guests {
    /// As many as this, at the sockets of the vNICs from 0 on; so many of them send at the same time.
    pub(super) fn connect(count: usize, senders: usize) -> Result<Self> {
        many_descriptors()?;
        let each = (UNDER_WAY / senders).max(1);
        let queue_size = u16::try_from((2 * each).next_power_of_two().max(64))?;
        let features = Features { queue_size, max_frame: 128, ..Features::default() };
        let guest = |nr| Guest::connect(&socket(nr), features).with_context(|| format!("guest {nr}"));
        Ok(Self { guests: (0..count).map(guest).collect::<Result<_>>()?, each })
    }

    fn send(&mut self, nr: usize, octets: &[u8]) -> Result<()> {
        let guest = &mut self.guests[nr];
        guest.pairs[0].reclaim();
        for _ in 0..self.each {
            if !guest.pairs[0].queue(octets) {
                bail!("the ring of guest {nr} is full, though nothing is under way");
            }
        }
        if guest.pairs[0].flush() {
            kick(guest.kick_fd(1));
        }
        Ok(())
    }

    /// Takes what has come.
    fn drain(&mut self, nr: usize) -> usize {
        let guest = &mut self.guests[nr];
        let mut taken = 0;
        while guest.pairs[0].poll().is_some() {
            taken += 1;
        }
        if guest.pairs[0].rx_kick() {
            kick(guest.kick_fd(0));
        }
        taken
    }

    /// Everybody's neighbour, who has the same number but for the last bit, gets a burst, until the time is over;
    /// how many frames came.
    pub(super) fn all_talk(&mut self, time: Duration) -> Result<u64> {
        let count = self.guests.len();
        let octets: Vec<_> = (0..count as u16).map(|nr| frame(mac(nr ^ 1), mac(nr)).ipv4(46)).collect();
        self.rounds(time, |guests| {
            for (nr, octets) in octets.iter().enumerate() {
                guests.send(nr, octets)?;
            }
            guests.wait_for(count * guests.each, 0..count)
        })
    }

    /// The first one broadcasts; how many copies came.
    pub(super) fn flood(&mut self, time: Duration) -> Result<u64> {
        let octets = frame(BROADCAST, mac(0)).ipv4(46);
        let count = self.guests.len();
        self.rounds(time, |guests| {
            guests.send(0, &octets)?;
            guests.wait_for((count - 1) * guests.each, 1..count)
        })
    }

    fn rounds(&mut self, time: Duration, mut round: impl FnMut(&mut Self) -> Result<usize>) -> Result<u64> {
        let end = Instant::now() + time;
        let mut came = 0;
        while Instant::now() < end {
            came += round(self)? as u64;
        }
        Ok(came)
    }

    fn wait_for(&mut self, frames: usize, who: std::ops::Range<usize>) -> Result<usize> {
        let deadline = Instant::now() + PATIENCE;
        let mut came = 0;
        while came < frames {
            let before = came;
            for nr in who.clone() {
                came += self.drain(nr);
            }
            if came == before && Instant::now() >= deadline {
                bail!("only {came} of {frames} frames came");
            }
        }
        Ok(came)
    }
}

pub(super) fn kick(fd: &OwnedFd) {
    let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
}

/// An adapter without guests: frames of whichever VIF one likes.
pub(super) struct Iv {
    port: Port,
    begun: Instant,
    under_way: usize,
    /// Frames that came back for one VIF.
    pub(super) unicast: u64,
    /// Frames that came back for a list.
    pub(super) flooded: u64,
}

impl Iv {
    /// At the switch's link.
    pub(super) fn connect() -> Result<Self> {
        let device: Device = format!("memif:{LINK}").parse()?;
        let defaults = Defaults {
            name: "iv".to_owned(),
            role: Role::Client,
            queues: 1,
            mtu: 1510,
            hosts: false,
            recognise: None,
        };
        let port = link::open(&device, &defaults)?;
        super::measure::wait_for("the link", PATIENCE, || {
            Ok((port.monitor.state() == PortState::Up).then_some(()))
        })?;
        Ok(Self { port, begun: Instant::now(), under_way: 0, unicast: 0, flooded: 0 })
    }

    /// Sends what `next` writes until it says no more, and waits for all that comes back: each frame once.
    ///
    /// `next` gets the octets of the frame that had this place before, 64 places in turn.
    pub(super) fn send(&mut self, first: &[u8], mut next: impl FnMut(&mut [u8]) -> bool) -> Result<()> {
        let mut frames = vec![first.to_vec(); BURST];
        let mut more = true;
        let mut deadline = Instant::now() + PATIENCE;
        while more || self.under_way > 0 {
            let mut count = 0;
            while more && count < BURST && self.under_way + count < UNDER_WAY {
                more = next(&mut frames[count]);
                count += usize::from(more);
            }
            let mut sent = 0;
            while sent < count {
                let out: Vec<_> =
                    frames[sent..count].iter().map(|octets| OutFrame::private(octets)).collect();
                let now = self.now();
                let taken = self.port.tx[0].send(now, &out).frames;
                self.port.tx[0].kick();
                (sent, self.under_way) = (sent + taken, self.under_way + taken);
                if taken == 0 && self.drain() == 0 && Instant::now() >= deadline {
                    bail!("the link takes no more frames");
                }
            }
            if self.drain() > 0 {
                deadline = Instant::now() + PATIENCE;
            } else if Instant::now() >= deadline {
                bail!("{} frames did not come back", self.under_way);
            }
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    fn drain(&mut self) -> usize {
        let now = self.now();
        let mut burst = RxBurst::new();
        self.port.rx[0].recv(now, BURST, &mut burst);
        let came = burst.len();
        for frame in &burst {
            let mut head = [0; 15];
            frame.data.copy_to(&mut head);
            // Bit 30 of the VNTag's word, P: for a list.
            match head[14] & 0x40 {
                0 => self.unicast += 1,
                _ => self.flooded += 1,
            }
        }
        drop(burst);
        self.port.rx[0].release(came);
        self.under_way -= came.min(self.under_way);
        came
    }
}

/// The octets of a frame of this VIF, 64 without its tag.
pub(super) fn upward(vif: u16, to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
    frame(to, from).vntag(up(u32::from(vif))).vlan(0, 0).ipv4(50)
}
