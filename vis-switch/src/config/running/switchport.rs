//! How an interface treats VLANs: what was typed, and what comes of it.

use super::{AclName, Owner, PrivateLines, PrivatePort, RunningConfig, Security, SecurityLines};
use crate::engine::vlan::{Program, VlanMode, VlanSet};

/// `switchport mode`, of interfaces that are no NIV links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SwitchportMode {
    /// One VLAN, without tags.
    #[default]
    Access,
    /// Many VLANs by tag.
    Trunk,
    /// `private-vlan host`: a host in a secondary VLAN.
    PrivateHost,
    /// `private-vlan promiscuous`: whom hosts in secondary VLANs reach.
    Promiscuous,
    /// `private-vlan trunk promiscuous`: the same for many primary VLANs by tag, and ordinary ones.
    PromiscuousTrunk,
}

impl SwitchportMode {
    /// The words behind `switchport mode`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Trunk => "trunk",
            Self::PrivateHost => "private-vlan host",
            Self::Promiscuous => "private-vlan promiscuous",
            Self::PromiscuousTrunk => "private-vlan trunk promiscuous",
        }
    }

    /// Whether the interface tells VLANs apart.
    #[must_use]
    pub fn vlans(self) -> VlanMode {
        match self {
            Self::Trunk | Self::PromiscuousTrunk => VlanMode::Trunk,
            Self::Access | Self::PrivateHost | Self::Promiscuous => VlanMode::Access,
        }
    }
}

/// How an interface treats VLANs, and what else profiles may say of it. All modes keep their settings while another is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switchport {
    /// Access, trunk, or a role in private VLANs.
    pub mode: SwitchportMode,
    /// VLAN in access mode.
    pub access: u16,
    /// VLAN of untagged frames in trunk mode.
    pub native: u16,
    /// VLANs in trunk mode.
    pub allowed: VlanSet,
    /// Octets of payload.
    pub mtu: u16,
    /// Private VLANs.
    pub private: PrivatePort,
    /// Access list for what comes in.
    pub acl_in: Option<AclName>,
    /// Access list for what goes out.
    pub acl_out: Option<AclName>,
    /// Taken down by a line.
    pub shutdown: bool,
    /// VLANs that pass although the profile that says so cannot be applied.
    pub system: VlanSet,
    /// Which sources may be there.
    pub security: Security,
}

impl Default for Switchport {
    fn default() -> Self {
        Self {
            mode: SwitchportMode::Access,
            access: 1,
            native: 1,
            allowed: VlanSet::all(),
            mtu: Program::MTU,
            private: PrivatePort::default(),
            acl_in: None,
            acl_out: None,
            shutdown: false,
            system: VlanSet::EMPTY,
            security: Security::default(),
        }
    }
}

impl Switchport {
    /// The VLAN of an interface that has only one: of a host the secondary, of a promiscuous one the primary.
    #[must_use]
    pub fn own_vlan(&self) -> Option<u16> {
        match self.mode {
            SwitchportMode::Access => Some(self.access),
            SwitchportMode::PrivateHost => self.private.host.map(|(_, secondary)| secondary),
            SwitchportMode::Promiscuous => self.private.mapping.as_ref().map(|mapping| mapping.primary),
            SwitchportMode::Trunk | SwitchportMode::PromiscuousTrunk => None,
        }
    }

    /// The same with nothing but its system VLANs; `None` if it carries none of them.
    #[must_use]
    pub fn system_only(mut self) -> Option<Self> {
        match self.own_vlan() {
            Some(vlan) => self.system.contains(vlan).then_some(self),
            None if self.mode.vlans() == VlanMode::Access => None,
            None => {
                self.allowed = self.allowed.iter().filter(|vlan| self.system.contains(*vlan)).collect();
                (!self.allowed.is_empty()).then_some(self)
            }
        }
    }
}

impl RunningConfig {
    /// Profiles and interfaces with such lines, for people.
    pub(super) fn places_with(&self, has: impl Fn(&SwitchportLines) -> bool) -> Vec<String> {
        let profiles = self.port_profiles.iter().filter(|(_, profile)| has(&profile.switchport));
        let veths = self.vethernets.iter().filter(|(_, veth)| has(&veth.switchport));
        let ports = self.ethernets.iter().filter(|(_, port)| has(&port.switchport));
        let profiles = profiles.map(|(name, _)| format!("port-profile {name}"));
        let veths = veths.map(|(number, _)| Owner::Vethernet(*number).short());
        profiles.chain(veths).chain(ports.map(|(id, _)| Owner::Ethernet(*id).short())).collect()
    }

    /// What the engine does with a switchport. An access list that does not exist filters nothing.
    #[must_use]
    pub fn program(&self, switchport: &Switchport) -> Program {
        let program = self.vlans_or_closed(switchport);
        let acl = |name: &Option<AclName>| Some(self.access_lists().get(name.as_ref()?)?.acl());
        let (acl_in, acl_out) = (acl(&switchport.acl_in), acl(&switchport.acl_out));
        let secure = switchport.secure(&program);
        Program { mtu: switchport.mtu, acl_in, acl_out, secure, ..program }
    }
}

/// The settings of a [`Switchport`] that were typed on an interface or a profile; what was not is decided by what
/// lies under it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwitchportLines {
    /// `switchport mode`
    pub mode: Option<SwitchportMode>,
    /// `switchport access vlan`
    pub access: Option<u16>,
    /// `switchport trunk native vlan`
    pub native: Option<u16>,
    /// `switchport trunk allowed vlan`; apart, because it is large and most interfaces have none.
    pub allowed: Option<Box<VlanSet>>,
    /// `mtu`
    pub mtu: Option<u16>,
    /// Private VLANs.
    pub private: PrivateLines,
    /// `ip access-group ... in`
    pub acl_in: Option<AclName>,
    /// `ip access-group ... out`
    pub acl_out: Option<AclName>,
    /// `shutdown`, or `no shutdown`
    pub shutdown: Option<bool>,
    /// `system vlan`, of profiles.
    pub system: Option<Box<VlanSet>>,
    /// `switchport port-security ...`; apart, because most interfaces have none.
    pub security: Option<Box<SecurityLines>>,
}

impl SwitchportLines {
    /// These settings over those of `under`.
    #[must_use]
    pub fn over(&self, under: Switchport) -> Switchport {
        Switchport {
            mode: self.mode.unwrap_or(under.mode),
            access: self.access.unwrap_or(under.access),
            native: self.native.unwrap_or(under.native),
            allowed: self.allowed.as_deref().cloned().unwrap_or(under.allowed),
            mtu: self.mtu.unwrap_or(under.mtu),
            private: self.private.over(under.private),
            acl_in: self.acl_in.clone().or(under.acl_in),
            acl_out: self.acl_out.clone().or(under.acl_out),
            shutdown: self.shutdown.unwrap_or(under.shutdown),
            system: self.system.as_deref().cloned().unwrap_or(under.system),
            security: match &self.security {
                Some(lines) => lines.over(under.security),
                None => under.security,
            },
        }
    }
}
