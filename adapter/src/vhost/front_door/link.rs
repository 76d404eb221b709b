//! The link of one vNIC's guest: what it should be, who sees it, and what is to be done about that.
//!
//! With [`LinkSignal::Socket`] the rules are:
//!
//! ```text
//!                 new front end                      driver runs, link down, quiet
//!   ┌──────────┐ ──────────────► ┌───────────┐ ─────────────────────────────────────► ┌──────────┐
//!   │ listener │                 │ connected │                                        │ kept off │
//!   └──────────┘ ◄────────────── └───────────┘                                        └────┬─────┘
//!        ▲          it leaves                                                              │
//!        └──────────────────── link up, or this front end is no more ──────────────────────┘
//! ```
//!
//! A front end whose driver has never run is not cut off: QEMU waits for one handshake before it starts its guest,
//! and forgets a link that goes down before the guest's NIC is there. Nor is one that is speaking, because what it is
//! doing (starting rings) it would have to do half. Kept off is only who can be told from a newcomer.

use super::super::carrier::{LinkSeen, LinkSignal};
use super::super::peer::{Process, SocketFile};
use super::super::qmp::Qmp;
use rustix::io;
use std::borrow::Cow;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// A front end that says nothing for this long is in the middle of nothing.
const QUIET: Duration = Duration::from_millis(50);

/// One that never stops talking is interrupted after this time.
const PATIENCE: Duration = Duration::from_millis(300);

/// A front end, told from the next one.
#[derive(Debug)]
pub(super) enum FrontEnd {
    /// It connected to us.
    Process(Process),
    /// We connected to it.
    Socket(SocketFile),
}

impl FrontEnd {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            // A process that has ended may have given its number to another one.
            (Self::Process(a), Self::Process(b)) => a.pid == b.pid && !a.has_ended(),
            (Self::Socket(a), Self::Socket(b)) => a == b,
            _ => false,
        }
    }
}

enum Signal {
    Socket,
    Qmp(Box<Qmp>),
    None,
}

/// See the module.
pub(super) struct Link {
    signal: Signal,
    /// Why it should be down.
    down: Option<String>,
    /// Who is connected, or was last, as long as it lives and if it can be told from others.
    front_end: Option<FrontEnd>,
    connected: bool,
    /// Its guest's driver runs or has run.
    driver: bool,
    /// When the front end last said something.
    heard: Instant,
    /// Since when it is to be cut off.
    doomed: Option<Instant>,
    /// Its rings stand because of its link, or have not been started again since.
    held: bool,
}

impl Link {
    /// A link that is up, of the vNIC at `socket`.
    pub(super) fn new(signal: &LinkSignal, socket: &Path) -> Self {
        let signal = match signal {
            LinkSignal::Socket => Signal::Socket,
            LinkSignal::Qmp(monitor) => Signal::Qmp(Box::new(Qmp::new(monitor, socket))),
            LinkSignal::None => Signal::None,
        };
        Self {
            signal,
            down: None,
            front_end: None,
            connected: false,
            driver: false,
            heard: Instant::now(),
            doomed: None,
            held: false,
        }
    }

    // ----- what happens -----

    /// It should be down for this cause, or up. Says whether that is something else than before.
    pub(super) fn set(&mut self, down: Option<String>) -> bool {
        let changes = self.down.is_some() != down.is_some();
        self.down = down;
        changes
    }

    /// Somebody connected: the one from before, or another.
    pub(super) fn arrived(&mut self, front_end: Option<FrontEnd>, now: Instant) {
        if !self.knows(front_end.as_ref()) {
            self.front_end = front_end;
            (self.driver, self.held) = (false, false);
        }
        self.connected = true;
        self.heard = now;
        self.doomed = None;
        self.reset_qmp();
    }

    /// It said something; `driver`: its guest's driver runs.
    pub(super) fn heard(&mut self, driver: bool, now: Instant) {
        self.heard = now;
        self.driver |= driver;
    }

    /// The connection ended.
    pub(super) fn left(&mut self) {
        self.connected = false;
        self.reset_qmp();
        if self.front_end.is_none() {
            self.forget();
        }
    }

