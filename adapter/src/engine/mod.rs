//! The interface virtualizer itself: stamping on the way up, delivery on the way down, and no decision about a
//! destination in between.
//!
//! ```text
//!  host port --recv--> up::judge --tag inserted--> link --> (the switch)
//!  host port <--send-- VIF, list members <-- down::judge <--recv-- link
//! ```
//!
//! Functions of (state, input, now): no clock, thread, socket or log. One file per stage; [`Datapath`] strings
//! them together for one worker, [`workers`] divides what there is among several.

pub mod capture;
pub mod control;
pub mod datapath;
pub mod down;
pub mod drops;
pub mod stats;
pub mod up;
pub mod vif;
pub mod workers;

pub use control::Punted;
pub use datapath::{Datapath, LinkSetup, Order, VnicSetup};
pub use drops::{DropCounters, DropReason};
pub use stats::{Counted, GroupStats, LinkStats, Stats, VnicStats};
pub use vif::{Lists, VifParams, VifState, VlanMode, VnicSlot};
