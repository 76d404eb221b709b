//! Guests with all offloads and guests with none, over links that carry super-frames whole and links that do not, and a
//! wire: each gets what it can take, and every counter is about the frames that a wire would have seen.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use niv_adapter::engine::{DropReason as AdapterDrop, VifParams};
use niv_lab::driver::Features;
use niv_lab::model::sender::{Sender, Transport};
use niv_lab::model::switch::{ModelPort, ModelVlans};
use niv_lab::world::frames::{BROADCAST, frame, mac};
use niv_lab::world::{AdapterSpec, End, Machine, VirtualAdapter, VirtualSwitch, VnicSpec, settle};
use proptest::prelude::*;
use vis_switch::engine::verdict::DropReason as SwitchDrop;

/// Guests 0 and 1 take and leave everything (UDP only where `uso`), 2 and 3 nothing; 4 is a host at a trunk of the switch.
const GUESTS: usize = 4;
const HOST: usize = 4;

struct World {
    adapters: [VirtualAdapter; 2],
    switch: VirtualSwitch,
    host: End,
    whole: [bool; 2],
}

fn params() -> VifParams {
    VifParams { default_vlan: 10, ..VifParams::default() }
}

/// `whole`: whether the link of each adapter carries unfinished frames.
fn world(whole: [bool; 2], depth: usize, uso: bool) -> World {
    let mut ports = Vec::new();
    let adapters = [0, 1].map(|nth| {
        let vnic = |vif| VnicSpec { link: 0, vif, params: params() };
        let (adapter, mut links) = VirtualAdapter::new(&AdapterSpec {
            links: 1,
            vnics: vec![vnic(5), vnic(6)],
            lists: vec![(0, 1, vec![5, 6])],
            depth,
            link_unfinished: whole[nth],
            virtio: Some(if nth == 0 {
                Features { uso, ..Features::all() }
            } else {
                Features { queue_size: 256, ..Features::plain() }
            }),
            ..AdapterSpec::default()
        });
        let veths = [5, 6].map(|vif| (vif, ModelVlans::access(10))).into();
        ports.push((ModelPort::Niv { veths, lists: vec![(1, vec![5, 6])] }, links.remove(0)));
        adapter
    });
    let (near, far, _) = link::pair::pair(1024);
    let trunk = ModelVlans::trunk(1, &Vec::from_iter(1..20));
    ports.push((ModelPort::Wire(trunk), End::new(near)));
    let switch = VirtualSwitch::around(ports);
    let mut world = World { adapters, switch, host: End::new(far), whole };
    // Everybody is known.
    for from in 0..=HOST {
        let hello = frame(BROADCAST, mac(from as u16 + 1));
        assert!(world.end(from).send(&if from == HOST {
            hello.vlan(10, 0).ipv4(46)
        } else {
            hello.ipv4(46)
        }));
        world.run();
    }
    for at in 0..=HOST {
        let got = world.end(at).received_unfinished();
        assert_eq!(got.len(), HOST);
    }
    world
}

impl World {
    fn end(&mut self, at: usize) -> &mut End {
        if at == HOST { &mut self.host } else { &mut self.adapters[at / 2].guests[at % 2] }
    }

    fn run(&mut self) {
        let [a, b] = &mut self.adapters;
        settle(0, &mut [&mut self.switch as &mut dyn Machine, a, b]);
    }

    /// Frames that each machine has received, and copies that it made.
    fn counted(&self) -> [(u64, u64); 3] {
        let of = |balance: niv_node::counter::Balance| (balance.received, balance.sent);
        [of(self.switch.balance()), of(self.adapters[0].balance()), of(self.adapters[1].balance())]
    }
}

/// What a guest sends to another one, or to the host.
#[derive(Clone, Debug)]
struct Sending {
    from: usize,
    to: usize,
    sender: Sender,
    /// Segments of this size; `None`: one frame that lacks its checksum.
    size: Option<u16>,
}

