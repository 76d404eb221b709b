//! What a ring writes into guest memory, told to the dirty log.
//!
//! Buffers are noted while they are filled and marked together before their used elements become visible; the
//! used ring is marked after each publication. All of it happens under the ring's lock, so whoever has taken the
//! lock to change or end the log knows that nothing is missing in the former one.

use super::Ring;
use super::event;
use super::format::{Format, Written};
use crate::vhost::memory::{DirtyLog, Pages};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Which of a ring's writes are logged, and where.
#[derive(Clone, Debug)]
pub struct RingLog {
    /// The log.
    pub log: Arc<DirtyLog>,
    /// The buffers are logged (`VHOST_F_LOG_ALL`).
    pub buffers: bool,
    /// The used ring, or the device's event suppression of a packed ring, is logged as if it began at this guest physical
    /// address.
    pub used: Option<u64>,
    /// A packed ring, whose descriptors are written, is logged as if it began at this guest physical address.
    pub desc: Option<u64>,
    /// To be written when there is news in the log (`SET_LOG_FD`).
    pub news: Option<Arc<OwnedFd>>,
}

impl PartialEq for RingLog {
    fn eq(&self, other: &Self) -> bool {
        let fd = |log: &Self| log.news.as_ref().map(Arc::as_ptr);
        Arc::ptr_eq(&self.log, &other.log)
            && (self.buffers, self.used, self.desc, fd(self))
                == (other.buffers, other.used, other.desc, fd(other))
    }
}

/// The log of a running ring.
#[derive(Debug)]
pub(super) struct Logging {
    to: RingLog,
    /// The pages of buffers that were written and are not marked yet.
    written: Pages,
    /// Up to where was published last.
    published: u16,
}

impl Logging {
    pub(super) fn new(to: RingLog, published: u16) -> Self {
        Self { to, written: Pages::default(), published }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.to.log.is_lost()
    }

    /// `len` octets at guest physical `addr` were written.
    #[inline(always)]
    pub(super) fn wrote(&mut self, addr: u64, len: u32) {
        if self.to.buffers {
            self.written.add(&self.to.log, addr, len.into());
        }
    }

    #[inline(never)]
    fn mark_buffers(&mut self) {
        self.to.log.mark(&mut self.written);
        tell(&mut self.written, self.to.news.as_deref());
    }

    /// Marks parts of the ring, which were written.
    fn mark_used(&self, parts: &[Written]) {
        let mut pages = Pages::default();
        for part in parts {
            let Some(start) = (if part.desc { self.to.desc } else { self.to.used }) else { continue };
            // A front end's number: where it leads nowhere, there is no bit.
            pages.add(&self.to.log, start.saturating_add(part.offset), part.len);
        }
        self.to.log.mark(&mut pages);
        tell(&mut pages, self.to.news.as_deref());
    }
}

fn tell(pages: &mut Pages, news: Option<&OwnedFd>) {
    if let (true, Some(news)) = (pages.take_news(), news) {
        event::notify(news);
    }
}

impl<F: Format> Ring<F> {
    /// Publishes, with the log.
    #[inline(never)]
    pub(super) fn publish_logged(&mut self) {
        let Some(logging) = &mut self.logging else { return };
        logging.mark_buffers();
        self.format.publish(self.next);
        let from = core::mem::replace(&mut logging.published, self.next);
        logging.mark_used(&self.format.written(from, self.next));
    }

    /// Marks a word of the ring that was written.
    #[inline]
    pub(super) fn wrote(&self, part: Option<Written>) {
        if let (Some(logging), Some(part)) = (&self.logging, part) {
            logging.mark_used(&[part]);
        }
    }
}
