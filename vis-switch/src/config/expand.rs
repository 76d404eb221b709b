//! What is in force on an interface, line by line, and where each line comes from.

use super::running::{
    EthernetId, Owner, PortMode, PortProfile, PrivateLines, ProfileName, RunningConfig, SecurityLines,
    SwitchportLines, UplinkFail, Vethernet,
};
use super::text;

/// Where a line comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was typed on the interface.
    Interface,
    /// The adapter asks for it.
    Adapter,
    /// It stands in the file of the chassis.
    Chassis,
    /// It is a line of this profile.
    Profile(ProfileName),
}

impl core::fmt::Display for Origin {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Interface => f.write_str("interface"),
            Self::Adapter => f.write_str("adapter"),
            Self::Chassis => f.write_str("chassis"),
            Self::Profile(name) => write!(f, "port-profile {name}"),
        }
    }
}

/// Settings that may come from a profile.
type Settings = (SwitchportLines, Option<UplinkFail>);

/// Takes one setting out of some.
type Pick = fn(&Settings) -> Settings;

fn picks() -> [Pick; 20] {
    const fn none() -> SwitchportLines {
        SwitchportLines {
            mode: None,
            access: None,
            native: None,
            allowed: None,
            mtu: None,
            private: no_private(),
            acl_in: None,
            acl_out: None,
            shutdown: None,
            system: None,
            security: None,
        }
    }
    fn of_security(lines: &SwitchportLines, pick: fn(&SecurityLines) -> SecurityLines) -> SwitchportLines {
        SwitchportLines { security: lines.security.as_deref().map(pick).map(Box::new), ..none() }
    }
    fn no_security() -> SecurityLines {
        SecurityLines::default()
    }
    fn of_private(private: PrivateLines) -> SwitchportLines {
        SwitchportLines { private, ..none() }
    }
    const fn no_private() -> PrivateLines {
        PrivateLines { host: None, mapping: None, trunk: None }
    }
    [
        |(lines, _)| (SwitchportLines { mode: lines.mode, ..none() }, None),
        |(lines, _)| (SwitchportLines { access: lines.access, ..none() }, None),
        |(lines, _)| (SwitchportLines { native: lines.native, ..none() }, None),
        |(lines, _)| (SwitchportLines { allowed: lines.allowed.clone(), ..none() }, None),
        |(lines, _)| (of_private(PrivateLines { host: lines.private.host, ..no_private() }), None),
        |(lines, _)| {
            (of_private(PrivateLines { mapping: lines.private.mapping.clone(), ..no_private() }), None)
        },
        |(lines, _)| (of_private(PrivateLines { trunk: lines.private.trunk.clone(), ..no_private() }), None),
        |(lines, _)| (SwitchportLines { system: lines.system.clone(), ..none() }, None),
        |(lines, _)| {
            (of_security(lines, |lines| SecurityLines { enabled: lines.enabled, ..no_security() }), None)
        },
        |(lines, _)| {
            (of_security(lines, |lines| SecurityLines { maximum: lines.maximum, ..no_security() }), None)
        },
        |(lines, _)| {
            (of_security(lines, |lines| SecurityLines { violation: lines.violation, ..no_security() }), None)
        },
        |(lines, _)| {
            let pick =
                |lines: &SecurityLines| SecurityLines { aging_minutes: lines.aging_minutes, ..no_security() };
            (of_security(lines, pick), None)
        },
        |(lines, _)| {
            (of_security(lines, |lines| SecurityLines { aging: lines.aging, ..no_security() }), None)
        },
        |(lines, _)| {
            (of_security(lines, |lines| SecurityLines { sticky: lines.sticky, ..no_security() }), None)
        },
        |(lines, _)| {
            let pick =
                |lines: &SecurityLines| SecurityLines { addresses: lines.addresses.clone(), ..no_security() };
            (of_security(lines, pick), None)
        },
        |(lines, _)| (SwitchportLines { mtu: lines.mtu, ..none() }, None),
        |(lines, _)| (SwitchportLines { acl_in: lines.acl_in.clone(), ..none() }, None),
        |(lines, _)| (SwitchportLines { acl_out: lines.acl_out.clone(), ..none() }, None),
        |(_, uplink_fail)| (none(), *uplink_fail),
        |(lines, _)| (SwitchportLines { shutdown: lines.shutdown, ..none() }, None),
    ]
}

