//! Configurations that are kept beside the running one: the startup configuration, and checkpoints.
//!
//! The startup configuration is what `copy running-config startup-config` last kept. As long as nobody did, it is the startup
//! file of the chassis, and if there is none, the chassis alone. Whatever is kept here is on disk before it is
//! acknowledged.

use super::keep::{self, KEPT};
use super::{Switch, start};
use crate::config::difference;
use crate::config::draft::configure;
use crate::config::running::{Description, RunningConfig, is_name};
use crate::config::text;
use niv_node::command::CommandError;
use parking_lot::MutexGuard;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Checkpoints that the administrator may have (NX-OS).
pub const MOST_CHECKPOINTS: usize = 10;

/// The name of a checkpoint: 1 to 80 printing ASCII characters without blanks, `?` and `|`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckpointName(Arc<str>);

impl CheckpointName {
    /// The most octets (NX-OS).
    pub const MAX: usize = 80;
    /// How the names begin that the switch itself gives (NX-OS).
    const OWN: &str = "system-";

    /// `None` for what is not allowed.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        is_name(name, Self::MAX).then(|| Self(name.into()))
    }

    /// The one that `reload` makes of what it drops.
    fn before_reload() -> Self {
        Self(format!("{}before-reload", Self::OWN).into())
    }

    fn is_own(&self) -> bool {
        self.0.starts_with(Self::OWN)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Display for CheckpointName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A configuration with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// When it was made, as a date.
    pub created: String,
    /// A text for people.
    pub description: Option<String>,
    /// Its lines.
    pub lines: Arc<str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u16,
    created: String,
    description: Option<String>,
    lines: String,
}

const VERSION: u16 = 1;

impl Checkpoint {
    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { created, description, lines } = self.clone();
        let written = Written { version: VERSION, created, description, lines: lines.to_string() };
        // A struct of texts always is JSON.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    pub(super) fn decode(octets: &[u8]) -> Result<Self, String> {
        let Written { version, created, description, lines } =
            serde_json::from_slice(octets).map_err(|error| error.to_string())?;
        if version != VERSION {
            return Err(format!("a checkpoint of version {version}; this release reads version {VERSION}"));
        }
        Ok(Self { created, description, lines: lines.into() })
    }
}

/// What is kept beside the running configuration.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// The startup configuration, if one was kept.
    pub startup: Option<Arc<str>>,
    /// By name.
    pub checkpoints: BTreeMap<CheckpointName, Checkpoint>,
}

/// A configuration that can be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// The one in force.
    Running,
    /// The one that `reload` goes back to.
    Startup,
    /// A checkpoint.
    Checkpoint(CheckpointName),
}

/// What `reload` did.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// The lines that were not in the startup configuration (`+`), or only there (`-`); see [`difference::changes`].
    pub unsaved: (String, Value),
    /// The checkpoint that has them, if there were any.
    pub checkpoint: Option<CheckpointName>,
    /// Lines of a kept startup configuration that the chassis does not allow any more.
    pub left_out: Vec<CommandError>,
}

impl Switch {
    /// The lines of a configuration.
    ///
    /// # Errors
    /// There is no such checkpoint, or the startup file cannot be read.
    pub fn lines_of(&self, which: &Known) -> Result<Arc<str>, CommandError> {
        match which {
            Known::Running => {
                let config = Arc::clone(&self.state().config);
                Ok(text::running_config(&config).into())
            }
            Known::Startup => {
                let kept = self.state().saved.startup.clone();
                match kept {
                    Some(lines) => Ok(lines),
                    None => Ok(text::running_config(&self.startup(None)?.0).into()),
                }
            }
            Known::Checkpoint(name) => {
                let state = self.state();
                state
                    .saved
                    .checkpoints
                    .get(name)
                    .map(|found| Arc::clone(&found.lines))
                    .ok_or_else(|| unknown(name))
            }
        }
    }

    /// Makes the running configuration the startup configuration.
    ///
    /// # Errors
    /// It cannot be kept, or a change is under way for longer than a command waits.
    pub fn save_startup(&self) -> Result<(), CommandError> {
        let _one = self.one()?;
        let lines = self.lines_of(&Known::Running)?;
        let before = self.state().saved.startup.clone();
        self.keep(vec![keep::startup(Some(&lines))], vec![keep::startup(before.as_deref())])?;
        self.state().saved.startup = Some(lines);
        Ok(())
    }

    /// Forgets the startup configuration that was kept, so that the startup file of the chassis counts.
    ///
    /// # Errors
    /// As [`save_startup`](Self::save_startup).
    pub fn erase_startup(&self) -> Result<(), CommandError> {
        let _one = self.one()?;
        let before = self.state().saved.startup.clone();
        self.keep(vec![keep::startup(None)], vec![keep::startup(before.as_deref())])?;
        self.state().saved.startup = None;
        Ok(())
    }

