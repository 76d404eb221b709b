//! Both machines by messages alone; descriptors are numbers.

use super::*;
use crate::memif::fault::Fault;
use crate::memif::handshake::{Client, ClientStep, Identity, Offer, Plan, RingOffer, Server, ServerStep};
use crate::memif::message::{Extensions, Message, RING_S2M, VERSION};
use zerocopy::byteorder::native_endian::{U16, U32};

fn identity(queues: u16) -> Identity {
    let (send, receive, stranger) = (queues, queues, queues);
    Identity {
        id: 3,
        name: "end".into(),
        secret: None,
        send,
        receive,
        stranger,
        extensions: Extensions::default(),
    }
}

fn offer(plan: Plan) -> Offer<u32> {
    let ring = |n: u16| RingOffer {
        region: 0,
        offset: u32::from(n) * 4096,
        log2_ring_size: plan.log2_ring_size,
        eventfd: 100 + u32::from(n),
    };
    Offer {
        regions: vec![(7, 1 << 20), (8, 1 << 21)],
        s2m: (0..plan.s2m).map(ring).collect(),
        m2s: (plan.s2m..plan.s2m + plan.m2s).map(ring).collect(),
        extensions: Extensions::default(),
    }
}

/// What the server was offered and what the client has, or why not.
type Outcome = Result<(Offer<u32>, Offer<u32>), Fault>;

/// Lets both talk until the server maps or one refuses; what was said, and what the server was offered.
fn talk(server: Identity, client: Identity) -> (Vec<&'static str>, Outcome) {
    let (mut server, hello) = Server::new(server);
    let mut client = Client::new(client, 10);
    let mut said = vec![hello.name()];
    let mut to_client = hello;
    let mut offered = None;
    loop {
        let (message, fd) = match client.handle_message(&to_client.emit(), vec![], |plan| Ok(offer(plan))) {
            Ok(ClientStep::Send(message, fd)) => (message, fd.copied()),
            Ok(ClientStep::Connected(own)) => return (said, Ok((offered.unwrap(), own))),
            Ok(ClientStep::Disconnect(text)) => panic!("{text}"),
            Err(fault) => return (said, Err(fault)),
        };
        said.push(message.name());
        to_client = match server.handle_message(&message.emit(), fd.into_iter().collect(), false) {
            Ok(ServerStep::Reply(message)) => message,
            Ok(ServerStep::Connect(offer)) => {
                offered = Some(offer);
                server.connected()
            }
            Ok(ServerStep::Disconnect(text)) => panic!("{text}"),
            Err(fault) => return (said, Err(fault)),
        };
        said.push(to_client.name());
    }
}

#[test]
fn both_agree_on_what_was_offered() {
    let (said, result) = talk(identity(1), identity(1));
    let want = "HELLO INIT ACK ADD_REGION ACK ADD_REGION ACK ADD_RING ACK ADD_RING ACK CONNECT CONNECTED";
    assert_eq!(said.join(" "), want);
    let (theirs, own) = result.unwrap();
    assert_eq!(theirs, own);
    assert_eq!(own, offer(Plan { s2m: 1, m2s: 1, log2_ring_size: 10 }));
}

#[test]
fn the_client_makes_no_more_rings_than_the_server_takes() {
    for (server, client) in [(1, 4), (4, 1), (3, 3)] {
        let (_, own) = talk(identity(server), identity(client)).1.unwrap();
        assert_eq!((own.s2m.len(), own.m2s.len()), (server.min(client).into(), server.min(client).into()));
    }
}

#[test]
fn each_end_has_as_many_rings_as_it_sends_by_and_one_beside_a_stranger() {
    let end = |send, rings| {
        let extensions = Extensions { rings, ..Extensions::default() };
        Identity { send, receive: 16, stranger: 1, extensions, ..identity(1) }
    };
    let rings = |server, client| {
        let (theirs, own) = talk(server, client).1.unwrap();
        assert_eq!(theirs, own);
        (own.s2m.len(), own.m2s.len())
    };
    for (server, client) in [(1, 1), (1, 4), (3, 2), (20, 2)] {
        let both = rings(end(server, true), end(client, true));
        assert_eq!(both, (client.into(), server.min(16).into()), "{server} and {client} workers");
    }
    // It offers as many as it has memory for, and uses fewer.
    assert_eq!(rings(end(256, false), end(4, true)), (1, 1));
    // Whoever connects to us has as many as it likes.
    assert_eq!(rings(end(2, true), Identity { stranger: 8, ..end(8, false) }), (8, 2));
}