/// The lines that count on an interface, without those that another goes before: its own, and those of its profile and what
/// that inherits from, if it can be applied. `asked` is the profile that the adapter of a vEth asks for.
#[must_use]
pub fn interface(config: &RunningConfig, owner: Owner, asked: Option<&ProfileName>) -> Vec<(String, Origin)> {
    match owner {
        Owner::Vethernet(number) => vethernet(config, number, asked),
        Owner::Ethernet(id) => ethernet(config, id),
    }
}

fn vethernet(config: &RunningConfig, number: u32, asked: Option<&ProfileName>) -> Vec<(String, Origin)> {
    let empty = Vethernet::default();
    let typed = config.vethernets().get(&number).unwrap_or(&empty);
    let effective = config.effective(number, asked);
    let applied = config.profile_of(number, asked).filter(|_| effective.has_profile());
    let mut sources = vec![(Origin::Interface, (typed.switchport.clone(), typed.uplink_fail))];
    sources.extend(lineage(config, applied));

    let [before, after] = text::only_on_vethernets(typed);
    let mut lines = own(before);
    if let (None, Some(asked)) = (typed.profile(), asked) {
        lines.push((format!("inherit port-profile {asked}"), Origin::Adapter));
    }
    lines.extend(counted(&sources));
    lines.extend(own(after));
    lines
}

fn ethernet(config: &RunningConfig, id: EthernetId) -> Vec<(String, Origin)> {
    let Some(typed) = config.ethernets().get(&id) else { return Vec::new() };
    let applied = typed.profile().filter(|_| config.effective_ethernet(id).has_profile());
    let mut sources = vec![(Origin::Interface, (typed.switchport.clone(), None))];
    sources.extend(lineage(config, applied));
    if typed.mode() == PortMode::Plain {
        let mode = Some(typed.chassis().switchport());
        sources.push((Origin::Chassis, (SwitchportLines { mode, ..SwitchportLines::default() }, None)));
    }
    let [before, after] = text::only_on_ethernets(typed);
    let mut lines = own(before);
    lines.extend(counted(&sources));
    lines.extend(own(after));
    lines
}

fn own(lines: Vec<String>) -> Vec<(String, Origin)> {
    lines.into_iter().map(|line| (line, Origin::Interface)).collect()
}

/// What a profile that is applied says, and what it inherits from.
fn lineage(config: &RunningConfig, applied: Option<&ProfileName>) -> Vec<(Origin, Settings)> {
    let lineage = applied.map(|name| config.known_lineage(name).0).unwrap_or_default();
    lineage.into_iter().map(of_profile).collect()
}

/// The lines that a profile passes on, its own and those that it inherits; what is missing says nothing.
#[must_use]
pub fn profile(config: &RunningConfig, name: &ProfileName) -> Vec<(String, Origin)> {
    let sources: Vec<_> = config.known_lineage(name).0.into_iter().map(of_profile).collect();
    counted(&sources)
}

fn of_profile((name, profile): (&ProfileName, &PortProfile)) -> (Origin, Settings) {
    (Origin::Profile(name.clone()), (profile.switchport.clone(), profile.uplink_fail))
}

/// Each setting as the first of these says it.
fn counted(sources: &[(Origin, Settings)]) -> Vec<(String, Origin)> {
    let mut lines = Vec::new();
    for pick in picks() {
        let found = sources.iter().find_map(|(origin, settings)| {
            let (switchport, uplink_fail) = pick(settings);
            let said = text::settings(&switchport, uplink_fail);
            (!said.is_empty()).then_some((said, origin))
        });
        if let Some((said, origin)) = found {
            lines.extend(said.into_iter().map(|line| (line, origin.clone())));
        }
    }
    lines
}
