//! `show interface vethernet N`, and the record of one vEth.

use super::names::{full_name, port_id, short_name, since};
use super::page::Page;
use super::virt::state_of;
use super::{Answer, Session};
use crate::config::running::{Binding, UplinkFail};
use crate::config::slots::Owner;
use crate::config::text;
use crate::control::{VethState, VethView};
use crate::switch::{State, Switch, Traffic};
use niv_node::command::{Args, Refusal};
use niv_node::output::Output;
use serde_json::{Value, json};
use vntag::ethernet::Mac;

/// Addresses that a page shows of those that were learned.
const ADDRESSES: usize = 16;

/// The number in the line, and its counters; kept before they are told.
fn asked(session: &Session, args: &Args) -> Result<(u32, Traffic), Refusal> {
    let number = u32::try_from(args.number("number")).unwrap_or(u32::MAX);
    let owner = Owner::Vethernet(number);
    match session.switch.traffic([owner]).remove(&owner) {
        Some(traffic) => Ok((number, traffic)),
        None => Err(missing(args, number)),
    }
}

fn missing(args: &Args, number: u32) -> Refusal {
    args.refuse("number", format!("There is no interface vethernet {number}."))
}

/// `show interface vethernet N`
pub(super) fn detail(session: &mut Session, args: &Args) -> Answer {
    let (number, traffic) = asked(session, args)?;
    let switch = &session.switch;
    let state = switch.state();
    let Some(veth) = state.control.veth(number) else { return Err(missing(args, number)) };
    let owner = Owner::Vethernet(number);
    let down = match veth.state {
        VethState::Up => None,
        VethState::Down(cause) => Some(cause.to_string()),
    };
    let mut page = Page::new(owner, &format!("Vethernet{number}"), down, Some(since(switch, veth.since)));
    bound(&mut page, switch, &state, &veth);
    identity(&mut page, switch, &state, &veth);
    match veth.profile {
        Some(name) => page.line(&format!("Port-Profile is {name}")),
        None => page.line("No port-profile"),
    }
    page.set("profile", veth.profile.map(|name| name.as_str()));
    page.set("dynamic", veth.dynamic);
    vifs(&mut page, switch, &veth);
    page.switchport(veth.switchport, veth.switchport.mode.words(), true);
    if veth.uplink_fail == UplinkFail::LinkDown {
        page.line("Goes down with the last uplink");
    }
    page.traffic(&traffic);
    Ok(page.output().into())
}

fn bound(page: &mut Page, switch: &Switch, state: &State, veth: &VethView<'_>) {
    let configured = state.config.vethernets().get(&veth.number).and_then(|typed| typed.binding());
    page.set("binding", configured.map(|binding| binding.to_string()));
    let place = match (veth.vifs.first(), configured) {
        (Some(vif), _) => port_id(switch, vif.port).map(|id| (id, vif.channel)),
        (None, Some(Binding::Channel { port, channel })) => Some((port, channel)),
        _ => None,
    };
    let Some((port, channel)) = place else {
        page.line("Not bound to any interface");
        return;
    };
    let port = Owner::Ethernet(port);
    let vif = veth.at.map_or_else(String::new, |(_, vif)| format!(", VIF {}", vif.get()));
    let name = short_name(port).replace("Eth", "Ethernet");
    page.line(&format!("Bound interface is {name}, channel {channel}{vif}"));
    page.set("bound", full_name(port));
    page.set("channel", channel);
    page.set("vif", veth.at.map(|(_, vif)| vif.get()));
}