/// What an end of another make would say is what one of ours says that announces nothing.
#[test]
fn unfinished_frames_are_agreed_on_by_both_or_not_at_all() {
    let with = |unfinished| Identity {
        extensions: Extensions { unfinished, ..Extensions::default() },
        ..identity(1)
    };
    for (server, client) in [(true, true), (true, false), (false, true), (false, false)] {
        let (theirs, own) = talk(with(server), with(client)).1.unwrap();
        assert_eq!(theirs, own);
        assert_eq!(own.extensions.unfinished, server && client);
    }
    // A client that was told nothing tells nothing.
    let (_, hello) = Server::<u32>::new(with(false));
    let mut client = Client::new(with(true), 10);
    let Ok(ClientStep::Send(init, _)) = client.handle_message(&hello.emit(), vec![], |plan| Ok(offer(plan)))
    else {
        panic!("an INIT")
    };
    assert!(init.emit()[2 + size_of::<message::Init>()..].iter().all(|octet| *octet == 0));
}

#[test]
fn who_does_not_know_the_secret_is_refused() {
    let with = |secret: Option<&str>| Identity { secret: secret.map(Into::into), ..identity(1) };
    assert!(talk(with(Some("a")), with(Some("a"))).1.is_ok());
    assert!(talk(with(None), with(Some("a"))).1.is_ok());
    for wrong in [None, Some("b"), Some("ab"), Some("")] {
        assert_eq!(talk(with(Some("a")), with(wrong)).1, Err(Fault::BadSecret));
    }
}

#[test]
fn another_id_is_refused() {
    assert_eq!(talk(identity(1), Identity { id: 4, ..identity(1) }).1, Err(Fault::UnknownId));
}

/// One message of each type, good in the state where it belongs.
fn one_of_each() -> Vec<Message> {
    let (mut server, hello) = Server::<u32>::new(identity(1));
    let mut client = Client::new(identity(1), 10);
    let mut all = vec![hello, Message::disconnect("bye")];
    let mut reply = hello;
    while let ClientStep::Send(message, fd) =
        client.handle_message(&reply.emit(), vec![], |plan| Ok(offer(plan))).unwrap()
    {
        reply =
            match server.handle_message(&message.emit(), fd.copied().into_iter().collect(), false).unwrap() {
                ServerStep::Reply(message) => message,
                _ => server.connected(),
            };
        all.extend([message, reply]);
    }
    all.sort_by_key(Message::name);
    all.dedup_by_key(|message| message.name());
    assert_eq!(all.len(), 8);
    all
}

/// Brings a server to the state behind that many messages of the client.
fn server_after(messages: usize) -> Server<u32> {
    let (mut server, hello) = Server::new(identity(1));
    let mut client = Client::new(identity(1), 10);
    let mut reply = hello;
    for _ in 0..messages {
        let ClientStep::Send(message, fd) =
            client.handle_message(&reply.emit(), vec![], |plan| Ok(offer(plan))).unwrap()
        else {
            unreachable!()
        };
        reply =
            match server.handle_message(&message.emit(), fd.copied().into_iter().collect(), false).unwrap() {
                ServerStep::Reply(message) => message,
                _ => server.connected(),
            };
    }
    server
}

#[test]
fn the_server_takes_each_message_only_where_it_belongs() {
    // Behind: nothing, INIT, two regions, two rings, CONNECT.
    let belongs: [(usize, &[&str]); 5] =
        [(0, &["INIT"]), (1, &["ADD_REGION", "ADD_RING"]), (3, &["ADD_RING"]), (5, &["CONNECT"]), (6, &[])];
    for (messages, good) in belongs {
        for message in one_of_each() {
            let fds = if message.name().starts_with("ADD") { vec![1] } else { vec![] };
            let result = server_after(messages).handle_message(&message.emit(), fds, false);
            let ok = good.contains(&message.name()) || message.name() == "DISCONNECT";
            assert_eq!(result.is_ok(), ok, "{} behind {messages} messages: {result:?}", message.name());
        }
    }
}

