//! How much an unfinished frame is on a wire.

use super::{NetHeader, Offload};

/// What a frame is on a wire: one frame, or those that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Frames.
    pub frames: usize,
    /// Octets of all of them.
    pub octets: usize,
    /// Octets of the longest one.
    pub longest: usize,
    /// What is undone.
    pub header: Option<NetHeader>,
}

impl Size {
    /// That of a frame of `len` octets in which nothing is left to do.
    #[must_use]
    #[inline]
    pub const fn complete(len: usize) -> Self {
        Self { frames: 1, octets: len, longest: len, header: None }
    }

    /// That of a frame of `len` octets of which `header` says what is undone. `front` is a private copy of its first octets.
    /// `None`: that is not so, or it [may not wait](Offload::may_wait).
    #[must_use]
    pub fn waiting(header: &NetHeader, front: &[u8], len: usize) -> Option<Self> {
        let Some(offload) = Offload::of(header, front, len).ok()? else { return Some(Self::complete(len)) };
        if !offload.may_wait(front) {
            return None;
        }
        let frames = offload.frames();
        Some(Self {
            frames,
            octets: len + (frames - 1) * offload.repeated(),
            longest: offload.longest(len),
            header: Some(offload.header(header)),
        })
    }

    /// The octets where each frame is `inserted` octets longer, or shorter where that is negative.
    #[must_use]
    pub fn octets_with(&self, inserted: isize) -> usize {
        self.octets.saturating_add_signed(inserted * self.frames as isize)
    }
}
