//! One burst from a guest to the link.

use super::{Datapath, Visit};
use crate::engine::capture::FromHost;
use crate::engine::drops::DropReason;
use crate::engine::up;
use crate::engine::vif::VnicSlot;
use ::link::{BURST, Nanos, OutFrame, RxBurst, SourceId, Taken};
use arrayvec::ArrayVec;
use vntag::NivTag;

impl<T: NivTag> Datapath<T> {
    pub(super) fn visit_host(&mut self, id: SourceId, slot: VnicSlot, now: Nanos) -> Visit {
        let Self { sources, vnics, links, bench, .. } = self;
        let (Some(Some(vnic)), Some(queue)) = (vnics.get(slot as usize), sources.queue(id)) else {
            return Visit::Empty;
        };
        // Without a way up the guest's frames are taken all the same, and dropped: its rings must not stall.
        let mut way = vnic.uplink.and_then(|uplink| Some((uplink, links.get_mut(uplink.link)?)));
        let up = way.as_ref().is_some_and(|(_, link)| link.tx.is_up());
        let max = match &way {
            Some((_, link)) if up => link.tx.room().saturating_sub(link.control.reserved()).min(BURST),
            _ => BURST,
        };
        if max == 0 {
            return Visit::Blocked;
        }
        let mut burst = RxBurst::new();
        queue.recv(now, max, &mut burst);
        let lent = burst.len();
        if lent == 0 {
            return Visit::Empty;
        }

        let source = way.as_ref().map(|(uplink, _)| uplink.source);
        let mut passed: ArrayVec<u8, BURST> = ArrayVec::new();
        let mut dropped: ArrayVec<(u8, DropReason), BURST> = ArrayVec::new();
        let mut octets = [0; BURST];
        for (place, frame) in (0u8..).zip(&burst) {
            let at = usize::from(place);
            let head = &mut bench.heads[at];
            bench.loaded[at] = head.load(|room| frame.data.copy_to(room)) as u8;
            octets[at] = frame.len() as u64;
            match up::judge::<T>(head, frame.len(), source, &vnic.params) {
                Ok(()) if up => passed.push(place),
                Ok(()) => dropped.push((place, DropReason::LinkDown)),
                Err(reason) => dropped.push((place, reason)),
            }
        }

        let out: ArrayVec<OutFrame<'_>, BURST> = passed
            .iter()
            .map(|place| {
                let at = usize::from(*place);
                let body = burst[at].data.skip(usize::from(bench.loaded[at]));
                OutFrame { head: bench.heads[at].bytes(), body }
            })
            .collect();
        let mut taken = Taken::default();
        if let (Some((_, link)), false) = (&mut way, out.is_empty()) {
            taken = link.tx.send(now, &out);
            link.kick |= taken.frames > 0;
            link.stats.tx_frames.add((taken.frames - taken.refused) as u64);
            link.stats.tx_octets.add(out[..taken.frames].iter().map(|frame| frame.len() as u64).sum());
        }
        // What the link did not take stays in the guest's ring, with everything behind it.
        let done = passed.get(taken.frames).map_or(lent, |place| usize::from(*place));

        let counters = &vnic.stats;
        counters.rx_frames.add(done as u64);
        counters.rx_octets.add(octets[..done].iter().sum());
        for (at, octets) in octets[..done].iter().enumerate() {
            counters.rx_groups.count(bench.heads[at].bytes(), *octets);
        }
        for (_, reason) in dropped.iter().filter(|(place, _)| usize::from(*place) < done) {
            counters.drops[*reason].add(1);
        }
        if taken.refused > 0 {
            counters.drops[DropReason::LinkRefused].add(taken.refused as u64);
        }

        if bench.capture.begin() {
            let frames = burst.iter().enumerate().take(done).map(|(at, frame)| {
                let loaded = usize::from(bench.loaded[at]);
                let why = dropped.iter().find(|(place, _)| usize::from(*place) == at).map(|(_, why)| *why);
                (OutFrame { head: bench.heads[at].bytes(), body: frame.data.skip(loaded) }, loaded, why)
            });
            let up = vnic.uplink.map(|uplink| (uplink.link, uplink.source));
            let sent = &out[..taken.frames];
            bench.capture.burst_from_host(FromHost { vnic: slot, up, frames, sent });
        }

        drop(out);
        drop(burst);
        queue.release(done);
        if done == 0 { Visit::Blocked } else { Visit::Moved(done) }
    }
}
