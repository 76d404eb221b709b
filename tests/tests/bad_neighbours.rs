//! Front ends that lie, flood and break off, at a vNIC beside a healthy one on the same front door and the same worker:
//! they lose what is theirs, and the neighbour no frame.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use link::Monitor;
use niv_adapter::vhost::{FrontDoor, Vnic, VnicConfig, VnicMonitor};
use niv_lab::driver::{BASE, Echo, Features, Guest, GuestMemory, Log, PAGE, Request, Wire};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);
/// Frames of the neighbour that pass before a bad one is done with.
const MEANWHILE: u64 = 200;
/// VERSION_1 and PROTOCOL_FEATURES.
const PLAIN: u64 = 1 << 32 | 1 << 30;
/// MQ, LOG_SHMFD, REPLY_ACK, CONFIGURE_MEM_SLOTS.
const PROTOCOL: u64 = 1 | 1 << 1 | 1 << 3 | 1 << 15;

/// A vNIC for whoever is bad, and a neighbour that counts its frames.
struct Street {
    monitor: Arc<VnicMonitor>,
    socket: PathBuf,
    passed: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    neighbour: Option<JoinHandle<()>>,
    _echo: Echo,
    _door: FrontDoor,
    _folder: tempfile::TempDir,
}

fn street(queue_pairs: u16) -> Street {
    let folder = tempfile::tempdir().unwrap();
    let door = FrontDoor::start().unwrap();
    let vnic = |name: &str, queue_pairs: u16| {
        let config = VnicConfig { queue_pairs, ..VnicConfig::new(name, folder.path().join(name)) };
        door.add(&config, Box::new(|_| ())).unwrap()
    };
    let (bad, good) = (vnic("bad", queue_pairs), vnic("good", 1));
    let monitor = Arc::clone(&bad.monitor);
    let both = Vnic {
        rx: bad.rx.into_iter().chain(good.rx).collect(),
        tx: bad.tx.into_iter().chain(good.tx).collect(),
        monitor: good.monitor,
    };
    let echo = Echo::start(both, false).unwrap();
    let mut guest = Guest::connect(&folder.path().join("good"), Features::default()).unwrap();
    let (passed, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, ended) = (Arc::clone(&passed), Arc::clone(&ends));
    let neighbour = std::thread::spawn(move || {
        let mut number = 0;
        while !ended.load(Ordering::Relaxed) {
            for n in 1..=32 {
                assert!(guest.send(&frame(number + n, 60 + (n as usize * 131) % 1400)));
            }
            for _ in 0..32 {
                number += 1;
                let got = guest.recv(SOON).expect("the neighbour lost a frame");
                assert_eq!(got[14..22], number.to_ne_bytes(), "the neighbour lost a frame");
            }
            counted.store(number, Ordering::Release);
        }
    });
    let socket = folder.path().join("bad");
    Street {
        monitor,
        socket,
        passed,
        ends,
        neighbour: Some(neighbour),
        _echo: echo,
        _door: door,
        _folder: folder,
    }
}

impl Street {
    /// A front end that has said hello, and hears whether it is refused.
    fn wire(&self) -> Wire {
        let deadline = Instant::now() + SOON;
        loop {
            let mut wire = Wire::connect(&self.socket).unwrap();
            wire.acknowledge = true;
            let hello = wire.get(Request::GET_FEATURES).and_then(|_| {
                wire.send(Request::SET_PROTOCOL_FEATURES as u32, 1, &PROTOCOL.to_ne_bytes(), &[])?;
                wire.set_number(Request::SET_FEATURES, PLAIN)
            });
            match hello {
                Ok(()) => return wire,
                // The one before is not gone yet.
                Err(_) => assert!(Instant::now() < deadline),
            }
        }
    }

    fn counter(&self, name: &str) -> u64 {
        self.monitor.counters().iter().find(|c| c.name == name).unwrap_or_else(|| panic!("no {name}")).value
    }

