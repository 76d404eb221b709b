//! An adapter whose VIFs come by the control protocol, before a switch that is a script.

use super::files::node;
use super::net::{Net, missing_rights};
use super::place::{PATIENCE, Place, left_out, missing_program, until};
use super::scripted::{PARAMS, Scripted};
use niv_lab::driver::{Features, Guest, Wire};
use niv_lab::world::frames::{BROADCAST, down, down_list, frame, mac, up};
use serde_json::Value;
use std::time::{Duration, Instant};
use vntag::ctl::session::LostCause;
use vntag::ctl::{Cause, InitialState, Refusal, Request, Response, Status, VifParams, VifState, Vifs};
use vntag::{ListId, VifId};

const MAC: &str = "52:54:00:00:00:01";
const UUID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

fn link() -> &'static str {
    "\n[[link]]\nname = \"link0\"\ndevice = \"memif:link0.sock\"\n"
}

fn vnic(name: &str, further: &str) -> String {
    format!("\n[[vnic]]\nname = \"{name}\"\ndevice = \"vhost-user:{name}.sock\"\nlink = \"link0\"\n{further}")
}

/// An adapter with one vNIC of this identity, and further sections.
fn adapter(further: &str) -> Place {
    let vnic0 =
        vnic("vnic0", &format!("mac = \"{MAC}\"\nuuid = \"{UUID}\"\nvm = \"vm1\"\nprofile = \"web\"\n"));
    Place::new(&[("adapter0.toml", node("adapter0") + further + link() + &vnic0)])
}

fn guest(place: &Place, name: &str) -> Guest {
    Guest::connect(&place.path(&format!("{name}.sock")), Features::default()).unwrap()
}

/// The row of a vNIC.
fn row(place: &Place, name: &str) -> Value {
    let rows = place.client("adapter0").exec("show vnic").unwrap();
    rows.as_array().unwrap().iter().find(|row| row["name"] == name).cloned().unwrap_or_default()
}

/// Turns until the row of a vNIC is as wanted.
#[track_caller]
fn until_row(switch: &mut Scripted, place: &Place, name: &str, is: impl Fn(&Value) -> bool) -> Value {
    switch.until("the row of a vNIC", |_| Some(row(place, name)).filter(|row| is(row)))
}

fn one(vif: VifId) -> Vifs {
    Vifs::one(vif)
}

fn set(vif: VifId, state: VifState) -> Request {
    let cause = Some(Cause::new(1, "as the script says"));
    Request::VifSet { vifs: one(vif), state: Some(state), params: None, cause }
}

