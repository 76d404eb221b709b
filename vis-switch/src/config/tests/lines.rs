use super::*;
use crate::config::running::{Binding, UplinkFail};
use crate::config::text::{running_config, spans};

#[test]
fn what_was_typed_is_shown_and_no_more() {
    let config = configure(&initial(), LINES).unwrap();
    assert_eq!(
        running_config(&config),
        "\
no vethernet auto-create
vethernet hold 120
carrier-delay 0
!
port-profile type vethernet backup
  switchport mode trunk
  switchport trunk allowed vlan 20-29
!
port-profile type vethernet webservers
  description web servers of the lab
  switchport access vlan 10
  uplink-fail-action link-down
  max-ports 100
  state enabled
!
interface ethernet 1/1
  switchport mode vntag
  vif-list 1 members 5-6
  vif-list 2 members 6
!
interface ethernet 1/2
  description to the rack
  switchport trunk allowed vlan 1-29,31-4094
!
interface ethernet 1/3
!
interface ethernet 1/4
  switchport mode vntag
!
interface vethernet 1
  switchport access vlan 10
  bind interface ethernet 1/1 channel 5
!
interface vethernet 2
  switchport mode trunk
  switchport trunk native vlan 10
  switchport trunk allowed vlan 10,20-29
  mtu 9000
  bind interface ethernet 1/1 channel 6
!
interface vethernet 7
  description the first of its kind
  inherit port-profile webservers
  uplink-fail-action warning
  bind mac 5254.0000.0001
  shutdown
!
interface vethernet 8
  bind interface ethernet 1/4 channel 65535
!
"
    );
    assert_eq!(configure(&initial(), &running_config(&config)).unwrap(), config);
}

#[test]
fn every_line_has_its_no() {
    let config = configure(&initial(), LINES).unwrap();
    let undone = "\
vethernet auto-create
no vethernet hold
no carrier-delay 0
interface vethernet 2
  no switchport mode trunk
  no switchport access vlan
  no switchport trunk native vlan 10
  no switchport trunk allowed vlan
  no mtu
  no bind interface ethernet 1/1 channel 6
interface vethernet 7
  no description
  no inherit port-profile webservers
  no bind interface
  no bind mac 5254.0000.0001
  no uplink-fail-action
  default shutdown
interface ethernet 1/1
  no vif-list 1 members 5-6
  no vif-list 2
interface ethernet 1/2
  no description
  no switchport trunk allowed vlan
port-profile webservers
  no description
  no switchport access vlan
  no uplink-fail-action link-down
  no max-ports
  no state
";
    let mut wanted = initial();
    for number in [2, 7] {
        wanted.make_vethernet(number).unwrap();
    }
    wanted.make_port_profile(&name("webservers"), None).unwrap();
    let rest = "no interface vethernet 1, 8\nno port-profile type vethernet backup";
    assert_eq!(configure(&config, &format!("{undone}{rest}")).unwrap(), wanted);
    let rest = "no interface vethernet 2, 7\nno port-profile webservers";
    assert_eq!(configure(&wanted, rest).unwrap(), initial());
}

#[test]
fn default_sets_back() {
    let lines = "\
no vethernet auto-create
carrier-delay 9
port-profile default
  no state
  mtu 9000
port-profile web
  state enabled
interface vethernet 1-2
  mtu 9000
  shutdown
  bind mac 5254.0000.0001
";
    let config =
        configure(&initial(), lines.replace("  bind mac", "interface vethernet 1\n  bind mac").as_str())
            .unwrap();
    let back = "\
default vethernet auto-create
default carrier-delay
port-profile default
  default state
  default mtu
port-profile web
  default state enabled
default interface vethernet 1-2
";
    let again = configure(&config, back).unwrap();
    let mut wanted = initial();
    wanted.make_port_profile(&name("web"), None).unwrap();
    (1..=2).for_each(|number| wanted.make_vethernet(number).unwrap());
    assert_eq!(again, wanted);
    for refused in ["default port-profile web", "default interface vethernet 3", "default feature vmfex"] {
        assert!(configure(&config, refused).is_err(), "{refused}");
    }
}

#[test]
fn one_line_for_many_vethernets() {
    let config =
        configure(&initial(), "int veth1-3, 15\n sw acc vlan 10\n sw tr all vlan add 5\n shut").unwrap();
    assert_eq!(config.vethernets().keys().copied().collect::<Vec<_>>(), [1, 2, 3, 15]);
    for vethernet in config.vethernets().values() {
        assert_eq!((vethernet.switchport.access, vethernet.switchport.shutdown), (Some(10), Some(true)));
    }
    assert_eq!(configure(&config, "no interface vethernet 1-3,15").unwrap(), initial());
}

