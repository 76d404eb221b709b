//! The control thread of a port: connections, handshakes, and the coming and going of rings.
//!
//! It sleeps in `poll` on its wake descriptor, the listener and the connections, and wakes for a deadline only
//! while there is a handshake to time out or a server to be found.

use super::fault::Fault;
use super::handshake::{Client, ClientStep, Identity, Offer, Plan, RingOffer, Server, ServerStep};
use super::layout::Layout;
use super::message::{Extensions, Message};
use super::pool::Pool;
use super::queues::{Generation, Live, Rings, Shared};
use super::region::Memory;
use super::ring::Ring;
use super::rx::RxRing;
use super::socket::{self, Listener};
use super::tx::TxRing;
use super::{Config, Receive, Role};
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A handshake takes less than a millisecond between living peers.
const HANDSHAKE_TIME: Duration = Duration::from_secs(2);

/// Connections a server keeps open, the one in use included.
const MAX_CONNECTIONS: usize = 8;

/// The first and the longest wait before a client looks for its server again. The longest bounds how long a
/// link stays down after its server came back.
const RETRY: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));

/// The longest wait after a server that was there but did not let us in or broke the rules.
const RETRY_REFUSED: Duration = Duration::from_secs(1);

/// One end of one connection.
enum Machine {
    Server(Server<OwnedFd>),
    Client(Client<OwnedFd>, Option<Arc<Memory>>, Option<Layout>),
}

struct Connection {
    socket: OwnedFd,
    machine: Machine,
    since: Instant,
    /// Its rings, once it is up.
    live: Option<Live>,
}

/// Why a connection ended, with the peer's words if it had any.
struct End {
    fault: Fault,
    text: Option<String>,
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self { fault, text: None }
    }
}

impl End {
    fn cause(&self) -> String {
        match &self.text {
            Some(text) if !text.is_empty() => format!("{}: {text}", self.fault.phrase()),
            _ => self.fault.phrase().into(),
        }
    }
}

/// See the module.
pub(super) struct Control {
    config: Config,
    identity: Identity,
    shared: Arc<Shared>,
    listener: Option<Listener>,
    connections: Vec<Connection>,
    /// Odd while a connection is up; stepped by each change.
    generation: Generation,
    /// When a client looks for its server again, and how long it waits after that.
    retry_at: Instant,
    retry: Duration,
}

impl Control {
    pub(super) fn new(config: Config, shared: Arc<Shared>, listener: Option<Listener>) -> Self {
        let identity = Identity {
            id: config.id,
            name: config.name.clone(),
            secret: config.secret.clone(),
            send: config.queues,
            receive: config.receives(),
            stranger: match config.receive {
                Receive::AsMany => config.queues,
                Receive::UpTo(_) => 1,
            },
            // Who wants complete frames only looks at them when they have left, too.
            extensions: Extensions {
                unfinished: config.unfinished,
                rings: true,
                exchange: config.unfinished,
            },
        };
        Self {
            config,
            identity,
            shared,
            listener,
            connections: Vec::new(),
            generation: 0,
            retry_at: Instant::now(),
            retry: RETRY.0,
        }
    }

    /// Runs until the port is no longer wanted.
    pub(super) fn run(mut self) {
        loop {
            if self.config.role == Role::Client
                && self.connections.is_empty()
                && Instant::now() >= self.retry_at
            {
                self.dial();
            }
            let ready = self.wait();
            if ready.first() == Some(&true) && self.shared.woken() {
                break;
            }
            self.visit_connections(ready.get(2..).unwrap_or_default());
            if ready.get(1) == Some(&true) {
                self.accept();
            }
        }
        for connection in core::mem::take(&mut self.connections) {
            let _ = socket::send(&connection.socket, &Message::disconnect("interface is going down"), None);
            self.end_live(&connection, "closed".into());
        }
    }

