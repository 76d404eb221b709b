//! The VIF lists of an NIV link.

pub use crate::engine::flood::{FloodList, FloodLists};
