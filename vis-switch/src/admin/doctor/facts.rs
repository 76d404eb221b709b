//! What a switch knows of itself that can be wrong.

use crate::admin::names::full_name;
use crate::config::running::PortMode;
use crate::config::slots::Owner;
use crate::config::text::vlans;
use crate::control::lists::ClassState;
use crate::control::{DownCause, NamespaceView, VethState};
use crate::engine::verdict::DropReason;
use crate::switch::{State, Switch, SwitchPort};
use link::{Device, Interface, PortCounter, PortState};
use std::collections::{BTreeMap, HashMap};
use vntag::ctl::Status;
use vntag::ctl::session::{NoPeer, NotPeer};
use vntag::ethernet::Mac;

/// All of it, at one moment. Built by [`Facts::of`], or by hand in a test.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) node: String,
    pub(super) state_dir: String,
    pub(super) ports: Vec<Port>,
    pub(super) veths: Vec<Veth>,
    pub(super) pending: Vec<Pending>,
    pub(super) profiles: BTreeMap<String, Profile>,
    /// Why state cannot be kept.
    pub(super) store: Option<String>,
    /// More workers than CPUs for them: both numbers.
    pub(super) crowd: Option<(usize, usize)>,
    pub(super) drops: Vec<(DropReason, u64)>,
    /// Addresses that were not learned for want of room.
    pub(super) mac_table_full: u64,
}

/// A port.
#[derive(Debug, Default)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) device: String,
    /// Its network interface, and octets that take place in a frame there behind the Ethernet header.
    pub(super) interface: Option<(String, Option<u32>)>,
    /// Why it is down, and the line of a shell that mends that.
    pub(super) down: Option<(String, Option<String>)>,
    pub(super) niv: bool,
    pub(super) negotiates: bool,
    /// That of an ordinary port.
    pub(super) mtu: u16,
    pub(super) has_faults: bool,
    /// Name of the adapter, and the longest frame it takes.
    pub(super) peer: Option<(String, u32)>,
    pub(super) lack: Option<Lack>,
    pub(super) rivals: Vec<String>,
    pub(super) ids: Option<NamespaceView>,
    /// VLANs whose floods are not as they should be.
    pub(super) lists: Vec<(String, List)>,
    pub(super) counters: Vec<PortCounter>,
}

/// Why an NIV link has no adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    Silent,
    Refused(String, NotPeer),
    Unanswered(String),
}

/// What is wrong with a VIF list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum List {
    Full,
    Refused(String),
    Pending,
}

/// A vEth.
#[derive(Debug, Default)]
pub(super) struct Veth {
    pub(super) number: u32,
    pub(super) cause: Option<DownCause>,
    pub(super) profile: Option<String>,
    pub(super) configured: Option<Mac>,
    /// Learned addresses.
    pub(super) used: Vec<Mac>,
    /// Index of the port.
    pub(super) port: Option<usize>,
    pub(super) mtu: u16,
    pub(super) vnic: Option<String>,
}

/// A vNIC that is refused.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) port: usize,
    pub(super) channel: u16,
    pub(super) vnic: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) status: Status,
    pub(super) cause: String,
}

/// A port profile.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Profile {
    pub(super) enabled: bool,
    pub(super) max_ports: Option<u32>,
    pub(super) users: u32,
}

