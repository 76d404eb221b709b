//! A switch with as many vEths as a link has VIFs for.

use super::files::{negotiated_port, node};
use super::net::{Net, missing_rights};
use super::place::{PATIENCE, Place, left_out, missing_program, until, within};
use super::virtual_iv::VirtualIv;
use niv_lab::world::frames::mac;
use niv_node::client::Client;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use vntag::ethernet::Mac;

const VNICS: u32 = 4000;
/// Two more, which nothing happens to: they talk all the time.
const OTHERS: [u32; 2] = [VNICS + 1, VNICS + 2];
/// All of them come up within this, from the session on.
const COME_UP: Duration = Duration::from_secs(2);
/// A change of the VLAN of all of them is in effect within this, from the command to its answer.
const CHANGE: Duration = Duration::from_millis(100);

fn address(vnic: u32) -> Mac {
    let [_, _, high, low] = vnic.to_be_bytes();
    Mac([0x52, 0x54, 0, 1, high, low])
}

/// The switch has `port`, the virtual IV `device`.
fn change_all(port: &str, device: impl FnOnce(&Place) -> String) {
    let chassis = node("vis0") + &negotiated_port(1, port);
    let startup = "port-profile web\n  switchport access vlan 10\n  state enabled\n\
                   port-profile others\n  switchport access vlan 30\n  state enabled\n";
    let mut place = Place::new(&[("vis0.toml", chassis), ("vis0.cfg", startup.to_owned())]);
    let iv = VirtualIv::on(&device(&place));
    (1..=VNICS).for_each(|vnic| iv.add(vnic, address(vnic), "web"));
    OTHERS.into_iter().for_each(|vnic| iv.add(vnic, address(vnic), "others"));
    place.start("vis0");
    let first = come_up(&place, &iv, 0);
    let client = place.client("vis0");
    served(&place, 10);

    // One line for all of them, again and again, while others talk.
    make_known(&client, &iv);
    let (sent, lost) = while_others_talk(&iv, || {
        for vlan in (11..=20).rev() {
            let begun = place.stopwatch();
            client.configure(&format!("port-profile web\n  switchport access vlan {vlan}\n")).unwrap();
            within("a change of 4,000 VLANs", place.took(&begun), CHANGE);
            let begun = Instant::now();
            served(&place, vlan);
            println!("its lists: {:?}", begun.elapsed());
        }
    });
    println!("the others sent {sent} frames meanwhile, {lost} did not arrive");
    assert!(lost == 0 && sent > 100, "{lost} of {sent}; the switch dropped {:?}", place.drops("vis0"));
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

#[test]
fn four_thousand_vnics_get_their_veths_change_their_vlan_and_come_back() {
    change_all("memif:link0.sock", |place| format!("memif:{}", place.path("link0.sock").display()));
}

#[test]
fn four_thousand_vnics_get_their_veths_change_their_vlan_and_come_back_behind_a_veth() {
    if left_out(missing_program(&["ip"])) || left_out(missing_rights()) {
        return;
    }
    let mut net = Net::default();
    let [a, b] = net.veth(1510);
    change_all(&format!("packet:{a}"), |_| format!("packet:{b}"));
}

/// Frames of theirs that may be under way.
const UNDER_WAY: u64 = 64;

/// The switch learns the address of the other that frames go to, so that all of these are for it alone.
fn make_known(client: &Client, iv: &VirtualIv) {
    let to = OTHERS[1];
    let address = Mac(mac(to as u16)).to_string();
    until("the switch knows one of the others", || {
        iv.broadcast(to);
        let rows = client.exec("show mac address-table").ok()?;
        rows.as_array()?.iter().any(|row| row["mac"] == address).then_some(())
    });
}

/// How many frames one of the others sent to the other while this was done, and how many of them were lost.
fn while_others_talk(iv: &VirtualIv, act: impl FnOnce()) -> (u64, u64) {
    let [from, to] = OTHERS;
    let done = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let talk = scope.spawn(|| {
            let mut sent = 0;
            while !done.load(Ordering::Acquire) {
                // No more under way than fits the link: the virtual IV may wait for a processor.
                if sent < iv.delivered(to) + UNDER_WAY {
                    sent += iv.send(from, mac(to as u16), 32) as u64;
                }
                std::thread::sleep(Duration::from_micros(100));
            }
            sent
        });
        act();
        done.store(true, Ordering::Release);
        talk.join().unwrap()
    });
    let end = Instant::now() + PATIENCE;
    while iv.delivered(to) < sent && Instant::now() < end {
        std::thread::yield_now();
    }
    (sent, sent - iv.delivered(to))
}

/// Waits until every vNIC has its VIF in a session after so many, and it is active; the vEth of each.
fn come_up(place: &Place, iv: &VirtualIv, sessions: usize) -> Vec<u32> {
    until("a session", || (iv.granted().1 > sessions).then_some(()));
    let begun = place.stopwatch();
    let granted = iv.settled(sessions);
    within("4,000 VIFs", place.took(&begun), COME_UP);
    until("all are up", || {
        let page = place.client("vis0").metrics().ok()?;
        page.contains(&format!("vis_vifs{{port=\"ethernet1/1\",state=\"active\"}} {}\n", VNICS + 2))
            .then_some(())
    });
    granted.values().map(|granted| granted.veth).collect()
}

/// Waits until the floods of a VLAN have a list with everybody in it.
fn served(place: &Place, vlan: u64) {
    until("the list of everybody", || {
        let rows = place.client("vis0").exec("show vif-list").ok()?;
        let serves = |row: &&serde_json::Value| {
            row["vlans"].as_array().is_some_and(|vlans| vlans.iter().any(|served| *served == vlan))
        };
        let row = rows.as_array()?.iter().find(serves)?;
        (row["members"].as_array()?.len() as u32 == VNICS).then_some(())
    });
}