impl Sending {
    /// As the sender hands it over.
    fn unfinished(&self) -> ([u8; 12], Vec<u8>) {
        self.size.map_or_else(|| self.sender.unfinished(), |size| self.sender.super_frame(size))
    }

    /// As a wire sees it.
    fn segments(&self) -> Vec<Vec<u8>> {
        self.sender.segments(self.size.map_or(self.sender.payload.len().max(1), usize::from))
    }
}

fn sending() -> impl Strategy<Value = Sending> {
    let parties = (0..GUESTS, 1..=HOST).prop_map(|(from, by)| (from, (from + by) % (HOST + 1)));
    let size = prop_oneof![1 => Just(None), 2 => (130u16..1400).prop_map(Some)];
    let tcp = (any::<u8>(), any::<u32>()).prop_map(|(flags, sequence)| Transport::Tcp { sequence, flags });
    let transport = prop_oneof![tcp, Just(Transport::Udp)];
    (parties, size, any::<bool>(), transport, 0usize..60_000).prop_map(
        |((from, to), size, v6, mut transport, len)| {
            // No more frames than every ring holds.
            let len = size.map_or(len % 1400, |size| len.min(usize::from(size) * 100));
            let payload = (0..len).map(|n| (n * 7 + n / 251) as u8).collect();
            let addresses = [mac(to as u16 + 1), mac(from as u16 + 1)].concat().try_into().unwrap();
            if let Transport::Tcp { flags, .. } = &mut transport
                && size.is_none()
            {
                *flags &= 0x7f;
            }
            Sending { from, to, sender: Sender { addresses, vlan: None, v6, transport, payload }, size }
        },
    )
}

/// A header but for its hint, which is not carried everywhere.
fn without_hint(mut header: [u8; 12]) -> [u8; 12] {
    (header[2], header[3]) = (0, 0);
    header
}

