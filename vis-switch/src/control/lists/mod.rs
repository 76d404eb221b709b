//! The VIF lists of an NIV link: which there are at the adapter, and which of them each VLAN's floods use.
//!
//! What is wanted is a set of members for each *VLAN class*: the VLANs whose members on this link are the same. Lists are
//! interned by their members, so that VLANs that come to have the same members come to have the same list, and a VLAN
//! that all of its members leave for another one costs nothing.
//!
//! # How to drive it
//!
//! 1. *In*: [`reset`](Lists::reset) when the peer comes or is lost, [`want`](Lists::want) when members change,
//!    [`response`](Lists::response) to what was asked, [`published`](Lists::published), and now and then
//!    [`retry`](Lists::retry).
//! 2. *Out*, after any of these: [`poll_request`](Lists::poll_request) until `None` (or as long as the session has
//!    room), and if [`is_dirty`](Lists::is_dirty), [`publish`](Lists::publish).

use crate::control::Change;
use std::sync::Arc;
use vntag::VifId;
use vntag::ctl::session::Failure;
use vntag::ctl::{Limits, Request};

pub use crate::engine::flood::{FloodList, FloodLists};
use crate::engine::vlan::VlanSet;

/// A request of [`Lists::poll_request`], until its response.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListOp(u64);

/// The lists of one link. See the [module](self).
#[derive(Debug, Default)]
pub struct Lists {
    peer: Option<Limits>,
}

impl Lists {
    /// The lists of a link without a peer: none.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A peer came (`Some`, with what it has room for) or was lost (`None`). Either way nothing is known any more of the
    /// lists at the adapter, and no VLAN has one until it is acknowledged anew. Responses to earlier requests mean
    /// nothing from now on.
    pub fn reset(&mut self, peer: Option<Limits>) {
        self.peer = peer;
    }

    /// Which members the VLANs have: VLANs with the same members together, no VLAN twice, members rising and never none.
    pub fn want(&mut self, classes: &[(VlanSet, Arc<[VifId]>)]) {
        let _ = classes;
    }

    /// The next request for the peer. Each is to come back as a [`response`](Self::response), in any order.
    pub fn poll_request(&mut self) -> Option<(ListOp, Request)> {
        None
    }

    /// What became of a request.
    pub fn response(&mut self, op: ListOp, result: Result<(), Failure>) {
        let _ = (op, result);
    }

    /// Whether VLANs have other lists than at the last [`publish`](Self::publish).
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        false
    }

    /// The lists as they are to be used from `change` on.
    pub fn publish(&mut self, change: Change) -> FloodLists {
        let _ = change;
        FloodLists::default()
    }

    /// `change` and all before it are in effect in every worker.
    pub fn published(&mut self, change: Change) {
        let _ = change;
    }

    /// Tries again what was refused or had no room. Calling it costs nothing where nothing was.
    pub fn retry(&mut self) {}

    /// Whether frames may still go to a list that has, or may have, this VIF. As long as that is so, the id must not be
    /// given to another vEth (C19).
    #[must_use]
    pub fn holds(&self, vif: VifId) -> bool {
        let _ = vif;
        false
    }
}
