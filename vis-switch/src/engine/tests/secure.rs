//! Port security: every combination of rules against a naive set, and what ages, moves and changes.

use super::super::secure::{Aging, Alarm, Guard, Origin, Secure, Violation};
use super::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use vntag::ethernet::Mac;

fn rules(maximum: u16, violation: Violation) -> Secure {
    Secure {
        maximum,
        violation,
        sticky: false,
        aging_minutes: 0,
        aging: Aging::default(),
        addresses: Box::default(),
    }
}

/// The guard of the interface in a slot, by these rules; how often it has raised its alarm.
fn watch(rig: &mut Rig, slot: usize, rules: Secure) -> (Arc<Guard>, Arc<AtomicU64>) {
    let raised = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&raised);
    let alarm = Alarm::new(move || {
        told.fetch_add(1, Ordering::Relaxed);
    });
    let guard = Arc::new(Guard::new(Arc::new(rules), None, &alarm));
    rig.plan.lifs[slot - 1].lif.guard = Some(guard.clone());
    rig.republish();
    (guard, raised)
}

/// VIF 5 says something with this source; whether anybody hears it.
fn heard(rig: &mut Rig, from: u8) -> bool {
    let (drops, copies) = rig.provoke(LINK0, &up(5, BROADCAST, mac(from), None));
    assert_eq!(drops, if copies == 0 { vec![(DropReason::PortSecurity, 1)] } else { vec![] });
    copies > 0
}

