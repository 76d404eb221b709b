//! Every drop reason by a real frame: it moves that counter and no other, nothing comes out, nothing is learned.

use super::*;
use DropReason::*;

fn with_type(ethertype: u16, tail: &[u8]) -> Vec<u8> {
    [&mac(2)[..], &mac(1), &ethertype.to_be_bytes(), tail].concat()
}

/// Drops on the way in: (reason, port, frame).
fn refused() -> Vec<(DropReason, usize, Vec<u8>)> {
    let host = |tci| host_frame(mac(2), mac(1), tci);
    let local = |last| [0x01, 0x80, 0xc2, 0, 0, last];
    let from = |source| tagged(5, &host_frame(mac(2), source, Some(0)));
    let to = |destination| tagged(5, &host_frame(destination, mac(1), Some(0)));
    let behind_q = |port_tci: u16, next: u16| {
        let mut frame = host(Some(port_tci));
        frame[16..18].copy_from_slice(&next.to_be_bytes());
        frame
    };
    let mut long = host(Some(0));
    long.resize(14 + 4 + 1501, 0);
    let mut cdp = host(None);
    cdp[..6].copy_from_slice(&[0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc]);
    let mut bpdu = host(None);
    bpdu[..6].copy_from_slice(&local(0));
    bpdu[12..14].copy_from_slice(&38u16.to_be_bytes());
    let mut lldp = host(None);
    lldp[..6].copy_from_slice(&local(0x0e));
    lldp[12..14].copy_from_slice(&0x88ccu16.to_be_bytes());
    let mut after_q = host(Some(10));
    after_q[16..18].copy_from_slice(&0x8926u16.to_be_bytes());
    vec![
        (RxNoVntag, LINK0, host(Some(10))),
        (RxNoVntag, LINK0, after_q.clone()),
        (RxNoVntag, LINK0, vec![0; 3]),
        (RxVntagIllegal, TRUNK, up(5, mac(2), mac(1), None)),
        (RxVntagIllegal, ACCESS, with_type(0x8926, &[])),
        (RxTruncated, LINK0, with_type(0x8926, &[0, 0, 0])),
        (RxTruncated, LINK0, with_type(0x8926, &[])),
        (RxNoInnerType, LINK0, with_type(0x8926, &[0, 0, 0, 5])),
        (RxNoInnerType, LINK0, with_type(0x8926, &[0, 0, 0, 5, 8])),
        (RxBadDir, LINK0, tagged(0x8000_0005, &host(None))),
        (RxBadPtr, LINK0, tagged(0x4000_0005, &host(None))),
        (RxBadLoop, LINK0, tagged(0x0000_8005, &host(None))),
        (RxBadDst, LINK0, tagged(0x0006_0005, &host(None))),
        (RxReserved, LINK0, tagged(0x0000_4005, &host(None))),
        (RxVersion, LINK0, tagged(0x0000_1005, &host(None))),
        (RxSrcReserved, LINK0, up(0, mac(2), mac(1), None)),
        (RxSrcReserved, LINK0, up(0xfff, mac(2), mac(1), None)),
        (RxSrcUnknown, LINK0, up(9, mac(2), mac(1), None)),
        (RxSrcUnknown, LINK1, up(6, mac(2), mac(1), None)),
        (RxDouble, LINK0, tagged(5, &up(5, mac(2), mac(1), None))),
        (RxRunt, TRUNK, vec![2; 13]),
        (RxRunt, LINK0, tagged(5, &with_type(0x8100, &[0, 10, 8]))),
        (RxVlanReserved, LINK0, tagged(5, &host(Some(0xfff)))),
        (RxVlanReserved, TRUNK, host(Some(0xfff))),
        (RxVlan, LINK0, tagged(5, &host(Some(11)))),
        (RxVlan, LINK0, tagged(7, &host(None))),
        (RxVlan, ACCESS, host(Some(20))),
        (RxSmac, LINK0, from([0x01, 0, 0, 0, 0, 1])),
        (RxSmac, LINK0, from([0; 6])),
        (RxLinklocal, LINK0, to(local(0))),
        (RxLinklocal, LINK0, to(local(0x0f))),
        (RxLinklocal, TRUNK, lldp.clone()),
        (RxOversize, LINK0, tagged(5, &long)),
        (RxStacked, LINK0, tagged(5, &behind_q(0, 0x8100))),
        (RxStacked, LINK0, tagged(5, &behind_q(10, 0x88a8))),
        (RxStacked, ACCESS, behind_q(10, 0x9100)),
        (RxTagHidden, LINK0, tagged(7, &behind_q(20, 0x8926))),
        (RxTagHidden, LINK0, tagged(5, &with_type(0x893f, &[0; 60]))),
        (RxTagHidden, TRUNK, behind_q(20, 0x893f)),
        (RxTagHidden, TRUNK, with_type(0x893f, &[0; 60])),
        (RxPeerL2proto, LINK0, cdp),
        (RxPeerL2proto, LINK0, bpdu),
        (RxControl, LINK0, lldp),
    ]
}

