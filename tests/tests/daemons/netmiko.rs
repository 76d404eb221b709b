//! netmiko, a library that programs configure a Nexus with, logs in through a real sshd and finds `nivsh`.

use super::files::{node, port};
use super::net::missing_rights;
use super::place::{Place, left_out, missing_program, program, text, until};
use super::python::python;
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// What is asked, and what came back: {name of the talk: text}.
const SCRIPT: &str = "\
import json, sys
from netmiko import ConnectHandler
switch = ConnectHandler(device_type='cisco_nxos', host='127.0.0.1', port=int(sys.argv[1]), username='netops',
                        use_keys=True, key_file=sys.argv[2], allow_agent=False, session_log='session.log')
told = {'prompt': switch.find_prompt()}
told['version'] = switch.send_command('show version')
told['read'] = switch.send_command('show version', use_textfsm=True)
lines = ['vlan 20', 'name databases', 'interface vethernet 3', 'switchport access vlan 20',
         'description by netmiko']
told['configured'] = switch.send_config_set(lines)
told['running'] = switch.send_command('show running-config')
told['wrong'] = switch.send_command('show nonsense')
told['saved'] = switch.save_config()
switch.disconnect()
print(json.dumps(told))
";

/// An sshd of this test's own: its port, keys, users and `/run`. It ends with the test.
struct Sshd {
    child: Child,
    port: u16,
}

impl Sshd {
    /// The shell of its user `netops` is `nivsh`, which finds the switch where an installed one has its socket.
    fn start(place: &Place) -> Self {
        for key in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(place.path(key));
            let made = keygen.output().unwrap();
            assert!(made.status.success(), "{}", text(&made));
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = |name: &str| place.path(name).display().to_string();
        let config = [
            format!("Port {port}"),
            "ListenAddress 127.0.0.1".to_owned(),
            format!("HostKey {}", path("host")),
            format!("AuthorizedKeysFile {}", path("user.pub")),
            // The folder of the test is in one that everybody may write to.
            "StrictModes no".to_owned(),
            "PermitRootLogin yes".to_owned(),
            "PasswordAuthentication no".to_owned(),
            "UsePAM no".to_owned(),
            "PrintMotd no".to_owned(),
            "PrintLastLog no".to_owned(),
            "PidFile none".to_owned(),
        ];
        place.write("sshd_config", &(config.join("\n") + "\n"));
        let users = [
            "root:x:0:0::/root:/bin/sh".to_owned(),
            format!("netops:x:0:0::/:{}", program("nivsh").display()),
            "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n".to_owned(),
        ];
        place.write("passwd", &users.join("\n"));
        let inside = "mount --bind passwd /etc/passwd && mount -t tmpfs none /run && mkdir /run/sshd /run/niv \
                      && ln -s \"$PWD/vis0.sock\" /run/niv/vis0.sock && exec \"$1\" -D -e -f \"$PWD/sshd_config\"";
        let log = std::fs::File::create(place.path("sshd.log")).unwrap();
        let child = Command::new("unshare")
            .args(["--mount", "sh", "-c", inside, "sh", SSHD])
            .current_dir(place.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        until("sshd listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self { child, port }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// It wants to be called by its whole name.
const SSHD: &str = "/usr/sbin/sshd";

#[test]
fn netmiko_logs_in_configures_and_reads_back() {
    if left_out(missing_program(&[SSHD, "ssh-keygen", "unshare"])) || left_out(missing_rights()) {
        return;
    }
    let python = match python() {
        Ok(python) => python,
        Err(why) => {
            assert!(left_out(Some(format!("netmiko cannot be installed: {why}"))));
            return;
        }
    };
    let chassis = node("vis0") + &port(1, "trunk", "pcap:up.pcapng");
    let mut place = Place::new(&[("vis0.toml", chassis), ("vis0.cfg", String::new())]);
    place.start("vis0");
    let sshd = Sshd::start(&place);
    let mut netmiko = Command::new(python);
    netmiko.args(["-c", SCRIPT, &sshd.port.to_string()]).arg(place.path("user")).current_dir(place.path(""));
    let output = netmiko.stdin(Stdio::null()).output().unwrap();
    let said = || {
        let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap_or_default();
        format!("{}\n--- session\n{}\n--- sshd\n{}", text(&output), read("session.log"), read("sshd.log"))
    };
    assert!(output.status.success(), "{}", said());
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let told = |key: &str| told[key].as_str().unwrap_or_else(|| panic!("{key}: {}", said())).to_owned();

    let client = place.client("vis0");
    let shown = client.exec_text("show version").unwrap();
    // Its uptime has gone on, and netmiko takes the next prompt, behind which the cursor is set, for a line of the answer.
    let same = |text: &str| -> Vec<String> {
        text.trim()
            .lines()
            .filter(|line| !line.contains("uptime") && line.trim_end() != "vis0#")
            .map(|line| line.trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n")
            .trim()
            .lines()
            .map(str::to_owned)
            .collect()
    };
    assert_eq!((told("prompt").as_str(), same(&told("version"))), ("vis0#", same(&shown)), "{}", said());
    let read: Value = serde_json::from_slice::<Value>(&output.stdout).unwrap()["read"][0].clone();
    assert_eq!(
        (&read["hostname"], &read["os"]),
        (&"vis0".into(), &env!("CARGO_PKG_VERSION").into()),
        "{}",
        said()
    );
    let running = client.exec_text("show running-config").unwrap();
    assert_eq!(same(&told("running")), same(&running), "{}", said());
    for line in ["  name databases", "interface vethernet 3", "  description by netmiko"] {
        assert!(running.lines().any(|shown| shown == line), "{line} is not in\n{running}");
    }
    let configured = told("configured");
    assert!(configured.contains("vis0(config-if)#") && !configured.contains('%'), "{}", said());
    assert!(told("wrong").contains("% Invalid command"), "{}", said());
    assert_eq!(client.exec_text("show startup-config").unwrap(), running);
}
