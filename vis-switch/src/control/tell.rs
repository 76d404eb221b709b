//! What the adapters have to be told: the difference between what VIFs are and what their adapter was last told, in few
//! requests for many VIFs.

use super::Control;
use super::event::Event;
use super::life::{Input, Standing};
use super::link::Asked;
use super::peer::SECOND;
use super::timer::Timer;
use super::vif::{Telling, VifKey};
use crate::config::running::UplinkFail;
use std::collections::{BTreeMap, HashMap};
use vntag::VifId;
use vntag::ctl::session::{Failure, Token};
use vntag::ctl::{Cause, Request, Response, Status, VifParams, VifState, Vifs};

/// Nanoseconds after which something that an adapter refused to do is tried again.
const RETRY: u64 = SECOND;
/// Octets of VIF_SET beside its vector: STATE, VIF_PARAMS, CAUSE.
const SET_OVERHEAD: usize = 5 + 4 + VifParams::LEN + 6 + Cause::MAX_TEXT;
/// Octets of LINK_STATE beside its vector: UP.
const LINK_OVERHEAD: usize = 5;

/// What one VIF_SET says.
type Set = (Option<VifState>, Option<VifParams>, Option<Cause>);

/// What is owed to one VIF's adapter.
enum Owed {
    Set(Set),
    Uplink(bool),
    Delete,
    Probe,
}

impl Control {
    /// Sends what is owed on all links.
    pub(super) fn tell(&mut self, now: u64) {
        for port in 0..self.ports.len() {
            if self.link(port).is_some_and(|link| link.up) {
                self.tell_vifs(now, port);
                self.tell_event(now, port);
            }
        }
    }

    fn tell_vifs(&mut self, now: u64, port: usize) {
        let Some(link) = self.link_mut(port) else { return };
        let vifs = core::mem::take(&mut link.tell);
        let (by_set, by_link) = (link.vector(SET_OVERHEAD), link.vector(LINK_OVERHEAD));
        let mut sets: Vec<(Set, Vec<VifId>)> = Vec::new();
        let mut index: HashMap<Set, usize> = HashMap::new();
        let mut uplinks: BTreeMap<bool, Vec<VifId>> = BTreeMap::new();
        for id in vifs {
            match self.owed((port, id)) {
                None => {}
                Some(Owed::Delete) => self.ask(now, port, Request::VifDelete { vif: id }, Asked::Delete(id)),
                Some(Owed::Probe) => self.ask(now, port, Request::StatsGet { vif: id }, Asked::Probe(id)),
                Some(Owed::Uplink(up)) => uplinks.entry(up).or_default().push(id),
                Some(Owed::Set(set)) => {
                    let at = *index.entry(set).or_insert_with_key(|set| {
                        sets.push((set.clone(), Vec::new()));
                        sets.len() - 1
                    });
                    sets[at].1.push(id);
                }
            }
        }
        for ((state, params, cause), vifs) in sets {
            for vifs in vifs.chunks(by_set).filter_map(|chunk| Vifs::new(chunk.iter().copied())) {
                let telling = Telling { state, params, ..Telling::default() };
                let request = Request::VifSet { vifs: vifs.clone(), state, params, cause: cause.clone() };
                self.ask_vifs(now, port, request, vifs, telling);
            }
        }
        for (up, vifs) in uplinks {
            for vifs in vifs.chunks(by_link).filter_map(|chunk| Vifs::new(chunk.iter().copied())) {
                let telling = Telling { uplink: Some(up), ..Telling::default() };
                self.ask_vifs(now, port, Request::LinkState { vifs: vifs.clone(), up }, vifs, telling);
            }
        }
    }

    fn owed(&self, key: VifKey) -> Option<Owed> {
        let vif = self.vif_of(key)?;
        // One thing at a time; and nothing about a VIF before the adapter has heard what it was granted.
        if vif.asking.is_some() || vif.granting.is_some() {
            return None;
        }
        let state = match vif.standing {
            Standing::Deleting => return Some(Owed::Delete),
            Standing::Away | Standing::Claiming => return None,
            Standing::Standby => VifState::Standby,
            Standing::Active => VifState::Active,
            Standing::Disabled => VifState::Disabled,
        };
        let veth = self.veths.get(vif.veth?)?;
        let params = (vif.params != Some(veth.settings.params)).then_some(veth.settings.params);
        let state = (vif.state != Some(state)).then_some(state);
        if state.is_some() || params.is_some() {
            let cause = state.and_then(|state| self.cause(state, key));
            return Some(Owed::Set((state, params, cause)));
        }
        let up = !(veth.uplink_lost && veth.settings.uplink_fail == UplinkFail::LinkDown);
        if vif.uplink != Some(up) {
            return Some(Owed::Uplink(up));
        }
        self.link(key.0)?.probe.contains(&key.1).then_some(Owed::Probe)
    }

