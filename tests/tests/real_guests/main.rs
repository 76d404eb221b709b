//! Real guests in QEMU, and what they see from inside.
//!
//! Each test boots guests of its own, with Debian's kernel (see `niv_lab::lab::kernel`). Tests that need programs which
//! are not there say so and pass; with `CI=true` they fail.

#![allow(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

mod front_door;
mod machine;
