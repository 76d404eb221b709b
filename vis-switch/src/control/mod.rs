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
//!
//! # What there is
//!
//! - A *VIF* is what an adapter asks for, one for each vNIC and link; its life is [`life`]. The id is ours, and nobody
//!   else's as long as the adapter, the data path or a [list](lists) may still mean the former owner.
//! - A *vEth* is the bridge port. It has the identity of a vNIC ([`Identity`]), outlives its VIFs, and is active by one
//!   of them at most. Which one a vNIC gets is in `find`; who is active of several is in `claims`.
//! - What a vEth does follows from configuration, VIFs and links, in `settle`. What an adapter knows of a VIF is kept
//!   beside what the VIF is; the difference is told in as few requests as possible, in `tell`.
//!
//! ```text
//!                       vNIC asks to be active                    shutdown, profile missing or disabled,
//!   ┌─────────────────┐ (VIF_CREATE, VIF_ENABLE)  ┌────┐          duplicate MAC, uplink lost (link-down)
//!   │ down            ├──────────────────────────►│ up ├───────────────────────────┐
//!   │ nonParticipating│◄──────────────────────────┤    │                           ▼
//!   └──┬───────────▲──┘ VIF_DISABLE, VIF_DELETE,  └─┬─▲┘                ┌─────────────────────┐
//!      │           │    another claimant wins       │ │ the same adapter│ down                │
//!      │           │                   adapter lost │ │ is back         │ (cause)             │
//!      │           │          for carrier-delay, or │ │                 └──────────┬──────────┘
//!      │           │                     restarted  ▼ │                            │ the cause is gone
//!      │           │                            ┌─────┴──────────┐                 ▼
//!      │           │  asked for again           │ down           │        nonParticipating, until
//!      │           └────────────────────────────┤ link lost      │        the vNIC asks again
//!      │ vNIC deleted, nobody configured it     └─────┬──────────┘        (uplink lost: up at once)
//!      ▼                                              │ dynamic, and its adapter is there for
//!     gone ◄──────────────────────────────────────────┘ the hold time without asking for it
//! ```
//!
//! # Timers
//!
//! | timer | begins | takes | then |
//! |---|---|---|---|
//! | carrier | an adapter is lost without having said so | `carrier-delay`, 3 s | its VIFs are away, its vEths down (link lost); others may claim them |
//! | hold, adapter away | an adapter is lost | `hold`, 60 s | its VIFs are taken back, what was learned is void, the vEths stay |
//! | hold, adapter there | an adapter comes | `hold`, 60 s | VIFs and dynamic vEths that it did not ask for are gone; if it may not have noticed its loss, it is asked (STATS_GET) whether it knows them |
//! | proof | a create is answered | 10 to 20 s | an adapter that has said nothing of the VIF since is asked (STATS_GET) whether it knows it |
//! | quarantine | a VIF id is given back | 1 s, and until no worker and no list means the former owner | the id is free |
//! | retry | an adapter refuses what is not its to refuse | 1 s | it is told again |
//! | claim | a VIF waits for another adapter, or for its own, to let go of the vEth | 10 s | its request is refused (BADSTATE) |
//! | recovery | port security takes an interface down, with `errdisable recovery` | `errdisable recovery interval`, 300 s | it is up again |
//! | pending | a vNIC is refused | 30 s from its last try | its row goes |
//!
//! Those of the sessions, in [`vntag::ctl::session`]: LLDP at once, four times each second, then each 30 s; neighbours
//! for their TTL; HELLO each second; the peer lost after three of its intervals, or after 100, 200, 400, 800, 800 ms
//! without a response.
//!
//! # What a peer can fill
//!
//! Each adapter: 4,094 VIFs, as many rows of refused vNICs, as many vEths that wait for its return; a window of requests.
//! All together: 65,536 vEths. What comes beyond is refused, or the longest unused goes.

mod answers;
mod claims;
mod classes;
mod configure;
mod errdisable;
mod event;
mod find;
pub mod forwarding;
pub mod life;
mod link;
pub mod lists;
mod namespace;
mod output;
mod peer;
mod pending;
mod record;
mod requests;
mod settle;
mod setup;
mod show;
mod tell;
#[cfg(test)]
pub(crate) mod tests;
mod timer;
mod uplinks;
mod veth;
mod view;
mod vif;

