//! What a network interface's driver says of itself (`SIOCETHTOOL`).

use super::{done, netif};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

// linux/ethtool.h.
const GET_DRIVER: u32 = 0x03;
const GET_FLAGS: u32 = 0x25;
const GET_CHANNELS: u32 = 0x3c;
const FLAG_RXVLAN: u32 = 1 << 8;

/// Asks. `T` begins with the command, and is as long as the kernel makes its answer.
///
/// # Safety
/// `T` is the structure that goes with the command in it: the kernel writes one.
unsafe fn ask<T>(socket: BorrowedFd<'_>, name: &str, question: &mut T) -> io::Result<()> {
    let mut request = netif::request(name)?;
    request.ifr_ifru.ifru_data = core::ptr::from_mut(question).cast();
    // SAFETY: SIOCETHTOOL reads the name and the pointer from the request, and reads and writes the structure of the command that
    // it finds behind the pointer, which is a `T` by the caller's promise; both outlive the call.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &request) })
}

/// The driver's name: `veth`, `tun`, `ixgbe`.
pub(crate) fn driver(socket: BorrowedFd<'_>, name: &str) -> io::Result<String> {
    /// `struct ethtool_drvinfo`.
    #[repr(C)]
    struct Driver {
        cmd: u32,
        driver: [u8; 32],
        /// Versions and places as text.
        texts: [[u8; 32]; 4],
        reserved: [u8; 12],
        numbers: [u32; 5],
    }
    let mut answer =
        Driver { cmd: GET_DRIVER, driver: [0; 32], texts: [[0; 32]; 4], reserved: [0; 12], numbers: [0; 5] };
    // SAFETY: the structure of this command.
    unsafe { ask(socket, name, &mut answer) }?;
    let name = answer.driver.split(|octet| *octet == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// Receive queues in use.
pub(crate) fn receive_queues(socket: BorrowedFd<'_>, name: &str) -> io::Result<u32> {
    /// `struct ethtool_channels`.
    #[repr(C)]
    #[derive(Default)]
    struct Channels {
        cmd: u32,
        /// Of receive queues, transmit queues, others, and pairs.
        most: [u32; 4],
        rx: u32,
        tx: u32,
        other: u32,
        combined: u32,
    }
    let mut answer = Channels { cmd: GET_CHANNELS, ..Channels::default() };
    // SAFETY: the structure of this command.
    unsafe { ask(socket, name, &mut answer) }?;
    Ok(answer.rx.saturating_add(answer.combined))
}

/// 802.1Q tags are taken out of frames before the driver hands them over.
pub(crate) fn takes_tags_out(socket: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    /// `struct ethtool_value`.
    #[repr(C)]
    struct Value {
        cmd: u32,
        data: u32,
    }
    let mut answer = Value { cmd: GET_FLAGS, data: 0 };
    // SAFETY: the structure of this command.
    unsafe { ask(socket, name, &mut answer) }?;
    Ok(answer.data & FLAG_RXVLAN != 0)
}
