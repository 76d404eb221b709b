//! Interfaces and network namespaces that go away with their test, and a tester that speaks through an interface.

use super::place::{PATIENCE, text, until};
use link::{BURST, Defaults, Device, OutFrame, Port, PortState, Role, RxBurst};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// Names of interfaces and namespaces, removed when dropped.
#[derive(Default)]
pub(crate) struct Net {
    interfaces: Vec<String>,
    namespaces: Vec<String>,
}

/// Why interfaces cannot be made here, if they cannot.
pub(crate) fn missing_rights() -> Option<String> {
    let mut net = Net::default();
    let made = net.try_veth(1500).and_then(|_| net.try_namespace());
    made.err().map(|why| format!("cannot make network interfaces: {why}"))
}

impl Net {
    /// A name that nobody else has.
    fn name() -> String {
        format!("nd{:x}.{:x}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed))
    }

    fn try_veth(&mut self, mtu: usize) -> Result<[String; 2], String> {
        let ends = [Self::name(), Self::name()];
        let [a, b] = &ends;
        ip(&format!("link add {a} mtu {mtu} type veth peer name {b} mtu {mtu}"))?;
        self.interfaces.push(a.clone());
        for end in &ends {
            quiet(end);
            ip(&format!("link set {end} up"))?;
        }
        Ok(ends)
    }

    fn try_namespace(&mut self) -> Result<String, String> {
        let name = Self::name();
        ip(&format!("netns add {name}"))?;
        self.namespaces.push(name.clone());
        let quiet = format!(
            "netns exec {name} sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1"
        );
        ip(&quiet)?;
        Ok(name)
    }

    /// Both ends of a new veth, up.
    pub(crate) fn veth(&mut self, mtu: usize) -> [String; 2] {
        self.try_veth(mtu).unwrap()
    }

    /// A new tap that stays, with nobody behind it.
    pub(crate) fn tap(&mut self) -> String {
        let tap = Self::name();
        ip(&format!("tuntap add {tap} mode tap")).unwrap();
        self.interfaces.push(tap.clone());
        quiet(&tap);
        tap
    }

    /// Deletes a tap and makes it again.
    pub(crate) fn again(&self, tap: &str) {
        ip(&format!("link del {tap}")).unwrap();
        ip(&format!("tuntap add {tap} mode tap")).unwrap();
        quiet(tap);
    }

    /// Deletes a veth and makes it again, up.
    pub(crate) fn veth_again(&self, [a, b]: &[String; 2], mtu: usize) {
        ip(&format!("link del {a}")).unwrap();
        ip(&format!("link add {a} mtu {mtu} type veth peer name {b} mtu {mtu}")).unwrap();
        for end in [a, b] {
            quiet(end);
            self.set_up(end);
        }
    }

    /// What `ip` says of an interface.
    pub(crate) fn shown(interface: &str) -> String {
        text(&Command::new("ip").args(["-d", "link", "show", interface]).output().unwrap())
    }

    /// Sets an interface up, of which whoever watches it hears.
    pub(crate) fn set_up(&self, interface: &str) {
        ip(&format!("link set {interface} up")).unwrap();
    }

    /// A host that has this interface with this address; the name of its namespace.
    pub(crate) fn host(&mut self, interface: &str, address: &str) -> String {
        let host = self.try_namespace().unwrap();
        ip(&format!("link set {interface} netns {host}")).unwrap();
        ip(&format!("-n {host} addr add {address}/24 dev {interface}")).unwrap();
        ip(&format!("-n {host} link set lo up")).unwrap();
        ip(&format!("-n {host} link set {interface} up")).unwrap();
        host
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for interface in &self.interfaces {
            // Some are in a namespace, and go with it.
            let _ = ip(&format!("link del {interface}"));
        }
        for namespace in &self.namespaces {
            let _ = ip(&format!("netns del {namespace}"));
        }
    }
}

/// No neighbour discovery among the frames of a test.
fn quiet(interface: &str) {
    let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"), "1");
}

/// Runs `ip` with these arguments.
fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(format!("ip {arguments}: {}", text(&output))) }
}

