//! The data path of one worker: visits every busy queue in turn and moves its frames.

use super::down;
use super::drops::DropReason;
use super::stats::Stats;
use super::up;
use super::vif::{HostTag, Lists, VifParams, VifTable, VnicIndex};
use arrayvec::ArrayVec;
use core::marker::PhantomData;
use link::{BURST, Nanos, OutFrame, RxBurst, RxQueue, SourceId, Sources, TxQueue};
use niv_node::worker::{Turn, Worker};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use vntag::{Head, NivTag, Target, VifId};

/// Frames a turn moves at the most.
pub const TURN: usize = 512;
/// How long to wait before a full link is tried again; nothing tells us when a peer makes room.
const FULL_LINK_RETRY: Nanos = 50_000;

/// A vNIC as the data path gets it.
pub struct VnicSetup {
    /// From the guest.
    pub rx: Vec<Box<dyn RxQueue>>,
    /// To the guest.
    pub tx: Vec<Box<dyn TxQueue>>,
    /// Index of its link.
    pub link: usize,
    /// Its VIF on that link.
    pub vif: VifId,
    /// The parameters of the VIF.
    pub params: VifParams,
}

/// A link as the data path gets it.
pub struct LinkSetup {
    /// From the switch.
    pub rx: Vec<Box<dyn RxQueue>>,
    /// To the switch; one queue, since there is one worker.
    pub tx: Box<dyn TxQueue>,
    /// The VIF lists.
    pub lists: Lists,
}

struct Vnic {
    tx: Vec<Box<dyn TxQueue>>,
    link: usize,
    source: u32,
    params: VifParams,
    pending: ArrayVec<Copied, BURST>,
    /// It is in `Bench::kicks`.
    kick: bool,
}

struct Link {
    tx: Box<dyn TxQueue>,
    vifs: VifTable,
    lists: Lists,
    kick: bool,
}

/// A frame of the current burst that goes to a host port.
#[derive(Clone, Copy)]
struct Copied {
    frame: u8,
    /// Its head is in `stripped`, not in `heads`.
    stripped: bool,
}

#[derive(Clone, Copy)]
enum From {
    Host(usize),
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
    vnics: Vec<Vnic>,
    links: Vec<Link>,
    bench: Bench,
    order: Vec<SourceId>,
    stats: Arc<Stats>,
    changed: bool,
    tag: PhantomData<fn() -> T>,
}

/// Where the heads of a burst are worked on; kept between bursts so that nothing is cleared or allocated.
struct Bench {
    heads: Vec<Head>,
    stripped: Vec<Head>,
    /// Octets of each frame that are in its head.
    loaded: [u8; BURST],
    /// Host ports that get something from this burst.
    touched: Vec<VnicIndex>,
    /// Host ports that got something in this turn.
    kicks: Vec<VnicIndex>,
    /// Who gets the current frame.
    members: Vec<(VnicIndex, HostTag)>,
}

impl<T: NivTag> Datapath<T> {
    /// A data path over these links and vNICs. A vNIC whose link does not exist is left out; the configuration
    /// has made sure that there is none.
    #[must_use]
    pub fn new(links: Vec<LinkSetup>, vnics: Vec<VnicSetup>) -> Self {
        let stats = Arc::new(Stats::new(vnics.len(), links.len()));
        let mut sources = Sources::default();
        let mut from = Vec::new();
        let mut tables: Vec<Link> = Vec::new();
        for (index, setup) in links.into_iter().enumerate() {
            for queue in setup.rx {
                sources.add(queue);
                from.push(From::Link(index));
            }
            tables.push(Link { tx: setup.tx, vifs: VifTable::default(), lists: setup.lists, kick: false });
        }
        let mut ports = Vec::new();
        for (index, setup) in vnics.into_iter().enumerate() {
            if let (Some(link), Ok(vnic)) = (tables.get_mut(setup.link), VnicIndex::try_from(index)) {
                link.vifs.set(setup.vif, vnic);
            }
            for queue in setup.rx {
                sources.add(queue);
                from.push(From::Host(index));
            }
            ports.push(Vnic {
                tx: setup.tx,
                link: setup.link,
                source: u32::from(setup.vif.get()),
                params: setup.params,
                pending: ArrayVec::new(),
                kick: false,
            });
        }
        let bench = Bench {
            heads: vec![Head::default(); BURST],
            stripped: vec![Head::default(); BURST],
            loaded: [0; BURST],
            touched: Vec::new(),
            kicks: Vec::new(),
            members: Vec::new(),
        };
        Self {
            sources,
            from,
            vnics: ports,
            links: tables,
            bench,
            order: Vec::new(),
            stats,
            changed: true,
            tag: PhantomData,
        }
    }

