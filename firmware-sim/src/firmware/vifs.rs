//! VIFs: what is asked of the switch, and what it answers.

use vntag::VifId;
use vntag::ctl::session::{Failure, RequestError, Token};
use vntag::ctl::{
    InitialState, Opcode, Provisioning, Refusal, Request, Response, Status, VifParams, VifState,
};

use super::path::Barrier;
use super::{Asked, Firmware, LinkId, VnicId};
use crate::fault::Fault;
use crate::life::{Action, Input, Phase, Want, step};
use crate::output::Notice;
use crate::timer::Timer;

/// What the switch gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Granted {
    pub(super) vif: VifId,
    pub(super) veth: u32,
    pub(super) params: VifParams,
}

/// What the data path has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Installed {
    pub(super) vif: VifId,
    pub(super) params: VifParams,
    pub(super) state: VifState,
}

/// A vNIC's VIF on one link.
#[derive(Debug)]
pub(super) struct Vif {
    pub(super) phase: Phase,
    /// What it was asked for with; a vNIC that has another channel or blob by now wants another VIF.
    pub(super) channel: u16,
    pub(super) provisioning: Provisioning,
    /// In the state that the create on its way asks for.
    initial: InitialState,
    pub(super) granted: Option<Granted>,
    pub(super) installed: Option<Installed>,
    /// The request on its way. Answers to others are late.
    pub(super) token: Option<Token>,
    /// VIF_SET brought parameters since that was sent: an answer that was lost and is repeated has older ones.
    pub(super) overtaken: bool,
    /// The switch's network is there.
    pub(super) uplink: bool,
    /// Why the switch keeps it down, in its words, with the status of the refusal.
    pub(super) cause: Option<(Status, String)>,
    /// Since when it is in its phase.
    pub(super) since: u64,
    /// Creates refused in a row.
    pub(super) tries: u32,
    /// It is one of its link's `returning`.
    returning: bool,
}

impl Firmware {
    /// The VIFs that a vNIC has, the preferred one first, then those it is giving back.
    pub(super) fn keys_of(&self, vnic: VnicId) -> Vec<(VnicId, LinkId)> {
        let range = (vnic, LinkId(0))..=(vnic, LinkId(u16::MAX));
        let mut keys: Vec<_> = self.vifs.range(range).map(|(key, _)| *key).collect();
        let preferred = self.vnics.get(&vnic).map(|vnic| vnic.config.link);
        keys.sort_by_key(|key| Some(key.1) != preferred);
        keys
    }

    /// The wish for a vNIC may have changed: brings VIFs, data path and carrier in line with it.
    pub(super) fn refresh(&mut self, now: u64, id: VnicId) {
        // Twice: a VIF that was given up with nothing to give back makes room for its successor.
        for _ in 0..2 {
            self.step_all(now, id);
        }
        self.carrier_down(now, id);
        self.sync_path(id);
        self.carrier_up(now, id);
        self.send_announcement(now, id);
    }

    fn step_all(&mut self, now: u64, id: VnicId) {
        if let Some(vnic) = self.vnics.get(&id).filter(|vnic| vnic.provisioned) {
            for link in vnic.config.links() {
                let (channel, provisioning) = (vnic.config.channel, &vnic.provisioning);
                self.vifs.entry((id, link)).or_insert_with(|| Vif {
                    phase: Phase::Absent,
                    channel,
                    provisioning: provisioning.clone(),
                    initial: InitialState::Standby,
                    granted: None,
                    installed: None,
                    token: None,
                    overtaken: false,
                    uplink: true,
                    cause: None,
                    since: now,
                    tries: 0,
                    returning: false,
                });
            }
        }
        for key in self.keys_of(id) {
            let absent = self.vifs.get(&key).is_some_and(|vif| vif.phase == Phase::Absent);
            let input = if absent && self.may_ask(key.1) { Input::PeerUp } else { Input::Wanted };
            self.one_step(now, key, input);
        }
    }

    /// Something happened to a VIF.
    pub(super) fn input(&mut self, now: u64, key: (VnicId, LinkId), input: Input) {
        self.one_step(now, key, input);
        self.refresh(now, key.0);
    }

