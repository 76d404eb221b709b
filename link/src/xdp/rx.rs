//! Receiving: frames are lent out of the socket's memory; and looking after the interface's state.

use super::Shared;
use crate::frame::{Frame, Gather, Seg};
use crate::queue::{BURST, Nanos, RxBurst, RxQueue};
use crate::sys::xsk::Receiver;
use crate::watch::{Condition, Watch};
use core::sync::atomic::Ordering;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

pub(super) struct XdpRx {
    shared: Arc<Shared>,
    /// One of the shared queues.
    queue: u32,
    watch: Watch,
    /// The interface that the socket is bound to.
    bound: Option<u32>,
    /// None while there is no interface.
    receiver: Option<Receiver>,
    /// How many of the waiting frames were lent before.
    lent: usize,
}

impl XdpRx {
    pub(super) fn new(shared: Arc<Shared>, queue: u32, watch: Watch, bound: u32, receiver: Receiver) -> Self {
        Self { shared, queue, watch, bound: Some(bound), receiver: Some(receiver), lent: 0 }
    }

    /// Reads the interface's state, and serves a new interface of the same name.
    fn refresh(&mut self) {
        let (index, mut condition) = self.watch.look();
        if self.bound != index {
            self.close();
        }
        if let Some(index) = index
            && self.receiver.is_none()
        {
            self.open(index, condition);
        }
        if index.is_some() {
            self.shared.measure(&self.watch);
        }
        if index.is_some() && self.shared.refused.load(Ordering::Acquire) != 0 {
            condition = Condition::Refused;
        }
        let before = self.shared.condition.swap(condition as u8, Ordering::AcqRel);
        if before != condition as u8 {
            let name = self.watch.name();
            match condition.cause(name) {
                Some(cause) => tracing::warn!("xdp:{name}: down, {cause}"),
                None => tracing::info!("xdp:{name}: up"),
            }
            self.shared.changes.tell();
        }
    }

    /// The socket goes with its interface.
    fn close(&mut self) {
        self.bound = None;
        self.lent = 0;
        if let Some(receiver) = self.receiver.take() {
            self.watch.remove(receiver.socket().as_fd());
            self.shared.renew(self.queue, None, super::Tally::default());
        }
        self.shared.refused.fetch_and(!self.bit(), Ordering::AcqRel);
    }

    fn open(&mut self, index: u32, condition: Condition) {
        let receiver = self.shared.serve(self.queue, index).and_then(|receiver| {
            self.watch.add(receiver.socket().as_fd()).map_err(super::Problem::Wait)?;
            Ok(receiver)
        });
        match receiver {
            Ok(receiver) => {
                (self.bound, self.receiver) = (Some(index), Some(receiver));
                self.shared.refused.fetch_and(!self.bit(), Ordering::AcqRel);
            }
            // It went away again; that is a change, and we shall be told.
            Err(_) if condition == Condition::Gone => {}
            Err(problem) => {
                let before = self.shared.refused.fetch_or(self.bit(), Ordering::AcqRel);
                if before & self.bit() == 0 {
                    let name = self.watch.name();
                    let why = problem.named(name, false, self.shared.shape.octets());
                    tracing::warn!("xdp:{name}: it is there again, but cannot be opened: {why}");
                }
            }
        }
    }

    fn bit(&self) -> u64 {
        1 << (self.queue % u64::BITS)
    }

    /// Has sent what found no room when it was handed over.
    fn push_on(&self) {
        let Some(receiver) = &self.receiver else { return };
        if receiver.socket().is_unsent() {
            self.shared.counters.tx_dropped.add(receiver.socket().wake());
        }
    }
}

impl RxQueue for XdpRx {
    fn recv<'a>(&'a mut self, _now: Nanos, max: usize, burst: &mut RxBurst<'a>) {
        self.push_on();
        let Some(receiver) = &self.receiver else { return };
        let mut unfinished = 0;
        for (at, octets) in receiver.frames(max.min(BURST)).enumerate() {
            let undone = self.shared.recognise.and_then(|recognise| recognise(octets));
            unfinished += u64::from(undone.is_some() && at >= self.lent);
            burst.push(Frame { data: Gather::one(Seg::from_slice(octets)), undone });
        }
        let counters = &self.shared.counters;
        counters.rx_frames.add(burst.len().saturating_sub(self.lent) as u64);
        counters.rx_unfinished.add(unfinished);
        self.lent = self.lent.max(burst.len());
    }

    fn release(&mut self, taken: usize) {
        if let Some(receiver) = &mut self.receiver {
            receiver.release(taken);
            self.lent = self.lent.saturating_sub(taken);
        }
    }

    fn arm(&mut self) -> bool {
        if self.watch.changed() {
            self.refresh();
        }
        let unsent = self.receiver.as_ref().is_some_and(|receiver| receiver.socket().is_unsent());
        if unsent && self.shared.condition() == Condition::Up {
            return false;
        }
        // The descriptor is readable whenever something waits; nothing has to be switched on.
        self.receiver.as_ref().is_none_or(|receiver| receiver.waiting() == 0) && !self.watch.is_ready()
    }

    fn disarm(&mut self) {
        if self.watch.changed() {
            self.refresh();
        }
    }

    fn event(&self) -> Option<BorrowedFd<'_>> {
        Some(self.watch.event())
    }
}