    /// The counters, shared with whoever reads them.
    #[must_use]
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Polls every queue from now on. For worlds whose queues have no events.
    pub fn wake_all(&mut self) {
        self.sources.wake_all();
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

    /// One burst from a guest to the link.
    fn visit_host(&mut self, id: SourceId, index: usize, now: Nanos) -> Visit {
        let Self { sources, vnics, links, bench, stats, .. } = self;
        let vnic = &vnics[index];
        let (Some(link), Some(queue)) = (links.get_mut(vnic.link), sources.queue(id)) else {
            return Visit::Empty;
        };
        let up = link.tx.is_up();
        let max = if up { link.tx.room().min(BURST) } else { BURST };
        if max == 0 {
            return Visit::Blocked;
        }
        let mut burst = RxBurst::new();
        queue.recv(now, max, &mut burst);
        let lent = burst.len();
        if lent == 0 {
            return Visit::Empty;
        }

        let mut passed: ArrayVec<u8, BURST> = ArrayVec::new();
        let mut dropped: ArrayVec<(u8, DropReason), BURST> = ArrayVec::new();
        let mut octets = [0; BURST];
        for (place, frame) in (0u8..).zip(&burst) {
            let at = usize::from(place);
            let head = &mut bench.heads[at];
            bench.loaded[at] = head.load(|room| frame.data.copy_to(room)) as u8;
            octets[at] = frame.len() as u64;
            match up::judge::<T>(head, frame.len(), vnic.source, &vnic.params) {
                Ok(()) if up => passed.push(place),
                Ok(()) => dropped.push((place, DropReason::LinkDown)),
                Err(reason) => dropped.push((place, reason)),
            }
        }

        let out: ArrayVec<OutFrame<'_>, BURST> = passed
            .iter()
            .map(|place| {
                let at = usize::from(*place);
                let body = burst[at].data.skip(usize::from(bench.loaded[at]));
                OutFrame { head: bench.heads[at].bytes(), body }
            })
            .collect();
        let taken = if out.is_empty() { Default::default() } else { link.tx.send(now, &out) };
        link.kick |= taken.frames > 0;
        // What the link did not take stays in the guest's ring, with everything behind it.
        let done = passed.get(taken.frames).map_or(lent, |place| usize::from(*place));

        let counters = &stats.vnics[index];
        counters.rx_frames.add(done as u64);
        counters.rx_octets.add(octets[..done].iter().sum());
        for (_, reason) in dropped.iter().filter(|(place, _)| usize::from(*place) < done) {
            counters.drops[*reason].add(1);
        }
        if taken.refused > 0 {
            counters.drops[DropReason::LinkRefused].add(taken.refused as u64);
        }
        let sent = &stats.links[vnic.link];
        sent.tx_frames.add((taken.frames - taken.refused) as u64);
        sent.tx_octets.add(out[..taken.frames].iter().map(|frame| frame.len() as u64).sum());

        drop(out);
        drop(burst);
        queue.release(done);
        if done == 0 { Visit::Blocked } else { Visit::Moved(done) }
    }

    /// One burst from the link to the guests that its tags name.
    fn visit_link(&mut self, id: SourceId, index: usize, now: Nanos) -> Visit {
        let Self { sources, vnics, links, bench, stats, .. } = self;
        let (Some(link), Some(queue)) = (links.get_mut(index), sources.queue(id)) else {
            return Visit::Empty;
        };
        let mut burst = RxBurst::new();
        queue.recv(now, BURST, &mut burst);
        let lent = burst.len();
        if lent == 0 {
            return Visit::Empty;
        }

        let mut octets = 0;
        for (place, frame) in (0u8..).zip(&burst) {
            let at = usize::from(place);
            bench.loaded[at] = bench.heads[at].load(|room| frame.data.copy_to(room)) as u8;
            octets += frame.len() as u64;
            if let Err(reason) = route::<T>(bench, place, link, vnics, stats, index) {
                stats.links[index].drops[reason].add(1);
            }
        }
        for touched in bench.touched.drain(..) {
            let vnic = &mut vnics[touched as usize];
            let counters = &stats.vnics[touched as usize];
            let sent = deliver(vnic, counters, &bench.heads, &bench.stripped, &bench.loaded, &burst, now);
            if sent && !core::mem::replace(&mut vnic.kick, true) {
                bench.kicks.push(touched);
            }
        }
        let counters = &stats.links[index];
        counters.rx_frames.add(lent as u64);
        counters.rx_octets.add(octets);
        drop(burst);
        queue.release(lent);
        Visit::Moved(lent)
    }
}

/// Finds out who gets frame `place` and makes its head ready for them.
///
/// # Errors
/// The reason why nobody gets it. Copies for single members are dropped, and counted, one by one.
#[inline]
fn route<T: NivTag>(
    bench: &mut Bench,
    place: u8,
    link: &Link,
    vnics: &mut [Vnic],
    stats: &Stats,
    index: usize,
) -> Result<(), DropReason> {
    let at = usize::from(place);
    let down = down::judge::<T>(&bench.heads[at])?;
    if let Target::Channel(channel) = down.tag.target {
        let vnic = link.vifs.get(channel).ok_or(DropReason::LinkDstUnknown)?;
        if down.tag.is_self_loop() {
            return Err(DropReason::LinkSelfLoop);
        }
        let port = &mut vnics[vnic as usize];
        let drops = &stats.vnics[vnic as usize].drops;
        let reason = if port.pending.is_empty() && !port.is_active() {
            DropReason::LinkVifDown
        } else if down.double {
            DropReason::LinkDouble
        } else {
            let tag = port.params.host_tag(down.vlan);
            if tag != HostTag::Refuse {
                down::unwrap::<T>(&mut bench.heads[at], tag == HostTag::Strip);
                push(&mut bench.touched, vnic, port, Copied { frame: place, stripped: false });
                return Ok(());
            }
            DropReason::LinkVlan
        };
        drops[reason].add(1);
        return Ok(());
    }
    route_list::<T>(bench, place, link, vnics, stats, index, down)
}

fn route_list<T: NivTag>(
    bench: &mut Bench,
    place: u8,
    link: &Link,
    vnics: &mut [Vnic],
    stats: &Stats,
    index: usize,
    down: down::Down,
) -> Result<(), DropReason> {
    let Target::List(list) = down.tag.target else { return Ok(()) };
    let counters = &stats.links[index];
    let members = link.lists.get(list).ok_or(DropReason::LinkListUnknown)?;
    if members.is_empty() {
        return Err(DropReason::LinkListEmpty);
    }
    if down.double {
        return Err(DropReason::LinkDouble);
    }
    match down.tag.looped {
        Some(0) => counters.looped_without_source.add(1),
        None if down.stray_source => counters.stray_source.add(1),
        _ => {}
    }
    bench.members.clear();
    for member in members {
        let channel = u32::from(member.get());
        if down::is_pruned(down.tag, channel) {
            counters.pruned.add(1);
        } else if let Some(vnic) = link.vifs.get(channel) {
            bench.members.push((vnic, vnics[vnic as usize].params.host_tag(down.vlan)));
        }
    }
    let copies = bench.members.len() as u64;
    if copies == 0 {
        return Err(DropReason::LinkListEmpty);
    }
    counters.replicated.add(copies - 1);

    // The copy in `heads` is for those who keep the 802.1Q tag, if there are any.
    let at = usize::from(place);
    let kept = bench.members.iter().any(|(_, tag)| *tag == HostTag::Keep);
    let stripped = bench.members.iter().any(|(_, tag)| *tag == HostTag::Strip);
    if kept && stripped {
        bench.stripped[at].clone_from(&bench.heads[at]);
        down::unwrap::<T>(&mut bench.stripped[at], true);
    }
    down::unwrap::<T>(&mut bench.heads[at], stripped && !kept);
    for (vnic, tag) in bench.members.iter().copied() {
        let port = &mut vnics[vnic as usize];
        let drops = &stats.vnics[vnic as usize].drops;
        if port.pending.is_empty() && !port.is_active() {
            drops[DropReason::LinkVifDown].add(1);
        } else if tag == HostTag::Refuse {
            drops[DropReason::LinkVlan].add(1);
        } else {
            let copied = Copied { frame: place, stripped: tag == HostTag::Strip && kept };
            push(&mut bench.touched, vnic, port, copied);
        }
    }
    Ok(())
}

#[inline]
fn push(touched: &mut Vec<VnicIndex>, vnic: VnicIndex, port: &mut Vnic, copied: Copied) {
    if port.pending.is_empty() {
        touched.push(vnic);
    }
    port.pending.push(copied);
}

/// Sends what a burst has for one host port. What its ring cannot take now is dropped: a link must never wait
/// for a guest. Says whether anything was sent.
fn deliver(
    vnic: &mut Vnic,
    counters: &super::stats::VnicStats,
    heads: &[Head],
    stripped: &[Head],
    loaded: &[u8; BURST],
    burst: &RxBurst<'_>,
    now: Nanos,
) -> bool {
    let mut sent = false;
    let mut up: ArrayVec<usize, MAX_QUEUES> = ArrayVec::new();
    up.extend((0..vnic.tx.len().min(MAX_QUEUES)).filter(|queue| vnic.tx[*queue].is_up()));
    for (nth, queue) in up.iter().enumerate() {
        let mut out: ArrayVec<OutFrame<'_>, BURST> = ArrayVec::new();
        for copied in &vnic.pending {
            let at = usize::from(copied.frame);
            let head = if copied.stripped { stripped[at].bytes() } else { heads[at].bytes() };
            if up.len() == 1 || flow_hash(head) as usize % up.len() == nth {
                out.push(OutFrame { head, body: burst[at].data.skip(usize::from(loaded[at])) });
            }
        }
        let taken = vnic.tx[*queue].send(now, &out);
        sent |= taken.frames > 0;
        counters.tx_frames.add((taken.frames - taken.refused) as u64);
        counters.tx_octets.add(out[..taken.frames].iter().map(|frame| frame.len() as u64).sum());
        if taken.refused > 0 {
            counters.drops[DropReason::HostRefused].add(taken.refused as u64);
        }
        if taken.frames < out.len() {
            counters.drops[DropReason::HostRingFull].add((out.len() - taken.frames) as u64);
        }
    }
    if up.is_empty() {
        // The guest left between the judgement and the delivery.
        counters.drops[DropReason::LinkVifDown].add(vnic.pending.len() as u64);
    }
    vnic.pending.clear();
    sent
}

/// Queue pairs of a vNIC at the most.
pub const MAX_QUEUES: usize = 8;

/// The same for all frames of a flow: addresses of Ethernet and, where they are at their usual place, of IP.
fn flow_hash(head: &[u8]) -> u32 {
    let fnv = |hash: u32, octet: &u8| (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193);
    let addresses = head.get(..12).unwrap_or(head).iter();
    let hash = addresses.chain(head.get(26..34).unwrap_or_default()).fold(0x811c_9dc5, fnv);
    hash ^ hash >> 16
}

impl Vnic {
    /// ACTIVE: a guest is there and its receiving rings are enabled.
    fn is_active(&self) -> bool {
        self.tx.iter().any(|queue| queue.is_up())
    }
}

impl<T: NivTag> Worker for Datapath<T> {
    fn turn(&mut self, now: u64) -> Turn {
        self.sources.wake_due(now);
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
        for link in self.links.iter_mut().filter(|link| link.kick) {
            link.tx.kick();
            link.kick = false;
        }
        for touched in self.bench.kicks.drain(..) {
            let vnic = &mut self.vnics[touched as usize];
            vnic.tx.iter_mut().for_each(|queue| queue.kick());
            vnic.kick = false;
        }
        let idle = moved == 0 && self.sources.polled() == blocked;
        let retry = (blocked > 0).then(|| now + FULL_LINK_RETRY);
        let next = if idle { retry.into_iter().chain(self.sources.deadline()).min() } else { None };
        Turn { moved, idle, next }
    }

    fn ready(&mut self, token: u64) {
        self.sources.wake(token as SourceId);
    }

    fn events(&self) -> Vec<(BorrowedFd<'_>, u64)> {
        self.sources.iter().filter_map(|(id, queue)| Some((queue.event()?, id as u64))).collect()
    }

    fn events_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }
}
