//! `packet:IF`: a network interface through AF_PACKET.
//!
//! What the kernel does to frames on their way to such a socket:
//!
//! - It takes the first 802.1Q tag out (`PACKET_AUXDATA` tells): the tag is put back. A tag behind a VNTag is
//!   nothing the kernel sees.
//! - Frames of hosts on this machine (veth, GRO) come with unfinished checksums and as super-frames of up to 64
//!   KiB (`PACKET_VNET_HDR` tells). They are lent as they are, with what was left undone
//!   ([`Frame::undone`](crate::Frame::undone)). Switching the offloads off would need a hand in the peer's network namespace.
//!
//! Where hosts are behind the interface ([`Defaults::hosts`](crate::Defaults::hosts)), the same is left to the kernel in frames
//! that are sent: it hands them whole to a host of this machine, and cuts them for a wire.
//!
//! Two sockets: one receives (promiscuous, without what leaves through the interface), the other one sends and,
//! bound to no protocol, receives nothing. Bursts go through `recvmmsg` and `sendmmsg`. The kernel knows the
//! sockets' interface by its index; when it went away and a new one has its name, they are bound again.
//!
//! The host's own protocols see each frame too. An interface that is a port should have no address, and
//! `net.ipv4.conf.IF.arp_ignore` set to 1 where the host has others.

mod rx;
mod tx;

use crate::counter::port_counters;
use crate::device::InterfaceName;
use crate::error::OpenError;
use crate::open::Defaults;
use crate::port::{Changes, Monitor, Port, PortCounter, PortState, Tell};
use crate::sys;
use crate::watch::{Condition, Watch};
use core::sync::atomic::{AtomicU8, Ordering};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Octets that the kernel may keep for each socket.
const SOCKET_BUFFER: usize = 4 << 20;

port_counters! {
    struct Counters {
        /// Frames received.
        rx_frames,
        /// Frames the kernel dropped because they were not fetched in time.
        rx_overrun,
        /// Frames dropped because they are longer than any frame can be.
        rx_too_long,
        /// Frames dropped because the kernel cannot say how to finish them.
        rx_bad_offload,
        /// Those of the received frames that a host on this machine, or the kernel, left unfinished.
        rx_unfinished,
        /// Frames sent.
        tx_frames,
        /// Frames refused because they are longer than the interface's MTU allows.
        tx_too_long,
        /// Frames dropped because the kernel had no room for them (ENOBUFS).
        tx_no_buffers,
        /// Frames refused by the kernel for any other reason.
        tx_refused,
    }
}

/// What the two directions and the monitor share.
struct Shared {
    name: String,
    receiver: OwnedFd,
    sender: OwnedFd,
    /// The sender's frames are those of hosts, and come with what is undone in them.
    hosts: bool,
    condition: AtomicU8,
    counters: Counters,
    changes: Changes,
}

impl Shared {
    fn condition(&self) -> Condition {
        Condition::from_u8(self.condition.load(Ordering::Acquire))
    }

    /// Binds both sockets to the interface with this index.
    fn bind(&self, index: u32) -> io::Result<()> {
        sys::packet::bind(self.sender.as_fd(), index, 0)?;
        sys::packet::bind(self.receiver.as_fd(), index, sys::packet::EVERYTHING)?;
        sys::packet::set_promiscuous(self.receiver.as_fd(), index)
    }

    /// Reads the kernel's count of dropped frames, which begins anew each time.
    fn count_drops(&self) {
        if let Ok(drops) = sys::packet::take_drops(self.receiver.as_fd()) {
            self.counters.rx_overrun.add(drops);
        }
    }
}

/// Opens the interface, which must be there and have the MTU that is needed.
pub(crate) fn open(name: &InterfaceName, defaults: &Defaults) -> Result<Port, OpenError> {
    let device = format!("packet:{name}");
    let name = name.as_str();
    let failed = |step: &'static str| {
        let device = device.clone();
        move |error: io::Error| OpenError::io(&device, step, error)
    };
    let packet = || {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None).map_err(|error| {
            if error == rustix::io::Errno::PERM {
                OpenError::new(&device, "AF_PACKET needs the capability CAP_NET_RAW (or root)")
            } else {
                failed("no AF_PACKET socket")(error.into())
            }
        })
    };
    let (receiver, sender) = (packet()?, packet()?);
    sys::packet::set_receiving(receiver.as_fd())
        .map_err(failed("the kernel is too old for this (4.20 needed)"))?;
    if defaults.hosts {
        sys::packet::set_unfinished(sender.as_fd()).map_err(failed("no unfinished frames can be sent"))?;
    }
    for socket in [&receiver, &sender] {
        // More than net.core.[rw]mem_max wants a right that we may lack; the default works too.
        let _ = sockopt::set_socket_recv_buffer_size_force(socket, SOCKET_BUFFER);
        let _ = sockopt::set_socket_send_buffer_size_force(socket, SOCKET_BUFFER);
    }

    let watch = Watch::new(name).map_err(failed("the interface cannot be watched"))?;
    let (index, condition) = watch.look();
    let Some(index) = index else {
        return Err(OpenError::new(&device, format!("there is no interface {name} (see: ip link)")));
    };
    let mtu = sys::netif::mtu(watch.socket(), name).map_err(failed("its MTU cannot be read"))?;
    if mtu < defaults.mtu {
        let needed = defaults.mtu;
        return Err(OpenError::new(
            &device,
            format!("its MTU is {mtu}, this port needs {needed}: ip link set dev {name} mtu {needed}"),
        ));
    }
    let condition = AtomicU8::new(condition as u8);
    let shared = Arc::new(Shared {
        name: name.to_owned(),
        receiver,
        sender,
        hosts: defaults.hosts,
        condition,
        counters: Counters::default(),
        changes: Changes::default(),
    });
    shared.bind(index).map_err(failed("the interface cannot be bound"))?;
    watch.add(shared.receiver.as_fd()).map_err(failed("the socket cannot be watched"))?;
    Ok(Port {
        rx: vec![Box::new(rx::PacketRx::new(Arc::clone(&shared), watch, index))],
        tx: vec![Box::new(tx::PacketTx::new(Arc::clone(&shared)))],
        monitor: Arc::new(PacketMonitor(shared)),
    })
}

struct PacketMonitor(Arc<Shared>);

impl Monitor for PacketMonitor {
    fn state(&self) -> PortState {
        match self.0.condition().cause(&self.0.name) {
            None => PortState::Up,
            Some(cause) => PortState::Down { cause },
        }
    }

    fn on_change(&self, tell: Tell) {
        self.0.changes.subscribe(tell);
    }

    fn counters(&self) -> Vec<PortCounter> {
        self.0.count_drops();
        self.0.counters.list()
    }
}
