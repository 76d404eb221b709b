//! A switch that does what it is told: enough of one to hold a firmware against.

use std::collections::{BTreeMap, BTreeSet};

use firmware_sim::LinkId;
use vntag::ctl::session::{Failure, Session, SessionEvent, Token};
use vntag::ctl::{
    InitialState, Refusal, Request, Response, Role, Status, VifParams, VifState, Vifs, VlanMode,
};
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;
use vntag::{ListId, VifId};

use super::{Path, Random, SECOND, session_config};

pub(crate) type Identity = (Uuid, Mac);

#[derive(Clone, Debug)]
pub(crate) struct SwitchVif {
    pub(crate) identity: Identity,
    pub(crate) state: VifState,
}

/// A list, as it was last asked for.
#[derive(Clone, Debug)]
pub(crate) struct SwitchList {
    pub(crate) generation: u32,
    pub(crate) members: BTreeSet<VifId>,
    /// Nothing is on the way, and the last thing was answered with OK: it may be used for data.
    pub(crate) acknowledged: bool,
}

enum Asked {
    List(ListId, u32),
    Delete(VifId),
    Other,
}

pub(crate) struct Port {
    pub(crate) session: Session,
    pub(crate) vifs: BTreeMap<VifId, SwitchVif>,
    pub(crate) lists: BTreeMap<ListId, SwitchList>,
    asked: BTreeMap<Token, Asked>,
    peer_boot: u64,
    lost_since: Option<u64>,
}

pub(crate) struct Switch {
    pub(crate) ports: Vec<Port>,
    /// So many creates of a hundred are refused.
    pub(crate) refuse: u64,
    pub(crate) answers: Vec<(LinkId, Result<Response, Failure>)>,
    pub(crate) requests: Vec<Request>,
    /// VIFs that it took away, known to the adapter or not.
    pub(crate) gone: BTreeSet<(LinkId, VifId)>,
    generation: u32,
}

pub(crate) const PARAMS: VifParams = VifParams {
    mode: VlanMode::Access,
    cos: 0,
    vlan: 1,
    priorities: 0xff,
    mtu: 1500,
    min_rate: 0,
    max_rate: 0,
};

impl Switch {
    pub(crate) fn new(life: u64, links: u16) -> Self {
        let port = |link| Port {
            session: Session::new(session_config(Role::Vis, life, link)),
            vifs: BTreeMap::new(),
            lists: BTreeMap::new(),
            asked: BTreeMap::new(),
            peer_boot: 0,
            lost_since: None,
        };
        Self {
            ports: (0..links).map(port).collect(),
            refuse: 0,
            answers: Vec::new(),
            requests: Vec::new(),
            gone: BTreeSet::new(),
            generation: 0,
        }
    }

    pub(crate) fn handle_link(&mut self, now: u64, link: LinkId, up: bool) {
        self.port(link).session.handle_link(now, up);
    }

    pub(crate) fn handle_frame(&mut self, now: u64, link: LinkId, frame: &[u8]) {
        self.port(link).session.handle_frame(now, frame);
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.ports.iter().filter_map(|port| port.session.next_deadline()).min()
    }

    pub(crate) fn port(&mut self, link: LinkId) -> &mut Port {
        &mut self.ports[usize::from(link.0)]
    }

