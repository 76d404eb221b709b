//! What the control plane wants to be done.

use super::Change;
use super::event::Event;
use super::record::{StoreOp, StoreTicket};
use vntag::VifId;
use vntag::ethernet::Mac;

/// Something to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// The [`Forwarding`](super::Forwarding) is another one. When it, or a later one, is in effect in every worker, say
    /// so with [`Control::published`](super::Control::published).
    Publish(Change),
    /// To disk, in this order; then [`Control::stored`](super::Control::stored). Groups are stored in the order of
    /// their tickets.
    Store(StoreTicket, Vec<StoreOp>),
    /// A guest to be announced in its VLAN, because it has moved; before any frame that was asked for with it.
    Announce {
        /// Index of its port.
        port: usize,
        /// Its VIF there, which is active.
        vif: VifId,
        /// Its address.
        mac: Mac,
    },
    /// For the log.
    Event(Event),
}
