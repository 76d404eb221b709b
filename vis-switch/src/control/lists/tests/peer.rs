//! An adapter's lists, read off control.md.

use std::collections::{BTreeMap, BTreeSet};
use vntag::ctl::{Refusal, Request, Status};
use vntag::{ListId, VifId};

#[derive(Debug)]
pub(super) struct Peer {
    limit: usize,
    lists: BTreeMap<ListId, (u32, BTreeSet<VifId>)>,
    /// What everything is answered with.
    pub(super) refuse: Option<Refusal>,
}

impl Peer {
    pub(super) fn new(limit: u16) -> Self {
        Self { limit: usize::from(limit), lists: BTreeMap::new(), refuse: None }
    }

    pub(super) fn len(&self) -> usize {
        self.lists.len()
    }

    pub(super) fn members(&self, list: ListId) -> Option<Vec<VifId>> {
        self.lists.get(&list).map(|(_, members)| members.iter().copied().collect())
    }

    /// A list of before.
    pub(super) fn put(&mut self, list: ListId, generation: u32, members: impl IntoIterator<Item = VifId>) {
        self.lists.insert(list, (generation, members.into_iter().collect()));
    }

    /// A VIF is deleted (C2).
    pub(super) fn clear(&mut self, vif: VifId) {
        self.lists.values_mut().for_each(|(_, members)| {
            members.remove(&vif);
        });
    }

    pub(super) fn apply(&mut self, request: &Request) -> Result<(), Refusal> {
        request.check().map_err(|wrong| Refusal::with_cause(Status::INVALID, 0, &wrong.to_string()))?;
        if let Some(refusal) = &self.refuse {
            return Err(refusal.clone());
        }
        match request {
            Request::ListSet { list, generation, members } => {
                let known = self.lists.get(list);
                newer(known, *generation)?;
                if members.is_empty() {
                    self.lists.remove(list);
                } else if known.is_none() && self.lists.len() >= self.limit {
                    return Err(Refusal::of(Status::INSUFFICIENT_RESOURCES));
                } else {
                    self.lists.insert(*list, (*generation, members.iter().collect()));
                }
                Ok(())
            }
            Request::ListMod { list, generation, add, del } => {
                newer(self.lists.get(list), *generation)?;
                let known = self.lists.get_mut(list).ok_or(Refusal::of(Status::INVALID))?;
                known.0 = *generation;
                known.1.retain(|vif| !del.contains(*vif));
                known.1.extend(add.iter());
                Ok(())
            }
            other => panic!("no request about lists: {other:?}"),
        }
    }
}

fn newer(known: Option<&(u32, BTreeSet<VifId>)>, generation: u32) -> Result<(), Refusal> {
    let distance = known.map_or(1, |(current, _)| generation.wrapping_sub(*current));
    if (1..0x8000_0000).contains(&distance) { Ok(()) } else { Err(Refusal::of(Status::STALE)) }
}