pub use event::{Event, Severity};
pub use forwarding::Forwarding;
pub use output::Output;
pub use record::{Identity, RecordError, StoreOp, StoreTicket, VethRecord};
pub use setup::{Config, PortConfig};
pub use view::{DownCause, NamespaceView, PendingView, VethState, VethView, VifView};

use crate::config::running::{EthernetId, Owner, ProfileName, RunningConfig};
use answers::Answers;
use forwarding::PortForwarding;
use link::{Port, PortKind};
use peer::PROOF;
use pending::{Pending, Waits};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use timer::Timer;
use uplinks::Uplinks;
use veth::{Programs, Settings, Unused, Veths};
use vntag::ctl::{EventCode, Response, Timers};

/// Log lines that nobody fetched, at which others are dropped.
const MAX_OUTPUTS: usize = 65_536;

/// A state of the [`Forwarding`]. Later ones are greater; one in effect means that all before it are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Change(pub u64);

/// What the machine counts beside its sessions.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ControlCounters {
    /// Answers whose request's session was over.
    pub ctl_answers_unwanted: u64,
    /// Log lines that nobody fetched.
    pub ctl_events_lost: u64,
}

/// The switch's end of the control plane. See the [module](self).
#[derive(Debug)]
pub struct Control {
    config: Config,
    running: Arc<RunningConfig>,
    /// What is configured from the next turn on.
    new_running: Option<Arc<RunningConfig>>,
    ports: Vec<Port>,
    index: HashMap<EthernetId, usize>,
    veths: Veths,
    /// vEths that may have changed since the last turn.
    dirty: BTreeSet<u32>,
    programs: Programs,
    /// What is in force on vEths that have nothing but a profile, and whether they need one.
    by_profile: HashMap<(Option<ProfileName>, bool), Settings>,
    /// Programs may have fallen out of use.
    prune: bool,
    uplinks: Uplinks,
    /// Interfaces that a violation has taken down, and when.
    err_disabled: BTreeMap<Owner, u64>,
    pending: Pending,
    answers: Answers,
    timers: Timers<Timer>,
    /// The time of the present input.
    now: u64,
    forwarding: Forwarding,
    forwarding_changed: bool,
    /// The last change that was published, and the last one in effect.
    change: Change,
    in_effect: Change,
    /// What is to be stored, by vEth.
    store: BTreeMap<u32, StoreOp>,
    /// The last group that was stored, and the last one on disk.
    ticket: StoreTicket,
    on_disk: StoreTicket,
    outputs: VecDeque<Output>,
    counters: ControlCounters,
}

impl Control {
    /// Control of a node whose ports are down. `records` are what was stored.
    #[must_use]
    pub fn new(config: Config, records: Vec<VethRecord>, running: Arc<RunningConfig>) -> Self {
        let ports: Vec<Port> = config.ports.iter().map(|port| Port::new(&config, port)).collect();
        let index = config.ports.iter().enumerate().map(|(at, port)| (port.id, at)).collect();
        let mut this = Self {
            config,
            running,
            new_running: None,
            ports,
            index,
            veths: Veths::default(),
            dirty: BTreeSet::new(),
            programs: Programs::default(),
            by_profile: HashMap::new(),
            prune: false,
            uplinks: Uplinks::default(),
            err_disabled: BTreeMap::new(),
            pending: Pending::default(),
            answers: Answers::default(),
            timers: Timers::default(),
            now: 0,
            forwarding: Forwarding::default(),
            forwarding_changed: true,
            change: Change::default(),
            in_effect: Change::default(),
            store: BTreeMap::new(),
            ticket: StoreTicket(0),
            on_disk: StoreTicket(0),
            outputs: VecDeque::new(),
            counters: ControlCounters::default(),
        };
        this.reconfigure_ports(0);
        this.uplinks_again();
        this.restore(records);
        let numbers: Vec<u32> = this.running.vethernets().keys().copied().collect();
        for number in numbers {
            this.configure_first(number);
        }
        this.settle(0);
        this.outputs.clear();
        this
    }

