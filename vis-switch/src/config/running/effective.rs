//! What is in force on a vEth.

use super::{PortProfile, ProfileFault, ProfileName, RunningConfig, Switchport, UplinkFail};

/// What is in force on a vEth: its interface over its profile over the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective<'a> {
    /// The profile that is applied. With a fault, only interface and defaults count below.
    pub profile: Result<&'a PortProfile, ProfileFault>,
    /// VLANs.
    pub switchport: Switchport,
    /// What happens when the last uplink fails.
    pub uplink_fail: UplinkFail,
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
        let profile = match self.profile_of(number, asked) {
            None => Err(ProfileFault::None),
            Some(name) => match self.port_profiles.get(name) {
                None => Err(ProfileFault::Unknown(name.clone())),
                Some(profile) if !profile.enabled => Err(ProfileFault::Disabled(name.clone())),
                Some(profile) => Ok(profile),
            },
        };
        let applied = profile.as_ref().ok();
        let typed = self.vethernets.get(&number);
        let mut switchport = Switchport::default();
        if let Some(profile) = applied {
            switchport = profile.switchport.over(switchport);
        }
        if let Some(vethernet) = typed {
            switchport = vethernet.switchport.over(switchport);
        }
        let uplink_fail = typed
            .and_then(|vethernet| vethernet.uplink_fail)
            .or_else(|| applied.and_then(|profile| profile.uplink_fail))
            .unwrap_or_default();
        Effective { profile, switchport, uplink_fail }
    }
}
