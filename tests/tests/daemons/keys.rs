//! What the further keys of the files do, seen by guests and on the wire.

use super::files::{
    link, list, negotiated_vnic, negotiating_link, niv_port, node, vethernet, vif_list, vnic,
};
use super::place::{PATIENCE, Place, tagged_frames, until};
use niv_lab::driver::{Features, Guest, Wire};
use niv_lab::world::frames::{BROADCAST, frame, mac};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A switch and an adapter with VIFs 5 and 6 in VLAN 10 as vEths 1 and 2, on a link without a file. The keys go to
/// the link of the adapter, the port of the switch, and each vNIC.
fn pair(of_link: &str, of_port: &str, of_vnic: &str, lines: &str) -> Place {
    let vnics: String = [5, 6]
        .map(|vif| vnic(&format!("vnic{vif}"), &format!("vhost-user:vnic{vif}.sock"), vif, 10) + of_vnic)
        .concat();
    // An abstract socket is every process's on the machine: its name must be this test's own.
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let own = format!("{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
    let device = format!("memif:@niv-lab-{own},id=3");
    let lines = vethernet(1, 10, 1, 5) + &vethernet(2, 10, 1, 6) + &vif_list(1, 1, "5-6") + lines;
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &niv_port(1, &device) + of_port),
        ("vis0.cfg", lines),
        ("adapter0.toml", node("adapter0") + &link("link0", &device) + of_link + &vnics + &list(1, &[5, 6])),
    ]);
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    place
}

fn guests(place: &Place, features: Features) -> [Guest; 2] {
    [5, 6].map(|vif| {
        let guest = Guest::connect(&place.path(&format!("vnic{vif}.sock")), features).unwrap();
        place.vnic_up("adapter0", &format!("vnic{vif}"));
        guest
    })
}

