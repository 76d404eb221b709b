//! The running configuration as a value, and the rules that hold between its parts.
//!
//! Every change goes through a method that refuses what would break a rule, so that a value of this type can always
//! be compiled.

use crate::engine::vlan::{Program, VlanMode, VlanSet};
use core::fmt;
use std::collections::BTreeMap;
use vntag::{ListId, VifId};

/// vEths that may be configured.
pub const MOST_VETHERNETS: usize = 16_384;

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

/// How an interface treats VLANs, as configured. Both modes keep their settings while the other is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switchport {
    /// Access or trunk.
    pub mode: VlanMode,
    /// VLAN in access mode.
    pub access: u16,
    /// VLAN of untagged frames in trunk mode.
    pub native: u16,
    /// VLANs in trunk mode.
    pub allowed: VlanSet,
    /// Octets of payload.
    pub mtu: u16,
}

impl Default for Switchport {
    fn default() -> Self {
        Self { mode: VlanMode::Access, access: 1, native: 1, allowed: VlanSet::all(), mtu: Program::MTU }
    }
}

impl Switchport {
    /// What the engine does with it.
    #[must_use]
    pub fn program(&self) -> Program {
        let program = match self.mode {
            VlanMode::Access => Program::access(self.access),
            VlanMode::Trunk => Program::trunk(self.native, self.allowed.clone()),
        };
        Program { mtu: self.mtu, ..program }
    }
}

/// Where a vEth is: a channel of an NIV link. Without negotiation the channel is the VIF.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Binding {
    /// The link.
    pub port: EthernetId,
    /// The channel.
    pub channel: VifId,
}

/// `interface vethernet N`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vethernet {
    /// VLANs.
    pub switchport: Switchport,
    /// Where it is, if anywhere.
    pub binding: Option<Binding>,
}

/// `switchport mode` of a physical port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortMode {
    /// An NIV link.
    Vntag,
    /// An ordinary port, in the mode of its [`Switchport`].
    Plain,
}

/// `interface ethernet S/P`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// NIV link or ordinary port.
    pub mode: PortMode,
    /// VLANs of an ordinary port; the MTU also of a link.
    pub switchport: Switchport,
    /// VIF lists that the adapter knows; sorted members.
    pub lists: BTreeMap<ListId, Vec<u16>>,
    /// The chassis says that this link has no negotiation, so it may be in vntag mode.
    pub negotiation_off: bool,
}

/// Everything that is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunningConfig {
    vethernets: BTreeMap<u32, Vethernet>,
    ethernets: BTreeMap<EthernetId, Ethernet>,
}

/// Why a change is refused, in words for the one who typed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Rule(String);

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.0
    }
}

fn rule<T>(message: impl Into<String>) -> Result<T, Rule> {
    Err(Rule(message.into()))
}

impl RunningConfig {
    /// The configuration of a chassis with these ports and nothing else.
    #[must_use]
    pub fn new(ports: impl IntoIterator<Item = (EthernetId, Ethernet)>) -> Self {
        Self { vethernets: BTreeMap::new(), ethernets: ports.into_iter().collect() }
    }

    /// The vEths by number.
    #[must_use]
    pub fn vethernets(&self) -> &BTreeMap<u32, Vethernet> {
        &self.vethernets
    }

    /// The ports by name.
    #[must_use]
    pub fn ethernets(&self) -> &BTreeMap<EthernetId, Ethernet> {
        &self.ethernets
    }

    /// The port with this name.
    ///
    /// # Errors
    /// The chassis has none; the message says which it has.
    pub fn ethernet(&self, id: EthernetId) -> Result<&Ethernet, Rule> {
        self.ethernets.get(&id).ok_or_else(|| self.no_port(id))
    }

    fn no_port(&self, id: EthernetId) -> Rule {
        let known: Vec<String> = self.ethernets.keys().take(8).map(EthernetId::to_string).collect();
        let more = if self.ethernets.len() > known.len() { ", ..." } else { "" };
        Rule(format!("There is no port ethernet {id} in this chassis; there are {}{more}.", known.join(", ")))
    }

    fn ethernet_mut(&mut self, id: EthernetId) -> Result<&mut Ethernet, Rule> {
        if !self.ethernets.contains_key(&id) {
            return Err(self.no_port(id));
        }
        self.ethernets.get_mut(&id).ok_or(Rule(String::new()))
    }

    /// Makes the vEth if it is not there.
    ///
    /// # Errors
    /// There are too many.
    pub fn make_vethernet(&mut self, number: u32) -> Result<(), Rule> {
        if self.vethernets.len() >= MOST_VETHERNETS && !self.vethernets.contains_key(&number) {
            return rule(format!(
                "There are {MOST_VETHERNETS} vEthernet interfaces, and there cannot be more."
            ));
        }
        self.vethernets.entry(number).or_default();
        Ok(())
    }

