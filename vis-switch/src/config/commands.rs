//! The configuration lines.
//!
//! They run against a [`Candidate`], which becomes the running configuration when every line of a text
//! was accepted.

use super::running::{
    Binding, EthernetId, PortMode, Rule, RunningConfig, Switchport, SwitchportLines, Vethernet,
};
use crate::engine::vlan::{VlanMode, VlanSet};
use niv_node::command::{Args, CONFIG, Command, Mode, Refusal, Reply};
use vntag::ListId;

/// `interface vethernet N`
pub const CONFIG_VETH: Mode = Mode("config-if-veth");
/// `interface ethernet S/P`
pub const CONFIG_ETH: Mode = Mode("config-if");

/// The interface that lines are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected {
    /// A vEth.
    Vethernet(u32),
    /// A physical port.
    Ethernet(EthernetId),
}

/// Something whose configuration can be changed by lines.
pub trait Candidate {
    /// The configuration as it is so far.
    fn config(&mut self) -> &mut RunningConfig;
    /// The interface that lines are about.
    fn selected(&mut self) -> &mut Option<Selected>;
}

type Done = Result<Reply, Refusal>;

/// The configuration commands, for the table of any context that has a candidate.
#[must_use]
pub fn commands<C: Candidate>() -> Vec<Command<C>> {
    let mut all = vec![
        Command::new(CONFIG, "interface vethernet <number:1-1048575>", "Virtual interface", vethernet)
            .no("interface vethernet <number:1-1048575>"),
        Command::new(CONFIG, "interface ethernet <port:port>", "Physical port", ethernet),
        Command::new(CONFIG_VETH, "switchport mode {access|trunk}", "Access or trunk", mode)
            .no("switchport mode [{access|trunk}]"),
        Command::new(
            CONFIG_VETH,
            "bind interface ethernet <port:port> channel <channel:1-65535>",
            "Channel of an NIV link that is this interface",
            bind,
        )
        .no("bind interface [ethernet <port:port> channel <channel:1-65535>]"),
        Command::new(CONFIG_ETH, "switchport mode {access|trunk|vntag}", "Access, trunk or NIV link", mode)
            .no("switchport mode [{access|trunk|vntag}]"),
        Command::new(
            CONFIG_ETH,
            "vif-list <list:1-16383> members <members:range 1-4094>",
            "VIFs behind a list of this NIV link",
            vif_list,
        )
        .no("vif-list <list:1-16383> [members <members:range 1-4094>]"),
    ];
    for kind in [CONFIG_VETH, CONFIG_ETH] {
        all.extend([
            Command::new(kind, "switchport access vlan <vlan:1-4094>", "VLAN in access mode", access)
                .no("switchport access vlan [<vlan:1-4094>]"),
            Command::new(
                kind,
                "switchport trunk native vlan <vlan:1-4094>",
                "VLAN of untagged frames in trunk mode",
                native,
            )
            .no("switchport trunk native vlan [<vlan:1-4094>]"),
            Command::new(
                kind,
                "switchport trunk allowed vlan {all|none|[{add|remove|except}] <vlans:range 1-4094>}",
                "VLANs that pass in trunk mode",
                allowed,
            )
            .no("switchport trunk allowed vlan [<vlans:range 1-4094>]"),
            Command::new(kind, "mtu <octets:576-9216>", "Octets of payload in a frame", mtu)
                .no("mtu [<octets:576-9216>]"),
        ]);
    }
    all
}

fn broken(rule: Rule) -> Refusal {
    Refusal::new(String::from(rule))
}

fn small(args: &Args, name: &str) -> Option<u16> {
    args.get_number(name).and_then(|number| u16::try_from(number).ok())
}

fn port(args: &Args) -> Result<EthernetId, Refusal> {
    let text = args.text("port");
    EthernetId::parse(text)
        .ok_or_else(|| args.refuse("port", format!("{text} names no port; write slot/port.")))
}

fn vethernet<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let number = u32::try_from(args.number("number")).unwrap_or(u32::MAX);
    let refuse = |rule: Rule| args.refuse("number", rule.to_string());
    if args.negated() {
        context.config().remove_vethernet(number).map_err(refuse)?;
        return Ok(Reply::Done);
    }
    context.config().make_vethernet(number).map_err(refuse)?;
    *context.selected() = Some(Selected::Vethernet(number));
    Ok(Reply::Enter(CONFIG_VETH))
}

fn ethernet<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let id = port(args)?;
    context.config().ethernet(id).map_err(|rule| args.refuse("port", rule.to_string()))?;
    *context.selected() = Some(Selected::Ethernet(id));
    Ok(Reply::Enter(CONFIG_ETH))
}

fn selected<C: Candidate>(context: &mut C) -> Result<Selected, Refusal> {
    (*context.selected()).ok_or_else(|| Refusal::new("No interface is selected."))
}

