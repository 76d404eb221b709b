//! Profiles of physical ports, seen by the frames that pass.

use super::*;

const VETH: &str =
    "interface vethernet 1\n switchport access vlan 10\n bind interface ethernet 1/2 channel 5\n";
const UPLINKS: &str = "port-profile type ethernet base\n switchport trunk allowed vlan 10,20\n\
                       port-profile type ethernet uplinks\n inherit port-profile base\n\
                       interface ethernet 1/3\n inherit port-profile uplinks\n";

impl Rig {
    /// Whether frames of VLAN 10 leave by the ordinary port, and come in there.
    fn passes(&mut self) -> (bool, bool) {
        self.out.iter_mut().for_each(Vec::clear);
        self.send(STATIC, &tagged(5, 9, 1, 10));
        self.settle();
        let out = self.out[WIRE] == [frame(9, 1, 10)];
        self.send(WIRE, &frame(1, 9, 10));
        self.settle();
        (out, self.out[STATIC].len() == 1)
    }

    fn port(&self) -> (Value, Value) {
        let shown = self.show("show interface ethernet 1/3");
        (shown["state"].clone(), shown["cause"].clone())
    }
}

#[test]
fn a_change_of_a_profile_reaches_its_ports_at_once() {
    let mut rig = Rig::new();
    rig.configure(VETH).unwrap();
    assert_eq!(rig.passes(), (true, true), "a trunk, as the chassis says");

    rig.configure(UPLINKS).unwrap();
    assert_eq!((rig.passes(), rig.port()), ((false, false), ("down".into(), "profile disabled".into())));
    rig.configure("port-profile uplinks\n state enabled\n").unwrap();
    assert_eq!((rig.passes(), rig.port()), ((true, true), ("up".into(), Value::Null)));
    for (lines, passes) in [
        ("port-profile base\n switchport trunk allowed vlan remove 10\n", false),
        ("interface ethernet 1/3\n switchport trunk allowed vlan 10\n", true),
        ("interface ethernet 1/3\n no switchport trunk allowed vlan\n", false),
        ("port-profile uplinks\n switchport trunk allowed vlan all\n", true),
        ("port-profile uplinks\n switchport mode access\n switchport access vlan 20\n", false),
        ("interface ethernet 1/3\n switchport mode trunk\n", true),
        ("interface ethernet 1/3\n shutdown\n", false),
        ("interface ethernet 1/3\n no shutdown\n", true),
        ("port-profile uplinks\n shutdown\n", true),
        ("interface ethernet 1/3\n default shutdown\n", false),
        (
            "port-profile uplinks\n no inherit port-profile\n inherit port-profile nowhere\n no shutdown\n",
            false,
        ),
        ("port-profile uplinks\n no inherit port-profile\n", true),
    ] {
        rig.configure(lines).unwrap();
        assert_eq!(rig.passes(), (passes, passes), "{lines}");
        assert_eq!(
            rig.port().0 == "down",
            lines.contains("hut") && !passes || lines.contains("nowhere"),
            "{lines}"
        );
    }
    // It is as it was after a crash.
    let text = rig.text("show running-config");
    let mut rig = rig.again();
    assert_eq!((rig.text("show running-config"), rig.passes()), (text, (true, true)));
    assert!(rig.switch.counters.balance().holds());
}

#[test]
fn system_vlans_pass_before_the_profile_is_enabled() {
    let mut rig = Rig::new();
    rig.configure(VETH).unwrap();
    rig.configure(UPLINKS).unwrap();
    // On a port: 10 of 10 and 20, and nothing else.
    for (lines, passes) in [
        ("port-profile base\n system vlan 20\n", false),
        ("port-profile base\n system vlan add 10\n", true),
        ("port-profile base\n system vlan remove 10\n", false),
        ("port-profile uplinks\n system vlan 10,30\n", true),
        ("interface ethernet 1/3\n switchport mode access\n", false),
        ("interface ethernet 1/3\n no switchport mode\n", true),
        ("interface ethernet 1/3\n shutdown\n", false),
        ("interface ethernet 1/3\n default shutdown\n", true),
        ("port-profile uplinks\n inherit port-profile nowhere\n state enabled\n", true),
        ("port-profile uplinks\n no system vlan\n no inherit port-profile base\n", false),
        ("port-profile uplinks\n inherit port-profile base\n system vlan 10\n no state enabled\n", true),
    ] {
        rig.configure(lines).unwrap();
        assert_eq!(rig.passes(), (passes, passes), "{lines}");
    }
    let shown = rig.show("show interface ethernet 1/3");
    assert_eq!(
        (&shown["state"], &shown["allowed_vlans"], &shown["system_only"]),
        (&"up".into(), &"10".into(), &true.into())
    );
    let expanded = rig.text("show running-config interface ethernet 1/3 expand-port-profile");
    assert!(
        expanded
            .starts_with("interface ethernet 1/3  ! profile missing: nowhere; only its system VLANs pass\n"),
        "{expanded}"
    );
    let note = rig.admin.configure("port-profile base\n system vlan 30\n").unwrap().to_string();
    assert_eq!(
        note,
        "Warning: port-profile base does not carry VLAN 30; as a system VLAN it does not pass either.\n"
    );

    // On a vEth, with and without its profile enabled.
    rig.configure("interface ethernet 1/3\n no inherit port-profile\n").unwrap();
    rig.configure("port-profile web\n switchport access vlan 10\ninterface vethernet 1\n no switchport access vlan\n inherit port-profile web\n").unwrap();
    assert_eq!(rig.passes(), (false, false));
    rig.configure("port-profile web\n system vlan 10\n").unwrap();
    assert_eq!(rig.passes(), (true, true));
    let shown = rig.text("show interface vethernet 1");
    assert!(shown.contains("Belongs to port-profile web, of which only the system VLANs pass\n"), "{shown}");
    rig.configure("port-profile web\n state enabled\n").unwrap();
    assert_eq!(rig.passes(), (true, true));
    rig.configure("port-profile web\n switchport access vlan 11\n no state enabled\n").unwrap();
    assert_eq!(rig.passes(), (false, false));
}

