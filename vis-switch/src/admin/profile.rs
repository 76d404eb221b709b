//! `show port-profile`

use super::inherited::users;
use super::names::{full_name, short_name};
use super::{Answer, Session};
use crate::config::expand;
use crate::config::running::{PortProfile, ProfileName, RunningConfig};
use crate::config::slots::Owner;
use crate::config::text::inherited;
use niv_node::command::Args;
use niv_node::output::Output;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// `show port-profile`, all or one
pub(super) fn profiles(session: &mut Session, args: &Args) -> Answer {
    let config = Arc::clone(&session.switch.state().config);
    let wanted = args.get_text("name");
    let profiles = config.port_profiles().iter();
    let (texts, values): (Vec<String>, Vec<Value>) = profiles
        .filter(|(name, _)| wanted.is_none_or(|wanted| name.as_str() == wanted))
        .map(|(name, profile)| page(&config, name, profile, &users(session, &config, name)))
        .unzip();
    match wanted {
        Some(wanted) if texts.is_empty() => {
            Err(args.refuse("name", format!("There is no port-profile {wanted}.")))
        }
        _ => Ok(Output::prose(texts.join("\n"), values.into()).into()),
    }
}

fn page(
    config: &RunningConfig,
    name: &ProfileName,
    profile: &PortProfile,
    used: &BTreeSet<Owner>,
) -> (String, Value) {
    let status = if profile.enabled { "enabled" } else { "disabled" };
    let description = profile.description.as_ref().map(|text| text.as_str());
    let lines = inherited(profile);
    let mut text = format!("port-profile {name}\n  type: {}\n", profile.kind().word());
    text.push_str(&format!("  description: {}\n  status: {status}\n", description.unwrap_or("")));
    let most = profile.max_ports.map_or_else(|| "--".to_owned(), |most| most.to_string());
    text.push_str(&format!("  max-ports: {most}\n  inherit:\n"));
    let inherits: Vec<String> = config.inherits(name).iter().map(ProfileName::to_string).collect();
    let evaluated: Vec<String> = expand::profile(config, name).into_iter().map(|(line, _)| line).collect();
    inherits.iter().for_each(|name| text.push_str(&format!("    {name}\n")));
    text.push_str("  config attributes:\n");
    lines.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    text.push_str("  evaluated config attributes:\n");
    evaluated.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    text.push_str(&format!("  assigned interfaces: {}\n", used.len()));
    used.iter().for_each(|owner| text.push_str(&format!("    {}\n", short_name(*owner))));
    let value = json!({
        "name": name.as_str(),
        "type": profile.kind().word(),
        "description": description,
        "status": status,
        "max_ports": profile.max_ports,
        "inherits": inherits,
        "config": lines,
        "evaluated": evaluated,
        "interfaces": used.iter().map(|owner| full_name(*owner)).collect::<Vec<_>>(),
    });
    (text, value)
}
