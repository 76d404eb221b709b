//! Third stage: what an admitted frame teaches, and who gets it.

use super::admit::Admitted;
use super::counters::WorkerCounters;
use super::lif::Lif;
use super::mac::{Learned, Lesson, MacTable, Second};
use super::tables::Tables;
use super::verdict::{DropReason, Verdict};

/// Notes the source (F11, F13, V28: only what was admitted comes here). `true` where the table changed.
#[inline]
pub(super) fn learn(
    tables: &Tables,
    mac: &MacTable,
    frame: &Admitted,
    source: &Lif,
    now: Second,
    counters: &WorkerCounters,
) -> bool {
    let seen = Learned { lif: frame.lif, generation: source.generation, seen: now };
    let live = |old: Learned| tables.live(old.lif, old.generation).is_some();
    match mac.learn(frame.source, seen, live) {
        Lesson::Known => return false,
        Lesson::New => counters.mac_learned.add(1),
        Lesson::Moved => counters.mac_moved.add(1),
        Lesson::Full => {
            counters.mac_table_full.add(1);
            return false;
        }
    }
    true
}

/// Who gets the frame (F1-F3).
#[inline]
pub(super) fn forward(tables: &Tables, mac: &MacTable, frame: &Admitted, now: Second) -> Verdict {
    if frame.group {
        return Verdict::Flood;
    }
    let Some(learned) = mac.lookup(frame.destination, now) else { return Verdict::Flood };
    let Some(lif) = tables.live(learned.lif, learned.generation) else { return Verdict::Flood };
    if learned.lif == frame.lif {
        let virt = lif.vif != 0;
        return Verdict::Drop(if virt { DropReason::SameVifUc } else { DropReason::SameIfUc });
    }
    Verdict::Unicast(learned.lif)
}
