//! Which receiving queues a worker looks at: busy ones are polled, quiet ones are armed and cost nothing.

use crate::queue::{Nanos, RxQueue};

/// Empty visits in a row after which a queue is armed, where few queues are polled.
pub const EMPTY_VISITS: u8 = 16;

/// Empty visits in a row of all polled queues together. Where few queues are busy, looking again is cheaper than an event;
/// among many, each look costs a miss of the cache, and by the time of the next one the worker has been elsewhere for long.
const ALL_VISITS: usize = 64;

/// A queue's place in [`Sources`]; also the token of its event.
pub type SourceId = usize;

struct Slot {
    queue: Box<dyn RxQueue>,
    empty: u8,
    /// Its place among the polled ones.
    polled: Option<usize>,
}

/// The receiving queues of one worker.
///
/// ```text
///      empty visits ([`EMPTY_VISITS`] at the most), arm() says nothing waits
///   polled ------------------------------------------> armed
///      ^                                                 |
///      +------- wake(id), or its deadline passed --------+
/// ```
#[derive(Default)]
pub struct Sources {
    slots: Vec<Option<Slot>>,
    polled: Vec<SourceId>,
    /// Queues that may have deadlines.
    timed: Vec<SourceId>,
    first: usize,
    /// Empty visits in a row after which a queue is armed in this round.
    patience: u8,
}

impl Sources {
    /// Adds a queue, polled at first.
    pub fn add(&mut self, queue: Box<dyn RxQueue>) -> SourceId {
        let timed = queue.has_deadlines();
        let slot = Slot { queue, empty: 0, polled: Some(self.polled.len()) };
        let id = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if id == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[id] = Some(slot);
        self.polled.push(id);
        if timed {
            self.timed.push(id);
        }
        id
    }

    /// Takes a queue out.
    pub fn remove(&mut self, id: SourceId) -> Option<Box<dyn RxQueue>> {
        let slot = self.slots.get_mut(id)?.take()?;
        if let Some(at) = slot.polled {
            self.rest(at);
        }
        self.timed.retain(|timed| *timed != id);
        Some(slot.queue)
    }

    /// The queue, to receive from.
    pub fn queue(&mut self, id: SourceId) -> Option<&mut (dyn RxQueue + '_)> {
        Some(self.slots.get_mut(id)?.as_mut()?.queue.as_mut())
    }

    /// Its event fired, or somebody knows that it has frames: polled from now on.
    pub fn wake(&mut self, id: SourceId) {
        if let Some(Some(slot)) = self.slots.get_mut(id)
            && slot.polled.is_none()
        {
            slot.queue.disarm();
            slot.polled = Some(self.polled.len());
            slot.empty = 0;
            self.polled.push(id);
        }
    }

    /// Wakes every queue. For worlds without events.
    pub fn wake_all(&mut self) {
        for id in 0..self.slots.len() {
            self.wake(id);
        }
    }

    /// The polled queues in the order of this round; a different one is first each time, so that none starves.
    pub fn round(&mut self, order: &mut Vec<SourceId>) {
        order.clear();
        if self.polled.is_empty() {
            return;
        }
        self.patience = (ALL_VISITS / self.polled.len()).clamp(1, EMPTY_VISITS.into()) as u8;
        self.first = (self.first + 1) % self.polled.len();
        order.extend_from_slice(&self.polled[self.first..]);
        order.extend_from_slice(&self.polled[..self.first]);
    }

    /// After a visit that lent `lent` frames: arms the queue once it was empty often enough. A visit that left
    /// frames behind because their way was full counts as one with frames.
    pub fn visited(&mut self, id: SourceId, lent: usize) {
        let Some(Some(slot)) = self.slots.get_mut(id) else { return };
        if lent > 0 {
            slot.empty = 0;
            return;
        }
        slot.empty = slot.empty.saturating_add(1);
        if slot.empty >= self.patience
            && let Some(at) = slot.polled
        {
            if slot.queue.arm() {
                slot.polled = None;
                self.rest(at);
            } else {
                slot.empty = 0;
            }
        }
    }

