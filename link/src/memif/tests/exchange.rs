//! Frames that go back in the buffers they came in, against a model that is a queue of octets for each ring.

use super::rings::ends_of;
use super::*;
use crate::frame::{Gather, Seg};
use crate::memif::fault::Fault;
use crate::memif::queues::Rings;
use crate::memif::ring::{Desc, NEXT, Ring, SHORT};
use proptest::prelude::*;
use std::collections::VecDeque;

const LOG2: u8 = 4;
const BUFFER: u32 = 256;

/// What the server does with a frame that came in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// Sends it back, by this ring, with so many octets of it replaced.
    Back(usize, usize),
    /// Sends a copy back and then the frame itself.
    Twice(usize),
    /// Sends it back as octets of its own.
    Copy(usize),
    Drop,
}

#[derive(Clone, Debug)]
enum Step {
    /// The client sends frames of these lengths by this ring.
    Send(usize, Vec<usize>),
    /// The server takes what is in this ring.
    Switch(usize, Vec<Way>),
    /// The client takes at most so many from this ring and is done with this share of them.
    Receive(usize, usize, prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![4 => 30usize..=128, 2 => 129usize..=256, 2 => 257usize..1500];
    let way = prop_oneof![
        4 => (0usize..3, 0usize..30).prop_map(|(ring, head)| Way::Back(ring, head)),
        1 => (0usize..3).prop_map(Way::Twice),
        1 => (0usize..3).prop_map(Way::Copy),
        1 => Just(Way::Drop),
    ];
    prop_oneof![
        (0usize..3, prop::collection::vec(length, 0..12)).prop_map(|(ring, frames)| Step::Send(ring, frames)),
        (0usize..3, prop::collection::vec(way, 64)).prop_map(|(ring, ways)| Step::Switch(ring, ways)),
        (0usize..3, 0usize..20, any::<prop::sample::Index>())
            .prop_map(|(r, max, share)| Step::Receive(r, max, share)),
    ]
}

/// The server's visit to one ring. Says what it gave back.
fn switch(server: &mut Rings, from: usize, ways: &[Way], back: &mut [VecDeque<Vec<u8>>]) -> usize {
    let (rx, tx) = (&mut server.rx[from].0, &mut server.tx);
    let mut burst = RxBurst::new();
    rx.recv(BURST, &mut burst).unwrap();
    for (frame, way) in burst.iter().zip(ways) {
        let rings = tx.len();
        let mut give = |ring: usize, out: OutFrame<'_>| {
            let whole = out.to_vec();
            let (taken, result) = tx[ring % rings].send(&[out]);
            assert_eq!((taken.refused, result), (0, Ok(())));
            if taken.frames == 1 {
                back[ring % rings].push_back(whole);
            }
        };
        let octets = frame.data.to_vec();
        match *way {
            Way::Back(ring, head) => {
                let head: Vec<u8> = octets[..head].iter().map(|octet| !octet).collect();
                let body = frame.data.skip(head.len()).lent_as(frame.data.lent());
                give(ring, OutFrame::complete(&head, body));
            }
            Way::Twice(ring) => {
                let body = frame.data.skip(20);
                give(ring, OutFrame::complete(&octets[..20], body));
                give(ring + 1, OutFrame::complete(&octets[..20], body.lent_as(frame.data.lent())));
            }
            Way::Copy(ring) => {
                let body = Gather::one(Seg::from_slice(&octets[10..]));
                give(ring, OutFrame::complete(&octets[..10], body.lent_as(frame.data.lent())));
            }
            Way::Drop => {}
        }
    }
    let lent = burst.len();
    drop(burst);
    rx.release(lent);
    tx.iter_mut().map(|tx| tx.take_exchanged()).sum()
}

