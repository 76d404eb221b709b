//! `xdp:IF[,queues=N][,mode=auto|copy|zerocopy]`: a network interface through AF_XDP.
//!
//! A program of six instructions at the interface gives each frame to the socket of the queue that it came in by, in front of
//! the host's own protocols, which see nothing any more. Program, map and sockets go with the process, however it ends.
//!
//! - **Queues.** Each receive queue of the interface has a socket with memory of its own and is a queue of the port. Where
//!   fewer are asked for, frames of the others go on to the host.
//! - **Modes.** The program is in the driver where the driver can have one, else in front of the host's protocols (*generic*).
//!   Frames come without copies where driver and queue can do that, else with one. A veth has the first and not the second.
//! - **Length.** A frame lies in one chunk of a page at the most, so an MTU above [`MTU_MAX`] is refused.
//! - **Tags.** What hardware takes out of a frame XDP does not see: a driver that takes VLAN tags out is refused, with the
//!   command that mends it. The far end of a veth may hand over a tag beside the frame, too, which nothing on our side can
//!   see; it has to be told there (`ethtool -K PEER txvlan off`).
//! - **Checksums.** XDP has no word for an unfinished one. A veth whose near end has such a program cuts super-frames, as its far
//!   end's kernel knows (5.13), but leaves checksums to whoever is behind. So where frames may be a local host's, they are told by
//!   their look ([`Recognise`]).
//!
//! The kernel ties sockets to an interface. When that goes away and a new one has its name, everything is made again, for
//! which the process needs the rights that it had at start.

mod attach;
mod rx;
mod tx;

use crate::counter::port_counters;
use crate::device::{XdpDevice, XdpMode};
use crate::error::OpenError;
use crate::open::{Defaults, Recognise};
use crate::port::{Changes, Monitor, Port, PortCounter, PortState, Tell};
use crate::sys::xsk::{self, Receiver, Sender, Shape, Socket};
use crate::sys::{self, ethtool};
use crate::watch::{Condition, Watch};
use attach::{Attached, Problem};
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use parking_lot::Mutex;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Chunks of each queue: those in which frames are received, and those in which they are sent.
const RECEIVE: u32 = 2048;
const SEND: u32 = 1024;

/// Octets in front of what the MTU counts: the Ethernet header, and a first 802.1Q tag.
const HEADER: usize = 14;
const TAG: usize = 4;

/// How long the kernel may take to let go of a queue whose socket was closed, or of a program whose process ended: it does so
/// later, and tells nobody.
const LETTING_GO: Duration = Duration::from_secs(1);
const A_MOMENT: Duration = Duration::from_millis(5);

const SMALL: Shape = Shape { chunk: 2048, receive: RECEIVE, send: SEND };
const LARGE: Shape = Shape { chunk: 4096, receive: RECEIVE, send: SEND };

/// The greatest MTU that an interface may have: that of a frame in one page.
const MTU_MAX: usize = LARGE.longest() - HEADER - TAG;

port_counters! {
    struct Counters {
        /// Frames received.
        rx_frames,
        /// Frames the kernel dropped because they were not fetched in time.
        rx_overrun,
        /// Frames the kernel dropped because they are longer than a chunk of the socket's memory.
        rx_too_long,
        /// Those of the received frames that look as if a host on this machine had left their checksum unfinished.
        rx_unfinished,
        /// Frames sent.
        tx_frames,
        /// Frames refused because they are longer than the interface's MTU allows.
        tx_too_long,
        /// Those of the sent frames that the interface dropped at once.
        tx_dropped,
        /// Frames that the kernel refused to read from the socket's memory.
        tx_refused,
    }
}

/// What the two directions of all queues and the monitor share.
struct Shared {
    name: String,
    mode: XdpMode,
    shape: Shape,
    recognise: Option<Recognise>,
    /// A packet socket that receives nothing, and makes the interface promiscuous.
    promiscuous: OwnedFd,
    condition: AtomicU8,
    /// Queues that could not be made again, a bit for each.
    refused: AtomicU64,
    /// Octets of the longest frame that may be sent, a first tag not counted.
    longest: AtomicUsize,
    attached: Mutex<Option<Attached>>,
    queues: Box<[Queue]>,
    counters: Counters,
    changes: Changes,
}

/// One queue, as far as others see it.
#[derive(Default)]
struct Queue {
    /// The sending half of a new socket, until the sending queue fetches it.
    sender: Mutex<Option<Sender>>,
    /// How many sockets there were.
    made: AtomicU32,
    tally: Mutex<Tally>,
}

