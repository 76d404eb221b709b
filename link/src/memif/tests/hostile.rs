//! Peers played by hand that break the rules: each breach has its own counter, ends its connection with a named
//! cause, and leaves the port ready for the next peer.

use super::*;
use crate::memif::control::make_offer;
use crate::memif::fault::Fault;
use crate::memif::handshake::{Client, ClientStep, Identity, Offer, Server, ServerStep};
use crate::memif::layout::Layout;
use crate::memif::message::{Extensions, LEN, Message};
use crate::memif::region::Memory;
use crate::memif::ring::{Desc, NEXT, Ring};
use crate::memif::socket::{self as channel, Listener};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use zerocopy::byteorder::native_endian::U16;

fn identity() -> Identity {
    let (send, receive, stranger) = (1, 1, 1);
    let (name, extensions) = ("hostile".into(), Extensions::default());
    Identity { id: 0, name, secret: None, send, receive, stranger, extensions }
}

/// Waits until the other side says something, or closes.
fn hear(socket: &OwnedFd) -> Result<(message::Wire, Vec<OwnedFd>), Fault> {
    loop {
        let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&patience)).unwrap();
        assert!(ready > 0, "the port says nothing");
        if let Some(heard) = channel::receive(socket)? {
            return Ok(heard);
        }
    }
}

/// The text of the DISCONNECT with which the port ends.
fn last_words(socket: &OwnedFd) -> String {
    loop {
        let (wire, _) = hear(socket).expect("a DISCONNECT comes before the end");
        if let Some(Message::Disconnect(body)) = Message::parse(&wire) {
            return message::text(&body.text);
        }
    }
}

/// Sends octets as they are, with descriptors.
fn say(socket: &OwnedFd, octets: &[u8], fds: &[&OwnedFd]) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
    let mut space = [core::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&fds));
    }
    sendmsg(socket, &[std::io::IoSlice::new(octets)], &mut control, SendFlags::NOSIGNAL).unwrap();
}

/// A client that is up: its memory, its rings and its buffers' layout.
struct Puppet {
    socket: OwnedFd,
    memory: Arc<Memory>,
    layout: Layout,
    s2m: Ring,
    m2s: Ring,
}

/// Connects as a client; `twist` may change what is offered, `spoil` each message before it is sent.
fn connect(
    path: &std::path::Path,
    twist: impl Fn(&mut Offer<OwnedFd>, &Memory),
    spoil: impl Fn(Message) -> Message,
) -> Result<Puppet, (OwnedFd, String)> {
    let socket = channel::dial(&Config::new(path, Role::Client)).unwrap();
    let mut client = Client::new(identity(), 6);
    let mut made = None;
    loop {
        let Ok((wire, fds)) = hear(&socket) else { return Err((socket, String::new())) };
        let make = |plan| {
            let (mut offer, memory, layout) = make_offer(plan, 256)?;
            twist(&mut offer, &memory);
            made = Some((memory, layout));
            Ok(offer)
        };
        match client.handle_message(&wire, fds, make).unwrap() {
            ClientStep::Send(message, fd) => channel::send(&socket, &spoil(message), fd).unwrap(),
            ClientStep::Connected(_) => break,
            ClientStep::Disconnect(text) => return Err((socket, text)),
        }
    }
    let (memory, layout) = made.unwrap();
    let ring = |n| Ring::new(Arc::clone(&memory), 0, layout.ring(n), 6).unwrap();
    let (s2m, m2s) = (ring(0), ring(1));
    Ok(Puppet { socket, memory, layout, s2m, m2s })
}

fn good(path: &std::path::Path) -> Puppet {
    let puppet = connect(path, |_, _| (), |message| message);
    puppet.unwrap_or_else(|(_, text)| panic!("refused: {text}"))
}

impl Puppet {
    /// Fills a slot of the S2M ring, and changes the descriptor before it is published.
    fn fill(&self, slot: u16, change: impl Fn(&mut Desc)) {
        let mut desc = self.layout.buffers(0).empty(slot);
        desc.length = 60;
        change(&mut desc);
        self.s2m.set_desc(slot, desc);
    }

