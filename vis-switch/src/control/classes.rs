//! Which VIFs of a link a flood in each VLAN is for: VLAN classes, the VLANs with the same members together.
//!
//! VIFs are grouped by their program, of which there are few; a class is a set of programs.

use crate::engine::vlan::{Program, VlanSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use vntag::VifId;

/// A set of VIF ids.
#[derive(Clone, Debug)]
struct VifSet([u64; 64]);

impl VifSet {
    const EMPTY: Self = Self([0; 64]);

    fn change(&mut self, vif: VifId, member: bool) {
        // An id has 12 bits.
        let (word, bit) = (usize::from(vif.get() >> 6 & 63), 1 << (vif.get() & 63));
        self.0[word] = if member { self.0[word] | bit } else { self.0[word] & !bit };
    }

    fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, more)| *word |= more);
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn iter(&self) -> impl Iterator<Item = VifId> {
        self.0.iter().zip((0u16..).step_by(64)).flat_map(|(word, base)| {
            let word = *word;
            (0..64).filter(move |bit| word >> bit & 1 != 0).filter_map(move |bit| VifId::new(base + bit))
        })
    }
}

#[derive(Debug)]
struct Group {
    program: Arc<Program>,
    members: VifSet,
}

/// The located VIFs of a link.
#[derive(Debug, Default)]
pub(super) struct Classes {
    /// By the number of the program.
    groups: BTreeMap<u32, Group>,
    at: BTreeMap<VifId, u32>,
    dirty: bool,
}

impl Classes {
    /// The VIF has this program, with its number, or is not located.
    pub(super) fn set(&mut self, vif: VifId, program: Option<(u32, &Arc<Program>)>) {
        let before = self.at.get(&vif).copied();
        if before == program.map(|(number, _)| number) {
            return;
        }
        self.dirty = true;
        if let Some(number) = before {
            self.at.remove(&vif);
            if let Some(group) = self.groups.get_mut(&number) {
                group.members.change(vif, false);
                if group.members.is_empty() {
                    self.groups.remove(&number);
                }
            }
        }
        if let Some((number, program)) = program {
            self.at.insert(vif, number);
            let new = || Group { program: program.clone(), members: VifSet::EMPTY };
            self.groups.entry(number).or_insert_with(new).members.change(vif, true);
        }
    }

    /// Whether something has changed since this was last asked.
    pub(super) fn take_dirty(&mut self) -> bool {
        core::mem::take(&mut self.dirty)
    }

    /// The classes with members, by their first VLAN.
    pub(super) fn compute(&self) -> Vec<(VlanSet, Arc<[VifId]>)> {
        // What tells VLANs apart: the programs that carry them, as a hash of their numbers. One pass over the VLANs of
        // each program, whatever the number of VIFs.
        let mut programs: Vec<Vec<u32>> = vec![Vec::new(); 4096];
        for (number, group) in &self.groups {
            group.program.allowed.iter().for_each(|vlan| programs[usize::from(vlan & 4095)].push(*number));
        }
        let mut index: BTreeMap<&[u32], usize> = BTreeMap::new();
        let mut classes: Vec<(VlanSet, Arc<[VifId]>)> = Vec::new();
        for (vlan, carrying) in (0u16..).zip(&programs).filter(|(_, carrying)| !carrying.is_empty()) {
            let at = *index.entry(carrying).or_insert_with(|| {
                let mut members = VifSet::EMPTY;
                let groups = carrying.iter().filter_map(|number| self.groups.get(number));
                groups.for_each(|group| members.add_all(&group.members));
                classes.push((VlanSet::EMPTY, members.iter().collect()));
                classes.len() - 1
            });
            if let Some((vlans, _)) = classes.get_mut(at) {
                vlans.insert(vlan);
            }
        }
        classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_with_the_same_members_are_one_class() {
        let vif = |id| VifId::new(id).expect("a VIF");
        let access = Arc::new(Program::access(10));
        let other = Arc::new(Program::access(20));
        let trunk = Arc::new(Program::trunk(1, [10, 30, 31].into_iter().collect()));
        let mut classes = Classes::default();
        classes.set(vif(1), Some((1, &access)));
        classes.set(vif(4094), Some((1, &access)));
        classes.set(vif(64), Some((3, &trunk)));
        classes.set(vif(2), Some((2, &other)));
        assert!(classes.take_dirty() && !classes.take_dirty());
        let shown = |classes: &Classes| -> Vec<(Vec<u16>, Vec<u16>)> {
            let each = |(vlans, members): (VlanSet, Arc<[VifId]>)| {
                (vlans.iter().collect(), members.iter().map(|vif| vif.get()).collect())
            };
            classes.compute().into_iter().map(each).collect()
        };
        assert_eq!(
            shown(&classes),
            [(vec![10], vec![1, 64, 4094]), (vec![20], vec![2]), (vec![30, 31], vec![64])]
        );
        classes.set(vif(64), Some((1, &access)));
        classes.set(vif(2), None);
        classes.set(vif(3), None);
        assert_eq!(shown(&classes), [(vec![10], vec![1, 64, 4094])]);
    }
}
