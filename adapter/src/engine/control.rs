//! Control frames of a link: those from the switch are punted to the control plane, those of the control plane are
//! sent before anything else.
//!
//! A frame that is punted leaves the data path as a copy, through a bounded mailbox with a lane for each link: a
//! switch that sends more than control takes loses the rest (`punt_full`) and holds up nobody. Nothing that a guest
//! sends is ever punted: its frames go up with a tag, or not at all.

use super::capture::Capture;
use super::drops::DropReason;
use super::stats::LinkStats;
use arrayvec::ArrayVec;
use link::{BURST, Nanos, OutFrame, TxQueue};
use niv_node::mailbox::Sender;
use vntag::{Untagged, untagged};

/// Slots of a link's transmit queue that guests' frames leave free where control uses the link, so that a link that
/// is full of traffic does not lose its switch.
pub const SLOTS: usize = 32;

/// A control frame from a link: LLDP or VIF control, untagged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Punted {
    /// Index of the link.
    pub link: usize,
    /// All its octets, at most [`MAX_CONTROL`](untagged::MAX_CONTROL).
    pub frame: Box<[u8]>,
}

/// The control side of one link, as its worker has it.
#[derive(Default)]
pub(super) struct Exchange {
    punt: Option<Sender<Punted>>,
    outgoing: Vec<Vec<u8>>,
}

impl Exchange {
    pub(super) fn new(punt: Option<Sender<Punted>>) -> Self {
        Self { punt, outgoing: Vec::new() }
    }

    /// Slots of the transmit queue that guests' frames leave free.
    #[inline]
    pub(super) fn reserved(&self) -> usize {
        if self.punt.is_some() { SLOTS } else { 0 }
    }

    /// Copies a frame for control, if it is one that control wants.
    ///
    /// # Errors
    /// Why it is dropped instead.
    #[cold]
    pub(super) fn punt(&self, link: usize, frame: &OutFrame<'_>) -> Result<(), DropReason> {
        let to = self.punt.as_ref().ok_or(DropReason::LinkControl)?;
        if frame.len() > untagged::MAX_CONTROL || Untagged::of(frame.head) != Untagged::Control {
            return Err(DropReason::LinkControl);
        }
        if !to.has_room(link) {
            return Err(DropReason::PuntFull);
        }
        let punted = Punted { link, frame: frame.to_vec().into_boxed_slice() };
        to.post_in(link, punted).map(drop).map_err(|_| DropReason::PuntFull)
    }

    /// Takes over frames to be sent.
    pub(super) fn queue(&mut self, frames: Vec<Vec<u8>>) {
        self.outgoing.extend(frames);
    }

    /// Sends what control gave; says how many frames that were and whether the peer has to be told.
    /// The capture comes with the index of the link.
    pub(super) fn originate(
        &mut self,
        tx: &mut dyn TxQueue,
        stats: &LinkStats,
        (link, capture): (usize, &mut Capture),
        now: Nanos,
    ) -> (usize, bool) {
        if self.outgoing.is_empty() {
            return (0, false);
        }
        let all = core::mem::take(&mut self.outgoing);
        stats.originated.add(all.len() as u64);
        let left = if tx.is_up() { DropReason::LinkRingFull } else { DropReason::LinkDown };
        let mut kick = false;
        for frames in all.chunks(BURST) {
            let frames: ArrayVec<OutFrame<'_>, BURST> =
                frames.iter().map(|frame| OutFrame::private(frame)).collect();
            let taken = tx.send(now, &frames);
            kick |= taken.frames > 0;
            stats.tx_frames.add((taken.frames - taken.refused) as u64);
            stats.tx_octets.add(frames.iter().take(taken.frames).map(|frame| frame.len() as u64).sum());
            stats.drops[DropReason::LinkRefused].add(taken.refused as u64);
            stats.drops[left].add((frames.len() - taken.frames) as u64);
            capture.originated(link, &frames, taken.frames, left);
        }
        (all.len(), kick)
    }
}
