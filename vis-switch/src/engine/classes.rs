//! VLAN classes: the VLANs that have the same members.
//!
//! There are thousands of interfaces and thousands of VLANs, but few distinct sets of VLANs that interfaces carry. So
//! the VLANs are divided set by set, each set once, and never interface by interface.

use super::vlan::{Program, VLAN_MAX, VlanSet};
use std::collections::HashMap;
use std::sync::Arc;

/// Divides the VLANs by members: which VLANs have which, for all VLANs that have any. The members of a class stand in
/// the order in which they were given; classes stand in the order of their first VLAN.
pub fn classes<'a, M: Copy>(
    members: impl IntoIterator<Item = (M, &'a Arc<Program>)>,
) -> Vec<(VlanSet, Vec<M>)> {
    let mut programs: HashMap<*const Program, usize> = HashMap::new();
    let mut last: Option<(*const Program, usize)> = None;
    let mut sets = Distinct::default();
    // By set: place in the order, and member.
    let mut having: Vec<Vec<(u32, M)>> = Vec::new();
    for (place, (member, program)) in (0u32..).zip(members) {
        let address = Arc::as_ptr(program);
        let set = match last {
            Some((known, set)) if known == address => set,
            _ => *programs.entry(address).or_insert_with(|| sets.number(&program.allowed)),
        };
        last = Some((address, set));
        if set == having.len() {
            having.push(Vec::new());
        }
        having[set].push((place, member));
    }
    let blocks = divide(&sets.sets).blocks;
    let members_of = |sets: &[usize]| {
        let mut found: Vec<(u32, M)> = sets.iter().flat_map(|set| having[*set].iter().copied()).collect();
        // One ascending run for each set: a merge.
        found.sort_by_key(|(place, _)| *place);
        found.into_iter().map(|(_, member)| member).collect()
    };
    blocks.into_iter().map(|block| (block.vlans, members_of(&block.sets))).collect()
}

/// Sets of VLANs, numbered; equal ones have the same number.
#[derive(Default)]
pub(super) struct Distinct<'a> {
    numbers: HashMap<&'a VlanSet, usize>,
    /// By number.
    pub(super) sets: Vec<&'a VlanSet>,
}

impl<'a> Distinct<'a> {
    /// The number of a set.
    pub(super) fn number(&mut self, set: &'a VlanSet) -> usize {
        *self.numbers.entry(set).or_insert_with(|| {
            self.sets.push(set);
            self.sets.len() - 1
        })
    }
}

/// VLANs that are in the same sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) vlans: VlanSet,
    /// The numbers of the sets, rising; never none.
    pub(super) sets: Vec<usize>,
}

/// The VLANs divided by the sets that they are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Division {
    /// By first VLAN.
    pub(super) blocks: Vec<Block>,
    /// By VLAN id: 1 and the place of its block, or 0 where it is in no set.
    pub(super) of_vlan: Vec<u16>,
}