/// V26: as short a frame as a wire has.
fn padded(frame: &mut Vec<u8>) {
    frame.resize(frame.len().max(60), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn everybody_gets_what_they_can_take(
        whole: [bool; 2], uso: bool, depth in 140usize..600, all in prop::collection::vec(sending(), 1..12),
    ) {
        let mut world = world(whole, depth, uso);
        for one in all {
            let before = world.counted();
            let (header, sent) = one.unfinished();
            let segments = one.segments();
            let count = segments.len() as u64;
            // A guest without USO leaves checksums, and cuts itself.
            let leaves = one.from < 2 && (uso || one.size.is_none() || one.sender.transport != Transport::Udp);
            if leaves {
                prop_assert!(world.end(one.from).send_unfinished(&header, &sent));
                world.run();
            } else {
                for segment in &segments {
                    prop_assert!(world.end(one.from).send(segment));
                    world.run();
                }
            }
            let got = world.end(one.to).received_unfinished();
            // It stays whole from a guest that leaves it so to one that takes it so, over links that take it so: in and out.
            let stays = leaves && one.to < 2 && world.whole[0];
            if one.to == HOST {
                let tagged = Sender { vlan: Some(10), ..one.sender.clone() };
                let mut want = Sending { sender: tagged, ..one.clone() }.segments();
                want.iter_mut().for_each(padded);
                prop_assert!(got.iter().all(|(header, _)| *header == [0; 12]));
                prop_assert!(got.into_iter().map(|(_, frame)| frame).eq(want));
            } else if stays {
                prop_assert_eq!(got.len(), 1);
                prop_assert_eq!(without_hint(got[0].0), without_hint(header));
                prop_assert!(got[0].1 == sent);
            } else {
                prop_assert!(got.iter().all(|(header, _)| *header == [0; 12]));
                prop_assert!(got.into_iter().map(|(_, frame)| frame).eq(segments));
            }
            // Every machine on the way counted the frames of a wire, and nobody else any.
            let through = |adapter: usize| u64::from(one.from / 2 == adapter) + u64::from(one.to < HOST && one.to / 2 == adapter);
            let want = [count, count * through(0), count * through(1)];
            for ((now, then), want) in world.counted().into_iter().zip(before).zip(want) {
                prop_assert_eq!((now.0 - then.0, now.1 - then.1), (want, want));
            }
        }
        prop_assert_eq!(world.switch.drops(), []);
        prop_assert!(world.adapters.iter().all(|adapter| adapter.drops().is_empty()));
    }
}

fn tcp(from: u16, to: u16, len: usize) -> Sender {
    let addresses = [mac(to), mac(from)].concat().try_into().unwrap();
    let transport = Transport::Tcp { sequence: 9, flags: 0x18 };
    Sender { addresses, vlan: None, v6: false, transport, payload: vec![7; len] }
}

fn udp(from: u16, to: u16, len: usize) -> Sender {
    Sender { transport: Transport::Udp, ..tcp(from, to, len) }
}

#[test]
fn a_flood_of_super_frames_reaches_everybody_in_their_own_way() {
    for stream in [tcp(1, 99, 10_000), udp(1, 99, 10_000)] {
        let mut world = world([true, true], 512, true);
        let stream = Sender { addresses: [&BROADCAST, &mac(1)[..]].concat().try_into().unwrap(), ..stream };
        let (header, sent) = stream.super_frame(1000);
        let before = world.counted();
        assert!(world.end(0).send_unfinished(&header, &sent));
        world.run();
        assert_eq!(world.end(0).received_unfinished(), []);
        let whole = world.end(1).received_unfinished();
        assert_eq!((without_hint(whole[0].0), &whole[0].1), (without_hint(header), &sent));
        for guest in [2, 3] {
            assert_eq!(world.end(guest).received(), stream.segments(1000));
        }
        let tagged = Sender { vlan: Some(10), ..stream.clone() };
        assert_eq!(world.end(HOST).received(), tagged.segments(1000));
        // Ten frames: three copies at the switch; at the first adapter up, and down to one; at the second one down to two.
        let now = world.counted();
        let grown = |at: usize| (now[at].0 - before[at].0, now[at].1 - before[at].1);
        assert_eq!([grown(0), grown(1), grown(2)], [(10, 30), (20, 20), (10, 20)]);
    }
}

/// The sender has what the receiver lacks: what is left of the way is a matter of the one that sends it last.
#[test]
fn a_guest_that_takes_only_tcp_whole_gets_datagrams_one_by_one() {
    let adapter = |uso| {
        VirtualAdapter::new(&AdapterSpec {
            links: 1,
            vnics: vec![VnicSpec { link: 0, vif: 5, params: params() }],
            link_unfinished: true,
            virtio: Some(Features { uso, ..Features::all() }),
            ..AdapterSpec::default()
        })
    };
    for (uso, wholes) in [(true, 2), (false, 1)] {
        let (mut adapter, mut links) = adapter(uso);
        let [stream, datagrams] = [tcp(9, 1, 4000), udp(9, 1, 4000)];
        for sender in [&stream, &datagrams] {
            let (header, frame) = downward(sender.super_frame(1000));
            assert!(links[0].send_undone(header, &frame));
        }
        settle(0, &mut [&mut adapter as &mut dyn Machine]);
        let mut got = adapter.guests[0].received_unfinished();
        for sender in [&stream, &datagrams].into_iter().take(wholes) {
            let (header, frame) = sender.super_frame(1000);
            let (said, whole) = got.remove(0);
            assert_eq!((without_hint(said), whole), (without_hint(header), frame));
        }
        let rest = if uso { Vec::new() } else { datagrams.segments(1000) };
        assert!(got.into_iter().eq(rest.into_iter().map(|frame| ([0; 12], frame))));
        assert!(adapter.drops().is_empty());
    }
}

/// It is padded when it is cut, not before: padding would be payload.
#[test]
fn a_super_frame_that_is_shorter_than_any_frame_of_a_wire() {
    for whole in [true, false] {
        let mut world = world([whole, whole], 512, true);
        for (to, host) in [(3, false), (5, true)] {
            let datagrams = udp(1, to, 10);
            let (header, sent) = datagrams.super_frame(5);
            assert!(sent.len() < 60);
            assert!(world.end(0).send_unfinished(&header, &sent));
            world.run();
            let tagged = Sender { vlan: host.then_some(10), ..datagrams };
            let mut want = tagged.segments(5);
            if host {
                want.iter_mut().for_each(padded);
            }
            assert_eq!(want.len(), 2);
            assert_eq!(world.end(usize::from(to) - 1).received(), want);
        }
        assert_eq!(world.switch.drops(), []);
    }
}

#[test]
fn the_mtu_is_about_segments() {
    let mut world = world([true, true], 512, true);
    let (stream, datagrams) = (tcp(1, 2, 20_000), udp(1, 2, 20_000));
    for (stream, size, passes) in
        [(&stream, 1448, true), (&stream, 1453, false), (&datagrams, 1472, true), (&datagrams, 1477, false)]
    {
        let (header, sent) = stream.super_frame(size);
        assert!(world.end(0).send_unfinished(&header, &sent));
        world.run();
        assert_eq!(world.end(1).received_unfinished().len(), usize::from(passes));
    }
    assert_eq!(world.adapters[0].drops(), [(AdapterDrop::HostOversize, 2)]);
}

/// A switch with a link whose far end is in the test's hands, and a host.
fn switch() -> (VirtualSwitch, End, End) {
    let config = link::pair::Config { unfinished: true, ..link::pair::Config::default() };
    let (near, far, _) = config.open().unwrap();
    let (wire, host, _) = link::pair::pair(1024);
    let veths = [5, 6].map(|vif| (vif, ModelVlans::access(10))).into();
    let link = ModelPort::Niv { veths, lists: vec![(1, vec![5, 6])] };
    let switch = VirtualSwitch::around(vec![
        (link, End::new(near)),
        (ModelPort::Wire(ModelVlans::access(10)), End::new(wire)),
    ]);
    (switch, End::new(far), End::new(host))
}

/// The same frame with a VNTag and a priority tag, and its header moved by them.
fn upward(vif: u8, (mut header, frame): ([u8; 12], Vec<u8>)) -> ([u8; 12], Vec<u8>) {
    header[6] += 10;
    let tags = [0x89, 0x26, 0, 0, 0, vif, 0x81, 0, 0, 0];
    (header, [&frame[..12], &tags, &frame[12..]].concat())
}

/// The same on its way down from the switch.
fn downward((header, frame): ([u8; 12], Vec<u8>)) -> ([u8; 12], Vec<u8>) {
    let (header, mut frame) = upward(5, (header, frame));
    frame[14..18].copy_from_slice(&[0x80, 5, 0, 0]);
    frame[20..22].copy_from_slice(&[0, 10]);
    (header, frame)
}

/// A lie about a frame that came up a link.
type Lie = fn(&mut [u8; 12], &mut Vec<u8>);

/// About TCP over IPv4.
const LIES: &[(&str, Lie)] = &[
    ("a checksum from beyond the frame", |header, _| header[7] = 0xff),
    ("a checksum to beyond the frame", |header, _| header[9] = 0xff),
    ("a checksum over the tags", |header, _| header[6] = 16),
    ("a checksum over the addresses", |header, _| header[6] = 0),
    ("a checksum that is not TCP's", |header, _| header[6] += 2),
    ("a checksum over the ports", |header, _| (header[1], header[4], header[5], header[8]) = (0, 0, 0, 2)),
    ("no segment size", |header, _| (header[4], header[5]) = (0, 0)),
    ("more segments than anybody cuts in one go", |header, _| (header[4], header[5]) = (1, 0)),
    ("a kind that nobody knows", |header, _| header[1] = 0x7f),
    ("the other version of IP", |header, _| header[1] = 4),
    ("a fragment", |_, frame| frame[30] |= 0x20),
    ("no TCP", |_, frame| frame[33] = 17),
    ("a TCP header beyond the frame", |_, frame| frame.truncate(70)),
    ("datagrams", |header, _| (header[1], header[8]) = (5, 6)),
];

/// About UDP over IPv4.
const LIES_OF_DATAGRAMS: &[(&str, Lie)] = &[
    ("a checksum from beyond the frame", |header, _| header[7] = 0xff),
    ("a checksum to beyond the frame", |header, _| header[9] = 0xff),
    ("a checksum that is not UDP's", |header, _| header[6] += 2),
    ("no segment size", |header, _| (header[4], header[5]) = (0, 0)),
    ("more datagrams than anybody cuts in one go", |header, _| (header[4], header[5]) = (1, 0)),
    ("congestion", |header, _| header[1] = 0x85),
    ("fragments of UDP", |header, _| header[1] = 3),
    ("a fragment", |_, frame| frame[30] |= 0x20),
    ("no UDP", |_, frame| frame[33] = 6),
    ("a UDP header beyond the frame", |_, frame| frame.truncate(50)),
];

/// What a lie is about: from this station to that one, so many octets.
type Honest = fn(u16, u16, usize) -> Sender;

/// Everything of both kinds, with what it is about.
fn lies() -> impl Iterator<Item = (&'static str, Lie, Honest)> {
    let of = |lies: &'static [(&str, Lie)], honest: Honest| {
        lies.iter().map(move |(name, lie)| (*name, *lie, honest))
    };
    of(LIES, tcp).chain(of(LIES_OF_DATAGRAMS, udp))
}

