//! Laws of the rings, against a model that is a queue of frames.

use super::*;
use crate::memif::control::{accept_offer, make_offer, open_offer};
use crate::memif::fault::Fault;
use crate::memif::handshake::{Offer, Plan, RingOffer};
use crate::memif::layout::Layout;
use crate::memif::queues::Rings;
use crate::memif::region::Memory;
use crate::memif::ring::{Desc, Ring, SHORT};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

fn copy(offer: &Offer<OwnedFd>) -> Offer<OwnedFd> {
    let rings = |rings: &[RingOffer<OwnedFd>]| {
        let copy = |ring: &RingOffer<OwnedFd>| RingOffer {
            eventfd: ring.eventfd.try_clone().unwrap(),
            region: ring.region,
            offset: ring.offset,
            log2_ring_size: ring.log2_ring_size,
        };
        rings.iter().map(copy).collect()
    };
    let regions = offer.regions.iter().map(|(fd, size)| (fd.try_clone().unwrap(), *size)).collect();
    Offer { regions, s2m: rings(&offer.s2m), m2s: rings(&offer.m2s), extensions: offer.extensions }
}

/// Both ends without a socket: server, client.
fn ends(log2_ring_size: u8, buffer_size: u32) -> (Rings, Rings) {
    ends_that(false, log2_ring_size, buffer_size)
}

/// The same, where both announced unfinished frames or not.
fn ends_that(unfinished: bool, log2_ring_size: u8, buffer_size: u32) -> (Rings, Rings) {
    let plan = Plan { s2m: 1, m2s: 1, log2_ring_size };
    let (mut offer, memory, layout) = make_offer(plan, buffer_size).unwrap();
    offer.extensions.unfinished = unfinished;
    let server = accept_offer(copy(&offer)).unwrap();
    (server, open_offer(offer, &memory, &layout).unwrap())
}

/// Both ends with so many rings, where both announced that they exchange or not; and the client's memory.
pub(super) fn ends_of(
    s2m: u16,
    m2s: u16,
    exchange: bool,
    log2_ring_size: u8,
    buffer_size: u32,
) -> (Rings, Rings, Arc<Memory>, Layout) {
    let plan = Plan { s2m, m2s, log2_ring_size };
    let (mut offer, memory, layout) = make_offer(plan, buffer_size).unwrap();
    (offer.extensions.unfinished, offer.extensions.exchange) = (true, exchange);
    let server = accept_offer(copy(&offer)).unwrap();
    let client = open_offer(offer, &memory, &layout).unwrap();
    (server, client, memory, layout)
}

#[derive(Clone, Debug)]
enum Step {
    /// Offer a burst of frames of these lengths.
    Send(Vec<usize>),
    /// Take at most this many, release this share of them.
    Receive(usize, prop::sample::Index),
    /// Ask whether so many fit.
    Ask(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![4 => 1usize..64, 2 => 1usize..300, 1 => 1usize..1200];
    prop_oneof![
        prop::collection::vec(length, 0..20).prop_map(Step::Send),
        (0usize..30, any::<prop::sample::Index>()).prop_map(|(max, share)| Step::Receive(max, share)),
        (0usize..40).prop_map(Step::Ask),
    ]
}

proptest! {
    #[test]
    fn frames_come_out_once_in_order_and_whole(
        steps in prop::collection::vec(step(), 1..60), log2 in 1u8..6, buffer in prop::sample::select(vec![64usize, 200]),
        up in any::<bool>(), unfinished in any::<bool>(), start in any::<u16>()
    ) {
        let (mut server, mut client) = ends_that(unfinished, log2, buffer as u32);
        let (tx, rx) = if up {
            (&mut client.tx[0], &mut server.rx[0].0)
        } else {
            (&mut server.tx[0], &mut client.rx[0].0)
        };
        // Somewhere in the life of the ring, so that indices wrap.
        for _ in 0..start % 97 {
            prop_assert_eq!(tx.send(&[OutFrame::private(&[1; 60])]).0.frames, 1);
            let mut burst = RxBurst::new();
            rx.recv(BURST, &mut burst).unwrap();
            drop(burst);
            rx.release(1);
        }
        let size = 1usize << log2;
        let slots = |len: usize| len.div_ceil(buffer).max(1);
        let mut inside: VecDeque<Vec<u8>> = VecDeque::new();
        let mut seed = 0;
        for step in steps {
            match step {
                Step::Send(lengths) => {
                    let frames: Vec<Vec<u8>> = lengths.iter().map(|len| { seed += 1; frame(seed, *len) }).collect();
                    let out: Vec<OutFrame<'_>> = frames.iter().map(|frame| {
                        let (head, body) = frame.split_at(frame.len() / 3);
                        OutFrame::complete(head, crate::Gather::one(crate::Seg::from_slice(body)))
                    }).collect();
                    let (taken, result) = tx.send(&out);
                    prop_assert_eq!(result, Ok(()));
                    let (mut want, mut refused) = (0, 0);
                    let mut free = size - inside.iter().map(|frame| slots(frame.len())).sum::<usize>();
                    for frame in frames {
                        // A full ring says nothing about a frame; a free slot is needed to refuse it.
                        if free == 0 || (slots(frame.len()) > free && slots(frame.len()) <= size) {
                            break;
                        }
                        if slots(frame.len()) > size {
                            // The server sees how little the client posts only when all of it is free.
                            if !up && free < size { break; }
                            refused += 1;
                        } else {
                            free -= slots(frame.len());
                            inside.push_back(frame);
                        }
                        want += 1;
                    }
                    prop_assert_eq!((taken.frames, taken.refused), (want, refused));
                    prop_assert_eq!(tx.unread(), inside.len() as u64);
                }
                Step::Receive(max, share) => {
                    let mut burst = RxBurst::new();
                    prop_assert_eq!(rx.recv(max, &mut burst), Ok(()));
                    prop_assert_eq!(burst.len(), max.min(inside.len()));
                    for (got, want) in burst.iter().zip(&inside) {
                        prop_assert_eq!(&got.data.to_vec(), want);
                    }
                    let done = share.index(burst.len() + 1);
                    drop(burst);
                    rx.release(done);
                    inside.drain(..done);
                }
                Step::Ask(wanted) => {
                    let free = size - inside.iter().map(|frame| slots(frame.len())).sum::<usize>();
                    let room = tx.room(wanted).unwrap();
                    prop_assert!(room <= free && room >= wanted.min(free), "{} of {} free slots", room, free);
                }
            }
        }
    }
}

