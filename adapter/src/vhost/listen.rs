//! Where front ends come from: a socket that we listen on, or one that we connect to.
//!
//! A listener that exists is answered: QEMU stands still, guest and all, between `connect` and the first reply.
//! So where nobody is to be served there is no listener, and no socket file.

use rustix::fs::{Gid, Mode, chmod, chown};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen, socket_with,
};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Mode bits of a socket unless others were asked for: whoever is in its group may connect.
const DEFAULT_MODE: u32 = 0o660;

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The folder is missing.
    #[error("{path}: the folder {folder} does not exist")]
    NoFolder {
        /// The socket's path.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// Somebody listens there.
    #[error("{0}: another process listens on this socket")]
    InUse(PathBuf),
    /// Something else is there.
    #[error("{0}: exists and is not a socket")]
    NotASocket(PathBuf),
    /// The kernel refused.
    #[error("{path}: cannot {what}: {cause}")]
    System {
        /// The socket's path.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        cause: io::Error,
    },
}

/// Where to listen, and who may connect.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The socket's path.
    pub(super) path: PathBuf,
    /// Mode bits; [`DEFAULT_MODE`] unless given.
    pub(super) mode: Option<u32>,
    /// Group, by number.
    pub(super) group: Option<u32>,
}

/// Where the front ends of a vNIC come from.
#[derive(Debug)]
pub(super) enum Door {
    /// They connect.
    Listener {
        /// Here.
        place: Place,
        /// Where there is a listener now.
        open: Option<Listener>,
    },
    /// They listen, at this path.
    Client(PathBuf),
}

/// A listening socket; its file goes away with it.
#[derive(Debug)]
pub(super) struct Listener {
    fd: OwnedFd,
    path: PathBuf,
    inode: Option<u64>,
}

impl Listener {
    /// Listens; replaces the socket file of a process that is gone.
    pub(super) fn bind(place: &Place) -> Result<Self, ListenError> {
        let path = place.path.as_path();
        let system = |what| {
            move |error: Errno| ListenError::System { path: path.to_owned(), what, cause: error.into() }
        };
        if let Some(folder) = path.parent()
            && !folder.as_os_str().is_empty()
            && !folder.is_dir()
        {
            return Err(ListenError::NoFolder { path: path.to_owned(), folder: folder.to_owned() });
        }
        remove_stale(path)?;
        let address = SocketAddrUnix::new(path).map_err(system("use this path"))?;
        let fd = new_socket().map_err(system("make a socket"))?;
        bind(&fd, &address).map_err(system("bind"))?;
        let inode = fs::symlink_metadata(path).ok().map(|meta| meta.ino());
        let listener = Self { fd, path: path.to_owned(), inode };
        // Nobody can connect before `listen`, so nobody meets the wrong mode.
        let mode = Mode::from_raw_mode(place.mode.unwrap_or(DEFAULT_MODE));
        chmod(path, mode).map_err(system("set the mode"))?;
        if let Some(group) = place.group {
            chown(path, None, Some(Gid::from_raw(group))).map_err(system("set the group"))?;
        }
        listen(&listener.fd, 4).map_err(system("listen"))?;
        Ok(listener)
    }

    pub(super) fn accept(&self) -> rustix::io::Result<OwnedFd> {
        accept_with(&self.fd, FLAGS)
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Only our own file: somebody may have replaced it.
        if self.inode.is_some() && fs::symlink_metadata(&self.path).ok().map(|meta| meta.ino()) == self.inode
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn new_socket() -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)
}

/// One attempt to reach the front end that listens at `path`.
pub(super) fn connect_to(path: &Path) -> rustix::io::Result<OwnedFd> {
    let fd = new_socket()?;
    connect(&fd, &SocketAddrUnix::new(path)?)?;
    Ok(fd)
}

/// Removes a socket file on which nobody listens any more.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(()) };
    if !meta.file_type().is_socket() {
        return Err(ListenError::NotASocket(path.to_owned()));
    }
    match connect_to(path) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(|cause| ListenError::System {
            path: path.to_owned(),
            what: "remove the stale socket",
            cause,
        }),
        Err(Errno::NOENT) => Ok(()),
        // Connected, or its queue is full, or it is not ours to connect to: somebody is there.
        _ => Err(ListenError::InUse(path.to_owned())),
    }
}
