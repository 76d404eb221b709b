//! One burst from the link to the guests that its tags name.

use super::deliver::{Bench, Copied, Member};
use super::{Datapath, Link, Visit, Vnic};
use crate::engine::capture::Fate;
use crate::engine::down::{self, Down};
use crate::engine::drops::DropReason;
use crate::engine::vif::{HostTag, VifState, VnicSlot};
use ::link::{BURST, Nanos, OutFrame, RxBurst, SourceId};
use vntag::{NivTag, Target};

impl<T: NivTag> Datapath<T> {
    pub(super) fn visit_link(&mut self, id: SourceId, index: usize, now: Nanos) -> Visit {
        let Self { sources, vnics, links, bench, .. } = self;
        let (Some(link), Some(queue)) = (links.get(index), sources.queue(id)) else { return Visit::Empty };
        let mut burst = RxBurst::new();
        queue.recv(now, BURST, &mut burst);
        let lent = burst.len();
        if lent == 0 {
            return Visit::Empty;
        }
        for (at, frame) in burst.iter().enumerate() {
            bench.loaded[at] = bench.heads[at].load(|room| frame.data.copy_to(room)) as u8;
        }
        let (frames, octets) = bench.sizes.judge(&burst, &bench.heads);
        if bench.capture.begin() {
            record::<T>(bench, index, &burst);
        }
        for (place, frame) in (0u8..).zip(&burst) {
            match route::<T>(bench, place, link, vnics) {
                Ok(()) => {}
                Err(DropReason::LinkControl) => {
                    let at = usize::from(place);
                    let rest = frame.data.skip(usize::from(bench.loaded[at]));
                    let fate = punt(link, index, &OutFrame::complete(bench.heads[at].bytes(), rest));
                    bench.capture.decide(place, fate);
                }
                Err(reason) => {
                    // What is said of it is not so: it counts as the one frame that came.
                    link.stats.drops[reason].add(bench.sizes.frames(place).unwrap_or(1));
                    bench.capture.decide(place, Fate::Dropped(reason));
                }
            }
        }
        let mut touched = core::mem::take(&mut bench.touched);
        for slot in touched.drain(..) {
            if let Some(Some(vnic)) = vnics.get_mut(slot as usize) {
                bench.deliver(slot, vnic, index, &burst, now);
            }
        }
        bench.touched = touched;
        if bench.capture.is_on() {
            bench.capture.refused(&burst, &bench.loaded);
            bench.capture.finish();
        }
        link.stats.rx_frames.add(frames);
        link.stats.rx_octets.add(octets);
        drop(burst);
        queue.release(lent);
        Visit::Moved(lent)
    }
}

/// Hands a control frame to control, or drops it.
#[cold]
fn punt(link: &Link, index: usize, frame: &OutFrame<'_>) -> Fate {
    match link.control.punt(index, frame) {
        Ok(()) => {
            link.stats.punted.add(1);
            Fate::Punted
        }
        Err(reason) => {
            link.stats.drops[reason].add(1);
            Fate::Dropped(reason)
        }
    }
}

/// Puts a burst, whose frames are as they came, on record.
#[cold]
fn record<T: NivTag>(bench: &mut Bench, link: usize, burst: &RxBurst<'_>) {
    for (at, frame) in burst.iter().enumerate() {
        let target = down::judge::<T>(&bench.heads[at]).ok().map(|down| down.tag.target);
        let body = frame.data.skip(usize::from(bench.loaded[at]));
        bench.capture.frame_from_link(link, &OutFrame::complete(bench.heads[at].bytes(), body), target);
    }
}

