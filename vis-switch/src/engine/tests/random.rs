//! Random frames at random ports: nothing is lost without a name, and nothing illegal comes out.

use super::*;
use proptest::prelude::*;
use vntag::ethernet::be16;

/// Frames near the legal ones, and plain noise.
pub(super) fn frames() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![6 => 4u32..10, 1 => any::<u32>(), 1 => (0u32..32).prop_map(|bit| 5 | 1 << bit)];
    let address = prop_oneof![4 => (0u8..6).prop_map(mac), 1 => Just(BROADCAST), 1 => any::<[u8; 6]>()];
    let tci = prop::option::of(prop_oneof![Just(0u16), Just(10), Just(20), any::<u16>()]);
    let made = (any::<bool>(), word, address.clone(), address, tci, 12usize..90, any::<bool>()).prop_map(
        |(vntag, word, to, from, tci, len, whole)| {
            let mut frame = host_frame(to, from, tci);
            if vntag {
                frame = tagged(word, &frame);
            }
            frame.truncate(if whole { usize::MAX } else { len });
            frame
        },
    );
    prop_oneof![8 => made, 1 => prop::collection::vec(any::<u8>(), 0..100)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_comes_in_what_goes_out_is_legal(frames in prop::collection::vec((0usize..4, frames()), 1..60)) {
        let mut rig = Rig::new(campus());
        for (port, frame) in frames {
            for (out_port, out) in rig.send(port, &frame) {
                let tag = be16(&out, 12);
                if out_port == LINK0 || out_port == LINK1 {
                    prop_assert_eq!(tag, Some(0x8926));
                    let word = Vntag::from_word(u32::from_be_bytes([out[14], out[15], out[16], out[17]]));
                    prop_assert!(word.d() && !word.r() && word.ver() == 0);
                    prop_assert!(word.p() || word.dst_vif() <= 0xfff);
                    prop_assert_eq!(word.l(), out_port == port, "looped exactly on the way back");
                    prop_assert_eq!(word.l(), word.src_vif() != 0);
                    prop_assert!(word.p() || word.dst_vif() != word.src_vif());
                    prop_assert_eq!(be16(&out, 18), Some(0x8100), "downward frames carry their VLAN");
                    prop_assert!((1..=4094).contains(&(be16(&out, 20).unwrap() & 0xfff)));
                } else {
                    prop_assert!(out_port != port);
                    prop_assert!(out.len() >= 60);
                    prop_assert!(!matches!(tag, Some(0x8926 | 0x893f)));
                }
            }
        }
        prop_assert!(rig.counters.balance().holds());
    }
}
