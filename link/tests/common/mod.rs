//! Interfaces and network namespaces that go away with their test, and a cable of our own between two ports.

use arrayvec::ArrayVec;
use link::PortState;
use link::{
    BURST, Defaults, Device, Gather, OutFrame, Port, Recognise, Role, RxBurst, Seg, Taken, Undone, open,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use vntag::offload::{Finisher, NetHeader};

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Why tests with interfaces cannot run here, said once; a failure where they must run.
pub(crate) fn missing() -> bool {
    let Err(why) = Net::new().and_then(|net| net.veth()) else { return false };
    assert!(std::env::var("CI").as_deref() != Ok("true"), "cannot make network interfaces: {why}");
    eprintln!("skipped: cannot make network interfaces: {why}");
    true
}

/// The same for a program.
pub(crate) fn missing_program(program: &str) -> bool {
    if Command::new(program).arg("--version").output().is_ok() {
        return false;
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} is missing");
    eprintln!("skipped: {program} is missing");
    true
}

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A place for interfaces and namespaces; their names are this process's own.
pub(crate) struct Net {
    id: String,
}

impl Net {
    pub(crate) fn new() -> Result<Self, String> {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        Ok(Self { id: format!("l{:x}.{serial:x}", std::process::id()) })
    }

    /// A name for an interface or a namespace.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{}{what}", self.id)
    }

    /// Both ends of a new veth, up and quiet.
    pub(crate) fn veth(&self) -> Result<(String, String), String> {
        let (a, b) = (self.name("a"), self.name("b"));
        ip(&format!("link add {a} type veth peer name {b}"))?;
        for end in [&a, &b] {
            // No neighbour discovery among the frames of a test.
            std::fs::write(format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6"), "1")
                .map_err(|e| e.to_string())?;
            ip(&format!("link set {end} up"))?;
        }
        Ok((a, b))
    }

    /// A namespace into which `interface` is moved and set up with this address.
    pub(crate) fn host(&self, what: &str, interface: &str, address: &str) -> Result<String, String> {
        let ns = self.name(what);
        ip(&format!("netns add {ns}"))?;
        ip(&format!("link set {interface} netns {ns}"))?;
        ip(&format!("-n {ns} link set lo up"))?;
        ip(&format!("-n {ns} addr add {address} dev {interface}"))?;
        ip(&format!("-n {ns} link set {interface} up"))?;
        Ok(ns)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for end in ["a", "c"] {
            let _ = ip(&format!("link del {}", self.name(end)));
        }
        for ns in ["x", "y"] {
            let _ = ip(&format!("netns del {}", self.name(ns)));
        }
    }
}

/// Runs `ip` with these arguments.
pub(crate) fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// A command inside a namespace.
pub(crate) fn within(ns: &str, command: &str) -> Command {
    let mut inside = Command::new("ip");
    inside.args(["netns", "exec", ns]).args(command.split(' '));
    inside
}

pub(crate) fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].concat().iter().map(|b| char::from(*b)).collect()
}

pub(crate) fn open_with_mtu(device: &str, mtu: usize) -> Result<Port, link::OpenError> {
    open_for(device, mtu, true)
}

/// Opens a device behind which there are `hosts`, or the other end of a link.
fn open_for(device: &str, mtu: usize, hosts: bool) -> Result<Port, link::OpenError> {
    let device: Device = device.parse().expect("a device");
    let recognise = Some(recognise as Recognise);
    open(&device, &Defaults { name: "test".to_owned(), role: Role::Server, queues: 1, mtu, hosts, recognise })
}

fn recognise(frame: &[u8]) -> Option<Undone> {
    vntag::offload::recognise(frame).and_then(|header| Undone::from_bytes(header.to_bytes()))
}

/// Opens a device and waits until frames can pass: a veth has its carrier a moment after it is up.
pub(crate) fn open_device(device: &str) -> Port {
    when_up(open_for(device, 1500, true).expect("a port"))
}

/// The same for one that is a link.
pub(crate) fn open_link(device: &str) -> Port {
    when_up(open_for(device, 1500, false).expect("a port"))
}

fn when_up(mut port: Port) -> Port {
    until(&mut port, "the port is up", |port| port.monitor.state() == PortState::Up);
    port
}

pub(crate) fn counter(port: &Port, name: &str) -> u64 {
    let all = port.monitor.counters();
    all.iter().find(|c| c.name == name).map(|c| c.value).expect("a counter of this name")
}

/// Sleeps until the port's event fires, then looks at it as a worker does.
pub(crate) fn wait(port: &mut Port) {
    let rx = &mut port.rx[0];
    if rx.arm() {
        let event = rx.event().expect("an event");
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        poll(&mut [PollFd::new(&event, PollFlags::IN)], Some(&second)).expect("poll");
    }
    rx.disarm();
}

