use super::*;

#[test]
fn mistakes_in_the_file_are_named() {
    let cases = [
        (
            "\"off\"\n\n[[port]]\nname = \"ethernet1/2\"",
            "\"on\"\n\n[[port]]\nname = \"ethernet1/2\"",
            "vis.toml:8: [[port]] ethernet1/1: key \"negotiation\"",
            "niv",
        ),
        (
            "name = \"ethernet1/2\"",
            "name = \"eth2\"",
            "vis.toml:11: [[port]] eth2: key \"name\"",
            "ethernet1/1",
        ),
        (
            "name = \"ethernet1/2\"",
            "name = \"ethernet1/1\"",
            "vis.toml:11: [[port]] ethernet1/1: key \"name\"",
            "another",
        ),
        (
            "\"tap:visup0\"",
            "\"vhost-user:a.sock\"",
            "vis.toml:13: [[port]] ethernet1/2: key \"device\"",
            "[[vnic]]",
        ),
        ("name = \"vis0\"", "workers = 65", "vis.toml:2: [node]: key \"workers\"", "1 to 64"),
        (
            "[[port]]",
            "[switch]\nmac_table_size = 1000\n[[port]]",
            "vis.toml:5: [switch]: key \"mac_table_size\"",
            "1024 to 4194304",
        ),
        ("mode = \"trunk\"", "mode = \"tagged\"", "vis.toml:12: [[port]] ethernet1/2: key \"mode\"", "trunk"),
        (
            "mode = \"trunk\"",
            "vlan = 7",
            "vis.toml:12: [[port]] ethernet1/2: unknown key \"vlan\"",
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
fn ports_begin_as_the_file_says() {
    let chassis = read_chassis();
    let mut wanted = initial();
    assert_eq!(chassis.names(), wanted.ethernets().keys().take(3).copied().collect::<Vec<_>>());
    assert_eq!(chassis.ports.iter().map(|port| port.negotiation).collect::<Vec<_>>(), [false, true, false]);
    wanted = RunningConfig::new(wanted.ethernets().clone().into_iter().take(3));
    assert_eq!(chassis.initial(), wanted);
}

#[test]
fn the_built_in_chassis_is_one_link_that_negotiates() {
    let chassis = Chassis::without_file().unwrap();
    let ports: Vec<_> = chassis.ports.iter().map(|port| (port.id.to_string(), port.negotiation)).collect();
    assert_eq!(ports, [("1/1".to_owned(), true)]);
    assert_eq!(chassis.ports[0].initial.mode(), PortMode::Vntag);
    assert!(chassis.initial().auto_create());
    assert_eq!(chassis.mac_table_size, 32_768);
}

#[test]
fn a_link_negotiates_unless_the_file_says_otherwise() {
    for (written, negotiation) in
        [("negotiation = \"off\"\n", false), ("negotiation = \"niv\"\n", true), ("", true)]
    {
        let text = CHASSIS.replacen("negotiation = \"off\"\n", written, 1);
        let chassis = Chassis::from_file(&File::new("vis.toml", text)).unwrap();
        assert_eq!(chassis.ports[0].negotiation, negotiation, "{written}");
        assert_eq!(
            chassis.initial().ethernets()[&chassis.ports[0].id].negotiation(),
            negotiation,
            "{written}"
        );
    }
}
