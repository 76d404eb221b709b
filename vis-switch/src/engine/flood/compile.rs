//! From interfaces, ports and lists to floods.

use super::{CopyForm, CopyIndex, Flood, FloodCopy, FloodLists, Floods, LinkCopy, Missing};
use crate::engine::acl::SharedAcl;
use crate::engine::classes::{Class, Distinct, Vlans, by_egress, classes, divide};
use crate::engine::counters::CopyCounters;
use crate::engine::lif::{Lif, LifId};
use crate::engine::tables::{PortPlan, PortRole};
use std::collections::HashMap;
use std::sync::Arc;
use vntag::ListId;

/// What floods are compiled from.
pub(in crate::engine) struct Sources<'a> {
    /// By slot.
    pub(in crate::engine) lifs: &'a [Option<Lif>],
    pub(in crate::engine) ports: &'a [PortPlan],
    pub(in crate::engine) roles: &'a [PortRole],
    /// The interfaces of each port, rising.
    pub(in crate::engine) by_port: &'a [Vec<LifId>],
    /// Counters of earlier tables; those of sets of interfaces that are still there are used again.
    pub(in crate::engine) kept: &'a CopyIndex,
}

impl Floods {
    /// Compiles.
    pub(in crate::engine) fn compile(sources: &Sources<'_>) -> (Self, CopyIndex) {
        let mut index = CopyIndex(vec![HashMap::new(); sources.ports.len()]);
        let mut pieces = Pieces { sources, index: &mut index, pieces: Vec::new() };
        for (port, plan) in (0u16..).zip(sources.ports) {
            match plan {
                PortPlan::Wire => pieces.wire(port),
                PortPlan::Static { lists } => pieces.fixed(port, lists),
                PortPlan::Niv { floods } => pieces.negotiated(port, floods),
            }
        }
        let mut copies: Vec<FloodCopy> = Vec::new();
        let mut sets = Distinct::default();
        let mut of_set: Vec<Vec<usize>> = Vec::new();
        for (vlans, copy) in pieces.pieces {
            let set = sets.number(vlans);
            of_set.resize_with(of_set.len().max(set + 1), Vec::new);
            of_set[set].push(copies.len());
            copies.push(copy);
        }
        let division = divide(&sets.sets);
        let mut floods = vec![Flood::default()];
        floods.extend(division.blocks.iter().map(|block| {
            let mut own: Vec<usize> = block.sets.iter().flat_map(|set| &of_set[*set]).copied().collect();
            // They were made port by port.
            own.sort_unstable();
            Flood { copies: own.into_iter().map(|copy| copies[copy].clone()).collect() }
        }));
        (Self { by_vlan: division.of_vlan, floods }, index)
    }
}

/// A list, with the located interfaces in it, rising, and the access lists towards them.
struct Reach {
    list: ListId,
    members: Arc<[LifId]>,
    filters: Arc<[SharedAcl]>,
}

/// Copies of single ports, each with the VLANs whose floods have it.
struct Pieces<'a> {
    sources: &'a Sources<'a>,
    index: &'a mut CopyIndex,
    pieces: Vec<(Vlans<'a>, FloodCopy)>,
}

