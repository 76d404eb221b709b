//! VLANs and MTU of interfaces and profiles. `no` takes away what was typed.

use super::{CONFIG_ETH, Candidate, Done, Selected, broken, selected, value};
use crate::config::running::{
    EthernetId, PortMode, RunningConfig, Switchport, SwitchportLines, SwitchportMode,
};
use crate::engine::vlan::VlanSet;
use niv_node::command::{Args, Command, Mode, Refusal, Reply};
use niv_node::output::Output;

pub(super) fn commands<C: Candidate>(of: Mode) -> Vec<Command<C>> {
    const ETHERNET: &str =
        "switchport mode {access|trunk|vntag|private-vlan {host|promiscuous|trunk promiscuous}}";
    const VIRTUAL: &str = "switchport mode {access|trunk|private-vlan {host|promiscuous|trunk promiscuous}}";
    let mode = if of == CONFIG_ETH {
        Command::new(of, ETHERNET, "Access, trunk, a role in private VLANs, or NIV link", port_mode)
            .no("switchport mode [{access|trunk|vntag|private-vlan {host|promiscuous|trunk promiscuous}}]")
    } else {
        Command::new(of, VIRTUAL, "Access, trunk, or a role in private VLANs", mode)
            .no("switchport mode [{access|trunk|private-vlan {host|promiscuous|trunk promiscuous}}]")
    };
    vec![
        Command::new(of, "switchport", "Accepted; every interface is one", |_, _| Ok(Reply::Done)),
        mode,
        Command::new(of, "switchport access vlan <vlan:1-4094>", "VLAN in access mode", access)
            .no("switchport access vlan [<vlan:1-4094>]"),
        Command::new(
            of,
            "switchport trunk native vlan <vlan:1-4094>",
            "VLAN of untagged frames in trunk mode",
            native,
        )
        .no("switchport trunk native vlan [<vlan:1-4094>]"),
        Command::new(
            of,
            "switchport trunk allowed vlan {all|none|[{add|remove|except}] <vlans:range 1-4094>}",
            "VLANs that pass in trunk mode",
            allowed,
        )
        .no("switchport trunk allowed vlan [<vlans:range 1-4094>]"),
        Command::new(of, "mtu <octets:576-9216>", "Octets of payload in a frame", mtu)
            .no("mtu [<octets:576-9216>]"),
    ]
}

/// Changes the lines of every interface that is selected, or of the profile.
pub(super) fn each(
    config: &mut RunningConfig,
    selected: Selected,
    mut change: impl FnMut(&mut SwitchportLines),
) -> Result<(), Refusal> {
    match selected {
        Selected::Vethernets(numbers) => {
            for number in numbers {
                change(&mut config.vethernet_mut(number).map_err(broken)?.switchport);
            }
        }
        Selected::PortProfile(name) => {
            change(&mut config.port_profile_mut(&name).map_err(broken)?.switchport);
        }
        Selected::Ethernet(id) => change(config.ethernet_switchport(id).map_err(broken)?),
        Selected::AccessList(_) | Selected::Vlans(_) => {
            return Err(Refusal::new("No interface and no port-profile is selected."));
        }
    }
    Ok(())
}

fn wanted(args: &Args) -> SwitchportMode {
    let words = ["private-vlan", "host", "trunk"].map(|word| args.has(word) && !args.negated());
    match words {
        [true, true, _] => SwitchportMode::PrivateHost,
        [true, _, true] => SwitchportMode::PromiscuousTrunk,
        [true, ..] => SwitchportMode::Promiscuous,
        [_, _, true] => SwitchportMode::Trunk,
        _ => SwitchportMode::Access,
    }
}

fn mode<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let selected = selected(context)?;
    let mode = (!args.negated()).then(|| wanted(args));
    each(context.config(), selected, |lines| lines.mode = mode)?;
    Ok(Reply::Done)
}

fn port_mode<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let Selected::Ethernet(id) = selected(context)? else {
        return Err(Refusal::new("No physical port is selected."));
    };
    let config = context.config();
    let was = config.ethernet(id).map_err(broken)?.mode();
    let done = if args.negated() {
        config.reset_port_mode(id)
    } else {
        config.set_port_mode(id, (!args.has("vntag")).then(|| wanted(args)))
    };
    done.map_err(broken)?;
    let is = config.ethernet(id).map_err(broken)?.mode();
    Ok(lets_go(id, was, is).map_or(Reply::Done, |note| Output::message(note).into()))
}

