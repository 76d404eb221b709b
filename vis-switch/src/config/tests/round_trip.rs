//! Whatever is configured can be shown as lines, and the lines make the same again.

use super::*;
use crate::config::running::{
    AclLine, AclName, Binding, Description, Mapping, PortProfile, PrivateLines, PrivateVlan, ProfileType,
    SecurityLines, SwitchportLines, UplinkFail, VlanName,
};
use crate::config::text::running_config;
use crate::engine::acl::{AclRule, Addresses, Ports};
use crate::engine::secure::{Aging, Violation};
use crate::engine::vlan::VlanSet;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use std::collections::BTreeSet;
use vntag::ListId;
use vntag::ethernet::Mac;

/// A change of a configuration, which may be refused.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Errdisable {
        recovery: bool,
        interval: u32,
    },
    Global {
        auto_create: bool,
        carrier_delay: u8,
        hold: u32,
        tag_native: bool,
    },
    Profile(ProfileName, Option<ProfileType>, PortProfile),
    NoProfile(ProfileName),
    Inherit(ProfileName, ProfileName),
    Vethernet(u32, Box<Lines>),
    NoVethernet(u32),
    Bind(u32, Option<Binding>),
    /// `None` is what the chassis says, `Some(None)` an NIV link.
    Mode(EthernetId, Option<Option<SwitchportMode>>),
    Ethernet(EthernetId, Box<Lines>),
    List(EthernetId, u16, Option<Vec<u16>>),
    AccessLine(AclName, Option<u32>, AclLine),
    NoAccessLine(AclName, u32),
    NoAccessList(AclName),
    Vlan(u16, Option<VlanName>),
    NoVlan(u16),
    Private(u16, Option<PrivateVlan>),
    Associate(u16, BTreeSet<u16>),
}

/// What is typed on a vEth.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    switchport: SwitchportLines,
    profile: Option<ProfileName>,
    uplink_fail: Option<UplinkFail>,
    description: Option<Description>,
}

impl Change {
    pub(super) fn apply(self, config: &mut RunningConfig) {
        // A refusal is as good as a change: the configuration must be whole after either.
        let _ = match self {
            Self::Global { auto_create, carrier_delay, hold, tag_native } => {
                config.set_auto_create(auto_create);
                config.set_tag_native(tag_native);
                config.set_carrier_delay(carrier_delay).and(config.set_hold(hold))
            }
            Self::Errdisable { recovery, interval } => {
                config.set_errdisable_recovery(recovery);
                config.set_errdisable_interval(interval)
            }
            Self::Profile(name, kind, profile) => {
                config.make_port_profile(&name, kind).map(|made| match made.kind() {
                    ProfileType::Vethernet => *made = profile,
                    ProfileType::Ethernet => {
                        (made.enabled, made.switchport) = (profile.enabled, profile.switchport);
                        made.description = profile.description;
                    }
                })
            }
            Self::NoProfile(name) => config.remove_port_profile(&name, None, &[]),
            Self::Inherit(name, from) => config.inherit(&name, &from),
            Self::Vethernet(number, lines) => {
                let lines = *lines;
                let made = config.make_vethernet(number).and_then(|()| config.vethernet_mut(number));
                let made = made.map(|vethernet| {
                    vethernet.switchport = SwitchportLines { system: None, ..lines.switchport };
                    vethernet.uplink_fail = lines.uplink_fail;
                    vethernet.description = lines.description;
                });
                made.and_then(|()| config.set_profile(Owner::Vethernet(number), lines.profile))
            }
            Self::NoVethernet(number) => config.remove_vethernet(number),
            Self::Bind(number, binding) => config.bind(number, binding),
            Self::Mode(id, None) => config.reset_port_mode(id),
            Self::Mode(id, Some(mode)) => config.set_port_mode(id, mode),
            Self::Ethernet(id, lines) => {
                let Lines { switchport, profile, description, .. } = *lines;
                let port = config.ethernet(id).map(|port| (port.mode(), port.switchport.mode));
                port.and_then(|(mode, typed)| {
                    config.describe_ethernet(id, description)?;
                    // An NIV link cannot be shut down.
                    let shutdown = switchport.shutdown.filter(|shut| !shut || mode == PortMode::Plain);
                    *config.ethernet_switchport(id)? =
                        SwitchportLines { mode: typed, shutdown, system: None, ..switchport };
                    config.set_profile(Owner::Ethernet(id), profile)
                })
            }
            Self::List(id, list, members) => config.set_list(id, ListId::new(list).unwrap(), members),
            Self::AccessLine(name, number, line) => {
                config.make_access_list(&name).and_then(|list| list.put(number, line))
            }
            Self::NoAccessLine(name, number) => {
                config.make_access_list(&name).and_then(|list| list.remove(number))
            }
            Self::NoAccessList(name) => config.remove_access_list(&name),
            Self::Vlan(vlan, name) => config.name_vlan(vlan, name),
            Self::NoVlan(vlan) => config.remove_vlan(vlan).map(drop),
            Self::Private(vlan, kind) => config.set_private_vlan(vlan, kind),
            Self::Associate(primary, with) => config.associate(primary, with),
        };
    }
}