impl<'a> Pieces<'a> {
    fn lif(&self, id: LifId) -> Option<&'a Lif> {
        self.sources.lifs.get(id.index())?.as_ref()
    }

    fn members(&self, port: u16) -> impl Iterator<Item = (LifId, &'a Lif)> + use<'a, '_> {
        let ids = self.sources.by_port.get(usize::from(port)).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| Some((*id, self.lif(*id)?)))
    }

    fn wire(&mut self, port: u16) {
        let Some((id, lif)) = self.members(port).last() else { return };
        let (vlans, form) = (Vlans::Set(lif.program.carries()), CopyForm::Wire(lif.program.clone()));
        let counters = self.counters(port, &[id].into());
        self.pieces.push((vlans, FloodCopy { port, form, counters }));
    }

    fn fixed(&mut self, port: u16, lists: &[(ListId, Vec<u16>)]) {
        let lists = by_members(lists);
        let classes = classes(self.members(port).map(|(id, lif)| (id, &lif.program)), []);
        for Class { vlans, members, .. } in classes {
            let reach = |(filter, members): (Option<&SharedAcl>, Vec<LifId>)| {
                // A member without a VIF cannot be in any list.
                let mut vifs: Vec<u16> = members
                    .iter()
                    .filter_map(|id| Some(self.lif(*id)?.vif))
                    .filter(|vif| *vif != 0)
                    .collect();
                vifs.sort_unstable();
                let list = *lists.get(&vifs)?;
                Some(Reach { list, members: members.into(), filters: filter.cloned().into_iter().collect() })
            };
            let reaches: Vec<Reach> = self.by_egress(&members).into_iter().filter_map(reach).collect();
            self.link(port, &vlans, &members, &reaches.iter().collect::<Vec<_>>());
        }
    }

    fn negotiated(&mut self, port: u16, floods: &FloodLists) {
        let Some(PortRole::Niv { channels, .. }) = self.sources.roles.get(usize::from(port)) else { return };
        let reaches: Vec<Reach> = floods
            .0
            .iter()
            .map(|flood| {
                let there = flood.members.iter().filter_map(|vif| channels.get(u32::from(vif.get())));
                let mut members: Vec<LifId> = there.collect();
                members.sort_unstable();
                let filters = self.by_egress(&members).into_iter().filter_map(|(filter, _)| filter.cloned());
                Reach { list: flood.list, filters: filters.collect(), members: members.into() }
            })
            .collect();
        // The VLANs of a class have the same lists, unless that is changing just now.
        let among = floods.0.iter().map(|flood| &flood.vlans);
        let classes = classes(self.members(port).map(|(id, lif)| (id, &lif.program)), among);
        for Class { vlans, members, among } in classes {
            let reaches: Vec<&Reach> = among.iter().filter_map(|place| reaches.get(*place)).collect();
            self.link(port, &vlans, &members, &reaches);
        }
    }

    /// The copies down an NIV link for these members of its VLANs, rising, by these lists.
    fn link(&mut self, port: u16, vlans: &[u16], members: &[LifId], lists: &[&Reach]) {
        // By far the usual case.
        let whole = |reach: &Reach| *reach.members == *members;
        let has = |reach: &Reach, id: &LifId| reach.members.binary_search(id).is_ok();
        for reach in lists {
            let whole = whole(reach);
            let mut reached = members.iter().filter(|id| whole || has(reach, id));
            let (first, second) = (reached.next(), reached.next());
            // Nothing is sent for strangers.
            let Some(first) = first else { continue };
            let sole = Some(*first).filter(|_| second.is_none());
            let counters = self.counters(port, &reach.members);
            let form = CopyForm::Link(LinkCopy {
                list: reach.list,
                sole,
                whole,
                members: reach.members.clone(),
                filters: reach.filters.clone(),
            });
            self.pieces.push((Vlans::Listed(vlans.into()), FloodCopy { port, form, counters }));
        }
        if lists.iter().any(|reach| whole(reach)) {
            return;
        }
        for (_, class) in self.by_egress(members) {
            let (reached, missing): (Vec<LifId>, Vec<LifId>) =
                class.into_iter().partition(|id| lists.iter().any(|reach| has(reach, id)));
            let reached_one = match reached[..] {
                [] => None,
                [one] => Some(one),
                _ => continue,
            };
            let sole = match missing[..] {
                [] => continue,
                [one] => Some(one),
                _ => None,
            };
            let form = CopyForm::Missing(Missing { reached: reached_one, sole });
            let copy = FloodCopy { port, form, counters: Arc::default() };
            self.pieces.push((Vlans::Listed(vlans.into()), copy));
        }
    }

    /// Interfaces by egress class.
    fn by_egress(&self, ids: &[LifId]) -> Vec<(Option<&'a SharedAcl>, Vec<LifId>)> {
        by_egress(ids.iter().filter_map(|id| Some((*id, &*self.lif(*id)?.program))))
    }

    /// The counters for what these interfaces get by one copy.
    fn counters(&mut self, port: u16, ids: &Arc<[LifId]>) -> Arc<CopyCounters> {
        let port = usize::from(port);
        let (Some(here), lifs) = (self.index.0.get_mut(port), self.sources.lifs) else {
            return Arc::default();
        };
        if let Some(known) = here.get(ids) {
            return known.clone();
        }
        let members = || ids.iter().filter_map(|id| Some(&lifs.get(id.index())?.as_ref()?.counters));
        // A slot may have got another owner since: then the counters are another set's.
        let same = |old: &&Arc<CopyCounters>| {
            old.members.len() == ids.len()
                && old.members.iter().zip(members()).all(|(a, b)| Arc::ptr_eq(a, b))
        };
        let kept = self.sources.kept.0.get(port).and_then(|kept| kept.get(ids));
        let counters = match kept.filter(same) {
            Some(counters) => counters.clone(),
            None => {
                let members = members().cloned().collect();
                Arc::new(CopyCounters::new(members))
            }
        };
        here.insert(ids.clone(), counters.clone());
        counters
    }
}

/// Lists by their sorted members. Of two with the same members the lower number counts.
fn by_members(lists: &[(ListId, Vec<u16>)]) -> HashMap<Vec<u16>, ListId> {
    let mut found: HashMap<Vec<u16>, ListId> = HashMap::new();
    for (id, members) in lists {
        let mut members = members.clone();
        members.sort_unstable();
        members.dedup();
        found.entry(members).and_modify(|known| *known = (*known).min(*id)).or_insert(*id);
    }
    found
}
