//! The front door: one thread that never blocks, for all vNICs and all their front ends.
//!
//! ```text
//!   add / remove --mailbox--> [ epoll: mailbox, listeners, connections ] --FrontendEvent--> the adapter
//!                                  |                    |
//!                          one guest per vNIC    Reader -> Session -> RingSlot
//! ```
//!
//! Every socket is non-blocking; a turn of the loop takes a few messages of each connection that has any. A
//! front end that sends half a message, does not read its replies, or disappears, concerns its own vNIC only.

use super::listen::{ListenError, Listener, connect_to};
use super::message::{self, Reader, WireError};
use super::session::Session;
use super::vnic::{FrontendEvent, Vnic, VnicConfig, VnicMonitor};
use parking_lot::Mutex;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{RecvFlags, recv};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Messages taken from one connection in one turn.
const MESSAGES_PER_TURN: usize = 16;

/// How long until a front end that listens is tried again, and a listener that failed.
const RETRY: Duration = Duration::from_millis(250);

/// Queue pairs of a vNIC at the most: vhost-user numbers rings with eight bits.
const MAX_QUEUE_PAIRS: u16 = 128;

/// Called on the front door's thread; must not block.
pub type EventSink = Box<dyn Fn(FrontendEvent) + Send>;

/// Why a vNIC was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// No vNIC can have that many.
    #[error("vNIC {name}: {pairs} queue pairs (1 to {MAX_QUEUE_PAIRS} are possible)")]
    QueuePairs {
        /// The vNIC.
        name: String,
        /// What was asked for.
        pairs: u16,
    },
    /// There is one of this name.
    #[error("vNIC {0} exists already")]
    Exists(String),
    /// Its socket could not be made.
    #[error("vNIC {name}: {source}")]
    Listen {
        /// The vNIC.
        name: String,
        /// Why.
        source: ListenError,
    },
    /// The kernel gave no more descriptors.
    #[error("vNIC {name}: {source}")]
    System {
        /// The vNIC.
        name: String,
        /// Why.
        source: io::Error,
    },
}

enum Command {
    Add(Box<Host>, mpsc::SyncSender<Result<(), String>>),
    Remove(String, mpsc::SyncSender<bool>),
    Stop,
}

/// Commands to the thread, and what wakes it.
struct Mailbox {
    commands: Mutex<Vec<Command>>,
    wake: OwnedFd,
}

impl Mailbox {
    fn send(&self, command: Command) {
        self.commands.lock().push(command);
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }
}

/// The thread and the way to it. Dropping it ends all connections and removes all sockets.
pub struct FrontDoor {
    mailbox: Arc<Mailbox>,
    thread: Option<JoinHandle<()>>,
}

impl FrontDoor {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the kernel gives no thread or descriptor.
    pub fn start() -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let mailbox = Arc::new(Mailbox { commands: Mutex::default(), wake });
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &mailbox.wake, EventData::new_u64(MAILBOX), EventFlags::IN)?;
        let door = Loop { epoll, mailbox: Arc::clone(&mailbox), hosts: BTreeMap::new(), next: 0 };
        let thread = thread::Builder::new().name("front-door".to_owned()).spawn(move || door.run())?;
        Ok(Self { mailbox, thread: Some(thread) })
    }

    /// Adds a vNIC. Its queues stay the same through any number of guests; `events` hears of them.
    ///
    /// # Errors
    /// When the configuration makes no sense, the name is taken, or the socket cannot be made.
    pub fn add(&self, config: &VnicConfig, events: EventSink) -> Result<Vnic, AddError> {
        let name = config.name.clone();
        if config.queue_pairs == 0 || config.queue_pairs > MAX_QUEUE_PAIRS {
            return Err(AddError::QueuePairs { name, pairs: config.queue_pairs });
        }
        let monitor = VnicMonitor::new(name.clone(), config.queue_pairs)
            .map_err(|source| AddError::System { name: name.clone(), source })?;
        let monitor = Arc::new(monitor);
        let door = if config.client {
            Door::Client(config.socket.clone())
        } else {
            Listener::bind(&config.socket, config.socket_mode, config.socket_group)
                .map(Door::Listener)
                .map_err(|source| AddError::Listen { name: name.clone(), source })?
        };
        let host = Host {
            name: name.clone(),
            largest_mtu: config.mtu,
            door,
            retry: None,
            guest: None,
            monitor: Arc::clone(&monitor),
            events,
        };
        let (done, wait) = mpsc::sync_channel(1);
        self.mailbox.send(Command::Add(Box::new(host), done));
        match wait.recv() {
            Ok(Ok(())) => Ok(Vnic::new(monitor)),
            Ok(Err(name)) => Err(AddError::Exists(name)),
            Err(_) => Err(AddError::System { name, source: io::Error::other("the front door has closed") }),
        }
    }

    /// Removes a vNIC: its guest is disconnected, its rings stop, its socket is gone when this returns. Says
    /// whether there was one of this name.
    pub fn remove(&self, name: &str) -> bool {
        let (done, wait) = mpsc::sync_channel(1);
        self.mailbox.send(Command::Remove(name.to_owned(), done));
        wait.recv().unwrap_or(false)
    }
}

