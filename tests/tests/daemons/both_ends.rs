//! Adapter and switch find each other by the control protocol, and keep what they agreed on through deaths of either.

use super::files::{negotiated_port, negotiating_link, node};
use super::place::{PATIENCE, Place, until};
use niv_lab::driver::{Features, Guest, Request};
use niv_lab::world::frames::{BROADCAST, frame, mac};
use serde_json::Value;
use std::time::Duration;

/// How long nothing is waited for.
const MOMENT: Duration = Duration::from_millis(100);

fn vnic(name: &str, station: u16, further: &str) -> String {
    let [.., a, b] = mac(station);
    format!(
        "\n[[vnic]]\nname = \"{name}\"\ndevice = \"vhost-user:{name}.sock\"\nlink = \"link0\"\nmac = \"52:54:00:00:{a:02x}:{b:02x}\"\n{further}"
    )
}

/// A switch with one NIV link, and an adapter with two vNICs on it; nothing is static anywhere.
fn pair(lines: &str, further: &str) -> Place {
    let chassis = node("vis0") + &negotiated_port(1, "memif:link0.sock");
    let adapter = node("adapter0")
        + &negotiating_link("link0", "memif:link0.sock")
        + &vnic("vnic0", 1, further)
        + &vnic("vnic1", 2, further);
    let files = [("vis0.toml", chassis), ("vis0.cfg", lines.to_owned()), ("adapter0.toml", adapter)];
    let mut place = Place::new(&files);
    place.start("vis0");
    place.start("adapter0");
    place
}

fn row(place: &Place, name: &str) -> Option<Value> {
    let rows = place.client("adapter0").exec("show vnic").ok()?;
    rows.as_array()?.iter().find(|row| row["name"] == name).cloned()
}

/// Waits until a vNIC is as wanted.
#[track_caller]
fn until_row(place: &Place, name: &str, is: impl Fn(&Value) -> bool) -> Value {
    until(&format!("{name} is as wanted"), || row(place, name).filter(|row| is(row)))
}

fn is_active(row: &Value) -> bool {
    row["vif_state"] == "active" && row["state"] == "up"
}

fn guests(place: &Place) -> [Guest; 2] {
    ["vnic0", "vnic1"].map(|name| {
        let guest = Guest::connect(&place.path(&format!("{name}.sock")), Features::default()).unwrap();
        until_row(place, name, is_active);
        guest
    })
}

fn says(text: u8, to: [u8; 6], from: u16) -> Vec<u8> {
    frame(to, mac(from)).payload(0x88b6, &[text; 50])
}

/// Repeats a broadcast until it has arrived: the lists of a link that has just come up follow its VIFs.
#[track_caller]
fn until_flooded(from: &mut Guest, to: &mut Guest, what: &[u8]) {
    until("a broadcast arrives", || {
        from.send(what);
        to.recv(Duration::from_millis(20)).filter(|got| got == what).map(drop)
    });
    while to.recv(MOMENT).is_some() {}
}

#[test]
fn two_guests_talk_without_a_static_vif_anywhere() {
    let place = pair("", "");
    let [mut a, mut b] = guests(&place);
    until_flooded(&mut a, &mut b, &says(1, BROADCAST, 1));
    // The switch has learned who is where: back to the one, and to nobody else.
    assert!(b.send(&says(2, mac(1), 2)));
    assert_eq!(a.recv(PATIENCE), Some(says(2, mac(1), 2)));
    assert!(a.send(&says(3, mac(2), 1)));
    assert_eq!(b.recv(PATIENCE), Some(says(3, mac(2), 1)));
    assert_eq!((a.recv(MOMENT), b.recv(MOMENT)), (None, None));
    for (name, number) in [("vnic0", 1), ("vnic1", 2)] {
        let row = row(&place, name).unwrap();
        assert_eq!((&row["vif"], &row["veth"], &row["vlan"]), (&number.into(), &number.into(), &1.into()));
    }
    let lists = place.show("adapter0", "show vif-list");
    assert!(lists.as_array().unwrap().iter().any(|list| list["members"] == "1,2"), "{lists:#}");
    place.at_rest();
}

#[test]
fn what_is_configured_at_the_switch_is_so_at_the_guest() {
    let place = pair("", "profile = \"web\"\n");
    let switch = place.client("vis0");
    // Refused until there is such a profile; then at once.
    let refused = until_row(&place, "vnic0", |row| row["vif_state"].as_str().unwrap().starts_with("pending"));
    assert!(refused["vif_state"].as_str().unwrap().contains("web"), "{refused}");
    let profile = "port-profile web\n  switchport access vlan 10\n  state enabled\n";
    switch.configure(profile).unwrap();
    for name in ["vnic0", "vnic1"] {
        until_row(&place, name, |row| row["vif_state"] == "standby" && row["vlan"] == 10);
    }
    let [mut a, mut b] = guests(&place);
    until_flooded(&mut a, &mut b, &says(1, BROADCAST, 1));

    // One of them is put into another VLAN: they do not hear each other; and back.
    let veth = row(&place, "vnic1").unwrap()["veth"].to_string();
    switch.configure(&format!("interface vethernet {veth}\n  switchport access vlan 20\n")).unwrap();
    until_row(&place, "vnic1", |row| row["vlan"] == 20);
    assert!(a.send(&says(2, BROADCAST, 1)));
    assert_eq!(b.recv(MOMENT), None);
    switch.configure(&format!("interface vethernet {veth}\n  no switchport access vlan\n")).unwrap();
    until_row(&place, "vnic1", |row| row["vlan"] == 10);
    until_flooded(&mut a, &mut b, &says(3, BROADCAST, 1));

    // Shut: the guest loses its link, and has it again afterwards.
    switch.configure(&format!("interface vethernet {veth}\n  shutdown\n")).unwrap();
    let shut =
        until_row(&place, "vnic1", |row| row["state"].as_str().unwrap().starts_with("down (link down"));
    assert!(shut["vif_state"].as_str().unwrap().starts_with("disabled"), "{shut}");
    b.disconnect();
    switch.configure(&format!("interface vethernet {veth}\n  no shutdown\n")).unwrap();
    until("the guest again", || b.reconnect(&place.path("vnic1.sock")).ok());
    until_row(&place, "vnic1", is_active);
    until_flooded(&mut a, &mut b, &says(4, BROADCAST, 1));
    place.at_rest();
}

