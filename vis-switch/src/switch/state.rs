//! What is configured and what has become of it, and how the control plane's wishes are carried out.

use super::Switch;
use super::addresses::OtherMacs;
use super::counting::{Books, Clearing, Traffic};
use super::keep::{Records, Written};
use super::saved::Saved;
use super::{log, publish::Publishing};
use crate::config::running::RunningConfig;
use crate::config::slots::{Owner, Slots};
use crate::control::{Control, Output};
use crate::engine::control::Order;
use crate::engine::secure::Alarm;
use core::mem;
use link::PortState;
use niv_node::store::Op;
use std::collections::BTreeMap;
use std::sync::Arc;
use vntag::ethernet::Mac;

/// How often counters are written that nobody asks for, in nanoseconds.
const WRITE_COUNTERS: u64 = 10_000_000_000;

/// Frames to one port in one order.
const FRAMES_IN_AN_ORDER: usize = 256;

/// Everything of a switch that changes, under one lock.
pub struct State {
    /// The running configuration.
    pub config: Arc<RunningConfig>,
    /// The control plane.
    pub control: Control,
    /// Interfaces and their slots.
    pub slots: Slots,
    /// What is kept beside the running configuration.
    pub saved: Saved,
    pub(super) books: Books,
    pub(super) records: Records,
    pub(super) publishing: Publishing,
    /// Which ports were up when they were last looked at.
    pub(super) up: Vec<bool>,
    /// When counters are to be written, and addresses to be looked at, while there is a vEth that counts and learns.
    write_counters: Option<u64>,
    pub(super) other_macs: OtherMacs,
    /// Addresses that are to become lines of the configuration.
    pub(super) sticky: Vec<(Owner, u16, Mac)>,
    /// The store refused the last batch.
    pub(super) store_failed: bool,
}

impl State {
    pub(super) fn new(
        config: Arc<RunningConfig>,
        control: Control,
        kept: (Saved, BTreeMap<u32, Traffic>),
        ports: usize,
        alarm: Alarm,
    ) -> Self {
        let (saved, counters) = kept;
        Self {
            config,
            control,
            slots: Slots::watched(alarm),
            sticky: Vec::new(),
            saved,
            books: Books::new(counters),
            records: Records::default(),
            publishing: Publishing::default(),
            up: vec![false; ports],
            write_counters: None,
            other_macs: OtherMacs::default(),
            store_failed: false,
        }
    }

    /// Has everything done that is to be done, and says when to look again although nothing happened.
    pub(super) fn turn(&mut self, switch: &Switch, now: u64) -> Option<u64> {
        if switch.wake.take_links() {
            self.look_at_links(switch, now);
        }
        if switch.wake.take_secured() {
            self.look_at_guards(now);
        }
        if let Some(change) = self.publishing.in_effect(&switch.orders) {
            switch.published.reclaim();
            self.books.settle();
            self.control.published(now, change);
        }
        if let Some(result) = switch.wake.take_written()
            && let Some(written) = self.records.written(now, result)
        {
            match written {
                Written::Kept(ticket) => {
                    self.store_works(switch);
                    self.control.stored(now, ticket);
                }
                Written::Failed(error) => self.store_fails(switch, &error),
            }
        }
        self.control.turn(now);
        self.carry_out(switch, now);
        if self.write_counters.is_some_and(|at| at <= now) {
            self.write_counters = Some(now.saturating_add(WRITE_COUNTERS));
            self.keep_counters(switch);
            for event in self.other_macs(switch) {
                switch.events.record(&log::line(&event));
            }
        }
        let deadlines = [self.control.next_deadline(), self.records.next_deadline(), self.write_counters];
        deadlines.into_iter().flatten().min()
    }

    fn look_at_links(&mut self, switch: &Switch, now: u64) {
        for (index, (port, before)) in switch.ports.iter().zip(&mut self.up).enumerate() {
            let up = port.monitor.state() == PortState::Up;
            if mem::replace(before, up) != up {
                self.control.handle_link(now, index, up);
            }
        }
    }

