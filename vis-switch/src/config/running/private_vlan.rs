//! Private VLANs: which are primary, isolated or communities, which belong together, and what interfaces make of that.
//!
//! Lines may come in any order, as on NX-OS. A pair of a primary and a secondary VLAN is *operational* once both are what they
//! should be and the primary is associated with the secondary. An interface whose VLANs are not stays down and says why.

use super::{Rule, RunningConfig, Switchport, SwitchportMode, rule};
use crate::engine::vlan::{Program, VlanMode};
use std::collections::{BTreeMap, BTreeSet};

/// `private-vlan ...` of a VLAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivateVlan {
    /// `private-vlan primary`, and `private-vlan association`.
    Primary(BTreeSet<u16>),
    /// `private-vlan isolated`
    Isolated,
    /// `private-vlan community`
    Community,
}

impl PrivateVlan {
    /// The word of its line.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Primary(_) => "primary",
            Self::Isolated => "isolated",
            Self::Community => "community",
        }
    }
}

/// `switchport private-vlan mapping`: a primary VLAN and secondary ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The primary VLAN.
    pub primary: u16,
    /// The secondary VLANs, never none.
    pub secondaries: BTreeSet<u16>,
}

/// Settings of an interface for private VLANs, in force in the mode that each is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivatePort {
    /// `switchport private-vlan host-association`: primary and secondary VLAN.
    pub host: Option<(u16, u16)>,
    /// `switchport private-vlan mapping`
    pub mapping: Option<Mapping>,
    /// `switchport private-vlan mapping trunk`: secondary VLANs by primary one, never none.
    pub trunk: BTreeMap<u16, BTreeSet<u16>>,
}

/// Those of these settings that were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivateLines {
    /// `switchport private-vlan host-association`
    pub host: Option<(u16, u16)>,
    /// `switchport private-vlan mapping`
    pub mapping: Option<Box<Mapping>>,
    /// `switchport private-vlan mapping trunk`; all of them are one setting, and never none.
    pub trunk: Option<Box<BTreeMap<u16, BTreeSet<u16>>>>,
}

impl PrivateLines {
    /// These settings over those of `under`.
    #[must_use]
    pub fn over(&self, under: PrivatePort) -> PrivatePort {
        PrivatePort {
            host: self.host.or(under.host),
            mapping: self.mapping.as_deref().cloned().or(under.mapping),
            trunk: self.trunk.as_deref().cloned().unwrap_or(under.trunk),
        }
    }

    /// The lines that make these settings.
    #[must_use]
    pub fn of(port: &PrivatePort) -> Self {
        Self {
            host: port.host,
            mapping: port.mapping.clone().map(Box::new),
            trunk: (!port.trunk.is_empty()).then(|| Box::new(port.trunk.clone())),
        }
    }
}

/// Why private VLANs keep an interface down.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PrivateFault {
    /// A host without `switchport private-vlan host-association`.
    #[error("private-vlan host-association missing")]
    NoAssociation,
    /// A promiscuous interface without `switchport private-vlan mapping`.
    #[error("private-vlan mapping missing")]
    NoMapping,
    /// It should be the primary VLAN.
    #[error("VLAN {0} is not a primary private-vlan")]
    NotPrimary(u16),
    /// It should be a secondary VLAN.
    #[error("VLAN {0} is not an isolated or community private-vlan")]
    NotSecondary(u16),
    /// Both are what they should be, but do not belong together.
    #[error("private-vlan {secondary} is not associated with {primary}")]
    NotAssociated {
        /// The primary VLAN.
        primary: u16,
        /// The secondary VLAN.
        secondary: u16,
    },
    /// An access interface in a private VLAN.
    #[error("VLAN {0} is a private-vlan")]
    Access(u16),
}

impl RunningConfig {
    /// The VLANs that are private.
    #[must_use]
    pub fn private_vlans(&self) -> &BTreeMap<u16, PrivateVlan> {
        &self.private_vlans
    }

