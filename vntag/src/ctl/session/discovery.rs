//! LLDP: being found, and finding.

use super::neighbor::Key;
use super::{LostCause, NotPeer, SECOND, Session, SessionEvent, Standing, Timer};
use crate::ethernet::{Mac, TYPE_LLDP};
use crate::lldp::Lldp;

/// Seconds for which our information is true.
pub(super) const TTL: u16 = 120;
/// Data units in quick succession after the first.
const FAST: u8 = 4;
/// Time between those.
const FAST_INTERVAL: u64 = SECOND;
/// Time between all others.
const SLOW_INTERVAL: u64 = 30 * SECOND;

impl Session {
    /// Makes ourselves known at once and a few times more: the link is new, or somebody on it is.
    pub(super) fn announce_fast(&mut self) {
        self.fast = FAST;
        self.due.lldp = Some(TTL);
    }

    /// Our data unit. A shutdown one holds nothing but what must be there, as 802.1AB has it.
    pub(super) fn lldp_frame(&mut self, now: u64, ttl: u16) -> Vec<u8> {
        self.counters.lldp_tx += 1;
        if ttl != 0 {
            let interval = if self.fast > 0 { FAST_INTERVAL } else { SLOW_INTERVAL };
            self.fast = self.fast.saturating_sub(1);
            self.timers.set(Timer::Lldp, now.saturating_add(interval));
        }
        self.frame(TYPE_LLDP, &self.own.lldp(ttl).emit(self.own.oui))
    }

    pub(super) fn handle_lldp(&mut self, now: u64, source: Mac, unit: &[u8]) {
        let Ok(lldp) = Lldp::parse(unit, self.own.oui) else {
            self.counters.lldp_malformed += 1;
            return;
        };
        self.counters.lldp_rx += 1;
        let key = (lldp.chassis_id.clone(), lldp.port_id.clone());
        let boot_id = lldp.niv.and_then(Result::ok).map(|niv| niv.boot_id);
        if boot_id.is_some_and(|boot_id| self.past.is_former_life(boot_id, now)) {
            self.counters.ctl_stale += 1;
            return;
        }
        if lldp.ttl == 0 {
            self.forget(now, &key, LostCause::Shutdown);
        } else {
            match self.neighbors.update(now, source, lldp) {
                Some(true) => self.announce_fast(),
                Some(false) => {}
                None => self.counters.lldp_neighbors_full += 1,
            }
            self.peer_told(now, &key);
        }
        self.review(now);
    }

    pub(super) fn neighbors_expired(&mut self, now: u64) {
        self.neighbors.expire(now);
        let key = self.peer.as_ref().map(|peer| peer.key.clone());
        if key.is_some_and(|key| self.neighbors.get(&key).is_none()) {
            self.drop_peer(now, LostCause::Expired);
        }
        self.review(now);
    }

    fn forget(&mut self, now: u64, key: &Key, cause: LostCause) {
        self.neighbors.remove(key);
        if self.peer.as_ref().is_some_and(|peer| peer.key == *key) {
            self.drop_peer(now, cause);
        }
    }

    /// The peer's own information came again: it may have moved, restarted, or stopped to be one.
    fn peer_told(&mut self, now: u64, key: &Key) {
        let Some(peer) = self.peer.as_mut().filter(|peer| peer.key == *key) else { return };
        let Some(neighbor) = self.neighbors.get(key) else { return };
        match neighbor.candidate(&self.own) {
            Err(_) => self.drop_peer(now, LostCause::Expired),
            Ok(niv) => {
                peer.mac = neighbor.mac;
                if peer.boot_id != niv.boot_id {
                    self.peer_rebooted(now, niv.boot_id);
                }
            }
        }
    }

    /// Chooses a peer if there is none, and tells those who are not why.
    pub(super) fn review(&mut self, now: u64) {
        if self.link_up && self.peer.is_none() {
            let first = self.neighbors.as_slice().iter().find_map(|neighbor| {
                let niv = neighbor.candidate(&self.own).ok()?;
                Some((neighbor.key(), neighbor.mac, niv.boot_id))
            });
            if let Some((key, mac, boot_id)) = first {
                self.greet(now, key, mac, boot_id);
            }
        }
        self.judge_neighbors();
        self.timers.put(Timer::Neighbors, self.neighbors.next_expiry());
    }

    /// As [`Self::review`], when the one we greet does not answer: another candidate may be the one who is alive.
    pub(super) fn try_another(&mut self, now: u64) {
        let Some(current) = self.peer.as_ref().map(|peer| peer.key.clone()) else { return };
        let candidates = self.neighbors.as_slice().iter().filter_map(|neighbor| {
            let niv = neighbor.candidate(&self.own).ok()?;
            Some((neighbor.key(), neighbor.mac, niv.boot_id))
        });
        let candidates: Vec<_> = candidates.collect();
        let at = candidates.iter().position(|(key, ..)| *key == current).unwrap_or(0);
        let next = candidates.iter().cycle().nth(at + 1);
        if let Some((key, mac, boot_id)) = next.filter(|(key, ..)| *key != current).cloned() {
            self.drop_peer(now, LostCause::Silence);
            self.greet(now, key, mac, boot_id);
            self.judge_neighbors();
        }
    }

    fn judge_neighbors(&mut self) {
        let peer = self.peer.as_ref().map(|peer| peer.key.clone());
        let name = peer.as_ref().and_then(|key| self.neighbors.get(key)).map(|neighbor| neighbor.name());
        let mut refused = Vec::new();
        for neighbor in self.neighbors.iter_mut() {
            let standing = match neighbor.candidate(&self.own) {
                _ if peer.as_ref() == Some(&neighbor.key()) => Standing::Peer,
                Err(why) => Standing::Other(why),
                Ok(_) => Standing::Other(NotPeer::Second { peer: name.clone().unwrap_or_default() }),
            };
            if neighbor.standing == standing {
                continue;
            }
            neighbor.standing = standing.clone();
            if let Standing::Other(why) = standing
                && why != NotPeer::NoNiv
            {
                refused.push(SessionEvent::NeighborRefused { name: neighbor.name(), why });
            }
        }
        for event in refused {
            self.event(event);
        }
    }
}
