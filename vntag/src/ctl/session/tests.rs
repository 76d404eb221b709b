//! The state machine, transition by transition, and the rules that a clock decides.

use super::*;
use crate::ctl::{Body, Flags, Hello, Message, Name, Opcode, Role, Status};
use crate::ethernet::Mac;
use crate::legal::VifId;
use crate::lldp::Lldp;
use crate::uuid::Uuid;

const IV: Mac = Mac([2, 0, 0, 0, 0, 1]);
const VIS: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn config(role: Role, boot_id: u64) -> Config {
    let (mac, name) = match role {
        Role::Iv => (IV, "adapter0"),
        Role::Vis => (VIS, "vis0"),
    };
    let node = (Uuid([role.get(); 16]), Name::new(name).expect("a name"));
    Config::new(role, boot_id, mac, node, "port0")
}

fn enable(vif: u16) -> Request {
    Request::VifEnable { vif: VifId::new(vif).expect("a VIF") }
}

fn sent(session: &mut Session, now: u64) -> Vec<Vec<u8>> {
    core::iter::from_fn(|| session.poll_transmit(now)).collect()
}

fn events(session: &mut Session) -> Vec<SessionEvent> {
    core::iter::from_fn(|| session.poll_event()).collect()
}

/// The IV under test, and what its VIS would send, made by hand.
struct Bench {
    session: Session,
    now: u64,
    vis: Config,
}

impl Bench {
    fn new() -> Self {
        Self { session: Session::new(config(Role::Iv, 7)), now: SECOND, vis: config(Role::Vis, 9) }
    }

    fn frame(&self, mac: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
        [&DESTINATION.0[..], &mac.0, &ethertype.to_be_bytes(), payload].concat()
    }

    fn lldp(&mut self, ttl: u16) {
        let frame = self.frame(VIS, TYPE_LLDP, &self.vis.lldp(ttl).emit(self.vis.oui));
        assert!(self.session.handle_frame(self.now, &frame));
    }

    fn pdu(&mut self, pdu: &[u8]) {
        let frame = self.frame(VIS, self.vis.ethertype, pdu);
        assert!(self.session.handle_frame(self.now, &frame));
    }

    /// What the session sent, as messages.
    fn messages(&mut self) -> Vec<Message> {
        let frames = sent(&mut self.session, self.now).into_iter();
        let control = frames.filter(|frame| be16(frame, 12) == Some(self.vis.ethertype));
        control.map(|frame| Message::parse(&frame[HEADER..]).expect("a message").message).collect()
    }

    fn answer_hello(&mut self) {
        let seqs: Vec<u16> = self
            .messages()
            .into_iter()
            .filter(|message| matches!(message.body, Body::Hello(_)))
            .map(|message| message.seq)
            .collect();
        let hello: Hello = self.vis.hello();
        for seq in seqs {
            self.pdu(&hello.emit(true, seq));
        }
    }

    /// Brings the session to `state` in the usual way.
    fn to(state: State) -> Self {
        let mut bench = Self::new();
        if state != State::Down {
            bench.session.handle_link(bench.now, true);
        }
        if matches!(state, State::Greeting | State::Up) {
            bench.lldp(120);
        }
        if state == State::Up {
            bench.answer_hello();
        }
        assert_eq!(bench.session.state(), state);
        bench
    }

    fn wait(&mut self, time: u64) {
        let end = self.now + time;
        while let Some(at) = self.session.next_deadline().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            sent(&mut self.session, self.now);
        }
        self.now = end;
        sent(&mut self.session, end);
    }
}

#[derive(Clone, Copy, Debug)]
enum Input {
    LinkUp,
    LinkDown,
    Lldp,
    LldpTtl0,
    LldpSameRole,
    LldpNewBoot,
    Hello,
    HelloAnswered,
    HelloNewBoot,
    Silence,
    LldpExpired,
    Shutdown,
}