#[test]
fn a_vnic_comes_up_passes_frames_and_is_told_what_to_do() {
    let mut place = adapter("");
    let mut switch = Scripted::at(&place, 1);
    place.start("adapter0");
    // Asked for without a guest, in standby, with everything that it is.
    let created = switch.asked("a VIF", |request| matches!(request, Request::VifCreate { .. }));
    let Request::VifCreate { channel: 1, provisioning, initial: InitialState::Standby } = created else {
        panic!("{created:?}");
    };
    assert_eq!(provisioning.profile(), Some("web"));
    assert_eq!(provisioning.port_name(), Some("vnic0"));
    assert_eq!(provisioning.client_name(), Some("vm1"));
    assert_eq!(provisioning.client_uuid().unwrap().to_string(), UUID);
    let vif = switch.vif_of(MAC);
    until_row(&mut switch, &place, "vnic0", |row| row["vif_state"] == "standby" && row["vif"] == vif.get());

    let mut guest = guest(&place, "vnic0");
    switch.asked("the VIF to be enabled", |request| matches!(request, Request::VifEnable { .. }));
    let shown = until_row(&mut switch, &place, "vnic0", |row| row["vif_state"] == "active");
    assert_eq!((&shown["veth"], &shown["vlan"], &shown["state"]), (&5.into(), &10.into(), &"up".into()));
    // Upward with the VIF's priority; downward without its VLAN.
    assert!(guest.send(&frame(mac(2), mac(1)).ipv4(46)));
    assert_eq!(switch.receive(), frame(mac(2), mac(1)).vntag(up(5)).vlan(0, 3).ipv4(46));
    assert!(switch.send(&frame(mac(1), mac(2)).vntag(down(5)).vlan(10, 0).ipv4(46)));
    switch.turn();
    assert_eq!(guest.recv(PATIENCE), Some(frame(mac(1), mac(2)).ipv4(46)));

    // A list is in effect when the adapter says so.
    let list = ListId::new(9).unwrap();
    let members = one(vif);
    let done = switch.ask(Request::ListSet { list, generation: 1, members });
    assert_eq!(done, Ok(Response::ListSet));
    assert!(switch.send(&frame(BROADCAST, mac(2)).vntag(down_list(9)).vlan(10, 0).ipv4(46)));
    switch.turn();
    assert_eq!(guest.recv(PATIENCE), Some(frame(BROADCAST, mac(2)).ipv4(46)));
    let lists = place.show("adapter0", "show vif-list");
    assert_eq!((&lists[0]["list"], &lists[0]["members"]), (&9.into(), &"5".into()));

    // So are parameters.
    let params = VifParams { vlan: 20, cos: 5, ..PARAMS };
    let vifs = one(vif);
    let done = switch.ask(Request::VifSet { vifs, state: None, params: Some(params), cause: None });
    assert_eq!(done, Ok(Response::VifSet));
    assert!(switch.send(&frame(mac(1), mac(2)).vntag(down(5)).vlan(10, 0).ipv4(46)));
    assert!(switch.send(&frame(mac(1), mac(2)).vntag(down(5)).vlan(20, 0).ipv4(60)));
    switch.turn();
    assert_eq!(guest.recv(PATIENCE), Some(frame(mac(1), mac(2)).ipv4(60)));

    let counters = switch.ask(Request::StatsGet { vif });
    let Ok(Response::StatsGet { counters }) = counters else { panic!("{counters:?}") };
    let named = |name: &str| {
        let at = vntag::ctl::Counters::NAMES.iter().position(|known| *known == name).unwrap();
        counters.0[at]
    };
    assert_eq!((named("tx_unicast_frames"), named("rx_unicast_frames")), (1, 2));
    assert_eq!((named("rx_broadcast_frames"), named("rx_discarded")), (1, 1));

    // The guest leaves: the VIF stands by.
    guest.disconnect();
    switch.asked("the VIF to be disabled", |request| matches!(request, Request::VifDisable { .. }));
    until_row(&mut switch, &place, "vnic0", |row| row["vif_state"] == "standby");
    place.at_rest();
    assert_eq!(place.drops("adapter0"), [("link_vlan".to_owned(), 1)].into());

    let neighbors = place.show("adapter0", "show neighbors");
    assert_eq!((&neighbors[0]["neighbor"], &neighbors[0]["standing"]), (&"script".into(), &"peer".into()));
    assert_eq!(place.show("adapter0", "show link")[0]["switch"], "script");
    let log = place.show("adapter0", "show logging").to_string();
    for part in ["PEER_UP", "vnic0 has VIF 5 of link0, Vethernet5"] {
        assert!(log.contains(part), "{part}: {log}");
    }
    assert_eq!(place.metric("adapter0", "niv_session_up{link=\"link0\"}"), 1);
}

#[test]
fn a_link_over_a_veth_begins_and_ends_in_order() {
    if left_out(missing_program(&["ip"])) || left_out(missing_rights()) {
        return;
    }
    let mut net = Net::default();
    let [a, b] = net.veth(1510);
    let link = format!("\n[[link]]\nname = \"link0\"\ndevice = \"packet:{a}\"\n");
    let vnics = vnic("vnic0", &format!("mac = \"{MAC}\"\n"));
    let mut place = Place::new(&[("adapter0.toml", node("adapter0") + &link + &vnics)]);
    let mut switch = Scripted::on(&format!("packet:{b}"), 1);
    place.start("adapter0");
    let mut guest = guest(&place, "vnic0");
    until_row(&mut switch, &place, "vnic0", |row| row["vif_state"] == "active");
    // The longest frame of a guest, and its tag.
    assert!(guest.send(&frame(mac(2), mac(1)).ipv4(1500)));
    assert_eq!(switch.receive(), frame(mac(2), mac(1)).vntag(up(5)).vlan(0, 3).ipv4(1500));
    let max_frame = switch.peer().hello.max_frame;
    assert_eq!(max_frame, 1524, "what the interface takes");
    place.stop("adapter0");
    switch.until("a good-bye", |switch| (switch.losses == [LostCause::Shutdown]).then_some(()));
}

