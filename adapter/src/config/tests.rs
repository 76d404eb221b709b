use super::settings::Settings;
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

const NIV: &str = r#"
[firmware]
carrier_delay = 0
fault = { seed = 7, rules = ["VIF_CREATE nth 3 refuse ERROR"] }

[[link]]
name = "link0"
device = "memif:/run/niv/link0.sock"

[[link]]
name = "link1"
device = "memif:/run/niv/link1.sock"
negotiation = "niv"

[[link]]
name = "tester"
device = "packet:veth0"
negotiation = "off"

[[vnic]]
name = "vnic0"
device = "vhost-user:/run/niv/vnic0.sock"
link = "link0"
uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
vm = "web 1"
channel = 7
backup = "link1"
link_signal = "qmp:/run/vm1.qmp"

[[vnic]]
name = "vnic1"
device = "tap:guest1"
link = "link1"
"#;

fn judge(text: &str) -> Result<AdapterConfig, ConfigError> {
    AdapterConfig::from_file(&File::new("adapter.toml", text))
}

#[test]
fn a_good_static_file_means_what_it_says() {
    let config = judge(GOOD).unwrap();
    assert_eq!((config.links.len(), config.vnics.len()), (1, 2));
    assert_eq!(config.links[0].negotiation, Negotiation::Off);
    let vnic = &config.vnics[0];
    let (vif, params) = vnic.fixed().unwrap();
    assert_eq!((vif.get(), params.default_vlan, params.allowed_priorities), (5, 10, 0b1001));
    assert_eq!(vnic.mac.map(|mac| mac.to_string()).as_deref(), Some("52:54:00:00:00:01"));
    assert_eq!(config.links[0].lists[0].1.len(), 3);
    assert_eq!(config.warnings, ["list 1 on link0: VIF 7 is no vNIC's and gets nothing"]);
}

