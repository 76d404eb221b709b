//! The lab's library: worlds, virtual drivers, models and fuzz targets for the tests of this project.

pub mod control;
pub mod driver;
pub mod fuzz;
pub mod lab;
pub mod model;
pub mod random;
pub mod stopwatch;
pub mod weather;
pub mod world;
