//! Lines about the whole switch, and those that select.

use super::{
    CONFIG_ETH, CONFIG_PROFILE, CONFIG_VETH, Candidate, Done, Selected, broken, port, profile_name, value,
};
use crate::config::running::{ProfileType, Rule, RunningConfig};
use niv_node::command::{Args, ByDefault, CONFIG, Command, Form, Reply};
use niv_node::output::Output;

pub(super) fn commands<C: Candidate>() -> Vec<Command<C>> {
    vec![
        Command::new(
            CONFIG,
            "interface vethernet <numbers:range 1-1048575>",
            "Virtual interface, or several",
            vethernet,
        )
        .no("interface vethernet <numbers:range 1-1048575>")
        .by_default(ByDefault::Own("interface vethernet <numbers:range 1-1048575>"))
        .enters(CONFIG_VETH),
        Command::new(CONFIG, "interface ethernet <port:port>", "Physical port", ethernet).enters(CONFIG_ETH),
        Command::new(
            CONFIG,
            "port-profile [type {vethernet|ethernet}] <name:word>",
            "Settings for many interfaces (adapters can ask for names of up to 39 characters)",
            port_profile,
        )
        .no("port-profile [type {vethernet|ethernet}] <name:word>")
        .by_default(ByDefault::Nothing)
        .enters(CONFIG_PROFILE),
        Command::new(
            CONFIG,
            "vethernet auto-create",
            "A vNIC without a vEthernet gets a new one (default)",
            auto_create,
        )
        .no("vethernet auto-create")
        .by_default(ByDefault::Line),
        Command::new(
            CONFIG,
            "vethernet hold <seconds:1-86400>",
            "How long VIFs and learned addresses of a lost adapter are kept (default 60)",
            hold,
        )
        .no("vethernet hold [<seconds:1-86400>]"),
        Command::new(
            CONFIG,
            "carrier-delay <seconds:0-60>",
            "How long a lost link changes no carrier (default 3)",
            carrier_delay,
        )
        .no("carrier-delay [<seconds:0-60>]"),
        Command::new(CONFIG, "install feature-set virtualization", "Accepted; always installed", accepted),
        Command::new(CONFIG, "feature-set virtualization", "Accepted; always on", accepted),
        Command::new(CONFIG, "feature <name:word>", "Accepted; what there is is always on", feature)
            .no("feature <name:word>"),
        Command::new(
            CONFIG,
            "hostname <name:word>",
            "Accepted; the name is in the file of the chassis",
            hostname,
        ),
        Command::new(CONFIG, "version <text:line>", "Accepted, of a text that a Nexus wrote", accepted),
        Command::new(CONFIG, "terminal length <lines:0-511>", "Accepted; there are no pages", accepted),
        Command::new(CONFIG, "terminal width <columns:24-511>", "Accepted; lines are not cut", accepted),
    ]
}

/// What a Nexus needs to be told and this switch does not.
fn accepted<C>(_: &mut C, _: &Args) -> Done {
    Ok(Reply::Done)
}

/// What a Nexus calls a feature and this switch has.
pub const FEATURES: [&str; 5] = ["lldp", "port-security", "private-vlan", "vmfex", "vntag"];

fn feature<C>(_: &mut C, args: &Args) -> Done {
    let name = args.text("name");
    let known = FEATURES.contains(&name);
    match (known, args.negated()) {
        (true, true) => Err(args.refuse("name", format!("feature {name} is always on."))),
        (false, false) => {
            Ok(Output::message(format!("feature {name} is not in this switch; the line does nothing."))
                .into())
        }
        _ => Ok(Reply::Done),
    }
}

fn hostname<C>(_: &mut C, _: &Args) -> Done {
    Ok(Output::message("The name of this switch is in its file, [node] name; the line does nothing.").into())
}

fn vethernet<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let numbers = args.each("numbers").filter_map(|number| u32::try_from(number).ok());
    let config = context.config();
    let mut all = Vec::new();
    for number in numbers {
        match args.form() {
            Form::Plain => config.make_vethernet(number),
            Form::No => config.remove_vethernet(number),
            Form::Default => config.reset_vethernet(number),
        }
        .map_err(|rule| args.refuse("numbers", rule.to_string()))?;
        all.push(number);
    }
    if args.form() == Form::Plain {
        *context.selected() = Some(Selected::Vethernets(all));
    }
    Ok(Reply::Done)
}

fn ethernet<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let id = port(args)?;
    context.config().ethernet(id).map_err(|rule| args.refuse("port", rule.to_string()))?;
    *context.selected() = Some(Selected::Ethernet(id));
    Ok(Reply::Done)
}

fn port_profile<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let name = profile_name(args)?;
    let refuse = |rule: Rule| args.refuse("name", rule.to_string());
    let kinds = [ProfileType::Vethernet, ProfileType::Ethernet];
    let kind = kinds.into_iter().find(|kind| args.has(kind.word()));
    if args.negated() {
        let asking = context.asking(&name);
        context.config().remove_port_profile(&name, kind, &asking).map_err(refuse)?;
        return Ok(Reply::Done);
    }
    context.config().make_port_profile(&name, kind).map_err(refuse)?;
    *context.selected() = Some(Selected::PortProfile(name));
    Ok(Reply::Done)
}

fn auto_create<C: Candidate>(context: &mut C, args: &Args) -> Done {
    context.config().set_auto_create(!args.negated());
    Ok(Reply::Done)
}

fn hold<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let seconds = value(args, "seconds").unwrap_or(RunningConfig::HOLD);
    context.config().set_hold(seconds).map_err(broken)?;
    Ok(Reply::Done)
}

fn carrier_delay<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let seconds = value(args, "seconds").unwrap_or(RunningConfig::CARRIER_DELAY);
    context.config().set_carrier_delay(seconds).map_err(broken)?;
    Ok(Reply::Done)
}
