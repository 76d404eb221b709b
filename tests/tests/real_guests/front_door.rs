//! The link of a guest, driven by [`FrontDoor::set_carrier`] alone.

use super::machine::{Carrier, Clock, boot, machine, nic};
use niv_adapter::vhost::{FrontDoor, LinkSeen, LinkSignal, Vnic, VnicConfig};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A guest's clock that stands still no longer than this has only waited for a processor.
const STANDS_NOT: Duration = Duration::from_millis(500);

fn door(config: &VnicConfig) -> (FrontDoor, Vnic) {
    let door = FrontDoor::start().unwrap();
    let vnic = door.add(config, Box::new(|_| ())).unwrap();
    (door, vnic)
}

fn config(socket: &str) -> VnicConfig {
    VnicConfig {
        name: "vnic0".to_owned(),
        socket: PathBuf::from(socket),
        client: false,
        queue_pairs: 1,
        mtu: 1500,
        link_signal: LinkSignal::Socket,
        socket_mode: None,
        socket_group: None,
    }
}

fn set(door: &FrontDoor, up: bool) -> Instant {
    door.set_carrier("vnic0", (!up).then(|| "shutdown".to_owned()));
    Instant::now()
}

#[test]
fn a_guest_follows_its_link_by_the_socket_and_its_clock_never_stops() {
    let Some((machine, _turn)) = machine() else { return };
    let socket = "run/socket.sock";
    let (door, vnic) = door(&config(socket));
    let nic = nic(&format!("socket,id=c,path={socket},reconnect=1"));
    let (guest, agent) = boot("socket", machine, &nic);
    let mut carrier = Carrier::watch(&agent);
    carrier.settle(true);
    let clock = Clock::watch(&agent, Duration::from_secs(6));
    for _ in 0..3 {
        carrier.follows(false, set(&door, false));
        assert_eq!(vnic.monitor.carrier().seen, LinkSeen::Down);
        carrier.follows(true, set(&door, true));
    }
    carrier.stays(Duration::from_secs(1));
    assert!(clock.longest_stop() < STANDS_NOT);

    // What a listener that nobody serves does to a guest: the same measure shows it.
    carrier.follows(false, set(&door, false));
    let clock = Clock::watch(&agent, Duration::from_secs(5));
    let trap = UnixListener::bind(socket).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    std::fs::remove_file(socket).unwrap();
    drop(trap);
    let stopped = clock.longest_stop();
    assert!(
        stopped > Duration::from_secs(1),
        "a QEMU that is not answered stands still, but not here: {stopped:?}"
    );
    carrier.follows(true, set(&door, true));

    // A new guest starts although its link is down, and sees that.
    carrier.follows(false, set(&door, false));
    drop(carrier);
    drop((agent, guest));
    let (guest, agent) = boot("socket", machine, &nic);
    let mut carrier = Carrier::watch(&agent);
    carrier.settle(false);
    assert_eq!(vnic.monitor.carrier().seen, LinkSeen::Down);
    carrier.follows(true, set(&door, true));
    drop(carrier);
    drop((agent, guest));
}

#[test]
fn a_guest_whose_qemu_listens_follows_too() {
    let Some((machine, _turn)) = machine() else { return };
    let socket = "run/server.sock";
    let (door, _vnic) = door(&VnicConfig { client: true, ..config(socket) });
    let nic = nic(&format!("socket,id=c,path={socket},server=on,wait=off"));
    let (guest, agent) = boot("server", machine, &nic);
    let mut carrier = Carrier::watch(&agent);
    carrier.settle(true);
    let clock = Clock::watch(&agent, Duration::from_secs(4));
    for _ in 0..3 {
        carrier.follows(false, set(&door, false));
        carrier.stays(Duration::from_millis(600));
        carrier.follows(true, set(&door, true));
    }
    assert!(clock.longest_stop() < STANDS_NOT);
    carrier.follows(false, set(&door, false));
    drop(carrier);
    drop((agent, guest));
    let (guest, agent) = boot("server", machine, &nic);
    let mut carrier = Carrier::watch(&agent);
    carrier.settle(false);
    carrier.follows(true, set(&door, true));
    drop(carrier);
    drop((agent, guest));
}

#[test]
fn a_guest_follows_its_link_by_the_monitor_of_qemu() {
    let Some((machine, _turn)) = machine() else { return };
    let (socket, monitor) = ("run/qmp.sock", "run/qmp.qmp");
    let (door, vnic) = door(&VnicConfig { link_signal: LinkSignal::Qmp(monitor.into()), ..config(socket) });
    let mut nic = nic(&format!("socket,id=c,path={socket},reconnect=1"));
    nic.extend(["-qmp".to_owned(), format!("unix:{monitor},server=on,wait=off")]);
    let (guest, agent) = boot("qmp", machine, &nic);
    let mut carrier = Carrier::watch(&agent);
    carrier.settle(true);
    let clock = Clock::watch(&agent, Duration::from_secs(2));
    for _ in 0..3 {
        carrier.follows(false, set(&door, false));
        carrier.follows(true, set(&door, true));
    }
    assert!(clock.longest_stop() < STANDS_NOT);
    assert_eq!(vnic.monitor.carrier().obstacle, None);
    carrier.follows(false, set(&door, false));
    drop(carrier);
    drop((agent, guest));
    // This one never sees it up: QEMU is told before its guest runs.
    let (guest, agent) = boot("qmp", machine, &nic);
    let mut carrier = Carrier::watch(&agent);
    carrier.settle(false);
    carrier.follows(true, set(&door, true));
    drop(carrier);
    drop((agent, guest));
}
