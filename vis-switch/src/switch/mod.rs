//! A whole switch: an [`Engine`](crate::engine::worker::Engine) for each worker, a [`Controller`] for the control thread, and a [`Switch`] for
//! everybody else, who configures it and asks it.
//!
//! ```text
//! API threads ───► Mutex<State> ◄─── control thread ── tables, orders ──► workers
//! (lines, show)    configuration,      ▲        │                          │
//!                  Control, Slots      │        └─ records ─► store thread │
//!                                      └── done, applied, punted frames ───┘
//! ```
//!
//! Nothing here is on the path of a frame. What a worker shares with the others are the published tables, the learned
//! addresses, the counters, and two bounded mailboxes: one of its own for orders, and one for what all of them punt. What happens is that somebody takes the [`State`]'s lock, gives
//! the control plane what came, and carries out what it then wants: `State::turn`. It is the same for the control thread
//! and for an API thread that changes the configuration; the control thread sleeps until there is something.
//!
//! **What is kept** goes to a [store](niv_node::store) (the keys are in `keep.rs`): the running configuration before its
//! change takes effect and is acknowledged, records of vEths before their adapters get their answer, counters before
//! they are told. A store that fails stops no frame: changes are refused, adapters wait for their answers, and
//! [`Switch::health`] says so.

mod addresses;
mod assemble;
mod controller;
mod counting;
mod keep;
mod log;
mod publish;
pub mod saved;
mod security;
pub mod start;
mod state;
#[cfg(test)]
mod tests;
mod wake;

pub use assemble::{AssembleError, Assembled, IN_EFFECT, Parts, assemble};
pub use controller::Controller;
pub use counting::{Clearing, Traffic};
pub use keep::{Kept, KeptError};
pub use state::State;

use crate::config::chassis::Chassis;
use crate::config::running::{EthernetId, PortMode, RunningConfig};
use crate::config::slots::Owner;
use crate::config::text;
use crate::control;
use crate::engine::capture::Captures;
use crate::engine::control::Order;
use crate::engine::counters::AllCounters;
use crate::engine::mac::MacTable;
use crate::engine::tables::{Published, Tables};
use keep::KEPT;
use link::{Monitor, PortState};
use niv_node::accounting::Accounting;
use niv_node::command::CommandError;
use niv_node::config::Node;
use niv_node::counter::Counter;
use niv_node::event::{EventLog, rfc3339};
use niv_node::mailbox::{self, Sender};
use niv_node::sandbox;
use niv_node::store::{Op, Store, outcome};
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;
use wake::Wake;

/// How long `show` waits until what it is about to tell is kept.
const TOLD: Duration = Duration::from_secs(5);

/// Why an interface passes no frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Down {
    /// Its state: `down`, or `err-disabled` where a violation did it.
    pub word: &'static str,
    /// The cause, for people.
    pub cause: String,
}

impl Down {
    /// By a cause of the control plane.
    #[must_use]
    pub fn of(cause: &control::DownCause) -> Self {
        Self { word: cause.word(), cause: cause.to_string() }
    }
}

/// A port as the administrator sees it.
pub struct SwitchPort {
    /// Its name.
    pub id: EthernetId,
    /// Its address, from which control frames are sent.
    pub mac: Mac,
    /// Its device, as it is written in the file.
    pub device: String,
    /// State and counters of the device.
    pub monitor: Arc<dyn Monitor>,
}

