//! The adapters' requests.

use super::event::Event;
use super::find::Place;
use super::life::{Input, Standing, Verdict};
use super::output::Output;
use super::pending::{Asker, FORGOTTEN, Refused, Waits};
use super::timer::Timer;
use super::veth::Unused;
use super::vif::{Claimant, Vif, VifKey};
use super::{Control, MAX_OUTPUTS};
use vntag::VifId;
use vntag::ctl::session::RequestId;
use vntag::ctl::{InitialState, Opcode, Provisioning, Refusal, Request, Response, Status, VifState};
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;

impl Control {
    pub(super) fn handle_request(&mut self, now: u64, port: usize, id: RequestId, request: &Request) {
        match request {
            Request::VifCreate { channel, provisioning, initial } => {
                self.vif_create(now, port, id, (*channel, provisioning), *initial);
            }
            Request::VifEnable { vif } => self.vif_enable(now, (port, *vif), id),
            Request::VifDisable { vif } => self.vif_disable(now, (port, *vif), id),
            Request::VifDelete { vif } => {
                // Deleting what is not there is done (C8). What the switch itself takes back stays its own business.
                self.input(now, (port, *vif), Input::Delete);
                self.accept(port, id, Response::VifDelete);
            }
            Request::LinkState { vifs, .. } => {
                // What an adapter says about its guests' links decides nothing here.
                match vifs.iter().find(|vif| self.vif_of((port, *vif)).is_none()) {
                    None => self.accept(port, id, Response::LinkState),
                    Some(vif) => self.refuse(port, id, unknown(vif)),
                }
            }
            Request::Announce { vif, mac } => match self.vif_of((port, *vif)).and_then(|vif| vif.veth) {
                Some(veth) => {
                    self.event(Event::Announced { veth, mac: *mac });
                    self.announce(veth, (port, *vif), *mac);
                    self.accept(port, id, Response::Announce);
                }
                None => self.refuse(port, id, unknown(*vif)),
            },
            // The switch's own; the session refuses them.
            _ => self.refuse(port, id, Refusal::of(Status::INVALID)),
        }
    }

    /// Has a guest announced whose VIF is the active one of its vEth. Any other one is of no use to anybody.
    fn announce(&mut self, veth: u32, (port, vif): VifKey, mac: Mac) {
        let at = self.forwarding.veths.get(&veth).and_then(|veth| veth.at);
        if at == Some((port, vif)) && self.outputs.len() < MAX_OUTPUTS {
            self.outputs.push_back(Output::Announce { port, vif, mac });
        }
    }

    fn vif_create(
        &mut self,
        now: u64,
        port: usize,
        id: RequestId,
        (channel, blob): (u16, &Provisioning),
        initial: InitialState,
    ) {
        let node =
            self.link(port).and_then(|link| link.peer.as_ref()).map_or(Uuid::default(), |peer| peer.node);
        let claimant = match Claimant::read(channel, node, blob) {
            Ok(claimant) => claimant,
            Err(why) => {
                let refused = Refused::new(Status::INVALID, why, Waits::Config);
                return self.create_refused(now, (port, channel), Asker::read(None, blob), id, refused);
            }
        };
        let identity = claimant.identity;
        let known = self.known_vif(port, &claimant);
        self.heed_a_second_create(now, known);
        let placed = self.place(port, known, &claimant, blob.profile(), initial);
        let key = placed.and_then(|place| self.make_vif(now, port, known, place, claimant));
        match key {
            Ok(key) => {
                self.pending.remove((port, channel));
                self.create(now, key, id, initial);
            }
            Err(refused) => {
                if let Some(key) = known {
                    // Its adapter takes a refused vNIC for one without a VIF. The vEth is kept: it is still wanted.
                    self.input_then(now, key, Input::Delete, Unused::Lost(Some(port)));
                }
                self.create_refused(now, (port, channel), Asker::read(Some(identity), blob), id, refused);
            }
        }
    }

    /// An adapter that asks in one session a second time for a VIF that it has was away and back, and we have not
    /// noticed: it had lost us and we not it. Whatever lists it had may be gone.
    fn heed_a_second_create(&mut self, now: u64, known: Option<VifKey>) {
        let Some((port, vif)) = known else { return };
        let Some(link) = self.link_mut(port) else { return };
        let heard = link.vifs.get(&vif).is_some_and(|vif| vif.heard == link.epoch);
        if let (true, Some(peer)) = (heard, &link.peer) {
            let limits = peer.limits;
            link.epoch += 1;
            link.lists.reset(Some(limits));
            self.timers.set(Timer::Hold(port), now.saturating_add(self.hold()));
        }
    }

    fn create_refused(&mut self, now: u64, key: (usize, u16), asker: Asker, id: RequestId, refused: Refused) {
        self.refuse(key.0, id, refused.refusal());
        let (why, waits) = (refused.why.clone(), refused.waits.clone());
        let vnic = asker.vnic.clone();
        if self.pending.refuse(now, key, asker, refused) {
            let (port, channel) = (self.port_id(key.0), key.1);
            self.event(Event::CreateRefused { port, channel, vnic, why });
            if let Waits::Veth(veth) = waits {
                self.claim_refused(veth, key.0);
            }
        }
        self.timers.begin(Timer::Pending, now.saturating_add(FORGOTTEN));
    }

