//! The interface virtualizer: vNICs for guests and containers, VNTag frames on the link, no switching.
//!
//! See `docs/architecture.md` for how the parts fit.

#![deny(unsafe_code)]

pub mod admin;
pub mod cli;
pub mod config;
pub mod control;
pub mod engine;
pub mod identity;
pub mod inventory;
pub mod rim;
pub mod vhost;
