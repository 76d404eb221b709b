//! Configuration: what is written, and what it means.
//!
//! [`chassis`] reads `vis.toml`: ports, devices, the admin API. Everything else is configuration in the NX-OS
//! language: [`running`] is its model, [`commands`] the lines that change it (on a
//! [`draft`], or on the configuration of a switch), [`text`] writes it back as such lines,
//! [`expand`] says where those that count on an interface come from, [`difference`] what is different between two texts,
//! [`slots`] compiles it into the [plan](crate::engine::tables::Plan) of the engine's tables.

pub mod chassis;
pub mod commands;
pub mod difference;
pub mod draft;
pub mod expand;
pub mod running;
pub mod slots;
pub mod text;

#[cfg(test)]
mod tests;
