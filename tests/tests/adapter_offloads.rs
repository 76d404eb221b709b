//! Guests that leave checksums and segmentation to the adapter: what is on the link is what a guest without offloads would
//! have sent. Guests that lie about it lose that frame by name, and nobody else loses any.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use niv_adapter::engine::capture::{Fate, Place};
use niv_adapter::engine::{DropReason, Order, VifParams, VifState};
use niv_lab::driver::Features;
use niv_lab::model::sender::{Sender, Transport};
use niv_lab::world::capture::Capturing;
use niv_lab::world::frames::{frame, mac};
use niv_lab::world::{AdapterSpec, End, VirtualAdapter, VnicSpec, settle};
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

struct Bed {
    adapter: VirtualAdapter,
    link: End,
}

const MTU: u16 = 1500;

/// Two guests with VIFs 5 and 6, on a link that holds `depth` frames.
fn bed(features: Features, depth: usize) -> Bed {
    let vnic = |vif| VnicSpec { link: 0, vif, params: VifParams { mtu: MTU, ..VifParams::default() } };
    let (adapter, mut links) = VirtualAdapter::new(&AdapterSpec {
        links: 1,
        vnics: vec![vnic(5), vnic(6)],
        depth,
        virtio: Some(features),
        ..AdapterSpec::default()
    });
    Bed { adapter, link: links.remove(0) }
}

impl Bed {
    /// Lets the adapter run and takes what it sends, until nothing comes any more: what each VIF sent, tags taken
    /// off.
    fn run(&mut self) -> [Vec<Vec<u8>>; 2] {
        let mut sent = [Vec::new(), Vec::new()];
        loop {
            settle(0, &mut [&mut self.adapter]);
            let frames = self.link.received();
            if frames.is_empty() {
                return sent;
            }
            for frame in frames {
                let (vif, rest) = untagged(&frame);
                sent[vif - 5].push(rest);
            }
        }
    }

    fn drops(&self) -> Vec<(DropReason, u64)> {
        self.adapter.drops()
    }
}

/// The VIF of an upward frame, and the frame as its guest would have sent it.
fn untagged(frame: &[u8]) -> (usize, Vec<u8>) {
    assert_eq!(frame[12..16], [0x89, 0x26, 0, 0]);
    // A priority tag is put in where the guest put none.
    let behind = if frame[18..22] == [0x81, 0, 0, 0] { 22 } else { 18 };
    (usize::from(frame[17]), [&frame[..12], &frame[behind..]].concat())
}

fn sender(v6: bool, vlan: Option<u16>, transport: Transport, len: usize) -> Sender {
    let addresses = [mac(9), mac(1)].concat().try_into().unwrap();
    let payload = (0..len).map(|n| (n * 7 + n / 251) as u8).collect();
    Sender { addresses, vlan, v6, transport, payload }
}

fn tcp(v6: bool, vlan: Option<u16>, flags: u8, len: usize) -> Sender {
    sender(v6, vlan, Transport::Tcp { sequence: 0xffff_fe00, flags }, len)
}

fn udp(v6: bool, vlan: Option<u16>, len: usize) -> Sender {
    sender(v6, vlan, Transport::Udp, len)
}

/// What a guest sends: {header, frame}, and the frames that it stands for.
type Sent = (([u8; 12], Vec<u8>), Vec<Vec<u8>>);