proptest! {
    #[test]
    fn what_goes_back_is_what_was_sent_back_and_no_buffer_is_lost(
        steps in prop::collection::vec(step(), 1..80), s2m in 1u16..4, m2s in 1u16..4
    ) {
        let (mut server, mut client, memory, layout) = ends_of(s2m, m2s, true, LOG2, BUFFER);
        let (ups, downs) = (usize::from(s2m), usize::from(m2s));
        let mut up: Vec<VecDeque<Vec<u8>>> = vec![VecDeque::new(); ups];
        let mut down: Vec<VecDeque<Vec<u8>>> = vec![VecDeque::new(); downs];
        let mut seed = 0;
        for step in steps {
            match step {
                Step::Send(ring, lengths) => {
                    let frames: Vec<Vec<u8>> = lengths.iter().map(|len| { seed += 1; frame(seed, *len) }).collect();
                    let out: Vec<_> = frames.iter().map(|frame| OutFrame::private(frame)).collect();
                    let (taken, result) = client.tx[ring % ups].send(&out);
                    prop_assert_eq!((taken.refused, result), (0, Ok(())));
                    up[ring % ups].extend(frames.into_iter().take(taken.frames));
                }
                Step::Switch(ring, ways) => {
                    let ring = ring % ups;
                    let mut burst = RxBurst::new();
                    server.rx[ring].0.recv(BURST, &mut burst).unwrap();
                    let came: Vec<Vec<u8>> = burst.iter().map(|frame| frame.data.to_vec()).collect();
                    prop_assert!(came.iter().eq(up[ring].iter()), "the client's frames");
                    drop(burst);
                    up[ring].clear();
                    let exchanged = switch(&mut server, ring, &ways, &mut down);
                    prop_assert!(exchanged <= came.len());
                }
                Step::Receive(ring, max, share) => {
                    let ring = ring % downs;
                    let mut burst = RxBurst::new();
                    prop_assert_eq!(client.rx[ring].0.recv(max, &mut burst), Ok(()));
                    prop_assert_eq!(burst.len(), max.min(BURST).min(down[ring].len()));
                    for (got, want) in burst.iter().zip(&down[ring]) {
                        prop_assert_eq!(&got.data.to_vec(), want);
                        prop_assert!(got.data.lent().is_none());
                    }
                    let done = share.index(burst.len() + 1);
                    drop(burst);
                    client.rx[ring].0.release(done);
                    down[ring].drain(..done);
                }
            }
        }
        // At rest each buffer is somewhere, once.
        for ring in 0..ups {
            switch(&mut server, ring, &[Way::Drop; BURST], &mut down);
        }
        for rx in &mut client.rx {
            while { let mut burst = RxBurst::new(); rx.0.recv(BURST, &mut burst).unwrap(); let n = burst.len(); drop(burst); rx.0.release(n); n > 0 } {}
        }
        let mut buffers: Vec<u32> = Vec::new();
        for tx in &mut client.tx {
            tx.room(usize::MAX).unwrap();
            buffers.extend(tx.buffers());
        }
        for ring in s2m..s2m + m2s {
            let ring = Ring::new(Arc::clone(&memory), 0, layout.ring(ring), LOG2).unwrap();
            buffers.extend((0..1 << LOG2).map(|slot| ring.desc(slot).offset));
        }
        buffers.sort_unstable();
        let all = (0..s2m + m2s).flat_map(|ring| (0..1 << LOG2).map(move |slot| layout.buffers(ring).own(slot)));
        prop_assert!(all.eq(buffers.iter().copied()), "{:?}", buffers);
    }
}

/// One frame of so many octets up, and whether it came back without a copy.
fn goes_round(server: &mut Rings, client: &mut Rings, len: usize) -> bool {
    let sent = frame(len, len);
    assert_eq!(client.tx[0].send(&[OutFrame::private(&sent)]).0.frames, 1);
    let mut back = [VecDeque::new()];
    let exchanged = switch(server, 0, &[Way::Back(0, 12)], &mut back);
    let mut burst = RxBurst::new();
    client.rx[0].0.recv(BURST, &mut burst).unwrap();
    assert_eq!(burst[0].data.to_vec(), back[0][0]);
    drop(burst);
    client.rx[0].0.release(1);
    exchanged == 1
}

