//! What both daemons and `nivctl` say to people and scripts: mistakes in files, exit codes, tables and JSON.

use super::files::{link, list, niv_port, node, port, vethernet, vif_list, vnic};
use super::place::{PATIENCE, Place};
use niv_lab::driver::{Features, Guest};
use niv_lab::world::frames::{BROADCAST, frame, mac};

fn chassis() -> String {
    node("vis0") + &niv_port(1, "memif:link0.sock") + &port(2, "trunk", "pcap:up.pcapng")
}

fn lines() -> String {
    vethernet(1, 10, 1, 5) + &vif_list(1, 1, "5")
}

fn adapter() -> String {
    node("adapter0")
        + &link("link0", "memif:link0.sock")
        + &vnic("vnic0", "vhost-user:vnic0.sock", 5, 10)
        + "mac = \"52:54:00:00:00:01\"\nprofile = \"webservers\"\nqueues = 1\nvlan_mode = \"access\"\n"
        + &list(1, &[5])
}

fn place() -> Place {
    Place::new(&[("vis0.toml", chassis()), ("vis0.cfg", lines()), ("adapter0.toml", adapter())])
}

/// The line of `text`, from 1, on which `part` is.
fn line_of(text: &str, part: &str) -> usize {
    1 + text.lines().position(|line| line.contains(part)).unwrap()
}

