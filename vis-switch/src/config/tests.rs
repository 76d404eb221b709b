use super::chassis::Chassis;
use super::commands::{Candidate, Selected, commands};
use super::running::{EthernetId, RunningConfig};
use super::slots::{Owner, Slots};
use super::text::{running_config, spans};
use crate::engine::tables::PortPlan;
use niv_node::command::{CommandError, Table};
use niv_node::config::File;

const CHASSIS: &str = r#"
[node]
name = "vis0"

[[port]]
name = "ethernet1/1"
mode = "vntag"
device = "memif:link0.sock"
negotiation = "off"

[[port]]
name = "ethernet1/2"
mode = "trunk"
device = "tap:visup0"

[[port]]
name = "ethernet1/3"
device = "packet:eth0"
negotiation = "off"
"#;

struct Session {
    config: RunningConfig,
    selected: Option<Selected>,
}

impl Candidate for Session {
    fn config(&mut self) -> &mut RunningConfig {
        &mut self.config
    }
    fn selected(&mut self) -> &mut Option<Selected> {
        &mut self.selected
    }
}

fn chassis() -> Chassis {
    Chassis::from_file(&File::new("vis.toml", CHASSIS)).unwrap()
}

fn configure(config: &RunningConfig, text: &str) -> Result<RunningConfig, CommandError> {
    let table = Table::new(commands(), &[]);
    let mut session = Session { config: config.clone(), selected: None };
    table.configure(&mut session, text)?;
    Ok(session.config)
}

const LINES: &str = "\
interface vethernet 1
  switchport mode access
  switchport access vlan 10
  bind interface ethernet 1/1 channel 5
interface vethernet 2
  switchport mode trunk
  switchport trunk native vlan 10
  switchport trunk allowed vlan 10,20-29
  bind interface ethernet 1/1 channel 6
  mtu 9000
interface ethernet 1/1
  vif-list 1 members 5-6
  vif-list 2 members 6
interface ethernet 1/2
  switchport trunk allowed vlan except 30
";

#[test]
fn lines_make_a_configuration_and_it_makes_the_same_lines() {
    let config = configure(&chassis().initial(), LINES).unwrap();
    let text = running_config(&config);
    assert_eq!(configure(&chassis().initial(), &text).unwrap(), config);
    assert_eq!(
        text,
        "\
interface ethernet 1/1
  switchport mode vntag
  vif-list 1 members 5-6
  vif-list 2 members 6
!
interface ethernet 1/2
  switchport mode trunk
  switchport trunk allowed vlan 1-29,31-4094
!
interface ethernet 1/3
  switchport mode access
!
interface vethernet 1
  switchport mode access
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
"
    );
}

#[test]
fn every_line_has_its_no() {
    let initial = chassis().initial();
    let config = configure(&initial, LINES).unwrap();
    let undone = "\
interface vethernet 2
  no switchport mode trunk
  no switchport access vlan
  no switchport trunk native vlan 10
  no switchport trunk allowed vlan
  no mtu
  no bind interface ethernet 1/1 channel 6
interface ethernet 1/1
  no vif-list 1 members 5-6
  no vif-list 2
interface ethernet 1/2
  no switchport trunk allowed vlan
no interface vethernet 1
no interface vethernet 2
";
    assert_eq!(configure(&config, undone).unwrap(), initial);
}

