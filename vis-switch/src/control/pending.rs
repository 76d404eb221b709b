//! The vNICs that were asked for and refused: what `show interface virtual pending` shows, and whom to tell when it may
//! be worth asking again.

use super::record::Identity;
use super::vif::shown;
use crate::config::running::ProfileName;
use std::collections::{BTreeMap, BTreeSet};
use vntag::ctl::{Provisioning, Refusal, Status};

/// Rows for each link: as many as it can have VIFs.
const MOST_ROWS: usize = 4_094;
/// Nanoseconds after which a row goes that is not asked for again: an adapter asks every five seconds.
pub(super) const FORGOTTEN: u64 = 30_000_000_000;

/// What would have to change.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Waits {
    /// The configuration, or nothing that the switch could tell.
    Config,
    /// A VIF id of the link becomes free.
    Ids,
    /// A vEth with this profile goes.
    Profile(ProfileName),
    /// This vEth is let go of.
    Veth(u32),
}

/// Why something is refused.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) status: Status,
    pub(super) why: String,
    pub(super) waits: Waits,
}

impl Refused {
    pub(super) fn new(status: Status, why: impl Into<String>, waits: Waits) -> Self {
        Self { status, why: why.into(), waits }
    }

    pub(super) fn refusal(&self) -> Refusal {
        Refusal::with_cause(self.status, self.status.0, &self.why)
    }
}

/// Who asks, as far as the request says so.
#[derive(Clone, Debug, Default)]
pub(super) struct Asker {
    pub(super) identity: Option<Identity>,
    pub(super) profile: Option<String>,
    pub(super) vnic: Option<String>,
    pub(super) vm: Option<String>,
}

impl Asker {
    pub(super) fn read(identity: Option<Identity>, blob: &Provisioning) -> Self {
        Self {
            identity,
            profile: blob.profile().map(str::to_owned),
            vnic: blob.port_name().map(shown),
            vm: blob.client_name().map(shown),
        }
    }
}

/// A row.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) asker: Asker,
    pub(super) refused: Refused,
    pub(super) since: u64,
    pub(super) tries: u32,
    last: u64,
}

/// A vNIC on a link: index of the port, channel.
pub(super) type RowKey = (usize, u16);

#[derive(Debug, Default)]
pub(super) struct Pending {
    rows: BTreeMap<RowKey, Row>,
    waiting: BTreeSet<(Waits, RowKey)>,
    /// By when they were last asked for.
    by_last: BTreeSet<(u64, RowKey)>,
    count: BTreeMap<usize, usize>,
}

impl Pending {
    /// Takes note of a refusal. Says whether it is news: the first, or for another reason.
    pub(super) fn refuse(&mut self, now: u64, key: RowKey, asker: Asker, refused: Refused) -> bool {
        let before = self.remove(key);
        if self.count.get(&key.0).copied().unwrap_or(0) >= MOST_ROWS {
            let oldest = self.by_last.iter().find(|(_, (port, _))| *port == key.0).map(|(_, key)| *key);
            oldest.map(|oldest| self.remove(oldest));
        }
        let same = before.as_ref().is_some_and(|row| row.asker.identity == asker.identity);
        let news = !same || before.as_ref().is_none_or(|row| row.refused.why != refused.why);
        let (since, tries) = match before {
            Some(row) if same => (row.since, row.tries.saturating_add(1)),
            _ => (now, 1),
        };
        self.waiting.insert((refused.waits.clone(), key));
        self.by_last.insert((now, key));
        *self.count.entry(key.0).or_default() += 1;
        self.rows.insert(key, Row { asker, refused, since, tries, last: now });
        news
    }

    /// It was given what it asked for, or does not ask any more.
    pub(super) fn remove(&mut self, key: RowKey) -> Option<Row> {
        let row = self.rows.remove(&key)?;
        self.waiting.remove(&(row.refused.waits.clone(), key));
        self.by_last.remove(&(row.last, key));
        if let Some(count) = self.count.get_mut(&key.0) {
            *count = count.saturating_sub(1);
        }
        Some(row)
    }

