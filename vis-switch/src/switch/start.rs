//! The running configuration that a switch begins with.

use super::Kept;
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
    /// Lines of one that was kept that the chassis does not allow any more.
    pub left_out: Vec<CommandError>,
}

impl Beginning {
    /// Where a switch begins: with the running configuration that was kept; if there is none, with the
    /// [startup configuration](startup).
    ///
    /// # Errors
    /// As [`startup`].
    pub fn of(chassis: &Chassis, kept: &Kept) -> Result<Self, ConfigError> {
        let (config, left_out) = match &kept.running {
            Some(lines) => restore(chassis.initial(), lines),
            None => startup(chassis, kept.saved.startup.as_deref())?,
        };
        Ok(Self { config, restored: kept.running.is_some(), left_out })
    }
}

/// The startup configuration: the chassis, then the lines that were kept as such, or if there are none, the startup file.
/// Kept lines that the chassis does not allow any more are left out and returned.
///
/// # Errors
/// The file cannot be read, or has a line that is wrong.
pub fn startup(
    chassis: &Chassis,
    kept: Option<&str>,
) -> Result<(RunningConfig, Vec<CommandError>), ConfigError> {
    let config = chassis.initial();
    if let Some(lines) = kept {
        return Ok(restore(config, lines));
    }
    let Some(path) = &chassis.node.startup else { return Ok((config, Vec::new())) };
    let file = path.display().to_string();
    let refused = |message| ConfigError { file: file.clone(), line: None, place: String::new(), message };
    let text = std::fs::read_to_string(path)
        .map_err(|error| refused(format!("the startup file cannot be read: {error}")))?;
    let config = configure(config, &text).map_err(|error| refused(error.to_string()))?;
    Ok((config, Vec::new()))
}
