//! Each kind is provoked, by facts that are otherwise those of a healthy switch.

use super::facts::{Facts, Lack, List, Pending, Port, Profile, Veth};
use super::{examine, kinds};
use crate::config::running::{PrivateFault, ProfileName};
use crate::control::{DownCause, NamespaceView};
use crate::engine::verdict::DropReason;
use link::PortCounter;
use niv_node::doctor::{Finding, Report, Step};
use std::collections::BTreeSet;
use std::time::Duration;
use vntag::ctl::Status;
use vntag::ctl::session::NotPeer;
use vntag::ethernet::Mac;
use vntag::lldp::NivFault;

const MAC: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);
const OTHER: Mac = Mac([0x52, 0x54, 0, 0, 0, 2]);

fn healthy() -> Facts {
    let niv = Port {
        name: "ethernet1/1".to_owned(),
        device: "memif:/run/niv/link0.sock".to_owned(),
        niv: true,
        negotiates: true,
        mtu: 1500,
        peer: Some(("adapter0".to_owned(), 9240)),
        ids: Some(NamespaceView { size: 4094, used: 1, quarantine: 0 }),
        ..Port::default()
    };
    let uplink = Port {
        name: "ethernet1/2".to_owned(),
        device: "packet:eth0".to_owned(),
        interface: Some(("eth0".to_owned(), Some(1500))),
        mtu: 1500,
        ..Port::default()
    };
    let veth = Veth {
        number: 1,
        profile: Some("web".to_owned()),
        configured: Some(MAC),
        used: vec![MAC],
        port: Some(0),
        mtu: 1500,
        vnic: Some("vnic0".to_owned()),
        ..Veth::default()
    };
    Facts {
        node: "vis0".to_owned(),
        state_dir: "/var/lib/niv".to_owned(),
        ports: vec![niv, uplink],
        veths: vec![veth],
        profiles: [("web".to_owned(), Profile { enabled: true, max_ports: Some(1), users: 1 })].into(),
        ..Facts::default()
    }
}

fn found(change: impl FnOnce(&mut Facts)) -> Vec<Finding> {
    let mut facts = healthy();
    change(&mut facts);
    examine(&facts).findings
}

fn pending(status: Status, profile: Option<&str>, cause: &str) -> Pending {
    let (vnic, profile) = (Some("vnic3".to_owned()), profile.map(str::to_owned));
    Pending { port: 0, channel: 3, vnic, profile, status, cause: cause.to_owned() }
}

fn name(text: &str) -> ProfileName {
    ProfileName::new(text).expect("a name")
}

