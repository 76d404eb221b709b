//! The virtual interface switch: all switching, and all policy.
//!
//! [`engine`] is the pure part: frames in, frames out, nothing else. [`config`] is what is written and what it means.
//! [`control`] keeps the state of the links; [`switch`] joins them; [`admin`] is its face to people and programs.

#![forbid(unsafe_code)]

pub mod admin;
pub mod cli;
pub mod config;
pub mod control;
pub mod engine;
pub mod switch;
