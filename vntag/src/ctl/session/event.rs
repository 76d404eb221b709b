//! What a session tells its owner.

use core::fmt;

use super::super::{Hello, Refusal, Request, Response, Wrong};
use crate::ethernet::Mac;
use crate::lldp::{Id, NivFault};

/// A request of ours, from [`Session::request`](super::Session::request) to its response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Token(pub(super) u64);

/// A request of the peer's that wants a response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RequestId {
    /// Tells requests of different sessions apart.
    pub(super) epoch: u64,
    pub(super) seq: u16,
}

/// Who the peer is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerInfo {
    /// What it says about itself.
    pub hello: Hello,
    /// Its address on the link.
    pub mac: Mac,
    /// Its LLDP chassis id.
    pub chassis_id: Id,
    /// Its LLDP port id.
    pub port_id: Id,
    /// The session's number.
    pub session: u32,
    /// It was lost and is back without either end having begun anew.
    pub resumed: bool,
}

/// Why a peer was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LostCause {
    /// Three HELLOs missed.
    Silence,
    /// A request was sent five times without a response.
    Unanswered,
    /// It began anew: its boot id changed.
    Rebooted,
    /// It said that it was leaving (LLDP with TTL 0).
    Shutdown,
    /// Its LLDP information expired, or changed so that it is no NIV peer any more.
    Expired,
    /// The link went down.
    LinkDown,
    /// This end was shut down.
    Closed,
}

impl fmt::Display for LostCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silence => "three HELLOs missed",
            Self::Unanswered => "a request was not answered",
            Self::Rebooted => "the peer restarted",
            Self::Shutdown => "the peer shut down",
            Self::Expired => "the neighbour's LLDP information expired",
            Self::LinkDown => "link down",
            Self::Closed => "shut down here",
        })
    }
}

/// Why a neighbour is not the NIV peer of the port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotPeer {
    /// It does not speak NIV.
    NoNiv,
    /// It speaks NIV in another way.
    Unsupported(NivFault),
    /// It has the role that this end has.
    SameRole,
    /// It does not speak the control protocol, or this end does not.
    NoControl,
    /// The port has a peer already.
    Second {
        /// The peer's name.
        peer: String,
    },
}

impl fmt::Display for NotPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNiv => f.write_str("no NIV"),
            Self::Unsupported(fault) => fault.fmt(f),
            Self::SameRole => f.write_str("has the same role as this end"),
            Self::NoControl => f.write_str("control protocol not spoken"),
            Self::Second { peer } => write!(f, "second NIV peer, the port has {peer}"),
        }
    }
}

/// Why a request got no OK.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The peer says no.
    Refused(Refusal),
    /// The peer says yes in a way that makes no sense.
    Wrong(Wrong),
    /// The peer was lost. It may have acted, or may not.
    PeerLost,
    /// The peer takes no PDU of this length.
    TooLong,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(Refusal { status, cause: Some(cause) }) => write!(f, "{status}: {cause}"),
            Self::Refused(Refusal { status, cause: None }) => status.fmt(f),
            Self::Wrong(wrong) => write!(f, "wrong response: {wrong}"),
            Self::PeerLost => f.write_str("peer lost"),
            Self::TooLong => f.write_str("longer than the peer takes"),
        }
    }
}

/// Why a request is not even tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RequestError {
    /// There is no peer.
    #[error("no NIV peer")]
    NoPeer,
    /// As many requests as may be are waiting, or their responses were not fetched.
    #[error("too many requests waiting")]
    QueueFull,
    /// This end does not send such requests.
    #[error("a request of the other end")]
    Direction,
    /// It is wrong.
    #[error(transparent)]
    Wrong(#[from] Wrong),
}

/// Why a response is not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RespondError {
    /// The request is answered, or of a session that is over.
    #[error("no such request is waiting")]
    Unknown,
    /// The request was another one.
    #[error("a response to another kind of request")]
    Kind,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionEvent {
    /// There is a peer, and it hears us.
    PeerUp(Box<PeerInfo>),
    /// There is no peer any more. Requests without response have failed, in events before this one.
    PeerLost(LostCause),
    /// A neighbour that speaks NIV, or should, is refused.
    NeighborRefused {
        /// Its name.
        name: String,
        /// Why.
        why: NotPeer,
    },
    /// The peer wants something; answer it with [`Session::respond`](super::Session::respond).
    Request {
        /// What to answer.
        id: RequestId,
        /// What it wants.
        request: Request,
    },
    /// A request of ours has come to its end.
    Response {
        /// Which.
        token: Token,
        /// How.
        result: Result<Response, Failure>,
    },
}
