//! Both sides of the handshake as state machines without I/O: messages in, messages and decisions out.
//!
//! ```text
//!   client                                server
//!      |  <------------------------------ HELLO      what the server can take
//!   INIT ------------------------------>  ACK        which interface, secret
//!   ADD_REGION (memfd) ---------------->  ACK        for each region
//!   ADD_RING (eventfd) ---------------->  ACK        for each ring, S2M then M2S
//!   CONNECT --------------------------->  CONNECTED  both have everything: up
//!   DISCONNECT <----------------------->  DISCONNECT any time, with a text
//! ```
//!
//! The type parameter is the file descriptor: an `OwnedFd` in earnest, a number in tests.

use super::fault::Fault;
use super::message::{
    AddRegion, AddRing, Extensions, Hello, Init, Interface, MAX_LOG2_RING_SIZE, MODE_ETHERNET, Message,
    RING_S2M, VERSION, Wire, padded,
};
use super::region::MAX_REGIONS;
use zerocopy::byteorder::native_endian::{U16, U32, U64};

/// What both sides are told about their interface.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// Its number on the socket.
    pub(super) id: u32,
    /// What it and its software are called, towards the peer.
    pub(super) name: String,
    /// What the peer has to know or is given.
    pub(super) secret: Option<String>,
    /// Rings by which it sends, at the most.
    pub(super) send: u16,
    /// Rings by which it receives, at the most.
    pub(super) receive: u16,
    /// The same for a client whose server does not say how many it uses, in each direction.
    pub(super) stranger: u16,
    /// What it announces.
    pub(super) extensions: Extensions,
}

impl Identity {
    fn secret_field(&self) -> [u8; 24] {
        padded(self.secret.as_deref().unwrap_or_default())
    }
}

/// A ring as the client announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RingOffer<F> {
    /// The region it lies in.
    pub(super) region: u16,
    /// And where.
    pub(super) offset: u32,
    /// Logarithm of its length.
    pub(super) log2_ring_size: u8,
    /// How its sender wakes its receiver.
    pub(super) eventfd: F,
}

/// Everything a client announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer<F> {
    /// Memory and its size.
    pub(super) regions: Vec<(F, u64)>,
    /// Rings that the client fills.
    pub(super) s2m: Vec<RingOffer<F>>,
    /// Rings that the server fills.
    pub(super) m2s: Vec<RingOffer<F>>,
    /// What both ends announced; told by neither of the above.
    pub(super) extensions: Extensions,
}

impl<F> Default for Offer<F> {
    fn default() -> Self {
        Self { regions: Vec::new(), s2m: Vec::new(), m2s: Vec::new(), extensions: Extensions::default() }
    }
}

/// Reads a message and checks that it came with its descriptor and no other.
fn read<F>(wire: &Wire, fds: Vec<F>) -> Result<(Message, Option<F>), Fault> {
    let message = Message::parse(wire).ok_or(Fault::BadMessage)?;
    let belongs = usize::from(matches!(message, Message::AddRegion(_) | Message::AddRing(_)));
    match fds.len() {
        n if n > belongs => Err(Fault::SurplusDescriptor),
        n if n < belongs => Err(Fault::MissingDescriptor),
        _ => Ok((message, fds.into_iter().next())),
    }
}

/// What the server is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ServerStep<F> {
    /// Send this; the handshake goes on.
    Reply(Message),
    /// Map this, send CONNECTED, and let frames flow.
    Connect(Offer<F>),
    /// The client closes, with this text.
    Disconnect(String),
}

/// The server's side of one connection.
#[derive(Debug)]
pub(super) struct Server<F> {
    identity: Identity,
    offer: Offer<F>,
    state: ServerState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerState {
    /// HELLO is sent.
    Greeted,
    /// INIT is accepted.
    Claimed,
    /// CONNECT was seen.
    Connected,
}

impl<F> Server<F> {
    /// For a connection that was just accepted. HELLO is the first message to be sent.
    pub(super) fn new(identity: Identity) -> (Self, Message) {
        let last = |rings: u16| U16::new(rings.saturating_sub(1));
        let hello = Hello {
            name: padded(&identity.name),
            min_version: U16::new(VERSION),
            max_version: U16::new(VERSION),
            max_region: U16::new(MAX_REGIONS - 1),
            max_m2s_ring: last(identity.send),
            max_s2m_ring: last(identity.receive),
            max_log2_ring_size: MAX_LOG2_RING_SIZE,
        };
        let hello = Message::Hello(hello, identity.extensions);
        (Self { identity, offer: Offer::default(), state: ServerState::Greeted }, hello)
    }

