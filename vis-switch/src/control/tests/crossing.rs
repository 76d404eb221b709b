//! Requests of the switch and of the adapter about the same VIF that meet on the way.

use super::adapter::{ACTIVE, STANDBY, vnic};
use super::*;
use vntag::ctl::{Request, Response, VifState};

fn shut(world: &mut World, veth: u32, shutdown: bool) {
    world.configure(|running| {
        running.make_vethernet(veth).expect("room");
        running.vethernet_mut(veth).expect("a vEth").shutdown = shutdown;
    });
}

#[test]
fn a_vif_that_is_asked_for_while_it_is_being_shut_is_not_shut_in_the_end() {
    let again: [fn(&mut World); 2] = [
        |world| assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1))),
        |world| assert_eq!(world.enable(0, 1), Ok(())),
    ];
    for again in again {
        let mut world = World::new();
        assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
        world.adapters[0].silent = true;
        shut(&mut world, 1, true);
        shut(&mut world, 1, false);
        again(&mut world);
        assert_eq!(world.state(1), "up");
        // Only now it does as it was told first.
        world.adapters[0].silent = false;
        world.run(100 * MS);
        assert_eq!(world.known(0, 1).map(|known| known.0), Some(VifState::Active));
        assert_eq!(world.state(1), "up");
    }
}

#[test]
fn who_has_to_yield_and_asks_for_standby_itself_has_yielded() {
    let mut world = World::new();
    assert_eq!(world.create(0, 3, vnic(1), ACTIVE), Ok((1, 1)));
    world.adapters[0].silent = true;
    let provisioning = vnic(1).incarnation(7).build().expect("a blob");
    let claim = Request::VifCreate { channel: 9, provisioning, initial: ACTIVE };
    let claim = world.adapters[1].ask(world.now, claim);
    world.run(100 * MS);
    assert!(world.adapters[1].answer(claim).is_none(), "the first one may still be active");
    assert_eq!(world.at(1), None);
    assert_eq!(world.create(0, 3, vnic(1), STANDBY), Ok((1, 1)));
    world.run(100 * MS);
    assert!(matches!(world.adapters[1].answer(claim), Some(Ok(Response::VifCreate { veth: 1, .. }))));
    assert_eq!(world.at(1), Some((1, 1)));
}
