//! The dirty log of a connection, for live migration: the front end's request to log, and where each ring does.
//!
//! `VHOST_F_LOG_ALL` among the accepted features switches the log of buffers, and a flag of each ring that of its
//! used ring; both may change while frames pass. A log belongs to the connection: a new memory map uses the same
//! one, until the front end brings another.

use super::super::features::LOG_ALL;
use super::super::memory::DirtyLog;
use super::super::message::Message;
use super::super::ring::{RingAddress, RingLog, used_len};
use super::super::vnic::FrontendEvent;
use super::{Refusal, Session, Vring, body};
use std::os::fd::AsFd;
use std::sync::Arc;
use vhost::vhost_user::message::{FrontendReq, VhostUserLog, VhostUserVringAddr};

/// Flag of `SET_VRING_ADDR`: the used ring is logged.
const VRING_F_LOG: u32 = 1;

impl Session {
    /// The front end's log. When this returns and rings have been settled, nobody writes the former one.
    pub(super) fn set_log(&mut self, message: &mut Message) -> Result<(), Refusal> {
        let request = FrontendReq::SET_LOG_BASE;
        let log: VhostUserLog = body(request, message)?;
        let fd = message.take_fd().ok_or(Refusal::Descriptors(request))?;
        let counters = Arc::clone(&self.monitor.log);
        let log =
            DirtyLog::map(fd.as_fd(), log.mmap_offset, log.mmap_size, counters).map_err(Refusal::Log)?;
        self.log = Some(Arc::new(log));
        Ok(())
    }

    /// A ring's addresses. A ring whose log alone is switched goes on.
    pub(super) fn set_ring_address(&mut self, addr: &VhostUserVringAddr) -> Result<(), Refusal> {
        let VhostUserVringAddr { index, flags, descriptor, used, available, log } = *addr;
        let at = RingAddress { desc: descriptor, avail: available, used };
        let known = self.vrings.get(index as usize).ok_or(Refusal::NoRing(index.into()))?;
        let log_used = (flags & VRING_F_LOG != 0).then_some(log);
        if log_used.is_some_and(|start| start.checked_add(used_len(known.size)).is_none()) {
            return Err(Refusal::LogAddress(index, log));
        }
        let vring = if known.at == Some(at) { self.vrings.get_mut(index as usize) } else { None };
        let vring = match vring {
            Some(vring) => vring,
            None => self.stopped(index.into())?,
        };
        (vring.at, vring.log_used) = (Some(at), log_used);
        Ok(())
    }

    /// Has running rings log what they are to log.
    pub(super) fn settle_log(&mut self) {
        for index in 0..self.vrings.len() {
            let wanted =
                self.vrings.get(index).filter(|vring| vring.runs).and_then(|vring| self.ring_log(vring));
            let (Some(vring), Some(slot)) = (self.vrings.get_mut(index), self.monitor.slot(index)) else {
                return;
            };
            if vring.runs && vring.log != wanted {
                slot.set_log(wanted.clone());
                vring.log = wanted;
            }
        }
        let logs = self.log.is_some() && self.log_all();
        if core::mem::replace(&mut self.logs, logs) != logs {
            self.events.push(FrontendEvent::Log(logs));
        }
    }

    fn log_all(&self) -> bool {
        self.accepted.is_some_and(|accepted| accepted & LOG_ALL != 0)
    }

    /// What a ring logs. With the buffers goes the used ring, even where its own flag was not set: at the address that
    /// the memory map has for it.
    pub(super) fn ring_log(&self, vring: &Vring) -> Option<RingLog> {
        let buffers = self.log_all();
        let used = vring.log_used.or_else(|| {
            let at = vring.at.filter(|_| buffers)?;
            self.memory.map.as_ref()?.guest_of_user(at.used)
        });
        (buffers || used.is_some()).then_some(())?;
        // What the device writes of a packed ring are descriptors, for which front ends name no address.
        let desc = vring.at.filter(|_| self.packed());
        let desc = desc.and_then(|at| self.memory.map.as_ref()?.guest_of_user(at.desc));
        let (log, news) = (Arc::clone(self.log.as_ref()?), self.log_news.clone());
        Some(RingLog { log, buffers, used, desc, news })
    }
}
