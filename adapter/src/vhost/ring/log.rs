//! What a ring writes into guest memory, told to the dirty log.
//!
//! Buffers are noted while they are filled and marked together before their used elements become visible; the
//! used ring is marked after each publication. All of it happens under the ring's lock, so whoever has taken the
//! lock to change or end the log knows that nothing is missing in the former one.

use super::Ring;
use super::chain::Piece;
use super::event;
use super::format::{Format, Written};
use crate::vhost::memory::{DirtyLog, Pages, Stretch};
use arrayvec::ArrayVec;
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
    /// The buffers that were written and are not marked yet.
    written: Pages,
    /// Up to where was published last.
    published: u16,
    /// All pages that a publication writes, where it cannot but write each of them.
    always: Option<ArrayVec<Stretch, 2>>,
}

impl Logging {
    /// The log of a ring each of whose publications writes some of every one of these `parts`.
    pub(super) fn new(to: RingLog, published: u16, parts: [Written; 2]) -> Self {
        let mut logging = Self { to, written: Pages::default(), published, always: None };
        let pages = parts.map(|part| logging.pages(&part));
        if pages.iter().flatten().all(|pages| pages.is_one()) {
            let mut always = ArrayVec::<Stretch, 2>::new();
            for page in pages.into_iter().flatten() {
                if !always.last_mut().is_some_and(|before| before.extend(page)) {
                    always.push(page);
                }
            }
            logging.always = Some(always);
        }
        logging
    }

    pub(super) fn is_lost(&self) -> bool {
        self.to.log.is_lost()
    }

    /// Marks the buffers.
    #[inline]
    fn mark_buffers(&mut self) {
        let news = self.written.mark(&self.to.log);
        self.tell(news);
    }

    /// The pages of a part of the ring, if they are logged.
    #[inline]
    fn pages(&self, part: &Written) -> Option<Stretch> {
        let start = if part.desc { self.to.desc } else { self.to.used };
        // A front end's number: where it leads nowhere, there is no bit.
        Stretch::of_any(start?.saturating_add(part.offset), part.len)
    }

    /// Marks pages of the ring, which were written; a barrier in any case.
    #[inline]
    fn mark_ring(&self, pages: impl Iterator<Item = Stretch>) {
        self.tell(self.to.log.mark(pages));
    }

    #[inline]
    fn tell(&self, news: bool) {
        if let (true, Some(fd)) = (news, &self.to.news) {
            event::notify(fd);
        }
    }
}

impl<F: Format> Ring<F> {
    /// Its buffers are logged.
    #[inline(always)]
    pub(super) fn logs_buffers(&self) -> bool {
        self.logging.as_ref().is_some_and(|logging| logging.to.buffers)
    }

    /// These pages of buffers were written.
    #[inline(never)]
    pub(super) fn wrote_stretch(&mut self, stretch: Stretch) {
        if let Some(Logging { to, written, .. }) = self.logging.as_deref_mut() {
            written.add(&to.log, stretch);
        }
    }

    /// The first `len` octets of these buffers were written; `written` goes on.
    pub(super) fn wrote_pieces(&mut self, pieces: &[Piece], len: usize, written: &mut Stretch) {
        let mut left = len;
        for piece in pieces {
            let part = piece.len.min(left);
            if part == 0 {
                break;
            }
            let pages = Stretch::of(piece.guest, part as u64);
            if !written.extend(pages) {
                self.wrote_stretch(core::mem::replace(written, pages));
            }
            left -= part;
        }
    }

    /// Publishes, with the log. A barrier at the end: [`call`](Self::call) needs none then.
    #[inline(never)]
    pub(super) fn publish_logged(&mut self) {
        let Some(logging) = &mut self.logging else { return };
        logging.mark_buffers();
        self.format.publish(self.next);
        let from = core::mem::replace(&mut logging.published, self.next);
        if let Some(pages) = &logging.always {
            logging.mark_ring(pages.iter().copied());
        } else {
            let parts = self.format.written(from, self.next);
            logging.mark_ring(parts.iter().filter_map(|part| logging.pages(part)));
        }
    }

    /// Marks a word of the ring that was written.
    #[inline]
    pub(super) fn wrote(&self, part: Option<Written>) {
        if let (Some(logging), Some(part)) = (&self.logging, part) {
            logging.mark_ring(logging.pages(&part).into_iter());
        }
    }
}
