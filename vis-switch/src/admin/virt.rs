//! `show interface virtual ...`: all vEths as tables.

use super::names::{name, port, since, text};
use super::{Answer, Session};
use crate::config::running::Binding;
use crate::config::slots::Owner;
use crate::config::text as lines;
use crate::control::{VethState, VethView};
use crate::engine::vlan::VlanMode;
use crate::switch::{State, Switch};
use niv_node::command::Args;
use niv_node::output::{Cell, Column, Grid, Output};

/// What people call a state.
pub(super) fn state_of(veth: &VethView<'_>) -> (&'static str, Cell) {
    match veth.state {
        VethState::Up => ("up", Cell::Absent),
        VethState::Down(cause) => (cause.word(), Cell::display(cause)),
    }
}

/// Port and channel of a vEth: where it is, else where it is bound, else where it was last.
pub(super) fn place(switch: &Switch, state: &State, veth: &VethView<'_>) -> (Cell, Option<u16>) {
    let configured = state.config.vethernets().get(&veth.number).and_then(|typed| typed.binding());
    if let Some(vif) = veth.vifs.first() {
        return (port(switch, vif.port), Some(vif.channel));
    }
    match (configured, veth.record) {
        (Some(Binding::Channel { port, channel }), _) => (name(Owner::Ethernet(port)), Some(channel)),
        (_, Some(record)) => (
            Cell::shown(format!("Eth{}", record.port), format!("ethernet{}", record.port)),
            Some(record.channel),
        ),
        _ => (Cell::Absent, None),
    }
}

pub(super) fn vlan(veth: &VethView<'_>) -> Cell {
    match (veth.switchport.own_vlan(), veth.switchport.mode.vlans()) {
        (None, VlanMode::Trunk) => Cell::shown("trunk", lines::vlans(&veth.switchport.allowed)),
        (vlan, _) => vlan.into(),
    }
}

fn total(grid: Grid) -> Output {
    let total = format!("Total {} Veth interfaces", grid.len());
    grid.after(&total).into()
}

/// `show interface virtual`
pub(super) fn all(session: &mut Session, _: &Args) -> Answer {
    let switch = &session.switch;
    let state = switch.state();
    let mut grid = Grid::new([
        Column::left("interface", "Veth\nInterface"),
        Column::left("bound", "Bound\nInterface"),
        Column::right("channel", "Channel"),
        Column::left("profile", "Port\nProfile"),
        Column::right("vlan", "Vlan"),
        Column::left("mode", "Mode"),
        Column::left("state", "Status"),
        Column::left("cause", "Reason"),
    ])
    .ruled();
    for veth in state.control.veths() {
        let (bound, channel) = place(switch, &state, &veth);
        let (word, cause) = state_of(&veth);
        grid.row([
            name(Owner::Vethernet(veth.number)),
            bound,
            channel.into(),
            text(veth.profile),
            vlan(&veth),
            veth.switchport.mode.words().into(),
            word.into(),
            cause,
        ]);
    }
    Ok(total(grid).into())
}

/// `show interface virtual summary`
pub(super) fn summary(session: &mut Session, _: &Args) -> Answer {
    let switch = &session.switch;
    let state = switch.state();
    let mut grid = Grid::new([
        Column::left("interface", "Veth\nInterface"),
        Column::left("bound", "Bound\nInterface"),
        Column::right("channel", "Channel"),
        Column::left("profile", "Port\nProfile"),
        Column::left("mac", "Mac\nAddress"),
        Column::left("vm", "VM\nName"),
        Column::left("vnic", "vNIC"),
        Column::left("type", "Type"),
    ])
    .ruled();
    for veth in state.control.veths() {
        let (bound, channel) = place(switch, &state, &veth);
        let record = veth.record;
        grid.row([
            name(Owner::Vethernet(veth.number)),
            bound,
            channel.into(),
            text(veth.profile),
            record.map_or(Cell::Absent, |record| {
                Cell::shown(record.identity.mac.dotted(), record.identity.mac.to_string())
            }),
            text(record.and_then(|record| record.vm.as_ref())),
            text(record.and_then(|record| record.vnic.as_ref())),
            if veth.dynamic { "dynamic" } else { "static" }.into(),
        ]);
    }
    Ok(total(grid).into())
}

/// `show interface virtual status`: one row for each VIF, and one for each vEth without
pub(super) fn status(session: &mut Session, _: &Args) -> Answer {
    let switch = &session.switch;
    let state = switch.state();
    let mut grid = Grid::new([
        Column::left("interface", "Veth\nInterface"),
        Column::left("bound", "Bound\nInterface"),
        Column::right("channel", "Chan"),
        Column::right("vif", "VIF"),
        Column::right("vlan", "Vlan"),
        Column::left("state", "Status"),
        Column::left("vif_state", "Mode"),
        Column::left("since", "Since"),
        Column::left("cause", "Reason"),
    ])
    .ruled();
    for veth in state.control.veths() {
        let (word, cause) = state_of(&veth);
        let row = |bound: Cell, channel: Cell, vif: Cell, standing: Cell| {
            let at = since(switch, veth.since);
            let interface = name(Owner::Vethernet(veth.number));
            [interface, bound, channel, vif, vlan(&veth), word.into(), standing, at, cause.clone()]
        };
        if veth.vifs.is_empty() {
            let (bound, channel) = place(switch, &state, &veth);
            let vif = veth.at.map(|(_, vif)| vif.get());
            let standing = vif.map(|_| "static");
            grid.row(row(bound, channel.into(), vif.into(), standing.into()));
        }
        for vif in &veth.vifs {
            let place = (port(switch, vif.port), vif.channel.into(), vif.vif.get().into());
            grid.row(row(place.0, place.1, place.2, vif.state.name().into()));
        }
    }
    let total = format!("Total {} Veth interfaces", state.control.veths().count());
    Ok(Output::from(grid.after(&total)).into())
}

/// `show interface virtual pending`
pub(super) fn pending(session: &mut Session, _: &Args) -> Answer {
    let switch = &session.switch;
    let state = switch.state();
    let mut grid = Grid::new([
        Column::left("bound", "Bound\nInterface"),
        Column::right("channel", "Channel"),
        Column::left("vm", "VM\nName"),
        Column::left("vnic", "vNIC"),
        Column::left("mac", "Mac\nAddress"),
        Column::data("uuid"),
        Column::left("profile", "Port\nProfile"),
        Column::left("since", "Since"),
        Column::right("tries", "Tries"),
        Column::left("status", "Status"),
        Column::left("cause", "Reason"),
    ])
    .ruled();
    for row in state.control.pending() {
        let mac = row.identity.map(|identity| Cell::shown(identity.mac.dotted(), identity.mac.to_string()));
        grid.row([
            port(switch, row.port),
            row.channel.into(),
            text(row.vm),
            text(row.vnic),
            mac.into(),
            text(row.identity.map(|identity| identity.uuid)),
            text(row.profile),
            since(switch, row.since),
            row.tries.into(),
            Cell::display(row.status),
            row.cause.into(),
        ]);
    }
    let total = format!("Total {} vNICs refused", grid.len());
    Ok(Output::from(grid.after(&total)).into())
}