fn vlan() -> impl Strategy<Value = u16> {
    1..=4094u16
}

/// Few VLANs, many of them, or every other one, which takes many lines.
fn vlans() -> impl Strategy<Value = VlanSet> {
    let except = |out: Vec<u16>| {
        let mut set = VlanSet::all();
        out.iter().for_each(|vlan| set.remove(*vlan));
        set
    };
    prop_oneof![
        vec(vlan(), 0..8).prop_map(|vlans| vlans.into_iter().collect()),
        vec(vlan(), 0..200).prop_map(except),
        Just((1..=4094).step_by(2).collect()),
    ]
}

fn mode() -> impl Strategy<Value = SwitchportMode> {
    prop_oneof![
        Just(SwitchportMode::Access),
        Just(SwitchportMode::Trunk),
        Just(SwitchportMode::PrivateHost),
        Just(SwitchportMode::Promiscuous),
        Just(SwitchportMode::PromiscuousTrunk),
    ]
}

/// Few VLANs, so that changes meet, or many, which take many lines.
fn secondaries() -> impl Strategy<Value = BTreeSet<u16>> {
    let many = Just((100..=300u16).step_by(2).collect());
    prop_oneof![8 => btree_set(3..8u16, 1..4), 1 => many]
}

fn private_lines() -> impl Strategy<Value = PrivateLines> {
    let mapping = secondaries().prop_map(|secondaries| Box::new(Mapping { primary: 2, secondaries }));
    let trunk = btree_map(1000..1004u16, secondaries(), 1..3).prop_map(Box::new);
    (of((2..4u16, 4..8u16)), of(mapping), of(trunk)).prop_map(|(host, mapping, trunk)| PrivateLines {
        host,
        mapping,
        trunk,
    })
}

fn private_vlan() -> impl Strategy<Value = Change> {
    let kind = prop_oneof![
        Just(Some(PrivateVlan::Primary(BTreeSet::new()))),
        Just(Some(PrivateVlan::Isolated)),
        Just(Some(PrivateVlan::Community)),
        Just(None),
    ];
    prop_oneof![
        (1..8u16, kind).prop_map(|(vlan, kind)| Change::Private(vlan, kind)),
        (1..8u16, secondaries()).prop_map(|(vlan, with)| Change::Associate(vlan, with)),
    ]
}

fn switchport_lines() -> impl Strategy<Value = SwitchportLines> {
    // Beside what is about VLANs.
    let system = of(vec(vlan(), 1..8).prop_map(|vlans| Box::new(vlans.into_iter().collect())));
    let lists = (of(acl_name()), of(acl_name()), of(any::<bool>()), system, of(security()));
    (of(mode()), of(vlan()), of(vlan()), of(vlans()), of(576..=9216u16), lists, private_lines()).prop_map(
        |(mode, access, native, allowed, mtu, (acl_in, acl_out, shutdown, system, security), private)| {
            SwitchportLines {
                mode,
                access,
                native,
                allowed: allowed.map(Box::new),
                mtu,
                private,
                acl_in,
                acl_out,
                shutdown,
                system,
                security: security.filter(|lines| *lines != SecurityLines::default()).map(Box::new),
            }
        },
    )
}

