//! From a device string and what stands beside it in a configuration file to a port.

use crate::capture::{self, Capture};
use crate::device::{Device, Role};
use crate::error::OpenError;
use crate::fault::{self, FaultPlan};
use crate::port::Port;
use crate::{memif, packet, pcap, tap};
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
    /// Queues in each direction, where the device does not say and has a choice.
    pub queues: u16,
    /// What an interface must carry: octets behind the 14 of the Ethernet header, a first 802.1Q tag not
    /// counted. The hosts' MTU on a trunk or access port; 10 more where frames carry a VNTag, which is six
    /// octets, and a tag behind it, which then counts.
    pub mtu: usize,
}

/// Opens the device and wraps it as the options say.
///
/// # Errors
/// The device cannot be opened, or the capture file cannot be made.
pub fn open_with(options: &Options, defaults: &Defaults) -> Result<Port, OpenError> {
    wrap(options, defaults, || open(&options.device, defaults))
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
    match device {
        Device::Memif(end) => memif::open(memif::Config {
            abstract_socket: end.abstract_socket,
            id: end.id,
            queues: end.queues.unwrap_or(defaults.queues),
            name: defaults.name.clone(),
            ..memif::Config::new(&end.socket, end.role.unwrap_or(defaults.role))
        }),
        Device::Packet(name) => packet::open(name, defaults),
        Device::Tap(name) => tap::open(name, defaults),
        Device::Pcap(file) => pcap::open(file, defaults),
        Device::Xdp(name) => Err(OpenError::new(
            device,
            format!("AF_XDP comes with a later release; packet:{name} opens the same interface now"),
        )),
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
        Defaults { name: "ethernet1/1".to_owned(), role: Role::Server, queues: 1, mtu: 1510 }
    }

    #[test]
    fn devices_that_are_not_opened_here_are_refused_by_name() {
        for (text, part) in [("xdp:eth0", "packet:eth0"), ("vhost-user:/a", "[[vnic]]")] {
            let error = open(&text.parse().unwrap(), &defaults()).err().unwrap().to_string();
            assert!(error.starts_with(text) && error.contains(part), "{error}");
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
