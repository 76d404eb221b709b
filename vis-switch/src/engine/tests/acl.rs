//! Access lists on interfaces: what passes on the wire.

use super::*;
use crate::engine::acl::{Acl, AclRule, Addresses, Matches, Ports, SharedAcl, TCP};
use niv_node::counter::Counter;

const WEB: u16 = 80;

/// A TCP segment between two hosts of 10.0.0.0/24, in the VLAN of a tag if there is one.
fn segment(to: u8, from: u8, tci: Option<u16>, port: u16) -> Vec<u8> {
    let mut frame = [mac(to), mac(from)].concat();
    if let Some(tci) = tci {
        frame.extend([0x81, 0x00]);
        frame.extend(tci.to_be_bytes());
    }
    frame.extend([0x08, 0x00, 0x45, 0, 0, 40, 0, 1, 0, 0, 64, TCP, 0, 0, 10, 0, 0, from, 10, 0, 0, to]);
    frame.extend(1024u16.to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.resize(64, 0);
    frame
}

fn from_vif(vif: u16, frame: &[u8]) -> Vec<u8> {
    tagged(u32::from(vif), frame)
}

/// A list that permits TCP to a port; with it, what it counted as permitted and as denied.
fn permits(port: u16) -> (SharedAcl, Matches, Matches) {
    let (permitted, unmatched): (Matches, Matches) = Default::default();
    let rule = AclRule {
        permit: true,
        protocol: Some(TCP),
        source: Addresses::ANY,
        source_ports: None,
        destination: Addresses::ANY,
        destination_ports: Some(Ports::Eq(port)),
    };
    let acl = SharedAcl(Arc::new(Acl::new([(rule, permitted.clone())], unmatched.clone())));
    (acl, permitted, unmatched)
}

struct Listed {
    rig: Rig,
    permitted: Matches,
    unmatched: Matches,
}

/// The campus, where one interface has a list that permits TCP to port 80.
fn listed(change: impl FnOnce(&mut Builder, SharedAcl)) -> Listed {
    let (acl, permitted, unmatched) = permits(WEB);
    let mut builder = campus();
    change(&mut builder, acl);
    Listed { rig: Rig::new(builder), permitted, unmatched }
}

fn program(builder: &mut Builder, slot: usize) -> &mut Program {
    Arc::make_mut(&mut builder.0.lifs[slot - 1].lif.program)
}

#[test]
fn what_comes_in_is_filtered_on_that_interface_only() {
    // VIF 5 of the first link.
    let Listed { mut rig, permitted, unmatched } =
        listed(|builder, acl| program(builder, 1).acl_in = Some(acl));
    rig.teach(LINK0, &from_vif(6, &segment(1, 2, None, WEB)));
    for (count, tci) in [(1, None), (2, Some(10)), (3, Some(0x6000))] {
        let web = from_vif(5, &segment(2, 1, tci, WEB));
        assert_eq!(rig.provoke(LINK0, &web), (vec![], 1), "{tci:?}");
        assert_eq!((permitted.sum(Counter::get), unmatched.sum(Counter::get)), (count, count - 1));
        let other = from_vif(5, &segment(2, 1, tci, 22));
        assert_eq!(rig.provoke(LINK0, &other), (vec![(DropReason::AclIn, 1)], 0), "{tci:?}");
        assert_eq!((permitted.sum(Counter::get), unmatched.sum(Counter::get)), (count, count));
    }
    let counters = rig.published.current().lif(lif_id(1)).unwrap().counters.clone();
    assert_eq!((counters.received().frames, counters.rx_dropped()), (6, 3));

    // What is not IPv4, and what comes from others.
    for ethertype in [[0x08, 0x06], [0x86, 0xdd]] {
        let mut frame = segment(2, 1, None, 22);
        frame[12..14].copy_from_slice(&ethertype);
        assert_eq!(rig.provoke(LINK0, &from_vif(5, &frame)), (vec![], 1));
    }
    assert_eq!(rig.provoke(LINK0, &from_vif(6, &segment(1, 2, None, 22))), (vec![], 1));
    assert_eq!((permitted.sum(Counter::get), unmatched.sum(Counter::get)), (3, 3));
}

#[test]
fn what_is_denied_teaches_nothing() {
    let Listed { mut rig, .. } = listed(|builder, acl| program(builder, 1).acl_in = Some(acl));
    rig.send(LINK0, &from_vif(5, &segment(2, 1, None, 22)));
    assert!(rig.learned().is_empty());
    rig.send(LINK0, &from_vif(5, &segment(2, 1, None, WEB)));
    assert_eq!(rig.learned().len(), 1);
}

#[test]
fn what_goes_out_of_a_port_is_filtered_alone_and_flooded() {
    // The access port of VLAN 10, slot 7.
    let Listed { mut rig, permitted, unmatched } =
        listed(|builder, acl| program(builder, 7).acl_out = Some(acl));
    // Flooded: all get it but the port.
    let (drops, web) = rig.provoke(LINK0, &from_vif(5, &segment(9, 1, None, WEB)));
    assert_eq!(drops, []);
    let (drops, others) = rig.provoke(LINK0, &from_vif(5, &segment(9, 1, None, 22)));
    assert_eq!((drops, others), (vec![(DropReason::AclOut, 1)], web - 1));
    // To it alone.
    rig.teach(ACCESS, &segment(1, 9, None, WEB));
    assert_eq!(rig.provoke(LINK0, &from_vif(5, &segment(9, 1, None, WEB))), (vec![], 1));
    assert_eq!(
        rig.provoke(LINK0, &from_vif(5, &segment(9, 1, None, 22))),
        (vec![(DropReason::AclOut, 1)], 0)
    );
    assert_eq!((permitted.sum(Counter::get), unmatched.sum(Counter::get)), (2, 2));
}

/// VIFs 5 to 9 in VLAN 10 behind a link, slots 1 to 5: nothing is filtered towards 5 and 6; 7 and 8 get only what goes to the
/// web, 9 only telnet. And an access port.
fn classes(link: Builder) -> (Rig, [Matches; 4]) {
    let (web, some, others) = permits(WEB);
    let (telnet, few, more) = permits(23);
    let towards = |vif| match vif {
        7 | 8 => Some(web.clone()),
        9 => Some(telnet.clone()),
        _ => None,
    };
    let veth = |builder: Builder, vif| {
        builder.veth(0, vif, Program { acl_out: towards(vif), ..Program::access(10) })
    };
    let builder = (5..10).fold(link, veth).wire(Program::access(10));
    (Rig::new(builder), [some, others, few, more])
}

/// To whom a frame for a list goes, by the upper half of its word.
fn targets(sent: Vec<(usize, Vec<u8>)>) -> Vec<u16> {
    let word = |frame: &[u8]| u16::from_be_bytes([frame[14], frame[15]]);
    sent.into_iter().filter(|(port, _)| *port == 0).map(|(_, frame)| word(&frame)).collect()
}

#[test]
fn floods_go_by_one_list_for_each_egress_class_and_are_judged_once() {
    let link = Builder::default().link(&[list(1, &[5, 6]), list(2, &[7, 8]), list(3, &[9])]);
    let (mut rig, [web, not_web, telnet, not_telnet]) = classes(link);
    assert_eq!(targets(rig.send(1, &segment(99, 1, None, WEB))), [0xc001, 0xc002]);
    assert_eq!(targets(rig.send(1, &segment(99, 1, None, 23))), [0xc001, 0xc003]);
    assert_eq!(rig.provoke(1, &segment(99, 1, None, 22)), (vec![(DropReason::AclOut, 2)], 1));
    let counted = [web, not_web, telnet, not_telnet].map(|counter| counter.sum(Counter::get));
    assert_eq!(counted, [1, 2, 1, 2], "once for two interfaces");
    assert_eq!([1, 2, 3, 4, 5].map(|slot| rig.got(slot)), [3, 3, 1, 1, 1]);
    // What is not IPv4 reaches all. One of a class is left out by the adapter, and the others have copies of their own.
    let arp = {
        let mut frame = segment(99, 7, None, 0);
        frame[12..14].copy_from_slice(&[0x08, 0x06]);
        frame
    };
    assert_eq!(targets(rig.send(0, &from_vif(7, &arp))), [0xc001, 0xc002, 0xc003]);
    assert_eq!([1, 2, 3, 4, 5].map(|slot| rig.got(slot)), [4, 4, 1, 2, 2]);
    // The only one of its class gets no copy back.
    assert_eq!(targets(rig.send(0, &from_vif(9, &arp))), [0xc001, 0xc002]);
}

#[test]
fn a_known_receiver_is_judged_by_its_own_list() {
    let link = Builder::default().link(&[list(1, &[5, 6]), list(2, &[7, 8]), list(3, &[9])]);
    let (mut rig, _) = classes(link);
    for vif in [5, 7, 9] {
        rig.teach(0, &from_vif(vif, &segment(1, vif as u8, None, WEB)));
    }
    for (vif, port, passes) in [(5, 22, true), (7, WEB, true), (7, 22, false), (9, WEB, false), (9, 23, true)]
    {
        // From behind the same link, and from the port.
        for (at, frame) in [(0, from_vif(6, &segment(vif, 6, None, port))), (1, segment(vif, 1, None, port))]
        {
            let want = if passes { (vec![], 1) } else { (vec![(DropReason::AclOut, 1)], 0) };
            assert_eq!(rig.provoke(at, &frame), want, "{vif} {port}");
        }
    }
}

#[test]
fn a_class_without_a_list_of_its_own_is_a_drop() {
    // The list of all serves none of the three classes, and that of another member not the second.
    let link = Builder::default().link(&[list(1, &[5, 6, 7, 8, 9]), list(2, &[7]), list(3, &[9])]);
    let (mut rig, _) = classes(link);
    let drops = |reason| vec![(reason, 2)];
    assert_eq!(rig.provoke(1, &segment(99, 1, None, 23)), (drops(DropReason::McDvifXlateMiss), 1));
    assert_eq!(
        rig.provoke(0, &from_vif(9, &segment(99, 9, None, 23))),
        (drops(DropReason::McDvifXlateMiss), 1)
    );
}

#[test]
fn while_lists_change_nobody_gets_what_its_list_denies() {
    // All had one list, and the session has not been given others yet.
    let (mut rig, _) = classes(Builder::default().session(&[(1, &[10], &[5, 6, 7, 8])]));
    assert_eq!(targets(rig.send(1, &segment(99, 1, None, WEB))), [0xc001]);
    let drops = vec![(DropReason::AclOut, 1), (DropReason::McDvifXlateMiss, 1)];
    assert_eq!(rig.provoke(1, &segment(99, 1, None, 22)), (drops, 0));
    // The others are missing only where nobody of their class is reached.
    let (mut rig, _) = classes(Builder::default().session(&[(1, &[10], &[5]), (2, &[10], &[7, 9])]));
    assert_eq!(rig.provoke(1, &segment(99, 1, None, WEB)), (vec![(DropReason::AclOut, 1)], 1));
    assert_eq!(rig.got(1), 1);
    let (drops, sent) = rig.provoke(0, &from_vif(5, &segment(99, 5, None, 22)));
    assert_eq!(
        (drops, sent),
        (vec![(DropReason::AclOut, 1), (DropReason::McDvifXlateMiss, 1)], 1),
        "6 is missing"
    );
}

#[test]
fn a_burst_of_floods_may_have_more_copies_for_a_port_than_frames() {
    let link = Builder::default().link(&[list(1, &[5, 6]), list(2, &[7, 8]), list(3, &[9])]);
    let (mut rig, _) = classes(link);
    let frames: Vec<Vec<u8>> = (0..64u8)
        .map(|n| {
            let mut frame = segment(99, 1, None, 0);
            frame[12..14].copy_from_slice(&[0x08, 0x06]);
            frame[60] = n;
            frame
        })
        .collect();
    rig.put(1, &frames);
    rig.run();
    let sent = rig.all_taken();
    let order: Vec<u8> = sent.iter().map(|(_, frame)| frame[70]).collect();
    assert_eq!(order, (0..64).flat_map(|n| [n; 3]).collect::<Vec<_>>());
    assert_eq!(targets(sent), [0xc001, 0xc002, 0xc003].repeat(64));
    assert_eq!([1, 3, 5].map(|slot| rig.got(slot)), [64; 3]);
}
