//! Guests that leave checksums and segmentation to the adapter, at real sockets, and tshark on what was on the link.

use super::files::{link, list, niv_port, node, vethernet, vif_list, vnic};
use super::place::{PATIENCE, Place, left_out, missing_program};
use niv_lab::driver::{Features, Guest};
use niv_lab::lab::checksums::{CompleteTcp, complete_tcp};
use niv_lab::model::tcp::Tcp;
use niv_lab::world::frames::mac;

#[test]
fn super_frames_reach_a_guest_without_offloads_as_what_they_stand_for() {
    if left_out(missing_program(&["tshark"])) {
        return;
    }
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &niv_port(1, "memif:link0.sock")),
        ("vis0.cfg", vethernet(1, 10, 1, 5) + &vethernet(2, 10, 1, 6) + &vif_list(1, 1, "5-6")),
        (
            "adapter0.toml",
            node("adapter0")
                + &link("link0", "memif:link0.sock")
                + "capture = \"link0.pcapng\"\n"
                + &vnic("vnic0", "vhost-user:vnic0.sock", 5, 10)
                + &vnic("vnic1", "vhost-user:vnic1.sock", 6, 10)
                + &list(1, &[5, 6]),
        ),
    ]);
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    let connect = |name: &str, features: Features| {
        let guest = Guest::connect(&place.path(&format!("{name}.sock")), features).unwrap();
        place.vnic_up("adapter0", name);
        guest
    };
    let mut from = connect("vnic0", Features::offloading());
    let mut to = connect("vnic1", Features::plain());

    let mut sent = 0;
    for (v6, vlan, size, len) in [
        (false, None, 1448, 60_000),
        (true, None, 1428, 60_000),
        (false, Some(10), 1448, 20_000),
        (true, Some(10), 536, 20_000),
        (false, None, 1, 100),
    ] {
        let payload = (0..len).map(|n| (n * 7 + n / 251) as u8).collect();
        let addresses = [mac(2), mac(1)].concat().try_into().unwrap();
        let tcp = Tcp { addresses, vlan, v6, sequence: 7, flags: 0x99, payload };
        let (header, frame) = tcp.super_frame(size);
        assert!(from.send_unfinished(&header, &frame));
        // The receiver's VLAN is taken off.
        for segment in (Tcp { vlan: None, ..tcp.clone() }).segments(size.into()) {
            let got = to.recv(PATIENCE);
            assert!(got.as_ref() == Some(&segment), "{got:02x?}\n{segment:02x?}");
            sent += 1;
        }
        // One that is not cut.
        let short = Tcp { payload: tcp.payload[..100].to_vec(), ..tcp };
        let (header, frame) = short.unfinished();
        assert!(from.send_unfinished(&header, &frame));
        assert_eq!(to.recv(PATIENCE).as_ref(), (Tcp { vlan: None, ..short }).segments(1000).first());
        sent += 1;
    }
    // A lie is dropped by name, in the one guest's account.
    assert!(from.send_unfinished(&[1, 1, 0, 0, 9, 0, 0xff, 0xff, 16, 0, 0, 0], &[0; 600]));
    place.at_rest();
    let drops = place.drops("adapter0");
    assert_eq!(drops.into_iter().collect::<Vec<_>>(), [("host_offload".to_owned(), 1)]);
    let vnic = place.show("adapter0", "show vnic vnic0");
    assert_eq!(vnic["vnic"]["rx_frames"], sent + 1, "counters count segments");
    assert_eq!(place.drops("vis0").len(), 0);

    place.stop("adapter0");
    // Up and, back from the switch, down.
    let longest = 1500;
    assert_eq!(complete_tcp(&place.path("link0.pcapng")).unwrap(), CompleteTcp { frames: 2 * sent, longest });
}