impl Bench {
    fn apply(&mut self, input: Input) {
        match input {
            Input::LinkUp => self.session.handle_link(self.now, true),
            Input::LinkDown => self.session.handle_link(self.now, false),
            Input::Lldp => self.lldp(120),
            Input::LldpTtl0 => self.lldp(0),
            Input::LldpSameRole => {
                self.vis.role = Role::Iv;
                self.lldp(120);
            }
            Input::LldpNewBoot => {
                self.vis.boot_id = 10;
                self.lldp(120);
            }
            Input::Hello => self.pdu(&self.vis.hello().emit(false, 1)),
            Input::HelloAnswered => self.answer_hello(),
            Input::HelloNewBoot => {
                self.vis.boot_id = 10;
                self.pdu(&self.vis.hello().emit(false, 1));
            }
            Input::Silence => self.wait(3 * SECOND),
            Input::LldpExpired => {
                for _second in 0..120 {
                    self.wait(SECOND);
                    self.answer_hello();
                    let hello = self.vis.hello();
                    let frame = self.frame(VIS, self.vis.ethertype, &hello.emit(false, 1));
                    self.session.handle_frame(self.now, &frame);
                }
            }
            Input::Shutdown => self.session.shutdown(self.now),
        }
    }
}

#[test]
fn the_whole_transition_table() {
    use Input as I;
    use State::{Discovering, Down, Greeting, Up};
    let inputs = [
        I::LinkUp,
        I::LinkDown,
        I::Lldp,
        I::LldpTtl0,
        I::LldpSameRole,
        I::LldpNewBoot,
        I::Hello,
        I::HelloAnswered,
        I::HelloNewBoot,
        I::Silence,
        I::LldpExpired,
        I::Shutdown,
    ];
    #[rustfmt::skip]
    let table = [
        //                LinkUp       LinkDown  Lldp         Ttl0         SameRole     NewBoot      Hello        Answered     HelloNewBoot Silence      Expired      Shutdown
        (Down,        [Discovering, Down,     Down,        Down,        Down,        Down,        Down,        Down,        Down,        Down,        Down,        Down]),
        (Discovering, [Discovering, Down,     Greeting,    Discovering, Discovering, Greeting,    Discovering, Discovering, Discovering, Discovering, Discovering, Down]),
        (Greeting,    [Greeting,    Down,     Greeting,    Discovering, Discovering, Greeting,    Greeting,    Up,          Greeting,    Greeting,    Discovering, Down]),
        (Up,          [Up,          Down,     Up,          Discovering, Discovering, Greeting,    Up,          Up,          Greeting,    Greeting,    Discovering, Down]),
    ];
    for (state, row) in table {
        for (input, wanted) in inputs.into_iter().zip(row) {
            let mut bench = Bench::to(state);
            events(&mut bench.session);
            bench.apply(input);
            assert_eq!(bench.session.state(), wanted, "{input:?} in {state:?}");
            let events = events(&mut bench.session);
            let ups = events.iter().filter(|event| matches!(event, SessionEvent::PeerUp(_))).count();
            let downs = events.iter().filter(|event| matches!(event, SessionEvent::PeerLost(_))).count();
            let (was, is) = (usize::from(state == Up), usize::from(wanted == Up));
            assert_eq!(was + ups, is + downs, "{input:?} in {state:?}: {events:?}");
        }
    }
}

#[test]
fn lldp_at_link_up_then_four_times_fast_then_every_30_s() {
    let mut session = Session::new(config(Role::Iv, 7));
    session.handle_link(0, true);
    let mut times = Vec::new();
    let mut now = 0;
    while now < 100 * SECOND {
        if !sent(&mut session, now).is_empty() {
            times.push(now / SECOND);
        }
        now = session.next_deadline().expect("LLDP goes on");
    }
    assert_eq!(times, [0, 1, 2, 3, 4, 34, 64, 94]);
}