    /// Makes a VLAN a private one, or an ordinary one again. One that is primary already keeps what it is associated with.
    ///
    /// # Errors
    /// It is VLAN 1, none that can be made, the second isolated one of its primary VLAN, or should be primary and belongs to
    /// another.
    pub fn set_private_vlan(&mut self, vlan: u16, kind: Option<PrivateVlan>) -> Result<(), Rule> {
        let Some(kind) = kind else {
            self.private_vlans.remove(&vlan);
            return Ok(());
        };
        if vlan == 1 {
            return rule("VLAN 1 cannot be a private-vlan.");
        }
        if let Some((primary, with)) = self.associations().find(|(_, with)| with.contains(&vlan)) {
            let other = self.isolated_of(with).find(|other| *other != vlan);
            match (&kind, other) {
                (PrivateVlan::Primary(_), _) => {
                    return rule(format!("VLAN {vlan} is associated with private-vlan {primary} already."));
                }
                (PrivateVlan::Isolated, Some(other)) => {
                    return rule(format!(
                        "Private-vlan {primary} has the isolated VLAN {other} already, and cannot have {vlan} as well."
                    ));
                }
                _ => {}
            }
        }
        self.make_vlan(vlan)?;
        match (self.private_vlans.get(&vlan), &kind) {
            (Some(PrivateVlan::Primary(_)), PrivateVlan::Primary(_)) => {}
            _ => {
                self.private_vlans.insert(vlan, kind);
            }
        }
        Ok(())
    }

    /// Associates a primary VLAN with these secondary ones, and no others. They need not be secondary VLANs yet.
    ///
    /// # Errors
    /// It is not primary, one of the others is itself, VLAN 1 or primary or belongs to another, or two of them are isolated.
    pub fn associate(&mut self, primary: u16, secondaries: BTreeSet<u16>) -> Result<(), Rule> {
        if !matches!(self.private_vlans.get(&primary), Some(PrivateVlan::Primary(_))) {
            return rule(format!("VLAN {primary} is not a primary private-vlan."));
        }
        for secondary in &secondaries {
            let of_other =
                |(other, with): &(u16, &BTreeSet<u16>)| *other != primary && with.contains(secondary);
            if let Some((other, _)) = self.associations().find(of_other) {
                return rule(format!("VLAN {secondary} is associated with private-vlan {other} already."));
            }
            if *secondary == 1 || matches!(self.private_vlans.get(secondary), Some(PrivateVlan::Primary(_))) {
                return rule(format!("VLAN {secondary} cannot be a secondary private-vlan."));
            }
        }
        let mut isolated = self.isolated_of(&secondaries);
        if let (Some(one), Some(two)) = (isolated.next(), isolated.next()) {
            return rule(format!("A primary private-vlan has one isolated VLAN; {one} and {two} both are."));
        }
        drop(isolated);
        self.private_vlans.insert(primary, PrivateVlan::Primary(secondaries));
        Ok(())
    }

    /// What primary VLANs are associated with.
    fn associations(&self) -> impl Iterator<Item = (u16, &BTreeSet<u16>)> {
        self.private_vlans.iter().filter_map(|(vlan, kind)| match kind {
            PrivateVlan::Primary(with) => Some((*vlan, with)),
            _ => None,
        })
    }

    fn isolated_of<'a>(&'a self, vlans: &'a BTreeSet<u16>) -> impl Iterator<Item = u16> + 'a {
        vlans.iter().copied().filter(|vlan| self.private_vlans.get(vlan) == Some(&PrivateVlan::Isolated))
    }

    /// Whether a pair is operational; if so, whether the secondary VLAN is isolated.
    ///
    /// # Errors
    /// What is missing first.
    pub fn private_pair(&self, primary: u16, secondary: u16) -> Result<bool, PrivateFault> {
        let Some(PrivateVlan::Primary(with)) = self.private_vlans.get(&primary) else {
            return Err(PrivateFault::NotPrimary(primary));
        };
        match self.private_vlans.get(&secondary) {
            None | Some(PrivateVlan::Primary(_)) => Err(PrivateFault::NotSecondary(secondary)),
            Some(_) if !with.contains(&secondary) => Err(PrivateFault::NotAssociated { primary, secondary }),
            Some(kind) => Ok(*kind == PrivateVlan::Isolated),
        }
    }

