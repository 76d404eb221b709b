//! From what a front end said to what the rings do, and to the cause when they do nothing.

use super::super::features::{self, LOG_ALL, PROTOCOL_FEATURES, VERSION_1};
use super::super::ring::RingSetup;
use super::super::vnic::{Cause, FrontendEvent, GuestInfo};
use super::Session;
use std::sync::Arc;

impl Session {
    /// Starts and stops rings so that they do what is known; says in the monitor why they do not run.
    pub(super) fn settle(&mut self) {
        self.settle_log();
        for index in 0..self.vrings.len() {
            match self.setup(index) {
                Some(setup) if !self.vrings.get(index).is_some_and(|vring| vring.runs) => {
                    self.start(index, &setup);
                }
                Some(_) => {}
                None => self.stop(index),
            }
        }
        let cause = self.cause();
        let mut status = self.monitor.status.lock();
        if cause == Cause::NotShared && status.cause != cause {
            tracing::warn!(vnic = self.monitor.name(), "{cause}");
        }
        status.cause = cause;
        status.guest = Some(GuestInfo {
            pid: self.pid,
            features: self.accepted.unwrap_or(0),
            protocol_features: self.protocol,
            mtu: self.mtu,
            logs: self.logs,
        });
    }

    /// What the guest's driver accepted. QEMU sets no feature but its own before the driver runs.
    fn driver_features(&self) -> u64 {
        self.accepted.unwrap_or(0) & !(PROTOCOL_FEATURES | LOG_ALL)
    }

    /// The guest's driver has begun: the front end has a NIC, and not only a connection.
    pub(in super::super) fn has_driver(&self) -> bool {
        self.driver_features() != 0
    }

    /// The guest has both rings of the first pair enabled.
    pub(in super::super) fn is_enabled(&self) -> bool {
        self.vrings.get(..2).is_some_and(|pair| pair.iter().all(|vring| vring.runs))
    }

    fn start(&mut self, index: usize, setup: &RingSetup) {
        let (Some(vring), Some(slot)) = (self.vrings.get_mut(index), self.monitor.slot(index)) else {
            return;
        };
        vring.wrong = slot.start(setup).err();
        if vring.wrong.is_none() {
            vring.runs = true;
            vring.log.clone_from(&setup.log);
            self.events
                .push(FrontendEvent::RingStart { pair: (index / 2) as u16, direction: slot.direction() });
        }
    }

    /// What the ring is to run with, if it is to run.
    fn setup(&self, index: usize) -> Option<RingSetup> {
        let vring = self.vrings.get(index)?;
        let accepted = self.accepted.filter(|bits| bits & VERSION_1 != 0 && bits & !self.offered == 0)?;
        let enabled = vring.enabled.unwrap_or(accepted & PROTOCOL_FEATURES == 0);
        let at = vring.at.filter(|_| enabled && vring.size > 0 && !self.memory.private)?;
        Some(RingSetup {
            memory: Arc::clone(self.memory.map.as_ref()?),
            at,
            size: vring.size,
            base: vring.base,
            features: features::ring(accepted),
            kick: Some(Arc::clone(vring.kick.as_ref()?)),
            call: vring.call.clone(),
            err: vring.err.clone(),
            log: self.ring_log(vring),
            inflight: self.ring_inflight(index, vring.size),
        })
    }

    /// Why the rings of the first pair do not run.
    fn cause(&self) -> Cause {
        if self.memory.private {
            return Cause::NotShared;
        }
        if let Some(error) = &self.memory.refused {
            return Cause::Memory(error.clone());
        }
        let driver = self.driver_features();
        if driver == 0 {
            return Cause::NoDriver;
        }
        if driver & !self.offered != 0 {
            return Cause::Features(driver & !self.offered);
        }
        if driver & VERSION_1 == 0 {
            return Cause::Legacy;
        }
        if self.memory.map.is_none() {
            // QEMU without a shared memory backend sends no memory at all and starts the rings all the same.
            let started = self.vrings.iter().any(|vring| vring.kick.is_some());
            return if started { Cause::NotShared } else { Cause::NoMemory };
        }
        for (index, vring) in self.vrings.iter().enumerate().take(2) {
            let ring = |what| Cause::Ring(index as u16, what);
            if let Some(wrong) = vring.wrong {
                return ring(wrong);
            }
            if vring.size == 0 || vring.at.is_none() {
                return ring("not set up");
            }
            if vring.kick.is_none() {
                return ring("stopped by the guest");
            }
        }
        Cause::NotEnabled
    }
}
