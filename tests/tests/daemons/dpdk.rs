//! DPDK as guest: a pair of virtio-user ports that send each other what they receive.

use super::files::{link, list, niv_port, node, vethernet, vif_list, vnic};
use super::place::{Place, left_out, missing_program, until};
use super::testpmd::Testpmd;
use rustix::process::Signal;

const MACS: [&str; 2] = ["52:54:00:00:00:01", "52:54:00:00:00:02"];

/// A pair of vNICs in VLAN 10, with so many queue pairs each; packed rings are offered, too.
fn pair(queues: u16) -> Place {
    let vnics: String = (0..2u16)
        .map(|n| vnic(&format!("vnic{n}"), &format!("vhost-user:vnic{n}.sock"), 5 + n, 10))
        .map(|vnic| vnic + &format!("queues = {queues}\npacked = true\n"))
        .collect();
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &niv_port(1, "memif:link0.sock")),
        ("vis0.cfg", vethernet(1, 10, 1, 5) + &vethernet(2, 10, 1, 6) + &vif_list(1, 1, "5-6")),
        ("adapter0.toml", node("adapter0") + &link("link0", "memif:link0.sock") + &vnics + &list(1, &[5, 6])),
    ]);
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    place
}

/// testpmd on both vNICs, which has these words more.
fn testpmd(place: &Place, virtio: &str, words: &[&str]) -> Testpmd {
    let devices: Vec<String> = (0..2)
        .map(|n| format!("net_virtio_user{n},path=vnic{n}.sock,mac={},queue_size=256,{virtio}", MACS[n]))
        .collect();
    let peers = [format!("--eth-peer=0,{}", MACS[1]), format!("--eth-peer=1,{}", MACS[0])];
    let words: Vec<&str> =
        peers.iter().map(String::as_str).chain(["--forward-mode=mac"]).chain(words.iter().copied()).collect();
    let testpmd = Testpmd::start(place, &devices, &words);
    place.vnic_up("adapter0", "vnic0");
    place.vnic_up("adapter0", "vnic1");
    testpmd
}

/// Moves frames in circles: bursts of each of these lengths (written as their segments) and so many frames of each.
fn circle(queues: u16, virtio: &str, words: &[&str], lengths: &[&str], frames: u64) {
    if left_out(missing_program(&["dpdk-testpmd", "stdbuf"])) {
        return;
    }
    let place = pair(queues);
    let mut testpmd = testpmd(&place, virtio, words);
    let mut octets = 0;
    for length in lengths {
        testpmd.tell("set fwd mac");
        testpmd.tell(&format!("set txpkts {length}"));
        testpmd.tell("start tx_first");
        testpmd.receive(2, frames);
        octets += frames * length.split(',').map(|piece| piece.parse::<u64>().unwrap()).sum::<u64>();
        testpmd.tell("stop");
        // What is on its way comes to an end.
        testpmd.tell("set fwd rxonly");
        testpmd.tell("start");
        place.at_rest();
        testpmd.tell("stop");
    }
    place.at_rest();
    let drops = [place.drops("vis0"), place.drops("adapter0")];
    assert!(drops.iter().all(|drops| drops.is_empty()), "{drops:?}");

    let vnics =
        ["vnic0", "vnic1"].map(|name| place.show("adapter0", &format!("show vnic {name}"))["vnic"].clone());
    for (port, vnic) in testpmd.stats(2).iter().zip(&vnics) {
        let counted = |key: &str| vnic[key].as_u64().unwrap();
        assert_eq!(
            [port.tx_packets, port.tx_octets, port.rx_packets, port.rx_octets, port.errors],
            [counted("rx_frames"), counted("rx_octets"), counted("tx_frames"), counted("tx_octets"), 0],
        );
    }
    let sum = |key: &str| vnics.iter().map(|vnic| vnic[key].as_u64().unwrap()).sum::<u64>();
    let total = sum("rx_frames");
    assert!(total >= frames * lengths.len() as u64 && sum("rx_octets") >= octets);
    println!("{total} frames, {} octets", sum("rx_octets"));
    let switch = &place.show("vis0", "show counters")["switch"];
    assert_eq!((&switch["received"], &switch["sent"]), (&total.into(), &total.into()));
    // Both directions of the link tell the same.
    let link = &place.show("adapter0", "show link")[0];
    assert_eq!((&link["tx_frames"], &link["rx_frames"]), (&total.into(), &total.into()));
}

