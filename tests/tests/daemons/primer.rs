//! The example of the VN-Link primer as it stands: a profile that inherits, a VLAN, an access list, and what comes of it for
//! the frames of a real guest's interface.

use super::files::{negotiated_port, negotiated_vnic, negotiating_link, node, port};
use super::place::{Place, until};
use niv_lab::driver::{Features, Guest};
use niv_lab::world::frames::{frame, mac};
use std::path::Path;

/// The example, the list, and the two lines that make profiles count.
const LINES: &str = "\
port-profile webservers
switchport access vlan 10
ip access-group 500 in
inherit port-profile server
interface veth1
inherit port-profile webservers
port-profile server
state enabled
port-profile webservers
state enabled
ip access-list 500
permit tcp any any eq 80
10 permit tcp 10.0.0.0/24 any eq 80
";

/// A TCP segment to a port.
fn segment(to: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 46, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 1, 2];
    packet.extend(1024u16.to_be_bytes());
    packet.extend(to.to_be_bytes());
    packet.resize(46, 0);
    packet
}

/// The IPv4 frames of VLAN 10 in a capture of the uplink.
fn of_vlan_10(file: &Path) -> Vec<Vec<u8>> {
    use pcap_file::pcapng::{Block, PcapNgReader};
    let mut reader = PcapNgReader::new(std::io::BufReader::new(std::fs::File::open(file).unwrap())).unwrap();
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        let Block::EnhancedPacket(packet) = block.unwrap() else { continue };
        if packet.data.get(12..18) == Some(&[0x81, 0, 0, 10, 8, 0]) {
            frames.push(packet.data.to_vec());
        }
    }
    frames
}

/// The switch, the adapter and the guest of vEth 1; `configure` types the lines.
fn filters(configure: impl FnOnce(&Place)) {
    let vnic = negotiated_vnic("vnic0", "vhost-user:vnic0.sock", "52:54:00:00:00:01");
    let mut place = Place::new(&[
        (
            "vis0.toml",
            node("vis0") + &negotiated_port(1, "memif:link0.sock") + &port(2, "trunk", "pcap:up.pcapng"),
        ),
        ("vis0.cfg", String::new()),
        ("adapter0.toml", node("adapter0") + &negotiating_link("link0", "memif:link0.sock") + &vnic),
    ]);
    place.start("vis0");
    place.start("adapter0");
    let client = place.client("vis0");
    until("the request for a VIF makes vEth 1", || client.exec("show interface vethernet 1").ok());
    configure(&place);
    // Now, because line by line its interface is down for a while, and its carrier with it.
    let mut guest = Guest::connect(&place.path("vnic0.sock"), Features::default()).unwrap();
    place.vnic_up("adapter0", "vnic0");
    place.port_up("vis0", "1/2");
    until("vEth 1 is up in VLAN 10", || {
        let shown = client.exec("show interface vethernet 1").ok()?;
        (shown["vlan"] == 10 && shown["state"] == "up").then_some(())
    });

    for to in [80, 22, 80, 443] {
        assert!(guest.send(&frame(mac(2), mac(1)).payload(0x0800, &segment(to))));
    }
    let counted = until("four packets are judged", || {
        let list = client.exec("show access-lists 500").ok()?[0].clone();
        (list["lines"][0]["matches"] == 2 && list["unmatched"] == 2).then_some(list)
    });
    assert_eq!(counted["lines"][0]["line"], "permit tcp 10.0.0.0/24 any eq 80");
    assert_eq!(counted["used"], serde_json::json!(["port-profile webservers"]));
    place.at_rest();
    assert_eq!(place.drops("vis0").get("acl_in"), Some(&2));
    let (_, text, _) = place.nivctl(&["--api", "vis0.sock", "show", "ip", "access-lists"]);
    assert!(
        text.contains("IP access list 500\n")
            && text.contains("10 permit tcp 10.0.0.0/24 any eq 80 [match=2]"),
        "{text}"
    );
    let (_, text, _) =
        place.nivctl(&["--api", "vis0.sock", "show", "running-config", "interface", "veth1", "expand"]);
    assert!(text.contains("ip access-group 500 in") && text.contains("webservers"), "{text}");

    place.stop("adapter0");
    place.stop("vis0");
    let want = frame(mac(2), mac(1)).vlan(10, 0).payload(0x0800, &segment(80));
    assert_eq!(of_vlan_10(&place.path("up.pcapng")), [want.clone(), want]);
}

#[test]
fn typed_line_by_line() {
    filters(|place| {
        place.write("typed", &format!("configure terminal\n{LINES}end\n"));
        let mut shell = place.command("nivsh", &["--api", "vis0.sock"]);
        let output = shell.stdin(std::fs::File::open(place.path("typed")).unwrap()).output().unwrap();
        let said = super::place::text(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        for note in [
            "% Access VLAN does not exist. Creating vlan 10",
            "access list 500 does not exist",
            "port-profile server does not exist",
            "port-profile webservers is disabled",
        ] {
            assert!(said.contains(note), "{note}\n{said}");
        }
    });
}

#[test]
fn as_a_file() {
    filters(|place| {
        place.write("primer.cfg", LINES);
        let (code, _, complained) = place.nivctl(&["--api", "vis0.sock", "configure", "primer.cfg"]);
        assert_eq!(code, 0, "{complained}");
    });
}
