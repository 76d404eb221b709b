//! `tap:NAME`: a network interface of this machine whose wire we are.
//!
//! The tap is made if it is not there (and then goes when we go), or attached to if it is; it gets the MTU that is
//! needed and is set up. Where hosts are behind it ([`Defaults::hosts`]), which is so unless it is a link, checksums and the
//! segmentation of TCP, and of UDP where the kernel has that, may be left undone in frames of either direction (`TUNSETOFFLOAD`,
//! `IFF_VNET_HDR`). An 802.1Q tag is always in place.
//!
//! An interface that is deleted under us takes the port down; when one of its name is there again, it is attached.

use crate::counter::port_counters;
use crate::device::InterfaceName;
use crate::error::OpenError;
use crate::frame::{Frame, Gather, OutFrame, Seg, Undone};
use crate::open::Defaults;
use crate::port::{Changes, Monitor, Port, PortCounter, PortState, Tell};
use crate::queue::{BURST, Nanos, RxBurst, RxQueue, Taken, TxQueue};
use crate::sys::{Scratch, netif, tap};
use crate::vnet::{self, Cuts};
use crate::watch::{Condition, Watch};
use core::ops::Range;
use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags, open as open_file};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Where a frame begins in its slot: behind its `virtio_net_hdr`.
const FRAME_AT: usize = 16;
/// A slot: the longest frame a tap can have (its MTU is 65,521 at the most, a super-frame has 64 KiB, and there may be tags).
const SLOT: usize = FRAME_AT + 65_536 + 128;
/// Octets after which no further frame is read before these are released: super-frames shall still be in the processor's
/// cache when they are sent.
const ENOUGH: usize = 256 << 10;

port_counters! {
    struct Counters {
        /// Frames received.
        rx_frames,
        /// Frames dropped because they are longer than any frame can be.
        rx_too_long,
        /// Those of the received frames that a host on this machine, or the kernel, left unfinished.
        rx_unfinished,
        /// Frames sent.
        tx_frames,
        /// Frames refused because the interface is set down.
        tx_interface_down,
        /// Frames dropped because the kernel had no room for them.
        tx_no_buffers,
        /// Frames refused by the kernel for any other reason.
        tx_refused,
    }
}

/// What the two directions and the monitor share.
struct Shared {
    name: String,
    mtu: usize,
    hosts: bool,
    /// The open tap; none while its interface is gone. Changed by the receiving half only.
    tap: Mutex<Option<Arc<OwnedFd>>>,
    /// What this machine's kernel finishes in frames for a tap.
    cuts: Cuts,
    counters: Counters,
    changes: Changes,
}

/// Makes or attaches the tap.
pub(crate) fn open(name: &InterfaceName, defaults: &Defaults) -> Result<Port, OpenError> {
    let device = format!("tap:{name}");
    let name = name.as_str();
    let watch = Watch::new(name).map_err(|e| OpenError::io(&device, "the interface cannot be watched", e))?;
    let (fd, cuts) = attach(&watch, defaults.mtu, defaults.hosts)
        .map_err(|(step, error)| explain(&device, step, error))?;
    watch.add(fd.as_fd()).map_err(|e| OpenError::io(&device, "the tap cannot be watched", e))?;
    let fd = Arc::new(fd);
    let shared = Arc::new(Shared {
        name: name.to_owned(),
        mtu: defaults.mtu,
        hosts: defaults.hosts,
        tap: Mutex::new(Some(Arc::clone(&fd))),
        cuts,
        counters: Counters::default(),
        changes: Changes::default(),
    });
    let rx = TapRx {
        shared: Arc::clone(&shared),
        watch,
        tap: Some(fd),
        slots: vec![0; BURST * SLOT],
        ready: VecDeque::new(),
    };
    let tx = TapTx { shared: Arc::clone(&shared), scratch: Scratch::default() };
    Ok(Port { rx: vec![Box::new(rx)], tx: vec![Box::new(tx)], monitor: Arc::new(TapMonitor(shared)) })
}

/// Opens the tap and sets it up; the error comes with the step that failed.
fn attach(watch: &Watch, mtu: usize, hosts: bool) -> Result<(OwnedFd, Cuts), (&'static str, io::Error)> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = open_file("/dev/net/tun", flags, Mode::empty())
        .map_err(|e| ("cannot open /dev/net/tun", e.into()))?;
    let cuts = tap::attach(fd.as_fd(), watch.name(), hosts).map_err(|e| ("cannot make the tap", e))?;
    let now = netif::mtu(watch.socket(), watch.name()).map_err(|e| ("cannot read its MTU", e))?;
    if now < mtu {
        netif::set_mtu(watch.socket(), watch.name(), mtu).map_err(|e| ("cannot set its MTU", e))?;
    }
    netif::set_up(watch.socket(), watch.name()).map_err(|e| ("cannot set it up", e))?;
    Ok((fd, cuts))
}

fn explain(device: &str, step: &str, error: io::Error) -> OpenError {
    let why = match error.raw_os_error() {
        Some(libc::EBUSY) => "another process has this tap, or it is in use as something else",
        Some(libc::EPERM | libc::EACCES) => "making a tap needs the capability CAP_NET_ADMIN (or root)",
        Some(libc::EINVAL) => {
            "there is an interface of this name that is not a tap; choose another name or delete it"
        }
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => "the kernel has no tap driver here (modprobe tun)",
        _ => return OpenError::io(device, step, error),
    };
    OpenError::new(device, format!("{step}: {why}"))
}

struct TapRx {
    shared: Arc<Shared>,
    watch: Watch,
    /// As in `shared`, without a lock.
    tap: Option<Arc<OwnedFd>>,
    /// [`BURST`] slots; memory that is never written is never there.
    slots: Vec<u8>,
    /// Frames not yet released, oldest first; slots are written again only when there are none.
    ready: VecDeque<Ready>,
}