impl Drop for FrontDoor {
    fn drop(&mut self) {
        self.mailbox.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where the front ends of a vNIC come from.
enum Door {
    Listener(Listener),
    Client(PathBuf),
}

struct Guest {
    socket: OwnedFd,
    reader: Reader,
    session: Session,
}

/// A vNIC on the thread.
struct Host {
    name: String,
    largest_mtu: u16,
    door: Door,
    /// When to try the door again.
    retry: Option<Instant>,
    guest: Option<Guest>,
    monitor: Arc<VnicMonitor>,
    events: EventSink,
}

const MAILBOX: u64 = u64::MAX;

fn door_token(id: u64) -> EventData {
    EventData::new_u64(2 * id)
}

fn guest_token(id: u64) -> EventData {
    EventData::new_u64(2 * id + 1)
}

struct Loop {
    epoll: OwnedFd,
    mailbox: Arc<Mailbox>,
    hosts: BTreeMap<u64, Host>,
    next: u64,
}

impl Loop {
    fn run(mut self) {
        let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 64];
        loop {
            let timeout = self.timeout().and_then(|wait| Timespec::try_from(wait).ok());
            let ready = match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
                Ok(ready) => ready,
                Err(Errno::INTR) => 0,
                Err(error) => {
                    // Only a wrong descriptor or buffer can bring us here.
                    tracing::error!("front door: epoll: {error}");
                    return;
                }
            };
            for event in events.iter().take(ready) {
                match event.data.u64() {
                    MAILBOX => {
                        if !self.commands() {
                            return;
                        }
                    }
                    token => self.ready(token / 2, token % 2 == 0),
                }
            }
            self.retry(Instant::now());
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let next = self.hosts.values().filter_map(|host| host.retry).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Says whether to go on.
    fn commands(&mut self) -> bool {
        let mut counter = [0; 8];
        let _ = rustix::io::read(&self.mailbox.wake, &mut counter[..]);
        let commands = core::mem::take(&mut *self.mailbox.commands.lock());
        for command in commands {
            match command {
                Command::Add(host, done) => {
                    let _ = done.send(self.add(*host));
                }
                Command::Remove(name, done) => {
                    let id = self.hosts.iter().find(|(_, host)| host.name == name).map(|(id, _)| *id);
                    let _ = done.send(id.is_some_and(|id| self.hosts.remove(&id).is_some()));
                }
                Command::Stop => return false,
            }
        }
        true
    }

    fn add(&mut self, mut host: Host) -> Result<(), String> {
        if self.hosts.values().any(|other| other.name == host.name) {
            return Err(host.name.clone());
        }
        let id = self.next;
        self.next += 1;
        host.open(&self.epoll, id);
        self.hosts.insert(id, host);
        Ok(())
    }

    fn ready(&mut self, id: u64, door: bool) {
        let Some(host) = self.hosts.get_mut(&id) else { return };
        if door { host.accept(&self.epoll, id) } else { host.serve() }
    }

    fn retry(&mut self, now: Instant) {
        for (id, host) in &mut self.hosts {
            if host.retry.is_some_and(|at| at <= now) {
                host.retry = None;
                host.open(&self.epoll, *id);
            }
        }
    }
}

impl Host {
    /// Listens, or connects; or tries again later.
    fn open(&mut self, epoll: &OwnedFd, id: u64) {
        let done = match &self.door {
            Door::Listener(listener) => epoll::add(epoll, listener.as_fd(), door_token(id), EventFlags::IN),
            Door::Client(path) => connect_to(path).and_then(|socket| self.admit(socket, epoll, id)),
        };
        if done.is_err() {
            self.retry = Some(Instant::now() + RETRY);
        }
    }

    fn accept(&mut self, epoll: &OwnedFd, id: u64) {
        let Door::Listener(listener) = &self.door else { return };
        let socket = match listener.accept() {
            Ok(socket) => socket,
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => return,
            Err(error) => {
                // No descriptors, no memory. Look away for a while, or this would turn in circles.
                if self.monitor.accept_errors.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(vnic = self.name, "cannot accept a guest: {error}");
                }
                let _ = epoll::delete(epoll, listener.as_fd());
                self.retry = Some(Instant::now() + RETRY);
                return;
            }
        };
        // A guest that was killed and comes back may be faster than the news of its end.
        if self.guest.as_ref().is_some_and(Guest::is_gone) {
            self.serve();
        }
        if self.guest.is_some() {
            if self.monitor.turned_away.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(vnic = self.name, "a second guest was turned away: one is connected");
            }
            return;
        }
        if let Err(error) = self.admit(socket, epoll, id) {
            tracing::warn!(vnic = self.name, "cannot serve a guest: {error}");
        }
    }

