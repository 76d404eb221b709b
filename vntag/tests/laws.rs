//! Laws of the library: every field over all its values, tags in and out, refusals, the fifteen frames.

mod common;

use common::vectors::{VECTORS, Vector};
use proptest::prelude::*;
use vntag::check::{self, Violation, Violations};
use vntag::{Direction, Etag, Fault, Head, Headers, NivTag, VlanTag, Vntag, splice};

const BACKGROUNDS: [u64; 4] = [0, u64::MAX, 0x5555_5555_5555_5555, 0x0f1e_2d3c_4b5a_6978];

/// Duality and isolation of one field: after `with(v)`, `get` gives `v` and no bit outside `mask` has moved.
macro_rules! field_law {
    ($values:expr, $mask:expr, $of:expr, $bits:expr, $with:ident, $get:ident) => {
        for background in BACKGROUNDS {
            let before = $of(background);
            for value in $values {
                let after = before.$with(value);
                assert_eq!(after.$get(), value, stringify!($with));
                assert_eq!($bits(after) & !$mask, $bits(before) & !$mask, stringify!($with));
            }
        }
    };
}

#[test]
fn every_vntag_field_is_dual_and_isolated() {
    let of = |bits: u64| Vntag::from_word(bits as u32);
    let bits = |tag: Vntag| tag.word();
    field_law!([false, true], 1_u32 << 31, of, bits, with_d, d);
    field_law!([false, true], 1_u32 << 30, of, bits, with_p, p);
    field_law!(0..1 << 14, 0x3fff_u32 << 16, of, bits, with_dst_vif, dst_vif);
    field_law!([false, true], 1_u32 << 15, of, bits, with_l, l);
    field_law!([false, true], 1_u32 << 14, of, bits, with_r, r);
    field_law!(0..4, 3_u32 << 12, of, bits, with_ver, ver);
    field_law!(0..1 << 12, 0xfff_u32, of, bits, with_src_vif, src_vif);
}

#[test]
fn every_etag_field_is_dual_and_isolated() {
    let of = |bits: u64| {
        let [_, _, octets @ ..] = bits.to_be_bytes();
        Etag::from_bytes(octets)
    };
    let bits = |tag: Etag| {
        let [a, b, c, d, e, f] = tag.to_bytes();
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    };
    field_law!(0..8, 7_u64 << 45, of, bits, with_pcp, pcp);
    field_law!([false, true], 1_u64 << 44, of, bits, with_dei, dei);
    field_law!(0..1 << 20, 0xfff_u64 << 32 | 0xff00, of, bits, with_ingress_ecid, ingress_ecid);
    field_law!(0..4, 3_u64 << 30, of, bits, with_reserved, reserved);
    field_law!(0..4, 3_u64 << 28, of, bits, with_grp, grp);
    field_law!(0..1 << 20, 0xfff_u64 << 16 | 0xff, of, bits, with_ecid, ecid);
}

#[test]
fn values_too_wide_lose_their_high_bits_and_touch_no_other_field() {
    assert_eq!(Vntag::default().with_dst_vif(0xffff).word(), 0x3fff_0000);
    assert_eq!(Vntag::default().with_ver(0xff).word(), 0x3000);
    assert_eq!(Vntag::default().with_src_vif(0xffff).word(), 0xfff);
    assert_eq!(Etag::default().with_ecid(u32::MAX).to_bytes(), [0, 0, 0x0f, 0xff, 0, 0xff]);
    assert_eq!(Etag::default().with_ingress_ecid(u32::MAX).to_bytes(), [0x0f, 0xff, 0, 0, 0xff, 0]);
    assert_eq!(Etag::default().with_pcp(0xff).with_grp(0xff).to_bytes(), [0xe0, 0, 0x30, 0, 0, 0]);
}

#[test]
fn every_vlan_tag_is_its_fields() {
    for tci in 0..=u16::MAX {
        let tag = VlanTag(tci);
        assert_eq!(VlanTag::new(tag.vid(), tag.pcp(), tag.dei()), tag);
        assert_eq!(VlanTag::parse(&tag.to_bytes(), 0), Some(tag));
        assert_eq!(tag.with_vid(7), VlanTag::new(7, tag.pcp(), tag.dei()));
    }
}

