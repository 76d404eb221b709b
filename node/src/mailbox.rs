//! Commands from control to a worker, applied between its turns.
//!
//! Control posts from any thread; the worker owns the [`Mailbox`], watches [`event`](Mailbox::event) among its
//! [`events`](crate::worker::Worker::events) and [drains](Mailbox::drain) it at the start of each turn. While
//! nothing was posted that costs the worker one relaxed load.
//!
//! A turn ends before the next command is applied, so a mailbox is also how control waits for quiescence: once
//! the [`Ticket`] of any command posted after a change has been [applied](Sender::wait), that worker holds
//! nothing from before the change.

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
    event: OwnedFd,
    capacity: usize,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: VecDeque<T>,
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
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let queue = Queue { waiting: VecDeque::new(), posted: 0, applied: 0, gone: false };
    let shared = Arc::new(Shared {
        queue: Mutex::new(queue),
        applied: Condvar::new(),
        pending: AtomicBool::new(false),
        event,
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
    /// Puts a command into the mailbox and wakes the worker.
    ///
    /// # Errors
    /// The mailbox is full or its worker is gone.
    pub fn post(&self, command: T) -> Result<Ticket, PostError<T>> {
        let ticket = {
            let mut queue = self.0.queue.lock();
            if queue.gone {
                return Err(PostError::Gone(command));
            }
            if queue.waiting.len() >= self.0.capacity {
                return Err(PostError::Full(command));
            }
            queue.waiting.push_back(command);
            queue.posted += 1;
            self.0.pending.store(true, Ordering::Release);
            Ticket(queue.posted)
        };
        // The worker empties the counter each time, so it never comes near overflowing.
        let _ = rustix::io::write(&self.0.event, &1u64.to_ne_bytes());
        Ok(ticket)
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
        self.shared.event.as_fd()
    }

    /// Applies what waits, oldest first, and returns how many that were.
    #[inline]
    pub fn drain(&mut self, apply: impl FnMut(T)) -> usize {
        if self.shared.pending.load(Ordering::Relaxed) { self.drain_pending(apply) } else { 0 }
    }

    #[cold]
    fn drain_pending(&mut self, apply: impl FnMut(T)) -> usize {
        // Emptied before the queue is looked at: a command that is posted later makes it readable again.
        let _ = rustix::io::read(&self.shared.event, &mut [0u8; 8]);
        {
            let mut queue = self.shared.queue.lock();
            self.shared.pending.store(false, Ordering::Relaxed);
            core::mem::swap(&mut queue.waiting, &mut self.taken);
        }
        let count = self.taken.len();
        self.taken.drain(..).for_each(apply);
        self.shared.queue.lock().applied += count as u64;
        self.shared.applied.notify_all();
        count
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        self.shared.queue.lock().gone = true;
        self.shared.applied.notify_all();
    }
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
}
