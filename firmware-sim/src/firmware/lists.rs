//! The VIF lists of a link.

use std::collections::{BTreeMap, BTreeSet};

use vntag::ctl::{Refusal, Response, Status, Vifs};
use vntag::{ListId, VifId};

use super::inbound::Outcome;
use super::{Firmware, LinkId};
use crate::output::Order;

/// Octets of a LIST_GET response beside its members: header, GENERATION, head of VIF_VECTOR, MORE.
const GET_OVERHEAD: usize = 16 + 8 + 4 + 5;

#[derive(Debug)]
struct List {
    generation: u32,
    members: BTreeSet<VifId>,
}

/// The lists that the switch has set; at most as many as were announced.
#[derive(Debug)]
pub(super) struct Lists {
    limit: usize,
    lists: BTreeMap<ListId, List>,
}

impl Lists {
    pub(super) fn new(limit: u16) -> Self {
        Self { limit: usize::from(limit), lists: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.lists.len()
    }

    /// The generation and members of a list.
    pub(super) fn get(&self, list: ListId) -> Option<(u32, Vec<VifId>)> {
        self.lists.get(&list).map(|list| (list.generation, list.members.iter().copied().collect()))
    }

    /// All of them, rising.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ListId, u32, Vec<VifId>)> {
        self.lists.iter().map(|(id, list)| (*id, list.generation, list.members.iter().copied().collect()))
    }

    /// Says whether the members changed.
    fn set(&mut self, list: ListId, generation: u32, members: &Vifs) -> Result<bool, Refusal> {
        let members: BTreeSet<VifId> = members.iter().collect();
        let full = self.lists.len() >= self.limit;
        match self.lists.get_mut(&list) {
            Some(known) if known.generation == generation && known.members == members => Ok(false),
            Some(known) if !is_newer(generation, known.generation) => Err(stale(known.generation)),
            Some(_) if members.is_empty() => Ok(self.lists.remove(&list).is_some()),
            Some(known) => {
                let changed = known.members != members;
                *known = List { generation, members };
                Ok(changed)
            }
            None if members.is_empty() => Ok(false),
            None if full => {
                Err(Refusal::with_cause(Status::INSUFFICIENT_RESOURCES, 0, "no room for another list"))
            }
            None => {
                self.lists.insert(list, List { generation, members });
                Ok(true)
            }
        }
    }

    fn modify(&mut self, list: ListId, generation: u32, add: &Vifs, del: &Vifs) -> Result<bool, Refusal> {
        let Some(known) = self.lists.get_mut(&list) else {
            return Err(Refusal::with_cause(Status::INVALID, 0, "no such list"));
        };
        if !is_newer(generation, known.generation) {
            return Err(stale(known.generation));
        }
        known.generation = generation;
        let mut changed = false;
        for vif in del.iter() {
            changed |= known.members.remove(&vif);
        }
        for vif in add.iter() {
            changed |= known.members.insert(vif);
        }
        Ok(changed)
    }

    /// Takes a VIF out of every list; those that had it.
    fn clear_vif(&mut self, vif: VifId) -> Vec<ListId> {
        let had = self.lists.iter_mut().filter_map(|(id, list)| list.members.remove(&vif).then_some(*id));
        had.collect()
    }
}

/// Generations go round.
const fn is_newer(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000_0000
}

fn stale(current: u32) -> Refusal {
    Refusal::with_cause(Status::STALE, 0, &format!("the list is at generation {current}"))
}

impl Firmware {
    fn lists_mut(&mut self, link: LinkId) -> Option<&mut Lists> {
        self.links.get_mut(usize::from(link.0)).map(|link| &mut link.lists)
    }

    pub(super) fn list_set(
        &mut self,
        link: LinkId,
        list: ListId,
        generation: u32,
        members: &Vifs,
    ) -> Outcome {
        let lists = self.lists_mut(link).ok_or(Refusal::of(Status::ERROR))?;
        if lists.set(list, generation, members)? {
            self.order_list(link, list);
        }
        Ok(Response::ListSet)
    }

    pub(super) fn list_mod(
        &mut self,
        link: LinkId,
        list: ListId,
        generation: u32,
        (add, del): (&Vifs, &Vifs),
    ) -> Outcome {
        let lists = self.lists_mut(link).ok_or(Refusal::of(Status::ERROR))?;
        if lists.modify(list, generation, add, del)? {
            self.order_list(link, list);
        }
        Ok(Response::ListMod)
    }

    pub(super) fn list_get(&self, link: LinkId, list: ListId, after: Option<VifId>) -> Outcome {
        let at = self.links.get(usize::from(link.0)).ok_or(Refusal::of(Status::ERROR))?;
        let Some((generation, members)) = at.lists.get(list) else {
            return Err(Refusal::with_cause(Status::INVALID, 0, "no such list"));
        };
        let max_pdu = at.session.peer().map_or(0, |peer| usize::from(peer.hello.limits.max_pdu));
        let room = (max_pdu.saturating_sub(GET_OVERHEAD) / 2).clamp(1, vntag::ctl::MAX_VIFS);
        let mut rest = members.into_iter().filter(|vif| after.is_none_or(|after| *vif > after));
        let members = Vifs::new(rest.by_ref().take(room)).unwrap_or_default();
        Ok(Response::ListGet { generation, members, more: rest.next().is_some() })
    }

    /// A VIF that is gone is in no list (C2).
    pub(super) fn clear_from_lists(&mut self, link: LinkId, vif: VifId) {
        let had = self.lists_mut(link).map(|lists| lists.clear_vif(vif)).unwrap_or_default();
        for list in had {
            self.order_list(link, list);
        }
    }

    pub(super) fn clear_lists(&mut self, link: LinkId) {
        let Some(lists) = self.lists_mut(link) else { return };
        for list in core::mem::take(&mut lists.lists).into_keys() {
            self.order(Order::ClearList { link, list });
        }
    }

    /// Tells the data path what a list is now.
    fn order_list(&mut self, link: LinkId, list: ListId) {
        let order = match self.lists_mut(link).and_then(|lists| lists.get(list)) {
            Some((_, members)) => Order::SetList { link, list, members },
            None => Order::ClearList { link, list },
        };
        self.order(order);
    }
}
