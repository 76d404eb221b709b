//! An adapter without threads: the real data path and the real firmware, and guests at cables.

use super::{End, Machine, cpu_time, run_worker};
use crate::control::firmware_config;
use firmware_sim::{CarrierCause, Firmware, LinkId, Notice, OrderId, VnicConfig, VnicId};
use link::pair::{Cable, Config};
use link::{Monitor, Port, PortState};
use niv_adapter::control::{Host, afex_counters, carry_out};
use niv_adapter::engine::{Datapath, DropReason, LinkSetup, Order, Punted, Stats, VnicSetup, VnicStats};
use niv_node::counter::Balance;
use niv_node::mailbox::{Mailbox, Sender, Ticket, lanes, mailbox};
use niv_node::worker::Worker;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use vntag::Vntag;
use vntag::ctl::Counters;

/// Frames that a guest's cable holds.
const GUEST_RING: usize = 256;
/// Orders that may wait for the worker: enough for a link's worth of VIFs and lists.
const ORDERS: usize = 65_536;
/// Control frames of a link that may wait for the firmware.
const PUNTS: usize = 1024;
/// Rounds in which nothing moves, after which nothing will.
const QUIET: usize = 2;

/// A guest at its vNIC.
pub struct Guest {
    /// The guest.
    pub end: End,
    /// Plugged while its rings are enabled.
    pub cable: Cable,
    stats: Arc<VnicStats>,
}

/// An adapter with its firmware.
pub struct ManagedAdapter {
    /// The firmware.
    pub firmware: Firmware,
    /// Guests whose carrier is down, and why.
    pub down: BTreeMap<VnicId, CarrierCause>,
    /// What the firmware had to say.
    pub notices: Vec<Notice>,
    /// Processor time that the firmware took.
    pub control_time: Duration,
    worker: Datapath<Vntag>,
    stats: Stats,
    guests: BTreeMap<VnicId, Guest>,
    links: Vec<(Arc<dyn Monitor>, bool)>,
    punted: Mailbox<Punted>,
    path: Path,
    /// A guest may have sent something.
    stirred: bool,
}

/// The way to the worker.
struct Path {
    orders: Sender<Order>,
    posted: VecDeque<(Ticket, OrderId)>,
    given: usize,
}

/// What the firmware reaches while it is carried out.
struct Hands<'a> {
    path: &'a mut Path,
    guests: &'a BTreeMap<VnicId, Guest>,
    down: &'a mut BTreeMap<VnicId, CarrierCause>,
    notices: &'a mut Vec<Notice>,
}

impl Host for Hands<'_> {
    fn is_full(&self) -> bool {
        false
    }

    fn apply(&mut self, order: Order, id: Option<OrderId>) {
        self.path.given += 1;
        let ticket = self.path.orders.post(order).unwrap_or_else(|error| panic!("{error}"));
        self.path.posted.extend(id.map(|id| (ticket, id)));
    }

    fn carrier(&mut self, vnic: VnicId, down: Option<CarrierCause>) {
        match down {
            Some(cause) => self.down.insert(vnic, cause),
            None => self.down.remove(&vnic),
        };
    }

    fn counters(&self, vnic: VnicId) -> Option<Counters> {
        self.guests.get(&vnic).map(|guest| afex_counters(&guest.stats))
    }

    fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }
}

impl ManagedAdapter {
    /// Adapter `number` without vNICs; these are its ends of its links, each with room for so many VIFs.
    ///
    /// # Panics
    /// When the system has no descriptor left.
    #[must_use]
    pub fn new(number: u8, links: Vec<Port>, vifs: u16, boot_id: u64) -> Self {
        let (punt, punted) = lanes(links.len(), PUNTS).expect("two descriptors");
        let (orders, ordered) = mailbox(ORDERS).expect("two descriptors");
        let mut config = firmware_config(number, links.len() as u16, boot_id);
        config.links.iter_mut().for_each(|link| link.limits.vifs = vifs);
        let firmware = Firmware::new(config);
        let monitors = links.iter().map(|link| (link.monitor.clone(), false)).collect();
        let setups = links.into_iter().map(|link| {
            let tx = link.tx.into_iter().next().expect("a pair has a queue");
            LinkSetup { rx: link.rx, tx, punt: Some(punt.clone()) }
        });
        let stats = Stats::default();
        Self {
            firmware,
            down: BTreeMap::new(),
            notices: Vec::new(),
            control_time: Duration::ZERO,
            worker: Datapath::new(setups.collect(), &stats, Some(ordered)),
            stats,
            guests: BTreeMap::new(),
            links: monitors,
            punted,
            path: Path { orders, posted: VecDeque::new(), given: 0 },
            stirred: true,
        }
    }