#[test]
fn a_second_niv_peer_is_refused_by_name() {
    let mut bench = Bench::to(State::Up);
    events(&mut bench.session);
    let mut second = config(Role::Vis, 11);
    (second.node_uuid, second.node_name) = (Uuid([9; 16]), Name::new("vis9").expect("a name"));
    let mac = Mac([2, 0, 0, 0, 0, 9]);
    let frame = bench.frame(mac, TYPE_LLDP, &second.lldp(120).emit(second.oui));
    bench.session.handle_frame(bench.now, &frame);
    let why = NotPeer::Second { peer: "vis0".into() };
    let refused = SessionEvent::NeighborRefused { name: "vis9".into(), why: why.clone() };
    assert_eq!(events(&mut bench.session), [refused]);
    assert_eq!(bench.session.neighbors().len(), 2);
    assert_eq!(bench.session.neighbors()[1].standing, Standing::Other(why));
    // Its PDUs are not listened to.
    let frame = bench.frame(mac, second.ethertype, &second.hello().emit(false, 1));
    bench.session.handle_frame(bench.now, &frame);
    assert_eq!(bench.session.counters().ctl_foreign, 1);
    // But when the first one is silent, it is its turn.
    bench.wait(4 * SECOND);
    let standing: Vec<_> =
        bench.session.neighbors().iter().map(|one| one.standing == Standing::Peer).collect();
    assert_eq!(standing, [false, true]);
}

#[test]
fn other_versions_and_missing_control_are_named() {
    let mut bench = Bench::to(State::Discovering);
    bench.vis.flags = Flags(0);
    bench.lldp(120);
    assert_eq!(bench.session.neighbors()[0].standing, Standing::Other(NotPeer::NoControl));
    assert_eq!(events(&mut bench.session).len(), 1);
    bench.lldp(120);
    assert_eq!(events(&mut bench.session), [], "said once");
}

#[test]
fn neighbors_are_bounded() {
    let mut bench = Bench::to(State::Discovering);
    for number in 0..100 {
        bench.vis.port_name = format!("port{number}");
        bench.lldp(120);
    }
    assert_eq!(bench.session.neighbors().len(), MAX_NEIGHBORS);
    assert_eq!(bench.session.counters().lldp_neighbors_full, 100 - MAX_NEIGHBORS as u64);
}

#[test]
fn c14_stale_session_is_counted_and_dropped() {
    let mut bench = Bench::to(State::Up);
    events(&mut bench.session);
    let request = Request::LinkState { vifs: crate::ctl::Vifs::one(VifId::new(5).expect("a VIF")), up: true };
    bench.pdu(&request.emit(0xdead, 1));
    assert_eq!(events(&mut bench.session), []);
    assert_eq!(bench.session.counters().ctl_stale, 1);
    bench.pdu(&request.emit(7 ^ 9, 1));
    assert_eq!(events(&mut bench.session).len(), 1);
}

#[test]
fn c15_repeated_request_gets_the_same_answer_and_is_applied_once() {
    let mut bench = Bench::to(State::Up);
    events(&mut bench.session);
    let delete = Request::VifDelete { vif: VifId::new(5).expect("a VIF") };
    bench.pdu(&delete.emit(14, 1));
    let delivered = events(&mut bench.session);
    let [SessionEvent::Request { id, request }] = &delivered[..] else { panic!("{delivered:?}") };
    assert_eq!(*request, delete);
    bench.messages();

    bench.pdu(&delete.emit(14, 1));
    let working = Body::Refusal { opcode: Opcode::VIF_DELETE, refusal: Refusal::of(Status::INPROGRESS) };
    assert_eq!(bench.messages(), [Message { session: 14, seq: 1, body: working }]);

    assert_eq!(bench.session.respond(bench.now, *id, Ok(Response::VifSet)), Err(RespondError::Kind));
    assert_eq!(bench.session.respond(bench.now, *id, Ok(Response::VifDelete)), Ok(()));
    assert_eq!(bench.session.respond(bench.now, *id, Ok(Response::VifDelete)), Err(RespondError::Unknown));
    let answer = [Message { session: 14, seq: 1, body: Body::Response(Response::VifDelete) }];
    assert_eq!(bench.messages(), answer);
    bench.pdu(&delete.emit(14, 1));
    assert_eq!(bench.messages(), answer);
    assert_eq!(events(&mut bench.session), []);
    assert_eq!(bench.session.counters().ctl_duplicate, 2);
}

