//! What is learned, for how long, and what makes it void.

use super::*;

#[test]
fn addresses_are_learned_by_vlan() {
    let mut rig = Rig::new(campus());
    rig.teach(LINK0, &up(7, BROADCAST, mac(1), Some(10)));
    rig.teach(LINK0, &up(8, BROADCAST, mac(1), None));
    let seen: Vec<(u16, u32)> =
        rig.learned().iter().map(|entry| (entry.vlan, entry.learned.lif.get())).collect();
    assert_eq!(seen, [(10, 3), (40, 4)]);
    assert_eq!(rig.counters.mac_learned.get(), 2);
}

#[test]
fn silence_is_forgotten() {
    let mut rig = Rig::new(campus());
    rig.teach(LINK0, &up(6, BROADCAST, mac(2), None));
    rig.now = 300 * SECOND;
    assert_eq!(rig.send(LINK0, &up(5, mac(2), mac(1), None)).len(), 1);
    rig.now = 301 * SECOND;
    assert_eq!(rig.send(LINK0, &up(5, mac(2), mac(1), None)).len(), 4, "flooded");
    assert_eq!(rig.learned().len(), 1);
}

#[test]
fn a_frame_renews_what_was_learned() {
    let mut rig = Rig::new(campus());
    for second in [0, 200, 400, 600] {
        rig.now = second * SECOND;
        rig.teach(LINK0, &up(6, BROADCAST, mac(2), None));
    }
    rig.now = 900 * SECOND;
    assert_eq!(rig.send(LINK0, &up(5, mac(2), mac(1), None)).len(), 1);
    assert_eq!(rig.counters.mac_learned.get(), 2);
}

#[test]
fn an_address_moves_with_its_first_frame() {
    let mut rig = Rig::new(campus());
    rig.teach(LINK0, &up(5, BROADCAST, mac(2), None));
    rig.teach(LINK0, &up(6, BROADCAST, mac(2), None));
    let out = rig.send(TRUNK, &host_frame(mac(2), mac(9), Some(10)));
    assert_eq!(out, [(LINK0, tagged(0x8006_0000, &host_frame(mac(2), mac(9), Some(10))))]);
    assert_eq!((rig.counters.mac_moved.get(), rig.counters.mac_learned.get()), (1, 2));
}

#[test]
fn a_frame_may_answer_one_of_the_same_burst() {
    let mut rig = Rig::new(campus());
    rig.put(LINK0, &[up(5, BROADCAST, mac(1), None), up(6, mac(1), mac(2), None)]);
    rig.run();
    let out = rig.taken(LINK0);
    assert_eq!(out[1], tagged(0x8005_8006, &host_frame(mac(1), mac(2), Some(10))));
}

#[test]
fn a_deleted_interface_takes_its_addresses_with_it() {
    let mut rig = Rig::new(campus());
    rig.teach(LINK0, &up(6, BROADCAST, mac(2), None));
    let gone = rig.plan.lifs.remove(1);
    rig.republish();
    assert_eq!(rig.learned(), []);
    // Another owner of the same slot does not inherit them: the generation stepped.
    rig.plan.lifs.insert(1, gone);
    rig.plan.lifs[1].lif.generation = rig.plan.lifs[1].lif.generation.next();
    rig.republish();
    rig.run();
    assert_eq!(rig.learned(), []);
    assert_eq!(rig.send(TRUNK, &host_frame(mac(2), mac(9), Some(10))).len(), 3, "flooded");
}

#[test]
fn a_full_table_floods_and_says_so() {
    let mut rig = Rig::with(campus(), 1024, 16, Options::default());
    for host in 0..200 {
        rig.teach(LINK0, &up(5, BROADCAST, mac(host), None));
    }
    assert_eq!(rig.counters.mac_learned.get() + rig.counters.mac_table_full.get(), 200);
    assert!(rig.counters.mac_table_full.get() > 100);
    assert!(rig.learned().len() >= 16);
    let lost = (0..200).map(mac).find(|mac| rig.learned().iter().all(|entry| entry.mac.0 != *mac)).unwrap();
    assert_eq!(rig.send(TRUNK, &host_frame(lost, mac(201), Some(10))).len(), 3, "flooded");
}

#[test]
fn an_interface_that_is_away_keeps_its_addresses_until_they_are_too_old() {
    let mut rig = Rig::new(campus());
    rig.teach(LINK0, &up(6, BROADCAST, mac(2), None));
    let place = rig.plan.lifs.iter().position(|planned| planned.lif.vif == 6).unwrap();
    let planned = rig.plan.lifs.remove(place);
    rig.plan.away.push((planned.id, planned.lif.generation));
    rig.republish();
    // The sweep goes over the whole table meanwhile.
    for second in 1..=100 {
        rig.now = second * SECOND;
        rig.run();
    }
    assert_eq!(rig.learned().len(), 1);
    assert_eq!(rig.send(LINK0, &up(5, mac(2), mac(1), None)).len(), 3, "flooded to the other ports");

    rig.plan.away.clear();
    rig.plan.lifs.push(planned);
    rig.republish();
    let out = rig.send(LINK0, &up(5, mac(2), mac(1), None));
    assert_eq!(out, [(LINK0, tagged(0x8006_8005, &host_frame(mac(2), mac(1), Some(10))))]);
    rig.now = 301 * SECOND;
    rig.run();
    assert_eq!(rig.send(LINK0, &up(5, mac(2), mac(1), None)).len(), 4, "aged");
}
