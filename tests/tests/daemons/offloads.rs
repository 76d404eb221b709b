//! Guests that leave checksums and segmentation to the adapter, at real sockets, and tshark on what was on the link.

use super::files::{link, list, niv_port, node, port, vethernet, vif_list, vnic};
use super::links::{Link, Over};
use super::net::{Net, Tester, missing_rights};
use super::place::{PATIENCE, Place, left_out, missing_program, until};
use ::link::{BURST, RxBurst};
use niv_lab::driver::{Features, Guest};
use niv_lab::lab::checksums::{Complete, complete};
use niv_lab::model::sender::{Sender, Transport};
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
        let mut all = guest(&place, "vnic0", Features::all());
        let mut none = guest(&place, "vnic1", Features::plain());
        let (sent, answered) = (to_none(&mut all, &mut none), to_all(&mut none, &mut all));
        // A lie is dropped by name, in the one guest's account.
        assert!(all.send_unfinished(&[1, 1, 0, 0, 9, 0, 0xff, 0xff, 16, 0, 0, 0], &[0; 600]));
        place.at_rest();
        let drops = place.drops("adapter0");
        assert_eq!(drops.into_iter().collect::<Vec<_>>(), [("host_offload".to_owned(), 1)], "{over:?}");
        let vnic = place.show("adapter0", "show vnic vnic0");
        assert_eq!(vnic["vnic"]["rx_frames"], sent.0 + sent.1 + 1, "counters count segments");
        assert_eq!(place.drops("vis0").len(), 0, "{over:?}");

        place.stop("adapter0");
        let seen = complete(&way.seen(&place)).unwrap();
        println!("{over:?}: {seen:?}");
        // Up and, back from the switch, down.
        let (tcp, udp) = (sent.0 + answered.0, sent.1 + answered.1);
        assert_eq!(seen, Complete { tcp: 2 * tcp, tcp_down: tcp, udp: 2 * udp, longest: 1500 }, "{over:?}");
    }
}

const TCP: Transport = Transport::Tcp { sequence: 7, flags: 0x99 };

/// So many octets from station 1 to 2.
fn sender(transport: Transport, v6: bool, vlan: Option<u16>, len: usize) -> Sender {
    let payload = (0..len).map(|n| (n * 7 + n / 251) as u8).collect();
    Sender { addresses: [mac(2), mac(1)].concat().try_into().unwrap(), vlan, v6, transport, payload }
}

/// Frames of TCP and of UDP.
type Frames = (usize, usize);

fn count(frames: &mut Frames, transport: Transport, by: usize) {
    *(if transport == Transport::Udp { &mut frames.1 } else { &mut frames.0 }) += by;
}

/// Super-frames, and frames that only want their checksum, arrive as what they stand for; how many frames these are.
fn to_none(all: &mut Guest, none: &mut Guest) -> Frames {
    let mut sent = (0, 0);
    for (transport, v6, vlan, size, len) in [
        (TCP, false, None, 1448, 60_000),
        (TCP, true, None, 1428, 60_000),
        (TCP, false, Some(10), 1448, 20_000),
        (TCP, true, Some(10), 536, 20_000),
        (TCP, false, None, 1, 100),
        (Transport::Udp, false, None, 1472, 60_000),
        (Transport::Udp, true, None, 1452, 60_000),
        (Transport::Udp, false, Some(10), 1472, 20_000),
        (Transport::Udp, true, Some(10), 512, 20_000),
        (Transport::Udp, false, None, 1, 100),
        // A size beyond the payload: one datagram.
        (Transport::Udp, true, None, 60_000, 1000),
    ] {
        let sender = sender(transport, v6, vlan, len);
        let (header, frame) = sender.super_frame(size);
        assert!(all.send_unfinished(&header, &frame));
        // The receiver's VLAN is taken off.
        for segment in (Sender { vlan: None, ..sender.clone() }).segments(size.into()) {
            let got = none.recv(PATIENCE);
            assert!(got.as_ref() == Some(&segment), "{got:02x?}\n{segment:02x?}");
            count(&mut sent, transport, 1);
        }
        // One that is not cut.
        let short = Sender { payload: sender.payload[..100].to_vec(), ..sender };
        let (header, frame) = short.unfinished();
        assert!(all.send_unfinished(&header, &frame));
        assert_eq!(none.recv(PATIENCE).as_ref(), (Sender { vlan: None, ..short }).segments(1000).first());
        count(&mut sent, transport, 1);
    }
    sent
}

