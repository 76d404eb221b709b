//! `port-profile`: what only profiles have.

use super::{CONFIG_PROFILE, Candidate, Done, Selected, broken, profile_name, selected, value};
use crate::config::running::{PortProfile, ProfileName};
use niv_node::command::{Args, ByDefault, Command, Form, Refusal, Reply};
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
    ]
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

fn max_ports<C: Candidate>(context: &mut C, args: &Args) -> Done {
    profile(context)?.max_ports = value(args, "ports");
    Ok(Reply::Done)
}