    /// Takes the vEth out.
    ///
    /// # Errors
    /// There is none with this number.
    pub fn remove_vethernet(&mut self, number: u32) -> Result<(), Rule> {
        match self.vethernets.remove(&number) {
            Some(_) => Ok(()),
            None => rule(format!("There is no interface vethernet {number}.")),
        }
    }

    /// The VLAN settings of a vEth, to be changed.
    ///
    /// # Errors
    /// There is none with this number.
    pub fn vethernet_switchport(&mut self, number: u32) -> Result<&mut Switchport, Rule> {
        match self.vethernets.get_mut(&number) {
            Some(vethernet) => Ok(&mut vethernet.switchport),
            None => rule(format!("There is no interface vethernet {number}.")),
        }
    }

    /// The VLAN settings of a port, to be changed.
    ///
    /// # Errors
    /// There is no such port.
    pub fn ethernet_switchport(&mut self, id: EthernetId) -> Result<&mut Switchport, Rule> {
        Ok(&mut self.ethernet_mut(id)?.switchport)
    }

    /// The vEth on a channel.
    #[must_use]
    pub fn bound_to(&self, binding: Binding) -> Option<u32> {
        self.vethernets
            .iter()
            .find(|(_, vethernet)| vethernet.binding == Some(binding))
            .map(|(number, _)| *number)
    }

    /// Binds a vEth to a channel, wherever it was before; `None` takes it off.
    ///
    /// # Errors
    /// There is no such vEth or port, the port is no NIV link, or the channel has a vEth already.
    pub fn bind(&mut self, number: u32, binding: Option<Binding>) -> Result<(), Rule> {
        if let Some(binding) = binding {
            let Binding { port, channel } = binding;
            if self.ethernet(port)?.mode != PortMode::Vntag {
                return rule(format!(
                    "Interface ethernet {port} is not in vntag mode; a vEthernet can only be bound to one that is."
                ));
            }
            if let Some(other) = self.bound_to(binding).filter(|other| *other != number) {
                return rule(format!(
                    "Channel {} of ethernet {port} is bound to vethernet {other} already.",
                    channel.get()
                ));
            }
        }
        match self.vethernets.get_mut(&number) {
            Some(vethernet) => vethernet.binding = binding,
            None => return rule(format!("There is no interface vethernet {number}.")),
        }
        Ok(())
    }

    /// Makes a port an NIV link or an ordinary port.
    ///
    /// # Errors
    /// There is no such port, vEths or lists hang on the mode, or the link would have to negotiate.
    pub fn set_port_mode(&mut self, id: EthernetId, mode: PortMode) -> Result<(), Rule> {
        let ethernet = self.ethernet(id)?;
        if ethernet.mode == mode {
            return Ok(());
        }
        if mode == PortMode::Vntag && !ethernet.negotiation_off {
            return rule(format!(
                "The control protocol comes with a later release: the [[port]] ethernet{id} needs negotiation = \"off\" to be in vntag mode."
            ));
        }
        if let Some(list) = ethernet.lists.keys().next() {
            return rule(format!("Ethernet {id} has vif-list {}; remove its lists first.", list.get()));
        }
        let bound = self
            .vethernets
            .iter()
            .find(|(_, vethernet)| vethernet.binding.is_some_and(|binding| binding.port == id));
        if let Some((number, _)) = bound {
            return rule(format!("Interface vethernet {number} is bound to ethernet {id}; unbind it first."));
        }
        self.ethernet_mut(id)?.mode = mode;
        Ok(())
    }

    /// Sets the members of a VIF list of a link; `None` removes the list.
    ///
    /// # Errors
    /// There is no such port or list, the port is no NIV link, or another list has the same members.
    pub fn set_list(&mut self, id: EthernetId, list: ListId, members: Option<Vec<u16>>) -> Result<(), Rule> {
        let ethernet = self.ethernet_mut(id)?;
        if ethernet.mode != PortMode::Vntag {
            return rule(format!("Interface ethernet {id} is not in vntag mode and has no VIF lists."));
        }
        let Some(mut members) = members else {
            return match ethernet.lists.remove(&list) {
                Some(_) => Ok(()),
                None => rule(format!("Ethernet {id} has no vif-list {}.", list.get())),
            };
        };
        members.sort_unstable();
        members.dedup();
        let twin = ethernet.lists.iter().find(|(other, same)| **other != list && **same == members);
        if let Some((twin, _)) = twin {
            return rule(format!(
                "vif-list {} of ethernet {id} has exactly these members already.",
                twin.get()
            ));
        }
        ethernet.lists.insert(list, members);
        Ok(())
    }
}