    /// Sleeps until something happens. Says what is ready: the wake, the listener, each connection.
    fn wait(&self) -> Vec<bool> {
        let wake = self.shared.wake_fd();
        let listener = self.listener.as_ref().map_or(wake, |listener| listener.socket.as_fd());
        let others = self.connections.iter().map(|connection| connection.socket.as_fd());
        let mut fds: Vec<PollFd<'_>> = [wake, listener]
            .into_iter()
            .chain(others)
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let now = Instant::now();
        let timeout = self.deadline().map(|at| {
            // Rounded up, so that the deadline has passed when we wake.
            let left = at.saturating_duration_since(now) + Duration::from_millis(1);
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
        });
        if poll(&mut fds, timeout.as_ref()).is_err() {
            // EINTR: nothing is known to be ready.
            return Vec::new();
        }
        let mut ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        ready[1] &= self.listener.is_some();
        ready
    }

    fn deadline(&self) -> Option<Instant> {
        let handshakes =
            self.connections.iter().filter(|c| c.live.is_none()).map(|c| c.since + HANDSHAKE_TIME);
        let dial = (self.config.role == Role::Client && self.connections.is_empty()).then_some(self.retry_at);
        handshakes.chain(dial).min()
    }

    fn dial(&mut self) {
        let now = Instant::now();
        self.retry_at = now + self.retry;
        match socket::dial(&self.config) {
            Ok(socket) => {
                let client = Client::new(self.identity.clone(), self.config.log2_ring_size);
                let machine = Machine::Client(client, None, None);
                self.connections.push(Connection { socket, machine, since: now, live: None });
            }
            Err(error) => {
                self.retry = (self.retry * 2).min(RETRY.1);
                self.unreachable(error);
            }
        }
    }

    /// Says why there is no server. A wrong path is found in the log, once.
    fn unreachable(&self, error: Errno) {
        let why = match error {
            Errno::NOENT => "there is no such socket".to_owned(),
            Errno::CONNREFUSED => "nobody listens at the socket".to_owned(),
            error => error.to_string(),
        };
        if self.shared.no_peer(&why) {
            let socket = self.config.socket.display();
            tracing::info!(%socket, id = self.config.id, why, "memif: waits for its server");
        }
    }

    fn accept(&mut self) {
        while let Some(Ok(socket)) = self.listener.as_ref().map(Listener::accept) {
            if self.connections.len() >= MAX_CONNECTIONS {
                self.shared.counters.fault(Fault::TooManyConnections);
                let _ = socket::send(&socket, &Message::disconnect(Fault::TooManyConnections.phrase()), None);
                continue;
            }
            let (server, hello) = Server::new(self.identity.clone());
            if socket::send(&socket, &hello, None).is_ok() {
                let machine = Machine::Server(server);
                self.connections.push(Connection { socket, machine, since: Instant::now(), live: None });
            }
        }
    }

    /// Looks at every connection that is ready, overdue, or found faulty by a worker.
    fn visit_connections(&mut self, ready: &[bool]) {
        let mut ready = ready.iter();
        let mut i = 0;
        while i < self.connections.len() {
            let is_ready = ready.next().copied().unwrap_or_default();
            let reported = self.connections[i].live.as_ref().and_then(|live| self.shared.reported(live));
            let result = match reported {
                Some(fault) => Err(fault.into()),
                None if is_ready => self.read(i),
                None => Ok(()),
            };
            let overdue =
                || self.connections[i].live.is_none() && self.connections[i].since.elapsed() > HANDSHAKE_TIME;
            let result =
                if result.is_ok() && overdue() { Err(Fault::HandshakeTimeout.into()) } else { result };
            match result {
                Ok(()) => i += 1,
                Err(end) => self.end(i, &end),
            }
        }
    }

