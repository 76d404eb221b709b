//! memif: frames through memory that two processes share. Version 2.0, Ethernet mode, both ends.
//!
//! The **client** creates the memory (one memfd with rings and buffers), an eventfd for each ring, and hands
//! them over a Unix socket to the **server**, which maps them ([`handshake`], [`message`]). Then frames move
//! without system calls ([`ring`], [`rx`], [`tx`]): a ring is a pair of indices and an array of descriptors; one
//! end fills buffers and moves one index, the other reads them and moves the other. A receiver that is about to
//! sleep clears the ring's mask bit and is woken through the eventfd; while it polls, nobody calls anybody.
//!
//! | ring | who owns the buffers | `head` is moved by | `tail` is moved by |
//! |---|---|---|---|
//! | S2M, client to server | client | client, when it has filled | server, when it has read |
//! | M2S, server to client | client | client, when it posts empty buffers | server, when it has filled |
//!
//! A frame that is longer than a buffer takes several descriptors, chained by a flag. The last socket to close is
//! a death notice: each connection gets new memory, and frames that the peer had not read are counted
//! (`link_lost`).
//!
//! The names S2M and M2S are the protocol's; it used to call the client slave.
//!
//! **Interoperation.** DPDK's `net_memif` works as either end; what it does beside the protocol is noted where
//! we allow for it. As a server it goes by *its own* idea of the size of our buffers, both when it fills them and
//! when it empties them: `buffer_size` must be its `bsize` (2,048 in both unless said). Buffers lie 2,112 octets
//! apart nevertheless, because beginnings at multiples of a power of two would all share a few cache sets.
//!
//! **Unfinished frames.** Two ends of ours pass on what a sender left undone in a frame: checksums and super-frames of
//! up to 64 KiB. Each announces it where no other peer looks ([`message::Extensions`]); what is undone is in the metadata of a
//! frame's first descriptor ([`metadata`]), so that frames, buffers and rings are those that everybody knows. A peer
//! that did not announce it gets complete frames only.
//!
//! **Short frames.** Those of up to 128 octets lie in places of their own, close together ([`ring::SHORT`]). A client sends any server such
//! frames, for where they lie is its own business; for those that it gets, it names the place in the metadata of an empty buffer, to a
//! server that announced that it reads it.
//!
//! **Exchange.** A frame that a server of ours sends back where it came from, as a switch does between two interfaces behind one
//! link, is not copied: the two descriptors change places ([`pool`]). Both ends announce that; other peers never see it.
//!
//! **Trust.** Neither end believes the other. Each index is checked against the length of the ring, each
//! descriptor is copied once and checked against its region, each message against the state of the handshake.
//! What does not hold ends the connection under its own name and counter ([`fault`]); the port then listens or
//! connects again by itself. Of its memory a client can take nothing back: it is sealed, where it can be sealed.

mod control;
mod fault;
mod handshake;
mod layout;
pub mod message;
mod metadata;
mod pool;
mod queues;
#[allow(unsafe_code)]
mod region;
#[allow(unsafe_code)]
mod ring;
#[allow(unsafe_code)]
mod rx;
mod socket;
mod source;
mod tx;

pub use crate::device::Role;
use crate::error::OpenError;
use crate::port::Port;
use crate::queue::{RxQueue, TxQueue};
use control::Control;
use layout::Layout;
use queues::{Alive, MemifMonitor, MemifRx, MemifTx, Shared};
use socket::Listener;
use std::path::PathBuf;
use std::sync::Arc;

/// One end of a memif.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Path of the socket, or its abstract name.
    pub socket: PathBuf,
    /// `socket` is a name in the abstract namespace.
    pub abstract_socket: bool,
    /// Number of the interface on the socket. A server serves one.
    pub id: u32,
    /// Which end this is.
    pub role: Role,
    /// Queues by which this end sends; the peer may have fewer rings for them, then they share.
    pub queues: u16,
    /// Queues by which it receives.
    pub receive: Receive,
    /// Logarithm of the length of the rings (a client's choice).
    pub log2_ring_size: u8,
    /// Octets of a buffer (a client's choice); longer frames take several. Should be what the peer thinks it is:
    /// see [the module](self) about `net_memif`.
    pub buffer_size: u32,
    /// What the peer is told that we are.
    pub name: String,
    /// What the other end has to know.
    pub secret: Option<String>,
    /// The peer is told that it may leave checksums and segmentation undone, and may be left such frames.
    pub unfinished: bool,
}

