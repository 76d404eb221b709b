//! Watching a network interface by its name: is it there, is it up, does it have a carrier; and waking a worker
//! when that changes.

use crate::sys::netif;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netdevice, recv, socket_with};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// `RTMGRP_LINK`: interfaces that come, go or change.
const LINKS: u32 = 1;

/// How an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Condition {
    /// Frames pass.
    Up,
    /// There is no interface of that name.
    Gone,
    /// It is administratively down.
    Down,
    /// It is up but has no carrier.
    NoCarrier,
    /// It went away, is there again, and cannot be opened again.
    Refused,
}

impl Condition {
    /// As [`Condition`] was stored in an atomic.
    pub(crate) fn from_u8(value: u8) -> Self {
        match value {
            0 => Self::Up,
            2 => Self::Down,
            3 => Self::NoCarrier,
            4 => Self::Refused,
            _ => Self::Gone,
        }
    }

    /// The cause of a port's being down.
    pub(crate) fn cause(self, name: &str) -> Option<String> {
        match self {
            Self::Up => None,
            Self::Gone => Some(format!("interface {name} is gone")),
            Self::Down => Some(format!("interface {name} is down")),
            Self::NoCarrier => Some(format!("interface {name} has no carrier")),
            Self::Refused => Some(format!(
                "interface {name} was made again and cannot be opened (the log says why; a restart opens it)"
            )),
        }
    }
}

/// One interface, in the network namespace in which the watch was made, and one descriptor that becomes
/// readable when the interface's state may have changed or a socket that was added has something.
pub(crate) struct Watch {
    name: String,
    links: OwnedFd,
    epoll: OwnedFd,
}

impl Watch {
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // No protocol is protocol 0, NETLINK_ROUTE.
        let links = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&links, &SocketAddrNetlink::new(0, LINKS))?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let watch = Self { name: name.to_owned(), links, epoll };
        watch.add(watch.links.as_fd())?;
        Ok(watch)
    }

    /// Another descriptor that makes [`event`](Self::event) readable.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(0), EventFlags::IN)?)
    }

    /// Takes a descriptor out again.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        // It is in there by contract; if it were not, nothing would be left to do.
        let _ = epoll::delete(&self.epoll, fd);
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// For system calls about the interface.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.links.as_fd()
    }

    pub(crate) fn event(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Something waits at the event.
    pub(crate) fn is_ready(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // An error is as good as nothing: the worker's own epoll will report it again.
        poll(&mut [PollFd::from_borrowed_fd(self.epoll.as_fd(), PollFlags::IN)], Some(&now)) == Ok(1)
    }

    /// Some interface changed since this was last asked.
    pub(crate) fn changed(&self) -> bool {
        let mut changed = false;
        let mut buffer = [0u8; 4096];
        loop {
            match recv(&self.links, &mut buffer[..], RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
                // What it says does not matter, the state is read afresh; too many to keep is a change too.
                Ok(_) | Err(Errno::NOBUFS) => changed = true,
                Err(Errno::INTR) => {}
                Err(_) => return changed,
            }
        }
    }

    /// The interface's index and condition now.
    pub(crate) fn look(&self) -> (Option<u32>, Condition) {
        let Ok(index) = netdevice::name_to_index(&self.links, &self.name) else {
            return (None, Condition::Gone);
        };
        let condition = match netif::flags(self.links.as_fd(), &self.name) {
            Err(_) => return (None, Condition::Gone),
            Ok(flags) if flags & libc::IFF_UP == 0 => Condition::Down,
            Ok(flags) if flags & libc::IFF_RUNNING == 0 => Condition::NoCarrier,
            Ok(_) => Condition::Up,
        };
        (Some(index), condition)
    }
}
