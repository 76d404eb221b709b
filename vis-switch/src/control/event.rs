//! What is told in the log: typed, and one line each.

use super::record::Identity;
use super::view::DownCause;
use crate::config::running::{EthernetId, Owner};
use core::fmt;
use vntag::VifId;
use vntag::ctl::session::{LostCause, NotPeer};
use vntag::ethernet::Mac;

/// How much somebody should care, as syslog (RFC 5424) has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Severity {
    /// Something does not work.
    Error = 3,
    /// Something will not, or not as wanted.
    Warning = 4,
    /// A change that matters.
    Notice = 5,
    /// For the record.
    Info = 6,
}

impl Severity {
    /// syslog's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "err",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
        }
    }
}

/// Something happened. Its `Display` is the log line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// An adapter was found.
    PeerUp {
        /// Where.
        port: EthernetId,
        /// Its name.
        name: String,
        /// It is the one from before, without a restart.
        resumed: bool,
    },
    /// It was lost.
    PeerLost {
        /// Where.
        port: EthernetId,
        /// Why.
        cause: LostCause,
    },
    /// A neighbour is refused as peer.
    NeighborRefused {
        /// Where.
        port: EthernetId,
        /// Its name.
        name: String,
        /// Why.
        why: NotPeer,
    },
    /// There is a new vEth.
    VethCreated {
        /// Its number.
        veth: u32,
        /// Who it is.
        identity: Identity,
        /// Where it was asked for.
        port: EthernetId,
    },
    /// A vEth that an adapter had asked for is no more.
    VethRemoved {
        /// Its number.
        veth: u32,
    },
    /// A vEth is somebody else's from now on.
    VethTaken {
        /// Its number.
        veth: u32,
        /// Who it was.
        from: Identity,
        /// Who it is.
        to: Identity,
    },
    /// A vEth carries traffic.
    VethUp {
        /// Its number.
        veth: u32,
        /// Where.
        port: EthernetId,
        /// Its VIF there.
        vif: VifId,
    },
    /// A vEth does not.
    VethDown {
        /// Its number.
        veth: u32,
        /// Why.
        cause: DownCause,
    },
    /// An adapter asked for a vNIC and did not get it. Told once, not at each try.
    CreateRefused {
        /// Where.
        port: EthernetId,
        /// The adapter's number of the vNIC.
        channel: u16,
        /// The adapter's name of the vNIC, where it has one.
        vnic: Option<String>,
        /// Why not.
        why: String,
    },
    /// Somebody else wants to be a vEth that is in use. Told once for each claimant.
    ClaimRefused {
        /// Its number.
        veth: u32,
        /// Where the claimant is.
        port: EthernetId,
        /// Where the holder is.
        holder: EthernetId,
    },
    /// A vEth that was in use went to another claimant.
    ClaimMoved {
        /// Its number.
        veth: u32,
        /// Where it was.
        from: EthernetId,
        /// Where it is.
        to: EthernetId,
    },
    /// A guest announced itself after a move.
    Announced {
        /// Its vEth.
        veth: u32,
        /// Its address.
        mac: Mac,
    },
    /// A guest uses another address than the configured one. The rim says so: it knows what is learned.
    OtherMac {
        /// Its vEth.
        veth: u32,
        /// The configured one.
        configured: Mac,
        /// The one it uses.
        used: Mac,
    },
    /// The last uplink of these vEths' VLANs failed.
    UplinkLost {
        /// How many vEths.
        veths: usize,
        /// The first of them.
        first: u32,
        /// They were taken down; the others are only warned about.
        down: bool,
    },
    /// An address was seen that port security does not let in.
    Violation {
        /// Where.
        owner: Owner,
        /// In which VLAN.
        vlan: u16,
        /// The address.
        mac: Mac,
        /// The interface is taken down.
        shutdown: bool,
    },
    /// An interface that a violation took down comes up again by itself.
    Recovers {
        /// Which.
        owner: Owner,
    },
    /// An adapter did not do what it was told.
    Disobeyed {
        /// Where.
        port: EthernetId,
        /// What, and its answer.
        what: String,
    },
}

impl Event {
    /// How much somebody should care.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Disobeyed { .. } => Severity::Error,
            Self::PeerLost { .. }
            | Self::NeighborRefused { .. }
            | Self::CreateRefused { .. }
            | Self::ClaimRefused { .. }
            | Self::Violation { .. }
            | Self::UplinkLost { .. } => Severity::Warning,
            Self::PeerUp { .. }
            | Self::VethTaken { .. }
            | Self::VethUp { .. }
            | Self::VethDown { .. }
            | Self::ClaimMoved { .. }
            | Self::Recovers { .. }
            | Self::OtherMac { .. } => Severity::Notice,
            Self::VethCreated { .. } | Self::VethRemoved { .. } | Self::Announced { .. } => Severity::Info,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerUp { port, name, resumed: false } => write!(f, "Ethernet{port}: adapter {name} is up"),
            Self::PeerUp { port, name, resumed: true } => write!(f, "Ethernet{port}: adapter {name} is back"),
            Self::PeerLost { port, cause } => write!(f, "Ethernet{port}: adapter lost: {cause}"),
            Self::NeighborRefused { port, name, why } => {
                write!(f, "Ethernet{port}: neighbour {name} is no NIV peer: {why}")
            }
            Self::VethCreated { veth, identity, port } => {
                write!(f, "Veth{veth} created for {identity}, asked for at ethernet{port}")
            }
            Self::VethRemoved { veth } => write!(f, "Veth{veth} removed"),
            Self::VethTaken { veth, from, to } => write!(f, "Veth{veth} was {from}, is now {to}"),
            Self::VethUp { veth, port, vif } => {
                write!(f, "Veth{veth} is up (ethernet{port}, VIF {})", vif.get())
            }
            Self::VethDown { veth, cause } => write!(f, "Veth{veth} is down ({cause})"),
            Self::CreateRefused { port, channel, vnic, why } => {
                let vnic = vnic.as_ref().map_or_else(String::new, |vnic| format!(" (vNIC {vnic})"));
                write!(f, "Ethernet{port}: channel {channel}{vnic} is refused: {why}")
            }
            Self::ClaimRefused { veth, port, holder } => {
                write!(f, "Veth{veth} is claimed at ethernet{port}, but active at ethernet{holder}")
            }
            Self::ClaimMoved { veth, from, to } => {
                write!(f, "Veth{veth} moves from ethernet{from} to ethernet{to}")
            }
            Self::Announced { veth, mac } => write!(f, "Veth{veth}: the guest announced {mac}"),
            Self::OtherMac { veth, configured, used } => {
                write!(f, "Veth{veth} is configured with {configured} and uses {used}")
            }
            Self::UplinkLost { veths, first, down } => {
                let more = if *veths > 1 { " and others" } else { "" };
                let then = if *down { "taken down" } else { "still up" };
                write!(f, "last uplink lost: {veths} vEths without one, {then} (Veth{first}{more})")
            }
            Self::Violation { owner, vlan, mac, shutdown } => {
                let then = if *shutdown { "; it is disabled" } else { "" };
                let (owner, mac) = (owner.short(), mac.dotted());
                write!(f, "{owner}: {mac} in VLAN {vlan} is not let in by port security{then}")
            }
            Self::Recovers { owner } => {
                write!(f, "{} recovers from being disabled by port security", owner.short())
            }
            Self::Disobeyed { port, what } => write!(f, "Ethernet{port}: {what}"),
        }
    }
}
