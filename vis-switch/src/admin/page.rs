//! An interface in detail, as text and as JSON.
//!
//! The text keeps to lines that NX-OS has, because programs that read `show interface` give up at any other. What NX-OS
//! has no word for is behind the comma of such a line, or in one of the lines that end freely (`Belongs to`,
//! `Transport protocol is`, `Members in this channel:`, `Active connector:`).

use super::names::{full_name, long_name, since};
use crate::config::running::{Description, Effective, ProfileName, Switchport, SwitchportMode};
use crate::config::slots::Owner;
use crate::config::text;
use crate::engine::vlan::VlanMode;
use crate::switch::{Clearing, Down, Switch, Traffic};
use link::PortCounter;
use niv_node::output::{Cell, Output, printable};
use serde_json::{Value, json};

/// The page of one interface.
pub(super) struct Page {
    text: String,
    value: Value,
}

impl Page {
    /// The interface is up, or down for a cause; `admin` is what was configured about that.
    pub(super) fn new(owner: Owner, down: Option<Down>, admin: &str) -> Self {
        let (word, cause) = down.map_or(("up", None), |down| (down.word, Some(down.cause)));
        let mut page = Self {
            text: String::new(),
            value: json!({ "interface": full_name(owner), "state": word, "cause": cause }),
        };
        let because = cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
        page.push("", &format!("{} is {word}{because}", long_name(owner)));
        page.push("", &format!("admin state is {admin}"));
        page
    }

    /// What is said may quote what a peer sent.
    fn push(&mut self, indent: &str, line: &str) {
        self.text.push_str(indent);
        self.text.extend(printable(line));
        self.text.push('\n');
    }

    pub(super) fn line(&mut self, line: &str) {
        self.push("  ", line);
    }

    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.value[key] = value.into();
    }

    pub(super) fn description(&mut self, description: Option<&Description>) {
        let description = description.map(Description::as_str);
        if let Some(description) = description {
            self.line(&format!("Description: {description}"));
        }
        self.set("description", description);
    }

    /// Its profile, and whether that counts in part only.
    pub(super) fn profile(&mut self, name: &ProfileName, effective: &Effective<'_>) {
        let only = if effective.system_only { ", of which only the system VLANs pass" } else { "" };
        self.line(&format!("Belongs to port-profile {name}{only}"));
        self.set("system_only", effective.system_only);
    }

    /// `own` is whether the VLANs are those of the interface itself; on an NIV link they are those of its VIFs.
    pub(super) fn switchport(&mut self, switchport: &Switchport, mode: &str, own: bool) {
        self.line(&format!("MTU {} bytes", switchport.mtu));
        self.set("mtu", switchport.mtu);
        if own && let Some(vlan) = switchport.own_vlan() {
            let of = if switchport.mode == SwitchportMode::Access { "access " } else { "" };
            self.line(&format!("Encapsulation ARPA, {of}VLAN {vlan}"));
            self.set("vlan", vlan);
        } else if own && switchport.mode.vlans() == VlanMode::Trunk {
            let (native, allowed) = (switchport.native, text::vlans(&switchport.allowed));
            self.line(&format!("Encapsulation 802.1Q, native VLAN {native}, allowed VLANs {allowed}"));
            self.set("native_vlan", native);
            self.set("allowed_vlans", allowed);
        }
        self.line(&format!("Port mode is {mode}"));
        self.set("mode", mode);
        self.line("full-duplex, auto-speed");
    }

    /// When it went up or down.
    pub(super) fn since(&mut self, since: &Cell) {
        self.line(&format!("Last link flapped {since}"));
        self.set("since", since.to_json());
    }

    /// What was counted, since it was last cleared.
    pub(super) fn traffic(&mut self, switch: &Switch, traffic: &Traffic, clearing: Option<Clearing>) {
        let traffic = clearing.map_or(*traffic, |clearing| traffic.since(clearing.before));
        let Traffic { rx, rx_dropped, tx, tx_dropped } = traffic;
        let cleared = clearing.map(|clearing| since(switch, clearing.at));
        let when = cleared.as_ref().map_or_else(|| "never".to_owned(), Cell::to_string);
        self.line(&format!("Last clearing of \"show interface\" counters {when}"));
        self.set("cleared", cleared.map(|cleared| cleared.to_json()));
        self.line("RX");
        self.line(&format!("  {} input packets  {} bytes", rx.frames, rx.octets));
        self.line(&format!("  0 input with dribble  {rx_dropped} input discard"));
        self.line("TX");
        self.line(&format!("  {} output packets  {} bytes", tx.frames, tx.octets));
        self.line(&format!("  0 lost carrier  0 no carrier  0 babble  {tx_dropped} output discard"));
        for (key, total, dropped) in [("rx", rx, rx_dropped), ("tx", tx, tx_dropped)] {
            self.set(key, json!({ "frames": total.frames, "octets": total.octets, "dropped": dropped }));
        }
    }

    /// What else the device has counted; in the text what is more than zero.
    pub(super) fn device(&mut self, counters: &[PortCounter]) {
        let moved = counters.iter().filter(|counter| counter.value > 0);
        let moved: Vec<String> = moved.map(|counter| format!("{} {}", counter.value, counter.name)).collect();
        if !moved.is_empty() {
            self.line(&format!("Active connector: {}", moved.join(", ")));
        }
        let all: serde_json::Map<String, Value> =
            counters.iter().map(|counter| (counter.name.to_owned(), counter.value.into())).collect();
        self.set("device_counters", all);
    }

    pub(super) fn output(self) -> Output {
        Output::prose(self.text, self.value)
    }

    /// Several pages, one below the other.
    pub(super) fn outputs(pages: impl IntoIterator<Item = Self>) -> Output {
        let (texts, values): (Vec<String>, Vec<Value>) =
            pages.into_iter().map(|page| (page.text, page.value)).unzip();
        Output::prose(texts.join("\n"), values.into())
    }
}