#[test]
fn long_frames_pass_where_both_ends_are_told() {
    let lines = "interface vethernet 1\n  mtu 9000\ninterface vethernet 2\n  mtu 9000\n";
    let mut place = pair("", "", "mtu = 9000\nsocket_mode = \"0600\"\n", lines);
    let mode = std::fs::metadata(place.path("vnic5.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Each frame goes in pieces into the link's buffers, and out into several of the guest's.
    let features = Features { max_frame: 9100, tx_pieces: 7, queue_size: 64, ..Features::default() };
    let [mut a, mut b] = guests(&place, features);
    for length in [46, 1500, 1501, 4000, 9000] {
        let long = frame(BROADCAST, mac(1)).ipv4(length);
        assert!(a.send(&long));
        assert_eq!(b.recv(PATIENCE), Some(long), "{length}");
        let back = frame(mac(1), mac(2)).ipv4(length);
        assert!(b.send(&back));
        assert_eq!(a.recv(PATIENCE), Some(back), "{length}");
    }
    // More than the vNIC's MTU and a tag ends at the adapter.
    assert!(a.send(&frame(mac(2), mac(1)).ipv4(9005)));
    until("the frame is dropped", || {
        (place.drops("adapter0").get("host_oversize") == Some(&1)).then_some(())
    });
    place.at_rest();
    assert_eq!(place.drops("vis0").len(), 0);
    place.stop("adapter0");
    assert!(!place.path("vnic5.sock").exists(), "who ends in order leaves no socket");
}

#[test]
fn priorities_are_given_and_limited() {
    let mut place = pair(
        "capture = \"link0.pcapng\"\n",
        "capture = \"port.pcapng\"\n",
        "cos = 5\npriorities = [0, 3, 5]\n",
        "",
    );
    let [mut a, mut b] = guests(&place, Features::default());
    let plain = frame(BROADCAST, mac(1)).ipv4(46);
    assert!(a.send(&plain));
    assert_eq!(b.recv(PATIENCE), Some(plain.clone()));
    assert!(a.send(&frame(BROADCAST, mac(1)).vlan(0, 4).ipv4(46)));
    assert!(a.send(&frame(BROADCAST, mac(1)).vlan(0, 3).ipv4(46)));
    assert_eq!(b.recv(PATIENCE), Some(plain));
    place.at_rest();
    assert_eq!(place.drops("adapter0"), [("host_priority".to_owned(), 1)].into());
    place.stop("adapter0");
    place.stop("vis0");
    // Both ends recorded the same frames.
    let seen = tagged_frames(&place.path("link0.pcapng"));
    assert_eq!(seen, tagged_frames(&place.path("port.pcapng")));
    let tags: Vec<_> = seen.iter().map(|(tag, control, _)| (tag.d(), *control)).collect();
    let with = |priority: u16, vlan: u16| Some(priority << 13 | vlan);
    // What came untagged has the vNIC's priority, what came with one keeps it; the switch adds the VLAN.
    assert_eq!(tags, [(false, with(5, 0)), (true, with(5, 10)), (false, with(3, 0)), (true, with(3, 10))]);
}

#[test]
fn faults_are_made_and_counted() {
    let place = pair("", "fault = { seed = 7, duplicate = 1.0 }\n", "", "");
    let [mut a, mut b] = guests(&place, Features::default());
    let sent = frame(BROADCAST, mac(1)).ipv4(46);
    assert!(a.send(&sent));
    // Twice on its way into the switch, and each of them twice on its way out.
    for _ in 0..4 {
        assert_eq!(b.recv(PATIENCE), Some(sent.clone()));
    }
    place.at_rest();
    assert_eq!(b.recv(Duration::from_millis(1)), None);
    let page = place.show("vis0", "show interface ethernet 1/1");
    assert_eq!(page["device_counters"]["fault_duplicated"], 3);
}

#[test]
fn an_adapter_can_be_the_one_that_connects_to_its_guest() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("qemu.sock");
    let vnic = vnic("vnic0", &format!("vhost-user:{},client", socket.display()), 5, 10);
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &niv_port(1, "memif:link0.sock")),
        ("vis0.cfg", vethernet(1, 10, 1, 5) + &vif_list(1, 1, "5")),
        ("adapter0.toml", node("adapter0") + &link("link0", "memif:link0.sock") + &vnic + &list(1, &[5])),
    ]);
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    assert!(place.show("adapter0", "vnic qemu vnic0").to_string().contains("server=on"));
    // The guest comes later than the adapter, and outlives it.
    let listener = UnixListener::bind(&socket).unwrap();
    let mut guest = Guest::new(Features::default()).unwrap();
    for round in 1..3 {
        let (stream, _) = listener.accept().unwrap();
        guest.start(Wire::new(stream).unwrap(), round > 1).unwrap();
        place.vnic_up("adapter0", "vnic0");
        guest.send(&frame(BROADCAST, mac(1)).ipv4(46));
        until("the switch learned the guest", || {
            (place.metric("vis0", "vis_received_frames_total") == round).then_some(())
        });
        place.at_rest();
        place.kill("adapter0");
        guest.disconnect();
        place.start("adapter0");
        place.link_up("adapter0", "link0", "vis0", "1/1");
    }
}

#[test]
fn a_guest_whose_link_is_signalled_by_its_monitor_is_told_to_offer_one() {
    let vnic = negotiated_vnic("vnic0", "vhost-user:vnic0.sock", "52:54:00:00:00:01")
        + "link_signal = \"qmp:vm,1.qmp\"\npacked = true\n"
        + &negotiated_vnic("vnic1", "vhost-user:vnic1.sock", "52:54:00:00:00:02");
    let adapter = node("adapter0") + &negotiating_link("link0", "memif:link0.sock") + &vnic;
    let mut place = Place::new(&[("adapter0.toml", adapter)]);
    place.start("adapter0");
    let path = place.path("vm,1.qmp").to_str().unwrap().replace(',', ",,");
    let said = place.show("adapter0", "vnic qemu vnic0");
    let words = said["vnic"].as_array().unwrap();
    let monitor = [Value::from("-qmp"), format!("unix:{path},server=on,wait=off").into()];
    assert_eq!(words[words.len() - 2..], monitor);
    // With the rings that it was given.
    assert!(said["vnic"].to_string().contains(",packed=on"), "{said}");
    let said = place.show("adapter0", "vnic libvirt vnic0");
    assert!(
        said["commandline"].as_str().unwrap().contains(&format!("value='unix:{path},server=on")),
        "{said}"
    );
    assert!(said["interface"].as_str().unwrap().contains("<driver packed='on'/>"), "{said}");
    for face in ["qemu", "libvirt"] {
        let said = place.show("adapter0", &format!("vnic {face} vnic1")).to_string();
        assert!(!said.contains("qmp") && !said.contains("packed"), "{said}");
    }
}
