//! Floods: one copy for each port, the list, the looped bit.

use super::*;

#[test]
fn a_broadcast_leaves_once_by_every_port_with_members() {
    let mut rig = Rig::new(campus());
    let out = rig.send(LINK0, &up(5, BROADCAST, mac(1), None));
    let host = |tci| host_frame(BROADCAST, mac(1), tci);
    assert_eq!(
        out,
        [
            (LINK0, tagged(0xc001_8005, &host(Some(10)))),
            (LINK1, tagged(0xc009_0000, &host(Some(10)))),
            (TRUNK, host(Some(10))),
            (ACCESS, host(None)),
        ]
    );
    assert_eq!(rig.counters.replicated.get(), 3);
}

#[test]
fn the_originator_is_looped_only_on_its_own_link() {
    // VIF 5 exists on both links; on the other one it is somebody else.
    let mut rig = Rig::new(campus());
    let out = rig.send(LINK1, &up(5, BROADCAST, mac(3), None));
    let host = host_frame(BROADCAST, mac(3), Some(10));
    assert_eq!(out[0], (LINK0, tagged(0xc001_0000, &host)));
    assert!(out.iter().all(|(port, _)| *port != LINK1), "F5: nobody else is on link 1");
}

#[test]
fn the_list_is_that_of_the_vlan() {
    let mut rig = Rig::new(campus());
    let out = rig.send(TRUNK, &host_frame(BROADCAST, mac(9), Some(20)));
    assert_eq!(out, [(LINK0, tagged(0xc002_0000, &host_frame(BROADCAST, mac(9), Some(20))))]);
    let out = rig.send(TRUNK, &host_frame(BROADCAST, mac(9), Some(40)));
    assert_eq!(out, [(LINK0, tagged(0xc003_0000, &host_frame(BROADCAST, mac(9), Some(40))))]);
}

#[test]
fn unknown_unicast_and_multicast_are_flooded_too() {
    let mut rig = Rig::new(campus());
    assert_eq!(rig.send(LINK0, &up(5, mac(77), mac(1), None)).len(), 4);
    assert_eq!(rig.send(LINK0, &up(5, [0x01, 0, 0x5e, 0, 0, 1], mac(1), None)).len(), 4);
}

#[test]
fn more_floods_than_spare_heads() {
    let mut rig = Rig::new(campus());
    let frames: Vec<Vec<u8>> = (0..64u8)
        .map(|n| {
            let mut frame = up(5, BROADCAST, mac(1), None);
            frame[40] = n;
            frame
        })
        .collect();
    rig.put(LINK0, &frames);
    rig.run();
    for (port, at) in [(LINK0, 44), (LINK1, 44), (TRUNK, 38), (ACCESS, 34)] {
        let seen: Vec<u8> = rig.taken(port).iter().map(|frame| frame[at]).collect();
        assert_eq!(seen, (0..64).collect::<Vec<_>>(), "port {port}");
    }
    assert_eq!(rig.counters.replicated.get(), 64 * 3);
}

#[test]
fn one_burst_may_flood_to_more_ports_than_there_are_spare_heads() {
    let builder = (0..300).fold(Builder::default(), |builder, _| builder.wire(Program::access(1)));
    let mut rig = Rig::with(builder, 4, 64, Options::default());
    let out = rig.send(0, &host_frame(BROADCAST, mac(1), None));
    assert_eq!(out.len(), 299);
    assert!(out.iter().all(|(port, frame)| *port != 0 && *frame == host_frame(BROADCAST, mac(1), None)));
}

#[test]
fn counters_of_lists_survive_new_tables() {
    let mut rig = Rig::new(campus());
    rig.send(LINK0, &up(5, BROADCAST, mac(1), None));
    rig.republish();
    rig.send(LINK0, &up(5, BROADCAST, mac(1), None));
    let tables = rig.published.current();
    let most = tables.copy_counters().map(|copy| copy.sent().frames).max();
    assert_eq!(most, Some(2));
}

