//! What the adapter has: its links and vNICs with their monitors and counters.

use crate::config::file::Negotiation;
use crate::config::{Attachment, DEFAULT_PROFILE, VnicConfig};
use crate::engine::{Counted, LinkStats, VnicSlot, VnicStats};
use crate::identity::{derived_mac, derived_uuid};
use crate::vhost::VnicMonitor;
use firmware_sim::LinkId;
use link::Monitor;
use std::sync::Arc;
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;

/// One link.
pub struct LinkEntry {
    /// Its name.
    pub name: String,
    /// Its device, as written.
    pub device: String,
    /// Whether its VIFs and lists come by the control protocol.
    pub negotiation: Negotiation,
    /// State and counters of the device.
    pub monitor: Arc<dyn Monitor>,
    /// Its counters.
    pub stats: Counted<LinkStats>,
    /// Static lists: id and members.
    pub lists: Vec<(u16, Vec<u16>)>,
}

/// Who asked for a vNIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file.
    File,
    /// A command; it is kept in the state folder.
    Command,
}

impl Origin {
    /// In a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Command => "command",
        }
    }
}

/// By what a vNIC is known to guests and switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its address.
    pub mac: Mac,
    /// Instance UUID.
    pub uuid: Uuid,
    /// The UUID is derived from this node's: on another node the vNIC would be another one, so it cannot move.
    pub immovable: bool,
    /// Its number on its links; in static mode the VIF.
    pub channel: u16,
}

impl Identity {
    /// That of a vNIC on this node.
    #[must_use]
    pub fn of(config: &VnicConfig, node: Uuid, channel: u16) -> Self {
        Self {
            mac: config.mac.unwrap_or_else(|| derived_mac(node, &config.name)),
            uuid: config.uuid.unwrap_or_else(|| derived_uuid(node, &config.name)),
            immovable: config.uuid.is_none(),
            channel,
        }
    }
}

/// One vNIC.
#[derive(Clone)]
pub struct VnicEntry {
    /// Its number in the data path and in the firmware.
    pub slot: VnicSlot,
    /// What was asked for.
    pub config: VnicConfig,
    /// By whom.
    pub origin: Origin,
    /// By what it is known.
    pub identity: Identity,
    /// State and counters of the device.
    pub monitor: Arc<dyn Monitor>,
    /// The guest's side, where the device is vhost-user.
    pub guest: Option<Arc<VnicMonitor>>,
    /// Its counters.
    pub stats: Counted<VnicStats>,
}

impl VnicEntry {
    /// The profile it asks for.
    #[must_use]
    pub fn profile(&self) -> &str {
        self.config.profile.as_deref().unwrap_or(DEFAULT_PROFILE)
    }

    /// Its port could not be opened.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // Every port that is open counts something.
        self.monitor.counters().is_empty()
    }

    /// The vNIC as the firmware has it; `None` for one whose VIF is static.
    #[must_use]
    pub fn firmware_config(&self) -> Option<firmware_sim::VnicConfig> {
        let Attachment::Negotiated { backup, .. } = &self.config.attachment else { return None };
        let id = |index: usize| LinkId(u16::try_from(index).unwrap_or(u16::MAX));
        Some(firmware_sim::VnicConfig {
            name: self.config.name.clone(),
            vm: self.config.vm.clone(),
            channel: self.identity.channel,
            uuid: self.identity.uuid,
            mac: self.identity.mac,
            profile: self.profile().to_owned(),
            link: id(self.config.link),
            backup: backup.map(id),
            incarnation: None,
        })
    }
}
