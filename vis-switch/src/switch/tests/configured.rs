//! Changes of the configuration: kept, in effect, acknowledged, in this order.

use super::*;
use niv_node::store::Op;

const BOUND: &str =
    "interface vethernet 1\n switchport access vlan 10\n bind interface ethernet 1/2 channel 5\n";

#[test]
fn a_change_is_kept_before_it_is_acknowledged_and_in_force_after_a_crash() {
    let mut rig = Rig::new();
    assert_eq!(rig.show("show interface virtual"), serde_json::json!([]));
    rig.configure(BOUND).unwrap();
    let kept = rig.kept().running.expect("kept");
    assert_eq!(kept, rig.text("show running-config"));
    let row = &rig.show("show interface virtual")[0];
    assert_eq!((&row["interface"], &row["bound"]), (&"vethernet1".into(), &"ethernet1/2".into()));
    assert_eq!((&row["channel"], &row["state"]), (&5.into(), &"up".into()));
    // In effect: what VIF 5 sends passes.
    rig.send(STATIC, &tagged(5, 9, 1, 10));
    rig.settle();
    assert_eq!(rig.out[WIRE], [frame(9, 1, 10)]);
    assert!(rig.events().contains(&"VSHD_SYSLOG_CONFIG_I"));

    let mut rig = rig.again();
    assert_eq!(rig.text("show running-config"), kept);
    assert_eq!(rig.events()[0], "CONFIG_RESTORED");
    rig.send(STATIC, &tagged(5, 9, 1, 10));
    rig.settle();
    assert_eq!(rig.out[WIRE], [frame(9, 1, 10)]);

    // What is refused is not kept.
    assert!(rig.configure("interface vethernet 2\n bind interface ethernet 1/2 channel 5\n").is_err());
    assert_eq!(rig.kept().running, Some(kept));
}

#[test]
fn lines_that_change_nothing_are_not_written() {
    let mut rig = Rig::new();
    rig.configure("interface ethernet 1/3\n").unwrap();
    assert_eq!(rig.kept().running, None);
}

#[test]
fn a_store_that_fails_stops_no_frame_and_acknowledges_nothing() {
    let mut rig = Rig::new();
    rig.configure(BOUND).unwrap();
    let before = rig.text("show running-config");
    assert_eq!(rig.admin.health(), Ok(()));

    rig.store.break_down(Some(broken()));
    let error = rig.configure("interface vethernet 1\n switchport access vlan 20\n").unwrap_err();
    assert_eq!(error.message, "Nothing was changed, because it cannot be kept: vis0.redb: no storage space.");
    assert_eq!(rig.text("show running-config"), before);
    assert_eq!(rig.admin.health(), Err("state cannot be kept: vis0.redb: no storage space".to_owned()));
    assert!(rig.switch.status().contains("no storage space"));
    rig.send(STATIC, &tagged(5, 9, 1, 10));
    rig.settle();
    assert_eq!(rig.out[WIRE], [frame(9, 1, 10)]);
    assert_eq!(rig.traffic(1).rx.frames, 1, "what is shown is shown all the same");

    rig.store.break_down(None);
    rig.configure("interface vethernet 1\n switchport access vlan 20\n").unwrap();
    assert_eq!(rig.admin.health(), Ok(()));
    let events = rig.events();
    let told = |mnemonic| events.iter().filter(|event| **event == mnemonic).count();
    assert_eq!((told("STORE_FAILED"), told("STORE_RECOVERED")), (1, 1), "{events:?}");
    assert!(rig.again().text("show running-config").contains("switchport access vlan 20"));
}