    /// Keeps the running configuration under a name, or under `user-checkpoint-1`, `-2`, ... Returns the name.
    ///
    /// # Errors
    /// The name is taken or not to be given, there are too many, or as [`save_startup`](Self::save_startup).
    pub fn checkpoint(
        &self,
        name: Option<CheckpointName>,
        description: Option<Description>,
    ) -> Result<CheckpointName, CommandError> {
        let _one = self.one()?;
        let lines = self.lines_of(&Known::Running)?;
        let created = self.date(self.now());
        let description = description.map(|text| text.as_str().to_owned());
        let name = {
            let taken = &self.state().saved.checkpoints;
            if taken.keys().filter(|name| !name.is_own()).count() >= MOST_CHECKPOINTS {
                return Err(CommandError::refused(format!(
                    "There are {MOST_CHECKPOINTS} checkpoints, and there cannot be more; \"no checkpoint NAME\" removes one."
                )));
            }
            let numbered = |number: usize| CheckpointName(format!("user-checkpoint-{number}").into());
            let free = |name: &CheckpointName| !taken.contains_key(name);
            let name = name
                .or_else(|| (1..=MOST_CHECKPOINTS).map(numbered).find(free))
                .unwrap_or_else(|| numbered(0));
            if name.is_own() {
                let message =
                    format!("The switch itself gives names that begin with \"{}\".", CheckpointName::OWN);
                return Err(CommandError::refused(message));
            }
            if !free(&name) {
                return Err(CommandError::refused(format!(
                    "There is a checkpoint {name} already; \"no checkpoint {name}\" removes it."
                )));
            }
            name
        };
        let checkpoint = Checkpoint { created, description, lines };
        self.keep(vec![keep::checkpoint(&name, Some(&checkpoint))], vec![keep::checkpoint(&name, None)])?;
        self.state().saved.checkpoints.insert(name.clone(), checkpoint);
        Ok(name)
    }

    /// Removes a checkpoint.
    ///
    /// # Errors
    /// There is none of this name, or as [`save_startup`](Self::save_startup).
    pub fn remove_checkpoint(&self, name: &CheckpointName) -> Result<(), CommandError> {
        let _one = self.one()?;
        let before = self.state().saved.checkpoints.get(name).cloned().ok_or_else(|| unknown(name))?;
        self.keep(vec![keep::checkpoint(name, None)], vec![keep::checkpoint(name, Some(&before))])?;
        self.state().saved.checkpoints.remove(name);
        Ok(())
    }

    /// Makes a checkpoint the running configuration: all of it, or nothing. Returns the lines that differed.
    ///
    /// # Errors
    /// There is none of this name, the chassis does not allow one of its lines any more, or it cannot be kept.
    pub fn rollback(&self, name: &CheckpointName) -> Result<(String, Value), CommandError> {
        let _one = self.one()?;
        let lines = self.lines_of(&Known::Checkpoint(name.clone()))?;
        let config = configure(self.chassis.initial(), &lines).map_err(|error| {
            CommandError::refused(format!("checkpoint {name} does not fit this chassis any more: {error}"))
        })?;
        let before = Arc::clone(&self.state().config);
        let from = text::running_config(&before);
        if config != *before {
            self.commit(
                config,
                vec![keep::running(Some(lines.to_string()))],
                vec![keep::running(Some(from.clone()))],
            )?;
        }
        Ok(difference::changes(&from, &lines))
    }

    /// Goes back to the startup configuration, and forgets the changes since; a checkpoint has them.
    ///
    /// # Errors
    /// The startup file cannot be read or is wrong, the store does not keep that, or a change is under way for longer than a
    /// command waits (as it is where this is one of the lines of that change); then nothing has changed.
    pub fn reload(&self) -> Result<Reloaded, CommandError> {
        let _one = self.one()?;
        let (before, kept, replaced) = {
            let state = self.state();
            let own = CheckpointName::before_reload();
            let replaced = state.saved.checkpoints.get(&own).cloned();
            (Arc::clone(&state.config), state.saved.startup.clone(), replaced)
        };
        let (config, left_out) = self.startup(kept.as_deref())?;
        let lines = text::running_config(&before);
        let unsaved = difference::changes(&text::running_config(&config), &lines);
        let (mut batch, mut back) = (vec![keep::running(None)], vec![keep::running(Some(lines.clone()))]);
        let mut checkpoint = None;
        if !unsaved.0.is_empty() {
            let name = CheckpointName::before_reload();
            let description = Some("what reload dropped".to_owned());
            let made = Checkpoint { created: self.date(self.now()), description, lines: lines.into() };
            batch.push(keep::checkpoint(&name, Some(&made)));
            back.push(keep::checkpoint(&name, replaced.as_ref()));
            checkpoint = Some((name, made));
        }
        self.commit(config, batch, back)?;
        let name = checkpoint.as_ref().map(|(name, _)| name.clone());
        self.state().saved.checkpoints.extend(checkpoint);
        Ok(Reloaded { unsaved, checkpoint: name, left_out })
    }

    fn startup(&self, kept: Option<&str>) -> Result<(RunningConfig, Vec<CommandError>), CommandError> {
        start::startup(&self.chassis, kept).map_err(|error| CommandError::refused(error.to_string()))
    }

    /// Whoever has this is the only one who changes what is kept.
    fn one(&self) -> Result<MutexGuard<'_, ()>, CommandError> {
        let busy = || CommandError::refused("Another change of the configuration is under way.");
        self.changing.try_lock_for(KEPT).ok_or_else(busy)
    }
}

fn unknown(name: &CheckpointName) -> CommandError {
    CommandError::refused(format!("There is no checkpoint {name}."))
}