    /// Posts a buffer of the M2S ring likewise.
    fn post(&self, slot: u16, change: impl Fn(&mut Desc)) {
        let mut desc = self.layout.buffers(1).empty(slot);
        change(&mut desc);
        self.m2s.set_desc(slot, desc);
    }
}

/// The port is down for this and has counted it once, then a good client is let in and frames pass both ways.
fn is_down_and_recovers(port: &mut Port, path: &std::path::Path, fault: Fault) {
    wait_state(port, |state| *state == PortState::Down { cause: fault.phrase().into() });
    assert_eq!(counter(port, fault.counter()), 1);
    let faults: u64 = Fault::ALL.iter().map(|fault| counter(port, fault.counter())).sum();
    assert_eq!(faults, 1, "and nothing else: {:?}", port.monitor.counters());
    let mut client = open(Config::new(path, Role::Client)).unwrap();
    wait_state(port, is_up);
    wait_state(&mut client, is_up);
    assert_eq!(send(&mut client, 0, &[frame(1, 60)]), 1);
    assert_eq!(receive(port, 0), [frame(1, 60)]);
    assert_eq!(send(port, 0, &[frame(2, 60)]), 1);
    assert_eq!(receive(&mut client, 0), [frame(2, 60)]);
}

/// A client that is up does something to its rings; the server finds out by receiving and by sending.
fn up_then(fault: Fault, breach: impl Fn(&Puppet)) {
    let (_dir, path) = socket();
    let mut port = open(Config::new(&path, Role::Server)).unwrap();
    let puppet = good(&path);
    wait_state(&mut port, is_up);
    breach(&puppet);
    let received = receive(&mut port, 0);
    send(&mut port, 0, &[frame(0, 60), frame(1, 300)]);
    assert!(received.len() <= 1, "{} frames", received.len());
    assert_eq!(last_words(&puppet.socket), fault.phrase());
    is_down_and_recovers(&mut port, &path, fault);
}

#[test]
fn a_head_beyond_the_ring() {
    up_then(Fault::BadIndex, |puppet| puppet.s2m.set_head(65));
    up_then(Fault::BadIndex, |puppet| puppet.s2m.set_head(u16::MAX));
    up_then(Fault::BadIndex, |puppet| puppet.m2s.set_head(65));
    up_then(Fault::BadIndex, |puppet| puppet.m2s.set_head(u16::MAX));
}

#[test]
fn a_descriptor_of_no_region() {
    up_then(Fault::BadDescriptorRegion, |puppet| {
        puppet.fill(0, |desc| desc.region = 1);
        puppet.s2m.set_head(1);
    });
    up_then(Fault::BadDescriptorRegion, |puppet| {
        puppet.post(0, |desc| desc.region = u16::MAX);
        puppet.m2s.set_head(1);
    });
}

#[test]
fn a_descriptor_out_of_bounds() {
    let changes: [fn(&mut Desc); 3] = [
        |desc| desc.offset = u32::MAX,
        |desc| (desc.offset, desc.length) = (u32::MAX - 59, 60),
        |desc| desc.offset = 1 << 30,
    ];
    for change in changes {
        up_then(Fault::BadDescriptorBounds, |puppet| {
            puppet.fill(0, |_| ());
            puppet.fill(1, change);
            puppet.s2m.set_head(2);
        });
        up_then(Fault::BadDescriptorBounds, |puppet| {
            puppet.post(0, change);
            puppet.m2s.set_head(1);
        });
    }
    // The last octet of a buffer is one octet too far.
    up_then(Fault::BadDescriptorBounds, |puppet| {
        let end = puppet.layout.octets() as u32;
        puppet.fill(0, |desc| (desc.offset, desc.length) = (end - 59, 60));
        puppet.s2m.set_head(1);
    });
    // Buffers that hold next to nothing.
    up_then(Fault::BadDescriptorBounds, |puppet| {
        (0..64).for_each(|slot| puppet.post(slot, |desc| desc.length = 1));
        puppet.m2s.set_head(64);
    });
}

