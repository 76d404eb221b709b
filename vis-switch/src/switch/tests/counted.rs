//! Counters of vEths: never lower than what was told, whenever the switch was killed.

use super::*;
use crate::switch::Traffic;
use proptest::prelude::*;

const TWO: &str = "interface vethernet 1\n switchport access vlan 10\n bind interface ethernet 1/2 channel 5\n\
                   interface vethernet 2\n switchport access vlan 10\n bind interface ethernet 1/2 channel 6\n\
                   interface ethernet 1/2\n vif-list 1 members 5-6\n";

fn sends(rig: &mut Rig, times: usize) {
    for _ in 0..times {
        let mut broadcast = tagged(5, 9, 1, 10);
        broadcast[..6].fill(0xff);
        rig.send(STATIC, &broadcast);
        rig.settle();
    }
}

#[test]
fn counters_go_on_where_they_were_told() {
    let mut rig = Rig::new();
    rig.configure(TWO).unwrap();
    sends(&mut rig, 3);
    let (one, two) = (rig.traffic(1), rig.traffic(2));
    assert_eq!((one.rx.frames, one.tx.frames, two.tx.frames), (3, 0, 3));
    sends(&mut rig, 1);

    // Told, and kept; what was not told may be lost.
    let mut rig = rig.again();
    assert_eq!((rig.traffic(1), rig.traffic(2)), (one, two));
    sends(&mut rig, 2);
    assert_eq!((rig.traffic(1).rx.frames, rig.traffic(2).tx.frames), (5, 5));
    let shown = rig.show("show interface vethernet 2");
    assert_eq!(shown["tx"]["frames"], 5);
    let mut page = niv_node::metrics::Metrics::default();
    rig.admin.metrics(&mut page);
    let page = page.finish();
    assert!(page.contains("vis_vethernet_tx_frames_total{interface=\"vethernet2\"} 5\n"), "{page}");
}

#[test]
fn counters_are_written_each_ten_seconds_if_they_changed_and_at_the_end() {
    let mut rig = Rig::new();
    rig.configure(TWO).unwrap();
    rig.run(SECOND);
    sends(&mut rig, 3);
    assert_eq!(rig.kept().counters.get(&1), None, "nobody asked, and it is early");
    rig.run(10 * SECOND);
    assert_eq!(rig.kept().counters[&1].rx.frames, 3);
    let revision = rig.store.load("counters/").unwrap();
    rig.run(30 * SECOND);
    assert_eq!(rig.store.load("counters/").unwrap(), revision, "nothing changed, nothing is written");
    sends(&mut rig, 1);
    rig.switch.keep_counters().unwrap();
    assert_eq!(rig.kept().counters[&1].rx.frames, 4);
}

#[test]
fn what_cannot_be_written_is_told_all_the_same_and_written_later() {
    let mut rig = Rig::new();
    rig.configure(TWO).unwrap();
    sends(&mut rig, 3);
    rig.store.break_down(Some(broken()));
    assert_eq!(rig.traffic(1).rx.frames, 3);
    assert!(rig.switch.keep_counters().is_err());
    rig.store.break_down(None);
    assert_eq!(rig.traffic(1).rx.frames, 3);
    assert_eq!(rig.kept().counters[&1].rx.frames, 3);
}

#[test]
fn a_veth_that_is_gone_takes_its_counters_with_it() {
    let mut rig = Rig::new();
    rig.configure(TWO).unwrap();
    sends(&mut rig, 3);
    rig.traffic(1);
    rig.configure("no interface vethernet 1\n").unwrap();
    assert_eq!(rig.kept().counters.keys().collect::<Vec<_>>(), [] as [&u32; 0]);
    rig.configure(TWO).unwrap();
    assert_eq!(rig.traffic(1), Traffic::default());
    // One that is gone after a restart, too.
    sends(&mut rig, 1);
    rig.traffic(1);
    rig.store.commit(vec![niv_node::store::Op::remove("running-config")]).unwrap();
    let rig = rig.again();
    assert_eq!(rig.kept().counters.len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, and whenever the switch is killed, nobody is told less than before, and no frame is told twice.
    #[test]
    fn nobody_is_told_less_than_before(steps in proptest::collection::vec(0u8..6, 1..40)) {
        let mut rig = Rig::new();
        rig.configure(TWO).unwrap();
        let (mut told, mut sent) = (Traffic::default(), 0);
        for step in steps {
            match step {
                0 => rig = rig.again(),
                1 => rig.run(4 * SECOND),
                2 => rig.configure("interface vethernet 1\n switchport access vlan 10\n mtu 1500\n").unwrap(),
                3 => rig.configure("interface ethernet 1/2\n no vif-list 1\n vif-list 1 members 5-6\n").unwrap(),
                _ => {
                    sends(&mut rig, usize::from(step));
                    sent += u64::from(step);
                }
            }
            let now = rig.traffic(2);
            prop_assert!(now.tx.frames >= told.tx.frames && now.tx.octets >= told.tx.octets);
            prop_assert!(now.tx.frames <= sent);
            told = now;
        }
    }
}
