//! Everything a worker looks up, compiled from a [`Plan`]. Immutable: a change of the configuration makes new
//! tables, and the workers change over between two turns ([`Published`]).

use super::counters::{CopyCounters, LifCounters};
use super::flood::{CopyIndex, FloodLists, Floods, Sources};
use super::lif::{Generation, Lif, LifId};
use super::vlan::Program;
use core::sync::atomic::{AtomicU64, Ordering};
use parking_lot::Mutex;
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
    /// Those that are not just now. Nothing comes from them and goes to them, but what was learned on them is kept.
    pub away: Vec<(LifId, Generation)>,
}

/// How a port is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortPlan {
    /// An ordinary port, which is one logical interface.
    Wire,
    /// An NIV link without negotiation: every frame carries a tag.
    Static {
        /// The VIF lists that the adapter knows, and the VIFs in each. Of two with the same members the lower
        /// number is used.
        lists: Vec<(ListId, Vec<u16>)>,
    },
    /// An NIV link with a control session: every frame carries a tag.
    Niv {
        /// The list of each VLAN.
        floods: FloodLists,
    },
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
        let lif =
            Lif { port, vif: vif.get(), generation: Generation::default(), program, counters, guard: None };
        Self { id, lif, source: Some(vif) }
    }

    /// An ordinary port.
    #[must_use]
    pub fn wire(id: LifId, port: u16, program: Arc<Program>, counters: Arc<LifCounters>) -> Self {
        let lif = Lif { port, vif: 0, generation: Generation::default(), program, counters, guard: None };
        Self { id, lif, source: None }
    }
}

/// How a worker treats what comes in at a port.
#[derive(Debug)]
pub(super) enum PortRole {
    /// An NIV link.
    Niv {
        /// The interface behind each VIF.
        channels: Arc<Channels>,
        /// There is an access list towards some of them. Where there is none, nobody looks for one.
        filtered: bool,
    },
    /// An ordinary port.
    Wire(LifId),
    /// No interface at all: an ordinary port without configuration.
    Unused,
}

/// The interfaces behind the VIFs of an NIV link. Shared by all tables in which they are the same.
#[derive(Debug)]
pub(super) struct Channels {
    lifs: [Option<LifId>; CHANNELS],
    /// The same as a list, in the order of the plan.
    listed: Vec<(VifId, LifId)>,
}

impl Channels {
    /// The interface behind a VIF.
    #[inline]
    pub(super) fn get(&self, channel: u32) -> Option<LifId> {
        self.lifs.get(channel as usize).copied().flatten()
    }

    /// Those of `before`, if that is the same link with the same VIFs.
    fn of(listed: Vec<(VifId, LifId)>, before: Option<&PortRole>) -> Arc<Self> {
        match before {
            Some(PortRole::Niv { channels, .. }) if channels.listed == listed => channels.clone(),
            _ => {
                let mut lifs = [None; CHANNELS];
                listed.iter().for_each(|(vif, id)| lifs[usize::from(vif.get())] = Some(*id));
                Arc::new(Self { lifs, listed })
            }
        }
    }
}

/// Everything a worker looks up but learned addresses.
#[derive(Debug)]
pub struct Tables {
    lifs: Vec<Option<Lif>>,
    /// Rising.
    away: Vec<(LifId, Generation)>,
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
        let mut wires: Vec<Option<LifId>> = vec![None; plan.ports.len()];
        let mut listed: Vec<Vec<(VifId, LifId)>> = vec![Vec::new(); plan.ports.len()];
        for planned in &plan.lifs {
            let port = usize::from(planned.lif.port);
            match (plan.ports.get(port), planned.source) {
                (None, _) => continue,
                (Some(PortPlan::Wire), _) => wires[port] = Some(planned.id),
                (Some(_), Some(vif)) => listed[port].push((vif, planned.id)),
                (Some(_), None) => {}
            }
            lifs[planned.id.index()] = Some(planned.lif.clone());
        }
        let mut by_port: Vec<Vec<LifId>> = vec![Vec::new(); plan.ports.len()];
        for (slot, lif) in (0u32..).zip(&lifs) {
            if let (Some(lif), Some(id)) = (lif, LifId::new(slot)) {
                by_port[usize::from(lif.port)].push(id);
            }
        }
        let roles: Vec<PortRole> = (plan.ports.iter().zip(wires).zip(listed).enumerate())
            .map(|(port, ((plan, wire), listed))| match plan {
                PortPlan::Wire => wire.map_or(PortRole::Unused, PortRole::Wire),
                PortPlan::Static { .. } | PortPlan::Niv { .. } => {
                    let programs =
                        by_port[port].iter().filter_map(|id| Some(&lifs[id.index()].as_ref()?.program));
                    PortRole::Niv {
                        channels: Channels::of(listed, before.and_then(|before| before.roles.get(port))),
                        filtered: programs.into_iter().any(|program| program.acl_out.is_some()),
                    }
                }
            })
            .collect();
        let none = CopyIndex::default();
        let (floods, copies) = Floods::compile(&Sources {
            lifs: &lifs,
            ports: &plan.ports,
            roles: &roles,
            by_port: &by_port,
            kept: before.map_or(&none, |before| &before.copies),
        });
        let mut away = plan.away.clone();
        away.sort_unstable_by_key(|(id, _)| *id);
        Self { lifs, away, roles, floods, copies }
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

    /// Whether what was learned on the interface in a slot in `generation` is still true, wherever that interface is, and
    /// if it is nowhere just now.
    #[must_use]
    pub fn remembers(&self, id: LifId, generation: Generation) -> bool {
        match self.lif(id) {
            Some(lif) => lif.generation == generation,
            None => {
                let place = self.away.binary_search_by_key(&id, |(id, _)| *id);
                place.is_ok_and(|place| self.away[place].1 == generation)
            }
        }
    }

    /// The counters of every flood copy.
    pub fn copy_counters(&self) -> impl Iterator<Item = &Arc<CopyCounters>> {
        self.copies.iter()
    }
}

/// The tables that count now. A worker looks at one number at the beginning of each turn and takes the new
/// tables when it changed. It never frees the former ones, which takes as long as a turn where there are thousands of
/// interfaces: whoever replaces them does.
#[derive(Debug)]
pub struct Published {
    version: AtomicU64,
    tables: Mutex<Arc<Tables>>,
    /// Former tables that workers may still use.
    former: Mutex<Vec<Arc<Tables>>>,
}

impl Published {
    /// The first tables.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        Self { version: AtomicU64::new(1), tables: Mutex::new(Arc::new(tables)), former: Mutex::default() }
    }

    /// From now on these count. The former ones are returned; workers may use them until their next turn.
    pub fn replace(&self, tables: Tables) -> Arc<Tables> {
        let mut current = self.tables.lock();
        let former = core::mem::replace(&mut *current, Arc::new(tables));
        self.version.fetch_add(1, Ordering::Release);
        drop(current);
        self.reclaim();
        self.former.lock().push(former.clone());
        former
    }

    /// Frees former tables that nobody uses any more. For the thread that replaces them, when the workers have had a turn.
    pub fn reclaim(&self) {
        let unused = |tables: &mut Arc<Tables>| Arc::strong_count(tables) == 1;
        let gone: Vec<Arc<Tables>> = self.former.lock().extract_if(.., unused).collect();
        // Not under the lock.
        drop(gone);
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
