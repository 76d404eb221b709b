//! Floods, compiled: for each VLAN the copies that a flooded frame becomes, one for each port with members.
//!
//! VLANs with the same copies share one flood. On an NIV link the copy is one frame for a VIF list. Four sets of
//! interfaces decide what becomes of it; all of them are behind that link, and *located*: those that are not (standby,
//! disabled, in quarantine) are no interfaces to the data path, whoever has them in a list.
//!
//! ```text
//!   list ┌──────────────┐
//!        │ strangers    │  in the list, not in the VLAN      they get the frame, and are counted
//!        │   ┌──────────┼───┐
//!        │   │ reached  │   │  in both                       they get the frame, and are counted
//!        └───┼──────────┘   │
//!            │  outsiders   │  in the VLAN, not in the list  they get nothing
//!            └──────────────┘ VLAN
//! ```
//!
//! - On a link without negotiation a list serves a flood if its members are exactly those of the VLAN, the originator
//!   included (the adapter leaves the originator out by the looped bit, so that one list serves whoever floods). Without
//!   such a list nobody is reached: all members are outsiders.
//! - On a link with a control session each VLAN has the list that control [assigned](FloodLists) to it, as it is. While a
//!   change is under way that is the list of before: it lacks a vEth that was just enabled, and it may have one that was
//!   just disabled or that left the VLAN.
//!
//! A copy is for those that are reached, but not for its originator. So it is sent if somebody else is reached; if not, it
//! is dropped by name where it was meant for outsiders (F8), and where it was meant for nobody there is no copy at all
//! (F5). Who is *counted* is a matter of the list: strangers, too, and an originator only if it is in the list, since
//! only then does the looped bit keep the frame from it.

mod compile;

pub(super) use compile::Sources;

use super::counters::CopyCounters;
use super::lif::LifId;
use super::vlan::{Program, VlanSet};
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
#[derive(Clone, Debug)]
pub struct FloodCopy {
    /// Index of the port it leaves by.
    pub port: u16,
    /// In which form.
    pub form: CopyForm,
    /// What was sent of it. Shared by all copies that the same interfaces of this port get.
    pub counters: Arc<CopyCounters>,
}

/// The form of a copy.
#[derive(Clone, Debug)]
pub enum CopyForm {
    /// An ordinary port, which is one interface with this program.
    Wire(Arc<Program>),
    /// An NIV link.
    Link(LinkCopy),
}

/// A copy down an NIV link.
#[derive(Clone, Debug, Default)]
pub struct LinkCopy {
    /// The list; `None`: nobody is reached, and the copy is dropped (F8).
    pub list: Option<ListId>,
    /// The only interface that is reached, or without a list the only one that should be. There is no copy of its own
    /// frames, unless they were meant for outsiders too.
    pub sole: Option<LifId>,
    /// Members of the VLAN that the list does not have.
    pub outsiders: Arc<[LifId]>,
    /// Members of the list that are not of the VLAN.
    pub strangers: Arc<[LifId]>,
}

impl LinkCopy {
    /// Whether the adapter keeps a looped copy of this originator's frames from it: only members of the list are kept
    /// from anything. `member` says whether it is one of the VLAN, as all are but isolated hosts of a private one.
    #[inline]
    pub(super) fn prunes(&self, originator: LifId, member: bool) -> bool {
        if member { !self.outsiders.contains(&originator) } else { self.strangers.contains(&originator) }
    }
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
}

/// The counters of copies by port and by the interfaces that get them, so that they survive a change of the tables.
#[derive(Debug, Default)]
pub struct CopyIndex(Vec<HashMap<Arc<[LifId]>, Arc<CopyCounters>>>);

impl CopyIndex {
    /// Every set of counters.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<CopyCounters>> {
        self.0.iter().flat_map(HashMap::values)
    }
}
