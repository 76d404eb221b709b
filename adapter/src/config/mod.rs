//! `adapter.toml`: what is written, and what it means.
//!
//! [`mod@file`] holds the sections as they are written; [`AdapterConfig`] is what they mean once every name was found
//! and every number judged. A mistake is one line with file, line, section and key.

mod check;
pub mod file;

use crate::engine::VifParams;
use link::Options;
use niv_node::config::{ConfigError, File, Node};
use std::path::{Path, PathBuf};
use vntag::ethernet::Mac;
use vntag::{ListId, VifId};

/// An adapter, ready to be started.
#[derive(Clone, Debug)]
pub struct AdapterConfig {
    /// The node.
    pub node: Node,
    /// Its links.
    pub links: Vec<LinkConfig>,
    /// Its vNICs.
    pub vnics: Vec<VnicConfig>,
    /// What is allowed but most likely not meant.
    pub warnings: Vec<String>,
}

/// A link to a switch.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Its name.
    pub name: String,
    /// Device, faults, capture.
    pub options: Options,
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
    /// Its static VIF on that link.
    pub vif: VifId,
    /// The parameters of the VIF.
    pub params: VifParams,
    /// The address the guest should use.
    pub mac: Option<Mac>,
    /// The port profile it asks for.
    pub profile: Option<String>,
    /// The virtual machine it belongs to.
    pub vm: Option<String>,
    /// Queue pairs.
    pub queues: u16,
    /// Rights of the vhost-user socket.
    pub socket_mode: Option<u32>,
    /// Group of the vhost-user socket.
    pub socket_group: Option<u32>,
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

    /// Without a file: one memif link and one vNIC with VIF 1 under `./niv-run/`, the counterpart of the switch
    /// without a file.
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
        // VIF 1 can be assigned.
        let vif = VifId::new(1).into_iter();
        Self {
            node: Node::without_file("adapter0"),
            links: vec![LinkConfig {
                name: "link0".to_owned(),
                options: options(link::Device::Memif(memif)),
                lists: Vec::new(),
            }],
            vnics: vif
                .map(|vif| VnicConfig {
                    name: "vnic0".to_owned(),
                    options: options(link::Device::VhostUser { socket: socket("vnic0.sock"), client: false }),
                    link: 0,
                    vif,
                    params: VifParams::default(),
                    mac: None,
                    profile: None,
                    vm: None,
                    queues: 1,
                    socket_mode: None,
                    socket_group: None,
                })
                .collect(),
            warnings: Vec::new(),
        }
    }

    /// The socket of a vNIC, where a guest finds it; and whether we connect instead of listening.
    #[must_use]
    pub fn socket(vnic: &VnicConfig) -> Option<(PathBuf, bool)> {
        match &vnic.options.device {
            link::Device::VhostUser { socket, client } => Some((socket.clone(), *client)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
