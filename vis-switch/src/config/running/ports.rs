//! The rules of physical ports.

use super::{
    Binding, Description, Ethernet, EthernetId, PortMode, Rule, RunningConfig, SwitchportLines,
    SwitchportMode, rule,
};
use crate::config::text::spans;
use vntag::{ListId, VifId};

/// Characters that the members of a static list may take when written as spans: with the words before them they fit
/// in one line of configuration.
const MOST_MEMBERS_TEXT: usize = 960;

impl RunningConfig {
    /// The port with this name.
    ///
    /// # Errors
    /// The chassis has none; the message says which it has.
    pub fn ethernet(&self, id: EthernetId) -> Result<&Ethernet, Rule> {
        self.ethernets.get(&id).ok_or_else(|| self.no_port(id))
    }

    fn no_port(&self, id: EthernetId) -> Rule {
        let known: Vec<String> = self.ethernets.keys().take(8).map(EthernetId::to_string).collect();
        let more = if self.ethernets.len() > known.len() { ", ..." } else { "" };
        Rule(format!("There is no port ethernet {id} in this chassis; there are {}{more}.", known.join(", ")))
    }

    pub(super) fn ethernet_mut(&mut self, id: EthernetId) -> Result<&mut Ethernet, Rule> {
        if !self.ethernets.contains_key(&id) {
            return Err(self.no_port(id));
        }
        self.ethernets.get_mut(&id).ok_or(Rule(String::new()))
    }

    /// The VLAN settings that are typed on a port, to be changed; its mode is [set](Self::set_port_mode) in another way.
    ///
    /// # Errors
    /// There is no such port.
    pub fn ethernet_switchport(&mut self, id: EthernetId) -> Result<&mut SwitchportLines, Rule> {
        Ok(&mut self.ethernet_mut(id)?.switchport)
    }

    /// Sets the description of a port.
    ///
    /// # Errors
    /// There is no such port.
    pub fn describe_ethernet(&mut self, id: EthernetId, text: Option<Description>) -> Result<(), Rule> {
        self.ethernet_mut(id)?.description = text;
        Ok(())
    }

    /// `switchport mode`: makes a port an NIV link or an ordinary port, whatever its chassis says.
    ///
    /// # Errors
    /// There is no such port, or something hangs on what it was: vEths or lists on an NIV link; a profile or `shutdown` on
    /// an ordinary port.
    pub fn set_port_mode(&mut self, id: EthernetId, mode: Option<SwitchportMode>) -> Result<(), Rule> {
        self.may_become(id, if mode.is_some() { PortMode::Plain } else { PortMode::Vntag })?;
        let ethernet = self.ethernet_mut(id)?;
        ethernet.mode = if mode.is_some() { PortMode::Plain } else { PortMode::Vntag };
        // There is one `switchport mode`: of an NIV link access and trunk are forgotten.
        ethernet.switchport.mode = mode;
        Ok(())
    }

    /// `no switchport mode`: a port is what its chassis says.
    ///
    /// # Errors
    /// As above.
    pub fn reset_port_mode(&mut self, id: EthernetId) -> Result<(), Rule> {
        let mode = self.ethernet(id)?.chassis().port();
        self.may_become(id, mode)?;
        let ethernet = self.ethernet_mut(id)?;
        ethernet.mode = mode;
        ethernet.switchport.mode = None;
        Ok(())
    }

    fn may_become(&self, id: EthernetId, mode: PortMode) -> Result<(), Rule> {
        let ethernet = self.ethernet(id)?;
        if ethernet.mode == mode {
            return Ok(());
        }
        if let Some(list) = ethernet.lists.keys().next() {
            return rule(format!("Ethernet {id} has vif-list {}; remove its lists first.", list.get()));
        }
        let channel = |channel| Binding::Channel { port: id, channel };
        if let Some((_, number)) = self.bound.range(channel(0)..=channel(u16::MAX)).next() {
            return rule(format!("Interface vethernet {number} is bound to ethernet {id}; unbind it first."));
        }
        if let Some(profile) = &ethernet.profile {
            return rule(format!(
                "Ethernet {id} inherits port-profile {profile}, which is nothing for an NIV link; \"no inherit port-profile\" first."
            ));
        }
        if mode == PortMode::Vntag && ethernet.switchport.shutdown == Some(true) {
            return rule(format!(
                "Ethernet {id} is shut down, which an NIV link cannot be; \"no shutdown\" first."
            ));
        }
        Ok(())
    }

    /// Sets the members of a VIF list of a link; `None` removes the list.
    ///
    /// # Errors
    /// There is no such port or list, the port is no NIV link or negotiates its lists, the members are not VIFs or have
    /// too many gaps, or another list has the same.
    pub fn set_list(&mut self, id: EthernetId, list: ListId, members: Option<Vec<u16>>) -> Result<(), Rule> {
        let ethernet = self.ethernet_mut(id)?;
        if ethernet.mode != PortMode::Vntag {
            return rule(format!("Interface ethernet {id} is not in vntag mode and has no VIF lists."));
        }
        if ethernet.negotiation() {
            return rule(format!(
                "Ethernet {id} negotiates, so that its VIF lists make themselves (a static one needs negotiation = \"off\" at the [[port]])."
            ));
        }
        let Some(mut members) = members else {
            return match ethernet.lists.remove(&list) {
                Some(_) => Ok(()),
                None => rule(format!("Ethernet {id} has no vif-list {}.", list.get())),
            };
        };
        members.sort_unstable();
        members.dedup();
        if members.is_empty() || members.iter().any(|vif| VifId::new(*vif).is_none()) {
            return rule(format!(
                "The members of a vif-list are VIFs, 1 to {}, and at least one.",
                VifId::MAX
            ));
        }
        if spans(members.iter().copied()).len() > MOST_MEMBERS_TEXT {
            return rule("These members have too many gaps: written as 5-7,9 they do not fit in one line.");
        }
        let twin = ethernet.lists.iter().find(|(other, same)| **other != list && **same == members);
        if let Some((twin, _)) = twin {
            return rule(format!(
                "vif-list {} of ethernet {id} has exactly these members already.",
                twin.get()
            ));
        }
        ethernet.lists.insert(list, members);
        Ok(())
    }
}
