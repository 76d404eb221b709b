//! The queues of a port among several workers.
//!
//! A receiving queue belongs to one worker. A sending queue may be everybody's: each worker has a handle, and what one
//! `send` takes goes behind what earlier ones took, so that the order within a flow stays where all frames of the flow come
//! by the same worker.
//!
//! ```text
//!  receiving queues    0  1  2  3         sending queues    0  1         0
//!                      |  |  |  |                           |  |       / | \
//!  of two workers      0  1  0  1         of workers        0  1      0  1  2
//! ```

use crate::frame::{OutFrame, Undone};
use crate::queue::{Nanos, RxQueue, Taken, TxQueue};
use parking_lot::Mutex;
use std::sync::Arc;

/// Deals receiving queues out among `workers`: queue `k` goes to worker `first + k`, modulo their number.
#[must_use]
pub fn deal(queues: Vec<Box<dyn RxQueue>>, workers: usize, first: usize) -> Vec<Vec<Box<dyn RxQueue>>> {
    let workers = workers.max(1);
    let mut dealt: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
    for (number, queue) in queues.into_iter().enumerate() {
        dealt[first.wrapping_add(number) % workers].push(queue);
    }
    dealt
}

/// One sending queue for each of `workers`: its own where there are enough, else they share those there are in turn. `None`
/// where there is no queue at all.
#[must_use]
pub fn one_each(queues: Vec<Box<dyn TxQueue>>, workers: usize) -> Option<Vec<Box<dyn TxQueue>>> {
    let workers = workers.max(1);
    let of = queues.len().min(workers);
    if of == 0 {
        return None;
    }
    let mut handed: Vec<_> = (0..workers).map(|_| None).collect();
    for (number, queue) in queues.into_iter().take(of).enumerate() {
        let mine = (number..workers).step_by(of);
        for (worker, handle) in mine.clone().zip(handles(queue, mine.count())) {
            handed[worker] = Some(handle);
        }
    }
    handed.into_iter().collect()
}

/// `count` handles of a queue, at least one.
#[must_use]
pub fn handles(queue: Box<dyn TxQueue>, count: usize) -> Vec<Box<dyn TxQueue>> {
    if count <= 1 {
        return vec![queue];
    }
    let queue = match queue.another() {
        Some(_) => queue,
        None => Box::new(Locked(Arc::new(Mutex::new(queue)))),
    };
    let mut all: Vec<_> = (1..count).filter_map(|_| queue.another()).collect();
    all.push(queue);
    all
}

/// A queue that knows nothing of several workers, under a lock taken once a burst.
struct Locked(Arc<Mutex<Box<dyn TxQueue>>>);

impl TxQueue for Locked {
    fn send(&mut self, now: Nanos, frames: &[OutFrame<'_>]) -> Taken {
        self.0.lock().send(now, frames)
    }

    fn kick(&mut self) {
        self.0.lock().kick();
    }

    fn is_up(&self) -> bool {
        self.0.lock().is_up()
    }

    fn takes(&self, undone: &Undone, len: usize) -> bool {
        self.0.lock().takes(undone, len)
    }

    fn room(&self, wanted: usize) -> usize {
        self.0.lock().room(wanted)
    }

    fn another(&self) -> Option<Box<dyn TxQueue>> {
        Some(Box::new(Self(Arc::clone(&self.0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RxBurst;
    use crate::pair::{Config, pair};

    #[test]
    fn receiving_queues_are_spread_and_none_is_lost() {
        for workers in 1..5 {
            for queues in 1..9 {
                let (port, ..) = Config { queues, capacity: 1, ..Config::default() }.open().unwrap();
                let dealt = deal(port.rx, workers, 3);
                let shares: Vec<usize> = dealt.iter().map(Vec::len).collect();
                assert_eq!(shares.iter().sum::<usize>(), queues);
                assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1, "{shares:?}");
                assert!(!dealt[3 % workers].is_empty(), "the first one goes where it is said");
            }
        }
    }

    #[test]
    fn each_worker_sends_by_a_queue_of_its_own_or_shares_one() {
        for (queues, workers) in [(1, 1), (1, 3), (2, 3), (3, 2), (4, 4)] {
            let (a, mut b, _cable) = Config { queues, capacity: 8, ..Config::default() }.open().unwrap();
            let mut handed = one_each(a.tx, workers).unwrap();
            assert_eq!(handed.len(), workers);
            for round in 0..2 {
                for (worker, queue) in handed.iter_mut().enumerate() {
                    assert!(queue.is_up() && queue.room(1) > 0);
                    assert_eq!(queue.send(0, &[OutFrame::private(&[worker as u8, round])]).frames, 1);
                }
            }
            for (queue, rx) in b.rx.iter_mut().enumerate() {
                let mut burst = RxBurst::new();
                rx.recv(0, 64, &mut burst);
                let came: Vec<Vec<u8>> = burst.iter().map(|frame| frame.data.to_vec()).collect();
                let of = queues.min(workers);
                let mine = || (queue..workers).step_by(of).filter(|_| queue < of);
                let sent = (0..2).flat_map(|round| mine().map(move |worker| vec![worker as u8, round]));
                assert_eq!(came, sent.collect::<Vec<_>>(), "queue {queue} of {queues}, {workers} workers");
            }
        }
        assert!(one_each(Vec::new(), 2).is_none());
    }

    /// Two threads send by the same queue; each one's frames arrive, in its order.
    #[test]
    fn nothing_is_lost_where_threads_share_a_queue() {
        const FRAMES: u32 = 20_000;
        let (mut a, mut b, _cable) = pair(256);
        let handles = handles(a.tx.remove(0), 2);
        let senders: Vec<_> = handles
            .into_iter()
            .zip(0u8..)
            .map(|(mut queue, who)| {
                std::thread::spawn(move || {
                    let mut next = 0;
                    while next < FRAMES {
                        let mut frame = [who; 5];
                        frame[1..].copy_from_slice(&next.to_be_bytes());
                        match queue.send(0, &[OutFrame::private(&frame)]).frames {
                            0 => std::thread::yield_now(),
                            _ => next += 1,
                        }
                    }
                })
            })
            .collect();
        let mut next = [0, 0];
        while next != [FRAMES; 2] {
            let mut burst = RxBurst::new();
            b.rx[0].recv(0, 64, &mut burst);
            for frame in &burst {
                let [who, number @ ..] = <[u8; 5]>::try_from(frame.data.to_vec()).unwrap();
                assert_eq!(u32::from_be_bytes(number), next[usize::from(who)]);
                next[usize::from(who)] += 1;
            }
            let lent = burst.len();
            drop(burst);
            b.rx[0].release(lent);
            if lent == 0 {
                std::thread::yield_now();
            }
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    }
}
