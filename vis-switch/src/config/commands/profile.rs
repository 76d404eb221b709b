//! `port-profile`: what only profiles have, and who inherits from them.

use super::switchport::each_in_force;
use super::{CONFIG_PROFILE, Candidate, Done, Selected, broken, owners, profile_name, selected, value};
use crate::config::running::{Owner, PortProfile, ProfileName, ProfileType, RunningConfig};
use crate::config::text::spans;
use crate::engine::vlan::VlanSet;
use niv_node::command::{Args, ByDefault, Command, Form, Mode, Refusal, Reply};
use niv_node::output::Output;

pub(super) fn commands<C: Candidate>() -> Vec<Command<C>> {
    vec![
        Command::new(CONFIG_PROFILE, "state enabled", "Apply the profile to its interfaces", state)
            .no("state [enabled]")
            .by_default(ByDefault::Own("state [enabled]")),
        Command::new(
            CONFIG_PROFILE,
            "inherit port-profile <name:word>",
            "Take settings from another profile",
            inherit,
        )
        .no("inherit port-profile [<name:word>]"),
        Command::new(
            CONFIG_PROFILE,
            "max-ports <ports:1-16384>",
            "Interfaces that may have the profile at once",
            max_ports,
        )
        .no("max-ports [<ports:1-16384>]"),
        Command::new(
            CONFIG_PROFILE,
            "system vlan [{add|remove}] <vlans:range 1-4094>",
            "VLANs that pass although the profile is not enabled",
            system,
        )
        .no("system vlan [<vlans:range 1-4094>]"),
    ]
}

/// Of interfaces.
pub(super) fn on_interfaces<C: Candidate>(of: Mode) -> Command<C> {
    Command::new(of, "inherit port-profile <name:word>", "Take settings from a profile", onto_interface)
        .no("inherit port-profile [<name:word>]")
}

fn onto_interface<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let name = if args.get("name").is_some() { Some(profile_name(args)?) } else { None };
    let owners = owners(context)?;
    let config = context.config();
    for owner in owners {
        if args.negated() && name.is_some() && typed_on(config, owner) != name.as_ref() {
            return Err(args.refuse("name", format!("Interface {owner} does not inherit from that.")));
        }
        let profile = name.clone().filter(|_| !args.negated());
        config.set_profile(owner, profile).map_err(|rule| match &name {
            Some(_) => args.refuse("name", rule.to_string()),
            None => broken(rule),
        })?;
    }
    let note = name.filter(|_| !args.negated()).and_then(|name| unusable(config, &name));
    Ok(note.map_or(Reply::Done, |note| Output::message(note).into()))
}

fn typed_on(config: &RunningConfig, owner: Owner) -> Option<&ProfileName> {
    match owner {
        Owner::Vethernet(number) => config.vethernets().get(&number)?.profile(),
        Owner::Ethernet(id) => config.ethernets().get(&id)?.profile(),
    }
}

/// What is to be said of a profile that cannot be applied now.
fn unusable(config: &RunningConfig, name: &ProfileName) -> Option<String> {
    match config.port_profiles().get(name) {
        None => Some(format!(
            "Warning: port-profile {name} does not exist; its interfaces stay down until it does."
        )),
        Some(profile) if !profile.enabled => Some(format!(
            "port-profile {name} is disabled; its interfaces stay down until \"state enabled\"."
        )),
        Some(_) => None,
    }
}

fn inherit<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let Selected::PortProfile(name) = selected(context)? else {
        return Err(Refusal::new("No port-profile is selected."));
    };
    let from = if args.get("name").is_some() { Some(profile_name(args)?) } else { None };
    let config = context.config();
    match (&from, args.negated()) {
        (Some(from), false) => config.inherit(&name, from),
        _ => config.disinherit(&name, from.as_ref()),
    }
    .map_err(|rule| args.refuse("name", rule.to_string()))?;
    let missing = from.filter(|from| !args.negated() && !config.port_profiles().contains_key(from));
    let note = missing.map(|from| {
        format!(
            "Warning: port-profile {from} does not exist; interfaces with {name} stay down until it does."
        )
    });
    Ok(note.map_or(Reply::Done, |note| Output::message(note).into()))
}

fn profile<C: Candidate>(context: &mut C) -> Result<&mut PortProfile, Refusal> {
    let Selected::PortProfile(name) = selected(context)? else {
        return Err(Refusal::new("No port-profile is selected."));
    };
    context.config().port_profile_mut(&name).map_err(broken)
}

fn state<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let built_in = *context.selected() == Some(Selected::PortProfile(ProfileName::default()));
    profile(context)?.enabled = match args.form() {
        Form::Plain => true,
        Form::No => false,
        Form::Default => built_in,
    };
    Ok(Reply::Done)
}

fn system<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let named: VlanSet = args.each("vlans").filter_map(|vlan| u16::try_from(vlan).ok()).collect();
    let mut before = VlanSet::EMPTY;
    each_in_force(context, |lines, in_force| {
        before = in_force.system.clone();
        let mut system = if args.negated() || args.has("add") || args.has("remove") {
            before.clone()
        } else {
            VlanSet::EMPTY
        };
        let take = args.has("remove") || args.negated();
        named.iter().for_each(|vlan| if take { system.remove(vlan) } else { system.insert(vlan) });
        let all = args.negated() && named.is_empty();
        lines.system = (!all && !system.is_empty()).then(|| Box::new(system));
        Ok(())
    })?;
    let Selected::PortProfile(name) = selected(context)? else { return Ok(Reply::Done) };
    let in_force = context.config().profile_switchport(&name);
    let carries =
        |vlan: &u16| in_force.own_vlan().map_or(in_force.allowed.contains(*vlan), |own| own == *vlan);
    let not_carried: Vec<u16> = in_force.system.iter().filter(|vlan| !carries(vlan)).collect();
    Ok(if not_carried.is_empty() || args.negated() {
        Reply::Done
    } else {
        let vlans = spans(not_carried);
        let note = format!(
            "Warning: port-profile {name} does not carry VLAN {vlans}; as a system VLAN it does not pass either."
        );
        Output::message(note).into()
    })
}

fn max_ports<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let profile = profile(context)?;
    if profile.kind() == ProfileType::Ethernet && !args.negated() {
        return Err(Refusal::new("max-ports is for port-profiles of type vethernet."));
    }
    profile.max_ports = value(args, "ports");
    Ok(Reply::Done)
}
