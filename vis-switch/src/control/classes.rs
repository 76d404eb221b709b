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
        let mut split = Split::new();
        for group in self.groups.values() {
            split.refine(group.program.carries(), &group.members);
        }
        split.finish()
    }
}

/// The class of the VLANs that nobody carries.
const NOBODY: u16 = 0;

/// VLANs, told apart by who carries them: one class at first, split by each program in turn. That takes two passes over the
/// VLANs of each program, whatever the number of VIFs.
struct Split {
    /// The class of each VLAN.
    of: Box<[u16; 4096]>,
    /// The VLANs that somebody carries.
    carried: VlanSet,
    classes: Vec<Part>,
}

struct Part {
    members: VifSet,
    /// VLANs.
    size: usize,
    /// Of these, those of the present program.
    hits: usize,
    /// The class that these are from now on.
    moves_to: u16,
}

impl Split {
    fn new() -> Self {
        let nobody = Part { members: VifSet::EMPTY, size: 4096, hits: 0, moves_to: NOBODY };
        Self { of: Box::new([NOBODY; 4096]), carried: VlanSet::EMPTY, classes: vec![nobody] }
    }

    fn class_of(&self, vlan: u16) -> usize {
        usize::from(self.of[usize::from(vlan & 4095)])
    }

    /// These VIFs, too, carry these VLANs.
    fn refine(&mut self, vlans: &VlanSet, members: &VifSet) {
        let mut hit: Vec<usize> = Vec::new();
        for vlan in vlans.iter() {
            let class = self.class_of(vlan);
            if self.classes[class].hits == 0 {
                hit.push(class);
            }
            self.classes[class].hits += 1;
            self.carried.insert(vlan);
        }
        for class in hit {
            let after = self.classes.len();
            let part = &mut self.classes[class];
            let hits = core::mem::take(&mut part.hits);
            // There is a class for each VLAN and one for nobody, at most.
            part.moves_to = if hits == part.size { class } else { after } as u16;
            if hits == part.size {
                part.members.add_all(members);
            } else {
                part.size -= hits;
                let mut both = part.members.clone();
                both.add_all(members);
                self.classes.push(Part { members: both, size: hits, hits: 0, moves_to: NOBODY });
            }
        }
        for vlan in vlans.iter() {
            self.of[usize::from(vlan & 4095)] = self.classes[self.class_of(vlan)].moves_to;
        }
    }

    fn finish(self) -> Vec<(VlanSet, Arc<[VifId]>)> {
        let mut found: Vec<Option<usize>> = vec![None; self.classes.len()];
        let mut classes: Vec<(VlanSet, Arc<[VifId]>)> = Vec::new();
        for vlan in self.carried.iter() {
            let class = self.class_of(vlan);
            let at = *found[class].get_or_insert_with(|| {
                classes.push((VlanSet::EMPTY, self.classes[class].members.iter().collect()));
                classes.len() - 1
            });
            classes[at].0.insert(vlan);
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

    /// As the sentence says it: for each VLAN those that carry it, and together what is the same.
    fn by_definition(vifs: &[(VifId, Arc<Program>)]) -> Vec<(VlanSet, Arc<[VifId]>)> {
        let mut classes: Vec<(VlanSet, Arc<[VifId]>)> = Vec::new();
        for vlan in 1..=4094 {
            let carry = vifs.iter().filter(|(_, program)| program.allowed.contains(vlan));
            let members: Arc<[VifId]> = carry.map(|(vif, _)| *vif).collect();
            match classes.iter_mut().find(|(_, known)| *known == members) {
                _ if members.is_empty() => {}
                Some((vlans, _)) => vlans.insert(vlan),
                None => classes.push(([vlan].into_iter().collect(), members)),
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
        ) {
            let wide = trunks.iter().map(|spans| {
                spans.iter().flat_map(|(first, more)| *first..=first.saturating_add(*more)).collect()
            });
            let narrow = near.iter().map(|(_, vlans)| vlans.iter().copied().collect());
            let sets: Vec<VlanSet> = wide.chain(narrow).collect();
            let mut classes = Classes::default();
            let mut vifs = Vec::new();
            for (at, set) in (0u32..).zip(&sets) {
                let program = Arc::new(Program::trunk(1, set.clone()));
                // Each program on two VIFs that are far apart.
                for id in [at as u16 + 1, 4094 - at as u16] {
                    let vif = VifId::new(id).expect("a VIF");
                    classes.set(vif, Some((at, &program)));
                    vifs.push((vif, program.clone()));
                }
            }
            vifs.sort_by_key(|(vif, _)| *vif);
            proptest::prop_assert_eq!(classes.compute(), by_definition(&vifs));
        }
    }
}