    fn carry_out(&mut self, switch: &Switch, now: u64) {
        while let Some(output) = self.control.poll_output() {
            match output {
                Output::Publish(change) => self.publishing.want(Some(change)),
                Output::Store(ticket, ops) => self.records.want(ticket, ops),
                Output::Announce { port, vif, mac } => {
                    // There are fewer ports than that.
                    let port = u16::try_from(port).unwrap_or(u16::MAX);
                    switch.send(Order::Announce { port, vif, mac });
                }
                Output::Event(event) => switch.events.record(&log::line(&event)),
            }
        }
        for port in 0..switch.ports.len() {
            loop {
                let frames: Vec<Vec<u8>> = core::iter::from_fn(|| self.control.poll_transmit(now, port))
                    .take(FRAMES_IN_AN_ORDER)
                    .collect();
                if frames.is_empty() {
                    break;
                }
                switch.send(Order::Send { port, frames });
            }
        }
        if self.publishing.is_wanted() {
            self.publish(switch, now);
        }
        if let Some(batch) = self.records.next(now) {
            let wake = Arc::clone(&switch.wake);
            switch.store.submit(batch, Box::new(move |result| wake.written(result.map(drop))));
        }
    }

    /// Makes tables of what the data path has to do, and gives them to the workers.
    fn publish(&mut self, switch: &Switch, now: u64) {
        let forwarding = self.control.forwarding();
        let plan = self.slots.plan(&self.config, forwarding, &switch.names);
        let former = switch.published.current();
        let tables = crate::engine::tables::Tables::compile(&plan, Some(&former));
        self.books.replaced(&former, &tables);
        drop(former);
        drop(switch.published.replace(tables));
        self.books.settle();
        self.publishing.published(&switch.orders);
        if self.control.forwarding().veths.values().any(|veth| veth.at.is_some()) {
            self.write_counters.get_or_insert(now.saturating_add(WRITE_COUNTERS));
        }
        let veths = &self.control.forwarding().veths;
        let forgotten = self.books.forget(|number| veths.contains_key(&number));
        self.submit(switch, forgotten);
    }

    /// Reads what interfaces sent and got.
    pub(super) fn read(
        &mut self,
        switch: &Switch,
        owners: impl IntoIterator<Item = Owner>,
    ) -> BTreeMap<Owner, Traffic> {
        if switch.wake.take_counters_lost() {
            self.books.not_written();
        }
        self.books.read(&self.slots, &switch.published.current(), owners)
    }

    /// Where the counters that pages show of an interface begin, if they were cleared.
    #[must_use]
    pub fn clearing(&self, owner: Owner) -> Option<Clearing> {
        self.books.clearing(owner)
    }

    /// Every vEth.
    pub(super) fn all_vethernets(&self) -> Vec<Owner> {
        self.control.forwarding().veths.keys().map(|number| Owner::Vethernet(*number)).collect()
    }

    /// Has all counters written that changed. Nobody waits for it.
    pub(super) fn keep_counters(&mut self, switch: &Switch) {
        let owners = self.all_vethernets();
        let read = self.read(switch, owners);
        let batch = self.books.tell(&read);
        self.submit(switch, batch);
    }

    /// Writes counters. Nobody waits for it; what fails shows in the store's health, and is written again.
    fn submit(&self, switch: &Switch, batch: Vec<Op>) {
        if batch.is_empty() {
            return;
        }
        let wake = Arc::clone(&switch.wake);
        let done = move |result: Result<_, _>| {
            if result.is_err() {
                wake.counters_lost();
            }
        };
        switch.store.submit(batch, Box::new(done));
    }

    pub(super) fn store_fails(&mut self, switch: &Switch, error: &niv_node::store::StoreError) {
        if !mem::replace(&mut self.store_failed, true) {
            switch.events.record(&log::store_failed(error));
        }
    }

    pub(super) fn store_works(&mut self, switch: &Switch) {
        if mem::take(&mut self.store_failed) {
            switch.events.record(&log::store_recovered());
        }
    }
}