    /// A vNIC comes, or changes. Its guest is there, and its rings are not enabled, until they are.
    ///
    /// # Panics
    /// When it cannot be.
    pub fn set(&mut self, now: u64, id: VnicId, config: VnicConfig) {
        if !self.guests.contains_key(&id) {
            let config = Config { capacity: GUEST_RING, ..Config::default() };
            let (near, far, cable) = config.open().expect("a pair without events needs nothing");
            cable.unplug();
            let stats = self.stats.add_vnic();
            let setup = VnicSetup { rx: near.rx, tx: near.tx, stats: stats.clone() };
            self.worker.apply(Order::AddVnic(id.0, setup));
            self.guests.insert(id, Guest { end: End::new(far), cable, stats });
        }
        self.firmware.set_vnic(now, id, config).expect("a vNIC that can be");
    }

    /// A vNIC goes, and its guest's cable with it.
    pub fn remove(&mut self, now: u64, id: VnicId) {
        self.firmware.remove_vnic(now, id);
        self.down.remove(&id);
        if let Some(guest) = self.guests.remove(&id) {
            guest.cable.unplug();
            self.worker.apply(Order::RemoveVnic(id.0));
            self.stats.remove_vnic(&guest.stats);
        }
    }

    /// The guest enables or disables its rings.
    pub fn set_rings(&mut self, now: u64, id: VnicId, enabled: bool) {
        if let Some(guest) = self.guests.get(&id) {
            if enabled {
                guest.cable.plug();
            } else {
                guest.cable.unplug();
            }
            self.firmware.set_rings(now, id, enabled);
            self.stirred = true;
        }
    }

    /// A guest.
    ///
    /// # Panics
    /// When there is no such vNIC.
    pub fn guest(&mut self, id: VnicId) -> &mut End {
        self.stirred = true;
        &mut self.guests.get_mut(&id).expect("a vNIC").end
    }

    /// Both sides of the balance.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.stats.balance()
    }

    /// The drop reasons that have counted anything, with their counts.
    #[must_use]
    pub fn drops(&self) -> Vec<(DropReason, u64)> {
        self.stats.drops().into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Has the firmware deal with what happened; says whether it did anything.
    fn control(&mut self, now: u64) -> usize {
        let began = cpu_time();
        let firmware = &mut self.firmware;
        for (link, (monitor, before)) in (0..).map(LinkId).zip(&mut self.links) {
            let up = monitor.state() == PortState::Up;
            if core::mem::replace(before, up) != up {
                firmware.handle_link(now, link, up);
            }
        }
        let mut busy = self.punted.drain(|punted| {
            firmware.handle_frame(now, LinkId(punted.link as u16), &punted.frame);
        });
        while let Some((_, id)) =
            self.path.posted.pop_front_if(|(ticket, _)| self.path.orders.applied(*ticket))
        {
            firmware.confirm(now, id);
            busy += 1;
        }
        self.path.given = 0;
        let (path, guests) = (&mut self.path, &self.guests);
        let mut hands = Hands { path, guests, down: &mut self.down, notices: &mut self.notices };
        carry_out(firmware, self.links.len() as u16, now, &mut hands);
        self.control_time += cpu_time() - began;
        busy + self.path.given
    }
}

impl Machine for ManagedAdapter {
    fn run(&mut self, now: u64) -> usize {
        let (mut all, mut quiet) = (0, 0);
        if core::mem::take(&mut self.stirred) {
            self.worker.wake_all();
        }
        while quiet < QUIET {
            // The links are the worker's first sources.
            (0..self.links.len()).for_each(|link| self.worker.ready(link as u64));
            let moved = run_worker(&mut self.worker, now) + self.control(now);
            quiet = if moved == 0 { quiet + 1 } else { 0 };
            all += moved;
        }
        all
    }

    fn deadline(&self) -> Option<u64> {
        self.firmware.next_deadline()
    }
}
