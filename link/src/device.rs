//! Device strings: how a port's device is written in a configuration file.
//!
//! | device | is |
//! |---|---|
//! | `memif:SOCKET[,id=N][,queues=N][,role=server\|client]` | shared memory; `@NAME` as SOCKET is an abstract socket |
//! | `packet:IF` | an existing network interface, through AF_PACKET |
//! | `xdp:IF[,queues=N][,mode=auto\|copy\|zerocopy]` | the same through AF_XDP, past the host's own protocols |
//! | `tap:NAME` | a tap interface, made if it is not there |
//! | `pcap:FILE` | takes frames into a pcapng file, brings none |
//! | `vhost-user:SOCKET[,client]` | a guest's interface; opened by the adapter, not by this crate |

use core::fmt;
use core::str::FromStr;
use serde::Deserialize;
use std::path::PathBuf;

/// What a port is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum Device {
    /// Shared memory between two processes.
    Memif(MemifDevice),
    /// An existing network interface, through AF_PACKET.
    Packet(InterfaceName),
    /// An existing network interface, through AF_XDP.
    Xdp(XdpDevice),
    /// A tap interface.
    Tap(InterfaceName),
    /// A file that takes frames and brings none.
    Pcap(PathBuf),
    /// A guest's interface.
    VhostUser {
        /// The Unix socket.
        socket: PathBuf,
        /// We connect, the guest's side listens.
        client: bool,
    },
}

/// The parts of a `memif:` device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemifDevice {
    /// The Unix socket's path, or its name when it is abstract.
    pub socket: PathBuf,
    /// The socket is an abstract one: it has a name but no file.
    pub abstract_socket: bool,
    /// Interface id; both ends write the same.
    pub id: u32,
    /// Queues in each direction; when it is not written, as many as the workers of either end have use for.
    pub queues: Option<u16>,
    /// Which end we are; the daemon's default when it is not written.
    pub role: Option<Role>,
}

/// Which end of a memif we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Listens, and maps what the client made.
    Server,
    /// Connects, and makes the memory.
    Client,
}

/// The parts of an `xdp:` device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct XdpDevice {
    /// The interface.
    pub interface: InterfaceName,
    /// How many of its receive queues are served, from the first one; all of them when it is not written.
    pub queues: Option<u16>,
    /// How frames come from the driver.
    pub mode: XdpMode,
}

/// How an AF_XDP socket gets its frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum XdpMode {
    /// As the driver can: without copies, or else with one.
    #[default]
    Auto,
    /// With one copy, which every driver can.
    Copy,
    /// Without copies, or not at all.
    ZeroCopy,
}

/// The name of a network interface: 1 to 15 octets that the kernel accepts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceName(String);

/// A device string that cannot be read: the string, the part that is wrong, and what is right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("device \"{device}\": {problem}")]
pub struct DeviceError {
    device: String,
    problem: String,
}

const KINDS: &str = "memif:, packet:, xdp:, tap:, pcap: or vhost-user:";
const MEMIF: &str = "memif:SOCKET[,id=N][,queues=N][,role=server|client]";
const XDP: &str = "xdp:IF[,queues=N][,mode=auto|copy|zerocopy]";

/// Octets of a Unix socket's path.
const SOCKET_MAX: usize = 107;

/// Octets of an interface's name.
const INTERFACE_MAX: usize = 15;

/// Queues that a memif may be given.
const QUEUES_MAX: u16 = 255;

/// Queues of an interface that may be served; each has a socket with some megabytes of memory.
const XDP_QUEUES_MAX: u16 = 64;

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        parse(text).map_err(|problem| DeviceError { device: text.to_owned(), problem })
    }
}

impl TryFrom<String> for Device {
    type Error = DeviceError;

    fn try_from(text: String) -> Result<Self, DeviceError> {
        text.parse()
    }
}

fn parse(text: &str) -> Result<Device, String> {
    let Some((kind, rest)) = text.split_once(':') else {
        return Err(format!("its kind is missing, write {KINDS} in front"));
    };
    match kind {
        "memif" => Ok(Device::Memif(memif(rest)?)),
        "packet" => Ok(Device::Packet(interface(rest)?)),
        "xdp" => Ok(Device::Xdp(xdp(rest)?)),
        "tap" => Ok(Device::Tap(interface(rest)?)),
        "pcap" if rest.is_empty() => Err("the file is missing, write pcap:FILE".to_owned()),
        "pcap" => Ok(Device::Pcap(rest.into())),
        "vhost-user" => vhost_user(rest),
        _ => Err(format!("there is no kind \"{kind}\", write {KINDS}")),
    }
}

