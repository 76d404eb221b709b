//! The switch's engine against the naive model: random switches, random frames, the same frames out of every port in
//! the same order, the same drops, and every interface told of what it got.

use link::pair::Config;
use niv_lab::model::gen_frames;
use niv_lab::model::switch::{Interface, ModelPort, ModelSwitch, ModelVlans};
use niv_lab::world::{End, VirtualSwitch, settle};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use vis_switch::engine::verdict::DropReason;

/// Some with an access list towards them.
fn vlans() -> impl Strategy<Value = ModelVlans> {
    let only = prop_oneof![3 => Just(None), 1 => Just(Some(6)), 1 => Just(Some(17))];
    (carried(), only).prop_map(|(vlans, only)| ModelVlans { only, ..vlans })
}

fn carried() -> impl Strategy<Value = ModelVlans> {
    let trunk = (1u16..4, prop::collection::btree_set(vlan(), 0..6))
        .prop_map(|(native, allowed)| ModelVlans::trunk(native, &Vec::from_iter(allowed)));
    prop_oneof![2 => (1u16..4).prop_map(ModelVlans::access), 2 => trunk, 3 => private()]
}

/// Few, private ones among them.
fn vlan() -> impl Strategy<Value = u16> {
    prop_oneof![3 => 1u16..5, 3 => 100u16..104, 1 => 200u16..202]
}

/// In the roles that private VLANs have.
fn private() -> impl Strategy<Value = ModelVlans> {
    let host = prop_oneof![4 => 101u16..104, 1 => Just(201)].prop_map(ModelVlans::host);
    let some = || prop::sample::subsequence(vec![101u16, 102, 103], 1..=3);
    let promiscuous = some().prop_map(|mapped| ModelVlans::promiscuous(100, &mapped));
    let ordinary = prop::collection::btree_set(1u16..5, 0..3);
    let trunk =
        (1u16..4, ordinary, some(), any::<bool>()).prop_map(|(native, ordinary, mut mapped, both)| {
            let mut allowed = Vec::from_iter(ordinary);
            allowed.push(100);
            if both {
                allowed.push(200);
                mapped.push(201);
            }
            ModelVlans::promiscuous_trunk(native, &allowed, &mapped)
        });
    prop_oneof![4 => host, 2 => promiscuous, 1 => trunk]
}

/// The vEths of a VLAN by the access list towards them.
fn classes(veths: &BTreeMap<u16, ModelVlans>, vlan: u16) -> BTreeMap<Option<u8>, BTreeSet<u16>> {
    let mut classes: BTreeMap<Option<u8>, BTreeSet<u16>> = BTreeMap::new();
    for (vif, vlans) in veths.iter().filter(|(_, vlans)| vlans.carries(vlan)) {
        classes.entry(vlans.only).or_default().insert(*vif);
    }
    classes
}

/// An NIV link; its lists are partly those that its floods need and partly others.
fn niv() -> impl Strategy<Value = ModelPort> {
    let veths = prop::collection::btree_map(1u16..8, vlans(), 0..5);
    let others = prop::collection::btree_map(1u16..20, prop::collection::btree_set(1u16..8, 0..4), 0..3);
    let kept = prop::collection::vec(prop::bool::weighted(0.8), 9);
    (veths, others, kept).prop_map(|(veths, others, kept)| {
        let mut lists: BTreeMap<u16, BTreeSet<u16>> = others;
        for (vlan, _) in (1u16..6).chain(100..104).zip(kept).filter(|(_, kept)| *kept) {
            for (nth, members) in (1u16..).zip(classes(&veths, vlan).into_values()) {
                lists.insert(1000 * nth + vlan, members);
            }
        }
        let lists = lists.into_iter().map(|(id, members)| (id, members.into_iter().collect())).collect();
        ModelPort::Niv { veths: veths.into_iter().collect(), lists }
    })
}

