//! Guests at real vhost-user sockets: who gets what, and what remains when a process dies.

use super::files::{link, list, niv_port, node, vethernet, vif_list, vnic};
use super::place::{PATIENCE, Place, tagged_frames, until};
use niv_lab::driver::{Features, Guest};
use niv_lab::world::frames::{BROADCAST, frame, mac};
use std::time::{Duration, Instant};

/// Within this time after a daemon's return everybody must be able to talk again.
const RETURN: Duration = Duration::from_secs(2);
/// An EtherType for experiments.
const EXPERIMENT: u16 = 0x88b5;
/// What nobody should get does not come within this time; a later frame that did arrive makes it certain.
const MOMENT: Duration = Duration::from_millis(1);

/// A frame with a text in it, as long as Ethernet wants it.
fn says(text: &str, to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
    let mut payload = text.as_bytes().to_vec();
    payload.resize(46, 0);
    frame(to, from).payload(EXPERIMENT, &payload)
}

/// Two adapters with a link each: VIFs 5, 6 and 7 on the first, VIF 5 on the second, all in VLAN 10 as vEths 1 to 4.
fn two_adapters() -> Place {
    let vnics = |vifs: &[u16]| -> String {
        vifs.iter()
            .map(|vif| vnic(&format!("vnic{vif}"), &format!("vhost-user:NODE.vnic{vif}.sock"), *vif, 10))
            .collect()
    };
    let adapter = |name: &str, nth: u16, vifs: &[u16]| {
        let device = format!("memif:link{nth}.sock");
        let text = node(name)
            + &link("link0", &device)
            + &format!("capture = \"{name}.pcapng\"\n")
            + &vnics(vifs).replace("NODE", name)
            + &list(1, vifs);
        (format!("{name}.toml"), text)
    };
    let adapters = [adapter("adapter0", 0, &[5, 6, 7]), adapter("adapter1", 1, &[5])];
    let chassis = node("vis0") + &niv_port(1, "memif:link0.sock") + &niv_port(2, "memif:link1.sock");
    let lines = vethernet(1, 10, 1, 5)
        + &vethernet(2, 10, 1, 6)
        + &vethernet(3, 10, 1, 7)
        + &vethernet(4, 10, 2, 5)
        + &vif_list(1, 1, "5-7")
        + &vif_list(2, 1, "5");
    let mut place = Place::new(&[("vis0.toml", chassis), ("vis0.cfg", lines)]);
    adapters.iter().for_each(|(name, text)| place.write(name, text));
    for name in ["adapter0", "vis0", "adapter1"] {
        place.start(name);
    }
    place.link_up("adapter0", "link0", "vis0", "1/1");
    place.link_up("adapter1", "link0", "vis0", "1/2");
    place
}

/// A guest on a vNIC, ready for frames.
fn guest(place: &Place, adapter: &str, vif: u16, features: Features) -> Guest {
    let guest = Guest::connect(&place.path(&format!("{adapter}.vnic{vif}.sock")), features).unwrap();
    place.vnic_up(adapter, &format!("vnic{vif}"));
    guest
}

/// Sends a frame again and again until it arrives; how long that took.
fn until_it_arrives(from: &mut Guest, to: &mut Guest, what: &[u8]) -> Duration {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        from.send(what);
        while let Some(got) = to.recv(Duration::from_millis(20)) {
            if got == what {
                return begin.elapsed();
            }
        }
    }
    panic!("a frame never arrived");
}

/// Takes whatever still comes.
fn drain(guests: &mut [&mut Guest]) {
    for guest in guests {
        while guest.recv(Duration::from_millis(50)).is_some() {}
    }
}

