//! The front door over real sockets: guests that come and go, lie, and leave half way.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use link::{Monitor, RxQueue};
use niv_adapter::vhost::{FrontDoor, FrontendEvent, VnicConfig};
use niv_lab::driver::{Door, Echo, Features, Guest, Request, Wire};
use niv_lab::stopwatch::{Stopwatch, threads_named};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(5);

fn bench() -> Door {
    Door::open(|_| ())
}

fn frame(number: u64, len: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..len).map(|i| i as u8).collect();
    frame[14..22].copy_from_slice(&number.to_ne_bytes());
    frame
}

fn ping(guest: &mut Guest, number: u64, len: usize) {
    let sent = frame(number, len);
    assert!(guest.send(&sent));
    assert_eq!(guest.recv(SOON).as_deref(), Some(&sent[..]), "frame {number} of {len} octets");
}

#[test]
fn frames_pass_both_ways_in_every_shape() {
    let shapes = [
        Features::default(),
        Features::plain(),
        Features { event_idx: false, ..Features::default() },
        Features { indirect: false, tx_pieces: 5, tx_header_apart: true, ..Features::default() },
        Features { tx_pieces: 5, tx_header_apart: true, rx_header_apart: true, ..Features::plain() },
        Features { rx_buffer: 128, ..Features::default() },
        Features { queue_size: 1024, ..Features::default() },
        Features { in_order: true, ..Features::default() },
        Features { packed: true, ..Features::default() },
        Features { packed: true, event_idx: false, queue_size: 100, ..Features::plain() },
        Features {
            packed: true,
            in_order: true,
            indirect: false,
            tx_pieces: 5,
            rx_buffer: 128,
            ..Features::default()
        },
    ];
    let mut bench = Door::open(|config| config.packed = true);
    let echo = bench.echo(false);
    for features in shapes {
        let mut guest = Guest::connect(&bench.socket, features).unwrap();
        for number in 0..3 * u64::from(features.queue_size) {
            ping(&mut guest, number, 60 + (number as usize * 37) % 1400);
        }
        guest.disconnect();
        bench.await_event(FrontendEvent::Disconnected);
    }
    assert_eq!(bench.state(), "no guest");
    drop(echo);
}

/// A packed ring stops at a place, and goes on from there; where that was not offered, or not asked for, its words are refused.
#[test]
fn a_packed_ring_stops_and_goes_on_where_the_front_end_says() {
    const RING_PACKED: u64 = 1 << 34;
    let features = Features { packed: true, queue_size: 100, ..Features::default() };
    let mut bench = Door::open(|config| config.packed = true);
    let echo = bench.echo(false);
    let mut guest = Guest::connect(&bench.socket, features).unwrap();
    for number in 0..130 {
        ping(&mut guest, number, 60);
    }
    // Slot 30 of the second round, in which the wrap counter is 0; what is taken is used.
    assert_eq!(guest.stop().unwrap(), [30 | 30 << 16; 2]);
    guest.disconnect();
    bench.await_event(FrontendEvent::Disconnected);
    guest.reconnect(&bench.socket).unwrap();
    for number in 0..250 {
        ping(&mut guest, number, 60);
    }
    assert_eq!(bench.counter("rx_resumed") + bench.counter("tx_resumed"), 0);
    drop((guest, echo));

    let split = Door::open(|_| ());
    let wire = Wire::connect(&split.socket).unwrap();
    assert_eq!(wire.get(Request::GET_FEATURES).unwrap() & RING_PACKED, 0, "only where it was asked for");
    let refused = || split.counter("guest_requests_refused");
    wire.set_ring(Request::SET_VRING_NUM, 0, 100).unwrap();
    wire.set_ring(Request::SET_VRING_BASE, 0, 1 << 16).unwrap();
    assert_eq!((wire.get_base(0).unwrap(), refused()), (0, 2));
}

