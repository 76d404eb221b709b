//! The data path of one worker: visits every busy queue in turn and moves its frames.
//!
//! vNICs, VIFs and lists come and go by [`Order`]s. Control posts them into the worker's mailbox; they take effect
//! between two turns, so that "applied" means that no frame is on its way under the former state.

mod deliver;
mod finish;
mod host;
mod link;
mod unfinished;

use super::capture::{Capture, Captures, Place};
use super::control::{Exchange, Punted};
use super::stats::{LinkStats, Stats, VnicStats};
use super::vif::{Lists, VifEntry, VifParams, VifState, VifTable, VnicSlot};
use ::link::{BURST, Nanos, RxQueue, SourceId, Sources, TxQueue};
use arrayvec::ArrayVec;
use core::marker::PhantomData;
use deliver::{Bench, Copied};
use finish::Begun;
use niv_node::mailbox::{Mailbox, Sender};
use niv_node::worker::{Turn, Worker};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use vntag::{ListId, NivTag, VifId};

/// Frames a turn moves at the most.
pub const TURN: usize = 1024;
/// Queue pairs of a vNIC at the most.
pub const MAX_QUEUES: usize = 8;
/// How long to wait before a full link is tried again; nothing tells us when a peer makes room.
const FULL_LINK_RETRY: Nanos = 50_000;
/// The token of the mailbox among those of the sources.
const MAILBOX: u64 = u64::MAX;

/// A link as the data path gets it. Links stay as long as the worker.
pub struct LinkSetup {
    /// From the switch.
    pub rx: Vec<Box<dyn RxQueue>>,
    /// To the switch: the worker's queue.
    pub tx: Box<dyn TxQueue>,
    /// Where control frames from the switch go; its lane is the index of the link. `None` on a link without
    /// negotiation: they are dropped (`link_control`).
    pub punt: Option<Sender<Punted>>,
}

/// A vNIC as the data path gets it.
pub struct VnicSetup {
    /// From the guest: the queues that are the worker's.
    pub rx: Vec<Box<dyn RxQueue>>,
    /// To the guest; [`MAX_QUEUES`] at the most are used.
    pub tx: Vec<Box<dyn TxQueue>>,
    /// What it counts.
    pub stats: Arc<VnicStats>,
}

/// A change of what the worker works with. What names a slot or link that does not exist changes nothing.
pub enum Order {
    /// A new vNIC; what was in the slot before is gone.
    AddVnic(VnicSlot, VnicSetup),
    /// A vNIC gets other queues; its VIFs stay. The former queues are closed when the next order is applied.
    SetQueues(VnicSlot, VnicSetup),
    /// A vNIC, and every VIF that leads to it, is gone. Its port is closed when the next order is applied.
    RemoveVnic(VnicSlot),
    /// A VIF leads to a vNIC. While it is active, the frames of that vNIC carry it; a vNIC has one active VIF, and
    /// the one that was active before stands by.
    SetVif {
        /// Index of the link.
        link: usize,
        /// The VIF.
        vif: VifId,
        /// The vNIC.
        vnic: VnicSlot,
        /// Whether frames pass.
        state: VifState,
        /// The parameters of the VIF.
        params: VifParams,
    },
    /// A VIF leads nowhere any more.
    ClearVif {
        /// Index of the link.
        link: usize,
        /// The VIF.
        vif: VifId,
    },
    /// The members of a list; `None` takes the list away.
    SetList {
        /// Index of the link.
        link: usize,
        /// The list.
        list: ListId,
        /// Its members.
        members: Option<Box<[VifId]>>,
    },
    /// Nothing. That it was applied tells that everything before it is in effect and over.
    Quiesce,
    /// Sends frames of control as they are, in order, before anything else. What does not fit is dropped by name.
    Send {
        /// Index of the link.
        link: usize,
        /// The frames.
        frames: Vec<Vec<u8>>,
    },
}

struct Vnic {
    tx: Vec<Box<dyn TxQueue>>,
    sources: Vec<SourceId>,
    stats: Arc<VnicStats>,
    /// Its active VIF.
    uplink: Option<Uplink>,
    params: VifParams,
    pending: ArrayVec<Copied, BURST>,
    /// It is in `Bench::kicks`.
    kick: bool,
}

/// The link and VIF that a vNIC's frames go up by.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Uplink {
    link: usize,
    source: u32,
}

struct Link {
    tx: Box<dyn TxQueue>,
    vifs: VifTable,
    lists: Lists,
    stats: Arc<LinkStats>,
    control: Exchange,
    kick: bool,
}

#[derive(Clone, Copy)]
enum From {
    Host(VnicSlot),
    Link(usize),
}

/// How a visit ended.
#[derive(PartialEq, Eq)]
enum Visit {
    Moved(usize),
    Empty,
    /// Frames wait, but their way is full.
    Blocked,
}

