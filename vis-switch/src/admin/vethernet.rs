//! `show interface vethernet`, and the record of one vEth.

use super::names::{full_name, long_name, port_id, since};
use super::page::Page;
use super::virt::state_of;
use super::{Answer, Session};
use crate::config::running::{Binding, ProfileName, UplinkFail};
use crate::config::slots::Owner;
use crate::config::text;
use crate::control::{VethState, VethView};
use crate::switch::{Down, State, Switch, Traffic};
use niv_node::command::{Args, Refusal};
use niv_node::output::Output;
use serde_json::{Value, json};
use std::collections::BTreeMap;
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

/// `show interface vethernet`, of all or of one
pub(super) fn detail(session: &mut Session, args: &Args) -> Answer {
    if args.get("number").is_none() {
        return Ok(Page::outputs(pages(session)).into());
    }
    let (number, traffic) = asked(session, args)?;
    let switch = &session.switch;
    let state = switch.state();
    let Some(veth) = state.control.veth(number) else { return Err(missing(args, number)) };
    let used = addresses(switch, &state);
    Ok(page(switch, &state, &veth, &used, &traffic).output().into())
}

/// All vEths.
pub(super) fn pages(session: &Session) -> Vec<Page> {
    let switch = &session.switch;
    let all: Vec<Owner> = switch.state().control.veths().map(|veth| Owner::Vethernet(veth.number)).collect();
    let traffic = switch.traffic(all);
    let state = switch.state();
    let used = addresses(switch, &state);
    let shown = state.control.veths().filter_map(|veth| {
        // One that came meanwhile is not there yet.
        let traffic = traffic.get(&Owner::Vethernet(veth.number))?;
        Some(page(switch, &state, &veth, &used, traffic))
    });
    shown.collect()
}

/// The addresses that guests really use, by vEth.
type Used = BTreeMap<u32, Vec<Mac>>;

fn addresses(switch: &Switch, state: &State) -> Used {
    let mut used = Used::new();
    for (entry, owner) in switch.addresses(state) {
        if let Owner::Vethernet(number) = owner {
            used.entry(number).or_default().push(entry.mac);
        }
    }
    used
}

fn page(switch: &Switch, state: &State, veth: &VethView<'_>, used: &Used, traffic: &Traffic) -> Page {
    let typed = state.config.vethernets().get(&veth.number);
    let down = match veth.state {
        VethState::Up => None,
        VethState::Down(cause) => Some(Down::of(cause)),
    };
    let shutdown = veth.switchport.shutdown;
    let mut admin = if shutdown { "down, Virtual Interface" } else { "up, Virtual Interface" }.to_owned();
    if veth.uplink_fail == UplinkFail::LinkDown {
        admin.push_str(", goes down with the last uplink");
    }
    let mut page = Page::new(Owner::Vethernet(veth.number), down, &admin);
    page.set("shutdown", shutdown);
    hardware(&mut page, veth, used.get(&veth.number).map_or(&[], Vec::as_slice));
    page.description(typed.and_then(|typed| typed.description.as_ref()));
    identity(&mut page, veth);
    bound(&mut page, switch, state, typed.and_then(|typed| typed.binding()), veth);
    match veth.profile {
        Some(name) => {
            let asked = veth.record.and_then(|record| record.profile.as_deref()).and_then(ProfileName::new);
            page.profile(name, &state.config.effective(veth.number, asked.as_ref()));
        }
        None => page.line("Belongs to no port-profile"),
    }
    page.set("profile", veth.profile.map(|name| name.as_str()));
    page.set("dynamic", veth.dynamic);
    page.switchport(veth.switchport, veth.switchport.mode.words(), true);
    page.since(&since(switch, veth.since));
    page.traffic(switch, traffic, state.clearing(Owner::Vethernet(veth.number)));
    page
}

