//! What every daemon of this project needs beside frames.

pub mod counter;
pub mod worker;
