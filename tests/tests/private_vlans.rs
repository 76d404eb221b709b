//! Private VLANs: who reaches whom, as one table. Every role stands twice behind each of two adapters and twice at ordinary
//! ports, and each sends to all others, known and unknown; what comes out is read off the wire, octet by octet.

use link::pair::Config;
use niv_lab::model::switch::{ModelPort, ModelVlans};
use niv_lab::world::frames::{BROADCAST, frame, mac, up};
use niv_lab::world::{End, VirtualSwitch, settle};
use std::collections::BTreeSet;
use vis_switch::engine::verdict::DropReason;

/// What an interface is. Primary VLAN 100; isolated 101, communities 102 and 103.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Isolated,
    CommunityA,
    CommunityB,
    Promiscuous,
    /// Between switches: 100 to 103.
    Trunk,
    PromiscuousTrunk,
}

use Role::{CommunityA, CommunityB, Isolated, Promiscuous, PromiscuousTrunk, Trunk};

const ROLES: [Role; 6] = [Isolated, CommunityA, CommunityB, Promiscuous, Trunk, PromiscuousTrunk];

/// From whom, with which 802.1Q tag; and for each of [`ROLES`] whether it gets that.
const REACH: [(Role, Option<u16>, [bool; 6]); 9] = [
    //                             isolated  A      B  promiscuous trunk  promiscuous trunk
    (Isolated, None, /*         */ [false, false, false, true, true, true]),
    (CommunityA, None, /*       */ [false, true, false, true, true, true]),
    (CommunityB, None, /*       */ [false, false, true, true, true, true]),
    (Promiscuous, None, /*      */ [true, true, true, true, true, true]),
    (Trunk, Some(100), /*       */ [true, true, true, true, true, true]),
    (Trunk, Some(101), /*       */ [false, false, false, true, true, true]),
    (Trunk, Some(102), /*       */ [false, true, false, true, true, true]),
    (Trunk, Some(103), /*       */ [false, false, true, true, true, true]),
    (PromiscuousTrunk, Some(100), [true, true, true, true, true, true]),
];

/// The VLAN id with which a frame leaves by an ordinary port.
fn id_on_wire(from: (Role, Option<u16>), to: Role) -> Option<u16> {
    let own = match from {
        (Isolated, _) => 101,
        (CommunityA, _) => 102,
        (CommunityB, _) => 103,
        (_, tagged) => tagged.unwrap_or(100),
    };
    match to {
        Trunk => Some(own),
        PromiscuousTrunk => Some(100),
        _ => None,
    }
}

fn vlans(role: Role) -> ModelVlans {
    match role {
        Isolated => ModelVlans::host(101),
        CommunityA => ModelVlans::host(102),
        CommunityB => ModelVlans::host(103),
        Promiscuous => ModelVlans::promiscuous(100, &[101, 102, 103]),
        Trunk => ModelVlans::trunk(1, &[100, 101, 102, 103]),
        PromiscuousTrunk => ModelVlans::promiscuous_trunk(1, &[100], &[101, 102, 103]),
    }
}

/// An interface: its role, port, and VIF where the port is a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interface {
    role: Role,
    port: usize,
    vif: Option<u16>,
    station: u16,
}

struct Bed {
    switch: VirtualSwitch,
    ends: Vec<End>,
    interfaces: Vec<Interface>,
}

