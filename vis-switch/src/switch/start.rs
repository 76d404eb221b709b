//! The running configuration that a switch begins with.

use crate::config::chassis::Chassis;
use crate::config::draft::{configure, restore};
use crate::config::running::RunningConfig;
use niv_node::command::CommandError;
use niv_node::config::ConfigError;

/// Where a switch begins.
#[derive(Debug)]
pub struct Beginning {
    /// The configuration.
    pub config: RunningConfig,
    /// It is the one that was kept, and not the one of the startup file.
    pub restored: bool,
    /// Lines of it that the chassis does not allow any more.
    pub left_out: Vec<CommandError>,
}

impl Beginning {
    /// Where a switch begins: with the running configuration that was kept; if there is none, with the
    /// [startup configuration](startup).
    ///
    /// # Errors
    /// As [`startup`].
    pub fn of(chassis: &Chassis, kept: Option<&str>) -> Result<Self, ConfigError> {
        match kept {
            Some(lines) => {
                let (config, left_out) = restore(chassis.initial(), lines);
                Ok(Self { config, restored: true, left_out })
            }
            None => Ok(Self { config: startup(chassis)?, restored: false, left_out: Vec::new() }),
        }
    }
}

/// The startup configuration: the chassis, then the startup file.
///
/// # Errors
/// The file cannot be read, or has a line that is wrong.
pub fn startup(chassis: &Chassis) -> Result<RunningConfig, ConfigError> {
    let config = chassis.initial();
    let Some(path) = &chassis.node.startup else { return Ok(config) };
    let file = path.display().to_string();
    let refused = |message| ConfigError { file: file.clone(), line: None, place: String::new(), message };
    let text = std::fs::read_to_string(path)
        .map_err(|error| refused(format!("the startup file cannot be read: {error}")))?;
    configure(config, &text).map_err(|error| refused(error.to_string()))
}
