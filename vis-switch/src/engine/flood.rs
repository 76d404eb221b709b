//! Floods, compiled: for each VLAN the copies that a flooded frame becomes, one for each port with members.
//!
//! VLANs with the same members share one flood. On an NIV link the copy is one frame for a VIF list; it needs a
//! list whose members are exactly the members of the flood on that link, the originator included (the adapter
//! leaves the originator out by the looped bit, so that one list serves whoever floods).

use super::counters::{CopyCounters, LifCounters};
use super::lif::{Lif, LifId};
use super::tables::PortPlan;
use super::vlan::{Program, VLAN_MAX, VlanSet};
use std::collections::HashMap;
use std::sync::Arc;
use vntag::{ListId, VifId};

/// The VIF lists that floods use on an NIV link with a control session, by VLAN. The adapter has acknowledged all of
/// them (C18). Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FloodLists(pub Arc<[FloodList]>);

/// The list that the floods of some VLANs use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloodList {
    /// The VLANs. No VLAN is in two lists of a link.
    pub vlans: VlanSet,
    /// The list.
    pub list: ListId,
    /// Its members at the adapter, rising. While a change is under way not exactly those that the VLANs have.
    pub members: Arc<[VifId]>,
}

/// What one flooded frame becomes.
#[derive(Debug, Default)]
pub struct Flood {
    /// In port order.
    pub copies: Vec<FloodCopy>,
}

/// One copy.
#[derive(Debug)]
pub struct FloodCopy {
    /// Index of the port it leaves by.
    pub port: u16,
    /// In which form.
    pub form: CopyForm,
    /// What was sent of it. Shared by all floods with the same members on this port.
    pub counters: Arc<CopyCounters>,
}

/// The form of a copy.
#[derive(Debug)]
pub enum CopyForm {
    /// An ordinary port, which is one interface with this program.
    Wire(Arc<Program>),
    /// An NIV link.
    Link {
        /// The list with exactly these members; `None`: the copy is dropped (F8).
        list: Option<ListId>,
        /// The only member. It gets no copy of its own frames (F5).
        sole: Option<LifId>,
    },
}

/// Floods by VLAN.
#[derive(Debug)]
pub struct Floods {
    by_vlan: Vec<u16>,
    floods: Vec<Flood>,
}

impl Floods {
    /// The number of the flood of a VLAN.
    #[inline]
    pub fn of_vlan(&self, vlan: u16) -> u16 {
        self.by_vlan.get(usize::from(vlan)).copied().unwrap_or(0)
    }

    /// A flood by number; number 0 has no copies.
    #[inline]
    pub fn get(&self, number: u16) -> Option<&Flood> {
        self.floods.get(usize::from(number))
    }

    /// The copies there are, each once.
    pub fn copies(&self) -> impl Iterator<Item = &FloodCopy> {
        self.floods.iter().flat_map(|flood| &flood.copies)
    }

    /// Compiles. `kept` are counters of earlier tables; those of member sets that still exist are used again.
    pub fn compile(lifs: &[Option<Lif>], ports: &[PortPlan], kept: &CopyIndex) -> (Self, CopyIndex) {
        let mut members: Vec<Vec<LifId>> = vec![Vec::new(); usize::from(VLAN_MAX) + 1];
        for (slot, lif) in (0u32..).zip(lifs) {
            let (Some(lif), Some(id)) = (lif, LifId::new(slot)) else { continue };
            for vlan in lif.program.allowed.iter() {
                members[usize::from(vlan)].push(id);
            }
        }
        let lists: Vec<_> = ports.iter().map(PortPlan::lists_by_members).collect();
        let links = Links { lifs, ports, lists };
        let mut index = CopyIndex::default();
        let mut known: HashMap<Vec<LifId>, u16> = HashMap::from([(Vec::new(), 0)]);
        let mut floods = vec![Flood::default()];
        let mut by_vlan = Vec::with_capacity(members.len());
        for set in members {
            let number = *known.entry(set).or_insert_with_key(|set| {
                floods.push(links.flood(set, kept, &mut index));
                // 4,094 VLANs have no more than as many member sets.
                (floods.len() - 1) as u16
            });
            by_vlan.push(number);
        }
        (Self { by_vlan, floods }, index)
    }
}

/// What floods are compiled from.
struct Links<'a> {
    lifs: &'a [Option<Lif>],
    ports: &'a [PortPlan],
    lists: Vec<HashMap<Vec<u16>, ListId>>,
}

impl Links<'_> {
    fn flood(&self, set: &[LifId], kept: &CopyIndex, index: &mut CopyIndex) -> Flood {
        let mut by_port: Vec<(u16, Vec<(LifId, &Lif)>)> = Vec::new();
        for id in set {
            let Some(Some(lif)) = self.lifs.get(id.index()) else { continue };
            match by_port.iter_mut().find(|(port, _)| *port == lif.port) {
                Some((_, there)) => there.push((*id, lif)),
                None => by_port.push((lif.port, vec![(*id, lif)])),
            }
        }
        by_port.sort_by_key(|(port, _)| *port);
        let mut copies = Vec::new();
        for (port, there) in by_port {
            let form = match self.ports.get(usize::from(port)) {
                Some(PortPlan::Niv { .. }) => {
                    // A member without a VIF cannot be in any list.
                    let mut vifs: Vec<u16> =
                        there.iter().map(|(_, lif)| lif.vif).filter(|vif| *vif != 0).collect();
                    vifs.sort_unstable();
                    let list = self.lists.get(usize::from(port)).and_then(|lists| lists.get(&vifs)).copied();
                    CopyForm::Link { list, sole: (there.len() == 1).then_some(there[0].0) }
                }
                Some(PortPlan::Wire) => CopyForm::Wire(there[0].1.program.clone()),
                None => continue,
            };
            let key = (port, there.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            let members = there.iter().map(|(_, lif)| lif.counters.clone()).collect();
            copies.push(FloodCopy { port, form, counters: index.take(key, members, kept) });
        }
        Flood { copies }
    }
}

/// The counters of copies by port and members, so that they survive a change of the tables.
#[derive(Debug, Default)]
pub struct CopyIndex(HashMap<(u16, Vec<LifId>), Arc<CopyCounters>>);

impl CopyIndex {
    fn take(
        &mut self,
        key: (u16, Vec<LifId>),
        members: Vec<Arc<LifCounters>>,
        kept: &Self,
    ) -> Arc<CopyCounters> {
        // A slot may have got another owner since: then the counters are another set's.
        let same = |old: &&Arc<CopyCounters>| {
            old.members.len() == members.len()
                && old.members.iter().zip(&members).all(|(a, b)| Arc::ptr_eq(a, b))
        };
        let found = kept.0.get(&key).filter(same).cloned();
        self.0
            .entry(key)
            .or_insert_with(|| {
                found.unwrap_or_else(|| Arc::new(CopyCounters { members, ..CopyCounters::default() }))
            })
            .clone()
    }

    /// Every set of counters.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<CopyCounters>> {
        self.0.values()
    }
}
