//! What happens to VIFs, and which VIF of a vEth is the active one.
//!
//! Several VIFs may claim one vEth: the two of a vNIC with a backup link, a machine that moves, a mistake. At most one is
//! active, and it keeps the vEth unless
//!
//! - the other one has a higher incarnation number, or is the same vNIC's on its adapter's other link: then the active
//!   one goes to standby, its adapter is told, and the other one is active as soon as the adapter has answered or is lost
//!   (so it is after the active one was shut);
//! - its own adapter has been lost for longer than carrier-delay, or restarts, or lets go of it.
//!
//! An adapter may put off its answer for as long as it likes, even until a create of its own is answered, which may be the
//! claim that waits. So a claim does not wait for ever: after [`CLAIM`] it is refused, and its adapter may try again.

use super::answers::Answer;
use super::event::Event;
use super::life::{Input, May, Standing, Verdict, step};
use super::link::Link;
use super::peer::SECOND;
use super::pending::Waits;
use super::record::StoreOp;
use super::timer::Timer;
use super::veth::{Unused, Veth};
use super::view::DownCause;
use super::vif::{Claimant, Vif, VifKey};
use super::{Control, Owner};
use vntag::ctl::session::RequestId;
use vntag::ctl::{EventCode, InitialState, Opcode, Refusal, Response, Status, VifState};

/// Nanoseconds that a claim waits for the one before it: longer than it takes to notice that its adapter is lost.
const CLAIM: u64 = 10 * SECOND;

impl Control {
    pub(super) fn link(&self, port: usize) -> Option<&Link> {
        self.ports.get(port)?.link.as_deref()
    }

    pub(super) fn link_mut(&mut self, port: usize) -> Option<&mut Link> {
        self.ports.get_mut(port)?.link.as_deref_mut()
    }

    pub(super) fn vif_of(&self, key: VifKey) -> Option<&Vif> {
        self.link(key.0)?.vifs.get(&key.1)
    }

    pub(super) fn vif_mut(&mut self, key: VifKey) -> Option<&mut Vif> {
        self.link_mut(key.0)?.vifs.get_mut(&key.1)
    }

    /// Whether a VIF of a vEth may be active if `claimant` asks for it; `key` is the VIF if it is there already.
    pub(super) fn may(&self, veth: u32, key: Option<VifKey>, port: usize, claimant: &Claimant) -> May {
        let Some(veth) = self.veths.get(veth) else { return May::Free };
        if self.block(veth).is_some() {
            return May::Blocked;
        }
        let other = |at: Option<VifKey>| at.filter(|at| Some(*at) != key);
        let rival = other(veth.holder).or(other(veth.claimant));
        match rival.and_then(|rival| Some((rival, self.vif_of(rival)?))) {
            Some((rival, vif)) if claimant.supersedes(port, &vif.claimant, rival.0) => May::Wins,
            Some(_) => May::Loses,
            None if other(veth.awaited).is_some() => May::Wins,
            None => May::Free,
        }
    }

    /// Something happens to a VIF.
    pub(super) fn input(&mut self, now: u64, key: VifKey, input: Input) -> Verdict {
        self.input_then(now, key, input, Unused::NoVnic)
    }

    /// As [`Self::input`]; a vEth that has no VIF after it is `unused` in this way.
    pub(super) fn input_then(&mut self, now: u64, key: VifKey, input: Input, unused: Unused) -> Verdict {
        let Some(vif) = self.vif_of(key) else { return step(None, May::Free, input).1 };
        let (before, veth) = (vif.standing, vif.veth);
        let may = veth.map_or(May::Free, |veth| self.may(veth, Some(key), key.0, &vif.claimant));
        let (after, verdict) = step(Some(before), may, input);
        if after == Some(Standing::Claiming) {
            self.overrule(now, key);
        }
        self.enter(now, key, after, unused);
        verdict
    }

    /// The request is answered when the claim is decided, which may be at once.
    pub(super) fn await_claim(&mut self, now: u64, key: VifKey, id: RequestId, opcode: Opcode) {
        let Some(vif) = self.vif_mut(key) else { return };
        vif.claim = Some((id, opcode));
        let veth = vif.veth;
        self.grant(now, veth);
    }

