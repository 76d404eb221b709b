//! The dirty log: the front end's bitmap of guest pages that were written, for live migration.
//!
//! ```text
//!   page n of guest physical memory   bit n % 8 of octet n / 8
//! ```
//!
//! While the guest runs, the front end takes bits out (atomically, a word at a time) and copies the pages that
//! they name. So a page is marked *after* it was written: a bit that is set before can be taken, and the page
//! copied, too early. A bit that is set already need not be set again, if it is looked at after the write has
//! become visible: that is what the barrier in [`DirtyLog::mark`] is for, one for any number of pages.

use super::shared::{ShareError, Shared};
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};
use link::BURST;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// Octets of guest memory for which one bit stands (`VHOST_LOG_PAGE`).
pub const LOG_PAGE: u64 = 4096;

/// Pages that have their bits in one word.
const WORD: u64 = u64::BITS as u64;

/// What was counted of the dirty logs of a vNIC.
#[derive(Debug, Default)]
pub struct LogCounters {
    /// Bits that were set.
    pub pages: AtomicU64,
    /// Pages written that the log has no bit for.
    pub outside: AtomicU64,
}

/// A mapped dirty log.
#[derive(Debug)]
pub struct DirtyLog {
    shared: Shared,
    octets: u64,
    counters: Arc<LogCounters>,
}

impl DirtyLog {
    /// Maps the log of `octets` octets at `offset` of `file`.
    ///
    /// # Errors
    /// When it cannot lie in the file, or the kernel refuses.
    pub fn map(
        file: BorrowedFd<'_>,
        offset: u64,
        octets: u64,
        counters: Arc<LogCounters>,
    ) -> Result<Self, ShareError> {
        Ok(Self { shared: Shared::map(file, offset, octets)?, octets, counters })
    }

    /// Its file was cut off.
    pub(crate) fn is_lost(&self) -> bool {
        self.shared.is_lost()
    }

    /// Marks pages that this thread has written; a barrier in any case. Says whether there is news: a bit that was not set.
    #[inline]
    pub(crate) fn mark(&self, pages: impl Iterator<Item = Stretch>) -> bool {
        fence(Ordering::SeqCst);
        let mut tally = Tally::default();
        for Stretch { first, last } in pages {
            let end = last / WORD;
            let mut bits = u64::MAX << (first % WORD);
            for word in first / WORD..end {
                self.mark_word(word, bits, &mut tally);
                bits = u64::MAX;
            }
            self.mark_word(end, bits & u64::MAX >> (WORD - 1 - last % WORD), &mut tally);
        }
        tally.set | tally.outside != 0 && self.count(tally)
    }

    #[cold]
    fn count(&self, Tally { set, outside }: Tally) -> bool {
        self.counters.pages.fetch_add(set, Ordering::Relaxed);
        self.counters.outside.fetch_add(outside, Ordering::Relaxed);
        set > 0
    }

    /// Sets these bits of a word, as far as they are there.
    #[inline(always)]
    fn mark_word(&self, word: u64, bits: u64, tally: &mut Tally) {
        let is_set = |all: &AtomicU64| bits & !u64::from_le(all.load(Ordering::Relaxed)) == 0;
        if !self.word(word).is_some_and(is_set) {
            self.set_word(word, bits, tally);
        }
    }

    #[inline(never)]
    fn set_word(&self, word: u64, bits: u64, tally: &mut Tally) {
        if let Some(all) = self.word(word) {
            let before = u64::from_le(all.fetch_or(bits.to_le(), Ordering::Release));
            tally.set += u64::from((bits & !before).count_ones());
        } else {
            self.set_octets(8 * word, bits, tally);
        }
    }

    /// A word of the log, unless it is not wholly there, or not aligned: a log may begin at any place, and end.
    #[inline(always)]
    fn word(&self, word: u64) -> Option<&AtomicU64> {
        let at = 8 * word;
        let host = self.shared.host();
        // SAFETY: at + 8 <= octets, and as many are mapped there while the log lives; `host` is aligned, so is the word. The
        // front end races with atomic accesses only.
        (at + 8 <= self.octets && host.cast::<AtomicU64>().is_aligned())
            .then(|| unsafe { AtomicU64::from_ptr(host.as_ptr().add(at as usize).cast()) })
    }

    /// The same octet by octet.
    #[cold]
    fn set_octets(&self, at: u64, bits: u64, tally: &mut Tally) {
        for (n, part) in (0..).zip(bits.to_le_bytes()) {
            if part == 0 {
                continue;
            }
            if at + n >= self.octets {
                tally.outside += u64::from(part.count_ones());
                continue;
            }
            // SAFETY: at + n < octets, and as many are mapped there while the log lives; an octet is always aligned. The
            // front end races with atomic accesses only.
            let octet = unsafe { AtomicU8::from_ptr(self.shared.host().as_ptr().add((at + n) as usize)) };
            tally.set += u64::from((part & !octet.fetch_or(part, Ordering::Release)).count_ones());
        }
    }
}

