//! The running configuration as a value, and the rules that hold between its parts.
//!
//! Every change that could break a rule goes through a method that refuses it, so that a value of this type can always
//! be compiled.

mod access_list;
mod effective;
mod inherit;
mod interface;
mod port_security;
mod ports;
mod private_vlan;
mod profile;
mod profiles;
mod switchport;
mod vlan;

pub use access_list::{AccessList, AclLine, AclName, MOST_ACCESS_LISTS, MOST_LINES, PROTOCOLS};
pub use effective::Effective;
pub use inherit::{DEEPEST, MOST_INHERITED};
pub use interface::{Binding, ChassisMode, Ethernet, EthernetId, Owner, PortMode, Vethernet};
pub use port_security::{MOST_SECURE, SecureAddresses, Security, SecurityLines};
pub use private_vlan::{Mapping, PrivateFault, PrivateLines, PrivatePort, PrivateVlan};
pub use profile::{Description, PortProfile, ProfileFault, ProfileName, ProfileType, UplinkFail, is_name};
pub use switchport::{Switchport, SwitchportLines, SwitchportMode};
pub use vlan::VlanName;

use std::collections::BTreeMap;
use std::sync::Arc;
use vntag::VifId;

/// vEths that may be configured.
pub const MOST_VETHERNETS: usize = 16_384;
/// Port profiles that may be configured.
pub const MOST_PROFILES: usize = 2_048;

/// Everything that is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningConfig {
    auto_create: bool,
    carrier_delay: u8,
    hold: u32,
    errdisable_recovery: bool,
    errdisable_interval: u32,
    tag_native: bool,
    port_profiles: BTreeMap<ProfileName, PortProfile>,
    /// What profiles inherit from, where that is something.
    inherits: BTreeMap<ProfileName, Vec<ProfileName>>,
    access_lists: BTreeMap<AclName, Arc<AccessList>>,
    /// Those that were made.
    vlans: BTreeMap<u16, Option<VlanName>>,
    /// Of those that were made.
    private_vlans: BTreeMap<u16, PrivateVlan>,
    vethernets: BTreeMap<u32, Vethernet>,
    ethernets: BTreeMap<EthernetId, Ethernet>,
    /// Which vEth has a binding: the same as theirs, the other way round.
    bound: BTreeMap<Binding, u32>,
}

impl Default for RunningConfig {
    /// Of a chassis without ports.
    fn default() -> Self {
        Self::new([])
    }
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
    /// Seconds of [`carrier_delay`](Self::carrier_delay) if nothing is configured.
    pub const CARRIER_DELAY: u8 = 3;
    /// Seconds of [`hold`](Self::hold) if nothing is configured.
    pub const HOLD: u32 = 60;

    /// The configuration of a chassis with these ports and nothing else.
    #[must_use]
    pub fn new(ports: impl IntoIterator<Item = (EthernetId, Ethernet)>) -> Self {
        Self {
            auto_create: true,
            carrier_delay: Self::CARRIER_DELAY,
            hold: Self::HOLD,
            errdisable_recovery: false,
            errdisable_interval: Self::ERRDISABLE_INTERVAL,
            tag_native: false,
            port_profiles: [(ProfileName::default(), PortProfile::built_in())].into(),
            inherits: BTreeMap::new(),
            access_lists: BTreeMap::new(),
            vlans: BTreeMap::new(),
            private_vlans: BTreeMap::new(),
            vethernets: BTreeMap::new(),
            ethernets: ports.into_iter().collect(),
            bound: BTreeMap::new(),
        }
    }

    /// A vNIC for which no vEth is configured gets a new one.
    #[must_use]
    pub fn auto_create(&self) -> bool {
        self.auto_create
    }

    /// Sets [`auto_create`](Self::auto_create).
    pub fn set_auto_create(&mut self, on: bool) {
        self.auto_create = on;
    }

    /// Frames of the native VLAN have a tag on trunks, too, and those without one are dropped there.
    #[must_use]
    pub fn tag_native(&self) -> bool {
        self.tag_native
    }

    /// Sets [`tag_native`](Self::tag_native).
    pub fn set_tag_native(&mut self, on: bool) {
        self.tag_native = on;
    }

    /// Seconds for which a lost link or switch changes nobody's carrier, 0 to 60.
    #[must_use]
    pub fn carrier_delay(&self) -> u8 {
        self.carrier_delay
    }

    /// Sets [`carrier_delay`](Self::carrier_delay).
    ///
    /// # Errors
    /// More than 60 s.
    pub fn set_carrier_delay(&mut self, seconds: u8) -> Result<(), Rule> {
        if seconds > 60 {
            return rule("The carrier delay is 0 to 60 seconds.");
        }
        self.carrier_delay = seconds;
        Ok(())
    }

