//! What is in force on an interface.

use super::{
    EthernetId, PortProfile, ProfileFault, ProfileName, ProfileType, RunningConfig, Switchport,
    SwitchportLines, UplinkFail,
};

/// What is in force on an interface: its own lines over its profile over the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective<'a> {
    /// The profile that is applied. With a fault, only interface and defaults count below, unless there are system VLANs.
    pub profile: Result<&'a PortProfile, ProfileFault>,
    /// The profile cannot be applied, but it has system VLANs: these pass, and no others.
    pub system_only: bool,
    /// VLANs.
    pub switchport: Switchport,
    /// What happens when the last uplink fails.
    pub uplink_fail: UplinkFail,
}

impl Effective<'_> {
    /// Whether lines of the profile count: it is applied, or has system VLANs.
    #[must_use]
    pub fn has_profile(&self) -> bool {
        self.profile.is_ok() || self.system_only
    }
}

impl RunningConfig {
    /// The profile of a vEth by name: the one typed on the interface, else the one that its adapter asks for.
    #[must_use]
    pub fn profile_of<'a>(&'a self, number: u32, asked: Option<&'a ProfileName>) -> Option<&'a ProfileName> {
        self.vethernets.get(&number).and_then(|vethernet| vethernet.profile.as_ref()).or(asked)
    }

    /// What is in force on a vEth, configured or not; `asked` is the profile that its adapter asks for.
    ///
    /// A vEth on a link without negotiation needs no profile: [`ProfileFault::None`] does not keep it down.
    #[must_use]
    pub fn effective(&self, number: u32, asked: Option<&ProfileName>) -> Effective<'_> {
        let typed = self.vethernets.get(&number);
        let own = typed.map(|vethernet| (&vethernet.switchport, vethernet.uplink_fail));
        let profile = self.profile_of(number, asked);
        match profile.and_then(|name| Some((name, self.type_of(name)?))) {
            // Only an adapter can ask for one; it is not typed.
            Some((name, ProfileType::Ethernet)) => Effective {
                profile: Err(ProfileFault::OtherType(name.clone())),
                ..self.over(own, None, Switchport::default())
            },
            _ => self.over(own, profile, Switchport::default()),
        }
    }

    /// What is in force on an ordinary port, over the mode that its chassis says. [`ProfileFault::None`] does not keep it down.
    #[must_use]
    pub fn effective_ethernet(&self, id: EthernetId) -> Effective<'_> {
        let typed = self.ethernets.get(&id);
        let mode = typed.map(|ethernet| ethernet.chassis().switchport()).unwrap_or_default();
        let profile = typed.and_then(|ethernet| ethernet.profile.as_ref());
        let own = typed.map(|ethernet| (&ethernet.switchport, None));
        self.over(own, profile, Switchport { mode, ..Switchport::default() })
    }

    fn over(
        &self,
        own: Option<(&SwitchportLines, Option<UplinkFail>)>,
        profile: Option<&ProfileName>,
        under: Switchport,
    ) -> Effective<'_> {
        let applied = self.applied(profile);
        let with = |lineage: &[(&ProfileName, &PortProfile)], under: Switchport| {
            let of_profile = of_lineage(lineage, under);
            own.map_or(of_profile.clone(), |(lines, _)| lines.over(of_profile))
        };
        let known = profile.filter(|_| applied.is_err()).map(|name| self.known_lineage(name).0);
        let system = known.as_deref().and_then(|known| with(known, under.clone()).system_only());
        let (system_only, lineage) = match &applied {
            Ok(lineage) => (false, lineage.as_slice()),
            Err(_) => (system.is_some(), known.as_deref().filter(|_| system.is_some()).unwrap_or_default()),
        };
        let switchport = system.unwrap_or_else(|| with(lineage, under));
        let uplink_fail = own
            .and_then(|(_, uplink_fail)| uplink_fail)
            .or_else(|| lineage.iter().find_map(|(_, profile)| profile.uplink_fail))
            .unwrap_or_default();
        let profile = applied.and_then(|lineage| match lineage.first() {
            Some((_, profile)) => Ok(*profile),
            None => Err(ProfileFault::None),
        });
        Effective { profile, system_only, switchport, uplink_fail }
    }

    /// The profiles whose lines count on an interface that has this one.
    fn applied(&self, name: Option<&ProfileName>) -> Result<Vec<(&ProfileName, &PortProfile)>, ProfileFault> {
        let name = name.ok_or(ProfileFault::None)?;
        let lineage = self.lineage(name)?;
        match lineage.first() {
            Some((_, profile)) if !profile.enabled => Err(ProfileFault::Disabled(name.clone())),
            _ => Ok(lineage),
        }
    }

    /// What a profile says with all that it inherits, over the defaults; what is missing says nothing.
    #[must_use]
    pub fn profile_switchport(&self, name: &ProfileName) -> Switchport {
        of_lineage(&self.known_lineage(name).0, Switchport::default())
    }
}

fn of_lineage(lineage: &[(&ProfileName, &PortProfile)], under: Switchport) -> Switchport {
    lineage.iter().rev().fold(under, |under, (_, profile)| profile.switchport.over(under))
}
