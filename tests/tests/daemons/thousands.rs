//! As many vNICs as a link has VIFs for.

use super::files::{negotiated_port, negotiating_link, node};
use super::net::{Net, missing_rights};
use super::place::{PATIENCE, Place, left_out, missing_program, until, within};
use super::scripted::Scripted;
use niv_lab::driver::{Features, Guest, Silent};
use niv_lab::world::frames::{down, frame, mac};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fmt::Write;
use std::time::{Duration, Instant};
use vntag::ctl::{InitialState, Request};

const VNICS: usize = 4000;
/// From the session to the last VIF.
const COME_UP: Duration = Duration::from_secs(2);
/// What the adapter needs beside its vNICs.
const SPARE: usize = 200;

/// Descriptors that a process may have; this one too, from now on.
fn descriptors() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    maximum.map_or(usize::MAX, |maximum| maximum as usize)
}

/// An adapter with so many vNICs `v0`, `v1` ..., as many of them as the system allows with a guest.
struct Crowd {
    place: Place,
    guests: usize,
    /// They leave with this.
    _silent: Silent,
}

/// `first` vNICs get no silent guest.
fn crowd(link: &str, first: usize) -> Crowd {
    // A listener and two for the event of a ring for each vNIC; connection, process and two kicks for each guest.
    let descriptors = descriptors();
    let guests = descriptors.saturating_sub(3 * VNICS + SPARE).min(4 * (VNICS - first)) / 4;
    assert!(guests > 1000, "{descriptors} descriptors are too few");
    let mut text = node("adapter0") + "\n[firmware]\ncarrier_delay = 60\n" + &negotiating_link("link0", link);
    for n in 0..VNICS {
        write!(text, "\n[[vnic]]\nname = \"v{n}\"\ndevice = \"vhost-user:v{n}.sock\"\nlink = \"link0\"\n")
            .unwrap();
    }
    let mut place = Place::new(&[("adapter0.toml", text)]);
    let begun = Instant::now();
    place.start("adapter0");
    println!("{VNICS} vNICs are there {:?} after the start of the adapter", begun.elapsed());
    let mut silent = Silent::new().unwrap();
    let begun = Instant::now();
    (first..first + guests).for_each(|n| silent.connect(&place.path(&format!("v{n}.sock"))).unwrap());
    println!("{guests} guests have connected within {:?}", begun.elapsed());
    Crowd { place, guests, _silent: silent }
}

/// Answers until all VIFs are there and those with a guest active, soon enough after the session has begun.
fn come_up(place: &Place, switch: &mut Scripted, guests: usize) {
    switch.until("the session", |switch| (switch.ups == 1).then_some(()));
    let begun = place.stopwatch();
    let is_active = |request: &&Request| match request {
        Request::VifEnable { .. } => true,
        Request::VifCreate { initial, .. } => *initial == InitialState::Active,
        _ => false,
    };
    switch.until("all VIFs", |switch| {
        let active = switch.requests.iter().filter(is_active).count();
        (switch.vifs.len() == VNICS && active == guests).then_some(())
    });
    within(&format!("{VNICS} VIFs, {guests} of them active"), place.took(&begun), COME_UP);
}

#[test]
fn four_thousand_vnics_come_up_and_one_more_stops_nobody() {
    let Crowd { place, guests, _silent } = crowd("memif:link0.sock", 1);
    let mut talker = Guest::connect(&place.path("v0.sock"), Features::default()).unwrap();
    let mut switch = Scripted::at(&place, 1);
    come_up(&place, &mut switch, guests + 1);

    // One guest talks while vNICs come and go.
    let vif = u32::from(switch.vif_of_channel(1).get());
    let adder = std::thread::spawn({
        let client = place.client("adapter0");
        let socket = place.path("more.sock");
        move || {
            let begun = Instant::now();
            for _ in 0..20 {
                client
                    .exec(&format!("vnic add more device vhost-user:{} link link0", socket.display()))
                    .unwrap();
                client.exec("vnic del more").unwrap();
            }
            begun.elapsed() / 40
        }
    });
    let data = frame(mac(1), mac(2)).vntag(down(vif)).vlan(10, 0).ipv4(46);
    let (mut frames, mut longest) = (0, Duration::ZERO);
    while !adder.is_finished() {
        let sent = Instant::now();
        assert!(switch.send(&data));
        switch.turn();
        assert!(talker.recv(PATIENCE).is_some());
        longest = longest.max(sent.elapsed());
        frames += 1;
    }
    println!("{frames} frames, each within {longest:?}; a command took {:?}", adder.join().unwrap());
    place.at_rest();
    assert_eq!(place.drops("adapter0"), [].into());
}

#[test]
fn four_thousand_vnics_come_up_over_a_veth() {
    if left_out(missing_program(&["ip"])) || left_out(missing_rights()) {
        return;
    }
    let mut net = Net::default();
    let [a, b] = net.veth(1510);
    let Crowd { place, guests, _silent } = crowd(&format!("packet:{a}"), 0);
    let mut switch = Scripted::on(&format!("packet:{b}"), 1);
    come_up(&place, &mut switch, guests);
    place.at_rest();
}

/// The same before a real switch, which starts when all guests are there.
fn come_up_before_a_switch(switch: &str, adapter: &str) {
    let Crowd { mut place, guests, _silent } = crowd(adapter, 0);
    let chassis = node("vis0") + &negotiated_port(1, switch);
    place.write("vis0.toml", &chassis);
    place.write("vis0.cfg", "");
    place.start("vis0");
    let client = place.client("adapter0");
    let counted = |key: &str| {
        let answer = client.exec("show control statistics").unwrap();
        let rows = answer.as_array().unwrap().clone();
        rows.iter().find(|row| row["counter"] == key).and_then(|row| row["value"].as_u64()).unwrap_or(0)
    };
    until("the session", || (counted("ctl_request_tx") > 0).then_some(()));
    let begun = place.stopwatch();
    until("all answers", || (counted("ctl_response_rx") >= VNICS as u64).then_some(()));
    within(&format!("{VNICS} VIFs, {guests} of them active"), place.took(&begun), COME_UP);
    until("all VIFs as they should be", || {
        let rows = place.show("adapter0", "show vif");
        let count = |state: &str| rows.as_array().unwrap().iter().filter(|row| row["state"] == state).count();
        ((count("active"), count("standby")) == (guests, VNICS - guests)).then_some(())
    });
    println!("seen in all rows {:?} after the session", place.took(&begun));
    place.at_rest();
}

#[test]
fn four_thousand_vnics_come_up_before_a_switch() {
    come_up_before_a_switch("memif:link0.sock", "memif:link0.sock");
}

#[test]
fn four_thousand_vnics_come_up_before_a_switch_behind_a_veth() {
    if left_out(missing_program(&["ip"])) || left_out(missing_rights()) {
        return;
    }
    let mut net = Net::default();
    let [a, b] = net.veth(1510);
    come_up_before_a_switch(&format!("packet:{a}"), &format!("packet:{b}"));
}
