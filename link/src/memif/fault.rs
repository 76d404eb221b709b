//! Everything a peer can do wrong, each under its own name, and the counters of a port.

use crate::port::PortCounter;
use core::sync::atomic::{AtomicU64, Ordering};

macro_rules! faults {
    ($($(#[doc = $help:literal])+ $value:ident = $label:literal, $phrase:literal;)+) => {
        /// Why a connection ended, or was not let in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Fault { $($(#[doc = $help])+ $value),+ }

        impl Fault {
            /// Every one, in declaration order.
            pub(super) const ALL: &'static [Self] = &[$(Self::$value),+];

            /// Its counter.
            #[must_use]
            pub(super) fn counter(self) -> &'static str { match self { $(Self::$value => $label),+ } }

            /// A short phrase for people; also what the peer is told.
            #[must_use]
            pub(super) fn phrase(self) -> &'static str { match self { $(Self::$value => $phrase),+ } }

            /// One line of help.
            #[must_use]
            pub(super) fn help(self) -> &'static str { match self { $(Self::$value => concat!($($help),+).trim_ascii()),+ } }
        }
    };
}

faults! {
    /// The peer closed the connection, or died.
    PeerGone = "peer_gone", "peer gone";
    /// The peer said DISCONNECT.
    Disconnected = "peer_disconnected", "disconnected by the peer";
    /// A handshake was not finished in time.
    HandshakeTimeout = "handshake_timeout", "handshake timed out";
    /// A message of another length than 128 octets.
    BadMessageLength = "bad_message_length", "invalid message size";
    /// A message of an unknown type, or one that does not belong here.
    BadMessage = "bad_message", "unexpected message";
    /// The peer does not speak version 2.0.
    BadVersion = "bad_version", "incompatible memif version";
    /// The peer wants an interface that is not Ethernet.
    BadMode = "bad_mode", "only Ethernet mode is supported";
    /// The peer's secret is not ours.
    BadSecret = "bad_secret", "incorrect secret";
    /// A client asked for an interface number that is not served here.
    UnknownId = "unknown_id", "interface id not found";
    /// A second client asked for an interface that has one.
    AlreadyConnected = "already_connected", "already connected";
    /// More connections than are kept open at the same time.
    TooManyConnections = "too_many_connections", "too many connections";
    /// A message came without the file descriptor that belongs to it.
    MissingDescriptor = "missing_descriptor", "missing file descriptor";
    /// A message came with more file descriptors than belong to it.
    SurplusDescriptor = "surplus_descriptor", "surplus file descriptor";
    /// A region's index, size, memory or seals do not do.
    BadRegion = "bad_region", "invalid region";
    /// A ring's index, place, size, private header or eventfd do not do.
    BadRing = "bad_ring", "invalid ring";
    /// A ring does not begin with the cookie.
    BadCookie = "bad_cookie", "wrong ring cookie";
    /// The peer's head or tail is further away than the ring is long.
    BadIndex = "bad_index", "ring index out of range";
    /// A descriptor names a region that does not exist.
    BadDescriptorRegion = "bad_descriptor_region", "descriptor with an unknown region";
    /// A descriptor reaches outside of its region, or is an empty buffer.
    BadDescriptorBounds = "bad_descriptor_bounds", "descriptor out of bounds";
    /// A chain of descriptors has no end.
    BadChain = "bad_chain", "unfinished descriptor chain";
    /// A frame of more than 128 KiB.
    FrameTooLong = "frame_too_long", "frame too long";
    /// The peer cut off the file behind the memory it gave us.
    LostMemory = "lost_memory", "shared memory was cut off";
    /// This end has no memory, descriptor or mapping left for the connection.
    NoResources = "no_resources", "out of resources";
}

/// What a port counts beside the frames of its rings.
#[derive(Debug)]
pub(super) struct Counters {
    faults: [AtomicU64; Fault::ALL.len()],
    /// Connections that came up.
    pub(super) connections: AtomicU64,
    /// See [`list`](Self::list).
    pub(super) link_lost: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            faults: core::array::from_fn(|_| AtomicU64::new(0)),
            connections: AtomicU64::new(0),
            link_lost: AtomicU64::new(0),
        }
    }
}

impl Counters {
    /// Counts one.
    pub(super) fn fault(&self, fault: Fault) {
        self.faults[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Everything with name and help.
    #[must_use]
    pub(super) fn list(&self) -> Vec<PortCounter> {
        let of =
            |name, value: &AtomicU64, help| PortCounter { name, value: value.load(Ordering::Relaxed), help };
        let mut list = vec![
            of("connections", &self.connections, "Connections that came up."),
            of(
                "link_lost",
                &self.link_lost,
                "Frames that were sent but not read by the peer when the link went down.",
            ),
        ];
        let faults = Fault::ALL.iter().zip(&self.faults);
        list.extend(faults.map(|(fault, value)| of(fault.counter(), value, fault.help())));
        list
    }
}