    /// What the host side wants of a VIF. A vNIC that has two wants at most one of them active, and lets go of one before
    /// it takes the other.
    pub(super) fn want(&self, key: (VnicId, LinkId)) -> Want {
        let Some(vnic) = self.vnics.get(&key.0).filter(|vnic| vnic.provisioned) else { return Want::Gone };
        let Some(vif) = self.vifs.get(&key) else { return Want::Gone };
        let current = vif.channel == vnic.config.channel && vif.provisioning == vnic.provisioning;
        if !current || !vnic.config.links().any(|link| link == key.1) {
            return Want::Gone;
        }
        if !vnic.rings || self.preferred(key.0) != Some(key.1) {
            return Want::Standby;
        }
        let other_active = self.keys_of(key.0).into_iter().filter(|other| *other != key).any(|other| {
            let Some(vif) = self.vifs.get(&other).filter(|_| self.is_up(other.1)) else { return false };
            let created_active = vif.phase == Phase::Creating && vif.initial == InitialState::Active;
            vif.phase.may_be_active() || created_active
        });
        if other_active { Want::Standby } else { Want::Active }
    }

    /// The link whose VIF is to carry the traffic: the first of those that are ready, or will be soonest.
    fn preferred(&self, id: VnicId) -> Option<LinkId> {
        let vnic = self.vnics.get(&id)?;
        let phase = |link| self.vifs.get(&(id, link)).map(|vif| vif.phase);
        let rank = |link: LinkId| {
            let elsewhere = vnic
                .config
                .links()
                .filter(|other| *other != link)
                .any(|other| self.is_up(other) && phase(other).is_some_and(Phase::may_be_active));
            match phase(link) {
                _ if !self.is_up(link) => 0,
                Some(phase) if phase.is_ready() => 2,
                // A VIF that carries traffic is not given up for one that is only asked for.
                Some(Phase::Absent | Phase::Creating) if elsewhere => 1,
                Some(Phase::Absent | Phase::Creating) => 2,
                _ => 0,
            }
        };
        let best = vnic.config.links().map(rank).max()?;
        vnic.config.links().find(|link| rank(*link) == best)
    }

    fn one_step(&mut self, now: u64, key: (VnicId, LinkId), input: Input) {
        let want = self.want(key);
        let Some(vif) = self.vifs.get_mut(&key) else { return };
        let (before, (after, action)) = (vif.phase, step(vif.phase, want, input));
        vif.phase = after;
        if before != after {
            vif.since = now;
            if before == Phase::Creating
                && let Some(link) = self.links.get_mut(usize::from(key.1.0))
            {
                link.creating = link.creating.saturating_sub(1);
            }
        }
        if before == Phase::Absent && after == Phase::Deleting {
            vif.returning = true;
            if let Some(link) = self.links.get_mut(usize::from(key.1.0)) {
                link.returning += 1;
            }
        } else if after != Phase::Deleting && core::mem::take(&mut vif.returning) {
            self.returned(key.1);
        }
        let Some(vif) = self.vifs.get_mut(&key) else { return };
        match after {
            Phase::Absent => vif.token = None,
            Phase::Standby | Phase::Active => vif.cause = None,
            _ => {}
        }
        let retry = match after {
            Phase::Pending => Some(self.config.retry),
            Phase::Claimed => Some(self.config.claim_retry),
            _ => None,
        };
        let timer = Timer::Retry(key.0, key.1);
        match retry {
            None => self.timers.stop(timer),
            Some(wait) if before != after || !self.timers.is_set(timer) => {
                self.timers.set(timer, now.saturating_add(wait));
            }
            Some(_) => {}
        }
        match (before, after) {
            (Phase::Creating, Phase::Pending) => {}
            // The switch took the VIF away. The guest sees that before its frames are lost.
            (_, Phase::Pending) if before != after => {
                self.carrier_down(now, key.0);
                self.disown(key);
            }
            (Phase::Deleting, Phase::Creating) => self.disown(key),
            _ => {}
        }
        self.act(now, key, after, action);
    }

