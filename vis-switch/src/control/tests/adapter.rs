//! An adapter that does what the test says.

use super::{MS, vif};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use vntag::VifId;
use vntag::ctl::provisioning::Builder;
use vntag::ctl::session::{self, Failure, Session, SessionEvent, Token};
use vntag::ctl::{
    Counters, InitialState, Name, Provisioning, Refusal, Request, Response, Role, Status, VifParams, VifState,
};
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;

pub(crate) const STANDBY: InitialState = InitialState::Standby;
pub(crate) const ACTIVE: InitialState = InitialState::Active;

/// A VIF as the adapter knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known {
    pub(crate) state: VifState,
    pub(crate) params: VifParams,
    pub(crate) uplink: bool,
    pub(crate) cause: Option<String>,
    channel: u16,
    provisioning: Provisioning,
}

impl Known {
    /// Whether this create asks for it.
    fn is_of(&self, create: &Request) -> bool {
        let who = |blob: &Provisioning| (blob.client_uuid(), blob.mac());
        match create {
            Request::VifCreate { channel, provisioning, .. } => {
                self.channel == *channel && who(&self.provisioning) == who(provisioning)
            }
            _ => false,
        }
    }
}

pub(crate) struct Adapter {
    pub(crate) session: Session,
    pub(crate) cut: bool,
    pub(crate) vifs: BTreeMap<u16, Known>,
    pub(crate) lists: BTreeMap<u16, BTreeSet<u16>>,
    /// What the switch asked for, lists excepted.
    pub(crate) heard: Vec<Request>,
    /// The next requests of the switch are refused with these.
    pub(crate) refuse: VecDeque<Status>,
    /// Requests of the switch are not answered; they wait here.
    pub(crate) silent: bool,
    /// It notices each loss, and asks for its VIFs again.
    pub(crate) asks_again: bool,
    unanswered: Vec<(session::RequestId, Request)>,
    asked: BTreeMap<Token, Request>,
    switch: Option<u64>,
    /// VIF_ENABLEs on their way since whose sending VIF_SET said something about the VIF: they may have been answered before that, and
    /// the answer lost and repeated.
    overtaken: BTreeSet<Token>,
    answers: BTreeMap<Token, Result<Response, Failure>>,
}

/// The blob of a vNIC: its number is the instance and the last octet of the address.
pub(crate) fn vnic(number: u8) -> Builder {
    Provisioning::builder()
        .profile("default")
        .mac(Mac([0x52, 0x54, 0, 0, 0, number]))
        .client_uuid(Uuid([number; 16]))
        .port_name(&format!("vnic{number}"))
}

impl Adapter {
    pub(crate) fn new(port: usize, life: u64) -> Self {
        Self::of_node(port, life, port)
    }

    /// The end on one port of an adapter that has several links.
    pub(crate) fn of_node(port: usize, life: u64, node: usize) -> Self {
        let node = (Uuid([0x10 + node as u8; 16]), Name::new(&format!("adapter{port}")).expect("a name"));
        let mac = Mac([2, 0, 0, 0, port as u8, 1]);
        let config = session::Config::new(Role::Iv, 0x1122_0000_0000_0000 + life, mac, node, "link0");
        Self {
            session: Session::new(session::Config { window: 128, ..config }),
            cut: false,
            vifs: BTreeMap::new(),
            lists: BTreeMap::new(),
            heard: Vec::new(),
            refuse: VecDeque::new(),
            silent: false,
            asks_again: false,
            unanswered: Vec::new(),
            asked: BTreeMap::new(),
            switch: None,
            overtaken: BTreeSet::new(),
            answers: BTreeMap::new(),
        }
    }

    /// Asks for something.
    pub(crate) fn ask(&mut self, now: u64, request: Request) -> Token {
        self.try_ask(now, request).expect("a session")
    }

    /// Likewise, if there is a switch.
    pub(crate) fn try_ask(&mut self, now: u64, request: Request) -> Option<Token> {
        let token = self.session.request(now, request.clone()).ok()?;
        self.asked.insert(token, request);
        Some(token)
    }

    /// The switch's requests that were not answered never arrived.
    pub(crate) fn forget_requests(&mut self) {
        self.unanswered.clear();
    }

    /// Silent as it is, it does the first thing that it was asked for.
    pub(crate) fn answer_one(&mut self, now: u64) {
        if !self.unanswered.is_empty() {
            let (id, request) = self.unanswered.remove(0);
            self.serve(now, id, request);
        }
    }

    /// What became of it, if that is known.
    pub(crate) fn answer(&self, token: Token) -> Option<&Result<Response, Failure>> {
        self.answers.get(&token)
    }

