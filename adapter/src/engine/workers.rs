//! Several workers: what each of them gets of a port, and orders for all of them.
//!
//! A worker owns receive queues; sending queues that all of them need are shared ([`link::share`]). Each has tables of its
//! own, so each gets every order but those to send something, which are the first one's.

use super::datapath::{LinkSetup, Order, VnicSetup};
use super::stats::{Counted, VnicStats};
use super::{Punted, VnicSlot};
use link::{Port, share};
use niv_node::mailbox::Sender;
use std::sync::Arc;

/// A vNIC for each of `workers`: queue pair k of the one in slot s is received from by worker s + k, modulo their number. There are
/// as many of them as there are counters.
#[must_use]
pub fn vnic(port: Port, slot: VnicSlot, stats: &Counted<VnicStats>) -> Vec<VnicSetup> {
    let workers = stats.each().len();
    let rx = share::deal(port.rx, workers, slot as usize);
    let mut tx: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
    for queue in port.tx {
        for (tx, handle) in tx.iter_mut().zip(share::handles(queue, workers)) {
            tx.push(handle);
        }
    }
    let each = rx.into_iter().zip(tx).zip(stats.each());
    each.map(|((rx, tx), stats)| VnicSetup { rx, tx, stats: Arc::clone(stats) }).collect()
}

/// The link with this index for each of so many workers; `None` where the port has no queue to send by.
#[must_use]
pub fn link(
    port: Port,
    index: usize,
    workers: usize,
    punt: Option<&Sender<Punted>>,
) -> Option<Vec<LinkSetup>> {
    let tx = share::one_each(port.tx, workers)?;
    let each = share::deal(port.rx, workers, index).into_iter().zip(tx);
    Some(each.map(|(rx, tx)| LinkSetup { rx, tx, punt: punt.cloned() }).collect())
}

/// Orders for workers, one for each of them.
pub struct Orders(pub Vec<Order>);

impl Orders {
    /// The same for each of so many workers; one to send something is for the first. Queues belong to one worker each, so
    /// orders that bring some are made [for each](vnic).
    #[must_use]
    pub fn of(order: Order, workers: usize) -> Self {
        let mut all = Vec::with_capacity(workers);
        for _ in 1..workers {
            match again(&order) {
                Some(another) => all.push(another),
                None => break,
            }
        }
        all.insert(0, order);
        Self(all)
    }
}

/// The same order once more, for another worker; `None` where it is for one.
fn again(order: &Order) -> Option<Order> {
    Some(match order {
        Order::RemoveVnic(slot) => Order::RemoveVnic(*slot),
        Order::SetVif { link, vif, vnic, state, params } => {
            Order::SetVif { link: *link, vif: *vif, vnic: *vnic, state: *state, params: *params }
        }
        Order::ClearVif { link, vif } => Order::ClearVif { link: *link, vif: *vif },
        Order::SetList { link, list, members } => {
            Order::SetList { link: *link, list: *list, members: members.clone() }
        }
        Order::Quiesce => Order::Quiesce,
        Order::AddVnic(..) | Order::SetQueues(..) | Order::Send { .. } => return None,
    })
}
