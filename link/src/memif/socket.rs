//! The control channel: a Unix socket of type `SOCK_SEQPACKET`, never blocking.

use super::Config;
use super::fault::Fault;
use super::message::{LEN, Message, Wire};
use crate::error::OpenError;
use core::mem::MaybeUninit;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect,
    listen, recvmsg, sendmsg, socket_with,
};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Descriptors that are received with one message at the most; one is ever right.
const MAX_FDS: usize = 4;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16;

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

fn new_socket() -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, FLAGS, None)
}

fn address(config: &Config) -> rustix::io::Result<SocketAddrUnix> {
    if config.abstract_socket {
        SocketAddrUnix::new_abstract_name(config.socket.as_os_str().as_bytes())
    } else {
        SocketAddrUnix::new(&config.socket)
    }
}

/// A listening socket, and the file that goes with it.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: OwnedFd,
    /// The socket's file, its device and inode: it may be somebody else's by the time we go.
    file: Option<(PathBuf, u64, u64)>,
}

impl Listener {
    /// Binds. A socket file that nobody listens on is a dead process's and makes way.
    pub(super) fn bind(config: &Config) -> Result<Self, OpenError> {
        let device = config.device();
        let failed = |error: Errno| match config.socket.parent() {
            Some(folder) if error == Errno::NOENT => {
                OpenError::new(&device, format!("the folder {} does not exist", folder.display()))
            }
            _ => OpenError::io(&device, "cannot listen", error.into()),
        };
        let address = address(config).map_err(failed)?;
        let socket = new_socket().map_err(failed)?;
        match bind(&socket, &address) {
            Err(Errno::ADDRINUSE) => {
                let in_use = || OpenError::new(&device, "the socket is in use by another process");
                if config.abstract_socket {
                    return Err(in_use());
                }
                let is_socket =
                    std::fs::symlink_metadata(&config.socket).map(|meta| meta.file_type().is_socket());
                if !is_socket.unwrap_or(true) {
                    return Err(OpenError::new(&device, "the file exists and is not a socket"));
                }
                let probe = new_socket().map_err(failed)?;
                if !matches!(connect(&probe, &address), Err(Errno::CONNREFUSED | Errno::NOENT)) {
                    return Err(in_use());
                }
                tracing::info!(socket = %config.socket.display(), "memif: removing a stale socket");
                match rustix::fs::unlink(&config.socket) {
                    Ok(()) | Err(Errno::NOENT) => bind(&socket, &address).map_err(failed)?,
                    Err(error) => return Err(failed(error)),
                }
            }
            result => result.map_err(failed)?,
        }
        let file = if config.abstract_socket { None } else { identify(&config.socket) };
        let listener = Self { socket, file };
        listen(&listener.socket, BACKLOG).map_err(failed)?;
        Ok(listener)
    }

    /// The next connection, if one waits.
    pub(super) fn accept(&self) -> rustix::io::Result<OwnedFd> {
        accept_with(&self.socket, FLAGS)
    }
}

fn identify(path: &Path) -> Option<(PathBuf, u64, u64)> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some((path.into(), meta.dev(), meta.ino()))
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some((path, ..)) = &self.file
            && identify(path) == self.file
        {
            let _ = rustix::fs::unlink(path);
        }
    }
}

/// Connects to a server.
pub(super) fn dial(config: &Config) -> rustix::io::Result<OwnedFd> {
    let socket = new_socket()?;
    connect(&socket, &address(config)?)?;
    Ok(socket)
}

/// Sends one message. A peer that does not read its few messages is as good as gone.
pub(super) fn send(socket: &OwnedFd, message: &Message, fd: Option<&OwnedFd>) -> Result<(), Fault> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = fd.map(AsFd::as_fd);
    if let Some(fd) = &fds {
        control.push(SendAncillaryMessage::ScmRights(core::slice::from_ref(fd)));
    }
    let wire = message.emit();
    let sent =
        sendmsg(socket, &[IoSlice::new(&wire)], &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    if sent == Ok(LEN) { Ok(()) } else { Err(Fault::PeerGone) }
}

/// Receives one message and its descriptors; `None` when none waits. What is not returned is closed.
pub(super) fn receive(socket: &OwnedFd) -> Result<Option<(Wire, Vec<OwnedFd>)>, Fault> {
    let mut wire = [0; LEN];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let got = match recvmsg(socket, &mut [IoSliceMut::new(&mut wire)], &mut control, flags) {
        Ok(got) => got,
        Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
        Err(_) => return Err(Fault::PeerGone),
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    if got.bytes == 0 {
        Err(Fault::PeerGone)
    } else if got.flags.contains(ReturnFlags::CTRUNC) {
        Err(Fault::SurplusDescriptor)
    } else if got.bytes != LEN || got.flags.contains(ReturnFlags::TRUNC) {
        Err(Fault::BadMessageLength)
    } else {
        Ok(Some((wire, fds)))
    }
}

/// Makes sure that a received descriptor can be written to as an eventfd without ever waiting.
///
/// One octet is less than an eventfd takes (`EINVAL`), while a pipe, a socket or a file would take it. The peer
/// shares the open file and could make it blocking again; it would have to fill the counter, too, to hold up the
/// one worker that serves it.
pub(super) fn check_eventfd(fd: &OwnedFd) -> Result<(), Fault> {
    let flags = fcntl_getfl(fd).map_err(|_| Fault::BadRing)?;
    fcntl_setfl(fd, flags | OFlags::NONBLOCK).map_err(|_| Fault::BadRing)?;
    if rustix::io::write(fd, &[0]) == Err(Errno::INVAL) { Ok(()) } else { Err(Fault::BadRing) }
}
