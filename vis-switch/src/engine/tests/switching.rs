//! Unicast: across ports, back down the same link, and what becomes of tags and priorities.

use super::*;

/// Priority 5, drop eligible.
const MARK: u16 = 5 << 13 | 1 << 12;

#[test]
fn across_links_the_tag_names_the_destination_only() {
    let mut rig = Rig::new(campus());
    rig.teach(LINK1, &up(5, BROADCAST, mac(3), None));
    let out = rig.send(LINK0, &up(6, mac(3), mac(2), Some(MARK)));
    assert_eq!(out, [(LINK1, tagged(0x8005_0000, &host_frame(mac(3), mac(2), Some(MARK | 10))))]);
}

#[test]
fn hairpin_is_looped_and_carries_the_real_vlan() {
    for tci in [None, Some(0), Some(10)] {
        let mut rig = Rig::new(campus());
        rig.teach(LINK0, &up(6, BROADCAST, mac(2), None));
        let out = rig.send(LINK0, &up(5, mac(2), mac(1), tci));
        assert_eq!(out, [(LINK0, tagged(0x8006_8005, &host_frame(mac(2), mac(1), Some(10))))], "{tci:?}");
    }
}

#[test]
fn hairpin_can_be_plain() {
    let mut rig = Rig::with(campus(), 64, 64, Options { hairpin_looped: false, ..Options::default() });
    rig.teach(LINK0, &up(6, BROADCAST, mac(2), None));
    let out = rig.send(LINK0, &up(5, mac(2), mac(1), None));
    assert_eq!(out, [(LINK0, tagged(0x8006_0000, &host_frame(mac(2), mac(1), Some(10))))]);
}

#[test]
fn ordinary_ports_get_no_vntag() {
    let mut rig = Rig::new(campus());
    rig.teach(TRUNK, &host_frame(BROADCAST, mac(9), Some(10)));
    rig.teach(ACCESS, &host_frame(BROADCAST, mac(8), None));
    let out = rig.send(LINK0, &up(5, mac(9), mac(1), Some(MARK)));
    assert_eq!(out, [(TRUNK, host_frame(mac(9), mac(1), Some(MARK | 10)))]);
    let out = rig.send(LINK0, &up(5, mac(8), mac(1), None));
    assert_eq!(out, [(ACCESS, host_frame(mac(8), mac(1), None))]);
    let out = rig.send(TRUNK, &host_frame(mac(8), mac(9), Some(MARK | 10)));
    assert_eq!(out, [(ACCESS, host_frame(mac(8), mac(9), None))]);
    let out = rig.send(ACCESS, &host_frame(mac(1), mac(8), None));
    assert_eq!(out, [(LINK0, tagged(0x8005_0000, &host_frame(mac(1), mac(8), Some(10))))]);
}

#[test]
fn the_native_vlan_of_a_trunk_has_no_tag() {
    let builder =
        Builder::default().wire(Program::trunk(7, vlans(&[7, 8]))).wire(Program::trunk(8, vlans(&[7, 8])));
    let mut rig = Rig::new(builder);
    let out = rig.send(0, &host_frame(BROADCAST, mac(1), None));
    assert_eq!(out, [(1, host_frame(BROADCAST, mac(1), Some(7)))]);
    let out = rig.send(0, &host_frame(BROADCAST, mac(1), Some(8)));
    assert_eq!(out, [(1, host_frame(BROADCAST, mac(1), None))]);
    let out = rig.send(0, &host_frame(BROADCAST, mac(1), Some(MARK)));
    assert_eq!(out, [(1, host_frame(BROADCAST, mac(1), Some(MARK | 7)))]);
}

#[test]
fn short_frames_are_padded_on_ordinary_ports_only() {
    let mut rig = Rig::new(campus());
    rig.teach(TRUNK, &host_frame(BROADCAST, mac(9), Some(10)));
    rig.teach(ACCESS, &host_frame(BROADCAST, mac(8), None));
    rig.teach(LINK1, &up(5, BROADCAST, mac(3), None));
    for (to, port, len) in [(9, TRUNK, 60), (8, ACCESS, 60), (3, LINK1, 12 + 6 + 4 + 2 + 28)] {
        let short = &host_frame(mac(to), mac(1), None)[..14 + 28];
        let out = rig.send(LINK0, &tagged(5, short));
        assert_eq!(out.len(), 1);
        assert_eq!((out[0].0, out[0].1.len()), (port, len));
        let payload = out[0].1.iter().rposition(|octet| *octet == 28).unwrap() + 1;
        assert!(out[0].1[payload..].iter().all(|octet| *octet == 0));
    }
}

