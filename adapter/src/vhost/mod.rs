//! vhost-user vNICs: the front door for guests, their memory, and their rings as queues.
//!
//! ```text
//!   guest (QEMU, DPDK)                this crate
//!   front end  <---- socket ---->  FrontDoor -> Session     one thread for all vNICs
//!                                                  |  start, stop, memory
//!   memory, rings  <-- mmap -->     RingSlot  <----+
//!                                      ^  one lock per burst
//!                                      +---- VringRx, VringTx    workers
//! ```
//!
//! A vNIC is added once and has its queues for life; guests come and go behind them. What the adapter hears of
//! a guest is a [`FrontendEvent`]; what an operator hears is the [`VnicMonitor`]'s state, with a cause in words.
//! Another front end (a control plane that is no vhost-user) can take the place of the front door: it would
//! start and stop the same [`RingSlot`](ring::RingSlot)s and send the same events.

mod carrier;
mod features;
mod front_door;
mod listen;
#[allow(unsafe_code)]
pub mod memory;
mod message;
mod peer;
mod qmp;
#[allow(unsafe_code)]
pub mod ring;
mod session;
mod vnic;
pub mod witness;

pub use carrier::{Carrier, LinkSeen, LinkSignal};
pub use front_door::{AddError, EventSink, FrontDoor};
pub use listen::ListenError;
pub use vnic::{Cause, FrontendEvent, GuestInfo, RingPair, Standstill, Vnic, VnicConfig, VnicMonitor};
