//! One list: what the switch knows of it, and the next step towards what it is to be.

use crate::control::Change;
use core::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;
use vntag::ctl::{Limits, MAX_VIFS, Request, Vifs};
use vntag::{ListId, VifId};

/// Octets of a LIST_MOD beside the VIFs in it: header, LIST, GENERATION, heads of ADD and DEL. LIST_SET has fewer.
const OVERHEAD: usize = 16 + 6 + 8 + 4 + 4;

/// VIFs that fit into one PDU for this peer.
pub(super) fn room(peer: &Limits) -> usize {
    (usize::from(peer.max_pdu).saturating_sub(OVERHEAD) / 2).clamp(1, MAX_VIFS)
}

/// Members of a list at the adapter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// Anything; perhaps there is no such list.
    Unknown,
    /// These.
    Known {
        /// Rising.
        members: Arc<[VifId]>,
        /// Members that may have been taken out by the adapter meanwhile (C2).
        doubt: BTreeSet<VifId>,
    },
}

impl Content {
    /// These members beyond doubt.
    pub(super) fn is(&self, members: &[VifId]) -> bool {
        matches!(self, Self::Known { members: known, doubt } if doubt.is_empty() && **known == *members)
    }

    /// These, if that is sure.
    pub(super) fn exact(&self) -> Option<&Arc<[VifId]>> {
        match self {
            Self::Known { members, doubt } if doubt.is_empty() => Some(members),
            Self::Unknown | Self::Known { .. } => None,
        }
    }

    /// It has, or may have, one of these, which are rising.
    pub(super) fn may_have_any(&self, vifs: &[VifId]) -> bool {
        let Self::Known { members, .. } = self else { return true };
        let (few, many) =
            if members.len() < vifs.len() { (&members[..], vifs) } else { (vifs, &members[..]) };
        few.iter().any(|vif| many.binary_search(vif).is_ok())
    }

    /// It has, or may have, this member.
    pub(super) fn may_have(&self, vif: VifId) -> bool {
        match self {
            Self::Unknown => true,
            Self::Known { members, .. } => members.binary_search(&vif).is_ok(),
        }
    }

    /// Its members that are beyond doubt.
    pub(super) fn sure(&self) -> Arc<[VifId]> {
        match self {
            Self::Unknown => Arc::default(),
            Self::Known { members, doubt } if doubt.is_empty() => members.clone(),
            Self::Known { members, doubt } => {
                members.iter().copied().filter(|vif| !doubt.contains(vif)).collect()
            }
        }
    }

    /// These members may be there or not from now on. Says whether there is one.
    fn doubt(&mut self, which: impl Fn(VifId) -> bool) -> bool {
        let Self::Known { members, doubt } = self else { return false };
        let before = doubt.len();
        doubt.extend(members.iter().copied().filter(|vif| which(*vif)));
        doubt.len() > before
    }

    /// What comes and what goes on the way to `goal`; `None` where only all of it can be said.
    fn difference(&self, goal: &[VifId]) -> Option<(Vec<VifId>, Vec<VifId>)> {
        let Self::Known { members, doubt } = self else { return None };
        let (mut add, mut del) = (Vec::new(), Vec::new());
        let (mut here, mut there) = (members.iter().copied().peekable(), goal.iter().copied().peekable());
        loop {
            let order = match (here.peek(), there.peek()) {
                (None, None) => return Some((add, del)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.cmp(new),
            };
            match order {
                Ordering::Less => del.extend(here.next()),
                Ordering::Greater => add.extend(there.next()),
                Ordering::Equal => {
                    here.next();
                    add.extend(there.next().filter(|both| doubt.contains(both)));
                }
            }
        }
    }
}

/// What a list is for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// Nothing: a spare.
    Spare,
    /// To become this set.
    Building(Arc<[VifId]>),
    /// Floods of some VLANs, as soon as the other lists are ready that they change to.
    Waiting,
    /// Floods of some VLANs.
    Serving,
    /// To be deleted.
    Deleting,
}

/// Until when workers may use a list that no VLAN has any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leaving {
    /// Until a change is in effect that is still to be published.
    Unpublished,
    /// Until this one is.
    Until(Change),
}

/// A request on its way.
#[derive(Debug)]
struct Flight {
    op: u64,
    /// What the list is once it is acknowledged; `None`: deleted.
    then: Option<Content>,
}

/// A list. No request changes it while it [serves](Purpose::Serving) or [is left](Self::leaving).
#[derive(Debug)]
pub(super) struct List {
    pub(super) id: ListId,
    pub(super) generation: u32,
    pub(super) content: Content,
    pub(super) purpose: Purpose,
    /// A VLAN that it last served or is being built for: a hint for whom it suits as a spare.
    pub(super) hint: u16,
    /// How many VLANs have it.
    pub(super) vlans: u16,
    pub(super) leaving: Option<Leaving>,
    /// The peer refused a request about it; it is left alone until things are tried again.
    pub(super) refused: bool,
    /// Refusals in a row because of its generation.
    stale: u8,
    flight: Option<Flight>,
}

impl List {
    pub(super) fn new(id: ListId, generation: u32) -> Self {
        Self {
            id,
            generation,
            content: Content::Unknown,
            purpose: Purpose::Spare,
            hint: 0,
            vlans: 0,
            leaving: None,
            refused: false,
            stale: 0,
            flight: None,
        }
    }

