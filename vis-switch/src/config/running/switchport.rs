//! How an interface treats VLANs: what was typed, and what comes of it.

use super::{AclName, RunningConfig};
use crate::engine::vlan::{Program, VlanMode, VlanSet};

/// How an interface treats VLANs. Both modes keep their settings while the other is in force.
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
    /// Access list for what comes in.
    pub acl_in: Option<AclName>,
    /// Access list for what goes out; of physical ports only.
    pub acl_out: Option<AclName>,
}

impl Default for Switchport {
    fn default() -> Self {
        Self {
            mode: VlanMode::Access,
            access: 1,
            native: 1,
            allowed: VlanSet::all(),
            mtu: Program::MTU,
            acl_in: None,
            acl_out: None,
        }
    }
}

impl RunningConfig {
    /// What the engine does with a switchport. An access list that does not exist filters nothing.
    #[must_use]
    pub fn program(&self, switchport: &Switchport) -> Program {
        let program = match switchport.mode {
            VlanMode::Access => Program::access(switchport.access),
            VlanMode::Trunk => Program::trunk(switchport.native, switchport.allowed.clone()),
        };
        let acl = |name: &Option<AclName>| Some(self.access_lists().get(name.as_ref()?)?.acl());
        let (acl_in, acl_out) = (acl(&switchport.acl_in), acl(&switchport.acl_out));
        Program { mtu: switchport.mtu, acl_in, acl_out, ..program }
    }
}

/// The settings of a [`Switchport`] that were typed on an interface or a profile; what was not is decided by what
/// lies under it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwitchportLines {
    /// `switchport mode`
    pub mode: Option<VlanMode>,
    /// `switchport access vlan`
    pub access: Option<u16>,
    /// `switchport trunk native vlan`
    pub native: Option<u16>,
    /// `switchport trunk allowed vlan`; apart, because it is large and most interfaces have none.
    pub allowed: Option<Box<VlanSet>>,
    /// `mtu`
    pub mtu: Option<u16>,
    /// `ip access-group ... in`
    pub acl_in: Option<AclName>,
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
            acl_in: self.acl_in.clone().or(under.acl_in),
            acl_out: under.acl_out,
        }
    }
}
