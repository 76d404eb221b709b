//! `nivctl doctor`: what is wrong is found, and what it prints mends it.

use super::files::{negotiated_port, negotiated_vnic, negotiating_link, node};
use super::net::{Net, missing_rights};
use super::place::{Place, left_out, program, until};
use niv_lab::driver::{Features, Guest, Request, Wire};
use niv_lab::world::frames::{BROADCAST, frame, mac};
use rustix::process::Signal;
use serde_json::Value;
use std::process::Command;

const VIS: &str = "niv-run/vis0";
const ADAPTER: &str = "niv-run/adapter0";
const MAC: &str = "52:54:00:00:00:01";

/// A switch and an adapter with one vNIC, where `nivctl` looks for them.
fn place(ends: [&str; 2], lines: &str, vnic: &str) -> Place {
    let place = Place::new(&[]);
    std::fs::create_dir(place.path("niv-run")).unwrap();
    let here = |text: String| text.replace("api = \"", "api = \"niv-run/");
    let [at_switch, at_adapter] = ends;
    let adapter = here(node("adapter0"))
        + &negotiating_link("link0", at_adapter)
        + &negotiated_vnic("vnic0", "vhost-user:vnic0.sock", MAC)
        + vnic;
    place.write("vis0.cfg", lines);
    place.write(&format!("{VIS}.toml"), &(here(node("vis0")) + &negotiated_port(1, at_switch)));
    place.write(&format!("{ADAPTER}.toml"), &adapter);
    place
}

fn both(lines: &str, vnic: &str) -> Place {
    let mut place = place(["memif:link0.sock"; 2], lines, vnic);
    place.start(VIS);
    place.start(ADAPTER);
    place
}

/// What is found, without hints: node and finding. The exit code says whether there is any.
#[track_caller]
fn findings(place: &Place) -> Vec<(String, Value)> {
    let (code, said, complained) = place.nivctl(&["-j", "doctor"]);
    let page: Value =
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}{complained}"));
    let mut found = Vec::new();
    for node in page["nodes"].as_array().unwrap() {
        let name = node["node"].as_str().unwrap();
        for finding in node["findings"].as_array().unwrap() {
            // What this host is like is not what is tested.
            let code = finding["code"].as_str().unwrap();
            if code == "memory-low" || code.starts_with("unit-") {
                continue;
            }
            if finding["severity"] != "hint" {
                found.push((name.to_owned(), finding.clone()));
            }
        }
    }
    let healthy = page["healthy"].as_bool().unwrap();
    assert_eq!((code, !healthy || found.is_empty()), (i32::from(!healthy), true), "{page:#}");
    found
}

fn codes(findings: &[(String, Value)]) -> Vec<(&str, &str)> {
    findings.iter().map(|(node, finding)| (node.as_str(), finding["code"].as_str().unwrap())).collect()
}

/// Finds exactly this.
#[track_caller]
fn until_found(place: &Place, wanted: (&str, &str)) -> Value {
    until(&format!("{wanted:?} is found"), || {
        let found = findings(place);
        (codes(&found) == [wanted]).then(|| found[0].1.clone())
    })
}

#[track_caller]
fn until_healthy(place: &Place) {
    until("it is healthy", || findings(place).is_empty().then_some(()));
}

