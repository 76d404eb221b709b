//! Random frames that are wrong in interesting ways more often than chance would make them.

use proptest::prelude::*;

/// A stack of headers and a payload; stations and VIFs are few, so that they meet.
pub fn frames() -> impl Strategy<Value = Vec<u8>> {
    let header = prop_oneof![
        4 => words().prop_map(|word| [&[0x89, 0x26][..], &word.to_be_bytes()].concat()),
        6 => (prop_oneof![8 => Just(0x8100u16), 1 => Just(0x88a8), 1 => Just(0x9100)], tci())
            .prop_map(|(tpid, tci)| [tpid.to_be_bytes(), tci.to_be_bytes()].concat()),
        1 => any::<[u8; 6]>().prop_map(|tci| [&[0x89, 0x3f][..], &tci].concat()),
    ];
    let kind = prop_oneof![
        8 => Just(0x0800u16), 2 => Just(0x0806), 1 => Just(0x88cc), 1 => Just(0x8808), 1 => Just(0x8809), 1 => Just(0x88b5),
        1 => 0u16..1501, 1 => Just(0x8926), 1 => any::<u16>()
    ];
    let size = prop_oneof![20 => 0usize..70, 2 => 1480usize..1530, 1 => Just(9000)];
    let cut = prop_oneof![12 => Just(usize::MAX), 1 => 0usize..40];
    (addresses(), prop::collection::vec(header, 0..4), kind, size, any::<u8>(), cut).prop_map(
        |(addresses, headers, kind, size, fill, cut)| {
            let mut frame = [addresses, headers.concat(), kind.to_be_bytes().to_vec()].concat();
            let mut payload: Vec<u8> = (0..size).map(|n| fill.wrapping_add(n as u8)).collect();
            if fill % 2 == 0 {
                like_ipv4(&mut payload, fill);
            }
            frame.extend(payload);
            frame.truncate(cut);
            frame
        },
    )
}

/// A frame with one VNTag as the other end of a link would send it, nearly always a right one.
pub fn tagged(word: impl Strategy<Value = u32>) -> impl Strategy<Value = Vec<u8>> {
    let inner = prop_oneof![8 => tci().prop_map(Some), 1 => Just(None)];
    (addresses(), word, inner, 0usize..70, any::<u8>()).prop_map(|(addresses, word, inner, size, seed)| {
        let mut frame = [addresses, vec![0x89, 0x26], word.to_be_bytes().to_vec()].concat();
        if let Some(tci) = inner {
            frame.extend([0x81, 0x00]);
            frame.extend(tci.to_be_bytes());
        }
        frame.extend([8, 0]);
        let mut payload: Vec<u8> = (0..size).map(|n| n as u8).collect();
        like_ipv4(&mut payload, seed);
        frame.extend(payload);
        frame
    })
}

/// Makes of a payload the beginning of a TCP or UDP packet, or nearly.
fn like_ipv4(payload: &mut [u8], seed: u8) {
    let version = if seed < 16 { seed } else { 0x45 };
    let length = if seed < 240 { [0, 200] } else { [0, seed - 236] };
    let protocol = [6, 17, 1][usize::from(seed % 3)];
    for (at, octet) in [(0, version), (2, length[0]), (3, length[1]), (9, protocol)] {
        payload.get_mut(at).into_iter().for_each(|place| *place = octet);
    }
}

/// An untagged frame that belongs to the link itself, or nearly.
pub fn control() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![4 => Just(0x88ccu16), 4 => Just(0x88b5), 1 => Just(0x8808), 1 => Just(0x8809), 1 => Just(0x88b6)];
    let size = prop_oneof![10 => 0usize..70, 1 => 2030usize..2040];
    (0u8..17, 1u8..7, kind, size).prop_map(|(last, station, kind, size)| {
        let mut frame = vec![1, 0x80, 0xc2, 0, 0, last, 0x52, 0x54, 0, 0, 0, station];
        frame.extend(kind.to_be_bytes());
        frame.extend((0..size).map(|n| n as u8));
        frame
    })
}

/// Words whose fields are small, each sometimes wrong.
pub fn words() -> impl Strategy<Value = u32> {
    let rare = || prop::bool::weighted(0.05);
    (any::<bool>(), any::<bool>(), 0u32..10, any::<bool>(), rare(), 0u32..10, rare(), rare()).prop_map(
        |(d, p, dst, l, r, src, version, high)| {
            let bit = |set: bool, at: u32| u32::from(set) << at;
            bit(d, 31)
                | bit(p, 30)
                | dst << 16
                | bit(l, 15)
                | bit(r, 14)
                | src
                | bit(version, 12)
                | bit(high, 28)
        },
    )
}

fn tci() -> impl Strategy<Value = u16> {
    let vid = prop_oneof![10 => 0u16..5, 4 => 100u16..104, 1 => Just(0xfff), 1 => 0u16..0x1000];
    (vid, 0u16..16).prop_map(|(vid, priority)| priority << 12 | vid)
}

/// Destination and source of few stations, and the special ones.
pub fn addresses() -> impl Strategy<Value = Vec<u8>> {
    let station = || (1u8..7).prop_map(|n| vec![0x52, 0x54, 0, 0, 0, n]);
    let special = prop_oneof![
        4 => Just(vec![0xff; 6]),
        1 => Just(vec![1, 0, 0x5e, 0, 0, 1]),
        1 => (0u8..20).prop_map(|n| vec![1, 0x80, 0xc2, 0, 0, n]),
        1 => (0xcbu8..0xcf).prop_map(|n| vec![1, 0, 0x0c, 0xcc, 0xcc, n]),
        1 => Just(vec![0; 6]),
    ];
    let source = prop_oneof![20 => station(), 1 => Just(vec![0; 6]), 1 => Just(vec![0xff; 6]), 1 => Just(vec![1, 0, 0x5e, 0, 0, 1])];
    (prop_oneof![3 => station(), 1 => special], source)
        .prop_map(|(destination, source)| [destination, source].concat())
}
