//! The fault plan: how the firmware misbehaves on purpose, so that switches can be tested against it.
//!
//! What happens follows from the plan alone: the same plan under the same inputs gives the same faults.

mod text;

use vntag::ctl::{Opcode, Role, Status};

/// A misbehaviour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Refuses the switch's request without looking at it; of an own request, behaves as if the switch had refused it.
    Refuse(Status),
    /// Does what the switch asks for and never says so.
    Forget,
    /// Does what the switch asks for, and says so this many nanoseconds later.
    Late(u64),
    /// Says that it was done, and does nothing: a stale list, a VIF that stays as it is.
    Pretend,
}

/// Which requests of one operation a rule is for. Requests are counted from 1, over all links.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// This one only.
    Nth(u64),
    /// Each n-th one; 0 is none.
    Every(u64),
    /// So many of a hundred, by the seed.
    Percent(u8),
}

/// One rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The operation.
    pub opcode: Opcode,
    /// Which of its requests.
    pub when: When,
    /// What to do to them.
    pub fault: Fault,
}

/// Why a rule makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RuleError {
    /// HELLO, or an unknown operation.
    #[error(
        "no fault can be put on this operation, but on VIF_CREATE, VIF_ENABLE, VIF_DISABLE, VIF_DELETE, VIF_SET, \
         LIST_SET, LIST_MOD, LIST_GET, STATS_GET, LINK_STATE, EVENT and ANNOUNCE"
    )]
    Opcode,
    /// The firmware sends these requests itself: they can only be refused.
    #[error("a request of the adapter's own can only be refused")]
    Own,
    /// OK is no refusal; an unknown status is none either.
    #[error("refuse with a status of the protocol that is neither OK nor INPROGRESS")]
    Status,
    /// Over a hundred.
    #[error("more than 100 percent")]
    Percent,
    /// Over an hour.
    #[error("an answer can be late by 3600000 ms at the most")]
    Late,
    /// It cannot be read.
    #[error(
        "a rule is OPERATION nth|every|percent N, then refuse STATUS|forget|late MS|pretend: VIF_CREATE nth 3 refuse ERROR"
    )]
    Syntax,
}

impl Rule {
    /// Names what makes no sense.
    pub const fn check(&self) -> Result<(), RuleError> {
        match (self.opcode.sender(), self.fault, self.when) {
            _ if self.opcode.name().is_none() || self.opcode.0 == Opcode::HELLO.0 => Err(RuleError::Opcode),
            (Some(Role::Iv), Fault::Forget | Fault::Late(_) | Fault::Pretend, _) => Err(RuleError::Own),
            (_, Fault::Refuse(Status(0 | 1)), _) => Err(RuleError::Status),
            (_, _, When::Percent(101..)) => Err(RuleError::Percent),
            _ => Ok(()),
        }
    }
}

/// A seed, and rules of which the first that fits is applied.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct FaultPlan {
    /// For rules by percentage.
    pub seed: u64,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// A plan at work.
#[derive(Default, Debug)]
pub(crate) struct Faults {
    plan: FaultPlan,
    /// Requests seen, for each opcode that has a rule.
    seen: Vec<(Opcode, u64)>,
    random: u64,
}

impl Faults {
    pub(crate) fn new(plan: FaultPlan) -> Self {
        let mut seen: Vec<(Opcode, u64)> = plan.rules.iter().map(|rule| (rule.opcode, 0)).collect();
        seen.sort_unstable();
        seen.dedup();
        Self { random: plan.seed, plan, seen }
    }

    pub(crate) const fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    /// What to do to the next request of this operation.
    pub(crate) fn next(&mut self, opcode: Opcode) -> Option<Fault> {
        let (_, count) = self.seen.iter_mut().find(|(known, _)| *known == opcode)?;
        *count += 1;
        let count = *count;
        let random = &mut self.random;
        let fits = |rule: &&Rule| {
            rule.opcode == opcode
                && match rule.when {
                    When::Nth(nth) => count == nth,
                    When::Every(n) => n != 0 && count % n == 0,
                    When::Percent(percent) => next_random(random) % 100 < u64::from(percent),
                }
        };
        self.plan.rules.iter().find(fits).map(|rule| rule.fault)
    }
}

/// SplitMix64.
const fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_count_their_own_operation() {
        let refuse = Fault::Refuse(Status::ERROR);
        let rules = vec![
            Rule { opcode: Opcode::VIF_CREATE, when: When::Nth(3), fault: refuse },
            Rule { opcode: Opcode::LIST_SET, when: When::Every(2), fault: Fault::Pretend },
        ];
        let mut faults = Faults::new(FaultPlan { seed: 1, rules });
        let creates: Vec<_> = (0..5).map(|_| faults.next(Opcode::VIF_CREATE)).collect();
        assert_eq!(creates, [None, None, Some(refuse), None, None]);
        let lists: Vec<_> = (0..4).map(|_| faults.next(Opcode::LIST_SET)).collect();
        assert_eq!(lists, [None, Some(Fault::Pretend), None, Some(Fault::Pretend)]);
        assert_eq!(faults.next(Opcode::EVENT), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let draw = |seed| {
            let rule = Rule { opcode: Opcode::EVENT, when: When::Percent(30), fault: Fault::Forget };
            let mut faults = Faults::new(FaultPlan { seed, rules: vec![rule] });
            (0..1000).map(|_| faults.next(Opcode::EVENT).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let hits = draw(7).iter().filter(|hit| **hit).count();
        assert!((200..400).contains(&hits), "{hits}");
    }

    #[test]
    fn rules_without_sense_are_named() {
        let rule = |opcode, when, fault| Rule { opcode, when, fault }.check();
        let nth = When::Nth(1);
        assert_eq!(rule(Opcode::HELLO, nth, Fault::Forget), Err(RuleError::Opcode));
        assert_eq!(rule(Opcode(99), nth, Fault::Forget), Err(RuleError::Opcode));
        assert_eq!(rule(Opcode::VIF_CREATE, nth, Fault::Forget), Err(RuleError::Own));
        assert_eq!(rule(Opcode::VIF_SET, nth, Fault::Refuse(Status::OK)), Err(RuleError::Status));
        assert_eq!(rule(Opcode::VIF_SET, When::Percent(101), Fault::Forget), Err(RuleError::Percent));
        assert_eq!(rule(Opcode::VIF_CREATE, nth, Fault::Refuse(Status::ERROR)), Ok(()));
    }
}
