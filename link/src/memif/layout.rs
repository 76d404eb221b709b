//! How a client divides its memory: all rings, then a buffer for each descriptor of all of them, then a short place, for a
//! [short](SHORT) frame, for each.
//!
//! A short place belongs to its descriptor for good. So does a buffer, but where both ends exchange: there buffers wander
//! ([`pool`](super::pool)).

use super::message::MAX_LOG2_RING_SIZE;
use super::ring::{Desc, SHORT, octets};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Logarithm of the size of every ring.
    pub(super) log2_ring_size: u8,
    /// Octets of a buffer.
    pub(super) buffer_size: u32,
    rings: u16,
}

impl Layout {
    /// For this many rings of both directions together. `None` where 32-bit offsets do not reach the end.
    pub(super) fn new(rings: u16, log2_ring_size: u8, buffer_size: u32) -> Option<Self> {
        let layout = Self { log2_ring_size, buffer_size, rings };
        let fits = log2_ring_size <= MAX_LOG2_RING_SIZE && layout.octets() <= u64::from(u32::MAX);
        fits.then_some(layout)
    }

    fn ring_octets(&self) -> u64 {
        u64::from(octets(self.log2_ring_size)).next_multiple_of(64)
    }

    /// Octets from one buffer to the next: whole cache lines and an odd number of them, so that the beginnings of
    /// all buffers spread over the whole cache.
    fn stride(&self) -> u64 {
        (u64::from(self.buffer_size).div_ceil(64) | 1) * 64
    }

    /// Where the buffers begin.
    fn first(&self) -> u64 {
        u64::from(self.rings) * self.ring_octets()
    }

    fn count(&self) -> u64 {
        u64::from(self.rings) << self.log2_ring_size
    }

    /// Size of the region.
    pub(super) fn octets(&self) -> u64 {
        self.first() + self.count() * (self.stride() + u64::from(SHORT))
    }

    /// Where a ring begins.
    pub(super) fn ring(&self, ring: u16) -> u32 {
        (u64::from(ring) * self.ring_octets()) as u32
    }

    /// The places that belong to the descriptors of a ring, in the beginning.
    pub(super) fn buffers(&self, ring: u16) -> Buffers {
        let short = self.first() + self.count() * self.stride();
        Buffers {
            all: self.first() as u32,
            count: self.count() as u32,
            stride: self.stride() as u32,
            size: self.buffer_size,
            short: (short as u32) + (u32::from(ring) << self.log2_ring_size) * SHORT,
            first: u32::from(ring) << self.log2_ring_size,
            mask: (1 << self.log2_ring_size) - 1,
        }
    }
}

/// The places of the descriptors of one ring, in the only region of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffers {
    /// Where the buffers of all rings begin, and how many there are.
    all: u32,
    count: u32,
    stride: u32,
    size: u32,
    /// Where the short places of this ring begin.
    short: u32,
    /// The first buffer of this ring.
    first: u32,
    mask: u16,
}

impl Buffers {
    /// The empty places of the descriptor with this (free-running) index, where its buffer is its own.
    #[inline]
    pub(super) fn empty(&self, index: u16) -> Desc {
        self.with(index, self.own(index))
    }

    /// The same with a buffer that begins elsewhere.
    #[inline]
    pub(super) fn with(&self, index: u16, offset: u32) -> Desc {
        Desc { flags: 0, region: 0, length: self.size, offset, metadata: self.short(index) }
    }

    /// Where its own buffer begins.
    #[inline]
    pub(super) fn own(&self, index: u16) -> u32 {
        self.all + (self.first + u32::from(index & self.mask)) * self.stride
    }

    /// Where its short place begins.
    #[inline]
    pub(super) fn short(&self, index: u16) -> u32 {
        self.short + u32::from(index & self.mask) * SHORT
    }

    /// Whether a buffer of the client, of any ring, begins there.
    #[inline]
    pub(super) fn is_one(&self, offset: u32) -> bool {
        let behind = offset.checked_sub(self.all);
        behind.is_some_and(|behind| behind / self.stride < self.count && behind.is_multiple_of(self.stride))
    }

    /// Octets of a buffer.
    pub(super) fn size(&self) -> u32 {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_and_buffers_of_a_layout_do_not_touch() {
        let layout = Layout::new(3, 4, 100).unwrap();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for ring in 0..3 {
            ranges.push((layout.ring(ring).into(), octets(4).into()));
            let empty = |slot| layout.buffers(ring).empty(slot);
            ranges.extend((0..16).map(|slot| (empty(slot).offset.into(), 100)));
            ranges.extend((0..16).map(|slot| (empty(slot).metadata.into(), SHORT.into())));
        }
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            assert!(pair[0].0 + pair[0].1 <= pair[1].0);
        }
        let (at, len) = ranges[ranges.len() - 1];
        assert!(at + len <= layout.octets());
        assert!(ranges.iter().all(|(at, _)| at % 64 == 0));
    }

    #[test]
    fn a_layout_beyond_32_bits_is_refused() {
        assert!(Layout::new(2, 14, 65_000).is_some());
        assert!(Layout::new(4, 14, 65_536).is_none());
        assert!(Layout::new(1, 15, 64).is_none());
    }

    #[test]
    fn a_buffer_is_known_by_where_it_begins() {
        let layout = Layout::new(2, 3, 200).unwrap();
        let all: Vec<u32> = (0..16).map(|slot| layout.buffers(slot / 8).own(slot)).collect();
        let is_one = |offset: &u32| layout.buffers(1).is_one(*offset);
        let found: Vec<u32> = (0..layout.octets() as u32 + 200).filter(is_one).collect();
        assert_eq!(found, all);
        assert!(!is_one(&u32::MAX));
    }
}
