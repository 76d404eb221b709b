//! Port profiles: which there are, of what type, and who has them.
//!
//! A profile is of one type for as long as it exists, and all that it inherits from and that inherits from it is of the same.
//! What is typed on an interface may not exist yet; it can then only become a profile of that interface's type.

use super::{
    MOST_PROFILES, Owner, PortMode, PortProfile, ProfileName, ProfileType, Rule, RunningConfig, no_profile,
    rule,
};
use std::collections::BTreeSet;

impl RunningConfig {
    /// Makes the profile, disabled, if it is not there. `kind` is the type that it has or gets; where none is said, whichever
    /// it has, or a vEth's.
    ///
    /// # Errors
    /// It is of the other type, an interface or a profile of the other type already refers to it, or there are too many.
    pub fn make_port_profile(
        &mut self,
        name: &ProfileName,
        kind: Option<ProfileType>,
    ) -> Result<&mut PortProfile, Rule> {
        self.is_of_type(name, kind)?;
        if !self.port_profiles.contains_key(name) {
            if self.port_profiles.len() >= MOST_PROFILES {
                return rule(format!("There are {MOST_PROFILES} port-profiles, and there cannot be more."));
            }
            let kind = kind.unwrap_or_default();
            if let Some(other) = self.refers_as_other(name, kind) {
                return rule(format!(
                    "port-profile {name} cannot be of type {}: {other} inherits from it.",
                    kind.word()
                ));
            }
            self.port_profiles.insert(name.clone(), PortProfile { kind, ..PortProfile::default() });
        }
        self.port_profile_mut(name)
    }

    /// Refuses a profile that is of another type than this.
    fn is_of_type(&self, name: &ProfileName, kind: Option<ProfileType>) -> Result<(), Rule> {
        match self.port_profiles.get(name) {
            Some(known) if kind.is_some_and(|kind| kind != known.kind) => {
                rule(format!("port-profile {name} is of type {}.", known.kind.word()))
            }
            _ => Ok(()),
        }
    }

    /// Who refers to a profile and cannot have one of this type.
    fn refers_as_other(&self, name: &ProfileName, kind: ProfileType) -> Option<String> {
        let on_interface = self.typed_on(name).find(|owner| type_for(*owner) != kind);
        let heir = || self.heirs(name).find(|heir| self.type_of(heir).is_some_and(|other| other != kind));
        on_interface
            .map(|owner| format!("interface {owner}"))
            .or_else(|| heir().map(|heir| format!("port-profile {heir}")))
    }

    /// The type of a profile that exists.
    #[must_use]
    pub fn type_of(&self, name: &ProfileName) -> Option<ProfileType> {
        self.port_profiles.get(name).map(|profile| profile.kind)
    }

    /// A profile, to be changed.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn port_profile_mut(&mut self, name: &ProfileName) -> Result<&mut PortProfile, Rule> {
        self.port_profiles.get_mut(name).map_or_else(|| no_profile(name), Ok)
    }

    /// Takes a profile out. `asking` are the vEths whose adapters ask for it; they use it as long as no other is typed
    /// on them.
    ///
    /// # Errors
    /// There is none of this name and type, it is `default`, or profiles inherit from it or interfaces use it: how many, and
    /// the first five.
    pub fn remove_port_profile(
        &mut self,
        name: &ProfileName,
        kind: Option<ProfileType>,
        asking: &[u32],
    ) -> Result<(), Rule> {
        if !self.port_profiles.contains_key(name) {
            return no_profile(name);
        }
        self.is_of_type(name, kind)?;
        if name.as_str() == ProfileName::DEFAULT {
            return rule("port-profile default is built in and cannot be removed.");
        }
        let heirs: Vec<&ProfileName> = self.heirs(name).collect();
        if !heirs.is_empty() {
            let heirs = counted("port-profile", heirs.into_iter().map(ProfileName::to_string));
            return rule(format!("port-profile {name} is inherited by {heirs}"));
        }
        let users = self.users(name, asking);
        if !users.is_empty() {
            let users =
                counted("interface", users.into_iter().map(Owner::short).collect::<Vec<_>>().into_iter());
            return rule(format!("port-profile {name} is in use by {users}"));
        }
        self.port_profiles.remove(name);
        self.inherits.remove(name);
        Ok(())
    }

    /// `inherit port-profile` of an interface; `None` takes it back.
    ///
    /// # Errors
    /// There is no such interface, the profile is of the other type, or the port is an NIV link.
    pub fn set_profile(&mut self, owner: Owner, profile: Option<ProfileName>) -> Result<(), Rule> {
        if let Some(name) = &profile
            && let Some(other) = self.type_of(name).filter(|kind| *kind != type_for(owner))
        {
            return rule(format!(
                "port-profile {name} is of type {}, and cannot be on interface {owner}.",
                other.word()
            ));
        }
        match owner {
            Owner::Vethernet(number) => self.vethernet_mut(number)?.profile = profile,
            Owner::Ethernet(id) => {
                let ethernet = self.ethernet_mut(id)?;
                if profile.is_some() && ethernet.mode == PortMode::Vntag {
                    return rule(format!(
                        "Interface ethernet {id} is in vntag mode; port-profiles are for its virtual interfaces."
                    ));
                }
                ethernet.profile = profile;
            }
        }
        Ok(())
    }

    /// The interfaces on which a profile is typed.
    fn typed_on<'a>(&'a self, name: &'a ProfileName) -> impl Iterator<Item = Owner> + 'a {
        let veths =
            self.vethernets.iter().filter(move |(_, vethernet)| vethernet.profile.as_ref() == Some(name));
        let ports =
            self.ethernets.iter().filter(move |(_, ethernet)| ethernet.profile.as_ref() == Some(name));
        veths.map(|(number, _)| Owner::Vethernet(*number)).chain(ports.map(|(id, _)| Owner::Ethernet(*id)))
    }

    /// The interfaces that have a profile: it is typed on them, or their adapters ask for it and no other is typed.
    #[must_use]
    pub fn users(&self, name: &ProfileName, asking: &[u32]) -> BTreeSet<Owner> {
        let asking = asking.iter().filter(|number| self.profile_of(**number, Some(name)) == Some(name));
        let asking = asking.filter(|_| self.type_of(name) != Some(ProfileType::Ethernet));
        self.typed_on(name).chain(asking.map(|number| Owner::Vethernet(*number))).collect()
    }
}

/// The type of profiles that an interface can have.
fn type_for(owner: Owner) -> ProfileType {
    match owner {
        Owner::Vethernet(_) => ProfileType::Vethernet,
        Owner::Ethernet(_) => ProfileType::Ethernet,
    }
}

/// `2 interfaces: Veth1, Veth3.`; of many, the first five.
pub(super) fn counted(what: &str, names: impl ExactSizeIterator<Item = String>) -> String {
    let count = names.len();
    let plural = if count == 1 { "" } else { "s" };
    let first: Vec<String> = names.take(5).collect();
    let more = if count > first.len() { ", ..." } else { "." };
    format!("{count} {what}{plural}: {}{more}", first.join(", "))
}
