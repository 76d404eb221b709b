//! The calls of a tap: making it, and writing a frame that lies in memory shared with a guest.

use super::{Scratch, count, done, netif};
use crate::frame::OutFrame;
use crate::vnet::{self, Cuts};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Binds an open `/dev/net/tun` to the tap of this name, which is made if it is not there: frames come and go with a
/// `virtio_net_hdr` of [`vnet::LEN`] octets in front. `hosts`: those that come may be unfinished, in checksums and as super-frames of TCP
/// and, where the kernel has that (from 6.2 on), of UDP. What it cuts in frames that go.
pub(crate) fn attach(tun: BorrowedFd<'_>, name: &str, hosts: bool) -> io::Result<Cuts> {
    let mut request = netif::request(name)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as libc::c_short;
    // SAFETY: TUNSETIFF reads the name and `ifru_flags` and writes the name; the request lives on.
    done(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as _, &mut request) })?;
    // Who had the tap before may have wanted another length.
    let len = vnet::LEN as libc::c_int;
    // SAFETY: TUNSETVNETHDRSZ reads one int, which lives on.
    done(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETVNETHDRSZ as _, &len) })?;
    let set = |unfinished: libc::c_uint| {
        let unfinished = libc::c_ulong::from(unfinished);
        // SAFETY: TUNSETOFFLOAD takes its argument by value.
        done(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD as _, unfinished) })
    };
    if !hosts {
        return set(0).map(|()| Cuts::Nothing);
    }
    let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    match set(tcp | libc::TUN_F_USO4 | libc::TUN_F_USO6) {
        // Something among it is unknown.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => set(tcp).map(|()| Cuts::Tcp),
        other => other.map(|()| Cuts::TcpAndUdp),
    }
}

/// Writes one frame.
pub(crate) fn writev(tun: BorrowedFd<'_>, scratch: &mut Scratch, frame: &OutFrame<'_>) -> io::Result<usize> {
    scratch.0.clear();
    let header = vnet::header(frame.undone.as_ref());
    let all = scratch.push(&header, frame);
    let list = &scratch.0[all];
    let n = i32::try_from(list.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the list was made just now from `header`, which lives on, and the segments of `frame`, each of which stays mapped
    // and readable while `frame` is borrowed (contract of `Seg`). The kernel copies out of them; that another process may
    // write them meanwhile changes the copy and nothing else.
    count(unsafe { libc::writev(tun.as_raw_fd(), list.as_ptr(), n) })
}
