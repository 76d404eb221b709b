//! VLANs and MTU of interfaces and profiles. On a vEth and a profile, `no` takes away what was typed; on a port it
//! restores the default.

use super::{CONFIG_ETH, Candidate, Done, Selected, broken, selected, value};
use crate::config::running::{PortMode, RunningConfig, Switchport, SwitchportLines, SwitchportMode};
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

/// Changes the lines of every vEth that is selected, or of the profile.
fn each(
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
        Selected::Ethernet(_) | Selected::AccessList(_) | Selected::Vlans(_) => {
            return Err(Refusal::new("No vEthernet and no port-profile is selected."));
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
    if args.has("vntag") && !args.negated() {
        config.set_port_mode(id, PortMode::Vntag).map_err(broken)?;
    } else {
        config.set_port_mode(id, PortMode::Plain).map_err(broken)?;
        config.ethernet_switchport(id).map_err(broken)?.mode = wanted(args);
    }
    Ok(Reply::Done)
}

fn access<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let vlan = value(args, "vlan");
    let new = vlan.filter(|vlan| !context.config().has_vlan(*vlan));
    set(context, vlan, |lines| &mut lines.access, |port| &mut port.access)?;
    // In the words of IOS.
    let note = new.map(|vlan| format!("% Access VLAN does not exist. Creating vlan {vlan}"));
    Ok(note.map_or(Reply::Done, |note| Output::message(note).into()))
}

fn native<C: Candidate>(context: &mut C, args: &Args) -> Done {
    set(context, value(args, "vlan"), |lines| &mut lines.native, |port| &mut port.native)
}

fn mtu<C: Candidate>(context: &mut C, args: &Args) -> Done {
    set(context, value(args, "octets"), |lines| &mut lines.mtu, |port| &mut port.mtu)
}

/// Sets one number: what was typed on vEths and profiles, what is in force on a port.
fn set<C: Candidate>(
    context: &mut C,
    value: Option<u16>,
    typed: fn(&mut SwitchportLines) -> &mut Option<u16>,
    in_force: fn(&mut Switchport) -> &mut u16,
) -> Done {
    match selected(context)? {
        Selected::Ethernet(id) => {
            let value = value.unwrap_or(*in_force(&mut Switchport::default()));
            *in_force(context.config().ethernet_switchport(id).map_err(broken)?) = value;
        }
        selected => each(context.config(), selected, |lines| *typed(lines) = value)?,
    }
    Ok(Reply::Done)
}

fn allowed<C: Candidate>(context: &mut C, args: &Args) -> Done {
    match selected(context)? {
        Selected::Ethernet(id) => {
            let allowed = &mut context.config().ethernet_switchport(id).map_err(broken)?.allowed;
            *allowed = if args.negated() { VlanSet::all() } else { vlans(args, allowed) };
        }
        selected if args.negated() => each(context.config(), selected, |lines| lines.allowed = None)?,
        Selected::PortProfile(name) => {
            let before = context.config().profile_switchport(&name).allowed;
            let lines = &mut context.config().port_profile_mut(&name).map_err(broken)?.switchport;
            lines.allowed = Some(Box::new(vlans(args, &before)));
        }
        Selected::AccessList(_) | Selected::Vlans(_) => {
            return Err(Refusal::new("No interface is selected."));
        }
        Selected::Vethernets(numbers) => {
            for number in numbers {
                // `add` and `remove` begin with what is in force, so that they open nothing that the profile closes.
                let asked = context.asked(number);
                let before = context.config().effective(number, asked.as_ref()).switchport.allowed;
                let lines = &mut context.config().vethernet_mut(number).map_err(broken)?.switchport;
                lines.allowed = Some(Box::new(vlans(args, &before)));
            }
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
