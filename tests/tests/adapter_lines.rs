//! Every dropping line of the adapter's conformance table, provoked by a real frame through the real engine: the
//! one counter moves, no other does, and nothing comes out anywhere.

use niv_adapter::engine::control;
use niv_adapter::engine::{DropReason, Order, VifParams, VifState, VlanMode};
use niv_lab::world::frames::{BROADCAST, down, down_list, frame, looped, mac, up};
use niv_lab::world::{AdapterSpec, End, VirtualAdapter, VnicSpec, settle};
use std::collections::BTreeSet;
use vntag::{ListId, VifId};

/// Lines of the table that drop and that nothing can provoke yet, each with its reason.
const NOT_YET: &[(&str, &str)] = &[("I25", "no transit ports yet"), ("I26", "no transit ports yet")];

/// Lines that are behaviours, each tested below or by the models.
const BEHAVIOURS: &[&str] = &["I4", "I15", "I16", "I17", "I18", "I19", "I27", "I28"];

struct Bed {
    adapter: VirtualAdapter,
    link: End,
}

/// VIF 5: access VLAN 10; VIF 6: trunk with native VLAN 20 and priorities 0 to 3; VIF 7: access VLAN 10, its guest
/// away. List 1: 5, 6, 7; list 2 is empty; list 3: 5 alone.
fn bed() -> Bed {
    bed_with(8, 0)
}

/// The same with control on the link: room for two frames; and for control's own ones in a ring that has just those.
fn controlled_bed() -> Bed {
    bed_with(control::SLOTS, 2)
}

fn bed_with(depth: usize, punts: usize) -> Bed {
    let access = VifParams { default_vlan: 10, ..VifParams::default() };
    let trunk = VifParams {
        vlan_mode: VlanMode::Trunk,
        default_vlan: 20,
        allowed_priorities: 0x0f,
        ..VifParams::default()
    };
    let vnic = |vif, params| VnicSpec { link: 0, vif, params };
    let (adapter, mut links) = VirtualAdapter::new(&AdapterSpec {
        links: 1,
        vnics: vec![vnic(5, access), vnic(6, trunk), vnic(7, access)],
        lists: vec![(0, 1, vec![5, 6, 7]), (0, 2, vec![]), (0, 3, vec![5])],
        depth,
        punts,
        ..AdapterSpec::default()
    });
    adapter.guest_cables[2].unplug();
    Bed { adapter, link: links.remove(0) }
}

impl Bed {
    /// VIF 5 passes nothing.
    fn standby(&mut self) {
        let vif = VifId::new(5).expect("a legal VIF");
        let (state, params) = (VifState::Standby, VifParams::default());
        self.adapter.apply(Order::SetVif { link: 0, vif, vnic: 0, state, params });
    }

    fn settle(&mut self) {
        settle(0, &mut [&mut self.adapter]);
    }
}

enum At {
    Guest(usize),
    Link,
    Control,
}

struct Case {
    lines: &'static str,
    what: &'static str,
    at: At,
    frame: Vec<u8>,
    reason: DropReason,
    bed: fn() -> Bed,
    prepare: fn(&mut Bed),
}

/// A link's own frame: 14 octets and a payload of so many.
fn control(ethertype: u16, len: usize) -> Vec<u8> {
    frame([1, 0x80, 0xc2, 0, 0, 14], mac(2)).payload(ethertype, &vec![0; len])
}

fn case(lines: &'static str, what: &'static str, at: At, frame: Vec<u8>, reason: DropReason) -> Case {
    Case { lines, what, at, frame, reason, bed, prepare: |_| {} }
}

