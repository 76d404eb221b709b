//! The adapter's management firmware as a pure state machine: the adapter's end of the VIF control protocol.
//!
//! It has no I/O, clock, thread or log. Time comes in as nanoseconds that never go back; frames come in and go out as
//! octets; what the data path, the host ports and the log have to do comes out as [`Output`]s.
//!
//! - [`Firmware`] is the whole of it: one [`Session`](vntag::ctl::session::Session) for each link, the vNICs, their VIFs,
//!   the VIF lists, and how to drive them.
//! - [`life`] is the life of one VIF, a pure function with its state diagram.
//! - [`mailbox`] is how a driver would talk to such firmware: the public enic device commands, typed.
//! - [`fault`] is how it misbehaves on purpose.
//!
//! # What it relies on
//!
//! The switch owns VIF ids, list ids and states; the host side owns names, channels, identities. After each loss of the
//! switch every VIF is asked for again, with the same identity, whether or not the switch has restarted: the switch
//! answers with the VIF it kept, or with a new one. So nothing depends on what was on the way when the link broke.

#![forbid(unsafe_code)]

mod config;
pub mod fault;
mod firmware;
pub mod life;
pub mod mailbox;
mod output;
mod timer;

pub use config::{Config, LinkId, VnicConfig, VnicError, VnicId};
pub use fault::FaultPlan;
pub use firmware::{Firmware, FirmwareCounters, VifStatus, VnicStatus};
pub use output::{CarrierCause, Notice, Order, OrderId, Output, StatsId};