    /// vEths that were known before this process began: their adapters are lost until they are heard of.
    fn restore(&mut self, records: Vec<VethRecord>) {
        for record in records {
            let asked = record.profile.as_deref().and_then(ProfileName::new);
            let settings = self.settings(record.number, asked.as_ref(), true, false);
            let port = EthernetId::parse(&record.port).and_then(|id| self.index.get(&id).copied());
            let number = record.number;
            self.new_veth(number, settings);
            self.veths.set_record(number, record, asked);
            self.veths.set_unused(number, 0, Unused::Lost(port));
        }
    }

    // ----- from outside -----

    /// The device under a port came up or went down; ordinary ports too.
    pub fn handle_link(&mut self, now: u64, port: usize, up: bool) {
        self.now = now;
        let Some(this) = self.ports.get_mut(port).filter(|this| this.up != up) else { return };
        this.up = up;
        match (this.kind, &mut this.link) {
            (PortKind::Wire, _) => self.uplinks_again(),
            (PortKind::Static, _) => {
                let there = |veth: &&veth::Veth| veth.fixed.is_some_and(|at| at.0 == port);
                let numbers: Vec<u32> = self.veths.iter().filter(there).map(|veth| veth.number).collect();
                self.dirty.extend(numbers);
            }
            (PortKind::Niv, Some(link)) => link.session.handle_link(now, up),
            (PortKind::Niv, None) => {}
        }
    }

    /// An untagged frame of the control plane (LLDP, VIF control) arrived at an NIV port. Others are ignored.
    pub fn handle_frame(&mut self, now: u64, port: usize, frame: &[u8]) {
        self.now = now;
        if let Some(Port { kind: PortKind::Niv, link: Some(link), .. }) = self.ports.get_mut(port) {
            link.session.handle_frame(now, frame);
        }
    }

    // ----- from the owner -----

    /// From now on this is configured. It takes effect with the next turn, and never fails.
    pub fn configure(&mut self, now: u64, running: Arc<RunningConfig>) {
        self.now = now;
        self.new_running = Some(running);
    }

    /// The forwarding of this change, or of a later one, is in effect in every worker.
    pub fn published(&mut self, now: u64, change: Change) {
        self.now = now;
        self.in_effect = self.in_effect.max(change.min(self.change));
        for link in self.ports.iter_mut().filter_map(|port| port.link.as_deref_mut()) {
            link.lists.published(self.in_effect);
        }
    }

    /// This group, and all before it, are on disk.
    pub fn stored(&mut self, now: u64, ticket: StoreTicket) {
        self.now = now;
        self.on_disk = self.on_disk.max(ticket.min(self.ticket));
    }

    /// Says good-bye on all links. What the data path does stays as it is.
    pub fn shutdown(&mut self, now: u64) {
        self.now = now;
        for link in self.ports.iter_mut().filter_map(|port| port.link.as_deref_mut()) {
            link.session.shutdown(now);
        }
    }

    /// Does what is due and what all the inputs since the last turn come to.
    pub fn turn(&mut self, now: u64) {
        self.now = now;
        while let Some(timer) = self.timers.expire(now) {
            self.timer(now, timer);
        }
        self.reconfigure(now);
        for port in 0..self.ports.len() {
            if let Some(link) = self.link_mut(port) {
                link.session.handle_timeout(now);
                self.drain_session(now, port);
            }
        }
        self.settle(now);
        self.tell_lists(now);
        self.publish();
        self.save();
        self.answers.settle(self.change, self.ticket);
        self.quarantine(now);
        self.send_answers(now);
        self.tell(now);
        if core::mem::take(&mut self.prune) {
            self.programs.prune();
        }
    }