#[test]
fn refused_frames_move_one_counter_and_teach_nothing() {
    let mut rig = Rig::new(campus());
    for (reason, port, frame) in refused() {
        let case = format!("{reason:?} at port {port}: {frame:02x?}");
        assert_eq!(rig.provoke(port, &frame), (vec![(reason, 1)], 0), "{case}");
        assert_eq!(rig.learned(), [], "{case}");
    }
    let dropped: u64 = rig.counters.ports.iter().map(|port| port.rx_dropped.get()).sum();
    assert_eq!(dropped, refused().len() as u64);
}

#[test]
fn every_reason_has_a_case() {
    let others = [
        // In `acl.rs`.
        AclIn,
        AclOut,
        // In `secure.rs`.
        PortSecurity,
        Pvlan,
        SameVifUc,
        SameIfUc,
        UcDvifXlateMiss,
        McDvifXlateMiss,
        SvifXlateMiss,
        FloodNoReceiver,
        TxPortDown,
        TxRingFull,
        TxUnsendable,
        PuntFull,
        // In `tests/tests/super_frames.rs`: a frame here is complete.
        RxOffload,
    ];
    let refused = refused();
    let cases = || refused.iter().map(|(reason, ..)| *reason).chain(others);
    for reason in DropReason::ALL {
        assert!(cases().any(|case| case == *reason), "nothing provokes {}", reason.name());
    }
}

#[test]
fn the_longest_frames_pass() {
    let mut rig = Rig::new(campus());
    for tci in [None, Some(0)] {
        let mut frame = host_frame(mac(2), mac(1), tci);
        frame.resize(14 + tci.map_or(0, |_| 4) + 1500, 0);
        assert_eq!(rig.provoke(LINK0, &tagged(5, &frame)), (vec![], 4), "three ports and the own link");
    }
}

#[test]
fn same_interface() {
    let mut rig = Rig::new(campus());
    rig.teach(LINK0, &up(5, BROADCAST, mac(1), None));
    rig.teach(TRUNK, &host_frame(BROADCAST, mac(9), Some(20)));
    assert_eq!(rig.provoke(LINK0, &up(5, mac(1), mac(1), None)), (vec![(SameVifUc, 1)], 0));
    let frame = host_frame(mac(9), mac(8), Some(20));
    assert_eq!(rig.provoke(TRUNK, &frame), (vec![(SameIfUc, 1)], 0));
}

#[test]
fn a_destination_that_a_private_vlan_does_not_reach() {
    let builder = Builder::default()
        .link(&[list(1, &[5, 6])])
        .veth(0, 5, Program::private_host(100, 101, true))
        .veth(0, 6, Program::private_host(100, 101, true))
        .wire(Program::promiscuous(100, &[101]));
    let mut rig = Rig::new(builder);
    rig.teach(0, &up(6, BROADCAST, mac(2), None));
    assert_eq!(rig.provoke(0, &up(5, mac(2), mac(1), None)), (vec![(Pvlan, 1)], 0));
    assert_eq!(rig.provoke(0, &up(5, BROADCAST, mac(1), None)), (vec![], 1), "to the wire only");
    assert_eq!(rig.provoke(1, &host_frame(mac(2), mac(9), None)), (vec![], 1));
}

