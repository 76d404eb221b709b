//! The daemons are in their sandbox, every thread of them, and say so; what a forbidden call does is tested by
//! `node/tests/sandbox.rs`.

use super::files::{link, negotiated_port, negotiating_link, niv_port, node, port, vnic};
use super::net::{Net, missing_rights};
use super::place::{Place, left_out, missing_program, until};
use std::collections::BTreeMap;

/// Numbers of capabilities (capabilities(7)).
const CHOWN: u64 = 1;
const NET_ADMIN: u64 = 1 << 12;

/// What `/proc` says of each thread of a daemon, by its name: capabilities it has or could get, and the rest in short.
fn threads(place: &Place, name: &str) -> BTreeMap<String, (u64, String)> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", place.pid(name))).unwrap();
    let read = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).ok());
    let thread = |status: String| {
        let of = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.unwrap_or_else(|| panic!("no {key}")).trim().to_owned()
        };
        let hex = |key: &str| u64::from_str_radix(&of(key), 16).unwrap();
        let all = ["CapEff", "CapPrm", "CapInh", "CapAmb"].into_iter().map(hex).fold(0, |all, one| all | one);
        (of("Name"), (all, format!("NoNewPrivs {} Seccomp {}", of("NoNewPrivs"), of("Seccomp"))))
    };
    read.map(thread).collect()
}

/// Each thread has these capabilities at the most, and the daemon's own view agrees.
#[track_caller]
fn confined(place: &Place, name: &str, capabilities: u64, said: &str) {
    let threads = threads(place, name);
    for expected in ["worker0", "control", "store", "api", "signals"] {
        assert!(threads.contains_key(expected), "no {expected} in {threads:?}");
    }
    for (thread, (has, rest)) in threads {
        assert_eq!((has, rest.as_str()), (capabilities, "NoNewPrivs 1 Seccomp 2"), "{name}: {thread}");
    }
    let log = place.log(name);
    assert!(log.contains("rights given up"), "{log}");
    let version = place.show(name, "show version").to_string();
    assert!(version.contains(said), "{said}: {version}");
}

fn only_root() -> Option<String> {
    (!rustix::process::geteuid().is_root()).then(|| "only root has capabilities to lose".to_owned())
}

#[test]
fn with_shared_memory_alone_no_thread_has_a_capability() {
    if left_out(only_root()) {
        return;
    }
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &negotiated_port(1, "memif:link0.sock")),
        ("vis0.cfg", String::new()),
        (
            "adapter0.toml",
            node("adapter0")
                + &negotiating_link("link0", "memif:link0.sock")
                + "\n[[vnic]]\nname = \"vnic0\"\ndevice = \"vhost-user:vnic0.sock\"\nlink = \"link0\"\n",
        ),
    ]);
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    confined(&place, "vis0", 0, "\"capabilities\":[]");
    confined(&place, "adapter0", 0, "on; capabilities: none");

    // What a command would need, and what makes room for it.
    let adapter = place.client("adapter0");
    for (settings, room) in [
        ("device vhost-user:/tmp/niv-elsewhere.sock", "sandbox_allow = [\"/tmp\"]"),
        ("device tap:niv-elsewhere", "sandbox_allow = [\"tap\"]"),
        ("device packet:lo", "sandbox_allow = [\"packet\"]"),
    ] {
        let refused = adapter.exec(&format!("vnic add more {settings} link link0")).unwrap_err().to_string();
        assert!(refused.contains(room), "{refused}");
    }
    let here = place.path("more.sock");
    adapter.exec(&format!("vnic add more device vhost-user:{} link link0", here.display())).unwrap();
    assert!(here.exists());

    // It can: with the folder allowed.
    let elsewhere = tempfile::tempdir().unwrap();
    place.stop("adapter0");
    let allow = format!("sandbox_allow = [\"{}\"]\n", elsewhere.path().display());
    let text = node("adapter0") + &allow + &negotiating_link("link0", "memif:link0.sock");
    place.write("adapter0.toml", &text);
    place.start("adapter0");
    let socket = elsewhere.path().join("vnic.sock");
    let line = format!("vnic add other device vhost-user:{} link link0", socket.display());
    place.client("adapter0").exec(&line).unwrap();
    assert!(socket.exists());
    place.write("adapter0.toml", &text.replace("sandbox_allow = [\"", "sandbox_allow = [\"raw\", \""));
    let (code, said) = place.run_daemon("adapter0", &["--config", "adapter0.toml"]);
    assert!(code == 2 && said.contains("sandbox_allow") && said.contains("raw"), "{said}");
}

#[test]
fn a_tap_keeps_one_capability_and_packet_sockets_none() {
    if left_out(only_root()) || left_out(missing_program(&["ip"])) || left_out(missing_rights()) {
        return;
    }
    let mut net = Net::default();
    let (tap, veth) = (net.tap(), net.veth(1510));
    let mut place = Place::new(&[
        (
            "vis0.toml",
            node("vis0")
                + &niv_port(1, &format!("packet:{}", veth[0]))
                // These start threads.
                + &port(2, "access", "pcap:out.pcapng")
                + &niv_port(3, "memif:link3.sock"),
        ),
        ("vis0.cfg", String::new()),
        (
            "adapter0.toml",
            node("adapter0")
                + &link("link0", &format!("packet:{}", veth[1]))
                + &vnic("tapped", &format!("tap:{tap}"), 5, 10)
                + &vnic("socket", "vhost-user:vnic.sock", 6, 10)
                + "socket_group = \"0\"\n",
        ),
    ]);
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    confined(&place, "vis0", 0, "\"capabilities\":[]");
    confined(&place, "adapter0", NET_ADMIN | CHOWN, "on; capabilities: CAP_CHOWN CAP_NET_ADMIN");

    // A tap that is deleted and made again is attached again.
    place.vnic_up("adapter0", "tapped");
    net.again(&tap);
    until("the tap is back", || place.log("adapter0").contains(&format!("tap:{tap}: up")).then_some(()));
    place.vnic_up("adapter0", "tapped");
}

#[test]
fn a_daemon_without_its_sandbox_says_so_everywhere() {
    let mut place = Place::new(&[("vis0.toml", node("vis0")), ("vis0.cfg", String::new())]);
    place.start_with("vis0", &["--config", "vis0.toml", "--no-sandbox"]);
    assert!(place.log("vis0").contains("no sandbox"), "{}", place.log("vis0"));
    assert_eq!(place.show("vis0", "show version")["sandbox"]["sandbox"], "off");
    let said = place.nivctl(&["--api", "vis0.sock", "show", "version"]).1;
    assert!(said.contains("off (--no-sandbox)"), "{said}");
    let page = place.nivctl(&["--api", "vis0.sock", "doctor"]).1;
    assert!(page.contains("sandbox-off: vis0"), "{page}");
    place.stop("vis0");
    place.start("vis0");
    let page = place.nivctl(&["--api", "vis0.sock", "doctor"]).1;
    assert!(!page.contains("sandbox-off"), "{page}");
}
