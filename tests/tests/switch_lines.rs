//! Every dropping line of the switch's conformance tables, provoked by a real frame through the real engine: the one
//! counter moves, no other does, and the frame (or that copy of it) comes out nowhere.

use link::pair::Config;
use niv_lab::model::switch::{ModelPort, ModelVlans};
use niv_lab::world::frames::{BROADCAST, down, down_list, frame, looped, mac, up};
use niv_lab::world::{End, VirtualSwitch, permitting, settle};
use std::collections::BTreeSet;
use std::sync::Arc;
use vis_switch::engine::control::{self, Order};
use vis_switch::engine::secure::{Aging, Alarm, Guard, Secure, Violation};
use vis_switch::engine::tables::Plan;
use vis_switch::engine::verdict::DropReason;
use vis_switch::engine::vlan::Program;
use vntag::ethernet::Mac;

/// Port security that lets nobody in but this host.
fn letting_in(host: u16) -> Arc<Guard> {
    let rules = Secure {
        maximum: 1,
        violation: Violation::Protect,
        sticky: false,
        aging_minutes: 0,
        aging: Aging::Absolute,
        addresses: [(10, Mac(mac(host)), false)].into(),
    };
    Arc::new(Guard::new(Arc::new(rules), None, &Alarm::default()))
}

/// Lines of the tables that drop and that nothing can provoke yet, each with its reason.
const NOT_YET: &[(&str, &str)] = &[
    ("V13", "needs the control plane: a static VIF is taken as active"),
    ("V19", "needs the priorities of a port profile"),
    ("V21", "needs `no mac forged-transmit`; forged addresses pass by default"),
];

/// Lines that are behaviours: tested by the models, which would fail otherwise, and in `whole_world.rs`.
const BEHAVIOURS: &[&str] =
    &["V16", "V26", "V27", "V28", "F3", "F4", "F5", "F6", "F10", "F11", "F12", "F13", "F14"];

/// Port 0: NIV link with VIFs 5 and 6 in VLAN 10, 7 alone in VLAN 30, 8 a trunk of VLANs 10 and 20; 20, 21 and 22 in VLAN 50,
/// where towards 21 there is an access list for TCP.
const LINK: usize = 0;
/// Port 1: NIV link with VIF 5 in VLAN 10, without any list.
const BARE: usize = 1;
/// Port 2: trunk of VLANs 10 and 20, native VLAN 1 not allowed.
const TRUNK: usize = 2;
/// Port 3: access port in VLAN 40, alone there.
const LONE: usize = 3;

fn access(vlan: u16) -> ModelVlans {
    ModelVlans::access(vlan)
}

fn trunk(untagged: u16, allowed: &[u16]) -> ModelVlans {
    ModelVlans::trunk(untagged, allowed)
}

struct Bed {
    switch: VirtualSwitch,
    ends: Vec<End>,
}

impl Bed {
    fn new(max_frame: usize) -> Self {
        Self::with(Config { capacity: 8, max_frame, ..Config::default() }, 0)
    }

    /// Control listens, with room for so many frames of each port.
    fn controlled(punts: usize) -> Self {
        Self::with(Config { capacity: 256, ..Config::default() }, punts)
    }

    fn with(config: Config, punts: usize) -> Self {
        let ports = [
            ModelPort::Niv {
                veths: vec![
                    (5, access(10)),
                    (6, access(10)),
                    (7, access(30)),
                    (8, trunk(10, &[10, 20])),
                    (20, access(50)),
                    (21, access(50).only(6)),
                    (22, access(50)),
                ],
                lists: vec![(1, vec![5, 6, 8]), (2, vec![8]), (3, vec![20, 22]), (4, vec![21])],
            },
            ModelPort::Niv { veths: vec![(5, access(10))], lists: vec![] },
            ModelPort::Wire(trunk(1, &[10, 20])),
            ModelPort::Wire(access(40)),
        ];
        let (switch, ends) = VirtualSwitch::punting(&ports, config, punts);
        Self { switch, ends }
    }