#[test]
fn no_list_with_exactly_these_members() {
    // VLAN 10 has members 5 and 6 on the link; the lists are too short and too long.
    let builder = Builder::default()
        .link(&[list(1, &[5]), list(2, &[5, 6, 7])])
        .veth(0, 5, Program::access(10))
        .veth(0, 6, Program::access(10))
        .wire(Program::access(10));
    let mut rig = Rig::new(builder);
    let (drops, out) = rig.provoke(0, &up(5, BROADCAST, mac(1), None));
    assert_eq!((drops, out), (vec![(McDvifXlateMiss, 1)], 1), "the wire's copy leaves");
    let (drops, out) = rig.provoke(1, &host_frame(BROADCAST, mac(2), None));
    assert_eq!((drops, out), (vec![(McDvifXlateMiss, 1)], 0));
}

#[test]
fn a_destination_without_a_vif() {
    let mut rig = Rig::new(campus());
    rig.teach(LINK0, &up(6, BROADCAST, mac(2), None));
    rig.plan.lifs[1].lif.vif = 0;
    rig.republish();
    assert_eq!(rig.provoke(TRUNK, &host_frame(mac(2), mac(9), Some(10))), (vec![(UcDvifXlateMiss, 1)], 0));
}

#[test]
fn an_originator_without_a_vif() {
    let mut rig = Rig::new(campus());
    rig.teach(LINK0, &up(6, BROADCAST, mac(2), None));
    rig.plan.lifs[0].lif.vif = 0;
    rig.plan.ports[0] = PortPlan::Static { lists: vec![list(1, &[6, 7])] };
    rig.republish();
    assert_eq!(rig.provoke(LINK0, &up(5, mac(2), mac(1), None)), (vec![(SvifXlateMiss, 1)], 0));
    let (drops, out) = rig.provoke(LINK0, &up(5, BROADCAST, mac(1), None));
    assert_eq!((drops, out), (vec![(SvifXlateMiss, 1)], 3), "only the copy back to the link is lost");
}

#[test]
fn a_flood_without_any_receiver() {
    let mut rig = Rig::new(Builder::default().link(&[list(1, &[5])]).veth(0, 5, Program::access(10)));
    assert_eq!(rig.provoke(0, &up(5, BROADCAST, mac(1), None)), (vec![(FloodNoReceiver, 1)], 0));
}

#[test]
fn ports_that_cannot_send() {
    let mut rig = Rig::with(campus(), 4, 1024, Options::default());
    rig.teach(TRUNK, &host_frame(BROADCAST, mac(9), Some(10)));
    rig.cables[TRUNK].unplug();
    let frame = up(5, mac(9), mac(1), None);
    assert_eq!(rig.provoke(LINK0, &frame), (vec![(TxPortDown, 1)], 0));
    rig.cables[TRUNK].plug();
    let before = rig.drops();
    for _ in 0..2 {
        rig.put(LINK0, &vec![frame.clone(); 4]);
        rig.run();
    }
    assert_eq!(rig.drops_since(&before), [(TxRingFull, 4)]);
    assert_eq!(rig.taken(TRUNK).len(), 4);
    assert_eq!(rig.counters.ports[TRUNK].tx_dropped.get(), 5);
}

#[test]
fn frames_too_long_for_a_device() {
    let mut builder = Builder::default().wire(Program::access(1)).wire(Program::access(1));
    for planned in &mut builder.0.lifs {
        Arc::make_mut(&mut planned.lif.program).mtu = 9000;
    }
    let published = Arc::new(Published::new(Tables::compile(&builder.0, None)));
    let config = link::pair::Config { max_frame: 1514, ..link::pair::Config::default() };
    let (mut a, mut far_a, _a) = pair(64);
    let (mut b, _far_b, _b) = config.open().unwrap();
    let near = vec![
        EnginePort { rx: a.rx, tx: a.tx.remove(0), punt: None },
        EnginePort { rx: b.rx, tx: b.tx.remove(0), punt: None },
    ];
    let mut engine =
        Engine::<Vntag>::new(near, published, Arc::new(MacTable::new(64, 1)), Options::default());
    let mut long = host_frame(BROADCAST, mac(1), None);
    long.resize(1515, 0);
    far_a.tx[0].send(0, &[OutFrame::private(&long), OutFrame::private(&host_frame(BROADCAST, mac(1), None))]);
    engine.turn(0);
    let counters = engine.counters();
    assert_eq!(counters.drops[TxUnsendable].get(), 1);
    assert_eq!(counters.sent.get(), 1);
    assert!(counters.balance().holds());
}