    /// The VIF that this vNIC has on the port: its own, or one that is kept for its identity.
    fn known_vif(&self, port: usize, claimant: &Claimant) -> Option<VifKey> {
        let link = self.link(port)?;
        if let Some(vif) = link.by_claimant.get(&(claimant.identity, claimant.channel)) {
            return Some((port, *vif));
        }
        let of_identity = (claimant.identity, 0)..=(claimant.identity, u16::MAX);
        let away = |vif: &VifId| link.vifs.get(vif).is_some_and(|vif| vif.standing == Standing::Away);
        link.by_claimant.range(of_identity).map(|(_, vif)| *vif).find(away).map(|vif| (port, vif))
    }

    /// A vNIC that may have a VIF has one; which state it is in is still to be said.
    fn make_vif(
        &mut self,
        now: u64,
        port: usize,
        known: Option<VifKey>,
        place: Place,
        claimant: Claimant,
    ) -> Result<VifKey, Refused> {
        let full =
            || Refused::new(Status::INSUFFICIENT_RESOURCES, "all VIF ids of the link are in use", Waits::Ids);
        let link = self.link_mut(port).ok_or_else(full)?;
        let vif = match known {
            Some((_, vif)) => vif,
            None => link.ids.take().ok_or_else(full)?,
        };
        let (key, epoch) = ((port, vif), link.epoch);
        let number = self.occupy(place, port, &claimant);
        let Some(link) = self.link_mut(port) else { return Ok(key) };
        if let Some(vif) = link.vifs.get(&vif) {
            link.by_claimant.remove(&(vif.claimant.identity, vif.claimant.channel));
        }
        link.by_claimant.insert((claimant.identity, claimant.channel), vif);
        match link.vifs.get_mut(&vif) {
            Some(vif) => (vif.claimant, vif.heard) = (claimant, epoch),
            None => {
                link.vifs.insert(vif, Vif::new(now, number, claimant, epoch));
                if let Some(veth) = self.veths.get_mut(number) {
                    veth.vifs.push(key);
                }
                self.veths.attach(number, true);
                self.check_duplicate(number);
            }
        }
        self.dirty.insert(number);
        Ok(key)
    }

    /// A vNIC asks for its VIF in this state, perhaps again.
    fn create(&mut self, now: u64, key: VifKey, id: RequestId, initial: InitialState) {
        self.ask_anew(key, initial);
        let state = match initial {
            InitialState::Active => VifState::Active,
            InitialState::Standby => VifState::Standby,
        };
        match self.input(now, key, Input::Create(initial)) {
            Verdict::Wait => self.await_claim(now, key, id, Opcode::VIF_CREATE),
            Verdict::Accept => {
                if initial == InitialState::Standby {
                    // Whatever it was told to do, it lets go of it by itself.
                    self.yielded(now, key);
                } else if self.vif_of(key).is_some_and(|vif| vif.standing == Standing::Disabled) {
                    // It is active for its adapter until it is told that it is shut.
                    self.await_yield(key);
                }
                self.accept_create(key, id, state);
            }
            _ => {
                let refusal = self.bad_state(key);
                self.refuse(key.0, id, refusal);
            }
        }
    }

    /// Whether the adapter can speak of this VIF: it is there, and not kept for an adapter that has restarted.
    fn is_known(&self, key: VifKey) -> bool {
        self.vif_of(key).is_some_and(|vif| !matches!(vif.standing, Standing::Away | Standing::Deleting))
    }

    /// The adapter wants a VIF in this state. What it asked for before, it has given up.
    fn ask_anew(&mut self, key: VifKey, wish: InitialState) {
        let epoch = self.link(key.0).map_or(0, |link| link.epoch);
        let before = self.vif_mut(key).and_then(|vif| {
            vif.claim_told &= vif.wish == wish;
            (vif.wish, vif.heard, vif.unproven) = (wish, epoch, None);
            vif.claim.take()
        });
        if let Some((before, _)) = before {
            self.refuse(key.0, before, Refusal::of(Status::STALE));
        }
    }

    fn vif_enable(&mut self, now: u64, key: VifKey, id: RequestId) {
        if !self.is_known(key) {
            return self.refuse(key.0, id, unknown(key.1));
        }
        self.ask_anew(key, InitialState::Active);
        match self.input(now, key, Input::Enable) {
            Verdict::Wait => self.await_claim(now, key, id, Opcode::VIF_ENABLE),
            Verdict::Accept => self.accept_enable(key, id),
            Verdict::Refuse => {
                let refusal = self.bad_state(key);
                self.refuse(key.0, id, refusal);
                let Some(vif) = self.vif_mut(key).filter(|vif| vif.standing == Standing::Standby) else {
                    return;
                };
                if let (false, Some(veth)) = (core::mem::replace(&mut vif.claim_told, true), vif.veth) {
                    self.claim_refused(veth, key.0);
                }
            }
            _ => self.refuse(key.0, id, unknown(key.1)),
        }
    }

    fn vif_disable(&mut self, now: u64, key: VifKey, id: RequestId) {
        if !self.is_known(key) {
            return self.refuse(key.0, id, unknown(key.1));
        }
        self.ask_anew(key, InitialState::Standby);
        match self.input(now, key, Input::Disable) {
            Verdict::Accept => {
                if let Some(vif) = self.vif_mut(key).filter(|vif| vif.standing == Standing::Standby) {
                    vif.becomes(VifState::Standby);
                }
                self.yielded(now, key);
                self.accept(key.0, id, Response::VifDisable);
            }
            _ => self.refuse(key.0, id, unknown(key.1)),
        }
    }
}

fn unknown(vif: VifId) -> Refusal {
    let text = format!("no VIF {} here", vif.get());
    Refusal::with_cause(Status::UNKNOWN_VIF, Status::UNKNOWN_VIF.0, &text)
}
