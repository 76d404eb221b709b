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
//! product. [`Head`] is the private copy of a frame's first octets in which tags are inserted and removed;
//! [`splice`] does it while a frame is copied. [`convert`] turns one tag into the other. [`Headers`] reads the front
//! of any frame, [`check`] names everything that is wrong with it. [`offload`] finishes what a sender left undone in a frame:
//! checksums, segmentation of TCP and UDP. [`ctl`] is the control protocol of a link, [`lldp`] the discovery before it.
//!
//! ```
//! use vntag::{Headers, Outer, check};
//!
//! let frame = [
//!     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0, 0, 1, // addresses
//!     0x89, 0x26, 0x80, 0x00, 0x00, 0x05, // VNTag: d=1, src_vif=5
//!     0x08, 0x06,
//! ];
//! let headers = Headers::parse(&frame);
//! let Some(Outer::Vntag(tag)) = headers.outer else { panic!("no VNTag") };
//! assert_eq!((tag.d(), tag.src_vif(), headers.ethertype), (true, 5, Some(0x0806)));
//! let wrong: Vec<_> = check::up(&frame, frame.len()).iter().map(|line| line.name()).collect();
//! assert_eq!(wrong, ["V5"]);
//! ```
//!
//! Field names are those of the VNTag slides and of Wireshark; rule names (`V5`, `I9` ...) are those of
//! `docs/observability.md`.

#![forbid(unsafe_code)]

pub mod check;
pub mod convert;
pub mod ctl;
pub mod etag;
pub mod ethernet;
pub mod head;
pub mod headers;
pub mod legal;
pub mod lldp;
mod niv;
pub mod offload;
pub mod splice;
pub mod tag;
pub mod untagged;
pub mod uuid;
pub mod vlan;

pub use check::{Violation, Violations};
pub use convert::{Direction, Refused};
pub use etag::Etag;
pub use head::Head;
pub use headers::{Headers, Outer};
pub use legal::{DownTag, Fault, ListId, NivTag, Target, UpTag, VifId};
pub use tag::Vntag;
pub use untagged::Untagged;
pub use uuid::Uuid;
pub use vlan::VlanTag;
