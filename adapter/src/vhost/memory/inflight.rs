//! What a split ring's device has taken and not given back, kept where it outlives the device: the in-flight region of
//! vhost-user ("Inflight I/O tracking", split virtqueue).
//!
//! ```text
//!   ring n at n x stride   features u64, version u16, desc_num u16, last_batch_head u16, used_idx u16
//!                          size x { inflight u8, 5 octets, next u16, counter u64 }
//! ```
//!
//! The front end keeps the file and hands it to the next device. It may write what it likes in there: all that is
//! read is a number that is bounded by whoever uses it.

use super::shared::{ShareError, Shared};
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Version of the format.
const VERSION: u16 = 1;

/// Octets before the descriptors' states, and of each of those.
const HEAD: usize = 16;
const STATE: usize = 16;

/// The in-flight states of all rings of a connection.
#[derive(Debug)]
pub struct InflightRegion {
    shared: Shared,
    rings: u16,
    size: u16,
}

impl InflightRegion {
    /// Octets for so many rings of `size` slots.
    fn octets(rings: u16, size: u16) -> u64 {
        u64::from(rings) * Self::stride(size) as u64
    }

    fn stride(size: u16) -> usize {
        (HEAD + STATE * usize::from(size)).next_multiple_of(64)
    }

    /// A file for so many rings of `size` slots, and its octets. All is zero: nothing is in flight.
    pub(crate) fn create(rings: u16, size: u16) -> Result<(OwnedFd, u64), ShareError> {
        let octets = Self::octets(rings, size);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create("vhost-inflight", flags).map_err(ShareError::Map)?;
        ftruncate(&file, octets).map_err(ShareError::Map)?;
        // As its user would be refused or not.
        Self::map(file.as_fd(), 0, octets, rings, size)?;
        Ok((file, octets))
    }

    /// Maps a file that was made for so many rings of `size` slots.
    pub(crate) fn map(
        file: BorrowedFd<'_>,
        offset: u64,
        octets: u64,
        rings: u16,
        size: u16,
    ) -> Result<Self, ShareError> {
        if size == 0 {
            return Err(ShareError::Range);
        }
        let needed = Self::octets(rings, size);
        if octets < needed || !offset.is_multiple_of(64) {
            return Err(ShareError::FileTooShort { needed, has: octets });
        }
        Ok(Self { shared: Shared::map(file, offset, needed)?, rings, size })
    }
}

/// The in-flight state of one ring.
#[derive(Clone, Debug)]
pub struct Inflight {
    region: Arc<InflightRegion>,
    start: usize,
}

impl Inflight {
    /// That of ring `index` with `size` slots.
    pub(crate) fn of(region: &Arc<InflightRegion>, index: usize, size: u16) -> Option<Self> {
        let there = index < usize::from(region.rings) && size <= region.size;
        there.then(|| Self { region: Arc::clone(region), start: index * InflightRegion::stride(region.size) })
    }

    /// Its file was cut off.
    pub(crate) fn is_lost(&self) -> bool {
        self.region.shared.is_lost()
    }

    fn word(&self, at: usize) -> &AtomicU16 {
        // SAFETY: at + 2 <= HEAD + STATE * size (callers: the fields of the head, or of a state below size), and the
        // stride, which is no less, is mapped at start while the region lives. Offsets of the file and starts are
        // multiples of 64, fields of 2. Others race with atomic accesses, or are the front end's to blame.
        unsafe { AtomicU16::from_ptr(self.region.shared.host().as_ptr().add(self.start + at).cast()) }
    }

    /// Where the state of this descriptor is; a number that is too large is that of the last one.
    fn state(&self, head: u16) -> usize {
        HEAD + STATE * usize::from(head.min(self.region.size - 1))
    }

    fn flag(&self, head: u16) -> &AtomicU8 {
        // SAFETY: as in `word`: an octet of a state below size.
        unsafe { AtomicU8::from_ptr(self.region.shared.host().as_ptr().add(self.start + self.state(head))) }
    }

    fn counter(&self, head: u16) -> &AtomicU64 {
        let at = self.start + self.state(head) + 8;
        // SAFETY: as in `word`: the last eight octets of a state below size, at a multiple of 8.
        unsafe { AtomicU64::from_ptr(self.region.shared.host().as_ptr().add(at).cast()) }
    }

    fn last_batch_head(&self) -> &AtomicU16 {
        self.word(12)
    }

    fn used_idx(&self) -> &AtomicU16 {
        self.word(14)
    }

