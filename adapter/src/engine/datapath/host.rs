//! One burst from a guest to the link.
//!
//! Nearly every burst is one of complete frames that all pass; it takes a short way of its own ([`pass`]), which knows nothing
//! of what the others need.

use super::deliver::Bench;
use super::finish::{self, Begun, Finishing, Host, Room};
use super::{Datapath, Link, Visit, Vnic};
use crate::engine::capture::FromHost;
use crate::engine::drops::DropReason;
use crate::engine::stats::is_group;
use crate::engine::up;
use crate::engine::vif::VnicSlot;
use ::link::{BURST, Frame, Nanos, OutFrame, RxBurst, SourceId, Taken, TxQueue};
use arrayvec::ArrayVec;
use vntag::NivTag;

/// A frame for the link.
#[derive(Clone, Copy)]
struct Passed {
    /// Its place in the burst; the segments of a super-frame have the same.
    place: u8,
    /// Which of the finished frames it is; [`COMPLETE`] where nothing was left to do.
    finished: u8,
    /// Octets on a wire, without the tags that were put in.
    octets: u32,
    /// Frames on a wire.
    frames: u32,
}

/// The number of no finished frame.
const COMPLETE: u8 = u8::MAX;

/// What became of the frames of a burst.
#[derive(Default)]
struct Judged {
    passed: ArrayVec<Passed, BURST>,
    dropped: ArrayVec<(u8, DropReason), BURST>,
    /// How many frames were looked at.
    frames: usize,
    /// How many segments of the next one passed already.
    segments: usize,
    /// Slots of the link that they take.
    slots: usize,
    /// Some stand for several frames.
    whole: bool,
}

