//! What waits for the data path, and what the data path is told about VIFs.

use vntag::ctl::{Request, VifState};

use super::inbound::Answer;
use super::vifs::Installed;
use super::{Firmware, LinkId, VnicId};
use crate::life::{Input, Phase};
use crate::output::{Order, OrderId};
use crate::timer::Timer;

/// What happens when all orders given before it are in effect.
#[derive(Debug)]
pub(super) enum Barrier {
    /// The switch gets its answer, perhaps this much later.
    Answer(Answer, Option<u64>),
    /// VIF_DELETE is sent.
    Delete(VnicId, LinkId),
}

impl Firmware {
    pub(super) fn barrier(&mut self, now: u64, barrier: Barrier) {
        self.barriers.push_back((OrderId(self.next_order), barrier));
        self.release_barriers(now);
    }

    pub(super) fn release_barriers(&mut self, now: u64) {
        while let Some((upto, _)) = self.barriers.front() {
            if self.unconfirmed.first().is_some_and(|first| first <= upto) {
                return;
            }
            let Some((_, barrier)) = self.barriers.pop_front() else { return };
            match barrier {
                Barrier::Answer(answer, None) => self.send_answer(now, answer),
                Barrier::Answer(answer, Some(delay)) => {
                    self.next_late += 1;
                    self.late.insert(self.next_late, answer);
                    self.timers.set(Timer::Late(self.next_late), now.saturating_add(delay));
                }
                Barrier::Delete(vnic, link) => self.send_delete(now, (vnic, link)),
            }
        }
    }

    /// The VIF is out of the data path: the switch may have it back.
    fn send_delete(&mut self, now: u64, key: (VnicId, LinkId)) {
        let Some(vif) = self.vifs.get(&key).filter(|vif| vif.phase == Phase::Deleting) else { return };
        match vif.granted {
            Some(granted) => self.request(now, key, Request::VifDelete { vif: granted.vif }),
            // The switch never said which one it is.
            None => self.input(now, key, Input::Done),
        }
    }

    /// Brings the data path's view of a vNIC's VIFs up to date: first what stops, then what starts.
    pub(super) fn sync_path(&mut self, vnic: VnicId) {
        let keys = self.keys_of(vnic);
        let taken_over = |this: &Self, key: (VnicId, LinkId)| {
            keys.iter().any(|other| {
                *other != key && this.vifs.get(other).is_some_and(|vif| vif.phase == Phase::Active)
            })
        };
        for starting in [false, true] {
            for key in &keys {
                let Some(wanted) = self.path_of(*key, taken_over(self, *key)) else { continue };
                let starts = wanted.is_some_and(|path| path.state == VifState::Active);
                if starts == starting {
                    self.install(*key, wanted);
                }
            }
        }
    }

    /// What the data path should have of a VIF; `None` for what it has.
    fn path_of(&self, key: (VnicId, LinkId), taken_over: bool) -> Option<Option<Installed>> {
        let vif = self.vifs.get(&key)?;
        let state = match vif.phase {
            Phase::Pending | Phase::Deleting => return Some(None),
            // Kept as it was for the switch's return; another VIF of the vNIC may have taken over.
            Phase::Absent | Phase::Creating => match vif.installed {
                Some(held) if taken_over => {
                    return Some(Some(Installed { state: VifState::Standby, ..held }));
                }
                _ => return None,
            },
            Phase::Active => VifState::Active,
            Phase::Standby | Phase::Enabling | Phase::Disabling | Phase::Claimed => VifState::Standby,
            Phase::Disabled => VifState::Disabled,
        };
        let granted = vif.granted?;
        Some(Some(Installed { vif: granted.vif, params: granted.params, state }))
    }

    /// Gives the orders that lead from what the data path has to `wanted`.
    pub(super) fn install(&mut self, key: (VnicId, LinkId), wanted: Option<Installed>) {
        let (vnic, link) = key;
        let Some(vif) = self.vifs.get_mut(&key) else { return };
        let before = vif.installed;
        if before == wanted {
            return;
        }
        vif.installed = wanted;
        if let Some(old) = before.filter(|old| wanted.is_none_or(|new| new.vif != old.vif)) {
            self.clear_from_lists(link, old.vif);
            self.order(Order::ClearVif { link, vif: old.vif });
        }
        if let Some(Installed { vif, params, state }) = wanted {
            self.order(Order::SetVif { link, vif, vnic, state, params });
        }
    }
}
