//! The service manager above a daemon: systemd, or whatever else speaks its notification protocol (`sd_notify(3)`).
//!
//! `READY=1` is sent when everything works, `STOPPING=1` when the end begins, `STATUS=` says how it goes. Where the
//! manager keeps a watchdog, `WATCHDOG=1` is sent twice in its time, but only while every supervised thread makes
//! progress: each is asked for its [`Pulse`], and the answer comes from the very loop that does the thread's work. A
//! thread that hangs is named in the log and in the status, and the manager starts a whole daemon.
//!
//! ```no_run
//! # use niv_node::{stop::Stop, supervise::Supervisor, worker::Options};
//! # fn work(stop: &Stop) -> std::io::Result<()> {
//! let mut supervisor = Supervisor::from_environment();
//! let options = Options { pulse: Some(supervisor.pulse("worker0")?), ..Options::default() };
//! // Start the worker with these options, the admin API and the rest, then:
//! supervisor.watch(stop, || "3 vNICs, 2 of them up".to_owned());
//! # drop(options); Ok(()) }
//! ```
//!
//! Without a manager nothing is sent, nobody is asked, and [`watch`](Supervisor::watch) only waits.

use crate::stop::Stop;
use rustix::event::{EventfdFlags, eventfd};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often the status is looked at where there is no watchdog to set the pace.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// Proof of life of one thread. It watches this descriptor among its others, and calls [`answer`](Self::answer) from
/// its loop whenever it is readable.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    thread: String,
    event: OwnedFd,
    answered: AtomicBool,
}

impl Pulse {
    fn new(thread: &str) -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(Inner { thread: thread.to_owned(), event, answered: AtomicBool::new(true) })))
    }

    fn ask(&self) {
        self.0.answered.store(false, Ordering::Relaxed);
        // It can only fail where it is readable already.
        let _ = rustix::io::write(&self.0.event, &1u64.to_ne_bytes());
    }

    fn is_answered(&self) -> bool {
        self.0.answered.load(Ordering::Relaxed)
    }

    /// This thread's loop has come round.
    pub fn answer(&self) {
        let _ = rustix::io::read(&self.0.event, &mut [0u8; 8]);
        self.0.answered.store(true, Ordering::Relaxed);
    }
}

impl AsFd for Pulse {
    /// Readable while an answer is asked for.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }
}

/// The daemon's side of the conversation with its service manager.
#[derive(Debug, Default)]
pub struct Supervisor {
    manager: Option<Manager>,
    /// The manager's watchdog bites after so long.
    watchdog: Option<Duration>,
    pulses: Vec<Pulse>,
}

impl Supervisor {
    /// The manager that started this process, as `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` name it. One that
    /// cannot be spoken to is logged and done without.
    #[must_use]
    pub fn from_environment() -> Self {
        let Some(address) = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return Self::default();
        };
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let other = number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| *micros > 0 && !other);
        Self::new(&address, watchdog.map(Duration::from_micros))
    }

    fn new(address: &OsStr, watchdog: Option<Duration>) -> Self {
        match Manager::at(address) {
            Ok(manager) => Self { manager: Some(manager), watchdog, pulses: Vec::new() },
            Err(error) => {
                tracing::warn!(socket = ?address, %error, "the service manager cannot be told anything");
                Self::default()
            }
        }
    }

    /// A thread that must make progress from now on.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn pulse(&mut self, thread: &str) -> io::Result<Pulse> {
        let pulse = Pulse::new(thread)?;
        self.pulses.push(pulse.clone());
        Ok(pulse)
    }

    /// Says that the daemon is ready, keeps the manager's watchdog content while the threads make progress, and
    /// returns when `stop` is requested. `status` is one line for people, told again whenever it changed.
    pub fn watch(self, stop: &Stop, status: impl Fn() -> String) {
        let Some(manager) = &self.manager else { return stop.wait() };
        let mut said = status();
        manager.say(&format!("READY=1\nSTATUS={}", one_line(&said)));
        let interval = self.watchdog.map_or(STATUS_INTERVAL, |bite| bite / 2);
        self.ask();
        while !stop.wait_for(interval) {
            let hanging: Vec<&str> = self.hanging().collect();
            let now = if hanging.is_empty() { status() } else { format!("hangs: {}", hanging.join(", ")) };
            let mut message = String::new();
            if self.watchdog.is_some() && hanging.is_empty() {
                message.push_str("WATCHDOG=1\n");
                self.ask();
            }
            if now != said {
                message.push_str(&format!("STATUS={}\n", one_line(&now)));
                if !hanging.is_empty() {
                    tracing::error!(threads = now, "no progress; the watchdog is not fed");
                }
                said = now;
            }
            if !message.is_empty() {
                manager.say(message.trim_end());
            }
        }
        manager.say("STOPPING=1\nSTATUS=stopping");
    }

    fn ask(&self) {
        if self.watchdog.is_some() {
            self.pulses.iter().for_each(Pulse::ask);
        }
    }

    fn hanging(&self) -> impl Iterator<Item = &str> {
        self.pulses.iter().filter(|pulse| !pulse.is_answered()).map(|pulse| pulse.0.thread.as_str())
    }
}

