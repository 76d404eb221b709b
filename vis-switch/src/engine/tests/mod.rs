//! The whole engine on in-memory ports: real frames in, real frames out, and the balance after every step.

mod acl;
mod capture;
mod control;
mod drops;
mod flooding;
mod learning;
mod random;
mod secure;
pub(crate) mod speed;
mod switching;

use super::counters::{Total, WorkerCounters};
use super::flood::{FloodList, FloodLists};
use super::lif::LifId;
use super::mac::{Entry, Learned, MacTable, Second};
use super::tables::{LifPlan, Plan, PortPlan, Published, Tables};
use super::verdict::DropReason;
use super::vlan::{Program, VlanSet};
use super::worker::{Engine, EnginePort, Options};
use link::pair::{Cable, pair};
use link::{OutFrame, Port, RxBurst};
use niv_node::worker::Worker;
use std::sync::Arc;
use vntag::{ListId, VifId, Vntag};

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const BROADCAST: [u8; 6] = [0xff; 6];

/// The address of the host with this number.
pub(super) fn mac(host: u8) -> [u8; 6] {
    [0x52, 0x54, 0, 0, 0, host]
}

/// A host's frame: addresses, perhaps an 802.1Q tag, IPv4, and a payload that is long enough for a wire.
pub(super) fn host_frame(to: [u8; 6], from: [u8; 6], tci: Option<u16>) -> Vec<u8> {
    let mut frame = [to, from].concat();
    if let Some(tci) = tci {
        frame.extend([0x81, 0x00]);
        frame.extend(tci.to_be_bytes());
    }
    frame.extend([0x08, 0x00]);
    frame.extend(1..=60u8);
    frame
}

/// The same frame with a VNTag word behind its addresses.
pub(super) fn tagged(word: u32, frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x89, 0x26], &word.to_be_bytes(), &frame[12..]].concat()
}

/// A frame on its way up from a VIF.
pub(super) fn up(vif: u16, to: [u8; 6], from: [u8; 6], tci: Option<u16>) -> Vec<u8> {
    tagged(u32::from(vif), &host_frame(to, from, tci))
}

pub(super) fn lif_id(slot: u32) -> LifId {
    LifId::new(slot).unwrap()
}

pub(super) fn vif_id(vif: u16) -> VifId {
    VifId::new(vif).unwrap()
}

pub(super) fn list(id: u16, members: &[u16]) -> (ListId, Vec<u16>) {
    (ListId::new(id).unwrap(), members.to_vec())
}

pub(super) fn vlans(vlans: &[u16]) -> VlanSet {
    vlans.iter().copied().collect()
}

/// Builds a plan; slots are given in the order of the calls, from 1.
#[derive(Default)]
pub(super) struct Builder(pub(super) Plan);

impl Builder {
    pub(super) fn link(mut self, lists: &[(ListId, Vec<u16>)]) -> Self {
        self.0.ports.push(PortPlan::Static { lists: lists.to_vec() });
        self
    }

    /// A link with a control session; each list with its VLANs and members.
    pub(super) fn session(mut self, lists: &[(u16, &[u16], &[u16])]) -> Self {
        let flood = |(list, on, members): &(u16, &[u16], &[u16])| FloodList {
            vlans: vlans(on),
            list: ListId::new(*list).unwrap(),
            members: members.iter().copied().map(vif_id).collect(),
        };
        self.0.ports.push(PortPlan::Niv { floods: FloodLists(lists.iter().map(flood).collect()) });
        self
    }

    pub(super) fn veth(mut self, port: u16, vif: u16, program: Program) -> Self {
        let id = lif_id(self.0.lifs.len() as u32 + 1);
        self.0.lifs.push(LifPlan::virt(id, port, vif_id(vif), Arc::new(program), Arc::default()));
        self
    }

    pub(super) fn wire(mut self, program: Program) -> Self {
        let id = lif_id(self.0.lifs.len() as u32 + 1);
        let port = self.0.ports.len() as u16;
        self.0.ports.push(PortPlan::Wire);
        self.0.lifs.push(LifPlan::wire(id, port, Arc::new(program), Arc::default()));
        self
    }
}

/// Port 0: link with VIFs 5 and 6 (access VLAN 10), 7 (trunk 10, 20; native 30 not allowed), 8 (access 40).
/// Port 1: link with VIF 5 (access 10). Port 2: trunk with everything, native 1. Port 3: access port, VLAN 10.
pub(super) fn campus() -> Builder {
    Builder::default()
        .link(&[list(1, &[5, 6, 7]), list(2, &[7]), list(3, &[8])])
        .link(&[list(9, &[5])])
        .veth(0, 5, Program::access(10))
        .veth(0, 6, Program::access(10))
        .veth(0, 7, Program::trunk(30, vlans(&[10, 20])))
        .veth(0, 8, Program::access(40))
        .veth(1, 5, Program::access(10))
        .wire(Program::trunk(1, VlanSet::all()))
        .wire(Program::access(10))
}

pub(super) const LINK0: usize = 0;
pub(super) const LINK1: usize = 1;
pub(super) const TRUNK: usize = 2;
pub(super) const ACCESS: usize = 3;

