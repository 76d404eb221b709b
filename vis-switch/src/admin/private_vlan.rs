//! Private VLANs, in the layout of NX-OS: `show vlan private-vlan`, and what other pages say about an interface.

use super::brief::at_rest;
use super::names::{full_name, short_name};
use super::{Answer, Session};
use crate::config::running::{PrivatePort, PrivateVlan, RunningConfig, Switchport, SwitchportMode};
use crate::config::text::spans;
use niv_node::command::Args;
use niv_node::output::{Cell, Column, Grid, Output};
use serde_json::{Value, json};

/// Primary and secondary VLAN, as far as there is one, and what they are.
type Row = (Option<u16>, Option<u16>, &'static str);

fn rows(config: &RunningConfig) -> Vec<Row> {
    let vlans = config.private_vlans();
    let mut rows: Vec<Row> = Vec::new();
    for (vlan, kind) in vlans {
        match kind {
            PrivateVlan::Primary(with) if with.is_empty() => rows.push((Some(*vlan), None, kind.word())),
            PrivateVlan::Primary(with) => rows.extend(with.iter().map(|secondary| {
                let word = vlans.get(secondary).map_or("non-operational", PrivateVlan::word);
                (Some(*vlan), Some(*secondary), word)
            })),
            PrivateVlan::Isolated | PrivateVlan::Community => {
                let has =
                    |kind: &PrivateVlan| matches!(kind, PrivateVlan::Primary(with) if with.contains(vlan));
                if !vlans.values().any(has) {
                    rows.push((None, Some(*vlan), kind.word()));
                }
            }
        }
    }
    rows
}

/// Whether an interface is a host there, or promiscuous.
fn is_in(switchport: &Switchport, (primary, secondary, _): &Row) -> bool {
    let Switchport { mode, private, .. } = switchport;
    let serves = |vlan: &u16, secondaries: &std::collections::BTreeSet<u16>| {
        Some(*vlan) == *primary && secondary.is_none_or(|vlan| secondaries.contains(&vlan))
    };
    match mode {
        SwitchportMode::PrivateHost => {
            private.host.is_some_and(|(first, second)| (Some(first), Some(second)) == (*primary, *secondary))
        }
        SwitchportMode::Promiscuous => {
            private.mapping.as_ref().is_some_and(|mapping| serves(&mapping.primary, &mapping.secondaries))
        }
        SwitchportMode::PromiscuousTrunk => private.trunk.iter().any(|(vlan, with)| serves(vlan, with)),
        SwitchportMode::Access | SwitchportMode::Trunk => false,
    }
}

/// `show vlan private-vlan`
pub(super) fn show(session: &mut Session, args: &Args) -> Answer {
    let (config, mut all) = at_rest(session, args)?;
    all.retain(|interface| !interface.niv && interface.is_private());
    let mut grid = Grid::new([
        Column::left("primary", "Primary"),
        Column::left("secondary", "Secondary"),
        Column::left("type", "Type").width(15),
        Column::left("ports", "Ports"),
    ])
    .ruled();
    for row in rows(&config) {
        let members = all.iter().filter(|interface| is_in(&interface.switchport, &row));
        let (short, full): (Vec<String>, Vec<String>) =
            members.map(|interface| (short_name(interface.owner), full_name(interface.owner))).unzip();
        let (primary, secondary, kind) = row;
        grid.row([primary.into(), secondary.into(), kind.into(), Cell::shown(short.join(", "), full)]);
    }
    Ok(Output::from(grid).into())
}

/// What is set on an interface, for programs; `null` where nothing is.
pub(super) fn port(private: &PrivatePort) -> Value {
    if *private == PrivatePort::default() {
        return Value::Null;
    }
    let trunk: serde_json::Map<String, Value> = private
        .trunk
        .iter()
        .map(|(primary, with)| (primary.to_string(), spans(with.iter().copied()).into()))
        .collect();
    json!({
        "host_association": private.host.map(|(primary, secondary)| json!([primary, secondary])),
        "mapping": private.mapping.as_ref().map(|mapping| json!({
            "primary": mapping.primary,
            "secondaries": spans(mapping.secondaries.iter().copied()),
        })),
        "trunk_mappings": trunk,
    })
}

/// The same as lines of `show interface switchport`.
pub(super) fn lines(private: &PrivatePort) -> String {
    let mut text = String::new();
    if let Some((primary, secondary)) = private.host {
        text.push_str(&format!("  Administrative private-vlan host-association: {primary} {secondary}\n"));
    }
    let mappings = private.mapping.iter().map(|mapping| ("mapping", mapping.primary, &mapping.secondaries));
    let trunks = private.trunk.iter().map(|(primary, with)| ("trunk mapping", *primary, with));
    for (words, primary, with) in mappings.chain(trunks) {
        let with = spans(with.iter().copied());
        text.push_str(&format!("  Administrative private-vlan {words}: {primary} {with}\n"));
    }
    text
}