    fn settle(&mut self) {
        settle(0, &mut [&mut self.switch]);
    }

    fn drain(&mut self) -> usize {
        self.ends.iter_mut().map(|end| end.received().len()).sum()
    }

    /// The switch has learned this station: VLAN 10, VIF 6 of the link.
    fn teach(&mut self, port: usize, frame: &[u8]) {
        assert!(self.ends[port].send(frame));
        self.settle();
        self.drain();
    }
}

struct Case {
    lines: &'static str,
    what: &'static str,
    port: usize,
    frame: Vec<u8>,
    reason: DropReason,
    prepare: fn(&mut Bed),
    /// Copies of the frame that come out all the same.
    others: usize,
}

/// A link's own frame: 14 octets and a payload of so many.
fn control(ethertype: u16, len: usize) -> Vec<u8> {
    frame([1, 0x80, 0xc2, 0, 0, 14], mac(1)).payload(ethertype, &vec![0; len])
}

fn case(lines: &'static str, what: &'static str, port: usize, frame: Vec<u8>, reason: DropReason) -> Case {
    Case { lines, what, port, frame, reason, prepare: |_| {}, others: 0 }
}

/// From VIF 6, station 6, in VLAN 10.
fn from_six(destination: [u8; 6]) -> Vec<u8> {
    frame(destination, mac(6)).vntag(up(6)).vlan(0, 0).ipv4(46)
}

