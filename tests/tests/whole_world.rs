//! Adapters and a switch together: what a guest sends reaches exactly whom the models, one behind the other, say.

use niv_adapter::engine::{VifParams, VlanMode};
use niv_lab::driver::Features;
use niv_lab::model::adapter::{ModelAdapter, ModelVnic};
use niv_lab::model::gen_frames;
use niv_lab::model::switch::{ModelPort, ModelSwitch, ModelVlans};
use niv_lab::world::frames::{BROADCAST, frame, mac};
use niv_lab::world::{AdapterSpec, End, Machine, VirtualAdapter, VirtualSwitch, VnicSpec, settle};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Adapters with one link each, a switch, ordinary hosts; and the same once more as models.
struct World {
    adapters: Vec<VirtualAdapter>,
    switch: VirtualSwitch,
    hosts: Vec<End>,
    models: Vec<ModelAdapter>,
    model: ModelSwitch,
}

/// A guest's interface: its VLANs on the vEth; the adapter gets the VIF parameters that go with them.
type GuestPlan = ModelVlans;

fn world(adapters: &[Vec<GuestPlan>], hosts: &[ModelVlans], virtio: Option<Features>) -> World {
    let (mut machines, mut models, mut ports) = (Vec::new(), Vec::new(), Vec::new());
    for guests in adapters {
        let vifs = || (5u16..).zip(guests);
        // One list for each VLAN that has members, known to both ends.
        let carries = |vlans: &ModelVlans, vlan: u16| {
            if vlans.trunk { vlans.allowed.contains(&vlan) } else { vlans.untagged == vlan }
        };
        let lists: Vec<(u16, Vec<u16>)> = (1u16..5)
            .map(|vlan| {
                (vlan, vifs().filter(|(_, vlans)| carries(vlans, vlan)).map(|(vif, _)| vif).collect())
            })
            .collect();
        let mode = |vlans: &ModelVlans| if vlans.trunk { VlanMode::Trunk } else { VlanMode::Access };
        let (adapter, mut links) = VirtualAdapter::new(&AdapterSpec {
            links: 1,
            vnics: vifs()
                .map(|(vif, vlans)| VnicSpec {
                    link: 0,
                    vif,
                    params: VifParams {
                        vlan_mode: mode(vlans),
                        default_vlan: vlans.untagged,
                        ..VifParams::default()
                    },
                })
                .collect(),
            lists: lists.iter().map(|(id, members)| (0, *id, members.clone())).collect(),
            virtio,
            ..AdapterSpec::default()
        });
        machines.push(adapter);
        models.push(ModelAdapter {
            negotiation: false,
            vnics: vifs()
                .map(|(vif, vlans)| ModelVnic {
                    vif,
                    vlan_mode: u8::from(!vlans.trunk),
                    default_vlan: vlans.untagged,
                    default_cos: 0,
                    allowed_priorities: 0xff,
                    mtu: 1500,
                    active: true,
                })
                .collect(),
            lists: lists.clone(),
        });
        let veths = vifs().map(|(vif, vlans)| (vif, vlans.clone())).collect();
        ports.push((ModelPort::Niv { veths, lists }, links.remove(0)));
    }
    let mut far = Vec::new();
    for vlans in hosts {
        let (near, away, _) = link::pair::pair(1024);
        ports.push((ModelPort::Wire(vlans.clone()), End::new(near)));
        far.push(End::new(away));
    }
    let model = ModelSwitch::new(ports.iter().map(|(port, _)| port.clone()).collect());
    World { adapters: machines, switch: VirtualSwitch::around(ports), hosts: far, models, model }
}

/// Who receives what, in order: (machine, guest), hosts behind the adapters.
type Received = BTreeMap<(usize, usize), Vec<Vec<u8>>>;

impl World {
    fn settle(&mut self) {
        let mut machines: Vec<&mut dyn Machine> = vec![&mut self.switch];
        machines.extend(self.adapters.iter_mut().map(|adapter| adapter as &mut dyn Machine));
        settle(0, &mut machines);
    }

    /// Sends from a guest or a host through the real engines.
    fn send(&mut self, machine: usize, guest: usize, frame: &[u8]) {
        let sent = match self.adapters.get_mut(machine) {
            Some(adapter) => adapter.guests[guest].send(frame),
            None => self.hosts[machine - self.models.len()].send(frame),
        };
        assert!(sent);
        self.settle();
    }

    fn received(&mut self) -> Received {
        let mut all = Received::new();
        for (machine, adapter) in self.adapters.iter_mut().enumerate() {
            for (guest, end) in adapter.guests.iter_mut().enumerate() {
                all.insert((machine, guest), end.received());
            }
        }
        let behind = self.adapters.len();
        for (host, end) in self.hosts.iter_mut().enumerate() {
            all.insert((behind + host, 0), end.received());
        }
        all.retain(|_, frames| !frames.is_empty());
        all
    }

    /// The same through the models.
    fn expect(&mut self, machine: usize, guest: usize, frame: &[u8], want: &mut Received) {
        let up = match self.models.get(machine) {
            Some(adapter) => adapter.up(guest, frame),
            None => Ok(frame.to_vec()),
        };
        let Ok(up) = up else { return };
        for (port, copy) in self.model.handle(machine, &up).frames {
            match self.models.get(port) {
                Some(adapter) => {
                    for (guest, delivered) in adapter.down(&copy).frames {
                        want.entry((port, guest)).or_default().push(delivered);
                    }
                }
                None => want.entry((port, 0)).or_default().push(copy),
            }
        }
    }
}

