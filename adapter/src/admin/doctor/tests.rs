//! Each kind is provoked, by facts that are otherwise those of a healthy adapter.

use super::facts::{Facts, Lack, Link, Port, Vnic};
use super::rights::{Outsider, User};
use super::{examine, kinds};
use crate::engine::DropReason;
use crate::vhost::ring::{Direction, Fault};
use crate::vhost::{Cause, Standstill};
use firmware_sim::CarrierCause;
use link::PortCounter;
use niv_node::doctor::{Finding, Severity, Step};
use std::collections::BTreeSet;
use std::time::Duration;
use vntag::ctl::session::NotPeer;

fn port(device: &str) -> Port {
    Port { device: device.to_owned(), ..Port::default() }
}

fn healthy() -> Facts {
    let link = Link {
        name: "link0".to_owned(),
        port: Port { interface: Some(("eth1".to_owned(), Some(1510))), ..port("packet:eth1") },
        negotiates: true,
        peer: Some(("vis0".to_owned(), 9240)),
        ..Link::default()
    };
    let vnic = Vnic {
        name: "vnic0".to_owned(),
        port: port("vhost-user:/run/niv/vnic0.sock"),
        socket: Some("/run/niv/vnic0.sock".into()),
        mtu: Some(1500),
        ..Vnic::default()
    };
    let tap = Vnic {
        name: "tap0".to_owned(),
        port: Port { interface: Some(("tap0".to_owned(), Some(1500))), ..port("tap:tap0") },
        by_command: true,
        mtu: Some(1500),
        ..Vnic::default()
    };
    Facts {
        node: "adapter0".to_owned(),
        state_dir: "/var/lib/niv".to_owned(),
        links: vec![link],
        vnics: vec![vnic, tap],
        ..Facts::default()
    }
}

fn found(change: impl FnOnce(&mut Facts)) -> Vec<Finding> {
    let mut facts = healthy();
    change(&mut facts);
    examine(&facts).findings
}

fn waits(facts: &mut Facts, cause: Cause) {
    facts.vnics[0].port.down = Some((cause.to_string(), None));
    facts.vnics[0].standstill = Some(Standstill::Waits(cause));
}

fn down(text: &str, cure: Option<&str>) -> Option<(String, Option<String>)> {
    Some((text.to_owned(), cure.map(str::to_owned)))
}

fn outsider(is_folder: bool) -> Option<Outsider> {
    let user = User::named("libvirt-qemu", "kvm");
    let at = if is_folder { "/run/niv" } else { "/run/niv/vnic0.sock" };
    Some(Outsider { user, at: at.into(), is_folder, mode: 0o700 })
}

