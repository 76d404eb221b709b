//! The dirty log of a live migration: what the adapter writes into a guest's memory is marked, and nothing else is.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use link::{BURST, OutFrame, RxBurst, RxQueue, TxQueue};
use niv_adapter::vhost::FrontendEvent;
use niv_adapter::vhost::memory::{DirtyLog, LogCounters};
use niv_adapter::vhost::ring::{RingLog, VringRx, VringTx};
use niv_lab::driver::{
    BASE, Door, DriverRing, Features, Guest, GuestMemory, Log, NetDriver, PAGE, Request, VirtualNic, Wire,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(5);
const LOG_ALL: u64 = 1 << 26;

fn pages(addr: u64, len: u64) -> std::ops::Range<u64> {
    if len == 0 { 0..0 } else { addr / PAGE..(addr + len - 1) / PAGE + 1 }
}

// ----- one ring at a time: the difference of memory against the log -----

#[derive(Clone, Debug)]
enum Step {
    /// The guest sends; the adapter takes.
    Up { lens: Vec<usize>, take: usize },
    /// The adapter sends.
    Down(Vec<usize>),
    /// The adapter waits for a notification, or does not any more.
    Arm(bool),
    /// The front end brings another log: how many pages behind the beginning of memory it has.
    Log { pages: u64 },
    /// The front end switches the log of {buffers, used rings}.
    Switch { buffers: bool, used: bool },
    /// The front end changes the memory map.
    Remap,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (prop::collection::vec(0usize..2036, 1..20), 0..=BURST).prop_map(|(lens, take)| Step::Up { lens, take }),
        4 => prop::collection::vec(0usize..2036, 1..40).prop_map(Step::Down),
        2 => any::<bool>().prop_map(Step::Arm),
        1 => prop_oneof![Just(1u64 << 12), 0u64..200].prop_map(|pages| Step::Log { pages }),
        1 => any::<[bool; 2]>().prop_map(|[buffers, used]| Step::Switch { buffers, used }),
        1 => Just(Step::Remap),
    ]
}

fn features() -> impl Strategy<Value = Features> {
    (any::<[bool; 6]>(), 0u32..6, 1usize..8, 13usize..2000).prop_map(
        |([mergeable, indirect, event_idx, tx_apart, rx_apart, packed], size, tx_pieces, rx_buffer)| {
            Features {
                mergeable,
                indirect,
                event_idx,
                packed,
                queue_size: (8 << size) + if packed { 3 } else { 0 },
                rx_buffer: if mergeable { rx_buffer } else { 2048 },
                rx_header_apart: rx_apart,
                tx_header_apart: tx_apart,
                tx_pieces,
                ..Features::default()
            }
        },
    )
}

/// A guest whose rings log, and what the test knows of the log.
struct World {
    nic: VirtualNic,
    rx: VringRx,
    tx: VringTx,
    log: Log,
    mapped: Arc<DirtyLog>,
    counters: Arc<LogCounters>,
    buffers: bool,
    used: bool,
    number: u64,
}

impl World {
    fn new(features: Features) -> Self {
        let nic = VirtualNic::stopped(features).unwrap();
        nic.start(nic.origins());
        let (rx, tx) = nic.queues();
        let counters = Arc::new(LogCounters::default());
        let (log, mapped) = log(1 << 12, &counters);
        Self { nic, rx, tx, log, mapped, counters, buffers: true, used: true, number: 0 }
    }