    /// The adapter of a port is lost: it will ask anew.
    pub(super) fn remove_port(&mut self, port: usize) {
        let keys: Vec<RowKey> = self.of_port(port).map(|(key, _)| *key).collect();
        for key in keys {
            self.remove(key);
        }
    }

    /// Drops rows that nobody asks for any more. Says when the next one may have to go.
    pub(super) fn expire(&mut self, now: u64) -> Option<u64> {
        while let Some(&(last, key)) = self.by_last.first() {
            let until = last.saturating_add(FORGOTTEN);
            if until > now {
                return Some(until);
            }
            self.remove(key);
        }
        None
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&RowKey, &Row)> {
        self.rows.iter()
    }

    pub(super) fn of_port(&self, port: usize) -> impl Iterator<Item = (&RowKey, &Row)> {
        self.rows.range((port, 0)..=(port, u16::MAX))
    }

    /// The ports where somebody waits for this.
    pub(super) fn ports_waiting(&self, waits: &Waits) -> BTreeSet<usize> {
        let from = (waits.clone(), (0, 0));
        self.waiting.range(from..).take_while(|(of, _)| of == waits).map(|(_, (port, _))| *port).collect()
    }

    /// Whether somebody on this port waits for this.
    pub(super) fn is_waiting(&self, waits: &Waits, port: usize) -> bool {
        let row = |channel| (waits.clone(), (port, channel));
        self.waiting.range(row(0)..=row(u16::MAX)).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Refused {
        Refused::new(Status::INSUFFICIENT_RESOURCES, "all VIF ids are in use", Waits::Ids)
    }

    #[test]
    fn a_row_counts_its_tries_and_goes_when_nobody_asks() {
        let mut pending = Pending::default();
        assert!(pending.refuse(5, (0, 3), Asker::default(), full()));
        assert!(!pending.refuse(9, (0, 3), Asker::default(), full()));
        let other = Refused::new(Status::UNKNOWN_PROFILE, "no port-profile web", Waits::Config);
        assert!(pending.refuse(10, (0, 3), Asker::default(), other), "another reason is news");
        let (_, row) = pending.iter().next().expect("a row");
        assert_eq!((row.since, row.tries), (5, 3));
        assert_eq!(pending.expire(9 + FORGOTTEN), Some(10 + FORGOTTEN));
        assert_eq!(pending.expire(10 + FORGOTTEN), None);
        assert!(pending.is_empty() && pending.waiting.is_empty() && pending.by_last.is_empty());
    }

    #[test]
    fn those_who_wait_are_found_by_what_they_wait_for() {
        let mut pending = Pending::default();
        for key in [(2, 1), (2, 9), (0, 1)] {
            pending.refuse(0, key, Asker::default(), full());
        }
        assert_eq!(pending.ports_waiting(&Waits::Ids), BTreeSet::from([0, 2]));
        assert!(pending.is_waiting(&Waits::Ids, 2) && !pending.is_waiting(&Waits::Ids, 1));
        assert!(pending.ports_waiting(&Waits::Veth(1)).is_empty());
        pending.remove_port(2);
        assert_eq!(pending.ports_waiting(&Waits::Ids), BTreeSet::from([0]));
    }

    #[test]
    fn a_link_cannot_fill_the_table() {
        let mut pending = Pending::default();
        pending.refuse(1, (1, 1), Asker::default(), full());
        for channel in 0..=u16::MAX {
            pending.refuse(2 + u64::from(channel), (0, channel), Asker::default(), full());
        }
        assert_eq!(pending.len(), MOST_ROWS + 1);
        assert!(pending.rows.contains_key(&(0, u16::MAX)) && pending.rows.contains_key(&(1, 1)));
    }
}