fn memif(rest: &str) -> Result<MemifDevice, String> {
    let mut parts = rest.split(',');
    let name = parts.next().unwrap_or_default();
    let (abstract_socket, name) = match name.strip_prefix('@') {
        Some(name) => (true, name),
        None => (false, name),
    };
    let mut device =
        MemifDevice { socket: socket(name, MEMIF)?, abstract_socket, id: 0, queues: None, role: None };
    let mut seen = Vec::new();
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match key {
            "id" => {
                device.id = value
                    .parse()
                    .map_err(|_| format!("id is \"{value}\", not a number from 0 to {}", u32::MAX))?;
            }
            "queues" => match value.parse() {
                Ok(queues @ 1..=QUEUES_MAX) => device.queues = Some(queues),
                _ => return Err(format!("queues is \"{value}\", not a number from 1 to {QUEUES_MAX}")),
            },
            "role" => match value {
                "server" => device.role = Some(Role::Server),
                "client" => device.role = Some(Role::Client),
                _ => return Err(format!("role is \"{value}\", not server or client")),
            },
            _ => return Err(format!("\"{part}\" is no option of a memif, write {MEMIF}")),
        }
        if seen.contains(&key) {
            return Err(format!("{key} is there twice"));
        }
        seen.push(key);
    }
    Ok(device)
}

fn xdp(rest: &str) -> Result<XdpDevice, String> {
    let mut parts = rest.split(',');
    let name = parts.next().unwrap_or_default();
    let mut device = XdpDevice { interface: interface(name)?, queues: None, mode: XdpMode::Auto };
    let mut seen = Vec::new();
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match key {
            "queues" => match value.parse() {
                Ok(queues @ 1..=XDP_QUEUES_MAX) => device.queues = Some(queues),
                _ => return Err(format!("queues is \"{value}\", not a number from 1 to {XDP_QUEUES_MAX}")),
            },
            "mode" => match value {
                "auto" => device.mode = XdpMode::Auto,
                "copy" => device.mode = XdpMode::Copy,
                "zerocopy" => device.mode = XdpMode::ZeroCopy,
                _ => return Err(format!("mode is \"{value}\", not auto, copy or zerocopy")),
            },
            _ => return Err(format!("\"{part}\" is no option of an xdp device, write {XDP}")),
        }
        if seen.contains(&key) {
            return Err(format!("{key} is there twice"));
        }
        seen.push(key);
    }
    Ok(device)
}

fn vhost_user(rest: &str) -> Result<Device, String> {
    const FORM: &str = "vhost-user:SOCKET[,client]";
    let (name, option) = rest.split_once(',').map_or((rest, None), |(name, option)| (name, Some(option)));
    let client = match option {
        None => false,
        Some("client") => true,
        Some(other) => return Err(format!("\"{other}\" is no option of a vhost-user device, write {FORM}")),
    };
    Ok(Device::VhostUser { socket: socket(name, FORM)?, client })
}

fn socket(name: &str, form: &str) -> Result<PathBuf, String> {
    match name.len() {
        0 => Err(format!("the socket's path is missing, write {form}")),
        1..=SOCKET_MAX if !name.contains('\0') => Ok(name.into()),
        1..=SOCKET_MAX => Err("the socket's path holds a zero octet".to_owned()),
        n => Err(format!("the socket's path has {n} octets, the system takes {SOCKET_MAX}")),
    }
}

fn interface(name: &str) -> Result<InterfaceName, String> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%');
    if name.is_empty() {
        Err("the interface's name is missing".to_owned())
    } else if name.len() > INTERFACE_MAX {
        Err(format!(
            "\"{name}\" has {} octets, an interface's name has {INTERFACE_MAX} at the most",
            name.len()
        ))
    } else if matches!(name, "." | "..") || name.contains(bad) {
        Err(format!("\"{name}\" cannot be the name of an interface: no blanks, '/', ':' or '%'"))
    } else {
        Ok(InterfaceName(name.to_owned()))
    }
}

