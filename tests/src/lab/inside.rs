//! What this program does inside a guest: the agent, and counting and sending single frames.

use super::agent::{Reply, Request, TIMED_OUT};
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use parking_lot::Mutex;
use std::io::{BufRead, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// EtherType of the frames that are counted: the first of IEEE's two for local experiments.
pub(crate) const EXPERIMENTAL: u16 = 0x88b5;

/// Work inside a guest.
#[derive(Subcommand)]
pub(crate) enum Inside {
    /// Run the commands that come by standard input, one JSON object a line.
    Agent,
    /// Print a line for each experimental frame received on an interface.
    Watch {
        /// The interface.
        interface: String,
        /// How long.
        #[arg(long, default_value_t = 2000)]
        ms: u64,
    },
    /// Print an interface's carrier and how often it has changed, now and at each change.
    Carrier {
        /// The interface.
        interface: String,
        /// How long.
        #[arg(long, default_value_t = 2000)]
        ms: u64,
    },
    /// Sleep 10 ms again and again; print how many times, and the longest of these sleeps in milliseconds.
    Clock {
        /// How long.
        #[arg(long, default_value_t = 2000)]
        ms: u64,
    },
    /// Send one experimental broadcast.
    Broadcast {
        /// The interface.
        interface: String,
        /// What the frame says.
        text: String,
    },
}

/// Does it.
pub(crate) fn run(what: &Inside) -> Result<()> {
    match what {
        Inside::Agent => agent(),
        Inside::Watch { interface, ms } => watch(interface, Duration::from_millis(*ms)),
        Inside::Carrier { interface, ms } => carrier(interface, Duration::from_millis(*ms)),
        Inside::Clock { ms } => {
            clock(Duration::from_millis(*ms));
            Ok(())
        }
        Inside::Broadcast { interface, text } => raw::Socket::open(interface)?.broadcast(text.as_bytes()),
    }
}

fn agent() -> Result<()> {
    let out = Arc::new(Mutex::new(std::io::stdout()));
    for line in std::io::stdin().lock().split(b'\n') {
        let Ok(request) = serde_json::from_slice::<Request>(&line?) else { continue };
        let out = Arc::clone(&out);
        std::thread::spawn(move || {
            let end = execute(&request, &out).unwrap_or_else(|error| {
                say(&out, &Reply { id: request.id, out: Some(format!("agent: {error:#}\n")), end: None });
                127
            });
            say(&out, &Reply { id: request.id, out: None, end: Some(end) });
        });
    }
    Ok(())
}

fn say(out: &Mutex<std::io::Stdout>, reply: &Reply) {
    let Ok(line) = serde_json::to_string(reply) else { return };
    let mut out = out.lock();
    // The other end of a serial port is always there.
    let _ = out.write_all(format!("\n{line}\n").as_bytes()).and_then(|()| out.flush());
}

fn execute(request: &Request, out: &Mutex<std::io::Stdout>) -> Result<i32> {
    if request.run.is_empty() {
        return Ok(0);
    }
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("exec 2>&1\n{}", request.run))
        .env("PATH", "/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // A group of its own, so that a late one is killed with all it started.
        .process_group(0)
        .spawn()
        .context("cannot start a shell")?;
    let mut stdout = child.stdout.take().context("no output")?;
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let (over, is_over) = channel::<()>();
    let limit = Duration::from_millis(request.timeout_ms);
    let killer = std::thread::spawn(move || {
        let late = is_over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
        if late && let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        late
    });
    let mut piece = [0; 2048];
    loop {
        let count = stdout.read(&mut piece)?;
        if count == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&piece[..count]).into_owned();
        say(out, &Reply { id: request.id, out: Some(text), end: None });
    }
    let status = child.wait()?;
    drop(over);
    let late = killer.join().unwrap_or(false);
    Ok(if late { TIMED_OUT } else { status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)) })
}

/// Prints `ready`, then what each frame received says, until the time is over.
fn watch(interface: &str, time: Duration) -> Result<()> {
    let socket = raw::Socket::open(interface)?;
    println!("ready");
    let deadline = Instant::now() + time;
    let mut frame = [0; 2048];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Some(count) = socket.receive(&mut frame, left)? else { return Ok(()) };
        let text = frame.get(14..count).unwrap_or_default();
        let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
        println!("frame {}", String::from_utf8_lossy(&text[..end]));
    }
}

