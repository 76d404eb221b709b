//! Commands from control to a worker, applied between its turns.
//!
//! Control posts from any thread; the worker owns the [`Mailbox`], watches [`event`](Mailbox::event) among its
//! [`events`](crate::worker::Worker::events) and [drains](Mailbox::drain) it at the start of each turn. While
//! nothing was posted that costs the worker one relaxed load.
//!
//! A turn ends before the next command is applied, so a mailbox is also how control waits for quiescence: once
//! the [`Ticket`] of any command posted after a change has been [applied](Sender::wait), that worker holds
//! nothing from before the change. Control that must not block watches [`Sender::event`] and asks
//! [`applied`](Sender::applied) instead of waiting.
//!
//! **The other way round** a worker posts and control drains. Posting takes a lock that is held for a few
//! instructions and, at most, wakes whoever drains; it never waits. What a peer can cause to be posted is bounded
//! by one [lane](lanes) for each peer, so that nobody takes another one's room.

use parking_lot::{Condvar, Mutex};
use rustix::event::{EventfdFlags, eventfd};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The mailbox was full, or its worker is gone; here is the command back.
#[derive(Debug, thiserror::Error)]
pub enum PostError<T> {
    /// As many commands wait as the mailbox holds.
    #[error("the worker's mailbox is full")]
    Full(T),
    /// The worker ended.
    #[error("the worker has ended")]
    Gone(T),
}

/// The place of a posted command in the order of its mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

#[derive(Debug)]
struct Shared<T> {
    queue: Mutex<Queue<T>>,
    applied: Condvar,
    pending: AtomicBool,
    /// Readable while commands wait.
    posted: OwnedFd,
    /// Readable once something was applied.
    progress: OwnedFd,
    /// Commands that may wait in each lane.
    capacity: usize,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: VecDeque<T>,
    /// How many of those came in by each lane.
    lanes: Box<[usize]>,
    posted: u64,
    applied: u64,
    gone: bool,
}

/// The control side; clone it for each thread that posts.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// The worker side.
#[derive(Debug)]
pub struct Mailbox<T> {
    shared: Arc<Shared<T>>,
    taken: VecDeque<T>,
}

/// A mailbox that holds up to `capacity` commands, and its sender.
///
/// # Errors
/// The system has no descriptor left.
pub fn mailbox<T>(capacity: usize) -> io::Result<(Sender<T>, Mailbox<T>)> {
    lanes(1, capacity)
}

/// A mailbox with so many lanes, each of which holds up to `capacity` commands. Order is kept over all of them.
///
/// # Errors
/// The system has no descriptor left.
pub fn lanes<T>(lanes: usize, capacity: usize) -> io::Result<(Sender<T>, Mailbox<T>)> {
    let event = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
    let lanes = vec![0; lanes].into_boxed_slice();
    let queue = Queue { waiting: VecDeque::new(), lanes, posted: 0, applied: 0, gone: false };
    let shared = Arc::new(Shared {
        queue: Mutex::new(queue),
        applied: Condvar::new(),
        pending: AtomicBool::new(false),
        posted: event()?,
        progress: event()?,
        capacity,
    });
    Ok((Sender(Arc::clone(&shared)), Mailbox { shared, taken: VecDeque::new() }))
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Sender<T> {
    /// Puts a command into the mailbox (its first lane) and wakes the worker.
    ///
    /// # Errors
    /// The mailbox is full or its worker is gone.
    pub fn post(&self, command: T) -> Result<Ticket, PostError<T>> {
        self.post_in(0, command)
    }

    /// The same in another lane.
    ///
    /// # Errors
    /// The lane is full, or there is no such lane, or the worker is gone.
    pub fn post_in(&self, lane: usize, command: T) -> Result<Ticket, PostError<T>> {
        let mut queue = self.0.queue.lock();
        if queue.gone {
            return Err(PostError::Gone(command));
        }
        match queue.lanes.get_mut(lane) {
            Some(waiting) if *waiting < self.0.capacity => *waiting += 1,
            _ => return Err(PostError::Full(command)),
        }
        queue.waiting.push_back(command);
        queue.posted += 1;
        self.0.announce();
        Ok(Ticket(queue.posted))
    }

    /// A command would find room in this lane now. Spares whoever posts alone into it from making one in vain.
    #[must_use]
    pub fn has_room(&self, lane: usize) -> bool {
        let queue = self.0.queue.lock();
        !queue.gone && queue.lanes.get(lane).is_some_and(|waiting| *waiting < self.0.capacity)
    }

    /// Readable when something was applied since [`applied`](Self::applied) was last called, or the worker ended. For
    /// one thread: it is emptied by whichever clone of the sender looks.
    #[must_use]
    pub fn event(&self) -> BorrowedFd<'_> {
        self.0.progress.as_fd()
    }

    /// Makes the [`event`](Self::event) unreadable until more is applied, for one who waits for no ticket now.
    pub fn rest(&self) {
        empty(&self.0.progress);
    }

    /// The ticket of the last command that was applied, as it were; [`event`](Self::event) is emptied.
    #[must_use]
    pub fn progress(&self) -> Ticket {
        // Emptied before the count is read: what is applied later makes it readable again.
        empty(&self.0.progress);
        Ticket(self.0.queue.lock().applied)
    }

    /// The command with this ticket was applied.
    #[must_use]
    pub fn applied(&self, ticket: Ticket) -> bool {
        self.progress() >= ticket
    }

    /// Waits until the command with this ticket was applied; `false` if that took longer than `patience` or the
    /// worker ended first.
    #[must_use]
    pub fn wait(&self, ticket: Ticket, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut queue = self.0.queue.lock();
        while queue.applied < ticket.0 && !queue.gone {
            if self.0.applied.wait_until(&mut queue, until).timed_out() {
                break;
            }
        }
        queue.applied >= ticket.0
    }
}

