//! The running configuration as the lines that make it.

use super::running::{Ethernet, PortMode, RunningConfig, Switchport};
use crate::engine::vlan::{VlanMode, VlanSet};

/// Lines for `show running-config`. Given to a chassis with the same ports in their initial modes, they make the same
/// configuration.
#[must_use]
pub fn running_config(config: &RunningConfig) -> String {
    let mut text = String::new();
    // Ports first: a vEth is bound to one that is in vntag mode.
    for (id, ethernet) in config.ethernets() {
        text.push_str(&format!("interface ethernet {id}\n"));
        ethernet_lines(&mut text, ethernet);
        text.push_str("!\n");
    }
    for (number, vethernet) in config.vethernets() {
        text.push_str(&format!("interface vethernet {number}\n"));
        let mode = match vethernet.switchport.mode {
            VlanMode::Access => "access",
            VlanMode::Trunk => "trunk",
        };
        text.push_str(&format!("  switchport mode {mode}\n"));
        switchport_lines(&mut text, &vethernet.switchport);
        if let Some(binding) = vethernet.binding {
            let channel = binding.channel.get();
            text.push_str(&format!("  bind interface ethernet {} channel {channel}\n", binding.port));
        }
        text.push_str("!\n");
    }
    text
}

fn ethernet_lines(text: &mut String, ethernet: &Ethernet) {
    let mode = match (ethernet.mode, ethernet.switchport.mode) {
        (PortMode::Vntag, _) => "vntag",
        (PortMode::Plain, VlanMode::Access) => "access",
        (PortMode::Plain, VlanMode::Trunk) => "trunk",
    };
    text.push_str(&format!("  switchport mode {mode}\n"));
    switchport_lines(text, &ethernet.switchport);
    for (list, members) in &ethernet.lists {
        text.push_str(&format!("  vif-list {} members {}\n", list.get(), spans(members.iter().copied())));
    }
}

/// What differs from the defaults.
fn switchport_lines(text: &mut String, switchport: &Switchport) {
    let default = Switchport::default();
    if switchport.access != default.access {
        text.push_str(&format!("  switchport access vlan {}\n", switchport.access));
    }
    if switchport.native != default.native {
        text.push_str(&format!("  switchport trunk native vlan {}\n", switchport.native));
    }
    if switchport.allowed != default.allowed {
        text.push_str(&format!("  switchport trunk allowed vlan {}\n", vlans(&switchport.allowed)));
    }
    if switchport.mtu != default.mtu {
        text.push_str(&format!("  mtu {}\n", switchport.mtu));
    }
}

/// `1-10,15`, or `none`.
#[must_use]
pub fn vlans(set: &VlanSet) -> String {
    let text = spans(set.iter());
    if text.is_empty() { "none".to_owned() } else { text }
}

/// Ascending numbers as spans: `5-7,9`.
#[must_use]
pub fn spans(numbers: impl IntoIterator<Item = u16>) -> String {
    let mut spans: Vec<(u16, u16)> = Vec::new();
    for number in numbers {
        match spans.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => spans.push((number, number)),
        }
    }
    let text = |(first, last): &(u16, u16)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    spans.iter().map(text).collect::<Vec<_>>().join(",")
}
