//! What interfaces sent and got, over all lives of the switch.
//!
//! A vEth's counters go on where they were when they were last written. They are written before anybody is told them,
//! so that nobody is ever told less than before, whenever the switch was killed.

use super::keep;
use crate::config::slots::{Owner, Slots};
use crate::engine::counters::{CopyCounters, LifCounters, Total};
use crate::engine::tables::Tables;
use niv_node::store::Op;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What an interface sent to the switch and got from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Sent by it, dropped frames included.
    pub rx: Total,
    /// Dropped on the way in.
    pub rx_dropped: u64,
    /// Sent to it.
    pub tx: Total,
    /// For it, and not sent.
    pub tx_dropped: u64,
}

impl Traffic {
    /// What came since then. Where a counter began anew meanwhile, nothing.
    #[must_use]
    pub fn since(self, then: Self) -> Self {
        let total = |a: Total, b: Total| Total {
            frames: a.frames.saturating_sub(b.frames),
            octets: a.octets.saturating_sub(b.octets),
        };
        Self {
            rx: total(self.rx, then.rx),
            rx_dropped: self.rx_dropped.saturating_sub(then.rx_dropped),
            tx: total(self.tx, then.tx),
            tx_dropped: self.tx_dropped.saturating_sub(then.tx_dropped),
        }
    }
}

/// Where the counters that a page shows begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clearing {
    /// When they were cleared, on the switch's clock.
    pub at: u64,
    /// What had been counted by then.
    pub before: Traffic,
}

impl core::ops::Add for Traffic {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            rx: self.rx + other.rx,
            rx_dropped: self.rx_dropped.wrapping_add(other.rx_dropped),
            tx: self.tx + other.tx,
            tx_dropped: self.tx_dropped.wrapping_add(other.tx_dropped),
        }
    }
}

/// [`Traffic`] as it is kept: each pair is frames and octets.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u16,
    rx: (u64, u64),
    rx_dropped: u64,
    tx: (u64, u64),
    tx_dropped: u64,
}

const VERSION: u16 = 1;

impl Traffic {
    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { rx, rx_dropped, tx, tx_dropped } = *self;
        let pair = |total: Total| (total.frames, total.octets);
        let written = Written { version: VERSION, rx: pair(rx), rx_dropped, tx: pair(tx), tx_dropped };
        // A struct of numbers always is JSON.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    pub(super) fn decode(octets: &[u8]) -> Result<Self, String> {
        let Written { version, rx, rx_dropped, tx, tx_dropped } =
            serde_json::from_slice(octets).map_err(|error| error.to_string())?;
        if version != VERSION {
            return Err(format!("counters of version {version}; this release reads version {VERSION}"));
        }
        let total = |(frames, octets)| Total { frames, octets };
        Ok(Self { rx: total(rx), rx_dropped, tx: total(tx), tx_dropped })
    }
}

impl Traffic {
    /// The greater of each. Counters are read while workers write them, so that a sum of them may be short by what came
    /// in between; nobody is shown that.
    fn at_least(self, other: Self) -> Self {
        let total =
            |a: Total, b: Total| Total { frames: a.frames.max(b.frames), octets: a.octets.max(b.octets) };
        Self {
            rx: total(self.rx, other.rx),
            rx_dropped: self.rx_dropped.max(other.rx_dropped),
            tx: total(self.tx, other.tx),
            tx_dropped: self.tx_dropped.max(other.tx_dropped),
        }
    }
}

/// The vEths' counters of earlier lives, and counters of flood copies that are in no table any more.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// What vEths had counted before this life.
    earlier: BTreeMap<u32, Traffic>,
    /// What was last told, or written without being told.
    told: BTreeMap<u32, Traffic>,
    /// The vEths for which that could not be written.
    unwritten: BTreeSet<u32>,
    /// The interfaces whose counters were cleared.
    cleared: BTreeMap<Owner, Clearing>,
    /// Copies of former tables, until no worker counts on them.
    retired: Vec<Arc<CopyCounters>>,
}

impl Books {
    /// The books of a switch that finds these in its store.
    pub(super) fn new(kept: BTreeMap<u32, Traffic>) -> Self {
        Self { told: kept.clone(), earlier: kept, ..Self::default() }
    }

