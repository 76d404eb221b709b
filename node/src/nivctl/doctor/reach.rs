//! Whether daemons are there and can be asked: sockets, rights, daemons that hang.

use super::reached_by;
use crate::client::{self, Client, ClientError};
use crate::command::ErrorKind;
use crate::doctor::{Finding, Report, SYNTAX, Step, quote};
use rustix::fs::Access;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Octets of a Unix socket's path.
const LONGEST_PATH: usize = 107;

crate::finding_kinds! {
    NO_DAEMON = "daemon-none", Problem:
        "Nothing can be asked or told; where no daemon runs, no frame passes.",
        "`systemctl start UNIT`, or start it by hand; `--api SOCKET` where it is elsewhere";
    STALE = "socket-stale", Problem:
        "The daemon that made this socket is gone, and nobody has taken its place.",
        "`systemctl start UNIT`, or start it by hand; it replaces the file";
    RIGHTS = "socket-rights", Problem:
        "The daemon is there, but this user may not ask it anything.",
        "`usermod -aG GROUP USER`, `chgrp`, `chmod` on the socket or its folder; `admin_group` in `[node]`";
    NO_SOCKET = "socket-other", Problem:
        "The daemon cannot listen where something else is.",
        "`mv FILE FILE.old`, then start the daemon";
    TOO_LONG = "socket-path", Problem:
        "The kernel takes no longer path for a socket.",
        "a shorter `api` in `[node]`";
    HANGS = "daemon-hangs", Problem:
        "Frames may still pass, but nothing can be changed, and a vNIC that comes gets no VIF.",
        "`kill -CONT PID` where it is stopped, else `systemctl restart UNIT`";
    ODD = "daemon-odd", Problem:
        "What listens there is no daemon of this release, so it cannot be examined.",
        "install one release of everything and restart";
    VERSION = "version-differs", Warning:
        "What the one says the other may not understand; most likely a daemon was not restarted after an upgrade.",
        "`systemctl restart UNIT`";
}

/// What a place answers.
pub(super) enum Answer {
    /// Nothing is there.
    Missing,
    /// Its path is longer than a socket's may be.
    TooLong,
    /// Something that is no socket.
    Other,
    /// A socket on which nobody listens.
    Stale,
    /// This user may not connect.
    Denied(Denied),
    /// This user is in none of the groups that may ask, in the daemon's words.
    Stranger(String),
    /// Somebody listens, and says nothing.
    Silent(Option<Process>),
    /// It answers, but not what a daemon of this release answers.
    Odd(String),
    /// It reports.
    Report(Box<Report>),
}

/// Who is kept out, and where.
pub(super) struct Denied {
    /// The folder or socket that keeps this user out.
    path: PathBuf,
    is_folder: bool,
    mode: u32,
    /// Its group, by name.
    group: String,
}

/// The process that listens.
pub(super) struct Process {
    pub(super) pid: i32,
    /// It is stopped, as by Ctrl-Z or SIGSTOP.
    is_stopped: bool,
}

/// Where a daemon should be.
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) answer: Answer,
}

/// Who asks.
pub(super) struct User {
    name: String,
    group: String,
}

impl User {
    pub(super) fn this() -> Self {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        Self { name: name_of("/etc/passwd", uid), group: name_of("/etc/group", gid) }
    }
}

/// The name of a user or group, else its number.
fn name_of(file: &str, id: u32) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let number = id.to_string();
    let line = text.lines().find(|line| line.split(':').nth(2) == Some(&number));
    line.and_then(|line| line.split(':').next()).map_or(number.clone(), str::to_owned)
}

/// Where daemons should be.
pub(super) fn places(api: Option<&Path>) -> Vec<Place> {
    let place = |path: PathBuf| Place { path, answer: Answer::Missing };
    match client::find(api) {
        Ok(clients) => clients.iter().map(|client| place(client.path().to_owned())).collect(),
        Err(nowhere) => nowhere.places().iter().cloned().map(place).collect(),
    }
}

