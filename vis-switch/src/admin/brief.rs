//! Interfaces, one a line, in the layouts of NX-OS: `show interface brief`, `status`, `description`, `switchport`.

use super::names::{full_name, long_name, short_name};
use super::private_vlan;
use super::{Answer, Session};
use crate::config::running::{Description, PortMode, RunningConfig, Switchport, SwitchportMode};
use crate::config::slots::Owner;
use crate::config::text::vlans;
use crate::engine::vlan::VlanMode;
use crate::switch::{Down, State, Switch};
use core::fmt::Write as _;
use niv_node::command::{Args, Refusal};
use niv_node::output::{Cell, Column, Grid, Output, printable};
use serde_json::{Value, json};
use std::sync::Arc;

/// An interface, as these layouts see it.
pub(super) struct Interface {
    pub(super) owner: Owner,
    description: Option<String>,
    pub(super) switchport: Switchport,
    /// It is an NIV link, which carries VLANs of others.
    pub(super) niv: bool,
    shutdown: bool,
    pub(super) down: Option<Down>,
}

/// All of them: ports, then vEths.
pub(super) fn interfaces(switch: &Switch, state: &State) -> Vec<Interface> {
    let text = |text: Option<&Description>| text.map(|text| text.as_str().to_owned());
    let ports = switch.ports.iter().filter_map(|port| {
        let ethernet = state.config.ethernets().get(&port.id)?;
        let owner = Owner::Ethernet(port.id);
        let switchport = state.config.effective_ethernet(port.id).switchport;
        Some(Interface {
            owner,
            description: text(ethernet.description.as_ref()),
            niv: ethernet.mode() == PortMode::Vntag,
            shutdown: switchport.shutdown,
            switchport,
            down: switch.down(state, owner),
        })
    });
    let veths = state.control.veths().map(|veth| {
        let owner = Owner::Vethernet(veth.number);
        let typed = state.config.vethernets().get(&veth.number);
        Interface {
            owner,
            description: text(typed.and_then(|typed| typed.description.as_ref())),
            switchport: veth.switchport.clone(),
            niv: false,
            shutdown: veth.switchport.shutdown,
            down: switch.down(state, owner),
        }
    });
    ports.chain(veths).collect()
}

impl Interface {
    pub(super) fn described(&self) -> Option<&str> {
        self.description.as_deref()
    }

    fn name(&self) -> String {
        short_name(self.owner)
    }

    fn mode(&self) -> &'static str {
        if self.niv { "vntag" } else { self.switchport.mode.words() }
    }

    /// It is in a mode of private VLANs.
    pub(super) fn is_private(&self) -> bool {
        !self.niv && !matches!(self.switchport.mode, SwitchportMode::Access | SwitchportMode::Trunk)
    }

    /// Its VLAN where it has one.
    fn vlan(&self) -> Option<u16> {
        self.switchport.own_vlan().filter(|_| !self.niv)
    }

    /// Whether it carries this VLAN as its own.
    pub(super) fn carries(&self, vlan: u16) -> bool {
        match self.vlan() {
            Some(access) => access == vlan,
            None => {
                !self.niv
                    && self.switchport.mode.vlans() == VlanMode::Trunk
                    && self.switchport.allowed.contains(vlan)
            }
        }
    }

    /// The cause as one of few plain words, which is what programs that read these layouts expect.
    fn reason(&self) -> String {
        let Some(Down { word, cause }) = &self.down else { return "none".to_owned() };
        if *word != "down" {
            return (*word).to_owned();
        }
        let plain = cause.split([':', '(']).next().unwrap_or_default();
        let plain: String = plain.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
        let words: Vec<&str> = plain.split_whitespace().collect();
        if words.is_empty() { "down".to_owned() } else { words.join(" ") }
    }

    fn to_json(&self) -> Value {
        let state = self.down.as_ref().map_or("up", |down| down.word);
        let trunk = (!self.niv && self.switchport.mode.vlans() == VlanMode::Trunk).then_some(());
        json!({
            "interface": full_name(self.owner),
            "description": self.description,
            "mode": self.mode(),
            "vlan": self.vlan(),
            "native_vlan": trunk.map(|()| self.switchport.native),
            "allowed_vlans": trunk.map(|()| vlans(&self.switchport.allowed)),
            "state": state,
            "cause": self.down.as_ref().map(|down| &down.cause),
            "private_vlan": private_vlan::port(&self.switchport.private),
            "shutdown": self.shutdown,
            "mtu": self.switchport.mtu,
        })
    }
}

