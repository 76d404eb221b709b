//! What the kernel knows of a network interface: flags and MTU, read and set through any socket. The socket's
//! network namespace decides which interface a name means.

use super::done;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// An interface request with this name in it.
pub(super) fn request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: `ifreq` consists of integers, arrays of them and a union of such and a pointer; zeros are a value.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    // One place less than the array has, so that a zero ends the name.
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    Ok(request)
}

/// `IFF_UP`, `IFF_RUNNING` and the others.
pub(crate) fn flags(socket: BorrowedFd<'_>, name: &str) -> io::Result<i32> {
    let mut request = request(name)?;
    // SAFETY: SIOCGIFFLAGS reads the name from the request and writes `ifru_flags`; the request lives on.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS as _, &mut request) })?;
    // SAFETY: the call filled this member of the union.
    Ok(i32::from(unsafe { request.ifr_ifru.ifru_flags }))
}

/// Sets the interface up (`IFF_UP`).
pub(crate) fn set_up(socket: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let flags = flags(socket, name)? | libc::IFF_UP;
    let mut request = request(name)?;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: SIOCSIFFLAGS only reads the name and `ifru_flags`, which was written above.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request) })
}

/// Octets that a frame may have behind its Ethernet header.
pub(crate) fn mtu(socket: BorrowedFd<'_>, name: &str) -> io::Result<usize> {
    let mut request = request(name)?;
    // SAFETY: SIOCGIFMTU reads the name and writes `ifru_mtu`.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU as _, &mut request) })?;
    // SAFETY: the call filled this member of the union.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    Ok(usize::try_from(mtu).unwrap_or_default())
}

/// Sets the MTU.
pub(crate) fn set_mtu(socket: BorrowedFd<'_>, name: &str, mtu: usize) -> io::Result<()> {
    let mut request = request(name)?;
    request.ifr_ifru.ifru_mtu = i32::try_from(mtu).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: SIOCSIFMTU only reads the name and `ifru_mtu`, which was written above.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFMTU as _, &request) })
}