    /// Everybody who is in the way of this VIF goes to standby.
    fn overrule(&mut self, now: u64, key: VifKey) {
        let Some(veth) = self.vif_of(key).and_then(|vif| vif.veth) else { return };
        let rivals = self.veths.get(veth).map(|veth| (veth.holder, veth.claimant));
        let (holder, claimant) = rivals.unwrap_or_default();
        if let Some(claimant) = claimant.filter(|at| *at != key) {
            self.input(now, claimant, Input::Overruled);
        }
        if let Some(holder) = holder.filter(|at| *at != key) {
            let (from, to) = (self.port_id(holder.0), self.port_id(key.0));
            self.event(Event::ClaimMoved { veth, from, to });
            self.input(now, holder, Input::Overruled);
            self.await_yield(holder);
        }
    }

    /// The adapter of this VIF may take it for active until it has been told otherwise: nobody else of its vEth is active
    /// before that.
    pub(super) fn await_yield(&mut self, key: VifKey) {
        let reachable = self.link(key.0).is_some_and(|link| link.up);
        let veth = self.vif_of(key).and_then(|vif| vif.veth).filter(|_| reachable);
        if let Some(veth) = veth.and_then(|veth| self.veths.get_mut(veth)) {
            veth.awaited = Some(key);
        }
    }

    /// The VIF that claims a vEth is active if nobody has to be waited for.
    pub(super) fn grant(&mut self, now: u64, veth: Option<u32>) {
        let Some(veth) = veth.and_then(|veth| self.veths.get(veth)) else { return };
        if let (Some(claimant), None) = (veth.claimant, veth.awaited) {
            self.input(now, claimant, Input::Granted);
        }
    }

    /// A claim has waited long enough.
    pub(super) fn claim_over(&mut self, now: u64, number: u32) {
        let Some(veth) = self.veths.get(number) else { return };
        let Some(claimant) = veth.claimant else { return };
        if let Some((holder, _)) = veth.awaited {
            let (port, holder) = (self.port_id(claimant.0), self.port_id(holder));
            self.event(Event::ClaimRefused { veth: number, port, holder });
        }
        self.input(now, claimant, Input::Overruled);
    }

    /// This VIF is not active any more, as far as its adapter is concerned.
    pub(super) fn yielded(&mut self, now: u64, key: VifKey) {
        let Some(number) = self.vif_of(key).and_then(|vif| vif.veth) else { return };
        if let Some(veth) = self.veths.get_mut(number).filter(|veth| veth.awaited == Some(key)) {
            veth.awaited = None;
            self.grant(now, Some(number));
            self.something_freed(&Waits::Veth(number));
        }
    }

    /// A VIF comes to another standing; `None` is its end.
    fn enter(&mut self, now: u64, key: VifKey, after: Option<Standing>, unused: Unused) {
        let Some(vif) = self.vif_mut(key) else { return };
        let (before, number, claim) = (vif.standing, vif.veth, vif.claim);
        if after == Some(before) {
            return;
        }
        // A vNIC whose create is refused has no VIF.
        let create = matches!(claim, Some((_, Opcode::VIF_CREATE)));
        let refused = matches!(after, Some(Standing::Standby | Standing::Disabled));
        let after = after.filter(|_| !(create && refused));
        if let Some(after) = after {
            (vif.standing, vif.since) = (after, now);
        }
        if before == Standing::Claiming {
            number.into_iter().for_each(|number| self.timers.stop(Timer::Claim(number)));
            self.decide(key, after);
        }
        if let Some(veth) = number.and_then(|number| self.veths.get_mut(number)) {
            let at = Some(key);
            veth.holder = veth.holder.filter(|holder| Some(*holder) != at);
            veth.claimant = veth.claimant.filter(|claimant| Some(*claimant) != at);
            match after {
                Some(Standing::Active) => (veth.holder, veth.awaited) = (at, None),
                Some(Standing::Claiming) => veth.claimant = at,
                _ => {}
            }
        }
        if let Some(link) = self.link_mut(key.0) {
            link.tell.insert(key.1);
        }
        match (after, number.and_then(|number| self.veths.get_mut(number))) {
            // It is so for its adapter when that has been told.
            (Some(Standing::Disabled), _) if before == Standing::Active => self.await_yield(key),
            (Some(Standing::Standby | Standing::Disabled), _) => {}
            // It waits for nobody but others. Who has it claim grants it, when the claim is complete.
            (Some(Standing::Claiming), Some(veth)) => {
                veth.awaited = veth.awaited.filter(|awaited| *awaited != key);
                self.timers.set(Timer::Claim(veth.number), now.saturating_add(CLAIM));
            }
            _ => self.yielded(now, key),
        }
        if before == Standing::Active {
            self.let_go(number, key);
        }
        self.dirty.extend(number);
        if matches!(after, None | Some(Standing::Deleting)) {
            self.unlink(now, key, after.is_none(), unused);
        }
    }

