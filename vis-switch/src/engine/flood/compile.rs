//! From interfaces, ports and lists to floods.

use super::{CopyForm, CopyIndex, Flood, FloodCopy, FloodLists, Floods, LinkCopy};
use crate::engine::classes::{Class, Distinct, Vlans, classes, divide};
use crate::engine::counters::CopyCounters;
use crate::engine::lif::{Lif, LifId};
use crate::engine::tables::{PortPlan, PortRole};
use crate::engine::vlan::VLAN_MAX;
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

/// Copies of single ports, each with the VLANs whose floods have it.
struct Pieces<'a> {
    sources: &'a Sources<'a>,
    index: &'a mut CopyIndex,
    pieces: Vec<(Vlans<'a>, FloodCopy)>,
}

impl<'a> Pieces<'a> {
    fn members(&self, port: u16) -> impl Iterator<Item = (LifId, &'a Lif)> + use<'a> {
        let sources = self.sources;
        let ids = sources.by_port.get(usize::from(port)).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| Some((*id, sources.lifs.get(id.index())?.as_ref()?)))
    }

    /// The members by VLAN class.
    fn classes(&self, port: u16) -> Vec<Class<LifId>> {
        classes(self.members(port).map(|(id, lif)| (id, &lif.program)))
    }

    fn wire(&mut self, port: u16) {
        let Some((id, lif)) = self.members(port).last() else { return };
        let (vlans, form) = (Vlans::Set(lif.program.carries()), CopyForm::Wire(lif.program.clone()));
        let counters = self.counters(port, &[id]);
        self.pieces.push((vlans, FloodCopy { port, form, counters }));
    }

    fn fixed(&mut self, port: u16, lists: &[(ListId, Vec<u16>)]) {
        let lists = by_members(lists);
        for Class { vlans, members } in self.classes(port) {
            // A member without a VIF cannot be in any list.
            let vif = |id: &LifId| self.sources.lifs.get(id.index())?.as_ref().map(|lif| lif.vif);
            let mut vifs: Vec<u16> = members.iter().filter_map(vif).filter(|vif| *vif != 0).collect();
            vifs.sort_unstable();
            let reached = if lists.contains_key(&vifs) { &members[..] } else { &[] };
            self.link(port, vlans, lists.get(&vifs).copied(), &members, reached);
        }
    }

    fn negotiated(&mut self, port: u16, floods: &FloodLists) {
        let Some(PortRole::Niv(channels)) = self.sources.roles.get(usize::from(port)) else { return };
        // By VLAN: 1 and the place of its list, or 0.
        let mut of_vlan = vec![0usize; usize::from(VLAN_MAX) + 1];
        for (place, flood) in (1..).zip(floods.0.iter()) {
            flood.vlans.iter().for_each(|vlan| of_vlan[usize::from(vlan)] = place);
        }
        let mut part_of: Vec<Option<usize>> = vec![None; floods.0.len() + 1];
        let mut reached: HashMap<usize, Vec<LifId>> = HashMap::new();
        for Class { vlans, members } in self.classes(port) {
            // The VLANs of a class have the same list, unless that is changing just now.
            let mut parts: Vec<(usize, Vec<u16>)> = Vec::new();
            let mut last = 0;
            for vlan in vlans {
                let place = of_vlan[usize::from(vlan)];
                if parts.get(last).is_none_or(|(known, _)| *known != place) {
                    last = *part_of[place].get_or_insert_with(|| {
                        parts.push((place, Vec::new()));
                        parts.len() - 1
                    });
                }
                parts[last].1.push(vlan);
            }
            parts.iter().for_each(|(place, _)| part_of[*place] = None);
            for (place, vlans) in parts {
                let flood = place.checked_sub(1).and_then(|place| floods.0.get(place));
                let reached = reached.entry(place).or_insert_with(|| {
                    let of_list = flood.map_or(&[][..], |flood| &flood.members);
                    let mut ids: Vec<LifId> =
                        of_list.iter().filter_map(|vif| channels.get(u32::from(vif.get()))).collect();
                    ids.sort_unstable();
                    ids
                });
                self.link(port, vlans.into(), flood.map(|flood| flood.list), &members, reached);
            }
        }
    }

    /// A copy down an NIV link, for these members of its VLANs by a list that has these interfaces. Both are rising.
    fn link(
        &mut self,
        port: u16,
        vlans: Box<[u16]>,
        list: Option<ListId>,
        members: &[LifId],
        of_list: &[LifId],
    ) {
        let outsiders: Vec<LifId> = if members == of_list {
            Vec::new()
        } else {
            members.iter().copied().filter(|id| of_list.binary_search(id).is_err()).collect()
        };
        let strangers: Vec<LifId> = if members == of_list {
            Vec::new()
        } else {
            of_list.iter().copied().filter(|id| members.binary_search(id).is_err()).collect()
        };
        let reached = members.len() - outsiders.len();
        let sole = |ids: &mut dyn Iterator<Item = LifId>, count: usize| ids.next().filter(|_| count == 1);
        let all = &mut members.iter().copied();
        let (copy, counters) = if reached == 0 {
            let copy = LinkCopy { list: None, sole: sole(all, members.len()), ..LinkCopy::default() };
            (copy, Arc::default())
        } else {
            let mut inside = all.filter(|id| outsiders.binary_search(id).is_err());
            let sole = sole(&mut inside, reached);
            (
                LinkCopy { list, sole, outsiders: outsiders.into(), strangers: strangers.into() },
                self.counters(port, of_list),
            )
        };
        self.pieces.push((Vlans::Listed(vlans), FloodCopy { port, form: CopyForm::Link(copy), counters }));
    }

    /// The counters for what these interfaces get by one copy.
    fn counters(&mut self, port: u16, ids: &[LifId]) -> Arc<CopyCounters> {
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
        let kept = self.sources.kept.0.get(port).and_then(|kept| kept.get_key_value(ids));
        let (ids, counters) = match kept.filter(|(_, counters)| same(counters)) {
            Some((ids, counters)) => (ids.clone(), counters.clone()),
            None => {
                let members = members().cloned().collect();
                (ids.into(), Arc::new(CopyCounters { members, ..CopyCounters::default() }))
            }
        };
        here.insert(ids, counters.clone());
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
