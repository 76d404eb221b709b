//! Anything in any order: requests delayed, overtaken, refused and lost, VIFs deleted and used again, adapters restarted.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// VLANs and VIFs there are.
const VLANS: u16 = 6;
const VIFS: u16 = 8;

#[derive(Clone, Debug)]
enum Step {
    /// A VIF is active from now on: it carries these VLANs, and is of this egress class.
    Carry(u16, Vec<u16>, u8),
    /// It is not active any more.
    Stop(u16),
    /// A VIF moves with all that carry the same.
    Move(u16, u16),
    /// All of an egress class become another.
    Filter(u8, u8),
    /// Control tells the lists what is wanted.
    Want,
    /// So many requests leave.
    Send(usize),
    /// One of those on the way arrives, and is refused with this.
    Arrive(usize, Option<Status>),
    /// The answer to one of those that arrived comes back.
    Answer(usize),
    /// The adapter has deleted a VIF that is not active.
    Delete(u16),
    Publish,
    /// The oldest change that is on its way to the workers, or all, are in effect.
    InEffect(bool),
    /// The peer is lost, and comes back, restarted or not.
    Lose {
        restarted: bool,
    },
    Retry,
    /// All that is under way is done.
    Rest,
}

/// Mostly no access list.
fn egress() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(0u8), 1 => 1u8..3]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let carried = prop::collection::vec(1..=VLANS, 1..4);
    let status = prop_oneof![
        8 => Just(None),
        1 => prop_oneof![
            Just(Status::STALE), Just(Status::ERROR), Just(Status::INVALID), Just(Status::INSUFFICIENT_RESOURCES)
        ].prop_map(Some),
    ];
    let step = prop_oneof![
        6 => (1..=VIFS, carried, egress()).prop_map(|(vif, vlans, egress)| Step::Carry(vif, vlans, egress)),
        2 => (1..=VLANS, 1..=VLANS).prop_map(|(from, to)| Step::Move(from, to)),
        1 => (egress(), egress()).prop_map(|(from, to)| Step::Filter(from, to)),
        3 => (1..=VIFS).prop_map(Step::Stop),
        6 => Just(Step::Want),
        6 => (1usize..6).prop_map(Step::Send),
        10 => (any::<usize>(), status).prop_map(|(which, status)| Step::Arrive(which, status)),
        10 => any::<usize>().prop_map(Step::Answer),
        4 => (1..=VIFS).prop_map(Step::Delete),
        5 => Just(Step::Publish),
        5 => any::<bool>().prop_map(Step::InEffect),
        1 => any::<bool>().prop_map(|restarted| Step::Lose { restarted }),
        1 => Just(Step::Retry),
        3 => Just(Step::Rest),
    ];
    prop::collection::vec(step, 0..120)
}

/// The world around the lists of one link.
struct World {
    lists: Lists,
    peer: Peer,
    limit: u16,
    /// Truth: the VLANs of each active VIF, and its egress class.
    carried: BTreeMap<u16, (Vec<u16>, u8)>,
    /// Deleted by the adapter: an id that may be used again only when no list in use has it.
    deleted: BTreeSet<u16>,
    on_the_way: Vec<(ListOp, Request)>,
    arrived: Vec<(ListOp, Request, Result<(), Failure>)>,
    change: u64,
    /// The changes that workers may use, oldest first: the first is in effect for some, the last is the newest.
    in_use: Vec<(u64, FloodLists)>,
    /// What the adapter had when it last said OK.
    acknowledged: BTreeMap<ListId, Vec<VifId>>,
}

fn list_of(request: &Request) -> ListId {
    match request {
        Request::ListSet { list, .. } | Request::ListMod { list, .. } => *list,
        other => panic!("no request about lists: {other:?}"),
    }
}

impl World {
    fn new(limit: u16) -> Self {
        let mut lists = Lists::new();
        lists.reset(Some(limits(limit)));
        Self {
            lists,
            peer: Peer::new(limit),
            limit,
            carried: BTreeMap::new(),
            deleted: BTreeSet::new(),
            on_the_way: Vec::new(),
            arrived: Vec::new(),
            change: 0,
            in_use: vec![(0, FloodLists::default())],
            acknowledged: BTreeMap::new(),
        }
    }

