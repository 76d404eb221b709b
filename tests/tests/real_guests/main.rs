//! Real guests in QEMU, and what they see from inside.
//!
//! Each test boots guests of its own, with Debian's kernel (see `niv_lab::lab::kernel`). Tests that need programs which
//! are not there say so and pass; with `CI=true` they fail.

#![allow(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

mod daemons;
mod ethtool;
#[path = "../daemons/files.rs"]
#[allow(dead_code, reason = "what the tests of the daemons write, of which less is needed here")]
mod files;
mod front_door;
#[path = "../daemons/links.rs"]
mod links;
mod machine;
mod migration;
#[path = "../daemons/net.rs"]
#[allow(dead_code, reason = "interfaces for the tests of the daemons, of which less is needed here")]
mod net;
mod offloads;
#[path = "../daemons/place.rs"]
#[allow(dead_code, reason = "what the tests of the daemons do, of which less is needed here")]
mod place;
mod scene;
#[path = "../daemons/testpmd.rs"]
#[allow(dead_code, reason = "what the tests of the daemons ask of DPDK, of which less is needed here")]
mod testpmd;
