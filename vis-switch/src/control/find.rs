//! Which vEth a vNIC is, and whether it may be it.
//!
//! 1. the one with the same identity;
//! 2. the one that is bound to the vNIC's channel on this port;
//! 3. the one that is bound to its configured address;
//! 4. a new one with the lowest free number, if `vethernet auto-create` is on. Never an unbound one that somebody configured.
//!
//! A vEth that was another one's is given to the vNIC it is bound to, unless the other one has a VIF.

use super::Control;
use super::event::Event;
use super::life::May;
use super::pending::{Refused, Waits};
use super::record::{StoreOp, StoreTicket, VethRecord};
use super::veth::Settings;
use super::view::DownCause;
use super::vif::{Claimant, VifKey};
use crate::config::running::{
    Binding, MOST_PROFILES, ProfileFault, ProfileName, ProfileType, SwitchportLines,
};
use vntag::ctl::{InitialState, Status};

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Where a vNIC belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// This vEth, whether or not it was its own before.
    Known(u32),
    /// A new one with this number.
    New(u32),
}

impl Control {
    /// Finds the vEth of a vNIC, or says why it gets none. Changes nothing.
    pub(super) fn place(
        &mut self,
        port: usize,
        known: Option<VifKey>,
        claimant: &Claimant,
        profile: Option<&str>,
        initial: InitialState,
    ) -> Result<Place, Refused> {
        let place = match known.and_then(|key| self.vif_of(key)?.veth) {
            Some(veth) => Place::Known(veth),
            None => self.find(port, claimant)?,
        };
        self.check_profile(place, claimant, profile)?;
        if let Place::Known(number) = place
            && initial == InitialState::Active
            && let Some(veth) = self.veths.get(number)
        {
            let why = match (self.may(number, known, port, claimant), self.block(veth)) {
                (May::Loses, _) => self.claimed_text(veth),
                // Who asks for a VIF that is shut has an active one until it is told. Not two at a time.
                (May::Blocked, Some(cause)) if veth.awaited.is_some_and(|at| Some(at) != known) => {
                    cause.to_string()
                }
                _ => return Ok(place),
            };
            return Err(Refused::new(Status::BADSTATE, why, Waits::Veth(number)));
        }
        Ok(place)
    }

    fn find(&mut self, port: usize, claimant: &Claimant) -> Result<Place, Refused> {
        if let Some(number) = self.veths.of_identity(&claimant.identity) {
            return Ok(Place::Known(number));
        }
        let channel = Binding::Channel { port: self.port_id(port), channel: claimant.channel };
        let bound =
            self.running.bound_to(channel).or(self.running.bound_to(Binding::Mac(claimant.identity.mac)));
        if let Some(veth) = bound.and_then(|number| self.veths.get(number)) {
            let number = veth.number;
            return match veth.identity().filter(|_| !veth.vifs.is_empty()) {
                None => Ok(Place::Known(number)),
                Some(other) => {
                    let why = format!("Veth{number} is bound to it, but in use by {other}");
                    Err(Refused::new(Status::BADSTATE, why, Waits::Veth(number)))
                }
            };
        }
        if !self.running.auto_create() {
            let why = "no vEthernet is bound to it, and vethernet auto-create is off";
            return Err(Refused::new(Status::BADSTATE, why, Waits::Config));
        }
        let full =
            || Refused::new(Status::INSUFFICIENT_RESOURCES, "there are too many vEthernets", Waits::Config);
        self.veths.free_number().map(Place::New).ok_or_else(full)
    }