/// An NIV link with a control session; some lists are not, or no longer, those that their VLANs need: some VIF is not
/// there, or in the list of another class.
fn negotiated() -> impl Strategy<Value = ModelPort> {
    let veths = prop::collection::btree_map(1u16..8, vlans(), 0..6);
    let assigned = prop::collection::vec(prop::bool::weighted(0.9), 11);
    let other = prop::option::of(prop::option::weighted(0.6, prop_oneof![Just(6u8), Just(17)]));
    let odd = prop::collection::vec((vlan(), 1u16..10, other), 0..10);
    (veths, assigned, odd).prop_map(|(veths, assigned, odd)| {
        let mut ids: BTreeMap<BTreeSet<u16>, u16> = BTreeMap::new();
        let mut floods: BTreeMap<u16, BTreeMap<u16, Vec<u16>>> = BTreeMap::new();
        let vlans = (1u16..6).chain(100..104).chain(200..202);
        for (vlan, _) in vlans.zip(assigned).filter(|(_, assigned)| *assigned) {
            let mut lists = classes(&veths, vlan);
            for (_, vif, other) in odd.iter().filter(|(on, ..)| *on == vlan) {
                lists.values_mut().for_each(|members| {
                    members.remove(vif);
                });
                other.iter().for_each(|class| {
                    lists.entry(*class).or_default().insert(*vif);
                });
            }
            for members in lists.into_values() {
                let next = 50 + ids.len() as u16;
                let id = *ids.entry(members.clone()).or_insert(next);
                floods.entry(vlan).or_default().insert(id, members.into_iter().collect());
            }
        }
        ModelPort::Negotiated { floods, veths: veths.into_iter().collect() }
    })
}

fn port() -> impl Strategy<Value = ModelPort> {
    prop_oneof![2 => niv(), 3 => negotiated(), 1 => vlans().prop_map(ModelPort::Wire)]
}

/// Mostly right frames, so that something is learned and forwarded.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => gen_frames::tagged(0u32..9), 2 => gen_frames::tagged(gen_frames::words()), 3 => gen_frames::frames(), 1 => gen_frames::control()]
}

/// Drops by line, as the model names them.
fn lines(drops: &[(DropReason, u64)]) -> BTreeMap<String, u64> {
    let mut by_line = BTreeMap::new();
    for (reason, count) in drops {
        let line = match (*reason, reason.lines()) {
            (DropReason::RxNoVntag, _) => "V1",
            (_, "") => reason.name(),
            (_, line) => line,
        };
        *by_line.entry(line.to_owned()).or_default() += count;
    }
    by_line
}

proptest! {
    #![proptest_config(ProptestConfig { cases: niv_lab::model::worlds(), ..ProptestConfig::default() })]

    #[test]
    fn the_engine_does_what_the_tables_say(
        ports in prop::collection::vec(port(), 1..5),
        negotiation: bool,
        bursts in prop::collection::vec((0usize..5, prop::collection::vec(frame(), 1..8)), 0..8),
    ) {
        let mut model = ModelSwitch::new(ports.clone());
        model.negotiation = negotiation;
        let cables = Config { capacity: 256, ..Config::default() };
        let punts = if negotiation { 64 } else { 0 };
        let (mut switch, mut ends) = VirtualSwitch::punting(&ports, cables, punts);
        let mut punted = Vec::new();
        let mut want = vec![Vec::new(); ports.len()];
        let mut drops: BTreeMap<String, u64> = BTreeMap::new();
        let mut reached: BTreeMap<Interface, u64> = BTreeMap::new();
        for (port, frames) in &bursts {
            let port = port % ports.len();
            for frame in frames {
                prop_assert!(ends[port].send(frame));
                let forwarded = model.handle(port, frame);
                punted.extend(forwarded.punted.map(|frame| (port, frame)));
                forwarded.frames.into_iter().for_each(|(port, frame)| want[port].push(frame));
                forwarded.reached.iter().for_each(|to| *reached.entry(*to).or_default() += 1);
                forwarded.drops.iter().for_each(|line| *drops.entry((*line).to_owned()).or_default() += 1);
            }
            // Bursts of several ports at once have no order between them; one port after the other has.
            settle(0, &mut [&mut switch]);
        }
        let got: Vec<_> = ends.iter_mut().map(End::received).collect();
        prop_assert_eq!(got, want);
        prop_assert_eq!(lines(&switch.drops()), drops);
        prop_assert_eq!(switch.reached(), reached);
        let got: Vec<_> = switch.punted().into_iter().map(|punted| (punted.port, punted.frame.into())).collect();
        prop_assert_eq!(got, punted);
    }
}