impl Facts {
    pub(super) fn of(switch: &Switch) -> Self {
        let state = switch.state();
        let mut facts = Self {
            node: switch.name.clone(),
            state_dir: switch.state_dir().display().to_string(),
            ports: switch.ports.iter().enumerate().map(|(index, at)| port(&state, index, at)).collect(),
            veths: veths(switch, &state),
            store: switch.health().err(),
            crowd: switch.node().crowd(),
            drops: switch.counters.drops().filter(|(_, count)| *count > 0).collect(),
            mac_table_full: switch.counters.sum(|worker| worker.mac_table_full.get()),
            ..Self::default()
        };
        for row in state.control.pending() {
            facts.pending.push(Pending {
                port: row.port,
                channel: row.channel,
                vnic: row.vnic.map(str::to_owned),
                profile: row.profile.map(str::to_owned),
                status: row.status,
                cause: row.cause.to_owned(),
            });
        }
        for (name, profile) in state.config.port_profiles() {
            let has =
                |veth: &&Veth| veth.configured.is_some() && veth.profile.as_deref() == Some(name.as_str());
            let users = facts.veths.iter().filter(has).count();
            let users = u32::try_from(users).unwrap_or(u32::MAX);
            let (enabled, max_ports) = (profile.enabled, profile.max_ports);
            facts.profiles.insert(name.to_string(), Profile { enabled, max_ports, users });
        }
        facts
    }
}

fn port(state: &State, index: usize, at: &SwitchPort) -> Port {
    let device = at.device.parse::<Device>().ok();
    let interface = device.as_ref().and_then(Device::interface);
    let configured = state.config.ethernets().get(&at.id);
    let niv = configured.is_some_and(|ethernet| ethernet.mode() == PortMode::Vntag);
    let session = state.control.session(index);
    let counters = at.monitor.counters();
    Port {
        name: full_name(Owner::Ethernet(at.id)),
        device: at.device.clone(),
        interface: interface.map(|name| (name.to_string(), Interface::look(name).map(|now| now.mtu))),
        down: match at.monitor.state() {
            PortState::Up => None,
            PortState::Down { cause } => Some((cause, device.as_ref().and_then(Device::cure))),
        },
        niv,
        negotiates: session.is_some(),
        mtu: configured.map_or(0, |_| state.config.effective_ethernet(at.id).switchport.mtu),
        has_faults: counters.iter().any(|counter| counter.name.starts_with("fault_")),
        peer: session
            .and_then(|session| session.peer())
            .map(|peer| (peer.hello.node_name.to_string(), peer.hello.max_frame)),
        lack: session.and_then(|session| session.no_peer()).map(|lack| match lack {
            NoPeer::Silent => Lack::Silent,
            NoPeer::Refused(neighbor, why) => Lack::Refused(neighbor.name(), why.clone()),
            NoPeer::Unanswered(neighbor) => Lack::Unanswered(neighbor.name()),
        }),
        rivals: session
            .map(|session| session.rivals().map(|neighbor| neighbor.name()).collect())
            .unwrap_or_default(),
        ids: state.control.namespace(index),
        lists: state.control.lists(index).map(lists).unwrap_or_default(),
        counters,
    }
}

fn lists(lists: &crate::control::lists::Lists) -> Vec<(String, List)> {
    let classes = lists.classes().filter_map(|class| {
        let trouble = match class.state {
            ClassState::Served | ClassState::NoPeer => return None,
            ClassState::Changing => List::Pending,
            ClassState::NoRoom => List::Full,
            ClassState::Refused(why) => List::Refused(why.to_owned()),
        };
        Some((vlans(class.vlans), trouble))
    });
    classes.collect()
}

fn veths(switch: &Switch, state: &State) -> Vec<Veth> {
    let mut used: HashMap<Owner, Vec<Mac>> = HashMap::new();
    for (entry, owner) in switch.addresses(state) {
        used.entry(owner).or_default().push(entry.mac);
    }
    let veths = state.control.veths().map(|veth| Veth {
        number: veth.number,
        cause: match veth.state {
            VethState::Up => None,
            VethState::Down(cause) => Some(cause.clone()),
        },
        profile: veth.profile.map(|name| name.as_str().to_owned()),
        configured: veth.record.map(|record| record.identity.mac),
        used: used.remove(&Owner::Vethernet(veth.number)).unwrap_or_default(),
        port: veth.at.map(|(port, _)| port).or(veth.vifs.first().map(|vif| vif.port)),
        mtu: veth.switchport.mtu,
        vnic: veth.record.and_then(|record| record.vnic.clone()),
    });
    veths.collect()
}