#[test]
fn a_guest_that_has_moved_here_is_announced_in_its_vlan() {
    let place = pair("", "");
    let [mut a, mut b] = guests(&place);
    until_flooded(&mut a, &mut b, &says(1, BROADCAST, 1));
    // As QEMU does it at the end of a migration; the guest itself says nothing. It may have another address by now.
    let [p, q, r, s, t, u] = mac(9);
    a.wire().unwrap().set_number(Request::SEND_RARP, u64::from_ne_bytes([p, q, r, s, t, u, 0, 0])).unwrap();
    let heard = b.recv(PATIENCE).expect("an announcement");
    assert!(heard.starts_with(&[&BROADCAST[..], &mac(9), &[0x80, 0x35]].concat()), "{heard:x?}");
    // And back to whom it is for.
    assert!(b.send(&says(2, mac(9), 2)));
    assert_eq!(a.recv(PATIENCE), Some(says(2, mac(9), 2)));
    let addresses = place.show("vis0", "show vethernet 1 export")["addresses"].to_string();
    assert!(addresses.contains("52:54:00:00:00:09"), "{addresses}");
    assert!(place.show("vis0", "show logging").to_string().contains("Veth1: the guest announced"));
    place.at_rest();
}

#[test]
fn a_vnic_comes_and_goes_at_both_ends() {
    let place = pair("", "");
    let [mut a, _b] = guests(&place);
    let adapter = place.client("adapter0");
    let device = format!("vhost-user:{}", place.path("vnic2.sock").display());
    adapter.exec(&format!("vnic add vnic2 device {device} link link0 mac 52:54:00:00:00:03")).unwrap();
    let there = until_row(&place, "vnic2", |row| row["vif_state"] == "standby");
    assert_eq!(there["veth"], 3);
    let mut c = Guest::connect(&place.path("vnic2.sock"), Features::default()).unwrap();
    until_row(&place, "vnic2", is_active);
    until_flooded(&mut a, &mut c, &says(1, BROADCAST, 1));
    adapter.exec("vnic del vnic2").unwrap();
    let names = |place: &Place| {
        let rows = place.show("vis0", "show interface virtual status");
        rows.as_array().unwrap().len()
    };
    until("the switch has forgotten it", || (names(&place) == 2).then_some(()));
    assert!(row(&place, "vnic2").is_none());
    place.at_rest();
}

/// What both ends say of the VIFs: name, VIF, vEth.
fn agreed(place: &Place) -> Vec<(String, u64, u64)> {
    let rows = place.show("adapter0", "show vnic");
    let of = |row: &Value| {
        let number = |key: &str| row[key].as_u64().unwrap();
        (row["name"].as_str().unwrap().to_owned(), number("vif"), number("veth"))
    };
    rows.as_array().unwrap().iter().map(of).collect()
}

#[test]
fn the_switch_dies_and_returns_and_the_guests_keep_their_links() {
    let mut place = pair("", "");
    let [mut a, mut b] = guests(&place);
    until_flooded(&mut a, &mut b, &says(0, BROADCAST, 1));
    let before = agreed(&place);
    for round in 1..4 {
        place.kill("vis0");
        place.start("vis0");
        until_flooded(&mut a, &mut b, &says(round, BROADCAST, 1));
        until_flooded(&mut b, &mut a, &says(round, BROADCAST, 2));
        assert_eq!(agreed(&place), before);
    }
    for name in ["vnic0", "vnic1"] {
        let shown = place.show("adapter0", &format!("show vnic {name}"));
        assert_eq!(shown["device"][0]["value"], 1, "one connection all the time: {shown:#}");
        assert_eq!(shown["vnic"]["carrier"], "up");
    }
    place.at_rest();
}

#[test]
fn an_adapter_dies_and_returns_and_has_the_same_vifs() {
    let mut place = pair("", "");
    let [mut a, mut b] = guests(&place);
    until_flooded(&mut a, &mut b, &says(0, BROADCAST, 1));
    let before = agreed(&place);
    for round in 1..4 {
        place.kill("adapter0");
        a.disconnect();
        b.disconnect();
        place.start("adapter0");
        for (guest, name) in [(&mut a, "vnic0"), (&mut b, "vnic1")] {
            guest.reconnect(&place.path(&format!("{name}.sock"))).unwrap();
            until_row(&place, name, is_active);
        }
        until_flooded(&mut a, &mut b, &says(round, BROADCAST, 1));
        until_flooded(&mut b, &mut a, &says(round, BROADCAST, 2));
        assert_eq!(agreed(&place), before);
    }
    place.at_rest();
}