    /// Answers the request that waited for a claim to be decided.
    fn decide(&mut self, key: VifKey, after: Option<Standing>) {
        let Some((id, opcode)) = self.vif_mut(key).and_then(|vif| vif.claim.take()) else { return };
        let create = opcode == Opcode::VIF_CREATE;
        match after {
            Some(Standing::Active) if create => self.accept_create(key, id, VifState::Active),
            Some(Standing::Active) => self.accept_enable(key, id),
            _ => {
                let refusal = self.bad_state(key);
                self.refuse(key.0, id, refusal);
            }
        }
        // What the adapter was told while its request waited may count for more with it than our late answer.
        if let Some(vif) = self.vif_mut(key) {
            vif.state = None;
        }
    }

    /// The vNIC has its VIF.
    pub(super) fn accept_create(&mut self, key: VifKey, id: RequestId, state: VifState) {
        let Some(number) = self.vif_of(key).and_then(|vif| vif.veth) else { return };
        let Some(veth) = self.veths.get(number) else { return };
        let (params, stored) = (veth.settings.params, veth.saved_by > self.on_disk);
        if let Some(vif) = self.vif_mut(key) {
            vif.begins(state);
            // The adapter begins anew with it, whatever it was told before.
            (vif.params, vif.uplink, vif.granting) = (Some(params), Some(true), Some(id));
        }
        let result = Ok(Response::VifCreate { vif: key.1, veth: number, params });
        self.answers.push(Answer { port: key.0, id, result, granted: Some(key.1), stored });
    }

    pub(super) fn accept_enable(&mut self, key: VifKey, id: RequestId) {
        let veth = self.vif_of(key).and_then(|vif| vif.veth);
        let Some(params) = veth.and_then(|veth| self.veths.get(veth)).map(|veth| veth.settings.params) else {
            return;
        };
        if let Some(vif) = self.vif_mut(key) {
            vif.becomes(VifState::Active);
            vif.granting = Some(id);
            // Other parameters by VIF_SET may count for more with it than those of our answer.
            vif.params = vif.params.filter(|known| *known == params);
        }
        let result = Ok(Response::VifEnable { params });
        self.answers.push(Answer { port: key.0, id, result, granted: Some(key.1), stored: false });
    }

    pub(super) fn accept(&mut self, port: usize, id: RequestId, response: Response) {
        self.answers.push(Answer { port, id, result: Ok(response), granted: None, stored: false });
    }

    pub(super) fn refuse(&mut self, port: usize, id: RequestId, refusal: Refusal) {
        self.answers.push(Answer { port, id, result: Err(refusal), granted: None, stored: false });
    }

    /// Why a VIF may not be active.
    pub(super) fn bad_state(&self, key: VifKey) -> Refusal {
        let veth = self.vif_of(key).and_then(|vif| vif.veth).and_then(|veth| self.veths.get(veth));
        let text = match veth.map(|veth| (self.block(veth), veth)) {
            Some((Some(cause), _)) => cause.to_string(),
            Some((None, veth)) => match veth.awaited.filter(|_| veth.claimant == Some(key)) {
                Some(awaited) => {
                    format!("Veth{} may still be active at {}", veth.number, self.at_text(awaited))
                }
                None => self.claimed_text(veth),
            },
            None => "the VIF is being taken back".to_owned(),
        };
        Refusal::with_cause(Status::BADSTATE, Status::BADSTATE.0, &text)
    }

    /// Who is active instead.
    pub(super) fn claimed_text(&self, veth: &Veth) -> String {
        match veth.holder.or(veth.claimant) {
            Some(at) => format!("Veth{} is active at {}", veth.number, self.at_text(at)),
            None => format!("Veth{} was claimed elsewhere", veth.number),
        }
    }

    fn at_text(&self, (port, vif): VifKey) -> String {
        format!("ethernet{}, VIF {}", self.port_id(port), vif.get())
    }

    /// A claimant is told no: once in the log, not at each try.
    pub(super) fn claim_refused(&mut self, veth: u32, port: usize) {
        let holder = self.veths.get(veth).and_then(|veth| veth.holder.or(veth.claimant));
        if let Some((holder, _)) = holder {
            let (port, holder) = (self.port_id(port), self.port_id(holder));
            self.event(Event::ClaimRefused { veth, port, holder });
        }
    }

