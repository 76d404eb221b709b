use super::*;
use crate::config::running::{Binding, Vethernet};

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
fn ports_begin_as_the_file_says() {
    let chassis = read_chassis();
    let mut wanted = initial();
    assert_eq!(chassis.names(), wanted.ethernets().keys().take(3).copied().collect::<Vec<_>>());
    assert_eq!(chassis.ports.iter().map(|port| port.negotiation).collect::<Vec<_>>(), [false, true, false]);
    wanted = RunningConfig::new(wanted.ethernets().clone().into_iter().take(3));
    assert_eq!(chassis.initial(), wanted);
}

#[test]
fn the_built_in_chassis_is_whole() {
    let chassis = Chassis::without_file().unwrap();
    let config = configure(&chassis.initial(), chassis.built_in).unwrap();
    let bound: Vec<_> = config.vethernets().values().map(Vethernet::binding).collect();
    let binding = Binding::Channel { port: chassis.names()[0], channel: 1 };
    assert_eq!(bound, [Some(binding)]);
    let ethernets: Vec<_> = config.ethernets().values().collect();
    assert!(matches!(ethernets[..], [port] if port.mode == PortMode::Vntag && port.lists.len() == 1));
}
