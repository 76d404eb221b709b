//! What guests left undone, between a guest's ring and a link: checksums, and super-frames. A link that takes such frames
//! gets them as they are, with the VNTag put in and judged by what they are on a wire. For any other link they are finished
//! here: checksums completed, super-frames cut into segments.
//!
//! To be finished a frame is copied once into memory of the worker's own; that copy is judged, summed and sent, so whatever
//! a guest writes meanwhile, what is on the wire has the checksum of its octets. A burst is at most
//! [`BURST`] frames of a wire: a super-frame whose segments do not all find room stays at the front of the guest's
//! ring, and [`Begun`] says where to go on.

use crate::engine::drops::DropReason;
use crate::engine::up;
use crate::engine::vif::VifParams;
use ::link::{BURST, Frame, ORDINARY, OutFrame, Seg, TxQueue, Undone};
use arrayvec::ArrayVec;
use std::hash::{DefaultHasher, Hash, Hasher};
use vntag::ethernet::ADDRESSES;
use vntag::head::HEADROOM;
use vntag::offload::{Checksum, HEADERS_MAX, NetHeader, Offload, Segmentation, Size};
use vntag::{Head, NivTag};

/// Octets of the finished frames of a burst, headers of segments apart. The longest frame of a guest fits.
const ROOM: usize = 384 << 10;
/// Octets for the headers of a segment, with the tags that are put in.
const SLOT: usize = HEADERS_MAX + HEADROOM;

/// How far the super-frame at the front of a guest's ring has gone.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Begun {
    /// Segments that were sent.
    segments: usize,
    /// Of which frame: another guest may be in the ring by now.
    of: u64,
}

impl Begun {
    /// So many segments of this frame were sent.
    pub(super) fn of(frame: &Frame<'_>, segments: usize) -> Self {
        if segments == 0 { Self::default() } else { Self { segments, of: fingerprint(frame) } }
    }

    /// With which segment to begin this frame.
    fn next(self, frame: &Frame<'_>) -> usize {
        if self.segments > 0 && self.of == fingerprint(frame) { self.segments } else { 0 }
    }
}

/// The same for a frame that is lent again. A super-frame that a guest sends twice has it twice; the second one is cut
/// in the same way.
fn fingerprint(frame: &Frame<'_>) -> u64 {
    let mut front = [0; HEADERS_MAX];
    let len = frame.data.copy_to(&mut front);
    let mut hasher = DefaultHasher::new();
    (frame.len(), frame.undone, front.get(..len)).hash(&mut hasher);
    hasher.finish()
}

/// By what the frames of a vNIC are judged.
#[derive(Clone, Copy)]
pub(super) struct Host<'a> {
    /// The active VIF.
    pub(super) source: Option<u32>,
    pub(super) vif: &'a VifParams,
    /// The link, if it takes frames.
    pub(super) link: Option<&'a dyn TxQueue>,
}

impl Host<'_> {
    /// Passes where there is a link that takes frames.
    #[inline(always)]
    pub(super) fn is_up(&self) -> Result<(), DropReason> {
        if self.link.is_some() { Ok(()) } else { Err(DropReason::LinkDown) }
    }
}

/// Room on a link: frames of a wire, and slots.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) frames: usize,
    pub(super) slots: usize,
}

/// A frame for the link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finished {
    /// Which segment of its super-frame.
    pub(super) segment: usize,
    /// Octets of it on a wire, without the tags that were put in.
    pub(super) octets: u32,
    /// Of how many frames of a wire.
    pub(super) frames: u32,
    /// It is the whole frame as it was lent: with this left undone, which is said of the frame with its tags.
    pub(super) undone: Option<Undone>,
    /// Octets of its headers in their slot; 0 where its head is in `Bench::heads`.
    headers: usize,
    start: usize,
    end: usize,
}

/// Slots of a link that a frame of so many octets takes at the most, once tags are put in.
pub(super) fn slots(len: usize) -> usize {
    (len + HEADROOM).div_ceil(ORDINARY)
}

