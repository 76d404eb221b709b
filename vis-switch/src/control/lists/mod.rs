//! The VIF lists of an NIV link: which there are at the adapter, and which of them each VLAN's floods use.
//!
//! What is wanted is sets of members, each a *class* with the VLANs that have just these on this link. A VLAN is in one class,
//! or, where there are access lists towards interfaces, in one for each egress class (see
//! [`flood`](crate::engine::flood)); then these have no member in common. Lists are interned by their members, so that VLANs
//! that come to have the same members come to have the same list, and a VLAN that all of its members leave for another one
//! costs nothing.
//!
//! # The life of a list
//!
//! ```text
//!            a class has no list of its members, and this one is nearest
//!  ┌───────┐ ──────────────────────────────────────────────► ┌──────────┐
//!  │ Spare │                                                 │ Building │ LIST_SET, LIST_MOD, one after the other
//!  └───────┘ ◄─── the class does not want it any more ────── └────┬─────┘
//!   │  ▲                                                          │ its members are acknowledged
//!   │  │                                                          ▼
//!   │  │                                                     ┌─────────┐
//!   │  │ that change is in effect                            │ Waiting │
//!   │  │                                                     └────┬────┘
//!   │  │                                                          │ so are those it swaps in with
//!   │  │                                                          ▼
//!   │  │                ┌─────────┐    no VLAN has it any more ┌─────────┐
//!   │  └────────────────┤ Leaving │ ◄───────────────────────── │ Serving │
//!   │                   └─────────┘                            └─────────┘
//!   └──► Deleting, where there are more spares than lists in service
//! ```
//!
//! So a change is hitless: a VLAN stays on the lists that it has until those with its new members are acknowledged
//! (C18), and a list that it left is not touched before no worker uses it. Where members of one list come to be in two, or
//! the other way round, all of these are swapped at once: nobody is left out meanwhile, and nobody gets two copies. One
//! change of a class is under way at a time; what is wanted meanwhile becomes the goal of the next PDU. A change of one member
//! among thousands is one LIST_MOD of a spare that was left one change before.
//!
//! A class that needs a list when the adapter has room for no other waits for a spare. Where none can ever come free, a
//! list that has the members of no class any more, its own if possible, is taken out of service, changed and put back:
//! floods are dropped (F8) for a round trip, which is better than a member that never gets any. So everybody is served in
//! the end where there are no more classes than the adapter has room for lists. What the adapter refuses is tried again with [`Lists::retry`], and until
//! then the class stays on what it has; [`Lists::classes`] says why.
//!
//! # Members that go by themselves
//!
//! An adapter takes a VIF that is deleted out of all its lists without being told (C2), before or after requests that were
//! on their way. So a VIF that nobody wanted for a while is not believed to be in any list when it is wanted again: it is
//! added explicitly, whatever the switch remembers. A VIF that may still be in a list which workers use is
//! [held](Lists::holds).
//!
//! # How to drive it
//!
//! 1. *In*: [`reset`](Lists::reset) when the peer comes or is lost, [`want`](Lists::want) when members change,
//!    [`response`](Lists::response) to what was asked, [`published`](Lists::published), and now and then
//!    [`retry`](Lists::retry).
//! 2. *Out*, after any of these: [`poll_request`](Lists::poll_request) until `None` (or as long as the session has
//!    room), and if [`is_dirty`](Lists::is_dirty), [`publish`](Lists::publish).
//!
//! There are never more lists than the peer announced, one request is on its way for each at the most, and spares are
//! kept as many as there are lists in service, and one.

mod assign;
mod list;
mod view;

#[cfg(test)]
mod tests;

use crate::control::Change;
use crate::engine::vlan::{VLAN_MAX, VlanSet};
use list::{Leaving, List, Why};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use vntag::ctl::session::Failure;
use vntag::ctl::{Limits, Request, Status};
use vntag::{ListId, VifId};

pub use crate::engine::flood::{FloodList, FloodLists};
pub use view::{ClassState, ClassView, ListState, ListView};