    /// Waits until the neighbour has got some frames more.
    fn goes_on(&self) {
        let goal = self.passed.load(Ordering::Acquire) + MEANWHILE;
        let deadline = Instant::now() + SOON;
        while self.passed.load(Ordering::Acquire) < goal {
            assert!(!self.neighbour.as_ref().unwrap().is_finished(), "the neighbour lost frames");
            assert!(Instant::now() < deadline, "the neighbour stands still");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A good guest is welcome at the place of the bad one.
    fn takes_a_good_guest(&self) {
        let deadline = Instant::now() + SOON;
        while self.monitor.cause().as_deref() != Some("no guest") {
            assert!(Instant::now() < deadline, "{:?}", self.monitor.cause());
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut guest = Guest::connect(&self.socket, Features::default()).unwrap();
        ping(&mut guest, 1);
    }

    /// The end: the neighbour has lost nothing, and there is room for a good guest.
    fn end(mut self) {
        self.goes_on();
        self.takes_a_good_guest();
        self.ends.store(true, Ordering::Relaxed);
        self.neighbour.take().unwrap().join().expect("the neighbour lost no frame");
    }
}

impl Drop for Street {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

fn frame(number: u64, len: usize) -> Vec<u8> {
    let mut frame = vec![number as u8; len];
    frame[14..22].copy_from_slice(&number.to_ne_bytes());
    frame
}

fn ping(guest: &mut Guest, number: u64) {
    let sent = frame(number, 100);
    assert!(guest.send(&sent));
    assert_eq!(guest.recv(SOON).as_deref(), Some(&sent[..]));
}

fn an_eventfd() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap()
}

fn table(regions: &[[u64; 4]]) -> Vec<u8> {
    let words = regions.iter().flatten().copied();
    std::iter::once(regions.len() as u64).chain(words).flat_map(u64::to_ne_bytes).collect()
}

#[test]
fn rings_that_are_not_there_are_refused() {
    let street = street(2);
    let wire = street.wire();
    let fd = an_eventfd();
    let mut refused = 0;
    for ring in [4, 5, 255, 256, 65_535, 65_537, 1 << 31, u32::MAX] {
        for request in [Request::SET_VRING_NUM, Request::SET_VRING_BASE, Request::SET_VRING_ENABLE] {
            wire.set_ring(request, ring, 1).unwrap_err();
        }
        let mut addr = Vec::from(u64::from(ring).to_ne_bytes());
        addr.extend([0; 32]);
        wire.set(Request::SET_VRING_ADDR, &addr, &[]).unwrap_err();
        // It waits for an answer, and that is short.
        wire.get_base(ring).unwrap();
        refused += 5;
        // The number of a ring is in eight bits here; another one says that there is no descriptor.
        if ring != 256 {
            for request in [Request::SET_VRING_KICK, Request::SET_VRING_CALL, Request::SET_VRING_ERR] {
                wire.set_fd(request, ring, &fd).unwrap_err();
            }
            refused += 3;
        }
    }
    assert_eq!(street.counter("guest_requests_refused"), refused);
    drop(wire);
    street.end();
}

#[test]
fn ring_sizes_that_are_not_legal_are_refused() {
    let street = street(1);
    let wire = street.wire();
    for size in [0, 3, 100, 255, 32_767, 32_769, 65_536, 1 << 31, u32::MAX] {
        wire.set_ring(Request::SET_VRING_NUM, 0, size).unwrap_err();
    }
    for base in [65_536, u32::MAX] {
        wire.set_ring(Request::SET_VRING_BASE, 0, base).unwrap_err();
    }
    for state in [2, u32::MAX] {
        wire.set_ring(Request::SET_VRING_ENABLE, 0, state).unwrap_err();
    }
    drop(wire);
    street.end();
}

#[test]
fn rings_of_all_legal_sizes_carry_frames() {
    let street = street(1);
    for bits in 1..=15u32 {
        let features =
            Features { queue_size: 1 << bits, rx_buffer: 256, max_frame: 200, ..Features::default() };
        let mut guest = loop {
            // The one before is not gone yet.
            if let Ok(guest) = Guest::connect(&street.socket, features) {
                break guest;
            }
        };
        // Round and round a small ring, and once round the largest.
        for number in 0..40_000u64.min(3 << bits) {
            ping(&mut guest, number);
        }
        assert_eq!(guest.stop().unwrap(), [40_000u32.min(3 << bits) % 65_536; 2]);
    }
    street.end();
}

#[test]
fn queues_are_enabled_early_late_and_not_at_all() {
    const PAIRS: u16 = 8;
    let street = street(PAIRS);
    // All are enabled before there are features: as QEMU does it.
    let mut guest =
        Guest::connect(&street.socket, Features { queue_pairs: PAIRS, ..Features::default() }).unwrap();
    let mut number = 0;
    let mut round = |guest: &mut Guest, pair: usize| {
        number += 1;
        let sent = frame(number, 100);
        assert!(guest.pairs[pair].queue(&sent));
        if guest.pairs[pair].flush() {
            rustix::io::write(guest.kick_fd(2 * pair + 1), &1u64.to_ne_bytes()).unwrap();
        }
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(got) = guest.pairs[pair].poll() {
                assert_eq!(got, sent, "pair {pair}");
                return;
            }
            assert!(Instant::now() < deadline, "nothing came back on pair {pair}");
            std::thread::yield_now();
        }
    };
    let enable = |guest: &Guest, pair: usize, on: bool| {
        for ring in [2 * pair as u32, 2 * pair as u32 + 1] {
            guest.wire().unwrap().set_ring(Request::SET_VRING_ENABLE, ring, on.into()).unwrap();
        }
    };
    for pair in 0..usize::from(PAIRS) {
        round(&mut guest, pair);
    }
    // `ethtool -L`, again and again, while the others carry frames.
    for turn in 0..64 {
        let pair = 1 + turn % (usize::from(PAIRS) - 1);
        enable(&guest, pair, false);
        assert!(street.monitor.pairs()[pair].from_guest.indices().is_none(), "pair {pair} stands");
        // What is queued meanwhile is not lost.
        let waits = frame(10_000 + turn as u64, 100);
        assert!(guest.pairs[pair].queue(&waits));
        guest.pairs[pair].flush();
        for other in (0..usize::from(PAIRS)).filter(|other| *other != pair) {
            round(&mut guest, other);
        }
        assert_eq!(guest.pairs[pair].poll(), None);
        enable(&guest, pair, true);
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(got) = guest.pairs[pair].poll() {
                assert_eq!(got, waits);
                break;
            }
            assert!(Instant::now() < deadline, "pair {pair} did not begin again");
            std::thread::yield_now();
        }
    }
    // The first pair late: it alone says whether the vNIC is up.
    enable(&guest, 0, false);
    assert_eq!(street.monitor.cause().as_deref(), Some("rings not enabled"));
    enable(&guest, 0, true);
    round(&mut guest, 0);
    drop(guest);
    street.end();
}

#[test]
fn a_flood_of_messages_delays_nobody() {
    let street = street(1);
    // What needs no answer, as fast as it goes.
    let mut wire = street.wire();
    wire.acknowledge = false;
    for _ in 0..100_000 {
        wire.set(Request::SET_OWNER, &[], &[]).unwrap();
    }
    assert!(wire.get(Request::GET_FEATURES).is_ok());
    // Rings that come and go, and calls that are replaced.
    let fd = an_eventfd();
    for n in 0..20_000 {
        wire.set_ring(Request::SET_VRING_ENABLE, n % 2, n / 2 % 2).unwrap();
        wire.set_fd(Request::SET_VRING_CALL, n % 2, &fd).unwrap();
    }
    street.goes_on();
    // Questions whose answers nobody reads end the connection.
    while wire.send(Request::GET_FEATURES as u32, 1, &[], &[]).is_ok() {}
    street.goes_on();
    // Connections that come and go.
    for _ in 0..1000 {
        drop(Wire::connect(&street.socket).unwrap());
    }
    street.end();
}

#[test]
fn surplus_descriptors_are_closed() {
    let street = street(1);
    let fds: Vec<OwnedFd> = (0..60).map(|_| an_eventfd()).collect();
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    for count in [1, 2, 8, 60] {
        let surplus: Vec<BorrowedFd<'_>> = fds.iter().take(count).map(AsFd::as_fd).collect();
        for code in 1..=45u32 {
            let wire = street.wire();
            // Whether it is carried out or refused: the descriptors are gone afterwards.
            wire.send(code, 0x9, &[0; 8], &surplus).unwrap();
            let _ = wire.reply();
        }
    }
    street.goes_on();
    let deadline = Instant::now() + SOON;
    while street.monitor.guest().is_some() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    // Other tests of this process open descriptors too, but not a thousand.
    assert!(open() < 1000, "{} descriptors are open", open());
    street.end();
}

#[test]
fn messages_that_end_too_early_are_refused_or_close_the_connection() {
    let street = street(1);
    let mut answered = 0;
    for code in 0..=50u32 {
        let wire = street.wire();
        for len in [0, 1, 4, 7, 9, 12, 15, 17, 39, 41] {
            wire.send(code, 0x9, &vec![0xff; len], &[]).unwrap();
            match wire.reply() {
                Ok((to, _)) => {
                    assert_eq!(to, code);
                    answered += 1;
                }
                Err(error) => {
                    assert_ne!(
                        error.kind(),
                        ErrorKind::WouldBlock,
                        "request {code} of {len} octets has no answer"
                    );
                    break;
                }
            }
            // SET_PROTOCOL_FEATURES and the like may have switched acknowledgements off.
            let _ = wire.send(Request::SET_PROTOCOL_FEATURES as u32, 1, &PROTOCOL.to_ne_bytes(), &[]);
        }
    }
    assert!(answered > 400, "{answered}");
    for len in 1..20 {
        let wire = street.wire();
        let mut bytes = [1u32, 1, 8].map(u32::to_ne_bytes).concat();
        bytes.extend([0; 8]);
        wire.raw(&bytes[..len], &[]).unwrap();
    }
    street.end();
}

#[test]
fn memory_tables_that_lie_are_refused() {
    let street = street(1);
    let file = memfd_create("table", MemfdFlags::CLOEXEC).unwrap();
    ftruncate(&file, 1 << 20).unwrap();
    let (at, max) = (BASE, u64::MAX);
    let lies: &[(&str, &[[u64; 4]])] = &[
        ("two at one address", &[[at, 8192, 0x1000, 0], [at + 4096, 8192, 0x9000, 8192]]),
        ("longer than its file", &[[at, (1 << 20) + 1, 0x1000, 0]]),
        ("behind the end of its file", &[[at, 4096, 0x1000, 1 << 20]]),
        ("an offset beyond 64 bits", &[[at, 4096, 0x1000, max - 100]]),
        ("a size beyond 64 bits", &[[at, max, 0x1000, 4096]]),
        ("a guest address beyond 64 bits", &[[max - 100, 4096, 0x1000, 0]]),
        ("a user address beyond 64 bits", &[[at, 4096, max - 100, 0]]),
        ("no octets", &[[at, 0, 0x1000, 0]]),
    ];
    let wire = street.wire();
    for (lie, regions) in lies {
        let fds = vec![file.as_fd(); regions.len()];
        assert!(wire.set(Request::SET_MEM_TABLE, &table(regions), &fds).is_err(), "{lie}");
        let single: Vec<u8> = std::iter::once(0).chain(regions[0]).flat_map(u64::to_ne_bytes).collect();
        let first = wire.set(Request::ADD_MEM_REG, &single, &fds[..1]);
        assert!(first.is_err() || regions.len() > 1, "{lie}");
    }
    // Fewer and more descriptors than regions, more regions than there are.
    let good = [at, 4096, 0x1000, 0];
    wire.set(Request::SET_MEM_TABLE, &table(&[good]), &[file.as_fd(); 2]).unwrap_err();
    wire.set(Request::SET_MEM_TABLE, &table(&[good, [at + 8192, 4096, 0x9000, 4096]]), &[file.as_fd()])
        .unwrap_err();
    let mut counted = table(&[good]);
    counted[..8].copy_from_slice(&1000u64.to_ne_bytes());
    wire.set(Request::SET_MEM_TABLE, &counted, &[file.as_fd()]).unwrap_err();
    wire.set(Request::SET_MEM_TABLE, &table(&[good]), &[file.as_fd()]).unwrap();
    drop(wire);
    street.end();
}

#[test]
fn regions_are_replaced_under_traffic() {
    let street = street(1);
    let mut guest = Guest::connect(&street.socket, Features::default()).unwrap();
    for number in 0..300 {
        ping(&mut guest, number);
        guest.share_memory(guest.wire().unwrap()).unwrap();
    }
    drop(guest);
    street.end();
}

#[test]
fn a_log_that_lies_is_refused_and_one_that_is_short_is_counted() {
    let street = street(1);
    let mut guest = Guest::connect(&street.socket, Features::default()).unwrap();
    ping(&mut guest, 1);
    let file = memfd_create("log", MemfdFlags::CLOEXEC).unwrap();
    ftruncate(&file, 4096).unwrap();
    let wire = guest.wire().unwrap();
    let base = |size: u64, offset: u64, fds: &[BorrowedFd<'_>]| {
        let payload = [size, offset].map(u64::to_ne_bytes).concat();
        wire.send(Request::SET_LOG_BASE as u32, 1, &payload, fds).unwrap();
        u64::from_ne_bytes(wire.reply().unwrap().1.try_into().unwrap())
    };
    for (size, offset) in
        [(0, 0), (4097, 0), (4096, 1), (u64::MAX, 4096), (4096, u64::MAX - 4095), (u64::MAX, u64::MAX)]
    {
        assert_eq!(base(size, offset, &[file.as_fd()]), 1, "{size} octets at {offset}");
    }
    assert_eq!(base(4096, 0, &[]), 1, "no descriptor");
    assert_eq!(base(4096, 0, &[file.as_fd(); 2]), 1, "two of them");
    // Memory begins far beyond what this one has bits for: nothing but a count comes of it.
    assert_eq!(base(4096, 0, &[file.as_fd()]), 0);
    wire.set_number(Request::SET_FEATURES, guest.virtio_features() | 1 << 26).unwrap();
    let (desc, avail, used) = guest.pairs[0].rx.parts();
    let memory = Arc::clone(guest.memory());
    let addr = |log: u64| -> Vec<u8> {
        [1 << 32, memory.user(desc), memory.user(used), memory.user(avail), log]
            .map(u64::to_ne_bytes)
            .concat()
    };
    wire.set(Request::SET_VRING_ADDR, &addr(u64::MAX - 100), &[]).unwrap_err();
    wire.set(Request::SET_VRING_ADDR, &addr(u64::MAX - 4096), &[]).unwrap();
    ping(&mut guest, 2);
    assert!(street.counter("guest_log_outside") > 0);
    assert_eq!(street.counter("guest_log_pages"), 0);
    // One that is cut off while it is written stops its own rings.
    let log = Log::new(BASE + memory.regions()[0].size + PAGE).unwrap();
    let payload = [log.octets(), 0].map(u64::to_ne_bytes).concat();
    let wire = guest.wire().unwrap();
    wire.send(Request::SET_LOG_BASE as u32, 1, &payload, &[log.fd()]).unwrap();
    wire.reply().unwrap();
    ping(&mut guest, 3);
    ping(&mut guest, 4);
    assert!(street.counter("guest_log_pages") > 0);
    ftruncate(log.fd(), 0).unwrap();
    let deadline = Instant::now() + SOON;
    while !street.monitor.cause().is_some_and(|cause| cause.contains("lost_memory")) {
        assert!(Instant::now() < deadline, "{:?}", street.monitor.cause());
        guest.send(&frame(5, 100));
        std::thread::yield_now();
    }
    drop(guest);
    street.end();
}

/// Huge pages for this test, given back at its end; `None` where there are none to be had.
struct HugePages(String);

impl HugePages {
    const SETTING: &str = "/proc/sys/vm/nr_hugepages";
    const WANTED: u64 = 24;