    /// What each VLAN has of each egress class, the naive way.
    fn wanted(&self) -> BTreeMap<(u16, u8), Vec<VifId>> {
        let mut wanted: BTreeMap<(u16, u8), BTreeSet<VifId>> = BTreeMap::new();
        for (id, (vlans, egress)) in &self.carried {
            for vlan in vlans {
                wanted.entry((*vlan, *egress)).or_default().insert(vif(*id));
            }
        }
        wanted.into_iter().map(|(of, members)| (of, members.into_iter().collect())).collect()
    }

    fn want(&mut self) {
        let mut classes: BTreeMap<Vec<VifId>, VlanSet> = BTreeMap::new();
        for ((vlan, _), members) in self.wanted() {
            classes.entry(members).or_insert(VlanSet::EMPTY).insert(vlan);
        }
        let classes: Vec<_> = classes.into_iter().map(|(members, vlans)| (vlans, members.into())).collect();
        self.lists.want(&classes);
    }

    /// Whether the list is one that frames may go to.
    fn is_used(&self, list: ListId) -> bool {
        self.in_use.iter().any(|(_, floods)| floods.0.iter().any(|flood| flood.list == list))
    }

    fn send(&mut self) -> bool {
        let Some((op, request)) = self.lists.poll_request() else { return false };
        let list = list_of(&request);
        assert!(!self.is_used(list), "{request:?} changes a list in use");
        let on_the_way = self.on_the_way.iter().map(|(_, other)| other);
        let mut others = on_the_way.chain(self.arrived.iter().map(|(_, other, _)| other));
        assert!(!others.any(|other| list_of(other) == list), "two at a time: {request:?}");
        self.on_the_way.push((op, request));
        true
    }

    fn arrive(&mut self, which: usize, refused: Option<Status>) {
        if self.on_the_way.is_empty() {
            return;
        }
        let (op, request) = self.on_the_way.remove(which % self.on_the_way.len());
        let result = match refused {
            Some(status) => Err(Refusal::of(status)),
            None => self.peer.apply(&request),
        };
        assert!(self.peer.len() <= usize::from(self.limit));
        self.arrived.push((op, request, result.map_err(Failure::Refused)));
    }

    fn answer(&mut self, which: usize) {
        if !self.arrived.is_empty() {
            let (op, request, result) = self.arrived.remove(which % self.arrived.len());
            let list = list_of(&request);
            self.acknowledged.remove(&list);
            if result.is_ok()
                && let Some(members) = self.peer.members(list)
            {
                self.acknowledged.insert(list, members);
            }
            self.lists.response(op, result);
        }
    }

    fn publish(&mut self) {
        if self.lists.is_dirty() {
            self.change += 1;
            let floods = self.lists.publish(Change(self.change));
            for vlan in 1..=VLANS {
                let lists = floods.0.iter().filter(|flood| flood.vlans.contains(vlan));
                let members = lists.flat_map(|flood| self.peer.members(flood.list).unwrap_or_default());
                let all: Vec<VifId> = members.collect();
                let once: BTreeSet<VifId> = all.iter().copied().collect();
                assert_eq!(all.len(), once.len(), "some get two copies in VLAN {vlan}: {floods:?}");
            }
            for FloodList { list, members, .. } in floods.0.iter() {
                let acknowledged = self.acknowledged.get(list).expect("used before it was acknowledged");
                assert!(members.iter().all(|vif| acknowledged.contains(vif)), "{list:?}: {members:?}");
                let on_the_way = self.on_the_way.iter().map(|(_, request)| request);
                let mut asked = on_the_way.chain(self.arrived.iter().map(|(_, request, _)| request));
                assert!(!asked.any(|request| list_of(request) == *list), "{list:?} is being changed");
            }
            self.in_use.push((self.change, floods));
        }
    }

    fn in_effect(&mut self, all: bool) {
        let oldest = if all { self.in_use.len() } else { 2 };
        if let Some((change, _)) = self.in_use.get(oldest - 1) {
            self.lists.published(Change(*change));
            self.in_use.drain(..oldest - 1);
        }
    }

