//! A link's lists against a peer that does what control.md says, and no more.

mod peer;
mod random;

use super::*;
use peer::Peer;
use vntag::ctl::Refusal;

fn vif(id: u16) -> VifId {
    VifId::new(id).unwrap()
}

fn vlans(vlans: &[u16]) -> VlanSet {
    vlans.iter().copied().collect()
}

fn class(ids: &[u16], members: impl IntoIterator<Item = u16>) -> (VlanSet, Arc<[VifId]>) {
    (vlans(ids), members.into_iter().map(vif).collect())
}

fn limits(lists: u16) -> Limits {
    Limits { vifs: 4094, lists, max_pdu: 1500 }
}

/// Lists and a peer that answers at once, with workers that take tables at once.
struct Rig {
    lists: Lists,
    peer: Peer,
    change: u64,
    /// What workers use.
    floods: FloodLists,
}

impl Rig {
    fn new(limit: u16) -> Self {
        let mut lists = Lists::new();
        lists.reset(Some(limits(limit)));
        Self { lists, peer: Peer::new(limit), change: 0, floods: FloodLists::default() }
    }

    /// Wants this and goes on until nothing is left to do. Says how many PDUs that took.
    fn want(&mut self, classes: &[(VlanSet, Arc<[VifId]>)]) -> usize {
        self.lists.want(classes);
        self.run()
    }

    fn run(&mut self) -> usize {
        let mut pdus = 0;
        loop {
            let Some((op, request)) = self.lists.poll_request() else {
                if !self.lists.is_dirty() {
                    return pdus;
                }
                self.change += 1;
                self.floods = self.lists.publish(Change(self.change));
                self.lists.published(Change(self.change));
                continue;
            };
            pdus += 1;
            assert!(pdus < 10_000, "{request:?}");
            let result = self.peer.apply(&request).map_err(Failure::Refused);
            self.lists.response(op, result);
        }
    }

    /// The members at the peer of the list of a VLAN.
    fn members(&self, vlan: u16) -> Option<Vec<VifId>> {
        let list = self.floods.0.iter().find(|flood| flood.vlans.contains(vlan))?;
        Some(self.peer.members(list.list).expect("a list in use is there"))
    }

    /// The members at the peer of all lists of a VLAN, the lowest first.
    fn parts(&self, vlan: u16) -> Vec<Vec<VifId>> {
        let lists = self.floods.0.iter().filter(|flood| flood.vlans.contains(vlan));
        let mut parts: Vec<Vec<VifId>> = lists.filter_map(|flood| self.peer.members(flood.list)).collect();
        parts.sort();
        parts
    }

    fn states(&self) -> Vec<ClassState<'_>> {
        self.lists.classes().map(|class| class.state).collect()
    }
}

fn ids(ids: impl IntoIterator<Item = u16>) -> Option<Vec<VifId>> {
    Some(ids.into_iter().map(vif).collect())
}

#[test]
fn one_member_among_thousands_costs_one_pdu() {
    let mut rig = Rig::new(4095);
    assert_eq!(rig.want(&[class(&[10], 1..=4000)]), 8, "512 to a PDU");
    assert_eq!(rig.want(&[class(&[10], 1..=3999)]), 8, "the second list");
    for last in [3998, 3999, 4000, 3990, 4001] {
        assert!(rig.want(&[class(&[10], 1..=last)]) <= 2, "{last}");
        assert_eq!(rig.members(10), ids(1..=last));
    }
    assert_eq!(rig.peer.len(), 2);
}

#[test]
fn members_that_move_together_to_another_vlan_cost_nothing() {
    let mut rig = Rig::new(4095);
    rig.want(&[class(&[10, 11], 1..=4000), class(&[20], [4001])]);
    assert_eq!(rig.want(&[class(&[12], 1..=4000), class(&[20], [4001])]), 0);
    assert_eq!((rig.members(10), rig.members(12)), (None, ids(1..=4000)));
    // They join another VLAN as a whole, and then the VLANs are one class.
    rig.want(&[class(&[12], 1..=4000), class(&[20], 1..=4001)]);
    assert_eq!(rig.want(&[class(&[12, 20], 1..=4000)]), 0);
    assert_eq!(rig.members(20), ids(1..=4000));
}

