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
    let most = tables.copy_counters().map(|copy| copy.sent.frames.get()).max();
    assert_eq!(most, Some(2));
}
