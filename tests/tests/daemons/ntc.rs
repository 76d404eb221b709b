//! What a public library of templates for NX-OS (ntc-templates) reads in the answers of the switch.

use super::files::{negotiated_port, node, port};
use super::place::{Place, left_out, text, until};
use super::python::python;
use super::virtual_iv::VirtualIv;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use vntag::ethernet::Mac;

const LINES: &str = "\
vlan 10
  name web
vlan 102
  private-vlan community
vlan 100
  private-vlan primary
  private-vlan association 102
ip access-list 500
  10 permit tcp 10.0.0.0/24 gt 1023 any eq 80
  20 remark the rest
  30 deny ip any any
port-profile web
  switchport access vlan 10
  state enabled
interface vethernet 2
  shutdown
interface vethernet 3
  switchport mode private-vlan host
  switchport private-vlan host-association 100 102
interface ethernet 1/2
  description to the rack
";

const SCRIPT: &str = "\
import json, sys
from ntc_templates.parse import parse_output
answers = json.load(sys.stdin)
parsed = {line: parse_output(platform='cisco_nxos', command=line, data=text) for line, text in answers.items()}
print(json.dumps(parsed))
";

#[test]
fn the_answers_are_read_like_those_of_a_nexus() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => {
            assert!(left_out(Some(format!("ntc-templates cannot be installed: {why}"))));
            return;
        }
    };
    let chassis =
        node("vis0") + &negotiated_port(1, "memif:link0.sock") + &port(2, "trunk", "pcap:up.pcapng");
    let mut place = Place::new(&[("vis0.toml", chassis), ("vis0.cfg", LINES.to_owned())]);
    place.start("vis0");
    let iv = VirtualIv::at(&place.path("link0.sock"));
    iv.add(1, Mac([0x52, 0x54, 0, 0, 0, 1]), "web");
    iv.settled(0);
    place.port_up("vis0", "1/2");
    let client = place.client("vis0");
    until("an address is learned", || {
        iv.broadcast(1);
        (!client.exec("show mac address-table").ok()?.as_array()?.is_empty()).then_some(())
    });

    place.at_rest();

    let lines = [
        "show version",
        "show interface",
        "show interface brief",
        "show interface status",
        "show interface description",
        "show interface switchport",
        "show vlan",
        "show mac address-table",
        "show access-lists",
        "show feature",
        "show module",
        "show lldp neighbors",
    ];
    let answers: Value = lines
        .iter()
        .map(|line| ((*line).to_owned(), json!(client.exec_text(line).unwrap())))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let mut parser = Command::new(python)
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    parser.stdin.take().unwrap().write_all(answers.to_string().as_bytes()).unwrap();
    let output = parser.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{answers:#}", text(&output));
    let parsed: Value = serde_json::from_slice(&output.stdout).unwrap();

    let row = |line: &str, key: &str, value: &str| -> Value {
        let rows = parsed[line].as_array().unwrap();
        let found = rows.iter().find(|row| row[key] == value);
        found.unwrap_or_else(|| panic!("{line}: no {key} {value} in {rows:#?}\n{}", answers[line])).clone()
    };
    let version = row("show version", "hostname", "vis0");
    assert_eq!(version["os"], env!("CARGO_PKG_VERSION"));
    assert!(version["uptime"].as_str().unwrap().contains("second(s)"), "{version}");

    let shown = client.exec("show interface").unwrap();
    let shown = shown.as_array().unwrap();
    assert_eq!(shown.len(), 5, "{shown:#?}");
    for interface in shown {
        let name = interface["interface"].as_str().unwrap();
        let read = row("show interface", "interface", &(name[..1].to_uppercase() + &name[1..]));
        let cause = interface["cause"].as_str().map_or_else(String::new, |cause| format!(" ({cause})"));
        assert_eq!(
            read["link_status"],
            format!("{}{cause}", interface["state"].as_str().unwrap()),
            "{read:#}"
        );
        let admin = if interface["shutdown"] == true { "down" } else { "up" };
        let mode = interface["mode"].as_str().unwrap().split(' ').next();
        assert_eq!((&read["admin_state"], &read["mode"]), (&admin.into(), &mode.into()), "{read:#}");
        assert_eq!(read["mtu"], interface["mtu"].to_string());
        // Those of the link go on.
        let counts = name.starts_with("vethernet");
        let counters = [
            ("input_packets", &interface["rx"]["frames"]),
            ("input_discards", &interface["rx"]["dropped"]),
            ("output_packets", &interface["tx"]["frames"]),
            ("output_discards", &interface["tx"]["dropped"]),
        ];
        for (key, value) in counters.into_iter().filter(|_| counts) {
            assert_eq!(read[key], value.to_string(), "{key}: {read:#}");
        }
        // A vEth that nobody ever asked for has none.
        let mac: String = interface["mac"].as_str().unwrap_or_default().split(':').collect();
        assert_eq!(read["mac_address"].as_str().unwrap().replace('.', ""), mac, "{read:#}");
    }
    let uplink = row("show interface", "interface", "Ethernet1/2");
    assert_eq!(
        (&uplink["hardware_type"], &uplink["description"]),
        (&"pcap:up.pcapng".into(), &"to the rack".into())
    );
    assert_eq!(row("show interface", "interface", "Vethernet1")["hardware_type"], "Virtual");

    let brief = row("show interface brief", "interface", "Veth1");
    assert_eq!(
        (&brief["vlan_id"], &brief["status"], &brief["reason"]),
        (&"10".into(), &"up".into(), &"none".into())
    );
    let brief = row("show interface brief", "interface", "Veth2");
    assert_eq!(brief["status"], "down");
    assert_ne!(brief["reason"], "none");
    assert_eq!(row("show interface brief", "interface", "Eth1/1")["mode"], "vntag");

    let status = row("show interface status", "port", "Eth1/2");
    assert_eq!(
        (&status["name"], &status["status"], &status["vlan_id"]),
        (&"to the rack".into(), &"connected".into(), &"trunk".into())
    );
    assert_eq!(row("show interface status", "port", "Veth1")["vlan_id"], "10");
    assert_eq!(row("show interface status", "port", "Veth2")["status"], "disabled");
    assert_eq!(row("show interface description", "port", "Eth1/2")["description"], "to the rack");
    let port = row("show interface switchport", "interface", "Vethernet1");
    assert_eq!(
        (&port["mode"], &port["access_vlan"], &port["access_vlan_name"]),
        (&"access".into(), &"10".into(), &"web".into())
    );

    let vlan = row("show vlan", "vlan_id", "10");
    assert_eq!((&vlan["vlan_name"], &vlan["interfaces"]), (&"web".into(), &json!(["Eth1/2", "Veth1"])));
    assert_eq!(row("show vlan", "vlan_id", "1")["vlan_name"], "default");
    let learned = row("show mac address-table", "mac_address", "5254.0000.0001");
    assert_eq!((&learned["vlan_id"], &learned["ports"]), (&"10".into(), &"Veth1".into()));

    let rule = row("show access-lists", "sn", "10");
    assert_eq!(
        (&rule["name"], &rule["action"], &rule["protocol"]),
        (&"500".into(), &"permit".into(), &"tcp".into())
    );
    assert_eq!(rule["source"], "10.0.0.0/24");
    assert_eq!(row("show access-lists", "sn", "20")["remark"], "the rest");
    assert_eq!(row("show access-lists", "sn", "30")["action"], "deny");
    assert_eq!(row("show feature", "name", "lldp")["state"], "enabled");
    assert_eq!(row("show module", "module", "1")["model"], "vis-switch");
    let neighbor = row("show lldp neighbors", "local_interface", "Eth1/1");
    assert_eq!(
        (&neighbor["neighbor_name"], &neighbor["neighbor_interface"]),
        (&"adapter9".into(), &"link0".into())
    );
}
