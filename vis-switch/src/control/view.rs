//! The control plane as it is shown.

use super::life::Standing;
use super::record::{Identity, VethRecord};
use crate::config::running::{PrivateFault, ProfileFault, ProfileName, Switchport, UplinkFail};
use core::fmt;
use vntag::VifId;
use vntag::ctl::Status;

/// Why an interface is down.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum DownCause {
    /// Nobody uses it: no vNIC, or one whose guest is away.
    NonParticipating,
    /// `shutdown`
    Administratively,
    /// The adapter asks for no profile, and none is typed.
    NoProfile,
    /// Its profile does not exist.
    ProfileMissing(ProfileName),
    /// Its profile is not enabled.
    ProfileDisabled,
    /// Its adapter has been lost for longer than carrier-delay.
    LinkLost,
    /// Another vEth with the same configured MAC address was there before, in the same VLAN.
    DuplicateMac(u32),
    /// The last uplink of its VLAN is lost, and it is configured to go down with it.
    UplinkLost,
    /// Its private VLANs are not what its mode needs.
    PrivateVlan(PrivateFault),
    /// The profile that its adapter asks for is for physical ports.
    ProfileType(ProfileName),
    /// Somebody was there who may not be: port security.
    PortSecurity,
}

impl DownCause {
    /// The word for a state that has this cause: NX-OS tells what is configured so or not connected from what did wrong.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::PortSecurity => "err-disabled",
            _ => "down",
        }
    }
}

impl From<ProfileFault> for DownCause {
    fn from(fault: ProfileFault) -> Self {
        match fault {
            ProfileFault::None => Self::NoProfile,
            ProfileFault::Unknown(name) => Self::ProfileMissing(name),
            ProfileFault::Disabled(_) => Self::ProfileDisabled,
            ProfileFault::OtherType(name) => Self::ProfileType(name),
        }
    }
}

impl DownCause {
    /// The code that an adapter is told with it.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::NonParticipating => 1,
            Self::Administratively => 2,
            Self::NoProfile => 3,
            Self::ProfileMissing(_) => 4,
            Self::ProfileDisabled => 5,
            Self::LinkLost => 6,
            Self::DuplicateMac(_) => 7,
            Self::UplinkLost => 8,
            Self::PrivateVlan(_) => 9,
            Self::ProfileType(_) => 10,
            Self::PortSecurity => 11,
        }
    }
}

impl fmt::Display for DownCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NonParticipating => f.write_str("nonParticipating"),
            Self::Administratively => f.write_str("administratively"),
            Self::NoProfile => f.write_str("no profile"),
            Self::ProfileMissing(name) => write!(f, "profile {name} missing"),
            Self::ProfileDisabled => f.write_str("profile disabled"),
            Self::LinkLost => f.write_str("link lost"),
            Self::DuplicateMac(veth) => write!(f, "duplicate MAC, Veth{veth}"),
            Self::UplinkLost => f.write_str("uplink lost"),
            Self::PrivateVlan(fault) => fault.fmt(f),
            Self::ProfileType(name) => write!(f, "profile {name} of type ethernet"),
            Self::PortSecurity => f.write_str("port-security"),
        }
    }
}

/// A vEth's operational state.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum VethState {
    /// It carries traffic.
    Up,
    /// It does not.
    Down(DownCause),
}

impl fmt::Display for VethState {
    /// `up`, `down (nonParticipating)`, `err-disabled (port-security)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up => f.write_str("up"),
            Self::Down(cause) => write!(f, "{} ({cause})", cause.word()),
        }
    }
}

/// A vEth.
#[derive(Clone, Debug)]
pub struct VethView<'a> {
    /// Its number.
    pub number: u32,
    /// Nobody configured it: it goes with its vNIC.
    pub dynamic: bool,
    /// Whether it carries traffic, or why not.
    pub state: &'a VethState,
    /// Since when, in the caller's nanoseconds.
    pub since: u64,
    /// Who it is, if an adapter ever asked for it.
    pub record: Option<&'a VethRecord>,
    /// The profile in force by name, whether it exists or not.
    pub profile: Option<&'a ProfileName>,
    /// VLANs in force.
    pub switchport: &'a Switchport,
    /// What happens when its last uplink fails.
    pub uplink_fail: UplinkFail,
    /// Where it is, whether or not it is up: index of the port, VIF.
    pub at: Option<(usize, VifId)>,
    /// Its VIFs, the active one first.
    pub vifs: Vec<VifView<'a>>,
}

/// A VIF.
#[derive(Clone, Debug)]
pub struct VifView<'a> {
    /// Index of the port.
    pub port: usize,
    /// Its id there.
    pub vif: VifId,
    /// The vEth; `None` where it is being taken back.
    pub veth: Option<u32>,
    /// Who asked for it.
    pub identity: &'a Identity,
    /// The adapter's number of the vNIC.
    pub channel: u16,
    /// Where it stands.
    pub state: Standing,
    /// Since when.
    pub since: u64,
}

/// A vNIC that was asked for and refused. It is asked for again every few seconds, and at once when the switch says that
/// something has changed.
#[derive(Clone, Debug)]
pub struct PendingView<'a> {
    /// Index of the port.
    pub port: usize,
    /// The adapter's number of the vNIC.
    pub channel: u16,
    /// Who it is, where the request said so.
    pub identity: Option<&'a Identity>,
    /// The profile asked for.
    pub profile: Option<&'a str>,
    /// The adapter's name of the vNIC.
    pub vnic: Option<&'a str>,
    /// Name of its machine.
    pub vm: Option<&'a str>,
    /// Why not, by its class.
    pub status: Status,
    /// Why not, in words.
    pub cause: &'a str,
    /// Since when, in the caller's nanoseconds.
    pub since: u64,
    /// How often it was asked for.
    pub tries: u32,
}

/// The VIF ids of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NamespaceView {
    /// Ids there are: as many as both ends can hold.
    pub size: u16,
    /// Ids that cannot be given out: in use, being taken back, or in quarantine.
    pub used: u16,
    /// Those of them that are in quarantine.
    pub quarantine: u16,
}
