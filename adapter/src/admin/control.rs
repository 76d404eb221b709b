//! What the control protocol knows: neighbours, VIFs, lists, counters.

use super::vnic::with_cause;
use super::{Answer, Context, since};
use crate::config::file::Negotiation;
use firmware_sim::LinkId;
use niv_node::clock;
use niv_node::command::Args;
use niv_node::output::{Cell, Column, Grid, Output};
use vntag::ctl::session::Standing;

/// `show vif`.
pub(super) fn vifs(adapter: &mut Context, _: &Args) -> Answer {
    let now = clock::monotonic();
    let mut grid = Grid::new([
        Column::left("link", "Link"),
        Column::right("vif", "VIF"),
        Column::right("veth", "vEth"),
        Column::left("vnic", "vNIC"),
        Column::right("channel", "Channel"),
        Column::right("vlan", "VLAN"),
        Column::left("since", "Since"),
        Column::left("state", "State"),
    ]);
    for view in adapter.vnics() {
        let entry = &view.entry;
        let name: Cell = entry.config.name.as_str().into();
        let Some(status) = &view.status else {
            let Some((vif, params)) = entry.config.fixed() else { continue };
            let (link, vif) = (adapter.link_name(entry.config.link), vif.get());
            let since = Cell::Absent;
            grid.row([
                link.into(),
                vif.into(),
                None::<u32>.into(),
                name,
                vif.into(),
                params.default_vlan.into(),
                since,
                "static".into(),
            ]);
            continue;
        };
        for vif in &status.vifs {
            let LinkId(link) = vif.link;
            grid.row([
                adapter.link_name(usize::from(link)).into(),
                vif.vif.map(|(vif, _)| vif.get()).into(),
                vif.vif.map(|(_, veth)| veth).into(),
                name.clone(),
                entry.identity.channel.into(),
                vif.params.map(|params| params.vlan).into(),
                since(now, vif.since),
                with_cause(vif).into(),
            ]);
        }
    }
    Ok(Output::from(grid).into())
}

/// `show vif-list`.
pub(super) fn lists(adapter: &mut Context, _: &Args) -> Answer {
    let mut grid = Grid::new([
        Column::left("link", "Link"),
        Column::right("list", "List"),
        Column::right("generation", "Generation"),
        Column::left("members", "Members"),
    ]);
    let mut row = |link: &str, list: u16, generation: Option<u32>, members: Vec<u16>| {
        let text: Vec<String> = members.iter().map(u16::to_string).collect();
        let members = text.join(",");
        grid.row([link.into(), list.into(), generation.into(), members.into()]);
    };
    for (id, link) in (0..).map(LinkId).zip(&adapter.links) {
        for (list, members) in &link.lists {
            row(&link.name, *list, None, members.clone());
        }
        let lists: Vec<_> = adapter.look(|firmware, _| firmware.lists(id).collect());
        for (list, generation, members) in lists {
            let members = members.into_iter().map(vntag::VifId::get).collect();
            row(&link.name, list.get(), Some(generation), members);
        }
    }
    Ok(Output::from(grid).into())
}

/// `show neighbors`: but for the first, the columns are those of the switch.
pub(super) fn neighbors(adapter: &mut Context, _: &Args) -> Answer {
    let mut grid = Grid::new([
        Column::left("link", "Link"),
        Column::left("neighbor", "Neighbor"),
        Column::left("chassis", "Chassis ID"),
        Column::left("port", "Port ID"),
        Column::left("role", "Role"),
        Column::left("mac", "MAC address"),
        Column::left("standing", "NIV"),
        Column::left("cause", "Reason"),
        Column::left("session", "Session"),
        Column::left("since", "Since"),
        Column::left("expires", "Hold"),
    ]);
    adapter.look(|firmware, now| {
        for (id, link) in (0..).map(LinkId).zip(&adapter.links) {
            let Some(session) = firmware.session(id) else { continue };
            for neighbor in session.neighbors() {
                let niv = neighbor.lldp.niv.as_ref().and_then(|niv| niv.as_ref().ok());
                let (standing, cause, state) = match &neighbor.standing {
                    Standing::Peer => ("peer", Cell::Absent, Cell::display(session.state())),
                    Standing::Other(why) => ("refused", Cell::display(why), Cell::Absent),
                };
                grid.row([
                    link.name.as_str().into(),
                    neighbor.name().into(),
                    Cell::display(&neighbor.lldp.chassis_id),
                    Cell::display(&neighbor.lldp.port_id),
                    niv.map(|niv| niv.role.to_string()).into(),
                    Cell::display(neighbor.mac),
                    standing.into(),
                    cause,
                    state,
                    since(now, neighbor.since),
                    since(neighbor.expires, now),
                ]);
            }
        }
    });
    for link in adapter.links.iter().filter(|link| link.negotiation == Negotiation::Off) {
        grid = grid.after(&format!("{} has negotiation = \"off\": nobody listens there", link.name));
    }
    Ok(Output::from(grid).into())
}

/// `show control statistics`: what counted anything, or `all`, by link; then the firmware's own.
pub(super) fn statistics(adapter: &mut Context, args: &Args) -> Answer {
    let wanted = |value: u64| value > 0 || args.has("all");
    let mut grid = Grid::new([
        Column::left("link", "Link"),
        Column::left("counter", "Counter"),
        Column::right("value", "Value"),
    ]);
    adapter.look(|firmware, _| {
        for (id, link) in (0..).map(LinkId).zip(&adapter.links) {
            let Some(session) = firmware.session(id) else { continue };
            for (counter, value) in session.counters().iter().filter(|(_, value)| wanted(*value)) {
                grid.row([link.name.as_str().into(), counter.into(), value.into()]);
            }
        }
        for (counter, value) in firmware.counters().iter().filter(|(_, value)| wanted(*value)) {
            grid.row([Cell::Absent, counter.into(), value.into()]);
        }
    });
    Ok(Output::from(grid).into())
}
