//! The host mailbox against the whole firmware: a driver's way to a VIF, and an answer for every rejected command.

mod common;

use common::{SECOND, World, vnic};
use firmware_sim::VnicId;
use firmware_sim::mailbox::{Command, Completion, DevError};
use vntag::ctl::{Provisioning, VifState};
use vntag::ethernet::Mac;

const ID: VnicId = VnicId(1);
const OK: Completion = Completion { status: 0, args: [0, 0] };

fn error(error: DevError) -> Completion {
    Completion { status: Completion::ERROR, args: [error as u64, 0] }
}

fn command(world: &mut World, command: Command, a0: u64, data: &[u8]) -> Completion {
    world.firmware.devcmd(world.now, ID, command.word(), [a0, 0], data)
}

fn blob(profile: &str) -> Provisioning {
    let config = vnic(1, false);
    let builder = Provisioning::builder().profile(profile).mac(config.mac).client_uuid(config.uuid);
    builder.build().expect("a blob")
}

fn opened() -> World {
    let mut world = World::new(1, 1);
    world.firmware.set_vnic(0, ID, vnic(1, false)).expect("a vNIC");
    assert_eq!(command(&mut world, Command::OPEN, 0, &[]), OK);
    assert_eq!(command(&mut world, Command::DEINIT, 0, &[]), OK);
    world.run(SECOND);
    world
}

/// The requests of the enic driver: PREASSOCIATE_RR, ASSOCIATE with the same data, DISASSOCIATE.
#[test]
fn a_driver_associates_and_disassociates() {
    let mut world = opened();
    let blob = blob("web");
    let asked = u64::from(Command::ENABLE2.word());
    for (active, state) in [(0, VifState::Standby), (1, VifState::Active)] {
        assert_eq!(command(&mut world, Command::INIT_PROV_INFO2, 0, blob.as_bytes()), OK);
        assert_eq!(command(&mut world, Command::ENABLE2, active, &[]), OK);
        let status = command(&mut world, Command::STATUS, asked, &[]);
        assert_eq!(status.args[0], DevError::InProgress as u64);
        world.run(SECOND);
        assert_eq!(command(&mut world, Command::STATUS, asked, &[]), OK);
        assert_eq!(world.in_path(0, ID).map(|at| at.1), Some(state));
    }
    assert_eq!(world.switch.requests.len(), 2, "a create and an enable: the same data again is no other VIF");
    assert_eq!(command(&mut world, Command::NOTIFY, 0x1000, &[]), OK);
    let block = world.firmware.notify_block(ID).expect("registered");
    assert_eq!((block.link_up, block.mtu), (true, Some(1500)));

    assert_eq!(command(&mut world, Command::DEINIT, 0, &[]), OK);
    let deinit = u64::from(Command::DEINIT.word());
    assert_eq!(command(&mut world, Command::STATUS, deinit, &[]).args[0], DevError::InProgress as u64);
    world.run(SECOND);
    assert_eq!(command(&mut world, Command::STATUS, deinit, &[]), OK);
    assert_eq!(world.in_path(0, ID), None);
    assert!(!world.carrier_is_up(ID));
}

#[test]
fn the_switchs_refusal_is_the_drivers_status() {
    let mut world = opened();
    world.switch.refuse = 100;
    assert_eq!(command(&mut world, Command::INIT_PROV_INFO, 0, blob("nobody").as_bytes()), OK);
    assert_eq!(command(&mut world, Command::INIT_STATUS, 0, &[]).args, [1, 0]);
    world.run(SECOND);
    assert_eq!(command(&mut world, Command::INIT_STATUS, 0, &[]).args, [0, DevError::Invalid as u64]);
}

#[test]
fn every_rejected_command_has_its_error_code() {
    let mut world = World::new(1, 1);
    world.firmware.set_vnic(0, ID, vnic(1, false)).expect("a vNIC");
    assert_eq!(command(&mut world, Command::ENABLE, 0, &[]), error(DevError::BadState), "not open");
    let nobody = world.firmware.devcmd(0, VnicId(9), Command::OPEN.word(), [0, 0], &[]);
    assert_eq!(nobody, error(DevError::Invalid));
    assert_eq!(world.firmware.devcmd(0, ID, 0x4100_4fff, [0, 0], &[]), error(DevError::Unknown));
    assert_eq!(command(&mut world, Command::OPEN, 0, &[]), OK);
    let mac = u64::from_le_bytes([0x52, 0x54, 0, 0, 0, 1, 0, 0]);
    let cases = [
        (Command::ENABLE2, 2, DevError::Invalid),
        (Command::ENABLE2, 1, DevError::BadState),
        (Command::INIT_PROV_INFO, 0, DevError::Invalid),
        (Command::INIT_PROV_INFO2, 0, DevError::Invalid),
        (Command::PACKET_FILTER, 0x20, DevError::Invalid),
        (Command::ADDR_ADD, u64::MAX, DevError::Invalid),
        (Command::ADDR_DEL, mac, DevError::Invalid),
        (Command::SET_MAC_ADDR, mac, DevError::Permission),
        (Command::SET_DEFAULT_VLAN, 5, DevError::Permission),
        (Command::STATUS, 0xffff_ffff, DevError::Unknown),
        (Command::STATUS, u64::from(Command::NOTIFY.word()), DevError::NotSupported),
        (Command::VLAN_ADD, 5, DevError::NotSupported),
        (Command::PROXY_BY_INDEX, 0, DevError::NotSupported),
    ];
    for (asked, a0, expected) in cases {
        assert_eq!(command(&mut world, asked, a0, &[]), error(expected), "{asked:?}");
    }
    assert_eq!(command(&mut world, Command::GET_MAC_ADDR, 0, &[]).args[0], mac);
    for number in 0..64 {
        let Mac([a, b, c, d, e, f]) = Mac([2, 0, 0, 0, 0, number]);
        let a0 = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        assert_eq!(command(&mut world, Command::ADDR_ADD, a0, &[]), OK);
    }
    assert_eq!(command(&mut world, Command::ADDR_ADD, mac, &[]), error(DevError::MaxResources));
    for asked in Command::ALL {
        let capable = command(&mut world, Command::CAPABILITY, u64::from(asked.word()), &[]);
        let answer = command(&mut world, *asked, 0, &[]);
        let unsupported = answer == error(DevError::NotSupported) && *asked != Command::STATUS;
        assert_eq!(capable.args[0] != 0, unsupported, "{asked:?}");
        command(&mut world, Command::OPEN, 0, &[]);
    }
}

/// Any words, arguments and data: an answer, and nothing else.
#[test]
fn whatever_a_driver_writes_is_answered() {
    let mut world = opened();
    let whole = blob("web");
    for _ in 0..20_000 {
        let known = Command::ALL[world.random.below(Command::ALL.len() as u64) as usize].word();
        let word = if world.random.below(10) == 0 { world.random.next() as u32 } else { known };
        let a0 = [0, 1, world.random.next(), u64::from(known)][world.random.below(4) as usize];
        let mut data = whole.as_bytes().to_vec();
        let at = world.random.below(data.len() as u64) as usize;
        match world.random.below(3) {
            0 => data.truncate(at),
            1 => data[at] ^= world.random.next() as u8,
            _ => {}
        }
        let done = world.firmware.devcmd(world.now, ID, word, [a0, 0], &data);
        assert!(done.status == 0 || done.status == Completion::ERROR && (1..=12).contains(&done.args[0]));
        if world.random.below(50) == 0 {
            world.run(SECOND / 10);
        }
    }
    assert!(world.firmware.footprint() < 200);
}
