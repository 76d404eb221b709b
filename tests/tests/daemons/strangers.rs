//! Whoever can connect to a socket may say anything: it costs nobody else a frame.

use super::files::{link, list, niv_port, node, vethernet, vif_list, vnic};
use super::place::{PATIENCE, Place, until};
use niv_lab::driver::{Features, Guest};
use niv_lab::world::frames::{BROADCAST, frame, mac};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, connect, recv, send, socket,
};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Octets without meaning, the same each time.
fn garbage(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn garbage_at_every_socket_disturbs_nobody() {
    let vnics: String = (5..=7)
        .map(|vif| vnic(&format!("vnic{vif}"), &format!("vhost-user:vnic{vif}.sock"), vif, 10))
        .collect();
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &niv_port(1, "memif:link0.sock")),
        (
            "vis0.cfg",
            vethernet(1, 10, 1, 5)
                + &vethernet(2, 10, 1, 6)
                + &vethernet(3, 10, 1, 7)
                + &vif_list(1, 1, "5-7"),
        ),
        (
            "adapter0.toml",
            node("adapter0") + &link("link0", "memif:link0.sock") + &vnics + &list(1, &[5, 6, 7]),
        ),
    ]);
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    let [mut a, mut b] = [5, 6].map(|vif| {
        let guest = Guest::connect(&place.path(&format!("vnic{vif}.sock")), Features::default()).unwrap();
        place.vnic_up("adapter0", &format!("vnic{vif}"));
        guest
    });
    let pids = ["vis0", "adapter0"].map(|name| place.pid(name));

    for round in 1..40u32 {
        let octets = garbage(round, 16 << (round % 8));
        // vNICs: one that is free, and one that has its guest.
        for name in ["vnic7.sock", "vnic5.sock"] {
            if let Ok(mut stream) = UnixStream::connect(place.path(name)) {
                let _ = stream.write_all(&octets);
            }
        }
        // The link: a message of memif's length every other time.
        let peer = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        connect(&peer, &SocketAddrUnix::new(place.path("link0.sock")).unwrap()).unwrap();
        let _ = recv(&peer, &mut [0u8; 128], RecvFlags::empty());
        let length = if round % 2 == 0 { 128 } else { octets.len().min(512) };
        let message: Vec<u8> = octets.iter().copied().cycle().take(length).collect();
        let _ = send(&peer, &message, SendFlags::NOSIGNAL);
        // The admin APIs, and a client that says nothing at all.
        for name in ["vis0.sock", "adapter0.sock"] {
            let mut stream = UnixStream::connect(place.path(name)).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            let _ = stream.write_all(&octets);
            let _ = stream.read(&mut [0; 64]);
        }
        let call = frame(BROADCAST, mac(1)).payload(0x88b5, &[&round.to_be_bytes()[..], &[0; 42]].concat());
        assert!(a.send(&call));
        assert_eq!(b.recv(PATIENCE), Some(call), "round {round}");
    }
    place.at_rest();
    assert_eq!(["vis0", "adapter0"].map(|name| place.pid(name)), pids);
    // Each frame for the free vNIC has its name, and no other was lost.
    assert_eq!(place.drops("adapter0"), [("link_vif_down".to_owned(), 39)].into());
    assert_eq!(place.drops("vis0").len(), 0);
    let counters = &place.show("vis0", "show interface ethernet 1/1")["device_counters"];
    assert_eq!(counters["connections"], 1, "the adapter's link was never cut");
    let refused = ["bad_message_length", "bad_message", "missing_descriptor", "already_connected"];
    let refused: u64 = refused.iter().map(|name| counters[name].as_u64().unwrap()).sum();
    assert!(refused > 0, "{counters:#}");
    let shown = place.show("adapter0", "show vnic vnic5");
    let turned_away =
        shown["device"].as_array().unwrap().iter().find(|row| row["counter"] == "guest_turned_away");
    assert!(turned_away.unwrap()["value"].as_u64().unwrap() > 0);
    // The free vNIC is free for its guest.
    until("the last stranger is gone", || {
        (place.show("adapter0", "show vnic vnic7")["vnic"]["state"] == "down (no guest)").then_some(())
    });
    let mut late = Guest::connect(&place.path("vnic7.sock"), Features::default()).unwrap();
    place.vnic_up("adapter0", "vnic7");
    let call = frame(BROADCAST, mac(1)).ipv4(46);
    assert!(a.send(&call));
    assert_eq!(late.recv(PATIENCE), Some(call));
    place.at_rest();
}
