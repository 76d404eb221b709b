//! The admin face of a switch: its command table and what the API needs.

mod counters;
mod interface;
mod metrics;

use crate::config::commands::{Candidate, Selected, commands};
use crate::config::running::{ProfileName, RunningConfig};
use crate::config::text;
use crate::switch::Switch;
use niv_node::api::{Daemon, Identity};
use niv_node::command::{Args, Command, CommandError, EXEC, Language, Refusal, Reply, Table};
use niv_node::metrics::Metrics;
use niv_node::output::{Output, Record};
use std::sync::Arc;

/// Runs configuration lines on a configuration that no switch runs yet: all of them, or none.
///
/// # Errors
/// The first line that is wrong, with its line and column.
pub fn configure(config: RunningConfig, lines: &str) -> Result<RunningConfig, CommandError> {
    struct Draft(RunningConfig, Option<Selected>);
    impl Candidate for Draft {
        fn config(&mut self) -> &mut RunningConfig {
            &mut self.0
        }
        fn selected(&mut self) -> &mut Option<Selected> {
            &mut self.1
        }
        fn asked(&self, _: u32) -> Option<ProfileName> {
            None
        }
        fn asking(&self, _: &ProfileName) -> Vec<u32> {
            Vec::new()
        }
    }
    let mut draft = Draft(config, None);
    Table::new(commands(), WORDS).configure(&mut draft, lines)?;
    Ok(draft.0)
}

/// What commands run against: the switch, and a candidate where they configure.
pub struct Session {
    switch: Arc<Switch>,
    candidate: RunningConfig,
    selected: Option<Selected>,
}

impl Candidate for Session {
    fn config(&mut self) -> &mut RunningConfig {
        &mut self.candidate
    }

    fn selected(&mut self) -> &mut Option<Selected> {
        &mut self.selected
    }

    fn asked(&self, _: u32) -> Option<ProfileName> {
        None
    }

    fn asking(&self, _: &ProfileName) -> Vec<u32> {
        Vec::new()
    }
}

type Answer = Result<Reply, Refusal>;

const WORDS: &[(&str, &str)] = &[
    ("bind", "What belongs to the interface"),
    ("interface", "Interfaces"),
    ("show", "Show running system information"),
    ("switchport", "VLANs of the interface"),
    ("trunk", "Many VLANs, told apart by tags"),
    ("vethernet", "Virtual Ethernet interfaces"),
    ("vlan", "VLANs"),
];

/// The command table of a switch.
#[must_use]
pub fn table() -> Table<Session> {
    let show = [
        Command::new(EXEC, "show interface virtual", "Virtual interfaces", interface::virt),
        Command::new(
            EXEC,
            "show interface vethernet <number:1-1048575>",
            "One virtual interface in detail",
            interface::vethernet,
        ),
        Command::new(EXEC, "show interface ethernet [<port:port>]", "Physical ports", interface::ethernet),
        Command::new(EXEC, "show mac address-table", "Learned addresses", counters::addresses),
        Command::new(EXEC, "show counters", "What went in, what came out", counters::counters),
        Command::new(EXEC, "show drops [all]", "Dropped frames by reason", counters::drops),
        Command::new(EXEC, "show vif-list", "VIF lists of the NIV links", interface::lists),
        Command::new(EXEC, "show running-config", "The configuration in force", running_config),
        Command::new(EXEC, "show version", "Which software this is", version),
    ];
    Table::new(show.into_iter().chain(commands()).collect(), WORDS)
}

fn running_config(session: &mut Session, _: &Args) -> Answer {
    let text = text::running_config(&session.switch.state().config);
    let value = serde_json::Value::from(text.clone());
    Ok(Output::prose(text, value).into())
}

fn version(session: &mut Session, _: &Args) -> Answer {
    let record = Record::new()
        .field("name", "Name", session.switch.name.as_str())
        .field("product", "Product", env!("CARGO_PKG_NAME"))
        .field("version", "Version", env!("CARGO_PKG_VERSION"));
    Ok(Output::from(record).into())
}

/// A switch behind the admin API.
pub struct Admin {
    switch: Arc<Switch>,
    table: Table<Session>,
}

impl Admin {
    /// The face of this switch.
    #[must_use]
    pub fn new(switch: Arc<Switch>) -> Self {
        Self { switch, table: table() }
    }

    fn session(&self, candidate: RunningConfig) -> Session {
        Session { switch: self.switch.clone(), candidate, selected: None }
    }
}

impl Daemon for Admin {
    fn identity(&self) -> Identity {
        Identity {
            daemon: env!("CARGO_PKG_NAME").to_owned(),
            name: self.switch.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn exec(&self, line: &str) -> Result<Output, CommandError> {
        self.table.exec(&mut self.session(RunningConfig::default()), line)
    }

    fn configure(&self, lines: &str) -> Result<Output, CommandError> {
        self.switch.change(|config| {
            let mut session = self.session(config);
            let notes = self.table.configure(&mut session, lines)?;
            Ok((session.candidate, notes))
        })
    }

    fn language(&self) -> &dyn Language {
        &self.table
    }

    fn metrics(&self, metrics: &mut Metrics) {
        metrics::write(&self.switch, metrics);
    }
}