#[test]
fn each_frame_reaches_whom_it_is_for_once_and_the_wire_shows_how() {
    let mut place = two_adapters();
    let mut a = guest(&place, "adapter0", 5, Features::default());
    let mut b = guest(&place, "adapter0", 6, Features::plain());
    let mut c = guest(&place, "adapter0", 7, Features { event_idx: false, ..Features::default() });
    let mut d = guest(&place, "adapter1", 5, Features::default());

    let call = says("who is there", BROADCAST, mac(1));
    assert!(a.send(&call));
    for other in [&mut b, &mut c, &mut d] {
        assert_eq!(other.recv(PATIENCE), Some(call.clone()));
    }
    // Hairpin, then across adapters and back: to addresses that the switch knows.
    let turned = says("hairpin", mac(1), mac(2));
    assert!(b.send(&turned));
    assert_eq!(a.recv(PATIENCE), Some(turned), "and nothing of its own before it");
    let across = says("across", mac(1), mac(4));
    assert!(d.send(&across));
    assert_eq!(a.recv(PATIENCE), Some(across));
    let back = says("back", mac(4), mac(1));
    assert!(a.send(&back));
    assert_eq!(d.recv(PATIENCE), Some(back));
    for guest in [&mut a, &mut b, &mut c, &mut d] {
        assert_eq!(guest.recv(MOMENT), None);
    }

    place.at_rest();
    for name in ["vis0", "adapter0", "adapter1"] {
        assert_eq!(place.drops(name).len(), 0, "{name}");
    }
    numbers_agree(&place);

    place.stop("adapter0");
    let frames = tagged_frames(&place.path("adapter0.pcapng"));
    let of = |text: &str| -> Vec<_> {
        let with = |rest: &[u8]| rest[2..].starts_with(text.as_bytes());
        frames.iter().filter(|(_, _, rest)| with(rest)).map(|(tag, vlan, _)| (*tag, *vlan)).collect()
    };
    let tag = vntag::Vntag::default();
    // What a guest sends untagged goes up with a priority tag.
    let up = |vif| (tag.with_src_vif(vif), Some(0));
    let down = |vif| tag.with_d(true).with_dst_vif(vif);
    let flooded = down(1).with_p(true).with_l(true).with_src_vif(5);
    assert_eq!(of("who is there"), [up(5), (flooded, Some(10))]);
    assert_eq!(of("hairpin"), [up(6), (down(5).with_l(true).with_src_vif(6), Some(10))]);
    assert_eq!(of("across"), [(down(5), Some(10))]);
    assert_eq!(of("back"), [up(5)]);
    assert_eq!(frames.len(), 6);
}

/// What the daemons show and export after the frames of the test above.
fn numbers_agree(place: &Place) {
    let shown = place.show("vis0", "show counters");
    let whole = |key: &str| shown["switch"][key].as_u64().unwrap();
    // One broadcast, sent down both links, and three frames for one receiver each.
    assert_eq!([whole("received"), whole("replicated"), whole("sent"), whole("dropped")], [4, 1, 5, 0]);
    assert_eq!(whole("mac_learned"), 3);
    assert_eq!(place.metric("vis0", "vis_received_frames_total"), 4);
    assert_eq!(place.metric("vis0", "vis_replicated_frames_total"), 1);
    assert_eq!(place.metric("vis0", "vis_mac_addresses"), 3);
    assert_eq!(place.metric("vis0", "vis_port_tx_frames_total{port=\"ethernet1/1\"}"), 3);

    let addresses = place.show("vis0", "show mac address-table");
    let known: Vec<_> = addresses.as_array().unwrap().iter().map(|row| (&row["mac"], &row["port"])).collect();
    let expected = [(1, 1), (2, 2), (4, 4)]
        .map(|(n, veth)| (format!("52:54:00:00:00:{n:02x}").into(), format!("vethernet{veth}").into()));
    assert_eq!(known.len(), 3);
    assert!(expected.iter().all(|(mac, port)| known.contains(&(mac, port))), "{addresses:#}");

    // vEth 1 sent the call and an answer, and was sent two frames; its own call is not among them.
    let veth = place.show("vis0", "show interface vethernet 1");
    assert_eq!((&veth["rx"]["frames"], &veth["tx"]["frames"]), (&2.into(), &2.into()), "{veth:#}");
    assert_eq!(place.metric("vis0", "vis_vethernet_tx_frames_total{interface=\"vethernet3\"}"), 1);
    let rows = place.show("vis0", "show interface virtual");
    assert!(rows.as_array().unwrap().iter().all(|row| row["state"] == "up"), "{rows:#}");

    let link = &place.show("adapter0", "show link")[0];
    let counted =
        ["rx_frames", "tx_frames", "replicated", "pruned", "drops"].map(|key| link[key].as_u64().unwrap());
    assert_eq!(counted, [3, 3, 1, 1, 0], "two copies for two members, and the originator left out");
    assert_eq!(place.metric("adapter0", "niv_link_pruned_total{link=\"link0\"}"), 1);
    assert_eq!(place.metric("adapter0", "niv_vnic_tx_frames_total{vnic=\"vnic5\"}"), 2);
    assert_eq!(place.metric("adapter0", "niv_vnic_rx_frames_total{vnic=\"vnic5\"}"), 2);
    assert_eq!(place.metric("adapter1", "niv_port_up{port=\"vnic5\"}"), 1);
}