#[test]
fn what_cannot_be_is_refused_where_it_stands() {
    let config = configure(&chassis().initial(), LINES).unwrap();
    let cases = [
        ("interface vethernet 3\n bind interface ethernet 1/2 channel 7", 2, 26, "not in vntag mode"),
        ("interface vethernet 3\n bind interface ethernet 1/9 channel 7", 2, 26, "no port ethernet 1/9"),
        (
            "interface vethernet 3\n bind interface ethernet 1/1 channel 5",
            2,
            38,
            "bound to vethernet 1 already",
        ),
        ("interface vethernet 3\n bind interface ethernet 1/1 channel 4095", 2, 38, "the channel is the VIF"),
        ("interface vethernet 1\n no bind interface ethernet 1/1 channel 6", 2, 41, "not bound there"),
        ("interface ethernet 1/1\n vif-list 3 members 5,6", 2, 21, "vif-list 1 of ethernet 1/1"),
        ("interface ethernet 1/2\n vif-list 3 members 5", 2, 21, "not in vntag mode"),
        ("interface ethernet 1/1\n no vif-list 9", 2, 14, "no vif-list 9"),
        ("interface ethernet 1/1\n switchport mode trunk", 2, 2, "vif-list 1"),
        (
            "interface ethernet 1/1\n no vif-list 1\n no vif-list 2\n switchport mode trunk",
            4,
            2,
            "vethernet 1 is bound",
        ),
        ("interface ethernet 1/2\n switchport mode vntag", 2, 2, "negotiation = \"off\""),
        ("interface ethernet 2/1", 1, 20, "there are 1/1, 1/2, 1/3"),
        ("no interface vethernet 7", 1, 24, "no interface vethernet 7"),
        ("interface vethernet 1\n switchport access vlan 4095", 2, 25, "range"),
        ("interface vethernet 1\n switchport mode vntag", 2, 18, "Invalid"),
    ];
    for (text, line, column, part) in cases {
        let error = configure(&config, text).unwrap_err();
        assert_eq!((error.line, error.column), (Some(line), column), "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
    }
    // A port whose link does not negotiate may become one.
    assert!(configure(&config, "interface ethernet 1/3\n switchport mode vntag").is_ok());
}

#[test]
fn mistakes_in_the_file_are_named() {
    let cases = [
        (
            "negotiation = \"off\"\n\n[[port]]\nname = \"ethernet1/2\"",
            "\n\n[[port]]\nname = \"ethernet1/2\"",
            "vis.toml:5: [[port]] ethernet1/1: key \"negotiation\" is \"niv\" where left out",
            "\"off\"",
        ),
        (
            "\"off\"\n\n[[port]]\nname = \"ethernet1/2\"",
            "\"niv\"\n\n[[port]]\nname = \"ethernet1/2\"",
            "vis.toml:9: [[port]] ethernet1/1: key \"negotiation\"",
            "\"off\"",
        ),
        (
            "name = \"ethernet1/2\"",
            "name = \"eth2\"",
            "vis.toml:12: [[port]] eth2: key \"name\"",
            "ethernet1/1",
        ),
        (
            "name = \"ethernet1/2\"",
            "name = \"ethernet1/1\"",
            "vis.toml:12: [[port]] ethernet1/1: key \"name\"",
            "another",
        ),
        (
            "\"tap:visup0\"",
            "\"vhost-user:a.sock\"",
            "vis.toml:14: [[port]] ethernet1/2: key \"device\"",
            "[[vnic]]",
        ),
        ("name = \"vis0\"", "workers = 2", "vis.toml:3: [node]: key \"workers\"", "only 1"),
        ("mode = \"trunk\"", "mode = \"tagged\"", "vis.toml:13: [[port]] ethernet1/2: key \"mode\"", "trunk"),
        (
            "mode = \"trunk\"",
            "vlan = 7",
            "vis.toml:13: [[port]] ethernet1/2: unknown key \"vlan\"",
            "negotiation",
        ),
    ];
    for (old, new, begin, part) in cases {
        assert!(CHASSIS.contains(old), "{old}");
        let error = Chassis::from_file(&File::new("vis.toml", CHASSIS.replacen(old, new, 1))).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(begin) && text.contains(part), "{text}");
    }
}

#[test]
fn the_built_in_chassis_is_whole() {
    let chassis = Chassis::without_file().unwrap();
    let config = configure(&chassis.initial(), chassis.built_in).unwrap();
    let plan = Slots::default().plan(&config, &chassis.names());
    assert_eq!(plan.lifs.len(), 1);
    assert!(matches!(&plan.ports[..], [PortPlan::Niv { lists }] if lists.len() == 1));
}

#[test]
fn slots_stay_with_their_owners() {
    let chassis = chassis();
    let mut slots = Slots::default();
    let mut config = configure(&chassis.initial(), LINES).unwrap();
    let id = |slots: &Slots, owner: Owner| {
        slots.by_slot().iter().find(|(_, other)| **other == owner).map(|(id, _)| *id)
    };
    let plan = slots.plan(&config, &chassis.names());
    assert_eq!(plan.lifs.len(), 4, "two ordinary ports and two vEths");
    let first = id(&slots, Owner::Vethernet(1));
    let second = id(&slots, Owner::Vethernet(2)).unwrap();
    let generation = |plan: &crate::engine::tables::Plan, id| {
        plan.lifs.iter().find(|planned| planned.id == id).map(|planned| planned.lif.generation)
    };
    let before = generation(&plan, second);

    // Another port for the same vEth voids nothing; other VLANs do.
    config = configure(&config, "interface vethernet 2\n bind interface ethernet 1/1 channel 9").unwrap();
    assert_eq!(generation(&slots.plan(&config, &chassis.names()), second), before);
    config = configure(&config, "interface vethernet 2\n switchport trunk allowed vlan remove 20").unwrap();
    let changed = generation(&slots.plan(&config, &chassis.names()), second);
    assert_ne!(changed, before);

    // The slot of a vEth that is gone goes to the next, with a generation of its own.
    config = configure(
        &config,
        "no interface vethernet 2\ninterface vethernet 7\n bind interface ethernet 1/1 channel 9",
    )
    .unwrap();
    let plan = slots.plan(&config, &chassis.names());
    assert_eq!(id(&slots, Owner::Vethernet(7)), Some(second));
    assert_ne!(generation(&plan, second), changed);
    assert_eq!(id(&slots, Owner::Vethernet(1)), first);
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