fn all(interfaces: &[Interface]) -> Value {
    interfaces.iter().map(Interface::to_json).collect()
}

/// All of them or the one in the line, and the configuration that they have; nobody waits while they are written down.
pub(super) fn at_rest(
    session: &Session,
    args: &Args,
) -> Result<(Arc<RunningConfig>, Vec<Interface>), Refusal> {
    let wanted = super::named(session, args)?;
    let state = session.switch.state();
    let mut interfaces = interfaces(&session.switch, &state);
    interfaces.retain(|interface| wanted.is_none_or(|wanted| wanted == interface.owner));
    Ok((Arc::clone(&state.config), interfaces))
}

/// `show interface brief`
pub(super) fn brief(session: &mut Session, args: &Args) -> Answer {
    let (_, interfaces) = at_rest(session, args)?;
    let rule = "-".repeat(80);
    let mut text = format!(
        "{rule}\n{:<16}{:<8}{:<5}{:<7}{:<8}{:<23}{:<10}Port\n{:<77}Ch #\n{rule}\n",
        "Ethernet", "VLAN", "Type", "Mode", "Status", "Reason", "Speed", "Interface"
    );
    for interface in &interfaces {
        let vlan = interface.vlan().map_or_else(|| "--".to_owned(), |vlan| vlan.to_string());
        let kind = if matches!(interface.owner, Owner::Ethernet(_)) { "eth" } else { "virt" };
        let status = if interface.down.is_none() { "up" } else { "down" };
        // A column wide.
        let mode = if interface.is_private() { "pvlan" } else { interface.mode() };
        let (name, reason) = (interface.name(), interface.reason());
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "{name:<15} {vlan:<7} {kind:<4} {mode:<6} {status:<7} {reason:<22} {:<9} --",
            "auto"
        );
    }
    Ok(Output::prose(text, all(&interfaces)).into())
}

/// `show interface status`
pub(super) fn status(session: &mut Session, args: &Args) -> Answer {
    let (_, interfaces) = at_rest(session, args)?;
    let rule = "-".repeat(80);
    let mut text = format!(
        "{rule}\n{:<14}{:<19}{:<10}{:<10}{:<8}{:<8}Type\n{rule}\n",
        "Port", "Name", "Status", "Vlan", "Duplex", "Speed"
    );
    for interface in &interfaces {
        let status = match (&interface.down, interface.shutdown) {
            (None, _) => "connected",
            (Some(_), true) => "disabled",
            // As wide as the column.
            (Some(down), false) if down.word != "down" => "errDisabl",
            (Some(_), false) => "down",
        };
        let vlan = interface.vlan().map_or_else(|| "trunk".to_owned(), |vlan| vlan.to_string());
        let described = interface.description.as_deref().unwrap_or("--");
        // A column wide, as on a Nexus.
        let described: String = printable(described).take(18).collect();
        let kind = if matches!(interface.owner, Owner::Ethernet(_)) { "--" } else { "virtual" };
        let name = interface.name();
        let _ = writeln!(
            text,
            "{name:<13} {described:<18} {status:<9} {vlan:<9} {:<7} {:<7} {kind}",
            "full", "auto"
        );
    }
    Ok(Output::prose(text, all(&interfaces)).into())
}

/// `show interface description`
pub(super) fn description(session: &mut Session, args: &Args) -> Answer {
    let columns =
        [Column::left("interface", "Interface").width(14), Column::left("description", "Description")];
    let mut grid = Grid::new(columns).ruled();
    for interface in at_rest(session, args)?.1 {
        let name = Cell::shown(interface.name(), full_name(interface.owner));
        grid.row([name, interface.description.into()]);
    }
    Ok(Output::from(grid).into())
}