fn refused() -> Vec<Case> {
    use DropReason as R;
    let to = || frame(mac(9), mac(1));
    let tagged = |word| to().vntag(word).vlan(0, 0).ipv4(46);
    let local = |last| [1, 0x80, 0xc2, 0, 0, last];
    let mut cases = vec![
        case("V1", "no tag", LINK, to().vlan(10, 0).ipv4(46), R::RxNoVntag),
        case("V1", "eleven octets", LINK, vec![0; 11], R::RxNoVntag),
        case("V1", "E-TAG is not our tag", LINK, to().tag(0x893f, 0).tag(0, 5).ipv4(46), R::RxNoVntag),
        case("V15", "the tag behind 802.1Q", LINK, to().vlan(10, 0).vntag(up(5)).ipv4(46), R::RxNoVntag),
        case("V2", "on a trunk", TRUNK, to().vntag(up(5)).vlan(10, 0).ipv4(46), R::RxVntagIllegal),
        case("V3", "two octets of the word", LINK, to().tag(0x8926, 5).bytes(), R::RxTruncated),
        case("V4", "no inner type", LINK, to().vntag(up(5)).bytes(), R::RxNoInnerType),
        case("V5", "from the bridge", LINK, tagged(down(0) | 5), R::RxBadDir),
        case("V5", "before all others", LINK, tagged(looped(down_list(9), 5) | 0x7000), R::RxBadDir),
        case("V6", "a list", LINK, tagged(0x4000_0000 | 5), R::RxBadPtr),
        case("V7", "looped", LINK, tagged(0x8000 | 5), R::RxBadLoop),
        case("V8", "a destination", LINK, tagged(0x0001_0000 | 5), R::RxBadDst),
        case("V9", "reserved bit", LINK, tagged(0x4000 | 5), R::RxReserved),
        case("V10", "version 2", LINK, tagged(0x2000 | 5), R::RxVersion),
        case("V11", "VIF 0", LINK, tagged(0), R::RxSrcReserved),
        case("V11", "VIF 0xFFF", LINK, tagged(0xfff), R::RxSrcReserved),
        case("V12", "VIF 9 is nobody's", LINK, tagged(9), R::RxSrcUnknown),
        case("V12", "VIF 6 of another link", BARE, tagged(6), R::RxSrcUnknown),
        case("V14", "two tags", LINK, to().vntag(up(5)).vntag(up(6)).vlan(0, 0).ipv4(46), R::RxDouble),
        case("V17", "VLAN 11 on access VLAN 10", LINK, to().vntag(up(5)).vlan(11, 0).ipv4(46), R::RxVlan),
        case("V17", "VLAN 30 on the trunk", TRUNK, to().vlan(30, 0).ipv4(46), R::RxVlan),
        case("V17", "native VLAN not allowed", TRUNK, to().ipv4(46), R::RxVlan),
        case("V18", "VLAN 0xFFF", LINK, to().vntag(up(8)).vlan(0xfff, 0).ipv4(46), R::RxVlanReserved),
        case("V18", "before V17", LINK, to().vntag(up(5)).vlan(0xfff, 0).ipv4(46), R::RxVlanReserved),
        case("V20", "multicast source", LINK, frame(mac(9), BROADCAST).vntag(up(5)).ipv4(46), R::RxSmac),
        case("V20", "source zero", LINK, frame(mac(9), [0; 6]).vntag(up(5)).ipv4(46), R::RxSmac),
        case("V22", "BPDU in a tag", LINK, frame(local(0), mac(1)).vntag(up(5)).ipv4(46), R::RxLinklocal),
        case("V22", "LLDP in a tag", LINK, frame(local(14), mac(1)).vntag(up(5)).ipv4(46), R::RxLinklocal),
        case("V22", "on a trunk", TRUNK, frame(local(2), mac(1)).vlan(10, 0).ipv4(46), R::RxLinklocal),
        case("V23", "1,501 octets", LINK, to().vntag(up(5)).vlan(0, 0).ipv4(1501), R::RxOversize),
        case("V24", "behind VID 0", LINK, to().vntag(up(5)).vlan(0, 0).vlan(20, 0).ipv4(46), R::RxStacked),
        case("V24", "802.1ad", LINK, to().vntag(up(5)).vlan(10, 0).tag(0x88a8, 20).ipv4(46), R::RxStacked),
        case("V25", "VNTag hidden", LINK, to().vntag(up(5)).vlan(10, 0).vntag(0).ipv4(46), R::RxTagHidden),
        case(
            "V25",
            "E-TAG hidden",
            LINK,
            to().vntag(up(8)).vlan(20, 0).tag(0x893f, 0).ipv4(46),
            R::RxTagHidden,
        ),
        case("V25", "on a trunk", TRUNK, to().vlan(10, 0).vntag(up(5)).ipv4(46), R::RxTagHidden),
        case(
            "V29",
            "CDP",
            LINK,
            frame([1, 0, 0x0c, 0xcc, 0xcc, 0xcc], mac(1)).payload(60, &[0; 60]),
            R::RxPeerL2proto,
        ),
        case("V29", "BPDU", LINK, frame(local(0), mac(1)).payload(38, &[0x42; 38]), R::RxPeerL2proto),
        case("", "LLDP on a static link", LINK, control(0x88cc, 46), R::RxControl),
        case("", "ends in its 802.1Q tag", LINK, to().vntag(up(5)).tag(0x8100, 10).bytes(), R::RxRunt),
        case("", "ends in its addresses", TRUNK, vec![0x52; 13], R::RxRunt),
    ];
    cases.push(Case {
        prepare: |bed| bed.teach(LINK, &from_six(BROADCAST)),
        ..case(
            "V28",
            "a dropped frame teaches nothing",
            BARE,
            frame(mac(6), mac(6)).vntag(up(9)).ipv4(46),
            R::RxSrcUnknown,
        )
    });
    cases
}

/// The program of an interface, to be changed.
fn filter(plan: &mut Plan, lif: usize) -> &mut Program {
    Arc::make_mut(&mut plan.lifs[lif].lif.program)
}

