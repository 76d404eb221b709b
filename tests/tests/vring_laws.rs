//! Laws of the vrings: what a virtual guest sends arrives once, in order, unchanged, whatever the shape of its
//! chains and however the bursts are cut; likewise towards the guest.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use link::{BURST, OutFrame, RxBurst};
use niv_lab::driver::{Features, VirtualNic};
use proptest::prelude::*;
use std::collections::VecDeque;

fn features() -> impl Strategy<Value = Features> {
    let size = (any::<bool>(), 0u32..4, 1u16..70);
    (any::<[bool; 6]>(), size, 1usize..8, 13usize..700).prop_map(
        |(
            [mergeable, indirect, event_idx, tx_apart, rx_apart, in_order],
            (packed, log, any),
            tx_pieces,
            rx_buffer,
        )| Features {
            mergeable,
            indirect,
            event_idx,
            packed,
            in_order,
            queue_size: if packed { any } else { 8 << log },
            rx_buffer: if mergeable { rx_buffer } else { 2048 },
            rx_header_apart: rx_apart,
            max_frame: 2036,
            tx_header_apart: tx_apart,
            tx_pieces,
            queue_pairs: 1,
            // A guest that may leave work to the device need not.
            offloads: tx_apart,
            takes: tx_apart,
            uso: rx_apart,
        },
    )
}

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<usize>),
    Visit { max: usize, take: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::collection::vec(0usize..2036, 0..20).prop_map(Step::Send),
        (0..=BURST, 0..=BURST).prop_map(|(max, take)| Step::Visit { max, take }),
    ]
}

fn frame(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ number ^ (number >> 8)) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn frames_from_the_guest_arrive_once_in_order(features in features(), steps in prop::collection::vec(step(), 1..120)) {
        let (mut driver, mut rx, _tx) = VirtualNic::ends(features).unwrap();
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        let (mut number, mut back) = (0, 0);
        for step in steps.into_iter().chain(std::iter::repeat_n(Step::Visit { max: BURST, take: BURST }, 4)) {
            match step {
                Step::Send(lens) => {
                    for len in lens {
                        let bytes = frame(number, len);
                        if driver.queue(&bytes) {
                            model.push_back(bytes);
                            number += 1;
                        }
                    }
                    driver.flush();
                }
                Step::Visit { max, take } => {
                    let mut burst = RxBurst::new();
                    rx.recv(0, max, &mut burst);
                    prop_assert!(burst.len() <= max);
                    prop_assert!(burst.len() == model.len().min(max) || features.tx_pieces > 1);
                    for (got, want) in burst.iter().zip(&model) {
                        prop_assert_eq!(&got.data.to_vec(), want);
                    }
                    let taken = take.min(burst.len());
                    drop(burst);
                    rx.release(taken);
                    model.drain(..taken);
                    back += driver.reclaim();
                }
            }
        }
        prop_assert!(model.is_empty());
        prop_assert_eq!(back + driver.reclaim(), back);
    }

    #[test]
    fn frames_to_the_guest_arrive_once_in_order(features in features(), bursts in prop::collection::vec(prop::collection::vec(0usize..2036, 0..20), 1..60)) {
        let (mut driver, _rx, mut tx) = VirtualNic::ends(features).unwrap();
        let (mut model, mut number) = (VecDeque::new(), 0);
        for lens in bursts {
            let frames: Vec<_> = lens.iter().map(|len| { number += 1; frame(number, *len) }).collect();
            let out: Vec<_> = frames.iter().map(|f| OutFrame::private(f)).collect();
            let taken = tx.send(0, &out);
            tx.kick();
            prop_assert!(taken.frames <= out.len());
            let mut refused = 0;
            for frame in frames.into_iter().take(taken.frames) {
                // Only a frame that all buffers together cannot take is refused.
                let chains = usize::from(features.queue_size) / if features.rx_header_apart && !features.indirect { 2 } else { 1 };
                let room = if features.mergeable { chains.min(256) * features.rx_buffer } else { features.rx_buffer };
                if frame.len() + 12 > room { refused += 1 } else { model.push_back(frame) }
            }
            prop_assert_eq!(taken.refused, refused);
            while let Some(got) = driver.poll() {
                prop_assert_eq!(Some(got), model.pop_front());
            }
            prop_assert!(model.is_empty());
        }
    }
}
