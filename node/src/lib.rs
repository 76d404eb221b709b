//! What every daemon of this project needs beside frames.

pub mod clock;
pub mod command;
pub mod config;
pub mod counter;
pub mod mailbox;
pub mod output;
pub mod stop;
pub mod worker;