#[test]
fn vlans_are_separate_and_a_trunk_sees_those_it_may() {
    let vnics = vnic("red", "vhost-user:adapter0.vnic5.sock", 5, 10)
        + &vnic("red2", "vhost-user:adapter0.vnic6.sock", 6, 10)
        + &vnic("blue", "vhost-user:adapter0.vnic7.sock", 7, 20)
        + &vnic("both", "vhost-user:adapter0.vnic8.sock", 8, 1)
        + "vlan_mode = \"trunk\"\n";
    let adapter = node("adapter0")
        + &link("link0", "memif:link0.sock")
        + &vnics
        + &list(1, &[5, 6, 8])
        + &list(2, &[7, 8]);
    let lines = vethernet(1, 10, 1, 5)
        + &vethernet(2, 10, 1, 6)
        + &vethernet(3, 20, 1, 7)
        + "interface vethernet 4\n  switchport mode trunk\n  switchport trunk allowed vlan 10,20\n  bind interface ethernet 1/1 channel 8\n"
        + &vif_list(1, 1, "5-6,8")
        + &vif_list(1, 2, "7-8");
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &niv_port(1, "memif:link0.sock")),
        ("vis0.cfg", lines),
        ("adapter0.toml", adapter),
    ]);
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    let mut guests: Vec<Guest> = (5..=8)
        .map(|vif| {
            Guest::connect(&place.path(&format!("adapter0.vnic{vif}.sock")), Features::default()).unwrap()
        })
        .collect();
    ["red", "red2", "blue", "both"].iter().for_each(|name| place.vnic_up("adapter0", name));
    let [red, red2, blue, both] = &mut guests[..] else { panic!("four guests") };

    let tagged = |vlan: u16, text: &str, to: [u8; 6], from: [u8; 6]| {
        let plain = says(text, to, from);
        frame(to, from).vlan(vlan, 0).payload(EXPERIMENT, &plain[14..])
    };
    assert!(red.send(&says("red", BROADCAST, mac(1))));
    assert_eq!(red2.recv(PATIENCE), Some(says("red", BROADCAST, mac(1))));
    assert_eq!(both.recv(PATIENCE), Some(tagged(10, "red", BROADCAST, mac(1))));
    assert!(blue.send(&says("blue", BROADCAST, mac(3))));
    assert_eq!(both.recv(PATIENCE), Some(tagged(20, "blue", BROADCAST, mac(3))));
    // The trunk talks to each in its VLAN; each gets it as it sends, without a tag.
    for (vlan, to) in [(10, 1), (20, 3)] {
        assert!(both.send(&tagged(vlan, "trunk", mac(to), mac(4))));
        let other = if vlan == 10 { &mut *red } else { &mut *blue };
        assert_eq!(other.recv(PATIENCE), Some(says("trunk", mac(to), mac(4))));
    }
    // An address of another VLAN is unknown here: it is looked for in this VLAN only.
    assert!(blue.send(&says("astray", mac(1), mac(3))));
    assert_eq!(both.recv(PATIENCE), Some(tagged(20, "astray", mac(1), mac(3))));
    // A VLAN that the trunk must not use ends at its vEth.
    assert!(both.send(&tagged(30, "forbidden", BROADCAST, mac(4))));
    until("the forbidden frame is dropped", || (place.drops("vis0").len() == 1).then_some(()));
    for guest in [red, red2, blue, both] {
        assert_eq!(guest.recv(MOMENT), None);
    }
    place.at_rest();
    assert_eq!(place.drops("vis0").into_values().collect::<Vec<_>>(), [1]);
    assert_eq!(place.drops("adapter0").len(), 0);
}

