//! Guests that leave checksums and segmentation to the adapter, at real sockets, and tshark on what was on the link.

use super::files::{link, list, niv_port, node, port, vethernet, vif_list, vnic};
use super::links::{Link, Over};
use super::net::missing_rights;
use super::place::{PATIENCE, Place, left_out, missing_program, until};
use ::link::{BURST, RxBurst};
use niv_lab::driver::{Features, Guest};
use niv_lab::lab::checksums::{Complete, complete};
use niv_lab::model::tcp::Tcp;
use niv_lab::world::frames::mac;

/// A guest with all offloads and one with none, both ways, over every kind of link.
#[test]
fn guests_with_all_offloads_and_with_none_over_every_kind_of_link() {
    let missing = missing_program(&Over::PROGRAMS).or_else(missing_rights);
    if left_out(missing) {
        return;
    }
    for over in Over::ALL {
        let mut way = Link::lay(over);
        let [at_switch, at_adapter] = &way.devices;
        let mut place = Place::new(&[
            ("vis0.toml", node("vis0") + &niv_port(1, at_switch)),
            ("vis0.cfg", vethernet(1, 10, 1, 5) + &vethernet(2, 10, 1, 6) + &vif_list(1, 1, "5-6")),
            (
                "adapter0.toml",
                node("adapter0")
                    + &link("link0", at_adapter)
                    + &way.keys
                    + &vnic("vnic0", "vhost-user:vnic0.sock", 5, 10)
                    + &vnic("vnic1", "vhost-user:vnic1.sock", 6, 10)
                    + &list(1, &[5, 6]),
            ),
        ]);
        place.start("vis0");
        place.start("adapter0");
        way.begin(&place);
        place.link_up("adapter0", "link0", "vis0", "1/1");
        let connect = |name: &str, features: Features| {
            let guest = Guest::connect(&place.path(&format!("{name}.sock")), features).unwrap();
            place.vnic_up("adapter0", name);
            guest
        };
        let mut all = connect("vnic0", Features::all());
        let mut none = connect("vnic1", Features::plain());
        let (sent, answered) = (to_none(&mut all, &mut none), to_all(&mut none, &mut all));
        // A lie is dropped by name, in the one guest's account.
        assert!(all.send_unfinished(&[1, 1, 0, 0, 9, 0, 0xff, 0xff, 16, 0, 0, 0], &[0; 600]));
        place.at_rest();
        let drops = place.drops("adapter0");
        assert_eq!(drops.into_iter().collect::<Vec<_>>(), [("host_offload".to_owned(), 1)], "{over:?}");
        let vnic = place.show("adapter0", "show vnic vnic0");
        assert_eq!(vnic["vnic"]["rx_frames"], sent + 1, "counters count segments");
        assert_eq!(place.drops("vis0").len(), 0, "{over:?}");

        place.stop("adapter0");
        let seen = complete(&way.seen(&place)).unwrap();
        println!("{over:?}: {seen:?}");
        // Up and, back from the switch, down.
        let frames = sent + answered;
        assert_eq!(seen, Complete { tcp: 2 * frames, tcp_down: frames, udp: 0, longest: 1500 }, "{over:?}");
    }
}

/// A TCP stream of so many octets, from station 1 to 2.
fn stream(v6: bool, vlan: Option<u16>, len: usize) -> Tcp {
    let payload = (0..len).map(|n| (n * 7 + n / 251) as u8).collect();
    Tcp {
        addresses: [mac(2), mac(1)].concat().try_into().unwrap(),
        vlan,
        v6,
        sequence: 7,
        flags: 0x99,
        payload,
    }
}

/// Super-frames, and frames that only want their checksum, arrive as what they stand for; how many frames these are.
fn to_none(all: &mut Guest, none: &mut Guest) -> usize {
    let mut sent = 0;
    for (v6, vlan, size, len) in [
        (false, None, 1448, 60_000),
        (true, None, 1428, 60_000),
        (false, Some(10), 1448, 20_000),
        (true, Some(10), 536, 20_000),
        (false, None, 1, 100),
    ] {
        let tcp = stream(v6, vlan, len);
        let (header, frame) = tcp.super_frame(size);
        assert!(all.send_unfinished(&header, &frame));
        // The receiver's VLAN is taken off.
        for segment in (Tcp { vlan: None, ..tcp.clone() }).segments(size.into()) {
            let got = none.recv(PATIENCE);
            assert!(got.as_ref() == Some(&segment), "{got:02x?}\n{segment:02x?}");
            sent += 1;
        }
        // One that is not cut.
        let short = Tcp { payload: tcp.payload[..100].to_vec(), ..tcp };
        let (header, frame) = short.unfinished();
        assert!(all.send_unfinished(&header, &frame));
        assert_eq!(none.recv(PATIENCE).as_ref(), (Tcp { vlan: None, ..short }).segments(1000).first());
        sent += 1;
    }
    sent
}

