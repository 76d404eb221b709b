//! `show neighbors`, `show control statistics`, `show vif-list`: what happens on NIV links.

use super::names::{duration, name, port, since};
use super::{Answer, Session};
use crate::config::slots::Owner;
use crate::config::text::{spans, vlans};
use crate::control::lists::{ClassState, ListState, Lists};
use crate::engine::vlan::VlanSet;
use niv_node::command::Args;
use niv_node::output::{Cell, Column, Grid, Output};
use vntag::ctl::session::Standing;

/// `show neighbors`: but for the first, the columns are those of the adapter
pub(super) fn neighbors(session: &mut Session, _: &Args) -> Answer {
    let switch = &session.switch;
    let state = switch.state();
    let mut grid = Grid::new([
        Column::left("interface", "Local\nInterface"),
        Column::left("neighbor", "Neighbor"),
        Column::left("chassis", "Chassis ID"),
        Column::left("port", "Port ID"),
        Column::left("role", "Role"),
        Column::left("mac", "Mac\nAddress"),
        Column::left("standing", "NIV"),
        Column::left("cause", "Reason"),
        Column::left("session", "Session"),
        Column::left("since", "Since"),
        Column::left("expires", "Hold"),
    ])
    .ruled();
    let now = switch.now();
    for index in 0..switch.ports.len() {
        let Some(link) = state.control.session(index) else { continue };
        for neighbor in link.neighbors() {
            let (standing, cause, session) = match &neighbor.standing {
                Standing::Peer => ("peer", Cell::Absent, Cell::display(link.state())),
                Standing::Other(why) => ("refused", Cell::display(why), Cell::Absent),
            };
            let niv = neighbor.lldp.niv.as_ref().and_then(|niv| niv.as_ref().ok());
            let left = neighbor.expires.saturating_sub(now);
            grid.row([
                port(switch, index),
                neighbor.name().into(),
                Cell::display(&neighbor.lldp.chassis_id),
                Cell::display(&neighbor.lldp.port_id),
                niv.map(|niv| niv.role.to_string()).into(),
                Cell::shown(neighbor.mac.dotted(), neighbor.mac.to_string()),
                standing.into(),
                cause,
                session,
                since(switch, neighbor.since),
                Cell::shown(duration(left), left / 1_000_000_000),
            ]);
        }
    }
    let total = format!("Total {} neighbors", grid.len());
    Ok(Output::from(grid.after(&total)).into())
}

/// `show lldp neighbors`
pub(super) fn lldp(session: &mut Session, _: &Args) -> Answer {
    let switch = &session.switch;
    let state = switch.state();
    let mut grid = Grid::new([
        Column::left("system", "Device ID").width(20),
        Column::left("interface", "Local Intf").width(15),
        Column::left("hold", "Hold-time"),
        Column::left("capability", "Capability"),
        Column::left("port", "Port ID"),
    ])
    .before("Capability codes: (O) Other, an interface virtualizer");
    let now = switch.now();
    for index in 0..switch.ports.len() {
        let Some(link) = state.control.session(index) else { continue };
        for neighbor in link.neighbors() {
            let lldp = &neighbor.lldp;
            let name = lldp.system_name.as_ref().map(ToString::to_string).filter(|name| !name.is_empty());
            let left = neighbor.expires.saturating_sub(now) / 1_000_000_000;
            grid.row([
                name.unwrap_or_else(|| lldp.chassis_id.to_string()).into(),
                port(switch, index),
                left.into(),
                "O".into(),
                Cell::display(&lldp.port_id),
            ]);
        }
    }
    let total = format!("Total entries displayed: {}", grid.len());
    Ok(Output::from(grid.after(&total)).into())
}