/// VIFs 5, 6 and 7 in VLAN 10, and 8 in VLAN 20, on one link: slots 1 to 4. The list of VLAN 10 is 1.
fn session(members: &[u16]) -> Rig {
    let builder = Builder::default().session(&[(1, &[10], members)]);
    let veths = [(5, 10), (6, 10), (7, 10), (8, 20)];
    let veth = |builder: Builder, (vif, vlan)| builder.veth(0, vif, Program::access(vlan));
    Rig::new(veths.into_iter().fold(builder, veth))
}

/// VIF 5 floods: what comes of it, and how many frames each of the four got.
fn five_floods(rig: &mut Rig) -> (Vec<(DropReason, u64)>, usize, [u64; 4]) {
    let before = [1, 2, 3, 4].map(|slot| rig.got(slot));
    let (drops, sent) = rig.provoke(0, &up(5, BROADCAST, mac(1), None));
    let mut after = [1, 2, 3, 4].map(|slot| rig.got(slot));
    after.iter_mut().zip(before).for_each(|(after, before)| *after -= before);
    (drops, sent, after)
}

#[test]
fn a_session_gives_the_list_and_its_located_members_are_counted() {
    let mut rig = session(&[5, 6, 7]);
    assert_eq!(rig.send(0, &up(5, BROADCAST, mac(1), None))[0].1[14..18], [0xc0, 1, 0x80, 5]);
    assert_eq!(five_floods(&mut rig), (vec![], 1, [0, 1, 1, 0]));
    // VIF 9 was just disabled.
    assert_eq!(five_floods(&mut session(&[5, 6, 7, 9])), (vec![], 1, [0, 1, 1, 0]));
}

#[test]
fn one_that_was_just_enabled_is_not_counted_and_not_pruned() {
    assert_eq!(five_floods(&mut session(&[5, 6])), (vec![], 1, [0, 1, 0, 0]));
    let mut rig = session(&[6, 7]);
    // It got a frame before, which its own flood does not take from the count.
    rig.teach(0, &up(5, mac(9), mac(1), None));
    rig.send(0, &up(6, mac(1), mac(2), None));
    assert_eq!(rig.got(1), 1);
    assert_eq!(five_floods(&mut rig), (vec![], 1, [0, 1, 1, 0]));
    assert_eq!(rig.got(1), 1);
}

#[test]
fn a_stranger_in_the_list_gets_the_frame_and_is_counted() {
    assert_eq!(five_floods(&mut session(&[5, 6, 8])), (vec![], 1, [0, 1, 0, 1]));
    // But nothing is sent for strangers.
    let f8 = vec![(DropReason::McDvifXlateMiss, 1)];
    assert_eq!(five_floods(&mut session(&[8])), (f8, 0, [0; 4]));
}

#[test]
fn a_list_that_reaches_nobody_but_the_originator_is_a_drop() {
    let f8 = || vec![(DropReason::McDvifXlateMiss, 1)];
    assert_eq!(five_floods(&mut session(&[5])), (f8(), 0, [0; 4]));
    assert_eq!(five_floods(&mut session(&[5, 8])), (f8(), 0, [0; 4]));
    assert_eq!(five_floods(&mut session(&[9])), (f8(), 0, [0; 4]));
    // From another it reaches somebody.
    let mut rig = session(&[5]);
    assert_eq!(rig.provoke(0, &up(6, BROADCAST, mac(2), None)), (vec![], 1));
    assert_eq!([1, 2, 3].map(|slot| rig.got(slot)), [1, 0, 0]);
}

#[test]
fn without_a_list_the_only_member_floods_to_nobody() {
    let nobody = vec![(DropReason::FloodNoReceiver, 1)];
    let mut rig = session(&[5, 6, 7]);
    assert_eq!(rig.provoke(0, &up(8, BROADCAST, mac(4), None)), (nobody, 0));
    // A second one in VLAN 20 makes it a drop of that copy.
    rig.plan.lifs.push(LifPlan::virt(lif_id(5), 0, vif_id(9), Arc::new(Program::access(20)), Arc::default()));
    rig.republish();
    assert_eq!(rig.provoke(0, &up(8, BROADCAST, mac(4), None)), (vec![(DropReason::McDvifXlateMiss, 1)], 0));
}
