//! What is said to QEMU to set a link, as a function of what it answers.
//!
//! ```text
//!   QEMU                                        we
//!   {"QMP": ...}                                qmp_capabilities
//!   {"return": {}}                              query-chardev
//!   labels of character devices                 qom-get /chardevs/LABEL addr, one after the other
//!   the socket's path                           until it is the vNIC's: human-monitor-command "info network"
//!   NICs, each with its network back end        set_link of the back end that uses the device
//!   {"return": {}}                              done
//! ```
//!
//! QEMU's machine interface does not list network back ends; `info network` is the only place that names them.

use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What comes of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Say this; another answer will come.
    Say(String),
    /// Nothing: it was an event, or an answer to nobody.
    Wait,
    /// The link is set.
    Done,
}

/// Why QEMU's answers lead nowhere.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DialogError {
    #[error("this is no QMP monitor (it said \"{0}\")")]
    NotQmp(String),
    #[error("{command} failed: {text}")]
    Refused { command: &'static str, text: String },
    #[error("{0} was answered with something else")]
    Strange(&'static str),
    #[error("no character device of this QEMU is at {}", .0.display())]
    NoChardev(PathBuf),
    #[error("no NIC of this QEMU uses the character device {0}")]
    NoNic(String),
}

/// One setting of one link.
#[derive(Debug)]
pub(super) struct Dialog {
    /// The socket of the vNIC.
    socket: PathBuf,
    up: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Greeting,
    Capabilities,
    Chardevs,
    Address { label: String, rest: Vec<String> },
    Network { label: String },
    SetLink,
}

impl Stage {
    const fn command(&self) -> &'static str {
        match self {
            Self::Greeting => "the greeting",
            Self::Capabilities => "qmp_capabilities",
            Self::Chardevs => "query-chardev",
            Self::Address { .. } => "qom-get",
            Self::Network { .. } => "info network",
            Self::SetLink => "set_link",
        }
    }
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "QMP")]
    greeting: Option<Value>,
    #[serde(rename = "return")]
    answer: Option<Value>,
    error: Option<ErrorBody>,
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    desc: String,
}

#[derive(Deserialize)]
struct Chardev {
    label: String,
}

#[derive(Deserialize)]
struct Address {
    path: Option<PathBuf>,
}

impl Dialog {
    /// Sets the link of the NIC whose back end is at `socket`.
    pub(super) fn new(socket: &Path, up: bool) -> Self {
        Self { socket: socket.to_owned(), up, stage: Stage::Greeting }
    }

    /// What it sets.
    pub(super) fn up(&self) -> bool {
        self.up
    }

    /// From now on the guest may see it.
    pub(super) fn is_said(&self) -> bool {
        matches!(self.stage, Stage::SetLink)
    }

    /// Takes a line that QEMU said.
    pub(super) fn heard(&mut self, line: &[u8]) -> Result<Next, DialogError> {
        let line: Line = serde_json::from_slice(line).map_err(|_| {
            DialogError::NotQmp(String::from_utf8_lossy(line).trim().chars().take(40).collect())
        })?;
        let command = self.stage.command();
        if let Some(error) = line.error {
            // A device without an address is not the one.
            if let Stage::Address { rest, .. } = &mut self.stage {
                let rest = core::mem::take(rest);
                return self.look_at(rest);
            }
            return Err(DialogError::Refused { command, text: error.desc });
        }
        if matches!(self.stage, Stage::Greeting) {
            if line.greeting.is_none() {
                return Ok(Next::Wait);
            }
            self.stage = Stage::Capabilities;
            return Ok(say("qmp_capabilities", Value::Null));
        }
        let Some(answer) = line.answer else { return Ok(Next::Wait) };
        match &mut self.stage {
            Stage::Greeting | Stage::Capabilities => {
                self.stage = Stage::Chardevs;
                Ok(say("query-chardev", Value::Null))
            }
            Stage::Chardevs => {
                let list: Vec<Chardev> =
                    serde_json::from_value(answer).map_err(|_| DialogError::Strange(command))?;
                self.look_at(list.into_iter().map(|chardev| chardev.label).collect())
            }
            Stage::Address { label, rest } => {
                let (label, rest) = (core::mem::take(label), core::mem::take(rest));
                let address = serde_json::from_value::<Address>(answer).ok().and_then(|addr| addr.path);
                if address.is_none_or(|path| !same_file(&path, &self.socket)) {
                    return self.look_at(rest);
                }
                self.stage = Stage::Network { label };
                Ok(say("human-monitor-command", json!({ "command-line": "info network" })))
            }
            Stage::Network { label } => {
                let text = answer.as_str().ok_or(DialogError::Strange(command))?;
                let netdev = netdev_of(text, label);
                let netdev = netdev.ok_or_else(|| DialogError::NoNic(label.clone()))?;
                self.stage = Stage::SetLink;
                Ok(say("set_link", json!({ "name": netdev, "up": self.up })))
            }
            Stage::SetLink => Ok(Next::Done),
        }
    }

    fn look_at(&mut self, mut labels: Vec<String>) -> Result<Next, DialogError> {
        let Some(label) = labels.pop() else { return Err(DialogError::NoChardev(self.socket.clone())) };
        let said = say("qom-get", json!({ "path": format!("/chardevs/{label}"), "property": "addr" }));
        self.stage = Stage::Address { label, rest: labels };
        Ok(said)
    }
}