    /// This connection owns the interface: its INIT was accepted.
    pub(super) fn claimed(&self) -> bool {
        self.state != ServerState::Greeted
    }

    /// A message came. `taken` says that another connection owns the interface.
    pub(super) fn handle_message(
        &mut self,
        wire: &Wire,
        fds: Vec<F>,
        taken: bool,
    ) -> Result<ServerStep<F>, Fault> {
        let (message, fd) = read(wire, fds)?;
        match (self.state, message, fd) {
            (_, Message::Disconnect(body), _) => {
                return Ok(ServerStep::Disconnect(super::message::text(&body.text)));
            }
            (ServerState::Greeted, Message::Init(init, extensions), _) => {
                self.init(&init, taken)?;
                self.offer.extensions = extensions.and(self.identity.extensions);
            }
            (ServerState::Claimed, Message::AddRegion(region), Some(fd)) => self.add_region(&region, fd)?,
            (ServerState::Claimed, Message::AddRing(ring), Some(fd)) => self.add_ring(&ring, fd)?,
            (ServerState::Claimed, Message::Connect(_), _) => {
                if self.offer.s2m.is_empty() || self.offer.m2s.is_empty() {
                    return Err(Fault::BadRing);
                }
                self.state = ServerState::Connected;
                return Ok(ServerStep::Connect(core::mem::take(&mut self.offer)));
            }
            _ => return Err(Fault::BadMessage),
        }
        Ok(ServerStep::Reply(Message::Ack))
    }

    fn init(&mut self, init: &Init, taken: bool) -> Result<(), Fault> {
        if init.version.get() != VERSION {
            return Err(Fault::BadVersion);
        }
        if init.id.get() != self.identity.id {
            return Err(Fault::UnknownId);
        }
        if init.mode != MODE_ETHERNET {
            return Err(Fault::BadMode);
        }
        if self.identity.secret.is_some() && init.secret != self.identity.secret_field() {
            return Err(Fault::BadSecret);
        }
        if taken {
            return Err(Fault::AlreadyConnected);
        }
        self.state = ServerState::Claimed;
        Ok(())
    }

    fn add_region(&mut self, region: &AddRegion, fd: F) -> Result<(), Fault> {
        let index = usize::from(region.index.get());
        if index != self.offer.regions.len() || index >= usize::from(MAX_REGIONS) {
            return Err(Fault::BadRegion);
        }
        self.offer.regions.push((fd, region.size.get()));
        Ok(())
    }

    fn add_ring(&mut self, ring: &AddRing, fd: F) -> Result<(), Fault> {
        let s2m = ring.flags.get() & RING_S2M != 0;
        let (rings, most) = if s2m {
            (&mut self.offer.s2m, self.identity.receive)
        } else {
            (&mut self.offer.m2s, self.identity.send)
        };
        let in_order = usize::from(ring.index.get()) == rings.len() && ring.index.get() < most;
        if !in_order || ring.log2_ring_size > MAX_LOG2_RING_SIZE || ring.private_hdr_size.get() != 0 {
            return Err(Fault::BadRing);
        }
        rings.push(RingOffer {
            region: ring.region.get(),
            offset: ring.offset.get(),
            log2_ring_size: ring.log2_ring_size,
            eventfd: fd,
        });
        Ok(())
    }

    /// The answer to CONNECT, once everything is mapped.
    pub(super) fn connected(&self) -> Message {
        Message::Connected(Interface { name: padded(&self.identity.name) })
    }
}

/// What a client has to make after HELLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Rings that it fills.
    pub(super) s2m: u16,
    /// Rings that the server fills.
    pub(super) m2s: u16,
    /// Logarithm of their length.
    pub(super) log2_ring_size: u8,
}

/// What the client is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientStep<'a, F> {
    /// Send this with this descriptor; the handshake goes on.
    Send(Message, Option<&'a F>),
    /// Frames may flow through what was offered.
    Connected(Offer<F>),
    /// The server closes, with this text.
    Disconnect(String),
}

