//! Requests and responses: once, in order, within bounds; and what is refused.

use super::*;

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
fn what_came_before_the_peer_was_lost_is_not_answered_any_more() {
    let mut bench = Bench::to(State::Up);
    let session = bench.session.session_number();
    let request = Request::VifDelete { vif: VifId::new(5).expect("a VIF") };
    let ids = |bench: &mut Bench| -> Vec<RequestId> {
        let requests = events(&mut bench.session).into_iter().filter_map(|event| match event {
            SessionEvent::Request { id, .. } => Some(id),
            _ => None,
        });
        requests.collect()
    };
    bench.pdu(&request.emit(session, 1));
    let before = ids(&mut bench);
    assert_eq!(before.len(), 1);
    // The peer falls silent for us, but not we for it: it asks on, and would be told INPROGRESS for ever.
    bench.wait(4 * SECOND + 500 * MS);
    assert_eq!(bench.session.state(), State::Greeting);
    assert!(events(&mut bench.session).contains(&SessionEvent::PeerLost(LostCause::Silence)));
    let hello = bench.vis.hello();
    bench.pdu(&hello.emit(false, 1));
    bench.answer_hello();
    assert_eq!(bench.session.state(), State::Up);
    bench.messages();
    bench.pdu(&request.emit(session, 1));
    assert_eq!((ids(&mut bench), bench.messages()), (vec![], vec![]));
    assert_eq!(bench.session.counters().ctl_stale, 1);
    let late = bench.session.respond(bench.now, before[0], Ok(Response::VifDelete));
    assert_eq!(late, Err(RespondError::Unknown));
    bench.pdu(&request.emit(session, 2));
    assert_eq!(ids(&mut bench).len(), 1, "those that come from now on are new");
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
fn every_refused_frame_is_counted_under_its_name() {
    let mut bench = Bench::to(State::Up);
    let hello = bench.vis.hello();
    let delete = |vif| Request::VifDelete { vif: VifId::new(vif).expect("a VIF") };
    let before = *bench.session.counters();

    let mut version = delete(5).emit(14, 1);
    version[0] = 2;
    bench.pdu(&version);
    let answers = bench.messages();
    let refused = matches!(&answers[..], [Message { body: Body::Refusal { refusal, .. }, .. }]
        if refusal.status == Status::VERSION);
    assert!(refused, "{answers:?}");

    bench.pdu(&delete(5).emit(14, 1)[..20]);
    bench.pdu(&delete(5).emit(14, 0));
    bench.pdu(&Hello { role: Role::Iv, ..hello.clone() }.emit(false, 1));
    let mut longer = hello.emit(false, 1);
    longer.extend([0x7f, 0xff, 0, 0]);
    longer[7] += 4;
    bench.pdu(&longer);
    let frame = bench.frame(VIS, TYPE_LLDP, &[1, 2, 3]);
    bench.session.handle_frame(bench.now, &frame);
    for seq in 2..20 {
        bench.pdu(&delete(seq).emit(14, seq));
    }
    let after = bench.session.counters();
    let grown = before.iter().zip(after.iter()).filter(|(before, after)| before != after);
    let grown: Vec<_> = grown.map(|((name, before), (_, after))| (name, after - before)).collect();
    let wanted = [
        ("lldp_malformed", 1),
        ("ctl_hello_rx", 1),
        ("ctl_hello_refused", 1),
        ("ctl_request_rx", 17),
        ("ctl_response_tx", 1),
        ("ctl_refused", 1),
        ("ctl_stale", 1),
        ("ctl_malformed", 1),
        ("ctl_version", 1),
        ("ctl_window_exceeded", 2),
        ("ctl_unknown_tlv", 1),
    ];
    assert_eq!(grown, wanted);
}

#[test]
fn events_nobody_fetches_are_bounded() {
    let mut bench = Bench::to(State::Up);
    for boot_id in 100..3000 {
        bench.vis.boot_id = boot_id;
        bench.pdu(&bench.vis.hello().emit(false, 1));
        bench.answer_hello();
    }
    assert!(bench.session.events.len() <= MAX_EVENTS + 2);
    assert!(bench.session.counters().ctl_events_full > 1000);
    events(&mut bench.session);
    bench.pdu(&bench.vis.hello().emit(false, 1));
    bench.answer_hello();
    assert_eq!(bench.session.state(), State::Up);
}

#[test]
fn what_the_peer_cannot_take_fails_at_once() {
    let mut bench = Bench::to(State::Greeting);
    bench.vis.limits.max_pdu = 256;
    bench.answer_hello();
    events(&mut bench.session);
    let many = crate::ctl::Vifs::new((1..=200).filter_map(VifId::new)).expect("a set");
    let request = Request::LinkState { vifs: many, up: true };
    let token = bench.session.request(bench.now, request).expect("taken");
    assert_eq!(bench.messages(), []);
    let failed = SessionEvent::Response { token, result: Err(Failure::TooLong) };
    assert_eq!(events(&mut bench.session), [failed]);
}

#[test]
fn a_slow_peer_is_not_a_lost_one() {
    let mut bench = Bench::to(State::Up);
    events(&mut bench.session);
    let token = bench.session.request(bench.now, enable(5)).expect("taken");
    let start = bench.now;
    while bench.now < start + 60 * SECOND {
        for message in bench.messages() {
            match message.body {
                Body::Request(_) => {
                    let working = Refusal::of(Status::INPROGRESS);
                    bench.pdu(&working.emit(Opcode::VIF_ENABLE, 14, message.seq));
                }
                Body::Hello(_) => bench.pdu(&bench.vis.hello().emit(true, message.seq)),
                _ => {}
            }
        }
        bench.now = bench.session.next_deadline().expect("a timer");
    }
    assert_eq!(events(&mut bench.session), []);
    bench.pdu(&Refusal::of(Status::BADSTATE).emit(Opcode::VIF_ENABLE, 14, 1));
    let refused = Err(Failure::Refused(Refusal::of(Status::BADSTATE)));
    assert_eq!(events(&mut bench.session), [SessionEvent::Response { token, result: refused }]);
}