fn security() -> impl Strategy<Value = SecurityLines> {
    let violation =
        prop_oneof![Just(Violation::Shutdown), Just(Violation::Restrict), Just(Violation::Protect)];
    let aging = prop_oneof![Just(Aging::Absolute), Just(Aging::Inactivity)];
    let address = ((0..8u8).prop_map(|last| Mac([0x52, 0x54, 0, 0, 0, last])), of(vlan()));
    let numbers = (of(1..=1025u16), of(1..=1440u16));
    (any::<bool>(), numbers, of(violation), any::<bool>(), of(aging), btree_map(address, any::<bool>(), 0..4))
        .prop_map(|(enabled, (maximum, aging_minutes), violation, sticky, aging, addresses)| SecurityLines {
            enabled,
            maximum,
            violation,
            sticky,
            aging_minutes,
            aging,
            addresses,
        })
}

/// Without what only interfaces have.
fn of_profile(lines: SwitchportLines) -> SwitchportLines {
    let security = lines.security.map(|security| SecurityLines { addresses: BTreeMap::new(), ..*security });
    let security = security.filter(|lines| *lines != SecurityLines::default()).map(Box::new);
    SwitchportLines { security, ..lines }
}

fn acl_name() -> impl Strategy<Value = AclName> {
    let text = prop_oneof![Just("500"), Just("web"), Just("in"), Just("!"), Just("access-list")];
    text.prop_map(|text| AclName::new(text).unwrap())
}

fn addresses() -> impl Strategy<Value = Addresses> {
    let wildcard = prop_oneof![Just(0), Just(0xff), Just(u32::MAX), any::<u32>()];
    (any::<u32>(), wildcard).prop_map(|(address, wildcard)| Addresses::new(address, wildcard))
}

fn ports() -> impl Strategy<Value = Ports> {
    prop_oneof![
        any::<u16>().prop_map(Ports::Eq),
        any::<u16>().prop_map(Ports::Neq),
        (0..u16::MAX).prop_map(Ports::Gt),
        (1..=u16::MAX).prop_map(Ports::Lt),
        (any::<u16>(), any::<u16>()).prop_map(|(a, b)| Ports::Range(a.min(b), a.max(b))),
    ]
}

fn acl_line() -> impl Strategy<Value = AclLine> {
    let protocol = prop_oneof![Just(None), Just(Some(6)), Just(Some(17)), any::<u8>().prop_map(Some)];
    let rule = (any::<bool>(), protocol, addresses(), of(ports()), addresses(), of(ports()));
    prop_oneof![
        1 => description().prop_map(AclLine::Remark),
        4 => rule.prop_map(|(permit, protocol, source, source_ports, destination, destination_ports)| {
            // Only these two have ports.
            let with = |ports: Option<Ports>| ports.filter(|_| matches!(protocol, Some(6 | 17)));
            AclLine::Rule(AclRule {
                permit,
                protocol,
                source,
                source_ports: with(source_ports),
                destination,
                destination_ports: with(destination_ports),
            })
        }),
    ]
}

fn profile_name() -> impl Strategy<Value = ProfileName> {
    prop_oneof![
        prop_oneof![Just("default"), Just("web"), Just("type"), Just("t"), Just("!"), Just("vethernet")]
            .prop_map(name),
        "[!->@-{}~]{1,80}".prop_map(|text| name(&text)),
    ]
}

/// Anything that a line can say; at its end a question mark would be one.
fn description() -> impl Strategy<Value = Description> {
    "[ -~\u{e4}\u{20ac}]{0,253}[!->@-~]".prop_map(|text| Description::new(&text).unwrap())
}

fn uplink_fail() -> impl Strategy<Value = UplinkFail> {
    prop_oneof![Just(UplinkFail::Warning), Just(UplinkFail::LinkDown)]
}

fn kind() -> impl Strategy<Value = ProfileType> {
    prop_oneof![Just(ProfileType::Vethernet), Just(ProfileType::Ethernet)]
}

