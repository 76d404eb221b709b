//! How an interface treats VLANs: what was typed, and what comes of it.

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
        }
    }
}
