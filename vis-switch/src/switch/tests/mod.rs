//! The rim as a whole, on one thread: the real engine, control thread and switch between cables, a scripted adapter, a
//! store that can be held up and broken.

mod configured;
mod counted;
mod negotiated;
mod profiles;
mod saved;
mod security;

use super::start::Beginning;
use super::{Assembled, Controller, Kept, Parts, Switch, assemble};
use crate::admin::Admin;
use crate::config::chassis::{Chassis, ChassisPort};
use crate::config::running::{ChassisMode, Ethernet};
use crate::config::slots::Owner;
use crate::control::tests::adapter::Adapter;
use crate::engine::worker::Engine;
use core::cell::Cell;
use link::pair::{Cable, pair};
use link::{BURST, OutFrame, Port, RxBurst};
use niv_node::api::Daemon;
use niv_node::command::CommandError;
use niv_node::config::File;
use niv_node::store::{MemoryStore, Store, StoreError};
use niv_node::worker::Worker;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use vntag::Vntag;
use vntag::uuid::Uuid;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;

/// Frames that a cable holds.
const DEPTH: usize = 256;

/// ethernet1/1 negotiates, 1/2 does not, 1/3 is an ordinary port.
const NIV: usize = 0;
const STATIC: usize = 1;
const WIRE: usize = 2;

const CHASSIS: &str = r#"
[node]
name = "vis0"
[[port]]
name = "ethernet1/1"
device = "pcap:never"
[[port]]
name = "ethernet1/2"
mode = "vntag"
negotiation = "off"
device = "pcap:never"
[[port]]
name = "ethernet1/3"
mode = "trunk"
device = "pcap:never"
"#;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(SECOND) };
    static LIVES: Cell<u64> = const { Cell::new(0) };
}

fn now() -> u64 {
    NOW.get()
}

/// The chassis, whose first port is an NIV link that negotiates.
fn chassis() -> Chassis {
    let mut chassis = Chassis::from_file(&File::new("vis.toml", CHASSIS)).expect("a chassis");
    let ChassisPort { negotiation, initial, .. } = &mut chassis.ports[NIV];
    *negotiation = true;
    *initial = Ethernet::new(ChassisMode::Vntag, true);
    chassis
}

/// A switch and what is around it.
struct Rig {
    store: Arc<MemoryStore>,
    switch: Arc<Switch>,
    controller: Controller,
    engines: Vec<Engine<Vntag>>,
    admin: Admin,
    cables: Vec<Cable>,
    far: Vec<Port>,
    adapter: Adapter,
    /// What has come out of the other ports.
    out: Vec<Vec<Vec<u8>>>,
}

impl Rig {
    /// A switch with an empty store.
    fn new() -> Self {
        Self::on(&Arc::new(MemoryStore::new()), chassis())
    }

    /// A switch that finds this store.
    fn on(store: &Arc<MemoryStore>, mut chassis: Chassis) -> Self {
        LIVES.set(LIVES.get() + 1);
        // Everything is the same for any number of workers.
        chassis.node.workers = 1 + LIVES.get() as usize % 3;
        let (mut near, mut far, mut cables) = (Vec::new(), Vec::new(), Vec::new());
        for _ in &chassis.ports {
            let (one, other, cable) = pair(DEPTH);
            near.push(one);
            far.push(other);
            cables.push(cable);
        }
        let kept = Kept::load(&**store).expect("readable");
        let beginning = Beginning::of(&chassis, &kept).expect("right");
        let parts = Parts {
            ports: near,
            store: (store.clone(), kept),
            uuid: Uuid([7; 16]),
            boot_id: LIVES.get(),
            seed: 1,
            now,
            epoch: 1_700_000_000 * SECOND,
            in_effect: Duration::ZERO,
            sandbox: niv_node::sandbox::Sandbox::off().report().clone(),
        };
        let Assembled { switch, controller, engines } =
            assemble(chassis, beginning, parts).expect("descriptors");
        let out = far.iter().map(|_| Vec::new()).collect();
        let mut adapter = Adapter::new(NIV, 1);
        adapter.session.handle_link(now(), true);
        let (store, admin) = (store.clone(), Admin::new(switch.clone()));
        let mut rig = Self { store, switch, controller, engines, admin, cables, far, adapter, out };
        rig.settle();
        rig
    }