    fn admit(&mut self, socket: OwnedFd, epoll: &OwnedFd, id: u64) -> rustix::io::Result<()> {
        epoll::add(epoll, &socket, guest_token(id), EventFlags::IN)?;
        let pid = socket_peercred(&socket).ok().map(|peer| peer.pid.as_raw_nonzero().get());
        self.monitor.connections.fetch_add(1, Ordering::Relaxed);
        tracing::info!(vnic = self.name, pid, "guest connected");
        let mut session = Session::new(Arc::clone(&self.monitor), self.largest_mtu, pid);
        session.events().for_each(|event| (self.events)(event));
        self.guest = Some(Guest { socket, reader: Reader::default(), session });
        Ok(())
    }

    /// Takes a few messages of the guest.
    fn serve(&mut self) {
        let Some(guest) = &mut self.guest else { return };
        for _ in 0..MESSAGES_PER_TURN {
            match guest.turn() {
                Ok(more) => {
                    guest.session.events().for_each(|event| (self.events)(event));
                    if !more {
                        return;
                    }
                }
                Err(error) => {
                    match error {
                        WireError::Closed => tracing::info!(vnic = self.name, "{error}"),
                        _ => tracing::warn!(vnic = self.name, "guest disconnected by us: {error}"),
                    }
                    return self.leave();
                }
            }
        }
    }

    fn leave(&mut self) {
        let Some(mut guest) = self.guest.take() else { return };
        guest.session.close();
        let events: Vec<_> = guest.session.events().collect();
        // Whoever hears of the end finds all of the guest's descriptors closed.
        drop(guest);
        events.into_iter().for_each(|event| (self.events)(event));
        if matches!(self.door, Door::Client(_)) {
            self.retry = Some(Instant::now() + RETRY);
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Guest {
    /// Takes one message, if there is one; says so.
    fn turn(&mut self) -> Result<bool, WireError> {
        let Some(message) = self.reader.read(self.socket.as_fd())? else { return Ok(false) };
        let code = message.code;
        tracing::debug!(code, request = ?message.request(), payload = message.payload.len(), fds = message.fds.len(), "vhost-user");
        if let Some(payload) = self.session.handle(message) {
            message::reply(self.socket.as_fd(), code, &payload)?;
        }
        Ok(true)
    }

    /// The other end has closed and there is nothing left to read.
    fn is_gone(&self) -> bool {
        let mut byte = [0];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match recv(&self.socket, &mut byte[..], flags) {
            Ok((n, _)) => n == 0,
            Err(error) => error != Errno::AGAIN,
        }
    }
}