#[test]
fn a_list_is_left_alone_until_no_worker_uses_it() {
    let mut rig = Rig::new(2);
    rig.want(&[class(&[10], [1])]);
    rig.lists.want(&[class(&[10], [1, 2])]);
    let (op, request) = rig.lists.poll_request().expect("a second list");
    assert!(rig.peer.apply(&request).is_ok());
    assert!(!rig.lists.is_dirty(), "not before it is acknowledged");
    rig.lists.response(op, Ok(()));
    rig.lists.want(&[class(&[10], [1, 2, 3])]);
    assert!(rig.lists.is_dirty());
    let floods = rig.lists.publish(Change(7));
    assert_eq!(floods.0[0].members[..], [vif(1), vif(2)]);
    assert!(rig.lists.poll_request().is_none(), "workers may still use the first");
    rig.lists.published(Change(6));
    assert!(rig.lists.poll_request().is_none());
    rig.lists.published(Change(7));
    let (_, request) = rig.lists.poll_request().expect("the first");
    assert!(matches!(request, Request::ListMod { list, .. } if list != floods.0[0].list));
}

#[test]
fn changes_on_the_way_coalesce() {
    let mut rig = Rig::new(4095);
    rig.want(&[class(&[10], 1..=100)]);
    rig.want(&[class(&[10], 1..=101)]);
    rig.lists.want(&[class(&[10], 1..=102)]);
    let (op, first) = rig.lists.poll_request().expect("the spare changes");
    for last in 103..=200 {
        rig.lists.want(&[class(&[10], 1..=last)]);
        assert!(rig.lists.poll_request().is_none(), "one at a time");
    }
    assert!(rig.peer.apply(&first).is_ok());
    rig.lists.response(op, Ok(()));
    assert!(!rig.lists.is_dirty(), "nobody wants 1-102 any more");
    assert_eq!(rig.run(), 1);
    assert_eq!(rig.members(10), ids(1..=200));
}

#[test]
fn without_room_for_a_second_list_there_is_a_gap() {
    let mut rig = Rig::new(1);
    rig.want(&[class(&[10], [1, 2])]);
    rig.lists.want(&[class(&[10], [1, 2, 3])]);
    assert!(rig.lists.poll_request().is_none() && rig.lists.is_dirty());
    assert_eq!(rig.lists.publish(Change(50)), FloodLists::default(), "out of service first");
    assert!(rig.lists.poll_request().is_none());
    rig.lists.published(Change(50));
    rig.run();
    assert_eq!(rig.members(10), ids([1, 2, 3]));
}

#[test]
fn what_has_no_room_is_named_and_served_later() {
    let mut rig = Rig::new(1);
    rig.want(&[class(&[10], [1]), class(&[20], [2])]);
    assert_eq!(rig.states(), [ClassState::Served, ClassState::NoRoom]);
    assert_eq!(rig.want(&[class(&[10], [1]), class(&[20], [2, 3])]), 0);
    rig.want(&[class(&[20], [2, 3])]);
    assert_eq!((rig.states(), rig.members(20)), (vec![ClassState::Served], ids([2, 3])));
}

#[test]
fn lists_shared_crosswise_come_apart() {
    let mut rig = Rig::new(2);
    rig.want(&[class(&[10, 20], [1]), class(&[30, 40], [2])]);
    rig.want(&[class(&[10, 30], [3]), class(&[20, 40], [4])]);
    assert_eq!(rig.states(), [ClassState::Served; 2]);
    assert_eq!((rig.members(10), rig.members(40)), (ids([3]), ids([4])));
}