/// What came of an unfinished frame.
pub(super) enum Finishing {
    /// All of it is finished.
    Whole,
    /// There was no room for this segment.
    UpTo(usize),
}

/// The finished frames of a burst.
#[derive(Default)]
pub(super) struct Finish {
    /// [`BURST`] slots.
    headers: Vec<u8>,
    octets: Vec<u8>,
    used: usize,
    frames: ArrayVec<Finished, BURST>,
}

impl Finish {
    /// A burst begins.
    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.frames.clear();
    }

    /// Frames finished in this burst.
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    #[inline]
    pub(super) fn get(&self, nth: usize) -> Option<&Finished> {
        self.frames.get(nth)
    }

    /// A frame to be sent. `head` is the one it was judged by, `rest` what of the frame as it was lent is behind that.
    pub(super) fn out<'a>(
        &'a self,
        nth: usize,
        finished: &Finished,
        head: &'a Head,
        rest: ::link::Gather<'a>,
    ) -> OutFrame<'a> {
        if finished.undone.is_some() {
            return OutFrame { undone: finished.undone, ..OutFrame::complete(head.bytes(), rest) };
        }
        let slot = self.headers.get(nth * SLOT..).and_then(|slot| slot.get(..finished.headers));
        let body = self.octets.get(finished.start..finished.end).unwrap_or_default();
        let head = if finished.headers == 0 { head.bytes() } else { slot.unwrap_or_default() };
        OutFrame::complete(head, ::link::Gather::one(Seg::from_slice(body)))
    }

    /// Finishes a frame or leaves it as it is, judges it, and appends what comes of it: as far as there is `room`. `head` and `loaded` become those
    /// of the frame.
    ///
    /// # Errors
    /// Why it is dropped.
    pub(super) fn frame<T: NivTag>(
        &mut self,
        (frame, undone): (&Frame<'_>, &Undone),
        (head, loaded): (&mut Head, &mut u8),
        host: Host<'_>,
        begun: Begun,
        room: Room,
    ) -> Result<Finishing, DropReason> {
        if self.octets.is_empty() {
            self.octets.resize(ROOM, 0);
            self.headers.resize(BURST * SLOT, 0);
        }
        let mut front = [0; HEADERS_MAX];
        let len = frame.data.copy_to(&mut front);
        let front = front.get(..len).unwrap_or_default();
        *loaded = load(head, front);
        let header = NetHeader::from_bytes(undone.to_bytes());
        let begun = begun.next(frame);
        let private = front.get(..usize::from(*loaded)).unwrap_or_default();
        if begun == 0
            && let Some(link) = host.link
            && link.takes(undone, frame.len() + HEADROOM)
            && let Some(size @ Size { header: Some(header), .. }) =
                Size::waiting(&header, private, frame.len())
        {
            up::judge::<T>(head, size.longest, host.source, host.vif)?;
            return Ok(self.whole((&header, &size), frame.len(), head, room));
        }
        match Offload::of(&header, front, frame.len()).map_err(|_| DropReason::HostOffload)? {
            Some(Offload::Cut(cut)) => {
                up::judge::<T>(head, cut.longest(), host.source, host.vif)?;
                host.is_up()?;
                let inserted = head.bytes().len() - usize::from(*loaded);
                self.segments(frame, cut, (head, front, inserted), begun, room.frames)
            }
            Some(Offload::Checksum(checksum)) => {
                self.checksum::<T>(frame, Some(checksum), (head, loaded), host)
            }
            None => self.checksum::<T>(frame, None, (head, loaded), host),
        }
    }

    /// Passes a frame on as it is, with what was said to be undone in it before tags were put into `head`.
    fn whole(
        &mut self,
        (header, size): (&NetHeader, &Size),
        len: usize,
        head: &Head,
        room: Room,
    ) -> Finishing {
        // What may wait is in the head, so tags can move it.
        let undone = header.shifted(head.inserted()).unwrap_or(*header);
        if slots(len) > room.slots {
            return Finishing::UpTo(0);
        }
        self.frames.push(Finished {
            segment: 0,
            octets: size.octets as u32,
            frames: size.frames as u32,
            undone: Undone::from_bytes(undone.to_bytes()),
            headers: 0,
            start: 0,
            end: 0,
        });
        Finishing::Whole
    }

    /// Room for so many octets, if there is any now.
    fn take(&mut self, len: usize) -> Option<(usize, usize)> {
        let (start, end) = (self.used, self.used + len);
        if end > self.octets.len() {
            return None;
        }
        self.used = end;
        Some((start, end))
    }

    fn checksum<T: NivTag>(
        &mut self,
        frame: &Frame<'_>,
        checksum: Option<Checksum>,
        (head, loaded): (&mut Head, &mut u8),
        host: Host<'_>,
    ) -> Result<Finishing, DropReason> {
        let Some((start, end)) = self.take(frame.len()) else {
            // An empty store is large enough for every frame of a guest.
            return if self.used == 0 { Err(DropReason::HostOversize) } else { Ok(Finishing::UpTo(0)) };
        };
        let bytes = self.octets.get_mut(start..end).unwrap_or_default();
        frame.data.copy_to(bytes);
        if let Some(checksum) = checksum {
            checksum.complete(bytes);
        }
        // Judged as it is now: the checksum may have been written over what looked like a tag, or like none.
        *loaded = load(head, bytes);
        let judged = up::judge::<T>(head, bytes.len(), host.source, host.vif);
        if let Err(reason) = judged.and_then(|()| host.is_up()) {
            self.used = start;
            return Err(reason);
        }
        let octets = (end - start) as u32;
        let start = start + usize::from(*loaded);
        self.frames.push(Finished { segment: 0, octets, frames: 1, undone: None, headers: 0, start, end });
        Ok(Finishing::Whole)
    }

    fn segments(
        &mut self,
        frame: &Frame<'_>,
        cut: Segmentation,
        (head, front, inserted): (&Head, &[u8], usize),
        first: usize,
        most: usize,
    ) -> Result<Finishing, DropReason> {
        let own = cut.headers();
        let tagged = cut.behind_tags(inserted);
        let mut template = [0; SLOT];
        let tags = ADDRESSES + inserted;
        template[..tags].copy_from_slice(&head.bytes()[..tags]);
        template[tags..tagged.headers()].copy_from_slice(&front[ADDRESSES..own]);

        let size = (cut.longest() - own).max(1);
        let room = (self.octets.len() - self.used) / size;
        let end = cut.count().min(first + most.min(room).min(self.frames.remaining_capacity()));
        if first >= end {
            return Ok(Finishing::UpTo(first));
        }
        let payload = cut.payload_of(first..end);
        let Some((mut start, stop)) = self.take(payload.len()) else { return Ok(Finishing::UpTo(first)) };
        let bytes = self.octets.get_mut(start..stop).unwrap_or_default();
        frame.data.skip(payload.start).copy_to(bytes);
        let mut segments = tagged.segments(&template[..tagged.headers()], bytes, first);
        for segment in first..end {
            let slot = self.frames.len() * SLOT;
            let slot = self.headers.get_mut(slot..slot + SLOT).unwrap_or_default();
            // Everything was measured, so there is a next one.
            let Some(cut) = segments.next_into(slot) else { return Err(DropReason::HostOffload) };
            let end = start + cut.payload.len();
            let octets = (own + cut.payload.len()) as u32;
            self.frames.push(Finished {
                segment,
                octets,
                frames: 1,
                undone: None,
                headers: cut.headers,
                start,
                end,
            });
            start = end;
        }
        Ok(if end == cut.count() { Finishing::Whole } else { Finishing::UpTo(end) })
    }
}

/// Loads the first octets of a frame; says how many.
fn load(head: &mut Head, bytes: &[u8]) -> u8 {
    head.load(|room| {
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
        len
    }) as u8
}