/// The data path of one worker.
pub struct Datapath<T: NivTag> {
    sources: Sources,
    from: Vec<From>,
    /// How far the super-frame at the front of each source has gone.
    begun: Vec<Begun>,
    vnics: Vec<Option<Vnic>>,
    links: Vec<Link>,
    bench: Bench,
    order: Vec<SourceId>,
    mailbox: Option<Mailbox<Order>>,
    changed: bool,
    /// Queues that were taken away in the last turn; the loop stops watching them before the next one.
    retired: Vec<Box<dyn RxQueue>>,
    tag: PhantomData<fn() -> T>,
}

impl<T: NivTag> Datapath<T> {
    /// A data path over these links, without vNICs; they and everything else come through [`apply`](Self::apply)
    /// or the mailbox.
    #[must_use]
    pub fn new(links: Vec<LinkSetup>, stats: &Stats, mailbox: Option<Mailbox<Order>>) -> Self {
        let mut sources = Sources::default();
        let mut from = Vec::new();
        let mut tables = Vec::new();
        for (index, setup) in links.into_iter().enumerate() {
            for queue in setup.rx {
                sources.add(queue);
                from.push(From::Link(index));
            }
            let (vifs, lists) = (VifTable::default(), Lists::default());
            let (stats, control) = (stats.add_link(), Exchange::new(setup.punt));
            tables.push(Link { tx: setup.tx, vifs, lists, stats, control, kick: false });
        }
        Self {
            sources,
            begun: vec![Begun::default(); from.len()],
            from,
            vnics: Vec::new(),
            links: tables,
            bench: Bench::default(),
            order: Vec::new(),
            mailbox,
            changed: true,
            retired: Vec::new(),
            tag: PhantomData,
        }
    }

    /// The counters of each link, in order.
    pub fn link_stats(&self) -> impl Iterator<Item = Arc<LinkStats>> + '_ {
        self.links.iter().map(|link| Arc::clone(&link.stats))
    }

    /// Where captures of its links and vNICs begin. Those of a vNIC end with it.
    #[must_use]
    pub fn captures(&self) -> Captures {
        self.bench.capture.captures().clone()
    }

    /// From now on what it moves is in these captures, which other workers may record for, too.
    #[must_use]
    pub fn recording_for(mut self, captures: &Captures) -> Self {
        self.bench.capture = Capture::new(captures);
        self
    }

    /// Polls every queue from now on. For worlds whose queues have no events.
    pub fn wake_all(&mut self) {
        self.sources.wake_all();
    }

    /// Applies an order between two turns; what it sends leaves at the beginning of the next one.
    pub fn apply(&mut self, order: Order) {
        match order {
            Order::AddVnic(slot, setup) => self.add_vnic(slot, setup),
            Order::SetQueues(slot, setup) => self.set_queues(slot, setup),
            Order::RemoveVnic(slot) => self.remove_vnic(slot),
            Order::SetVif { link, vif, vnic, state, params } => {
                let Some(Some(port)) = self.vnics.get_mut(vnic as usize) else { return };
                let Some(table) = self.links.get_mut(link) else { return };
                table.vifs.set(vif, Some(VifEntry { vnic, state }));
                let uplink = Uplink { link, source: u32::from(vif.get()) };
                match state {
                    VifState::Active => {
                        if let Some(before) = port.uplink.filter(|before| *before != uplink) {
                            self.links[before.link].vifs.stand_by(before.source);
                        }
                        port.params = params;
                        port.uplink = Some(uplink);
                    }
                    VifState::Standby if port.uplink == Some(uplink) => port.uplink = None,
                    VifState::Standby => {}
                }
            }
            Order::ClearVif { link, vif } => {
                let Some(table) = self.links.get_mut(link) else { return };
                table.vifs.set(vif, None);
                let uplink = Some(Uplink { link, source: u32::from(vif.get()) });
                self.vnics
                    .iter_mut()
                    .flatten()
                    .filter(|vnic| vnic.uplink == uplink)
                    .for_each(|vnic| vnic.uplink = None);
            }
            Order::SetList { link, list, members } => {
                if let Some(link) = self.links.get_mut(link) {
                    link.lists.set(list, members);
                }
            }
            Order::Quiesce => {}
            Order::Send { link, frames } => {
                if let Some(link) = self.links.get_mut(link) {
                    link.control.queue(frames);
                }
            }
        }
    }

    fn add_vnic(&mut self, slot: VnicSlot, setup: VnicSetup) {
        self.remove_vnic(slot);
        let index = slot as usize;
        if index >= self.vnics.len() {
            self.vnics.resize_with(index + 1, || None);
        }
        self.vnics[index] = Some(Vnic {
            sources: self.add_sources(slot, setup.rx),
            tx: setup.tx,
            stats: setup.stats,
            uplink: None,
            params: VifParams::default(),
            pending: ArrayVec::new(),
            kick: false,
        });
    }

    fn set_queues(&mut self, slot: VnicSlot, setup: VnicSetup) {
        let Some(vnic) = self.vnics.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        (vnic.tx, vnic.stats) = (setup.tx, setup.stats);
        let former = core::mem::take(&mut vnic.sources);
        self.retired.extend(former.into_iter().filter_map(|id| self.sources.remove(id)));
        let sources = self.add_sources(slot, setup.rx);
        if let Some(Some(vnic)) = self.vnics.get_mut(slot as usize) {
            vnic.sources = sources;
        }
    }

    fn add_sources(&mut self, slot: VnicSlot, queues: Vec<Box<dyn RxQueue>>) -> Vec<SourceId> {
        self.changed = true;
        let mut ids = Vec::new();
        for queue in queues {
            let id = self.sources.add(queue);
            if id >= self.from.len() {
                self.from.resize(id + 1, From::Host(slot));
                self.begun.resize(id + 1, Begun::default());
            }
            self.from[id] = From::Host(slot);
            self.begun[id] = Begun::default();
            ids.push(id);
        }
        ids
    }

    fn remove_vnic(&mut self, slot: VnicSlot) {
        let Some(vnic) = self.vnics.get_mut(slot as usize).and_then(Option::take) else { return };
        self.retired.extend(vnic.sources.into_iter().filter_map(|id| self.sources.remove(id)));
        self.links.iter_mut().for_each(|link| link.vifs.forget(slot));
        self.bench.capture.captures().end(Place::Vnic(slot));
        self.changed = true;
    }

    fn visit(&mut self, id: SourceId, now: Nanos) -> Visit {
        let visit = match self.from[id] {
            From::Host(vnic) => self.visit_host(id, vnic, now),
            From::Link(link) => self.visit_link(id, link, now),
        };
        match visit {
            Visit::Moved(frames) => self.sources.visited(id, frames),
            Visit::Empty => self.sources.visited(id, 0),
            Visit::Blocked => {}
        }
        visit
    }

    /// Sends what control gave; says how many frames that were.
    fn originate(&mut self, now: Nanos) -> usize {
        let mut sent = 0;
        for (index, link) in self.links.iter_mut().enumerate() {
            let capture = (index, &mut self.bench.capture);
            let (frames, kick) = link.control.originate(&mut *link.tx, &link.stats, capture, now);
            link.kick |= kick;
            sent += frames;
        }
        sent
    }

    /// Tells the peers and guests that got something in this turn.
    fn kick(&mut self) {
        for link in self.links.iter_mut().filter(|link| link.kick) {
            link.tx.kick();
            link.kick = false;
        }
        for slot in self.bench.kicks.drain(..) {
            if let Some(Some(vnic)) = self.vnics.get_mut(slot as usize) {
                vnic.tx.iter_mut().for_each(|queue| queue.kick());
                vnic.kick = false;
            }
        }
    }
}

