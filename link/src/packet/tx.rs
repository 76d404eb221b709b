//! Sending: bursts into the socket; what the kernel refuses is counted by its reason.

use super::Shared;
use crate::frame::{OutFrame, Undone};
use crate::queue::{BURST, Nanos, Taken, TxQueue};
use crate::sys::{Scratch, packet};
use crate::vnet::Cuts;
use crate::watch::Condition;
use std::os::fd::AsFd;
use std::sync::Arc;

pub(super) struct PacketTx {
    shared: Arc<Shared>,
    scratch: Scratch,
}

impl PacketTx {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, scratch: Scratch::default() }
    }
}

impl TxQueue for PacketTx {
    fn send(&mut self, _now: Nanos, frames: &[OutFrame<'_>]) -> Taken {
        let mut taken = Taken::default();
        if !self.is_up() {
            return taken;
        }
        let counters = &self.shared.counters;
        while let Some(rest @ [_, ..]) = frames.get(taken.frames..) {
            let rest = &rest[..rest.len().min(BURST)];
            let refused =
                match packet::send(self.shared.sender.as_fd(), &mut self.scratch, rest, self.shared.hosts) {
                    Ok(sent) => {
                        taken.frames += sent;
                        counters.tx_frames.add(sent as u64);
                        continue;
                    }
                    Err(error) => match error.raw_os_error() {
                        Some(libc::EINTR) => continue,
                        // The socket is full, or the interface went down, which the receiving half will find out.
                        Some(libc::EAGAIN | libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => break,
                        Some(libc::EMSGSIZE) => &counters.tx_too_long,
                        Some(libc::ENOBUFS) => &counters.tx_no_buffers,
                        _ => &counters.tx_refused,
                    },
                };
            // It was the first one of `rest`.
            refused.add(1);
            taken.frames += 1;
            taken.refused += 1;
        }
        taken
    }

    fn kick(&mut self) {}

    fn is_up(&self) -> bool {
        self.shared.condition() == Condition::Up
    }

    fn takes(&self, undone: &Undone, len: usize) -> bool {
        // Nobody can be asked whether a socket's kernel knows UDP.
        let cuts = if self.shared.hosts { Cuts::Tcp } else { Cuts::Nothing };
        cuts.takes(undone, len)
    }
}