/// Prints `carrier N changes M` at the beginning and whenever one of them changes, until the time is over.
fn carrier(interface: &str, time: Duration) -> Result<()> {
    let read = |name: &str| {
        let path = format!("/sys/class/net/{interface}/{name}");
        std::fs::read_to_string(&path).map(|text| text.trim().to_owned()).context(path)
    };
    let deadline = Instant::now() + time;
    let mut before = None;
    while Instant::now() < deadline {
        let changes = read("carrier_changes")?;
        let now = Some((read("carrier")?, changes.clone()));
        if read("carrier_changes")? != changes {
            // It changed between the two.
            continue;
        }
        if let (Some((carrier, changes)), true) = (&now, now != before) {
            println!("carrier {carrier} changes {changes}");
        }
        before = now;
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Prints `ready`, and `ticks N longest M` when the time is over.
fn clock(time: Duration) {
    println!("ready");
    let begin = Instant::now();
    let (mut ticks, mut longest, mut last) = (0, Duration::ZERO, begin);
    while last - begin < time {
        std::thread::sleep(Duration::from_millis(10));
        let now = Instant::now();
        (ticks, longest, last) = (ticks + 1, longest.max(now - last), now);
    }
    println!("ticks {ticks} longest {}", longest.as_millis());
}

/// A packet socket, for exactly what is needed here.
mod raw {
    use super::{Context, Duration, EXPERIMENTAL, Result, bail};
    use std::io::Error;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    /// Sees the experimental frames of one interface.
    pub(super) struct Socket {
        fd: OwnedFd,
        source: [u8; 6],
    }

    impl Socket {
        pub(super) fn open(interface: &str) -> Result<Self> {
            let sys = format!("/sys/class/net/{interface}");
            let read = |name: &str| {
                std::fs::read_to_string(format!("{sys}/{name}"))
                    .with_context(|| format!("no interface {interface}"))
            };
            let index: i32 = read("ifindex")?.trim().parse()?;
            let address = read("address")?;
            let mut source = [0; 6];
            for (octet, text) in source.iter_mut().zip(address.trim().split(':')) {
                *octet = u8::from_str_radix(text, 16)?;
            }
            let protocol = EXPERIMENTAL.to_be();
            // SAFETY: `socket` takes no pointers.
            let fd = unsafe {
                libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, i32::from(protocol))
            };
            if fd < 0 {
                return Err(Error::last_os_error()).context("packet socket");
            }
            // SAFETY: `fd` was just made by `socket`, is open, and nobody else knows of it.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            // SAFETY: an all-zero `sockaddr_ll` is valid: it has only integers and an array of them.
            let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            to.sll_family = libc::AF_PACKET as u16;
            to.sll_protocol = protocol;
            to.sll_ifindex = index;
            let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            // SAFETY: `to` lives through the call and `length` is its size.
            if unsafe { libc::bind(fd.as_raw_fd(), (&raw const to).cast(), length) } != 0 {
                return Err(Error::last_os_error()).context("bind");
            }
            Ok(Self { fd, source })
        }

        pub(super) fn broadcast(&self, text: &[u8]) -> Result<()> {
            let mut frame = vec![0xff; 6];
            frame.extend_from_slice(&self.source);
            frame.extend_from_slice(&EXPERIMENTAL.to_be_bytes());
            frame.extend_from_slice(text);
            frame.resize(frame.len().max(60), 0);
            let sent = rustix::io::write(&self.fd, &frame)?;
            if sent != frame.len() {
                bail!("{sent} of {} octets sent", frame.len());
            }
            Ok(())
        }

        /// The next frame that came from outside, or `None` when the time is over.
        pub(super) fn receive(&self, into: &mut [u8], time: Duration) -> Result<Option<usize>> {
            let deadline = std::time::Instant::now() + time;
            loop {
                let left = deadline.saturating_duration_since(std::time::Instant::now());
                let mut polled = [rustix::event::PollFd::new(&self.fd, rustix::event::PollFlags::IN)];
                let left = rustix::event::Timespec {
                    tv_sec: left.as_secs() as i64,
                    tv_nsec: left.subsec_nanos().into(),
                };
                if rustix::event::poll(&mut polled, Some(&left))? == 0 {
                    return Ok(None);
                }
                // SAFETY: an all-zero `sockaddr_ll` is valid, as above.
                let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
                let mut length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
                // SAFETY: `into` is writable for its length, `from` for `length`, both through the whole call.
                let count = unsafe {
                    libc::recvfrom(
                        self.fd.as_raw_fd(),
                        into.as_mut_ptr().cast(),
                        into.len(),
                        0,
                        (&raw mut from).cast(),
                        &raw mut length,
                    )
                };
                let count = usize::try_from(count).map_err(|_| Error::last_os_error())?;
                // The socket also shows what this host sent itself.
                if from.sll_pkttype != libc::PACKET_OUTGOING {
                    return Ok(Some(count));
                }
            }
        }
    }
}
