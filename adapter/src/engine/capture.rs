//! What a capture of a link or vNIC shows: each frame as it came or left, and what became of it.
//!
//! Frames are seen as that place sees them: without a VNTag at a vNIC, with it at a link. A frame that was meant for
//! a vNIC and dropped for it is shown there as it was on the link. While nothing is captured a burst costs one
//! relaxed load and a few branches.

use super::drops::DropReason;
use super::vif::VnicSlot;
use arrayvec::ArrayVec;
use link::capture::Direction;
use link::capture::live::{self, Mark};
use link::{BURST, OutFrame, RxBurst};
use vntag::Target;
use vntag::ethernet::ADDRESSES;

/// Captures of an adapter's links and vNICs.
pub type Captures = live::Live<Place, Fate>;

/// What is captured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The link with this index.
    Link(usize),
    /// The vNIC in this slot.
    Vnic(VnicSlot),
}

/// What became of a frame at a link or vNIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Came from a host, and went up.
    Up {
        /// Index of the link.
        link: usize,
        /// The VIF that it was stamped with.
        vif: u32,
    },
    /// Came from a link, for one VIF.
    Unicast {
        /// The VIF.
        vif: u32,
    },
    /// Came from a link, for the members of a list.
    List {
        /// The list.
        list: u32,
    },
    /// Came from a link, and control has it.
    Punted,
    /// Left on a link, and had come from this vNIC.
    Sent(VnicSlot),
    /// Left to a host, and had come from the link with this index.
    Delivered {
        /// Index of the link.
        link: usize,
    },
    /// Left on a link, and control had sent it.
    Originated,
    /// Came in or was to leave, and was dropped.
    Dropped(DropReason),
}

/// The recorder of a data path and what it knows of the burst in hand.
#[derive(Default)]
pub(super) struct Capture {
    recorder: live::Recorder<Place, Fate>,
    on: bool,
    /// The frames that came from a link, by their place in the burst.
    came: ArrayVec<Came, BURST>,
    /// Their heads as they came.
    heads: Vec<Vec<u8>>,
    /// Which of them were dropped for whom.
    refused: Vec<(u8, VnicSlot, DropReason)>,
}

/// A frame from a link.
#[derive(Clone, Copy)]
struct Came {
    /// `None` where the link is not captured.
    mark: Option<Mark>,
    /// It has but one way.
    unicast: bool,
}

/// A burst from a host that went up as far as it did.
pub(super) struct FromHost<'a, I> {
    pub(super) vnic: VnicSlot,
    /// The active VIF and its link.
    pub(super) up: Option<(usize, u32)>,
    /// Each frame as it was judged, with the tags it was stamped with; how many of its own octets are in its head; why
    /// it was dropped, if it was.
    pub(super) frames: I,
    /// What the link took.
    pub(super) sent: &'a [OutFrame<'a>],
}

impl Capture {
    /// It records for these captures.
    pub(super) fn new(captures: &Captures) -> Self {
        Self { recorder: live::Recorder::new(captures), ..Self::default() }
    }

    pub(super) fn captures(&self) -> &Captures {
        self.recorder.live()
    }

    /// A burst begins; says whether anything is captured.
    #[inline]
    pub(super) fn begin(&mut self) -> bool {
        self.on = self.recorder.begin();
        self.on
    }

    /// Something is captured, though perhaps nothing of this burst.
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// The burst is done.
    #[cold]
    pub(super) fn finish(&mut self) {
        self.recorder.finish();
        self.came.clear();
        self.refused.clear();
        self.on = false;
    }