    /// Killed, and started again on what was kept.
    fn again(self) -> Self {
        let Self { store, .. } = self;
        Self::on(&store, chassis())
    }

    /// Lets everything happen that happens at once; says when something is due.
    fn settle(&mut self) -> Option<u64> {
        for _ in 0..10_000 {
            let due = self.controller.turn();
            let mut busy = false;
            for engine in &mut self.engines {
                engine.wake_all();
                busy |= engine.turn(now()).moved > 0;
            }
            for port in 0..self.far.len() {
                for frame in self.received(port) {
                    busy = true;
                    if port == NIV && frame[12..14] != [0x89, 0x26] {
                        self.adapter.session.handle_frame(now(), &frame);
                    } else {
                        self.out[port].push(frame);
                    }
                }
            }
            self.adapter.poll(now());
            while let Some(frame) = self.adapter.session.poll_transmit(now()) {
                busy = true;
                self.send(NIV, &frame);
            }
            if !busy && due.is_none_or(|due| due > now()) {
                return due;
            }
        }
        panic!("it does not come to rest");
    }

    /// Lets time pass.
    fn run(&mut self, time: u64) {
        let until = now() + time;
        loop {
            let due = self.settle();
            let next = self.adapter.session.next_deadline().into_iter().chain(due).min();
            match next.map(|next| next.max(now() + 1)).filter(|next| *next <= until) {
                Some(next) => NOW.set(next),
                None => break,
            }
        }
        NOW.set(until);
        self.settle();
    }

    fn received(&mut self, port: usize) -> Vec<Vec<u8>> {
        let queue = &mut self.far[port].rx[0];
        let mut burst = RxBurst::new();
        queue.recv(now(), BURST, &mut burst);
        let frames: Vec<Vec<u8>> = burst.iter().map(|frame| frame.data.to_vec()).collect();
        drop(burst);
        queue.release(frames.len());
        frames
    }

    fn send(&mut self, port: usize, frame: &[u8]) {
        assert_eq!(self.far[port].tx[0].send(now(), &[OutFrame::private(frame)]).frames, 1);
    }

    fn configure(&mut self, lines: &str) -> Result<(), CommandError> {
        let result = self.admin.configure(lines).map(drop);
        self.settle();
        result
    }

    fn show(&self, line: &str) -> Value {
        self.admin.exec(line).unwrap_or_else(|error| panic!("{line}: {error}")).to_json()
    }

    fn text(&self, line: &str) -> String {
        self.admin.exec(line).unwrap_or_else(|error| panic!("{line}: {error}")).to_string()
    }

    /// The mnemonics of the events so far.
    fn events(&self) -> Vec<&'static str> {
        self.switch.events.last(usize::MAX).iter().map(|recorded| recorded.event.mnemonic).collect()
    }

    fn traffic(&self, veth: u32) -> super::Traffic {
        let owner = Owner::Vethernet(veth);
        self.switch.traffic([owner]).remove(&owner).expect("it exists")
    }

    fn kept(&self) -> Kept {
        Kept::load(&*self.store).expect("readable")
    }
}

/// A broken disk.
fn broken() -> StoreError {
    StoreError::Io { path: "vis0.redb".to_owned(), reason: "no storage space".to_owned() }
}

/// A frame between two hosts, as it is on an ordinary port.
fn frame(to: u8, from: u8, vlan: u16) -> Vec<u8> {
    let mut frame = vec![0x52, 0x54, 0, 0, 0, to, 0x52, 0x54, 0, 0, 0, from];
    frame.extend([0x81, 0x00, (vlan >> 8) as u8, vlan as u8, 0x08, 0x00]);
    frame.resize(64, 0);
    frame
}

/// The same on its way up an NIV link.
fn tagged(vif: u16, to: u8, from: u8, vlan: u16) -> Vec<u8> {
    let plain = frame(to, from, vlan);
    let tag = [0x89, 0x26, 0, 0, (vif >> 8) as u8, vif as u8];
    [&plain[..12], &tag, &plain[12..]].concat()
}
