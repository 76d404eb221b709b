//! What the data path has to do: the whole truth, not a difference.

use super::lists::FloodLists;
use crate::engine::vlan::Program;
use std::collections::BTreeMap;
use std::sync::Arc;
use vntag::{ListId, VifId};

/// The whole of it. [`Slots`](crate::config::slots::Slots) makes the engine's plan of it.
#[derive(Clone, Debug, Default)]
pub struct Forwarding {
    /// By port index.
    pub ports: Vec<PortForwarding>,
    /// The vEths there are, by number.
    pub veths: BTreeMap<u32, VethForwarding>,
}

/// How a port is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortForwarding {
    /// An ordinary port; its VLANs are those of the running configuration.
    Wire,
    /// An ordinary port that its configuration keeps down.
    Closed,
    /// An NIV link without negotiation.
    Static {
        /// The lists that the adapter knows as configured there, and the VIFs in each.
        lists: Vec<(ListId, Vec<u16>)>,
    },
    /// An NIV link with a control session.
    Niv {
        /// The lists that floods use.
        floods: FloodLists,
    },
}

/// A vEth.
#[derive(Clone, Debug)]
pub struct VethForwarding {
    /// Index of the port and VIF, while that VIF is active.
    pub at: Option<(usize, VifId)>,
    /// What it does to frames.
    pub program: Arc<Program>,
    /// Stepped whenever what was learned on it becomes void.
    pub flush: u32,
}
