//! What the control plane is told at its start and never again.

use crate::config::running::EthernetId;
use vntag::ctl::Name;
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;

/// The node and its ports.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which node this is; kept in its state folder.
    pub node_uuid: Uuid,
    /// The node's name.
    pub node_name: Name,
    /// Random at each start: a peer that sees another one knows that everything before is void.
    pub boot_id: u64,
    /// Requests that may be outstanding on a link, each way.
    pub window: u16,
    /// Nanoseconds from 1970 to the zero of the clock that all calls are given: for what is kept longer than this
    /// process lives.
    pub epoch: u64,
    /// In the engine's order; a port's place here is its index everywhere.
    pub ports: Vec<PortConfig>,
}

impl Config {
    /// A window that keeps a link of some hundred microseconds busy while thousands of VIFs come up.
    pub const WINDOW: u16 = 128;
}

/// A port of the chassis.
#[derive(Clone, Debug)]
pub struct PortConfig {
    /// Its name.
    pub id: EthernetId,
    /// Source address of control frames sent there.
    pub mac: Mac,
    /// As an NIV link it negotiates VIFs and lists; if not, they are static.
    pub negotiation: bool,
    /// Octets this end takes in one frame there.
    pub max_frame: u32,
}
