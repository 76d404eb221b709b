//! Which VLANs an interface carries and how: its compiled program.

use super::acl::SharedAcl;
use super::private::{Place, Private};
use super::secure::Secure;
use core::ops::RangeInclusive;
use std::sync::Arc;
use vntag::VlanTag;

/// The greatest VLAN id that can be used.
pub const VLAN_MAX: u16 = 4094;

/// A set of VLAN ids.
#[derive(Clone, PartialEq, Eq)]
pub struct VlanSet([u64; 64]);

impl core::hash::Hash for VlanSet {
    /// Folded to one word first: the sets are the administrator's, and few.
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        let fold = |sum: u64, word: &u64| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        state.write_u64(self.0.iter().fold(0, fold));
    }
}

impl VlanSet {
    /// No VLAN.
    pub const EMPTY: Self = Self([0; 64]);

    /// All of 1 to 4094.
    #[must_use]
    pub const fn all() -> Self {
        let mut words = [u64::MAX; 64];
        words[0] = u64::MAX << 1;
        words[63] = u64::MAX >> 1;
        Self(words)
    }

    /// Whether no VLAN is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Adds a VLAN; ids that cannot be used are ignored.
    pub fn insert(&mut self, vlan: u16) {
        if (1..=VLAN_MAX).contains(&vlan) {
            self.0[usize::from(vlan >> 6)] |= 1 << (vlan & 63);
        }
    }

    /// Takes a VLAN out.
    pub fn remove(&mut self, vlan: u16) {
        self.0[usize::from(vlan >> 6 & 63)] &= !(1 << (vlan & 63));
    }

    /// Whether the VLAN is in the set.
    #[inline]
    #[must_use]
    pub fn contains(&self, vlan: u16) -> bool {
        self.0[usize::from(vlan >> 6 & 63)] >> (vlan & 63) & 1 != 0
    }

    /// Whether a VLAN is in both.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(word, other)| word & other != 0)
    }

    /// The VLANs in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().zip((0u16..).step_by(64)).flat_map(|(word, base)| {
            let mut rest = *word;
            core::iter::from_fn(move || {
                let lowest = (rest != 0).then_some(rest.trailing_zeros() as u16)?;
                rest &= rest - 1;
                Some(base + lowest)
            })
        })
    }
}

impl FromIterator<u16> for VlanSet {
    fn from_iter<I: IntoIterator<Item = u16>>(vlans: I) -> Self {
        let mut set = Self::EMPTY;
        vlans.into_iter().for_each(|vlan| set.insert(vlan));
        set
    }
}

impl core::fmt::Debug for VlanSet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(spans(self.iter())).finish()
    }
}

/// Ascending numbers as spans without gaps.
#[must_use]
pub fn spans(numbers: impl IntoIterator<Item = u16>) -> Vec<RangeInclusive<u16>> {
    let mut spans: Vec<RangeInclusive<u16>> = Vec::new();
    for number in numbers {
        match spans.last_mut() {
            Some(span) if span.end().checked_add(1) == Some(number) => *span = *span.start()..=number,
            _ => spans.push(number..=number),
        }
    }
    spans
}

/// How an interface tells VLANs apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VlanMode {
    /// One VLAN; the host sends and gets frames without a tag.
    Access,
    /// Many VLANs by tag; frames without one belong to the native VLAN.
    Trunk,
}

/// What an interface does to frames: immutable, shared by all interfaces with the same configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    /// Access or trunk.
    pub mode: VlanMode,
    /// The access or native VLAN: where frames without a VLAN id belong, and which one leaves an ordinary port
    /// without a tag.
    pub untagged: u16,
    /// Every VLAN that passes, the one above included where it does. Of private ones: those that frames come in with.
    pub allowed: VlanSet,
    /// Octets of payload a frame may have.
    pub mtu: u16,
    /// What may come in.
    pub acl_in: Option<SharedAcl>,
    /// What may go out. Interfaces where it is another one are of different egress classes (see [`flood`](super::flood)).
    pub acl_out: Option<SharedAcl>,
    /// What is different in private VLANs, where it carries any.
    pub private: Option<Arc<Private>>,
    /// Which sources may be there, if that is watched.
    pub secure: Option<Arc<Secure>>,
}

impl Program {
    /// The usual payload of Ethernet.
    pub const MTU: u16 = 1500;

    /// An access interface.
    #[must_use]
    pub fn access(vlan: u16) -> Self {
        let allowed = [vlan].into_iter().collect();
        Self {
            mode: VlanMode::Access,
            untagged: vlan,
            allowed,
            mtu: Self::MTU,
            acl_in: None,
            acl_out: None,
            private: None,
            secure: None,
        }
    }

    /// A trunk. Frames without a VLAN id pass only if the native VLAN is allowed too.
    #[must_use]
    pub fn trunk(native: u16, allowed: VlanSet) -> Self {
        Self {
            mode: VlanMode::Trunk,
            untagged: native,
            allowed,
            mtu: Self::MTU,
            acl_in: None,
            acl_out: None,
            private: None,
            secure: None,
        }
    }

    /// The VLAN of a frame with this tag (all zero where it had none), if it may pass.
    #[inline]
    #[must_use]
    pub fn classify(&self, tag: VlanTag) -> Option<u16> {
        let vlan = if tag.vid() == 0 { self.untagged } else { tag.vid() };
        self.allowed.contains(vlan).then_some(vlan)
    }

    /// Where a frame is that came in with this VLAN id, which passes.
    #[inline(always)]
    pub(crate) fn place(&self, id: u16) -> Place {
        match &self.private {
            None => Place { vlan: id, domain: id, private: false },
            Some(private) => private.place(id),
        }
    }

    /// Whether addresses that were learned under one count under the other.
    #[must_use]
    pub fn same_vlans(&self, other: &Self) -> bool {
        self.allowed == other.allowed && self.private == other.private
    }

    /// The VLANs whose frames leave by the interface.
    #[inline]
    #[must_use]
    pub fn carries(&self) -> &VlanSet {
        self.private.as_ref().map_or(&self.allowed, |private| private.carries())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in_and_nothing_else() {
        let set: VlanSet = [0, 1, 63, 64, 4094, 4095].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 63, 64, 4094]);
        assert_eq!(VlanSet::all(), (1..=VLAN_MAX).collect());
        assert_eq!(format!("{set:?}"), "{1..=1, 63..=64, 4094..=4094}");
        let mut set = set;
        set.remove(64);
        assert!(!set.contains(64) && set.contains(63));
    }

    #[test]
    fn untagged_frames_belong_to_the_access_or_native_vlan() {
        let trunk = Program::trunk(1, [10, 20].into_iter().collect());
        assert_eq!(trunk.classify(VlanTag::new(0, 3, false)), None, "native VLAN 1 is not allowed");
        assert_eq!(trunk.classify(VlanTag::new(20, 3, false)), Some(20));
        let access = Program::access(10);
        assert_eq!(access.classify(VlanTag::new(0, 0, false)), Some(10));
        assert_eq!(access.classify(VlanTag::new(10, 0, false)), Some(10));
        assert_eq!(access.classify(VlanTag::new(11, 0, false)), None);
    }
}