impl Place {
    /// Asks who is there.
    pub(super) fn ask(&mut self, patience: Duration) {
        self.answer = self.answered(patience);
    }

    /// What it reported.
    pub(super) fn report(&self) -> Option<&Report> {
        match &self.answer {
            Answer::Report(report) => Some(report),
            _ => None,
        }
    }

    /// How it is reached.
    pub(super) fn nivctl(&self) -> String {
        reached_by(&self.path)
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The service of that name.
    fn unit(&self) -> String {
        let node = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let program = if node.starts_with("vis") { "vis-switch" } else { "niv-adapter" };
        quote(&format!("{program}@{node}"))
    }

    fn answered(&self, patience: Duration) -> Answer {
        if self.path.as_os_str().len() > LONGEST_PATH {
            return Answer::TooLong;
        }
        if let Some(denied) = denied(&self.path) {
            return Answer::Denied(denied);
        }
        match std::fs::symlink_metadata(&self.path) {
            Ok(data) if !data.file_type().is_socket() && !data.is_symlink() => return Answer::Other,
            Err(_) => return Answer::Missing,
            Ok(_) => {}
        }
        let client = Client::new(&self.path).patient(patience);
        match client.exec(SYNTAX) {
            Ok(value) => match serde_json::from_value(value) {
                Ok(report) => Answer::Report(report),
                Err(error) => Answer::Odd(format!("its report cannot be read: {error}")),
            },
            Err(ClientError::Unreachable { .. }) => Answer::Stale,
            Err(ClientError::Silent { .. }) => Answer::Silent(self.process()),
            Err(ClientError::Command(error)) if error.kind == ErrorKind::Denied => {
                Answer::Stranger(error.message)
            }
            Err(ClientError::Failed { message, .. }) if message.starts_with("Permission denied") => {
                Answer::Stranger(message)
            }
            Err(ClientError::Command(error)) if !error.kind.was_understood() => {
                Answer::Odd(format!("it does not know \"{SYNTAX}\""))
            }
            Err(error) => Answer::Odd(error.to_string()),
        }
    }

    /// Who listens there, if that can be seen.
    pub(super) fn process(&self) -> Option<Process> {
        let socket = UnixStream::connect(&self.path).ok()?;
        let pid = rustix::net::sockopt::socket_peercred(&socket).ok()?.pid.as_raw_nonzero().get();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let state = status.lines().find_map(|line| line.strip_prefix("State:")).unwrap_or_default();
        Some(Process { pid, is_stopped: state.trim_start().starts_with(['T', 't']) })
    }
}

/// What keeps this user from a socket: a folder on the way, or itself.
fn denied(path: &Path) -> Option<Denied> {
    let path = std::path::absolute(path).ok()?;
    let mut way: Vec<&Path> = path.ancestors().collect();
    way.reverse();
    let socket = way.pop()?;
    let shut = way.into_iter().find(|folder| refuses(folder, Access::EXEC_OK));
    let (at, is_folder) = match shut {
        Some(folder) => (folder, true),
        None if refuses(socket, Access::WRITE_OK) => (socket, false),
        None => return None,
    };
    let data = std::fs::symlink_metadata(at).ok()?;
    let group = name_of("/etc/group", data.gid());
    Some(Denied { path: at.to_owned(), is_folder, mode: data.mode() & 0o777, group })
}

/// For want of rights, and not because it is not there.
fn refuses(path: &Path, how: Access) -> bool {
    rustix::fs::access(path, how) == Err(rustix::io::Errno::ACCESS)
}

/// What is wrong with a place.
pub(super) fn judge(report: &mut Report, place: &Place, user: &User, managed: bool) {
    let unit = place.unit();
    let start = || match managed {
        true => Step::shell(format!("systemctl start {unit}")),
        false => Step::advice(format!("start the daemon whose [node] has api = \"{}\"", place.name())),
    };
    let finding = match &place.answer {
        Answer::Report(_) => return,
        Answer::Missing => {
            let elsewhere = "where it is elsewhere, name its socket: nivctl --api SOCKET doctor";
            Finding::new(&NO_DAEMON, place.name(), "no such socket")
                .step(start())
                .step(Step::advice(elsewhere))
        }
        Answer::TooLong => {
            let what = format!("a socket's path has {LONGEST_PATH} octets at the most");
            Finding::new(&TOO_LONG, place.name(), what).step(Step::advice("a shorter api in [node]"))
        }
        Answer::Other => {
            let path = quote(&place.name());
            Finding::new(&NO_SOCKET, place.name(), "is no socket")
                .step(Step::shell(format!("mv {path} {path}.old")))
                .step(start())
        }
        Answer::Stale => {
            Finding::new(&STALE, place.name(), "connection refused, nobody listens").step(start())
        }
        Answer::Denied(denied) => rights(place, denied, user),
        Answer::Stranger(why) => {
            // "... for user ann: group niv may do everything, ..."
            let group = why.split("group ").nth(1).and_then(|rest| rest.split_whitespace().next());
            let join = group
                .map(|group| Step::shell(format!("sudo usermod -aG {} {}", quote(group), quote(&user.name))));
            let finding = Finding::new(&RIGHTS, place.name(), why.trim_end_matches('.'));
            finding.steps(join).step(Step::advice("log in anew afterwards"))
        }
        Answer::Silent(process) => {
            let finding = Finding::new(&HANGS, place.name(), "connects, and does not answer");
            match process {
                Some(Process { pid, is_stopped: true }) => Finding {
                    what: format!("process {pid} is stopped"),
                    ..finding.step(Step::shell(format!("kill -CONT {pid}")))
                },
                _ if managed => finding.step(Step::shell(format!("systemctl restart {unit}"))),
                Some(Process { pid, .. }) => {
                    finding.step(Step::shell(format!("kill -TERM {pid}"))).step(start())
                }
                None => finding.step(Step::advice("restart it")),
            }
        }
        Answer::Odd(what) => {
            let finding = Finding::new(&ODD, place.name(), what.as_str());
            if managed { finding.step(Step::shell(format!("systemctl restart {unit}"))) } else { finding }
                .step(Step::advice("let all programs be of one release"))
        }
    };
    report.add(finding);
}

fn rights(place: &Place, denied: &Denied, user: &User) -> Finding {
    let Denied { path, is_folder, mode, group } = denied;
    let name = path.display().to_string();
    let quoted = quote(&name);
    let of = if *is_folder { "folder" } else { "socket" };
    let what = format!("{} may not enter: {of} {name} has mode {mode:04o} and group {group}", user.name);
    let finding = Finding::new(&RIGHTS, place.name(), what);
    let lasting = "for good: admin_group = \"GROUP\" in [node], and restart the daemon";
    if *is_folder {
        finding.step(Step::shell(format!("sudo chmod o+x {quoted}")))
    } else if group != "root" && mode & 0o060 == 0o060 {
        let (group, user) = (quote(group), quote(&user.name));
        finding
            .step(Step::shell(format!("sudo usermod -aG {group} {user}")))
            .step(Step::advice(format!("log in anew afterwards, or: newgrp {group}")))
    } else {
        let group = quote(&user.group);
        finding
            .step(Step::shell(format!("sudo chgrp {group} {quoted} && sudo chmod 0660 {quoted}")))
            .step(Step::advice(lasting))
    }
}

/// A daemon of another release than this program.
pub(super) fn compare_version(here: &mut Report, daemon: &Report) {
    let own = env!("CARGO_PKG_VERSION");
    if daemon.version != own {
        let what = format!("{} {} runs, nivctl is {own}", daemon.daemon, daemon.version);
        let unit = quote(&format!("{}@{}", daemon.daemon, daemon.node));
        here.add(
            Finding::new(&VERSION, &daemon.node, what).step(Step::shell(format!("systemctl restart {unit}"))),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Report;

    fn user() -> User {
        User { name: "ann".to_owned(), group: "ann".to_owned() }
    }

    fn found(answer: Answer, managed: bool) -> Option<Finding> {
        let mut report = Report::default();
        judge(&mut report, &Place { path: "/run/niv/vis0.sock".into(), answer }, &user(), managed);
        report.findings.pop()
    }

    fn denied(is_folder: bool, mode: u32, group: &str) -> Answer {
        let path = if is_folder { "/run/niv" } else { "/run/niv/vis0.sock" };
        Answer::Denied(Denied { path: path.into(), is_folder, mode, group: group.to_owned() })
    }

    fn first(finding: &Finding) -> &str {
        match &finding.steps[0] {
            Step::Shell(line) | Step::Advice(line) => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_way_not_to_reach_a_daemon_has_its_cure() {
        let start = "systemctl start vis-switch@vis0";
        let process = |is_stopped| Answer::Silent(Some(Process { pid: 71, is_stopped }));
        for (answer, code, step) in [
            (Answer::Missing, "daemon-none", start),
            (Answer::Stale, "socket-stale", start),
            (Answer::Other, "socket-other", "mv /run/niv/vis0.sock /run/niv/vis0.sock.old"),
            (Answer::TooLong, "socket-path", "a shorter api in [node]"),
            (process(true), "daemon-hangs", "kill -CONT 71"),
            (process(false), "daemon-hangs", "systemctl restart vis-switch@vis0"),
            (Answer::Odd("what?".to_owned()), "daemon-odd", "systemctl restart vis-switch@vis0"),
            (
                Answer::Stranger("Permission denied for user ann: group niv may do everything.".to_owned()),
                "socket-rights",
                "sudo usermod -aG niv ann",
            ),
            (denied(true, 0o700, "root"), "socket-rights", "sudo chmod o+x /run/niv"),
            (denied(false, 0o660, "niv"), "socket-rights", "sudo usermod -aG niv ann"),
            (
                denied(false, 0o660, "root"),
                "socket-rights",
                "sudo chgrp ann /run/niv/vis0.sock && sudo chmod 0660 /run/niv/vis0.sock",
            ),
        ] {
            let finding = found(answer, true).expect("a finding");
            assert_eq!((finding.code.as_str(), first(&finding)), (code, step));
        }
        assert_eq!(found(Answer::Report(Box::default()), true), None);
        let by_hand = found(process(false), false).expect("a finding");
        assert_eq!((first(&by_hand), by_hand.steps.len()), ("kill -TERM 71", 2));
        assert!(first(&found(Answer::Stale, false).unwrap()).contains("api = \"/run/niv/vis0.sock\""));
    }

    #[test]
    fn places_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| Place { path: folder.path().join(name), answer: Answer::Missing };
        let answer = |name: &str| at(name).answered(Duration::from_millis(50));
        std::fs::write(folder.path().join("file"), "").unwrap();
        let listener = std::os::unix::net::UnixListener::bind(folder.path().join("mute")).unwrap();
        drop(std::os::unix::net::UnixListener::bind(folder.path().join("stale")).unwrap());
        assert!(matches!(answer("none"), Answer::Missing));
        assert!(matches!(answer("file"), Answer::Other));
        assert!(matches!(answer("stale"), Answer::Stale));
        assert!(matches!(answer(&"x".repeat(108)), Answer::TooLong));
        let this = i32::try_from(std::process::id()).unwrap();
        let Answer::Silent(Some(process)) = answer("mute") else { panic!("it says nothing") };
        assert_eq!((process.pid, process.is_stopped), (this, false));
        drop(listener);
    }

    #[test]
    fn other_versions_are_named() {
        let mut here = Report::default();
        compare_version(&mut here, &Report::new("vis0", "vis-switch", env!("CARGO_PKG_VERSION")));
        assert!(here.findings.is_empty());
        compare_version(&mut here, &Report::new("vis0", "vis-switch", "0.0.0"));
        assert!(here.findings[0].what.starts_with("vis-switch 0.0.0 runs"), "{:?}", here.findings);
    }
}