    /// Whoever connects next is somebody else.
    pub(super) fn forget(&mut self) {
        self.front_end = None;
        self.driver &= self.connected;
        self.held &= self.connected;
    }

    fn reset_qmp(&mut self) {
        if let Signal::Qmp(qmp) = &mut self.signal {
            qmp.reset();
        }
    }

    /// Tells QEMU what it should know by now.
    pub(super) fn settle(&mut self, now: Instant, watch: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>) {
        if let (Signal::Qmp(qmp), true) = (&mut self.signal, self.connected) {
            let before = qmp.may_be_down();
            qmp.settle(self.down.is_some(), now, watch);
            if before && !qmp.may_be_down() {
                // QEMU starts the rings now.
                self.heard = now;
            }
        }
    }

    // ----- what is to be done -----

    /// When the front end is to be cut off.
    pub(super) fn cut_at(&mut self, now: Instant) -> Option<Instant> {
        if !(self.connected && self.shuts_out()) {
            self.doomed = None;
            return None;
        }
        let since = *self.doomed.get_or_insert(now);
        Some((self.heard + QUIET).min(since + PATIENCE))
    }

    /// Nobody is to connect, for it would be the one that was cut off.
    pub(super) fn keeps_off(&self) -> bool {
        !self.connected && self.shuts_out()
    }

    fn shuts_out(&self) -> bool {
        matches!(self.signal, Signal::Socket)
            && self.down.is_some()
            && self.driver
            && self.front_end.is_some()
    }

    /// This is the front end that is connected or was last.
    pub(super) fn knows(&self, front_end: Option<&FrontEnd>) -> bool {
        self.front_end.as_ref().zip(front_end).is_some_and(|(known, other)| known.is(other))
    }

    /// The process of the front end has ended.
    pub(super) fn has_ended(&self) -> bool {
        matches!(&self.front_end, Some(FrontEnd::Process(process)) if process.has_ended())
    }

    /// When to look again although nothing happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let qmp = match &self.signal {
            Signal::Qmp(qmp) if self.connected => qmp.deadline(),
            _ => None,
        };
        let rings = (self.held && self.connected && !self.stops_rings()).then(|| self.heard + QUIET);
        qmp.into_iter().chain(rings).min()
    }

    // ----- how it is -----

    /// That the guest's rings stand says nothing about its wish: they stand because of its link. `run`: they do not.
    pub(super) fn holds_rings(&mut self, run: bool, now: Instant) -> bool {
        if run {
            self.held = false;
        } else if self.stops_rings() {
            self.held = true;
        } else if self.connected && now >= self.heard + QUIET {
            // It is back, and has not started them.
            self.held = false;
        }
        self.held
    }

    fn stops_rings(&self) -> bool {
        self.keeps_off() || matches!(&self.signal, Signal::Qmp(qmp) if self.connected && qmp.may_be_down())
    }

    /// What the guest sees.
    pub(super) fn seen(&self) -> LinkSeen {
        match &self.signal {
            _ if !self.driver => LinkSeen::Nobody,
            Signal::Qmp(qmp) if self.connected && qmp.is_down() => LinkSeen::Down,
            _ if self.connected => LinkSeen::Up,
            _ => LinkSeen::Down,
        }
    }

    /// Why it should be down.
    pub(super) fn cause(&self) -> Option<&str> {
        self.down.as_deref()
    }

    /// Why the guest does not see what it should.
    pub(super) fn obstacle(&self) -> Option<Cow<'_, str>> {
        match &self.signal {
            Signal::Qmp(qmp) => qmp.error().map(Cow::Borrowed),
            _ if self.down.is_none() || !self.connected => None,
            Signal::None => Some("link_signal = \"none\"".into()),
            Signal::Socket if self.front_end.is_none() => Some(
                "the guest's process cannot be seen from here, so a later one could not be told from it; \
                 link_signal = \"qmp:PATH\" works without"
                    .into(),
            ),
            Signal::Socket => None,
        }
    }
}
