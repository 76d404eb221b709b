//! Lists: who is in them, and what the data path may use.

use super::adapter::{ACTIVE, vnic};
use super::*;

fn shown(world: &World, port: usize) -> Vec<(String, u16, Vec<u16>)> {
    let each = |flood: &FloodList| {
        let members = flood.members.iter().map(|vif| vif.get()).collect();
        (format!("{:?}", flood.vlans), flood.list.get(), members)
    };
    world.floods(port).0.iter().map(each).collect()
}

#[test]
fn c18_a_list_is_used_when_it_is_acknowledged() {
    let mut world = World::new();
    assert_eq!(world.create(0, 1, vnic(1), ACTIVE), Ok((1, 1)));
    world.settle();
    let [(_, first, members)] = &shown(&world, 0)[..] else { panic!("{:?}", shown(&world, 0)) };
    assert_eq!(members, &[1]);
    assert_eq!(world.adapters[0].lists[first], [1].into());
    world.adapters[0].silent = true;
    assert_eq!(world.create(0, 2, vnic(2), ACTIVE), Ok((2, 2)));
    world.settle();
    assert_eq!(world.at(2), Some((0, 2)), "unicast at once");
    assert_eq!(shown(&world, 0)[0].2, [1], "floods not yet");
    world.adapters[0].silent = false;
    world.settle();
    let (_, list, members) = &shown(&world, 0)[0];
    assert_eq!((members, &world.adapters[0].lists[list]), (&vec![1, 2], &[1, 2].into()));
}

#[test]
fn c2_a_vif_that_goes_leaves_the_lists() {
    let mut world = World::new();
    for number in 1..=3 {
        assert!(world.create(0, u16::from(number), vnic(number), ACTIVE).is_ok());
    }
    assert_eq!(world.delete(0, 2), Ok(()));
    assert_eq!(world.disable(0, 3), Ok(()));
    world.settle();
    assert_eq!(shown(&world, 0).iter().map(|list| list.2.clone()).collect::<Vec<_>>(), [[1]]);
}

#[test]
fn those_with_another_access_list_towards_them_get_a_list_of_their_own() {
    use crate::config::running::AclName;
    let mut world = World::new();
    for number in 1..=4 {
        assert!(world.create(0, u16::from(number), vnic(number), ACTIVE).is_ok());
    }
    let list = |name| AclName::new(name).expect("a name");
    world.configure(|running| {
        running.make_access_list(&list("500")).expect("room");
        for number in [2, 4] {
            running.make_vethernet(number).expect("room");
            running.vethernet_mut(number).expect("a vEth").switchport.acl_out = Some(list("500"));
        }
    });
    let parts = |world: &World| -> Vec<Vec<u16>> {
        let mut parts: Vec<_> =
            shown(world, 0).into_iter().map(|(vlans, _, members)| (vlans, members)).collect();
        parts.sort();
        assert!(parts.iter().all(|(vlans, _)| vlans == "{1..=1}"), "{parts:?}");
        parts.into_iter().map(|(_, members)| members).collect()
    };
    assert_eq!(parts(&world), [[1, 3], [2, 4]]);
    let filtered =
        |world: &World, number| world.control.forwarding().veths[&number].program.acl_out.is_some();
    assert_eq!([1, 2, 3, 4].map(|number| filtered(&world, number)), [false, true, false, true]);
    // A list that is edited is another one, for the same members.
    let before = shown(&world, 0);
    world.configure(|running| {
        let remark = crate::config::running::AclLine::Remark(
            crate::config::running::Description::new("the rest").expect("a text"),
        );
        running.make_access_list(&list("500")).expect("room").put(None, remark).expect("room");
    });
    assert_eq!(shown(&world, 0), before);
    world.configure(|running| {
        for number in [2, 4] {
            running.vethernet_mut(number).expect("a vEth").switchport.acl_out = None;
        }
    });
    assert_eq!(parts(&world), [[1, 2, 3, 4]]);
}
