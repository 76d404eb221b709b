//! From a device string and what stands beside it in a configuration file to a port.

use crate::capture::{self, Capture};
use crate::device::{Device, Role};
use crate::error::OpenError;
use crate::fault::{self, FaultPlan};
use crate::frame::Undone;
use crate::memif::Receive;
use crate::port::Port;
use crate::{memif, packet, pcap, tap, xdp};
use std::path::PathBuf;

/// What a configuration file says about a port: its `device`, `fault` and `capture` keys.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the port is made of.
    pub device: Device,
    /// Faults to put on its frames.
    pub fault: Option<FaultPlan>,
    /// A pcapng file that records them.
    pub capture: Option<PathBuf>,
}

/// What the daemon adds to what is written.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The port's name: in captures, and as a memif announces itself.
    pub name: String,
    /// Which end of a memif we are, where the device does not say.
    pub role: Role,
    /// Queues by which the port sends, where the device does not say and has a choice: one for each worker.
    pub queues: u16,
    /// What an interface must carry: octets behind the 14 of the Ethernet header, a first 802.1Q tag not
    /// counted. The hosts' MTU on a trunk or access port; 10 more where frames carry a VNTag, which is six
    /// octets, and a tag behind it, which then counts.
    pub mtu: usize,
    /// Its frames are those of hosts, as hosts have them: no VNTag is in front. What is undone in such a frame may be left to
    /// the kernel, which would not find anything behind a VNTag.
    pub hosts: bool,
    /// Who tells an unfinished frame by its look, for devices whose kernel does not say it.
    pub recognise: Option<Recognise>,
}

/// Says what is left undone in a frame that came without a word about it.
pub type Recognise = fn(frame: &[u8]) -> Option<Undone>;

/// Queues by which a peer may send at least. With more workers than that its queues share rings.
const PEERS_QUEUES: u16 = 16;

/// What a port takes from its host beside memory, for whoever gives up everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// The socket file that it listens on, now or later.
    pub listens: Option<PathBuf>,
    /// Files that it writes.
    pub writes: Vec<PathBuf>,
    /// It connects to a name in the abstract namespace.
    pub abstract_names: bool,
    /// It connects to a guest's socket, which may be another user's.
    pub connects: bool,
    /// It is a tap.
    pub tap: bool,
    /// It is a network interface, by packet sockets.
    pub packet: bool,
    /// It is a network interface, by AF_XDP sockets.
    pub xdp: bool,
}

impl Uses {
    /// Opening it wants rights that frames do not want.
    #[must_use]
    pub fn needs_start(&self) -> bool {
        self.packet || self.xdp
    }
}

impl Options {
    /// What it takes; `role` is that of a memif which does not say its own.
    #[must_use]
    pub fn uses(&self, role: Role) -> Uses {
        let mut uses = Uses { writes: self.capture.iter().cloned().collect(), ..Uses::default() };
        match &self.device {
            Device::Memif(end) => match (end.role.unwrap_or(role), end.abstract_socket) {
                (Role::Server, false) => uses.listens = Some(end.socket.clone()),
                (Role::Client, true) => uses.abstract_names = true,
                (Role::Server, true) | (Role::Client, false) => {}
            },
            Device::VhostUser { client: true, .. } => uses.connects = true,
            Device::VhostUser { socket, client: false } => uses.listens = Some(socket.clone()),
            Device::Tap(_) => uses.tap = true,
            Device::Packet(_) => uses.packet = true,
            Device::Xdp(_) => uses.xdp = true,
            Device::Pcap(file) => uses.writes.push(file.clone()),
        }
        uses
    }
}

/// Opens the device and wraps it as the options say.
///
/// # Errors
/// The device cannot be opened, or the capture file cannot be made.
pub fn open_with(options: &Options, defaults: &Defaults) -> Result<Port, OpenError> {
    open_by(options, defaults, Opening::open)
}

/// A device that is about to be opened, on whichever thread has the rights to.
#[derive(Clone, Debug)]
pub struct Opening {
    device: Device,
    defaults: Defaults,
    unfinished: bool,
}

impl Opening {
    /// Opens it.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(self) -> Result<Port, OpenError> {
        open_as(&self.device, &self.defaults, self.unfinished)
    }
}

/// As [`open_with`], where `by` has the device opened.
///
/// # Errors
/// The capture file cannot be made, or what `by` says.
pub fn open_by(
    options: &Options,
    defaults: &Defaults,
    by: impl FnOnce(Opening) -> Result<Port, OpenError>,
) -> Result<Port, OpenError> {
    let device = options.device.clone();
    // A file shows what a wire would carry, so the peer is not asked for anything else.
    let unfinished = options.capture.is_none();
    wrap(options, defaults, || by(Opening { device, defaults: defaults.clone(), unfinished }))
}

