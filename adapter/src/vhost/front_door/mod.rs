//! The front door: one thread that never blocks, for all vNICs and all their front ends.
//!
//! ```text
//!   add, remove, set_carrier
//!        |  mailbox
//!        v
//!   Turns: epoll [ mailbox, listeners, connections, processes, QMP ] and deadlines
//!        |
//!        v
//!   Host, one per vNIC ----FrontendEvent----> the adapter
//!     its door; its guest: Reader -> Session -> RingSlot; its link
//! ```
//!
//! Every socket is non-blocking; a turn takes a few messages of each connection that has any. A front end that
//! sends half a message, does not read its replies, or disappears, concerns its own vNIC only. What a turn costs
//! grows with what has happened, not with the number of vNICs. The one thing that takes long, giving back a guest's
//! memory, is done by a thread of its own.

mod host;
mod link;
mod turns;

use super::listen::{Door, ListenError, Listener, Place};
use super::session::{Discard, Memory};
use super::vnic::{FrontendEvent, Vnic, VnicConfig, VnicMonitor};
use host::Host;
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use turns::Turns;

/// Queue pairs of a vNIC at the most: vhost-user numbers rings with eight bits.
const MAX_QUEUE_PAIRS: u16 = 128;

/// Called on the front door's thread; must not block.
pub type EventSink = Box<dyn Fn(FrontendEvent) + Send>;

/// Why a vNIC was not added. Its name is not in it.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// No vNIC can have that many.
    #[error("{0} queue pairs (1 to {MAX_QUEUE_PAIRS} are possible)")]
    QueuePairs(u16),
    /// There is one of this name.
    #[error("there is one of this name already")]
    Exists,
    /// Its socket could not be made.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The kernel gave no more descriptors.
    #[error(transparent)]
    System(#[from] io::Error),
}

enum Command {
    Add(Box<Host>, mpsc::SyncSender<bool>),
    Remove(String, mpsc::SyncSender<bool>),
    SetCarrier(String, Option<String>),
    Stop,
}

/// Commands to the thread, and what wakes it.
struct Mailbox {
    commands: Mutex<Vec<Command>>,
    wake: OwnedFd,
}

impl Mailbox {
    fn send(&self, command: Command) {
        let mut commands = self.commands.lock();
        commands.push(command);
        // Those before the first have woken it.
        if commands.len() == 1 {
            let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        }
    }

    fn take(&self) -> Vec<Command> {
        // The counter first: who sends after it is empty wakes again.
        let mut counter = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut counter[..]);
        core::mem::take(&mut *self.commands.lock())
    }
}

/// The thread and the way to it. Dropping it ends all connections and removes all sockets.
pub struct FrontDoor {
    mailbox: Arc<Mailbox>,
    thread: Option<JoinHandle<()>>,
    discard: Discard,
}

impl FrontDoor {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the kernel gives no thread or descriptor.
    pub fn start() -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let mailbox = Arc::new(Mailbox { commands: Mutex::default(), wake });
        let turns = Turns::new(Arc::clone(&mailbox))?;
        let thread = thread::Builder::new().name("front-door".to_owned()).spawn(move || turns.run())?;
        let (discard, discarded) = mpsc::channel();
        // Ends when nobody can send to it any more.
        thread::Builder::new()
            .name("unmapping".to_owned())
            .spawn(move || discarded.into_iter().for_each(drop::<Memory>))?;
        Ok(Self { mailbox, thread: Some(thread), discard })
    }

    /// Adds a vNIC. Its queues stay the same through any number of guests; `events` hears of them. Its link is up.
    ///
    /// # Errors
    /// When the configuration makes no sense, the name is taken, or the socket cannot be made.
    pub fn add(&self, config: &VnicConfig, events: EventSink) -> Result<Vnic, AddError> {
        if config.queue_pairs == 0 || config.queue_pairs > MAX_QUEUE_PAIRS {
            return Err(AddError::QueuePairs(config.queue_pairs));
        }
        let monitor = Arc::new(VnicMonitor::new(config.name.clone(), config.queue_pairs)?);
        let door = if config.client {
            Door::Client(config.socket.clone())
        } else {
            let place =
                Place { path: config.socket.clone(), mode: config.socket_mode, group: config.socket_group };
            // Here and not on the thread, so that what is wrong with the path is this call's error.
            let listener = Listener::bind(&place)?;
            Door::Listener { place, open: Some(listener) }
        };
        let host = Host::new(config, door, Arc::clone(&monitor), self.discard.clone(), events);
        let (done, wait) = mpsc::sync_channel(1);
        self.mailbox.send(Command::Add(Box::new(host), done));
        match wait.recv() {
            Ok(true) => Ok(Vnic::new(monitor)),
            Ok(false) => Err(AddError::Exists),
            Err(_) => Err(io::Error::other("the front door has closed").into()),
        }
    }

    /// Removes a vNIC: its guest is disconnected, its rings stop, its socket is gone when this returns. Says
    /// whether there was one of this name.
    pub fn remove(&self, name: &str) -> bool {
        let (done, wait) = mpsc::sync_channel(1);
        self.mailbox.send(Command::Remove(name.to_owned(), done));
        wait.recv().unwrap_or(false)
    }

    /// Takes the link of a vNIC down, for a cause in words that people read, or up (`None`). Does not wait: what the
    /// guest sees, and what keeps it from seeing what it should, is in [`VnicMonitor::carrier`]. A name that no vNIC
    /// has is passed over.
    ///
    /// With [`LinkSignal::Socket`](super::LinkSignal::Socket) a guest whose driver runs is disconnected within a
    /// fraction of a second, and finds a listener again when the link is up. A front end that was never there before
    /// is served first, whatever the link is to be: QEMU starts no guest before. It is disconnected when its driver
    /// runs.
    pub fn set_carrier(&self, name: &str, down: Option<String>) {
        self.mailbox.send(Command::SetCarrier(name.to_owned(), down));
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
