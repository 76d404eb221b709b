//! The `show` commands.

use super::{Context, list, named};
use crate::engine::{DropReason, VlanMode};
use link::{Monitor, PortState};
use niv_node::command::{Args, Refusal, Reply};
use niv_node::output::{Column, Grid, Output, Record};

type Answer = Result<Reply, Refusal>;

fn state(monitor: &dyn Monitor) -> String {
    match monitor.state() {
        PortState::Up => "up".to_owned(),
        PortState::Down { cause } => format!("down ({cause})"),
    }
}

const fn mode(mode: VlanMode) -> &'static str {
    match mode {
        VlanMode::Trunk => "trunk",
        VlanMode::Access => "access",
        VlanMode::NativeTagged => "native-tagged",
    }
}

/// `show vnic`, and `show vnic NAME` in detail.
pub(super) fn vnic(inventory: &mut Context, args: &Args) -> Answer {
    if args.get("name").is_some() {
        return detail(inventory, args);
    }
    let mut grid = Grid::new([
        Column::left("name", "vNIC"),
        Column::left("link", "Link"),
        Column::right("vif", "VIF"),
        Column::right("vlan", "VLAN"),
        Column::right("rx_frames", "Rx frames"),
        Column::right("tx_frames", "Tx frames"),
        Column::right("drops", "Drops"),
        Column::left("state", "State"),
    ]);
    for vnic in &inventory.vnics {
        let stats = &vnic.stats;
        grid.row([
            vnic.name.as_str().into(),
            inventory.links.get(vnic.link).map_or("-", |link| link.name.as_str()).into(),
            u64::from(vnic.vif.get()).into(),
            u64::from(vnic.params.default_vlan).into(),
            stats.rx_frames.get().into(),
            stats.tx_frames.get().into(),
            stats.drops.total().into(),
            state(&*vnic.monitor).into(),
        ]);
    }
    Ok(Output::from(grid).into())
}

fn detail(inventory: &Context, args: &Args) -> Answer {
    let vnic = named(inventory, args)?;
    let stats = &vnic.stats;
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let record = Record::new()
        .titled(format!("{} is {}", vnic.name, state(&*vnic.monitor)))
        .field("name", "vNIC", vnic.name.as_str())
        .field("state", "State", state(&*vnic.monitor))
        .field("device", "Device", vnic.device.as_str())
        .field("link", "Link", inventory.links.get(vnic.link).map_or("-", |link| link.name.as_str()))
        .field("vif", "VIF", u64::from(vnic.vif.get()))
        .field("vlan", "VLAN", u64::from(vnic.params.default_vlan))
        .field("vlan_mode", "VLAN mode", mode(vnic.params.vlan_mode))
        .field("cos", "Default CoS", u64::from(vnic.params.default_cos))
        .field("mtu", "MTU", u64::from(vnic.params.mtu))
        .field("mac", "MAC address", text(vnic.mac.map(|mac| mac.to_string())))
        .field("profile", "Port profile", text(vnic.profile.clone()))
        .field("vm", "VM", text(vnic.vm.clone()))
        .field("queues", "Queue pairs", u64::from(vnic.queues))
        .field("rx_frames", "Frames from the guest", stats.rx_frames.get())
        .field("rx_octets", "Octets from the guest", stats.rx_octets.get())
        .field("tx_frames", "Frames to the guest", stats.tx_frames.get())
        .field("tx_octets", "Octets to the guest", stats.tx_octets.get());
    let drops = reasons(stats.drops.iter().filter(|(_, count)| *count > 0));
    let device = device_counters(&*vnic.monitor);
    Ok(Output::Group(vec![
        ("vnic".to_owned(), record.into()),
        ("drops".to_owned(), drops.into()),
        ("device".to_owned(), device.into()),
    ])
    .into())
}

/// `show link`, and `show link NAME` in detail.
pub(super) fn link(inventory: &mut Context, args: &Args) -> Answer {
    let wanted = args.get_text("name");
    let mut grid = Grid::new([
        Column::left("name", "Link"),
        Column::right("rx_frames", "Rx frames"),
        Column::right("tx_frames", "Tx frames"),
        Column::right("replicated", "Replicated"),
        Column::right("pruned", "Pruned"),
        Column::right("drops", "Drops"),
        Column::left("device", "Device"),
        Column::left("state", "State"),
    ]);
    let mut parts = Vec::new();
    for link in &inventory.links {
        let stats = &link.stats;
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
            state(&*link.monitor).into(),
        ]);
        if wanted.is_some() {
            parts.push(("drops", reasons(stats.drops.iter().filter(|(_, count)| *count > 0))));
            parts.push(("device", device_counters(&*link.monitor)));
        }
    }
    let Some(name) = wanted else { return Ok(Output::from(grid).into()) };
    if parts.is_empty() {
        let known: Vec<&str> = inventory.links.iter().map(|link| link.name.as_str()).take(5).collect();
        let known = list(&known, inventory.links.len());
        return Err(args.refuse("name", format!("No link is called {name}; there are {known}.")));
    }
    let mut group = vec![("link".to_owned(), Output::from(grid))];
    group.extend(parts.into_iter().map(|(name, part)| (name.to_owned(), part.into())));
    Ok(Output::Group(group).into())
}

/// What the device of a port has counted, without what it never saw.
fn device_counters(monitor: &dyn Monitor) -> Grid {
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

fn reasons(drops: impl Iterator<Item = (DropReason, u64)>) -> Grid {
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

/// `show vif-list`.
pub(super) fn vif_list(inventory: &mut Context, _: &Args) -> Answer {
    let mut grid = Grid::new([
        Column::left("link", "Link"),
        Column::right("list", "List"),
        Column::left("members", "Members"),
    ]);
    for link in &inventory.links {
        for (id, members) in &link.lists {
            let members: Vec<String> = members.iter().map(u16::to_string).collect();
            grid.row([link.name.as_str().into(), u64::from(*id).into(), members.join(",").into()]);
        }
    }
    Ok(Output::from(grid).into())
}

/// `show counters`.
pub(super) fn counters(inventory: &mut Context, _: &Args) -> Answer {
    let balance = inventory.stats.balance();
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
pub(super) fn drops(inventory: &mut Context, args: &Args) -> Answer {
    let all = args.has("all");
    let drops = inventory.stats.drops().into_iter().filter(|(_, count)| all || *count > 0);
    Ok(Output::from(reasons(drops)).into())
}

/// `show version`.
pub(super) fn version(inventory: &mut Context, _: &Args) -> Answer {
    let record = Record::new()
        .field("name", "Name", inventory.name.as_str())
        .field("product", "Product", "niv-adapter")
        .field("version", "Version", env!("CARGO_PKG_VERSION"));
    Ok(Output::from(record).into())
}

/// `vnic list`.
pub(super) fn vnic_list(inventory: &mut Context, _: &Args) -> Answer {
    let mut grid = Grid::new([
        Column::left("name", "vNIC"),
        Column::left("mac", "MAC address"),
        Column::left("vm", "VM"),
        Column::left("device", "Device"),
        Column::left("state", "State"),
    ]);
    for vnic in &inventory.vnics {
        let mac = vnic.mac.map_or_else(|| "-".to_owned(), |mac| mac.to_string());
        grid.row([
            vnic.name.as_str().into(),
            mac.into(),
            vnic.vm.as_deref().unwrap_or("-").into(),
            vnic.device.as_str().into(),
            state(&*vnic.monitor).into(),
        ]);
    }
    Ok(Output::from(grid).into())
}
