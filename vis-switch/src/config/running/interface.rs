//! Interfaces as they are configured.

use super::profile::{Description, ProfileName, UplinkFail};
use super::switchport::{SwitchportLines, SwitchportMode};
use core::fmt;
use std::collections::BTreeMap;
use vntag::ethernet::Mac;
use vntag::{ListId, VifId};

/// A physical port: `1/1`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EthernetId {
    /// Slot.
    pub slot: u16,
    /// Port in the slot.
    pub port: u16,
}

impl EthernetId {
    /// Reads `1/1`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (slot, port) = text.split_once('/')?;
        let number = |text: &str| {
            let digits = (1..=4).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
            text.parse().ok().filter(|number| digits && *number > 0)
        };
        Some(Self { slot: number(slot)?, port: number(port)? })
    }

    /// Reads `ethernet1/1`, as it stands in files.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::parse(name.strip_prefix("ethernet")?)
    }
}

impl fmt::Display for EthernetId {
    /// `1/1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.slot, self.port)
    }
}

/// An interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Owner {
    /// `interface vethernet N`
    Vethernet(u32),
    /// `interface ethernet S/P`
    Ethernet(EthernetId),
}

impl fmt::Display for Owner {
    /// As it stands in lines of configuration: `vethernet 1`, `ethernet 1/1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vethernet(number) => write!(f, "vethernet {number}"),
            Self::Ethernet(id) => write!(f, "ethernet {id}"),
        }
    }
}

impl Owner {
    /// In short: `Veth1`, `Eth1/1`
    #[must_use]
    pub fn short(self) -> String {
        match self {
            Self::Vethernet(number) => format!("Veth{number}"),
            Self::Ethernet(id) => format!("Eth{id}"),
        }
    }
}

/// What belongs to a vEth. No two vEths have the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Binding {
    /// `bind interface ethernet S/P channel N`
    Channel {
        /// The NIV link.
        port: EthernetId,
        /// The adapter's number for the vNIC, 1 to 65,535. Where the link does not negotiate it is the VIF, 1 to 4,094.
        channel: u16,
    },
    /// `bind mac H.H.H`: the vNIC that is configured with this address, on any link that negotiates.
    Mac(Mac),
}

impl Binding {
    /// The link, where it is bound to one.
    #[must_use]
    pub fn port(self) -> Option<EthernetId> {
        match self {
            Self::Channel { port, .. } => Some(port),
            Self::Mac(_) => None,
        }
    }

    /// Link and VIF if the link does not negotiate.
    #[must_use]
    pub fn static_vif(self) -> Option<(EthernetId, VifId)> {
        match self {
            Self::Channel { port, channel } => Some((port, VifId::new(channel)?)),
            Self::Mac(_) => None,
        }
    }
}

impl fmt::Display for Binding {
    /// `interface ethernet 1/1 channel 5` or `mac 5254.0000.0001`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel { port, channel } => write!(f, "interface ethernet {port} channel {channel}"),
            Self::Mac(mac) => write!(f, "mac {}", mac.dotted()),
        }
    }
}

/// `interface vethernet N`: what was typed there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vethernet {
    /// VLANs.
    pub switchport: SwitchportLines,
    pub(super) profile: Option<ProfileName>,
    /// What happens when the last uplink fails.
    pub uplink_fail: Option<UplinkFail>,
    /// A text for people.
    pub description: Option<Description>,
    pub(super) binding: Option<Binding>,
}

impl Vethernet {
    /// `inherit port-profile`; goes before the one that the adapter asks for.
    #[must_use]
    pub fn profile(&self) -> Option<&ProfileName> {
        self.profile.as_ref()
    }

    /// What belongs to it, if that is configured.
    #[must_use]
    pub fn binding(&self) -> Option<Binding> {
        self.binding
    }
}

/// What a physical port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortMode {
    /// An NIV link: `switchport mode vntag`.
    Vntag,
    /// An ordinary port, in the mode that is in force on it.
    Plain,
}

/// `mode` of a `[[port]]` in the file of the chassis: what a port is as long as nobody types another mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChassisMode {
    /// An NIV link.
    Vntag,
    /// An ordinary port, trunk or access unless its profile says otherwise.
    Plain(SwitchportMode),
}

impl ChassisMode {
    /// What that makes the port.
    #[must_use]
    pub fn port(self) -> PortMode {
        match self {
            Self::Vntag => PortMode::Vntag,
            Self::Plain(_) => PortMode::Plain,
        }
    }

    /// The mode of an ordinary port on which none is typed, by itself or by a profile.
    #[must_use]
    pub fn switchport(self) -> SwitchportMode {
        match self {
            Self::Vntag => SwitchportMode::Access,
            Self::Plain(mode) => mode,
        }
    }
}

/// `interface ethernet S/P`: what was typed there, and what its chassis says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// VLANs of an ordinary port; the MTU also of a link. On a link there is no mode here.
    pub switchport: SwitchportLines,
    /// VIF lists that the adapter knows, where the link does not negotiate; sorted members.
    pub lists: BTreeMap<ListId, Vec<u16>>,
    /// A text for people.
    pub description: Option<Description>,
    pub(super) mode: PortMode,
    pub(super) profile: Option<ProfileName>,
    chassis: ChassisMode,
    negotiation: bool,
}

impl Ethernet {
    /// A port of a chassis, on which nothing is typed.
    #[must_use]
    pub fn new(chassis: ChassisMode, negotiation: bool) -> Self {
        Self {
            switchport: SwitchportLines::default(),
            lists: BTreeMap::new(),
            description: None,
            mode: chassis.port(),
            profile: None,
            chassis,
            negotiation,
        }
    }

    /// NIV link or ordinary port.
    #[must_use]
    pub fn mode(&self) -> PortMode {
        self.mode
    }

    /// `inherit port-profile`; of ordinary ports only.
    #[must_use]
    pub fn profile(&self) -> Option<&ProfileName> {
        self.profile.as_ref()
    }

    /// What it is as long as nobody types another mode.
    #[must_use]
    pub fn chassis(&self) -> ChassisMode {
        self.chassis
    }

    /// The chassis says so: as an NIV link it negotiates VIFs and lists with its adapter. If not, they are static.
    #[must_use]
    pub fn negotiation(&self) -> bool {
        self.negotiation
    }
}