impl<T> Mailbox<T> {
    /// Readable while commands wait.
    #[must_use]
    pub fn event(&self) -> BorrowedFd<'_> {
        self.shared.posted.as_fd()
    }

    /// Applies what waits, oldest first, and returns how many that were.
    #[inline]
    pub fn drain(&mut self, apply: impl FnMut(T)) -> usize {
        if self.shared.pending.load(Ordering::Relaxed) { self.drain_pending(apply) } else { 0 }
    }

    #[cold]
    fn drain_pending(&mut self, apply: impl FnMut(T)) -> usize {
        {
            let mut queue = self.shared.queue.lock();
            empty(&self.shared.posted);
            self.shared.pending.store(false, Ordering::Relaxed);
            queue.lanes.fill(0);
            core::mem::swap(&mut queue.waiting, &mut self.taken);
        }
        let count = self.taken.len();
        self.taken.drain(..).for_each(apply);
        self.shared.queue.lock().applied += count as u64;
        self.shared.tell();
        count
    }
}

impl<T> Shared<T> {
    /// Makes the event readable, once. Under the lock, like its emptying: it is readable exactly while `pending` is set,
    /// for a worker that sleeps on the one looks at the other.
    fn announce(&self) {
        if !self.pending.swap(true, Ordering::Relaxed) {
            signal(&self.posted);
        }
    }

    /// Tells whoever waits for progress.
    fn tell(&self) {
        self.applied.notify_all();
        signal(&self.progress);
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        self.shared.queue.lock().gone = true;
        self.shared.tell();
    }
}

/// Makes an event readable.
fn signal(event: &OwnedFd) {
    // A full counter (EAGAIN) is readable already; nothing else can fail on our own descriptor.
    let _ = rustix::io::write(event, &1u64.to_ne_bytes());
}