/// What the kernel has counted for a socket and what of it is in our counters.
#[derive(Default)]
struct Tally {
    socket: Option<Arc<Socket>>,
    overrun: u64,
    too_long: u64,
    refused: u64,
}

impl Tally {
    /// Adds what is new.
    fn count(&mut self, counters: &Counters) {
        let Some(now) = self.socket.as_ref().and_then(|socket| socket.statistics().ok()) else { return };
        // A frame that finds no chunk is counted as dropped, too; with zero copy it is not dropped here, but waits in the hardware.
        let zero_copy = self.socket.as_ref().is_some_and(|socket| socket.is_zero_copy());
        let empty = now.rx_fill_ring_empty_descs.filter(|_| !zero_copy).unwrap_or_default();
        let overrun = now.rx_ring_full.unwrap_or_default() + empty;
        let too_long = now.rx_dropped.saturating_sub(empty);
        for (counter, seen, now) in [
            (&counters.rx_overrun, &mut self.overrun, overrun),
            (&counters.rx_too_long, &mut self.too_long, too_long),
            (&counters.tx_refused, &mut self.refused, now.tx_invalid_descs),
        ] {
            counter.add(now.saturating_sub(*seen));
            *seen = now.max(*seen);
        }
    }
}

impl Shared {
    fn condition(&self) -> Condition {
        Condition::from_u8(self.condition.load(Ordering::Acquire))
    }

    /// Makes a socket for a queue of the interface with this index, and everything else that the interface has not got.
    fn serve(&self, queue: u32, index: u32) -> Result<Receiver, Problem> {
        let (receiver, sender) = xsk::open(self.shape).map_err(Problem::Socket)?;
        let mut attached = self.attached.lock();
        let here = match attached.take() {
            Some(here) if here.index() == index => here,
            // The program of an interface that is gone is gone with it.
            _ => {
                sys::packet::set_promiscuous(self.promiscuous.as_fd(), index)
                    .map_err(Problem::Promiscuous)?;
                Attached::new(index, self.queues.len() as u32)?
            }
        };
        let zero_copy = match self.mode {
            XdpMode::Auto => None,
            XdpMode::Copy => Some(false),
            XdpMode::ZeroCopy => Some(true),
        };
        let socket = receiver.socket();
        let bound = socket.bind(index, queue, zero_copy).map_err(Problem::Bind);
        let bound = bound.and_then(|()| here.serve(queue, socket.as_fd()));
        *attached = Some(here);
        bound?;
        let tally = Tally { socket: Some(Arc::clone(socket)), ..Tally::default() };
        self.renew(queue, Some(sender), tally);
        Ok(receiver)
    }

    /// The queue has another socket now, or none.
    fn renew(&self, queue: u32, sender: Option<Sender>, tally: Tally) {
        let place = &self.queues[queue as usize];
        let mut former = place.tally.lock();
        former.count(&self.counters);
        *former = tally;
        *place.sender.lock() = sender;
        place.made.fetch_add(1, Ordering::Release);
    }

    /// Reads how long frames may be.
    fn measure(&self, watch: &Watch) {
        if let Ok(mtu) = sys::netif::mtu(watch.socket(), &self.name) {
            self.longest.store((mtu + HEADER).min(self.shape.chunk as usize), Ordering::Relaxed);
        }
    }
}