#[test]
fn what_is_wrong_is_refused_by_the_session_itself() {
    let mut bench = Bench::to(State::Up);
    events(&mut bench.session);
    // A request that only the IV sends, and one with VIF 0.
    bench.pdu(&enable(5).emit(14, 1));
    let mut zero = Request::VifDelete { vif: VifId::new(5).expect("a VIF") }.emit(14, 2);
    *zero.last_mut().expect("octets") = 0;
    bench.pdu(&zero);
    assert_eq!(events(&mut bench.session), []);
    let answers = bench.messages();
    let statuses = answers.iter().map(|message| match &message.body {
        Body::Refusal { refusal, .. } => refusal.status,
        _ => Status::OK,
    });
    assert_eq!(statuses.collect::<Vec<_>>(), [Status::INVALID, Status::INVALID]);
    assert_eq!(
        bench.session.request(bench.now, Request::Event { code: crate::ctl::EventCode::RETRY }),
        Err(RequestError::Direction)
    );
}

#[test]
fn unanswered_request_loses_the_peer_after_five_sendings() {
    let mut bench = Bench::to(State::Up);
    events(&mut bench.session);
    let token = bench.session.request(bench.now, enable(5)).expect("taken");
    let start = bench.now;
    let mut sendings = 0;
    loop {
        // The peer's HELLOs go on: it is only deaf to requests.
        let messages = bench.messages();
        sendings += messages.iter().filter(|message| matches!(message.body, Body::Request(_))).count();
        if bench.session.state() != State::Up {
            break;
        }
        bench.pdu(&bench.vis.hello().emit(false, 1));
        bench.now = bench.session.next_deadline().expect("a timer");
    }
    assert_eq!((sendings, bench.now - start), (5, 2300 * MS));
    let lost = SessionEvent::Response { token, result: Err(Failure::PeerLost) };
    assert_eq!(events(&mut bench.session), [lost, SessionEvent::PeerLost(LostCause::Unanswered)]);
    assert_eq!(bench.session.request(bench.now, enable(5)), Err(RequestError::NoPeer));
}

#[test]
fn a_late_frame_of_a_former_life_does_not_bring_it_back() {
    let mut bench = Bench::to(State::Up);
    let late_lldp = bench.frame(VIS, TYPE_LLDP, &bench.vis.lldp(120).emit(bench.vis.oui));
    let late_hello = bench.vis.hello().emit(false, 1);
    bench.apply(Input::HelloNewBoot);
    bench.answer_hello();
    assert_eq!(bench.session.state(), State::Up);
    events(&mut bench.session);
    bench.pdu(&late_hello);
    bench.session.handle_frame(bench.now, &late_lldp);
    assert_eq!((bench.session.state(), events(&mut bench.session)), (State::Up, vec![]));
    assert_eq!(bench.session.peer().map(|peer| (peer.session, peer.resumed)), Some((7 ^ 10, false)));
}

#[test]
fn shutdown_says_so_with_ttl_0() {
    let mut bench = Bench::to(State::Up);
    events(&mut bench.session);
    bench.session.shutdown(bench.now);
    let frames = sent(&mut bench.session, bench.now);
    let units: Vec<Lldp> =
        frames.iter().map(|frame| Lldp::parse(&frame[HEADER..], bench.vis.oui).expect("LLDP")).collect();
    assert_eq!(units.iter().map(|unit| (unit.ttl, unit.niv)).collect::<Vec<_>>(), [(0, None)]);
    assert_eq!(events(&mut bench.session), [SessionEvent::PeerLost(LostCause::Closed)]);
    assert_eq!(bench.session.next_deadline(), None);
}