impl Vnic {
    /// A guest is there and its receiving rings are enabled.
    fn has_guest(&self) -> bool {
        self.tx.iter().any(|queue| queue.is_up())
    }
}

impl<T: NivTag> Worker for Datapath<T> {
    fn turn(&mut self, now: u64) -> Turn {
        self.retired.clear();
        if let Some(mut mailbox) = self.mailbox.take() {
            mailbox.drain(|order| self.apply(order));
            self.mailbox = Some(mailbox);
        }
        self.sources.wake_due(now);
        let originated = self.originate(now);
        let mut moved = 0;
        let mut order = core::mem::take(&mut self.order);
        let blocked = loop {
            self.sources.round(&mut order);
            let before = moved;
            let mut blocked = 0;
            for id in order.iter().copied() {
                match self.visit(id, now) {
                    Visit::Moved(frames) => moved += frames,
                    Visit::Empty => {}
                    Visit::Blocked => blocked += 1,
                }
                if moved >= TURN {
                    break;
                }
            }
            if moved == before || moved >= TURN {
                break blocked;
            }
        };
        self.order = order;
        self.kick();
        let moved = moved + originated;
        let idle = moved == 0 && self.sources.polled() == blocked;
        let retry = (blocked > 0).then(|| now + FULL_LINK_RETRY);
        let next = if idle { retry.into_iter().chain(self.sources.deadline()).min() } else { None };
        Turn { moved, idle, next }
    }

    fn ready(&mut self, token: u64) {
        if token != MAILBOX {
            self.sources.wake(token as SourceId);
        }
    }

    fn events(&self) -> Vec<(BorrowedFd<'_>, u64)> {
        let sources = self.sources.iter().filter_map(|(id, queue)| Some((queue.event()?, id as u64)));
        let mailbox = self.mailbox.iter().map(|mailbox| (mailbox.event(), MAILBOX));
        sources.chain(mailbox).collect()
    }

    fn events_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    fn events_gone(&self) -> Vec<BorrowedFd<'_>> {
        self.retired.iter().filter_map(|queue| queue.event()).collect()
    }
}

#[cfg(test)]
mod tests;
