//! A switch with as many vEths as a link has VIFs for.

use super::files::node;
use super::place::{Place, until};
use super::virtual_iv::VirtualIv;
use std::time::{Duration, Instant};
use vntag::ethernet::Mac;

const VNICS: u32 = 4000;
/// All of them come up within this, from the session on (a debug build on two shared cores may take its time).
const COME_UP: Duration = Duration::from_secs(2);
/// A change of the VLAN of all of them is in effect within this, from the command to its answer.
const CHANGE: Duration = Duration::from_millis(100);

fn address(vnic: u32) -> Mac {
    let [_, _, high, low] = vnic.to_be_bytes();
    Mac([0x52, 0x54, 0, 1, high, low])
}

/// What debug builds and busy machines are forgiven.
fn within(what: &str, took: Duration, limit: Duration) {
    println!("{what}: {took:?}");
    let limit = if cfg!(debug_assertions) { 10 * limit } else { limit };
    assert!(took < limit, "{what} took {took:?}, {limit:?} are allowed");
}

#[test]
fn four_thousand_vnics_get_their_veths_change_their_vlan_and_come_back() {
    let chassis = node("vis0")
        + "\n[[port]]\nname = \"ethernet1/1\"\nmode = \"vntag\"\ndevice = \"memif:link0.sock\"\n";
    let startup = "port-profile web\n  switchport access vlan 10\n  state enabled\n";
    let mut place = Place::new(&[("vis0.toml", chassis), ("vis0.cfg", startup.to_owned())]);
    let iv = VirtualIv::at(&place.path("link0.sock"));
    (1..=VNICS).for_each(|vnic| iv.add(vnic, address(vnic), "web"));
    place.start("vis0");
    let first = come_up(&place, &iv, 0);
    let client = place.client("vis0");
    served(&place, "10");

    // One line for all of them.
    let begun = Instant::now();
    client.configure("port-profile web\n  switchport access vlan 20\n").unwrap();
    within("a change of 4,000 VLANs", begun.elapsed(), CHANGE);
    let begun = Instant::now();
    served(&place, "20");
    println!("its lists: {:?}", begun.elapsed());
    let begun = Instant::now();
    assert!(client.metrics().unwrap().contains("vis_vethernet_up{interface=\"vethernet4000\"} 1"));
    println!("the page of metrics: {:?}", begun.elapsed());

    place.kill("vis0");
    let begun = Instant::now();
    place.start("vis0");
    println!("the switch is there again: {:?}", begun.elapsed());
    assert_eq!(come_up(&place, &iv, 1), first);
    place.stop("vis0");
}

/// Waits until every vNIC has its VIF in a session after so many, and it is active; the vEth of each.
fn come_up(place: &Place, iv: &VirtualIv, sessions: usize) -> Vec<u32> {
    until("a session", || (iv.granted().1 > sessions).then_some(()));
    let begun = Instant::now();
    let granted = iv.settled(sessions);
    within("4,000 VIFs", begun.elapsed(), COME_UP);
    until("all are up", || {
        let page = place.client("vis0").metrics().ok()?;
        page.contains(&format!("vis_vifs{{port=\"ethernet1/1\",state=\"active\"}} {VNICS}\n")).then_some(())
    });
    granted.values().map(|granted| granted.veth).collect()
}

/// Waits until the floods of a VLAN have a list with everybody in it.
fn served(place: &Place, vlan: &str) {
    let vlan: u64 = vlan.parse().unwrap();
    until("the list of everybody", || {
        let rows = place.client("vis0").exec("show vif-list").ok()?;
        let serves = |row: &&serde_json::Value| {
            row["vlans"].as_array().is_some_and(|vlans| vlans.iter().any(|served| *served == vlan))
        };
        let row = rows.as_array()?.iter().find(serves)?;
        (row["members"].as_array()?.len() as u32 == VNICS).then_some(())
    });
}
