//! What a capture of a port shows: each frame as it came or left, and what became of it.
//!
//! A frame is recorded before its tags are edited and gets its fate when the stages have decided, so that both are
//! those of the frame that was judged. While no port is captured a burst costs one relaxed load and a few branches.

use super::admit::Admitted;
use super::desk::Desk;
use super::lif::LifId;
use super::outbox::{Receiver, Waiting};
use super::verdict::DropReason;
use arrayvec::ArrayVec;
use link::capture::Direction;
use link::capture::live::{self, Mark};
use link::{BURST, Frame, OutFrame};

/// Captures of a switch's ports, by their index.
pub type Captures = live::Live<u16, Fate>;

/// What became of a frame at a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Came in, and goes to one interface.
    Unicast {
        /// Whose frame it is.
        from: LifId,
        /// Who gets it.
        to: LifId,
    },
    /// Came in, and goes to every other member of its VLAN.
    Flooded {
        /// Whose frame it is.
        from: LifId,
        /// Its VLAN.
        vlan: u16,
        /// Why the members behind some port get none.
        missed: Option<DropReason>,
    },
    /// Came in, and control has it.
    Punted,
    /// Came in or was to leave, and was dropped.
    Dropped {
        /// Whose frame it is, where that is known.
        from: Option<LifId>,
        /// Why.
        reason: DropReason,
    },
    /// Left, for this interface.
    Sent(LifId),
    /// Left, as a copy of a flooded frame.
    Copied,
    /// Left, and control had sent it.
    Originated,
}

/// The recorder of a pipeline and what it knows of the burst in hand.
///
/// The stages only say why a frame goes nowhere. Where the others go is read from what leaves, so that the way of a
/// frame that is forwarded is the same with a capture and without.
pub(super) struct Capture {
    recorder: live::Recorder<u16, Fate>,
    /// Something is captured, though perhaps nothing of this burst.
    on: bool,
    /// The frames that came in, by their place in the burst; none where their port is not captured.
    came: ArrayVec<Came, BURST>,
    /// What became of the frames of the burst.
    fates: [Option<Fate>; BURST],
}

/// A frame that came in.
struct Came {
    mark: Mark,
    /// Whose it is and in which VLAN, where it was admitted.
    from: Option<(LifId, u16)>,
}

impl Capture {
    /// It records for these captures.
    pub(super) fn new(captures: &Captures) -> Self {
        Self {
            recorder: live::Recorder::new(captures),
            on: false,
            came: ArrayVec::new(),
            fates: [None; BURST],
        }
    }

    pub(super) fn captures(&self) -> Captures {
        self.recorder.live().clone()
    }

    /// A burst begins.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.on = self.recorder.begin();
    }

    /// Something is captured.
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// The burst is done.
    #[cold]
    pub(super) fn finish(&mut self) {
        for (came, fate) in self.came.drain(..).zip(self.fates) {
            if let Some(fate) = fate {
                self.recorder.decide(came.mark, fate);
            }
        }
        self.recorder.finish();
        self.fates = [None; BURST];
        self.on = false;
    }

    /// Says what became of a frame of the burst that goes nowhere, or not everywhere.
    #[inline]
    pub(super) fn decide(&mut self, index: u8, fate: Fate) {
        if self.on
            && let Some(place) = self.fates.get_mut(usize::from(index))
        {
            *place = Some(fate);
        }
    }

    /// The burst came in by this port; its heads are as they came.
    #[cold]
    pub(super) fn came(&mut self, port: u16, burst: &[Frame<'_>], admitted: &[Admitted], desk: &Desk) {
        if !self.recorder.wants(port) {
            return;
        }
        for (index, frame) in burst.iter().enumerate().take(BURST) {
            let mark = self.recorder.record(port, Direction::In, &desk.whole(index, frame));
            self.came.push(Came { mark, from: None });
        }
        for frame in admitted {
            if let Some(came) = self.came.get_mut(usize::from(frame.index)) {
                came.from = Some((frame.lif, frame.vlan));
            }
        }
    }

    /// The queue of this port took the first `done` of these frames, and `left` says why not the others.
    #[cold]
    pub(super) fn left(
        &mut self,
        port: u16,
        waiting: &[Waiting],
        frames: &[OutFrame<'_>],
        done: usize,
        left: DropReason,
    ) {
        let wanted = self.recorder.wants(port);
        for (place, (waiting, frame)) in waiting.iter().zip(frames).enumerate() {
            let lost = (place >= done).then_some(left);
            self.goes(waiting, lost);
            if wanted {
                let fate = match (lost, waiting.to) {
                    (Some(reason), _) => Fate::Dropped { from: None, reason },
                    (None, Receiver::Lif(to)) => Fate::Sent(to),
                    (None, Receiver::Copy { .. }) => Fate::Copied,
                };
                let mark = self.recorder.record(port, Direction::Out, frame);
                self.recorder.decide(mark, fate);
            }
        }
    }

    /// Where a frame that came in goes.
    fn goes(&mut self, waiting: &Waiting, lost: Option<DropReason>) {
        let index = usize::from(waiting.frame);
        let Some((from, vlan)) = self.came.get(index).and_then(|came| came.from) else { return };
        let Some(place) = self.fates.get_mut(index) else { return };
        *place = match (waiting.to, lost) {
            (Receiver::Lif(to), None) => Some(Fate::Unicast { from, to }),
            (Receiver::Lif(_), Some(reason)) => Some(Fate::Dropped { from: Some(from), reason }),
            // Some copies may have been missed already; one that finds no room is not the whole flood.
            (Receiver::Copy { .. }, _) => place.or(Some(Fate::Flooded { from, vlan, missed: None })),
        };
    }

    /// Control sent these frames by this port, as above.
    pub(super) fn originated(&mut self, port: u16, frames: &[OutFrame<'_>], done: usize, left: DropReason) {
        if !self.recorder.begin() || !self.recorder.wants(port) {
            return;
        }
        for (place, frame) in frames.iter().enumerate() {
            let mark = self.recorder.record(port, Direction::Out, frame);
            let dropped = Fate::Dropped { from: None, reason: left };
            self.recorder.decide(mark, if place < done { Fate::Originated } else { dropped });
        }
        self.recorder.finish();
    }
}