/// What became of pages: for [`LogCounters`].
#[derive(Default)]
struct Tally {
    set: u64,
    outside: u64,
}

/// Pages that follow each other, by their numbers: what a loop over buffers keeps in registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    first: u64,
    last: u64,
}

impl Stretch {
    /// No pages; none is the next one.
    pub(crate) const NONE: Self = Self { first: u64::MAX - 1, last: u64::MAX - 1 };

    /// The pages of `len` octets, not 0, at guest physical `addr`, which do not end beyond 64 bits.
    #[inline(always)]
    pub(crate) fn of(addr: u64, len: u64) -> Self {
        Self { first: addr / LOG_PAGE, last: addr.wrapping_add(len - 1) / LOG_PAGE }
    }

    /// The same for any `len` octets: those beyond 64 bits are none.
    #[inline]
    pub(crate) fn of_any(addr: u64, len: u64) -> Option<Self> {
        let more = len.checked_sub(1)?;
        Some(Self { first: addr / LOG_PAGE, last: addr.saturating_add(more) / LOG_PAGE })
    }

    /// It is one page.
    pub(crate) fn is_one(self) -> bool {
        self.first == self.last
    }

    /// Takes those pages, too, if they go on where it ends, or where it begins: guests take buffers from either end of a pool.
    #[inline(always)]
    #[must_use]
    pub(crate) fn extend(&mut self, by: Self) -> bool {
        if by.first.wrapping_sub(self.last) <= 1 {
            self.last = by.last;
            true
        } else if self.first.wrapping_sub(by.last) <= 1 {
            self.first = by.first;
            true
        } else {
            false
        }
    }
}

/// Pages that were written and are not marked yet: buffers beside each other are one stretch, and one look at the log for each
/// of its words.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    stretches: ArrayVec<Stretch, BURST>,
    /// There is news of those that were too many and are marked already.
    news: bool,
}

impl Pages {
    /// These were written. Where there are too many stretches already, they are marked.
    pub(crate) fn add(&mut self, log: &DirtyLog, stretch: Stretch) {
        let none = stretch.first == Stretch::NONE.first;
        if none || self.stretches.last_mut().is_some_and(|before| before.extend(stretch)) {
            return;
        }
        if self.stretches.is_full() {
            self.news |= log.mark(self.stretches.iter().copied());
            self.stretches.clear();
        }
        self.stretches.push(stretch);
    }

    /// Marks them; they are done with then. Says whether there is news.
    #[inline]
    pub(crate) fn mark(&mut self, log: &DirtyLog) -> bool {
        if self.stretches.is_empty() {
            return false;
        }
        let news = log.mark(self.stretches.iter().copied());
        self.stretches.clear();
        news | core::mem::take(&mut self.news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use rustix::io::pread;
    use std::collections::BTreeSet;
    use std::os::fd::AsFd;

    proptest! {
        /// The bits against a set of pages; the octets around the log stay as they are.
        #[test]
        fn exactly_the_pages_written_are_marked(
            offset in prop_oneof![0u64..5000, (0u64..600).prop_map(|word| 8 * word)],
            writes in prop::collection::vec((prop_oneof![0u64..200 << 12, Just(u64::MAX - 5)], 0u64..9000), 0..20),
        ) {
            const OCTETS: u64 = 20;
            let file = memfd_create("log", MemfdFlags::CLOEXEC).unwrap();
            ftruncate(&file, offset + OCTETS + 8).unwrap();
            let counters = Arc::new(LogCounters::default());
            let log = DirtyLog::map(file.as_fd(), offset, OCTETS, Arc::clone(&counters)).unwrap();
            let mut wanted = BTreeSet::new();
            let mut pages = Pages::default();
            for (addr, len) in &writes {
                if let Some(stretch) = Stretch::of_any(*addr, *len) {
                    pages.add(&log, stretch);
                }
                let end = u128::from(*addr) + u128::from(*len);
                wanted.extend((0..OCTETS * 8).filter(|page| {
                    u128::from(*addr) < u128::from((page + 1) * LOG_PAGE) && end > u128::from(page * LOG_PAGE) && *len > 0
                }));
            }
            prop_assert_eq!(pages.mark(&log), !wanted.is_empty());
            let mut octets = vec![0; (offset + OCTETS + 8) as usize];
            pread(&file, &mut octets[..], 0).unwrap();
            let found: BTreeSet<u64> = (0..octets.len() as u64 * 8)
                .filter(|bit| octets[(bit / 8) as usize] & 1 << (bit % 8) != 0)
                .map(|bit| bit.wrapping_sub(offset * 8))
                .collect();
            prop_assert_eq!(counters.pages.load(Ordering::Relaxed), wanted.len() as u64);
            prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn a_log_that_its_file_does_not_have_is_refused() {
        let file = memfd_create("log", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&file, 4096).unwrap();
        for (offset, octets) in [(0, 0), (0, 4097), (4096, 1), (u64::MAX, 2), (u64::MAX - 4095, 4096)] {
            assert!(DirtyLog::map(file.as_fd(), offset, octets, Arc::default()).is_err());
        }
    }
}
