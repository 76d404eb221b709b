//! The ordinary ports as uplinks: which VLANs reach the network.

use crate::engine::vlan::{Program, VlanSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An ordinary port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Uplink {
    /// The VLANs it carries.
    pub(super) vlans: VlanSet,
    pub(super) up: bool,
}

/// The ordinary ports.
#[derive(Debug, Default)]
pub(super) struct Uplinks {
    ports: Vec<Uplink>,
    /// Whether the VLANs of a program have lost their last uplink, by its number.
    known: BTreeMap<u32, bool>,
}

impl Uplinks {
    /// Says whether that changes anything.
    pub(super) fn set(&mut self, ports: Vec<Uplink>) -> bool {
        let changed = self.ports != ports;
        self.ports = ports;
        self.known.clear();
        changed
    }

    /// Whether there are uplinks that carry one of these VLANs, and none of them is up. VLANs that no uplink carries have
    /// none to lose.
    pub(super) fn lost(&mut self, (number, program): &(u32, Arc<Program>)) -> bool {
        let ports = &self.ports;
        *self.known.entry(*number).or_insert_with(|| {
            let mut carrying =
                ports.iter().filter(|port| port.vlans.intersects(program.carries())).peekable();
            carrying.peek().is_some() && !carrying.any(|port| port.up)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_uplink_that_is_there_can_be_lost() {
        let uplink = |vlans: &[u16], up| Uplink { vlans: vlans.iter().copied().collect(), up };
        let programs: Vec<_> = (1..).zip([10, 20, 30].map(|vlan| Arc::new(Program::access(vlan)))).collect();
        let lost =
            |uplinks: &mut Uplinks| programs.iter().map(|program| uplinks.lost(program)).collect::<Vec<_>>();
        let mut uplinks = Uplinks::default();
        assert_eq!(lost(&mut uplinks), [false, false, false]);
        assert!(uplinks.set(vec![uplink(&[10, 20], false), uplink(&[20], true)]));
        assert_eq!(lost(&mut uplinks), [true, false, false]);
        assert!(uplinks.set(vec![uplink(&[10, 20], false), uplink(&[20], false)]));
        assert_eq!(lost(&mut uplinks), [true, true, false]);
        assert!(!uplinks.set(vec![uplink(&[10, 20], false), uplink(&[20], false)]));
    }
}
