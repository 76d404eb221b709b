//! What a daemon gives up before it meets a guest or a peer.
//!
//! [`daemon::run`](crate::daemon::run) enters the sandbox when the configuration has been read, and before there is a thread
//! or an open device. From then on, for each thread there is or will be:
//!
//! - **Capabilities**: those that the configured devices need later, and no others; the bounding set, the ambient and the
//!   inheritable ones likewise. What is needed only to open a device at start stays with one thread, which opens them and
//!   ends ([`Sandbox::at_start`]).
//! - **System calls** (seccomp): a call that no part of a daemon makes ends the process (`SIGSYS`), and the kernel's log
//!   names the call by its number. A call that it makes, but with an argument that it never passes (a socket of another
//!   family, memory that is writable and executable, another process), fails with `EPERM`.
//! - **Files** (landlock): the state, the folders of sockets, the files that are written, the user database. Other
//!   processes get no signals, and their memory cannot be looked at. Older kernels can do less, down to nothing;
//!   [`Report::files`] says what is in force.
//! - **`no_new_privs`**, always.
//!
//! What commands may use beyond what the file uses, `sandbox_allow` in `[node]` says: folders, `tap`, `packet`, `xdp`.
//! `docs/security.md` tells all this to administrators, `docs/decisions/0008-sandbox.md` why it is so.

mod calls;
mod capabilities;
mod files;
mod opener;

use crate::config::Node;
use files::{Grant, Right};
use opener::Opener;
use parking_lot::Mutex;
use rustix::thread::CapabilitySet;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox cannot be entered: {what}: {cause} (--no-sandbox does without)")]
pub struct SandboxError {
    what: &'static str,
    cause: io::Error,
}

/// What a device, or something else that is configured, needs of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Sockets that it listens on, now or later.
    pub listens: Vec<PathBuf>,
    /// Files that it writes.
    pub writes: Vec<PathBuf>,
    /// It connects to sockets that may belong to other users.
    pub connects: bool,
    /// It connects to names that are not in the file system.
    pub abstract_names: bool,
    /// It is, or uses, a tap.
    pub tap: bool,
    /// It is a network interface, by packet sockets.
    pub packet: bool,
    /// It is a network interface, by AF_XDP sockets.
    pub xdp: bool,
    /// It gives a socket to another group.
    pub group: bool,
}

/// What a daemon is allowed from [`enter`](Self::enter) on.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Capabilities for opening devices at start.
    start: CapabilitySet,
    /// Capabilities for good.
    later: CapabilitySet,
    grants: Vec<Grant>,
    abstract_names: bool,
    /// Programs for XDP are loaded at start.
    xdp_start: bool,
    /// And for good.
    xdp_later: bool,
}

/// What opening network interfaces by packet sockets wants: more room in the socket than others get wants the second one.
const PACKET: CapabilitySet = CapabilitySet::NET_RAW.union(CapabilitySet::NET_ADMIN);
/// What opening them by AF_XDP sockets wants; their memory is locked.
const XDP: CapabilitySet = PACKET.union(CapabilitySet::BPF).union(CapabilitySet::IPC_LOCK);