fn forwarded() -> Vec<Case> {
    use DropReason as R;
    let taught: fn(&mut Bed) = |bed| bed.teach(LINK, &from_six(BROADCAST));
    let from_five = |destination| frame(destination, mac(5)).vntag(up(5)).vlan(0, 0).ipv4(46);
    let from_twenty = |destination| frame(destination, mac(9)).vntag(up(20)).ipv4(46);
    let on_trunk = |destination| frame(destination, mac(3)).vlan(10, 0).ipv4(46);
    vec![
        Case { prepare: taught, ..case("F1", "back to its vEth", LINK, from_six(mac(6)), R::SameVifUc) },
        Case {
            prepare: |bed| bed.teach(TRUNK, &frame(BROADCAST, mac(3)).vlan(10, 0).ipv4(46)),
            ..case("F2", "back to its port", TRUNK, on_trunk(mac(3)), R::SameIfUc)
        },
        Case {
            prepare: |bed| {
                bed.teach(LINK, &from_six(BROADCAST));
                bed.switch.replan(|plan| plan.lifs[1].lif.vif = 0);
            },
            ..case("F7", "the receiver has no VIF", TRUNK, on_trunk(mac(6)), R::UcDvifXlateMiss)
        },
        Case {
            // The link with a list gets its copy, the other one none.
            others: 1,
            ..case(
                "F8",
                "no list with its members on one link",
                TRUNK,
                on_trunk(BROADCAST),
                R::McDvifXlateMiss,
            )
        },
        Case {
            prepare: |bed| {
                bed.teach(LINK, &from_six(BROADCAST));
                bed.switch.replan(|plan| plan.lifs[0].lif.vif = 0);
            },
            ..case("F9", "the originator has no VIF", LINK, from_five(mac(6)), R::SvifXlateMiss)
        },
        case(
            "",
            "alone in its VLAN",
            LINK,
            frame(BROADCAST, mac(7)).vntag(up(7)).ipv4(46),
            R::FloodNoReceiver,
        ),
        case("", "alone on an access port", LONE, frame(BROADCAST, mac(7)).ipv4(46), R::FloodNoReceiver),
        Case {
            prepare: |bed| bed.switch.replan(|plan| filter(plan, 0).acl_in = Some(permitting(6))),
            ..case("", "its access list does not let it in", LINK, from_five(BROADCAST), R::AclIn)
        },
        Case {
            prepare: |bed| bed.switch.replan(|plan| plan.lifs[0].lif.guard = Some(letting_in(9))),
            ..case(
                "",
                "port security does not let its source in",
                LINK,
                from_five(BROADCAST),
                R::PortSecurity,
            )
        },
        Case {
            prepare: |bed| {
                bed.switch.replan(|plan| filter(plan, 8).acl_out = Some(permitting(6)));
                bed.teach(TRUNK, &frame(BROADCAST, mac(3)).vlan(10, 0).ipv4(46));
            },
            ..case("", "the access list of a port does not let it out", LINK, from_five(mac(3)), R::AclOut)
        },
        Case {
            prepare: |bed| bed.teach(LINK, &frame(BROADCAST, mac(10)).vntag(up(21)).ipv4(46)),
            ..case("", "the access list of a vEth does not let it out", LINK, from_twenty(mac(10)), R::AclOut)
        },
        Case {
            // 22 gets its copy by a list of its own.
            others: 1,
            ..case("", "nor the copy for its egress class", LINK, from_twenty(BROADCAST), R::AclOut)
        },
        Case {
            prepare: |bed| {
                bed.teach(TRUNK, &frame(BROADCAST, mac(3)).vlan(10, 0).ipv4(46));
                bed.switch.cables[TRUNK].unplug();
            },
            ..case("", "its port is down", LINK, from_five(mac(3)), R::TxPortDown)
        },
        Case {
            prepare: |bed| {
                bed.teach(TRUNK, &frame(BROADCAST, mac(3)).vlan(10, 0).ipv4(46));
                for _ in 0..8 {
                    bed.ends[LINK].send(&frame(mac(3), mac(5)).vntag(up(5)).vlan(0, 0).ipv4(46));
                    bed.settle();
                }
            },
            ..case("", "its port is full", LINK, from_five(mac(3)), R::TxRingFull)
        },
    ]
}