#[test]
fn what_was_not_sent_comes_again() {
    let mut rig = Rig::new(8);
    rig.want(&[class(&[10], [1])]);
    rig.want(&[class(&[10], [1, 2])]);
    rig.lists.want(&[class(&[10], [1, 2, 3])]);
    let (op, request) = rig.lists.poll_request().expect("the first list changes");
    assert!(rig.lists.poll_request().is_none());
    rig.lists.unsent(op);
    let (again, same) = rig.lists.poll_request().expect("the same again");
    assert!(op != again && std::mem::discriminant(&request) == std::mem::discriminant(&same));
    rig.lists.response(op, Ok(()));
    assert!(!rig.lists.is_dirty(), "that was the other");
    rig.lists.unsent(again);
    rig.run();
    assert_eq!(rig.members(10), ids([1, 2, 3]));
}

#[test]
fn what_is_being_built_for_a_class_that_is_served_by_then_is_given_up() {
    let mut rig = Rig::new(3);
    rig.want(&[class(&[4, 5], [1])]);
    rig.lists.want(&[class(&[2], [4]), class(&[4], [1]), class(&[5], [1, 4])]);
    let (op, request) = rig.lists.poll_request().expect("a new list");
    // VLAN 5 has what it had, and VLAN 4 wants another.
    rig.lists.want(&[class(&[2], [5]), class(&[4], [1, 5]), class(&[5], [1])]);
    let result = rig.peer.apply(&request).map_err(Failure::Refused);
    rig.lists.response(op, result);
    rig.run();
    assert_eq!(rig.states(), [ClassState::Served; 3]);
}

#[test]
fn a_class_stays_on_what_it_has_when_the_peer_refuses() {
    let mut rig = Rig::new(8);
    rig.want(&[class(&[10], [1])]);
    rig.peer.refuse = Some(Refusal::with_cause(Status::ERROR, 0, "not today"));
    assert_eq!(rig.want(&[class(&[10], [1, 2])]), 1);
    assert_eq!(rig.members(10), ids([1]));
    let state = rig.states();
    assert!(matches!(state[..], [ClassState::Refused(why)] if why.contains("not today")), "{state:?}");
    rig.peer.refuse = None;
    assert_eq!(rig.run(), 0, "only when it is time");
    rig.lists.retry();
    rig.run();
    assert_eq!((rig.states(), rig.members(10)), (vec![ClassState::Served], ids([1, 2])));
}

#[test]
fn generations_of_another_life_are_overtaken() {
    for before in [0x2000_0000, 0x7fff_ffff, 0x8000_0000, 0xc000_0000, u32::MAX] {
        let mut rig = Rig::new(8);
        rig.peer.put(ListId::new(1).unwrap(), before, [vif(9)]);
        rig.want(&[class(&[10], [1])]);
        assert_eq!(rig.members(10), ids([1]), "{before:#x}");
    }
}

#[test]
fn a_vif_that_comes_back_is_added_although_it_was_there() {
    let mut rig = Rig::new(8);
    rig.want(&[class(&[10], [1, 2])]);
    rig.want(&[class(&[10], [1])]);
    assert!(!rig.lists.holds(vif(2)));
    // The adapter takes a deleted VIF out of all lists, the spare one too.
    rig.peer.clear(vif(2));
    rig.want(&[class(&[10], [1, 2])]);
    assert_eq!(rig.members(10), ids([1, 2]));
}

#[test]
fn a_vif_that_comes_back_before_the_answer_is_added_again() {
    let mut rig = Rig::new(8);
    rig.lists.want(&[class(&[10], [1, 2])]);
    let (op, request) = rig.lists.poll_request().expect("a list");
    assert!(rig.peer.apply(&request).is_ok());
    rig.lists.want(&[class(&[10], [1])]);
    rig.peer.clear(vif(2));
    rig.lists.want(&[class(&[10], [1, 2])]);
    rig.lists.response(op, Ok(()));
    rig.run();
    assert_eq!(rig.members(10), ids([1, 2]));
}

#[test]
fn nothing_is_believed_of_a_peer_that_was_away() {
    let mut rig = Rig::new(8);
    rig.want(&[class(&[10], [1, 2])]);
    rig.lists.reset(None);
    assert!(rig.lists.is_dirty() && rig.lists.holds(vif(3)), "who knows");
    assert_eq!(rig.states(), [ClassState::NoPeer]);
    rig.run();
    assert_eq!(rig.floods, FloodLists::default());
    rig.peer = Peer::new(8);
    rig.lists.reset(Some(limits(8)));
    rig.run();
    assert_eq!(rig.members(10), ids([1, 2]));
}