#[test]
fn a_client_takes_nothing_but_what_it_waits_for() {
    for message in one_of_each() {
        let fds = if message.name().starts_with("ADD") { vec![1] } else { vec![] };
        let mut client = Client::<u32>::new(identity(1), 10);
        let result = client.handle_message(&message.emit(), fds, |plan| Ok(offer(plan)));
        assert_eq!(result.is_ok(), ["HELLO", "DISCONNECT"].contains(&message.name()), "{}", message.name());
    }
}

#[test]
fn descriptors_come_with_their_messages_and_no_others() {
    for message in one_of_each() {
        let belongs = usize::from(message.name().starts_with("ADD"));
        for n in 0..3 {
            let result = server_after(1).handle_message(&message.emit(), (0..n).collect(), false);
            if (n as usize) > belongs {
                assert_eq!(result, Err(Fault::SurplusDescriptor), "{} with {n}", message.name());
            } else if (n as usize) < belongs {
                assert_eq!(result, Err(Fault::MissingDescriptor), "{} with {n}", message.name());
            } else {
                assert!(!matches!(result, Err(Fault::SurplusDescriptor | Fault::MissingDescriptor)));
            }
        }
    }
}

#[test]
fn values_that_do_not_do_have_their_names() {
    let after =
        |messages, message: Message, fds| server_after(messages).handle_message(&message.emit(), fds, false);
    let mut seen = 0;
    for message in one_of_each() {
        match message {
            Message::Init(init, extensions) => {
                let with = |init| after(0, Message::Init(init, extensions), vec![]).err();
                assert_eq!(
                    with(message::Init { version: U16::new(0x0100), ..init }),
                    Some(Fault::BadVersion)
                );
                assert_eq!(with(message::Init { mode: 1, ..init }), Some(Fault::BadMode));
                assert_eq!(with(message::Init { id: U32::new(9), ..init }), Some(Fault::UnknownId));
                let taken = server_after(0).handle_message(&message.emit(), vec![], true);
                assert_eq!(taken.err(), Some(Fault::AlreadyConnected));
            }
            Message::AddRegion(region) => {
                let with = |index| {
                    after(
                        1,
                        Message::AddRegion(message::AddRegion { index: U16::new(index), ..region }),
                        vec![1],
                    )
                    .err()
                };
                assert_eq!(with(0), None);
                assert_eq!(with(1), Some(Fault::BadRegion));
            }
            Message::AddRing(ring) => {
                let with = |ring| after(3, Message::AddRing(ring), vec![1]).err();
                let good = message::AddRing { flags: U16::new(RING_S2M), index: U16::new(0), ..ring };
                assert_eq!(with(good), None);
                assert_eq!(with(message::AddRing { index: U16::new(1), ..good }), Some(Fault::BadRing));
                assert_eq!(with(message::AddRing { log2_ring_size: 15, ..good }), Some(Fault::BadRing));
                let private = message::AddRing { private_hdr_size: U16::new(1), ..good };
                assert_eq!(with(private), Some(Fault::BadRing));
            }
            Message::Connect(_) => {
                assert_eq!(after(4, message, vec![]), Err(Fault::BadRing), "one ring is not two");
            }
            Message::Hello(hello, extensions) => {
                let with = |min, max| {
                    let hello =
                        message::Hello { min_version: U16::new(min), max_version: U16::new(max), ..hello };
                    let mut client = Client::<u32>::new(identity(1), 10);
                    client
                        .handle_message(&Message::Hello(hello, extensions).emit(), vec![], |plan| {
                            Ok(offer(plan))
                        })
                        .err()
                };
                assert_eq!(with(0, u16::MAX), None);
                assert_eq!(with(VERSION + 1, u16::MAX), Some(Fault::BadVersion));
                assert_eq!(with(0, VERSION - 1), Some(Fault::BadVersion));
            }
            _ => continue,
        }
        seen += 1;
    }
    assert_eq!(seen, 5);
}