#[test]
fn a_chain_without_end() {
    up_then(Fault::BadChain, |puppet| {
        (0..64).for_each(|slot| puppet.fill(slot, |desc| desc.flags = NEXT));
        puppet.s2m.set_head(64);
    });
    up_then(Fault::BadChain, |puppet| {
        puppet.fill(0, |_| ());
        puppet.fill(1, |desc| desc.flags = NEXT);
        puppet.s2m.set_head(2);
    });
}

#[test]
fn a_frame_longer_than_any() {
    let whole = |desc: &mut Desc| (desc.offset, desc.length, desc.flags) = (0, 4096, NEXT);
    up_then(Fault::FrameTooLong, |puppet| {
        (0..64).for_each(|slot| puppet.fill(slot, whole));
        puppet.s2m.set_head(64);
    });
    up_then(Fault::FrameTooLong, |puppet| {
        puppet.fill(0, |desc| desc.length = u32::MAX);
        puppet.s2m.set_head(1);
    });
}

#[test]
fn a_frame_that_changes_while_it_is_read_stays_in_bounds() {
    let (_dir, path) = socket();
    let mut port = open(Config::new(&path, Role::Server)).unwrap();
    let puppet = good(&path);
    wait_state(&mut port, is_up);
    puppet.fill(0, |_| ());
    puppet.s2m.set_head(1);
    let mut burst = RxBurst::new();
    port.rx[0].recv(0, 1, &mut burst);
    puppet.fill(0, |desc| (desc.offset, desc.length) = (u32::MAX, u32::MAX));
    puppet.s2m.set_head(0);
    assert_eq!(burst[0].data.to_vec().len(), 60);
    drop(burst);
    port.rx[0].release(1);
    drop(puppet);
    wait_state(&mut port, |state| *state == PortState::Down { cause: "peer gone".into() });
}

#[test]
fn memory_outlives_the_peer_that_gave_it_as_long_as_it_is_read() {
    let (_dir, path) = socket();
    let mut port = open(Config::new(&path, Role::Server)).unwrap();
    let puppet = good(&path);
    wait_state(&mut port, is_up);
    puppet
        .memory
        .place(0, puppet.layout.buffers(0).empty(0).offset, 60)
        .unwrap()
        .fill(&OutFrame::private(&[7; 60]));
    puppet.fill(0, |_| ());
    puppet.s2m.set_head(1);
    let Port { rx, monitor, .. } = &mut port;
    let mut burst = RxBurst::new();
    rx[0].recv(0, 1, &mut burst);
    drop(puppet);
    while is_up(&monitor.state()) {
        std::thread::yield_now();
    }
    assert_eq!(burst[0].data.to_vec(), [7; 60]);
    drop(burst);
    rx[0].release(1);
    assert!(receive(&mut port, 0).is_empty());
}

#[test]
fn memory_that_is_cut_off_under_the_port() {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
    let (_dir, path) = socket();
    let mut port = open(Config::new(&path, Role::Server)).unwrap();
    // The same content in a file whose owner forbids seals.
    let file = memfd_create(c"shrinks", MemfdFlags::ALLOW_SEALING).unwrap();
    fcntl_add_seals(&file, SealFlags::SEAL).unwrap();
    let unsealed = |offer: &mut Offer<OwnedFd>, _: &Memory| {
        let (offered, size) = &mut offer.regions[0];
        let mut octets = vec![0; usize::try_from(*size).unwrap()];
        rustix::io::pread(&*offered, &mut octets[..], 0).unwrap();
        ftruncate(&file, *size).unwrap();
        rustix::io::pwrite(&file, &octets, 0).unwrap();
        *offered = file.try_clone().unwrap();
    };
    let puppet = connect(&path, unsealed, |message| message).unwrap_or_else(|(_, text)| panic!("{text}"));
    wait_state(&mut port, is_up);
    ftruncate(&file, 0).unwrap();
    assert!(receive(&mut port, 0).is_empty());
    assert_eq!(last_words(&puppet.socket), Fault::LostMemory.phrase());
    is_down_and_recovers(&mut port, &path, Fault::LostMemory);
}