impl Config {
    /// An end with the usual values.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>, role: Role) -> Self {
        Self {
            socket: socket.into(),
            abstract_socket: false,
            id: 0,
            role,
            queues: 1,
            receive: Receive::AsMany,
            log2_ring_size: 10,
            buffer_size: 2048,
            name: "niv".into(),
            secret: None,
            unfinished: true,
        }
    }

    /// Queues by which it receives.
    fn receives(&self) -> u16 {
        match self.receive {
            Receive::AsMany => self.queues,
            Receive::UpTo(most) => most,
        }
    }

    /// As it is written in a configuration file.
    fn device(&self) -> String {
        let at = if self.abstract_socket { "@" } else { "" };
        format!("memif:{at}{}", self.socket.display())
    }

    fn check(&self) -> Result<(), OpenError> {
        let bad = |what: String| Err(OpenError::new(&self.device(), what));
        for queues in [self.queues, self.receives()] {
            if !(1..=MAX_QUEUES).contains(&queues) {
                return bad(format!("queues must be 1 to {MAX_QUEUES}, not {queues}"));
            }
        }
        if !(1..=message::MAX_LOG2_RING_SIZE).contains(&self.log2_ring_size) {
            let most = message::MAX_LOG2_RING_SIZE;
            return bad(format!("log2_ring_size must be 1 to {most}, not {}", self.log2_ring_size));
        }
        if self.buffer_size < tx::MIN_BUFFER
            || Layout::new(self.queues + self.receives(), self.log2_ring_size, self.buffer_size).is_none()
        {
            let least = tx::MIN_BUFFER;
            return bad(format!(
                "buffer_size must be {least} or more, and all buffers less than 4 GiB together"
            ));
        }
        if self.secret.as_ref().is_some_and(|secret| secret.len() > 23) {
            return bad("secret must not be longer than 23 octets".into());
        }
        Ok(())
    }
}

/// By how many queues an end receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// As many as it sends by, whoever the peer is.
    AsMany,
    /// As many as the peer sends by, and no more than this. Only an end of ours tells how many that are; with any other
    /// server, which may offer hundreds, a client has one ring in each direction.
    UpTo(u16),
}

/// Rings for each direction that a port may have.
pub const MAX_QUEUES: u16 = 256;

/// Opens one end. The peer may come and go at any time; a server's socket is there when this returns.
///
/// # Errors
/// A value of the configuration does not do, the socket cannot be made, or somebody else listens there.
pub fn open(config: Config) -> Result<Port, OpenError> {
    config.check()?;
    let device = config.device();
    let listener = match config.role {
        Role::Server => Some(Listener::bind(&config)?),
        Role::Client => None,
    };
    let (send, receive) = (config.queues, config.receives());
    let shared = Shared::new(receive, send)
        .map_err(|error| OpenError::io(&device, "cannot make its events", error.into()))?;
    let shared = Arc::new(shared);
    let thread = std::thread::Builder::new().name(format!("memif-{}", config.id));
    let control = Control::new(config, Arc::clone(&shared), listener);
    let thread = thread
        .spawn(move || control.run())
        .map_err(|error| OpenError::io(&device, "cannot start its thread", error))?;
    let alive = Arc::new(Alive::new(shared, thread));
    Ok(Port {
        rx: (0..usize::from(receive))
            .map(|i| Box::new(MemifRx::new(i, Arc::clone(&alive))) as Box<dyn RxQueue>)
            .collect(),
        tx: (0..usize::from(send))
            .map(|i| Box::new(MemifTx::new(i, Arc::clone(&alive))) as Box<dyn TxQueue>)
            .collect(),
        monitor: Arc::new(MemifMonitor { alive }),
    })
}

#[cfg(test)]
mod tests;
