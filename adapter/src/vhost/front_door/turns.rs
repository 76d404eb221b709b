//! The thread's loop: what happened, whom it concerns, and when to look again.

use super::host::Host;
use super::{Command, Mailbox};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Number of a vNIC, never used twice.
type HostId = u64;

/// Commands carried out between two looks at what guests say.
const COMMANDS_PER_TURN: usize = 64;

/// The mailbox among the tokens of epoll.
const MAILBOX: u64 = u64::MAX;

/// Which descriptor of a vNIC is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Somebody wants to connect.
    Door,
    /// The guest said something, or left.
    Guest,
    /// The guest's process ended.
    Process,
    /// QEMU's monitor answered.
    Qmp,
}

impl Source {
    const ALL: [Self; 4] = [Self::Door, Self::Guest, Self::Process, Self::Qmp];

    const fn token(self, id: HostId) -> u64 {
        4 * id + self as u64
    }

    fn of(token: u64) -> (HostId, Self) {
        (token / 4, Self::ALL[(token % 4) as usize])
    }
}

/// What a vNIC may do with the loop in one step. Descriptors leave it by being closed.
pub(super) struct Step<'a> {
    epoll: &'a OwnedFd,
    id: HostId,
    /// The time of this step.
    pub(super) now: Instant,
}

impl Step<'_> {
    /// Has the vNIC told when `fd` can be read.
    pub(super) fn watch(&self, fd: impl AsFd, source: Source) -> rustix::io::Result<()> {
        epoll::add(self.epoll, fd, EventData::new_u64(source.token(self.id)), EventFlags::IN)
    }
}

/// All vNICs, and what they wait for.
pub(super) struct Turns {
    epoll: OwnedFd,
    mailbox: Arc<Mailbox>,
    /// Taken from the mailbox, not yet carried out.
    commands: VecDeque<Command>,
    hosts: HashMap<HostId, Entry>,
    names: HashMap<String, HostId>,
    deadlines: BTreeSet<(Instant, HostId)>,
    next: HostId,
}

struct Entry {
    host: Host,
    deadline: Option<Instant>,
}

impl Turns {
    pub(super) fn new(mailbox: Arc<Mailbox>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &mailbox.wake, EventData::new_u64(MAILBOX), EventFlags::IN)?;
        Ok(Self {
            epoll,
            mailbox,
            commands: VecDeque::new(),
            hosts: HashMap::new(),
            names: HashMap::new(),
            deadlines: BTreeSet::new(),
            next: 0,
        })
    }

    pub(super) fn run(mut self) {
        let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 64];
        loop {
            let wait = self.wait().and_then(|wait| Timespec::try_from(wait).ok());
            let ready = match epoll::wait(&self.epoll, &mut events[..], wait.as_ref()) {
                Ok(ready) => ready,
                Err(Errno::INTR) => 0,
                Err(error) => {
                    // Only a wrong descriptor or buffer can bring us here.
                    tracing::error!("front door: epoll: {error}");
                    return;
                }
            };
            for event in events.iter().take(ready) {
                match event.data.u64() {
                    MAILBOX => self.commands.extend(self.mailbox.take()),
                    token => {
                        let (id, source) = Source::of(token);
                        self.step(id, |host, step| host.ready(source, step));
                    }
                }
            }
            if !self.commands() {
                return;
            }
            self.overdue();
        }
    }

    fn wait(&self) -> Option<Duration> {
        if !self.commands.is_empty() {
            return Some(Duration::ZERO);
        }
        self.deadlines.first().map(|(at, _)| at.saturating_duration_since(Instant::now()))
    }

    /// Says whether to go on.
    fn commands(&mut self) -> bool {
        let count = self.commands.len().min(COMMANDS_PER_TURN);
        for command in self.commands.drain(..count).collect::<Vec<_>>() {
            match command {
                Command::Add(host, done) => _ = done.send(self.add(*host)),
                Command::Remove(name, done) => _ = done.send(self.remove(&name)),
                Command::SetCarrier(name, down) => {
                    if let Some(id) = self.names.get(&name) {
                        self.step(*id, |host, _| host.set_carrier(down));
                    }
                }
                Command::Stop => return false,
            }
        }
        true
    }

    /// Whether its name was free.
    fn add(&mut self, host: Host) -> bool {
        let name = host.name().to_owned();
        if self.names.contains_key(&name) {
            return false;
        }
        let id = self.next;
        self.next += 1;
        self.names.insert(name, id);
        self.hosts.insert(id, Entry { host, deadline: None });
        self.step(id, |host, step| host.begin(step));
        true
    }

    fn remove(&mut self, name: &str) -> bool {
        let Some(entry) = self.names.remove(name).and_then(|id| Some((id, self.hosts.remove(&id)?))) else {
            return false;
        };
        if let (id, Entry { deadline: Some(at), .. }) = entry {
            self.deadlines.remove(&(at, id));
        }
        true
    }

    /// Lets a vNIC do something, and notes when it wants to be looked at again.
    fn step(&mut self, id: HostId, act: impl FnOnce(&mut Host, &Step<'_>)) {
        let Some(Entry { host, deadline }) = self.hosts.get_mut(&id) else { return };
        let step = Step { epoll: &self.epoll, id, now: Instant::now() };
        act(host, &step);
        let next = host.settle(&step);
        if next != *deadline {
            if let Some(at) = core::mem::replace(deadline, next) {
                self.deadlines.remove(&(at, id));
            }
            self.deadlines.extend(next.map(|at| (at, id)));
        }
    }

    /// Lets those vNICs work whose time has come, each once.
    fn overdue(&mut self) {
        if self.deadlines.is_empty() {
            return;
        }
        let later = self.deadlines.split_off(&(Instant::now(), HostId::MAX));
        for (_, id) in core::mem::replace(&mut self.deadlines, later) {
            if let Some(entry) = self.hosts.get_mut(&id) {
                entry.deadline = None;
            }
            self.step(id, |_, _| ());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_what_it_was_made_of() {
        for id in [0, 1, 4000, u64::MAX / 8] {
            for source in Source::ALL {
                assert_eq!(Source::of(source.token(id)), (id, source));
                assert_ne!(source.token(id), MAILBOX);
            }
        }
    }
}