/// A client that never gets up.
fn refused(fault: Fault, twist: impl Fn(&mut Offer<OwnedFd>, &Memory), spoil: impl Fn(Message) -> Message) {
    let (_dir, path) = socket();
    let mut port = open(Config::new(&path, Role::Server)).unwrap();
    let (_socket, text) = connect(&path, twist, spoil).err().expect("refused");
    assert_eq!(text, fault.phrase());
    is_down_and_recovers(&mut port, &path, fault);
}

#[test]
fn memory_that_is_none_or_too_small() {
    let none = |message| message;
    refused(Fault::BadRegion, |offer, _| offer.regions[0].1 += 1, none);
    refused(Fault::BadRegion, |offer, _| offer.regions[0].1 = u64::MAX, none);
    refused(Fault::BadRegion, |offer, _| offer.regions[0].1 = 0, none);
    refused(Fault::BadRegion, |offer, _| offer.regions[0].0 = rustix::pipe::pipe().unwrap().0, none);
    refused(
        Fault::BadRegion,
        |offer, _| offer.regions[0].0 = std::fs::File::open("/dev/zero").unwrap().into(),
        none,
    );
}

#[test]
fn rings_that_lie_nowhere() {
    let none = |message| message;
    refused(Fault::BadRing, |offer, _| offer.s2m[0].offset = u32::MAX - 7, none);
    refused(Fault::BadRing, |offer, _| offer.m2s[0].offset += 4, none);
    refused(Fault::BadRing, |offer, _| offer.m2s[0].region = 1, none);
    refused(Fault::BadRing, |offer, _| offer.s2m[0].log2_ring_size = 255, none);
    refused(Fault::BadRing, |offer, _| offer.s2m[0].log2_ring_size = 14, none);
    refused(Fault::BadCookie, |offer, _| offer.s2m[0].offset += 64, none);
}

#[test]
fn an_interrupt_that_is_no_eventfd() {
    let pipe =
        |offer: &mut Offer<OwnedFd>, _: &Memory| offer.m2s[0].eventfd = rustix::pipe::pipe().unwrap().1;
    refused(Fault::BadRing, pipe, |message| message);
    let socket = |offer: &mut Offer<OwnedFd>, _: &Memory| {
        offer.s2m[0].eventfd = std::os::unix::net::UnixStream::pair().unwrap().0.into();
    };
    refused(Fault::BadRing, socket, |message| message);
}

#[test]
fn another_version_another_mode_another_interface() {
    let with = |change: fn(&mut message::Init)| {
        move |message| match message {
            Message::Init(mut init, extensions) => {
                change(&mut init);
                Message::Init(init, extensions)
            }
            other => other,
        }
    };
    refused(Fault::BadVersion, |_, _| (), with(|init| init.version = U16::new(0x0300)));
    refused(Fault::BadMode, |_, _| (), with(|init| init.mode = 1));
    refused(Fault::UnknownId, |_, _| (), with(|init| init.id = 7.into()));
}

/// A connection that says this instead of INIT.
fn instead_of_init(fault: Fault, octets: &[u8], fds: usize) {
    let (_dir, path) = socket();
    let mut port = open(Config::new(&path, Role::Server)).unwrap();
    let stranger = channel::dial(&Config::new(&path, Role::Client)).unwrap();
    hear(&stranger).unwrap();
    let fd = std::fs::File::open("/dev/null").unwrap().into();
    say(&stranger, octets, &vec![&fd; fds]);
    assert_eq!(last_words(&stranger), fault.phrase());
    is_down_and_recovers(&mut port, &path, fault);
}

#[test]
fn garbage_instead_of_messages() {
    instead_of_init(Fault::BadMessage, &[0; LEN], 0);
    instead_of_init(Fault::BadMessage, &[0xff; LEN], 0);
    instead_of_init(Fault::BadMessageLength, &[1], 0);
    instead_of_init(Fault::BadMessageLength, &[1; LEN - 1], 0);
    instead_of_init(Fault::BadMessageLength, &[1; LEN + 1], 0);
    instead_of_init(Fault::BadMessageLength, &[1; 60_000], 0);
    let ack = Message::Ack.emit();
    instead_of_init(Fault::SurplusDescriptor, &ack, 1);
    instead_of_init(Fault::SurplusDescriptor, &ack, 4);
    instead_of_init(Fault::SurplusDescriptor, &ack, 8);
    instead_of_init(
        Fault::MissingDescriptor,
        &{
            let mut add = ack;
            add[0] = 4;
            add
        },
        0,
    );
}