/// Makes an event unreadable.
fn empty(event: &OwnedFd) {
    // Nothing to read (EAGAIN) is as good as read.
    let _ = rustix::io::read(event, &mut [0u8; 8]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_arrive_in_order_and_are_bounded() {
        let (sender, mut mailbox) = mailbox(2).expect("eventfd");
        assert_eq!(mailbox.drain(|_| panic!("nothing was posted")), 0);
        sender.post(1).expect("room");
        let second = sender.post(2).expect("room");
        assert!(matches!(sender.post(3), Err(PostError::Full(3))));
        assert!(!sender.wait(second, Duration::ZERO));

        let mut seen = Vec::new();
        assert_eq!(mailbox.drain(|command| seen.push(command)), 2);
        assert_eq!(seen, [1, 2]);
        assert!(sender.wait(second, Duration::ZERO));

        drop(mailbox);
        assert!(matches!(sender.post(4), Err(PostError::Gone(4))));
    }

    #[test]
    fn a_waiter_hears_of_a_worker_that_ends() {
        let (sender, mailbox) = mailbox(1).expect("eventfd");
        let ticket = sender.post(()).expect("room");
        let waiter = std::thread::spawn(move || sender.wait(ticket, Duration::from_secs(60)));
        drop(mailbox);
        assert!(!waiter.join().expect("no panic"));
    }

    fn readable(event: BorrowedFd<'_>) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::from_borrowed_fd(event, PollFlags::IN)], Some(&now)).expect("poll") == 1
    }

    #[test]
    fn control_sees_progress_without_waiting() {
        let (sender, mut mailbox) = mailbox(8).expect("eventfd");
        let first = sender.post(1).expect("room");
        let second = sender.post(2).expect("room");
        assert!(!readable(sender.event()) && !sender.applied(first));
        assert!(readable(mailbox.event()));
        mailbox.drain(|_| {});
        assert!(readable(sender.event()) && !readable(mailbox.event()));
        assert!(sender.applied(first) && sender.applied(second));
        assert!(!readable(sender.event()), "looked at");
        let third = sender.post(3).expect("room");
        assert!(!sender.applied(third));
        mailbox.drain(|_| {});
        assert!(readable(sender.event()) && sender.applied(third));
        drop(mailbox);
        assert!(readable(sender.event()), "an end is news");
    }

    #[test]
    fn one_event_for_many_commands_and_none_is_missed() {
        let (sender, mut mailbox) = mailbox(1000).expect("eventfd");
        let poster = std::thread::spawn(move || {
            for n in 0..100_000 {
                while sender.post(n).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        let mut next = 0;
        while next < 100_000 {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let soon = Timespec { tv_sec: 10, tv_nsec: 0 };
            let woken = poll(&mut [PollFd::from_borrowed_fd(mailbox.event(), PollFlags::IN)], Some(&soon));
            assert_eq!(woken, Ok(1), "a post was not announced");
            mailbox.drain(|n| {
                assert_eq!(n, next);
                next += 1;
            });
        }
        poster.join().expect("no panic");
    }

    #[test]
    fn an_event_without_a_command_does_not_stay() {
        use std::sync::atomic::AtomicU32;
        const ROUNDS: u32 = 5_000;
        let (sender, mut mailbox) = mailbox(8).expect("eventfd");
        let (posted, drained) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (done, go) = (Arc::clone(&posted), Arc::clone(&drained));
        let poster = std::thread::spawn(move || {
            for round in 1..=ROUNDS {
                sender.post(round).expect("room");
                done.store(round, Ordering::Release);
                while go.load(Ordering::Acquire) < round {
                    std::thread::yield_now();
                }
            }
        });
        for round in 1..=ROUNDS {
            // Taken before the poster has said that something is there, as often as that can be hit.
            let mut spins = 0;
            while mailbox.drain(|n| assert_eq!(n, round)) == 0 {
                // On a crowded machine the poster may wait for this very processor.
                spins += 1;
                if spins % 1_000 == 0 { std::thread::yield_now() } else { std::hint::spin_loop() }
            }
            while posted.load(Ordering::Acquire) < round {
                std::thread::yield_now();
            }
            assert!(!readable(mailbox.event()), "round {round}: readable, and nothing to drain");
            drained.store(round, Ordering::Release);
        }
        poster.join().expect("no panic");
    }

    #[test]
    fn a_full_lane_takes_no_room_from_another() {
        let (sender, mut mailbox) = lanes(2, 2).expect("eventfd");
        for n in [0, 1] {
            assert!(sender.has_room(0));
            sender.post_in(0, n).expect("room");
        }
        assert!(!sender.has_room(0) && sender.has_room(1));
        assert!(matches!(sender.post_in(0, 2), Err(PostError::Full(2))));
        sender.post_in(1, 3).expect("room");
        assert!(matches!(sender.post_in(2, 4), Err(PostError::Full(4))), "there is no such lane");
        let mut seen = Vec::new();
        mailbox.drain(|command| seen.push(command));
        assert_eq!(seen, [0, 1, 3]);
        assert!(sender.has_room(0));
    }
}