    /// Takes over what a device left behind for a ring of `size` slots that is used up to `used`: the descriptors that
    /// were in flight, in the order in which they were taken. None are afterwards.
    pub(crate) fn take_over(&self, size: u16, used: u16) -> Vec<u16> {
        let known =
            self.word(8).load(Ordering::Acquire) == VERSION && self.word(10).load(Ordering::Relaxed) == size;
        if known {
            // Published, but not yet noted as done.
            let done = used.wrapping_sub(self.used_idx().load(Ordering::Relaxed));
            let mut head = self.last_batch_head().load(Ordering::Relaxed);
            for _ in 0..done.min(size) {
                self.flag(head).store(0, Ordering::Relaxed);
                head = self.word(self.state(head) + 6).load(Ordering::Relaxed);
            }
        }
        let mut left: Vec<(u64, u16)> = (0..size)
            .filter(|head| known && self.flag(*head).load(Ordering::Relaxed) == 1)
            .map(|head| (self.counter(head).load(Ordering::Relaxed), head))
            .collect();
        left.sort_unstable();
        (0..size).for_each(|head| self.flag(head).store(0, Ordering::Relaxed));
        self.word(10).store(size, Ordering::Relaxed);
        self.used_idx().store(used, Ordering::Relaxed);
        self.word(8).store(VERSION, Ordering::Release);
        left.into_iter().map(|(_, head)| head).collect()
    }

    /// These were taken, and have numbers from `counter` on.
    pub(crate) fn taken(&self, heads: &[u16], counter: u64) {
        for (n, head) in heads.iter().enumerate() {
            self.counter(*head).store(counter + n as u64, Ordering::Relaxed);
            self.flag(*head).store(1, Ordering::Release);
        }
    }

    /// These are about to be published.
    pub(crate) fn batch(&self, heads: &[u16]) {
        for head in heads {
            let before = self.last_batch_head().load(Ordering::Relaxed);
            self.word(self.state(*head) + 6).store(before, Ordering::Relaxed);
            self.last_batch_head().store(*head, Ordering::Release);
        }
    }

    /// The ring was published up to `used`, and these are in flight no more.
    pub(crate) fn done(&self, heads: &[u16], used: u16) {
        for head in heads {
            self.flag(*head).store(0, Ordering::Release);
        }
        self.used_idx().store(used, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(rings: u16, size: u16) -> (Arc<InflightRegion>, OwnedFd) {
        let (file, octets) = InflightRegion::create(rings, size).unwrap();
        (Arc::new(InflightRegion::map(file.as_fd(), 0, octets, rings, size).unwrap()), file)
    }

    #[test]
    fn what_was_taken_and_not_done_is_found_in_its_order() {
        let (shared, file) = region(2, 8);
        let ring = Inflight::of(&shared, 1, 8).unwrap();
        assert!(ring.take_over(8, 100).is_empty());
        ring.taken(&[3, 1, 7], 40);
        ring.batch(&[3]);
        ring.done(&[3], 101);
        // By whoever maps it next.
        let again = Arc::new(InflightRegion::map(file.as_fd(), 0, 2 * 192, 2, 8).unwrap());
        assert_eq!(Inflight::of(&again, 1, 8).unwrap().take_over(8, 101), [1, 7]);
        assert!(ring.take_over(8, 101).is_empty());
        // Published, and killed before that was noted.
        ring.taken(&[2, 6, 4], 50);
        ring.batch(&[2, 6]);
        assert_eq!(ring.take_over(8, 103), [4]);
        // The other ring knows nothing of all this, nor does one of another size.
        assert!(Inflight::of(&shared, 0, 8).unwrap().take_over(8, 0).is_empty());
        ring.taken(&[2], 60);
        assert!(ring.take_over(4, 103).is_empty());
        assert!(Inflight::of(&shared, 2, 8).is_none() && Inflight::of(&shared, 0, 16).is_none());
    }

    #[test]
    fn any_octets_are_taken_over() {
        let (shared, file) = region(1, 8);
        rustix::io::pwrite(&file, &[0xff; 144], 0).unwrap();
        let ring = Inflight::of(&shared, 0, 8).unwrap();
        ring.word(8).store(VERSION, Ordering::Relaxed);
        ring.word(10).store(8, Ordering::Relaxed);
        assert!(ring.take_over(8, 5).is_empty(), "only 1 is a flag");
        (0..8).for_each(|head| ring.flag(head).store(1, Ordering::Relaxed));
        assert!(ring.take_over(8, 5).len() <= 8);
        let map = |offset, octets| InflightRegion::map(file.as_fd(), offset, octets, 1, 8);
        assert!(
            map(0, 191).is_err()
                && map(8, 192).is_err()
                && map(64, 192).is_err()
                && map(u64::MAX - 63, 192).is_err()
        );
    }
}
