//! The calls of AF_PACKET: options, binding, and whole bursts in one call.

use super::{Scratch, count, done, size_of_c};
use crate::frame::OutFrame;
use crate::queue::BURST;
use crate::vnet;
use arrayvec::ArrayVec;
use core::mem::MaybeUninit;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `ETH_P_ALL`: every frame, whatever its type.
pub(crate) const EVERYTHING: u16 = libc::ETH_P_ALL as u16;

/// A frame that was received into a slot, as the kernel describes it.
pub(crate) struct Received {
    /// Octets written into the slot, the `virtio_net_hdr` counted.
    pub(crate) len: usize,
    /// There was more than the slot holds.
    pub(crate) truncated: bool,
    /// The tag that the kernel took out of the frame: TPID and TCI.
    pub(crate) vlan: Option<(u16, u16)>,
}

fn set_option<T>(socket: BorrowedFd<'_>, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads size_of::<T>() octets of `value`; T is one of the plain C types given below.
    done(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            core::ptr::from_ref(value).cast(),
            size_of_c::<T>(),
        )
    })
}

/// What a receiving socket needs: taken-out tags in the auxiliary data, no frames that leave through the
/// interface, and a `virtio_net_hdr` that tells of unfinished checksums and segmentation.
pub(crate) fn set_receiving(socket: BorrowedFd<'_>) -> io::Result<()> {
    for option in [libc::PACKET_AUXDATA, libc::PACKET_IGNORE_OUTGOING, libc::PACKET_VNET_HDR] {
        set_option::<libc::c_int>(socket, option, &1)?;
    }
    Ok(())
}

/// What a sending socket needs that takes unfinished frames: a `virtio_net_hdr` in front of each frame.
pub(crate) fn set_unfinished(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option::<libc::c_int>(socket, libc::PACKET_VNET_HDR, &1)
}

/// Receive what is not addressed to the interface too, until the socket is closed or the interface is gone.
pub(crate) fn set_promiscuous(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let request = libc::packet_mreq {
        mr_ifindex: index.cast_signed(),
        mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    set_option(socket, libc::PACKET_ADD_MEMBERSHIP, &request)
}

/// Binds to the interface. Protocol 0 receives nothing.
pub(crate) fn bind(socket: BorrowedFd<'_>, index: u32, protocol: u16) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as libc::c_ushort,
        sll_protocol: protocol.to_be(),
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the kernel reads one `sockaddr_ll` from the address.
    done(unsafe {
        libc::bind(socket.as_raw_fd(), core::ptr::from_ref(&address).cast(), size_of_c::<libc::sockaddr_ll>())
    })
}

/// Frames that the kernel dropped because the socket was full, since this was last asked.
pub(crate) fn take_drops(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut stats = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut len = size_of_c::<libc::tpacket_stats>();
    // SAFETY: the kernel writes `len` octets at the most into `stats`, and into `len` how many it wrote.
    done(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            core::ptr::from_mut(&mut stats).cast(),
            &mut len,
        )
    })?;
    Ok(u64::from(stats.tp_drops))
}

/// Room for one control message with the auxiliary data, aligned as `cmsghdr` needs it.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 64]);

/// Receives up to `max` frames, one into each slot of `stride` octets, `offset` octets behind its beginning.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    slots: &mut [u8],
    stride: usize,
    offset: usize,
    max: usize,
) -> io::Result<ArrayVec<Received, BURST>> {
    let mut control = [const { MaybeUninit::<Control>::uninit() }; BURST];
    let mut iovs = ArrayVec::<libc::iovec, BURST>::new();
    iovs.extend(slots.chunks_exact_mut(stride).take(max.min(BURST)).map(|slot| {
        let space = slot.get_mut(offset..).unwrap_or_default();
        libc::iovec { iov_base: space.as_mut_ptr().cast(), iov_len: space.len() }
    }));
    let mut messages = ArrayVec::<libc::mmsghdr, BURST>::new();
    messages.extend(iovs.iter_mut().zip(&mut control).map(|(iov, control)| {
        // SAFETY: `mmsghdr` is integers and pointers; zeros are a value.
        let mut message: libc::mmsghdr = unsafe { core::mem::zeroed() };
        message.msg_hdr.msg_iov = iov;
        message.msg_hdr.msg_iovlen = 1;
        message.msg_hdr.msg_control = control.as_mut_ptr().cast();
        message.msg_hdr.msg_controllen = size_of::<Control>() as _;
        message
    }));
    // SAFETY: each message points to one iovec, which is a unique borrow of a slot, and to one control buffer
    // with its true size; all of them outlive the call.
    let got = count(unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            messages.len() as _,
            libc::MSG_DONTWAIT as _,
            core::ptr::null_mut(),
        )
    } as isize)?;
    Ok(messages.iter().take(got).map(describe).collect())
}