    /// A request is on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.flight.is_some()
    }

    /// A spare that can be changed at once.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.purpose, Purpose::Spare) && self.leaving.is_none() && !self.is_busy() && !self.refused
    }

    /// Frames may go to it.
    pub(super) fn is_used(&self) -> bool {
        self.vlans > 0 || self.leaving.is_some()
    }

    /// No VLAN has it any more; workers may, for a while.
    pub(super) fn leave(&mut self) {
        (self.purpose, self.vlans, self.leaving) = (Purpose::Spare, 0, Some(Leaving::Unpublished));
    }

    /// Nothing is known of it any more, and nobody waits for a response.
    pub(super) fn forget(&mut self) {
        (self.content, self.flight, self.purpose) = (Content::Unknown, None, Purpose::Spare);
        (self.refused, self.stale) = (false, 0);
    }

    /// The adapter may have taken these VIFs out by itself. Says whether that matters to floods.
    pub(super) fn doubt(&mut self, which: impl Fn(VifId) -> bool) -> bool {
        if let Some(Flight { then: Some(then), .. }) = &mut self.flight {
            then.doubt(&which);
        }
        self.content.doubt(which) && self.vlans > 0
    }

    /// PDUs from here to `goal`.
    pub(super) fn cost(&self, goal: &[VifId], room: usize) -> usize {
        let whole = goal.len().div_ceil(room);
        let steps = self.content.difference(goal).map(|(add, del)| (add.len() + del.len()).div_ceil(room));
        steps.map_or(whole, |steps| steps.min(whole))
    }

    /// The next request, if its purpose wants one and nothing stands against it.
    pub(super) fn step(&mut self, op: u64, room: usize) -> Option<Request> {
        if self.is_busy() || self.leaving.is_some() {
            return None;
        }
        let generation = self.generation.wrapping_add(1);
        let (request, then) = match &self.purpose {
            Purpose::Spare | Purpose::Waiting | Purpose::Serving => return None,
            Purpose::Deleting => {
                (Request::ListSet { list: self.id, generation, members: Vifs::default() }, None)
            }
            Purpose::Building(goal) if self.content.is(goal) => return None,
            Purpose::Building(goal) => {
                let (request, then) = self.towards(goal, generation, room)?;
                (request, Some(then))
            }
        };
        self.generation = generation;
        self.flight = Some(Flight { op, then });
        Some(request)
    }

    /// One PDU on the way to `goal`, and the content after it.
    fn towards(&self, goal: &Arc<[VifId]>, generation: u32, room: usize) -> Option<(Request, Content)> {
        let list = self.id;
        let difference = self
            .content
            .difference(goal)
            .filter(|(add, del)| (add.len() + del.len()).div_ceil(room) <= goal.len().div_ceil(room));
        let (Content::Known { members, doubt }, Some((mut add, mut del))) = (&self.content, difference)
        else {
            let first = goal.get(..room.min(goal.len()))?;
            let members = if first.len() == goal.len() { goal.clone() } else { first.into() };
            let then = Content::Known { members, doubt: BTreeSet::new() };
            let members = Vifs::new(first.iter().copied())?;
            return Some((Request::ListSet { list, generation, members }, then));
        };
        let whole = add.len() + del.len() <= room;
        del.truncate(room);
        add.truncate(room - del.len());
        let mut doubt = doubt.clone();
        add.iter().chain(&del).for_each(|vif| {
            doubt.remove(vif);
        });
        let members = if whole {
            goal.clone()
        } else {
            let stays = |vif: &VifId| del.binary_search(vif).is_err() && add.binary_search(vif).is_err();
            let mut members: Vec<VifId> = members.iter().copied().filter(stays).collect();
            members.extend(&add);
            members.sort_unstable();
            members.into()
        };
        let (add, del) = (Vifs::new(add)?, Vifs::new(del)?);
        Some((Request::ListMod { list, generation, add, del }, Content::Known { members, doubt }))
    }

    /// A request was not sent. Says whether there was one.
    pub(super) fn unsent(&mut self, op: u64) -> bool {
        self.flight.take_if(|flight| flight.op == op).is_some()
    }

    /// A request was done. `None`: nobody waits for it. Else whether there still is a list.
    pub(super) fn acknowledged(&mut self, op: u64) -> Option<bool> {
        let flight = self.flight.take_if(|flight| flight.op == op)?;
        self.stale = 0;
        if let Some(then) = flight.then {
            self.content = then;
            return Some(true);
        }
        Some(false)
    }

    /// A request was not done, or who knows. Says whether anybody waits for it.
    pub(super) fn failed(&mut self, op: u64, why: Why) -> bool {
        let waits = self.flight.take_if(|flight| flight.op == op).is_some();
        if waits {
            self.content = Content::Unknown;
            // A few jumps of a quarter of all generations reach a newer one wherever the adapter stands.
            self.stale += u8::from(why == Why::Stale);
            self.refused = why == Why::Refused || self.stale > MOST_STALE;
            if why == Why::Stale {
                self.generation = self.generation.wrapping_add(1 << 30);
            }
        }
        waits
    }
}

/// Why a request was not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    /// The adapter has a later generation.
    Stale,
    /// Anything else.
    Refused,
}

/// Refusals of a generation in a row that are answered with another one.
const MOST_STALE: u8 = 3;