#[test]
fn the_guests_link_follows_the_switch() {
    let mut place = adapter("[firmware]\ncarrier_delay = 1\n");
    let mut switch = Scripted::at(&place, 1);
    place.start("adapter0");
    let mut first = guest(&place, "vnic0");
    until_row(&mut switch, &place, "vnic0", |row| row["vif_state"] == "active");
    let vif = switch.vif_of(MAC);
    let carrier = |place: &Place| place.show("adapter0", "show vnic vnic0")["vnic"]["carrier"].to_string();

    for (state, word) in [(VifState::Disabled, "disabled"), (VifState::Deleted, "refused")] {
        assert_eq!(switch.ask(set(vif, state)), Ok(Response::VifSet));
        // The guest is disconnected, and nobody listens.
        until_row(&mut switch, &place, "vnic0", |row| {
            row["state"].as_str().unwrap().starts_with("down (link down")
        });
        let said = carrier(&place);
        assert!(said.contains(word) && said.contains("as the script says"), "{said}");
        switch.until("nobody to listen", |_| (!place.path("vnic0.sock").exists()).then_some(()));
        first.disconnect();
        if state == VifState::Disabled {
            assert_eq!(switch.ask(set(vif, VifState::Standby)), Ok(Response::VifSet));
        } else {
            // Asked for again by and by.
            switch.asked("another VIF", |request| matches!(request, Request::VifCreate { .. }));
        }
        switch.until("the guest again", |_| first.reconnect(&place.path("vnic0.sock")).ok());
        until_row(&mut switch, &place, "vnic0", |row| row["vif_state"] == "active" && row["state"] == "up");
        switch.requests.clear();
    }

    // A switch that is away for less than carrier-delay costs no guest its link; for longer, it does.
    switch.reboot(2);
    switch.until("the session again", |switch| (switch.ups == 2).then_some(()));
    until_row(&mut switch, &place, "vnic0", |row| row["vif_state"] == "active");
    assert_eq!(row(&place, "vnic0")["state"], "up");
    assert_eq!(carrier(&place), "\"up\"");
    drop(switch);
    until("the link is down", || {
        row(&place, "vnic0")["state"].as_str()?.starts_with("down (link down: no NIV peer").then_some(())
    });
    let downs = place.show("adapter0", "show vnic vnic0")["device"].to_string();
    assert!(downs.contains("\"guest_link_downs\",\"value\":3"), "{downs}");
}

