//! Which class gets which list.

use super::list::{self, List, Purpose};
use super::{Class, Lists, Trouble};
use crate::engine::vlan::VlanSet;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use vntag::ctl::session::Failure;
use vntag::{ListId, VifId};

/// Spares that are looked at in search of the nearest, beside those that the class's own VLANs left.
const LOOKED_AT: usize = 16;

/// The lists that a class may be given, in one pass.
struct Stock {
    spares: BTreeSet<ListId>,
    /// Spares by the VLAN they last served.
    by_hint: HashMap<u16, Vec<ListId>>,
    /// From here on an id may be unused.
    next: u16,
}

impl Lists {
    /// Takes over what is wanted from now on. What is being built goes on, for the class that it is nearest to.
    pub(super) fn replace_classes(&mut self, classes: &[(VlanSet, Arc<[VifId]>)]) {
        let mut before = core::mem::take(&mut self.classes);
        let known = core::mem::take(&mut self.by_members);
        self.of_vlan.iter_mut().for_each(Vec::clear);
        for (vlans, members) in classes {
            let number = *self.by_members.entry(members.clone()).or_insert_with(|| {
                let trouble = known.get(members).and_then(|old| before.get_mut(*old)?.trouble.take());
                let (vlans, members) = (VlanSet::EMPTY, members.clone());
                self.classes.push(Class { vlans, members, list: None, building: None, trouble });
                self.classes.len() - 1
            });
            for vlan in vlans.iter() {
                self.of_vlan[usize::from(vlan)].push(number);
                self.classes[number].vlans.insert(vlan);
            }
        }
        let mut left = Vec::new();
        for list in self.lists.values() {
            let waits = matches!(list.purpose, Purpose::Waiting);
            if !waits && !matches!(list.purpose, Purpose::Serving) {
                continue;
            }
            let class = list.content.exact().and_then(|members| self.by_members.get(members));
            match class.and_then(|class| self.classes.get_mut(*class)) {
                Some(class) if class.list.is_none() => class.list = Some(list.id),
                _ if waits => left.push((list.id, list.hint)),
                _ => {}
            }
        }
        for list in self.lists.values() {
            let Purpose::Building(goal) = &list.purpose else { continue };
            match self.by_members.get(goal).and_then(|class| self.classes.get_mut(*class)) {
                Some(class) if class.wants_one() => class.building = Some(list.id),
                _ => left.push((list.id, list.hint)),
            }
        }
        for (id, vlan) in left {
            let near = self.of_vlan.get(usize::from(vlan)).into_iter().flatten();
            match near.copied().find(|class| self.classes[*class].wants_one()) {
                Some(class) => self.build(id, class),
                None => self.abandon(id),
            }
        }
    }

    /// Gives lists to the classes that want others, as far as there are any.
    pub(super) fn settle(&mut self) {
        let Some(peer) = self.peer.filter(|_| core::mem::take(&mut self.unsettled)) else { return };
        let room = list::room(&peer);
        let without = |class: &usize| self.classes[*class].list.is_none();
        let mut wanting: Vec<usize> = (0..self.classes.len()).filter(without).collect();
        if !wanting.is_empty() {
            let exact = self.exact();
            wanting.retain(|class| match exact.get(&self.classes[*class].members) {
                Some(id) => {
                    self.complete(*id, *class);
                    false
                }
                None => self.classes[*class].building.is_none(),
            });
        }
        (0..).take(self.assigned.len()).for_each(|vlan| self.swap(vlan));
        self.starved = false;
        if !wanting.is_empty() {
            let mut stock = self.stock();
            for class in wanting {
                if matches!(self.classes[class].trouble, Some(Trouble::Refused(_))) {
                    continue;
                }
                self.classes[class].trouble = None;
                match self.choose(&mut stock, class, usize::from(peer.lists), room) {
                    Some(id) => self.build(id, class),
                    None if self.may_get_room() => {}
                    None => self.make_room(class, usize::from(peer.lists), room),
                }
            }
        }
        self.thin_out();
    }

    /// A list has made a step.
    pub(super) fn advance(&mut self, id: ListId) {
        let Some(list) = self.lists.get_mut(&id) else { return };
        match &list.purpose {
            Purpose::Building(goal) if list.content.is(goal) => match self.by_members.get(goal).copied() {
                Some(class) => {
                    self.complete(id, class);
                    let vlans = self.classes[class].vlans.clone();
                    vlans.iter().for_each(|vlan| self.swap(vlan));
                }
                None => self.abandon(id),
            },
            Purpose::Building(_) | Purpose::Deleting => {
                self.ready.insert(id);
            }
            Purpose::Spare | Purpose::Waiting | Purpose::Serving => self.unsettled = true,
        }
    }

