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
    unanswered: Vec<(session::RequestId, Request)>,
    asked: BTreeMap<Token, Request>,
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
        let node = (Uuid([0x10 + port as u8; 16]), Name::new(&format!("adapter{port}")).expect("a name"));
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
            unanswered: Vec::new(),
            asked: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    /// Asks for something.
    pub(crate) fn ask(&mut self, now: u64, request: Request) -> Token {
        let token = self.session.request(now, request.clone()).expect("a session");
        self.asked.insert(token, request);
        token
    }

    /// What became of it, if that is known.
    pub(crate) fn answer(&self, token: Token) -> Option<&Result<Response, Failure>> {
        self.answers.get(&token)
    }

    pub(crate) fn poll(&mut self, now: u64) {
        if !self.silent {
            for (id, request) in core::mem::take(&mut self.unanswered) {
                self.serve(now, id, request);
            }
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::Request { id, request } if self.silent => self.unanswered.push((id, request)),
                SessionEvent::Request { id, request } => self.serve(now, id, request),
                SessionEvent::Response { token, result } => self.answered(token, result),
                _ => {}
            }
        }
    }

    fn answered(&mut self, token: Token, result: Result<Response, Failure>) {
        match (self.asked.remove(&token), &result) {
            (Some(Request::VifCreate { initial, .. }), Ok(Response::VifCreate { vif, params, .. })) => {
                let state = if initial == ACTIVE { VifState::Active } else { VifState::Standby };
                let known = Known { state, params: *params, uplink: true, cause: None };
                self.vifs.insert(vif.get(), known);
            }
            (Some(Request::VifEnable { vif }), Ok(Response::VifEnable { params })) => {
                self.change(vif, |known| (known.state, known.params) = (VifState::Active, *params));
            }
            (Some(Request::VifDisable { vif }), Ok(_)) => {
                self.change(vif, |known| known.state = VifState::Standby);
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
                for number in numbers(vifs) {
                    let known = self.vifs.get_mut(&number).ok_or(Refusal::of(Status::UNKNOWN_VIF))?;
                    known.state = state.unwrap_or(known.state);
                    known.params = params.unwrap_or(known.params);
                    known.cause = cause.as_ref().map(ToString::to_string);
                }
                Ok(Response::VifSet)
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