    /// The profile that would be in force has to exist, to be enabled, and to have room.
    fn check_profile(&self, place: Place, claimant: &Claimant, asked: Option<&str>) -> Result<(), Refused> {
        let (Place::Known(number) | Place::New(number)) = place;
        let unknown = |why: String| Err(Refused::new(Status::UNKNOWN_PROFILE, why, Waits::Config));
        let Some(name) = self.running.profile_of(number, claimant.profile.as_ref()) else {
            return match asked {
                // A name that no profile can have.
                Some(name) => unknown(format!("no port-profile {name}")),
                None => {
                    Err(Refused::new(Status::INVALID, "no port-profile asked for, none typed", Waits::Config))
                }
            };
        };
        // What passes before the profile is enabled does so from the first vEth on.
        let system_only = self.running.effective(number, claimant.profile.as_ref()).system_only;
        match self.running.port_profiles().get(name) {
            None => unknown(format!("no port-profile {name}")),
            Some(profile) if profile.kind() == ProfileType::Ethernet => {
                unknown(format!("port-profile {name} is of type ethernet"))
            }
            Some(profile) if !profile.enabled && !system_only => {
                unknown(format!("port-profile {name} is not enabled"))
            }
            Some(profile) => {
                let veth = self.veths.get(number).filter(|veth| veth.record.is_some());
                let has_it = veth.is_some_and(|veth| veth.settings.profile.as_ref() == Some(name));
                match profile.max_ports {
                    Some(max) if !has_it && self.veths.users(name) >= max => {
                        let why = format!("port-profile {name} has its max-ports of {max}");
                        Err(Refused::new(Status::UNKNOWN_PROFILE, why, Waits::Profile(name.clone())))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// The vEth is this vNIC's from now on.
    pub(super) fn occupy(&mut self, place: Place, port: usize, claimant: &Claimant) -> u32 {
        let (Place::Known(number) | Place::New(number)) = place;
        let id = self.port_id(port);
        if let Place::New(number) = place {
            let settings = self.settings(number, claimant.profile.as_ref(), true, false);
            self.new_veth(number, settings);
            self.event(Event::VethCreated { veth: number, identity: claimant.identity, port: id });
        }
        let before = self.veths.get(number).and_then(|veth| veth.record.clone());
        let former = before.as_ref().filter(|before| before.identity != claimant.identity);
        if let Some(former) = former {
            let (from, to) = (former.identity, claimant.identity);
            self.event(Event::VethTaken { veth: number, from, to });
            if let Some(veth) = self.veths.get_mut(number) {
                veth.flush = veth.flush.wrapping_add(1);
            }
        }
        // A second claimant changes nothing as long as the first one is there.
        let shared = self.veths.get(number).is_some_and(|veth| {
            veth.vifs.iter().any(|key| self.vif_of(*key).is_some_and(|vif| !vif.claimant.is_vnic(claimant)))
        });
        let record = self.record_of(number, port, claimant, before.as_ref().filter(|_| former.is_none()));
        if before.is_none() || (!shared && before.as_ref() != Some(&record)) {
            self.put_record(number, record, claimant.profile.as_ref());
        }
        number
    }

    fn record_of(
        &self,
        number: u32,
        port: usize,
        claimant: &Claimant,
        before: Option<&VethRecord>,
    ) -> VethRecord {
        let host = claimant.host.map(|host| host.to_string());
        let here = self.port_id(port).to_string();
        let vifs = self.veths.get(number).map(|veth| veth.vifs.as_slice()).unwrap_or_default();
        // A vNIC with a backup does not move between its links each time that one of them comes.
        let stays = |before: &&VethRecord| {
            let there =
                vifs.is_empty() || vifs.iter().any(|vif| self.port_id(vif.0).to_string() == before.port);
            before.channel == claimant.channel && before.host == host && there
        };
        VethRecord {
            number,
            identity: claimant.identity,
            profile: claimant.profile.as_ref().map(|name| name.as_str().to_owned()),
            channel: claimant.channel,
            port: before.filter(stays).map_or(here, |before| before.port.clone()),
            vnic: claimant.vnic.clone(),
            vm: claimant.vm.clone(),
            host,
            incarnation: claimant.incarnation.max(before.and_then(|before| before.incarnation)),
            created: match before {
                Some(before) => before.created,
                None => self.config.epoch.saturating_add(self.now) / SECOND,
            },
        }
    }

    fn put_record(&mut self, number: u32, record: VethRecord, asked: Option<&ProfileName>) {
        self.store.insert(number, StoreOp::Put(Box::new(record.clone())));
        self.veths.set_record(number, record, asked.cloned());
        let fixed = self.veths.get(number).is_some_and(|veth| veth.fixed.is_some());
        let settings = self.settings(number, asked, true, fixed);
        self.apply_settings(number, settings);
        if let Some(veth) = self.veths.get_mut(number) {
            veth.saved_by = StoreTicket(self.ticket.0 + 1);
        }
    }

    /// What is in force on a vEth. One that no adapter has asked for yet lacks no profile, nor does one on a link
    /// without negotiation.
    pub(super) fn settings(
        &mut self,
        number: u32,
        asked: Option<&ProfileName>,
        used: bool,
        fixed: bool,
    ) -> Settings {
        let typed = self.running.vethernets().get(&number);
        let plain = typed.is_none_or(|typed| {
            typed.switchport == SwitchportLines::default() && typed.uplink_fail.is_none()
        });
        let profile = self.running.profile_of(number, asked).cloned();
        let key = (profile, used && !fixed);
        // Thousands of vEths have nothing but their profile.
        if let Some(known) = self.by_profile.get(&key).filter(|_| plain) {
            return known.clone();
        }
        let effective = self.running.effective(number, asked);
        let down = match effective.profile {
            Ok(_) => None,
            Err(_) if effective.system_only => None,
            Err(ProfileFault::None) => key.1.then_some(DownCause::NoProfile),
            Err(fault) => Some(fault.into()),
        };
        let private = || self.running.vlans_of(&effective.switchport).err().map(DownCause::PrivateVlan);
        let down = down.or_else(private);
        let settings = Settings {
            profile: key.0.clone(),
            down,
            program: self.programs.intern(self.running.program(&effective.switchport)),
            params: super::veth::params(&effective.switchport, self.running.tag_native()),
            switchport: effective.switchport.into(),
            uplink_fail: effective.uplink_fail,
        };
        if plain && self.by_profile.len() < MOST_PROFILES {
            self.by_profile.insert(key, settings.clone());
        }
        settings
    }
}
