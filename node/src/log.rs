//! Logging: `tracing`, to standard error.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// What is logged unless somebody says otherwise.
const DEFAULT: &str = "info";

/// Starts logging with `filter` (`debug`, `info,vis_switch=trace`), else with what the variable `RUST_LOG` says, else
/// with `info`. Once a process; a second start is an error.
///
/// # Errors
/// The filter cannot be read, or logging runs already.
pub fn start(filter: Option<&str>) -> Result<(), String> {
    let from_environment = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let (source, text) = match (filter, &from_environment) {
        (Some(filter), _) => ("--log", filter),
        (None, Some(filter)) if !filter.is_empty() => (EnvFilter::DEFAULT_ENV, filter.as_str()),
        _ => ("the default", DEFAULT),
    };
    let filter = EnvFilter::try_new(text).map_err(|error| format!("{source}: \"{text}\": {error}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // What cannot be written is lost: saying so would be written to the same place, and fail by a panic.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
        .map_err(|error| error.to_string())
}