    /// Why a VIF is set to a state.
    fn cause(&self, state: VifState, key: VifKey) -> Option<Cause> {
        let veth = self.veths.get(self.vif_of(key)?.veth?)?;
        match (state, self.block(veth)) {
            (VifState::Disabled, Some(cause)) => Some(Cause::new(cause.code(), &cause.to_string())),
            (VifState::Standby, _) if veth.holder.or(veth.claimant).is_some_and(|at| at != key) => {
                Some(Cause::new(0, &self.claimed_text(veth)))
            }
            _ => None,
        }
    }

    fn ask_vifs(&mut self, now: u64, port: usize, request: Request, vifs: Vifs, telling: Telling) {
        let Some(token) = self.send(now, port, request, &vifs) else { return };
        let Some(link) = self.link_mut(port) else { return };
        for id in vifs.iter() {
            if let Some(vif) = link.vifs.get_mut(&id) {
                vif.asking = Some((token, telling));
            }
        }
        link.asked.insert(token, Asked::Vifs(vifs));
    }

    /// Asks something about one VIF.
    fn ask(&mut self, now: u64, port: usize, request: Request, asked: Asked) {
        let (Asked::Delete(id) | Asked::Probe(id)) = asked else { return };
        let Some(token) = self.send(now, port, request, &Vifs::one(id)) else { return };
        let Some(link) = self.link_mut(port) else { return };
        if let Some(vif) = link.vifs.get_mut(&id) {
            vif.asking = Some((token, Telling::default()));
        }
        link.asked.insert(token, asked);
    }

    /// Hands a request to the session; where that has no room, it is tried again later.
    fn send(&mut self, now: u64, port: usize, request: Request, about: &Vifs) -> Option<Token> {
        let link = self.link_mut(port)?;
        let token = link.session.request(now, request).ok();
        if token.is_none() {
            link.tell.extend(about.iter());
            self.timers.begin(Timer::Retry(port), now.saturating_add(RETRY));
        }
        token
    }

    fn tell_event(&mut self, now: u64, port: usize) {
        let Some(link) = self.link_mut(port).filter(|link| !link.event_sent) else { return };
        let Some(code) = link.event.take() else { return };
        // One that finds no room is not missed: who is refused asks again every few seconds.
        if let Ok(token) = link.session.request(now, Request::Event { code }) {
            link.event_sent = true;
            link.asked.insert(token, Asked::Event);
        }
    }

    /// Sends what the lists of all links want to have done.
    pub(super) fn tell_lists(&mut self, now: u64) {
        for port in 0..self.ports.len() {
            let Some(link) = self.link_mut(port) else { continue };
            if link.classes.take_dirty() {
                let classes = link.classes.compute();
                link.lists.want(&classes);
            }
            while let Some((op, request)) = link.lists.poll_request() {
                match link.session.request(now, request) {
                    Ok(token) => {
                        link.asked.insert(token, Asked::List(op));
                    }
                    Err(_) => {
                        link.lists.unsent(op);
                        self.timers.begin(Timer::Retry(port), now.saturating_add(RETRY));
                        break;
                    }
                }
            }
        }
    }