impl InterfaceName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        interface(text).map_err(|problem| DeviceError { device: text.to_owned(), problem })
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Client => "client",
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memif(memif) => {
                let at = if memif.abstract_socket { "@" } else { "" };
                write!(f, "memif:{at}{}", memif.socket.display())?;
                if memif.id != 0 {
                    write!(f, ",id={}", memif.id)?;
                }
                if let Some(queues) = memif.queues {
                    write!(f, ",queues={queues}")?;
                }
                memif.role.map_or(Ok(()), |role| write!(f, ",role={role}"))
            }
            Self::Packet(name) => write!(f, "packet:{name}"),
            Self::Xdp(xdp) => {
                write!(f, "xdp:{}", xdp.interface)?;
                if let Some(queues) = xdp.queues {
                    write!(f, ",queues={queues}")?;
                }
                match xdp.mode {
                    XdpMode::Auto => Ok(()),
                    XdpMode::Copy => f.write_str(",mode=copy"),
                    XdpMode::ZeroCopy => f.write_str(",mode=zerocopy"),
                }
            }
            Self::Tap(name) => write!(f, "tap:{name}"),
            Self::Pcap(file) => write!(f, "pcap:{}", file.display()),
            Self::VhostUser { socket, client } => {
                write!(f, "vhost-user:{}{}", socket.display(), if *client { ",client" } else { "" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> String {
        text.parse::<Device>().unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_what_is_meant() {
        let Ok(Device::Memif(memif)) = "memif:/run/niv/link0.sock,id=7,queues=2,role=client".parse() else {
            panic!("a memif")
        };
        assert_eq!(memif.socket, PathBuf::from("/run/niv/link0.sock"));
        assert_eq!((memif.abstract_socket, memif.id, memif.queues), (false, 7, Some(2)));
        assert_eq!(memif.role, Some(Role::Client));
        let Ok(Device::Memif(memif)) = "memif:@dpdk".parse() else { panic!("a memif") };
        assert_eq!((memif.socket, memif.abstract_socket), ("dpdk".into(), true));
        assert_eq!(
            "vhost-user:a.sock,client".parse(),
            Ok(Device::VhostUser { socket: "a.sock".into(), client: true })
        );
    }

    #[test]
    fn errors_name_the_part_that_is_wrong() {
        for (text, part) in [
            ("eth0", "kind is missing"),
            ("ethernet:eth0", "no kind \"ethernet\""),
            ("memif:", "socket's path is missing"),
            ("memif:a,queues=0", "queues is \"0\", not a number from 1 to 255"),
            ("memif:a,id=x", "id is \"x\""),
            ("memif:a,role=master", "role is \"master\", not server or client"),
            ("memif:a,size=3", "\"size=3\" is no option of a memif"),
            ("memif:a,id=1,id=2", "id is there twice"),
            ("packet:", "interface's name is missing"),
            ("tap:a234567890123456", "has 16 octets"),
            ("packet:eth 0", "cannot be the name of an interface"),
            ("tap:tap%d", "cannot be the name of an interface"),
            ("xdp:", "interface's name is missing"),
            ("xdp:eth0,queues=65", "queues is \"65\", not a number from 1 to 64"),
            ("xdp:eth0,mode=fast", "mode is \"fast\", not auto, copy or zerocopy"),
            ("xdp:eth0,zerocopy", "\"zerocopy\" is no option of an xdp device"),
            ("xdp:eth0,mode=copy,mode=copy", "mode is there twice"),
            ("pcap:", "write pcap:FILE"),
            ("vhost-user:a,server", "\"server\" is no option"),
        ] {
            let said = error(text);
            assert!(said.contains(part) && said.contains(text), "{text}: {said}");
        }
        assert!(error(&format!("memif:{}", "a".repeat(108))).contains("has 108 octets"));
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read_again(text in "(memif:@?[a-z/.]{1,20}(,id=[1-9])?(,queues=[1-9])?(,role=(server|client))?|(packet|tap):[a-z0-9.-]{3,15}|xdp:[a-z0-9.-]{3,15}(,queues=[1-9])?(,mode=(copy|zerocopy))?|pcap:[a-z/]{1,9}|vhost-user:[a-z/]{1,9}(,client)?)") {
            let device: Device = text.parse().unwrap();
            prop_assert_eq!(device.to_string(), text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(memif|packet|xdp|tap|vhost-user)?:?.{0,40}") {
            let _ = text.parse::<Device>();
        }
    }
}
