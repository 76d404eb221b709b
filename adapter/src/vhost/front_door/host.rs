//! A vNIC on the front door's thread: its door, its guest, its link.

use super::super::carrier::{Carrier, LinkSeen};
use super::super::listen::{Door, Listener, connect_to};
use super::super::message::{self, Reader, WireError};
use super::super::peer::{self, Process, SocketFile};
use super::super::session::{Discard, Session};
use super::super::vnic::{FrontendEvent, VnicConfig, VnicMonitor};
use super::EventSink;
use super::link::{FrontEnd, Link};
use super::turns::{Source, Step};
use niv_node::clock;
use niv_node::event::Valve;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Messages taken from one connection in one turn.
const MESSAGES_PER_TURN: usize = 16;

/// How long until a front end that listens is tried again, and a listener that failed.
const RETRY: Duration = Duration::from_millis(250);

/// See the module.
pub(super) struct Host {
    name: String,
    largest_mtu: u16,
    packed: bool,
    door: Door,
    /// Not before this time the door is tried again.
    again: Option<Instant>,
    /// Why nobody can connect.
    shut: Option<String>,
    guest: Option<Guest>,
    link: Link,
    /// What was last sent by [`FrontendEvent::Enabled`].
    enabled: bool,
    /// What the monitor shows.
    shown: Carrier,
    monitor: Arc<VnicMonitor>,
    discard: Discard,
    events: EventSink,
    /// Lines about guests that come and go, as often as they like.
    lines: Valve,
}

/// Of these lines so many at once, and then one a second.
const LINES: u64 = 60;

struct Guest {
    socket: OwnedFd,
    reader: Reader,
    session: Session,
}

