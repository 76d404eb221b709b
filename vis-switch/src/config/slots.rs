//! From what the data path has to do to a plan: which interface has which slot of the LIF table.
//!
//! A slot, its counters and what was learned on it stay with an interface as long as it exists, wherever it is: a vEth
//! that moves to another port or VIF, or that is nowhere for a while, takes them along. What was learned becomes void
//! when control says so and when the VLANs of the interface change; a new owner of a slot begins with a new generation.
//!
//! Plans are made for every batch of vEths that come and go, so nothing here is done for each vEth that could be done
//! for each program: programs are told apart by their address.

use super::running::{EthernetId, PortMode, RunningConfig};
use crate::control::forwarding::{Forwarding, PortForwarding, VethForwarding};
use crate::engine::counters::LifCounters;
use crate::engine::lif::{Generation, Lif, LifId};
use crate::engine::secure::{Alarm, Guard, Secure};
use crate::engine::tables::{LifPlan, Plan, PortPlan};
use crate::engine::vlan::Program;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub use super::running::Owner;

#[derive(Debug)]
struct Slot {
    id: LifId,
    generation: Generation,
    program: Arc<Program>,
    counters: Arc<LifCounters>,
    /// The [`VethForwarding::flush`] that it last saw.
    flush: u32,
    /// Which sources may be there, by the program.
    guard: Option<Arc<Guard>>,
}

/// The slots in use.
#[derive(Debug, Default)]
pub struct Slots {
    veths: BTreeMap<u32, Slot>,
    ethernets: BTreeMap<EthernetId, Slot>,
    pool: Pool,
}

impl Slots {
    /// Slots whose guards raise this alarm.
    #[must_use]
    pub fn watched(alarm: Alarm) -> Self {
        Self { pool: Pool { alarm, ..Pool::default() }, ..Self::default() }
    }

    /// The guard of an interface, where its sources are watched.
    #[must_use]
    pub fn guard(&self, owner: Owner) -> Option<&Arc<Guard>> {
        match owner {
            Owner::Vethernet(number) => self.veths.get(&number),
            Owner::Ethernet(id) => self.ethernets.get(&id),
        }
        .and_then(|slot| slot.guard.as_ref())
    }

    /// All guards.
    pub fn guards(&self) -> impl Iterator<Item = (Owner, &Arc<Guard>)> {
        let ports = self.ethernets.iter().map(|(id, slot)| (Owner::Ethernet(*id), slot));
        let veths = self.veths.iter().map(|(number, slot)| (Owner::Vethernet(*number), slot));
        ports.chain(veths).filter_map(|(owner, slot)| Some((owner, slot.guard.as_ref()?)))
    }

    /// Brings the slots in line with what the data path has to do and makes the engine's plan of it. `ports` are the ports
    /// in the engine's order; the VLANs of ordinary ports are those of the configuration.
    pub fn plan(&mut self, config: &RunningConfig, forwarding: &Forwarding, ports: &[EthernetId]) -> Plan {
        self.hold_veths(&forwarding.veths);
        let closed = |index: usize| forwarding.ports.get(index) == Some(&PortForwarding::Closed);
        let closed =
            ports.iter().enumerate().filter(|(index, _)| closed(*index)).map(|(_, id)| *id).collect();
        let closed: BTreeSet<EthernetId> = closed;
        self.hold_ethernets(config, &closed);
        let mut plan = Plan::default();
        plan.ports.extend((0..ports.len()).map(|index| match forwarding.ports.get(index) {
            Some(PortForwarding::Static { lists }) => PortPlan::Static { lists: lists.clone() },
            Some(PortForwarding::Niv { floods }) => PortPlan::Niv { floods: floods.clone() },
            Some(PortForwarding::Wire | PortForwarding::Closed) | None => PortPlan::Wire,
        }));
        plan.lifs.reserve(self.veths.len() + self.ethernets.len());
        let mut veths = forwarding.veths.iter();
        for (number, slot) in &self.veths {
            let Some((_, veth)) = veths.find(|(other, _)| *other == number) else { break };
            let is_link = |index| !matches!(plan.ports.get(index), None | Some(PortPlan::Wire));
            let at = veth.at.filter(|(index, _)| is_link(*index));
            match at.and_then(|(index, vif)| Some((u16::try_from(index).ok()?, vif))) {
                Some((port, vif)) => {
                    plan.lifs.push(LifPlan {
                        id: slot.id,
                        lif: slot.lif(port, vif.get()),
                        source: Some(vif),
                    });
                }
                None => plan.away.push((slot.id, slot.generation)),
            }
        }
        for (index, id) in (0u16..).zip(ports) {
            if plan.ports.get(usize::from(index)) == Some(&PortPlan::Wire)
                && !closed.contains(id)
                && let Some(slot) = self.ethernets.get(id)
            {
                plan.lifs.push(LifPlan { id: slot.id, lif: slot.lif(index, 0), source: None });
            }
        }
        plan
    }

    /// The counters of an interface.
    #[must_use]
    pub fn counters(&self, owner: Owner) -> Option<&Arc<LifCounters>> {
        match owner {
            Owner::Vethernet(number) => self.veths.get(&number),
            Owner::Ethernet(id) => self.ethernets.get(&id),
        }
        .map(|slot| &slot.counters)
    }