    pub(super) fn handle_response(
        &mut self,
        now: u64,
        port: usize,
        token: Token,
        result: Result<Response, Failure>,
    ) {
        if let (Ok(_), Some(link)) = (&result, self.link_mut(port)) {
            link.disobeys = false;
        }
        match self.take_asked(port, token) {
            None => {}
            Some(Asked::Event) => self.link_mut(port).map_or((), |link| link.event_sent = false),
            Some(Asked::List(op)) => {
                if let Err(failure @ (Failure::Refused(_) | Failure::Wrong(_) | Failure::TooLong)) = &result {
                    self.disobeyed(now, port, &format!("a VIF list is refused: {failure}"));
                }
                if let Some(link) = self.link_mut(port) {
                    link.lists.response(op, result.map(|_| ()));
                }
            }
            Some(Asked::Vifs(vifs)) => {
                let outcome = Outcome::of(&result);
                if let (Outcome::Refused, Err(failure)) = (outcome, &result) {
                    self.disobeyed(now, port, &format!("setting {} VIFs is refused: {failure}", vifs.len()));
                }
                for id in vifs.iter() {
                    self.told(now, (port, id), token, outcome);
                }
                // One of them; it is not said which.
                if is_unknown(&result) {
                    self.probe(port, &vifs);
                }
            }
            Some(Asked::Delete(id)) => {
                let answered =
                    self.vif_mut((port, id)).and_then(|vif| vif.asking.take_if(|(sent, _)| *sent == token));
                if answered.is_none() {
                    return;
                }
                match (Outcome::of(&result), &result) {
                    (Outcome::Done, _) => {
                        self.input(now, (port, id), Input::Deleted);
                    }
                    (Outcome::Refused, Err(failure)) => {
                        self.disobeyed(
                            now,
                            port,
                            &format!("deleting VIF {} is refused: {failure}", id.get()),
                        );
                    }
                    _ => {}
                }
            }
            Some(Asked::Probe(id)) => {
                let Some(link) = self.link_mut(port) else { return };
                link.probe.remove(&id);
                link.tell.insert(id);
                let asking =
                    link.vifs.get_mut(&id).and_then(|vif| vif.asking.take_if(|(sent, _)| *sent == token));
                // One that it asked for meanwhile it knows by now, or soon.
                if is_unknown(&result) && asking.is_some_and(|(_, telling)| !telling.crossed) {
                    self.input(now, (port, id), Input::Delete);
                }
            }
        }
    }

    /// Asks the adapter whether it knows these VIFs. It answers when it has no request of its own on its way that may say so.
    fn probe(&mut self, port: usize, vifs: &Vifs) {
        let Some(link) = self.link_mut(port) else { return };
        for id in vifs.iter().filter(|id| link.vifs.contains_key(id)) {
            link.probe.insert(id);
            link.tell.insert(id);
        }
    }

    /// The adapter has answered a VIF_SET or LINK_STATE about this VIF, or was lost before.
    fn told(&mut self, now: u64, key: VifKey, token: Token, outcome: Outcome) {
        let Some(vif) = self.vif_mut(key) else { return };
        let Some((_, telling)) = vif.asking.take_if(|(sent, _)| *sent == token) else { return };
        vif.told(telling, outcome == Outcome::Done);
        if outcome == Outcome::Done {
            vif.unproven = None;
            self.tell_all(&[key]);
        }
        // Done or refused: it has heard of it, and frames of that VIF go nowhere; unless it was given leave meanwhile.
        let closed = telling.state.is_some_and(|state| state != VifState::Active);
        if closed && !telling.crossed && outcome != Outcome::Hidden {
            self.yielded(now, key);
        }
    }

    /// An adapter refuses what is not its to refuse. It is tried again, and told once in the log until it obeys.
    fn disobeyed(&mut self, now: u64, port: usize, what: &str) {
        let before = self.link_mut(port).is_some_and(|link| core::mem::replace(&mut link.disobeys, true));
        if !before {
            let id = self.port_id(port);
            self.event(Event::Disobeyed { port: id, what: what.to_owned() });
        }
        self.timers.begin(Timer::Retry(port), now.saturating_add(RETRY));
    }

    /// Tries again what was refused or found no room.
    pub(super) fn retry(&mut self, port: usize) {
        if let Some(link) = self.link_mut(port) {
            link.tell.extend(link.vifs.keys());
            link.lists.retry();
        }
    }
}

fn is_unknown(result: &Result<Response, Failure>) -> bool {
    matches!(result, Err(Failure::Refused(refusal)) if refusal.status == Status::UNKNOWN_VIF)
}

/// What became of a request about VIFs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// Done, for the VIFs that the adapter knows.
    Done,
    /// It says no.
    Refused,
    /// It was lost; nobody knows.
    Hidden,
}

impl Outcome {
    fn of(result: &Result<Response, Failure>) -> Self {
        match result {
            Ok(_) => Self::Done,
            // The adapter gives a VIF back, is about to ask for it anew, or never heard that it has it: that is asked then.
            _ if is_unknown(result) => Self::Done,
            Err(Failure::PeerLost) => Self::Hidden,
            Err(_) => Self::Refused,
        }
    }
}
