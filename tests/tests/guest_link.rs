//! The link of a guest: taken down and up at the front door, whatever the guest does meanwhile.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod puppet;

use niv_adapter::vhost::{Carrier, FrontDoor, FrontendEvent, LinkSeen, LinkSignal, Vnic, VnicConfig};
use niv_lab::driver::{Door, Features, Guest, Request, Wire};
use niv_lab::stopwatch::{Stopwatch, threads_named};
use puppet::Puppet;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::ops::Deref;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(5);

/// A message is answered within this time.
const ANSWER: Duration = Duration::from_millis(10);

/// Why the link is down in these tests.
const CAUSE: &str = "disabled by the switch: shutdown";

/// A vNIC whose link goes up and down.
struct Bench(Door);

impl Deref for Bench {
    type Target = Door;
    fn deref(&self) -> &Door {
        &self.0
    }
}

fn bench(change: impl FnOnce(&mut VnicConfig)) -> Bench {
    Bench(Door::open(change))
}

impl Bench {
    fn down(&self) {
        self.door.set_carrier("vnic0", Some(CAUSE.to_owned()));
    }

    fn up(&self) {
        self.door.set_carrier("vnic0", None);
    }

    /// The link, as soon as it is seen like this.
    fn await_link(&self, what: &str, is: impl Fn(&Carrier) -> bool) -> Carrier {
        let deadline = Instant::now() + SOON;
        loop {
            let carrier = self.monitor.carrier();
            if is(&carrier) {
                return carrier;
            }
            assert!(Instant::now() < deadline, "{what} did not happen: {carrier:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn await_seen(&self, seen: LinkSeen) -> Carrier {
        self.await_link(&format!("{seen:?}"), |carrier| carrier.seen == seen)
    }

    fn downs(&self) -> u64 {
        self.counter("guest_link_downs")
    }
}

/// The connection ends, and not by a message.
fn assert_ends(wire: &Wire) {
    assert_eq!(wire.reply().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

/// A question is answered.
fn assert_answers(wire: &Wire) {
    wire.get(Request::GET_FEATURES).unwrap();
}

#[test]
fn down_is_no_listener_and_no_connection_and_up_is_a_listener() {
    let bench = bench(|_| ());
    let mut guest = Guest::connect(&bench.socket, Features::default()).unwrap();
    bench.await_event(FrontendEvent::Enabled(true));
    assert_eq!(bench.await_seen(LinkSeen::Up).cause, None);
    for round in 1..=3 {
        bench.down();
        assert_ends(guest.wire().unwrap());
        assert!(!bench.socket.exists(), "first nobody listens, then the connection ends");
        guest.disconnect();
        let carrier = bench.await_seen(LinkSeen::Down);
        assert_eq!((carrier.cause.as_deref(), carrier.obstacle), (Some(CAUSE), None));
        assert_eq!(bench.state(), format!("link down: {CAUSE}"));
        assert_eq!(bench.downs(), round);

        bench.up();
        bench.await_link("the cause goes", |carrier| carrier.cause.is_none());
        assert_eq!(bench.monitor.carrier().seen, LinkSeen::Down, "until the guest is back");
        guest.reconnect(&bench.socket).unwrap();
        guest.wire().unwrap().get(Request::GET_FEATURES).unwrap();
        let back = bench.await_seen(LinkSeen::Up);
        assert!(back.since > carrier.since);
        assert_eq!(bench.state(), "up");
    }
    // Nothing of this was the guest's wish.
    let wishes: Vec<_> =
        bench.events.try_iter().filter(|event| matches!(event, FrontendEvent::Enabled(_))).collect();
    assert_eq!(wishes, []);
    guest.stop().unwrap();
    bench.await_event(FrontendEvent::Enabled(false));
}

#[test]
fn down_and_up_at_once_disturb_nobody() {
    let bench = bench(|_| ());
    let guest = Guest::connect(&bench.socket, Features::default()).unwrap();
    for _ in 0..100 {
        bench.down();
        bench.up();
        // It has just said something, so it is not cut off in the middle of that.
        guest.wire().unwrap().get(Request::GET_FEATURES).unwrap();
    }
    assert_eq!((bench.state().as_str(), bench.downs()), ("up", 0));
}

#[test]
fn a_front_end_without_driver_is_served_while_the_link_is_down() {
    let bench = bench(|_| ());
    bench.down();
    let wire = Wire::connect(&bench.socket).unwrap();
    let begin = Instant::now();
    // Longer than one whose driver runs would be served.
    while begin.elapsed() < Duration::from_millis(500) {
        assert_answers(&wire);
        std::thread::sleep(Duration::from_millis(70));
    }
    let carrier = bench.monitor.carrier();
    assert_eq!((carrier.seen, carrier.cause.as_deref()), (LinkSeen::Nobody, Some(CAUSE)));
    // QEMU's own feature is not yet a driver; the first of the driver's is.
    wire.set_number(Request::SET_FEATURES, 1 << 30).unwrap();
    wire.get(Request::GET_FEATURES).unwrap();
    assert_eq!(bench.monitor.carrier().seen, LinkSeen::Nobody);
    wire.set_number(Request::SET_FEATURES, 1 << 32 | 1 << 30).unwrap();
    assert_ends(&wire);
    assert!(!bench.socket.exists());
    bench.await_seen(LinkSeen::Down);
}

#[test]
fn one_that_never_stops_talking_is_cut_off_all_the_same() {
    let bench = bench(|_| ());
    let mut guest = Guest::connect(&bench.socket, Features::default()).unwrap();
    let begin = Instant::now();
    bench.down();
    while guest.wire().unwrap().get(Request::GET_FEATURES).is_ok() {
        assert!(begin.elapsed() < SOON);
    }
    assert!(begin.elapsed() > Duration::from_millis(200), "it got some time: {:?}", begin.elapsed());
    guest.disconnect();
}

#[test]
fn a_new_process_finds_a_listener_and_is_negotiated_with_while_the_link_is_down() {
    let bench = bench(|_| ());
    let mut first = Puppet::start(&bench.socket);
    first.await_line("up");
    bench.await_event(FrontendEvent::Enabled(true));
    bench.down();
    first.await_line("down");
    bench.await_seen(LinkSeen::Down);
    assert!(!bench.socket.exists());

    for round in 0..3 {
        // Its wish stays what it was, and ends with it.
        let wishes = |event: &FrontendEvent| matches!(event, FrontendEvent::Enabled(_));
        assert_eq!(bench.events.try_iter().find(wishes), None, "round {round}");
        drop(first);
        bench.await_event(FrontendEvent::Enabled(false));
        bench.await_seen(LinkSeen::Nobody);
        first = Puppet::start(&bench.socket);
        first.await_line("up");
        first.await_line("down");
        bench.await_event(FrontendEvent::Enabled(true));
        let carrier = bench.await_seen(LinkSeen::Down);
        assert_eq!(carrier.cause.as_deref(), Some(CAUSE));
        assert!(!bench.socket.exists());
    }
    assert_eq!(bench.downs(), 4);
    bench.up();
    first.await_line("up");
    bench.await_seen(LinkSeen::Up);
}

#[test]
fn a_process_that_left_by_itself_is_kept_off_too() {
    let bench = bench(|_| ());
    let mut guest = Guest::connect(&bench.socket, Features::default()).unwrap();
    guest.wire().unwrap().get(Request::GET_FEATURES).unwrap();
    guest.disconnect();
    bench.await_event(FrontendEvent::Disconnected);
    assert!(bench.socket.exists());
    bench.down();
    bench.await_link("the cause is known", |carrier| carrier.cause.is_some());
    assert!(!bench.socket.exists());
    assert_eq!(bench.monitor.carrier().seen, LinkSeen::Down);
    bench.up();
    bench.await_link("the cause goes", |carrier| carrier.cause.is_none());
    guest.reconnect(&bench.socket).unwrap();
}

#[test]
fn a_listener_that_cannot_be_made_again_is_named_and_tried_again() {
    let bench = bench(|_| ());
    let guest = Guest::connect(&bench.socket, Features::default()).unwrap();
    bench.down();
    assert_ends(guest.wire().unwrap());
    std::fs::write(&bench.socket, "").unwrap();
    bench.up();
    let carrier = bench.await_link("the obstacle is named", |carrier| carrier.obstacle.is_some());
    assert!(carrier.obstacle.unwrap().ends_with("exists and is not a socket"));
    std::fs::remove_file(&bench.socket).unwrap();
    bench.await_link("it is tried again", |carrier| carrier.obstacle.is_none());
    Guest::connect(&bench.socket, Features::default()).unwrap();
}

#[test]
fn a_front_end_that_listens_is_left_alone_while_its_link_is_down() {
    let bench = bench(|config| config.client = true);
    let mut guest = Guest::new(Features::default()).unwrap();
    let listen = |socket: &Path| {
        let listener = UnixListener::bind(socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        listener
    };
    let accept = |listener: &UnixListener| {
        let deadline = Instant::now() + SOON;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    return Wire::new(stream).unwrap();
                }
                Err(_) => assert!(Instant::now() < deadline, "nobody connects"),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let listener = listen(&bench.socket);
    guest.start(accept(&listener), true).unwrap();
    bench.down();
    assert_ends(guest.wire().unwrap());
    guest.disconnect();
    bench.await_seen(LinkSeen::Down);
    // Longer than a front end that is to be served would wait.
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    bench.up();
    guest.start(accept(&listener), true).unwrap();
    bench.await_seen(LinkSeen::Up);

    // The next QEMU at this path is another one.
    bench.down();
    assert_ends(guest.wire().unwrap());
    guest.disconnect();
    drop(listener);
    std::fs::remove_file(&bench.socket).unwrap();
    let listener = listen(&bench.socket);
    guest.start(accept(&listener), false).unwrap();
    assert_ends(guest.wire().unwrap());
    assert_eq!(bench.await_seen(LinkSeen::Down).cause.as_deref(), Some(CAUSE));
}

#[test]
fn without_a_signal_the_guest_stays_connected_and_the_monitor_says_so() {
    let bench = bench(|config| config.link_signal = LinkSignal::None);
    let guest = Guest::connect(&bench.socket, Features::default()).unwrap();
    bench.down();
    let carrier = bench.await_link("the cause is known", |carrier| carrier.cause.is_some());
    assert_eq!((carrier.seen, carrier.obstacle.as_deref()), (LinkSeen::Up, Some("link_signal = \"none\"")));
    std::thread::sleep(Duration::from_millis(400));
    assert_answers(guest.wire().unwrap());
    assert_eq!(bench.downs(), 0);
}

/// QEMU's monitor at `path`, for a QEMU whose character device is at `socket`; what it was told about links.
fn monitor(path: &Path, socket: &Path) -> mpsc::Receiver<Value> {
    let listener = UnixListener::bind(path).unwrap();
    let (send, links) = mpsc::channel();
    let socket = socket.to_owned();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            writeln!(stream, "{}", json!({ "QMP": { "version": {}, "capabilities": [] } })).unwrap();
            while let Some(Ok(line)) = lines.next() {
                let asked: Value = serde_json::from_str(&line).unwrap();
                let answer = match asked["execute"].as_str().unwrap() {
                    "query-chardev" => json!([{ "label": "c0" }]),
                    "qom-get" => json!({ "path": socket, "type": "unix" }),
                    "human-monitor-command" => {
                        json!("nic: type=nic\r\n \\ n0: index=0,type=vhost-user,vhost-user0 to c0\r\n")
                    }
                    "set_link" => {
                        send.send(asked["arguments"].clone()).unwrap();
                        json!({})
                    }
                    _ => json!({}),
                };
                // An event comes whenever it likes, and an answer in pieces.
                writeln!(stream, "{}", json!({ "event": "RTC_CHANGE" })).unwrap();
                let answer = json!({ "return": answer }).to_string();
                let (a, b) = answer.split_at(answer.len() / 2);
                stream.write_all(a.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(2));
                writeln!(stream, "{b}").unwrap();
            }
        }
    });
    links
}

#[test]
fn qemu_is_told_by_its_monitor_and_told_again_when_it_returns() {
    let bench = bench(|config| {
        config.link_signal = LinkSignal::Qmp(config.socket.with_file_name("qmp.sock"));
    });
    let mut guest = Guest::connect(&bench.socket, Features::default()).unwrap();
    guest.wire().unwrap().get(Request::GET_FEATURES).unwrap();
    bench.down();
    let carrier = bench.await_link("the obstacle is named", |carrier| carrier.obstacle.is_some());
    let obstacle = carrier.obstacle.unwrap();
    assert!(obstacle.starts_with("qmp:") && obstacle.contains("cannot connect: No such file"), "{obstacle}");
    assert_eq!(carrier.seen, LinkSeen::Up);

    let links = monitor(&bench.socket.with_file_name("qmp.sock"), &bench.socket);
    assert_eq!(links.recv_timeout(SOON).unwrap(), json!({ "name": "n0", "up": false }));
    let carrier = bench.await_seen(LinkSeen::Down);
    assert_eq!((carrier.cause.as_deref(), carrier.obstacle), (Some(CAUSE), None));
    // The connection stays. QEMU stops the rings, which is not the guest's wish.
    guest.stop().unwrap();
    assert_answers(guest.wire().unwrap());
    bench.await_event(FrontendEvent::Enabled(true));
    let wishes = |event: &FrontendEvent| matches!(event, FrontendEvent::Enabled(_));
    assert_eq!(bench.events.try_iter().find(wishes), None);

    // A connection takes the link up in QEMU.
    guest.disconnect();
    guest.reconnect(&bench.socket).unwrap();
    assert_eq!(links.recv_timeout(SOON).unwrap(), json!({ "name": "n0", "up": false }));
    bench.await_seen(LinkSeen::Down);
    bench.up();
    assert_eq!(links.recv_timeout(SOON).unwrap(), json!({ "name": "n0", "up": true }));
    bench.await_seen(LinkSeen::Up);
    assert!(bench.socket.exists());
}

/// As many descriptors as may be.
fn all_descriptors() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    maximum.unwrap_or(u64::MAX)
}

/// 4,000 vNICs come and go within this time.
const MANY: Duration = Duration::from_secs(2);

#[test]
fn four_thousand_vnics_come_and_go_and_every_message_is_answered_within_10_ms() {
    const VNICS: usize = 4000;
    const TALKERS: usize = 32;
    let descriptors = all_descriptors();
    assert!(descriptors > 4 * VNICS as u64, "this machine allows {descriptors} descriptors only");
    let folder = tempfile::tempdir().unwrap();
    let door = FrontDoor::start().unwrap();
    let socket = |n: usize| folder.path().join(format!("{n}.sock"));
    let name = |n: usize| format!("vnic{n}");
    let begin = Stopwatch::start(&[]);
    let vnics: Vec<Vnic> = (0..VNICS)
        .map(|n| door.add(&VnicConfig::new(name(n), socket(n)), Box::new(|_| ())).unwrap())
        .collect();
    let thread = threads_named("front-door");
    let added = begin.took(&thread);

    // Guests whose links go up and down while others ask.
    let mut guests: Vec<Guest> =
        (0..8).map(|n| Guest::connect(&socket(n), Features::default()).unwrap()).collect();
    let talkers: Vec<_> = (VNICS - TALKERS..VNICS)
        .map(|n| {
            let (wire, door) = (Wire::connect(&socket(n)).unwrap(), thread.clone());
            std::thread::spawn(move || {
                let answer = |_| {
                    let asked = Stopwatch::start(&door);
                    wire.get(Request::GET_PROTOCOL_FEATURES).unwrap();
                    let took = asked.took(&door);
                    std::thread::sleep(Duration::from_millis(1));
                    took
                };
                (0..300).map(answer).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut turns = 0;
    while !talkers.iter().all(std::thread::JoinHandle::is_finished) {
        let down = turns % 2 == 0;
        (0..VNICS).for_each(|n| door.set_carrier(&name(n), down.then(|| CAUSE.to_owned())));
        for (n, guest) in guests.iter_mut().enumerate() {
            if down {
                assert_ends(guest.wire().unwrap());
                guest.disconnect();
            } else {
                let deadline = Instant::now() + SOON;
                while guest.reconnect(&socket(n)).is_err() {
                    assert!(Instant::now() < deadline);
                }
            }
        }
        turns += 1;
    }
    let mut answers: Vec<Duration> = talkers.into_iter().flat_map(|talker| talker.join().unwrap()).collect();
    answers.sort_unstable();
    let [half, nearly_all, all] =
        [1, 100, 1000].map(|part| answers[answers.len() - 1 - answers.len() / (2 * part)]);
    drop(guests);
    let begin = Stopwatch::start(&thread);
    for n in 0..VNICS / 2 {
        assert!(door.remove(&name(n)));
    }
    let removed = begin.took(&thread);
    let begin = Stopwatch::start(&thread);
    drop(door);
    let stopped = begin.took(&thread);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    drop(vnics);
    println!(
        "{VNICS} vNICs added in {added:?}, {} removed in {removed:?}, the rest stopped in {stopped:?}; \
         {turns} changes of all links meanwhile; answers: half within {half:?}, 99.5% {nearly_all:?}, 99.95% {all:?}",
        VNICS / 2,
    );
    assert!(added + removed + stopped < MANY);
    assert!(turns > 1);
    assert!(nearly_all < ANSWER, "{nearly_all:?}");
}