/// Where it is: its VIFs, or where it is to be.
fn bound(page: &mut Page, switch: &Switch, state: &State, binding: Option<Binding>, veth: &VethView<'_>) {
    page.set("binding", binding.map(|binding| binding.to_string()));
    let mut rows: Vec<Value> = Vec::new();
    for shown in &veth.vifs {
        let Some(port) = port_id(switch, shown.port).map(Owner::Ethernet) else { continue };
        let (id, channel, standing) = (shown.vif.get(), shown.channel, shown.state.name());
        let at = since(switch, shown.since);
        let adapter = state.control.session(shown.port).and_then(|link| link.peer());
        let adapter = adapter.map(|peer| peer.hello.node_name.to_string());
        let of = adapter.as_ref().map_or_else(String::new, |name| format!(", adapter {name}"));
        let name = long_name(port);
        page.line(&format!("Belongs to {name}{of}, channel {channel}, VIF {id}, {standing} for {at}"));
        rows.push(json!({
            "port": full_name(port), "adapter": adapter, "vif": id, "channel": channel, "state": standing, "since": at.to_json(),
        }));
    }
    let place = match (veth.vifs.first(), binding) {
        (Some(vif), _) => port_id(switch, vif.port).map(|id| (id, vif.channel)),
        (None, Some(Binding::Channel { port, channel })) => {
            page.line(&format!("Belongs to {}, channel {channel}", long_name(Owner::Ethernet(port))));
            Some((port, channel))
        }
        (None, Some(Binding::Mac(mac))) => {
            page.line(&format!("Belongs to whoever has the address {}", mac.dotted()));
            None
        }
        (None, None) => {
            page.line("Belongs to no interface");
            None
        }
    };
    page.set("vifs", rows);
    let Some((port, channel)) = place else { return };
    page.set("bound", full_name(Owner::Ethernet(port)));
    page.set("channel", channel);
    page.set("vif", veth.at.map(|(_, vif)| vif.get()));
}

/// Its address, and those that its guest really uses.
fn hardware(page: &mut Page, veth: &VethView<'_>, used: &[Mac]) {
    page.set("addresses", used.iter().map(Mac::to_string).collect::<Vec<String>>());
    let Some(record) = veth.record else {
        page.line(&match used {
            [] => "Hardware is Virtual".to_owned(),
            [first, others @ ..] => {
                format!("Hardware is Virtual, address is {}{}", first.dotted(), in_use(others, "also in use"))
            }
        });
        return;
    };
    let mac = record.identity.mac;
    let others: Vec<Mac> = used.iter().copied().filter(|used| *used != mac).collect();
    page.line(&format!("Hardware is Virtual, address is {}{}", mac.dotted(), in_use(&others, "in use")));
    page.set("mac", mac.to_string());
}

/// Who it is. Where it is not anywhere, where it was last.
fn identity(page: &mut Page, veth: &VethView<'_>) {
    let Some(record) = veth.record else { return };
    let vnic = record.vnic.as_ref().map_or_else(|| "a vNIC".to_owned(), |vnic| format!("vNIC {vnic}"));
    let vm = record.vm.as_ref().map_or_else(String::new, |vm| format!(" of VM {vm}"));
    let last = record.host.as_ref().filter(|_| veth.vifs.is_empty());
    let last = last.map_or_else(String::new, |host| format!(", last on {host}, Ethernet{}", record.port));
    page.line(&format!("Belongs to {vnic}{vm}, instance {}{last}", record.identity.uuid));
    page.set("uuid", record.identity.uuid.to_string());
    page.set("vm", record.vm.clone());
    page.set("vnic", record.vnic.clone());
    page.set("host", record.host.clone());
}

/// `; in use: ...`, the first of them.
fn in_use(addresses: &[Mac], what: &str) -> String {
    if addresses.is_empty() {
        return String::new();
    }
    let more = addresses.len().saturating_sub(ADDRESSES);
    let first: Vec<String> = addresses.iter().take(ADDRESSES).map(|mac| mac.dotted()).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("; {what}: {}{more}", first.join(", "))
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