    /// The queue at this place is polled no more; the last one takes its place.
    fn rest(&mut self, at: usize) {
        self.polled.swap_remove(at);
        if let Some(moved) = self.polled.get(at)
            && let Some(Some(slot)) = self.slots.get_mut(*moved)
        {
            slot.polled = Some(at);
        }
    }

    /// How many queues are polled; 0: every queue is armed, and the worker may sleep until an event or the
    /// earliest [`deadline`](Self::deadline).
    #[must_use]
    pub fn polled(&self) -> usize {
        self.polled.len()
    }

    /// The earliest moment at which a queue has something without any event.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        self.timed.iter().filter_map(|id| self.slots.get(*id)?.as_ref()?.queue.deadline()).min()
    }

    /// Wakes the armed queues whose deadline has come. A worker calls this at the beginning of a turn: a
    /// deadline is no event, so nothing else would.
    pub fn wake_due(&mut self, now: Nanos) {
        for index in 0..self.timed.len() {
            let id = self.timed[index];
            if let Some(Some(slot)) = self.slots.get(id)
                && slot.polled.is_none()
                && slot.queue.deadline().is_some_and(|due| due <= now)
            {
                self.wake(id);
            }
        }
    }

    /// Every queue there is.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &dyn RxQueue)> {
        self.slots.iter().enumerate().filter_map(|(id, slot)| Some((id, slot.as_ref()?.queue.as_ref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{FaultPlan, inject};
    use crate::pair::pair;
    use crate::{BURST, OutFrame, RxBurst};

    /// One round as a worker makes it; says how many frames came.
    fn visit(sources: &mut Sources, now: Nanos) -> usize {
        sources.wake_due(now);
        let mut order = Vec::new();
        sources.round(&mut order);
        let mut all = 0;
        for id in order {
            let queue = sources.queue(id).unwrap();
            let mut burst = RxBurst::new();
            queue.recv(now, BURST, &mut burst);
            let lent = burst.len();
            drop(burst);
            queue.release(lent);
            sources.visited(id, lent);
            all += lent;
        }
        all
    }

    #[test]
    fn among_many_queues_each_is_armed_sooner() {
        for (queues, visits) in [(1, 16), (4, 16), (8, 8), (64, 1), (200, 1)] {
            let mut sources = Sources::default();
            let mut ends: Vec<_> = (0..queues).map(|_| pair(8)).collect();
            for (_, b, _) in &mut ends {
                sources.add(b.rx.remove(0));
            }
            // The last one is busy all the time.
            let busy = queues - 1;
            for round in 0..visits {
                assert_eq!(sources.polled(), queues, "{queues} queues, round {round}");
                ends[busy].0.tx[0].send(0, &[OutFrame::private(&[1])]);
                assert_eq!(visit(&mut sources, 0), 1);
            }
            assert_eq!(sources.polled(), 1, "{queues} queues");
            // Whoever is woken is polled in its old place or another one, once.
            (0..queues).for_each(|id| sources.wake(id));
            assert_eq!(sources.polled(), queues);
            ends.iter_mut().for_each(|(a, _, _)| _ = a.tx[0].send(0, &[OutFrame::private(&[1])]));
            assert_eq!(visit(&mut sources, 0), queues);
            (0..queues).for_each(|id| drop(sources.remove(id)));
            assert_eq!(sources.polled(), 0);
        }
    }

    #[test]
    fn an_armed_queue_is_looked_at_when_its_deadline_comes() {
        let (mut a, b, _cable) = pair(8);
        let mut b = inject(b, FaultPlan::new(1).with_delay(1.0).unwrap());
        let mut sources = Sources::default();
        sources.add(b.rx.remove(0));
        a.tx[0].send(0, &[OutFrame::private(&[1])]);
        for now in 0..=u64::from(EMPTY_VISITS) {
            assert_eq!(visit(&mut sources, now), 0);
        }
        assert_eq!(sources.polled(), 0, "a frame that is held back keeps nobody awake");
        let due = sources.deadline().unwrap();
        assert_eq!(visit(&mut sources, due - 1), 0);
        assert_eq!(visit(&mut sources, due), 1);
        assert_eq!(sources.deadline(), None);
    }
}