/// Who it is, and which addresses its guest really uses.
fn identity(page: &mut Page, switch: &Switch, state: &State, veth: &VethView<'_>) {
    let learned: Vec<Mac> = switch
        .addresses(state)
        .into_iter()
        .filter(|(_, owner)| *owner == Owner::Vethernet(veth.number))
        .map(|(entry, _)| entry.mac)
        .collect();
    if let Some(record) = veth.record {
        let mac = record.identity.mac;
        page.line(&format!("Hardware is Virtual, configured address is {}", mac.dotted()));
        let owner = |name: &Option<String>, what: &str| match name {
            Some(name) => format!(", {what} {name}"),
            None => String::new(),
        };
        let (vnic, vm) = (owner(&record.vnic, "vNIC"), owner(&record.vm, "VM"));
        page.line(&format!("Instance is {}{vm}{vnic}", record.identity.uuid));
        if let Some(host) = &record.host {
            page.line(&format!("Last seen on host {host}, Ethernet{}", record.port));
        }
        page.set("mac", mac.to_string());
        page.set("uuid", record.identity.uuid.to_string());
        page.set("vm", record.vm.clone());
        page.set("vnic", record.vnic.clone());
        page.set("host", record.host.clone());
        let other = learned.iter().any(|used| *used != mac);
        if other {
            page.line(&format!("Addresses in use: {}", some(&learned)));
        }
    } else if !learned.is_empty() {
        page.line(&format!("Addresses in use: {}", some(&learned)));
    }
    page.set("addresses", learned.iter().map(Mac::to_string).collect::<Vec<String>>());
}

fn some(addresses: &[Mac]) -> String {
    let more = addresses.len().saturating_sub(ADDRESSES);
    let first: Vec<String> = addresses.iter().take(ADDRESSES).map(|mac| mac.dotted()).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    first.join(", ") + &more
}

fn vifs(page: &mut Page, switch: &Switch, veth: &VethView<'_>) {
    let mut rows: Vec<Value> = Vec::new();
    for vif in &veth.vifs {
        let Some(port) = port_id(switch, vif.port).map(Owner::Ethernet) else { continue };
        let (id, channel, standing) = (vif.vif.get(), vif.channel, vif.state.name());
        let at = since(switch, vif.since);
        if veth.vifs.len() > 1 {
            let name = short_name(port);
            page.line(&format!("VIF {id} of {name}, channel {channel}: {standing} for {at}"));
        }
        rows.push(json!({
            "port": full_name(port), "vif": id, "channel": channel, "state": standing, "since": at.to_json(),
        }));
    }
    page.set("vifs", rows);
}

/// `show vethernet N export`: everything that there is to know of one vEth, as JSON in both faces
pub(super) fn export(session: &mut Session, args: &Args) -> Answer {
    let (number, traffic) = asked(session, args)?;
    let switch = &session.switch;
    let state = switch.state();
    let Some(veth) = state.control.veth(number) else { return Err(missing(args, number)) };
    let record = veth.record.and_then(|record| serde_json::from_slice::<Value>(&record.encode()).ok());
    let lines = state.config.vethernets().get(&number).map(|typed| text::vethernet(number, typed));
    let learned: Vec<Value> = switch
        .addresses(&state)
        .into_iter()
        .filter(|(_, owner)| *owner == Owner::Vethernet(number))
        .map(|(entry, _)| json!({ "vlan": entry.vlan, "mac": entry.mac.to_string(), "age": entry.age }))
        .collect();
    let (word, cause) = state_of(&veth);
    let pair =
        |total: crate::engine::counters::Total| json!({ "frames": total.frames, "octets": total.octets });
    let value = json!({
        "format": 1,
        "number": number,
        "record": record,
        "configuration": lines.map(|lines| lines.lines().map(str::to_owned).collect::<Vec<_>>()),
        "state": word,
        "cause": cause.to_json(),
        "since": since(switch, veth.since).to_json(),
        "profile": veth.profile.map(|name| name.as_str()),
        "counters": {
            "rx": pair(traffic.rx), "rx_dropped": traffic.rx_dropped,
            "tx": pair(traffic.tx), "tx_dropped": traffic.tx_dropped,
        },
        "addresses": learned,
    });
    let pretty = serde_json::to_string_pretty(&value).unwrap_or_default() + "\n";
    Ok(Output::prose(pretty, value).into())
}