fn cases() -> Vec<Case> {
    use At::{Control, Guest, Link};
    use DropReason as R;
    let to = || frame(mac(1), mac(2));
    let ok = || to().vlan(10, 0).ipv4(46);
    let from_switch = |word| to().vntag(word).vlan(10, 0).ipv4(46);
    let mut cases = vec![
        case(
            "I1",
            "the guest tags by itself",
            Guest(0),
            to().vntag(up(5)).vlan(10, 0).ipv4(46),
            R::HostVntag,
        ),
        case("I2", "behind 802.1Q", Guest(0), to().vlan(10, 0).vntag(up(5)).ipv4(46), R::HostTagHidden),
        case("I2", "behind 802.1ad", Guest(0), to().tag(0x88a8, 1).vntag(up(5)).ipv4(46), R::HostTagHidden),
        case(
            "I2",
            "behind two tags",
            Guest(0),
            to().vlan(1, 0).vlan(2, 0).vntag(0).ipv4(46),
            R::HostTagHidden,
        ),
        case(
            "I5",
            "priority 4 where 0 to 3 are allowed",
            Guest(1),
            to().vlan(20, 4).ipv4(46),
            R::HostPriority,
        ),
        case("I6", "13 octets", Guest(0), vec![0x52; 13], R::HostRunt),
        case("I6", "one octet over MTU and 802.1Q", Guest(0), to().vlan(10, 0).ipv4(1501), R::HostOversize),
        case("I7", "no tag", Link, ok(), R::LinkNoVntag),
        case("I7", "nothing at all", Link, vec![0; 11], R::LinkNoVntag),
        case("I7", "E-TAG is not our tag", Link, to().tag(0x893f, 0).tag(0, 5).ipv4(46), R::LinkNoVntag),
        case("I23", "the tag behind 802.1Q", Link, to().vlan(10, 0).vntag(down(5)).ipv4(46), R::LinkNoVntag),
        case("I8", "two octets of the word", Link, to().tag(0x8926, 0x8005).bytes(), R::LinkTruncated),
        case("I8", "no inner type", Link, to().vntag(down(5)).bytes(), R::LinkTruncated),
        case("I9", "to the bridge", Link, from_switch(up(5)), R::LinkBadDir),
        case("I10", "reserved bit", Link, from_switch(down(5) | 0x4000), R::LinkReserved),
        case("I11", "version 1", Link, from_switch(down(5) | 0x1000), R::LinkVersion),
        case("I13", "VIF 0x1005", Link, from_switch(down(0x1005)), R::LinkDstRange),
        case("I12", "VIF 8 is nobody's", Link, from_switch(down(8)), R::LinkDstUnknown),
        case("I12", "VIF 0", Link, from_switch(down(0)), R::LinkDstUnknown),
        case("I12", "VIF 0, looped from 0", Link, from_switch(looped(down(0), 0)), R::LinkDstUnknown),
        case("I14", "list 9 is not set", Link, from_switch(down_list(9)), R::LinkListUnknown),
        case("I14", "list 0", Link, from_switch(down_list(0)), R::LinkListUnknown),
        case("I15", "an empty list", Link, from_switch(down_list(2)), R::LinkListEmpty),
        case(
            "I16",
            "only the originator is left",
            Link,
            from_switch(looped(down_list(3), 5)),
            R::LinkListEmpty,
        ),
        case("I20", "back to its source", Link, from_switch(looped(down(5), 5)), R::LinkSelfLoop),
        case("I21", "the guest is away", Link, from_switch(down(7)), R::LinkVifDown),
        case("I22", "two tags", Link, to().vntag(down(5)).vntag(down(5)).vlan(10, 0).ipv4(46), R::LinkDouble),
        case(
            "I22",
            "two tags, list",
            Link,
            to().vntag(down_list(1)).vntag(0).vlan(10, 0).ipv4(46),
            R::LinkDouble,
        ),
        case("I24", "VLAN 11 on access VLAN 10", Link, to().vntag(down(5)).vlan(11, 0).ipv4(46), R::LinkVlan),
        case(
            "V29",
            "CDP",
            Link,
            frame([1, 0, 0x0c, 0xcc, 0xcc, 0xcc], mac(2)).payload(60, &[0xaa; 60]),
            R::LinkPeerProtocol,
        ),
        case(
            "V29",
            "BPDU",
            Link,
            frame([1, 0x80, 0xc2, 0, 0, 0], mac(2)).payload(38, &[0x42; 38]),
            R::LinkPeerProtocol,
        ),
        case("", "LLDP on a static link", Link, control(0x88cc, 46), R::LinkControl),
        Case {
            bed: short_bed,
            ..case("", "longer than the link takes", Guest(1), to().ipv4(84), R::LinkRefused)
        },
        Case {
            bed: short_bed,
            ..case("", "longer than the guest takes", Link, to().vntag(down(5)).ipv4(85), R::HostRefused)
        },
    ];
    for (what, frame) in [
        ("pause is not for us", control(0x8808, 46)),
        ("LACP is not for us", control(0x8809, 46)),
        ("longer than any control frame", control(0x88b5, 2035)),
    ] {
        cases.push(Case { bed: controlled_bed, ..case("", what, Link, frame, R::LinkControl) });
    }
    cases.push(Case {
        bed: controlled_bed,
        prepare: |bed| (0..2).for_each(|_| assert!(bed.link.send(&control(0x88b5, 46)))),
        ..case("", "control does not listen", Link, control(0x88cc, 46), R::PuntFull)
    });
    cases.push(Case {
        bed: controlled_bed,
        prepare: |bed| {
            let frames = vec![control(0x88b5, 46); control::SLOTS];
            bed.adapter.apply(Order::Send { link: 0, frames });
        },
        ..case("", "the switch does not read", Control, control(0x88b5, 46), R::LinkRingFull)
    });
    for (lines, what, at, frame, reason) in [
        ("I3", "the VIF is on standby", Guest(0), to().ipv4(46), R::HostVifDown),
        ("I1", "before I3", Guest(0), to().vntag(up(5)).ipv4(46), R::HostVntag),
        ("I3", "before I6", Guest(0), to().ipv4(1600), R::HostVifDown),
        ("I21", "the VIF is on standby", Link, from_switch(down(5)), R::LinkVifDown),
    ] {
        cases.push(Case { prepare: |bed| bed.standby(), ..case(lines, what, at, frame, reason) });
    }
    cases.push(Case {
        prepare: |bed| bed.adapter.link_cables[0].unplug(),
        ..case("", "no switch", Guest(0), to().ipv4(46), R::LinkDown)
    });
    cases.push(Case {
        prepare: |bed| {
            for _ in 0..8 {
                bed.link.send(&frame(mac(1), mac(2)).vntag(down(5)).vlan(10, 0).ipv4(46));
                bed.settle();
            }
        },
        ..case("", "the guest posted no buffers", Link, from_switch(down(5)), R::HostRingFull)
    });
    cases
}