/// A field of a message ends with its line.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

/// The manager's socket.
#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Manager {
    /// `address` is a path, or `@NAME` in the abstract namespace.
    fn at(address: &OsStr) -> io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(address)?,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "neither a path nor an abstract name",
                ));
            }
        };
        let socket = UnixDatagram::unbound()?;
        // The manager is not to hold up the daemon.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address })
    }

    fn say(&self, message: &str) {
        if let Err(error) = self.socket.send_to_addr(message.as_bytes(), &self.address) {
            tracing::warn!(%error, message, "the service manager was not told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A manager with a socket in a folder of its own.
    fn manager() -> (tempfile::TempDir, UnixDatagram, std::ffi::OsString) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        (folder, socket, path.into_os_string())
    }

    fn hear(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).expect("a message in time");
        String::from_utf8(buffer[..length].to_vec()).expect("UTF-8")
    }

    /// Answers until told to stop or to hang, as the loop of a worker does.
    fn answering(pulse: Pulse, stop: Stop, hang: Arc<AtomicBool>) -> thread::JoinHandle<()> {
        use rustix::event::{PollFd, PollFlags, poll};
        thread::spawn(move || {
            while !stop.is_requested() {
                let mut both = [PollFd::new(&pulse, PollFlags::IN), PollFd::new(&stop, PollFlags::IN)];
                poll(&mut both, None).expect("poll");
                while hang.load(Ordering::Relaxed) && !stop.is_requested() {
                    thread::yield_now();
                }
                pulse.answer();
            }
        })
    }

    #[test]
    fn the_watchdog_is_fed_while_all_threads_answer_and_only_then() {
        let (_folder, socket, address) = manager();
        let mut supervisor = Supervisor::new(&address, Some(Duration::from_millis(40)));
        let stop = Stop::new().expect("eventfd");
        let hang = Arc::new(AtomicBool::new(false));
        let well = supervisor.pulse("control").expect("eventfd");
        let ill = supervisor.pulse("worker0").expect("eventfd");
        let threads = [
            answering(well, stop.clone(), Arc::default()),
            answering(ill, stop.clone(), hang.clone()),
            thread::spawn({
                let stop = stop.clone();
                move || supervisor.watch(&stop, || "all\nwell".to_owned())
            }),
        ];
        assert_eq!(hear(&socket), "READY=1\nSTATUS=all well");
        // A message may lack behind a busy machine, but not for want of an answer.
        assert!((0..3).all(|_| hear(&socket).contains("WATCHDOG=1")));

        hang.store(true, Ordering::Relaxed);
        let mut last = hear(&socket);
        while last == "WATCHDOG=1" {
            last = hear(&socket);
        }
        assert_eq!(last, "STATUS=hangs: worker0");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("set");
        assert!(socket.recv(&mut [0; 64]).is_err(), "nothing is said while it hangs");

        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        hang.store(false, Ordering::Relaxed);
        assert_eq!(hear(&socket), "WATCHDOG=1\nSTATUS=all well");
        stop.request();
        while last != "STOPPING=1\nSTATUS=stopping" {
            last = hear(&socket);
        }
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    }

    #[test]
    fn an_abstract_socket_is_spoken_to_and_a_wrong_one_done_without() {
        let name = format!("niv-supervise-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("bound");
        let stop = Stop::new().expect("eventfd");
        stop.request();
        Supervisor::new(format!("@{name}").as_ref(), None).watch(&stop, String::new);
        assert_eq!([hear(&socket), hear(&socket)], ["READY=1\nSTATUS=", "STOPPING=1\nSTATUS=stopping"]);
        for wrong in ["vsock:2:1234", "relative/path"] {
            Supervisor::new(wrong.as_ref(), Some(Duration::from_secs(1))).watch(&stop, String::new);
        }
        // Nobody listens there; that is not the daemon's trouble.
        Supervisor::new("/nonexistent/notify".as_ref(), None).watch(&stop, String::new);
    }
}