impl Policy {
    /// What every daemon needs: its state, its API, the startup file, and what the file allows commands.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let none = CapabilitySet::empty();
        let mut policy = Self {
            start: none,
            later: none,
            grants: Vec::new(),
            abstract_names: false,
            xdp_start: false,
            xdp_later: false,
        };
        policy.grant(&node.state_dir, Right::State);
        policy.grant(folder(&node.api), Right::Api);
        if let Some(startup) = &node.startup {
            // The folder, for an editor puts a new file in the place of the old one.
            policy.grant(folder(startup), Right::Read);
        }
        for path in files::EVERYBODY_READS {
            policy.grant(Path::new(path), Right::Read);
        }
        if let Ok(program) = std::env::current_exe() {
            // Its names of functions, for the backtrace of a panic.
            policy.grant(&program, Right::Read);
        }
        policy.abstract_names = std::env::var("NOTIFY_SOCKET").is_ok_and(|address| address.starts_with('@'));
        for allowed in &node.sandbox_allow {
            match allowed {
                Allowed::Tap => policy.tap(),
                Allowed::Packet => policy.later |= PACKET,
                Allowed::Xdp => (policy.later, policy.xdp_later) = (policy.later | XDP, true),
                Allowed::Folder(folder) => policy.grant(folder, Right::Open),
            }
        }
        policy
    }

    /// Adds what something configured needs.
    pub fn add(&mut self, needs: &Needs) {
        for socket in &needs.listens {
            self.grant(folder(socket), Right::Sockets);
        }
        for file in &needs.writes {
            self.grant(file, Right::Write);
        }
        self.abstract_names |= needs.abstract_names;
        if needs.tap {
            // A tap that comes again is attached again.
            self.tap();
        }
        if needs.packet {
            self.start |= PACKET;
        }
        if needs.xdp {
            (self.start, self.xdp_start) = (self.start | XDP, true);
        }
        if needs.group {
            self.later |= CapabilitySet::CHOWN;
        }
        if needs.connects {
            self.later |= CapabilitySet::DAC_OVERRIDE;
        }
    }

    fn tap(&mut self) {
        self.later |= CapabilitySet::NET_ADMIN;
        self.grant(Path::new("/dev/net/tun"), Right::Device);
    }

    fn grant(&mut self, path: &Path, right: Right) {
        let grant = Grant { path: path.to_owned(), right };
        if !self.grants.contains(&grant) {
            self.grants.push(grant);
        }
    }

    /// Gives up everything else, for good. The process has no thread but this one.
    ///
    /// # Errors
    /// The kernel refuses. Without landlock, or with an older one, as much as can be done is done.
    pub fn enter(mut self) -> Result<Sandbox, SandboxError> {
        let failed = |what| move |cause: io::Error| SandboxError { what, cause };
        // A thread that is there already would keep what it has.
        if std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() > 1) {
            return Err(failed("threads")(io::Error::other("one was started too early")));
        }
        // The clock is read without a system call once the place of the kernel's own page for that is known, which is looked
        // up at the first reading, in a file and by a call that are both given up here.
        let _ = crate::clock::monotonic();
        self.grants.iter().for_each(Grant::prepare);
        if self.grants.iter().any(Grant::belongs_to_others) {
            self.later |= CapabilitySet::DAC_OVERRIDE;
        }
        let files = files::confine(&self.grants, self.abstract_names).map_err(failed("landlock"))?;
        capabilities::bound(self.start | self.later).map_err(failed("capabilities"))?;
        let opener = match capabilities::held().map_err(failed("capabilities"))? {
            held if self.later.contains(held) => None,
            _ => {
                let opener = Opener::spawn().map_err(failed("a thread"))?;
                // It has a filter of its own, for it may load programs.
                let xdp = self.xdp_start || self.xdp_later;
                opener.run(move || calls::filter(xdp)).map_err(failed("seccomp"))?;
                Some(opener)
            }
        };
        let kept = capabilities::keep(self.later).map_err(failed("capabilities"))?;
        calls::filter(self.xdp_later).map_err(failed("seccomp"))?;
        let report = Report { sandbox: State::On, capabilities: kept.names(), system_calls: true, files };
        tracing::info!(sandbox = %report, "rights given up");
        let grants = self.grants.into_iter().filter_map(Grant::canonical).collect();
        Ok(Sandbox(Arc::new(Inner { opener: Mutex::new(opener), report, grants, held: kept.0 })))
    }
}

/// The sandbox of a process that only looks at other processes: it keeps `CAP_SYS_PTRACE`, if it has that, and files that may
/// be read; its system calls are those of a daemon. The process has no thread but this one.
///
/// # Errors
/// The kernel refuses.
pub fn onlooker() -> Result<(), SandboxError> {
    let failed = |what| move |cause: io::Error| SandboxError { what, cause };
    capabilities::bound(CapabilitySet::SYS_PTRACE).map_err(failed("capabilities"))?;
    calls::filter(false).map_err(failed("seccomp"))
}

/// The folder of a file; that of a bare name is the working directory.
fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// An entry of `sandbox_allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// `tap`: commands may add taps.
    Tap,
    /// `packet`: commands may add network interfaces.
    Packet,
    /// `xdp`: the same through AF_XDP; and those that are made again are opened again.
    Xdp,
    /// A folder, where commands may have sockets and captures.
    Folder(PathBuf),
}

impl Allowed {
    /// Reads an entry: `tap`, `packet`, `xdp`, or a path, which has a `/` in it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "tap" => Some(Self::Tap),
            "packet" => Some(Self::Packet),
            "xdp" => Some(Self::Xdp),
            path if path.contains('/') => Some(Self::Folder(path.into())),
            _ => None,
        }
    }
}

/// The sandbox that a daemon is in; all clones are the same one.
#[derive(Clone, Debug)]
pub struct Sandbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    opener: Mutex<Option<Opener>>,
    report: Report,
    /// What may be done with which files, by canonical paths.
    grants: Vec<Grant>,
    held: CapabilitySet,
}

impl Sandbox {
    /// None (`--no-sandbox`): all rights stay.
    #[must_use]
    pub fn off() -> Self {
        let report = Report {
            sandbox: State::Off,
            capabilities: Vec::new(),
            system_calls: false,
            files: files::Confined::No.to_string(),
        };
        let opener = Mutex::default();
        Self(Arc::new(Inner { opener, report, grants: Vec::new(), held: CapabilitySet::all() }))
    }