/// The client's side of one connection.
#[derive(Debug)]
pub(super) struct Client<F> {
    identity: Identity,
    log2_ring_size: u8,
    offer: Offer<F>,
    state: ClientState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientState {
    /// Waits for HELLO.
    Connecting,
    /// Waits for the ACK of INIT, or of this many of the announcements behind it.
    Announcing(usize),
    /// Waits for CONNECTED.
    Finishing,
    Connected,
}

impl<F> Client<F> {
    /// For a connection that was just opened; the server speaks first.
    pub(super) fn new(identity: Identity, log2_ring_size: u8) -> Self {
        Self { identity, log2_ring_size, offer: Offer::default(), state: ClientState::Connecting }
    }

    /// A message came. `make` is called once, for what is going to be announced.
    pub(super) fn handle_message(
        &mut self,
        wire: &Wire,
        fds: Vec<F>,
        make: impl FnOnce(Plan) -> Result<Offer<F>, Fault>,
    ) -> Result<ClientStep<'_, F>, Fault> {
        let (message, _) = read(wire, fds)?;
        match (self.state, message) {
            (_, Message::Disconnect(body)) => Ok(ClientStep::Disconnect(super::message::text(&body.text))),
            (ClientState::Connecting, Message::Hello(hello, extensions)) => {
                let extensions = extensions.and(self.identity.extensions);
                self.offer = Offer { extensions, ..make(self.plan(&hello, extensions)?)? };
                self.state = ClientState::Announcing(0);
                let init = Init {
                    version: U16::new(VERSION),
                    id: U32::new(self.identity.id),
                    mode: MODE_ETHERNET,
                    secret: self.identity.secret_field(),
                    name: padded(&self.identity.name),
                };
                Ok(ClientStep::Send(Message::Init(init, extensions), None))
            }
            (ClientState::Announcing(done), Message::Ack) => {
                let next = announcement(&self.offer, done);
                self.state =
                    if next.is_some() { ClientState::Announcing(done + 1) } else { ClientState::Finishing };
                let connect = || Message::Connect(Interface { name: padded(&self.identity.name) });
                Ok(next.map_or_else(
                    || ClientStep::Send(connect(), None),
                    |(msg, fd)| ClientStep::Send(msg, Some(fd)),
                ))
            }
            (ClientState::Finishing, Message::Connected(_)) => {
                self.state = ClientState::Connected;
                Ok(ClientStep::Connected(core::mem::take(&mut self.offer)))
            }
            _ => Err(Fault::BadMessage),
        }
    }

    fn plan(&self, hello: &Hello, extensions: Extensions) -> Result<Plan, Fault> {
        if !(hello.min_version.get()..=hello.max_version.get()).contains(&VERSION) {
            return Err(Fault::BadVersion);
        }
        let Identity { send, receive, stranger, .. } = self.identity;
        let (send, receive) = if extensions.rings { (send, receive) } else { (stranger, stranger) };
        Ok(Plan {
            s2m: hello.max_s2m_ring.get().saturating_add(1).min(send),
            m2s: hello.max_m2s_ring.get().saturating_add(1).min(receive),
            log2_ring_size: self.log2_ring_size.min(hello.max_log2_ring_size),
        })
    }
}

/// The n-th announcement of an offer: regions, S2M rings, M2S rings.
fn announcement<F>(offer: &Offer<F>, n: usize) -> Option<(Message, &F)> {
    let regions = offer.regions.iter().enumerate().map(|(index, (fd, size))| {
        let index = U16::new(index as u16);
        (Message::AddRegion(AddRegion { index, size: U64::new(*size) }), fd)
    });
    let rings = |flags: u16, rings: &'_ [RingOffer<F>], n: usize| -> Option<Message> {
        let ring = rings.get(n)?;
        Some(Message::AddRing(AddRing {
            flags: U16::new(flags),
            index: U16::new(n as u16),
            region: U16::new(ring.region),
            offset: U32::new(ring.offset),
            log2_ring_size: ring.log2_ring_size,
            private_hdr_size: U16::new(0),
        }))
    };
    let s2m =
        (0..offer.s2m.len()).filter_map(|n| Some((rings(RING_S2M, &offer.s2m, n)?, &offer.s2m[n].eventfd)));
    let m2s = (0..offer.m2s.len()).filter_map(|n| Some((rings(0, &offer.m2s, n)?, &offer.m2s[n].eventfd)));
    regions.chain(s2m).chain(m2s).nth(n)
}
