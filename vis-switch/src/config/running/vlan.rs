//! `vlan N`: VLANs that are there although nobody uses them, and names.
//!
//! A VLAN exists if it was made by such a line, or where the first interface or profile uses it, like on any Cisco switch.
//! Nothing has to exist for frames to pass: the allowed VLANs of a trunk are those that it carries.

use super::profile::is_name;
use super::profiles::counted;
use super::{Rule, RunningConfig, SwitchportLines, rule};
use crate::engine::vlan::{VLAN_MAX, VlanSet};
use core::fmt;

/// The name of a VLAN: 1 to 32 printing ASCII characters without blanks, `?` and `|`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VlanName(Box<str>);

impl VlanName {
    /// The most octets (NX-OS).
    pub const MAX: usize = 32;

    /// `None` for what is not allowed.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        is_name(name, Self::MAX).then(|| Self(name.into()))
    }
}

impl fmt::Display for VlanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The VLAN that is always there.
const DEFAULT: u16 = 1;

impl RunningConfig {
    /// The VLANs that were made, with their names where they have one.
    pub fn vlans(&self) -> impl Iterator<Item = (u16, Option<&VlanName>)> {
        self.vlans.iter().map(|(vlan, name)| (*vlan, name.as_ref()))
    }

    /// What a VLAN is called, whether it was made or not.
    #[must_use]
    pub fn vlan_name(&self, vlan: u16) -> String {
        match self.vlans.get(&vlan) {
            Some(Some(name)) => name.to_string(),
            _ if vlan == DEFAULT => "default".to_owned(),
            // So does NX-OS.
            _ => format!("VLAN{vlan:04}"),
        }
    }

    /// Makes a VLAN if it was not made.
    ///
    /// # Errors
    /// It is none of 1 to 4094.
    pub fn make_vlan(&mut self, vlan: u16) -> Result<(), Rule> {
        if !(1..=VLAN_MAX).contains(&vlan) {
            return rule(format!("A VLAN is a number from 1 to {VLAN_MAX}."));
        }
        // VLAN 1 is there in any case.
        if vlan != DEFAULT {
            self.vlans.entry(vlan).or_default();
        }
        Ok(())
    }

    /// Gives a VLAN a name, or takes it away; makes it if it was not made.
    ///
    /// # Errors
    /// It is VLAN 1, or none that can be made.
    pub fn name_vlan(&mut self, vlan: u16, name: Option<VlanName>) -> Result<(), Rule> {
        if vlan == DEFAULT {
            return rule("VLAN 1 is called default.");
        }
        self.make_vlan(vlan)?;
        self.vlans.insert(vlan, name);
        Ok(())
    }

    /// Takes a VLAN out that was made. Where it is used it goes on to exist, without its name, and as an ordinary one; then a
    /// warning says who uses it.
    ///
    /// # Errors
    /// It is VLAN 1, or was not made and nobody uses it.
    pub fn remove_vlan(&mut self, vlan: u16) -> Result<Option<String>, Rule> {
        if vlan == DEFAULT {
            return rule("VLAN 1 cannot be removed.");
        }
        self.private_vlans.remove(&vlan);
        let users = self.vlan_users(vlan);
        let made = self.vlans.remove(&vlan).is_some();
        if users.is_empty() {
            return if made { Ok(None) } else { rule(format!("There is no \"vlan {vlan}\".")) };
        }
        let users = counted("place", users.into_iter());
        Ok(Some(format!(
            "Warning: VLAN {vlan} goes on to exist and its frames to pass, because it is the access VLAN in {users}"
        )))
    }

    /// Who has a VLAN as its access VLAN, so that it exists whether it was made or not.
    #[must_use]
    pub fn vlan_users(&self, vlan: u16) -> Vec<String> {
        self.places_with(|lines| lines.access == Some(vlan))
    }

    /// Whether a VLAN exists.
    #[must_use]
    pub fn has_vlan(&self, vlan: u16) -> bool {
        let typed = |lines: &SwitchportLines| lines.access == Some(vlan);
        vlan == DEFAULT
            || self.vlans.contains_key(&vlan)
            || self.port_profiles.values().any(|profile| typed(&profile.switchport))
            || self.ethernets.values().any(|port| typed(&port.switchport))
            || self.vethernets.values().any(|vethernet| typed(&vethernet.switchport))
    }

    /// The VLANs that exist.
    #[must_use]
    pub fn known_vlans(&self) -> VlanSet {
        let profiles = self.port_profiles.values().filter_map(|profile| profile.switchport.access);
        let vethernets = self.vethernets.values().filter_map(|vethernet| vethernet.switchport.access);
        let ethernets = self.ethernets.values().filter_map(|port| port.switchport.access);
        let made = self.vlans.keys().copied().chain([DEFAULT]);
        made.chain(profiles).chain(vethernets).chain(ethernets).collect()
    }
}
