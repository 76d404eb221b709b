//! A new configuration, and what of it concerns whom.

use super::Control;
use super::forwarding::PortForwarding;
use super::life::Input;
use super::link::PortKind;
use super::lists::FloodLists;
use super::uplinks::Uplink;
use super::veth::{Unused, Veth};
use super::view::DownCause;
use super::vif::VifKey;
use crate::config::running::{
    AclName, Binding, Owner, PortMode, ProfileFault, ProfileName, RunningConfig, Switchport,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use vntag::ctl::EventCode;

impl Control {
    /// Takes over the configuration that was given last.
    pub(super) fn reconfigure(&mut self, now: u64) {
        let Some(new) = self.new_running.take() else { return };
        let old = core::mem::replace(&mut self.running, new);
        let new = self.running.clone();
        self.by_profile.clear();
        self.errdisable_again();
        self.reconfigure_ports(now);
        self.uplinks_again();
        self.reconfigure_veths(now, &old, &new);
        self.stale_by_profile(&old, &new);
        self.stale_by_access_list(&old, &new);
        if old.private_vlans() != new.private_vlans() || old.tag_native() != new.tag_native() {
            self.stale_all();
        }
        let catalogue = |config: &RunningConfig| -> Vec<_> {
            let each = |(name, profile): (&ProfileName, &crate::config::running::PortProfile)| {
                (name.clone(), profile.enabled, profile.max_ports)
            };
            config.port_profiles().iter().map(each).collect()
        };
        let profiles = catalogue(&old) != catalogue(&new);
        for port in 0..self.ports.len() {
            if profiles {
                self.owe_event(port, EventCode::PROFILES);
            } else if self.pending.of_port(port).next().is_some() {
                self.owe_event(port, EventCode::RETRY);
            }
        }
        self.prune = true;
    }

    /// What each port is, from the first time on.
    pub(super) fn reconfigure_ports(&mut self, now: u64) {
        for port in 0..self.ports.len() {
            let Some(this) = self.ports.get(port) else { continue };
            let kind = this.kind_in(&self.running);
            let ethernet = self.running.ethernets().get(&this.id);
            let wanted = match kind {
                PortKind::Wire if self.port_down(port).is_some() => PortForwarding::Closed,
                PortKind::Wire => PortForwarding::Wire,
                PortKind::Static => {
                    let lists = ethernet.into_iter().flat_map(|ethernet| &ethernet.lists);
                    let lists = lists.map(|(list, members)| (*list, members.clone()));
                    PortForwarding::Static { lists: lists.collect() }
                }
                PortKind::Niv => match self.forwarding.ports.get(port) {
                    Some(PortForwarding::Niv { floods }) => PortForwarding::Niv { floods: floods.clone() },
                    _ => PortForwarding::Niv { floods: FloodLists::default() },
                },
            };
            self.set_kind(now, port, kind);
            match self.forwarding.ports.get_mut(port) {
                Some(before) if *before == wanted => {}
                Some(before) => {
                    *before = wanted;
                    self.forwarding_changed = true;
                }
                None => {
                    self.forwarding.ports.push(wanted);
                    self.forwarding_changed = true;
                }
            }
        }
    }

    /// What keeps an ordinary port down, whatever its device is.
    #[must_use]
    pub fn port_down(&self, port: usize) -> Option<DownCause> {
        let id = self.ports.get(port).filter(|port| port.kind == PortKind::Wire)?.id;
        self.running.ethernets().get(&id)?;
        let effective = self.running.effective_ethernet(id);
        if effective.switchport.shutdown {
            return Some(DownCause::Administratively);
        }
        if self.err_disabled.contains_key(&Owner::Ethernet(id)) {
            return Some(DownCause::PortSecurity);
        }
        let profile = match effective.profile {
            Ok(_) | Err(ProfileFault::None) => None,
            Err(_) if effective.system_only => None,
            Err(fault) => Some(fault.into()),
        };
        profile.or_else(|| self.running.vlans_of(&effective.switchport).err().map(DownCause::PrivateVlan))
    }

    /// Ordinary ports came, went, or carry other VLANs.
    pub(super) fn uplinks_again(&mut self) {
        let wires = self.ports.iter().enumerate().filter(|(_, port)| port.kind == PortKind::Wire);
        let uplinks = wires.filter_map(|(index, port)| {
            let ethernet = self.running.ethernets().get(&port.id)?;
            let plain = ethernet.mode() == PortMode::Plain;
            let switchport = || self.running.effective_ethernet(port.id).switchport;
            plain.then(|| Uplink {
                vlans: self.running.program(&switchport()).carries().clone(),
                up: port.up && self.port_down(index).is_none(),
            })
        });
        if self.uplinks.set(uplinks.collect()) {
            self.dirty.extend(self.veths.numbers());
        }
    }

    fn reconfigure_veths(&mut self, now: u64, old: &RunningConfig, new: &Arc<RunningConfig>) {
        let numbers: BTreeSet<u32> =
            old.vethernets().keys().chain(new.vethernets().keys()).copied().collect();
        for number in numbers {
            let (before, after) = (old.vethernets().get(&number), new.vethernets().get(&number));
            if before != after {
                self.reconfigure_veth(now, number, before.and_then(|veth| veth.binding()));
            } else {
                // Its port may be used in another way now.
                self.fix(number);
            }
        }
    }

    /// A vEth that is configured when the machine begins.
    pub(super) fn configure_first(&mut self, number: u32) {
        // Whose it was by its record it stays.
        let binding = self.running.vethernets().get(&number).and_then(|typed| typed.binding());
        self.reconfigure_veth(0, number, binding);
    }

    /// The lines of a vEth have changed.
    fn reconfigure_veth(&mut self, now: u64, number: u32, before: Option<Binding>) {
        let running = self.running.clone();
        let typed = running.vethernets().get(&number);
        if typed.is_some() && self.veths.get(number).is_none() {
            let settings = self.settings(number, None, false, false);
            self.new_veth(number, settings);
        }
        self.veths.set_configured(number, typed.is_some());
        let binding = typed.and_then(|typed| typed.binding());
        if let Some(binding) = binding.filter(|binding| before != Some(*binding)) {
            self.rebind(now, number, binding);
        }
        self.fix(number);
        if let Some(veth) = self.veths.get_mut(number) {
            veth.stale = true;
            let idle = !veth.configured && veth.vifs.is_empty() && veth.unused == Unused::NoVnic;
            self.dirty.insert(number);
            if idle {
                self.remove_veth(number);
            }
        }
    }

    /// Where a vEth is that is bound to a link without negotiation.
    fn fix(&mut self, number: u32) {
        let binding = self.running.vethernets().get(&number).and_then(|typed| typed.binding());
        let place = binding.and_then(Binding::static_vif).and_then(|(id, vif)| {
            let port = *self.index.get(&id)?;
            (self.ports.get(port)?.kind == PortKind::Static).then_some((port, vif))
        });
        if let Some(veth) = self.veths.get_mut(number).filter(|veth| veth.fixed != place) {
            veth.fixed = place;
            veth.stale = true;
            veth.flush = veth.flush.wrapping_add(1);
            self.dirty.insert(number);
        }
    }

    /// A vEth is bound to something. If somebody else has it, that one loses it.
    fn rebind(&mut self, now: u64, number: u32, binding: Binding) {
        let Some(veth) = self.veths.get(number) else { return };
        let Some(identity) = veth.identity() else { return };
        let belongs = match binding {
            Binding::Mac(mac) => identity.mac == mac,
            Binding::Channel { port, channel } => {
                let there = |key: &VifKey| {
                    self.port_id(key.0) == port
                        && self.vif_of(*key).is_some_and(|vif| vif.claimant.channel == channel)
                };
                let kept = veth.record.as_ref().is_some_and(|record| {
                    veth.vifs.is_empty() && record.port == port.to_string() && record.channel == channel
                });
                kept || veth.vifs.iter().any(there)
            }
        };
        if belongs {
            return;
        }
        for key in veth.vifs.clone() {
            self.input(now, key, Input::Revoke);
        }
        self.forget(number);
    }

    /// A configured vEth is nobody's from now on. It has no VIFs.
    fn forget(&mut self, number: u32) {
        if self.veths.forget_identity(number).is_some() {
            self.store.insert(number, super::StoreOp::Remove(number));
        }
    }

    /// All vEths are looked at again: any may be in a private VLAN, or a trunk.
    fn stale_all(&mut self) {
        for number in self.veths.numbers() {
            if let Some(veth) = self.veths.get_mut(number) {
                veth.stale = true;
            }
            self.dirty.insert(number);
        }
    }

    /// vEths with an access list that has changed are looked at again.
    fn stale_by_access_list(&mut self, old: &RunningConfig, new: &RunningConfig) {
        let names: BTreeSet<&AclName> = old.access_lists().keys().chain(new.access_lists().keys()).collect();
        let differs = |name: &&AclName| old.access_lists().get(*name) != new.access_lists().get(*name);
        let changed: BTreeSet<&AclName> = names.into_iter().filter(differs).collect();
        if changed.is_empty() {
            return;
        }
        let concerned = |veth: &&Veth| {
            let Switchport { acl_in, acl_out, .. } = &*veth.settings.switchport;
            [acl_in, acl_out].into_iter().flatten().any(|name| changed.contains(name))
        };
        let numbers: Vec<u32> = self.veths.iter().filter(concerned).map(|veth| veth.number).collect();
        for number in numbers {
            if let Some(veth) = self.veths.get_mut(number) {
                veth.stale = true;
            }
            self.dirty.insert(number);
        }
    }

    /// vEths whose profile has changed are looked at again.
    fn stale_by_profile(&mut self, old: &RunningConfig, new: &RunningConfig) {
        let names: BTreeSet<&ProfileName> =
            old.port_profiles().keys().chain(new.port_profiles().keys()).collect();
        // What it inherits is part of it.
        let differs = |name: &&ProfileName| old.lineage(name) != new.lineage(name);
        let changed: BTreeSet<&ProfileName> = names.into_iter().filter(differs).collect();
        if changed.is_empty() {
            return;
        }
        let concerned =
            |veth: &&Veth| veth.settings.profile.as_ref().is_some_and(|name| changed.contains(name));
        let numbers: Vec<u32> = self.veths.iter().filter(concerned).map(|veth| veth.number).collect();
        for number in numbers {
            if let Some(veth) = self.veths.get_mut(number) {
                veth.stale = true;
            }
            self.dirty.insert(number);
        }
    }
}
