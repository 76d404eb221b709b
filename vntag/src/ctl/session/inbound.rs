//! The peer's requests: each is delivered once, and answered as often as it is asked.

use super::super::Opcode;

/// Sequence numbers the receiver keeps in mind; a sender never has requests outstanding that are further apart.
pub(super) const SPAN: u16 = 256;

/// What a request's sequence number says about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admit {
    /// Never seen.
    New,
    /// Seen, and not answered yet.
    Pending,
    /// Seen and answered.
    Answered,
    /// From before what is kept in mind.
    Stale,
    /// Over the window that was announced.
    Full,
}

#[derive(Default, Debug)]
enum Slot {
    #[default]
    Empty,
    Pending(Opcode),
    Answered(Vec<u8>),
}

/// The window of sequence numbers `floor < seq <= high`, at most [`SPAN`] wide, and what became of each.
#[derive(Debug)]
pub(super) struct Inbound {
    high: u16,
    floor: u16,
    /// One for each value of a number's low octet.
    slots: Box<[Slot; SPAN as usize]>,
    pending: usize,
}

impl Inbound {
    /// Nothing up to `high` is new any more. A session's first request has number 1.
    pub(super) fn after(high: u16) -> Self {
        Self { high, floor: high, slots: Box::new(core::array::from_fn(|_| Slot::Empty)), pending: 0 }
    }

    pub(super) const fn high(&self) -> u16 {
        self.high
    }

    /// Judges a request, and takes note of a new one.
    pub(super) fn admit(&mut self, seq: u16, opcode: Opcode, window: u16) -> Admit {
        if !is_after(seq, self.floor) {
            return Admit::Stale;
        }
        if !is_after(seq, self.high) {
            match self.slot(seq) {
                Slot::Pending(_) => return Admit::Pending,
                Slot::Answered(_) => return Admit::Answered,
                Slot::Empty => {}
            }
        }
        // A sender that jumps ahead has given up what it leaves behind.
        self.advance(seq);
        if self.pending >= usize::from(window) {
            return Admit::Full;
        }
        *self.slot(seq) = Slot::Pending(opcode);
        self.pending += 1;
        Admit::New
    }

    /// What was asked for under this number, if it waits for its answer.
    pub(super) fn waiting(&mut self, seq: u16) -> Option<Opcode> {
        if !self.holds(seq) {
            return None;
        }
        match self.slot(seq) {
            Slot::Pending(opcode) => Some(*opcode),
            _ => None,
        }
    }

    /// Keeps the answer to a request that waits for it.
    pub(super) fn answer(&mut self, seq: u16, pdu: Vec<u8>) {
        if self.waiting(seq).is_some() {
            self.pending = self.pending.saturating_sub(1);
            *self.slot(seq) = Slot::Answered(pdu);
        }
    }

    /// The answer given.
    pub(super) fn answered(&mut self, seq: u16) -> Option<&[u8]> {
        if !self.holds(seq) {
            return None;
        }
        match self.slot(seq) {
            Slot::Answered(pdu) => Some(pdu),
            _ => None,
        }
    }

    /// Whether the number is within the window.
    fn holds(&self, seq: u16) -> bool {
        is_after(seq, self.floor) && !is_after(seq, self.high)
    }

    /// Moves the window up to `seq`, if that is ahead.
    fn advance(&mut self, seq: u16) {
        if !is_after(seq, self.high) {
            return;
        }
        let steps = seq.wrapping_sub(self.high).min(SPAN);
        for step in 0..steps {
            let gone = core::mem::take(self.slot(seq.wrapping_sub(step)));
            self.pending = self.pending.saturating_sub(usize::from(matches!(gone, Slot::Pending(_))));
        }
        self.high = seq;
        if seq.wrapping_sub(self.floor) > SPAN {
            self.floor = seq.wrapping_sub(SPAN);
        }
    }

    fn slot(&mut self, seq: u16) -> &mut Slot {
        &mut self.slots[usize::from(seq % SPAN)]
    }
}

/// Whether `a` comes after `b`, numbers going round.
fn is_after(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(inbound: &mut Inbound, seq: u16) -> Admit {
        inbound.admit(seq, Opcode::EVENT, 4)
    }

    #[test]
    fn c15_each_number_is_new_once() {
        let mut inbound = Inbound::after(0);
        assert_eq!(admit(&mut inbound, 0), Admit::Stale);
        assert_eq!(admit(&mut inbound, 2), Admit::New);
        assert_eq!(admit(&mut inbound, 1), Admit::New, "overtaken on the way");
        assert_eq!(admit(&mut inbound, 2), Admit::Pending);
        inbound.answer(2, vec![7]);
        assert_eq!(admit(&mut inbound, 2), Admit::Answered);
        assert_eq!(inbound.answered(2), Some(&[7][..]));
        assert_eq!((inbound.waiting(1), inbound.waiting(2)), (Some(Opcode::EVENT), None));
    }

    #[test]
    fn numbers_go_round() {
        let mut inbound = Inbound::after(0);
        let mut seq = 0_u16;
        for _ in 0..200_000 {
            seq = seq.wrapping_add(1);
            assert_eq!(admit(&mut inbound, seq), Admit::New, "{seq}");
            inbound.answer(seq, vec![]);
            assert_eq!(admit(&mut inbound, seq), Admit::Answered);
            let old = seq.wrapping_sub(SPAN);
            assert_eq!(admit(&mut inbound, old), Admit::Stale, "{old} after {seq}");
        }
    }

    #[test]
    fn a_jump_gives_up_what_it_leaves_behind() {
        let mut inbound = Inbound::after(0);
        for seq in 1..=4 {
            assert_eq!(admit(&mut inbound, seq), Admit::New);
        }
        assert_eq!(admit(&mut inbound, 5), Admit::Full);
        assert_eq!(admit(&mut inbound, 1029), Admit::New);
        assert_eq!(admit(&mut inbound, 4), Admit::Stale);
        assert_eq!(inbound.waiting(3), None);
        assert_eq!(admit(&mut inbound, 1030), Admit::New, "those left behind do not count any more");
    }
}
