//! The `show` commands.

use super::{Answer, Context, list};
use crate::config::file::Negotiation;
use crate::engine::DropReason;
use firmware_sim::LinkId;
use link::{Monitor, PortState};
use niv_node::command::Args;
use niv_node::output::{self, Column, Grid, Output, Record};

pub(super) fn state(monitor: &dyn Monitor) -> String {
    match monitor.state() {
        PortState::Up => "up".to_owned(),
        PortState::Down { cause } => format!("down ({cause})"),
    }
}

/// `show link`, and `show link NAME` in detail.
pub(super) fn link(adapter: &mut Context, args: &Args) -> Answer {
    let wanted = args.get_text("name");
    let mut grid = Grid::new([
        Column::left("name", "Link"),
        Column::right("rx_frames", "Rx frames"),
        Column::right("tx_frames", "Tx frames"),
        Column::right("replicated", "Replicated"),
        Column::right("pruned", "Pruned"),
        Column::right("drops", "Drops"),
        Column::left("device", "Device"),
        Column::left("switch", "Switch"),
        Column::left("state", "State"),
    ]);
    let mut parts = Vec::new();
    for (id, link) in (0..).map(LinkId).zip(&adapter.links) {
        let stats = link.stats.total();
        if wanted.is_some_and(|name| name != link.name) {
            continue;
        }
        grid.row([
            link.name.as_str().into(),
            stats.rx_frames.get().into(),
            stats.tx_frames.get().into(),
            stats.replicated.get().into(),
            stats.pruned.get().into(),
            stats.drops.total().into(),
            link.device.as_str().into(),
            switch(adapter, id, link.negotiation).into(),
            state(&*link.monitor).into(),
        ]);
        if wanted.is_some() {
            parts.push(("drops", reasons(stats.drops.iter().filter(|(_, count)| *count > 0))));
            parts.push(("device", device_counters(&*link.monitor)));
        }
    }
    let Some(name) = wanted else { return Ok(Output::from(grid).into()) };
    if parts.is_empty() {
        let known: Vec<&str> = adapter.links.iter().map(|link| link.name.as_str()).take(5).collect();
        let known = list(&known, adapter.links.len());
        return Err(args.refuse("name", format!("No link is called {name}; there are {known}.")));
    }
    let mut group = vec![("link".to_owned(), Output::from(grid))];
    group.extend(parts.into_iter().map(|(name, part)| (name.to_owned(), part.into())));
    Ok(Output::Group(group).into())
}

/// The name of the switch at the other end, while it is there.
fn switch(adapter: &Context, id: LinkId, negotiation: Negotiation) -> Option<String> {
    if negotiation == Negotiation::Off {
        return Some("static".to_owned());
    }
    let peer = adapter.look(|firmware, _| firmware.session(id).and_then(|session| session.peer()));
    peer.map(|peer| peer.hello.node_name.to_string())
}

/// What the device of a port has counted, without what it never saw.
pub(super) fn device_counters(monitor: &dyn Monitor) -> Grid {
    let mut grid = Grid::new([
        Column::left("counter", "Device counter"),
        Column::right("value", "Value"),
        Column::left("help", "What it counts"),
    ]);
    for counter in monitor.counters().into_iter().filter(|counter| counter.value > 0) {
        grid.row([counter.name.into(), counter.value.into(), counter.help.into()]);
    }
    grid
}

pub(super) fn reasons(drops: impl Iterator<Item = (DropReason, u64)>) -> Grid {
    let mut grid = Grid::new([
        Column::left("reason", "Drop reason"),
        Column::left("lines", "Line"),
        Column::right("frames", "Frames"),
        Column::left("help", "What it counts"),
    ]);
    for (reason, count) in drops {
        grid.row([reason.name().into(), reason.lines().into(), count.into(), reason.help().trim().into()]);
    }
    grid
}

/// `show counters`.
pub(super) fn counters(adapter: &mut Context, _: &Args) -> Answer {
    let balance = adapter.stats.balance();
    let record = Record::new()
        .field("received", "Received", balance.received)
        .field("replicated", "Replicated", balance.replicated)
        .field("originated", "Originated", balance.originated)
        .field("sent", "Sent", balance.sent)
        .field("punted", "Punted", balance.punted)
        .field("dropped", "Dropped", balance.dropped);
    Ok(Output::from(record).into())
}

/// `show drops`: those that counted anything, or `all`.
pub(super) fn drops(adapter: &mut Context, args: &Args) -> Answer {
    let all = args.has("all");
    let drops = adapter.stats.drops().into_iter().filter(|(_, count)| all || *count > 0);
    Ok(Output::from(reasons(drops)).into())
}

/// `show version`.
pub(super) fn version(adapter: &mut Context, _: &Args) -> Answer {
    let record = Record::new()
        .field("name", "Name", adapter.name.as_str())
        .field("product", "Product", "niv-adapter")
        .field("version", "Version", env!("CARGO_PKG_VERSION"))
        .field("sandbox", "Sandbox", adapter.sandbox.report().to_string());
    Ok(Output::from(record).into())
}

/// `show system workers`: what each moved.
pub(super) fn workers(adapter: &mut Context, _: &Args) -> Answer {
    let moved = adapter.stats.each().iter().map(|one| one.balance());
    Ok(output::workers(&adapter.node, moved).into())
}
