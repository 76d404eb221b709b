//! `adapter.toml`: what is written, and what it means.
//!
//! [`mod@file`] holds the sections as they are written; [`AdapterConfig`] is what they mean once every name was found
//! and every number judged. A mistake is one line with file, line, section and key. A vNIC that comes by a command is
//! written in the same keys ([`settings`]) and judged by the same function ([`vnic::judge`]).

mod check;
pub mod file;
pub mod settings;
mod values;
pub mod vnic;

use crate::engine::VifParams;
use crate::vhost::LinkSignal;
use file::Negotiation;
use firmware_sim::FaultPlan;
use link::Options;
use niv_node::config::{ConfigError, File, Node};
use std::path::{Path, PathBuf};
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;
use vntag::{ListId, VifId};

/// The profile that a vNIC asks for where it names none.
pub const DEFAULT_PROFILE: &str = "default";

/// An adapter, ready to be started.
#[derive(Clone, Debug)]
pub struct AdapterConfig {
    /// The node.
    pub node: Node,
    /// The firmware.
    pub firmware: FirmwareConfig,
    /// Its links.
    pub links: Vec<LinkConfig>,
    /// Its vNICs.
    pub vnics: Vec<VnicConfig>,
    /// What is allowed but most likely not meant.
    pub warnings: Vec<String>,
}

/// The adapter's end of the control protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirmwareConfig {
    /// Seconds for which the switch may be lost before guests lose their carriers.
    pub carrier_delay: u8,
    /// Seconds for which VIFs and lists wait for a switch that was lost.
    pub hold: u32,
    /// How it misbehaves on purpose.
    pub faults: FaultPlan,
}

impl Default for FirmwareConfig {
    fn default() -> Self {
        Self { carrier_delay: 3, hold: 60, faults: FaultPlan::default() }
    }
}

/// A link to a switch.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Its name.
    pub name: String,
    /// Device, faults, capture.
    pub options: Options,
    /// Whether its VIFs and lists come by the control protocol.
    pub negotiation: Negotiation,
    /// The static lists: id and members.
    pub lists: Vec<(ListId, Vec<VifId>)>,
}

/// A vNIC.
#[derive(Clone, Debug)]
pub struct VnicConfig {
    /// Its name.
    pub name: String,
    /// Device, faults, capture.
    pub options: Options,
    /// Index of its link.
    pub link: usize,
    /// How it comes to a VIF there.
    pub attachment: Attachment,
    /// The address the guest should use; derived where it is left out.
    pub mac: Option<Mac>,
    /// Instance UUID of the machine it belongs to; derived where it is left out.
    pub uuid: Option<Uuid>,
    /// The port profile it asks for.
    pub profile: Option<String>,
    /// The virtual machine it belongs to.
    pub vm: Option<String>,
    /// Queue pairs.
    pub queues: u16,
    /// Packed rings are offered to the guest.
    pub packed: bool,
    /// Rights of the vhost-user socket.
    pub socket_mode: Option<u32>,
    /// Group of the vhost-user socket.
    pub socket_group: Option<u32>,
}

/// How a vNIC comes to its VIF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// It is written down, on both ends of the link.
    Static {
        /// The VIF.
        vif: VifId,
        /// The parameters of the VIF.
        params: VifParams,
    },
    /// By the control protocol.
    Negotiated {
        /// The adapter's number of the vNIC; the lowest free one where it is left out.
        channel: Option<u16>,
        /// Index of the link of its standby VIF.
        backup: Option<usize>,
        /// How the guest's carrier is driven.
        link_signal: LinkSignal,
    },
}

impl VnicConfig {
    /// Its static VIF and the parameters of that.
    #[must_use]
    pub const fn fixed(&self) -> Option<(VifId, VifParams)> {
        match self.attachment {
            Attachment::Static { vif, params } => Some((vif, params)),
            Attachment::Negotiated { .. } => None,
        }
    }

    /// The channel that is written down for it.
    #[must_use]
    pub const fn channel(&self) -> Option<u16> {
        match self.attachment {
            Attachment::Static { .. } => None,
            Attachment::Negotiated { channel, .. } => channel,
        }
    }

    /// The socket where a guest finds it; and whether we connect instead of listening.
    #[must_use]
    pub fn socket(&self) -> Option<(PathBuf, bool)> {
        match &self.options.device {
            link::Device::VhostUser { socket, client } => Some((socket.clone(), *client)),
            _ => None,
        }
    }
}

impl AdapterConfig {
    /// Reads and judges a file.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::from_file(&File::read(path)?)
    }

    /// Judges a file that was read.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn from_file(file: &File) -> Result<Self, ConfigError> {
        let written: file::AdapterFile = file.parse()?;
        check::check(file, &written)
    }

    /// Without a file: one memif link that negotiates and one vNIC under `./niv-run/`, the counterpart of the switch without
    /// a file.
    #[must_use]
    pub fn without_file() -> Self {
        let folder = Path::new("niv-run");
        let socket = |name: &str| folder.join(name);
        let options = |device| Options { device, fault: None, capture: None };
        let memif = link::device::MemifDevice {
            socket: socket("link0.sock"),
            abstract_socket: false,
            id: 0,
            queues: None,
            role: None,
        };
        Self {
            node: Node::without_file("adapter0"),
            firmware: FirmwareConfig::default(),
            links: vec![LinkConfig {
                name: "link0".to_owned(),
                options: options(link::Device::Memif(memif)),
                negotiation: Negotiation::Niv,
                lists: Vec::new(),
            }],
            vnics: vec![VnicConfig {
                name: "vnic0".to_owned(),
                options: options(link::Device::VhostUser { socket: socket("vnic0.sock"), client: false }),
                link: 0,
                attachment: Attachment::Negotiated {
                    channel: None,
                    backup: None,
                    link_signal: LinkSignal::default(),
                },
                mac: None,
                uuid: None,
                profile: None,
                vm: None,
                queues: 1,
                packed: false,
                socket_mode: None,
                socket_group: None,
            }],
            warnings: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