#[test]
fn surplus_descriptors_are_closed() {
    let (_dir, path) = socket();
    let mut port = open(Config::new(&path, Role::Server)).unwrap();
    let stranger = channel::dial(&Config::new(&path, Role::Client)).unwrap();
    hear(&stranger).unwrap();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    say(&stranger, &Message::Ack.emit(), &[&writer, &writer]);
    drop(writer);
    last_words(&stranger);
    wait_state(&mut port, |state| !is_up(state));
    // The pipe ends once nobody has its other end.
    assert_eq!(rustix::io::read(&reader, &mut [0; 1]), Ok(0));
}

#[test]
fn a_second_client_is_refused_and_a_stranger_disturbs_nobody() {
    let (dir, mut server, mut client) = pair(|_| ());
    let path = dir.path().join("m.sock");
    let (_socket, text) = connect(&path, |_, _| (), |message| message).err().expect("refused");
    assert_eq!(text, Fault::AlreadyConnected.phrase());
    assert_eq!(counter(&server, Fault::AlreadyConnected.counter()), 1);
    let stranger = channel::dial(&Config::new(&path, Role::Client)).unwrap();
    say(&stranger, &[0xff; LEN], &[]);
    assert_eq!(last_words(&stranger), Fault::BadMessage.phrase());
    assert_eq!(server.monitor.state(), PortState::Up);
    assert_eq!(send(&mut client, 0, &[frame(1, 60)]), 1);
    assert_eq!(receive(&mut server, 0), [frame(1, 60)]);
}

#[test]
fn too_many_connections_and_silent_ones() {
    let (_dir, path) = socket();
    let mut port = open(Config::new(&path, Role::Server)).unwrap();
    let silent: Vec<OwnedFd> = (0..8)
        .map(|_| {
            let socket = channel::dial(&Config::new(&path, Role::Client)).unwrap();
            hear(&socket).unwrap();
            socket
        })
        .collect();
    let one_more = channel::dial(&Config::new(&path, Role::Client)).unwrap();
    assert_eq!(last_words(&one_more), Fault::TooManyConnections.phrase());
    for socket in &silent {
        assert_eq!(last_words(socket), Fault::HandshakeTimeout.phrase());
    }
    let _puppet = good(&path);
    wait_state(&mut port, is_up);
    assert_eq!(counter(&port, Fault::HandshakeTimeout.counter()), 8);
}

#[test]
fn a_message_out_of_place_when_up() {
    up_then(Fault::BadMessage, |puppet| channel::send(&puppet.socket, &Message::Ack, None).unwrap());
}

#[test]
fn a_client_that_says_good_bye() {
    let (_dir, path) = socket();
    let mut port = open(Config::new(&path, Role::Server)).unwrap();
    let puppet = good(&path);
    wait_state(&mut port, is_up);
    channel::send(&puppet.socket, &Message::disconnect("tired\n"), None).unwrap();
    let cause = "disconnected by the peer: tired.".to_string();
    wait_state(&mut port, |state| *state == PortState::Down { cause: cause.clone() });
    assert_eq!(counter(&port, Fault::Disconnected.counter()), 1);
}

/// A server played by hand: takes a client up, hands its rings to `breach`, and expects this end.
fn server_then(fault: Fault, breach: impl Fn(&OwnedFd, &Ring, &Ring)) {
    let (_dir, path) = socket();
    let listener = Listener::bind(&Config::new(&path, Role::Server)).unwrap();
    let mut port = open(Config::new(&path, Role::Client)).unwrap();
    let (socket, memory, offer) = serve(&listener);
    wait_state(&mut port, is_up);
    let ring = |offer: &crate::memif::handshake::RingOffer<OwnedFd>| {
        Ring::new(Arc::clone(&memory), offer.region, offer.offset, offer.log2_ring_size).unwrap()
    };
    breach(&socket, &ring(&offer.s2m[0]), &ring(&offer.m2s[0]));
    receive(&mut port, 0);
    send(&mut port, 0, &vec![frame(0, 60); BURST]);
    assert_eq!(last_words(&socket), fault.phrase());
    drop((socket, listener));
    wait_state(&mut port, |state| *state == PortState::Down { cause: fault.phrase().into() });
    assert_eq!(counter(&port, fault.counter()), 1);
    let mut server = open(Config::new(&path, Role::Server)).unwrap();
    wait_state(&mut port, is_up);
    wait_state(&mut server, is_up);
    assert_eq!(send(&mut port, 0, &[frame(3, 60)]), 1);
    assert_eq!(receive(&mut server, 0), [frame(3, 60)]);
}