#[test]
fn every_legal_tag_survives_emit_and_parse() {
    fn there_and_back<T: NivTag>(channels: std::ops::Range<u32>, lists: std::ops::Range<u32>) {
        use vntag::{DownTag, Target, UpTag};
        let mut out = vec![0; T::LEN + 2];
        for source in channels.clone() {
            T::emit_up(UpTag { source }, &mut out);
            assert_eq!(T::parse_up(&out, 0), Ok(UpTag { source }));
        }
        let targets = channels.map(Target::Channel).chain(lists.map(Target::List));
        for (target, looped) in targets.flat_map(|target| [None, Some(5)].map(|looped| (target, looped))) {
            let tag = DownTag { target, looped };
            T::emit_down(tag, &mut out);
            assert_eq!(T::parse_down(&out, 0), Ok(tag));
        }
    }
    there_and_back::<Vntag>(1..0xfff, 1..1 << 14);
    there_and_back::<Etag>(1..1 << 20, 1 << 20..1 << 22);
}

#[test]
fn every_truncation_of_a_tag_is_refused() {
    fn truncated<T: NivTag>() {
        let whole = vec![0; T::LEN + 2];
        for len in 0..whole.len() {
            let fault = if len < T::LEN { Fault::Truncated } else { Fault::NoInnerType };
            assert_eq!(T::parse_up(&whole[..len], 0), Err(fault), "{len} octets");
            assert_eq!(T::parse_down(&whole[..len], 0), Err(fault), "{len} octets");
        }
        assert_eq!(T::parse_up(&whole, usize::MAX), Err(Fault::Truncated));
    }
    truncated::<Vntag>();
    truncated::<Etag>();
}

#[test]
fn a_head_refuses_what_does_not_fit_and_stays_as_it_was() {
    let mut head = Head::default();
    for len in 0..12 {
        head.load(|room| {
            room[..len].fill(1);
            len
        });
        assert!(!head.insert(&[0; 6]) && !head.remove(0), "{len} octets have no addresses");
        assert_eq!(head.bytes(), vec![1; len]);
    }
    head.load(|room| room[..14].len());
    assert!(head.insert(&[9; 16]), "the headroom");
    assert!(!head.insert(&[9]), "no more than the headroom");
    assert!(!head.remove(19) && !head.remove(usize::MAX), "no more than there is");
    assert!(head.remove(16));
    assert_eq!(head.bytes().len(), 14);
}

fn names(found: Violations) -> Vec<&'static str> {
    found.iter().map(Violation::name).collect()
}

#[test]
fn the_fifteen_frames_break_exactly_these_lines() {
    for (number, vector) in (1..).zip(VECTORS) {
        let frame = vector.frame();
        assert_eq!(names(check::up(&frame, frame.len())), vector.up, "up {number}: {}", vector.about);
        assert_eq!(names(check::down(&frame, frame.len())), vector.down, "down {number}: {}", vector.about);
    }
}

/// Cases that the fifteen frames leave out: hexadecimal, lines upward, lines downward.
const MORE: &[(&str, &[&str], &[&str])] = &[
    ("", &["V1"], &["I7"]),
    ("525400000002 525400000001 89", &["V1"], &["I7"]),
    ("525400000002 525400000001 0800", &["V1"], &["I7"]),
    // Source address: group, zero; with and without a tag.
    ("525400000002 010000000001 8926 00000005 0800", &["V20"], &["I9", "I12"]),
    ("525400000002 000000000000 0800", &["V1", "V20"], &["I7"]),
    // Source never assigned.
    ("525400000002 525400000001 8926 00000fff 0800", &["V11"], &["I9", "I12"]),
    // Hidden behind the inner 802.1Q tag; VLAN 0xfff.
    ("525400000002 525400000001 8926 00000005 8100000a 8926", &["V25"], &["I9", "I12"]),
    ("525400000002 525400000001 8926 00000005 81000fff 893f", &["V18", "V25"], &["I9", "I12"]),
    ("525400000002 525400000001 8926 00000005 893f", &["V25"], &["I9", "I12"]),
    // After one or two VLAN tags.
    ("525400000002 525400000001 88a8000a 81000001 8926 00000005", &["V1", "V15"], &["I7", "I23"]),
    ("525400000002 525400000001 8100000a 893f", &["V1"], &["I7"]),
    // Control of the link itself, a neighbouring switch's own, and neither.
    ("0180c200000e 525400000001 88cc", &[], &[]),
    ("0180c200000e 525400000001 88b5", &[], &[]),
    ("0180c2000000 525400000001 0026 424203", &["V29"], &["V29"]),
    ("01000ccccccc 525400000001 0020", &["V29"], &["V29"]),
    ("525400000001 525400000001 88cc", &["V1"], &["I7"]),
    // The tag lines of the way down.
    ("525400000002 525400000001 8926 80000000 0800", &["V5", "V11"], &["I12"]),
    ("525400000002 525400000001 8926 c0000000 0800", &["V5", "V6", "V11"], &["I14"]),
    ("525400000002 525400000001 8926 80058005 0800", &["V5", "V7", "V8"], &["I20"]),
    ("525400000002 525400000001 8926 80008000 0800", &["V5", "V7", "V11"], &["I12", "I20"]),
    ("525400000002 525400000001 8926 8fff0000 0800", &["V5", "V8", "V11"], &[]),
    ("525400000002 525400000001 8926 80050000 8926", &["V5", "V8", "V11", "V14"], &["I22"]),
];

