//! An interface in detail, as text and as JSON.

use super::names::full_name;
use crate::config::running::Switchport;
use crate::config::slots::Owner;
use crate::config::text;
use crate::engine::vlan::VlanMode;
use crate::switch::Traffic;
use link::PortCounter;
use niv_node::output::{Cell, Output, printable};
use serde_json::{Value, json};

/// The page of one interface.
pub(super) struct Page {
    text: String,
    value: Value,
}

impl Page {
    /// `title` is up, or down for a cause; since when, where that is known.
    pub(super) fn new(owner: Owner, title: &str, down: Option<String>, since: Option<Cell>) -> Self {
        let (word, cause) = if down.is_some() { ("down", down) } else { ("up", None) };
        let mut page = Self {
            text: String::new(),
            value: json!({ "interface": full_name(owner), "state": word, "cause": cause }),
        };
        let because = cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
        let lasting = since.as_ref().map_or_else(String::new, |since| format!(" for {since}"));
        page.push("", &format!("{title} is {word}{because}{lasting}"));
        if let Some(since) = since {
            page.set("since", since.to_json());
        }
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

    pub(super) fn switchport(&mut self, switchport: &Switchport, mode: &str, vlans: bool) {
        let mut line = format!("Port mode is {mode}");
        self.set("mode", mode);
        if vlans && let Some(vlan) = switchport.own_vlan() {
            line.push_str(&format!(", VLAN {vlan}"));
            self.set("vlan", vlan);
        } else if vlans && switchport.mode.vlans() == VlanMode::Trunk {
            let allowed = text::vlans(&switchport.allowed);
            line.push_str(&format!(", native VLAN {}, allowed VLANs {allowed}", switchport.native));
            self.set("native_vlan", switchport.native);
            self.set("allowed_vlans", allowed);
        }
        self.line(&line);
        self.line(&format!("MTU {} bytes", switchport.mtu));
        self.set("mtu", switchport.mtu);
    }

    pub(super) fn traffic(&mut self, traffic: &Traffic) {
        let sides =
            [("RX", "rx", traffic.rx, traffic.rx_dropped), ("TX", "tx", traffic.tx, traffic.tx_dropped)];
        for (title, key, total, dropped) in sides {
            self.line(title);
            self.line(&format!("  {} frames  {} bytes  {dropped} dropped", total.frames, total.octets));
            self.set(key, json!({ "frames": total.frames, "octets": total.octets, "dropped": dropped }));
        }
    }

    pub(super) fn device(&mut self, counters: &[PortCounter]) {
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