    fn timer(&mut self, now: u64, timer: Timer) {
        match timer {
            Timer::Carrier(port) => self.adapter_lost(now, port),
            Timer::Hold(port) => self.hold_over(now, port),
            Timer::Proof(port) => self.ask_for_proof(now, port),
            Timer::Retry(port) => self.retry(port),
            Timer::Recovery => self.recover_due(now),
            Timer::Claim(veth) => self.claim_over(now, veth),
            Timer::Quarantine(port) => {
                let in_effect = self.in_effect;
                let freed = self.link_mut(port).is_some_and(|link| {
                    let lists = &link.lists;
                    link.ids.release(now, in_effect, |vif| lists.holds(vif))
                });
                if freed && self.pending.is_waiting(&Waits::Ids, port) {
                    self.owe_event(port, EventCode::RETRY);
                }
            }
            Timer::Pending => {
                if let Some(at) = self.pending.expire(now) {
                    self.timers.set(Timer::Pending, at);
                }
            }
        }
    }

    /// All that has changed since the last turn is one change for the data path.
    fn publish(&mut self) {
        let next = Change(self.change.0 + 1);
        for (port, forwarding) in self.ports.iter_mut().zip(&mut self.forwarding.ports) {
            if let (Some(link), PortForwarding::Niv { floods }) = (&mut port.link, forwarding)
                && link.lists.is_dirty()
            {
                *floods = link.lists.publish(next);
                self.forwarding_changed = true;
            }
        }
        if core::mem::take(&mut self.forwarding_changed) {
            self.change = next;
            self.outputs.push_back(Output::Publish(next));
        }
    }

    fn save(&mut self) {
        if !self.store.is_empty() {
            self.ticket = StoreTicket(self.ticket.0 + 1);
            let ops = core::mem::take(&mut self.store).into_values().collect();
            self.outputs.push_back(Output::Store(self.ticket, ops));
        }
    }

    /// Ids that were given back in this turn are nobody's for a while.
    fn quarantine(&mut self, now: u64) {
        let change = self.change;
        for port in 0..self.ports.len() {
            if let Some(at) = self.link_mut(port).and_then(|link| link.ids.settle(now, change)) {
                self.timers.begin(Timer::Quarantine(port), at);
            }
        }
    }

    fn send_answers(&mut self, now: u64) {
        self.answers.release(self.in_effect, self.on_disk);
        while let Some(answer) = self.answers.next() {
            let Some(link) = self.ports.get_mut(answer.port).and_then(|port| port.link.as_deref_mut()) else {
                continue;
            };
            let created = matches!(answer.result, Ok(Response::VifCreate { .. }));
            // The session that asked may be over; nobody waits for the answer then.
            if link.session.respond(now, answer.id, answer.result).is_err() {
                self.counters.ctl_answers_unwanted += 1;
            }
            // From now on the adapter knows what it was granted, and can be told about it.
            if let Some(id) = answer.granted
                && let Some(vif) = link.vifs.get_mut(&id)
                && vif.granting.take_if(|granting| *granting == answer.id).is_some()
            {
                link.tell.insert(id);
                if created {
                    vif.unproven = Some(now);
                    self.timers.begin(Timer::Proof(answer.port), now.saturating_add(PROOF));
                }
            }
        }
    }

    // ----- what is to be done -----

    /// The next frame to send at a port.
    pub fn poll_transmit(&mut self, now: u64, port: usize) -> Option<Vec<u8>> {
        self.now = now;
        let link = self.link_mut(port)?;
        let frame = link.session.poll_transmit(now);
        link.drain();
        frame
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`turn`](Self::turn) has to be called although nothing else happened.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let links = self.ports.iter().filter_map(|port| port.link.as_deref());
        let sessions = links.filter_map(|link| {
            // What a session told while it was asked for frames is dealt with at once.
            if link.inbox.is_empty() { link.session.next_deadline() } else { Some(self.now) }
        });
        sessions.chain(self.timers.next()).min()
    }

    // ----- to be read; more in `show` -----

    /// What the data path has to do.
    #[must_use]
    pub fn forwarding(&self) -> &Forwarding {
        &self.forwarding
    }

    // ----- within -----

    fn event(&mut self, event: Event) {
        if self.outputs.len() < MAX_OUTPUTS {
            self.outputs.push_back(Output::Event(event));
        } else {
            self.counters.ctl_events_lost += 1;
        }
    }

    fn port_id(&self, port: usize) -> EthernetId {
        // Every index comes from this list.
        self.config.ports.get(port).map_or(EthernetId { slot: 0, port: 0 }, |port| port.id)
    }
}
