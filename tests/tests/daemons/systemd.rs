//! The daemons under a service manager: what they tell it, and the unit files that make it listen.

use super::files::{link, niv_port, node, vnic};
use super::place::{PATIENCE, Place, left_out, missing_program, text};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const WATCHDOG: Duration = Duration::from_millis(500);

fn place() -> Place {
    Place::new(&[
        ("vis0.toml", node("vis0") + &niv_port(1, "memif:link0.sock")),
        ("vis0.cfg", String::new()),
        (
            "adapter0.toml",
            node("adapter0")
                + &link("link0", "memif:link0.sock")
                + &vnic("vnic0", "vhost-user:vnic0.sock", 5, 10),
        ),
    ])
}

/// A daemon and the test in the part of the service manager.
struct Managed {
    daemon: Child,
    socket: UnixDatagram,
}

impl Managed {
    fn start(place: &Place, program: &str, name: &str, environment: &[(&str, String)]) -> Self {
        let path = place.path(&format!("{name}.notify"));
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = place.command(program, &["--config", &format!("{name}.toml")]);
        command.env("NOTIFY_SOCKET", &path).envs(environment.iter().cloned()).stderr(Stdio::null());
        Self { daemon: command.spawn().unwrap(), socket }
    }

    fn hear(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).expect("a message in time");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Everything that is said until the daemon has ended, without error.
    fn end(mut self) -> Vec<String> {
        kill_process(Pid::from_child(&self.daemon), Signal::TERM).unwrap();
        assert_eq!(self.daemon.wait().unwrap().code(), Some(0));
        self.socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 1024];
        let mut said = Vec::new();
        while let Ok(length) = self.socket.recv(&mut buffer) {
            said.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        said
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn ready_after_the_api_answers_then_the_watchdog_is_fed_until_stopping() {
    let place = place();
    for (program, name, status) in
        [("vis-switch", "vis0", "of 1 ports up"), ("niv-adapter", "adapter0", "of 1 vNICs up")]
    {
        let watchdog = ("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        let managed = Managed::start(&place, program, name, &[watchdog]);
        let ready = managed.hear();
        let began = Instant::now();
        place
            .client(name)
            .health()
            .unwrap_or_else(|error| panic!("ready, and the API does not answer: {error}"));
        assert!(ready.starts_with("READY=1\nSTATUS=") && ready.contains(status), "{name}: {ready}");

        let fed = (0..3).map(|_| managed.hear()).collect::<Vec<_>>();
        assert!(fed.iter().all(|message| message.starts_with("WATCHDOG=1")), "{fed:?}");
        // Twice in its time, and not more often. On a busy machine the first may have waited for this test.
        assert!(began.elapsed() >= WATCHDOG / 2, "{:?}", began.elapsed());

        assert_eq!(managed.end().last().map(String::as_str), Some("STOPPING=1\nSTATUS=stopping"), "{name}");
    }
}

#[test]
fn a_watchdog_that_waits_for_another_process_is_not_fed() {
    let place = place();
    let environment = [("WATCHDOG_USEC", "2000".to_owned()), ("WATCHDOG_PID", "1".to_owned())];
    let managed = Managed::start(&place, "vis-switch", "vis0", &environment);
    assert!(managed.hear().starts_with("READY=1"));
    // Each answer takes about as long as such a watchdog would wait.
    for _ in 0..5 {
        place.show("vis0", "show version");
    }
    assert_eq!(managed.end(), ["STOPPING=1\nSTATUS=stopping"]);
}

/// Points of `systemd-analyze security`, 0 to 10, that a unit may have: the adapter needs what it says it needs.
const EXPOSURE: [(&str, &str); 2] = [("vis-switch", "3.0"), ("niv-adapter", "3.7")];

#[test]
fn the_unit_files_are_what_systemd_reads_and_let_the_daemons_do_little_else() {
    if left_out(missing_program(&["systemd-analyze"])) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (daemon, most) in EXPOSURE {
        let name = format!("{daemon}@.service");
        let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/systemd").join(&name);
        let unit = std::fs::read_to_string(unit).unwrap();
        // Where it will be installed there is nothing yet.
        let program = super::place::program(daemon);
        let placed = unit.replace(&format!("/usr/bin/{daemon}"), program.to_str().unwrap());
        assert_ne!(placed, unit, "{name} starts /usr/bin/{daemon}");
        let path = folder.path().join(&name);
        std::fs::write(&path, placed).unwrap();

        let verified =
            Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().unwrap();
        assert!(
            verified.status.success() && text(&verified).trim().is_empty(),
            "{name}: {}",
            text(&verified)
        );
        let judged = Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--no-pager"])
            .arg(&path)
            .output()
            .unwrap();
        let judged = text(&judged);
        let exposure = judged.split_once("exposure level for").and_then(|(_, rest)| rest.split(": ").nth(1));
        let exposure = exposure.and_then(|rest| rest.split(' ').next()?.parse::<f32>().ok());
        let most: f32 = most.parse().unwrap();
        assert!(exposure.is_some_and(|exposure| exposure <= most), "{name}: {judged}");

        // What the docs promise.
        for line in
            ["Type=notify", "RuntimeDirectory=niv", "RuntimeDirectoryPreserve=yes", "StateDirectory=niv"]
        {
            assert!(unit.lines().any(|written| written == line), "{name} has no {line}");
        }
        assert!(unit.contains("\nWatchdogSec="), "{name}");
    }
}