    /// A whole burst from a host.
    #[cold]
    pub(super) fn burst_from_host<'a, I>(&mut self, burst: FromHost<'a, I>)
    where
        I: Iterator<Item = (OutFrame<'a>, usize, Option<DropReason>)>,
    {
        if self.wants(Place::Vnic(burst.vnic)) {
            let mut head = Vec::new();
            for (frame, loaded, dropped) in burst.frames {
                // As the host sent it: the tags were put behind its addresses.
                let (addresses, rest) = frame.head.split_at(frame.head.len().min(ADDRESSES));
                let inserted = frame.head.len().saturating_sub(loaded);
                head.clear();
                head.extend_from_slice(addresses);
                head.extend_from_slice(rest.get(inserted..).unwrap_or_default());
                let fate = match (dropped, burst.up) {
                    (None, Some((link, vif))) => Fate::Up { link, vif },
                    (reason, _) => Fate::Dropped(reason.unwrap_or(DropReason::HostVifDown)),
                };
                let original = OutFrame::complete(&head, frame.body);
                let mark = self.recorder.record(Place::Vnic(burst.vnic), Direction::In, &original);
                self.recorder.decide(mark, fate);
            }
        }
        if let Some((link, _)) = burst.up {
            self.leave(Place::Link(link), burst.sent, Fate::Sent(burst.vnic));
        }
        self.finish();
    }

    /// The next frame of a burst from a link, and whom its tag names if it has a legal one.
    #[cold]
    pub(super) fn frame_from_link(&mut self, link: usize, frame: &OutFrame<'_>, target: Option<Target>) {
        let at = self.came.len();
        if self.heads.len() <= at {
            self.heads.push(Vec::new());
        }
        self.heads[at].clear();
        self.heads[at].extend_from_slice(frame.head);
        let place = Place::Link(link);
        let mark = self.wants(place).then(|| self.recorder.record(place, Direction::In, frame));
        let _ = self.came.try_push(Came { mark, unicast: matches!(target, Some(Target::Channel(_))) });
        match (mark, target) {
            (Some(mark), Some(Target::Channel(vif))) => self.recorder.decide(mark, Fate::Unicast { vif }),
            (Some(mark), Some(Target::List(list))) => self.recorder.decide(mark, Fate::List { list }),
            _ => {}
        }
    }

    /// A frame of the burst from a link went nowhere, or to control.
    #[inline]
    pub(super) fn decide(&mut self, place: u8, fate: Fate) {
        if self.on
            && let Some(mark) = self.came.get(usize::from(place)).and_then(|came| came.mark)
        {
            self.recorder.decide(mark, fate);
        }
    }

    /// A frame of the burst from a link was dropped for this vNIC.
    #[inline]
    pub(super) fn refuse(&mut self, place: u8, vnic: VnicSlot, reason: DropReason) {
        if self.on {
            self.refused.push((place, vnic, reason));
        }
    }

    /// Puts what was refused on record.
    #[cold]
    pub(super) fn refused(&mut self, burst: &RxBurst<'_>, loaded: &[u8; BURST]) {
        for (place, vnic, reason) in core::mem::take(&mut self.refused) {
            let at = usize::from(place);
            let (Some(head), Some(frame)) = (self.heads.get(at), burst.get(at)) else { continue };
            if self.recorder.wants(Place::Vnic(vnic)) {
                let original = OutFrame::complete(head, frame.data.skip(usize::from(loaded[at])));
                let mark = self.recorder.record(Place::Vnic(vnic), Direction::Out, &original);
                self.recorder.decide(mark, Fate::Dropped(reason));
            }
            self.lose(place, reason);
        }
    }

    /// The host took the first `taken` of these frames, and had no room for the others. `places` are those of the
    /// frames in the burst.
    #[cold]
    pub(super) fn delivered(
        &mut self,
        vnic: VnicSlot,
        link: usize,
        frames: &[OutFrame<'_>],
        places: impl Iterator<Item = u8>,
        taken: usize,
    ) {
        let full = DropReason::HostRingFull;
        let (taken, left) = frames.split_at(taken.min(frames.len()));
        self.leave(Place::Vnic(vnic), taken, Fate::Delivered { link });
        self.leave(Place::Vnic(vnic), left, Fate::Dropped(full));
        places.skip(taken.len()).for_each(|place| self.lose(place, full));
    }

    /// A frame from a link does not go one of its ways; it has no other one if it is unicast.
    fn lose(&mut self, place: u8, reason: DropReason) {
        if self.came.get(usize::from(place)).is_some_and(|came| came.unicast) {
            self.decide(place, Fate::Dropped(reason));
        }
    }

    /// Control sent these frames on a link, which took the first `taken` of them.
    #[cold]
    pub(super) fn originated(
        &mut self,
        link: usize,
        frames: &[OutFrame<'_>],
        taken: usize,
        left: DropReason,
    ) {
        if self.begin() {
            let (taken, lost) = frames.split_at(taken.min(frames.len()));
            self.leave(Place::Link(link), taken, Fate::Originated);
            self.leave(Place::Link(link), lost, Fate::Dropped(left));
            self.finish();
        }
    }

    fn wants(&self, place: Place) -> bool {
        self.recorder.wants(place)
    }

    fn leave(&mut self, place: Place, frames: &[OutFrame<'_>], fate: Fate) {
        if self.wants(place) {
            for frame in frames {
                let mark = self.recorder.record(place, Direction::Out, frame);
                self.recorder.decide(mark, fate);
            }
        }
    }
}
