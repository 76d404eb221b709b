//! A port as its owner sees it: queues for the workers, a monitor for everyone else.

use crate::queue::{RxQueue, TxQueue};
use parking_lot::RwLock;
use std::sync::Arc;

/// Both directions of a port and what is known about it.
pub struct Port {
    /// Receiving queues; as many as the device has.
    pub rx: Vec<Box<dyn RxQueue>>,
    /// Sending queues; as many as the device has.
    pub tx: Vec<Box<dyn TxQueue>>,
    /// State and counters, readable from any thread.
    pub monitor: Arc<dyn Monitor>,
}

/// What anybody may ask a port at any time, from any thread.
pub trait Monitor: Send + Sync {
    /// Up, or down and why.
    fn state(&self) -> PortState;

    /// Name, value and one-line help of everything counted inside the device, drops included. Names are
    /// stable; an absent one is 0.
    fn counters(&self) -> Vec<PortCounter>;

    /// Has `tell` called after each change of the [`state`](Self::state), by whichever thread finds it: it wakes
    /// somebody, and neither blocks nor asks the port anything. The default is a port whose state never changes.
    fn on_change(&self, tell: Tell) {
        drop(tell);
    }
}

/// Tells somebody that something changed.
pub type Tell = Box<dyn Fn() + Send + Sync>;

/// Who is told when a port's state changes; a device has one of these and delegates
/// [`on_change`](Monitor::on_change) to it.
#[derive(Default)]
pub struct Changes(RwLock<Vec<Tell>>);

impl Changes {
    /// `tell` is called from now on.
    pub fn subscribe(&self, tell: Tell) {
        self.0.write().push(tell);
    }

    /// The state is another one.
    pub fn tell(&self) {
        self.0.read().iter().for_each(|tell| tell());
    }
}

impl core::fmt::Debug for Changes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Changes").field(&self.0.read().len()).finish()
    }
}

/// One counter of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortCounter {
    /// Snake case, unique within the device: `rx_bad_descriptor`.
    pub name: &'static str,
    /// Monotonic over the life of the process.
    pub value: u64,
    /// What it counts.
    pub help: &'static str,
}

impl PortCounter {
    /// Counters of what is as it should be: traffic, and what was asked for (a fault plan).
    const GOOD: [&str; 11] = [
        "rx_frames",
        "tx_frames",
        "tx_exchanged",
        "rx_octets",
        "tx_octets",
        "rx_calls",
        "tx_calls",
        "rx_unfinished",
        "connections",
        "guest_connections",
        "guest_link_downs",
    ];

    /// It grows because something goes wrong: frames lost or refused, peers that break the rules.
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        !Self::GOOD.contains(&self.name) && !self.name.starts_with("fault_")
    }
}

/// Whether frames can pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortState {
    /// Frames pass.
    Up,
    /// No frames pass; the cause is a short phrase for people: `no peer`, `bad descriptor index`.
    Down {
        /// Why.
        cause: String,
    },
}