    fn act(&mut self, now: u64, key: (VnicId, LinkId), phase: Phase, action: Action) {
        let Some(vif) = self.vifs.get_mut(&key) else { return };
        let granted = vif.granted.map(|granted| granted.vif);
        match (action, granted) {
            (Action::Create(initial), _) => {
                vif.initial = initial;
                // Whatever the vNIC was, it is asked for as it is now.
                if let Some(vnic) = self.vnics.get(&key.0) {
                    (vif.channel, vif.provisioning) = (vnic.config.channel, vnic.provisioning.clone());
                }
                let (channel, provisioning) = (vif.channel, vif.provisioning.clone());
                if let Some(link) = self.links.get_mut(usize::from(key.1.0)) {
                    link.creating += 1;
                }
                self.request(now, key, Request::VifCreate { channel, provisioning, initial });
            }
            (Action::Enable, Some(vif)) => self.request(now, key, Request::VifEnable { vif }),
            (Action::Disable, Some(vif)) => {
                // No frame leaves by a VIF that the switch takes for standby.
                self.sync_path(key.0);
                self.request(now, key, Request::VifDisable { vif });
            }
            (Action::Delete, _) => {
                vif.token = None;
                self.install(key, None);
                self.barrier(now, Barrier::Delete(key.0, key.1));
            }
            (Action::Forget, _) => self.drop_vif(key),
            (Action::Enable | Action::Disable, None) => {}
            (Action::None, None) if phase == Phase::Absent && self.want(key) == Want::Gone => {
                self.drop_vif(key);
            }
            (Action::None, _) => {}
        }
    }

    /// Takes a VIF out of the data path and forgets its id.
    fn disown(&mut self, key: (VnicId, LinkId)) {
        self.install(key, None);
        if let Some(granted) = self.vifs.get_mut(&key).and_then(|vif| vif.granted.take())
            && self.owners.get(&(key.1, granted.vif)) == Some(&key.0)
        {
            self.owners.remove(&(key.1, granted.vif));
        }
    }

    fn drop_vif(&mut self, key: (VnicId, LinkId)) {
        self.disown(key);
        self.timers.stop(Timer::Retry(key.0, key.1));
        if let Some(vif) = self.vifs.remove(&key) {
            if vif.returning {
                self.returned(key.1);
            }
            self.notice(Notice::VifDeleted { vnic: key.0, link: key.1 });
        }
    }

    /// The switch has one VIF back.
    fn returned(&mut self, link: LinkId) {
        if let Some(link) = self.links.get_mut(usize::from(link.0)) {
            link.returning = link.returning.saturating_sub(1);
            link.begin |= link.returning == 0;
        }
    }

    /// VIF ids and lists of a switch that is gone mean nothing any more.
    pub(super) fn forget_switch(&mut self, now: u64, link: LinkId) {
        let keys: Vec<_> = self.vifs.keys().filter(|key| key.1 == link).copied().collect();
        for key in &keys {
            self.disown(*key);
        }
        self.clear_lists(link);
        if let Some(link) = self.links.get_mut(usize::from(link.0)) {
            link.switch = None;
        }
        for key in keys {
            self.refresh(now, key.0);
        }
    }

    /// Sends a request about a VIF; what becomes of it is an input to the VIF.
    pub(super) fn request(&mut self, now: u64, key: (VnicId, LinkId), request: Request) {
        let opcode = request.opcode();
        if let Some(fault @ Fault::Refuse(status)) = self.faults.next(opcode) {
            self.notice(Notice::Fault { link: key.1, opcode, fault });
            let refusal = Refusal::with_cause(status, 0, "fault plan");
            self.refused(now, key, opcode, Failure::Refused(refusal));
            return;
        }
        let Some(link) = self.links.get_mut(usize::from(key.1.0)) else { return };
        match link.session.request(now, request) {
            Ok(token) => {
                self.asked.insert((key.1, token), Asked { vnic: key.0, opcode });
                if let Some(vif) = self.vifs.get_mut(&key) {
                    (vif.token, vif.overtaken) = (Some(token), false);
                }
            }
            // Its PeerLost is among the events that are still to be read.
            Err(RequestError::NoPeer) => {}
            Err(error) => {
                let refusal = Refusal::with_cause(Status::ERROR, 0, &error.to_string());
                self.refused(now, key, opcode, Failure::Refused(refusal));
            }
        }
    }

