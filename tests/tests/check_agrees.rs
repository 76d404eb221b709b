//! `vntag decode --check` and the engines judge alike: the first violation that the tester names is the line under
//! which the engine drops the frame, unless a line that needs the engine's tables stands before it. A frame
//! without violations is never dropped under a line that the tester judges.

use niv_adapter::engine::VifParams;
use niv_lab::model::gen_frames;
use niv_lab::model::switch::{ModelPort, ModelVlans};
use niv_lab::world::{AdapterSpec, VirtualAdapter, VirtualSwitch, VnicSpec, settle};
use proptest::prelude::*;
use vntag::{Violation, Violations, check};

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let up = gen_frames::tagged(0u32..9);
    let down = gen_frames::tagged((0u32..9).prop_map(|vif| 0x8000_0000 | vif << 16));
    let words = gen_frames::tagged(gen_frames::words());
    prop_oneof![1 => up, 1 => down, 4 => words, 6 => gen_frames::frames()]
}

/// What stands before a line and is judged by tables; `rx_runt` is a drop without a line.
fn needs_tables(line: Violation) -> &'static [&'static str] {
    use Violation::{I20, I22, V14, V18, V20, V22, V25};
    match line {
        V14 => &["V12"],
        V18 | V20 | V22 => &["V12", "rx_runt", "V17"],
        V25 => &["V12", "rx_runt", "V17", "V23", "V24"],
        I20 => &["I12"],
        I22 => &["I12", "I14", "I15", "I21"],
        _ => &[],
    }
}

/// Checks one frame's drops, each with its lines (`"V1 V15"`), or its name where it has none.
fn agree(found: Violations, drops: &[&str]) -> Result<(), TestCaseError> {
    let lines: Vec<&str> = drops.iter().flat_map(|drop| drop.split(' ')).collect();
    if let Some(first) = found.iter().next() {
        let explained = |line: &&str| *line == first.name() || needs_tables(first).contains(line);
        prop_assert!(lines.iter().any(explained), "{found:?}, dropped under {lines:?}");
    } else {
        // The tester knows of I12 and I14 only the destination 0.
        let judged = |line: &&str| Violation::ALL.iter().any(|known| known.name() == *line);
        let wrong = lines.iter().find(|line| judged(line) && !["I12", "I14"].contains(line));
        prop_assert!(wrong.is_none(), "no violation, but dropped under {lines:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: niv_lab::model::worlds(), ..ProptestConfig::default() })]

    #[test]
    fn up_as_the_switch_does(frame in frame()) {
        let vlans = ModelVlans::trunk(1, &[1, 2, 3, 4]);
        let veths = (1..9).map(|vif| (vif, vlans.clone())).collect();
        let (mut switch, mut links) = VirtualSwitch::new(&[ModelPort::Niv { veths, lists: Vec::new() }], 4);
        prop_assume!(links[0].send(&frame));
        settle(0, &mut [&mut switch]);
        let drops: Vec<_> = switch.drops().iter().map(|(reason, _)| named(reason.lines(), reason.name())).collect();
        agree(check::up(&frame, frame.len()), &drops)?;
    }

    #[test]
    fn down_as_the_adapter_does(frame in frame()) {
        let vnic = |vif| VnicSpec { link: 0, vif, params: VifParams::default() };
        let (mut adapter, mut links) = VirtualAdapter::new(&AdapterSpec {
            links: 1,
            vnics: (1..9).map(vnic).collect(),
            lists: (1..9).map(|id| (0, id, (1..id).collect())).collect(),
            depth: 4,
            ..AdapterSpec::default()
        });
        prop_assume!(links[0].send(&frame));
        settle(0, &mut [&mut adapter]);
        let drops: Vec<_> = adapter.drops().iter().map(|(reason, _)| named(reason.lines(), reason.name())).collect();
        agree(check::down(&frame, frame.len()), &drops)?;
    }
}

fn named(lines: &'static str, name: &'static str) -> &'static str {
    if lines.is_empty() { name } else { lines }
}
