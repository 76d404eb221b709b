//! Why a PDU is refused.

use super::{Malformed, Opcode, Status, TlvType};

/// What is wrong with a PDU, by name and place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Wrong {
    /// A length does not hold.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Another protocol version.
    #[error("protocol version {0}, not 1")]
    Version(u8),
    /// No such operation.
    #[error("unknown opcode {}", .0.0)]
    Opcode(Opcode),
    /// A request with a status.
    #[error("status {0} in a request")]
    StatusInRequest(Status),
    /// A TLV that must be there is not.
    #[error("{0} missing")]
    Missing(TlvType),
    /// A TLV that may be there once is there again.
    #[error("{0} twice")]
    Repeated(TlvType),
    /// A TLV has another length than its type has.
    #[error("{kind} of {length} octets")]
    Length {
        /// Which one.
        kind: TlvType,
        /// Octets of its value.
        length: usize,
    },
    /// A TLV's value is not allowed.
    #[error("{kind}: {why}")]
    Value {
        /// Which one.
        kind: TlvType,
        /// What about it.
        why: &'static str,
    },
}

impl Wrong {
    /// The status with which such a request is answered.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Version(_) => Status::VERSION,
            _ => Status::INVALID,
        }
    }
}
