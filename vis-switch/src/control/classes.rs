//! Which VIFs of a link a flood in each VLAN is for: the VLANs with the same members together, and those members by egress
//! class, as each of these gets a copy of its own.
//!
//! VIFs are grouped by their program, of which there are few. Which groups the VLANs have is divided like in the data path.

use crate::engine::classes::{Class, by_egress, classes};
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

    /// The members of each VLAN, one egress class after the other; of each those with the same members together, by their first
    /// VLAN. A VLAN has an entry in each class that has members there.
    pub(super) fn compute(&self) -> Vec<(VlanSet, Arc<[VifId]>)> {
        let mut found = Vec::new();
        let groups = self.groups.values().map(|group| (group, &*group.program));
        for (_, groups) in by_egress(groups) {
            for Class { vlans, members, .. } in
                classes(groups.into_iter().map(|group| (group, &group.program)), [])
            {
                let mut all = VifSet::EMPTY;
                members.iter().for_each(|group| all.add_all(&group.members));
                found.push((vlans.iter().copied().collect(), all.iter().collect()));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::acl::SharedAcl;

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
        let filtered =
            Arc::new(Program { acl_out: Some(acl()), ..Program::trunk(1, [10, 20].into_iter().collect()) });
        classes.set(vif(7), Some((4, &filtered)));
        assert_eq!(shown(&classes), [(vec![10], vec![1, 64, 4094]), (vec![10, 20], vec![7])]);
    }

    fn acl() -> SharedAcl {
        SharedAcl(Arc::new(crate::engine::acl::Acl::new([], Arc::default())))
    }

    /// As the sentence says it: for each egress class and VLAN those that carry it, and together what is the same.
    fn by_definition(vifs: &[(VifId, Arc<Program>)]) -> Vec<(VlanSet, Arc<[VifId]>)> {
        let mut filters: Vec<Option<&SharedAcl>> = Vec::new();
        for (_, program) in vifs {
            if !filters.contains(&program.acl_out.as_ref()) {
                filters.push(program.acl_out.as_ref());
            }
        }
        let mut classes: Vec<(VlanSet, Arc<[VifId]>)> = Vec::new();
        for filter in filters {
            let before = classes.len();
            for vlan in 1..=4094 {
                let carry = vifs.iter().filter(|(_, program)| {
                    program.acl_out.as_ref() == filter && program.allowed.contains(vlan)
                });
                let members: Arc<[VifId]> = carry.map(|(vif, _)| *vif).collect();
                match classes[before..].iter_mut().find(|(_, known)| *known == members) {
                    _ if members.is_empty() => {}
                    Some((vlans, _)) => vlans.insert(vlan),
                    None => classes.push(([vlan].into_iter().collect(), members)),
                }
            }
        }
        classes
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
        #[test]
        fn classes_are_what_their_definition_says(
            trunks in proptest::collection::vec(
                proptest::collection::vec((1u16..4095, 0u16..200), 0..4), 1..12),
            near in proptest::collection::vec((1u16..4095, proptest::collection::vec(1u16..12, 0..8)), 0..20),
            filtered in proptest::collection::vec(0usize..3, 32),
        ) {
            let acls = [None, Some(acl()), Some(acl())];
            let wide = trunks.iter().map(|spans| {
                spans.iter().flat_map(|(first, more)| *first..=first.saturating_add(*more)).collect()
            });
            let narrow = near.iter().map(|(_, vlans)| vlans.iter().copied().collect());
            let sets: Vec<VlanSet> = wide.chain(narrow).collect();
            let mut classes = Classes::default();
            let mut vifs = Vec::new();
            for (at, set) in (0u32..).zip(&sets) {
                let acl_out = acls[filtered[at as usize]].clone();
                let program = Arc::new(Program { acl_out, ..Program::trunk(1, set.clone()) });
                // Each program on two VIFs that are far apart.
                for id in [at as u16 + 1, 4094 - at as u16] {
                    let vif = VifId::new(id).expect("a VIF");
                    classes.set(vif, Some((at, &program)));
                    vifs.push((vif, program.clone()));
                }
            }
            // In the order of the programs, first; members rise anyway.
            vifs.sort_by_key(|(vif, _)| vif.get());
            proptest::prop_assert_eq!(classes.compute(), by_definition(&vifs));
        }
    }
}