    /// Tables replaced others: what was counted on copies that are no longer there must not get lost.
    pub(super) fn replaced(&mut self, former: &Tables, now: &Tables) {
        let still: BTreeSet<*const CopyCounters> = now.copy_counters().map(Arc::as_ptr).collect();
        let gone = former.copy_counters().filter(|copy| !still.contains(&Arc::as_ptr(copy))).cloned();
        self.retired.extend(gone);
    }

    /// Gives the counts of copies that nobody counts on any more to their members.
    pub(super) fn settle(&mut self) {
        for copy in core::mem::take(&mut self.retired) {
            match Arc::try_unwrap(copy) {
                Ok(copy) => {
                    let total = copy.sent();
                    copy.members.iter().for_each(|member| member.retired.add(total.frames, total.octets));
                }
                Err(copy) => self.retired.push(copy),
            }
        }
    }

    /// What the named interfaces sent and got; those that do not exist are left out.
    pub(super) fn read(
        &mut self,
        slots: &Slots,
        tables: &Tables,
        owners: impl IntoIterator<Item = Owner>,
    ) -> BTreeMap<Owner, Traffic> {
        self.settle();
        let mut own: HashMap<*const LifCounters, Total> = HashMap::new();
        let owners: Vec<_> =
            owners.into_iter().filter_map(|owner| Some((owner, slots.counters(owner)?))).collect();
        own.extend(owners.iter().map(|(_, counters)| (Arc::as_ptr(counters), Total::default())));
        for copy in tables.copy_counters().chain(&self.retired) {
            let sent = copy.sent();
            for member in &copy.members {
                if let Some(sum) = own.get_mut(&Arc::as_ptr(member)) {
                    *sum = *sum + sent;
                }
            }
        }
        let traffic = |(owner, counters): (Owner, &Arc<LifCounters>)| {
            let lists = own.get(&Arc::as_ptr(counters)).copied().unwrap_or_default();
            let life = Traffic {
                rx: counters.received(),
                rx_dropped: counters.rx_dropped(),
                tx: counters.transmitted(lists),
                tx_dropped: counters.tx_dropped(),
            };
            let Owner::Vethernet(number) = owner else { return (owner, life) };
            let known = |of: &BTreeMap<u32, Traffic>| of.get(&number).copied().unwrap_or_default();
            (owner, (known(&self.earlier) + life).at_least(known(&self.told)))
        };
        owners.into_iter().map(traffic).collect()
    }

    /// What is to be written so that these may be told: those that differ from what is written already.
    pub(super) fn tell(&mut self, read: &BTreeMap<Owner, Traffic>) -> Vec<Op> {
        let mut batch = Vec::new();
        for (owner, traffic) in read {
            let Owner::Vethernet(number) = owner else { continue };
            let before = self.told.insert(*number, *traffic).unwrap_or_default();
            let again = self.unwritten.remove(number);
            if again || before != *traffic {
                batch.push(keep::counters(*number, Some(traffic)));
            }
        }
        batch
    }

    /// From now on pages show what comes beyond this. What is written and told elsewhere goes on.
    pub(super) fn clear(&mut self, at: u64, counted: impl IntoIterator<Item = (Owner, Traffic)>) {
        self.cleared.extend(counted.into_iter().map(|(owner, before)| (owner, Clearing { at, before })));
    }

    /// Where the counters of an interface begin, if they were cleared in this life.
    pub(super) fn clearing(&self, owner: Owner) -> Option<Clearing> {
        self.cleared.get(&owner).copied()
    }

    /// Something that was to be written was not: all is to be written again.
    pub(super) fn not_written(&mut self) {
        self.unwritten.extend(self.told.keys());
    }

    /// The vEths that are no more lose their counters; what is to be forgotten in the store is returned.
    pub(super) fn forget(&mut self, exists: impl Fn(u32) -> bool) -> Vec<Op> {
        self.earlier.retain(|number, _| exists(*number));
        self.unwritten.retain(|number| exists(*number));
        self.cleared.retain(|owner, _| !matches!(owner, Owner::Vethernet(number) if !exists(*number)));
        let gone: Vec<u32> = self.told.keys().copied().filter(|number| !exists(*number)).collect();
        for number in &gone {
            self.told.remove(number);
        }
        gone.into_iter().map(|number| keep::counters(number, None)).collect()
    }
}
