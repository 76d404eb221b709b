//! Adapters that come, go, and come back.

use super::Control;
use super::event::Event;
use super::life::{Input, Standing};
use super::link::{Asked, Link, Peer, PortKind};
use super::timer::Timer;
use super::veth::Unused;
use super::vif::VifKey;
use vntag::VifId;
use vntag::ctl::session::{LostCause, PeerInfo, SessionEvent};

/// Nanoseconds of a second.
pub(super) const SECOND: u64 = 1_000_000_000;
/// Nanoseconds in which an adapter that gave up a create before it was answered is back and has asked again, if it wants to.
pub(super) const PROOF: u64 = 10 * SECOND;

impl Control {
    pub(super) fn session_event(&mut self, now: u64, port: usize, event: SessionEvent) {
        match event {
            SessionEvent::PeerUp(info) => self.peer_up(now, port, &info),
            SessionEvent::PeerLost(cause) => self.peer_lost(now, port, cause),
            SessionEvent::NeighborRefused { name, why } => {
                let port = self.port_id(port);
                self.event(Event::NeighborRefused { port, name, why });
            }
            SessionEvent::Request { id, request } => self.handle_request(now, port, id, &request),
            SessionEvent::Response { token, result } => self.handle_response(now, port, token, result),
        }
    }

    fn peer_up(&mut self, now: u64, port: usize, info: &PeerInfo) {
        let Some(link) = self.link_mut(port) else { return };
        let hello = &info.hello;
        let same = link.peer.as_ref().is_some_and(|peer| peer.boot_id == hello.boot_id);
        link.peer = Some(Peer { boot_id: hello.boot_id, node: hello.node_uuid, limits: hello.limits });
        (link.up, link.event_sent) = (true, false);
        link.epoch += 1;
        if !same {
            link.life = link.epoch;
        }
        let life = link.life;
        link.ids.resize(hello.limits.vifs);
        link.lists.reset(Some(hello.limits));
        self.timers.stop(Timer::Carrier(port));
        self.timers.set(Timer::Hold(port), now.saturating_add(self.hold()));
        self.event(Event::PeerUp {
            port: self.port_id(port),
            name: hello.node_name.to_string(),
            resumed: same,
        });
        for key in self.vif_keys(port) {
            // What a former life of the adapter asked for, this one knows nothing of.
            let wish = self.vif_of(key).filter(|vif| vif.heard >= life).map(|vif| vif.wish);
            match wish {
                Some(wish) => self.input(now, key, Input::Back(wish)),
                None => self.input(now, key, Input::Restarted),
            };
            if let Some(link) = self.link_mut(port) {
                link.tell.insert(key.1);
            }
        }
    }

    fn peer_lost(&mut self, now: u64, port: usize, cause: LostCause) {
        let Some(link) = self.link_mut(port) else { return };
        (link.up, link.event) = (false, None);
        link.asked.clear();
        link.probe.clear();
        link.lists.reset(None);
        self.pending.remove_port(port);
        self.event(Event::PeerLost { port: self.port_id(port), cause });
        // Nobody waits for what it has to say.
        for key in self.vif_keys(port) {
            self.yielded(now, key);
        }
        let delay = u64::from(self.running.carrier_delay()) * SECOND;
        let at_once = match cause {
            // It has said itself that it does nothing any more, or is not the one that did.
            LostCause::Rebooted | LostCause::Shutdown | LostCause::Expired => true,
            LostCause::Silence | LostCause::Unanswered | LostCause::LinkDown | LostCause::Closed => {
                delay == 0
            }
        };
        self.timers.set(Timer::Hold(port), now.saturating_add(self.hold()));
        if at_once {
            self.adapter_lost(now, port);
        } else {
            self.timers.set(Timer::Carrier(port), now.saturating_add(delay));
        }
    }

    /// The adapter has been lost for longer than carrier-delay, or for good.
    pub(super) fn adapter_lost(&mut self, now: u64, port: usize) {
        for key in self.vif_keys(port) {
            self.input(now, key, Input::Lost);
        }
    }