    fn get() -> Option<Self> {
        let before = fs::read_to_string(Self::SETTING).ok()?;
        let pages = before.trim().parse::<u64>().ok()? + Self::WANTED;
        let there = Path::new("/sys/kernel/mm/hugepages/hugepages-2048kB").exists()
            && fs::write(Self::SETTING, pages.to_string()).is_ok();
        let got = Self(before);
        let now = fs::read_to_string(Self::SETTING).ok()?.trim().parse::<u64>().ok()?;
        (there && now == pages).then_some(got)
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        let _ = fs::write(Self::SETTING, &self.0);
    }
}

#[test]
fn memory_that_cannot_be_sealed_is_cut_off_under_its_own_rings_only() {
    let Some(_pages) = HugePages::get() else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no huge pages can be had");
        println!("skipped: no huge pages can be had (root, and 48 MiB of memory in one piece)");
        return;
    };
    let street = street(1);
    let features = Features { queue_size: 64, ..Features::default() };
    for number in 0..3 {
        let memory = GuestMemory::huge(features.memory()).unwrap();
        let mut guest = Guest::in_memory(memory, features).unwrap();
        guest.reconnect(&street.socket).unwrap();
        for ping_number in 0..300 {
            ping(&mut guest, number * 1000 + ping_number);
        }
        if ftruncate(guest.memory().fd(), 0).is_ok() {
            // From here on this test must not touch the guest's memory either.
            let deadline = Instant::now() + SOON;
            while !street.monitor.cause().is_some_and(|cause| cause.contains("rx_lost_memory")) {
                assert!(Instant::now() < deadline, "{:?}", street.monitor.cause());
                rustix::io::write(guest.kick_fd(1), &1u64.to_ne_bytes()).unwrap();
                std::thread::yield_now();
            }
        }
        street.goes_on();
        guest.disconnect();
        let deadline = Instant::now() + SOON;
        while street.monitor.guest().is_some() {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
    }
    street.end();
}
