//! Sending: frames are copied into the socket's memory; one call for a turn hands them over.

use super::{SEND, Shared, TAG};
use crate::frame::OutFrame;
use crate::queue::{Nanos, Taken, TxQueue};
use crate::sys::xsk::Sender;
use crate::watch::Condition;
use core::sync::atomic::Ordering;
use std::sync::Arc;

/// Where a frame's first tag is, and how it begins.
const TAG_AT: usize = 12;
const TAGGED: [u8; 2] = [0x81, 0x00];

pub(super) struct XdpTx {
    shared: Arc<Shared>,
    /// One of the shared queues.
    queue: u32,
    /// None while there is no interface.
    sender: Option<Sender>,
    /// Which of the queue's sockets it is of.
    made: u32,
}

impl XdpTx {
    pub(super) fn new(shared: Arc<Shared>, queue: u32) -> Self {
        let mut new = Self { shared, queue, sender: None, made: 0 };
        new.renew();
        new
    }

    /// Goes over to a new socket, if there is one.
    fn renew(&mut self) {
        let place = &self.shared.queues[self.queue as usize];
        let made = place.made.load(Ordering::Acquire);
        if made != self.made {
            (self.sender, self.made) = (place.sender.lock().take(), made);
        }
    }
}

/// Whether a frame is within the MTU, which does not count a first tag.
fn fits(frame: &OutFrame<'_>, longest: usize) -> bool {
    let mut front = [0; TAG_AT + 2];
    frame.len() <= longest
        || frame.len() <= longest + TAG && {
            frame.copy_to(&mut front);
            front[TAG_AT..] == TAGGED
        }
}

impl TxQueue for XdpTx {
    fn send(&mut self, _now: Nanos, frames: &[OutFrame<'_>]) -> Taken {
        let mut taken = Taken::default();
        if !self.is_up() {
            return taken;
        }
        self.renew();
        let Some(sender) = &mut self.sender else { return taken };
        let counters = &self.shared.counters;
        let (longest, most) = (self.shared.longest.load(Ordering::Relaxed), self.shared.shape.chunk as usize);
        for frame in frames {
            if frame.len() > most || !fits(frame, longest) {
                taken.refused += 1;
            } else if !sender.push(frame) {
                // What was pushed before this may be what there is no room for.
                counters.tx_dropped.add(sender.kick());
                if !sender.push(frame) {
                    break;
                }
            }
            taken.frames += 1;
        }
        counters.tx_frames.add((taken.frames - taken.refused) as u64);
        counters.tx_too_long.add(taken.refused as u64);
        taken
    }

    fn kick(&mut self) {
        if let Some(sender) = &mut self.sender {
            self.shared.counters.tx_dropped.add(sender.kick());
        }
    }

    fn is_up(&self) -> bool {
        self.shared.condition() == Condition::Up
    }

    fn room(&self, _: usize) -> usize {
        if self.shared.queues[self.queue as usize].made.load(Ordering::Relaxed) != self.made {
            // Of a socket that nothing was sent by yet.
            return SEND as usize;
        }
        self.sender.as_ref().map_or(0, Sender::room)
    }
}