#[test]
fn an_adapter_that_was_killed_asks_for_what_it_had() {
    let mut place = adapter(&vnic("derived", ""));
    let mut switch = Scripted::at(&place, 1);
    place.start("adapter0");
    let identities = |switch: &mut Scripted| {
        let mut all = Vec::new();
        for _ in 0..2 {
            let request = switch.asked("a VIF", |request| matches!(request, Request::VifCreate { .. }));
            let Request::VifCreate { channel, provisioning, .. } = request else { unreachable!() };
            all.push((channel, provisioning));
        }
        all.sort_by_key(|(channel, _)| *channel);
        all
    };
    let before = identities(&mut switch);
    assert_eq!(before.iter().map(|(channel, _)| *channel).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(before[0].1.profile(), Some("default"));
    // Both are derived, in a way that lasts.
    assert_eq!(before[0].1.mac().unwrap().0[0] & 3, 2);
    let shown = &place.show("adapter0", "show vnic derived")["vnic"];
    assert_eq!((&shown["movable"], &shown["mac_derived"]), (&false.into(), &true.into()));

    place.kill("adapter0");
    place.start("adapter0");
    assert_eq!(identities(&mut switch), before);
    assert_eq!(switch.vifs.len(), 2);
    // A vNIC in front of them in the file, or one that goes, moves nobody's channel.
    let further = vnic("first", "") + &vnic("derived", "");
    let file = adapter(&further);
    place.write("adapter0.toml", &std::fs::read_to_string(file.path("adapter0.toml")).unwrap());
    place.kill("adapter0");
    place.start("adapter0");
    let mut created = identities(&mut switch);
    created.extend(
        [switch.asked("the third VIF", |request| matches!(request, Request::VifCreate { .. }))].map(
            |request| {
                let Request::VifCreate { channel, provisioning, .. } = request else { unreachable!() };
                (channel, provisioning)
            },
        ),
    );
    created.sort_by_key(|(channel, _)| *channel);
    assert_eq!(created[..2], before[..]);
    assert_eq!((created[2].0, created[2].1.port_name()), (3, Some("first")));
}

#[test]
fn vnics_come_change_and_go_by_command_and_outlive_the_adapter() {
    let mut place = adapter("");
    let mut switch = Scripted::at(&place, 1);
    place.start("adapter0");
    let mut resident = guest(&place, "vnic0");
    until_row(&mut switch, &place, "vnic0", |row| row["vif_state"] == "active");
    switch.requests.clear();
    let tell =
        |place: &Place, line: &str| place.client("adapter0").exec(line).map_err(|error| error.to_string());

    let device = |name: &str| format!("device vhost-user:{}", place.path(&format!("{name}.sock")).display());
    tell(
        &place,
        &format!("vnic add web1 {} link link0 profile web uuid {UUID} mac 52:54:00:00:00:02", device("web1")),
    )
    .unwrap();
    let created = switch.asked("a VIF", |request| matches!(request, Request::VifCreate { channel: 2, .. }));
    assert!(
        matches!(created, Request::VifCreate { provisioning, .. } if provisioning.profile() == Some("web"))
    );
    let mut web1 = guest(&place, "web1");
    until_row(&mut switch, &place, "web1", |row| row["vif_state"] == "active");
    assert!(web1.send(&frame(mac(1), mac(2)).ipv4(46)));
    assert_eq!(switch.receive(), frame(mac(1), mac(2)).vntag(up(6)).vlan(0, 3).ipv4(46));

    // Refused with the reason, and without a trace.
    for (line, part) in [
        (format!("vnic add web1 {} link link0", device("other")), "there is a \"web1\" already"),
        (format!("vnic add vnic0 {} link link0", device("other")), "there is a \"vnic0\" already"),
        (format!("vnic add other {} link link9", device("other")), "no [[link]] is called \"link9\""),
        (format!("vnic add other {} link link0", device("web1")), "web1.sock"),
        (format!("vnic add other {} link link0 channel 2", device("other")), "channel 2 is web1's already"),
        ("vnic add other device vhost-user:/nowhere/x.sock link link0".to_owned(), "/nowhere"),
        ("vnic set vnic0 profile db".to_owned(), "\"vnic0\" is in the configuration file"),
        ("vnic del vnic0".to_owned(), "\"vnic0\" is in the configuration file"),
        ("vnic set nobody profile db".to_owned(), "there is no \"nobody\""),
        ("vnic set web1 colour red".to_owned(), "unknown key \"colour\""),
        ("vnic set web1 device vhost-user:/nowhere/x.sock".to_owned(), "/nowhere"),
    ] {
        let said = tell(&place, &line).unwrap_err();
        assert!(said.contains(part), "{line}: {said}");
    }
    assert_eq!(place.show("adapter0", "show vnic").as_array().unwrap().len(), 2);

    // The refused change of the device disconnected the guest; it is served again where it was.
    web1.disconnect();
    web1.reconnect(&place.path("web1.sock")).unwrap();
    until_row(&mut switch, &place, "web1", |row| row["vif_state"] == "active");
    // Another identity is another VIF; the guest stays.
    switch.requests.clear();
    tell(&place, "vnic set web1 profile db mac 52:54:00:00:00:03").unwrap();
    switch.asked("the former VIF back", |request| matches!(request, Request::VifDelete { .. }));
    let created = switch.asked("a VIF", |request| matches!(request, Request::VifCreate { channel: 2, .. }));
    assert!(
        matches!(created, Request::VifCreate { provisioning, .. } if provisioning.profile() == Some("db"))
    );
    until_row(&mut switch, &place, "web1", |row| row["vif_state"] == "active" && row["state"] == "up");

    tell(&place, &format!("vnic add web2 {} link link0", device("web2"))).unwrap();
    tell(&place, "vnic del web2").unwrap();
    assert!(!place.path("web2.sock").exists());
    tell(&place, &format!("vnic add web3 {} link link0 queues 2", device("web3"))).unwrap();
    switch.until("VIFs", |switch| (switch.vifs.len() == 3).then_some(()));
    // Other queues, the same VIF.
    tell(&place, "vnic set web3 no queues").unwrap();
    until_row(&mut switch, &place, "web3", |row| row["vif_state"] == "standby");
    drop(guest(&place, "web3"));

    // The first vNIC noticed nothing of all that.
    assert!(resident.send(&frame(mac(9), mac(1)).ipv4(46)));
    assert_eq!(switch.receive(), frame(mac(9), mac(1)).vntag(up(5)).vlan(0, 3).ipv4(46));
    assert_eq!(place.show("adapter0", "show vnic vnic0")["device"][0]["value"], 1);
    place.at_rest();

    // Killed without a word: everything is back, and what the file has goes first.
    let vifs = switch.vifs.clone();
    let file = std::fs::read_to_string(place.path("adapter0.toml")).unwrap() + &vnic("web3", "");
    place.write("adapter0.toml", &file);
    place.kill("adapter0");
    place.start("adapter0");
    until_row(&mut switch, &place, "web1", |row| row["vif_state"] == "standby");
    switch.until("all VIFs", |_| {
        place
            .show("adapter0", "show vnic")
            .as_array()?
            .iter()
            .all(|row| row["vif_state"] == "standby")
            .then_some(())
    });
    assert_eq!(switch.vifs, vifs, "the same identities have the same VIFs");
    let listed = place.show("adapter0", "vnic list");
    let origins: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (&row["name"], row["origin"].as_str().unwrap()))
        .collect();
    assert_eq!(origins[0], (&"vnic0".into(), "file"));
    assert_eq!(origins[1], (&"web3".into(), "file (one that a command added is not used)"));
    assert_eq!(origins[2], (&"web1".into(), "command"));
    let channels: Vec<_> = place
        .show("adapter0", "show vif")
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["channel"].clone())
        .collect();
    assert_eq!(channels, [1, 3, 2]);
    // Without the one that stood behind the file's, which goes on.
    tell(&place, "vnic del web3").unwrap();
    assert!(tell(&place, "vnic del web3").unwrap_err().contains("configuration file"));
    assert_eq!(row(&place, "web3")["vif_state"], "standby");
    place.at_rest();
}

