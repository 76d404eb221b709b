//! vNICs: shown, added, changed, deleted.

use super::show::{device_counters, reasons, state};
use super::{Answer, Context, named, since};
use crate::control::engine_params;
use crate::engine::{VifParams, VlanMode};
use crate::inventory::{Origin, VnicEntry};
use crate::rim::{Adapter, VnicError, VnicView};
use firmware_sim::{LinkId, VifStatus};
use niv_node::clock;
use niv_node::command::{Args, Refusal, Reply};
use niv_node::output::{Cell, Column, Grid, Output, Record};

pub(super) const fn mode(mode: VlanMode) -> &'static str {
    match mode {
        VlanMode::Trunk => "trunk",
        VlanMode::Access => "access",
        VlanMode::NativeTagged => "native-tagged",
    }
}

/// What is shown first of a vNIC's VIFs: the one that carries its traffic, or will.
struct Vif<'a> {
    link: &'a str,
    vif: Option<u16>,
    veth: Option<u32>,
    params: Option<VifParams>,
    state: String,
}

fn first<'a>(adapter: &'a Adapter, view: &VnicView) -> Vif<'a> {
    let config = &view.entry.config;
    let Some(status) = &view.status else {
        let fixed = config.fixed();
        let link = adapter.link_name(config.link);
        let (vif, params) = (fixed.map(|(vif, _)| vif.get()), fixed.map(|(_, params)| params));
        return Vif { link, vif, veth: None, params, state: "static".to_owned() };
    };
    let active = status.vifs.iter().find(|vif| vif.phase.may_be_active());
    let Some(vif) = active.or(status.vifs.first()) else {
        let (link, state) = (adapter.link_name(config.link), "not provisioned".to_owned());
        return Vif { link, vif: None, veth: None, params: None, state };
    };
    let LinkId(link) = vif.link;
    Vif {
        link: adapter.link_name(usize::from(link)),
        vif: vif.vif.map(|(vif, _)| vif.get()),
        veth: vif.vif.map(|(_, veth)| veth),
        params: vif.params.as_ref().map(engine_params),
        state: with_cause(vif),
    }
}

/// `pending (UNKNOWN_PROFILE: no port-profile web)`
pub(super) fn with_cause(vif: &VifStatus) -> String {
    match &vif.cause {
        Some((_, cause)) => format!("{} ({cause})", vif.phase.name()),
        None => vif.phase.name().to_owned(),
    }
}

/// `show vnic`, and `show vnic NAME` in detail.
pub(super) fn show(adapter: &mut Context, args: &Args) -> Answer {
    if args.get("name").is_some() {
        return detail(adapter, args);
    }
    let mut grid = Grid::new([
        Column::left("name", "vNIC"),
        Column::left("link", "Link"),
        Column::right("vif", "VIF"),
        Column::right("vlan", "VLAN"),
        Column::right("veth", "vEth"),
        Column::right("rx_frames", "Rx frames"),
        Column::right("tx_frames", "Tx frames"),
        Column::right("drops", "Drops"),
        Column::left("state", "State"),
        Column::left("vif_state", "VIF state"),
    ]);
    for view in adapter.vnics() {
        let (stats, vif) = (view.entry.stats.total(), first(adapter, &view));
        grid.row([
            view.entry.config.name.as_str().into(),
            vif.link.into(),
            vif.vif.into(),
            vif.params.map(|params| params.default_vlan).into(),
            vif.veth.into(),
            stats.rx_frames.get().into(),
            stats.tx_frames.get().into(),
            stats.drops.total().into(),
            state(&*view.entry.monitor).into(),
            vif.state.into(),
        ]);
    }
    for (name, why) in adapter.ignored() {
        grid = grid.after(&format!("{name} is not used: {why}"));
    }
    Ok(Output::from(grid).into())
}

fn detail(adapter: &Context, args: &Args) -> Answer {
    let view = named(adapter, args)?;
    let VnicView { entry, status } = &view;
    let (config, identity, stats) = (&entry.config, &entry.identity, entry.stats.total());
    let vif = first(adapter, &view);
    let mut record = Record::new()
        .titled(format!("{} is {}", config.name, state(&*entry.monitor)))
        .field("name", "vNIC", config.name.as_str())
        .field("state", "State", state(&*entry.monitor))
        .field("device", "Device", Cell::display(&config.options.device))
        .field("origin", "Defined by", entry.origin.name())
        .field("link", "Link", vif.link)
        .field("vif", "VIF", vif.vif)
        .field("veth", "vEth", vif.veth)
        .field("vif_state", "VIF state", vif.state);
    if let Some(params) = &vif.params {
        record = record
            .field("vlan", "VLAN", params.default_vlan)
            .field("vlan_mode", "VLAN mode", mode(params.vlan_mode))
            .field("cos", "Default CoS", params.default_cos)
            .field("mtu", "MTU", params.mtu);
    }
    record = record
        .field("mac", "MAC address", Cell::display(identity.mac))
        .field("mac_derived", "MAC derived", config.mac.is_none())
        .field("uuid", "UUID", Cell::display(identity.uuid))
        .field("movable", "Can move", movable(entry))
        .field("channel", "Channel", identity.channel)
        .field("profile", "Port profile", entry.profile())
        .field("vm", "VM", config.vm.as_deref())
        .field("queues", "Queue pairs", config.queues);
    if let Some(guest) = entry.guest.as_ref().and_then(|monitor| monitor.guest()) {
        let text = if guest.logs { "on (the guest is being migrated)" } else { "off" };
        let features: Vec<&str> = guest.feature_names().collect();
        record = record
            .field("features", "Driver features", Cell::shown(features.join(" "), features))
            .field("dirty_log", "Dirty log", Cell::shown(text, guest.logs));
    }
    record = carrier(record, &view)
        .field("rx_frames", "Frames from the guest", stats.rx_frames.get())
        .field("rx_octets", "Octets from the guest", stats.rx_octets.get())
        .field("tx_frames", "Frames to the guest", stats.tx_frames.get())
        .field("tx_octets", "Octets to the guest", stats.tx_octets.get());
    let drops = reasons(stats.drops.iter().filter(|(_, count)| *count > 0));
    let mut group = vec![("vnic".to_owned(), record.into())];
    if let Some(status) = status {
        group.push(("vifs".to_owned(), vifs(adapter, &status.vifs).into()));
    }
    group.push(("drops".to_owned(), drops.into()));
    group.push(("device".to_owned(), device_counters(&*entry.monitor).into()));
    Ok(Output::Group(group).into())
}

