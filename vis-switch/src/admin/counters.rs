//! `show counters`, `clear counters`, `show drops`, `show mac address-table`.

use super::names::name;
use super::{Answer, Session};
use crate::config::slots::Owner;
use crate::engine::counters::WorkerCounters;
use crate::engine::mac::Entry;
use crate::switch::Traffic;
use niv_node::command::{Args, Reply};
use niv_node::counter::Counter;
use niv_node::output::{Column, Grid, Output, Record};

/// `show counters`
pub(super) fn counters(session: &mut Session, _: &Args) -> Answer {
    let counted = &session.switch.counters;
    let balance = counted.balance();
    let sum = |of: fn(&WorkerCounters) -> &Counter| counted.sum(|worker| of(worker).get());
    let record = Record::new()
        .field("received", "Received", balance.received)
        .field("replicated", "Replicated", balance.replicated)
        .field("originated", "Originated", balance.originated)
        .field("sent", "Sent", balance.sent)
        .field("punted", "Punted", balance.punted)
        .field("dropped", "Dropped", balance.dropped)
        .field("rx_no_inner_q", "Without 802.1Q behind the VNTag (V16)", sum(|c| &c.rx_no_inner_q))
        .field("mac_learned", "Addresses learned", sum(|c| &c.mac_learned))
        .field("mac_moved", "Addresses moved", sum(|c| &c.mac_moved))
        .field("mac_table_full", "Addresses without room", sum(|c| &c.mac_table_full));
    let mut grid = Grid::new([
        Column::left("interface", "Port"),
        Column::right("rx_frames", "InFrames"),
        Column::right("rx_octets", "InOctets"),
        Column::right("rx_dropped", "InDrops"),
        Column::right("tx_frames", "OutFrames"),
        Column::right("tx_octets", "OutOctets"),
        Column::right("tx_dropped", "OutDrops"),
    ]);
    for (index, port) in session.switch.ports.iter().enumerate() {
        let (rx, tx) = (counted.traffic(index, |port| &port.rx), counted.traffic(index, |port| &port.tx));
        grid.row([
            name(Owner::Ethernet(port.id)),
            rx.frames.into(),
            rx.octets.into(),
            counted.port(index, |port| port.rx_dropped.get()).into(),
            tx.frames.into(),
            tx.octets.into(),
            counted.port(index, |port| port.tx_dropped.get()).into(),
        ]);
    }
    let parts = vec![("switch".to_owned(), record.into()), ("ports".to_owned(), grid.into())];
    Ok(Output::Group(parts).into())
}

/// `clear counters`, of all interfaces or of one: those that `show interface` has
pub(super) fn clear(session: &mut Session, args: &Args) -> Answer {
    let switch = &session.switch;
    let named = super::named(session, args)?;
    let is_meant = |owner: &Owner| named.is_none_or(|named| named == *owner);
    let veths: Vec<Owner> =
        switch.state().control.veths().map(|veth| Owner::Vethernet(veth.number)).filter(is_meant).collect();
    let ports = switch.ports.iter().enumerate().filter(|(_, port)| is_meant(&Owner::Ethernet(port.id)));
    let ports = ports.filter_map(|(index, port)| {
        Some((Owner::Ethernet(port.id), super::ethernet::counted(switch, index)?))
    });
    let counted: Vec<(Owner, Traffic)> = switch.traffic(veths).into_iter().chain(ports).collect();
    switch.clear_counters(counted);
    Ok(Reply::Done)
}

/// `show drops`: the reasons that counted anything, or `all`
pub(super) fn drops(session: &mut Session, args: &Args) -> Answer {
    let all = args.has("all");
    let mut grid = Grid::new([
        Column::left("reason", "Drop reason"),
        Column::left("lines", "Line"),
        Column::right("frames", "Frames"),
        Column::left("help", "What it counts"),
    ]);
    for (reason, count) in session.switch.counters.drops().filter(|(_, count)| all || *count > 0) {
        grid.row([reason.name().into(), reason.lines().into(), count.into(), reason.help().trim().into()]);
    }
    Ok(Output::from(grid).into())
}

/// `show mac address-table`, all of it or what was learned in a VLAN, at an interface, or of an address
pub(super) fn addresses(session: &mut Session, args: &Args) -> Answer {
    let named = super::named(session, args)?;
    let wanted = |entry: &Entry, owner: Owner| {
        let in_vlan = args.get_number("vlan").is_none_or(|vlan| vlan == u64::from(entry.vlan));
        named.is_none_or(|named| named == owner)
            && in_vlan
            && args.get_mac("mac").is_none_or(|mac| mac == entry.mac.0)
    };
    let state = session.switch.state();
    let mut grid = Grid::new([
        Column::left("primary", ""),
        Column::right("vlan", "VLAN"),
        Column::left("mac", "MAC Address"),
        Column::left("type", "Type"),
        Column::right("age", "age"),
        Column::left("secure", "Secure"),
        Column::left("ntfy", "NTFY"),
        Column::left("port", "Ports"),
    ])
    .before("Legend: * - primary entry, age - seconds since last seen");
    let all = session.switch.addresses(&state).into_iter();
    for (entry, owner) in all.filter(|(entry, owner)| wanted(entry, *owner)) {
        let mac = niv_node::output::Cell::shown(entry.mac.dotted(), entry.mac.to_string());
        // Nothing is secured and nobody notified yet.
        let no = || niv_node::output::Cell::shown("F", false);
        let primary = niv_node::output::Cell::shown("*", true);
        let (vlan, age) = (entry.vlan.into(), entry.age.into());
        grid.row([primary, vlan, mac, "dynamic".into(), age, no(), no(), name(owner)]);
    }
    let total = format!("Total {} addresses", grid.len());
    Ok(Output::from(grid.after(&total)).into())
}
