//! Orders on their way to the workers.

use crate::engine::workers::Orders;
use crate::engine::{Counted, Order, Stats, VnicStats};
use firmware_sim::OrderId;
use niv_node::mailbox::{PostError, Sender, Ticket};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Orders that wait here for one worker, because its mailbox is full, at which the firmware gives no more.
const BACKLOG: usize = 1024;

/// What is to be done once an order is in effect.
pub(super) enum Then {
    /// Nothing.
    Nothing,
    /// The firmware hears of it.
    Confirm(OrderId),
    /// A vNIC that has gone counts no more: its counts go into the sum of those that were.
    Retire(Counted<VnicStats>),
}

/// The place of an order among those that were given.
type Place = u64;

/// The way to one worker: orders arrive in their order, and none is lost.
struct Lane {
    orders: Sender<Order>,
    /// What found no room.
    backlog: VecDeque<(Place, Order)>,
    /// What was posted and may not be applied yet.
    posted: VecDeque<(Place, Ticket)>,
    last: Option<Ticket>,
}

impl Lane {
    fn give(&mut self, place: Place, order: Order) {
        if self.backlog.is_empty() {
            let back = self.post(place, order);
            self.backlog.extend(back);
        } else {
            self.backlog.push_back((place, order));
        }
    }

    /// Gives it back where there is no room.
    fn post(&mut self, place: Place, order: Order) -> Option<(Place, Order)> {
        match self.orders.post(order) {
            Ok(ticket) => {
                self.last = Some(ticket);
                self.posted.push_back((place, ticket));
                None
            }
            Err(PostError::Full(order)) => Some((place, order)),
            // The process is about to end.
            Err(PostError::Gone(_)) => None,
        }
    }

    /// Looks at what the worker has applied, and gives it what waited for room.
    fn progress(&mut self) {
        let applied = self.orders.progress();
        while self.posted.pop_front_if(|(_, ticket)| *ticket <= applied).is_some() {}
        while let Some((place, order)) = self.backlog.pop_front() {
            if let Some(back) = self.post(place, order) {
                self.backlog.push_front(back);
                break;
            }
        }
    }

    /// The first that is not in effect in this worker, as far as is known.
    fn first(&self) -> Option<Place> {
        self.posted.front().map(|(place, _)| *place).or(self.backlog.front().map(|(place, _)| *place))
    }
}

/// The way to the workers: nobody waits for room.
pub(super) struct Path {
    lanes: Vec<Lane>,
    stats: Counted<Stats>,
    /// How many were given.
    given: Place,
    /// What is to be done when those up to there are in effect.
    then: VecDeque<(Place, Then)>,
    /// Frames that wait until what was given before them is in effect in every worker but the first, which sends them: a switch
    /// that hears of a VIF must not meet the former one.
    held: VecDeque<(Place, Order)>,
}

impl Path {
    /// To these workers.
    pub(super) fn new(orders: &[Sender<Order>], stats: Counted<Stats>) -> Self {
        let lane = |orders: &Sender<Order>| Lane {
            orders: orders.clone(),
            backlog: VecDeque::new(),
            posted: VecDeque::new(),
            last: None,
        };
        let (then, held) = (VecDeque::new(), VecDeque::new());
        Self { lanes: orders.iter().map(lane).collect(), stats, given: 0, then, held }
    }

    pub(super) fn is_full(&self) -> bool {
        let longest = self.lanes.iter().map(|lane| lane.backlog.len()).max().unwrap_or(0);
        longest.max(self.held.len()) >= BACKLOG
    }

    /// Gives an order to every worker; one to send something, to the first.
    pub(super) fn give(&mut self, order: Order, then: Then) {
        if matches!(order, Order::Send { .. }) {
            self.given += 1;
            self.held.push_back((self.given, order));
            self.release();
        } else {
            self.give_each(Orders::of(order, self.lanes.len()), then);
        }
    }

    /// Gives each worker its own.
    pub(super) fn give_each(&mut self, Orders(orders): Orders, then: Then) {
        self.given += 1;
        for (lane, order) in self.lanes.iter_mut().zip(orders) {
            lane.give(self.given, order);
        }
        if !matches!(then, Then::Nothing) {
            self.then.push_back((self.given, then));
        }
    }

    /// Gives the first worker the frames that have waited long enough.
    fn release(&mut self) {
        let Some((first, others)) = self.lanes.split_first_mut() else { return };
        let open = others.iter().filter_map(Lane::first).min();
        while let Some((place, order)) =
            self.held.pop_front_if(|(place, _)| open.is_none_or(|open| *place < open))
        {
            first.give(place, order);
        }
    }

    /// Looks at what the workers have applied, and gives them what waited. Returns the firmware's orders that are in effect
    /// in all of them.
    pub(super) fn progress(&mut self) -> Vec<OrderId> {
        self.lanes.iter_mut().for_each(Lane::progress);
        self.release();
        let open = self.lanes.iter().filter_map(Lane::first).min();
        let mut confirmed = Vec::new();
        while let Some((_, then)) = self.then.pop_front_if(|(place, _)| open.is_none_or(|open| *place < open))
        {
            match then {
                Then::Confirm(id) => confirmed.push(id),
                Then::Retire(stats) => self.stats.remove_vnic(&stats),
                Then::Nothing => {}
            }
        }
        confirmed
    }

    /// Everything given so far.
    pub(super) fn milestone(&self) -> Milestone {
        let waiting = !self.held.is_empty();
        Milestone { lanes: self.lanes.iter().map(|lane| (lane.orders.clone(), lane.last)).collect(), waiting }
    }
}

/// Orders up to a certain one. Those that wait for room in a mailbox are not among them.
pub(super) struct Milestone {
    lanes: Vec<(Sender<Order>, Option<Ticket>)>,
    waiting: bool,
}

impl Milestone {
    /// There are frames that wait for other workers.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Waits until they are in effect, at most so long.
    pub(super) fn wait(&self, patience: Duration) {
        let until = Instant::now() + patience;
        for (orders, last) in &self.lanes {
            if let Some(last) = last {
                let _ = orders.wait(*last, until.saturating_duration_since(Instant::now()));
            }
        }
    }

    /// Waits until what they took away from the workers is closed, too.
    pub(super) fn wait_until_closed(&self, patience: Duration) {
        self.wait(patience);
        let posted = self.lanes.iter().map(|(orders, _)| (orders.clone(), orders.post(Order::Quiesce).ok()));
        Self { lanes: posted.collect(), waiting: false }.wait(patience);
    }
}
