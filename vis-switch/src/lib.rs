//! The virtual interface switch: all switching, and all policy.
//!
//! [`engine`] is the pure part: frames in, frames out, nothing else. [`config`] is what is written and what it means.
//! [`switch`] joins the two; [`admin`] is its face to people and programs.

#![forbid(unsafe_code)]

pub mod admin;
pub mod config;
pub mod engine;
pub mod switch;
