//! Port profiles: settings with a name, for many interfaces at once.

use super::switchport::SwitchportLines;
use core::borrow::Borrow;
use core::fmt;
use std::sync::Arc;

/// Whether something can be a name on a command line: 1 to `most` printing ASCII characters, none of them a blank, `?` or
/// `|`.
#[must_use]
pub fn is_name(name: &str, most: usize) -> bool {
    let fits = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'?' | b'|');
    (1..=most).contains(&name.len()) && name.bytes().all(fits)
}

/// The name of a port profile: 1 to 80 printing ASCII characters without blanks, `?` and `|`, which mean something on a
/// command line. Upper and lower case differ.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileName(Arc<str>);

impl ProfileName {
    /// The most octets (NX-OS).
    pub const MAX: usize = 80;
    /// The most octets of a name that an adapter can ask for: Linux's `PORT_PROFILE_MAX` holds 40 with the NUL.
    pub const MAX_ASKED: usize = 39;
    /// The profile that is always there.
    pub const DEFAULT: &'static str = "default";

    /// `None` for what is not allowed. A profile with such a name does not exist, whoever asks for it.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        is_name(name, Self::MAX).then(|| Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ProfileName {
    /// [`ProfileName::DEFAULT`]
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl Borrow<str> for ProfileName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What happens to a vEth when its VLAN has no uplink left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UplinkFail {
    /// It stays up, and an event says so.
    #[default]
    Warning,
    /// It goes down, and its guest's carrier with it.
    LinkDown,
}

/// `description`: 1 to 254 characters (NX-OS), none of them a control character, no blanks around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description(Box<str>);

impl Description {
    /// The most characters.
    pub const MAX: usize = 254;

    /// `None` for what is not allowed.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let length = (1..=Self::MAX).contains(&text.chars().count());
        (length && !text.chars().any(char::is_control)).then(|| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What interfaces a profile is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProfileType {
    /// Virtual ones.
    #[default]
    Vethernet,
    /// Ordinary ports.
    Ethernet,
}

impl ProfileType {
    /// The word behind `type`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Vethernet => "vethernet",
            Self::Ethernet => "ethernet",
        }
    }
}

/// `port-profile NAME`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortProfile {
    pub(super) kind: ProfileType,
    /// `state enabled`; a profile that is not is not applied, and vEths that have it stay down.
    pub enabled: bool,
    /// vEths that may have it at once; no limit of its own where `None`. Of vEths only.
    pub max_ports: Option<u32>,
    /// VLANs.
    pub switchport: SwitchportLines,
    /// What happens when the last uplink fails.
    pub uplink_fail: Option<UplinkFail>,
    /// A text for people.
    pub description: Option<Description>,
}

impl PortProfile {
    /// `default` as long as nobody configured it: enabled, and no line, which is access VLAN 1.
    #[must_use]
    pub fn built_in() -> Self {
        Self { enabled: true, ..Self::default() }
    }

    /// What interfaces it is for.
    #[must_use]
    pub fn kind(&self) -> ProfileType {
        self.kind
    }
}

/// Why no profile is applied to a vEth.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileFault {
    /// None is typed on the interface, and its adapter asks for none.
    #[error("no port-profile")]
    None,
    /// There is none of this name.
    #[error("profile missing: {0}")]
    Unknown(ProfileName),
    /// `no state enabled`
    #[error("profile disabled: {0}")]
    Disabled(ProfileName),
    /// It is for physical ports.
    #[error("profile of type ethernet: {0}")]
    OtherType(ProfileName),
}