/// The members of the lists of each link, the VIFs standing in the order of the roles, two each.
const LISTS: [(u16, &[u16]); 4] = [
    (100, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    (101, &[7, 8, 9, 10, 11, 12]),
    (102, &[3, 4, 7, 8, 9, 10, 11, 12]),
    (103, &[5, 6, 7, 8, 9, 10, 11, 12]),
];

impl Bed {
    fn new() -> Self {
        let twice = || ROLES.into_iter().flat_map(|role| [role, role]);
        let lists = || LISTS.iter().map(|(id, members)| (*id, members.to_vec())).collect();
        let veths = || (1u16..).zip(twice().map(vlans)).collect();
        let mut ports: Vec<ModelPort> =
            (0..2).map(|_| ModelPort::Niv { veths: veths(), lists: lists() }).collect();
        ports.extend(twice().map(|role| ModelPort::Wire(vlans(role))));
        let virt =
            (0..2).flat_map(|port| (1u16..).zip(twice()).map(move |(vif, role)| (role, port, Some(vif))));
        let wire = (2..).zip(twice()).map(|(port, role)| (role, port, None));
        let interfaces = (1u16..)
            .zip(virt.chain(wire))
            .map(|(station, (role, port, vif))| Interface { role, port, vif, station })
            .collect();
        let (switch, ends) = VirtualSwitch::punting(&ports, Config { capacity: 64, ..Config::default() }, 0);
        Self { switch, ends, interfaces }
    }

    /// One frame; says who got it, and checks how it left.
    fn send(&mut self, from: Interface, tag: Option<u16>, to: [u8; 6]) -> BTreeSet<u16> {
        let head = frame(to, mac(from.station));
        let head = from.vif.map_or(head.clone(), |vif| head.vntag(up(vif.into())));
        let sent = tag.map_or(head.clone(), |id| head.vlan(id, 5)).ipv4(46);
        assert!(self.ends[from.port].send(&sent));
        settle(0, &mut [&mut self.switch]);
        let mut reached = BTreeSet::new();
        for (port, end) in self.ends.iter_mut().enumerate() {
            for frame in end.received() {
                let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
                let here = self.interfaces.iter().filter(|to| to.port == port);
                if port < 2 {
                    assert_eq!((word(12), word(18)), (0x8926, 0x8100), "a link carries the tag and the VLAN");
                    assert_eq!(word(20) & 0xfff, 100, "the primary VLAN, whatever the frame is in");
                    let (target, source) = (word(14), word(16));
                    let looped =
                        if from.port == port { 0x8000 + from.vif.expect("it came by this link") } else { 0 };
                    assert_eq!(source, looped);
                    let vifs = match target {
                        0xc000.. => {
                            LISTS.iter().find(|(id, _)| 0xc000 + id == target).expect("a list").1.to_vec()
                        }
                        _ => vec![target - 0x8000],
                    };
                    let got =
                        here.filter(|to| vifs.contains(&to.vif.expect("behind a link")) && **to != from);
                    reached.extend(got.map(|to| to.station));
                } else {
                    let to = here.into_iter().next().expect("one on each port");
                    let id = (word(12) == 0x8100).then(|| word(14) & 0xfff);
                    assert_eq!(id, id_on_wire((from.role, tag), to.role), "{from:?} {tag:?} to {to:?}");
                    assert!(reached.insert(to.station), "twice");
                }
            }
        }
        reached
    }

    fn dropped(&self) -> u64 {
        self.switch.drops().iter().filter(|(why, _)| *why == DropReason::Pvlan).map(|(_, count)| count).sum()
    }
}

#[test]
fn the_whole_matrix() {
    let mut bed = Bed::new();
    let all = bed.interfaces.clone();
    assert_eq!(all.len(), 36);
    let gets = |reach: &[bool; 6], to: &Interface| {
        reach[ROLES.iter().position(|role| *role == to.role).expect("all")]
    };

    // Broadcast; so all stations are known then.
    for from in &all {
        for (_, tag, reach) in REACH.iter().filter(|(role, ..)| *role == from.role) {
            let want: BTreeSet<u16> =
                all.iter().filter(|to| *to != from && gets(reach, to)).map(|to| to.station).collect();
            assert_eq!(bed.send(*from, *tag, BROADCAST), want, "broadcast from {from:?} {tag:?}");
        }
    }
    assert_eq!(bed.switch.drops(), []);

    // A known receiver gets it, or nobody, and that has a name. An unknown one is looked for everywhere.
    for from in &all {
        for (_, tag, reach) in REACH.iter().filter(|(role, ..)| *role == from.role) {
            for to in all.iter().filter(|to| *to != from) {
                let before = bed.dropped();
                let reached = bed.send(*from, *tag, mac(to.station));
                let want: BTreeSet<u16> = gets(reach, to).then_some(to.station).into_iter().collect();
                assert_eq!(reached, want, "from {from:?} {tag:?} to {to:?}");
                assert_eq!(bed.dropped() - before, u64::from(want.is_empty()));
            }
            let want: BTreeSet<u16> =
                all.iter().filter(|to| *to != from && gets(reach, to)).map(|to| to.station).collect();
            assert_eq!(bed.send(*from, *tag, mac(999)), want, "unknown, from {from:?} {tag:?}");
        }
    }
    assert!(bed.switch.drops().iter().all(|(why, _)| *why == DropReason::Pvlan));
}

#[test]
fn nobody_speaks_in_a_vlan_that_is_not_its_own() {
    let mut bed = Bed::new();
    for from in bed.interfaces.clone() {
        let foreign: &[u16] = match from.role {
            Trunk => &[99, 104],
            _ => &[99, 101, 102, 103, 104],
        };
        for id in foreign {
            assert_eq!(bed.send(from, Some(*id), BROADCAST), BTreeSet::new(), "{from:?} {id}");
        }
    }
    assert!(bed.switch.drops().iter().all(|(why, _)| *why == DropReason::RxVlan));
}
