//! What is at the interface, for all queues; and what can go wrong with it, in words.

use crate::Device;
use crate::device::InterfaceName;
use crate::error::OpenError;
use crate::sys::bpf::{Redirect, SocketMap};
use crate::sys::xsk::Refused;
use rustix::io::Errno;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The rights that opening such a device needs.
const RIGHTS: &str = "AF_XDP needs the capabilities CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF (or root)";

/// The program at an interface and its map; both go with this.
pub(super) struct Attached {
    index: u32,
    map: SocketMap,
    _link: OwnedFd,
    native: bool,
}

impl Attached {
    /// Puts the program at the interface with this index, in the driver where that can have one.
    pub(super) fn new(index: u32, queues: u32) -> Result<Self, Problem> {
        let map = SocketMap::new(queues).map_err(Problem::Program)?;
        let program = Redirect::load(&map).map_err(Problem::Program)?;
        let (link, native) = match program.attach(index, true) {
            Ok(link) => (link, true),
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                (program.attach(index, false).map_err(Problem::Attach)?, false)
            }
            Err(error) => return Err(Problem::Attach(error)),
        };
        Ok(Self { index, map, _link: link, native })
    }

    /// The interface's index.
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// The program is in the driver.
    pub(super) fn is_native(&self) -> bool {
        self.native
    }

    /// Frames of the queue go to this socket from now on.
    pub(super) fn serve(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), Problem> {
        self.map.set(queue, socket).map_err(Problem::Program)
    }
}

/// A step that failed.
#[derive(Debug)]
pub(super) enum Problem {
    /// A socket could not be made.
    Socket(Refused),
    /// A socket could not be bound to its queue.
    Bind(Errno),
    /// Map or program.
    Program(io::Error),
    /// The program at the interface.
    Attach(io::Error),
    /// The interface does not become promiscuous.
    Promiscuous(io::Error),
    /// The socket cannot be waited for.
    Wait(io::Error),
}

/// Why there is no socket.
pub(super) fn socket_problem(error: Errno, name: &InterfaceName) -> Words {
    Problem::Socket(Refused::Socket(error)).named(name.as_str(), false, 0)
}

/// A problem for people.
pub(super) struct Words {
    text: String,
    cause: Option<io::Error>,
}

impl Words {
    /// As the error of a device.
    pub(super) fn of(self, device: &Device) -> OpenError {
        match self.cause {
            Some(cause) => OpenError::io(device, self.text, cause),
            None => OpenError::new(device, self.text),
        }
    }
}

impl core::fmt::Display for Words {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.text)?;
        self.cause.as_ref().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

impl Problem {
    /// Somebody else has the queue, or a program at the interface.
    pub(super) fn is_busy(&self) -> bool {
        match self {
            Self::Bind(error) => *error == Errno::BUSY,
            Self::Attach(error) => error.raw_os_error() == Some(libc::EBUSY),
            _ => false,
        }
    }

    /// In words: of the interface of this name, whose queues have so much memory each.
    pub(super) fn named(self, name: &str, is_veth: bool, octets: usize) -> Words {
        let (step, cause): (_, io::Error) = match self {
            Self::Socket(Refused::Socket(error)) => ("no AF_XDP socket", error.into()),
            Self::Socket(Refused::Memory(error)) => ("no memory for frames", error.into()),
            Self::Socket(Refused::Rings(error)) => ("no rings for frames (Linux 5.4 needed)", error.into()),
            Self::Bind(error) => ("its queue cannot be bound", error.into()),
            Self::Program(error) => ("no XDP program (Linux 5.9 needed)", error),
            Self::Attach(error) => ("the XDP program cannot be attached", error),
            Self::Promiscuous(error) => ("it cannot be made promiscuous", error),
            Self::Wait(error) => ("its socket cannot be watched", error),
        };
        let told = |text: String| Words { text, cause: None };
        match (step, cause.raw_os_error().unwrap_or_default()) {
            (_, libc::EPERM | libc::EACCES) => told(RIGHTS.to_owned()),
            (_, libc::EAFNOSUPPORT) => told("this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)".to_owned()),
            ("no memory for frames", libc::ENOBUFS) => told(format!(
                "each of its queues locks {} MiB of memory, which is more than may be locked: raise the limit \
                 (ulimit -l, LimitMEMLOCK=), or give CAP_IPC_LOCK",
                octets.div_ceil(1 << 20)
            )),
            ("its queue cannot be bound", libc::EBUSY) => {
                told("another AF_XDP socket has its queue (see: ss --xdp)".to_owned())
            }
            ("its queue cannot be bound", libc::EOPNOTSUPP) => {
                told("its driver cannot do without copies; mode=auto takes what there is".to_owned())
            }
            ("the XDP program cannot be attached", libc::EBUSY) => {
                told(format!("it has another XDP program: ip link set dev {name} xdp off"))
            }
            ("the XDP program cannot be attached", libc::ERANGE) if is_veth => told(
                "a veth has room for an XDP program up to an MTU of about 3,500 at both its ends".to_owned(),
            ),
            ("the XDP program cannot be attached", libc::ENOSPC) if is_veth => told(
                "a veth with an XDP program needs as many receive queues as its far end has transmit queues \
                 (see: ethtool -l)"
                    .to_owned(),
            ),
            _ => Words { text: step.to_owned(), cause: Some(cause) },
        }
    }
}