fn describe(message: &libc::mmsghdr) -> Received {
    let mut received = Received {
        len: message.msg_len as usize,
        truncated: message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        vlan: None,
    };
    // SAFETY: the kernel wrote `msg_controllen` octets of control messages into the buffer that the header
    // points to, which is still there; CMSG_FIRSTHDR gives null when that is less than one header.
    let first = unsafe { libc::CMSG_FIRSTHDR(&message.msg_hdr).as_ref() };
    // SAFETY: plain arithmetic.
    let whole = unsafe { libc::CMSG_LEN(size_of_c::<libc::tpacket_auxdata>()) } as usize;
    if let Some(first) = first
        && (first.cmsg_level, first.cmsg_type) == (libc::SOL_PACKET, libc::PACKET_AUXDATA)
        && first.cmsg_len >= whole
    {
        // SAFETY: the message is long enough for one `tpacket_auxdata`, by its own length, which the kernel
        // wrote and keeps within the buffer; `read_unaligned` asks for nothing more.
        let aux = unsafe { libc::CMSG_DATA(first).cast::<libc::tpacket_auxdata>().read_unaligned() };
        if aux.tp_status & libc::TP_STATUS_VLAN_VALID != 0 {
            let known = aux.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
            let tpid = if known { aux.tp_vlan_tpid } else { libc::ETH_P_8021Q as u16 };
            received.vlan = Some((tpid, aux.tp_vlan_tci));
        }
    }
    received
}

/// Sends frames from the front; says how many went, or why the first one did not. `unfinished`: the socket wants to be
/// told what is undone in each.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    scratch: &mut Scratch,
    frames: &[OutFrame<'_>],
    unfinished: bool,
) -> io::Result<usize> {
    scratch.0.clear();
    let frames = &frames[..frames.len().min(BURST)];
    let mut headers = ArrayVec::<_, BURST>::new();
    if unfinished {
        headers.extend(frames.iter().map(|frame| vnet::header(frame.undone.as_ref())));
    }
    let mut ranges = ArrayVec::<_, BURST>::new();
    ranges.extend(
        frames
            .iter()
            .enumerate()
            .map(|(n, frame)| scratch.push(headers.get(n).map_or(&[], |header| header), frame)),
    );
    let list = scratch.0.as_mut_ptr();
    let mut messages = ArrayVec::<libc::mmsghdr, BURST>::new();
    messages.extend(ranges.iter().map(|range| {
        // SAFETY: `mmsghdr` is integers and pointers; zeros are a value.
        let mut message: libc::mmsghdr = unsafe { core::mem::zeroed() };
        // SAFETY: the range lies in the list, which does not grow any more.
        message.msg_hdr.msg_iov = unsafe { list.add(range.start) };
        message.msg_hdr.msg_iovlen = range.len() as _;
        message
    }));
    // SAFETY: each message points to the iovecs of its frame, made just now from a header that lives as long as this call
    // and segments that stay mapped and readable while `frames` is borrowed (contract of `Seg`). The kernel copies out of them; a racing writer
    // changes the copy and nothing else.
    count(unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            messages.len() as _,
            libc::MSG_DONTWAIT as _,
        )
    } as isize)
}