/// Divides the VLANs by distinct sets, in time proportional to the sizes of the sets.
pub(super) fn divide(sets: &[&VlanSet]) -> Division {
    /// Sets of a block, the last one first: its own and those of the block it was split from.
    struct Node {
        set: usize,
        before: u32,
    }
    const NO_NODE: u32 = u32::MAX;
    #[derive(Clone)]
    struct Part {
        node: u32,
        size: u16,
        /// The part that takes its VLANs of the set in hand, and which set that is.
        split: (usize, u16),
    }
    let vlans = usize::from(VLAN_MAX) + 1;
    let mut nodes: Vec<Node> = Vec::new();
    // Part 0 has no set. VLAN 0 stays in it: it is in no set.
    let mut parts = vec![Part { node: NO_NODE, size: VLAN_MAX + 1, split: (usize::MAX, 0) }];
    let mut free: Vec<u16> = Vec::new();
    let mut emptied: Vec<u16> = Vec::new();
    let mut of_vlan = vec![0u16; vlans];
    for (number, set) in sets.iter().enumerate() {
        for vlan in set.iter() {
            let from = of_vlan[usize::from(vlan)];
            let (split, into) = parts[usize::from(from)].split;
            let into = if split == number {
                into
            } else {
                nodes.push(Node { set: number, before: parts[usize::from(from)].node });
                let node = (nodes.len() - 1) as u32;
                let part = Part { node, size: 0, split: (usize::MAX, 0) };
                // Never more parts than VLANs, twice: before and after a set.
                let into = match free.pop() {
                    Some(free) => {
                        parts[usize::from(free)] = part;
                        free
                    }
                    None => {
                        parts.push(part);
                        (parts.len() - 1) as u16
                    }
                };
                parts[usize::from(from)].split = (number, into);
                into
            };
            of_vlan[usize::from(vlan)] = into;
            parts[usize::from(into)].size += 1;
            let from_part = &mut parts[usize::from(from)];
            from_part.size -= 1;
            if from_part.size == 0 {
                emptied.push(from);
            }
        }
        free.append(&mut emptied);
    }
    let mut blocks: Vec<Block> = Vec::new();
    let mut places = vec![0u16; parts.len()];
    for (vlan, part) in (0u16..).zip(&mut of_vlan) {
        let from = usize::from(*part);
        if from == 0 {
            continue;
        }
        if places[from] == 0 {
            let mut sets = Vec::new();
            let mut at = parts[from].node;
            while let Some(node) = nodes.get(at as usize) {
                sets.push(node.set);
                at = node.before;
            }
            sets.reverse();
            blocks.push(Block { vlans: VlanSet::EMPTY, sets });
            places[from] = blocks.len() as u16;
        }
        *part = places[from];
        blocks[usize::from(*part) - 1].vlans.insert(vlan);
    }
    Division { blocks, of_vlan }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn sets() -> impl Strategy<Value = Vec<VlanSet>> {
        let some = prop::collection::vec(prop_oneof![1u16..12, Just(4094u16)], 0..6);
        let set =
            prop_oneof![6 => some.prop_map(|vlans| vlans.into_iter().collect()), 1 => Just(VlanSet::all())];
        prop::collection::vec(set, 0..8)
    }

    proptest! {
        #[test]
        fn vlans_are_together_that_are_in_the_same_sets(sets in sets()) {
            let programs: Vec<_> =
                sets.iter().map(|set| Arc::new(Program::trunk(1, set.clone()))).collect();
            let mut want: BTreeMap<Vec<usize>, VlanSet> = BTreeMap::new();
            for vlan in 1..=VLAN_MAX {
                let members: Vec<usize> =
                    (0..sets.len()).filter(|number| sets[*number].contains(vlan)).collect();
                want.entry(members).or_insert(VlanSet::EMPTY).insert(vlan);
            }
            want.remove(&Vec::new());
            let got = classes(programs.iter().enumerate());
            let first = |class: &(VlanSet, Vec<usize>)| class.0.iter().next();
            prop_assert!(got.is_sorted_by_key(first));
            let got: BTreeMap<Vec<usize>, VlanSet> =
                got.into_iter().map(|(vlans, members)| (members, vlans)).collect();
            prop_assert_eq!(got, want);

            let refs: Vec<&VlanSet> = sets.iter().collect();
            let division = divide(&refs);
            for vlan in 0..=VLAN_MAX {
                let place = division.of_vlan[usize::from(vlan)];
                let block = usize::from(place).checked_sub(1).map(|place| &division.blocks[place]);
                let inside: Vec<usize> =
                    (0..sets.len()).filter(|number| sets[*number].contains(vlan)).collect();
                prop_assert_eq!(block.map_or(&[][..], |block| &block.sets), inside);
                prop_assert!(block.is_none_or(|block| block.vlans.contains(vlan)));
            }
        }
    }
}
