//! What interfaces take from port profiles: `show running-config interface`, `show port-profile brief`, `usage` and
//! `expand-interface`.

use super::names::{full_name, long_name, name as shown_name};
use super::{Answer, Session};
use crate::config::commands::Candidate;
use crate::config::expand::{self, Origin};
use crate::config::running::{Effective, EthernetId, ProfileFault, ProfileName, RunningConfig, Vethernet};
use crate::config::slots::Owner;
use crate::config::text;
use niv_node::command::{Args, Reply};
use niv_node::output::{Cell, Column, Grid, Output};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The running configuration, so held that what adapters ask for can be looked up meanwhile.
fn running(session: &Session) -> Arc<RunningConfig> {
    Arc::clone(&session.switch.state().config)
}

/// `show running-config interface vethernet N [expand-port-profile]`
pub(super) fn of_vethernet(session: &mut Session, args: &Args) -> Answer {
    let config = running(session);
    let number = u32::try_from(args.number("number")).unwrap_or(u32::MAX);
    let asked = session.asked(number);
    let exists = session.switch.state().control.veth(number).is_some();
    if !exists && !config.vethernets().contains_key(&number) {
        return Err(args.refuse("number", format!("There is no interface vethernet {number}.")));
    }
    if !args.has("expand-port-profile") {
        let empty = Vethernet::default();
        let text = text::vethernet(number, config.vethernets().get(&number).unwrap_or(&empty));
        let value = Value::from(text.clone());
        return Ok(Output::prose(text, value).into());
    }
    let Effective { profile, system_only, .. } = config.effective(number, asked.as_ref());
    Ok(expanded(&config, Owner::Vethernet(number), asked.as_ref(), (profile.err(), system_only)))
}

/// `show running-config interface ethernet S/P [expand-port-profile]`
pub(super) fn of_ethernet(session: &mut Session, args: &Args) -> Answer {
    let config = running(session);
    let id = EthernetId::parse(args.text("port"));
    let Some((id, ethernet)) = id.and_then(|id| Some((id, config.ethernets().get(&id)?))) else {
        return Err(args.refuse("port", format!("There is no port ethernet {}.", args.text("port"))));
    };
    if !args.has("expand-port-profile") {
        let text = text::ethernet(id, ethernet);
        let value = Value::from(text.clone());
        return Ok(Output::prose(text, value).into());
    }
    let Effective { profile, system_only, .. } = config.effective_ethernet(id);
    let fault = profile.err().filter(|fault| *fault != ProfileFault::None);
    Ok(expanded(&config, Owner::Ethernet(id), None, (fault, system_only)))
}

/// All that counts on an interface, and where it comes from.
fn expanded(
    config: &RunningConfig,
    owner: Owner,
    asked: Option<&ProfileName>,
    (fault, system_only): (Option<ProfileFault>, bool),
) -> Reply {
    let lines = expand::interface(config, owner, asked);
    let fault = fault.map(|fault| fault.to_string());
    let only = if system_only { "; only its system VLANs pass" } else { "" };
    let because = fault.as_ref().map_or_else(String::new, |fault| format!("  ! {fault}{only}"));
    let text = format!("interface {owner}{because}\n{}", page(&lines));
    let lines: Vec<Value> =
        lines.iter().map(|(line, origin)| json!({ "line": line, "origin": origin.to_string() })).collect();
    let value = json!({
        "interface": full_name(owner), "fault": fault, "system_only": system_only, "lines": lines,
    });
    Output::prose(text, value).into()
}

/// Lines, and behind each that was not typed on the interface where it comes from.
fn page(lines: &[(String, Origin)]) -> String {
    let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0);
    let each = |(line, origin): &(String, Origin)| match origin {
        Origin::Interface => format!("  {line}\n"),
        origin => format!("  {line:<width$}  ! {origin}\n"),
    };
    lines.iter().map(each).collect()
}

/// The profiles that a command is about: the one that is named, or all.
fn asked_for(config: &RunningConfig, args: &Args) -> Result<Vec<ProfileName>, niv_node::command::Refusal> {
    let Some(name) = args.get_text("name") else {
        return Ok(config.port_profiles().keys().cloned().collect());
    };
    let known = ProfileName::new(name).filter(|name| config.port_profiles().contains_key(name));
    known
        .map(|name| vec![name])
        .ok_or_else(|| args.refuse("name", format!("There is no port-profile {name}.")))
}

pub(super) fn users(session: &Session, config: &RunningConfig, name: &ProfileName) -> BTreeSet<Owner> {
    config.users(name, &session.asking(name))
}

/// `show port-profile brief`
pub(super) fn brief(session: &mut Session, _: &Args) -> Answer {
    let config = running(session);
    let mut grid = Grid::new([
        Column::left("profile", "Port\nProfile"),
        Column::left("type", "Profile\nType"),
        Column::left("state", "Profile\nState"),
        Column::right("levels", "Profiles\nCounted"),
        Column::left("inherits", "Inherits"),
        Column::right("interfaces", "Assigned\nIntfs"),
        Column::right("heirs", "Child\nProfs"),
    ])
    .ruled();
    for (name, profile) in config.port_profiles() {
        let inherits: Vec<&str> = config.inherits(name).iter().map(ProfileName::as_str).collect();
        let shown = if inherits.is_empty() {
            Cell::shown("--", inherits)
        } else {
            Cell::shown(inherits.join(","), inherits)
        };
        grid.row([
            name.as_str().into(),
            profile.kind().word().into(),
            if profile.enabled { "enabled" } else { "disabled" }.into(),
            config.lineage(name).ok().map(|lineage| lineage.len()).into(),
            shown,
            users(session, &config, name).len().into(),
            config.heirs(name).count().into(),
        ]);
    }
    Ok(Output::from(grid).into())
}

/// `show port-profile usage [name X]`
pub(super) fn usage(session: &mut Session, args: &Args) -> Answer {
    let config = running(session);
    let columns = [Column::left("profile", "Port Profile"), Column::left("interface", "Port")];
    let mut grid = Grid::new(columns).ruled();
    for name in asked_for(&config, args)? {
        for owner in users(session, &config, &name) {
            grid.row([name.as_str().into(), shown_name(owner)]);
        }
    }
    Ok(Output::from(grid).into())
}

/// `show port-profile expand-interface [name X]`
pub(super) fn expand_interface(session: &mut Session, args: &Args) -> Answer {
    let config = running(session);
    let (mut text, mut values) = (String::new(), Vec::new());
    for name in asked_for(&config, args)? {
        text.push_str(&format!("port-profile {name}\n"));
        let mut interfaces = serde_json::Map::new();
        for owner in users(session, &config, &name) {
            let asked = match owner {
                Owner::Vethernet(number) => session.asked(number),
                Owner::Ethernet(_) => None,
            };
            let lines = expand::interface(&config, owner, asked.as_ref());
            text.push_str(&format!("{}\n{}", long_name(owner), page(&lines)));
            let lines: Vec<String> = lines.into_iter().map(|(line, _)| line).collect();
            interfaces.insert(full_name(owner), lines.into());
        }
        text.push('\n');
        values.push(json!({ "profile": name.as_str(), "interfaces": interfaces }));
    }
    Ok(Output::prose(text, values.into()).into())
}
