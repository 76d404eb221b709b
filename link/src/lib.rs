//! Movers of frames. This crate delivers, pushes back, loses and captures frames; it never reads one.
//!
//! A **port** is a place where frames come in and go out: a memif, a network interface, a tap, one end of an
//! in-memory pair, a virtio ring. Its two directions are separate objects, so that a worker can hold frames
//! borrowed from one direction while it sends them out of the other one of the *same* port (hairpin):
//!
//! - [`RxQueue`] lends bursts of frames: [`recv`](RxQueue::recv), then [`release`](RxQueue::release).
//! - [`TxQueue`] takes bursts of frames: [`send`](TxQueue::send), then [`kick`](TxQueue::kick) once a turn.
//!
//! A [`Frame`] that was received is a list of [`Seg`]s: places in memory which their owner (a guest, a link
//! peer) may rewrite at any moment. Whoever decides about a frame copies its head out once, judges that copy,
//! and sends that copy: an [`OutFrame`] is a private `head` followed by what remains of the borrowed segments.
//!
//! What a port can be made of is written as a [`Device`] and opened with [`open_with`]. Faults and captures are
//! ports around ports: [`fault`], [`capture`].
//!
//! Time comes in as [`Nanos`]; only a capture file is given the time of the wall clock.
//!
//! A frame may be *unfinished*: its sender left a checksum or segmentation to others ([`Frame::undone`]). `packet` and `xdp`
//! lend such frames, a memif between two ends that announced it carries them, and what wraps a queue hands that on. Finishing
//! them is for those who know what a frame is: no queue is given one that does not [take](TxQueue::takes) it.

#![deny(unsafe_code)]

pub mod capture;
mod counter;
pub mod device;
pub mod error;
pub mod fault;
#[allow(unsafe_code)]
pub mod frame;
#[allow(unsafe_code)]
pub mod guard;
pub mod interface;
pub mod memif;
pub mod open;
mod packet;
pub mod pair;
mod pcap;
pub mod port;
#[allow(unsafe_code)]
pub mod prefetch;
pub mod queue;
pub mod share;
pub mod sources;
#[allow(unsafe_code)]
mod sys;
mod tap;
mod vnet;
mod watch;
mod xdp;

pub use device::{Device, InterfaceName, MemifDevice, Role, XdpDevice, XdpMode};
pub use error::OpenError;
pub use fault::FaultPlan;
pub use frame::{Frame, Gather, OutFrame, Seg, Undone, put};
pub use interface::Interface;
pub use open::{Defaults, Opening, Options, Recognise, Uses, open, open_by, open_with, wrap};
pub use port::{Changes, Monitor, Port, PortCounter, PortState, Tell};
pub use queue::{BURST, Nanos, ORDINARY, RxBurst, RxQueue, Taken, TxQueue};
pub use sources::{SourceId, Sources};
