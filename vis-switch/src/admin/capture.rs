//! Captures of ports, for the admin API.

use super::names::full_name;
use crate::config::running::EthernetId;
use crate::config::slots::Owner;
use crate::engine::capture::Fate;
use crate::engine::lif::LifId;
use crate::engine::verdict::DropReason;
use crate::switch::Switch;
use link::capture::live::Session;
use niv_node::api::Capture;
use niv_node::command::{CommandError, ErrorKind};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The ports by their names.
pub(super) fn ports(switch: &Switch) -> Vec<String> {
    switch.ports.iter().map(|port| format!("ethernet{}", port.id)).collect()
}

/// Begins a capture of a port: `ethernet1/1`, shortened as in a command.
///
/// # Errors
/// There is no such port, or too many captures run.
pub(super) fn begin(
    switch: &Arc<Switch>,
    name: &str,
    count: Option<u64>,
) -> Result<Box<dyn Capture>, CommandError> {
    let port = id(name).and_then(|id| Some((id, switch.port(id)?)));
    let Some((id, (index, port))) = port else {
        let message = format!("There is no port {name}; there are {}.", ports(switch).join(", "));
        return Err(CommandError { kind: ErrorKind::Invalid, ..CommandError::refused(message) });
    };
    let index = u16::try_from(index).unwrap_or(u16::MAX);
    let session = switch.captures.begin(index, &format!("ethernet{id}"), &port.device, count);
    let session = session.map_err(|error| CommandError::refused(error.to_string()))?;
    Ok(Box::new(Reading { session, switch: Arc::clone(switch) }))
}

/// Reads `ethernet1/1`, `eth 1/1` or `1/1`.
fn id(name: &str) -> Option<EthernetId> {
    let at = name.find(|c: char| c.is_ascii_digit())?;
    let (word, number) = name.split_at_checked(at)?;
    let word = word.trim_end().to_ascii_lowercase();
    EthernetId::parse(number).filter(|_| "ethernet".starts_with(&word))
}

struct Reading {
    session: Session<u16, Fate>,
    switch: Arc<Switch>,
}

impl Capture for Reading {
    fn read(&mut self, patience: Duration) -> Option<Vec<u8>> {
        let switch = &self.switch;
        let owners = OnceCell::new();
        self.session
            .read(patience, |fate| describe(*fate, owners.get_or_init(|| switch.state().slots.by_slot())))
    }
}

/// What became of a frame, in a few words.
fn describe(fate: Fate, owners: &HashMap<LifId, Owner>) -> String {
    let name = |lif: LifId| {
        owners.get(&lif).map_or_else(|| "an interface that is gone".to_owned(), |o| full_name(*o))
    };
    let dropped = |reason: DropReason| match reason.lines() {
        "" => format!("dropped: {}", reason.name()),
        lines => format!("dropped: {} ({lines})", reason.name()),
    };
    match fate {
        Fate::Unicast { from, to } => format!("from {} to {}", name(from), name(to)),
        Fate::Flooded { from, vlan, missed } => {
            let missed =
                missed.map_or_else(String::new, |why| format!("; behind some port {}", dropped(why)));
            format!("from {}, flooded in VLAN {vlan}{missed}", name(from))
        }
        Fate::Punted => "for control".to_owned(),
        Fate::Dropped { from: Some(from), reason } => format!("from {}, {}", name(from), dropped(reason)),
        Fate::Dropped { from: None, reason } => dropped(reason),
        Fate::Sent(to) => format!("to {}", name(to)),
        Fate::Copied => "a copy of a flooded frame".to_owned(),
        Fate::Originated => "from control".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_named_as_in_commands() {
        let one = EthernetId::parse("1/2");
        assert!(one.is_some());
        for name in ["ethernet1/2", "Ethernet 1/2", "eth1/2", "e 1/2", "1/2"] {
            assert_eq!(id(name), one, "{name}");
        }
        for name in ["", "ethernet", "vethernet1/2", "ethernet1", "ethernet1/2/3", "é1/2"] {
            assert_eq!(id(name), None, "{name}");
        }
    }

    #[test]
    fn a_fate_names_interfaces_and_the_line_of_the_table() {
        let (Some(first), Some(second)) = (LifId::new(1), LifId::new(2)) else { panic!("slots") };
        let owners = HashMap::from([(first, Owner::Vethernet(7))]);
        for (fate, text) in [
            (Fate::Unicast { from: first, to: second }, "from vethernet7 to an interface that is gone"),
            (
                Fate::Flooded { from: first, vlan: 10, missed: Some(DropReason::McDvifXlateMiss) },
                "from vethernet7, flooded in VLAN 10; behind some port dropped: mc_dvif_xlate_miss (F8)",
            ),
            (
                Fate::Dropped { from: Some(first), reason: DropReason::RxVlan },
                "from vethernet7, dropped: rx_vlan (V17)",
            ),
            (Fate::Dropped { from: None, reason: DropReason::TxRingFull }, "dropped: tx_ring_full"),
        ] {
            assert_eq!(describe(fate, &owners), text);
        }
    }
}
