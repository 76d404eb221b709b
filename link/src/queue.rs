//! The two halves of a port, as a worker sees them.

use crate::frame::{Frame, OutFrame, Undone};
use arrayvec::ArrayVec;
use std::os::fd::BorrowedFd;

/// Frames a burst holds at the most.
pub const BURST: usize = 64;

/// Octets of a frame of ordinary size, at the most.
pub const ORDINARY: usize = 2048;

/// A moment or a span in nanoseconds on the caller's monotonic clock (virtual in tests).
pub type Nanos = u64;

/// Frames lent by one [`RxQueue::recv`], oldest first.
pub type RxBurst<'a> = ArrayVec<Frame<'a>, BURST>;

/// The receiving half of one queue of a port.
///
/// A visit is `recv`, then exactly one `release`, both in the same turn. The frames of a burst are borrowed
/// from the queue until `release`. Broken input (a bad descriptor chain, a lying peer) is dropped inside,
/// counted under its own name, and never ends the queue.
pub trait RxQueue: Send {
    /// Lends up to `max` frames (never more than [`BURST`]) by appending to `burst`, which comes in empty. A
    /// queue that is down lends nothing.
    fn recv<'a>(&'a mut self, now: Nanos, max: usize, burst: &mut RxBurst<'a>);

    /// The first `taken` frames of the last burst are done; the others will be lent again, in the same order,
    /// by the next `recv`. `release(0)` after an empty burst is allowed and does nothing.
    fn release(&mut self, taken: usize);

    /// Asks to be notified at [`event`](Self::event) when the next frame comes, and looks once more: `true`
    /// means nothing is waiting and the caller may sleep; `false` means frames wait and nothing is armed.
    fn arm(&mut self) -> bool;

    /// No more notifications are needed, the queue is polled. Also consumes a pending notification.
    fn disarm(&mut self);

    /// What becomes readable when an armed queue has frames, or when it goes up or down. The same descriptor
    /// for the life of the queue; `None` for queues of a virtual world.
    fn event(&self) -> Option<BorrowedFd<'_>>;

    /// When a frame that is held back now (a delay) becomes due without any event.
    fn deadline(&self) -> Option<Nanos> {
        None
    }

    /// Whether [`deadline`](Self::deadline) can ever be anything else than `None`; asked once, so that queues
    /// without deadlines cost nothing.
    fn has_deadlines(&self) -> bool {
        false
    }
}

/// What became of a burst that was offered to [`TxQueue::send`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many frames from the front were taken over; the others were not touched and may be offered again.
    pub frames: usize,
    /// How many of those taken can never be sent here (too long, no such path) and were dropped; the queue
    /// counts the reason under its own name.
    pub refused: usize,
}

/// The sending half of one queue of a port.
pub trait TxQueue: Send {
    /// Takes frames from the front until the queue is full. A queue that is down takes none.
    fn send(&mut self, now: Nanos, frames: &[OutFrame<'_>]) -> Taken;

    /// Hands over what the turn sent: tells the peer, if it asked to be told.
    fn kick(&mut self);

    /// There is a peer that can take frames.
    fn is_up(&self) -> bool;

    /// Whether a frame of `len` octets in which this is left undone can be sent here as it is, [`OutFrame::undone`] and all,
    /// now or when there is room. Where not, whoever sends finishes it first; where that changes in between, the queue
    /// refuses it.
    fn takes(&self, undone: &Undone, len: usize) -> bool {
        let _ = (undone, len);
        false
    }

    /// How many frames of ordinary size fit now; a hint that saves reading what could not be sent. A longer frame counts for
    /// each [`ORDINARY`] octets that it begins. Where this many are `wanted` or more fit, it may say less than what fits,
    /// but not less than `wanted`: so a queue need not ask its peer each time. `usize::MAX` where the queue cannot say.
    fn room(&self, wanted: usize) -> usize {
        let _ = wanted;
        usize::MAX
    }

    /// Another handle on this queue, for another worker: all of them may be used at the same time, and frames of each
    /// arrive in its order. `None` where the queue cannot do that itself; [`share::handles`](crate::share::handles) makes
    /// handles of any queue.
    fn another(&self) -> Option<Box<dyn TxQueue>> {
        None
    }
}
