//! `port-profile`: what only profiles have.

use super::{CONFIG_PROFILE, Candidate, Done, Selected, broken, selected, value};
use crate::config::running::{PortProfile, ProfileName};
use niv_node::command::{Args, ByDefault, Command, Form, Refusal, Reply};

pub(super) fn commands<C: Candidate>() -> Vec<Command<C>> {
    vec![
        Command::new(CONFIG_PROFILE, "state enabled", "Apply the profile to its interfaces", state)
            .no("state [enabled]")
            .by_default(ByDefault::Own("state [enabled]")),
        Command::new(
            CONFIG_PROFILE,
            "max-ports <ports:1-16384>",
            "Interfaces that may have the profile at once",
            max_ports,
        )
        .no("max-ports [<ports:1-16384>]"),
    ]
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