    /// A list's step failed.
    pub(super) fn setback(&mut self, id: ListId, failure: &Failure) {
        let Some(list) = self.lists.get_mut(&id) else { return };
        if !list.refused {
            self.ready.insert(id);
        } else if let Purpose::Building(goal) = core::mem::replace(&mut list.purpose, Purpose::Spare)
            && let Some(class) = self.by_members.get(&goal).and_then(|class| self.classes.get_mut(*class))
        {
            class.building = None;
            class.trouble = Some(Trouble::Refused(failure.to_string()));
        }
        self.unsettled = true;
    }

    /// All VLANs of the class have the list that has its members.
    pub(super) fn is_served(&self, class: &Class) -> bool {
        let has = |id, vlan: u16| self.assigned[usize::from(vlan)].contains(id);
        class.list.as_ref().is_some_and(|id| class.vlans.iter().all(|vlan| has(id, vlan)))
    }

    /// The lists that could serve at once and do not, by their members.
    fn exact(&self) -> HashMap<Arc<[VifId]>, ListId> {
        let may = |list: &&List| match &list.purpose {
            Purpose::Spare => true,
            Purpose::Building(goal) => list.content.is(goal),
            Purpose::Waiting | Purpose::Serving | Purpose::Deleting => false,
        };
        let there = self.lists.values().filter(|list| !list.is_busy()).filter(may);
        there.filter_map(|list| Some((list.content.exact()?.clone(), list.id))).collect()
    }

    fn stock(&self) -> Stock {
        let mut stock = Stock { spares: BTreeSet::new(), by_hint: HashMap::new(), next: 1 };
        for list in self.lists.values().filter(|list| list.is_free()) {
            stock.spares.insert(list.id);
            stock.by_hint.entry(list.hint).or_default().push(list.id);
        }
        stock
    }

    /// The spare from which it is shortest to the members of a class, or a new list where that is shorter.
    fn choose(&mut self, stock: &mut Stock, class: usize, limit: usize, room: usize) -> Option<ListId> {
        let class = self.classes.get(class)?;
        let own = class.vlans.iter().filter_map(|vlan| stock.by_hint.get(&vlan)).flatten();
        let own = own.filter(|id| stock.spares.contains(id)).take(LOOKED_AT);
        let cost = |id: &ListId| self.list(*id).map_or(usize::MAX, |list| list.cost(&class.members, room));
        let nearest = |ids: Vec<ListId>| ids.into_iter().map(|id| (cost(&id), id)).min();
        let mut best = nearest(own.copied().collect());
        if best.is_none_or(|(cost, _)| cost > 1) {
            best =
                best.into_iter().chain(nearest(stock.spares.iter().take(LOOKED_AT).copied().collect())).min();
        }
        let whole = class.members.len().div_ceil(room);
        if self.lists.len() < limit && best.is_none_or(|(cost, _)| cost > whole) {
            let mut ids = (stock.next..).map_while(ListId::new);
            if let Some(new) = ids.find(|id| !self.lists.contains_key(id)) {
                stock.next = new.get() + 1;
                let generation = self.generations.remove(&new).unwrap_or(0);
                self.lists.insert(new, List::new(new, generation));
                return Some(new);
            }
        }
        let (_, id) = best?;
        stock.spares.remove(&id);
        Some(id)
    }

    /// Some list will be a spare soon.
    fn may_get_room(&self) -> bool {
        let spare = |list: &List| matches!(list.purpose, Purpose::Spare | Purpose::Deleting);
        self.lists.values().any(|list| spare(list) && !list.refused && !list.is_free())
    }

    /// There is no spare and never will be: takes a list out of service that has the members of no class. The class's own
    /// if it has one; one of others only where in the end there is a list for everybody. Nothing is risked while the peer
    /// refuses anything.
    fn make_room(&mut self, class: usize, limit: usize, room: usize) {
        let wants = &self.classes[class];
        let mut own: HashMap<ListId, u16> = HashMap::new();
        for id in wants.vlans.iter().flat_map(|vlan| &self.assigned[usize::from(vlan)]) {
            *own.entry(*id).or_default() += 1;
        }
        let for_all = self.classes.len() <= limit;
        let refused = self.lists.values().any(|list| list.refused);
        let outdated = self.lists.values().filter(|list| list.vlans > 0 && !self.is_wanted(list));
        let nearest = outdated
            .map(|list| {
                let others = list.vlans - own.get(&list.id).copied().unwrap_or(0);
                (others, list.cost(&wants.members, room), list.id)
            })
            .filter(|(others, ..)| !refused && (*others == 0 || for_all))
            .min();
        let Some((.., id)) = nearest else {
            self.classes[class].trouble = Some(Trouble::NoRoom);
            self.starved = true;
            return;
        };
        for vlan in (0u16..).take(self.assigned.len()) {
            if self.assigned[usize::from(vlan)].contains(&id) {
                self.unassign(vlan, id);
                // Others may have waited for this.
                self.swap(vlan);
            }
        }
        self.build(id, class);
    }