#[test]
fn testpmd_with_mergeable_buffers() {
    // Buffers of 512 octets behind their headroom: the longer frames take several, both ways, in indirect tables.
    let words = ["--mbuf-size=640", "--enable-scatter", "--tx-offloads=0x8000", "--total-num-mbufs=8192"];
    circle(1, "mrg_rxbuf=1", &words, &["64", "100,400", "500,500,500"], 20_000);
}

#[test]
fn testpmd_without_mergeable_buffers() {
    let words = ["--tx-offloads=0x8000", "--total-num-mbufs=4096"];
    circle(1, "mrg_rxbuf=0", &words, &["64", "1514", "60,200,900"], 20_000);
}

#[test]
fn testpmd_with_several_queue_pairs() {
    let words = ["--rxq=2", "--txq=2", "--total-num-mbufs=8192"];
    circle(2, "mrg_rxbuf=1,queues=2", &words, &["64", "1000"], 20_000);
}

#[test]
fn testpmd_with_packed_rings() {
    let words = ["--mbuf-size=640", "--enable-scatter", "--tx-offloads=0x8000", "--total-num-mbufs=8192"];
    circle(1, "mrg_rxbuf=1,packed_vq=1,in_order=0", &words, &["64", "100,400", "500,500,500"], 20_000);
}

#[test]
fn testpmd_with_packed_rings_in_order() {
    let words = ["--tx-offloads=0x8000", "--total-num-mbufs=4096"];
    circle(1, "mrg_rxbuf=0,packed_vq=1,in_order=1", &words, &["64", "1514", "60,200,900"], 20_000);
}

#[test]
fn testpmd_with_packed_rings_vectorized_and_several_queue_pairs() {
    let words = ["--rxq=2", "--txq=2", "--total-num-mbufs=8192"];
    let virtio = "mrg_rxbuf=0,packed_vq=1,in_order=1,vectorized=1,queues=2";
    circle(2, virtio, &words, &["64", "1000"], 20_000);
}

/// Waits until so many more frames have passed the switch.
fn frames_pass(place: &Place, frames: u64) {
    let sent = || place.metric("vis0", "vis_sent_frames_total");
    let goal = sent() + frames;
    until("frames pass", || (sent() >= goal).then_some(()));
}

#[test]
fn guests_die_while_they_send_all_they_can() {
    if left_out(missing_program(&["dpdk-testpmd", "stdbuf"])) {
        return;
    }
    let place = pair(1);
    for _ in 0..3 {
        let mut testpmd = testpmd(&place, "mrg_rxbuf=1", &["--total-num-mbufs=4096"]);
        testpmd.tell("set fwd txonly");
        testpmd.tell("start");
        frames_pass(&place, 20_000);
        // Killed, without a word to anybody.
        drop(testpmd);
        until("the vNICs are down", || {
            let rows = place.show("adapter0", "show vnic");
            rows.as_array()?.iter().all(|row| row["state"] == "down (no guest)").then_some(())
        });
        place.at_rest();
    }
    // Nobody read, so rings were full; nothing else was lost but what came when the guests were gone.
    let drops =
        [place.drops("vis0"), place.drops("adapter0")].map(|drops| drops.into_keys().collect::<Vec<_>>());
    assert!(drops[0].iter().all(|reason| reason == "tx_ring_full"), "{drops:?}");
    let named = ["host_ring_full", "link_vif_down"];
    assert!(drops[1].iter().all(|reason| named.contains(&reason.as_str())), "{drops:?}");
}

