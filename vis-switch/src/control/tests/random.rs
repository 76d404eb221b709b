//! Random schedules: claimants on two links, links and nodes that go and come, configuration, a slow data path. What must
//! hold at all times is in [`World::check`]; what must come of it once everything is well again is here.

use super::adapter::{ACTIVE, STANDBY, vnic};
use super::*;
use vntag::ctl::{Request, VifState};

const SCHEDULES: u64 = 200;
const STEPS: u32 = 120;
/// Identities that are claimed.
const VNICS: u64 = 3;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % bound
    }
}

fn asks(world: &World, port: usize, random: &mut Random) -> Request {
    let number = 1 + random.below(VNICS) as u8;
    // One that it has, and is not asking for again; or one that nobody has.
    let adapter = &world.adapters[port];
    let settled = adapter.vifs.keys().filter(|id| !adapter.must_wait(&Request::StatsGet { vif: vif(**id) }));
    let known: Vec<u16> = settled.copied().chain([4000]).collect();
    let some = vif(known[random.below(known.len() as u64) as usize]);
    match random.below(10) {
        0..5 => {
            let blob = vnic(number);
            let blob = match random.below(3) {
                0 => blob,
                incarnation => blob.incarnation(incarnation),
            };
            let create = Request::VifCreate {
                channel: 1 + random.below(2) as u16,
                provisioning: blob.build().expect("a blob"),
                initial: if random.below(2) == 0 { STANDBY } else { ACTIVE },
            };
            // Nobody asks for a VIF anew before it knows what became of its last request about it.
            if adapter.is_busy_with(&create) { Request::VifEnable { vif: vif(4000) } } else { create }
        }
        5..7 => Request::VifEnable { vif: some },
        7..9 => Request::VifDisable { vif: some },
        _ => Request::VifDelete { vif: some },
    }
}

fn restart(world: &mut World, port: usize) {
    world.restart_adapter(port);
    world.adapters[port].asks_again = true;
}

fn step(world: &mut World, random: &mut Random) {
    let port = random.below(2) as usize;
    let veth = 1 + random.below(4) as u32;
    match random.below(60) {
        0..40 => {
            let request = asks(world, port, random);
            world.adapters[port].try_ask(world.now, request);
        }
        40 => restart(world, port),
        41 => {
            world.restart_switch();
            (world.hold_publish, world.hold_store) = (false, false);
        }
        42 => world.link(port, false),
        43..46 => world.link(port, true),
        46 => world.adapters[port].cut ^= true,
        47 => world.adapters[port].silent ^= true,
        48 => world.hold_publish ^= true,
        49 => world.hold_store ^= true,
        50 => world.configure(|running| {
            running.make_vethernet(veth).expect("room");
            let typed = running.vethernet_mut(veth).expect("a vEth");
            let shut = &mut typed.switchport.shutdown;
            *shut = Some(*shut != Some(true));
            typed.switchport.access = Some(veth as u16);
        }),
        51 => world.configure(|running| drop(running.remove_vethernet(veth))),
        52 => world.configure(|running| {
            let _ = running.make_vethernet(veth);
            let channel = Binding::Channel { port: id(port), channel: 1 };
            let _ = running.bind(veth, Some(channel));
        }),
        53 => world.configure(|running| {
            let default = running.port_profile_mut(&ProfileName::default()).expect("built in");
            default.enabled ^= true;
        }),
        54 => world.run(70 * SECOND),
        55 => world.run(5 * SECOND),
        _ => world.run(random.below(900) * MS),
    }
    world.settle();
}

/// The adapter of a VIF knows of it what the switch knows.
fn agrees(world: &World) {
    for port in NIV {
        for seen in world.control.vifs(port) {
            let told = world.adapters[port].vifs.get(&seen.vif.get()).map(|known| known.state);
            let expected = match seen.state {
                Standing::Standby => VifState::Standby,
                Standing::Active => VifState::Active,
                Standing::Disabled => VifState::Disabled,
                other => panic!("{other:?} remains"),
            };
            // The scripted adapter forgets nothing that it was not told to forget.
            assert_eq!(told, Some(expected), "ethernet{} VIF {}", id(port), seen.vif.get());
            let veth = world.control.veths.get(seen.veth.expect("a vEth")).expect("a vEth");
            assert_eq!(world.adapters[port].vifs[&seen.vif.get()].params, veth.settings.params);
        }
        let known: BTreeSet<u16> = world.adapters[port].vifs.keys().copied().collect();
        assert_eq!(known, world.control.vifs(port).map(|vif| vif.vif.get()).collect());
        let members: BTreeSet<u16> = world
            .control
            .forwarding()
            .veths
            .values()
            .filter_map(|veth| veth.at)
            .filter(|at| at.0 == port)
            .map(|at| at.1.get())
            .collect();
        let listed = world.floods(port).0.iter().flat_map(|flood| flood.members.iter()).map(|vif| vif.get());
        assert_eq!(members, listed.collect(), "floods reach everybody");
    }
}

fn schedule(seed: u64) {
    let mut world = World::new();
    for port in NIV {
        restart(&mut world, port);
    }
    let random = &mut Random(seed);
    for _ in 0..STEPS {
        step(&mut world, random);
        let footprint = world.control.footprint();
        assert!(footprint < 500, "{footprint} things in mind");
    }
    // All is well again.
    (world.hold_publish, world.hold_store) = (false, false);
    for port in NIV {
        (world.adapters[port].cut, world.adapters[port].silent) = (false, false);
        world.link(port, true);
    }
    world.run(150 * SECOND);
    agrees(&world);
    // Both adapters begin anew and ask for nothing.
    for port in NIV {
        restart(&mut world, port);
    }
    world.configure(|running| {
        let default = running.port_profile_mut(&ProfileName::default()).expect("built in");
        default.enabled = true;
        for veth in 1..=4 {
            let _ = running.remove_vethernet(veth);
        }
    });
    world.run(150 * SECOND);
    assert_eq!(world.control.vifs(0).chain(world.control.vifs(1)).count(), 0, "nobody asked for any");
    assert_eq!((world.control.veths().count(), world.records.len()), (0, 0));
    for number in 1..=VNICS as u8 {
        let (vif, veth) = world.create(0, u16::from(number), vnic(number), STANDBY).expect("a VIF");
        world.enable(0, vif).expect("free");
        assert_eq!(
            world.create(1, u16::from(number), vnic(number), ACTIVE).map(drop),
            Err(vntag::ctl::Status::BADSTATE)
        );
        assert_eq!(world.at(veth), Some((0, vif)));
    }
    world.run(SECOND);
    agrees(&world);
    let footprint = world.control.footprint();
    assert!(footprint < 40, "{footprint} things left in mind");
}

#[test]
fn never_two_active_and_nothing_left_whatever_happens() {
    let seeds = match std::env::var("NIV_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..SCHEDULES,
    };
    // Beyond the others: a claim and the answer it waits for wait for each other; an adapter gives up creates that are answered late;
    // an enable is answered late, and another VIF claims the vEth; an adapter gives up a create, and nobody says anything after it;
    // the answer to an enable is repeated after another VIF was granted the vEth; a request passes a VIF_SET that shuts its VIF.
    for seed in seeds.chain([2598, 2861, 2887, 9402, 11401, 12822, 14266, 25970]) {
        if std::panic::catch_unwind(|| schedule(seed)).is_err() {
            panic!("schedule {seed} failed; NIV_SEED={seed} runs it alone");
        }
    }
}