/// An engine and the far ends of its ports.
pub(super) struct Rig {
    pub(super) engine: Engine<Vntag>,
    pub(super) far: Vec<Port>,
    pub(super) cables: Vec<Cable>,
    pub(super) plan: Plan,
    pub(super) published: Arc<Published>,
    pub(super) mac: Arc<MacTable>,
    pub(super) counters: Arc<WorkerCounters>,
    pub(super) now: u64,
}

impl Rig {
    pub(super) fn new(builder: Builder) -> Self {
        Self::with(builder, 1024, 4096, Options::default())
    }

    pub(super) fn with(builder: Builder, ring: usize, addresses: usize, options: Options) -> Self {
        let plan = builder.0;
        let published = Arc::new(Published::new(Tables::compile(&plan, None)));
        let mac = Arc::new(MacTable::new(addresses, 1));
        let (mut near, mut far, mut cables) = (Vec::new(), Vec::new(), Vec::new());
        for _ in &plan.ports {
            let (mut a, b, cable) = pair(ring);
            near.push(EnginePort { rx: a.rx, tx: a.tx.remove(0), punt: None });
            far.push(b);
            cables.push(cable);
        }
        let engine = Engine::new(near, published.clone(), mac.clone(), options);
        let counters = engine.counters();
        Self { engine, far, cables, plan, published, mac, counters, now: 0 }
    }

    /// Puts frames on the cable of a port.
    pub(super) fn put(&mut self, port: usize, frames: &[Vec<u8>]) {
        for frame in frames {
            let taken = self.far[port].tx[0].send(self.now, &[OutFrame::private(frame)]);
            assert_eq!(taken.frames, 1, "the cable is full");
        }
    }

    /// Lets the engine work until it is done. The balance holds then.
    pub(super) fn run(&mut self) {
        self.engine.wake_all();
        while self.engine.turn(self.now).moved > 0 {}
        let balance = self.counters.balance();
        assert!(balance.holds(), "{balance:?}");
    }

    /// Everything that arrived at the far end of a port.
    pub(super) fn taken(&mut self, port: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        loop {
            let mut burst = RxBurst::new();
            self.far[port].rx[0].recv(self.now, 64, &mut burst);
            let count = burst.len();
            frames.extend(burst.iter().map(|frame| frame.data.to_vec()));
            drop(burst);
            self.far[port].rx[0].release(count);
            if count == 0 {
                return frames;
            }
        }
    }

    /// Everything that arrived anywhere, with its port.
    pub(super) fn all_taken(&mut self) -> Vec<(usize, Vec<u8>)> {
        (0..self.far.len())
            .flat_map(|port| self.taken(port).into_iter().map(move |frame| (port, frame)).collect::<Vec<_>>())
            .collect()
    }

    /// Sends one frame and says what came out where.
    pub(super) fn send(&mut self, port: usize, frame: &[u8]) -> Vec<(usize, Vec<u8>)> {
        self.put(port, &[frame.to_vec()]);
        self.run();
        self.all_taken()
    }

    /// Teaches the switch where a host is.
    pub(super) fn teach(&mut self, port: usize, frame: &[u8]) {
        self.send(port, frame);
    }

    /// Which drops moved since `before`.
    pub(super) fn drops_since(&self, before: &[(DropReason, u64)]) -> Vec<(DropReason, u64)> {
        let now = self.counters.drops.iter();
        now.zip(before)
            .map(|((reason, new), (_, old))| (reason, new - old))
            .filter(|(_, more)| *more > 0)
            .collect()
    }

    pub(super) fn drops(&self) -> Vec<(DropReason, u64)> {
        self.counters.drops.iter().collect()
    }

    /// Sends one frame and says which drops it made, and what came out.
    pub(super) fn provoke(&mut self, port: usize, frame: &[u8]) -> (Vec<(DropReason, u64)>, usize) {
        let before = self.drops();
        let out = self.send(port, frame).len();
        (self.drops_since(&before), out)
    }

    /// Learned addresses that count now.
    pub(super) fn learned(&self) -> Vec<Entry> {
        let tables = self.published.current();
        let mut entries =
            self.mac.entries(Second::of(self.now), |old: Learned| tables.remembers(old.lif, old.generation));
        entries.sort_by_key(|entry| (entry.vlan, entry.mac));
        entries
    }

    /// How many frames the interface in a slot got, as it is told to people.
    pub(super) fn got(&self, slot: u32) -> u64 {
        let tables = self.published.current();
        let own = &tables.lif(lif_id(slot)).expect("an interface").counters;
        let copies = tables.copy_counters();
        let lists = copies.filter(|copy| copy.members.iter().any(|member| Arc::ptr_eq(member, own)));
        own.transmitted(lists.fold(Total::default(), |sum, copy| sum + copy.sent())).frames
    }

    /// Compiles the plan anew and publishes it.
    pub(super) fn republish(&mut self) {
        let before = self.published.current();
        self.published.replace(Tables::compile(&self.plan, Some(&before)));
    }
}
