//! The worker loop on real threads and descriptors.

use niv_node::mailbox::{Mailbox, mailbox};
use niv_node::stop::Stop;
use niv_node::worker::{LOOK, Options, Turn, Worker, run};
use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{ClockId, clock_gettime};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::Duration;

/// Runs a worker on a thread of its own, which gives it back.
fn spawn<W: Worker + Send + 'static>(mut worker: W, stop: &Stop) -> JoinHandle<W> {
    let stop = stop.clone();
    std::thread::spawn(move || {
        run(&mut worker, &Options::default(), &stop).expect("no error");
        worker
    })
}

const MAILBOX: u64 = 1;
const DOOR: u64 = 2;
const PATIENCE: Duration = Duration::from_secs(30);

/// What the tests ask of the toy.
#[derive(Debug)]
enum Ask {
    /// Watch this descriptor as well.
    Watch(OwnedFd),
    /// Be busy until the mailbox has something again.
    Busy,
    /// Nothing; only its ticket matters.
    Nothing,
}

/// A worker with no frames: a mailbox, perhaps one more descriptor, and a diary.
struct Toy {
    mailbox: Mailbox<Ask>,
    door: Option<OwnedFd>,
    changed: bool,
    busy: bool,
    turns: u64,
    opened: u64,
    report: std::sync::mpsc::Sender<u64>,
}

impl Worker for Toy {
    fn turn(&mut self, _now: u64) -> Turn {
        self.turns += 1;
        let (door, busy) = (&mut self.door, &mut self.busy);
        let mut watch = false;
        self.mailbox.drain(|ask| match ask {
            Ask::Watch(descriptor) => {
                *door = Some(descriptor);
                watch = true;
            }
            Ask::Busy => *busy = true,
            Ask::Nothing => *busy = false,
        });
        self.changed |= watch;
        Turn { moved: 0, idle: !self.busy, next: None }
    }

    fn ready(&mut self, token: u64) {
        if token == DOOR
            && let Some(door) = &self.door
        {
            rustix::io::read(door, &mut [0u8; 8]).expect("it was readable");
            self.opened += 1;
            self.report.send(self.opened).expect("the test listens");
        }
    }

    fn events(&self) -> Vec<(BorrowedFd<'_>, u64)> {
        let mut events = vec![(self.mailbox.event(), MAILBOX)];
        events.extend(self.door.as_ref().map(|door| (door.as_fd(), DOOR)));
        events
    }

    fn events_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

fn event() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("eventfd")
}

#[test]
fn wakes_by_mailbox_and_by_a_descriptor_added_later_and_stops() {
    let stop = Stop::new().expect("eventfd");
    let (sender, mailbox) = mailbox(8).expect("eventfd");
    let (report, reports) = std::sync::mpsc::channel();
    let toy = Toy { mailbox, door: None, changed: false, busy: false, turns: 0, opened: 0, report };
    let thread = spawn(toy, &stop);

    let bell = event();
    let ticket = sender.post(Ask::Watch(bell.try_clone().expect("dup"))).expect("room");
    assert!(sender.wait(ticket, PATIENCE));
    for times in 1..=3 {
        rustix::io::write(&bell, &1u64.to_ne_bytes()).expect("rings");
        assert_eq!(reports.recv_timeout(PATIENCE), Ok(times));
    }

    // A busy worker hears of events too, without being idle once.
    let busy = sender.post(Ask::Busy).expect("room");
    assert!(sender.wait(busy, PATIENCE));
    rustix::io::write(&bell, &1u64.to_ne_bytes()).expect("rings");
    assert_eq!(reports.recv_timeout(PATIENCE), Ok(4));
    let calm = sender.post(Ask::Nothing).expect("room");
    assert!(sender.wait(calm, PATIENCE));

    assert!(!thread.is_finished());
    stop.request();
    let toy = thread.join().expect("no panic");
    assert!(stop.is_requested());
    assert_eq!(toy.opened, 4);
    // Far fewer turns outside the busy stretch than a ticking loop would have made.
    assert!(toy.turns >= 6);
}

