//! Two of our own ends.

use super::*;

#[test]
fn frames_cross_in_both_directions_in_order() {
    let (_dir, mut server, mut client) = pair(|_| ());
    let frames: Vec<Vec<u8>> = (0..1000).map(|i| frame(i, 60 + i)).collect();
    assert_eq!(send(&mut client, 0, &frames), frames.len());
    assert_eq!(receive(&mut server, 0), frames);
    assert_eq!(send(&mut server, 0, &frames), frames.len());
    assert_eq!(receive(&mut client, 0), frames);
}

#[test]
fn a_full_ring_takes_no_more_and_loses_nothing() {
    let (_dir, mut server, mut client) = pair(|config| config.log2_ring_size = 4);
    let frames: Vec<Vec<u8>> = (0..20).map(|i| frame(i, 64)).collect();
    for (from, to) in [(0, 1), (1, 0), (0, 1)] {
        let ports = &mut [&mut server, &mut client];
        assert_eq!(send(ports[from], 0, &frames), 16);
        assert_eq!(send(ports[from], 0, &frames[16..]), 0);
        assert_eq!(receive(ports[to], 0), frames[..16]);
    }
}

#[test]
fn long_frames_are_chained_and_impossible_ones_refused() {
    let change = |config: &mut Config| (config.log2_ring_size, config.buffer_size) = (4, 100);
    let (_dir, mut server, mut client) = pair(change);
    for len in [99, 100, 101, 200, 201, 1599, 1600] {
        for (from, to) in [(0, 1), (1, 0)] {
            let ports = &mut [&mut server, &mut client];
            assert_eq!(send(ports[from], 0, &[frame(len, len)]), 1, "{len}");
            assert_eq!(receive(ports[to], 0), [frame(len, len)], "{len}");
        }
    }
    for port in [&mut server, &mut client] {
        let long = frame(0, 1601);
        let short = frame(1, 60);
        let taken = port.tx[0].send(0, &[OutFrame::private(&long), OutFrame::private(&short)]);
        assert_eq!((taken.frames, taken.refused), (2, 1));
        assert_eq!(counter(port, "tx_too_long"), 1);
    }
    assert_eq!(receive(&mut server, 0), [frame(1, 60)]);
    assert_eq!(receive(&mut client, 0), [frame(1, 60)]);
}

#[test]
fn what_is_not_released_is_lent_again() {
    let (_dir, mut server, mut client) = pair(|_| ());
    let frames: Vec<Vec<u8>> = (0..10).map(|i| frame(i, 3000)).collect();
    assert_eq!(send(&mut client, 0, &frames), 10);
    let mut burst = RxBurst::new();
    server.rx[0].recv(0, 5, &mut burst);
    assert_eq!(burst.len(), 5);
    drop(burst);
    server.rx[0].release(3);
    assert_eq!(receive(&mut server, 0), frames[3..]);
}

#[test]
fn an_armed_queue_is_woken_once_and_a_polled_one_never() {
    let (_dir, mut server, mut client) = pair(|_| ());
    for (from, to) in [(0, 1), (1, 0)] {
        let ports = &mut [&mut server, &mut client];
        send(ports[from], 0, &[frame(0, 60)]);
        assert!(!wait_event(ports[to], 0, Duration::ZERO), "nobody asked for it");
        assert!(!ports[to].rx[0].arm(), "a frame waits");
        receive(ports[to], 0);
        assert!(ports[to].rx[0].arm());
        assert!(!wait_event(ports[to], 0, Duration::ZERO));
        send(ports[from], 0, &[frame(0, 60)]);
        assert!(wait_event(ports[to], 0, Duration::from_secs(5)));
        ports[to].rx[0].disarm();
        assert!(!wait_event(ports[to], 0, Duration::ZERO));
        assert_eq!(receive(ports[to], 0).len(), 1);
    }
}

#[test]
fn each_ring_is_a_queue_of_its_own() {
    let (_dir, mut server, mut client) = pair(|config| config.queues = 3);
    assert_eq!((server.rx.len(), server.tx.len()), (3, 3));
    for queue in 0..3 {
        send(&mut client, queue, &[frame(queue, 60)]);
        send(&mut server, queue, &[frame(queue + 9, 60)]);
    }
    for queue in 0..3 {
        assert_eq!(receive(&mut server, queue), [frame(queue, 60)]);
        assert_eq!(receive(&mut client, queue), [frame(queue + 9, 60)]);
    }
}

#[test]
fn a_client_says_why_it_finds_no_server() {
    let (_dir, path) = socket();
    let mut client = open(Config::new(&path, Role::Client)).unwrap();
    let cause = "no peer: there is no such socket";
    wait_state(&mut client, |state| matches!(state, PortState::Down { cause: why } if why == cause));
    let mut server = open(Config::new(&path, Role::Server)).unwrap();
    wait_state(&mut client, is_up);
    wait_state(&mut server, is_up);
}

