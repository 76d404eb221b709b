//! What somebody who knows a Nexus pastes first.

use super::*;
use crate::config::text::running_config;

const PASTED: &str = "\
!Command: show running-config
!Time: Sun Nov 22 20:00:00 2026

version 5.2(1)N1(1)
hostname N5K-1
configure terminal
terminal length 0
install feature-set virtualization
feature-set virtualization
feature telnet
no feature ssh
feature lacp
feature vmfex
feature lldp
vethernet auto-create
vlan 1,10,20-21
vlan 10
  name webservers
  state active
ip access-list 500
  statistics per-entry
  10 permit tcp any any eq 80
  20 permit icmp any any
port-profile type vethernet webservers
  switchport mode access
  switchport access vlan 10
  state enabled
interface Ethernet1/1
  switchport
  switchport mode vntag
  no shutdown
interface Ethernet1/2
  description to the rack
  switchport mode trunk
  switchport trunk allowed vlan 1,10,20-21
  no shutdown
interface Vethernet1
  inherit port-profile webservers
  ip port access-group 500 in
  bind interface Ethernet1/1 channel 5
  no shutdown
end
";

#[test]
fn is_accepted_whole() {
    let mut session = Session { config: initial(), selected: None, asked: BTreeMap::new() };
    let notes = run(&mut session, PASTED).unwrap().to_string();
    assert!(notes.contains("feature lacp is not in this switch") && !notes.contains("vmfex"), "{notes}");
    assert!(!notes.contains("Access VLAN"), "it was made: {notes}");
    let text = running_config(&session.config);
    for line in [
        "vlan 10\n  name webservers\n",
        "vlan 21\n",
        "  ip access-group 500 in\n",
        "  10 permit tcp any any eq 80\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(session.config.effective(1, None).switchport.access, 10);
    let error = configure(&initial(), "no feature lldp").unwrap_err();
    assert!(error.message.contains("always on"), "{error}");
    let error = configure(&initial(), "interface ethernet 1/1\n shutdown").unwrap_err();
    assert!(error.message.contains("with its device"), "{error}");
    assert!(configure(&initial(), "interface ethernet 1/1\n no shutdown").is_ok());
}

#[test]
fn vlans_exist_when_they_are_used_and_have_names() {
    let mut session = Session { config: initial(), selected: None, asked: BTreeMap::new() };
    let note = "% Access VLAN does not exist. Creating vlan 10\n";
    for (lines, said) in [
        ("port-profile web\n switchport access vlan 10", note),
        ("interface vethernet 1\n switchport access vlan 10", ""),
        ("no port-profile web\nno interface vethernet 1\nvlan 10\n name web", ""),
        ("interface vethernet 1\n switchport access vlan 10", ""),
        (
            "no vlan 10",
            "Warning: VLAN 10 goes on to exist and its frames to pass, because it is the access VLAN in 1 place: Veth1.\n",
        ),
        ("vlan 10", ""),
        ("no interface vethernet 1\nno vlan 10\ninterface ethernet 1/2\n switchport access vlan 1", ""),
        ("interface ethernet 1/3\n switchport access vlan 10", note),
    ] {
        assert_eq!(run(&mut session, lines).unwrap().to_string(), said, "{lines}");
    }
    assert_eq!(session.config.known_vlans(), [1, 10].into_iter().collect());
    assert_eq!(session.config.vlan_name(1) + &session.config.vlan_name(10), "defaultVLAN0010");
    for (lines, part) in [
        ("no vlan 1", "cannot be removed"),
        ("no vlan 9", "no \"vlan 9\""),
        ("vlan 1\n name x", "called default"),
        ("vlan 5-6\n name x", "for one VLAN"),
    ] {
        let error = configure(&initial(), lines).expect_err(lines);
        assert!(error.message.contains(part), "{lines}: {error}");
    }
}