    /// Opens something: if that `needs_start`, with the rights that are there only while the daemon starts; otherwise, and
    /// afterwards, with those that stay. What needs them starts no thread, which would keep them.
    pub fn at_start<T: Send + 'static>(
        &self,
        needs_start: bool,
        open: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        match &*self.0.opener.lock() {
            Some(opener) if needs_start => opener.run(open),
            _ => open(),
        }
    }

    /// Everything is open: what was needed for that is given up.
    pub fn started(&self) {
        drop(self.0.opener.lock().take());
    }

    /// Whether something that comes later can be had.
    ///
    /// # Errors
    /// Why not, and what allows it.
    pub fn allows(&self, needs: &Needs) -> Result<(), String> {
        if self.0.report.sandbox == State::Off {
            return Ok(());
        }
        let allow = |what: &str| {
            Err(format!(
                "the sandbox does not reach {what}; with sandbox_allow = [\"{what}\"] in [node] it does, from the next start on"
            ))
        };
        // Who is not root never had them, and is told so by what opens the device.
        let lacks = |capability| !self.0.held.contains(capability) && rustix::process::geteuid().is_root();
        if needs.tap && lacks(CapabilitySet::NET_ADMIN) {
            return allow("tap");
        }
        let starting = || self.0.opener.lock().is_some();
        if needs.packet && lacks(CapabilitySet::NET_RAW) && !starting() {
            return allow("packet");
        }
        if needs.xdp && lacks(CapabilitySet::BPF) && !starting() {
            return allow("xdp");
        }
        let grants = &self.0.grants;
        // A folder that is not there is somebody else's complaint.
        let folder = |path| std::fs::canonicalize(folder(path)).ok();
        for path in &needs.listens {
            let Some(folder) = folder(path) else { continue };
            if !grants.iter().any(|grant| grant.lets_listen(&folder)) {
                return allow(&folder.display().to_string());
            }
        }
        for path in &needs.writes {
            let (Some(folder), Some(name)) = (folder(path), path.file_name()) else { continue };
            // One that is there may be a link to elsewhere.
            let file = std::fs::canonicalize(path).unwrap_or_else(|_| folder.join(name));
            if !grants.iter().any(|grant| grant.lets_write(&file)) {
                return allow(&folder.display().to_string());
            }
        }
        Ok(())
    }

    /// What is in force.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.0.report
    }
}

/// Whether there is a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// There is one.
    On,
    /// There is none.
    Off,
}

/// What is in force, to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether there is a sandbox.
    pub sandbox: State,
    /// The capabilities that are left.
    pub capabilities: Vec<String>,
    /// System calls are filtered.
    pub system_calls: bool,
    /// How far files are confined.
    pub files: String,
}

impl core::fmt::Display for Report {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.sandbox == State::Off {
            return f.write_str("off (--no-sandbox)");
        }
        let capabilities =
            if self.capabilities.is_empty() { "none".to_owned() } else { self.capabilities.join(" ") };
        write!(f, "on; capabilities: {capabilities}; files: {}", self.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        Node { api: "api.sock".into(), ..Node::without_file("vis0") }
    }

    #[test]
    fn a_policy_has_what_is_configured_and_no_more() {
        let plain = Policy::of(&node());
        assert_eq!((plain.start, plain.later), (CapabilitySet::empty(), CapabilitySet::empty()));
        assert!(plain.grants.contains(&Grant { path: ".".into(), right: Right::Api }));
        assert!(!plain.grants.iter().any(|grant| grant.right == Right::Device));

        let mut policy = plain.clone();
        policy.add(&Needs { packet: true, ..Needs::default() });
        assert_eq!(policy.later, CapabilitySet::empty());
        assert_eq!(policy.start, CapabilitySet::NET_RAW | CapabilitySet::NET_ADMIN);
        policy.add(&Needs { xdp: true, ..Needs::default() });
        assert_eq!((policy.later, policy.xdp_later), (CapabilitySet::empty(), false));
        assert!(policy.xdp_start && policy.start.contains(CapabilitySet::BPF));
        policy.add(&Needs { tap: true, group: true, listens: vec!["run/a".into()], ..Needs::default() });
        assert_eq!(policy.later, CapabilitySet::NET_ADMIN | CapabilitySet::CHOWN);
        assert!(policy.grants.contains(&Grant { path: "run".into(), right: Right::Sockets }));
        assert!(policy.grants.iter().any(|grant| grant.right == Right::Device));

        let allow = ["tap", "packet", "/srv/vms"].map(|text| Allowed::parse(text).unwrap()).to_vec();
        let policy = Policy::of(&Node { sandbox_allow: allow, ..node() });
        assert_eq!(policy.later, CapabilitySet::NET_RAW | CapabilitySet::NET_ADMIN);
        assert!(policy.grants.contains(&Grant { path: "/srv/vms".into(), right: Right::Open }));
        let policy = Policy::of(&Node { sandbox_allow: vec![Allowed::parse("xdp").unwrap()], ..node() });
        assert!(policy.xdp_later && policy.later.contains(CapabilitySet::BPF));
        assert_eq!(Allowed::parse("raw"), None);
    }

    #[test]
    fn without_a_sandbox_everything_is_allowed_and_said() {
        let off = Sandbox::off();
        let needs = Needs { tap: true, packet: true, listens: vec!["/nowhere/x".into()], ..Needs::default() };
        assert_eq!(off.allows(&needs), Ok(()));
        assert_eq!(off.at_start(true, || 7), 7);
        off.started();
        assert_eq!(off.report().to_string(), "off (--no-sandbox)");
        assert_eq!(serde_json::to_value(off.report()).unwrap()["sandbox"], "off");
    }
}
