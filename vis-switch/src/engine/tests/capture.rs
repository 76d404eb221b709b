//! A capture shows every frame of its port once, as it was, with the fate that the counters know too.

use super::super::capture::Fate;
use super::random::frames;
use super::*;
use link::capture::live::Session;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use proptest::prelude::*;
use std::time::Duration;

/// A frame of a capture: whether it came in, its octets, its fate.
type Seen = (bool, Vec<u8>, Fate);

/// A capture of a port that is being read.
struct Reading(Session<u16, Fate>);

impl Reading {
    fn begin(rig: &Rig, port: usize) -> Self {
        let mut session = rig.engine.captures().begin(port as u16, "port", "pair", None).unwrap();
        assert!(session.read(Duration::ZERO, |_| String::new()).is_some(), "the beginning of the file");
        Self(session)
    }

    /// What was captured since the last time.
    fn seen(&mut self) -> Vec<Seen> {
        let mut fates = Vec::new();
        let note = |fate: &Fate| {
            fates.push(*fate);
            String::new()
        };
        let mut session = self.0.read(Duration::ZERO, note).unwrap();
        // Blocks alone are no file.
        let mut file = vec![0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0];
        file.extend([[0xff; 4], [0xff; 4], [28, 0, 0, 0]].concat());
        file.extend([1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0]);
        file.append(&mut session);
        let mut reader = PcapNgReader::new(&file[..]).unwrap();
        let mut seen = Vec::new();
        while let Some(block) = reader.next_block() {
            let Block::EnhancedPacket(packet) = block.unwrap() else { continue };
            let came = packet.options.contains(&EnhancedPacketOption::Flags(1));
            seen.push((came, packet.data.to_vec(), fates[seen.len()]));
        }
        assert_eq!(seen.len(), fates.len());
        seen
    }
}

fn dropped(from: u32, reason: DropReason) -> Fate {
    Fate::Dropped { from: LifId::new(from), reason }
}

#[test]
fn a_hairpin_is_seen_coming_and_going_as_it_was_each_time() {
    let mut rig = Rig::new(campus());
    rig.teach(LINK0, &up(6, BROADCAST, mac(6), None));
    let mut link = Reading::begin(&rig, LINK0);
    let frame = up(5, mac(6), mac(5), None);
    let out = rig.send(LINK0, &frame);
    let (from, to) = (lif_id(1), lif_id(2));
    let expected =
        vec![(true, frame, Fate::Unicast { from, to }), (false, out[0].1.clone(), Fate::Sent(lif_id(2)))];
    assert_eq!(link.seen(), expected);
}

#[test]
fn a_flood_and_the_members_that_it_misses() {
    let mut rig = Rig::new(campus());
    // Without a list of exactly these members on the second link.
    rig.plan.ports[LINK1] = PortPlan::Static { lists: Vec::new() };
    rig.republish();
    let mut captures = [LINK0, ACCESS, LINK1].map(|port| Reading::begin(&rig, port));
    let frame = up(5, BROADCAST, mac(5), None);
    let out = rig.send(LINK0, &frame);
    let [link, access, other] = &mut captures;
    let copy = |port: usize| out.iter().find(|(at, _)| *at == port).unwrap().1.clone();
    let missed = Some(DropReason::McDvifXlateMiss);
    let flooded = Fate::Flooded { from: lif_id(1), vlan: 10, missed };
    assert_eq!(link.seen(), [(true, frame, flooded), (false, copy(LINK0), Fate::Copied)]);
    assert_eq!(access.seen(), [(false, copy(ACCESS), Fate::Copied)]);
    assert_eq!(other.seen(), []);
    // What was missed then is not said of the next one.
    let frame = up(8, BROADCAST, mac(8), None);
    rig.send(LINK0, &frame);
    assert_eq!(link.seen(), [(true, frame, Fate::Flooded { from: lif_id(4), vlan: 40, missed: None })]);
}

