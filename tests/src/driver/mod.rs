//! A virtual guest: memory, a virtio-net driver, and the ways in which it meets the adapter.
//!
//! - [`VirtualNic`]: in one process, under a virtual clock; the driver's rings are directly behind the queues.
//! - [`Guest`]: at a real vhost-user socket, with real descriptors; [`Wire`] is its side of the protocol.
//!   [`Silent`]: many of them that never say a word. [`Door`] is what they knock at, with an [`Echo`] behind it.
//!
//! The driver keeps to the rules and asserts that the device does. Whoever wants to break rules has
//! [`DriverRing`] and [`GuestMemory`], which let everything be written.

mod door;
mod echo;
mod guest;
mod log;
mod memory;
mod nic;
mod packed;
mod ring;
mod silent;
mod split;
mod virtual_nic;
mod wire;

pub use door::Door;
pub use echo::{Echo, EchoCounters};
pub use guest::{Guest, start_ring};
pub use log::{Log, PAGE};
pub use memory::{BASE, GuestMemory};
pub use nic::{Features, HEADER, NetDriver};
pub use packed::PackedRing;
pub use ring::{Buffer, DriverRing, INDIRECT, NEXT, WRITE};
pub use silent::Silent;
pub use split::SplitRing;
pub use virtual_nic::{Ends, VirtualNic};
pub use wire::{Request, Wire};