fn mode<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let trunk = if args.has("trunk") { VlanMode::Trunk } else { VlanMode::Access };
    match selected(context)? {
        Selected::Vethernet(number) => {
            let lines = &mut context.config().vethernet_mut(number).map_err(broken)?.switchport;
            lines.mode = (!args.negated()).then_some(trunk);
        }
        Selected::Ethernet(id) => {
            let vntag = args.has("vntag") && !args.negated();
            let mode = if vntag { PortMode::Vntag } else { PortMode::Plain };
            context.config().set_port_mode(id, mode).map_err(broken)?;
            if !vntag {
                let mode = if args.negated() { VlanMode::Access } else { trunk };
                context.config().ethernet_switchport(id).map_err(broken)?.mode = mode;
            }
        }
    }
    Ok(Reply::Done)
}

fn number<C: Candidate>(
    context: &mut C,
    value: Option<u16>,
    typed: fn(&mut SwitchportLines) -> &mut Option<u16>,
    in_force: fn(&mut Switchport) -> &mut u16,
) -> Done {
    match selected(context)? {
        Selected::Vethernet(number) => {
            *typed(&mut context.config().vethernet_mut(number).map_err(broken)?.switchport) = value;
        }
        Selected::Ethernet(id) => {
            let value = value.unwrap_or(*in_force(&mut Switchport::default()));
            *in_force(context.config().ethernet_switchport(id).map_err(broken)?) = value;
        }
    }
    Ok(Reply::Done)
}

fn access<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let vlan = if args.negated() { None } else { small(args, "vlan") };
    number(context, vlan, |lines| &mut lines.access, |switchport| &mut switchport.access)
}

fn native<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let vlan = if args.negated() { None } else { small(args, "vlan") };
    number(context, vlan, |lines| &mut lines.native, |switchport| &mut switchport.native)
}

fn mtu<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let octets = if args.negated() { None } else { small(args, "octets") };
    number(context, octets, |lines| &mut lines.mtu, |switchport| &mut switchport.mtu)
}

fn allowed<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let selected = selected(context)?;
    let config = context.config();
    if args.negated() {
        match selected {
            Selected::Vethernet(number) => {
                config.vethernet_mut(number).map_err(broken)?.switchport.allowed = None;
            }
            Selected::Ethernet(id) => {
                config.ethernet_switchport(id).map_err(broken)?.allowed = VlanSet::all();
            }
        }
        return Ok(Reply::Done);
    }
    let before = match selected {
        Selected::Vethernet(number) => config.effective(number, None).switchport.allowed,
        Selected::Ethernet(id) => config.ethernet(id).map_err(broken)?.switchport.allowed.clone(),
    };
    let set = vlans(args, before);
    match selected {
        Selected::Vethernet(number) => {
            config.vethernet_mut(number).map_err(broken)?.switchport.allowed = Some(Box::new(set));
        }
        Selected::Ethernet(id) => config.ethernet_switchport(id).map_err(broken)?.allowed = set,
    }
    Ok(Reply::Done)
}

/// The set that `switchport trunk allowed vlan ...` makes of the one before.
fn vlans(args: &Args, before: VlanSet) -> VlanSet {
    let given: VlanSet = args.each("vlans").filter_map(|vlan| u16::try_from(vlan).ok()).collect();
    let mut set = before;
    if args.has("all") {
        set = VlanSet::all();
    } else if args.has("none") {
        set = VlanSet::EMPTY;
    } else if args.has("add") {
        given.iter().for_each(|vlan| set.insert(vlan));
    } else if args.has("remove") {
        given.iter().for_each(|vlan| set.remove(vlan));
    } else if args.has("except") {
        set = VlanSet::all();
        given.iter().for_each(|vlan| set.remove(vlan));
    } else {
        set = given;
    }
    set
}

fn bind<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let Selected::Vethernet(number) = selected(context)? else {
        return Err(Refusal::new("Only a vEthernet is bound."));
    };
    let binding = match small(args, "channel") {
        Some(channel) => Some(Binding::Channel { port: port(args)?, channel }),
        None => None,
    };
    if args.negated() {
        let present = context.config().vethernets().get(&number).and_then(Vethernet::binding);
        if binding.is_some() && binding != present {
            return Err(args.refuse("channel", format!("Interface vethernet {number} is not bound there.")));
        }
        context.config().bind(number, None).map_err(broken)?;
        return Ok(Reply::Done);
    }
    context.config().bind(number, binding).map_err(|rule| {
        let link = port(args).ok().and_then(|port| context.config().ethernet(port).ok().cloned());
        let port_fits = link.is_some_and(|link| link.mode == PortMode::Vntag);
        args.refuse(if port_fits { "channel" } else { "port" }, rule.to_string())
    })?;
    Ok(Reply::Done)
}

fn vif_list<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let Selected::Ethernet(id) = selected(context)? else {
        return Err(Refusal::new("Only a physical port has VIF lists."));
    };
    let Some(list) = small(args, "list").and_then(ListId::new) else {
        return Err(args.refuse("list", "A list has a number from 1 to 16383."));
    };
    let members =
        (!args.negated()).then(|| args.each("members").filter_map(|vif| u16::try_from(vif).ok()).collect());
    let at = if args.negated() { "list" } else { "members" };
    context.config().set_list(id, list, members).map_err(|rule| args.refuse(at, rule.to_string()))?;
    Ok(Reply::Done)
}