    /// Reads what the peer has to say.
    fn read(&mut self, i: usize) -> Result<(), End> {
        while let Some((wire, fds)) = socket::receive(&self.connections[i].socket)? {
            let taken = self.connections.iter().enumerate().any(|(j, other)| {
                j != i && matches!(&other.machine, Machine::Server(server) if server.claimed())
            });
            let connection = &mut self.connections[i];
            let rings = match &mut connection.machine {
                Machine::Server(server) => match server.handle_message(&wire, fds, taken)? {
                    ServerStep::Reply(message) => {
                        socket::send(&connection.socket, &message, None)?;
                        continue;
                    }
                    ServerStep::Connect(offer) => {
                        let rings = accept_offer(offer)?;
                        socket::send(&connection.socket, &server.connected(), None)?;
                        rings
                    }
                    ServerStep::Disconnect(text) => {
                        return Err(End { fault: Fault::Disconnected, text: Some(text) });
                    }
                },
                Machine::Client(client, memory, layout) => {
                    let buffer_size = self.config.buffer_size;
                    let make = |plan| {
                        let (offer, made, of) = make_offer(plan, buffer_size)?;
                        (*memory, *layout) = (Some(made), Some(of));
                        Ok(offer)
                    };
                    match client.handle_message(&wire, fds, make)? {
                        ClientStep::Send(message, fd) => {
                            socket::send(&connection.socket, &message, fd)?;
                            continue;
                        }
                        ClientStep::Connected(offer) => {
                            let (Some(memory), Some(layout)) = (memory.take(), *layout) else {
                                return Err(Fault::BadMessage.into());
                            };
                            open_offer(offer, &memory, &layout)?
                        }
                        ClientStep::Disconnect(text) => {
                            return Err(End { fault: Fault::Disconnected, text: Some(text) });
                        }
                    }
                }
            };
            self.generation += 1;
            self.retry = RETRY.0;
            connection.live = Some(self.shared.up(self.generation, rings));
            tracing::info!(socket = %self.config.socket.display(), id = self.config.id, "memif: up");
        }
        Ok(())
    }

    /// Ends a connection: tells the peer, counts, takes the rings back.
    fn end(&mut self, i: usize, end: &End) {
        let connection = self.connections.remove(i);
        // Somebody who only looked whether the socket is alive is no peer.
        let stranger = matches!(&connection.machine, Machine::Server(server) if !server.claimed());
        if !(stranger && end.fault == Fault::PeerGone) {
            self.shared.counters.fault(end.fault);
        }
        if !matches!(end.fault, Fault::PeerGone | Fault::Disconnected) {
            let _ = socket::send(&connection.socket, &Message::disconnect(end.fault.phrase()), None);
        }
        let was_live = connection.live.is_some();
        if was_live {
            tracing::info!(
                socket = %self.config.socket.display(), id = self.config.id, cause = end.cause(), "memif: down"
            );
            self.end_live(&connection, end.cause());
        } else if !stranger || self.connections.is_empty() {
            self.shared.set_cause(end.cause());
        }
        if self.config.role == Role::Client {
            let gone = matches!(end.fault, Fault::PeerGone | Fault::Disconnected);
            let longest = if gone { RETRY.1 } else { RETRY_REFUSED };
            self.retry_at = Instant::now() + self.retry;
            self.retry = (self.retry * 2).min(longest);
        }
    }

    fn end_live(&mut self, connection: &Connection, cause: String) {
        if let Some(live) = &connection.live {
            self.generation += 1;
            self.shared.down(live, self.generation, cause);
        }
    }
}