#[test]
fn a_frame_that_finds_no_room_is_dropped_on_both_sides() {
    let mut rig = Rig::with(campus(), 4, 4096, Options::default());
    rig.teach(ACCESS, &host_frame(BROADCAST, mac(3), None));
    let (mut link, mut access) = (Reading::begin(&rig, LINK0), Reading::begin(&rig, ACCESS));
    let frames: Vec<Vec<u8>> = (0..4).map(|_| up(5, mac(3), mac(5), None)).collect();
    for _ in 0..2 {
        rig.put(LINK0, &frames);
        rig.run();
    }
    let fates = |seen: Vec<Seen>| seen.into_iter().map(|(_, _, fate)| fate).collect::<Vec<_>>();
    let unicast = Fate::Unicast { from: lif_id(1), to: lif_id(7) };
    let full = |from| dropped(from, DropReason::TxRingFull);
    assert_eq!(fates(link.seen()), [[unicast; 4], [full(1); 4]].concat());
    assert_eq!(fates(access.seen()), [[Fate::Sent(lif_id(7)); 4], [full(0); 4]].concat());
}

#[test]
fn what_is_refused_says_whose_it_was_where_that_is_known() {
    let mut rig = Rig::new(campus());
    let mut link = Reading::begin(&rig, LINK0);
    let frames =
        [host_frame(mac(1), mac(2), None), up(99, mac(1), mac(2), None), up(5, mac(1), mac(2), Some(11))];
    rig.put(LINK0, &frames);
    rig.run();
    let fates = [
        dropped(0, DropReason::RxNoVntag),
        dropped(0, DropReason::RxSrcUnknown),
        dropped(1, DropReason::RxVlan),
    ];
    let expected: Vec<Seen> =
        frames.into_iter().zip(fates).map(|(frame, fate)| (true, frame, fate)).collect();
    assert_eq!(link.seen(), expected);
}

#[test]
fn control_is_seen_too() {
    use super::super::control::Order;
    let mut rig = Rig::new(campus());
    let mut link = Reading::begin(&rig, LINK1);
    rig.engine.apply(Order::Send { port: LINK1, frames: vec![vec![7; 60]] });
    rig.run();
    assert_eq!(link.seen(), [(false, vec![7; 60], Fate::Originated)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// At every port: what the far end sent is what came, what it got is what left, and each drop has its frame.
    #[test]
    fn captures_agree_with_cables_and_counters(frames in prop::collection::vec((0usize..4, frames()), 1..80)) {
        let mut rig = Rig::new(campus());
        let mut captures: Vec<_> = (0..4).map(|port| Reading::begin(&rig, port)).collect();
        let mut sent: Vec<Vec<Vec<u8>>> = vec![Vec::new(); 4];
        for (port, frame) in frames {
            rig.put(port, std::slice::from_ref(&frame));
            sent[port].push(frame);
        }
        rig.run();
        let mut counted = rig.drops();
        for (port, capture) in captures.iter_mut().enumerate() {
            let seen = capture.seen();
            let of = |wanted: bool| seen.iter().filter(move |(came, ..)| *came == wanted).map(|(_, frame, _)| frame.clone());
            prop_assert_eq!(of(true).collect::<Vec<_>>(), sent[port].clone());
            prop_assert_eq!(of(false).collect::<Vec<_>>(), rig.taken(port));
            for (_, _, fate) in &seen {
                let reason = match fate {
                    Fate::Dropped { reason, .. } | Fate::Flooded { missed: Some(reason), .. } => *reason,
                    _ => continue,
                };
                counted.iter_mut().filter(|(known, _)| *known == reason).for_each(|(_, count)| *count -= 1);
            }
        }
        // A flood can miss several ports.
        let left = counted.into_iter().filter(|(reason, count)| *count > 0 && *reason != DropReason::McDvifXlateMiss);
        prop_assert_eq!(left.collect::<Vec<_>>(), vec![]);
    }
}
