//! A link that negotiates: records are on disk and tables in effect before an adapter gets its answer.

use super::*;
use crate::control::tests::adapter::{ACTIVE, STANDBY, vnic};
use vntag::ctl::session::Token;
use vntag::ctl::{InitialState, Provisioning, Request, Response, VifState, VlanMode};
use vntag::ethernet::Mac;

fn ask(rig: &mut Rig, number: u8, initial: InitialState) -> Token {
    let provisioning = vnic(number).build().expect("a blob");
    rig.adapter.ask(now(), Request::VifCreate { channel: number.into(), provisioning, initial })
}

/// The VIF and the vEth of an answer; `None` while there is none.
fn created(rig: &Rig, token: Token) -> Option<(u16, u32)> {
    match rig.adapter.answer(token)?.as_ref().expect("an OK") {
        Response::VifCreate { vif, veth, .. } => Some((vif.get(), *veth)),
        other => panic!("{other:?}"),
    }
}

fn up() -> Rig {
    let mut rig = Rig::new();
    rig.run(2 * SECOND);
    assert_eq!(rig.show("show interface ethernet 1/1")["session"]["state"], "up");
    rig
}

#[test]
fn an_answer_waits_for_the_disk_and_for_the_worker() {
    let mut rig = up();
    rig.store.hold();
    let token = ask(&mut rig, 1, ACTIVE);
    rig.run(50 * MS);
    assert_eq!((created(&rig, token), rig.store.waiting()), (None, 1));
    rig.store.release();
    rig.settle();
    let (vif, veth) = created(&rig, token).expect("an answer");
    assert_eq!(rig.kept().records[0].number, veth);
    // It carries traffic, both ways.
    rig.send(NIV, &tagged(vif, 9, 1, 1));
    rig.settle();
    // VLAN 1 is the trunk's native one.
    let untagged = |to, from| {
        let mut frame = frame(to, from, 1);
        frame.drain(12..16);
        frame
    };
    assert_eq!(rig.out[WIRE], [untagged(9, 1)]);
    let back = untagged(1, 9);
    rig.send(WIRE, &back);
    rig.settle();
    assert_eq!(rig.out[NIV].len(), 1);
    assert!(rig.switch.counters.balance().holds());
    let shown = rig.show("show interface vethernet 1");
    assert_eq!(
        (&shown["state"], &shown["vif"], &shown["dynamic"]),
        (&"up".into(), &vif.into(), &true.into())
    );
    assert_eq!(shown["addresses"], serde_json::json!(["52:54:00:00:00:01"]));
}

#[test]
fn the_native_vlan_has_a_tag_where_that_is_typed() {
    let mut rig = up();
    rig.configure("vlan dot1q tag native\n").unwrap();
    let token = ask(&mut rig, 1, ACTIVE);
    rig.settle();
    let (vif, veth) = created(&rig, token).expect("an answer");
    // It leaves the trunk with its tag, and comes in only with one.
    rig.send(NIV, &tagged(vif, 9, 1, 1));
    rig.settle();
    assert_eq!(rig.out[WIRE], [frame(9, 1, 1)]);
    let mut untagged = frame(1, 9, 1);
    untagged.drain(12..16);
    rig.send(WIRE, &untagged);
    rig.settle();
    assert_eq!(rig.out[NIV].len(), 0);
    rig.send(WIRE, &frame(1, 9, 1));
    rig.settle();
    assert_eq!(rig.out[NIV].len(), 1);
    assert!(rig.switch.counters.balance().holds());
    // The adapter takes it off no trunk of a guest, until the line is taken back.
    rig.configure(&format!("interface vethernet {veth}\n switchport mode trunk\n")).unwrap();
    rig.settle();
    assert_eq!(rig.adapter.vifs[&vif].params.mode, VlanMode::NativeTagged);
    rig.configure("no vlan dot1q tag native\n").unwrap();
    rig.settle();
    assert_eq!(rig.adapter.vifs[&vif].params.mode, VlanMode::Trunk);
    rig.send(NIV, &tagged(vif, 9, 1, 1));
    rig.settle();
    let mut untagged = frame(9, 1, 1);
    untagged.drain(12..16);
    assert_eq!(rig.out[WIRE][1], untagged);
}

