//! Port security: which addresses may be sources on an interface.
//!
//! [`Secure`] is what is configured, a part of the [`Program`](super::vlan::Program); a [`Guard`] is what came of it on one
//! interface: the addresses that are *secured* there, at first those that were typed, then those that are seen, until there
//! are as many as may be. A further one is a violation. Only the learning of an address asks the guard: who is known to be behind
//! the interface was let in, and an interface without security has none to ask.
//!
//! A guard is as old as what was learned on its interface: whatever makes that void makes a new one.

use super::lif::LifId;
use super::mac::{Key, MacTable, Second};
use super::tables::Tables;
use core::fmt;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vntag::ethernet::Mac;

/// Seconds between two alarms about violations that take nothing down.
const QUIET: u32 = 60;

/// What happens to an interface where an address is seen that may not be there. The frame is dropped in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Violation {
    /// It is taken down.
    #[default]
    Shutdown,
    /// It is counted, and told now and then.
    Restrict,
    /// Nothing.
    Protect,
}

/// What makes a secured address that was seen one that nobody keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Aging {
    /// The time since it was secured.
    #[default]
    Absolute,
    /// The time since it was last seen.
    Inactivity,
}

/// How an address came to be secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// It was typed.
    Static,
    /// It was seen, and is a line of the configuration from then on.
    Sticky,
    /// It was seen.
    Dynamic,
}

/// What is configured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Secure {
    /// How many addresses there may be.
    pub maximum: u16,
    /// What happens when there are more.
    pub violation: Violation,
    /// What is seen is to become a line of the configuration.
    pub sticky: bool,
    /// Minutes after which what was seen makes room for others; 0: never.
    pub aging_minutes: u16,
    /// From when on.
    pub aging: Aging,
    /// The addresses that are typed: VLAN in which they are learned, address, whether a sticky one.
    pub addresses: Box<[(u16, Mac, bool)]>,
}

/// Tells control that there is something to look at.
#[derive(Clone, Default)]
pub struct Alarm(Option<Arc<dyn Fn() + Send + Sync>>);

impl Alarm {
    /// Calls this; from any thread, and seldom.
    #[must_use]
    pub fn new(call: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(call)))
    }

    fn raise(&self) {
        if let Some(call) = &self.0 {
            call();
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alarm")
    }
}

/// A secured address.
#[derive(Clone, Copy, Debug)]
struct Secured {
    origin: Origin,
    since: Second,
}

#[derive(Clone, Debug, Default)]
struct Inner {
    secured: BTreeMap<Key, Secured>,
    violations: u64,
    /// The last violation, and when it was told.
    last: Option<Key>,
    told: Option<Second>,
    /// What control has not heard of.
    news: News,
}

/// What has happened on an interface since control last looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Somebody was there who may not be: VLAN and address of the last.
    pub violation: Option<(u16, Mac)>,
    /// Addresses that are to become lines of the configuration.
    pub sticky: Vec<(u16, Mac)>,
}

/// A secured address, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecuredAddress {
    /// The VLAN in which it is learned.
    pub vlan: u16,
    /// The address.
    pub mac: Mac,
    /// How it came to be secured.
    pub origin: Origin,
    /// Minutes until others may take its place; 0 where nobody can.
    pub remaining: u32,
}

/// The addresses that are secured on one interface.
#[derive(Debug)]
pub struct Guard {
    rules: Arc<Secure>,
    /// A violation has taken the interface down; tables that say so are on their way.
    tripped: AtomicBool,
    inner: Mutex<Inner>,
    alarm: Alarm,
}

impl Guard {
    /// A guard that has seen nobody yet; it goes on counting where `before` was.
    #[must_use]
    pub fn new(rules: Arc<Secure>, before: Option<&Self>, alarm: &Alarm) -> Self {
        let typed = |(vlan, mac, sticky): &(u16, Mac, bool)| {
            let origin = if *sticky { Origin::Sticky } else { Origin::Static };
            (Key::of(*vlan, (*mac).into()), Secured { origin, since: Second::default() })
        };
        let secured = rules.addresses.iter().map(typed).collect();
        let (violations, last) = before
            .map(|before| before.inner.lock())
            .map_or((0, None), |before| (before.violations, before.last));
        let inner = Inner { secured, violations, last, ..Inner::default() };
        Self { rules, tripped: AtomicBool::new(false), inner: Mutex::new(inner), alarm: alarm.clone() }
    }

