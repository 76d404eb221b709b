//! The switch itself: `show version`, `show feature`, `show module`, `show system workers`.

use super::{Answer, Session};
use crate::config::commands::FEATURES;
use crate::engine::counters::WorkerCounters;
use niv_node::command::Args;
use niv_node::output::{self, Column, Grid, Output};
use serde_json::json;

/// `show version`, in the layout of NX-OS as far as there is something of the kind.
pub(super) fn version(session: &mut Session, _: &Args) -> Answer {
    let switch = &session.switch;
    let (product, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let uuid = switch.uuid.to_string();
    let seconds = switch.now().saturating_sub(switch.started) / 1_000_000_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let uptime = format!("{days} day(s), {hours} hour(s), {minutes} minute(s), {} second(s)", seconds % 60);
    let id = uuid.replace('-', "");
    let text = format!(
        "{product}, a switch for virtual network interfaces\n\nSoftware\n  system:    version {version}\n\n\
         Hardware\n  Processor Board ID {id}\n\n  Device name: {}\n\nKernel uptime is {uptime}\n\n\
         Last reset\n  Reason: Unknown\n\nSandbox\n  {}\n",
        switch.name, switch.sandbox
    );
    let value = json!({
        "name": switch.name,
        "product": product,
        "version": version,
        "uuid": uuid,
        "uptime_seconds": seconds,
        "sandbox": switch.sandbox,
    });
    Ok(Output::prose(text, value).into())
}

/// `show feature`
pub(super) fn feature(_: &mut Session, _: &Args) -> Answer {
    let mut grid = Grid::new([
        Column::left("name", "Feature Name").width(20),
        Column::left("instance", "Instance"),
        Column::left("state", "State"),
    ]);
    for name in FEATURES {
        grid.row([name.into(), 1u8.into(), "enabled".into()]);
    }
    Ok(Output::from(grid).into())
}

/// `show module`: one, which has all ports.
pub(super) fn module(session: &mut Session, _: &Args) -> Answer {
    let mut grid = Grid::new([
        Column::left("module", "Mod"),
        Column::left("ports", "Ports"),
        Column::left("type", "Module-Type").width(36),
        Column::left("model", "Model").width(18),
        Column::left("status", "Status"),
    ]);
    let ports = session.switch.ports.len();
    grid.row([
        1u8.into(),
        ports.into(),
        "Virtual Ethernet Module".into(),
        env!("CARGO_PKG_NAME").into(),
        "active *".into(),
    ]);
    Ok(Output::from(grid).into())
}

/// `show system workers`: what each moved
pub(super) fn workers(session: &mut Session, _: &Args) -> Answer {
    let switch = &session.switch;
    let moved = switch.counters.each().map(WorkerCounters::balance);
    Ok(output::workers(switch.node(), moved).into())
}
