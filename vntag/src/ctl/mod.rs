//! The VIF control protocol: what an adapter (IV) and a switch (VIS) say to each other about virtual interfaces.
//!
//! Control PDUs are untagged frames to [`DESTINATION`], one PDU a frame, each a header of 16 octets and TLVs; all
//! integers are big-endian. `docs/protocol.md` shows one of every kind to the octet.
//!
//! Two layers, as everywhere in this crate:
//!
//! - [`Pdu`] is a view that loses nothing: it shows header fields of any value and walks over all TLVs, known or not.
//! - [`Message`] admits only what the protocol allows: a [`Hello`], a [`Request`], a [`Response`] or a [`Refusal`],
//!   with legal contents. Unknown TLVs are skipped and counted; anything else that is not allowed gives a [`Wrong`].
//!
//! [`provisioning`] is the blob in which a VIF's wishes travel; [`session`] is the transport that both ends share.

mod codes;
mod fields;
mod hello;
mod message;
mod pdu;
pub mod provisioning;
mod request;
mod response;
pub mod session;
mod timers;
mod values;
mod wrong;

pub use codes::{Opcode, Status, TlvType};
pub use hello::Hello;
pub use message::{Body, Message, Parsed};
pub use pdu::{HEADER_LEN, Header, Malformed, Pdu, Tlv, Tlvs, VERSION, Writer};
pub use provisioning::Provisioning;
pub use request::Request;
pub use response::{Refusal, Response};
pub use timers::Timers;
pub use values::{
    Cause, Counters, EventCode, Flags, InitialState, Limits, Name, Role, VifParams, VifState, Vifs, VlanMode,
};
pub use wrong::Wrong;

use crate::ethernet::Mac;

/// Where LLDP and control PDUs go: the nearest bridge.
pub const DESTINATION: Mac = Mac([0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e]);
/// The longest PDU, header included: what fits a frame of 1,500 octets payload.
pub const MAX_PDU: usize = 1500;
/// VIFs in one vector; in LIST_MOD, in both vectors together.
pub const MAX_VIFS: usize = 512;
