//! A front end that says anything at the socket of its vNIC: any request in any order, with any descriptors, broken off
//! anywhere; while another front end beside it is served as ever.

use super::super::child;
use super::steps::Steps;
use crate::driver::{Request, Wire};
use link::{BURST, OutFrame, RxBurst, RxQueue, TxQueue};
use niv_adapter::vhost::{FrontDoor, FrontendEvent, Vnic, VnicConfig};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long the front door may take for anything.
const PATIENCE: Duration = Duration::from_secs(5);
/// Octets of the guest's memory, which its front end has at [`USER`] and the guest at [`GUEST`].
const MEMORY: u64 = 0x1_0000;
const USER: u64 = 0x7f00_0000_0000;
const GUEST: u64 = 0x1_0000_0000;
/// Queue pairs of the vNIC.
const PAIRS: u16 = 2;
/// No request has this code or a greater one.
const CODES: u8 = 46;
/// Descriptors that one message may have, and a few more.
const MOST_FDS: u8 = 70;

/// A front door with two vNICs.
struct Place {
    vnic: Vnic,
    events: mpsc::Receiver<FrontendEvent>,
    healthy: Wire,
    features: u64,
    socket: PathBuf,
    _door: FrontDoor,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let door = FrontDoor::start().expect("a front door");
        let config =
            |name: &str| VnicConfig { queue_pairs: PAIRS, ..VnicConfig::new(name, folder.path().join(name)) };
        let (send, events) = mpsc::channel();
        let vnic = door.add(&config("liar"), Box::new(move |event| _ = send.send(event))).expect("a vNIC");
        door.add(&config("healthy"), Box::new(drop)).expect("a vNIC");
        let healthy = Wire::connect(&folder.path().join("healthy")).expect("a connection");
        let features = healthy.get(Request::GET_FEATURES).expect("an answer");
        let socket = folder.path().join("liar");
        Self { vnic, events, healthy, features, socket, _door: door, _folder: folder }
    }

    fn await_event(&self, wanted: &FrontendEvent) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            if event.unwrap_or_else(|_| panic!("no {wanted:?} in {PATIENCE:?}")) == *wanted {
                return;
            }
        }
    }

    /// What a worker does with the rings that the front end has started, if any.
    fn work(&mut self) {
        for queue in &mut self.vnic.rx {
            let mut burst = RxBurst::new();
            queue.recv(0, BURST, &mut burst);
            let lent = burst.len();
            burst.iter().for_each(|frame| drop(frame.data.to_vec()));
            drop(burst);
            queue.release(lent);
        }
        for queue in &mut self.vnic.tx {
            queue.send(0, &[OutFrame::private(&[0x5a; 60]), OutFrame::private(&[0xa5; 1514])]);
            queue.kick();
        }
    }
}

/// Descriptors of this process.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("our descriptors").count()
}

/// Files that a front end may have.
struct Files {
    memory: OwnedFd,
    others: Vec<OwnedFd>,
}

impl Files {
    fn new() -> Self {
        let memory = memfd_create("guest", MemfdFlags::CLOEXEC).expect("memory");
        ftruncate(&memory, MEMORY).expect("memory");
        let event = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("an eventfd");
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
        let nothing = fs::File::open("/dev/null").expect("nothing").into();
        let empty = memfd_create("empty", MemfdFlags::CLOEXEC).expect("memory");
        Self { memory, others: vec![event(), event(), reader, writer, nothing, empty] }
    }

    fn one(&self, kind: u8) -> BorrowedFd<'_> {
        self.others.get(usize::from(kind % 16)).unwrap_or(&self.memory).as_fd()
    }
}

/// An address or a length: one that makes sense, near an end, or any number.
fn number(steps: &mut Steps<'_>) -> u64 {
    let kind = steps.below(10);
    let word = u64::from(steps.word());
    match kind {
        0 => 0,
        1 => USER + word,
        2 => USER + (word & 0xf) * 0x1000,
        3 => USER + MEMORY - word % 64,
        4 => GUEST + (word & 0xf) * 0x1000,
        5 => MEMORY,
        6 => word,
        7 => 1 << (word % 64),
        8 => u64::MAX - word,
        _ => u64::from(steps.number()) << 32 | u64::from(steps.number()),
    }
}

fn payload(steps: &mut Steps<'_>) -> Vec<u8> {
    match steps.below(8) {
        0 => Vec::new(),
        1 => steps.octets().to_vec(),
        // {ring, number}
        2 | 3 => {
            let (ring, number) = (u32::from(steps.octet()), u32::from(steps.word()));
            [ring.to_ne_bytes(), number.to_ne_bytes()].concat()
        }
        4 => number(steps).to_ne_bytes().to_vec(),
        // Words: an address of a ring, or one memory region.
        5 => (0..5).flat_map(|_| number(steps).to_ne_bytes()).collect(),
        6 => {
            let regions = u64::from(steps.below(40));
            let table = (0..4 * regions.min(9)).flat_map(|_| number(steps).to_ne_bytes());
            regions.to_ne_bytes().into_iter().chain(table).collect()
        }
        _ => (0..usize::from(steps.word() % 4200)).map(|n| n as u8).collect(),
    }
}

