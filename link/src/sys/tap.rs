//! The calls of a tap: making it, and writing a frame that lies in memory shared with a guest.

use super::{Scratch, count, done, netif};
use crate::frame::OutFrame;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Binds an open `/dev/net/tun` to the tap of this name, which is made if it is not there: bare frames, and
/// complete ones, that is without unfinished checksums or segmentation.
pub(crate) fn attach(tun: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let mut request = netif::request(name)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads the name and `ifru_flags` and writes the name; the request lives on.
    done(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as _, &mut request) })?;
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    done(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD as _, 0 as libc::c_ulong) })
}

/// Writes one frame.
pub(crate) fn writev(tun: BorrowedFd<'_>, scratch: &mut Scratch, frame: &OutFrame<'_>) -> io::Result<usize> {
    scratch.0.clear();
    let all = scratch.push(frame);
    let list = &scratch.0[all];
    let n = i32::try_from(list.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the list was made just now from the segments of `frame`, each of which stays mapped and readable
    // while `frame` is borrowed (contract of `Seg`). The kernel copies out of them; that another process may
    // write them meanwhile changes the copy and nothing else.
    count(unsafe { libc::writev(tun.as_raw_fd(), list.as_ptr(), n) })
}