/// What is done to a healthy adapter, what is found, and what is to be done first.
type Case = (fn(&mut Facts), &'static str, Step);

fn cases() -> Vec<Case> {
    let shell = |line: &str| Step::shell(line);
    let exec = |line: &str| Step::exec(line);
    let advice = |text: &str| Step::advice(text);
    vec![
        (
            |facts| {
                facts.links[0].port.down = down("interface eth1 is down", Some("ip link set dev eth1 up"));
            },
            "link-down",
            shell("ip link set dev eth1 up"),
        ),
        (
            |facts| {
                facts.links[0].port = Port { down: down("no peer", None), ..port("memif:/run/niv/l.sock") };
            },
            "link-down",
            advice(
                "start the switch whose [[port]] has device = \"memif:/run/niv/l.sock\" (see its findings)",
            ),
        ),
        (|facts| facts.vnics[0].mtu = Some(9000), "link-mtu", shell("ip link set dev eth1 mtu 9010")),
        (
            |facts| facts.links[0].peer = Some(("vis0".into(), 1514)),
            "link-mtu",
            advice("at vis0: an MTU of 1510 for the port's interface, then restart it"),
        ),
        (
            |facts| facts.links[0].port.has_faults = true,
            "fault-injected",
            advice("take fault out of the [[link]] link0 and restart the adapter"),
        ),
        (|facts| facts.rules = 2, "firmware-faults", exec("firmware fault clear")),
        (
            |facts| facts.links[0].lack = Some(Lack::Refused("adapter1".into(), NotPeer::SameRole)),
            "peer-refused",
            advice("two adapters on one link: connect it to a switch"),
        ),
        (
            |facts| facts.links[0].lack = Some(Lack::Unanswered("vis0".into())),
            "peer-unanswered",
            advice("see whether vis0 hangs, and restart it"),
        ),
        (
            |facts| facts.links[0].rivals = vec!["vis1".into()],
            "peer-second",
            advice("one switch on each link"),
        ),
        (
            |facts| facts.vnics[0].carrier = Some(CarrierCause::Refused("no port-profile web".into())),
            "vnic-refused",
            advice("at vis0: nivctl doctor says what mends it"),
        ),
        (
            |facts| facts.vnics[0].carrier = Some(CarrierCause::Disabled("administratively".into())),
            "vnic-disabled",
            advice("at vis0: nivctl doctor says what mends it"),
        ),
        (
            |facts| facts.vnics[0].carrier = Some(CarrierCause::Claimed("Veth1 is active elsewhere".into())),
            "vnic-claimed",
            advice("stop the other guest, or give this vNIC another uuid and mac"),
        ),
        (
            |facts| facts.ignored = vec![("web1".into(), "the file has it".into())],
            "vnic-not-used",
            exec("vnic del web1"),
        ),
        (
            |facts| {
                let cause = "/a b/v.sock: the folder /a b does not exist";
                facts.vnics[1] = Vnic {
                    name: "web1".into(),
                    port: Port { down: down(cause, None), ..port("vhost-user:/a b/v.sock") },
                    socket: Some("/a b/v.sock".into()),
                    is_closed: true,
                    by_command: true,
                    ..Vnic::default()
                };
            },
            "vnic-closed",
            shell("mkdir -p '/a b'"),
        ),
        (
            |facts| {
                facts.vnics[1].port.down = down("interface tap0 is down", Some("ip link set dev tap0 up"));
            },
            "vnic-down",
            shell("ip link set dev tap0 up"),
        ),
        (
            |facts| facts.vnics[1].port.interface = Some(("tap0".into(), Some(9000))),
            "vnic-mtu",
            shell("ip link set dev tap0 mtu 1500"),
        ),
        (
            |facts| facts.vnics[0].guest_mtu = 9000,
            "vnic-mtu",
            advice("QEMU: host_mtu=1500 at the -device, and boot the guest anew"),
        ),
        (
            |facts| facts.vnics[0].obstacle = Some("/run/niv/vnic0.sock: exists and is not a socket".into()),
            "guest-socket",
            shell("ls -l /run/niv/vnic0.sock; ss -xlp | grep -F /run/niv/vnic0.sock"),
        ),
        (
            |facts| facts.vnics[0].outsider = outsider(false),
            "guest-socket-rights",
            shell("chgrp kvm /run/niv/vnic0.sock && chmod 0660 /run/niv/vnic0.sock"),
        ),
        (
            |facts| {
                facts.vnics[0].outsider = outsider(false);
                facts.vnics[0].by_command = true;
            },
            "guest-socket-rights",
            exec("vnic set vnic0 socket_group kvm socket_mode 0660"),
        ),
        (
            |facts| facts.vnics[0].outsider = outsider(true),
            "guest-socket-rights",
            shell("chmod o+x /run/niv"),
        ),
        (|facts| waits(facts, Cause::NoGuest), "guest-none", Step::see("vnic qemu vnic0")),
        (
            |facts| waits(facts, Cause::NoDriver),
            "guest-no-driver",
            advice("in the guest, once it has booted: modprobe virtio_net"),
        ),
        (
            |facts| waits(facts, Cause::NotEnabled),
            "guest-not-enabled",
            advice("in the guest: ip link set dev eth0 up"),
        ),
        (|facts| waits(facts, Cause::NotShared), "guest-memory", advice(super::vnics::SHARED)),
        (|facts| waits(facts, Cause::NoMemory), "guest-memory", advice(super::vnics::SHARED)),
        (
            |facts| waits(facts, Cause::Memory("too short".into())),
            "guest-memory",
            advice(super::vnics::SHARED),
        ),
        (
            |facts| waits(facts, Cause::Legacy),
            "guest-features",
            advice("QEMU: -device virtio-net-pci,disable-legacy=on,..."),
        ),
        (
            |facts| waits(facts, Cause::Features(1)),
            "guest-features",
            advice("another driver, or another version of it"),
        ),
        (
            |facts| {
                facts.vnics[0].standstill = Some(Standstill::Broken(Direction::ToGuest, Fault::ALL[0]));
            },
            "guest-rings",
            advice("in the guest: ip link set dev eth0 down; ip link set dev eth0 up"),
        ),
        (
            |facts| facts.store = Some("no space".into()),
            "store",
            shell("df -h /var/lib/niv; ls -ld /var/lib/niv"),
        ),
    ]
}

type Other = (fn(&mut Facts), &'static str);

/// What has words only, or more findings than one.
const OTHERS: [Other; 7] = [
    (|facts| facts.crowd = Some((3, 2)), "workers-crowded"),
    (|facts| facts.links[0].lack = Some(Lack::Silent), "peer-silent"),
    (|facts| facts.vnics[0].carrier = Some(CarrierCause::NotProvisioned), "vnic-not-provisioned"),
    (
        |facts| {
            facts.links[0].negotiates = false;
            facts.links[0].port.drops = vec![(DropReason::LinkControl, 3)];
        },
        "negotiation-off",
    ),
    (|facts| facts.vnics[0].port.drops = vec![(DropReason::HostOversize, 3)], "drops"),
    (
        |facts| {
            let counter = |name| PortCounter { name, value: 3, help: "Something." };
            facts.vnics[0].port.counters = vec![counter("rx_frames"), counter("guest_turned_away")];
        },
        "device-trouble",
    ),
    (
        |facts| {
            facts.vnics[0].carrier = Some(CarrierCause::NoPeer);
            facts.vnics[0].obstacle = Some("link_signal = \"none\"".into());
        },
        "carrier-obstacle",
    ),
];

#[test]
fn a_healthy_adapter_has_no_findings() {
    let report = examine(&healthy());
    assert_eq!(report.findings, []);
    assert_eq!(report.fine, ["1 of 1 links up", "link0: switch vis0", "2 of 2 vNICs up", "state is kept"]);
}

#[test]
fn every_kind_is_found_and_only_that() {
    let mut seen = BTreeSet::new();
    for (change, code, step) in cases() {
        let findings = found(change);
        let codes: Vec<&str> = findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, [code]);
        assert_eq!(findings[0].steps.first(), Some(&step), "{code}");
        seen.insert(code);
    }
    for (change, code) in OTHERS {
        let findings = found(change);
        assert_eq!((findings.len(), findings[0].code.as_str()), (1, code));
        seen.insert(code);
    }
    let known: BTreeSet<&str> = kinds::KINDS.iter().map(|kind| kind.code).collect();
    assert_eq!(seen, known);
}

#[test]
fn what_follows_from_the_switch_is_left_to_it() {
    let refused = found(|facts| facts.vnics[0].carrier = Some(CarrierCause::Refused("why".into())));
    assert_eq!(refused[0].told_by.as_deref(), Some("vis0"));
    // The link's own finding is enough, and a guest that is kept off is not missing.
    let lost = found(|facts| {
        waits(facts, Cause::NoGuest);
        facts.vnics[0].carrier = Some(CarrierCause::NoPeer);
        facts.links[0].lack = Some(Lack::Silent);
    });
    assert_eq!((lost.len(), lost[0].code.as_str()), (1, "peer-silent"));
}

#[test]
fn a_thousand_vnics_without_guests_are_one_hint() {
    let findings = found(|facts| {
        facts.vnics = (0..1000)
            .map(|n| Vnic {
                name: format!("vnic{n}"),
                port: port("vhost-user:/a"),
                standstill: Some(Standstill::Waits(Cause::NoGuest)),
                ..Vnic::default()
            })
            .collect();
    });
    assert_eq!((findings.len(), findings[0].severity), (1, Severity::Hint));
    assert_eq!(findings[0].more, 995);
}

#[test]
fn drops_are_found_while_they_grow() {
    let at = |count: u64| {
        let mut facts = healthy();
        facts.vnics[0].port.drops = DropReason::ALL.iter().map(|reason| (*reason, count)).collect();
        examine(&facts)
    };
    let grown = at(25).since(&at(5), Duration::from_secs(1));
    assert!(!grown.findings.is_empty());
    assert!(grown.findings.iter().all(|finding| finding.what.ends_with("; 20 more in 1 s")));
    let known = at(5).findings;
    assert!(known.iter().any(|finding| finding.what.starts_with("host_oversize (I6): ")));
    assert!(known.iter().all(|finding| !finding.what.starts_with("link_control")));
    assert!(at(5).since(&at(5), Duration::from_secs(1)).findings.is_empty());
}

#[test]
fn the_documentation_has_these_findings_and_no_others() {
    let page = include_str!("../../../../docs/doctor.md");
    let on_page: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| niv-adapter ")).collect();
    let kinds: Vec<String> = kinds::KINDS.iter().map(|kind| kind.row()).collect();
    assert_eq!(on_page, kinds);
}
