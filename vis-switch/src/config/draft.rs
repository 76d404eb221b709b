//! Configuration lines on a configuration that no switch runs yet.

use super::commands::{Candidate, Selected, commands};
use super::running::{Owner, ProfileName, RunningConfig};
use niv_node::command::{CommandError, Cursor, Table};
use std::sync::OnceLock;

/// A candidate, and nothing around it: no vEth that an adapter asked for.
struct Draft {
    config: RunningConfig,
    selected: Option<Selected>,
}

impl Candidate for Draft {
    fn config(&mut self) -> &mut RunningConfig {
        &mut self.config
    }

    fn selected(&mut self) -> &mut Option<Selected> {
        &mut self.selected
    }

    fn asked(&self, _: u32) -> Option<ProfileName> {
        None
    }

    fn bounced(&mut self, _: Owner) {}

    fn asking(&self, _: &ProfileName) -> Vec<u32> {
        Vec::new()
    }
}

fn table() -> &'static Table<Draft> {
    static TABLE: OnceLock<Table<Draft>> = OnceLock::new();
    TABLE.get_or_init(|| Table::new(commands(), &[]))
}

/// Runs configuration lines: all of them, or none.
///
/// # Errors
/// The first line that is wrong, with its line and column.
pub fn configure(config: RunningConfig, lines: &str) -> Result<RunningConfig, CommandError> {
    let mut draft = Draft { config, selected: None };
    table().configure(&mut draft, lines)?;
    Ok(draft.config)
}

/// Runs the lines of a running configuration, as [`text`](super::text) writes them, in a chassis that may have changed
/// since. A line that is not accepted any more is left out, with the section that it begins; those lines are returned.
#[must_use]
pub fn restore(config: RunningConfig, lines: &str) -> (RunningConfig, Vec<CommandError>) {
    let table = table();
    let mut draft = Draft { config, selected: None };
    let (mut cursor, mut left_out) = (Cursor::config(), Vec::new());
    let mut skip = false;
    for (number, line) in (1..).zip(lines.lines()) {
        if line.starts_with(' ') && skip {
            continue;
        }
        if !line.starts_with(' ') {
            cursor = Cursor::config();
            skip = false;
        }
        if let Err(mut error) = table.line(&mut cursor, &mut draft, line) {
            error.line = Some(number);
            left_out.push(error);
            skip = !line.starts_with(' ');
        }
    }
    (draft.config, left_out)
}