fn threads_and_fds() -> (usize, usize) {
    let count = |folder: &str| fs::read_dir(folder).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

#[test]
fn a_guest_leaves_and_returns_two_hundred_times() {
    // Other tests of this process open descriptors, too: a process of its own.
    const ALONE: &str = "NIV_LEAK_TEST";
    if std::env::var_os(ALONE).is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_guest_leaves_and_returns_two_hundred_times", "--test-threads=1"])
            .env(ALONE, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let mut bench = bench();
    let echo = bench.echo(false);
    let mut guest = Guest::new(Features::default()).unwrap();
    let mut before = None;
    for round in 0..200 {
        // Returns to where it was, as QEMU does when the back end has gone: no frame twice, none lost.
        guest.reconnect(&bench.socket).unwrap();
        for number in 0..5 {
            ping(&mut guest, round * 5 + number, 100);
        }
        guest.disconnect();
        bench.await_event(FrontendEvent::Disconnected);
        // The guest's memory goes by a thread of its own.
        let deadline = Instant::now() + SOON;
        loop {
            let now = threads_and_fds();
            let before = *before.get_or_insert(now);
            if now.0 <= before.0 && now.1 <= before.1 {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "threads, descriptors after round {round}: {before:?}, {now:?}"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(bench.counter("guest_connections"), 200);
    assert_eq!(bench.counter("rx_frames"), 1000);
    assert_eq!(bench.counter("tx_frames"), 1000);
    drop(echo);
}

#[test]
fn a_second_guest_is_turned_away_while_the_first_lives() {
    let mut bench = bench();
    let echo = bench.echo(false);
    let mut first = Guest::connect(&bench.socket, Features::default()).unwrap();
    let second = Wire::connect(&bench.socket).unwrap();
    assert_eq!(second.reply().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    ping(&mut first, 1, 64);
    assert_eq!(bench.counter("guest_turned_away"), 1);
    // One that is killed and back at once is no second guest.
    first.disconnect();
    first.reconnect(&bench.socket).unwrap();
    ping(&mut first, 2, 64);
    drop(echo);
}

#[test]
fn the_base_is_where_the_ring_stopped() {
    let mut bench = bench();
    let echo = bench.echo(false);
    let mut guest = Guest::connect(&bench.socket, Features::default()).unwrap();
    for number in 0..300 {
        ping(&mut guest, number, 64);
    }
    assert_eq!(guest.stop().unwrap(), [300, 300]);
    assert_eq!(bench.state(), "ring 0: stopped by the guest");
    drop(echo);
}

/// Another back end completed out of order, and was killed: what it had taken is in the region.
#[test]
fn what_another_device_had_in_flight_goes_back_empty() {
    let mut bench = bench();
    let echo = bench.echo(false);
    let mut guest = Guest::new(Features::default()).unwrap();
    let ring = |guest: &Guest| guest.pairs[0].tx.parts();
    let heads: Vec<u16> = (0..4)
        .map(|number| {
            assert!(guest.pairs[0].queue(&frame(number, 64)));
            let (_, avail, _) = ring(&guest);
            guest.memory().load16(avail + 4 + 2 * number)
        })
        .collect();
    guest.pairs[0].flush();
    // It took three of the four, and has used the second.
    let (_, _, used) = ring(&guest);
    guest.memory().write(used + 4, &[u32::from(heads[1]).to_le_bytes(), [0; 4]].concat());
    guest.memory().store16(used + 2, 1);
    guest.keeps_inflight = true;
    let file = rustix::fs::memfd_create("inflight", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let stride = (16 + 16 * 256u64).next_multiple_of(64);
    rustix::fs::ftruncate(&file, 2 * stride).unwrap();
    let write = |at: u64, octets: &[u8]| assert!(rustix::io::pwrite(&file, octets, stride + at).is_ok());
    // Version 1, 256 descriptors, and used up to 1.
    write(8, &[1, 0, 0, 1, heads[1] as u8, (heads[1] >> 8) as u8, 1, 0]);
    for (counter, head) in [(1u64, heads[0]), (3, heads[2])] {
        write(16 + 16 * u64::from(head), &[1]);
        write(16 + 16 * u64::from(head) + 8, &counter.to_ne_bytes());
    }
    let mut described = [2 * stride, 0].map(u64::to_ne_bytes).concat();
    described.extend([2u16, 256].into_iter().flat_map(u16::to_ne_bytes));
    guest.inflight = Some((described, file));
    guest.reconnect(&bench.socket).unwrap();
    // The last one comes back by the echo; all descriptors are free again.
    assert_eq!(guest.recv(SOON), Some(frame(3, 64)));
    let deadline = Instant::now() + SOON;
    while guest.pairs[0].tx.free() < 256 {
        guest.pairs[0].reclaim();
        assert!(Instant::now() < deadline);
    }
    assert_eq!(bench.counter("rx_returned"), 2);
    assert_eq!(bench.counter("rx_uncertain"), 0);
    ping(&mut guest, 9, 64);
    drop(echo);
}

#[test]
fn causes_say_what_is_missing() {
    let bench = bench();
    assert_eq!(bench.state(), "no guest");
    let mut wire = Wire::connect(&bench.socket).unwrap();
    wire.set_number(Request::SET_PROTOCOL_FEATURES, 1 << 3).unwrap();
    wire.acknowledge = true;
    wire.set(Request::SET_OWNER, &[], &[]).unwrap();
    assert_eq!(bench.state(), "waiting for the guest's driver");
    wire.set_number(Request::SET_FEATURES, 1 << 30 | 1 << 15).unwrap();
    assert_eq!(bench.state(), "the guest's driver speaks legacy virtio (VIRTIO_F_VERSION_1 is required)");
    wire.set_number(Request::SET_FEATURES, 1 << 32 | 1 << 30 | 1 << 10).unwrap_err();
    assert_eq!(bench.state(), "the guest accepted features that were not offered (0x400)");
    wire.set_number(Request::SET_FEATURES, 1 << 32 | 1 << 30).unwrap();
    assert_eq!(bench.state(), "waiting for the guest's memory");
    let mut table = 1u64.to_ne_bytes().to_vec();
    table.extend([0u64, 4096, 0, 0].into_iter().flat_map(u64::to_ne_bytes));
    wire.set(Request::SET_MEM_TABLE, &table, &[]).unwrap_err();
    assert_eq!(bench.state(), "guest memory is not shared (add share=on to the memory backend)");
    let memory = rustix::fs::memfd_create("short", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let fd = std::os::fd::AsFd::as_fd(&memory);
    wire.set(Request::SET_MEM_TABLE, &table, &[fd]).unwrap_err();
    assert_eq!(bench.state(), "guest memory region at 0x0 needs 4096 octets of its file, which has 0");
    rustix::fs::ftruncate(&memory, 4096).unwrap();
    wire.set(Request::SET_MEM_TABLE, &table, &[fd]).unwrap();
    assert_eq!(bench.state(), "ring 0: not set up");
    wire.set_ring(Request::SET_VRING_NUM, 0, 100).unwrap_err();
    wire.set_ring(Request::SET_VRING_NUM, 2, 128).unwrap_err();
    wire.set_ring(Request::SET_VRING_BASE, 0, 65_536).unwrap_err();
    wire.set_number(Request::SET_VRING_KICK, 0x100).unwrap_err();
    wire.set_fd(Request::SET_VRING_CALL, 0, fd).unwrap_err();
    assert_eq!(bench.counter("guest_requests_refused"), 8);
    drop(wire);
    bench.await_event(FrontendEvent::Disconnected);
    assert_eq!(bench.state(), "no guest");
}

#[test]
fn privately_mapped_memory_is_named() {
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
    let bench = bench();
    let memory = rustix::fs::memfd_create("private", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&memory, 4096).unwrap();
    // SAFETY: a fresh mapping, unmapped below, never followed.
    let map = unsafe {
        mmap(std::ptr::null_mut(), 4096, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE, &memory, 0)
    }
    .unwrap();
    let wire = Wire::connect(&bench.socket).unwrap();
    let mut table = 1u64.to_ne_bytes().to_vec();
    table.extend([0u64, 4096, map.addr() as u64, 0].into_iter().flat_map(u64::to_ne_bytes));
    wire.set(Request::SET_MEM_TABLE, &table, &[std::os::fd::AsFd::as_fd(&memory)]).unwrap();
    wire.get(Request::GET_FEATURES).unwrap();
    assert_eq!(bench.state(), "guest memory is not shared (add share=on to the memory backend)");
    // SAFETY: as above.
    unsafe { munmap(map, 4096) }.unwrap();
}

#[test]
fn unknown_requests_are_answered_not_fatal() {
    let bench = bench();
    let mut wire = Wire::connect(&bench.socket).unwrap();
    wire.set_number(Request::SET_PROTOCOL_FEATURES, 1 << 3 | 1 << 16 | 1 << 4 | 1 << 2).unwrap();
    wire.send(4711, 0x9, &[1, 2, 3], &[]).unwrap();
    assert_eq!(wire.reply().unwrap(), (4711, 1u64.to_ne_bytes().to_vec()));
    wire.send(4711, 0x1, &[], &[]).unwrap();
    wire.acknowledge = true;
    wire.set_number(Request::SET_STATUS, 7).unwrap();
    assert_eq!(wire.get(Request::GET_STATUS).unwrap(), 7);
    wire.set_number(Request::NET_SET_MTU, 1500).unwrap();
    wire.set_number(Request::NET_SET_MTU, 1501).unwrap_err();
    wire.set_number(Request::SET_VRING_ENDIAN, 0).unwrap_err();
    wire.set(Request::SET_LOG_FD, &[], &[]).unwrap_err();
    let mac = [0x52, 0x54, 0, 0, 0, 1];
    wire.set_number(Request::SEND_RARP, u64::from_ne_bytes([0x52, 0x54, 0, 0, 0, 1, 0, 0])).unwrap();
    bench.await_event(FrontendEvent::Announce(mac));
    assert_eq!(bench.monitor.guest().unwrap().mtu, 1500);
}

#[test]
fn what_cannot_be_skipped_closes_the_connection() {
    let bench = bench();
    let mut too_many = Vec::new();
    for octets in [
        &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], // version 0
        &[1, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff][..],
        &[0xff; 64][..],
    ] {
        let wire = Wire::connect(&bench.socket).unwrap();
        wire.raw(octets, &[]).unwrap();
        assert!(wire.reply().is_err());
        bench.await_event(FrontendEvent::Disconnected);
    }
    let wire = Wire::connect(&bench.socket).unwrap();
    let fd = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned().unwrap();
    too_many.resize_with(200, || std::os::fd::AsFd::as_fd(&fd));
    wire.send(Request::SET_MEM_TABLE as u32, 1, &[], &too_many).unwrap();
    assert!(wire.reply().is_err());
    bench.await_event(FrontendEvent::Disconnected);
}

#[test]
fn half_a_message_delays_nobody_else() {
    let mut bench = bench();
    let other = VnicConfig::new("vnic1", bench.socket.with_extension("other"));
    let _vnic = bench.door.add(&other, Box::new(|_| ())).unwrap();
    let stuck = Wire::connect(&other.socket).unwrap();
    stuck.raw(&[1, 0, 0, 0, 1], &[]).unwrap();
    let echo = bench.echo(false);
    let mut guest = Guest::connect(&bench.socket, Features::default()).unwrap();
    ping(&mut guest, 1, 64);
    // The rest of a question, octet by octet.
    for octet in [0, 0, 0, 0, 0, 0, 0] {
        stuck.raw(&[octet], &[]).unwrap();
    }
    assert_eq!(stuck.reply().unwrap().0, Request::GET_FEATURES as u32);
    drop(echo);
}

#[test]
fn a_guest_that_reads_no_replies_is_disconnected() {
    let bench = bench();
    let wire = Wire::connect(&bench.socket).unwrap();
    while wire.send(Request::GET_FEATURES as u32, 1, &[], &[]).is_ok() {}
    bench.await_event(FrontendEvent::Disconnected);
}

#[test]
fn memory_can_change_under_a_running_ring() {
    let mut bench = bench();
    let echo = bench.echo(false);
    let mut guest = Guest::connect(&bench.socket, Features::default()).unwrap();
    for number in 0..50 {
        ping(&mut guest, number, 200);
        guest.share_memory(guest.wire().unwrap()).unwrap();
    }
    assert_eq!(guest.stop().unwrap(), [50, 50]);
    drop(echo);
}

#[test]
fn a_region_is_there_until_it_was_removed_as_often_as_added() {
    let bench = bench();
    let mut wire = Wire::connect(&bench.socket).unwrap();
    wire.set_number(Request::SET_PROTOCOL_FEATURES, 1 << 3 | 1 << 15).unwrap();
    wire.acknowledge = true;
    assert_eq!(wire.get(Request::GET_MAX_MEM_SLOTS).unwrap(), 509);
    wire.set_number(Request::SET_FEATURES, 1 << 32 | 1 << 30).unwrap();
    let memory = rustix::fs::memfd_create("regions", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&memory, 16384).unwrap();
    let region = |guest: u64, size: u64| -> Vec<u8> {
        [0, guest, size, 0x7000_0000 + guest, guest].into_iter().flat_map(u64::to_ne_bytes).collect()
    };
    let fd = [std::os::fd::AsFd::as_fd(&memory)];
    let (waiting, not_set_up) = ("waiting for the guest's memory", "ring 0: not set up");
    wire.set(Request::REM_MEM_REG, &region(0, 4096), &[]).unwrap_err();
    // QEMU 7.2 adds each region once per queue pair.
    for _ in 0..2 {
        assert_eq!(bench.state(), waiting);
        wire.set(Request::ADD_MEM_REG, &region(0, 4096), &fd).unwrap();
        wire.set(Request::ADD_MEM_REG, &region(0, 4096), &fd).unwrap();
        wire.set(Request::ADD_MEM_REG, &region(8192, 8192), &fd).unwrap();
        wire.set(Request::REM_MEM_REG, &region(8192, 8192), &fd).unwrap();
        wire.set(Request::REM_MEM_REG, &region(0, 4096), &[]).unwrap();
        assert_eq!(bench.state(), not_set_up);
        wire.set(Request::REM_MEM_REG, &region(0, 4096), &[]).unwrap();
    }
    wire.set(Request::ADD_MEM_REG, &region(0, 8192), &fd).unwrap();
    wire.set(Request::ADD_MEM_REG, &region(4096, 8192), &fd).unwrap_err();
    assert_eq!(bench.state(), "guest memory regions overlap at 0x1000");
}

#[test]
fn memory_that_is_cut_off_stops_its_own_rings_only() {
    let mut bench = bench();
    let other = VnicConfig::new("vnic1", bench.socket.with_extension("other"));
    let other_echo = Echo::start(bench.door.add(&other, Box::new(|_| ())).unwrap(), false).unwrap();
    let echo = bench.echo(false);
    let mut neighbour = Guest::connect(&other.socket, Features::default()).unwrap();
    let mut guest = Guest::connect(&bench.socket, Features::default()).unwrap();
    ping(&mut guest, 1, 64);
    rustix::fs::ftruncate(guest.memory().fd(), 0).unwrap();
    // From here on this test must not touch the guest's memory either.
    let deadline = Instant::now() + SOON;
    let mut number = 0;
    while number < 100 || !bench.state().contains("rx_lost_memory") {
        assert!(Instant::now() < deadline, "{}", bench.state());
        rustix::io::write(guest.kick_fd(1), &1u64.to_ne_bytes()).unwrap();
        // Before, in and after the moment.
        ping(&mut neighbour, number, 64);
        number += 1;
    }
    guest.disconnect();
    bench.await_event(FrontendEvent::Disconnected);
    let mut next = Guest::connect(&bench.socket, Features::default()).unwrap();
    ping(&mut next, 2, 64);
    drop((echo, other_echo));
}

#[test]
fn every_counter_of_a_vnic_is_in_the_documentation() {
    let documented = include_str!("../../docs/observability.md");
    let line = |name| format!("| vhost-user | `{name}` |");
    let absent: Vec<_> = bench()
        .monitor
        .counters()
        .into_iter()
        .filter(|counter| !documented.contains(&line(counter.name)))
        .map(|counter| format!("{} {} |", line(counter.name), counter.help))
        .collect();
    assert!(absent.is_empty(), "docs/observability.md lacks:\n{}", absent.join("\n"));
}

/// Whether a descriptor is readable now.
fn readable(fd: std::os::fd::BorrowedFd<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&now)).unwrap() > 0
}

#[test]
fn an_armed_queue_hears_of_frames_starts_and_stops_on_one_descriptor() {
    for event_idx in [true, false] {
        let mut bench = bench();
        let mut rx = bench.vnic().rx.remove(0);
        let fd = std::os::fd::AsRawFd::as_raw_fd(&rx.event().unwrap());
        assert!(rx.arm());
        assert!(!readable(rx.event().unwrap()));
        let mut guest = Guest::new(Features { event_idx, ..Features::default() }).unwrap();
        for _ in 0..3 {
            guest.reconnect(&bench.socket).unwrap();
            guest.wire().unwrap().get(Request::GET_FEATURES).unwrap();
            assert!(readable(rx.event().unwrap()), "the ring started");
            rx.disarm();
            assert!(!readable(rx.event().unwrap()));
            // While it is polled the guest does not notify; an armed one is notified once.
            assert!(guest.send(&frame(1, 64)));
            assert!(!rx.arm(), "a frame waits");
            let mut burst = link::RxBurst::new();
            rx.recv(0, 64, &mut burst);
            assert_eq!(burst.len(), 1);
            drop(burst);
            rx.release(1);
            assert!(rx.arm());
            assert!(!readable(rx.event().unwrap()));
            assert!(guest.send(&frame(2, 64)));
            assert!(readable(rx.event().unwrap()), "a frame came");
            rx.disarm();
            let mut burst = link::RxBurst::new();
            rx.recv(0, 64, &mut burst);
            assert_eq!(burst.len(), 1);
            drop(burst);
            rx.release(1);
            assert!(rx.arm());
            guest.disconnect();
            bench.await_event(FrontendEvent::Disconnected);
            assert!(readable(rx.event().unwrap()), "the ring stopped");
            rx.disarm();
            assert_eq!(std::os::fd::AsRawFd::as_raw_fd(&rx.event().unwrap()), fd);
        }
    }
}

#[test]
fn sockets_say_what_is_wrong_with_them() {
    let bench = bench();
    let add =
        |config: &VnicConfig| bench.door.add(config, Box::new(|_| ())).map(drop).unwrap_err().to_string();
    let folder = bench.socket.parent().unwrap();
    assert_eq!(add(&VnicConfig::new("vnic0", folder.join("a.sock"))), "there is one of this name already");
    assert!(!folder.join("a.sock").exists());
    let named = |socket: PathBuf| VnicConfig::new("vnic1", socket);
    assert!(add(&named(folder.join("no/a.sock"))).contains("no does not exist"));
    assert!(add(&named(bench.socket.clone())).ends_with("another process listens on this socket"));
    fs::write(folder.join("file"), "").unwrap();
    assert!(add(&named(folder.join("file"))).ends_with("exists and is not a socket"));
    assert!(add(&VnicConfig { queue_pairs: 0, ..named(folder.join("q")) }).contains("0 queue pairs"));
    drop(std::os::unix::net::UnixListener::bind(folder.join("stale")).unwrap());
    assert!(folder.join("stale").exists());
    let config = VnicConfig { socket_mode: Some(0o600), ..named(folder.join("stale")) };
    let vnic = bench.door.add(&config, Box::new(|_| ())).unwrap();
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(folder.join("stale")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(bench.door.remove("vnic1"));
    assert!(!bench.door.remove("vnic1"));
    assert!(!folder.join("stale").exists());
    drop(vnic);
}

#[test]
fn a_client_finds_its_front_end_when_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("qemu.sock");
    let door = FrontDoor::start().unwrap();
    let vnic = door
        .add(&VnicConfig { client: true, ..VnicConfig::new("vnic0", &socket) }, Box::new(|_| ()))
        .unwrap();
    let echo = Echo::start(vnic, false).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut guest = Guest::new(Features::default()).unwrap();
    for round in 0..3 {
        let (stream, _) = listener.accept().unwrap();
        guest.start(Wire::new(stream).unwrap(), true).unwrap();
        ping(&mut guest, round, 64);
        guest.disconnect();
    }
    drop(echo);
}

/// Makes the front door's mapping of the file `name` resident, as traffic does.
fn touch(name: &str) {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let memory = fs::File::open("/proc/self/mem").unwrap();
    for line in maps.lines().filter(|line| line.contains(name)) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|at| u64::from_str_radix(at, 16).unwrap());
        for page in (from..to).step_by(4096) {
            std::os::unix::fs::FileExt::read_exact_at(&memory, &mut [0], page).unwrap();
        }
    }
}

#[test]
fn a_guest_with_much_memory_leaves_without_a_delay_for_others() {
    const SIZE: u64 = 512 << 20;
    let bench = bench();
    let thread = threads_named("front-door");
    let took = |round: u64| {
        let memory = rustix::fs::memfd_create("much-memory", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&memory, SIZE).unwrap();
        let wire = Wire::connect(&bench.socket).unwrap();
        let table: Vec<u8> = [1, 0, SIZE, 0x1000, 0].into_iter().flat_map(u64::to_ne_bytes).collect();
        wire.set(Request::SET_MEM_TABLE, &table, &[std::os::fd::AsFd::as_fd(&memory)]).unwrap();
        wire.get(Request::GET_FEATURES).unwrap();
        touch("much-memory");
        let begin = Stopwatch::start(&thread);
        drop(wire);
        bench.await_event(FrontendEvent::Disconnected);
        let took = begin.took(&thread);
        println!("round {round}: {took:?}");
        let begin = Instant::now();
        let deadline = begin + SOON;
        while fs::read_to_string("/proc/self/maps").unwrap().contains("much-memory") {
            assert!(Instant::now() < deadline, "it is still mapped");
            std::thread::sleep(Duration::from_millis(1));
        }
        println!("and {:?} until it was unmapped", begin.elapsed());
        took
    };
    let best = (0..3).map(took).min().unwrap();
    assert!(best < Duration::from_millis(10), "{best:?}");
}
