//! `interface ethernet`: what only physical ports have.

use super::{CONFIG_ETH, Candidate, Done, Selected, number, selected};
use niv_node::command::{Args, Command, Refusal, Reply};
use vntag::ListId;

pub(super) fn commands<C: Candidate>() -> Vec<Command<C>> {
    vec![
        Command::new(
            CONFIG_ETH,
            "vif-list <list:1-16383> members <members:range 1-4094>",
            "VIFs behind a list of an NIV link that does not negotiate",
            vif_list,
        )
        .no("vif-list <list:1-16383> [members <members:range 1-4094>]"),
    ]
}

fn vif_list<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let Selected::Ethernet(id) = selected(context)? else {
        return Err(Refusal::new("Only a physical port has VIF lists."));
    };
    let Some(list) = number(args, "list").and_then(ListId::new) else {
        return Err(args.refuse("list", "A list has a number from 1 to 16383."));
    };
    let members =
        (!args.negated()).then(|| args.each("members").filter_map(|vif| u16::try_from(vif).ok()).collect());
    let at = if args.negated() { "list" } else { "members" };
    context.config().set_list(id, list, members).map_err(|rule| args.refuse(at, rule.to_string()))?;
    Ok(Reply::Done)
}