    fn memory(&self) -> &Arc<GuestMemory> {
        self.nic.driver.memory()
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.memory().regions()[0].size as usize];
        self.memory().read(BASE, &mut bytes);
        bytes
    }

    /// Has both rings log as was said last.
    fn set_log(&mut self) {
        let log = |ring: &DriverRing| {
            (self.buffers || self.used).then(|| RingLog {
                log: Arc::clone(&self.mapped),
                buffers: self.buffers,
                used: self.used.then_some(ring.parts().2),
                desc: (self.used && self.nic.driver.features().packed).then_some(ring.parts().0),
                news: None,
            })
        };
        self.nic.logs = [log(&self.nic.driver.tx), log(&self.nic.driver.rx)];
        let [from, to] = self.nic.logs.clone();
        self.nic.from_guest.set_log(from);
        self.nic.to_guest.set_log(to);
    }

    /// Lets the adapter do something, and holds what it wrote against the log.
    fn device(&mut self, act: impl FnOnce(&mut Self)) {
        let before = self.snapshot();
        let rings = |driver: &NetDriver| [driver.tx.indices().0, driver.rx.indices().0];
        let from = rings(&self.nic.driver);
        let outside = self.counters.outside.load(Ordering::Relaxed);
        act(self);
        let after = self.snapshot();
        let driver = &self.nic.driver;
        let to = rings(driver);
        let changed: BTreeSet<u64> = (0..before.len() as u64)
            .step_by(PAGE as usize)
            .filter(|at| before[*at as usize..][..PAGE as usize] != after[*at as usize..][..PAGE as usize])
            .map(|at| (BASE + at) / PAGE)
            .collect();
        // What it may have written: the used rings, and the octets that it says it has put into buffers.
        let mut used = BTreeSet::new();
        let mut buffers = BTreeSet::new();
        for (i, ring) in [&driver.tx, &driver.rx].into_iter().enumerate() {
            let (desc, _, at) = ring.parts();
            if let DriverRing::Packed(packed) = ring {
                used.extend(pages(desc, 16 * u64::from(ring.size())));
                used.extend(pages(at, 4));
                if i == 1 {
                    let written = packed.unseen().into_iter();
                    buffers.extend(written.flat_map(|(id, len)| pages(driver.rx_buffer(id), len.into())));
                }
                continue;
            }
            used.extend(pages(at, 6 + 8 * u64::from(ring.size())));
            for n in 0..to[i].wrapping_sub(from[i]) {
                let slot = at + 4 + 8 * u64::from(from[i].wrapping_add(n) & (ring.size() - 1));
                let (head, len) = (self.memory().load32(slot) as u16, self.memory().load32(slot + 4));
                if i == 1 {
                    buffers.extend(pages(driver.rx_buffer(head), u64::from(len)));
                }
            }
        }
        let bits = self.log.octets() * 8;
        let marked: BTreeSet<u64> = self.log.take(BASE).into_iter().collect();
        let switched =
            |on: bool, pages: &BTreeSet<u64>| pages.iter().copied().filter(|_| on).collect::<BTreeSet<u64>>();
        let may: BTreeSet<u64> =
            switched(self.buffers, &buffers).union(&switched(self.used, &used)).copied().collect();
        let must: BTreeSet<u64> = switched(self.buffers, &buffers)
            .into_iter()
            // A page of both kinds is only known to have changed.
            .chain(changed.intersection(&may).copied())
            .filter(|page| self.used || !used.contains(page) || buffers.contains(page))
            .collect();
        assert!(changed.is_subset(&(&buffers | &used)), "written outside buffers and used rings");
        let missing: Vec<_> = must.iter().filter(|page| **page < bits && !marked.contains(page)).collect();
        assert!(missing.is_empty(), "written and not marked: {missing:x?}");
        assert!(marked.is_subset(&may), "marked, but not written: {:x?}", &marked - &may);
        let lost = must.iter().any(|page| *page >= bits);
        let counted = self.counters.outside.load(Ordering::Relaxed) > outside;
        assert!(!lost || counted, "a page beyond the log is counted");
    }

    fn frame(&mut self, len: usize) -> Vec<u8> {
        self.number += 1;
        let number = self.number;
        (0..len).map(|i| (i as u64 ^ number ^ (number >> 7)) as u8).collect()
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Up { lens, take } => {
                for len in lens {
                    let frame = self.frame(len);
                    self.nic.driver.queue(&frame);
                }
                self.nic.driver.flush();
                self.device(|world| {
                    let mut burst = RxBurst::new();
                    world.rx.recv(0, BURST, &mut burst);
                    let n = burst.len().min(take);
                    drop(burst);
                    world.rx.release(n);
                });
                self.nic.driver.reclaim();
            }
            Step::Down(lens) => {
                let frames: Vec<_> = lens.into_iter().map(|len| self.frame(len)).collect();
                self.device(|world| {
                    let out: Vec<_> = frames.iter().map(|frame| OutFrame::private(frame)).collect();
                    world.tx.send(0, &out);
                    world.tx.kick();
                });
                while self.nic.driver.poll().is_some() {}
            }
            Step::Arm(true) => self.device(|world| _ = world.rx.arm()),
            Step::Arm(false) => self.device(|world| world.rx.disarm()),
            Step::Log { pages } => {
                (self.log, self.mapped) = log(pages, &self.counters);
                self.set_log();
            }
            Step::Switch { buffers, used } => {
                (self.buffers, self.used) = (buffers, used);
                self.set_log();
            }
            Step::Remap => self.device(|world| world.nic.remap().unwrap()),
        }
    }
}