#[test]
fn each_line_drops_under_its_own_name_and_no_other() {
    for case in cases() {
        let name = format!("{} {}: {}", case.lines, case.reason.name(), case.what);
        let mut bed = (case.bed)();
        (case.prepare)(&mut bed);
        bed.settle();
        for guest in &mut bed.adapter.guests {
            if case.reason != DropReason::HostRingFull {
                guest.received();
            }
        }
        assert!(bed.adapter.drops().is_empty(), "{name}");
        let sent = bed.adapter.balance().sent;
        let offered = match case.at {
            At::Guest(guest) => bed.adapter.guests[guest].send(&case.frame),
            At::Link => bed.link.send(&case.frame),
            At::Control => {
                bed.adapter.apply(Order::Send { link: 0, frames: vec![case.frame.clone()] });
                true
            }
        };
        assert!(offered, "{name}: not offered");
        bed.settle();
        assert_eq!(bed.adapter.drops(), [(case.reason, 1)], "{name}");
        assert_eq!(bed.adapter.balance().sent, sent, "{name}");
        for line in case.lines.split_whitespace() {
            assert!(case.reason.lines().split_whitespace().any(|of| of == line) || line == "I16", "{name}");
        }
    }
}

/// Frames on the link have 105 octets at the most; guests take 98 (and send as much).
fn short_bed() -> Bed {
    let params = VifParams { default_vlan: 10, ..VifParams::default() };
    let spec = AdapterSpec {
        links: 1,
        vnics: vec![VnicSpec { link: 0, vif: 5, params }, VnicSpec { link: 0, vif: 6, params }],
        link_max_frame: 105,
        guest_max_frame: 98,
        ..AdapterSpec::default()
    };
    let (adapter, mut links) = VirtualAdapter::new(&spec);
    Bed { adapter, link: links.remove(0) }
}

#[test]
fn every_reason_and_every_line_is_provoked() {
    let cases = cases();
    let reasons: BTreeSet<_> = cases.iter().map(|case| case.reason).collect();
    // Frames here are complete: `adapter_offloads` and `super_frames` provoke these, in all their ways.
    let elsewhere = [DropReason::HostOffload, DropReason::LinkOffload];
    for reason in DropReason::ALL.iter().filter(|reason| !elsewhere.contains(reason)) {
        assert!(reasons.contains(reason), "no case provokes {}", reason.name());
    }
    let provoked: BTreeSet<&str> = cases.iter().flat_map(|case| case.lines.split_whitespace()).collect();
    for line in (1..=28).map(|n| format!("I{n}")) {
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
        assert!(
            page.contains(&format!("`{}`", reason.name())),
            "docs/observability.md lacks {}",
            reason.name()
        );
    }
}

