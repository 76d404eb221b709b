//! Access lists on interfaces: what passes on the wire.

use super::*;
use crate::engine::acl::{Acl, AclRule, Addresses, Ports, SharedAcl, TCP};
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

struct Listed {
    rig: Rig,
    permitted: Arc<Counter>,
    unmatched: Arc<Counter>,
}

/// The campus, where one interface has a list that permits TCP to port 80.
fn listed(change: impl FnOnce(&mut Builder, SharedAcl)) -> Listed {
    let (permitted, unmatched): (Arc<Counter>, Arc<Counter>) = Default::default();
    let rule = AclRule {
        permit: true,
        protocol: Some(TCP),
        source: Addresses::ANY,
        source_ports: None,
        destination: Addresses::ANY,
        destination_ports: Some(Ports::Eq(WEB)),
    };
    let acl = SharedAcl(Arc::new(Acl::new([(rule, permitted.clone())], unmatched.clone())));
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
        assert_eq!((permitted.get(), unmatched.get()), (count, count - 1));
        let other = from_vif(5, &segment(2, 1, tci, 22));
        assert_eq!(rig.provoke(LINK0, &other), (vec![(DropReason::AclIn, 1)], 0), "{tci:?}");
        assert_eq!((permitted.get(), unmatched.get()), (count, count));
    }
    let counters = rig.published.current().lif(lif_id(1)).unwrap().counters.clone();
    assert_eq!((counters.rx.get().frames, counters.rx_dropped.get()), (6, 3));

    // What is not IPv4, and what comes from others.
    for ethertype in [[0x08, 0x06], [0x86, 0xdd]] {
        let mut frame = segment(2, 1, None, 22);
        frame[12..14].copy_from_slice(&ethertype);
        assert_eq!(rig.provoke(LINK0, &from_vif(5, &frame)), (vec![], 1));
    }
    assert_eq!(rig.provoke(LINK0, &from_vif(6, &segment(1, 2, None, 22))), (vec![], 1));
    assert_eq!((permitted.get(), unmatched.get()), (3, 3));
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
    assert_eq!((permitted.get(), unmatched.get()), (2, 2));
}
