use super::*;
use crate::config::running::{ProfileFault, UplinkFail};

/// Mode, access VLAN, MTU and uplink-fail-action in force, or the fault.
fn in_force(config: &RunningConfig, number: u32, asked: Option<&str>) -> String {
    let asked = asked.map(name);
    let effective = config.effective(number, asked.as_ref());
    let port = &effective.switchport;
    let fault = effective.profile.err().map_or_else(|| "ok".to_owned(), |fault| fault.to_string());
    format!("{:?} {} {} {:?}, {fault}", port.mode, port.access, port.mtu, effective.uplink_fail)
}

#[test]
fn interface_over_profile_over_default() {
    let lines = "\
port-profile web
 switchport mode trunk
 switchport access vlan 10
 mtu 9000
 uplink-fail-action link-down
 state enabled
port-profile other
 switchport access vlan 20
 state enabled
port-profile off
 switchport access vlan 30
interface vethernet 1
 inherit port-profile web
interface vethernet 2
 inherit port-profile web
 switchport mode access
 switchport access vlan 11
 uplink-fail-action warning
interface vethernet 3
 mtu 600
";
    let config = configure(&initial(), lines).unwrap();
    let cases = [
        // What is typed goes before what is asked.
        (1, None, "Trunk 10 9000 LinkDown, ok"),
        (1, Some("other"), "Trunk 10 9000 LinkDown, ok"),
        (2, None, "Access 11 9000 Warning, ok"),
        (3, None, "Access 1 600 Warning, no port-profile"),
        (3, Some("other"), "Access 20 600 Warning, ok"),
        // Not configured at all.
        (4, Some("web"), "Trunk 10 9000 LinkDown, ok"),
        (4, Some("default"), "Access 1 1500 Warning, ok"),
        // What cannot be applied leaves no trace.
        (4, Some("off"), "Access 1 1500 Warning, profile disabled: off"),
        (4, Some("nowhere"), "Access 1 1500 Warning, profile missing: nowhere"),
        (4, None, "Access 1 1500 Warning, no port-profile"),
    ];
    for (number, asked, expected) in cases {
        assert_eq!(in_force(&config, number, asked), expected, "vEth {number}, asked {asked:?}");
    }
    let disabled = configure(&config, "port-profile web\n no state enabled").unwrap();
    assert_eq!(in_force(&disabled, 2, None), "Access 11 1500 Warning, profile disabled: web");
    assert_eq!(disabled.effective(2, None).profile, Err(ProfileFault::Disabled(name("web"))));
    assert_eq!(config.effective(9, None).uplink_fail, UplinkFail::Warning);
}

#[test]
fn a_profile_in_use_stays() {
    let lines = "port-profile web\nport-profile other\n\
                 interface vethernet 1-3, 12\n inherit port-profile web\n\
                 interface vethernet 4\n inherit port-profile other\n";
    let config = configure(&initial(), lines).unwrap();
    // Veth4 asks for web and has something else; Veth5 is not configured; Veth1 counts once.
    let asked: BTreeMap<u32, ProfileName> = [1, 4, 5, 30].map(|number| (number, name("web"))).into();
    let mut session = Session { config, selected: None, asked };
    let error = run(&mut session, "no port-profile web").unwrap_err();
    assert_eq!((error.line, error.column), (Some(1), 17));
    assert_eq!(
        error.message,
        "port-profile web is in use by 6 interfaces: Veth1, Veth2, Veth3, Veth5, Veth12, ..."
    );

    // The lines of one text count together.
    session.asked.clear();
    run(&mut session, "interface vethernet 1-3,12\n no inherit port-profile\nno port-profile web").unwrap();
    let error = run(&mut session, "no port-profile other").unwrap_err();
    assert_eq!(error.message, "port-profile other is in use by 1 interface: Veth4.");
}