#[test]
fn a_list_reaches_each_member_once_but_the_originator() {
    let mut bed = bed();
    bed.adapter.guest_cables[2].plug();
    let inner = frame(BROADCAST, mac(5)).vlan(10, 3).ipv4(46);
    bed.link.send(&frame(BROADCAST, mac(5)).vntag(looped(down_list(1), 5)).vlan(10, 3).ipv4(46));
    bed.settle();
    assert!(bed.adapter.guests[0].received().is_empty(), "I16: the originator is left out");
    assert_eq!(bed.adapter.guests[1].received(), [inner], "a trunk gets VLAN 10 tagged");
    assert_eq!(
        bed.adapter.guests[2].received(),
        [frame(BROADCAST, mac(5)).ipv4(46)],
        "access VLAN 10 untagged"
    );
    assert_eq!(bed.adapter.balance().replicated, 1);
    assert_eq!(bed.adapter.link(0).pruned.get(), 1);
    assert!(bed.adapter.drops().is_empty());
}

#[test]
fn a_source_without_the_looped_bit_prunes_nobody() {
    for (word, stray, sourceless) in
        [(down_list(3) | 5, 1, 0), (looped(down_list(3), 0), 0, 1), (looped(down_list(3), 99), 0, 0)]
    {
        let mut bed = bed();
        bed.link.send(&frame(mac(1), mac(2)).vntag(word).vlan(10, 0).ipv4(46));
        bed.settle();
        assert_eq!(bed.adapter.guests[0].received().len(), 1, "I17, I18, I19: {word:08x}");
        let link = bed.adapter.link(0);
        assert_eq!((link.stray_source.get(), link.looped_without_source.get()), (stray, sourceless));
    }
}

#[test]
fn two_vnics_of_one_adapter_never_meet_without_the_switch() {
    let mut bed = bed();
    bed.adapter.guests[0].send(&frame(mac(6), mac(5)).ipv4(46));
    bed.settle();
    assert!(bed.adapter.guests[1].received().is_empty(), "I4");
    assert_eq!(bed.link.received(), [frame(mac(6), mac(5)).vntag(up(5)).vlan(0, 0).ipv4(46)]);
}

#[test]
fn a_tagged_frame_keeps_its_tag_behind_the_vntag() {
    let mut bed = bed();
    bed.adapter.guests[1].send(&frame(mac(6), mac(5)).tag(0x8100, 0x7014).ipv4(46));
    bed.settle();
    assert_eq!(bed.link.received(), [frame(mac(6), mac(5)).vntag(up(6)).tag(0x8100, 0x7014).ipv4(46)]);
}

#[test]
fn a_full_link_leaves_frames_with_the_guest_and_loses_none() {
    let mut bed = bed();
    let frames: Vec<_> = (0..20u16).map(|n| frame(mac(1), mac(n)).ipv4(46)).collect();
    let mut waiting = frames.iter();
    let mut next = waiting.next();
    let mut got = Vec::new();
    while got.len() < frames.len() {
        while next.is_some_and(|frame| bed.adapter.guests[0].send(frame)) {
            next = waiting.next();
        }
        bed.settle();
        let batch = bed.link.received();
        assert!(batch.len() <= 8 && !batch.is_empty());
        got.extend(batch);
    }
    let want: Vec<_> = (0..20u16).map(|n| frame(mac(1), mac(n)).vntag(up(5)).vlan(0, 0).ipv4(46)).collect();
    assert_eq!(got, want);
    assert!(bed.adapter.drops().is_empty());
}

#[test]
fn no_vnic_gets_two_copies_whatever_lists_and_vifs_are_ordered() {
    let mut bed = bed();
    let vif = |id| VifId::new(id).unwrap();
    let params = VifParams { default_vlan: 10, ..VifParams::default() };
    // VIF 9 takes over vNIC 0 from VIF 5; a list names both, and one of them twice.
    bed.adapter.apply(Order::SetVif { link: 0, vif: vif(9), vnic: 0, state: VifState::Active, params });
    let members = Some([5, 9, 9].map(vif).into());
    bed.adapter.apply(Order::SetList { link: 0, list: ListId::new(4).unwrap(), members });
    for _ in 0..8 {
        bed.link.send(&frame(mac(1), mac(2)).vntag(down_list(4)).vlan(10, 0).ipv4(46));
    }
    bed.settle();
    assert_eq!(bed.adapter.guests[0].received().len(), 8);
    assert_eq!(bed.adapter.drops(), [(DropReason::LinkVifDown, 8)], "I21: VIF 5 stands by");
    bed.adapter.guests[0].send(&frame(mac(1), mac(2)).ipv4(46));
    bed.settle();
    assert_eq!(bed.link.received(), [frame(mac(1), mac(2)).vntag(up(9)).vlan(0, 0).ipv4(46)]);
}

