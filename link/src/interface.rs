//! What the kernel says of a network interface, for those who look for a mistake.

use crate::device::{Device, InterfaceName};
use crate::sys::netif;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use std::os::fd::AsFd;

/// A network interface at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Octets that a frame may have behind its Ethernet header; a first 802.1Q tag is not counted.
    pub mtu: u32,
    /// It is set up (`ip link set dev NAME up`).
    pub is_set_up: bool,
}

impl Interface {
    /// The interface of this name in this thread's network namespace, if there is one.
    #[must_use]
    pub fn look(name: &InterfaceName) -> Option<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).ok()?;
        let mtu = netif::mtu(socket.as_fd(), name.as_str()).ok()?;
        let flags = netif::flags(socket.as_fd(), name.as_str()).ok()?;
        Some(Self { mtu: u32::try_from(mtu).unwrap_or(u32::MAX), is_set_up: flags & libc::IFF_UP != 0 })
    }
}

impl Device {
    /// The network interface that it is made of, if any.
    #[must_use]
    pub fn interface(&self) -> Option<&InterfaceName> {
        match self {
            Self::Packet(name) | Self::Tap(name) => Some(name),
            Self::Xdp(xdp) => Some(&xdp.interface),
            Self::Memif(_) | Self::Pcap(_) | Self::VhostUser { .. } => None,
        }
    }

    /// The line of a shell that makes its interface pass frames, where this host can do that.
    #[must_use]
    pub fn cure(&self) -> Option<String> {
        let name = self.interface()?;
        match (Interface::look(name), self) {
            (Some(Interface { is_set_up: false, .. }), _) => Some(format!("ip link set dev {name} up")),
            // A tap of this name is attached as soon as there is one.
            (None, Self::Tap(_)) => Some(format!("ip tuntap add dev {name} mode tap")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_looked_at_by_its_name() {
        let name = |device: &str| device.parse::<Device>().unwrap().interface().cloned();
        assert!(Interface::look(&name("packet:lo").unwrap()).is_some_and(|lo| lo.mtu > 1500));
        assert_eq!(Interface::look(&name("tap:niv-none").unwrap()), None);
        assert_eq!(name("memif:a"), None);
        let cure = |device: &str| device.parse::<Device>().unwrap().cure();
        assert_eq!(cure("tap:niv-none").as_deref(), Some("ip tuntap add dev niv-none mode tap"));
        assert_eq!((cure("packet:niv-none"), cure("memif:a")), (None, None));
    }
}
