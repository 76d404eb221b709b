//! The adapter's engine against the naive model: random adapters, random frames, the same deliveries and drops.

use niv_adapter::engine::{DropReason, VifParams, VlanMode};
use niv_lab::model::adapter::{ModelAdapter, ModelVnic};
use niv_lab::model::{Line, gen_frames};
use niv_lab::world::{AdapterSpec, VirtualAdapter, VnicSpec, settle};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn vnic() -> impl Strategy<Value = ModelVnic> {
    let mask = prop_oneof![3 => Just(0xffu8), 1 => any::<u8>()];
    let mtu = prop_oneof![Just(1500usize), Just(9000), 68usize..100];
    (1u16..8, 0u8..3, 1u16..4, 0u8..8, mask, mtu, prop::bool::weighted(0.9)).prop_map(
        |(vif, vlan_mode, default_vlan, default_cos, allowed_priorities, mtu, active)| ModelVnic {
            vif,
            vlan_mode,
            default_vlan,
            default_cos,
            allowed_priorities,
            mtu,
            active,
        },
    )
}

fn adapter() -> impl Strategy<Value = ModelAdapter> {
    let lists = prop::collection::btree_map(1u16..6, prop::collection::btree_set(1u16..8, 0..5), 0..4);
    (any::<bool>(), prop::collection::vec(vnic(), 1..5), lists).prop_map(|(negotiation, mut vnics, lists)| {
        let mut seen = BTreeSet::new();
        vnics.retain(|vnic| seen.insert(vnic.vif));
        let lists = lists.into_iter().map(|(id, members)| (id, members.into_iter().collect())).collect();
        ModelAdapter { negotiation, vnics, lists }
    })
}

fn build(model: &ModelAdapter) -> (VirtualAdapter, niv_lab::world::End) {
    let params = |vnic: &ModelVnic| VifParams {
        vlan_mode: [VlanMode::Trunk, VlanMode::Access, VlanMode::NativeTagged][usize::from(vnic.vlan_mode)],
        default_vlan: vnic.default_vlan,
        default_cos: vnic.default_cos,
        allowed_priorities: vnic.allowed_priorities,
        mtu: vnic.mtu as u16,
    };
    let (adapter, mut links) = VirtualAdapter::new(&AdapterSpec {
        links: 1,
        vnics: model
            .vnics
            .iter()
            .map(|vnic| VnicSpec { link: 0, vif: vnic.vif, params: params(vnic) })
            .collect(),
        lists: model.lists.iter().map(|(id, members)| (0, *id, members.clone())).collect(),
        depth: 128,
        punts: if model.negotiation { 64 } else { 0 },
        ..AdapterSpec::default()
    });
    for (vnic, cable) in model.vnics.iter().zip(&adapter.guest_cables) {
        if !vnic.active {
            cable.unplug();
        }
    }
    (adapter, links.remove(0))
}

/// Drops by line, as the model names them.
fn lines(drops: &[(DropReason, u64)]) -> BTreeMap<String, u64> {
    let mut by_line = BTreeMap::new();
    for (reason, count) in drops {
        let line = match *reason {
            DropReason::LinkControl => "control",
            DropReason::LinkNoVntag => "I7",
            reason => reason.lines(),
        };
        *by_line.entry(line.to_owned()).or_default() += count;
    }
    by_line
}

proptest! {
    #![proptest_config(ProptestConfig { cases: niv_lab::model::worlds(), ..ProptestConfig::default() })]

    #[test]
    fn the_engine_does_what_the_table_says(
        model in adapter(),
        guest_frames in prop::collection::vec((0usize..5, gen_frames::frames()), 0..12),
        link_frames in prop::collection::vec(prop_oneof![3 => gen_frames::frames(), 3 => gen_frames::tagged(gen_frames::words()), 1 => gen_frames::control()], 0..20),
    ) {
        let (mut adapter, mut link) = build(&model);
        let mut drops: Vec<Line> = Vec::new();
        let mut up: BTreeMap<u16, Vec<Vec<u8>>> = BTreeMap::new();
        let mut down: Vec<Vec<Vec<u8>>> = vec![Vec::new(); model.vnics.len()];
        let mut pruned = 0;
        let mut punted = Vec::new();

        for (guest, frame) in &guest_frames {
            let guest = guest % model.vnics.len();
            // A guest that is not there sends nothing.
            if model.vnics[guest].active {
                prop_assert!(adapter.guests[guest].send(frame));
                match model.up(guest, frame) {
                    Ok(out) => up.entry(model.vnics[guest].vif).or_default().push(out),
                    Err(line) => drops.push(line),
                }
            }
        }
        for frame in &link_frames {
            prop_assert!(link.send(frame));
            let delivered = model.down(frame);
            drops.extend(delivered.drops);
            pruned += delivered.pruned;
            punted.extend(delivered.punted);
            for (vnic, copy) in delivered.frames {
                down[vnic].push(copy);
            }
        }
        settle(0, &mut [&mut adapter]);

        // Order is kept per vNIC; between vNICs it is free.
        let mut got: BTreeMap<u16, Vec<Vec<u8>>> = BTreeMap::new();
        for frame in link.received() {
            let vif = u16::from_be_bytes([frame[16], frame[17]]);
            got.entry(vif).or_default().push(frame);
        }
        prop_assert_eq!(got, up);
        for (guest, want) in adapter.guests.iter_mut().zip(&down) {
            prop_assert_eq!(&guest.received(), want);
        }
        let mut want: BTreeMap<String, u64> = BTreeMap::new();
        drops.iter().for_each(|line| *want.entry((*line).to_owned()).or_default() += 1);
        prop_assert_eq!(lines(&adapter.drops()), want);
        prop_assert_eq!(adapter.link(0).pruned.get(), pruned);
        prop_assert_eq!(adapter.link(0).punted.get(), punted.len() as u64);
        let got: Vec<Vec<u8>> = adapter.punted().into_iter().map(|punted| punted.frame.into()).collect();
        prop_assert_eq!(got, punted);
    }
}