/// What the front end says.
pub(super) fn run(input: &[u8]) {
    let mut place = Place::new();
    let before = descriptors();
    let mut steps = Steps::new(input);
    let files = Files::new();
    let wire = Wire::connect(&place.socket).expect("a connection");
    place.await_event(&FrontendEvent::Connected);
    let mut whole = true;
    while !steps.is_over() && whole {
        let kind = steps.octet();
        let code = if kind & 0x80 == 0 { steps.octet() % CODES } else { steps.octet() };
        let flags = if kind & 0x40 == 0 { 1 | u32::from(kind & 8) } else { u32::from(steps.octet()) };
        let payload = payload(&mut steps);
        let said = if kind & 0x20 == 0 { payload.len() as u32 } else { u32::from(steps.word()) };
        let fds = match kind & 3 {
            3 => steps.below(MOST_FDS),
            few => few,
        };
        let fds: Vec<BorrowedFd<'_>> = (0..fds).map(|_| files.one(steps.octet())).collect();
        let mut octets: Vec<u8> =
            [u32::from(code), flags, said].into_iter().flat_map(u32::to_ne_bytes).collect();
        octets.extend(&payload);
        if kind & 0x10 != 0 {
            octets.truncate(usize::from(steps.octet()));
        }
        whole = octets.len() == 12 + said as usize;
        // It may have had enough of us.
        if octets.is_empty() || wire.raw(&octets, &fds).is_err() {
            break;
        }
        if kind & 4 != 0 {
            let octets = u64::from(steps.word());
            ftruncate(&files.memory, octets * 2).expect("memory of any size");
        }
        place.work();
    }
    if whole {
        is_answered(&wire);
        place.work();
    }
    let healthy = place.healthy.get(Request::GET_FEATURES).expect("the other front end is served");
    assert_eq!(healthy, place.features);
    drop(wire);
    place.await_event(&FrontendEvent::Disconnected);
    drop(files);
    // Elsewhere others open some meanwhile. One that is left says which process was the front end, to know it again.
    let deadline = Instant::now() + PATIENCE;
    while child::is_alone() && descriptors() > before + 1 {
        assert!(Instant::now() < deadline, "{} descriptors, which were {before}", descriptors());
        std::thread::yield_now();
    }
}

/// Behind whole messages there is an answer, or the end of the connection.
fn is_answered(wire: &Wire) {
    if wire.send(Request::GET_FEATURES as u32, 1, &[], &[]).is_err() {
        return;
    }
    loop {
        match wire.reply() {
            Ok((code, _)) if code == Request::GET_FEATURES as u32 => return,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                return;
            }
            Err(error) => panic!("no answer: {error}"),
        }
    }
}

/// What QEMU says, with two rings that run; and a little of what is wrong.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let numbered = |request: Request, value: u64| {
        let mut octets = vec![8, request as u8, 4, 9, 0, 0];
        octets.extend(value.to_be_bytes());
        octets
    };
    let ring = |request: Request, ring: u8, value: u16| {
        [&[8, request as u8, 2, ring][..], &value.to_be_bytes()].concat()
    };
    let with_fd = |request: Request, ring: u8, fd: u8| vec![9, request as u8, 4, 6, 0, ring, fd];
    let user = |page: u8| [2, 0, page];
    let addresses = |number: u8| {
        let words = [[6, 0, number], user(u8::from(number > 0) * 4), user(2), user(1), [0, 0, 0]].concat();
        [&[8, Request::SET_VRING_ADDR as u8, 5][..], &words].concat()
    };
    let table =
        [&[9, Request::SET_MEM_TABLE as u8, 6, 1][..], &[4, 0, 0, 5, 0, 0, 2, 0, 0, 0, 0, 0], &[15]].concat();
    let mut begin = [
        numbered(Request::SET_FEATURES, 1 << 32 | 1 << 30 | 1 << 15),
        numbered(Request::SET_PROTOCOL_FEATURES, 1 << 3),
        table,
    ]
    .concat();
    for number in 0..2 {
        begin.extend(ring(Request::SET_VRING_NUM, number, 64));
        begin.extend(ring(Request::SET_VRING_BASE, number, 0));
        begin.extend(addresses(number));
        begin.extend(with_fd(Request::SET_VRING_CALL, number, 0));
        begin.extend(with_fd(Request::SET_VRING_KICK, number, 1));
        begin.extend(ring(Request::SET_VRING_ENABLE, number, 1));
    }
    let end = ring(Request::GET_VRING_BASE, 0, 0);
    let shrunk = [&begin[..], &[12, Request::GET_FEATURES as u8, 0, 0, 0]].concat();
    let log =
        [&begin[..], &[9, Request::SET_LOG_BASE as u8, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 15]]
            .concat();
    vec![[&begin[..], &end].concat(), shrunk, log, begin, vec![0x50, 1, 1, 0, 3]]
}