    fn lose(&mut self, restarted: bool) {
        // What was on the way may have arrived or not.
        for (at, (op, request)) in core::mem::take(&mut self.on_the_way).into_iter().enumerate() {
            if at % 2 == 0 {
                let _ = self.peer.apply(&request);
            }
            self.lists.response(op, Err(Failure::PeerLost));
        }
        for (op, ..) in core::mem::take(&mut self.arrived) {
            self.lists.response(op, Err(Failure::PeerLost));
        }
        self.lists.reset(None);
        self.acknowledged.clear();
        if restarted {
            self.peer = Peer::new(self.limit);
        }
        self.lists.reset(Some(limits(self.limit)));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Stop(id) => {
                self.carried.remove(&id);
            }
            Step::Carry(id, vlans, egress) => {
                if self.deleted.contains(&id) {
                    // The id's next owner.
                    if self.lists.holds(vif(id)) {
                        return;
                    }
                    self.deleted.remove(&id);
                }
                self.carried.insert(id, (vlans, egress));
            }
            Step::Move(from, to) => {
                for (vlans, _) in self.carried.values_mut() {
                    vlans.iter_mut().filter(|vlan| **vlan == from).for_each(|vlan| *vlan = to);
                }
            }
            Step::Filter(from, to) => {
                for (_, egress) in self.carried.values_mut().filter(|(_, egress)| *egress == from) {
                    *egress = to;
                }
            }
            Step::Want => self.want(),
            Step::Send(count) => {
                let _ = (0..count).take_while(|_| self.send()).count();
            }
            Step::Arrive(which, refused) => self.arrive(which, refused),
            Step::Answer(which) => self.answer(which),
            Step::Delete(id) => {
                if !self.carried.contains_key(&id) {
                    // Control has said that it is gone before the deletion is answered (C10).
                    self.want();
                    self.peer.clear(vif(id));
                    self.deleted.insert(id);
                }
            }
            Step::Publish => self.publish(),
            Step::InEffect(all) => self.in_effect(all),
            Step::Lose { restarted } => self.lose(restarted),
            Step::Retry => self.lists.retry(),
            Step::Rest => self.rest(),
        }
    }

    /// Everything comes to rest.
    fn rest(&mut self) {
        self.want();
        self.lists.retry();
        for round in 0.. {
            assert!(round < 1000, "no rest: {:?}", self.lists);
            while self.send() {}
            let (sent, arrived) = (self.on_the_way.len(), self.arrived.len());
            (0..sent).for_each(|_| self.arrive(0, None));
            (0..sent + arrived).for_each(|_| self.answer(0));
            self.publish();
            let rest = sent + arrived == 0 && self.in_use.len() == 1;
            self.in_effect(true);
            if rest {
                return;
            }
            // What was refused before it came to rest.
            self.lists.retry();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn in_the_end_every_vlan_has_its_members(limit in 1u16..14, steps in steps()) {
        let mut world = World::new(limit);
        for step in steps {
            world.step(step);
            for id in world.deleted.clone() {
                // A list in use that has it at the adapter is one that holds it.
                let held = world.in_use.iter().flat_map(|(_, floods)| floods.0.iter()).any(|flood| {
                    world.peer.members(flood.list).is_some_and(|members| members.contains(&vif(id)))
                });
                prop_assert!(!held || world.lists.holds(vif(id)), "{id} is in a list in use");
            }
        }
        world.rest();
        let wanted = world.wanted();
        let floods = &world.in_use.last().expect("one at least").1;
        let classes: BTreeSet<&Vec<VifId>> = wanted.values().collect();
        for ((vlan, _), members) in &wanted {
            let mut lists = floods.0.iter().filter(|flood| flood.vlans.contains(*vlan));
            if classes.len() <= usize::from(limit) {
                let count = wanted.keys().filter(|(of, _)| of == vlan).count();
                prop_assert_eq!(lists.clone().count(), count, "lists of VLAN {}", vlan);
                let flood = lists.find(|flood| world.peer.members(flood.list).as_ref() == Some(members));
                prop_assert!(flood.is_some_and(|flood| *flood.members == **members), "VLAN {}", vlan);
            }
        }
        for flood in floods.0.iter() {
            let wants = |vlan| wanted.keys().any(|(of, _)| *of == vlan);
            prop_assert!(flood.vlans.iter().all(wants), "{flood:?}");
        }
        let count = |of| world.lists.classes().filter(|class| class.state == of).count();
        let (unserved, no_room) = (world.lists.classes().count() - count(ClassState::Served), count(ClassState::NoRoom));
        // Where there is no room for all, some stay on the list that they share with others; and with them those who
        // share it and would have another.
        prop_assert_eq!(unserved > 0, classes.len() > usize::from(limit));
        prop_assert_eq!(unserved > 0, no_room > 0);
        prop_assert_eq!(unserved, no_room + count(ClassState::Changing));
        let waiting = world.lists.lists().filter(|list| list.state == ListState::Waiting).count();
        let kept = 2 * floods.0.len() + waiting + 1;
        prop_assert!(world.peer.len() <= kept, "{} and not {kept}", world.peer.len());
    }
}