    /// Seconds for which VIFs and learned addresses of a lost adapter are kept, 1 to 86,400.
    #[must_use]
    pub fn hold(&self) -> u32 {
        self.hold
    }

    /// Sets [`hold`](Self::hold).
    ///
    /// # Errors
    /// Not 1 to 86,400 s.
    pub fn set_hold(&mut self, seconds: u32) -> Result<(), Rule> {
        if !(1..=86_400).contains(&seconds) {
            return rule("The hold time is 1 to 86400 seconds.");
        }
        self.hold = seconds;
        Ok(())
    }

    /// The port profiles by name, `default` always among them.
    #[must_use]
    pub fn port_profiles(&self) -> &BTreeMap<ProfileName, PortProfile> {
        &self.port_profiles
    }

    /// The vEths that are configured, by number. Others may exist because an adapter made them.
    #[must_use]
    pub fn vethernets(&self) -> &BTreeMap<u32, Vethernet> {
        &self.vethernets
    }

    /// The ports by name.
    #[must_use]
    pub fn ethernets(&self) -> &BTreeMap<EthernetId, Ethernet> {
        &self.ethernets
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
            Some(vethernet) => {
                vethernet.binding.map(|binding| self.bound.remove(&binding));
                Ok(())
            }
            None => no_vethernet(number),
        }
    }

    /// Takes back all that was typed on a vEth, and its binding.
    ///
    /// # Errors
    /// There is none with this number.
    pub fn reset_vethernet(&mut self, number: u32) -> Result<(), Rule> {
        self.remove_vethernet(number)?;
        self.make_vethernet(number)
    }

    /// A vEth, to be changed.
    ///
    /// # Errors
    /// There is none with this number.
    pub fn vethernet_mut(&mut self, number: u32) -> Result<&mut Vethernet, Rule> {
        self.vethernets.get_mut(&number).map_or_else(|| no_vethernet(number), Ok)
    }

    /// The vEth with this binding.
    #[must_use]
    pub fn bound_to(&self, binding: Binding) -> Option<u32> {
        self.bound.get(&binding).copied()
    }

    /// Says what belongs to a vEth, whatever did before; `None` takes that off.
    ///
    /// # Errors
    /// There is no such vEth or port, the port is no NIV link, the channel cannot be one, the address is none of a
    /// vNIC, or another vEth has this binding.
    pub fn bind(&mut self, number: u32, binding: Option<Binding>) -> Result<(), Rule> {
        if let Some(binding) = binding {
            self.may_bind(number, binding)?;
        }
        let vethernet = self.vethernet_mut(number)?;
        let former = core::mem::replace(&mut vethernet.binding, binding);
        former.map(|former| self.bound.remove(&former));
        binding.map(|binding| self.bound.insert(binding, number));
        Ok(())
    }

    fn may_bind(&self, number: u32, binding: Binding) -> Result<(), Rule> {
        match binding {
            Binding::Channel { port, channel } => {
                let ethernet = self.ethernet(port)?;
                if ethernet.mode != PortMode::Vntag {
                    return rule(format!(
                        "Interface ethernet {port} is not in vntag mode; a vEthernet can only be bound to one that is."
                    ));
                }
                if !ethernet.negotiation() && VifId::new(channel).is_none() {
                    return rule(format!(
                        "Ethernet {port} does not negotiate, so that the channel is the VIF: {channel} is not in 1 to {}.",
                        VifId::MAX
                    ));
                }
                if channel == 0 {
                    return rule("A channel is a number from 1 to 65535.");
                }
            }
            Binding::Mac(mac) if mac.is_group() || mac.is_zero() => {
                return rule(format!("{} is no address of a vNIC.", mac.dotted()));
            }
            Binding::Mac(_) => {}
        }
        match self.bound_to(binding).filter(|other| *other != number) {
            None => Ok(()),
            Some(other) => rule(match binding {
                Binding::Channel { port, channel } => {
                    format!("Channel {channel} of ethernet {port} is bound to vethernet {other} already.")
                }
                Binding::Mac(mac) => {
                    format!("Address {} is bound to vethernet {other} already.", mac.dotted())
                }
            }),
        }
    }
}

fn no_vethernet<T>(number: u32) -> Result<T, Rule> {
    rule(format!("There is no interface vethernet {number}."))
}

fn no_profile<T>(name: &ProfileName) -> Result<T, Rule> {
    rule(format!("There is no port-profile {name}."))
}