fn sent() -> impl Strategy<Value = Sent> {
    let vlan = prop_oneof![Just(None), (1u16..4095).prop_map(Some)];
    let plain = (0usize..1400).prop_map(|len| {
        let plain = frame(mac(9), mac(1)).ipv4(len);
        (([0; 12], plain.clone()), vec![plain])
    });
    let over = |with: fn(u8) -> u8| {
        let tcp = move |flags| Transport::Tcp { sequence: 0xffff_fe00, flags: with(flags) };
        prop_oneof![any::<u8>().prop_map(tcp), Just(Transport::Udp)]
    };
    let checksum =
        (any::<bool>(), vlan.clone(), over(|_| 0x10), 0usize..1400).prop_map(|(v6, vlan, transport, len)| {
            let sender = sender(v6, vlan, transport, len);
            (sender.unfinished(), sender.segments(len.max(1)))
        });
    let cut = (any::<bool>(), vlan, over(|flags| flags), 1u16..1400, 0usize..40_000).prop_map(
        |(v6, vlan, transport, size, len)| {
            let sender = sender(v6, vlan, transport, len.min(usize::from(size) * 200));
            (sender.super_frame(size), sender.segments(size.into()))
        },
    );
    prop_oneof![2 => plain, 3 => checksum, 3 => cut]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// However full the link is, and however the guest spreads its frames.
    #[test]
    fn the_link_carries_what_a_guest_without_offloads_would_have_sent(
        all in prop::collection::vec((any::<bool>(), sent()), 1..24), depth in 1usize..100, pieces in 1usize..18, apart: bool,
    ) {
        let features = Features { tx_pieces: pieces, tx_header_apart: apart, ..Features::offloading() };
        let mut bed = bed(features, depth);
        let mut expected = [Vec::new(), Vec::new()];
        for (second, ((header, frame), frames)) in all {
            let guest = usize::from(second);
            prop_assert!(bed.adapter.guests[guest].send_unfinished(&header, &frame));
            expected[guest].extend(frames);
        }
        let mut seen = bed.run();
        prop_assert_eq!(bed.drops(), []);
        prop_assert_eq!(bed.adapter.balance().sent as usize, expected[0].len() + expected[1].len());
        for (seen, expected) in seen.iter_mut().zip(&expected) {
            prop_assert_eq!(seen.len(), expected.len());
            for (seen, expected) in seen.iter().zip(expected) {
                prop_assert_eq!(seen, expected);
            }
        }
    }
}

#[test]
fn a_whole_super_frame_goes_over_a_link_that_holds_three_frames() {
    for v6 in [false, true] {
        let mut bed = bed(Features::offloading(), 3);
        let tcp = tcp(v6, None, 0x99, 65_000);
        let (header, frame) = tcp.super_frame(1428);
        // Twice the same, one behind the other.
        for _ in 0..2 {
            assert!(bed.adapter.guests[0].send_unfinished(&header, &frame));
        }
        let expected = tcp.segments(1428);
        let [seen, _] = bed.run();
        assert_eq!(expected.len(), 46);
        assert!(seen[..46] == expected && seen[46..] == expected);
        assert!(seen.iter().all(|frame| frame.len() <= 14 + usize::from(MTU)));
    }
}

#[test]
fn a_super_frame_that_is_replaced_half_way_is_cut_from_its_beginning() {
    let mut bed = bed(Features::offloading(), 3);
    let (first, second) = (tcp(false, None, 0, 20_000), tcp(true, None, 0, 9_000));
    let (header, frame) = first.super_frame(1000);
    assert!(bed.adapter.guests[0].send_unfinished(&header, &frame));
    settle(0, &mut [&mut bed.adapter]);
    assert_eq!(bed.link.received().len(), 3);
    settle(0, &mut [&mut bed.adapter]);
    // The guest writes another frame into the buffer that it has handed over.
    let (header, frame) = second.super_frame(1000);
    let driver = bed.adapter.guests[0].driver();
    driver.rewrite_last(&header, &frame);
    let [seen, _] = bed.run();
    // Three that were on their way, then all of the new one; its buffer is still as long as the old one's.
    let all = second.segments(1000);
    assert_eq!(seen.len(), 3 + 20);
    assert_eq!(seen[3..3 + 8], all[..8]);
}

#[test]
fn segments_beyond_the_mtu_are_dropped_as_one_frame() {
    let mut bed = bed(Features::offloading(), 256);
    // The MTU, and on top of it room for one 802.1Q tag.
    for (size, sender, passes) in [
        (1452, tcp(false, None, 0, 8000), true),
        (1453, tcp(false, None, 0, 8000), false),
        (1448, tcp(false, Some(5), 0, 8000), true),
        (1476, udp(false, None, 8000), true),
        (1477, udp(false, None, 8000), false),
        (1452, udp(true, Some(5), 8000), true),
        // A size beyond all there is: it is one frame, as long as it is.
        (60_000, udp(false, None, 1476), true),
        (60_000, udp(false, None, 1477), false),
    ] {
        let (header, frame) = sender.super_frame(size);
        let before = bed.drops();
        assert!(bed.adapter.guests[0].send_unfinished(&header, &frame));
        let [seen, _] = bed.run();
        assert_eq!(seen, if passes { sender.segments(size.into()) } else { Vec::new() });
        assert_eq!(bed.drops() == before, passes);
    }
    assert_eq!(bed.drops(), [(DropReason::HostOversize, 3)]);
}

