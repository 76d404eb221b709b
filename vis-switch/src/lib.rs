//! The virtual interface switch: all switching, and all policy.
//!
//! [`engine`] is the pure part: frames in, frames out, nothing else.

#![forbid(unsafe_code)]

pub mod config;
pub mod engine;
