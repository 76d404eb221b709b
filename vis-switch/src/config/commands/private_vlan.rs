//! `private-vlan`: what VLANs are, and what interfaces are in them.

use super::switchport::each_in_force;
use super::{CONFIG_VLAN, Candidate, Done, Selected, broken, number, selected};
use crate::config::running::{Mapping, PrivateLines, PrivatePort, PrivateVlan};
use niv_node::command::{Args, Command, Mode, Refusal, Reply};
use std::collections::{BTreeMap, BTreeSet};

/// Of `vlan N`.
pub(super) fn of_vlan<C: Candidate>() -> Vec<Command<C>> {
    vec![
        Command::new(
            CONFIG_VLAN,
            "private-vlan {primary|isolated|community}",
            "What the VLAN is among private ones",
            kind,
        )
        .no("private-vlan [{primary|isolated|community}]"),
        Command::new(
            CONFIG_VLAN,
            "private-vlan association [{add|remove}] <vlans:range 2-4094>",
            "Secondary VLANs of a primary one",
            association,
        )
        .no("private-vlan association [<vlans:range 2-4094>]"),
    ]
}

/// Of interfaces and profiles.
pub(super) fn of_port<C: Candidate>(of: Mode) -> Vec<Command<C>> {
    vec![
        Command::new(
            of,
            "switchport private-vlan host-association <primary:2-4094> <secondary:2-4094>",
            "Primary and secondary VLAN of a host",
            host,
        )
        .no("switchport private-vlan host-association [<primary:2-4094> <secondary:2-4094>]"),
        Command::new(
            of,
            "switchport private-vlan mapping <primary:2-4094> [{add|remove}] <vlans:range 2-4094>",
            "Primary VLAN of a promiscuous interface, and secondary VLANs that reach it",
            mapping,
        )
        .no("switchport private-vlan mapping [<primary:2-4094> [<vlans:range 2-4094>]]"),
        Command::new(
            of,
            "switchport private-vlan mapping trunk <primary:2-4094> [{add|remove}] <vlans:range 2-4094>",
            "The same of a promiscuous trunk, for each primary VLAN",
            trunk,
        )
        .no("switchport private-vlan mapping trunk [<primary:2-4094> [<vlans:range 2-4094>]]"),
    ]
}

fn kind<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let Selected::Vlans(vlans) = selected(context)? else { return Err(Refusal::new("No VLAN is selected.")) };
    let kind = if args.negated() {
        None
    } else if args.has("primary") {
        Some(PrivateVlan::Primary(BTreeSet::new()))
    } else if args.has("isolated") {
        Some(PrivateVlan::Isolated)
    } else {
        Some(PrivateVlan::Community)
    };
    for vlan in vlans {
        context.config().set_private_vlan(vlan, kind.clone()).map_err(broken)?;
    }
    Ok(Reply::Done)
}

/// The VLANs that the line names, added to or taken from those before.
fn listed(args: &Args, before: impl FnOnce() -> BTreeSet<u16>) -> BTreeSet<u16> {
    let vlans: BTreeSet<u16> = args.each("vlans").filter_map(|vlan| u16::try_from(vlan).ok()).collect();
    if args.has("add") {
        &before() | &vlans
    } else if args.has("remove") {
        &before() - &vlans
    } else {
        vlans
    }
}

fn association<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let Selected::Vlans(vlans) = selected(context)? else { return Err(Refusal::new("No VLAN is selected.")) };
    let config = context.config();
    for vlan in vlans {
        let before = match config.private_vlans().get(&vlan) {
            Some(PrivateVlan::Primary(with)) => with.clone(),
            // There is nothing to take back.
            _ if args.negated() => continue,
            _ => BTreeSet::new(),
        };
        let with = if args.negated() { BTreeSet::new() } else { listed(args, || before) };
        config.associate(vlan, with).map_err(|rule| {
            if args.negated() { broken(rule) } else { args.refuse("vlans", rule.to_string()) }
        })?;
    }
    Ok(Reply::Done)
}

/// Changes what is typed for private VLANs on everything that is selected; `change` also gets what is in force there.
fn each<C: Candidate>(
    context: &mut C,
    mut change: impl FnMut(&mut PrivateLines, &PrivatePort) -> Result<(), Refusal>,
) -> Done {
    each_in_force(context, |lines, before| change(&mut lines.private, &before.private))
}

fn host<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let (primary, secondary) = (number(args, "primary"), number(args, "secondary"));
    if !args.negated() && primary == secondary {
        return Err(args.refuse("secondary", "The secondary VLAN is another one than its primary."));
    }
    let host = primary.zip(secondary).filter(|_| !args.negated());
    each(context, |lines, _| {
        lines.host = host;
        Ok(())
    })
}

/// The secondary VLANs of a mapping line; not none, which no line could say.
fn secondaries(
    args: &Args,
    primary: u16,
    before: impl FnOnce() -> BTreeSet<u16>,
) -> Result<BTreeSet<u16>, Refusal> {
    let secondaries = listed(args, before);
    if secondaries.contains(&primary) {
        return Err(args.refuse("vlans", format!("VLAN {primary} cannot be mapped to itself.")));
    }
    if secondaries.is_empty() {
        let message =
            "Nothing would be left of the mapping; \"no switchport private-vlan mapping\" takes it away.";
        return Err(args.refuse("vlans", message));
    }
    Ok(secondaries)
}

fn mapping<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let primary = number(args, "primary").filter(|_| !args.negated());
    each(context, |lines, before| {
        let Some(primary) = primary else {
            lines.mapping = None;
            return Ok(());
        };
        let before = || {
            let same = before.mapping.as_ref().filter(|mapping| mapping.primary == primary);
            same.map(|mapping| mapping.secondaries.clone()).unwrap_or_default()
        };
        let secondaries = secondaries(args, primary, before)?;
        lines.mapping = Some(Box::new(Mapping { primary, secondaries }));
        Ok(())
    })
}

fn trunk<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let primary: Option<u16> = number(args, "primary");
    each(context, |lines, before| {
        // The first line that is typed here takes the place of all inherited ones, unless it says that it changes them.
        let changes = args.has("add") || args.has("remove");
        let mut trunk: BTreeMap<u16, BTreeSet<u16>> = match &lines.trunk {
            Some(typed) => BTreeMap::clone(typed),
            None if changes => before.trunk.clone(),
            None => BTreeMap::new(),
        };
        match (primary, args.negated()) {
            (None, _) => trunk.clear(),
            (Some(primary), true) => {
                trunk.remove(&primary);
            }
            (Some(primary), false) => {
                let before = || trunk.get(&primary).cloned().unwrap_or_default();
                let secondaries = secondaries(args, primary, before)?;
                trunk.insert(primary, secondaries);
            }
        }
        lines.trunk = (!trunk.is_empty()).then(|| Box::new(trunk));
        Ok(())
    })
}