#[test]
fn every_combination_of_rules_does_what_a_set_does() {
    let mut cases = 0;
    for violation in [Violation::Shutdown, Violation::Restrict, Violation::Protect] {
        for sticky in [false, true] {
            for maximum in 1..=3u16 {
                // Typed: none, some that are seen, some that are not, more than the maximum.
                for typed in [&[][..], &[2], &[9], &[2, 9], &[1, 2, 3, 9]] {
                    let mut rig = Rig::new(campus());
                    let addresses = typed.iter().map(|host| (10, Mac(mac(*host)), false)).collect();
                    let (guard, raised) =
                        watch(&mut rig, 1, Secure { sticky, addresses, ..rules(maximum, violation) });
                    let mut secured: Vec<u8> = typed.to_vec();
                    let (mut tripped, mut violations, mut learned) = (false, 0, Vec::new());
                    for from in [1, 2, 1, 3, 2, 4, 4, 1, 5, 2] {
                        let new = !secured.contains(&from);
                        let room = secured.len() < usize::from(maximum);
                        let passes = !tripped && (!new || room);
                        if passes && new {
                            secured.push(from);
                            learned.push((10, Mac(mac(from))));
                        }
                        if !passes && !tripped && violation != Violation::Protect {
                            violations += 1;
                            tripped = violation == Violation::Shutdown;
                        }
                        assert_eq!(heard(&mut rig, from), passes, "{from} by {:?}", guard.rules());
                    }
                    assert_eq!((guard.is_tripped(), guard.violations().0), (tripped, violations));
                    let now = Second::of(rig.now);
                    let all = guard.addresses(now, &rig.mac);
                    assert_eq!(all.len(), secured.len());
                    let seen = if sticky { Origin::Sticky } else { Origin::Dynamic };
                    assert_eq!(all.iter().filter(|address| address.origin == seen).count(), learned.len());
                    let news = guard.take_news();
                    assert_eq!(news.violation.is_some(), violations > 0);
                    assert_eq!(news.sticky, if sticky { learned } else { vec![] });
                    assert_eq!(raised.load(Ordering::Relaxed) > 0, news != Default::default());
                    assert_eq!(guard.take_news(), Default::default());
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 3 * 2 * 3 * 5);
}

#[test]
fn what_is_not_let_in_is_not_learned_and_hides_nobody() {
    let mut rig = Rig::new(campus());
    rig.teach(LINK0, &up(6, BROADCAST, mac(2), None));
    watch(&mut rig, 1, rules(1, Violation::Restrict));
    assert!(heard(&mut rig, 1) && !heard(&mut rig, 2));
    // Host 2 is where it was.
    let out = rig.send(TRUNK, &host_frame(mac(2), mac(9), Some(10)));
    assert_eq!(out, [(LINK0, tagged(0x8006_0000, &host_frame(mac(2), mac(9), Some(10))))]);
    assert_eq!(rig.learned().len(), 3);
    // In one burst, too: the second of two is refused, the others pass.
    rig.put(LINK0, &[1, 3, 1].map(|from| up(5, BROADCAST, mac(from), None)));
    rig.run();
    assert_eq!(rig.taken(ACCESS).len(), 2);
}

#[test]
fn an_address_that_is_secured_elsewhere_is_not_let_in() {
    let mut rig = Rig::new(campus());
    watch(&mut rig, 1, rules(2, Violation::Restrict));
    let (guard, _) = watch(&mut rig, 2, rules(2, Violation::Restrict));
    assert!(heard(&mut rig, 1));
    let from_6 = |host| up(6, BROADCAST, mac(host), None);
    assert_eq!(rig.provoke(LINK0, &from_6(1)).0, [(DropReason::PortSecurity, 1)]);
    assert_eq!(guard.violations(), (1, Some((10, Mac(mac(1))))));
    assert_eq!(rig.provoke(LINK0, &from_6(2)).0, []);
    // In another VLAN it is another host's.
    let (guard, _) = watch(&mut rig, 4, rules(1, Violation::Restrict));
    rig.teach(LINK0, &up(8, BROADCAST, mac(1), None));
    assert_eq!(guard.addresses(Second::default(), &rig.mac).len(), 1);
}

#[test]
fn addresses_make_room_when_their_time_is_over() {
    for (aging, renewed) in [(Aging::Absolute, false), (Aging::Inactivity, true)] {
        let mut rig = Rig::new(campus());
        let rules = Secure { aging_minutes: 2, aging, ..rules(1, Violation::Restrict) };
        let (guard, raised) = watch(&mut rig, 1, rules);
        assert!(heard(&mut rig, 1) && !heard(&mut rig, 2));
        rig.now = 100 * SECOND;
        assert!(heard(&mut rig, 1));
        assert_eq!(guard.addresses(Second::of(rig.now), &rig.mac)[0].remaining, if renewed { 2 } else { 1 });
        rig.now = 121 * SECOND;
        assert_eq!(heard(&mut rig, 2), !renewed, "{aging:?}");
        rig.now = 240 * SECOND;
        // Who has lost his place is not known any more, and waits for the other's time to be over.
        assert_eq!(heard(&mut rig, 1), renewed);
        assert_eq!(heard(&mut rig, 2), !renewed);
        rig.now = 500 * SECOND;
        assert!(heard(&mut rig, 3));
        assert!(raised.load(Ordering::Relaxed) >= 1);
    }
}

#[test]
fn violations_are_told_now_and_then() {
    let mut rig = Rig::new(campus());
    let (guard, raised) = watch(&mut rig, 1, rules(1, Violation::Restrict));
    assert!(heard(&mut rig, 1));
    for second in 0..=120 {
        rig.now = second * SECOND;
        assert!(!heard(&mut rig, 2));
    }
    assert_eq!((guard.violations().0, raised.load(Ordering::Relaxed)), (121, 3));
}

#[test]
fn other_rules_keep_who_was_let_in_as_far_as_there_is_room() {
    let mut rig = Rig::new(campus());
    let (guard, _) = watch(&mut rig, 1, rules(3, Violation::Restrict));
    for host in [1, 2, 3] {
        assert!(heard(&mut rig, host));
    }
    let alarm = Alarm::default();
    let with = |maximum, typed: &[u8], sticky| {
        let addresses = typed.iter().map(|host| (10, Mac(mac(*host)), sticky)).collect();
        let (guard, lost) = Guard::changed(
            Arc::new(Secure { addresses, ..rules(maximum, Violation::Restrict) }),
            &guard,
            &alarm,
        );
        (guard.addresses(Second::default(), &rig.mac).len(), lost)
    };
    assert_eq!(with(4, &[], false), (3, false));
    assert_eq!(with(3, &[1, 2], true), (3, false));
    assert_eq!(with(2, &[], false), (2, true));
    assert_eq!(with(3, &[9], false), (3, true));
}

proptest! {
    #[test]
    fn nobody_is_secured_beyond_the_maximum(
        maximum in 1u16..5,
        hosts in proptest::collection::vec((0u8..3, 1u8..9), 0..60),
    ) {
        let mut rig = Rig::new(campus());
        let guards: Vec<_> = [1, 2, 5].map(|slot| watch(&mut rig, slot, rules(maximum, Violation::Protect)).0).into();
        for (at, host) in hosts {
            let (port, vif) = [(LINK0, 5), (LINK0, 6), (LINK1, 5)][usize::from(at)];
            rig.send(port, &up(vif, BROADCAST, mac(host), None));
            let all: Vec<_> = guards.iter().map(|guard| guard.addresses(Second::default(), &rig.mac)).collect();
            let mut macs: Vec<Mac> = all.iter().flatten().map(|address| address.mac).collect();
            prop_assert!(all.iter().all(|addresses| addresses.len() <= usize::from(maximum)));
            macs.sort();
            macs.dedup();
            prop_assert_eq!(macs.len(), all.iter().map(Vec::len).sum::<usize>(), "nobody is secured twice");
        }
    }
}
