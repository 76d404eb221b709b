//! An AF_XDP socket: memory for frames that the kernel reads and writes, and the four rings that say whose a frame is.
//!
//! The memory is cut into *chunks* of one frame each. A chunk has one owner at any time:
//!
//! ```text
//!   receiving half:  fill ring --kernel--> rx ring --lent, released--> fill ring
//!   sending half:    free list --filled--> tx ring --kernel--> completion ring --reaped--> free list
//! ```
//!
//! The first chunks are the receiving half's for good, the others the sending half's, so neither half sees a chunk of the
//! other, and they may be on different threads. Each ring has one user in this process: fill and rx the receiving half, tx and
//! completion the sending one. What crosses is only asked of the kernel ([`Socket::wake`]), or read (atomics).

mod ring;

use crate::frame::OutFrame;
use core::sync::atomic::Ordering;
use ring::{Mapping, Ring};
use rustix::io::Errno;
use rustix::net::xdp::{
    SocketAddrXdp, SocketAddrXdpFlags, XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING, XDP_UMEM_PGOFF_COMPLETION_RING,
    XDP_UMEM_PGOFF_FILL_RING, XdpDesc, XdpDescOptions, XdpOptionsFlags, XdpStatistics, XdpUmemReg,
    XdpUmemRegFlags,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with, sockopt,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Octets of the socket's account of frames that are on their way; more than all chunks can be.
const SEND_ACCOUNT: usize = 16 << 20;

/// How a socket is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Octets of a chunk: 2,048, or 4,096.
    pub(crate) chunk: u32,
    /// Chunks for receiving; a power of two.
    pub(crate) receive: u32,
    /// Chunks for sending; a power of two.
    pub(crate) send: u32,
}

/// Octets of a chunk that the kernel keeps in front of a received frame (`XDP_PACKET_HEADROOM`).
const HEADROOM: u32 = 256;

impl Shape {
    /// Octets of the longest frame that can be received.
    pub(crate) const fn longest(self) -> usize {
        (self.chunk - HEADROOM) as usize
    }

    /// Octets of memory.
    pub(crate) const fn octets(self) -> usize {
        self.chunk as usize * (self.receive + self.send) as usize
    }
}

/// What both halves share.
#[derive(Debug)]
pub(crate) struct Socket {
    // Closed before its memory goes.
    fd: OwnedFd,
    shape: Shape,
    fill: Ring<u64>,
    rx: Ring<XdpDesc>,
    tx: Ring<XdpDesc>,
    completion: Ring<u64>,
    memory: Mapping,
}

/// A step of making a socket that the kernel refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The socket itself.
    Socket(Errno),
    /// Its memory, which is locked.
    Memory(Errno),
    /// Its rings.
    Rings(Errno),
}

/// A new socket with all its chunks for receiving in the fill ring, not yet bound.
pub(crate) fn open(shape: Shape) -> Result<(Receiver, Sender), Refused> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(AddressFamily::XDP, SocketType::RAW, flags, None).map_err(Refused::Socket)?;
    let memory = Mapping::of_zeros(shape.octets()).map_err(Refused::Memory)?;
    let region = XdpUmemReg {
        addr: memory.base.as_ptr().addr() as u64,
        len: memory.len as u64,
        chunk_size: shape.chunk,
        headroom: 0,
        flags: XdpUmemRegFlags::empty(),
        tx_metadata_len: 0,
    };
    sockopt::set_xdp_umem_reg(&fd, region).map_err(Refused::Memory)?;
    // More than net.core.wmem_max wants a right that we may lack; the default works too.
    let _ = sockopt::set_socket_send_buffer_size_force(&fd, SEND_ACCOUNT);
    let rings = || {
        sockopt::set_xdp_umem_fill_ring_size(&fd, shape.receive)?;
        sockopt::set_xdp_umem_completion_ring_size(&fd, shape.send)?;
        sockopt::set_xdp_rx_ring_size(&fd, shape.receive)?;
        sockopt::set_xdp_tx_ring_size(&fd, shape.send)?;
        let at = sockopt::xdp_mmap_offsets(&fd)?;
        Ok((
            Ring::map(fd.as_fd(), XDP_UMEM_PGOFF_FILL_RING, &at.fr, shape.receive)?,
            Ring::map(fd.as_fd(), XDP_PGOFF_RX_RING, &at.rx, shape.receive)?,
            Ring::map(fd.as_fd(), XDP_PGOFF_TX_RING, &at.tx, shape.send)?,
            Ring::map(fd.as_fd(), XDP_UMEM_PGOFF_COMPLETION_RING, &at.cr, shape.send)?,
        ))
    };
    let (fill, rx, tx, completion) = rings().map_err(Refused::Rings)?;
    let socket = Arc::new(Socket { fd, shape, fill, rx, tx, completion, memory });
    for chunk in 0..shape.receive {
        // SAFETY: nobody else has the socket yet.
        unsafe { socket.fill.write(chunk, u64::from(chunk) * u64::from(shape.chunk)) };
    }
    socket.fill.producer().store(shape.receive, Ordering::Release);
    let receiver = Receiver { socket: Arc::clone(&socket), taken: 0, given: shape.receive };
    let free = (shape.receive..shape.receive + shape.send).rev().collect();
    Ok((receiver, Sender { socket, free, next: 0, reaped: 0 }))
}

