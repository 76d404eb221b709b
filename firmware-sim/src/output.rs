//! What the firmware tells its owner.

use core::fmt;

use vntag::ctl::session::{LostCause, NotPeer, RequestId};
use vntag::ctl::{Cause, Opcode, VifParams, VifState};
use vntag::{ListId, VifId};

use crate::config::{LinkId, VnicId};
use crate::fault::Fault;

/// An order to the data path, until it is confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct OrderId(pub(crate) u64);

/// A STATS_GET that waits for its counters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct StatsId {
    pub(crate) link: LinkId,
    pub(crate) request: RequestId,
}

/// What the data path has to do. Orders are applied in the order in which they come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// There is this VIF, or it changes.
    SetVif {
        /// On this link.
        link: LinkId,
        /// Its id.
        vif: VifId,
        /// Whose it is.
        vnic: VnicId,
        /// Only [`VifState::Active`] passes frames; never [`VifState::Deleted`].
        state: VifState,
        /// How it treats its traffic.
        params: VifParams,
    },
    /// There is no such VIF any more.
    ClearVif {
        /// On this link.
        link: LinkId,
        /// Its id.
        vif: VifId,
    },
    /// There is this list, with these members. A member that is no VIF here gets nothing until it is one.
    SetList {
        /// On this link.
        link: LinkId,
        /// Its id.
        list: ListId,
        /// In rising order.
        members: Vec<VifId>,
    },
    /// There is no such list any more.
    ClearList {
        /// On this link.
        link: LinkId,
        /// Its id.
        list: ListId,
    },
}

/// Why a guest's carrier is down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CarrierCause {
    /// The switch has been lost for longer than carrier-delay, or was never there.
    NoPeer,
    /// The switch refuses the VIF, or took it away: in its own words.
    Refused(String),
    /// The switch shut the VIF: in its own words.
    Disabled(String),
    /// Somebody else is active under this identity.
    Claimed(String),
    /// The switch says that the network behind it is gone.
    UplinkLost,
    /// The host side has not provisioned it (mailbox), or took that back.
    NotProvisioned,
}

impl fmt::Display for CarrierCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPeer => f.write_str("no NIV peer"),
            Self::Refused(text) => write!(f, "refused: {text}"),
            Self::Disabled(text) => write!(f, "disabled by the switch: {text}"),
            Self::Claimed(text) => write!(f, "claimed elsewhere: {text}"),
            Self::UplinkLost => f.write_str("the switch lost its uplink"),
            Self::NotProvisioned => f.write_str("not provisioned"),
        }
    }
}

/// Something for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// A switch was found on a link.
    PeerUp {
        /// The link.
        link: LinkId,
        /// The switch's name.
        name: String,
        /// It is the one from before, without a restart.
        same: bool,
    },
    /// It was lost.
    PeerLost {
        /// The link.
        link: LinkId,
        /// Why.
        cause: LostCause,
    },
    /// Somebody else on the link is refused as peer.
    NeighborRefused {
        /// The link.
        link: LinkId,
        /// Its name.
        name: String,
        /// Why.
        why: NotPeer,
    },
    /// A vNIC has a VIF.
    VifCreated {
        /// The vNIC.
        vnic: VnicId,
        /// The link.
        link: LinkId,
        /// Its VIF.
        vif: VifId,
        /// The number of the vEth.
        veth: u32,
    },
    /// A request about a vNIC's VIF was refused, or answered in a way that makes no sense.
    Refused {
        /// The vNIC.
        vnic: VnicId,
        /// The link.
        link: LinkId,
        /// What was asked for.
        opcode: Opcode,
        /// Why not.
        why: String,
    },
    /// The switch set the state of a VIF.
    VifSet {
        /// The vNIC.
        vnic: VnicId,
        /// The link.
        link: LinkId,
        /// The state.
        state: VifState,
        /// Why.
        cause: Option<Cause>,
    },
    /// A vNIC has no VIF any more, and the switch knows it.
    VifDeleted {
        /// The vNIC.
        vnic: VnicId,
        /// The link.
        link: LinkId,
    },
    /// A rule of the fault plan was applied.
    Fault {
        /// The link.
        link: LinkId,
        /// To which operation.
        opcode: Opcode,
        /// What was done.
        fault: Fault,
    },
}

/// What is to be done, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// To the data path; to be confirmed with [`Firmware::confirm`](crate::Firmware::confirm) when it is in effect in
    /// every worker.
    Order(OrderId, Order),
    /// A guest's carrier changes, or the cause for which it is down.
    Carrier {
        /// The vNIC.
        vnic: VnicId,
        /// Why it is down; `None` when it is up.
        down: Option<CarrierCause>,
    },
    /// The switch wants counters; to be answered with [`Firmware::stats`](crate::Firmware::stats).
    Stats {
        /// To answer with.
        id: StatsId,
        /// On this link.
        link: LinkId,
        /// Which VIF.
        vif: VifId,
        /// Whose it is.
        vnic: VnicId,
    },
    /// For the log.
    Notice(Notice),
}
