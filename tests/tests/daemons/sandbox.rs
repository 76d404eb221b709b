//! The daemons are in their sandbox, every thread of them, and say so; what a forbidden call does is tested by
//! `node/tests/sandbox.rs`.

use super::files::{link, negotiated_port, negotiating_link, niv_port, node, port, vnic};
use super::net::{Net, missing_rights};
use super::place::{Place, left_out, missing_program, until};
use niv_lab::driver::{Request, Wire};
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
    // A thread says its name when it first runs.
    let threads = until(&format!("all threads of {name} run"), || {
        let threads = threads(place, name);
        let all = ["worker0", "control", "store", "api", "signals"];
        all.iter().all(|expected| threads.contains_key(*expected)).then_some(threads)
    });
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
        ("device xdp:lo", "sandbox_allow = [\"xdp\"]"),
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
    // Of the file's own folders, one has a socket and no capture, the other a capture and no socket.
    let (sockets, captures) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let seen = format!(
        "\n[[vnic]]\nname = \"seen\"\ndevice = \"vhost-user:{}/seen.sock\"\nlink = \"link0\"\ncapture = \"{}/seen.pcapng\"\n",
        sockets.path().display(),
        captures.path().display()
    );
    place.write("adapter0.toml", &(text.clone() + &seen));
    place.start("adapter0");
    assert!(captures.path().join("seen.pcapng").exists());
    let at = |name: &str, folder: &tempfile::TempDir| {
        format!("vnic add {name} device vhost-user:{}/{name}.sock link link0", folder.path().display())
    };
    let adapter = place.client("adapter0");
    adapter.exec(&at("third", &sockets)).unwrap();
    let capture = format!(" capture {}/fourth.pcapng", sockets.path().display());
    for line in [at("fourth", &captures), at("fourth", &sockets) + &capture] {
        let refused = adapter.exec(&line).unwrap_err().to_string();
        assert!(refused.contains("sandbox_allow"), "{line}: {refused}");
    }
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
    // The adapter may have come while `ip` still had the tap; then it waits for the next change.
    net.set_up(&tap);
    until("the tap is back", || place.log("adapter0").contains(&format!("tap:{tap}: up")).then_some(()));
    place.vnic_up("adapter0", "tapped");
}

#[test]
fn af_xdp_keeps_no_capability_and_leaves_nothing_behind() {
    if left_out(only_root()) || left_out(missing_program(&["ip"])) || left_out(missing_rights()) {
        return;
    }
    let mut net = Net::default();
    let veth = net.veth(1510);
    let [at_switch, at_adapter] = [0, 1].map(|end| format!("xdp:{}", veth[end]));
    let chassis = node("vis0") + &niv_port(1, &at_switch) + "capture = \"link.pcapng\"\n";
    let mut place = Place::new(&[
        ("vis0.toml", chassis.clone()),
        ("vis0.cfg", String::new()),
        (
            "adapter0.toml",
            node("adapter0") + &link("link0", &at_adapter) + &vnic("socket", "vhost-user:vnic.sock", 5, 10),
        ),
    ]);
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    confined(&place, "vis0", 0, "\"capabilities\":[]");
    confined(&place, "adapter0", 0, "on; capabilities: none");
    assert!(Net::shown(&veth[0]).contains("prog/xdp"));
    for name in ["vis0", "adapter0"] {
        place.kill(name);
    }
    for end in &veth {
        let shown = Net::shown(end);
        assert!(!shown.contains("prog/xdp") && shown.contains("promiscuity 0"), "{shown}");
    }

    // An interface that is made again wants rights that are gone.
    place.start("vis0");
    place.port_up("vis0", "1/1");
    net.veth_again(&veth, 1510);
    until("the new interface is refused", || {
        let port = place.show("vis0", "show interface ethernet 1/1").to_string();
        port.contains("cannot be opened (the log says why; a restart opens it)").then_some(())
    });
    let log = place.log("vis0");
    assert!(log.contains("it is there again, but cannot be opened: AF_XDP needs the capabilities"), "{log}");

    // Unless they are kept.
    place.stop("vis0");
    place.write("vis0.toml", &chassis.replacen("[node]\n", "[node]\nsandbox_allow = [\"xdp\"]\n", 1));
    place.start("vis0");
    place.port_up("vis0", "1/1");
    const BPF: u64 = 1 << 39;
    const NET_RAW: u64 = 1 << 13;
    const IPC_LOCK: u64 = 1 << 14;
    confined(&place, "vis0", BPF | NET_ADMIN | NET_RAW | IPC_LOCK, "CAP_BPF");
    net.veth_again(&veth, 1510);
    until("it is opened again", || place.log("vis0").contains(&format!("xdp:{}: up", veth[0])).then_some(()));
    place.port_up("vis0", "1/1");
    assert!(Net::shown(&veth[0]).contains("prog/xdp"));
}

#[test]
fn memory_that_a_front_end_keeps_to_itself_is_named_though_the_adapter_cannot_see_it() {
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
    use std::os::fd::AsFd;
    let mut place = Place::new(&[(
        "adapter0.toml",
        node("adapter0")
            + &link("link0", "memif:link0.sock")
            + &vnic("vnic0", "vhost-user:vnic0.sock", 5, 10),
    )]);
    place.start("adapter0");
    let memory = rustix::fs::memfd_create("private", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&memory, 4096).unwrap();
    for (flags, expected) in [(MapFlags::PRIVATE, true), (MapFlags::SHARED, false)] {
        // SAFETY: a fresh mapping, unmapped below, never followed.
        let map = unsafe {
            mmap(std::ptr::null_mut(), 4096, ProtFlags::READ | ProtFlags::WRITE, flags, &memory, 0)
        }
        .unwrap();
        let mut table = 1u64.to_ne_bytes().to_vec();
        table.extend([0u64, 4096, map.addr() as u64, 0].into_iter().flat_map(u64::to_ne_bytes));
        let wire = until("the front end is connected", || {
            let wire = Wire::connect(&place.path("vnic0.sock")).ok()?;
            wire.get(Request::GET_FEATURES).ok().map(|_| wire)
        });
        wire.set(Request::SET_OWNER, &[], &[]).unwrap();
        wire.set_number(Request::SET_FEATURES, 1 << 32 | 1 << 30).unwrap();
        wire.set(Request::SET_MEM_TABLE, &table, &[memory.as_fd()]).unwrap();
        wire.get(Request::GET_FEATURES).unwrap();
        let state = place.show("adapter0", "show vnic")[0]["state"].to_string();
        assert_eq!(state.contains("guest memory is not shared"), expected, "{state}");
        // SAFETY: as above.
        unsafe { munmap(map, 4096) }.unwrap();
    }
    // The witness is confined, too, and ends with the adapter.
    let witness = children(place.pid("adapter0"));
    let [witness] = witness[..] else { panic!("{witness:?}") };
    let status = std::fs::read_to_string(format!("/proc/{witness}/status")).unwrap();
    assert!(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1"), "{status}");
    if rustix::process::geteuid().is_root() {
        assert!(status.contains("CapPrm:\t0000000000080000"), "{status}");
    }
    place.kill("adapter0");
    until("the witness has ended", || {
        // One that nobody waits for is there as a zombie, which has no program.
        std::fs::read_link(format!("/proc/{witness}/exe")).is_err().then_some(())
    });
}

fn children(pid: u32) -> Vec<u32> {
    let all = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    all.split_whitespace().map(|child| child.parse().unwrap()).collect()
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