    pub(super) fn handle_response(
        &mut self,
        now: u64,
        link: LinkId,
        token: Token,
        result: Result<Response, Failure>,
    ) {
        let Some(Asked { vnic, opcode }) = self.asked.remove(&(link, token)) else { return };
        let key = (vnic, link);
        let Some(vif) = self.vifs.get_mut(&key).filter(|vif| vif.token == Some(token)) else { return };
        vif.token = None;
        match result {
            Ok(Response::VifCreate { vif, veth, params }) => {
                self.created(now, key, Granted { vif, veth, params });
            }
            Ok(Response::VifEnable { params }) => {
                if let Some(granted) = vif.granted.as_mut().filter(|_| !vif.overtaken) {
                    granted.params = params;
                }
                self.input(now, key, Input::Done);
            }
            Ok(_) => self.input(now, key, Input::Done),
            // The peer's loss is an input of its own.
            Err(Failure::PeerLost) => {}
            Err(failure) => self.refused(now, key, opcode, failure),
        }
    }

    fn created(&mut self, now: u64, key: (VnicId, LinkId), granted: Granted) {
        let (vnic, link) = key;
        let other = self.owners.get(&(link, granted.vif)).copied().filter(|other| *other != vnic);
        if let Some(other) = other.map(|other| (other, link)) {
            // The ids are the switch's, and its last word counts: it has taken this one from the other vNIC, which has to
            // ask again. Its frames stop before those of the new owner begin.
            self.input(now, other, Input::Set(VifState::Deleted));
            self.disown(other);
        }
        let Some(vif) = self.vifs.get(&key) else { return };
        let initial = vif.initial;
        if vif.granted.is_some_and(|before| before.vif != granted.vif) {
            self.disown(key);
        }
        self.owners.insert((link, granted.vif), vnic);
        if let Some(vif) = self.vifs.get_mut(&key) {
            vif.granted = Some(granted);
            (vif.tries, vif.uplink) = (0, true);
        }
        self.notice(Notice::VifCreated { vnic, link, vif: granted.vif, veth: granted.veth });
        self.input(now, key, Input::Created(initial));
    }

    fn refused(&mut self, now: u64, key: (VnicId, LinkId), opcode: Opcode, failure: Failure) {
        self.counters.fw_refused += 1;
        let why = failure.to_string();
        self.notice(Notice::Refused { vnic: key.0, link: key.1, opcode, why: why.clone() });
        let status = match failure {
            Failure::Refused(refusal) => refusal.status,
            _ => Status::ERROR,
        };
        let create = opcode == Opcode::VIF_CREATE;
        if create {
            self.disown(key);
        }
        if let Some(vif) = self.vifs.get_mut(&key) {
            vif.cause = Some((status, why));
            vif.tries = if create { vif.tries.saturating_add(1) } else { vif.tries };
        }
        let unknown = status == Status::UNKNOWN_VIF && !create;
        self.input(now, key, if unknown { Input::Unknown } else { Input::Refused });
    }

    /// Tells the switch that the guest announced itself, once there is an active VIF.
    fn send_announcement(&mut self, now: u64, id: VnicId) {
        let active = self.keys_of(id).into_iter().find_map(|key| {
            let vif = self.vifs.get(&key).filter(|vif| vif.phase == Phase::Active)?;
            Some((key.1, vif.granted?.vif))
        });
        let Some(vnic) = self.vnics.get_mut(&id) else { return };
        if let (Some((link, vif)), Some(mac)) = (active, vnic.announce)
            && let Some(at) = self.links.get_mut(usize::from(link.0))
            && at.session.request(now, Request::Announce { vif, mac }).is_ok()
        {
            vnic.announce = None;
        }
    }
}