#[test]
fn a_port_that_is_shut_is_no_uplink() {
    let mut rig = Rig::new();
    rig.configure(VETH).unwrap();
    rig.configure("interface vethernet 1\n uplink-fail-action link-down\n").unwrap();
    let state = |rig: &Rig| rig.show("show interface vethernet 1")["cause"].clone();
    assert_eq!(state(&rig), Value::Null);
    rig.configure("interface ethernet 1/3\n shutdown\n").unwrap();
    assert_eq!(state(&rig), Value::from("uplink lost"));
    rig.configure("interface ethernet 1/3\n no shutdown\n").unwrap();
    assert_eq!(state(&rig), Value::Null);
}

#[test]
fn what_counts_on_a_port_is_shown_with_its_origin() {
    let mut rig = Rig::new();
    rig.configure(&format!("{UPLINKS} description to the rack\n mtu 9000\n")).unwrap();
    rig.configure("port-profile uplinks\n state enabled\n").unwrap();
    assert_eq!(
        rig.text("show running-config interface ethernet 1/3 expand-port-profile"),
        "\
interface ethernet 1/3
  description to the rack
  inherit port-profile uplinks
  switchport mode trunk                ! chassis
  switchport trunk allowed vlan 10,20  ! port-profile base
  mtu 9000
"
    );
    assert_eq!(
        rig.text("show running-config interface ethernet 1/3"),
        "interface ethernet 1/3\n  description to the rack\n  inherit port-profile uplinks\n  mtu 9000\n"
    );
    let lines = &rig.show("show running-config interface ethernet 1/3 expand-port-profile")["lines"];
    assert_eq!(lines[2], serde_json::json!({ "line": "switchport mode trunk", "origin": "chassis" }));
    let profile = &rig.show("show port-profile name uplinks")[0];
    assert_eq!(
        (&profile["type"], &profile["interfaces"]),
        (&"ethernet".into(), &serde_json::json!(["ethernet1/3"]))
    );
    let usage = &rig.show("show port-profile usage")[0];
    assert_eq!((&usage["profile"], &usage["interface"]), (&"uplinks".into(), &"ethernet1/3".into()));
    let expanded = rig.text("show port-profile expand-interface name uplinks");
    assert!(expanded.starts_with("port-profile uplinks\nEthernet1/3\n"), "{expanded}");
    assert!(
        rig.text("show port-profile brief")
            .lines()
            .any(|line| line.starts_with("uplinks") && line.contains("ethernet"))
    );

    // Back and forth, by a checkpoint and by the lines that make the difference.
    let before = rig.text("show running-config");
    rig.text("checkpoint with");
    rig.configure(
        "interface ethernet 1/3\n no inherit port-profile\nno port-profile uplinks\nno port-profile base\n\
         port-profile type vethernet base\ninterface ethernet 1/3\n switchport mode vntag\n",
    )
    .unwrap();
    let after = rig.text("show running-config");
    let patch = rig.text("show diff rollback-patch running-config checkpoint with");
    rig.configure(&patch).unwrap();
    assert_eq!(rig.text("show running-config"), before, "{patch}");
    rig.text("checkpoint again");
    rig.configure(&after).unwrap_err();
    rig.text("rollback running-config checkpoint with");
    assert_eq!(rig.text("show running-config"), before);
}
