//! Wire formats of network interface virtualization.
//!
//! A library without I/O, clock, panic or `unsafe`. Two layers with different judgement:
//!
//! - **Lossless values** ([`Vntag`], [`Etag`], [`VlanTag`]) say where the bits are. They hold every pattern a wire
//!   can carry and judge nothing, so that a bad frame can still be shown in full.
//! - **Legal forms** ([`UpTag`], [`DownTag`]) admit only what may be sent. Turning a value into one of them gives
//!   a [`Fault`] that names the rule when it is not legal.
//!
//! [`NivTag`] is what the engines are written against, so that E-TAG can be a second tag and not a second
//! product. [`Head`] is the private copy of a frame's first octets in which tags are inserted and removed.
//!
//! Field names are those of the VNTag slides and of Wireshark; rule names (`V5`, `I9` ...) are those of
//! `docs/observability.md`.

#![forbid(unsafe_code)]

pub mod etag;
pub mod ethernet;
pub mod head;
pub mod legal;
pub mod tag;
pub mod untagged;
pub mod vlan;

pub use etag::Etag;
pub use head::Head;
pub use legal::{DownTag, Fault, ListId, NivTag, Target, UpTag, VifId};
pub use tag::Vntag;
pub use untagged::Untagged;
pub use vlan::VlanTag;