/// A request of [`Lists::poll_request`], until its response.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListOp {
    list: ListId,
    number: u64,
}

/// Members, and the VLANs of which they are an egress class.
#[derive(Clone, Debug)]
struct Class {
    vlans: VlanSet,
    members: Arc<[VifId]>,
    /// The list that has these members: it serves, or waits.
    list: Option<ListId>,
    /// The list that is being brought to them, where there is none.
    building: Option<ListId>,
    /// Why it has no list of its members, where nothing is being done about it.
    trouble: Option<Trouble>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Trouble {
    /// The peer has room for no other list.
    NoRoom,
    /// The peer refused, in these words.
    Refused(String),
}

/// The lists of one link. See the [module](self).
#[derive(Debug)]
pub struct Lists {
    peer: Option<Limits>,
    classes: Vec<Class>,
    /// Classes by their members.
    by_members: HashMap<Arc<[VifId]>, usize>,
    /// By VIF id: in any class.
    wanted: Vec<bool>,
    lists: BTreeMap<ListId, List>,
    /// The classes of each VLAN, by id: places in `classes`.
    of_vlan: Vec<Vec<usize>>,
    /// The lists of each VLAN, by id. They have no member in common.
    assigned: Vec<Vec<ListId>>,
    /// The last generation of lists that are deleted; the adapter may remember.
    generations: BTreeMap<ListId, u32>,
    /// Lists that may have a request to make.
    ready: BTreeSet<ListId>,
    next_op: u64,
    dirty: bool,
    /// Whether classes may have to be given lists.
    unsettled: bool,
    /// Whether a class got none for want of room.
    starved: bool,
}

impl Default for Lists {
    fn default() -> Self {
        Self::new()
    }
}

impl Lists {
    /// The lists of a link without a peer: none.
    #[must_use]
    pub fn new() -> Self {
        Self {
            peer: None,
            classes: Vec::new(),
            by_members: HashMap::new(),
            wanted: vec![false; usize::from(VifId::MAX) + 1],
            lists: BTreeMap::new(),
            of_vlan: vec![Vec::new(); usize::from(VLAN_MAX) + 1],
            assigned: vec![Vec::new(); usize::from(VLAN_MAX) + 1],
            generations: BTreeMap::new(),
            ready: BTreeSet::new(),
            next_op: 0,
            dirty: false,
            unsettled: false,
            starved: false,
        }
    }

    /// A peer came (`Some`, with what it has room for) or was lost (`None`). Either way nothing is known any more of the
    /// lists at the adapter, and no VLAN has one until it is acknowledged anew. Responses to earlier requests mean
    /// nothing from now on.
    pub fn reset(&mut self, peer: Option<Limits>) {
        self.peer = peer;
        for list in self.lists.values_mut() {
            if list.vlans > 0 {
                list.leave();
                self.dirty = true;
            }
            list.forget();
        }
        self.assigned.iter_mut().for_each(Vec::clear);
        for class in &mut self.classes {
            (class.list, class.building, class.trouble) = (None, None, None);
        }
        self.ready.clear();
        self.unsettled = true;
    }

    /// Which members the VLANs have: VLANs with the same members together, members rising and never none. A VLAN that is there
    /// more than once has no member twice.
    pub fn want(&mut self, classes: &[(VlanSet, Arc<[VifId]>)]) {
        let same = |(class, (vlans, members)): (&Class, &(VlanSet, Arc<[VifId]>))| {
            class.vlans == *vlans && class.members == *members
        };
        if self.classes.len() == classes.len() && self.classes.iter().zip(classes).all(same) {
            return;
        }
        let mut wanted = vec![false; self.wanted.len()];
        for vif in classes.iter().flat_map(|(_, members)| members.iter()) {
            wanted[usize::from(vif.get())] = true;
        }
        let before = core::mem::replace(&mut self.wanted, wanted);
        let back = |vif: VifId| {
            let at = usize::from(vif.get());
            self.wanted.get(at) == Some(&true) && before.get(at) == Some(&false)
        };
        for list in self.lists.values_mut() {
            self.dirty |= list.doubt(back);
        }
        self.replace_classes(classes);
        self.unsettled = true;
    }

