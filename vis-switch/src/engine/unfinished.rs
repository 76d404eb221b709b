//! Frames in which their sender left a checksum or segmentation to others: judged as they come in, passed on whole where
//! the way out takes that, finished where it does not.
//!
//! ```text
//!  recv --> Odd: sums at once what may not wait --> Sizes: how much each one is on a wire --> the stages --> outbox
//! ```
//!
//! A super-frame is switched once and *counts* as the frames that it stands for: in every counter, towards the MTU, and where
//! it is dropped. What a burst of complete frames pays for all of this is one look at each frame.

use link::{BURST, Frame, Gather, RxBurst, Seg, Undone};
use vntag::offload::{HEADERS_MAX, NetHeader, Offload, Size};

/// The sizes of a burst.
pub(super) struct Sizes {
    /// Some frame of the burst is unfinished; else nothing below means anything.
    any: bool,
    of: Box<[Size; BURST]>,
}

impl Sizes {
    pub(super) fn new() -> Self {
        Self { any: false, of: Box::new([Size::complete(0); BURST]) }
    }

    /// A burst begins.
    #[inline]
    pub(super) fn begin(&mut self, burst: &[Frame<'_>]) {
        self.any = burst.iter().any(|frame| frame.undone.is_some());
        if self.any {
            self.measure(burst);
        }
    }

    #[cold]
    fn measure(&mut self, burst: &[Frame<'_>]) {
        for (size, frame) in self.of.iter_mut().zip(burst) {
            *size = Size::complete(frame.len());
        }
    }

    /// Some frame of the burst is unfinished.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.any
    }

    /// Judges what is said to be undone in a frame with this private `head`; its size is that from now on. `None`: it is not so,
    /// or it may not wait until the frame has gone through the stages.
    #[cold]
    pub(super) fn judge(
        &mut self,
        index: u8,
        undone: &Undone,
        frame: &Frame<'_>,
        head: &[u8],
    ) -> Option<Size> {
        let header = NetHeader::from_bytes(undone.to_bytes());
        let (mut front, mut end) = ([0; HEADERS_MAX], head.len());
        front.get_mut(..end)?.copy_from_slice(head);
        end += frame.data.skip(end).copy_to(front.get_mut(end..)?);
        let size = Size::waiting(&header, front.get(..end)?, frame.len())?;
        *self.of.get_mut(usize::from(index))? = size;
        Some(size)
    }

    /// The size of a frame; only of a burst that has [`any`](Self::any) unfinished one.
    pub(super) fn get(&self, index: u8) -> Size {
        self.of.get(usize::from(index)).copied().unwrap_or(Size::complete(0))
    }

    /// As how many frames it counts.
    #[inline]
    pub(super) fn frames(&self, index: u8) -> u64 {
        if self.any { self.get(index).frames as u64 } else { 1 }
    }
}

/// Frames with a checksum that is not at its place in a TCP or UDP header, as tunnels have them: nobody behind the stages may
/// write where it says, so it is completed in front of them.
#[derive(Default)]
pub(super) struct Odd {
    octets: Vec<u8>,
    /// Which frames, and where in `octets`.
    frames: Vec<(usize, core::ops::Range<usize>)>,
}

impl Odd {
    /// Completes those of the burst.
    #[inline]
    pub(super) fn complete<'a>(&'a mut self, burst: &mut RxBurst<'a>) {
        if burst.iter().any(|frame| frame.undone.is_some()) {
            self.complete_all(burst);
        }
    }

    #[cold]
    fn complete_all<'a>(&'a mut self, burst: &mut RxBurst<'a>) {
        self.octets.clear();
        self.frames.clear();
        for (index, frame) in burst.iter().enumerate() {
            if let Some(undone) = &frame.undone {
                self.sum(index, undone, frame);
            }
        }
        let Self { octets, frames } = self;
        for (index, at) in frames.iter() {
            if let (Some(frame), Some(octets)) = (burst.get_mut(*index), octets.get(at.clone())) {
                *frame = Frame::complete(Gather::one(Seg::from_slice(octets)));
            }
        }
    }

    /// Keeps a completed copy of the frame, if it is an odd one. The copy is judged again like any frame.
    fn sum(&mut self, index: usize, undone: &Undone, frame: &Frame<'_>) {
        let header = NetHeader::from_bytes(undone.to_bytes());
        let mut front = [0; HEADERS_MAX];
        let len = frame.data.copy_to(&mut front);
        let front = front.get(..len).unwrap_or_default();
        if let Ok(Some(Offload::Checksum(checksum))) = Offload::of(&header, front, frame.len())
            && !checksum.is_transport(front)
        {
            let at = self.octets.len()..self.octets.len() + frame.len();
            self.octets.resize(at.end, 0);
            let copy = self.octets.get_mut(at.clone()).unwrap_or_default();
            frame.data.copy_to(copy);
            checksum.complete(copy);
            self.frames.push((index, at));
        }
    }
}