/// Finds out who gets frame `place` and makes its head ready for them.
///
/// # Errors
/// The reason why nobody gets it. What is dropped for one vNIC is counted there.
#[inline]
fn route<T: NivTag>(
    bench: &mut Bench,
    place: u8,
    link: &Link,
    vnics: &mut [Option<Vnic>],
) -> Result<(), DropReason> {
    let at = usize::from(place);
    let count = bench.sizes.frames(place)?;
    let down = down::judge::<T>(&bench.heads[at])?;
    match down.tag.target {
        Target::Channel(channel) => {
            let entry = link.vifs.get(channel).ok_or(DropReason::LinkDstUnknown)?;
            if down.tag.is_self_loop() {
                return Err(DropReason::LinkSelfLoop);
            }
            let vnic = vnics.get_mut(entry.vnic as usize).and_then(Option::as_mut);
            let vnic = vnic.ok_or(DropReason::LinkDstUnknown)?;
            match member(vnic, entry.state, &down) {
                Member::Gets(tag) => {
                    down::unwrap::<T>(&mut bench.heads[at], tag == HostTag::Strip);
                    bench.push(entry.vnic, vnic, Copied { frame: place, stripped: false });
                }
                Member::Dropped(reason) => {
                    vnic.stats.drops[reason].add(count);
                    bench.capture.refuse(place, entry.vnic, reason);
                }
            }
            Ok(())
        }
        Target::List(list) => route_list::<T>(bench, (place, count), link, vnics, &down, list),
    }
}

fn route_list<T: NivTag>(
    bench: &mut Bench,
    (place, count): (u8, u64),
    link: &Link,
    vnics: &mut [Option<Vnic>],
    down: &Down,
    list: u32,
) -> Result<(), DropReason> {
    let members = link.lists.get(list).ok_or(DropReason::LinkListUnknown)?;
    if members.is_empty() {
        return Err(DropReason::LinkListEmpty);
    }
    if down.double {
        return Err(DropReason::LinkDouble);
    }
    match down.tag.looped {
        Some(0) => link.stats.looped_without_source.add(count),
        None if down.stray_source => link.stats.stray_source.add(count),
        _ => {}
    }
    bench.members.clear();
    for id in members {
        let channel = u32::from(id.get());
        if down::is_pruned(down.tag, channel) {
            link.stats.pruned.add(count);
        } else if let Some(entry) = link.vifs.get(channel)
            && let Some(Some(vnic)) = vnics.get(entry.vnic as usize)
        {
            bench.members.push((entry.vnic, member(vnic, entry.state, down)));
        }
    }
    let copies = bench.members.len() as u64;
    if copies == 0 {
        return Err(DropReason::LinkListEmpty);
    }
    link.stats.replicated.add((copies - 1) * count);

    // The copy in `heads` is for those who keep the 802.1Q tag, if there are any.
    let at = usize::from(place);
    let any = |wanted| bench.members.iter().any(|(_, member)| *member == Member::Gets(wanted));
    let (kept, stripped) = (any(HostTag::Keep), any(HostTag::Strip));
    if kept && stripped {
        bench.stripped[at].clone_from(&bench.heads[at]);
        down::unwrap::<T>(&mut bench.stripped[at], true);
    }
    down::unwrap::<T>(&mut bench.heads[at], stripped && !kept);
    for nth in 0..bench.members.len() {
        let (slot, member): (VnicSlot, Member) = bench.members[nth];
        let Some(Some(vnic)) = vnics.get_mut(slot as usize) else { continue };
        match member {
            Member::Gets(tag) => {
                let stripped = tag == HostTag::Strip && kept;
                bench.push(slot, vnic, Copied { frame: place, stripped });
            }
            Member::Dropped(reason) => {
                vnic.stats.drops[reason].add(count);
                bench.capture.refuse(place, slot, reason);
            }
        }
    }
    Ok(())
}

/// What one vNIC gets of a downward frame (I21, I22, I24).
#[inline]
fn member(vnic: &Vnic, state: VifState, down: &Down) -> Member {
    // A vNIC that gets a frame of this burst already was asked for its guest then.
    if state == VifState::Standby || vnic.pending.is_empty() && !vnic.has_guest() {
        return Member::Dropped(DropReason::LinkVifDown);
    }
    if down.double {
        return Member::Dropped(DropReason::LinkDouble);
    }
    match vnic.params.host_tag(down.vlan) {
        HostTag::Refuse => Member::Dropped(DropReason::LinkVlan),
        tag => Member::Gets(tag),
    }
}
