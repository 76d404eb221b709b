//! How long it takes to make new tables when one vEth of thousands comes or goes: least and middle of many rounds.
//!
//! `cargo run --release -p vis-switch --example table_compile`
//!
//! Each round locates one vEth more or less, or gives the link another list, and makes the plan and the tables as the
//! switch does; the former tables are dropped, as they are when the workers have the new ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vis_switch::config::running::{EthernetId, RunningConfig};
use vis_switch::config::slots::Slots;
use vis_switch::control::Change;
use vis_switch::control::forwarding::{Forwarding, PortForwarding, VethForwarding};
use vis_switch::control::lists::{FloodLists, Lists};
use vis_switch::engine::classes::classes;
use vis_switch::engine::tables::Tables;
use vis_switch::engine::vlan::{Program, VlanSet};
use vntag::VifId;
use vntag::ctl::Limits;

const VETHS: u16 = 4000;
const ROUNDS: usize = 200;
/// As many as an adapter asks for at once.
const BATCH: u16 = 64;

/// The link with all the vEths, and its lists.
struct Link {
    forwarding: Forwarding,
    lists: Lists,
    change: u64,
}

impl Link {
    /// With so many of the vEths located.
    fn new(program: impl Fn(u16) -> Arc<Program>, located: u16) -> Self {
        let at = |vif| at(vif).filter(|_| vif <= located);
        let veth = |vif| VethForwarding { at: at(vif), program: program(vif), flush: 0 };
        let veths: BTreeMap<u32, _> = (1..=VETHS).map(|vif| (u32::from(vif), veth(vif))).collect();
        let ports = vec![PortForwarding::Niv { floods: FloodLists::default() }];
        let mut lists = Lists::new();
        lists.reset(Some(Limits { vifs: 4094, lists: 4095, max_pdu: 1500 }));
        let mut link = Self { forwarding: Forwarding { ports, veths }, lists, change: 0 };
        link.settle();
        link
    }

    /// A vEth comes or goes.
    fn toggle(&mut self, vif: u16) {
        if let Some(veth) = self.forwarding.veths.get_mut(&u32::from(vif)) {
            veth.at = if veth.at.is_none() { at(vif) } else { None };
        }
    }

    /// Control says what is wanted of the lists; says how long that took.
    fn want(&mut self) -> Duration {
        let begin = Instant::now();
        let located = self.forwarding.veths.values().filter_map(|veth| Some((veth.at?.1, &veth.program)));
        let wanted: Vec<(VlanSet, Arc<[VifId]>)> = classes(located, [])
            .into_iter()
            .map(|class| (class.vlans.iter().copied().collect(), class.members.into()))
            .collect();
        self.lists.want(&wanted);
        begin.elapsed()
    }

    /// Brings the lists to rest with an adapter that agrees to everything; says how many requests that took.
    fn settle(&mut self) -> usize {
        self.want();
        let mut requests = 0;
        loop {
            while let Some((op, _)) = self.lists.poll_request() {
                self.lists.response(op, Ok(()));
                requests += 1;
            }
            if !self.lists.is_dirty() {
                return requests;
            }
            self.change += 1;
            let floods = self.lists.publish(Change(self.change));
            self.forwarding.ports = vec![PortForwarding::Niv { floods }];
            self.lists.published(Change(self.change));
        }
    }
}

fn at(vif: u16) -> Option<(usize, VifId)> {
    VifId::new(vif).map(|vif| (0, vif))
}

/// Least and middle.
fn show(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |place: usize| times.get(place).copied().unwrap_or_default().as_secs_f64() * 1e3;
    println!("  {what:<34} {:8.3} ms {:8.3} ms", at(0), at(times.len() / 2));
}

/// All of them come up, a batch at a time; each batch is published twice: when the vEths are located, and when a list has
/// them. Says how many requests and how much time that takes altogether.
fn bring_up(program: impl Fn(u16) -> Arc<Program>, batch: u16) -> (usize, Duration) {
    let ports = [EthernetId { slot: 1, port: 1 }];
    let (config, mut slots, mut link) = (RunningConfig::default(), Slots::default(), Link::new(program, 0));
    let begin = Instant::now();
    let mut requests = 0;
    let mut tables = Tables::compile(&slots.plan(&config, &link.forwarding, &ports), None);
    for first in (1..=VETHS).step_by(batch.into()) {
        (first..first + batch).filter(|vif| *vif <= VETHS).for_each(|vif| link.toggle(vif));
        tables = Tables::compile(&slots.plan(&config, &link.forwarding, &ports), Some(&tables));
        requests += link.settle();
        tables = Tables::compile(&slots.plan(&config, &link.forwarding, &ports), Some(&tables));
    }
    (requests, begin.elapsed())
}

fn measure(name: &str, program: impl Fn(u16) -> Arc<Program> + Clone) {
    let ports = [EthernetId { slot: 1, port: 1 }];
    let (config, mut slots, mut link) =
        (RunningConfig::default(), Slots::default(), Link::new(program.clone(), VETHS));
    let plan = slots.plan(&config, &link.forwarding, &ports);
    let mut tables = Tables::compile(&plan, None);
    let [mut planned, mut compiled, mut dropped, mut wanted, mut settled] = [const { Vec::new() }; 5];
    let mut requests = 0;
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            link.toggle(VETHS);
        } else {
            // Then the list follows, which is a change of the tables by itself.
            wanted.push(link.want());
            let begin = Instant::now();
            requests = requests.max(link.settle());
            settled.push(begin.elapsed());
        }
        let begin = Instant::now();
        let plan = slots.plan(&config, &link.forwarding, &ports);
        planned.push(begin.elapsed());
        let begin = Instant::now();
        let new = Tables::compile(&plan, Some(&tables));
        compiled.push(begin.elapsed());
        let begin = Instant::now();
        drop(plan);
        drop(std::mem::replace(&mut tables, new));
        dropped.push(begin.elapsed());
    }
    println!("{name}");
    let mut both: Vec<Duration> = planned.iter().zip(&compiled).map(|(a, b)| *a + *b).collect();
    show("Slots::plan", &mut planned);
    show("Tables::compile", &mut compiled);
    show("both", &mut both);
    show("dropping plan and former tables", &mut dropped);
    show("classes and Lists::want", &mut wanted);
    show("lists to rest", &mut settled);
    println!("  {requests} requests at the most");
    let (requests, spent) = bring_up(program, BATCH);
    println!("  all come up, {BATCH} at a time: {requests} requests, {:.0} ms", spent.as_secs_f64() * 1e3);
}

fn main() {
    println!("{VETHS} vEths on one link; least and middle of {ROUNDS} rounds");
    let shared = |program: Program| {
        let program = Arc::new(program);
        move |_| program.clone()
    };
    measure("access, all in one VLAN", shared(Program::access(10)));
    measure("trunks with all VLANs", shared(Program::trunk(1, VlanSet::all())));
    measure("access, each in a VLAN of its own", |vif| Arc::new(Program::access(vif)));
    measure("trunks with all VLANs, each with a program of its own", |_| {
        Arc::new(Program::trunk(1, VlanSet::all()))
    });
    measure("trunks with ten VLANs each, in a hundred ways", |vif| {
        let first = vif % 100 * 7 + 1;
        Arc::new(Program::trunk(first, (first..first + 10).collect()))
    });
}