/// The side of a switch that does not move frames. All of it may be called from any thread but a worker's.
pub struct Switch {
    /// The node's name.
    pub name: String,
    /// The node's UUID.
    pub uuid: Uuid,
    /// In the engine's order.
    pub ports: Vec<SwitchPort>,
    /// What the workers count.
    pub counters: AllCounters,
    /// Where captures of its ports begin, by their index.
    pub captures: Captures,
    /// What happened.
    pub events: EventLog,
    /// Who changed what.
    pub accounting: Accounting,
    /// When it was put together, on its clock.
    pub started: u64,
    /// What the process has given up.
    pub sandbox: sandbox::Report,
    /// Nanoseconds from 1970 to the zero of that clock.
    epoch: u64,
    /// Frames of the control plane that the worker had no room for; written under the lock of `state`.
    unsent: Counter,
    chassis: Chassis,
    names: Vec<EthernetId>,
    published: Arc<Published>,
    mac: Arc<MacTable>,
    /// One for each worker.
    orders: Vec<Sender<Order>>,
    store: Arc<dyn Store>,
    wake: Arc<Wake>,
    now: fn() -> u64,
    in_effect: Duration,
    state: Mutex<State>,
    /// Held by whoever changes the configuration; taken before `state`.
    changing: Mutex<()>,
}

impl Switch {
    /// What is configured and what has become of it, for reading.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The time now, as the control plane has it.
    #[must_use]
    pub fn now(&self) -> u64 {
        (self.now)()
    }

    /// A moment of that time as a date: `2026-11-22T16:20:01.123Z`. Before the switch was put together: that moment.
    #[must_use]
    pub fn date(&self, at: u64) -> String {
        rfc3339(UNIX_EPOCH + Duration::from_nanos(self.epoch.saturating_add(at.max(self.started))))
    }

    /// The tables that count now.
    #[must_use]
    pub fn tables(&self) -> Arc<Tables> {
        self.published.current()
    }