#[test]
fn spares_are_few() {
    let mut rig = Rig::new(4095);
    let classes: Vec<_> = (1..=100).map(|n| class(&[n], [n, 1000 + n])).collect();
    rig.want(&classes);
    rig.want(
        &classes.iter().map(|(vlans, members)| (vlans.clone(), members[..1].into())).collect::<Vec<_>>(),
    );
    assert_eq!(rig.peer.len(), 200);
    rig.want(&classes[..3]);
    assert!(rig.peer.len() <= 7, "{}", rig.peer.len());
    rig.want(&[]);
    assert!(rig.peer.len() <= 1);
}

#[test]
fn members_that_part_do_so_at_once_and_nobody_is_left_out_or_served_twice() {
    let mut rig = Rig::new(8);
    rig.want(&[class(&[10, 11], 1..=4)]);
    let whole = rig.floods.0[0].list;
    // 3 and 4 get an access list each, in one VLAN.
    rig.lists.want(&[class(&[10], [1, 2]), class(&[11], 1..=4), class(&[10], [3]), class(&[10], [4])]);
    let mut asked = Vec::new();
    while let Some(request) = rig.lists.poll_request() {
        asked.push(request);
    }
    assert_eq!(asked.len(), 3);
    for (nth, (op, request)) in asked.into_iter().enumerate() {
        assert!(!rig.lists.is_dirty(), "not before all of them are there");
        let waiting = rig.lists.lists().filter(|list| list.state == ListState::Waiting).count();
        assert_eq!(waiting, nth);
        let result = rig.peer.apply(&request).map_err(Failure::Refused);
        rig.lists.response(op, result);
    }
    rig.run();
    assert_eq!(rig.parts(10), [vec![vif(1), vif(2)], vec![vif(3)], vec![vif(4)]]);
    assert_eq!(rig.parts(11), [vec![vif(1), vif(2), vif(3), vif(4)]]);
    assert!(rig.floods.0.iter().any(|flood| flood.list == whole), "VLAN 11 has what it had");

    // One that changes does not wait for others.
    rig.peer.refuse = Some(Refusal::with_cause(Status::ERROR, 0, "not today"));
    rig.want(&[class(&[10], [1, 2, 5]), class(&[10], [3]), class(&[10], [4]), class(&[11], 1..=4)]);
    rig.peer.refuse = None;
    rig.want(&[class(&[10], [1, 2, 5]), class(&[10], [3, 6]), class(&[10], [4]), class(&[11], 1..=4)]);
    assert_eq!(rig.parts(10), [vec![vif(1), vif(2)], vec![vif(3), vif(6)], vec![vif(4)]]);
    rig.lists.retry();
    // And all together again.
    rig.want(&[class(&[10, 11], 1..=6)]);
    assert_eq!(rig.parts(10), [(1..=6).map(vif).collect::<Vec<_>>()]);
    assert_eq!((rig.parts(11), rig.states()), (rig.parts(10), vec![ClassState::Served]));
}

#[test]
fn members_that_all_get_another_access_list_cost_nothing() {
    let mut rig = Rig::new(8);
    rig.want(&[class(&[10], 1..=4000), class(&[10], [4001])]);
    // The one is now filtered like the many; the many lose their list.
    assert_eq!(rig.want(&[class(&[10], [4001]), class(&[10], 1..=4000)]), 0);
    assert_eq!(rig.states(), [ClassState::Served; 2]);
}

#[test]
fn without_room_for_the_parts_there_is_a_gap() {
    let mut rig = Rig::new(3);
    rig.want(&[class(&[10], [1, 2, 3])]);
    rig.want(&[class(&[10], [1]), class(&[10], [2]), class(&[10], [3])]);
    assert_eq!((rig.states(), rig.parts(10).len()), (vec![ClassState::Served; 3], 3));
}