/// Starts a daemon on a file that is wrong: it ends with code 2 and one line.
#[track_caller]
fn refused(node: &str, text: &str) -> String {
    let place = place();
    let file = format!("{node}.toml");
    place.write(&file, text);
    let (code, said) = place.run_daemon(node, &["--config", &file]);
    assert_eq!(code, 2, "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn a_mistake_in_a_file_is_named_with_file_line_and_key() {
    for (node, right) in [("vis0", chassis()), ("adapter0", adapter())] {
        let off = "negotiation = \"off\"";
        let said = refused(node, &right.replace(off, "negotiation = \"maybe\""));
        assert!(said.contains("negotiation") && said.contains("maybe"), "{said}");

        // A key that nobody knows, in each section.
        for key in [&*format!("api = \"{node}.sock\""), off] {
            let said = refused(node, &right.replace(key, &format!("{key}\ncolour = 1")));
            let place = format!("{node}.toml:{}:", line_of(&right, key) + 1);
            assert!(said.contains(&place) && said.contains("\"colour\""), "{said}");
        }
        let said = refused(node, &(right.clone() + "\n[plot]\nthickness = 3\n"));
        assert!(said.contains("plot"), "{said}");
        let said = refused(node, &right.replace("memif:", "mumif:"));
        let place = format!("{node}.toml:{}:", line_of(&right, "memif:"));
        assert!(said.contains(&place) && said.contains("key \"device\""), "{said}");
        let said = refused(node, &right.replace(off, "negotiation = "));
        assert!(said.contains(&format!("{node}.toml:{}", line_of(&right, off))), "{said}");
        let place = Place::new(&[]);
        let (code, said) = place.run_daemon(node, &["--config", "nowhere.toml"]);
        assert!(code == 2 && said.contains("nowhere.toml"), "{code}: {said}");
        let (code, said) = place.run_daemon(node, &["--colour"]);
        assert!(code == 2 && said.contains("--colour"), "{code}: {said}");
    }
}

#[test]
fn the_keys_of_a_static_vif_are_judged() {
    let right = adapter();
    for (old, new, part) in [
        ("vif = 5", "vif = 0", "key \"vif\""),
        ("vif = 5\n", "", "\"vif\""),
        ("vlan = 10", "vlan = 4095", "key \"vlan\""),
        ("\"access\"", "\"excess\"", "excess"),
        ("52:54:00:00:00:01", "53:54:00:00:00:01", "key \"mac\""),
        ("queues = 1", "queues = 0", "key \"queues\""),
        ("link = \"link0\"\nvif", "link = \"link9\"\nvif", "link9"),
        ("members = [5]", "members = [5, 5]", "key \"members\""),
        ("id = 1", "id = 0", "key \"id\""),
        ("queues = 1", "backup = \"link0\"", "key \"backup\""),
        ("negotiation = \"off\"\n", "", "key \"vif\": the VIF is the switch's to say"),
    ] {
        assert!(right.contains(old), "{old}");
        let said = refused("adapter0", &right.replace(old, new));
        assert!(said.contains(part) && said.contains("adapter0.toml:"), "{new}: {said}");
    }
}

#[test]
fn what_cannot_be_opened_is_code_1_and_named() {
    let mut place = place();
    place.start("vis0");
    place.start("adapter0");
    for (node, part) in [("vis0", "vis0.sock"), ("adapter0", "adapter0.redb: in use by another process")] {
        let (code, said) = place.run_daemon(node, &["--config", &format!("{node}.toml")]);
        assert_eq!(code, 1, "a second one of the same files: {said}");
        assert!([part, "link0.sock", ".redb"].iter().any(|part| said.contains(part)), "{said}");
    }
    let other = adapter().replace("\"adapter0\"", "\"adapter1\"").replace("adapter0.sock", "adapter1.sock");
    place.write("adapter1.toml", &other);
    let (code, said) = place.run_daemon("adapter1", &["--config", "adapter1.toml"]);
    assert!(code == 1 && said.contains("vnic0.sock"), "{code}: {said}");
    // The first ones go on.
    place.link_up("adapter0", "link0", "vis0", "1/1");
    place.at_rest();
}

#[test]
fn a_missing_folder_is_named_once_and_whose_it_is() {
    let place = place();
    place.write("vis0.toml", &chassis().replace("link0.sock", "no/link0.sock"));
    place.write("adapter0.toml", &adapter().replace("vnic0.sock", "no/vnic0.sock"));
    for (node, said) in [
        ("vis0", "vis-switch: [[port]] ethernet1/1: memif:no/link0.sock: the folder no does not exist\n"),
        ("adapter0", "niv-adapter: vNIC vnic0: no/vnic0.sock: the folder no does not exist\n"),
    ] {
        let (code, all) = place.run_daemon(node, &["--config", &format!("{node}.toml")]);
        // The log may have lines about other things.
        assert!(
            code == 1 && all.ends_with(said) && all.matches("does not exist").count() == 1,
            "{code}: {all}"
        );
    }
}

#[test]
fn a_configuration_is_applied_whole_or_not_at_all() {
    let mut place = place();
    place.start("vis0");
    let running = |place: &Place| place.nivctl(&["--api", "vis0.sock", "show", "running-config"]).1;
    let before = running(&place);
    assert!(before.contains("interface vethernet 1"), "the startup file: {before}");

    place.write(
        "wrong.cfg",
        "interface vethernet 2\n  switchport access vlan 20\n  switchport access vlan 5000\n",
    );
    let (code, said, complained) = place.nivctl(&["--api", "vis0.sock", "configure", "wrong.cfg"]);
    assert_eq!((code, said.as_str()), (2, ""));
    assert!(complained.starts_with("wrong.cfg: line 3, column 26"), "{complained}");
    // Understood, and impossible: the channel is taken.
    place.write("taken.cfg", "interface vethernet 2\n  bind interface ethernet 1/1 channel 5\n");
    let (code, _, complained) = place.nivctl(&["--api", "vis0.sock", "configure", "taken.cfg"]);
    assert_eq!(code, 1, "{complained}");
    assert!(complained.contains("taken.cfg: line 2, column "), "{complained}");
    let (code, _, complained) = place.nivctl(&["--api", "vis0.sock", "-j", "configure", "taken.cfg"]);
    let error: serde_json::Value = serde_json::from_str(&complained).unwrap();
    assert_eq!((code, &error["error"]["line"]), (1, &2.into()));
    assert_eq!(running(&place), before);

    let right =
        "interface vethernet 2\n  switchport access vlan 20\n  bind interface ethernet 1/1 channel 6\n";
    place.write("right.cfg", right);
    assert_eq!(place.nivctl(&["--api", "vis0.sock", "configure", "right.cfg"]).0, 0);
    assert_eq!(place.show("vis0", "show interface vethernet 2")["vlan"], 20);
    // What is shown can be read again.
    place.write("again.cfg", &running(&place));
    assert_eq!(place.nivctl(&["--api", "vis0.sock", "configure", "again.cfg"]).0, 0);
    let (code, _, complained) = place.nivctl(&["--api", "vis0.sock", "configure", "nowhere.cfg"]);
    assert!(code == 2 && complained.contains("nowhere.cfg"), "{code}: {complained}");
}

/// `-j` and the table of each, and that the table has no line too much to read.
#[track_caller]
fn shows(place: &Place, node: &str, line: &str, words: &[&str]) {
    place.show(node, line);
    let api = format!("{node}.sock");
    let all: Vec<&str> = ["--api", &api].into_iter().chain(line.split(' ')).collect();
    let (code, said, complained) = place.nivctl(&all);
    assert_eq!((code, complained.as_str()), (0, ""), "{line}");
    for word in words {
        assert!(said.contains(word), "{line} has no {word}:\n{said}");
    }
    let (code, same, _) = place.nivctl(&["--api", &api, "exec", line]);
    assert_eq!((code, same.lines().count()), (0, said.lines().count()), "exec {line}");
}

#[test]
fn every_command_that_shows_something_does_so_in_both_forms() {
    let mut place = place();
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    let mut guest = Guest::connect(&place.path("vnic0.sock"), Features::default()).unwrap();
    place.vnic_up("adapter0", "vnic0");
    guest.send(&frame(BROADCAST, mac(1)).ipv4(46));
    place.port_up("vis0", "1/2");
    place.at_rest();

    for (node, lines) in [
        (
            "vis0",
            &[
                ("show interface", &["Ethernet1/1 is up", "Vethernet1 is up"][..]),
                ("show interface virtual", &["Veth1", "Eth1/1", "up"]),
                ("show interface virtual status", &["Veth1", "Eth1/1", "static"]),
                ("show interface virtual summary", &["Veth1", "static"]),
                ("show interface virtual pending", &["Total 0"]),
                ("show vethernet 1 export", &["\"number\": 1"]),
                ("show neighbors", &["Neighbor", "Total 0"]),
                ("show control statistics", &["Counter"]),
                ("show control statistics all", &["ctl_frames_unsent"]),
                ("show port-profile", &["port-profile default", "enabled"]),
                ("show port-profile brief", &["default"]),
                ("show port-profile usage", &["Port Profile"]),
                ("show port-profile expand-interface", &[]),
                ("show logging", &["%VIM-5-IF_ATTACHED: Veth1"]),
                ("show logging last 1", &["%"]),
                ("show accounting log", &[]),
                ("show doctor", &["vis0 (vis-switch", "2 of 2 ports up"]),
                ("show interface vethernet 1", &["Vethernet1 is up", "Ethernet1/1"]),
                ("show interface vethernet", &["Vethernet1 is up"]),
                ("show interface ethernet", &["Ethernet1/1 is up", "Ethernet1/2"]),
                ("show interface ethernet 1/1", &["memif:link0.sock"]),
                ("show mac address-table", &["VLAN", "MAC Address"]),
                ("show counters", &["Received", "Eth1/1"]),
                ("show mac address-table vlan 4000", &["Total 0"]),
                ("clear counters", &[]),
                ("show drops", &["Drop reason"]),
                ("show drops all", &["rx_no_vntag", "V1"]),
                ("show vif-list", &["Eth1/1", "5"]),
                ("show running-config", &["vif-list 1 members 5"]),
                ("show running-config interface vethernet 1", &["bind interface ethernet 1/1 channel 5"]),
                ("show running-config interface vethernet 1 expand-port-profile", &["access vlan 10"]),
                ("show running-config interface", &["interface ethernet 1/1", "interface vethernet 1"]),
                ("show running-config interface ethernet 1/1", &["vif-list 1 members 5"]),
                ("show running-config port-profile", &[]),
                ("show running-config vlan", &[]),
                ("show interface brief", &["Eth1/1", "Veth1", "access"]),
                ("show interface vethernet 1 brief", &["Veth1"]),
                ("show interface ethernet 1/2 switchport", &["Name: Ethernet1/2"]),
                ("show interface status", &["Veth1", "connected"]),
                ("show interface description", &["Interface", "Veth1"]),
                ("show interface switchport", &["Name: Vethernet1"]),
                ("show vlan", &["VLAN0010", "Veth1"]),
                ("show vlan id 10", &["VLAN0010"]),
                ("show vlan private-vlan", &["Primary", "Secondary"]),
                ("show vlan dot1q tag native", &["vlan dot1q native tag is disabled"]),
                ("show port-security", &["Total Secured Mac Addresses"]),
                ("show port-security interface vethernet 1", &["Port Security", "Disabled"]),
                ("show port-security address", &["Total Secured Mac Addresses"]),
                ("show interface status err-disabled", &["Reason"]),
                ("show errdisable recovery", &["psecure-violation", "disabled"]),
                ("show system workers", &["Worker", "Received"]),
                ("show lldp neighbors", &["Device ID", "displayed: 0"]),
                ("show feature", &["lldp", "enabled"]),
                ("show module", &["active"]),
                ("show access-lists", &[]),
                ("show startup-config", &["vif-list 1 members 5"]),
                ("show checkpoint", &["Name", "Created"]),
                ("show diff", &["Nothing is unsaved"]),
                ("show running-config diff", &["Nothing is unsaved"]),
                ("show version", &["vis-switch", "Device name: vis0"]),
                ("reload", &[]),
                ("terminal length 0", &[]),
                ("terminal width 80", &[]),
            ][..],
        ),
        (
            "adapter0",
            &[
                ("show vnic", &["vnic0", "up"][..]),
                ("show vnic vnic0", &["vnic0 is up", "webservers", "static"]),
                ("show vif", &["link0", "vnic0", "static"]),
                ("show neighbors", &["negotiation = \"off\""]),
                ("show control statistics all", &["lldp_tx", "fw_refused"]),
                ("show logging", &[]),
                ("show accounting log", &[]),
                ("show doctor", &["adapter0 (niv-adapter", "1 of 1 links up"]),
                ("show firmware devcmd", &["OPEN", "0x4101c017"]),
                ("show firmware fault", &["Seed", "Rule"]),
                ("show link", &["link0", "memif:link0.sock"]),
                ("show link link0", &["connections"]),
                ("show vif-list", &["link0", "5"]),
                ("show counters", &["Received"]),
                ("show drops", &["Drop reason"]),
                ("show drops all", &["host_vntag", "I1"]),
                ("show system workers", &["Worker", "Received"]),
                ("show version", &["niv-adapter"]),
                ("terminal length 0", &[]),
                ("terminal width 80", &[]),
                ("vnic list", &["52:54:00:00:00:01", "vnic0.sock"]),
                ("vnic qemu vnic0", &["vhost-user,id=net-vnic0", "share=on", "mac=52:54:00:00:00:01"]),
                ("vnic libvirt vnic0", &["type='vhostuser'", "<access mode='shared'/>"]),
            ][..],
        ),
    ] {
        for (line, words) in lines {
            shows(&place, node, line, words);
        }
        // None was forgotten.
        let listed: Vec<String> = place
            .client(node)
            .commands()
            .unwrap()
            .into_iter()
            // `nivctl configure` takes a file.
            .filter(|command| command.mode == "exec" && !command.syntax.starts_with("configure"))
            .map(|command| command.syntax.split(['<', '[', '{']).next().unwrap().trim().to_owned())
            .collect();
        assert!(listed.len() > 5, "{listed:?}");
        // What acts and shows nothing, or needs a vNIC that negotiates: tried elsewhere.
        let acts = [
            "vnic add",
            "vnic set",
            "vnic del",
            "firmware",
            "show firmware vnic",
            "copy",
            "write",
            "checkpoint",
            "no checkpoint",
            "rollback",
            "show diff rollback-patch",
        ];
        for command in listed.iter().filter(|command| acts.iter().all(|act| !command.starts_with(act))) {
            assert!(lines.iter().any(|(line, _)| line.starts_with(command)), "{command} is not tried");
        }
    }

    // One that is named is shown alone.
    let client = place.client("vis0");
    for (line, other) in [
        ("show interface vethernet 1 status", "Eth1/"),
        ("show interface ethernet 1/2 brief", "Veth1"),
        ("show running-config interface ethernet 1/1", "ethernet 1/2"),
    ] {
        let shown = client.exec_text(line).unwrap();
        assert!(!shown.contains(other), "{line}: {shown}");
    }
    for line in ["show interface vethernet 9 brief", "show running-config port-profile web"] {
        assert!(client.exec_text(line).unwrap_err().to_string().contains("There is no"), "{line}");
    }

    // Whoever asks for something that only the other daemon knows hears that it was not asked.
    std::fs::create_dir(place.path("niv-run")).unwrap();
    std::os::unix::fs::symlink("../adapter0.sock", place.path("niv-run/adapter0.sock")).unwrap();
    let (code, _, complained) = place.nivctl(&["show", "interface", "virtual"]);
    let note = "nivctl: asked niv-run/adapter0.sock; niv-run/vis0.sock is not there";
    assert!(code == 2 && complained.contains("Invalid command"), "{complained}");
    assert_eq!(complained.lines().last(), Some(note), "{complained}");

    // The arguments name the socket so that they work from any folder.
    let arguments = place.show("adapter0", "vnic qemu vnic0").to_string();
    assert!(
        arguments.contains(place.path("vnic0.sock").canonicalize().unwrap().to_str().unwrap()),
        "{arguments}"
    );

    for (words, code, part) in [
        (&["--api", "adapter0.sock", "vnic", "qemu", "vnic9"][..], 1, "vnic9"),
        (&["--api", "vis0.sock", "show", "interface", "vethernet", "9"], 1, "vethernet 9"),
        (&["--api", "vis0.sock", "show", "nonsense"], 2, "nonsense"),
        (&["--api", "vis0.sock", "show", "interface", "vethernet", "many"], 2, "many"),
        (&["--api", "nowhere.sock", "show", "version"], 1, "nowhere.sock"),
        (&["--colour"], 2, "--colour"),
    ] {
        let (got, said, complained) = place.nivctl(words);
        assert_eq!((got, said.as_str()), (code, ""), "{words:?}: {complained}");
        assert!(complained.contains(part), "{words:?}: {complained}");
    }
}

#[test]
fn without_any_file_they_find_each_other() {
    let mut place = Place::new(&[]);
    place.start_with("niv-run/adapter0", &[]);
    place.start_with("niv-run/vis0", &[]);
    let mut guest = Guest::connect(&place.path("niv-run/vnic0.sock"), Features::default()).unwrap();
    // The only interface there is: who sends to everybody is learned, and nobody gets it.
    let api = |command: &[&str]| {
        let (code, said, complained) = place.nivctl(command);
        assert_eq!(code, 0, "{complained}");
        said
    };
    let end = std::time::Instant::now() + PATIENCE;
    while !api(&["show", "mac", "address-table"]).contains("5254.0000.0001") {
        assert!(std::time::Instant::now() < end, "{}", api(&["-j", "show", "link"]));
        guest.send(&frame(BROADCAST, mac(1)).ipv4(46));
    }
    // Without a name a line goes to the daemon that knows it.
    assert!(api(&["show", "vnic"]).contains("vnic0"));
    assert!(api(&["show", "interface", "virtual"]).contains("Veth1"));
    assert!(api(&["--api", "adapter0", "show", "version"]).contains("niv-adapter"));
    place.at_rest();
}
