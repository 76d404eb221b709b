//! What the firmware has to say, as events of the log.

use super::state::Vnics;
use core::fmt::{self, Display};
use firmware_sim::{LinkId, Notice, VnicId};
use niv_node::event::{Event, Severity};
use vntag::ctl::VifState;

/// The part of the daemon that speaks.
const FACILITY: &str = "NIV";

/// A notice with the names of what it is about.
struct Named<'a> {
    notice: &'a Notice,
    links: &'a [String],
    vnics: &'a Vnics,
}

impl Named<'_> {
    fn link(&self, LinkId(link): LinkId) -> &str {
        self.links.get(usize::from(link)).map_or("a link", String::as_str)
    }

    fn vnic(&self, VnicId(slot): VnicId) -> &str {
        self.vnics.name(slot)
    }
}

impl Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.notice {
            Notice::PeerUp { link, name, same } => {
                let again = if *same { " again, as it was" } else { "" };
                write!(f, "{}: switch {name} is there{again}", self.link(*link))
            }
            Notice::PeerLost { link, cause } => write!(f, "{}: switch lost: {cause}", self.link(*link)),
            Notice::NeighborRefused { link, name, why } => {
                write!(f, "{}: neighbor {name} is no NIV peer: {why}", self.link(*link))
            }
            Notice::VifCreated { vnic, link, vif, veth } => {
                let (vnic, link) = (self.vnic(*vnic), self.link(*link));
                write!(f, "{vnic} has VIF {} of {link}, Vethernet{veth}", vif.get())
            }
            Notice::Refused { vnic, link, opcode, why } => {
                write!(f, "{}: {opcode} on {} refused: {why}", self.vnic(*vnic), self.link(*link))
            }
            Notice::VifSet { vnic, link, state, cause } => {
                let (vnic, link) = (self.vnic(*vnic), self.link(*link));
                write!(f, "{vnic}: VIF of {link} {state} by the switch")?;
                cause.as_ref().map_or(Ok(()), |cause| write!(f, ": {cause}"))
            }
            Notice::VifDeleted { vnic, link } => {
                write!(f, "{} has no VIF of {} any more", self.vnic(*vnic), self.link(*link))
            }
            Notice::Fault { link, opcode, fault } => {
                write!(f, "{}: {opcode}: {fault}, by the fault plan", self.link(*link))
            }
        }
    }
}

/// A notice as an event.
pub(super) fn event(notice: &Notice, links: &[String], vnics: &Vnics) -> Event {
    let (severity, mnemonic) = match notice {
        Notice::PeerUp { .. } => (Severity::Notice, "PEER_UP"),
        Notice::PeerLost { .. } => (Severity::Warning, "PEER_LOST"),
        Notice::NeighborRefused { .. } => (Severity::Warning, "NEIGHBOR_REFUSED"),
        Notice::VifCreated { .. } => (Severity::Informational, "VIF_CREATED"),
        Notice::Refused { .. } => (Severity::Warning, "VIF_REFUSED"),
        Notice::VifSet { state: VifState::Disabled, .. } => (Severity::Warning, "VIF_DISABLED"),
        Notice::VifSet { state: VifState::Deleted, .. } => (Severity::Warning, "VIF_TAKEN"),
        Notice::VifSet { .. } => (Severity::Informational, "VIF_SET"),
        Notice::VifDeleted { .. } => (Severity::Informational, "VIF_DELETED"),
        Notice::Fault { .. } => (Severity::Notice, "FAULT"),
    };
    Event::new(FACILITY, severity, mnemonic, Named { notice, links, vnics }.to_string())
}
