//! What the guards of interfaces tell, and the lines that sticky addresses become.

use super::{State, Switch, keep};
use crate::config::running::RunningConfig;
use crate::config::slots::Owner;
use crate::config::text;
use crate::engine::mac::Second;
use crate::engine::secure::{SecuredAddress, Violation};
use std::sync::Arc;

impl State {
    /// Has control hear of violations, and notes what is to become lines.
    pub(super) fn look_at_guards(&mut self, now: u64) {
        for (owner, guard) in self.slots.guards() {
            let news = guard.take_news();
            if let Some(at) = news.violation {
                let shutdown = guard.rules().violation == Violation::Shutdown;
                self.control.handle_violation(now, owner, at, shutdown);
            }
            self.sticky.extend(news.sticky.into_iter().map(|(vlan, mac)| (owner, vlan, mac)));
        }
    }
}

impl Switch {
    /// Addresses that were seen on interfaces with sticky ones become lines there. If somebody changes the configuration just
    /// now, they do the next time that this is called; nobody waits. An interface without lines, as an adapter makes it, gets none.
    pub(super) fn adopt_sticky(&self) -> bool {
        if self.state.lock().sticky.is_empty() {
            return false;
        }
        let Some(_one) = self.changing.try_lock() else {
            // Whoever holds it wakes control when done.
            return false;
        };
        let mut state = self.state.lock();
        let before = Arc::clone(&state.config);
        let mut config = (*before).clone();
        for (owner, vlan, mac) in core::mem::take(&mut state.sticky) {
            if config.is_configured(owner) && wants_sticky(&config, &state, owner) {
                // It is there, and there is no more than the maximum of them.
                let _ = config.secure(owner, mac, Some(vlan), true);
            }
        }
        if config == *before {
            return false;
        }
        let wake = Arc::clone(&self.wake);
        let done = move |result: Result<_, _>| {
            if result.is_err() {
                wake.counters_lost();
            }
        };
        // What fails shows in the store's health; nobody was told that the lines are kept.
        self.store.submit(vec![keep::running(Some(text::running_config(&config)))], Box::new(done));
        config.count_on(&before);
        state.config = Arc::new(config);
        let now = self.now();
        let running = Arc::clone(&state.config);
        state.control.configure(now, running);
        state.publishing.want(None);
        true
    }

    /// How many addresses can be learned at least.
    #[must_use]
    pub fn most_addresses(&self) -> usize {
        self.chassis.mac_table_size
    }

    /// The addresses that are secured on an interface.
    #[must_use]
    pub fn secured(&self, state: &State, owner: Owner) -> Vec<SecuredAddress> {
        let now = Second::of(self.now());
        state.slots.guard(owner).map(|guard| guard.addresses(now, &self.mac)).unwrap_or_default()
    }

    /// These interfaces come up again, if a violation has taken them down.
    pub fn recover(&self, owners: impl IntoIterator<Item = Owner>) {
        let mut state = self.state.lock();
        let now = self.now();
        owners.into_iter().for_each(|owner| state.control.recover(now, owner));
        state.turn(self, now);
        drop(state);
        self.wake.wake();
    }
}

/// Whether sticky addresses are still wanted on an interface.
fn wants_sticky(config: &RunningConfig, state: &State, owner: Owner) -> bool {
    let security = match owner {
        Owner::Vethernet(number) => {
            let asked = state.control.veth(number).and_then(|veth| veth.record?.profile.as_deref());
            let asked = asked.and_then(crate::config::running::ProfileName::new);
            config.effective(number, asked.as_ref()).switchport.security
        }
        Owner::Ethernet(id) => config.effective_ethernet(id).switchport.security,
    };
    security.enabled && security.sticky
}