    /// Nothing is kept any longer for the return of a port's adapter, or of VIFs that it does not ask for any more.
    pub(super) fn hold_over(&mut self, now: u64, port: usize) {
        let Some(link) = self.link(port) else { return };
        if !link.up {
            for key in self.vif_keys(port) {
                self.input_then(now, key, Input::Revoke, Unused::Lost(Some(port)));
            }
            return;
        }
        let unheard = link.vifs.iter().filter(|(_, vif)| vif.heard != link.epoch);
        let unheard: Vec<(VifId, Standing)> = unheard.map(|(id, vif)| (*id, vif.standing)).collect();
        for (id, standing) in unheard {
            match standing {
                // It has restarted and did not ask for it again: it knows nothing of it.
                Standing::Away => {
                    self.input(now, (port, id), Input::Delete);
                }
                Standing::Deleting => {}
                // It was lost and came back. If it did not notice, it had no reason to ask.
                _ => {
                    if let Some(link) = self.link_mut(port) {
                        link.probe.insert(id);
                        link.tell.insert(id);
                    }
                }
            }
        }
        // The adapter is there, and does not ask for them.
        for number in self.veths.detached(port) {
            let Some(veth) = self.veths.get(number) else { continue };
            let (identity, dynamic) = (veth.identity(), veth.is_dynamic());
            let refused = self.pending.of_port(port).any(|(_, row)| row.asker.identity == identity);
            if dynamic && !refused {
                self.remove_veth(number);
            } else if !refused {
                self.veths.set_unused(number, now, Unused::NoVnic);
                self.dirty.insert(number);
            }
        }
    }

    /// Asks an adapter about the VIFs that it was given a while ago and has not mentioned since. One that gave us up
    /// before it heard of a VIF, and does not want it any more, would leave it here for ever; perhaps as the active one.
    pub(super) fn ask_for_proof(&mut self, now: u64, port: usize) {
        let Some(link) = self.link_mut(port) else { return };
        let mut others = false;
        for (id, vif) in &mut link.vifs {
            match vif.unproven {
                Some(since) if since.saturating_add(PROOF) <= now => {
                    vif.unproven = None;
                    link.probe.insert(*id);
                    link.tell.insert(*id);
                }
                since => others |= since.is_some(),
            }
        }
        if others {
            self.timers.set(Timer::Proof(port), now.saturating_add(PROOF));
        }
    }

    /// A port is used in another way from now on.
    pub(super) fn set_kind(&mut self, now: u64, port: usize, kind: PortKind) {
        let Some(this) = self.ports.get_mut(port) else { return };
        let (before, up) = (this.kind, this.up);
        this.kind = kind;
        if before == kind {
            return;
        }
        if let Some(link) = &mut this.link {
            link.session.handle_link(now, up && kind == PortKind::Niv);
        }
        self.drain_session(now, port);
        if before == PortKind::Niv {
            for key in self.vif_keys(port) {
                self.input_then(now, key, Input::Revoke, Unused::Lost(Some(port)));
                self.input(now, key, Input::Restarted);
            }
        }
    }

    /// Deals with everything that a session has told.
    pub(super) fn drain_session(&mut self, now: u64, port: usize) {
        self.link_mut(port).map(Link::drain);
        while let Some(event) = self.link_mut(port).and_then(|link| link.inbox.pop_front()) {
            self.session_event(now, port, event);
        }
    }

    pub(super) fn vif_keys(&self, port: usize) -> Vec<VifKey> {
        let vifs = self.link(port).into_iter().flat_map(|link| link.vifs.keys());
        vifs.map(|vif| (port, *vif)).collect()
    }

    pub(super) fn hold(&self) -> u64 {
        u64::from(self.running.hold()) * SECOND
    }

    /// What a request was about, once.
    pub(super) fn take_asked(&mut self, port: usize, token: vntag::ctl::session::Token) -> Option<Asked> {
        self.link_mut(port)?.asked.remove(&token)
    }
}