#[test]
fn the_startup_file_is_read_until_something_is_changed_and_again_after_reload() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("startup.cfg");
    let with_file = || {
        let mut chassis = chassis();
        chassis.node.startup = Some(file.clone());
        chassis
    };
    std::fs::write(&file, "vethernet hold 100\n").unwrap();
    let store = Arc::new(MemoryStore::new());
    let hold = |rig: &Rig| rig.switch.state().config.hold();
    assert_eq!(hold(&Rig::on(&store, with_file())), 100);
    std::fs::write(&file, "vethernet hold 200\n").unwrap();
    let mut rig = Rig::on(&store, with_file());
    assert_eq!(hold(&rig), 200);

    rig.configure("carrier-delay 5\n").unwrap();
    std::fs::write(&file, "vethernet hold 300\n").unwrap();
    let rig = Rig::on(&store, with_file());
    assert_eq!(hold(&rig), 200);
    let told = &rig.switch.events.last(usize::MAX)[0].event;
    assert!(told.text.contains("startup.cfg is not read"), "{told}");

    let said = rig.admin.exec("reload").unwrap().to_string();
    assert!(said.ends_with("-vethernet hold 300\n+vethernet hold 200\n+carrier-delay 5\n"), "{said}");
    assert_eq!((hold(&rig), rig.switch.state().config.carrier_delay()), (300, 3));
    assert_eq!(hold(&Rig::on(&store, with_file())), 300);
    std::fs::write(&file, "vethernet hold never\n").unwrap();
    let error = rig.admin.exec("reload").unwrap_err();
    assert!(error.message.contains("startup.cfg") && error.message.contains("line 1"), "{error}");
    assert_eq!(hold(&rig), 300);
}

#[test]
fn what_the_chassis_does_not_allow_any_more_is_left_out_and_said() {
    let store = Arc::new(MemoryStore::new());
    let lines = "vethernet hold 100\n\
                 interface ethernet 1/7\n  switchport mode access\n  switchport access vlan 30\n!\n\
                 interface vethernet 1\n  switchport access vlan 10\n  bind interface ethernet 1/7 channel 5\n!\n\
                 interface vethernet 2\n  bind interface ethernet 1/2 channel 6\n!\n";
    store.commit(vec![Op::put("running-config", lines)]).unwrap();
    let rig = Rig::on(&store, chassis());
    let text = rig.text("show running-config");
    assert!(text.contains("vethernet hold 100") && text.contains("channel 6"), "{text}");
    assert!(!text.contains("vlan 30") && text.contains("switchport access vlan 10"), "{text}");
    let lost: Vec<String> = rig
        .switch
        .events
        .last(usize::MAX)
        .into_iter()
        .filter(|recorded| recorded.event.mnemonic == "CONFIG_LINE_LOST")
        .map(|recorded| recorded.event.text)
        .collect();
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert!(lost[0].starts_with("line 2 ") && lost[0].contains("no port ethernet 1/7"), "{lost:?}");
    assert!(lost[1].starts_with("line 8 "), "{lost:?}");
}

#[test]
fn state_of_another_release_is_refused_by_name() {
    for (key, value, part) in [
        ("running-config", &b"\xff"[..], "not a text"),
        ("veth/1", b"{\"version\":9}", "version 9"),
        ("counters/1", b"{}", "missing field"),
        ("counters/x", b"{}", "no vEth"),
        ("startup-config", b"\xff", "not a text"),
        ("checkpoint/a b", b"{}", "no name"),
        (
            "checkpoint/a",
            b"{\"version\":9,\"created\":\"\",\"description\":null,\"lines\":\"\"}",
            "version 9",
        ),
    ] {
        let store = MemoryStore::new();
        store.commit(vec![Op::put(key, value)]).unwrap();
        let error = Kept::load(&store).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains(part), "{error}");
    }
    // Of a later one, perhaps: what is not known does not disturb.
    let store = MemoryStore::new();
    store.commit(vec![Op::put("weather", "fine")]).unwrap();
    assert!(Kept::load(&store).is_ok());
}

#[test]
fn an_ordinary_port_changes_its_vlans_and_a_static_list_serves_a_flood() {
    let mut rig = Rig::new();
    rig.configure(BOUND).unwrap();
    rig.configure(
        "interface vethernet 2\n switchport access vlan 10\n bind interface ethernet 1/2 channel 6\n\
         interface ethernet 1/2\n vif-list 1 members 5-6\n\
         interface ethernet 1/3\n switchport trunk allowed vlan remove 10\n",
    )
    .unwrap();
    let mut broadcast = tagged(5, 9, 1, 10);
    broadcast[..6].fill(0xff);
    rig.send(STATIC, &broadcast);
    rig.settle();
    assert_eq!(rig.out[WIRE], [] as [Vec<u8>; 0]);
    assert_eq!(rig.out[STATIC].len(), 1, "one copy for the list");
    let list = &rig.show("show vif-list")[0];
    assert_eq!((&list["interface"], &list["members"]), (&"ethernet1/2".into(), &serde_json::json!([5, 6])));
    assert!(rig.switch.counters.balance().holds());
}
