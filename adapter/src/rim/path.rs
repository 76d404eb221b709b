//! Orders on their way to the worker.

use crate::engine::{Order, Stats, VnicStats};
use firmware_sim::OrderId;
use niv_node::mailbox::{PostError, Sender, Ticket};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Orders that wait here, because the worker's mailbox is full, at which the firmware gives no more.
const BACKLOG: usize = 1024;

/// What is to be done once an order is in effect.
pub(super) enum Then {
    /// Nothing.
    Nothing,
    /// The firmware hears of it.
    Confirm(OrderId),
    /// A vNIC that has gone counts no more: its counts go into the sum of those that were.
    Retire(Arc<VnicStats>),
}

/// The way to the worker: orders arrive in their order, none is lost, and nobody waits for room.
pub(super) struct Path {
    orders: Sender<Order>,
    stats: Arc<Stats>,
    backlog: VecDeque<(Order, Then)>,
    posted: VecDeque<(Ticket, Then)>,
    last: Option<Ticket>,
}

impl Path {
    pub(super) fn new(orders: Sender<Order>, stats: Arc<Stats>) -> Self {
        Self { orders, stats, backlog: VecDeque::new(), posted: VecDeque::new(), last: None }
    }

    pub(super) fn is_full(&self) -> bool {
        self.backlog.len() >= BACKLOG
    }

    /// Gives an order.
    pub(super) fn give(&mut self, order: Order, then: Then) {
        if self.backlog.is_empty() {
            if let Err((order, then)) = self.post(order, then) {
                self.backlog.push_back((order, then));
            }
        } else {
            self.backlog.push_back((order, then));
        }
    }

    /// Gives it back where there is no room.
    fn post(&mut self, order: Order, then: Then) -> Result<(), (Order, Then)> {
        match self.orders.post(order) {
            Ok(ticket) => {
                self.last = Some(ticket);
                if !matches!(then, Then::Nothing) {
                    self.posted.push_back((ticket, then));
                }
                Ok(())
            }
            Err(PostError::Full(order)) => Err((order, then)),
            // The process is about to end.
            Err(PostError::Gone(_)) => Ok(()),
        }
    }

    /// Looks at what the worker has applied, and gives it what waited for room. Returns the firmware's orders that are
    /// in effect.
    pub(super) fn progress(&mut self) -> Vec<OrderId> {
        let mut confirmed = Vec::new();
        while let Some((ticket, _)) = self.posted.front()
            && self.orders.applied(*ticket)
        {
            match self.posted.pop_front() {
                Some((_, Then::Confirm(id))) => confirmed.push(id),
                Some((_, Then::Retire(stats))) => self.stats.remove_vnic(&stats),
                Some((_, Then::Nothing)) | None => {}
            }
        }
        if let (true, Some(last)) = (self.posted.is_empty(), self.last) {
            // Orders without consequences make the event readable, too; asking empties it.
            let _ = self.orders.applied(last);
        }
        while let Some((order, then)) = self.backlog.pop_front() {
            if let Err(back) = self.post(order, then) {
                self.backlog.push_front(back);
                break;
            }
        }
        confirmed
    }

    /// Everything given so far.
    pub(super) fn milestone(&self) -> Milestone {
        Milestone { orders: self.orders.clone(), last: self.last }
    }
}

/// Orders up to a certain one. Those that wait for room in the mailbox are not among them.
pub(super) struct Milestone {
    orders: Sender<Order>,
    last: Option<Ticket>,
}

impl Milestone {
    /// Waits until they are in effect, at most so long.
    pub(super) fn wait(&self, patience: Duration) {
        if let Some(last) = self.last {
            let _ = self.orders.wait(last, patience);
        }
    }

    /// Waits until what they took away from the worker is closed, too.
    pub(super) fn wait_until_closed(&self, patience: Duration) {
        self.wait(patience);
        if let Ok(next) = self.orders.post(Order::Quiesce) {
            let _ = self.orders.wait(next, patience);
        }
    }
}
