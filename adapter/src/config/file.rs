//! The sections of `adapter.toml` as they are written.

use crate::engine::VlanMode;
use link::{Device, FaultPlan};
use niv_node::config::{NodeSection, Spanned};
use serde::Deserialize;
use std::path::PathBuf;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterFile {
    /// `[node]`
    #[serde(default)]
    pub node: NodeSection,
    /// `[firmware]`
    #[serde(default)]
    pub firmware: FirmwareSection,
    /// `[[link]]`
    #[serde(default)]
    pub link: Vec<Spanned<LinkSection>>,
    /// `[[vnic]]`
    #[serde(default)]
    pub vnic: Vec<Spanned<VnicSection>>,
    /// `[[list]]`
    #[serde(default)]
    pub list: Vec<ListSection>,
}

/// `[firmware]`: the adapter's end of the control protocol.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirmwareSection {
    /// Seconds for which the switch may be lost before guests lose their carriers.
    pub carrier_delay: Option<Spanned<u8>>,
    /// Seconds for which VIFs and lists wait for a switch that was lost.
    pub hold: Option<Spanned<u32>>,
    /// How it misbehaves on purpose.
    pub fault: Option<FirmwareFault>,
}

/// `fault = { seed = 1, rules = ["VIF_CREATE nth 3 refuse ERROR"] }` of `[firmware]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirmwareFault {
    /// For rules by percentage.
    #[serde(default)]
    pub seed: u64,
    /// The rules, as [`firmware_sim::fault::Rule`] reads them.
    pub rules: Vec<Spanned<String>>,
}

/// Whether a link finds its VIFs by the control protocol or has static ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Negotiation {
    /// By the control protocol.
    #[default]
    Niv,
    /// Static.
    Off,
}

/// `[[link]]`: a link to a switch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSection {
    /// Its name.
    pub name: Spanned<String>,
    /// Its device.
    pub device: Spanned<Device>,
    /// `"niv"` or `"off"`.
    #[serde(default)]
    pub negotiation: Negotiation,
    /// A pcapng file that records its frames.
    pub capture: Option<PathBuf>,
    /// Faults to put on its frames.
    pub fault: Option<FaultPlan>,
}

/// `[[vnic]]`: an interface for a guest or a host.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VnicSection {
    /// Its name.
    pub name: Spanned<String>,
    /// Its device.
    pub device: Spanned<Device>,
    /// The name of its link.
    pub link: Spanned<String>,
    /// The address the guest should use.
    pub mac: Option<Spanned<String>>,
    /// The port profile it asks for.
    pub profile: Option<Spanned<String>>,
    /// The virtual machine it belongs to.
    pub vm: Option<Spanned<String>>,
    /// The instance UUID of that machine.
    pub uuid: Option<Spanned<String>>,
    /// Its number on the link; in static mode the VIF.
    pub channel: Option<Spanned<u16>>,
    /// A second link to fail over to.
    pub backup: Option<Spanned<String>>,
    /// How the guest's carrier is driven: `"socket"`, `"qmp:PATH"`, `"none"`.
    pub link_signal: Option<Spanned<String>>,
    /// Queue pairs.
    pub queues: Option<Spanned<u16>>,
    /// Packed rings are offered to the guest.
    pub packed: Option<Spanned<bool>>,
    /// Rights of the vhost-user socket, octal: `"0660"`.
    pub socket_mode: Option<Spanned<String>>,
    /// Group of the vhost-user socket, by name or number.
    pub socket_group: Option<Spanned<String>>,
    /// The static VIF.
    pub vif: Option<Spanned<u16>>,
    /// The VIF's default VLAN.
    pub vlan: Option<Spanned<u16>>,
    /// `"access"`, `"trunk"` or `"native-tagged"`.
    pub vlan_mode: Option<Spanned<VlanMode>>,
    /// Priority of what the host sends untagged, 0 to 7.
    pub cos: Option<Spanned<u8>>,
    /// The priorities that may be sent; all where left out.
    pub priorities: Option<Spanned<Vec<u8>>>,
    /// Largest payload behind the Ethernet header.
    pub mtu: Option<Spanned<u16>>,
    /// A pcapng file that records its frames.
    pub capture: Option<PathBuf>,
    /// Faults to put on its frames.
    pub fault: Option<FaultPlan>,
}

/// `[[list]]`: a static VIF list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSection {
    /// The name of its link.
    pub link: Spanned<String>,
    /// Its id.
    pub id: Spanned<u16>,
    /// The VIFs in it.
    pub members: Spanned<Vec<u16>>,
}
