//! `switchport port-security`, and what brings an interface back that a violation took down.

use super::{CONFIG_PROFILE, Candidate, Done, Selected, broken, number, owners, selected, switchport, value};
use crate::config::running::{PortMode, RunningConfig, SecurityLines};
use crate::engine::secure::{Aging, Violation};
use niv_node::command::{Args, CONFIG, Command, Mode, Refusal, Reply};
use niv_node::output::Output;
use vntag::ethernet::Mac;

/// Of the whole switch.
pub(super) fn of_switch<C: Candidate>() -> Vec<Command<C>> {
    vec![
        Command::new(
            CONFIG,
            "errdisable recovery cause {psecure-violation|all}",
            "Interfaces that a violation took down come up again by themselves",
            recovery,
        )
        .no("errdisable recovery cause {psecure-violation|all}"),
        Command::new(
            CONFIG,
            "errdisable recovery interval <seconds:30-65535>",
            "How long that takes (default 300)",
            interval,
        )
        .no("errdisable recovery interval [<seconds:30-65535>]"),
    ]
}

/// Of interfaces and profiles.
pub(super) fn of_port<C: Candidate>(of: Mode) -> Vec<Command<C>> {
    let mut all = vec![
        Command::new(of, "switchport port-security", "Only so many addresses may be sources", enabled)
            .no("switchport port-security"),
        Command::new(
            of,
            "switchport port-security maximum <addresses:1-1025>",
            "How many addresses (default 1)",
            maximum,
        )
        .no("switchport port-security maximum [<addresses:1-1025>]"),
        Command::new(
            of,
            "switchport port-security violation {shutdown|restrict|protect}",
            "What happens when there are more",
            violation,
        )
        .no("switchport port-security violation [{shutdown|restrict|protect}]"),
        Command::new(
            of,
            "switchport port-security aging time <minutes:1-1440>",
            "When an address that was seen makes room for others",
            aging_time,
        )
        .no("switchport port-security aging time [<minutes:1-1440>]"),
        Command::new(
            of,
            "switchport port-security aging type {absolute|inactivity}",
            "Since it was secured, or since it was last seen",
            aging_type,
        )
        .no("switchport port-security aging type [{absolute|inactivity}]"),
        Command::new(
            of,
            "switchport port-security mac-address sticky",
            "What is seen becomes a line of the configuration",
            sticky,
        )
        .no("switchport port-security mac-address sticky"),
    ];
    if of != CONFIG_PROFILE {
        all.push(
            Command::new(
                of,
                "switchport port-security mac-address [sticky] <mac:mac> [vlan <vlan:1-4094>]",
                "An address that may be a source",
                address,
            )
            .no("switchport port-security mac-address [sticky] <mac:mac> [vlan <vlan:1-4094>]"),
        );
    }
    all
}

fn recovery<C: Candidate>(context: &mut C, args: &Args) -> Done {
    context.config().set_errdisable_recovery(!args.negated());
    Ok(Reply::Done)
}

fn interval<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let seconds = value(args, "seconds").unwrap_or(RunningConfig::ERRDISABLE_INTERVAL);
    context.config().set_errdisable_interval(seconds).map_err(broken)?;
    Ok(Reply::Done)
}

/// Changes the lines of all that is selected.
fn each<C: Candidate>(context: &mut C, mut change: impl FnMut(&mut SecurityLines)) -> Done {
    let selected = selected(context)?;
    switchport::each(context.config(), selected, |lines| {
        let mut security = lines.security.as_deref().cloned().unwrap_or_default();
        change(&mut security);
        lines.security = (security != SecurityLines::default()).then(|| Box::new(security));
    })?;
    Ok(Reply::Done)
}

fn enabled<C: Candidate>(context: &mut C, args: &Args) -> Done {
    each(context, |lines| lines.enabled = !args.negated())?;
    let Selected::Ethernet(id) = selected(context)? else { return Ok(Reply::Done) };
    let niv = context.config().ethernet(id).is_ok_and(|port| port.mode() == PortMode::Vntag);
    Ok(if niv && !args.negated() {
        let note = format!(
            "ethernet {id} is in vntag mode: port security is for its virtual interfaces, and does nothing here."
        );
        Output::message(note).into()
    } else {
        Reply::Done
    })
}

fn maximum<C: Candidate>(context: &mut C, args: &Args) -> Done {
    each(context, |lines| lines.maximum = value(args, "addresses"))
}

fn violation<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let violation = if args.has("restrict") {
        Violation::Restrict
    } else if args.has("protect") {
        Violation::Protect
    } else {
        Violation::Shutdown
    };
    each(context, |lines| lines.violation = (!args.negated()).then_some(violation))
}

fn aging_time<C: Candidate>(context: &mut C, args: &Args) -> Done {
    each(context, |lines| lines.aging_minutes = value(args, "minutes"))
}

fn aging_type<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let aging = if args.has("inactivity") { Aging::Inactivity } else { Aging::Absolute };
    each(context, |lines| lines.aging = (!args.negated()).then_some(aging))
}

fn sticky<C: Candidate>(context: &mut C, args: &Args) -> Done {
    each(context, |lines| lines.sticky = !args.negated())
}

fn address<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let Some(mac) = args.get_mac("mac").map(Mac) else {
        return Err(Refusal::new("An address is wanted."));
    };
    let owners = owners(context)?;
    if owners.len() > 1 && !args.negated() {
        return Err(args.refuse("mac", "A secure address is for one interface."));
    }
    let vlan = number(args, "vlan");
    let config = context.config();
    for owner in owners {
        if args.negated() {
            config.unsecure(owner, mac, vlan)
        } else {
            config.secure(owner, mac, vlan, args.has("sticky"))
        }
        .map_err(|rule| args.refuse("mac", rule.to_string()))?;
    }
    // What is left of the lines may be nothing.
    each(context, |_| ())
}
