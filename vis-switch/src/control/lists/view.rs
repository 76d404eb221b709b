//! Lists and classes, as people see them.

use super::list::{Content, Purpose};
use super::{Lists, Trouble};
use crate::engine::vlan::VlanSet;
use std::collections::BTreeSet;
use vntag::{ListId, VifId};

/// VLANs with the same members on the link, or the same of one egress class.
#[derive(Clone, Debug)]
pub struct ClassView<'a> {
    /// The VLANs.
    pub vlans: &'a VlanSet,
    /// Their members.
    pub members: &'a [VifId],
    /// The lists that floods to them use now; none: those are dropped (F8).
    pub lists: Vec<ListId>,
    /// Whether those are the right ones.
    pub state: ClassState<'a>,
}

/// How a class stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClassState<'a> {
    /// It has a list of its members.
    Served,
    /// A list is on its way to its members, or will be as soon as one is free; or it has them, and waits for those that others
    /// of its VLANs change to.
    Changing,
    /// There is no peer.
    NoPeer,
    /// The peer has room for no other list.
    NoRoom,
    /// The peer refused a list, in these words. Tried again later.
    Refused(&'a str),
}

/// A list at the adapter.
#[derive(Clone, Copy, Debug)]
pub struct ListView<'a> {
    /// Its id.
    pub id: ListId,
    /// Of the last request about it.
    pub generation: u32,
    /// Its members, as far as they are known.
    pub members: Option<&'a [VifId]>,
    /// What it is for.
    pub state: ListState,
}

/// What a list is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListState {
    /// Floods of some VLANs.
    Serving,
    /// Nothing any more, but workers may still use it.
    Leaving,
    /// Some class, soon.
    Building,
    /// A class, as soon as the other lists are ready that its VLANs change to.
    Waiting,
    /// Nothing.
    Spare,
    /// It is being deleted.
    Deleting,
}

impl Lists {
    /// The classes, by their first VLAN as they were wanted.
    pub fn classes(&self) -> impl Iterator<Item = ClassView<'_>> {
        self.classes.iter().map(|class| {
            let of_vlans = class.vlans.iter().flat_map(|vlan| &self.assigned[usize::from(vlan)]);
            let of_vlans: BTreeSet<ListId> = of_vlans.copied().collect();
            let has_some =
                |id: &ListId| self.list(*id).is_some_and(|list| list.content.may_have_any(&class.members));
            let lists = of_vlans.into_iter().filter(has_some).collect();
            let state = match &class.trouble {
                _ if self.peer.is_none() => ClassState::NoPeer,
                Some(Trouble::NoRoom) => ClassState::NoRoom,
                Some(Trouble::Refused(why)) => ClassState::Refused(why),
                None if self.is_served(class) => ClassState::Served,
                None => ClassState::Changing,
            };
            ClassView { vlans: &class.vlans, members: &class.members, lists, state }
        })
    }

    /// The lists, by id.
    pub fn lists(&self) -> impl Iterator<Item = ListView<'_>> {
        self.lists.values().map(|list| ListView {
            id: list.id,
            generation: list.generation,
            members: match &list.content {
                Content::Unknown => None,
                Content::Known { members, .. } => Some(members),
            },
            state: match list.purpose {
                _ if list.leaving.is_some() => ListState::Leaving,
                Purpose::Serving => ListState::Serving,
                Purpose::Waiting => ListState::Waiting,
                Purpose::Building(_) => ListState::Building,
                Purpose::Spare => ListState::Spare,
                Purpose::Deleting => ListState::Deleting,
            },
        })
    }
}
