//! Profiles that take settings from others.
//!
//! A profile may inherit from several, and those from others. For each setting its own line goes first, then whatever
//! the first that it inherits from says (itself or one that it inherits from), then the second, and so on. As on NX-OS,
//! `state enabled` counts only for the profile that is on the interface. One that does not exist, though, is a fault wherever
//! it is missing: without its lines an interface would be in the wrong VLAN.

use super::{PortProfile, ProfileFault, ProfileName, Rule, RunningConfig, no_profile, rule};
use std::collections::{BTreeMap, BTreeSet};

/// Profiles that may inherit from one another in a row, the one on the interface being the first.
pub const DEEPEST: usize = 4;
/// Profiles that one may inherit from.
pub const MOST_INHERITED: usize = 8;

/// Which profiles are so many steps away, and by which of the step before each was reached.
type Level = BTreeMap<ProfileName, ProfileName>;

impl RunningConfig {
    /// The profiles that this one inherits from, in the order in which they were typed. Some may not exist.
    #[must_use]
    pub fn inherits(&self, name: &ProfileName) -> &[ProfileName] {
        self.inherits.get(name).map_or(&[], Vec::as_slice)
    }

    /// The profiles that inherit from this one, without those behind them.
    pub fn heirs<'a>(&'a self, name: &'a ProfileName) -> impl Iterator<Item = &'a ProfileName> {
        self.inherits.iter().filter(move |(_, from)| from.contains(name)).map(|(heir, _)| heir)
    }

    /// Lets a profile inherit from another, behind those that it inherits from already.
    ///
    /// # Errors
    /// There is no such profile (the other need not exist yet), they are of different types, it would inherit from itself, too many would inherit from one
    /// another in a row, or it inherits from too many. The message names the chain.
    pub fn inherit(&mut self, name: &ProfileName, from: &ProfileName) -> Result<(), Rule> {
        let Some(kind) = self.type_of(name) else { return no_profile(name) };
        if self.inherits(name).contains(from) {
            return Ok(());
        }
        if let Some(other) = self.type_of(from).filter(|other| *other != kind) {
            return rule(format!(
                "port-profile {from} is of type {}, port-profile {name} of type {}.",
                other.word(),
                kind.word()
            ));
        }
        if self.inherits(name).len() >= MOST_INHERITED {
            return rule(format!(
                "port-profile {name} inherits from {MOST_INHERITED} others, and cannot from more."
            ));
        }
        let below = levels(from, |of| self.inherits(of).iter().cloned().collect());
        if let Some(depth) = below.iter().position(|level| level.contains_key(name)) {
            let chain = chain(&below, depth, name);
            return rule(format!(
                "port-profile {name} would inherit from itself: {name} > {}.",
                joined(&chain)
            ));
        }
        let above = levels(name, |of| self.heirs(of).cloned().collect());
        if above.len() + below.len() > DEEPEST {
            let longest = |levels: &[Level]| {
                let last = levels.last().and_then(|level| level.keys().next()).cloned().unwrap_or_default();
                chain(levels, levels.len().saturating_sub(1), &last)
            };
            let mut chain = longest(&above);
            chain.reverse();
            chain.extend(longest(&below));
            return rule(format!(
                "Port-profiles inherit at most {DEEPEST} levels deep; these are {}: {}.",
                chain.len(),
                joined(&chain)
            ));
        }
        self.inherits.entry(name.clone()).or_default().push(from.clone());
        Ok(())
    }

    /// Ends that a profile inherits from another, or from any.
    ///
    /// # Errors
    /// It does not inherit from that one.
    pub fn disinherit(&mut self, name: &ProfileName, from: Option<&ProfileName>) -> Result<(), Rule> {
        let Some(from) = from else {
            self.inherits.remove(name);
            return Ok(());
        };
        let others: Vec<ProfileName> =
            self.inherits(name).iter().filter(|other| *other != from).cloned().collect();
        if others.len() == self.inherits(name).len() {
            return rule(format!("port-profile {name} does not inherit from {from}."));
        }
        if others.is_empty() {
            self.inherits.remove(name);
        } else {
            self.inherits.insert(name.clone(), others);
        }
        Ok(())
    }

    /// The profiles whose lines count where this one is applied, those that go before others first.
    ///
    /// # Errors
    /// [`ProfileFault::Unknown`]: it, or one that it inherits from, does not exist.
    pub fn lineage(&self, name: &ProfileName) -> Result<Vec<(&ProfileName, &PortProfile)>, ProfileFault> {
        let (lineage, missing) = self.known_lineage(name);
        missing.map_or(Ok(lineage), |missing| Err(ProfileFault::Unknown(missing)))
    }

    /// The same as far as they exist, and the first that does not.
    #[must_use]
    pub fn known_lineage(
        &self,
        name: &ProfileName,
    ) -> (Vec<(&ProfileName, &PortProfile)>, Option<ProfileName>) {
        // At its second place a profile says nothing that it did not say at the first.
        let (mut seen, mut lineage, mut missing) = (BTreeSet::new(), Vec::new(), None);
        let mut waiting = vec![name];
        while let Some(name) = waiting.pop() {
            if !seen.insert(name) {
                continue;
            }
            match self.port_profiles.get_key_value(name) {
                Some(known) => lineage.push(known),
                None => missing = missing.or_else(|| Some(name.clone())),
            }
            waiting.extend(self.inherits(name).iter().rev());
        }
        (lineage, missing)
    }
}

/// What is 0, 1, 2, ... steps away from a profile, as far as there is something. Profiles inherit only so deep, therefore it
/// ends.
fn levels(start: &ProfileName, next: impl Fn(&ProfileName) -> BTreeSet<ProfileName>) -> Vec<Level> {
    let mut levels = vec![Level::from([(start.clone(), start.clone())])];
    while levels.len() <= DEEPEST {
        let last = levels.last().into_iter().flat_map(|level| level.keys());
        let reached = last.flat_map(|by| next(by).into_iter().map(move |to| (to, by.clone())));
        let level: Level = reached.collect();
        if level.is_empty() {
            break;
        }
        levels.push(level);
    }
    levels
}

/// From the start to a profile that is `depth` steps away.
fn chain(levels: &[Level], depth: usize, to: &ProfileName) -> Vec<ProfileName> {
    let mut chain = vec![to.clone()];
    for level in levels.iter().take(depth + 1).skip(1).rev() {
        let by = chain.last().and_then(|last| level.get(last)).cloned();
        chain.extend(by);
    }
    chain.reverse();
    chain
}

fn joined(chain: &[ProfileName]) -> String {
    chain.iter().map(ProfileName::as_str).collect::<Vec<_>>().join(" > ")
}