#[test]
fn a_link_peer_that_lies_loses_that_frame_by_name() {
    for (name, lie, honest) in lies() {
        let (mut switch, mut peer, mut host) = switch();
        let honest = honest(1, 9, 4000);
        let (mut header, mut frame) = upward(5, honest.super_frame(1000));
        lie(&mut header, &mut frame);
        let odd = name == "a checksum over the ports";
        for (header, frame) in [(header, frame), upward(5, honest.super_frame(1000))] {
            assert!(peer.send_undone(header, &frame));
        }
        settle(0, &mut [&mut switch as &mut dyn Machine]);
        let got = host.received();
        if odd {
            // Summed in front of everything that decides by ports, so it decides by what comes out.
            assert_eq!(switch.drops(), [(SwitchDrop::RxOversize, 1)], "{name}");
        } else {
            assert_eq!(switch.drops(), [(SwitchDrop::RxOffload, 1)], "{name}");
        }
        assert_eq!(got, honest.segments(1000), "{name}");
        peer.received_unfinished();
    }
}

#[test]
fn an_oversized_super_frame_is_dropped_as_its_segments() {
    let (mut switch, mut peer, mut host) = switch();
    let (header, frame) = upward(5, tcp(1, 9, 6000).super_frame(2000));
    assert!(peer.send_undone(header, &frame));
    settle(0, &mut [&mut switch as &mut dyn Machine]);
    assert_eq!((host.received().len(), switch.drops()), (0, vec![(SwitchDrop::RxOversize, 3)]));
    assert_eq!(switch.balance().received, 3);
}

#[test]
fn a_switch_that_lies_loses_that_frame_by_name() {
    for (name, lie, honest) in lies() {
        let vnic = VnicSpec { link: 0, vif: 5, params: params() };
        let (mut adapter, mut links) = VirtualAdapter::new(&AdapterSpec {
            links: 1,
            vnics: vec![vnic],
            link_unfinished: true,
            virtio: Some(Features::all()),
            ..AdapterSpec::default()
        });
        let honest = honest(9, 1, 4000);
        let (mut header, mut frame) = downward(honest.super_frame(1000));
        lie(&mut header, &mut frame);
        for (header, frame) in [(header, frame), downward(honest.super_frame(1000))] {
            assert!(links[0].send_undone(header, &frame));
        }
        settle(0, &mut [&mut adapter as &mut dyn Machine]);
        let got = adapter.guests[0].received_unfinished();
        assert_eq!(got.len(), 1, "{name}");
        let (header, frame) = honest.super_frame(1000);
        assert_eq!((without_hint(got[0].0), &got[0].1), (without_hint(header), &frame), "{name}");
        assert_eq!(adapter.drops(), [(AdapterDrop::LinkOffload, 1)], "{name}");
    }
}