/// A log of memory's first pages, as both sides have it.
fn log(pages: u64, counters: &Arc<LogCounters>) -> (Log, Arc<DirtyLog>) {
    let log = Log::new(BASE + pages * PAGE).unwrap();
    let mapped = DirtyLog::map(log.fd(), 0, log.octets(), Arc::clone(counters)).unwrap();
    (log, Arc::new(mapped))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_marked_and_nothing_else(features in features(), steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(features);
        world.set_log();
        for step in steps {
            world.run(step);
        }
    }
}

// ----- a whole migration at the socket, with a copier beside the traffic -----

/// Takes pages out of the log and copies them, as a virtual machine monitor does while the guest runs.
struct Copier {
    memory: Arc<GuestMemory>,
    image: Mutex<Vec<u8>>,
    log: Mutex<Arc<Log>>,
    ends: AtomicBool,
}

impl Copier {
    /// Everything once; the log is on.
    fn copy_all(&self) {
        let mut image = self.image.lock().unwrap();
        self.memory.read(BASE, &mut image);
    }

    fn copy_marked(&self, log: &Log) -> usize {
        let marked = log.take(BASE);
        let mut image = self.image.lock().unwrap();
        for page in &marked {
            let at = (page * PAGE - BASE) as usize;
            self.memory.read(page * PAGE, &mut image[at..at + PAGE as usize]);
        }
        marked.len()
    }

    fn run(&self) {
        while !self.ends.load(Ordering::Acquire) {
            let log = Arc::clone(&self.log.lock().unwrap());
            self.copy_marked(&log);
        }
    }
}

fn set_log_base(wire: &Wire, log: &Log) {
    let payload = [log.octets().to_ne_bytes(), 0u64.to_ne_bytes()].concat();
    wire.send(Request::SET_LOG_BASE as u32, 1, &payload, &[log.fd()]).unwrap();
    let (code, payload) = wire.reply().unwrap();
    assert_eq!((code, payload), (Request::SET_LOG_BASE as u32, 0u64.to_ne_bytes().to_vec()));
}

/// As QEMU does it: the features, then each ring's addresses.
fn switch_log(guest: &Guest, on: bool) {
    let wire = guest.wire().unwrap();
    let bit = if on { LOG_ALL } else { 0 };
    wire.set_number(Request::SET_FEATURES, guest.virtio_features() | bit).unwrap();
    let memory = guest.memory();
    for (number, ring) in guest.pairs.iter().flat_map(|pair| [&pair.rx, &pair.tx]).enumerate() {
        let (desc, avail, used) = ring.parts();
        let head = number as u64 | u64::from(on) << 32;
        let log = if on { used } else { 0 };
        let words = [head, memory.user(desc), memory.user(used), memory.user(avail), log];
        wire.set(Request::SET_VRING_ADDR, &words.map(u64::to_ne_bytes).concat(), &[]).unwrap();
    }
}

