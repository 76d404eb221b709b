//! DPDK as guest: a pair of virtio-user ports that send each other what they receive.

use super::files::{link, list, niv_port, node, vethernet, vif_list, vnic};
use super::place::{Place, left_out, missing_program};
use super::testpmd::Testpmd;

const MACS: [&str; 2] = ["52:54:00:00:00:01", "52:54:00:00:00:02"];

/// A pair of vNICs in VLAN 10 and testpmd on both, which has these words more.
fn pair(virtio: &str, words: &[&str]) -> (Place, Testpmd) {
    let vnics: String = (0..2u16)
        .map(|n| vnic(&format!("vnic{n}"), &format!("vhost-user:vnic{n}.sock"), 5 + n, 10))
        .collect();
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &niv_port(1, "memif:link0.sock")),
        ("vis0.cfg", vethernet(1, 10, 1, 5) + &vethernet(2, 10, 1, 6) + &vif_list(1, 1, "5-6")),
        ("adapter0.toml", node("adapter0") + &link("link0", "memif:link0.sock") + &vnics + &list(1, &[5, 6])),
    ]);
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    let devices: Vec<String> = (0..2)
        .map(|n| format!("net_virtio_user{n},path=vnic{n}.sock,mac={},queue_size=256,{virtio}", MACS[n]))
        .collect();
    let peers = [format!("--eth-peer=0,{}", MACS[1]), format!("--eth-peer=1,{}", MACS[0])];
    let words: Vec<&str> =
        peers.iter().map(String::as_str).chain(["--forward-mode=mac"]).chain(words.iter().copied()).collect();
    let testpmd = Testpmd::start(&place, &devices, &words);
    place.vnic_up("adapter0", "vnic0");
    place.vnic_up("adapter0", "vnic1");
    (place, testpmd)
}

/// Moves frames in circles: bursts of each of these lengths (written as their segments) and so many frames of each.
fn circle(virtio: &str, words: &[&str], lengths: &[&str], frames: u64) {
    if left_out(missing_program(&["dpdk-testpmd", "stdbuf"])) {
        return;
    }
    let (place, mut testpmd) = pair(virtio, words);
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
    circle("mrg_rxbuf=1", &words, &["64", "100,400", "500,500,500"], 20_000);
}

#[test]
fn testpmd_without_mergeable_buffers() {
    let words = ["--tx-offloads=0x8000", "--total-num-mbufs=4096"];
    circle("mrg_rxbuf=0", &words, &["64", "1514", "60,200,900"], 20_000);
}