#[test]
fn what_the_switch_refuses_is_shown_and_tried_again() {
    let mut place = adapter("[firmware]\nfault = { rules = [\"VIF_ENABLE nth 1 refuse BADSTATE\"] }\n");
    let mut switch = Scripted::at(&place, 1);
    switch.refuse = Some(|request| {
        let web = matches!(request, Request::VifCreate { provisioning, .. } if provisioning.profile() == Some("web"));
        web.then(|| Refusal::with_cause(Status::UNKNOWN_PROFILE, 7, "no port-profile web"))
    });
    place.start("adapter0");
    let shown = until_row(&mut switch, &place, "vnic0", |row| {
        row["vif_state"].as_str().unwrap().starts_with("pending")
    });
    assert!(shown["vif_state"].as_str().unwrap().contains("no port-profile web"), "{shown}");
    let mut guest = Guest::new(Features::default()).unwrap();
    switch.refuse = None;
    let code = vntag::ctl::EventCode::PROFILES;
    assert_eq!(switch.ask(Request::Event { code }), Ok(Response::Event));
    until_row(&mut switch, &place, "vnic0", |row| row["vif_state"] == "standby");
    // The fault plan refuses the first enable as if the switch had; it is asked for again after a second.
    let wire = switch.until("a listener", |_| Wire::connect(&place.path("vnic0.sock")).ok());
    // Its link goes down as soon as its rings are enabled, perhaps before it has its last answer.
    let _ = guest.start(wire, false);
    until_row(&mut switch, &place, "vnic0", |row| row["vif_state"].as_str().unwrap().starts_with("claimed"));
    guest.disconnect();
    // As QEMU does it: again and again, until its link is up. A listener that it meets before may be the one that is just
    // being closed.
    switch.until("the guest again", |_| guest.reconnect(&place.path("vnic0.sock")).ok());
    until_row(&mut switch, &place, "vnic0", |row| row["vif_state"] == "active");
    assert!(place.show("adapter0", "show logging").to_string().contains("by the fault plan"));

    // The plan and the mailbox, by command.
    let tell = |line: &str| place.client("adapter0").exec(line).map_err(|error| error.to_string());
    tell("firmware fault clear").unwrap();
    tell("firmware fault rule LIST_SET nth 1 pretend").unwrap();
    tell("firmware fault seed 9").unwrap();
    assert!(tell("firmware fault rule LIST_SET once").unwrap_err().contains("a rule is OPERATION"));
    let plan = place.show("adapter0", "show firmware fault");
    assert_eq!(
        (&plan["plan"]["seed"], &plan["rules"][0]["rule"]),
        (&9.into(), &"LIST_SET nth 1 pretend".into())
    );
    let (list, members) = (ListId::new(1).unwrap(), one(switch.vif_of(MAC)));
    let set = Request::ListSet { list, generation: 1, members };
    assert_eq!(switch.ask(set), Ok(Response::ListSet));
    assert_eq!(place.show("adapter0", "show vif-list"), Value::Array(vec![]), "it only pretended");

    for (line, status) in [
        ("firmware devcmd vnic0 GET_MAC_ADDR", 2),
        ("firmware devcmd vnic0 open", 0),
        ("firmware devcmd vnic0 GET_MAC_ADDR", 0),
        ("firmware devcmd vnic0 INIT_PROV_INFO 0 0 00ff", 2),
        ("firmware devcmd vnic0 0x4101c01c", 0),
        ("firmware devcmd vnic0 12345", 2),
    ] {
        let answer = tell(line).unwrap();
        assert_eq!(answer["status"], status, "{line}: {answer}");
    }
    assert_eq!(place.show("adapter0", "show firmware vnic vnic0")["open"], true);
    switch.asked("the VIF to be enabled", |request| matches!(request, Request::VifEnable { .. }));
    tell("firmware devcmd vnic0 CLOSE").unwrap();
    switch.asked("the VIF back", |request| matches!(request, Request::VifDelete { .. }));
}

