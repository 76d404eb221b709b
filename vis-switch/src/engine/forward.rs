//! Third stage: what an admitted frame teaches, and who gets it.

use super::admit::Admitted;
use super::counters::WorkerCounters;
use super::lif::{Lif, LifId};
use super::mac::{Key, Learned, Lesson, MacTable, Second};
use super::tables::Tables;
use super::verdict::{DropReason, Verdict};

/// What the frame before taught and found, within one burst: frames of one flow come in a row.
#[derive(Default)]
pub(super) struct Recent {
    source: Option<(Key, LifId)>,
    destination: Option<(Key, Option<LifId>)>,
}

impl Recent {
    /// The source of the frame before is in the table, or has no room there.
    pub(super) fn has_learned(&self) -> bool {
        self.source.is_some()
    }
}

/// Notes the source (F11, F13, V28: only what was admitted comes here).
///
/// # Errors
/// Port security does not let it in there.
#[inline]
pub(super) fn learn(
    tables: &Tables,
    mac: &MacTable,
    frame: &Admitted,
    source: &Lif,
    now: Second,
    counters: &WorkerCounters,
    recent: &mut Recent,
) -> Result<(), DropReason> {
    let who = Some((frame.source, frame.lif));
    if recent.source == who {
        return Ok(());
    }
    if let Some(guard) = &source.guard {
        let known = !guard.is_tripped() && mac.is_behind(frame.source, frame.lif, source.generation, now);
        if !known && !guard.admit(frame.source, frame.lif, now, tables, mac) {
            return Err(DropReason::PortSecurity);
        }
    }
    recent.source = who;
    let seen = Learned { lif: frame.lif, generation: source.generation, seen: now };
    let live = |old: Learned| tables.remembers(old.lif, old.generation);
    match mac.learn(frame.source, seen, live) {
        Lesson::Known => return Ok(()),
        Lesson::New => counters.mac_learned.add(1),
        Lesson::Moved => counters.mac_moved.add(1),
        Lesson::Full => counters.mac_table_full.add(1),
        // The next frame teaches it.
        Lesson::Busy => recent.source = None,
    }
    // What was found before may be another's now.
    recent.destination = None;
    Ok(())
}

/// Who gets the frame (F1-F3).
#[inline]
pub(super) fn forward(
    tables: &Tables,
    mac: &MacTable,
    frame: &Admitted,
    now: Second,
    recent: &mut Recent,
) -> Verdict {
    if frame.group {
        return Verdict::Flood;
    }
    let found = match recent.destination {
        Some((key, found)) if key == frame.destination => found,
        _ => {
            let learned = mac.lookup(frame.destination, now);
            let live = learned.filter(|learned| tables.live(learned.lif, learned.generation).is_some());
            let found = live.map(|learned| learned.lif);
            recent.destination = Some((frame.destination, found));
            found
        }
    };
    match found {
        None => Verdict::Flood,
        Some(lif) if lif != frame.lif => Verdict::Unicast(lif),
        Some(lif) => Verdict::Drop(match tables.lif(lif) {
            Some(lif) if lif.vif != 0 => DropReason::SameVifUc,
            _ => DropReason::SameIfUc,
        }),
    }
}