/// Drops of links that control listens to.
fn controlled() -> Vec<Case> {
    use DropReason as R;
    vec![
        case("", "pause is not for us", LINK, control(0x8808, 46), R::RxControl),
        case("", "LACP is not for us", LINK, control(0x8809, 46), R::RxControl),
        case("", "longer than any control frame", LINK, control(0x88b5, 2035), R::RxControl),
        case("V22", "LLDP on an ordinary port", LONE, control(0x88cc, 46), R::RxLinklocal),
        Case {
            prepare: |bed| (0..2).for_each(|_| assert!(bed.ends[LINK].send(&control(0x88b5, 46)))),
            ..case("", "control does not keep up", LINK, control(0x88cc, 46), R::PuntFull)
        },
    ]
}

fn provoke(mut bed: Bed, case: &Case) {
    let name = format!("{} {}: {}", case.lines, case.reason.name(), case.what);
    (case.prepare)(&mut bed);
    let before = bed.switch.drops();
    let sent = bed.switch.balance().sent;
    assert!(bed.ends[case.port].send(&case.frame), "{name}: not offered");
    bed.settle();
    let mut after = bed.switch.drops();
    for (reason, count) in before {
        after.iter_mut().filter(|(now, _)| *now == reason).for_each(|(_, now)| *now -= count);
    }
    after.retain(|(_, count)| *count > 0);
    assert_eq!(after, [(case.reason, 1)], "{name}");
    assert_eq!(bed.switch.balance().sent - sent, case.others as u64, "{name}");
    for line in case.lines.split_whitespace().filter(|line| *line != "V28") {
        assert!(case.reason.lines().split_whitespace().any(|of| of == line), "{name}");
    }
}

#[test]
fn each_line_drops_under_its_own_name_and_no_other() {
    for case in refused().into_iter().chain(forwarded()) {
        provoke(Bed::new(65_535), &case);
    }
    for case in controlled() {
        provoke(Bed::controlled(2), &case);
    }
}

#[test]
fn a_frame_longer_than_a_port_takes_is_dropped_there() {
    let mut bed = Bed::new(1000);
    bed.teach(TRUNK, &frame(BROADCAST, mac(3)).vlan(10, 0).ipv4(46));
    // 998 octets with its tag of four; 1,004 with the VNTag as well.
    let long = frame(mac(6), mac(3)).vlan(10, 0).ipv4(980);
    bed.teach(LINK, &from_six(BROADCAST));
    provoke(bed, &case("", "longer than its port takes", TRUNK, long, DropReason::TxUnsendable));
}

#[test]
fn every_reason_and_every_line_is_provoked() {
    let cases: Vec<Case> = refused().into_iter().chain(forwarded()).chain(controlled()).collect();
    let mut reasons: BTreeSet<_> = cases.iter().map(|case| case.reason).collect();
    // Elsewhere: above, in `super_frames.rs`, and in `private_vlans.rs`.
    reasons.extend([DropReason::TxUnsendable, DropReason::RxOffload, DropReason::Pvlan]);
    for reason in DropReason::ALL {
        assert!(reasons.contains(reason), "no case provokes {}", reason.name());
    }
    let provoked: BTreeSet<&str> = cases.iter().flat_map(|case| case.lines.split_whitespace()).collect();
    let lines = (1..=29).map(|n| format!("V{n}")).chain((1..=14).map(|n| format!("F{n}")));
    for line in lines {
        let listed = BEHAVIOURS.contains(&line.as_str());
        match NOT_YET.iter().find(|(of, _)| *of == line) {
            Some((_, why)) => println!("{line} not provoked: {why}"),
            None => assert!(listed || provoked.contains(line.as_str()), "no case for {line}"),
        }
    }
}

#[test]
fn the_documentation_lists_every_reason() {
    let page = include_str!("../../docs/observability.md");
    for reason in DropReason::ALL {
        let row = format!("| `{}` | {} |", reason.name(), reason.lines());
        assert!(page.contains(&row), "docs/observability.md lacks {row}");
    }
}