/// What is to be said of a port that is no NIV link any more, or now is one.
fn lets_go(id: EthernetId, was: PortMode, is: PortMode) -> Option<String> {
    match (was, is) {
        (PortMode::Vntag, PortMode::Plain) => Some(format!(
            "Warning: ethernet {id} is no NIV link any more; its adapter is let go, and the interfaces behind it go down."
        )),
        (PortMode::Plain, PortMode::Vntag) => {
            Some(format!("Warning: ethernet {id} is an NIV link now; only an adapter gets anything through."))
        }
        _ => None,
    }
}

fn access<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let vlan = value(args, "vlan");
    let new = vlan.filter(|vlan| !context.config().has_vlan(*vlan));
    set(context, vlan, |lines| &mut lines.access)?;
    // In the words of IOS.
    let note = new.map(|vlan| format!("% Access VLAN does not exist. Creating vlan {vlan}"));
    Ok(note.map_or(Reply::Done, |note| Output::message(note).into()))
}

fn native<C: Candidate>(context: &mut C, args: &Args) -> Done {
    set(context, value(args, "vlan"), |lines| &mut lines.native)
}

fn mtu<C: Candidate>(context: &mut C, args: &Args) -> Done {
    set(context, value(args, "octets"), |lines| &mut lines.mtu)
}

/// Sets one number, or takes it away.
fn set<C: Candidate>(
    context: &mut C,
    value: Option<u16>,
    typed: fn(&mut SwitchportLines) -> &mut Option<u16>,
) -> Done {
    let selected = selected(context)?;
    each(context.config(), selected, |lines| *typed(lines) = value)?;
    Ok(Reply::Done)
}

fn allowed<C: Candidate>(context: &mut C, args: &Args) -> Done {
    // `add` and `remove` begin with what is in force, so that they open nothing that the profile closes.
    each_in_force(context, |lines, before| {
        // What is typed is all of it, also while no more than the system VLANs of a profile pass.
        let before = lines.allowed.as_deref().unwrap_or(&before.allowed);
        lines.allowed = (!args.negated()).then(|| Box::new(vlans(args, before)));
        Ok(())
    })
}

/// Changes the lines of everything that is selected; `change` also gets what is in force there.
pub(super) fn each_in_force<C: Candidate>(
    context: &mut C,
    mut change: impl FnMut(&mut SwitchportLines, &Switchport) -> Result<(), Refusal>,
) -> Done {
    match selected(context)? {
        Selected::Ethernet(id) => {
            let before = context.config().effective_ethernet(id).switchport;
            change(context.config().ethernet_switchport(id).map_err(broken)?, &before)?;
        }
        Selected::PortProfile(name) => {
            let before = context.config().profile_switchport(&name);
            change(&mut context.config().port_profile_mut(&name).map_err(broken)?.switchport, &before)?;
        }
        Selected::Vethernets(numbers) => {
            for number in numbers {
                let asked = context.asked(number);
                let before = context.config().effective(number, asked.as_ref()).switchport;
                let vethernet = context.config().vethernet_mut(number).map_err(broken)?;
                change(&mut vethernet.switchport, &before)?;
            }
        }
        Selected::AccessList(_) | Selected::Vlans(_) => {
            return Err(Refusal::new("No interface is selected."));
        }
    }
    Ok(Reply::Done)
}

/// The set that `switchport trunk allowed vlan ...` makes of the one before.
fn vlans(args: &Args, before: &VlanSet) -> VlanSet {
    let mut set = if args.has("add") || args.has("remove") {
        before.clone()
    } else if args.has("all") || args.has("except") {
        VlanSet::all()
    } else {
        VlanSet::EMPTY
    };
    let take = args.has("remove") || args.has("except");
    for vlan in args.each("vlans").filter_map(|vlan| u16::try_from(vlan).ok()) {
        if take { set.remove(vlan) } else { set.insert(vlan) }
    }
    set
}