#[test]
fn a_vnic_that_goes_takes_its_vifs_along_and_leaves_its_counts() {
    let mut bed = bed();
    bed.adapter.guests[0].send(&frame(mac(1), mac(2)).ipv4(46));
    bed.settle();
    bed.adapter.apply(Order::RemoveVnic(0));
    assert_eq!(bed.adapter.balance().received, 1);
    bed.link.send(&frame(mac(1), mac(2)).vntag(down(5)).vlan(10, 0).ipv4(46));
    bed.link.send(&frame(mac(1), mac(2)).vntag(down_list(3)).vlan(10, 0).ipv4(46));
    bed.settle();
    assert_eq!(bed.adapter.drops(), [(DropReason::LinkDstUnknown, 1), (DropReason::LinkListEmpty, 1)]);
    assert!(bed.adapter.guests[0].received().is_empty());
}

#[test]
fn control_frames_of_the_switch_are_punted_as_they_are() {
    let mut bed = bed_with(256, 64);
    let frames = [control(0x88cc, 0), control(0x88b5, 46), control(0x88b5, 2034)];
    frames.iter().for_each(|frame| assert!(bed.link.send(frame)));
    bed.settle();
    let punted: Vec<_> = bed.adapter.punted().into_iter().map(|punted| (punted.link, punted.frame)).collect();
    assert_eq!(punted, frames.map(|frame| (0, frame.into_boxed_slice())));
    assert_eq!(bed.adapter.balance().punted, 3);
    assert!(bed.adapter.drops().is_empty());
}

#[test]
fn a_guest_cannot_forge_control() {
    let mut bed = bed_with(256, 64);
    for ethertype in [0x88cc, 0x88b5] {
        bed.adapter.guests[0].send(&control(ethertype, 46));
    }
    bed.settle();
    let up = bed.link.received();
    assert_eq!(up.len(), 2);
    for frame in up {
        assert_eq!(frame[12..18], [0x89, 0x26, 0, 0, 0, 5], "C17: it goes up with the guest's tag");
    }
    assert!(bed.adapter.punted().is_empty());
}

#[test]
fn a_flood_of_control_frames_stops_no_traffic() {
    let mut bed = bed_with(256, 64);
    let data = frame(mac(1), mac(2)).vntag(down(5)).vlan(10, 0).ipv4(46);
    let mut delivered = 0;
    for _ in 0..100 {
        for _ in 0..100 {
            assert!(bed.link.send(&control(0x88b5, 1000)) && bed.link.send(&data));
        }
        bed.settle();
        delivered += bed.adapter.guests[0].received().len();
    }
    assert_eq!(delivered, 10_000);
    assert_eq!(bed.adapter.punted().len(), 64, "what waits for control is bounded");
    assert_eq!(bed.adapter.drops(), [(DropReason::PuntFull, 10_000 - 64)]);
}

#[test]
fn a_link_full_of_traffic_has_room_for_control_and_sends_it_first() {
    let mut bed = bed_with(64, 64);
    for n in 0..64 {
        assert!(bed.adapter.guests[0].send(&frame(mac(1), mac(n)).ipv4(46)));
    }
    bed.settle();
    let hello = control(0x88b5, 46);
    let frames = vec![hello.clone(); control::SLOTS];
    bed.adapter.apply(Order::Send { link: 0, frames: frames.clone() });
    bed.settle();
    let up = bed.link.received();
    assert_eq!(up.len(), 64, "the link is full");
    assert_eq!(up[64 - control::SLOTS..], frames, "the last slots are control's");
    assert!(bed.adapter.drops().is_empty());
    assert_eq!(bed.adapter.balance().originated, control::SLOTS as u64);

    bed.adapter.apply(Order::Send { link: 0, frames: vec![hello.clone()] });
    bed.settle();
    let up = bed.link.received();
    assert_eq!(up[0], hello, "before the guest's frames that waited");
    assert_eq!(up.len(), 64 - control::SLOTS);
}
