//! Answers to adapters that wait for the data path and for the disk.

use super::Change;
use super::record::StoreTicket;
use std::collections::VecDeque;
use vntag::VifId;
use vntag::ctl::session::RequestId;
use vntag::ctl::{Refusal, Response};

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) port: usize,
    pub(super) id: RequestId,
    pub(super) result: Result<Response, Refusal>,
    /// The VIF that the adapter has from then on, or has active.
    pub(super) granted: Option<VifId>,
    /// A record has to be on disk first.
    pub(super) stored: bool,
}

/// Answers in the order in which they were made: first those of this turn, then those that wait for a change, then those
/// that wait for the disk.
#[derive(Debug, Default)]
pub(super) struct Answers {
    fresh: Vec<Answer>,
    changing: VecDeque<(Change, Option<StoreTicket>, Answer)>,
    storing: VecDeque<(StoreTicket, Answer)>,
    ready: VecDeque<Answer>,
}

impl Answers {
    /// One more. A refusal promises nothing and waits for nothing.
    pub(super) fn push(&mut self, answer: Answer) {
        if answer.result.is_ok() {
            self.fresh.push(answer);
        } else {
            self.ready.push_back(answer);
        }
    }

    /// The turn's end: its answers wait for the last change there is, and for the last group of records.
    pub(super) fn settle(&mut self, change: Change, ticket: StoreTicket) {
        let each = |answer: Answer| (change, answer.stored.then_some(ticket), answer);
        self.changing.extend(self.fresh.drain(..).map(each));
    }

    /// Lets go what waits no longer.
    pub(super) fn release(&mut self, in_effect: Change, on_disk: StoreTicket) {
        while self.changing.front().is_some_and(|(change, ..)| *change <= in_effect) {
            match self.changing.pop_front() {
                Some((_, Some(ticket), answer)) => self.storing.push_back((ticket, answer)),
                Some((_, None, answer)) => self.ready.push_back(answer),
                None => return,
            }
        }
        while self.storing.front().is_some_and(|(ticket, _)| *ticket <= on_disk) {
            self.ready.extend(self.storing.pop_front().map(|(_, answer)| answer));
        }
    }

    /// The next one to be sent.
    pub(super) fn next(&mut self) -> Option<Answer> {
        self.ready.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.changing.len() + self.storing.len() + self.ready.len()
    }
}