/// A lie about a frame.
type Lie = fn(&mut [u8; 12], &mut Vec<u8>);

#[test]
fn each_lie_costs_its_guest_that_frame_and_nobody_else_any() {
    let lies: &[(&str, DropReason, Lie)] = &[
        ("a checksum from beyond the frame", DropReason::HostOffload, |header, _| header[7] = 0xff),
        ("a checksum to beyond the frame", DropReason::HostOffload, |header, _| header[9] = 0xff),
        ("a checksum over the addresses", DropReason::HostOffload, |header, _| header[6] = 0),
        ("a checksum that is not TCP's", DropReason::HostOffload, |header, _| header[6] += 2),
        ("no segment size", DropReason::HostOffload, |header, _| (header[4], header[5]) = (0, 0)),
        ("no checksum to complete", DropReason::HostOffload, |header, _| header[0] = 0),
        ("the other version of IP", DropReason::HostOffload, |header, _| header[1] = 4),
        ("a fragment", DropReason::HostOffload, |_, frame| frame[20] |= 0x20),
        ("no TCP", DropReason::HostOffload, |_, frame| frame[23] = 17),
        ("an IP header beyond the frame", DropReason::HostOffload, |_, frame| frame.truncate(30)),
        ("a TCP header beyond the frame", DropReason::HostOffload, |_, frame| frame.truncate(60)),
        ("no frame at all", DropReason::HostOffload, |_, frame| frame.clear()),
        ("a VNTag of its own", DropReason::HostVntag, |header, frame| {
            frame.splice(12..12, [0x89, 0x26, 0, 0, 0, 6]);
            header[6] += 6;
        }),
        ("a checksum that makes a VNTag behind a VLAN tag", DropReason::HostOffload, |header, frame| {
            // Summed are four octets and the field between them, which becomes 0x8926.
            *header = [1, 0, 0, 0, 0, 0, 14, 0, 2, 0, 0, 0];
            frame.truncate(22);
            frame[12..22].copy_from_slice(&[0x81, 0, 0x76, 0xd9, 0, 0, 0, 0, 0, 0]);
        }),
    ];
    each_costs_a_frame(lies, &tcp(false, None, 0x18, 4000));
}

#[test]
fn each_lie_about_datagrams_costs_its_guest_that_frame_and_nobody_else_any() {
    let lies: &[(&str, DropReason, Lie)] = &[
        ("a checksum from beyond the frame", DropReason::HostOffload, |header, _| header[7] = 0xff),
        ("a checksum to beyond the frame", DropReason::HostOffload, |header, _| header[9] = 0xff),
        ("a checksum that is TCP's", DropReason::HostOffload, |header, _| header[8] = 16),
        ("a checksum that is IP's", DropReason::HostOffload, |header, _| (header[6], header[8]) = (14, 10)),
        ("no segment size", DropReason::HostOffload, |header, _| (header[4], header[5]) = (0, 0)),
        ("no checksum to complete", DropReason::HostOffload, |header, _| header[0] = 0),
        ("TCP", DropReason::HostOffload, |_, frame| frame[23] = 6),
        ("segmentation of TCP", DropReason::HostOffload, |header, _| header[1] = 1),
        ("a fragment", DropReason::HostOffload, |_, frame| frame[20] |= 0x20),
        ("a UDP header beyond the frame", DropReason::HostOffload, |_, frame| frame.truncate(41)),
    ];
    each_costs_a_frame(lies, &udp(false, None, 4000));
}

/// Each lie about a frame of this sender costs the liar that frame, by this name.
fn each_costs_a_frame(lies: &[(&str, DropReason, Lie)], honest: &Sender) {
    for (name, reason, lie) in lies {
        let mut bed = bed(Features { tx_pieces: 1, ..Features::offloading() }, 256);
        let (mut header, mut frame) = honest.super_frame(1000);
        lie(&mut header, &mut frame);
        for guest in [1, 0, 1] {
            let (header, frame) = if guest == 0 { (header, frame.clone()) } else { honest.super_frame(1000) };
            assert!(bed.adapter.guests[guest].send_unfinished(&header, &frame));
        }
        // What it sends afterwards passes.
        let (header, frame) = honest.super_frame(1000);
        assert!(bed.adapter.guests[0].send_unfinished(&header, &frame));
        let segments = honest.segments(1000);
        let [liar, healthy] = bed.run();
        assert_eq!(liar, segments, "{name}");
        assert_eq!(healthy, [&segments[..], &segments].concat(), "{name}");
        assert_eq!(bed.drops(), [(*reason, 1)], "{name}");
    }
}

