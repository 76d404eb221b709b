//! From the running configuration to a plan: which interface has which slot of the LIF table.
//!
//! A slot, its counters and what was learned on it stay with an interface as long as it exists. What was learned
//! becomes void when its VLANs change; a new owner of a slot begins with a new generation.

use super::running::{EthernetId, PortMode, RunningConfig};
use crate::engine::counters::LifCounters;
use crate::engine::lif::{Generation, Lif, LifId};
use crate::engine::tables::{LifPlan, Plan, PortPlan};
use crate::engine::vlan::Program;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// An interface that the engine knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Owner {
    /// `vethernet N`
    Vethernet(u32),
    /// An ordinary port.
    Ethernet(EthernetId),
}

#[derive(Debug)]
struct Slot {
    id: LifId,
    generation: Generation,
    program: Arc<Program>,
    counters: Arc<LifCounters>,
}

/// The slots in use.
#[derive(Debug, Default)]
pub struct Slots {
    owners: BTreeMap<Owner, Slot>,
    free: BTreeSet<u32>,
    /// The last generation of each slot that was ever used, by number.
    generations: Vec<Generation>,
}

impl Slots {
    /// Brings the slots in line with a configuration and makes the engine's plan of it. `ports` are the ports in the
    /// engine's order.
    pub fn plan(&mut self, config: &RunningConfig, ports: &[EthernetId]) -> Plan {
        let wanted = Self::wanted(config);
        let gone: Vec<Owner> =
            self.owners.keys().filter(|owner| !wanted.contains_key(owner)).copied().collect();
        for owner in gone {
            self.release(owner);
        }
        let mut shared: HashMap<Program, Arc<Program>> = HashMap::new();
        for (owner, program) in wanted {
            let program =
                shared.entry(program).or_insert_with_key(|program| Arc::new(program.clone())).clone();
            self.hold(owner, program);
        }
        let index: HashMap<EthernetId, u16> = ports.iter().copied().zip(0..).collect();
        let ports = ports.iter().map(|id| match config.ethernets().get(id) {
            Some(ethernet) if ethernet.mode == PortMode::Vntag => PortPlan::Niv {
                lists: ethernet.lists.iter().map(|(list, members)| (*list, members.clone())).collect(),
            },
            _ => PortPlan::Wire,
        });
        let lifs = self.owners.iter().filter_map(|(owner, slot)| {
            let (port, source) = match owner {
                Owner::Ethernet(id) => (*index.get(id)?, None),
                Owner::Vethernet(number) => {
                    let vethernet =
                        config.vethernets().get(number).filter(|vethernet| !vethernet.shutdown)?;
                    let (port, vif) = vethernet.binding()?.static_vif()?;
                    (*index.get(&port)?, Some(vif))
                }
            };
            let lif = Lif {
                port,
                vif: source.map_or(0, |vif| vif.get()),
                generation: slot.generation,
                program: slot.program.clone(),
                counters: slot.counters.clone(),
            };
            Some(LifPlan { id: slot.id, lif, source })
        });
        Plan { ports: ports.collect(), lifs: lifs.collect() }
    }

    /// The counters of an interface.
    #[must_use]
    pub fn counters(&self, owner: Owner) -> Option<&Arc<LifCounters>> {
        self.owners.get(&owner).map(|slot| &slot.counters)
    }

    /// Who has a slot.
    #[must_use]
    pub fn by_slot(&self) -> HashMap<LifId, Owner> {
        self.owners.iter().map(|(owner, slot)| (slot.id, *owner)).collect()
    }

    fn wanted(config: &RunningConfig) -> BTreeMap<Owner, Program> {
        let plain = config.ethernets().iter().filter(|(_, ethernet)| ethernet.mode == PortMode::Plain);
        let ports = plain.map(|(id, ethernet)| (Owner::Ethernet(*id), ethernet.switchport.program()));
        let vethernets = config
            .vethernets()
            .keys()
            .map(|number| (Owner::Vethernet(*number), config.effective(*number, None).switchport.program()));
        ports.chain(vethernets).collect()
    }

    fn release(&mut self, owner: Owner) {
        if let Some(slot) = self.owners.remove(&owner) {
            self.free.insert(slot.id.get());
            self.step(slot.id);
        }
    }

    fn hold(&mut self, owner: Owner, program: Arc<Program>) {
        if let Some(slot) = self.owners.get_mut(&owner) {
            let same_vlans = slot.program.allowed == program.allowed;
            slot.program = program;
            if !same_vlans {
                let id = slot.id;
                let generation = self.step(id);
                if let Some(slot) = self.owners.get_mut(&owner) {
                    slot.generation = generation;
                }
            }
            return;
        }
        let number = self.free.pop_first().unwrap_or_else(|| {
            self.generations.push(Generation::default());
            u32::try_from(self.generations.len()).unwrap_or(u32::MAX)
        });
        // The number of interfaces is bounded far below the number of slots.
        let Some(id) = LifId::new(number) else { return };
        let generation = self.generations.get(id.index() - 1).copied().unwrap_or_default();
        self.owners.insert(owner, Slot { id, generation, program, counters: Arc::default() });
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