#[test]
fn frames_longer_than_a_head_arrive_whole() {
    let mut rig = Rig::new(campus());
    rig.teach(TRUNK, &host_frame(BROADCAST, mac(9), Some(10)));
    let mut frame = host_frame(mac(9), mac(1), None);
    frame.extend((0..1400).map(|n| n as u8));
    let out = rig.send(LINK0, &tagged(5, &frame));
    let mut want = host_frame(mac(9), mac(1), Some(10));
    want.extend((0..1400).map(|n| n as u8));
    assert_eq!(out, [(TRUNK, want)]);
}

#[test]
fn order_is_kept_through_bursts_and_turns() {
    let mut rig = Rig::new(campus());
    rig.teach(LINK0, &up(6, BROADCAST, mac(2), None));
    let frames: Vec<Vec<u8>> = (0..1000u16)
        .map(|n| {
            let mut frame = up(5, if n % 7 == 0 { BROADCAST } else { mac(2) }, mac(1), None);
            frame[40..42].copy_from_slice(&n.to_be_bytes());
            frame
        })
        .collect();
    rig.put(LINK0, &frames);
    rig.run();
    let seen: Vec<u16> =
        rig.taken(LINK0).iter().map(|frame| u16::from_be_bytes([frame[44], frame[45]])).collect();
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_turn_has_an_end() {
    let mut rig = Rig::with(campus(), 2048, 4096, Options::default());
    rig.put(LINK0, &vec![up(5, mac(2), mac(1), None); 1100]);
    assert_eq!(rig.engine.turn(0).moved, 1024);
    assert_eq!(rig.engine.turn(0).moved, 76);
    let idle = (0..40).map(|_| rig.engine.turn(0)).last().unwrap();
    assert!(idle.idle && idle.moved == 0 && idle.next.is_none());
}

#[test]
fn counters_of_interfaces_say_who_sent_and_who_got() {
    let mut rig = Rig::new(campus());
    rig.teach(LINK0, &up(6, BROADCAST, mac(2), None));
    rig.send(LINK0, &up(5, mac(2), mac(1), None));
    rig.send(LINK0, &up(5, mac(2), mac(1), Some(99)));
    let tables = rig.published.current();
    let lists = |slot: u32| {
        let lif = tables.lif(lif_id(slot)).unwrap();
        let member = |copy: &&Arc<super::super::counters::CopyCounters>| {
            copy.members.iter().any(|member| Arc::ptr_eq(member, &lif.counters))
        };
        let total = tables
            .copy_counters()
            .filter(member)
            .map(|copy| copy.sent())
            .fold(Total::default(), |a, b| a + b);
        lif.counters.transmitted(total).frames
    };
    let received = |slot: u32| tables.lif(lif_id(slot)).unwrap().counters.received().frames;
    assert_eq!((received(1), lists(1)), (2, 1), "vif 5 sent two and got the broadcast");
    assert_eq!(tables.lif(lif_id(1)).unwrap().counters.rx_dropped(), 1);
    assert_eq!((received(2), lists(2)), (1, 1), "vif 6 sent the broadcast and got one");
    assert_eq!((received(3), lists(3)), (0, 1), "the trunk vEth got the broadcast");
    assert_eq!((received(4), lists(4)), (0, 0), "another VLAN got nothing");
}

#[test]
fn a_worker_never_frees_tables() {
    let mut rig = Rig::new(campus());
    let first = Arc::downgrade(&rig.published.current());
    rig.republish();
    rig.published.reclaim();
    assert_eq!(first.strong_count(), 2, "the worker has had no turn yet");
    rig.run();
    assert_eq!(first.strong_count(), 1, "left to whoever replaces them");
    rig.published.reclaim();
    assert_eq!(first.strong_count(), 0);
    // Tables that no worker ever saw do not pile up.
    let second = Arc::downgrade(&rig.published.current());
    (0..3).for_each(|_| rig.republish());
    assert_eq!(second.strong_count(), 2, "the worker's");
    let third = Arc::downgrade(&rig.published.current());
    (0..2).for_each(|_| rig.republish());
    assert_eq!(third.strong_count(), 0);
}
