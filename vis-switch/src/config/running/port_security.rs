//! `switchport port-security`: what was typed, and what comes of it.

use super::{Owner, Rule, RunningConfig, Switchport, rule};
use crate::engine::secure::{Aging, Secure, Violation};
use crate::engine::vlan::Program;
use std::collections::BTreeMap;
use std::sync::Arc;
use vntag::ethernet::Mac;

/// Addresses that may be typed on an interface, or learned there (NX-OS).
pub const MOST_SECURE: u16 = 1025;

/// Addresses that are typed on an interface: with the VLAN, or in its own; whether a sticky one.
pub type SecureAddresses = BTreeMap<(Mac, Option<u16>), bool>;

/// Port security of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    /// It is on.
    pub enabled: bool,
    /// Addresses there may be.
    pub maximum: u16,
    /// What happens when there are more.
    pub violation: Violation,
    /// What is seen becomes a line of the configuration.
    pub sticky: bool,
    /// Minutes after which what was seen makes room for others; 0: never.
    pub aging_minutes: u16,
    /// From when on.
    pub aging: Aging,
    /// Addresses that are typed.
    pub addresses: SecureAddresses,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            enabled: false,
            maximum: 1,
            violation: Violation::default(),
            sticky: false,
            aging_minutes: 0,
            aging: Aging::default(),
            addresses: SecureAddresses::new(),
        }
    }
}

/// Those of these settings that were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityLines {
    /// `switchport port-security`
    pub enabled: bool,
    /// `switchport port-security maximum`
    pub maximum: Option<u16>,
    /// `switchport port-security violation`
    pub violation: Option<Violation>,
    /// `switchport port-security mac-address sticky`
    pub sticky: bool,
    /// `switchport port-security aging time`
    pub aging_minutes: Option<u16>,
    /// `switchport port-security aging type`
    pub aging: Option<Aging>,
    /// `switchport port-security mac-address H.H.H`; on interfaces only, and all of them are one setting.
    pub addresses: SecureAddresses,
}

impl SecurityLines {
    /// These settings over those of `under`.
    #[must_use]
    pub fn over(&self, under: Security) -> Security {
        Security {
            enabled: self.enabled || under.enabled,
            maximum: self.maximum.unwrap_or(under.maximum),
            violation: self.violation.unwrap_or(under.violation),
            sticky: self.sticky || under.sticky,
            aging_minutes: self.aging_minutes.unwrap_or(under.aging_minutes),
            aging: self.aging.unwrap_or(under.aging),
            addresses: if self.addresses.is_empty() { under.addresses } else { self.addresses.clone() },
        }
    }
}

impl Switchport {
    /// What the engine is told about sources, given what it is told about VLANs.
    pub(super) fn secure(&self, program: &Program) -> Option<Arc<Secure>> {
        let security = &self.security;
        let place = |vlan: Option<u16>| program.place(vlan.unwrap_or(program.untagged)).domain;
        let typed = security.addresses.iter();
        let addresses = typed.map(|((mac, vlan), sticky)| (place(*vlan), *mac, *sticky)).collect();
        security.enabled.then(|| {
            Arc::new(Secure {
                maximum: security.maximum,
                violation: security.violation,
                sticky: security.sticky,
                aging_minutes: security.aging_minutes,
                aging: security.aging,
                addresses,
            })
        })
    }
}

impl RunningConfig {
    /// Seconds of [`errdisable_interval`](Self::errdisable_interval) if nothing is configured.
    pub const ERRDISABLE_INTERVAL: u32 = 300;

    /// An interface that a violation took down comes up again by itself.
    #[must_use]
    pub fn errdisable_recovery(&self) -> bool {
        self.errdisable_recovery
    }

    /// Sets [`errdisable_recovery`](Self::errdisable_recovery).
    pub fn set_errdisable_recovery(&mut self, on: bool) {
        self.errdisable_recovery = on;
    }

    /// Seconds after which it does, 30 to 65,535.
    #[must_use]
    pub fn errdisable_interval(&self) -> u32 {
        self.errdisable_interval
    }

    /// Sets [`errdisable_interval`](Self::errdisable_interval).
    ///
    /// # Errors
    /// Not 30 to 65,535 s.
    pub fn set_errdisable_interval(&mut self, seconds: u32) -> Result<(), Rule> {
        if !(30..=65_535).contains(&seconds) {
            return rule("The recovery interval is 30 to 65535 seconds.");
        }
        self.errdisable_interval = seconds;
        Ok(())
    }

    /// Types an address on an interface, as `switchport port-security mac-address [sticky]` does.
    ///
    /// # Errors
    /// There is no such interface, the address is none of a host, or there are too many.
    pub fn secure(&mut self, owner: Owner, mac: Mac, vlan: Option<u16>, sticky: bool) -> Result<(), Rule> {
        let addresses = self.secure_addresses(owner)?;
        if mac.is_group() || mac.is_zero() {
            return rule(format!("{} is no address of a host.", mac.dotted()));
        }
        if addresses.len() >= usize::from(MOST_SECURE) && !addresses.contains_key(&(mac, vlan)) {
            return rule(format!(
                "Interface {owner} has {MOST_SECURE} secure addresses, and cannot have more."
            ));
        }
        addresses.insert((mac, vlan), sticky);
        Ok(())
    }

    /// Takes such a line back.
    ///
    /// # Errors
    /// There is no such interface or line.
    pub fn unsecure(&mut self, owner: Owner, mac: Mac, vlan: Option<u16>) -> Result<(), Rule> {
        match self.secure_addresses(owner)?.remove(&(mac, vlan)) {
            Some(_) => Ok(()),
            None => rule(format!("Interface {owner} has no such secure address.")),
        }
    }

    fn secure_addresses(&mut self, owner: Owner) -> Result<&mut SecureAddresses, Rule> {
        let lines = match owner {
            Owner::Vethernet(number) => &mut self.vethernet_mut(number)?.switchport,
            Owner::Ethernet(id) => self.ethernet_switchport(id)?,
        };
        Ok(&mut lines.security.get_or_insert_default().addresses)
    }

    /// Whether lines can be typed on an interface: a vEth that an adapter made has none.
    #[must_use]
    pub fn is_configured(&self, owner: Owner) -> bool {
        match owner {
            Owner::Vethernet(number) => self.vethernets.contains_key(&number),
            Owner::Ethernet(id) => self.ethernets.contains_key(&id),
        }
    }
}