/// Fetches what waits and forgets it.
pub(crate) fn drain(port: &mut Port) {
    let rx = &mut port.rx[0];
    loop {
        let mut burst = RxBurst::new();
        rx.recv(0, BURST, &mut burst);
        let lent = burst.len();
        drop(burst);
        rx.release(lent);
        if lent == 0 {
            return;
        }
    }
}

/// Waits until `done`, looking again at each event of the port.
pub(crate) fn until(port: &mut Port, what: &str, mut done: impl FnMut(&mut Port) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done(port) {
        assert!(Instant::now() < end, "waited in vain: {what}");
        wait(port);
    }
}

/// Sends frames, and hands them over.
pub(crate) fn send(port: &mut Port, frames: &[OutFrame<'_>]) -> Taken {
    let taken = port.tx[0].send(0, frames);
    port.tx[0].kick();
    taken
}

/// The next `n` frames.
pub(crate) fn receive(port: &mut Port, n: usize) -> Vec<Vec<u8>> {
    let mut got = Vec::new();
    until(port, "frames", |port| {
        let mut burst = RxBurst::new();
        port.rx[0].recv(0, n - got.len(), &mut burst);
        got.extend(burst.iter().map(|frame| frame.data.to_vec()));
        let taken = burst.len();
        drop(burst);
        port.rx[0].release(taken);
        got.len() == n
    });
    got
}

/// A thread that moves frames between two ports, as a switch with two ports would.
pub(crate) struct Cable {
    stop: Arc<AtomicBool>,
    longest: Arc<AtomicUsize>,
    thread: Option<JoinHandle<[Port; 2]>>,
}

impl Cable {
    pub(crate) fn between(a: Port, b: Port) -> Self {
        let (stop, longest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, seen) = (Arc::clone(&stop), Arc::clone(&longest));
        let thread = std::thread::spawn(move || {
            let (mut ports, mut finisher) = ([a, b], Finisher::default());
            while !stopped.load(Ordering::Relaxed) {
                let [a, b] = &mut ports;
                let finisher = &mut finisher;
                let moved = carry(a, b, finisher, &seen) + carry(b, a, finisher, &seen);
                if moved == 0 && a.rx[0].arm() && b.rx[0].arm() {
                    let events = [a.rx[0].event().expect("an event"), b.rx[0].event().expect("an event")];
                    let mut fds = events.map(|e| PollFd::from_borrowed_fd(e, PollFlags::IN));
                    let moment = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
                    poll(&mut fds, Some(&moment)).expect("poll");
                }
                a.rx[0].disarm();
                b.rx[0].disarm();
            }
            ports
        });
        Self { stop, longest, thread: Some(thread) }
    }

    /// Octets of the longest frame that passed.
    pub(crate) fn longest(&self) -> usize {
        self.longest.load(Ordering::Relaxed)
    }

    /// Ends it and gives the ports back.
    pub(crate) fn stop(mut self) -> [Port; 2] {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is stopped once");
        thread.join().expect("it does not panic")
    }
}

fn carry(from: &mut Port, to: &mut Port, finisher: &mut Finisher, longest: &AtomicUsize) -> usize {
    let mut burst = RxBurst::new();
    from.rx[0].recv(0, BURST, &mut burst);
    let mut taken = 0;
    let [queue, ..] = &mut to.tx[..] else { unreachable!("a port has a queue") };
    let queue = core::cell::RefCell::new(queue);
    let takes = |undone: &Undone, len| queue.borrow().takes(undone, len);
    let send = |frames: &[OutFrame<'_>]| {
        for frame in frames {
            longest.fetch_max(frame.len(), Ordering::Relaxed);
        }
        queue.borrow_mut().send(0, frames).frames == frames.len()
    };
    for frame in &burst {
        let Some(undone) = frame.undone else {
            if !send(&[OutFrame::complete(&[], frame.data)]) {
                break;
            }
            taken += 1;
            continue;
        };
        let whole = OutFrame { undone: frame.undone, ..OutFrame::complete(&[], frame.data) };
        if takes(&undone, frame.len()) {
            if !send(&[whole]) {
                break;
            }
            taken += 1;
            continue;
        }
        let copy = |to: &mut [u8]| _ = frame.data.copy_to(to);
        let finished = finisher.frame(&NetHeader::from_bytes(undone.to_bytes()), frame.len(), copy);
        // TCP sends again what finds no room half way.
        finished.expect("the kernel says what is so").batches(0, |batch| {
            let frames: ArrayVec<_, BURST> = batch
                .iter()
                .map(|(head, body)| OutFrame::complete(head, Gather::one(Seg::from_slice(body))))
                .collect();
            send(&frames);
        });
        taken += 1;
    }
    to.tx[0].kick();
    drop(burst);
    from.rx[0].release(taken);
    taken
}
