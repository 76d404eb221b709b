//! The running configuration as the lines that make it.

use super::running::{
    AccessList, AclName, Description, Ethernet, EthernetId, PortMode, PortProfile, PrivateLines, PrivateVlan,
    ProfileName, RunningConfig, SecurityLines, SwitchportLines, SwitchportMode, UplinkFail, Vethernet,
};
use crate::engine::secure::{Aging, Violation};
use crate::engine::vlan::{self, VlanSet};
use core::ops::RangeInclusive;

/// Lines for `show running-config`: what was typed, no more. Given to a chassis with the same ports in their initial
/// modes, they make the same configuration.
#[must_use]
pub fn running_config(config: &RunningConfig) -> String {
    let mut text = Lines::default();
    text.global(config);
    text.vlans(config);
    // Lists before what uses them.
    for (name, list) in config.access_lists() {
        text.access_list(name, list);
    }
    for (name, profile) in config.port_profiles() {
        text.port_profile(name, profile, config.inherits(name));
    }
    // Ports before vEths, which are bound to those that are in vntag mode.
    for (id, ethernet) in config.ethernets() {
        text.0.push_str(&self::ethernet(*id, ethernet));
        text.line("!");
    }
    for (number, configured) in config.vethernets() {
        text.0.push_str(&vethernet(*number, configured));
        text.line("!");
    }
    text.0
}

/// The lines of one vEth, with `interface vethernet` above them.
#[must_use]
pub fn vethernet(number: u32, vethernet: &Vethernet) -> String {
    let mut text = Lines::default();
    text.line(&format!("interface vethernet {number}"));
    text.vethernet(vethernet);
    text.0
}

/// The lines of one port, with `interface ethernet` above them.
#[must_use]
pub fn ethernet(id: EthernetId, ethernet: &Ethernet) -> String {
    let mut text = Lines::default();
    text.line(&format!("interface ethernet {id}"));
    text.ethernet(ethernet);
    text.0
}

/// The settings that a profile passes on, each as a line.
#[must_use]
pub fn inherited(profile: &PortProfile) -> Vec<String> {
    settings(&profile.switchport, profile.uplink_fail)
}

/// Settings that profiles may have as well, as lines.
pub(super) fn settings(switchport: &SwitchportLines, uplink_fail: Option<UplinkFail>) -> Vec<String> {
    let mut text = Lines::default();
    text.switchport(switchport);
    text.uplink_fail(uplink_fail);
    text.shutdown(switchport);
    text.trimmed()
}

/// The lines that only vEths have: those that stand before the settings, and those behind.
pub(super) fn only_on_vethernets(vethernet: &Vethernet) -> [Vec<String>; 2] {
    let (mut before, mut after) = (Lines::default(), Lines::default());
    before.head(vethernet.description.as_ref(), vethernet.profile());
    after.item("bind", vethernet.binding());
    [before.trimmed(), after.trimmed()]
}

/// The lines that only ports have: those that stand before the settings, and those behind.
pub(super) fn only_on_ethernets(ethernet: &Ethernet) -> [Vec<String>; 2] {
    let (mut before, mut after) = (Lines::default(), Lines::default());
    before.description(ethernet.description.as_ref());
    before.flag("switchport mode vntag", ethernet.mode() == PortMode::Vntag);
    before.item("inherit port-profile", ethernet.profile());
    after.lists(ethernet);
    [before.trimmed(), after.trimmed()]
}

