//! VLAN classes: the VLANs that have the same members. Both the floods of the data path and the lists that control asks
//! adapters for are made of them.
//!
//! There are thousands of interfaces and thousands of VLANs, but few distinct sets of VLANs that interfaces carry. So
//! the VLANs are divided set by set, each set once, and never interface by interface.

use super::acl::{Acl, SharedAcl};
use super::vlan::{Program, VLAN_MAX, VlanSet};
use std::collections::HashMap;
use std::sync::Arc;

/// VLANs that have the same members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class<M> {
    /// The VLANs, rising.
    pub vlans: Box<[u16]>,
    /// Their members.
    pub members: Vec<M>,
    /// The places of the further sets that they are in, rising.
    pub among: Vec<usize>,
}

/// Divides the VLANs by members: which VLANs have which, for all VLANs that have any. The members of a class stand in
/// the order in which they were given; classes stand in the order of their first VLAN. The VLANs of a class are also in the
/// same ones of the sets `among`.
pub fn classes<'a, M: Copy>(
    members: impl IntoIterator<Item = (M, &'a Arc<Program>)>,
    among: impl IntoIterator<Item = &'a VlanSet>,
) -> Vec<Class<M>> {
    let mut programs: HashMap<*const Program, usize> = HashMap::new();
    let mut last: Option<(*const Program, usize)> = None;
    let mut sets = Distinct::default();
    // By set: place in the order, and member.
    let mut having: Vec<Vec<(u32, M)>> = Vec::new();
    for (place, (member, program)) in (0u32..).zip(members) {
        let address = Arc::as_ptr(program);
        let set = match last {
            Some((known, set)) if known == address => set,
            _ => *programs.entry(address).or_insert_with(|| sets.number(Vlans::Set(program.carries()))),
        };
        last = Some((address, set));
        if set == having.len() {
            having.push(Vec::new());
        }
        having[set].push((place, member));
    }
    let members_of = |sets: &[usize]| -> Vec<M> {
        if let [set] = sets {
            return having[*set].iter().map(|(_, member)| *member).collect();
        }
        let mut found: Vec<(u32, M)> = sets.iter().flat_map(|set| having[*set].iter().copied()).collect();
        // One ascending run for each set: a merge.
        found.sort_by_key(|(place, _)| *place);
        found.into_iter().map(|(_, member)| member).collect()
    };
    let mut sets = sets.sets;
    // A further set is not that of members that is the same.
    sets.extend(among.into_iter().map(Vlans::Set));
    let class = |block: Block| {
        let (of_members, among) = block.sets.split_at(block.sets.partition_point(|set| *set < having.len()));
        let among = among.iter().map(|set| set - having.len()).collect();
        (!of_members.is_empty()).then(|| Class {
            vlans: block.vlans.into(),
            members: members_of(of_members),
            among,
        })
    };
    divide(&sets).blocks.into_iter().filter_map(class).collect()
}

/// What belongs to interfaces, by their egress class: those towards which the same access list stands, or none. Classes stand
/// in the order of their first, and in a class the order is as it was given.
pub fn by_egress<'a, T>(
    of: impl IntoIterator<Item = (T, &'a Program)>,
) -> Vec<(Option<&'a SharedAcl>, Vec<T>)> {
    // By where the list is in memory, as its equality goes: what it counts has no place in a key.
    let mut places: HashMap<Option<*const Acl>, usize> = HashMap::new();
    let mut classes: Vec<(Option<&'a SharedAcl>, Vec<T>)> = Vec::new();
    for (item, program) in of {
        let filter = program.acl_out.as_ref();
        let place = match classes.last() {
            Some((last, _)) if *last == filter => classes.len() - 1,
            _ => *places.entry(filter.map(|acl| Arc::as_ptr(&acl.0))).or_insert_with(|| {
                classes.push((filter, Vec::new()));
                classes.len() - 1
            }),
        };
        classes[place].1.push(item);
    }
    classes
}

/// A set of VLANs, in the form in which it is there.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Vlans<'a> {
    Set(&'a VlanSet),
    Listed(Box<[u16]>),
}

impl Vlans<'_> {
    fn for_each(&self, mut each: impl FnMut(u16)) {
        match self {
            Self::Set(set) => set.iter().for_each(each),
            Self::Listed(vlans) => vlans.iter().for_each(|vlan| each(*vlan)),
        }
    }
}

/// Sets of VLANs, numbered; equal ones of the same form have the same number.
#[derive(Default)]
pub(super) struct Distinct<'a> {
    numbers: HashMap<Vlans<'a>, usize>,
    /// By number.
    pub(super) sets: Vec<Vlans<'a>>,
}

impl<'a> Distinct<'a> {
    /// The number of a set.
    pub(super) fn number(&mut self, set: Vlans<'a>) -> usize {
        *self.numbers.entry(set).or_insert_with_key(|set| {
            self.sets.push(set.clone());
            self.sets.len() - 1
        })
    }
}