    /// Frames of the control plane that the worker had no room for.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        self.unsent.get()
    }

    /// Changes the configuration: `edit` gets a copy, and what it returns is kept, takes effect, all at once, and is in
    /// effect in every worker when this returns. One change at a time.
    ///
    /// # Errors
    /// What `edit` refuses, or that the store does not keep it; then nothing has changed.
    pub fn change<T>(
        &self,
        edit: impl FnOnce(RunningConfig) -> Result<(RunningConfig, T), CommandError>,
    ) -> Result<T, CommandError> {
        let answer = {
            let _one = self.changing.lock();
            let before = Arc::clone(&self.state.lock().config);
            let (config, answer) = edit((*before).clone())?;
            if config != *before {
                let text = |config: &RunningConfig| keep::running(Some(text::running_config(config)));
                let batch = vec![text(&config)];
                self.commit(config, batch, vec![text(&before)])?;
            }
            answer
        };
        // Sticky addresses may have waited for it.
        self.wake.wake();
        Ok(answer)
    }

    /// Has `batch` kept, and the configuration in force in every worker. `back` is to be kept if it is not sure that the batch
    /// was.
    fn commit(&self, mut config: RunningConfig, batch: Vec<Op>, back: Vec<Op>) -> Result<(), CommandError> {
        self.keep(batch, back)?;
        let last = {
            let mut state = self.state.lock();
            let now = self.now();
            config.count_on(&state.config);
            state.config = Arc::new(config);
            let running = Arc::clone(&state.config);
            state.control.configure(now, running);
            state.publishing.want(None);
            state.turn(self, now);
            state.publishing.last()
        };
        self.wake.wake();
        self.events.record(&log::configured());
        let waiting = last.filter(|_| self.in_effect > Duration::ZERO);
        if waiting.is_some_and(|last| !last.wait(&self.orders, self.in_effect)) {
            tracing::warn!("a worker does not take the new configuration");
        }
        Ok(())
    }

    /// Has `batch` kept. `back` is to be kept if it is not sure that the batch was.
    fn keep(&self, batch: Vec<Op>, back: Vec<Op>) -> Result<(), CommandError> {
        let (done, kept) = outcome();
        self.store.submit(batch, done);
        if let Err(error) = kept.wait_for(KEPT) {
            // Whatever is kept in the end is to be what is in force.
            self.store.submit(back, Box::new(drop));
            self.state.lock().store_fails(self, &error);
            return Err(CommandError::refused(format!(
                "Nothing was changed, because it cannot be kept: {error}."
            )));
        }
        self.state.lock().store_works(self);
        Ok(())
    }

    /// What interfaces sent to the switch and got from it. What a vEth's counters show is kept before this returns, so
    /// that they never go back. Interfaces that do not exist are left out.
    #[must_use]
    pub fn traffic(&self, owners: impl IntoIterator<Item = Owner>) -> BTreeMap<Owner, Traffic> {
        let (read, kept) = {
            let mut state = self.state.lock();
            let read = state.read(self, owners);
            let batch = state.books.tell(&read);
            let (done, kept) = outcome();
            // An empty one, too: it is done when those before it are.
            self.store.submit(batch, done);
            (read, kept)
        };
        if let Err(error) = kept.wait_for(TOLD) {
            let mut state = self.state.lock();
            state.books.not_written();
            state.store_fails(self, &error);
        }
        read
    }

    /// From now on pages show what these interfaces count beyond this, until the switch restarts. Metrics, and what is kept,
    /// go on.
    pub fn clear_counters(&self, counted: impl IntoIterator<Item = (Owner, Traffic)>) {
        self.state.lock().books.clear(self.now(), counted);
    }

    /// Has all counters kept.
    ///
    /// # Errors
    /// Why they are not.
    pub fn keep_counters(&self) -> Result<(), niv_node::store::StoreError> {
        self.state.lock().keep_counters(self);
        let (done, kept) = outcome();
        self.store.submit(Vec::new(), done);
        kept.wait_for(KEPT).and(self.store.health())
    }

    /// One line for the service manager.
    #[must_use]
    pub fn status(&self) -> String {
        let up = self.ports.iter().filter(|port| port.monitor.state() == PortState::Up).count();
        match self.health() {
            Ok(()) => format!("{up} of {} ports up", self.ports.len()),
            Err(error) => format!("{up} of {} ports up; {error}", self.ports.len()),
        }
    }

    /// Whether everything works.
    ///
    /// # Errors
    /// What does not.
    pub fn health(&self) -> Result<(), String> {
        self.store.health().map_err(|error| format!("state cannot be kept: {error}"))
    }

    /// The `[node]` section of its file.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.chassis.node
    }

    /// The folder in which state is kept.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.chassis.node.state_dir
    }

    /// The port with this name and its index.
    #[must_use]
    pub fn port(&self, id: EthernetId) -> Option<(usize, &SwitchPort)> {
        self.ports.iter().enumerate().find(|(_, port)| port.id == id)
    }

    /// Why an interface passes no frames, and the word for its state; `None` where it does.
    #[must_use]
    pub fn down(&self, state: &State, owner: Owner) -> Option<Down> {
        match owner {
            Owner::Ethernet(id) => {
                let (index, port) = self.port(id)?;
                let configured = || state.control.port_down(index).as_ref().map(Down::of);
                match port.monitor.state() {
                    PortState::Up => configured(),
                    PortState::Down { cause } => configured().or(Some(Down { word: "down", cause })),
                }
            }
            Owner::Vethernet(number) => match state.control.veth(number)?.state {
                control::VethState::Up => None,
                control::VethState::Down(cause) => Some(Down::of(cause)),
            },
        }
    }

    /// Whether a port is an NIV link now.
    #[must_use]
    pub fn is_niv(&self, state: &State, id: EthernetId) -> bool {
        state.config.ethernets().get(&id).is_some_and(|ethernet| ethernet.mode() == PortMode::Vntag)
    }

    /// Has the first worker do something: all that control sends leaves in order. What it has no room for is counted; whoever wanted it tries again.
    fn send(&self, order: Order) {
        let Some(worker) = self.orders.first() else { return };
        if let Err(mailbox::PostError::Full(order)) = worker.post(order) {
            self.unsent.add(match order {
                Order::Send { frames, .. } => frames.len() as u64,
                Order::Announce { .. } => 1,
                Order::Quiesce => 0,
            });
        }
    }
}
