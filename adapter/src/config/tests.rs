use super::*;

const GOOD: &str = r#"
[node]
name = "adapter0"
api = "/run/niv/adapter0.sock"

[[link]]
name = "link0"
device = "memif:/run/niv/link0.sock"
negotiation = "off"

[[vnic]]
name = "vnic0"
device = "vhost-user:/run/niv/vnic0.sock"
link = "link0"
mac = "52:54:00:00:00:01"
profile = "webservers"
queues = 1
vif = 5
vlan = 10
vlan_mode = "access"
priorities = [0, 3]

[[vnic]]
name = "vnic1"
device = "tap:guest1"
link = "link0"
vif = 6
vlan_mode = "native-tagged"

[[list]]
link = "link0"
id = 1
members = [5, 6, 7]
"#;

fn judge(text: &str) -> Result<AdapterConfig, ConfigError> {
    AdapterConfig::from_file(&File::new("adapter.toml", text))
}

#[test]
fn a_good_file_means_what_it_says() {
    let config = judge(GOOD).unwrap();
    assert_eq!((config.links.len(), config.vnics.len()), (1, 2));
    let vnic = &config.vnics[0];
    assert_eq!((vnic.vif.get(), vnic.params.default_vlan, vnic.params.allowed_priorities), (5, 10, 0b1001));
    assert_eq!(vnic.mac.map(|mac| mac.to_string()).as_deref(), Some("52:54:00:00:00:01"));
    assert_eq!(config.links[0].lists[0].1.len(), 3);
    assert_eq!(config.warnings, ["list 1 on link0: VIF 7 is no vNIC's and gets nothing"]);
}

#[test]
fn a_mistake_is_one_line_that_names_its_place() {
    let cases = [
        (
            "negotiation = \"off\"\n",
            "",
            "adapter.toml:6: [[link]] link0: key \"negotiation\" is \"niv\" where left out",
        ),
        (
            "\"off\"",
            "\"niv\"",
            "adapter.toml:9: [[link]] link0: key \"negotiation\": the control protocol comes",
        ),
        ("vif = 5", "vif = 0", "adapter.toml:18: [[vnic]] vnic0: key \"vif\": 0 is no VIF, 1 to 4094"),
        ("vif = 6", "vif = 5", "key \"vif\": VIF 5 of this link is vnic0's already"),
        ("vif = 6\n", "", "[[vnic]] vnic1: key \"vif\" is missing"),
        ("vlan = 10", "vlan = 4095", "key \"vlan\": 4095 is out of range, 1 to 4094"),
        (
            "\"native-tagged\"",
            "\"native\"",
            "\"native\" is not one of \"trunk\", \"access\", \"native-tagged\"",
        ),
        ("[0, 3]", "[0, 8]", "key \"priorities\": 8 is no priority"),
        ("queues = 1", "queues = 9", "key \"queues\": 9 is out of range, 1 to 8"),
        ("52:54:00:00:00:01", "53:54:00:00:00:01", "key \"mac\": a station's address"),
        ("52:54:00:00:00:01", "52:54", "`52:54` is not a MAC address"),
        ("tap:guest1", "memif:/x", "key \"device\": a vNIC is vhost-user:, tap: or packet:"),
        ("memif:/run/niv/link0.sock", "vhost-user:/x", "[[link]] link0: key \"device\": a guest's interface"),
        ("id = 1", "id = 0", "key \"id\": 1 to 16383 are allowed"),
        ("[5, 6, 7]", "[5, 5]", "key \"members\": VIF 5 is there twice"),
        ("name = \"vnic1\"", "name = \"vnic0\"", "key \"name\": there is a \"vnic0\" already"),
        ("profile =", "profil =", "unknown key \"profil\" (did you mean \"profile\"?)"),
        ("queues = 1", "backup = \"link1\"", "key \"backup\": needs the control protocol"),
        ("queues = 1", "channel = 7", "key \"channel\": without negotiation the channel is the VIF, 5"),
        ("api =", "workers = 2\napi =", "[node]: key \"workers\": this release moves frames with 1 worker"),
    ];
    for (good, bad, want) in cases {
        assert!(GOOD.contains(good), "{good}");
        let error = judge(&GOOD.replacen(good, bad, 1)).unwrap_err().to_string();
        assert!(error.contains(want), "{good} -> {bad}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_link_name_that_does_not_exist_is_refused_with_those_that_do() {
    let error =
        judge(&GOOD.replace("link = \"link0\"\nmac", "link = \"link1\"\nmac")).unwrap_err().to_string();
    assert_eq!(
        error,
        "adapter.toml:14: [[vnic]] vnic0: key \"link\": no [[link]] is called \"link1\"; there is \"link0\""
    );
}

#[test]
fn without_a_file_there_is_one_link_and_one_vnic() {
    let config = AdapterConfig::without_file();
    assert_eq!(config.vnics[0].vif.get(), 1);
    assert_eq!(config.links[0].options.device.to_string(), "memif:niv-run/link0.sock");
    assert_eq!(config.vnics[0].options.device.to_string(), "vhost-user:niv-run/vnic0.sock");
}
