//! The private copy of a frame's first octets, in which tags come and go.

use crate::ethernet::ADDRESSES;

/// Octets of a frame that are copied and judged.
pub const HEAD_MAX: usize = 128;
/// Room in front of them for tags to be inserted (VNTag or E-TAG, and a priority tag).
pub const HEADROOM: usize = 16;

/// The first octets of a frame, up to [`HEAD_MAX`], with headroom in front.
///
/// ```text
/// loaded:    |   headroom (16)   | DA, SA (12) | rest ...
/// inserted:  | headroom (10) | DA, SA (12) | tag (6) | rest ...
/// ```
///
/// Tags sit directly after the addresses, so inserting or removing one moves the 12 octets of the addresses
/// and nothing else.
#[derive(Clone, Debug)]
pub struct Head {
    buf: [u8; HEADROOM + HEAD_MAX],
    start: usize,
    end: usize,
}

impl Default for Head {
    fn default() -> Self {
        Self { buf: [0; HEADROOM + HEAD_MAX], start: HEADROOM, end: HEADROOM }
    }
}

impl Head {
    /// Takes over a new frame: `fill` copies its first octets in and says how many it copied.
    #[inline]
    pub fn load(&mut self, fill: impl FnOnce(&mut [u8]) -> usize) -> usize {
        self.start = HEADROOM;
        let taken = fill(&mut self.buf[HEADROOM..]).min(HEAD_MAX);
        self.end = HEADROOM + taken;
        taken
    }

    /// The octets as they are now.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    /// The octets, to be changed in place.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Puts `tag` directly after the addresses. `false`, and nothing changed, where the head has no addresses
    /// or the headroom is used up.
    #[inline(always)]
    #[must_use]
    pub fn insert(&mut self, tag: &[u8]) -> bool {
        if self.end - self.start < ADDRESSES || tag.len() > self.start {
            return false;
        }
        let to = self.start - tag.len();
        if !self.move_addresses(to) {
            return false;
        }
        self.buf[to + ADDRESSES..self.start + ADDRESSES].copy_from_slice(tag);
        self.start = to;
        true
    }

    /// Takes `len` octets out directly after the addresses. `false`, and nothing changed, where there are not
    /// so many.
    #[inline(always)]
    #[must_use]
    pub fn remove(&mut self, len: usize) -> bool {
        if ADDRESSES.checked_add(len).is_none_or(|needed| self.end - self.start < needed) {
            return false;
        }
        let to = self.start + len;
        let moved = self.move_addresses(to);
        self.start = if moved { to } else { self.start };
        moved
    }

    /// Copies the addresses to another place; in registers, for a call costs more than that.
    #[inline(always)]
    fn move_addresses(&mut self, to: usize) -> bool {
        let from = self.buf.get(self.start..).and_then(<[u8]>::first_chunk::<ADDRESSES>).copied();
        let place = self.buf.get_mut(to..).and_then(<[u8]>::first_chunk_mut::<ADDRESSES>);
        if let (Some(addresses), Some(place)) = (from, place) {
            *place = addresses;
            return true;
        }
        false
    }

    /// Octets more in front of what stands behind the addresses than when it was loaded; less, where that is negative.
    #[must_use]
    #[inline]
    pub fn inserted(&self) -> isize {
        HEADROOM as isize - self.start as isize
    }

    /// Puts zeros behind the last octet until there are `len`. For a head that holds its whole frame.
    #[inline]
    pub fn pad_to(&mut self, len: usize) {
        let end = (self.start + len).min(self.buf.len());
        if let Some(gap) = self.buf.get_mut(self.end..end) {
            gap.fill(0);
            self.end = end;
        }
    }
}