/// What a guest without offloads sends is complete, and so it arrives; how many frames.
fn to_all(none: &mut Guest, all: &mut Guest) -> Frames {
    let mut sent = (0, 0);
    for (transport, v6, size) in
        [(TCP, false, 1448), (TCP, true, 1428), (Transport::Udp, false, 1472), (Transport::Udp, true, 1452)]
    {
        let addresses = [mac(1), mac(2)].concat().try_into().unwrap();
        let back = Sender { addresses, ..sender(transport, v6, None, 20_000) };
        for segment in back.segments(size) {
            assert!(none.send(&segment));
            let (header, got) = all.recv_unfinished(PATIENCE).expect("a frame");
            assert!(got == segment && header[..10] == [0; 10], "{header:02x?} {got:02x?}\n{segment:02x?}");
            count(&mut sent, transport, 1);
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

/// Three vNICs in a VLAN with what is behind port 2 of the switch; all of it runs, and the link is up.
fn three_vnics(uplink: &str) -> Place {
    let names = ["vnic0", "vnic1", "vnic2"];
    let vnics: String =
        (5..).zip(names).map(|(vif, name)| vnic(name, &format!("vhost-user:{name}.sock"), vif, 10)).collect();
    let veths: String = (1..).zip(5..8).map(|(number, vif)| vethernet(number, 10, 1, vif)).collect();
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &niv_port(1, "memif:link0.sock") + &port(2, "access", uplink)),
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
    place
}

/// A guest at one of them, and its vNIC is up.
fn guest(place: &Place, name: &str, features: Features) -> Guest {
    let guest = Guest::connect(&place.path(&format!("{name}.sock")), features).unwrap();
    place.vnic_up("adapter0", name);
    guest
}

/// Guests with all offloads and one with none, and behind the switch a memif peer that announces nothing, as those of another
/// make: every frame that reaches it is one of a wire.
#[test]
fn super_frames_stay_whole_between_those_who_take_them() {
    let place = three_vnics("memif:uplink.sock");
    let config = ::link::memif::Config::new(place.path("uplink.sock"), ::link::Role::Client);
    let mut uplink = ::link::memif::open(::link::memif::Config { unfinished: false, ..config }).unwrap();
    place.port_up("vis0", "1/2");
    let mut from = guest(&place, "vnic0", Features::all());
    let mut to = guest(&place, "vnic1", Features::all());
    let mut plain = guest(&place, "vnic2", Features::plain());

    // Nobody is known, so everything goes to everybody.
    let (mut frames, mut wholes) = (0, 0);
    for (transport, v6, size, len) in [
        (TCP, false, 1448, 60_000),
        (TCP, true, 1428, 60_000),
        (TCP, false, 536, 20_000),
        (TCP, false, 1448, 100),
        (Transport::Udp, false, 1472, 60_000),
        (Transport::Udp, true, 1452, 60_000),
        (Transport::Udp, false, 512, 20_000),
        (Transport::Udp, true, 1452, 100),
    ] {
        let sender = sender(transport, v6, None, len);
        let (header, frame) = sender.super_frame(size);
        assert!(from.send_unfinished(&header, &frame));
        let (said, got) = to.recv_unfinished(PATIENCE).expect("a whole super-frame");
        assert_eq!((said[..2].to_vec(), said[4..].to_vec()), (header[..2].to_vec(), header[4..].to_vec()));
        assert!(got == frame);
        let segments = sender.segments(size.into());
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

    // To one whose address is known each of them goes back in the buffers it came in.
    assert!(to.send(&niv_lab::world::frames::frame(mac(1), mac(2)).ipv4(46)));
    assert!(from.recv(PATIENCE).is_some());
    let sender = sender(TCP, false, None, 60_000);
    let (header, frame) = sender.super_frame(1448);
    for _ in 0..20 {
        assert!(from.send_unfinished(&header, &frame));
        let (_, got) = to.recv_unfinished(PATIENCE).expect("a whole super-frame");
        assert!(got == frame);
    }
    let port = place.show("vis0", "show interface ethernet 1/1");
    assert_eq!(port["device_counters"]["tx_exchanged"], 20);
}

/// A guest that leaves UDP to be cut, beside one that takes it, one that knows TCP only, and a host on a tap.
#[test]
fn datagrams_come_whole_to_who_takes_them_and_one_by_one_to_others() {
    if left_out(missing_program(&["ip"]).or_else(missing_rights)) {
        return;
    }
    let mut net = Net::default();
    let tap = net.tap();
    let place = three_vnics(&format!("tap:{tap}"));
    place.port_up("vis0", "1/2");
    let mut host = Tester::on(&tap);
    let mut from = guest(&place, "vnic0", Features::all());
    let mut to = guest(&place, "vnic1", Features::all());
    // As QEMU has it until 8.1.
    let mut older = guest(&place, "vnic2", Features { uso: false, ..Features::all() });

    let mut frames = 0;
    for (transport, v6) in [(TCP, false), (Transport::Udp, false), (Transport::Udp, true)] {
        let sender = sender(transport, v6, None, 20_000);
        let (header, frame) = sender.super_frame(1400);
        let segments = sender.segments(1400);
        assert!(from.send_unfinished(&header, &frame));
        let (said, got) = to.recv_unfinished(PATIENCE).expect("a whole super-frame");
        assert_eq!((&said[..2], &said[4..10]), (&header[..2], &header[4..10]));
        assert!(got == frame);
        if transport == Transport::Udp {
            for segment in &segments {
                assert!(older.recv(PATIENCE).as_ref() == Some(segment));
            }
            // A kernel before 6.2 does not know it.
            let first = host.receive();
            if first != frame {
                assert!(first == segments[0]);
                for segment in &segments[1..] {
                    assert!(host.receive() == *segment);
                }
            }
        } else {
            assert!(older.recv_unfinished(PATIENCE).expect("a whole super-frame").1 == frame);
            assert!(host.receive() == frame);
        }
        frames += segments.len() as u64;
    }
    // Who has not accepted it may not leave it, whatever the frame is like.
    let (header, frame) = sender(Transport::Udp, false, None, 3000).super_frame(1000);
    assert!(older.send_unfinished(&header, &frame));
    // Nor has UDP a congestion of its own.
    assert!(from.send_unfinished(&[&[1, 0x85], &header[2..]].concat().try_into().unwrap(), &frame));
    until("both are dropped", || {
        ["vnic0", "vnic2"].iter().all(|name| place.device(name, "rx_bad_header") == 1).then_some(())
    });
    place.at_rest();
    for name in ["vis0", "adapter0"] {
        assert!(place.drops(name).is_empty(), "{name}: {:?}", place.drops(name));
    }
    let rows = &place.show("adapter0", "show link")[0];
    assert_eq!((&rows["tx_frames"], &rows["rx_frames"]), (&frames.into(), &frames.into()));
    // What each driver accepted has its name.
    for (name, uso) in [("vnic0", true), ("vnic2", false)] {
        let features = &place.show("adapter0", &format!("show vnic {name}"))["vnic"]["features"];
        let features = features.as_array().unwrap();
        for (feature, there) in
            [("host_tso4", true), ("host_uso", uso), ("guest_uso4", uso), ("guest_uso6", uso)]
        {
            assert_eq!(features.contains(&feature.into()), there, "{name}: {features:?}");
        }
    }
}

/// Linux writes a TCP checksum of zero as all ones; any other wrong one is wrong.
#[test]
fn a_checksum_of_all_ones_is_the_only_wrong_one_that_is_right() {
    if left_out(missing_program(&["tshark"])) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("link.pcapng");
    let judged = |checksum: Option<u16>| {
        let transport = Transport::Tcp { sequence: 7, flags: 0x10 };
        let addresses = [mac(2), mac(1)].concat().try_into().unwrap();
        let mut sender = Sender { addresses, vlan: None, v6: false, transport, payload: vec![0; 100] };
        let field = sender.start() + 16;
        let first = sender.segments(100).remove(0);
        sender.payload[..2].copy_from_slice(&first[field..field + 2]);
        let mut frame = sender.segments(100).remove(0);
        assert_eq!(frame[field..field + 2], [0, 0], "the payload makes it zero");
        if let Some(checksum) = checksum {
            frame[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
        }
        let tagged = [&frame[..12], &[0x89, 0x26, 0, 0, 0, 5], &frame[12..]].concat();
        let capture = ::link::capture::Capture::create(&file).unwrap();
        let frames = std::iter::once(::link::OutFrame::private(&tagged));
        capture.interface("link0", "by hand").record(0, ::link::capture::Direction::Out, None, frames);
        drop(capture);
        complete(&file).map(|seen| seen.tcp).ok()
    };
    assert_eq!([None, Some(0xffff), Some(0x0100)].map(judged), [Some(1), Some(1), None]);
}
