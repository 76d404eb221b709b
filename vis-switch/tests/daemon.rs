//! The switch as a process: start, questions, changes, mistakes, end. Its ports are files, so it needs no rights.

use niv_node::client::{Client, ClientError};
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SWITCH: &str = env!("CARGO_BIN_EXE_vis-switch");

const CHASSIS: &str = r#"
[node]
name = "vis0"
state_dir = "state"
api = "vis0.sock"
startup = "startup.cfg"
cpus = [0]

[[port]]
name = "ethernet1/1"
mode = "vntag"
device = "pcap:link.pcapng"
negotiation = "off"
capture = "capture.pcapng"
fault = { seed = 1, drop = 0.5 }

[[port]]
name = "ethernet1/2"
mode = "trunk"
device = "pcap:up.pcapng"
"#;

const STARTUP: &str = "\
interface vethernet 1
 switchport access vlan 10
 bind interface ethernet 1/1 channel 5
interface ethernet 1/1
 vif-list 1 members 5
";

/// A folder with files and perhaps a switch that runs in it.
struct Place {
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        Self { folder, process: None }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(SWITCH);
        command.args(words).current_dir(self.folder.path()).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts the switch and waits until its API answers.
    fn start(mut self, words: &[&str], socket: &str) -> (Self, Client) {
        self.process = Some(self.command(words).stderr(Stdio::null()).spawn().expect("built"));
        let client = Client::new(self.path(socket));
        let begin = Instant::now();
        while client.health().is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "it does not answer");
            std::thread::yield_now();
        }
        (self, client)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a switch that cannot start: its exit code and what it says.
    fn refused(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.command(words).stderr(Stdio::piped()).output().expect("built");
        (output.status.code(), String::from_utf8(output.stderr).expect("a text"))
    }

    fn end(&mut self, signal: Signal) -> Option<i32> {
        let mut process = self.process.take().expect("started");
        kill_process(Pid::from_child(&process), signal).expect("it runs");
        process.wait().expect("it ended").code()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

#[test]
fn a_life() {
    let place = Place::new(&[("vis.toml", CHASSIS), ("startup.cfg", STARTUP)]);
    let (mut place, client) = place.start(&["--config", "vis.toml"], "vis0.sock");

    let virt = client.exec("show interface virtual").unwrap();
    assert_eq!(virt[0]["interface"], "vethernet1");
    assert_eq!((&virt[0]["bound"], &virt[0]["channel"]), (&"ethernet1/1".into(), &5.into()));
    assert_eq!(virt[0]["state"], "up");

    // All or nothing.
    let wrong = "interface vethernet 2\n bind interface ethernet 1/1 channel 5\n";
    let Err(ClientError::Command(error)) = client.configure(wrong) else { panic!("the channel is taken") };
    assert_eq!((error.line, error.column), (Some(2), 38));
    assert_eq!(client.exec("show interface virtual").unwrap().as_array().unwrap().len(), 1);
    client.configure("interface vethernet 2\n switchport mode trunk\n").unwrap();
    let two = client.exec("show interface vethernet 2").unwrap();
    assert_eq!((&two["state"], &two["cause"]), (&"down".into(), &"nonParticipating".into()));
    assert!(client.exec_text("show running-config").unwrap().contains("interface vethernet 2"));

    let lines = "port-profile server\n switchport access vlan 20\nport-profile web\n inherit port-profile server\n \
                 state enabled\ninterface vethernet 2\n inherit port-profile web\n mtu 9000\ndo show running-config | count\n";
    client.configure(lines).unwrap();
    let expanded = client.exec("show running-config interface vethernet 2 expand-port-profile").unwrap();
    assert_eq!(
        expanded["lines"],
        serde_json::json!([
            { "line": "inherit port-profile web", "origin": "interface" },
            { "line": "switchport mode trunk", "origin": "interface" },
            { "line": "switchport access vlan 20", "origin": "port-profile server" },
            { "line": "mtu 9000", "origin": "interface" },
        ])
    );
    let text = client.exec_text("show running-config interface vethernet 2 expand-port-profile").unwrap();
    assert!(text.contains("\n  switchport access vlan 20  ! port-profile server\n"), "{text}");
    let brief = client.exec("show port-profile brief | json").unwrap();
    let of =
        |name: &str| brief.as_array().unwrap().iter().find(|row| row["profile"] == name).unwrap().clone();
    assert_eq!((&of("web")["levels"], &of("web")["interfaces"]), (&2.into(), &1.into()));
    assert_eq!((&of("server")["heirs"], &of("server")["state"]), (&1.into(), &"disabled".into()));
    let usage = client.exec("show port-profile usage").unwrap();
    assert_eq!(usage, serde_json::json!([{ "profile": "web", "interface": "vethernet2" }]));
    let expanded = client.exec("show port-profile expand-interface name web").unwrap();
    assert_eq!(expanded[0]["interfaces"]["vethernet2"][2], "switchport access vlan 20");
    assert!(client.exec("show port-profile usage name nowhere").is_err());

    for line in ["show interface ethernet", "show interface ethernet 1/2", "show mac address-table"] {
        assert!(!client.exec_text(line).unwrap().is_empty(), "{line}");
    }
    for line in ["show counters", "show vif-list", "show version"] {
        assert!(client.exec(line).unwrap().is_object() || client.exec(line).unwrap().is_array(), "{line}");
    }
    assert_eq!(client.exec("show drops").unwrap(), serde_json::json!([]));
    let all = client.exec("show drops all").unwrap();
    assert!(
        all.as_array().unwrap().iter().any(|row| row["reason"] == "rx_no_vntag" && row["lines"] == "V1 V15")
    );
    let metrics = client.metrics().unwrap();
    assert!(metrics.contains("vis_port_up{port=\"ethernet1/2\"} 1"), "{metrics}");
    assert!(metrics.contains("vis_dropped_frames_total{reason=\"rx_double\"} 0"), "{metrics}");

    assert_eq!(place.end(Signal::TERM), Some(0));
    assert!(!place.path("vis0.sock").exists());
}

#[test]
fn without_a_file() {
    let (mut place, client) = Place::new(&[]).start(&[], "niv-run/vis0.sock");
    assert_eq!(client.exec("show interface virtual").unwrap(), serde_json::json!([]), "nobody asked for one");
    assert!(place.path("niv-run/link0.sock").exists());
    assert_eq!(place.end(Signal::INT), Some(0));
    assert!(!place.path("niv-run/vis0.sock").exists());
    assert!(!place.path("niv-run/link0.sock").exists());
}

#[test]
fn what_is_wrong_is_said_once_and_is_code_2() {
    let chassis = |old: &str, new: &str| CHASSIS.replacen(old, new, 1);
    let cases = [
        (chassis("\"off\"", "\"on\""), STARTUP, "vis.toml:13: [[port]] ethernet1/1: key \"negotiation\""),
        (chassis("negotiation = \"off\"\n", ""), STARTUP, "startup.cfg: line 5, column 21"),
        (chassis("cpus", "workers = 65\ncpus"), STARTUP, "vis.toml:7: [node]: key \"workers\""),
        (chassis("drop = 0.5", "drop = 2.0"), STARTUP, "key \"fault"),
        (chassis("drop = 0.5", "lose = 0.5"), STARTUP, "lose"),
        (
            chassis("startup.cfg", "nowhere.cfg"),
            STARTUP,
            "nowhere.cfg: the startup file cannot be read: No such file",
        ),
        (CHASSIS.to_owned(), "interface vethernet 1\n swichport", "startup.cfg: line 2, column 2"),
    ];
    for (chassis, startup, part) in cases {
        let place = Place::new(&[("vis.toml", &chassis), ("startup.cfg", startup)]);
        let (code, said) = place.refused(&["--config", "vis.toml"]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, said) = Place::new(&[]).refused(&["--config", "vis.toml"]);
    assert!(code == Some(2) && said.contains("vis.toml: No such file"), "{said}");
}

#[test]
fn what_fails_is_code_1() {
    let chassis = CHASSIS.replacen("pcap:up.pcapng", "pcap:nowhere/up.pcapng", 1);
    let place = Place::new(&[("vis.toml", &chassis), ("startup.cfg", STARTUP)]);
    let (code, said) = place.refused(&["--config", "vis.toml"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("[[port]] ethernet1/2") && said.contains("nowhere/up.pcapng"), "{said}");
}