/// Pastes a command into a shell.
#[track_caller]
fn paste(place: &Place, line: &str) {
    let ours = program("nivctl").parent().unwrap().to_owned();
    let path = format!("{}:{}", ours.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env("PATH", path).env_remove("NIV_API").current_dir(place.path(""));
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{line}: {}", super::place::text(&output));
}

#[track_caller]
fn mend(place: &Place, finding: &Value) {
    let command = finding["mend"][0].as_str().unwrap_or_else(|| panic!("{finding:#}"));
    paste(place, command);
}

#[test]
fn a_profile_that_is_missing_is_made_by_the_command_that_is_printed() {
    let place = both("", "profile = \"web\"\n");
    let finding = until_found(&place, ("vis0", "profile-missing"));
    assert_eq!(finding["what"], "there is no port-profile web");
    assert_eq!(
        finding["mend"][0],
        "printf '%s\\n' 'port-profile web' 'state enabled' | nivctl --api vis0 configure -"
    );
    // For people: the same line, under the node.
    let (code, page, _) = place.nivctl(&["doctor"]);
    assert_eq!(code, 1, "{page}");
    let line = page.lines().find_map(|line| line.trim_start().strip_prefix("mend ")).unwrap();
    assert_eq!(line, finding["mend"][0].as_str().unwrap());
    assert!(page.starts_with("vis0 (vis-switch ") && page.contains("\nadapter0 (niv-adapter "), "{page}");
    // The documentation shows this page, but for the release and what this host is like.
    let documented = include_str!("../../../docs/doctor.md");
    let release = page.replace(env!("CARGO_PKG_VERSION"), "0.1.0");
    let shown: Vec<&str> = release.lines().take_while(|line| !line.starts_with("this host")).collect();
    let sample = shown.iter().map(|line| format!("    {line}\n")).collect::<String>();
    assert!(documented.contains(&sample), "docs/doctor.md has another page than\n{sample}");
    // Alone, the adapter says whom to ask.
    let (code, page, _) = place.nivctl(&["--api", "adapter0", "doctor"]);
    assert!(code == 1 && page.contains("vnic-refused: vnic0") && page.contains("at vis0:"), "{page}");

    mend(&place, &finding);
    until_healthy(&place);
    let _guest = Guest::connect(&place.path("vnic0.sock"), Features::default()).unwrap();
    until("its vEth is up", || {
        let state = place.client(VIS).exec("show interface vethernet 1").ok()?["state"].clone();
        (state == "up").then_some(())
    });
    let (code, page, _) = place.nivctl(&["doctor"]);
    assert!(code == 0 && page.contains("healthy"), "{page}");

    // Disabled while in use, and shut.
    let configure = |lines: &str| place.client(VIS).configure(lines).unwrap();
    configure("port-profile web\n no state enabled\n");
    mend(&place, &until_found(&place, ("vis0", "profile-disabled")));
    until_healthy(&place);
    configure("interface vethernet 1\n shutdown\n");
    mend(&place, &until_found(&place, ("vis0", "veth-shutdown")));
    until_healthy(&place);
}

#[test]
fn a_daemon_that_is_stopped_or_gone_is_named() {
    let mut place = both("", "");
    until_healthy(&place);
    place.signal(VIS, Signal::STOP);
    let found = findings(&place);
    let hangs = found.iter().find(|(_, finding)| finding["code"] == "daemon-hangs");
    let command = hangs.unwrap_or_else(|| panic!("{found:#?}")).1["mend"][0].as_str().unwrap();
    assert_eq!(command, format!("kill -CONT {}", place.pid(VIS)));
    paste(&place, command);
    until_healthy(&place);

    place.kill(VIS);
    let found = until("both say so", || {
        let found = findings(&place);
        codes(&found).iter().any(|(_, code)| *code == "link-down").then_some(found)
    });
    assert!(codes(&found).contains(&("this host", "socket-stale")), "{found:#?}");
    let link = found.iter().find(|(_, finding)| finding["code"] == "link-down").unwrap();
    assert!(link.1["advice"][0].as_str().unwrap().contains("memif:link0.sock"), "{}", link.1);
    place.start(VIS);
    until_healthy(&place);

    // Nothing at all, somewhere else.
    let (code, page, _) = place.nivctl(&["--api", "nowhere/vis9.sock", "doctor"]);
    assert!(code == 1 && page.contains("daemon-none: nowhere/vis9.sock"), "{page}");
    assert_eq!(place.nivctl(&["doctor", "--colour"]).0, 2);
}

#[test]
fn a_guest_without_shared_memory_or_with_an_old_driver_is_told_how_to_start() {
    let place = both("", "");
    let wire = Wire::connect(&place.path("vnic0.sock")).unwrap();
    wire.set(Request::SET_OWNER, &[], &[]).unwrap();
    wire.set_number(Request::SET_FEATURES, 1 << 30 | 1 << 15).unwrap();
    until_found(&place, ("adapter0", "guest-features"));
    wire.set_number(Request::SET_FEATURES, 1 << 32 | 1 << 30).unwrap();
    let mut table = 1u64.to_ne_bytes().to_vec();
    table.extend([0u64, 4096, 0, 0].into_iter().flat_map(u64::to_ne_bytes));
    wire.send(Request::SET_MEM_TABLE as u32, 1, &table, &[]).unwrap();
    let finding = until_found(&place, ("adapter0", "guest-memory"));
    assert!(finding["advice"][0].as_str().unwrap().contains("share=on"), "{finding}");
    let (code, said, _) = place.nivctl(&["vnic", "qemu", "vnic0"]);
    assert!(code == 0 && said.contains("share=on"), "{said}");
    assert_eq!(finding["see"][0], "nivctl --api adapter0 vnic qemu vnic0");
    drop(wire);
    let _guest = Guest::connect(&place.path("vnic0.sock"), Features::default()).unwrap();
    until_healthy(&place);
}

#[test]
fn a_guest_that_uses_another_address_and_frames_that_are_dropped_are_found() {
    let place = both("", "");
    let mut guest = Guest::connect(&place.path("vnic0.sock"), Features::default()).unwrap();
    let finding = until("the other address is found", || {
        guest.send(&frame(BROADCAST, mac(7)).ipv4(46));
        let found = findings(&place);
        let other = found.into_iter().find(|(_, finding)| finding["code"] == "mac-other");
        other.map(|(_, finding)| finding)
    });
    assert_eq!(finding["things"][0], "vethernet1 (vnic0)");
    let what = format!("configured with {MAC}, the guest uses 52:54:00:00:00:07");
    assert_eq!(finding["what"], what.as_str());
    until("the right address is learned", || {
        guest.send(&frame(BROADCAST, mac(1)).ipv4(46));
        findings(&place).is_empty().then_some(())
    });

    // Frames of a VLAN that the interface has not: only while they come. The first look sees some already.
    let strange = frame(BROADCAST, mac(1)).vlan(30, 0).ipv4(46);
    until("the first is dropped", || {
        guest.send(&strange);
        place.drops(VIS).contains_key("rx_vlan").then_some(())
    });
    let doctor =
        place.command("nivctl", &["-j", "doctor"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let said = std::thread::scope(|scope| {
        let ended = scope.spawn(|| doctor.wait_with_output().unwrap());
        while !ended.is_finished() {
            guest.send(&strange);
            std::thread::yield_now();
        }
        ended.join().unwrap()
    });
    let page = super::place::text(&said);
    assert!(page.contains("\"drops\"") && page.contains("more in 1 s"), "{page}");
    until_healthy(&place);
    place.at_rest();
}

#[test]
fn an_interface_whose_mtu_is_too_small_gets_a_greater_one() {
    if left_out(missing_rights()) {
        return;
    }
    let mut net = Net::default();
    let [a, b] = net.veth(1510);
    let [at_switch, at_adapter] = [a.clone(), b.clone()].map(|end| format!("packet:{end}"));
    let mut place = place([&at_switch, &at_adapter], "port-profile default\n  mtu 1600\n", "");
    place.start(VIS);
    place.start(ADAPTER);
    // Each end sees its own interface, and what the other one says that it takes.
    let found = until("both ends say so", || {
        let found = findings(&place);
        let ends = ["vis0", "adapter0"].map(|node| codes(&found).contains(&(node, "link-mtu")));
        (ends == [true, true]).then_some(found)
    });
    let commands: Vec<&str> = found.iter().filter_map(|(_, finding)| finding["mend"][0].as_str()).collect();
    for end in [&a, &b] {
        let command = format!("ip link set dev {end} mtu 1610");
        assert!(commands.contains(&command.as_str()), "{found:#?}");
        paste(&place, &command);
    }
    // What an end takes it says when it starts.
    place.stop(ADAPTER);
    place.start(ADAPTER);
    until_healthy(&place);
}