impl Judged {
    /// A frame in which nothing is left to do.
    fn complete<T: NivTag>(&mut self, bench: &mut Bench, (place, frame): (u8, &Frame<'_>), host: Host<'_>) {
        let at = usize::from(place);
        let head = &mut bench.heads[at];
        bench.loaded[at] = head.load(|room| frame.data.copy_to(room)) as u8;
        match up::judge::<T>(head, frame.len(), host.source, host.vif) {
            Ok(()) if host.link.is_some() => {
                self.slots += 1;
                self.passed.push(Passed { place, finished: COMPLETE, octets: frame.len() as u32, frames: 1 });
            }
            Ok(()) => self.dropped.push((place, DropReason::LinkDown)),
            Err(reason) => self.dropped.push((place, reason)),
        }
        self.frames = at + 1;
    }

    /// The frames of the burst, as far as there is `room`.
    #[inline(never)]
    fn judge<T: NivTag>(
        &mut self,
        bench: &mut Bench,
        burst: &RxBurst<'_>,
        host: Host<'_>,
        begun: Begun,
        room: Room,
    ) {
        bench.finish.clear();
        while let Some(frame) = burst.get(self.frames)
            && self.passed.len() < room.frames
            && self.slots < room.slots
        {
            let (at, place) = (self.frames, self.frames as u8);
            let Some(undone) = &frame.undone else {
                self.complete::<T>(bench, (place, frame), host);
                continue;
            };
            let before = bench.finish.len();
            let left = Room { frames: room.frames - self.passed.len(), slots: room.slots - self.slots };
            let begun = if at == 0 { begun } else { Begun::default() };
            let head = (&mut bench.heads[at], &mut bench.loaded[at]);
            let outcome = bench.finish.frame::<T>((frame, undone), head, host, begun, left);
            for nth in before..bench.finish.len() {
                let Some(finished) = bench.finish.get(nth) else { break };
                let (octets, frames) = (finished.octets, finished.frames);
                self.whole |= frames > 1;
                self.slots += if finished.undone.is_some() { finish::slots(frame.len()) } else { 1 };
                self.passed.push(Passed { place, finished: nth as u8, octets, frames });
            }
            match outcome {
                Ok(Finishing::Whole) => {}
                Ok(Finishing::UpTo(segment)) => {
                    self.segments = segment;
                    return;
                }
                Err(reason) => self.dropped.push((place, reason)),
            }
            self.frames = at + 1;
        }
    }
}

/// Octets on a wire of a frame that was passed on, tags included.
fn tagged(one: &Passed, bench: &Bench) -> u64 {
    let inserted = bench.heads[usize::from(one.place)].inserted().unsigned_abs() as u64;
    u64::from(one.octets) + u64::from(one.frames) * inserted
}

/// Sends what passed. Also says how many frames of a wire were refused for good.
///
/// A frame that stands for several goes alone: should the link refuse one, it does not say which, and they count
/// differently.
#[inline(always)]
fn send(tx: &mut dyn TxQueue, out: &[OutFrame<'_>], judged: &Judged, now: Nanos) -> (Taken, u64) {
    if judged.whole {
        return send_apart(tx, out, judged, now);
    }
    let taken = tx.send(now, out);
    (taken, taken.refused as u64)
}

#[cold]
fn send_apart(tx: &mut dyn TxQueue, out: &[OutFrame<'_>], judged: &Judged, now: Nanos) -> (Taken, u64) {
    let (mut all, mut refused) = (Taken::default(), 0);
    for run in judged.passed.chunk_by(|one, next| one.frames == 1 && next.frames == 1) {
        let taken = tx.send(now, &out[all.frames..all.frames + run.len()]);
        all.frames += taken.frames;
        all.refused += taken.refused;
        refused += taken.refused as u64 * u64::from(run[0].frames);
        if taken.frames < run.len() {
            break;
        }
    }
    (all, refused)
}

/// The usual burst: brings its frames to the link, up to the first one that is dropped. Says how many the link took. `None`
/// where there is more to decide: something is left undone in a frame, or the first one is dropped.
#[inline(always)]
fn pass<T: NivTag>(
    bench: &mut Bench,
    burst: &RxBurst<'_>,
    link: &mut Link,
    (source, vnic): (u32, &Vnic),
    now: Nanos,
) -> Option<usize> {
    if burst.iter().any(|frame| frame.undone.is_some()) {
        return None;
    }
    let mut out: ArrayVec<OutFrame<'_>, BURST> = ArrayVec::new();
    let mut groups = false;
    for (frame, head) in burst.iter().zip(&mut bench.heads) {
        let loaded = head.load(|room| frame.data.copy_to(room));
        if up::judge::<T>(head, frame.len(), Some(source), &vnic.params).is_err() {
            break;
        }
        let head = head.bytes();
        groups |= is_group(head);
        out.push(OutFrame::complete(head, frame.data.skip(loaded)));
    }
    if out.is_empty() {
        return None;
    }
    let taken = link.tx.send(now, &out);
    link.kick |= taken.frames > 0;
    let (from, to) = (&burst[..taken.frames], &out[..taken.frames]);
    let (frames, refused) = (taken.frames as u64, taken.refused as u64);
    link.stats.tx_frames.add(frames - refused);
    link.stats.tx_octets.add(to.iter().map(|frame| frame.len() as u64).sum());
    let counters = &vnic.stats;
    counters.rx_frames.add(frames);
    counters.rx_octets.add(from.iter().map(|frame| frame.len() as u64).sum());
    if groups {
        for (frame, sent) in from.iter().zip(to) {
            counters.rx_groups.count(sent.head, 1, frame.len() as u64);
        }
    }
    if refused > 0 {
        counters.drops[DropReason::LinkRefused].add(refused);
    }
    Some(taken.frames)
}

impl<T: NivTag> Datapath<T> {
    pub(super) fn visit_host(&mut self, id: SourceId, slot: VnicSlot, now: Nanos) -> Visit {
        let Self { sources, vnics, links, bench, begun, .. } = self;
        let (Some(Some(vnic)), Some(queue)) = (vnics.get(slot as usize), sources.queue(id)) else {
            return Visit::Empty;
        };
        // Without a way up the guest's frames are taken all the same, and dropped: its rings must not stall.
        let mut way = vnic.uplink.and_then(|uplink| Some((uplink, links.get_mut(uplink.link)?)));
        let up = way.as_ref().is_some_and(|(_, link)| link.tx.is_up());
        let slots = match &way {
            Some((_, link)) if up => {
                let reserved = link.control.reserved();
                link.tx.room(BURST + reserved).saturating_sub(reserved)
            }
            _ => BURST,
        };
        let max = slots.min(BURST);
        if max == 0 {
            return Visit::Blocked;
        }
        let mut burst = RxBurst::new();
        queue.recv(now, max, &mut burst);
        if burst.is_empty() {
            return Visit::Empty;
        }

        let captured = bench.capture.begin();
        if let (Some((uplink, link)), true, false) = (&mut way, up, captured)
            && let Some(sent) = pass::<T>(bench, &burst, link, (uplink.source, vnic), now)
        {
            begun[id] = Begun::default();
            drop(burst);
            queue.release(sent);
            return if sent == 0 { Visit::Blocked } else { Visit::Moved(sent) };
        }

        let source = way.as_ref().map(|(uplink, _)| uplink.source);
        let link = way.as_ref().filter(|_| up).map(|(_, link)| &*link.tx);
        let host = Host { source, vif: &vnic.params, link };
        let mut judged = Judged::default();
        judged.judge::<T>(bench, &burst, host, begun[id], Room { frames: max, slots });
        let Judged { passed, dropped, .. } = &judged;

        let out: ArrayVec<OutFrame<'_>, BURST> = passed
            .iter()
            .map(|one| {
                let at = usize::from(one.place);
                let rest = burst[at].data.skip(usize::from(bench.loaded[at]));
                let nth = usize::from(one.finished);
                match bench.finish.get(nth).filter(|_| one.finished != COMPLETE) {
                    Some(finished) => bench.finish.out(nth, finished, &bench.heads[at], rest),
                    None => OutFrame::complete(bench.heads[at].bytes(), rest),
                }
            })
            .collect();
        let (mut taken, mut refused) = (Taken::default(), 0);
        if let (Some((_, link)), false) = (&mut way, out.is_empty()) {
            (taken, refused) = send(&mut *link.tx, &out, &judged, now);
            link.kick |= taken.frames > 0;
        }
        // What the link did not take stays in the guest's ring, with everything behind it.
        let (done, segments) = match passed.get(taken.frames) {
            Some(next) => {
                let finished = bench.finish.get(usize::from(next.finished));
                (usize::from(next.place), finished.map_or(0, |finished| finished.segment))
            }
            None => (judged.frames, judged.segments),
        };
        begun[id] = burst.get(done).map_or_else(Begun::default, |next| Begun::of(next, segments));

        let counters = &vnic.stats;
        let (mut frames, mut octets, mut with_tags) = (0, 0, 0);
        for (one, sent) in passed.iter().zip(&out[..taken.frames]) {
            frames += u64::from(one.frames);
            octets += u64::from(one.octets);
            with_tags += if one.frames == 1 { sent.len() as u64 } else { tagged(one, bench) };
            counters.rx_groups.count(sent.head, u64::from(one.frames), u64::from(one.octets));
        }
        if let Some((_, link)) = way {
            link.stats.tx_frames.add(frames - refused);
            link.stats.tx_octets.add(with_tags);
        }
        for (place, reason) in dropped.iter().filter(|(place, _)| usize::from(*place) < done) {
            let at = usize::from(*place);
            let len = burst[at].len() as u64;
            counters.drops[*reason].add(1);
            counters.rx_groups.count(bench.heads[at].bytes(), 1, len);
            octets += len;
            frames += 1;
        }
        counters.rx_frames.add(frames);
        counters.rx_octets.add(octets);
        if refused > 0 {
            counters.drops[DropReason::LinkRefused].add(refused);
        }

        if captured {
            let sent = &out[..taken.frames];
            // As the guest would have sent them, one by one; in its order.
            let went = passed.iter().zip(sent).map(|(one, frame)| {
                let inserted = bench.heads[usize::from(one.place)].inserted().unsigned_abs();
                (one.place, (*frame, frame.head.len().saturating_sub(inserted), None))
            });
            let lost = dropped.iter().filter(|(place, _)| usize::from(*place) < done).map(|(place, why)| {
                let at = usize::from(*place);
                let loaded = usize::from(bench.loaded[at]);
                let body = burst[at].data.skip(loaded);
                (*place, (OutFrame::complete(bench.heads[at].bytes(), body), loaded, Some(*why)))
            });
            let mut frames: Vec<_> = went.chain(lost).collect();
            frames.sort_by_key(|(place, _)| *place);
            let frames = frames.into_iter().map(|(_, frame)| frame);
            let up = vnic.uplink.map(|uplink| (uplink.link, uplink.source));
            bench.capture.burst_from_host(FromHost { vnic: slot, up, frames, sent });
        }

        drop(out);
        drop(burst);
        queue.release(done);
        if frames == 0 { Visit::Blocked } else { Visit::Moved(frames as usize) }
    }
}
