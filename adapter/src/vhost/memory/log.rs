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

    /// Marks what this thread has written up to now. These pages are done with then.
    pub(crate) fn mark(&self, pages: &mut Pages) {
        let last = (pages.word, core::mem::take(&mut pages.bits));
        if last.1 == 0 && pages.words.is_empty() {
            return;
        }
        fence(Ordering::SeqCst);
        let (mut set, mut outside) = (0, 0);
        for (word, bits) in pages.words.drain(..).chain([last]) {
            set += u64::from(self.mark_word(word, bits, &mut outside).count_ones());
        }
        for (count, counter) in [(set, &self.counters.pages), (outside, &self.counters.outside)] {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
        pages.news |= set > 0;
    }

    /// Sets these bits of a word, as far as they are there; those that were not set before.
    #[inline]
    fn mark_word(&self, word: u64, bits: u64, outside: &mut u64) -> u64 {
        let at = 8 * word;
        let host = self.shared.host();
        if at + 8 > self.octets || !host.cast::<AtomicU64>().is_aligned() {
            return self.mark_octets(at, bits, outside);
        }
        // SAFETY: at + 8 <= octets, and as many are mapped there while the log lives; `host` is aligned, so is the word. The
        // front end races with atomic accesses only.
        let all = unsafe { AtomicU64::from_ptr(host.as_ptr().add(at as usize).cast()) };
        if bits & !u64::from_le(all.load(Ordering::Relaxed)) == 0 {
            return 0;
        }
        bits & !u64::from_le(all.fetch_or(bits.to_le(), Ordering::Release))
    }

    /// The same octet by octet: where the log begins at any place, or ends.
    #[cold]
    fn mark_octets(&self, at: u64, bits: u64, outside: &mut u64) -> u64 {
        let mut set = 0;
        for (n, part) in (0..).zip(bits.to_le_bytes()) {
            if part == 0 {
                continue;
            }
            if at + n >= self.octets {
                *outside += u64::from(part.count_ones());
                continue;
            }
            // SAFETY: at + n < octets, and as many are mapped there while the log lives; an octet is always aligned. The
            // front end races with atomic accesses only.
            let octet = unsafe { AtomicU8::from_ptr(self.shared.host().as_ptr().add((at + n) as usize)) };
            set |= u64::from(part & !octet.fetch_or(part, Ordering::Release)) << (8 * n);
        }
        set
    }
}

/// Pages that were written and are not marked yet, by the words of the log that have their bits: neighbours cost one look at
/// the log.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// Numbers of words, and bits in them.
    words: ArrayVec<(u64, u64), BURST>,
    /// The last one, which often has the next page, too.
    word: u64,
    bits: u64,
    news: bool,
}

impl Pages {
    /// `len` octets at guest physical `addr` were written. Where there are too many already, they are marked.
    #[inline(always)]
    pub(crate) fn add(&mut self, log: &DirtyLog, addr: u64, len: u64) {
        let Some(more) = len.checked_sub(1) else { return };
        let (first, last) = (addr / LOG_PAGE, addr.saturating_add(more) / LOG_PAGE);
        if first / WORD == self.word && last / WORD == self.word && last - first <= 1 {
            self.bits |= 1 << (first % WORD) | 1 << (last % WORD);
        } else {
            self.add_elsewhere(log, first, last);
        }
    }

    #[inline(never)]
    fn add_elsewhere(&mut self, log: &DirtyLog, first: u64, last: u64) {
        for page in first..=last {
            if page / WORD != self.word && self.bits != 0 {
                if self.words.is_full() {
                    log.mark(self);
                } else {
                    self.words.push((self.word, core::mem::take(&mut self.bits)));
                }
            }
            self.word = page / WORD;
            self.bits |= 1 << (page % WORD);
        }
    }

    /// Whether a bit was set since this was last asked.
    pub(crate) fn take_news(&mut self) -> bool {
        core::mem::take(&mut self.news)
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
                pages.add(&log, *addr, *len);
                let end = u128::from(*addr) + u128::from(*len);
                wanted.extend((0..OCTETS * 8).filter(|page| {
                    u128::from(*addr) < u128::from((page + 1) * LOG_PAGE) && end > u128::from(page * LOG_PAGE) && *len > 0
                }));
            }
            log.mark(&mut pages);
            prop_assert_eq!(pages.take_news(), !wanted.is_empty());
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
