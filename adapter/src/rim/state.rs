//! What control works on, under one lock: the firmware, the vNICs, and the hands with which it reaches everything else.

use super::news::Did;
use super::notice;
use super::path::{Path, Then};
use crate::config::file::Negotiation;
use crate::control::{Host, afex_counters, carry_out};
use crate::engine::{Order, Punted, VnicSlot};
use crate::inventory::{LinkEntry, VnicEntry};
use crate::vhost::FrontDoor;
use firmware_sim::{CarrierCause, Firmware, LinkId, Notice, OrderId, VnicId};
use link::PortState;
use niv_node::event::EventLog;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use vntag::ctl::Counters;

/// Slots of vNICs that went stay free until there are so many of them: what is still said or ordered about the one
/// that went cannot hit another one.
const RESTING: usize = 256;

/// vNICs by slot, which is their order, and by name.
#[derive(Default)]
pub(super) struct Vnics {
    slots: BTreeMap<VnicSlot, Arc<VnicEntry>>,
    names: HashMap<String, VnicSlot>,
    /// Slots and names of those that went, oldest first.
    gone: VecDeque<(VnicSlot, String)>,
    /// The lowest slot that was never taken.
    fresh: VnicSlot,
}

impl Vnics {
    /// A slot for the next one.
    pub(super) fn free(&self) -> VnicSlot {
        match self.gone.front() {
            Some((slot, _)) if self.gone.len() > RESTING => *slot,
            _ => self.fresh,
        }
    }