    /// The active VIF of a vEth is not active any more: others that want to be may try now.
    fn let_go(&mut self, veth: Option<u32>, key: VifKey) {
        let Some(number) = veth else { return };
        let Some(veth) = self.veths.get(number) else { return };
        let others = veth.vifs.iter().filter(|other| **other != key);
        let wanting = others.filter(|other| {
            let vif = self.vif_of(**other);
            vif.is_some_and(|vif| vif.standing == Standing::Standby && vif.wish == InitialState::Active)
        });
        let ports: Vec<usize> = wanting.map(|(port, _)| *port).collect();
        for port in ports {
            self.owe_event(port, EventCode::RETRY);
        }
        self.something_freed(&Waits::Veth(number));
    }

    /// Takes a VIF off its vEth; `gone` means that the id may have another owner, later.
    fn unlink(&mut self, now: u64, key: VifKey, gone: bool, unused: Unused) {
        let Some(link) = self.link_mut(key.0) else { return };
        let Some(vif) = link.vifs.get_mut(&key.1) else { return };
        let number = vif.veth.take();
        let claimant = (vif.claimant.identity, vif.claimant.channel);
        if link.by_claimant.get(&claimant) == Some(&key.1) {
            link.by_claimant.remove(&claimant);
        }
        link.classes.set(key.1, None);
        if gone {
            link.vifs.remove(&key.1);
            link.tell.remove(&key.1);
            link.probe.remove(&key.1);
            link.ids.give_back(key.1);
        }
        let Some(veth) = number.and_then(|number| self.veths.get_mut(number)) else { return };
        veth.vifs.retain(|other| *other != key);
        if veth.vifs.is_empty() {
            let number = veth.number;
            veth.awaited = None;
            veth.flush = veth.flush.wrapping_add(1);
            self.forwarding_changed = true;
            self.same_mac_again(number);
            self.veths.attach(number, false);
            self.something_freed(&Waits::Veth(number));
            match unused {
                Unused::NoVnic if self.veths.get(number).is_some_and(Veth::is_dynamic) => {
                    self.remove_veth(number);
                }
                unused => {
                    if let Some(oldest) = self.veths.set_unused(number, now, unused) {
                        self.remove_veth(oldest);
                    }
                }
            }
        }
    }

    /// The others with the same address may be up now, or not any more.
    pub(super) fn same_mac_again(&mut self, number: u32) {
        let others: Vec<u32> = self.veths.same_mac(number).map(|other| other.number).collect();
        self.dirty.extend(others);
    }

    /// A vEth is no more. It has no VIFs.
    pub(super) fn remove_veth(&mut self, number: u32) {
        let Some((veth, record)) = self.veths.remove(number) else { return };
        self.dirty.remove(&number);
        self.err_disabled.remove(&Owner::Vethernet(number));
        self.forwarding_changed |= self.forwarding.veths.remove(&number).is_some();
        if record.is_some() {
            self.store.insert(number, StoreOp::Remove(number));
            self.event(Event::VethRemoved { veth: number });
        }
        self.something_freed(&Waits::Veth(number));
        if let Some(profile) = veth.settings.profile {
            self.something_freed(&Waits::Profile(profile));
        }
    }

    /// Somebody may be waiting for this.
    pub(super) fn something_freed(&mut self, waits: &Waits) {
        if !self.pending.is_empty() {
            for port in self.pending.ports_waiting(waits) {
                self.owe_event(port, EventCode::RETRY);
            }
        }
    }

    pub(super) fn owe_event(&mut self, port: usize, code: EventCode) {
        if let Some(link) = self.link_mut(port) {
            link.owe_event(code);
        }
    }

    /// `shutdown`
    pub(super) fn is_shut(&self, veth: &Veth) -> bool {
        // What is typed counts before the settings are looked at again.
        let typed = self.running.vethernets().get(&veth.number).and_then(|typed| typed.switchport.shutdown);
        typed.unwrap_or(veth.settings.switchport.shutdown)
    }

    /// What keeps a vEth down, whatever its VIFs are.
    pub(super) fn block(&self, veth: &Veth) -> Option<DownCause> {
        if self.is_shut(veth) {
            return Some(DownCause::Administratively);
        }
        if self.err_disabled.contains_key(&Owner::Vethernet(veth.number)) {
            return Some(DownCause::PortSecurity);
        }
        veth.settings.down.clone().or(veth.duplicate_of.map(DownCause::DuplicateMac))
    }
}
