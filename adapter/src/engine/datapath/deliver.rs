//! Where the heads of a burst are worked on, and the delivery to one host port.

use super::finish::Finish;
use super::unfinished::{Mixed, Sizes};
use super::{MAX_QUEUES, Vnic};
use crate::engine::capture::Capture;
use crate::engine::drops::DropReason;
use crate::engine::vif::{HostTag, VnicSlot};
use ::link::{BURST, Nanos, OutFrame, RxBurst};
use arrayvec::ArrayVec;
use vntag::Head;
use vntag::offload::Finisher;

/// Kept between bursts, so that nothing is cleared or allocated.
pub(super) struct Bench {
    pub(super) heads: Vec<Head>,
    /// The same heads without their 802.1Q tag, for those members of a list that get it stripped.
    pub(super) stripped: Vec<Head>,
    /// Octets of each frame that are in its head.
    pub(super) loaded: [u8; BURST],
    /// Host ports that get something from this burst.
    pub(super) touched: Vec<VnicSlot>,
    /// Host ports that got something in this turn.
    pub(super) kicks: Vec<VnicSlot>,
    /// Who gets the current frame.
    pub(super) members: Vec<(VnicSlot, Member)>,
    /// What was finished of the current burst from a guest.
    pub(super) finish: Finish,
    /// What the frames of the current burst from a link are on a wire.
    pub(super) sizes: Sizes,
    pub(super) finisher: Finisher,
    pub(super) capture: Capture,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            heads: vec![Head::default(); BURST],
            stripped: vec![Head::default(); BURST],
            loaded: [0; BURST],
            touched: Vec::new(),
            kicks: Vec::new(),
            members: Vec::new(),
            finish: Finish::default(),
            sizes: Sizes::default(),
            finisher: Finisher::default(),
            capture: Capture::default(),
        }
    }
}

/// What a member of a list gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    /// The frame, in this form.
    Gets(HostTag),
    /// Nothing.
    Dropped(DropReason),
}

/// A frame of the current burst that goes to a host port.
#[derive(Clone, Copy)]
pub(super) struct Copied {
    pub(super) frame: u8,
    /// Its head is in [`Bench::stripped`], not in [`Bench::heads`].
    pub(super) stripped: bool,
}

impl Bench {
    /// Puts a frame behind the others for a host port.
    #[inline]
    pub(super) fn push(&mut self, slot: VnicSlot, vnic: &mut Vnic, copied: Copied) {
        if vnic.pending.is_empty() {
            self.touched.push(slot);
        }
        vnic.pending.push(copied);
    }

    /// Sends what a burst from a link has for one host port. What its ring cannot take now is dropped: a link must
    /// never wait for a guest.
    pub(super) fn deliver(
        &mut self,
        slot: VnicSlot,
        vnic: &mut Vnic,
        link: usize,
        burst: &RxBurst<'_>,
        now: Nanos,
    ) {
        let Vnic { tx, stats: counters, pending, kick, .. } = vnic;
        let mut up: ArrayVec<usize, MAX_QUEUES> = ArrayVec::new();
        up.extend((0..tx.len().min(MAX_QUEUES)).filter(|queue| tx[*queue].is_up()));
        let mut sent = 0;
        for (nth, queue) in up.iter().enumerate() {
            let share = Share { nth, of: up.len() };
            if self.sizes.any() {
                let mixed = Mixed { slot, link, queue: &mut *tx[*queue], counters, now };
                sent += usize::from(self.deliver_mixed(mixed, (share, pending), burst));
                continue;
            }
            let mut out: ArrayVec<OutFrame<'_>, BURST> = ArrayVec::new();
            for copied in &*pending {
                let at = usize::from(copied.frame);
                let heads = if copied.stripped { &self.stripped } else { &self.heads };
                let head = heads[at].bytes();
                if share.has(head) {
                    out.push(OutFrame::complete(head, burst[at].data.skip(usize::from(self.loaded[at]))));
                }
            }
            let taken = tx[*queue].send(now, &out);
            sent += taken.frames;
            counters.tx_frames.add((taken.frames - taken.refused) as u64);
            counters.tx_octets.add(out[..taken.frames].iter().map(|frame| frame.len() as u64).sum());
            for frame in &out[..taken.frames] {
                counters.tx_groups.count(frame.head, 1, frame.len() as u64);
            }
            if taken.refused > 0 {
                counters.drops[DropReason::HostRefused].add(taken.refused as u64);
            }
            if taken.frames < out.len() {
                counters.drops[DropReason::HostRingFull].add((out.len() - taken.frames) as u64);
            }
            if self.capture.is_on() {
                let (whole, stripped) = (&self.heads, &self.stripped);
                let mine = |copied: &&Copied| {
                    let heads = if copied.stripped { stripped } else { whole };
                    share.has(heads[usize::from(copied.frame)].bytes())
                };
                let places = pending.iter().filter(mine).map(|copied| copied.frame);
                self.capture.delivered(slot, link, &out, places, taken.frames);
            }
        }
        if up.is_empty() {
            // The guest left between the judgement and the delivery.
            let frames = pending.iter().map(|copied| self.sizes.frames(copied.frame).unwrap_or(1));
            counters.drops[DropReason::LinkVifDown].add(frames.sum());
            for copied in &*pending {
                self.capture.refuse(copied.frame, slot, DropReason::LinkVifDown);
            }
        }
        pending.clear();
        if sent > 0 && !core::mem::replace(kick, true) {
            self.kicks.push(slot);
        }
    }
}

/// What one of several queues gets: the frames of some flows.
#[derive(Clone, Copy)]
struct Share {
    nth: usize,
    of: usize,
}

impl Share {
    /// A frame with this head belongs to it.
    #[inline(always)]
    fn has(self, head: &[u8]) -> bool {
        self.of == 1 || flow_hash(head) as usize % self.of == self.nth
    }
}

impl Bench {
    /// The same for one queue, where the burst has unfinished frames. Says whether it took any.
    #[inline(never)]
    fn deliver_mixed(
        &mut self,
        to: Mixed<'_>,
        (share, pending): (Share, &[Copied]),
        burst: &RxBurst<'_>,
    ) -> bool {
        let Self { heads, stripped, loaded, sizes, finisher, capture, .. } = self;
        let frames = pending.iter().filter_map(|copied| {
            let at = usize::from(copied.frame);
            let head = if copied.stripped { &stripped[at] } else { &heads[at] };
            let bytes = head.bytes();
            let frame = OutFrame::complete(bytes, burst[at].data.skip(usize::from(loaded[at])));
            share.has(bytes).then_some((copied.frame, frame, head.inserted()))
        });
        to.send(sizes, frames, (finisher, capture))
    }
}

/// The same for all frames of a flow: addresses of Ethernet and, where they are at their usual place, of IP.
fn flow_hash(head: &[u8]) -> u32 {
    let fnv = |hash: u32, octet: &u8| (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193);
    let addresses = head.get(..12).unwrap_or(head).iter();
    let hash = addresses.chain(head.get(26..34).unwrap_or_default()).fold(0x811c_9dc5, fnv);
    hash ^ hash >> 16
}