    pub(crate) fn poll(&mut self, now: u64) {
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::Request { id, request } => self.unanswered.push((id, request)),
                SessionEvent::Response { token, result } => self.answered(now, token, result),
                // What it was asked for and did not do is asked for again.
                SessionEvent::PeerLost(_) => self.unanswered.clear(),
                SessionEvent::PeerUp(peer) => {
                    // Another switch, or another life of it: what the former one gave means nothing.
                    if self.switch.replace(peer.hello.boot_id) != Some(peer.hello.boot_id) {
                        (self.vifs, self.lists) = (BTreeMap::new(), BTreeMap::new());
                    }
                    // What became of requests that the loss hid is found out by asking for everything again.
                    if !self.asks_again {
                        continue;
                    }
                    let known: Vec<Known> = core::mem::take(&mut self.vifs).into_values().collect();
                    for Known { state, channel, provisioning, .. } in known {
                        let initial = if state == VifState::Active { ACTIVE } else { STANDBY };
                        self.try_ask(now, Request::VifCreate { channel, provisioning, initial });
                    }
                }
                _ => {}
            }
        }
        for (id, request) in core::mem::take(&mut self.unanswered) {
            if self.silent || self.must_wait(&request) {
                self.unanswered.push((id, request));
            } else {
                self.serve(now, id, request);
            }
        }
    }

    /// A request about a VIF may overtake the answer to the create that brings it.
    pub(crate) fn must_wait(&self, request: &Request) -> bool {
        let creates = || self.asked.values().filter(|asked| matches!(asked, Request::VifCreate { .. }));
        let unsettled = |vif: VifId| match self.vifs.get(&vif.get()) {
            None => creates().next().is_some(),
            Some(known) => creates().any(|asked| known.is_of(asked)),
        };
        match request {
            Request::VifSet { vifs, .. } | Request::LinkState { vifs, .. } => vifs.iter().any(unsettled),
            Request::VifDelete { vif } | Request::StatsGet { vif } => unsettled(*vif),
            _ => false,
        }
    }

    /// A request is on its way about the VIF that this create asks for.
    pub(crate) fn is_busy_with(&self, create: &Request) -> bool {
        self.asked.values().any(|asked| match asked {
            Request::VifEnable { vif } | Request::VifDisable { vif } | Request::VifDelete { vif } => {
                self.vifs.get(&vif.get()).is_some_and(|known| known.is_of(create))
            }
            _ => false,
        })
    }

    fn is_standby(&self, vif: VifId) -> bool {
        self.vifs.get(&vif.get()).is_some_and(|known| known.state == VifState::Standby)
    }

    fn answered(&mut self, now: u64, token: Token, result: Result<Response, Failure>) {
        let request = self.asked.remove(&token);
        let overtaken = self.overtaken.remove(&token);
        if let (Some(create @ Request::VifCreate { .. }), Ok(_) | Err(Failure::Refused(_))) =
            (&request, &result)
        {
            // Whatever it had, it has what it is told now.
            let had = self.vifs.iter().filter(|(_, known)| known.is_of(create)).map(|(id, _)| *id);
            let had: Vec<u16> = had.collect();
            let keeps = match &result {
                Ok(Response::VifCreate { vif, .. }) => Some(vif.get()),
                _ => None,
            };
            had.into_iter().filter(|id| Some(*id) != keeps).for_each(|id| self.clear(vif(id)));
        }
        match (request, &result) {
            (
                Some(Request::VifCreate { initial, channel, provisioning }),
                Ok(Response::VifCreate { vif, params, .. }),
            ) => {
                let state = if initial == ACTIVE { VifState::Active } else { VifState::Standby };
                let known =
                    Known { state, params: *params, uplink: true, cause: None, channel, provisioning };
                self.vifs.insert(vif.get(), known);
            }
            // Whether the switch has set it before or after is not known: it is asked again.
            (Some(again @ Request::VifEnable { vif }), Ok(_)) if overtaken && self.is_standby(vif) => {
                self.try_ask(now, again);
            }
            (Some(Request::VifEnable { .. }), Ok(_)) if overtaken => {}
            (Some(Request::VifEnable { vif }), Ok(Response::VifEnable { params })) => {
                self.change(vif, |known| {
                    // What the switch has set meanwhile counts.
                    if known.state == VifState::Standby {
                        known.state = VifState::Active;
                    }
                    known.params = *params;
                });
            }
            (Some(Request::VifDisable { vif }), Ok(_)) => {
                self.change(vif, |known| {
                    if known.state == VifState::Active {
                        known.state = VifState::Standby;
                    }
                });
            }
            (Some(Request::VifDelete { vif }), Ok(_)) => self.clear(vif),
            _ => {}
        }
        self.answers.insert(token, result);
    }

    fn change(&mut self, vif: VifId, change: impl FnOnce(&mut Known)) {
        if let Some(known) = self.vifs.get_mut(&vif.get()) {
            change(known);
        }
    }

    fn clear(&mut self, vif: VifId) {
        self.vifs.remove(&vif.get());
        for list in self.lists.values_mut() {
            list.remove(&vif.get());
        }
    }

    fn serve(&mut self, now: u64, id: session::RequestId, request: Request) {
        let list = matches!(&request, Request::ListSet { .. } | Request::ListMod { .. });
        let result = match self.refuse.pop_front().filter(|_| !list) {
            Some(status) => Err(Refusal::of(status)),
            None => self.obey(&request),
        };
        if !list {
            self.heard.push(request);
        }
        let _ = self.session.respond(now, id, result);
    }

    fn obey(&mut self, request: &Request) -> Result<Response, Refusal> {
        let numbers = |vifs: &vntag::ctl::Vifs| vifs.iter().map(VifId::get).collect::<Vec<u16>>();
        match request {
            Request::VifSet { vifs, state, params, cause } => {
                let mut all = true;
                let enables = self.asked.iter().filter(
                    |(_, asked)| matches!(asked, Request::VifEnable { vif } if vifs.iter().any(|set| set == *vif)),
                );
                self.overtaken.extend(enables.map(|(token, _)| *token));
                for number in numbers(vifs) {
                    let Some(known) = self.vifs.get_mut(&number) else {
                        all = false;
                        continue;
                    };
                    known.state = state.unwrap_or(known.state);
                    known.params = params.unwrap_or(known.params);
                    known.cause = cause.as_ref().map(ToString::to_string);
                }
                if all { Ok(Response::VifSet) } else { Err(Refusal::of(Status::UNKNOWN_VIF)) }
            }
            Request::LinkState { vifs, up } => {
                for number in numbers(vifs) {
                    self.vifs.get_mut(&number).ok_or(Refusal::of(Status::UNKNOWN_VIF))?.uplink = *up;
                }
                Ok(Response::LinkState)
            }
            Request::VifDelete { vif } => {
                self.clear(*vif);
                Ok(Response::VifDelete)
            }
            Request::StatsGet { vif } => match self.vifs.contains_key(&vif.get()) {
                true => Ok(Response::StatsGet { counters: Counters::default() }),
                false => Err(Refusal::of(Status::UNKNOWN_VIF)),
            },
            Request::ListSet { list, members, .. } => {
                self.lists.insert(list.get(), numbers(members).into_iter().collect());
                Ok(Response::ListSet)
            }
            Request::ListMod { list, add, del, .. } => {
                let known = self.lists.get_mut(&list.get()).ok_or(Refusal::of(Status::INVALID))?;
                known.retain(|vif| !numbers(del).contains(vif));
                known.extend(numbers(add));
                Ok(Response::ListMod)
            }
            Request::Event { .. } => Ok(Response::Event),
            other => panic!("{other:?}"),
        }
    }
}

