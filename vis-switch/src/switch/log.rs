//! The control plane's events, and the switch's own, in the form of the event log.

use super::start::Beginning;
use crate::config::chassis::Chassis;
use crate::control::{DownCause, Event, Severity};
use niv_node::event::{self, Event as Line, EventLog};
use niv_node::store::StoreError;

/// The line of an event of the control plane.
pub(super) fn line(event: &Event) -> Line {
    let (facility, mnemonic) = match event {
        Event::PeerUp { .. } => ("NIV", "PEER_UP"),
        Event::PeerLost { .. } => ("NIV", "PEER_LOST"),
        Event::NeighborRefused { .. } => ("NIV", "NEIGHBOR_REFUSED"),
        Event::Disobeyed { .. } => ("NIV", "DISOBEYED"),
        Event::VethCreated { .. } => ("VIM", "IF_CREATED"),
        Event::VethRemoved { .. } => ("VIM", "IF_DELETED"),
        Event::VethTaken { .. } => ("VIM", "IF_TAKEN"),
        Event::VethUp { .. } => ("VIM", "IF_ATTACHED"),
        Event::VethDown { cause: DownCause::NonParticipating, .. } => ("VIM", "IF_DETACHED"),
        Event::VethDown { .. } => ("VIM", "IF_DOWN"),
        Event::CreateRefused { .. } => ("VIM", "IF_REFUSED"),
        Event::ClaimRefused { .. } => ("VIM", "CLAIM_REFUSED"),
        Event::ClaimMoved { .. } => ("VIM", "CLAIM_MOVED"),
        Event::Announced { .. } => ("VIM", "GUEST_ANNOUNCED"),
        Event::OtherMac { .. } => ("VIM", "OTHER_MAC"),
        Event::UplinkLost { .. } => ("VIM", "UPLINK_LOST"),
        Event::Violation { .. } => ("ETH_PORT_SEC", "VIOLATION_DETECTED"),
        Event::Recovers { .. } => ("ETH_PORT_SEC", "ERR_DISABLE_RECOVERY"),
    };
    let severity = match event.severity() {
        Severity::Error => event::Severity::Error,
        Severity::Warning => event::Severity::Warning,
        Severity::Notice => event::Severity::Notice,
        Severity::Info => event::Severity::Informational,
    };
    Line::new(facility, severity, mnemonic, event.to_string())
}

/// The store does not take what it is given.
pub(super) fn store_failed(error: &StoreError) -> Line {
    let text = format!("state cannot be kept, changes are not acknowledged: {error}");
    Line::new("SYSMGR", event::Severity::Error, "STORE_FAILED", text)
}

/// It does again.
pub(super) fn store_recovered() -> Line {
    Line::new("SYSMGR", event::Severity::Notice, "STORE_RECOVERED", "state is kept again")
}

/// Somebody changed the configuration.
pub(super) fn configured() -> Line {
    Line::new("VSHD", event::Severity::Notice, "VSHD_SYSLOG_CONFIG_I", "Configured by the admin API")
}

/// With which configuration the switch begins; `saved`: there is a startup configuration that was kept.
pub(super) fn began(events: &EventLog, chassis: &Chassis, beginning: &Beginning, saved: bool) {
    if beginning.restored {
        let not_read = match &chassis.node.startup {
            Some(startup) if !saved => {
                format!("; {} is not read (\"reload\" goes back to it)", startup.display())
            }
            _ => String::new(),
        };
        let text = format!("the running configuration of before is in force again{not_read}");
        events.record(&Line::new("SYSMGR", event::Severity::Notice, "CONFIG_RESTORED", text));
    }
    let which = if beginning.restored { "running" } else { "startup" };
    for line in &beginning.left_out {
        let (number, text, why) = (line.line.unwrap_or(0), line.text.trim(), &line.message);
        let text = format!("line {number} of the {which} configuration, \"{text}\", is left out: {why}");
        events.record(&Line::new("SYSMGR", event::Severity::Warning, "CONFIG_LINE_LOST", text));
    }
}
