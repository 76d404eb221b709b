//! Offloads against a naive sender: it writes every frame by itself, octet by octet, and sums it slowly.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use proptest::prelude::*;
use vntag::offload::{
    BATCH, BadOffload, FRAMES_MAX, Finisher, HEADERS_MAX, NetHeader, Offload, Sum, recognise,
};

/// Checksums as RFC 1071 describes them, two octets at a time.
fn slow_sum(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0, |sum: u16, word| {
        let word = u16::from(word[0]) << 8 | u16::from(word.get(1).copied().unwrap_or(0));
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

/// A sender's idea of what it sends: TCP, or datagrams of UDP.
#[derive(Clone, Debug)]
struct Sender {
    /// Everything between the addresses and the EtherType of IP.
    tags: Vec<u8>,
    v6: bool,
    udp: bool,
    /// IPv4 options, or IPv6 extension headers as types with their bodies.
    ip_options: Vec<u8>,
    extensions: Vec<(u8, usize)>,
    tcp_options: Vec<u8>,
    id: u16,
    sequence: u32,
    flags: u8,
    addresses: [u8; 32],
}

impl Sender {
    /// One frame with this much done before it, and its payload. `finished`: as a wire carries it; otherwise as a guest
    /// hands it over, its checksum field holding the pseudo header's sum.
    fn frame(&self, index: usize, offset: usize, flags: u8, payload: &[u8], finished: bool) -> Vec<u8> {
        let mut upper = vec![0x30, 0x39, 0x14, 0x51];
        if self.udp {
            upper.extend((8 + payload.len() as u16).to_be_bytes());
            upper.extend([0, 0]);
        } else {
            upper.extend(self.sequence.wrapping_add(offset as u32).to_be_bytes());
            upper.extend([
                1,
                2,
                3,
                4,
                ((5 + self.tcp_options.len() / 4) << 4) as u8,
                flags,
                0x20,
                0,
                0,
                0,
                0,
                0,
            ]);
            upper.extend(&self.tcp_options);
        }
        upper.extend(payload);
        let addresses = if self.v6 { &self.addresses[..] } else { &self.addresses[..8] };
        let mut pseudo = addresses.to_vec();
        pseudo.extend((upper.len() as u32).to_be_bytes());
        pseudo.extend([0, 0, 0, self.protocol()]);
        let checksum = if finished {
            pseudo.extend(&upper);
            match !slow_sum(&pseudo) {
                0 if self.udp => 0xffff, // 0 would say: none
                checksum => checksum,
            }
        } else {
            slow_sum(&pseudo)
        };
        let field = self.field();
        upper[field..field + 2].copy_from_slice(&checksum.to_be_bytes());

        let mut frame = vec![0x52, 0x54, 0, 0, 0, 1, 0x52, 0x54, 0, 0, 0, 2];
        frame.extend(&self.tags);
        if self.v6 {
            let extensions = self.extensions();
            frame.extend([0x86, 0xdd, 0x60, 1, 2, 3]);
            frame.extend(((extensions.len() + upper.len()) as u16).to_be_bytes());
            frame.extend([self.extensions.first().map_or(self.protocol(), |(kind, _)| *kind), 64]);
            frame.extend(addresses);
            frame.extend(extensions);
        } else {
            let len = 20 + self.ip_options.len();
            let mut ip = vec![0x40 | (len / 4) as u8, 0];
            ip.extend(((len + upper.len()) as u16).to_be_bytes());
            ip.extend(self.id.wrapping_add(index as u16).to_be_bytes());
            ip.extend([0x40, 0, 64, self.protocol(), 0, 0]);
            ip.extend(addresses);
            ip.extend(&self.ip_options);
            let checksum = !slow_sum(&ip);
            ip[10..12].copy_from_slice(&checksum.to_be_bytes());
            frame.extend([0x08, 0x00]);
            frame.extend(ip);
        }
        frame.extend(upper);
        frame
    }

    fn protocol(&self) -> u8 {
        if self.udp { 17 } else { 6 }
    }

    /// Where the checksum is behind the IP headers.
    fn field(&self) -> usize {
        if self.udp { 6 } else { 16 }
    }

    fn extensions(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (nth, (_, units)) in self.extensions.iter().enumerate() {
            let next = self.extensions.get(nth + 1).map_or(self.protocol(), |(kind, _)| *kind);
            bytes.extend([next, *units as u8, 0, 0]);
            bytes.extend(vec![0; 4 + units * 8]);
        }
        bytes
    }

    /// Where TCP or UDP begins, and its payload.
    fn places(&self) -> (usize, usize) {
        let ip = if self.v6 { 40 + self.extensions().len() } else { 20 + self.ip_options.len() };
        let upper = 14 + self.tags.len() + ip;
        (upper, upper + if self.udp { 8 } else { 20 + self.tcp_options.len() })
    }

    /// The header for a checksum that is to be completed.
    fn unfinished(&self) -> NetHeader {
        let csum_start = self.places().0 as u16;
        NetHeader { flags: 1, csum_start, csum_offset: self.field() as u16, ..NetHeader::default() }
    }

    /// The super-frame and its header.
    fn super_frame(&self, payload: &[u8], size: u16) -> (NetHeader, Vec<u8>) {
        let gso_type = match (self.udp, self.v6) {
            (true, _) => 5,
            (false, true) => 4 | self.flags & 0x80,
            (false, false) => 1 | self.flags & 0x80,
        };
        let hdr_len = self.places().1 as u16;
        let header = NetHeader { gso_type, hdr_len, gso_size: size, ..self.unfinished() };
        (header, self.frame(0, 0, self.flags, payload, false))
    }

    /// What it would send without offloads.
    fn segments(&self, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
        if payload.is_empty() {
            return vec![self.frame(0, 0, self.flags, &[], true)];
        }
        let chunks: Vec<_> = payload.chunks(size).collect();
        (0..chunks.len())
            .map(|index| {
                let mut flags = self.flags;
                if index > 0 {
                    flags &= !0x80;
                }
                if index + 1 < chunks.len() {
                    flags &= !0x09;
                }
                self.frame(index, index * size, flags, chunks[index], true)
            })
            .collect()
    }
}

fn sender() -> impl Strategy<Value = Sender> {
    let vlan = prop::sample::select(vec![[0x81, 0x00, 0x20, 0x0a], [0x88, 0xa8, 0, 1], [0x91, 0, 0, 5]]);
    let tags = (any::<bool>(), prop::collection::vec(vlan, 0..3)).prop_map(|(vntag, vlans)| {
        let vntag = if vntag { vec![0x89, 0x26, 0x80, 5, 0, 0] } else { vec![] };
        [vntag, vlans.concat()].concat()
    });
    let words = |most: usize| {
        (0..=most).prop_flat_map(|words| prop::collection::vec(any::<u8>(), words * 4..=words * 4))
    };
    let extensions = prop::collection::vec((prop::sample::select(vec![0u8, 43, 60]), 0usize..4), 0..4);
    let header = (any::<u16>(), any::<u32>(), any::<u8>(), any::<[u8; 32]>());
    (tags, any::<[bool; 2]>(), words(10), extensions, words(10), header).prop_map(
        |(tags, [v6, udp], ip_options, extensions, tcp_options, (id, sequence, flags, addresses))| Sender {
            tags,
            v6,
            udp,
            ip_options,
            extensions,
            tcp_options,
            id,
            sequence,
            flags,
            addresses,
        },
    )
}

/// All segments from number `first` on.
fn cut(header: &NetHeader, frame: &[u8], first: usize) -> Result<Vec<Vec<u8>>, BadOffload> {
    let front = &frame[..frame.len().min(HEADERS_MAX)];
    let task = Offload::of(header, front, frame.len())?;
    let Some(Offload::Cut(cut)) = task else { panic!("no super-frame: {task:?}") };
    let payload = &frame[cut.payload_of(first..cut.count())];
    let mut segments = cut.segments(front, payload, first);
    let mut to = [0xa5; HEADERS_MAX];
    let mut all = Vec::new();
    while let Some(segment) = segments.next_into(&mut to) {
        all.push([&to[..segment.headers], segment.payload].concat());
        assert!(to[segment.headers..].iter().all(|octet| *octet == 0xa5), "written behind the headers");
    }
    assert_eq!(first + all.len(), cut.count());
    assert!(all.iter().all(|segment| segment.len() <= cut.longest()));
    assert!(first > 0 || all[0].len() == cut.longest());
    Ok(all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn segments_are_what_a_sender_without_offload_sends(
        sender in sender(), payload in prop::collection::vec(any::<u8>(), 0..5000), size in 1u16..2000, first: prop::sample::Index,
    ) {
        let (header, frame) = sender.super_frame(&payload, size);
        let segments = sender.segments(&payload, usize::from(size));
        prop_assert_eq!(cut(&header, &frame, 0).unwrap(), &segments[..]);
        let first = first.index(segments.len());
        prop_assert_eq!(cut(&header, &frame, first).unwrap(), &segments[first..]);
    }

    #[test]
    fn tags_put_in_front_of_a_super_frame_are_in_front_of_every_segment(
        sender in sender(), payload in prop::collection::vec(any::<u8>(), 1..3000), size in 500u16..2000,
    ) {
        let bare = Sender { tags: Vec::new(), ..sender.clone() };
        let (header, frame) = bare.super_frame(&payload, size);
        let Some(Offload::Cut(cut)) = Offload::of(&header, &frame, frame.len()).unwrap() else { panic!("no super-frame") };
        let tagged = cut.behind_tags(sender.tags.len());
        let headers = [&frame[..12], &sender.tags, &frame[12..cut.headers()]].concat();
        let mut segments = tagged.segments(&headers, &frame[cut.headers()..], 0);
        let mut to = [0; HEADERS_MAX + 16];
        for wanted in sender.segments(&payload, usize::from(size)) {
            let segment = segments.next_into(&mut to).unwrap();
            prop_assert_eq!([&to[..segment.headers], segment.payload].concat(), wanted);
        }
        prop_assert!(segments.next_into(&mut to).is_none());
    }

    #[test]
    fn a_checksum_is_completed(sender in sender(), payload in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut frame = sender.frame(0, 0, sender.flags, &payload, false);
        let Some(Offload::Checksum(checksum)) = Offload::of(&sender.unfinished(), &frame, frame.len()).unwrap() else {
            panic!("no checksum")
        };
        checksum.complete(&mut frame);
        prop_assert_eq!(frame, sender.frame(0, 0, sender.flags, &payload, true));
    }

    #[test]
    fn sums_of_pieces_are_the_sum_of_the_whole(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 0..8)) {
        let mut sum = Sum::default();
        pieces.iter().for_each(|piece| sum.add(piece));
        let whole = slow_sum(&pieces.concat());
        // Both zeros are one number.
        prop_assert_eq!(sum.get() % 0xffff, whole % 0xffff);
        prop_assert_eq!(sum.get() == 0, pieces.concat().iter().all(|octet| *octet == 0));
        prop_assert_eq!(sum.checksum(), !sum.get());
    }

    /// Whatever is said of whatever frame: no panic, and what is believed stays within the frame.
    #[test]
    fn lies_are_refused_or_harmless(
        sender in sender(), raw: [u8; 12], kind in 0u8..7, near in -70i32..70, flips in prop::collection::vec((0usize..300, any::<u8>()), 0..4),
        payload in prop::collection::vec(any::<u8>(), 0..600), keep in 0usize..700, honest: [bool; 4],
    ) {
        let (true_header, mut frame) = sender.super_frame(&payload, 100);
        frame.truncate(if honest[0] { frame.len() } else { keep });
        for (at, octet) in flips {
            if let Some(place) = frame.get_mut(at) {
                *place ^= octet;
            }
        }
        let mut header = NetHeader::from_bytes(raw);
        prop_assert_eq!(header.to_bytes(), raw);
        header.gso_type = if honest[1] { true_header.gso_type } else { kind };
        header.flags = if honest[2] { 1 } else { header.flags };
        if honest[3] {
            header.csum_start = (i32::from(true_header.csum_start) + near / 60) as u16;
            header.csum_offset = sender.field() as u16;
        }
        let front = &frame[..frame.len().min(HEADERS_MAX)];
        match Offload::of(&header, front, frame.len()) {
            Ok(None) => prop_assert!(header.is_complete()),
            Ok(Some(Offload::Checksum(checksum))) => {
                let (before, len) = (frame.clone(), frame.len());
                checksum.complete(&mut frame);
                prop_assert_eq!((&frame[..14], frame.len()), (&before[..14], len));
                let covered = &frame[usize::from(header.csum_start)..];
                let field = usize::from(header.csum_offset);
                prop_assert!(field + 2 <= covered.len());
                // With what the field held before (of the pseudo header, so it was said) all sums up to zero.
                let held = &before[usize::from(header.csum_start) + field..][..2];
                let sum = u32::from(slow_sum(covered)) + u32::from(slow_sum(held));
                prop_assert!(field % 2 == 1 || sum % 0xffff == 0);
            }
            Ok(Some(Offload::Cut(plan))) => {
                let size = usize::from(header.gso_size);
                let all = cut(&header, &frame, 0).unwrap();
                let payload: Vec<u8> = all.iter().flat_map(|segment| segment[plan.headers()..].to_vec()).collect();
                prop_assert_eq!(&payload, &frame[plan.headers()..]);
                prop_assert!(all.iter().all(|segment| segment.len() <= plan.headers() + size));
            }
            Err(_) => {}
        }
    }
}

/// What a [`Finisher`] makes of a frame.
fn finish(finisher: &mut Finisher, header: &NetHeader, frame: &[u8]) -> Vec<Vec<u8>> {
    let finished = finisher.frame(header, frame.len(), |to| to.copy_from_slice(frame)).unwrap();
    let count = finished.count();
    let mut all = Vec::new();
    finished.batches(0, |batch| {
        assert!((1..=BATCH).contains(&batch.len()));
        all.extend(batch.iter().map(|(head, body)| [*head, body].concat()));
    });
    assert_eq!(all.len(), count);
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn an_unfinished_frame_is_told_by_its_look(
        sender in sender(), payload in prop::collection::vec(any::<u8>(), 0..1500), at: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let made = |finished| sender.frame(0, 0, 0x18, &payload, finished);
        let (unfinished, finished) = (made(false), made(true));
        let header = recognise(&unfinished).unwrap();
        prop_assert_eq!(finish(&mut Finisher::default(), &header, &unfinished), std::slice::from_ref(&finished));
        // A finished one is not, or it comes out as it was.
        if let Some(header) = recognise(&finished) {
            prop_assert_eq!(finish(&mut Finisher::default(), &header, &finished), [finished]);
        }
        // Nor is one that is cut off, or has something behind it.
        prop_assert_eq!(recognise(&unfinished[..at.index(unfinished.len())]), None);
        prop_assert_eq!(recognise(&[&unfinished[..], &[0]].concat()), None);
        // Whatever is said of whichever frame can be done.
        let mut changed = unfinished.clone();
        for (place, value) in changes {
            changed[place.index(unfinished.len().min(100))] = value;
        }
        if let Some(header) = recognise(&changed) {
            let front = &changed[..changed.len().min(HEADERS_MAX)];
            prop_assert!(matches!(Offload::of(&header, front, changed.len()), Ok(Some(Offload::Checksum(_)))));
        }
    }

    #[test]
    fn a_finisher_makes_the_same_segments_for_every_mtu(
        sender in sender(), len in 0usize..64_000, seed: u8, mtu in prop::sample::select(vec![1500usize, 9000]),
    ) {
        let payload: Vec<u8> = (0..len).map(|n| (n * 31 + n / 253) as u8 ^ seed).collect();
        let (upper, end) = sender.places();
        let ip = 14 + sender.tags.len();
        let size = mtu - (end - ip);
        let (header, frame) = sender.super_frame(&payload, size as u16);
        let mut finisher = Finisher::default();
        // A frame in front of it leaves nothing behind.
        let _ = finish(&mut finisher, &NetHeader::default(), &vec![0xff; 2000]);
        let all = finish(&mut finisher, &header, &frame);
        prop_assert!(all.iter().all(|one| one.len() <= ip + mtu));
        prop_assert_eq!(all, sender.segments(&payload, size));
        let judged = Offload::of(&header, &frame[..frame.len().min(HEADERS_MAX)], frame.len()).unwrap().unwrap();
        let octets: usize = sender.segments(&payload, size).iter().map(Vec::len).sum();
        prop_assert_eq!(frame.len() + (judged.frames() - 1) * judged.repeated(), octets);
        prop_assert_eq!(judged.header(&header), NetHeader { hdr_len: end as u16, ..header });
        prop_assert!(upper < end);
    }
}

/// What waits is finished behind those who decide by addresses and ports, so it must not change them.
#[test]
fn only_what_changes_nothing_may_wait() {
    let (header, frame) = plain(false).super_frame(&[3; 2000], 1000);
    let of = |header: &NetHeader, frame: &[u8]| Offload::of(header, frame, frame.len()).unwrap().unwrap();
    let checksum = NetHeader { gso_type: 0, ..header };
    assert!(of(&header, &frame).may_wait(&frame[..54]));
    assert!(!of(&header, &frame).may_wait(&frame[..53]), "a header is not in the copy");
    assert!(of(&checksum, &frame).may_wait(&frame[..52]));
    assert!(!of(&checksum, &frame).may_wait(&frame[..51]), "the field is not in the copy");
    for (start, offset) in [(34, 2), (34, 6), (14, 16), (14, 10), (33, 17)] {
        let odd = NetHeader { csum_start: start, csum_offset: offset, ..checksum };
        assert!(!of(&odd, &frame).may_wait(&frame), "{start} {offset}");
    }
    let mut fragment = frame.clone();
    fragment[20] = 0x20;
    assert!(!of(&checksum, &fragment).may_wait(&fragment));
    let (header, frame) = plain(true).super_frame(&vec![1; FRAMES_MAX * 10 + 1], 10);
    assert!(!of(&header, &frame).may_wait(&frame), "too many");
}

#[test]
fn a_checksum_is_behind_all_tags() {
    let vlan = [0x81, 0, 0, 5];
    let at = |tags: &[u8], start| {
        let frame = [&[2; 12], tags, &[0x08, 0x00], &[0; 60]].concat();
        let header = NetHeader { flags: 1, csum_start: start, csum_offset: 0, ..NetHeader::default() };
        Offload::of(&header, &frame, frame.len()).is_ok()
    };
    for (tags, first) in [(0, 14), (1, 18), (2, 22)] {
        assert!(at(&vlan.repeat(tags), first) && !at(&vlan.repeat(tags), first - 1));
    }
    assert!(!at(&vlan.repeat(3), 40), "nobody makes so many");
    assert!(!at(&[&vlan[..], &[0x89, 0x26, 0, 0, 0, 0]].concat(), 40), "nor that");
}

/// A sender of untagged IPv4 or IPv6 without options.
fn plain(v6: bool) -> Sender {
    Sender {
        tags: vec![],
        v6,
        udp: false,
        ip_options: vec![],
        extensions: vec![],
        tcp_options: vec![],
        id: 0xffff,
        sequence: u32::MAX,
        flags: 0x99,
        addresses: [7; 32],
    }
}

/// Makes a lie of a header and its frame.
type Break = fn(&mut NetHeader, &mut Vec<u8>);

#[test]
fn each_lie_has_its_name() {
    let cases: &[(BadOffload, bool, Break)] = &[
        (BadOffload::ChecksumOutside, false, |header, _| header.csum_start = 13),
        (BadOffload::ChecksumOutside, false, |header, _| header.csum_start = u16::MAX),
        (BadOffload::ChecksumOutside, false, |header, _| header.csum_offset = u16::MAX),
        (BadOffload::ChecksumOutside, false, |header, frame| {
            header.csum_offset = frame.len() as u16 - 34 - 1;
        }),
        (BadOffload::Kind, false, |header, _| header.gso_type = 3),
        (BadOffload::OtherProtocol, false, |header, _| header.gso_type = 5),
        (BadOffload::Kind, false, |header, _| header.gso_type = 0x85),
        (BadOffload::Kind, false, |header, _| header.gso_type = 0x80),
        (BadOffload::NoChecksum, false, |header, _| header.flags = 0),
        (BadOffload::NoSize, false, |header, _| header.gso_size = 0),
        (BadOffload::OtherProtocol, false, |header, _| header.gso_type = 4),
        (BadOffload::OtherProtocol, true, |header, _| header.gso_type = 1),
        (BadOffload::OtherProtocol, false, |_, frame| frame[23] = 17),
        (BadOffload::OtherProtocol, true, |_, frame| frame[20] = 59),
        (BadOffload::OtherChecksum, false, |header, _| header.csum_start += 1),
        (BadOffload::OtherChecksum, true, |header, _| header.csum_offset = 6),
        (BadOffload::Uncuttable, false, |_, frame| frame[20] |= 0x20),
        (BadOffload::Uncuttable, false, |_, frame| frame[21] = 1),
        (BadOffload::Uncuttable, true, |_, frame| frame[20] = 44),
        (BadOffload::Uncuttable, true, |_, frame| frame[20] = 51),
        (BadOffload::Uncuttable, true, |_, frame| (frame[20], frame[57]) = (43, 1)),
        (BadOffload::Headers, false, |_, frame| frame[14] = 0x44),
        (BadOffload::Headers, false, |_, frame| frame[14] = 0x65),
        (BadOffload::Headers, true, |_, frame| frame[14] = 0x40),
        (BadOffload::Headers, false, |_, frame| frame[34 + 12] = 0x40),
        (BadOffload::Headers, false, |_, frame| {
            frame[34 + 12] = 0xf0;
            frame.truncate(90);
        }),
        (BadOffload::TooLong, false, |header, frame| {
            header.gso_size = u16::MAX;
            frame.resize(70_000, 0);
        }),
    ];
    for (nth, (bad, v6, break_it)) in cases.iter().enumerate() {
        let (mut header, mut frame) = plain(*v6).super_frame(&[3; 2000], 1000);
        break_it(&mut header, &mut frame);
        let front = &frame[..frame.len().min(HEADERS_MAX)];
        assert_eq!(Offload::of(&header, front, frame.len()), Err(*bad), "case {nth}");
    }
}

#[test]
fn each_lie_about_datagrams_has_its_name() {
    let cases: &[(BadOffload, bool, Break)] = &[
        (BadOffload::ChecksumOutside, false, |header, _| header.csum_start = 13),
        (BadOffload::ChecksumOutside, true, |header, _| header.csum_start = u16::MAX),
        (BadOffload::Kind, false, |header, _| header.gso_type = 3),
        (BadOffload::Kind, false, |header, _| header.gso_type = 0x85),
        (BadOffload::OtherProtocol, false, |header, _| header.gso_type = 1),
        (BadOffload::OtherProtocol, true, |header, _| header.gso_type = 4),
        (BadOffload::OtherProtocol, false, |_, frame| frame[23] = 6),
        (BadOffload::OtherProtocol, false, |_, frame| frame[23] = 136), // UDP-Lite
        (BadOffload::NoChecksum, true, |header, _| header.flags = 0),
        (BadOffload::NoSize, true, |header, _| header.gso_size = 0),
        (BadOffload::OtherChecksum, false, |header, _| header.csum_start += 8),
        (BadOffload::OtherChecksum, true, |header, _| header.csum_offset = 16),
        (BadOffload::Uncuttable, false, |_, frame| frame[20] |= 0x20),
        (BadOffload::Uncuttable, true, |_, frame| frame[20] = 44),
        (BadOffload::Headers, false, |header, frame| {
            header.csum_offset = 4;
            frame.truncate(41);
        }),
        (BadOffload::TooLong, true, |header, frame| {
            header.gso_size = u16::MAX;
            frame.resize(70_000, 0);
        }),
    ];
    for (nth, (bad, v6, break_it)) in cases.iter().enumerate() {
        let (mut header, mut frame) = Sender { udp: true, ..plain(*v6) }.super_frame(&[3; 2000], 1000);
        break_it(&mut header, &mut frame);
        let front = &frame[..frame.len().min(HEADERS_MAX)];
        assert_eq!(Offload::of(&header, front, frame.len()), Err(*bad), "case {nth}");
    }
}

#[test]
fn segments_that_are_too_short_are_padded_behind_their_packets() {
    for (v6, udp) in [(false, false), (false, true), (true, true)] {
        let sender = Sender { udp, ..plain(v6) };
        for (len, size) in [(10, 5), (4, 2), (0, 5), (25, 20), (9, 4)] {
            let payload = vec![7; len];
            let (header, frame) = sender.super_frame(&payload, size as u16);
            let mut all = Vec::new();
            let mut finisher = Finisher::default();
            let finished = finisher.frame(&header, frame.len(), |to| to.copy_from_slice(&frame)).unwrap();
            finished.batches(60, |batch| all.extend(batch.iter().map(|(head, body)| [*head, body].concat())));
            let mut wanted = sender.segments(&payload, size);
            wanted.iter_mut().for_each(|one| one.resize(one.len().max(60), 0));
            assert_eq!(all, wanted);
        }
    }
}

#[test]
fn a_datagram_whose_checksum_comes_out_as_zero_has_the_other_zero() {
    for v6 in [false, true] {
        let sender = Sender { udp: true, ..plain(v6) };
        let field = sender.places().0 + 6;
        // What two octets of zero have as their checksum is what makes it zero in their place.
        let checksum = sender.frame(0, 0, 0, &[0; 2], true)[field..field + 2].to_vec();
        let payload = [&[7, 7], &checksum[..], &[0, 0]].concat();
        let (header, frame) = sender.super_frame(&payload, 2);
        let all = cut(&header, &frame, 0).unwrap();
        assert_eq!(all[1][field..field + 2], [0xff, 0xff]);
        assert_eq!(all, sender.segments(&payload, 2));
        let one = sender.frame(0, 0, 0, &checksum, false);
        assert_eq!(
            finish(&mut Finisher::default(), &sender.unfinished(), &one),
            [sender.frame(0, 0, 0, &checksum, true)]
        );
    }
}

#[test]
fn headers_longer_than_the_limit_are_refused_and_those_of_its_length_are_not() {
    // 14 + 40 + 11 * 16 + 20 = 250; six octets are missing, and the next extension header needs eight.
    for (extensions, fits) in [(11, true), (12, false)] {
        let sender = Sender { extensions: vec![(60, 1); extensions], ..plain(true) };
        let (header, frame) = sender.super_frame(&[1; 3000], 1400);
        let of = Offload::of(&header, &frame[..HEADERS_MAX], frame.len());
        assert_eq!(of.is_ok(), fits, "{of:?}");
        assert!(fits || of == Err(BadOffload::Headers));
    }
}

#[test]
fn udp_never_says_that_it_has_no_checksum() {
    // Ports and length whose sum is 0xffff: the checksum would be zero.
    let mut frame = vec![0; 14];
    frame.extend([0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    let header = NetHeader { flags: 1, csum_start: 14, csum_offset: 6, ..NetHeader::default() };
    let Ok(Some(Offload::Checksum(checksum))) = Offload::of(&header, &frame, frame.len()) else { panic!() };
    checksum.complete(&mut frame);
    assert_eq!(frame[20..], [0xff, 0xff]);
}