#[test]
fn a_good_negotiated_file_means_what_it_says() {
    let config = judge(NIV).unwrap();
    assert!(config.links[..2].iter().all(|link| link.negotiation == Negotiation::Niv));
    assert_eq!((config.firmware.carrier_delay, config.firmware.hold), (0, 60));
    assert_eq!((config.firmware.faults.seed, config.firmware.faults.rules.len()), (7, 1));
    let [vnic0, vnic1] = &config.vnics[..] else { panic!("two vNICs") };
    let link_signal = LinkSignal::Qmp("/run/vm1.qmp".into());
    assert_eq!(vnic0.attachment, Attachment::Negotiated { channel: Some(7), backup: Some(1), link_signal });
    assert_eq!(vnic0.uuid.unwrap().to_string(), "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    assert_eq!((vnic0.vm.as_deref(), vnic0.fixed()), (Some("web 1"), None));
    // A tap keeps its carrier.
    let link_signal = LinkSignal::None;
    assert_eq!(vnic1.attachment, Attachment::Negotiated { channel: None, backup: None, link_signal });
}

fn mistakes(good: &str, cases: &[(&str, &str, &str)]) {
    for (right, wrong, want) in cases {
        assert!(good.contains(right), "{right}");
        let error = judge(&good.replacen(right, wrong, 1)).unwrap_err().to_string();
        assert!(error.contains(want), "{right} -> {wrong}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_mistake_is_one_line_that_names_its_place() {
    let cases = [
        (
            "negotiation = \"off\"\n",
            "",
            "adapter.toml:17: [[vnic]] vnic0: key \"vif\": the VIF is the switch's to say on a link with negotiation = \"niv\"",
        ),
        ("\"off\"", "\"on\"", "adapter.toml:9: [[link]] link0: key \"negotiation\": \"on\" is not one of"),
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
        ("\"webservers\"", "\"web?\"", "key \"profile\": 1 to 39 printing ASCII characters"),
        ("tap:guest1", "memif:/x", "key \"device\": a vNIC is vhost-user:, tap:, packet: or xdp:"),
        ("memif:/run/niv/link0.sock", "vhost-user:/x", "[[link]] link0: key \"device\": a guest's interface"),
        ("id = 1", "id = 0", "key \"id\": 1 to 16383 are allowed"),
        ("[5, 6, 7]", "[5, 5]", "key \"members\": VIF 5 is there twice"),
        ("name = \"vnic1\"", "name = \"vnic0\"", "key \"name\": there is a \"vnic0\" already"),
        ("profile =", "profil =", "unknown key \"profil\" (did you mean \"profile\"?)"),
        (
            "queues = 1",
            "backup = \"link1\"",
            "key \"backup\": has no meaning on a link with negotiation = \"off\"",
        ),
        ("queues = 1", "channel = 7", "key \"channel\": without negotiation the channel is the VIF, 5"),
        ("api =", "workers = 65\napi =", "[node]: key \"workers\": 1 to 64 are allowed"),
    ];
    mistakes(GOOD, &cases);
}

#[test]
fn a_mistake_about_negotiation_is_one_line_too() {
    let cases = [
        (
            "carrier_delay = 0",
            "carrier_delay = 61",
            "[firmware]: key \"carrier_delay\": 61 is out of range, 0 to 60",
        ),
        ("carrier_delay = 0", "hold = 0", "[firmware]: key \"hold\": 0 is out of range, 1 to 86400"),
        ("nth 3 refuse", "nth 3 lose", "key \"fault.rules\": a rule is OPERATION nth|every|percent N"),
        ("VIF_CREATE nth", "HELLO nth", "no fault can be put on this operation"),
        ("refuse ERROR", "forget", "a request of the adapter's own can only be refused"),
        ("channel = 7", "vlan = 7", "key \"vlan\": the VLAN is the switch's to say"),
        ("channel = 7", "channel = 0", "key \"channel\": 0 is out of range, 1 to 65535"),
        ("\"link1\"\nlink_signal", "\"link0\"\nlink_signal", "key \"backup\": is the vNIC's link already"),
        (
            "\"link1\"\nlink_signal",
            "\"tester\"\nlink_signal",
            "key \"backup\": this link has negotiation = \"off\"",
        ),
        (
            "\"link1\"\nlink_signal",
            "\"link7\"\nlink_signal",
            "no [[link]] is called \"link7\"; there is \"link0\", ",
        ),
        ("qmp:/run/vm1.qmp", "carrier", "key \"link_signal\": \"carrier\" is no way to signal a link"),
        ("tap:guest1\"", "tap:guest1\"\nlink_signal = \"socket\"", "only a vhost-user: vNIC has a guest"),
        ("tap:guest1\"", "tap:guest1\"\nchannel = 7", "key \"channel\": channel 7 is vnic0's already"),
        ("6ba7b810-", "6ba7b810", "key \"uuid\": `6ba7b8109dad-11d1-80b4-00c04fd430c8` is not a UUID"),
        (
            "[firmware]",
            "[[list]]\nlink = \"link0\"\nid = 1\nmembers = []\n[firmware]",
            "the switch sets the lists of a link",
        ),
    ];
    mistakes(NIV, &cases);
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
    assert_eq!((config.vnics[0].fixed(), config.links[0].negotiation), (None, Negotiation::Niv));
    assert_eq!(config.links[0].options.device.to_string(), "memif:niv-run/link0.sock");
    assert_eq!(config.vnics[0].options.device.to_string(), "vhost-user:niv-run/vnic0.sock");
}

#[test]
fn settings_of_a_command_mean_what_a_section_means() {
    let config = judge(NIV).unwrap();
    let judge = |words: &str| {
        let mut settings = Settings::default();
        settings.apply(words).map_err(|error| error.to_string())?;
        settings.judge("new", &config.links, config.vnics.iter()).map_err(|error| error.to_string())
    };
    let words = "device vhost-user:/run/a\\b\".sock link link0 uuid 6ba7b810-9dad-11d1-80b4-00c04fd430c8 \
                 queues 2 packed true backup link1 socket_mode 0600 channel 8 profile web";
    let vnic = judge(words).unwrap();
    assert_eq!(vnic.options.device.to_string(), "vhost-user:/run/a\\b\".sock");
    assert_eq!((vnic.queues, vnic.socket_mode, vnic.channel()), (2, Some(0o600), Some(8)));
    assert!(vnic.packed && !config.vnics[0].packed);
    let fixed = judge("device tap:x link tester vif 09 vlan 7 priorities 0,3 vlan_mode trunk").unwrap();
    assert_eq!(fixed.fixed().unwrap().1.allowed_priorities, 0b1001);
    for (words, error) in [
        ("device", "\"device\": a value is missing"),
        ("device vhost-user:x link link0 packed on", "key \"packed\": \"on\" is neither true nor false"),
        ("device tap:x link link0 packed true", "key \"packed\": only a vhost-user: vNIC has rings"),
        ("no", "\"no\": a key is missing"),
        ("no mac", "\"mac\" is not set"),
        ("device tap:x", "key \"link\" is missing"),
        (
            "device tap:x link link9",
            "key \"link\": no [[link]] is called \"link9\"; there is \"link0\", \"link1\", \"tester\"",
        ),
        (
            "device tap:x link link0 vif 5",
            "key \"vif\": the VIF is the switch's to say on a link with negotiation = \"niv\"",
        ),
        ("device tap:x link link0 channel 7", "key \"channel\": channel 7 is vnic0's already"),
        ("device tap:x link link0 channel x", "key \"channel\": \"x\" is no number"),
        ("device tap:x link link0 profil y", "unknown key \"profil\" (did you mean \"profile\"?)"),
        ("device tap:x link link0 a.b y", "unknown key \"a.b\""),
        ("device tap:x link link0 fault y", "\"fault\" cannot be set by a command"),
        ("device tap:x link link0 name y", "\"name\" cannot be set by a command"),
        ("device nonsense link link0", "key \"device\": "),
    ] {
        let said = judge(words).unwrap_err();
        assert!(said.starts_with(error), "{words}: {said}");
    }
}

#[test]
fn settings_change_one_by_one_or_not_at_all() {
    let mut settings = Settings::default();
    settings.apply("device tap:x link link0 profile web").unwrap();
    settings.apply("profile db no link vm a").unwrap();
    assert_eq!(settings.iter().collect::<Vec<_>>(), [("device", "tap:x"), ("profile", "db"), ("vm", "a")]);
    let before = settings.clone();
    assert!(settings.apply("vm b no link").is_err());
    assert_eq!(settings, before);
}