#[test]
fn with_fewer_rings_at_the_peer_sending_queues_share() {
    let (_dir, path) = socket();
    let mut server = open(Config { queues: 3, ..Config::new(&path, Role::Server) }).unwrap();
    let mut client = open(Config { queues: 1, ..Config::new(&path, Role::Client) }).unwrap();
    wait_state(&mut server, is_up);
    wait_state(&mut client, is_up);
    for queue in 0..3 {
        assert_eq!(send(&mut server, queue, &[frame(queue, 60)]), 1);
    }
    assert_eq!(receive(&mut client, 0), [frame(0, 60), frame(1, 60), frame(2, 60)]);
}

#[test]
fn either_end_has_a_ring_for_each_queue_that_it_sends_by() {
    let (_dir, path) = socket();
    let end = |queues, role| {
        open(Config { queues, receive: Receive::UpTo(8), ..Config::new(&path, role) }).unwrap()
    };
    let (mut server, mut client) = (end(2, Role::Server), end(3, Role::Client));
    wait_state(&mut server, is_up);
    wait_state(&mut client, is_up);
    for (from, queues) in [(0, 2), (1, 3)] {
        let ends = &mut [&mut server, &mut client];
        if from == 1 {
            ends.swap(0, 1);
        }
        let [from, to] = ends;
        assert_eq!((from.tx.len(), to.rx.len()), (queues, 8));
        for queue in 0..queues {
            assert_eq!(send(from, queue, &[frame(queue, 60)]), 1);
        }
        for queue in 0..queues {
            assert_eq!(receive(to, queue), [frame(queue, 60)]);
        }
    }
}

#[test]
fn a_peer_that_returns_finds_the_port_again_and_the_loss_is_counted() {
    let (_dir, path) = socket();
    for first in [Role::Server, Role::Client] {
        let second = if first == Role::Server { Role::Client } else { Role::Server };
        let mut stays = open(Config::new(&path, first)).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        stays.monitor.on_change(Box::new(move || tell.send(()).unwrap()));
        let mut goes = open(Config::new(&path, second)).unwrap();
        wait_state(&mut stays, is_up);
        wait_state(&mut goes, is_up);
        assert_eq!(send(&mut stays, 0, &(0..5).map(|i| frame(i, 3000)).collect::<Vec<_>>()), 5);
        drop(goes);
        wait_state(
            &mut stays,
            |state| matches!(state, PortState::Down { cause } if cause.contains("going down")),
        );
        assert_eq!(counter(&stays, "link_lost"), 5);
        assert_eq!(send(&mut stays, 0, &[frame(0, 60)]), 0);
        assert!(!stays.tx[0].is_up());
        let mut returns = open(Config::new(&path, second)).unwrap();
        wait_state(&mut returns, is_up);
        wait_state(&mut stays, is_up);
        assert_eq!(send(&mut stays, 0, &[frame(1, 60)]), 1);
        assert_eq!(receive(&mut returns, 0), [frame(1, 60)]);
        assert_eq!(counter(&stays, "connections"), 2);
        for change in ["up", "down", "up again"] {
            assert!(told.recv_timeout(Duration::from_secs(10)).is_ok(), "nobody was told: {change}");
        }
        assert!(told.try_recv().is_err());
    }
}

#[test]
fn a_living_socket_is_in_use_and_a_stale_one_makes_way() {
    let (_dir, path) = socket();
    let first = open(Config::new(&path, Role::Server)).unwrap();
    let error = || open(Config::new(&path, Role::Server)).err().unwrap().to_string();
    assert!(error().contains("in use"));
    drop(first);
    assert!(!path.exists());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(open(Config::new(&path, Role::Server)).unwrap());
    std::fs::write(&path, "kept").unwrap();
    assert!(error().contains("not a socket"));
    assert_eq!(std::fs::read(&path).unwrap(), b"kept");
}

#[test]
fn what_cannot_be_is_an_error_that_names_it() {
    let (_dir, path) = socket();
    let error = |config| open(config).err().unwrap().to_string();
    let config = || Config::new(&path, Role::Client);
    assert!(error(Config { queues: 0, ..config() }).contains("queues"));
    assert!(error(Config { log2_ring_size: 15, ..config() }).contains("log2_ring_size"));
    assert!(error(Config { buffer_size: 63, ..config() }).contains("buffer_size"));
    assert!(error(Config { buffer_size: u32::MAX, ..config() }).contains("buffer_size"));
    assert!(error(Config { secret: Some("x".repeat(24)), ..config() }).contains("secret"));
}

#[test]
fn an_abstract_name_works_as_well() {
    let (_dir, mut server, mut client) = pair(|config| {
        config.abstract_socket = true;
        config.socket = format!("niv-memif-test-{}", std::process::id()).into();
    });
    assert_eq!(send(&mut client, 0, &[frame(0, 60)]), 1);
    assert_eq!(receive(&mut server, 0), [frame(0, 60)]);
}