#[test]
fn a_guest_loses_its_carrier_with_a_violation_and_has_it_back() {
    let mut rig = up();
    rig.configure("port-profile default\n switchport port-security\n").unwrap();
    let token = ask(&mut rig, 1, ACTIVE);
    rig.settle();
    let (vif, veth) = created(&rig, token).expect("an answer");
    for from in [1, 2] {
        assert_eq!(rig.adapter.vifs[&vif].state, VifState::Active);
        rig.send(NIV, &tagged(vif, 9, from, 1));
        rig.settle();
    }
    let known = &rig.adapter.vifs[&vif];
    assert_eq!((known.state, known.cause.as_deref()), (VifState::Disabled, Some("port-security")));
    rig.configure(&format!("interface vethernet {veth}\n no shutdown\n")).unwrap();
    assert_eq!(rig.adapter.vifs[&vif].state, VifState::Standby, "its guest may ask");
}

#[test]
fn one_batch_is_on_its_way_and_the_rest_goes_as_one() {
    let mut rig = up();
    rig.store.hold();
    let tokens: Vec<Token> = (1..=9)
        .map(|number| {
            let token = ask(&mut rig, number, STANDBY);
            rig.settle();
            token
        })
        .collect();
    assert_eq!(rig.store.waiting(), 1, "one batch, however many records");
    assert!(tokens.iter().all(|token| created(&rig, *token).is_none()));
    rig.store.release();
    rig.settle();
    let veths: Vec<u32> = tokens.iter().map(|token| created(&rig, *token).expect("an answer").1).collect();
    assert_eq!(veths, (1..=9).collect::<Vec<u32>>());
    assert_eq!(rig.kept().records.len(), 9);
}

#[test]
fn a_store_that_fails_gives_no_answer_until_it_works_again() {
    let mut rig = up();
    rig.store.break_down(Some(broken()));
    let token = ask(&mut rig, 1, ACTIVE);
    rig.run(3 * SECOND);
    assert_eq!(created(&rig, token), None);
    assert_eq!(rig.show("show interface ethernet 1/1")["session"]["state"], "up", "it is being worked on");
    rig.store.break_down(None);
    rig.run(2 * SECOND);
    assert_eq!(created(&rig, token).map(|(_, veth)| veth), Some(1));
    assert_eq!(rig.kept().records.len(), 1);
    assert_eq!(rig.admin.health(), Ok(()));
}

#[test]
fn a_switch_that_was_killed_knows_its_veths_and_counts_on() {
    let mut rig = up();
    let tokens = [1, 2].map(|number| ask(&mut rig, number, ACTIVE));
    rig.run(100 * MS);
    let [one, two] = tokens.map(|token| created(&rig, token).expect("an answer"));
    rig.send(NIV, &tagged(two.0, 9, 2, 1));
    rig.settle();
    let told = rig.traffic(two.1);
    assert_eq!(told.rx.frames, 1);

    let mut rig = rig.again();
    let row = &rig.show("show interface virtual")[0];
    assert_eq!((&row["interface"], &row["state"]), (&"vethernet1".into(), &"down".into()));
    rig.run(2 * SECOND);
    // The other way round, and each gets its own number.
    let tokens = [2, 1].map(|number| ask(&mut rig, number, ACTIVE));
    rig.run(100 * MS);
    let [two_again, one_again] = tokens.map(|token| created(&rig, token).expect("an answer"));
    assert_eq!((one_again.1, two_again.1), (one.1, two.1));
    assert_eq!(rig.traffic(two.1), told);
    let before = rig.store.load("veth/").unwrap();
    rig.run(5 * SECOND);
    assert_eq!(rig.store.load("veth/").unwrap(), before);
}

#[test]
fn a_cable_that_is_pulled_is_noticed_at_once() {
    let mut rig = up();
    rig.cables[NIV].unplug();
    rig.settle();
    let shown = rig.show("show interface ethernet 1/1");
    assert_eq!((&shown["state"], &shown["session"]["state"]), (&"down".into(), &"down".into()));
    assert!(rig.events().contains(&"PEER_LOST"));
    rig.cables[NIV].plug();
    rig.run(2 * SECOND);
    assert_eq!(rig.show("show interface ethernet 1/1")["session"]["state"], "up");
}

