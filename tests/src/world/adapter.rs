//! An adapter without rim: the real data path between cables.

use super::{End, Machine, run_worker};
use crate::driver::{Features, VirtualNic};
use link::Port;
use link::pair::{Cable, Config};
use niv_adapter::engine::capture::Captures;
use niv_adapter::engine::workers::{self, Orders};
use niv_adapter::engine::{
    Counted, Datapath, DropReason, LinkSetup, LinkStats, Order, Punted, Stats, VifParams, VifState,
};
use niv_node::counter::Balance;
use niv_node::mailbox::{Mailbox, lanes};
use niv_node::worker::Worker;
use std::sync::Arc;
use vntag::{ListId, VifId, Vntag};

/// A vNIC of a virtual adapter.
#[derive(Clone, Copy, Debug)]
pub struct VnicSpec {
    /// Index of its link.
    pub link: usize,
    /// Its VIF.
    pub vif: u16,
    /// The VIF's parameters.
    pub params: VifParams,
}

/// What a virtual adapter is made of.
#[derive(Clone, Debug, Default)]
pub struct AdapterSpec {
    /// How many links.
    pub links: usize,
    /// The vNICs.
    pub vnics: Vec<VnicSpec>,
    /// Lists: link, id, members.
    pub lists: Vec<(usize, u16, Vec<u16>)>,
    /// Frames that a guest's ring and a link hold; 0 means 1,024.
    pub depth: usize,
    /// The longest frame that links take; 0 means 65,535.
    pub link_max_frame: usize,
    /// Links carry unfinished frames, too.
    pub link_unfinished: bool,
    /// The longest frame that guests take; 0 means 65,535.
    pub guest_max_frame: usize,
    /// Control frames of each link that wait for control at the most; 0: nobody listens to them.
    pub punts: usize,
    /// Workers; 0 means 1.
    pub workers: usize,
    /// Queues of the cable of each link, in each direction; 0 means 1.
    pub link_queues: usize,
    /// The same of a guest's cable.
    pub guest_queues: usize,
    /// Guests have virtio rings, driven like this, instead of a cable. They cannot be unplugged.
    pub virtio: Option<Features>,
}

/// The real engine of the adapter between cables.
pub struct VirtualAdapter {
    workers: Vec<Datapath<Vntag>>,
    stats: Counted<Stats>,
    /// What the first worker counts of each link.
    links: Vec<Arc<LinkStats>>,
    punted: Option<Mailbox<Punted>>,
    /// The guests, in the order of the vNICs.
    pub guests: Vec<End>,
    /// The cable of each guest that has one, to be unplugged.
    pub guest_cables: Vec<Cable>,
    /// The cable of each link.
    pub link_cables: Vec<Cable>,
}

impl VirtualAdapter {
    /// Builds an adapter; the far ends of its links come beside it.
    ///
    /// # Panics
    /// When the specification names a VIF or list id that cannot be assigned.
    #[must_use]
    pub fn new(spec: &AdapterSpec) -> (Self, Vec<End>) {
        let or = |value: usize, default| if value == 0 { default } else { value };
        let capacity = or(spec.depth, 1024);
        let pair = |max_frame, unfinished, queues| {
            let (max_frame, queues) = (or(max_frame, 65_535), or(queues, 1));
            let config = Config { capacity, max_frame, unfinished, queues, ..Config::default() };
            config.open().expect("a pair without events needs nothing")
        };
        let vif = |id: &u16| VifId::new(*id).expect("an assignable VIF");
        let (punt, punted) = match spec.punts {
            0 => (None, None),
            each => {
                lanes(spec.links, each).map(|(to, from)| (Some(to), Some(from))).expect("two descriptors")
            }
        };
        let of = or(spec.workers, 1);
        let mut links: Vec<Vec<LinkSetup>> = (0..of).map(|_| Vec::new()).collect();
        let (mut far, mut link_cables) = (Vec::new(), Vec::new());
        for index in 0..spec.links {
            let (near, away, cable) = pair(spec.link_max_frame, spec.link_unfinished, spec.link_queues);
            let each = workers::link(near, index, of, punt.as_ref()).expect("a pair has a queue");
            links.iter_mut().zip(each).for_each(|(links, link)| links.push(link));
            far.push(End::new(away));
            link_cables.push(cable);
        }
        let stats = Counted::<Stats>::of(of);
        let captures = Captures::default();
        let mut all: Vec<Datapath<Vntag>> = links
            .into_iter()
            .zip(stats.each())
            .map(|(links, stats)| Datapath::new(links, stats, None).recording_for(&captures))
            .collect();
        let (mut guests, mut guest_cables) = (Vec::new(), Vec::new());
        for (slot, vnic) in (0..).zip(&spec.vnics) {
            let counts = stats.add_vnic();
            let (setups, guest) = match spec.virtio {
                Some(features) => {
                    let (driver, rx, tx) = VirtualNic::ends(features).expect("memory for a virtual guest");
                    let (monitor, rx, tx) = (pair(0, false, 1).0.monitor, vec![rx], vec![tx]);
                    (workers::vnic(Port { rx, tx, monitor }, slot, &counts), End::virtio(driver))
                }
                None => {
                    let (near, away, cable) = pair(spec.guest_max_frame, false, spec.guest_queues);
                    guest_cables.push(cable);
                    (workers::vnic(near, slot, &counts), End::new(away))
                }
            };
            for (worker, setup) in all.iter_mut().zip(setups) {
                worker.apply(Order::AddVnic(slot, setup));
                worker.apply(Order::SetVif {
                    link: vnic.link,
                    vif: vif(&vnic.vif),
                    vnic: slot,
                    state: VifState::Active,
                    params: vnic.params,
                });
            }
            guests.push(guest);
        }
        for (link, id, members) in &spec.lists {
            let list = ListId::new(*id).expect("an assignable list");
            for worker in &mut all {
                let members = Some(members.iter().map(vif).collect());
                worker.apply(Order::SetList { link: *link, list, members });
            }
        }
        let links = all[0].link_stats().collect();
        (Self { workers: all, stats, links, punted, guests, guest_cables, link_cables }, far)
    }

    /// Changes what the adapter works with.
    pub fn apply(&mut self, order: Order) {
        let Orders(orders) = Orders::of(order, self.workers.len());
        self.workers.iter_mut().zip(orders).for_each(|(worker, order)| worker.apply(order));
    }

    /// Where captures begin.
    #[must_use]
    pub fn captures(&self) -> Captures {
        self.workers[0].captures()
    }

    /// Lets one worker take a turn; says how many frames moved.
    pub fn turn(&mut self, worker: usize, now: u64) -> usize {
        self.workers[worker].wake_all();
        self.workers[worker].turn(now).moved
    }

    /// How many frames each worker took from guests and links.
    #[must_use]
    pub fn received_by_worker(&self) -> Vec<u64> {
        self.stats.each().iter().map(|one| one.balance().received).collect()
    }

    /// The control frames that have come since this was last called.
    pub fn punted(&mut self) -> Vec<Punted> {
        let mut frames = Vec::new();
        self.punted.iter_mut().for_each(|mailbox| {
            mailbox.drain(|punted| frames.push(punted));
        });
        frames
    }

    /// The counters of a link.
    #[must_use]
    pub fn link(&self, index: usize) -> &LinkStats {
        &self.links[index]
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
}

impl Machine for VirtualAdapter {
    fn run(&mut self, now: u64) -> usize {
        let mut moved = 0;
        for worker in &mut self.workers {
            worker.wake_all();
            moved += run_worker(worker, now);
        }
        assert!(self.balance().holds(), "{:?}", self.balance());
        moved
    }
}