    pub(super) fn insert(&mut self, entry: Arc<VnicEntry>) {
        self.gone.retain(|(slot, _)| *slot != entry.slot);
        self.fresh = self.fresh.max(entry.slot.saturating_add(1));
        self.names.insert(entry.config.name.clone(), entry.slot);
        self.slots.insert(entry.slot, entry);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Arc<VnicEntry>> {
        let entry = self.slots.remove(&self.names.remove(name)?)?;
        self.gone.push_back((entry.slot, entry.config.name.clone()));
        Some(entry)
    }

    pub(super) fn get(&self, slot: VnicSlot) -> Option<&Arc<VnicEntry>> {
        self.slots.get(&slot)
    }

    pub(super) fn named(&self, name: &str) -> Option<&Arc<VnicEntry>> {
        self.slots.get(self.names.get(name)?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<VnicEntry>> + Clone {
        self.slots.values()
    }

    /// The name of a vNIC, even if it went.
    pub(super) fn name(&self, slot: VnicSlot) -> &str {
        match self.slots.get(&slot) {
            Some(entry) => &entry.config.name,
            None => self.gone.iter().find(|(gone, _)| *gone == slot).map_or("a vNIC", |(_, name)| name),
        }
    }
}

/// The hands of the firmware.
pub(super) struct Hands {
    pub(super) path: Path,
    pub(super) door: Arc<FrontDoor>,
    pub(super) vnics: Vnics,
    pub(super) links: Vec<String>,
    pub(super) log: Arc<EventLog>,
    /// Why VIFs were last refused: said once, and not at each try.
    pub(super) refused: HashMap<(VnicId, LinkId), String>,
}

impl Host for Hands {
    fn is_full(&self) -> bool {
        self.path.is_full()
    }

    fn apply(&mut self, order: Order, id: Option<OrderId>) {
        self.path.give(order, id.map_or(Then::Nothing, Then::Confirm));
    }

    fn carrier(&mut self, VnicId(slot): VnicId, down: Option<CarrierCause>) {
        // A tap or an interface keeps its carrier: its frames are dropped and counted.
        if let Some(entry) = self.vnics.get(slot).filter(|entry| entry.guest.is_some()) {
            self.door.set_carrier(&entry.config.name, down.map(|cause| cause.to_string()));
        }
    }

    fn counters(&self, VnicId(slot): VnicId) -> Option<Counters> {
        self.vnics.get(slot).map(|entry| afex_counters(&entry.stats.total()))
    }

    fn notice(&mut self, notice: Notice) {
        match &notice {
            Notice::Refused { vnic, link, why, .. } => {
                let before = self.refused.insert((*vnic, *link), why.clone());
                if before.as_ref() == Some(why) {
                    return;
                }
            }
            Notice::VifCreated { vnic, link, .. } | Notice::VifDeleted { vnic, link } => {
                self.refused.remove(&(*vnic, *link));
            }
            _ => {}
        }
        self.log.record(&notice::event(&notice, &self.links, &self.vnics));
    }
}

/// All of it.
pub(super) struct State {
    pub(super) firmware: Firmware,
    pub(super) hands: Hands,
    /// What guests did before their vNICs were admitted: a new port is open a moment earlier.
    early: BTreeMap<VnicSlot, Did>,
    /// The end has begun: links are not brought up any more.
    closing: bool,
}

impl State {
    pub(super) fn new(firmware: Firmware, hands: Hands) -> Self {
        Self { firmware, hands, early: BTreeMap::new(), closing: false }
    }

    /// Has everything done that is to be done, and returns when to look again although nothing happened.
    pub(super) fn turn(&mut self, now: u64) -> Option<u64> {
        for id in self.hands.path.progress() {
            self.firmware.confirm(now, id);
        }
        let links = u16::try_from(self.hands.links.len()).unwrap_or(u16::MAX);
        carry_out(&mut self.firmware, links, now, &mut self.hands);
        self.firmware.next_deadline()
    }

    /// Looks at the links, one of which may have gone up or down.
    pub(super) fn look_at_links(&mut self, now: u64, links: &[LinkEntry]) {
        for (id, link) in (0..).map(LinkId).zip(links) {
            if link.negotiation == Negotiation::Niv && !self.closing {
                self.firmware.handle_link(now, id, link.monitor.state() == PortState::Up);
            }
        }
    }

    /// Says good-bye to the switches.
    pub(super) fn close(&mut self, now: u64) {
        self.closing = true;
        self.firmware.shutdown(now);
        self.turn(now);
    }

    /// A frame came.
    pub(super) fn heard(&mut self, now: u64, punted: &Punted) {
        let link = LinkId(u16::try_from(punted.link).unwrap_or(u16::MAX));
        self.firmware.handle_frame(now, link, &punted.frame);
    }

    /// A slot for a vNIC that is about to be opened.
    pub(super) fn free_slot(&mut self) -> VnicSlot {
        let slot = self.hands.vnics.free();
        self.early.remove(&slot);
        slot
    }

    /// A guest did something.
    pub(super) fn guest_did(&mut self, now: u64, slot: VnicSlot, did: Did) {
        if !self.firmware.has_vnic(VnicId(slot)) {
            let is_static = self.hands.vnics.get(slot).is_some_and(|entry| entry.config.fixed().is_some());
            if !is_static {
                self.early.entry(slot).or_default().add(did);
            }
            return;
        }
        if let Some(enabled) = did.enabled {
            self.firmware.set_rings(now, VnicId(slot), enabled);
        }
        if let Some(mac) = did.announce {
            self.firmware.announce(now, VnicId(slot), mac);
        }
        if did.port {
            self.look_at_port(now, slot);
        }
    }

    /// A port without front end has a guest, as it were, while it is up.
    fn look_at_port(&mut self, now: u64, slot: VnicSlot) {
        if let Some(entry) = self.hands.vnics.get(slot).filter(|entry| entry.guest.is_none()) {
            self.firmware.set_rings(now, VnicId(slot), entry.monitor.state() == PortState::Up);
        }
    }

    /// Takes a vNIC in, whose queues the workers have or will have. Says why the firmware does not want it.
    pub(super) fn admit(&mut self, now: u64, entry: Arc<VnicEntry>) -> Result<(), firmware_sim::VnicError> {
        let id = VnicId(entry.slot);
        match (entry.firmware_config(), entry.config.fixed()) {
            (Some(config), _) => self.firmware.set_vnic(now, id, config)?,
            (None, Some((vif, params))) => {
                self.firmware.remove_vnic(now, id);
                let state = crate::engine::VifState::Active;
                let order = Order::SetVif { link: entry.config.link, vif, vnic: entry.slot, state, params };
                self.hands.path.give(order, Then::Nothing);
            }
            (None, None) => {}
        }
        let slot = entry.slot;
        self.hands.vnics.insert(entry);
        self.look_at_port(now, slot);
        if let Some(did) = self.early.remove(&slot) {
            self.guest_did(now, slot, did);
        }
        Ok(())
    }

    /// Lets a vNIC go, and takes its queues away from the workers.
    pub(super) fn dismiss(&mut self, now: u64, name: &str) -> Option<Arc<VnicEntry>> {
        let entry = self.hands.vnics.remove(name)?;
        self.firmware.remove_vnic(now, VnicId(entry.slot));
        // What the firmware orders about its VIFs comes before the end of the queues.
        self.turn(now);
        let then = Then::Retire(entry.stats.clone());
        self.hands.path.give(Order::RemoveVnic(entry.slot), then);
        Some(entry)
    }
}