#[test]
fn a_profile_that_an_adapter_asks_for_cannot_be_removed() {
    let mut rig = up();
    rig.configure("port-profile web\n switchport access vlan 10\n state enabled\n").unwrap();
    let (mac, instance) = (Mac([0x52, 0x54, 0, 0, 0, 1]), Uuid([1; 16]));
    let blob = Provisioning::builder().profile("web").mac(mac).client_uuid(instance);
    let provisioning = blob.build().expect("a blob");
    let create = Request::VifCreate { channel: 1, provisioning, initial: ACTIVE };
    let token = rig.adapter.ask(now(), create);
    rig.run(100 * MS);
    assert!(created(&rig, token).is_some());
    let error = rig.configure("no port-profile web\n").unwrap_err();
    assert!(error.message.contains("Veth1") || error.message.contains("vethernet 1"), "{error}");
    let profiles = rig.show("show port-profile name web");
    assert_eq!(profiles[0]["interfaces"], serde_json::json!(["vethernet1"]));

    // The profile is the vEth's as soon as it changes.
    rig.configure("port-profile web\n switchport access vlan 20\n").unwrap();
    assert_eq!(rig.show("show interface vethernet 1")["vlan"], 20);
    rig.configure("port-profile web\n no state enabled\n").unwrap();
    let shown = rig.show("show interface vethernet 1");
    assert_eq!((&shown["state"], &shown["cause"]), (&"down".into(), &"profile disabled".into()));
}

#[test]
fn good_bye_is_said_on_all_links() {
    let mut rig = up();
    let stop = niv_node::stop::Stop::new().unwrap();
    stop.request();
    rig.controller.run(&stop, None).unwrap();
    rig.settle();
    assert!(rig.adapter.session.peer().is_none());
}

#[test]
fn a_guest_that_uses_another_address_is_told_once_and_both_are_shown() {
    let mut rig = up();
    let token = ask(&mut rig, 1, ACTIVE);
    rig.run(100 * MS);
    let (vif, veth) = created(&rig, token).expect("an answer");
    for from in [1, 7, 8] {
        rig.send(NIV, &tagged(vif, 9, from, 1));
        rig.settle();
    }
    assert_eq!(rig.out[WIRE].len(), 3, "they pass");
    let shown = rig.show(&format!("show interface vethernet {veth}"));
    assert_eq!(shown["mac"], "52:54:00:00:00:01");
    let used: Vec<&str> = shown["addresses"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(used, ["52:54:00:00:00:01", "52:54:00:00:00:07", "52:54:00:00:00:08"]);
    rig.run(30 * SECOND);
    let told = rig.events().into_iter().filter(|event| *event == "OTHER_MAC").count();
    assert_eq!(told, 1, "{:?}", rig.events());
}

#[test]
fn everything_of_a_veth_is_in_one_record() {
    let mut rig = up();
    let token = ask(&mut rig, 1, ACTIVE);
    rig.run(100 * MS);
    let (vif, veth) = created(&rig, token).expect("an answer");
    rig.send(NIV, &tagged(vif, 9, 1, 1));
    rig.settle();
    rig.configure(&format!("interface vethernet {veth}\n mtu 1400\n")).unwrap();
    let record = rig.show(&format!("show vethernet {veth} export"));
    assert_eq!(record["record"]["identity"]["mac"], "52:54:00:00:00:01");
    assert_eq!((&record["number"], &record["record"]["version"]), (&veth.into(), &1.into()));
    assert_eq!(record["configuration"], serde_json::json!(["interface vethernet 1", "  mtu 1400"]));
    assert_eq!((&record["state"], &record["profile"]), (&"up".into(), &"default".into()));
    assert_eq!(record["counters"]["rx"]["frames"], 1);
    assert_eq!(record["addresses"][0]["mac"], "52:54:00:00:00:01");
    let text = rig.text(&format!("show vethernet {veth} export"));
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), record);
    assert!(rig.admin.exec("show vethernet 99 export").is_err());
}
