//! Captures of the adapter's links and vNICs: every frame once, as that place sees it, with the fate that the
//! counters know too.

use link::capture::live::MOST_SESSIONS;
use niv_adapter::engine::capture::{Fate, Place};
use niv_adapter::engine::{DropReason, Order, VifParams, VlanMode};
use niv_lab::model::gen_frames;
use niv_lab::world::capture::{Captured, Capturing};
use niv_lab::world::frames::{BROADCAST, down, down_list, frame, mac, up};
use niv_lab::world::{AdapterSpec, End, VirtualAdapter, VnicSpec, settle};
use proptest::prelude::*;
use std::collections::BTreeMap;

struct Bed {
    adapter: VirtualAdapter,
    link: End,
}

/// VIF 5: access VLAN 2; VIF 6: trunk with native VLAN 3; VIF 7: access VLAN 2, its guest away. List 1: 5, 6, 7; list
/// 2: 5 alone. Guests take frames of up to 200 octets, rings hold 128.
fn bed(depth: usize) -> Bed {
    let access = VifParams { default_vlan: 2, ..VifParams::default() };
    let trunk = VifParams { vlan_mode: VlanMode::Trunk, default_vlan: 3, ..VifParams::default() };
    let vnic = |vif, params| VnicSpec { link: 0, vif, params };
    let (adapter, mut links) = VirtualAdapter::new(&AdapterSpec {
        links: 1,
        vnics: vec![vnic(5, access), vnic(6, trunk), vnic(7, access)],
        lists: vec![(0, 1, vec![5, 6, 7]), (0, 2, vec![5])],
        depth,
        punts: 64,
        ..AdapterSpec::default()
    });
    adapter.guest_cables[2].unplug();
    Bed { adapter, link: links.remove(0) }
}

impl Bed {
    fn capture(&self, place: Place) -> Capturing<Place, Fate> {
        Capturing::begin(&self.adapter.captures(), place)
    }

    fn settle(&mut self) {
        settle(0, &mut [&mut self.adapter]);
    }
}

fn captured(came: bool, frame: Vec<u8>, fate: Fate) -> Captured<Fate> {
    Captured { came, frame, fate }
}

#[test]
fn up_a_frame_is_seen_untagged_at_its_vnic_and_tagged_at_its_link() {
    let mut bed = bed(128);
    let (mut vnic, mut link) = (bed.capture(Place::Vnic(0)), bed.capture(Place::Link(0)));
    // Longer than a head, so that what lies behind is seen as well.
    let frames = [frame(mac(2), mac(1)).ipv4(300), frame(mac(2), mac(1)).vlan(2, 5).ipv4(46)];
    let hostile = frame(mac(2), mac(1)).vntag(up(5)).ipv4(46);
    for frame in [&frames[0], &hostile, &frames[1]] {
        assert!(bed.adapter.guests[0].send(frame));
    }
    bed.settle();
    let fate = Fate::Up { link: 0, vif: 5 };
    let expected = [
        captured(true, frames[0].clone(), fate),
        captured(true, hostile, Fate::Dropped(DropReason::HostVntag)),
        captured(true, frames[1].clone(), fate),
    ];
    assert_eq!(vnic.seen(), expected);
    let sent = bed.link.received().into_iter().map(|frame| captured(false, frame, Fate::Sent(0)));
    assert_eq!(link.seen(), sent.collect::<Vec<_>>());
}

#[test]
fn down_a_frame_says_who_got_it_and_why_others_did_not() {
    let mut bed = bed(128);
    let mut captures =
        [Place::Link(0), Place::Vnic(0), Place::Vnic(1), Place::Vnic(2)].map(|place| bed.capture(place));
    let unicast = frame(mac(1), mac(9)).vntag(down(5)).vlan(2, 0).ipv4(46);
    let foreign = frame(mac(1), mac(9)).vntag(down(5)).vlan(9, 0).ipv4(46);
    let listed = frame(BROADCAST, mac(9)).vntag(down_list(1)).vlan(2, 0).ipv4(46);
    let unknown = frame(mac(1), mac(9)).vntag(down(99)).vlan(2, 0).ipv4(46);
    for frame in [&unicast, &foreign, &listed, &unknown] {
        assert!(bed.link.send(frame));
    }
    bed.settle();
    let [link, first, second, third] = &mut captures;
    let dropped = Fate::Dropped;
    let at_link = [
        captured(true, unicast, Fate::Unicast { vif: 5 }),
        captured(true, foreign.clone(), dropped(DropReason::LinkVlan)),
        captured(true, listed.clone(), Fate::List { list: 1 }),
        captured(true, unknown, dropped(DropReason::LinkDstUnknown)),
    ];
    assert_eq!(link.seen(), at_link);
    // Of each burst, what was dropped for a vNIC stands behind what it got.
    let delivered = Fate::Delivered { link: 0 };
    let at_first = [
        captured(false, frame(mac(1), mac(9)).ipv4(46), delivered),
        captured(false, frame(BROADCAST, mac(9)).ipv4(46), delivered),
        captured(false, foreign, dropped(DropReason::LinkVlan)),
    ];
    assert_eq!(first.seen(), at_first);
    assert_eq!(second.seen(), [captured(false, frame(BROADCAST, mac(9)).vlan(2, 0).ipv4(46), delivered)]);
    assert_eq!(third.seen(), [captured(false, listed, dropped(DropReason::LinkVifDown))]);
}