#[test]
fn further_frames_break_exactly_these_lines() {
    for &(hex, up, down) in MORE {
        let frame = Vector { about: "", hex, json: "", up, down }.frame();
        assert_eq!(names(check::up(&frame, frame.len())), up, "up {hex}");
        assert_eq!(names(check::down(&frame, frame.len())), down, "down {hex}");
    }
}

#[test]
fn every_line_is_named_by_some_frame() {
    let named = |name| {
        let vectors = VECTORS.iter().flat_map(|vector| vector.up.iter().chain(vector.down));
        vectors.chain(MORE.iter().flat_map(|case| case.1.iter().chain(case.2))).any(|line| *line == name)
    };
    for line in Violation::ALL {
        assert!(named(line.name()), "{} has no case", line.name());
    }
}

#[test]
fn what_a_capture_cut_off_is_not_held_against_the_frame() {
    let whole = VECTORS[0].frame();
    for len in 0..whole.len() {
        assert_eq!(names(check::up(&whole[..len], whole.len())), [""; 0], "{len} octets captured");
    }
}

proptest! {
    #[test]
    fn a_tag_put_in_and_taken_out_leaves_the_frame_as_it_was(
        frame in prop::collection::vec(any::<u8>(), 12..128),
        tag in prop::collection::vec(any::<u8>(), 0..=16),
    ) {
        let mut head = Head::default();
        head.load(|room| { room[..frame.len()].copy_from_slice(&frame); frame.len() });
        prop_assert!(head.insert(&tag));
        let mut copied = vec![0xa5; frame.len() + tag.len()];
        prop_assert_eq!(splice::copy_with(&frame, &tag, &mut copied), Some(copied.len()));
        prop_assert_eq!(head.bytes(), &copied[..]);
        prop_assert_eq!(&copied[..12], &frame[..12]);
        prop_assert_eq!(&copied[12..12 + tag.len()], &tag[..]);
        prop_assert_eq!(&copied[12 + tag.len()..], &frame[12..]);

        prop_assert!(head.remove(tag.len()));
        let mut back = vec![0xa5; frame.len()];
        prop_assert_eq!(splice::copy_without(&copied, tag.len(), &mut back), Some(frame.len()));
        prop_assert_eq!(head.bytes(), &frame[..]);
        prop_assert_eq!(back, frame);
    }

    #[test]
    fn copying_refuses_short_frames_and_short_rooms(
        frame in prop::collection::vec(any::<u8>(), 0..40),
        remove in 0_usize..40, tag in prop::collection::vec(any::<u8>(), 0..10), room in 0_usize..60,
    ) {
        let needed = (frame.len() >= 12 + remove).then(|| frame.len() - remove + tag.len());
        let expected = needed.filter(|needed| *needed <= room);
        prop_assert_eq!(splice::copy(&frame, remove, &tag, &mut vec![0; room]), expected);
    }

    #[test]
    fn a_vntag_converted_there_and_back_is_the_same(word: u32) {
        let tag = Vntag::from_word(word);
        if let Ok(etag) = tag.to_etag() {
            let direction = if tag.d() { Direction::Down } else { Direction::Up };
            prop_assert_eq!(etag.to_vntag(direction), Ok(tag));
        }
    }

    #[test]
    fn an_etag_converted_there_and_back_has_only_lost_its_priority(
        pcp in 0_u8..8, dei: bool, ingress in 0_u32..0x1800, grp in 0_u8..4, ecid in 0_u32..0x1800, down: bool,
    ) {
        let tag = Etag::default().with_ingress_ecid(ingress).with_grp(grp).with_ecid(ecid);
        let direction = if down { Direction::Down } else { Direction::Up };
        if let Ok(vntag) = tag.with_pcp(pcp).with_dei(dei).to_vntag(direction) {
            prop_assert_eq!(vntag.to_etag(), Ok(tag));
        }
    }

    #[test]
    fn no_octets_make_the_library_panic(frame in prop::collection::vec(any::<u8>(), 0..80), at: usize) {
        let at = at % 90;
        let headers = Headers::parse(&frame);
        prop_assert!(headers.at >= 12);
        let _ = (check::up(&frame, frame.len()), check::down(&frame, frame.len()));
        let _ = (Vntag::parse_up(&frame, at), Vntag::parse_down(&frame, at));
        let _ = (Etag::parse_up(&frame, at), Etag::parse_down(&frame, at));
    }
}