    /// Who has a slot.
    #[must_use]
    pub fn by_slot(&self) -> HashMap<LifId, Owner> {
        let veths = self.veths.iter().map(|(number, slot)| (slot.id, Owner::Vethernet(*number)));
        let ethernets = self.ethernets.iter().map(|(id, slot)| (slot.id, Owner::Ethernet(*id)));
        veths.chain(ethernets).collect()
    }

    /// From now on these vEths have slots, and no others. Both are in order, so they are gone through side by side.
    fn hold_veths(&mut self, veths: &BTreeMap<u32, VethForwarding>) {
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        let mut known = self.veths.iter_mut().peekable();
        for (number, veth) in veths {
            while let Some((old, _)) = known.next_if(|(old, _)| *old < number) {
                gone.push(*old);
            }
            match known.next_if(|(old, _)| *old == number) {
                Some((_, slot)) => slot.hold(&veth.program, veth.flush, &mut self.pool),
                None => new.push((*number, veth)),
            }
        }
        gone.extend(known.map(|(old, _)| *old));
        for number in gone {
            self.veths.remove(&number).into_iter().for_each(|slot| self.pool.release(slot.id));
        }
        for (number, veth) in new {
            if let Some(slot) = self.pool.take(veth.program.clone(), veth.flush) {
                self.veths.insert(number, slot);
            }
        }
    }

    /// The same for ordinary ports. What was learned on one that is closed, or opened, is void.
    fn hold_ethernets(&mut self, config: &RunningConfig, closed: &BTreeSet<EthernetId>) {
        let plain = |id: &EthernetId| {
            config.ethernets().get(id).filter(|ethernet| ethernet.mode() == PortMode::Plain)
        };
        for (_, slot) in self.ethernets.extract_if(.., |id, _| plain(id).is_none()) {
            self.pool.release(slot.id);
        }
        for id in config.ethernets().keys() {
            if plain(id).is_none() {
                continue;
            }
            let program = config.program(&config.effective_ethernet(*id).switchport);
            let flush = u32::from(closed.contains(id));
            match self.ethernets.get_mut(id) {
                Some(slot) if *slot.program == program && slot.flush == flush => {}
                Some(slot) => slot.hold(&Arc::new(program), flush, &mut self.pool),
                None => {
                    if let Some(slot) = self.pool.take(Arc::new(program), flush) {
                        self.ethernets.insert(*id, slot);
                    }
                }
            }
        }
    }
}

impl Slot {
    fn lif(&self, port: u16, vif: u16) -> Lif {
        Lif {
            port,
            vif,
            generation: self.generation,
            program: self.program.clone(),
            counters: self.counters.clone(),
            guard: self.guard.clone(),
        }
    }

    /// The owner is as before, or has another program, or lost what was learned.
    fn hold(&mut self, program: &Arc<Program>, flush: u32, pool: &mut Pool) {
        let same = Arc::ptr_eq(&self.program, program);
        let void = self.flush != flush || !same && !self.program.same_vlans(program);
        let lost = self.watch(program.secure.as_ref(), void, &pool.alarm);
        if void || lost {
            self.generation = pool.step(self.id);
        }
        if !same {
            self.program = program.clone();
        }
        self.flush = flush;
    }
}

impl Slot {
    /// Has a guard by these rules; a new one where what was learned is void. Says whether somebody has lost his place by it.
    fn watch(&mut self, rules: Option<&Arc<Secure>>, void: bool, alarm: &Alarm) -> bool {
        let Some(rules) = rules else {
            self.guard = None;
            return false;
        };
        let (guard, lost) = match &self.guard {
            Some(guard) if !void && **guard.rules() == **rules => return false,
            Some(guard) if !void => Guard::changed(rules.clone(), guard, alarm),
            // Whoever is there by now has to be let in first.
            before => (Guard::new(rules.clone(), before.as_deref(), alarm), true),
        };
        self.guard = Some(Arc::new(guard));
        lost
    }
}

/// Slots that are free, and how often each was flushed.
#[derive(Debug, Default)]
struct Pool {
    free: BTreeSet<u32>,
    /// The last generation of each slot that was ever used, by number.
    generations: Vec<Generation>,
    /// What guards of interfaces raise.
    alarm: Alarm,
}

impl Pool {
    /// A slot for a new owner; `None` if all are in use. The number of interfaces is bounded far below that of slots.
    fn take(&mut self, program: Arc<Program>, flush: u32) -> Option<Slot> {
        let id = match self.free.pop_first() {
            Some(free) => LifId::new(free)?,
            None => {
                let id = LifId::new(u32::try_from(self.generations.len() + 1).ok()?)?;
                self.generations.push(Generation::default());
                id
            }
        };
        let generation = self.generations.get(id.index() - 1).copied().unwrap_or_default();
        let guard =
            program.secure.as_ref().map(|rules| Arc::new(Guard::new(rules.clone(), None, &self.alarm)));
        Some(Slot { id, generation, program, counters: Arc::default(), flush, guard })
    }

    fn release(&mut self, id: LifId) {
        self.free.insert(id.get());
        self.step(id);
    }

    fn step(&mut self, id: LifId) -> Generation {
        match self.generations.get_mut(id.index() - 1) {
            Some(generation) => {
                *generation = generation.next();
                *generation
            }
            None => Generation::default(),
        }
    }
}