#[test]
fn a_busy_worker_stops() {
    let stop = Stop::new().expect("eventfd");
    let (sender, mailbox) = mailbox(8).expect("eventfd");
    let (report, _reports) = std::sync::mpsc::channel();
    let toy = Toy { mailbox, door: None, changed: false, busy: true, turns: 0, opened: 0, report };
    let thread = spawn(toy, &stop);
    stop.request();
    thread.join().expect("no panic");
    drop(sender);
}

/// Idle until a deadline, then asks to stop. It may have a descriptor that it never reads.
struct Sleeper {
    until: Option<u64>,
    nuisance: Option<OwnedFd>,
    stop: Stop,
    turns: u64,
}

impl Sleeper {
    fn new(stop: &Stop, nuisance: Option<OwnedFd>) -> Self {
        Self { until: None, nuisance, stop: stop.clone(), turns: 0 }
    }
}

impl Worker for Sleeper {
    fn turn(&mut self, now: u64) -> Turn {
        self.turns += 1;
        let until = *self.until.get_or_insert(now + 200_000_000);
        if now >= until {
            self.stop.request();
        }
        Turn { moved: 0, idle: true, next: Some(until) }
    }

    fn ready(&mut self, _token: u64) {}

    fn events(&self) -> Vec<(BorrowedFd<'_>, u64)> {
        self.nuisance.iter().map(|nuisance| (nuisance.as_fd(), 1)).collect()
    }

    fn events_changed(&mut self) -> bool {
        false
    }
}

fn cpu_time_of_this_thread() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("not negative")
}

#[test]
fn an_idle_worker_uses_no_cpu_and_keeps_its_deadline() {
    let stop = Stop::new().expect("eventfd");
    let mut sleeper = Sleeper::new(&stop, None);
    let before = cpu_time_of_this_thread();
    run(&mut sleeper, &Options::default(), &stop).expect("runs");
    let used = cpu_time_of_this_thread() - before;
    // One turn before the 200 ms of silence, one at the deadline, none between; a turn more where the kernel wakes
    // a little early.
    assert!(sleeper.turns <= 4, "{} turns", sleeper.turns);
    assert!(used < Duration::from_millis(5), "{used:?} of CPU while idle");
}

#[test]
fn a_descriptor_that_never_gets_quiet_costs_little() {
    let stop = Stop::new().expect("eventfd");
    let nuisance = event();
    rustix::io::write(&nuisance, &1u64.to_ne_bytes()).expect("rings");
    let mut sleeper = Sleeper::new(&stop, Some(nuisance));
    let before = cpu_time_of_this_thread();
    run(&mut sleeper, &Options::default(), &stop).expect("runs");
    let used = cpu_time_of_this_thread() - before;
    // Some thousand wake-ups until it is noticed, then one in a millisecond; unguarded, it is 200 ms of CPU.
    assert!(used < Duration::from_millis(50), "{used:?} of CPU, {} turns", sleeper.turns);
}

#[test]
fn nothing_that_a_peer_passes_ends_the_loop() {
    /// Watches a plain file, which epoll refuses, beside one good descriptor under two tokens.
    struct Odd {
        file: OwnedFd,
        good: OwnedFd,
        seen: Vec<u64>,
        stop: Stop,
    }
    impl Worker for Odd {
        fn turn(&mut self, _now: u64) -> Turn {
            if self.seen.len() == 2 {
                self.stop.request();
            }
            Turn { moved: 0, idle: true, next: None }
        }
        fn ready(&mut self, token: u64) {
            self.seen.push(token);
            let _ = rustix::io::read(&self.good, &mut [0u8; 8]);
        }
        fn events(&self) -> Vec<(BorrowedFd<'_>, u64)> {
            vec![(self.good.as_fd(), 7), (self.file.as_fd(), 8), (self.good.as_fd(), 9)]
        }
        fn events_changed(&mut self) -> bool {
            false
        }
    }
    let stop = Stop::new().expect("eventfd");
    let good = event();
    rustix::io::write(&good, &1u64.to_ne_bytes()).expect("rings");
    let file = tempfile::tempfile().expect("a file").into();
    let mut odd = Odd { file, good, seen: Vec::new(), stop: stop.clone() };
    run(&mut odd, &Options::default(), &stop).expect("runs");
    assert_eq!(odd.seen, [7, 9]);
}

