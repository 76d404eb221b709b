//! The lab's library: worlds, virtual drivers and models for the tests of this project.

pub mod control;
pub mod driver;
pub mod lab;
pub mod model;
pub mod random;
pub mod weather;
pub mod world;