    /// The next request for the peer. Each is to come back as a [`response`](Self::response), in any order, or as
    /// [`unsent`](Self::unsent).
    pub fn poll_request(&mut self) -> Option<(ListOp, Request)> {
        let room = list::room(self.peer.as_ref()?);
        self.settle();
        while let Some(id) = self.ready.pop_first() {
            let number = self.next_op;
            if let Some(request) = self.lists.get_mut(&id).and_then(|list| list.step(number, room)) {
                self.next_op += 1;
                return Some((ListOp { list: id, number }, request));
            }
        }
        None
    }

    /// A request was not even sent. It comes again.
    pub fn unsent(&mut self, op: ListOp) {
        if self.lists.get_mut(&op.list).is_some_and(|list| list.unsent(op.number)) {
            self.ready.insert(op.list);
        }
    }

    /// What became of a request. A lost peer is a [reset](Self::reset).
    pub fn response(&mut self, op: ListOp, result: Result<(), Failure>) {
        let Some(list) = self.lists.get_mut(&op.list) else { return };
        match result {
            Ok(()) => match list.acknowledged(op.number) {
                None => {}
                Some(true) => self.advance(op.list),
                Some(false) => self.remove(op.list),
            },
            Err(Failure::PeerLost) => {
                if list.failed(op.number, Why::Refused) {
                    self.reset(None);
                }
            }
            Err(failure) => {
                let stale = matches!(&failure, Failure::Refused(refusal) if refusal.status == Status::STALE);
                if list.failed(op.number, if stale { Why::Stale } else { Why::Refused }) {
                    self.setback(op.list, &failure);
                }
            }
        }
    }

    /// Whether VLANs have other lists than at the last [`publish`](Self::publish).
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The lists as they are to be used from `change` on.
    pub fn publish(&mut self, change: Change) -> FloodLists {
        self.dirty = false;
        let mut floods: BTreeMap<ListId, FloodList> = BTreeMap::new();
        let each = (0u16..).zip(&self.assigned).flat_map(|(vlan, ids)| ids.iter().map(move |id| (vlan, id)));
        for (vlan, id) in each {
            let Some(list) = self.lists.get(id) else { continue };
            let flood = floods.entry(list.id).or_insert_with(|| FloodList {
                vlans: VlanSet::EMPTY,
                list: list.id,
                members: list.content.sure(),
            });
            flood.vlans.insert(vlan);
        }
        for list in self.lists.values_mut() {
            if list.leaving == Some(Leaving::Unpublished) {
                list.leaving = Some(Leaving::Until(change));
            }
        }
        FloodLists(floods.into_values().collect())
    }

    /// `change` and all before it are in effect in every worker.
    pub fn published(&mut self, change: Change) {
        for list in self.lists.values_mut() {
            if list.leaving.is_some_and(|leaving| matches!(leaving, Leaving::Until(until) if until <= change))
            {
                list.leaving = None;
                self.ready.insert(list.id);
                self.unsettled = true;
            }
        }
    }

    /// Tries again what was refused or had no room. Calling it costs nothing where nothing was.
    pub fn retry(&mut self) {
        for list in self.lists.values_mut().filter(|list| list.refused) {
            list.refused = false;
            self.unsettled = true;
        }
        for class in &mut self.classes {
            self.unsettled |= class.trouble.take().is_some();
        }
    }

    /// Whether frames may still go to a list that has, or may have, this VIF. As long as that is so, the id must not be
    /// given to another vEth (C19).
    #[must_use]
    pub fn holds(&self, vif: VifId) -> bool {
        self.lists.values().any(|list| list.is_used() && list.content.may_have(vif))
    }

    fn list(&self, id: ListId) -> Option<&List> {
        self.lists.get(&id)
    }

    /// A list is gone at the adapter.
    fn remove(&mut self, id: ListId) {
        if let Some(list) = self.lists.remove(&id) {
            self.generations.insert(id, list.generation);
            self.unsettled = true;
        }
    }
}