fn movable(entry: &VnicEntry) -> Cell {
    let why = "no: its UUID is derived from this node's; give it one with uuid";
    if entry.identity.immovable { Cell::shown(why, false) } else { true.into() }
}

/// The guest's link: as it should be, and as the guest sees it.
fn carrier(record: Record, VnicView { entry, status }: &VnicView) -> Record {
    let Some(status) = status else { return record };
    let wanted = match &status.down {
        None => "up".to_owned(),
        Some(cause) => format!("down ({cause})"),
    };
    let record = record.field("carrier", "Carrier", wanted).field(
        "carrier_since",
        "  since",
        since(clock::monotonic(), status.carrier_since),
    );
    let Some(guest) = &entry.guest else {
        return record.field("carrier_seen", "  seen by the host", "always up; frames are dropped");
    };
    let seen = guest.carrier();
    record
        .field("carrier_seen", "  seen by the guest", Cell::display(seen.seen))
        .field("carrier_seen_since", "  since", Cell::span(seen.since.elapsed()))
        .field("carrier_obstacle", "  obstacle", seen.obstacle)
}

fn vifs(adapter: &Adapter, vifs: &[VifStatus]) -> Grid {
    let now = clock::monotonic();
    let mut grid = Grid::new([
        Column::left("link", "Link"),
        Column::right("vif", "VIF"),
        Column::right("veth", "vEth"),
        Column::left("since", "Since"),
        Column::right("tries", "Tries"),
        Column::left("state", "VIF state"),
    ]);
    for vif in vifs {
        let LinkId(link) = vif.link;
        grid.row([
            adapter.link_name(usize::from(link)).into(),
            vif.vif.map(|(vif, _)| vif.get()).into(),
            vif.vif.map(|(_, veth)| veth).into(),
            since(now, vif.since),
            vif.tries.into(),
            with_cause(vif).into(),
        ]);
    }
    grid
}

/// `vnic list`.
pub(super) fn list_all(adapter: &mut Context, _: &Args) -> Answer {
    let mut grid = Grid::new([
        Column::left("name", "vNIC"),
        Column::left("mac", "MAC address"),
        Column::left("vm", "VM"),
        Column::left("device", "Device"),
        Column::left("origin", "Defined by"),
        Column::left("state", "State"),
    ]);
    let ignored = adapter.ignored();
    for VnicView { entry, .. } in adapter.vnics() {
        // The file wins, and says so.
        let twice =
            entry.origin == Origin::File && ignored.iter().any(|(name, _)| *name == entry.config.name);
        let origin = if twice { "file (one that a command added is not used)" } else { entry.origin.name() };
        grid.row([
            entry.config.name.as_str().into(),
            Cell::display(entry.identity.mac),
            entry.config.vm.as_deref().into(),
            Cell::display(&entry.config.options.device),
            origin.into(),
            state(&*entry.monitor).into(),
        ]);
    }
    for (name, why) in ignored.iter().filter(|(name, _)| adapter.vnic(name).is_none()) {
        let state = format!("not used ({why})");
        let origin = Origin::Command.name();
        grid.row([
            name.as_str().into(),
            None::<&str>.into(),
            None::<&str>.into(),
            None::<&str>.into(),
            origin.into(),
            state.into(),
        ]);
    }
    Ok(Output::from(grid).into())
}

fn changed(args: &Args, parameter: &str, done: Result<(), VnicError>) -> Answer {
    done.map(|()| Reply::Done).map_err(|error| args.refuse(parameter, error.to_string()))
}

/// `vnic add NAME key value ...`.
pub(super) fn add(adapter: &mut Context, args: &Args) -> Answer {
    changed(args, "settings", adapter.add_vnic(args.text("name"), args.text("settings")))
}

/// `vnic set NAME key value ...`.
pub(super) fn set(adapter: &mut Context, args: &Args) -> Answer {
    changed(args, "settings", adapter.set_vnic(args.text("name"), args.text("settings")))
}

/// `vnic del NAME`.
pub(super) fn delete(adapter: &mut Context, args: &Args) -> Answer {
    changed(args, "name", adapter.delete_vnic(args.text("name")))
}

/// The number of a vNIC in the firmware, for those that have a VIF by negotiation.
pub(super) fn negotiated(adapter: &Adapter, args: &Args) -> Result<firmware_sim::VnicId, Refusal> {
    let view = named(adapter, args)?;
    match view.status {
        Some(_) => Ok(firmware_sim::VnicId(view.entry.slot)),
        None => Err(args.refuse("name", format!("The VIF of {} is static.", view.entry.config.name))),
    }
}
