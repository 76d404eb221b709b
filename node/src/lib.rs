//! What every daemon of this project needs beside frames.

#![forbid(unsafe_code)]

pub mod accounting;
pub mod api;
pub mod client;
pub mod clock;
pub mod command;
pub mod config;
pub mod counter;
pub mod daemon;
pub mod doctor;
pub mod event;
pub mod identity;
pub mod log;
pub mod mailbox;
pub mod metrics;
pub mod nivctl;
pub mod nivsh;
pub mod output;
pub mod part;
pub mod sandbox;
pub mod stop;
pub mod store;
pub mod supervise;
pub mod worker;