/// What is done to a healthy switch, what is found, and what is to be done first.
type Case = (fn(&mut Facts), &'static str, Step);

fn cases() -> Vec<Case> {
    let shell = Step::shell;
    let lines = |lines: &[&str]| Step::configure(lines.iter().copied());
    vec![
        (
            |facts| {
                facts.ports[1].down =
                    Some(("interface eth0 is down".into(), Some("ip link set dev eth0 up".into())));
            },
            "port-down",
            shell("ip link set dev eth0 up"),
        ),
        (
            |facts| facts.ports[0].down = Some(("no peer".into(), None)),
            "port-down",
            Step::advice(
                "start the adapter whose [[link]] has device = \"memif:/run/niv/link0.sock\" (see its findings)",
            ),
        ),
        (|facts| facts.ports[1].mtu = 9000, "port-mtu", shell("ip link set dev eth0 mtu 9000")),
        (
            |facts| facts.ports[0].interface = Some(("eth1".into(), Some(1500))),
            "link-mtu",
            shell("ip link set dev eth1 mtu 1510"),
        ),
        (
            |facts| facts.ports[0].peer = Some(("adapter0".into(), 1514)),
            "link-mtu",
            Step::advice("at adapter0: an MTU of 1510 for the link's interface, then restart it"),
        ),
        (
            |facts| facts.ports[1].has_faults = true,
            "fault-injected",
            Step::advice("take fault out of the [[port]] ethernet1/2 and restart the switch"),
        ),
        (
            |facts| facts.ports[0].lack = Some(Lack::Unanswered("adapter0".into())),
            "peer-unanswered",
            Step::advice("see whether adapter0 hangs, and restart it"),
        ),
        (
            |facts| {
                let why = NotPeer::Unsupported(NivFault::Version(2));
                facts.ports[0].lack = Some(Lack::Refused("adapter0".into(), why));
            },
            "peer-refused",
            Step::advice("install the same release at both ends and restart both"),
        ),
        (
            |facts| facts.ports[0].rivals = vec!["adapter1".into()],
            "peer-second",
            Step::advice("a port of its own for each adapter"),
        ),
        (
            |facts| facts.ports[0].ids = Some(NamespaceView { size: 4094, used: 4094, quarantine: 9 }),
            "vif-ids-few",
            Step::advice("another link between both, and some of the vNICs there"),
        ),
        (
            |facts| facts.pending = vec![pending(Status::UNKNOWN_PROFILE, Some("db"), "no port-profile db")],
            "profile-missing",
            lines(&["port-profile db", "state enabled"]),
        ),
        (
            |facts| facts.veths[0].cause = Some(DownCause::ProfileMissing(name("db"))),
            "profile-missing",
            lines(&["port-profile db", "state enabled"]),
        ),
        (
            |facts| {
                let no_name = "a b\nreload";
                facts.pending =
                    vec![pending(Status::UNKNOWN_PROFILE, Some(no_name), "no port-profile a b\nreload")];
            },
            "profile-missing",
            Step::advice("no profile can have this name; ask for another one at the adapter"),
        ),
        (
            |facts| {
                facts.profiles.insert("web".into(), Profile::default());
                let why = "port-profile web is not enabled";
                facts.pending = vec![pending(Status::UNKNOWN_PROFILE, Some("web"), why)];
            },
            "profile-disabled",
            lines(&["port-profile web", "state enabled"]),
        ),
        (
            |facts| facts.veths[0].cause = Some(DownCause::ProfileDisabled),
            "profile-disabled",
            lines(&["port-profile web", "state enabled"]),
        ),
        (
            |facts| {
                let why = "port-profile web has its max-ports of 1";
                let one = || pending(Status::UNKNOWN_PROFILE, Some("web"), why);
                facts.pending = vec![one(), one()];
            },
            "profile-full",
            lines(&["port-profile web", "max-ports 3"]),
        ),
        (
            |facts| facts.veths[0].cause = Some(DownCause::NoProfile),
            "profile-none",
            lines(&["interface vethernet 1", "inherit port-profile default"]),
        ),
        (
            |facts| {
                let why = "no vEthernet is bound to it, and vethernet auto-create is off";
                facts.pending = vec![pending(Status::BADSTATE, Some("web"), why)];
            },
            "auto-create-off",
            lines(&["vethernet auto-create"]),
        ),
        (
            |facts| {
                facts.pending =
                    vec![pending(Status::BADSTATE, Some("web"), "Veth1 is active at ethernet1/2")];
            },
            "vnic-refused",
            Step::see("show interface virtual pending"),
        ),
        (
            |facts| facts.veths[0].cause = Some(DownCause::Administratively),
            "veth-shutdown",
            lines(&["interface vethernet 1", "no shutdown"]),
        ),
        (
            |facts| facts.veths[0].cause = Some(DownCause::PortSecurity),
            "err-disabled",
            lines(&["interface vethernet 1", "no shutdown"]),
        ),
        (
            |facts| facts.veths[0].cause = Some(DownCause::LinkLost),
            "veth-link-lost",
            Step::see("show neighbors"),
        ),
        (
            |facts| facts.veths[0].cause = Some(DownCause::DuplicateMac(7)),
            "mac-duplicate",
            shell("nivctl --api adapter0 vnic set vnic0 no mac"),
        ),
        (
            |facts| facts.veths[0].used = vec![OTHER],
            "mac-other",
            Step::advice(
                "in the guest: ip link set dev eth0 address 52:54:00:00:00:01 (or mac=52:54:00:00:00:01 in QEMU's -device)",
            ),
        ),
        (
            |facts| facts.veths[0].cause = Some(DownCause::UplinkLost),
            "uplink-lost",
            Step::see("show interface ethernet"),
        ),
        (
            |facts| facts.veths[0].cause = Some(DownCause::PrivateVlan(PrivateFault::NoMapping)),
            "private-vlan",
            Step::see("show vlan private-vlan"),
        ),
        (
            |facts| facts.ports[0].lists = vec![("10".into(), List::Full)],
            "list-full",
            Step::see("show vif-list"),
        ),
        (
            |facts| facts.ports[0].lists = vec![("10".into(), List::Refused("ERROR".into()))],
            "list-refused",
            Step::advice("at the adapter: nivctl --api adapter0 show firmware fault"),
        ),
        (
            |facts| facts.ports[0].lists = vec![("10".into(), List::Pending)],
            "list-pending",
            Step::advice("at the adapter: nivctl --api adapter0 show firmware fault"),
        ),
        (
            |facts| facts.store = Some("no space".into()),
            "store",
            shell("df -h /var/lib/niv; ls -ld /var/lib/niv"),
        ),
    ]
}

type Other = (fn(&mut Facts), &'static str);

/// What is a hint, or has words only.
const OTHERS: [Other; 7] = [
    (|facts| facts.crowd = Some((3, 2)), "workers-crowded"),
    (|facts| facts.ports[0].lack = Some(Lack::Silent), "peer-silent"),
    (|facts| facts.veths[0].cause = Some(DownCause::NonParticipating), "veth-unused"),
    (
        |facts| {
            facts.ports[0].negotiates = false;
            facts.drops = vec![(DropReason::RxControl, 3)];
        },
        "negotiation-off",
    ),
    (|facts| facts.drops = vec![(DropReason::RxVlan, 3)], "drops"),
    (|facts| facts.mac_table_full = 7, "mac-table-full"),
    (
        |facts| {
            let help = "Frames the kernel dropped.";
            facts.ports[1].counters = vec![
                PortCounter { name: "rx_frames", value: 9, help: "Frames received." },
                PortCounter { name: "rx_overrun", value: 3, help },
            ];
        },
        "device-trouble",
    ),
];

#[test]
fn a_healthy_switch_has_no_findings() {
    let report = examine(&healthy());
    assert_eq!(report.findings, []);
    let fine =
        ["2 of 2 ports up", "ethernet1/1: adapter adapter0", "1 of 1 virtual interfaces up", "state is kept"];
    assert_eq!(report.fine, fine);
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
fn four_thousand_vnics_without_profile_are_one_finding() {
    let many = (1..=4000).map(|channel| Pending {
        channel,
        ..pending(Status::UNKNOWN_PROFILE, Some("db"), "no port-profile db")
    });
    let many = many.collect();
    let findings = found(|facts| facts.pending = many);
    assert_eq!((findings.len(), findings[0].things.len(), findings[0].more), (1, 5, 3995));
}

#[test]
fn drops_are_found_while_they_grow_and_where_they_mean_something() {
    let at = |count: u64| {
        let drops = DropReason::ALL.iter().map(|reason| (*reason, count)).collect();
        let facts = Facts { drops, ..healthy() };
        examine(&facts)
    };
    let grown: Report = at(25).since(&at(5), Duration::from_secs(1));
    assert!(!grown.findings.is_empty());
    assert!(grown.findings.iter().all(|finding| finding.what.ends_with("; 20 more in 1 s")));
    let known = at(5).findings;
    assert!(known.iter().any(|finding| finding.what.starts_with("rx_vlan (V17): ")));
    assert!(known.iter().all(|finding| !finding.what.starts_with("rx_linklocal")));
    assert!(at(5).since(&at(5), Duration::from_secs(1)).findings.is_empty());
}

#[test]
fn the_documentation_has_these_findings_and_no_others() {
    let page = include_str!("../../../../docs/doctor.md");
    let on_page: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| vis-switch ")).collect();
    let kinds: Vec<String> = kinds::KINDS.iter().map(|kind| kind.row()).collect();
    assert_eq!(on_page, kinds);
}