/// The server's part of the memory: maps what the client offers and checks it.
pub(super) fn accept_offer(offer: Offer<OwnedFd>) -> Result<Rings, Fault> {
    let memory = Arc::new(Memory::map(&offer.regions)?);
    let open = |ring: &RingOffer<OwnedFd>| {
        socket::check_eventfd(&ring.eventfd)?;
        let ring = Ring::new(Arc::clone(&memory), ring.region, ring.offset, ring.log2_ring_size)?;
        ring.check_cookie()?;
        Ok(ring)
    };
    let unfinished = offer.extensions.unfinished;
    let exchange = exchanges(offer.extensions);
    let mut rings = Rings { rx: Vec::new(), tx: Vec::new(), unfinished };
    let mut lent = Vec::new();
    for (number, offer) in (0..).zip(offer.s2m) {
        let ring = open(&offer)?;
        if exchange {
            lent.push(ring.again());
        }
        rings.rx.push((RxRing::server(ring, exchange.then_some(number), unfinished), offer.eventfd));
    }
    for offer in offer.m2s {
        let lent = lent.iter().map(Ring::again).collect();
        rings.tx.push(TxRing::server(open(&offer)?, lent, offer.eventfd, unfinished));
    }
    Ok(rings)
}

/// Whether buffers are exchanged. An empty descriptor has to name its short place then, which `unfinished` says.
fn exchanges(extensions: Extensions) -> bool {
    extensions.exchange && extensions.unfinished
}

/// The client's part, first half: memory with rings in it, and what to tell the server.
pub(super) fn make_offer(
    plan: Plan,
    buffer_size: u32,
) -> Result<(Offer<OwnedFd>, Arc<Memory>, Layout), Fault> {
    let layout =
        Layout::new(plan.s2m + plan.m2s, plan.log2_ring_size, buffer_size).ok_or(Fault::NoResources)?;
    let (memory, fd) = Memory::create(layout.octets()).map_err(|_| Fault::NoResources)?;
    let memory = Arc::new(memory);
    let ring = |index: u16| {
        let offset = layout.ring(index);
        Ring::new(Arc::clone(&memory), 0, offset, layout.log2_ring_size)?.init();
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let eventfd = eventfd(0, flags).map_err(|_| Fault::NoResources)?;
        Ok(RingOffer { region: 0, offset, log2_ring_size: layout.log2_ring_size, eventfd })
    };
    let offer = Offer {
        regions: vec![(fd, layout.octets())],
        s2m: (0..plan.s2m).map(ring).collect::<Result<_, Fault>>()?,
        m2s: (plan.s2m..plan.s2m + plan.m2s).map(ring).collect::<Result<_, Fault>>()?,
        extensions: Extensions::default(),
    };
    Ok((offer, memory, layout))
}

/// The client's part, second half. Only now buffers are posted: net_memif's server zeroes all indices when it
/// connects.
pub(super) fn open_offer(
    offer: Offer<OwnedFd>,
    memory: &Arc<Memory>,
    layout: &Layout,
) -> Result<Rings, Fault> {
    let mut index = 0;
    let mut open = |offer: &RingOffer<OwnedFd>| {
        let ring = Ring::new(Arc::clone(memory), offer.region, offer.offset, offer.log2_ring_size)?;
        index += 1;
        Ok((ring, layout.buffers(index - 1)))
    };
    let unfinished = offer.extensions.unfinished;
    let exchange = exchanges(offer.extensions);
    let mut rings = Rings { rx: Vec::new(), tx: Vec::new(), unfinished };
    let mut pools = Vec::new();
    for offer in offer.s2m {
        let (ring, buffers) = open(&offer)?;
        rings.tx.push(if exchange {
            let pool = Arc::new(Mutex::new(Pool::new(ring.again(), &buffers)));
            pools.push(Arc::clone(&pool));
            TxRing::pooled(ring, pool, offer.eventfd, unfinished)
        } else {
            TxRing::client(ring, buffers, offer.eventfd, unfinished)
        });
    }
    let mut pools = pools.into_iter();
    for offer in offer.m2s {
        let (ring, buffers) = open(&offer)?;
        let ring = if exchange {
            RxRing::wandering(ring, buffers, pools.next(), unfinished)
        } else {
            RxRing::client(ring, buffers, unfinished)
        };
        rings.rx.push((ring, offer.eventfd));
    }
    Ok(rings)
}
