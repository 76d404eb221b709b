//! The state machine, transition by transition, and who becomes the peer.

use super::*;

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

#[test]
fn why_there_is_no_peer_is_told() {
    for state in [State::Down, State::Up] {
        assert_eq!(Bench::to(state).session.no_peer(), None, "{state:?}");
    }
    let mut bench = Bench::to(State::Discovering);
    assert_eq!(bench.session.no_peer(), Some(NoPeer::Silent));
    // A real switch, and one of another version: that is the one that was meant.
    let mut other = config(Role::Vis, 11);
    other.node_uuid = Uuid([9; 16]);
    let nexus = Lldp { niv: None, system_name: Some("nexus".to_owned()), ..other.lldp(120) };
    let frame = bench.frame(VIS, TYPE_LLDP, &nexus.emit(bench.vis.oui));
    bench.session.handle_frame(bench.now, &frame);
    let name = |bench: &Bench| match bench.session.no_peer() {
        Some(NoPeer::Refused(neighbor, why)) => (neighbor.name(), why.to_string()),
        other => panic!("{other:?}"),
    };
    assert_eq!(name(&bench), ("nexus".to_owned(), "no NIV".to_owned()));
    bench.vis.role = Role::Iv;
    bench.lldp(120);
    assert_eq!(name(&bench), ("vis0".to_owned(), "has the same role as this end".to_owned()));
    bench.vis.role = Role::Vis;
    bench.lldp(120);
    assert!(
        matches!(bench.session.no_peer(), Some(NoPeer::Unanswered(neighbor)) if neighbor.name() == "vis0")
    );
    assert_eq!(bench.session.rivals().count(), 0);
}
