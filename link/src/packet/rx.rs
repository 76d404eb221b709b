//! Receiving: bursts out of the socket, tags put back, what is undone said; and looking after the interface's state.

use super::Shared;
use crate::frame::{Frame, Gather, Seg, Undone};
use crate::queue::{BURST, Nanos, RxBurst, RxQueue};
use crate::sys::packet::{self, Received};
use crate::vnet;
use crate::watch::Watch;
use core::sync::atomic::Ordering;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// Octets of an 802.1Q tag, and where it stands: behind both addresses.
const TAG: usize = 4;
const TAG_AT: usize = 12;

/// Where a frame begins in its slot: behind the room for a tag and its `virtio_net_hdr`.
const FRAME_AT: usize = 16;

/// A slot: the longest super-frame with everything in front of it.
const SLOT: usize = FRAME_AT + 65_536 + 128;

pub(super) struct PacketRx {
    shared: Arc<Shared>,
    watch: Watch,
    /// The interface that the sockets are bound to.
    bound: Option<u32>,
    /// [`BURST`] slots into which the kernel writes. Memory that is never written is never there.
    slots: Vec<u8>,
    /// Frames not yet released, oldest first; slots are written again only when there are none.
    ready: VecDeque<Ready>,
}

/// Where a frame lies.
struct Ready {
    start: usize,
    len: usize,
    undone: Option<Undone>,
}

impl PacketRx {
    pub(super) fn new(shared: Arc<Shared>, watch: Watch, bound: u32) -> Self {
        let (slots, ready) = (vec![0; BURST * SLOT], VecDeque::with_capacity(BURST));
        Self { shared, watch, bound: Some(bound), slots, ready }
    }

    fn fill(&mut self, max: usize) {
        let socket = self.shared.receiver.as_fd();
        match packet::receive(socket, &mut self.slots, SLOT, FRAME_AT - vnet::LEN, max) {
            Ok(received) => {
                let mut counts = Counts::default();
                for (slot, one) in received.iter().enumerate() {
                    self.accept(slot * SLOT, one, &mut counts);
                }
                let counters = &self.shared.counters;
                counters.rx_frames.add(self.ready.len() as u64);
                counters.rx_too_long.add(counts.too_long);
                counters.rx_bad_offload.add(counts.bad_offload);
                counters.rx_unfinished.add(counts.unfinished);
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => {}
                // A frame with a segmentation that virtio_net_hdr has no word for: the kernel dropped it.
                Some(libc::EINVAL) => self.shared.counters.rx_bad_offload.add(1),
                // The interface went down or away.
                _ => self.refresh(),
            },
        }
    }

    /// Makes what was received into the slot at `slot` into frames.
    fn accept(&mut self, slot: usize, received: &Received, counts: &mut Counts) {
        if received.truncated {
            counts.too_long += 1;
            return;
        }
        let Some(mut len) = received.len.checked_sub(vnet::LEN) else {
            counts.bad_offload += 1;
            return;
        };
        let slot_bytes = &mut self.slots[slot..slot + SLOT];
        let mut hdr = [0; vnet::LEN];
        hdr.copy_from_slice(&slot_bytes[FRAME_AT - vnet::LEN..FRAME_AT]);
        let (mut start, mut tagged) = (FRAME_AT, 0);
        if let Some((tpid, tci)) = received.vlan
            && len >= TAG_AT
        {
            slot_bytes.copy_within(start..start + TAG_AT, start - TAG);
            start -= TAG;
            len += TAG;
            let tag = &mut slot_bytes[start + TAG_AT..start + TAG_AT + TAG];
            tag[..2].copy_from_slice(&tpid.to_be_bytes());
            tag[2..].copy_from_slice(&tci.to_be_bytes());
            tagged = TAG as u16;
        }
        let undone = vnet::undone(&hdr, tagged);
        counts.unfinished += u64::from(undone.is_some());
        self.ready.push_back(Ready { start: slot + start, len, undone });
    }

    /// Reads the interface's state, and binds the sockets to a new interface of the same name.
    fn refresh(&mut self) {
        let (index, mut condition) = self.watch.look();
        if let Some(index) = index
            && self.bound != Some(index)
        {
            match self.shared.bind(index) {
                Ok(()) => self.bound = Some(index),
                // It went away again; that is a change, and we shall be told.
                Err(_) => condition = crate::watch::Condition::Gone,
            }
        }
        if index.is_none() {
            self.bound = None;
        }
        let before = self.shared.condition.swap(condition as u8, Ordering::AcqRel);
        if before != condition as u8 {
            match condition.cause(self.watch.name()) {
                Some(cause) => tracing::warn!("packet:{}: down, {cause}", self.watch.name()),
                None => tracing::info!("packet:{}: up", self.watch.name()),
            }
            self.shared.changes.tell();
        }
    }
}

#[derive(Default)]
struct Counts {
    too_long: u64,
    bad_offload: u64,
    unfinished: u64,
}

impl RxQueue for PacketRx {
    fn recv<'a>(&'a mut self, _now: Nanos, max: usize, burst: &mut RxBurst<'a>) {
        let max = max.min(BURST);
        if self.ready.is_empty() && max > 0 {
            self.fill(max);
        }
        burst.extend(self.ready.iter().take(max).map(|ready| {
            let bytes = &self.slots[ready.start..ready.start + ready.len];
            Frame { data: Gather::one(Seg::from_slice(bytes)), undone: ready.undone }
        }));
    }

    fn release(&mut self, taken: usize) {
        self.ready.drain(..taken.min(self.ready.len()));
    }

    fn arm(&mut self) -> bool {
        if self.watch.changed() {
            self.refresh();
        }
        // The descriptor is readable whenever something waits; nothing has to be switched on.
        self.ready.is_empty() && !self.watch.is_ready()
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
