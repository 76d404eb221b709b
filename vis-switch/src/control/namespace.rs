//! The VIF ids of a link.
//!
//! ```text
//!   free ──take──► in use ──give_back──► fresh ──settle──► quarantine ──release──► free
//! ```
//!
//! An id that was given back is nobody's for a while (C19): frames of its former owner may still be on their way, and
//! must not be taken for the next one's. Ids are used again in the order in which they became free, so that this happens
//! as late as possible.

use super::Change;
use std::collections::VecDeque;
use vntag::VifId;

/// Nanoseconds of quarantine: much longer than any frame is on its way.
pub(super) const QUARANTINE: u64 = 1_000_000_000;

#[derive(Debug)]
pub(super) struct Namespace {
    size: u16,
    free: VecDeque<VifId>,
    /// Given back since the last turn's end.
    fresh: Vec<VifId>,
    /// Until when at least, and which change has to be in effect.
    quarantine: VecDeque<(u64, Change, VifId)>,
}

impl Namespace {
    pub(super) fn new() -> Self {
        Self {
            size: VifId::MAX,
            free: (1..=VifId::MAX).filter_map(VifId::new).collect(),
            fresh: Vec::new(),
            quarantine: VecDeque::new(),
        }
    }

    /// The peer has room for so many.
    pub(super) fn resize(&mut self, size: u16) {
        self.size = size.min(VifId::MAX);
    }

    pub(super) const fn size(&self) -> u16 {
        self.size
    }

    /// Ids that are not free.
    pub(super) fn used(&self) -> u16 {
        // There are 4,094 in all.
        VifId::MAX - self.free.len() as u16
    }

    pub(super) fn in_quarantine(&self) -> u16 {
        (self.quarantine.len() + self.fresh.len()) as u16
    }

    pub(super) fn take(&mut self) -> Option<VifId> {
        if self.used() >= self.size {
            return None;
        }
        self.free.pop_front()
    }

    pub(super) fn give_back(&mut self, id: VifId) {
        self.fresh.push(id);
    }

    /// What was given back waits for `change`, which takes it out of the data path. Says when the first id may be
    /// released.
    pub(super) fn settle(&mut self, now: u64, change: Change) -> Option<u64> {
        let until = now.saturating_add(QUARANTINE);
        self.quarantine.extend(self.fresh.drain(..).map(|id| (until, change, id)));
        self.quarantine.front().map(|(until, ..)| *until)
    }

    /// Frees ids whose time is over, unless they are `held` for another reason; those wait as long again. Says whether
    /// there were any.
    pub(super) fn release(&mut self, now: u64, in_effect: Change, held: impl Fn(VifId) -> bool) -> bool {
        let mut any = false;
        for _ in 0..self.quarantine.len() {
            let Some(&(until, change, id)) = self.quarantine.front() else { break };
            if until > now {
                break;
            }
            self.quarantine.pop_front();
            if change > in_effect || held(id) {
                self.quarantine.push_back((now.saturating_add(QUARANTINE), change, id));
            } else {
                self.free.push_back(id);
                any = true;
            }
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c10_c19_an_id_comes_back_last_and_late() {
        let mut ids = Namespace::new();
        ids.resize(3);
        let taken: Vec<u16> = core::iter::from_fn(|| ids.take()).map(VifId::get).collect();
        assert_eq!((taken, ids.used(), ids.size()), (vec![1, 2, 3], 3, 3));
        ids.give_back(VifId::new(2).expect("a VIF"));
        assert_eq!(ids.settle(10, Change(7)), Some(10 + QUARANTINE));
        assert_eq!((ids.take(), ids.used(), ids.in_quarantine()), (None, 3, 1));
        assert!(!ids.release(9 + QUARANTINE, Change(7), |_| false), "too early");
        assert!(!ids.release(10 + QUARANTINE, Change(6), |_| false), "still in the data path");
        assert!(!ids.release(10 + 2 * QUARANTINE, Change(7), |_| true), "still in a list");
        assert!(ids.release(10 + 3 * QUARANTINE, Change(7), |_| false));
        assert_eq!(ids.take().map(VifId::get), Some(4), "not the one that was used last");
        assert_eq!(ids.in_quarantine(), 0);
    }
}
