//! `vis.toml`: the chassis. Ports and their devices, the admin API, folders; nothing that can be configured at
//! runtime, but the initial mode of each port.

use super::running::{ChassisMode, Ethernet, EthernetId, RunningConfig, SwitchportMode};
use core::ops::RangeInclusive;
use link::device::Device;
use link::fault::FaultPlan;
use link::open::Options;
use niv_node::config::{ConfigError, File, Node, NodeSection, Spanned};
use serde::Deserialize;
use std::path::PathBuf;

/// Ports that a chassis may have.
const MOST_PORTS: usize = 1024;

/// Addresses that are learned at least before the table is full, where the file says nothing.
const MAC_TABLE_SIZE: usize = 32_768;

/// What the file may say: the largest table takes 128 MiB.
const MAC_TABLE_SIZES: RangeInclusive<usize> = 1024..=4_194_304;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChassisFile {
    #[serde(default)]
    node: NodeSection,
    #[serde(default)]
    switch: SwitchSection,
    #[serde(default)]
    port: Vec<Spanned<PortSection>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SwitchSection {
    mac_table_size: Option<Spanned<usize>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PortSection {
    name: Spanned<String>,
    device: Spanned<Device>,
    mode: Option<Mode>,
    negotiation: Option<Spanned<Negotiation>>,
    capture: Option<PathBuf>,
    fault: Option<FaultPlan>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Vntag,
    Trunk,
    Access,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Negotiation {
    Niv,
    Off,
}

/// A port of the chassis.
#[derive(Clone, Debug)]
pub struct ChassisPort {
    /// Its name.
    pub id: EthernetId,
    /// Its device, and what is put around that.
    pub options: Options,
    /// As an NIV link it negotiates VIFs and lists with its adapter (`negotiation = "niv"`, or nothing said); if not, they
    /// are static.
    pub negotiation: bool,
    /// How it is configured before anybody configured it.
    pub initial: Ethernet,
}

/// A chassis.
#[derive(Clone, Debug)]
pub struct Chassis {
    /// The `[node]` section.
    pub node: Node,
    /// Addresses that are learned at least before the table is full.
    pub mac_table_size: usize,
    /// The ports in the order of the file, which is the engine's order.
    pub ports: Vec<ChassisPort>,
}

impl Chassis {
    /// What `vis-switch` is without a file: one memif link under `./niv-run/`, which negotiates.
    ///
    /// # Errors
    /// Never: the built-in description is right.
    pub fn without_file() -> Result<Self, ConfigError> {
        let text =
            "[[port]]\nname = \"ethernet1/1\"\nmode = \"vntag\"\ndevice = \"memif:niv-run/link0.sock\"\n";
        let (_, mac_table_size, ports) = read(&File::new("built-in defaults", text))?;
        Ok(Self { node: Node::without_file("vis0"), mac_table_size, ports })
    }

    /// Reads a chassis.
    ///
    /// # Errors
    /// The first mistake, with its file, line and key.
    pub fn from_file(file: &File) -> Result<Self, ConfigError> {
        let (node, mac_table_size, ports) = read(file)?;
        Ok(Self { node: Node::from_file(file, &node, "vis")?, mac_table_size, ports })
    }

    /// The configuration before any line.
    #[must_use]
    pub fn initial(&self) -> RunningConfig {
        RunningConfig::new(self.ports.iter().map(|port| (port.id, port.initial.clone())))
    }

    /// The names of the ports in the engine's order.
    #[must_use]
    pub fn names(&self) -> Vec<EthernetId> {
        self.ports.iter().map(|port| port.id).collect()
    }
}

fn read(file: &File) -> Result<(NodeSection, usize, Vec<ChassisPort>), ConfigError> {
    let written: ChassisFile = file.parse()?;
    let mac_table_size = match &written.switch.mac_table_size {
        Some(size) if !MAC_TABLE_SIZES.contains(size.get_ref()) => {
            let (least, most) = (MAC_TABLE_SIZES.start(), MAC_TABLE_SIZES.end());
            return Err(file.error(size, format!("{least} to {most} addresses are allowed")));
        }
        Some(size) => *size.get_ref(),
        None => MAC_TABLE_SIZE,
    };
    let mut ports: Vec<ChassisPort> = Vec::new();
    for section in &written.port {
        if ports.len() == MOST_PORTS {
            return Err(file.error(section, format!("{MOST_PORTS} ports are the most")));
        }
        let port = port(file, section)?;
        if ports.iter().any(|other| other.id == port.id) {
            return Err(file.error(&section.get_ref().name, "another [[port]] has this name"));
        }
        ports.push(port);
    }
    Ok((written.node, mac_table_size, ports))
}

fn port(file: &File, section: &Spanned<PortSection>) -> Result<ChassisPort, ConfigError> {
    let written = section.get_ref();
    let Some(id) = EthernetId::from_name(written.name.get_ref()) else {
        return Err(file.error(&written.name, "a port is called ethernet1/1: slot and number from 1 to 9999"));
    };
    if matches!(written.device.get_ref(), Device::VhostUser { .. }) {
        return Err(
            file.error(&written.device, "a guest's interface; it can be the device of a [[vnic]] only")
        );
    }
    let off = written.negotiation.as_ref().is_some_and(|key| *key.get_ref() == Negotiation::Off);
    let mode = match written.mode {
        Some(Mode::Vntag) => ChassisMode::Vntag,
        Some(Mode::Trunk) => ChassisMode::Plain(SwitchportMode::Trunk),
        Some(Mode::Access) | None => ChassisMode::Plain(SwitchportMode::Access),
    };
    Ok(ChassisPort {
        id,
        options: Options {
            device: written.device.get_ref().clone(),
            fault: written.fault,
            capture: written.capture.clone(),
        },
        negotiation: !off,
        initial: Ethernet::new(mode, !off),
    })
}
