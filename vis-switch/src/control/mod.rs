//! The switch's end of the control plane, as a pure machine: (state, input, now) to (state, output). No clock, thread,
//! socket or log.
//!
//! # How to drive it
//!
//! 1. *In*, any number of them: [`handle_link`](Control::handle_link), [`handle_frame`](Control::handle_frame),
//!    [`configure`](Control::configure), [`published`](Control::published), [`stored`](Control::stored),
//!    [`shutdown`](Control::shutdown).
//! 2. [`turn`](Control::turn), once after them and at [`next_deadline`](Control::next_deadline).
//! 3. *Out*: [`poll_transmit`](Control::poll_transmit) for each port until `None`, then
//!    [`poll_output`](Control::poll_output) until `None`.
//!
//! All inputs between two turns are one change of the [`Forwarding`]. Times are nanoseconds that never go back.

mod event;
pub mod forwarding;
pub mod lists;
mod output;
mod record;
mod setup;
mod view;

pub use event::{Event, Severity};
pub use forwarding::Forwarding;
pub use output::Output;
pub use record::{Identity, RecordError, StoreOp, StoreTicket, VethRecord};
pub use setup::{Config, PortConfig};
pub use view::{DownCause, NamespaceView, PendingView, VethState, VethView, VifStanding, VifView};

use crate::config::running::RunningConfig;
use std::collections::VecDeque;
use std::sync::Arc;
use vntag::VifId;
use vntag::ctl::session::Session;

/// A state of the [`Forwarding`]. Later ones are greater; one in effect means that all before it are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Change(pub u64);

/// The switch's end of the control plane. See the [module](self).
#[derive(Debug)]
pub struct Control {
    forwarding: Forwarding,
    outputs: VecDeque<Output>,
}

impl Control {
    /// Control of a node whose links are down. `records` are what was stored.
    #[must_use]
    pub fn new(_config: Config, _records: Vec<VethRecord>, _running: Arc<RunningConfig>) -> Self {
        Self { forwarding: Forwarding::default(), outputs: VecDeque::new() }
    }

    // ----- from outside -----

    /// The device under a port came up or went down; ordinary ports too.
    pub fn handle_link(&mut self, _now: u64, _port: usize, _up: bool) {}

    /// An untagged frame of the control plane (LLDP, VIF control) arrived at an NIV port.
    pub fn handle_frame(&mut self, _now: u64, _port: usize, _frame: &[u8]) {}

    // ----- from the owner -----

    /// From now on this is configured. It takes effect with the next turn, and never fails.
    pub fn configure(&mut self, _now: u64, _running: Arc<RunningConfig>) {}

    /// The forwarding of this change, or of a later one, is in effect in every worker.
    pub fn published(&mut self, _now: u64, _change: Change) {}

    /// This group, and all before it, are on disk.
    pub fn stored(&mut self, _now: u64, _ticket: StoreTicket) {}

    /// Says good-bye on all links.
    pub fn shutdown(&mut self, _now: u64) {}

    /// Does what is due and what all the inputs since the last turn come to.
    pub fn turn(&mut self, _now: u64) {}

    // ----- what is to be done -----

    /// The next frame to send at a port.
    pub fn poll_transmit(&mut self, _now: u64, _port: usize) -> Option<Vec<u8>> {
        None
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`turn`](Self::turn) has to be called although nothing else happened.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        None
    }

    // ----- to be read -----

    /// What the data path has to do.
    #[must_use]
    pub fn forwarding(&self) -> &Forwarding {
        &self.forwarding
    }

    /// All vEths, by number.
    pub fn veths(&self) -> impl Iterator<Item = VethView<'_>> {
        core::iter::empty()
    }

    /// A vEth.
    #[must_use]
    pub fn veth(&self, _number: u32) -> Option<VethView<'_>> {
        None
    }

    /// The vNICs that are refused.
    pub fn pending(&self) -> impl Iterator<Item = PendingView<'_>> {
        core::iter::empty()
    }

    /// The VIFs of a port, by id.
    pub fn vifs(&self, _port: usize) -> impl Iterator<Item = VifView<'_>> {
        core::iter::empty()
    }

    /// A VIF.
    #[must_use]
    pub fn vif(&self, _port: usize, _vif: VifId) -> Option<VifView<'_>> {
        None
    }

    /// The VIF ids of a port that negotiates.
    #[must_use]
    pub fn namespace(&self, _port: usize) -> Option<NamespaceView> {
        None
    }

    /// The session of a port that negotiates: state, neighbours, peer, counters.
    #[must_use]
    pub fn session(&self, _port: usize) -> Option<&Session> {
        None
    }

    /// The vEths whose adapters ask for a profile, whether or not another one is typed on them.
    pub fn asking(&self, _profile: &str) -> impl Iterator<Item = u32> {
        core::iter::empty()
    }
}
