//! `show interface ethernet`, of all ports or of one.

use super::page::Page;
use super::{Answer, Session};
use crate::config::running::{EthernetId, PortMode, ProfileName};
use crate::config::slots::Owner;
use crate::control::life::Standing;
use crate::switch::{State, Switch, SwitchPort, Traffic};
use niv_node::command::Args;
use serde_json::{Map, Value, json};
use vntag::ctl::session::Session as Link;

/// `show interface ethernet`, of all ports or of one
pub(super) fn detail(session: &mut Session, args: &Args) -> Answer {
    let switch = &session.switch;
    let state = switch.state();
    if args.get("port").is_none() {
        return Ok(Page::outputs(pages(switch, &state)).into());
    }
    let id = EthernetId::parse(args.text("port"));
    let Some((index, port)) = id.and_then(|id| switch.port(id)) else {
        return Err(args.refuse("port", format!("There is no port ethernet {}.", args.text("port"))));
    };
    Ok(page(switch, &state, index, port).output().into())
}

/// All ports.
pub(super) fn pages(switch: &Switch, state: &State) -> Vec<Page> {
    (0..).zip(&switch.ports).map(|(index, port)| page(switch, state, index, port)).collect()
}

fn page(switch: &Switch, state: &State, index: usize, port: &SwitchPort) -> Page {
    let owner = Owner::Ethernet(port.id);
    let effective = state.config.effective_ethernet(port.id);
    let switchport = &effective.switchport;
    let admin = if switchport.shutdown { "down, Dedicated Interface" } else { "up, Dedicated Interface" };
    let mut page = Page::new(owner, switch.down(state, owner), admin);
    page.set("shutdown", switchport.shutdown);
    page.line(&format!("Hardware: {}, address: {}", port.device, port.mac.dotted()));
    page.set("device", port.device.as_str());
    page.set("mac", port.mac.to_string());
    if let Some(ethernet) = state.config.ethernets().get(&port.id) {
        page.description(ethernet.description.as_ref());
        let niv = ethernet.mode() == PortMode::Vntag;
        if let Some(profile) = ethernet.profile() {
            page.profile(profile, &effective);
        }
        page.set("profile", ethernet.profile().map(ProfileName::as_str));
        if niv {
            let negotiation = if ethernet.negotiation() { "niv" } else { "off" };
            page.line(&format!("Encapsulation VNTag, negotiation {negotiation}"));
            page.set("negotiation", negotiation);
        }
        let mode = if niv { "vntag" } else { switchport.mode.words() };
        page.switchport(switchport, mode, !niv);
    }
    if let Some(link) = state.control.session(index) {
        negotiated(&mut page, state, index, link);
    }
    if let Some(traffic) = counted(switch, index) {
        page.traffic(switch, &traffic, state.clearing(owner));
    }
    page.device(&port.monitor.counters());
    page
}

/// What a port took in and gave out.
pub(super) fn counted(switch: &Switch, index: usize) -> Option<Traffic> {
    switch.ports.get(index)?;
    let counted = &switch.counters;
    Some(Traffic {
        rx: counted.traffic(index, |port| &port.rx),
        rx_dropped: counted.port(index, |port| port.rx_dropped.get()),
        tx: counted.traffic(index, |port| &port.tx),
        tx_dropped: counted.port(index, |port| port.tx_dropped.get()),
    })
}

/// What there is of a link that negotiates: its peer, and its VIFs.
fn negotiated(page: &mut Page, state: &State, index: usize, link: &Link) {
    let session = link.state().to_string();
    let mut shown = json!({ "state": &session });
    if let Some(peer) = link.peer() {
        let name = peer.hello.node_name.to_string();
        let uuid = peer.hello.node_uuid;
        page.line(&format!("Transport protocol is NIV, session {session}, adapter {name} ({uuid})"));
        shown["peer"] = name.into();
        shown["uuid"] = peer.hello.node_uuid.to_string().into();
        shown["mac"] = peer.mac.to_string().into();
    } else {
        let heard = link.neighbors().len();
        page.line(&format!("Transport protocol is NIV, session {session}, no adapter, {heard} neighbors"));
    }
    page.set("session", shown);
    let refused = state.control.pending().filter(|row| row.port == index).count();
    page.set("pending", refused);
    let Some(ids) = state.control.namespace(index) else { return };
    let by_state = by_state(state, index);
    let words: String = by_state
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!(", {count} {state}"))
        .collect();
    page.line(&format!("Members in this channel: {} of {} VIFs{words}", ids.used, ids.size));
    if refused > 0 {
        page.line(&format!("Members in this channel: {refused} refused (show interface virtual pending)"));
    }
    let mut vifs = Map::from_iter([
        ("size".to_owned(), Value::from(ids.size)),
        ("used".to_owned(), Value::from(ids.used)),
        ("quarantine".to_owned(), Value::from(ids.quarantine)),
    ]);
    vifs.extend(by_state.into_iter().map(|(state, count)| (state.to_owned(), count.into())));
    page.set("vifs", vifs);
}

/// How many VIFs of a port stand where.
pub(super) fn by_state(state: &State, port: usize) -> Vec<(&'static str, u64)> {
    let mut counts: Vec<(Standing, u64)> = Standing::ALL.into_iter().map(|standing| (standing, 0)).collect();
    for vif in state.control.vifs(port) {
        if let Some((_, count)) = counts.iter_mut().find(|(standing, _)| *standing == vif.state) {
            *count += 1;
        }
    }
    counts.into_iter().map(|(standing, count)| (standing.name(), count)).collect()
}