    /// Frames to send, after all that has happened was dealt with.
    pub(crate) fn poll(&mut self, now: u64, link: LinkId, path: &Path, random: &mut Random) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        loop {
            let frame = self.port(link).session.poll_transmit(now);
            let mut busy = frame.is_some();
            frames.extend(frame);
            while let Some(event) = self.port(link).session.poll_event() {
                busy = true;
                self.event(now, link, event, path, random);
            }
            if !busy {
                return frames;
            }
        }
    }

    fn event(&mut self, now: u64, link: LinkId, event: SessionEvent, path: &Path, random: &mut Random) {
        match event {
            SessionEvent::PeerUp(info) => {
                let port = self.port(link);
                port.lost_since = None;
                if port.peer_boot != info.hello.boot_id {
                    port.peer_boot = info.hello.boot_id;
                    (port.vifs, port.lists) = (BTreeMap::new(), BTreeMap::new());
                }
            }
            SessionEvent::PeerLost(_) => self.port(link).lost_since = Some(now),
            SessionEvent::NeighborRefused { name, why } => panic!("{name}: {why}"),
            SessionEvent::Request { id, request } => {
                let result = self.request(now, link, &request, path, random);
                self.requests.push(request);
                // A session that is over needs no answer.
                let _ = self.port(link).session.respond(now, id, result);
            }
            SessionEvent::Response { token, result } => {
                let port = self.port(link);
                match port.asked.remove(&token) {
                    Some(Asked::List(list, generation)) => {
                        let current = port.lists.get_mut(&list).filter(|at| at.generation == generation);
                        if let Some(current) = current {
                            current.acknowledged = result.is_ok();
                        }
                    }
                    // Asked twice, the id may have its next owner by now.
                    Some(Asked::Delete(vif))
                        if result.is_ok()
                            && port.vifs.get(&vif).is_some_and(|vif| vif.state == VifState::Deleted) =>
                    {
                        assert!(!path.vifs.contains_key(&(link, vif)), "OK before {vif:?} was gone");
                        port.vifs.remove(&vif);
                    }
                    _ => {}
                }
                self.answers.push((link, result));
            }
        }
    }

    fn request(
        &mut self,
        now: u64,
        link: LinkId,
        request: &Request,
        path: &Path,
        random: &mut Random,
    ) -> Result<Response, Refusal> {
        match request {
            Request::VifCreate { provisioning, initial, .. } => {
                if random.below(100) < self.refuse {
                    return Err(Refusal::with_cause(Status::UNKNOWN_PROFILE, 0, "no such profile"));
                }
                let uuid = provisioning.client_uuid().ok_or(Refusal::of(Status::INVALID))?;
                let identity = (uuid, provisioning.mac().ok_or(Refusal::of(Status::INVALID))?);
                let wants = *initial == InitialState::Active;
                if wants && !self.claim(now, link, identity) {
                    return Err(Refusal::of(Status::BADSTATE));
                }
                let port = self.port(link);
                // One that is being taken away keeps its id until that is acknowledged (C10).
                let here = |vif: &SwitchVif| vif.identity == identity && vif.state != VifState::Deleted;
                let known = port.vifs.iter().find(|(_, vif)| here(vif)).map(|(id, _)| *id);
                let free = (1..).filter_map(VifId::new).find(|id| !port.vifs.contains_key(id));
                let id = known.or(free).ok_or(Refusal::of(Status::INSUFFICIENT_RESOURCES))?;
                let shut = port.vifs.get(&id).is_some_and(|vif| vif.state == VifState::Disabled);
                let state = match wants {
                    _ if shut => VifState::Disabled,
                    true => VifState::Active,
                    false => VifState::Standby,
                };
                port.vifs.insert(id, SwitchVif { identity, state });
                if shut {
                    self.set(now, link, id, VifState::Disabled);
                }
                Ok(Response::VifCreate { vif: id, veth: u32::from(id.get()), params: PARAMS })
            }
            Request::VifEnable { vif } => {
                let known = self.port(link).vifs.get(vif).cloned();
                let Some(known) = known else { return Err(Refusal::of(Status::UNKNOWN_VIF)) };
                if known.state == VifState::Deleted {
                    return Err(Refusal::of(Status::UNKNOWN_VIF));
                }
                if known.state == VifState::Disabled || !self.claim(now, link, known.identity) {
                    return Err(Refusal::of(Status::BADSTATE));
                }
                self.port(link).vifs.insert(*vif, SwitchVif { state: VifState::Active, ..known });
                Ok(Response::VifEnable { params: PARAMS })
            }
            Request::VifDisable { vif } => {
                let known = self.port(link).vifs.get_mut(vif).ok_or(Refusal::of(Status::UNKNOWN_VIF))?;
                if known.state == VifState::Active {
                    known.state = VifState::Standby;
                }
                Ok(Response::VifDisable)
            }
            Request::VifDelete { vif } => {
                assert!(!path.vifs.contains_key(&(link, *vif)), "{vif:?} is given back while in use");
                if self.state(link, *vif) != Some(VifState::Deleted) {
                    self.port(link).vifs.remove(vif);
                }
                Ok(Response::VifDelete)
            }
            Request::Announce { vif, .. } => match self.port(link).vifs.contains_key(vif) {
                true => Ok(Response::Announce),
                false => Err(Refusal::of(Status::UNKNOWN_VIF)),
            },
            Request::LinkState { .. } => Ok(Response::LinkState),
            other => panic!("an adapter does not ask for {other:?}"),
        }
    }

    /// Never two active: another link's VIF of this identity keeps it while that link lives, and for three seconds more.
    fn claim(&mut self, now: u64, link: LinkId, identity: Identity) -> bool {
        for (at, port) in self.ports.iter_mut().enumerate().filter(|(at, _)| *at != usize::from(link.0)) {
            let alive = port.lost_since.is_none_or(|since| now < since + 3 * SECOND);
            for vif in port.vifs.values_mut().filter(|vif| vif.identity == identity) {
                if vif.state == VifState::Active && alive {
                    return false;
                }
                if vif.state == VifState::Active {
                    assert_ne!(at, usize::from(link.0));
                    vif.state = VifState::Standby;
                }
            }
        }
        true
    }

    fn ask(&mut self, now: u64, link: LinkId, request: Request, asked: Asked) -> bool {
        let port = self.port(link);
        let Ok(token) = port.session.request(now, request) else { return false };
        port.asked.insert(token, asked);
        true
    }

    /// Anything, without further thought.
    pub(crate) fn send(&mut self, now: u64, link: LinkId, request: Request) -> bool {
        self.ask(now, link, request, Asked::Other)
    }

    pub(crate) fn set(&mut self, now: u64, link: LinkId, vif: VifId, state: VifState) -> bool {
        let vifs = Vifs::one(vif);
        if state == VifState::Deleted {
            self.gone.insert((link, vif));
        }
        let asked = if state == VifState::Deleted { Asked::Delete(vif) } else { Asked::Other };
        let request = Request::VifSet { vifs, state: Some(state), params: None, cause: None };
        let sent = self.ask(now, link, request, asked);
        if let Some(known) = self.port(link).vifs.get_mut(&vif).filter(|_| sent) {
            known.state = state;
        }
        sent
    }

    /// Sets a list, or changes one that is acknowledged.
    pub(crate) fn list(&mut self, now: u64, link: LinkId, list: ListId, members: &BTreeSet<VifId>) -> bool {
        self.generation += 1;
        let generation = self.generation;
        let before = self.port(link).lists.get(&list).cloned().filter(|before| before.acknowledged);
        let difference = |a: &BTreeSet<VifId>, b: &BTreeSet<VifId>| {
            Vifs::new(a.difference(b).copied()).expect("few enough")
        };
        let request = match before {
            Some(before) if !members.is_empty() => Request::ListMod {
                list,
                generation,
                add: difference(members, &before.members),
                del: difference(&before.members, members),
            },
            _ => {
                let members = Vifs::new(members.iter().copied()).expect("few enough");
                Request::ListSet { list, generation, members }
            }
        };
        let sent = self.ask(now, link, request, Asked::List(list, generation));
        if sent {
            let new = SwitchList { generation, members: members.clone(), acknowledged: false };
            self.port(link).lists.insert(list, new);
        }
        sent
    }

    pub(crate) fn state(&self, link: LinkId, vif: VifId) -> Option<VifState> {
        self.ports.get(usize::from(link.0))?.vifs.get(&vif).map(|vif| vif.state)
    }

    pub(crate) fn vif_of(&self, link: u16, identity: Identity) -> Option<(VifId, VifState)> {
        let port = self.ports.get(usize::from(link))?;
        let here = |vif: &SwitchVif| vif.identity == identity && vif.state != VifState::Deleted;
        let found = port.vifs.iter().find(|(_, vif)| here(vif));
        found.map(|(id, vif)| (*id, vif.state))
    }
}
