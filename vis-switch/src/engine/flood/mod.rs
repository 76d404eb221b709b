//! Floods, compiled: for each VLAN the copies that a flooded frame becomes. An ordinary port gets one, an NIV link one for each
//! VIF list that the VLAN has there.
//!
//! VLANs with the same copies share one flood. Four sets of interfaces decide what becomes of a copy for a list; all of them
//! are behind its link, and *located*: those that are not (standby, disabled, in quarantine) are no interfaces to the data
//! path, whoever has them in a list.
//!
//! ```text
//!   list ┌──────────────┐
//!        │ strangers    │     in the list, not in the VLAN    they get the frame, and are counted
//!        │   ┌──────────┼───────────┐
//!        │   │ reached  │           │  in both               they get the frame, and are counted
//!        └───┼──────────┘           │
//!            │ in another │ missing │  in no list of the VLAN                 they get nothing
//!            └──────────────────────┘ VLAN
//! ```
//!
//! # Lists of a VLAN
//!
//! A copy is one frame, so it is judged once for all that get it: it is sent if the access lists towards all of
//! them let it pass. Interfaces whose lists may decide differently are of different *egress classes*, and get different
//! copies; no interface is in two lists of a VLAN, so nobody gets two.
//!
//! - On a link without negotiation a list serves an egress class if its members are exactly those of the class in the
//!   VLAN, the originator included (the adapter leaves the originator out by the looped bit, so that one list serves whoever
//!   floods). Without such a list nobody of the class is reached.
//! - On a link with a control session each VLAN has the lists that control [assigned](FloodLists) to it, as they are. While a
//!   change is under way those are the lists of before: they lack a vEth that was just enabled, and may have one that was
//!   just disabled or that left the VLAN. Where one has interfaces of two egress classes, what the access list of
//!   either denies goes to none of them: rather that for a moment than one frame too many.
//!
//! A copy is for those that are reached, but not for its originator. So it is sent if somebody else is reached. Missing
//! interfaces are a drop (F8), one for each egress class, where nobody else of their class is reached. What was meant for
//! nobody has no copy at all (F5). Who is *counted* is a matter of the list: strangers, too, and an originator only if it is
//! in the list, since only then does the looped bit keep the frame from it.

mod compile;

pub(super) use compile::Sources;

use super::acl::SharedAcl;
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

/// A list that the floods of some VLANs use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloodList {
    /// The VLANs. Two lists of one VLAN have no member in common.
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
    /// An NIV link, by a list.
    Link(LinkCopy),
    /// An NIV link, where no list has these: a drop (F8).
    Missing(Missing),
}

/// A copy down an NIV link.
#[derive(Clone, Debug)]
pub struct LinkCopy {
    /// The list.
    pub list: ListId,
    /// The only interface that is reached. There is no copy of its own frames.
    pub sole: Option<LifId>,
    /// All interfaces of the VLAN are in the list.
    pub whole: bool,
    /// The interfaces in the list, rising.
    pub members: Arc<[LifId]>,
    /// The access lists towards them, each once.
    pub filters: Arc<[SharedAcl]>,
}

impl LinkCopy {
    /// Whether the adapter keeps a looped copy of this originator's frames from it: only members of the list are kept
    /// from anything. `member` says whether it is one of the VLAN, as all are but isolated hosts of a private one.
    #[inline]
    pub(super) fn prunes(&self, originator: LifId, member: bool) -> bool {
        member && self.whole || self.members.binary_search(&originator).is_ok()
    }
}

/// Members of a VLAN that none of its lists has, of an egress class of which one at the most is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// The one that is reached. Only its own frames reach nobody.
    pub reached: Option<LifId>,
    /// The only one that is missing. Its own frames were meant for nobody.
    pub sole: Option<LifId>,
}

impl Missing {
    /// Whether a frame from this originator was meant for some of the class and reaches none.
    #[inline]
    pub(super) fn counts(&self, originator: LifId) -> bool {
        match self.reached {
            Some(reached) => reached == originator,
            None => self.sole != Some(originator),
        }
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
