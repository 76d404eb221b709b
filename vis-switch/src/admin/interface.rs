//! `show interface ...` and `show vif-list`.

use super::{Answer, Session};
use crate::config::running::{Binding, Ethernet, EthernetId, PortMode, Switchport};
use crate::config::slots::Owner;
use crate::config::text;
use crate::engine::vlan::VlanMode;
use crate::switch::{State, Switch, SwitchPort, Traffic};
use link::PortCounter;
use niv_node::command::Args;
use niv_node::output::{Cell, Column, Grid, Output};
use serde_json::{Value, json};

/// `Veth1` for people, `vethernet1` for programs; ports alike.
pub(super) fn name(owner: Owner) -> Cell {
    match owner {
        Owner::Vethernet(number) => Cell::shown(format!("Veth{number}"), full_name(owner)),
        Owner::Ethernet(id) => Cell::shown(format!("Eth{id}"), full_name(owner)),
    }
}

/// `vethernet1`, `ethernet1/1`
pub(super) fn full_name(owner: Owner) -> String {
    match owner {
        Owner::Vethernet(number) => format!("vethernet{number}"),
        Owner::Ethernet(id) => format!("ethernet{id}"),
    }
}

fn port_mode(ethernet: &Ethernet) -> &'static str {
    match ethernet.mode {
        PortMode::Vntag => "vntag",
        PortMode::Plain => text::mode(ethernet.switchport.mode),
    }
}

/// `show interface virtual`
pub(super) fn virt(session: &mut Session, _: &Args) -> Answer {
    let switch = &session.switch;
    let state = switch.state();
    let columns = [
        Column::left("interface", "Veth\nInterface"),
        Column::left("bound", "Bound\nInterface"),
        Column::right("channel", "Channel"),
        Column::right("vlan", "Vlan"),
        Column::left("mode", "Mode"),
        Column::left("state", "Status"),
        Column::left("cause", "Reason"),
    ];
    let mut grid = Grid::new(columns).ruled();
    for (number, vethernet) in state.config.vethernets() {
        let owner = Owner::Vethernet(*number);
        let switchport = state.config.effective(*number, None).switchport;
        let bound = vethernet.binding().and_then(Binding::static_vif);
        let vlan = match switchport.mode {
            VlanMode::Access => Cell::from(switchport.access),
            VlanMode::Trunk => Cell::shown("trunk", text::vlans(&switchport.allowed)),
        };
        let down = switch.down(&state, owner);
        grid.row([
            name(owner),
            bound.map_or(Cell::Absent, |(port, _)| name(Owner::Ethernet(port))),
            bound.map(|(_, channel)| channel.get()).into(),
            vlan,
            text::mode(switchport.mode).into(),
            if down.is_some() { "down" } else { "up" }.into(),
            down.into(),
        ]);
    }
    let total = format!("Total {} Veth interfaces", grid.len());
    Ok(Output::from(grid.after(&total)).into())
}

/// `show interface vethernet N`
pub(super) fn vethernet(session: &mut Session, args: &Args) -> Answer {
    let switch = &session.switch;
    let mut state = switch.state();
    let number = u32::try_from(args.number("number")).unwrap_or(u32::MAX);
    let owner = Owner::Vethernet(number);
    let traffic = switch.traffic(&mut state, owner);
    let Some(vethernet) = state.config.vethernets().get(&number) else {
        return Err(args.refuse("number", format!("There is no interface vethernet {number}.")));
    };
    let mut page = Page::new(owner, &format!("Vethernet{number}"), switch.down(&state, owner));
    match vethernet.binding().and_then(Binding::static_vif) {
        Some((port, channel)) => {
            page.line(&format!("Bound interface is Ethernet{port}, channel {}", channel.get()));
            page.set("bound", full_name(Owner::Ethernet(port)));
            page.set("channel", channel.get());
        }
        None => page.line("Not bound to any interface"),
    }
    let switchport = state.config.effective(number, None).switchport;
    page.switchport(&switchport, text::mode(switchport.mode), true);
    page.traffic(&traffic);
    Ok(page.output().into())
}