fn say(command: &str, arguments: Value) -> Next {
    let mut line = json!({ "execute": command });
    if let (Some(line), false) = (line.as_object_mut(), arguments.is_null()) {
        line.insert("arguments".to_owned(), arguments);
    }
    Next::Say(format!("{line}\n"))
}

fn same_file(a: &Path, b: &Path) -> bool {
    let id = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    a == b || id(a).is_some_and(|found| Some(found) == id(b))
}

/// The network back end with the character device `label` that a NIC uses. QEMU writes it behind its NIC:
///
/// ```text
/// nic0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56
///  \ n: index=0,type=vhost-user,vhost-user0 to c
/// ```
fn netdev_of<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, what) = line.trim_start().strip_prefix("\\ ")?.split_once(": ")?;
        let (_, device) = what.trim_end().split_once("type=vhost-user,")?.1.split_once(" to ")?;
        (device == label).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: &str = "loose: index=0,type=vhost-user,vhost-user0 to c\r\nnic0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56\r\n \\ u: index=0,type=user,net=10.0.2.0,restrict=off\r\nnic1: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:57\r\n \\ n: index=0,type=vhost-user,vhost-user0 to cc\r\n";

    /// Says `lines` to a dialog; what it said.
    fn talk(up: bool, lines: &[&str]) -> (Vec<String>, Result<Next, DialogError>) {
        let mut dialog = Dialog::new(Path::new("/run/v.sock"), up);
        let mut said = Vec::new();
        for line in lines {
            match dialog.heard(line.as_bytes()) {
                Ok(Next::Say(line)) => said.push(line.trim_end().to_owned()),
                Ok(Next::Wait) => {}
                other => return (said, other),
            }
        }
        (said, Ok(Next::Wait))
    }

    const GREETING: &str = r#"{"QMP": {"version": {}, "capabilities": ["oob"]}}"#;
    const DONE: &str = r#"{"return": {}}"#;
    const EVENT: &str = r#"{"timestamp": {"seconds": 1}, "event": "NIC_RX_FILTER_CHANGED", "data": {}}"#;
    const CHARDEVS: &str = r#"{"return": [{"label": "cc", "filename": "unix:", "frontend-open": true}, {"label": "serial0", "filename": "stdio"}]}"#;
    const HERE: &str = r#"{"return": {"path": "/run/v.sock", "type": "unix"}}"#;
    const ELSEWHERE: &str = r#"{"return": {"path": "/run/w.sock", "type": "unix"}}"#;
    const NO_ADDRESS: &str =
        r#"{"error": {"class": "GenericError", "desc": "Property 'chardev-stdio.addr' not found"}}"#;

    fn network() -> String {
        json!({ "return": NETWORK }).to_string()
    }

    #[test]
    fn the_back_end_is_found_by_its_socket() {
        for up in [true, false] {
            let (said, end) = talk(
                up,
                &[GREETING, EVENT, DONE, CHARDEVS, NO_ADDRESS, EVENT, HERE, &network(), EVENT, DONE],
            );
            assert_eq!(end, Ok(Next::Done));
            assert_eq!(
                said,
                [
                    r#"{"execute":"qmp_capabilities"}"#.to_owned(),
                    r#"{"execute":"query-chardev"}"#.to_owned(),
                    r#"{"execute":"qom-get","arguments":{"path":"/chardevs/serial0","property":"addr"}}"#
                        .to_owned(),
                    r#"{"execute":"qom-get","arguments":{"path":"/chardevs/cc","property":"addr"}}"#
                        .to_owned(),
                    r#"{"execute":"human-monitor-command","arguments":{"command-line":"info network"}}"#
                        .to_owned(),
                    format!(r#"{{"execute":"set_link","arguments":{{"name":"n","up":{up}}}}}"#),
                ]
            );
        }
    }

    #[test]
    fn what_cannot_be_found_is_named() {
        let (_, end) = talk(false, &[GREETING, DONE, CHARDEVS, ELSEWHERE, ELSEWHERE]);
        assert_eq!(end.unwrap_err().to_string(), "no character device of this QEMU is at /run/v.sock");
        let bare = json!({ "return": "cc: index=0,type=vhost-user,vhost-user0 to cc\r\n" }).to_string();
        let (_, end) = talk(false, &[GREETING, DONE, CHARDEVS, NO_ADDRESS, HERE, &bare]);
        assert_eq!(end.unwrap_err().to_string(), "no NIC of this QEMU uses the character device cc");
        let refused = r#"{"error": {"class": "DeviceNotFound", "desc": "Device 'n' not found"}}"#;
        let (_, end) = talk(false, &[GREETING, DONE, CHARDEVS, NO_ADDRESS, HERE, &network(), refused]);
        assert_eq!(end.unwrap_err().to_string(), "set_link failed: Device 'n' not found");
        let (_, end) = talk(false, &["SSH-2.0-OpenSSH_9.2"]);
        assert!(end.unwrap_err().to_string().contains("SSH-2.0"));
        let (_, end) = talk(false, &[GREETING, DONE, DONE]);
        assert_eq!(end.unwrap_err().to_string(), "query-chardev was answered with something else");
    }
}