impl super::World {
    /// Asks and waits until it is answered, at most five seconds.
    pub(crate) fn ask(&mut self, port: usize, request: Request) -> Result<Response, Status> {
        let token = self.adapters[port].ask(self.now, request);
        for _ in 0..5_000 {
            self.settle();
            if let Some(answer) = self.adapters[port].answer(token) {
                return match answer {
                    Ok(response) => Ok(response.clone()),
                    Err(Failure::Refused(refusal)) => Err(refusal.status),
                    Err(other) => panic!("{other}"),
                };
            }
            self.run(MS);
        }
        panic!("no answer");
    }

    /// Asks for a VIF; says which it is, and whose.
    pub(crate) fn create(
        &mut self,
        port: usize,
        channel: u16,
        blob: Builder,
        initial: InitialState,
    ) -> Result<(u16, u32), Status> {
        let provisioning = blob.build().expect("a blob");
        match self.ask(port, Request::VifCreate { channel, provisioning, initial })? {
            Response::VifCreate { vif, veth, .. } => Ok((vif.get(), veth)),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn enable(&mut self, port: usize, number: u16) -> Result<(), Status> {
        self.ask(port, Request::VifEnable { vif: vif(number) }).map(drop)
    }

    pub(crate) fn disable(&mut self, port: usize, number: u16) -> Result<(), Status> {
        self.ask(port, Request::VifDisable { vif: vif(number) }).map(drop)
    }

    pub(crate) fn delete(&mut self, port: usize, number: u16) -> Result<(), Status> {
        self.ask(port, Request::VifDelete { vif: vif(number) }).map(drop)
    }

    /// The adapter's view of a VIF.
    pub(crate) fn known(&self, port: usize, number: u16) -> Option<(VifState, Option<&str>)> {
        self.adapters[port].vifs.get(&number).map(|known| (known.state, known.cause.as_deref()))
    }
}