#[test]
fn types_of_profiles_and_of_ports_are_kept_apart() {
    let lines = "port-profile type ethernet up\n switchport mode trunk\nport-profile web\n\
                 interface vethernet 1\n inherit port-profile web\n\
                 interface ethernet 1/2\n inherit port-profile up\n\
                 interface vethernet 2\n inherit port-profile later\n\
                 port-profile type ethernet wire\n inherit port-profile wires\n";
    let config = configure(&initial(), lines).unwrap();
    for (lines, message) in [
        (
            "interface vethernet 1\n inherit port-profile up",
            "port-profile up is of type ethernet, and cannot be on interface vethernet 1.",
        ),
        (
            "interface ethernet 1/3\n inherit port-profile web",
            "port-profile web is of type vethernet, and cannot be on interface ethernet 1/3.",
        ),
        (
            "interface ethernet 1/1\n inherit port-profile up",
            "Interface ethernet 1/1 is in vntag mode; port-profiles are for its virtual interfaces.",
        ),
        (
            "port-profile web\n inherit port-profile up",
            "port-profile up is of type ethernet, port-profile web of type vethernet.",
        ),
        ("port-profile type ethernet web", "port-profile web is of type vethernet."),
        ("no port-profile type vethernet up", "port-profile up is of type ethernet."),
        ("no port-profile up", "port-profile up is in use by 1 interface: Eth1/2."),
        (
            "port-profile type ethernet later",
            "port-profile later cannot be of type ethernet: interface vethernet 2 inherits from it.",
        ),
        (
            "port-profile wires",
            "port-profile wires cannot be of type vethernet: port-profile wire inherits from it.",
        ),
        ("port-profile up\n max-ports 3", "max-ports is for port-profiles of type vethernet."),
        (
            "port-profile up\n uplink-fail-action link-down",
            "uplink-fail-action is for port-profiles of type vethernet.",
        ),
        (
            "interface ethernet 1/2\n switchport mode vntag",
            "Ethernet 1/2 inherits port-profile up, which is nothing for an NIV link; \"no inherit port-profile\" first.",
        ),
        (
            "interface ethernet 1/3\n shutdown\n switchport mode vntag",
            "Ethernet 1/3 is shut down, which an NIV link cannot be; \"no shutdown\" first.",
        ),
        (
            "interface ethernet 1/2\n no inherit port-profile web",
            "Interface ethernet 1/2 does not inherit from that.",
        ),
    ] {
        let error = configure(&config, lines).expect_err(lines);
        assert_eq!(error.message, message, "{lines}");
    }
    // The type need not be said again, and an adapter that asks for the wrong one is told.
    let config = configure(&config, "port-profile up\n state enabled").unwrap();
    assert_eq!(config.effective(9, Some(&name("up"))).profile, Err(ProfileFault::OtherType(name("up"))));
    assert_eq!(
        config.effective_ethernet(EthernetId { slot: 1, port: 2 }).profile.map(|profile| profile.enabled),
        Ok(true)
    );
}

#[test]
fn a_link_that_becomes_a_port_lets_its_adapter_go_and_says_so() {
    let mut session = Session { config: initial(), selected: None, asked: BTreeMap::new() };
    for (lines, said) in [
        (
            "interface ethernet 1/4\n switchport mode trunk",
            "Warning: ethernet 1/4 is no NIV link any more; its adapter is let go, and the interfaces behind it go down.\n",
        ),
        ("interface ethernet 1/4\n switchport mode access", ""),
        (
            "interface ethernet 1/4\n no switchport mode",
            "Warning: ethernet 1/4 is an NIV link now; only an adapter gets anything through.\n",
        ),
        ("interface ethernet 1/4\n switchport mode vntag", ""),
    ] {
        assert_eq!(run(&mut session, lines).unwrap().to_string(), said, "{lines}");
    }
    assert_eq!(session.config, initial());
}

#[test]
fn names_of_profiles() {
    let longest = "x".repeat(80);
    for right in ["web", "Web-1_a.b:c", "default", "!", &longest] {
        assert_eq!(ProfileName::new(right).unwrap().as_str(), right);
    }
    for wrong in ["", "web servers", "web?", "web|x", "w\u{e9}b", "web\n", &format!("{longest}x")] {
        assert_eq!(ProfileName::new(wrong), None, "{wrong}");
    }
}