/// `show interface ethernet`, of all ports or of one
pub(super) fn ethernet(session: &mut Session, args: &Args) -> Answer {
    let switch = &session.switch;
    let state = switch.state();
    if args.get("port").is_none() {
        let pages: Vec<Page> =
            (0..).zip(&switch.ports).map(|(index, port)| port_page(switch, &state, index, port)).collect();
        let text = pages.iter().map(|page| page.text.as_str()).collect::<Vec<_>>().join("\n");
        return Ok(Output::prose(text, pages.into_iter().map(|page| page.value).collect()).into());
    }
    let id = EthernetId::parse(args.text("port"));
    let Some((index, port)) = id.and_then(|id| switch.port(id)) else {
        return Err(args.refuse("port", format!("There is no port ethernet {}.", args.text("port"))));
    };
    Ok(port_page(switch, &state, index, port).output().into())
}

fn port_page(switch: &Switch, state: &State, index: usize, port: &SwitchPort) -> Page {
    let owner = Owner::Ethernet(port.id);
    let mut page = Page::new(owner, &format!("Ethernet{}", port.id), switch.down(state, owner));
    page.line(&format!("Device is {}", port.device));
    page.set("device", port.device.as_str());
    if let Some(ethernet) = state.config.ethernets().get(&port.id) {
        page.switchport(&ethernet.switchport, port_mode(ethernet), ethernet.mode == PortMode::Plain);
    }
    if let Some(counted) = switch.counters.ports.get(index) {
        page.traffic(&Traffic {
            rx: counted.rx.get(),
            rx_dropped: counted.rx_dropped.get(),
            tx: counted.tx.get(),
            tx_dropped: counted.tx_dropped.get(),
        });
    }
    page.device(&port.monitor.counters());
    page
}

/// An interface in detail, as text and as JSON.
struct Page {
    text: String,
    value: Value,
}

impl Page {
    fn new(owner: Owner, title: &str, down: Option<String>) -> Self {
        let (word, cause) = if down.is_some() { ("down", down) } else { ("up", None) };
        let because = cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
        // A cause may quote what a peer sent.
        let clean = |c: char| if c.is_control() { '?' } else { c };
        let text = format!("{title} is {word}{because}").chars().map(clean).collect::<String>() + "\n";
        Self { text, value: json!({ "interface": full_name(owner), "state": word, "cause": cause }) }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(&format!("  {line}\n"));
    }

    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.value[key] = value.into();
    }

    fn switchport(&mut self, switchport: &Switchport, mode: &str, vlans: bool) {
        let mut line = format!("Port mode is {mode}");
        self.set("mode", mode);
        if vlans && switchport.mode == VlanMode::Access {
            line.push_str(&format!(", VLAN {}", switchport.access));
            self.set("vlan", switchport.access);
        } else if vlans {
            let allowed = text::vlans(&switchport.allowed);
            line.push_str(&format!(", native VLAN {}, allowed VLANs {allowed}", switchport.native));
            self.set("native_vlan", switchport.native);
            self.set("allowed_vlans", allowed);
        }
        self.line(&line);
        self.line(&format!("MTU {} bytes", switchport.mtu));
        self.set("mtu", switchport.mtu);
    }

    fn traffic(&mut self, traffic: &Traffic) {
        let sides =
            [("RX", "rx", traffic.rx, traffic.rx_dropped), ("TX", "tx", traffic.tx, traffic.tx_dropped)];
        for (title, key, total, dropped) in sides {
            self.line(title);
            self.line(&format!("  {} frames  {} bytes  {dropped} dropped", total.frames, total.octets));
            self.set(key, json!({ "frames": total.frames, "octets": total.octets, "dropped": dropped }));
        }
    }

    fn device(&mut self, counters: &[PortCounter]) {
        let moved: Vec<_> = counters.iter().filter(|counter| counter.value > 0).collect();
        if !moved.is_empty() {
            self.line("Device");
        }
        for counter in moved {
            self.line(&format!("  {} {}  ({})", counter.value, counter.name, counter.help.trim()));
        }
        let all: serde_json::Map<String, Value> =
            counters.iter().map(|counter| (counter.name.to_owned(), counter.value.into())).collect();
        self.set("device_counters", all);
    }

    fn output(self) -> Output {
        Output::prose(self.text, self.value)
    }
}

/// `show vif-list`
pub(super) fn lists(session: &mut Session, _: &Args) -> Answer {
    let state = session.switch.state();
    let mut grid = Grid::new([
        Column::left("interface", "Interface"),
        Column::right("list", "List"),
        Column::left("members", "Members"),
    ]);
    for (id, ethernet) in state.config.ethernets() {
        for (list, members) in &ethernet.lists {
            let shown = text::spans(members.iter().copied());
            grid.row([name(Owner::Ethernet(*id)), list.get().into(), Cell::shown(shown, members.clone())]);
        }
    }
    Ok(Output::from(grid).into())
}
