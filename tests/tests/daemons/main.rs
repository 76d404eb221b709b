//! The daemons as processes, from outside: configuration files as they are documented, real sockets, real guests and
//! peers, `nivctl`. Whatever a test did, both sides of the frame balance of every daemon agree at its end.
//!
//! Tests that need rights or programs which are not there say so and pass; with `CI=true` they fail.

#![allow(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

mod both_ends;
mod capture;
mod command_line;
mod doctor;
mod dpdk;
mod ends;
mod files;
mod guests;
mod idle;
mod in_flight;
mod keys;
mod killed;
mod killed_config;
mod kills;
mod leaks;
mod links;
mod lldp;
mod many_veths;
mod negotiation;
mod net;
mod netmiko;
mod ntc;
mod offloads;
mod operations;
mod place;
mod primer;
mod python;
mod roles;
mod sandbox;
mod saved;
mod scripted;
mod strangers;
mod systemd;
mod testpmd;
mod thousands;
mod transcript;
mod virtual_iv;
mod workers;