#[test]
fn a_copy_made_under_traffic_is_the_guests_memory() {
    let mut door = Door::open(|_| ());
    let echo = door.echo(false);
    let (mut all, mut no_room) = (0, 0);
    for features in [
        Features::default(),
        Features { rx_buffer: 300, ..Features::default() },
        Features { event_idx: false, rx_header_apart: true, ..Features::plain() },
    ] {
        let mut guest = Guest::connect(&door.socket, features).unwrap();
        let memory = Arc::clone(guest.memory());
        let end = BASE + memory.regions()[0].size;
        let log = Arc::new(Log::new(end).unwrap());
        set_log_base(guest.wire().unwrap(), &log);
        switch_log(&guest, true);
        door.await_event(FrontendEvent::Log(true));
        assert!(door.monitor.guest().unwrap().logs);
        let copier = Arc::new(Copier {
            image: Mutex::new(vec![0; memory.regions()[0].size as usize]),
            memory: Arc::clone(&memory),
            log: Mutex::new(log),
            ends: AtomicBool::new(false),
        });
        copier.copy_all();
        let thread = std::thread::spawn({
            let copier = Arc::clone(&copier);
            move || copier.run()
        });
        // Another region, which comes and goes.
        let more = GuestMemory::with_regions(&[(BASE << 1, 1 << 20)]).unwrap();
        let mut number = 0u64;
        for round in 0..240 {
            let sent: Vec<Vec<u8>> = (0..20)
                .map(|_| {
                    number += 1;
                    let mut frame = vec![number as u8; 60 + (number as usize * 37) % 1400];
                    frame[14..22].copy_from_slice(&number.to_ne_bytes());
                    frame
                })
                .collect();
            for frame in &sent {
                assert!(guest.send(frame));
            }
            all += sent.len() as u64;
            // While these frames pass.
            let info = more.regions()[0];
            let region: Vec<u8> = [0, info.guest, info.size, info.user, info.offset]
                .into_iter()
                .flat_map(u64::to_ne_bytes)
                .collect();
            let wire = guest.wire().unwrap();
            match round % 6 {
                0 => guest.share_memory(wire).unwrap(),
                1 => wire.set(Request::ADD_MEM_REG, &region, &[more.fd()]).unwrap(),
                2 => wire.set(Request::REM_MEM_REG, &region, &[]).unwrap(),
                3 | 4 => {
                    // A log of another size. What is in the former one is still copied.
                    let new = Arc::new(Log::new(end + (round as u64 * PAGE * 64)).unwrap());
                    set_log_base(wire, &new);
                    let former = std::mem::replace(&mut *copier.log.lock().unwrap(), new);
                    copier.copy_marked(&former);
                }
                _ => switch_log(&guest, true),
            }
            // Between two maps the rings stand, and what comes then finds no buffer. A log is changed without that.
            let deadline = Instant::now() + SOON;
            let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
            while count(&echo.counters.frames) + count(&echo.counters.no_room) < all {
                assert!(Instant::now() < deadline, "round {round}");
                std::thread::yield_now();
            }
            let lost = count(&echo.counters.no_room) - no_room;
            no_room += lost;
            assert!(round % 6 < 3 || lost == 0, "{lost} frames were lost in round {round}");
            let mut wanted = sent.iter();
            for _ in 0..sent.len() - lost as usize {
                let got = guest.recv(SOON).unwrap();
                assert!(wanted.any(|frame| *frame == got), "round {round}: out of order, or changed");
            }
        }
        // The guest stops; what was written last is marked then.
        guest.stop().unwrap();
        copier.ends.store(true, Ordering::Release);
        thread.join().unwrap();
        let last = Arc::clone(&copier.log.lock().unwrap());
        copier.copy_marked(&last);
        assert_eq!(copier.copy_marked(&last), 0);
        // Only the adapter writes receive buffers and used rings.
        let image = copier.image.lock().unwrap();
        let compare = |what: &str, at: u64, len: usize| {
            let mut original = vec![0; len];
            memory.read(at, &mut original);
            let copy = &image[(at - BASE) as usize..][..len];
            let differs = original.iter().zip(copy).position(|(a, b)| a != b);
            assert_eq!(differs, None, "{what} at {at:#x}: octets that differ from the copy");
        };
        for pair in &guest.pairs {
            for ring in [&pair.rx, &pair.tx] {
                compare("a used ring", ring.parts().2, 6 + 8 * usize::from(ring.size()));
            }
            for head in 0..pair.rx.size() {
                let at = pair.rx_buffer(head);
                if at != 0 {
                    compare("a receive buffer", at, features.rx_buffer);
                }
            }
        }
        drop(image);
        switch_log(&guest, false);
        door.await_event(FrontendEvent::Log(false));
        guest.disconnect();
    }
    assert!(door.counter("guest_log_pages") > 1000);
    assert_eq!(door.counter("guest_log_outside"), 0);
    assert_eq!(door.counter("guest_requests_refused"), 0);
    drop(echo);
}
