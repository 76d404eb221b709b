//! A line with faults: frames go in, and what the plan made of them comes out when it is due.

use super::Counters;
use super::plan::FaultPlan;
use super::random::Random;
use crate::frame::{OutFrame, Undone};
use crate::queue::Nanos;
use std::collections::VecDeque;
use std::sync::Arc;

/// Frames a line holds at the most; then it takes no more.
pub(super) const LINE_FRAMES: usize = 8192;

/// Octets after which it takes no more.
const LINE_OCTETS: usize = 16 << 20;

/// How long a frame that is to be overtaken waits for the next one.
const OVERTAKE: Nanos = 1_000_000;

/// Frames on their way in one direction of one queue.
pub(super) struct Line {
    plan: FaultPlan,
    random: Random,
    counters: Arc<Counters>,
    /// In the order in which they come out; `due` never falls.
    held: VecDeque<Held>,
    /// A frame that lets the next one pass; at `due` it goes on anyway.
    aside: Option<Held>,
    octets: usize,
    free: Vec<Vec<u8>>,
}

struct Held {
    due: Nanos,
    bytes: Vec<u8>,
    undone: Option<Undone>,
}

/// A frame that comes out.
pub(super) struct Due<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) undone: Option<Undone>,
}

impl Line {
    pub(super) fn new(plan: FaultPlan, stream: u64, counters: Arc<Counters>) -> Self {
        let random = Random::stream(plan.seed(), stream);
        Self { plan, random, counters, held: VecDeque::new(), aside: None, octets: 0, free: Vec::new() }
    }

    /// How many frames can be taken for certain, each with its duplicate.
    pub(super) fn room(&self) -> usize {
        let used = self.held.len() + usize::from(self.aside.is_some());
        if self.octets >= LINE_OCTETS { 0 } else { LINE_FRAMES.saturating_sub(used) / 2 }
    }

    /// Takes a copy of the frame and rolls the dice. There must be room.
    pub(super) fn put(&mut self, now: Nanos, frame: &OutFrame<'_>) {
        let undone = frame.undone;
        // Always the same dice in the same order: a seed drops the same frames whatever else the plan says.
        let drop = self.random.chance(self.plan.drop());
        let duplicate = self.random.chance(self.plan.duplicate());
        let reorder = self.random.chance(self.plan.reorder());
        let corrupt = self.random.chance(self.plan.corrupt());
        let bit = self.random.below(frame.len() * 8);
        if drop {
            self.counters.fault_dropped.add(1);
            return;
        }
        let mut bytes = self.free.pop().unwrap_or_default();
        bytes.resize(frame.len(), 0);
        frame.copy_to(&mut bytes);
        if corrupt && let Some(octet) = bytes.get_mut(bit / 8) {
            *octet ^= 1 << (bit % 8);
            self.counters.fault_corrupted.add(1);
        }
        self.octets += bytes.len();
        let due = now.saturating_add(self.plan.delay());
        self.counters.fault_delayed.add(u64::from(self.plan.delay() > 0));
        if duplicate {
            let mut copy = self.free.pop().unwrap_or_default();
            copy.clone_from(&bytes);
            self.octets += copy.len();
            self.push(Held { due, bytes: copy, undone });
            self.counters.fault_duplicated.add(1);
        }
        if reorder && self.aside.is_none() {
            self.aside = Some(Held { due: now.saturating_add(OVERTAKE), bytes, undone });
        } else {
            self.push(Held { due, bytes, undone });
            if let Some(aside) = self.aside.take() {
                self.push(Held { due, ..aside });
                self.counters.fault_reordered.add(1);
            }
        }
    }

    fn push(&mut self, held: Held) {
        let due = self.held.back().map_or(held.due, |last| last.due.max(held.due));
        self.held.push_back(Held { due, ..held });
    }

    /// Nobody overtook the frame that stepped aside, and it waited long enough.
    pub(super) fn settle(&mut self, now: Nanos) {
        if let Some(aside) = self.aside.take_if(|aside| aside.due <= now) {
            let due = now.saturating_add(self.plan.delay().saturating_sub(OVERTAKE));
            self.push(Held { due, ..aside });
        }
    }

    /// The frames that are due, oldest first.
    pub(super) fn due(&self, now: Nanos) -> impl Iterator<Item = Due<'_>> {
        let due = self.held.iter().take_while(move |held| held.due <= now);
        due.map(|held| Due { bytes: &held.bytes, undone: held.undone })
    }

    /// The oldest `n` are gone.
    pub(super) fn pop(&mut self, n: usize) {
        for held in self.held.drain(..n.min(self.held.len())) {
            self.octets -= held.bytes.len();
            self.free.push(held.bytes);
        }
    }

    /// Everything is gone; says how many frames that were.
    pub(super) fn clear(&mut self) -> usize {
        let gone = self.held.len() + usize::from(self.aside.is_some());
        self.pop(self.held.len());
        if let Some(aside) = self.aside.take() {
            self.free.push(aside.bytes);
        }
        self.octets = 0;
        gone
    }

    /// When the next frame moves.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        let front = self.held.front().map(|held| held.due);
        let aside = self.aside.as_ref().map(|aside| aside.due);
        front.into_iter().chain(aside).min()
    }
}