/// VLANs that are in the same sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Rising.
    pub(super) vlans: Vec<u16>,
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
pub(super) fn divide(sets: &[Vlans<'_>]) -> Division {
    let mut parts = Parts::new();
    for (number, set) in sets.iter().enumerate() {
        set.for_each(|vlan| parts.take(number, vlan));
        parts.free.append(&mut parts.emptied);
    }
    parts.finish()
}

/// VLANs divided by the sets so far.
struct Parts {
    /// Sets of parts, the last one first.
    nodes: Vec<Node>,
    /// Part 0 is in no set.
    parts: Vec<Part>,
    of_vlan: Vec<u16>,
    free: Vec<u16>,
    /// By the set in hand.
    emptied: Vec<u16>,
}

/// A set, and the node of the sets before it.
struct Node {
    set: usize,
    before: Option<u32>,
}

struct Part {
    node: Option<u32>,
    size: u16,
    /// The part that takes its VLANs of the set in hand, and which set that is.
    split: Option<(usize, u16)>,
}

impl Parts {
    fn new() -> Self {
        Self {
            nodes: Vec::new(),
            parts: vec![Part { node: None, size: VLAN_MAX + 1, split: None }],
            of_vlan: vec![0; usize::from(VLAN_MAX) + 1],
            free: Vec::new(),
            emptied: Vec::new(),
        }
    }

    /// A VLAN is in a set.
    fn take(&mut self, set: usize, vlan: u16) {
        let from = self.of_vlan[usize::from(vlan)];
        let part = &self.parts[usize::from(from)];
        let into = match part.split {
            Some((known, into)) if known == set => into,
            _ => {
                self.nodes.push(Node { set, before: part.node });
                let node = Some((self.nodes.len() - 1) as u32);
                let into = self.place(Part { node, size: 0, split: None });
                self.parts[usize::from(from)].split = Some((set, into));
                into
            }
        };
        self.of_vlan[usize::from(vlan)] = into;
        self.parts[usize::from(into)].size += 1;
        let part = &mut self.parts[usize::from(from)];
        part.size -= 1;
        if part.size == 0 {
            self.emptied.push(from);
        }
    }

    fn place(&mut self, part: Part) -> u16 {
        if let Some(free) = self.free.pop() {
            self.parts[usize::from(free)] = part;
            return free;
        }
        self.parts.push(part);
        // Never more than twice as many parts as VLANs: before and after the set in hand.
        (self.parts.len() - 1) as u16
    }

    fn finish(mut self) -> Division {
        let mut blocks: Vec<Block> = Vec::new();
        let mut places = vec![0u16; self.parts.len()];
        for (vlan, part) in (0u16..).zip(&mut self.of_vlan) {
            let from = usize::from(*part);
            // VLAN 0 is in no set.
            if from == 0 {
                continue;
            }
            if places[from] == 0 {
                let before = |node: &Node| node.before;
                let node = |at: Option<u32>| at.and_then(|at| self.nodes.get(at as usize));
                let all = core::iter::successors(node(self.parts[from].node), |last| node(before(last)));
                let mut sets: Vec<usize> = all.map(|node| node.set).collect();
                sets.reverse();
                blocks.push(Block { vlans: Vec::new(), sets });
                places[from] = blocks.len() as u16;
            }
            *part = places[from];
            blocks[usize::from(*part) - 1].vlans.push(vlan);
        }
        Division { blocks, of_vlan: self.of_vlan }
    }
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
        fn vlans_are_together_that_are_in_the_same_sets(sets in sets(), among in sets()) {
            let programs: Vec<_> =
                sets.iter().map(|set| Arc::new(Program::trunk(1, set.clone()))).collect();
            let inside = |vlan| (0..sets.len()).filter(|set| sets[*set].contains(vlan)).collect::<Vec<_>>();
            let mut want: BTreeMap<Vec<usize>, Vec<u16>> = BTreeMap::new();
            for vlan in 1..=VLAN_MAX {
                want.entry(inside(vlan)).or_default().push(vlan);
            }
            want.remove(&Vec::new());
            let got = classes(programs.iter().enumerate(), []);
            prop_assert!(got.is_sorted_by_key(|class| class.vlans[0]));
            let got: BTreeMap<_, _> =
                got.into_iter().map(|class| (class.members, class.vlans.into_vec())).collect();
            prop_assert_eq!(&got, &want);

            let mut finer: BTreeMap<(Vec<usize>, Vec<usize>), Vec<u16>> = BTreeMap::new();
            for (members, vlans) in want {
                for vlan in vlans {
                    let among = (0..among.len()).filter(|set| among[*set].contains(vlan)).collect();
                    finer.entry((members.clone(), among)).or_default().push(vlan);
                }
            }
            let got = classes(programs.iter().enumerate(), &among).into_iter();
            let got: BTreeMap<_, _> =
                got.map(|class| ((class.members, class.among), class.vlans.into_vec())).collect();
            prop_assert_eq!(got, finer);

            let division = divide(&sets.iter().map(Vlans::Set).collect::<Vec<_>>());
            for vlan in 0..=VLAN_MAX {
                let place = division.of_vlan[usize::from(vlan)];
                let block = usize::from(place).checked_sub(1).map(|place| &division.blocks[place]);
                prop_assert_eq!(block.map_or(&[][..], |block| &block.sets), inside(vlan));
                prop_assert!(block.is_none_or(|block| block.vlans.contains(&vlan)));
            }
        }
    }
}
