//! The addresses that guests really use.

use super::{State, Switch};
use crate::config::slots::Owner;
use crate::control::Event;
use crate::engine::mac::{Entry, Learned, Second};
use std::collections::{BTreeMap, HashMap};
use vntag::ethernet::Mac;

/// vEths whose guests use another address than the configured one. Each is told once.
#[derive(Debug, Default)]
pub(super) struct OtherMacs {
    told: BTreeMap<u32, Mac>,
    /// Addresses that had been learned or had moved when the table was last looked at.
    lessons: u64,
}

impl Switch {
    /// The learned addresses that count now, by VLAN and address, and whose they are.
    #[must_use]
    pub fn addresses(&self, state: &State) -> Vec<(Entry, Owner)> {
        let tables = self.tables();
        let live = |old: Learned| tables.remembers(old.lif, old.generation);
        let owners: HashMap<_, _> = state.slots.by_slot();
        let entries = self.mac.entries(Second::of(self.now()), live);
        let mut known: Vec<(Entry, Owner)> =
            entries.into_iter().filter_map(|entry| Some((entry, *owners.get(&entry.learned.lif)?))).collect();
        known.sort_by_key(|(entry, _)| (entry.vlan, entry.mac));
        known
    }
}

impl State {
    /// Guests that use another address than the configured one, and that were not told of before.
    pub(super) fn other_macs(&mut self, switch: &Switch) -> Vec<Event> {
        let lessons = switch.counters.sum(|worker| worker.mac_learned.get() + worker.mac_moved.get());
        if core::mem::replace(&mut self.other_macs.lessons, lessons) == lessons {
            return Vec::new();
        }
        let veths = &self.control.forwarding().veths;
        self.other_macs.told.retain(|number, _| veths.contains_key(number));
        let mut found = Vec::new();
        for (entry, owner) in switch.addresses(self) {
            let Owner::Vethernet(veth) = owner else { continue };
            let Some(record) = self.control.veth(veth).and_then(|veth| veth.record) else { continue };
            let (configured, used) = (record.identity.mac, entry.mac);
            if used != configured && !self.other_macs.told.contains_key(&veth) {
                self.other_macs.told.insert(veth, used);
                found.push(Event::OtherMac { veth, configured, used });
            }
        }
        found
    }
}
