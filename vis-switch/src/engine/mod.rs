//! The forwarding engine: pure functions of (tables, frames, now). No clock, thread, socket or log.
//!
//! A frame's way, one file a stage: [`parse`] its tags, [`admit`] it (whose is it, which VLAN, may it come in),
//! [`forward`] (learn its source, find its receiver), [`egress`] (write the outgoing head), [`outbox`] (group by
//! port, send). [`pipeline`] strings them together for a burst; [`Engine`](worker::Engine) is the
//! [`Worker`](niv_node::worker::Worker) around that.
//!
//! What the stages look up is compiled beforehand: [`tables`] from a [`Plan`](tables::Plan), [`flood`] sets by VLAN
//! [`classes`], [`vlan`] programs by interface, which may have an access list ([`acl`]) and [`private`] VLANs. What they
//! learn is in [`mac`]. Frames that stand for several, or lack a checksum, are `unfinished`. What they count is in [`counters`]; why they drop is in [`verdict`]. What passes between them and
//! the control plane is in [`control`], the frame that [`announce`]s a guest is made there, and what a capture of a port
//! shows is in [`capture`].
//!
//! ```
//! use std::sync::Arc;
//! use vis_switch::engine::{lif::LifId, mac::MacTable, tables::*, vlan::Program, worker::*};
//! use vntag::{ListId, VifId, Vntag};
//!
//! // One NIV link with two vEths in VLAN 10, and a list that reaches both.
//! let members = vec![5, 6];
//! let lists = vec![(ListId::new(1).unwrap(), members.clone())];
//! let program = Arc::new(Program::access(10));
//! let lifs = (1..).zip(members).map(|(slot, vif)| {
//!     let id = LifId::new(slot).unwrap();
//!     LifPlan::virt(id, 0, VifId::new(vif).unwrap(), program.clone(), Arc::default())
//! });
//! let plan =
//!     Plan { ports: vec![PortPlan::Static { lists }], lifs: lifs.collect(), ..Plan::default() };
//! let published = Arc::new(Published::new(Tables::compile(&plan, None)));
//! let mac = Arc::new(MacTable::new(1024, 7));
//! # let ports = Vec::new();
//! let mut engine = Engine::<Vntag>::new(ports, published, mac, Options::default());
//! niv_node::worker::Worker::turn(&mut engine, 0);
//! assert!(engine.counters().balance().holds());
//! ```

pub mod acl;
mod address;
mod admit;
mod announce;
pub mod capture;
pub mod classes;
pub mod control;
pub mod counters;
mod desk;
mod egress;
pub mod flood;
mod forward;
pub mod lif;
pub mod mac;
mod outbox;
mod parse;
mod pipeline;
pub mod private;
pub mod secure;
pub mod tables;
mod unfinished;
pub mod verdict;
pub mod vlan;
pub mod worker;

#[cfg(test)]
pub(crate) mod tests;