/// Tells a thread to end, also where a test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_guest_that_rewrites_what_it_sends_harms_nobody_else() {
    let mut bed = bed(Features { tx_pieces: 3, ..Features::offloading() }, 64);
    let honest = tcp(true, None, 0x18, 30_000);
    let segments = honest.segments(1400);
    let memory = std::sync::Arc::clone(bed.adapter.guests[0].driver().memory());
    // It sends one frame at a time, always from this buffer.
    let buffer = *bed.adapter.guests[0].driver().tx_memory().last().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = Stop(&stop);
        scope.spawn(|| {
            let mut random = 1u32;
            while !stop.load(Ordering::Relaxed) {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                memory.write(buffer + u64::from(random >> 25), &[(random >> 8) as u8]);
            }
        });
        for round in 0..200 {
            for guest in [0, 1] {
                let (header, frame) = honest.super_frame(if guest == 0 { 1 + round * 7 } else { 1400 });
                // A full ring is the liar's own trouble.
                let queued = bed.adapter.guests[guest].send_unfinished(&header, &frame);
                assert!(guest == 0 || queued);
            }
            let [_, healthy] = bed.run();
            assert_eq!(healthy, segments);
        }
    });
    let named =
        [DropReason::HostOffload, DropReason::HostOversize, DropReason::HostVntag, DropReason::HostTagHidden];
    assert!(bed.drops().iter().all(|(reason, _)| named.contains(reason)), "{:?}", bed.drops());
}

#[test]
fn a_capture_shows_the_frames_that_a_super_frame_stands_for() {
    let mut bed = bed(Features::offloading(), 256);
    let mut at_vnic = Capturing::begin(&bed.adapter.captures(), Place::Vnic(0));
    let mut at_link = Capturing::begin(&bed.adapter.captures(), Place::Link(0));
    let (whole, single) = (tcp(false, None, 0x18, 3500), tcp(true, Some(7), 0x10, 300));
    let lie = single.super_frame(0);
    for (header, frame) in [whole.super_frame(1000), single.unfinished(), lie.clone()] {
        assert!(bed.adapter.guests[0].send_unfinished(&header, &frame));
    }
    settle(0, &mut [&mut bed.adapter]);
    let sent = bed.link.received();
    let seen = at_vnic.seen();
    let up = Fate::Up { link: 0, vif: 5 };
    let mut expected: Vec<_> =
        [whole.segments(1000), single.segments(300)].concat().into_iter().map(|frame| (frame, up)).collect();
    expected.push((lie.1, Fate::Dropped(DropReason::HostOffload)));
    assert_eq!(seen.into_iter().map(|one| (one.frame, one.fate)).collect::<Vec<_>>(), expected);
    assert_eq!(at_link.seen().into_iter().map(|one| one.frame).collect::<Vec<_>>(), sent);
}

#[test]
fn a_vnic_without_a_way_up_takes_unfinished_frames_and_drops_them() {
    let mut bed = bed(Features::offloading(), 256);
    let vif = vntag::VifId::new(5).unwrap();
    let params = VifParams::default();
    bed.adapter.apply(Order::SetVif { link: 0, vif, vnic: 0, state: VifState::Standby, params });
    let tcp = tcp(false, None, 0x18, 3500);
    for (header, frame) in [tcp.super_frame(1000), tcp.unfinished()] {
        assert!(bed.adapter.guests[0].send_unfinished(&header, &frame));
    }
    let [seen, _] = bed.run();
    assert!(seen.is_empty());
    assert_eq!(bed.drops(), [(DropReason::HostVifDown, 2)]);
    bed.adapter.link_cables[0].unplug();
    let state = VifState::Active;
    bed.adapter.apply(Order::SetVif { link: 0, vif, vnic: 0, state, params });
    let (header, frame) = tcp.super_frame(1000);
    assert!(bed.adapter.guests[0].send_unfinished(&header, &frame));
    settle(0, &mut [&mut bed.adapter]);
    assert_eq!(bed.drops(), [(DropReason::HostVifDown, 2), (DropReason::LinkDown, 1)]);
}
