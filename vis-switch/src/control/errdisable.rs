//! Interfaces that a violation has taken down, and how they come up again: by `shutdown` and `no shutdown`, or by themselves after
//! a while (`errdisable recovery`).

use super::Control;
use super::event::Event;
use super::forwarding::PortForwarding;
use super::link::PortKind;
use super::timer::Timer;
use crate::config::running::Owner;
use vntag::ethernet::Mac;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

impl Control {
    /// An address was seen on an interface that port security does not let in there. If that is so configured (`shutdown`),
    /// the interface goes down.
    pub fn handle_violation(&mut self, now: u64, owner: Owner, at: (u16, Mac), shutdown: bool) {
        self.now = now;
        let (vlan, mac) = at;
        let exists = match owner {
            Owner::Vethernet(number) => self.veths.get(number).is_some(),
            Owner::Ethernet(id) => self.index.contains_key(&id),
        };
        if !exists || shutdown && self.err_disabled.contains_key(&owner) {
            return;
        }
        self.event(Event::Violation { owner, vlan, mac, shutdown });
        if shutdown {
            self.err_disabled.insert(owner, now);
            self.touch(owner);
            self.plan_recovery();
        }
    }

    /// An interface is to come up again, if a violation has taken it down.
    pub fn recover(&mut self, now: u64, owner: Owner) {
        self.now = now;
        if self.err_disabled.remove(&owner).is_some() {
            self.touch(owner);
        }
    }

    /// The interfaces that a violation has taken down, and when.
    pub fn err_disabled(&self) -> impl Iterator<Item = (Owner, u64)> + '_ {
        self.err_disabled.iter().map(|(owner, since)| (*owner, *since))
    }

    /// When an interface comes up again by itself.
    #[must_use]
    pub fn recovers_at(&self, since: u64) -> Option<u64> {
        let interval = u64::from(self.running.errdisable_interval()) * SECOND;
        self.running.errdisable_recovery().then(|| since.saturating_add(interval))
    }

    /// Those whose time has come are up again.
    pub(super) fn recover_due(&mut self, now: u64) {
        let is_due = |(owner, since): (Owner, u64)| {
            self.recovers_at(since).is_some_and(|at| at <= now).then_some(owner)
        };
        let due: Vec<Owner> = self.err_disabled().filter_map(is_due).collect();
        for owner in due {
            self.event(Event::Recovers { owner });
            self.recover(now, owner);
        }
        self.plan_recovery();
    }

    /// Looks for the next whose time comes.
    pub(super) fn plan_recovery(&mut self) {
        match self.err_disabled().filter_map(|(_, since)| self.recovers_at(since)).min() {
            Some(at) => self.timers.set(Timer::Recovery, at),
            None => self.timers.stop(Timer::Recovery),
        }
    }

    /// By a new configuration: what is shut down begins anew when it is not any more, and what is gone has nothing to recover.
    pub(super) fn errdisable_again(&mut self) {
        let over = |owner: &Owner| match owner {
            Owner::Vethernet(number) => self.veths.get(*number).is_none_or(|veth| self.is_shut(veth)),
            Owner::Ethernet(id) => {
                let wire = self.index.get(id).and_then(|port| self.ports.get(*port));
                let wire = wire.is_some_and(|port| port.kind == PortKind::Wire);
                !wire || self.running.effective_ethernet(*id).switchport.shutdown
            }
        };
        let over: Vec<Owner> = self.err_disabled.keys().filter(|owner| over(owner)).copied().collect();
        for owner in over {
            self.recover(self.now, owner);
        }
        self.plan_recovery();
    }

    /// The interface is looked at anew; what was learned on it is void.
    fn touch(&mut self, owner: Owner) {
        match owner {
            Owner::Vethernet(number) => {
                if let Some(veth) = self.veths.get_mut(number) {
                    veth.flush = veth.flush.wrapping_add(1);
                    self.dirty.insert(number);
                }
            }
            Owner::Ethernet(id) => {
                let Some(port) = self.index.get(&id).copied() else { return };
                let down = self.port_down(port).is_some();
                if let Some(this) = self.forwarding.ports.get_mut(port)
                    && matches!(this, PortForwarding::Wire | PortForwarding::Closed)
                {
                    *this = if down { PortForwarding::Closed } else { PortForwarding::Wire };
                    self.forwarding_changed = true;
                }
                self.uplinks_again();
            }
        }
    }
}