/// `show interface switchport`
pub(super) fn switchport(session: &mut Session, args: &Args) -> Answer {
    let (config, interfaces) = at_rest(session, args)?;
    let text: Vec<String> = interfaces.iter().map(|interface| of_switchport(&config, interface)).collect();
    Ok(Output::prose(text.join("\n"), all(&interfaces)).into())
}

fn of_switchport(config: &RunningConfig, interface: &Interface) -> String {
    let Switchport { access, native, allowed, .. } = &interface.switchport;
    let name = long_name(interface.owner);
    format!(
        "Name: {name}\n  Switchport: Enabled\n  Switchport Monitor: Not enabled\n  Operational Mode: {}\n  \
         Access Mode VLAN: {access} ({})\n  Trunking Native Mode VLAN: {native} ({})\n  \
         Trunking VLANs Allowed: {}\n{}",
        interface.mode(),
        config.vlan_name(*access),
        config.vlan_name(*native),
        vlans(allowed),
        private_vlan::lines(&interface.switchport.private)
    )
}

/// `show vlan dot1q tag native`
pub(super) fn tag_native(session: &mut Session, _: &Args) -> Answer {
    let on = session.switch.state().config.tag_native();
    let text = format!("vlan dot1q native tag is {}\n", if on { "enabled" } else { "disabled" });
    Ok(Output::prose(text, json!({ "tag_native": on })).into())
}

/// Ports in a line of `show vlan`.
const IN_A_LINE: usize = 4;

/// Ports that one answer of `show vlan` names: thousands of trunks in thousands of VLANs are more than anybody reads.
const NAMED: usize = 1 << 16;

/// `show vlan [id N]`: who carries each VLAN.
pub(super) fn vlan(session: &mut Session, args: &Args) -> Answer {
    let (config, interfaces) = at_rest(session, args)?;
    let wanted = args.get_number("vlan");
    let mut text = format!("\n{:<5}{:<33}{:<10}Ports\n", "VLAN", "Name", "Status");
    text.push_str(&format!("{} {} {} {}\n", "-".repeat(4), "-".repeat(32), "-".repeat(9), "-".repeat(31)));
    let mut value: Vec<Value> = Vec::new();
    let mut known = config.known_vlans();
    // Those that an adapter's profile brings are there, too.
    interfaces.iter().filter_map(Interface::vlan).for_each(|vlan| known.insert(vlan));
    let mut room = NAMED;
    for vlan in known.iter().filter(|vlan| wanted.is_none_or(|wanted| wanted == u64::from(*vlan))) {
        let mut members = interfaces.iter().filter(|interface| interface.carries(vlan));
        let named: Vec<&Interface> = members.by_ref().take(room).collect();
        room -= named.len();
        let more = members.count();
        let name = config.vlan_name(vlan);
        let mut names: Vec<String> = named.iter().map(|member| member.name()).collect();
        names.extend((more > 0).then(|| format!("and {more} more (show vlan id {vlan})")));
        let mut lines = names.chunks(IN_A_LINE).map(|names| names.join(", "));
        let first = lines.next().unwrap_or_default();
        let comma = if names.len() > IN_A_LINE { "," } else { "" };
        text.push_str(format!("{vlan:<5}{name:<33}{:<10}{first}{comma}", "active").trim_end());
        text.push('\n');
        for (place, line) in (2..).zip(lines) {
            let comma = if names.len() > IN_A_LINE * place { "," } else { "" };
            text.push_str(&format!("{:48}{line}{comma}\n", ""));
        }
        let ports: Vec<String> = named.iter().map(|member| full_name(member.owner)).collect();
        value.push(
            json!({ "vlan": vlan, "name": name, "status": "active", "ports": ports, "more_ports": more }),
        );
    }
    if let Some(wanted) = wanted.filter(|_| value.is_empty()) {
        return Err(args.refuse("vlan", format!("There is no VLAN {wanted}.")));
    }
    Ok(Output::prose(text, value.into()).into())
}