#[test]
fn a_switch_that_floods_stops_nobody() {
    let mut place = adapter(&vnic("other", ""));
    let mut switch = Scripted::at(&place, 1);
    place.start("adapter0");
    let mut first = guest(&place, "vnic0");
    until_row(&mut switch, &place, "vnic0", |row| row["vif_state"] == "active");
    let vif = u32::from(switch.vif_of(MAC).get());
    // Nonsense with the address of control, LLDP that never ends, and PDUs of nobody's session.
    let nonsense = [
        frame([1, 0x80, 0xc2, 0, 0, 14], mac(7)).payload(0x88b5, &[0xff; 100]),
        frame([1, 0x80, 0xc2, 0, 0, 14], [2, 0, 0, 0, 7, 7])
            .payload(0x88b5, &[1, 6, 0, 1, 0, 0, 0, 0, 9, 9, 9, 9, 0, 0, 0, 0]),
        frame([1, 0x80, 0xc2, 0, 0, 14], mac(8)).payload(0x88cc, &[2, 7, 4, 1, 2, 3, 4, 5, 6]),
    ];
    let begun = Instant::now();
    let (mut sent, mut echoed, mut served) = (0u64, 0u64, 0);
    let mut late: Option<Guest> = None;
    while begun.elapsed() < Duration::from_secs(3) {
        for n in 0..64 {
            sent += u64::from(switch.send(&nonsense[n % 3]));
        }
        switch.turn();
        // Data go on both ways.
        let data = frame(mac(1), mac(2)).vntag(down(vif)).vlan(10, 0).ipv4(46);
        if switch.send(&data) {
            switch.turn();
            if first.recv(Duration::from_millis(200)).is_some() {
                echoed += 1;
            }
        }
        // A new guest is served at once, though its switch is hardly to be understood.
        if late.is_none() && begun.elapsed() > Duration::from_secs(1) {
            let asked = place.stopwatch();
            late = Some(guest(&place, "other"));
            served = place.took(&asked).as_millis();
        }
    }
    assert!(late.is_some() && served < 500, "a guest was served after {served} ms");
    assert!(sent > 10_000 && echoed > 1000, "{sent} of nonsense, {echoed} frames of data");
    println!(
        "{sent} frames of nonsense, {echoed} of data meanwhile; a new guest was served within {served} ms"
    );
    // It all ends well.
    switch.until("the other vNIC's VIF", |_| (row(&place, "other")["vif_state"] == "active").then_some(()));
    place.at_rest();
    let drops = place.drops("adapter0");
    assert!(
        drops
            .keys()
            .all(|reason| ["punt_full", "host_ring_full", "link_ring_full"].contains(&reason.as_str())),
        "{drops:?}"
    );
}