#[test]
fn requests_are_bounded() {
    let mut own = config(Role::Iv, 7);
    own.queue = 10;
    let mut bench = Bench::new();
    bench.session = Session::new(own);
    bench.session.handle_link(bench.now, true);
    bench.lldp(120);
    bench.answer_hello();
    for vif in 1..=10 {
        assert!(bench.session.request(bench.now, enable(vif)).is_ok());
    }
    assert_eq!(bench.session.request(bench.now, enable(11)), Err(RequestError::QueueFull));
    bench.session.handle_link(bench.now, false);
    bench.session.handle_link(bench.now, true);
    bench.lldp(120);
    bench.answer_hello();
    // Ten failures that nobody has fetched still count.
    assert_eq!(bench.session.request(bench.now, enable(1)), Err(RequestError::QueueFull));
    events(&mut bench.session);
    assert!(bench.session.request(bench.now, enable(1)).is_ok());
}

#[test]
fn no_frame_whatever_does_harm() {
    let mut state = 1_u64;
    let mut random = move |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut bench = Bench::to(State::Up);
    let seeds = [
        bench.frame(VIS, TYPE_LLDP, &bench.vis.lldp(120).emit(bench.vis.oui)),
        bench.frame(VIS, bench.vis.ethertype, &bench.vis.hello().emit(false, 3)),
        bench.frame(VIS, bench.vis.ethertype, &bench.vis.hello().emit(true, 3)),
        bench.frame(VIS, bench.vis.ethertype, &enable(3).emit(14, 1)),
        bench.frame(
            VIS,
            bench.vis.ethertype,
            &Request::VifDelete { vif: VifId::new(3).expect("a VIF") }.emit(14, 1),
        ),
    ];
    for round in 0..100_000_u64 {
        let mut frame = seeds[random(seeds.len())].clone();
        for _ in 0..random(4) {
            let at = random(frame.len());
            frame[at] = random(256) as u8;
        }
        if random(8) == 0 {
            frame.truncate(random(frame.len()));
        }
        bench.now += random(1000) as u64 * MS / 100;
        bench.session.handle_frame(bench.now, &frame);
        sent(&mut bench.session, bench.now);
        if round % 16 == 0 {
            events(&mut bench.session);
        }
        assert!(bench.session.neighbors().len() <= MAX_NEIGHBORS && bench.session.events.len() < 200);
        assert!(bench.session.due.answers.is_empty() && bench.session.past.len() <= 8);
    }
}

#[test]
fn a_peer_that_returns_without_a_restart_goes_on_with_its_numbers() {
    let mut bench = Bench::to(State::Up);
    let token = bench.session.request(bench.now, enable(5)).expect("taken");
    let asked = bench.messages();
    let [Message { seq: 1, .. }] = &asked[..] else { panic!("{asked:?}") };
    bench.pdu(&Response::VifDisable.emit(14, 1));
    assert_eq!(bench.session.outstanding(), 1, "an answer to something else");
    assert_eq!(bench.session.counters().ctl_unexpected_response, 1);
    bench.session.handle_link(bench.now, false);
    let lost = SessionEvent::Response { token, result: Err(Failure::PeerLost) };
    assert!(events(&mut bench.session).contains(&lost));

    // Another one takes its place, and goes again.
    bench.session.handle_link(bench.now, true);
    bench.vis.boot_id = 11;
    bench.lldp(120);
    bench.answer_hello();
    assert_eq!(bench.session.peer().map(|peer| (peer.session, peer.resumed)), Some((7 ^ 11, false)));
    bench.session.handle_link(bench.now, false);
    bench.session.handle_link(bench.now, true);
    bench.vis.boot_id = 9;
    bench.lldp(120);
    bench.answer_hello();
    assert_eq!(bench.session.peer().map(|peer| (peer.session, peer.resumed)), Some((14, true)));
    bench.session.request(bench.now, enable(5)).expect("taken");
    let again = bench.messages();
    assert!(matches!(&again[..], [Message { seq: 1026, session: 14, .. }]), "{again:?}");
}
