//! What the firmware is told: its own settings, and the vNICs.

use vntag::ctl::provisioning::{BlobFault, kind};
use vntag::ctl::{Provisioning, session};
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;

/// Nanoseconds of a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// A link, by its place in [`Config::links`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LinkId(pub u16);

/// A vNIC; its number is the caller's choice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct VnicId(pub u32);

/// The firmware's settings. Times are nanoseconds.
#[derive(Clone, Debug)]
pub struct Config {
    /// One session for each link; all with the role IV.
    pub links: Vec<session::Config>,
    /// For how long the switch may be lost before a guest's carrier goes down.
    pub carrier_delay: u64,
    /// For how long VIFs and lists are kept in the data path while the switch is lost.
    pub hold: u64,
    /// After how long a refused create is tried again.
    pub retry: u64,
    /// After how long a VIF that another claimant keeps in standby is asked for again.
    pub claim_retry: u64,
}

impl Config {
    /// The usual times.
    #[must_use]
    pub const fn new(links: Vec<session::Config>) -> Self {
        Self { links, carrier_delay: 3 * SECOND, hold: 60 * SECOND, retry: 5 * SECOND, claim_retry: SECOND }
    }
}

/// A vNIC, as the host side wants it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VnicConfig {
    /// Its name, for people; unique on the adapter.
    pub name: String,
    /// Name of the machine that it belongs to, for people.
    pub vm: Option<String>,
    /// The adapter's number of it, which the switch sees; unique on each link.
    pub channel: u16,
    /// Instance UUID: with `mac`, the identity of the vEth.
    pub uuid: Uuid,
    /// Configured MAC address.
    pub mac: Mac,
    /// The port profile asked for.
    pub profile: String,
    /// The link its VIF is on.
    pub link: LinkId,
    /// The link of its standby VIF.
    pub backup: Option<LinkId>,
    /// Of two claimants of one identity, the one with the higher number came last.
    pub incarnation: Option<u64>,
}

impl VnicConfig {
    /// The links it has VIFs on, the preferred one first.
    pub(crate) fn links(&self) -> impl Iterator<Item = LinkId> {
        [Some(self.link), self.backup].into_iter().flatten()
    }

    /// The blob that goes with a create: what Linux sends, in its order, then names and incarnation.
    pub(crate) fn provisioning(&self, host: Uuid) -> Result<Provisioning, BlobFault> {
        let blob = Provisioning::builder()
            .profile(&self.profile)
            .mac(self.mac)
            .string(kind::CLUSTER_PORT_UUID, &self.mac.to_string())
            .client_uuid(self.uuid)
            .host_uuid(host)
            .os_type(0)
            .port_name(&self.name);
        let blob = match &self.vm {
            Some(vm) => blob.client_name(vm),
            None => blob,
        };
        match self.incarnation {
            Some(number) => blob.incarnation(number).build(),
            None => blob.build(),
        }
    }
}

/// Why a vNIC is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VnicError {
    /// There is no such link.
    #[error("no link {}", .0.0)]
    NoLink(LinkId),
    /// The backup link is the link itself.
    #[error("the backup link is the link itself")]
    SameLink,
    /// The MAC address is zero or a group address.
    #[error("{0} cannot be the address of a vNIC")]
    Mac(Mac),
    /// Another vNIC has the channel on one of the links.
    #[error("channel {channel} is in use by another vNIC on link {}", link.0)]
    Channel {
        /// The channel.
        channel: u16,
        /// The link.
        link: LinkId,
    },
    /// Its name or profile cannot be sent.
    #[error("cannot be sent: {0}")]
    Provisioning(#[from] BlobFault),
    /// As many vNICs as the links have room for.
    #[error("no room for another vNIC")]
    Full,
}