/// Where a frame lies.
struct Ready {
    at: Range<usize>,
    undone: Option<Undone>,
}

impl TapRx {
    fn fill(&mut self, max: usize) {
        let Some(fd) = &self.tap else { return };
        let (mut octets, mut too_long, mut unfinished) = (0, 0, 0);
        for (slot, at) in self.slots.chunks_exact_mut(SLOT).zip((0..).step_by(SLOT)).take(max) {
            if octets >= ENOUGH {
                break;
            }
            let space = &mut slot[FRAME_AT - vnet::LEN..];
            match rustix::io::read(&**fd, &mut *space) {
                Ok(len) if len >= space.len() => too_long += 1,
                Ok(len) => {
                    let Some(header) = space.first_chunk() else { continue };
                    let undone = vnet::undone(header, 0);
                    unfinished += u64::from(undone.is_some());
                    octets += len;
                    let at = at + FRAME_AT..at + (FRAME_AT - vnet::LEN + len).max(FRAME_AT);
                    self.ready.push_back(Ready { at, undone });
                }
                Err(Errno::INTR) => {}
                Err(Errno::BADFD | Errno::BADF) => {
                    self.detach();
                    break;
                }
                Err(_) => break,
            }
        }
        let counters = &self.shared.counters;
        counters.rx_frames.add(self.ready.len() as u64);
        counters.rx_too_long.add(too_long);
        counters.rx_unfinished.add(unfinished);
    }

    /// The interface is gone.
    fn detach(&mut self) {
        let Some(fd) = self.tap.take() else { return };
        // Or it would be readable for ever.
        self.watch.remove(fd.as_fd());
        *self.shared.tap.lock() = None;
        self.shared.changes.tell();
        tracing::warn!("tap:{}: down, its interface was deleted", self.shared.name);
    }

    /// Some interface changed: perhaps ours is back.
    fn attach_again(&mut self) {
        // Only one that somebody made again; a tap that was deleted on purpose is not ours to make.
        if self.tap.is_some() || self.watch.look().1 == Condition::Gone {
            return;
        }
        match attach(&self.watch, self.shared.mtu, self.shared.hosts) {
            // The kernel is the same.
            Ok((fd, _)) if self.watch.add(fd.as_fd()).is_ok() => {
                let fd = Arc::new(fd);
                *self.shared.tap.lock() = Some(Arc::clone(&fd));
                self.shared.changes.tell();
                self.tap = Some(fd);
                tracing::info!("tap:{}: up", self.shared.name);
            }
            Ok(_) => {}
            Err((step, error)) => {
                tracing::warn!("{}", explain(&format!("tap:{}", self.shared.name), step, error));
            }
        }
    }
}

impl RxQueue for TapRx {
    fn recv<'a>(&'a mut self, _now: Nanos, max: usize, burst: &mut RxBurst<'a>) {
        let max = max.min(BURST);
        if self.ready.is_empty() {
            self.fill(max);
        }
        burst.extend(self.ready.iter().take(max).map(|Ready { at, undone }| {
            let data = Gather::one(Seg::from_slice(&self.slots[at.clone()]));
            Frame { data, undone: *undone }
        }));
    }

    fn release(&mut self, taken: usize) {
        self.ready.drain(..taken.min(self.ready.len()));
    }

    fn arm(&mut self) -> bool {
        self.disarm();
        self.ready.is_empty() && !self.watch.is_ready()
    }

    fn disarm(&mut self) {
        if self.watch.changed() {
            self.attach_again();
        }
    }

    fn event(&self) -> Option<BorrowedFd<'_>> {
        Some(self.watch.event())
    }
}

struct TapTx {
    shared: Arc<Shared>,
    scratch: Scratch,
}

impl TxQueue for TapTx {
    fn send(&mut self, _now: Nanos, frames: &[OutFrame<'_>]) -> Taken {
        let mut taken = Taken::default();
        let Some(fd) = self.shared.tap.lock().clone() else { return taken };
        let counters = &self.shared.counters;
        while let Some(frame) = frames.get(taken.frames) {
            let refused = match tap::writev(fd.as_fd(), &mut self.scratch, frame) {
                Ok(_) => None,
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => continue,
                    // Full, or gone, which the receiving half will find out.
                    Some(libc::EAGAIN | libc::EBADFD | libc::EBADF) => break,
                    Some(libc::EIO) => Some(&counters.tx_interface_down),
                    Some(libc::ENOBUFS | libc::ENOMEM) => Some(&counters.tx_no_buffers),
                    _ => Some(&counters.tx_refused),
                },
            };
            taken.frames += 1;
            if let Some(reason) = refused {
                reason.add(1);
                taken.refused += 1;
            }
        }
        counters.tx_frames.add((taken.frames - taken.refused) as u64);
        taken
    }

    fn kick(&mut self) {}

    fn is_up(&self) -> bool {
        self.shared.tap.lock().is_some()
    }

    fn takes(&self, undone: &Undone, len: usize) -> bool {
        self.shared.cuts.takes(undone, len)
    }
}

struct TapMonitor(Arc<Shared>);

impl Monitor for TapMonitor {
    fn state(&self) -> PortState {
        if self.0.tap.lock().is_some() {
            PortState::Up
        } else {
            PortState::Down { cause: format!("interface {} was deleted", self.0.name) }
        }
    }

    fn on_change(&self, tell: Tell) {
        self.0.changes.subscribe(tell);
    }

    fn counters(&self) -> Vec<PortCounter> {
        self.0.counters.list()
    }
}
