//! What an adapter knows of itself that can be wrong.

use super::rights::{Outsider, User};
use crate::admin::Context;
use crate::config::file::Negotiation;
use crate::engine::DropReason;
use crate::inventory::{LinkEntry, Origin};
use crate::rim::VnicView;
use crate::vhost::Standstill;
use firmware_sim::{CarrierCause, Firmware, LinkId};
use link::{Device, Interface, Monitor, PortCounter, PortState};
use std::path::PathBuf;
use vntag::ctl::session::{NoPeer, NotPeer};

/// All of it, at one moment. Built by [`Facts::of`], or by hand in a test.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) node: String,
    pub(super) state_dir: String,
    pub(super) links: Vec<Link>,
    pub(super) vnics: Vec<Vnic>,
    /// vNICs that are kept and not used, with the reason.
    pub(super) ignored: Vec<(String, String)>,
    /// Rules of the firmware's fault plan.
    pub(super) rules: usize,
    /// Why state cannot be kept.
    pub(super) store: Option<String>,
    /// More workers than CPUs for them: both numbers.
    pub(super) crowd: Option<(usize, usize)>,
}

/// What a port is made of, and how that is.
#[derive(Debug, Default)]
pub(super) struct Port {
    pub(super) device: String,
    /// Its network interface, and the MTU of that if it is there.
    pub(super) interface: Option<(String, Option<u32>)>,
    /// Why it is down, and the line of a shell that mends that.
    pub(super) down: Option<(String, Option<String>)>,
    pub(super) has_faults: bool,
    pub(super) counters: Vec<PortCounter>,
    pub(super) drops: Vec<(DropReason, u64)>,
}

/// A link.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) port: Port,
    pub(super) negotiates: bool,
    /// Name of the switch, and the longest frame it takes.
    pub(super) peer: Option<(String, u32)>,
    pub(super) lack: Option<Lack>,
    pub(super) rivals: Vec<String>,
}

/// Why a link has no switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    Silent,
    Refused(String, NotPeer),
    Unanswered(String),
}

/// A vNIC.
#[derive(Debug, Default)]
pub(super) struct Vnic {
    pub(super) name: String,
    pub(super) port: Port,
    /// Index of its link.
    pub(super) link: usize,
    /// A command added it, so that commands can change it.
    pub(super) by_command: bool,
    /// Its device could not be opened.
    pub(super) is_closed: bool,
    /// Why no frames pass between it and its guest, where it is for one.
    pub(super) standstill: Option<Standstill>,
    /// Why its link should be down.
    pub(super) carrier: Option<CarrierCause>,
    /// What keeps the adapter from signalling that, or guests from connecting.
    pub(super) obstacle: Option<String>,
    /// Where guests connect.
    pub(super) socket: Option<PathBuf>,
    /// Who should be able to connect and is not.
    pub(super) outsider: Option<Outsider>,
    /// MTU of its VIF.
    pub(super) mtu: Option<u16>,
    /// MTU that its front end was told by its user.
    pub(super) guest_mtu: u16,
}

impl Facts {
    pub(super) fn of(adapter: &Context) -> Self {
        let users = User::who_run_guests();
        let links = adapter.look(|firmware, _| {
            let ids = (0..).map(LinkId).zip(&adapter.links);
            ids.map(|(id, entry)| link(firmware, id, entry)).collect()
        });
        Self {
            node: adapter.name.clone(),
            state_dir: adapter.state_dir.display().to_string(),
            links,
            vnics: adapter.vnics().iter().map(|view| vnic(view, &users)).collect(),
            ignored: adapter.ignored(),
            rules: adapter.look(|firmware, _| firmware.faults().rules.len()),
            store: adapter.health().err(),
            crowd: adapter.node.crowd(),
        }
    }
}

fn port(device: &Device, monitor: &dyn Monitor, drops: impl Iterator<Item = (DropReason, u64)>) -> Port {
    let counters = monitor.counters();
    let interface = device.interface();
    Port {
        device: device.to_string(),
        interface: interface.map(|name| (name.to_string(), Interface::look(name).map(|now| now.mtu))),
        down: match monitor.state() {
            PortState::Up => None,
            PortState::Down { cause } => Some((cause, device.cure())),
        },
        has_faults: counters.iter().any(|counter| counter.name.starts_with("fault_")),
        counters,
        drops: drops.filter(|(_, count)| *count > 0).collect(),
    }
}

fn link(firmware: &Firmware, id: LinkId, entry: &LinkEntry) -> Link {
    let negotiates = entry.negotiation == Negotiation::Niv;
    let session = firmware.session(id).filter(|_| negotiates);
    let made = entry.device.parse::<Device>();
    let monitor = &*entry.monitor;
    Link {
        name: entry.name.clone(),
        // It was parsed when it was opened.
        port: made.map(|device| port(&device, monitor, entry.stats.total().drops.iter())).unwrap_or_default(),
        negotiates,
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
    }
}

fn vnic(VnicView { entry, status }: &VnicView, users: &[User]) -> Vnic {
    let config = &entry.config;
    let guest = entry.guest.as_deref();
    let socket = config.socket().filter(|(_, client)| !client).map(|(socket, _)| socket);
    let obstacle = guest.and_then(|guest| guest.carrier().obstacle);
    let params = status.as_ref().and_then(|status| status.vifs.iter().find_map(|vif| vif.params));
    let connected = guest.is_some_and(|guest| guest.guest().is_some());
    let outsider = socket.as_deref().filter(|_| !connected).and_then(|socket| Outsider::find(socket, users));
    Vnic {
        name: config.name.clone(),
        port: port(&config.options.device, &*entry.monitor, entry.stats.total().drops.iter()),
        link: config.link,
        by_command: entry.origin == Origin::Command,
        is_closed: entry.is_closed(),
        standstill: guest.and_then(crate::vhost::VnicMonitor::standstill),
        carrier: status.as_ref().and_then(|status| status.down.clone()),
        obstacle,
        socket,
        outsider,
        mtu: params.map(|params| params.mtu).or(config.fixed().map(|(_, params)| params.mtu)),
        guest_mtu: guest.and_then(|guest| guest.guest()).map_or(0, |guest| guest.mtu),
    }
}