impl Host {
    pub(super) fn new(
        config: &VnicConfig,
        door: Door,
        monitor: Arc<VnicMonitor>,
        discard: Discard,
        events: EventSink,
    ) -> Self {
        Self {
            name: config.name.clone(),
            largest_mtu: config.mtu,
            packed: config.packed,
            door,
            again: None,
            shut: None,
            guest: None,
            link: Link::new(&config.link_signal, &config.socket),
            enabled: false,
            shown: monitor.carrier(),
            monitor,
            discard,
            events,
            lines: Valve::new(LINES, 1, clock::monotonic()),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// From now on somebody looks.
    pub(super) fn begin(&mut self, step: &Step<'_>) {
        if let Door::Listener { open: Some(listener), .. } = &self.door
            && let Err(error) = step.watch(listener.as_fd(), Source::Door)
        {
            self.close_door(step.now, &error.to_string());
        }
    }

    /// A descriptor can be read.
    pub(super) fn ready(&mut self, source: Source, step: &Step<'_>) {
        match source {
            Source::Door => self.accept(step),
            Source::Guest => self.serve(step.now),
            // The next one is somebody else.
            Source::Process if self.link.has_ended() => self.link.forget(),
            // What it answered is read when things are settled.
            Source::Process | Source::Qmp => {}
        }
    }

    /// The link should be down, or up.
    pub(super) fn set_carrier(&mut self, down: Option<String>) {
        let cause = down.clone();
        if self.link.set(down) {
            match cause {
                Some(cause) => tracing::info!(vnic = self.name, "link down: {cause}"),
                None => tracing::info!(vnic = self.name, "link up"),
            }
        }
    }

    /// Does what is due and says when there will be something again.
    pub(super) fn settle(&mut self, step: &Step<'_>) -> Option<Instant> {
        if self.link.cut_at(step.now).is_some_and(|at| at <= step.now) {
            self.cut(step.now);
        }
        self.mind_door(step);
        self.link.settle(step.now, |fd| step.watch(fd, Source::Qmp));
        self.tell(step.now);
        [self.link.cut_at(step.now), self.link.deadline(), self.again].into_iter().flatten().min()
    }

    // ----- the door -----

    /// Opens the door, or closes it; or tries again later.
    fn mind_door(&mut self, step: &Step<'_>) {
        let late = self.again.is_some_and(|at| at > step.now);
        match &mut self.door {
            Door::Listener { open, .. } if self.link.keeps_off() => {
                (*open, self.again) = (None, None);
            }
            Door::Listener { open: open @ None, place } if !late => {
                let listener = Listener::bind(place).map_err(|error| error.to_string());
                let listener = listener.and_then(|listener| {
                    step.watch(listener.as_fd(), Source::Door).map_err(|error| error.to_string())?;
                    Ok(listener)
                });
                match listener {
                    Ok(listener) => (*open, self.again, self.shut) = (Some(listener), None, None),
                    Err(error) => self.close_door(step.now, &error),
                }
            }
            Door::Client(path) if self.guest.is_none() && !late => {
                self.again = Some(step.now + RETRY);
                let front_end = SocketFile::at(path).map(FrontEnd::Socket);
                if !self.link.knows(front_end.as_ref()) {
                    self.link.forget();
                }
                if self.link.keeps_off() {
                    return;
                }
                match connect_to(path) {
                    Ok(socket) => self.admit(socket, front_end, step),
                    Err(_) => self.link.forget(),
                }
            }
            _ => {}
        }
    }

    /// Nobody can connect for a while; whoever waits is sent away.
    fn close_door(&mut self, now: Instant, error: &str) {
        if let Door::Listener { open, .. } = &mut self.door {
            *open = None;
        }
        self.again = Some(now + RETRY);
        if self.shut.as_deref() != Some(error) {
            tracing::warn!(vnic = self.name, "no guest can connect: {error}");
            self.shut = Some(error.to_owned());
        }
    }

    fn accept(&mut self, step: &Step<'_>) {
        let Door::Listener { open: Some(listener), .. } = &self.door else { return };
        let socket = match listener.accept() {
            Ok(socket) => socket,
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => return,
            Err(error) => {
                // No descriptors, no memory. A guest that waits for an answer stands still, so it gets a hang-up.
                self.monitor.accept_errors.fetch_add(1, Ordering::Relaxed);
                return self.close_door(step.now, &format!("cannot accept: {error}"));
            }
        };
        // A guest that was killed and comes back may be faster than the news of its end.
        if self.guest.as_ref().is_some_and(Guest::is_gone) {
            self.serve(step.now);
        }
        if self.guest.is_some() {
            if self.monitor.turned_away.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(vnic = self.name, "a second guest was turned away: one is connected");
            }
            return;
        }
        let front_end = Process::of(socket.as_fd()).map(FrontEnd::Process);
        if !(self.link.keeps_off() && self.link.knows(front_end.as_ref())) {
            self.admit(socket, front_end, step);
        }
    }

    // ----- the guest -----

    fn admit(&mut self, socket: OwnedFd, front_end: Option<FrontEnd>, step: &Step<'_>) {
        if let Err(error) = step.watch(&socket, Source::Guest) {
            return tracing::warn!(vnic = self.name, "cannot serve a guest: {error}");
        }
        let pid = peer::pid(socket.as_fd());
        self.monitor.connections.fetch_add(1, Ordering::Relaxed);
        if let Some(held_back) = self.lines.pass(clock::monotonic()) {
            tracing::info!(vnic = self.name, pid, held_back, "guest connected");
        }
        // One that is known is watched already; one whose end cannot be watched cannot be told from the next.
        let front_end = front_end.filter(|front_end| match front_end {
            FrontEnd::Process(process) if !self.link.knows(Some(front_end)) => {
                step.watch(process, Source::Process).is_ok()
            }
            _ => true,
        });
        self.link.arrived(front_end, step.now);
        self.again = None;
        let mut session =
            Session::new(Arc::clone(&self.monitor), self.largest_mtu, self.packed, pid, self.discard.clone());
        session.events().for_each(|event| (self.events)(event));
        self.guest = Some(Guest { socket, reader: Reader::default(), session });
    }

    /// Takes a few messages of the guest.
    fn serve(&mut self, now: Instant) {
        let Some(guest) = &mut self.guest else { return };
        for _ in 0..MESSAGES_PER_TURN {
            match guest.turn() {
                Ok(more) => {
                    guest.session.events().for_each(|event| (self.events)(event));
                    if !more {
                        return;
                    }
                    self.link.heard(guest.session.has_driver(), now);
                }
                Err(error) => {
                    match (&error, self.lines.pass(clock::monotonic())) {
                        (_, None) => {}
                        (WireError::Closed, Some(held_back)) => {
                            tracing::info!(vnic = self.name, held_back, "{error}");
                        }
                        (_, Some(held_back)) => {
                            tracing::warn!(vnic = self.name, held_back, "guest disconnected by us: {error}");
                        }
                    }
                    return self.leave(now);
                }
            }
        }
    }

    /// Takes the guest's link down by its socket: first nobody listens, then the connection ends, so that the guest
    /// never waits for an answer.
    fn cut(&mut self, now: Instant) {
        if let Door::Listener { open, .. } = &mut self.door {
            *open = None;
        }
        self.leave(now);
    }

    fn leave(&mut self, now: Instant) {
        let Some(mut guest) = self.guest.take() else { return };
        guest.session.close();
        let events: Vec<_> = guest.session.events().collect();
        // Whoever hears of the end finds all of the guest's descriptors closed.
        drop(guest);
        self.link.left();
        events.into_iter().for_each(|event| (self.events)(event));
        if matches!(self.door, Door::Client(_)) {
            self.again = Some(now + RETRY);
        }
    }

    // ----- what others see -----

    fn tell(&mut self, now: Instant) {
        let runs = self.guest.as_ref().is_some_and(|guest| guest.session.is_enabled());
        let held = self.link.holds_rings(runs, now);
        let enabled = runs || (self.enabled && held);
        if core::mem::replace(&mut self.enabled, enabled) != enabled {
            (self.events)(FrontendEvent::Enabled(enabled));
        }
        let seen = self.link.seen();
        let obstacle = self.shut.as_deref().map(Into::into).or_else(|| self.link.obstacle());
        if (seen, self.link.cause(), obstacle.as_deref())
            == (self.shown.seen, self.shown.cause.as_deref(), self.shown.obstacle.as_deref())
        {
            return;
        }
        let since = if seen == self.shown.seen { self.shown.since } else { now };
        let cause = self.link.cause().map(str::to_owned);
        if seen == LinkSeen::Down && self.shown.seen == LinkSeen::Up && cause.is_some() {
            self.monitor.link_downs.fetch_add(1, Ordering::Relaxed);
        }
        self.shown = Carrier { seen, since, cause, obstacle: obstacle.map(std::borrow::Cow::into_owned) };
        self.monitor.status.lock().carrier = self.shown.clone();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.leave(Instant::now());
    }
}

impl Guest {
    /// Takes one message, if there is one; says so.
    fn turn(&mut self) -> Result<bool, WireError> {
        let Some(message) = self.reader.read(self.socket.as_fd())? else { return Ok(false) };
        let code = message.code;
        tracing::debug!(code, request = ?message.request(), payload = message.payload.len(), fds = message.fds.len(), "vhost-user");
        if let Some(reply) = self.session.handle(message) {
            message::reply(self.socket.as_fd(), code, &reply)?;
        }
        Ok(true)
    }

    /// The other end has closed and there is nothing left to read.
    fn is_gone(&self) -> bool {
        let mut byte = [0];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match recv(&self.socket, &mut byte[..], flags) {
            Ok((n, _)) => n == 0,
            Err(error) => error != Errno::AGAIN,
        }
    }
}