#[test]
fn the_switch_dies_while_guests_send_all_they_can() {
    if left_out(missing_program(&["dpdk-testpmd", "stdbuf"])) {
        return;
    }
    let mut place = pair(1);
    let mut testpmd = testpmd(&place, "mrg_rxbuf=1", &["--total-num-mbufs=4096"]);
    testpmd.tell("set fwd txonly");
    testpmd.tell("start");
    for _ in 0..3 {
        frames_pass(&place, 20_000);
        place.kill("vis0");
        place.start("vis0");
        frames_pass(&place, 20_000);
    }
    testpmd.tell("stop");
    place.at_rest();
    let sent: u64 = testpmd.stats(2).iter().map(|port| port.tx_packets).sum();
    let taken: u64 = (0..2)
        .map(|n| place.metric("adapter0", &format!("niv_vnic_rx_frames_total{{vnic=\"vnic{n}\"}}")))
        .sum();
    assert_eq!(taken, sent, "every frame was taken, and has its fate");
    let drops = place.drops("adapter0");
    let named = ["host_ring_full", "link_down"];
    assert!(drops.keys().all(|reason| named.contains(&reason.as_str())), "{drops:?}");
}

#[test]
fn the_configuration_changes_while_guests_send_all_they_can() {
    if left_out(missing_program(&["dpdk-testpmd", "stdbuf"])) {
        return;
    }
    let place = pair(1);
    let mut testpmd = testpmd(&place, "mrg_rxbuf=1", &["--total-num-mbufs=4096"]);
    testpmd.tell("set fwd txonly");
    testpmd.tell("start");
    let switch = place.client("vis0");
    let second = vethernet(2, 10, 1, 6);
    for round in 0..50 {
        frames_pass(&place, 500);
        for lines in [
            "interface vethernet 2\n  switchport access vlan 20\n",
            "no interface vethernet 2\n",
            "interface ethernet 1/1\n  no vif-list 1\n",
            &vif_list(1, 2 + round, "5-6"),
            "interface ethernet 1/1\n  mtu 1400\n",
            &format!("{second}interface ethernet 1/1\n  no mtu\n  no vif-list {}\n", 2 + round),
            &vif_list(1, 1, "5-6"),
        ] {
            switch.configure(lines).unwrap_or_else(|error| panic!("{lines}{error}"));
        }
    }
    frames_pass(&place, 20_000);
    testpmd.tell("stop");
    place.at_rest();
    let same = vethernet(1, 10, 1, 5) + &second + &vif_list(1, 1, "5-6");
    switch.configure(&same).unwrap();
    let veths = place.show("vis0", "show interface virtual");
    assert!(
        veths.as_array().unwrap().iter().all(|row| row["state"] == "up" && row["vlan"] == 10),
        "{veths:#}"
    );
}

#[test]
fn a_switch_that_hangs_makes_guests_wait() {
    if left_out(missing_program(&["dpdk-testpmd", "stdbuf"])) {
        return;
    }
    let place = pair(1);
    let mut testpmd = testpmd(&place, "mrg_rxbuf=1", &["--total-num-mbufs=4096"]);
    testpmd.tell("set fwd txonly");
    testpmd.tell("start");
    frames_pass(&place, 20_000);
    place.signal("vis0", Signal::STOP);
    // The link fills, then the guests' rings: they are told to wait, and nothing is lost.
    let sent = || place.metric("adapter0", "niv_link_tx_frames_total{link=\"link0\"}");
    let mut before = 0;
    until("the link is full", || (std::mem::replace(&mut before, sent()) == before).then_some(()));
    let guests = place.show("adapter0", "show vnic");
    assert!(guests.as_array().unwrap().iter().all(|row| row["state"] == "up"), "{guests:#}");
    place.signal("vis0", Signal::CONT);
    frames_pass(&place, 20_000);
    testpmd.tell("stop");
    place.at_rest();
    let received = place.metric("vis0", "vis_received_frames_total");
    let generated: u64 = testpmd.stats(2).iter().map(|port| port.tx_packets).sum();
    assert_eq!([generated, sent()], [received, received], "upward every frame arrived");
}