/// Spans of VLANs in one line; more follow with `add`.
const SPANS_IN_A_LINE: usize = 32;

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// A line of a section, with its value.
    fn item(&mut self, words: &str, value: Option<impl core::fmt::Display>) {
        if let Some(value) = value {
            self.line(&format!("  {words} {value}"));
        }
    }

    fn flag(&mut self, words: &str, on: bool) {
        if on {
            self.line(&format!("  {words}"));
        }
    }

    fn global(&mut self, config: &RunningConfig) {
        let before = self.0.len();
        if !config.auto_create() {
            self.line("no vethernet auto-create");
        }
        if config.hold() != RunningConfig::HOLD {
            self.line(&format!("vethernet hold {}", config.hold()));
        }
        if config.carrier_delay() != RunningConfig::CARRIER_DELAY {
            self.line(&format!("carrier-delay {}", config.carrier_delay()));
        }
        if config.tag_native() {
            self.line("vlan dot1q tag native");
        }
        if config.errdisable_recovery() {
            self.line("errdisable recovery cause psecure-violation");
        }
        if config.errdisable_interval() != RunningConfig::ERRDISABLE_INTERVAL {
            self.line(&format!("errdisable recovery interval {}", config.errdisable_interval()));
        }
        if self.0.len() > before {
            self.line("!");
        }
    }

    fn vlans(&mut self, config: &RunningConfig) {
        let before = self.0.len();
        for (vlan, name) in config.vlans() {
            self.line(&format!("vlan {vlan}"));
            self.item("name", name);
            if let Some(kind) = config.private_vlans().get(&vlan) {
                self.item("private-vlan", Some(kind.word()));
                if let PrivateVlan::Primary(with) = kind {
                    self.vlan_list("private-vlan association", with.iter().copied());
                }
            }
        }
        if self.0.len() > before {
            self.line("!");
        }
    }

    fn access_list(&mut self, name: &AclName, list: &AccessList) {
        self.line(&format!("ip access-list {name}"));
        for (number, line, _) in list.lines() {
            self.line(&format!("  {number} {line}"));
        }
        self.line("!");
    }

    fn port_profile(&mut self, name: &ProfileName, profile: &PortProfile, inherits: &[ProfileName]) {
        let built_in = name.as_str() == ProfileName::DEFAULT;
        if built_in && *profile == PortProfile::built_in() && inherits.is_empty() {
            return;
        }
        self.line(&format!("port-profile type {} {name}", profile.kind().word()));
        self.description(profile.description.as_ref());
        inherits.iter().for_each(|from| self.item("inherit port-profile", Some(from)));
        self.switchport(&profile.switchport);
        self.uplink_fail(profile.uplink_fail);
        self.shutdown(&profile.switchport);
        self.item("max-ports", profile.max_ports);
        self.flag("state enabled", profile.enabled && !built_in);
        self.flag("no state enabled", !profile.enabled && built_in);
        self.line("!");
    }

    fn vethernet(&mut self, vethernet: &Vethernet) {
        self.head(vethernet.description.as_ref(), vethernet.profile());
        self.switchport(&vethernet.switchport);
        self.uplink_fail(vethernet.uplink_fail);
        self.item("bind", vethernet.binding());
        self.shutdown(&vethernet.switchport);
    }

    fn head(&mut self, description: Option<&Description>, profile: Option<&ProfileName>) {
        self.description(description);
        self.item("inherit port-profile", profile);
    }

    /// The lines without their indentation.
    fn trimmed(&self) -> Vec<String> {
        self.0.lines().map(|line| line.trim_start().to_owned()).collect()
    }

    fn ethernet(&mut self, ethernet: &Ethernet) {
        self.description(ethernet.description.as_ref());
        // What the port is comes before what only such a port can have.
        self.flag("switchport mode vntag", ethernet.mode() == PortMode::Vntag);
        self.item("switchport mode", ethernet.switchport.mode.map(SwitchportMode::words));
        self.item("inherit port-profile", ethernet.profile());
        self.switchport(&SwitchportLines { mode: None, ..ethernet.switchport.clone() });
        self.shutdown(&ethernet.switchport);
        self.lists(ethernet);
    }

    fn lists(&mut self, ethernet: &Ethernet) {
        for (list, members) in &ethernet.lists {
            self.line(&format!("  vif-list {} members {}", list.get(), spans(members.iter().copied())));
        }
    }

    fn switchport(&mut self, lines: &SwitchportLines) {
        self.item("switchport mode", lines.mode.map(SwitchportMode::words));
        self.item("switchport access vlan", lines.access);
        self.item("switchport trunk native vlan", lines.native);
        if let Some(allowed) = &lines.allowed {
            self.allowed(allowed);
        }
        self.private(&lines.private);
        if let Some(system) = &lines.system {
            self.vlan_list("system vlan", system.iter());
        }
        if let Some(security) = &lines.security {
            self.security(security);
        }
        self.item("mtu", lines.mtu);
        for (list, direction) in [(&lines.acl_in, "in"), (&lines.acl_out, "out")] {
            if let Some(list) = list {
                self.line(&format!("  ip access-group {list} {direction}"));
            }
        }
    }

    fn security(&mut self, lines: &SecurityLines) {
        self.flag("switchport port-security", lines.enabled);
        self.item("switchport port-security maximum", lines.maximum);
        self.item("switchport port-security violation", lines.violation.map(violation));
        self.item("switchport port-security aging time", lines.aging_minutes);
        self.item("switchport port-security aging type", lines.aging.map(aging));
        self.flag("switchport port-security mac-address sticky", lines.sticky);
        for ((mac, vlan), sticky) in &lines.addresses {
            let sticky = if *sticky { "sticky " } else { "" };
            let vlan = vlan.map_or_else(String::new, |vlan| format!(" vlan {vlan}"));
            self.line(&format!("  switchport port-security mac-address {sticky}{}{vlan}", mac.dotted()));
        }
    }

    fn shutdown(&mut self, lines: &SwitchportLines) {
        self.flag("shutdown", lines.shutdown == Some(true));
        self.flag("no shutdown", lines.shutdown == Some(false));
    }

    /// A set of many spans is continued with `add`, as NX-OS does.
    fn allowed(&mut self, set: &VlanSet) {
        if *set == VlanSet::all() {
            return self.line("  switchport trunk allowed vlan all");
        }
        if *set == VlanSet::EMPTY {
            return self.line("  switchport trunk allowed vlan none");
        }
        self.vlan_list("switchport trunk allowed vlan", set.iter());
    }

    fn vlan_list(&mut self, words: &str, vlans: impl IntoIterator<Item = u16>) {
        let mut add = "";
        for some in each_span(vlans).chunks(SPANS_IN_A_LINE) {
            self.line(&format!("  {words} {add}{}", some.join(",")));
            add = "add ";
        }
    }

    fn private(&mut self, lines: &PrivateLines) {
        if let Some((primary, secondary)) = lines.host {
            self.line(&format!("  switchport private-vlan host-association {primary} {secondary}"));
        }
        if let Some(mapping) = &lines.mapping {
            let words = format!("switchport private-vlan mapping {}", mapping.primary);
            self.vlan_list(&words, mapping.secondaries.iter().copied());
        }
        for (primary, secondaries) in lines.trunk.iter().flat_map(|trunk| trunk.iter()) {
            let words = format!("switchport private-vlan mapping trunk {primary}");
            self.vlan_list(&words, secondaries.iter().copied());
        }
    }

    fn uplink_fail(&mut self, action: Option<UplinkFail>) {
        let word = |action| match action {
            UplinkFail::Warning => "warning",
            UplinkFail::LinkDown => "link-down",
        };
        self.item("uplink-fail-action", action.map(word));
    }

    fn description(&mut self, text: Option<&Description>) {
        self.item("description", text.map(Description::as_str));
    }
}

/// The word behind `switchport port-security violation`.
#[must_use]
pub fn violation(violation: Violation) -> &'static str {
    match violation {
        Violation::Shutdown => "shutdown",
        Violation::Restrict => "restrict",
        Violation::Protect => "protect",
    }
}

/// The word behind `switchport port-security aging type`.
#[must_use]
pub fn aging(aging: Aging) -> &'static str {
    match aging {
        Aging::Absolute => "absolute",
        Aging::Inactivity => "inactivity",
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
    each_span(numbers).join(",")
}

fn each_span(numbers: impl IntoIterator<Item = u16>) -> Vec<String> {
    let text = |span: RangeInclusive<u16>| match span.start() == span.end() {
        true => span.start().to_string(),
        false => format!("{}-{}", span.start(), span.end()),
    };
    vlan::spans(numbers).into_iter().map(text).collect()
}
