//! How a client divides its memory: all rings, then a buffer for each descriptor of all of them, then a place for a
//! [short](SHORT) frame for each.
//!
//! A buffer and its short place are one **place**, and have one number. In the beginning place `n` belongs to the `n`-th
//! descriptor; where both ends exchange, places wander ([`pool`](super::pool)).

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

    /// All places.
    pub(super) fn places(&self) -> Places {
        Places {
            first: self.first() as u32,
            short: (self.first() + self.count() * self.stride()) as u32,
            stride: self.stride() as u32,
            size: self.buffer_size,
            count: self.count() as u32,
        }
    }

    /// The places that belong to the descriptors of a ring in the beginning.
    pub(super) fn buffers(&self, ring: u16) -> Buffers {
        Buffers {
            places: self.places(),
            first: u32::from(ring) << self.log2_ring_size,
            mask: (1 << self.log2_ring_size) - 1,
        }
    }
}

/// All places of a client. In the only region it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    first: u32,
    short: u32,
    stride: u32,
    size: u32,
    count: u32,
}

impl Places {
    /// A place as an empty descriptor.
    #[inline]
    pub(super) fn empty(&self, place: u32) -> Desc {
        debug_assert!(place < self.count);
        let offset = self.first + place * self.stride;
        Desc { flags: 0, region: 0, length: self.size, offset, metadata: self.short(place) }
    }

    /// Where its short place begins.
    #[inline]
    pub(super) fn short(&self, place: u32) -> u32 {
        self.short + place * SHORT
    }

    /// The place whose buffer or short place begins there.
    #[inline]
    pub(super) fn at(&self, offset: u32) -> Option<u32> {
        // Apart, as only the second one takes a division.
        let (place, rest) = match offset.checked_sub(self.short) {
            Some(behind) => (behind / SHORT, behind % SHORT),
            None => {
                let behind = offset.checked_sub(self.first)?;
                (behind / self.stride, behind % self.stride)
            }
        };
        (place < self.count && rest == 0).then_some(place)
    }

    /// Octets of a buffer.
    pub(super) fn size(&self) -> u32 {
        self.size
    }
}

/// The places of the descriptors of one ring where they do not wander.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffers {
    places: Places,
    first: u32,
    mask: u16,
}

impl Buffers {
    /// The empty place of the descriptor with this (free-running) index.
    #[inline]
    pub(super) fn empty(&self, index: u16) -> Desc {
        self.places.empty(self.place(index))
    }

    /// Its number.
    #[inline]
    pub(super) fn place(&self, index: u16) -> u32 {
        self.first + u32::from(index & self.mask)
    }

    /// All places of the client.
    pub(super) fn places(&self) -> Places {
        self.places
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
    fn a_place_is_found_by_where_it_begins_and_nowhere_else() {
        let layout = Layout::new(2, 3, 200).unwrap();
        let places = layout.places();
        let mut found = 0;
        for offset in 0..layout.octets() as u32 + 200 {
            if let Some(place) = places.at(offset) {
                let empty = places.empty(place);
                assert!(offset == empty.offset || offset == empty.metadata, "{offset}");
                found += 1;
            }
        }
        assert_eq!(found, 2 * 16);
        assert_eq!(places.at(u32::MAX), None);
    }
}