#[test]
fn a_guest_leaves_and_returns() {
    let place = two_adapters();
    let mut a = guest(&place, "adapter0", 5, Features::default());
    let mut b = guest(&place, "adapter0", 6, Features::default());
    let hello = says("hello", mac(2), mac(1));
    until_it_arrives(&mut b, &mut a, &says("I am", mac(1), mac(2)));
    assert!(a.send(&hello));
    assert_eq!(b.recv(PATIENCE), Some(hello.clone()));

    b.disconnect();
    until("the vNIC is down", || {
        let row = place.show("adapter0", "show vnic vnic6");
        (row["vnic"]["state"] == "down (no guest)").then_some(())
    });
    let before = place.drops("adapter0").get("link_vif_down").copied().unwrap_or(0);
    assert!(a.send(&hello));
    until("the frame for the absent guest is counted", || {
        (place.drops("adapter0").get("link_vif_down") == Some(&(before + 1))).then_some(())
    });
    place.at_rest();

    b.reconnect(&place.path("adapter0.vnic6.sock")).unwrap();
    place.vnic_up("adapter0", "vnic6");
    assert!(a.send(&hello));
    assert_eq!(b.recv(PATIENCE), Some(hello), "only what was sent since");
    place.at_rest();
}

#[test]
fn the_switch_dies_and_returns_and_nobody_else_must_do_anything() {
    let mut place = two_adapters();
    let mut a = guest(&place, "adapter0", 5, Features::default());
    let mut b = guest(&place, "adapter0", 6, Features::default());
    let mut d = guest(&place, "adapter1", 5, Features::default());
    let adapter = place.pid("adapter0");
    let calls = |n: usize| says(&format!("call {n}"), BROADCAST, mac(1));
    until_it_arrives(&mut a, &mut b, &calls(0));
    until_it_arrives(&mut a, &mut d, &calls(1));
    for round in 0..3 {
        place.kill("vis0");
        until("the adapter knows", || {
            let link = &place.show("adapter0", "show link")[0];
            link["state"].as_str()?.starts_with("down").then_some(())
        });
        drain(&mut [&mut b, &mut d]);
        // It never switches by itself.
        a.send(&calls(2));
        assert_eq!(b.recv(Duration::from_millis(100)), None);

        let started = place.stopwatch();
        place.start("vis0");
        until_it_arrives(&mut a, &mut b, &calls(10 + round));
        until_it_arrives(&mut a, &mut d, &calls(20 + round));
        until_it_arrives(&mut d, &mut a, &says("answer", mac(1), mac(4)));
        let took = place.took(&started);
        println!("round {round}: everybody talks {took:?} after the switch was started");
        assert!(took < RETURN, "{took:?}");
        drain(&mut [&mut a, &mut b, &mut d]);
        place.at_rest();
    }
    assert_eq!(place.pid("adapter0"), adapter);
}

#[test]
fn an_adapter_dies_and_returns_and_its_guests_go_on() {
    let mut place = two_adapters();
    let mut a = guest(&place, "adapter0", 5, Features::default());
    let mut b = guest(&place, "adapter0", 6, Features::default());
    let mut d = guest(&place, "adapter1", 5, Features::default());
    until_it_arrives(&mut d, &mut a, &says("call", BROADCAST, mac(4)));
    for round in 0..3 {
        place.kill("adapter0");
        a.disconnect();
        b.disconnect();
        let started = place.stopwatch();
        place.start("adapter0");
        // Guests come back by themselves, as QEMU's do with `reconnect`.
        a.reconnect(&place.path("adapter0.vnic5.sock")).unwrap();
        b.reconnect(&place.path("adapter0.vnic6.sock")).unwrap();
        until_it_arrives(&mut a, &mut b, &says(&format!("hairpin {round}"), BROADCAST, mac(1)));
        until_it_arrives(&mut d, &mut a, &says(&format!("across {round}"), mac(1), mac(4)));
        until_it_arrives(&mut b, &mut d, &says(&format!("back {round}"), mac(4), mac(2)));
        let took = place.took(&started);
        println!("round {round}: everybody talks {took:?} after the adapter was started");
        assert!(took < RETURN, "{took:?}");
        drain(&mut [&mut a, &mut b, &mut d]);
        place.at_rest();
    }
}