/// `show control statistics`: what counted anything, or `all`
pub(super) fn statistics(session: &mut Session, args: &Args) -> Answer {
    let switch = &session.switch;
    let state = switch.state();
    let all = args.has("all");
    let mut grid = Grid::new([
        Column::left("interface", "Interface"),
        Column::left("counter", "Counter"),
        Column::right("value", "Value"),
    ]);
    let counted = state.control.counters();
    let whole = [
        ("ctl_frames_unsent", switch.unsent()),
        ("ctl_answers_unwanted", counted.ctl_answers_unwanted),
        ("ctl_events_lost", counted.ctl_events_lost),
    ];
    for (counter, value) in whole.into_iter().filter(|(_, value)| all || *value > 0) {
        grid.row([Cell::Absent, counter.into(), value.into()]);
    }
    for index in 0..switch.ports.len() {
        let Some(link) = state.control.session(index) else { continue };
        for (counter, value) in link.counters().iter().filter(|(_, value)| all || *value > 0) {
            grid.row([port(switch, index), counter.into(), value.into()]);
        }
    }
    Ok(Output::from(grid).into())
}

fn list_state(state: ListState) -> &'static str {
    match state {
        ListState::Serving => "serving",
        ListState::Leaving => "leaving",
        ListState::Building => "building",
        ListState::Spare => "spare",
        ListState::Waiting => "waiting",
        ListState::Deleting => "deleting",
    }
}

/// `show vif-list`
pub(super) fn lists(session: &mut Session, _: &Args) -> Answer {
    let switch = &session.switch;
    let state = switch.state();
    let mut grid = Grid::new([
        Column::left("interface", "Interface"),
        Column::right("list", "List"),
        Column::left("state", "State"),
        Column::left("vlans", "VLANs"),
        Column::left("members", "Members"),
        Column::left("cause", "Reason"),
    ]);
    for (id, ethernet) in state.config.ethernets().iter().filter(|(_, ethernet)| !ethernet.negotiation()) {
        for (list, members) in &ethernet.lists {
            let members = Cell::shown(spans(members.iter().copied()), members.clone());
            let interface = name(Owner::Ethernet(*id));
            grid.row([interface, list.get().into(), "static".into(), Cell::Absent, members, Cell::Absent]);
        }
    }
    for index in 0..switch.ports.len() {
        if let Some(lists) = state.control.lists(index) {
            negotiated(&mut grid, &port(switch, index), lists);
        }
    }
    Ok(Output::from(grid).into())
}

/// The lists of a link that negotiates, and the classes that have none.
fn negotiated(grid: &mut Grid, interface: &Cell, lists: &Lists) {
    let shown = |set: &VlanSet| Cell::shown(vlans(set), set.iter().collect::<Vec<_>>());
    for list in lists.lists() {
        let used: VlanSet = lists
            .classes()
            .filter(|class| class.lists.contains(&list.id))
            .flat_map(|class| class.vlans.iter().collect::<Vec<_>>())
            .collect();
        let members = list.members.map(|members| {
            let members: Vec<u16> = members.iter().map(|vif| vif.get()).collect();
            Cell::shown(spans(members.iter().copied()), members)
        });
        let served = if used == VlanSet::EMPTY { Cell::Absent } else { shown(&used) };
        let state = list_state(list.state).into();
        grid.row([interface.clone(), list.id.get().into(), state, served, members.into(), Cell::Absent]);
    }
    for class in lists.classes() {
        let cause = match class.state {
            ClassState::Served => continue,
            ClassState::Changing => "a list is being changed".to_owned(),
            ClassState::NoPeer => "no adapter".to_owned(),
            ClassState::NoRoom => "the adapter has room for no other list".to_owned(),
            ClassState::Refused(why) => why.to_owned(),
        };
        let members: Vec<u16> = class.members.iter().map(|vif| vif.get()).collect();
        let members = Cell::shown(spans(members.iter().copied()), members);
        let vlans = shown(class.vlans);
        grid.row([interface.clone(), Cell::Absent, "wanted".into(), vlans, members, cause.into()]);
    }
}
