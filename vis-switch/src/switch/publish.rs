//! When a change of the tables is in effect: once every worker has begun a turn with them.

use crate::control::Change;
use crate::engine::control::Order;
use niv_node::mailbox::{PostError, Sender, Ticket};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Changes on their way to the workers.
#[derive(Debug, Default)]
pub(super) struct Publishing {
    /// To be published with the next tables.
    wanted: Option<Option<Change>>,
    /// Published, but not every worker could be asked yet to say when it has seen it.
    unasked: Option<Option<Change>>,
    /// Asked: the tickets tell when it is in effect.
    asked: VecDeque<(Option<Change>, Quiescence)>,
}

/// The moment at which every worker has taken a turn with what was published before.
#[derive(Clone, Debug)]
pub(super) struct Quiescence(Vec<Option<Ticket>>);

impl Quiescence {
    /// Asks every worker; `None` if one has too much to do.
    fn ask(orders: &[Sender<Order>]) -> Option<Self> {
        let mut tickets = Vec::with_capacity(orders.len());
        for worker in orders {
            match worker.post(Order::Quiesce) {
                Ok(ticket) => tickets.push(Some(ticket)),
                // It holds nothing any more.
                Err(PostError::Gone(_)) => tickets.push(None),
                Err(PostError::Full(_)) => return None,
            }
        }
        Some(Self(tickets))
    }

    fn is_reached(&self, orders: &[Sender<Order>]) -> bool {
        let each = orders.iter().zip(&self.0);
        // Each of them is asked, for each has an event that asking empties.
        each.filter(|(worker, ticket)| ticket.is_some_and(|ticket| !worker.applied(ticket))).count() == 0
    }

    /// Waits for it; `false` if it takes longer than `patience`.
    pub(super) fn wait(&self, orders: &[Sender<Order>], patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let each = orders.iter().zip(&self.0);
        each.filter_map(|(worker, ticket)| Some((worker, (*ticket)?)))
            .all(|(worker, ticket)| worker.wait(ticket, until.saturating_duration_since(Instant::now())))
    }
}

impl Publishing {
    /// New tables are to be published; `change` is what the control plane calls them.
    pub(super) fn want(&mut self, change: Option<Change>) {
        self.wanted = Some(change.max(self.wanted.flatten()));
    }

    /// New tables are to be published.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// They were.
    pub(super) fn published(&mut self, orders: &[Sender<Order>]) {
        let Some(change) = self.wanted.take() else { return };
        self.unasked = Some(change.max(self.unasked.flatten()));
        self.ask(orders);
    }

    fn ask(&mut self, orders: &[Sender<Order>]) {
        if let Some(change) = self.unasked
            && let Some(quiescence) = Quiescence::ask(orders)
        {
            self.unasked = None;
            self.asked.push_back((change, quiescence));
        }
    }

    /// The last change that has come into effect since this was last called.
    pub(super) fn in_effect(&mut self, orders: &[Sender<Order>]) -> Option<Change> {
        let mut last = None;
        while let Some((change, _)) = self.asked.pop_front_if(|(_, quiescence)| quiescence.is_reached(orders))
        {
            last = last.max(change);
        }
        // A worker that had too much to do may have room again.
        self.ask(orders);
        last
    }

    /// When everything that is published by now is in effect; `None` if it is already.
    pub(super) fn last(&self) -> Option<Quiescence> {
        self.asked.back().map(|(_, quiescence)| quiescence.clone())
    }
}