/// What a guest without offloads sends is complete, and so it arrives; how many frames.
fn to_all(none: &mut Guest, all: &mut Guest) -> usize {
    let mut sent = 0;
    for (v6, size) in [(false, 1448), (true, 1428)] {
        let back =
            Tcp { addresses: [mac(1), mac(2)].concat().try_into().unwrap(), ..stream(v6, None, 20_000) };
        for segment in back.segments(size) {
            assert!(none.send(&segment));
            let (header, got) = all.recv_unfinished(PATIENCE).expect("a frame");
            assert!(got == segment && header[..10] == [0; 10], "{header:02x?} {got:02x?}\n{segment:02x?}");
            sent += 1;
        }
    }
    sent
}

/// All frames that have come to this end of a memif, once there are `wanted` of them.
fn received(port: &mut ::link::Port, wanted: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    until("the frames arrive", || {
        let mut burst = RxBurst::new();
        port.rx[0].recv(0, BURST, &mut burst);
        frames.extend(burst.iter().map(|frame| {
            assert_eq!(frame.undone, None);
            frame.data.to_vec()
        }));
        let lent = burst.len();
        drop(burst);
        port.rx[0].release(lent);
        (frames.len() >= wanted).then_some(())
    });
    frames
}

/// Guests with all offloads and one with none, and behind the switch a memif peer that announces nothing, as those of another
/// make: every frame that reaches it is one of a wire.
#[test]
fn super_frames_stay_whole_between_those_who_take_them() {
    let names = ["vnic0", "vnic1", "vnic2"];
    let vnics: String =
        (5..).zip(names).map(|(vif, name)| vnic(name, &format!("vhost-user:{name}.sock"), vif, 10)).collect();
    let veths: String = (1..).zip(5..8).map(|(number, vif)| vethernet(number, 10, 1, vif)).collect();
    let mut place = Place::new(&[
        (
            "vis0.toml",
            node("vis0") + &niv_port(1, "memif:link0.sock") + &port(2, "access", "memif:uplink.sock"),
        ),
        (
            "vis0.cfg",
            veths + &vif_list(1, 1, "5-7") + "interface ethernet 1/2\n  switchport access vlan 10\n",
        ),
        (
            "adapter0.toml",
            node("adapter0") + &link("link0", "memif:link0.sock") + &vnics + &list(1, &[5, 6, 7]),
        ),
    ]);
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    let config = ::link::memif::Config::new(place.path("uplink.sock"), ::link::Role::Client);
    let mut uplink = ::link::memif::open(::link::memif::Config { unfinished: false, ..config }).unwrap();
    place.port_up("vis0", "1/2");
    let connect = |name: &str, features: Features| {
        let guest = Guest::connect(&place.path(&format!("{name}.sock")), features).unwrap();
        place.vnic_up("adapter0", name);
        guest
    };
    let mut from = connect("vnic0", Features::all());
    let mut to = connect("vnic1", Features::all());
    let mut plain = connect("vnic2", Features::plain());

    // Nobody is known, so everything goes to everybody.
    let (mut frames, mut wholes) = (0, 0);
    for (v6, size, len) in
        [(false, 1448, 60_000), (true, 1428, 60_000), (false, 536, 20_000), (false, 1448, 100)]
    {
        let tcp = stream(v6, None, len);
        let (header, frame) = tcp.super_frame(size);
        assert!(from.send_unfinished(&header, &frame));
        let (said, got) = to.recv_unfinished(PATIENCE).expect("a whole super-frame");
        assert_eq!((said[..2].to_vec(), said[4..].to_vec()), (header[..2].to_vec(), header[4..].to_vec()));
        assert!(got == frame);
        let segments = tcp.segments(size.into());
        for segment in &segments {
            assert!(plain.recv(PATIENCE).as_ref() == Some(segment));
        }
        assert!(received(&mut uplink, segments.len()) == segments);
        frames += segments.len() as u64;
        wholes += 1;
    }
    place.at_rest();
    for name in ["vis0", "adapter0"] {
        assert!(place.drops(name).is_empty(), "{name}: {:?}", place.drops(name));
    }
    // Once up; down for two; out.
    let switch = &place.show("vis0", "show counters")["switch"];
    assert_eq!((&switch["received"], &switch["sent"]), (&frames.into(), &(2 * frames).into()));
    let link = &place.show("adapter0", "show link")[0];
    assert_eq!((&link["tx_frames"], &link["rx_frames"]), (&frames.into(), &frames.into()));
    println!("{wholes} super-frames of {frames} frames crossed whole, twice");
}