    /// A guard by other rules that knows who was let in before, as far as there is room. The second value: somebody has lost
    /// his place, so that what was learned must be void.
    #[must_use]
    pub fn changed(rules: Arc<Secure>, before: &Self, alarm: &Alarm) -> (Self, bool) {
        let this = Self::new(rules, Some(before), alarm);
        let mut lost = false;
        {
            let (mut inner, old) = (this.inner.lock(), before.inner.lock());
            for (key, secured) in &old.secured {
                if inner.secured.contains_key(key) {
                    continue;
                }
                // A line that is gone takes its address along.
                let seen = secured.origin == Origin::Dynamic || old.news.sticky.contains(&key.parts());
                if seen && inner.secured.len() < usize::from(this.rules.maximum) {
                    inner.secured.insert(*key, *secured);
                } else {
                    lost = true;
                }
            }
            inner.news = old.news.clone();
            inner.told = old.told;
        }
        this.tripped.store(before.tripped.load(Ordering::Acquire), Ordering::Release);
        (this, lost)
    }

    /// The rules it goes by.
    #[must_use]
    pub fn rules(&self) -> &Arc<Secure> {
        &self.rules
    }

    /// A violation has taken the interface down.
    #[must_use]
    pub fn is_tripped(&self) -> bool {
        self.tripped.load(Ordering::Acquire)
    }

    /// Whether a source may be here that is not known to be; if so, it is secured. By the worker, and not for each frame:
    /// only for those whose source is to be learned.
    #[cold]
    pub(super) fn admit(&self, key: Key, here: LifId, now: Second, tables: &Tables, mac: &MacTable) -> bool {
        if self.is_tripped() {
            return false;
        }
        // Not both locks at once.
        let elsewhere = mac.lookup(key, now).filter(|learned| learned.lif != here).is_some_and(|learned| {
            let other = tables.live(learned.lif, learned.generation).and_then(|lif| lif.guard.as_ref());
            other.is_some_and(|guard| guard.inner.lock().secured.contains_key(&key))
        });
        let mut inner = self.inner.lock();
        if inner.secured.contains_key(&key) {
            return true;
        }
        if !elsewhere && (self.has_room(&inner) || self.make_room(&mut inner, now, mac)) {
            let origin = if self.rules.sticky { Origin::Sticky } else { Origin::Dynamic };
            inner.secured.insert(key, Secured { origin, since: now });
            if self.rules.sticky {
                inner.news.sticky.push(key.parts());
                drop(inner);
                self.alarm.raise();
            }
            return true;
        }
        if self.rules.violation == Violation::Protect {
            return false;
        }
        inner.violations += 1;
        inner.last = Some(key);
        let shutdown = self.rules.violation == Violation::Shutdown;
        let quiet = inner.told.is_some_and(|told| now.since(told) < QUIET);
        if shutdown || !quiet {
            inner.told = Some(now);
            inner.news.violation = Some(key.parts());
            drop(inner);
            if shutdown {
                self.tripped.store(true, Ordering::Release);
            }
            self.alarm.raise();
        }
        false
    }

    fn has_room(&self, inner: &Inner) -> bool {
        inner.secured.len() < usize::from(self.rules.maximum)
    }

    /// Lets those go whose time is over.
    fn make_room(&self, inner: &mut Inner, now: Second, mac: &MacTable) -> bool {
        let over: Vec<Key> = inner
            .secured
            .iter()
            .filter(|(key, secured)| self.remaining(**key, secured, now, mac) == Some(0))
            .map(|(key, _)| *key)
            .collect();
        for key in &over {
            inner.secured.remove(key);
            mac.forget(*key);
        }
        self.has_room(inner)
    }

    /// Seconds until an address has to make room; `None` if it never has to.
    fn remaining(&self, key: Key, secured: &Secured, now: Second, mac: &MacTable) -> Option<u32> {
        let limit = u32::from(self.rules.aging_minutes) * 60;
        if limit == 0 || secured.origin != Origin::Dynamic {
            return None;
        }
        let seen = match self.rules.aging {
            Aging::Absolute => now.since(secured.since),
            Aging::Inactivity => {
                let last = mac.lookup(key, now).map(|learned| now.since(learned.seen));
                last.map_or(now.since(secured.since), |last| last.min(now.since(secured.since)))
            }
        };
        Some(limit.saturating_sub(seen))
    }

    /// What control has not heard of.
    #[must_use]
    pub fn take_news(&self) -> News {
        core::mem::take(&mut self.inner.lock().news)
    }

    /// Violations that were counted, and the last: VLAN and address.
    #[must_use]
    pub fn violations(&self) -> (u64, Option<(u16, Mac)>) {
        let inner = self.inner.lock();
        (inner.violations, inner.last.map(Key::parts))
    }

    /// The addresses that are secured.
    #[must_use]
    pub fn addresses(&self, now: Second, mac: &MacTable) -> Vec<SecuredAddress> {
        let inner = self.inner.lock();
        let shown = |(key, secured): (&Key, &Secured)| {
            let (vlan, address) = key.parts();
            let remaining = self.remaining(*key, secured, now, mac).map_or(0, |seconds| seconds.div_ceil(60));
            SecuredAddress { vlan, mac: address, origin: secured.origin, remaining }
        };
        inner.secured.iter().map(shown).collect()
    }
}