impl Socket {
    /// Binds to a queue of the interface with this index; `zero_copy`: as told, or what there is.
    pub(crate) fn bind(&self, index: u32, queue: u32, zero_copy: Option<bool>) -> rustix::io::Result<()> {
        let how = match zero_copy {
            None => SocketAddrXdpFlags::empty(),
            Some(true) => SocketAddrXdpFlags::XDP_ZEROCOPY,
            Some(false) => SocketAddrXdpFlags::XDP_COPY,
        };
        bind(&self.fd, &SocketAddrXdp::new(how | SocketAddrXdpFlags::XDP_USE_NEED_WAKEUP, index, queue))
    }

    /// The driver works on the chunks themselves.
    pub(crate) fn is_zero_copy(&self) -> bool {
        sockopt::xdp_options(&self.fd).is_ok_and(|o| o.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY))
    }

    /// What the kernel counted so far.
    pub(crate) fn statistics(&self) -> rustix::io::Result<XdpStatistics> {
        sockopt::xdp_statistics(&self.fd)
    }

    /// Has the kernel send what waits in the tx ring, as far as it can now; says how many frames the interface dropped.
    pub(crate) fn wake(&self) -> u64 {
        /// Frames that a call sends at the most: 16 at first, 32 since 6.2.
        const BATCH: u32 = 16;
        let (tx, mut dropped) = (&self.tx, 0);
        let waiting =
            tx.between(tx.producer().load(Ordering::Acquire), tx.consumer().load(Ordering::Acquire));
        // Where the consumer index stands after a call does not say whether frames were sent: until 6.17 it is written when the
        // ring has become empty, and not before.
        let mut calls = waiting.div_ceil(BATCH) + 1;
        while calls > 0 && self.is_unsent() {
            match send(&self.fd, &[], SendFlags::DONTWAIT) {
                // There is more; or there is no room now, which only the number of calls can tell.
                Err(Errno::AGAIN | Errno::INTR) => calls -= 1,
                // It ends with a frame that is dropped.
                Err(Errno::BUSY) if dropped < u64::from(waiting) => dropped += 1,
                // That was all, or the driver goes on by itself; or the interface went down, which the receiving half will find out.
                Ok(_) | Err(_) => break,
            }
        }
        dropped
    }

    /// Frames wait for a call.
    pub(crate) fn is_unsent(&self) -> bool {
        !self.tx.is_empty() && self.tx.wants_wakeup()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The receiving half.
#[derive(Debug)]
pub(crate) struct Receiver {
    socket: Arc<Socket>,
    /// Consumer index of the rx ring.
    taken: u32,
    /// Producer index of the fill ring.
    given: u32,
}

impl Receiver {
    pub(crate) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// Frames that were received and not released.
    pub(crate) fn waiting(&self) -> u32 {
        let rx = &self.socket.rx;
        rx.between(rx.producer().load(Ordering::Acquire), self.taken)
    }

    /// The first of them, oldest first.
    pub(crate) fn frames(&self, most: usize) -> impl Iterator<Item = &[u8]> {
        let waiting = self.waiting().min(u32::try_from(most).unwrap_or(u32::MAX));
        (0..waiting).map(|at| {
            // SAFETY: we are the rx ring's one user; the entry is below the producer's index.
            let entry = unsafe { self.socket.rx.read(self.taken.wrapping_add(at)) };
            self.octets(&entry)
        })
    }

    /// A received frame; none of what the kernel never says.
    fn octets(&self, entry: &XdpDesc) -> &[u8] {
        let shape = self.socket.shape;
        let end = u64::from(shape.receive) * u64::from(shape.chunk);
        if entry.addr.checked_add(u64::from(entry.len)).is_none_or(|last| last > end) {
            return &[];
        }
        // SAFETY: within the chunks for receiving by the check above, which are in the memory that the socket owns. The kernel
        // gave this chunk back with the entry and does not write there before `release` puts it into the fill ring, for which
        // it takes `&mut self`; the sending half has other chunks.
        unsafe {
            let base = self.socket.memory.base.as_ptr().add(entry.addr as usize);
            core::slice::from_raw_parts(base, entry.len as usize)
        }
    }

    /// The first `n` frames are done.
    pub(crate) fn release(&mut self, n: usize) {
        let n = u32::try_from(n).unwrap_or(u32::MAX).min(self.waiting());
        if n == 0 {
            return;
        }
        let Socket { rx, fill, shape, .. } = &*self.socket;
        for at in 0..n {
            // SAFETY: as in `frames`; and we are the fill ring's one user. As many chunks as it has places are there, so each
            // finds one.
            unsafe {
                let XdpDesc { addr, .. } = rx.read(self.taken.wrapping_add(at));
                fill.write(self.given.wrapping_add(at), addr - addr % u64::from(shape.chunk));
            }
        }
        self.taken = self.taken.wrapping_add(n);
        rx.consumer().store(self.taken, Ordering::Release);
        self.given = self.given.wrapping_add(n);
        self.give();
    }

    /// Says what is in the fill ring.
    fn give(&self) {
        let fill = &self.socket.fill;
        fill.producer().store(self.given, Ordering::Release);
        if fill.wants_wakeup() {
            // Only a driver that works on the chunks asks for it; what it cannot do now it does when it is called again.
            let _ = recv(&self.socket.fd, &mut [0u8; 0][..], RecvFlags::DONTWAIT);
        }
    }
}

/// The sending half.
#[derive(Debug)]
pub(crate) struct Sender {
    socket: Arc<Socket>,
    /// Numbers of the chunks that are ours.
    free: Vec<u32>,
    /// Producer index of the tx ring, not yet published.
    next: u32,
    /// Consumer index of the completion ring.
    reaped: u32,
}

impl Sender {
    /// Frames that there is room for.
    pub(crate) fn room(&self) -> usize {
        let done = &self.socket.completion;
        self.free.len() + done.between(done.producer().load(Ordering::Acquire), self.reaped) as usize
    }

    /// Copies a frame into a chunk; `false`: there is none, or it is longer than one.
    pub(crate) fn push(&mut self, frame: &OutFrame<'_>) -> bool {
        let shape = self.socket.shape;
        if frame.len() > shape.chunk as usize {
            return false;
        }
        if self.free.is_empty() {
            self.reap();
        }
        let Some(chunk) = self.free.pop() else { return false };
        let addr = u64::from(chunk) * u64::from(shape.chunk);
        // SAFETY: the chunk is in the memory that the socket owns, for its number is one of those that `open` put into the
        // list. It is out of the list and neither in the tx nor the completion ring, so it is ours alone; nobody has a
        // segment of it, for frames are lent from the chunks for receiving only.
        let space = unsafe {
            let base = self.socket.memory.base.as_ptr().add(addr as usize);
            core::slice::from_raw_parts_mut(base, shape.chunk as usize)
        };
        let len = frame.copy_to(space) as u32;
        // SAFETY: we are the tx ring's one user. It has a place for each of our chunks.
        unsafe { self.socket.tx.write(self.next, XdpDesc { addr, len, options: XdpDescOptions::empty() }) };
        self.next = self.next.wrapping_add(1);
        true
    }

    /// Hands over what was pushed; says how many frames the interface dropped.
    pub(crate) fn kick(&mut self) -> u64 {
        self.socket.tx.producer().store(self.next, Ordering::Release);
        self.socket.wake()
    }

    /// Takes back the chunks that the kernel is done with.
    fn reap(&mut self) {
        let done = &self.socket.completion;
        let n = done.between(done.producer().load(Ordering::Acquire), self.reaped);
        for at in 0..n {
            // SAFETY: we are the completion ring's one user; the entry is below the producer's index.
            let addr = unsafe { done.read(self.reaped.wrapping_add(at)) };
            let chunk = addr / u64::from(self.socket.shape.chunk);
            let ours = self.socket.shape.receive..self.socket.shape.receive + self.socket.shape.send;
            // Nothing else ever comes back.
            self.free.extend(u32::try_from(chunk).ok().filter(|chunk| ours.contains(chunk)));
        }
        self.reaped = self.reaped.wrapping_add(n);
        done.consumer().store(self.reaped, Ordering::Release);
    }
}