fn accept(listener: &Listener) -> OwnedFd {
    loop {
        match listener.accept() {
            Ok(socket) => return socket,
            Err(Errno::AGAIN) => {
                let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
                assert!(
                    poll(&mut [PollFd::new(&listener.socket, PollFlags::IN)], Some(&patience)).unwrap() > 0
                );
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn serve(listener: &Listener) -> (OwnedFd, Arc<Memory>, Offer<OwnedFd>) {
    let socket = accept(listener);
    let (mut server, hello) = Server::new(identity());
    channel::send(&socket, &hello, None).unwrap();
    loop {
        let (wire, fds) = hear(&socket).unwrap();
        match server.handle_message(&wire, fds, false).unwrap() {
            ServerStep::Reply(message) => channel::send(&socket, &message, None).unwrap(),
            ServerStep::Connect(offer) => {
                let memory = Arc::new(Memory::map(&offer.regions).unwrap());
                channel::send(&socket, &server.connected(), None).unwrap();
                return (socket, memory, offer);
            }
            ServerStep::Disconnect(text) => panic!("{text}"),
        }
    }
}

#[test]
fn a_tail_beyond_what_was_posted() {
    server_then(Fault::BadIndex, |_, s2m, _| s2m.set_tail(1));
    server_then(Fault::BadIndex, |_, s2m, _| s2m.set_tail(u16::MAX - 1024));
    server_then(Fault::BadIndex, |_, _, m2s| m2s.set_tail(1025));
    server_then(Fault::BadIndex, |_, _, m2s| m2s.set_tail(u16::MAX));
}

#[test]
fn a_server_that_changes_descriptors() {
    server_then(Fault::BadDescriptorRegion, |_, _, m2s| {
        m2s.set_desc(0, Desc { region: 9, ..Desc::default() });
        m2s.set_tail(1);
    });
    server_then(Fault::BadDescriptorBounds, |_, _, m2s| {
        m2s.set_desc(0, Desc { offset: u32::MAX, length: 60, ..Desc::default() });
        m2s.set_tail(1);
    });
    server_then(Fault::BadChain, |_, _, m2s| {
        m2s.set_desc(0, Desc { flags: NEXT, length: 60, ..Desc::default() });
        m2s.set_tail(1);
    });
}

#[test]
fn a_server_that_talks_out_of_place() {
    server_then(Fault::BadMessage, |socket, _, _| channel::send(socket, &Message::Ack, None).unwrap());
    server_then(Fault::BadMessageLength, |socket, _, _| say(socket, &[0; 12], &[]));
}

#[test]
fn a_server_of_another_version() {
    let (_dir, path) = socket();
    let listener = Listener::bind(&Config::new(&path, Role::Server)).unwrap();
    let mut port = open(Config::new(&path, Role::Client)).unwrap();
    let socket = accept(&listener);
    let (_, hello) = Server::<OwnedFd>::new(identity());
    let Message::Hello(hello, extensions) = hello else { unreachable!() };
    let old = U16::new(0x0100);
    channel::send(
        &socket,
        &Message::Hello(message::Hello { min_version: old, max_version: old, ..hello }, extensions),
        None,
    )
    .unwrap();
    assert_eq!(last_words(&socket), Fault::BadVersion.phrase());
    let cause = Fault::BadVersion.phrase().to_string();
    wait_state(&mut port, |state| *state == PortState::Down { cause: cause.clone() });
    // It comes back by itself, and finds a server that has learned.
    let _up = serve(&listener);
    wait_state(&mut port, is_up);
}
