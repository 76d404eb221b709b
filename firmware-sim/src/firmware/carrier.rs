//! The carrier of a guest.

use super::{Firmware, VnicId};
use crate::life::Phase;
use crate::output::{CarrierCause, Output};
use crate::timer::Timer;

/// A guest's carrier. It begins up: a guest that starts before its switch is there gets carrier-delay, too.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Carrier {
    /// Why it is down.
    pub(super) down: Option<CarrierCause>,
    /// Since when it is as it is.
    pub(super) since: u64,
    /// Times it went down.
    pub(super) downs: u32,
}

/// What the VIFs of a vNIC say about its carrier.
#[derive(PartialEq, Eq, Debug)]
enum Verdict {
    Up,
    /// The switch is away, or has not answered yet.
    Waiting,
    Down(CarrierCause),
}

impl Firmware {
    fn verdict(&self, id: VnicId) -> Option<Verdict> {
        let vnic = self.vnics.get(&id)?;
        if !vnic.provisioned {
            return Some(Verdict::Down(CarrierCause::NotProvisioned));
        }
        let (mut waiting, mut down) = (false, None);
        for link in vnic.config.links() {
            let Some(vif) = self.vifs.get(&(id, link)) else { continue };
            let cause = match vif.phase {
                _ if !self.is_up(link) => None,
                // It asks for what was refused before, and most likely will be again.
                Phase::Enabling if matches!(vnic.carrier.down, Some(CarrierCause::Claimed(_))) => {
                    vnic.carrier.down.clone()
                }
                phase if phase.is_ready() && vif.uplink => return Some(Verdict::Up),
                phase if phase.is_ready() => Some(CarrierCause::UplinkLost),
                phase if phase.is_blocked() => {
                    let text = vif.cause.as_ref().map(|(_, text)| text.clone()).unwrap_or_default();
                    Some(match phase {
                        Phase::Claimed => CarrierCause::Claimed(text),
                        Phase::Disabled => CarrierCause::Disabled(text),
                        _ => CarrierCause::Refused(text),
                    })
                }
                _ => None,
            };
            waiting |= cause.is_none();
            down = down.or(cause);
        }
        Some(match down {
            Some(cause) if !waiting => Verdict::Down(cause),
            _ => Verdict::Waiting,
        })
    }

    /// Takes the carrier down if it has to be, or begins to wait.
    pub(super) fn carrier_down(&mut self, now: u64, id: VnicId) {
        let timer = Timer::Carrier(id);
        match self.verdict(id) {
            None | Some(Verdict::Up) => self.timers.stop(timer),
            Some(Verdict::Down(cause)) => {
                self.timers.stop(timer);
                self.take_down(now, id, cause);
            }
            Some(Verdict::Waiting) => {
                let up = self.vnics.get(&id).is_some_and(|vnic| vnic.carrier.down.is_none());
                if up && !self.timers.is_set(timer) {
                    self.timers.set(timer, now.saturating_add(self.config.carrier_delay));
                }
            }
        }
    }

    /// Brings it up if it may be.
    pub(super) fn carrier_up(&mut self, now: u64, id: VnicId) {
        if self.verdict(id) != Some(Verdict::Up) {
            return;
        }
        let Some(vnic) = self.vnics.get_mut(&id) else { return };
        if vnic.carrier.down.take().is_some() {
            vnic.carrier.since = now;
            self.outputs.push_back(Output::Carrier { vnic: id, down: None });
        }
    }

    pub(super) fn carrier_delay_over(&mut self, now: u64, id: VnicId) {
        if self.verdict(id) == Some(Verdict::Waiting) {
            self.take_down(now, id, CarrierCause::NoPeer);
        }
    }

    fn take_down(&mut self, now: u64, id: VnicId, cause: CarrierCause) {
        let Some(vnic) = self.vnics.get_mut(&id) else { return };
        let before = vnic.carrier.down.replace(cause.clone());
        if before.is_none() {
            vnic.carrier.since = now;
            vnic.carrier.downs = vnic.carrier.downs.saturating_add(1);
        }
        if before.as_ref() != Some(&cause) {
            self.outputs.push_back(Output::Carrier { vnic: id, down: Some(cause) });
        }
    }
}