/// A command on a host.
pub(crate) fn on(host: &str, command: &str) -> Command {
    let mut inside = Command::new("ip");
    inside.args(["netns", "exec", host]).args(command.split(' '));
    inside
}

/// Runs a command on a host.
pub(crate) fn run_on(host: &str, command: &str) -> Output {
    on(host, command).output().unwrap()
}

/// A tcpdump that writes what passes an interface, both ways, to a file.
pub(crate) struct Tcpdump {
    child: Child,
    says: BufReader<ChildStderr>,
    file: PathBuf,
}

impl Tcpdump {
    /// Starts it; it sees every frame from now on.
    pub(crate) fn on(interface: &str, file: PathBuf) -> Self {
        let mut tcpdump = Command::new("tcpdump");
        // As root it would give up its rights, and with them the test's folder. The buffer is in KiB.
        tcpdump.args([
            "-Z",
            "root",
            "-n",
            "-s",
            "0",
            "-B",
            "65536",
            "--immediate-mode",
            "-i",
            interface,
            "-w",
        ]);
        tcpdump.arg(&file);
        let mut child = tcpdump.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut says = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert_ne!(says.read_line(&mut line).unwrap(), 0, "tcpdump does not listen on {interface}");
        }
        Self { child, says, file }
    }

    /// Ends it when it has written all that it saw, having missed nothing; its file.
    pub(crate) fn end(mut self) -> PathBuf {
        // What it has not read when it is told to end it never reads; told so, it says how far it is.
        until("tcpdump has written what it saw", || {
            let mut line = String::new();
            kill_process(Pid::from_child(&self.child), Signal::USR1).unwrap();
            self.says.read_line(&mut line).unwrap();
            let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
            assert_eq!(numbers.len(), 3, "captured, seen, dropped: {line}");
            (numbers[0] == numbers[1]).then_some(())
        });
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let mut said = String::new();
        self.says.read_to_string(&mut said).unwrap();
        assert!(said.contains("\n0 packets dropped by kernel"), "{said}");
        std::mem::take(&mut self.file)
    }
}

impl Drop for Tcpdump {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends and receives frames through a network interface, as they are on the wire.
pub(crate) struct Tester(Port);

impl Tester {
    pub(crate) fn on(interface: &str) -> Self {
        let device: Device = format!("packet:{interface}").parse().unwrap();
        let defaults = Defaults {
            name: "tester".to_owned(),
            role: Role::Server,
            queues: 1,
            mtu: 1500,
            hosts: false,
            recognise: None,
        };
        let mut tester = Self(link::open(&device, &defaults).unwrap());
        let end = Instant::now() + PATIENCE;
        while tester.0.monitor.state() != PortState::Up {
            assert!(Instant::now() < end, "{interface}: {:?}", tester.0.monitor.state());
            tester.wait();
        }
        tester
    }

    pub(crate) fn send(&mut self, frame: &[u8]) {
        assert_eq!(self.0.tx[0].send(0, &[OutFrame::private(frame)]).frames, 1);
    }

    /// The next frame.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "no frame came");
            if let Some(frame) = self.waiting() {
                return frame;
            }
            self.wait();
        }
    }

    /// The next frame, if it is there already.
    pub(crate) fn waiting(&mut self) -> Option<Vec<u8>> {
        let mut burst = RxBurst::new();
        self.0.rx[0].recv(0, BURST.min(1), &mut burst);
        let frame = burst.first().map(|frame| frame.data.to_vec());
        drop(burst);
        self.0.rx[0].release(frame.iter().len());
        frame
    }

    /// Sleeps until the interface has something to say.
    fn wait(&mut self) {
        let rx = &mut self.0.rx[0];
        if rx.arm() {
            let event = rx.event().unwrap();
            let moment = Timespec::try_from(Duration::from_millis(100)).unwrap();
            poll(&mut [PollFd::new(&event, PollFlags::IN)], Some(&moment)).unwrap();
        }
        rx.disarm();
    }
}