    /// It has the members of a class.
    fn is_wanted(&self, list: &List) -> bool {
        list.content.exact().is_some_and(|members| self.by_members.contains_key(members))
    }

    /// Spares beyond those that are kept are deleted.
    fn thin_out(&mut self) {
        let serving = self.lists.values().filter(|list| list.vlans > 0).count();
        let spares = self.lists.values().filter(|list| list.is_free()).count();
        let too_many = spares.saturating_sub(serving + 1);
        for list in self.lists.values_mut().rev().filter(|list| list.is_free()).take(too_many) {
            list.purpose = Purpose::Deleting;
            self.ready.insert(list.id);
        }
    }

    /// From now on this list is on its way to the members of the class.
    fn build(&mut self, id: ListId, class: usize) {
        let (Some(list), Some(class)) = (self.lists.get_mut(&id), self.classes.get_mut(class)) else {
            return;
        };
        list.purpose = Purpose::Building(class.members.clone());
        list.hint = class.vlans.iter().next().unwrap_or(0);
        class.building = Some(id);
        self.ready.insert(id);
    }

    /// Nobody wants what was being built.
    fn abandon(&mut self, id: ListId) {
        if let Some(list) = self.lists.get_mut(&id) {
            list.purpose = Purpose::Spare;
            self.unsettled = true;
        }
    }

    /// A list has the members of a class, for its VLANs as soon as they can be [swapped](Self::swap).
    fn complete(&mut self, id: ListId, class: usize) {
        let (Some(list), Some(class)) = (self.lists.get_mut(&id), self.classes.get_mut(class)) else {
            return;
        };
        list.purpose = Purpose::Waiting;
        list.hint = class.vlans.iter().next().unwrap_or(0);
        (class.list, class.trouble) = (Some(id), None);
        let other = class.building.take().filter(|other| *other != id);
        other.into_iter().for_each(|other| self.abandon(other));
        self.unsettled |= self.starved;
    }

    /// Gives a VLAN the lists of its classes, as far as they have theirs. A list that it has stays as long as it reaches
    /// a member of a class without one, and as long as it does, no list takes its place that has a member of it.
    fn swap(&mut self, vlan: u16) {
        let at = usize::from(vlan);
        let (wanted, has) = (&self.of_vlan[at], &self.assigned[at]);
        let list_of = |class: &usize| self.classes[*class].list;
        let given = |class: &usize| list_of(class).is_some_and(|id| has.contains(&id));
        if wanted.len() == has.len() && wanted.iter().all(given) {
            return;
        }
        let (mut moving, mut waiting): (Vec<usize>, Vec<usize>) =
            wanted.iter().copied().partition(|class| list_of(class).is_some());
        let is_wanted = |id: &ListId| wanted.iter().any(|class| list_of(class) == Some(*id));
        let mut outdated: Vec<ListId> = has.iter().copied().filter(|id| !is_wanted(id)).collect();
        let shares = |id: &ListId, class: &usize| {
            self.list(*id).is_some_and(|list| list.content.may_have_any(&self.classes[*class].members))
        };
        let mut staying: Vec<ListId> = Vec::new();
        loop {
            let before = (outdated.len(), moving.len());
            staying.extend(outdated.extract_if(.., |id| waiting.iter().any(|class| shares(id, class))));
            waiting.extend(moving.extract_if(.., |class| staying.iter().any(|id| shares(id, class))));
            if (outdated.len(), moving.len()) == before {
                break;
            }
        }
        let news: Vec<ListId> = moving.iter().filter(|class| !given(class)).filter_map(list_of).collect();
        outdated.into_iter().for_each(|id| self.unassign(vlan, id));
        news.into_iter().for_each(|id| self.assign(vlan, id));
    }

    /// A VLAN has this list from now on, too.
    fn assign(&mut self, vlan: u16, id: ListId) {
        let Some(list) = self.lists.get_mut(&id) else { return };
        (list.purpose, list.leaving) = (Purpose::Serving, None);
        list.vlans += 1;
        self.assigned[usize::from(vlan)].push(id);
        self.dirty = true;
    }

    /// A VLAN does not have this list any more. It leaves service if that was the last.
    fn unassign(&mut self, vlan: u16, id: ListId) {
        self.assigned[usize::from(vlan)].retain(|other| *other != id);
        self.dirty = true;
        let Some(list) = self.lists.get_mut(&id) else { return };
        list.vlans -= 1;
        if list.vlans == 0 {
            list.leave();
            let class = list.content.exact().and_then(|members| self.by_members.get(members));
            if class.is_some_and(|class| self.classes[*class].list == Some(id)) {
                list.purpose = Purpose::Waiting;
            }
        }
    }
}

impl Class {
    /// Nothing has its members, and nothing is being brought to them.
    fn wants_one(&self) -> bool {
        self.list.is_none() && self.building.is_none()
    }
}