/// What is undone in a TCP super-frame: segments of 1,448 octets, TCP at 34.
const SUPER: Option<crate::Undone> = crate::Undone::from_bytes([1, 1, 0, 0, 0xa8, 5, 34, 0, 16, 0, 0, 0]);

#[test]
fn a_super_frame_crosses_whole_with_what_is_undone_in_it() {
    for up in [false, true] {
        let (mut server, mut client) = ends_that(true, 6, 2048);
        let (tx, rx) = if up {
            (&mut client.tx[0], &mut server.rx[0].0)
        } else {
            (&mut server.tx[0], &mut client.rx[0].0)
        };
        let whole: Vec<u8> = (0..65_000usize).map(|n| (n % 251) as u8).collect();
        let frames = [
            OutFrame::private(&whole[..60]),
            OutFrame { undone: SUPER, ..OutFrame::private(&whole) },
            OutFrame { undone: SUPER, ..OutFrame::private(&whole[..100]) },
            OutFrame::private(&whole[..5000]),
        ];
        // Twice round the ring: nothing stays in a descriptor that was used before.
        for _ in 0..8 {
            let (taken, result) = tx.send(&frames);
            assert_eq!((taken.frames, taken.refused, result), (4, 0, Ok(())));
            assert_eq!(tx.unread(), 4);
            let mut burst = RxBurst::new();
            rx.recv(BURST, &mut burst).unwrap();
            let got: Vec<_> = burst.iter().map(|frame| (frame.data.to_vec(), frame.undone)).collect();
            let want: Vec<_> = frames.iter().map(|frame| (frame.to_vec(), frame.undone)).collect();
            assert!(got == want);
            drop(burst);
            rx.release(4);
        }
    }
}

#[test]
fn a_peer_that_announced_nothing_gets_and_gives_no_unfinished_frame() {
    let (mut server, mut client) = ends(6, 2048);
    let bytes = [7; 100];
    let unfinished = OutFrame { undone: SUPER, ..OutFrame::private(&bytes) };
    for tx in [&mut client.tx[0], &mut server.tx[0]] {
        let (taken, result) = tx.send(&[unfinished, OutFrame::private(&bytes)]);
        assert_eq!((taken.frames, taken.refused, result), (2, 1, Ok(())));
    }
    // One end believes in it, the other one was never asked: its metadata is not read.
    let plan = Plan { s2m: 1, m2s: 1, log2_ring_size: 6 };
    let (mut offer, memory, layout) = make_offer(plan, 2048).unwrap();
    let mut server = accept_offer(copy(&offer)).unwrap();
    offer.extensions.unfinished = true;
    let mut client = open_offer(offer, &memory, &layout).unwrap();
    assert_eq!(client.tx[0].send(&[unfinished]).0.refused, 0);
    let mut burst = RxBurst::new();
    server.rx[0].0.recv(BURST, &mut burst).unwrap();
    assert_eq!((burst.len(), burst[0].undone), (1, None));
}

#[test]
fn a_place_for_short_frames_is_in_the_region_and_is_read_where_that_was_announced() {
    let plan = Plan { s2m: 1, m2s: 1, log2_ring_size: 3 };
    for unfinished in [false, true] {
        let (mut offer, memory, layout) = make_offer(plan, 256).unwrap();
        offer.extensions.unfinished = unfinished;
        let mut server = accept_offer(copy(&offer)).unwrap();
        let _client = open_offer(offer, &memory, &layout).unwrap();
        let ring = Ring::new(Arc::clone(&memory), 0, layout.ring(1), 3).unwrap();
        assert_eq!(ring.desc(0).metadata != 0, unfinished);
        let end = layout.octets() as u32;
        for (slot, place) in [(0, end - SHORT), (1, end - SHORT + 1)] {
            let usual = layout.buffers(1).empty(slot);
            ring.set_desc(slot, Desc { metadata: place, ..usual });
            let result = server.tx[0].send(&[OutFrame::private(&[slot as u8; 60])]).1;
            let beyond = unfinished && slot == 1;
            assert_eq!(result, if beyond { Err(Fault::BadDescriptorBounds) } else { Ok(()) });
            if !beyond {
                let sent = ring.desc(slot);
                let at = if unfinished { place } else { usual.offset };
                assert_eq!((sent.offset, sent.length, sent.metadata), (at, 60, 0));
            }
        }
    }
}
