//! `show interface ethernet`, of all ports or of one.

use super::names::port_id;
use super::page::Page;
use super::{Answer, Session};
use crate::config::running::{Ethernet, EthernetId, PortMode};
use crate::config::slots::Owner;
use crate::control::life::Standing;
use crate::switch::{State, Switch, SwitchPort, Traffic};
use niv_node::command::Args;
use serde_json::{Map, Value, json};
use vntag::ctl::session::Session as Link;

fn port_mode(ethernet: &Ethernet) -> &'static str {
    match ethernet.mode {
        PortMode::Vntag => "vntag",
        PortMode::Plain => ethernet.switchport.mode.words(),
    }
}

/// `show interface ethernet`, of all ports or of one
pub(super) fn detail(session: &mut Session, args: &Args) -> Answer {
    let switch = &session.switch;
    let state = switch.state();
    if args.get("port").is_none() {
        let ports = (0..).zip(&switch.ports);
        return Ok(Page::outputs(ports.map(|(index, port)| page(switch, &state, index, port))).into());
    }
    let id = EthernetId::parse(args.text("port"));
    let Some((index, port)) = id.and_then(|id| switch.port(id)) else {
        return Err(args.refuse("port", format!("There is no port ethernet {}.", args.text("port"))));
    };
    Ok(page(switch, &state, index, port).output().into())
}

fn page(switch: &Switch, state: &State, index: usize, port: &SwitchPort) -> Page {
    let owner = Owner::Ethernet(port.id);
    let mut page = Page::new(owner, &format!("Ethernet{}", port.id), switch.down(state, owner), None);
    page.line(&format!("Device is {}", port.device));
    page.set("device", port.device.as_str());
    if let Some(ethernet) = state.config.ethernets().get(&port.id) {
        if let Some(description) = &ethernet.description {
            page.line(&format!("Description: {}", description.as_str()));
            page.set("description", description.as_str());
        }
        page.switchport(&ethernet.switchport, port_mode(ethernet), ethernet.mode == PortMode::Plain);
        if ethernet.mode == PortMode::Vntag {
            let negotiation = if ethernet.negotiation { "niv" } else { "off" };
            page.line(&format!("Negotiation is {negotiation}"));
            page.set("negotiation", negotiation);
        }
    }
    if let Some(link) = state.control.session(index) {
        negotiated(&mut page, switch, state, index, link);
    }
    if let Some(counted) = switch.counters.ports.get(index) {
        page.traffic(&Traffic {
            rx: counted.rx.get(),
            rx_dropped: counted.rx_dropped.get(),
            tx: counted.tx.get(),
            tx_dropped: counted.tx_dropped.get(),
        });
    }
    page.device(&port.monitor.counters());
    page
}

/// What there is of a link that negotiates: its peer, and its VIFs.
fn negotiated(page: &mut Page, switch: &Switch, state: &State, index: usize, link: &Link) {
    let session = super::neighbors::state_name(link.state());
    let mut shown = json!({ "state": session });
    if let Some(peer) = link.peer() {
        let name = peer.hello.node_name.to_string();
        page.line(&format!("Adapter is {name} ({}), session {session}", peer.hello.node_uuid));
        shown["peer"] = name.into();
        shown["uuid"] = peer.hello.node_uuid.to_string().into();
        shown["mac"] = peer.mac.to_string().into();
    } else {
        let heard = link.neighbors().len();
        page.line(&format!("No adapter, session {session}, {heard} neighbors"));
    }
    page.set("session", shown);
    if let Some(ids) = state.control.namespace(index) {
        page.line(&format!(
            "VIFs: {} of {} ids in use, {} in quarantine",
            ids.used, ids.size, ids.quarantine
        ));
        let mut vifs = Map::from_iter([
            ("size".to_owned(), Value::from(ids.size)),
            ("used".to_owned(), Value::from(ids.used)),
            ("quarantine".to_owned(), Value::from(ids.quarantine)),
        ]);
        let by_state = by_state(state, index);
        let words: Vec<String> = by_state
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        if !words.is_empty() {
            page.line(&format!("  {}", words.join(", ")));
        }
        vifs.extend(by_state.into_iter().map(|(state, count)| (state.to_owned(), count.into())));
        page.set("vifs", vifs);
    }
    let refused = state.control.pending().filter(|row| row.port == index).count();
    page.set("pending", refused);
    if refused > 0 && port_id(switch, index).is_some() {
        page.line(&format!("{refused} vNICs refused: show interface virtual pending"));
    }
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