#[test]
fn what_is_bound_is_found() {
    let config = configure(&initial(), LINES).unwrap();
    let channel = |port, channel| Binding::Channel { port: EthernetId { slot: 1, port }, channel };
    let mac = Binding::Mac("5254.0000.0001".parse().unwrap());
    let found =
        |config: &RunningConfig| [channel(1, 5), channel(4, 65_535), mac].map(|at| config.bound_to(at));
    assert_eq!(found(&config), [Some(1), Some(8), Some(7)]);
    // One binding at a time: the new one is instead of the old.
    let config = configure(&config, "int veth 7\n bind int eth 1/4 channel 1\nno int veth 1").unwrap();
    assert_eq!(found(&config), [None, Some(8), None]);
    assert_eq!(config.vethernets()[&7].binding(), Some(channel(4, 1)));
}

#[test]
fn what_a_nexus_needs_is_accepted() {
    let lines = "install feature-set virtualization\nfeature-set virtualization\nfeature vmfex\n\
                 vethernet auto-create\ninterface ethernet 1/4\n switchport mode vntag";
    assert_eq!(configure(&initial(), lines).unwrap(), initial());
}

#[test]
fn a_profile_that_cannot_be_applied_is_accepted_with_a_note() {
    let note = |lines: &str| {
        let mut session = Session { config: initial(), selected: None, asked: BTreeMap::new() };
        run(&mut session, lines).unwrap().to_string()
    };
    assert!(note("interface vethernet 1\n inherit port-profile web").contains("web does not exist"));
    assert!(
        note("port-profile web\ninterface vethernet 1\n inherit port-profile web")
            .contains("web is disabled")
    );
    assert_eq!(
        note("port-profile web\n state enabled\ninterface vethernet 1\n inherit port-profile web"),
        ""
    );
    assert_eq!(note("interface vethernet 1\n inherit port-profile default"), "");
}

#[test]
fn the_built_in_profile_can_be_changed() {
    let config =
        configure(&initial(), "port-profile default\n no state enabled\n switchport access vlan 7").unwrap();
    let text = running_config(&config);
    let lines = "port-profile type vethernet default\n  switchport access vlan 7\n  no state enabled\n!\n";
    assert!(text.starts_with(lines), "{text}");
    assert_eq!(configure(&initial(), &text).unwrap(), config);
}

#[test]
fn small_vlan_sets_grow_from_what_is_in_force() {
    let mut session = Session { config: initial(), selected: None, asked: [(9, name("trunks"))].into() };
    let lines = "\
port-profile trunks
 switchport trunk allowed vlan 20-22
 state enabled
interface vethernet 8
 inherit port-profile trunks
interface vethernet 7-9
 switchport trunk allowed vlan remove 21
";
    run(&mut session, lines).unwrap();
    let text = running_config(&session.config);
    for (number, vlans) in [(7, "1-20,22-4094"), (8, "20,22"), (9, "20,22")] {
        let (_, section) = text.split_once(&format!("interface vethernet {number}\n")).unwrap();
        let (section, _) = section.split_once('!').unwrap();
        assert!(
            section.ends_with(&format!("  switchport trunk allowed vlan {vlans}\n")),
            "{number}: {section}"
        );
    }
}

#[test]
fn uplink_fail_action_is_a_word() {
    let config = configure(&initial(), "int veth 1\n uplink-fail-action link-down").unwrap();
    assert_eq!(config.vethernets()[&1].uplink_fail, Some(UplinkFail::LinkDown));
}

#[test]
fn small_texts() {
    assert_eq!(spans([1, 2, 3, 5, 7, 8]), "1-3,5,7-8");
    assert_eq!(EthernetId::from_name("ethernet1/2"), Some(EthernetId { slot: 1, port: 2 }));
    for wrong in
        ["ethernet", "ethernet1", "ethernet1/", "ethernet0/1", "ethernet1/+2", "ethernet1/2/3", "eth1/1"]
    {
        assert_eq!(EthernetId::from_name(wrong), None, "{wrong}");
    }
}

#[test]
fn a_profile_may_shut_its_interfaces_and_one_of_them_may_stay() {
    let config = configure(
        &initial(),
        "port-profile off\n shutdown\n state enabled\nport-profile on\n no shutdown\n inherit port-profile off\n state enabled\n\
         interface veth 1-3\n inherit port-profile off\ninterface veth 2\n no shutdown\ninterface veth 3\n inherit port-profile on\n",
    )
    .unwrap();
    let shut =
        |config: &RunningConfig| [1, 2, 3].map(|number| config.effective(number, None).switchport.shutdown);
    assert_eq!(shut(&config), [true, false, false]);
    assert!(running_config(&config).contains("  inherit port-profile off\n  no shutdown\n"));
    let config = configure(&config, "interface veth 1-3\n default shutdown").unwrap();
    assert_eq!(shut(&config), [true, true, false]);
    let config =
        configure(&config, "port-profile off\n default shutdown\ninterface veth 2\n shutdown").unwrap();
    assert_eq!(shut(&config), [false, true, false]);
}