/// Wraps a port, opened here by `open`, as the options say: faults next to the device, so that a capture shows
/// what this side saw and did.
///
/// # Errors
/// The capture file cannot be made, or what `open` says.
pub fn wrap<E: From<OpenError>>(
    options: &Options,
    defaults: &Defaults,
    open: impl FnOnce() -> Result<Port, E>,
) -> Result<Port, E> {
    // The file first: a device that is opened and closed again would show its peer a short life.
    let interface = match &options.capture {
        Some(path) => Some(Capture::create(path)?.interface(&defaults.name, &options.device.to_string())),
        None => None,
    };
    let mut port = open()?;
    if let Some(plan) = options.fault {
        port = fault::inject(port, plan);
    }
    Ok(match interface {
        Some(interface) => capture::tee(port, &interface),
        None => port,
    })
}

/// Opens the device.
///
/// # Errors
/// The device cannot be opened; the error names it, what is wrong and, where that is known, what mends it.
pub fn open(device: &Device, defaults: &Defaults) -> Result<Port, OpenError> {
    open_as(device, defaults, true)
}

/// The same, where it may lend `unfinished` frames to the peer and be lent such, or where it may not.
fn open_as(device: &Device, defaults: &Defaults, unfinished: bool) -> Result<Port, OpenError> {
    match device {
        Device::Memif(end) => memif::open(memif::Config {
            abstract_socket: end.abstract_socket,
            id: end.id,
            queues: end.queues.unwrap_or(defaults.queues),
            receive: match end.queues {
                Some(_) => Receive::AsMany,
                None => Receive::UpTo(defaults.queues.max(PEERS_QUEUES)),
            },
            name: defaults.name.clone(),
            unfinished,
            ..memif::Config::new(&end.socket, end.role.unwrap_or(defaults.role))
        }),
        Device::Packet(name) => packet::open(name, defaults),
        Device::Tap(name) => tap::open(name, defaults),
        Device::Pcap(file) => pcap::open(file, defaults),
        Device::Xdp(config) => xdp::open(config, defaults),
        Device::VhostUser { .. } => Err(OpenError::new(
            device,
            "a guest's interface: it can be the device of a [[vnic]] and of nothing else",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BURST, OutFrame, RxBurst};

    pub(crate) fn defaults() -> Defaults {
        Defaults {
            name: "ethernet1/1".to_owned(),
            role: Role::Server,
            queues: 1,
            mtu: 1510,
            hosts: false,
            recognise: None,
        }
    }

    #[test]
    fn devices_that_are_not_opened_here_are_refused_by_name() {
        let error = open(&"vhost-user:/a".parse().unwrap(), &defaults()).err().unwrap().to_string();
        assert!(error.starts_with("vhost-user:/a: ") && error.contains("[[vnic]]"), "{error}");
    }

    #[test]
    fn what_a_port_uses_is_told_by_its_device() {
        let uses = |device: &str, role| {
            let device = device.parse().unwrap();
            Options { device, fault: None, capture: Some("tee".into()) }.uses(role)
        };
        let tee = Uses { writes: vec!["tee".into()], ..Uses::default() };
        let listens = |path: &str| Uses { listens: Some(path.into()), ..tee.clone() };
        for (device, role, expected) in [
            ("memif:/run/a", Role::Server, listens("/run/a")),
            ("memif:/run/a", Role::Client, tee.clone()),
            ("memif:/run/a,role=server", Role::Client, listens("/run/a")),
            ("vhost-user:/run/b", Role::Client, listens("/run/b")),
            ("vhost-user:/run/b,client", Role::Client, Uses { connects: true, ..tee.clone() }),
            ("tap:t0", Role::Client, Uses { tap: true, ..tee.clone() }),
            ("packet:e0", Role::Client, Uses { packet: true, ..tee.clone() }),
            ("xdp:e0", Role::Client, Uses { xdp: true, ..tee.clone() }),
            ("pcap:c", Role::Client, Uses { writes: vec!["tee".into(), "c".into()], ..Uses::default() }),
        ] {
            assert_eq!(uses(device, role), expected, "{device}");
        }
    }

    #[test]
    fn a_pcap_device_takes_frames_and_brings_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sink.pcapng");
        let device = format!("pcap:{}", file.display()).parse().unwrap();
        let fault = Some(FaultPlan::new(1).with_duplicate(1.0).unwrap());
        let options = Options { device, fault, capture: Some(dir.path().join("tee.pcapng")) };
        let mut port = open_with(&options, &defaults()).unwrap();
        assert_eq!(port.tx[0].send(0, &[OutFrame::private(&[7; 60])]).frames, 1);
        let mut burst = RxBurst::new();
        port.rx[0].recv(0, BURST, &mut burst);
        assert!(burst.is_empty());
        drop(burst);
        assert!(port.rx[0].arm());
        drop(port);
        let size = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().len();
        // The tee saw one frame, the device got it twice: the fault is behind the tee.
        assert!(size("sink.pcapng") > size("tee.pcapng") - 64 + 60);
    }
}
