//! What vEths take from port profiles: `show running-config interface vethernet`, `show port-profile brief`, `usage` and
//! `expand-interface`.

use super::names::{full_name, name as shown_name};
use super::{Answer, Session};
use crate::config::commands::Candidate;
use crate::config::expand::{self, Origin};
use crate::config::running::{ProfileName, RunningConfig, Vethernet};
use crate::config::slots::Owner;
use crate::config::text;
use niv_node::command::Args;
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
    let lines = expand::vethernet(&config, number, asked.as_ref());
    let fault = config.effective(number, asked.as_ref()).profile.err().map(|fault| fault.to_string());
    let because = fault.as_ref().map_or_else(String::new, |fault| format!("  ! {fault}"));
    let text = format!("interface vethernet {number}{because}\n{}", page(&lines));
    let lines: Vec<Value> =
        lines.iter().map(|(line, origin)| json!({ "line": line, "origin": origin.to_string() })).collect();
    let value = json!({ "interface": full_name(Owner::Vethernet(number)), "fault": fault, "lines": lines });
    Ok(Output::prose(text, value).into())
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

fn users(session: &Session, config: &RunningConfig, name: &ProfileName) -> BTreeSet<u32> {
    config.users(name, &session.asking(name))
}

/// `show port-profile brief`
pub(super) fn brief(session: &mut Session, _: &Args) -> Answer {
    let config = running(session);
    let mut grid = Grid::new([
        Column::left("profile", "Port\nProfile"),
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
        for number in users(session, &config, &name) {
            grid.row([name.as_str().into(), shown_name(Owner::Vethernet(number))]);
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
        for number in users(session, &config, &name) {
            let lines = expand::vethernet(&config, number, session.asked(number).as_ref());
            text.push_str(&format!("Vethernet{number}\n{}", page(&lines)));
            let lines: Vec<String> = lines.into_iter().map(|(line, _)| line).collect();
            interfaces.insert(full_name(Owner::Vethernet(number)), lines.into());
        }
        text.push('\n');
        values.push(json!({ "profile": name.as_str(), "interfaces": interfaces }));
    }
    Ok(Output::prose(text, values.into()).into())
}
