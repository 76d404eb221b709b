//! A guest's link: how it is signalled, and what the guest sees of it.
//!
//! QEMU owns the configuration space of a virtio NIC, and no vhost-user message carries its link state. What a
//! back end can do is to leave: QEMU takes the link down when the connection ends, and up when there is one
//! again. Or somebody tells QEMU by its monitor.

use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

/// How a guest learns that its link is down (`link_signal` of a vNIC).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LinkSignal {
    /// Down: nobody listens, and the connection ends. Up: the guest finds a listener again.
    #[default]
    Socket,
    /// By `set_link` of the QMP monitor that QEMU offers at this socket.
    Qmp(PathBuf),
    /// Not at all: its frames are dropped and counted.
    None,
}

impl FromStr for LinkSignal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "socket" => Ok(Self::Socket),
            None if text == "none" => Ok(Self::None),
            Some(("qmp", path)) if !path.is_empty() => Ok(Self::Qmp(path.into())),
            _ => Err(format!("\"{text}\" is no way to signal a link: \"socket\", \"qmp:PATH\" or \"none\"")),
        }
    }
}

impl TryFrom<String> for LinkSignal {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for LinkSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket => f.write_str("socket"),
            Self::Qmp(path) => write!(f, "qmp:{}", path.display()),
            Self::None => f.write_str("none"),
        }
    }
}

/// What a guest sees of its link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkSeen {
    /// Nobody looks: there is no guest, or its driver has not begun.
    #[default]
    Nobody,
    /// Up.
    Up,
    /// Down.
    Down,
}

impl fmt::Display for LinkSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "no driver",
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// The link of a vNIC: what it should be and what the guest sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// What the guest sees.
    pub seen: LinkSeen,
    /// Since when it sees that.
    pub since: Instant,
    /// Why the link should be down; `None` where it should be up.
    pub cause: Option<String>,
    /// Why the guest does not see what it should, where that is not a matter of milliseconds.
    pub obstacle: Option<String>,
}

impl Default for Carrier {
    fn default() -> Self {
        Self { seen: LinkSeen::Nobody, since: Instant::now(), cause: None, obstacle: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_reads_as_it_is_written() {
        for text in ["socket", "none", "qmp:/run/vm1.qmp", "qmp:a:b"] {
            assert_eq!(text.parse::<LinkSignal>().unwrap().to_string(), text);
        }
        for text in ["", "qmp", "qmp:", "sockets", "none:", "Socket"] {
            assert!(text.parse::<LinkSignal>().unwrap_err().starts_with(&format!("\"{text}\" is no way")));
        }
    }
}