fn vlans() -> impl Strategy<Value = ModelVlans> {
    (prop::bool::weighted(0.3), 1u16..4, prop::collection::btree_set(1u16..5, 1..4)).prop_map(
        |(trunk, untagged, allowed)| {
            let allowed: Vec<u16> = allowed.into_iter().collect();
            if trunk { ModelVlans::trunk(untagged, &allowed) } else { ModelVlans::access(untagged) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: niv_lab::model::worlds(), ..ProptestConfig::default() })]

    #[test]
    fn frames_reach_whom_the_models_say(
        adapters in prop::collection::vec(prop::collection::vec(vlans(), 1..4), 1..3),
        hosts in prop::collection::vec(vlans(), 0..3),
        frames in prop::collection::vec((0usize..8, 0usize..8, gen_frames::frames()), 1..16),
    ) {
        same_as_the_models(world(&adapters, &hosts, None), &adapters, hosts.len(), &frames)?;
    }
}

proptest! {
    // Each guest has memory of its own, which takes longer to make than its frames to move.
    #![proptest_config(ProptestConfig { cases: niv_lab::model::worlds() / 20, ..ProptestConfig::default() })]

    #[test]
    fn so_do_frames_of_guests_with_virtio_rings(
        adapters in prop::collection::vec(prop::collection::vec(vlans(), 1..4), 1..3),
        hosts in prop::collection::vec(vlans(), 0..2),
        features in features(),
        frames in prop::collection::vec((0usize..8, 0usize..8, gen_frames::frames()), 1..40),
    ) {
        // What a guest's ring cannot hold is not offered; a runt has no buffer of its own to lie in.
        let fits = |frame: &[u8]| (1..=features.max_frame).contains(&frame.len());
        let frames: Vec<_> = frames.into_iter().filter(|(.., frame)| fits(frame)).collect();
        let world = world(&adapters, &hosts, Some(features));
        same_as_the_models(world, &adapters, hosts.len(), &frames)?;
    }
}

/// Sends the frames one after the other: whoever gets something gets what the models say.
fn same_as_the_models(
    mut world: World,
    adapters: &[Vec<GuestPlan>],
    hosts: usize,
    frames: &[(usize, usize, Vec<u8>)],
) -> Result<(), TestCaseError> {
    let mut want = Received::new();
    for (machine, guest, frame) in frames {
        let machine = machine % (adapters.len() + hosts);
        let guest = adapters.get(machine).map_or(0, |guests| guest % guests.len());
        world.send(machine, guest, frame);
        world.expect(machine, guest, frame, &mut want);
    }
    prop_assert_eq!(world.received(), want);
    Ok(())
}

fn features() -> impl Strategy<Value = Features> {
    (any::<[bool; 5]>(), 1usize..5).prop_map(
        |([mergeable, indirect, event_idx, rx_header_apart, tx_header_apart], tx_pieces)| Features {
            indirect,
            event_idx,
            rx_header_apart,
            tx_header_apart,
            tx_pieces,
            queue_size: 64,
            ..if mergeable { Features::default() } else { Features::plain() }
        },
    )
}

fn access(vlan: u16) -> ModelVlans {
    ModelVlans::access(vlan)
}

#[test]
fn two_guests_of_one_adapter_talk_through_the_switch() {
    let mut world = world(&[vec![access(2), access(2), access(3)]], &[], None);
    let hello = frame(BROADCAST, mac(1)).ipv4(46);
    world.send(0, 0, &hello);
    assert_eq!(
        world.received(),
        Received::from([((0, 1), vec![hello])]),
        "not the sender, not the other VLAN"
    );
    let answer = frame(mac(1), mac(2)).ipv4(46);
    world.send(0, 1, &answer);
    assert_eq!(world.received(), Received::from([((0, 0), vec![answer])]));
    assert_eq!(world.adapters[0].link(0).pruned.get(), 1);
}

#[test]
fn priority_survives_from_guest_to_host_and_to_another_guest() {
    let trunk = ModelVlans::trunk(1, &[1, 2]);
    let mut world = world(&[vec![trunk.clone()], vec![trunk.clone()]], &[trunk], None);
    let tagged = frame(BROADCAST, mac(1)).tag(0x8100, 0xb002).ipv4(60);
    world.send(0, 0, &tagged);
    assert_eq!(
        world.received(),
        Received::from([((1, 0), vec![tagged.clone()]), ((2, 0), vec![tagged])]),
        "V27: PCP 5 and DEI"
    );
}

#[test]
fn a_hundred_guests_on_four_adapters_hear_a_broadcast_once_each() {
    let adapters: Vec<Vec<GuestPlan>> = (0..4).map(|_| (0..25).map(|_| access(2)).collect()).collect();
    let mut world = world(&adapters, &[access(2)], None);
    let hello = frame(BROADCAST, mac(1)).ipv4(46);
    world.send(2, 7, &hello);
    let received = world.received();
    assert_eq!(received.len(), 100);
    assert!(received.values().all(|frames| *frames == [hello.clone()]));
    assert!(!received.contains_key(&(2, 7)));
    assert_eq!(world.switch.balance().sent, 5, "one copy for each link and host");
}
