//! `vlan`: VLANs and their names.

use super::{CONFIG_VLAN, Candidate, Done, Selected, broken, selected};
use crate::config::running::VlanName;
use niv_node::command::{Args, ByDefault, CONFIG, Command, Refusal, Reply};
use niv_node::output::Output;

pub(super) fn commands<C: Candidate>() -> Vec<Command<C>> {
    vec![
        Command::new(CONFIG, "vlan <vlans:range 1-4094>", "VLAN, or several", vlan)
            .no("vlan <vlans:range 1-4094>")
            .by_default(ByDefault::Nothing)
            .enters(CONFIG_VLAN),
        Command::new(CONFIG, "vlan dot1q tag native", "On trunks the native VLAN has a tag, too", tag_native)
            .no("vlan dot1q tag native"),
        Command::new(CONFIG_VLAN, "name <name:word>", "Name of the VLAN, for people", name)
            .no("name [<name:word>]"),
        Command::new(CONFIG_VLAN, "state active", "Accepted; every VLAN is", |_, _| Ok(Reply::Done)),
    ]
}

fn vlan<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let vlans: Vec<u16> = args.each("vlans").filter_map(|vlan| u16::try_from(vlan).ok()).collect();
    let config = context.config();
    let mut notes = Vec::new();
    for vlan in &vlans {
        let done =
            if args.negated() { config.remove_vlan(*vlan) } else { config.make_vlan(*vlan).map(|()| None) };
        notes.extend(done.map_err(|rule| args.refuse("vlans", rule.to_string()))?);
    }
    if !args.negated() {
        *context.selected() = Some(Selected::Vlans(vlans));
    }
    Ok(if notes.is_empty() { Reply::Done } else { Output::message(notes.join("\n")).into() })
}

fn tag_native<C: Candidate>(context: &mut C, args: &Args) -> Done {
    context.config().set_tag_native(!args.negated());
    Ok(Reply::Done)
}

fn name<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let Selected::Vlans(vlans) = selected(context)? else { return Err(Refusal::new("No VLAN is selected.")) };
    let name = if args.negated() {
        None
    } else {
        let most = VlanName::MAX;
        let name = VlanName::new(args.text("name")).ok_or_else(|| {
            args.refuse("name", format!("The name of a VLAN has 1 to {most} printing ASCII characters."))
        })?;
        Some(name)
    };
    if vlans.len() > 1 && name.is_some() {
        return Err(Refusal::new("A name is for one VLAN."));
    }
    for vlan in vlans {
        context.config().name_vlan(vlan, name.clone()).map_err(broken)?;
    }
    Ok(Reply::Done)
}