#[test]
fn a_full_ring_is_the_fate_of_a_unicast_frame_at_both_places() {
    let mut bed = bed(4);
    let (mut link, mut vnic) = (bed.capture(Place::Link(0)), bed.capture(Place::Vnic(0)));
    let one = frame(mac(1), mac(9)).vntag(down(5)).vlan(2, 0).ipv4(46);
    for _ in 0..2 {
        (0..4).for_each(|_| assert!(bed.link.send(&one)));
        bed.settle();
    }
    let fates = |seen: Vec<Captured<Fate>>| seen.into_iter().map(|seen| seen.fate).collect::<Vec<_>>();
    let full = [Fate::Dropped(DropReason::HostRingFull); 4];
    assert_eq!(fates(link.seen()), [[Fate::Unicast { vif: 5 }; 4], full].concat());
    assert_eq!(fates(vnic.seen()), [[Fate::Delivered { link: 0 }; 4], full].concat());
}

#[test]
fn what_a_full_link_leaves_with_the_guest_is_seen_when_it_goes() {
    let mut bed = bed(40);
    let mut vnic = bed.capture(Place::Vnic(0));
    let frames: Vec<Vec<u8>> = (0..30).map(|n| frame(mac(2), mac(1)).ipv4(46 + n)).collect();
    frames.iter().for_each(|frame| assert!(bed.adapter.guests[0].send(frame)));
    bed.settle();
    let mut seen = vnic.seen();
    // So many slots are control's.
    assert_eq!(seen.len(), 40 - niv_adapter::engine::control::SLOTS);
    while seen.len() < frames.len() {
        assert!(!bed.link.received().is_empty());
        bed.settle();
        seen.extend(vnic.seen());
    }
    assert_eq!(seen.into_iter().map(|seen| seen.frame).collect::<Vec<_>>(), frames);
}

#[test]
fn control_is_seen_at_the_link_and_a_capture_ends_with_its_vnic() {
    let mut bed = bed(128);
    let (mut link, mut vnic) = (bed.capture(Place::Link(0)), bed.capture(Place::Vnic(1)));
    let lldp = [&[1, 0x80, 0xc2, 0, 0, 0x0e], &mac(9)[..], &[0x88, 0xcc], &[0; 50]].concat();
    assert!(bed.link.send(&lldp));
    bed.adapter.apply(Order::Send { link: 0, frames: vec![lldp.clone()] });
    bed.settle();
    let expected = [captured(false, lldp.clone(), Fate::Originated), captured(true, lldp, Fate::Punted)];
    assert_eq!(link.seen(), expected);

    bed.adapter.apply(Order::RemoveVnic(1));
    assert_eq!(vnic.seen(), []);
    assert_eq!(bed.adapter.captures().running(), 2);
    drop((link, vnic));
    assert_eq!(bed.adapter.captures().running(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: niv_lab::model::worlds(), ..ProptestConfig::default() })]

    #[test]
    fn captures_agree_with_cables_and_counters(
        guest_frames in prop::collection::vec((0usize..2, gen_frames::frames()), 0..20),
        link_frames in prop::collection::vec(prop_oneof![3 => gen_frames::frames(), 3 => gen_frames::tagged(gen_frames::words()), 1 => gen_frames::control()], 0..30),
    ) {
        let mut bed = bed(128);
        let mut captures: Vec<_> = [Place::Link(0), Place::Vnic(0), Place::Vnic(1), Place::Vnic(2)]
            .map(|place| bed.capture(place)).into_iter().collect();
        prop_assert_eq!(captures.len(), MOST_SESSIONS);
        let mut sent: Vec<Vec<Vec<u8>>> = vec![Vec::new(); 4];
        for (guest, frame) in &guest_frames {
            prop_assert!(bed.adapter.guests[*guest].send(frame));
            sent[1 + guest].push(frame.clone());
        }
        for frame in &link_frames {
            prop_assert!(bed.link.send(frame));
            sent[0].push(frame.clone());
        }
        bed.settle();

        let mut received = vec![bed.link.received()];
        received.extend(bed.adapter.guests.iter_mut().map(End::received));
        let mut dropped: BTreeMap<&str, u64> = BTreeMap::new();
        for (place, capture) in captures.iter_mut().enumerate() {
            let seen = capture.seen();
            let came = seen.iter().filter(|seen| seen.came).map(|seen| seen.frame.clone());
            prop_assert_eq!(came.collect::<Vec<_>>(), sent[place].clone());
            let left = seen.iter().filter(|seen| !seen.came && !matches!(seen.fate, Fate::Dropped(_)));
            prop_assert_eq!(left.map(|seen| seen.frame.clone()).collect::<Vec<_>>(), received[place].clone());
            let reasons = seen.iter().filter_map(|seen| match seen.fate {
                Fate::Dropped(reason) => Some(reason),
                _ => None,
            });
            for reason in reasons {
                // What was dropped for a vNIC is seen there, and at the link once more where it had no other way.
                if place > 0 || bed.adapter.link(0).drops[reason].get() > 0 {
                    *dropped.entry(reason.name()).or_default() += 1;
                }
            }
        }
        for (reason, count) in bed.adapter.drops() {
            let seen = dropped.remove(reason.name()).unwrap_or(0);
            prop_assert!(seen >= count, "{reason:?}: {count} counted, {seen} seen");
            prop_assert!(seen == count || reason == DropReason::LinkDouble, "{reason:?}: {count}, {seen}");
        }
        prop_assert_eq!(dropped, BTreeMap::new());
    }
}