fn profile() -> impl Strategy<Value = PortProfile> {
    (any::<bool>(), of(1..=16_384u32), switchport_lines(), of(uplink_fail()), of(description())).prop_map(
        |(enabled, max_ports, switchport, uplink_fail, description)| {
            let mut profile = PortProfile::default();
            (profile.enabled, profile.max_ports, profile.switchport) =
                (enabled, max_ports, of_profile(switchport));
            (profile.uplink_fail, profile.description) = (uplink_fail, description);
            profile
        },
    )
}

fn lines() -> impl Strategy<Value = Lines> {
    (switchport_lines(), of(profile_name()), of(uplink_fail()), of(description())).prop_map(
        |(switchport, profile, uplink_fail, description)| Lines {
            switchport,
            profile,
            uplink_fail,
            description,
        },
    )
}

fn port() -> impl Strategy<Value = EthernetId> {
    (1..=5u16).prop_map(|port| EthernetId { slot: 1, port })
}

/// Few, so that changes meet.
fn veth() -> impl Strategy<Value = u32> {
    prop_oneof![1..=6u32, Just(1_048_575)]
}

fn binding() -> impl Strategy<Value = Binding> {
    prop_oneof![
        (port(), prop_oneof![0..8u16, any::<u16>()])
            .prop_map(|(port, channel)| Binding::Channel { port, channel }),
        (0..8u8).prop_map(|last| Binding::Mac(Mac([0x52, 0x54, 0, 0, 0, last]))),
        any::<[u8; 6]>().prop_map(|octets| Binding::Mac(Mac(octets))),
    ]
}

pub(super) fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<[bool; 2]>(), 0..=61u8, prop_oneof![0..=61u32, Just(86_400)]).prop_map(
            |([auto_create, tag_native], carrier_delay, hold)| Change::Global {
                auto_create,
                carrier_delay,
                hold,
                tag_native
            }
        ),
        (any::<bool>(), prop_oneof![Just(300), 29..=40u32])
            .prop_map(|(recovery, interval)| Change::Errdisable { recovery, interval }),
        (profile_name(), of(kind()), profile())
            .prop_map(|(name, kind, profile)| Change::Profile(name, kind, profile)),
        profile_name().prop_map(Change::NoProfile),
        (profile_name(), profile_name()).prop_map(|(name, from)| Change::Inherit(name, from)),
        (veth(), lines()).prop_map(|(number, lines)| Change::Vethernet(number, Box::new(lines))),
        veth().prop_map(Change::NoVethernet),
        (veth(), of(binding())).prop_map(|(number, binding)| Change::Bind(number, binding)),
        (port(), of(of(mode()))).prop_map(|(id, mode)| Change::Mode(id, mode)),
        (port(), lines()).prop_map(|(id, lines)| Change::Ethernet(id, Box::new(lines))),
        (acl_name(), of(0..4u32), acl_line()).prop_map(|(name, number, line)| Change::AccessLine(
            name,
            number.map(|number| 10 * number + 1),
            line
        )),
        (acl_name(), 0..4u32).prop_map(|(name, number)| Change::NoAccessLine(name, 10 * number + 1)),
        acl_name().prop_map(Change::NoAccessList),
        (1..8u16, of("[!->@-{}~]{1,32}"))
            .prop_map(|(vlan, name)| { Change::Vlan(vlan, name.map(|name| VlanName::new(&name).unwrap())) }),
        (1..8u16).prop_map(Change::NoVlan),
        private_vlan(),
        private_vlan(),
        (port(), 1..6u16, of(vec(1..=4094u16, 0..300)))
            .prop_map(|(id, list, members)| Change::List(id, list, members)),
    ]
}

proptest! {
    #[test]
    fn what_is_shown_makes_the_same_again(changes in vec(change(), 0..40)) {
        let mut config = initial();
        changes.into_iter().for_each(|change| change.apply(&mut config));
        let text = running_config(&config);
        let again = configure(&initial(), &text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&again, &config, "{}", text);
        prop_assert_eq!(running_config(&again), text.as_str());
        // It may be given to the running one, too.
        prop_assert_eq!(configure(&config, &text), Ok(config.clone()));

        // What is bound is known from both sides.
        for (number, vethernet) in config.vethernets() {
            if let Some(binding) = vethernet.binding() {
                prop_assert_eq!(config.bound_to(binding), Some(*number));
            }
        }
    }
}
