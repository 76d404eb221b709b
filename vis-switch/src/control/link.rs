//! A port, and what an NIV link that negotiates has beside it.

use super::classes::Classes;
use super::lists::{ListOp, Lists};
use super::namespace::Namespace;
use super::record::Identity;
use super::setup::{Config, PortConfig};
use super::vif::Vif;
use crate::config::running::{EthernetId, PortMode, RunningConfig};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use vntag::VifId;
use vntag::ctl::session::{self, Session, SessionEvent, Token};
use vntag::ctl::{EventCode, Limits, Role, Vifs};
use vntag::uuid::Uuid;

/// How a port is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PortKind {
    /// An ordinary port.
    Wire,
    /// An NIV link without negotiation.
    Static,
    /// An NIV link that negotiates.
    Niv,
}

/// A port.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) id: EthernetId,
    pub(super) kind: PortKind,
    /// Its device is up.
    pub(super) up: bool,
    /// Where the chassis lets it negotiate.
    pub(super) link: Option<Box<Link>>,
}

/// What a request to the adapter was about.
#[derive(Debug)]
pub(super) enum Asked {
    /// VIF_SET, LINK_STATE.
    Vifs(Vifs),
    /// VIF_DELETE.
    Delete(VifId),
    /// STATS_GET, to find out whether the adapter knows the VIF.
    Probe(VifId),
    /// LIST_SET, LIST_MOD.
    List(ListOp),
    /// EVENT.
    Event,
}

/// The adapter at the other end.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) boot_id: u64,
    pub(super) node: Uuid,
    pub(super) limits: Limits,
}

/// An NIV link that negotiates.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) session: Session,
    /// What the session told and was not dealt with.
    pub(super) inbox: VecDeque<SessionEvent>,
    /// There is an adapter: between the session's PeerUp and its PeerLost.
    pub(super) up: bool,
    /// The adapter, or the last one.
    pub(super) peer: Option<Peer>,
    /// How often an adapter came.
    pub(super) epoch: u64,
    /// The epoch in which the present adapter came for the first time since it was started.
    pub(super) life: u64,
    pub(super) vifs: BTreeMap<VifId, Vif>,
    /// VIFs that are not being taken back, by who asked.
    pub(super) by_claimant: BTreeMap<(Identity, u16), VifId>,
    pub(super) ids: Namespace,
    pub(super) lists: Lists,
    pub(super) classes: Classes,
    pub(super) asked: BTreeMap<Token, Asked>,
    /// VIFs whose adapter may have to be told something.
    pub(super) tell: BTreeSet<VifId>,
    /// An EVENT to be sent, and whether one is on its way.
    pub(super) event: Option<EventCode>,
    pub(super) event_sent: bool,
    /// It refused to do what it was told, and has done nothing since.
    pub(super) disobeys: bool,
    /// VIFs to be asked about.
    pub(super) probe: BTreeSet<VifId>,
}

impl Link {
    fn new(config: &Config, port: &PortConfig) -> Self {
        let node = (config.node_uuid, config.node_name.clone());
        let name = format!("ethernet{}", port.id);
        let session = session::Config {
            window: config.window,
            max_frame: port.max_frame,
            ..session::Config::new(Role::Vis, config.boot_id, port.mac, node, &name)
        };
        Self {
            session: Session::new(session),
            inbox: VecDeque::new(),
            up: false,
            peer: None,
            epoch: 0,
            life: 0,
            vifs: BTreeMap::new(),
            by_claimant: BTreeMap::new(),
            ids: Namespace::new(),
            lists: Lists::new(),
            classes: Classes::default(),
            asked: BTreeMap::new(),
            tell: BTreeSet::new(),
            event: None,
            event_sent: false,
            disobeys: false,
            probe: BTreeSet::new(),
        }
    }

    /// Takes over what the session has to tell.
    pub(super) fn drain(&mut self) {
        self.inbox.extend(core::iter::from_fn(|| self.session.poll_event()));
    }

    /// Wants this EVENT to be sent. One about the catalogue says more than one without.
    pub(super) fn owe_event(&mut self, code: EventCode) {
        if self.up && self.event != Some(EventCode::PROFILES) {
            self.event = Some(code);
        }
    }

    /// How many VIFs fit one vector beside `other` octets of TLVs.
    pub(super) fn vector(&self, other: usize) -> usize {
        let max_pdu = self.peer.as_ref().map_or(0, |peer| usize::from(peer.limits.max_pdu));
        let room = max_pdu.saturating_sub(vntag::ctl::HEADER_LEN + 4 + other) / 2;
        room.clamp(1, vntag::ctl::MAX_VIFS)
    }
}

impl Port {
    pub(super) fn new(config: &Config, port: &PortConfig) -> Self {
        let link = port.negotiation.then(|| Box::new(Link::new(config, port)));
        Self { id: port.id, kind: PortKind::Wire, up: false, link }
    }

    /// How it is used by this configuration.
    pub(super) fn kind_in(&self, running: &RunningConfig) -> PortKind {
        match running.ethernets().get(&self.id) {
            Some(ethernet) if ethernet.mode() == PortMode::Vntag && self.link.is_some() => PortKind::Niv,
            Some(ethernet) if ethernet.mode() == PortMode::Vntag => PortKind::Static,
            _ => PortKind::Wire,
        }
    }
}
