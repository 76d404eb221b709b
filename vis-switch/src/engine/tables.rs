//! Everything a worker looks up, compiled from a [`Plan`]. Immutable: a change of the configuration makes new
//! tables, and the workers change over between two turns ([`Published`]).

use super::counters::{CopyCounters, LifCounters};
use super::flood::{CopyIndex, Floods};
use super::lif::{Generation, Lif, LifId};
use super::vlan::Program;
use core::sync::atomic::{AtomicU64, Ordering};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use vntag::{ListId, VifId};

/// Channels of an NIV link: 12 bits of VIF.
const CHANNELS: usize = 4096;

/// What tables are compiled from.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// By port index, in the order in which the worker got the ports.
    pub ports: Vec<PortPlan>,
    /// The logical interfaces that are connected to something.
    pub lifs: Vec<LifPlan>,
}

/// How a port is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortPlan {
    /// An NIV link: every frame carries a tag.
    Niv {
        /// The VIF lists that the adapter knows, and the VIFs in each. Of two with the same members the lower
        /// number is used.
        lists: Vec<(ListId, Vec<u16>)>,
    },
    /// An ordinary port, which is one logical interface.
    Wire,
}

impl PortPlan {
    /// Lists by their sorted members.
    pub(super) fn lists_by_members(&self) -> HashMap<Vec<u16>, ListId> {
        let Self::Niv { lists } = self else { return HashMap::new() };
        let mut found: HashMap<Vec<u16>, ListId> = HashMap::new();
        for (id, members) in lists {
            let mut members = members.clone();
            members.sort_unstable();
            members.dedup();
            found.entry(members).and_modify(|known| *known = (*known).min(*id)).or_insert(*id);
        }
        found
    }
}

/// A logical interface of a [`Plan`].
#[derive(Clone, Debug)]
pub struct LifPlan {
    /// Its slot.
    pub id: LifId,
    /// Where it is and what it does.
    pub lif: Lif,
    /// The VIF that frames from it carry: its own. Another one, or `None`, only in tests of inconsistent tables.
    pub source: Option<VifId>,
}

impl LifPlan {
    /// A vEth behind an NIV link.
    #[must_use]
    pub fn virt(id: LifId, port: u16, vif: VifId, program: Arc<Program>, counters: Arc<LifCounters>) -> Self {
        let lif = Lif { port, vif: vif.get(), generation: Generation::default(), program, counters };
        Self { id, lif, source: Some(vif) }
    }

    /// An ordinary port.
    #[must_use]
    pub fn wire(id: LifId, port: u16, program: Arc<Program>, counters: Arc<LifCounters>) -> Self {
        let lif = Lif { port, vif: 0, generation: Generation::default(), program, counters };
        Self { id, lif, source: None }
    }
}

/// How a worker treats what comes in at a port.
#[derive(Debug)]
pub(super) enum PortRole {
    /// An NIV link, with the interface behind each VIF.
    Niv(Box<[Option<LifId>; CHANNELS]>),
    /// An ordinary port.
    Wire(LifId),
    /// No interface at all: an ordinary port without configuration.
    Unused,
}

/// Everything a worker looks up but learned addresses.
#[derive(Debug)]
pub struct Tables {
    lifs: Vec<Option<Lif>>,
    pub(super) roles: Vec<PortRole>,
    pub(super) floods: Floods,
    copies: CopyIndex,
}

impl Tables {
    /// Compiles a plan. Counters of flood copies that `before` also had are carried on.
    #[must_use]
    pub fn compile(plan: &Plan, before: Option<&Self>) -> Self {
        let slots = plan.lifs.iter().map(|planned| planned.id.index() + 1).max().unwrap_or(0);
        let mut lifs: Vec<Option<Lif>> = vec![None; slots];
        let mut roles: Vec<PortRole> = plan
            .ports
            .iter()
            .map(|port| match port {
                PortPlan::Niv { .. } => PortRole::Niv(Box::new([None; CHANNELS])),
                PortPlan::Wire => PortRole::Unused,
            })
            .collect();
        for planned in &plan.lifs {
            let Some(role) = roles.get_mut(usize::from(planned.lif.port)) else { continue };
            match (role, planned.source) {
                (PortRole::Niv(channels), Some(vif)) => channels[usize::from(vif.get())] = Some(planned.id),
                (PortRole::Niv(_), None) => {}
                (role, _) => *role = PortRole::Wire(planned.id),
            }
            lifs[planned.id.index()] = Some(planned.lif.clone());
        }
        let none = CopyIndex::default();
        let (floods, copies) =
            Floods::compile(&lifs, &plan.ports, before.map_or(&none, |before| &before.copies));
        Self { lifs, roles, floods, copies }
    }

    /// The interface in a slot.
    #[inline]
    #[must_use]
    pub fn lif(&self, id: LifId) -> Option<&Lif> {
        self.lifs.get(id.index())?.as_ref()
    }

    /// The interface in a slot, if what was learned in `generation` still counts for it.
    #[inline]
    #[must_use]
    pub fn live(&self, id: LifId, generation: Generation) -> Option<&Lif> {
        self.lif(id).filter(|lif| lif.generation == generation)
    }

    /// The counters of every flood copy.
    pub fn copy_counters(&self) -> impl Iterator<Item = &Arc<CopyCounters>> {
        self.copies.iter()
    }
}

/// The tables that count now. A worker looks at one number at the beginning of each turn and takes the new
/// tables when it changed.
#[derive(Debug)]
pub struct Published {
    version: AtomicU64,
    tables: Mutex<Arc<Tables>>,
}

impl Published {
    /// The first tables.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        Self { version: AtomicU64::new(1), tables: Mutex::new(Arc::new(tables)) }
    }

    /// From now on these count. The former ones are returned; workers may use them until their next turn.
    pub fn replace(&self, tables: Tables) -> Arc<Tables> {
        let mut current = self.tables.lock();
        let former = core::mem::replace(&mut *current, Arc::new(tables));
        self.version.fetch_add(1, Ordering::Release);
        former
    }

    /// The tables that count now.
    #[must_use]
    pub fn current(&self) -> Arc<Tables> {
        self.tables.lock().clone()
    }

    /// Which tables these are.
    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}