#[test]
fn control_frames_of_an_adapter_are_punted_as_they_are() {
    let mut bed = Bed::controlled(64);
    let frames = [control(0x88cc, 0), control(0x88b5, 46), control(0x88b5, 2034)];
    for port in [LINK, BARE] {
        frames.iter().for_each(|frame| assert!(bed.ends[port].send(frame)));
        bed.settle();
    }
    let got: Vec<_> =
        bed.switch.punted().into_iter().map(|punted| (punted.port, punted.frame.into())).collect();
    let want: Vec<_> =
        [LINK, BARE].iter().flat_map(|port| frames.iter().map(|frame| (*port, frame.clone()))).collect();
    assert_eq!(got, want);
    assert_eq!(bed.switch.balance().punted, 6);
    assert_eq!(bed.switch.counters().ports[LINK].punted.get(), 3);
    assert!(bed.switch.drops().is_empty() && bed.drain() == 0);
}

#[test]
fn a_flood_of_control_frames_stops_no_traffic_and_no_other_control() {
    let mut bed = Bed::controlled(64);
    bed.teach(TRUNK, &frame(BROADCAST, mac(3)).vlan(10, 0).ipv4(46));
    let before = bed.switch.drops();
    let data = frame(mac(3), mac(5)).vntag(up(5)).vlan(0, 0).ipv4(46);
    let mut forwarded = 0;
    for _ in 0..100 {
        for _ in 0..100 {
            assert!(bed.ends[LINK].send(&control(0x88b5, 1000)) && bed.ends[LINK].send(&data));
        }
        bed.settle();
        forwarded += bed.ends[TRUNK].received().len();
    }
    assert_eq!(forwarded, 10_000);
    assert!(bed.ends[BARE].send(&control(0x88cc, 46)));
    bed.settle();
    let punted = bed.switch.punted();
    assert_eq!(punted.iter().filter(|punted| punted.port == LINK).count(), 64, "bounded");
    assert_eq!(
        punted.iter().filter(|punted| punted.port == BARE).count(),
        1,
        "each link has room of its own"
    );
    assert_eq!(bed.switch.drops().len() - before.len(), 1);
    assert!(bed.switch.drops().contains(&(DropReason::PuntFull, 10_000 - 64)));
}

#[test]
fn a_port_full_of_traffic_has_room_for_control_and_sends_it_first() {
    let mut bed = Bed::controlled(64);
    bed.teach(LINK, &from_six(BROADCAST));
    let data = frame(mac(6), mac(3)).vlan(10, 0).ipv4(46);
    let hello = control(0x88b5, 46);
    for _ in 0..3 {
        (0..100).for_each(|_| assert!(bed.ends[TRUNK].send(&data)));
        bed.settle();
    }
    let lost = 300 - (256 - control::SLOTS as u64);
    assert!(bed.switch.drops().contains(&(DropReason::TxRingFull, lost)), "{:?}", bed.switch.drops());
    let frames = vec![hello.clone(); control::SLOTS];
    bed.switch.apply(Order::Send { port: LINK, frames: frames.clone() });
    bed.settle();
    let down = bed.ends[LINK].received();
    assert_eq!(down.len(), 256);
    assert_eq!(down[256 - control::SLOTS..], frames, "the last slots are control's");

    assert!(bed.ends[TRUNK].send(&data));
    bed.switch.apply(Order::Send { port: LINK, frames: vec![hello.clone()] });
    bed.settle();
    assert_eq!(bed.ends[LINK].received()[0], hello, "before the frames of the same turn");
    assert_eq!(bed.switch.counters().ports[LINK].originated.get(), control::SLOTS as u64 + 1);
}

#[test]
fn what_control_cannot_send_is_dropped_by_name() {
    let mut bed = Bed::controlled(64);
    let hello = control(0x88b5, 46);
    bed.switch.apply(Order::Send { port: LINK, frames: vec![hello.clone(); 300] });
    bed.switch.cables[BARE].unplug();
    bed.switch.apply(Order::Send { port: BARE, frames: vec![hello.clone()] });
    bed.switch.apply(Order::Send { port: 99, frames: vec![hello] });
    bed.settle();
    assert_eq!(bed.switch.drops(), [(DropReason::TxPortDown, 1), (DropReason::TxRingFull, 300 - 256)]);
    assert_eq!(bed.switch.balance().originated, 301);
}
