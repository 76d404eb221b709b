//! The link of a guest, driven by [`FrontDoor::set_carrier`] alone.

use super::machine::{boot, machine, nic, took};
use niv_adapter::vhost::{FrontDoor, LinkSeen, LinkSignal, Vnic, VnicConfig};
use niv_lab::lab::carrier::{Carrier, Clock};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

/// A guest's clock that stands still no longer than this has only waited for a processor.
const STANDS_NOT: Duration = Duration::from_millis(500);

const MAC: &str = "52:54:00:00:00:01";

fn door(config: &VnicConfig) -> (FrontDoor, Vnic) {
    let door = FrontDoor::start().unwrap();
    let vnic = door.add(config, Box::new(|_| ())).unwrap();
    (door, vnic)
}

fn set(door: &FrontDoor, up: bool) -> Instant {
    door.set_carrier("vnic0", (!up).then(|| "shutdown".to_owned()));
    Instant::now()
}

#[test]
fn a_guest_follows_its_link_by_the_socket_and_its_clock_never_stops() {
    let Some((machine, _turn)) = machine() else { return };
    let socket = "niv-run/socket.sock";
    let (door, vnic) = door(&VnicConfig::new("vnic0", socket));
    let nic = nic(socket.as_ref(), "reconnect=1", MAC);
    let (guest, agent) = boot("socket", machine, &nic);
    let mut carrier = Carrier::watch(&agent).unwrap();
    carrier.settle(true).unwrap();
    let clock = Clock::watch(&agent, Duration::from_secs(6)).unwrap();
    for _ in 0..3 {
        took("carrier down", carrier.follows(false, set(&door, false)));
        assert_eq!(vnic.monitor.carrier().seen, LinkSeen::Down);
        took("carrier up", carrier.follows(true, set(&door, true)));
    }
    carrier.stays(Duration::from_secs(1)).unwrap();
    assert!(took("longest stop of the clock", clock.longest_stop()) < STANDS_NOT);

    // What a listener that nobody serves does to a guest: the same measure shows it.
    took("carrier down", carrier.follows(false, set(&door, false)));
    let clock = Clock::watch(&agent, Duration::from_secs(5)).unwrap();
    let trap = UnixListener::bind(socket).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    std::fs::remove_file(socket).unwrap();
    drop(trap);
    let stopped = took("longest stop of the clock", clock.longest_stop());
    assert!(
        stopped > Duration::from_secs(1),
        "a QEMU that is not answered stands still, but not here: {stopped:?}"
    );
    took("carrier up", carrier.follows(true, set(&door, true)));

    // A new guest starts although its link is down, and sees that.
    took("carrier down", carrier.follows(false, set(&door, false)));
    drop(carrier);
    drop((agent, guest));
    let (guest, agent) = boot("socket", machine, &nic);
    let mut carrier = Carrier::watch(&agent).unwrap();
    carrier.settle(false).unwrap();
    assert_eq!(vnic.monitor.carrier().seen, LinkSeen::Down);
    took("carrier up", carrier.follows(true, set(&door, true)));
    drop(carrier);
    drop((agent, guest));
}

#[test]
fn a_guest_whose_qemu_listens_follows_too() {
    let Some((machine, _turn)) = machine() else { return };
    let socket = "niv-run/server.sock";
    let (door, _vnic) = door(&VnicConfig { client: true, ..VnicConfig::new("vnic0", socket) });
    let nic = nic(socket.as_ref(), "server=on,wait=off", MAC);
    let (guest, agent) = boot("server", machine, &nic);
    let mut carrier = Carrier::watch(&agent).unwrap();
    carrier.settle(true).unwrap();
    let clock = Clock::watch(&agent, Duration::from_secs(4)).unwrap();
    for _ in 0..3 {
        took("carrier down", carrier.follows(false, set(&door, false)));
        carrier.stays(Duration::from_millis(600)).unwrap();
        took("carrier up", carrier.follows(true, set(&door, true)));
    }
    assert!(took("longest stop of the clock", clock.longest_stop()) < STANDS_NOT);
    took("carrier down", carrier.follows(false, set(&door, false)));
    drop(carrier);
    drop((agent, guest));
    let (guest, agent) = boot("server", machine, &nic);
    let mut carrier = Carrier::watch(&agent).unwrap();
    carrier.settle(false).unwrap();
    took("carrier up", carrier.follows(true, set(&door, true)));
    drop(carrier);
    drop((agent, guest));
}

#[test]
fn a_guest_follows_its_link_by_the_monitor_of_qemu() {
    let Some((machine, _turn)) = machine() else { return };
    let (socket, monitor) = ("niv-run/qmp.sock", "niv-run/qmp.qmp");
    let (door, vnic) = door(&VnicConfig {
        link_signal: LinkSignal::Qmp(monitor.into()),
        ..VnicConfig::new("vnic0", socket)
    });
    let mut nic = nic(socket.as_ref(), "reconnect=1", MAC);
    nic.extend(["-qmp".to_owned(), format!("unix:{monitor},server=on,wait=off")]);
    let (guest, agent) = boot("qmp", machine, &nic);
    let mut carrier = Carrier::watch(&agent).unwrap();
    carrier.settle(true).unwrap();
    let clock = Clock::watch(&agent, Duration::from_secs(2)).unwrap();
    for _ in 0..3 {
        took("carrier down", carrier.follows(false, set(&door, false)));
        took("carrier up", carrier.follows(true, set(&door, true)));
    }
    assert!(took("longest stop of the clock", clock.longest_stop()) < STANDS_NOT);
    assert_eq!(vnic.monitor.carrier().obstacle, None);
    took("carrier down", carrier.follows(false, set(&door, false)));
    drop(carrier);
    drop((agent, guest));
    // This one never sees it up: QEMU is told before its guest runs.
    let (guest, agent) = boot("qmp", machine, &nic);
    let mut carrier = Carrier::watch(&agent).unwrap();
    carrier.settle(false).unwrap();
    took("carrier up", carrier.follows(true, set(&door, true)));
    drop(carrier);
    drop((agent, guest));
}
