//! The control plane of the switch, as a pure machine: no clock, thread, socket or log.
//!
//! [`lists`] keeps the VIF lists of an NIV link; [`forwarding`] is what the data path is told.

pub mod forwarding;
pub mod lists;

/// A change of what the data path does. Later ones are greater; one in effect means that all before it are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Change(pub u64);
