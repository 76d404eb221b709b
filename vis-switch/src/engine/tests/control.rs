//! Orders, and what their tickets promise.

use super::super::control::Order;
use super::*;
use niv_node::mailbox::{lanes, mailbox};
use vntag::ethernet::Mac;

#[test]
fn an_applied_order_says_that_what_was_published_before_is_in_effect() {
    let (sender, orders) = mailbox(8).unwrap();
    let mut rig = Rig::new(campus());
    rig.engine = rig.engine.ordered_by(orders);
    assert!(rig.engine.events_changed());
    // VLAN 10 until these tables are in effect.
    rig.plan.lifs[0].lif.program = Arc::new(Program::access(40));
    rig.put(LINK0, &[up(5, BROADCAST, mac(1), None)]);
    rig.republish();
    let ticket = sender.post(Order::Quiesce).unwrap();
    assert!(!sender.applied(ticket), "the worker has not come to it yet");
    rig.run();
    assert!(sender.applied(ticket));
    let out = [(TRUNK, host_frame(BROADCAST, mac(1), Some(40)))];
    assert_eq!(rig.all_taken(), out, "VLAN 40, although it waited in the ring before the change");
}

#[test]
fn what_is_ordered_leaves_in_the_same_turn() {
    let (sender, orders) = mailbox(8).unwrap();
    let mut rig = Rig::new(campus());
    rig.engine = rig.engine.ordered_by(orders);
    let frames: Vec<Vec<u8>> = (0..100u8).map(|n| vec![n; 60]).collect();
    let ticket = sender.post(Order::Send { port: LINK1, frames: frames.clone() }).unwrap();
    assert_eq!(rig.engine.turn(0).moved, 100);
    assert!(sender.applied(ticket));
    assert_eq!(rig.taken(LINK1), frames);
    let sent = rig.counters.ports[LINK1].tx.get();
    assert_eq!((sent.frames, sent.octets), (100, 6000));
    assert!(rig.counters.balance().holds());
}

#[test]
fn control_gets_its_frames_until_its_lane_is_full() {
    let lldp = [&[0x01, 0x80, 0xc2, 0, 0, 0x0e][..], &mac(1), &[0x88, 0xcc], &[7; 200]].concat();
    let (punt, mut punted) = lanes(1, 1).unwrap();
    let (mut near, mut far, _cable) = pair(64);
    let port = EnginePort { rx: near.rx, tx: near.tx.remove(0), punt: Some(punt) };
    let published = Arc::new(Published::new(Tables::compile(&Builder::default().link(&[]).0, None)));
    let mut engine =
        Engine::<Vntag>::new(vec![port], published, Arc::new(MacTable::new(64, 1)), Options::default());
    let counters = engine.counters();
    far.tx[0].send(0, &[OutFrame::private(&lldp), OutFrame::private(&lldp)]);
    engine.turn(0);
    let port = &counters.ports[0];
    assert_eq!((port.punted.get(), port.rx_dropped.get()), (1, 1));
    assert_eq!(counters.drops[DropReason::PuntFull].get(), 1);
    assert!(counters.balance().holds());
    assert_eq!(punted.drain(|punted| assert_eq!((punted.port, &*punted.frame), (0, &*lldp))), 1);
}

#[test]
fn an_announced_guest_is_heard_in_its_vlan_and_learned() {
    let (sender, orders) = mailbox(8).unwrap();
    let mut rig = Rig::new(campus());
    rig.engine = rig.engine.ordered_by(orders);
    // So far the address was behind VIF 6.
    rig.teach(LINK0, &up(6, BROADCAST, mac(1), None));
    rig.all_taken();
    let announce = |vif: u16| Order::Announce { port: 0, vif: vif_id(vif), mac: Mac(mac(1)) };
    sender.post(announce(5)).unwrap();
    rig.run();
    let ports = rig.all_taken().into_iter().map(|(port, frame)| {
        if port == ACCESS {
            let begin = [&BROADCAST[..], &mac(1), &[0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3], &mac(1)].concat();
            assert!(frame.starts_with(&begin) && frame.len() == 60, "{frame:x?}");
        }
        port
    });
    assert_eq!(ports.collect::<Vec<_>>(), [LINK0, LINK1, TRUNK, ACCESS], "everybody else in VLAN 10");
    assert_eq!(rig.learned()[0].learned.lif, lif_id(1), "and not the interface of VIF 6 any more");
    assert_eq!(rig.counters.ports[LINK0].originated.get(), 1);
    assert_eq!(
        rig.published.current().lif(lif_id(1)).unwrap().counters.received().frames,
        0,
        "no guest sent it"
    );

    // A VIF that is gone meanwhile.
    let before = rig.drops();
    sender.post(announce(77)).unwrap();
    rig.run();
    assert_eq!(rig.drops_since(&before), [(DropReason::RxSrcUnknown, 1)]);
    assert_eq!(rig.all_taken(), []);
}
