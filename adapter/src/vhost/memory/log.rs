//! The dirty log: the front end's bitmap of guest pages that were written, for live migration.
//!
//! ```text
//!   page n of guest physical memory   bit n % 8 of octet n / 8
//! ```
//!
//! While the guest runs, the front end takes bits out (atomically, a word at a time) and copies the pages that
//! they name. So a page is marked *after* it was written: a bit that is set before can be taken, and the page
//! copied, too early. A bit that is set already need not be set again, if it is looked at after the write has
//! become visible: that is what the barrier in [`DirtyLog::marks`] is for, one for any number of pages.

use super::shared::{ShareError, Shared};
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// Octets of guest memory for which one bit stands (`VHOST_LOG_PAGE`).
pub const LOG_PAGE: u64 = 4096;

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

    /// For marking what this thread has written up to now.
    pub(crate) fn marks(&self) -> Marks<'_> {
        fence(Ordering::SeqCst);
        Marks { log: self, last: None, pages: 0, outside: 0 }
    }
}

/// Marks pages that were written before it was made.
pub(crate) struct Marks<'a> {
    log: &'a DirtyLog,
    /// The page that was marked last: the next one often is the same.
    last: Option<u64>,
    pages: u64,
    outside: u64,
}

impl Marks<'_> {
    /// Marks the pages of `len` octets at guest physical `addr`.
    #[inline]
    pub(crate) fn range(&mut self, addr: u64, len: u64) {
        let Some(more) = len.checked_sub(1) else { return };
        let (first, last) = (addr / LOG_PAGE, addr.saturating_add(more) / LOG_PAGE);
        for page in first..=last {
            if self.last != Some(page) {
                self.page(page);
            }
        }
    }

    #[inline]
    fn page(&mut self, page: u64) {
        self.last = Some(page);
        let at = page / 8;
        if at >= self.log.octets {
            self.outside += 1;
            return;
        }
        // SAFETY: at < octets, and as many are mapped there while the log lives; an octet is always aligned. The
        // front end races with atomic accesses only.
        let octet = unsafe { AtomicU8::from_ptr(self.log.shared.host().as_ptr().add(at as usize)) };
        let bit = 1 << (page % 8);
        if octet.load(Ordering::Relaxed) & bit == 0 {
            octet.fetch_or(bit, Ordering::Release);
            self.pages += 1;
        }
    }

    /// Whether a bit was set.
    pub(crate) fn is_news(&self) -> bool {
        self.pages > 0
    }
}

impl Drop for Marks<'_> {
    fn drop(&mut self) {
        for (count, counter) in
            [(self.pages, &self.log.counters.pages), (self.outside, &self.log.counters.outside)]
        {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
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
            offset in 0u64..5000,
            writes in prop::collection::vec((prop_oneof![0u64..200 << 12, Just(u64::MAX - 5)], 0u64..9000), 0..20),
        ) {
            const OCTETS: u64 = 16;
            let file = memfd_create("log", MemfdFlags::CLOEXEC).unwrap();
            ftruncate(&file, offset + OCTETS + 8).unwrap();
            let counters = Arc::new(LogCounters::default());
            let log = DirtyLog::map(file.as_fd(), offset, OCTETS, Arc::clone(&counters)).unwrap();
            let mut wanted = BTreeSet::new();
            let mut marks = log.marks();
            for (addr, len) in &writes {
                marks.range(*addr, *len);
                let end = u128::from(*addr) + u128::from(*len);
                wanted.extend((0..OCTETS * 8).filter(|page| {
                    u128::from(*addr) < u128::from((page + 1) * LOG_PAGE) && end > u128::from(page * LOG_PAGE) && *len > 0
                }));
            }
            drop(marks);
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
