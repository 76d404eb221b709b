//! How interfaces and moments are written, for people and for programs.

use crate::config::running::EthernetId;
use crate::config::slots::Owner;
use crate::switch::Switch;
use core::fmt::Display;
use niv_node::output::Cell;

/// `Veth1` for people, `vethernet1` for programs; ports alike.
pub(super) fn name(owner: Owner) -> Cell {
    Cell::shown(short_name(owner), full_name(owner))
}

/// `Veth1`, `Eth1/1`
pub(super) fn short_name(owner: Owner) -> String {
    owner.short()
}

/// `Vethernet1`, `Ethernet1/1`
pub(super) fn long_name(owner: Owner) -> String {
    match owner {
        Owner::Vethernet(number) => format!("Vethernet{number}"),
        Owner::Ethernet(id) => format!("Ethernet{id}"),
    }
}

/// `vethernet1`, `ethernet1/1`
pub(super) fn full_name(owner: Owner) -> String {
    match owner {
        Owner::Vethernet(number) => format!("vethernet{number}"),
        Owner::Ethernet(id) => format!("ethernet{id}"),
    }
}

/// A port by its index.
pub(super) fn port(switch: &Switch, index: usize) -> Cell {
    switch.ports.get(index).map_or(Cell::Absent, |port| name(Owner::Ethernet(port.id)))
}

/// The name of a port by its index.
pub(super) fn port_id(switch: &Switch, index: usize) -> Option<EthernetId> {
    switch.ports.get(index).map(|port| port.id)
}

/// Nothing where the text is empty.
pub(super) fn text(value: Option<impl Display>) -> Cell {
    value.map(|value| value.to_string()).filter(|text| !text.is_empty()).into()
}

/// A moment of the past: how long ago for people, when for programs.
pub(super) fn since(switch: &Switch, at: u64) -> Cell {
    Cell::shown(duration(switch.now().saturating_sub(at.max(switch.started))), switch.date(at))
}

/// Nanoseconds as NX-OS writes how long something has lasted: `00:03:12`, `3d04h`, `5w2d`.
pub(super) fn duration(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match days {
        0 => format!("{hours:02}:{:02}:{:02}", minutes % 60, seconds % 60),
        1..7 => format!("{days}d{:02}h", hours % 24),
        _ => format!("{}w{}d", days / 7, days % 7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (seconds, text) in [
            (0, "00:00:00"),
            (192, "00:03:12"),
            (86_399, "23:59:59"),
            (273_600, "3d04h"),
            (3_200_000, "5w2d"),
        ] {
            assert_eq!(duration(seconds * 1_000_000_000), text);
        }
    }
}