    /// The private VLANs that are operational, each with its primary one, which is its own.
    pub fn private_pairs(&self) -> impl Iterator<Item = (u16, u16)> {
        self.associations().flat_map(move |(primary, with)| {
            let operational = move |vlan: &u16| self.private_pair(primary, *vlan).is_ok();
            with.iter().copied().filter(operational).chain([primary]).map(move |vlan| (vlan, primary))
        })
    }

    /// The operational ones of a mapping, or what the first lacks.
    fn mapped(&self, primary: u16, secondaries: &BTreeSet<u16>) -> Result<Vec<u16>, PrivateFault> {
        let is_operational = |vlan: &u16| self.private_pair(primary, *vlan).is_ok();
        let operational: Vec<u16> = secondaries.iter().copied().filter(is_operational).collect();
        match secondaries.first() {
            Some(first) if operational.is_empty() => self.private_pair(primary, *first).map(|_| Vec::new()),
            _ => Ok(operational),
        }
    }

    /// What keeps an interface with these settings down, or its program without MTU and access lists.
    ///
    /// # Errors
    /// Its private VLANs are not what its mode needs.
    pub fn vlans_of(&self, switchport: &Switchport) -> Result<Program, PrivateFault> {
        let Switchport { mode, access, native, allowed, private, .. } = switchport;
        // No frame has this VLAN: none leaves without a tag, and none without one is let in.
        let native = if self.tag_native() { 0 } else { *native };
        match mode {
            SwitchportMode::Access if self.private_vlans.contains_key(access) => {
                Err(PrivateFault::Access(*access))
            }
            SwitchportMode::Access => Ok(Program::access(*access)),
            SwitchportMode::Trunk if self.private_vlans.is_empty() => {
                Ok(Program::trunk(native, allowed.clone()))
            }
            SwitchportMode::Trunk => {
                Ok(Program::private_trunk(native, allowed.clone(), self.private_pairs()))
            }
            SwitchportMode::PrivateHost => {
                let (primary, secondary) = private.host.ok_or(PrivateFault::NoAssociation)?;
                let isolated = self.private_pair(primary, secondary)?;
                Ok(Program::private_host(primary, secondary, isolated))
            }
            SwitchportMode::Promiscuous => {
                let Mapping { primary, secondaries } =
                    private.mapping.as_ref().ok_or(PrivateFault::NoMapping)?;
                Ok(Program::promiscuous(*primary, &self.mapped(*primary, secondaries)?))
            }
            SwitchportMode::PromiscuousTrunk => {
                let mut ordinary = allowed.clone();
                self.private_vlans.keys().for_each(|vlan| ordinary.remove(*vlan));
                let of_primary = |(primary, secondaries): (&u16, &BTreeSet<u16>)| {
                    let operational = self.mapped(*primary, secondaries).unwrap_or_default();
                    operational.into_iter().map(move |vlan| (vlan, *primary)).collect::<Vec<_>>()
                };
                let allowed = |(primary, _): &(&u16, &BTreeSet<u16>)| allowed.contains(**primary);
                let pairs: Vec<(u16, u16)> =
                    private.trunk.iter().filter(allowed).flat_map(of_primary).collect();
                Ok(Program::promiscuous_trunk(native, ordinary, &pairs))
            }
        }
    }

    /// The same for an interface that stays in the tables: nothing passes it.
    pub(super) fn vlans_or_closed(&self, switchport: &Switchport) -> Program {
        let closed = |_| Program::closed(VlanMode::Access, switchport.access);
        self.vlans_of(switchport).unwrap_or_else(closed)
    }
}