/// Opens the interface, which must be there, have the MTU that is needed and no XDP program.
pub(crate) fn open(config: &XdpDevice, defaults: &Defaults) -> Result<Port, OpenError> {
    let device = crate::Device::Xdp(config.clone());
    let name = config.interface.as_str();
    let wrong = |problem: String| OpenError::new(&device, problem);
    let failed = |step: &'static str| {
        let device = &device;
        move |error: std::io::Error| OpenError::io(device, step, error)
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let promiscuous = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)
        .map_err(|error| attach::socket_problem(error, &config.interface).of(&device))?;
    let watch = Watch::new(name).map_err(failed("the interface cannot be watched"))?;
    let (index, condition) = watch.look();
    let Some(index) = index else {
        return Err(wrong(format!("there is no interface {name} (see: ip link)")));
    };
    let mtu = sys::netif::mtu(watch.socket(), name).map_err(failed("its MTU cannot be read"))?;
    let needed = defaults.mtu;
    if mtu < needed {
        return Err(wrong(format!(
            "its MTU is {mtu}, this port needs {needed}: ip link set dev {name} mtu {needed}"
        )));
    }
    if mtu > MTU_MAX {
        return Err(wrong(format!(
            "its MTU is {mtu}, AF_XDP has room for {MTU_MAX}: ip link set dev {name} mtu {MTU_MAX}, or packet:{name}"
        )));
    }
    // Not every driver answers.
    let driver = ethtool::driver(watch.socket(), name).unwrap_or_default();
    let is_veth = driver == "veth";
    if !is_veth && ethtool::takes_tags_out(watch.socket(), name).unwrap_or_default() {
        return Err(wrong(format!(
            "its driver takes VLAN tags out of frames, which XDP does not see: ethtool -K {name} rxvlan off"
        )));
    }
    let have = ethtool::receive_queues(watch.socket(), name).unwrap_or(1).clamp(1, 64);
    let queues = config.queues.map_or(have, u32::from);
    if queues > have {
        return Err(wrong(format!(
            "it has {have} receive queues in use, not {queues} (see: ethtool -l {name})"
        )));
    }
    if queues < have {
        tracing::warn!(
            "{device}: it has {have} receive queues; what comes in by those behind the first {queues} goes to this host: \
             ethtool -X {name} equal {queues}"
        );
    }
    let shape = if mtu + HEADER + TAG <= SMALL.longest() { SMALL } else { LARGE };
    let of = |problem: Problem| problem.named(name, is_veth, shape.octets()).of(&device);
    sys::packet::set_promiscuous(promiscuous.as_fd(), index).map_err(Problem::Promiscuous).map_err(of)?;
    let attached = patiently(|| Attached::new(index, queues)).map_err(of)?;
    // A local host's frames come by a veth, or past a driver that has no place for the program.
    let recognise = defaults.recognise.filter(|_| is_veth || !attached.is_native());
    let native = attached.is_native();
    let shared = Arc::new(Shared {
        name: name.to_owned(),
        mode: config.mode,
        shape,
        recognise,
        promiscuous,
        condition: AtomicU8::new(condition as u8),
        refused: AtomicU64::new(0),
        longest: AtomicUsize::new(0),
        attached: Mutex::new(Some(attached)),
        queues: (0..queues).map(|_| Queue::default()).collect(),
        counters: Counters::default(),
        changes: Changes::default(),
    });
    shared.measure(&watch);
    let mut port = Port {
        rx: Vec::new(),
        tx: Vec::new(),
        monitor: Arc::new(XdpMonitor { shared: Arc::clone(&shared) }),
    };
    let mut watch = Some(watch);
    let mut zero_copy = false;
    for queue in 0..queues {
        let receiver = patiently(|| shared.serve(queue, index)).map_err(of)?;
        zero_copy = receiver.socket().is_zero_copy();
        let watch = watch.take().map_or_else(|| Watch::new(name), Ok);
        let watch = watch.map_err(failed("the interface cannot be watched"))?;
        watch.add(receiver.socket().as_fd()).map_err(failed("the socket cannot be watched"))?;
        port.rx.push(Box::new(rx::XdpRx::new(Arc::clone(&shared), queue, watch, index, receiver)));
        port.tx.push(Box::new(tx::XdpTx::new(Arc::clone(&shared), queue)));
    }
    tracing::info!(
        "{device}: the program is {}, frames come {}, {queues} queues",
        if native {
            "in the driver"
        } else {
            "in front of the host's protocols, for the driver has no place"
        },
        if zero_copy { "without copies" } else { "with one copy" },
    );
    Ok(port)
}

/// Tries again for a while, where whoever had the interface before may be about to let go of it.
fn patiently<T>(mut open: impl FnMut() -> Result<T, Problem>) -> Result<T, Problem> {
    let end = Instant::now() + LETTING_GO;
    loop {
        match open() {
            Err(problem) if problem.is_busy() && Instant::now() < end => std::thread::sleep(A_MOMENT),
            done => return done,
        }
    }
}

struct XdpMonitor {
    shared: Arc<Shared>,
}

impl Monitor for XdpMonitor {
    fn state(&self) -> PortState {
        match self.shared.condition().cause(&self.shared.name) {
            None => PortState::Up,
            Some(cause) => PortState::Down { cause },
        }
    }

    fn on_change(&self, tell: Tell) {
        self.shared.changes.subscribe(tell);
    }

    fn counters(&self) -> Vec<PortCounter> {
        for queue in &self.shared.queues {
            queue.tally.lock().count(&self.shared.counters);
        }
        self.shared.counters.list()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_frames_fit_their_chunks() {
        assert_eq!(MTU_MAX, 3822);
        // An NIV link's, of hosts with the usual MTU, fits the small ones.
        assert!(1510 + HEADER + TAG <= SMALL.longest());
        assert!(MTU_MAX + HEADER + TAG <= LARGE.longest());
    }
}