#[test]
fn frames_that_are_not_short_go_back_uncopied_where_both_announced_it() {
    for announced in [false, true] {
        let (mut server, mut client, ..) = ends_of(1, 1, announced, 6, 2048);
        for len in [12, 60, SHORT as usize, 129, 1514, 2048, 2049, 65_000] {
            for _ in 0..70 {
                let long = len > SHORT as usize;
                assert_eq!(goes_round(&mut server, &mut client, len), announced && long, "{len}");
            }
        }
    }
}

#[test]
fn few_buffers_go_round_where_few_frames_are_under_way() {
    let (mut server, mut client, memory, layout) = ends_of(1, 1, true, 6, 2048);
    let ring = Ring::new(memory, 0, layout.ring(0), 6).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for slot in 0..1000u16 {
        let sent = frame(1, 1000);
        assert_eq!(client.tx[0].send(&[OutFrame::private(&sent)]).1, Ok(()));
        seen.insert(ring.desc(slot).offset);
        switch(&mut server, 0, &[Way::Back(0, 12)], &mut [VecDeque::new()]);
        let mut burst = RxBurst::new();
        client.rx[0].0.recv(BURST, &mut burst).unwrap();
        drop(burst);
        client.rx[0].0.release(1);
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn a_server_that_gives_what_is_no_buffer_is_found_out() {
    let (mut server, mut client, memory, layout) = ends_of(1, 1, true, LOG2, BUFFER);
    let m2s = Ring::new(Arc::clone(&memory), 0, layout.ring(1), LOG2).unwrap();
    assert!(goes_round(&mut server, &mut client, 200));
    let good = layout.buffers(0).empty(3);
    m2s.set_desc(1, Desc { length: 200, offset: good.offset + 64, ..good });
    m2s.set_tail(2);
    let mut burst = RxBurst::new();
    assert_eq!(client.rx[0].0.recv(BURST, &mut burst), Err(Fault::BadDescriptorBounds));
    drop(burst);

    // A short place of another slot.
    let (mut server, mut client, memory, layout) = ends_of(1, 1, true, LOG2, BUFFER);
    let m2s = Ring::new(Arc::clone(&memory), 0, layout.ring(1), LOG2).unwrap();
    assert!(goes_round(&mut server, &mut client, 200));
    m2s.set_desc(1, Desc { length: 60, offset: layout.buffers(1).short(2), ..good });
    m2s.set_tail(2);
    let mut burst = RxBurst::new();
    assert_eq!(client.rx[0].0.recv(BURST, &mut burst), Err(Fault::BadDescriptorBounds));
    drop(burst);

    let (mut server, mut client, memory, layout) = ends_of(1, 1, true, LOG2, BUFFER);
    let s2m = Ring::new(memory, 0, layout.ring(0), LOG2).unwrap();
    assert!(goes_round(&mut server, &mut client, 200));
    assert_eq!(client.tx[0].send(&[OutFrame::private(&[1; 200])]).1, Ok(()));
    s2m.set_desc(1, Desc { offset: 0, metadata: 64, flags: NEXT, ..good });
    s2m.set_tail(2);
    assert_eq!(client.tx[0].room(usize::MAX), Err(Fault::BadDescriptorBounds));
    assert_eq!(client.tx[0].send(&[OutFrame::private(&[1; 200])]).0.frames, 0);

    // It gives one buffer twice: garbled frames on its own link, and nothing worse.
    let (mut server, mut client, memory, layout) = ends_of(1, 1, true, LOG2, BUFFER);
    let m2s = Ring::new(memory, 0, layout.ring(1), LOG2).unwrap();
    for slot in 0..200u16 {
        m2s.set_desc(slot, Desc { length: 200, metadata: 0, ..good });
        m2s.set_tail(slot + 1);
        let mut burst = RxBurst::new();
        assert_eq!(client.rx[0].0.recv(BURST, &mut burst), Ok(()));
        drop(burst);
        client.rx[0].0.release(1);
        let _ = client.tx[0].send(&[OutFrame::private(&[1; 200])]);
        switch(&mut server, 0, &[Way::Drop; BURST], &mut [VecDeque::new()]);
    }
}
