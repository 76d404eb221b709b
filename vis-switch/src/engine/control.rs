//! What passes between a worker and control: control frames of NIV links up, orders down. Both ways are bounded
//! mailboxes, so neither side ever waits for the other.
//!
//! A frame that is punted leaves the data path as a copy. A peer may send as many as it likes: each port has a lane
//! of its own in the mailbox, what finds that full is dropped as `punt_full`, and a worker spends no more on such a
//! frame than on any other one. Nothing that a guest sends is ever punted: its frames carry a tag.

use super::verdict::DropReason;
use link::OutFrame;
use niv_node::mailbox::Sender;
use vntag::ethernet::Mac;
use vntag::{Untagged, VifId, untagged};

/// Slots of a transmit queue that frames of the data path leave free where control uses the port, so that a link
/// that is full of traffic does not lose its peer.
pub const SLOTS: usize = 32;

/// A control frame from an NIV link: LLDP or VIF control, untagged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Punted {
    /// Index of the port it came in by.
    pub port: usize,
    /// All its octets, at most [`MAX_CONTROL`](untagged::MAX_CONTROL).
    pub frame: Box<[u8]>,
}

/// What control has a worker do, between two turns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// Sends frames as they are, in order, before anything else. What does not fit is dropped by name.
    Send {
        /// Index of the port they leave by.
        port: usize,
        /// The frames.
        frames: Vec<Vec<u8>>,
    },
    /// Announces a guest that has moved: a frame in its name goes to everybody in its VLAN, and its address is learned. The
    /// frame counts as one that control sent; where the VIF is not known (any more), it is dropped by name.
    Announce {
        /// Index of the port of its link.
        port: u16,
        /// Its VIF there.
        vif: VifId,
        /// Its address.
        mac: Mac,
    },
    /// Nothing. Once it is applied, as once any other order is, the tables that were published before it was posted
    /// are in effect.
    Quiesce,
}

/// Copies a frame for control, if it is one that control wants.
///
/// # Errors
/// Why it is dropped instead.
#[cold]
pub(super) fn punt(to: Option<&Sender<Punted>>, port: usize, frame: &OutFrame<'_>) -> Result<(), DropReason> {
    let to = to.ok_or(DropReason::RxControl)?;
    if frame.len() > untagged::MAX_CONTROL || Untagged::of(frame.head) != Untagged::Control {
        return Err(DropReason::RxControl);
    }
    if !to.has_room(port) {
        return Err(DropReason::PuntFull);
    }
    let punted = Punted { port, frame: frame.to_vec().into_boxed_slice() };
    to.post_in(port, punted).map(drop).map_err(|_| DropReason::PuntFull)
}
