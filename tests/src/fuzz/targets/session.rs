//! One end of a link, of either role.

use super::steps::Steps;
use super::wire::{self, LIMITS, Machine, SECOND, World};
use super::words::request;
use std::cell::Cell;
use std::collections::BTreeSet;
use vntag::ctl::session::{Config, MAX_NEIGHBORS, RequestId, Session, SessionEvent, State, Token};
use vntag::ctl::{Name, Opcode, Refusal, Request, Response, Role, Status};
use vntag::ethernet::Mac;
use vntag::{Uuid, VifId};

/// Requests that may wait for their turn.
const QUEUE: usize = 40;
/// Events that a session keeps for an owner who does not fetch them, beside the ends of our own requests; and the few
/// that come of one frame more.
const EVENTS: usize = 1024 + 300;

struct End {
    session: Session,
    fetches: bool,
    asked: BTreeSet<Token>,
    waiting: Vec<(RequestId, Opcode)>,
    /// States seen, one bit each: a schedule in which nobody hears anybody shows nothing.
    seen: Cell<u8>,
}

impl End {
    fn fetch(&mut self) -> bool {
        let mut events = 0;
        while let Some(event) = self.session.poll_event() {
            events += 1;
            match event {
                SessionEvent::Request { id, request } => self.waiting.push((id, request.opcode())),
                SessionEvent::Response { token, .. } => {
                    assert!(self.asked.remove(&token), "a request ends once");
                }
                _ => {}
            }
        }
        assert!(events <= EVENTS + QUEUE, "{events} events");
        events > 0
    }
}

impl Machine for End {
    fn links(&self) -> usize {
        1
    }
    fn role(&self) -> Role {
        self.session.config().role
    }
    fn handle_link(&mut self, now: u64, _: usize, up: bool) {
        self.session.handle_link(now, up);
    }
    fn handle_frame(&mut self, now: u64, _: usize, frame: &[u8]) {
        self.session.handle_frame(now, frame);
    }
    fn poll_transmit(&mut self, now: u64, _: usize) -> Option<Vec<u8>> {
        self.session.poll_transmit(now)
    }
    fn turn(&mut self, now: u64) -> bool {
        self.session.handle_timeout(now);
        self.fetches && self.fetch()
    }
    fn next_deadline(&self) -> Option<u64> {
        self.session.next_deadline()
    }
    fn session(&self, _: usize) -> Option<&Session> {
        Some(&self.session)
    }
    fn command(&mut self, now: u64, steps: &mut Steps<'_>) {
        match steps.below(8) {
            0..4 => {
                let asked = request(steps).and_then(|request| self.session.request(now, request).ok());
                self.asked.extend(asked);
            }
            4 | 5 if !self.waiting.is_empty() => {
                let at = usize::from(steps.octet()) % self.waiting.len();
                let (id, opcode) = self.waiting.swap_remove(at);
                let answer = match opcode {
                    Opcode::VIF_DELETE => Ok(Response::VifDelete),
                    Opcode::VIF_SET => Ok(Response::VifSet),
                    Opcode::LIST_SET => Ok(Response::ListSet),
                    Opcode::ANNOUNCE => Ok(Response::Announce),
                    _ => Err(Refusal::of(Status(2 + u16::from(steps.below(9))))),
                };
                // Whoever asked may be gone.
                let _ = self.session.respond(now, id, answer);
            }
            6 => self.fetches ^= true,
            7 => self.session.shutdown(now),
            _ => {}
        }
    }
    fn check(&self, now: u64) {
        let session = &self.session;
        assert!(session.neighbors().len() <= MAX_NEIGHBORS);
        assert!(session.outstanding() <= QUEUE);
        assert_eq!(session.peer().is_some(), session.state() == State::Up);
        assert!(session.next_deadline().is_none_or(|at| at > now || !self.fetches), "what is due is done");
        let bit = match session.state() {
            State::Down => 1,
            State::Discovering => 2,
            State::Greeting => 4,
            State::Up => 8,
        };
        self.seen.set(self.seen.get() | bit);
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    wire::seeds().into_iter().flat_map(|seed| [0, 1].map(|role| [&[role][..], &seed].concat())).collect()
}

pub(super) fn run(input: &[u8]) {
    let mut steps = Steps::new(input);
    let role = steps.one(Role::ALL);
    let node = (Uuid([1; 16]), Name::new("end").expect("a name"));
    let config = Config::new(role, 0x1122_0000_0000_0001, Mac([2, 0, 0, 0, 0, 1]), node, "near");
    let session = Session::new(Config { limits: LIMITS, queue: QUEUE, ..config });
    let (asked, waiting, seen) = (BTreeSet::new(), Vec::new(), Cell::new(0));
    let mut world = World::new(End { session, fetches: true, asked, waiting, seen });
    assert!(world.machine.seen.get() & 8 != 0, "the sessions that schedules begin with are up");
    world.schedule(&mut steps);

    // Whatever happened, both ends find each other again, and everything that was asked has an end.
    world.machine.fetches = true;
    world.end_trouble();
    world.run(60 * SECOND);
    assert_eq!(world.machine.session.state(), State::Up);
    let vif = VifId::new(1).expect("a VIF");
    let request = match role {
        Role::Iv => Request::VifDisable { vif },
        Role::Vis => Request::StatsGet { vif },
    };
    let token = world.machine.session.request(world.now, request).expect("room");
    world.machine.asked.insert(token);
    world.run(5 * SECOND);
    assert!(world.machine.asked.is_empty(), "{:?}", world.machine.asked);
    assert_eq!(world.machine.session.outstanding(), 0);
}