#[test]
fn a_descriptor_that_has_left_is_not_heard_of_though_another_process_has_it() {
    /// Lets go of its first descriptor when told to, under one of its tokens or under both.
    struct Leaver {
        mailbox: Mailbox<usize>,
        first: Option<OwnedFd>,
        tokens: u64,
        gone: Option<OwnedFd>,
        second: OwnedFd,
        left: bool,
        seen: Vec<u64>,
    }
    impl Worker for Leaver {
        fn turn(&mut self, _now: u64) -> Turn {
            self.gone = None;
            let mut leave = 0;
            self.mailbox.drain(|tokens| leave = tokens);
            if leave > 0 {
                self.tokens -= leave as u64;
                self.left = true;
                self.gone = match self.tokens {
                    0 => self.first.take(),
                    _ => self.first.as_ref().and_then(|first| first.try_clone().ok()),
                };
            }
            Turn { moved: 0, idle: true, next: None }
        }
        fn ready(&mut self, token: u64) {
            if token != MAILBOX {
                self.seen.push(token);
            }
            if token == 9 {
                let _ = rustix::io::read(&self.second, &mut [0u8; 8]);
            }
        }
        fn events(&self) -> Vec<(BorrowedFd<'_>, u64)> {
            let mut events = vec![(self.mailbox.event(), MAILBOX), (self.second.as_fd(), 9)];
            events.extend(
                self.first.iter().flat_map(|first| (0..self.tokens).map(|token| (first.as_fd(), token))),
            );
            events
        }
        fn events_changed(&mut self) -> bool {
            std::mem::take(&mut self.left)
        }
        fn events_gone(&self) -> Vec<BorrowedFd<'_>> {
            // Under one token only it has not left, and is said to have: the copy stands for it.
            if self.tokens > 0 {
                self.first.iter().filter(|_| self.gone.is_some()).map(|fd| fd.as_fd()).collect()
            } else {
                self.gone.iter().map(|fd| fd.as_fd()).collect()
            }
        }
    }
    let stop = Stop::new().expect("eventfd");
    let (sender, mailbox) = mailbox(8).expect("eventfd");
    let (first, second) = (event(), event());
    let [elsewhere, bell] = [&first, &second].map(|fd| fd.try_clone().expect("dup"));
    let leaver =
        Leaver { mailbox, first: Some(first), tokens: 2, gone: None, second, left: false, seen: vec![] };
    let thread = spawn(leaver, &stop);
    for tokens in [1, 1] {
        let ticket = sender.post(tokens).expect("room");
        assert!(sender.wait(ticket, PATIENCE));
        // Twice: what was said in that turn is in effect in the next one.
        let ticket = sender.post(0).expect("room");
        assert!(sender.wait(ticket, PATIENCE));
        rustix::io::write(&elsewhere, &1u64.to_ne_bytes()).expect("rings");
        rustix::io::write(&bell, &1u64.to_ne_bytes()).expect("rings");
        let ticket = sender.post(0).expect("room");
        assert!(sender.wait(ticket, PATIENCE));
        rustix::io::read(&elsewhere, &mut [0u8; 8]).expect("nobody else reads it");
    }
    rustix::io::write(&elsewhere, &1u64.to_ne_bytes()).expect("rings");
    let ticket = sender.post(0).expect("room");
    assert!(sender.wait(ticket, PATIENCE));
    stop.request();
    let leaver = thread.join().expect("no panic");
    assert!(leaver.seen.contains(&0), "under its other token it was still watched: {:?}", leaver.seen);
    let last = leaver.seen.iter().rposition(|token| *token == 9).expect("the bell was heard");
    assert!(!leaver.seen[last..].contains(&0), "{:?}", leaver.seen);
}

#[test]
fn a_cpu_that_does_not_exist_is_named() {
    let stop = Stop::new().expect("eventfd");
    stop.request();
    let mut sleeper = Sleeper::new(&stop, None);
    let error = run(&mut sleeper, &Options { cpu: Some(100_000), spin: LOOK, ..Options::default() }, &stop)
        .expect_err("no such CPU");
    assert!(error.to_string().contains("cpu 100000"), "{error}");
}