#[test]
fn a_second_link_takes_over_when_the_first_one_or_its_switch_is_lost() {
    let second = "\n[[link]]\nname = \"link1\"\ndevice = \"memif:link1.sock\"\n";
    let vnic0 = vnic("vnic0", &format!("mac = \"{MAC}\"\nbackup = \"link1\"\n"));
    let firmware = "[firmware]\ncarrier_delay = 1\n";
    let mut place = Place::new(&[("adapter0.toml", node("adapter0") + firmware + link() + second + &vnic0)]);
    let folder = place.path("");
    let device = |n: u8| format!("memif:{}", folder.join(format!("link{n}.sock")).display());
    let mut first = Some(Scripted::on(&device(0), 1));
    place.start("adapter0");
    let mut guest = guest(&place, "vnic0");
    let turn = |first: &mut Option<Scripted>, other: &mut Scripted| {
        if let Some(first) = first {
            first.turn();
        }
        other.turn();
    };
    let is_first = |row: &Value| row["vif_state"] == "active" && row["link"] == "link0";
    until_row(first.as_mut().unwrap(), &place, "vnic0", is_first);
    // The second VIF stands by.
    let mut other = Scripted::on(&device(1), 2);
    let standby =
        |request: &Request| matches!(request, Request::VifCreate { initial: InitialState::Standby, .. });
    until("the standby VIF", || {
        turn(&mut first, &mut other);
        other.requests.iter().any(standby).then_some(())
    });
    let data = frame(mac(2), mac(1)).ipv4(46);
    assert!(guest.send(&data));
    let stamped = frame(mac(2), mac(1)).vntag(up(5)).vlan(0, 3).ipv4(46);
    assert_eq!(first.as_mut().unwrap().receive(), stamped);

    // The first switch goes: the other VIF takes over, and the guest notices nothing.
    drop(first.take());
    other.asked("the standby VIF to be enabled", |request| matches!(request, Request::VifEnable { .. }));
    until_row(&mut other, &place, "vnic0", |row| row["vif_state"] == "active" && row["link"] == "link1");
    assert!(guest.send(&data));
    assert_eq!(other.receive(), stamped);

    // It comes back, and gets its traffic back.
    first = Some(Scripted::on(&device(0), 3));
    until("the first link carries the traffic again", || {
        turn(&mut first, &mut other);
        is_first(&row(&place, "vnic0")).then_some(())
    });
    other.asked("the VIF to stand by again", |request| matches!(request, Request::VifDisable { .. }));
    assert!(guest.send(&data));
    assert_eq!(first.as_mut().unwrap().receive(), stamped);
    let shown = place.show("adapter0", "show vnic vnic0");
    assert_eq!((&shown["vnic"]["carrier"], &shown["vnic"]["state"]), (&"up".into(), &"up".into()));
    assert_eq!(shown["device"][0]["value"], 1, "one connection all the time: {shown:#}");
    let states: Vec<_> = shown["vifs"].as_array().unwrap().iter().map(|vif| &vif["state"]).collect();
    assert_eq!(states, ["active", "standby"]);
    place.at_rest();
}
